"""Are the columns of the model, functions and products among them, the reason why two engines differ?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, even_columns, matrix_of, nothing_new, settled, ways
from crosscheck.campaign.columns import in_terms
from crosscheck.campaign.orthogonal import orthogonal
from crosscheck.campaign.reexpressed import OF_THE_FIT
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.spec import SscSpec, VcovSpec

FAR = 100.0
"""From this ratio of size to spread on the fourth power of a condition number costs eight digits."""


def good_columns(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether two engines agree, or differ as is known, once the columns are orthogonal and of scale one.

    So it is of the two answers of one engine where a relation is checked. Also asked is the same formula of regressors
    that are centred and of scale one, so that a term that an engine makes wrongly is not excused by the columns that
    are made for it.
    """
    if case.request.estimator != "feols":
        return False
    pair = tuple(e for e in case.engines if e in (one.identity.engine, one.identity.against))
    try:
        if case.rule != "engines_agree":
            return _holds(case.with_(engines=pair), fit, check)
        made = orthogonal(case.request, case.frame)
        if not made.bad or made.request is None:
            return False
        asked = [
            case.with_(requests=(made.request,), frame=made.frame, engines=pair),
            even_columns(case).with_(engines=pair),
        ]
        if not _answered(asked[0], fit) and one.identity.quantity in (*OF_THE_FIT, "status"):
            # a covariance that one side refuses on such data says nothing of terms and estimates
            simple = {"vcov": VcovSpec(type="iid"), "ssc": SscSpec()}
            asked = [q.with_(requests=(q.request.model_copy(update=simple),)) for q in asked]
        return _answered(asked[0], fit) and all(
            nothing_new(check(again), again, "good_columns", fit, check) for again in asked
        )
    except CrosscheckError:
        return False


def _holds(case: Case, fit: Fit, check: Check) -> bool:
    """Say whether the two questions of a relation have known answers, once the columns of either are good ones."""
    bad = False
    for way in ways(case):
        made = orthogonal(way.request, way.frame)
        bad |= made.bad
        if made.request is None or not _answered(way.with_(requests=(made.request,), frame=made.frame), fit):
            return False
    even = even_columns(case)
    return (
        bad
        and all(_answered(way, fit) for way in ways(even))
        and nothing_new(check(even), even, "good_columns", fit, check)
    )


def _answered(case: Case, fit: Fit) -> bool:
    """Say whether every engine of a case gives an estimate."""
    answers = [fit(engine, case.request, case.frame) for engine in case.engines]
    return all(a.status == "ok" and any(r.estimate is not None for r in a.coefs) for a in answers)


def far_from_zero(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a regressor's size is a hundred times what it varies, and the relation holds of centred ones."""
    moved = even_columns(case)
    if not case.request.formula or moved.frame.key == case.frame.key:
        return False
    columns = [c.as_float() for c in case.frame.columns if c.name in in_terms(parse(case.request.formula))]
    far = [np.abs(x[np.isfinite(x)]).max(initial=0.0) >= FAR * np.nanstd(x) for x in columns if np.isfinite(x).any()]
    try:
        return any(far) and settled(moved, one, fit, check)
    except CrosscheckError:
        return False


def spanned_in_large_units(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether a column is spanned by others, one is in units of hundreds or more, and even columns settle it."""
    try:
        large = spans = False
        for way in ways(case):
            spans |= bool(orthogonal(way.request, way.frame).spanned)
            matrix = matrix_of(way)
            large |= matrix is not None and float(np.abs(matrix.X).max(initial=0.0)) >= FAR
        return spans and large and settled(even_columns(case), one, fit, check)
    except CrosscheckError:
        return False


def spanned_but_for_rounding(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether of the term that one engine keeps effects and other columns leave a rounding error of the column.

    A column of the data is the same in every engine; a function or a product of columns has rounding errors of its own.
    """
    if case.request.estimator != "feols" or not one.term or one.term in case.frame:
        return False
    try:
        return one.term in orthogonal(case.request, case.frame).spanned
    except CrosscheckError:
        return False
