"""What exactly do the data say, column by declared column?

Kinds are declared in ``[data.kinds]`` and never guessed: ``NA`` may be Namibia, ``01`` a code, ``T`` a name. Values are
read without loss or not at all, and an error names the line. A column that is not used needs no kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.canon import sha256
from crosscheck.cells import KINDS, column_from, suggest
from crosscheck.errors import CrosscheckError, DataError, nearest
from crosscheck.frame import Column, Frame, Kind
from crosscheck.readers import READERS
from crosscheck.syntax import check_name, listing
from crosscheck.where import Where, evaluate, literals

__all__ = ["DataFile", "DeclaredData", "check_panel", "inside", "load_data", "open_data", "sample"]

MAX_BYTES = 2 * 1024**3
MISSING = ("",)
Missing = Sequence[str] | Mapping[str, Sequence[str]]


def inside(folder: Path, written: str, *, what: str, where: str = "") -> Path:
    """Return the file that a study names, which must lie in the study's folder.

    Raises
    ------
    DataError
        For an absolute path, a path with ``..``, a link that leads out of the folder, or a file that is not there.
    """
    parts = PurePosixPath(written).parts
    windows = PureWindowsPath(written)
    if (
        not written
        or "\0" in written
        or ".." in parts
        or "\\" in written
        or written.startswith(("/", "~"))
        or windows.drive
    ):
        raise DataError(
            f"{what} {written!r} does not name a file of the study",
            where=where,
            allowed="a path inside the study's folder, with / between folders",
            hint="copy the file into the folder of study.toml",
        )
    path = folder / written
    resolved = path.resolve()
    if not resolved.is_relative_to(folder.resolve()):
        raise DataError(
            f"{what} {written!r} leads out of the study's folder",
            where=where,
            hint="replace the link by the file itself",
        )
    if resolved.is_dir():
        raise DataError(
            f"{written!r} is a folder, not a file",
            where=where or str(folder),
            hint="name a file in it, or move it away",
        )
    if not resolved.is_file():
        siblings = sorted(p.name for p in path.parent.iterdir() if p.is_file()) if path.parent.is_dir() else []
        raise DataError(
            f"there is no file {written!r}",
            where=where or str(folder),
            allowed=listing(siblings) or "",
            hint=nearest(path.name, siblings) or f"put the file into {folder}",
        )
    return path


@dataclass(frozen=True)
class DataFile:
    """A data file, read once as bytes, its columns still untyped.

    Attributes
    ----------
    path : Path
    content : bytes
    where : str
        How messages name the file.
    missing : sequence or mapping
        Texts that mean missing, for all columns or by column, ``*`` for the others (default: the empty cell).
    """

    path: Path
    content: bytes
    where: str
    missing: Missing = MISSING

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return sha256(self.content)

    @cached_property
    def _table(self) -> tuple[tuple[str, ...], tuple[Sequence[Any], ...], NDArray[np.int64]]:
        """Header, columns of raw cells, and the line of each row (0: the format has no lines)."""
        header, columns, lines = READERS[self.path.suffix.lower()](self.content, self.where)
        for index, name in enumerate(header):
            first = header.index(name)
            if first != index and name:
                raise DataError(
                    f"columns {first + 1} and {index + 1} are both named {name!r}",
                    where=self.where,
                    hint="give each column a name of its own",
                )
        if not lines.size:
            raise DataError("the file has a header and no rows", where=self.where, hint="put the rows below it")
        return header, columns, lines

    @property
    def header(self) -> tuple[str, ...]:
        """Names of all columns in the file, declared or not."""
        return self._table[0]

    @property
    def nrows(self) -> int:
        """Number of rows."""
        return int(self._table[2].size)

    @property
    def lines(self) -> NDArray[np.int64]:
        """Line of each row in the file, shape (nrows,), 0 where the format has no lines."""
        return self._table[2]

    def place(self, row: int) -> str:
        """Name a row for a message: its line in a CSV, its number elsewhere."""
        line = int(self.lines[row])
        return f"line {line}" if line else f"row {row + 1}"

    def cells(self, name: str) -> Sequence[Any]:
        """Return the raw cells of a column."""
        header, columns, _ = self._table
        if name not in header:
            raise DataError(
                f"there is no column {name!r} in the data",
                where=self.where,
                allowed=listing(header),
                hint=nearest(name, header),
            )
        return columns[header.index(name)]

    def missing_of(self, name: str) -> frozenset[str]:
        """Return the texts that mean missing in a column."""
        if isinstance(self.missing, Mapping):
            return frozenset(self.missing.get(name, self.missing.get("*", MISSING)))
        return frozenset(self.missing)

    def suggest_kind(self, name: str) -> Kind:
        """Return the kind that a column's cells look like; for hints only, never used to read."""
        return suggest(self.cells(name), self.missing_of(name))

    def frame(self, kinds: Mapping[str, str], levels: Mapping[str, Sequence[str]] | None = None) -> Frame:
        """Read the declared columns.

        Parameters
        ----------
        kinds : mapping of str to str
            Column name to ``category``, ``integer``, ``float``, ``boolean`` or ``date``.
        levels : mapping of str to sequence of str, optional
            Order of a category's levels; others are sorted by code point.

        Raises
        ------
        DataError
            Naming the line and column of the first cell that is not of its kind.
        """
        levels = levels or {}
        for name in levels:
            if kinds.get(name) != "category":
                raise DataError(
                    f"column {name!r} has levels and is not declared a category",
                    where=self.where,
                    hint=f'write {name} = "category" in [data.kinds]',
                )
        columns: list[Column] = []
        for name in (*(h for h in self.header if h in kinds), *(k for k in kinds if k not in self.header)):
            kind = kinds[name]
            if kind not in KINDS:
                raise DataError(
                    f"column {name!r} has the kind {kind!r}",
                    where=self.where,
                    allowed=", ".join(KINDS),
                    hint=nearest(kind, KINDS),
                )
            try:
                check_name(name)
            except CrosscheckError as error:
                raise DataError(error.what, where=f"{self.where}, column {name!r}", hint=error.hint) from None
            cells = self.cells(name)
            columns.append(
                column_from(
                    name,
                    kind,
                    cells,
                    missing=self.missing_of(name),
                    levels=levels.get(name),
                    place=lambda row: f"{self.where}, {self.place(row)}",
                )
            )
        return Frame(tuple(columns), self.nrows, np.arange(self.nrows, dtype=np.int64))


