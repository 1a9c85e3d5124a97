"""Which untreated rows stand in for the treated ones, and with what weight?

Nearest neighbours with every rule named (replacement, ratio, caliper, order, ties), and kernel matching (Heckman,
Ichimura and Todd 1997). Distances within 1e-12 of each other are tied, so that rounding never decides.

Weights: a treated row that is matched weighs 1. A control's weight is the sum of its shares over the treated rows it
serves, a treated row's shares summing to one (Stata's psmatch2); ``matchit`` scales these to sum to the number of
controls that serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]

TIE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How matches are made; the words are those of ``MatchOptions``, the caliper in units of the distance."""

    method: Literal["nearest", "kernel"] = "nearest"
    ratio: int = 1
    replace: bool = True
    order: Literal["largest", "smallest", "data"] = "largest"
    ties: Literal["first", "all"] = "first"
    caliper: float | None = None
    caliper_scale: Literal["absolute", "sd", "sd_pooled"] = "sd"
    kernel: Literal["epanechnikov", "gaussian"] = "epanechnikov"
    bandwidth: float = 0.06
    support: Literal["none", "minmax", "both"] = "none"
    weighting: Literal["psmatch2", "matchit"] = "psmatch2"


def on_support(score: Real, treated: Mask, support: str) -> Mask:
    """Return which rows lie in the range of scores that both groups reach (or all), shape (n,)."""
    if support == "none":
        return np.ones(score.size, dtype=bool)
    low, high = score[~treated].min(), score[~treated].max()
    if support == "both":
        low, high = max(low, score[treated].min()), min(high, score[treated].max())
    return np.asarray((score >= low) & (score <= high))


def caliper_width(distance: Real, treated: Mask, rules: Rules) -> float:
    """Return the caliper in units of the distance, infinity without one.

    Raises
    ------
    DataError
        Where a standard deviation is one of a single row.
    """
    if rules.caliper is None:
        return np.inf
    if rules.caliper_scale == "absolute":
        return rules.caliper
    sizes = [distance.size] if rules.caliper_scale == "sd" else [int(treated.sum()), int((~treated).sum())]
    if min(sizes) < 2:
        raise DataError("the caliper's standard deviation is one of a single row", hint="caliper_scale = absolute")
    if rules.caliper_scale == "sd":
        return rules.caliper * float(distance.std(ddof=1))
    both = distance[treated].var(ddof=1) + distance[~treated].var(ddof=1)
    return rules.caliper * float(np.sqrt(both / 2))


def match(score: Real, distance: Real, treated: Mask, blocks: NDArray[np.int64], rules: Rules) -> Real:
    """Return the weight of each row, 0 where it is not matched, shape (n,).

    Parameters
    ----------
    score : ndarray, shape (n,)
        Decides common support and kernels.
    distance : ndarray, shape (n,)
        Decides neighbours and the caliper: the score or its logit.
    treated : ndarray of bool, shape (n,)
    blocks : codes from 0, shape (n,)
        Matches are within blocks, and so are support and the caliper's SD.
    rules : Rules

    Raises
    ------
    DataError
        Where a block lacks a group or two rows for the caliper's standard deviation, or nothing is matched.
    """
    weight = np.zeros(score.size)
    for b in range(int(blocks.max()) + 1):
        rows = np.flatnonzero(blocks == b)
        if treated[rows].all() or not treated[rows].any():
            raise DataError("matching needs treated and untreated rows in each block")
        usable = rows[on_support(score[rows], treated[rows], rules.support)]
        own, others = usable[treated[usable]], usable[~treated[usable]]
        if not own.size or not others.size:
            continue
        if rules.method == "kernel":
            weight[rows] += _kernel(score, own, others, rules)[rows]
            continue
        width = caliper_width(distance[usable], treated[usable], rules)
        find = _with_replacement if rules.replace else _without_replacement
        for one, controls in zip(own, find(distance, own, others, rules, width), strict=True):
            if controls.size:
                weight[one] = 1.0
                weight[controls] += 1.0 / controls.size
    if not weight[treated].any():
        raise DataError("no treated row is matched", hint="widen the caliper or the bandwidth")
    if rules.weighting == "matchit":
        serving = ~treated & (weight > 0)
        weight[serving] *= serving.sum() / weight[serving].sum()
    return weight


def _with_replacement(
    distance: Real, own: NDArray[np.intp], others: NDArray[np.intp], rules: Rules, width: float
) -> list[NDArray[np.intp]]:
    """Return the controls of each treated row."""
    out = []
    for one in own:
        gap = np.abs(distance[others] - distance[one])
        near = gap <= width + TIE
        candidates, gap = others[near], gap[near]
        if rules.ties == "all" and gap.size > rules.ratio:
            limit = np.partition(gap, rules.ratio - 1)[rules.ratio - 1]
            out.append(candidates[gap <= limit + TIE])
            continue
        chosen: list[int] = []
        free = np.ones(gap.size, dtype=bool)
        while len(chosen) < rules.ratio and free.any():
            pick = int(np.argmax(free & (gap <= gap[free].min() + TIE)))
            free[pick] = False
            chosen.append(int(candidates[pick]))
        out.append(np.array(chosen, dtype=np.intp))
    return out


def _without_replacement(
    distance: Real, own: NDArray[np.intp], others: NDArray[np.intp], rules: Rules, width: float
) -> list[NDArray[np.intp]]:
    """Return the controls of each treated row: in every round each takes the nearest that is left."""
    order = np.arange(own.size)
    if rules.order != "data":
        sign = -1.0 if rules.order == "largest" else 1.0
        order = np.argsort(sign * distance[own], kind="stable")
    chosen: list[list[int]] = [[] for _ in own]
    free = np.ones(others.size, dtype=bool)
    for _ in range(rules.ratio):
        for i in order:
            gap = np.where(free, np.abs(distance[others] - distance[own[i]]), np.inf)
            if not free.any() or gap.min() > width + TIE:
                continue
            pick = int(np.argmax(gap <= gap.min() + TIE))
            free[pick] = False
            chosen[i].append(int(others[pick]))
    return [np.array(c, dtype=np.intp) for c in chosen]


def _kernel(score: Real, own: NDArray[np.intp], others: NDArray[np.intp], rules: Rules) -> Real:
    """Return the weights that a kernel gives, shape (n,); treated rows without a control nearby stay at 0."""
    out = np.zeros(score.size)
    u = (score[own][:, None] - score[others][None, :]) / rules.bandwidth
    k = np.where(np.abs(u) < 1, 1 - u * u, 0.0) if rules.kernel == "epanechnikov" else np.exp(-u * u / 2)
    total = k.sum(axis=1)
    met = total > 0
    out[own[met]] = 1.0
    out[others] = (k[met] / total[met][:, None]).sum(axis=0)
    return out
