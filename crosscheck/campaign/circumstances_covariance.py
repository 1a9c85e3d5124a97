"""Is the covariance one that engines take, repair or cut off differently?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, matrix_of, nothing_new, settled
from crosscheck.campaign.columns import numbers, put
from crosscheck.campaign.columns import outcome as outcome_of
from crosscheck.campaign.precision import precision_of
from crosscheck.engines._shared import codes_of, lag_of
from crosscheck.frame import Column


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


def effect_of_zero(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the relation holds once every level of every effect has a constant of its own in the outcome.

    The effects absorb them, and none of them is estimated as zero any more. Residuals, slopes and leverages are what
    they were.
    """
    matrix, outcome = matrix_of(case), outcome_of(case.request)
    if matrix is None or not matrix.fe_codes.size or outcome not in case.frame:
        return False
    y = case.frame[outcome].as_float().copy()
    spread = float(np.ptp(matrix.y)) or 1.0
    for place, codes in enumerate(matrix.fe_codes.T):
        y[matrix.rows] += spread * np.sqrt(2.0 + place) * (1.0 + codes / (1.0 + codes.max()))
    return settled(case.with_(frame=put(case.frame, Column(outcome, "float", y))), one, fit, check)


def last_lag(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the bandwidth reaches the last lag that there is, T - 1."""
    if case.request.time is None:
        return False
    matrix = matrix_of(case)
    codes = codes_of(case.frame, (case.request.time,))
    periods = {int(c) for c in (codes if matrix is None else codes[matrix.rows]) if c >= 0}
    return lag_of(case.request, len(periods)) >= len(periods) - 1


def no_pair_at_the_last_lag(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether no unit has as many rows as the bandwidth has lags and one, so that the last lag pairs none."""
    request, matrix = case.request, matrix_of(case)
    if request.unit is None or request.time is None or matrix is None:
        return False
    unit, time = (codes_of(case.frame, (name,))[matrix.rows] for name in (request.unit, request.time))
    there = (unit >= 0) & (time >= 0)
    periods = np.unique(time[there]).size
    return bool(there.any()) and int(np.bincount(unit[there]).max()) <= lag_of(request, periods)


def last_period_incomplete(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether units lack the last period alone, and the relation holds once they stand after all others.

    Their rows are put last and they are called by the highest numbers, neither of which an autocovariance knows. What
    is left may be known of itself, such as the last lag.
    """
    request, matrix = case.request, matrix_of(case)
    if request.unit is None or request.time is None or matrix is None:
        return False
    unit, time = (codes_of(case.frame, (name,)) for name in (request.unit, request.time))
    rows = matrix.rows[(unit[matrix.rows] >= 0) & (time[matrix.rows] >= 0)]
    if request.weights is not None:
        rows = rows[case.frame[request.weights.column].as_float()[rows] > 0]
    if not rows.size:
        return False
    periods, counts = np.unique(time[rows], return_counts=True)
    units, last = np.unique(unit[rows]), unit[rows][time[rows] == periods[-1]]
    if not (counts[:-1] == units.size).all() or not 0 < counts[-1] < units.size:
        return False
    order = np.concatenate([np.unique(last), np.setdiff1d(np.unique(unit), last)])
    place = np.full(int(unit.max()) + 2, np.nan)  # the last place is that of rows without a unit
    place[order[order >= 0]] = np.arange(np.count_nonzero(order >= 0))
    renamed = numbers(request.unit, place[unit])
    sorted_ = put(case.frame, renamed).take(np.argsort(place[unit], kind="stable"))
    again = case.with_(frame=sorted_)
    left = [d for d in check(again) if one.identity.same_bug(d.identity)]
    return nothing_new(left, again, "last_period_incomplete", fit, check)


def last_unit(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the relation holds once the unit of the last row in time is the last unit by name as well."""
    request = case.request
    if request.unit is None or request.time is None or request.unit in request.vcov.cluster:
        return False
    matrix = matrix_of(case)
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
