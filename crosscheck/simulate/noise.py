"""What do the errors of a panel look like?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosscheck.simulate.panel_spec import Errors

Grid = NDArray[np.float64]
PERSISTENCE = 0.7


def errors(kind: Errors, rng: np.random.Generator, units: int, periods: int) -> Grid:
    """Draw errors, shape (units, periods), of mean zero.

    Parameters
    ----------
    kind : str
        ``serial`` is stationary: its first error has the variance 1 / (1 - rho^2) of all others. ``cross_section`` has
        the variance 1 + loading^2 with loadings from 0.5 to 1.5. ``hetero`` has standard deviations
        0.25 + 2 ((3 i + 5 t) mod 8) / 7, which neither unit nor period effects describe.
    """
    if kind == "none":
        return np.zeros((units, periods))
    shocks = rng.standard_normal((units, periods))
    if kind == "hetero":
        return shocks * spread(units, periods)
    if kind == "serial":
        shocks[:, 0] /= np.sqrt(1 - PERSISTENCE**2)
        for t in range(1, periods):
            shocks[:, t] += PERSISTENCE * shocks[:, t - 1]
        return shocks
    if kind == "unit_root":
        return np.asarray(np.cumsum(shocks, axis=1))
    if kind == "cross_section":
        return shocks + rng.uniform(0.5, 1.5, (units, 1)) * rng.standard_normal((1, periods))
    return shocks


def spread(units: int, periods: int) -> Grid:
    """Return the standard deviations of heteroskedastic errors, shape (units, periods)."""
    i, t = np.ogrid[:units, :periods]
    return np.asarray(0.25 + 2 * ((3 * i + 5 * t) % 8) / 7)
