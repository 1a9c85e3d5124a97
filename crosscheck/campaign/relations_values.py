"""How do the answers change with the units of measurement of the outcome and of a regressor?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.case import Case
from crosscheck.campaign.columns import (
    absorbs_constant,
    formula_of,
    in_terms,
    numbers,
    outcome,
    plain_regressors,
    put,
    used,
    uses,
)
from crosscheck.campaign.invariance import ALL, COEFFICIENTS, Carry, Question, Twin
from crosscheck.campaign.precision import precision_of
from crosscheck.campaign.relation import Relation
from crosscheck.formula_tree import INTERCEPT
from crosscheck.frame import Column, Frame

LINEAR = ("feols", "sunab", "re", "between", "att_gt")
NEAR_FIT = "the residuals are rounding errors"


def _twin(case: Case, frame: Frame, carry: Carry) -> Twin:
    return Twin(
        first=Question(request=case.request, frame=case.frame),
        second=Question(request=case.request, frame=frame),
        carry=carry,
    )


def _movable_outcome(case: Case) -> str:
    """Return the outcome where it is a column that stands nowhere else in the request."""
    name = outcome(case.request)
    formula = formula_of(case.request)
    if not name or case.request.estimator not in LINEAR:
        return ""
    return "" if formula is not None and in_terms(formula)[name] > 1 else name


def scale_outcome(case: Case, rng: np.random.Generator) -> Twin | str:
    """Measure the outcome in another unit, or with the other sign."""
    name = _movable_outcome(case)
    if not name:
        return "the outcome is not a plain column of a linear model"
    factor = float(rng.choice([1000.0, 0.001, -2.0]))
    values = case.frame[name].as_float() * factor
    return _twin(case, put(case.frame, Column(name, "float", values)), Carry(factor=factor))


def shift_outcome(case: Case, rng: np.random.Generator) -> Twin | str:
    """Count the outcome from another zero."""
    name, formula = _movable_outcome(case), formula_of(case.request)
    if not name:
        return "the outcome is not a plain column of a linear model"
    if formula is not None and not absorbs_constant(formula):
        return "nothing in the model takes up a constant"
    by = float(rng.choice([100.0, -7.5]))
    if case.request.estimator == "re" or (formula is not None and formula.intercept):
        # R2 after random effects is about the mean of an outcome whose constant is transformed with it.
        quantities = ALL - {"r2", "adj_r2"} if case.request.estimator == "re" else ALL
        carry = Carry(shifts={INTERCEPT: by}, quantities=quantities)
    else:
        carry = Carry()
    return _twin(case, put(case.frame, Column(name, "float", case.frame[name].as_float() + by)), carry)


def group_constants(case: Case, rng: np.random.Generator) -> Twin | str:
    """Add a constant for each unit and each period to the outcome, as far as the model has effects of them."""
    name, formula, request = _movable_outcome(case), formula_of(case.request), case.request
    if not name:
        return "the outcome is not a plain column of a linear model"
    if formula is None and (not request.options.get("panel", True) or request.options.get("allow_unbalanced")):
        return "the outcome is not differenced within units"
    absorbed = (
        [parts[0] for parts in formula.fixed_effects if len(parts) == 1]
        if formula is not None
        else [
            n for n in (request.options.get("unit") or request.unit, request.options.get("time") or request.time) if n
        ]
    )
    if not absorbed:
        return "the model has no effects of units or periods"
    values = case.frame[name].as_float()
    for column in absorbed:
        codes, labels = case.frame[column].codes()
        values = values + np.where(codes < 0, 0.0, rng.integers(-5, 6, len(labels) + 1)[codes])
    quantities = ALL - {"r2", "adj_r2"}
    return _twin(case, put(case.frame, Column(name, "float", values)), Carry(quantities=quantities))


def scale_regressor(case: Case, rng: np.random.Generator) -> Twin | str:
    """Measure a regressor in another unit."""
    found = plain_regressors(case.request, case.frame)
    if not found or case.request.estimator not in ("feols", "fepois", "feglm", "sunab", "re", "between"):
        return "no column is a regressor and nothing else"
    precision = precision_of(case.request, case.frame)
    if not precision.full_rank:
        return "a regressor is collinear with others, and another may be dropped"
    name = str(rng.choice(found))
    factor = float(rng.choice([1000.0, 0.001, -2.0]))
    values = case.frame[name].as_float() * factor
    return _twin(case, put(case.frame, Column(name, "float", values)), Carry(factors={name: 1 / factor}))


def shift_regressor(case: Case, rng: np.random.Generator) -> Twin | str:
    """Count a regressor from another zero."""
    found, formula = plain_regressors(case.request, case.frame), formula_of(case.request)
    if not found or formula is None or case.request.estimator not in ("feols", "fepois", "feglm", "sunab"):
        return "no column is a regressor and nothing else"
    if not absorbs_constant(formula):
        return "nothing in the model takes up a constant"
    if not precision_of(case.request, case.frame).full_rank:
        return "a regressor is collinear with others, and another may be dropped"
    name = str(rng.choice(found))
    values = case.frame[name].as_float()
    values = values + float(rng.choice([10.0, -3.5])) * float(np.nanstd(values))
    return _twin(case, put(case.frame, Column(name, "float", values)), Carry(without=frozenset({INTERCEPT})))


def scale_instruments(case: Case, rng: np.random.Generator) -> Twin | str:
    """Measure the instruments in other units."""
    formula = formula_of(case.request)
    if formula is None or formula.iv is None:
        return "there are no instruments"
    counts = in_terms(formula)
    made = []
    for term in formula.iv.instruments:
        name = getattr(term[0], "name", "")
        if len(term) != 1 or not name or counts[name] > 1 or case.frame[name].kind not in ("float", "integer"):
            return "an instrument is not a plain column"
        made.append(Column(name, "float", case.frame[name].as_float() * float(rng.choice([100.0, -0.5]))))
    return _twin(case, put(case.frame, *made), Carry())


def whole_numbers(case: Case, rng: np.random.Generator) -> Twin | str:
    """Hold whole numbers as floats and floats that are whole as integers."""
    made, named = [], used(case.request)
    formula = formula_of(case.request)
    if uses(case.request, "i", "factor"):
        return "the labels of levels are written by kind"
    for column in case.frame.columns:
        if column.name not in named:
            continue
        if column.kind == "integer":
            if formula is None or column.name in in_terms(formula):
                made.append(Column(column.name, "float", column.as_float()))
        elif column.kind == "float":
            again = numbers(column.name, column.values)
            if again.kind == "integer":
                made.append(again)
    if not made:
        return "no column holds whole numbers"
    return _twin(case, put(case.frame, *made), Carry())


def flip_outcome(case: Case, rng: np.random.Generator) -> Twin | str:
    """Exchange the two outcomes of a logit or probit: the coefficients change their signs."""
    name = outcome(case.request)
    if case.request.estimator != "feglm" or case.request.options.get("family") not in ("logit", "probit") or not name:
        return "the outcome is not binary"
    values = case.frame[name].as_float()
    if not set(np.unique(values[~np.isnan(values)])) <= {0.0, 1.0}:
        return "the outcome is not binary"
    quantities = COEFFICIENTS | {"terms", "nobs", "df_resid"}
    return _twin(case, put(case.frame, numbers(name, 1 - values)), Carry(factor=-1.0, quantities=quantities))


def scale_counts(case: Case, rng: np.random.Generator) -> Twin | str:
    """Count in another unit: Poisson coefficients stay, the intercept moves by its logarithm."""
    request, name = case.request, outcome(case.request)
    if request.estimator != "fepois" or not name:
        return "the estimator is not Poisson"
    if request.vcov.type == "iid":
        return "the variance of a Poisson variable is its mean, in its own unit"
    formula = formula_of(request)
    if formula is None or not absorbs_constant(formula):
        return "nothing in the model takes up a constant"
    factor = 4.0
    shifts = {INTERCEPT: float(np.log(factor))} if formula.intercept else {}
    return _twin(
        case,
        put(case.frame, Column(name, "float", case.frame[name].as_float() * factor)),
        Carry(shifts=shifts, quantities=COEFFICIENTS | {"terms", "nobs", "df_resid"}),
    )


RELATIONS = (
    Relation(id="scale_outcome", title="The outcome's unit scales estimates and standard errors.", make=scale_outcome),
    Relation(id="shift_outcome", title="The outcome's zero moves the intercept alone.", make=shift_outcome),
    Relation(id="group_constants", title="Constants of units and periods are absorbed.", make=group_constants),
    Relation(id="scale_regressor", title="A regressor's unit scales its own coefficient alone.", make=scale_regressor),
    Relation(id="shift_regressor", title="A regressor's zero moves the intercept alone.", make=shift_regressor),
    Relation(id="scale_instruments", title="The units of instruments decide nothing.", make=scale_instruments),
    Relation(id="whole_numbers", title="How whole numbers are held decides nothing.", make=whole_numbers),
    Relation(id="flip_outcome", title="Exchanging the outcomes changes the signs.", make=flip_outcome),
    Relation(id="scale_counts", title="The unit of counts moves the intercept alone.", make=scale_counts),
)
