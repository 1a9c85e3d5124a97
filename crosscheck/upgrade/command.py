"""How are two versions of an engine run side by side, and where do the reports go?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import crosscheck
from crosscheck import engines
from crosscheck.canon import dumps, write_atomic
from crosscheck.engines.pinned import VERSION, pin_wheel
from crosscheck.errors import EngineMissing, StudyError, UsageError, nearest
from crosscheck.plan import EngineInfo, Reachability, Transport, make_plan
from crosscheck.report import fold, write_all
from crosscheck.report.model import EngineRow, RunReport
from crosscheck.runner import RunOptions, Workers, run_study, stamp, utc_now
from crosscheck.session import few_collections, load_all, progress_bar
from crosscheck.store import Cache, cache_dir, references_root, require_writable
from crosscheck.study import ColumnSpec, Study
from crosscheck.study_file import STUDY_FILE
from crosscheck.upgrade.changes import study_changes
from crosscheck.upgrade.model import StudyChanges, Upgrade, to_json
from crosscheck.upgrade.render import html, markdown, print_upgrade, summarize
from crosscheck.verdict import EXIT_AGREES, EXIT_DISCREPANCY, EXIT_NOTHING, Severity, at_least

INSTALLED = "installed"
ARBITER = "oracle"
DEFAULT_STUDIES = Path("fixtures") / "studies"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """The arguments of ``crosscheck upgrade``."""

    engine: str
    old: str
    new: str
    studies: tuple[Path, ...]
    witnesses: tuple[str, ...] = ()
    out: Path | None = None
    tables: tuple[str, ...] = ()
    transport: Transport = "auto"
    fail_on: Severity = "printed"
    timeout: float = 120.0
    use_cache: bool = True
    format: str = "text"
    command: str = "crosscheck upgrade"


@few_collections()
def run_upgrade(request: UpgradeRequest) -> int:
    """Run studies at two versions of an engine, beside witnesses, and report what changed.

    Returns
    -------
    int
        0 where nothing changed at or above ``fail_on``, 1 where something did, 3 where nothing was compared.

    Raises
    ------
    UsageError
        Where the engine cannot be pinned, a version is none, or both are the same.
    EngineMissing
        Where one of the versions cannot be installed.
    """
    old, new = (version_id(request.engine, version) for version in (request.old, request.new))
    if old == new:
        raise UsageError(
            f"both versions are {old}", hint="name two versions, such as: crosscheck upgrade pyfixest 0.50.1 0.60.0"
        )
    for witness in request.witnesses:
        _check_witness(witness, old, new)
    studies = [between(s, old, new, request.witnesses) for s in load_all(request.studies or default_studies())]
    out = request.out or Path("reports") / f"upgrade-{request.engine}-{_short(old)}-{_short(new)}"
    cache = Cache(cache_dir(), enabled=request.use_cache)
    cache.require_writable()
    reach = Reachability(request.transport)
    infos = [_reached(reach, engine_id) for engine_id in (old, new)]
    if infos[0].version == infos[1].version and "+wheel." not in old + new:
        raise UsageError(f"{old} and {new} are both version {infos[0].version}", hint="name two versions")
    plans = [
        make_plan(s, reach, cache, only=request.tables, references_root=references_root(s.folder, s.id))
        for s in studies
    ]
    require_writable(out, "the folder of the reports", hint="name another folder with --out")
    options = RunOptions(
        transport=request.transport, fail_on=request.fail_on, timeout=request.timeout, command=request.command
    )
    started = stamp(utc_now())
    reports: list[RunReport] = []
    with Workers() as workers:
        for plan in plans:
            folder = out / plan.study.id
            with progress_bar(len(plan.tasks), plan.study.id) as progress:
                report = fold(run_study(plan, folder, workers, cache, options, progress=progress))
            write_all(report, folder)
            reports.append(report)
    upgrade = gather(request, reports, infos, started)
    _write(upgrade, out)
    if request.format == "text":
        print_upgrade(upgrade, out)
    else:
        sys.stdout.write(dumps(to_json(upgrade), indent=1) + "\n" if request.format == "json" else markdown(upgrade))
    return upgrade.exit_code


def version_id(engine: str, version: str) -> str:
    """Return the id of an engine at what the command line calls a version: a number, ``installed``, or a wheel.

    Raises
    ------
    UsageError
        Where the engine is unknown or has no package, or the text is none of these.
    """
    if "@" in engine:
        raise UsageError(f"{engine!r} has a version already", allowed="an engine's name, then two versions")
    base = engines.get(engine)
    if version == INSTALLED:
        engines.Pinned(base, engines.Pin(engine, "0"))  # refuses engines without a package
        return engine
    if version.endswith(".whl"):
        return pin_wheel(base, Path(version)).id
    if not VERSION.fullmatch(version):
        raise UsageError(
            f"{version!r} is no version",
            allowed="a number such as 0.50.1, installed, or the path of a wheel (.whl)",
        )
    return engines.get(f"{engine}@{version}").id


def default_studies() -> tuple[Path, ...]:
    """Return the studies of this project that have data and recorded references.

    Raises
    ------
    UsageError
        Where there are none.
    """
    found = tuple(
        file.parent
        for file in sorted(DEFAULT_STUDIES.glob(f"*/{STUDY_FILE}"))
        if references_root(file.parent, file.parent.name).is_dir()
    )
    if not found:
        raise UsageError("no study is named, and there is none below fixtures/studies", hint="name folders of studies")
    return found


def between(study: Study, old: str, new: str, witnesses: Sequence[str]) -> Study:
    """Return a study whose columns ask both versions, beside witnesses.

    Without ``witnesses`` those are the references that a column names, but for the engine itself, and the closed forms.

    Raises
    ------
    StudyError
        Where no column is estimated.
    """
    base = old.partition("@")[0]

    def asked(column: ColumnSpec) -> ColumnSpec:
        if not column.estimated:
            return column
        named = witnesses or (*column.references, ARBITER)
        kept = [w for w in dict.fromkeys(named) if w.partition("@")[0] != base]
        return replace(column, candidates=(new, old), references=(old, *kept))

    if not any(c.estimated for c in study.columns):
        raise StudyError("the study estimates nothing, so no version changes it", where=str(study.file))
    tables = tuple(replace(t, columns=tuple(asked(c) for c in t.columns)) for t in study.tables)
    # Rows of [[known]] are about the study's own engines; here they would be stale.
    return replace(study, tables=tables, known=())


def _check_witness(witness: str, old: str, new: str) -> None:
    if witness in (old, new):
        raise UsageError(f"{witness} is one of the versions and no witness")
    if "@" in witness:
        engines.get(witness)
    elif witness not in engines.known_ids():
        known = engines.known_ids()
        raise UsageError(f"there is no engine {witness!r}", allowed=", ".join(known), hint=nearest(witness, known))


def _reached(reach: Reachability, engine_id: str) -> EngineInfo:
    info = reach.info(engine_id)
    if info.transport == "missing":
        reason, _, remedy = info.reason.partition("; do: ")
        raise EngineMissing(f"{engine_id} cannot be run: {reason}", hint=remedy)
    return info


def _short(engine_id: str) -> str:
    return engine_id.partition("@")[2] or INSTALLED


def gather(request: UpgradeRequest, reports: Sequence[RunReport], infos: Sequence[EngineInfo], started: str) -> Upgrade:
    """Fold the runs of all studies into one comparison."""
    old, new = (_row(info) for info in infos)
    studies = tuple(study_changes(r, old.id, new.id) for r in reports)
    return Upgrade(
        crosscheck=crosscheck.__version__,
        command=request.command,
        started=started,
        engine=request.engine,
        package=infos[0].package,
        old=old,
        new=new,
        fail_on=request.fail_on,
        studies=studies,
        summary=summarize(request.engine, old.version, new.version, studies),
        exit_code=exit_code(studies, request.fail_on),
    )


def _row(info: EngineInfo) -> EngineRow:
    return EngineRow(
        id=info.id,
        package=info.package,
        version=info.version,
        language=info.language,
        transport=info.transport,
        reason=info.reason,
        environment=info.environment,
        recorded_on=info.recorded_on,
    )


def exit_code(studies: Sequence[StudyChanges], fail_on: Severity) -> int:
    """Return 1 where a change reaches ``fail_on``, 3 where no number was compared, else 0."""
    if fail_on != "none" and any(at_least(c.severity, fail_on) for s in studies for c in s.changes):
        return EXIT_DISCREPANCY
    return EXIT_AGREES if any(s.compared for s in studies) else EXIT_NOTHING


def _write(upgrade: Upgrade, out: Path) -> None:
    rendered = {
        "upgrade.json": dumps(to_json(upgrade), indent=1) + "\n",
        "upgrade.md": markdown(upgrade),
        "upgrade.html": html(upgrade),
    }
    for name, text in rendered.items():
        write_atomic(out / name, text)
