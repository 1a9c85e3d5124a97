"""Do two sources agree on each of many like numbers, such as the draws of a placebo test?

A block is judged as a whole, by its worst member, so that a report need not list thousands of draws and yet a single
draw that differs decides. Members without a number on one side or on both are counted apart and never as agreeing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.results import Block

Real = NDArray[np.float64]
MAX_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The compared members of one quantity.

    Attributes
    ----------
    compared, differing : int
        Members with a number on both sides, and those of them beyond the tolerance.
    label : str
        Of the member that uses most of its tolerance.
    reference, candidate, scale : float
        Its two numbers, and the standard error that goes with them (0 without one).
    exact : bool
        Whether all compared members are equal to the bit.
    """

    compared: int
    differing: int
    label: str
    reference: float
    candidate: float
    scale: float
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Members that lack a number on the ``reference``, the ``candidate`` or ``both`` sides."""

    side: str
    count: int
    labels: tuple[str, ...]


def members(block: Block) -> tuple[str, ...]:
    """Return the labels of a block's members: its own, or numbers from 1."""
    size = len(block.values[0]) if block.values else 0
    return block.labels or tuple(map(str, range(1, size + 1)))


def aligned(block: Block, labels: Sequence[str], quantity: str) -> Real:
    """Return a quantity in the order of labels, NaN where the block has no such member or number, shape (labels,)."""
    if quantity not in block.quantities:
        return np.full(len(labels), np.nan)
    found = np.array([np.nan if v is None else v for v in block[quantity]], dtype=np.float64)
    own = members(block)
    if own == tuple(labels):
        return found
    place = {label: i for i, label in enumerate(own)}
    return np.array([found[place[label]] if label in place else np.nan for label in labels])


def judge(
    a: Real, b: Real, labels: Sequence[str], allowed: Real, scale: Real | None = None
) -> tuple[Worst | None, tuple[Absent, ...]]:
    """Compare the members of one quantity.

    Parameters
    ----------
    a, b : ndarray, shape (members,)
        Of the reference and of the candidate; NaN where there is none.
    labels : sequence of str
    allowed : ndarray, shape (members,)
        How far the two may be apart.
    scale : ndarray, shape (members,), optional
        Standard errors of the reference.

    Returns
    -------
    Worst or None
        ``None`` where no member can be compared.
    tuple of Absent
    """
    known = ~np.isnan(a) & ~np.isnan(b)
    absent = []
    for side, mask in (
        ("both", np.isnan(a) & np.isnan(b)),
        ("reference", np.isnan(a) & ~np.isnan(b)),
        ("candidate", ~np.isnan(a) & np.isnan(b)),
    ):
        places = np.flatnonzero(mask)
        if places.size:
            named = tuple(labels[i] for i in places[:MAX_NAMED])
            absent.append(Absent(side=side, count=int(places.size), labels=named))
    if not known.any():
        return None, tuple(absent)
    gap = np.full(a.size, -1.0)
    with np.errstate(invalid="ignore"):
        gap[known] = np.where(a[known] == b[known], 0.0, np.abs(a[known] - b[known]))
    beyond = known & (gap > np.where(np.isfinite(a) & np.isfinite(b), allowed, 0.0))
    used = np.where(known, np.where(gap > 0, gap / np.maximum(allowed, np.finfo(float).tiny), gap), -1.0)
    at = int(np.argmax(used))
    worst = Worst(
        compared=int(known.sum()),
        differing=int(beyond.sum()),
        label=labels[at],
        reference=float(a[at]),
        candidate=float(b[at]),
        scale=0.0 if scale is None or not np.isfinite(scale[at]) else float(scale[at]),
        exact=bool((gap[known] == 0).all()),
    )
    return worst, tuple(absent)
