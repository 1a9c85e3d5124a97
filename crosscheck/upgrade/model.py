"""What is a change between two versions? Plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from crosscheck.report.model import Explanation, Value
from crosscheck.verdict import Severity

SCHEMA = 2
SENTINEL = "sentinel"
Kind = Literal[
    "number",
    "not repeatable",
    "term gone",
    "term new",
    "renamed",
    "dropped",
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
KINDS: tuple[Kind, ...] = (
    "number",
    "not repeatable",
    "term gone",
    "error new",
    "unsupported new",
    "term new",
    "error gone",
    "unsupported gone",
    "renamed",
    "dropped",
    "error changed",
    "report gone",
    "report new",
    "warning new",
    "warning gone",
)
Size = Literal["break", "drift", ""]
Cause = Literal["convention", "sample", "convergence", "stochastic", "known", "dependency", "unexplained", ""]
Standing = Literal["moved", "worse", "better", "note"]
Side = Literal["old", "new", "both", "neither"]
SIDES: tuple[Side, ...] = ("new", "old", "neither", "both")
PRIMARY = ("estimate", "std_error", "nobs", "df_resid", "r2", "adj_r2", "r2_within")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What a source that is neither version says of one number, and which side it agrees with.

    ``name`` names package and version, such as ``R's fixest 0.14.2``; ``nearer`` is the side that is nearer where it
    agrees with neither. ``old_digits`` and ``new_digits`` are the digits on which each side agrees with it.
    """

    source: str
    name: str
    value: Value
    side: Side
    nearer: Side | None = None
    old_digits: float | None = None
    new_digits: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One number that is another one, or is there in one version only.

    Attributes
    ----------
    question : str
        Id of the estimation.
    size : str
        ``drift``: of the size of the tolerance at which an iteration stops; ``break``: more.
    relative : float or None
        Distance in units of the number, or of its standard error where that is larger.
    reason : str
        Which member of a block moved most, and how many did.
    """

    kind: Kind
    question: str
    table: str
    column: str
    term: str
    quantity: str
    old: Value
    new: Value
    digits: float | None
    diff_in_se: float | None
    relative: float | None
    size: Size
    severity: Severity
    cause: Cause
    explanations: tuple[Explanation, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed for one reason.

    Attributes
    ----------
    kind, size, cause, severity : str
    standing : str
        What it does to the exit code: ``moved`` and ``worse`` count, ``better`` and ``note`` do not.
    title : str
        One plain sentence.
    study : str
        Id of the study, or ``sentinel``.
    places : tuple of (table, column)
    questions : tuple of str
        Ids of the estimations.
    functions : tuple of str
        What was called, such as ``feols``.
    moved : tuple of Moved
        The numbers; empty for warnings and for fits that happen in one version only.
    explanations : tuple of Explanation
        Causes, replayed.
    supports : tuple of (name, side, count)
        How many numbers (or columns, where a fit is in question) each witness supports on which side.
    """

    kind: Kind
    size: Size
    cause: Cause
    severity: Severity
    standing: Standing
    title: str
    study: str
    places: tuple[tuple[str, str], ...]
    questions: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
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
class SideRow:
    """One side as it was run.

    ``state`` holds what decides its numbers: versions of Python, the package and what it stands on. ``transport`` is
    ``live``, ``recorded`` or ``frozen``.
    """

    id: str
    package: str
    version: str
    asked: str
    transport: str
    state: Mapping[str, str] = field(default_factory=dict)
    hash_seeds: tuple[int, ...] = ()
    dates: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessRow:
    """A source that both sides are held against; ``transport`` is ``live``, ``recorded``, ``file`` or ``missing``."""

    source: str
    name: str
    version: str
    transport: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyChanges:
    """One study, or the sentinel set, at two versions.

    ``compared`` counts numbers that both versions give, ``agree`` those within the tolerances, ``exact`` those equal to
    the last bit, ``drifted`` those that moved no more than a tolerance; ``digits`` are the fewest on which estimates
    and standard errors that agree do agree. ``refused`` holds what could not be asked at all, with its reason.
    """

    study: str
    title: str
    columns: int
    fitted: int
    unsupported: int
    compared: int
    agree: int
    exact: int
    drifted: int
    digits_estimate: float | None
    digits_std_error: float | None
    witnesses: tuple[WitnessRow, ...]
    precision: tuple[Precision, ...]
    changes: tuple[Change, ...]
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def sentinel(self) -> bool:
        """Whether this is the sentinel set and no study of the user."""
        return self.study == SENTINEL

    @property
    def moved(self) -> int:
        """Numbers that both versions give and that moved beyond the tolerances."""
        return self.compared - self.agree

    @property
    def moved_columns(self) -> int:
        """Columns in which a number is another one, or there in one version only."""
        return len({place for c in self.changes if c.moved and c.kind == "number" for place in c.places})


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """Two versions of a package on some studies, the sentinel set, or both.

    ``notes`` say what else a reader has to know, such as dependencies that could not be held the same.
    """

    crosscheck: str
    command: str
    started: str
    seconds: float
    package: str
    old: SideRow
    new: SideRow
    fail_on: Severity
    studies: tuple[StudyChanges, ...]
    summary: str
    exit_code: int
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes: those of the user's studies first, then most severe first."""
        return tuple(c for s in self.studies for c in s.changes)

    @property
    def companions(self) -> tuple[tuple[str, str, str], ...]:
        """Other packages, with the version beside the old and beside the new one."""
        sides = [self.old.state, self.new.state]
        names = [n for n in dict.fromkeys((*sides[0], *sides[1])) if n not in (self.package, "platform")]
        return tuple((name, sides[0].get(name, ""), sides[1].get(name, "")) for name in sorted(names))
