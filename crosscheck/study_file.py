"""What may stand in ``study.toml``?

Pydantic models of the file as written; unknown keys are errors. :func:`read_study_file` renders every mistake as one
message with file, key, what is allowed and the nearest word. :mod:`crosscheck.study` resolves the file to a study.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError

from crosscheck.errors import StudyError, nearest
from crosscheck.frame import Kind
from crosscheck.spec import Estimator, Model, SscSpec, VcovSpec, WeightsSpec
from crosscheck.syntax import listing
from crosscheck.validation import validation_error

STUDY_FILE = "study.toml"
MAX_ID = 80
STARS: Mapping[str, float] = {"***": 0.01, "**": 0.05, "*": 0.10}
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RANGE = re.compile(r"\s*(?:(?:==|!=|<=|>=|<|>|~=)\s*[0-9][0-9A-Za-z.*+!-]*\s*(?:,\s*(?=\S)|$))+")


def _id(text: str) -> str:
    if not ID.fullmatch(text) or ".." in text or len(text) > MAX_ID:
        raise ValueError(
            f"{text!r} cannot be an id, which becomes a file name: letters, digits, '.', '_' and '-', at most {MAX_ID}"
        )
    return text


def _weights(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _missing(value: Any) -> Any:
    return {"*": value} if isinstance(value, list) else value


def _legend(value: dict[str, float]) -> dict[str, float]:
    for mark, threshold in value.items():
        if not mark or any(c.isalnum() or c.isspace() for c in mark):
            raise ValueError(f'{mark!r} is no star; a legend is written {{ "***" = 0.01, "**" = 0.05, "*" = 0.10 }}')
        if not 0 < threshold < 1:
            raise ValueError(f"the threshold of {mark} is {threshold}; it lies between 0 and 1, such as 0.05")
    return value


def _range(text: str) -> str:
    if not _RANGE.fullmatch(text):
        raise ValueError(f"{text!r} is no range of versions; write >=0.60,<0.61")
    return text


def _release(version: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in re.findall(r"[0-9]+", version.partition("+")[0]))
    return numbers[: len(numbers) - next((i for i, n in enumerate(reversed(numbers)) if n), len(numbers))]


def in_range(version: str, text: str) -> bool:
    """Say whether a version lies in a range such as ``>=0.60,<0.61``; ``1.2`` equals ``1.2.0``.

    Only the numbers of a version count: a pre-release ranks as the release it precedes.
    """
    given = _release(version)
    for operator, bound in re.findall(r"(==|!=|<=|>=|<|>|~=)\s*([0-9][0-9A-Za-z.*+!-]*)", text):
        limit = _release(bound.removesuffix(".*"))
        same = given[: len(limit)] == limit if bound.endswith(".*") else given == limit
        compatible = given >= limit and given[: max(1, bound.count("."))] == limit[: max(1, bound.count("."))]
        holds = {
            "==": same,
            "!=": not same,
            "<": given < limit,
            "<=": given <= limit,
            ">": given > limit,
            ">=": given >= limit,
            "~=": compatible,
        }
        if not holds[operator]:
            return False
    return True


def _texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _nonempty(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty")
    return text


Id = Annotated[str, AfterValidator(_id)]
NonEmpty = Annotated[str, AfterValidator(_nonempty)]
Weights = Annotated[WeightsSpec, BeforeValidator(_weights)]
Legend = Annotated[dict[str, float], AfterValidator(_legend)]
Level = Annotated[float, Field(gt=0, lt=1)]
Engines = tuple[str, ...]


class DataTable(Model):
    """``[data]``: the file, the panel's identifiers, and the kind of each column that is used.

    ``missing`` lists the texts that mean missing (default: the empty cell), for all columns or as a table by column;
    ``levels`` orders the levels of categories; ``repeated`` allows a unit to occur twice in a period.
    ``simulated`` says of data that are not the paper's own what they are; every report shows it first.
    """

    path: NonEmpty
    unit: str | None = None
    time: str | None = None
    kinds: dict[str, Kind] = Field(default_factory=dict)
    levels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    missing: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_missing)] = Field(default_factory=dict)
    repeated: bool = False
    simulated: str = ""


class SampleTable(Model):
    """``sample``: which rows."""

    where: NonEmpty


class Defaults(Model):
    """``[defaults]``: what holds for every column that does not say otherwise."""

    estimator: Estimator = "feols"
    vcov: VcovSpec = VcovSpec()
    ssc: SscSpec = SscSpec()
    weights: Weights | None = None
    sample: SampleTable | None = None
    candidates: Engines | None = None
    references: Engines | None = None
    conf_level: Level = 0.95


class ColumnTable(Model):
    """``[[table.column]]``: one estimation.

    ``keep`` names the coefficients that are compared and shown where the others are nuisance, such as dummies.
    ``constant_of = "table/column"``: this column's dummies give the constant that is printed there, where effects are
    absorbed. ``joint`` names tests that all sources are compared on though none is printed: ``wald:a+b`` or
    ``chi2:a+b`` (:mod:`crosscheck.wald`).
    """

    id: Id
    title: str = ""
    estimator: Estimator | None = None
    formula: str | None = None
    vcov: VcovSpec | None = None
    ssc: SscSpec | None = None
    weights: Weights | None = None
    sample: SampleTable | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    candidates: Engines | None = None
    references: Engines | None = None
    conf_level: Level | None = None
    keep: tuple[NonEmpty, ...] = ()
    constant_of: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")] | None = None
    joint: tuple[Annotated[str, Field(pattern=r"^(wald|chi2):.+")], ...] = ()


class TableTable(Model):
    """``[[table]]``: one table of the paper. A table of kind ``descriptives`` is printed and not estimated."""

    id: Id
    title: str = ""
    source: str = ""
    kind: Literal["regression", "descriptives"] = "regression"
    legend: Legend | None = None
    column: tuple[ColumnTable, ...] = ()


class ToleranceRow(Model):
    """``[[tolerance]]``: a tolerance looser (or tighter) than the default, with its reason."""

    quantity: NonEmpty
    table: str | None = None
    column: str | None = None
    term: str | None = None
    reference: str | None = None
    candidate: str | None = None
    rtol: Annotated[float, Field(ge=0, lt=1)]
    stol: Annotated[float, Field(ge=0)] = 0.0
    reason: NonEmpty

    def applies(self, table: str, column: str, reference: str, candidate: str) -> bool:
        """Say whether the row covers a comparison of two sources in a column."""
        return (
            self.table in (None, "*", table)
            and self.column in (None, "*", column)
            and self.reference in (None, "*", reference)
            and self.candidate in (None, "*", candidate)
        )


class KnownRow(Model):
    """``[[known]]``: a difference that is known and explained elsewhere; stale as soon as it no longer shows.

    ``quantity`` is one word or a list of them; ``"*"``, or nothing, stands for all. A row of kind ``convention`` covers
    a difference of two engines only where a rule has explained it by replay: an unexplained one stays unexplained.
    ``version_range`` limits the row to versions of the candidate.
    """

    table: str
    column: str | None = None
    term: str | None = None
    quantity: Annotated[tuple[NonEmpty, ...], BeforeValidator(_texts)] | None = None
    reference: str | None = None
    candidate: str | None = None
    kind: Literal["erratum", "package_bug", "convention"]
    reason: NonEmpty
    source: NonEmpty
    version_range: Annotated[str, AfterValidator(_range)] | None = None

    def covers(self, version: str) -> bool:
        """Say whether a version of the candidate lies in the row's range; without a range, or a version, it does."""
        return not self.version_range or not version or in_range(version, self.version_range)

    def matches(self, cell: Any) -> bool:
        """Say whether a compared cell (anything with table, column, term, quantity, reference, candidate) is meant."""
        pairs = (
            (self.table, cell.table),
            (self.column, cell.column),
            (self.term, cell.term),
            (self.reference, cell.reference),
            (self.candidate, cell.candidate),
        )
        if self.kind == "convention" and cell.verdict == "unexplained" and cell.reference != "published":
            return False
        quantity = self.quantity in (None, ("*",)) or cell.quantity in (self.quantity or ())
        return quantity and all(wanted in (None, "*", found) for wanted, found in pairs)


