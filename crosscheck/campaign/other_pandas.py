"""Do packages say the same under the other major version of pandas?

Strings, missing values, copies and types of sums changed between pandas 2 and 3; no number may. The same fit is asked
of a worker whose environment (:mod:`crosscheck.bridge.environments`) has the other major version of pandas, and of all
else that decides numbers the versions that are installed here. It is asked only where a user names the property, since
an environment is installed for it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from crosscheck import engines
from crosscheck.bridge.environments import Environment, find, provide
from crosscheck.campaign.case import Case, PropertyKind
from crosscheck.campaign.relation import OtherProcess
from crosscheck.errors import EngineMissing

ID = "other_pandas"
FRAMED = ("pyfixest", "linearmodels", "statsmodels", "csdid")
"""Engines whose packages are handed a data frame."""
OTHER = {2: "pandas~=3.0", 3: "pandas~=2.2"}
BESIDE = ("numpy", "scipy", "formulaic", "patsy", "pyarrow")
"""What decides numbers besides: the same versions on both sides."""


class OtherPandas(OtherProcess):
    """The other major version of pandas: the same numbers."""

    id = ID
    kind: PropertyKind = "relation"
    title = "The other major version of pandas gives the same numbers."
    way = "under_other_pandas"
    absent = "there is no environment with another pandas"

    def applies(self, case: Case) -> str:
        """Return an empty string where a package that is handed a data frame takes the request."""
        asked = self.engines(case)
        if not asked:
            return f"it speaks of {', '.join(FRAMED)} alone"
        refused = [s for s in (engines.get(e).supports(case.request) for e in asked) if not s]
        return refused[0].reason if len(refused) == len(asked) else ""

    def engines(self, case: Case) -> tuple[str, ...]:
        """Return those at the versions that are installed here: a pin has an environment of its own already."""
        return tuple(e for e in case.engines if e in FRAMED)


@lru_cache(maxsize=1)
def requirements() -> tuple[str, ...]:
    """Return what the environment holds: pandas first, then the versions of this process.

    Raises
    ------
    EngineMissing
        Where pandas is neither 2 nor 3 here.
    """
    version = importlib.metadata.version("pandas")
    first = OTHER.get(int(version.partition(".")[0]))
    if first is None:
        raise EngineMissing(f"pandas {version} has no other version to be held against", hint="install pandas 2 or 3")
    packages = (p for e in FRAMED for p in engines.get(e).packages)
    lines = [first]
    for name in (*packages, *BESIDE):
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(lines)


def build(cache: Path, say: Callable[[str], None]) -> Environment:
    """Return the environment; build it where there is none.

    Raises
    ------
    EngineMissing
        Where it cannot be built: no connection, or no such versions for this Python.
    """
    return provide(cache, requirements(), say=say)


def interpreter(cache: Path) -> Path | None:
    """Return the interpreter of the environment where it was built; builds nothing."""
    place = find(cache, requirements())
    return place.python if place is not None else None
