"""How well does a linear model fit, in fixest's flavours of R2?

fixest (manual page ``r2``): R2 = 1 - SSR / SST with SST about the weighted mean; adjusted: with (N - 1) / (N - K), K
counting every parameter; within: SSR against the model with the fixed effects alone. With instruments SSR is that of
the second stage, with fitted values in place of the endogenous regressors (Stata's ``ivregress`` and pyfixest take the
residuals of the equation itself). Weighted sums throughout; fixest 0.14.2 leaves the weights out of the second
stage's SSR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import long
from crosscheck.closedform.linear import Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodness:
    """The three R2 of a fit; ``None`` where one does not exist."""

    r2: float | None
    adj_r2: float | None
    r2_within: float | None


def goodness(fit: Fit, y: NDArray[np.float64], n: float, parameters: int, *, intercept: bool, n_coef: int) -> Goodness:
    """Return R2, adjusted R2 and within R2.

    Parameters
    ----------
    fit : Fit
    y : ndarray, shape (n,)
        The outcome before any sweep.
    n : float
        Observations counted.
    parameters : int
        All parameters, fixed effects included.
    intercept : bool
        Whether the model holds a constant, explicitly or absorbed.
    n_coef : int
    """
    w = fit.weights
    raw = long(y)
    total = np.longdouble(w @ (raw - (w @ raw) / w.sum()) ** 2)
    absorbed = bool(fit.absorber.sizes)
    if total == 0 or n <= 1 or (n_coef == 1 and intercept and not absorbed):
        return Goodness(r2=None, adj_r2=None, r2_within=None)
    constant = 1 if intercept else 0
    ssr = np.longdouble(w @ fit.projected**2)
    ratio = float(ssr / total)
    # Without a constant fixest's R2 keeps SST about the mean and N / (N - 1).
    r2 = 1 - ratio * (n - constant) / (n - 1)
    adjusted = 1 - ratio * (n - constant) / (n - parameters) if n > parameters else None
    within = None
    if absorbed:
        own = float(w @ fit.y**2)
        within = 1 - float(ssr) / own if own > 0 else None
    return Goodness(r2=r2, adj_r2=adjusted, r2_within=within)
