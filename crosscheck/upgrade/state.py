"""What decides the numbers of one side of an upgrade, and how is it made?

A side is named by a version (``0.50.1``), ``installed``, ``latest``, a wheel, a folder with the source of the package,
or a requirements file. Its state are the versions of the package, Python, numpy, scipy, pandas and formulaic; any of
them can be varied alone. Sides that are made together get the same dependencies as far as each of them allows, so that
what differs is the package.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crosscheck.bridge import environments
from crosscheck.bridge.environments import Environment, Recipe
from crosscheck.bridge.interpreters import THIS, Interpreter, find_python, require_python
from crosscheck.engines.pinned import VERSION
from crosscheck.errors import EngineMissing, UsageError
from crosscheck.store import cache_dir
from crosscheck.upgrade.eras import Adapter, adapter_for, era_file
from crosscheck.upgrade.origins import built_wheel, imports, latest_version, wheel_version
from crosscheck.upgrade.requirements import names_in, read_requirements, require_pin
from crosscheck.upgrade.sides import SEEDS, Side

INSTALLED = "installed"
LATEST = "latest"
STATE = ("numpy", "scipy", "pandas", "formulaic")
NEEDS = ("numpy", "pandas")
WORDS = "a version such as 0.50.1, installed, latest, a wheel, a folder with its source, a requirements file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One side as a user names it.

    Attributes
    ----------
    what : str
        A version, ``installed``, ``latest``, a wheel, a folder, or a requirements file.
    pins : tuple of str
        Dependencies to vary on this side, such as ``numpy==1.26.4``.
    python : str
        Version of its interpreter, such as ``3.10``; empty for this one, or the one that the version needs.
    """

    what: str
    pins: tuple[str, ...] = ()
    python: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is installed for a side."""

    asked: Asked
    first: str
    label: str
    adapter: Adapter
    companions: tuple[str, ...]
    lines: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """Bounds of this side alone: pins over a requirements file over what its era needs."""
        out: tuple[str, ...] = tuple(self.asked.pins)
        for more in (self.lines, self.adapter.table.constraints):
            out += tuple(line for line in more if names_in(line) not in map(names_in, out))
        return out

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the installer is asked for."""
        return (self.first, *self.companions, *self.adapter.table.needs)


def make_side(
    package: str,
    asked: str,
    *,
    pins: Sequence[str] = (),
    python: str = "",
    hash_seeds: Sequence[int] = SEEDS,
    cache: Path | None = None,
    say: environments.Say = lambda _: None,
) -> Side:
    """Make one side, its environment built where there is none; arguments as in :func:`make_sides`."""
    return make_sides(package, (asked,), pins=pins, python=python, hash_seeds=hash_seeds, cache=cache, say=say)[0]


def make_sides(
    package: str,
    asked: Sequence[str | Asked],
    *,
    pins: Sequence[str] = (),
    python: str = "",
    hash_seeds: Sequence[int] = SEEDS,
    cache: Path | None = None,
    say: environments.Say = lambda _: None,
) -> tuple[Side, ...]:
    """Make the sides of a check, their environments built where there are none.

    Parameters
    ----------
    package : str
        Such as ``pyfixest``; those with eras.
    asked : sequence of str or Asked
        What the user names, in order; where dependencies differ between sides, as :class:`Asked`.
    pins : sequence of str
        Dependencies to vary on all sides that are named by a text, such as ``numpy==1.26.4``.
    python : str
        Version of the interpreter of those sides, such as ``3.10``.
    hash_seeds : sequence of int
    cache : Path, optional
        Where environments are kept.
    say : callable
        Told what is built.

    Returns
    -------
    tuple of Side
        With different ids, in the order of ``asked``.

    Raises
    ------
    UsageError
        Where the package or what was asked is unknown.
    EngineMissing
        The verdict on a version that cannot be installed, or imported, here.
    """
    folder = cache_dir() if cache is None else cache
    words = [Asked(what=a, pins=tuple(pins), python=python) if isinstance(a, str) else a for a in asked]
    plans = {i: _plan(package, a, folder, say) for i, a in enumerate(words) if not _is_here(a)}
    built = {i: _built(plan, plans.values(), folder, say) for i, plan in plans.items()}
    built = {i: _aligned(plans[i], built, i, folder, say) for i in built}
    sides = [
        _side(package, plans[i], built[i], hash_seeds) if i in built else _installed(package, hash_seeds)
        for i in range(len(words))
    ]
    return _distinct(sides)


