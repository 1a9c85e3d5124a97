"""How does a column of a study become rows and names that a package can read?

The same conventions as in ``crosscheck run`` are written out in the call. Rows are those that the model uses; names
that a formula of Python cannot hold become plain ones, and are translated back in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.arithmetic import evaluate
from crosscheck.engines._pyfixest_code import lag_name, plain_names
from crosscheck.engines._sample import Sample, sample_of
from crosscheck.engines._shared import lags, usable_model
from crosscheck.errors import CrosscheckError
from crosscheck.formula import Formula, emit_expr, names, parse
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest
from crosscheck.study import Study
from crosscheck.tables import ColumnSpec
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.cases import Case

Key = tuple[str, str]
Maker = Callable[[FitRequest, Frame], "Written"]


class NoCall(Exception):
    """A column asks what users of the package cannot ask it, or what is not translated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A call, the rows that it is about, and the names that a reader knows."""

    call: Call
    frame: Frame
    names: Mapping[str, str]


def calls_of(study: Study, maker: Maker) -> Mapping[Key, Case | str]:
    """Return the case of each column of a study, or why it has none."""
    found: dict[Key, Case | str] = {}
    for column in study.columns:
        if not (column.candidates or column.references):
            continue
        try:
            rows = study.sample(column)
            written = maker(column.request, rows)
        except NoCall as reason:
            found[column.table, column.id] = str(reason)
            continue
        except CrosscheckError as error:
            found[column.table, column.id] = error.what
            continue
        found[column.table, column.id] = _case(study, column, written, rows)
    return found


def _case(study: Study, column: ColumnSpec, written: Written, rows: Frame) -> Case:
    return Case(
        id=f"{study.id}/{column.table}/{column.id}",
        frame=written.frame,
        call=written.call,
        request=column.request,
        witness_frame=rows,
        truth={t.term: t.value for t in study.truth(column) if t.quantity == "estimate"},
        names=written.names,
        title=column.title,
        topics=("study",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a model under plain names.

    ``plain`` maps the study's columns to those of ``frame``, ``names`` back; lags are columns of their own.
    """

    formula: Formula
    frame: Frame
    plain: Mapping[str, str]
    names: Mapping[str, str]
    dtypes: Mapping[str, str]


def rows_of(request: FitRequest, frame: Frame) -> Rows:
    """Return the rows that a model uses, as one who writes formulas holds them.

    A boolean becomes a category of TRUE and FALSE; a category in a formula keeps the order of its levels.
    """
    formula = parse(request.formula, columns=frame.names)
    weights = (request.weights.column,) if request.weights else ()
    ids = tuple(filter(None, (request.unit, request.time)))
    used = tuple(dict.fromkeys(n for n in (*names(formula), *request.vcov.cluster, *weights, *ids) if n in frame))
    plain = plain_names(used)
    _, kept = usable_model(request, formula, frame, also=weights)
    columns = [_plain(kept[name], plain[name]) for name in used]
    back = {new: old for old, new in plain.items() if new != old}
    for call in lags(formula):
        name = lag_name(call, plain)
        values = evaluate(call, frame, unit=request.unit, time=request.time)
        columns.append(Column(name, "float", values[_among(frame, kept)]))
        back[name] = emit_expr(call, ticks=False)
    held = {c.name: "category" for c in columns if c.kind == "category"}
    rows = Frame(tuple(columns), kept.nrows)
    return Rows(formula=formula, frame=rows, plain=plain, names=back, dtypes=held)


def _among(frame: Frame, kept: Frame) -> NDArray[np.int64]:
    """Return the positions of rows in the frame that they were taken from."""
    if not frame.row_ids.size:
        return kept.row_ids
    place = {int(row): i for i, row in enumerate(frame.row_ids)}
    return np.array([place[int(row)] for row in kept.row_ids], dtype=np.int64)


def _plain(column: Column, name: str) -> Column:
    if column.kind in ("boolean", "date"):
        codes, labels = column.codes()
        return Column(name, "category", codes.astype(np.int32), labels)
    return Column(name, column.kind, column.values, column.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrices:
    """The columns of a model's matrices as columns of a frame: ``y``, ``v0``, ``v1``, ..., ``e0``, ``z0``, ``f0``..."""

    sample: Sample
    frame: Frame
    exogenous: tuple[str, ...]
    endogenous: tuple[str, ...]
    instruments: tuple[str, ...]
    effects: tuple[str, ...]
    clusters: tuple[str, ...]
    names: Mapping[str, str]
    intercept: bool


def matrices_of(request: FitRequest, frame: Frame) -> Matrices:
    """Return what packages need that count every column: regressors as crosscheck makes them, effects as codes."""
    formula = parse(request.formula, columns=frame.names)
    sample = sample_of(request, formula, frame)
    m = sample.matrix
    columns = [Column("y", "float", np.ascontiguousarray(m.y, dtype=np.float64))]
    back: dict[str, str] = {}

    def add(prefix: str, labels: Sequence[str], values: NDArray[np.float64]) -> tuple[str, ...]:
        made = []
        for place, label in enumerate(labels):
            name = f"{prefix}{place}"
            columns.append(Column(name, "float", np.ascontiguousarray(values[:, place], dtype=np.float64)))
            back[name] = label
            made.append(name)
        return tuple(made)

    def coded(prefix: str, values: Sequence[NDArray[np.int64]]) -> tuple[str, ...]:
        columns.extend(Column(f"{prefix}{i}", "integer", c.astype(np.int32)) for i, c in enumerate(values))
        return tuple(f"{prefix}{i}" for i, _ in enumerate(values))

    intercept = "(Intercept)" in m.names
    places = [i for i, n in enumerate(m.names) if n != "(Intercept)"]
    exogenous = add("v", [m.names[i] for i in places], m.X[:, places])
    endogenous = add("e", m.endogenous_names, m.endogenous)
    instruments = add("z", m.instrument_names, m.instruments)
    effects = coded("f", list(sample.effects.values()))
    clusters = coded("c", list(sample.clusters.values()))
    if sample.unit is not None and sample.time is not None:
        coded("unit", [sample.unit])
        coded("time", [sample.time])
    elif sample.time is not None:
        coded("time", [sample.time])
    if sample.weights is not None:
        columns.append(Column("w", "float", np.ascontiguousarray(sample.weights, dtype=np.float64)))
    return Matrices(
        sample=sample,
        frame=Frame(tuple(columns), sample.n),
        exogenous=exogenous,
        endogenous=endogenous,
        instruments=instruments,
        effects=effects,
        clusters=clusters,
        names=back,
        intercept=intercept,
    )
