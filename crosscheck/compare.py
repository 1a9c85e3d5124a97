"""Do two sources give the same coefficient and the same standard error?

Pure functions: two :class:`~crosscheck.results.EstimationResult` in, cells out. Each quantity has its own verdict;
nothing missing counts as agreeing; a source is never compared with itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck import blocks
from crosscheck.judging import (
    INFERENCE,
    RTOL_ESTIMATE,
    RTOL_OTHER,
    RTOL_STD_ERROR,
    STOL_ESTIMATE,
    Cell,
    Context,
    Tolerance,
    close,
    fit_severity,
    fit_verdict,
    new_cell,
    severity_of,
    sides,
    with_distance,
)
from crosscheck.results import COEF_QUANTITIES, COUNTS, STAT_QUANTITIES, Block, CoefRow, EstimationResult
from crosscheck.verdict import Verdict

Real = NDArray[np.float64]


def compare(reference: EstimationResult, candidate: EstimationResult, context: Context) -> list[Cell]:
    """Compare two computed results, quantity by quantity.

    Parameters
    ----------
    reference, candidate : EstimationResult
        Of two different engines.
    context : Context

    Returns
    -------
    list of Cell
        One cell for each (term, quantity) that either side gives; one cell with term ``*`` where a fit did not happen.

    Raises
    ------
    ValueError
        Where both sides are the same source.
    """
    base = sides(reference.engine, candidate.engine, context)
    if reference.status != "ok" or candidate.status != "ok":
        return [_whole_fit(reference, candidate, base)]
    cells = []
    terms = tuple(dict.fromkeys([r.term for r in reference.coefs] + [r.term for r in candidate.coefs]))
    for term in terms:
        ref, cand = reference.coef(term), candidate.coef(term)
        if ref is None or cand is None:
            cells.append(_missing_term(term, ref, cand, reference, candidate, base))
            continue
        for quantity in COEF_QUANTITIES:
            a, b = getattr(ref, quantity), getattr(cand, quantity)
            if a is None and b is None:
                continue
            cells.append(_judge(term, quantity, a, b, ref, cand, base, context))
    for quantity in STAT_QUANTITIES:
        a, b = getattr(reference.stats, quantity), getattr(candidate.stats, quantity)
        if a is not None or b is not None:
            cells.append(_judge("", quantity, a, b, None, None, base, context))
    left = {(e.term, e.quantity): e.value for e in reference.extras}
    right = {(e.term, e.quantity): e.value for e in candidate.extras}
    for term, quantity in dict.fromkeys([*left, *right]):
        cells.append(
            _judge(term, quantity, left.get((term, quantity)), right.get((term, quantity)), None, None, base, context)
        )
    for name in dict.fromkeys([b.term for b in (*reference.blocks, *candidate.blocks)]):
        cells.extend(_compare_block(name, reference.block(name), candidate.block(name), base, context))
    return cells


def _compare_block(
    term: str, ref: Block | None, cand: Block | None, base: Mapping[str, Any], context: Context
) -> Iterator[Cell]:
    """Yield a cell for each quantity of a block, that of its worst member, and one for members without a number."""
    both = [b for b in (ref, cand) if b is not None]
    labels = tuple(dict.fromkeys(label for b in both for label in blocks.members(b)))
    ref, cand = (b or replace(both[0], quantities=(), values=()) for b in (ref, cand))
    errors = np.nan_to_num(np.abs(blocks.aligned(ref, labels, "std_error")))
    for quantity in dict.fromkeys(q for b in both for q in b.quantities):
        a, b = blocks.aligned(ref, labels, quantity), blocks.aligned(cand, labels, quantity)
        tolerance = context.tolerances.get((term, quantity)) or context.tolerances.get(("", quantity))
        allowed = _allowed(quantity, np.abs(a), errors, tolerance)
        worst, absent = blocks.judge(a, b, labels, allowed, errors)
        if worst is not None:
            yield _block_cell(
                new_cell(base, term, quantity, None, None, "unexplained", "none"), worst, context, tolerance
            )
        for gone in absent:
            side = {"both": "either side", "reference": base["reference"], "candidate": base["candidate"]}[gone.side]
            named = ", ".join(gone.labels) + (", ..." if gone.count > len(gone.labels) else "")
            yield new_cell(
                base, term, quantity, None, None,
                "missing_candidate" if gone.side == "candidate" else "missing_reference",
                "none" if gone.side == "both" else "structural",
                reason=f"{gone.count:,} of {len(labels):,} {term} have no number on {side}: {named}"
                if gone.side == "both"
                else f"{side} has no number for {gone.count:,} of {len(labels):,} {term}: {named}",
            )  # fmt: skip


def _allowed(quantity: str, a: Real, errors: Real, tolerance: Tolerance | None) -> Real:
    """Return how far members may be apart, as :func:`close` says of single numbers, shape (members,)."""
    if tolerance is not None:
        return tolerance.rtol * a + tolerance.stol * errors
    if quantity in COUNTS:
        return np.zeros(a.size)
    if quantity == "p_value":
        with np.errstate(divide="ignore"):
            return np.asarray(RTOL_STD_ERROR * a * (np.where(a > 0, np.abs(np.log(a)), 1.0) + 1))
    if quantity in INFERENCE:
        return 2 * RTOL_STD_ERROR * a
    if quantity == "estimate":
        return RTOL_ESTIMATE * a + STOL_ESTIMATE * errors
    return RTOL_STD_ERROR * a if quantity == "std_error" else RTOL_OTHER * a + 1e-12


def _block_cell(cell: Cell, worst: blocks.Worst, context: Context, tolerance: Tolerance | None) -> Cell:
    a, b = worst.reference, worst.candidate
    cell = replace(cell, reference_value=a, candidate_value=b)
    cell = with_distance(cell, a, b, worst.scale)
    if worst.exact:
        return replace(cell, verdict="exact", reason=f"all {worst.compared:,} {cell.term} are equal to the bit")
    where = f"largest difference in {worst.label}"
    if not worst.differing:
        reason = f"all {worst.compared:,} {cell.term} agree; {where}"
        return replace(cell, verdict="numerical", reason=reason, tolerance=tolerance.reason if tolerance else None)
    reason = f"{worst.differing:,} of {worst.compared:,} {cell.term} differ; {where}"
    return replace(cell, reason=reason, severity=severity_of(cell.term, cell.quantity, a, b, None, None, context))


def _whole_fit(reference: EstimationResult, candidate: EstimationResult, base: Mapping[str, Any]) -> Cell:
    sides = [(r, s) for r, s in ((reference, "reference"), (candidate, "candidate")) if r.status != "ok"]
    verdicts = [fit_verdict(r, s) for r, s in sides]
    # An engine that cannot do a thing hides nothing; one that failed or is missing does, so it goes first.
    order: tuple[Verdict, ...] = ("error", "stale", "missing_reference", "missing_candidate", "unsupported")
    verdict = min((v for v, _ in verdicts), key=order.index)
    reason = "; ".join(r for _, r in verdicts)
    if any(v == "unsupported" for v, _ in verdicts) and verdict in ("missing_reference", "missing_candidate"):
        verdict = "unsupported"
    return new_cell(base, "*", "fit", None, None, verdict, fit_severity(verdict), reason=reason)


def _missing_term(
    term: str,
    ref: CoefRow | None,
    cand: CoefRow | None,
    reference: EstimationResult,
    candidate: EstimationResult,
    base: Mapping[str, Any],
) -> Cell:
    lacking = candidate if cand is None else reference
    given = ref if cand is None else cand
    if given is None or given.estimate is None or math.isnan(given.estimate):
        return new_cell(base, term, "estimate", None, None, "unsupported", "none", reason="neither side gives a number")
    how = "dropped it as collinear" if term in lacking.dropped else "has no such term"
    return new_cell(
        base,
        term,
        "estimate",
        ref.estimate if ref else None,
        cand.estimate if cand else None,
        "missing_candidate" if cand is None else "missing_reference",
        "structural",
        reason=f"{lacking.engine} {how}",
    )


def _judge(
    term: str,
    quantity: str,
    a: float | None,
    b: float | None,
    ref: CoefRow | None,
    cand: CoefRow | None,
    base: Mapping[str, Any],
    context: Context,
) -> Cell:
    cell = new_cell(base, term, quantity, a, b, "unexplained", "none")
    if (a is None or math.isnan(a)) and (b is None or math.isnan(b)):
        return replace(cell, verdict="unsupported", reason="neither side gives a number")
    if a is None or b is None:
        side = base["reference"] if a is None else base["candidate"]
        if quantity in ("estimate", "std_error"):
            verdict: Verdict = "missing_reference" if a is None else "missing_candidate"
            return replace(cell, verdict=verdict, severity="structural", reason=f"{side} gives no {quantity}")
        return replace(cell, verdict="unsupported", reason=f"{side} does not report {quantity}")
    if math.isnan(a) or math.isnan(b):
        verdict = "missing_reference" if math.isnan(a) else "missing_candidate"
        reason = f"{base['reference'] if math.isnan(a) else base['candidate']} gives NaN"
        return replace(cell, verdict=verdict, severity="structural", reason=reason)
    se = ref.std_error if ref is not None else None
    cell = with_distance(cell, a, b, se)
    if a == b:
        return replace(cell, verdict="exact")
    tolerance = context.tolerances.get((term, quantity)) or context.tolerances.get(("", quantity))
    if close(quantity, a, b, ref, tolerance, context):
        return replace(cell, verdict="numerical", tolerance=tolerance.reason if tolerance else None)
    return replace(cell, severity=severity_of(term, quantity, a, b, ref, cand, context))