def _is_here(asked: Asked) -> bool:
    return asked.what == INSTALLED and not asked.pins and not asked.python


def _plan(package: str, asked: Asked, cache: Path, say: environments.Say) -> _Plan:
    """Work out what a side installs."""
    file = era_file(package)
    for pin in asked.pins:
        require_pin(pin)
    what, path = asked.what, Path(asked.what).expanduser()
    lines: tuple[str, ...] = ()
    if what == INSTALLED:
        what = _here(file.distribution)
    elif what == LATEST:
        what = latest_version(file.distribution)
    if VERSION.fullmatch(what):
        first, version, label = f"{file.distribution}=={what}", what, what
    elif what.endswith(".whl"):
        first, version, label = wheel_version(path, file.distribution)
    elif asked.what.strip() and path.is_dir():
        first, version, label = wheel_version(built_wheel(path, file.distribution, cache, say), file.distribution)
        label = label.replace("+wheel.", "+local.")
    elif asked.what.strip() and path.is_file():
        lines = read_requirements(path)
        line = next((x for x in lines if names_in(x) == file.distribution), None)
        if line is None:
            raise UsageError(f"{path.name} does not name {file.distribution}", where=str(path))
        first, version, label = line, "".join(re.findall(r"==\s*([0-9][\w.]*)", line)[:1]), path.name
    else:
        raise UsageError(f"{asked.what!r} names no version of {package}", allowed=WORDS, hint="check the path")
    return _Plan(
        asked=asked,
        first=first,
        label=label,
        adapter=adapter_for(package, version or "9999"),
        companions=file.companions,
        lines=lines,
    )


def _built(plan: _Plan, plans: Iterable[_Plan], cache: Path, say: environments.Say) -> Environment:
    """Build the environment of a side: with the bounds of all sides, else with its own, else on another Python."""
    shared = plan.own
    if not plan.lines:
        for other in plans:
            for line in other.adapter.table.constraints:
                if line not in shared and names_in(line) not in map(names_in, plan.asked.pins):
                    shared += (line,)
    pythons = [require_python(plan.asked.python) if plan.asked.python else THIS]
    last: EngineMissing | None = None
    for bounds in dict.fromkeys((shared, plan.own)):
        try:
            return _provided(plan, bounds, pythons[0], cache, say)
        except EngineMissing as error:
            last = error
            if "cannot be reached" in error.what:
                raise
    assert last is not None
    for version in () if plan.asked.python else plan.adapter.table.pythons:
        python = find_python(version)
        if python is None:
            last.hint = f"it installs on Python {version}, which is not here"
            continue
        try:
            return _provided(plan, plan.own, python, cache, say)
        except EngineMissing as error:
            last = error
    raise last


def _provided(
    plan: _Plan, bounds: Sequence[str], python: Interpreter, cache: Path, say: environments.Say
) -> Environment:
    recipe = Recipe(needs=NEEDS, constraints=tuple(sorted(bounds)), python=python)
    made = environments.provide(cache, plan.requirements, say=say, recipe=recipe)
    main = next(iter(plan.adapter.table.functions.values()))
    imports(made, [main.partition(":")[0]])
    return made


def told(text: str) -> None:
    """Say what is built, on stderr."""
    sys.stderr.write(f"crosscheck: {text}\n")
    sys.stderr.flush()


