"""What is a circumstance, and what do several of them look at?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.cohorts import of_the_paper
from crosscheck.campaign.columns import beside_formula, complete, formula_of, groupings, in_terms, outcome, put
from crosscheck.campaign.predictions import split_of
from crosscheck.campaign.reexpressed import reexpressed
from crosscheck.campaign.relation import Relation
from crosscheck.campaign.relations import RELATIONS
from crosscheck.engines._shared import codes_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.frame import Column
from crosscheck.modelmatrix import ModelMatrix, model_matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Check = Callable[[Case], tuple[Discrepancy, ...]]
Circumstance = Callable[[Case, Discrepancy, Fit, Check], bool]


def matrix_of(case: Case) -> ModelMatrix | None:
    """Return the sample and columns of the first request, or ``None`` where they cannot be had."""
    request = case.request
    also = beside_formula(request)
    try:
        if request.estimator == "sunab":
            return of_the_paper(request, case.frame).matrix
        return model_matrix(parse(request.formula), case.frame, unit=request.unit, time=request.time, also=also)
    except CrosscheckError:
        return None


def with_dummies(matrix: ModelMatrix) -> Floats:
    """Return the regressors and, after them, a dummy for each level of each effect, shape (n, k + levels)."""
    blocks = [matrix.X]
    for codes in matrix.fe_codes.T:
        blocks.append((codes[:, None] == np.unique(codes)).astype(np.float64))
    return np.hstack(blocks)


def left_over(x: Floats, y: Floats) -> float:
    """Return how much of y the columns of x leave, as a share of its largest value."""
    scale = float(np.abs(y).max(initial=0.0))
    if scale == 0.0:
        return 0.0
    return float(np.abs(rest_of(x, y)).max()) / scale


def rest_of(x: Floats, y: Floats) -> Floats:
    """Return what the columns of x leave of y, shape (n,)."""
    size = np.linalg.norm(x, axis=0)
    x = x[:, size > 0] / size[size > 0]
    return y - x @ np.linalg.lstsq(x, y, rcond=1e-12)[0] if x.size else y


def ways(case: Case) -> tuple[Case, ...]:
    """Return the case as its property asks it: once, both questions of a relation, without held-out rows."""
    if case.rule == "predictions":
        train, _ = split_of(case)
        return (case.with_(frame=case.frame.take(train)),)
    for relation in RELATIONS:
        if relation.id == case.rule and isinstance(relation, Relation):
            twin = relation.twin(case)
            if not isinstance(twin, str):
                return tuple(case.with_(requests=(q.request,), frame=q.frame) for q in (twin.first, twin.second))
    return (case,)


def in_good_basis(case: Case) -> tuple[Case, ...]:
    """Return the case with regressors centred, orthogonal and of one scale; nothing where that cannot be written."""
    try:
        other = reexpressed(case.request, case.frame)
    except CrosscheckError:
        return ()
    if other is None:
        return ()
    _, asked, frame = other
    return (case.with_(requests=(asked, *case.requests[1:]), frame=frame),)


def even_columns(case: Case) -> Case:
    """Return the case with each column of numbers in its terms, or covariate, at mean zero and scale one.

    The outcome stays.
    """
    formula = formula_of(case.request)
    named = list(in_terms(formula)) if formula is not None else [*(case.request.options.get("covariates") or ())]
    kept = {outcome(case.request), *groupings(case.request)}
    moved = []
    for name in named:
        column = case.frame[name] if name in case.frame and name not in kept else None
        if column is None or column.kind not in ("float", "integer"):
            continue
        x = column.as_float()
        scale = float(np.nanstd(x)) if np.isfinite(x).any() else 0.0
        if scale > 0:
            moved.append(Column(name, "float", (x - np.nanmean(x)) / scale))
    return case.with_(frame=put(case.frame, *moved))


def settled(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engines of a discrepancy answer a case, in both ways where there are two, and it is not there."""
    who = one.identity
    pair = tuple(e for e in case.engines if e in (who.engine, who.against))
    for way in ways(case):
        answers = [fit(engine, way.request, way.frame) for engine in pair]
        if not all(a.status == "ok" and any(r.estimate is not None for r in a.coefs) for a in answers):
            return False
    return not any(who.same_bug(d.identity) for d in check(case))


def nothing_new(found: Iterable[Discrepancy], case: Case, name: str, fit: Fit, check: Check) -> bool:
    """Say whether each discrepancy of a case is known by another circumstance than the one of this name.

    Two faults may meet on one case: what is left once the one is taken away has to be the other.
    """
    from crosscheck.campaign.circumstances import CIRCUMSTANCES  # they stand there beside those that ask
    from crosscheck.campaign.known import known_rows, recognise, traits_of

    def known(one: Discrepancy) -> bool:
        def shown(other: str) -> bool:
            return other != name and CIRCUMSTANCES[other](case, one, fit, check)

        return recognise(one, known_rows(), traits_of(case), shown) is not None

    return all(known(one) for one in found)


def any_way(case: Case, shown: Callable[[Case], bool]) -> bool:
    """Say whether something is shown in one of the ways that the property asks."""
    return any(shown(way) for way in ways(case))


def keys_of(case: Case) -> tuple[Codes | None, Codes | None]:
    """Return the codes of unit and period, of shape (n,), missing -1; ``None`` where the request names none."""
    names = (case.request.options.get(w) or getattr(case.request, w) for w in ("unit", "time"))
    unit, time = (codes_of(case.frame, (str(n),)) if n is not None and str(n) in case.frame else None for n in names)
    return unit, time


def used_rows(case: Case) -> NDArray[np.intp]:
    """Return the rows of the sample, by place."""
    matrix = matrix_of(case) if case.request.formula else None
    if matrix is None:
        return np.flatnonzero(complete(case.request, case.frame))
    rows = matrix.rows
    if case.request.weights is not None:
        rows = rows[case.frame[case.request.weights.column].as_float()[rows] > 0]
    return rows
