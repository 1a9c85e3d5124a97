"""Which rows does ``sample.where`` select?

A small language: ``== != < <= > >=``, ``in [..]``, ``not in [..]``, ``and or not``, ``missing(x)``, parentheses, column
names (bare or in back-ticks), numbers, quoted strings, ``true``, ``false``, dates as strings. It is parsed to a tree,
checked against the kinds of the columns, and evaluated column by column; no text is ever evaluated as code.

A comparison with a missing value selects nothing, and neither does its negation: as in SQL, ``not (x > 1)`` leaves out
the rows where ``x`` is missing. Use ``missing(x)`` to ask for them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import FormulaError
from crosscheck.frame import Column, Frame, Kind
from crosscheck.syntax import (
    MAX_NESTING,
    Source,
    Token,
    error_at,
    number_text,
    quote,
    tokenize,
    unknown_name,
)

__all__ = ["Where", "emit_where", "evaluate", "literals", "parse_where"]

OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "-", "+")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
ALLOWED = "names, numbers, quoted strings, true, false, == != < <= > >=, in [..], and, or, not, missing(x), ( )"
HINTS = {"=": "write == for equality", "&": "write and", "|": "write or", "!": "write not, or !="}
WORDS = frozenset(("and", "or", "not", "in", "missing", "true", "false"))
MAX_CONDITIONS = 200
MAX_LIST = 5_000
EPOCH = dt.date(1970, 1, 1)

Comparison = Literal["==", "!=", "<", "<=", ">", ">="]
Literal_: TypeAlias = float | str | bool


@dataclass(frozen=True, slots=True)
class Compare:
    """``column operator literal``."""

    column: str
    operator: str
    value: Literal_


@dataclass(frozen=True, slots=True)
class CompareColumns:
    """``column operator column``, both numbers or both dates."""

    left: str
    operator: str
    right: str


@dataclass(frozen=True, slots=True)
class In:
    """``column in [..]``."""

    column: str
    values: tuple[Literal_, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """``missing(column)``."""

    column: str


@dataclass(frozen=True, slots=True)
class Truth:
    """A boolean column standing alone."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    operand: Condition


@dataclass(frozen=True, slots=True)
class Junction:
    """``and`` or ``or`` of two or more conditions."""

    operator: Literal["and", "or"]
    operands: tuple[Condition, ...]


Condition: TypeAlias = Compare | CompareColumns | In | Missing | Truth | Not | Junction


@dataclass(frozen=True, slots=True)
class Where:
    """A filter that was read and checked.

    Attributes
    ----------
    condition : Condition
    columns : tuple of str
        Columns it looks at, in order of first appearance.
    text : str
        Its canonical text.
    """

    condition: Condition
    columns: tuple[str, ...]
    text: str


def parse_where(text: str, columns: Mapping[str, Kind], *, where: str = "") -> Where:
    """Parse a filter and check it against the kinds of the columns.

    Parameters
    ----------
    text : str
    columns : mapping of str to str
        Name to kind.
    where : str
        File and key, for messages.

    Raises
    ------
    FormulaError
        For anything outside the language, an unknown column, or a literal that does not fit its column.
    """
    parser = _Parser(Source(text, where), columns)
    condition = parser.whole()
    return Where(condition, tuple(dict.fromkeys(_columns(condition))), _emit(condition))


def literals(where: Where) -> list[tuple[str, str]]:
    """Return each text that the filter compares a column with, so that one that never occurs can be named."""
    found: list[tuple[str, str]] = []
    pending: list[Condition] = [where.condition]
    while pending:
        condition = pending.pop(0)
        if isinstance(condition, Not):
            pending.append(condition.operand)
        elif isinstance(condition, Junction):
            pending.extend(condition.operands)
        elif isinstance(condition, Compare | In):
            values = condition.values if isinstance(condition, In) else (condition.value,)
            found.extend((condition.column, v) for v in values if isinstance(v, str))
    return found


def emit_where(where: Where) -> str:
    """Write a filter in canonical form, with names in back-ticks; it parses to the same filter."""
    return where.text


