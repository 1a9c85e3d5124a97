"""Which regressors and which weights make the interaction-weighted estimator of Sun and Abraham (2021)?

Their eq. 26: dummies for each cohort and relative period, never-treated cohorts and period -1 left out; step 3:
averages by the cohorts' shares among the observations of a relative period. As in fixest, a cohort that is no observed
period, or that is only observed before its treatment, is never treated, and the shares are taken as known, so that they
add nothing to the standard error. A cohort observed only under treatment leaves the sample, as in the paper (section
4.1); sunab() of fixest 0.14.2 means to do so but drops one row instead and keeps the cohort among the controls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError, Unsupported

Floats = NDArray[np.float64]
REFERENCE = -1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interactions:
    """Dummies of cohort by relative period.

    Attributes
    ----------
    rows : ndarray of bool, shape (n,)
        Rows that stay: always-treated cohorts leave.
    columns : ndarray, shape (n, m)
        For all rows given, in the order of relative period, then cohort.
    event, cohort : ndarray, shape (m,)
    """

    rows: NDArray[np.bool_]
    columns: Floats
    event: Floats
    cohort: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Average:
    """One average: its term and weights over the interactions kept, shape (m,), which sum to one."""

    term: str
    weights: Floats


def interactions(cohort: Floats, period: Floats, seen: Floats | None = None) -> Interactions:
    """Build the dummies.

    Parameters
    ----------
    cohort, period : ndarray, shape (n,)
        Calendar periods, without missing values.
    seen : ndarray or None
        All periods of the data, those of rows outside the sample as well: a cohort that was treated in one of them is
        not never treated because its row lacks a weight.

    Raises
    ------
    Unsupported
        Where ``period`` looks relative already (negative and positive values and 0), which fixest reads differently.
    DataError
        Where no cohort is observed before and after treatment.
    """
    if (period == 0).any() and period.min() < 0 < period.max():
        raise Unsupported("sunab() with relative periods is not worked out here: give calendar periods (notimpl)")
    dated = np.isin(cohort, np.unique(period if seen is None else seen))
    event = np.where(dated, period - cohort, REFERENCE)
    rows, treated = np.ones(cohort.size, dtype=bool), np.zeros(cohort.size, dtype=bool)
    for value in np.unique(cohort[dated]):
        own = cohort == value
        if (event[own] >= 0).all():
            rows &= ~own
        elif (event[own] >= 0).any():
            treated |= own
    used = treated & (event != REFERENCE)
    if not used.any():
        raise DataError("no cohort is observed both before and after its treatment")
    pairs = np.unique(np.column_stack([event[used], cohort[used]]), axis=0)
    columns = ((event[:, None] == pairs[:, 0]) & (cohort[:, None] == pairs[:, 1]) & used[:, None]).astype(np.float64)
    return Interactions(rows=rows, columns=columns, event=pairs[:, 0], cohort=pairs[:, 1])


def averages(event: Floats, cohort: Floats, mass: Floats, kind: str, period_name: str) -> tuple[Average, ...]:
    """Return the averages of a table, by relative period, by cohort, or over everything after treatment.

    Parameters
    ----------
    event, cohort : ndarray, shape (m,)
        Of the interactions that were kept.
    mass : ndarray, shape (m,)
        Observations (or weight) of each.
    kind : str
        ``dynamic``, ``group``, ``simple`` or ``none``.
    period_name : str
        Name of the period column, which fixest puts into the terms.
    """
    if kind == "none":
        return tuple(
            Average(term=f"{period_name}::{e:g}:cohort::{c:.15g}", weights=np.eye(event.size)[j])
            for j, (e, c) in enumerate(zip(event, cohort, strict=True))
        )
    if kind == "dynamic":
        keys = [(f"{period_name}::{e:g}", event == e) for e in np.unique(event)]
    elif kind == "group":
        keys = [(f"cohort::{c:.15g}", (cohort == c) & (event >= 0)) for c in np.unique(cohort[event >= 0])]
    else:
        keys = [("ATT", event >= 0)]
    keys = [(term, mine) for term, mine in keys if mass[mine].sum() > 0]
    if not keys:
        raise DataError("no effect after treatment is left to average")
    return tuple(Average(term=term, weights=np.where(mine, mass, 0) / mass[mine].sum()) for term, mine in keys)
