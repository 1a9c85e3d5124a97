"""Which column plays which part in a request, and how does a sample look with another column, order or rows?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.formula import Call, Expr, Formula, Name, functions, names, parse
from crosscheck.formula_tree import Binary, Negative
from crosscheck.frame import INT32_MAX, Column, Frame
from crosscheck.spec import FitRequest

Floats = NDArray[np.float64]
NOTHING = "no answer has a number that this speaks of"


def formula_of(request: FitRequest) -> Formula | None:
    """Return the parsed formula, None where the estimator takes none."""
    return parse(request.formula) if request.formula else None


def outcome(request: FitRequest) -> str:
    """Return the column that is the outcome as it stands; empty where it is a function of columns."""
    formula = formula_of(request)
    if formula is None:
        return str(request.options.get("y") or "")
    return formula.lhs.name if isinstance(formula.lhs, Name) else ""


def absorbs_constant(formula: Formula) -> bool:
    """Say whether a constant added to the outcome is taken up by the model."""
    return formula.intercept or bool(formula.fixed_effects)


def groupings(request: FitRequest) -> tuple[str, ...]:
    """Return the columns that only tell rows apart: fixed effects, clusters, unit and time, each once."""
    formula = formula_of(request)
    found = [name for parts in (formula.fixed_effects if formula else ()) for name in parts]
    found += [*request.vcov.cluster]
    found += [n for n in (request.unit, request.time) if n]
    return tuple(dict.fromkeys(found))


def in_terms(formula: Formula) -> Counter[str]:
    """Count how often each column stands in the terms, the outcome and the instruments."""
    counts: Counter[str] = Counter()
    terms = [*formula.terms, (formula.lhs,)]
    if formula.iv is not None:
        terms += [*formula.iv.endogenous, *formula.iv.instruments]
    for term in terms:
        for expr in term:
            counts.update(_names(expr))
    return counts


def _names(expr: Expr) -> Iterator[str]:
    if isinstance(expr, Name):
        yield expr.name
    elif isinstance(expr, Call):
        for arg in expr.args:
            yield from _names(arg)
    elif isinstance(expr, Binary):
        yield from _names(expr.left)
        yield from _names(expr.right)
    elif isinstance(expr, Negative):
        yield from _names(expr.operand)


def plain_regressors(request: FitRequest, frame: Frame) -> tuple[str, ...]:
    """Return the columns of numbers that are a regressor as they stand, and nothing else."""
    formula = formula_of(request)
    if formula is None:
        return ()
    counts, grouping = in_terms(formula), groupings(request)
    return tuple(
        term[0].name
        for term in formula.terms
        if len(term) == 1
        and isinstance(term[0], Name)
        and counts[term[0].name] == 1
        and term[0].name not in grouping
        and frame[term[0].name].kind in ("float", "integer")
    )


def uses(request: FitRequest, *calls: str) -> bool:
    """Say whether a formula calls one of these functions."""
    formula = formula_of(request)
    return formula is not None and bool(set(functions(formula)) & set(calls))


def used(request: FitRequest) -> tuple[str, ...]:
    """Return every column that a request names."""
    formula = formula_of(request)
    found = list(names(formula)) if formula else []
    found += [*groupings(request)]
    if request.weights is not None:
        found.append(request.weights.column)
    for value in request.options.values():
        found += [v for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, str)]
    return tuple(dict.fromkeys(found))


def beside_formula(request: FitRequest) -> tuple[str, ...]:
    """Return the columns beside the formula without which a row is not in the sample: clusters, the panel, weights."""
    panel: tuple[str | None, ...] = ()
    if request.estimator in ("re", "between"):
        panel = (request.unit, request.time)
    elif request.vcov.type in ("NW", "DK"):
        panel = (request.time, request.unit if request.vcov.type == "NW" else None)
    weights = request.weights.column if request.weights is not None else None
    return tuple(dict.fromkeys(n for n in (*request.vcov.cluster, *panel, weights) if n))


def complete(request: FitRequest, frame: Frame) -> NDArray[np.bool_]:
    """Say which rows have a value in every column that decides a request's sample, and a weight that is not 0."""
    keep = np.ones(frame.nrows, dtype=bool)
    formula = formula_of(request)
    needed = [*(names(formula) if formula else used(request)), *beside_formula(request)]
    for name in dict.fromkeys(needed):
        if name in frame:
            keep &= ~frame[name].missing
    if request.weights is not None:
        keep &= frame[request.weights.column].as_float() != 0
    return keep


def with_request(request: FitRequest, **changes: Any) -> FitRequest:
    """Return the request with fields replaced, checked again."""
    return FitRequest.model_validate({**request.model_dump(), **changes})


def numbers(name: str, values: Floats) -> Column:
    """Make a column of numbers: integers where all are whole and small, floats otherwise."""
    known = values[~np.isnan(values)]
    if known.size and np.array_equal(known, np.rint(known)) and np.abs(known).max() < 2**53:
        small = known.size == values.size and np.abs(known).max() <= INT32_MAX
        return Column(name, "integer", values.astype(np.int32 if small else np.float64))
    return Column(name, "float", values)


def put(frame: Frame, *columns: Column) -> Frame:
    """Return the frame with columns replaced, or added at the end."""
    new = {c.name: c for c in columns}
    kept = [new.pop(c.name, c) for c in frame.columns]
    return Frame((*kept, *new.values()), frame.nrows)


def pick(frame: Frame, rows: NDArray[np.intp]) -> Frame:
    """Return rows by position, some of them perhaps twice; levels that no row has stay."""
    return Frame(
        tuple(Column(c.name, c.kind, np.ascontiguousarray(c.values[rows]), c.levels) for c in frame.columns), rows.size
    )


def level_column(column: Column, called: dict[int, str]) -> Column:
    """Return a category in which code k of the column is called ``called[k]``."""
    codes, _ = column.codes()
    labels = sorted({called[int(k)] for k in np.unique(codes[codes >= 0])})
    place = {label: k for k, label in enumerate(labels)}
    lookup = np.full(int(codes.max(initial=-1)) + 2, -1, dtype=np.int32)
    for k in np.unique(codes[codes >= 0]):
        lookup[k] = place[called[int(k)]]
    return Column(column.name, "category", lookup[codes], tuple(labels))
