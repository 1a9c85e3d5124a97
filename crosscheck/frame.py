"""How does a sample travel between processes without one value changing?

A :class:`Frame` is an immutable set of typed columns. Its key is the hash of its content, so that a worker may keep it
and a cache may trust it. No pandas object crosses a process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["category", "integer", "float", "boolean", "date"]
NA_INT = -(2**31)
INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One typed column.

    ``values`` is float64 for ``float``; int32 codes (-1 missing) for ``category``; int32 with :data:`NA_INT` for
    missing for ``boolean`` and ``date`` (days since 1970-01-01); and for ``integer`` int32, or float64 with NaN where a
    value is missing or leaves the int32 range (exact up to 2**53).
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        allowed = {
            "float": ("f8",),
            "integer": ("i4", "f8"),
            "category": ("i4",),
            "boolean": ("i4",),
            "date": ("i4",),
        }[self.kind]
        if self.values.ndim != 1 or self.values.dtype.str[1:] not in allowed:
            raise DataError(f"column {self.name!r} of kind {self.kind} cannot hold {self.values.dtype}")
        if self.kind == "category" and self.values.size:
            low, high = int(self.values.min()), int(self.values.max())
            if low < -1 or high >= len(self.levels):
                raise DataError(f"column {self.name!r} has codes outside its {len(self.levels)} levels")

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Mask of missing values, shape (n,)."""
        if self.values.dtype.kind == "f":
            return np.asarray(np.isnan(self.values))
        if self.kind == "category":
            return np.asarray(self.values == -1)
        if self.kind == "integer":
            return np.zeros(self.values.shape, dtype=bool)
        return np.asarray(self.values == NA_INT)

    def as_float(self) -> NDArray[np.float64]:
        """The values as float64, shape (n,), NaN where missing; a category raises :class:`DataError`."""
        if self.kind == "category":
            raise DataError(
                f"column {self.name!r} is a category and is used as a number",
                hint=f"write i({self.name}), or declare it integer or float in [data.kinds]",
            )
        out = self.values.astype(np.float64)
        if self.values.dtype.kind != "f" and self.kind != "integer":
            out[self.values == NA_INT] = np.nan
        return out

    def codes(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Codes from 0 (missing: -1) and labels, sorted as the column's kind sorts; for fixed effects and clusters."""
        if self.kind == "category":
            return self.values.astype(np.int64), self.levels
        missing = self.missing
        unique, inverse = np.unique(self.values[~missing], return_inverse=True)
        codes = np.full(self.values.shape, -1, dtype=np.int64)
        codes[~missing] = inverse
        if self.kind == "date":
            labels = tuple(str(np.datetime64(int(v), "D")) for v in unique)
        elif self.kind == "boolean":
            labels = tuple("TRUE" if v else "FALSE" for v in unique)
        else:
            labels = tuple(str(int(v)) if float(v).is_integer() else repr(float(v)) for v in unique)
        return codes, labels

    def take(self, rows: NDArray[Any]) -> Column:
        """Rows of the column; levels that no longer occur are dropped, the order of the others is kept."""
        values = np.ascontiguousarray(self.values[rows])
        if self.kind != "category":
            return Column(self.name, self.kind, values)
        used = np.unique(values[values >= 0])
        lookup = np.full(len(self.levels) + 1, -1, dtype=np.int32)
        lookup[used] = np.arange(used.size, dtype=np.int32)
        return Column(self.name, self.kind, lookup[values], tuple(self.levels[i] for i in used))


@dataclass(frozen=True, eq=False)
class Frame:
    """An immutable sample: columns of equal length.

    Attributes
    ----------
    columns : tuple of Column
    nrows : int
    row_ids : ndarray of int64, shape (nrows,)
        Row numbers in the data file, from 0, so that a dropped row can be named.
    """

    columns: tuple[Column, ...]
    nrows: int
    row_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        names = [c.name for c in self.columns]
        if len(set(names)) != len(names):
            raise DataError("two columns of the data have the same name")
        for column in self.columns:
            if column.values.shape != (self.nrows,):
                raise DataError(f"column {column.name!r} has {column.values.shape[0]} rows, the frame {self.nrows}")

    @cached_property
    def _by_name(self) -> Mapping[str, Column]:
        return {c.name: c for c in self.columns}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns in their order."""
        return tuple(self._by_name)

    @cached_property
    def combined(self) -> dict[tuple[str, ...], tuple[NDArray[np.int64], tuple[str, ...]]]:
        """Codes and labels of columns and of their combinations, each once made, for who asks again."""
        return {}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Column:
        try:
            return self._by_name[name]
        except KeyError:
            raise DataError(
                f"there is no column {name!r} in the data",
                allowed=", ".join(self.names),
                hint=nearest(name, self.names),
            ) from None

    def take(self, rows: NDArray[Any]) -> Frame:
        """Rows by boolean mask or positions."""
        ids = self.row_ids if self.row_ids.size else np.arange(self.nrows, dtype=np.int64)
        ids = ids[rows]
        return Frame(tuple(c.take(rows) for c in self.columns), int(ids.size), ids)

    def select(self, names: Iterable[str]) -> Frame:
        """The named columns, in the order of this frame."""
        wanted = set(names)
        for name in wanted:
            self[name]
        return Frame(tuple(c for c in self.columns if c.name in wanted), self.nrows, self.row_ids)

    @cached_property
    def key(self) -> str:
        """SHA-256 of names, kinds, levels and values in file order; columns are sorted by name."""
        hasher = hashlib.sha256()
        for column in sorted(self.columns, key=lambda c: c.name):
            head = "\x1f".join((column.name, column.kind, column.values.dtype.str, *column.levels))
            hasher.update(f"{len(head.encode())}:{head}:{self.nrows};".encode())
            values = np.ascontiguousarray(column.values)
            if values.dtype.kind == "f":
                values = np.where(np.isnan(values), np.nan, values)
            hasher.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
        return hasher.hexdigest()

    def encode(self) -> tuple[list[dict[str, Any]], bytes]:
        """Describe the columns and pack their buffers, as ``docs/protocol.md`` says."""
        described, chunks, offset = [], [], 0
        for c in self.columns:
            raw = np.ascontiguousarray(c.values).astype(c.values.dtype.newbyteorder("<"), copy=False).tobytes()
            described.append(
                {
                    "name": c.name,
                    "kind": c.kind,
                    "width": c.values.dtype.itemsize,
                    "offset": offset,
                    "bytes": len(raw),
                    "levels": list(c.levels),
                }
            )
            chunks.append(raw)
            offset += len(raw)
        return described, b"".join(chunks)

    def to_pandas(self) -> pd.DataFrame:
        """A pandas frame with index 0..n-1.

        Categories become ordinary (unordered) ``category`` columns of ``str``; integers int64 (float64 where missing);
        booleans bool (float64 where missing); dates datetime64.
        """
        import pandas as pd

        data: dict[str, Any] = {}
        for c in self.columns:
            if c.kind == "category":
                data[c.name] = pd.Categorical.from_codes(c.values.tolist(), dtype=pd.CategoricalDtype(list(c.levels)))
            elif c.kind == "date":
                days = c.values.astype("datetime64[D]").astype("datetime64[s]")
                days[c.missing] = np.datetime64("NaT")
                data[c.name] = days
            elif c.kind == "boolean":
                data[c.name] = c.as_float() if c.missing.any() else c.values.astype(bool)
            elif c.kind == "integer" and not c.missing.any():
                data[c.name] = c.values.astype(np.int64)
            else:
                data[c.name] = c.values.astype(np.float64)
        return pd.DataFrame(data, index=pd.RangeIndex(self.nrows), copy=True)


def decode(described: Sequence[Mapping[str, Any]], payload: bytes | memoryview, nrows: int) -> Frame:
    """Rebuild a frame from :meth:`Frame.encode`; the arrays are copies.

    Raises
    ------
    DataError
        Where a buffer does not have the length that its description says.
    """
    columns = []
    for d in described:
        dtype = "<f8" if d["width"] == 8 else "<i4"
        raw = memoryview(payload)[d["offset"] : d["offset"] + d["bytes"]]
        values = np.frombuffer(raw, dtype=dtype).astype(dtype[1:], copy=True)
        if values.shape != (nrows,):
            raise DataError(f"column {d['name']!r} arrived with {values.size} rows instead of {nrows}")
        columns.append(Column(d["name"], d["kind"], values, tuple(d["levels"])))
    return Frame(tuple(columns), nrows)
