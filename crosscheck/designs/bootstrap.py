"""How unusual is the t statistic when whole clusters keep or flip the sign of their residuals?

Wild cluster bootstrap of Cameron, Gelbach and Miller (2008) in the form of Roodman, MacKinnon, Nielsen and Webb (2019),
section 5: the t statistic with CRV1 standard errors, residuals with the null imposed (WCR) or not (WCU). After clearing
controls and fixed effects, only G x G sums are left, so that a draw costs one product of a G x G matrix and a vector::

    u   = y - b0 x (WCR) or y - b x (WCU)          W_g = M (u 1{cluster g})
    H   = [sum_{i in h} x_i W_gi]_{hg}             s_h = sum_{i in h} x_i^2
    d*  = 1'Hv / x'x                               t*  = d* / (sqrt(c sum_h ((Hv)_h - d* s_h)^2) / x'x)

where v are the draw's weights, M clears, and c is the small-sample factor, which cancels in comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import Ssc
from crosscheck.designs.absorb import Groups
from crosscheck.designs.panel import Fit, Panel, covariance, fit
from crosscheck.designs.placebo import cleared
from crosscheck.errors import DataError

Real = NDArray[np.float64]
Ties = Literal["count", "strict", "half"]

TIE = 1e-10
NO_T = 1e-9
"""A t below that is zero but for rounding."""
NO_SE = 1e-10
"""A standard error below this share of that of a regressor that explains nothing is rounding."""
BISECTIONS = 200
WIDTH = 1e-13
EXPANSIONS = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class Wild:
    """A regression made ready for any number of draws.

    ``outcome`` and ``regressor`` are H of y and of x, shape (G, G); ``squares`` is s, shape (G,).
    """

    found: Fit
    estimate: float
    std_error: float
    outcome: Real
    regressor: Real
    squares: Real
    factor: float
    df: float

    def sums(self, null: float, impose: bool) -> Real:
        """Return H for a null hypothesis, shape (G, G)."""
        return self.outcome - (null if impose else self.estimate) * self.regressor

    def t(self, null: float) -> float:
        """Return the t statistic of a null hypothesis."""
        return (self.estimate - null) / self.std_error

    def draws(self, weights: Real, null: float = 0.0, *, impose: bool = True) -> Real:
        """Return the bootstrap's t statistics, shape (draws,), for weights of shape (draws, G)."""
        sums = weights @ self.sums(null, impose).T
        total = float(self.squares.sum())
        gap = sums.sum(axis=1) / total
        left = sums - gap[:, None] * self.squares
        spread = np.sqrt(self.factor * np.einsum("ij,ij->i", left, left)) / total
        return np.asarray(gap / spread, dtype=np.float64)


def prepare(panel: Panel, treatment: str, ssc: Ssc) -> Wild:
    """Clear once and reduce to G x G sums.

    Parameters
    ----------
    panel : Panel
        With one cluster dimension and no weights.
    treatment : str
    ssc : Ssc

    Raises
    ------
    DataError
        For weights, or other than one cluster dimension; and where the standard error is zero.
    """
    if len(panel.clusters) != 1 or panel.weights is not None:
        raise DataError("the wild cluster bootstrap takes one cluster dimension and no weights")
    found = fit(panel)
    at = found.index(treatment)
    vcov = covariance(found, "CRV1", ssc)
    groups = Groups(next(iter(panel.clusters.values())))
    both = cleared(found, treatment, np.column_stack([panel.y, found.panel.x[:, at]]))
    y, x = both[:, 0], both[:, 1]
    about_mean = panel.y - panel.y.mean()  # what effects leave of an outcome may be rounding itself
    if not float(vcov.std_errors[at]) > NO_SE * float(np.sqrt((about_mean @ about_mean) / (x @ x))):
        raise DataError("the treatment's clustered standard error is zero but for rounding: there is no t to bootstrap")
    dummies = np.eye(groups.size)[groups.codes]
    parts = []
    for column in (y, x):
        moved = cleared(found, treatment, dummies * column[:, None])
        parts.append(groups.sums(x[:, None] * moved))
    return Wild(
        found=found,
        estimate=float(found.coef[at]),
        std_error=float(vcov.std_errors[at]),
        outcome=parts[0],
        regressor=parts[1],
        squares=groups.sums(x * x),
        factor=vcov.small.factor,
        df=vcov.small.df_t,
    )


def p_value(wild: Wild, weights: Real, null: float = 0.0, *, impose: bool = True, ties: Ties = "strict") -> float:
    """Return the share of draws whose ``|t|`` exceeds the sample's; within 1e-10, or both zero, counts as a tie."""
    own = abs(wild.t(null))
    drawn = np.abs(wild.draws(weights, null, impose=impose))
    beyond = drawn > own * (1 + TIE) + NO_T
    tied = ~beyond & (drawn >= own * (1 - TIE) - NO_T)
    return float((beyond.sum() + {"count": 1.0, "half": 0.5, "strict": 0.0}[ties] * tied.sum()) / drawn.size)


def interval(wild: Wild, weights: Real, level: float = 0.95, ties: Ties = "strict") -> tuple[float, float]:
    """Return the bounds between which a null hypothesis is not rejected at 1 - ``level``, null imposed.

    The p-value is a step function of the null; bisection stops at a step, to 1e-13 standard errors.

    Raises
    ------
    DataError
        Where no bound is found within 2^40 standard errors: the interval is unbounded.
    """
    alpha = 1 - level

    def bound(sign: float) -> float:
        inside, reach = 0.0, 2.0
        for _ in range(EXPANSIONS):
            if p_value(wild, weights, wild.estimate + sign * reach * wild.std_error, ties=ties) < alpha:
                break
            inside, reach = reach, 2 * reach
        else:
            raise DataError(
                "the bootstrap interval is unbounded: no null hypothesis is rejected", hint="use more draws"
            )
        outside = reach
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            if outside - inside <= WIDTH * outside:
                break
            if p_value(wild, weights, wild.estimate + sign * middle * wild.std_error, ties=ties) < alpha:
                outside = middle
            else:
                inside = middle
        return wild.estimate + sign * (inside + outside) / 2 * wild.std_error

    return bound(-1.0), bound(1.0)
