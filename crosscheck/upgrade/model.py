"""What is a change between two versions? Plain frozen data, and how it is written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from crosscheck.canon import plain
from crosscheck.report.json_ import explanation_data
from crosscheck.report.model import CellRow, EngineRow, Explanation, Value
from crosscheck.verdict import Severity

SCHEMA = 1
Kind = Literal[
    "number",
    "term gone",
    "term new",
    "error new",
    "error gone",
    "error changed",
    "unsupported new",
    "unsupported gone",
    "report gone",
    "report new",
    "warning new",
    "warning gone",
]
Side = Literal["old", "new", "both", "neither"]
SIDES: tuple[Side, ...] = ("new", "old", "both", "neither")
PRIMARY = ("estimate", "std_error", "nobs", "df_resid", "r2", "adj_r2", "r2_within")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What a source that is neither version says of one number, and which side it agrees with.

    ``old_digits`` and ``new_digits`` are the digits on which each side agrees with it.
    """

    source: str
    value: Value
    side: Side
    old_digits: float | None
    new_digits: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One number that is another one, or is there in one version only."""

    cell: CellRow
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed for one reason.

    Attributes
    ----------
    kind : str
    severity : str
    title : str
        One plain sentence.
    study : str
    places : tuple of (table, column)
    moved : tuple of Moved
        The numbers; empty for warnings and for fits that happen in one version only.
    explanations : tuple of Explanation
        Causes, replayed.
    supports : tuple of (source, side, count)
        How many of the primary numbers (or columns, where a fit is in question) each witness supports on which side.
    """

    kind: Kind
    severity: Severity
    title: str
    study: str
    places: tuple[tuple[str, str], ...]
    moved: tuple[Moved, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    supports: tuple[tuple[str, Side, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The fewest digits on which each version agrees with a witness, over the numbers that all three agree on."""

    witness: str
    quantity: str
    numbers: int
    old: float
    new: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyChanges:
    """One study at two versions.

    ``compared`` counts numbers that both versions give, ``agree`` those within the tolerances and ``exact`` those equal
    to the last bit; ``digits`` are the fewest on which estimates and standard errors that agree do agree.
    """

    study: str
    title: str
    columns: int
    fitted: int
    unsupported: int
    compared: int
    agree: int
    exact: int
    digits_estimate: float | None
    digits_std_error: float | None
    witnesses: tuple[EngineRow, ...]
    precision: tuple[Precision, ...]
    changes: tuple[Change, ...]

    @property
    def moved_columns(self) -> int:
        """Columns in which a number is another one, or there in one version only."""
        return len({place for c in self.changes if c.moved for place in c.places})


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """Two versions of an engine on some studies."""

    crosscheck: str
    command: str
    started: str
    engine: str
    package: str
    old: EngineRow
    new: EngineRow
    fail_on: Severity
    studies: tuple[StudyChanges, ...]
    summary: str
    exit_code: int

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes, in the order of the studies."""
        return tuple(c for s in self.studies for c in s.changes)

    @property
    def companions(self) -> tuple[tuple[str, str, str], ...]:
        """Other packages, with the version beside the old and beside the new one."""
        sides = [dict(self.old.environment), dict(self.new.environment)]
        names = [n for n in dict.fromkeys((*sides[0], *sides[1])) if n not in (self.package, "platform")]
        return tuple((name, sides[0].get(name, ""), sides[1].get(name, "")) for name in sorted(names))


def to_json(upgrade: Upgrade) -> dict[str, Any]:
    """Return the content of ``upgrade.json``."""
    return {
        "schema": SCHEMA,
        "crosscheck": upgrade.crosscheck,
        "command": upgrade.command,
        "started": upgrade.started,
        "engine": upgrade.engine,
        "old": _engine(upgrade.old),
        "new": _engine(upgrade.new),
        "summary": upgrade.summary,
        "fail_on": upgrade.fail_on,
        "exit_code": upgrade.exit_code,
        "studies": [_study(s) for s in upgrade.studies],
    }


def _engine(e: EngineRow) -> dict[str, Any]:
    return {"id": e.id, "version": e.version, "transport": e.transport, "environment": dict(e.environment)}


def _study(s: StudyChanges) -> dict[str, Any]:
    return {
        "study": s.study,
        "title": s.title,
        "columns": s.columns,
        "fitted": s.fitted,
        "unsupported": s.unsupported,
        "compared": s.compared,
        "agree": s.agree,
        "exact": s.exact,
        "digits": {"estimate": s.digits_estimate, "std_error": s.digits_std_error},
        "witnesses": [_engine(e) for e in s.witnesses],
        "precision": [plain(p) for p in s.precision],
        "changes": [_change(c) for c in s.changes],
    }


def _change(c: Change) -> dict[str, Any]:
    return {
        "kind": c.kind,
        "severity": c.severity,
        "title": c.title,
        "places": [{"table": table, "column": column} for table, column in c.places],
        "supports": [{"witness": source, "side": side, "numbers": count} for source, side, count in c.supports],
        "explanations": [explanation_data(e) for e in c.explanations],
        "numbers": [
            {
                "table": m.cell.table,
                "column": m.cell.column,
                "term": m.cell.term,
                "quantity": m.cell.quantity,
                "old": m.cell.reference_value,
                "new": m.cell.candidate_value,
                "digits": m.cell.digits,
                "diff_in_se": m.cell.diff_in_se,
                "verdict": m.cell.verdict,
                "severity": m.cell.severity,
                "witnesses": [plain(w) for w in m.witnesses],
            }
            for m in c.moved
        ],
    }
