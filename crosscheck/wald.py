"""Are several coefficients jointly zero? The Wald test that a table's ``F`` or ``chi2`` line prints.

A printed term such as ``wald:year`` or ``wald:unemp+log(income)`` names the coefficients. The statistic is computed
from each source's *own* estimates and covariance, so that it tests that source and nothing of ours decides a digit but
the inverse: W = b' V^-1 b; F = W/q against F(q, df) where the source uses a t distribution with df degrees of freedom,
and chi2 = W against chi2(q) where it uses the normal (Wooldridge 2010, equation 4.13). ``chi2:year`` asks for the
latter whatever the source uses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from crosscheck.results import EstimationResult, Extra

PREFIXES = ("wald:", "chi2:")
DERIVED = re.compile(r"wald:|chi2:|sigma_|rho\Z|sargan|hansen|first_stage_f|hausman")
_CELL = re.compile(r"ATT\(([^,]+),([^)]+)\)\Z")


def members(term: str, labels: Iterable[str]) -> tuple[str, ...]:
    """Return the coefficients that a joint term names.

    ``wald:a+b`` names coefficients, or variables all of whose dummies are meant (``year`` stands for ``year::1983`` and
    ``factor(year)1983`` and so on); ``wald:pretrend`` names every ATT(g,t) with t < g. Empty where one name has none.
    """
    labels = tuple(labels)
    body = term.partition(":")[2]
    if body == "pretrend":
        cells = ((label, _CELL.match(label)) for label in labels)
        return tuple(label for label, m in cells if m and float(m[2]) < float(m[1]))
    chosen: list[str] = []
    for name in _split(body):
        starts = (f"{name}::", f"factor({name})", f"C({name})", f"i({name})")
        found = [x for x in labels if x == name] or [x for x in labels if x.startswith(starts)]
        if not found:
            return ()
        chosen.extend(found)
    return tuple(dict.fromkeys(chosen))


def _split(body: str) -> list[str]:
    names, depth, start = [], 0, 0
    for position, char in enumerate(body):
        depth += (char == "(") - (char == ")")
        if char == "+" and depth == 0:
            names.append(body[start:position].strip())
            start = position + 1
    return [*names, body[start:].strip()]


def joint_test(
    result: EstimationResult, chosen: tuple[str, ...], *, chi2: bool = False, df: float | None = None
) -> tuple[float, float] | None:
    """Return statistic and p-value of the joint test, or ``None`` where the source's covariance does not allow it.

    ``df`` replaces the degrees of freedom that the source itself uses.
    """
    terms = result.vcov_terms or tuple(row.term for row in result.coefs)
    if not chosen or not result.vcov or len(result.vcov) != len(terms) or not set(chosen) <= set(terms):
        return None
    rows = [result.coef(term) for term in chosen]
    if any(row is None or row.estimate is None or row.std_error is None for row in rows):
        return None
    at = [terms.index(term) for term in chosen]
    v = np.array(result.vcov)[np.ix_(at, at)]
    b = np.array([row.estimate for row in rows if row is not None], dtype=np.float64)
    scale = np.sqrt(np.diag(v))
    if not np.all(np.isfinite(v)) or not np.all(scale > 0):
        return None
    z = b / scale
    correlation = v / np.outer(scale, scale)
    if np.linalg.matrix_rank(correlation) < len(at):
        return None
    from scipy import special  # a run without joint tests does without it

    w = float(z @ np.linalg.solve(correlation, z))
    q = len(at)
    if df is None:
        df = own_df(result, chosen)
    if chi2 or math.isinf(df):
        return w, float(special.chdtrc(q, w))
    return w / q, float(special.fdtrc(q, df, w / q))


def own_df(result: EstimationResult, chosen: tuple[str, ...]) -> float:
    """Return the degrees of freedom that a source uses for the chosen coefficients; infinity for the normal."""
    rows = (result.coef(term) for term in chosen)
    return next((row.df for row in rows if row is not None and row.df is not None), math.inf)


def with_joint_tests(result: EstimationResult, terms: Iterable[str]) -> EstimationResult:
    """Return the result with the joint tests that the printed terms ask for, where its covariance allows them."""
    if result.status != "ok":
        return result
    labels = [row.term for row in result.coefs]
    have = {e.term for e in result.extras}
    extras: list[Extra] = []
    for term in dict.fromkeys(t for t in terms if t.startswith(PREFIXES) and t not in have):
        tested = joint_test(result, members(term, labels), chi2=term.startswith("chi2:"))
        if tested is not None:
            extras += [
                Extra(term=term, quantity="statistic", value=tested[0]),
                Extra(term=term, quantity="p_value", value=tested[1]),
            ]
    return result.with_(extras=(*result.extras, *extras)) if extras else result
