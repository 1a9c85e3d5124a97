"""Which numbers, errors and warnings of a run differ between two of its engines, and whom do the others support?"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from crosscheck.report.findings import find
from crosscheck.report.model import PRINTED, CellRow, EngineRow, Explanation, Finding, RunReport
from crosscheck.report.words import places_name
from crosscheck.results import EstimationResult
from crosscheck.upgrade.model import PRIMARY, SIDES, Change, Kind, Moved, Precision, Side, StudyChanges, Witness
from crosscheck.verdict import AGREE, SEVERITIES, Severity

Key = tuple[str, str, str, str]
Place = tuple[str, str]
_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?", re.IGNORECASE)


def study_changes(report: RunReport, old: str, new: str) -> StudyChanges:
    """Fold a run of two versions and their witnesses into what changed between the two.

    Parameters
    ----------
    report : RunReport
        Of a run whose columns name both versions.
    old, new : str
        Engine ids.
    """
    cells = [c for c in report.cells if (c.reference, c.candidate) == (old, new)]
    results = {(s.table, s.column, s.source): s.result for s in report.sources if s.result is not None}
    places = [(t.id, c.id) for t, c in report.columns()]
    numbers = [c for c in cells if c.compared]
    agreeing = [c for c in numbers if c.verdict in AGREE]
    changes = [
        *_number_changes(report, cells, old, new),
        *_fit_changes(report, results, places, old, new),
        *_warning_changes(report, results, places, old, new),
    ]
    changes.sort(key=lambda c: (-SEVERITIES.index(c.severity), -len(c.moved), c.title))
    status = {p: (_status(results.get((*p, old))), _status(results.get((*p, new)))) for p in places}
    return StudyChanges(
        study=report.study,
        title=report.title,
        columns=len(places),
        fitted=sum(s == ("ok", "ok") for s in status.values()),
        unsupported=sum(s == ("unsupported", "unsupported") for s in status.values()),
        compared=len(numbers),
        agree=len(agreeing),
        exact=sum(c.verdict == "exact" for c in agreeing),
        digits_estimate=_fewest(agreeing, "estimate"),
        digits_std_error=_fewest(agreeing, "std_error"),
        witnesses=_witnesses(report, old, new),
        precision=tuple(_precision(report, old, new)),
        changes=tuple(changes),
    )


def _status(result: EstimationResult | None) -> str:
    return "absent" if result is None else result.status


def _fewest(cells: Iterable[CellRow], quantity: str) -> float | None:
    return min((d for c in cells if c.quantity == quantity and (d := c.agreeing_digits) is not None), default=None)


def _witnesses(report: RunReport, old: str, new: str) -> tuple[EngineRow, ...]:
    named = dict.fromkeys(c.reference for c in report.cells if c.candidate in (old, new))
    found = (report.engine(name) for name in named if name not in (old, new, "truth"))
    return tuple(e for e in found if e is not None)


def _precision(report: RunReport, old: str, new: str) -> Iterable[Precision]:
    """Say which version is nearer to each witness in the numbers that nobody disputes."""
    agreed: dict[tuple[str, str], dict[Key, dict[str, float]]] = {}
    for c in report.cells:
        digits = c.agreeing_digits
        if c.candidate not in (old, new) or c.reference in (old, new, "truth", PRINTED) or digits is None:
            continue
        if c.verdict in AGREE and c.quantity in ("estimate", "std_error"):
            agreed.setdefault((c.reference, c.quantity), {}).setdefault(_key(c), {})[c.candidate] = digits
    for (witness, quantity), numbers in agreed.items():
        both = [d for d in numbers.values() if len(d) == 2]
        if both:
            least = (min(d[side] for d in both) for side in (old, new))
            yield Precision(witness=witness, quantity=quantity, numbers=len(both), old=next(least), new=next(least))


def _number_changes(report: RunReport, cells: Sequence[CellRow], old: str, new: str) -> list[Change]:
    """Group the numbers that moved, appeared or vanished by their cause, in the words of the reports."""
    left = [c for c in cells if not c.whole and c.verdict not in AGREE and not _both_silent(c)]
    sides: dict[Key, dict[str, dict[str, CellRow]]] = {}
    for c in report.cells:
        if c.candidate in (old, new) and c.reference not in (old, new, "truth"):
            sides.setdefault(_key(c), {}).setdefault(c.reference, {})[c.candidate] = c
    out = []
    for group in _by_kind(left).values():
        for finding in find(group, report.tables, report.sources):
            moved = tuple(
                Moved(cell=c, witnesses=tuple(_judge(sides.get(_key(c), {}), old, new))) for c in finding.cells
            )
            out.append(
                Change(
                    kind=_kind(finding.example),
                    severity="cosmetic" if finding.severity == "none" else finding.severity,
                    title=finding.title,
                    study=report.study,
                    places=finding.places,
                    moved=moved,
                    explanations=_causes(finding),
                    supports=_count(
                        (w.source, w.side) for m in moved if m.cell.quantity in PRIMARY for w in m.witnesses
                    ),
                )
            )
    return out


def _both_silent(c: CellRow) -> bool:
    return all(v is None or (isinstance(v, float) and math.isnan(v)) for v in (c.reference_value, c.candidate_value))


def _kind(c: CellRow) -> Kind:
    if c.verdict in ("missing_candidate", "missing_reference"):
        return "term gone" if c.verdict == "missing_candidate" else "term new"
    if c.verdict == "unsupported":
        return "report gone" if c.candidate_value is None else "report new"
    return "number"


def _by_kind(cells: Iterable[CellRow]) -> dict[Kind, list[CellRow]]:
    out: dict[Kind, list[CellRow]] = {}
    for c in cells:
        out.setdefault(_kind(c), []).append(c)
    return out


def _causes(finding: Finding) -> tuple[Explanation, ...]:
    return finding.example.explanations[:1] or finding.explanations[:1]


def _key(c: CellRow) -> Key:
    return (c.table, c.column, c.term, c.quantity)


def _judge(by_source: Mapping[str, Mapping[str, CellRow]], old: str, new: str) -> Iterable[Witness]:
    """Say which side each other source agrees with; one that does not give the number says nothing."""
    for source, pair in by_source.items():
        a, b = pair.get(old), pair.get(new)
        heard = [c for c in (a, b) if c is not None and c.reference_value is not None]
        side = _side(a, b) if heard else _side_of_silence(a, b)
        if side is None:
            continue
        yield Witness(
            source=source,
            value=next((c.printed if c.printed is not None else c.reference_value for c in heard), None),
            side=side,
            old_digits=None if a is None else a.digits,
            new_digits=None if b is None else b.digits,
        )


def _side(a: CellRow | None, b: CellRow | None) -> Side:
    """Say with which of its comparisons, old and new, a witness agrees."""
    old, new = (c is not None and c.verdict in AGREE for c in (a, b))
    if old and new:
        return "both"
    return "old" if old else "new" if new else "neither"


def _side_of_silence(a: CellRow | None, b: CellRow | None) -> Side | None:
    """Say which side a witness supports that has no such term: the one that has none either."""
    lacks = [c is not None and c.verdict == "missing_reference" and c.quantity == "estimate" for c in (a, b)]
    return {(True, False): "new", (False, True): "old"}.get((lacks[0], lacks[1]))  # type: ignore[return-value]


def _count(pairs: Iterable[tuple[str, Side]]) -> tuple[tuple[str, Side, int], ...]:
    counted = Counter(pairs)
    sources = dict.fromkeys(source for source, _ in counted)
    return tuple((s, side, counted[s, side]) for s in sources for side in SIDES if counted[s, side])


def _fit_changes(
    report: RunReport,
    results: Mapping[tuple[str, str, str], EstimationResult],
    places: Sequence[Place],
    old: str,
    new: str,
) -> list[Change]:
    """Find fits that happen in one version only, and errors that read otherwise."""
    groups: dict[tuple[Kind, Severity, str], list[Place]] = {}
    for place in places:
        a, b = results.get((*place, old)), results.get((*place, new))
        if a is None or b is None or (a.status == b.status and a.status != "error"):
            continue
        if a.status == "error" and b.status == "error":
            if _NUMBERS.sub("#", a.reason) != _NUMBERS.sub("#", b.reason):
                text = f"fails with another message ({a.reason!r} before): {b.reason}"
                groups.setdefault(("error changed", "cosmetic", text), []).append(place)
        elif "error" in (a.status, b.status):
            kind: Kind = "error new" if b.status == "error" else "error gone"
            text = f"fails: {b.reason}" if b.status == "error" else f"fits what failed before: {a.reason}"
            groups.setdefault((kind, "structural", text), []).append(place)
        else:
            gone = b.status == "unsupported"
            text = f"no longer does this: {b.reason}" if gone else f"does this now; before: {a.reason}"
            groups.setdefault(("unsupported new" if gone else "unsupported gone", "structural", text), []).append(place)
    return [
        Change(
            kind=kind,
            severity=severity,
            title=f"{new} {text} ({places_name(where, report.tables)})",
            study=report.study,
            places=tuple(where),
            supports=_count(_who_fits(results, where, old, new, kind)),
        )
        for (kind, severity, text), where in groups.items()
    ]


def _who_fits(
    results: Mapping[tuple[str, str, str], EstimationResult], places: Sequence[Place], old: str, new: str, kind: Kind
) -> Iterable[tuple[str, Side]]:
    """Say which witnesses fit the columns that one version does not."""
    side: Side = "old" if kind.endswith("new") else "new"
    for (table, column, source), result in results.items():
        if (table, column) in places and source not in (old, new) and result.status == "ok":
            yield source, side


def _warning_changes(
    report: RunReport,
    results: Mapping[tuple[str, str, str], EstimationResult],
    places: Sequence[Place],
    old: str,
    new: str,
) -> list[Change]:
    """Find warnings that one version gives and the other does not; numbers within a warning do not count."""
    groups: dict[tuple[Kind, str], tuple[str, list[Place]]] = {}
    for place in places:
        a, b = results.get((*place, old)), results.get((*place, new))
        if a is None or b is None:
            continue
        before, after = _warnings(a), _warnings(b)
        for kind, mine, other in (("warning new", after, before), ("warning gone", before, after)):
            for shape, text in mine.items():
                if shape not in other:
                    groups.setdefault((kind, shape), (text, []))[1].append(place)  # type: ignore[arg-type]
    return [
        Change(
            kind=kind,
            severity="cosmetic",
            title=f"{new} {'warns' if kind == 'warning new' else 'no longer warns'}: {text} "
            f"({places_name(where, report.tables)})",
            study=report.study,
            places=tuple(where),
        )
        for (kind, _), (text, where) in groups.items()
    ]


def _warnings(result: EstimationResult) -> dict[str, str]:
    texts = (" ".join(c.text.split()) for c in result.conditions if c.kind == "warning")
    return {_NUMBERS.sub("#", text): text[:300] for text in texts}
