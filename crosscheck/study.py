"""What does a study ask, of which engines, on which rows, and what does the paper print?

:func:`load_study` reads ``study.toml``, the header of the data and ``published.csv``, checks that they fit together,
and resolves every column to a :class:`~crosscheck.spec.FitRequest` in which nothing is left to a default of an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from crosscheck.canon import sha256
from crosscheck.data import DeclaredData, inside, open_data, sample
from crosscheck.declared import Declared
from crosscheck.errors import DataError, StudyError
from crosscheck.formula import Call, Formula, Name
from crosscheck.formula_tree import INTERCEPT
from crosscheck.frame import Frame
from crosscheck.modelmatrix import reference_level
from crosscheck.published import PublishedNumber, read_published
from crosscheck.resolve import resolve_tables
from crosscheck.study_file import KnownRow, StudyFile, ToleranceRow, find_study_file, read_study_file
from crosscheck.tables import ColumnSpec, Table
from crosscheck.terms import check_columns, check_numbers, sunab_term
from crosscheck.truth import TRUTH_FILE, KnownTruth, read_truth

__all__ = ["ColumnSpec", "KnownRow", "Study", "StudyFile", "Table", "ToleranceRow", "load_study"]

PUBLISHED_FILE = "published.csv"
NOTES_FILE = "NOTES.md"


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A study, checked and resolved.

    Attributes
    ----------
    id, title : str
    folder, file : Path
        The study's folder and its ``study.toml``.
    toml_sha256, published_sha256 : str
        Of the files; the latter empty where nothing is printed.
    unit, time : str or None
    tables : tuple of Table
    tolerances, known
        Rows of the file.
    published : tuple of PublishedNumber
    notes : str
        Text of the notes.
    data : DeclaredData or None
        ``None`` for a study that is only audited or simulated.
    simulate, audit : mapping or None
        Sections of the file that other commands read.
    truths : tuple of KnownTruth
        What the panel was made with, where it was simulated.
    """

    id: str
    title: str
    folder: Path
    file: Path
    toml_sha256: str
    published_sha256: str
    unit: str | None
    time: str | None
    tables: tuple[Table, ...]
    tolerances: tuple[ToleranceRow, ...]
    known: tuple[KnownRow, ...]
    published: tuple[PublishedNumber, ...]
    notes: str
    data: DeclaredData | None
    simulate: Mapping[str, Any] | None = None
    audit: Mapping[str, Any] | None = None
    truths: tuple[KnownTruth, ...] = ()

    @property
    def data_path(self) -> str:
        """The data file as the study names it, relative to its folder; empty without data."""
        return self.data.file.path.relative_to(self.folder).as_posix() if self.data else ""

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """All columns of all tables, in order."""
        return tuple(c for t in self.tables for c in t.columns)

    def column(self, table: str, column: str) -> ColumnSpec:
        """Return a column by its ids.

        Raises
        ------
        StudyError
            Where there is none.
        """
        for candidate in self.columns:
            if (candidate.table, candidate.id) == (table, column):
                return candidate
        known = ", ".join(f"{c.table}/{c.id}" for c in self.columns)
        raise StudyError(f"there is no column {table}/{column}", where=str(self.file), allowed=known)

    def frame(self) -> Frame:
        """Return all rows of the declared columns; read once.

        Raises
        ------
        StudyError, DataError
            Where the study has no data, a cell cannot be read, or a unit occurs twice in a period.
        """
        if self.data is None:
            raise StudyError(
                "the study has no data", where=str(self.file), hint='name a file: [data] path = "panel.csv"'
            )
        return self.data.frame

    def sample(self, column: ColumnSpec) -> Frame:
        """Return the rows and columns that a column of a table is estimated on.

        Raises
        ------
        DataError
            Where a cell cannot be read, a unit occurs twice in a period, no row is left, or ``ref`` names a level that
            the sample does not have.
        """
        label = f"{self.file}, {column.key} ({column.table}/{column.id})"
        chosen = sample(self.frame(), column.filter, column.request.columns, label=f"{label}, sample.where")
        if column.formula is not None:
            _check_references(column.formula, chosen, label)
        return chosen

    def printed(self, column: ColumnSpec) -> tuple[PublishedNumber, ...]:
        """Return the numbers that the paper prints in a column, in the order of the file.

        A column that gives the constant of another has the numbers printed for it there.
        """
        own = self._printed.get((column.table, column.id), ())
        if column.constant_of is None:
            return own
        there = self._printed.get(column.constant_of, ())
        return (*own, *(replace(n, table=column.table, column=column.id) for n in there if n.term == INTERCEPT))

    def truth(self, column: ColumnSpec) -> tuple[KnownTruth, ...]:
        """Return the known truths of a column, in the order of the file."""
        return tuple(t for t in self.truths if (t.table, t.column) == (column.table, column.id))

    @cached_property
    def _printed(self) -> Mapping[tuple[str, str], tuple[PublishedNumber, ...]]:
        found: dict[tuple[str, str], list[PublishedNumber]] = {}
        for number in self.published:
            found.setdefault((number.table, number.column), []).append(number)
        return {key: tuple(numbers) for key, numbers in found.items()}

    def data_provenance(self) -> dict[str, Any]:
        """Return where the data come from: path in the study's folder, hash, bytes, rows, columns, and if simulated."""
        if self.data is None:
            return {"path": None, "sha256": None, "bytes": 0, "rows": 0, "columns": 0}
        return {
            "path": self.data_path,
            "sha256": self.data.file.sha256,
            "bytes": len(self.data.file.content),
            "rows": self.data.file.nrows,
            "columns": len(self.data.file.header),
            **({"simulated": self.data.simulated} if self.data.simulated else {}),
        }


