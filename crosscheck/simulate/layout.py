"""Which units are treated when, which rows does a panel have, and what are its units and levels called?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosscheck.frame import INT32_MAX, Column
from crosscheck.simulate.panel_spec import ClusterShape, Ids, Naming, PanelSpec

Codes = NDArray[np.int64]
NEVER = -1
LARGEST_EXACT = 2**53
CALLED = {
    "non_ascii": ("北京", "Île", "Ñuñoa", "Øst", "ß", "Ωmega", "Łódź", "🙂"),
    "digits": (*(str(LARGEST_EXACT + k) for k in range(1, 9)), "007", "7", "0.10", "0.1", "1e3", "1000"),
    "na_like": ("NA", "NaN", "nan", "null", "None", "N/A", "<NA>", "NULL", "01", "1", "1.0", "-"),
    "logical": ("T", "F", "TRUE", "FALSE", "true", "false", "y", "n", "yes", "no", "on", "off"),
}


def cohort_starts(spec: PanelSpec) -> Codes:
    """Return the period in which each unit of the grid is first treated, from 0, shape (units,); -1: never.

    Treated units come first. Each cohort has one unit at least; of the others, cohort k = 1, 2, ... takes a part in
    proportion to 2 k - 1. One that is treated only after the last period has the start ``periods``.
    """
    starts = np.full(spec.units, NEVER, dtype=np.int64)
    if not spec.treated:
        return starts
    inside = spec.treated - spec.always - spec.later
    order = np.arange(spec.cohorts)
    periods = 1 + order * (spec.periods - 1) // max(spec.cohorts, 1)
    extra = inside - spec.cohorts
    rest = np.floor(spec.cohorts * np.sqrt((np.arange(extra) + 0.5) / max(extra, 1))).astype(np.int64)
    starts[spec.always : spec.always + inside] = periods[np.sort(np.concatenate([order, rest]))]
    if spec.always:
        starts[0] = 0
    if spec.later:
        starts[spec.treated - 1] = spec.periods
    return starts


def kept_cells(spec: PanelSpec, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Say which cells of units by periods are observed, shape (units + singletons, periods)."""
    kept = np.ones((spec.units + spec.singletons, spec.periods), dtype=bool)
    chosen = rng.permutation(spec.units)
    for unit in chosen[: spec.gaps]:
        kept[unit, rng.integers(1, spec.periods - 1)] = False
    for unit in chosen[spec.gaps : spec.gaps + spec.attrition]:
        kept[unit, rng.integers(1, spec.periods) :] = False
    whole = np.sort(chosen[spec.gaps + spec.attrition :])
    holes = rng.choice(whole.size * spec.periods, spec.holes, replace=False)
    kept[whole[holes // spec.periods], holes % spec.periods] = False
    kept[spec.units :] = False
    for unit in range(spec.units, spec.units + spec.singletons):
        kept[unit, rng.integers(spec.periods)] = True
    return kept


def scattered(levels: int, rows: int, rng: np.random.Generator) -> Codes:
    """Draw a level for each row, so that each level occurs."""
    drawn = np.concatenate([np.arange(levels), rng.integers(levels, size=rows - levels)])
    return np.asarray(rng.permutation(drawn), dtype=np.int64)


def unit_clusters(shape: ClusterShape, clusters: int, units: int, grid_units: int) -> Codes:
    """Return a cluster for each unit, shape (units,), so that each occurs among the ``grid_units`` first.

    ``unequal`` has half of the units in the first cluster, as far as the others leave them to it.
    """
    unit = np.arange(units)
    if shape == "equal" or clusters == 1:
        return np.asarray(unit % clusters)
    large = min(grid_units // 2, grid_units - clusters + 1)
    return np.asarray(np.where(unit < large, 0, 1 + (unit - large) % (clusters - 1)))


def labels(style: str, count: int, prefix: str) -> list[str]:
    """Return distinct names; those of a style come back with a number once they are used up."""
    words = CALLED.get(style, ())
    if not words:
        return [f"{prefix}{k + 1}" for k in range(count)]
    return [f"{words[k % len(words)]}{k // len(words) or ''}" for k in range(count)]


def regressor_names(naming: Naming, count: int) -> list[str]:
    """Return the names of the regressors."""
    if naming in ("logical", "na_like"):
        return labels(naming, count, "x")
    prefix = {"plain": "x", "non_ascii": "变量é", "spaced": "my x "}[naming]
    return [f"{prefix}{k + 1}" for k in range(count)]


def category(name: str, codes: Codes, names: Sequence[str], unused: int = 0) -> Column:
    """Make a category whose levels are sorted by code point; levels that no row has stand first and last in turn."""
    used = np.unique(codes[codes >= 0])
    empty = [f"{'~!'[k % 2]}unused {k + 1}" for k in range(unused)]
    levels = sorted([*(names[k] for k in used), *empty])
    place = {level: k for k, level in enumerate(levels)}
    lookup = np.full(len(names) + 1, -1, dtype=np.int32)
    for k in used:
        lookup[k] = place[names[k]]
    return Column(name, "category", lookup[codes], tuple(levels))


def whole_numbers(name: str, values: NDArray[np.float64] | Codes) -> Column:
    """Make an integer column: int32, or float64 where a value is missing or too large for it."""
    small = bool(np.all(np.abs(values) <= INT32_MAX))
    return Column(name, "integer", values.astype(np.int32 if small else np.float64))


def unit_column(ids: Ids, codes: Codes, units: int, unused: int) -> Column:
    """Return the identifiers of the units; a code of -1 is a missing one."""
    if ids in ("string", "digits", "non_ascii", "na_like", "logical"):
        return category("unit", codes, labels(ids, units, "u"), unused)
    if ids == "float":
        return Column("unit", "float", np.where(codes < 0, np.nan, (codes + 1) * 0.1))
    first = 1 if ids == "integer" else LARGEST_EXACT - units
    return whole_numbers("unit", np.where(codes < 0, np.nan, codes + float(first)))
