"""Is a number exactly what a known fault of a package would give?

Each fault has a closed form of its own, so that any other number in the same region of requests stays new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, Floats, even_columns, in_good_basis, ways
from crosscheck.campaign.working import working_model
from crosscheck.closedform.covariance import cluster_parts, covariance
from crosscheck.conventions import repair_eigenvalues
from crosscheck.engines._oracle_linear import LinearModel, assemble, grouped, inference, linear_model
from crosscheck.engines._oracle_sunab import sunab_parts
from crosscheck.engines._shared import ssc_words, usable_model, usable_rows, weights_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.modelmatrix import model_matrix
from crosscheck.results import EstimationResult

EXACT = 1e-6
"""Relative: standard errors of one formula by two packages."""
ITERATED = 1e-4
"""Relative: standard errors at estimates that stop at a tolerance of their own."""
CANCELS, NOTHING = 1e-12, 1e-30
"""Of the terms of a sum that cancels; a variance of rounding errors alone."""


def without_last_lag(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest's standard errors are those of all lags but T - 1, and another engine's those of all.

    Where a badly scaled basis costs them their digits it has to be so in a good one.
    """
    return _without_last_lag(case, one, fit) or any(_without_last_lag(c, one, fit) for c in in_good_basis(case))


def _without_last_lag(case: Case, one: Discrepancy, fit: Fit) -> bool:
    request, who = case.request, one.identity
    try:
        model = linear_model(request, case.frame)
        grouping, counts = grouped(model, request, request.vcov)
        if grouping.lag is None or counts.n_periods is None or grouping.lag < counts.n_periods - 1:
            return False
        whole, cut = (
            covariance(
                model.fit, request.vcov.canonical, counts, ssc_words(request.ssc), replace(grouping, last=last)
            ).matrix
            for last in (None, counts.n_periods - 2)
        )
    except CrosscheckError:
        return False
    return all(
        _has(fit(engine, request, case.frame), model, cut if engine == "r.fixest" else whole)
        for engine in (who.engine, who.against)
        if engine
    )


