"""What model does a formula in fixest's syntax describe?

:func:`parse` turns text into an immutable :class:`Formula` by a whitelist; :func:`emit` writes it back in one canonical
form with every name in back-ticks, which is what engines receive. No text is ever evaluated.

The language: ``y ~ x + log(z) + i(year, ref = 1990) | unit + year^region | endogenous ~ instrument``. ``*`` and ``:``
make interactions, ``- term`` removes a term, ``-1`` or ``+ 0`` the intercept; ``x^2`` on the right-hand side is
``I(x^2)`` as in fixest. ``C(x)`` is ``factor(x)``. ``lag(x, k)`` is the value ``k`` periods before, by calendar time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache

from crosscheck.formula_parser import FUNCTIONS, MAX_DEPTH, Macros, Node, Parser, Part
from crosscheck.formula_tree import (
    INTERCEPT,
    IV,
    Binary,
    Call,
    Expr,
    Formula,
    Name,
    Negative,
    Number,
    Term,
    Text,
    emit,
    emit_expr,
    functions,
    names,
    term_label,
)
from crosscheck.syntax import Source

__all__ = [
    "FUNCTIONS",
    "INTERCEPT",
    "IV",
    "Binary",
    "Call",
    "Expr",
    "Formula",
    "Name",
    "Negative",
    "Number",
    "Term",
    "Text",
    "emit",
    "emit_expr",
    "functions",
    "names",
    "parse",
    "term_label",
]

ARITHMETIC = ("log", "exp", "sqrt", "abs", "I", "lag")
WHOLE_TERM = ("i", "poly", "sunab")
MAX_TERMS = 500
MAX_ORDER = 8
MAX_POLY = 10
MAX_LAG = 1000


def parse(
    text: str, *, macros: Mapping[str, str] | None = None, columns: Collection[str] | None = None, where: str = ""
) -> Formula:
    """Parse a formula against the whitelist.

    Parameters
    ----------
    text : str
    macros : mapping of str to str, optional
        Name (without the dots) to right-hand-side text, for ``..name``.
    columns : collection of str, optional
        The columns that exist; without it names are not checked.
    where : str
        File and key, for messages.

    Raises
    ------
    FormulaError
        For anything outside the language; the message shows the place.
    """
    if macros is None and (columns is None or isinstance(columns, tuple)):
        return _parsed(text, columns, where)
    return _parse(text, macros or {}, columns, where)


@lru_cache(maxsize=256)
def _parsed(text: str, columns: tuple[str, ...] | None, where: str) -> Formula:
    """Parse what many questions repeat: a formula is immutable."""
    return _parse(text, {}, columns, where)


def _parse(text: str, macros: Mapping[str, str], columns: Collection[str] | None, where: str) -> Formula:
    known = None if columns is None else frozenset(columns)
    raw = Parser(Source(text, where), Macros(macros, known, where), known).formula()
    lhs = _lhs(raw.lhs)
    rhs = raw.parts[0]
    if rhs.instruments is not None:
        raise rhs.instruments.error("the instruments stand after a |", hint="write y ~ x | endogenous ~ instrument")
    fixed, iv_part = _split(raw.parts[1:])
    terms, intercept = _terms(rhs.body, intercept=True)
    fixed_effects = _fixed_effects(fixed.body) if fixed else ()
    ordered = _ordered(terms)
    iv = _iv(iv_part, ordered) if iv_part else None
    intercept = intercept and not fixed_effects
    if not (ordered or intercept or fixed_effects or iv):
        raise rhs.body.error("the formula has no regressors, no intercept and no fixed effects")
    return Formula(lhs=lhs, terms=ordered, intercept=intercept, fixed_effects=fixed_effects, iv=iv)


def _split(parts: Sequence[Part]) -> tuple[Part | None, Part | None]:
    """Tell the fixed-effects part from the IV part."""
    if len(parts) > 2:
        raise parts[2].body.error(
            "there are more than three parts", allowed="y ~ x | fixed effects | endogenous ~ instruments"
        )
    fixed = iv = None
    for part in parts:
        if part.instruments is not None:
            if iv is not None:
                raise part.body.error("there are two IV parts")
            iv = part
        elif iv is not None:
            raise part.body.error("the fixed effects stand before the IV part")
        elif fixed is not None:
            raise part.body.error(
                "the third part is endogenous ~ instruments", hint="write fe1 + fe2 for two fixed effects"
            )
        else:
            fixed = part
    return fixed, iv


def _lhs(node: Node) -> Expr:
    if node.kind == "sum":
        raise node.error(
            "the left-hand side is a sum",
            hint="write I(a + b) for arithmetic, or one [[table.column]] for each dependent variable",
        )
    if node.kind in ("number", "string", "bool", "neg", "*", "/", ":"):
        raise node.error("the left-hand side is not a variable", allowed="a name, log(y), I(y / x), lag(y, 1)")
    if node.kind == "call" and node.text not in ARITHMETIC:
        raise node.error(f"{node.text}() cannot be a left-hand side", allowed=", ".join(f"{f}()" for f in ARITHMETIC))
    return _factor(node)


def _terms(node: Node, *, intercept: bool) -> tuple[list[Term], bool]:
    """Expand a right-hand side to its terms, and say whether it keeps the intercept."""
    terms: dict[frozenset[Expr], Term] = {}
    for sign, item in _signed(node):
        if item.kind == "number":
            if float(item.text) not in (0.0, 1.0) or (sign == "-" and float(item.text) == 0):
                raise item.error("a number is not a regressor", allowed="1, 0 and -1, for the intercept")
            intercept = sign == "+" and float(item.text) == 1
            continue
        for term in _expand(item):
            if sign == "+":
                terms.setdefault(frozenset(term), term)
            elif terms.pop(frozenset(term), None) is None:
                raise item.error(
                    f"- {term_label(term)} removes a term that is not there", hint="write I(-x) for the negative of x"
                )
        if len(terms) > MAX_TERMS:
            raise item.error(f"the formula has more than {MAX_TERMS} terms")
    return list(terms.values()), intercept


def _signed(node: Node) -> Iterator[tuple[str, Node]]:
    """Flatten nested sums to signed items."""
    if node.kind == "sum":
        for sign, child in zip(node.signs, node.children, strict=True):
            for inner, item in _signed(child):
                if sign == "-" and inner == "-" and child.kind == "sum":
                    raise item.error("a removed sum cannot itself remove a term")
                yield ("+" if sign == inner else "-"), item
    elif node.kind == "neg":
        for sign, item in _signed(node.children[0]):
            yield ("-" if sign == "+" else "+"), item
    else:
        yield "+", node


def _expand(node: Node) -> list[Term]:
    """Return the terms of a product, an interaction or a single factor."""
    if node.kind == "sum":
        found: list[Term] = []
        for sign, item in _signed(node):
            if sign == "-" or item.kind == "number":
                raise item.error("only sums of variables can be multiplied", hint="write a:(b + c)")
            found.extend(_expand(item))
        return found
    if node.kind in ("*", ":"):
        left, right = (_expand(c) for c in node.children)
        if len(left) * len(right) > MAX_TERMS:
            raise node.error(f"the formula has more than {MAX_TERMS} terms")
        both = [_merge(a, b, node) for a in left for b in right]
        return [*left, *right, *both] if node.kind == "*" else both
    if node.kind in ("number", "string", "bool", "neg"):
        raise node.error("this is not a regressor", hint="arithmetic is written inside I(): I(2 * x), I(-x)")
    if node.kind == "/":
        raise node.error(
            "/ is arithmetic and not part of a right-hand side", hint="write I(a / b), or a + a:b for nesting"
        )
    return [(_factor(node),)]


def _merge(left: Term, right: Term, node: Node) -> Term:
    term = tuple(dict.fromkeys((*left, *right)))
    if len(term) > MAX_ORDER:
        raise node.error(f"an interaction of more than {MAX_ORDER} variables")
    for factor in term if len(term) > 1 else ():
        if isinstance(factor, Call) and factor.function in WHOLE_TERM:
            raise node.error(
                f"{factor.function}() cannot be part of an interaction",
                hint="write i(f, x) or factor(f):x" if factor.function == "i" else "",
            )
    return term


def _ordered(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Sort terms as R's ``terms`` does: by order, and factors within a term by first appearance."""
    by_order = sorted(terms, key=len)
    rank: dict[Expr, int] = {}
    for term in by_order:
        for factor in term:
            rank.setdefault(factor, len(rank))
    return tuple(tuple(sorted(term, key=rank.__getitem__)) for term in by_order)


