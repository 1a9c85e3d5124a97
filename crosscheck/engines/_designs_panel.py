"""Designs that are built on a regression, as results: winsorizing, mediation, subgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscheck.design_options import MediationOptions, SubgroupOptions, WinsorOptions
from crosscheck.designs.draws import aligned
from crosscheck.designs.mediation import bootstrap, mediate
from crosscheck.designs.panel import INTERCEPT, covariance, fit, with_dummies
from crosscheck.designs.quantiles import quantiles
from crosscheck.designs.subgroups import subgroups
from crosscheck.engines._designs import (
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
from crosscheck.errors import Unsupported
from crosscheck.results import CoefRow, EstimationResult

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


def fit_winsor(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Least squares on winsorized columns; bounds are extras of the column."""
    options = options_of(request, WinsorOptions)
    sample = sample_of(request, frame, options)
    found = fit(sample.panel)
    vcov = covariance(found, request.vcov.canonical, ssc_of(request), lag=request.vcov.lag)
    constant: tuple[CoefRow, ...] = ()
    if options.constant and sample.panel.effects:
        if request.vcov.canonical not in ("iid", "HC1"):
            raise Unsupported("the constant of dummies has vcov iid or HC1")
        dummies = fit(with_dummies(sample.panel))
        other = covariance(dummies, request.vcov.canonical, ssc_of(request))
        at = dummies.index(INTERCEPT)
        estimate, error = float(dummies.coef[at]), float(other.std_errors[at])
        constant = (coef_row(INTERCEPT, estimate, error, other.small.df_t, request.conf_level),)
    return EstimationResult(
        engine=engine,
        coefs=(*constant, *coef_rows(found, vcov, request.conf_level)),
        stats=stats_of(found),
        extras=winsor_extras(sample),
        conventions=conventions_of(request, sample, vcov),
        vcov=() if constant else tuple(map(tuple, vcov.matrix.tolist())),
        dropped=found.dropped,
    )


def fit_mediation(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Mediate: coefficients ``total:x``, ``mediator:x``, ``direct:x``; effects are extras of ``effect`` terms."""
    options = options_of(request, MediationOptions)
    cluster = (options.cluster,) if options.cluster else ()
    sample = sample_of(request, frame, options, numbers=(options.mediator, options.treatment), categories=cluster)
    values, level = sample.values, request.conf_level
    found = mediate(
        sample.panel,
        values[options.mediator],
        options.treatment,
        options.mediator,
        request.vcov.canonical,
        ssc_of(request),
    )
    parts = (
        ("total", found.total_fit, found.total_vcov),
        ("mediator", found.mediator_fit, found.mediator_vcov),
        ("direct", found.direct_fit, found.direct_vcov),
    )
    coefs = tuple(row for name, f, v in parts for row in coef_rows(f, v, level, f"{name}:"))
    effects = (
        ("effect:total", found.total, float(found.total_vcov.std_errors[found.total_fit.index(options.treatment)])),
        ("effect:direct", found.direct, float(found.direct_vcov.std_errors[found.direct_fit.index(options.treatment)])),
    )
    df = found.total_vcov.small.df_t
    coefs += tuple(coef_row(term, b, s, df, level) for term, b, s in effects)
    coefs += (coef_row("effect:indirect", found.indirect, found.std_error(), float("inf"), level),)
    extras = extras_of(
        "effect:indirect", se_aroian=found.std_error("aroian"), se_goodman=found.std_error("goodman"),
        proportion=found.proportion, identity_gap=found.identity_gap,
    )  # fmt: skip
    for name, f, _ in parts:
        stats = stats_of(f)
        for quantity in ("r2", "adj_r2", "r2_within"):
            value = getattr(stats, quantity)
            if value is not None:
                extras += extras_of(name, **{quantity: value})
    if options.draws is not None and options.cluster is not None:
        table = aligned(options.draws, sample.labels(options.cluster), options.cluster)
        draws = bootstrap(
            sample.panel,
            values[options.mediator],
            options.treatment,
            options.mediator,
            sample.codes(options.cluster),
            table,
        )
        usable = draws[~np.isnan(draws).any(axis=1)]
        tails = ((1 - level) / 2, (1 + level) / 2)
        for column, name in enumerate(("total", "direct", "indirect")):
            low, high = quantiles(usable[:, column], tails, options.quantile)
            extras += extras_of(
                f"effect:{name}", se_bootstrap=float(usable[:, column].std(ddof=1)), boot_low=low, boot_high=high
            )
        extras += extras_of("effect:indirect", n_draws=usable.shape[0])
    return EstimationResult(
        engine=engine,
        coefs=coefs,
        stats=stats_of(found.direct_fit),
        extras=(*extras, *winsor_extras(sample)),
        conventions=conventions_of(request, sample, found.direct_vcov),
        dropped=found.total_fit.dropped,
    )


def fit_subgroups(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Split and interact: coefficients ``group:x`` and ``joint:group:x``; tests are extras of ``equality``."""
    options = options_of(request, SubgroupOptions)
    sample = sample_of(request, frame, options, categories=(options.group,))
    labels = sample.labels(options.group)
    found = subgroups(
        sample.panel,
        sample.codes(options.group),
        options.treatment,
        request.vcov.canonical,
        ssc_of(request),
        name=options.group,
    )
    level = request.conf_level
    coefs = tuple(
        row
        for label, f, v in zip(labels, found.fits, found.vcovs, strict=True)
        for row in coef_rows(f, v, level, f"{label}:")
    )
    coefs += tuple(
        coef_row(f"joint:{label}:{options.treatment}", b, s, found.df, level)
        for label, b, s in zip(labels, found.effects.tolist(), np.sqrt(np.diagonal(found.joint)).tolist(), strict=True)
    )
    extras = extras_of(
        "equality", wald_f=found.wald_f, wald_f_p=found.wald_f_p, wald_chi2=found.wald_chi2,
        wald_chi2_p=found.wald_chi2_p, df1=found.df1, df2=found.df,
    )  # fmt: skip
    for first, second, gap, se, z, p in found.pairs:
        extras += extras_of(f"{labels[first]} - {labels[second]}", difference=gap, difference_se=se, z=z, z_p=p)
    for label, f in zip(labels, found.fits, strict=True):
        stats = stats_of(f)
        for quantity in ("nobs", "r2", "adj_r2", "r2_within"):
            value = getattr(stats, quantity)
            if value is not None:
                extras += extras_of(label, **{quantity: value})
    return EstimationResult(
        engine=engine,
        coefs=coefs,
        stats=stats_of(found.pooled),
        extras=(*extras, *winsor_extras(sample)),
        conventions=conventions_of(request, sample, found.vcovs[0]),
    )
