"""Do treated and untreated rows look alike, before matching and after?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One covariate in one sample.

    ``std_diff`` is the difference of means over the standard deviation of the treated, or over the root of the mean of
    both variances (Rosenbaum and Rubin 1985), always of the sample before matching. ``var_ratio`` is the treated's
    variance over the controls'.
    """

    mean_treated: float
    mean_control: float
    std_diff: float
    var_ratio: float


def weighted_variance(x: Real, w: Real) -> float:
    """Return sum w (x - m)^2 / (1 - sum w^2) for weights that sum to one: N - 1 where weights are equal."""
    share = w / w.sum()
    centred = x - share @ x
    left = 1 - float((share**2).sum())
    return float(share @ centred**2) / left if left > 0 else math.nan


def balance(x: Real, treated: Mask, weight: Real | None, standardize: Literal["treated", "pooled"]) -> Balance:
    """Compare a covariate between groups.

    Parameters
    ----------
    x : ndarray, shape (n,)
    treated : ndarray of bool, shape (n,)
    weight : ndarray, shape (n,), optional
        Of the matched sample; None for the sample before.
    standardize : str
    """
    centre = float(x.mean())
    x = x - centre  # a mean far from zero costs the differences their digits
    before = [float(x[side].var(ddof=1)) for side in (treated, ~treated)]
    scale = math.sqrt(before[0] if standardize == "treated" else (before[0] + before[1]) / 2)
    w = np.ones(x.size) if weight is None else weight
    means, variances = [], []
    for side in (treated, ~treated):
        kept = side & (w > 0)
        means.append(float(w[kept] @ x[kept] / w[kept].sum()) if kept.any() else math.nan)
        variances.append(weighted_variance(x[kept], w[kept]) if kept.any() else math.nan)
    return Balance(
        mean_treated=means[0] + centre,
        mean_control=means[1] + centre,
        std_diff=(means[0] - means[1]) / scale if scale > 0 else math.nan,
        var_ratio=variances[0] / variances[1] if variances[1] > 0 else math.nan,
    )
