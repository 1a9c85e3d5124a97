"""How does hypothesis draw a panel cell by cell, so that what it reports is the rows and values that matter?

:func:`cell_panels` writes small panels from nothing; :func:`cells_like` draws panels near a given one, whose cells stay
mostly as they are. Both shrink row by row to nothing and cell by cell towards the plainest value of their column.
Hypothesis is slow with many cells: eight units and six periods are the most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from crosscheck.errors import DataError, nearest
from crosscheck.frame import Column, Frame, Kind
from crosscheck.shrink import Layout
from crosscheck.simulate.layout import CALLED, LARGEST_EXACT

Value = float | str | None
LARGEST = (8, 6)
"""Units and periods."""
USUAL = 8
"""Of ten cells of the grid so many have one row, one has none, one has two."""
DEPARTURES = 2
"""How many cells of a panel depart from the one it is like, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What may stand in the cells of a column.

    Attributes
    ----------
    name, kind : str
        As in :class:`crosscheck.frame.Column`: ``float``, ``integer`` or ``category``.
    values : tuple of float, str or None
        The plainest first; ``None`` is a missing value.
    per : str
        ``row``: drawn for each row; ``unit``: once for each unit.
    """

    name: str
    kind: Kind
    values: tuple[Value, ...]
    per: Literal["row", "unit"] = "row"

    def __post_init__(self) -> None:
        if not self.values:
            raise DataError(f"nothing may stand in the cells of {self.name!r}", hint="give one value at least")
        if self.kind not in ("float", "integer", "category"):
            raise DataError(f"cells of the kind {self.kind!r} are not drawn", allowed="float, integer, category")
        wanted = str if self.kind == "category" else int | float
        for value in self.values:
            if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
                raise DataError(f"{value!r} cannot stand in the {self.kind} column {self.name!r}")


NUMBERS: tuple[Value, ...] = (0.0, 1.0, 2.0, -1.0, 3.0, 0.5, -2.0, 7.0, None)
COLUMNS: tuple[Cells, ...] = (
    Cells(name="y", kind="float", values=NUMBERS),
    Cells(name="x", kind="float", values=NUMBERS),
    Cells(name="cohort", kind="integer", values=(0, 2, 3, 4, 1), per="unit"),
    Cells(name="weight", kind="float", values=(1.0, 2.0, 0.5, 3.0, 0.0, None)),
    Cells(name="cluster", kind="integer", values=(1, 2, 3, None)),
    Cells(name="sector", kind="category", values=("a", "b", "c", None)),
)
IDS = ("integer", "string", "huge", "digits", "non_ascii", "na_like", "logical")


@st.composite
def _written(
    draw: st.DrawFn, columns: tuple[Cells, ...], units: tuple[int, int], periods: tuple[int, int], ids: tuple[str, ...]
) -> Frame:
    n_units, n_periods = draw(st.integers(*units)), draw(st.integers(*periods))
    style = ids[draw(st.integers(0, len(ids) - 1))]
    rows: list[tuple[int, int]] = []
    drawn: dict[str, list[Value]] = {c.name: [] for c in columns}
    for unit in range(n_units):
        of_unit: dict[str, Value] = {}
        for period in range(n_periods):
            times = draw(st.integers(0, USUAL + 1))
            for _ in range(0 if not times else 2 if times > USUAL else 1):
                rows.append((unit, period))
                for column in columns:
                    if column.per == "row":
                        drawn[column.name].append(draw(_among(column.values)))
                        continue
                    if column.name not in of_unit:
                        of_unit[column.name] = draw(_among(column.values))
                    drawn[column.name].append(of_unit[column.name])
    assume(rows)
    time = np.array([t + 1 for _, t in rows], dtype=np.int32)
    made = [_unit_column(style, [u for u, _ in rows], n_units), Column("time", "integer", time)]
    made += [_column(column.name, column.kind, drawn[column.name]) for column in columns]
    if "cohort" in drawn and "treated" not in drawn:
        cohort = np.array([c or 0 for c in drawn["cohort"]], dtype=np.float64)
        made.append(Column("treated", "float", ((cohort > 0) & (time >= cohort)).astype(np.float64)))
    frame = Frame(tuple(made), len(rows))
    order = draw(st.sampled_from(("sorted", "reversed", "shuffled")))
    if order == "shuffled":
        return frame.take(np.array(draw(st.permutations(range(len(rows)))), dtype=np.int64))
    return frame.take(np.arange(len(rows))[::-1]) if order == "reversed" else frame


_AMONG: dict[tuple[Value, ...], st.SearchStrategy[Value]] = {}


def _among(values: tuple[Value, ...]) -> st.SearchStrategy[Value]:
    if values not in _AMONG:
        _AMONG[values] = st.sampled_from(values)
    return _AMONG[values]


def _unit_column(style: str, codes: Sequence[int], units: int) -> Column:
    if style in ("integer", "huge"):
        first = 1 if style == "integer" else LARGEST_EXACT - units
        values = np.array(codes, dtype=np.float64) + first
        return Column("unit", "integer", values.astype(np.int32) if style == "integer" else values)
    words = CALLED.get(style) or tuple(f"u{k + 1}" for k in range(units))
    return _column("unit", "category", [words[k] for k in codes])


def _column(name: str, kind: Kind, values: Sequence[Value]) -> Column:
    """Make a column of drawn values; levels are sorted by code point."""
    if kind == "category":
        levels = tuple(sorted({v for v in values if isinstance(v, str)}))
        place: dict[Any, int] = {level: k for k, level in enumerate(levels)}
        return Column(name, kind, np.array([place.get(v, -1) for v in values], dtype=np.int32), levels)
    numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    whole = kind == "integer" and not np.isnan(numbers).any() and bool((np.abs(numbers) < 2**31 - 1).all())
    return Column(name, kind, numbers.astype(np.int32) if whole else numbers)


def cell_panels(
    columns: Iterable[str | Cells] = COLUMNS,
    *,
    units: tuple[int, int] = (1, LARGEST[0]),
    periods: tuple[int, int] = (1, LARGEST[1]),
    ids: Sequence[str] = IDS,
) -> st.SearchStrategy[Frame]:
    """Draw panels whose every cell is a choice among few values; they shrink to one row of plainest values.

    Parameters
    ----------
    columns : iterable of str or Cells
        Beside ``unit`` and ``time``: names of :data:`COLUMNS` (``y x cohort weight cluster sector``), or columns of
        one's own. With ``cohort`` (the first treated period, 0: never) there is a column ``treated``.
    units, periods : (int, int)
        Least and most, up to eight and six. A cell of the grid may have no row, one, or two.
    ids : sequence of str
        How units may be called, the plainest first: ``integer string huge digits non_ascii na_like logical``.

    Returns
    -------
    strategy of Frame
        Typed columns; ``frame.to_pandas()`` is the data frame.

    Raises
    ------
    DataError
        Where there is no such column, and where the panel may be larger.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(cell_panels(("y", "weight")))
    ... def test_there_is_a_row(frame):
    ...     assert frame.nrows > 0
    """
    known = {c.name: c for c in COLUMNS}
    wanted: list[Cells] = []
    for column in columns:
        if isinstance(column, str) and column not in known:
            raise DataError(f"there are no cells {column!r}", allowed=", ".join(known), hint=nearest(column, known))
        wanted.append(known[column] if isinstance(column, str) else column)
    names = ["unit", "time", *(c.name for c in wanted)]
    if len(set(names)) < len(names):
        raise DataError("two columns have the same name", allowed="names other than unit and time, each once")
    for what, (least, most), largest in (("units", units, LARGEST[0]), ("periods", periods, LARGEST[1])):
        if not 1 <= least <= most <= largest:
            raise DataError(
                f"{what} cannot be drawn cell by cell from {least} to {most}",
                allowed=f"1 to {largest}",
                hint="take panels() for larger ones",
            )
    for style in ids:
        if style not in IDS:
            raise DataError(f"units cannot be called {style!r}", allowed=", ".join(IDS), hint=nearest(style, IDS))
    return _written(tuple(wanted), units, periods, tuple(ids) or IDS[:1])


# Near a given panel


def fits(frame: Frame, layout: Layout) -> bool:
    """Say whether a panel is small enough for its cells to be drawn: eight units, six periods, as many rows."""
    if not 0 < frame.nrows <= LARGEST[0] * LARGEST[1]:
        return False
    for name, most in ((layout.unit, LARGEST[0]), (layout.time, LARGEST[1])):
        if name is not None and name in frame and np.unique(frame[name].codes()[0]).size > most:
            return False
    return True


def cells_like(frame: Frame, layout: Layout | None = None) -> st.SearchStrategy[Frame]:
    """Draw panels near a given one: few rows are gone, few cells have another value; they shrink to nothing.

    Rows keep their unit and period. A cell may be what it is, a small number (whole where its column is, not below zero
    where no value of its column is), another level of its category, or missing. Columns of the layout's ``calendar``
    change for whole units; those that it keeps do not change.

    Parameters
    ----------
    frame : Frame
        Up to eight units, six periods, and 48 rows.
    layout : Layout, optional
        Roles of the columns.

    Raises
    ------
    DataError
        Where the panel is larger.
    """
    layout = layout or Layout()
    layout.check(frame)
    if not fits(frame, layout):
        raise DataError(
            f"a panel of {frame.nrows} rows is not drawn cell by cell",
            allowed=f"1 to {LARGEST[0]} units, 1 to {LARGEST[1]} periods, as many rows",
            hint="make it smaller first: crosscheck.shrink.shrink",
        )
    return _near(frame, layout)


SMALL = (0.0, 1.0, 2.0, -1.0, 3.0, 0.5, -2.0)


def _options(column: Column, layout: Layout) -> tuple[Any, ...]:
    """Return what else may stand in a cell of a column, the plainest first: numbers, or codes of levels."""
    if column.kind == "category":
        return (*range(len(column.levels)), -1)
    if column.name in layout.binary:
        return (0.0, 1.0)
    seen = column.as_float()
    seen = seen[np.isfinite(seen)]
    whole = column.kind == "integer" or bool(seen.size and (seen == np.rint(seen)).all())
    least = float(seen.min()) if seen.size else 0.0
    floor = 0.0 if least >= 0 else -np.inf
    if column.name in layout.positive and least > 0:
        floor = np.nextafter(0.0, 1.0)
    return (*(v for v in SMALL if v >= floor and not (whole and v != np.rint(v))), np.nan)


@st.composite
def _near(draw: st.DrawFn, frame: Frame, layout: Layout) -> Frame:
    free = [n for n in frame.names if n not in (layout.unit, layout.time) and n not in layout.keep]
    free = [n for n in free if frame[n].kind in ("float", "integer", "category")]
    options = {n: _options(frame[n], layout) for n in free if n not in layout.calendar}
    calendars = [n for n in free if n in layout.calendar and frame[n].kind in ("float", "integer")]
    for name in calendars:
        seen = frame[name].as_float()
        options[name] = tuple(dict.fromkeys([*layout.never, *np.unique(seen[np.isfinite(seen)]).tolist()]))
    rare = {
        n: st.integers(0, max(len(o) * frame.nrows * len(options) // DEPARTURES, len(o))) for n, o in options.items()
    }
    gone = st.integers(0, 2 * frame.nrows)
    values = {n: frame[n].values.astype(np.float64) for n in options}
    units = frame[layout.unit].codes()[0] if layout.unit is not None else np.arange(frame.nrows)
    calendar: dict[tuple[str, int], float | None] = {}
    kept: list[int] = []
    for row in range(frame.nrows):
        if not draw(gone):
            continue
        kept.append(row)
        for name, offered in options.items():
            place = (name, int(units[row]))
            if name in calendars and place in calendar:
                found = calendar[place]
            else:
                at = draw(rare[name])
                found = offered[at] if at < len(offered) else None
                calendar[place] = found
            if found is not None:
                values[name][row] = found
    assume(kept)
    columns = tuple(_changed(c, values[c.name]) if c.name in values else c for c in frame.columns)
    return Frame(columns, frame.nrows, frame.row_ids).take(np.array(kept, dtype=np.int64))


def _changed(column: Column, values: np.ndarray[Any, np.dtype[np.float64]]) -> Column:
    if column.kind == "category":
        return Column(column.name, column.kind, values.astype(np.int32), column.levels)
    small = column.kind == "integer" and not np.isnan(values).any() and bool((np.abs(values) < 2**31 - 1).all())
    return Column(column.name, column.kind, values.astype(np.int32) if small else values)
