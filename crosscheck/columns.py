"""What do all sources of one column say of each other?

A column is settled once all its sources have answered: every pair is compared, differences are explained, the study's
known differences applied, and what nobody can explain is fitted once more. All of it is a function of what the sources
said, the sample, the study's own rows and our code, so that it is kept in the cache under the hash of these.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from crosscheck import engines
from crosscheck.canon import digest, dumps, plain, tree_hash
from crosscheck.compare import compare
from crosscheck.compare_known import compare_printed, compare_truth
from crosscheck.explain import explain_column, explain_printed, rank_column, stale_rows
from crosscheck.explain.api import APPLIES, apply
from crosscheck.explain.cohorts import explain_single_cohort
from crosscheck.explain.forensics import nearest_words
from crosscheck.explain.joint import explain_joint
from crosscheck.explain.printed_df import explain_printed_df
from crosscheck.judging import INFERENCE, Cell, Context, Tolerance
from crosscheck.plan import Plan, Task, python_environment
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest
from crosscheck.store import Cache
from crosscheck.study import ColumnSpec, Study
from crosscheck.verdict import AGREE, Severity, Verdict
from crosscheck.wald import with_joint_tests

SETTLED_SCHEMA = 2
PRINTED_FIELDS = ("term", "quantity", "printed", "low", "high", "line")
NOT_JUDGING = ("report", "audit", "simulate", "bridge", "designs")
Again = Callable[[Task], EstimationResult]
Refit = Callable[[str, FitRequest], "EstimationResult | None"]


class Judged(NamedTuple):
    """What an exit code needs to know of a cell."""

    term: str
    verdict: Verdict
    severity: Severity


@dataclass(frozen=True, slots=True)
class Settled:
    """The events of a column as data and as lines of a run file, and the rows of ``[[known]]`` that applied."""

    events: Sequence[dict[str, Any]]
    lines: str
    applied: frozenset[int]

    @property
    def judged(self) -> list[Judged]:
        """Term, verdict and severity of each cell."""
        return [Judged(e["term"], e["verdict"], e["severity"]) for e in self.events if e["event"] == "cell"]


def settle(
    plan: Plan,
    column: ColumnSpec,
    tasks: Sequence[Task],
    results: Mapping[int, EstimationResult],
    cache: Cache,
    again: Again,
) -> Settled:
    """Return the events of a column whose sources have all answered.

    Parameters
    ----------
    tasks : sequence of Task
        Those of the column.
    results : mapping
        Results by the ``id`` of their task.
    cache : Cache
        Where the cells of the same answers are kept; those that a failure or chance may have decided are not.
    again : callable
        Fits a task once more, in another process.
    """
    sources = source_events(plan.study, column, tasks, results)
    written = [dumps({k: v for k, v in e.items() if k != "cached"}) for e in sources]
    key = _key(plan, column, tasks, written)
    lines = "".join([_with_cached(text, e) for text, e in zip(written, sources, strict=True)])
    kept = cache.get_text(key)
    if kept is not None:
        first, _, text = kept.partition("\n")
        try:
            cells = json.loads("[" + text.rstrip().replace("\n", ",") + "]")
            return Settled((*sources, *cells), lines + text, frozenset(json.loads(first)["applied"]))
        except (ValueError, KeyError, TypeError):
            pass  # what cannot be read is made again
    judged, applied = _judge(plan, column, tasks, results, again)
    cells = [{"event": "cell", **cell.to_json()} for cell in judged]
    text = _lines(cells)
    failed = any(r.status == "error" and r.transport == "live" for r in (results[id(t)] for t in tasks))
    if not failed and all(c.verdict != "nondeterministic" for c in judged):
        cache.put_text(key, dumps({"applied": sorted(applied)}) + "\n" + text)
    return Settled((*sources, *cells), lines + text, frozenset(applied))


def _lines(events: Sequence[Mapping[str, Any]]) -> str:
    return "".join([dumps(e) + "\n" for e in events])


def _with_cached(text: str, event: Mapping[str, Any]) -> str:
    """Return a source's line: whether it came from the cache is said, and decides nothing."""
    return f'{text[:-1]}, "cached": {dumps(event["cached"])}}}\n' if "cached" in event else text + "\n"


