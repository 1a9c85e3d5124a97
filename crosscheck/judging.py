"""How near is near enough, and how much would a difference matter?

A :class:`Cell` is one comparison of one quantity. Tolerances are those of the contract; inference is judged by what
they allow the estimate and its standard error, carried through its formula.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crosscheck.canon import plain
from crosscheck.conventions import critical, lre, p_of
from crosscheck.results import COEF_QUANTITIES, COUNTS, CoefRow, EstimationResult
from crosscheck.verdict import Severity, Verdict, worse

if TYPE_CHECKING:
    from crosscheck.explain import Explanation

RTOL_ESTIMATE, STOL_ESTIMATE, RTOL_STD_ERROR = 1e-8, 1e-6, 1e-6
RTOL_OTHER = 1e-8
P_FLOOR = 1e-15  # an engine that computes 1 - F(|t|) cannot tell smaller p-values apart (2.2e-16 is one unit of 1)
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


def sides(reference: str, candidate: str, context: Context) -> dict[str, Any]:
    """Return what all cells of two sources share.

    Raises
    ------
    ValueError
        Where both are the same source.
    """
    if reference == candidate:
        raise ValueError(f"{reference} cannot be compared with itself")
    return {
        "study": context.study,
        "table": context.table,
        "column": context.column,
        "reference": reference,
        "candidate": candidate,
    }


def new_cell(
    base: Mapping[str, Any],
    term: str,
    quantity: str,
    a: float | str | None,
    b: float | str | None,
    verdict: Verdict,
    severity: Severity,
    **more: Any,
) -> Cell:
    """Return a cell of two sources."""
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


def fit_verdict(result: EstimationResult, side: str) -> tuple[Verdict, str]:
    """Return the verdict on a fit that did not happen, and its reason."""
    if result.status == "unsupported":
        return "unsupported", f"{result.engine}: {result.reason}"
    if result.transport == "missing":
        return ("missing_reference" if side == "reference" else "missing_candidate"), result.reason
    if result.transport == "stale":
        return "stale", result.reason
    return "error", f"{result.engine}: {result.reason}"


def fit_severity(verdict: Verdict) -> Severity:
    """Return how grave it is that a fit did not happen."""
    return "structural" if verdict == "error" else "none"


def with_distance(cell: Cell, a: float | None, b: float, se: float | None) -> Cell:
    """Return a cell that says how far its two numbers are apart."""
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


def close(
    quantity: str, a: float, b: float, ref: CoefRow | None, tolerance: Tolerance | None, context: Context
) -> bool:
    """Say whether two numbers, neither missing nor equal, are within the tolerance of their quantity."""
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


def severity_of(
    term: str, quantity: str, a: float, b: float, ref: CoefRow | None, cand: CoefRow | None, context: Context
) -> Severity:
    """Return how much a difference would matter to a reader of the table."""
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
    pair = [p_value_of(row) for row in (ref, cand)]
    if None not in pair:
        thresholds = sorted({*THRESHOLDS, *context.legend.values()})
        if any((pair[0] < t) != (pair[1] < t) for t in thresholds):  # type: ignore[operator]
            return True
    bounds = [(r.conf_low, r.conf_high) for r in (ref, cand)]
    if any(v is None for pair_ in bounds for v in pair_):
        return False
    holds = [low <= 0 <= high for low, high in bounds]  # type: ignore[operator]
    return holds[0] != holds[1]


def p_value_of(row: CoefRow) -> float | None:
    """Return the p-value of a row, recomputed where the source does not say it."""
    if row.p_value is not None and not math.isnan(row.p_value):
        return row.p_value
    if row.estimate is None or not row.std_error or math.isnan(row.std_error):
        return None
    return p_of(row.estimate / row.std_error, math.inf if row.df is None else row.df)