class _Parser:
    def __init__(self, source: Source, kinds: Mapping[str, Kind]) -> None:
        self._source = source
        self._kinds = kinds
        self._tokens = tokenize(source, OPERATORS, allowed=ALLOWED, hints=HINTS)
        self._at = 0
        self._nesting = 0
        self._count = 0

    def whole(self) -> Condition:
        if self._peek().kind == "end":
            raise self._error("the filter is empty", hint="leave sample.where out to take all rows")
        condition = self._or()
        if self._peek().kind != "end":
            raise self._error(f"{self._peek().text!r} is not expected here", hint=self._advice())
        return condition

    def _advice(self) -> str:
        chained = self._peek().text in COMPARISONS
        return "write x > 1 and x < 2 for a range" if chained else "join conditions with and / or"

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._peek()
        self._at += token.kind != "end"
        return token

    def _word(self, word: str) -> bool:
        token = self._peek()
        found = token.kind == "name" and token.text == word
        self._at += found
        return found

    def _operator(self, *operators: str) -> str:
        token = self._peek()
        if token.kind == "op" and token.text in operators:
            self._at += 1
            return token.text
        return ""

    def _error(self, what: str, *, hint: str = "", at: Token | None = None) -> FormulaError:
        return error_at(self._source, (at or self._peek()).start, what, allowed=ALLOWED, hint=hint)

    def _or(self) -> Condition:
        operands = [self._and()]
        while self._word("or"):
            operands.append(self._and())
        return operands[0] if len(operands) == 1 else Junction("or", _flat("or", operands))

    def _and(self) -> Condition:
        operands = [self._not()]
        while self._word("and"):
            operands.append(self._not())
        return operands[0] if len(operands) == 1 else Junction("and", _flat("and", operands))

    def _not(self) -> Condition:
        if not self._word("not"):
            return self._atom()
        self._enter()
        operand = self._not()
        self._nesting -= 1
        return Not(operand)

    def _enter(self) -> None:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self._error(f"more than {MAX_NESTING} levels of nesting")

    def _atom(self) -> Condition:
        self._count += 1
        if self._count > MAX_CONDITIONS:
            raise self._error(f"more than {MAX_CONDITIONS} conditions")
        if self._operator("("):
            self._enter()
            inner = self._or()
            if not self._operator(")"):
                raise self._error("a ) is missing")
            self._nesting -= 1
            return inner
        if self._peek().text == "missing" and self._peek().kind == "name" and self._peek(1).text == "(":
            self._at += 2
            column = self._column()
            if not self._operator(")"):
                raise self._error("missing() takes one column")
            return Missing(column)
        return self._comparison()

    def _comparison(self) -> Condition:
        start = self._peek()
        if not self._is_column(start):
            return self._literal_first(start)
        column = self._column()
        operator = self._operator(*COMPARISONS)
        if operator:
            return self._compare(column, operator, start)
        if self._peek().text == "not" and self._peek(1).text == "in":
            self._at += 2
            return Not(In(column, self._list(column)))
        if self._word("in"):
            return In(column, self._list(column))
        if self._kinds[column] == "boolean":
            return Truth(column)
        raise self._error("a comparison is missing", hint=f"write {quote(column)} == ...")

    def _literal_first(self, start: Token) -> Condition:
        """Read ``1990 <= year`` as ``year >= 1990``."""
        if start.kind not in ("number", "string") and start.text not in ("-", "+", "true", "false"):
            raise self._error(
                "a column name is missing" if start.kind == "end" else f"{start.text!r} is not a condition"
            )
        at = self._at
        self._literal()
        operator = self._operator(*COMPARISONS)
        if not operator:
            raise self._error("a literal alone is not a condition", at=start)
        after = self._at
        column = self._column()
        end = self._at
        self._at = at
        value = self._value(column)
        self._at = end
        if self._operator(*COMPARISONS):
            self._at = after
            raise self._error("comparisons cannot be chained", hint="write x > 1 and x < 2 for a range")
        mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
        self._check_order(column, mirrored, start)
        return Compare(column, mirrored, value)

    def _is_column(self, token: Token) -> bool:
        return token.kind == "quoted_name" or (token.kind == "name" and token.text not in WORDS)

    def _column(self) -> str:
        token = self._next()
        if not self._is_column(token):
            raise self._error("a column name is missing", at=token)
        if self._peek().text == "(" and token.kind == "name":
            raise self._error(
                f"{token.text}() is not a function of the filter language",
                at=token,
                hint="a column with such a name is written in back-ticks",
            )
        if token.text not in self._kinds:
            hint = token.text.upper() in ("TRUE", "FALSE", "AND", "OR", "NOT") and token.text not in self._kinds
            if hint:
                raise self._error(f"{token.text} is written in lower case", at=token, hint=token.text.lower())
            raise unknown_name(self._source, token.start, token.text, self._kinds)
        return token.text

    def _compare(self, column: str, operator: str, start: Token) -> Condition:
        self._check_order(column, operator, start)
        token = self._peek()
        if not self._is_column(token):
            return Compare(column, operator, self._value(column))
        if token.text.upper() in ("TRUE", "FALSE") and token.text not in self._kinds:
            raise self._error(f"{token.text} is written in lower case", at=token, hint=token.text.lower())
        if token.kind == "name" and token.text not in self._kinds and self._kinds[column] == "category":
            raise self._error(f"there is no column {token.text!r}", at=token, hint=f'a text is quoted: "{token.text}"')
        right = self._column()
        numbers = ("integer", "float", "boolean")
        kinds = (self._kinds[column], self._kinds[right])
        if not (all(k in numbers for k in kinds) or kinds == ("date", "date")):
            raise self._error(
                f"{column} ({kinds[0]}) cannot be compared with {right} ({kinds[1]})",
                at=token,
                hint=f'a text is quoted: "{right}"' if kinds[0] == "category" else "",
            )
        return CompareColumns(column, operator, right)

    def _check_order(self, column: str, operator: str, at: Token) -> None:
        if operator not in ("==", "!=") and self._kinds[column] in ("category", "boolean"):
            raise self._error(
                f"{column} is a {self._kinds[column]} and has no order",
                at=at,
                hint='use ==, != or in ["a", "b"], or declare the column integer or float',
            )

    def _list(self, column: str) -> tuple[Literal_, ...]:
        opened = self._operator("[", "(")
        if not opened:
            raise self._error("a list is missing", hint='write in ["a", "b"]')
        closing = "]" if opened == "[" else ")"
        values: list[Literal_] = []
        while not self._operator(closing):
            if values and not self._operator(","):
                raise self._error(f"a {closing} is missing")
            if len(values) >= MAX_LIST:
                raise self._error(f"a list of more than {MAX_LIST} values")
            values.append(self._value(column))
        if not values:
            raise self._error("the list is empty")
        return tuple(dict.fromkeys(values))

    def _literal(self) -> tuple[Literal_, Token]:
        token = self._next()
        sign = 1.0
        if token.kind == "op" and token.text in "+-":
            sign = -1.0 if token.text == "-" else 1.0
            token = self._next()
            if token.kind != "number":
                raise self._error("a number is missing", at=token)
        if token.kind == "number":
            return sign * float(token.text) + 0.0, token
        if token.kind == "string":
            return token.text, token
        if token.kind == "name" and token.text in ("true", "false"):
            return token.text == "true", token
        raise self._error("a literal is missing", at=token, hint="texts are quoted")

    def _value(self, column: str) -> Literal_:
        """Read a literal and check that it fits the kind of its column."""
        value, token = self._literal()
        kind = self._kinds[column]
        if kind == "category" and not isinstance(value, str):
            shown = number_text(value) if isinstance(value, float) else token.text
            hint = f'write "{shown}", or declare {column} integer or float in [data.kinds]'
            raise self._error(f"{column} is a category and {shown} is not a text", at=token, hint=hint)
        if kind in ("integer", "float") and not (isinstance(value, float) and not isinstance(value, bool)):
            hint = f"write the number without quotation marks, or declare {column} a category in [data.kinds]"
            raise self._error(f"{column} is {_an(kind)} and {token.text!r} is not a number", at=token, hint=hint)
        if kind == "boolean" and not isinstance(value, bool):
            if value in (0.0, 1.0):
                return value == 1.0
            raise self._error(f"{column} is a boolean", at=token, hint="write true or false")
        if kind == "date":
            try:
                if not isinstance(value, str) or len(value) != 10:
                    raise ValueError(value)
                dt.date.fromisoformat(value)
            except ValueError:
                raise self._error(f"{column} is a date", at=token, hint='write "2004-12-31"') from None
        return value


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _flat(operator: str, operands: list[Condition]) -> tuple[Condition, ...]:
    flat: list[Condition] = []
    for operand in operands:
        if isinstance(operand, Junction) and operand.operator == operator:
            flat.extend(operand.operands)
        else:
            flat.append(operand)
    return tuple(flat)


