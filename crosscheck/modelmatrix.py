"""Which numbers does a formula stand for on a given sample?

What engines without a formula parser of their own need: the outcome, the regressors with fixest's coefficient names,
the codes of the fixed effects, endogenous regressors and instruments. R's rules decide the columns, as observed in
fixest 0.14: contrasts where the margin is in the model and dummies elsewhere; ``i(f)`` leaves out its first level
unless there is neither an intercept nor a fixed effect and no ``i()`` before it; ``i(f, x)`` keeps all levels; levels
are those of the whole sample, before rows with missing values are left out; infinite values count as missing.

Collinear columns are kept: dropping them is the estimator's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.arithmetic import Floats, evaluate, lagged, orthogonal_polynomials
from crosscheck.errors import DataError
from crosscheck.formula_tree import INTERCEPT, Call, Expr, Formula, Name, Number, Term, Text, emit_expr, term_label
from crosscheck.formula_tree import names as columns_of
from crosscheck.frame import Frame
from crosscheck.syntax import listing

__all__ = [
    "ModelMatrix",
    "combined_codes",
    "evaluate",
    "lagged",
    "model_matrix",
    "orthogonal_polynomials",
    "reference_level",
]

Codes: TypeAlias = NDArray[np.int64]
Block: TypeAlias = tuple[Floats, tuple[str, ...]]
"""Columns of one factor, shape (n, m), and the level of each (empty text for a number)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelMatrix:
    """The arrays of a model; n rows are kept.

    Attributes
    ----------
    y : ndarray, shape (n,)
    X : ndarray, shape (n, k)
        Exogenous regressors, the intercept first where there is one.
    names : tuple of str, length k
    endogenous, instruments : ndarray, shapes (n, m) and (n, l)
        Without columns where the formula has no IV part. ``instruments`` are the excluded ones.
    endogenous_names, instrument_names : tuple of str
    fe_codes : ndarray of int64, shape (n, q)
        Codes 0..G-1 of each fixed effect, all of which occur.
    fe_names : tuple of str, length q
        ``a^b`` for a combination.
    fe_labels : tuple of tuples of str
        Label of each code; those of a combination are joined by ``_``.
    rows : ndarray of int64, shape (n,)
        Positions in the frame.
    n_missing_dropped : int
    """

    y: Floats
    X: Floats
    names: tuple[str, ...]
    endogenous: Floats
    endogenous_names: tuple[str, ...]
    instruments: Floats
    instrument_names: tuple[str, ...]
    fe_codes: Codes
    fe_names: tuple[str, ...]
    fe_labels: tuple[tuple[str, ...], ...]
    rows: NDArray[np.int64]
    n_missing_dropped: int


def model_matrix(
    formula: Formula,
    frame: Frame,
    *,
    unit: str | None = None,
    time: str | None = None,
    drop_missing: bool = True,
    also: Collection[str] = (),
    among: NDArray[np.bool_] | None = None,
) -> ModelMatrix:
    """Build the arrays of a model.

    Parameters
    ----------
    formula : Formula
    frame : Frame
    unit, time : str, optional
        Panel identifiers, for ``lag()``.
    drop_missing : bool
        Leave out rows with a missing or infinite value. Otherwise they stay, with NaN and codes of -1.
    also : collection of str
        Further columns (weights, clusters) whose missing or infinite values leave a row out.
    among : array of bool, shape (rows,), optional
        Rows that may be in the sample; lags look at the others as well.

    Raises
    ------
    DataError
        Where no row is left, a factor has one level, ``ref`` names no level, or a column is missing.
    """
    builder = _Builder(frame, unit, time)
    y = evaluate(formula.lhs, frame, unit=unit, time=time)
    centred = formula.intercept or bool(formula.fixed_effects)
    blocks = builder.design(formula.terms, intercept=centred)
    if formula.intercept:
        blocks.insert(0, (np.ones((frame.nrows, 1)), (INTERCEPT,)))
    x, names = _stack(blocks, frame.nrows)
    iv = formula.iv
    endogenous, endogenous_names = _stack(builder.design(iv.endogenous if iv else (), intercept=True), frame.nrows)
    instruments, instrument_names = _stack(builder.design(iv.instruments if iv else (), intercept=True), frame.nrows)
    effects = [combined_codes(frame, fe) for fe in formula.fixed_effects]

    keep = np.ones(frame.nrows, dtype=bool) if among is None else among.copy()
    if drop_missing:
        keep &= np.isfinite(y)
        for matrix in (x, endogenous, instruments):
            keep &= np.isfinite(matrix).all(axis=1)
        for codes, _ in effects:
            keep &= codes >= 0
        for name in _factors(formula):  # a factor of one level has no column that could be missing
            keep &= ~frame[name].missing
        for name in also:
            column = frame[name]
            keep &= ~column.missing
            if column.values.dtype.kind == "f":
                keep &= np.isfinite(column.values)
        if not keep.any():
            raise DataError(
                "no row has finite values in every column that the model uses",
                hint=f"look for missing values in {listing(dict.fromkeys((*columns_of(formula), *also)))}",
            )
    kept = [_squeezed(codes[keep], labels) for codes, labels in effects]
    return ModelMatrix(
        y=y[keep],
        X=x[keep],
        names=names,
        endogenous=endogenous[keep],
        endogenous_names=endogenous_names,
        instruments=instruments[keep],
        instrument_names=instrument_names,
        fe_codes=np.column_stack([c for c, _ in kept]) if kept else np.empty((int(keep.sum()), 0), dtype=np.int64),
        fe_names=tuple("^".join(fe) for fe in formula.fixed_effects),
        fe_labels=tuple(labels for _, labels in kept),
        rows=np.flatnonzero(keep),
        n_missing_dropped=int(np.count_nonzero(~keep)),
    )