def open_data(path: Path, *, missing: Missing = MISSING, where: str = "") -> DataFile:
    """Read a data file's bytes and check that it is one.

    Raises
    ------
    DataError
        Where the file is missing, empty, too large, or of an unknown format.
    """
    label = where or path.name
    if path.suffix.lower() not in READERS:
        raise DataError(
            f"the data file {path.name!r} has no known format",
            where=label,
            allowed=", ".join(READERS),
            hint="export it as CSV in UTF-8",
        )
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"the data file has {size} bytes", where=label, allowed=f"{MAX_BYTES} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"the data file cannot be read: {error.strerror or error}", where=label, hint="check its permissions"
        ) from None
    if not content.strip():
        raise DataError("the data file is empty", where=label, hint="put the data there, names of columns first")
    return DataFile(path, content, label, missing)


def load_data(
    path: Path,
    kinds: Mapping[str, str],
    *,
    levels: Mapping[str, Sequence[str]] | None = None,
    missing: Missing = MISSING,
    where: str = "",
) -> Frame:
    """Read the declared columns of a CSV, parquet or Stata file; see :class:`DataFile`."""
    return open_data(path, missing=missing, where=where).frame(kinds, levels)


def check_panel(frame: Frame, unit: str, time: str, *, file: DataFile | None = None, where: str = "") -> None:
    """Refuse data in which a unit occurs twice in one period.

    Raises
    ------
    DataError
        Naming the first such pair and where both rows stand.
    """
    (unit_codes, unit_labels), (time_codes, time_labels) = frame[unit].codes(), frame[time].codes()
    known = (unit_codes >= 0) & (time_codes >= 0)
    pairs = unit_codes * max(len(time_labels), 1) + time_codes
    pairs[~known] = -1 - np.arange(np.count_nonzero(~known))
    order = np.argsort(pairs, kind="stable")
    again = order[1:][pairs[order][1:] == pairs[order][:-1]]
    if not again.size:
        return
    second = int(again.min())
    first = int(np.flatnonzero(pairs == pairs[second])[0])
    ids = frame.row_ids if frame.row_ids.size else np.arange(frame.nrows)
    name = file.place if file is not None else (lambda row: f"row {row + 1}")
    raise DataError(
        f"{unit} = {unit_labels[unit_codes[second]]!r}, {time} = {time_labels[time_codes[second]]!r} occurs twice: "
        f"{name(int(ids[first]))} and {name(int(ids[second]))}",
        where=where or (file.where if file is not None else ""),
        allowed="one row for each unit and time",
        hint="remove the repeated row, or write repeated = true in [data] for repeated cross-sections",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class DeclaredData:
    """A data file and what a study declares of it."""

    file: DataFile
    kinds: Mapping[str, Kind]
    levels: Mapping[str, tuple[str, ...]]
    unit: str | None = None
    time: str | None = None
    repeated: bool = False
    simulated: str = ""

    @cached_property
    def frame(self) -> Frame:
        """All rows of the declared columns; a unit that occurs twice in a period is an error unless ``repeated``."""
        frame = self.file.frame(self.kinds, self.levels)
        if self.unit and self.time and not self.repeated:
            check_panel(frame, self.unit, self.time, file=self.file)
        return frame


def sample(frame: Frame, where: Where | None, columns: Collection[str] | None = None, *, label: str = "") -> Frame:
    """Return the rows that a filter selects and the columns that are needed.

    Raises
    ------
    DataError
        Where no row is left.
    """
    chosen = frame
    if where is not None:
        for name, text in literals(where):
            levels = frame[name].levels
            if frame[name].kind == "category" and text not in levels:
                raise DataError(
                    f"{name} is never {text!r} in the data",
                    where=label,
                    allowed=listing(repr(level) for level in levels),
                    hint=nearest(text, levels),
                )
        mask = evaluate(where, frame)
        if not mask.any():
            seen = "; ".join(f"{n}: {_seen(frame[n])}" for n in where.columns)
            raise DataError(
                f"no row is left after the filter {where.text}", where=label, hint=f"what the data hold: {seen}"
            )
        chosen = frame.take(mask)
    return chosen if columns is None else chosen.select(columns)


def _seen(column: Column) -> str:
    _, labels = column.codes()
    if not labels:
        return "only missing values"
    return listing((repr(label) if column.kind == "category" else label for label in labels), 8)
