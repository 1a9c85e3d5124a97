"""Which number is the p-th quantile? Nine definitions, and what NumPy and Stata call them.

The definitions are those of Hyndman and Fan (1996), numbered as in R's ``quantile(type = 1..9)``, with R's protection
against products n p that miss a whole number by rounding (4 machine epsilons). Stata's ``_pctile``, which ``winsor2``
uses, is type 2, its ``altdef`` type 6. ``lower``, ``higher``, ``midpoint`` and ``nearest`` are NumPy's variants of
type 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

Real = NDArray[np.float64]

FUZZ = 4 * np.finfo(np.float64).eps
NUMPY_TYPES = {
    "inverted_cdf": 1,
    "averaged_inverted_cdf": 2,
    "closest_observation": 3,
    "interpolated_inverted_cdf": 4,
    "hazen": 5,
    "weibull": 6,
    "linear": 7,
    "median_unbiased": 8,
    "normal_unbiased": 9,
}
ALIASES = {**NUMPY_TYPES, **{f"r{i}": i for i in range(1, 10)}, "stata": 2, "stata_altdef": 6}
AROUND: dict[str, Callable[[Real], Real]] = {
    "lower": np.floor,
    "higher": np.ceil,
    "nearest": np.round,
}
# Plotting positions a, b of types 4 to 9: the j-th order statistic is the quantile at (j - a) / (n + 1 - a - b).
POSITIONS = {4: (0.0, 1.0), 5: (0.5, 0.5), 6: (0.0, 0.0), 7: (1.0, 1.0), 8: (1 / 3, 1 / 3), 9: (3 / 8, 3 / 8)}


def quantiles(x: Real, probabilities: Sequence[float], method: str = "r7") -> Real:
    """Return quantiles of the values that are not NaN, shape (len(probabilities),).

    Parameters
    ----------
    x : ndarray, shape (n,)
    probabilities : sequence of float
        Between 0 and 1.
    method : str
        ``r1`` ... ``r9``, a NumPy method, ``stata`` or ``stata_altdef``.

    Raises
    ------
    DataError
        For no values, an unknown method, or a probability outside [0, 1].
    """
    values = np.sort(np.asarray(x, dtype=np.float64)[~np.isnan(x)])
    p = np.asarray(probabilities, dtype=np.float64)
    if values.size == 0:
        raise DataError("there are no values to take a quantile of")
    if np.any(~((p >= 0) & (p <= 1))):
        raise DataError("a quantile's probability is outside [0, 1]")
    if method in AROUND:
        return values[AROUND[method]((values.size - 1) * p).astype(np.int64)]
    if method == "midpoint":
        at = (values.size - 1) * p
        return (values[np.floor(at).astype(np.int64)] + values[np.ceil(at).astype(np.int64)]) / 2
    if method not in ALIASES:
        known = ", ".join([*ALIASES, *AROUND, "midpoint"])
        raise DataError(f"there is no quantile definition {method!r}", allowed=known)
    kind = ALIASES[method]
    if kind == 7:
        at = (values.size - 1) * p
        j = np.floor(at)
        return _between(values, j + 1, at - j)
    return _steps(values, p, kind) if kind <= 3 else _lines(values, p, *POSITIONS[kind])


def _steps(values: Real, p: Real, kind: int) -> Real:
    place = values.size * p - (0.5 if kind == 3 else 0.0)
    j = np.floor(place + FUZZ)
    beyond = place > j
    if kind == 1:
        share = beyond.astype(np.float64)
    elif kind == 2:
        share = (beyond + 1.0) / 2
    else:
        share = ((place != j) | (j % 2 == 1)).astype(np.float64)
    return _between(values, j, share)


def _lines(values: Real, p: Real, a: float, b: float) -> Real:
    place = a + p * (values.size + 1 - a - b)
    j = np.floor(place + FUZZ)
    share = place - j
    return _between(values, j, np.where(np.abs(share) < FUZZ, 0.0, share))


def _between(values: Real, j: Real, share: Real) -> Real:
    """Return (1 - share) x_(j) + share x_(j+1) of order statistics counted from 1, ends repeated."""
    index = j.astype(np.int64)
    low = values[np.clip(index - 1, 0, values.size - 1)]
    high = values[np.clip(index, 0, values.size - 1)]
    mixed = (1 - share) * low + share * high
    return np.where((share == 0) | (low == high), low, np.where(share == 1, high, mixed))
