"""Does the sentinel set see what releases did to numbers, and nothing where they did nothing?

``fixtures/sentinel/history.toml`` lists changes that changelogs and issue trackers name, and adjacent releases that
changed no numbers. :func:`examine` runs the set on every version of the list and counts, for each change, the numbers
that moved at its release and at the releases beside it.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from crosscheck.canon import digest
from crosscheck.errors import ReferenceError_
from crosscheck.results import EstimationResult
from crosscheck.spec import Model
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.sentinel.movement import STATUS, TERM, Moved, moved, side_of
from crosscheck.upgrade.sentinel.witness import recorded_answers

HISTORY_FILE = "history.toml"
OUTCOME_FILE = "history.json"


class Where(Model):
    """Which cases a change is about, as its source says it; empty: all.

    Attributes
    ----------
    function, topic : tuple of str
        Of the call; the first word of a case's name.
    vcov : tuple of str
        ``default`` where none is written.
    has, lacks : tuple of str
        Arguments that are written, or are not.
    formula : tuple of str
        Of which the formula holds one.
    effects : tuple of int
        Numbers of fixed effects.
    value : mapping of str to tuple
        Arguments to the values that they have.
    rows, weights : tuple of str
        What the panel was drawn as.
    """

    function: tuple[str, ...] = ()
    topic: tuple[str, ...] = ()
    vcov: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    formula: tuple[str, ...] = ()
    effects: tuple[int, ...] = ()
    value: dict[str, tuple[Any, ...]] = Field(default={})
    rows: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()

    def holds(self, case: Case) -> bool:
        """Say whether a case is one of them."""
        call = case.call
        words: dict[str, Any] = {**call.arguments}
        for step in call.fit.values():
            words |= step
        drawn = case.topics[-1]
        parts = call.formula.split("|")
        effects = len(parts[1].split("+")) if len(parts) > 1 and "~" not in parts[1] else 0
        return (
            (not self.function or call.function in self.function)
            and (not self.topic or bool(set(case.topics) & set(self.topic)))
            and (not self.vcov or vcov_of(words) in self.vcov)
            and all(name in words for name in self.has)
            and not any(name in words for name in self.lacks)
            and (not self.formula or any(text in call.formula for text in self.formula))
            and (not self.effects or effects in self.effects)
            and all(words.get(name) in values for name, values in self.value.items())
            and all(
                not wanted or any(f"{word} {w}" in drawn for w in wanted)
                for word, wanted in (("rows", self.rows), ("weights", self.weights))
            )
        )


def vcov_of(words: Mapping[str, Any]) -> str:
    """Return the type of covariance that a call writes, or ``default``."""
    given = words.get("vcov", words.get("cov_type"))
    if given is None:
        return "default"
    return str(next(iter(given))) if isinstance(given, Mapping) else str(given)


class Change(Model):
    """One change of numbers that a release made.

    Attributes
    ----------
    id, what, reference : str
        A name; what the changelog or the issue says; where it says it.
    kind : str
        ``bug`` (fixed), ``broken`` (introduced), or ``default``.
    quantities : tuple of str
        That move; ``status`` where a call fails on one side, ``term`` where a coefficient is on one side only.
    list : int
        Which of the lists it is of. 1 and 2 were written from changelogs and sources, those of 3 looked up after
        numbers had been seen to move.
    missed : str
        Why the set does not see it; empty where it does.
    """

    id: str
    package: str
    before: str
    at: str
    kind: Literal["bug", "broken", "default"]
    what: str
    reference: str
    quantities: tuple[str, ...]
    where: Where = Where()
    list: int = 1
    missed: str = ""


class Silent(Model):
    """Adjacent releases that changed no number of what the set asks, and who says so."""

    package: str
    before: str
    at: str
    reference: str
    list: int = 1


class Stack(Model):
    """Versions of a package that are examined, oldest first, and what all of them stand on; empty: this Python."""

    package: str
    versions: tuple[str, ...]
    pins: tuple[str, ...]
    python: str = ""


class History(Model):
    """The list."""

    schema_: Literal[1] = Field(alias="schema")
    stack: tuple[Stack, ...]
    change: tuple[Change, ...]
    silent: tuple[Silent, ...]


def read_history(where: Path) -> History:
    """Read the list from its folder."""
    return History.model_validate(tomllib.loads((where / HISTORY_FILE).read_text("utf-8")))


def compare_versions(
    cases: Sequence[Case], old: Mapping[str, EstimationResult], new: Mapping[str, EstimationResult]
) -> list[Moved]:
    """Return all that moved between two versions."""
    return [m for case in cases for m in moved(case.id, old[case.id], new[case.id])]


def summary(cases: Sequence[Case], old: Mapping[str, EstimationResult], found: Sequence[Moved]) -> dict[str, Any]:
    """Return the counts of one pair of versions."""
    breaks = [m for m in found if m.size == "break"]
    return {
        "cases": len(cases),
        "answered": sum(old[c.id].status == "ok" for c in cases),
        "breaks": len(breaks),
        "cases_with_breaks": len({m.case for m in breaks}),
        "drift": len(found) - len(breaks),
        "quantities": dict(sorted(Counter(m.quantity for m in breaks).items())),
    }


def flagged(change: Change, cases: Mapping[str, Case], found: Iterable[Moved]) -> list[Moved]:
    """Return the breaks that a change names."""
    return [
        m for m in found if m.size == "break" and m.quantity in change.quantities and change.where.holds(cases[m.case])
    ]


def sides(found: Iterable[Moved], cases: Mapping[str, Case]) -> dict[str, dict[str, int]]:
    """Count which side each witness of R supports, by ``engine version``."""
    counts: dict[str, Counter[str]] = {}
    for m in found:
        if m.quantity in (STATUS, TERM):
            continue
        said = side_of(m, recorded_answers(cases[m.case]))
        if said is not None:
            counts.setdefault(said[0], Counter())[said[1]] += 1
    return {engine: dict(sorted(c.items())) for engine, c in sorted(counts.items())}


def read_outcome(where: Path) -> dict[str, Any]:
    """Read what the last real run of the list saw.

    Raises
    ------
    ReferenceError_
        Where the file was changed after it was written.
    """
    path = where / OUTCOME_FILE
    raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
    seal = raw.pop("seal", "")
    if digest(raw) != seal:
        raise ReferenceError_(
            "the outcome was changed after it was written: its seal does not fit",
            where=str(path),
            hint="run benchmarks/upgrade_history.py --write",
        )
    return raw


LISTS = {
    1: "The first list",
    2: "The second list: chosen by another reader before any of it was run",
    3: "Looked up after numbers had moved",
}
HEAD = (
    "| release | change | kind | what it says, where | moved | numbers, cases | of the first grid | R |",
    "|---|---|---|---|---|---|---|---|",
)


def tables(history: History, outcome: Mapping[str, Any]) -> str:
    """Return the tables of docs/upgrade_history.md."""
    found = {row["id"]: row for row in outcome["changes"]}
    lines: list[str] = []
    for number, title in LISTS.items():
        rows = [_line(c, found.get(c.id, {})) for c in history.change if c.list == number]
        lines += [f"### {title}", "", *HEAD, *rows, ""] if rows else []
    lines += [
        "### Pairs that changed nothing",
        "",
        "| releases | cases, answered | beyond drift | drift | who says that nothing changes |",
        "|---|---|---|---|---|",
    ]
    pairs = {(p["package"], p["before"], p["at"]): p for p in outcome["pairs"]}
    for s in history.silent:
        p = pairs.get((s.package, s.before, s.at))
        seen = f"{p['cases']}, {p['answered']} | {p['breaks']} | {p['drift']}" if p else "not run | |"
        lines.append(f"| {s.package} {s.before} → {s.at} | {seen} | {s.reference} |")
    return "\n".join(lines) + "\n"


def _line(c: Change, row: Mapping[str, Any]) -> str:
    said = "; ".join(
        f"{engine}: " + ", ".join(f"{n} {side}" for side, n in counts.items())
        for engine, counts in row.get("witnesses", {}).items()
    )
    size = f"{row['numbers']:,}, {row['cases']}" if row.get("numbers") else f"**none**: {c.missed}"
    first = f"{row.get('first', 0):,}" if row.get("first") else "**none**"
    moves = ", ".join(f"`{q}`" for q in c.quantities)
    release = f"{c.package} {c.before} → {c.at}"
    return f"| {release} | `{c.id}` | {c.kind} | {c.what} ({c.reference}) | {moves} | {size} | {first} | {said} |"