def _key(plan: Plan, column: ColumnSpec, tasks: Sequence[Task], sources: Sequence[str]) -> str:
    """Return the hash of all that decides the cells of a column; ``sources`` is what they said, as JSON."""
    study = plan.study
    return digest(
        {
            "schema": SETTLED_SCHEMA,
            "code": judging_hash(),
            "environment": python_environment(),
            "study": study.id,
            "request": column.request.to_json(),
            "order": [column.candidates, column.references],
            "joint": column.joint,
            "keep": column.keep,
            "constant_of": column.constant_of,
            "legend": dict(column.legend),
            "sources": sources,
            "recorded": [t.recorded.to_json() if t.recorded is not None else None for t in tasks],
            "samples": [t.data_hash for t in tasks],
            "engines": {e: [info.version, info.transport] for e, info in plan.infos.items()},
            "truths": [plain(truth) for truth in study.truth(column)],
            "tolerances": [row.model_dump(mode="json") for row in study.tolerances],
            "known": [row.model_dump(mode="json") for row in study.known],
        }
    )


@lru_cache(maxsize=1)
def judging_hash() -> str:
    """Return the hash of our code and catalogues that decide a verdict or an explanation."""
    package = Path(__file__).parent
    return tree_hash(package, ("**/*.py", "**/*.toml"), without=NOT_JUDGING)


def source_events(
    study: Study, column: ColumnSpec, tasks: Sequence[Task], results: Mapping[int, EstimationResult]
) -> list[dict[str, Any]]:
    """Return what each source said, as events of a run file."""
    printed = study.printed(column)
    joint = (*column.joint, *(number.term for number in printed))
    base = {"event": "result", "table": column.table, "column": column.id}
    events = [
        {
            **base,
            "source": task.engine,
            "result": _shown(results[id(task)], column, joint).to_json(),
            "cached": task.cached,
            "code": _code(task, results[id(task)], study.data_path),
            "request_hash": column.request.hash,
        }
        for task in tasks
    ]
    if printed:
        numbers = [{name: getattr(p, name) for name in PRINTED_FIELDS} for p in printed]
        events.append({**base, "source": "published", "printed": numbers})
    return events


def _shown(result: EstimationResult, column: ColumnSpec, joint: Sequence[str]) -> EstimationResult:
    """Return what is compared of a result: joint tests added, coefficients that are nuisance left out."""
    made = with_joint_tests(result, joint)
    if not column.keep:
        return made
    kept = tuple(row for row in made.coefs if row.term in column.keep)
    terms = made.vcov_terms or tuple(row.term for row in made.coefs)
    return made.with_(coefs=kept, vcov_terms=terms if made.vcov else ())


def _code(task: Task, result: EstimationResult, data_path: str) -> str:
    return "" if result.status == "unsupported" else engines.get(task.engine).code(task.request, data_path)


def _judge(
    plan: Plan,
    column: ColumnSpec,
    tasks: Sequence[Task],
    results: Mapping[int, EstimationResult],
    again: Again,
) -> tuple[list[Cell], set[int]]:
    applied: set[int] = set()
    versions = {engine: info.version for engine, info in plan.infos.items()}
    cells = column_cells(plan.study, column, tasks, results, refitting(plan, tasks, again))
    cells = [_known(plan.study, cell, versions, applied) for cell in cells]
    return second_opinion(cells, tasks, results, plan, again), applied


def refitting(plan: Plan, tasks: Sequence[Task], again: Again) -> Refit:
    """Return what fits another request with one of the column's engines; ``None`` where it is not reached live."""

    def refit(engine: str, request: FitRequest) -> EstimationResult | None:
        task = next((t for t in tasks if t.engine == engine), None)
        if task is None or plan.infos[engine].transport != "live":
            return None
        return again(replace(task, column=replace(task.column, request=request), answer=None))

    return refit


