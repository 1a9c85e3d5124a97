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
from crosscheck.bridge.environments import Environment
from crosscheck.engines.pinned import VERSION
from crosscheck.errors import EngineMissing, UsageError
from crosscheck.store import cache_dir
from crosscheck.upgrade.aligned import STATE, Plan, Row
from crosscheck.upgrade.eras import adapter_for, era_file
from crosscheck.upgrade.origins import built_wheel, latest_version, wheel_version
from crosscheck.upgrade.requirements import names_in, read_requirements, require_pin
from crosscheck.upgrade.sides import SEEDS, Side

INSTALLED = "installed"
LATEST = "latest"
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
    row = SidesInRow(package, _words(asked, pins, python), hash_seeds=hash_seeds, cache=cache, say=say)
    return row.all()


def _words(asked: Sequence[str | Asked], pins: Sequence[str], python: str) -> list[Asked]:
    return [Asked(what=a, pins=tuple(pins), python=python) if isinstance(a, str) else a for a in asked]


class SidesInRow:
    """Sides that are compared with each other, made together or one at a time, with the same dependencies.

    Parameters
    ----------
    package : str
    asked : sequence of Asked
        In order.
    hash_seeds : sequence of int
    cache : Path, optional
    say : callable
    """

    def __init__(
        self,
        package: str,
        asked: Sequence[Asked],
        *,
        hash_seeds: Sequence[int] = SEEDS,
        cache: Path | None = None,
        say: environments.Say = lambda _: None,
    ) -> None:
        folder = cache_dir() if cache is None else cache
        self.package, self.asked, self.hash_seeds = package, tuple(asked), tuple(hash_seeds)
        plans = {i: _plan(package, a, folder, say) for i, a in enumerate(asked) if not _is_here(a)}
        self.row = Row(plans=plans, cache=folder, say=say)

    def all(self) -> tuple[Side, ...]:
        """Return all sides, with different ids.

        Raises
        ------
        EngineMissing
            The verdict on a version that cannot be installed, or imported, here.
        """
        for i in self.row.order:
            self.row.build(i)
        for i in self.row.order:
            self.row.settle(i)
        return _distinct([self.one(i) for i in range(len(self.asked))])

    def some(self, indices: Iterable[int]) -> dict[int, EngineMissing]:
        """Build those that can be, with the same dependencies, and return why the others cannot."""
        wanted, failed = set(indices), {}
        for i in self.row.order:
            if i in wanted:
                try:
                    self.row.build(i)
                except EngineMissing as error:
                    failed[i] = error
        for i in self.row.order:
            if i in self.row.built:
                self.row.settle(i)
        return failed

    def one(self, index: int) -> Side:
        """Return one side; one that is not there yet is built beside those that are.

        Raises
        ------
        EngineMissing
        """
        if index not in self.row.plans:
            return _installed(self.package, self.hash_seeds)
        return _side(self.package, self.row.plans[index], self.row.build(index), self.asked[index], self.hash_seeds)


def _is_here(asked: Asked) -> bool:
    return asked.what == INSTALLED and not asked.pins and not asked.python


def _plan(package: str, asked: Asked, cache: Path, say: environments.Say) -> Plan:
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
    return Plan(
        first=first,
        label=label,
        adapter=adapter_for(package, version or "9999"),
        companions=file.companions,
        pins=tuple(asked.pins),
        python=asked.python,
        lines=lines,
    )


def told(text: str) -> None:
    """Say what is built, on stderr."""
    sys.stderr.write(f"crosscheck: {text}\n")
    sys.stderr.flush()


def _side(package: str, plan: Plan, environment: Environment, asked: Asked, hash_seeds: Sequence[int]) -> Side:
    file = era_file(package)
    version = environment.versions.get(file.distribution, "")
    label = plan.label if "+" in plan.label else version
    varied = [p.replace("==", " ") for p in plan.pins]
    varied += [f"Python {plan.python}"] if plan.python else []
    varied += [plan.label] if plan.lines else []
    return Side(
        package=package,
        version=version,
        id=f"{package}@{label}" + (f" ({', '.join(varied)})" if varied else ""),
        asked=asked.what,
        python=environment.python,
        adapter=adapter_for(package, version),
        state=environment.environment((file.distribution, *file.companions)),
        pins=plan.pins,
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
