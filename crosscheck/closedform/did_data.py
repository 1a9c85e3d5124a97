"""Which units, periods and cohorts enter a group-time comparison?

The rules are those of Callaway and Sant'Anna (2021), section 2, as their package ``did`` applies them: a cohort first
treated after the last period is never treated; units treated in the first period leave; without never-treated units
the last cohort is the comparison and the periods in which it is treated leave; a panel keeps units seen in every
period. One difference: where nobody is never treated, units treated in the first period leave and the comparison is
``notyettreated``, did 2.3.0 loses the last cohort as well; it stays here, as it is not yet treated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import Groups
from crosscheck.errors import DataError

Floats = NDArray[np.float64]
Control = Literal["nevertreated", "notyettreated"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongData:
    """One row for each observation.

    Attributes
    ----------
    y, time, cohort, weights : ndarray, shape (n,)
        ``cohort`` is the period of first treatment; 0, missing or infinite: never treated.
    unit : ndarray of int64, shape (n,)
    x : ndarray, shape (n, k)
        Covariates with a column of ones.
    """

    y: Floats
    time: Floats
    cohort: Floats
    weights: Floats
    unit: NDArray[np.int64]
    x: Floats

    def rows(self, keep: NDArray[np.bool_]) -> LongData:
        """Return the rows of a mask."""
        return LongData(
            y=self.y[keep],
            time=self.time[keep],
            cohort=self.cohort[keep],
            weights=self.weights[keep],
            unit=self.unit[keep],
            x=self.x[keep],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The sample of an analysis.

    Attributes
    ----------
    periods, groups : ndarray
        Distinct periods; cohorts that have an effect to be estimated.
    data : LongData
        Sorted by unit and time; ``unit`` from 0.
    balanced : bool
        Every unit has one row in every period, so that differences over time exist within units.
    n_units : int
    unit_cohort, unit_weight : ndarray, shape (n_units,)
        ``unit_weight`` is the first period's in a panel, else the mean over a unit's rows.
    dropped_rows : int
        Rows left out.
    """

    periods: Floats
    groups: Floats
    data: LongData
    balanced: bool
    n_units: int
    unit_cohort: Floats
    unit_weight: Floats
    dropped_rows: int


def prepare(
    data: LongData, *, control: Control, anticipation: float, panel: bool = True, allow_unbalanced: bool = False
) -> Sample:
    """Return the sample that ``att_gt`` works on.

    Parameters
    ----------
    data : LongData
        As read, missing values included.
    control : str
        ``nevertreated`` or ``notyettreated``.
    anticipation : float
        Periods before treatment in which units may already react.
    panel : bool
        Whether units are followed; otherwise rows are repeated cross-sections.
    allow_unbalanced : bool
        Keep units that lack periods; where any does, means are taken over rows, not differences within units.

    Raises
    ------
    DataError
        Where nothing is left, a unit changes its cohort, or a unit has two rows in a period.
    """
    total = data.y.size
    cohort = np.where(np.isfinite(data.cohort), data.cohort, 0.0)
    data = replace(data, cohort=cohort)
    whole = np.isfinite(data.y) & np.isfinite(data.time) & np.isfinite(data.weights) & np.isfinite(data.x).all(axis=1)
    data = data.rows(whole & (data.unit >= 0))
    if data.y.size == 0:
        raise DataError("no complete row is left for the group-time effects")
    data = replace(data, cohort=np.where(data.cohort > data.time.max(), 0.0, data.cohort))
    data, last = _without_never_treated(data, control, anticipation)
    first = data.time.min() if data.y.size else np.inf
    groups = np.unique(data.cohort[data.cohort > first + anticipation])
    if np.any((data.cohort <= first) & (data.cohort != 0)):
        data = data.rows((data.cohort == 0) | np.isin(data.cohort, groups))
    if last is not None and control == "notyettreated":
        groups = groups[groups < last]
    periods = np.unique(data.time)
    if groups.size == 0:
        raise DataError(
            "no cohort has a period before and a period after treatment", hint="check the cohort column (0: never)"
        )
    codes = Groups.of(data.unit).codes if panel else np.arange(data.y.size)
    balanced = panel
    if panel:
        complete = np.bincount(codes)[codes] == periods.size
        _check_panel(data, codes)
        if complete.all() or not allow_unbalanced:
            data = data.rows(complete)
        else:
            balanced = False
        if data.y.size == 0:
            raise DataError("no unit is observed in every period", hint="set allow_unbalanced = true")
        codes = Groups.of(data.unit).codes
    order = np.lexsort((data.time, codes))
    data = replace(data, unit=codes).rows(np.ones(codes.size, dtype=bool))
    data = LongData(
        y=data.y[order],
        time=data.time[order],
        cohort=data.cohort[order],
        weights=data.weights[order],
        unit=data.unit[order],
        x=data.x[order],
    )
    units = Groups.of(data.unit)
    weight = data.weights[units.starts] if balanced else np.bincount(data.unit, data.weights) / np.bincount(data.unit)
    return Sample(
        periods=periods,
        groups=groups,
        data=data,
        balanced=balanced,
        n_units=units.size,
        unit_cohort=data.cohort[units.starts],
        unit_weight=np.asarray(weight, dtype=np.float64),
        dropped_rows=total - data.y.size,
    )


def _without_never_treated(data: LongData, control: Control, anticipation: float) -> tuple[LongData, float | None]:
    """Where nobody is never treated, keep the periods before the last cohort reacts; return that cohort as well."""
    if np.any(data.cohort == 0):
        return data, None
    last = float(data.cohort.max())
    data = data.rows(data.time < last - anticipation)
    if control == "nevertreated":
        data = replace(data, cohort=np.where(data.cohort == last, 0.0, data.cohort))
    return data, last


def _check_panel(data: LongData, codes: NDArray[np.int64]) -> None:
    units = Groups.of(codes)
    if np.any(data.cohort != data.cohort[units.order[units.starts]][units.codes]):
        raise DataError("a unit changes its cohort over time", hint="the cohort is the period of first treatment")
    order = np.lexsort((data.time, codes))
    same = (codes[order][1:] == codes[order][:-1]) & (data.time[order][1:] == data.time[order][:-1])
    if same.any():
        raise DataError("a unit has two rows in one period", hint="unit and time must identify the rows of a panel")
