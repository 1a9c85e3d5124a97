"""Placebo draws, wild cluster bootstrap and the grid of covariances as results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.design_options import GridOptions, PlaceboOptions, WildOptions
from crosscheck.designs import bootstrap, placebo
from crosscheck.designs.draws import aligned, enumerate_signs, values_of
from crosscheck.designs.panel import covariance, fit
from crosscheck.engines._designs import (
    Sample,
    block_of,
    coef_row,
    coef_rows,
    conventions_of,
    extras_of,
    options_of,
    sample_of,
    ssc_of,
    stats_of,
    winsor_extras,
)
from crosscheck.engines._designs_tables import quantile_name
from crosscheck.errors import DataError
from crosscheck.results import CoefRow, Conventions, EstimationResult, Extra

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

Real = NDArray[np.float64]

GRID = ("iid", "HC1", "CRV1", "CRV3", "DK")
DRAWN = ("estimate", "std_error", "std_error_iid", "p_value", "p_value_iid")


def fit_placebo(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Draw placebos: the true regression as coefficients, ``placebo`` as extras, the draws as a block."""
    options = options_of(request, PlaceboOptions)
    unit, time = options.unit or request.unit, options.time or request.time
    if unit is None or time is None:
        raise DataError("placebo draws need unit and time", hint="name them in [data] or in the options")
    sample = sample_of(request, frame, options, numbers=(time,), categories=(unit,))
    late = sample.values[time] >= options.start
    vcov, ssc = request.vcov.canonical, ssc_of(request)
    prepared = placebo.prepare(sample.panel, options.treatment, sample.codes(unit), late, vcov, ssc)
    made = placebo.run(prepared, aligned(options.draws, sample.labels(unit), unit))
    own = covariance(prepared.found, vcov, ssc)
    at = prepared.found.index(options.treatment)
    true, true_se = float(prepared.found.coef[at]), float(own.std_errors[at])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = float(np.divide(true, true_se))
    found = placebo.summarize(
        made, true, t,
        threshold=options.threshold, probabilities=options.quantiles, method=options.quantile,
    )  # fmt: skip
    summary = {k: float(getattr(found, k)) for k in found.__dataclass_fields__ if k != "quantiles"}
    extras: list[Extra] = [*extras_of("placebo", **summary)]
    extras += (
        Extra(term="placebo", quantity=quantile_name(p), value=q)
        for p, q in zip(options.quantiles, found.quantiles, strict=True)
    )
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(prepared.found, own, request.conf_level),
        stats=stats_of(prepared.found),
        extras=(*extras, *winsor_extras(sample)),
        blocks=(block_of("draws", **{name: getattr(made, name) for name in DRAWN}),),
        conventions=conventions_of(request, sample, own),
        dropped=prepared.found.dropped,
    )


def fit_wild(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Bootstrap t: the treatment with CRV1 as its coefficient, ``x [wild]`` as extras."""
    options = options_of(request, WildOptions)
    sample = _clustered(request, frame, options)
    wild, extras, _ = _wild(request, options, sample, options.treatment)
    row = coef_row(options.treatment, wild.estimate, wild.std_error, wild.df, request.conf_level)
    return EstimationResult(
        engine=engine,
        coefs=(row,),
        stats=stats_of(wild.found),
        extras=(*extras, *winsor_extras(sample)),
        conventions=Conventions(
            vcov="CRV1", cluster=(options.cluster,), ssc_factor=wild.factor, n_clusters=(wild.squares.size,),
            distribution="t", df_t=wild.df, singletons_dropped=0, rows_dropped=int((~sample.rows).sum()),
        ),
        dropped=wild.found.dropped,
    )  # fmt: skip


def fit_grid(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Coefficients under every covariance: coefficients ``x [CRV1]``, stars (0 to 3) as extras."""
    options = options_of(request, GridOptions)
    time = options.time or request.time
    if time is None:
        raise DataError("Driscoll-Kraay needs the study's time")
    sample = _clustered(request, frame, options, time)
    sample.panel = replace(sample.panel, period=sample.codes(time))
    found = fit(sample.panel)
    terms = tuple(dict.fromkeys((options.treatment, *options.also)))
    rows: list[CoefRow] = []
    extras: list[Extra] = []
    covariances = [(v, covariance(found, v, ssc_of(request), lag=options.lag)) for v in GRID]
    for name in terms:
        at = found.index(name)
        for vcov, made in covariances:
            estimate, se = float(found.coef[at]), float(made.std_errors[at])
            row = coef_row(f"{name} [{vcov}]", estimate, se, made.small.df_t, request.conf_level)
            rows.append(row)
            extras += extras_of(row.term, stars=_stars(row.p_value, options))
        if options.wild:
            _, more, p = _wild(request, options, sample, name)
            extras += (*more, *extras_of(f"{name} [wild]", stars=_stars(p, options)))
    return EstimationResult(
        engine=engine,
        coefs=tuple(rows),
        stats=stats_of(found),
        extras=(*extras, *winsor_extras(sample)),
        conventions=Conventions(distribution="t", singletons_dropped=0, rows_dropped=int((~sample.rows).sum())),
        dropped=found.dropped,
    )


def _clustered(request: FitRequest, frame: Frame, options: WildOptions, *more: str) -> Sample:
    sample = sample_of(request, frame, options, categories=(options.cluster, *more))
    sample.panel = sample.panel.with_clusters({options.cluster: sample.codes(options.cluster)})
    return sample


def _wild(
    request: FitRequest, options: WildOptions, sample: Sample, name: str
) -> tuple[bootstrap.Wild, tuple[Extra, ...], float]:
    labels = sample.labels(options.cluster)
    codes = enumerate_signs(len(labels)) if options.draws is None else aligned(options.draws, labels, options.cluster)
    weights = values_of(options.weight, codes)
    wild = bootstrap.prepare(sample.panel, name, ssc_of(request))
    p = bootstrap.p_value(wild, weights, options.null, impose=options.impose_null, ties=options.ties)
    term = f"{name} [wild]"
    extras = extras_of(term, p_value=p, statistic=wild.t(options.null), n_draws=weights.shape[0])
    drawn = wild.draws(weights, options.null, impose=options.impose_null)
    extras += extras_of(term, t_mean=float(drawn.mean()), t_sd=float(drawn.std(ddof=1)))
    if options.interval:
        low, high = bootstrap.interval(wild, weights, request.conf_level, options.ties)
        extras += extras_of(term, conf_low=low, conf_high=high)
    return wild, extras, p


def _stars(p: float | None, options: GridOptions) -> int:
    return 0 if p is None else sum(p < threshold for threshold in options.stars)
