"""What are the least-squares coefficients, to the last digit that the data hold?

Everything is done in the longest floating type of the machine (``np.longdouble``: 64 bits of mantissa on x86, where
a result is good to about 18 digits less the logarithm of the condition number; elsewhere it may be plain double).
Fixed effects are swept out exactly (Frisch, Waugh and Lovell): the largest by subtracting group means, the others by
solving the normal equations of their dummies, refined with residuals in the long type until nothing moves. Regressors
are orthogonalised by classical Gram-Schmidt, twice ("twice is enough": Giraud, Langou and Rozloznik 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import Absorber, LongArray, long
from crosscheck.errors import DataError

Long: TypeAlias = np.longdouble

COLLINEAR = 1e-10


@dataclass(frozen=True, eq=False)
class Basis:
    """An orthonormal basis of weighted columns, the dependent ones left out.

    Attributes
    ----------
    q : ndarray, shape (n, r)
        Orthonormal columns spanning sqrt(w) X.
    r : ndarray, shape (r, r)
        Upper triangular: sqrt(w) X[:, kept] = q r.
    kept : tuple of int
        Columns kept; a column that the earlier ones span is dropped, as in fixest.
    """

    q: LongArray
    r: LongArray
    kept: tuple[int, ...]

    def coefficients(self, target: LongArray) -> LongArray:
        """Regress weighted columns (n,) or (n, m) on the basis' columns; shape (r,) or (r, m)."""
        return back_substitute(self.r, self.q.T @ target)

    def inverse(self) -> LongArray:
        """(X'WX)^-1, shape (r, r)."""
        half = back_substitute(self.r, np.eye(len(self.kept), dtype=np.longdouble))
        return half @ half.T


def back_substitute(r: LongArray, b: LongArray) -> LongArray:
    """Solve r x = b for upper triangular r in the long type."""
    x = b.astype(np.longdouble).copy()
    for i in range(r.shape[0] - 1, -1, -1):
        x[i] = (x[i] - r[i, i + 1 :] @ x[i + 1 :]) / r[i, i]
    return x


def orthogonalise(columns: LongArray, reference: LongArray, tolerance: float = COLLINEAR) -> Basis:
    """Orthogonalise weighted columns in their order, dropping those that earlier ones span.

    Parameters
    ----------
    columns : ndarray, shape (n, k)
        sqrt(w) X, fixed effects swept out.
    reference : ndarray, shape (k,)
        Length of each column before the sweep; a column is dropped where less than ``tolerance`` of it is left.
    """
    n, k = columns.shape
    q = np.zeros((n, k), dtype=np.longdouble, order="F")
    r = np.zeros((k, k), dtype=np.longdouble)
    kept: list[int] = []
    for j in range(k):
        v = columns[:, j].copy()
        rank = len(kept)
        basis = q[:, :rank]
        for _ in range(2):
            share = basis.T @ v
            v -= basis @ share
            r[:rank, rank] += share
        length = np.sqrt(v @ v)
        if rank >= n or not float(length) > tolerance * float(reference[j]):
            r[:rank, rank] = 0
            continue
        q[:, rank] = v / length
        r[rank, rank] = length
        kept.append(j)
    rank = len(kept)
    return Basis(q[:, :rank], r[:rank, :rank], tuple(kept))


def lengths(columns: LongArray, weights: LongArray) -> LongArray:
    """Return the weighted length of each column about its mean, or about zero for a constant, shape (k,)."""
    total = weights.sum()
    centred = columns - (weights @ columns) / total
    about_mean = np.sqrt(weights @ centred**2)
    about_zero = np.sqrt(weights @ columns**2)
    return np.asarray(np.where(about_mean > 1e-15 * about_zero, about_mean, about_zero))


