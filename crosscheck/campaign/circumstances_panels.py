"""Do units, periods and cohorts show why an engine refuses them? A relation is looked at in either question."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import (
    Check,
    any_way,
    keys_of,
    left_over,
)
from crosscheck.campaign.cohorts import of_fixest
from crosscheck.campaign.columns import complete, used
from crosscheck.engines._oracle_sunab import saturated, sunab_parts
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse

SPANNED = 1e-6
"""Of a column's largest value: engines call it collinear from 1e-5 to 1e-12 on."""
DID_RULE = 5
"""did and csdid ask for so many units of a group beside one for the constant and one for each covariate."""


def repeated_cell(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a unit has two rows in one period."""
    return any_way(case, _repeated_cell)


def _repeated_cell(case: Case) -> bool:
    unit, time = keys_of(case)
    if unit is None or time is None:
        return False
    there = (unit >= 0) & (time >= 0)
    pairs = np.column_stack([unit[there], time[there]])
    return len(np.unique(pairs, axis=0)) < len(pairs)


def small_group(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a cohort, or the never-treated, have fewer units than did and csdid ask for; none at all, too."""
    options = case.request.options
    if case.request.estimator == "sunab":
        return no_sunab(case, one, fit, check)
    cohort, unit = options.get("cohort"), keys_of(case)[0]
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
    return any_way(case, sunab_loses_columns)


def sunab_loses_columns(case: Case) -> bool:
    """Say whether the saturated regression cannot be made, or drops one of its columns."""
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
    return any_way(case, _no_column_of_fixest)


def _no_column_of_fixest(case: Case) -> bool:
    if case.request.estimator != "sunab":
        return False
    try:
        return of_fixest(case.request, case.frame).event.size == 0
    except CrosscheckError:
        return True


def collinear_covariates(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether covariates are collinear in a cohort, or with units and periods where no row is treated."""
    options, (unit, time) = case.request.options, keys_of(case)
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
        return spanned_by(np.hstack([x[rows], dummies]), len(names))
    periods = np.unique(time[rows]) if time is not None else (0,)
    parts = (
        rows & (groups == g) & (True if time is None else time == t) for g in np.unique(groups[rows]) for t in periods
    )
    return any(spanned_by(np.hstack([x[p], np.ones((int(p.sum()), 1))]), len(names)) for p in parts if p.any())


def spanned_by(columns: NDArray[np.float64], own: int) -> bool:
    """Say whether one of the first columns is spanned by all others, or there are as many columns as rows."""
    if columns.shape[0] <= own:
        return True
    others = (np.delete(columns, j, axis=1) for j in range(own))
    return any(left_over(rest, columns[:, j]) <= SPANNED for j, rest in enumerate(others))


def ids_or_gaps(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a column of a group-time request has missing values, or a unit stands twice where it may not."""
    request, (unit, _) = case.request, keys_of(case)
    named = [n for n in used(request) if n in case.frame]
    if any(case.frame[n].missing.any() for n in named) or _repeated_cell(case):
        return True
    once = request.options.get("panel", True) is False
    return once and unit is not None and np.unique(unit).size < unit.size


def cohort_changes(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the cohort of a unit changes, also from known to missing."""
    name, (unit, _) = case.request.options.get("cohort"), keys_of(case)
    if name is None or unit is None:
        return False
    start = np.nan_to_num(case.frame[str(name)].as_float(), nan=-1.0)
    pairs = np.unique(np.column_stack([unit, start])[unit >= 0], axis=0)
    return len(pairs) > np.unique(pairs[:, 0]).size


def cohort_without_rows(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a treated cohort has no complete row in some period."""
    name, (_, time) = case.request.options.get("cohort"), keys_of(case)
    if name is None or time is None:
        return False
    start, rows = case.frame[str(name)].as_float(), complete(case.request, case.frame)
    periods = np.unique(time[time >= 0]).size
    treated = np.unique(start[np.isfinite(start) & (start != 0)])
    return any(np.unique(time[rows & (start == g) & (time >= 0)]).size < periods for g in treated)


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
