"""Is there an R, which packages does it have, and how is it best reached?

Nothing here imports rpy2 or loads an R package: versions come from one quick Rscript call, and whether rpy2 can load
this R is tried in a process of its own. Answers are kept for the life of the process.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from crosscheck.errors import EngineMissing, UsageError

BridgeKind = Literal["rpy2", "rscript"]

SUPPORTED_R = (4, 2)
RPY2_NEEDS_R_GETVAR = (3, 6, 5)
R_WITH_GETVAR = (4, 5)
PROBE_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class RInstallation:
    """One R: its ``Rscript``, its home, its version, and where it looks for packages."""

    rscript: str
    home: str
    version: str
    libraries: tuple[str, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """How R is reached: ``kind`` (empty without R), whether rpy2 works here, its version, and why not."""

    kind: str
    rpy2_works: bool
    rpy2_version: str = ""
    reason: str = ""


def r_scripts_dir() -> Path:
    """Return the folder of our R files: inside the installed package, or beside it in a checkout.

    Raises
    ------
    EngineMissing
        Where the installation lacks them.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "r_scripts", package.parent / "r_scripts"):
        if (folder / "worker.R").exists():
            return folder
    raise EngineMissing("the R files of crosscheck are not installed", hint="reinstall crosscheck")


def version_tuple(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, ``4.2.2`` as ``(4, 2, 2)``."""
    numbers: list[int] = []
    for part in text.replace("-", ".").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _rscript_path() -> str | None:
    """Return the Rscript to use: ``CROSSCHECK_RSCRIPT`` (``none``: no R), else below ``R_HOME``, else on PATH."""
    wanted = os.environ.get("CROSSCHECK_RSCRIPT", "").strip()
    if wanted.lower() == "none":
        return None
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise UsageError(
                f"CROSSCHECK_RSCRIPT names {wanted!r}, which is no program",
                allowed="the path of Rscript, or none",
            )
        return found
    home = os.environ.get("R_HOME")
    below = shutil.which(str(Path(home) / "bin" / "Rscript")) if home else None
    return below or shutil.which("Rscript")


def _surroundings() -> tuple[str, ...]:
    """Return what decides which R and which packages are found, so that a change is noticed."""
    names = ("CROSSCHECK_RSCRIPT", "PATH", "R_HOME", "R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "HOME")
    return tuple(os.environ.get(name, "") for name in names)


def find_r() -> RInstallation | None:
    """Return the R of this machine, or ``None`` where there is none or it does not start.

    Raises
    ------
    UsageError
        Where ``CROSSCHECK_RSCRIPT`` names something that is not there.
    """
    return _find_r(_surroundings())


@lru_cache(maxsize=8)
def _find_r(_: tuple[str, ...]) -> RInstallation | None:
    rscript = _rscript_path()
    if rscript is None:
        return None
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LC_")}
    environment |= {"LC_ALL": "C.UTF-8", "R_PROFILE_USER": os.devnull, "R_ENVIRON_USER": os.devnull, "TZ": "UTC"}
    try:
        done = subprocess.run(
            [rscript, "--vanilla", str(r_scripts_dir() / "versions.R")],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=PROBE_TIMEOUT,
            check=True,
        )
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        raw = json.loads(next(line for line in lines if line.startswith('{"R":')))
        return RInstallation(
            rscript=rscript,
            home=str(raw["home"]),
            version=str(raw["R"]),
            libraries=tuple(str(p) for p in raw["libraries"]),
            packages=tuple(sorted((str(k), str(v)) for k, v in raw["packages"].items())),
        )
    except (OSError, subprocess.SubprocessError, ValueError, StopIteration, KeyError, TypeError, AttributeError):
        return None


def r_packages() -> Mapping[str, str]:
    """Return the version of R (key ``R``) and of every R package that is installed; empty without R."""
    r = find_r()
    return {} if r is None else {"R": r.version, **dict(r.packages)}


def rpy2_pin(r_version: str) -> list[str]:
    """Return what to give to ``pip install`` so that rpy2 can load an R of this version.

    rpy2-rinterface 3.6.5 calls ``R_getVar``, which R has since 4.5; with an older R its last release before serves,
    and its two halves are named as well since rpy2 itself leaves them floating.
    """
    if version_tuple(r_version)[:2] >= R_WITH_GETVAR:
        return ["rpy2>=3.6.5,<3.7"]
    return ["rpy2==3.6.4", "rpy2-rinterface<=3.6.4", "rpy2-robjects<=3.6.4"]


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def bridge_status() -> BridgeStatus:
    """Say how R is reached here, trying rpy2 in a process of its own where it is installed.

    ``CROSSCHECK_R_BRIDGE`` (``rpy2``, ``rscript`` or ``auto``) forces one.

    Raises
    ------
    UsageError
        Where the variable holds another word.
    """
    wish = os.environ.get("CROSSCHECK_R_BRIDGE", "auto").strip().lower() or "auto"
    if wish not in ("auto", "rpy2", "rscript"):
        raise UsageError(f"CROSSCHECK_R_BRIDGE is {wish!r}", allowed="auto, rpy2, rscript")
    status = _probe_rpy2((*_surroundings(), os.environ.get("RPY2_CFFI_MODE", "")))
    if not status.kind or wish == "auto":
        return status
    return BridgeStatus(wish, status.rpy2_works, status.rpy2_version, status.reason)


@lru_cache(maxsize=8)
def _probe_rpy2(_: tuple[str, ...]) -> BridgeStatus:
    from crosscheck.bridge.worker import Worker

    r = find_r()
    version = _installed("rpy2")
    if r is None:
        return BridgeStatus("", False, version, "R is not here")
    if not version or importlib.util.find_spec("rpy2") is None:
        return BridgeStatus("rscript", False, "", "rpy2 is not installed")
    parts = {name: _installed(name) or version for name in ("rpy2", "rpy2-rinterface", "rpy2-robjects")}
    if version_tuple(r.version)[:2] < R_WITH_GETVAR:
        for name, found in parts.items():
            if version_tuple(found) >= RPY2_NEEDS_R_GETVAR:
                return BridgeStatus("rscript", False, version, f"{name} {found} needs R >= 4.5, and R is {r.version}")
    try:
        with Worker("rpy2") as worker:
            worker.start()
    except EngineMissing as error:
        return BridgeStatus("rscript", False, version, error.what)
    return BridgeStatus("rpy2", True, version)


def choose_bridge() -> BridgeKind:
    """Return the kind of worker through which R is reached: rpy2 where it loads the installed R, else Rscript.

    Raises
    ------
    EngineMissing
        Where there is no R, or the bridge that was forced does not work.
    """
    status = bridge_status()
    if not status.kind:
        raise EngineMissing("R is not here", hint="crosscheck doctor")
    if status.kind == "rpy2":
        if not status.rpy2_works:
            raise EngineMissing(f"rpy2 cannot reach R: {status.reason}", hint="unset CROSSCHECK_R_BRIDGE")
        return "rpy2"
    return "rscript"


live_kind = choose_bridge
