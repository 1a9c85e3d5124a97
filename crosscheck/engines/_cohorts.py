"""Are there enough treated units in each cohort for standard errors that take units as independent draws?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosscheck.results import Condition

FEW = 5
SOURCES = "MacKinnon and Webb 2020; R's did warns below 5 as well"


def small_cohorts(cohort: NDArray[np.float64], unit: NDArray[np.int64]) -> tuple[Condition, ...]:
    """Return a warning for each treated cohort of fewer than five units.

    An analytic standard error of a group-time effect adds the variance among a cohort's units over their number to that
    among controls. With one unit the first part is zero, whatever that unit's own error is: under equal variances the
    standard error is too small by sqrt(1 + controls). With few units it is estimated from as few numbers, and a normal
    or t distribution does not make up for it.

    Parameters
    ----------
    cohort : ndarray, shape (n,)
        First treated period of each row's unit; 0, NaN or infinite where never treated.
    unit : codes, shape (n,)
    """
    treated = np.isfinite(cohort) & (cohort != 0)
    out = []
    for g in np.unique(cohort[treated]):
        count = int(np.unique(unit[cohort == g]).size)
        if count >= FEW:
            continue
        what = (
            "1 unit, whose own error no analytic standard error of its effects can hold: they are far too small"
            if count == 1
            else f"{count} units, on whose spread the standard errors of its effects rest: they are unreliable"
        )
        text = f"cohort {g:.15g} has {what} (fewer than {FEW}; {SOURCES})"
        out.append(Condition(kind="warning", text=text, cls="SmallCohort"))
    return tuple(out)
