"""What is a formula once it is read, and how is it written down again?

An immutable tree, its canonical text (every name in back-ticks, spaced as R's ``deparse`` does), the columns and
functions that it uses, and the names of its coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crosscheck.syntax import number_text, quote

INTERCEPT = "(Intercept)"


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Negative:
    """Minus an expression."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic inside ``I()``, ``log()`` and the like; ``operator`` is one of ``+ - * / ^``."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the whitelist; ``ref`` is the reference level of ``i()``."""

    function: str
    args: tuple[Expr, ...]
    ref: Number | Text | None = None


Expr: TypeAlias = Name | Number | Text | Negative | Binary | Call
Term: TypeAlias = tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class IV:
    """Endogenous regressors and the instruments that are excluded from the equation."""

    endogenous: tuple[Term, ...]
    instruments: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A model.

    Attributes
    ----------
    lhs : Expr
        The dependent variable.
    terms : tuple of Term
        Exogenous regressors, in R's order: main effects before interactions, otherwise as written. A term is a tuple
        of factors: ``a:b`` is ``(Name("a"), Name("b"))``.
    intercept : bool
        Whether there is an intercept; always False with fixed effects, which absorb it.
    fixed_effects : tuple of tuples of str
        ``unit + year^region`` is ``(("unit",), ("year", "region"))``.
    iv : IV or None
    """

    lhs: Expr
    terms: tuple[Term, ...] = ()
    intercept: bool = True
    fixed_effects: tuple[tuple[str, ...], ...] = ()
    iv: IV | None = None

    def __str__(self) -> str:
        return emit(self)


_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 5}
_UNARY_BINDING, _ATOM_BINDING = 4, 9


def _binding(expr: Expr) -> int:
    if isinstance(expr, Binary):
        return _BINDING[expr.operator]
    return _UNARY_BINDING if isinstance(expr, Negative) else _ATOM_BINDING


def emit_expr(expr: Expr, *, ticks: bool = True) -> str:
    """Write an expression as R would deparse it, names in back-ticks unless ``ticks`` is False."""
    if isinstance(expr, Name):
        return quote(expr.name) if ticks else expr.name
    if isinstance(expr, Number):
        return number_text(expr.value)
    if isinstance(expr, Text):
        return f"'{expr.value}'" if '"' in expr.value else f'"{expr.value}"'
    if isinstance(expr, Negative):
        return "-" + _bracketed(expr.operand, _UNARY_BINDING, ticks)
    if isinstance(expr, Call):
        args = [emit_expr(a, ticks=ticks) for a in expr.args]
        if expr.ref is not None:
            args.append(f"ref = {emit_expr(expr.ref)}")
        return f"{expr.function}({', '.join(args)})"
    own = _BINDING[expr.operator]
    if expr.operator == "^":
        power = -1 if isinstance(expr.right, Negative) else own
        return f"{_bracketed(expr.left, own + 1, ticks)}^{_bracketed(expr.right, power, ticks)}"
    space = "" if expr.operator == "/" else " "
    left, right = _bracketed(expr.left, own, ticks), _bracketed(expr.right, own + 1, ticks)
    return f"{left}{space}{expr.operator}{space}{right}"


def _bracketed(expr: Expr, at_least: int, ticks: bool) -> str:
    text = emit_expr(expr, ticks=ticks)
    return text if _binding(expr) >= at_least else f"({text})"


def _emit_terms(terms: Sequence[Term]) -> str:
    return " + ".join(":".join(emit_expr(f) for f in term) for term in terms)


def emit(formula: Formula) -> str:
    """Write a formula in its one canonical form; ``parse(emit(f)) == f``."""
    rhs = _emit_terms(formula.terms)
    absorbed = bool(formula.fixed_effects)
    if not rhs:
        rhs = "1" if formula.intercept or absorbed else "0"
    elif not formula.intercept and not absorbed:
        rhs += " - 1"
    parts = [f"{emit_expr(formula.lhs)} ~ {rhs}"]
    if absorbed:
        parts.append(" + ".join("^".join(quote(n) for n in fe) for fe in formula.fixed_effects))
    if formula.iv is not None:
        parts.append(f"{_emit_terms(formula.iv.endogenous)} ~ {_emit_terms(formula.iv.instruments)}")
    return " | ".join(parts)


def _walk(expr: Expr) -> Iterator[Expr]:
    yield expr
    if isinstance(expr, Call):
        children: tuple[Expr, ...] = expr.args
    elif isinstance(expr, Binary):
        children = (expr.left, expr.right)
    else:
        children = (expr.operand,) if isinstance(expr, Negative) else ()
    for child in children:
        yield from _walk(child)


def _expressions(formula: Formula) -> Iterator[Expr]:
    yield formula.lhs
    for term in formula.terms:
        yield from term
    if formula.iv is not None:
        for term in (*formula.iv.endogenous, *formula.iv.instruments):
            yield from term


def names(formula: Formula) -> tuple[str, ...]:
    """Return the columns that a formula uses, in order of first appearance (fixed effects last)."""
    used = [e.name for top in _expressions(formula) for e in _walk(top) if isinstance(e, Name)]
    used.extend(name for fe in formula.fixed_effects for name in fe)
    return tuple(dict.fromkeys(used))


def functions(formula: Formula) -> frozenset[str]:
    """Return the functions that a formula calls, so that an engine can say what it lacks."""
    return frozenset(e.function for top in _expressions(formula) for e in _walk(top) if isinstance(e, Call))


def term_label(term: Expr | Term, levels: Sequence[str] | str = "") -> str:
    """Return the name of a coefficient in fixest's spelling, without back-ticks.

    Parameters
    ----------
    term : Expr or Term
        ``()`` is the intercept.
    levels : str or sequence of str
        The level of each factor of the term: of ``i()`` and ``factor()``, the number of a column of ``poly()``, the
        relative period of ``sunab()``; empty for numbers.

    Examples
    --------
    ``x``, ``log(income)``, ``x1:x2``, ``I(x^2)``, ``year::1983``, ``year::1983:x``, ``factor(year)1983``,
    ``poly(x, 2)1``, ``(Intercept)``. The coefficient of an endogenous regressor is named as the regressor (fixest puts
    ``fit_`` before it).
    """
    factors = term if isinstance(term, tuple) else (term,)
    if not factors:
        return INTERCEPT
    given = (levels,) if isinstance(levels, str) else tuple(levels)
    given += ("",) * (len(factors) - len(given))
    return ":".join(_factor_label(f, level) for f, level in zip(factors, given, strict=True))


def _factor_label(factor: Expr, level: str) -> str:
    if isinstance(factor, Call) and factor.function in ("i", "sunab") and level:
        first, *rest = (emit_expr(a, ticks=False) for a in factor.args)
        if factor.function == "sunab":
            return f"{rest[0]}::{level}"
        return ":".join((f"{first}::{level}", *rest))
    return emit_expr(factor, ticks=False) + level
