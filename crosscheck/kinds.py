"""Does each column of a request have the kind that its use needs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosscheck.errors import StudyError
from crosscheck.formula import Binary, Call, Expr, Formula, Name, Negative
from crosscheck.frame import Kind

NUMBERS = ("integer", "float", "boolean")
DISCRETE = ("category", "integer", "boolean", "date")


def check_formula_kinds(formula: Formula, kinds: Mapping[str, Kind], *, where: str) -> None:
    """Refuse a category or date used as a number, and a float used as a category.

    Raises
    ------
    StudyError
        Naming the column, its kind and what to do.
    """
    _numbers(formula.lhs, kinds, where, "the left-hand side")
    groups = [formula.terms]
    if formula.iv is not None:
        groups += [formula.iv.endogenous, formula.iv.instruments]
        for term in formula.iv.endogenous:
            _numbers(term[0], kinds, where, "an endogenous regressor")
    for factor in (f for terms in groups for term in terms for f in term):
        _regressor(factor, kinds, where)


def _regressor(factor: Expr, kinds: Mapping[str, Kind], where: str) -> None:
    if isinstance(factor, Name):
        if kinds[factor.name] == "date":
            need(factor.name, kinds, (*NUMBERS, "category"), where, "a regressor")
        return
    if isinstance(factor, Call) and factor.function in ("factor", "i"):
        first, *rest = factor.args
        assert isinstance(first, Name)
        need(first.name, kinds, DISCRETE, where, f"{factor.function}()")
        for other in rest:
            _numbers(other, kinds, where, "the second column of i()")
        return
    _numbers(factor, kinds, where, "a number")


def _numbers(expr: Expr, kinds: Mapping[str, Kind], where: str, use: str) -> None:
    if isinstance(expr, Name):
        need(expr.name, kinds, NUMBERS, where, use)
    elif isinstance(expr, Negative):
        _numbers(expr.operand, kinds, where, use)
    elif isinstance(expr, Binary):
        _numbers(expr.left, kinds, where, use)
        _numbers(expr.right, kinds, where, use)
    elif isinstance(expr, Call):
        for arg in expr.args:
            _numbers(arg, kinds, where, f"{expr.function}()")


def need(name: str, kinds: Mapping[str, Kind], allowed: tuple[str, ...], where: str, use: str) -> None:
    """Refuse a column whose kind does not serve its use.

    Raises
    ------
    StudyError
        Naming column, kind, use, and what to write instead.
    """
    kind = kinds[name]
    if kind in allowed:
        return
    if kind == "category":
        hint = f"write i({name}), or declare it integer or float in [data.kinds] if its values are numbers"
    elif kind == "date":
        hint = f"write i({name}), or put a number (such as the year) into the data"
    else:
        hint = "declare it integer or category in [data.kinds]"
    raise StudyError(
        f"column {name!r} is a {kind} and is used as {use}", where=where, allowed=", ".join(allowed), hint=hint
    )


def check_option_kinds(options: Mapping[str, Any], kinds: Mapping[str, Kind], *, where: str) -> None:
    """Check the columns that ``att_gt`` names in its options.

    Raises
    ------
    StudyError
        As :func:`need`.
    """
    for key in ("y", "weights"):
        if options.get(key) is not None:
            need(options[key], kinds, ("integer", "float"), f"{where}.{key}", "a number")
    for key in ("time", "cohort"):
        need(options[key], kinds, ("integer", "float"), f"{where}.{key}", "a period")
    for name in options["covariates"]:
        need(name, kinds, NUMBERS, f"{where}.covariates", "a covariate")
