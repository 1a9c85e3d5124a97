"""Which panels does the sentinel set estimate on, and where do their numbers come from?

From ``fixtures/sentinel/panels.ndjson.gz``, value by value, never from the generator: a release of numpy that draws
other numbers moves nothing. :func:`draw_panels` is how they were made, and a test that they still come out of it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crosscheck.canon import dumps, write_atomic
from crosscheck.errors import DataError
from crosscheck.frame import Column, Frame
from crosscheck.simulate.panel import make_panel
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.upgrade.sentinel.grid import SEED, latin

PANELS_FILE = "panels.ndjson.gz"
PANELS_SCHEMA = 1
DECIMALS = 4
"""Of the recorded floats: what decides is that both sides read the same bits, not how many there are."""
NEW_ROWS = 24
OTHER = 1_000
"""Rows to predict come from the same specification under another seed, with one level of ``sector`` more."""

SUM, SUMMED = "xc", ("x1", "x2", "x3")
"""The collinear regressor is the sum of the others as they are recorded: rounding it would make it nearly so."""

ROWS: dict[str, dict[str, int]] = {
    "balanced": {},
    "holes": {"holes": 9},
    "gaps": {"gaps": 4},
    "attrition": {"attrition": 4},
    "singletons": {"singletons": 3},
    "holes and singletons": {"holes": 7, "singletons": 2},
}
MISSING: dict[str, dict[str, int]] = {
    "nothing": {},
    "outcome": {"missing_y": 3},
    "regressor": {"missing_x": 3},
    "weights": {"missing_weights": 2},
    "effect": {"missing_sector": 3},
    "unit": {"missing_unit": 2},
    "cluster": {"missing_cluster": 3},
}
WEIGHTS: dict[str, dict[str, Any]] = {
    "analytic": {"weights": "analytic"},
    "frequency": {"weights": "frequency"},
    "sampling": {"weights": "sampling"},
    "zeros": {"weights": "analytic", "zero_weights": 3},
}
CLUSTERS: dict[str, dict[str, Any]] = {
    "three": {"clusters": 3},
    "unequal": {"clusters": 6, "cluster_shape": "unequal"},
    "crossing": {"clusters": 8, "cluster_shape": "crossing"},
    "text": {"clusters": 7, "cluster_ids": "string"},
}
VALUES: dict[str, dict[str, int]] = {
    "plain": {},
    "whole numbers": {"integer_x": 1},
    "large": {"x_offset": 3},
    "scaled": {"scale": -3},
}
FACTORS: dict[str, tuple[Any, ...]] = {
    "size": ((24, 6), (18, 7), (30, 5)),
    "ids": ("integer", "string", "huge", "float", "non_ascii", "digits"),
    "rows": tuple(ROWS),
    "missing": ("nothing", *MISSING),
    "weights": ("analytic", "sampling", *WEIGHTS),
    "clusters": tuple(CLUSTERS),
    "values": tuple(VALUES),
    "errors": ("iid", "hetero", "serial"),
    "order": ("sorted", "shuffled", "by_time", "reversed"),
    "sector": (3, 5),
    "unused": (0, 1),
    "first": ((1, 1), (2001, 1), (1990, 5)),
    "duplicates": (0, 0, 2),
}
FAMILIES: dict[str, tuple[int, dict[str, Any]]] = {
    "linear": (24, {"outcome": "continuous"}),
    "count": (8, {"outcome": "count"}),
    "binary": (8, {"outcome": "binary"}),
    "staggered": (12, {"outcome": "continuous"}),
    "long": (3, {"outcome": "continuous"}),
}
LONG: dict[str, tuple[Any, ...]] = {"size": ((48, 12), (30, 25), (100, 9)), "duplicates": (0,)}
"""Of more rows than the others: rules of lags and bandwidths go by the number of observations."""
STAGGERED: dict[str, tuple[Any, ...]] = {
    "size": ((36, 6), (44, 7), (40, 8)),
    "ids": ("integer",),
    "rows": ("balanced", "balanced", "holes", "attrition", "gaps"),
    "missing": ("nothing",),
    "weights": ("sampling", "analytic"),
    "clusters": ("text", "unequal"),
    "values": ("plain",),
    "first": ((1, 1), (2001, 1), (2010, 1), (1990, 5)),
    "cohorts": (3, 4),
    "early": ("left out", "left out", "kept"),
    "never": (1, 2, 1, 0),
    "always": (0, 0, 0, 1),
    "later": (0, 1),
    "effect": ("constant", "dynamic", "both"),
    "duplicates": (0,),
}


class SentinelPanel(NamedTuple):
    """A recorded panel: its name, what it was drawn as, its rows, and rows to predict (none of a kind: the same)."""

    name: str
    drawn: Mapping[str, Any]
    frame: Frame
    new_rows: Frame


def draw_panels() -> list[SentinelPanel]:
    """Draw all panels, as they were drawn when they were recorded."""
    found = []
    for family, (count, fields) in FAMILIES.items():
        factors = FACTORS | {"staggered": STAGGERED, "long": LONG}.get(family, {})
        for k, point in enumerate(latin(factors, count, f"panels/{family}")):
            found.append(_panel(f"{family}-{k + 1:02d}", family, point, fields, k))
    return found


def _panel(name: str, family: str, point: dict[str, Any], fields: dict[str, Any], k: int) -> SentinelPanel:
    units, periods = point["size"]
    spec = PanelSpec(
        units=units,
        periods=periods,
        first_period=point["first"][0],
        step=point["first"][1],
        cohorts=point.get("cohorts", 2),
        never=point.get("never", 2),
        always=point.get("always", 0),
        later=point.get("later", 0),
        effect=point.get("effect", "dynamic"),
        errors=point["errors"],
        regressors=3,
        instruments=2,
        collinear=1,
        constant=1,
        invariant=1,
        nested=4,
        crossed=point["sector"],
        one_level=1,
        unused=point["unused"],
        ids=point["ids"],
        order=point["order"],
        duplicates=point["duplicates"],
        separated=2 if family in ("count", "binary") else 0,
        seed=SEED + k,
        **fields,
        **ROWS[point["rows"]],
        **MISSING[point["missing"]],
        **WEIGHTS[point["weights"]],
        **CLUSTERS[point["clusters"]],
        **VALUES[point["values"]],
    )
    other = spec.model_copy(update={"seed": spec.seed + OTHER, "crossed": spec.crossed + 1})
    new = _recorded(_with_derived(make_panel(other).frame, other), spec)
    rng = np.random.Generator(np.random.PCG64([SEED, *f"new/{name}".encode()]))
    rows = np.sort(rng.permutation(new.nrows)[:NEW_ROWS])
    taken = new.take(rows)
    frame = _recorded(_with_derived(make_panel(spec).frame, spec), spec)
    if point.get("early") == "left out":
        frame, taken = _without_first_cohort(frame, spec), _without_first_cohort(taken, spec)
    return SentinelPanel(name, {"family": family, **point}, frame, Frame(taken.columns, taken.nrows))


def _without_first_cohort(frame: Frame, spec: PanelSpec) -> Frame:
    """Leave out units that are treated from the second period on, so that the others have a longer time before."""
    kept = frame.take(frame["cohort"].as_float() != spec.first_period + spec.step)
    return Frame(kept.columns, kept.nrows)


def _with_derived(frame: Frame, spec: PanelSpec) -> Frame:
    """Add what users' panels have and the generator does not.

    Event time, a logical, an exposure; effects with negative levels, or with gaps between them; whole numbers for an
    outcome and a regressor, a positive outcome with fractions; an amount that is zero for half of the rows.
    """
    time, cohort = frame["time"].as_float(), frame["cohort"].as_float()
    event = np.where(cohort > 0, (time - cohort) / spec.step, -1.0)
    x = frame["x2"].as_float()
    rng = np.random.Generator(np.random.PCG64([SEED, spec.seed, spec.units]))
    exposure = np.round(np.exp(rng.normal(0.0, 0.4, frame.nrows)), DECIMALS) + 0.1
    more = (
        Column("event", "integer", event.astype(np.float64)),
        Column("high", "boolean", (x > np.nanmedian(x)).astype(np.int32)),
        Column("ever", "integer", (cohort > 0).astype(np.int32)),
        Column("exposure", "float", exposure),
        Column("log_exposure", "float", np.log(exposure)),
        Column("y2", "float", frame["y"].as_float() + 2.0 * exposure),
        *_stored(frame, spec, exposure),
    )
    return Frame((*frame.columns, *more), frame.nrows)


def _stored(frame: Frame, spec: PanelSpec, exposure: NDArray[Any]) -> tuple[Column, ...]:
    """Return columns of the kinds of numbers that users store."""
    time, y, x = frame["time"].as_float(), frame["y"].as_float(), frame["x2"].as_float()
    sector = frame["sector"].codes()[0].astype(np.float64)
    linear = spec.outcome == "continuous"
    scale = np.nanstd(y) if linear else 1.0
    return (
        Column("shift", "integer", (time - spec.first_period) / spec.step - 3.0),
        Column("level", "integer", np.where(sector >= 0, sector * sector * 20.0 - 30.0, np.nan)),
        Column("whole", "integer", np.round(3.0 * y / scale) if linear else y),
        Column("dose", "integer", np.round(2.0 * x)),
        Column("amount", "float", np.abs(y / scale) * exposure + (0.5 if linear else 0.0)),
        Column("spend", "float", np.maximum(np.round(x, DECIMALS), 0.0)),
    )


def _recorded(frame: Frame, spec: PanelSpec) -> Frame:
    """Round floats to what is recorded: a regressor in other units keeps as many digits."""
    columns = []
    for c in frame.columns:
        if c.kind == "float" and c.name != "unit":
            decimals = DECIMALS - min(spec.scale, 0) if c.name == "x1" else DECIMALS
            columns.append(Column(c.name, c.kind, np.round(c.values, decimals)))
        else:
            columns.append(c)
    rounded = Frame(tuple(columns), frame.nrows)
    exact = Column(SUM, "float", np.sum([rounded[name].as_float() for name in SUMMED], axis=0))
    return Frame(tuple(exact if c.name == SUM else c for c in columns), frame.nrows)


def _column_json(column: Column) -> dict[str, Any]:
    values: list[Any] = [None if m else v for v, m in zip(column.values.tolist(), column.missing.tolist(), strict=True)]
    raw = {"name": column.name, "kind": column.kind, "width": column.values.dtype.itemsize, "values": values}
    return {**raw, "levels": list(column.levels)} if column.levels else raw


def _column(raw: Mapping[str, Any]) -> Column:
    wide = raw["width"] == 8
    absent: Any = np.nan if wide else -1 if raw["kind"] == "category" else -(2**31)
    values = np.array([absent if v is None else v for v in raw["values"]], dtype="f8" if wide else "i4")
    return Column(raw["name"], raw["kind"], values, tuple(raw.get("levels", ())))


def _frame_json(frame: Frame) -> dict[str, Any]:
    return {"rows": frame.nrows, "key": frame.key, "columns": [_column_json(c) for c in frame.columns]}


def _frame(raw: Mapping[str, Any], where: str) -> Frame:
    frame = Frame(tuple(_column(c) for c in raw["columns"]), raw["rows"])
    if frame.key != raw["key"]:
        raise DataError("a recorded panel was changed: its hash does not fit", where=where, hint="restore the file")
    return frame


def write_panels(folder: Path, panels: Iterable[SentinelPanel]) -> Path:
    """Write the recorded file; the same panels give the same bytes."""
    rows: list[dict[str, Any]] = [{"schema": PANELS_SCHEMA, "seed": SEED}]
    for p in panels:
        raw = {"frame": _frame_json(p.frame), "new_rows": _frame_json(p.new_rows)}
        rows.append({"name": p.name, "drawn": dict(p.drawn), **raw})
    path = folder / PANELS_FILE
    write_atomic(path, gzip.compress("".join(dumps(row) + "\n" for row in rows).encode("utf-8"), 9, mtime=0))
    return path


@cache
def read_panels(folder: Path) -> Mapping[str, SentinelPanel]:
    """Read the recorded panels, by name.

    Raises
    ------
    DataError
        Where the file is missing, malformed, or a panel does not have the hash that it was recorded with.
    """
    path = folder / PANELS_FILE
    try:
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()]
        if rows[0]["schema"] != PANELS_SCHEMA:
            raise DataError(f"the sentinel panels have schema {rows[0]['schema']!r}", where=str(path))
        return {
            raw["name"]: SentinelPanel(
                raw["name"], raw["drawn"], _frame(raw["frame"], str(path)), _frame(raw["new_rows"], str(path))
            )
            for raw in rows[1:]
        }
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"the sentinel panels cannot be read: {type(error).__name__}: {error}",
            where=str(path),
            hint="they are part of the repository, in fixtures/sentinel",
        ) from error
