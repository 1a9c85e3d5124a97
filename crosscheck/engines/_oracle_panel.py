"""How does a request for random effects or the between estimator become arrays, and arrays a result?"""

from __future__ import annotations

import math
import time as clock
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.closedform.absorb import Groups
from crosscheck.closedform.random_effects import Components, panel_of, transform, variance_components
from crosscheck.engines._oracle_linear import LinearModel, assemble, coef_rows, conventions_of, inference
from crosscheck.engines._shared import codes_of, squeezed, ssc_words, usable_model
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import INTERCEPT, parse
from crosscheck.modelmatrix import ModelMatrix
from crosscheck.results import EstimationResult, Extra, FitStats

CONSTANT = 64 * np.finfo(float).eps
"""A fit that varies by less than this share of itself does not vary."""

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


def panel_model(request: FitRequest, frame: Frame) -> LinearModel:
    """Return the transformed (random effects) or averaged (between) regression of a request."""
    matrix, used = _matrix(request, frame)
    dropped = frame.nrows - used.nrows
    if request.estimator == "re":
        return _random(request, matrix, used, dropped)[0]
    return _between(request, matrix, used, dropped)


def fit_panel(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Answer a request for ``re`` or ``between``."""
    started = clock.perf_counter()
    matrix, used = _matrix(request, frame)
    dropped = frame.nrows - used.nrows
    random = request.estimator == "re"
    extras: tuple[Extra, ...] = ()
    if random:
        model, extras = _random(request, matrix, used, dropped)
    else:
        model = _between(request, matrix, used, dropped)
    found = inference(model, request, request.vcov, ssc_words(request.ssc))
    df = math.inf if random else found.small_sample.df_t
    r2 = _squared_correlation(model) if set(model.terms) - {INTERCEPT} else math.nan
    free = model.n - len(model.terms)
    used_conventions = replace(conventions_of(request, found), df_t=df, rows_dropped=model.rows_dropped)
    if random:
        used_conventions = replace(used_conventions, distribution="normal")
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(
            model.terms, [float(b) for b in model.fit.coef], found.std_errors.tolist(), df, request.conf_level
        ),
        stats=FitStats(
            nobs=model.n,
            r2=r2,
            adj_r2=1 - (1 - r2) * (model.n - 1) / free if free > 0 else None,
            df_resid=free,
        ),
        extras=extras,
        conventions=used_conventions,
        vcov=tuple(tuple(row) for row in found.matrix.tolist()),
        dropped=model.dropped,
        seconds=clock.perf_counter() - started,
    )


def _matrix(request: FitRequest, frame: Frame) -> tuple[ModelMatrix, Frame]:
    panel = tuple(name for name in (request.unit, request.time) if name is not None)
    formula = parse(request.formula, columns=frame.names)
    if not formula.intercept:
        raise Unsupported("random effects and between models without an intercept are not worked out here (notimpl)")
    return usable_model(request, formula, frame, also=panel)


def _random(
    request: FitRequest, matrix: ModelMatrix, used: Frame, dropped: int
) -> tuple[LinearModel, tuple[Extra, ...]]:
    assert request.unit is not None
    assert request.time is not None
    wanted = {"individual": (request.unit,), "time": (request.time,), "twoways": (request.unit, request.time)}
    names = wanted[request.options.get("effect") or "individual"]
    codes = [squeezed(codes_of(used, (name,))) for name in names]
    pairs = np.column_stack([codes_of(used, (name,)) for name in (request.unit, request.time)])
    if np.unique(pairs, axis=0).shape[0] < used.nrows:
        raise DataError("random effects need one row for each unit and time")
    panel = panel_of(matrix.y, matrix.X, codes)
    components = variance_components(panel, request.options.get("method") or "swar")
    made = transform(panel, components)
    if not made.by_group and request.vcov.canonical != "iid":
        raise Unsupported(
            "two random effects on an unbalanced panel: robust covariances depend on the root taken (never)"
        )
    model = _plain(matrix, np.asarray(made.y, dtype=np.float64), np.asarray(made.z, dtype=np.float64), used, dropped)
    return model, _extras(components, names, request)


def _extras(components: Components, names: tuple[str, ...], request: FitRequest) -> tuple[Extra, ...]:
    """Standard deviations of the components, and the unit's share of the variance where it is the only effect."""
    values: dict[str, float] = {}
    for name, variance in zip(names, components.effects, strict=True):
        values["sigma_mu" if name == request.unit else "sigma_lambda"] = math.sqrt(variance)
    values["sigma_nu"] = math.sqrt(components.nu)
    if names == (request.unit,):
        values["rho"] = components.effects[0] / (components.effects[0] + components.nu)
    return tuple(Extra(term=term, quantity="estimate", value=value) for term, value in values.items())


def _between(request: FitRequest, matrix: ModelMatrix, used: Frame, dropped: int) -> LinearModel:
    assert request.unit is not None
    groups = Groups.of(codes_of(used, (request.unit,)))
    ones = np.ones(groups.codes.size, dtype=np.longdouble)
    y = np.asarray(groups.means(matrix.y.astype(np.longdouble), ones), dtype=np.float64)
    x = np.asarray(groups.means(matrix.X.astype(np.longdouble), ones), dtype=np.float64)
    return _plain(matrix, y, x, used.take(groups.order[groups.starts]), dropped)


def _plain(matrix: ModelMatrix, y: Any, x: Any, used: Frame, dropped: int) -> LinearModel:
    return assemble(
        y=y,
        x=x,
        names=matrix.names,
        weights=None,
        effects={},
        frame=used,
        frequency=False,
        intercept=True,
        rows_dropped=dropped,
    )


def _squared_correlation(model: LinearModel) -> float:
    """R2 as plm has it: the squared correlation of outcome and fit, both transformed; NaN where the fit is constant."""
    y = model.y.astype(np.longdouble)
    fitted = y - model.fit.resid
    a, b = y - y.mean(), fitted - fitted.mean()
    scale = (a @ a) * (b @ b)
    if b @ b <= CONSTANT**2 * (fitted @ fitted):
        return math.nan
    return float((a @ b) ** 2 / scale) if scale > 0 else math.nan
