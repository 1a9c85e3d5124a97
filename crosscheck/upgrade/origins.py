"""Where does a version come from that is not named by its number: the newest, a wheel, a folder? Does it import?"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from crosscheck.bridge.environments import BUILD_TIMEOUT, UNREACHABLE, Environment, Say, uv_command
from crosscheck.canon import digest, dumps, sha256, write_atomic
from crosscheck.engines.pinned import VERSION, WHEEL
from crosscheck.errors import EngineMissing, UsageError

CHECKED = "imports.json"
IMPORT_TIMEOUT = 300
SKIPPED = frozenset({".git", "__pycache__", "build", "dist", "target", ".venv", "venv", "node_modules", ".tox", ".nox"})
_PROBE = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"


def pip_command() -> list[str]:
    """Return how a pip is called that knows what this interpreter can have; empty where there is none.

    An environment may be made without pip; the interpreter that it was made from then has one.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = uv_command()
    if uv:
        return [*uv, "tool", "run", "--python", sys.executable, "pip"]
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if not base.exists():
        return []
    asked = subprocess.run([str(base), "-I", "-c", "import pip"], capture_output=True, check=False)
    return [str(base), "-m", "pip"] if asked.returncode == 0 else []


def latest_version(distribution: str) -> str:
    """Return the newest version that installs on this interpreter.

    Raises
    ------
    EngineMissing
        Where the index cannot be asked.
    """
    uv = uv_command()
    if uv:
        command = [*uv, "pip", "compile", "-q", "--no-deps", "--no-header", "--no-annotate", "--python", sys.executable]
        done = _run([*command, "--only-binary", ":all:", "-"], stdin=distribution)
        found = re.search(rf"(?im)^{re.escape(distribution)}==(\S+)", done.stdout)
    else:
        pip = pip_command()
        if not pip:
            raise EngineMissing("neither pip nor uv is here to ask the package index", hint="name a version")
        command = [*pip, "install", "--dry-run", "--no-deps", "--ignore-installed", "-q"]
        done = _run([*command, "--only-binary", ":all:", "--report", "-", distribution])
        found = re.search(r'"version":\s*"([^"]+)"', done.stdout.partition('"metadata"')[2])
    if done.returncode or found is None:
        words = " ".join((done.stderr or done.stdout).split())[-300:]
        what = f"the newest version of {distribution} is not to be learnt: {words}"
        if any(mark in words.lower() for mark in UNREACHABLE):
            what = f"the package index cannot be reached, so the newest {distribution} is not known: {words}"
        raise EngineMissing(what, hint="name a version")
    return found[1]


def wheel_version(path: Path, distribution: str) -> tuple[str, str, str]:
    """Return the path of a wheel, its version, and a version that carries a hash of its content.

    Raises
    ------
    UsageError
        Where there is no such file, or it is a wheel of another package.
    """
    match = WHEEL.fullmatch(path.name)
    if match is None or _plain(match["name"]) != _plain(distribution):
        raise UsageError(f"{path.name} is no wheel of {distribution}", allowed=f"{distribution}-VERSION-...-any.whl")
    version = match["version"].partition("+")[0]
    if not VERSION.fullmatch(version):
        raise UsageError(f"the wheel has a version {version!r} that cannot be read", where=str(path))
    try:
        content = sha256(path.read_bytes())
    except OSError as error:
        raise UsageError("the wheel cannot be read", where=str(path), hint=str(error.strerror or error)) from error
    return str(path.resolve()), version, f"{version}+wheel.{content[:8]}"


def built_wheel(folder: Path, distribution: str, cache: Path, say: Say) -> Path:
    """Return a wheel of the source in a folder; built once for each content.

    Raises
    ------
    UsageError
        Where the folder holds no Python project.
    EngineMissing
        Where it cannot be built, with the last words of the builder.
    """
    folder = folder.resolve()
    if not any((folder / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg")):
        raise UsageError(
            "the folder holds no Python project", where=str(folder), hint="name the one with pyproject.toml"
        )
    place = cache.absolute() / "wheels" / content_of(folder)[:16]
    known = sorted(place.glob("*.whl"))
    if known:
        return known[0]
    say(f"building a wheel of {folder.name}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".building-") as work:
        uv = uv_command()
        command = [*uv, "build", "-q", "--wheel", "--python", sys.executable, "--out-dir", work, str(folder)]
        if not uv:
            command = [_with_pip(Path(work)), "-m", "pip", "wheel", "-q", "--no-deps", "-w", work, str(folder)]
        done = _run(command)
        made = sorted(Path(work).glob("*.whl"))
        if done.returncode or not made:
            words = " ".join((done.stderr or done.stdout).split())[-400:]
            raise EngineMissing(
                f"no wheel can be built of {folder.name}: {words}",
                where=str(folder),
                hint="build a wheel and name that",
            )
        wheel_version(made[0], distribution)
        place.mkdir(exist_ok=True)
        shutil.move(str(made[0]), place / made[0].name)
    return place / made[0].name


def _with_pip(work: Path) -> str:
    """Return an interpreter that has pip: this one, or that of an environment made for the purpose."""
    if importlib.util.find_spec("pip") is not None:
        return sys.executable
    folder = work / "builder"
    try:
        venv.create(folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EngineMissing(
            f"this Python has neither uv nor pip, and no environment with pip can be made: {error}",
            hint="install uv, or build a wheel and name that",
        ) from error
    return str(folder / "bin" / "python")


def content_of(folder: Path) -> str:
    """Return a hash of the files of a folder, but for what builds and environments leave there."""
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(d for d in folders if d not in SKIPPED and not d.endswith(".egg-info"))
        for name in sorted(files):
            path = Path(root) / name
            if not name.endswith((".pyc", ".pyo")) and path.is_file():
                found[path.relative_to(folder).as_posix()] = sha256(path.read_bytes())
    return digest(found)


def imports(environment: Environment, modules: Sequence[str]) -> None:
    """Refuse an environment whose package does not import; looked at once.

    Raises
    ------
    EngineMissing
        With the last line of the error.
    """
    record = environment.folder / CHECKED
    try:
        known = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    key = " ".join(modules)
    if key not in known:
        done = _run([str(environment.python), "-c", _PROBE, *modules], timeout=IMPORT_TIMEOUT)
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        known = {**known, key: "" if done.returncode == 0 else (lines or ["no reason given"])[-1].strip()[:300]}
        write_atomic(record, dumps(known))
    if known[key]:
        raise EngineMissing(
            f"{environment.requirements[0]} is installed and cannot be imported: {known[key]}",
            where=str(environment.folder),
            hint="vary what it stands on, such as with numpy<2",
        )


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(command: Sequence[str], *, stdin: str = "", timeout: int = BUILD_TIMEOUT) -> subprocess.CompletedProcess[str]:
    variables = {
        k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k not in ("VIRTUAL_ENV", "UV_PYTHON")
    }
    variables["MPLBACKEND"] = "Agg"
    try:
        return subprocess.run(
            command, input=stdin, env=variables, capture_output=True, text=True, check=False, timeout=timeout
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineMissing(f"{Path(command[0]).name} does not answer: {error}") from error
