"""How does the text of a filter become a tree whose literals fit their columns?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from crosscheck.errors import FormulaError
from crosscheck.frame import Kind
from crosscheck.syntax import MAX_NESTING, Source, Token, error_at, number_text, quote, tokenize, unknown_name

OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "-", "+")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
ALLOWED = "names, numbers, quoted strings, true, false, == != < <= > >=, in [..], and, or, not, missing(x), ( )"
HINTS = {"=": "write == for equality", "&": "write and", "|": "write or", "!": "write not, or !="}
WORDS = frozenset(("and", "or", "not", "in", "missing", "true", "false"))
MAX_CONDITIONS = 200

Value: TypeAlias = float | str | bool


@dataclass(frozen=True, slots=True)
class Compare:
    """``column operator literal``."""

    column: str
    operator: str
    value: Value


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
    values: tuple[Value, ...]


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


class Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, source: Source, kinds: Mapping[str, Kind]) -> None:
        self._source = source
        self._kinds = kinds
        self._tokens = tokenize(source, OPERATORS, allowed=ALLOWED, hints=HINTS)
        self._at = 0
        self._nesting = 0
        self._count = 0

    def whole(self) -> Condition:
        """Parse the whole text."""
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

    def _list(self, column: str) -> tuple[Value, ...]:
        opened = self._operator("[", "(")
        if not opened:
            raise self._error("a list is missing", hint='write in ["a", "b"]')
        closing = "]" if opened == "[" else ")"
        values: list[Value] = []
        while not self._operator(closing):
            if values and not self._operator(","):
                raise self._error(f"a {closing} is missing")
            values.append(self._value(column))
        if not values:
            raise self._error("the list is empty")
        return tuple(dict.fromkeys(values))

    def _literal(self) -> tuple[Value, Token]:
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

    def _value(self, column: str) -> Value:
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
