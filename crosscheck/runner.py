"""How does a study become a run file?

Plan, fit in workers (Python's and R's side by side), compare, explain, and write events. The run file is append-only
JSON lines with a header and a footer; a run without a footer is incomplete. Every report is a fold of it.
"""

from __future__ import annotations

import datetime as dt
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import crosscheck
from crosscheck import engines
from crosscheck.bridge import Worker, live_kind
from crosscheck.canon import dumps
from crosscheck.compare import INFERENCE, Cell, Context, Tolerance, compare, compare_printed, compare_truth
from crosscheck.explain import explain_column, explain_printed
from crosscheck.explain.joint import explain_joint
from crosscheck.explain.printed_df import explain_printed_df
from crosscheck.plan import Plan, Task
from crosscheck.results import EstimationResult
from crosscheck.store import Cache
from crosscheck.study import ColumnSpec, Study
from crosscheck.verdict import (
    AGREE,
    DIFFERENT,
    EXIT_AGREES,
    EXIT_DISCREPANCY,
    EXIT_NOTHING,
    EXPLAINED,
    Severity,
    at_least,
)
from crosscheck.wald import with_joint_tests

RUN_SCHEMA = 1
RUN_FILE = "run.ndjson"
PREVIOUS_FILE = "run.previous.ndjson"
DEFAULT_TIMEOUT = 120.0
Clock = Callable[[], dt.datetime]
Progress = Callable[[str], None]


def utc_now() -> dt.datetime:
    """Return the present moment in UTC."""
    return dt.datetime.now(dt.UTC)


def stamp(moment: dt.datetime) -> str:
    """Write a moment as ISO 8601 in UTC, to the second."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is told beside the studies."""

    transport: str = "auto"
    fail_on: Severity = "printed"
    timeout: float = DEFAULT_TIMEOUT
    command: str = "crosscheck run"
    memory_limit: int | None = None


