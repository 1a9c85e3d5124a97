"""Which printed numbers cannot all be true, and which single change would repair them?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crosscheck.audit.joint.relax import find_point
from crosscheck.audit.joint.solver import HUGE, solve
from crosscheck.audit.joint.system import Floats, System, contract
from crosscheck.audit.tokens import Token

STEPS = 60
FAR = 1e4
Build = Callable[[frozenset[str]], System]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One token which, alone changed, makes the block possible, and between which printed values (``more``: any)."""

    token: str
    printed: str
    low: str
    high: str


def minimal_conflict(build: Build, tokens: tuple[str, ...], budget: int = 4) -> tuple[str, ...]:
    """Return a minimal set of tokens that cannot all be true (QuickXplain, Junker 2004).

    Minimal: leave any one out and infeasibility is no longer proved.
    """
    everything = frozenset(tokens)

    def impossible(kept: tuple[str, ...]) -> bool:
        return solve(build(everything - frozenset(kept)), budget, seek=False).status == "infeasible"

    def narrow(background: tuple[str, ...], added: bool, candidates: tuple[str, ...]) -> tuple[str, ...]:
        if added and impossible(background):
            return ()
        if len(candidates) == 1:
            return candidates
        half = len(candidates) // 2
        first, second = candidates[:half], candidates[half:]
        two = narrow(background + first, bool(first), second)
        one = narrow(background + two, bool(two), first)
        return one + two

    if not tokens or impossible(()):
        return ()
    return narrow((), False, tokens)


def single_repairs(
    build: Build, conflict: tuple[str, ...], tokens: dict[str, Token], budget: int = 20
) -> tuple[Repair, ...]:
    """Return every token of a conflict whose change alone makes the whole block possible."""
    out = []
    for token in conflict:
        system = build(frozenset((token,)))
        answer = solve(system, budget)
        if answer.point is None:
            continue
        printed = tokens[token].printed if token in tokens else "no star"
        if token not in tokens or tokens[token].quantity == "stars" or token not in system.token_of:
            out.append(Repair(token=token, printed=printed, low="another number of stars", high=""))
            continue
        low, high = reach(system, answer.point, system.token_of[token])
        places = tokens[token].decimals
        open_ended = high > FAR * max(1.0, abs(tokens[token].value))
        shown = "more" if open_ended else f"{high:.{places}f}"
        out.append(Repair(token=token, printed=printed, low=f"{low:.{places}f}", high=shown))
    return tuple(out)


def reach(system: System, point: Floats, quantity: int) -> tuple[float, float]:
    """Return how far down and up one quantity can go, from a feasible point on.

    Inner bounds: both ends are reached, and nothing says that the quantity cannot go farther.
    """
    lo, hi = list(system.lo), list(system.hi)
    contract(system, lo, hi)
    lo = [v if np.isfinite(v) else -HUGE for v in lo]
    hi = [v if np.isfinite(v) else HUGE for v in hi]
    values = system.forward(point)[0]
    ends = []
    for sign in (1.0, -1.0):
        best = find_point(system, lo, hi, values, STEPS, (quantity, sign))
        ends.append(float(values[quantity] if best is None else system.forward(best)[0][quantity]))
    return min(ends), max(ends)
