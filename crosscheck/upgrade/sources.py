"""Who answers for a side: a package asked by a thin worker, an engine of crosscheck, a library of R, a file?

Every source answers the same questions with results and says which of its numbers do not repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from crosscheck import engines
from crosscheck.bridge.worker import FitItem, Worker
from crosscheck.errors import EngineMissing
from crosscheck.results import EstimationResult, failed
from crosscheck.store import Recorded, read_reference, reference_path, why_stale
from crosscheck.upgrade.beside import engine_python
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.model import SideRow
from crosscheck.upgrade.questions import Question
from crosscheck.upgrade.sides import NotRepeatable, Side, run_side, unstable
from crosscheck.upgrade.state import told

Progress = Callable[[int, int], None]
NO_PROGRESS: Progress = lambda done, of: None  # noqa: E731


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a side says to all questions, and what it does not repeat."""

    row: SideRow
    results: Mapping[str, EstimationResult]
    unrepeatable: tuple[NotRepeatable, ...] = ()

    def of(self, question: Question) -> EstimationResult:
        """Return the answer to a question; one that was not asked is unsupported."""
        found = self.results.get(question.id)
        return found if found is not None else failed(self.row.id, "it was not asked", status="unsupported")


class Source(Protocol):
    """One side."""

    @property
    def row(self) -> SideRow:
        """What it is."""
        ...

    def answer(self, questions: Sequence[Question], timeout: float, progress: Progress = NO_PROGRESS) -> Answers:
        """Answer questions; a fit that fails costs only itself."""
        ...

    def again(self, cases: Sequence[Case], timeout: float) -> Mapping[str, EstimationResult]:
        """Answer further calls; empty where it cannot be asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinSource:
    """A Python package, asked as its users ask it; columns without a call go to crosscheck's engine of that package."""

    side: Side

    @property
    def row(self) -> SideRow:
        """What it is."""
        s = self.side
        return SideRow(
            id=s.id, package=s.package, version=s.version, asked=s.asked, transport="live",
            state=dict(s.state), hash_seeds=tuple(s.hash_seeds),
        )  # fmt: skip

    def answer(self, questions: Sequence[Question], timeout: float, progress: Progress = NO_PROGRESS) -> Answers:
        """Answer questions, each under every hash seed."""
        cases = [q.case for q in questions if q.case is not None]
        rest = [q for q in questions if q.case is None and q.request is not None]
        ids = {q.case.id: q.id for q in questions if q.case is not None}
        results: dict[str, EstimationResult] = {}
        found: list[NotRepeatable] = []
        if cases:
            asked = run_side(self.side, cases, timeout=timeout, progress=progress)
            results = {ids[i]: r for i, r in asked.results.items()}
            found = [replace(n, case=ids[n.case]) for n in asked.unrepeatable]
        refused = {q.id: self._refusal(q) for q in rest}
        rest = [q for q in rest if not refused[q.id]]
        if rest:
            engine, why = self._engine()
            if engine is None:
                refused |= {q.id: q.refusal or why for q in rest}
            else:
                more = engine.answer(rest, timeout)
                results |= {i: r.with_(engine=self.side.id) for i, r in more.results.items()}
                found += more.unrepeatable
        results |= {i: failed(self.side.id, why, status="unsupported") for i, why in refused.items() if why}
        return Answers(row=self.row, results=results, unrepeatable=tuple(found))

    def _refusal(self, question: Question) -> str:
        """Say why a question without a call cannot be asked by crosscheck's engine either, before one is made ready."""
        if self.side.package not in engines.known_ids():
            return question.refusal or "no call of its users asks this"
        assert question.request is not None
        support = engines.get(self.side.package).supports(question.request)
        return "" if support else f"{support.reason} ({support.reach})"

    def _engine(self) -> tuple[EngineSource | None, str]:
        """Return crosscheck's engine beside this side's packages, else why there is none."""
        try:
            python = engine_python(self.side, told)
        except EngineMissing as error:
            return None, f"no call of its users asks this, and crosscheck's engine cannot run there: {error.what}"
        plain = self.side.version.partition("+")[0]
        pinned = engines.get(f"{self.side.package}@{plain}") if self.side.python else engines.get(self.side.package)
        return EngineSource(engine=pinned.id, side=self.row, python=python, seeds=self.side.hash_seeds), ""

    def again(self, cases: Sequence[Case], timeout: float) -> Mapping[str, EstimationResult]:
        """Answer further calls, under the first hash seed."""
        if not cases:
            return {}
        return run_side(self.side, cases, timeout=timeout, hash_seeds=self.side.hash_seeds[:1]).results


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSource:
    """One of crosscheck's engines in a worker process of its own: a pinned environment, or a library of R.

    ``variables`` are environment variables of the worker, such as ``R_LIBS``.
    """

    engine: str
    side: SideRow
    python: Path | None = None
    kind: str = "python"
    variables: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1)

    @property
    def row(self) -> SideRow:
        """What it is."""
        return self.side

    def answer(self, questions: Sequence[Question], timeout: float, progress: Progress = NO_PROGRESS) -> Answers:
        """Answer questions, each under every hash seed (R has none and is asked once)."""
        seeds = self.seeds if self.kind == "python" else (0,)
        answers: list[dict[str, EstimationResult]] = []
        base = engines.get(self.engine)
        for number, seed in enumerate(seeds):
            mine: dict[str, EstimationResult] = {}
            todo: list[Question] = []
            for q in questions:
                support = base.supports(q.request) if q.request is not None else None
                if q.request is None or not support:
                    why = q.refusal or "it is asked in the words of another package"
                    if support is not None:
                        why = f"{support.reason} ({support.reach})"
                    mine[q.id] = failed(self.side.id, why, status="unsupported", version=self.side.version)
                else:
                    todo.append(q)
            with Worker(
                self.kind,  # type: ignore[arg-type]
                python=str(self.python) if self.python else None,
                hash_seed=seed,
                variables=self.variables,
            ) as worker:
                items = [FitItem(self.engine, q.request, q.frame) for q in todo if q.request is not None]
                for start in range(0, len(items), 25):
                    part = items[start : start + 25]
                    for q, result in zip(todo[start:], worker.fit_many(part, timeout), strict=False):
                        self._require_version(result)
                        mine[q.id] = result.with_(engine=self.side.id, version=result.version or self.side.version)
                    progress(number * len(items) + start + len(part), len(items) * len(seeds))
            answers.append(mine)
        found = tuple(n for q in questions for n in unstable(q.id, [a[q.id] for a in answers]))
        return Answers(row=self.side, results=answers[0], unrepeatable=found)

    def _require_version(self, result: EstimationResult) -> None:
        """Refuse an answer of another version than the library's: R may have found the package elsewhere."""
        if self.kind != "python" and result.version not in ("", self.side.version):
            raise EngineMissing(
                f"{self.side.package} {self.side.version} was asked for, and R loads {result.version}",
                where=self.side.asked,
                hint="the library must hold the package with all that it needs; R_LIBS may name those of others",
            )

    def again(self, cases: Sequence[Case], timeout: float) -> Mapping[str, EstimationResult]:
        """Return nothing: an engine is asked requests, in which no default is left open."""
        del cases, timeout
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSource:
    """Recorded references of an engine below a folder, such as those of an earlier version of an R package."""

    engine: str
    side: SideRow
    folder: Path

    @property
    def row(self) -> SideRow:
        """What it is."""
        return self.side

    def answer(self, questions: Sequence[Question], timeout: float, progress: Progress = NO_PROGRESS) -> Answers:
        """Read what was recorded; what is not there, or was recorded for another question, is an error of its own."""
        del timeout
        results: dict[str, EstimationResult] = {}
        for number, q in enumerate(questions):
            recorded = recorded_of(self.folder, self.engine, q)
            if recorded is None:
                result = failed(self.side.id, "nothing is recorded of this column", status="unsupported")
            else:
                stale = why_stale(recorded, q.request, q.frame.key) if q.request is not None else "no request"
                result = (
                    failed(self.side.id, f"the record is stale: {stale}", status="unsupported")
                    if stale
                    else recorded.result
                )
            results[q.id] = result.with_(engine=self.side.id)
            progress(number + 1, len(questions))
        return Answers(row=self.side, results=results)

    def again(self, cases: Sequence[Case], timeout: float) -> Mapping[str, EstimationResult]:
        """Return nothing: a record cannot be asked."""
        del cases, timeout
        return {}


def recorded_of(folder: Path, engine: str, question: Question) -> Recorded | None:
    """Read what was recorded of a column, below the folder itself or the study's folder within."""
    for root in (folder / question.study, folder):
        found = read_reference(reference_path(root, engine, question.table, question.column))
        if found is not None:
            return found
    return None
