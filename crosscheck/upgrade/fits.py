"""Which fits happen in one version only, and which warnings does one version give that the other does not?"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace

from crosscheck.results import EstimationResult
from crosscheck.upgrade.judge import count, supports_fit
from crosscheck.upgrade.model import Change, Kind, Side
from crosscheck.upgrade.pairs import Pair, one_sided, shape
from crosscheck.upgrade.phrases import titled
from crosscheck.upgrade.standings import stood
from crosscheck.verdict import Severity

Named = tuple[str, Change]
"""A change under the shape of its words; those of one shape are one change."""


def fit_changes(p: Pair, said: Mapping[str, tuple[str, EstimationResult]]) -> Iterator[Named]:
    """Find fits that happen in one version only, errors that read otherwise, and other names of dropped terms."""
    a, b = p.old, p.new
    kind: Kind
    severity: Severity = "structural"
    if a.status == "ok" and b.status == "ok":
        if set(a.dropped) != set(b.dropped) and not any(one_sided(c) for c in p.measured.cells):
            yield _whole(p, "dropped", "cosmetic", f"{list(a.dropped)} -> {list(b.dropped)}", ())
        return
    if a.status == b.status:
        if a.status == "error" and shape(a.reason, p) != shape(b.reason, p):
            yield _whole(p, "error changed", "cosmetic", f"{b.reason} (before: {a.reason})", ())
        return
    if "error" in (a.status, b.status):
        kind = "error new" if b.status == "error" else "error gone"
        if a.status == "unsupported":
            kind, severity = "unsupported gone", "cosmetic"
        elif b.status == "unsupported":
            kind, severity = "unsupported new", "cosmetic"
    else:
        kind = "unsupported new" if b.status == "unsupported" else "unsupported gone"
    reason = b.reason if kind.endswith("new") else a.reason
    fitted = b if b.status == "ok" else a
    side: Side = "new" if b.status == "ok" else "old"
    pairs: list[tuple[str, Side]] = []
    for name, result in said.values():
        if result.status == "error":
            pairs.append((name, "old" if side == "new" else "new"))
            continue
        has = supports_fit(result, fitted, p.question.context)
        if has is not None:
            pairs.append((name, side if has else "neither"))
    yield _whole(p, kind, severity, reason, count(pairs))


def _whole(p: Pair, kind: Kind, severity: Severity, text: str, supports: tuple[tuple[str, Side, int], ...]) -> Named:
    return shape(text, p), Change(
        kind=kind,
        size="",
        cause="",
        severity=severity,
        standing="worse",
        title=text,
        study=p.question.study,
        places=((p.question.table, p.question.column),),
        questions=(p.question.id,),
        functions=(p.question.function,),
        supports=supports,
    )


def warning_changes(p: Pair) -> Iterator[Named]:
    """Find warnings that one version gives and the other does not; numbers within a warning do not count."""
    if p.old.status != "ok" or p.new.status != "ok":
        return
    before, after = _warnings(p.old, p), _warnings(p.new, p)
    sides: tuple[tuple[Kind, dict[str, str], dict[str, str]], ...] = (
        ("warning new", after, before),
        ("warning gone", before, after),
    )
    for kind, mine, other in sides:
        for words, text in mine.items():
            if words not in other:
                yield _whole(p, kind, "cosmetic", text, ())


def _warnings(result: EstimationResult, p: Pair) -> dict[str, str]:
    texts = (" ".join(c.text.split()) for c in result.conditions if c.kind == "warning")
    return {shape(text, p): text[:300] for text in texts}


def merged_changes(study: str, changes: Iterable[Named]) -> Iterator[Change]:
    """Put what was said of several columns alike together, by its words."""
    groups: dict[Hashable, list[Change]] = {}
    for words, c in changes:
        groups.setdefault((c.kind, c.severity, words), []).append(c)
    for group in groups.values():
        first = group[0]
        pairs = [(name, side) for c in group for name, side, n in c.supports for _ in range(n)]
        change = replace(
            first,
            study=study,
            places=tuple(dict.fromkeys(p for c in group for p in c.places)),
            questions=tuple(dict.fromkeys(q for c in group for q in c.questions)),
            functions=tuple(dict.fromkeys(f for c in group for f in c.functions)),
            supports=count(pairs),
        )
        yield stood(replace(change, title=titled(change, "", "")))
