"""How does a typed column become an R vector, and an R result plain Python, without one bit changing?

Only the kinds of :class:`crosscheck.frame.Column` cross, each to one R type; there is no guessing and no pandas. What
comes back is lists, strings and copies of numbers: an array that shared memory with R would change under R's hands.

Imported inside an rpy2 worker only, after R was started.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from crosscheck.frame import Column, Frame

ri: Any = importlib.import_module("rpy2.rinterface")
openrlib: Any = importlib.import_module("rpy2.rinterface_lib.openrlib")

NA_INTEGER = -(2**31)
NA_REAL_WORD = 1954
NULL, DOUBLE, INTEGER, LOGICAL, TEXT, LIST, OBJECT, MATRIX, ROWS = range(9)
SCALAR = -1


def to_r(value: Any) -> Any:
    """Return an R object for a plain value: objects become named lists, arrays unnamed lists.

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


def unpack(packed: Any) -> Any:
    """Return plain Python for what ``cc_packed()`` of ``protocol.R`` yields: three vectors, read at once.

    Raises
    ------
    TypeError
        Where the vectors do not fit each other, or hold a code that has no meaning.
    """
    shape, doubles, texts = packed
    reader = _Reader(_flat(shape, "i4").tolist(), _doubles(doubles), _texts(texts))
    value = reader.value()
    if not reader.at_end():
        raise TypeError("an answer of R goes on after its end")
    return value


def _texts(value: Any) -> list[str | None]:
    return [None if v is ri.NA_Character else str(v) for v in value]


class _Reader:
    """Walks the shape of an answer and takes its doubles and texts in their order."""

    def __init__(self, shape: list[int], doubles: list[float | None], texts: list[str | None]) -> None:
        self._shape, self._doubles, self._texts = shape, doubles, texts
        self._at = self._double = self._text = 0

    def at_end(self) -> bool:
        """Say whether all was taken."""
        left = (len(self._shape) - self._at, len(self._doubles) - self._double, len(self._texts) - self._text)
        return left == (0, 0, 0)

    def value(self) -> Any:
        """Return the next value."""
        code = self._integers(1)[0]
        if code == NULL:
            return None
        if code == MATRIX:
            rows, columns = self._integers(2)
            flat = self._take_doubles(rows * columns)
            return [flat[row::rows] for row in range(rows)]
        (size,) = self._integers(1)
        if code == LIST:
            return [self.value() for _ in range(size)]
        if code == OBJECT:
            names = self._take_texts(size)
            return {str(name): self.value() for name in names}
        if code == ROWS:
            names = self._take_texts(size)
            columns_ = [self.value() for _ in range(size)]
            return [dict(zip(names, row, strict=True)) for row in zip(*columns_, strict=True)]
        items = self._vector(code, abs(size))
        return items[0] if size == SCALAR else items

    def _vector(self, code: int, size: int) -> list[Any]:
        if code == DOUBLE:
            return self._take_doubles(size)
        if code == TEXT:
            return self._take_texts(size)
        if code == INTEGER:
            return [None if v == NA_INTEGER else v for v in self._integers(size)]
        if code == LOGICAL:
            return [None if v == NA_INTEGER else bool(v) for v in self._integers(size)]
        raise TypeError(f"an answer of R has the code {code}")

    def _integers(self, count: int) -> list[int]:
        out = self._shape[self._at : self._at + count]
        self._at += count
        return _whole(out, count)

    def _take_doubles(self, count: int) -> list[Any]:
        out = self._doubles[self._double : self._double + count]
        self._double += count
        return _whole(out, count)

    def _take_texts(self, count: int) -> list[Any]:
        out = self._texts[self._text : self._text + count]
        self._text += count
        return _whole(out, count)


def _whole(found: list[Any], count: int) -> list[Any]:
    if len(found) != count:
        raise TypeError("an answer of R ends too early")
    return found