def _fixed_effects(node: Node) -> tuple[tuple[str, ...], ...]:
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for sign, item in _signed(node):
        if sign == "-":
            raise item.error("a fixed effect cannot be removed")
        combined = _combined(item)
        if len(set(combined)) != len(combined):
            raise item.error("a fixed effect is combined with itself")
        found.setdefault(frozenset(combined), combined)
    return tuple(found.values())


def _combined(node: Node) -> tuple[str, ...]:
    if node.kind == "name":
        return (node.text,)
    if node.kind == "^":
        left, right = node.children
        return _combined(left) + _combined(right)
    hint = "write a^b to combine two fixed effects" if node.kind in (":", "*") else ""
    if node.kind == "call":
        hint = "fixed effects are columns: write the name alone"
    if node.kind == "number":
        hint = "leave the part out where there are no fixed effects"
    raise node.error("a fixed effect is a column name", allowed="names, + and ^", hint=hint)


def _iv(part: Part, exogenous: tuple[Term, ...]) -> IV:
    assert part.instruments is not None
    sides: list[tuple[Term, ...]] = []
    for node in (part.body, part.instruments):
        terms, intercept = _terms(node, intercept=False)
        if intercept or not terms:
            raise node.error("the IV part names variables on both sides", allowed="endogenous ~ instrument")
        sides.append(_ordered(terms))
    endogenous, instruments = sides
    for term in endogenous:
        if any(isinstance(f, Call) and f.function in (*WHOLE_TERM, "factor") for f in term) or len(term) > 1:
            raise part.body.error("an endogenous regressor is one number", allowed="names, log(), I() and the like")
    taken = {frozenset(t) for t in exogenous}
    for side, node in ((endogenous, part.body), (instruments, part.instruments)):
        for term in side:
            if frozenset(term) in taken:
                raise node.error(f"{term_label(term)} stands in two parts of the formula")
            taken.add(frozenset(term))
    categorical = any(isinstance(f, Call) and f.function in ("i", "factor", "poly") for t in instruments for f in t)
    if len(instruments) < len(endogenous) and not categorical:
        raise part.instruments.error("there are fewer instruments than endogenous regressors")
    return IV(endogenous, instruments)


