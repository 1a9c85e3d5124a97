"""What do R, the closed forms and other engines say to the questions that both sides are asked?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from crosscheck import engines
from crosscheck.errors import UsageError, nearest
from crosscheck.plan import Reachability, Task, code_hash, make_plan
from crosscheck.results import EstimationResult
from crosscheck.runner import Workers, fit_all
from crosscheck.store import Cache, references_root
from crosscheck.study import ColumnSpec, Study
from crosscheck.upgrade.judge import ORACLE, name_of
from crosscheck.upgrade.model import WitnessRow
from crosscheck.upgrade.questions import Question

Heard = dict[str, dict[str, tuple[str, EstimationResult]]]
NOT_SPEAKING = ("missing", "stale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """What was heard: question to source to (name, answer), and one row for each source."""

    heard: Heard
    rows: tuple[WitnessRow, ...]


def check_names(names: Sequence[str], sides: Sequence[str]) -> None:
    """Refuse witnesses that do not exist, or that are a side.

    Raises
    ------
    UsageError
    """
    known = engines.known_ids()
    for name in names:
        if name in sides:
            raise UsageError(f"{name} is one of the versions and no witness")
        if "@" in name:
            engines.get(name)
        elif name not in known:
            raise UsageError(f"there is no engine {name!r}", allowed=", ".join(known), hint=nearest(name, known))


def study_witnesses(
    study: Study,
    questions: Sequence[Question],
    package: str,
    named: Sequence[str],
    reach: Reachability,
    cache: Cache,
    workers: Workers,
    timeout: float,
    progress: Callable[[str], None] = lambda _: None,
) -> Witnesses:
    """Ask the witnesses of a study's columns: those named, else each column's references and the closed forms.

    R answers live or from recorded references, whichever is reached.
    """
    wanted = {(q.table, q.column) for q in questions}

    def asked(column: ColumnSpec) -> ColumnSpec:
        if (column.table, column.id) not in wanted:
            return replace(column, candidates=(), references=())
        chosen = dict.fromkeys(named or (*column.references, ORACLE))
        kept = tuple(w for w in chosen if w != package and w.partition("@")[0] != package)
        return replace(column, candidates=kept, references=())

    tables = tuple(replace(t, columns=tuple(asked(c) for c in t.columns)) for t in study.tables)
    plan = make_plan(
        replace(study, tables=tables, known=()), reach, cache, references_root=references_root(study.folder, study.id)
    )
    ids = {(q.table, q.column): q.id for q in questions}
    heard: Heard = {}
    said: dict[str, WitnessRow] = {}

    def note(task: Task, result: EstimationResult) -> None:
        info = plan.infos[task.engine]
        name = name_of(task.engine, result.version or info.version, info.package)
        progress(f"{task.column.table}/{task.column.id} {task.engine}")
        said.setdefault(
            task.engine,
            WitnessRow(
                source=task.engine, name=name, version=info.version, transport=info.transport, reason=info.reason
            ),
        )
        if result.transport not in NOT_SPEAKING and result.status != "unsupported":
            heard.setdefault(ids[task.column.table, task.column.id], {})[task.engine] = (name, result)

    for task in plan.tasks:
        if task.answer is not None:
            note(task, task.answer)
    for task, result in fit_all(plan.to_fit, workers, cache, timeout):
        note(task, result)
    return Witnesses(heard=heard, rows=tuple(said.values()))


def sentinel_witnesses(
    questions: Sequence[Question], cache: Cache, workers: Workers, timeout: float, *, moved: Sequence[str] | None = None
) -> Witnesses:
    """Return what was recorded of the sentinel set, and the closed forms of the questions that ``moved``."""
    heard: Heard = {}
    said: dict[str, WitnessRow] = {}
    for q in questions:
        for source, result in q.recorded.items():
            if result.transport in NOT_SPEAKING or result.status == "unsupported":
                continue
            name = name_of(source, result.version, (engines.get(source).packages or (source,))[0])
            heard.setdefault(q.id, {})[source] = (name, result)
            said.setdefault(source, WitnessRow(source=source, name=name, version=result.version, transport="recorded"))
    reach = Reachability("recorded")
    info = reach.info(ORACLE)
    oracle = engines.get(ORACLE)
    for q in questions:
        if q.request is None or (moved is not None and q.id not in moved) or not oracle.supports(q.request):
            continue
        key = cache.key(ORACLE, dict(info.environment), q.request, q.frame.key, code_hash("python"))
        found = cache.get(key)
        result = found if found is not None else workers.of("python").fit(ORACLE, q.request, q.frame, timeout=timeout)
        if found is None:
            cache.put(key, result)
        name = name_of(ORACLE, "")
        said.setdefault(ORACLE, WitnessRow(source=ORACLE, name=name, version=info.version, transport="live"))
        if result.status != "unsupported":
            heard.setdefault(q.id, {})[ORACLE] = (name, result)
    return Witnesses(heard=heard, rows=tuple(said.values()))


def merged(parts: Sequence[Witnesses]) -> Mapping[str, Mapping[str, tuple[str, EstimationResult]]]:
    """Return what was heard in all parts."""
    return {q: said for part in parts for q, said in part.heard.items()}
