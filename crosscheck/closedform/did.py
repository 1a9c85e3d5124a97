"""What are the group-time average treatment effects of Callaway and Sant'Anna (2021)?

ATT(g, t) compares the change of the outcome of cohort g between a base period and t with that of a comparison group
(their eqs. 2.2-2.4 by method, Theorem 1). The comparison is never-treated units, or those not yet treated by
max(t, base) + anticipation. ``varying`` compares each period before treatment with the one just before it,
``universal`` always with the last period before anticipated treatment, g - anticipation - 1. Covariates are those of
the earlier of the two periods. Each unit's influence function is kept, so that aggregations know every covariance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import LongArray
from crosscheck.closedform.did_data import Control, Floats, Sample
from crosscheck.closedform.did_moments import Effect, as_long, cross_section_effect, panel_effect
from crosscheck.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupTime:
    """Effects for each cohort and period.

    Attributes
    ----------
    group, time : ndarray, shape (m,)
    att : ndarray, shape (m,)
    influence : ndarray, shape (n_units, m)
        Var(att) = influence' influence / n_units^2; a column of zeros for a universal base period.

    Where a cohort has no row in one of the two periods, effect and influence are NaN.
    """

    group: Floats
    time: Floats
    att: LongArray
    influence: LongArray


def group_time_effects(
    sample: Sample, *, method: str, control: Control, base: str, anticipation: float, earlier: int = 1
) -> GroupTime:
    """Estimate every ATT(g, t).

    Parameters
    ----------
    sample : Sample
    method : str
        ``reg``, ``ipw`` or ``dr``.
    control : str
    base : str
        ``varying`` or ``universal``.
    anticipation : float
    earlier : int
        As in :func:`crosscheck.closedform.did_moments.cross_section_effect`.
    """
    rows: list[tuple[float, float, Effect]] = []
    for g, t, start in cells(sample, base=base, anticipation=anticipation):
        if start == t:
            effect = Effect(np.zeros((), dtype=np.longdouble), np.zeros(sample.n_units, dtype=np.longdouble))
        else:
            compared = comparison(sample.data.cohort, g, max(t, start) + anticipation, control)
            effect = _effect(sample, method, g, t, start, compared, earlier)
        rows.append((g, t, effect))
    if not rows:
        raise DataError("no cohort that is left has a period before and a period after treatment")
    return GroupTime(
        group=np.array([g for g, _, _ in rows]),
        time=np.array([t for _, t, _ in rows]),
        att=np.array([e.att for _, _, e in rows], dtype=np.longdouble),
        influence=np.column_stack([e.influence for _, _, e in rows]),
    )


def cells(sample: Sample, *, base: str, anticipation: float) -> Iterator[tuple[float, float, float]]:
    """Yield cohort, period and base period of every effect; with a universal base its own period is among them."""
    periods = sample.periods
    for g in sample.groups:
        before = periods[periods + anticipation < g]
        if before.size == 0:
            continue
        long_base = float(before[-1])
        for i, t in enumerate(periods):
            if base == "universal":
                yield float(g), float(t), long_base
            elif i > 0:
                yield float(g), float(t), long_base if g <= t else float(periods[i - 1])


def comparison(cohort: Floats, group: float, threshold: float, control: Control) -> NDArray[np.bool_]:
    """Say which rows are the comparison group of a cohort: never treated, or treated after ``threshold`` at most."""
    never = cohort == 0
    if control == "nevertreated":
        return np.asarray(never)
    return np.asarray(never | ((cohort > threshold) & (cohort != group)))


def _effect(
    sample: Sample, method: str, group: float, time: float, start: float, compared: NDArray[np.bool_], sign: int
) -> Effect:
    data = sample.data
    treated = data.cohort == group
    earlier, later = (start, time) if start < time else (time, start)
    used = treated | compared
    if not (compared & (data.time == time)).any() or not (compared & (data.time == start)).any():
        raise DataError(
            f"ATT({group:g},{time:g}) has no comparison units",
            hint="control_group = notyettreated has more; units that lack a period are left out of a balanced panel",
        )
    out = np.zeros(sample.n_units, dtype=np.longdouble)
    if sample.balanced:
        first, second = used & (data.time == earlier), used & (data.time == later)
        after, before, d, x, w = as_long(
            data.y[second], data.y[first], treated[first].astype(float), data.x[first], data.weights[first]
        )
        change = after - before if time > start else before - after
        effect = panel_effect(method, change, d, x, w)
        out[data.unit[first]] = effect.influence * (np.longdouble(sample.n_units) / d.size)
        return Effect(effect.att, out)
    rows = used & ((data.time == time) | (data.time == start))
    y, post, d, x, w = as_long(
        data.y[rows],
        (data.time[rows] == time).astype(float),
        treated[rows].astype(float),
        data.x[rows],
        data.weights[rows],
    )
    if not ((d == 1) & (post == 1)).any() or not ((d == 1) & (post == 0)).any():
        return Effect(np.array(np.nan, dtype=np.longdouble), out * np.nan)
    effect = cross_section_effect(method, y, post, d, x, w, earlier=sign)
    np.add.at(out, data.unit[rows], effect.influence * (np.longdouble(sample.n_units) / d.size))
    return Effect(effect.att, out)
