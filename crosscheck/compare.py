"""Do two sources give the same coefficient and the same standard error?

Pure functions: two :class:`~crosscheck.results.EstimationResult` in, :class:`Cell` objects out. Every quantity has a
verdict of its own; nothing missing counts as agreeing; a source is never compared with itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscheck import blocks
from crosscheck.canon import plain
from crosscheck.conventions import critical, lre, p_of, stars_of
from crosscheck.published import PublishedNumber
from crosscheck.results import COEF_QUANTITIES, COUNTS, STAT_QUANTITIES, Block, CoefRow, EstimationResult
from crosscheck.truth import KnownTruth
from crosscheck.verdict import Severity, Verdict, worse
from crosscheck.wald import DERIVED

if TYPE_CHECKING:
    from crosscheck.explain import Explanation

Real = NDArray[np.float64]

RTOL_ESTIMATE, STOL_ESTIMATE, RTOL_STD_ERROR = 1e-8, 1e-6, 1e-6
RTOL_OTHER = 1e-8
SAMPLING_SE = 4.0
INTERCEPT = "(Intercept)"
ABSORBED = "the fixed effects absorb the constant; a regression on their dummies has one, that of its base cell"
P_FLOOR = 1e-15  # an engine that computes 1 - F(|t|) cannot tell smaller p-values apart (2.2e-16 is one unit of 1)
EDGE = 1e-12
LEGEND: Mapping[str, float] = {"***": 0.01, "**": 0.05, "*": 0.10}
INFERENCE = ("statistic", "p_value", "conf_low", "conf_high")
THRESHOLDS = (0.01, 0.05, 0.10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far two computed numbers may be apart, |a-b| <= rtol |ref| + stol SE_ref, and why if looser than usual."""

    rtol: float
    stol: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One comparison of one quantity between two sources (``report.json`` holds these fields)."""

    study: str
    table: str
    column: str
    term: str
    quantity: str
    reference: str
    candidate: str
    reference_value: float | str | None
    candidate_value: float | str | None
    abs_diff: float | None = None
    rel_diff: float | None = None
    digits: float | None = None
    diff_in_se: float | None = None
    verdict: Verdict
    severity: Severity = "none"
    explanations: tuple[Explanation, ...] = ()
    printed: str | None = None
    reason: str = ""
    tolerance: str | None = None

    def __post_init__(self) -> None:
        if self.reference == self.candidate:
            raise ValueError(f"{self.reference} cannot be compared with itself")

    def to_json(self) -> dict[str, Any]:
        """Return the cell as a JSON-like mapping."""
        row: dict[str, Any] = plain(self)
        for explanation in row["explanations"]:
            if not explanation["dropped"]:
                del explanation["dropped"]
        return row

    def explained(self, verdict: Verdict, explanations: Sequence[Explanation], reason: str = "") -> Cell:
        """Return the cell with its cause named."""
        return replace(self, verdict=verdict, explanations=tuple(explanations), reason=reason or self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a comparison needs to know of its place: ids, the star legend, tolerances, and what the table prints.

    ``decimals`` maps (term, quantity) or ("", quantity) to the number of decimals that the table prints. ``absorbs``:
    fixed effects take the constant in.
    """

    study: str
    table: str
    column: str
    legend: Mapping[str, float]
    decimals: Mapping[tuple[str, str], int]
    tolerances: Mapping[tuple[str, str], Tolerance]
    conf_level: float = 0.95
    absorbs: bool = False


def inference(row: CoefRow, df: float, level: float) -> dict[str, float]:
    """Recompute statistic, p-value and confidence bounds from the estimate, its standard error and ``df``."""
    if row.estimate is None or not row.std_error:
        return {}
    t = row.estimate / row.std_error
    half = critical(level, df) * row.std_error
    return {
        "statistic": t,
        "p_value": p_of(t, df),
        "conf_low": row.estimate - half,
        "conf_high": row.estimate + half,
    }


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
    base = _base(reference.engine, candidate.engine, context)
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
            yield _block_cell(_cell(base, term, quantity, None, None, "unexplained", "none"), worst, context, tolerance)
        for gone in absent:
            side = {"both": "either side", "reference": base["reference"], "candidate": base["candidate"]}[gone.side]
            named = ", ".join(gone.labels) + (", ..." if gone.count > len(gone.labels) else "")
            yield _cell(
                base, term, quantity, None, None,
                "missing_candidate" if gone.side == "candidate" else "missing_reference",
                "none" if gone.side == "both" else "structural",
                reason=f"{gone.count:,} of {len(labels):,} {term} have no number on {side}: {named}"
                if gone.side == "both"
                else f"{side} has no number for {gone.count:,} of {len(labels):,} {term}: {named}",
            )  # fmt: skip


