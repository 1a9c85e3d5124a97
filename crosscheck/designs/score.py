"""How likely was each row to be treated, given its covariates?

A logit fitted by statsmodels (Newton), on z-scored covariates, which changes no score and keeps badly scaled columns
from costing digits. Iterated until no coefficient moves by more than 1e-12.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError

Real = NDArray[np.float64]

TOLERANCE = 1e-12
MAX_ITERATIONS = 100
EXTREME = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Propensity scores.

    Attributes
    ----------
    score, linear : ndarray, shape (n,)
        The probability and its logit.
    coef : ndarray, shape (blocks, 1 + k)
        Of the covariates as they are, the intercept first.
    """

    score: Real
    linear: Real
    coef: Real


def propensity(x: Real, treated: NDArray[np.bool_], blocks: NDArray[np.int64]) -> Scores:
    """Fit one logit for each block.

    Parameters
    ----------
    x : ndarray, shape (n, k)
    treated : ndarray of bool, shape (n,)
    blocks : codes from 0, shape (n,)

    Raises
    ------
    DataError
        Where a block lacks a group, the covariates are collinear, or they separate the groups perfectly.
    """
    linear = np.empty(treated.size)
    coef = []
    for b in range(int(blocks.max()) + 1):
        rows = blocks == b
        beta, linear[rows] = _logit(x[rows], treated[rows])
        coef.append(beta)
    # The logistic function, without overflow on either side.
    score = np.where(
        linear >= 0, 1 / (1 + np.exp(-np.abs(linear))), np.exp(-np.abs(linear)) / (1 + np.exp(-np.abs(linear)))
    )
    return Scores(score=score, linear=linear, coef=np.vstack(coef))


def _logit(x: Real, treated: NDArray[np.bool_]) -> tuple[Real, Real]:
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationError, PerfectSeparationWarning

    if treated.all() or not treated.any():
        raise DataError("a propensity score needs treated and untreated rows in each block")
    centre, spread = x.mean(axis=0), x.std(axis=0, ddof=1)
    if np.any(spread <= 1e-12 * np.maximum(np.abs(centre), 1e-300)):
        raise DataError(f"covariate {int(np.argmin(spread)) + 1} of the propensity score does not vary")
    design = np.column_stack([np.ones(treated.size), (x - centre) / spread])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise DataError("the covariates of the propensity score are collinear")
    hint = "use fewer covariates, or one logit for all periods"
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        try:
            model = Logit(treated.astype(np.float64), design)
            found = model.fit(method="newton", tol=TOLERANCE, maxiter=MAX_ITERATIONS, disp=0)
        except (PerfectSeparationError, ConvergenceWarning, np.linalg.LinAlgError) as error:
            raise DataError(f"the logit does not converge: {error}", hint=hint) from None
    beta = np.asarray(found.params, dtype=np.float64)
    linear = design @ beta
    if float(np.max(np.abs(linear))) > -np.log(EXTREME):
        raise DataError("the covariates separate treated from untreated rows: scores of 0 or 1", hint=hint)
    slopes = beta[1:] / spread
    return np.concatenate([[beta[0] - slopes @ centre], slopes]), linear
