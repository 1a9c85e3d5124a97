"""Does a computed result give what is printed, and what is known to be true?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck import blocks
from crosscheck.conventions import stars_of
from crosscheck.judging import (
    INFERENCE,
    RTOL_ESTIMATE,
    STOL_ESTIMATE,
    Cell,
    Context,
    fit_severity,
    fit_verdict,
    new_cell,
    p_value_of,
    sides,
    with_distance,
)
from crosscheck.published import PublishedNumber
from crosscheck.results import COUNTS, STAT_QUANTITIES, CoefRow, EstimationResult
from crosscheck.truth import KnownTruth
from crosscheck.verdict import Severity
from crosscheck.wald import DERIVED

SAMPLING_SE = 4.0
INTERCEPT = "(Intercept)"
ABSORBED = "the fixed effects absorb the constant; a regression on their dummies has one, that of its base cell"
EDGE = 1e-12


def compare_printed(
    printed: Iterable[PublishedNumber], candidate: EstimationResult, context: Context, *, source: str = "published"
) -> list[Cell]:
    """Compare printed numbers with a computed result: does the unrounded number fall in the printed interval?"""
    base = sides(source, candidate.engine, context)
    numbers = list(printed)
    if not numbers:
        return []
    if candidate.status != "ok":
        verdict, _ = fit_verdict(candidate, "candidate")
        return [new_cell(base, "*", "fit", None, None, verdict, fit_severity(verdict), reason=candidate.reason)]
    values = {(t, q): v for t, q, v in candidate.quantities()}
    cells = []
    for number in numbers:
        if number.quantity == "stars":
            cells.append(_judge_stars(number, candidate, base, context))
            continue
        value = values.get((number.term, number.quantity))
        cell = new_cell(
            base, number.term, number.quantity, number.value, value, "rounding", "none", printed=number.text
        )
        if value is None or math.isnan(value):
            cells.append(_printed_without_value(cell, number, candidate, context))
            continue
        cell = with_distance(cell, number.value, value, None)
        if inside(value, number):
            cells.append(cell)
            continue
        severity: Severity = "structural" if number.quantity in COUNTS else "printed"
        if number.quantity == "estimate" and number.value and value * number.value < 0:
            severity = "decision"
        reason = f"outside [{number.low:.10g}, {number.high:.10g}]"
        cells.append(replace(cell, verdict="unexplained", severity=severity, reason=reason))
    return cells


def compare_truth(truths: Iterable[KnownTruth], candidate: EstimationResult, context: Context) -> list[Cell]:
    """Compare known truths with a computed result, in units of the engine's own standard error.

    A difference of sampling error is ``stochastic`` up to :data:`SAMPLING_SE` standard errors (beyond which a correct
    estimator falls once in 15,000 draws) and ``unexplained`` after that.
    """
    base = sides("truth", candidate.engine, context)
    cells: list[Cell] = []
    values = {(t, q): v for t, q, v in candidate.quantities()}
    truths, folded = tuple(truths), _truths_of_blocks(truths, candidate)
    if candidate.status == "ok":
        cells.extend(_compare_truths(folded, candidate, base))
    members = {(t.term, t.quantity) for known in folded.values() for t in known}
    for truth in truths:
        if (truth.term, truth.quantity) in members:
            continue
        if candidate.status != "ok":
            verdict, _ = fit_verdict(candidate, "candidate")
            return [new_cell(base, "*", "fit", None, None, verdict, fit_severity(verdict), reason=candidate.reason)]
        value = values.get((truth.term, truth.quantity))
        cell = new_cell(base, truth.term, truth.quantity, truth.value, value, "numerical", "none")
        if value is None or math.isnan(value):
            reason = f"{candidate.engine} has no {truth.quantity} for {truth.term!r}"
            cells.append(replace(cell, verdict="missing_candidate", severity="structural", reason=reason))
            continue
        row = candidate.coef(truth.term)
        se = row.std_error if row is not None and row.std_error and math.isfinite(row.std_error) else 0.0
        cell = with_distance(cell, truth.value, value, se)
        gap = abs(value - truth.value)
        if gap == 0:
            cells.append(replace(cell, verdict="exact"))
        elif gap <= RTOL_ESTIMATE * abs(truth.value) + STOL_ESTIMATE * se:
            cells.append(cell)
        elif se and gap <= SAMPLING_SE * se:
            away = f"{(value - truth.value) / se:+.2f} standard errors from the truth: sampling error"
            cells.append(replace(cell, verdict="stochastic", reason=away))
        else:
            away = f"{gap / se:.1f} standard errors from the truth" if se else "it has no standard error to judge by"
            cells.append(replace(cell, verdict="unexplained", severity="decision", reason=away))
    return cells


def _truths_of_blocks(
    truths: Iterable[KnownTruth], candidate: EstimationResult
) -> dict[tuple[str, str], tuple[KnownTruth, ...]]:
    """Gather the truths of members of the candidate's blocks, by block and quantity."""
    found: dict[tuple[str, str], list[KnownTruth]] = {}
    for block in candidate.blocks:
        named = frozenset(block.labels)
        for truth in truths:
            if truth.term in named and truth.quantity in block.quantities:
                found.setdefault((block.term, truth.quantity), []).append(truth)
    return {key: tuple(known) for key, known in found.items()}


