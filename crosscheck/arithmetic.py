"""What number does an arithmetic expression of a formula have in each row?

``lag(x, k)`` is by calendar: the value of the same unit at ``time - k``, missing where that row does not exist,
whatever row stands before. It looks only at the rows of the sample, so a filter can cut lags off; put the lag into the
data, or filter less, where that matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError
from crosscheck.formula_tree import Binary, Call, Expr, Name, Negative, Number, emit_expr
from crosscheck.frame import Frame

Floats: TypeAlias = NDArray[np.float64]


def evaluate(expr: Expr, frame: Frame, *, unit: str | None = None, time: str | None = None) -> Floats:
    """Evaluate an arithmetic expression of the formula language, shape (nrows,), NaN where missing.

    Raises
    ------
    DataError
        For a column that is not a number, or ``lag()`` without unit and time.
    """
    with np.errstate(all="ignore"):
        value = _value(expr, frame, unit, time)
    return np.array(np.broadcast_to(value, (frame.nrows,)), dtype=np.float64)


_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs}


def _value(expr: Expr, frame: Frame, unit: str | None, time: str | None) -> Floats | float:
    if isinstance(expr, Name):
        return frame[expr.name].as_float()
    if isinstance(expr, Number):
        return expr.value
    if isinstance(expr, Negative):
        return -_value(expr.operand, frame, unit, time)
    if isinstance(expr, Binary):
        left, right = (np.asarray(_value(e, frame, unit, time)) for e in (expr.left, expr.right))
        return _arithmetic(expr.operator, left, right)
    if isinstance(expr, Call) and expr.function == "lag":
        column, periods = expr.args
        assert isinstance(column, Name)
        assert isinstance(periods, Number)
        return lagged(frame, column.name, int(periods.value), unit=unit, time=time)
    if isinstance(expr, Call) and expr.function == "I":
        return _value(expr.args[0], frame, unit, time)
    if isinstance(expr, Call) and expr.function in _FUNCTIONS:
        return _FUNCTIONS[expr.function](np.asarray(_value(expr.args[0], frame, unit, time)))
    raise DataError(f"{emit_expr(expr, ticks=False)} is not a number", hint="it can only stand as a term of its own")


def _arithmetic(operator: str, left: Floats, right: Floats) -> Floats:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right
    if right.ndim == 0 and float(right) == 2.0:
        return left * left
    return np.asarray(np.power(left, right))


def lagged(frame: Frame, name: str, periods: int, *, unit: str | None, time: str | None) -> Floats:
    """Return the value of a column ``periods`` before, by calendar within the unit, shape (nrows,).

    Raises
    ------
    DataError
        Without unit and time, or where a unit occurs twice in a period.
    """
    if unit is None or time is None:
        raise DataError("lag() needs unit and time", hint="declare them in [data]")
    values = frame[name].as_float()
    units, _ = frame[unit].codes()
    times = frame[time].as_float()
    known = (units >= 0) & np.isfinite(times)
    rows = np.flatnonzero(known)
    out = np.full(frame.nrows, np.nan)
    if not rows.size:
        return out
    start = times[rows].min()
    span = int(times[rows].max() - start) + 1
    when = (times[rows] - start).astype(np.int64)
    key = units[rows] * span + when
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    if np.any(ordered[1:] == ordered[:-1]):
        raise DataError("lag() needs one row for each unit and time", hint="remove repeated rows")
    source = when - periods
    wanted = units[rows] * span + source
    at = np.minimum(np.searchsorted(ordered, wanted), ordered.size - 1)
    found = (ordered[at] == wanted) & (source >= 0) & (source < span)
    out[rows[found]] = values[rows[order[at[found]]]]
    return out


def orthogonal_polynomials(x: Floats, degree: int, *, what: str = "poly()") -> Floats:
    """Return R's ``poly(x, degree)``: orthonormal columns, orthogonal to the constant, shape (n, degree).

    The highest power in each column has a positive coefficient.

    Raises
    ------
    DataError
        For missing or infinite values, as R does, or too few different values.
    """
    if not np.isfinite(x).all():
        raise DataError(f"{what} cannot be built on missing or infinite values", hint="leave them out by sample.where")
    if degree >= np.unique(x).size:
        raise DataError(f"{what} needs more than {degree} different values")
    powers = np.power.outer(x - x.mean(), np.arange(degree + 1))
    q, r = np.linalg.qr(powers)
    columns: Floats = (q * np.sign(np.diag(r)))[:, 1:]
    return columns
