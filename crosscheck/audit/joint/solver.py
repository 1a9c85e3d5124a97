"""Can all printed numbers of a block be true at once? Branch and bound with a certificate either way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from crosscheck.audit.joint.relax import find_point, relaxed_infeasible
from crosscheck.audit.joint.system import Floats, System, contract

Status = Literal["feasible", "infeasible", "unknown"]
HUGE = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the solver proved.

    ``feasible`` carries a point of latents at which every printed number is reproduced; ``infeasible`` means that
    every part of the box was proved empty; ``unknown`` that the budget ran out.
    """

    status: Status
    point: Floats | None = None
    nodes: int = 0


def solve(system: System, budget: int = 60, *, seek: bool = True) -> Answer:
    """Decide feasibility of a system by interval branch and bound.

    At each box: hull consistency; a candidate point by sequential linear programming; a verified linear relaxation;
    then a split of the latent whose box is widest relative to its start. With ``seek`` off no point is looked for, so
    the answer is ``infeasible`` or ``unknown``.
    """
    lo, hi = list(system.lo), list(system.hi)
    if not contract(system, lo, hi):
        return Answer(status="infeasible", nodes=1)
    first = [max(hi[i] - lo[i], 1e-300) for i in system.latent]
    stack = [(lo, hi)]
    nodes = 0
    while stack:
        lo, hi = stack.pop()
        nodes += 1
        if not contract(system, lo, hi):
            continue
        bounded = all(
            math.isfinite(a) and math.isfinite(b) and abs(a) < HUGE and abs(b) < HUGE for a, b in _spans(lo, hi)
        )
        start: Floats | None = None
        if bounded:
            empty, start = relaxed_infeasible(system, lo, hi)
            if empty:
                continue
        point = find_point(system, _finite(lo, -1.0), _finite(hi, 1.0), start) if seek else None
        if point is not None:
            return Answer(status="feasible", point=point, nodes=nodes)
        if nodes >= budget:
            return Answer(status="unknown", nodes=nodes)
        k = max(range(len(system.latent)), key=lambda i: _width(lo, hi, system.latent[i]) / first[i])
        i = system.latent[k]
        a, b = _finite([lo[i]], -1.0)[0], _finite([hi[i]], 1.0)[0]
        cut = 0.5 * (a + b)
        left, right = list(hi), list(lo)
        left[i], right[i] = cut, cut
        stack += [(list(lo), left), (right, list(hi))]
    return Answer(status="infeasible", nodes=nodes)


def _spans(lo: list[float], hi: list[float]) -> zip[tuple[float, float]]:
    return zip(lo, hi, strict=True)


def _finite(values: list[float], sign: float) -> list[float]:
    return [v if math.isfinite(v) else sign * HUGE for v in values]


def _width(lo: list[float], hi: list[float], i: int) -> float:
    width = hi[i] - lo[i]
    return width if math.isfinite(width) else HUGE
