"""How does one raw cell become one typed value, without loss or with an error that names its place?

Cells are texts (from CSV) or plain Python values (from parquet and Stata files); ``None`` is missing.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError, nearest
from crosscheck.frame import INT32_MAX, NA_INT, Column, Kind
from crosscheck.syntax import listing

KINDS: tuple[Kind, ...] = ("category", "integer", "float", "boolean", "date")
EXACT = 2**53
EPOCH = dt.date(1970, 1, 1)
BOOLEANS = {"TRUE": 1, "True": 1, "true": 1, "1": 1, "FALSE": 0, "False": 0, "false": 0, "0": 0}
SPECIAL = {"Inf": math.inf, "+Inf": math.inf, "inf": math.inf, "-Inf": -math.inf, "-inf": -math.inf, "NaN": math.nan}
SUGGEST_FROM = 2000

_PLAIN = frozenset("0123456789+-.eE")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Place = Callable[[int], str]


def column_from(
    name: str,
    kind: Kind,
    cells: Sequence[Any],
    *,
    missing: Collection[str],
    place: Place,
    levels: Sequence[str] | None = None,
) -> Column:
    """Make a typed column of raw cells.

    Parameters
    ----------
    missing : collection of str
        Texts that mean missing.
    place : callable
        Names the place of a row in a message.
    levels : sequence of str, optional
        Declared order of a category's levels.

    Raises
    ------
    DataError
        At the first cell that is not of the kind, or cannot be held exactly.
    """

    def fail(row: int, what: str, hint: str = "") -> DataError:
        return DataError(what, where=f"{place(row)}, column {name}", hint=hint)

    if kind == "category":
        return _category(name, cells, missing, levels, fail)
    if kind == "float":
        return Column(name, kind, _floats(cells, missing, fail))
    if kind == "integer":
        return Column(name, kind, _integers(_floats(cells, missing, fail), cells, fail))
    convert = _boolean if kind == "boolean" else _date
    values = np.empty(len(cells), dtype=np.int32)
    for row, cell in enumerate(cells):
        values[row] = NA_INT if _is_missing(cell, missing) else convert(cell, row, fail)
    return Column(name, kind, values)


Fail = Callable[..., DataError]


def _is_missing(cell: Any, missing: Collection[str]) -> bool:
    if isinstance(cell, str):
        return cell in missing
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _category(
    name: str, cells: Sequence[Any], missing: Collection[str], declared: Sequence[str] | None, fail: Fail
) -> Column:
    texts: list[str | None] = []
    for row, cell in enumerate(cells):
        if _is_missing(cell, missing):
            texts.append(None)
        elif isinstance(cell, str):
            if "\0" in cell:
                raise fail(row, "the text holds a NUL character")
            texts.append(cell)
        elif isinstance(cell, bool):
            texts.append("TRUE" if cell else "FALSE")
        elif isinstance(cell, int) or (isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT):
            texts.append(str(int(cell)))
        elif isinstance(cell, dt.date) and not isinstance(cell, dt.datetime):
            texts.append(cell.isoformat())
        else:
            raise fail(row, f"{cell!r} is a {type(cell).__name__} and not a category", "declare it float or date")
    found = {t for t in texts if t is not None}
    if declared is None:
        order = sorted(found)
    else:
        if len(set(declared)) != len(declared):
            raise DataError(f"a level of {name} is declared twice in [data.levels]", allowed=listing(declared))
        for row, text in enumerate(texts):
            if text is not None and text not in declared:
                raise fail(
                    row, f"{text!r} is not a declared level", nearest(text, declared) or "add it to [data.levels]"
                )
        absent = [level for level in declared if level not in found]
        if absent:
            raise DataError(
                f"the level {absent[0]!r} of {name} in [data.levels] does not occur in the data",
                allowed=listing(sorted(found)),
                hint=nearest(absent[0], found) or "remove it",
            )
        order = list(declared)
    lookup: dict[str | None, int] = {level: code for code, level in enumerate(order)}
    lookup[None] = -1
    return Column(name, "category", np.array([lookup[t] for t in texts], dtype=np.int32), tuple(order))


def _floats(cells: Sequence[Any], missing: Collection[str], fail: Fail) -> NDArray[np.float64]:
    """Read numbers exactly (correctly rounded), shape (n,), NaN where missing."""
    if all(type(c) is str for c in cells) and _PLAIN.issuperset("".join(cells)):
        try:
            return np.array([math.nan if c in missing else float(c) for c in cells], dtype=np.float64)
        except ValueError:
            pass  # the loop below finds the cell and names it
    values = np.empty(len(cells), dtype=np.float64)
    for row, cell in enumerate(cells):
        values[row] = math.nan if _is_missing(cell, missing) else _float(cell, row, fail)
    return values


def _float(cell: Any, row: int, fail: Fail) -> float:
    if isinstance(cell, str):
        text = cell.strip(" ")
        if _NUMBER.fullmatch(text):
            return float(text)
        if text in SPECIAL:
            return SPECIAL[text]
        hint = f'if it means missing, list it: missing = ["", {cell!r}] in [data]'.replace("'", '"')
        if not text:
            hint = 'if a blank means missing, write missing = ["", " "] in [data]'
        elif re.fullmatch(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?", text):
            hint = "write it without separators of thousands"
        elif re.fullmatch(r"[+-]?[0-9]*,[0-9]+", text):
            hint = "write the decimals after a point"
        elif any(c.isalpha() for c in text) and len(text) > 3:
            hint = "declare the column a category, or correct the cell"
        raise fail(row, f"{cell!r} is not a number", hint)
    if isinstance(cell, bool):
        return float(cell)
    if isinstance(cell, int):
        if abs(cell) >= EXACT:
            raise fail(row, f"{cell} is too large to be held exactly", "declare the column a category")
        return float(cell)
    if isinstance(cell, float):
        return cell
    raise fail(row, f"{cell!r} is not a number", "declare another kind")


def _integers(values: NDArray[np.float64], cells: Sequence[Any], fail: Fail) -> NDArray[Any]:
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        odd = known & (values != np.trunc(values)) | np.isinf(values)
    if odd.any():
        row = int(np.argmax(odd))
        raise fail(row, f"{cells[row]!r} is not a whole number", "declare the column float")
    large = known & (np.abs(values) >= EXACT)
    if large.any():
        row = int(np.argmax(large))
        raise fail(row, f"{cells[row]} is too large to be held exactly", "declare the column a category")
    if known.all() and (np.abs(values) <= INT32_MAX).all():
        return values.astype(np.int32)
    return values


def _boolean(cell: Any, row: int, fail: Fail) -> int:
    if isinstance(cell, bool | int | float) and cell in (0, 1):
        return int(cell)
    if isinstance(cell, str) and cell in BOOLEANS:
        return BOOLEANS[cell]
    raise fail(row, f"{cell!r} is not a boolean", "write TRUE or FALSE, or declare the column a category")


def _date(cell: Any, row: int, fail: Fail) -> int:
    if isinstance(cell, dt.datetime):
        if cell.tzinfo is not None or cell.time() != dt.time():
            raise fail(row, f"{cell} has a time of day", "keep the date only")
        cell = cell.date()
    if isinstance(cell, dt.date):
        return (cell - EPOCH).days
    if isinstance(cell, str) and _DATE.fullmatch(cell):
        try:
            return (dt.date.fromisoformat(cell) - EPOCH).days
        except ValueError:
            raise fail(row, f"{cell!r} is no day of the calendar") from None
    raise fail(row, f"{cell!r} is not a date", "write dates as 2004-12-31")


def suggest(cells: Sequence[Any], missing: Collection[str]) -> Kind:
    """Return the kind that cells look like; codes with leading zeros look like a category."""
    known = [c for c in cells[:SUGGEST_FROM] if not _is_missing(c, missing)]
    if not known:
        return "float"
    if all(isinstance(c, str) for c in known):
        if all(c in ("TRUE", "FALSE", "True", "False", "true", "false") for c in known):
            return "boolean"
        if all(_INTEGER.fullmatch(c) for c in known):
            return "integer" if all(len(c.lstrip("+-")) <= 15 for c in known) else "category"
        if all(_DATE.fullmatch(c) for c in known):
            return "date"
        zeros = any(re.fullmatch(r"0[0-9]+", c) for c in known)
        return "float" if not zeros and all(_NUMBER.fullmatch(c) or c in SPECIAL for c in known) else "category"
    if all(isinstance(c, bool) for c in known):
        return "boolean"
    if all(isinstance(c, int | float) for c in known):
        return "integer" if all(float(c).is_integer() for c in known) else "float"
    return "date" if all(isinstance(c, dt.date) for c in known) else "category"