@dataclass(frozen=True, eq=False)
class Fit:
    """Least squares, or two-stage least squares, after the fixed effects.

    Attributes
    ----------
    coef : ndarray, shape (k,)
    kept : tuple of int
        Columns of the regressors (exogenous, then endogenous) that ``coef`` belongs to.
    bread : ndarray, shape (k, k)
        (X'WX)^-1, with fitted values in place of endogenous regressors.
    scores : ndarray, shape (n, k)
        w x u.
    resid : ndarray, shape (n,)
    projected : ndarray, shape (n,)
        Residuals with fitted values in place of endogenous regressors; ``resid`` without instruments.
    y : ndarray, shape (n,)
        The outcome with the fixed effects swept out.
    leverage : ndarray, shape (n,)
        Of the regressors after the sweep (without the effects' own part).
    weights : ndarray, shape (n,)
    absorber : Absorber
    """

    coef: LongArray
    kept: tuple[int, ...]
    bread: LongArray
    scores: LongArray
    resid: LongArray
    projected: LongArray
    y: LongArray
    leverage: LongArray
    weights: LongArray
    absorber: Absorber

    @property
    def ssr(self) -> Long:
        """Weighted sum of squared residuals."""
        return np.longdouble(self.weights @ self.resid**2)


def least_squares(
    y: NDArray[Any],
    x: NDArray[Any],
    effects: Sequence[NDArray[Any]] = (),
    weights: NDArray[Any] | None = None,
    *,
    endogenous: NDArray[Any] | None = None,
    instruments: NDArray[Any] | None = None,
) -> Fit:
    """Fit y on x (and endogenous regressors, through instruments) with dummies for the effects.

    Parameters
    ----------
    y : ndarray, shape (n,)
    x : ndarray, shape (n, k)
        Exogenous regressors, the intercept among them where there is one.
    effects : sequence of codes, shape (n,)
    weights : ndarray, shape (n,), optional
    endogenous, instruments : ndarray, shape (n, p) and (n, q), optional

    Raises
    ------
    DataError
        Where there are no rows, a weight is not positive and finite, or instruments are too few.
    """
    n = y.size
    if n == 0:
        raise DataError("the estimation sample is empty")
    w = np.ones(n, dtype=np.longdouble) if weights is None else long(weights)
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise DataError("weights must be positive and finite")
    root = np.sqrt(w)
    absorber = Absorber(effects, w)
    k = x.shape[1]
    e = np.zeros((n, 0)) if endogenous is None else endogenous
    z = np.zeros((n, 0)) if instruments is None else instruments
    raw = np.column_stack([long(y), long(x), long(e), long(z)])
    swept = absorber.sweep(raw)
    scale = lengths(raw, w)
    yt, xt = swept[:, 0], swept[:, 1 : 1 + k + e.shape[1]]
    regressors = xt
    if e.shape[1]:
        # The first stage: endogenous columns are replaced by their projection on all instruments.
        columns = [*range(1, 1 + k), *range(1 + k + e.shape[1], raw.shape[1])]
        first = orthogonalise(swept[:, columns] * root[:, None], scale[columns])
        fitted = first.q @ (first.q.T @ (xt[:, k:] * root[:, None]))
        regressors = np.column_stack([xt[:, :k], fitted / root[:, None]])
    basis = orthogonalise(regressors * root[:, None], scale[1 : 1 + k + e.shape[1]])
    if e.shape[1] and any(k + j not in basis.kept for j in range(e.shape[1])):
        raise DataError("the instruments do not identify the endogenous regressors", hint="add instruments")
    kept = list(basis.kept)
    coef = basis.coefficients(yt * root)
    resid = yt - xt[:, kept] @ coef
    if not e.shape[1]:
        coef = coef + basis.coefficients(resid * root)
        resid = yt - xt[:, kept] @ coef
    return Fit(
        coef=coef,
        kept=basis.kept,
        bread=basis.inverse(),
        scores=regressors[:, kept] * (w * resid)[:, None],
        resid=resid,
        projected=yt - regressors[:, kept] @ coef if e.shape[1] else resid,
        y=yt,
        leverage=(basis.q**2).sum(axis=1),
        weights=w,
        absorber=absorber,
    )
