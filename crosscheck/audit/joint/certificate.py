"""Does a claimed certificate hold? Checked in interval and rational arithmetic, without the solver that found it.

A *point* certifies that printed numbers can all be true: every quantity is computed from it with outward rounding, and
the whole resulting interval must lie inside what is printed. *Multipliers* certify that a box is empty: the rows of the
relaxation are written again as fractions, combined exactly, and the least value over the box is compared with the right
side (Farkas 1902). Constants of affine relations were rounded once to be stored; both checks allow for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from crosscheck.audit.interval import Interval, down, root, up
from crosscheck.audit.joint.system import Floats, Op, System

PINNED = 1e-8
ULP = Fraction(1, 2**52)
Row = tuple[tuple[tuple[int, Fraction], ...], Fraction]


def _near(x: float) -> Interval:
    return Interval(down(x), up(x))


def enclosures(system: System, point: Floats) -> list[Interval]:
    """Return an interval for every quantity that contains its exact value at the point.

    Latents that the declared facts fix to within ``PINNED`` enter with the whole of their bounds, so the result holds
    for their exact value, which need not be a double.
    """
    out = [Interval(-math.inf, math.inf)] * len(system.names)
    for index, value in zip(system.latent, point, strict=True):
        lo, hi = system.lo[index], system.hi[index]
        fixed = hi - lo <= PINNED * max(abs(lo), abs(hi))
        out[index] = Interval(lo, hi) if fixed else Interval(float(value), float(value))
    for d in system.definitions:
        x, y = out[d.x], out[d.y] if d.y >= 0 else Interval(0.0, 0.0)
        if d.kind == "add":
            out[d.z] = x + y
        elif d.kind == "sub":
            out[d.z] = x - y
        elif d.kind == "mul":
            out[d.z] = x * y
        elif d.kind == "div":
            out[d.z] = x / y
        elif d.kind == "sq":
            out[d.z] = x.square()
        elif d.kind == "root":
            out[d.z] = root(x) if x.lo >= 0.0 else Interval(-math.inf, math.inf)
        else:
            out[d.z] = x * _near(d.a) + _near(d.b)
    return out


def point_holds(system: System, point: Floats) -> bool:
    """Whether every bound and every order of the system holds at the point, whatever was rounded."""
    found = enclosures(system, point)
    for box, lo, hi in zip(found, system.lo, system.hi, strict=True):
        if box.empty or math.isnan(box.lo) or math.isnan(box.hi) or box.lo < lo or box.hi > hi:
            return False
    return all(found[op.x].hi <= found[op.y].lo for op in system.ops if op.kind == "le")


def exact_rows(op: Op, lo: list[float], hi: list[float]) -> Iterator[Row]:
    """Yield the rows ``sum a x <= b`` of one operation's convex hull over a box, as fractions.

    In the order of :func:`crosscheck.audit.joint.relax.rows_of`, which multipliers refer to.
    """
    z, x, y, one = op.z, op.x, op.y, Fraction(1)
    if op.kind == "le":
        yield ((x, one), (y, -one)), Fraction(0)
    elif op.kind == "add":
        yield ((z, one), (x, -one), (y, -one)), Fraction(0)
        yield ((z, -one), (x, one), (y, one)), Fraction(0)
    elif op.kind == "aff":
        a, b = Fraction(op.a), Fraction(op.b)
        reach = max(abs(Fraction(lo[x])), abs(Fraction(hi[x])))
        slack = ULP * (abs(a) * reach + abs(b))
        yield ((z, one), (x, -a)), b + slack
        yield ((z, -one), (x, a)), -b + slack
    elif op.kind == "mul":
        xl, xu, yl, yu = (Fraction(v) for v in (lo[x], hi[x], lo[y], hi[y]))
        for p, q, s in ((xl, yl, -one), (xu, yu, -one), (xu, yl, one), (xl, yu, one)):
            yield ((z, s), (x, -s * q), (y, -s * p)), -s * p * q
    else:
        xl, xu = Fraction(lo[x]), Fraction(hi[x])
        yield ((z, one), (x, -(xl + xu))), -xl * xu
        for at in (xl, Fraction(0.5 * (lo[x] + hi[x])), xu):
            yield ((z, -one), (x, 2 * at)), at * at


def multipliers_hold(system: System, lo: list[float], hi: list[float], multipliers: Floats) -> bool:
    """Whether non-negative multipliers of the rows prove that no point of the box satisfies them, exactly."""
    rows = (row for op in system.ops for row in exact_rows(op, lo, hi))
    combined: dict[int, Fraction] = {}
    right = Fraction(0)
    for (terms, rhs), weight in zip(rows, multipliers, strict=True):
        if not weight > 0.0:
            continue
        w = Fraction(float(weight))
        right += w * rhs
        for index, value in terms:
            combined[index] = combined.get(index, Fraction(0)) + w * value
    least = sum((c * Fraction(lo[i] if c > 0 else hi[i]) for i, c in combined.items() if c), Fraction(0))
    return least > right
