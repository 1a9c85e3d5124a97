"""Does the outcome, as the regressors and weights leave it, have the number that is asked for?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, left_over, matrix_of, rest_of, with_dummies
from crosscheck.campaign.predictions import split_of
from crosscheck.campaign.separation import separates


def separated(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a Poisson, logit or probit model has no maximum, so that iterations end wherever they stop."""
    if case.request.estimator not in ("fepois", "feglm"):
        return False
    if case.rule == "predictions":  # the model is fitted without the rows held out
        train, _ = split_of(case)
        case = case.with_(frame=case.frame.take(train))
    matrix = matrix_of(case)
    if matrix is None:
        return False
    x, up = with_dummies(matrix), matrix.y > 0
    if case.request.weights is not None:
        used = case.frame[case.request.weights.column].as_float()[matrix.rows] > 0
        x, up = x[used], up[used]
    return separates(x, up, counts=case.request.estimator == "fepois")


def an_r2(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether both numbers are 1 - SSR / TSS, TSS about zero or about the mean, adjusted or not."""
    matrix = matrix_of(case)
    if matrix is None or matrix.fe_codes.size:
        return False
    w = np.ones(matrix.y.size)
    if case.request.weights is not None:
        w = case.frame[case.request.weights.column].as_float()[matrix.rows]
    x, y, w = matrix.X[w > 0], matrix.y[w > 0], w[w > 0]
    root = np.sqrt(w)
    rest = root * (y - x @ np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0])
    ssr, mean = float(rest @ rest), float(np.average(y, weights=w)) if w.size else 0.0
    n, k = float(y.size), float(np.linalg.matrix_rank(x)) if x.size else 0.0
    known = [np.nan]
    for total in (float(w @ y**2), float(w @ (y - mean) ** 2)):
        if total <= 0:
            continue
        known.append(1 - ssr / total)
        known += [1 - ssr / total * up / (n - k) for up in (n, n - 1) if n > k]
    left = root * y - rest
    if left.std() > 0 and (root * y).std() > 0:  # plm's
        square = float(np.corrcoef(left, root * y)[0, 1]) ** 2
        known += [square, *(1 - (1 - square) * up / (n - k) for up in (n, n - 1) if n > k)]
    pair = [float(v) if isinstance(v, int | float) else np.nan for v in (one.value, one.other)]
    return all(any(v == r or np.isclose(v, r, rtol=1e-7, atol=1e-9, equal_nan=True) for r in known) for v in pair)


def an_f(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest gives the F of K - 1 coefficients about the mean, and the other side that of K about zero."""
    matrix, who = matrix_of(case), one.identity
    if matrix is None or matrix.fe_codes.size or case.request.weights is not None:
        return False
    x, y = matrix.X, matrix.y
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    ssr, n, k = float(rest @ rest), y.size, int(np.linalg.matrix_rank(x))
    if not (n > k > 1 and ssr > 0):
        return False
    totals = {True: (float(((y - y.mean()) ** 2).sum()), k - 1), False: (float(y @ y), k)}
    expected = []
    for engine in (who.engine, who.against):
        total, df = totals[engine == "r.fixest"]
        expected.append((total - ssr) / df / (ssr / (n - k)))
    pair = [float(v) if isinstance(v, int | float) else np.nan for v in (one.value, one.other)]
    return "r.fixest" in (who.engine, who.against) and bool(np.allclose(pair, expected, rtol=1e-7, atol=1e-9))


def no_within_variation(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the outcome varies within the effects, or follows the regressors there, by rounding errors alone."""
    matrix = matrix_of(case)
    if matrix is None or not matrix.fe_codes.size:
        return False
    dummies = with_dummies(matrix)[:, matrix.X.shape[1] :]
    if left_over(dummies, matrix.y) <= 1e-10:
        return True
    whole = with_dummies(matrix)
    before, after = (float(np.linalg.norm(rest_of(x, matrix.y))) for x in (dummies, whole))
    return before - after <= 1e-12 * before


def constant_outcome(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the outcome does not vary in the sample, so that an R2 is rounding over rounding."""
    matrix = matrix_of(case)
    if matrix is None or not matrix.y.size:
        return False
    return bool(np.ptp(matrix.y) <= 1e-13 * np.abs(matrix.y).max())


def second_stage(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest's fitted values are the other engine's with the endogenous regressors at their first stage."""
    matrix, who = matrix_of(case), one.identity
    if matrix is None or not matrix.endogenous.shape[1]:
        return False
    found = []
    for engine in (who.engine, who.against):
        result = fit(engine, case.request, case.frame)
        block = result.block("rows")
        if block is None or "fitted" not in block.quantities:
            return False
        found.append((result, np.array([np.nan if v is None else v for v in block["fitted"]], dtype=np.float64)))
    (theirs, second), (_, structural) = found
    slopes = [theirs.coef(name) for name in matrix.endogenous_names]
    if any(row is None or row.estimate is None for row in slopes):
        return False
    b = np.array([row.estimate for row in slopes if row is not None], dtype=np.float64)
    root = np.ones(matrix.y.size)
    if case.request.weights is not None:
        root = np.sqrt(case.frame[case.request.weights.column].as_float()[matrix.rows])
    first = np.hstack([with_dummies(matrix), matrix.instruments])
    size = np.linalg.norm(first, axis=0)
    first = first[:, size > 0] / size[size > 0]
    root[~np.isfinite(structural[matrix.rows] + second[matrix.rows])] = 0.0  # rows that only the covariance leaves out
    gamma = np.linalg.lstsq(first * root[:, None], matrix.endogenous * root[:, None], rcond=1e-12)[0]
    expected = np.full(case.frame.nrows, np.nan)
    expected[matrix.rows] = structural[matrix.rows] + (first @ gamma - matrix.endogenous) @ b
    there = np.isfinite(expected) & np.isfinite(second)
    scale = float(np.abs(second[there]).max(initial=0.0))
    return bool(there.any()) and bool(np.all(np.abs(expected - second)[there] <= 1e-6 * scale))
