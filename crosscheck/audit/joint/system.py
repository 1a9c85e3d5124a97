"""How is a block of columns written down as one set of equations between bounded quantities?

A :class:`System` is a list of latent quantities with bounds and of primitive operations (sum, product, square, affine
map, order) that define further quantities from earlier ones. Printed tokens bound quantities. Every derived quantity is
computable forward from the latents, which is what makes a point a certificate of feasibility; read in all directions
the same operations contract boxes, which makes certificates of infeasibility.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.audit.interval import INF, Interval, down, up

OpKind = Literal["add", "mul", "sq", "aff", "le"]
Forward = Literal["add", "sub", "mul", "div", "sq", "root", "aff"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Op:
    """A relation: ``z = x + y``, ``z = x y``, ``z = x**2``, ``z = a x + b``, or ``x <= y``."""

    kind: OpKind
    z: int
    x: int
    y: int = -1
    a: float = 0.0
    b: float = 0.0


@dataclass(frozen=True, slots=True)
class Definition:
    """How a derived quantity is computed from earlier ones."""

    kind: Forward
    z: int
    x: int
    y: int = -1
    a: float = 0.0
    b: float = 0.0


@dataclass(slots=True)
class System:
    """Latent and derived quantities, their bounds, and what ties them.

    Attributes
    ----------
    lo, hi : lists of float
        Bounds of each quantity.
    ops : list of Op
        All relations.
    definitions : list of Definition
        The derived quantities in order.
    latent : list of int
        Indices of the quantities that nothing defines.
    token_of : dict
        Which token bounds a quantity (the quantity's natural bounds are kept in ``natural``).
    """

    names: list[str] = field(default_factory=list)
    lo: list[float] = field(default_factory=list)
    hi: list[float] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    latent: list[int] = field(default_factory=list)
    token_of: dict[str, int] = field(default_factory=dict)

    def _new(self, name: str, lo: float, hi: float) -> int:
        self.names.append(name)
        self.lo.append(lo)
        self.hi.append(hi)
        return len(self.names) - 1

    def var(self, name: str, lo: float = -INF, hi: float = INF) -> int:
        """Add a latent quantity."""
        index = self._new(name, lo, hi)
        self.latent.append(index)
        return index

    def bound(self, index: int, box: Interval, token: str | None = None) -> None:
        """Restrict a quantity, naming the token that does so."""
        self.lo[index] = max(self.lo[index], box.lo)
        self.hi[index] = min(self.hi[index], box.hi)
        if token is not None:
            self.token_of[token] = index

    def add(self, x: int, y: int, name: str = "") -> int:
        """Return ``x + y``."""
        z = self._new(name, -INF, INF)
        self.ops.append(Op("add", z, x, y))
        self.definitions.append(Definition("add", z, x, y))
        return z

    def sub(self, x: int, y: int, name: str = "", lo: float = -INF) -> int:
        """Return ``x - y``."""
        z = self._new(name, lo, INF)
        self.ops.append(Op("add", x, z, y))
        self.definitions.append(Definition("sub", z, x, y))
        return z

    def mul(self, x: int, y: int, name: str = "") -> int:
        """Return ``x y``."""
        z = self._new(name, -INF, INF)
        self.ops.append(Op("mul", z, x, y))
        self.definitions.append(Definition("mul", z, x, y))
        return z

    def div(self, x: int, y: int, name: str = "") -> int:
        """Return ``x/y``; y must be positive."""
        z = self._new(name, -INF, INF)
        self.ops.append(Op("mul", x, z, y))
        self.definitions.append(Definition("div", z, x, y))
        return z

    def sq(self, x: int, name: str = "") -> int:
        """Return ``x**2``."""
        z = self._new(name, 0.0, INF)
        self.ops.append(Op("sq", z, x))
        self.definitions.append(Definition("sq", z, x))
        return z

    def root(self, x: int, name: str = "") -> int:
        """Return the non-negative square root."""
        z = self._new(name, 0.0, INF)
        self.ops.append(Op("sq", x, z))
        self.definitions.append(Definition("root", z, x))
        return z

    def aff(self, x: int, a: float, b: float, name: str = "") -> int:
        """Return ``a x + b``."""
        z = self._new(name, -INF, INF)
        self.ops.append(Op("aff", z, x, a=a, b=b))
        self.definitions.append(Definition("aff", z, x, a=a, b=b))
        return z

    def le(self, x: int, y: int) -> None:
        """Demand ``x <= y``."""
        self.ops.append(Op("le", -1, x, y))

    def forward(self, latent: Floats) -> tuple[Floats, Floats]:
        """Compute every quantity and its derivatives from the latents.

        Returns
        -------
        values : shape (quantities,)
        jacobian : shape (quantities, latents)
        """
        n, m = len(self.names), len(self.latent)
        v, j = np.zeros(n), np.zeros((n, m))
        v[self.latent] = latent
        j[self.latent, np.arange(m)] = 1.0
        for d in self.definitions:
            x, y = d.x, d.y
            if d.kind == "add":
                v[d.z], j[d.z] = v[x] + v[y], j[x] + j[y]
            elif d.kind == "sub":
                v[d.z], j[d.z] = v[x] - v[y], j[x] - j[y]
            elif d.kind == "mul":
                v[d.z], j[d.z] = v[x] * v[y], j[x] * v[y] + j[y] * v[x]
            elif d.kind == "div":
                q = v[x] / v[y]
                v[d.z], j[d.z] = q, (j[x] - q * j[y]) / v[y]
            elif d.kind == "sq":
                v[d.z], j[d.z] = v[x] * v[x], 2.0 * v[x] * j[x]
            elif d.kind == "root":
                r = math.sqrt(max(v[x], 1e-300))
                v[d.z], j[d.z] = r, j[x] / (2.0 * r)
            else:
                v[d.z], j[d.z] = d.a * v[x] + d.b, d.a * j[x]
        return v, j


def contract(system: System, lo: list[float], hi: list[float], *, sweeps: int = 60, gain: float = 0.01) -> bool:
    """Shrink a box in place by hull consistency; False where nothing is left (a proof of infeasibility).

    Every bound is rounded outward. Stops when a sweep shrinks no quantity by more than ``gain`` of its width.
    """
    for _ in range(sweeps):
        changed = False
        for op in system.ops:
            moved = _contract_op(op, lo, hi, gain)
            if moved is None:
                return False
            changed = changed or moved
        if not changed:
            return True
    return True


def _set(lo: list[float], hi: list[float], i: int, a: float, b: float, gain: float) -> bool | None:
    old_lo, old_hi = lo[i], hi[i]
    if a <= old_lo and b >= old_hi:
        return False
    new_lo, new_hi = max(a, old_lo), min(b, old_hi)
    if not new_lo <= new_hi:
        return None
    lo[i], hi[i] = new_lo, new_hi
    width = old_hi - old_lo
    if math.isinf(width):
        return new_hi - new_lo < width or new_lo != old_lo or new_hi != old_hi
    return (width - (new_hi - new_lo)) > gain * width


def _product(a: float, b: float, c: float, d: float) -> tuple[float, float]:
    ends = [0.0 if p == 0.0 or q == 0.0 else p * q for p, q in ((a, c), (a, d), (b, c), (b, d))]
    return down(min(ends)), up(max(ends))


def _quotient(a: float, b: float, c: float, d: float) -> tuple[float, float]:
    if c > 0.0 or d < 0.0:
        return _product(a, b, down(1.0 / d), up(1.0 / c))
    if c == 0.0 and d > 0.0:
        inverse = down(1.0 / d)
        return (_low(a, inverse), INF) if a >= 0.0 else ((-INF, up(b * inverse)) if b <= 0.0 else (-INF, INF))
    return -INF, INF


def _low(a: float, inverse: float) -> float:
    return max(0.0, down(a * inverse))


def _contract_op(op: Op, lo: list[float], hi: list[float], gain: float) -> bool | None:
    z, x, y = op.z, op.x, op.y
    results: list[bool | None] = []
    if op.kind == "le":
        results.append(_set(lo, hi, x, -INF, hi[y], gain))
        results.append(_set(lo, hi, y, lo[x], INF, gain))
    elif op.kind == "add":
        results.append(_set(lo, hi, z, down(lo[x] + lo[y]), up(hi[x] + hi[y]), gain))
        results.append(_set(lo, hi, x, down(lo[z] - hi[y]), up(hi[z] - lo[y]), gain))
        results.append(_set(lo, hi, y, down(lo[z] - hi[x]), up(hi[z] - lo[x]), gain))
    elif op.kind == "aff":
        # The stored constants are the nearest doubles to the exact ones.
        a, b = _product(lo[x], hi[x], down(op.a), up(op.a))
        results.append(_set(lo, hi, z, down(a + down(op.b)), up(b + up(op.b)), gain))
        if op.a != 0.0:
            a, b = _quotient(down(lo[z] - up(op.b)), up(hi[z] - down(op.b)), down(op.a), up(op.a))
            results.append(_set(lo, hi, x, a, b, gain))
    elif op.kind == "mul":
        results.append(_set(lo, hi, z, *_product(lo[x], hi[x], lo[y], hi[y]), gain))
        results.append(_set(lo, hi, x, *_quotient(lo[z], hi[z], lo[y], hi[y]), gain))
        results.append(_set(lo, hi, y, *_quotient(lo[z], hi[z], lo[x], hi[x]), gain))
    else:
        small = 0.0 if lo[x] <= 0.0 <= hi[x] else min(abs(lo[x]), abs(hi[x]))
        large = max(abs(lo[x]), abs(hi[x]))
        results.append(_set(lo, hi, z, max(0.0, down(small * small)), up(large * large), gain))
        if hi[z] < 0.0:
            return None
        top = up(math.sqrt(hi[z])) if math.isfinite(hi[z]) else INF
        base = max(0.0, down(math.sqrt(max(0.0, lo[z]))))
        if lo[x] >= 0.0:
            results.append(_set(lo, hi, x, base, top, gain))
        elif hi[x] <= 0.0:
            results.append(_set(lo, hi, x, -top, -base, gain))
        else:
            results.append(_set(lo, hi, x, -top, top, gain))
    if any(r is None for r in results):
        return None
    return any(results)