class StudyFile(Model):
    """``study.toml`` as written; ``constant_term`` is the word that the paper's tables have for ``(Intercept)``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal[1] = Field(alias="schema")
    study: Id
    title: str = ""
    data: DataTable | None = None
    macros: dict[str, str] = Field(default_factory=dict)
    constant_term: NonEmpty | None = None
    defaults: Defaults = Defaults()
    legend: Legend = Field(default_factory=lambda: dict(STARS))
    table: tuple[TableTable, ...] = ()
    tolerance: tuple[ToleranceRow, ...] = ()
    known: tuple[KnownRow, ...] = ()
    notes: str | None = None
    simulate: dict[str, Any] | None = None
    audit: dict[str, Any] | None = None


def find_study_file(path: Path) -> Path:
    """Return the ``study.toml`` that a path means: itself, or the one in the folder.

    Raises
    ------
    StudyError
        Where there is none.
    """
    if path.is_dir():
        file = path / STUDY_FILE
        if file.is_file():
            return file
        if file.is_dir():
            raise StudyError(f"{STUDY_FILE} is a folder, not a file", where=str(file), hint="move it away")
        inner = sorted(p.parent.name for p in path.glob(f"*/{STUDY_FILE}"))
        raise StudyError(
            f"the folder has no {STUDY_FILE}",
            where=str(path),
            allowed=f"its subfolders {listing(inner)}" if inner else "",
            hint=f"name one of the studies: {path / inner[0]}" if inner else f"make one: crosscheck init {path}",
        )
    if path.is_file():
        return path
    near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
    raise StudyError(f"there is no study {path}", where=str(path), hint=near or f"make one: crosscheck init {path}")


def read_study_file(file: Path) -> tuple[StudyFile, bytes]:
    """Read and validate ``study.toml``.

    Returns
    -------
    model : StudyFile
    content : bytes

    Raises
    ------
    StudyError
        One message for all mistakes, the first in full.
    """
    try:
        content = file.read_bytes()
        raw = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise StudyError(
            f"the study cannot be read: {error.strerror or error}", where=str(file), hint="check its permissions"
        ) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError("the file is not UTF-8", where=f"{file}, line {line}", hint="save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _toml_error(file, str(error)) from None
    try:
        return StudyFile.model_validate(raw), content
    except ValidationError as error:
        raise validation_error(error, StudyFile, raw, where=str(file)) from None


def _toml_error(file: Path, message: str) -> StudyError:
    match = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    place = f"{file}, line {match[1]}, character {match[2]}" if match and match[1] else f"{file}, end of file"
    what = message[: match.start()] if match else message
    hint = "see the line: one key = value, texts in quotation marks, tables as [data], [[table]], [[table.column]]"
    if "Cannot overwrite" in what or "declare" in what:
        hint = "a key or table is written twice; a further table begins with [[table]]"
    return StudyError(f"the TOML is malformed: {what[:1].lower()}{what[1:]}", where=place, hint=hint)