def _columns(condition: Condition) -> list[str]:
    if isinstance(condition, Not):
        return _columns(condition.operand)
    if isinstance(condition, Junction):
        return [name for operand in condition.operands for name in _columns(operand)]
    if isinstance(condition, CompareColumns):
        return [condition.left, condition.right]
    return [condition.column]


def _emit(condition: Condition) -> str:
    if isinstance(condition, Compare):
        return f"{quote(condition.column)} {condition.operator} {_emit_literal(condition.value)}"
    if isinstance(condition, CompareColumns):
        return f"{quote(condition.left)} {condition.operator} {quote(condition.right)}"
    if isinstance(condition, In):
        return f"{quote(condition.column)} in [{', '.join(_emit_literal(v) for v in condition.values)}]"
    if isinstance(condition, Missing):
        return f"missing({quote(condition.column)})"
    if isinstance(condition, Truth):
        return quote(condition.column)
    if isinstance(condition, Not):
        inner = _emit(condition.operand)
        return f"not ({inner})"
    return f" {condition.operator} ".join(
        f"({_emit(o)})" if isinstance(o, Junction) else _emit(o) for o in condition.operands
    )


def _emit_literal(value: Literal_) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}'" if '"' in value else f'"{value}"'
    return number_text(value)


def evaluate(where: Where, frame: Frame) -> NDArray[np.bool_]:
    """Return which rows a filter selects, shape (nrows,); unknown (missing) counts as not selected."""
    true, _ = _truth(where.condition, frame)
    return true


