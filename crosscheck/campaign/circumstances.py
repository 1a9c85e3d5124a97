"""In which circumstances is a known discrepancy to be expected? Each is shown on the case, by replay or by count.

A row of ``known.toml`` that names one covers nothing without it, so that a new fault in the same region of requests
and panels is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from crosscheck import engines
from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.columns import put
from crosscheck.campaign.precision import precision_of
from crosscheck.campaign.predictions import split_of
from crosscheck.campaign.reexpressed import reexpressed
from crosscheck.campaign.relation import Relation
from crosscheck.campaign.relations import RELATIONS
from crosscheck.engines._oracle_did import averages, group_time
from crosscheck.engines._shared import codes_of, lag_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.formula_tree import INTERCEPT
from crosscheck.frame import Column, Frame
from crosscheck.modelmatrix import ModelMatrix, model_matrix
from crosscheck.spec import FitRequest

Floats = NDArray[np.float64]
Check = Callable[[Case], tuple[Discrepancy, ...]]
Circumstance = Callable[[Case, Discrepancy, Fit, Check], bool]
SINGULAR = 1e-10
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
    matrix = _matrix(case)
    if matrix is None or not matrix.X.size:
        return False
    constant = np.ptp(matrix.X, axis=0) == 0
    centred = matrix.X - np.where(constant, 0.0, matrix.X.mean(axis=0))
    centred = centred / np.maximum(np.abs(centred).max(axis=0), 1e-300)
    k = matrix.X.shape[1]
    return bool(int(np.linalg.matrix_rank(matrix.X)) < k == int(np.linalg.matrix_rank(centred)))


def covariate_units(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the discrepancy goes once the covariates of a group-time estimator have mean zero and scale one."""
    names_ = [n for n in case.request.options.get("covariates") or () if n in case.frame]
    moved = {}
    for name in names_:
        if case.frame[name].kind == "category":
            continue
        x = case.frame[name].as_float()
        scale = float(np.nanstd(x)) if np.isfinite(x).any() else 0.0
        if scale > 0:
            moved[name] = Column(name, "float", (x - np.nanmean(x)) / scale)
    if not moved:
        return False
    frame = Frame(tuple(moved.get(c.name, c) for c in case.frame.columns), case.frame.nrows)
    return not any(one.identity.same_bug(d.identity) for d in check(case.with_(frame=frame)))