def _check_references(formula: Formula, frame: Frame, label: str) -> None:
    instruments = formula.iv.instruments if formula.iv else ()
    for factor in (f for term in (*formula.terms, *instruments) for f in term):
        if not isinstance(factor, Call) or factor.ref is None or not isinstance(factor.args[0], Name):
            continue
        name, level = factor.args[0].name, reference_level(factor)
        _, levels = frame[name].codes()
        if level not in levels:
            raise DataError(
                f"ref = {level} is no level of {name} in the sample", where=label, allowed=", ".join(levels[:24])
            )


def load_study(path: Path | str) -> Study:
    """Read a study and check it.

    Parameters
    ----------
    path : Path or str
        The study's folder, or its ``study.toml``.

    Raises
    ------
    StudyError, DataError, FormulaError, PublishedError
        With file, key or line, what was allowed, and what to do.
    """
    file = find_study_file(Path(path))
    model, content = read_study_file(file)
    folder = file.parent
    data = _declared_data(folder, model, str(file))
    declared = Declared(file=str(file), model=model, data=data.file if data else None)
    tables = resolve_tables(declared)
    check_columns(tables, data, where=str(file))
    published: tuple[PublishedNumber, ...] = ()
    published_sha256 = ""
    if (folder / PUBLISHED_FILE).exists():
        printed_path = inside(folder, PUBLISHED_FILE, what="the table of printed numbers")
        numbers = read_published(printed_path, where=str(printed_path))
        named = tuple(replace(n, term=INTERCEPT) if n.term == model.constant_term else n for n in numbers)
        published = check_numbers(named, tables, data, where=str(printed_path))
        published_sha256 = sha256(printed_path.read_bytes())
    return Study(
        id=model.study,
        title=model.title,
        folder=folder,
        file=file,
        toml_sha256=sha256(content),
        published_sha256=published_sha256,
        unit=declared.unit,
        time=declared.time,
        tables=tables,
        tolerances=model.tolerance,
        known=model.known,
        published=published,
        notes=_notes(folder, model.notes, str(file)),
        data=data,
        simulate=model.simulate,
        audit=model.audit,
        truths=_truths(folder, tables),
    )


def _truths(folder: Path, tables: tuple[Table, ...]) -> tuple[KnownTruth, ...]:
    """Read the known truths; those of Sun and Abraham's estimator may be spelled like group-time aggregations."""
    columns = {(c.table, c.id): c.request for t in tables for c in t.columns}
    found = []
    for truth in read_truth(folder / TRUTH_FILE, columns):
        request = columns[truth.table, truth.column]
        spelled = sunab_term(truth.term, request.time or "") if request.estimator == "sunab" else truth.term
        found.append(replace(truth, term=spelled))
    return tuple(found)


def _declared_data(folder: Path, model: StudyFile, file: str) -> DeclaredData | None:
    if model.data is None:
        return None
    path = inside(folder, model.data.path, what="data.path", where=f"{file}, data.path")
    return DeclaredData(
        file=open_data(path, missing=model.data.missing, where=str(path)),
        kinds=model.data.kinds,
        levels=model.data.levels,
        unit=model.data.unit,
        time=model.data.time,
        repeated=model.data.repeated,
        simulated=model.data.simulated,
    )


def _notes(folder: Path, name: str | None, file: str) -> str:
    path = folder / NOTES_FILE if name is None else inside(folder, name, what="notes", where=f"{file}, notes")
    if not path.is_file():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"the notes cannot be read: {error}", where=str(path), hint="save them as UTF-8") from None
