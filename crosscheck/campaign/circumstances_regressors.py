"""Do the regressors and effects span too much, too little, or hardly anything?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import (
    Check,
    in_good_basis,
    left_over,
    matrix_of,
    rest_of,
    settled,
    ways,
    with_dummies,
)
from crosscheck.campaign.circumstances_cohorts import separated_groups
from crosscheck.campaign.circumstances_outcomes import separated
from crosscheck.campaign.circumstances_panels import collinear_covariates, no_sunab
from crosscheck.campaign.circumstances_refusals import collinear_in_panel
from crosscheck.campaign.columns import complete
from crosscheck.engines._shared import codes_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula_tree import INTERCEPT

NEARLY = 1e-6
"""Of a regressor's largest value: engines call it collinear from 1e-5 (pyfixest's sum of squares) to 1e-12 on."""
TEN = 10.0
"""LAPACK estimates a condition number; it may be this much larger than the exact one."""


def ill_conditioned(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the relation holds once the regressors are centred, orthogonal and of one scale."""
    if not case.request.formula or case.rule in ("engines_agree", "coherence"):
        return False
    for good in in_good_basis(case):
        try:
            return not any(one.identity.same_bug(d.identity) for d in check(good))
        except CrosscheckError:
            return False
    return False


def singular(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether something that an engine inverts has no inverse, or hardly one.

    A regressor that others and the effects span, an instrument too, as many coefficients as rows, a row or cluster
    fitted whatever its outcome, a fit without residuals; of a relation in either question. Of random effects it is the
    means or what is within them, of group-time effects the covariates of a cohort, of Sun and Abraham's the columns of
    cohort and period; a Poisson or logit model is singular too where it has no maximum. Of designs without a formula
    nothing is shown, nor denied.
    """
    estimator = case.request.estimator
    if estimator in ("att_gt", "did2s"):
        return collinear_covariates(case, one, fit, check) or separated_groups(case, one, fit, check)
    if estimator == "sunab":
        return no_sunab(case, one, fit, check)
    if estimator in ("re", "between") and collinear_in_panel(case, one, fit, check):
        return True
    if estimator in ("fepois", "feglm") and separated(case, one, fit, check):
        return True
    return any(_singular(way, one, fit, check) for way in ways(case))


def _singular(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return not case.request.formula
    weights = case.request.weights
    kept = np.ones(matrix.rows.size, dtype=bool)
    if weights is not None:
        kept = case.frame[weights.column].as_float()[matrix.rows] > 0
    left, k = with_dummies(matrix)[kept], matrix.X.shape[1]
    if not k and not matrix.endogenous.shape[1]:
        return True  # terms without a column: a factor of one level beside effects
    if int(np.linalg.matrix_rank(left[:, k:])) + k >= left.shape[0]:
        return True
    sets = [left]
    if matrix.endogenous.shape[1]:  # the equation, and its first stage
        sets = [np.hstack([columns[kept], left]) for columns in (matrix.endogenous, matrix.instruments)]
    for columns in sets:
        own = columns.shape[1] - (left.shape[1] - k)
        others = (np.delete(columns, j, axis=1) for j in range(own))
        if any(left_over(rest, columns[:, j]) < NEARLY for j, rest in enumerate(others)):
            return True
    return leverage_one(case, one, fit, check) or perfect_fit(case, one, fit, check)


def leverage_one(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether an observation, or a cluster, is fitted whatever its outcome."""
    matrix = matrix_of(case)
    if matrix is None:
        return False
    left = with_dummies(matrix)
    if case.request.weights is not None:
        left = left * np.sqrt(case.frame[case.request.weights.column].as_float()[matrix.rows])[:, None]
    size = np.linalg.norm(left, axis=0)
    u, s, _ = np.linalg.svd(left[:, size > 0] / size[size > 0], full_matrices=False)
    u = u[:, s > 1e-10 * s.max(initial=0.0)]
    if case.request.vcov.type != "CRV3":
        return bool(np.any((u**2).sum(axis=1) > 1 - 1e-8))
    codes = codes_of(case.frame, case.request.vcov.cluster)[matrix.rows]
    blocks = (u[codes == g] for g in np.unique(codes))
    return any(float(np.linalg.norm(b, 2)) > 1 - 1e-8 for b in blocks)


def perfect_fit(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether regressors and effects, and the units of a panel estimator, fit every observation."""
    matrix = matrix_of(case)
    if matrix is None:
        return False
    x = with_dummies(matrix)
    if case.request.estimator in ("re", "between") and case.request.unit is not None:
        codes = codes_of(case.frame, (case.request.unit,))[matrix.rows]
        x = np.hstack([x, (codes[:, None] == np.unique(codes)).astype(np.float64)])
    return left_over(x, matrix.y) <= 1e-8


def absorbed_pair(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the effects absorb two regressors or more, and what differs is one of them."""
    matrix, who = matrix_of(case), one.identity
    if matrix is None or not matrix.fe_codes.size:
        return False
    dummies = with_dummies(matrix)[:, matrix.X.shape[1] :]
    named = zip(matrix.names, matrix.X.T, strict=True)
    absorbed = {name for name, column in named if left_over(dummies, column) <= 1e-10}
    if who.quantity == "dropped":
        lists = [set(fit(engine, case.request, case.frame).dropped) for engine in (who.engine, who.against) if engine]
        disputed = lists[0] ^ lists[-1]
        return len(absorbed) > 1 and bool(disputed) and disputed <= absorbed
    return len(absorbed) > 1 and one.term in absorbed


def zero_in_the_sample(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the answers to the two questions list other dropped terms, all of them zero in every row used."""
    first = ways(case)[0]
    matrix = matrix_of(first)
    if matrix is None:
        return False
    x = matrix.X
    if first.request.weights is not None:
        x = x[first.frame[first.request.weights.column].as_float()[matrix.rows] > 0]
    zero = {name for name, column in zip(matrix.names, x.T, strict=True) if not column.any()}
    lists = [set(fit(one.identity.engine, way.request, way.frame).dropped) for way in ways(case)]
    disputed = {term for names in lists for term in names if not all(term in other for other in lists)}
    return bool(disputed) and disputed <= zero


def zero_once_rows_go(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a regressor is zero in the sample, and the discrepancy goes where rows that are not used are gone."""
    matrix, rows = matrix_of(case), np.flatnonzero(complete(case.request, case.frame))
    if matrix is None or not 0 < rows.size < case.frame.nrows:
        return False
    used = np.isin(matrix.rows, rows)
    if all(x[used].any() for x in matrix.X.T):
        return False
    return settled(case.with_(frame=case.frame.take(rows)), one, fit, check)


def constant_regressor(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a regressor does not vary in the rows that have a weight."""
    matrix = matrix_of(case)
    if matrix is None:
        return False
    x = matrix.X
    if case.request.weights is not None:
        x = x[case.frame[case.request.weights.column].as_float()[matrix.rows] > 0]
    named = [j for j, name in enumerate(matrix.names) if name != INTERCEPT]
    return bool(x.size) and any(np.ptp(x[:, j]) == 0 for j in named)


def unlisted(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether two lists of dropped terms differ in regressors alone that fixest leaves out and does not list.

    Each has no coefficient in either answer, and is spanned by others, or does not vary, in the sample of either. Where
    fixest is held against another engine it is fixest that does not list them.
    """
    who = one.identity
    pair = ways(case) if not who.against else (case, case)
    if len(pair) != 2:
        return False
    here, there = pair
    a, b = (fit(e, w.request, w.frame) for e, w in zip((who.engine, who.against or who.engine), pair, strict=True))
    lists = [{t for t in r.dropped if "::" not in t and "(" not in t} for r in (a, b)]
    apart = lists[0] ^ lists[1]
    if who.against:
        silent = 0 if a.engine == "r.fixest" else 1
        if lists[silent] - lists[1 - silent]:
            return False
    named = {row.term for r in (a, b) for row in r.coefs}
    return bool(apart) and not apart & named and apart <= spanned(here) | spanned(there)


def spanned(case: Case) -> frozenset[str]:
    """Return the regressors that others and the effects span, or that do not vary, in the rows that have a weight."""
    matrix = matrix_of(case)
    if matrix is None:
        return frozenset()
    kept = np.ones(matrix.rows.size, dtype=bool)
    if case.request.weights is not None:
        kept = case.frame[case.request.weights.column].as_float()[matrix.rows] > 0
    left = with_dummies(matrix)[kept]
    found = [
        name
        for j, name in enumerate(matrix.names)
        if left.size and (np.ptp(left[:, j]) == 0 or left_over(np.delete(left, j, axis=1), left[:, j]) < NEARLY)
    ]
    return frozenset(found)


def solve_refuses(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether R's solve() calls X'X computationally singular, the effects swept out: 1/condition below 2.2e-16."""
    matrix = matrix_of(case)
    if matrix is None or not matrix.X.size or case.request.vcov.type not in ("HC2", "HC3"):
        return False
    x = matrix.X
    if matrix.fe_codes.size:
        dummies = with_dummies(matrix)[:, x.shape[1] :]
        x = np.column_stack([rest_of(dummies, column) for column in x.T])
    size = float(np.linalg.cond(x.T @ x, 1))
    return not size < 1 / (TEN * np.finfo(float).eps)