def _allowed(quantity: str, a: Real, errors: Real, tolerance: Tolerance | None) -> Real:
    """Return how far members may be apart, as :func:`_close` says of single numbers, shape (members,)."""
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
    cell = _with_distance(cell, a, b, worst.scale)
    if worst.exact:
        return replace(cell, verdict="exact", reason=f"all {worst.compared:,} {cell.term} are equal to the bit")
    where = f"largest difference in {worst.label}"
    if not worst.differing:
        reason = f"all {worst.compared:,} {cell.term} agree; {where}"
        return replace(cell, verdict="numerical", reason=reason, tolerance=tolerance.reason if tolerance else None)
    reason = f"{worst.differing:,} of {worst.compared:,} {cell.term} differ; {where}"
    return replace(cell, reason=reason, severity=_severity(cell.term, cell.quantity, a, b, None, None, context))


def compare_printed(
    printed: Iterable[PublishedNumber], candidate: EstimationResult, context: Context, *, source: str = "published"
) -> list[Cell]:
    """Compare printed numbers with a computed result: does the unrounded number fall in the printed interval?"""
    base = _base(source, candidate.engine, context)
    numbers = list(printed)
    if not numbers:
        return []
    if candidate.status != "ok":
        verdict, _ = _fit_verdict(candidate, "candidate")
        return [_cell(base, "*", "fit", None, None, verdict, _fit_severity(verdict), reason=candidate.reason)]
    values = {(t, q): v for t, q, v in candidate.quantities()}
    cells = []
    for number in numbers:
        if number.quantity == "stars":
            cells.append(_judge_stars(number, candidate, base, context))
            continue
        value = values.get((number.term, number.quantity))
        cell = _cell(base, number.term, number.quantity, number.value, value, "rounding", "none", printed=number.text)
        if value is None or math.isnan(value):
            cells.append(_printed_without_value(cell, number, candidate, context))
            continue
        cell = _with_distance(cell, number.value, value, None)
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
    base = _base("truth", candidate.engine, context)
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
            verdict, _ = _fit_verdict(candidate, "candidate")
            return [_cell(base, "*", "fit", None, None, verdict, _fit_severity(verdict), reason=candidate.reason)]
        value = values.get((truth.term, truth.quantity))
        cell = _cell(base, truth.term, truth.quantity, truth.value, value, "numerical", "none")
        if value is None or math.isnan(value):
            reason = f"{candidate.engine} has no {truth.quantity} for {truth.term!r}"
            cells.append(replace(cell, verdict="missing_candidate", severity="structural", reason=reason))
            continue
        row = candidate.coef(truth.term)
        se = row.std_error if row is not None and row.std_error and math.isfinite(row.std_error) else 0.0
        cell = _with_distance(cell, truth.value, value, se)
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
            yield _cell(base, term, quantity, None, None, "missing_candidate", "structural", reason=reason)
        if worst is None:
            continue
        cell = _cell(base, term, quantity, worst.reference, worst.candidate, "numerical", "none")
        cell = _with_distance(cell, worst.reference, worst.candidate, None)
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


def _base(reference: str, candidate: str, context: Context) -> dict[str, Any]:
    if reference == candidate:
        raise ValueError(f"{reference} cannot be compared with itself")
    return {
        "study": context.study,
        "table": context.table,
        "column": context.column,
        "reference": reference,
        "candidate": candidate,
    }


def _cell(
    base: Mapping[str, Any],
    term: str,
    quantity: str,
    a: float | str | None,
    b: float | str | None,
    verdict: Verdict,
    severity: Severity,
    **more: Any,
) -> Cell:
    return Cell(
        **base,
        term=term,
        quantity=quantity,
        reference_value=a,
        candidate_value=b,
        verdict=verdict,
        severity=severity,
        **more,
    )


