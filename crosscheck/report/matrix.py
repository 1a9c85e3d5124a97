"""Which engine meets the printed table, and which meets the other engines, column by column?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosscheck.report.model import PRINTED, EngineRow, PairRow, RunReport, SourceRow
from crosscheck.report.words import LETTERS, MEANINGS, group_of, listing, plural
from crosscheck.verdict import BADNESS, SEVERITIES, VERDICTS, Severity, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The worst verdict of one engine in one place, and the numbers behind it."""

    verdict: Verdict
    severity: Severity
    compared: int
    agreeing: int
    silent: int
    references: tuple[str, ...]
    reasons: tuple[str, ...] = ()

    @property
    def letter(self) -> str:
        """The letter of the verdict."""
        return LETTERS[self.verdict]

    @property
    def group(self) -> str:
        """``agree``, ``explained``, ``different``, ``missing`` or ``silent``."""
        return group_of(self.verdict)

    @property
    def title(self) -> str:
        """The entry in words."""
        said = [f"{self.verdict.replace('_', ' ')}: {MEANINGS[self.verdict]}"]
        if self.severity != "none":
            said.append(f"severity {self.severity}")
        if self.compared:
            said.append(f"{self.agreeing} of {plural(self.compared, 'comparison')} agree")
        if self.silent:
            said.append(f"{plural(self.silent, 'number')} not reported by one side")
        against = f" (against {listing(self.references)})" if self.references else ""
        return "; ".join([*said, *self.reasons]) + against


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One engine against the sources of a block; ``entries`` follow the places of the matrix, ``None`` where blank."""

    engine: EngineRow
    references: tuple[str, ...]
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows that share what they are compared with: the printed table, or other engines."""

    title: str
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Engines by places; a place is a column, or a whole table."""

    places: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]


def entry(pairs: Sequence[PairRow], failures: Sequence[SourceRow] = ()) -> Entry | None:
    """Return the worst verdict of pairs and of fits that did not happen.

    A fit that an engine does not offer does not hide what was compared elsewhere.
    """
    verdicts = [p.verdict for p in pairs] + [f.failure for f in failures if f.failure is not None]
    if not verdicts:
        return None
    spoken = [v for v in verdicts if v != "unsupported"] or verdicts
    return Entry(
        verdict=min(spoken, key=BADNESS.index),
        severity=max((p.severity for p in pairs), key=SEVERITIES.index, default="none"),
        compared=sum(p.compared for p in pairs),
        agreeing=sum(p.agreeing for p in pairs),
        silent=sum(p.silent for p in pairs),
        references=tuple(dict.fromkeys(p.reference for p in pairs if p.compared)),
        reasons=tuple(dict.fromkeys(f.result.reason for f in failures if f.result is not None)),
    )


def column_matrix(report: RunReport) -> Matrix:
    """Return engines by columns of the study."""
    return _matrix(report, tuple((t.id, c.id) for t, c in report.columns()), whole_tables=False)


def table_matrix(report: RunReport) -> Matrix:
    """Return engines by whole tables of the study."""
    return _matrix(report, tuple((t.id, "") for t in report.tables), whole_tables=True)


def _matrix(report: RunReport, places: tuple[tuple[str, str], ...], *, whole_tables: bool) -> Matrix:
    failures = [s for s in report.sources if s.failure is not None]
    failed = {(s.table, s.column, s.source) for s in failures}
    # A fit that did not happen is shown in the row of the engine that did not make it, not in its partners' rows.
    pairs = [p for p in report.pairs if p.compared or (p.table, p.column, p.reference) not in failed]
    printed = [p for p in pairs if p.reference == PRINTED]
    own = [p for p in pairs if _recorded_twin(p)]
    between = [p for p in pairs if p.reference != PRINTED and not _recorded_twin(p)]
    blocks = []
    left = failures
    for title, block_pairs in (
        ("Against the printed table", printed),
        ("Against other engines", between),
        ("Against its own recorded reference", own),
    ):
        columns = {(p.table, p.column) for p in block_pairs}
        silent = [
            f
            for f in left
            if ((f.table, f.column) in columns and block_pairs is printed)
            or (block_pairs is between and f.failure != "unsupported")
        ]
        taken = {id(f) for f in silent}
        left = [f for f in left if id(f) not in taken]
        listed = {p.candidate for p in block_pairs} | {f.source for f in silent}
        rows = tuple(
            _row(e, block_pairs, [f for f in silent if f.source == e.id], places, whole_tables)
            for e in report.engines
            if e.id in listed
        )
        blocks.append(Block(title=title, rows=tuple(r for r in rows if any(r.entries))))
    return Matrix(places=places, blocks=tuple(b for b in blocks if b.rows))


def _recorded_twin(p: PairRow) -> bool:
    """Say whether an engine is compared with its own recorded result, as ``r.fixest@0.14.2``."""
    return p.reference.startswith(f"{p.candidate}@")


def _row(
    engine: EngineRow,
    pairs: Sequence[PairRow],
    failures: Sequence[SourceRow],
    places: Sequence[tuple[str, str]],
    whole_tables: bool,
) -> MatrixRow:
    mine = [p for p in pairs if p.candidate == engine.id]
    entries = []
    for table, column in places:
        here = [p for p in mine if p.table == table and (whole_tables or p.column == column)]
        lost = [f for f in failures if f.table == table and (whole_tables or f.column == column)]
        entries.append(entry(here, lost))
    return MatrixRow(engine=engine, references=tuple(dict.fromkeys(p.reference for p in mine)), entries=tuple(entries))


def legend(report: RunReport) -> tuple[tuple[str, str, str, str, int], ...]:
    """Return ``(letter, verdict, group, meaning, count)`` of every verdict, those that occur first known by count."""
    counts = dict(report.counts)
    return tuple((LETTERS[v], v.replace("_", " "), group_of(v), MEANINGS[v], counts.get(v, 0)) for v in VERDICTS)


def reached(engine: EngineRow) -> str:
    """Say how an engine was reached: live, recorded and when, missing."""
    if engine.transport == "recorded" and engine.recorded_on:
        return f"recorded {engine.recorded_on[:10]}"
    return engine.transport
