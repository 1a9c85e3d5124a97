"""Why is a group-time effect many standard errors from the known truth? Its cohort may have a single unit.

The analytic variance of ATT(g,t) without covariates is s_g^2 / n_g + s_c^2 / n_c, the variances of outcome changes
within the cohort and among controls over their numbers (Callaway and Sant'Anna 2021, theorem 2). With n_g = 1 the first
part is zero whatever the unit's own error. Under equal variances the whole is s_c^2 (1 + 1 / n_c), the standard error
reported times sqrt(1 + n_c): this is replayed. Effects of several cohorts are not explained.
"""

from __future__ import annotations

import math
import re

import numpy as np

from crosscheck.compare_known import SAMPLING_SE
from crosscheck.explain.model import Explanation
from crosscheck.explain.rules import rules
from crosscheck.frame import Frame
from crosscheck.judging import Cell
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

RULE = "cohort.single"
OF_ONE = re.compile(r"ATT\((?P<g>[^,]+),[^)]+\)|group=(?P<group>.+)|event=(?P<e>.+)|year=(?P<t>.+)")


def explain_single_cohort(
    cell: Cell, result: EstimationResult, frame: Frame, request: FitRequest
) -> tuple[Explanation, ...]:
    """Replay a difference from the truth with the variance of a single treated unit counted.

    Parameters
    ----------
    cell : Cell
        Of a known truth and an engine, unexplained.
    result : EstimationResult
        The engine's.
    frame : Frame
        The sample.
    request : FitRequest
    """
    row, options = result.coef(cell.term), request.options
    unit, time = options.get("unit") or request.unit, options.get("time") or request.time
    plain = request.estimator == "att_gt" and not options.get("covariates") and request.weights is None
    never = options.get("control_group") in (None, "nevertreated")
    if not plain or not never or unit is None or time is None or row is None or not row.std_error:
        return ()
    if not isinstance(cell.reference_value, float) or row.estimate is None:
        return ()
    cohort = np.nan_to_num(frame[str(options["cohort"])].as_float(), posinf=0.0)
    codes, period = frame[unit].codes()[0], frame[time].as_float()
    own = _cohort_of(cell.term, cohort, period)
    controls = int(np.unique(codes[cohort == 0]).size)
    if own is None or np.unique(codes[cohort == own]).size != 1 or not controls:
        return ()
    factor = math.sqrt(1 + controls)
    away = abs(row.estimate - cell.reference_value) / (factor * row.std_error)
    if away > SAMPLING_SE:
        return ()
    rule = rules()[RULE]
    return (
        Explanation(
            rule=RULE,
            title=rule.title.format(cohort=f"{own:.15g}", factor=f"{factor:.3g}", away=f"{away:.2g}"),
            formula=f"SE = {row.std_error:.6g} x sqrt(1 + {controls}) = {factor * row.std_error:.6g}; "
            f"|{row.estimate:.6g} - {cell.reference_value:.6g}| / SE = {away:.3g}",
            replay=factor * row.std_error,
            verdict=rule.verdict,
            references=rule.references,
            remedy={"": rule.remedy[""]},
        ),
    )


def _cohort_of(term: str, cohort: np.ndarray, period: np.ndarray) -> float | None:
    """Return the only cohort that an effect is of, or ``None``."""
    match = OF_ONE.fullmatch(term)
    if match is None:
        return None
    if match["g"] or match["group"]:
        return float(match["g"] or match["group"])
    treated = np.unique(cohort[cohort != 0])
    if match["e"]:
        seen = [g for g in treated if np.any((cohort == g) & (period - g == float(match["e"])))]
    else:
        seen = [g for g in treated if g <= float(match["t"])]
    return float(seen[0]) if len(seen) == 1 else None
