"""Which engine is asked which question, and what answers already exist?

A plan is the product of columns and engines, each item either to be fitted, read from the cache, read from a recorded
reference, or known in advance to be unsupported or out of reach. Making a plan estimates nothing and imports no
engine's library.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from crosscheck import engines
from crosscheck.bridge import r_packages, r_scripts_dir
from crosscheck.bridge.environments import Environment, find, provide
from crosscheck.canon import sha256, tree_hash
from crosscheck.errors import EngineMissing, UsageError, nearest
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult, failed
from crosscheck.spec import FitRequest
from crosscheck.store import Cache, cache_dir, read_reference, reference_path, why_stale
from crosscheck.study import ColumnSpec, Study

Transport = Literal["auto", "live", "recorded"]
Reach = Literal["live", "recorded", "missing"]
BASE_PYTHON_PACKAGES = ("numpy", "scipy", "pandas", "formulaic")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """How an engine is reached in this run: live here, through recorded references, or not at all (and the remedy).

    ``python`` is the interpreter of the environment that a version pin names.
    """

    id: str
    language: str
    package: str
    version: str = ""
    transport: Reach = "live"
    reason: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    recorded_on: str = ""
    python: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the engine's row of a run's header."""
        return {
            "id": self.id,
            "language": self.language,
            "package": self.package,
            "version": self.version,
            "transport": self.transport,
            "reason": self.reason,
            "environment": dict(self.environment),
            "recorded_on": self.recorded_on,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One fit to be had: what, by whom, on what, and where its answer is kept.

    ``answer`` holds a result that needs no fit; ``recorded`` the recorded R result beside a live one; ``python`` the
    interpreter of the environment of a version pin.
    """

    engine: str
    column: ColumnSpec
    frame: Frame
    data_hash: str
    cache_key: str
    answer: EstimationResult | None = None
    cached: bool = False
    recorded: EstimationResult | None = None
    python: str | None = None

    @property
    def lane(self) -> str:
        """Return which worker answers; the interpreter of a version pin is the task's."""
        return f"python@{self.python}" if self.python else _lane(self.engine)

    @property
    def request(self) -> FitRequest:
        """The question."""
        return self.column.request


def lane_of(engine_id: str) -> str:
    """Return which worker answers for an engine, where no plan says it; a pin's environment was built before."""
    engine = engines.get(engine_id)
    place = find(cache_dir(), engine.requirements) if isinstance(engine, engines.Pinned) else None
    return f"python@{place.python}" if place is not None else _lane(engine_id)


def _lane(engine_id: str) -> str:
    """Return the engine's language; one that was plugged in has a process of its own, so that it changes no other."""
    language, target = engines.get(engine_id).language, engines.plugged().get(engine_id)
    return f"{language}+{engine_id}={target}" if language == "python" and target is not None else language


@lru_cache(maxsize=1)
def python_environment() -> dict[str, str]:
    """Return versions of Python and of the packages under every Python estimator."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in BASE_PYTHON_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=4)
def code_hash(language: str) -> str:
    """Return the hash of our own code that an engine's numbers pass through."""
    if language == "r":
        return tree_hash(r_scripts_dir(), ("*.R",))
    package = Path(__file__).parent
    own = (
        *("formula.py", "formula_tree.py", "formula_parser.py", "syntax.py", "arithmetic.py", "modelmatrix.py"),
        *("frame.py", "conventions.py", "spec.py", "design_options.py"),
    )
    parts = [sha256((package / name).read_bytes()) for name in own if (package / name).exists()]
    trees = tree_hash(package, (f"{folder}/*.py" for folder in ("engines", "closedform", "designs")))
    return sha256("".join([trees, *parts]))


@dataclass
class Reachability:
    """What this machine can run, looked up once.

    Parameters
    ----------
    transport : str
        ``auto``: R live where it and the package are here, else recorded. ``live`` and ``recorded`` force one.
    """

    transport: Transport = "auto"
    _known: dict[str, EngineInfo] = field(default_factory=dict)

    @cached_property
    def r(self) -> Mapping[str, str]:
        """Versions of R (key ``R``) and of its installed packages; empty where there is no R."""
        return {} if self.transport == "recorded" else r_packages()

    def info(self, engine_id: str) -> EngineInfo:
        """Say how an engine is reached, ignoring recordings."""
        if engine_id not in self._known:
            engine = engines.get(engine_id)
            if isinstance(engine, engines.Pinned):
                self._known[engine_id] = self._pinned_info(engine)
            else:
                look = self._r_info if engine.language == "r" else self._python_info
                self._known[engine_id] = look(engine)
        return self._known[engine_id]

    def _python_info(self, engine: engines.Engine) -> EngineInfo:
        base: dict[str, Any] = {
            "id": engine.id,
            "language": "python",
            "package": engine.packages[0] if engine.packages else engine.id,
        }
        environment = dict(python_environment())
        for name in engine.packages:
            try:
                environment[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                reason = f"the Python package {name} is not installed; do: pip install {name}"
                return EngineInfo(**base, transport="missing", reason=reason)
        version = environment[engine.packages[0]] if engine.packages else ""
        return EngineInfo(**base, version=version, environment=tuple(sorted(environment.items())))

    def _pinned_info(self, engine: engines.Pinned) -> EngineInfo:
        base: dict[str, Any] = {"id": engine.id, "language": "python", "package": engine.packages[0]}
        try:
            place: Environment = provide(cache_dir(), engine.requirements, say=_say)
        except EngineMissing as error:
            return EngineInfo(**base, transport="missing", reason=f"{error.what}; do: {error.hint}")
        environment = tuple(sorted(place.environment(engine.packages).items()))
        return EngineInfo(**base, version=engine.pin.version, environment=environment, python=str(place.python))

    def _r_info(self, engine: engines.Engine) -> EngineInfo:
        base: dict[str, Any] = {"id": engine.id, "language": "r", "package": engine.packages[0]}
        if self.transport == "recorded":
            return EngineInfo(**base, transport="missing", reason="R is not used: --transport recorded")
        if not self.r:
            return EngineInfo(**base, transport="missing", reason="R is not here; do: crosscheck doctor")
        for name in engine.packages:
            if name not in self.r:
                reason = f"the R package {name} is not installed; do: Rscript r_scripts/install.R {name}"
                return EngineInfo(**base, transport="missing", reason=reason)
        environment = {name: self.r[name] for name in ("R", *engine.packages)}
        return EngineInfo(**base, version=self.r[engine.packages[0]], environment=tuple(sorted(environment.items())))


def _say(text: str) -> None:
    sys.stderr.write(f"crosscheck: {text}\n")
    sys.stderr.flush()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All tasks of a study, and how each engine is reached."""

    study: Study
    tasks: tuple[Task, ...]
    infos: Mapping[str, EngineInfo]

    def of_column(self, column: ColumnSpec) -> tuple[Task, ...]:
        """Return the tasks of one column in the order of its engines."""
        return tuple(t for t in self.tasks if t.column is column)

    @property
    def to_fit(self) -> tuple[Task, ...]:
        """Return the tasks that need an estimation."""
        return tuple(t for t in self.tasks if t.answer is None)


def make_plan(
    study: Study,
    reach: Reachability,
    cache: Cache,
    *,
    only: Iterable[str] = (),
    engines_wanted: Iterable[str] = (),
    require: Iterable[str] = (),
    references_root: Path,
) -> Plan:
    """Pair every column with every engine it names, and look up what is known without estimating.

    Raises
    ------
    UsageError
        Where ``only`` names a table that the study does not have, or an engine is unknown.
    EngineMissing
        Where a required engine can be reached neither live nor through recorded references.
    """
    wanted = set(only)
    tables = {t.id for t in study.tables}
    for name in sorted(wanted - tables):
        raise UsageError(
            f"study {study.id} has no table {name!r}",
            where=str(study.file),
            allowed=", ".join(t.id for t in study.tables),
            hint=nearest(name, tables),
        )
    chosen = set(engines_wanted)
    for name in chosen:
        engines.get(name)
    tasks: list[Task] = []
    dates: dict[str, str] = {}
    reached: dict[str, EngineInfo] = {}
    for table in study.tables:
        if wanted and table.id not in wanted:
            continue
        for column in table.columns:
            frame = study.sample(column)
            data_hash = frame.key
            for engine_id in dict.fromkeys((*column.candidates, *column.references)):
                if chosen and engine_id not in chosen:
                    continue
                task, recorded_info = _task(study, column, engine_id, frame, data_hash, reach, cache, references_root)
                tasks.append(task)
                live = reach.info(engine_id)
                if live.transport == "missing" and recorded_info is not None:
                    reached[engine_id] = recorded_info
                    dates[engine_id] = max(dates.get(engine_id, ""), recorded_info.recorded_on)
                else:
                    reached.setdefault(engine_id, live)
    for name in require:
        info = reached.get(name) or reach.info(name)
        if info.transport == "missing":
            reason, _, remedy = info.reason.partition("; do: ")
            raise EngineMissing(
                f"engine {name} is required and cannot be reached in study {study.id}: {reason}",
                where=str(study.file),
                hint=remedy or f"record its references where R is: crosscheck record {study.folder}",
            )
    return Plan(study=study, tasks=tuple(tasks), infos=reached)


def _task(
    study: Study,
    column: ColumnSpec,
    engine_id: str,
    frame: Frame,
    data_hash: str,
    reach: Reachability,
    cache: Cache,
    references_root: Path,
) -> tuple[Task, EngineInfo | None]:
    engine = engines.get(engine_id)
    info = reach.info(engine_id)
    key = cache.key(engine_id, dict(info.environment), column.request, data_hash, code_hash(engine.language))

    def task(answer: EstimationResult | None, **more: Any) -> Task:
        return Task(
            engine=engine_id,
            column=column,
            frame=frame,
            data_hash=data_hash,
            cache_key=key,
            answer=answer.with_(version=answer.version or info.version) if answer else None,
            python=info.python,
            **more,
        )

    support = engine.supports(column.request)
    if not support:
        return task(failed(engine_id, f"{support.reason} ({support.reach})", status="unsupported")), None
    recorded = None
    if engine.language == "r" and reach.transport != "live":
        recorded = read_reference(reference_path(references_root, engine_id, column.table, column.id))
    if info.transport == "missing":
        if recorded is None:
            reason = f"{info.reason}; and no reference of {column.table}/{column.id} is recorded"
            if engine.language == "python":
                reason = info.reason
            return task(failed(engine_id, reason, transport="missing")), None
        recorded_info = EngineInfo(
            id=engine_id,
            language="r",
            package=engine.packages[0],
            version=recorded.version,
            transport="recorded",
            reason=info.reason,
            environment=recorded.environment,
            recorded_on=recorded.recorded_on,
        )
        stale = why_stale(recorded, column.request, data_hash)
        if stale:
            return task(
                failed(engine_id, f"the recorded reference is stale: {stale}", transport="stale")
            ), recorded_info
        return task(recorded.result), recorded_info
    beside = None
    if recorded is not None and not why_stale(recorded, column.request, data_hash):
        beside = recorded.result.with_(engine=f"{engine_id}@{recorded.version}")
    hit = cache.get(key)
    if hit is not None:
        return task(hit, cached=True, recorded=beside), None
    return task(None, recorded=beside), None


def default_workers() -> int:
    """Return how many workers of one language to start: one, so that threads and memory stay predictable."""
    return max(1, int(os.environ.get("CROSSCHECK_WORKERS", "1")))
