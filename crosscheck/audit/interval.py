"""Which real numbers can a quantity be, given that its inputs are only known to lie in intervals?

Every operation rounds outward by one unit in the last place, so the true result is always inside. The formulas of
:mod:`crosscheck.audit.formulas` accept floats and :class:`Interval` alike: on floats they are identities that tests
check against real regressions, on intervals they are what a printed table allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Union, overload

INF = math.inf


def down(x: float) -> float:
    """Return the largest double below ``x``."""
    return math.nextafter(x, -INF)


def up(x: float) -> float:
    """Return the smallest double above ``x``."""
    return math.nextafter(x, INF)


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval ``[lo, hi]``; empty where ``lo > hi``."""

    lo: float
    hi: float

    @property
    def empty(self) -> bool:
        """Whether no number is inside."""
        return not self.lo <= self.hi

    @property
    def mid(self) -> float:
        """The centre (the finite end where the other is infinite)."""
        if math.isinf(self.lo):
            return self.hi
        return self.lo if math.isinf(self.hi) else 0.5 * (self.lo + self.hi)

    @property
    def width(self) -> float:
        """Upper minus lower end."""
        return self.hi - self.lo

    @property
    def mag(self) -> float:
        """Largest absolute value inside."""
        return max(abs(self.lo), abs(self.hi))

    @property
    def mig(self) -> float:
        """Smallest absolute value inside."""
        return 0.0 if self.lo <= 0.0 <= self.hi else min(abs(self.lo), abs(self.hi))

    def __contains__(self, x: float) -> bool:
        return self.lo <= x <= self.hi

    def meets(self, other: Interval) -> bool:
        """Whether the two intervals have a number in common."""
        return max(self.lo, other.lo) <= min(self.hi, other.hi)

    def __and__(self, other: Interval) -> Interval:
        return Interval(max(self.lo, other.lo), min(self.hi, other.hi))

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.lo, other.lo), max(self.hi, other.hi))

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __abs__(self) -> Interval:
        if self.empty:
            return EMPTY
        return Interval(self.mig, self.mag)

    def __add__(self, other: Number) -> Interval:
        o = as_interval(other)
        if self.empty or o.empty:
            return EMPTY
        return Interval(down(self.lo + o.lo), up(self.hi + o.hi))

    __radd__ = __add__

    def __sub__(self, other: Number) -> Interval:
        o = as_interval(other)
        if self.empty or o.empty:
            return EMPTY
        return Interval(down(self.lo - o.hi), up(self.hi - o.lo))

    def __rsub__(self, other: Number) -> Interval:
        return as_interval(other) - self

    def __mul__(self, other: Number) -> Interval:
        o = as_interval(other)
        if self.empty or o.empty:
            return EMPTY
        ends = (_times(self.lo, o.lo), _times(self.lo, o.hi), _times(self.hi, o.lo), _times(self.hi, o.hi))
        return Interval(down(min(ends)), up(max(ends)))

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> Interval:
        o = as_interval(other)
        if self.empty or o.empty:
            return EMPTY
        if o.lo <= 0.0 <= o.hi:
            return _divide_through_zero(self, o)
        return self * Interval(down(1.0 / o.hi), up(1.0 / o.lo))

    def __rtruediv__(self, other: Number) -> Interval:
        return as_interval(other) / self

    def square(self) -> Interval:
        """Return the square (tighter than the product with itself)."""
        if self.empty:
            return EMPTY
        return Interval(max(0.0, down(self.mig * self.mig)), up(self.mag * self.mag))


EMPTY = Interval(INF, -INF)


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0.0 or b == 0.0 else a * b


def _divide_through_zero(x: Interval, y: Interval) -> Interval:
    if y.lo == 0.0 == y.hi or x.lo < 0.0 < x.hi or y.lo < 0.0 < y.hi:
        return Interval(-INF, INF)
    if y.lo == 0.0:
        inverse = Interval(down(1.0 / y.hi), INF)
    else:
        inverse = Interval(-INF, up(1.0 / y.lo))
    return x * inverse


Number = Union[float, int, Interval]  # noqa: UP007


def as_interval(x: Number) -> Interval:
    """Return ``x`` as an interval; a float becomes the point."""
    return x if isinstance(x, Interval) else Interval(float(x), float(x))


@overload
def square(x: Interval) -> Interval: ...
@overload
def square(x: float) -> float: ...
def square(x: Number) -> Number:
    """Return the square of a float or an interval."""
    return x.square() if isinstance(x, Interval) else x * x


@overload
def root(x: Interval) -> Interval: ...
@overload
def root(x: float) -> float: ...
def root(x: Number) -> Number:
    """Return the square root; the negative part of an interval is cut off (empty where nothing is left)."""
    if isinstance(x, Interval):
        if x.empty or x.hi < 0.0:
            return EMPTY
        return Interval(max(0.0, down(math.sqrt(max(0.0, x.lo)))), up(math.sqrt(x.hi)))
    return math.sqrt(x)


def clip(x: Interval, lo: float = -INF, hi: float = INF) -> Interval:
    """Cut an interval to a known range."""
    return Interval(max(x.lo, lo), min(x.hi, hi))


def relative_width(x: Interval) -> float:
    """Return the width relative to the centre (infinite for an interval around zero or without a bound)."""
    if x.empty or math.isinf(x.lo) or math.isinf(x.hi) or x.mid == 0.0:
        return INF
    return x.width / abs(x.mid)


def integers(x: Interval, lo: int, hi: int) -> tuple[int, ...]:
    """Return all integers of ``[lo, hi]`` that lie in the interval."""
    if x.empty:
        return ()
    first = lo if math.isinf(x.lo) else max(lo, math.ceil(x.lo))
    last = hi if math.isinf(x.hi) else min(hi, math.floor(x.hi))
    return tuple(range(first, last + 1))


def show(x: Number, digits: int = 5) -> str:
    """Write a number or an interval for a reader."""
    if not isinstance(x, Interval):
        return format(x, f".{digits}g")
    if x.empty:
        return "empty"
    return f"[{format(x.lo, f'.{digits}g')}, {format(x.hi, f'.{digits}g')}]"