Truths: TypeAlias = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def _truth(condition: Condition, frame: Frame) -> Truths:
    """Return the masks of certainly true and certainly false rows (three-valued logic)."""
    if isinstance(condition, Not):
        true, false = _truth(condition.operand, frame)
        return false, true
    if isinstance(condition, Junction):
        parts = [_truth(o, frame) for o in condition.operands]
        trues, falses = [t for t, _ in parts], [f for _, f in parts]
        if condition.operator == "and":
            return np.logical_and.reduce(trues), np.logical_or.reduce(falses)
        return np.logical_or.reduce(trues), np.logical_and.reduce(falses)
    if isinstance(condition, Missing):
        missing = frame[condition.column].missing
        return missing, ~missing
    if isinstance(condition, CompareColumns):
        left, right = frame[condition.left], frame[condition.right]
        found = _compared(left.as_float(), condition.operator, right.as_float())
        known = ~(left.missing | right.missing)
        return found & known, ~found & known
    column = frame[condition.column]
    if isinstance(condition, Truth):
        found = np.asarray(column.values == 1)
    elif isinstance(condition, Compare):
        found = _compared(_comparable(column), condition.operator, _code(column, condition.value))
    else:
        found = np.isin(_comparable(column), [_code(column, v) for v in condition.values])
    known = ~column.missing
    return found & known, ~found & known


def _comparable(column: Column) -> NDArray[np.float64]:
    return column.values.astype(np.float64) if column.kind == "category" else column.as_float()


def _code(column: Column, value: Literal_) -> float:
    """Return what a literal is in the column's own values; a text that does not occur is a code of its own."""
    if column.kind == "category":
        return float(column.levels.index(str(value))) if value in column.levels else -2.0
    if column.kind == "date":
        return float((dt.date.fromisoformat(str(value)) - EPOCH).days)
    return float(value)


def _compared(left: NDArray[np.float64], operator: str, right: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    functions = {
        "==": np.equal,
        "!=": np.not_equal,
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
    }
    return np.asarray(functions[operator](left, right), dtype=bool)
