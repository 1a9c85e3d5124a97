"""Which differences share a cause, said in plain English?

Every cell that is not plain agreement belongs to exactly one finding. Verdicts say *differs from*: no source is the
judge of another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from crosscheck.report.digits import MORE, digits_text, fixed, printed_decimals
from crosscheck.report.model import PRINTED, CellRow, Explanation, Finding, SourceRow, TableRow
from crosscheck.report.words import listing, pairs_name, place_name, places_name, quantity_name
from crosscheck.verdict import AGREE, BADNESS, SEVERITIES

PRIMARY = ("estimate", "std_error")
FOLLOWS = ("statistic", "p_value", "conf_low", "conf_high", "stars")
TERM_LEVEL = ("missing_reference", "missing_candidate")
Pair = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Context:
    """What grouping needs beyond a cell: fits that did not happen, and the odd one out of each differing pair."""

    failed: Mapping[tuple[str, str, str], str]
    reasons: Mapping[tuple[str, str, str], str]
    odd: Mapping[Pair, str]

    def culprit(self, c: CellRow) -> str:
        """Return the source that a cell is about, or an empty string where it is about the pair."""
        if c.whole:
            failing = [s for s in (c.candidate, c.reference) if (c.table, c.column, s) in self.failed]
            return next((s for s in failing if self.failed[(c.table, c.column, s)] == c.verdict), "".join(failing[:1]))
        if c.verdict == "unsupported":
            return c.candidate if c.candidate_value is None else c.reference
        if c.verdict in TERM_LEVEL:
            return c.candidate if c.verdict == "missing_candidate" else c.reference
        if c.verdict == "unexplained" and c.reference != PRINTED:
            return self.odd[(c.table, c.column, c.reference, c.candidate)]
        return ""


def find(cells: Sequence[CellRow], tables: Sequence[TableRow], sources: Sequence[SourceRow]) -> tuple[Finding, ...]:
    """Group the cells that do not plainly agree by their cause; the gravest first, different before explained."""
    left = [c for c in cells if c.verdict not in AGREE]
    failed = {(s.table, s.column, s.source): s.failure for s in sources if s.failure is not None}
    reasons = {(s.table, s.column, s.source): s.result.reason for s in sources if s.failure and s.result}
    context = _Context(failed=failed, reasons=reasons, odd=_odd_ones(left))
    groups: dict[Hashable, list[CellRow]] = {}
    for cell in left:
        groups.setdefault(_key(cell, context), []).append(cell)
    findings = [_finding(group, tables, context) for group in _merge_columns(groups).values()]
    findings.sort(key=lambda f: (-SEVERITIES.index(f.severity), BADNESS.index(f.verdict), -len(f.cells)))
    return tuple(replace(f, id=f"F{number}") for number, f in enumerate(findings, 1))


def _odd_ones(cells: Iterable[CellRow]) -> dict[Pair, str]:
    """Say for each pair that differs unexplained in a column which side differs from more others (a tie: candidate)."""
    by_column: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for c in cells:
        if c.verdict == "unexplained" and c.reference != PRINTED:
            by_column.setdefault((c.table, c.column), {})[(c.reference, c.candidate)] = None
    out = {}
    for (table, column), pairs in by_column.items():
        load = Counter(side for pair in pairs for side in pair)
        for reference, candidate in pairs:
            odd = reference if load[reference] > load[candidate] else candidate
            out[(table, column, reference, candidate)] = odd
    return out


def _key(c: CellRow, context: _Context) -> Hashable:
    culprit = context.culprit(c)
    if c.whole:
        own = context.reasons.get((c.table, c.column, culprit), c.reason)
        return ("whole", c.verdict, culprit, own if c.verdict in ("unsupported", "error") or not culprit else "")
    if c.verdict == "known":
        return (c.verdict, c.reason)
    if c.verdict == "unsupported":
        return ("silent", culprit)
    if c.explanations:
        return (c.verdict, c.explanations[0].rule, _side(c) or c.explanations[0].title)
    if c.verdict in TERM_LEVEL:
        return ("lacks", culprit, c.table, c.column)
    if c.verdict != "unexplained":
        return (c.verdict, c.table, c.column, c.reason)
    if c.reference == PRINTED:
        return (PRINTED, c.table, c.column, c.term)
    return ("odd", culprit, c.table, c.column)


def _side(c: CellRow) -> str:
    """Return the engine whose convention an explanation names first, or an empty string."""
    title = c.explanations[0].title
    return next((s for s in (c.candidate, c.reference) if title.startswith((f"{s} ", f"{s}'"))), "")


def _merge_columns(groups: Mapping[Hashable, list[CellRow]]) -> dict[Hashable, list[CellRow]]:
    """Put columns together in which an engine lacks the same terms, or differs alike from the same others."""
    out: dict[Hashable, list[CellRow]] = {}
    for key, group in groups.items():
        merged = key
        if isinstance(key, tuple) and key[0] == "lacks":
            merged = ("lacks", key[1], frozenset((c.term, c.quantity) for c in group))
        if isinstance(key, tuple) and key[0] == "odd":
            pairs = frozenset((c.reference, c.candidate) for c in group)
            merged = ("odd", key[1], pairs, frozenset(c.quantity for c in group) & {*PRIMARY, "nobs"})
        out.setdefault(merged, []).extend(group)
    return out


def _gravity(c: CellRow) -> tuple[int, int, float]:
    primary = PRIMARY.index(c.quantity) if c.quantity in PRIMARY else len(PRIMARY)
    return (-SEVERITIES.index(c.severity), primary, c.digits if c.digits is not None else 99.0)


def _finding(group: Sequence[CellRow], tables: Sequence[TableRow], context: _Context) -> Finding:
    example = min(group, key=_gravity)
    culprit = context.culprit(example)
    explanations: dict[tuple[str, str, str], Explanation] = {}
    for cell in sorted(group, key=_gravity):
        for e in cell.explanations:
            explanations.setdefault((e.rule, e.title, e.formula), e)
    draft = Finding(
        id="",
        verdict=example.verdict,
        severity=example.severity,
        title="",
        places=tuple(dict.fromkeys((c.table, c.column) for c in group)),
        terms=tuple(dict.fromkeys(c.term for c in group if c.term)),
        quantities=tuple(dict.fromkeys(c.quantity for c in group)),
        pairs=tuple(dict.fromkeys((c.reference, c.candidate) for c in group)),
        explanations=tuple(explanations.values()),
        reason=context.reasons.get((example.table, example.column, culprit), example.reason),
        culprit=culprit,
        example=example,
        cells=tuple(group),
    )
    return replace(draft, title=_title(draft, tables))


def _title(f: Finding, tables: Sequence[TableRow]) -> str:
    where = places_name(f.places, tables)
    if f.example.whole:
        said = {"error": "failed", "unsupported": "does not offer this", "stale": "is stale"}
        how = said.get(f.verdict, "is not here")
        return f"{f.culprit} {how} in {where}: {f.reason}" if f.culprit else f"Not compared in {where}: {f.reason}"
    if f.verdict == "known":
        return f"Known difference in {where}: {f.reason}"
    if f.verdict == "unsupported":
        return f"{f.culprit} does not report {_what(f, follow=False)} in {where}"
    if f.explanations:
        alike = "" if len({c.explanations[0].title for c in f.cells}) == 1 else " (alike elsewhere)"
        return f"{f.example.explanations[0].title}{alike}: {_what(f)} in {where}, {pairs_name(f.pairs)}"
    if f.verdict in TERM_LEVEL:
        return f"{f.culprit} gives no number for {_what(f)} in {where}: {f.reason}"
    if f.verdict != "unexplained":
        return f"{f.reason or f.verdict}: {_what(f)} in {where}"
    if f.example.reference == PRINTED:
        return _printed_title(f, tables)
    others = listing(b if a == f.culprit else a for a, b in f.pairs)
    least = min((c.digits for c in f.cells if c.digits is not None), default=None)
    agreeing = "" if least is None else f" ({digits_text(least)} digits agree)"
    return f"{f.culprit} differs from {others} in {_what(f)}, {where}{agreeing}"


def _what(f: Finding, *, follow: bool = True) -> str:
    """Name the numbers of a finding: of which terms, and only the primary ones where the others follow from them."""
    counts = Counter(q for q, _ in {(c.quantity, (c.table, c.column, c.term)) for c in f.cells})
    counts = Counter({q: counts[q] for q in dict.fromkeys(c.quantity for c in f.cells)})
    of_fit = {c.quantity for c in f.cells if not c.term}
    of_terms = [q for q in counts if q not in of_fit]
    primary = [q for q in of_terms if q not in FOLLOWS or not follow] or of_terms
    rest = " (and what follows from it)" if len(primary) < len(of_terms) else ""
    terms = [t for t in f.terms if t != "*"]
    parts = []
    if primary:
        names = listing((quantity_name(q, counts[q]) for q in primary), 3)
        parts.append(f"the {names}" + (f" of {listing(terms, 3)}" if terms else "") + rest)
    parts += [f"the {quantity_name(q)}" for q in counts if q in of_fit]
    return listing(parts)


def _printed_title(f: Finding, tables: Sequence[TableRow]) -> str:
    example = f.example
    said: dict[str, list[str]] = {}
    for c in f.cells:
        if c.quantity == example.quantity:
            said.setdefault(_beside_print(c), []).append(c.candidate)
    gave = listing(
        (f"{listing(names)} {'give' if len(names) > 1 else 'gives'} {text}" for text, names in said.items()), 3
    )
    of = f" of {example.term}" if example.term else ""
    also = [quantity_name(q) for q in f.quantities if q != example.quantity]
    tail = f" (its {listing(also)} {'differs' if len(also) == 1 else 'differ'} too)" if also else ""
    printed = example.printed if example.printed is not None else example.reference_value
    shown = str(printed) if printed not in (None, "") else "without one"
    where = place_name(example.table, example.column, tables)
    return f"The {quantity_name(example.quantity)}{of} in {where} is printed as {shown}, but {gave}{tail}"


def _beside_print(c: CellRow) -> str:
    if isinstance(c.candidate_value, str):
        return c.candidate_value or "none"
    if c.candidate_value is None:
        return "none"
    decimals = printed_decimals(c.printed or "") or 0
    return fixed(c.candidate_value, 0 if decimals == 0 and c.candidate_value.is_integer() else decimals + MORE)
