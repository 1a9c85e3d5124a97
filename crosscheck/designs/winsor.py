"""What is left of a variable when its tails are pulled in?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.designs.quantiles import quantiles
from crosscheck.errors import DataError

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Winsorized:
    """A variable with its tails pulled in or cut off.

    Attributes
    ----------
    values : ndarray, shape (n,)
        NaN where a value was missing or was trimmed.
    low, high : float
        The bounds.
    n_low, n_high : int
        Values below and above them.
    """

    values: Real
    low: float
    high: float
    n_low: int
    n_high: int


def winsorize(
    x: Real, lower: float = 0.01, upper: float = 0.99, method: str = "r7", action: Literal["clip", "trim"] = "clip"
) -> Winsorized:
    """Replace values beyond two quantiles by them, or make them missing.

    Quantile definitions differ (:mod:`crosscheck.designs.quantiles`), and with them the numbers of every regression on
    winsorized data. Missing values stay missing and do not count.

    Parameters
    ----------
    x : ndarray, shape (n,)
    lower, upper : float
        Probabilities of the two bounds.
    method : str
    action : str
        ``clip`` or ``trim``.

    Raises
    ------
    DataError
        Where the bounds cross or there are no values.
    """
    if not lower < upper:
        raise DataError(f"the lower bound {lower} is not below the upper bound {upper}")
    low, high = (float(q) for q in quantiles(x, (lower, upper), method))
    below, above = x < low, x > high
    out = np.where(below, low, np.where(above, high, x)) if action == "clip" else np.where(below | above, np.nan, x)
    return Winsorized(values=out, low=low, high=high, n_low=int(below.sum()), n_high=int(above.sum()))
