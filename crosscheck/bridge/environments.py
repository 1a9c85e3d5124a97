"""Where does an engine of another version live, and how is its environment made, once and whole?

An environment of a pin is a folder below the cache, keyed on what is installed into it and on the interpreter. It is
built beside its place and moved there when it is complete, under a lock, so that one that was interrupted is never
used. Only a pin that a user wrote builds one. Wheels only: nothing of a package runs while it is installed.

The companions (numpy, scipy, pandas, formulaic) get the versions that this process has, where the pinned package allows
them, so that what differs between two versions is the package; where it does not, the newest that it allows. Upper
bounds that a release should have declared, and versions that a user varies, come as constraints.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck.bridge.interpreters import THIS, Interpreter
from crosscheck.canon import digest, dumps, sha256
from crosscheck.errors import EngineMissing

MANIFEST = "crosscheck.json"
SCHEMA = 1
BUILD_TIMEOUT = 1200
WORKER_NEEDS = ("numpy", "scipy", "pandas", "pydantic>=2.7")
COMPANIONS = ("numpy", "scipy", "pandas", "formulaic", "pydantic")
REPORTED = ("numpy", "scipy", "pandas", "formulaic")
UNREACHABLE = ("dns error", "connection", "name resolution", "timed out", "network", "max retries", "offline")
UNKNOWN_VERSION = ("there is no version of", "no matching distribution", "no versions of", "could not find a version")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FROM_VERSIONS = re.compile(r"from versions: ([^)]*[^)\s])\)")
_VERSIONS = """
import importlib.metadata as m, json, platform, sys
found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in m.distributions() if d.metadata["Name"]}
json.dump({"python": platform.python_version(), "platform": platform.platform(), "packages": found}, sys.stdout)
"""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One complete environment.

    Attributes
    ----------
    name : str
        Of its folder.
    folder, python : Path
        The folder and its interpreter.
    requirements : tuple of str
        What was asked for.
    versions : mapping of str to str
        Distribution to version, and ``python`` and ``platform``.
    """

    name: str
    folder: Path
    python: Path
    requirements: tuple[str, ...]
    versions: Mapping[str, str]

    def environment(self, packages: Sequence[str]) -> dict[str, str]:
        """Return the versions that decide the numbers of an engine with these packages."""
        wanted = ("python", "platform", *REPORTED, *(p.lower().replace("_", "-") for p in packages))
        return {name: self.versions[name] for name in wanted if name in self.versions}


def environments_dir(cache: Path) -> Path:
    """Return the folder of all environments, below the cache's."""
    return cache / "environments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an environment is made, beside what it is asked to hold.

    Attributes
    ----------
    needs : tuple of str
        What its worker stands on.
    constraints : tuple of str
        Bounds on what is installed because something else needs it, such as ``numpy<2``; they are kept.
    forced : tuple of str
        Versions that are put in at the end against the bounds of the packages, such as ``pandas==3.0.0``.
    python : Interpreter
    """

    needs: tuple[str, ...] = WORKER_NEEDS
    constraints: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    python: Interpreter = THIS


def folder_name(requirements: Sequence[str], recipe: Recipe | None = None) -> str:
    """Return the name of an environment's folder: package, version, interpreter, and a hash of all that decides it."""
    recipe = recipe or Recipe()
    tag = recipe.python.tag
    wheel = requirements[0].endswith(".whl")
    content = sha256(Path(requirements[0]).read_bytes()) if wheel else ""
    asked = [Path(requirements[0]).name, *requirements[1:]]
    decides = {"schema": SCHEMA, "asked": asked, "wheel": content, "tag": tag, "worker": list(recipe.needs)}
    more = {"constraints": sorted(recipe.constraints), "forced": sorted(recipe.forced)}
    key = digest(decides | {name: lines for name, lines in more.items() if lines})
    head = "-".join(asked[0].removesuffix(".whl").replace("==", "-").split("-")[:2])
    return f"{head}-{tag}-{key[:8]}"


def find(cache: Path, requirements: Sequence[str], recipe: Recipe | None = None) -> Environment | None:
    """Return the environment of some requirements where it was built; builds nothing."""
    return read(environments_dir(cache) / folder_name(requirements, recipe))