def second_opinion(
    cells: list[Cell],
    tasks: Sequence[Task],
    results: Mapping[int, EstimationResult],
    plan: Plan,
    again: Again,
) -> list[Cell]:
    """Fit once more, in another process under another hash seed, what nobody could explain.

    An engine that does not repeat its own numbers has the verdict ``nondeterministic`` in every cell that is otherwise
    unexplained: there is nothing to explain in a number that changes from run to run.
    """
    suspects = {e for c in cells if c.verdict == "unexplained" for e in (c.reference, c.candidate)}
    unsteady: dict[str, str] = {}
    for task in tasks:
        first = results[id(task)]
        live = plan.infos[task.engine].transport == "live" and first.transport == "live"
        if task.engine not in suspects or first.status != "ok" or not live:
            continue
        second = again(task)
        change = _first_change(first, second)
        if change:
            unsteady[task.engine] = change
    return [
        replace(c, verdict="nondeterministic", reason=unsteady.get(c.candidate) or unsteady[c.reference])
        if c.verdict == "unexplained" and (c.candidate in unsteady or c.reference in unsteady)
        else c
        for c in cells
    ]


def _first_change(first: EstimationResult, second: EstimationResult) -> str:
    """Say what two fits of one engine disagree on beyond the tolerances, or return an empty string."""
    if second.status != "ok":
        return f"{first.engine} fitted once and failed once: {second.reason}"
    context = Context(study="", table="", column="", legend={}, decimals={}, tolerances={})
    for cell in compare(first, second.with_(engine=f"{first.engine} again"), context):
        if cell.verdict in ("unexplained", "missing_candidate", "missing_reference") and cell.severity != "none":
            what = f"{cell.quantity} of {cell.term}" if cell.term else cell.quantity
            return f"two fits of {first.engine} disagree: {what} {cell.reference_value} and {cell.candidate_value}"
    return ""


def column_cells(
    study: Study,
    column: ColumnSpec,
    tasks: Sequence[Task],
    results: Mapping[int, EstimationResult],
    refit: Refit | None = None,
) -> list[Cell]:
    """Compare all sources of a column: references with candidates, closed forms with engines, print with all."""
    printed = study.printed(column)
    joint = (*column.joint, *(number.term for number in printed))
    by_engine = {t.engine: _shown(results[id(t)], column, joint) for t in tasks}
    candidates = [e for e in column.candidates if e in by_engine]
    references = [e for e in column.references if e in by_engine]
    frame = tasks[0].frame
    cells: list[Cell] = []
    pairs = [(r, c) for c in candidates for r in references if r != c]
    if "oracle" in candidates:
        pairs += [("oracle", c) for c in candidates if c != "oracle"]
    for r, c in pairs:
        context = context_of(study, column, r, c)
        cells.extend(_pair(by_engine[r], by_engine[c], context, column, frame, refit))
    for task in tasks:
        if task.recorded is not None:
            context = context_of(study, column, task.recorded.engine, task.engine)
            recorded = _shown(task.recorded, column, joint)
            cells.extend(_pair(recorded, by_engine[task.engine], context, column, frame))
    truths = study.truth(column)
    for engine in dict.fromkeys((*candidates, *references)):
        result = by_engine[engine]
        if truths and result.status != "unsupported" and result.transport not in ("missing", "stale"):
            known = compare_truth(truths, result, context_of(study, column, "truth", engine))
            cells.extend(
                apply(c, explain_single_cohort(c, result, frame, column.request)) if c.verdict == "unexplained" else c
                for c in known
            )
        if not printed or result.status == "unsupported" or result.transport in ("missing", "stale"):
            continue
        context = context_of(study, column, "published", engine)
        found = compare_printed(printed, result, context)
        if any(c.verdict == "unexplained" for c in found) and result.status == "ok":
            reasons = explain_printed(printed, result, frame, column.request, legend=dict(column.legend))
            found = [apply(c, reasons.get((c.term, c.quantity), ())) for c in found]
            found = _with_nearest(found, printed, frame, column)
            numbers = {(p.term, p.quantity): p for p in printed}
            others = tuple(by_engine.values())
            level = column.request.conf_level
            found = [
                apply(c, explain_printed_df(numbers[c.term, c.quantity], result, others, level))
                if c.verdict == "unexplained" and c.quantity in INFERENCE
                else c
                for c in found
            ]
        cells.extend(found)
    return cells


