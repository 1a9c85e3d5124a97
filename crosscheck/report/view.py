"""What is a table once it is laid out? Plain data that every renderer of tables walks over."""

from __future__ import annotations

from dataclasses import dataclass

from crosscheck.report.digits import Shown
from crosscheck.report.model import TableRow
from crosscheck.report.words import LETTERS, group_of
from crosscheck.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One shown number: its digits, all of them (``full``), its mark of significance, and the verdict on it.

    ``other_stars`` says that the printed table has another mark.
    ``engines`` names the engines behind it where those of its language do not all show the same; ``pad`` is how many
    decimals it lacks against the others of its stack.
    """

    shown: Shown
    full: str = ""
    stars: str = ""
    other_stars: bool = False
    verdict: Verdict | None = None
    engines: tuple[str, ...] = ()
    label: str = ""
    pad: int = 0

    @property
    def letter(self) -> str:
        """The letter of the verdict, or nothing."""
        return LETTERS[self.verdict] if self.verdict else ""

    @property
    def group(self) -> str:
        """The group of the verdict, or nothing."""
        return group_of(self.verdict) if self.verdict else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One source (``published``, ``Python``, ``R``) of one quantity of one term, over all columns."""

    source: str
    quantity: str
    cells: tuple[tuple[Number, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermBlock:
    """All lines of one term, or of one statistic of the fit (``term`` is then its name)."""

    term: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRow:
    """A row of words at the foot of a table, such as the fixed effects."""

    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table as laid out: printed terms first, the others apart, statistics and words below."""

    table: TableRow
    terms: tuple[TermBlock, ...]
    others: tuple[TermBlock, ...]
    statistics: tuple[TermBlock, ...]
    texts: tuple[TextRow, ...]
    languages: tuple[tuple[str, tuple[str, ...]], ...]
    has_print: bool
