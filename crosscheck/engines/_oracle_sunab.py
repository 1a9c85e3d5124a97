"""How does a request for Sun and Abraham's estimator become a regression and its averages?"""

from __future__ import annotations

import time as clock
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.goodness import goodness
from crosscheck.closedform.sunab import averages, interactions
from crosscheck.engines._cohorts import small_cohorts
from crosscheck.engines._oracle_linear import Inference, LinearModel, assemble, coef_rows, conventions_of, inference
from crosscheck.engines._shared import codes_of, ssc_words, usable_model, weights_of
from crosscheck.errors import Unsupported
from crosscheck.formula import Call, Formula, Name, parse
from crosscheck.results import EstimationResult, FitStats

if TYPE_CHECKING:
    from crosscheck.closedform.sunab import Interactions
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


def sunab_parts(formula: Formula) -> tuple[Formula, str, str]:
    """Return the formula without ``sunab()``, and the names of cohort and period.

    Raises
    ------
    Unsupported
        Where ``sunab()`` stands in an interaction, or more than once.
    """
    calls = [(term, f) for term in formula.terms for f in term if isinstance(f, Call) and f.function == "sunab"]
    if len(calls) != 1 or len(calls[0][0]) != 1:
        raise Unsupported("sunab() stands once, as a term of its own (never)")
    term, call = calls[0]
    cohort, period = call.args
    assert isinstance(cohort, Name)
    assert isinstance(period, Name)
    return replace(formula, terms=tuple(t for t in formula.terms if t != term)), cohort.name, period.name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Averaged:
    """The saturated regression and the averages of its coefficients.

    Attributes
    ----------
    model : LinearModel
    combine : ndarray, shape (len(terms), number of coefficients)
    terms : tuple of str
    """

    model: LinearModel
    combine: NDArray[np.float64]
    terms: tuple[str, ...]


def averaged(request: FitRequest, frame: Frame) -> Averaged:
    """Fit the saturated regression and make the weights of the table that the request asks for."""
    rest, cohort_name, period_name = sunab_parts(parse(request.formula, columns=frame.names))
    model, made, first = saturated(request, frame, rest, cohort_name, period_name)
    keep = np.array([j - first for j in model.fit.kept if j >= first], dtype=np.intp)
    weights = model.weights if model.weights is not None else np.ones(model.y.size)
    mass = weights @ model.x[:, first:][:, keep]
    others = [j for j, kept in enumerate(model.fit.kept) if kept < first]
    own = [j for j, kept in enumerate(model.fit.kept) if kept >= first]
    kind = request.options.get("aggregation") or "dynamic"
    table = averages(made.event[keep], made.cohort[keep], mass, kind, period_name)
    combine = np.zeros((len(table) + len(others), len(model.terms)))
    for i, row in enumerate(table):
        combine[i, own] = row.weights
    for i, j in enumerate(others):
        combine[len(table) + i, j] = 1
    terms = (*(row.term for row in table), *(model.terms[j] for j in others))
    return Averaged(model=model, combine=combine, terms=terms)


def fit_sunab(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Answer a request for ``sunab``."""
    started = clock.perf_counter()
    made = averaged(request, frame)
    found = inference(made.model, request, request.vcov, ssc_words(request.ssc))
    result = _result(engine, request, made.model, found, made.combine, made.terms, started)
    _, cohort, _ = sunab_parts(parse(request.formula, columns=frame.names))
    if request.unit is None:
        return result
    return result.with_(conditions=small_cohorts(frame[cohort].as_float(), codes_of(frame, (request.unit,))))


def saturated(
    request: FitRequest, frame: Frame, rest: Formula, cohort: str, period: str
) -> tuple[LinearModel, Interactions, int]:
    """Fit the saturated regression; also the position of the first interaction among its columns."""
    weighted = (request.weights.column,) if request.weights else ()
    matrix, used = usable_model(request, rest, frame, also=(cohort, period, *weighted))
    dated = ~(frame[cohort].missing | frame[period].missing)
    made = interactions(used[cohort].as_float(), used[period].as_float(), frame[period].as_float()[dated])
    final = used.take(made.rows)
    weights = weights_of(request, final)
    effects = {fe: matrix.fe_codes[made.rows, j] for j, fe in enumerate(rest.fixed_effects)}
    names = (
        *matrix.names,
        *(f"{period}::{e:g}:cohort::{c:.15g}" for e, c in zip(made.event, made.cohort, strict=True)),
    )
    model = assemble(
        y=matrix.y[made.rows],
        x=np.column_stack([matrix.X, made.columns])[made.rows],
        names=names,
        weights=weights,
        effects=effects,
        frame=final,
        frequency=request.weights is not None and request.weights.type == "frequency",
        intercept=rest.intercept or bool(effects),
        rows_dropped=frame.nrows - final.nrows,
    )
    return model, made, len(matrix.names)


def _result(
    engine: str,
    request: FitRequest,
    model: LinearModel,
    found: Inference,
    combine: NDArray[np.float64],
    terms: tuple[str, ...],
    started: float,
) -> EstimationResult:
    estimates = np.asarray(combine @ model.fit.coef, dtype=np.float64)
    vcov = combine @ found.matrix @ combine.T
    fit = goodness(model.fit, model.y, model.n, model.parameters, intercept=model.intercept, n_coef=len(model.terms))
    with np.errstate(invalid="ignore"):
        std_errors = np.sqrt(np.diag(vcov))
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(terms, estimates.tolist(), std_errors.tolist(), found.small_sample.df_t, request.conf_level),
        stats=FitStats(
            nobs=model.n,
            r2=fit.r2,
            adj_r2=fit.adj_r2,
            r2_within=fit.r2_within,
            df_resid=model.n - model.parameters,
        ),
        conventions=replace(conventions_of(request, found), rows_dropped=model.rows_dropped),
        vcov=tuple(tuple(row) for row in vcov.tolist()),
        dropped=model.dropped,
        seconds=clock.perf_counter() - started,
    )
