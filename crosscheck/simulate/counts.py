"""Which whole numbers near given ones have a printed mean and standard deviation?"""

from __future__ import annotations

import numpy as np

from crosscheck.errors import DataError
from crosscheck.simulate.targets import Array, Moments

TRIES = 200_000


def whole_numbers(x: Array, moments: Moments, rng: np.random.Generator) -> Array:
    """Round a variable to whole numbers that keep its printed mean, standard deviation, minimum and maximum.

    The values with the largest fractions on the wrong side are rounded the other way until the sum is right; then
    pairs are moved by one in opposite directions, which keeps the sum, until the sum of squares is right.

    Raises
    ------
    DataError
        Where no sum of whole numbers has the printed mean, or the pairs do not reach the printed deviation.
    """
    n = x.size
    low, high = np.ceil(moments.mean.low * n - 1e-9), np.floor(moments.mean.high * n + 1e-9)
    if low > high:
        raise DataError(
            "no sum of whole numbers has the printed mean", allowed=f"{moments.mean.low} to {moments.mean.high}"
        )
    total = float(np.clip(np.round(x.sum()), low, high))
    out = np.round(x)
    inner = (out > moments.low + 1) & (out < moments.high - 1)
    gap = int(total - out.sum())
    order = np.argsort(np.where(inner, np.sign(gap) * (out - x), np.inf), kind="stable")
    out[order[: abs(gap)]] += np.sign(gap)

    def squares(deviation: float) -> float:
        return (n - 1) * deviation**2 + total**2 / n

    wanted = (squares(moments.std_dev.low), squares(moments.std_dev.high))
    middle, current = sum(wanted) / 2, float((out**2).sum())
    room = np.flatnonzero(inner)
    for _ in range(TRIES):
        if abs(current - middle) < (wanted[1] - wanted[0]) / 4:
            return out
        i, j = rng.choice(room, 2, replace=False)
        change = 2 * (out[i] - out[j]) + 2
        if abs(current + change - middle) < abs(current - middle):
            out[i] += 1
            out[j] -= 1
            current += change
    raise DataError("no whole numbers near the given ones have the printed standard deviation")
