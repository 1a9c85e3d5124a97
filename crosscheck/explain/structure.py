"""Did the two sides keep other columns of the same space: another collinear column, another reference level?

Names are not compared but what is estimable. Both sets of columns must span the same space; each side must be met by
the regression on its own columns; and the candidate's coefficients, carried over to the reference's columns, must meet
the reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.linear import lengths, orthogonalise
from crosscheck.engines._oracle_linear import LinearModel, assemble
from crosscheck.errors import CrosscheckError
from crosscheck.explain.inference import explain_inference, inference_laws
from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import Replayer, close
from crosscheck.explain.se import Match, SeCause, finite, matches_of, own_departures
from crosscheck.results import EstimationResult

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
Floats = NDArray[np.float64]
SAME_SPACE = 1e-9
MEETS = 1e-9
FACTOR = re.compile(r"factor\((.+?)\)(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """A result, the regression on the columns that it kept, and the convention of its standard errors."""

    result: EstimationResult
    made: Replayer
    match: Match


def explain_structure(reference: EstimationResult, candidate: EstimationResult, made: Replayer) -> Found:
    """Explain two results with other terms; empty where they do not estimate the same things."""
    model = made.model
    if made.request.estimator != "feols" or made.combine is not None or model.endogenous.shape[1]:
        return {}
    if any(side.stats.nobs not in (None, model.n) for side in (reference, candidate)):
        return {}
    own = _columns(model)
    sets = [tuple(r.term for r in side.coefs) for side in (reference, candidate)]
    if len(sets[0]) != len(sets[1]) or set(sets[0]) == set(sets[1]):
        return {}
    sides = []
    for result, terms in zip((reference, candidate), sets, strict=True):
        side = _fitted(result, terms, own, made)
        if side is None:
            return {}
        sides.append(side)
    ours, theirs = sides
    carry = _carried(ours.made.model, theirs.made.model)
    if carry is None:
        return {}
    level = any(term not in own for terms in sets for term in terms)
    return _explained(ours, theirs, carry, "reference.level" if level else "collinear")


def same_fit(reference: EstimationResult, candidate: EstimationResult, made: Replayer) -> bool:
    """Say whether two results with other terms span the same space and have the same X b, whatever their errors."""
    model, own = made.model, _columns(made.model)
    if model.endogenous.shape[1]:
        return False
    sides = []
    for result in (reference, candidate):
        columns = [own[r.term] if r.term in own else _level(r.term, model) for r in result.coefs]
        known = [c for c in columns if c is not None]
        if len(known) < len(columns) or any(r.estimate is None for r in result.coefs):
            return False
        again = _refitted(model, known, [r.term for r in result.coefs])
        if again is None:
            return False
        sides.append(again)
    carry = _carried(*sides)
    if carry is None:
        return False
    a, b = (np.array([r.estimate for r in side.coefs], dtype=np.float64) for side in (reference, candidate))
    room = SAME_SPACE * (np.abs(a) + np.abs(carry) @ np.abs(b)) + np.finfo(float).eps * np.abs(model.y).max(initial=0.0)
    return bool(np.all(np.abs(a - carry @ b) <= room))


def _refitted(model: LinearModel, columns: Sequence[Floats], terms: Sequence[str]) -> LinearModel | None:
    """Fit other columns on the sample of a model; ``None`` where one of them is collinear."""
    try:
        again = assemble(
            y=model.y,
            x=np.column_stack(columns),
            names=tuple(terms),
            weights=model.weights,
            effects=model.effects,
            frame=model.frame,
            frequency=model.frequency,
            intercept=model.intercept,
            rows_dropped=model.rows_dropped,
        )
    except CrosscheckError:
        return None
    return None if again.dropped else again


def _columns(model: LinearModel) -> dict[str, Floats]:
    kept = dict(zip(model.fit.kept, model.terms, strict=True))
    dropped = iter(model.dropped)
    return {kept[j] if j in kept else next(dropped): model.x[:, j] for j in range(model.x.shape[1])}


def _fitted(result: EstimationResult, terms: Sequence[str], own: Mapping[str, Floats], made: Replayer) -> Side | None:
    """Fit the columns that a side kept; ``None`` where they cannot be made or the side is not met."""
    columns = [own[t] if t in own else _level(t, made.model) for t in terms]
    known = [c for c in columns if c is not None]
    if len(known) < len(columns):
        return None
    again = _refitted(made.model, known, terms)
    if again is None:
        return None
    fitted = Replayer(made.request, again, None, again.terms)
    for row, b in zip(result.coefs, fitted.estimates, strict=True):
        if row.estimate is None or not finite(row.std_error):
            return None
        if not abs(row.estimate - b) <= MEETS * (abs(b) + float(row.std_error or 0)):
            return None
    match = next(iter(matches_of(result, fitted)), None)
    return None if match is None else Side(result=result, made=fitted, match=match)


def _level(term: str, model: LinearModel) -> Floats | None:
    """Return the indicator of a level (times numbers) that the request's own columns leave out."""
    frame = model.frame
    numbers: list[str] = []
    if "::" in term:
        name, _, rest = term.partition("::")
        level, *numbers = rest.split(":")
    elif (match := FACTOR.fullmatch(term)) is not None:
        name, level = match[1], match[2]
    else:
        names = [c.name for c in frame.columns if c.kind in ("category", "boolean") and term.startswith(c.name)]
        if not names:
            return None
        name = max(names, key=len)
        level = term.removeprefix(name)
    if name not in frame or any(n not in frame or frame[n].kind == "category" for n in numbers):
        return None
    codes, labels = frame[name].codes()
    if level not in labels:
        return None
    column = (codes == labels.index(level)).astype(np.float64)
    for number in numbers:
        column = column * frame[number].as_float()
    return np.asarray(column)