@dataclass
class Workers:
    """One worker for each language, started when first needed and shared by all studies of a command."""

    memory_limit: int | None = None
    _live: dict[str, Worker] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, language: str, *, second: bool = False) -> Worker:
        """Return the worker of a language; the ``second`` one is another process under another hash seed."""
        key = f"{language}#2" if second else language
        with self._lock:
            if key not in self._live:
                kind = "python" if language == "python" else live_kind()
                self._live[key] = Worker(kind, memory_limit=self.memory_limit, hash_seed=int(second))
            return self._live[key]

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            for worker in self._live.values():
                worker.close()
            self._live.clear()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fit_all(
    tasks: Sequence[Task], workers: Workers, cache: Cache, timeout: float
) -> Iterator[tuple[Task, EstimationResult]]:
    """Fit tasks, each language in a thread of its own, and yield results as they come.

    A fit that crashes, hangs or runs out of memory yields a result whose status is ``error``; the others go on.
    """
    lanes: dict[str, list[Task]] = {}
    for task in tasks:
        lanes.setdefault(engines.get(task.engine).language, []).append(task)
    done: queue.SimpleQueue[tuple[Task, EstimationResult] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def lane(language: str, items: list[Task]) -> None:
        try:
            for task in items:
                if stop.is_set():
                    break
                worker = workers.of(language)
                result = worker.fit(task.engine, task.request, task.frame, timeout=timeout)
                cache.put(task.cache_key, result)
                done.put((task, result))
        except BaseException as error:
            done.put(error)
        done.put(None)

    threads = [threading.Thread(target=lane, args=item, daemon=True) for item in lanes.items()]
    for thread in threads:
        thread.start()
    open_lanes = len(threads)
    try:
        while open_lanes:
            item = done.get()
            if item is None:
                open_lanes -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        stop.set()
        if open_lanes:
            workers.close()
        for thread in threads:
            thread.join(timeout=5)


class RunWriter:
    """Write a run file: header first, events flushed as they come, footer last.

    An earlier complete run is kept beside it as ``run.previous.ndjson``.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / RUN_FILE
        if self.path.exists() and is_complete(self.path):
            self.path.replace(folder / PREVIOUS_FILE)
        self._file: IO[str] = self.path.open("w", encoding="utf-8")
        self.events: list[dict[str, Any]] = []

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event."""
        self.events.append(dict(event))
        self._file.write(dumps(event) + "\n")

    def flush(self) -> None:
        """Push what was written to the disk's cache, so that a killed run stays readable."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def is_complete(path: Path) -> bool:
    """Say whether a run file ends with a footer."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 65536))
            last = file.read().rstrip().rsplit(b"\n", 1)[-1]
        return bool(json.loads(last).get("event") == "footer")
    except (OSError, ValueError, AttributeError):
        return False


def header(plan: Plan, options: RunOptions, started: dt.datetime) -> dict[str, Any]:
    """Return the first event of a run: what was to be done, on what, by which engines."""
    study = plan.study
    columns = {id(t.column) for t in plan.tasks}
    tables = []
    for table in study.tables:
        rows = []
        for column in table.columns:
            if id(column) not in columns:
                continue
            task = next(t for t in plan.tasks if t.column is column)
            rows.append(
                {
                    "id": column.id,
                    "title": column.title,
                    "estimator": column.request.estimator,
                    "formula": column.request.formula,
                    "vcov": column.request.vcov.model_dump(mode="json"),
                    "ssc": column.request.ssc.model_dump(mode="json"),
                    "options": column.request.options,
                    "where": column.where,
                    "request_hash": column.request.hash,
                    "data_hash": task.data_hash,
                    "conf_level": column.request.conf_level,
                    "legend": dict(column.legend),
                    "rows": task.frame.nrows,
                }
            )
        if rows:
            tables.append({"id": table.id, "title": table.title, "source": table.source, "columns": rows})
    return {
        "event": "header",
        "schema": RUN_SCHEMA,
        "crosscheck": crosscheck.__version__,
        "study": study.id,
        "title": study.title,
        "started": stamp(started),
        "transport": options.transport,
        "fail_on": options.fail_on,
        "command": options.command,
        "engines": [info.to_json() for info in plan.infos.values()],
        "data": study.data_provenance(),
        "toml_sha256": study.toml_sha256,
        "published_sha256": study.published_sha256,
        "tables": tables,
        "tolerances": [row.model_dump(mode="json") for row in study.tolerances],
        "known": [row.model_dump(mode="json") for row in study.known],
        "notes": study.notes,
    }


def run_study(
    plan: Plan,
    out: Path,
    workers: Workers,
    cache: Cache,
    options: RunOptions,
    *,
    progress: Progress = lambda _: None,
    clock: Clock = utc_now,
) -> list[dict[str, Any]]:
    """Run a plan and write ``run.ndjson`` below ``out``; return its events.

    A ``KeyboardInterrupt`` leaves the file without a footer: readable, and plainly incomplete.
    """
    began = time.perf_counter()
    with ExitStack() as stack:
        writer = RunWriter(out)
        stack.callback(writer.close)
        writer.write(header(plan, options, clock()))
        writer.flush()
        results: dict[int, EstimationResult] = {id(t): t.answer for t in plan.tasks if t.answer is not None}
        pending = {id(c): c for c in dict.fromkeys(t.column for t in plan.tasks)}
        cells: list[Cell] = []
        applied: set[int] = set()

        def again(task: Task) -> EstimationResult:
            worker = workers.of(engines.get(task.engine).language, second=True)
            return worker.fit(task.engine, task.request, task.frame, timeout=options.timeout)

        def settle() -> None:
            for key, column in list(pending.items()):
                tasks = plan.of_column(column)
                if any(id(t) not in results for t in tasks):
                    return
                del pending[key]
                cells.extend(_column_events(plan, column, tasks, results, writer, applied, again))
                writer.flush()

        for task in plan.tasks:
            if task.answer is not None:
                progress(f"{task.column.table}/{task.column.id} {task.engine}")
        settle()
        for task, result in fit_all(plan.to_fit, workers, cache, options.timeout):
            info = plan.infos[task.engine]
            results[id(task)] = result.with_(version=result.version or info.version)
            progress(f"{task.column.table}/{task.column.id} {task.engine}")
            settle()
        for cell in _idle_known(plan, applied):
            cells.append(cell)
            writer.write({"event": "cell", **cell.to_json()})
        writer.write(footer(cells, options, time.perf_counter() - began, clock()))
        return writer.events


def footer(cells: Sequence[Cell], options: RunOptions, seconds: float, finished: dt.datetime) -> dict[str, Any]:
    """Return the last event of a run: counts and the exit code."""
    return {
        "event": "footer",
        "finished": stamp(finished),
        "counts": dict(sorted(Counter(c.verdict for c in cells).items())),
        "severities": dict(sorted(Counter(c.severity for c in cells).items())),
        "exit_code": exit_code(cells, options.fail_on),
        "seconds": round(seconds, 3),
        "complete": True,
        "interrupted": False,
    }


def exit_code(cells: Sequence[Cell], fail_on: Severity) -> int:
    """Return the exit code that the cells of a run deserve.

    1 for a discrepancy at or above ``fail_on`` (an explained one too: a cause is named, the number still moves);
    3 where nothing was compared or a reference that the study names is missing or stale; else 0.
    """
    compared = [c for c in cells if c.verdict in (*AGREE, *EXPLAINED, *DIFFERENT)]
    if fail_on != "none":
        for cell in cells:
            if cell.verdict in AGREE or cell.verdict == "known":
                continue
            if at_least(cell.severity, fail_on):
                return EXIT_DISCREPANCY
    if not compared:
        return EXIT_NOTHING
    if any(c.verdict in ("stale", "missing_reference", "missing_candidate") and c.term == "*" for c in cells):
        return EXIT_NOTHING
    return EXIT_AGREES


def _column_events(
    plan: Plan,
    column: ColumnSpec,
    tasks: Sequence[Task],
    results: Mapping[int, EstimationResult],
    writer: RunWriter,
    applied: set[int],
    again: Callable[[Task], EstimationResult],
) -> list[Cell]:
    study = plan.study
    joint = tuple(number.term for number in study.printed(column))
    for task in tasks:
        writer.write(
            {
                "event": "result",
                "table": column.table,
                "column": column.id,
                "source": task.engine,
                "result": with_joint_tests(results[id(task)], joint).to_json(),
                "cached": task.cached,
                "code": _code(task, results[id(task)], study.data_path),
                "request_hash": column.request.hash,
            }
        )
    printed = study.printed(column)
    if printed:
        writer.write(
            {
                "event": "result",
                "table": column.table,
                "column": column.id,
                "source": "published",
                "printed": [
                    {
                        "term": p.term,
                        "quantity": p.quantity,
                        "printed": p.printed,
                        "low": p.low,
                        "high": p.high,
                        "line": p.line,
                    }
                    for p in printed
                ],
            }
        )
    cells = column_cells(study, column, tasks, results)
    versions = {engine: info.version for engine, info in plan.infos.items()}
    cells = [_known(study, cell, versions, applied) for cell in cells]
    cells = second_opinion(cells, tasks, results, plan, again)
    for cell in cells:
        writer.write({"event": "cell", **cell.to_json()})
    return cells


def second_opinion(
    cells: list[Cell],
    tasks: Sequence[Task],
    results: Mapping[int, EstimationResult],
    plan: Plan,
    again: Callable[[Task], EstimationResult],
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


def _code(task: Task, result: EstimationResult, data_path: str) -> str:
    return "" if result.status == "unsupported" else engines.get(task.engine).code(task.request, data_path)


def column_cells(
    study: Study, column: ColumnSpec, tasks: Sequence[Task], results: Mapping[int, EstimationResult]
) -> list[Cell]:
    """Compare all sources of a column: references with candidates, closed forms with engines, print with all."""
    printed = study.printed(column)
    joint = tuple(number.term for number in printed)
    by_engine = {t.engine: with_joint_tests(results[id(t)], joint) for t in tasks}
    candidates = [e for e in column.candidates if e in by_engine]
    references = [e for e in column.references if e in by_engine]
    frame = tasks[0].frame
    cells: list[Cell] = []
    pairs = [(r, c) for c in candidates for r in references if r != c]
    if "oracle" in candidates:
        pairs += [("oracle", c) for c in candidates if c != "oracle"]
    for r, c in pairs:
        context = context_of(study, column, r, c)
        cells.extend(_pair(by_engine[r], by_engine[c], context, column, frame))
    for task in tasks:
        if task.recorded is not None:
            context = context_of(study, column, task.recorded.engine, task.engine)
            recorded = with_joint_tests(task.recorded, joint)
            cells.extend(_pair(recorded, by_engine[task.engine], context, column, frame))
    truths = study.truth(column)
    for engine in dict.fromkeys((*candidates, *references)):
        result = by_engine[engine]
        if truths and result.status != "unsupported" and result.transport not in ("missing", "stale"):
            cells.extend(compare_truth(truths, result, context_of(study, column, "truth", engine)))
        if not printed or result.status == "unsupported" or result.transport in ("missing", "stale"):
            continue
        context = context_of(study, column, "published", engine)
        found = compare_printed(printed, result, context)
        if any(c.verdict == "unexplained" for c in found) and result.status == "ok":
            reasons = explain_printed(printed, result, frame, column.request, legend=dict(column.legend))
            found = [_apply(c, reasons.get((c.term, c.quantity), ())) for c in found]
            numbers = {(p.term, p.quantity): p for p in printed}
            others = tuple(by_engine.values())
            level = column.request.conf_level
            found = [
                _apply(c, explain_printed_df(numbers[c.term, c.quantity], result, others, level))
                if c.verdict == "unexplained" and c.quantity in INFERENCE
                else c
                for c in found
            ]
        cells.extend(found)
    return cells


def _pair(
    reference: EstimationResult, candidate: EstimationResult, context: Context, column: ColumnSpec, frame: Any
) -> list[Cell]:
    cells = compare(reference, candidate, context)
    if any(c.verdict == "unexplained" for c in cells):
        reasons = explain_column(reference, candidate, frame, column.request)
        cells = [_apply(c, reasons.get((c.term, c.quantity), ())) for c in cells]
        cells = [
            _apply(c, explain_joint(reference, candidate, c.term, c.quantity)) if c.verdict == "unexplained" else c
            for c in cells
        ]
    return cells


def _apply(cell: Cell, explanations: Sequence[Any]) -> Cell:
    if cell.verdict != "unexplained" or not explanations:
        return cell
    return cell.explained(explanations[0].verdict, explanations)


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
    )


def _known(study: Study, cell: Cell, versions: Mapping[str, str], applied: set[int]) -> Cell:
    if cell.verdict in AGREE or (cell.verdict in ("unsupported", "missing_reference") and cell.term == "*"):
        return cell
    for number, row in enumerate(study.known):
        if row.matches(cell) and row.covers(versions.get(cell.candidate, "")):
            applied.add(number)
            return cell.explained("known", cell.explanations, reason=f"{row.reason} [{row.source}]")
    return cell


def _idle_known(plan: Plan, applied: set[int]) -> Iterator[Cell]:
    """Yield a stale cell for each known difference of the study that no longer shows, so that it fails loudly.

    Rows about tables or engines that this run leaves out are not judged, nor are those of other versions.
    """
    tables = {t.column.table for t in plan.tasks}
    fitted = {t.engine for t in plan.tasks if t.answer is None or t.answer.status == "ok"}
    for number, row in enumerate(plan.study.known):
        named = [e for e in (row.reference, row.candidate) if e not in (None, "*", "published", "truth")]
        if number in applied or row.table not in (*tables, "*") or any(e not in fitted for e in named):
            continue
        info = plan.infos.get(row.candidate or "")
        if info is not None and not row.covers(info.version):
            continue
        yield Cell(
            study=plan.study.id,
            table=row.table,
            column=row.column or "*",
            term=row.term or "*",
            quantity=", ".join(row.quantity or ("*",)),
            reference=row.reference or "published",
            candidate=row.candidate or "*",
            reference_value=None,
            candidate_value=None,
            verdict="stale",
            severity="printed",
            reason=f"[[known]] row {number + 1} of study.toml matches no difference any more: {row.reason}",
        )
