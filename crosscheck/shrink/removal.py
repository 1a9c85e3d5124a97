"""Which units, periods, levels, rows and columns can a disagreement do without?

Delta debugging (Zeller and Hildebrandt 2002) by complements: chunks of half of the items, of a quarter, down to one,
are taken away while the answer stays; single items and, where few are left, pairs are tried last, because a balanced
panel often stays one only when two things go together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.frame import Frame

if TYPE_CHECKING:
    from crosscheck.shrink.search import Search

PAIRS_UP_TO = 16
Without = Callable[[Sequence[int]], Frame]


def remove_items(
    search: Search, count: Callable[[], int], without: Without, by: str, what: Callable[[int], str]
) -> None:
    """Take away as many of the items 0..count()-1 of the panel so far as the answer allows.

    Parameters
    ----------
    count : callable
        Number of items that the panel so far has.
    without : callable
        Returns the panel so far without some of its items.
    by, what : str, callable
        Name of the pass, and what a step did in words, from the number of items taken.
    """
    size = max(1, count() // 2)
    while True:
        start, removed = 0, False
        while start < count() and count() > 1:
            chunk = range(start, min(start + size, count()))
            if len(chunk) < count() and search.take(without(chunk), by, what(len(chunk))):
                removed = True
            else:
                start += size
        if size == 1 and not removed:
            break
        size = max(1, size // 2) if not (removed and size == 1) else 1
    _remove_pairs(search, count, without, by, what)


def _remove_pairs(
    search: Search, count: Callable[[], int], without: Without, by: str, what: Callable[[int], str]
) -> None:
    again = True
    while again and 2 < count() <= PAIRS_UP_TO:
        again = any(search.take(without(pair), by, what(2)) for pair in combinations(range(count()), 2))


def remove_levels(search: Search, name: str) -> None:
    """Take away levels of a column of labels, with all their rows."""

    def count() -> int:
        return len(np.unique(search.frame[name].codes()[0]))

    def without(items: Sequence[int]) -> Frame:
        codes = search.frame[name].codes()[0]
        return search.rows(~np.isin(codes, np.unique(codes)[list(items)]))

    remove_items(search, count, without, "levels", lambda n: f"{n} of the levels of {name} taken away")


def remove_rows(search: Search) -> None:
    """Take away rows."""

    def without(items: Sequence[int]) -> Frame:
        kept = np.ones(search.frame.nrows, dtype=bool)
        kept[list(items)] = False
        return search.rows(kept)

    remove_items(search, lambda: search.frame.nrows, without, "rows", lambda n: f"{n} rows taken away")


def remove_missing_rows(search: Search) -> None:
    """Take away all rows in which something is missing, at once."""
    frame = search.frame
    missing = np.zeros(frame.nrows, dtype=bool)
    for column in frame.columns:
        missing |= column.missing
    if missing.any() and not missing.all():
        search.take(search.rows(~missing), "missing", f"{int(missing.sum())} rows with missing values taken away")


def remove_columns(search: Search) -> None:
    """Take away columns, one by one."""
    for name in reversed(search.frame.names):
        if name not in search.layout.keep and len(search.frame.columns) > 1:
            rest = search.frame.select(n for n in search.frame.names if n != name)
            search.take(rest, "columns", f"column {name} taken away")
