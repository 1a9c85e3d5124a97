"""How is a side made once more: beside what crosscheck's engines need, or with the dependencies of another side?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crosscheck.bridge import environments
from crosscheck.bridge.environments import Environment, Recipe
from crosscheck.bridge.interpreters import THIS
from crosscheck.errors import EngineMissing
from crosscheck.store import cache_dir
from crosscheck.upgrade.aligned import NEEDS, STATE, Plan, provided, python_of
from crosscheck.upgrade.eras import era_file
from crosscheck.upgrade.sides import Side


def engine_python(side: Side, say: environments.Say = lambda _: None) -> Path | None:
    """Return an interpreter with all that a side has, and what the worker of crosscheck's own engines stands on.

    Raises
    ------
    EngineMissing
        Where what the side has leaves no room for it.
    """
    made = _environment(side)
    if made is None or "pydantic" in made.versions:
        return side.python
    own = Path(made.requirements[0]).name.partition("==")[0].partition("-")[0].lower().replace("_", "-")
    free = {"python", "platform", "pip", "typing-extensions", own}
    same = tuple(f"{name}=={version}" for name, version in sorted(made.versions.items()) if name not in free)
    recipe = Recipe(constraints=same, python=python_of(made))
    return environments.provide(made.folder.parent.parent, made.requirements, say=say, recipe=recipe).python


def differing(old: Side, new: Side) -> tuple[str, ...]:
    """Return the dependencies that decide numbers and that two sides have in other versions."""
    names = (*STATE, *era_file(old.package).companions)
    return tuple(n for n in names if n in old.state and n in new.state and old.state[n] != new.state[n])


def with_dependencies_of(side: Side, other: Side, names: Sequence[str], say: environments.Say = lambda _: None) -> Side:
    """Return a side's package with some dependencies in the versions of another side, all else as it is.

    Where the package does not allow them, they are put in against its bounds; what comes of it must still import.

    Raises
    ------
    EngineMissing
        Where that cannot be installed, or does not import.
    """
    file = era_file(side.package)
    made = _environment(side)
    cache = cache_dir() if made is None else made.folder.parent.parent
    requirements = (f"{file.distribution}=={side.version}", *file.companions) if made is None else made.requirements
    plan = Plan(first=requirements[0], label=side.version, adapter=side.adapter, companions=requirements[1:])
    python = THIS if made is None else python_of(made)
    taken = tuple(sorted(f"{n}=={other.state[n]}" for n in names))
    kept = tuple(sorted(f"{n}=={side.state[n]}" for n in STATE if n in side.state and n not in names))
    own = tuple(sorted(f"{n}=={side.state[n]}" for n in names))
    try:
        found = provided(plan, Recipe(needs=NEEDS, constraints=(*kept, *taken), python=python), cache, say)
    except EngineMissing as error:
        if "cannot be reached" in error.what:
            raise
        recipe = Recipe(needs=NEEDS, constraints=(*kept, *own), forced=taken, python=python)
        found = provided(plan, recipe, cache, say)
    shown = ", ".join(f"{n} {other.state[n]}" for n in names)
    return replace(
        side,
        id=f"{side.package}@{side.version} ({shown})",
        python=found.python,
        state=found.environment((file.distribution, *file.companions)),
    )


def _environment(side: Side) -> Environment | None:
    return None if side.python is None else environments.read(side.python.parent.parent)
