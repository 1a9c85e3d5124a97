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
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import crosscheck
from crosscheck.audit import AuditReport
from crosscheck.bridge import Worker, live_kind
from crosscheck.canon import digest, dumps, sha256
from crosscheck.columns import Judged, Settled, settle
from crosscheck.inferences import audit_event
from crosscheck.judging import Cell
from crosscheck.plan import Plan, Task
from crosscheck.results import EstimationResult
from crosscheck.store import Cache
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
    """One worker for each lane, shared by all studies of a command.

    A lane is a language, ``python@`` and a version pin's interpreter, or ``python+`` and an engine of the user's own.
    """

    memory_limit: int | None = None
    _live: dict[str, Worker] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, lane: str, *, second: bool = False, threads: int = 1) -> Worker:
        """Return the worker of a lane; the ``second`` one is another process under another hash seed."""
        key = f"{lane}#2x{threads}" if second else lane
        with self._lock:
            if key not in self._live:
                language, _, python = ("python" if lane.startswith("python+") else lane).partition("@")
                self._live[key] = Worker(
                    "python" if language == "python" else live_kind(),
                    memory_limit=self.memory_limit,
                    hash_seed=int(second),
                    threads=threads,
                    python=python or None,
                )
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


def side_by_side(tasks: Sequence[Task]) -> list[Task]:
    """Return tasks with those that share a model next to each other, since a worker keeps the last model it fitted.

    Tasks share one where engine, data and all of the request agree but the covariance, its small-sample words, the
    level, and how group-time effects are aggregated. Otherwise the order stays.
    """
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        request = task.request.model_dump(mode="json", exclude={"vcov", "ssc", "conf_level"})
        request["options"].pop("aggregation", None)
        groups.setdefault(dumps([task.engine, task.data_hash, request], sort_keys=True), []).append(task)
    return [task for group in groups.values() for task in group]


def fit_all(
    tasks: Sequence[Task], workers: Workers, cache: Cache, timeout: float
) -> Iterator[tuple[Task, EstimationResult]]:
    """Fit tasks, each worker in a thread of its own, and yield results as they come.

    A fit that crashes, hangs or runs out of memory yields a result whose status is ``error``; the others go on.
    """
    lanes: dict[str, list[Task]] = {}
    for task in side_by_side(tasks):
        lanes.setdefault(task.lane, []).append(task)
    done: queue.SimpleQueue[tuple[Task, EstimationResult] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def drive(lane: str, items: list[Task]) -> None:
        try:
            for task in items:
                if stop.is_set():
                    break
                worker = workers.of(lane)
                result = worker.fit(task.engine, task.request, task.frame, timeout=timeout)
                cache.put(task.cache_key, result)
                done.put((task, result))
        except BaseException as error:
            done.put(error)
        done.put(None)

    threads = [threading.Thread(target=drive, args=item, daemon=True) for item in lanes.items()]
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

    def extend(self, settled: Settled) -> None:
        """Append the events of a column and push them to the disk's cache, so that a killed run stays readable."""
        self.events.extend(settled.events)
        self._file.write(settled.lines)
        self._file.flush()

    def flush(self) -> None:
        """Push what was written to the disk's cache, so that a killed run stays readable."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def content_hash(path: Path) -> str:
    """Return the hash of a complete run file, whenever it was run, however long that took, and wherever fits came from.

    Empty where the run is incomplete.
    """
    if not is_complete(path):
        return ""
    first, _, rest = path.read_bytes().partition(b"\n")
    body, _, last = rest.rstrip(b"\n").rpartition(b"\n")
    for flag in (b"true", b"false"):
        body = body.replace(b', "cached": ' + flag + b"}\n", b"}\n")
    kept = {k: v for k, v in json.loads(first).items() if k != "started"}
    kept |= {f"footer.{k}": v for k, v in json.loads(last).items() if k not in ("finished", "seconds")}
    return digest({"header": kept, "body": sha256(body)})


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
    audited: AuditReport | None = None,
) -> list[dict[str, Any]]:
    """Run a plan and write ``run.ndjson`` below ``out``; return its events.

    ``audited`` is what the printed tables say by themselves; it is held against what was estimated.

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
        cells: list[Cell | Judged] = []
        applied: set[int] = set()

        def again(task: Task) -> EstimationResult:
            worker = workers.of(task.lane, second=True)
            return worker.fit(task.engine, task.request, task.frame, timeout=options.timeout)

        def settle_columns() -> None:
            for key, column in list(pending.items()):
                tasks = plan.of_column(column)
                if any(id(t) not in results for t in tasks):
                    return
                del pending[key]
                settled = settle(plan, column, tasks, results, cache, again)
                writer.extend(settled)
                cells.extend(settled.judged)
                applied.update(settled.applied)

        for task in plan.tasks:
            if task.answer is not None:
                progress(f"{task.column.table}/{task.column.id} {task.engine}")
        settle_columns()
        for task, result in fit_all(plan.to_fit, workers, cache, options.timeout):
            info = plan.infos[task.engine]
            results[id(task)] = result.with_(version=result.version or info.version)
            progress(f"{task.column.table}/{task.column.id} {task.engine}")
            settle_columns()
        for cell in _idle_known(plan, applied):
            cells.append(cell)
            writer.write({"event": "cell", **cell.to_json()})
        if audited is not None:
            done = ((t.column.table, t.column.id, t.frame, results[id(t)]) for t in plan.tasks if id(t) in results)
            writer.write(audit_event(audited, done))
        writer.write(footer(cells, options, time.perf_counter() - began, clock()))
        return writer.events


def footer(
    cells: Sequence[Cell | Judged], options: RunOptions, seconds: float, finished: dt.datetime
) -> dict[str, Any]:
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


def exit_code(cells: Sequence[Cell | Judged], fail_on: Severity) -> int:
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
