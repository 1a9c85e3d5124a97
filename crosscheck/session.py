"""What happens between the command line and the run: studies are checked first, then run, then reported.

Nothing is written before every study of the command was read and planned, so that bad input leaves earlier reports as
they are.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscheck.errors import EngineMissing, RunFileError, UsageError, nearest
from crosscheck.findings import finding_note
from crosscheck.inferences import printed_audit
from crosscheck.plan import Plan, Reachability, Transport, code_hash, make_plan
from crosscheck.runner import RUN_FILE, RunOptions, Workers, content_hash, fit_all, run_study, stamp, utc_now
from crosscheck.store import Cache, cache_dir, references_root, require_writable, write_reference
from crosscheck.study import Study, load_study
from crosscheck.verdict import EXIT_AGREES, EXIT_BAD_INPUT, EXIT_DISCREPANCY, EXIT_NOTHING, Severity

if TYPE_CHECKING:
    from crosscheck.report import RunReport

COLLECT_AFTER = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The arguments of ``crosscheck run``."""

    studies: tuple[Path, ...]
    out: Path | None = None
    tables: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    transport: Transport = "auto"
    fail_on: Severity = "printed"
    require: tuple[str, ...] = ()
    timeout: float = 120.0
    use_cache: bool = True
    format: str = "text"
    command: str = "crosscheck run"


def out_folder(out: Path | None, study: Study, several: bool) -> Path:
    """Return where the reports of a study go: ``--out`` itself for one study, a folder in it for several."""
    if out is None:
        return Path("reports") / study.id
    return out / study.id if several else out


def load_all(paths: Sequence[Path]) -> list[Study]:
    """Read all studies of a command.

    Raises
    ------
    UsageError
        Where two of them have the same id, since their reports would overwrite each other.
    """
    studies = [load_study(p) for p in paths]
    seen: dict[str, Path] = {}
    for study, path in zip(studies, paths, strict=True):
        if study.id in seen:
            raise UsageError(
                f"two studies have the id {study.id!r}, and their reports would overwrite each other",
                where=f"{seen[study.id]} and {path}",
                hint="name each once, or change `study = ` in one of them",
            )
        seen[study.id] = path
    return studies