def _compare_truths(
    folded: Mapping[tuple[str, str], Sequence[KnownTruth]], candidate: EstimationResult, base: Mapping[str, Any]
) -> Iterator[Cell]:
    """Yield one cell for all known members of a block: they have no sampling error, so nothing excuses a difference."""
    for (term, quantity), known in folded.items():
        block = candidate.block(term)
        assert block is not None
        labels = [t.term for t in known]
        a = np.array([t.value for t in known])
        b = blocks.aligned(block, labels, quantity)
        worst, absent = blocks.judge(a, b, labels, RTOL_ESTIMATE * np.abs(a))
        for gone in absent:
            reason = f"{candidate.engine} has no number for {gone.count:,} of {len(labels):,} {term}"
            yield new_cell(base, term, quantity, None, None, "missing_candidate", "structural", reason=reason)
        if worst is None:
            continue
        cell = new_cell(base, term, quantity, worst.reference, worst.candidate, "numerical", "none")
        cell = with_distance(cell, worst.reference, worst.candidate, None)
        where = f"largest difference in {worst.label}"
        if worst.differing:
            reason = f"{worst.differing:,} of {worst.compared:,} {term} differ; {where}"
            yield replace(cell, verdict="unexplained", severity="decision", reason=reason)
        else:
            yield replace(
                cell,
                verdict="exact" if worst.exact else "numerical",
                reason=f"all {worst.compared:,} known {term} agree; {where}",
            )


def _printed_without_value(cell: Cell, number: PublishedNumber, candidate: EstimationResult, context: Context) -> Cell:
    """Tell apart what an engine never reports from a coefficient that it should have and has not."""
    row = candidate.coef(number.term)
    unreported = number.quantity in STAT_QUANTITIES or DERIVED.match(number.term) is not None
    if row is not None and row.estimate is not None and number.quantity in INFERENCE:
        unreported = True
    if unreported and cell.candidate_value is None:
        what = f"{number.quantity} of {number.term}" if number.term else number.quantity
        return replace(cell, verdict="unsupported", reason=f"{candidate.engine} does not report the {what}")
    if context.absorbs and number.term == INTERCEPT and row is None:
        return replace(cell, verdict="unsupported", reason=ABSORBED)
    reason = f"{candidate.engine} has no {number.quantity} for {number.term!r}"
    return replace(cell, verdict="missing_candidate", severity="structural", reason=reason)


def inside(value: float, number: PublishedNumber) -> bool:
    """Say whether a number rounds to what is printed; both ways of rounding a half are allowed."""
    slack = EDGE * max(abs(number.low), abs(number.high))
    return number.low - slack <= value <= number.high + slack


def _judge_stars(
    number: PublishedNumber, candidate: EstimationResult, base: Mapping[str, Any], context: Context
) -> Cell:
    row = candidate.coef(number.term)
    cell = new_cell(base, number.term, "stars", number.text, None, "exact", "none", printed=number.text)
    if context.absorbs and number.term == INTERCEPT and row is None:
        return replace(cell, verdict="unsupported", reason=ABSORBED)
    p = p_value_of(row) if row is not None else None
    if p is None:
        reason = f"{candidate.engine} has no p-value for {number.term!r}"
        return replace(cell, verdict="missing_candidate", severity="structural", reason=reason)
    mine = stars_of(p, context.legend)
    cell = replace(cell, candidate_value=mine)
    if mine == number.text:
        return cell
    return replace(cell, verdict="unexplained", severity="decision", reason=f"p = {p:.6g} under df = {_df_text(row)}")


def _df_text(row: CoefRow | None) -> str:
    if row is None or row.df is None:
        return "unknown"
    return "infinity (normal)" if math.isinf(row.df) else f"{row.df:g}"
