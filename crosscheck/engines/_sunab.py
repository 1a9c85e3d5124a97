"""How do cohort-by-period coefficients become the effects of Sun and Abraham (2021)?

The regression has a dummy for each treated cohort and relative period but the one before treatment (their eq. 24);
effects are averages of its coefficients with the cohorts' shares as weights (eq. 27), and their covariance is A V A'.
References and shares are fixest's: cohorts that no period equals, or without a period from 0 on, are never treated.
Cohorts without a period before 0 are always treated and leave the sample, as the paper has it (fixest 0.14 means to do
so, and drops one row instead).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

Floats = NDArray[np.float64]
REFERENCE_PERIOD = -1.0
_CELL = re.compile(r"(?P<period>.+)::(?P<relative>-?[0-9.e+]+):cohort::(?P<cohort>.+)")


@dataclass(frozen=True, eq=False)
class Cells:
    """Dummies of cohort and relative period.

    Attributes
    ----------
    labels : tuple of str
        ``year::-3:cohort::2004``, by relative period, then cohort.
    columns : tuple of ndarray, each of shape (n,)
        0 and 1; NaN in rows of always-treated cohorts, and where cohort or period is missing.
    """

    labels: tuple[str, ...]
    columns: tuple[Floats, ...]


def _text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def relative_periods(cohort: Floats, period: Floats) -> Floats:
    """Return period minus cohort, shape (n,); -1 throughout for cohorts that no period equals (never treated).

    Periods that run from below to above 0 are taken as relative already.
    """
    seen = np.unique(period)
    if 0 in seen and seen[0] < 0 < seen[-1]:
        return period.copy()
    treated = np.isin(cohort, seen)
    if not treated.any():
        raise DataError("no cohort of sunab() is among the periods, so no unit is ever treated")
    return np.where(treated, period - cohort, REFERENCE_PERIOD)


def cells(cohort: Floats, period: Floats, period_name: str, sample: NDArray[np.bool_] | None = None) -> Cells:
    """Return the dummies that ``sunab(cohort, period)`` stands for.

    Parameters
    ----------
    cohort, period : ndarray, shape (n,)
        Period of first treatment, and calendar (or relative) period; NaN where missing.
    period_name : str
    sample : ndarray of bool, shape (n,), or None
        Rows that the model uses, all of them where None: what a cohort has before and after its treatment is counted
        there, whether a period exists is not.

    Raises
    ------
    DataError
        Where no cohort is treated within the sample, or none has a period before treatment.
    """
    known = ~(np.isnan(cohort) | np.isnan(period))
    relative = np.full(cohort.shape, np.nan)
    relative[known] = relative_periods(cohort[known], period[known])
    reference = ~known
    out = ~known
    inside = known if sample is None else known & sample
    for g in np.unique(cohort[inside]):
        rows = inside & (cohort == g)
        if not (relative[rows] >= 0).any():
            reference |= rows
        elif not (relative[rows] < 0).any():
            out |= rows
    used = inside & ~reference & ~out & (relative != REFERENCE_PERIOD)
    pairs = np.unique(np.column_stack([relative[used], cohort[used]]), axis=0)
    if not pairs.size:
        raise DataError("sunab() finds no cohort with periods before and after treatment")
    labels, columns = [], []
    for e, g in pairs:
        dummy = ((relative == e) & (cohort == g)).astype(np.float64)
        dummy[out] = np.nan
        labels.append(f"{period_name}::{_text(e)}:cohort::{_text(g)}")
        columns.append(dummy)
    return Cells(tuple(labels), tuple(columns))


def aggregation(terms: Sequence[str], sizes: dict[str, float], how: str) -> tuple[tuple[str, ...], Floats]:
    """Return names of the aggregated effects and the matrix A that makes them from the coefficients, shape (m, k).

    Parameters
    ----------
    terms : sequence of str
        Names of the coefficients; those that are no cells are kept as they are.
    sizes : dict
        Sum of weights (or number of rows) of each cell.
    how : str
        ``dynamic`` (``year::-3``), ``simple`` (``ATT``, periods from 0), ``group`` (``cohort::2004``, periods from
        0) or ``none``.
    """
    groups: dict[str, list[int]] = {}
    for j, term in enumerate(terms):
        match = _CELL.fullmatch(term) if term in sizes else None
        if match is None or how == "none":
            groups[term] = [j]
        elif how == "dynamic":
            groups.setdefault(f"{match['period']}::{match['relative']}", []).append(j)
        elif not match["relative"].startswith("-"):
            groups.setdefault("ATT" if how == "simple" else f"cohort::{match['cohort']}", []).append(j)
    matrix = np.zeros((len(groups), len(terms)))
    for i, members in enumerate(groups.values()):
        shares = np.array([sizes.get(terms[j], 1.0) for j in members])
        matrix[i, members] = shares / shares.sum()
    return tuple(groups), matrix
