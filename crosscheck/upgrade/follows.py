"""What follows from a standard error, or from a rule of degrees of freedom, whose cause is named?

F statistics, their p-values and the number of parameters counted move with the covariance. They get its cause where
it gives them: one factor on every variance divides F by it, F's p-value is that of the new F, and the factor is that of
the parameters counted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from crosscheck.conventions import lre
from crosscheck.judging import Cell
from crosscheck.results import EstimationResult
from crosscheck.verdict import AGREE, EXPLAINED

TIGHT = 1e-7
STATISTICS = ("f_statistic", "wald", "statistic")
P_OF = {"f_pvalue": "f_statistic", "p_value": "statistic"}
COUNTED = "df_k"


def with_followers(cells: Sequence[Cell], old: EstimationResult, new: EstimationResult) -> list[Cell]:
    """Return the cells of one question, those that follow from an explained one with its cause."""
    explained = [c for c in cells if c.quantity == "std_error" and c.verdict in EXPLAINED and c.explanations]
    out = [_degrees(c, cells, new) for c in cells]
    ratio = _factor(cells)
    if not explained or ratio is None:
        return out
    lead = explained[0]
    found = [_statistic(c, lead, ratio) for c in out]
    by_key = {(c.term, c.quantity): c for c in found}
    found = [_p_value(c, by_key, lead, old) for c in found]
    return [_counted(c, lead, ratio, old, new) for c in found]


def _factor(cells: Sequence[Cell]) -> float | None:
    """Return what every standard error was multiplied by; ``None`` where it is not one number."""
    ratios = []
    for c in cells:
        a, b = c.reference_value, c.candidate_value
        if c.quantity != "std_error" or not isinstance(a, float | int) or not isinstance(b, float | int):
            continue
        if not (math.isfinite(a) and math.isfinite(b)) or (a == 0 and b == 0):
            continue
        if c.verdict not in AGREE and c.verdict not in EXPLAINED:
            return None
        ratios.append(b / a if a else math.inf)
    if not ratios or max(ratios) - min(ratios) > TIGHT * max(ratios):
        return None
    return ratios[0]


def _open(c: Cell) -> bool:
    return c.verdict == "unexplained" and not c.explanations


def _numbers(c: Cell) -> tuple[float, float] | None:
    a, b = c.reference_value, c.candidate_value
    if isinstance(a, float | int) and isinstance(b, float | int) and math.isfinite(a) and math.isfinite(b):
        return float(a), float(b)
    return None


def _meets(value: float, wanted: float, tolerance: float = 10 * TIGHT) -> bool:
    return abs(value - wanted) <= tolerance * max(abs(wanted), 1e-12)


def _explained(c: Cell, lead: Cell, formula: str, replay: float, wanted: float) -> Cell:
    why = replace(lead.explanations[0], formula=formula, replay=replay, digits_after=lre(wanted, replay), remedy={})
    return c.explained(lead.verdict, (why,))


def _statistic(c: Cell, lead: Cell, ratio: float) -> Cell:
    """A joint statistic of a covariance that is multiplied by a number is divided by it."""
    values = _numbers(c)
    if not _open(c) or values is None or not c.quantity.startswith(STATISTICS):
        return c
    back = values[1] * ratio**2
    if not _meets(back, values[0]):
        return c
    return _explained(c, lead, f"new statistic times {ratio**2:.10g}, the factor of every variance", back, values[0])


def _p_value(c: Cell, by_key: dict[tuple[str, str], Cell], lead: Cell, old: EstimationResult) -> Cell:
    """The p-value is that of the statistic, under the distribution that gave the old one."""
    from scipy import stats

    values = _numbers(c)
    of = by_key.get((c.term, P_OF.get(c.quantity, "")))
    statistic = _numbers(of) if of is not None else None
    if not _open(c) or values is None or statistic is None or of is None or of.verdict not in EXPLAINED:
        return c
    denominators = {row.df for row in old.coefs if row.df} | {old.stats.df_resid} - {None}
    for df1, df2 in itertools.product(range(1, len(old.coefs) + 1), denominators):
        assert df2 is not None
        tail = stats.f.sf if math.isfinite(df2) else lambda x, k, _: stats.chi2.sf(x * k, k)
        if _meets(float(tail(statistic[0], df1, df2)), values[0]):
            back = float(tail(statistic[1], df1, df2))
            if _meets(back, values[1]):
                return _explained(c, lead, f"the p-value of the new statistic, F({df1}, {df2:g})", back, values[1])
    return c


def _counted(c: Cell, lead: Cell, ratio: float, old: EstimationResult, new: EstimationResult) -> Cell:
    """The parameters that are counted give the factor of the variances, by N - K."""
    values, n = _numbers(c), old.stats.nobs
    if not _open(c) or values is None or c.quantity != COUNTED or not n or n != new.stats.nobs:
        return c
    if n <= max(values):
        return c
    factor = (n - values[0]) / (n - values[1])
    if not _meets(factor, ratio**2):
        return c
    text = f"(N - {values[0]:g}) / (N - {values[1]:g}) = {factor:.10g} with N = {n:,}, the factor of every variance"
    return _explained(c, lead, text, ratio**2, factor)


def _degrees(c: Cell, cells: Sequence[Cell], new: EstimationResult) -> Cell:
    """Degrees of freedom are those that give the p-value whose cause is named."""
    from scipy import stats

    values = _numbers(c)
    if not _open(c) or values is None or c.quantity != "df":
        return c
    row = new.coef(c.term)
    p = next((x for x in cells if x.term == c.term and x.quantity == "p_value" and x.verdict in EXPLAINED), None)
    if p is None or not p.explanations or row is None or not row.std_error or row.estimate is None:
        return c
    given = p.candidate_value
    back = float(2 * stats.t.sf(abs(row.estimate / row.std_error), values[1]))
    if not isinstance(given, float | int) or not _meets(back, float(given)):
        return c
    return _explained(c, p, f"the new p-value is that of t with {values[1]:g} degrees of freedom", back, float(given))
