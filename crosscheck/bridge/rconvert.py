"""How does a typed column become an R vector, and an R result plain Python, without one bit changing?

Only the kinds of :class:`crosscheck.frame.Column` cross, each to one R type; there is no guessing and no pandas. What
comes back is lists, strings and copies of numbers: an array that shared memory with R would change under R's hands.

Imported inside an rpy2 worker only, after R was started.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck.frame import Column, Frame

ri: Any = importlib.import_module("rpy2.rinterface")
openrlib: Any = importlib.import_module("rpy2.rinterface_lib.openrlib")

NA_INTEGER = -(2**31)
NA_REAL_WORD = 1954


def to_r(value: Any) -> Any:
    """Return an R object for what a JSON message may hold: objects become named lists, arrays unnamed lists.

    Raises
    ------
    TypeError
        For anything else.
    """
    if value is None:
        return ri.NULL
    if isinstance(value, bool):
        return ri.BoolSexpVector([value])
    if isinstance(value, int | float):
        return ri.FloatSexpVector([float(value)])
    if isinstance(value, str):
        return ri.StrSexpVector([value])
    if isinstance(value, Mapping):
        out = ri.ListSexpVector([to_r(v) for v in value.values()])
        out.names = ri.StrSexpVector([str(k) for k in value])
        return out
    if isinstance(value, list | tuple):
        return ri.ListSexpVector([to_r(v) for v in value])
    raise TypeError(f"{type(value).__name__} does not cross to R")


def column_to_r(column: Column) -> Any:
    """Return a column as ``list(name, kind, values, levels)``, values bit for bit.

    Raises
    ------
    TypeError
        Where the column's values have a type that no kind allows.
    """
    values = np.ascontiguousarray(column.values)
    if values.dtype == np.float64:
        vector = ri.FloatSexpVector.from_memoryview(values.data)
    elif values.dtype == np.int32:
        vector = ri.IntSexpVector.from_memoryview(values.data)
    else:
        raise TypeError(f"column {column.name!r} holds {values.dtype}, which does not cross to R")
    out = ri.ListSexpVector(
        [
            ri.StrSexpVector([column.name]),
            ri.StrSexpVector([column.kind]),
            vector,
            ri.StrSexpVector(list(column.levels)),
        ]
    )
    out.names = ri.StrSexpVector(["name", "kind", "values", "levels"])
    return out


def frame_to_r(frame: Frame) -> Any:
    """Return a frame as an R list of columns."""
    return ri.ListSexpVector([column_to_r(c) for c in frame.columns])


def _names(value: Any) -> list[str] | None:
    names = value.names
    return None if names is ri.NULL or names.typeof == ri.RTYPES.NILSXP else [str(n) for n in names]


def _flat(value: Any, dtype: str) -> Any:
    """Return a copy of a numeric R vector, or of a matrix by columns, shape (n,).

    rpy2's own ``memoryview()`` takes a reference from None at each call (its C helper returns None without counting
    it), which ends the process after some thousand: R's memory is read directly and copied at once.
    """
    count = len(value)
    if not count:
        return np.empty(0, dtype)
    size = np.dtype(dtype).itemsize
    raw = openrlib.ffi.buffer(value._R_GET_PTR(value.__sexp__._cdata), count * size)
    return np.frombuffer(raw, dtype=dtype, count=count).copy()


def _doubles(value: Any) -> list[float | None]:
    """Return an R double vector as floats; R's NA, the NaN whose lower word is 1954, is None."""
    numbers = _flat(value, "f8")
    out: list[float | None] = numbers.tolist()
    for i in np.flatnonzero(np.isnan(numbers)):
        if int(numbers[i : i + 1].view(np.uint64)[0]) & 0xFFFFFFFF == NA_REAL_WORD:
            out[int(i)] = None
    return out


def _vector(value: Any) -> list[Any]:
    kind = value.typeof
    if kind == ri.RTYPES.REALSXP:
        return _doubles(value)
    if kind == ri.RTYPES.INTSXP:
        return [None if v == NA_INTEGER else int(v) for v in _flat(value, "i4").tolist()]
    if kind == ri.RTYPES.LGLSXP:
        return [None if v is ri.NA_Logical else bool(v) for v in value]
    if kind == ri.RTYPES.STRSXP:
        return [None if v is ri.NA_Character else str(v) for v in value]
    raise TypeError(f"an R object of type {kind} does not cross to Python")


def _matrix(value: Any) -> list[list[Any]] | None:
    dim = value.do_slot("dim") if "dim" in value.list_attrs() else None
    if dim is None or len(dim) != 2:
        return None
    rows, columns = int(dim[0]), int(dim[1])
    flat = _vector(value)
    return [[flat[r + rows * c] for c in range(columns)] for r in range(rows)]


def from_r(value: Any) -> Any:
    """Return plain Python for what ``cc_plain()`` yields: named lists, lists, matrices and scalars."""
    if value is ri.NULL or value.typeof == ri.RTYPES.NILSXP:
        return None
    if value.typeof == ri.RTYPES.VECSXP:
        names = _names(value)
        if names is None:
            return [from_r(v) for v in value]
        if names == ["cc_columns"]:
            return _rows(value[0])
        return {n: from_r(v) for n, v in zip(names, value, strict=True)}
    rows = _matrix(value)
    if rows is not None:
        return rows
    items = _vector(value)
    return items[0] if len(items) == 1 else items


def _rows(table: Any) -> list[dict[str, Any]]:
    """Return a table of equally long columns as rows."""
    names: Sequence[str] = _names(table) or []
    columns = [_vector(c) for c in table]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