def read(folder: Path) -> Environment | None:
    """Read an environment; ``None`` where its folder is not complete or its interpreter is gone."""
    python = folder / "bin" / "python"
    try:
        raw: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        if raw["schema"] != SCHEMA or not python.exists():
            return None
        return Environment(
            name=folder.name,
            folder=folder,
            python=python,
            requirements=tuple(raw["requirements"]),
            versions={str(k): str(v) for k, v in raw["versions"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def listed(cache: Path) -> tuple[Environment, ...]:
    """Return all complete environments, by name."""
    try:
        folders = sorted(p for p in environments_dir(cache).iterdir() if not p.name.startswith("."))
    except OSError:
        return ()
    return tuple(e for e in map(read, folders) if e is not None)


def provide(
    cache: Path, requirements: Sequence[str], *, say: Say = lambda _: None, recipe: Recipe | None = None
) -> Environment:
    """Return the environment of some requirements; build it where there is none.

    Parameters
    ----------
    cache : Path
        The cache's folder.
    requirements : sequence of str
        The pinned package first, as ``name==version`` or the path of a wheel, then what else is needed.
    say : callable
        Told what is built, since it takes a while.
    recipe : Recipe, optional
        Interpreter, bounds, and what the worker stands on, where they are not those of an engine's worker.

    Raises
    ------
    EngineMissing
        Where it cannot be built, with the last words of the installer.
    """
    recipe = recipe or Recipe()
    found = find(cache, requirements, recipe)
    if found is not None:
        return found
    root = environments_dir(cache).absolute()
    with _alone(root):
        found = find(cache, requirements, recipe)
        if found is not None:
            return found
        for left in root.glob(".building-*"):
            shutil.rmtree(left, ignore_errors=True)
        place = root / folder_name(requirements, recipe)
        shutil.rmtree(place, ignore_errors=True)
        say(f"building an environment with {_shown(requirements)} (once; kept in {place})")
        building = root / f".building-{os.getpid()}"
        building.mkdir()
        try:
            _install(building, requirements, recipe)
            building.replace(place)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    found = read(place)
    if found is None:
        raise EngineMissing(f"the environment of {_shown(requirements)} cannot be read", where=str(place))
    return found


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of the environments; whoever waits finds what the other has built."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("w")
    except OSError as error:
        raise EngineMissing(
            f"no environment can be built: {error.strerror or error}",
            where=str(root),
            hint="set CROSSCHECK_CACHE to a folder that can be written",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(folder: Path, requirements: Sequence[str], recipe: Recipe) -> None:
    """Fill a folder with an environment and its manifest."""
    uv, base = uv_command(), recipe.python
    make = [*uv, "venv", "-q", "--python", base.path, str(folder), "--allow-existing"] if uv else None
    _run(make or [base.path, "-m", "venv", str(folder)], folder, requirements, base)
    python = folder / "bin" / "python"
    installer = [*uv, "pip", "install", "-q", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    if not uv:
        installer += ["-q", "--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "20"]
    bounds = folder / "constraints.txt"
    bounds.write_text("".join(f"{line}\n" for line in recipe.constraints), "utf-8")
    command = [*installer, "--only-binary", ":all:", *requirements, *recipe.needs, "-c", str(bounds)]
    same = folder / "companions.txt"
    same.write_text("".join(f"{line}\n" for line in _companions((*requirements, *recipe.constraints), base)), "utf-8")
    try:
        _run([*command, "-c", str(same)], folder, requirements, base)
    except EngineMissing as error:
        if "cannot be reached" in error.what:
            raise
        _run(command, folder, requirements, base)
    if recipe.forced:
        _run([*installer, "--only-binary", ":all:", "--no-deps", *recipe.forced], folder, requirements, base)
    raw = json.loads(_run([str(python), "-I", "-c", _VERSIONS], folder, requirements, base))
    manifest = {
        "schema": SCHEMA,
        "requirements": list(requirements),
        "versions": {**raw["packages"], "python": raw["python"], "platform": raw["platform"]},
    }
    (folder / MANIFEST).write_text(dumps(manifest, sort_keys=True, indent=1) + "\n", "utf-8")


def _companions(requirements: Sequence[str], python: Interpreter) -> list[str]:
    """Return our versions of the packages under every estimator, but for those that a requirement names itself.

    Another interpreter has other versions; there the newest that are allowed are taken.
    """
    if python.tag != THIS.tag:
        return []
    named = {m[0].lower().replace("_", "-") for r in requirements if (m := _NAME.match(r))}
    lines = []
    for name in COMPANIONS:
        try:
            if name not in named:
                lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return lines


def uv_command() -> list[str]:
    """Return how uv is called, or an empty list where pip has to do."""
    found = shutil.which("uv")
    if found:
        return [found]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else []


def _run(command: Sequence[str], folder: Path, requirements: Sequence[str], interpreter: Interpreter = THIS) -> str:
    """Run one step of a build, away from the configuration of any project, and return what it wrote."""
    variables = {
        k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k not in ("VIRTUAL_ENV", "UV_PYTHON")
    }
    hint = "name a version that the package index has for this Python and platform"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineMissing(f"{_shown(requirements)} cannot be installed: {error}", hint=hint) from error
    if done.returncode == 0:
        return done.stdout
    words = " ".join((done.stderr or done.stdout).split())
    python = f"Python {interpreter.version}"
    listed_versions = _FROM_VERSIONS.search(words)
    retried = "retrying (" in words.lower()  # pip says of an index that does not answer that it has no versions
    if listed_versions and listed_versions[1] != "none":
        newest = ", ".join(listed_versions[1].split(", ")[-8:])
        what = f"{_shown(requirements)} cannot be installed for {python}; the newest in the package index are {newest}"
        hint = "name one of those"
    elif not retried and any(mark in words.lower() for mark in UNKNOWN_VERSION):
        what = f"{_shown(requirements)} cannot be installed for {python}: {words[-400:]}"
    elif retried or any(mark in words.lower() for mark in UNREACHABLE):
        what = f"the package index cannot be reached, so {_shown(requirements)} is not installed: {words[-300:]}"
        hint = "run once with a connection; the environment is kept"
    else:
        what = f"{_shown(requirements)} cannot be installed for {python}: {words[-400:]}"
    raise EngineMissing(what, hint=hint)


def _shown(requirements: Sequence[str]) -> str:
    first = requirements[0]
    return Path(first).name if first.endswith(".whl") else first.replace("==", " ")
