"""What is a run, once its events are folded?

Plain frozen data: a :class:`RunReport` holds all that any report shows, so that no report reads a file or estimates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crosscheck.results import EstimationResult
from crosscheck.verdict import AGREE, DIFFERENT, EXPLAINED, Severity, Verdict

PRINTED = "published"
Value = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedRow:
    """An observation that one side left out: its row in the data (from 1), by whom, why, and which it is."""

    row: int
    side: str
    reason: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The named cause of a difference, as a rule of :mod:`crosscheck.explain` gave it.

    ``replay`` is the candidate's number with the reference's convention applied, ``digits_after`` how many of its
    digits then agree. ``remedy`` pairs an engine (or ``""``) with the code that makes that side follow the other.
    ``dropped`` lists the observations that one side left out, with the number of observations only.
    """

    rule: str
    title: str
    formula: str = ""
    replay: float | None = None
    digits_after: float | None = None
    remedy: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()
    dropped: tuple[DroppedRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One comparison of one quantity, as the run file holds it."""

    study: str
    table: str
    column: str
    term: str
    quantity: str
    reference: str
    candidate: str
    reference_value: Value
    candidate_value: Value
    abs_diff: float | None
    rel_diff: float | None
    digits: float | None
    diff_in_se: float | None
    verdict: Verdict
    severity: Severity
    explanations: tuple[Explanation, ...]
    printed: str | None
    reason: str
    tolerance: str | None

    @property
    def compared(self) -> bool:
        """Whether two numbers were put side by side."""
        return self.verdict in AGREE or self.verdict in EXPLAINED or self.verdict in DIFFERENT

    @property
    def agrees(self) -> bool:
        """Whether they agree with no explanation needed."""
        return self.verdict in AGREE

    @property
    def agreeing_digits(self) -> float | None:
        """Digits that agree; a coefficient near zero is measured by its standard error instead of by itself."""
        if self.digits is not None and self.diff_in_se:
            return min(15.0, max(self.digits, -math.log10(self.diff_in_se)))
        return self.digits

    @property
    def whole(self) -> bool:
        """Whether the cell stands for a whole fit that did not happen."""
        return self.term == "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRow:
    """An engine and how it was reached: ``live``, ``recorded``, ``missing``, or ``file`` for printed numbers."""

    id: str
    package: str
    version: str
    language: str
    transport: str
    reason: str
    environment: tuple[tuple[str, str], ...]
    recorded_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRow:
    """One column of a table: what was estimated. Hashes are those of the request and of the sample."""

    id: str
    title: str
    estimator: str
    formula: str
    vcov: Mapping[str, Any]
    ssc: Mapping[str, Any]
    options: Mapping[str, Any]
    where: str
    request_hash: str
    data_hash: str
    conf_level: float
    legend: tuple[tuple[str, float], ...]
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One table of the study."""

    id: str
    title: str
    source: str
    columns: tuple[ColumnRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedRow:
    """One printed number and the interval of numbers that round to it."""

    term: str
    quantity: str
    printed: str
    low: float | None
    high: float | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """What one source says about one column: a computed result, or printed numbers."""

    table: str
    column: str
    source: str
    result: EstimationResult | None
    printed: tuple[PrintedRow, ...]
    cached: bool
    code: str
    request_hash: str

    @property
    def failure(self) -> Verdict | None:
        """The verdict on a fit that did not happen, or ``None``."""
        if self.result is None or self.result.status == "ok":
            return None
        if self.result.status == "unsupported":
            return "unsupported"
        if self.result.transport == "stale":
            return "stale"
        return "missing_reference" if self.result.transport == "missing" else "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Cells that are not plain agreement and share one cause.

    Attributes
    ----------
    id : str
        ``F1`` for the gravest, and so on.
    title : str
        One plain sentence.
    places : tuple of (table, column)
    pairs : tuple of (reference, candidate)
    culprit : str
        The source that the finding is about, where it is about one: it failed, lacks a term, or is the odd one out.
    example : CellRow
        The gravest cell of the group.
    cells : tuple of CellRow
        All cells of the group.
    """

    id: str
    verdict: Verdict
    severity: Severity
    title: str
    places: tuple[tuple[str, str], ...]
    terms: tuple[str, ...]
    quantities: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    explanations: tuple[Explanation, ...]
    reason: str
    culprit: str
    example: CellRow
    cells: tuple[CellRow, ...]

    @property
    def dropped(self) -> tuple[DroppedRow, ...]:
        """The observations that one side left out, where that is the cause."""
        return next((e.dropped for c in self.cells for e in c.explanations[:1] if e.dropped), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """The worst verdict of one pair of sources in one column, and how many numbers stand behind it.

    ``silent`` counts quantities that one side does not report while the rest was compared.
    """

    table: str
    column: str
    reference: str
    candidate: str
    verdict: Verdict
    severity: Severity
    compared: int
    agreeing: int
    explained: int
    different: int
    silent: int
    not_compared: int
    digits_estimate: float | None
    digits_std_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRow:
    """What the audit infers from printed numbers alone, ``consistent`` or not with what was estimated."""

    id: str
    verdict: str
    statement: str
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """The audit of a study's printed numbers: its sentence, its gravest findings, its inferences against the data."""

    sentence: str
    points: tuple[tuple[str, str, str], ...]
    inferences: tuple[InferenceRow, ...]

    @property
    def refuted(self) -> int:
        """How many inferences the data contradict."""
        return sum(i.verdict == "inconsistent" for i in self.inferences)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A folded run: everything that a report may show.

    ``seconds`` and ``reused`` (how many fits came from the cache) are words, empty where the run has no footer.
    ``exit_code`` is that of the run's footer, 2 where the run has none. ``summary_parts`` are the clauses of the
    summary, the strongest finding first.
    """

    schema: int
    crosscheck: str
    study: str
    title: str
    started: str
    finished: str
    seconds: str
    reused: str
    transport: str
    fail_on: Severity
    command: str
    engines: tuple[EngineRow, ...]
    data: Mapping[str, Any]
    toml_sha256: str
    published_sha256: str
    tables: tuple[TableRow, ...]
    tolerances: tuple[Mapping[str, Any], ...]
    known: tuple[Mapping[str, Any], ...]
    notes: str
    sources: tuple[SourceRow, ...]
    cells: tuple[CellRow, ...]
    pairs: tuple[PairRow, ...]
    findings: tuple[Finding, ...]
    counts: tuple[tuple[Verdict, int], ...]
    severities: tuple[tuple[Severity, int], ...]
    summary_parts: tuple[str, ...]
    exit_code: int
    complete: bool
    audit: AuditRow | None = None

    @property
    def summary(self) -> str:
        """The one sentence."""
        return "; ".join(self.summary_parts) + "."

    @property
    def simulated(self) -> str:
        """What the data are, where the study says that they are not the paper's own."""
        return str(self.data.get("simulated") or "")

    def engine(self, engine_id: str) -> EngineRow | None:
        """Return an engine by id, or ``None``."""
        return next((e for e in self.engines if e.id == engine_id), None)

    def columns(self) -> Iterator[tuple[TableRow, ColumnRow]]:
        """Yield every column with its table, in the order of the study."""
        for table in self.tables:
            for column in table.columns:
                yield table, column

    def count(self, *verdicts: Verdict) -> int:
        """Return how many cells have one of the verdicts."""
        return sum(n for verdict, n in self.counts if verdict in verdicts)
