"""What is left of a column when fixed effects are swept out, in a few microseconds a column?

Frisch, Waugh and Lovell: the largest effect by weighted group means, the dummies of the others by an orthonormal basis
that is computed once. Exact for unbalanced panels as well, no iteration; columns may come in any number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

Real = NDArray[np.float64]
Codes = NDArray[np.int64]

MAX_CELLS = 40_000_000
RANK_TOLERANCE = 1e-10


def squeezed(codes: NDArray[np.integer]) -> Codes:
    """Return codes from 0 without gaps, shape (n,)."""
    return np.asarray(np.unique(codes, return_inverse=True)[1].reshape(-1), dtype=np.int64)


class Groups:
    """Sums over the levels of one category.

    Parameters
    ----------
    codes : ndarray of integers, shape (n,)
    """

    def __init__(self, codes: NDArray[np.integer]) -> None:
        self.codes = squeezed(codes)
        self.size = int(self.codes.max()) + 1 if self.codes.size else 0
        sorted_already = bool(np.all(self.codes[1:] >= self.codes[:-1]))
        self._order = None if sorted_already else np.argsort(self.codes, kind="stable")
        ordered = self.codes if self._order is None else self.codes[self._order]
        self._starts = np.searchsorted(ordered, np.arange(self.size))

    def sums(self, values: Real) -> Real:
        """Sum rows by level: (n, ...) to (levels, ...)."""
        return np.add.reduceat(values if self._order is None else values[self._order], self._starts, axis=0)


class Absorber:
    """Sweeps fixed effects out of columns.

    Parameters
    ----------
    effects : sequence of codes, each of shape (n,)
        May be empty: then nothing is swept out.
    weights : ndarray, shape (n,), optional
        Positive.

    Raises
    ------
    DataError
        Where the dummies of the smaller effects would not fit in memory.
    """

    def __init__(self, effects: Sequence[NDArray[np.integer]], weights: Real | None = None) -> None:
        groups = [Groups(e) for e in effects]
        self.sizes = tuple(g.size for g in groups)
        self.first = max(groups, key=lambda g: g.size) if groups else None
        others = [g for g in groups if g is not self.first]
        self._weights = weights
        self._root = None if weights is None else np.sqrt(weights)
        self._basis: Real | None = None
        if self.first is not None:
            ones = np.ones(self.first.codes.size) if weights is None else weights
            self._totals = self.first.sums(ones)
        if others:
            from scipy import linalg  # imported with this module, scipy would slow down runs that fit nothing

            n = others[0].codes.size
            columns = sum(g.size for g in others)
            if n * columns > MAX_CELLS:
                raise DataError(
                    f"{n} rows times {columns} dummies are too many for the designs",
                    hint="drop a fixed effect, or estimate with feols",
                )
            dummies = np.concatenate([np.eye(g.size)[g.codes] for g in others], axis=1)
            swept = self._scaled(self._demean(dummies))
            q, r, _ = linalg.qr(swept, mode="economic", pivoting=True, check_finite=False)
            size = np.abs(np.diagonal(r))
            self._basis = q[:, size > RANK_TOLERANCE * max(size[0], 1.0)]

    def halves(self, columns: Real) -> tuple[Real, Real]:
        """Return columns, shape (n, k), cleared of the first effect alone, and what is to be cleared of them beside it.

        The second part, shape (n, r), spans the other effects' dummies, cleared likewise.
        """
        n = columns.shape[0]
        return self._demean(columns), np.empty((n, 0)) if self._basis is None else self._basis

    def _scaled(self, columns: Real) -> Real:
        return columns if self._root is None else columns * self._root[:, None]

    def _demean(self, columns: Real) -> Real:
        assert self.first is not None
        weighted = columns if self._weights is None else columns * self._weights[:, None]
        means = self.first.sums(weighted) / self._totals[:, None]
        return columns - means[self.first.codes]

    def sweep(self, columns: Real) -> Real:
        """Return residuals of columns, shape (n, k), on the dummies of all effects; done twice for full precision."""
        if self.first is None:
            return columns.copy()
        left = self._demean(columns)
        for _ in range(2):
            if self._basis is not None:
                scaled = self._scaled(left)
                scaled = scaled - self._basis @ (self._basis.T @ scaled)
                left = scaled if self._root is None else scaled / self._root[:, None]
            left = self._demean(left)
        return left
