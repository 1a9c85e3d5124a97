"""What causes of a difference are known, and what are they called?

Rules and the conventions of packages are rows of ``rules.toml``; here they are read and checked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
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
