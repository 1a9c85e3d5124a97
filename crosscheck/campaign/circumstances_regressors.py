"""Do the regressors and effects span too much, too little, or hardly anything?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, left_over, matrix_of, with_dummies
from crosscheck.campaign.circumstances_covariance import both_ways
from crosscheck.campaign.reexpressed import reexpressed
from crosscheck.engines._shared import codes_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.formula_tree import INTERCEPT

NEARLY = 1e-6
"""Of a regressor's largest value: engines call it collinear from 1e-5 (pyfixest's sum of squares) to 1e-12 on."""


def ill_conditioned(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the relation holds once the regressors are centred, orthogonal and of one scale."""
    if not case.request.formula or case.rule in ("engines_agree", "coherence"):
        return False
    try:
        other = reexpressed(case.request, case.frame)
        if other is None:
            return False
        found = check(case.with_(frame=other[1]))
    except CrosscheckError:
        return False
    return not any(one.identity.same_bug(d.identity) for d in found)


def rank_of_offsets(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the columns are of full rank, and not as they stand: one is far from zero, or in huge units."""
    matrix = matrix_of(case)
    if matrix is None or not matrix.X.size:
        return False
    constant = np.ptp(matrix.X, axis=0) == 0
    centred = matrix.X - np.where(constant, 0.0, matrix.X.mean(axis=0))
    centred = centred / np.maximum(np.abs(centred).max(axis=0), 1e-300)
    k = matrix.X.shape[1]
    return bool(int(np.linalg.matrix_rank(matrix.X)) < k == int(np.linalg.matrix_rank(centred)))


def singular(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether something that an engine inverts has no inverse, or hardly one.

    A regressor that others and the effects span, as many coefficients as rows, a row or cluster fitted whatever its
    outcome, a fit without residuals. Of iterated estimators, instruments and designs nothing is shown, nor denied.
    """
    matrix = matrix_of(case)
    if matrix is None or case.request.estimator != "feols" or parse(case.request.formula).iv is not None:
        return True
    weights = case.request.weights
    kept = np.ones(matrix.rows.size, dtype=bool)
    if weights is not None:
        kept = case.frame[weights.column].as_float()[matrix.rows] > 0
    left, k = with_dummies(matrix)[kept], matrix.X.shape[1]
    if int(np.linalg.matrix_rank(left[:, k:])) + k >= left.shape[0]:
        return True
    others = (np.delete(left, j, axis=1) for j in range(k))
    if any(left_over(rest, left[:, j]) < NEARLY for j, rest in enumerate(others)):
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
    u, s, _ = np.linalg.svd(left, full_matrices=False)
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


def redundant_effects(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the fixed effects span fewer dimensions than their levels less one each."""
    matrix = matrix_of(case)
    if matrix is None or matrix.fe_codes.ndim != 2 or matrix.fe_codes.shape[1] < 2:
        return False
    dummies = with_dummies(matrix)[:, matrix.X.shape[1] :]
    counted = sum(len(np.unique(codes)) - 1 for codes in matrix.fe_codes.T) + 1
    return int(np.linalg.matrix_rank(dummies)) < counted


def absorbed_pair(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the effects absorb two regressors or more."""
    matrix = matrix_of(case)
    if matrix is None or not matrix.fe_codes.size:
        return False
    dummies = with_dummies(matrix)[:, matrix.X.shape[1] :]
    return sum(left_over(dummies, column) <= 1e-10 for column in matrix.X.T) > 1


def zero_in_the_sample(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the answers to the two questions list other dropped terms, all of them zero in every row used."""
    matrix = matrix_of(case)
    if matrix is None:
        return False
    x = matrix.X
    if case.request.weights is not None:
        x = x[case.frame[case.request.weights.column].as_float()[matrix.rows] > 0]
    zero = {name for name, column in zip(matrix.names, x.T, strict=True) if not column.any()}
    lists = [set(fit(one.identity.engine, request, frame).dropped) for request, frame in both_ways(case)]
    disputed = {term for names in lists for term in names if not all(term in other for other in lists)}
    return bool(disputed) and disputed <= zero


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
