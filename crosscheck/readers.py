"""How do a file's bytes become a header and columns of raw cells?

One function for each format; none of them types a cell.
"""

from __future__ import annotations

import csv
import io
import struct
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

Table = tuple[tuple[str, ...], tuple[Sequence[Any], ...], NDArray[np.int64]]


def decode_text(content: bytes, where: str) -> str:
    """Decode a text file in UTF-8, with or without BOM; a NUL or a stray byte names its line.

    Raises
    ------
    DataError
        Where the file is not UTF-8 text.
    """
    nul = content.find(b"\0")
    if nul >= 0:
        hint = "the file looks like UTF-16: save it as UTF-8" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        line = content.count(b"\n", 0, nul) + 1
        raise DataError("the file holds a NUL character", where=f"{where}, line {line}", hint=hint)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"the file is not UTF-8: byte 0x{content[error.start]:02x}",
            where=f"{where}, line {line}",
            hint="save it as UTF-8, for example: iconv -f GB18030 -t UTF-8 old.csv > new.csv",
        ) from None


def read_csv(content: bytes, where: str) -> Table:
    """Read a CSV in UTF-8 (with or without BOM); a field count that is off, or a stray quote, names its line."""
    text = decode_text(content, where)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    began = 1
    try:
        for row in reader:
            rows.append(row)
            lines.append(began)
            began = reader.line_num + 1
    except csv.Error as error:
        hint = "a quotation mark opens and closes a field; within a field it is doubled"
        raise DataError(f"the CSV is malformed: {error}", where=f"{where}, line {began}", hint=hint) from None
    while rows and not rows[-1]:
        rows.pop()
        lines.pop()
    header = tuple(rows[0]) if rows else ()
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise DataError("the file has one column", where=f"{where}, line 1", hint="separate columns by commas")
    if not any(header):
        raise DataError("the first line does not name the columns", where=f"{where}, line 1")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            fields = f"{len(row)} field{'s' if len(row) != 1 else ''}"
            what = "the line is empty" if not row else f"the line has {fields}, the header {len(header)}"
            hint = "put a field that holds a comma in quotation marks"
            if len(row) < len(header):
                hint = "leave the field of a missing value empty, and keep its comma" if row else "remove the line"
            raise DataError(what, where=f"{where}, line {line}", hint=hint)
    columns = tuple(zip(*rows[1:], strict=True)) if len(rows) > 1 else tuple(() for _ in header)
    return header, columns, np.asarray(lines[1:], dtype=np.int64)


def read_parquet(content: bytes, where: str) -> Table:
    """Read a parquet file through pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            "parquet files need the package pyarrow", where=where, hint='pip install "crosscheck[parquet]"'
        ) from None
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"the parquet file cannot be read: {error}", where=where, hint="write it again") from None
    columns = tuple(column.to_pylist() for column in table.columns)
    return tuple(table.column_names), columns, np.zeros(table.num_rows, dtype=np.int64)


def read_dta(content: bytes, where: str) -> Table:
    """Read a Stata file; value labels stay numbers, since codes are what the data hold."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of arithmetic on a header that is none
            table = pd.read_stata(io.BytesIO(content), convert_categoricals=False)
    except (ValueError, LookupError, OverflowError, EOFError, TypeError, AttributeError, struct.error) as error:
        raise DataError(
            f"the Stata file cannot be read: {error}", where=where, hint="save it again from Stata, or as CSV in UTF-8"
        ) from None
    columns = tuple(table[name].astype(object).where(table[name].notna(), None).tolist() for name in table.columns)
    return tuple(str(n) for n in table.columns), columns, np.zeros(len(table), dtype=np.int64)


READERS: Mapping[str, Callable[[bytes, str], Table]] = {".csv": read_csv, ".parquet": read_parquet, ".dta": read_dta}