def _carried(ours: LinearModel, theirs: LinearModel) -> Floats | None:
    """Return A with X_theirs = X_ours A up to the fixed effects, shape (k, k); ``None`` where the spaces differ."""
    root = np.sqrt(ours.fit.weights)[:, None]
    swept = [m.fit.absorber.sweep(np.asarray(m.x, dtype=np.longdouble)) * root for m in (ours, theirs)]
    scale = lengths(np.asarray(ours.x, dtype=np.longdouble), ours.fit.weights)
    basis = orthogonalise(swept[0], scale)
    if len(basis.kept) < ours.x.shape[1]:
        return None
    a = basis.coefficients(swept[1])
    left = swept[1] - swept[0] @ a
    size = np.sqrt((swept[1] ** 2).sum(axis=0))
    if np.any(np.sqrt((left**2).sum(axis=0)) > SAME_SPACE * size):
        return None
    return np.asarray(a, dtype=np.float64)


def _explained(ours: Side, theirs: Side, carry: Floats, rule: str) -> Found:
    reference, candidate = ours.result, theirs.result
    terms = [r.term for r in reference.coefs]
    others = [r.term for r in candidate.coefs]
    own = np.array([r.estimate for r in candidate.coefs], dtype=np.float64)
    estimates = carry @ own
    errors = ours.match.predicted
    if len(candidate.vcov) == len(others) and not candidate.vcov_terms and ours.match.rank == theirs.match.rank == 0:
        errors = np.sqrt(np.diag(carry @ np.array(candidate.vcov) @ carry.T))
    scale = np.abs(estimates) + errors
    if any(abs(r.estimate - b) > MEETS * s for r, b, s in zip(reference.coefs, estimates, scale, strict=True)):
        return {}
    if any(not close(r.std_error, float(se)) for r, se in zip(reference.coefs, errors, strict=True)):  # type: ignore[arg-type]
        return {}
    here, there = [t for t in others if t not in terms], [t for t in terms if t not in others]
    departure = Departure(
        rule=rule,
        side=candidate.engine,
        opposite=reference.engine,
        did=", ".join(here),
        asked=", ".join(there),
    )
    listed = [departure, *own_departures(theirs.match, theirs.made, candidate.engine, reference.engine)]
    listed += own_departures(ours.match, ours.made, reference.engine, candidate.engine)
    text = f"X b is the same on both sides: {_equation(terms, others, carry, there)}"
    cause = SeCause(
        departures=tuple(listed),
        formula=text,
        note="",
        replay={t: float(se) for t, se in zip(terms, errors, strict=True)},
        factor=None,
        rank=len(listed),
        choice=ours.match.choice,
        counts=ours.match.variant.parts.counts,
        rules=ours.match.variant.parts.rules,
    )
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    laws = inference_laws(ours.match, theirs.match)
    for row, b in zip(reference.coefs, estimates, strict=True):
        found[row.term, "estimate"] = (
            write(tuple(listed), formula=text, replay=float(b), reference=row.estimate, digits=None),
        )
        found[row.term, "std_error"] = (cause.explanation(row.term, float(row.std_error or 0.0)),)
        moved = candidate.coef(row.term)
        if moved is None:
            continue
        carried = EstimationResult(engine=candidate.engine, coefs=(moved,)).coefs[0]
        for quantity, explanation in explain_inference(
            row,
            carried,
            sides=(reference.engine, candidate.engine),
            known=laws,
            level=ours.made.request.conf_level,
            cause=cause,
            std_errors_agree=False,
            estimate=float(b),
        ).items():
            found[row.term, quantity] = (explanation,)
    for term in here:
        found[term, "estimate"] = (write(tuple(listed), formula=text, replay=None, reference=None),)
    return found


def _equation(terms: Sequence[str], others: Sequence[str], carry: Floats, there: Sequence[str]) -> str:
    """Write the first coefficient that only one side has in terms of the other side's."""
    term = there[0]
    row = carry[terms.index(term)]
    parts = [f"{a:.6g} b[{o}]" for a, o in zip(row, others, strict=True) if abs(a) > 1e-9]
    return f"b[{term}] = " + (" + ".join(parts) if parts else "0")