def drdid_sign(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether did's standard error is the closed form's with the regressions of the earlier period added."""
    found = fit("r.did", case.request, case.frame).coef(one.term)
    if found is None or not found.std_error:
        return False
    try:
        parameters = averages(case.request, *group_time(case.request, case.frame, earlier=-1))
    except CrosscheckError:
        return False
    again = next((p.std_error for p in parameters if p.term == one.term), math.nan)
    return abs(again - found.std_error) <= 1e-6 * found.std_error


def second_stage(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest's fitted values are the other engine's with the endogenous regressors at their first stage."""
    matrix, who = _matrix(case), one.identity
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
    first = np.hstack([_with_dummies(matrix), matrix.instruments])
    size = np.linalg.norm(first, axis=0)
    first = first[:, size > 0] / size[size > 0]
    gamma = np.linalg.lstsq(first * root[:, None], matrix.endogenous * root[:, None], rcond=1e-12)[0]
    expected = np.full(case.frame.nrows, np.nan)
    expected[matrix.rows] = structural[matrix.rows] + (first @ gamma - matrix.endogenous) @ b
    there = np.isfinite(expected) & np.isfinite(second)
    scale = float(np.abs(second[there]).max(initial=0.0))
    return bool(there.any()) and bool(np.all(np.abs(expected - second)[there] <= 1e-6 * scale))


def scale_of_weights(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine's own number moves when all weights are multiplied by one number."""
    weights = case.request.weights
    if weights is None or one.identity.quantity not in ("r2", "adj_r2", "r2_within"):
        return False
    w = case.frame[weights.column].as_float()
    # a tenth of large weights, ten times small ones: where they are very large the R2 is one whatever their scale
    factor = 10.0 if np.nanmean(w) < 1.0 else 1.0 / (10.0 * float(np.nanmean(w)))
    scaled = Column(weights.column, "float", w * factor)
    columns = tuple(scaled if c.name == weights.column else c for c in case.frame.columns)
    values = []
    for frame in (case.frame, Frame(columns, case.frame.nrows)):
        values.append(getattr(fit(one.identity.engine, case.request, frame).stats, one.identity.quantity))
    a, b = (math.nan if v is None else float(v) for v in values)
    # with large weights it is one but for a millionth, and what moves is what is left of one
    size = min(max(abs(a), abs(b)), max(abs(1 - a), abs(1 - b)))
    return abs(a - b) > max(1e-6 * size, 1e-11)


def not_positive_definite(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the covariance, as one of the engines gives it, is singular, has a negative variance, or is NaN.

    Of a relation the covariance of the other way of asking counts as well: dummies are part of it, effects are not.
    """
    for engine, (request, frame) in product(case.engines, _both_ways(case)):
        if not engines.get(engine).supports(request):
            continue
        result = fit(engine, request, frame)
        if result.status != "ok":
            continue
        if any(r.std_error is not None and np.isnan(r.std_error) for r in result.coefs):
            return True
        matrix = np.array(result.vcov, dtype=np.float64)
        if matrix.size and np.isfinite(matrix).all():
            spread = np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-300))
            values = np.linalg.eigvalsh(matrix / np.outer(spread, spread))
            if values[0] <= SINGULAR * max(values[-1], 0.0):
                return True
    return False


def _both_ways(case: Case) -> list[tuple[FitRequest, Frame]]:
    asked = [(case.request, case.frame)]
    for relation in RELATIONS:
        if relation.id == case.rule and isinstance(relation, Relation):
            twin = relation.twin(case)
            if not isinstance(twin, str):
                asked += [(q.request, q.frame) for q in (twin.first, twin.second)]
    return asked


def last_lag(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the bandwidth reaches the last lag that there is, T - 1."""
    if case.request.time is None:
        return False
    matrix = _matrix(case)
    codes = codes_of(case.frame, (case.request.time,))
    periods = {int(c) for c in (codes if matrix is None else codes[matrix.rows]) if c >= 0}
    return lag_of(case.request, len(periods)) >= len(periods) - 1


def last_unit(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the relation holds once the unit of the last row in time is the last unit by name as well."""
    request = case.request
    if request.unit is None or request.time is None or request.unit in request.vcov.cluster:
        return False
    matrix = _matrix(case)
    if matrix is None:
        return False
    unit, time = (codes_of(case.frame, (name,)) for name in (request.unit, request.time))
    rows = matrix.rows
    if request.weights is not None:
        rows = rows[case.frame[request.weights.column].as_float()[rows] > 0]
    rows = rows[np.argsort(time[rows], kind="stable")]
    if not rows.size:
        return False
    last = unit[rows[-1]]
    renamed = Column(request.unit, "integer", np.where(unit == last, unit.max() + 1, unit).astype(np.int32))
    found = check(case.with_(frame=put(case.frame, renamed)))
    return not any(one.identity.same_bug(d.identity) for d in found)


def separated(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether some direction of the coefficients fits observations ever better without end.

    For a Poisson model: x'g = 0 where y > 0 and x'g <= 0 elsewhere; for logit and probit x'g >= 0 where y = 1 and
    x'g <= 0 where y = 0; not 0 everywhere (Correia, Guimaraes and Zylkin 2020; Albert and Anderson 1984).
    """
    if case.request.estimator not in ("fepois", "feglm"):
        return False
    if case.rule == "predictions":  # the model is fitted without the rows held out
        train, _ = split_of(case)
        case = case.with_(frame=case.frame.take(train))
    matrix = _matrix(case)
    if matrix is None:
        return False
    from scipy.optimize import linprog

    x, up = _with_dummies(matrix), matrix.y > 0
    if case.request.weights is not None:
        used = case.frame[case.request.weights.column].as_float()[matrix.rows] > 0
        x, up = x[used], up[used]
    size = np.abs(x).max(axis=0, initial=0.0)
    x = x[:, size > 0] / size[size > 0]
    if case.request.estimator == "fepois":
        fixed, signed = x[up], -x[~up]
    else:
        fixed, signed = x[:0], np.where(up[:, None], x, -x)
    if not signed.size:
        return False
    found = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(signed.shape[0]),
        A_eq=fixed if fixed.size else None,
        b_eq=np.zeros(fixed.shape[0]) if fixed.size else None,
        bounds=(-1, 1),
        method="highs",
    )
    return bool(found.status == 0 and -found.fun > 1e-7)


def an_r2(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether both numbers are 1 - SSR / TSS, TSS about zero or about the mean, adjusted or not."""
    matrix = _matrix(case)
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


def no_within_variation(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the outcome varies within the effects, or follows the regressors there, by rounding errors alone."""
    matrix = _matrix(case)
    if matrix is None or not matrix.fe_codes.size:
        return False
    dummies = _with_dummies(matrix)[:, matrix.X.shape[1] :]
    if _left(dummies, matrix.y) <= 1e-10:
        return True
    whole = _with_dummies(matrix)
    before, after = (float(np.linalg.norm(_rest(x, matrix.y))) for x in (dummies, whole))
    return before - after <= 1e-12 * before


def perfect_fit(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether regressors and effects, and the units of a panel estimator, fit every observation."""
    matrix = _matrix(case)
    if matrix is None:
        return False
    x = _with_dummies(matrix)
    if case.request.estimator in ("re", "between") and case.request.unit is not None:
        codes = codes_of(case.frame, (case.request.unit,))[matrix.rows]
        x = np.hstack([x, (codes[:, None] == np.unique(codes)).astype(np.float64)])
    return _left(x, matrix.y) <= 1e-8


def redundant_effects(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the fixed effects span fewer dimensions than their levels less one each."""
    matrix = _matrix(case)
    if matrix is None or matrix.fe_codes.ndim != 2 or matrix.fe_codes.shape[1] < 2:
        return False
    dummies = _with_dummies(matrix)[:, matrix.X.shape[1] :]
    counted = sum(len(np.unique(codes)) - 1 for codes in matrix.fe_codes.T) + 1
    return int(np.linalg.matrix_rank(dummies)) < counted


def leverage_one(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether an observation, or a cluster, is fitted whatever its outcome."""
    matrix = _matrix(case)
    if matrix is None:
        return False
    left = _with_dummies(matrix)
    if case.request.weights is not None:
        left = left * np.sqrt(case.frame[case.request.weights.column].as_float()[matrix.rows])[:, None]
    u, s, _ = np.linalg.svd(left, full_matrices=False)
    u = u[:, s > 1e-10 * s.max(initial=0.0)]
    if case.request.vcov.type != "CRV3":
        return bool(np.any((u**2).sum(axis=1) > 1 - 1e-8))
    codes = codes_of(case.frame, case.request.vcov.cluster)[matrix.rows]
    blocks = (u[codes == g] for g in np.unique(codes))
    return any(float(np.linalg.norm(b, 2)) > 1 - 1e-8 for b in blocks)


def cancels(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the variance of the term cancels: its standard errors are below a millionth of the residuals' own."""
    precision = precision_of(case.request, case.frame)
    if precision.reason:
        return False
    seen = []
    for engine in dict.fromkeys(e for e in (one.identity.engine, one.identity.against) if e):
        row = fit(engine, case.request, case.frame).coef(one.term)
        seen.append(row is not None and row.std_error is not None and precision.silent(one.term, row.std_error))
    return bool(seen) and all(seen)


def singular(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether something that an engine inverts has no inverse, or hardly one.

    A regressor that others and the effects span, as many coefficients as rows, a row or cluster fitted whatever its
    outcome, a fit without residuals. Of iterated estimators, instruments and designs nothing is shown, nor denied.
    """
    matrix = _matrix(case)
    if matrix is None or case.request.estimator != "feols" or parse(case.request.formula).iv is not None:
        return True
    weights = case.request.weights
    kept = np.ones(matrix.rows.size, dtype=bool)
    if weights is not None:
        kept = case.frame[weights.column].as_float()[matrix.rows] > 0
    left, k = _with_dummies(matrix)[kept], matrix.X.shape[1]
    if int(np.linalg.matrix_rank(left[:, k:])) + k >= left.shape[0]:
        return True
    others = (np.delete(left, j, axis=1) for j in range(k))
    if any(_left(rest, left[:, j]) < NEARLY for j, rest in enumerate(others)):
        return True
    return leverage_one(case, one, fit, check) or perfect_fit(case, one, fit, check)


def no_reference_period(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether no treated row is one period before its treatment: the reference of an event study is none."""
    options = case.request.options
    time, cohort = str(options.get("time") or case.request.time), str(options.get("cohort"))
    if time not in case.frame or cohort not in case.frame:
        return False
    since = case.frame[time].as_float() - case.frame[cohort].as_float()
    return not bool(np.any(since == -1))


def constant_regressor(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a regressor does not vary in the rows that have a weight."""
    matrix = _matrix(case)
    if matrix is None:
        return False
    x = matrix.X
    if case.request.weights is not None:
        x = x[case.frame[case.request.weights.column].as_float()[matrix.rows] > 0]
    named = [j for j, name in enumerate(matrix.names) if name != INTERCEPT]
    return bool(x.size) and any(np.ptp(x[:, j]) == 0 for j in named)


def constant_outcome(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the outcome does not vary in the sample, so that an R2 is rounding over rounding."""
    matrix = _matrix(case)
    if matrix is None or not matrix.y.size:
        return False
    return bool(np.ptp(matrix.y) <= 1e-13 * np.abs(matrix.y).max())


def absorbed_pair(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the effects absorb two regressors or more."""
    matrix = _matrix(case)
    if matrix is None or not matrix.fe_codes.size:
        return False
    dummies = _with_dummies(matrix)[:, matrix.X.shape[1] :]
    return sum(_left(dummies, column) <= 1e-10 for column in matrix.X.T) > 1


def weights_take_rows(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether rows with all numbers of the formula have no weight."""
    request = case.request
    if request.weights is None:
        return False
    try:
        rows = model_matrix(parse(request.formula), case.frame, unit=request.unit, time=request.time).rows
    except CrosscheckError:
        return False
    return not bool(np.all(case.frame[request.weights.column].as_float()[rows] > 0))


def _left(x: Floats, y: Floats) -> float:
    """Return how much of y the columns of x leave, as a share of its largest value."""
    scale = float(np.abs(y).max(initial=0.0))
    if scale == 0.0:
        return 0.0
    return float(np.abs(_rest(x, y)).max()) / scale


def _rest(x: Floats, y: Floats) -> Floats:
    size = np.linalg.norm(x, axis=0)
    x = x[:, size > 0] / size[size > 0]
    return y - x @ np.linalg.lstsq(x, y, rcond=1e-12)[0] if x.size else y


def _matrix(case: Case) -> ModelMatrix | None:
    request = case.request
    also = tuple(c for c in (request.weights.column if request.weights else "", *request.vcov.cluster) if c)
    try:
        return model_matrix(parse(request.formula), case.frame, unit=request.unit, time=request.time, also=also)
    except CrosscheckError:
        return None


def _with_dummies(matrix: ModelMatrix) -> Floats:
    blocks = [matrix.X]
    for codes in matrix.fe_codes.T:
        blocks.append((codes[:, None] == np.unique(codes)).astype(np.float64))
    return np.hstack(blocks)


def anticipated_later_cohort(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a cohort starts after the last period and anticipates its treatment within the sample."""
    options = case.request.options
    cohort, time = str(options.get("cohort") or ""), str(options.get("time") or case.request.time or "")
    if (
        case.request.estimator != "att_gt"
        or not options.get("anticipation")
        or not {cohort, time} <= set(case.frame.names)
    ):
        return False
    starts, last = case.frame[cohort].as_float(), float(np.nanmax(case.frame[time].as_float()))
    return bool(((starts > last) & (starts <= last + options["anticipation"])).any())


CIRCUMSTANCES: Mapping[str, Circumstance] = {
    "ill_conditioned": ill_conditioned,
    "covariate_units": covariate_units,
    "drdid_sign": drdid_sign,
    "anticipated_later_cohort": anticipated_later_cohort,
    "second_stage": second_stage,
    "scale_of_weights": scale_of_weights,
    "not_positive_definite": not_positive_definite,
    "last_lag": last_lag,
    "last_unit": last_unit,
    "separated": separated,
    "an_r2": an_r2,
    "no_within_variation": no_within_variation,
    "perfect_fit": perfect_fit,
    "redundant_effects": redundant_effects,
    "leverage_one": leverage_one,
    "rank_of_offsets": rank_of_offsets,
    "cancels": cancels,
    "singular": singular,
    "no_reference_period": no_reference_period,
    "constant_regressor": constant_regressor,
    "constant_outcome": constant_outcome,
    "absorbed_pair": absorbed_pair,
    "weights_take_rows": weights_take_rows,
}
