"""Propensity-score matching and the regression on what is matched, as a result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.design_options import MatchOptions
from crosscheck.designs.balance import balance
from crosscheck.designs.matching import Rules, match
from crosscheck.designs.panel import INTERCEPT, covariance, fit
from crosscheck.designs.score import propensity
from crosscheck.engines._designs import (
    block_of,
    coef_rows,
    conventions_of,
    extras_of,
    options_of,
    sample_of,
    ssc_of,
    stats_of,
    winsor_extras,
)
from crosscheck.engines._designs_tables import row_terms
from crosscheck.errors import DataError
from crosscheck.results import EstimationResult, Extra

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


def fit_match(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Match, then regress: its coefficients; logit and balance as extras, scores and weights as a block."""
    options = options_of(request, MatchOptions)
    unit, time = options.unit or request.unit, options.time or request.time
    by_period = "period" in (options.score_by, options.match_by)
    if by_period and time is None:
        raise DataError("matching by period needs the study's time")
    identifiers = tuple(n for n in (unit, time) if n is not None)
    sample = sample_of(request, frame, options, numbers=(options.group, *options.covariates), categories=identifiers)
    group = sample.values[options.group]
    if not np.isin(group, (0.0, 1.0)).all():
        raise DataError(f"{options.group!r} is to be matched on and is not 0 or 1")
    treated = group == 1
    zeros = np.zeros(group.size, dtype=np.int64)
    period = sample.codes(time) if by_period and time is not None else zeros
    x = np.column_stack([sample.values[name] for name in options.covariates])
    scores = propensity(x, treated, period if options.score_by == "period" else zeros)
    rules = Rules(**options.model_dump(include=set(Rules.__dataclass_fields__)))
    distance = scores.linear if options.distance == "logit" else scores.score
    weight = match(scores.score, distance, treated, period if options.match_by == "period" else zeros, rules)
    kept = weight > 0
    panel = sample.panel
    if options.regression == "weighted":
        panel = replace(panel, weights=weight)
    found = fit(panel.take(kept))
    vcov = covariance(found, request.vcov.canonical, ssc_of(request), lag=request.vcov.lag)
    extras: list[Extra] = []
    labels = sample.labels(time) if options.score_by == "period" and time is not None else ("",)
    for label, beta in zip(labels, scores.coef, strict=True):
        for name, value in zip((INTERCEPT, *options.covariates), beta.tolist(), strict=True):
            extras += extras_of(f"logit:{name}" + (f"|{label}" if label else ""), logit=value)
    for name, column in (*zip(options.covariates, x.T, strict=True), ("(score)", scores.score)):
        before = balance(column, treated, None, options.standardize)
        after = balance(column, treated, weight, options.standardize)
        extras += extras_of(
            f"balance:{name}",
            mean_treated=before.mean_treated, mean_control=before.mean_control, std_diff=before.std_diff,
            var_ratio=before.var_ratio, mean_treated_matched=after.mean_treated,
            mean_control_matched=after.mean_control, std_diff_matched=after.std_diff,
            var_ratio_matched=after.var_ratio,
        )  # fmt: skip
    extras += extras_of(
        "matching", n_treated=treated.sum(), n_control=(~treated).sum(), n_treated_matched=(kept & treated).sum(),
        n_control_matched=(kept & ~treated).sum(),
    )  # fmt: skip
    terms = row_terms(sample.frame, unit, time)
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(found, vcov, request.conf_level),
        stats=stats_of(found),
        extras=(*extras, *winsor_extras(sample)),
        blocks=(block_of("rows", terms, treated=treated, propensity=scores.score, match_weight=weight),),
        conventions=conventions_of(request, sample, vcov),
        vcov=tuple(map(tuple, vcov.matrix.tolist())),
        dropped=found.dropped,
    )