def _factors(formula: Formula) -> Iterable[str]:
    """Yield the columns whose levels ``i()`` and ``factor()`` stand for."""
    terms = [*formula.terms, *(() if formula.iv is None else (*formula.iv.endogenous, *formula.iv.instruments))]
    for call in (f for term in terms for f in term if isinstance(f, Call) and f.function in ("i", "factor", "C")):
        if isinstance(call.args[0], Name):
            yield call.args[0].name


def _stack(blocks: Sequence[Block], nrows: int) -> tuple[Floats, tuple[str, ...]]:
    if not blocks:
        return np.empty((nrows, 0)), ()
    return np.hstack([b for b, _ in blocks]), tuple(name for _, names in blocks for name in names)


class _Builder:
    """Turns terms into columns on one frame."""

    def __init__(self, frame: Frame, unit: str | None, time: str | None) -> None:
        self._frame, self._unit, self._time = frame, unit, time

    def design(self, terms: Sequence[Term], *, intercept: bool) -> list[Block]:
        """Return one block for each term, its names being coefficient names."""
        full = self._full_coding(terms, intercept)
        first_i = next((f for term in terms for f in term if isinstance(f, Call) and f.function == "i"), None)
        blocks: list[Block] = []
        for term in terms:
            parts = []
            for factor in term:
                drop_first = (term, factor) not in full
                if isinstance(factor, Call) and factor.function == "i":
                    drop_first = intercept or factor is not first_i
                parts.append(self._factor(factor, drop_first))
            blocks.append(_interact(term, parts))
        return blocks

    def _full_coding(self, terms: Sequence[Term], intercept: bool) -> set[tuple[Term, Expr]]:
        """Return the (term, factor) pairs that get a dummy for every level (R's ``terms`` and ``model.matrix``)."""
        present = {frozenset(term) for term in terms}
        full: set[tuple[Term, Expr]] = set()
        for term in terms:
            for factor in term:
                margin = frozenset(term) - {factor}
                if self._is_factor(factor) and margin and margin not in present:
                    full.add((term, factor))
        if not intercept:
            first = next(((t, f) for t in terms for f in t if self._is_factor(f)), None)
            if first is not None:
                full.add(first)
        return full

    def _is_factor(self, factor: Expr) -> bool:
        if isinstance(factor, Name):
            return self._frame[factor.name].kind in ("category", "boolean")
        return isinstance(factor, Call) and factor.function == "factor"

    def _factor(self, factor: Expr, drop_first: bool) -> Block:
        if self._is_factor(factor):
            name = factor.args[0] if isinstance(factor, Call) else factor
            assert isinstance(name, Name)
            return self._dummies(name.name, drop_first)
        if isinstance(factor, Call) and factor.function == "i":
            return self._i(factor, drop_first)
        if isinstance(factor, Call) and factor.function == "poly":
            degree = factor.args[1]
            assert isinstance(degree, Number)
            x = evaluate(factor.args[0], self._frame, unit=self._unit, time=self._time)
            z = orthogonal_polynomials(x, int(degree.value), what=emit_expr(factor, ticks=False))
            return z, tuple(str(d + 1) for d in range(z.shape[1])) if z.shape[1] > 1 else ("",)
        values = evaluate(factor, self._frame, unit=self._unit, time=self._time)
        return values[:, None], ("",)

    def _dummies(self, name: str, drop_first: bool) -> Block:
        codes, labels = self._frame[name].codes()
        if drop_first and len(labels) < 2:
            raise DataError(
                f"column {name!r} has one level in the sample: {labels[0] if labels else 'missing'}",
                hint="leave it out of the formula of this column",
            )
        return _indicators(codes, range(int(drop_first), len(labels))), labels[int(drop_first) :]

    def _i(self, call: Call, drop_first: bool) -> Block:
        first, *rest = call.args
        assert isinstance(first, Name)
        codes, labels = self._frame[first.name].codes()
        kept = list(range(len(labels)))
        reference = reference_level(call)
        if reference is not None:
            if reference not in labels:
                raise DataError(f"ref = {reference} is no level of {first.name}", allowed=listing(labels))
            kept.remove(labels.index(reference))
        elif drop_first and not rest:
            kept = kept[1:]
        block = _indicators(codes, kept)
        for other in rest:
            assert isinstance(other, Name)
            block = block * self._frame[other.name].as_float()[:, None]
        return block, tuple(labels[k] for k in kept)


