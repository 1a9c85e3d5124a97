"""Do the data show why an engine refuses them? Each message is held to what it says; a relation in either question."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, even_columns, left_over, matrix_of, ways, with_dummies
from crosscheck.campaign.circumstances_counts import few_rows
from crosscheck.campaign.cohorts import of_fixest
from crosscheck.campaign.columns import complete, formula_of, used, with_request
from crosscheck.engines._oracle_sunab import saturated, sunab_parts
from crosscheck.engines._shared import codes_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.formula_tree import INTERCEPT, Call, Name
from crosscheck.modelmatrix import reference_level
from crosscheck.spec import SscSpec, VcovSpec

SPANNED = 1e-6
"""Of a column's largest value: engines call it collinear from 1e-5 to 1e-12 on."""
NO_SE = 1e-7
"""Of the outcome's spread over the treatment's: the designs say that there is none from 1e-10 of what effects leave."""
DID_RULE = 5
"""did and csdid ask for so many units of a group beside one for the constant and one for each covariate."""
Codes = NDArray[np.int64]


def _any(case: Case, shown: Callable[[Case], bool]) -> bool:
    return any(shown(way) for way in ways(case))


def repeated_cell(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a unit has two rows in one period."""
    return _any(case, _repeated_cell)


def _repeated_cell(case: Case) -> bool:
    unit, time = _keys(case)
    if unit is None or time is None:
        return False
    there = (unit >= 0) & (time >= 0)
    pairs = np.column_stack([unit[there], time[there]])
    return len(np.unique(pairs, axis=0)) < len(pairs)


def _keys(case: Case) -> tuple[Codes | None, Codes | None]:
    names = (case.request.options.get(w) or getattr(case.request, w) for w in ("unit", "time"))
    unit, time = (codes_of(case.frame, (str(n),)) if n is not None and str(n) in case.frame else None for n in names)
    return unit, time


def one_cluster(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a cluster variable has one level in the sample."""
    return _any(case, _one_cluster)


def _one_cluster(case: Case) -> bool:
    rows = _used(case)
    names = case.request.vcov.cluster or tuple(n for n in (case.request.options.get("cluster"),) if n)
    levels = (codes_of(case.frame, (name,))[rows] for name in names if name in case.frame)
    return any(np.unique(codes[codes >= 0]).size < 2 for codes in levels)


def no_covariance(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a factor of the covariance is infinite: no degrees of freedom, one cluster, one period."""
    return few_rows(case, one, fit, check) or _any(case, lambda way: _one_cluster(way) or _one_period(way))


def _one_period(case: Case) -> bool:
    _, time = _keys(case)
    serial = case.request.vcov.type in ("NW", "DK")
    return serial and time is not None and np.unique(time[_used(case)]).size < 2


def _used(case: Case) -> NDArray[np.intp]:
    matrix = matrix_of(case) if case.request.formula else None
    if matrix is None:
        return np.flatnonzero(complete(case.request, case.frame))
    rows = matrix.rows
    if case.request.weights is not None:
        rows = rows[case.frame[case.request.weights.column].as_float()[rows] > 0]
    return rows


def small_group(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a cohort, or the never-treated, have fewer units than did and csdid ask for; none at all, too."""
    options = case.request.options
    if case.request.estimator == "sunab":
        return no_sunab(case, one, fit, check)
    cohort, unit = options.get("cohort"), _keys(case)[0]
    if cohort is None or str(cohort) not in case.frame:
        return False
    start = np.nan_to_num(case.frame[str(cohort)].as_float(), nan=0.0, posinf=0.0)
    time = case.frame[str(options.get("time") or case.request.time)].as_float()
    start = np.where(start > np.nanmax(time), 0.0, start)
    rows = complete(case.request, case.frame)
    least = len(options.get("covariates") or ()) + 1 + DID_RULE
    groups = [rows & (start == value) for value in (0.0, *np.unique(start[start != 0]))]
    periods = max(np.unique(time[rows & np.isfinite(time)]).size, 1)
    sizes = [float(group.sum()) / periods for group in groups]
    if unit is not None:
        sizes += [float(np.unique(unit[group]).size) for group in groups]
    return min(sizes) < least


def no_sunab(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the saturated regression cannot be made, or loses columns: no cohort with rows before and after."""
    return _any(case, _no_sunab)


def _no_sunab(case: Case) -> bool:
    if case.request.estimator != "sunab":
        return False
    try:
        parts = sunab_parts(parse(case.request.formula, columns=case.frame.names))
        model, _, _ = saturated(case.request, case.frame, *parts)
    except CrosscheckError:
        return True
    return bool(model.dropped)


def no_column_of_fixest(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest's ``sunab()``, which judges cohorts by other rows, is left without a column."""
    return _any(case, _no_column_of_fixest)


def _no_column_of_fixest(case: Case) -> bool:
    if case.request.estimator != "sunab":
        return False
    try:
        return of_fixest(case.request, case.frame).event.size == 0
    except CrosscheckError:
        return True


def collinear_covariates(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether covariates are collinear in a cohort, or with units and periods where no row is treated."""
    options, (unit, time) = case.request.options, _keys(case)
    names = [str(n) for n in options.get("covariates") or () if str(n) in case.frame]
    by, rows = options.get("cohort") or options.get("treated"), complete(case.request, case.frame)
    if by is None or str(by) not in case.frame or not names:
        return False
    x = np.column_stack([case.frame[n].as_float() for n in names])
    groups = case.frame[str(by)].as_float()
    rows &= np.isfinite(x).all(axis=1) & np.isfinite(groups)
    if case.request.estimator == "did2s":
        keys = [codes for codes in (unit, time) if codes is not None]
        rows &= groups == 0
        dummies = np.hstack([(codes[rows][:, None] == np.unique(codes[rows])).astype(np.float64) for codes in keys])
        return _spanned(np.hstack([x[rows], dummies]), len(names))
    periods = np.unique(time[rows]) if time is not None else (0,)
    parts = (
        rows & (groups == g) & (True if time is None else time == t) for g in np.unique(groups[rows]) for t in periods
    )
    return any(_spanned(np.hstack([x[p], np.ones((int(p.sum()), 1))]), len(names)) for p in parts if p.any())


def _spanned(columns: NDArray[np.float64], own: int) -> bool:
    """Say whether one of the first columns is spanned by all others, or there are as many columns as rows."""
    if columns.shape[0] <= own:
        return True
    others = (np.delete(columns, j, axis=1) for j in range(own))
    return any(left_over(rest, columns[:, j]) <= SPANNED for j, rest in enumerate(others))


def collinear_in_panel(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether regressors are collinear among the means of units or periods, or within them."""
    return few_units(case, one, fit, check) or _any(case, lambda way: _no_regressor(way) or _collinear_in_panel(way))


def _collinear_in_panel(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return False
    for codes in (codes[matrix.rows] for codes in _keys(case) if codes is not None):
        dummies = (codes[:, None] == np.unique(codes)).astype(np.float64)
        means = dummies.T @ matrix.X / dummies.sum(axis=0)[:, None]
        varies = [j for j in range(matrix.X.shape[1]) if np.ptp(matrix.X[:, j]) > 0]
        within = (matrix.X - dummies @ means)[:, varies]
        if _spanned(means, means.shape[1]) or (within.size and _spanned(within, within.shape[1])):
            return True
    return False


def ids_or_gaps(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a column of a group-time request has missing values, or a unit stands twice where it may not."""
    request, (unit, _) = case.request, _keys(case)
    named = [n for n in used(request) if n in case.frame]
    if any(case.frame[n].missing.any() for n in named) or _repeated_cell(case):
        return True
    once = request.options.get("panel", True) is False
    return once and unit is not None and np.unique(unit).size < unit.size


def cohort_changes(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the cohort of a unit changes, also from known to missing."""
    name, (unit, _) = case.request.options.get("cohort"), _keys(case)
    if name is None or unit is None:
        return False
    start = np.nan_to_num(case.frame[str(name)].as_float(), nan=-1.0)
    pairs = np.unique(np.column_stack([unit, start])[unit >= 0], axis=0)
    return len(pairs) > np.unique(pairs[:, 0]).size


def cohort_without_rows(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a treated cohort has no complete row in some period."""
    name, (_, time) = case.request.options.get("cohort"), _keys(case)
    if name is None or time is None:
        return False
    start, rows = case.frame[str(name)].as_float(), complete(case.request, case.frame)
    periods = np.unique(time[time >= 0]).size
    treated = np.unique(start[np.isfinite(start) & (start != 0)])
    return any(np.unique(time[rows & (start == g) & (time >= 0)]).size < periods for g in treated)


def constant_in_sample(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the outcome, or all that the effects leave of it, does not vary."""
    return _any(case, _constant_in_sample)


def _constant_in_sample(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return False
    there = np.isin(matrix.rows, _used(case))
    y = matrix.y[there]
    effects = with_dummies(matrix)[there][:, matrix.X.shape[1] :]
    return y.size == 0 or np.ptp(y) == 0 or (bool(effects.size) and left_over(effects, y) <= 1e-10)


def one_level(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether an effect or a factor has one level in the sample."""
    return _any(case, _one_level)


def _one_level(case: Case) -> bool:
    formula, rows = formula_of(case.request), _used(case)
    if formula is None:
        return False
    names = list(formula.fixed_effects)
    names += [(f.args[0].name,) for f in _calls(case) if f.function in ("factor", "i") and isinstance(f.args[0], Name)]
    names += [
        (f.name,)
        for term in formula.terms
        for f in term
        if isinstance(f, Name) and f.name in case.frame and case.frame[f.name].kind == "category"
    ]
    return any(np.unique(codes_of(case.frame, parts)[rows]).size < 2 for parts in names)


def nested_effects(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether every level of an effect lies in one level of another, or an effect has one level."""
    matrix = matrix_of(case)
    if matrix is None:
        return False
    codes = matrix.fe_codes[np.isin(matrix.rows, _used(case))]
    for j, inner in enumerate(codes.T):
        for k, outer in enumerate(codes.T):
            pairs = np.unique(np.column_stack([inner, outer]), axis=0)
            if j != k and len(pairs) == np.unique(inner).size:
                return True
    return _one_level(case)


def no_regressor(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether constant and effects span every regressor; of a panel estimator, units or periods."""
    return _any(case, lambda way: _no_sunab(way) or _no_regressor(way))


def _no_regressor(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return case.request.formula != "" and _used(case).size == 0
    there = np.isin(matrix.rows, _used(case))
    whole = with_dummies(matrix)[there]
    x, swept = whole[:, : matrix.X.shape[1]], whole[:, matrix.X.shape[1] :]
    groups = [codes_of(case.frame, (n,))[matrix.rows][there] for n in (case.request.unit, case.request.time) if n]
    dummies = [(codes[:, None] == np.unique(codes)).astype(np.float64) for codes in groups]
    if matrix.endogenous.shape[1]:
        x = np.hstack([x, matrix.endogenous[there]])
    sets = [swept] if swept.size else [np.ones((int(there.sum()), 1))]
    if case.request.estimator in ("re", "between"):
        sets += dummies
    return any(all(left_over(columns, column) <= SPANNED for column in x.T) for columns in sets)


def no_exogenous(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether there are exogenous regressors, and all are zero in the sample."""
    return _any(case, _no_exogenous)


def _no_exogenous(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None or not matrix.endogenous.shape[1]:
        return False
    x = matrix.X[np.isin(matrix.rows, _used(case))]
    return bool(set(matrix.names) - {INTERCEPT}) and not x[:, [n != INTERCEPT for n in matrix.names]].any()


def separated_scores(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether covariates separate treated from untreated rows, or none of them varies."""
    options = case.request.options
    treated = options.get("treated") or options.get("treatment")
    names = [str(n) for n in options.get("covariates") or () if str(n) in case.frame]
    if treated is None or str(treated) not in case.frame or not names:
        return False
    from scipy.optimize import linprog

    rows = complete(case.request, case.frame)
    d = case.frame[str(treated)].as_float()
    x = np.column_stack([case.frame[n].as_float() for n in names])
    rows &= np.isfinite(d) & np.isfinite(x).all(axis=1)
    x, up = x[rows], d[rows] > 0
    if not x.size or not up.any() or up.all():
        return True
    x = np.asarray((x - x.mean(axis=0)) / np.maximum(np.ptp(x, axis=0), 1e-300), dtype=np.float64)
    if np.all(np.ptp(x, axis=0) <= 1e-12):
        return True
    signed = np.asarray(np.where(up[:, None], 1.0, -1.0) * np.hstack([np.ones((x.shape[0], 1)), x]))
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(up.size), bounds=(-1, 1), method="highs")
    return bool(found.status == 0 and -found.fun > 1e-7)


def no_std_error(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine that answers has a standard error of the treatment that is next to nothing."""
    name, formula = case.request.options.get("treatment"), formula_of(case.request)
    if name is None or formula is None or not isinstance(formula.lhs, Name) or str(name) not in case.frame:
        return False
    rows = _used(case)
    y, x = (case.frame[column].as_float()[rows] for column in (formula.lhs.name, str(name)))
    rows_of = [fit(e, case.request, case.frame).coef(str(name)) for e in case.engines if e != one.identity.engine]
    errors = [row.std_error for row in rows_of if row is not None and row.std_error is not None]
    return bool(errors) and float(x.std()) > 0 and max(errors) <= NO_SE * float(y.std() / x.std())


def own_tolerance(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine answers once it is asked by the package's own call, at its own tolerance."""
    plain = {"vcov": VcovSpec().model_dump(), "ssc": SscSpec().model_dump(), "also": ()}
    refused = [w for w in ways(case) if fit(one.identity.engine, w.request, w.frame).status != "ok"]
    asked = [
        (with_request(w.request, **plain, options={**w.request.options, "several": None, "call": "default"}), w.frame)
        for w in refused
    ]
    return bool(asked) and all(fit(one.identity.engine, request, frame).status == "ok" for request, frame in asked)


def units_of_columns(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine answers once each regressor has mean zero and scale one."""
    refused = [w for w in ways(case) if fit(one.identity.engine, w.request, w.frame).status != "ok"]
    moved = [even_columns(way) for way in refused]
    return bool(moved) and all(fit(one.identity.engine, w.request, w.frame).status == "ok" for w in moved)


def missing_in_poly(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a column of ``poly()`` has a missing value."""
    columns = [f.args[0].name for f in _calls(case) if f.function == "poly" and isinstance(f.args[0], Name)]
    return any(case.frame[n].missing.any() or not np.isfinite(case.frame[n].as_float()).all() for n in columns)


def reference_absent(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the reference level of ``i()`` has no row in the sample."""
    rows = _used(case)
    for call in _calls(case):
        level = reference_level(call) if call.function == "i" else None
        if level is not None and isinstance(call.args[0], Name):
            codes, labels = case.frame[call.args[0].name].codes()
            if level not in {str(labels[k]) for k in np.unique(codes[rows]) if k >= 0}:
                return True
    return False


def _calls(case: Case) -> Iterator[Call]:
    formula = formula_of(case.request)
    for term in formula.terms if formula is not None else ():
        yield from (f for f in term if isinstance(f, Call))


def few_units(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether there are no more units, or no more periods, than coefficients of the between regression."""
    matrix = matrix_of(case)
    if matrix is None:
        return False
    sizes = [np.unique(codes[matrix.rows]).size for codes in _keys(case) if codes is not None]
    return bool(sizes) and min(sizes) <= matrix.X.shape[1]


def explained_endogenous(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the exogenous regressors, effects and instruments span an endogenous regressor."""
    return _any(case, _explained_endogenous)


def _explained_endogenous(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None or not matrix.endogenous.shape[1]:
        return False
    there = np.isin(matrix.rows, _used(case))
    columns = np.hstack([with_dummies(matrix), matrix.instruments])[there]
    return any(left_over(columns, column) <= SPANNED for column in matrix.endogenous[there].T)


def singleton(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a level of an effect has one row in the sample."""
    return _any(case, _singleton)


def _singleton(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return False
    codes = matrix.fe_codes[np.isin(matrix.rows, _used(case))]
    return any((np.unique(column, return_counts=True)[1] == 1).any() for column in codes.T)


def dressed_as(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the data frame held nullable or Arrow columns."""
    return any(way.request.options.get("dress") in ("nullable", "arrow") for way in ways(case))


def repeated_index(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the data frame had an index in which labels stand twice."""
    return any(way.request.options.get("dress") == "repeated index" for way in ways(case))


def listed_effect_missing(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the other effect of a list is missing in every row: the sample has five rows or fewer."""
    asked = ways(case)[-1]
    return asked.request.options.get("several") == "effects sw" and _used(asked).size <= 5
