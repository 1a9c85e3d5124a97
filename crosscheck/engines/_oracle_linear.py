"""How does a request for least squares become arrays, and arrays a result?

:class:`LinearModel` is one fit; :func:`inference` gives it any covariance and any small-sample words without another
fit, which is also how explanations are replayed.
"""

from __future__ import annotations

import math
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.covariance import Grouping, cluster_counts, covariance, refitter
from crosscheck.closedform.goodness import Goodness, goodness
from crosscheck.closedform.linear import Fit, least_squares
from crosscheck.conventions import (
    Counts,
    SmallSample,
    Ssc,
    all_parameters,
    default_lag,
    interval,
    nested_effects,
    p_of,
)
from crosscheck.engines._shared import (
    codes_of,
    rows_block,
    squeezed,
    ssc_words,
    stat_extras,
    usable_model,
    wald_f,
    weights_of,
)
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import INTERCEPT, Formula, parse
from crosscheck.modelmatrix import model_matrix
from crosscheck.results import Block, CoefRow, Conventions, EstimationResult, Extra, FitStats

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest, VcovSpec

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearModel:
    """A fitted linear model and what its covariances need.

    Attributes
    ----------
    fit : Fit
    y, x : ndarray, shapes (n,) and (n, k)
        Before any sweep.
    terms, dropped : tuple of str
        Coefficients kept, and columns that earlier ones span.
    effects : mapping of tuple of str to codes
    frame : Frame
        The rows used.
    n : float
        Observations counted: rows, or the sum of frequency weights.
    frequency, intercept : bool
    rows_dropped : int
    """

    fit: Fit
    y: Floats
    x: Floats
    endogenous: Floats
    instruments: Floats
    weights: Floats | None
    terms: tuple[str, ...]
    dropped: tuple[str, ...]
    effects: Mapping[tuple[str, ...], Codes]
    frame: Frame
    n: float
    frequency: bool
    intercept: bool
    rows_dropped: int

    @property
    def parameters(self) -> int:
        """All parameters, fixed effects included."""
        return all_parameters(len(self.terms), self.fit.absorber.sizes)

    def clusters(self, names: Sequence[str]) -> tuple[Codes, ...]:
        """Return the codes of cluster columns on the rows used."""
        return tuple(squeezed(codes_of(self.frame, (name,))) for name in names)

    def counts(self, cluster: Sequence[str] = (), periods: int | None = None) -> Counts:
        """Count what enters the small-sample factors."""
        codes = self.clusters(cluster)
        nested: tuple[bool, ...] = (False,) * len(self.effects)
        if codes and self.effects:
            nested = nested_effects(self.effects, dict(zip(cluster, codes, strict=True)))
        return Counts(
            n=self.n,
            n_coef=len(self.terms),
            fe_sizes=self.fit.absorber.sizes,
            nested=nested,
            n_clusters=cluster_counts(codes),
            n_periods=periods,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inference:
    """A covariance under one convention, and the counts behind it."""

    matrix: Floats
    small_sample: SmallSample
    counts: Counts
    repaired: bool
    lag: int | None = None

    @property
    def std_errors(self) -> Floats:
        """Standard errors, shape (k,); NaN where a variance is negative."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.diag(self.matrix)))


def linear_model(request: FitRequest, frame: Frame, formula: Formula | None = None) -> LinearModel:
    """Fit the request's model once.

    Parameters
    ----------
    request : FitRequest
    frame : Frame
    formula : Formula, optional
        Instead of the request's own.

    Raises
    ------
    DataError
        Where no row is left or the model cannot be identified.
    """
    formula = formula or parse(request.formula, columns=frame.names)
    matrix, used = usable_model(request, formula, frame, also=(request.weights.column,) if request.weights else ())
    weights = weights_of(request, used)
    frequency = request.weights is not None and request.weights.type == "frequency"
    effects = {fe: matrix.fe_codes[:, j] for j, fe in enumerate(formula.fixed_effects)}
    return assemble(
        y=matrix.y,
        x=matrix.X,
        names=(*matrix.names, *matrix.endogenous_names),
        endogenous=matrix.endogenous,
        instruments=matrix.instruments,
        weights=weights,
        effects=effects,
        frame=used,
        frequency=frequency,
        intercept=formula.intercept or bool(effects),
        rows_dropped=frame.nrows - used.nrows,
    )


def assemble(
    *,
    y: Floats,
    x: Floats,
    names: Sequence[str],
    endogenous: Floats | None = None,
    instruments: Floats | None = None,
    weights: Floats | None,
    effects: Mapping[tuple[str, ...], Codes],
    frame: Frame,
    frequency: bool,
    intercept: bool,
    rows_dropped: int,
) -> LinearModel:
    """Fit arrays and keep what the covariances need; ``names`` are those of ``x`` and then of ``endogenous``."""
    none = np.empty((y.size, 0))
    endogenous = none if endogenous is None else endogenous
    instruments = none if instruments is None else instruments
    fit = least_squares(y, x, tuple(effects.values()), weights, endogenous=endogenous, instruments=instruments)
    kept = set(fit.kept)
    return LinearModel(
        fit=fit,
        y=y,
        x=x,
        endogenous=endogenous,
        instruments=instruments,
        weights=weights,
        terms=tuple(names[j] for j in fit.kept),
        dropped=tuple(name for j, name in enumerate(names) if j not in kept),
        effects=dict(effects),
        frame=frame,
        n=float(weights.sum()) if frequency and weights is not None else float(y.size),
        frequency=frequency,
        intercept=intercept,
        rows_dropped=rows_dropped,
    )


def inference(model: LinearModel, request: FitRequest, vcov: VcovSpec, ssc: Ssc, *, repair: bool = True) -> Inference:
    """Return a covariance of a fitted model under any convention.

    Raises
    ------
    DataError
        Where the covariance does not exist: leverage of one (HC2, HC3), repeated unit-time pairs (NW), a coefficient
        lost with a cluster (CRV3), a cluster column with missing values.
    """
    grouping, counts = grouped(model, request, vcov)
    found = covariance(
        model.fit,
        vcov.canonical,
        counts,
        ssc,
        grouping,
        frequency=model.frequency,
        refit=refitter(lambda rows: _refit(model, rows), model.fit.kept),
        repair=repair,
    )
    return Inference(
        matrix=found.matrix,
        small_sample=found.small_sample,
        counts=counts,
        repaired=found.repaired,
        lag=grouping.lag,
    )


def grouped(model: LinearModel, request: FitRequest, vcov: VcovSpec) -> tuple[Grouping, Counts]:
    """Return the categories that a covariance needs on the rows used, and the counts.

    Raises
    ------
    DataError
        Where a cluster column has missing values, or the time is not declared.
    """
    kind = vcov.canonical
    if any(model.frame[name].missing.any() for name in vcov.cluster):
        raise DataError(f"a cluster column has missing values: {', '.join(vcov.cluster)}")
    unit, time, periods, lag = None, None, None, None
    if kind in ("NW", "DK"):
        if request.time is None:
            raise DataError(f"vcov {kind} needs the study's time")
        time = squeezed(codes_of(model.frame, (request.time,)))
        periods = int(time.max()) + 1
        lag = default_lag(periods) if vcov.lag is None else vcov.lag
        if kind == "NW" and request.unit is not None:
            unit = squeezed(codes_of(model.frame, (request.unit,)))
        elif kind == "NW" and vcov.lag is None:
            raise DataError("NW on one time series needs vcov.lag")
    grouping = Grouping(clusters=model.clusters(vcov.cluster), unit=unit, time=time, lag=lag)
    return grouping, model.counts(vcov.cluster, periods)


def _refit(model: LinearModel, rows: NDArray[np.bool_]) -> Fit:
    return least_squares(
        model.y[rows],
        model.x[rows],
        [codes[rows] for codes in model.effects.values()],
        None if model.weights is None else model.weights[rows],
        endogenous=model.endogenous[rows],
        instruments=model.instruments[rows],
    )


def coef_rows(
    terms: Sequence[str], estimates: Sequence[float], std_errors: Sequence[float], df: float, level: float
) -> tuple[CoefRow, ...]:
    """Make rows with statistic, p-value and interval of the t distribution."""
    rows = []
    for term, b, se in zip(terms, estimates, std_errors, strict=True):
        known = se > 0
        low, high = interval(b, se, df, level) if known else (math.nan, math.nan)
        rows.append(
            CoefRow(
                term=term,
                estimate=b,
                std_error=se,
                statistic=b / se if known else math.nan,
                p_value=p_of(b / se, df) if known else math.nan,
                conf_low=low,
                conf_high=high,
                df=df,
            )
        )
    return tuple(rows)


def conventions_of(request: FitRequest, found: Inference, notes: tuple[str, ...] = ()) -> Conventions:
    """Write down the convention used."""
    small = found.small_sample
    if found.repaired:
        notes = (*notes, "eigenvalues of 0 or less were replaced by 1e-16")
    if found.lag is not None:
        notes = (*notes, f"lag {found.lag}")
    return Conventions(
        vcov=request.vcov.canonical,
        cluster=request.vcov.cluster,
        k=float(small.k),
        k_fixef=request.ssc.k_fixef,
        ssc_factor=None if math.isnan(small.factor) else small.factor,
        n_clusters=found.counts.n_clusters[: found.counts.dimensions],
        distribution="t",
        df_t=small.df_t,
        singletons_dropped=0,
        notes=notes,
    )


def _gaussian_log_likelihood(model: LinearModel) -> float | None:
    """Return the log-likelihood at s^2 = SSR / N; weights have several readings and give none."""
    ssr = float(model.fit.resid @ model.fit.resid)
    if model.weights is not None or model.instruments.shape[1] or ssr <= 0:
        return None
    n = model.y.size
    return -n / 2 * (math.log(2 * math.pi) + math.log(ssr / n) + 1)


def _statistics(request: FitRequest, model: LinearModel, found: Inference, fit: Goodness) -> tuple[Extra, ...]:
    """Return what else is wanted of the fit, by its definition."""
    if not request.also:
        return ()
    k = len(model.terms) - (INTERCEPT in model.terms)
    rest = model.n - model.parameters
    r2 = fit.r2_within if model.effects else fit.r2
    plain = model.instruments.shape[1] == 0 and model.intercept and k > 0 and rest > 0 and r2 is not None
    counted = model.n - (model.parameters - len(model.terms))
    return stat_extras(
        request,
        log_likelihood=_gaussian_log_likelihood(model),
        wald=wald_f(model.terms, model.fit.coef, found.matrix),
        f=r2 / k / ((1 - r2) / rest) if plain and r2 is not None and r2 < 1 - 1e-12 else None,
        adj_r2_within=1 - (1 - fit.r2_within) * counted / (counted - k)
        if fit.r2_within is not None and counted > k
        else None,
    )


def _rows(request: FitRequest, frame: Frame, model: LinearModel) -> tuple[Block, ...]:
    if not request.also:
        return ()
    ids = frame.row_ids if frame.row_ids.size else np.arange(frame.nrows)
    used = np.isin(ids, model.frame.row_ids if model.frame.row_ids.size else ids)
    if int(used.sum()) != model.y.size:
        return ()
    resid = np.asarray(model.fit.resid, dtype=np.float64)
    return rows_block(request, frame.nrows, used, {"fitted": model.y - resid, "residuals": resid})


def _predictions(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Fit on the rows that are not held out, and predict every row that has values and levels that were seen."""
    formula = parse(request.formula, columns=frame.names)
    train = frame[request.options["holdout"]].as_float() == 0
    whole = model_matrix(formula, frame, unit=request.unit, time=request.time)
    weights = weights_of(request, frame)
    inside = train[whole.rows] if weights is None else (train & (np.nan_to_num(weights) > 0))[whole.rows]
    if not inside.any():
        raise DataError("every row is held out")
    dummies, seen = [np.empty((whole.y.size, 0))], np.ones(whole.y.size, dtype=bool)
    for codes in whole.fe_codes.T:
        levels = np.unique(codes[inside])
        seen &= np.isin(codes, levels)
        dummies.append((codes[:, None] == levels).astype(np.float64))
    design = np.column_stack([whole.X, *dummies])
    root = np.ones(int(inside.sum())) if weights is None else np.sqrt(weights[whole.rows][inside])
    scale = np.maximum(np.linalg.norm(design[inside], axis=0), 1e-300)
    solved = np.linalg.lstsq(design[inside] / scale * root[:, None], whole.y[inside] * root, rcond=1e-10)[0]
    predicted = np.where(seen, (design / scale) @ solved, np.nan)
    blocks = rows_block(request, frame.nrows, whole.rows, {"predicted": predicted})
    return EstimationResult(engine=engine, stats=FitStats(nobs=float(inside.sum())), blocks=blocks)


def fit_linear(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Answer a request for least squares."""
    started = clock.perf_counter()
    if request.options.get("holdout"):
        return _predictions(engine, request, frame)
    model = linear_model(request, frame)
    if request.vcov.type == "NW" and model.frequency:
        raise Unsupported("NW with frequency weights has no agreed meaning (never)")
    found = inference(model, request, request.vcov, ssc_words(request.ssc))
    fit = goodness(model.fit, model.y, model.n, model.parameters, intercept=model.intercept, n_coef=len(model.terms))
    estimates = [float(b) for b in model.fit.coef]
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(model.terms, estimates, found.std_errors.tolist(), found.small_sample.df_t, request.conf_level),
        stats=FitStats(
            nobs=model.n,
            r2=fit.r2,
            adj_r2=fit.adj_r2,
            r2_within=fit.r2_within,
            df_resid=model.n - model.parameters,
        ),
        conventions=replace(conventions_of(request, found), rows_dropped=model.rows_dropped),
        vcov=tuple(tuple(row) for row in found.matrix.tolist()),
        dropped=model.dropped,
        extras=_statistics(request, model, found, fit),
        blocks=_rows(request, frame, model),
        seconds=clock.perf_counter() - started,
    )
