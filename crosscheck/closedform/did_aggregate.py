"""How are group-time effects averaged, and what does estimating the weights add to the standard error?

Callaway and Sant'Anna (2021), section 3: ``simple`` is theta_W^O (eq. 3.10), ``dynamic`` theta_es(e) (3.4, balanced
3.5) with its average over e >= 0, ``group`` theta_sel(g) (3.7) with theta_sel^O (3.11), ``calendar`` theta_c(t) (3.8)
with its average. Weights are cohort shares; wherever they are estimated their influence function is added (section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import LongArray, long
from crosscheck.closedform.did import GroupTime
from crosscheck.closedform.did_data import Sample
from crosscheck.errors import DataError

Aggregation = Literal["none", "simple", "dynamic", "group", "calendar"]
SMALLEST_SE = 10 * math.sqrt(np.finfo(float).eps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameter:
    """An average of effects: its term, value, and influence function, shape (n_units,)."""

    term: str
    value: float
    influence: LongArray

    @property
    def std_error(self) -> float:
        """sqrt(mean(psi^2) / n); NaN where there is no sampling variation (a base period)."""
        n = self.influence.size
        se = math.sqrt(float(self.influence @ self.influence)) / n
        return se if se > SMALLEST_SE else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The event times that count: ``balance`` keeps cohorts observed that long; ``low`` and ``high`` are a window."""

    balance: float | None = None
    low: float = -math.inf
    high: float = math.inf


def number(value: float) -> str:
    """Write a period without a trailing ``.0``."""
    return f"{value:.15g}"


def aggregate(
    effects: GroupTime, sample: Sample, kind: Aggregation, window: Window | None = None
) -> tuple[Parameter, ...]:
    """Average group-time effects; the overall effect comes first.

    Parameters
    ----------
    effects : GroupTime
    sample : Sample
    kind : str
        ``none`` returns the effects themselves.
    window : Window, optional
        ``balance`` and ``low`` act on ``dynamic`` only.

    Raises
    ------
    DataError
        Where no effect after treatment is left to average.
    """
    window = window or Window()
    if kind == "none":
        return tuple(
            Parameter(term=f"ATT({number(g)},{number(t)})", value=float(a), influence=effects.influence[:, i])
            for i, (g, t, a) in enumerate(zip(effects.group, effects.time, effects.att, strict=True))
        )
    lost = [number(g) for g in np.unique(effects.group[~np.isfinite(effects.att.astype(np.float64))])]
    if lost:
        raise DataError(
            f"the effects of cohort {', '.join(lost)} do not exist in every period: none of its units is there",
            hint="set allow_unbalanced = true, or leave the cohort out",
        )
    rank = _ranks(effects, sample)
    elapsed = rank(effects.time) - rank(effects.group)
    post = (effects.time >= effects.group) & (elapsed <= window.high)
    if not post.any():
        raise DataError("no effect after treatment is left to average", hint="widen min_e, max_e or balance_e")
    if kind == "simple":
        return (_average("overall", effects, np.flatnonzero(post), sample, estimated=True),)
    if kind == "group":
        return _by_group(effects, sample, post)
    if kind == "calendar":
        return _by_time(effects, sample)
    return _by_event(effects, sample, window)


def _ranks(effects: GroupTime, sample: Sample):  # type: ignore[no-untyped-def]
    known = np.unique(np.concatenate([sample.periods, sample.groups]))
    return lambda values: np.searchsorted(known, values)


def shares(sample: Sample, groups: NDArray[np.float64]) -> LongArray:
    """Return the weighted share of each cohort among all units, shape (len(groups),)."""
    w = long(sample.unit_weight)
    return np.array([(w * (sample.unit_cohort == g)).mean() for g in groups], dtype=np.longdouble)


def weight_influence(sample: Sample, groups: NDArray[np.float64]) -> LongArray:
    """Return the influence function of the normalised shares p_j / sum p, shape (n_units, len(groups))."""
    p = shares(sample, groups)
    w = long(sample.unit_weight)
    own = np.column_stack([w * (sample.unit_cohort == g) for g in groups]) - p
    total = p.sum()
    return np.asarray(own / total - own.sum(axis=1)[:, None] * (p / total**2))


def _average(term: str, effects: GroupTime, cells: NDArray[np.intp], sample: Sample, *, estimated: bool) -> Parameter:
    """Average cells by cohort shares; ``estimated`` adds the shares' own influence."""
    groups = effects.group[cells]
    p = shares(sample, groups)
    weights = p / p.sum()
    influence = effects.influence[:, cells] @ weights
    if estimated:
        influence = influence + weight_influence(sample, groups) @ effects.att[cells]
    return Parameter(term=term, value=float(weights @ effects.att[cells]), influence=influence)


def _equal(term: str, parts: Sequence[Parameter]) -> Parameter:
    count = np.longdouble(len(parts))
    influence = np.sum([p.influence for p in parts], axis=0) / count
    return Parameter(
        term=term, value=float(np.sum([np.longdouble(p.value) for p in parts]) / count), influence=influence
    )


def _by_event(effects: GroupTime, sample: Sample, window: Window) -> tuple[Parameter, ...]:
    event = effects.time - effects.group
    last, first = effects.time.max(), min(sample.periods.min(), sample.groups.min())
    kept = np.ones(event.size, dtype=bool)
    low, high = window.low, window.high
    if window.balance is not None:
        kept = last - effects.group >= window.balance
        low, high = max(low, window.balance - last + first), min(high, window.balance)
    times = [e for e in np.unique(event[kept]) if low <= e <= high]
    parts = [
        _average(f"event={number(e)}", effects, np.flatnonzero(kept & (event == e)), sample, estimated=True)
        for e in times
    ]
    after = [p for e, p in zip(times, parts, strict=True) if e >= 0]
    if not after:
        raise DataError("no effect after treatment is left to average", hint="widen min_e, max_e or balance_e")
    return (_equal("overall", after), *parts)


def _by_group(effects: GroupTime, sample: Sample, post: NDArray[np.bool_]) -> tuple[Parameter, ...]:
    parts, found = [], []
    for g in sample.groups:
        cells = np.flatnonzero(post & (effects.group == g))
        if cells.size:
            found.append(g)
            parts.append(_average(f"group={number(g)}", effects, cells, sample, estimated=False))
    groups = np.array(found)
    p = shares(sample, groups)
    values = np.array([np.longdouble(part.value) for part in parts])
    influence = np.column_stack([part.influence for part in parts]) @ (p / p.sum())
    influence = influence + weight_influence(sample, groups) @ values
    return (Parameter(term="overall", value=float(p @ values / p.sum()), influence=influence), *parts)


def _by_time(effects: GroupTime, sample: Sample) -> tuple[Parameter, ...]:
    treated = effects.group <= effects.time
    parts = [
        _average(f"year={number(t)}", effects, np.flatnonzero(treated & (effects.time == t)), sample, estimated=True)
        for t in np.unique(effects.time[treated])
    ]
    return (_equal("overall", parts), *parts)
