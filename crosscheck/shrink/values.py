"""How simple can the values of a panel be?

Whole columns first (all ones, small whole numbers in the same order, fewer decimals), then single cells. A proposal
counts only where it is simpler than what it replaces, so that the search ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.frame import Column, Frame

if TYPE_CHECKING:
    from crosscheck.shrink.search import Search

CELLS_UP_TO = 400
LARGEST_DIGIT = 9
DECIMALS = range(7)
Floats = NDArray[np.float64]
Cost = tuple[int, int, int, float]


def cost(value: float) -> Cost:
    """Say how complicated a number is to read: decimals, digits before them, sign, size."""
    if not math.isfinite(value):
        return (99, 0, 0, 0.0)
    mantissa, _, exponent = format(abs(value), ".17g").partition("e")
    text = repr(abs(value)) if not exponent else mantissa
    whole, _, decimals = text.partition(".")
    decimals = "" if decimals == "0" else decimals
    extra = abs(int(exponent)) if exponent else 0
    return (len(decimals) + extra, len(whole.lstrip("0")), int(value < 0), abs(value))


def total(values: Floats) -> Cost:
    """Add the costs of the values of a column, shape (n,)."""
    parts = [cost(float(v)) for v in values]
    return (sum(p[0] for p in parts), sum(p[1] for p in parts), sum(p[2] for p in parts), sum(p[3] for p in parts))


def with_values(frame: Frame, name: str, values: Floats) -> Frame | None:
    """Return the panel with other values in a column, or ``None`` where the column's kind cannot hold them."""
    column = frame[name]
    if column.kind == "integer":
        known = values[~np.isnan(values)]
        if not np.array_equal(known, np.trunc(known)) or (np.abs(known) > 2**53).any():
            return None
        fits = known.size == values.size and bool((np.abs(known) < 2**31 - 1).all())
        values = values.astype(np.int32) if fits else values
    changed = Column(name, column.kind, values)
    return replace(frame, columns=tuple(changed if c.name == name else c for c in frame.columns))


def _allowed(search: Search, name: str, values: Floats) -> bool:
    known = values[~np.isnan(values)]
    if name in search.layout.binary:
        return bool(np.isin(known, (0.0, 1.0)).all())
    return name not in search.layout.positive or bool((known > 0).all())


def _take(search: Search, name: str, values: Floats, by: str, what: str) -> bool:
    old = search.frame[name].as_float()
    if np.array_equal(old, values, equal_nan=True) or not _allowed(search, name, values):
        return False
    frame = with_values(search.frame, name, values)
    return frame is not None and search.take(frame, by, what)


def _column_proposals(values: Floats) -> Iterator[tuple[Floats, str]]:
    known = ~np.isnan(values)

    def put(new: Floats) -> Floats:
        out = values.copy()
        out[known] = new
        return out

    seen = values[known]
    if not seen.size or not np.isfinite(seen).all():
        return
    yield put(np.ones(seen.size)), "all ones"
    yield put(np.sign(seen)), "signs only"
    _, ranks = np.unique(seen, return_inverse=True)
    yield put(ranks.astype(np.float64)), "ranks"
    yield put(ranks.astype(np.float64) + 1), "ranks from one"
    largest = float(np.abs(seen).max())
    spread = float(np.ptp(seen))
    if spread > 0:
        yield put(np.rint((seen - seen.min()) / spread * LARGEST_DIGIT)), "whole numbers from 0 to 9"
    if largest > 0:
        yield put(np.rint(seen / largest * LARGEST_DIGIT)), "whole numbers up to 9"
    for decimals in DECIMALS:
        yield put(np.round(seen, decimals)), f"rounded to {decimals} decimals"
    if largest > 0:
        for digits in (1, 2, 3):
            step = 10.0 ** (math.floor(math.log10(largest)) - digits + 1)
            yield put(np.rint(seen / step)), f"scaled to {digits} digits"
    if (shift := float(np.rint(seen.min()))) != 0:
        yield put(seen - shift), "counted from its smallest value"


def simplify_columns(search: Search) -> None:
    """Replace the values of whole columns by simpler ones."""
    for name in search.layout.values(search.frame):
        old = search.frame[name].as_float()
        before = total(old)
        for values, what in _column_proposals(old):
            if total(values + 0.0) < before and _take(search, name, values + 0.0, "values", f"{name}: {what}"):
                break


def _cell_proposals(value: float) -> list[float]:
    if math.isnan(value):
        return [0.0, 1.0]
    if math.isinf(value):
        return []
    size = abs(value)
    found = [0.0, 1.0, 2.0, -1.0, 3.0, float(math.trunc(value / 2)), float(math.trunc(value)), float(round(value))]
    if size > 1:
        found.append(value - math.copysign(1.0, value))
    found += [round(value, d) for d in DECIMALS]
    found.append(size)
    better = {v + 0.0 for v in found if cost(v) < cost(value)}
    return sorted(better, key=cost)


def simplify_cells(search: Search) -> None:
    """Replace single values by simpler ones, cell by cell; panels with many cells are left as they are."""
    names = search.layout.values(search.frame)
    if len(names) * search.frame.nrows > CELLS_UP_TO:
        return
    for name in names:
        for row in range(search.frame.nrows):
            values = search.frame[name].as_float()
            for simpler in _cell_proposals(float(values[row])):
                changed = values.copy()
                changed[row] = simpler
                if _take(search, name, changed, "cells", f"{name} of row {row + 1}: {simpler:g}"):
                    break
