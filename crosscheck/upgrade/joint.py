"""How many digits does a joint test have, which inverts a covariance that may be singular?

A Wald or F statistic is b' V^-1 b. A relative error of V of the size of rounding moves it by up to the condition number
of V times that (Higham 2002, Accuracy and Stability of Numerical Algorithms, theorem 7.2), so that the same program
with its regressors in another order gives other digits. Where V is singular, as with fewer clusters than regressors,
the statistic has none at all: it may come out as 1e17, or negative.
"""

from __future__ import annotations

import math
import re

import numpy as np

from crosscheck.results import EstimationResult

JOINT = re.compile(r"(?:f_statistic|f_pvalue|wald|f_test|test\b)")
ROUNDING = 2.0**-52
STEPS = 64.0
"""Of rounding that a covariance has gone through, in units of the last place."""
ABSURD = 1e12
"""No F or chi-squared statistic of data is as large; one that is, or is negative, is a quotient of rounding."""


def slack(quantity: str, old: EstimationResult, new: EstimationResult) -> float:
    """Return how far two answers may be apart in a number, relative to it, though nothing changed.

    Parameters
    ----------
    quantity : str
    old, new : EstimationResult

    Returns
    -------
    float
        Zero for what is no joint test, and where neither covariance is known; infinity where nothing is determined.
    """
    if not JOINT.match(quantity):
        return 0.0
    if any(_absurd(quantity, r) for r in (old, new)):
        return math.inf
    found = max(_condition(old), _condition(new)) * ROUNDING * STEPS
    return math.inf if found > 1e-2 else found


def _absurd(quantity: str, result: EstimationResult) -> bool:
    """Say whether the statistic that a number belongs to is none: negative, or beyond all data."""
    head = quantity.partition(":")[0].replace("f_pvalue", "f_statistic")
    values = [
        e.value
        for e in result.extras
        if e.quantity.partition(":")[0] == head
        and not e.quantity.endswith(("pval", "pvalue", "df", "df_denom", "df_num"))
    ]
    return any(isinstance(v, float) and (v > ABSURD or v < 0.0) for v in values)


def _condition(result: EstimationResult) -> float:
    """Return the condition number of the covariance as correlations; 1 where it is not known."""
    if len(result.vcov) < 2:
        return 1.0
    v = np.array(result.vcov, dtype=float)
    deviations = np.sqrt(np.abs(np.diag(v)))
    if not np.isfinite(v).all() or not (deviations > 0).all():
        return math.inf
    return float(np.linalg.cond(v / np.outer(deviations, deviations)))
