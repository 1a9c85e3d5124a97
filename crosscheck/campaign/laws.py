"""Do two engines take p-values and bounds from different distributions, each by its own word?

Where estimate and standard error agree, and each side's p-value and bounds follow from them under the degrees of
freedom that the side itself declares, the difference is the choice of the distribution, if both choices are among those
that packages have (G - 1, T - 1, N - K by one of the ways to count K, and the normal) and one of the engines avows that
its own is not the one asked for. A p-value that does not follow from what its engine says, or degrees of freedom of no
such kind, stays a discrepancy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from crosscheck.campaign.avowed import excused
from crosscheck.campaign.cohorts import of_the_paper
from crosscheck.conventions import critical, p_of
from crosscheck.engines._shared import codes_of
from crosscheck.errors import CrosscheckError
from crosscheck.explain.model import Explanation
from crosscheck.formula import parse
from crosscheck.frame import Frame
from crosscheck.judging import Cell
from crosscheck.modelmatrix import model_matrix
from crosscheck.results import CoefRow, EstimationResult
from crosscheck.spec import FitRequest
from crosscheck.verdict import AGREE, EXPLAINED

RTOL = 1e-6
SMALLEST_P = 1e-280
INFERENCE = ("p_value", "conf_low", "conf_high")


def explain_laws(
    cells: Sequence[Cell],
    reference: EstimationResult,
    candidate: EstimationResult,
    request: FitRequest,
    frame: Frame,
) -> list[Cell]:
    """Explain p-values and bounds by the degrees of freedom that the two sides declare."""
    bad = {c.term for c in cells if c.verdict == "unexplained" and c.quantity in INFERENCE}
    if not bad:
        return list(cells)
    fine = {(c.term, c.quantity) for c in cells if c.verdict in (*AGREE, *EXPLAINED)}
    offered = set(degrees_of_freedom(request, frame, reference, candidate))
    why: dict[str, Explanation] = {}
    for term in bad:
        ours, theirs = reference.coef(term), candidate.coef(term)
        if ours is None or theirs is None or not {(term, "estimate"), (term, "std_error")} <= fine:
            continue
        a, b = declared(ours, reference), declared(theirs, candidate)
        if a is None or b is None or a == b or not {a, b} <= offered:
            continue
        if follows(ours, a, request.conf_level) and follows(theirs, b, request.conf_level):
            cause = Explanation(
                rule="t.df",
                title="p-values and intervals come from different distributions",
                verdict="convention",
                formula=f"{reference.engine}: {_law(a)}; {candidate.engine}: {_law(b)}",
                remedy={"": "ask for the same degrees of freedom"},
            )
            if excused((cause,), reference, candidate, request):
                why[term] = cause
    return [
        c.explained("convention", (why[c.term],))
        if c.verdict == "unexplained" and c.quantity in INFERENCE and c.term in why
        else c
        for c in cells
    ]


def declared(row: CoefRow, result: EstimationResult) -> float | None:
    """Return the degrees of freedom that a side says it used."""
    return row.df if row.df is not None else result.conventions.df_t


def follows(row: CoefRow, df: float, level: float) -> bool:
    """Say whether a side's own p-value and bounds follow from its estimate and standard error."""
    if row.estimate is None or not row.std_error or not math.isfinite(row.std_error):
        return False
    t = row.estimate / row.std_error
    p = p_of(t, df)
    if row.p_value is not None and max(row.p_value, p) > SMALLEST_P:
        # a rounding error of t moves a tiny p by t squared, and 1 - F is no better than 1e-15
        slack = 1e-15 + RTOL * p * (1 + 1e-8 * t * t)
        if not abs(row.p_value - p) <= slack:
            return False
    if row.conf_low is None or row.conf_high is None:
        return row.p_value is not None
    half = critical(level, df) * row.std_error
    slack = RTOL * half + 1e-12 * abs(row.estimate)
    low, high = row.estimate - half, row.estimate + half
    return abs(row.conf_low - low) <= slack and abs(row.conf_high - high) <= slack


def degrees_of_freedom(request: FitRequest, frame: Frame, *sides: EstimationResult) -> Iterator[float]:
    """Yield what packages take: the normal, G - 1, T - 1, and N - K for each way to count K."""
    yield math.inf
    for side in sides:
        yield from (float(max(g - 1, 1)) for g in side.conventions.n_clusters)
    n = next((s.stats.nobs for s in sides if s.stats.nobs), None)
    shown = max((len(s.coefs) for s in sides), default=0)
    if n is None:
        return
    levels: list[int] = []
    if request.formula:
        try:
            if request.estimator == "sunab":  # a table shows averages; what is estimated are its cells
                matrix = of_the_paper(request, frame).matrix
                blocks = [np.zeros((matrix.y.size, 1)), *(c[:, None] == np.unique(c) for c in matrix.fe_codes.T)]
                dummies = np.hstack(blocks).astype(np.float64)
                ranks = [int(np.linalg.matrix_rank(x)) for x in (np.hstack([matrix.X, dummies]), dummies)]
                shown = ranks[0] - ranks[1]
            else:
                matrix = model_matrix(parse(request.formula), frame, unit=request.unit, time=request.time)
        except CrosscheckError:
            return
        levels = [int(codes.max()) + 1 for codes in matrix.fe_codes.T if codes.size]
        if request.time is not None and request.vcov.type in ("NW", "DK"):
            periods = codes_of(frame, (request.time,))[matrix.rows]
            yield float(len({int(p) for p in periods if p >= 0}) - 1)
    counted = {0, *levels, *(size - 1 for size in levels)}
    counted |= {sum(levels), sum(levels) - len(levels), sum(levels) - len(levels) + 1}
    if levels:  # effects nested in clusters count for one
        counted |= {1, *(sum(levels) - size + 1 for size in levels), *(size + 1 for size in levels)}
    for k in {shown + extra for extra in counted}:
        yield float(max(n - k, 1))
    for side in sides:
        if side.stats.df_resid is not None:
            yield float(side.stats.df_resid)
        if side.conventions.k is not None:
            yield float(max(n - side.conventions.k, 1))


def _law(df: float) -> str:
    return "the normal" if math.isinf(df) else f"t({df:g})"
