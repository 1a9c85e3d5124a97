"""Do sample and formula show why an engine refuses them? A relation is looked at in either question."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import (
    Check,
    any_way,
    keys_of,
    left_over,
    matrix_of,
    used_rows,
    with_dummies,
)
from crosscheck.campaign.circumstances_counts import few_rows
from crosscheck.campaign.circumstances_panels import SPANNED, spanned_by, sunab_loses_columns
from crosscheck.campaign.columns import formula_of
from crosscheck.engines._shared import codes_of
from crosscheck.formula_tree import INTERCEPT, Call, Name
from crosscheck.modelmatrix import reference_level

NO_SE = 1e-7
"""Of the outcome's spread over the treatment's: the designs say that there is none from 1e-10 of what effects leave."""


def one_cluster(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a cluster variable has one level in the sample."""
    return any_way(case, _one_cluster)


def _one_cluster(case: Case) -> bool:
    rows = used_rows(case)
    names = case.request.vcov.cluster or tuple(n for n in (case.request.options.get("cluster"),) if n)
    levels = (codes_of(case.frame, (name,))[rows] for name in names if name in case.frame)
    return any(np.unique(codes[codes >= 0]).size < 2 for codes in levels)


def no_covariance(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a factor of the covariance is infinite: no degrees of freedom, one cluster, one period."""
    return few_rows(case, one, fit, check) or any_way(case, lambda way: _one_cluster(way) or _one_period(way))


def _one_period(case: Case) -> bool:
    _, time = keys_of(case)
    serial = case.request.vcov.type in ("NW", "DK")
    return serial and time is not None and np.unique(time[used_rows(case)]).size < 2


def collinear_in_panel(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether regressors are collinear among the means of units or periods, or within them."""
    return few_units(case, one, fit, check) or any_way(case, lambda way: _no_regressor(way) or _collinear_in_panel(way))


def _collinear_in_panel(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return False
    for codes in (codes[matrix.rows] for codes in keys_of(case) if codes is not None):
        dummies = (codes[:, None] == np.unique(codes)).astype(np.float64)
        means = dummies.T @ matrix.X / dummies.sum(axis=0)[:, None]
        varies = [j for j in range(matrix.X.shape[1]) if np.ptp(matrix.X[:, j]) > 0]
        within = (matrix.X - dummies @ means)[:, varies]
        if spanned_by(means, means.shape[1]) or (within.size and spanned_by(within, within.shape[1])):
            return True
    return False


def constant_in_sample(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the outcome, or all that the effects leave of it, does not vary."""
    return any_way(case, _constant_in_sample)


def _constant_in_sample(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return False
    there = np.isin(matrix.rows, used_rows(case))
    y = matrix.y[there]
    effects = with_dummies(matrix)[there][:, matrix.X.shape[1] :]
    return y.size == 0 or np.ptp(y) == 0 or (bool(effects.size) and left_over(effects, y) <= 1e-10)


def one_level(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether an effect or a factor has one level in the sample."""
    return any_way(case, _one_level)


def _one_level(case: Case) -> bool:
    formula, rows = formula_of(case.request), used_rows(case)
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
    return any_way(case, _nested)


def _nested(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return False
    codes = matrix.fe_codes[np.isin(matrix.rows, used_rows(case))]
    for j, inner in enumerate(codes.T):
        for k, outer in enumerate(codes.T):
            pairs = np.unique(np.column_stack([inner, outer]), axis=0)
            if j != k and len(pairs) == np.unique(inner).size:
                return True
    return _one_level(case)


def no_regressor(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether constant and effects span every regressor; of a panel estimator, units or periods."""
    return any_way(case, lambda way: sunab_loses_columns(way) or _no_regressor(way))


def _no_regressor(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return case.request.formula != "" and used_rows(case).size == 0
    there = np.isin(matrix.rows, used_rows(case))
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
    return any_way(case, _no_exogenous)


def _no_exogenous(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None or not matrix.endogenous.shape[1]:
        return False
    x = matrix.X[np.isin(matrix.rows, used_rows(case))]
    return bool(set(matrix.names) - {INTERCEPT}) and not x[:, [n != INTERCEPT for n in matrix.names]].any()


def no_std_error(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine that answers has a standard error of the treatment that is next to nothing."""
    name, formula = case.request.options.get("treatment"), formula_of(case.request)
    if name is None or formula is None or not isinstance(formula.lhs, Name) or str(name) not in case.frame:
        return False
    rows = used_rows(case)
    y, x = (case.frame[column].as_float()[rows] for column in (formula.lhs.name, str(name)))
    rows_of = [fit(e, case.request, case.frame).coef(str(name)) for e in case.engines if e != one.identity.engine]
    errors = [row.std_error for row in rows_of if row is not None and row.std_error is not None]
    return bool(errors) and float(x.std()) > 0 and max(errors) <= NO_SE * float(y.std() / x.std())


def missing_in_poly(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a column of ``poly()`` has a missing value."""
    columns = [f.args[0].name for f in _calls(case) if f.function == "poly" and isinstance(f.args[0], Name)]
    return any(case.frame[n].missing.any() or not np.isfinite(case.frame[n].as_float()).all() for n in columns)


def reference_absent(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the reference level of ``i()`` has no row in the sample."""
    rows = used_rows(case)
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
    sizes = [np.unique(codes[matrix.rows]).size for codes in keys_of(case) if codes is not None]
    return bool(sizes) and min(sizes) <= matrix.X.shape[1]


def explained_endogenous(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the exogenous regressors, effects and instruments span an endogenous regressor."""
    return any_way(case, _explained_endogenous)


def _explained_endogenous(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None or not matrix.endogenous.shape[1]:
        return False
    there = np.isin(matrix.rows, used_rows(case))
    columns = np.hstack([with_dummies(matrix), matrix.instruments])[there]
    return any(left_over(columns, column) <= SPANNED for column in matrix.endogenous[there].T)


def singleton(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a level of an effect has one row in the sample."""
    return any_way(case, _singleton)


def _singleton(case: Case) -> bool:
    matrix = matrix_of(case)
    if matrix is None:
        return False
    codes = matrix.fe_codes[np.isin(matrix.rows, used_rows(case))]
    return any((np.unique(column, return_counts=True)[1] == 1).any() for column in codes.T)