def engine_python(side: Side, say: environments.Say = lambda _: None) -> Path | None:
    """Return an interpreter with all that a side has, and what the worker of crosscheck's own engines stands on.

    Raises
    ------
    EngineMissing
        Where what the side has leaves no room for it.
    """
    made = None if side.python is None else environments.read(side.python.parent.parent)
    if made is None or "pydantic" in made.versions:
        return side.python
    own = Path(made.requirements[0]).name.partition("==")[0].partition("-")[0].lower().replace("_", "-")
    free = {"python", "platform", "pip", "typing-extensions", own}
    same = tuple(f"{name}=={version}" for name, version in sorted(made.versions.items()) if name not in free)
    recipe = Recipe(constraints=same, python=_python_of(made))
    return environments.provide(made.folder.parent.parent, made.requirements, say=say, recipe=recipe).python


def _aligned(plan: _Plan, built: dict[int, Environment], own: int, cache: Path, say: environments.Say) -> Environment:
    """Give a side the oldest version of each dependency that any side has, where it allows that."""
    mine = built[own]
    free = [n for n in STATE if n not in map(names_in, (*plan.asked.pins, *plan.lines))]
    wanted = []
    for name in free:
        versions = [e.versions[name] for e in built.values() if name in e.versions]
        if name in mine.versions and versions:
            oldest = min(versions, key=_order)
            if oldest != mine.versions[name]:
                wanted.append(f"{name}=={oldest}")
    if not wanted or plan.lines:
        return mine
    python = _python_of(mine)
    bounds = tuple(line for line in plan.own if names_in(line) not in map(names_in, wanted))
    try:
        return _provided(plan, (*bounds, *wanted), python, cache, say)
    except EngineMissing:
        return mine


def _python_of(environment: Environment) -> Interpreter:
    version = ".".join(environment.versions.get("python", THIS.version).split(".")[:2])
    return find_python(version) or THIS


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version))


def _side(package: str, plan: _Plan, environment: Environment, hash_seeds: Sequence[int]) -> Side:
    file = era_file(package)
    version = environment.versions.get(file.distribution, "")
    label = plan.label if "+" in plan.label else version
    varied = [p.replace("==", " ") for p in plan.asked.pins]
    varied += [f"Python {plan.asked.python}"] if plan.asked.python else []
    varied += [plan.label] if plan.lines else []
    return Side(
        package=package,
        version=version,
        id=f"{package}@{label}" + (f" ({', '.join(varied)})" if varied else ""),
        asked=plan.asked.what,
        python=environment.python,
        adapter=adapter_for(package, version),
        state=environment.environment((file.distribution, *file.companions)),
        pins=tuple(plan.asked.pins),
        hash_seeds=tuple(hash_seeds),
    )


def _here(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise EngineMissing(f"{distribution} is not installed here", hint=f"pip install {distribution}") from None


def _installed(package: str, hash_seeds: Sequence[int]) -> Side:
    """Return the side that this process has."""
    file = era_file(package)
    version = _here(file.distribution)
    state = {"python": platform.python_version(), "platform": platform.platform(), file.distribution: version}
    for name in (*STATE, *file.companions):
        try:
            state[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Side(
        package=package,
        version=version,
        id=f"{package}@{version}",
        asked=INSTALLED,
        python=None,
        adapter=adapter_for(package, version),
        state=state,
        hash_seeds=tuple(hash_seeds),
    )


def _distinct(sides: Sequence[Side]) -> tuple[Side, ...]:
    """Give sides with one id what else tells them apart: how they were asked for, else their place."""
    ids = [s.id for s in sides]
    out = []
    for place, side in enumerate(sides):
        if ids.count(side.id) > 1:
            tail = side.asked if [s.asked for s in sides].count(side.asked) == 1 else str(place + 1)
            side = replace(side, id=f"{side.id} ({Path(tail).name or tail})")  # noqa: PLW2901
        out.append(side)
    return tuple(out)
