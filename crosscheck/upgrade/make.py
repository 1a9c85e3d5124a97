"""Which two sides, or more, does the user mean, and how are they made?"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crosscheck import engines
from crosscheck.bridge import live_kind
from crosscheck.bridge.discovery import find_r
from crosscheck.engines.pinned import VERSION, pin_wheel
from crosscheck.errors import EngineMissing, UsageError, nearest
from crosscheck.plan import Reachability
from crosscheck.upgrade import eras
from crosscheck.upgrade.model import SideRow
from crosscheck.upgrade.sources import EngineSource, RecordedSource, Source, ThinSource
from crosscheck.upgrade.state import Asked, SidesInRow, told

INSTALLED, LATEST, RECORDED = "installed", "latest", "recorded"
EXAMPLE = "crosscheck upgrade STUDY --package pyfixest --from 0.50.1 --to 0.60.0"
PIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(==|<=|>=|<|>|~=|!=)[A-Za-z0-9.*+!]+(,(==|<=|>=|<|>|~=|!=)[A-Za-z0-9.*+!]+)*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is compared.

    Attributes
    ----------
    package : str
    versions : tuple of str
        As the user named them, oldest first.
    pins : tuple of tuples
        Dependencies that were asked for, one tuple for each version.
    libraries : tuple of Path
        Two libraries of R, where it is an R package.
    recorded : Path or None
        References of an earlier version, where that is the old side.
    studies : tuple of str
    """

    package: str
    versions: tuple[str, ...] = ()
    pins: tuple[tuple[str, ...], ...] = ()
    libraries: tuple[Path, ...] = ()
    recorded: Path | None = None
    studies: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        *,
        package: str | None,
        words: Sequence[str],
        old: Sequence[str],
        new: Sequence[str],
        requirements: Sequence[Path],
        pins: Sequence[str],
        old_pins: Sequence[str],
        new_pins: Sequence[str],
        libraries: Sequence[Path],
        recorded: Path | None,
        between: bool,
        needs_both: bool,
    ) -> Wanted:
        """Read the words and options of the command line.

        Raises
        ------
        UsageError
            Where they do not make a comparison.
        """
        froms, tos = _split(old), _split(new)
        studies = tuple(words)
        for pin in (*pins, *old_pins, *new_pins):
            if not PIN.fullmatch(pin):
                raise UsageError(f"{pin!r} pins no dependency", allowed="a requirement such as numpy==1.26.4")
        if requirements and (froms or tos):
            raise UsageError("--requirements and --from or --to name the sides twice", hint="leave one of them out")
        if package is None and needs_both and not (froms or tos or requirements or libraries or recorded):
            if len(words) < 3:
                raise UsageError("no package is named", hint=EXAMPLE)
            package, froms, tos, studies = words[0], (words[1],), (words[2],), tuple(words[3:])
            if "@" in package:
                raise UsageError(f"{package!r} has a version already", allowed="an engine's name, then two versions")
        if requirements:
            if len(requirements) != 2:
                raise UsageError("--requirements takes two files: before and after")
            for file in requirements:
                if not file.is_file():
                    raise UsageError("there is no requirements file", where=str(file))
            package = package or _differing(requirements)
            froms, tos = (str(requirements[0]),), (str(requirements[1]),)
        if package is None:
            if not needs_both:
                return cls(package="", versions=(*froms, *tos), pins=((*pins, *new_pins),), studies=studies)
            raise UsageError("no package is named", hint=f"add --package, such as: {EXAMPLE}")
        package = known(package)
        if libraries or recorded:
            return cls._of_r(package, froms, tos, libraries, recorded, studies)
        if engine_of(package).startswith("r."):
            raise UsageError(
                f"{package} is an R package and cannot be pinned to a version",
                hint="name two libraries (--r-library OLD NEW) or references of an earlier version (--recorded DIR)",
            )
        if needs_both:
            varied = bool(pins or old_pins or new_pins)
            if froms and not tos and varied and len(froms) == 1:
                tos = froms
            if tos and not froms and varied and len(tos) == 1:
                froms = tos
            if not froms or not tos:
                missing = "--from" if not froms else "--to"
                raise UsageError(f"{missing} is not given", hint=f"name two versions: {EXAMPLE}")
            if between and len(froms) + len(tos) != 2:
                raise UsageError("a range has two ends", hint="give one version with --from and one with --to")
        versions = (*froms, *tos)
        listed = tuple((*pins, *old_pins) if i < len(froms) else (*pins, *new_pins) for i in range(len(versions)))
        sides = list(zip(versions, listed, strict=True))
        if needs_both and len(set(sides)) < 2:
            raise UsageError(
                f"both versions are {engine_of(package)}@{versions[0]}",
                hint=f"name two versions, or vary a dependency with --with-from and --with-to: {EXAMPLE}",
            )
        if len(sides) > 2:
            sides = list(dict.fromkeys(sides))
        return cls(
            package=package, versions=tuple(v for v, _ in sides), pins=tuple(p for _, p in sides), studies=studies
        )

    @classmethod
    def _of_r(
        cls,
        package: str,
        froms: Sequence[str],
        tos: Sequence[str],
        libraries: Sequence[Path],
        recorded: Path | None,
        studies: tuple[str, ...],
    ) -> Wanted:
        if froms or tos:
            raise UsageError("versions of an R package are those of its libraries", hint="leave out --from and --to")
        if not engine_of(package).startswith("r."):
            raise UsageError(f"{package} is no R package", hint=f"use --from and --to: {EXAMPLE}")
        if libraries and len(libraries) != 2:
            raise UsageError("--r-library takes two folders: the old library and the new one")
        if libraries and recorded:
            raise UsageError("--r-library and --recorded both name the old side", hint="leave one of them out")
        if recorded is not None and not recorded.is_dir():
            raise UsageError("there is no folder of recorded references", where=str(recorded))
        return cls(package=package, libraries=tuple(libraries), recorded=recorded, studies=studies)


