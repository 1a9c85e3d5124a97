"""Which identities and bounds tie the numbers of a regression table together?

Each function takes floats or intervals (:mod:`crosscheck.audit.interval`) and is an identity, to rounding error, of
least squares as named in its docstring; tests hold each against regressions on simulated panels. Notation: ``n`` rows,
``k`` parameters with all dummies counted, ``sst = (n - 1) sd**2``, ``ssd`` the sum of squares of the treatment after
the fixed effects were taken out, ``vif`` its inflation by the other regressors.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from crosscheck.audit.interval import Interval, root, square

N = TypeVar("N", float, Interval)


def adjusted_r2(r2: N, n: int, k: int) -> N:
    """Adjusted R2 (Theil 1961): ``1 - (1 - R2)(n - 1)/(n - k)``."""
    return 1.0 - (1.0 - r2) * ((n - 1.0) / (n - k))


def k_from_r2(r2: N, adj_r2: N, n: int) -> N:
    """Solve adjusted R2 for the number of parameters: ``n - (n - 1)(1 - R2)/(1 - adjR2)``."""
    return n - ((1.0 - r2) / (1.0 - adj_r2)) * (n - 1.0)


def total_ss(sd: N, n: int) -> N:
    """Total sum of squares from a standard deviation with divisor n - 1."""
    return square(sd) * (n - 1.0)


def residual_ss(r2: N, sd: N, n: int) -> N:
    """Residual sum of squares ``(1 - R2) SST``; R2 must be the overall one."""
    return (1.0 - r2) * total_ss(sd, n)


def residual_variance(r2: N, sd: N, n: int, k: int) -> N:
    """Classical residual variance ``SSE/(n - k)``."""
    return residual_ss(r2, sd, n) / float(n - k)


def bivariate_t_squared(r2: N, n: int) -> N:
    """Squared classical t of the only slope: ``R2 (n - 2)/(1 - R2)``."""
    return r2 * float(n - 2) / (1.0 - r2)


def bivariate_slope(r2: N, sd_y: N, sd_x: N) -> N:
    """Absolute slope of the only regressor: ``sqrt(R2) sd_y/sd_x``."""
    return root(r2) * sd_y / sd_x


def two_group_se(r2: N, sd_y: N, n: int, ones: int) -> N:
    """Classical SE of the slope on a 0/1 regressor with ``ones`` ones."""
    return root(residual_variance(r2, sd_y, n, 2) * (1.0 / ones + 1.0 / (n - ones)))


def two_group_constant_se(r2: N, sd_y: N, n: int, ones: int) -> N:
    """Classical SE of the constant beside a 0/1 regressor: ``s/sqrt(n0)``."""
    return root(residual_variance(r2, sd_y, n, 2) / float(n - ones))


def binary_sd(share: float, n: int, divisor: int) -> float:
    """Standard deviation of a 0/1 variable with the given share of ones and divisor (n or n - 1)."""
    return float((share * (1.0 - share) * n / divisor) ** 0.5)


def ssd_block(units: int, treated: int, periods: int, post: int) -> float:
    """Sum of squares of a twice-demeaned treatment, one cohort, balanced: ``P g/P (1-g/P) T q (1-q)``."""
    share, q = treated / units, post / periods
    return units * share * (1.0 - share) * periods * q * (1.0 - q)


def ssd_staggered(units: int, periods: int, cohorts: tuple[tuple[int, int], ...]) -> float:
    """Sum of squares of a twice-demeaned absorbing treatment, balanced; ``cohorts`` are (treated, post periods)."""
    total = sum(g * p for g, p in cohorts)
    by_unit = sum(g * p * p for g, p in cohorts) / periods
    by_time = 0.0
    for t in range(periods):
        on = sum(g for g, p in cohorts if t >= periods - p)
        by_time += on * on / units
    return total - by_unit - by_time + total * total / (units * periods)


def slope_se(s2: N, ssd: N, vif: N) -> N:
    """Classical SE of a slope: ``sqrt(s2 vif/ssd)``."""
    return root(s2 * vif / ssd)


def implied_vif(se: N, s2: N, ssd: N) -> N:
    """Variance inflation that a classical SE implies: ``SE**2 ssd/s2`` (at least 1)."""
    return square(se) * ssd / s2


def dummy_constant_variance(s2: N, se_b: N, units: int, periods: int, d_unit: float, d_time: float, d_mean: float) -> N:
    """Variance of the constant of a two-way dummy regression with one slope, balanced.

    ``s2 (1/T + 1/P - 1/(PT)) + SE_b**2 (D_i. + D_.t - D_..)**2`` with D of the base unit and the base period.
    """
    shape = 1.0 / periods + 1.0 / units - 1.0 / (units * periods)
    return s2 * shape + square(se_b) * (d_unit + d_time - d_mean) ** 2


def indirect(theta: N, phi: N) -> N:
    """Product of the effect on the mediator and the mediator's effect."""
    return theta * phi


