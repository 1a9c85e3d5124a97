"""What decides the numbers of one side of an upgrade, and how is it made?

A side is named by a version (``0.50.1``), ``installed``, ``latest``, a wheel, a folder with the source of the package,
or a requirements file. Its state are the versions of the package, Python, numpy, scipy, pandas and formulaic; any of
them can be varied alone (``pins``).
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path

from crosscheck.bridge import environments
from crosscheck.engines.pinned import VERSION
from crosscheck.errors import EngineMissing, UsageError
from crosscheck.store import cache_dir
from crosscheck.upgrade.eras import adapter_for, era_file
from crosscheck.upgrade.sides import SEEDS, Side

INSTALLED = "installed"
LATEST = "latest"
STATE = ("numpy", "scipy", "pandas", "formulaic")


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
    """Make one side, its environment built where there is none.

    Parameters
    ----------
    package : str
        Such as ``pyfixest``; those with eras.
    asked : str
        A version, ``installed``, ``latest``, a wheel, a folder, or a requirements file.
    pins : sequence of str
        Dependencies to vary, such as ``numpy==1.26.4``.
    python : str
        Version of the interpreter, such as ``3.10``; empty for this one, or the one that the version needs.
    hash_seeds : sequence of int
    cache : Path, optional
        Where environments are kept.
    say : callable
        Told what is built.

    Raises
    ------
    UsageError
        Where the package or what was asked is unknown.
    EngineMissing
        The verdict on a version that cannot be installed here.
    """
    return make_sides(package, (asked,), pins=pins, python=python, hash_seeds=hash_seeds, cache=cache, say=say)[0]


def make_sides(
    package: str,
    asked: Sequence[str],
    *,
    pins: Sequence[str] = (),
    python: str = "",
    hash_seeds: Sequence[int] = SEEDS,
    cache: Path | None = None,
    say: environments.Say = lambda _: None,
) -> tuple[Side, ...]:
    """Make several sides that differ in the package alone: all get the dependencies that each of them allows."""
    file = era_file(package)
    folder = cache_dir() if cache is None else cache
    sides = []
    for word in asked:
        if word == INSTALLED and not pins and not python:
            sides.append(_installed(package, hash_seeds))
            continue
        if not VERSION.fullmatch(word):
            raise UsageError(
                f"{word!r} names no version of {package}", allowed="a version such as 0.50.1, or installed"
            )
        adapter = adapter_for(package, word)
        needs = (*file.companions, *adapter.table.needs)
        environment = environments.provide(folder, (f"{file.distribution}=={word}", *needs), say=say)
        version = environment.versions.get(file.distribution, word)
        sides.append(
            Side(
                package=package,
                version=version,
                id=f"{package}@{version}",
                asked=word,
                python=environment.python,
                adapter=adapter,
                state=environment.environment((file.distribution,)),
                pins=tuple(pins),
                hash_seeds=tuple(hash_seeds),
            )
        )
    return tuple(sides)


def _installed(package: str, hash_seeds: Sequence[int]) -> Side:
    """Return the side that this process has."""
    file = era_file(package)
    try:
        version = importlib.metadata.version(file.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise EngineMissing(
            f"{file.distribution} is not installed here", hint=f"pip install {file.distribution}"
        ) from None
    state = {"python": platform.python_version(), "platform": platform.platform(), file.distribution: version}
    for name in STATE:
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