def reference_level(call: Call) -> str | None:
    """Return the level that ``ref`` of ``i()`` names, spelled as levels are, or ``None``."""
    if isinstance(call.ref, Text):
        return call.ref.value
    if isinstance(call.ref, Number):
        return str(int(call.ref.value)) if call.ref.value.is_integer() else repr(call.ref.value)
    return None


def _indicators(codes: Codes, kept: Iterable[int]) -> Floats:
    columns = np.fromiter(kept, dtype=np.int64)
    block: Floats = np.asarray(codes[:, None] == columns[None, :], dtype=np.float64)
    block[codes < 0] = np.nan
    return block


def _interact(term: Term, parts: Sequence[Block]) -> Block:
    """Multiply the blocks of a term, the first factor varying fastest, and name the columns."""
    if len(parts) == 1:
        block, levels = parts[0]
        return block, tuple(term_label(term, (level,)) for level in levels)
    # product() varies its last argument fastest; R varies the first factor fastest
    picks = [pick[::-1] for pick in product(*(range(len(levels)) for _, levels in reversed(parts)))]
    columns = [reduce(np.multiply, (parts[i][0][:, p] for i, p in enumerate(pick))) for pick in picks]
    names = tuple(term_label(term, tuple(parts[i][1][p] for i, p in enumerate(pick))) for pick in picks)
    return np.column_stack(columns), names


def combined_codes(frame: Frame, names: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    """Return codes (missing: -1) and labels of a fixed effect, or of of the combination of several; read-only."""
    key = tuple(names)
    known = frame.combined.get(key)
    if known is None:
        known = frame.combined[key] = _combine(frame, key)
        known[0].flags.writeable = False
    return known


def _combine(frame: Frame, names: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    codes, labels = frame[names[0]].codes()
    for name in names[1:]:
        more, more_labels = frame[name].codes()
        missing = (codes < 0) | (more < 0)
        pairs = codes * len(more_labels) + more
        unique, inverse = np.unique(pairs[~missing], return_inverse=True)
        codes = np.full(frame.nrows, -1, dtype=np.int64)
        codes[~missing] = inverse
        labels = tuple(f"{labels[p // len(more_labels)]}_{more_labels[p % len(more_labels)]}" for p in unique)
    return codes, labels


def _squeezed(codes: Codes, labels: tuple[str, ...]) -> tuple[Codes, tuple[str, ...]]:
    """Renumber codes so that all occur; -1 stays."""
    used = np.unique(codes[codes >= 0])
    lookup = np.full(len(labels) + 1, -1, dtype=np.int64)
    lookup[used] = np.arange(used.size)
    return np.asarray(lookup[codes]), tuple(labels[u] for u in used)
