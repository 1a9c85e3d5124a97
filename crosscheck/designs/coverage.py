"""How often does a 95% interval hold the true effect, over many simulated panels?

Panels of ``units`` by ``periods`` with unit and time effects, a group treated from ``start`` on, and errors that follow
u_it = rho u_i,t-1 + e_it (Bertrand, Duflo and Mullainathan 2004): with rho > 0 iid standard errors are too small, and
clustered ones are not. Shares come with the exact binomial bounds of Clopper and Pearson (1934).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from crosscheck.conventions import Ssc, critical
from crosscheck.designs.panel import Panel, covariance, fit

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How panels are made; ``noise`` is the standard deviation of u, ``rho`` its autocorrelation."""

    units: int = 28
    periods: int = 11
    treated: int = 9
    start: int = 4
    effect: float = 0.024
    noise: float = 0.02
    rho: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of one covariance estimator: covered panels of all, with exact bounds of the share."""

    vcov: str
    covered: int
    panels: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Return the share of intervals that hold the effect."""
        return self.covered / self.panels

    def plausible(self, level: float) -> bool:
        """Say whether the bounds hold the nominal level."""
        return self.low <= level <= self.high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """Estimates of all panels, shape (panels,), their bias with its Monte Carlo standard error, and coverage."""

    estimates: Real
    bias: float
    bias_se: float
    coverage: tuple[Coverage, ...]


def simulate(world: World, rng: np.random.Generator) -> Panel:
    """Make one panel; rows are sorted by unit, then period."""
    unit = np.repeat(np.arange(world.units), world.periods)
    time = np.tile(np.arange(world.periods), world.units)
    shocks = rng.normal(size=(world.units, world.periods))
    errors = np.empty_like(shocks)
    errors[:, 0] = shocks[:, 0]
    for t in range(1, world.periods):
        errors[:, t] = world.rho * errors[:, t - 1] + np.sqrt(1 - world.rho**2) * shocks[:, t]
    control = rng.normal(size=unit.size)
    treated = ((unit < world.treated) & (time >= world.start)).astype(np.float64)
    level = rng.normal(size=world.units)[unit] * 0.1 + rng.normal(size=world.periods)[time] * 0.05
    y = level + world.effect * treated + 0.01 * control + world.noise * errors.reshape(-1)
    return Panel(
        y=y,
        x=np.column_stack([treated, control]),
        names=("treated", "control"),
        effects={("unit",): unit, ("time",): time},
        clusters={"unit": unit},
    )


def clopper_pearson(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return exact bounds of a binomial share."""
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if hits == trials else float(special.betaincinv(hits + 1, trials - hits, 1 - tail))
    return low, high


def experiment(
    world: World,
    panels: int,
    seed: int,
    *,
    vcovs: tuple[str, ...] = ("iid", "CRV1"),
    level: float = 0.95,
    bounds: float = 0.99,
) -> Experiment:
    """Estimate many panels and count which intervals hold the effect.

    Parameters
    ----------
    world : World
    panels : int
    seed : int
        Panel i is made by the i-th child of this seed, whatever their number.
    vcovs : tuple of str
    level : float
        Of the intervals.
    bounds : float
        Of the bounds of the share.
    """
    ssc = Ssc()
    estimates = np.empty(panels)
    covered = dict.fromkeys(vcovs, 0)
    for i, child in enumerate(np.random.SeedSequence(seed).spawn(panels)):
        found = fit(simulate(world, np.random.Generator(np.random.PCG64(child))))
        at = found.index("treated")
        estimates[i] = found.coef[at]
        for vcov in vcovs:
            made = covariance(found, vcov, ssc)
            half = critical(level, made.small.df_t) * made.std_errors[at]
            covered[vcov] += bool(abs(found.coef[at] - world.effect) <= half)
    out = []
    for vcov in vcovs:
        low, high = clopper_pearson(covered[vcov], panels, bounds)
        out.append(Coverage(vcov=vcov, covered=covered[vcov], panels=panels, low=low, high=high))
    return Experiment(
        estimates=estimates,
        bias=float(estimates.mean() - world.effect),
        bias_se=float(estimates.std(ddof=1) / np.sqrt(panels)) if panels > 1 else float("nan"),
        coverage=tuple(out),
    )
