"""How are two sides asked the same questions, and what they say compared?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import crosscheck
from crosscheck.plan import Reachability, Transport
from crosscheck.results import EstimationResult
from crosscheck.runner import Workers, stamp, utc_now
from crosscheck.session import progress_bar
from crosscheck.store import Cache
from crosscheck.study import Study
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.causes import explain_rest, replay_defaults, replay_guesses
from crosscheck.upgrade.changes import Reasons, pair, study_changes
from crosscheck.upgrade.defaults import Replay, guesses, replays
from crosscheck.upgrade.dependencies import Attributed, replay_dependencies
from crosscheck.upgrade.left_open import with_defaults
from crosscheck.upgrade.model import SENTINEL, SideRow, StudyChanges, Upgrade, WitnessRow
from crosscheck.upgrade.pairs import Pair
from crosscheck.upgrade.questions import Question, sentinel_question, study_questions
from crosscheck.upgrade.sentinel.cases import PACKAGES, sentinel_cases
from crosscheck.upgrade.sentinel.witness import recorded_answers
from crosscheck.upgrade.sides import NotRepeatable
from crosscheck.upgrade.sources import Answers, Source
from crosscheck.upgrade.summary import summarize
from crosscheck.upgrade.translate import calls_of
from crosscheck.upgrade.witnesses import Heard, Witnesses, sentinel_witnesses, study_witnesses
from crosscheck.verdict import EXIT_AGREES, EXIT_DISCREPANCY, EXIT_NOTHING, Severity, at_least

ASKS = {"fixest": "pyfixest", "did": "csdid"}
"""R packages are asked the requests of the sentinel set that is written in the words of a Python package."""


@dataclass
class Check:
    """Questions of studies and of the sentinel set, and what witnesses say to them.

    Attributes
    ----------
    package : str
        Whose versions are compared.
    engine : str
        The engine that asks requests of it, such as ``pyfixest`` or ``r.fixest``.
    fallback : mapping
        What witnesses said when the old side was frozen, where they cannot be reached now.
    """

    package: str
    engine: str
    studies: Sequence[Study]
    sentinel: bool
    cache: Cache
    workers: Workers
    transport: Transport = "auto"
    named: Sequence[str] = ()
    tables: Sequence[str] = ()
    timeout: float = 120.0
    questions: list[Question] = field(default_factory=list)
    fallback: Heard = field(default_factory=dict)
    _said: dict[str, Witnesses] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for study in self.studies:
            self.questions += study_questions(study, calls_of(study, self.package), self.tables)
        if self.sentinel:
            self.questions += sentinel_questions(self.package, self.engine)

    def leave_open(self, old: str, new: str) -> str:
        """Leave out of the calls of studies the options whose changed default they write, and say which those are."""
        self.questions, counts = with_defaults(self.questions, old, new)
        if not counts:
            return f"no column writes an option whose default changed between {old} and {new}"
        said = ", ".join(f"{name} in {n} columns" for name, n in sorted(counts.items()))
        return f"left to the package, as {self.package} {old} did it by itself: {said}"

    @property
    def names(self) -> dict[str, str]:
        """Titles of what is asked, the user's studies first."""
        names = {s.id: s.title for s in self.studies}
        return {**names, SENTINEL: "the sentinel set"} if self.sentinel else names

    def of(self, study: str) -> list[Question]:
        """Return the questions of a study, or of the sentinel set."""
        return [q for q in self.questions if q.study == study]

    def ask(self, source: Source) -> Answers:
        """Ask a side everything."""
        with progress_bar(len(self.questions), source.row.id) as bar:
            done = 0

            def told(now: int, of: int) -> None:
                nonlocal done
                while done < now * len(self.questions) // max(1, of):
                    done += 1
                    bar(source.row.id)

            return source.answer(self.questions, self.timeout, told)

    def witnesses(self, study: str, moved: Sequence[str]) -> Witnesses:
        """Return what witnesses say to a study; to the sentinel set, the closed forms of what ``moved`` alone."""
        if study == SENTINEL:
            found = sentinel_witnesses(self.of(study), self.cache, self.workers, self.timeout, moved=moved)
            return _without(found, self.engine)
        if study not in self._said:
            chosen = next(s for s in self.studies if s.id == study)
            questions = self.of(study)
            with progress_bar(len(questions), "witnesses") as bar:
                self._said[study] = study_witnesses(
                    chosen, questions, self.engine, self.named, Reachability(self.transport),
                    self.cache, self.workers, self.timeout, bar,
                )  # fmt: skip
        return _filled(self._said[study], self.fallback, {q.id for q in self.of(study)})

    def compare(
        self, old: Answers, new: Answers, again: Source, before: Source | None = None
    ) -> tuple[tuple[StudyChanges, ...], tuple[str, ...]]:
        """Compare two sides on all that was asked, and return what is to be said of their dependencies.

        ``again`` is the new side, asked once more for changed defaults, and ``before`` the old one, asked once more
        with other dependencies where there is one.
        """
        pairs = [pair(q, old.of(q), new.of(q)) for q in self.questions]
        reasons, notes = self._reasons([p for p in pairs if p.moved], old.row, new.row, again, before)
        shaken = _shaken(old.unrepeatable, new.unrepeatable)
        out = []
        for study, title in self.names.items():
            mine = [p for p in pairs if p.question.study == study]
            moved = [p.question.id for p in mine if p.moved or p.old.status != p.new.status]
            said = self.witnesses(study, moved)
            out.append(study_changes(study, title, mine, reasons, said.heard, said.rows, shaken))
        return tuple(out), notes

    def _reasons(
        self, moved: Sequence[Pair], old: SideRow, new: SideRow, again: Source, before: Source | None
    ) -> tuple[list[Reasons], tuple[str, ...]]:
        items = [(p.question, p.old, p.new, p.measured) for p in moved if p.old.status == p.new.status == "ok"]

        def written(call: Call) -> Sequence[Replay]:
            both = new.transport == "live" and old.transport in ("live", "frozen")
            return replays(call, old.version, new.version) if both and old.version != new.version else ()

        def ask(cases: Sequence[Case]) -> Mapping[str, EstimationResult]:
            return again.again(cases, self.timeout)

        by_default = replay_defaults(items, written, ask, (old.version, new.version))
        left = [i for i in items if _open(i[3], by_default.get(i[0].id, {}))]
        beside = Attributed() if before is None else replay_dependencies(left, before, again, self.timeout)
        left = [i for i in left if _open(i[3], beside.causes.get(i[0].id, {}))]

        def guess(call: Call) -> Sequence[Replay]:
            both = new.transport == "live" and old.transport in ("live", "frozen") and old.id != new.id
            return guesses(call, old.version, new.version) if both else ()

        guessed = replay_guesses(left, guess, ask, (old.version, new.version))
        left = [i for i in left if _open(i[3], guessed.get(i[0].id, {}))]
        found, unsearched = explain_rest(left)
        return [by_default, beside.causes, guessed, found], (*beside.notes, *unsearched)


