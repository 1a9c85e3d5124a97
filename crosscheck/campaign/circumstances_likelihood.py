"""Is the likelihood such that iterations end where they should?"""

from __future__ import annotations

import numpy as np

from crosscheck import engines
from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, Floats, in_good_basis, matrix_of, ways, with_dummies
from crosscheck.campaign.circumstances_counts import few_rows
from crosscheck.campaign.circumstances_outcomes import separated
from crosscheck.campaign.columns import with_request
from crosscheck.campaign.conditions import classes_of
from crosscheck.engines._score import unsolved

SOLVED = 1e-5
"""Of the residuals: packages stop when the deviance settles, a square of that."""


def settles(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether both engines find the maximum, and are silent, once the regressors are in a good basis.

    At a maximum the score vanishes: an engine that is silent and somewhere else is none that settles.
    """
    if case.request.estimator not in ("fepois", "feglm"):
        return False
    asked = [e for e in (one.identity.engine, one.identity.against) if e]
    return any(all(_solves(engine, good, fit) for engine in asked) for good in in_good_basis(case))


def hard_to_iterate(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether iterations may fail: no maximum, as many parameters as rows, or one that a good basis reaches."""
    if case.request.estimator not in ("fepois", "feglm"):
        return False
    if separated(case, one, fit, check) or few_rows(case, one, fit, check):
        return True
    return any(_solves(one.identity.engine, good, fit) for way in ways(case) for good in in_good_basis(way))


def _solves(engine: str, case: Case, fit: Fit) -> bool:
    request = with_request(case.request, also=tuple(dict.fromkeys((*case.request.also, "fitted"))))
    if not engines.get(engine).supports(request):
        return False
    result, matrix = fit(engine, request, case.frame), matrix_of(case)
    block = result.block("rows")
    if result.status != "ok" or classes_of(result) or matrix is None:
        return False
    if block is None or "fitted" not in block.quantities:
        return False
    mean = np.array([np.nan if v is None else v for v in block["fitted"]], dtype=np.float64)[matrix.rows]
    weights: Floats = np.ones(mean.size)
    if request.weights is not None:
        weights = case.frame[request.weights.column].as_float()[matrix.rows]
    used = np.isfinite(mean) & (weights > 0)
    mean, weights = mean[used], weights[used]
    if request.options.get("family") == "probit":
        from scipy.special import ndtri

        weights = weights * np.exp(-(ndtri(mean) ** 2) / 2) / (np.sqrt(2 * np.pi) * mean * (1 - mean))
    return bool(used.any()) and unsolved(with_dummies(matrix)[used], matrix.y[used], mean, weights) <= SOLVED
