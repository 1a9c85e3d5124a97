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
from scipy import linalg, sparse

from crosscheck.errors import DataError

Long: TypeAlias = np.longdouble
LongArray: TypeAlias = NDArray[Any]
Codes: TypeAlias = NDArray[np.int64]

COLLINEAR = 1e-10
RIDGE = 1e-11
MAX_SWEEPS = 200
MAX_DUMMIES = 6000


def long(values: Any) -> LongArray:
    """Return a copy in the long type."""
    return np.array(values, dtype=np.longdouble)


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows by level of one category, ready for sums in the long type.

    Attributes
    ----------
    codes : ndarray of int64, shape (n,)
        Levels from 0, all of which occur.
    size : int
        Number of levels.
    order, starts : ndarray
        Rows sorted by level, and where each level begins.
    """

    codes: Codes
    size: int
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, codes: NDArray[Any]) -> Groups:
        """Make groups from any integer codes; unused levels are squeezed out."""
        _, squeezed = np.unique(codes, return_inverse=True)
        squeezed = squeezed.reshape(-1).astype(np.int64)
        order = np.argsort(squeezed, kind="stable")
        size = int(squeezed.max()) + 1 if squeezed.size else 0
        starts = np.searchsorted(squeezed[order], np.arange(size))
        return cls(squeezed, size, order, starts)

    def sums(self, values: LongArray) -> LongArray:
        """Sum rows by level: shape (n,) to (size,), or (n, k) to (size, k)."""
        return np.add.reduceat(values[self.order], self.starts, axis=0)

    def means(self, values: LongArray, weights: LongArray) -> LongArray:
        """Weighted means by level; ``weights`` of shape (n,)."""
        w = weights if values.ndim == 1 else weights[:, None]
        total = self.sums(weights)
        return self.sums(values * w) / (total if values.ndim == 1 else total[:, None])


def intersect(first: NDArray[Any], second: NDArray[Any]) -> Codes:
    """Return codes of the combinations of two categories that occur, shape (n,)."""
    a, b = Groups.of(first), Groups.of(second)
    return Groups.of(a.codes * max(b.size, 1) + b.codes).codes


class Absorber:
    """Sweeps fixed effects out of columns, exactly.

    Parameters
    ----------
    effects : sequence of codes, each of shape (n,)
    weights : ndarray, shape (n,)
        Positive.

    Raises
    ------
    DataError
        Where the effects after the largest have more than :data:`MAX_DUMMIES` levels together.
    """

    def __init__(self, effects: Sequence[NDArray[Any]], weights: LongArray) -> None:
        groups = sorted((Groups.of(e) for e in effects), key=lambda g: -g.size)
        self.sizes = tuple(Groups.of(e).size for e in effects)
        self.weights = weights
        self.first = groups[0] if groups else None
        self.others = groups[1:]
        self._offsets = np.cumsum([0, *(g.size for g in self.others)])
        if int(self._offsets[-1]) > MAX_DUMMIES:
            raise DataError(
                f"fixed effects with {int(self._offsets[-1])} levels beside the largest are too many for the oracle",
                allowed=f"{MAX_DUMMIES} levels",
                hint="leave the oracle out of this column's candidates",
            )
        self._factor: Any = None
        self._scale: NDArray[np.float64] = np.ones(1)

    def _gram(self) -> NDArray[np.float64]:
        """Gram matrix of the other effects' dummies, the first effect swept out: shape (m, m)."""
        assert self.first is not None
        n, m = self.weights.size, int(self._offsets[-1])
        w = self.weights.astype(np.float64)
        rows = np.tile(np.arange(n), len(self.others))
        columns = np.concatenate([g.codes + o for g, o in zip(self.others, self._offsets[:-1], strict=True)])
        dummies = sparse.csr_matrix((np.ones(rows.size), (rows, columns)), shape=(n, m))
        own = sparse.csr_matrix((np.ones(n), (np.arange(n), self.first.codes)), shape=(n, self.first.size))
        weighted = dummies.multiply(w[:, None]).tocsr()
        cross = own.T @ weighted
        total = np.asarray(self.first.sums(self.weights), dtype=np.float64)
        gram = (dummies.T @ weighted).toarray() - (cross.T @ sparse.diags(1 / total) @ cross).toarray()
        return np.asarray(gram, dtype=np.float64)

    def _solver(self) -> Any:
        if self._factor is None:
            gram = self._gram()
            weight = np.concatenate([np.asarray(g.sums(self.weights), dtype=np.float64) for g in self.others])
            self._scale = 1 / np.sqrt(weight)
            scaled = gram * self._scale[:, None] * self._scale[None, :]
            # A ridge makes the singular system solvable; the refinement removes its effect.
            scaled[np.diag_indices_from(scaled)] += RIDGE
            self._factor = linalg.cho_factor(scaled, lower=True, overwrite_a=True, check_finite=False)
        return self._factor

    def sweep(self, columns: LongArray) -> LongArray:
        """Return residuals of columns (n, k) on the dummies of all effects, in the long type.

        Raises
        ------
        DataError
            Where the refinement does not settle.
        """
        if self.first is None:
            return columns.copy()
        left = columns - self.first.means(columns, self.weights)[self.first.codes]
        if not self.others:
            return left - self.first.means(left, self.weights)[self.first.codes]
        factor = self._solver()
        floor = np.sqrt((self.weights[:, None] * left**2).sum(axis=0)) * np.finfo(np.longdouble).eps
        last = np.inf
        for _ in range(MAX_SWEEPS):
            gradient = np.concatenate([g.sums(left * self.weights[:, None]) for g in self.others])
            scaled = np.asarray(gradient * self._scale[:, None], dtype=np.float64)
            step = linalg.cho_solve(factor, scaled, check_finite=False) * self._scale[:, None]
            change = sum(
                step[o : o + g.size][g.codes] for g, o in zip(self.others, self._offsets[:-1], strict=True)
            ).astype(np.longdouble)
            change -= self.first.means(change, self.weights)[self.first.codes]
            left -= change
            size = np.sqrt((self.weights[:, None] * change**2).sum(axis=0))
            worst = float(np.max(size / np.where(floor > 0, floor, 1), initial=0.0))
            if worst <= 64 or (worst >= last / 2 and worst < 1e6):
                return left - self.first.means(left, self.weights)[self.first.codes]
            last = worst
        raise DataError("the fixed effects cannot be swept out: the system of their dummies is too ill-conditioned")

    def leverage(self) -> NDArray[np.float64]:
        """Return the diagonal of the projection on the dummies of all effects, shape (n,)."""
        if self.first is None:
            return np.zeros(self.weights.size)
        w = self.weights.astype(np.float64)
        total = np.asarray(self.first.sums(self.weights), dtype=np.float64)
        own = w / total[self.first.codes]
        if not self.others:
            return np.asarray(own)
        values, vectors = np.linalg.eigh(self._gram())
        keep = values > values[-1] * 1e-11
        root = vectors[:, keep] / np.sqrt(values[keep])
        n, m = w.size, int(self._offsets[-1])
        out = np.empty(n)
        cross = np.zeros((self.first.size, m))
        for g, o in zip(self.others, self._offsets[:-1], strict=True):
            np.add.at(cross, (self.first.codes, g.codes + o), w)
        centre = (cross / total[:, None]) @ root
        for start in range(0, n, 4096):
            rows = slice(start, start + 4096)
            part = -centre[self.first.codes[rows]]
            for g, o in zip(self.others, self._offsets[:-1], strict=True):
                part += root[g.codes[rows] + o]
            out[rows] = w[rows] * (part**2).sum(axis=1)
        return np.asarray(own + out)


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
