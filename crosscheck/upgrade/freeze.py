"""``crosscheck upgrade --freeze`` and ``--against``: what was true then, held against what is there now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscheck import engines
from crosscheck.errors import UsageError
from crosscheck.report.words import listing, plural
from crosscheck.runner import Workers
from crosscheck.session import load_all, worst_exit
from crosscheck.store import require_writable
from crosscheck.study import Study
from crosscheck.upgrade import eras
from crosscheck.upgrade.check import upgrade_of
from crosscheck.upgrade.frozen import Frozen, read_frozen, require_same, source_of, write_frozen
from crosscheck.upgrade.make import INSTALLED, Wanted, engine_of, library_source, make_sources
from crosscheck.upgrade.questions import Question
from crosscheck.upgrade.sources import Answers, Source
from crosscheck.upgrade.state import told
from crosscheck.upgrade.witnesses import Heard

if TYPE_CHECKING:
    from crosscheck.upgrade.command import UpgradeRequest


def freeze(request: UpgradeRequest, wanted: Wanted, studies: Sequence[Study], path: Path) -> int:
    """Store the numbers of studies as the packages give them now.

    Raises
    ------
    UsageError
        Where no study is named, the file is there already, or no package of theirs can be asked.
    """
    from crosscheck.upgrade.command import make_check

    if not studies:
        raise UsageError("no study is named to freeze", hint=f"crosscheck upgrade --freeze {path} STUDY")
    if len(wanted.versions) > 1:
        raise UsageError("one version is frozen", allowed="--to VERSION, or nothing for the one that is installed")
    if path.exists():
        raise UsageError("the file is there already, and a frozen file is not overwritten", where=str(path),
                         hint="name another file, or remove this one")  # fmt: skip
    require_writable(path.absolute().parent, "the folder of the frozen file", hint="name another file")
    packages = [wanted.package] if wanted.package else packages_of(studies)
    answers: list[Answers] = []
    questions: dict[str, Question] = {}
    heard: Heard = {}
    with Workers() as workers:
        for package in packages:
            one = replace(wanted, package=package)
            check = make_check(request, one, studies, False, workers)
            answers.append(check.ask(_current(one)))
            for q in check.questions:
                if q.id not in questions or questions[q.id].case is None:
                    questions[q.id] = q
            for study in studies:
                for q_id, said in check.witnesses(study.id, []).heard.items():
                    heard.setdefault(q_id, {}).update(said)
    write_frozen(path, studies, list(questions.values()), answers, heard, request.command)
    columns = plural(len(questions), "column")
    fitted = sum(r.status == "ok" for a in answers for r in a.results.values())
    named = listing([f"{a.row.package} {a.row.version}" for a in answers], 8)
    click.echo(f"{columns} of {plural(len(studies), 'study', 'studies')} frozen ({fitted} answers of {named}): {path}")
    if not fitted:
        raise UsageError("nothing was fitted, so the file holds no number", where=str(path))
    return 0


def packages_of(studies: Sequence[Study]) -> list[str]:
    """Return the Python packages that the studies' columns name as candidates and that are installed.

    Raises
    ------
    UsageError
        Where there is none.
    """
    named = dict.fromkeys(c.partition("@")[0] for s in studies for col in s.columns for c in col.candidates)
    found = []
    for name in named:
        engine = engines.get(name)
        if name in eras.packages() or (engine.language == "python" and engine.packages):
            found.append(name)
    if not found:
        raise UsageError("no Python package is a candidate of these studies", hint="name one with --package")
    return found


def _current(wanted: Wanted) -> Source:
    """Return the side as it is now: the version that was named, or the one that is installed."""
    if engine_of(wanted.package).startswith("r."):
        return library_source(engine_of(wanted.package), wanted.libraries[-1] if wanted.libraries else None)
    version = wanted.versions[-1] if wanted.versions else INSTALLED
    pins = wanted.pins[0] if wanted.pins else ()
    return make_sources(Wanted(package=wanted.package, versions=(version,), pins=(pins,)))[0]


def against_frozen(request: UpgradeRequest, wanted: Wanted, studies: Sequence[Study], path: Path, began: float) -> int:
    """Compare frozen numbers with those of the packages that are here now, or of the version that is named.

    Raises
    ------
    UsageError, DataError
        Where the file, the study or the data are not what they were.
    """
    from crosscheck.upgrade.command import make_check, say, write_reports

    frozen = read_frozen(path)
    if len(wanted.versions) > 1:
        raise UsageError("the old side is the frozen file", allowed="--to VERSION, or nothing for what is installed")
    sides = [s for s in frozen.sides if wanted.package in ("", s["package"])]
    if not sides:
        raise UsageError(
            f"nothing of {wanted.package} is frozen", where=str(path),
            allowed=", ".join(str(s["package"]) for s in frozen.sides),
        )  # fmt: skip
    if wanted.versions and len(sides) > 1:
        raise UsageError("several packages are frozen, and one version is named", hint="choose one with --package",
                         allowed=", ".join(str(s["package"]) for s in sides))  # fmt: skip
    loaded = list(studies) or _studies(frozen)
    codes = []
    for number, raw in enumerate(sides):
        one = replace(wanted, package=str(raw["package"]))
        if one.package not in (*eras.packages(), *engines.known_ids()):
            one = replace(one, package=one.package.removeprefix("r."))
        old = source_of(frozen, raw)
        with Workers() as workers:
            check = make_check(request, one, loaded, False, workers)
            check.questions, new_ids = require_same(frozen, check.questions, one.package)
            check.fallback = frozen.heard
            new = _current(one)
            if new_ids:
                told(f"{plural(len(new_ids), 'column')} of the study are not in the frozen file and are left out")
            out = request.out or Path("reports") / f"upgrade-against-{path.stem}"
            out = out / one.package if len(sides) > 1 else out
            require_writable(out, "the folder of the reports", hint="name another folder with --out")
            pair = [check.ask(source) for source in (old, new)]
            upgrade = upgrade_of(
                check, pair[0], pair[1], new, command=request.command, fail_on=request.fail_on,
                began=began if not number else time.perf_counter(),
            )  # fmt: skip
        write_reports(upgrade, out)
        say(upgrade, out, request.format)
        codes.append(upgrade.exit_code)
    return worst_exit(codes)


def _studies(frozen: Frozen) -> list[Study]:
    """Read the studies from where they were beside the frozen file.

    Raises
    ------
    UsageError
        Where one is not there any more.
    """
    folders = [frozen.path.parent / str(s["folder"]) for s in frozen.studies]
    for folder, study in zip(folders, frozen.studies, strict=True):
        if not folder.exists():
            raise UsageError(
                f"the study {study['id']} is not where it was when it was frozen", where=str(folder),
                hint=f"name it: crosscheck upgrade --against {frozen.path} STUDY",
            )  # fmt: skip
    return load_all(folders)
