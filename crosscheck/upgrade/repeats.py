"""Which numbers does a version not repeat under another hash seed?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from crosscheck.upgrade.measure import DRIFT
from crosscheck.upgrade.model import Change, Moved
from crosscheck.upgrade.pairs import Pair
from crosscheck.upgrade.phrases import titled
from crosscheck.upgrade.sides import NotRepeatable
from crosscheck.verdict import SEVERITIES, Severity

SAME_SEEDS = 10.0
"""A number that moved by more than ten times what hash seeds move it did move."""


def repeat_changes(
    study: str,
    pairs: Sequence[Pair],
    unrepeatable: Mapping[str, tuple[Sequence[NotRepeatable], Sequence[NotRepeatable]]],
) -> Iterator[Change]:
    """Find numbers that a version does not repeat under another hash seed."""
    groups: dict[str, list[tuple[Pair, Moved]]] = {}
    known = _known_to_shake(pairs, unrepeatable)
    for p in pairs:
        before, after = unrepeatable.get(p.question.id, ((), ()))
        sides = [{(n.term, n.quantity): n for n in found if n.spread > DRIFT / 100} for found in (before, after)]
        for key in dict.fromkeys((*sides[0], *sides[1])):
            which = "both" if key in sides[0] and key in sides[1] else "old" if key in sides[0] else "new"
            n = sides[1].get(key) or sides[0][key]
            if which == "new" and n.spread <= SAME_SEEDS * known.get((p.question.function, n.quantity), -1.0):
                which = "both"
            shown = " or ".join(dict.fromkeys(str(v)[:60] for v in n.values))
            grave = n.spread > DRIFT
            groups.setdefault(f"{which}/{'grave' if grave else 'slight'}/{p.question.function}", []).append(
                (
                    p,
                    Moved(
                        kind="not repeatable",
                        question=p.question.id,
                        table=p.question.table,
                        column=p.question.column,
                        term=n.term,
                        quantity=n.quantity,
                        old=_single(n.values[0]),
                        new=_single(n.values[-1]),
                        digits=None,
                        diff_in_se=None,
                        relative=None if math.isinf(n.spread) else n.spread,
                        size="break" if grave else "drift",
                        severity="structural" if math.isinf(n.spread) else "printed" if grave else "cosmetic",
                        cause="",
                        reason=f"{shown}, by PYTHONHASHSEED"
                        if not isinstance(n.values[0], tuple)
                        else "by PYTHONHASHSEED",
                    ),
                )
            )
    for name, group in groups.items():
        which = name.partition("/")[0]
        severity: Severity = max((m.severity for _, m in group), key=SEVERITIES.index)
        change = Change(
            kind="not repeatable",
            size=group[0][1].size,
            cause="",
            severity=severity,
            standing={"both": "note", "old": "better", "new": "worse"}[which],  # type: ignore[arg-type]
            title="",
            study=study,
            places=tuple(dict.fromkeys((m.table, m.column) for _, m in group)),
            questions=tuple(dict.fromkeys(m.question for _, m in group)),
            functions=tuple(dict.fromkeys(p.question.function for p, _ in group)),
            moved=tuple(m for _, m in group),
        )
        old, new = group[0][0].old.engine, group[0][0].new.engine
        yield replace(change, title=titled(change, old, new))


def _known_to_shake(
    pairs: Sequence[Pair], unrepeatable: Mapping[str, tuple[Sequence[NotRepeatable], Sequence[NotRepeatable]]]
) -> dict[tuple[str, str], float]:
    """Return how far hash seeds move each quantity of each function of the old side at most.

    A few seeds are tried: in which of many alike cases they show it is chance, and no news of the new side.
    """
    found: dict[tuple[str, str], float] = {}
    for p in pairs:
        for n in unrepeatable.get(p.question.id, ((), ()))[0]:
            key = (p.question.function, n.quantity)
            found[key] = max(found.get(key, -1.0), n.spread)
    return found


def _single(value: object) -> float | str | None:
    return value if isinstance(value, float | str) or value is None else None