def _pair(
    reference: EstimationResult,
    candidate: EstimationResult,
    context: Context,
    column: ColumnSpec,
    frame: Any,
    refit: Refit | None = None,
) -> list[Cell]:
    cells = compare(reference, candidate, context)
    if any(c.verdict == "unexplained" or (c.verdict in APPLIES and c.term not in ("", "*")) for c in cells):
        reasons = explain_column(reference, candidate, frame, column.request, refit)
        cells = [apply(c, reasons.get((c.term, c.quantity), ())) for c in cells]
        cells = [
            apply(c, explain_joint(reference, candidate, c.term, c.quantity)) if c.verdict == "unexplained" else c
            for c in cells
        ]
    elif reference.status == candidate.status == "ok":
        for reason in stale_rows(reference, candidate, frame, column.request):
            cells.append(stale_cell(reason, reference, candidate, context))
    return cells


def stale_cell(reason: str, reference: EstimationResult, candidate: EstimationResult, context: Context) -> Cell:
    """Return a cell that says loudly that a row of the package's known bugs no longer applies."""
    return Cell(
        study=context.study,
        table=context.table,
        column=context.column,
        term="*",
        quantity="known",
        reference=reference.engine,
        candidate=candidate.engine,
        reference_value=None,
        candidate_value=None,
        verdict="stale",
        severity="structural",
        reason=reason,
    )


def _with_nearest(cells: list[Cell], printed: Sequence[Any], frame: Any, column: ColumnSpec) -> list[Cell]:
    """Say beside printed standard errors that nothing explains which convention comes nearest."""
    if all(c.verdict != "unexplained" or c.quantity != "std_error" for c in cells):
        return cells
    ranked = rank_column(printed, frame, column.request, legend=dict(column.legend), limit=1)
    if ranked is None:
        return cells
    text = nearest_words(ranked)
    return [
        replace(c, reason=f"{c.reason}; {text}") if c.verdict == "unexplained" and c.quantity == "std_error" else c
        for c in cells
    ]


def context_of(study: Study, column: ColumnSpec, reference: str, candidate: str) -> Context:
    """Gather what a comparison of two sources needs to know of its place in the study."""
    decimals: dict[tuple[str, str], int] = {}
    for number in study.printed(column):
        if number.decimals is not None:
            decimals[(number.term, number.quantity)] = number.decimals
            decimals[("", number.quantity)] = max(decimals.get(("", number.quantity), 0), number.decimals)
    tolerances: dict[tuple[str, str], Tolerance] = {}
    for row in study.tolerances:
        if row.applies(column.table, column.id, reference, candidate):
            tolerances[(row.term or "", row.quantity)] = Tolerance(rtol=row.rtol, stol=row.stol, reason=row.reason)
    return Context(
        study=study.id,
        table=column.table,
        column=column.id,
        legend=dict(column.legend),
        decimals=decimals,
        tolerances=tolerances,
        conf_level=column.request.conf_level,
        absorbs="|" in column.request.formula,
    )


def _known(study: Study, cell: Cell, versions: Mapping[str, str], applied: set[int]) -> Cell:
    # What an engine does not report is no difference that a row could excuse: it stays counted as not compared.
    if cell.verdict in (*AGREE, "unsupported") or (cell.verdict == "missing_reference" and cell.term == "*"):
        return cell
    for number, row in enumerate(study.known):
        if row.matches(cell) and row.covers(versions.get(cell.candidate, "")):
            applied.add(number)
            return cell.explained("known", cell.explanations, reason=f"{row.reason} [{row.source}]")
    return cell
