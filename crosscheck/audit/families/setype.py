"""Are a paper's standard errors classical? All identities together decide (family 36).

Each identity that holds for classical SEs only carries the chance of an accidental agreement. Columns that identities
tie together, and columns of one table, form a block: a table is taken to use one
kind of standard error. Within a block:

* no identity fails and the chance of all agreements together is below ``NAMED``: the SEs are named classical;
* some fail, but leaving out one or two printed numbers removes every failure and what is left still names the SEs
  classical with room to spare: the failures stand as inconsistencies of those numbers;
* otherwise the SEs are not classical (or rows differ): failures are no errors, and say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from crosscheck.audit.checks import Check
from crosscheck.audit.paper import ColumnView, Paper
from crosscheck.audit.tokens import heading

NAMED = 1e-3
WITHOUT_ONE = 1e-4
WITHOUT_TWO = 1e-7
CLASSICAL = "36:iid:"


def blocks(paper: Paper, checks: Sequence[Check]) -> tuple[tuple[Check, ...], ...]:
    """Group checks that assume classical SEs by the columns they tie together."""
    parent: dict[str, str] = {}

    def find(x: str) -> str:
        parent.setdefault(x, x)
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    mine = [c for c in checks if c.assumes == "iid" and c.verdict in ("consistent", "inconsistent")]
    keys = {c.id: se_columns(paper, c) for c in mine}
    for a, b in pairwise(sorted(paper.columns, key=lambda c: c.facts.table)):
        if a.facts.table == b.facts.table and a.facts.se == b.facts.se:
            parent[find(a.key)] = find(b.key)
    for check in mine:
        first, *rest = keys[check.id] or ("",)
        for other in rest:
            parent[find(other)] = find(first)
    groups: dict[str, list[Check]] = {}
    for check in mine:
        groups.setdefault(find((keys[check.id] or ("",))[0]), []).append(check)
    return tuple(tuple(group) for group in groups.values())


def se_columns(paper: Paper, check: Check) -> tuple[str, ...]:
    """Columns whose standard errors take part in a check."""
    tokens = [paper.tokens[t] for t in check.tokens]
    return tuple(dict.fromkeys(f"{t.table}:{t.column}" for t in tokens if t.quantity == "std_error"))


def evidence(checks: Iterable[Check], without: frozenset[str] = frozenset()) -> float:
    """Log10 chance that unrelated SEs would have passed, one identity for each standard error.

    Identities that share a standard error are not independent; each standard error counts once, with its sharpest
    identity whose other standard errors are not all spent.
    """
    usable = sorted(
        (c for c in checks if c.verdict == "consistent" and c.chance < 1.0 and not without & set(c.tokens)),
        key=lambda c: c.chance,
    )
    spent: set[str] = set()
    total = 0.0
    for check in usable:
        ses = {t for t in check.tokens if t.endswith(":std_error")}
        if ses <= spent:
            continue
        fresh = next(iter(sorted(ses - spent)))
        spent.add(fresh)
        total += math.log10(max(check.chance, 1e-12))
    return total


def hitting_tokens(failed: Sequence[Check]) -> tuple[frozenset[str], ...]:
    """Return the smallest sets of one or two tokens that take part in every failed check."""
    sets = [frozenset(t for t in c.tokens if not t.endswith(":nobs")) for c in failed]
    single = frozenset.intersection(*sets)
    if single:
        return tuple(frozenset((t,)) for t in sorted(single))
    pairs = []
    first = min(sets, key=len)
    for one in sorted(first):
        rest = [s for s in sets if one not in s]
        both = frozenset.intersection(*rest)
        pairs += [frozenset((one, other)) for other in sorted(both)]
    return tuple(dict.fromkeys(pairs))


def resolve(paper: Paper, checks: Sequence[Check]) -> tuple[Check, ...]:
    """Turn checks that assume classical SEs into verdicts, and add what the block reveals."""
    replaced: dict[str, Check] = {}
    added: list[Check] = []
    for group in blocks(paper, checks):
        names = tuple(dict.fromkeys(k for c in group for k in se_columns(paper, c)))
        declared = {c.facts.se for c in paper.columns if c.key in names}
        failed = [c for c in group if c.verdict == "inconsistent"]
        if declared == {"iid"}:
            continue
        verdict, suspects = judge(group)
        tokens = tuple(dict.fromkeys(t for c in group for t in c.tokens))
        weight = evidence(group)
        if declared & {"hetero", "cluster"}:
            for check in group:
                replaced[check.id] = check.but(verdict="cannot_tell", severity="none")
            continue
        if verdict == "iid":
            where = _where(paper, names)
            added.append(_summary(
                names, tokens, "reveals",
                f"{sum(c.chance < 1 for c in group)} identities of classical SEs hold, chance 1e{weight:.0f} otherwise",
                f"The standard errors of {where} are classical (iid), neither robust nor clustered: the tables do not "
                "say so, and units observed repeatedly would call for clustering.", 7.0,
            ))  # fmt: skip
        elif verdict == "iid but":
            added.append(_summary(
                names, tokens, "reveals",
                f"all but {len(failed)} identities hold; {_names(suspects)} would repair them",
                f"The standard errors of {_where(paper, names)} are classical (iid), with "
                f"{' or '.join(_names(suspects))} not fitting.", 7.0,
            ))  # fmt: skip
        elif verdict == "not iid":
            for check in failed:
                replaced[check.id] = check.but(verdict="cannot_tell", severity="none", strength="suggestive")
            added.append(_summary(
                names, tokens, "reveals", f"{len(failed)} identities of classical SEs fail",
                f"The standard errors of {_where(paper, names)} are not classical (robust, clustered, or other rows).",
                2.0,
            ))  # fmt: skip
        else:
            for check in failed:
                replaced[check.id] = check.but(verdict="cannot_tell", severity="none", strength="suggestive")
    loose = {
        c.id: c.but(verdict="cannot_tell", severity="none")
        for c in checks
        if c.assumes == "iid" and c.verdict == "reveals" and not _is_classical(paper, c, added)
    }
    return (*(replaced.get(c.id, loose.get(c.id, c)) for c in checks), *added)


def _is_classical(paper: Paper, check: Check, added: Sequence[Check]) -> bool:
    named = {k for c in added if c.id.startswith(CLASSICAL) for k in se_columns(paper, c)}
    named |= {c.key for c in paper.columns if c.facts.se == "iid"}
    columns = se_columns(paper, check)
    return bool(named) and (any(k in named for k in columns) or check.family in (26, 38))


def judge(group: Sequence[Check]) -> tuple[str, tuple[frozenset[str], ...]]:
    """Return ``iid``, ``iid but`` (with the suspects), ``not iid`` or ``open`` for a block."""
    failed = [c for c in group if c.verdict == "inconsistent"]
    if not failed:
        return ("iid", ()) if evidence(group) <= math.log10(NAMED) else ("open", ())
    suspects = hitting_tokens(failed)
    for size, limit in ((1, WITHOUT_ONE), (2, WITHOUT_TWO)):
        kept = tuple(s for s in suspects if len(s) == size and evidence(group, s) <= math.log10(limit))
        if kept:
            return "iid but", kept
    return "not iid", ()


def _names(suspects: tuple[frozenset[str], ...]) -> list[str]:
    return [" and ".join(sorted(s)) for s in suspects[:4]]


def _where(paper: Paper, names: Sequence[str]) -> str:
    tables: dict[str, list[str]] = {}
    views: dict[str, ColumnView] = {c.key: c for c in paper.columns}
    for view in (views[key] for key in views if key in names):
        tables.setdefault(view.facts.table, []).append(view.facts.id)
    return "; ".join(f"{heading(table)} ({', '.join(ids)})" for table, ids in tables.items())


def _summary(
    names: Sequence[str], tokens: tuple[str, ...], verdict: str, formula: str, words: str, rank: float
) -> Check:
    kind = "not" if "not classical" in words else "iid"
    return Check(
        id=f"36:{kind}:{min(names)}", family=36, kind="exact identity", tokens=tokens,
        verdict=verdict,  # type: ignore[arg-type]
        formula=formula, statement=words, category="undisclosed", strength="strong", rank=rank,
        severity="decision" if kind == "iid" else "cosmetic",
    )  # fmt: skip
