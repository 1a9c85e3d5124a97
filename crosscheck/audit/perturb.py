"""Which single errors of printing would the audit notice?

Every printed token is changed in turn (last place by 1, 2, 5; another digit; one star more or fewer; N by one; a sign;
two numbers swapped) and the paper audited again. A change that the joint step certifies as possible (a set of latent
quantities reproduces all printed numbers, the changed one included) cannot be noticed by any identity it knows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from crosscheck.audit.engine import run_families
from crosscheck.audit.facts import Claims, Facts
from crosscheck.audit.joint.family import joint
from crosscheck.audit.paper import build
from crosscheck.audit.tokens import clean, token_id, tokens_of

Row = tuple[str, str, str, str, str]
Outcome = Literal["detected", "possible", "undecided"]
KINDS = ("last 1", "last 2", "last 5", "digit", "star more", "star fewer", "N by 1", "sign", "swap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One changed table: which token, what kind of change, and the rows after it."""

    token: str
    quantity: str
    kind: str
    before: str
    after: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the audit said of a change: detected, certified possible, or undecided."""

    change: Change
    outcome: Outcome
    by: tuple[str, ...]


def _replace(rows: tuple[Row, ...], key: str, text: str) -> tuple[Row, ...]:
    return tuple((*r[:4], text) if token_id(*r[:4]) == key else r for r in rows)


def shift(text: str, units: int, padding: int = 0) -> str | None:
    """Move a printed number by units of its last place that carries information; None where it would change sign."""
    value = Decimal(clean(text))
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    moved = value + Decimal(units).scaleb(exponent + padding)
    if (value > 0 and moved < 0) or (value < 0 and moved > 0) or (value == 0 and moved < 0):
        return None
    shown = format(moved, "f")
    return "-" + shown if value == 0 and text.startswith("-") else shown


def changes(rows: tuple[Row, ...], seed: int = 1) -> Iterator[Change]:
    """Make every change of the list above, one at a time."""
    rng = random.Random(seed)  # noqa: S311
    tokens, _ = tokens_of(rows)
    starred = {r[0] for r in rows if r[3] == "stars"}
    present = {token_id(*r[:4]) for r in rows}

    def make(row: Row, kind: str, after: str | None, new: tuple[Row, ...] | None = None) -> Iterator[Change]:
        key = token_id(*row[:4])
        if after is not None and (after != row[4] or new is not None):
            yield Change(
                token=key, quantity=row[3], kind=kind, before=row[4], after=after,
                rows=_replace(rows, key, after) if new is None else new,
            )  # fmt: skip

    for row in rows:
        table, column, term, quantity, text = row
        key = token_id(table, column, term, quantity)
        if quantity == "stars":
            if len(text) < 3:
                yield from make(row, "star more", text + "*")
            fewer = text[:-1]
            gone = tuple(r for r in rows if r is not row)
            yield from make(row, "star fewer", fewer, gone if not fewer else None)
            continue
        if quantity == "nobs":
            for step in (1, -1):
                yield from make(row, "N by 1", shift(text, step))
            continue
        for size in (1, 2, 5):
            for sign in (1, -1):
                yield from make(row, f"last {size}", shift(text, sign * size, tokens[key].padded))
        places = [i for i, c in enumerate(text) if c.isdigit()][: -1 - tokens[key].padded]
        if places:
            i = rng.choice(places)
            yield from make(
                row, "digit", text[:i] + rng.choice([d for d in "0123456789" if d != text[i]]) + text[i + 1 :]
            )
        if quantity == "estimate":
            if Decimal(clean(text)) != 0:
                yield from make(row, "sign", text[1:] if text.startswith("-") else "-" + text)
            if table in starred and token_id(table, column, term, "stars") not in present:
                yield from make(row, "star more", "*", (*rows, (table, column, term, "stars", "*")))
    yield from _swaps(rows)


def _swaps(rows: tuple[Row, ...]) -> Iterator[Change]:
    """Exchange neighbours: the same quantity in the next column, and a coefficient with its own SE."""
    by = {token_id(*r[:4]): r for r in rows}
    tables: dict[str, list[str]] = {}
    for row in rows:
        if row[1] not in tables.setdefault(row[0], []):
            tables[row[0]].append(row[1])
    for row in rows:
        table, column, term, quantity, text = row
        others = []
        columns = tables[table]
        if quantity not in ("stars", "nobs") and columns.index(column) + 1 < len(columns):
            others.append(token_id(table, columns[columns.index(column) + 1], term, quantity))
        if quantity == "estimate":
            others.append(token_id(table, column, term, "std_error"))
        for other in others:
            if other in by and by[other][4] != text and not (other.endswith("std_error") and text.startswith("-")):
                key = token_id(*row[:4])
                new = _replace(_replace(rows, key, by[other][4]), other, text)
                yield Change(token=key, quantity=quantity, kind="swap", before=text, after=by[other][4], rows=new)


def judge(change: Change, facts: Facts, claims: Claims, known: frozenset[str], sample_of: dict[str, str]) -> Result:
    """Audit one changed table; ``known`` are the inconsistencies that the unchanged one has."""
    tokens, mark = tokens_of(change.rows)
    paper = build(tokens, mark, facts, claims)
    checks = run_families(paper)
    new = tuple(c.id for c in checks if c.verdict == "inconsistent" and c.id not in known)
    if new:
        return Result(change=change, outcome="detected", by=new)
    answers = joint(paper, checks, explain=False)
    new = tuple(c.id for c in answers if c.verdict == "inconsistent")
    if new:
        return Result(change=change, outcome="detected", by=new)
    mine = [c for c in answers if c.id == f"34:{sample_of.get(change.token, '')}"]
    possible = bool(mine) and all(c.verdict == "consistent" for c in mine)
    return Result(change=change, outcome="possible" if possible else "undecided", by=())
