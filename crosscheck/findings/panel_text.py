"""How is a sample written as a CSV that Python and R read to the same bits?"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from crosscheck.errors import DataError
from crosscheck.frame import Column, Frame


def panel_csv(frame: Frame) -> str:
    """Return a frame as CSV: floats as short as they read back, missing cells empty, dates as 2004-12-31.

    Raises
    ------
    DataError
        Where a label is empty, which would read as missing.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.names)
    writer.writerows(zip(*(_cells(c) for c in frame.columns), strict=True))
    return text.getvalue()


def _cells(column: Column) -> list[str]:
    missing = column.missing.tolist()
    return ["" if gone else _cell(column, value) for value, gone in zip(column.values.tolist(), missing, strict=True)]


def _cell(column: Column, value: Any) -> str:
    if column.kind == "category":
        label: str = column.levels[value]
        if not label:
            raise DataError(f"a level of {column.name!r} is an empty text", hint="give it a name")
        return label
    if column.kind == "boolean":
        return "TRUE" if value else "FALSE"
    if column.kind == "date":
        return str(np.datetime64(int(value), "D"))
    if column.kind == "integer":
        return str(int(value))
    short = repr(float(value))
    if short in ("inf", "-inf"):
        return short.capitalize() if value > 0 else "-Inf"
    return short.removesuffix(".0")