def added_regressor_variance(s2_new: N, s2_old: N, se_old: N, theta: N, se_added: N) -> N:
    """Classical variance of a slope after one regressor was added.

    ``(s2_new/s2_old) SE_old**2 + theta**2 SE_added**2``, theta the slope of the added regressor on this one.
    """
    return s2_new / s2_old * square(se_old) + square(theta) * square(se_added)


def increment_t_squared(r2_small: N, r2_large: N, n: int, k_large: int) -> N:
    """Squared classical t of one added regressor: ``(R2_1 - R2_0)(n - k)/(1 - R2_1)``."""
    return (r2_large - r2_small) * float(n - k_large) / (1.0 - r2_large)


def added_slope_variance(s2_new: N, r2_added: N, sd_added: N, n: int) -> N:
    """Classical variance of an added regressor's slope: ``s2/((1 - R2_M) SST_M)``."""
    return s2_new / residual_ss(r2_added, sd_added, n)


def f_statistic(r2_small: N, r2_large: N, n: int, k_small: int, k_large: int) -> N:
    """Classical F of the regressors that the larger regression adds."""
    return (r2_large - r2_small) / float(k_large - k_small) * float(n - k_large) / (1.0 - r2_large)


def omitted_shift_bound(sse_small: N, sse_large: N, ssd: N, vif: N) -> N:
    """Largest possible movement of a slope when regressors are added, squared.

    ``(SSE_s - SSE_l)/ssd (vif - 1)``, by Cauchy-Schwarz: the omitted part is in the span of the added regressors.
    """
    return (sse_small - sse_large) / ssd * (vif - 1.0)


def sobel_z_squared(t1: N, t2: N) -> N:
    """Squared Sobel (1982) z of an indirect effect: ``1/(1/t1**2 + 1/t2**2)``."""
    return 1.0 / (1.0 / square(t1) + 1.0 / square(t2))


def difference_z(b1: N, b2: N, se1: N, se2: N) -> N:
    """Wald z of the difference of two estimates from disjoint rows."""
    return (b1 - b2) / root(square(se1) + square(se2))


def hypergeometric_none(population: int, marked: int, drawn: int) -> float:
    """Probability that a draw without replacement holds none of the marked units."""
    out = 1.0
    for i in range(drawn):
        out *= max(0, population - marked - i) / (population - i)
    return out


def ar1_inflation(rho: float, units: int, periods: int, post: int) -> float:
    """Ratio of the true to the expected classical variance of a two-way DiD slope under AR(1) errors.

    One cohort, balanced. With w the demeaned post indicator, M the within projection and R the AR(1) correlation:
    ``w'Rw/w'w`` over ``((P-1) tr(MR) - w'Rw/w'w)/((P-1)(T-1) - 1)``.
    """
    t = np.arange(periods)
    corr = rho ** np.abs(t[:, None] - t[None, :])
    w = (t >= periods - post).astype(float)
    w -= w.mean()
    true = float(w @ corr @ w) / float(w @ w)
    within = np.eye(periods) - 1.0 / periods
    expected = ((units - 1) * float(np.trace(within @ corr)) - true) / ((units - 1) * (periods - 1) - 1)
    return true / expected


def samuelson(sd: N, n: int) -> N:
    """Largest distance of one value from the mean (Samuelson 1968): ``sd (n - 1)/sqrt(n)``."""
    return sd * float((n - 1.0) / n**0.5)
