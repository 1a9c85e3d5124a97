"""Does an answer solve the equations of its model, whatever the iterations that led there say of themselves?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SOLVED = 1e-7
"""Of the residuals' length, along any direction of the regressors: a step would move no estimate by more of its
standard error than that times the root of N."""
SPAN, EXACT = 1e-10, 1e-9
"""Residuals below that share of the outcome are rounding, whatever their direction."""


def unsolved(x: Floats, y: Floats, mu: Floats, weights: Floats | None = None) -> float:
    """Return how long the score X'w(y - mu) is beside the weighted residuals, in an orthonormal basis of the columns.

    Zero where every observation is fitted. In this basis neither a mean far from zero nor units hide a direction in
    which the likelihood still rises.

    Parameters
    ----------
    x : ndarray, shape (n, k)
    y, mu : ndarray, shape (n,)
        Outcome and fitted mean.
    weights : ndarray, shape (n,), or None
        With a link that is not canonical times (dmu/deta) / V(mu).
    """
    size = np.abs(x).max(axis=0, initial=0.0)
    u, s, _ = np.linalg.svd(x[:, size > 0] / size[size > 0], full_matrices=False)
    u = u[:, s > SPAN * s.max(initial=0.0)]
    rest = (y - mu) if weights is None else weights * (y - mu)
    length, whole = float(np.linalg.norm(rest)), float(np.linalg.norm(y if weights is None else weights * y))
    return float(np.linalg.norm(u.T @ rest)) / length if length > EXACT * whole else 0.0
