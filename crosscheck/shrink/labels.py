"""Can the units, periods and other labels of a panel be given plain names, and its rows a plain order?

Every attempt is a proposal like any other: where the disagreement depends on the labels or on the order of the rows,
they stay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.frame import Column, Frame
from crosscheck.shrink.values import with_values

if TYPE_CHECKING:
    from crosscheck.shrink.search import Search

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def plain_labels(count: int, prefix: str) -> tuple[str, ...]:
    """Return short labels that sort in their order: letters, or a prefix with numbers where there are more than 26."""
    if count <= len(LETTERS):
        return tuple(LETTERS[:count])
    width = len(str(count))
    return tuple(f"{prefix}{i:0{width}d}" for i in range(1, count + 1))


def _replaced(frame: Frame, column: Column) -> Frame:
    return replace(frame, columns=tuple(column if c.name == column.name else c for c in frame.columns))


def _merge_levels(search: Search, name: str) -> None:
    """Give the rows of one level to the level before it, as long as the disagreement stays."""
    code = 1
    while code < len(search.frame[name].levels):
        column = search.frame[name]
        values = column.values.copy()
        values[values == code] = code - 1
        merged = Column(name, "category", values, column.levels).take(np.arange(search.frame.nrows))
        if not search.take(_replaced(search.frame, merged), "labels", f"two levels of {name} merged"):
            code += 1


def _rename_levels(search: Search, name: str) -> None:
    column = search.frame[name]
    if column.kind == "category":
        levels = plain_labels(len(column.levels), name[:1])
        if levels != column.levels:
            renamed = Column(name, "category", column.values, levels)
            search.take(_replaced(search.frame, renamed), "labels", f"levels of {name} renamed")
        return
    if column.kind not in ("integer", "float") or name == search.layout.time:
        return
    codes, _ = column.codes()
    values = np.where(codes < 0, np.nan, codes + 1.0)
    if not np.array_equal(values, column.as_float(), equal_nan=True):
        frame = with_values(search.frame, name, values)
        if frame is not None:
            search.take(frame, "labels", f"{name} renumbered from one")


def _renumber_calendar(search: Search) -> None:
    """Count periods, and the columns on their scale, from one."""
    layout = search.layout
    names = [n for n in (layout.time, *layout.calendar) if n is not None and n in search.frame]
    if layout.time not in names or search.frame[layout.time].kind not in ("integer", "float"):
        return
    period = search.frame[layout.time].as_float()
    if not np.isfinite(period).any():
        return
    first = float(np.nanmin(period))
    compact = {v: i + 1.0 for i, v in enumerate(np.unique(period[~np.isnan(period)]).tolist())}
    for closed in (True, False):
        frame: Frame | None = search.frame
        for name in names:
            old = search.frame[name].as_float()
            never = () if name == layout.time else layout.never
            moved = np.array([_period(v, first, compact if closed else None, never) for v in old.tolist()])
            frame = with_values(frame, name, moved) if frame is not None else None
        if frame is None or frame.key == search.frame.key:
            continue
        if search.take(frame, "labels", "periods counted from one" + (", gaps closed" if closed else "")):
            return


def _period(value: float, first: float, compact: dict[float, float] | None, never: tuple[float, ...]) -> float:
    if not np.isfinite(value) or value in never:
        return value
    if compact is not None:
        return compact.get(value, len(compact) + 1.0 + max(0.0, value - max(compact)))
    return value - first + 1.0


def _sort_rows(search: Search) -> None:
    layout = search.layout
    keys = [search.frame[n].codes()[0] for n in (layout.time, layout.unit) if n is not None and n in search.frame]
    if not keys:
        return
    order = np.lexsort(keys)
    if not np.array_equal(order, np.arange(search.frame.nrows)):
        search.take(search.frame.take(order), "labels", "rows sorted")


def merge_groups(search: Search) -> None:
    """Merge levels of the groups."""
    for name in search.layout.groups:
        if name in search.frame and search.frame[name].kind == "category":
            _merge_levels(search, name)


def relabel(search: Search) -> None:
    """Rename all labels, count periods from one, and sort the rows."""
    for name in search.layout.labels(search.frame):
        _rename_levels(search, name)
    _renumber_calendar(search)
    _sort_rows(search)
