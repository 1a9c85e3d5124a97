"""Do the cohorts of a sample show why engines differ: who is compared with whom, and what the data determine?"""

from __future__ import annotations

import re

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, with_dummies
from crosscheck.campaign.cohorts import Cohorts, effects, of_fixest, of_the_paper, weights_in
from crosscheck.campaign.relations_models import both_questions
from crosscheck.campaign.separation import separates
from crosscheck.closedform.did import cells, comparison
from crosscheck.closedform.did_data import Control, Sample, prepare
from crosscheck.engines._oracle_did import long_data
from crosscheck.engines._oracle_sunab import sunab_parts
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse

ALIKE = 1e-6
"""Relative, of averages that fixest sweeps for iteratively."""
SPAN = 1e-9
_CELL = re.compile(r"ATT\((?P<cohort>[^,]+),(?P<time>[^)]+)\)")
_MEAN = re.compile(r"cohort::(?P<cohort>.+)|.+?::(?P<event>-?[0-9.e+]+)(:cohort::(?P<both>.+))?")


def cohorts_of_fixest(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether fixest's effects and N are least squares on the columns that its ``sunab()`` makes, which are others.

    It judges cohorts by rows that are not in the sample, overlooks the first row of each cohort but the first, and
    takes the number of a cohort for that of a row.
    """
    if case.rule == "cs_sa":
        asked = both_questions(case)
        case = case if isinstance(asked, str) else case.with_(requests=(asked[1],), frame=asked[2])
    if case.request.estimator != "sunab":
        return False
    result = fit("r.fixest", case.request, case.frame)
    if result.status != "ok":
        return False
    try:
        made = of_fixest(case.request, case.frame)
        if _same_columns(made, _paper(case)):
            return False
        weights = weights_in(case.request, case.frame, made.matrix)
        expected = effects(case.request, made, weights, result.dropped)
    except CrosscheckError:
        return False
    frequency = case.request.weights is not None and case.request.weights.type == "frequency"
    if result.stats.nobs is not None and result.stats.nobs != float(weights.sum() if frequency else weights.size):
        return False
    found = {
        row.term: row.estimate for row in result.coefs if row.term not in made.matrix.names or row.term in expected
    }
    found = {term: value for term, value in found.items() if _MEAN.fullmatch(term) or term == "ATT"}
    if set(found) != set(expected):
        return False
    scale = ALIKE * max(float(np.abs(made.matrix.y).max(initial=0.0)), 1e-300)
    return all(v is not None and abs(v - expected[term]) <= scale for term, v in found.items())


def one_cell_and_missing(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether ``sunab()`` of fixest makes a single column, and a row lacks cohort or period."""
    if case.request.estimator != "sunab":
        return False
    try:
        made = of_fixest(case.request, case.frame)
        _, cohort, period = sunab_parts(parse(case.request.formula, columns=case.frame.names))
    except CrosscheckError:
        return False
    return made.event.size == 1 and bool((case.frame[cohort].missing | case.frame[period].missing).any())


def undetermined_effect(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the cells of an effect by cohort and period are in the span of the other columns.

    Which of collinear columns goes is a choice then, and so is what is left of the average.
    """
    if case.request.estimator != "sunab":
        return False
    try:
        made = of_the_paper(case.request, case.frame)
    except CrosscheckError:
        return False
    first = len(made.matrix.names) - made.event.size
    mine = first + np.flatnonzero(_cells_of(one.term, made))
    x = with_dummies(made.matrix)
    size = np.linalg.norm(x, axis=0)
    x = x[:, size > 0] / size[size > 0]
    _, s, vt = np.linalg.svd(x, full_matrices=True)
    null = vt[int((s > SPAN * s.max(initial=0.0)).sum()) :]
    place = np.cumsum(size > 0) - 1
    return any(size[j] > 0 and float(np.abs(null[:, place[j]]).max(initial=0.0)) > SPAN for j in mine)


def separated_groups(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether covariates separate treated from compared units, so that the logit of the score has no maximum."""
    options = case.request.options
    if options.get("est_method") == "reg" or not options.get("covariates"):
        return False
    sample = _sample(case)
    if sample is None:
        return False
    anticipation, data = float(options.get("anticipation") or 0), sample.data
    cell = _CELL.fullmatch(one.term)
    for g, t, start in cells(sample, base=options.get("base_period") or "varying", anticipation=anticipation):
        if start == t or (cell is not None and (float(cell["cohort"]), float(cell["time"])) != (g, t)):
            continue
        compared = comparison(data.cohort, g, max(t, start) + anticipation, _control(case))
        used = (data.cohort == g) | compared
        at = data.time == min(t, start) if sample.balanced else (data.time == t) | (data.time == start)
        rows = used & at & (data.weights > 0)
        if separates(data.x[rows], data.cohort[rows] == g):
            return True
    return False


def weightless_cell(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the treated, or the compared, of a cell all have weights of zero, so that it has no number."""
    sample, options = _sample(case), case.request.options
    if sample is None:
        return False
    anticipation, data = float(options.get("anticipation") or 0), sample.data
    for g, t, start in cells(sample, base=options.get("base_period") or "varying", anticipation=anticipation):
        if start == t:
            continue
        compared = comparison(data.cohort, g, max(t, start) + anticipation, _control(case))
        for side in (data.cohort == g, compared):
            rows = side & (data.time == min(t, start))
            if rows.any() and not data.weights[rows].any():
                return True
    return False


def balanced_before(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the discrepancy goes once units that lack a period, or a number in one, are left out beforehand."""
    options = case.request.options
    if case.request.estimator != "att_gt" or options.get("allow_unbalanced") or not options.get("panel", True):
        return False
    try:
        data = long_data(case.request, case.frame)
    except CrosscheckError:
        return False
    whole = np.isfinite(data.y) & np.isfinite(data.time) & np.isfinite(data.weights) & (data.unit >= 0)
    whole &= np.isfinite(data.x).all(axis=1)
    rows = np.bincount(data.unit[whole], minlength=int(data.unit.max(initial=0)) + 1)
    complete = whole & (rows[data.unit] == np.unique(data.time[whole]).size)
    if complete.all() or not complete.any():
        return False
    return _goes(case.with_(frame=case.frame.take(complete)), one, fit, check)


def always_treated(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the discrepancy goes once the units that are treated in the first period are left out."""
    options = case.request.options
    cohort, time = str(options.get("cohort") or ""), str(options.get("time") or case.request.time or "")
    if case.request.estimator != "att_gt" or not {cohort, time} <= set(case.frame.names):
        return False
    start, period = case.frame[cohort].as_float(), case.frame[time].as_float()
    always = (start <= np.nanmin(period) + float(options.get("anticipation") or 0)) & (start != 0)
    return bool(always.any()) and _goes(case.with_(frame=case.frame.take(~always)), one, fit, check)


def _goes(rest: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether both engines answer on the rows that are left, and no longer differ."""
    asked = [e for e in (one.identity.engine, one.identity.against) if e]
    if any(fit(engine, rest.request, rest.frame).status != "ok" for engine in asked):
        return False
    return not any(one.identity.same_bug(d.identity) for d in check(rest))


def _paper(case: Case) -> Cohorts | None:
    try:
        return of_the_paper(case.request, case.frame)
    except CrosscheckError:
        return None  # no cohort has rows before and after treatment in the sample


def _same_columns(one: Cohorts, other: Cohorts | None) -> bool:
    return (
        other is not None
        and one.matrix.names == other.matrix.names
        and np.array_equal(one.matrix.rows, other.matrix.rows)
        and np.array_equal(one.matrix.X, other.matrix.X)
    )


def _cells_of(term: str, made: Cohorts) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    match = _MEAN.fullmatch(term)
    if match is None:
        return made.event >= 0
    if match["cohort"] is not None:
        return np.asarray((made.cohort == float(match["cohort"])) & (made.event >= 0))
    mine = made.event == float(match["event"])
    return np.asarray(mine & (made.cohort == float(match["both"])) if match["both"] is not None else mine)


def _control(case: Case) -> Control:
    return "notyettreated" if case.request.options.get("control_group") == "notyettreated" else "nevertreated"


def _sample(case: Case) -> Sample | None:
    options = case.request.options
    if case.request.estimator != "att_gt":
        return None
    try:
        return prepare(
            long_data(case.request, case.frame),
            control=_control(case),
            anticipation=float(options.get("anticipation") or 0),
            panel=bool(options.get("panel", True)),
            allow_unbalanced=bool(options.get("allow_unbalanced", False)),
        )
    except CrosscheckError:
        return None