def _fit_verdict(result: EstimationResult, side: str) -> tuple[Verdict, str]:
    if result.status == "unsupported":
        return "unsupported", f"{result.engine}: {result.reason}"
    if result.transport == "missing":
        return ("missing_reference" if side == "reference" else "missing_candidate"), result.reason
    if result.transport == "stale":
        return "stale", result.reason
    return "error", f"{result.engine}: {result.reason}"


def _fit_severity(verdict: Verdict) -> Severity:
    return "structural" if verdict == "error" else "none"


def _whole_fit(reference: EstimationResult, candidate: EstimationResult, base: Mapping[str, Any]) -> Cell:
    sides = [(r, s) for r, s in ((reference, "reference"), (candidate, "candidate")) if r.status != "ok"]
    verdicts = [_fit_verdict(r, s) for r, s in sides]
    # An engine that cannot do a thing hides nothing; one that failed or is missing does, so it goes first.
    order: tuple[Verdict, ...] = ("error", "stale", "missing_reference", "missing_candidate", "unsupported")
    verdict = min((v for v, _ in verdicts), key=order.index)
    reason = "; ".join(r for _, r in verdicts)
    if any(v == "unsupported" for v, _ in verdicts) and verdict in ("missing_reference", "missing_candidate"):
        verdict = "unsupported"
    return _cell(base, "*", "fit", None, None, verdict, _fit_severity(verdict), reason=reason)


