"""What do the variables of a sample look like: N, mean, standard deviation, range, quantiles?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.designs.quantiles import quantiles as quantiles_of
from crosscheck.errors import DataError

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One line of a table of descriptive statistics; ``quantiles`` in the order they were asked for."""

    nobs: int
    mean: float
    std_dev: float
    min: float
    max: float
    quantiles: tuple[float, ...] = ()


def describe(x: Real, *, ddof: int = 1, probabilities: Sequence[float] = (), method: str = "r7") -> Description:
    """Describe the values that are not NaN.

    The sum is exact (``math.fsum``) and the standard deviation taken about the rounded mean in a second pass, with
    divisor N - ``ddof``; with one value and ``ddof`` of 1 it is NaN.

    Raises
    ------
    DataError
        Where there are no values or one is infinite.
    """
    values = np.asarray(x, dtype=np.float64)[~np.isnan(x)]
    n = values.size
    if n == 0 or np.isinf(values).any():
        raise DataError("a variable has no values" if n == 0 else "a variable has an infinite value")
    mean = math.fsum(values) / n
    squares = math.fsum((values - mean) ** 2)
    return Description(
        nobs=n,
        mean=mean,
        std_dev=math.sqrt(squares / (n - ddof)) if n > ddof else math.nan,
        min=float(values.min()),
        max=float(values.max()),
        quantiles=tuple(float(q) for q in quantiles_of(values, probabilities, method)) if probabilities else (),
    )
