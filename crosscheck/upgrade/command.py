"""What does ``crosscheck upgrade`` do with what the user typed, and where do the reports go?"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosscheck.canon import dumps, write_atomic
from crosscheck.errors import StudyError, UsageError
from crosscheck.plan import Transport
from crosscheck.runner import Workers
from crosscheck.session import few_collections, load_all
from crosscheck.store import Cache, cache_dir, references_root, require_writable
from crosscheck.study import Study
from crosscheck.study_file import STUDY_FILE
from crosscheck.upgrade.check import Check, has_sentinel, upgrade_of
from crosscheck.upgrade.freeze import against_frozen, freeze
from crosscheck.upgrade.history import run_history
from crosscheck.upgrade.make import Wanted, check_versions, engine_of, make_sources
from crosscheck.upgrade.model import Upgrade
from crosscheck.upgrade.render import changelog, html, markdown, print_upgrade, referee
from crosscheck.upgrade.serial import to_json
from crosscheck.upgrade.sources import Source
from crosscheck.upgrade.witnesses import check_names
from crosscheck.verdict import Severity

DEFAULT_STUDIES = Path("fixtures") / "studies"
EXAMPLE = "crosscheck upgrade STUDY --package pyfixest --from 0.50.1 --to 0.60.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """The arguments of ``crosscheck upgrade``.

    ``words`` are studies, or a package, two versions and studies where no ``package`` is named.
    """

    words: tuple[str, ...] = ()
    package: str | None = None
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    requirements: tuple[Path, ...] = ()
    pins: tuple[str, ...] = ()
    old_pins: tuple[str, ...] = ()
    new_pins: tuple[str, ...] = ()
    libraries: tuple[Path, ...] = ()
    recorded: Path | None = None
    sentinel: bool | None = None
    open_defaults: bool = False
    all_between: bool = False
    bisect: bool = False
    freeze: Path | None = None
    against: Path | None = None
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
    """Compare versions of a package on studies and on the sentinel set, and report what changed.

    Returns
    -------
    int
        0 where no number moved and nothing was lost at or above ``fail_on``, 1 where one did, 3 where nothing was
        compared.

    Raises
    ------
    UsageError
        Where the words do not make a comparison.
    EngineMissing
        Where one of the versions cannot be installed.
    """
    began = time.perf_counter()
    modes = [n for n, on in (("--freeze", request.freeze), ("--against", request.against)) if on is not None]
    modes += [n for n, on in (("--all-between", request.all_between), ("--bisect", request.bisect)) if on]
    modes += ["--defaults"] if request.open_defaults else []
    if len(modes) > 1:
        raise UsageError(f"{modes[0]} and {modes[1]} are two questions", hint="ask one at a time")
    if request.freeze is not None or request.against is not None:
        studies = load_all([Path(w) for w in request.words])
        wanted = wanted_of(request, needs_both=False)
        if request.freeze is not None:
            return freeze(request, wanted, studies, request.freeze)
        assert request.against is not None
        return against_frozen(request, wanted, studies, request.against, began)
    wanted = wanted_of(request, needs_both=True)
    check_versions(wanted)
    check_names(request.witnesses, [f"{wanted.package}@{v}" for v in wanted.versions])
    studies, sentinel = studies_of(request, wanted)
    if request.open_defaults and (not studies or len(wanted.versions) > 2):
        raise UsageError(
            "--defaults needs a study and two versions", hint="the sentinel set leaves options open by itself"
        )
    if request.all_between or request.bisect or len(wanted.versions) > 2:
        return run_history(request, wanted, studies, sentinel, began)
    old, new = make_sources(wanted)
    _check_sides(old, new, request.witnesses)
    out = request.out or Path("reports") / f"upgrade-{wanted.package}-{short(old)}-{short(new)}"
    require_writable(out, "the folder of the reports", hint="name another folder with --out")
    with Workers() as workers:
        check = make_check(request, wanted, studies, sentinel, workers)
        if request.open_defaults:
            left = check.leave_open(old.row.version, new.row.version)
            print(f"crosscheck: {left}", file=sys.stderr)
        answers = [check.ask(source) for source in (old, new)]
        upgrade = upgrade_of(
            check, answers[0], answers[1], new, old, command=request.command, fail_on=request.fail_on, began=began
        )
    write_reports(upgrade, out)
    say(upgrade, out, request.format)
    return upgrade.exit_code


def make_check(
    request: UpgradeRequest, wanted: Wanted, studies: Sequence[Study], sentinel: bool, workers: Workers
) -> Check:
    """Gather the questions."""
    cache = Cache(cache_dir(), enabled=request.use_cache)
    cache.require_writable()
    return Check(
        package=wanted.package,
        engine=engine_of(wanted.package),
        studies=studies,
        sentinel=sentinel,
        cache=cache,
        workers=workers,
        transport=request.transport,
        named=request.witnesses,
        tables=request.tables,
        timeout=request.timeout,
    )


def wanted_of(request: UpgradeRequest, *, needs_both: bool) -> Wanted:
    """Read what is compared from options, or from the first three words.

    Raises
    ------
    UsageError
        Where it is said twice, or not at all.
    """
    return Wanted.read(
        package=request.package,
        words=request.words,
        old=request.old,
        new=request.new,
        requirements=request.requirements,
        pins=request.pins,
        old_pins=request.old_pins,
        new_pins=request.new_pins,
        libraries=request.libraries,
        recorded=request.recorded,
        between=request.all_between or request.bisect,
        needs_both=needs_both,
    )


def studies_of(request: UpgradeRequest, wanted: Wanted) -> tuple[list[Study], bool]:
    """Return the studies, and whether the sentinel set runs: besides them, and alone where none is named.

    Raises
    ------
    UsageError
        Where there is nothing to ask.
    """
    able = has_sentinel(wanted.package)
    if request.sentinel and not able:
        raise UsageError(f"there is no sentinel set for {wanted.package}", hint="name a study")
    sentinel = able if request.sentinel is None else request.sentinel
    paths = [Path(w) for w in wanted.studies]
    if not paths and not sentinel:
        paths = list(default_studies())
    studies = load_all(paths)
    for study in studies:
        if not any(c.estimated for c in study.columns):
            raise StudyError("the study estimates nothing, so no version changes it", where=str(study.file))
        tables = {t.id for t in study.tables}
        for name in request.tables:
            if len(studies) == 1 and name not in tables:
                raise UsageError(
                    f"study {study.id} has no table {name!r}", where=str(study.file), allowed=", ".join(sorted(tables))
                )
    return studies, sentinel


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


def _check_sides(old: Source, new: Source, witnesses: Sequence[str]) -> None:
    a, b = old.row, new.row
    if a.version == b.version and dict(a.state) == dict(b.state) and a.transport == b.transport and a.id == b.id:
        raise UsageError(f"both sides are {b.id} beside the same packages", hint=f"name two versions: {EXAMPLE}")
    for name in witnesses:
        if name in (a.id, b.id):
            raise UsageError(f"{name} is one of the versions and no witness")


def short(source: Source) -> str:
    """Return a word for a side that fits into the name of a folder."""
    row = source.row
    plain = row.id.partition("@")[2] or row.version or row.transport
    return "".join(c if c.isalnum() or c in ".+" else "-" for c in plain).strip("-")


def write_reports(upgrade: Upgrade, out: Path) -> None:
    """Write all files of a comparison."""
    rendered = {
        "upgrade.json": dumps(to_json(upgrade), indent=1) + "\n",
        "upgrade.md": markdown(upgrade),
        "upgrade.html": html(upgrade),
        "changelog.md": changelog(upgrade),
        "referee.md": referee(upgrade, markdown=True),
    }
    for name, text in rendered.items():
        write_atomic(out / name, text)


def say(upgrade: Upgrade, out: Path, format_: str) -> None:
    """Write to stdout what was asked for."""
    if format_ == "text":
        print_upgrade(upgrade, out)
        return
    made = {
        "json": lambda: dumps(to_json(upgrade), indent=1) + "\n",
        "markdown": lambda: markdown(upgrade),
        "changelog": lambda: changelog(upgrade),
        "referee": lambda: referee(upgrade),
    }
    sys.stdout.write(made[format_]())
