"""What is the known truth of a simulated panel?

``truth.csv`` holds the numbers that the panel was made with: table,column,term,quantity,value. Truth is a source like
any other; only estimates can be compared with it, since a standard error is a property of the design, not of the draw.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from crosscheck.errors import DataError, StudyError, nearest
from crosscheck.readers import decode_text

COLUMNS = ("table", "column", "term", "quantity", "value")
TRUTH_FILE = "truth.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTruth:
    """One number that the panel was made with."""

    table: str
    column: str
    term: str
    quantity: str
    value: float
    line: int


def read_truth(path: Path, columns: Collection[tuple[str, str]]) -> tuple[KnownTruth, ...]:
    """Read ``truth.csv``; empty where there is none.

    Parameters
    ----------
    path : Path
    columns : collection of (table, column)
        Those that the study has.

    Raises
    ------
    StudyError
        Naming the line: a malformed line, a value that is no number, a column that the study does not have, a repeat.
    """
    if not path.is_file():
        return ()
    try:
        text = decode_text(path.read_bytes(), str(path))
    except (OSError, DataError) as error:
        raise StudyError(f"the known truth cannot be read: {error}", where=str(path)) from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[KnownTruth] = []
    seen: dict[tuple[str, ...], int] = {}
    try:
        header = next(rows, [])
        if tuple(header) != COLUMNS:
            raise StudyError(f"the header is {','.join(header)!r}", where=f"{path}, line 1", allowed=",".join(COLUMNS))
        for fields in rows:
            if fields:
                found.append(_row(fields, f"{path}, line {rows.line_num}", rows.line_num, columns, seen))
    except csv.Error as error:
        raise StudyError(f"the CSV is malformed: {error}", where=f"{path}, line {rows.line_num}") from None
    return tuple(found)


def _row(
    fields: list[str],
    place: str,
    line: int,
    columns: Collection[tuple[str, str]],
    seen: dict[tuple[str, ...], int],
) -> KnownTruth:
    if len(fields) != len(COLUMNS):
        raise StudyError(f"the line has {len(fields)} fields", where=place, allowed=",".join(COLUMNS))
    table, column, term, quantity, text = fields
    if (table, column) not in columns:
        known = [f"{t}/{c}" for t, c in columns]
        raise StudyError(
            f"the study has no column {table}/{column}",
            where=place,
            allowed=", ".join(known),
            hint=nearest(f"{table}/{column}", known),
        )
    key = (table, column, term, quantity)
    if key in seen:
        raise StudyError(f"the truth of {quantity} of {term} is given twice", where=place, hint=f"see line {seen[key]}")
    seen[key] = line
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StudyError(f"{text!r} is no number", where=place, hint="write it in full precision, such as 0.024")
    return KnownTruth(table=table, column=column, term=term, quantity=quantity, value=value, line=line)