def _factor(node: Node) -> Expr:
    """Read one factor of a term: a column, a call, or a bare power."""
    if node.kind == "name":
        return Name(node.text)
    if node.kind == "^":
        return Call("I", (_arithmetic(node),))
    if node.kind != "call":
        raise node.error("this is not a variable")
    return _call(node)


def _call(node: Node) -> Call:
    function, count = node.text, len(node.children)
    for keyword, child in zip(node.keywords, node.children, strict=True):
        if keyword and not (function == "i" and keyword == "ref"):
            raise child.error(f"{function}() has no option {keyword}", allowed="ref, in i()")
    if function == "i":
        return _i_call(node)
    if function in ("factor", "C"):
        _count(node, 1, 1)
        return Call("factor", (_column(node, 0),))
    if function == "sunab":
        _count(node, 2, 2)
        return Call("sunab", (_column(node, 0), _column(node, 1)))
    if function == "poly":
        _count(node, 2, 2)
        return Call("poly", (_column(node, 0), Number(_integer(node, 1, 1, MAX_POLY))))
    if function == "lag":
        _count(node, 1, 2)
        periods = _integer(node, 1, -MAX_LAG, MAX_LAG) if count == 2 else 1
        if periods == 0:
            raise node.children[1].error("lag(x, 0) is x")
        return Call("lag", (_column(node, 0), Number(periods)))
    _count(node, 1, 1)
    if _depth(node) > MAX_DEPTH:
        raise node.error("the expression is too long", allowed=f"{MAX_DEPTH} operations in a row")
    return Call(function, (_arithmetic(node.children[0]),))


