"""Did a number move toward a witness or away from it?

A witness is a source that is neither version: R live or recorded, the closed forms, the printed table, the known truth.
It supports a side where it agrees with it; it is no judge.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from crosscheck.compare import compare
from crosscheck.compare_known import compare_printed, compare_truth
from crosscheck.judging import Cell, Context
from crosscheck.published import PublishedNumber
from crosscheck.results import EstimationResult
from crosscheck.truth import KnownTruth
from crosscheck.upgrade.measure import DRIFT, distance
from crosscheck.upgrade.model import SIDES, Side, Witness
from crosscheck.verdict import AGREE

Key = tuple[str, str]
PRINTED, TRUTH, ORACLE = "published", "truth", "oracle"
NAMES = {PRINTED: "the printed table", TRUTH: "the known truth", ORACLE: "the closed form"}
NEAR = 0.05
"""A side agrees with a witness if what is left is drift, and at most a twentieth of the change."""


def name_of(source: str, version: str, package: str = "") -> str:
    """Return what a reader calls a witness; R's packages always with their version."""
    if source in NAMES:
        return NAMES[source]
    if source.startswith("r."):
        return f"R's {package or source[2:]} {version}".rstrip()
    return f"{source} {version}".rstrip() if "@" not in source else source


def heard(
    old: EstimationResult,
    new: EstimationResult,
    context: Context,
    witnesses: Mapping[str, tuple[str, EstimationResult]],
    printed: Sequence[PublishedNumber] = (),
    truths: Sequence[KnownTruth] = (),
) -> dict[Key, tuple[Witness, ...]]:
    """Return what all witnesses say of each number of a question.

    Parameters
    ----------
    old, new : EstimationResult
    context : Context
    witnesses : mapping of source to (name, EstimationResult)
    printed, truths
        Of the column.
    """
    pairs: list[tuple[str, str, list[Cell], list[Cell], bool]] = []
    for source, (name, result) in witnesses.items():
        if result.status == "ok":
            cells = [compare(result, side, context) if side.status == "ok" else [] for side in (old, new)]
            pairs.append((source, name, cells[0], cells[1], False))
    if printed:
        both = [compare_printed(printed, r, context) if r.status == "ok" else [] for r in (old, new)]
        pairs.append((PRINTED, NAMES[PRINTED], both[0], both[1], True))
    if truths:
        both = [compare_truth(truths, r, context) if r.status == "ok" else [] for r in (old, new)]
        pairs.append((TRUTH, NAMES[TRUTH], both[0], both[1], True))
    found: dict[Key, list[Witness]] = {}
    for source, name, before, after, strict in pairs:
        reference = witnesses[source][1] if source in witnesses else old
        a, b = ({(c.term, c.quantity): c for c in cells} for cells in (before, after))
        for key in dict.fromkeys((*a, *b)):
            said = _witness(source, name, a.get(key), b.get(key), reference, strict=strict)
            if said is not None:
                found.setdefault(key, []).append(said)
    return {key: tuple(said) for key, said in found.items()}


def _witness(
    source: str, name: str, a: Cell | None, b: Cell | None, reference: EstimationResult, *, strict: bool
) -> Witness | None:
    cells = [c for c in (a, b) if c is not None and c.reference_value is not None]
    if not cells:
        side = _side_of_silence(a, b)
        return None if side is None else Witness(source=source, name=name, value=None, side=side)
    if all(_silent(c.reference_value) for c in cells):
        return None
    value = next((c.printed if c.printed is not None else c.reference_value for c in cells), None)
    agrees = [_agrees(a, b, reference, strict=strict), _agrees(b, a, reference, strict=strict)]
    side = "both" if all(agrees) else "old" if agrees[0] else "new" if agrees[1] else "neither"
    nearer: Side | None = None
    if side == "neither":
        gaps = [abs(c.abs_diff) if c is not None and c.abs_diff is not None else math.inf for c in (a, b)]
        nearer = None if gaps[0] == gaps[1] else "old" if gaps[0] < gaps[1] else "new"
    return Witness(
        source=source,
        name=name,
        value=value,
        side=side,
        nearer=nearer,
        old_digits=None if a is None else a.digits,
        new_digits=None if b is None else b.digits,
    )


def _silent(value: float | str | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _agrees(mine: Cell | None, other: Cell | None, reference: EstimationResult, *, strict: bool) -> bool:
    """Say whether a side agrees with a witness, by the tolerances or because next to nothing of the change is left.

    Packages iterate to tolerances of their own, so that two that mean the same number may be a drift apart.
    """
    if mine is None:
        return False
    if mine.verdict in AGREE or (strict and mine.verdict == "stochastic"):
        return True
    if strict or mine.verdict != "unexplained" or mine.abs_diff is None:
        return False
    left = distance(mine, reference)
    if left is None or left > DRIFT:
        return False
    x, y = mine.candidate_value, other.candidate_value if other is not None else None
    if not isinstance(x, float | int) or not isinstance(y, float | int):
        return True
    return mine.abs_diff <= NEAR * abs(x - y)


def _side_of_silence(a: Cell | None, b: Cell | None) -> Side | None:
    """Say which side a witness supports that has no such term: the one that has none either."""
    lacks = [c is not None and c.verdict == "missing_reference" and c.quantity == "estimate" for c in (a, b)]
    return {(True, False): "new", (False, True): "old"}.get((lacks[0], lacks[1]))  # type: ignore[return-value]


def supports_fit(result: EstimationResult, fitted: EstimationResult, context: Context) -> bool | None:
    """Say whether a witness has the numbers of a fit that happens in one version only; ``None`` where it has none."""
    if result.status != "ok" or fitted.status != "ok":
        return None
    cells = [c for c in compare(result, fitted, context) if c.quantity in ("estimate", "std_error")]
    if not cells:
        return None
    for cell in cells:
        if cell.verdict in AGREE or (_silent(cell.reference_value) and _silent(cell.candidate_value)):
            continue
        left = distance(cell, result)
        if left is None or left > DRIFT:
            return False
    return True


def count(pairs: Iterable[tuple[str, Side]]) -> tuple[tuple[str, Side, int], ...]:
    """Count which side each witness supports."""
    counted = Counter(pairs)
    sources = dict.fromkeys(source for source, _ in counted)
    return tuple((s, side, counted[s, side]) for s in sources for side in SIDES if counted[s, side])


def precise(
    cells_by_witness: Mapping[str, Sequence[tuple[Cell, Cell]]],
) -> Iterator[tuple[str, str, int, float, float]]:
    """Yield for each witness and quantity the fewest digits on which each side agrees, where both do."""
    for name, pairs in cells_by_witness.items():
        for quantity in ("estimate", "std_error"):
            both = [
                (_digits(a), _digits(b))
                for a, b in pairs
                if a.quantity == quantity and a.verdict in AGREE and b.verdict in AGREE
            ]
            known = [(x, y) for x, y in both if x is not None and y is not None]
            if known:
                yield name, quantity, len(known), min(x for x, _ in known), min(y for _, y in known)


def _digits(cell: Cell) -> float | None:
    """Return digits that agree; a coefficient near zero is measured by its standard error instead of by itself."""
    if cell.digits is not None and cell.diff_in_se:
        return min(15.0, max(cell.digits, -math.log10(cell.diff_in_se)))
    return cell.digits