def _split(values: Sequence[str]) -> tuple[str, ...]:
    """Return versions, given again or parted by commas."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def known(name: str) -> str:
    """Return a package's name as it is known here: of a thin worker, of an engine, or of an R package.

    Raises
    ------
    UsageError
    """
    plain = name.removeprefix("r.")
    ids = engines.known_ids()
    if name in eras.packages() or name in ids:
        return name if not name.startswith("r.") else plain
    if f"r.{plain}" in ids:
        return plain
    lowered = {n.lower().replace("_", "-"): n for n in (*eras.packages(), *ids)}
    found = lowered.get(name.lower().replace("_", "-"))
    if found is not None:
        return found
    names = (*eras.packages(), *(i.removeprefix("r.") for i in ids))
    raise UsageError(
        f"there is no engine {name!r}, and no package of that name is known here",
        allowed=", ".join(dict.fromkeys(names)),
        hint=nearest(name, names),
    )


def engine_of(package: str) -> str:
    """Return the engine that asks requests of a package."""
    ids = engines.known_ids()
    if package in ids or package in eras.packages():
        return package
    return f"r.{package}"


def _differing(files: Sequence[Path]) -> str:
    """Return the one package that two requirements files pin differently, of those that can be asked.

    Raises
    ------
    UsageError
        Where there is none, or more than one.
    """
    pinned = [_pins_of(f) for f in files]
    names = [n for n in eras.packages() if n.lower() in pinned[0] and n.lower() in pinned[1]]
    differ = [n for n in names if pinned[0][n.lower()] != pinned[1][n.lower()]] or names
    if len(differ) != 1:
        what = "several packages differ" if differ else "no package that can be asked is in both files"
        raise UsageError(what, allowed=", ".join(differ or eras.packages()), hint="choose one with --package")
    return differ[0]


def _pins_of(file: Path) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8", errors="replace").splitlines())
    found = (re.fullmatch(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?\s*(.*)", line) for line in lines if line)
    return {m[1].lower().replace("_", "-"): m[3] for m in found if m}


def check_versions(wanted: Wanted) -> None:
    """Refuse what names no version, before anything is read or installed.

    Raises
    ------
    UsageError
    """
    if wanted.libraries or wanted.recorded:
        return
    thin = wanted.package in eras.packages()
    for word in wanted.versions:
        if VERSION.fullmatch(word) or word == INSTALLED:
            if not thin and word != INSTALLED:
                engines.get(f"{wanted.package}@{word}")
        elif not thin and word.endswith(".whl"):
            pin_wheel(engines.get(wanted.package), Path(word))
        elif not thin or not (word == LATEST or Path(word).exists()):
            if thin and ("/" in word or word.endswith((".whl", ".txt"))):
                raise UsageError("there is no such wheel, folder or requirements file", where=word)
            raise UsageError(
                f"{word!r} is no version of {wanted.package}",
                allowed="a number such as 0.50.1, installed, the path of a wheel (.whl)"
                + (", latest, the folder of a source tree, or a requirements file" if thin else ""),
            )


def make_sources(wanted: Wanted) -> list[Source]:
    """Make every side, its environment built where there is none.

    Raises
    ------
    EngineMissing
        The verdict on a version that cannot be installed here.
    """
    if wanted.libraries or wanted.recorded:
        return _r_sources(wanted)
    if wanted.package in eras.packages():
        return [ThinSource(side=side) for side in sides_in_row(wanted).all()]
    if any(wanted.pins):
        raise UsageError(f"dependencies of {wanted.package} cannot be varied", allowed=", ".join(eras.packages()))
    return [engine_source(wanted.package, version) for version in wanted.versions]


def sides_in_row(wanted: Wanted) -> SidesInRow:
    """Return the sides of a Python package with a thin worker, none of them built yet."""
    asked = [Asked(what=v, pins=pins) for v, pins in zip(wanted.versions, wanted.pins, strict=True)]
    return SidesInRow(wanted.package, asked, say=told)


def engine_source(name: str, version: str) -> EngineSource:
    """Return crosscheck's engine of a package at one version, such as that of a plug-in.

    Raises
    ------
    UsageError
        Where the text is no version, or the engine has no package.
    EngineMissing
        Where the version cannot be installed.
    """
    base = engines.get(name)
    if version == INSTALLED:
        engines.Pinned(base, engines.Pin(name, "0"))  # refuses engines without a package
        engine_id = name
    elif version.endswith(".whl"):
        engine_id = pin_wheel(base, Path(version)).id
    elif not VERSION.fullmatch(version):
        raise UsageError(
            f"{version!r} is no version", allowed="a number such as 0.50.1, installed, or the path of a wheel (.whl)"
        )
    else:
        engine_id = engines.get(f"{name}@{version}").id
    info = Reachability("auto").info(engine_id)
    if info.transport == "missing":
        reason, _, remedy = info.reason.partition("; do: ")
        raise EngineMissing(f"{engine_id} cannot be run: {reason}", hint=remedy)
    row = SideRow(
        id=engine_id, package=name, version=info.version, asked=version, transport="live",
        state=dict(info.environment), hash_seeds=(0, 1),
    )  # fmt: skip
    return EngineSource(engine=engine_id, side=row, python=Path(info.python) if info.python else None)


def _r_sources(wanted: Wanted) -> list[Source]:
    engine = engine_of(wanted.package)
    if wanted.libraries:
        return [library_source(engine, folder) for folder in wanted.libraries]
    assert wanted.recorded is not None
    versions = recorded_versions(wanted.recorded, engine)
    row = SideRow(
        id=f"{engine}@{'+'.join(versions)}", package=wanted.package, version=", ".join(versions),
        asked=str(wanted.recorded), transport=RECORDED, state={wanted.package: ", ".join(versions)},
    )  # fmt: skip
    old = RecordedSource(engine=engine, side=row, folder=wanted.recorded)
    return [old, library_source(engine, None)]


def library_source(engine: str, folder: Path | None) -> EngineSource:
    """Return R's engine with a library of its own before the others; ``None`` for the library that R finds.

    Raises
    ------
    UsageError
        Where the folder holds no such package.
    EngineMissing
        Where there is no R.
    """
    package = engines.get(engine).packages[0]
    r = find_r()
    if r is None:
        raise EngineMissing(
            f"R is not here, and a library of {package} is nothing without it", hint="crosscheck doctor"
        )
    if folder is None:
        found = dict(r.packages).get(package)
        if found is None:
            raise EngineMissing(
                f"the R package {package} is not installed", hint=f"Rscript r_scripts/install.R {package}"
            )
        version, variables = found, {}
    else:
        description = folder / package / "DESCRIPTION"
        try:
            text = description.read_text("utf-8", errors="replace")
        except OSError:
            raise UsageError(
                f"the library holds no package {package}", where=str(folder),
                hint="name the folder in which R installed it, such as the first of .libPaths()",
            ) from None  # fmt: skip
        match = re.search(r"^Version:\s*(\S+)", text, re.MULTILINE)
        version = match[1] if match else ""
        others = [p for p in os.environ.get("R_LIBS", "").split(os.pathsep) if p]
        variables = {"R_LIBS": os.pathsep.join([str(folder.resolve()), *others])}
    state = {"R": r.version, package: version}
    row = SideRow(
        id=f"{engine}@{version}", package=package, version=version, asked=str(folder or INSTALLED), transport="live",
        state=state,
    )  # fmt: skip
    return EngineSource(engine=engine, side=row, kind=live_kind(), variables=variables)


def recorded_versions(folder: Path, engine: str) -> tuple[str, ...]:
    """Return the versions of an engine that are recorded below a folder.

    Raises
    ------
    UsageError
        Where nothing is.
    """
    from crosscheck.store import read_reference

    found = [read_reference(path) for path in sorted(folder.glob(f"**/{engine}/*.json"))]
    versions = tuple(dict.fromkeys(r.version for r in found if r is not None))
    if not versions:
        raise UsageError(f"nothing of {engine} is recorded there", where=str(folder), hint="crosscheck record STUDY")
    return versions
