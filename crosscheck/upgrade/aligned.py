"""Which environment does each side get, so that what differs between sides is the package?

Sides that are compared with each other form a row. An environment is asked for with the bounds of every side's era and
the versions that its neighbours have already, then with less, until one resolution satisfies it; at the end every side
takes the oldest version of numpy, scipy, pandas and formulaic that any of them has, where it allows that. What a user
varies is left alone.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crosscheck.bridge import environments
from crosscheck.bridge.environments import Environment, Recipe
from crosscheck.bridge.interpreters import THIS, Interpreter, find_python, require_python
from crosscheck.canon import dumps, write_atomic
from crosscheck.errors import EngineMissing
from crosscheck.upgrade.eras import Adapter
from crosscheck.upgrade.origins import imports
from crosscheck.upgrade.requirements import names_in

STATE = ("numpy", "scipy", "pandas", "formulaic")
NEEDS = ("numpy", "pandas")
REFUSED = "refused.json"
"""In an environment's folder: bounds that its package was found not to allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is installed for a side.

    Attributes
    ----------
    first : str
        The package, as the installer is asked for it.
    label : str
        What tells it apart for a reader.
    pins : tuple of str
        Dependencies that the user varies on this side.
    python : str
        Version of the interpreter that the user asked for, or empty.
    lines : tuple of str
        Of a requirements file, which is a state as it is and is not aligned.
    """

    first: str
    label: str
    adapter: Adapter
    companions: tuple[str, ...]
    pins: tuple[str, ...] = ()
    python: str = ""
    lines: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """Bounds of this side alone: pins over a requirements file over what its era needs."""
        out: tuple[str, ...] = tuple(self.pins)
        for more in (self.lines, self.adapter.table.constraints):
            out += tuple(line for line in more if names_in(line) not in map(names_in, out))
        return out

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the installer is asked for."""
        return (self.first, *self.companions, *self.adapter.table.needs)


@dataclass
class Row:
    """Plans of sides that are compared with each other, and the environments that they have so far."""

    plans: Mapping[int, Plan]
    cache: Path
    say: environments.Say
    built: dict[int, Environment] = field(default_factory=dict)

    @property
    def order(self) -> list[int]:
        """Plans with the narrowest bounds first, so that the others can follow them: files, pins, older versions."""
        return sorted(
            self.plans,
            key=lambda i: (not self.plans[i].lines, not self.plans[i].pins, _order(self.plans[i].adapter.version), i),
        )

    @property
    def varied(self) -> frozenset[str]:
        """Dependencies that a user varies on any side."""
        return frozenset(names_in(line) for plan in self.plans.values() for line in plan.pins)

    def build(self, index: int) -> Environment:
        """Build the environment of a side beside those that are there.

        Raises
        ------
        EngineMissing
            The verdict on a version that cannot be installed, or imported, here.
        """
        if index in self.built:
            return self.built[index]
        plan = self.plans[index]
        pythons = [require_python(plan.python) if plan.python else THIS]
        near = () if plan.lines else tuple(self._near(plan))
        shared = plan.own if plan.lines else (*plan.own, *self._others(plan))
        last: EngineMissing | None = None
        for bounds in dict.fromkeys(((*shared, *near), shared, (*plan.own, *near), plan.own)):
            try:
                self.built[index] = self._provided(plan, bounds, pythons[0])
                return self.built[index]
            except EngineMissing as error:
                last = error
                if "cannot be reached" in error.what:
                    raise
        assert last is not None
        for version in () if plan.python else plan.adapter.table.pythons:
            python = find_python(version)
            if python is None:
                last.hint = f"it installs on Python {version}, which is not here"
                continue
            try:
                self.built[index] = self._provided(plan, plan.own, python)
                return self.built[index]
            except EngineMissing as error:
                last = error
        raise last

    def _others(self, plan: Plan) -> Iterator[str]:
        """Yield what the eras of the other sides need of packages that no user varies."""
        for other in self.plans.values():
            for line in other.adapter.table.constraints:
                if line not in plan.own and names_in(line) not in self.varied:
                    yield line

    def _near(self, plan: Plan) -> Iterator[str]:
        """Yield the versions that sides have already, but for those that this side would take by itself."""
        for name, version in self._oldest(plan).items():
            try:
                ours = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                ours = ""
            if version != ours:
                yield f"{name}=={version}"

    def _oldest(self, plan: Plan) -> dict[str, str]:
        """Return the oldest version of each dependency that a side of this row has and that this side may share."""
        free = [n for n in STATE if n not in self.varied and n not in map(names_in, plan.lines)]
        found = {n: [e.versions[n] for e in self.built.values() if n in e.versions] for n in free}
        return {n: min(versions, key=_order) for n, versions in found.items() if versions}

    def settle(self, index: int) -> None:
        """Give a side the oldest version of each dependency that any side has, each where it allows that."""
        plan, mine = self.plans[index], self.built[index]
        if plan.lines:
            return
        wanted = [
            f"{name}=={version}"
            for name, version in self._oldest(plan).items()
            if mine.versions.get(name, version) != version
        ]
        taken: tuple[str, ...] = ()
        for more in [tuple(wanted), *((w,) for w in wanted if len(wanted) > 1)]:
            asked = (*taken, *(w for w in more if w not in taken))
            made = self._settled(plan, mine, asked) if asked != taken else None
            if made is not None:
                taken, self.built[index] = asked, made
                if len(taken) == len(wanted):
                    return

    def _settled(self, plan: Plan, mine: Environment, wanted: Sequence[str]) -> Environment | None:
        """Return an environment with these versions; ``None`` where the package does not allow them, which is kept."""
        record = mine.folder / REFUSED
        try:
            refused = json.loads(record.read_text("utf-8"))
        except (OSError, ValueError):
            refused = []
        key = " ".join(sorted(wanted))
        if key in refused:
            return None
        bounds = tuple(line for line in plan.own if names_in(line) not in map(names_in, wanted))
        try:
            return self._provided(plan, (*bounds, *wanted), python_of(mine))
        except EngineMissing as error:
            if "cannot be reached" not in error.what:
                write_atomic(record, dumps([*refused, key]))
            return None

    def _provided(self, plan: Plan, bounds: Sequence[str], python: Interpreter) -> Environment:
        recipe = Recipe(needs=NEEDS, constraints=tuple(sorted(bounds)), python=python)
        return provided(plan, recipe, self.cache, self.say)


def provided(plan: Plan, recipe: Recipe, cache: Path, say: environments.Say) -> Environment:
    """Return an environment in which the package of a plan imports.

    Raises
    ------
    EngineMissing
    """
    made = environments.provide(cache, plan.requirements, say=say, recipe=recipe)
    main = next(iter(plan.adapter.table.functions.values()))
    imports(made, [main.partition(":")[0]])
    return made


def python_of(environment: Environment) -> Interpreter:
    """Return the interpreter that an environment was made with."""
    version = ".".join(environment.versions.get("python", THIS.version).split(".")[:2])
    return find_python(version) or THIS


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version))
