"""How did an older version of a package spell what the newest says, and what did it lack?

One TOML file a package. Each ``[[era]]`` holds for the versions from ``since`` (included) to ``until`` (excluded); all
that hold for a version apply, in the order of the file, later ones over earlier ones. A call is written in the newest
spelling; :func:`adapter_for` merges the tables into the adapter that the thin worker follows. A new era needs no code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from crosscheck.errors import UsageError
from crosscheck.spec import Model
from crosscheck.validation import validation_error

FOLDER = Path(__file__).parent
WHOLE = frozenset({"CRV1", "kind"})  # values of a default that are replaced as a whole
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)*")
Words = dict[str, dict[str, str]]


class EraTable(Model):
    """One era; names of functions and steps are those of the newest version, ``*`` stands for all.

    Attributes
    ----------
    since, until : str
        Versions; empty for no bound.
    note : str
        What changed, for people.
    needs, constraints : tuple of str
        What the version needs beside what it declares; upper bounds that it should have declared.
    pythons : tuple of str
        Interpreters to try, where the version does not install on the one at hand.
    missing : mapping
        Function to why the era lacks it.
    functions : mapping
        Function to ``module:attribute``.
    rename : mapping of function to mapping
        Argument to its old name.
    values : mapping of function to mapping of argument to mapping
        Value to its old spelling.
    lacks : mapping of function to mapping
        Argument to why the era lacks it.
    always : mapping of function to mapping
        Argument that the era lacks, to the value that it always had: asking for that value is no loss.
    refuses : mapping of function to mapping of argument to mapping
        Value that the era does not take, to why.
    refuses_formula : mapping
        Pattern of what a formula cannot say in the era, to why.
    expand : mapping of argument to mapping
        An argument that is a mapping, to the arguments that its members were; ``null`` members are left out.
    adds : mapping of function to mapping
        Arguments that the era needs to do what newer ones do by themselves.
    defaults : mapping of function to mapping
        What the era takes where nothing is said, in the newest spelling. With it a changed default is replayed: the
        newer version is asked for the older one's default.
    attributes : mapping of str to str
        Quantity to the path in a fitted model, empty where the era has none.
    terms : tuple of (pattern, replacement)
        Spelling of coefficients, applied in order to reach R's; those of later tables come first.
    dummy_terms : tuple of (pattern, replacement)
        The same for each column that the formula codes by ``i()``, with its name in place of ``@``.
    """

    since: str = ""
    until: str = ""
    note: str = ""
    needs: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    missing: dict[str, str] = {}
    functions: dict[str, str] = {}
    rename: Words = {}
    values: dict[str, Words] = {}
    lacks: Words = {}
    always: dict[str, dict[str, Any]] = {}
    refuses: dict[str, Words] = {}
    refuses_formula: dict[str, str] = {}
    expand: Words = {}
    adds: dict[str, dict[str, Any]] = {}
    defaults: dict[str, dict[str, Any]] = {}
    attributes: dict[str, str] = {}
    terms: tuple[tuple[str, str], ...] = ()
    dummy_terms: tuple[tuple[str, str], ...] = ()


class EraFile(Model):
    """All eras of a package, with the names that pip and Python know it by."""

    package: str
    distribution: str
    module: str
    companions: tuple[str, ...] = ()
    oldest: str
    too_old: str = ""
    era: Annotated[tuple[EraTable, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What the thin worker has to know of one version.

    Attributes
    ----------
    refusal : str
        Why the version is out of reach; empty where it is not.
    table : EraTable
        All eras that hold for the version, merged.
    notes : tuple of str
    """

    package: str
    version: str
    refusal: str
    table: EraTable
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what crosses to the worker."""
        skipped = {"since", "until", "note", "needs", "constraints", "pythons", "defaults"}
        plain: dict[str, Any] = self.table.model_dump(mode="json", exclude=skipped)
        return {**plain, "package": self.package, "version": self.version}


def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, without trailing zeros."""
    match = NUMBER.match(version)
    numbers = [int(n) for n in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def packages() -> tuple[str, ...]:
    """Return the packages that have eras."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.toml")))


@cache
def era_file(package: str) -> EraFile:
    """Read the eras of a package.

    Raises
    ------
    UsageError
        For a package without such a file.
    """
    path = FOLDER / f"{package}.toml"
    if package not in packages():
        raise UsageError(f"crosscheck upgrade does not know {package!r}", allowed=", ".join(packages()))
    try:
        return EraFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        raise validation_error(error, EraFile, {}, where=path.name) from None


def adapter_for(package: str, version: str) -> Adapter:
    """Return the adapter of a version: every era that holds for it, merged."""
    file = era_file(package)
    number = release(version)
    refusal = ""
    if number < release(file.oldest):
        refusal = f"{package} {version} is older than {file.oldest}, the oldest that is spoken to"
        refusal += f" ({file.too_old})" if file.too_old else ""
    holding = [e for e in file.era if release(e.since) <= number and (not e.until or number < release(e.until))]
    merged: dict[str, Any] = {}
    for era in holding:
        merged = _merged(merged, era.model_dump(mode="python", exclude_unset=True))
    for name in ("since", "until", "note"):
        merged.pop(name, None)
    return Adapter(
        package=package,
        version=version,
        refusal=refusal,
        table=EraTable.model_validate(merged),
        notes=tuple(e.note for e in holding if e.note),
    )


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one table over another: mappings member by member, lists one after the other, the rest replaced."""
    out = dict(old)
    for key, value in new.items():
        before = out.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and not set(before) & WHOLE:
            out[key] = _merged(before, value)
        elif key in ("terms", "dummy_terms"):
            out[key] = (*value, *(before or ()))
        elif isinstance(value, tuple) and isinstance(before, tuple) and key != "pythons":
            out[key] = before + tuple(v for v in value if v not in before)
        else:
            out[key] = value
    return out


def changed_defaults(package: str, old: str, new: str, function: str) -> dict[str, tuple[Any, Any]]:
    """Return the arguments of a function whose defaults differ between two versions: (old, new), in newest spelling.

    Arguments whose default one of the versions is not said to have are left out.
    """
    before, after = (defaults_of(package, v, function) for v in (old, new))
    return {k: (before[k], after[k]) for k in before if k in after and before[k] != after[k]}


def defaults_of(package: str, version: str, function: str) -> dict[str, Any]:
    """Return what a version takes where nothing is said, as far as the eras know."""
    tables = adapter_for(package, version).table.defaults
    return {**tables.get("*", {}), **tables.get(function, {})}
