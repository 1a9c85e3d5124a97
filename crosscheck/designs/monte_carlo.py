"""Do estimates of a known effect centre on it, and do intervals hold it as often as they say, in this very design?

The regressors, fixed effects and clusters are the study's; only the outcome is simulated, ``panels`` times::

    y = fitted controls and effects of the study's own regression + effect * treatment + noise * u
    u_it = rho u_i,t-1 + sqrt(1 - rho^2) e_it,    e_it and u_i1 standard normal

With rho > 0 iid standard errors are too small and clustered ones are not (Bertrand, Duflo and Mullainathan 2004).
Shares of intervals come with the exact binomial bounds of Clopper and Pearson (1934). Everything but the outcome is
cleared once (Frisch, Waugh, Lovell), so that all panels are a few products of matrices.

Shocks are those of R's ``set.seed(seed); qnorm(runif(...))`` under its Mersenne Twister, in both languages: panel after
panel, unit after unit, period after period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from crosscheck.conventions import Ssc, critical, small_sample
from crosscheck.designs.absorb import Codes, Groups, squeezed
from crosscheck.designs.coverage import clopper_pearson
from crosscheck.designs.panel import Fit, Panel, counts_of, fit
from crosscheck.designs.placebo import cleared
from crosscheck.errors import DataError

Real = NDArray[np.float64]

UNIFORM = 2.3283064365386963e-10  # 2^-32, by which R scales the 32 bits of its Mersenne Twister
NEVER_ZERO = 0.5 * 2.328306437080797e-10  # R's smallest uniform, half of 1 / (2^32 - 1)


def r_uniforms(seed: int, count: int) -> Real:
    """Return what R's ``set.seed(seed); runif(count)`` gives, to the bit, shape (count,).

    R fills the state of its Mersenne Twister (Matsumoto and Nishimura 1998) from a linear congruential generator.
    """
    state = seed & 0xFFFFFFFF
    for _ in range(50):
        state = (69069 * state + 1) & 0xFFFFFFFF
    words = np.empty(625, dtype=np.uint32)
    for i in range(625):
        state = (69069 * state + 1) & 0xFFFFFFFF
        words[i] = state
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": words[1:], "pos": 624}}
    found = twister.random_raw(count).astype(np.float64) * UNIFORM
    return np.clip(found, NEVER_ZERO, 1.0 - NEVER_ZERO)


def errors(seed: int, panels: int, unit: Codes, period: Codes, rho: float) -> Real:
    """Return errors of variance one and autocorrelation ``rho`` within units, shape (n, panels).

    Shocks are drawn for the whole grid of units and periods, so that rows that a panel lacks leave no trace.
    """
    units, periods = int(unit.max()) + 1, int(period.max()) + 1
    shocks = special.ndtri(r_uniforms(seed, panels * units * periods)).reshape(panels, units, periods)
    for t in range(1, periods):
        shocks[:, :, t] = rho * shocks[:, :, t - 1] + np.sqrt(1 - rho**2) * shocks[:, :, t]
    return np.ascontiguousarray(shocks[:, unit, period].T)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """Of one covariance estimator: how many panels' intervals hold the effect.

    ``low`` and ``high`` bound the share exactly; ``se_ratio`` is the mean standard error over the standard deviation of
    the estimates, near one where standard errors are right.
    """

    vcov: str
    covered: int
    low: float
    high: float
    se_ratio: float
    std_error: Real

    def holds(self, level: float) -> bool:
        """Say whether the bounds hold the nominal level."""
        return self.low <= level <= self.high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MonteCarlo:
    """Estimates of all panels, shape (panels,), and what they say.

    Attributes
    ----------
    exact : float
        The estimate where there is no noise: the effect itself, to rounding.
    noise : float
        Standard deviation of the errors.
    mean, mean_se : float
        Mean estimate and its Monte Carlo error.
    coverage : tuple of Coverage
    """

    found: Fit
    estimate: Real
    exact: float
    noise: float
    mean: float
    mean_se: float
    coverage: tuple[Coverage, ...]


def monte_carlo(
    panel: Panel,
    treatment: str,
    unit: Codes,
    period: Codes,
    *,
    effect: float,
    noise: float | None,
    rho: float,
    panels: int,
    seed: int,
    vcovs: Sequence[str],
    level: float,
    bounds: float,
    ssc: Ssc,
) -> MonteCarlo:
    """Simulate outcomes, estimate, count.

    Parameters
    ----------
    panel : Panel
        With one cluster dimension and without weights.
    unit, period : codes from 0, shape (n,)
        Errors are correlated over the periods of a unit.
    noise : float, optional
        Default: the root of SSR / (N - K) of the study's own regression.
    level, bounds : float
        Of the intervals, and of the bounds of their coverage.

    Raises
    ------
    DataError
        For weights or another number of cluster dimensions.
    """
    if len(panel.clusters) != 1 or panel.weights is not None:
        raise DataError("a Monte Carlo experiment has one cluster dimension, and no weights")
    found = fit(panel)
    counts = counts_of(found)
    iid = small_sample("iid", counts, ssc)
    if noise is None:
        noise = float(np.sqrt(found.ssr / (counts.n - 1) * iid.k_factor))
    truth = panel.x[:, panel.names.index(treatment)]
    base = panel.y - found.resid + (effect - found.coef[found.index(treatment)]) * truth
    shocks = noise * errors(seed, panels, unit, period, rho)
    x = cleared(found, treatment, truth[:, None])[:, 0]
    square = float(x @ x)
    swept = cleared(found, treatment, np.column_stack([base, shocks]))
    y = swept[:, [0]] + swept[:, 1:]
    b = (x @ y) / square
    u = y - np.outer(x, b)
    made = {"iid": np.sqrt(np.einsum("ij,ij->j", u, u) / square * iid.k_factor / (counts.n - 1))}
    codes = next(iter(panel.clusters.values()))
    scores = x[:, None] * u
    for vcov, sums in (("HC1", scores), ("CRV1", Groups(codes).sums(scores))):
        factor = small_sample(vcov, counts, ssc).factor
        made[vcov] = np.sqrt(factor * np.einsum("ij,ij->j", sums, sums)) / square
    if "CRV3" in vcovs:
        made["CRV3"] = _jackknife(panel, treatment, codes, base[:, None] + shocks, b)
    out = []
    for vcov in vcovs:
        half = critical(level, small_sample(vcov, counts, ssc).df_t) * made[vcov]
        covered = int((np.abs(b - effect) <= half).sum())
        low, high = clopper_pearson(covered, panels, bounds)
        ratio = float(made[vcov].mean() / b.std(ddof=1))
        out.append(Coverage(vcov=vcov, covered=covered, low=low, high=high, se_ratio=ratio, std_error=made[vcov]))
    return MonteCarlo(
        found=found, estimate=b, exact=float(x @ swept[:, 0]) / square, noise=noise, mean=float(b.mean()),
        mean_se=float(b.std(ddof=1) / np.sqrt(panels)), coverage=tuple(out),
    )  # fmt: skip


def _jackknife(panel: Panel, treatment: str, groups: Codes, y: Real, b: Real) -> Real:
    """Return CRV3 standard errors: the coefficient without each cluster is a fixed product with the outcomes."""
    codes = squeezed(groups)
    size = int(codes.max()) + 1
    total = np.zeros(b.size)
    for g in range(size):
        rows = codes != g
        part = fit(panel.take(rows))
        x = cleared(part, treatment, panel.x[rows][:, [panel.names.index(treatment)]])[:, 0]
        total += ((x @ y[rows]) / float(x @ x) - b) ** 2
    return np.asarray(np.sqrt(total * (size - 1) / size))
