"""Monte Carlo coverage as a result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crosscheck.design_options import MonteCarloOptions
from crosscheck.designs.monte_carlo import MonteCarlo, monte_carlo
from crosscheck.engines._designs import (
    block_of,
    coef_row,
    extras_of,
    options_of,
    sample_of,
    ssc_of,
    stats_of,
    winsor_extras,
)
from crosscheck.errors import DataError
from crosscheck.results import Condition, Conventions, EstimationResult, Extra

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


def fit_monte_carlo(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Simulate and count: the mean estimate as a coefficient with its Monte Carlo error, coverage as extras.

    An interval whose coverage falls short, or is too large, beyond its exact bounds is also a warning.
    """
    options = options_of(request, MonteCarloOptions)
    unit, time = options.unit or request.unit, options.time or request.time
    if unit is None or time is None:
        raise DataError("simulated errors need unit and time", hint="name them in [data] or in the options")
    sample = sample_of(request, frame, options, categories=(options.cluster, unit, time))
    panel = replace(sample.panel, clusters={options.cluster: sample.codes(options.cluster)})
    made = monte_carlo(
        panel, options.treatment, sample.codes(unit), sample.codes(time), effect=options.effect, noise=options.noise,
        rho=options.rho, panels=options.panels, seed=options.seed, vcovs=options.vcovs, level=request.conf_level,
        bounds=options.bounds, ssc=ssc_of(request),
    )  # fmt: skip
    mean = coef_row(f"{options.treatment} [mean]", made.mean, made.mean_se, float("inf"), request.conf_level)
    extras: list[Extra] = [
        *extras_of(
            "monte_carlo", without_noise=made.exact, bias=made.mean - options.effect, bias_se=made.mean_se,
            noise=made.noise, panels=options.panels,
        )
    ]  # fmt: skip
    for c in made.coverage:
        extras += extras_of(
            f"coverage [{c.vcov}]", share=c.covered / options.panels, covered=c.covered, share_low=c.low,
            share_high=c.high, holds=c.holds(request.conf_level), se_ratio=c.se_ratio,
        )  # fmt: skip
    drawn = {f"std_error_{c.vcov}": c.std_error for c in made.coverage}
    return EstimationResult(
        engine=engine,
        coefs=(mean,),
        stats=stats_of(made.found),
        extras=(*extras, *winsor_extras(sample)),
        blocks=(block_of("panels", estimate=made.estimate, **drawn),),
        conventions=Conventions(distribution="normal", singletons_dropped=0, rows_dropped=int((~sample.rows).sum())),
        dropped=made.found.dropped,
        conditions=warnings_of(made, options, request.conf_level),
    )


def warnings_of(made: MonteCarlo, options: MonteCarloOptions, level: float) -> tuple[Condition, ...]:
    """Say of each covariance estimator whose coverage is not the nominal one by how much it misses."""
    return tuple(
        Condition(
            kind="warning",
            text=f"{c.vcov} intervals of {level:.0%} hold the effect in {c.covered / options.panels:.1%} of "
            f"{options.panels:,} panels ({options.bounds:.0%} bounds {c.low:.1%} to {c.high:.1%}) where errors have "
            f"autocorrelation {options.rho:g}: {c.vcov} errors are too {'small' if c.high < level else 'large'}",
            cls="Coverage",
        )
        for c in made.coverage
        if not c.holds(level)
    )
