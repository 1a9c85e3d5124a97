"""Which regressors does a request for ``sunab`` stand for, in Sun and Abraham (2021) and in fixest?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.sunab import averages, interactions
from crosscheck.engines._oracle_sunab import sunab_parts
from crosscheck.engines._shared import usable_rows, weights_of
from crosscheck.formula import parse
from crosscheck.frame import Frame
from crosscheck.modelmatrix import ModelMatrix, model_matrix
from crosscheck.spec import FitRequest

Floats = NDArray[np.float64]
REFERENCE = -1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohorts:
    """The columns of a model with ``sunab()``.

    Attributes
    ----------
    matrix : ModelMatrix
        Its last columns are the cells of cohort and relative period.
    event, cohort : ndarray, shape (m,)
        Of these cells.
    period : str
        Name of the period, which stands in the names of cells.
    """

    matrix: ModelMatrix
    event: Floats
    cohort: Floats
    period: str


def of_the_paper(request: FitRequest, frame: Frame) -> Cohorts:
    """Return the columns that the closed form has: a cohort is judged by its rows in the sample.

    Raises
    ------
    CrosscheckError
        As the closed form does.
    """
    matrix, cohort, period, name = _beside(request, frame)
    dated = ~(np.isnan(cohort) | np.isnan(period))
    rows = matrix.rows
    made = interactions(cohort[rows], period[rows], period[dated])
    return _with_cells(matrix, made.rows, made.columns, made.event, made.cohort, name)


def of_fixest(request: FitRequest, frame: Frame) -> Cohorts:
    """Return the columns that ``sunab()`` of fixest 0.14 makes.

    ``cpp_find_never_always_treated`` looks at all rows with cohort and period, in the sample or not, and overlooks the
    first of every cohort but the first. The number of a cohort that it calls always treated is taken for that of a row,
    and this row leaves.

    Raises
    ------
    CrosscheckError
        Where the other columns cannot be had.
    """
    matrix, start, time, name = _beside(request, frame)
    known = ~(np.isnan(start) | np.isnan(time))
    for cluster in request.vcov.cluster:
        known &= ~frame[cluster].missing
    at = np.flatnonzero(known)
    cohort, period = start[at], time[at]
    event = np.where(np.isin(cohort, period), period - cohort, REFERENCE)
    numbered = list(dict.fromkeys(cohort.tolist()))
    seen = [event[cohort == value][min(k, 1) :] for k, value in enumerate(numbered)]
    always = [k for k, events in enumerate(seen) if events.size and bool((events >= 0).all())]
    plain = [v for v, events in zip(numbered, seen, strict=True) if (events >= 0).all() or (events < 0).all()]
    used = ~np.isin(cohort, plain) & (event != REFERENCE)
    pairs = np.unique(np.column_stack([event[used], cohort[used]]), axis=0)
    columns = np.zeros((frame.nrows, len(pairs)))
    columns[at] = (event[:, None] == pairs[:, 0]) & (cohort[:, None] == pairs[:, 1]) & used[:, None]
    kept = known.copy()
    kept[at[[k for k in always if k < at.size]]] = False
    rows = matrix.rows
    return _with_cells(matrix, kept[rows], columns[rows], pairs[:, 0], pairs[:, 1], name)


def effects(request: FitRequest, made: Cohorts, weights: Floats, dropped: Sequence[str]) -> dict[str, float]:
    """Return the averages that a request asks for, by least squares on the columns but those dropped.

    Terms that the columns do not determine are left out.
    """
    matrix = made.matrix
    kept = [j for j, name in enumerate(matrix.names) if name not in dropped and matrix.X[:, j].any()]
    root = np.sqrt(weights)[:, None]
    dummies = [(codes[:, None] == np.unique(codes)).astype(np.float64) for codes in matrix.fe_codes.T]
    x = np.hstack([matrix.X[:, kept], *dummies]) * root
    b = np.linalg.lstsq(x, matrix.y * root[:, 0], rcond=1e-12)[0]
    first = len(matrix.names) - made.event.size
    cells = [(place, j - first) for place, j in enumerate(kept) if j >= first]
    own, which = [place for place, _ in cells], [j for _, j in cells]
    mass = weights @ matrix.X[:, [j + first for j in which]]
    kind = request.options.get("aggregation") or "dynamic"
    table = averages(made.event[which], made.cohort[which], mass, kind, made.period)
    return {row.term: float(row.weights @ b[own]) for row in table}


def weights_in(request: FitRequest, frame: Frame, matrix: ModelMatrix) -> Floats:
    """Return the weights of the rows of a model, ones where there are none."""
    weights = weights_of(request, frame)
    return np.ones(matrix.y.size) if weights is None else np.asarray(weights[matrix.rows], dtype=np.float64)


def _beside(request: FitRequest, frame: Frame) -> tuple[ModelMatrix, Floats, Floats, str]:
    rest, cohort, period = sunab_parts(parse(request.formula, columns=frame.names))
    weighted = (request.weights.column,) if request.weights else ()
    matrix = model_matrix(
        rest, frame, unit=request.unit, time=request.time, also=(cohort, period, *weighted, *request.vcov.cluster),
        among=usable_rows(request, frame),
    )  # fmt: skip
    return matrix, frame[cohort].as_float(), frame[period].as_float(), period


def _with_cells(
    matrix: ModelMatrix, keep: NDArray[np.bool_], columns: Floats, event: Floats, cohort: Floats, period: str
) -> Cohorts:
    names = tuple(f"{period}::{e:g}:cohort::{c:.15g}" for e, c in zip(event, cohort, strict=True))
    made = replace(
        matrix,
        y=matrix.y[keep],
        X=np.column_stack([matrix.X, columns])[keep],
        names=(*matrix.names, *names),
        endogenous=matrix.endogenous[keep],
        instruments=matrix.instruments[keep],
        fe_codes=matrix.fe_codes[keep],
        rows=matrix.rows[keep],
    )
    return Cohorts(matrix=made, event=event, cohort=cohort, period=period)