def _missing_term(
    term: str,
    ref: CoefRow | None,
    cand: CoefRow | None,
    reference: EstimationResult,
    candidate: EstimationResult,
    base: Mapping[str, Any],
) -> Cell:
    lacking = candidate if cand is None else reference
    how = "dropped it as collinear" if term in lacking.dropped else "has no such term"
    return _cell(
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
    cell = _cell(base, term, quantity, a, b, "unexplained", "none")
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
    cell = _with_distance(cell, a, b, se)
    if a == b:
        return replace(cell, verdict="exact")
    tolerance = context.tolerances.get((term, quantity)) or context.tolerances.get(("", quantity))
    if _close(quantity, a, b, ref, tolerance, context):
        return replace(cell, verdict="numerical", tolerance=tolerance.reason if tolerance else None)
    return replace(cell, severity=_severity(term, quantity, a, b, ref, cand, context))


def _with_distance(cell: Cell, a: float | None, b: float, se: float | None) -> Cell:
    if a is None:
        return cell
    gap = abs(b - a)
    return replace(
        cell,
        abs_diff=gap,
        rel_diff=gap / abs(a) if a != 0 else None,
        digits=lre(a, b),
        diff_in_se=gap / se if cell.quantity == "estimate" and se else None,
    )


def _close(
    quantity: str, a: float, b: float, ref: CoefRow | None, tolerance: Tolerance | None, context: Context
) -> bool:
    if math.isinf(a) or math.isinf(b):
        return a == b
    gap = abs(a - b)
    se = ref.std_error if ref is not None and ref.std_error and math.isfinite(ref.std_error) else 0.0
    if tolerance is not None:
        return gap <= tolerance.rtol * abs(a) + tolerance.stol * se
    if quantity in COUNTS:
        return False
    if ref is None and quantity in INFERENCE:
        return gap <= RTOL_STD_ERROR * abs(a) * (abs(math.log(a)) + 1 if quantity == "p_value" and a > 0 else 2)
    if quantity == "estimate":
        return gap <= RTOL_ESTIMATE * abs(a) + STOL_ESTIMATE * se
    if quantity == "std_error":
        return gap <= RTOL_STD_ERROR * abs(a)
    if quantity in INFERENCE and ref is not None and ref.estimate is not None and se:
        return _close_inference(quantity, a, b, ref, se, context)
    return gap <= RTOL_OTHER * abs(a) + 1e-12


def _close_inference(quantity: str, a: float, b: float, ref: CoefRow, se: float, context: Context) -> bool:
    """Allow what the tolerances of the estimate and of the standard error allow, carried through the formula."""
    assert ref.estimate is not None
    df = math.inf if ref.df is None else ref.df
    slack_b = RTOL_ESTIMATE * abs(ref.estimate) + STOL_ESTIMATE * se
    t = ref.estimate / se
    slack_t = slack_b / se + RTOL_STD_ERROR * abs(t)
    if quantity == "statistic":
        return abs(a - b) <= slack_t
    if quantity == "p_value":
        own = p_of(t, df)
        if own <= 0.0:
            return abs(a - b) <= P_FLOOR
        high, low = p_of(max(0.0, abs(t) - slack_t), df), p_of(abs(t) + slack_t, df)
        if abs(a - b) <= P_FLOOR:
            return True
        # the reference's own p may come from a df it does not state: the band is laid around its own value
        return a * (low / own) * (1 - 1e-9) <= b <= a * (high / own) * (1 + 1e-9)
    return abs(a - b) <= slack_b + critical(context.conf_level, df) * RTOL_STD_ERROR * se


def decimals_of(term: str, quantity: str, row: CoefRow | None, context: Context) -> int:
    """Return the number of decimals the table prints; without a printed table, three significant digits of the SE."""
    for key in ((term, quantity), ("", quantity)):
        if key in context.decimals:
            return context.decimals[key]
    in_units = quantity in ("estimate", "std_error", "conf_low", "conf_high")
    if in_units and row is not None and row.std_error and math.isfinite(row.std_error):
        return max(0, 2 - math.floor(math.log10(abs(row.std_error))))
    return 3


def _severity(
    term: str, quantity: str, a: float, b: float, ref: CoefRow | None, cand: CoefRow | None, context: Context
) -> Severity:
    if quantity in COUNTS:
        return "structural" if quantity in ("nobs", "n") else "cosmetic"
    if quantity in ("statistic", "p_value", "conf_low", "conf_high"):
        # tables print estimates and standard errors; a p-value that is not printed matters where it decides
        severity: Severity = "cosmetic"
        if ("", quantity) in context.decimals or (term, quantity) in context.decimals:
            severity = _digit_change(term, quantity, a, b, ref, context)
    else:
        severity = _digit_change(term, quantity, a, b, ref, context)
    if ref is not None and cand is not None and quantity in COEF_QUANTITIES and decides(ref, cand, context):
        severity = worse(severity, "decision")
    return severity


def _digit_change(term: str, quantity: str, a: float, b: float, row: CoefRow | None, context: Context) -> Severity:
    if not (math.isfinite(a) and math.isfinite(b)):
        return "printed"
    decimals = decimals_of(term, quantity, row, context)
    return "printed" if round(a, decimals) != round(b, decimals) else "cosmetic"


def decides(ref: CoefRow, cand: CoefRow, context: Context) -> bool:
    """Say whether a reader would decide otherwise: sign, a p-value across a threshold, a band that gains or loses 0."""
    if ref.estimate is None or cand.estimate is None:
        return False
    slack = STOL_ESTIMATE * (ref.std_error or 0.0)
    if ref.estimate * cand.estimate < 0 and max(abs(ref.estimate), abs(cand.estimate)) > slack:
        return True
    pair = [_p(row) for row in (ref, cand)]
    if None not in pair:
        thresholds = sorted({*THRESHOLDS, *context.legend.values()})
        if any((pair[0] < t) != (pair[1] < t) for t in thresholds):  # type: ignore[operator]
            return True
    bounds = [(r.conf_low, r.conf_high) for r in (ref, cand)]
    if any(v is None for pair_ in bounds for v in pair_):
        return False
    holds = [low <= 0 <= high for low, high in bounds]  # type: ignore[operator]
    return holds[0] != holds[1]


def _p(row: CoefRow) -> float | None:
    if row.p_value is not None and not math.isnan(row.p_value):
        return row.p_value
    if row.estimate is None or not row.std_error or math.isnan(row.std_error):
        return None
    return p_of(row.estimate / row.std_error, math.inf if row.df is None else row.df)


def _judge_stars(
    number: PublishedNumber, candidate: EstimationResult, base: Mapping[str, Any], context: Context
) -> Cell:
    row = candidate.coef(number.term)
    cell = _cell(base, number.term, "stars", number.text, None, "exact", "none", printed=number.text)
    if context.absorbs and number.term == INTERCEPT and row is None:
        return replace(cell, verdict="unsupported", reason=ABSORBED)
    p = _p(row) if row is not None else None
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
