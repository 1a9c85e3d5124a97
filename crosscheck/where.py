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
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.frame import Column, Frame, Kind
from crosscheck.syntax import Source, number_text, quote
from crosscheck.where_parser import (
    Compare,
    CompareColumns,
    Condition,
    In,
    Junction,
    Missing,
    Not,
    Parser,
    Truth,
    Value,
)

__all__ = ["Where", "emit_where", "evaluate", "literals", "parse_where"]

EPOCH = dt.date(1970, 1, 1)


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
    parser = Parser(Source(text, where), columns)
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


def _emit_literal(value: Value) -> str:
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


def _code(column: Column, value: Value) -> float:
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
