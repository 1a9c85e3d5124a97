"""What is left of a request when columns of its sample are gone or have other names?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from crosscheck.formula import Call, Formula, Name, emit, names, parse
from crosscheck.formula_tree import Expr, Term, Text
from crosscheck.shrink import Layout
from crosscheck.spec import FitRequest

_TICKED = re.compile(r"`([^`]*)`")
_ROLES = ("y", "unit", "time", "cohort", "weights")


def columns_of(term: Term) -> frozenset[str]:
    """Return the columns that a term uses."""
    return frozenset(name for factor in term for name in names(Formula(lhs=factor)))


def without_columns(request: FitRequest, columns: Collection[str]) -> FitRequest | None:
    """Return the request that the columns can still answer, or ``None`` where they cannot.

    Regressors, fixed effects, weights and covariates may go; outcome, clusters, instruments and identifiers may not.
    """
    if all(name in columns for name in request.columns):
        return request
    if request.estimator not in ("feols", "fepois", "feglm", "att_gt"):
        return None
    ids = [request.unit, request.time, *(request.options.get(k) for k in _ROLES if k != "weights")]
    if any(name not in columns for name in (*request.vcov.cluster, *(i for i in ids if isinstance(i, str)))):
        return None
    changes: dict[str, object] = {}
    if request.weights is not None and request.weights.column not in columns:
        changes["weights"] = None
    options = dict(request.options)
    if "covariates" in options:
        options["covariates"] = [c for c in options["covariates"] if c in columns]
    if isinstance(options.get("weights"), str) and options["weights"] not in columns:
        options["weights"] = None
    changes["options"] = options
    if request.formula:
        formula = _narrowed(parse(request.formula), columns)
        if formula is None:
            return None
        changes["formula"] = emit(formula)
    changes["columns"] = tuple(c for c in request.columns if c in columns)
    return request.model_copy(update=changes)


def _narrowed(formula: Formula, columns: Collection[str]) -> Formula | None:
    lhs = columns_of((formula.lhs,))
    if not lhs <= set(columns):
        return None
    if formula.iv is not None and any(
        not columns_of(t) <= set(columns) for t in (*formula.iv.endogenous, *formula.iv.instruments)
    ):
        return None
    terms = tuple(t for t in formula.terms if columns_of(t) <= set(columns))
    effects = tuple(fe for fe in formula.fixed_effects if set(fe) <= set(columns))
    constant = formula.intercept or (bool(formula.fixed_effects) and not effects)
    if not terms and not constant and formula.iv is None:
        return None
    return replace(formula, terms=terms, fixed_effects=effects, intercept=constant)


def renamed(request: FitRequest, mapping: Mapping[str, str]) -> FitRequest:
    """Return the same question about columns of other names."""

    def new(name: str) -> str:
        return mapping.get(name, name)

    options = dict(request.options)
    for key in _ROLES:
        if isinstance(options.get(key), str):
            options[key] = new(options[key])
    if "covariates" in options:
        options["covariates"] = [new(c) for c in options["covariates"]]
    weights = request.weights.model_copy(update={"column": new(request.weights.column)}) if request.weights else None
    return request.model_copy(
        update={
            "formula": _TICKED.sub(lambda m: f"`{new(m[1])}`", request.formula),
            "unit": new(request.unit) if request.unit else None,
            "time": new(request.time) if request.time else None,
            "vcov": request.vcov.model_copy(update={"cluster": tuple(new(c) for c in request.vcov.cluster)}),
            "weights": weights,
            "options": options,
            "columns": tuple(new(c) for c in request.columns),
        }
    )


def renamed_term(term: str, mapping: Mapping[str, str]) -> str:
    """Return a coefficient's name after its columns were renamed."""
    if not mapping:
        return term
    words = "|".join(re.escape(n) for n in sorted(mapping, key=len, reverse=True))
    return re.sub(rf"(?<![\w.])(?:{words})(?![\w.])", lambda m: mapping[m[0]], term)


def with_levels(request: FitRequest, levels: Mapping[str, Mapping[str, str]]) -> FitRequest:
    """Return the same question about columns whose levels have other names, where the formula names a reference."""
    if not request.formula or not levels:
        return request
    formula = parse(request.formula)

    def new(factor: Expr) -> Expr:
        if not isinstance(factor, Call) or not isinstance(factor.ref, Text) or not isinstance(factor.args[0], Name):
            return factor
        given = levels.get(factor.args[0].name, {})
        return replace(factor, ref=Text(given.get(factor.ref.value, factor.ref.value)))

    terms = tuple(tuple(new(factor) for factor in term) for term in formula.terms)
    return request.model_copy(update={"formula": emit(replace(formula, terms=terms))})


def term_with_levels(term: str, levels: Mapping[str, Mapping[str, str]]) -> str:
    """Return a coefficient's name after the levels of columns were renamed."""
    for column, given in levels.items():
        words = "|".join(re.escape(level) for level in sorted(given, key=len, reverse=True))
        pattern = rf"(?<![\w.])({re.escape(column)}(?:::)?)({words})(?![\w.])"
        term = re.sub(pattern, lambda m, given=given: m[1] + given[m[2]], term)  # type: ignore[misc]
    return term


def plain_names(request: FitRequest, columns: Iterable[str]) -> dict[str, str]:
    """Return names that say what a column does in the request and nothing else: y, x1, unit, time, fe1, cluster1, w."""
    found: dict[str, str] = {}

    def give(name: object, plain: str) -> None:
        if isinstance(name, str) and name not in found:
            found[name] = plain

    formula = parse(request.formula) if request.formula else None
    give(request.unit, "unit")
    give(request.time, "time")
    give(request.options.get("cohort"), "cohort")
    give(request.options.get("y"), "y")
    if request.weights is not None:
        give(request.weights.column, "w")
    if formula is not None:
        if isinstance(formula.lhs, Name):
            give(formula.lhs.name, "y")
        effects = dict.fromkeys(n for fe in formula.fixed_effects for n in fe if n not in found)
        for number, name in enumerate(effects, 1):
            give(name, f"fe{number}")
    for number, name in enumerate((c for c in request.vcov.cluster if c not in found), 1):
        give(name, f"cluster{number}")
    rest = [*(names(formula) if formula is not None else ()), *request.options.get("covariates", ()), *columns]
    for number, name in enumerate(dict.fromkeys(n for n in rest if n not in found), 1):
        give(name, f"x{number}")
    return {name: plain for name, plain in found.items() if name in set(columns)}


def layout_of(request: FitRequest, frame_names: Collection[str]) -> Layout:
    """Return what the columns of a request mean to the shrinker."""
    formula = parse(request.formula) if request.formula else None
    effects = tuple(n for fe in formula.fixed_effects for n in fe) if formula is not None else ()
    ids = {request.unit, request.time}
    groups = tuple(n for n in dict.fromkeys((*request.vcov.cluster, *effects)) if n not in ids and n in frame_names)
    cohort = request.options.get("cohort")
    return Layout(
        unit=request.unit if request.unit in frame_names else None,
        time=request.time if request.time in frame_names else None,
        groups=groups,
        calendar=(cohort,) if isinstance(cohort, str) and cohort in frame_names else (),
        positive=frozenset({request.weights.column} if request.weights is not None else ()),
    )
