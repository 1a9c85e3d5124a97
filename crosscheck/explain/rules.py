"""What causes of a difference are known, and what are they called?

Rules and the conventions of packages are rows of ``rules.toml``; here they are read and checked.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from crosscheck.verdict import EXPLAINED, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A cause that can be named.

    Attributes
    ----------
    id, title, formula : str
        ``title`` is a template.
    verdict : str
        What a cell becomes that the rule explains.
    references : tuple of str
    remedy : mapping of str to str
        Engine id (or the empty text for anybody) to a template of one line of code.
    """

    id: str
    title: str
    formula: str
    verdict: Verdict
    references: tuple[str, ...]
    remedy: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageConvention:
    """A convention by the name of the package that has it: see the head of its section in ``rules.toml``."""

    id: str
    title: str
    vcov: tuple[str, ...]
    numerator: str
    k: str
    g: str
    df: str
    source: str


@lru_cache(maxsize=1)
def _read() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("crosscheck.explain").joinpath("rules.toml").read_text("utf-8"))


@lru_cache(maxsize=1)
def rules() -> Mapping[str, Rule]:
    """Return all rules by id.

    Raises
    ------
    ValueError
        Where the file has a rule twice or a verdict that explains nothing.
    """
    found: dict[str, Rule] = {}
    for raw in _read()["rule"]:
        rule = Rule(
            id=raw["id"],
            title=raw["title"],
            formula=raw["formula"],
            verdict=raw["verdict"],
            references=tuple(raw["references"]),
            remedy=dict(raw.get("remedy", {})),
        )
        if rule.id in found or rule.verdict not in EXPLAINED:
            raise ValueError(f"rules.toml: rule {rule.id!r} is there twice or has no verdict that explains")
        found[rule.id] = rule
    return found


@lru_cache(maxsize=1)
def packages() -> tuple[PackageConvention, ...]:
    """Return the conventions of packages in the order of the file."""
    return tuple(PackageConvention(**{**raw, "vcov": tuple(raw["vcov"])}) for raw in _read()["package"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """A default that changed: see the head of its section in ``rules.toml``."""

    package: str
    engines: tuple[str, ...]
    since: str
    before: str
    trait: str
    text: str
    source: str

    def covers(self, version: str) -> bool:
        """Say whether a version lies in [since, before)."""
        own = version_numbers(version)
        since, before = (version_numbers(v) for v in (self.since, self.before))
        return own >= since and (not before or own < before)


@lru_cache(maxsize=1)
def eras() -> tuple[Era, ...]:
    """Return the defaults that changed, in the order of the file."""
    return tuple(Era(**{**raw, "engines": tuple(raw["engines"])}) for raw in _read()["era"])


def era_words(engine: str, version: str, traits: Iterable[str]) -> tuple[str, ...]:
    """Name the defaults behind what a side did: its own package's at its version, or anyone's for a printed column."""
    wanted = set(traits)
    found = []
    for row in eras():
        if row.trait not in wanted:
            continue
        if engine == "published" or (engine in row.engines and version and row.covers(version)):
            found.append(row.text)
    return tuple(dict.fromkeys(found))


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: ``0.14.2`` and ``2.6-2`` alike; what follows a letter is left out."""
    head = re.match(r"[0-9]+(?:[.-][0-9]+)*", version)
    parts = tuple(int(p) for p in re.split(r"[.-]", head[0])) if head else ()
    while parts and parts[-1] == 0:
        parts = parts[:-1]
    return parts