def _depth(node: Node) -> int:
    """Return the depth of the arithmetic tree of a node, in which a sum leans to the left."""
    return len(node.signs) + 1 + max((_depth(c) for c in node.children), default=0)


def _i_call(node: Node) -> Call:
    positional = [c for k, c in zip(node.keywords, node.children, strict=True) if not k]
    options = [c for k, c in zip(node.keywords, node.children, strict=True) if k]
    if len(options) > 1:
        raise options[1].error("ref is given twice")
    if not 1 <= len(positional) <= 2 or (node.keywords and node.keywords[0]):
        raise node.error("i() takes one or two columns", allowed="i(f), i(f, x), i(f, ref = 1), i(f, x, ref = 1)")
    args = tuple(_name(c, "i", "i(f, x, ref = 1)") for c in positional)
    return Call("i", args, _literal(options[0]) if options else None)


def _literal(node: Node) -> Number | Text:
    if node.kind == "string":
        return Text(node.text)
    if node.kind == "bool":
        raise node.error("the reference level is written as a number or a string", hint=f'write ref = "{node.text}"')
    sign = 1.0
    if node.kind == "neg":
        sign, node = -1.0, node.children[0]
    if node.kind != "number":
        raise node.error("ref is one level", allowed='a number or a quoted string, such as ref = 1990 or ref = "a"')
    return Number(sign * float(node.text) + 0.0)


def _count(node: Node, low: int, high: int) -> None:
    usage = {
        "poly": "poly(x, 2)",
        "lag": "lag(x, 1)",
        "sunab": "sunab(cohort, period)",
    }.get(node.text, f"{node.text}(x)")
    if not low <= len(node.children) <= high:
        raise node.error(f"{node.text}() has {len(node.children)} arguments", allowed=usage)


def _column(node: Node, index: int) -> Name:
    return _name(node.children[index], node.text, "a column name")


def _name(node: Node, function: str, allowed: str) -> Name:
    if node.kind != "name":
        raise node.error(f"{function}() takes a column here, not an expression", allowed=allowed)
    return Name(node.text)


def _integer(node: Node, index: int, low: int, high: int) -> float:
    child = node.children[index]
    value = _literal(child) if child.kind in ("number", "neg") else None
    if not isinstance(value, Number) or not value.value.is_integer() or not low <= value.value <= high:
        raise child.error(f"{node.text}() takes a whole number here", allowed=f"{low} to {high}")
    return value.value


def _arithmetic(node: Node) -> Expr:
    """Read an expression inside ``I()``, ``log()`` and the like."""
    if node.kind == "name":
        return Name(node.text)
    if node.kind == "number":
        return Number(float(node.text))
    if node.kind == "neg":
        return Negative(_arithmetic(node.children[0]))
    if node.kind in ("*", "/", "^"):
        left, right = (_arithmetic(c) for c in node.children)
        return Binary(node.kind, left, right)
    if node.kind == "sum":
        parts = [_arithmetic(c) for c in node.children]
        total = parts[0]
        for sign, part in zip(node.signs[1:], parts[1:], strict=True):
            total = Binary(sign, total, part)
        return total
    if node.kind == "call":
        if node.text not in ARITHMETIC:
            raise node.error(f"{node.text}() is not arithmetic", allowed=", ".join(f"{f}()" for f in ARITHMETIC))
        if node.text == "I":
            _count(node, 1, 1)
            return _arithmetic(node.children[0])
        return _call(node)
    raise node.error("this is not arithmetic", allowed="names, numbers, + - * / ^ and log() exp() sqrt() abs()")
