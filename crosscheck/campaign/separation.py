"""Does a model of counts or of a binary outcome have a maximum at all?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DIRECTION = 1e-5
"""A direction counts from this sum of its products with rows on, where columns and directions are at most one; the
linear programme holds its inequalities to 1e-7."""
SPAN = 1e-10


def separates(x: Floats, up: NDArray[np.bool_], *, counts: bool = False) -> bool:
    """Say whether some direction of the coefficients fits observations ever better without end.

    For counts: x'g = 0 where y > 0 and x'g <= 0 elsewhere; for a binary outcome x'g >= 0 where y = 1 and x'g <= 0 where
    y = 0; not 0 everywhere (Correia, Guimaraes and Zylkin 2020; Albert and Anderson 1984).

    Parameters
    ----------
    x : ndarray, shape (n, k)
        Regressors, the constant and dummies of effects included.
    up : ndarray of bool, shape (n,)
        Where the outcome is above zero.
    counts : bool
        A Poisson model; otherwise logit or probit.
    """
    from scipy.optimize import linprog

    x = _basis(x)
    fixed, signed = (x[up], -x[~up]) if counts else (x[:0], np.where(up[:, None], x, -x))
    if not signed.size:
        return False
    found = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(signed.shape[0]),
        A_eq=fixed if fixed.size else None,
        b_eq=np.zeros(fixed.shape[0]) if fixed.size else None,
        bounds=(-1, 1),
        method="highs",
    )
    return bool(found.status == 0 and -found.fun > DIRECTION)


def _basis(x: Floats) -> Floats:
    """Return columns of the same span without small angles between them, each at most one."""
    size = np.abs(x).max(axis=0, initial=0.0)
    x = x[:, size > 0] / size[size > 0]
    if not x.size:
        return x
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    u = u[:, s > SPAN * s[0]]
    return np.asarray(u / np.abs(u).max(axis=0))
