"""Which covariance do leverages give beyond HC3 and CRV3, and which degrees of freedom go with it?

HC4 (Cribari-Neto 2004), HC4m (Cribari-Neto and da Silva 2011) and HC5 (Cribari-Neto, Souza and Vasconcellos 2007) as
sandwich has them; CRV2, the bias-reduced linearization of Bell and McCaffrey (2002) and its Satterthwaite degrees of
freedom, as clubSandwich and Imbens and Kolesar (2016) have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import Groups
from crosscheck.closedform.covariance import SATURATED
from crosscheck.closedform.linear import Fit

Floats = NDArray[np.float64]
MAX_DUMMIES = 1200
MAX_CELLS = 6e6
MAX_CLUSTER = 800
NEGLIGIBLE = 1e-10


def leverages(fit: Fit) -> Floats:
    """Return the diagonal of the hat matrix, fixed effects included, shape (n,)."""
    return np.asarray(fit.leverage + fit.absorber.leverage(), dtype=np.float64)


def hetero_variants(fit: Fit) -> dict[str, Floats]:
    """Return HC4, HC4m and HC5 before any factor, shape (k, k) each; empty where a leverage is one."""
    h = leverages(fit)
    if float(1 - h.max(initial=0.0)) < SATURATED:
        return {}
    ratio = h * h.size / h.sum()
    powers = {
        "HC4": np.minimum(4, ratio),
        "HC4m": np.minimum(1, ratio) + np.minimum(1.5, ratio),
        "HC5": np.minimum(ratio, max(4, 0.7 * float(ratio.max()))) / 2,
    }
    found = {}
    for name, power in powers.items():
        scores = fit.scores / np.sqrt((1 - h) ** power)[:, None]
        half = scores @ fit.bread
        found[name] = np.asarray(half.T @ half, dtype=np.float64)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BiasReduced:
    """CRV2: the covariance, shape (k, k), and the Satterthwaite degrees of freedom of each coefficient, shape (k,)."""

    matrix: Floats
    df: Floats


def bias_reduced(
    fit: Fit, cluster: NDArray[np.integer], effects: Sequence[NDArray[np.integer]], x: Floats
) -> BiasReduced | None:
    """Return CRV2 of an unweighted fit with one cluster dimension under a working model of homoskedastic errors.

    ``None`` where the fit is weighted, or the dummies and clusters are too many for dense algebra.

    Parameters
    ----------
    fit : Fit
    cluster : codes, shape (n,)
    effects : sequence of codes, shape (n,)
    x : ndarray, shape (n, k)
        The regressors kept, before any sweep.
    """
    groups = Groups.of(cluster)
    n, k = x.shape
    levels = sum(Groups.of(e).size for e in effects)
    largest = int(np.bincount(groups.codes).max(initial=0))
    too_large = levels > MAX_DUMMIES or largest > MAX_CLUSTER or n * max(levels + k, k * groups.size) > MAX_CELLS
    if too_large or not np.all(fit.weights == 1):
        return None
    dummies = [np.eye(g.size)[g.codes] for g in (Groups.of(e) for e in effects)]
    basis = _basis(np.column_stack([*dummies, x]) if dummies else x)
    swept = np.asarray(fit.absorber.sweep(np.asarray(x, dtype=np.longdouble)), dtype=np.float64)
    bread = np.asarray(fit.bread, dtype=np.float64)
    resid = np.asarray(fit.resid, dtype=np.float64)
    halves = np.zeros((groups.size, k))
    columns = np.zeros((groups.size, k, n))
    for g in range(groups.size):
        rows = np.flatnonzero(groups.codes == g)
        q = basis[rows]
        adjusted = _inverse_root(np.eye(rows.size) - q @ q.T) @ swept[rows] @ bread
        halves[g] = adjusted.T @ resid[rows]
        columns[g] = -(adjusted.T @ q) @ basis.T
        columns[g][:, rows] += adjusted.T
    df = np.empty(k)
    for j in range(k):
        gram = columns[:, j] @ columns[:, j].T
        spread = float(np.sum(gram**2))
        # a term whose every cluster is fitted exactly has no variance and no degrees of freedom
        df[j] = float(np.trace(gram)) ** 2 / spread if spread > 0 else np.nan
    return BiasReduced(matrix=halves.T @ halves, df=df)


def _basis(columns: Floats) -> Floats:
    """Return an orthonormal basis of the columns' span."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > values[0] * 1e-10])


def _inverse_root(matrix: Floats) -> Floats:
    """Return the symmetric inverse square root on the span where the matrix is not singular."""
    values, vectors = np.linalg.eigh(matrix)
    keep = values > NEGLIGIBLE
    return np.asarray((vectors[:, keep] / np.sqrt(values[keep])) @ vectors[:, keep].T)
