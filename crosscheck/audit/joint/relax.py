"""Can a box be proved empty by a linear relaxation, and can a point inside be found?

:func:`relaxed_infeasible` replaces products and squares by their convex hulls over the box (McCormick 1976), asks HiGHS
for the multipliers that contradict the rows most, sorts out the useless ones with rigorous error bounds (Neumaier and
Shcherbina 2004) and has the rest verified in rational arithmetic. :func:`find_point` runs a few steps of sequential
linear programming from the centre of a box and accepts a point only if interval arithmetic confirms every bound. The
solver proposes, :mod:`crosscheck.audit.joint.certificate` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.audit.joint.certificate import multipliers_hold, point_holds
from crosscheck.audit.joint.system import Floats, System

if TYPE_CHECKING:
    from scipy import sparse

EPS = 2.0**-52
SAFETY = 16.0
TIGHT = 1e-8
SETTLED = 1e-7
FREE = 1e4


@dataclass(slots=True)
class Rows:
    """Linear inequalities ``A x <= b`` that hold in a box, as triplets."""

    row: list[int]
    col: list[int]
    val: list[float]
    rhs: list[float]
    size: list[float]

    def put(self, terms: tuple[tuple[int, float], ...], rhs: float, size: float) -> None:
        """Add one row; ``size`` bounds the magnitude of numbers that were rounded to form ``rhs``."""
        i = len(self.rhs)
        for col, val in terms:
            self.row.append(i)
            self.col.append(col)
            self.val.append(val)
        self.rhs.append(rhs)
        self.size.append(size)


def rows_of(system: System, lo: list[float], hi: list[float]) -> Rows:
    """Write the convex hull of every operation over a bounded box."""
    rows = Rows([], [], [], [], [])
    for op in system.ops:
        z, x, y = op.z, op.x, op.y
        if op.kind == "le":
            rows.put(((x, 1.0), (y, -1.0)), 0.0, 0.0)
        elif op.kind == "add":
            rows.put(((z, 1.0), (x, -1.0), (y, -1.0)), 0.0, 0.0)
            rows.put(((z, -1.0), (x, 1.0), (y, 1.0)), 0.0, 0.0)
        elif op.kind == "aff":
            rows.put(((z, 1.0), (x, -op.a)), op.b, abs(op.b))
            rows.put(((z, -1.0), (x, op.a)), -op.b, abs(op.b))
        elif op.kind == "mul":
            xl, xu, yl, yu = lo[x], hi[x], lo[y], hi[y]
            for a, b, sign in ((xl, yl, -1.0), (xu, yu, -1.0), (xu, yl, 1.0), (xl, yu, 1.0)):
                rows.put(((z, sign), (x, -sign * b), (y, -sign * a)), -sign * a * b, abs(a * b))
        else:
            xl, xu = lo[x], hi[x]
            rows.put(((z, 1.0), (x, -(xl + xu))), -xl * xu, abs(xl * xu) + (abs(xl) + abs(xu)) ** 2)
            for p in (xl, 0.5 * (xl + xu), xu):
                rows.put(((z, -1.0), (x, 2.0 * p)), p * p, p * p)
    return rows


def relaxed_infeasible(system: System, lo: list[float], hi: list[float]) -> tuple[bool, Floats | None]:
    """Return whether the relaxation proves the box empty, and the relaxation's point where it does not.

    The box must be bounded.
    """
    from scipy import sparse  # a run makes no joint step, and does without scipy.optimize
    from scipy.optimize import linprog

    n = len(lo)
    low, high = np.array(lo), np.array(hi)
    mid, half = 0.5 * (low + high), 0.5 * (high - low)
    half = np.maximum(half, 1e-300)
    rows = rows_of(system, lo, hi)
    m = len(rows.rhs)
    i, c = np.array(rows.row), np.array(rows.col)
    raw = np.array(rows.val)
    scaled = raw * half[c]
    shift = raw * mid[c]
    rhs = np.array(rows.rhs) - np.bincount(i, shift, m)
    noise = np.array(rows.size) + np.bincount(i, np.abs(shift) + np.abs(scaled), m)
    norm = np.maximum(np.bincount(i, np.abs(scaled), m), 1e-300)
    a = sparse.csr_matrix((scaled / norm[i], (i, c)), shape=(m, n))
    b, slack = rhs / norm, SAFETY * EPS * noise / norm
    # Elastic form: minimise t with A u - t <= b, -1 <= u <= 1.
    lp = sparse.hstack([a, -np.ones((m, 1))], format="csr")
    cost = np.zeros(n + 1)
    cost[n] = 1.0
    answer = linprog(cost, A_ub=lp, b_ub=b + slack, bounds=[(-1.0, 1.0)] * n + [(0.0, None)], method="highs")
    if answer.status != 0 or answer.x is None:
        return False, None
    point = mid + half * np.asarray(answer.x[:n])
    if answer.fun <= 1e-11:
        return False, point
    y = np.maximum(0.0, -np.asarray(answer.ineqlin.marginals))
    return _contradiction(a, b, slack, y) and multipliers_hold(system, lo, hi, y / norm), point


def _contradiction(a: sparse.csr_matrix, b: Floats, slack: Floats, y: Floats) -> bool:
    """Whether multipliers prove ``A u <= b`` empty on the unit cube, with all rounding on the safe side.

    For feasible u, ``y A u <= y b``. The smallest value of ``y A u`` on the cube is ``-sum |y A|``; if it exceeds
    ``y b`` no u is feasible.
    """
    combined = a.T @ y
    count = float(max(a.shape))
    error = count * EPS * (abs(a).T @ y)
    least = -float(np.sum(np.abs(combined) + error)) * (1.0 + count * EPS)
    most = float(np.sum(y * (b + slack)))
    most += count * EPS * float(np.sum(y * (np.abs(b) + slack))) * SAFETY
    return least > most


def find_point(
    system: System, lo: list[float], hi: list[float], start: Floats | None = None, steps: int = 10,
    target: tuple[int, float] | None = None,
) -> Floats | None:  # fmt: skip
    """Return latents at which every quantity is inside its bounds, or None.

    ``target`` (quantity, sign) pushes one quantity down (+1) or up (-1) as far as linear programming gets it; the best
    feasible point is returned.
    """
    latent = np.array(system.latent)
    low, high = np.array(system.lo), np.array(system.hi)
    box_lo, box_hi = np.array(lo)[latent], np.array(hi)[latent]
    centre = 0.5 * (box_lo + box_hi)
    x: Floats = centre if start is None else np.clip(start[latent], box_lo, box_hi)
    x = np.where(box_hi - box_lo < TIGHT * np.abs(centre), centre, x)
    if not np.all(np.isfinite(x)):
        return None
    # A lower bound of zero without an upper one is a square's or a root's own.
    bounded = [k for k in range(len(low)) if np.isfinite(high[k]) or (np.isfinite(low[k]) and low[k] != 0.0)]
    orders = [(op.x, op.y) for op in system.ops if op.kind == "le"]
    printed = frozenset(system.token_of.values())
    best: Floats | None = None
    best_value = np.inf
    step_size = 1.0
    for _ in range(steps):
        with np.errstate(divide="ignore", invalid="ignore"):
            v, j = system.forward(x)
        if not (np.all(np.isfinite(v)) and np.all(np.isfinite(j))):
            return best
        if _inside(v, low, high, orders) and (target is not None or point_holds(system, x)):
            if target is None:
                return x
            value = target[1] * v[target[0]]
            if best is not None and best_value - value <= SETTLED * abs(best_value) and value <= best_value:
                return x
            if value < best_value:
                best, best_value = x.copy(), value
            else:
                step_size *= 0.5
        move = _linear_step(v, j, low, high, orders, bounded, printed, x, box_lo, box_hi, target, step_size)
        if move is None:
            return best
        x = np.clip(x + move, box_lo, box_hi)
    v, _ = system.forward(x)
    if target is None:
        return x if point_holds(system, x) else None
    if _inside(v, low, high, orders) and target[1] * v[target[0]] < best_value:
        return x
    return best


def _inside(v: Floats, low: Floats, high: Floats, orders: list[tuple[int, int]]) -> bool:
    if not (np.all(v >= low) and np.all(v <= high)):
        return False
    return all(v[a] <= v[b] for a, b in orders)


def _linear_step(
    v: Floats, j: Floats, low: Floats, high: Floats, orders: list[tuple[int, int]], bounded: list[int],
    printed: frozenset[int], x: Floats, box_lo: Floats, box_hi: Floats, target: tuple[int, float] | None,
    step_size: float,
) -> Floats | None:  # fmt: skip
    """One linear programme: the move within the box that gives the linearised bounds the most room."""
    width = np.maximum(box_hi - box_lo, 1e-300)
    if target is not None:
        # A latent that nothing printed bounds has a box far wider than any step that linearisation survives.
        width = np.minimum(width, 2.0 * np.abs(x) + 1e-9 * width)
    rows, rhs = [], []
    for k in bounded:
        span = high[k] - low[k]
        size = span if np.isfinite(span) and span > 0 else max(abs(v[k]), 1e-12)
        grad = j[k] * width / size
        if not np.any(grad):
            continue
        share = 1.0 if k in printed or span <= abs(v[k]) else 0.0
        share = share if span >= TIGHT * abs(v[k]) and span <= max(FREE, abs(v[k])) else 0.0
        if np.isfinite(high[k]):
            rows.append(np.append(grad, share))
            rhs.append((high[k] - v[k]) / size)
        if np.isfinite(low[k]):
            rows.append(np.append(-grad, share))
            rhs.append((v[k] - low[k]) / size)
    for p, q in orders:
        size = max(abs(v[p]), abs(v[q]), 1e-200)
        rows.append(np.append((j[p] - j[q]) * width / size, 1.0))
        rhs.append((v[q] - v[p]) / size)
    if not (rows and np.all(np.isfinite(rows)) and np.all(np.isfinite(rhs))):
        return None
    m = len(x)
    cost = np.zeros(m + 1)
    room: tuple[float | None, float | None] = (None, 0.5)
    if target is None:
        cost[m] = -1.0
    else:
        gradient = target[1] * j[target[0]] * width
        scale = float(np.max(np.abs(gradient))) or 1.0
        cost[:m] = gradient / scale
        room = (1e-6, 1e-6)
    bounds: list[tuple[float | None, float | None]] = []
    for k in range(m):
        left, right = (box_lo[k] - x[k]) / width[k], (box_hi[k] - x[k]) / width[k]
        frozen = width[k] < TIGHT * abs(x[k])
        bounds.append((0.0, 0.0) if frozen else (max(left, -step_size), min(right, step_size)))
    from scipy.optimize import linprog

    answer = linprog(cost, A_ub=np.array(rows), b_ub=np.array(rhs), bounds=[*bounds, room], method="highs")
    if answer.status != 0 or answer.x is None:
        return None
    return np.asarray(answer.x[:m]) * width