def worst_exit(codes: Sequence[int]) -> int:
    """Return the exit code of several runs: bad input before a discrepancy before nothing compared before agreement."""
    for code in (EXIT_BAD_INPUT, EXIT_DISCREPANCY, EXIT_NOTHING):
        if code in codes:
            return code
    return EXIT_AGREES


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Callable[[str], None]]:
    """Show progress on stderr: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[study]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, study=label)
        yield lambda text: bar.update(task, advance=1, description=text)


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for cyclic garbage rarely: a run holds hundreds of thousands of plain objects, none of them in a cycle."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@few_collections()
def run_studies(request: RunRequest) -> int:
    """Run studies and write their reports; return the exit code of the command."""
    from crosscheck.report import fold, print_summary, render_stdout, write_all

    studies = load_all(request.studies)
    audits = [printed_audit(study.folder) for study in studies]
    reach = Reachability(request.transport)
    cache = Cache(cache_dir(), enabled=request.use_cache)
    plans = [
        make_plan(
            study,
            reach,
            cache,
            only=request.tables,
            engines_wanted=request.engines,
            require=request.require,
            references_root=references_root(study.folder, study.id),
        )
        for study in studies
    ]
    need_tasks(plans, request.engines)
    targets = [out_folder(request.out, study, len(studies) > 1) for study in studies]
    for folder in targets:
        require_writable(folder, "the folder of the reports", hint="name another folder with --out")
    cache.require_writable()
    options = RunOptions(
        transport=request.transport, fail_on=request.fail_on, timeout=request.timeout, command=request.command
    )
    reports: list[RunReport] = []
    with Workers() as workers:
        for plan, folder, audited in zip(plans, targets, audits, strict=True):
            with progress_bar(len(plan.tasks), plan.study.id) as progress:
                events = run_study(plan, folder, workers, cache, options, progress=progress, audited=audited)
            run_report = fold(events)
            write_all(run_report, folder, cache=cache, content=content_hash(folder / RUN_FILE))
            reports.append(run_report)
    if request.format == "text":
        print_summary(reports, targets)
    else:
        click.echo(render_stdout(reports, request.format))
    for study in studies:
        note = finding_note(study.folder)
        if note:
            click.echo(note, err=True)
    return worst_exit([r.exit_code for r in reports])


def need_tasks(plans: Sequence[Plan], wanted: Sequence[str]) -> None:
    """Refuse an ``--engine`` that no study of the command names: its reports would be empty."""
    named = dict.fromkeys(e for p in plans for c in p.study.columns for e in (*c.candidates, *c.references))
    for engine in wanted:
        if engine not in named:
            raise UsageError(
                f"no column names the engine {engine!r}",
                where=", ".join(str(p.study.file) for p in plans),
                allowed=", ".join(named),
                hint=nearest(engine, named) or "add it to candidates or references in study.toml",
            )


def record_studies(paths: Sequence[Path], engines_wanted: Sequence[str], tables: Sequence[str], timeout: float) -> int:
    """Fit every column of the studies in live R and write what R says as references."""
    studies = load_all(paths)
    reach = Reachability("live")
    cache = Cache(cache_dir(), enabled=False)
    if not reach.r:
        raise EngineMissing(
            "references are recorded from a live R, and there is none", hint="crosscheck doctor says how to get R"
        )
    for study in studies:
        root = references_root(study.folder, study.id)
        require_writable(root, "the folder of the references", hint="record where the study can be written")
    moment = stamp(utc_now())
    written, failures, missing = 0, [], set()
    with Workers() as workers:
        for study in studies:
            root = references_root(study.folder, study.id)
            plan: Plan = make_plan(
                study, reach, cache, only=tables, engines_wanted=engines_wanted, references_root=root
            )
            tasks = [t for t in plan.to_fit if plan.infos[t.engine].language == "r"]
            missing |= {e for e, info in plan.infos.items() if info.language == "r" and info.transport == "missing"}
            with progress_bar(len(tasks), study.id) as progress:
                for task, result in fit_all(tasks, workers, cache, timeout):
                    progress(f"{task.column.table}/{task.column.id} {task.engine}")
                    if result.status == "unsupported":
                        continue
                    if result.status != "ok":
                        failures.append(
                            f"{study.id} {task.column.table}/{task.column.id} {task.engine}: {result.reason}"
                        )
                        continue
                    write_reference(
                        root,
                        study=study.id,
                        table=task.column.table,
                        column=task.column.id,
                        request=task.request,
                        data_hash=task.data_hash,
                        result=result.with_(version=result.version or plan.infos[task.engine].version),
                        script_hash=code_hash("r"),
                        recorded_on=moment,
                    )
                    written += 1
    click.echo(f"{written} references recorded on {moment[:10]}")
    for engine in sorted(missing):
        click.echo(f"not recorded: {engine}: {reach.info(engine).reason}", err=True)
    for line in failures:
        click.echo(f"not recorded: {line}", err=True)
    if failures:
        return EXIT_DISCREPANCY
    return EXIT_AGREES if written and not missing else EXIT_NOTHING


@few_collections()
def rerender(run_files: Sequence[Path], out: Path | None, allow_incomplete: bool, format_: str) -> int:
    """Write the reports of run files again, from their events alone."""
    from crosscheck.report import fold, print_summary, render_stdout, write_all

    reports: list[RunReport] = []
    folders: list[Path] = []
    for path in run_files:
        file = path / RUN_FILE if path.is_dir() else path
        if not file.exists():
            raise RunFileError("there is no run to report", where=str(file), hint="crosscheck run STUDY")
        run_report = fold(file, allow_incomplete=allow_incomplete)
        folder = file.parent if out is None else (out / run_report.study if len(run_files) > 1 else out)
        if folder in folders:
            raise UsageError(
                f"two runs would be reported to the same folder: {path} is the second",
                where=str(folder),
                hint="report them one by one, each with its own --out",
            )
        reports.append(run_report)
        folders.append(folder)
    for folder in folders:
        require_writable(folder, "the folder of the reports", hint="name another folder with --out")
    for run_report, folder in zip(reports, folders, strict=True):
        write_all(run_report, folder)
    if format_ == "text":
        print_summary(reports, folders)
    else:
        click.echo(render_stdout(reports, format_))
    return worst_exit([r.exit_code if r.complete else EXIT_BAD_INPUT for r in reports])
