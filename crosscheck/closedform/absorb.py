"""How are fixed effects swept out of columns, exactly?

The largest effect by subtracting group means; the others by the normal equations of their dummies, refined with
residuals in the long type until nothing moves (Frisch, Waugh and Lovell).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

LongArray: TypeAlias = NDArray[Any]
Codes: TypeAlias = NDArray[np.int64]

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
        from scipy import sparse  # imported with this module, scipy would slow down runs that fit nothing

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
        from scipy import linalg

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
        # The effects span the constant: about their means columns far from zero keep the digits that they have.
        centred: LongArray = np.asarray(columns - (self.weights @ columns) / self.weights.sum())
        left = centred - self.first.means(centred, self.weights)[self.first.codes]
        if not self.others:
            return left - self.first.means(left, self.weights)[self.first.codes]
        from scipy import linalg

        factor = self._solver()
        # What is left of a column that the effects span is rounding: a step below the column's own is no step.
        sizes = [np.sqrt((self.weights[:, None] * v**2).sum(axis=0)) for v in (left, centred)]
        floor = np.maximum(sizes[0], sizes[1] / 64) * np.finfo(np.longdouble).eps
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
