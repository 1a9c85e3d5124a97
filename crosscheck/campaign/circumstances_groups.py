"""Do the cohorts, or the covariates of group-time effects, show why numbers differ?"""

from __future__ import annotations

import math

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check
from crosscheck.campaign.columns import numbers, put
from crosscheck.engines._oracle_did import averages, group_time
from crosscheck.errors import CrosscheckError
from crosscheck.frame import Column, Frame

FAR = 1e3


def covariate_units(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether covariates are far from zero or in odd units, and the discrepancy goes at mean zero and scale one."""
    odd = False
    names_ = [n for n in case.request.options.get("covariates") or () if n in case.frame]
    moved = {}
    for name in names_:
        if case.frame[name].kind == "category":
            continue
        x = case.frame[name].as_float()
        scale = float(np.nanstd(x)) if np.isfinite(x).any() else 0.0
        if scale > 0:
            odd |= not 1 / FAR < scale < FAR or abs(float(np.nanmean(x))) > FAR * scale
            moved[name] = Column(name, "float", (x - np.nanmean(x)) / scale)
    if not odd:
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


def no_reference_period(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether no treated row is one period before its treatment: the reference of an event study is none."""
    options = case.request.options
    time, cohort = str(options.get("time") or case.request.time), str(options.get("cohort"))
    if time not in case.frame or cohort not in case.frame:
        return False
    since = case.frame[time].as_float() - case.frame[cohort].as_float()
    return not bool(np.any(since == -1))


def anticipated_later_cohort(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a cohort anticipates a start after the last period, and all agree once it is never treated."""
    options = case.request.options
    cohort, time = str(options.get("cohort") or ""), str(options.get("time") or case.request.time or "")
    if (
        case.request.estimator != "att_gt"
        or not options.get("anticipation")
        or not {cohort, time} <= set(case.frame.names)
    ):
        return False
    starts, last = case.frame[cohort].as_float(), float(np.nanmax(case.frame[time].as_float()))
    later = (starts > last) & (starts <= last + options["anticipation"])
    if not later.any():
        return False
    frame = put(case.frame, numbers(cohort, np.where(later, 0.0, starts)))
    if one.identity.quantity == "status" and fit(one.identity.against, case.request, frame).status != "ok":
        return True  # with no cohort left the one that gave numbers refuses as well
    return not any(one.identity.same_bug(d.identity) for d in check(case.with_(frame=frame)))