def _filled(found: Witnesses, fallback: Heard, questions: set[str]) -> Witnesses:
    """Return witnesses with what was frozen of those that are not heard now."""
    heard: Heard = {q: dict(said) for q, said in found.heard.items()}
    rows = {r.source: r for r in found.rows}
    for q, said in fallback.items():
        for source, (name, result) in said.items() if q in questions else ():
            if source not in heard.get(q, {}):
                heard.setdefault(q, {})[source] = (name, result)
                if source not in rows or rows[source].transport == "missing":
                    rows[source] = WitnessRow(
                        source=source, name=name, version=result.version, transport="frozen",
                    )  # fmt: skip
    return Witnesses(heard=heard, rows=tuple(rows.values()))


def _open(measured: Any, found: Mapping[tuple[str, str], Any]) -> bool:
    return any(
        c.verdict in ("unexplained", "missing_candidate", "missing_reference") and (c.term, c.quantity) not in found
        for c in measured.cells
    )


def _without(found: Witnesses, engine: str) -> Witnesses:
    """Return witnesses without the package itself: another version of it is no independent one."""
    heard: Heard = {q: {s: v for s, v in said.items() if s != engine} for q, said in found.heard.items()}
    return Witnesses(heard=heard, rows=tuple(r for r in found.rows if r.source != engine))


def _shaken(
    old: Sequence[NotRepeatable], new: Sequence[NotRepeatable]
) -> dict[str, tuple[list[NotRepeatable], list[NotRepeatable]]]:
    out: dict[str, tuple[list[NotRepeatable], list[NotRepeatable]]] = {}
    for index, found in enumerate((old, new)):
        for n in found:
            out.setdefault(n.case, ([], []))[index].append(n)
    return out


def has_sentinel(package: str) -> bool:
    """Say whether there is a sentinel set for a package."""
    return ASKS.get(package, package) in PACKAGES


def sentinel_questions(package: str, engine: str) -> list[Question]:
    """Return the questions of the sentinel set; an R package gets those that are requests, and each of them once."""
    asked = ASKS.get(package, package)
    found = [sentinel_question(c, recorded_answers(c)) for c in sentinel_cases(asked)]
    if asked == package:
        return found
    from crosscheck import engines
    from crosscheck.upgrade.questions import without_call

    base, seen, out = engines.get(engine), set(), []
    for q in found:
        if q.request is None or not base.supports(q.request):
            continue
        key = (q.request.hash, q.frame.key)
        if key not in seen:
            seen.add(key)
            out.append(without_call(q))
    return out


def upgrade_of(
    check: Check,
    old: Answers,
    new: Answers,
    again: Source,
    before: Source | None = None,
    *,
    command: str,
    fail_on: Severity,
    began: float,
) -> Upgrade:
    """Compare two sides and say in one sentence what moved."""
    studies, notes = check.compare(old, new, again, before)
    return Upgrade(
        crosscheck=crosscheck.__version__,
        command=command,
        started=stamp(utc_now()),
        seconds=round(time.perf_counter() - began, 1),
        package=check.package,
        old=old.row,
        new=new.row,
        fail_on=fail_on,
        studies=studies,
        notes=notes,
        summary=summarize(check.package, old.row, new.row, studies),
        exit_code=exit_code(studies, fail_on),
    )


def exit_code(studies: Sequence[StudyChanges], fail_on: Severity) -> int:
    """Return 1 where a number moved or something was lost at or above ``fail_on``, 3 where no number was heard.

    Two sides that both fail, or both say NaN, agree in nothing.
    """
    counts = [c for s in studies for c in s.changes if c.standing in ("moved", "worse")]
    if fail_on != "none" and any(at_least(c.severity, fail_on) for c in counts):
        return EXIT_DISCREPANCY
    return EXIT_AGREES if any(s.compared or _gained(s) for s in studies) else EXIT_NOTHING


def _gained(study: StudyChanges) -> bool:
    """Say whether the new side gives numbers where the old one gave none."""
    return any(c.standing == "better" for c in study.changes)
