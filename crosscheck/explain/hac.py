"""Which lag and which kernel gave a Newey-West or Driscoll-Kraay covariance?

The autocovariances of the scores are summed once, lag by lag; every kernel and bandwidth then costs one weighted sum.
Kernels and bandwidths are those of Andrews (1991), as statsmodels, linearmodels and sandwich have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import Groups, LongArray
from crosscheck.closedform.covariance import Grouping
from crosscheck.closedform.linear import Fit
from crosscheck.conventions import bartlett, default_lag

MAX_LAG = 30
MAX_TABLE = 2e7


def parzen(lag: int, steps: int) -> NDArray[np.float64]:
    """Return Parzen's weights of lags 0..``steps`` - 1 for a bandwidth: zero beyond it."""
    z = np.arange(steps) / (lag + 1)
    return np.asarray(
        np.where(z <= 0.5, 1 - 6 * z**2 * (1 - z), np.where(z <= 1, 2 * (1 - np.minimum(z, 1)) ** 3, 0.0))
    )


def quadratic_spectral(lag: int, steps: int) -> NDArray[np.float64]:
    """Return the quadratic spectral weights of lags 0..``steps`` - 1: never exactly zero."""
    if lag == 0:
        return np.asarray(np.eye(1, steps)[0])
    z = np.arange(1, steps) / lag
    a = 6 * np.pi * z / 5
    return np.concatenate([[1.0], 3 / a**2 * (np.sin(a) / a - np.cos(a))])


def truncated(lag: int, steps: int) -> NDArray[np.float64]:
    """Return one for lags up to ``lag``, zero beyond."""
    return np.asarray(np.arange(steps) <= lag, dtype=np.float64)


def _bartlett(lag: int, steps: int) -> NDArray[np.float64]:
    out = np.zeros(steps)
    known = bartlett(lag)[:steps]
    out[: known.size] = known
    return out


KERNELS: Mapping[str, Callable[[int, int], NDArray[np.float64]]] = {
    "Bartlett": _bartlett,
    "Parzen": parzen,
    "quadratic spectral": quadratic_spectral,
    "uniform": truncated,
}


def lag_rules(periods: int) -> Mapping[int, str]:
    """Return the lags that packages take where none is given, with who takes them."""
    found: dict[int, str] = {}
    for lag, text in (
        (default_lag(periods), "floor(T^(1/4)), the default of fixest and plm"),
        (math.floor(4 * (periods / 100) ** (2 / 9)), "floor(4 (T / 100)^(2/9)), the default of linearmodels and xtscc"),
        (math.floor(0.75 * periods ** (1 / 3)), "floor(0.75 T^(1/3)), the rule of Stock and Watson"),
    ):
        found.setdefault(lag, text)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Autocovariances:
    """Bread and the sums of score products by lag, shape (lags, k, k); the first is that of lag 0."""

    bread: LongArray
    products: LongArray

    def covariance(self, kernel: str, lag: int) -> NDArray[np.float64]:
        """Return bread (S_0 + sum_l w_l (S_l + S_l')) bread, shape (k, k), before any factor."""
        steps = self.products.shape[0]
        weights = KERNELS[kernel](lag, steps).astype(np.longdouble)
        both = self.products + self.products.transpose(0, 2, 1)
        both[0] = self.products[0]
        meat = np.tensordot(weights, both, axes=1)
        return np.asarray(self.bread @ meat @ self.bread, dtype=np.float64)


def autocovariances(fit: Fit, vcov: str, grouping: Grouping) -> Autocovariances | None:
    """Sum the products of scores at every lag (NW: within units; DK: of the periods' sums).

    ``None`` where a unit has two rows in a period, or the table of scores would be too large.
    """
    assert grouping.time is not None
    time = Groups.of(grouping.time)
    k = fit.scores.shape[1]
    if vcov == "DK":
        table = np.asarray(time.sums(fit.scores))[:, None, :]
    else:
        unit = Groups.of(np.zeros_like(time.codes) if grouping.unit is None else grouping.unit)
        if time.size * unit.size * k > MAX_TABLE:
            return None
        if np.unique(time.codes * unit.size + unit.codes).size < time.codes.size:
            return None
        table = np.zeros((time.size, unit.size, k), dtype=np.longdouble)
        table[time.codes, unit.codes] = fit.scores
    products = np.stack(
        [
            table[step:].reshape(-1, k).T @ table[: time.size - step].reshape(-1, k)
            for step in range(time.size if vcov == "DK" else min(time.size, MAX_LAG + 1))
        ]
    )
    return Autocovariances(bread=fit.bread, products=products)