def weights_before_inverse(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether sandwich's standard errors are those of residuals weighted before (I - H_gg)^-1 is applied."""
    request = case.request
    try:
        model = linear_model(request, case.frame)
        groups = model.clusters(request.vcov.cluster)
    except CrosscheckError:
        return False
    if model.weights is None or len(groups) != 1:
        return False
    root = np.sqrt(np.asarray(model.weights, dtype=np.float64))
    x = model.x[:, list(model.fit.kept)] * root[:, None]
    dummies = [(codes[:, None] == np.unique(codes)) * root[:, None] for codes in model.effects.values()]
    effects = _basis(np.hstack(dummies)) if dummies else np.zeros((root.size, 0))
    x = x - effects @ (effects.T @ x)
    q = np.hstack([effects, _basis(x)])
    weighed = np.asarray(model.fit.resid, dtype=np.float64) * root**2
    bread, meat = np.asarray(model.fit.bread, dtype=np.float64), np.zeros((x.shape[1],) * 2)
    for g in np.unique(groups[0]):
        at = groups[0] == g
        hat = (q[at] @ q[at].T) * (root[at] / root[at][:, None])  # X_g (X'WX)^-1 X_g' W_g
        try:
            left = np.linalg.solve(np.eye(int(at.sum())) - hat, weighed[at])
        except np.linalg.LinAlgError:
            return False
        score = (x[at] / root[at][:, None]).T @ left
        meat += np.outer(score, score)
    size = np.unique(groups[0]).size
    matrix = (size - 1) / size * (bread @ meat @ bread)
    return _has(fit(one.identity.engine, request, case.frame), model, matrix)


def row_for_a_cohort(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest's N is that of ``sunab()`` taking the number of an always-treated cohort for that of a row.

    Cohorts are numbered as they appear; of all but the first, the first row is overlooked. The cohort itself stays.
    """
    request, frame = case.request, case.frame
    try:
        rest, cohort, period = sunab_parts(parse(request.formula, columns=frame.names))
        weighted = (request.weights.column,) if request.weights else ()
        _, used = usable_model(request, rest, frame, also=(cohort, period, *weighted))
    except CrosscheckError:
        return False
    start, time = frame[cohort].as_float(), frame[period].as_float()
    known = ~(np.isnan(start) | np.isnan(time))
    for name in request.vcov.cluster:
        known &= ~frame[name].missing
    rows = np.flatnonzero(known)
    start, time = start[rows], time[rows]
    event = np.where(np.isin(start, time), time - start, -1.0)
    order = list(dict.fromkeys(start.tolist()))
    seen = [event[start == value][min(k, 1) :] for k, value in enumerate(order)]
    taken = [k for k, events in enumerate(seen) if events.size and (events >= 0).all()]
    ids = frame.row_ids if frame.row_ids.size else np.arange(frame.nrows)
    kept = used.row_ids if used.row_ids.size else np.arange(frame.nrows)
    lost = np.isin(kept, ids[rows[[k for k in taken if k < rows.size]]])
    found = fit(one.identity.engine, request, frame).stats.nobs
    return found == float(used.nrows - int(lost.sum()))


def repaired(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a two-way covariance has eigenvalues of 0 or less, and each engine gives it as it is or repaired.

    Repaired: eigenvalues of 0 or less replaced by 1e-16, as fixest does. As it is: NaN, or 0, where a variance is
    negative. A relation is held to it both ways.
    """
    who = one.identity
    return any(
        _repaired(asked, [e for e in (who.engine, who.against) if e], fit)
        for asked in (ways(case), in_good_basis(case) if who.against else ())
    )


def _repaired(asked: Sequence[Case], engines: Sequence[str], fit: Fit) -> bool:
    changed = False
    for way in asked:
        try:
            model = working_model(way.request, way.frame)
            grouping, counts = grouped(model, way.request, way.request.vcov)
            as_it_is = covariance(model.fit, "CRV1", counts, ssc_words(way.request.ssc), grouping, repair=False)
            other, replaced = repair_eigenvalues(as_it_is.matrix)
            parts = cluster_parts(model.fit, grouping.clusters)
        except CrosscheckError:
            return False
        changed |= replaced
        small = as_it_is.small_sample
        factor = float(max(small.k_factor, 1.0) * max((*small.g_factors, 1.0)))
        size = np.sum([np.abs(np.diag(part)) for part in parts], axis=0) * factor
        rounding = {t: float(v) for t, v in zip(model.terms, CANCELS * size + NOTHING, strict=True)}
        rtol = EXACT if way.request.estimator == "feols" else ITERATED
        for engine in engines:
            rows = fit(engine, way.request, way.frame).coefs
            known = [dict(zip(model.terms, np.diag(m).tolist(), strict=True)) for m in (as_it_is.matrix, other)]
            if not rows or any(row.term not in rounding or row.std_error is None for row in rows):
                return False
            if not any(all(_same(r.std_error, v[r.term], rounding[r.term], rtol) for r in rows) for v in known):
                return False
    return changed


def _same(error: float | None, variance: float, rounding: float, rtol: float) -> bool:
    if error is None or np.isnan(error):
        return variance <= rounding
    return abs(error**2 - max(variance, 0.0)) <= 2 * rtol * abs(variance) + rounding


def unweighted_ssr(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest's R2 after instruments is 1 - sum u^2 / sum w (y - ybar)^2, the weights in one of the two."""
    return all(_unweighted_ssr(way, one, fit) for way in ways(case))


def _unweighted_ssr(case: Case, one: Discrepancy, fit: Fit) -> bool:
    try:
        model = linear_model(case.request, case.frame)
    except CrosscheckError:
        return False
    if model.weights is None or not model.instruments.shape[1]:
        return False
    w, y, n = np.asarray(model.weights, dtype=np.float64), model.y, float(model.y.size)
    ssr = float(model.fit.projected @ model.fit.projected)
    total = float(w @ (y - np.average(y, weights=w)) ** 2)
    within = float(w @ np.asarray(model.fit.y, dtype=np.float64) ** 2)
    if total <= 0 or within <= 0:
        return False
    share = ssr / total * (n - model.intercept)
    expected = {"r2": 1 - share / (n - 1), "r2_within": 1 - ssr / within}
    if n > model.parameters:
        expected["adj_r2"] = 1 - share / (n - model.parameters)
    given = getattr(fit(one.identity.engine, case.request, case.frame).stats, one.identity.quantity, None)
    known = expected.get(one.identity.quantity)
    return given is not None and known is not None and abs(given - known) <= EXACT * max(abs(1 - known), abs(known))


def poly_of_other_rows(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether each engine's numbers are those of ``poly()`` built on all rows, or on the rows with a weight.

    A polynomial does not know the origin and unit of its column; where those cost digits they are taken away first. An
    iterated estimator has no closed form: both engines have to agree once the rows without a weight are gone.
    """
    request = case.request
    if request.estimator in ("fepois", "feglm") and request.weights is not None:
        weight = np.nan_to_num(case.frame[request.weights.column].as_float())
        rest = case.with_(frame=case.frame.take(weight > 0))
        asked = [e for e in (one.identity.engine, one.identity.against) if e]
        if (weight > 0).all() or any(fit(e, rest.request, rest.frame).status != "ok" for e in asked):
            return False
        return not any(one.identity.same_bug(d.identity) for d in check(rest))
    return _poly_of_other_rows(case, one, fit) or _poly_of_other_rows(even_columns(case), one, fit)


def _poly_of_other_rows(case: Case, one: Discrepancy, fit: Fit) -> bool:
    request, frame, who = case.request, case.frame, one.identity
    if request.weights is None or request.estimator != "feols":
        return False
    formula, known = parse(request.formula, columns=frame.names), []
    weight = frame[request.weights.column].as_float()
    for sample in (frame, frame.take(weight != 0)):
        try:
            matrix = model_matrix(
                formula,
                sample,
                unit=request.unit,
                time=request.time,
                also=(request.weights.column,),
                among=usable_rows(request, sample),
            )
            rows = sample.take(matrix.rows)
            model = assemble(
                y=matrix.y,
                x=matrix.X,
                names=(*matrix.names, *matrix.endogenous_names),
                endogenous=matrix.endogenous,
                instruments=matrix.instruments,
                weights=weights_of(request, rows),
                effects={fe: matrix.fe_codes[:, j] for j, fe in enumerate(formula.fixed_effects)},
                frame=rows,
                frequency=request.weights.type == "frequency",
                intercept=formula.intercept or bool(formula.fixed_effects),
                rows_dropped=0,
            )
            known.append((model, inference(model, request, request.vcov, ssc_words(request.ssc)).matrix))
        except CrosscheckError:
            continue
    results = [fit(engine, request, frame) for engine in (who.engine, who.against) if engine]
    return all(any(_is(result, model, matrix) for model, matrix in known) for result in results)


def _has(result: EstimationResult, model: LinearModel, matrix: Floats) -> bool:
    """Say whether each standard error of a result is that of a covariance of the model's terms."""
    with np.errstate(invalid="ignore"):
        expected = dict(zip(model.terms, np.sqrt(np.diag(matrix)).tolist(), strict=True))
    pairs = [(row.std_error, expected.get(row.term)) for row in result.coefs]
    return bool(pairs) and all(
        a is not None and b is not None and abs(a - b) <= EXACT * abs(b) + 1e-300 for a, b in pairs
    )


def _is(result: EstimationResult, model: LinearModel, matrix: Floats) -> bool:
    """Say whether estimates and standard errors of a result are those of a model."""
    known = dict(zip(model.terms, np.asarray(model.fit.coef, dtype=np.float64).tolist(), strict=True))
    rows = {row.term: row.estimate for row in result.coefs}
    if rows.keys() != known.keys() or not _has(result, model, matrix):
        return False
    return all(b is not None and abs(b - known[t]) <= EXACT * abs(known[t]) for t, b in rows.items())


def _basis(x: Floats) -> Floats:
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return np.asarray(u[:, s > 1e-10 * s.max(initial=0.0)])
