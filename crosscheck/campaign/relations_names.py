"""Which names decide nothing: those of units, of levels, of periods; and which orders?"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from crosscheck.campaign.case import Case
from crosscheck.campaign.columns import (
    absorbs_constant,
    formula_of,
    groupings,
    in_terms,
    level_column,
    numbers,
    put,
    uses,
    with_request,
)
from crosscheck.campaign.invariance import ALL, Carry, Question, Twin
from crosscheck.campaign.precision import precision_of
from crosscheck.campaign.relation import Relation
from crosscheck.formula import Call, Name, Number, emit
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest

REGRESSIONS = ("feols", "fepois", "feglm")
NAMES = ("T", "NA", "01", "1", "Ωmega", "x y", "a:b", "null", "-1")


def _twin(case: Case, frame: Frame, request: FitRequest | None = None, carry: Carry | None = None) -> Twin:
    return Twin(
        first=Question(request=case.request, frame=case.frame),
        second=Question(request=request or case.request, frame=frame),
        carry=carry or Carry(),
    )


def relabel_units(case: Case, rng: np.random.Generator) -> Twin | str:
    """Exchange the names of the units."""
    name = str(case.request.options.get("unit") or case.request.unit or "")
    formula = formula_of(case.request)
    if not name or name not in case.frame:
        return "there are no units"
    if formula is not None and in_terms(formula)[name]:
        return "units are regressors"
    if "draws" in case.request.options or "seed" in case.request.options:
        return "draws go to units by their names"
    if case.request.options.get("constant") is True:
        return "the constant is that of the first levels by name"
    return _twin(case, put(case.frame, _exchanged(case.frame[name], rng)))


def _exchanged(column: Column, rng: np.random.Generator) -> Column:
    """Return the column with its values exchanged among themselves."""
    if column.kind == "category":
        order = rng.permutation(len(column.levels)).astype(np.int32)
        return Column(column.name, "category", np.where(column.values < 0, -1, order[column.values]), column.levels)
    codes, _ = column.codes()
    known = np.unique(column.values[~column.missing])
    mixed = np.append(rng.permutation(known), 0)[codes].astype(column.values.dtype)
    return Column(column.name, column.kind, np.where(column.missing, column.values, mixed))


def relabel_levels(case: Case, rng: np.random.Generator) -> Twin | str:
    """Give fixed effects and clusters other names, held as text."""
    request, formula = case.request, formula_of(case.request)
    if formula is None or request.estimator not in REGRESSIONS or uses(request, "lag"):
        return "units and periods have an order here"
    kept = {request.unit, request.time} if request.vcov.type in ("NW", "DK") else set()
    found = [n for n in groupings(request) if n in case.frame and not in_terms(formula)[n] and n not in kept]
    absorbed = {name for parts in formula.fixed_effects for name in parts} | set(request.vcov.cluster)
    found = [n for n in found if n in absorbed]
    if not found:
        return "there are neither fixed effects nor clusters"
    made = []
    for name in found:
        column = case.frame[name]
        count = len(column.codes()[1])
        words = [NAMES[k] if k < len(NAMES) else f"level {k}" for k in range(count)]
        made.append(level_column(column, dict(enumerate(words[k] for k in rng.permutation(count)))))
    return _twin(case, put(case.frame, *made))


def shift_periods(case: Case, rng: np.random.Generator) -> Twin | str:
    """Count periods from another zero, cohorts with them."""
    request, formula = case.request, formula_of(case.request)
    time = str(request.options.get("time") or request.time or "")
    if not time or time not in case.frame or case.frame[time].kind != "integer":
        return "there are no numbered periods"
    if request.estimator in ("re", "between") or (formula is None and request.estimator != "att_gt"):
        return "the estimator does not look at periods"
    if formula is not None and any(_is_number(term, time) for term in formula.terms):
        return "periods are a number of the model"
    if uses(request, "factor") and formula is not None and in_terms(formula)[time]:
        return "periods are levels of a factor"
    by = 1_000 if request.estimator != "sunab" else 10_000
    values = case.frame[time].as_float()
    if values.size and np.nanmax(np.abs(values)) > 2**40:
        return "periods are too large to be moved exactly"
    made = [numbers(time, values + by)]
    cohort = str(request.options.get("cohort") or "")
    if cohort and cohort in case.frame:
        start = case.frame[cohort].as_float()
        made.append(numbers(cohort, np.where(start == 0, 0.0, start + by)))
    moved = request
    if formula is not None and in_terms(formula)[time]:
        moved = with_request(request, formula=emit(_moved_reference(formula, time, by)))
    if isinstance(request.options.get("start"), int | float):  # of the placebo's treatment, counted as the periods are
        moved = with_request(moved, options={**moved.options, "start": request.options["start"] + by})
    return _twin(case, put(case.frame, *made), moved, Carry(rename=_Moved(time, by, bool(cohort))))


class _Moved:
    """Writes the name of a coefficient as it is called when periods are counted from another zero."""

    def __init__(self, time: str, by: int, cohorts: bool) -> None:
        self._time, self._by, self._cohorts = time, by, cohorts

    def __call__(self, term: str) -> str:
        def add(match: re.Match[str]) -> str:
            return f"{match[1]}{int(match[2]) + self._by}"

        if term.startswith("ATT("):
            return re.sub(r"([(,])(-?\d+)", add, term)
        if self._cohorts:
            return re.sub(r"^((?:group|year)=|.*cohort::)(-?\d+)$", add, term)
        return re.sub(rf"({re.escape(self._time)}::)(-?\d+)", add, term)


def _is_number(term: tuple[object, ...], name: str) -> bool:
    for factor in term:
        if isinstance(factor, Call) and factor.function in ("i", "sunab") and factor.args[0] == Name(name):
            continue
        if isinstance(factor, Call) and factor.function == "sunab":
            continue
        if factor == Name(name) or (isinstance(factor, Call) and any(arg == Name(name) for arg in factor.args)):
            return True
    return False


def _moved_reference(formula, time: str, by: int):  # type: ignore[no-untyped-def]
    terms = []
    for term in formula.terms:
        factors = []
        for factor in term:
            mine = isinstance(factor, Call) and factor.function == "i" and factor.args[0] == Name(time)
            if mine and isinstance(factor.ref, Number):
                factors.append(replace(factor, ref=Number(factor.ref.value + by)))
            else:
                factors.append(factor)
        terms.append(tuple(factors))
    return replace(formula, terms=tuple(terms))


def term_order(case: Case, rng: np.random.Generator) -> Twin | str:
    """Write the terms, the fixed effects and the instruments in the opposite order."""
    request, formula = case.request, formula_of(case.request)
    if formula is None or request.estimator == "sunab":
        return "there is no order of terms"
    if (
        len(formula.terms) < 2
        and len(formula.fixed_effects) < 2
        and (formula.iv is None or len(formula.iv.instruments) < 2)
    ):
        return "there is one term"
    if not absorbs_constant(formula):
        return "without a constant the first factor is written out in full"
    if any(len(term) > 1 for term in formula.terms):
        return "an interaction is named after the order of its parts"
    if not precision_of(request, case.frame).full_rank:
        return "a regressor is collinear with others, and another may be dropped"
    iv = formula.iv
    turned = replace(
        formula,
        terms=formula.terms[::-1],
        fixed_effects=formula.fixed_effects[::-1],
        iv=replace(iv, instruments=iv.instruments[::-1]) if iv is not None else None,
    )
    return _twin(case, case.frame, with_request(request, formula=emit(turned)))


def rename_columns(case: Case, rng: np.random.Generator) -> Twin | str:
    """Call a regressor something else."""
    request, formula = case.request, formula_of(case.request)
    if formula is None or request.estimator not in REGRESSIONS:
        return "there are no regressors"
    counts = in_terms(formula)
    found = [
        term[0].name
        for term in formula.terms
        if len(term) == 1 and isinstance(term[0], Name) and counts[term[0].name] == 1
        and case.frame[term[0].name].kind in ("float", "integer")
        and term[0].name not in groupings(request)
    ]  # fmt: skip
    if not found:
        return "no column is a regressor and nothing else"
    old = found[0]
    new = next(n for n in ("F", "T", "c", "Sum of x") if n not in case.frame)
    turned = replace(formula, terms=tuple((Name(new),) if t == (Name(old),) else t for t in formula.terms))
    column = case.frame[old]
    frame = Frame(
        tuple(
            Column(new, column.kind, column.values, column.levels) if c.name == old else c for c in case.frame.columns
        ),
        case.frame.nrows,
    )
    return _twin(
        case,
        frame,
        with_request(request, formula=emit(turned), columns=tuple(new if c == old else c for c in request.columns)),
        Carry(rename=lambda term: new if term == old else term, quantities=ALL),
    )


RELATIONS = (
    Relation(id="relabel_units", title="The names of units decide nothing.", make=relabel_units),
    Relation(id="relabel_levels", title="The names of levels decide nothing.", make=relabel_levels),
    Relation(id="shift_periods", title="The zero of the calendar decides nothing.", make=shift_periods),
    Relation(id="term_order", title="The order of terms and of fixed effects decides nothing.", make=term_order),
    Relation(id="rename_columns", title="The name of a regressor decides nothing.", make=rename_columns),
)
