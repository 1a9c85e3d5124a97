"""To how many digits must two answers to the same question agree?

Two ways of writing one model give data that differ in their last bits, so that no estimator can agree with itself
better than the model is conditioned. For each regressor j, with everything else (effects included) swept out of it:

    near_j = |x_j - mean| / |M x_j|     what collinearity costs: normal equations lose its square
    far_j = |x_j| / |x_j - mean|        what a large offset costs: once

An estimate may move by ``RTOL`` of itself, ``STOL`` of |y - mean| / |M x_j| (with no other regressor, the largest
that the estimate can be), and ``ROUNDINGS`` rounding errors of the outcome times ``near^2 far``. Standard errors
follow with ``SE_RTOL``. Models in which near lies between ``COLLINEAR`` and ``EXACT`` are not compared: whether their
column is dropped is a matter of thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.columns import beside_formula
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.formula_tree import INTERCEPT, Call
from crosscheck.frame import Frame
from crosscheck.modelmatrix import ModelMatrix, combined_codes, model_matrix
from crosscheck.spec import FitRequest

RTOL, STOL, SE_RTOL = 1e-8, 1e-8, 1e-6
ITERATED_RTOL, ITERATED_SE_RTOL = 1e-5, 1e-4
"""Of estimators that stop iterating at a tolerance of their own (fepois, feglm)."""
ROUNDINGS = 1e3 * np.finfo(float).eps
SUMS = 10 * np.finfo(float).eps
"""Sums of scores over periods, and of their lags, cancel: of columns as they stand an offset costs its square."""
COLLINEAR, EXACT, FAR = 1e3, 1e13, 1e7
PERFECT = 1e-7
LEVERAGE = 1e-5
COSTLY = 1e-4
"""Of variance components: sums of squares of residuals, and traces, of columns as they stand."""
NO_VARIANCE = 1e-6
"""A standard error below this share of the residuals' own is a sum that cancels: its digits are noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """What two answers may differ by.

    Attributes
    ----------
    rtol, se_rtol : float
        Relative, of estimates and of standard errors.
    unit : mapping of str to float
        For each term, what an estimate may move by; for other terms ``default``.
    noise : mapping of str to float
        For each term, the standard error below which there is nothing to compare; for other terms ``floor``.
    fit : float
        What an R2 may move by.
    perfect : bool
        The residuals are rounding errors, and so are standard errors.
    full_rank : bool
        No regressor is collinear with the others.
    reason : str
        Why nothing can be compared; empty where something can.
    """

    rtol: float = RTOL
    se_rtol: float = SE_RTOL
    unit: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    default: float = 0.0
    floor: float = 0.0
    fit: float = 1e-8
    perfect: bool = False
    full_rank: bool = True
    reason: str = ""

    def of_estimate(self, term: str, expected: float) -> float:
        """Return what an estimate may be off by."""
        return self.rtol * abs(expected) + self.unit.get(term, self.default)

    def silent(self, term: str, std_error: float) -> bool:
        """Say whether a standard error is too small to carry digits."""
        return self.perfect or not std_error > self.noise.get(term, self.floor)


def precision_of(request: FitRequest, frame: Frame) -> Precision:
    """Return what two answers to a request may differ by on a sample.

    Parameters
    ----------
    request : FitRequest
    frame : Frame
        Where it cannot be modelled the precision has the reason.
    """
    try:
        return _precision(request, frame)
    except CrosscheckError as error:
        return Precision(reason=str(error).partition("\n")[0])


def _precision(request: FitRequest, frame: Frame) -> Precision:
    if request.estimator == "sunab":
        return _of_cohorts(request, frame)
    if request.estimator not in ("feols", "fepois", "feglm", "re", "between") or not request.formula:
        return _of_outcome(request, frame)
    formula = parse(request.formula)
    matrix = model_matrix(formula, frame, unit=request.unit, time=request.time, also=beside_formula(request))
    weights = np.ones(matrix.y.size)
    if request.weights is not None:
        weights = frame[request.weights.column].as_float()[matrix.rows]
    keep = weights > 0
    pooled = _of_matrix(request, matrix, np.sqrt(weights[keep]), keep)
    if request.estimator not in ("re", "between") or pooled.reason or request.unit is None:
        return pooled
    if request.estimator == "re":
        within = replace(formula, fixed_effects=((request.unit,),), intercept=False)
        inside = model_matrix(within, frame, unit=request.unit, time=request.time)
        rows = np.ones(inside.y.size, dtype=bool)
        if _of_matrix(request, inside, np.ones(inside.y.size), rows).perfect:
            return Precision(reason="within units the fit is perfect: there is no variance to weigh the means by")
        cost = ROUNDINGS * _offset(matrix.X) ** 2
        if cost > COSTLY:
            return Precision(reason="a mean far from zero costs the variance components their digits")
        pooled = replace(pooled, rtol=max(pooled.rtol, cost), se_rtol=max(pooled.se_rtol, cost))
    units = _unit_means(matrix, combined_codes(frame, (request.unit,))[0][matrix.rows])
    between = _of_matrix(request, units, np.ones(units.y.size), np.ones(units.y.size, dtype=bool))
    return between if between.reason or request.estimator == "between" else _worse(pooled, between)


def _offset(x: NDArray[np.float64]) -> float:
    """Return the largest ratio of a column's length to that about its mean, of columns that vary."""
    about = np.linalg.norm(x - x.mean(axis=0), axis=0)
    length = np.linalg.norm(x, axis=0)
    varies = about > 1e-12 * length
    return float((length[varies] / about[varies]).max(initial=1.0))


def _unit_means(matrix: ModelMatrix, unit: NDArray[np.int64]) -> ModelMatrix:
    """Return the model of the units' means; rows of no unit are left out."""
    known = unit >= 0
    dummies = np.eye(int(unit.max(initial=0)) + 1)[unit[known]]
    dummies = dummies[:, dummies.any(axis=0)]
    share = dummies / dummies.sum(axis=0)
    return replace(matrix, y=share.T @ matrix.y[known], X=share.T @ matrix.X[known], endogenous=matrix.endogenous[:0])


def _worse(one: Precision, other: Precision) -> Precision:
    return replace(
        one,
        rtol=max(one.rtol, other.rtol),
        se_rtol=max(one.se_rtol, other.se_rtol),
        unit={term: max(one.unit.get(term, 0.0), value) for term, value in other.unit.items()},
        default=max(one.default, other.default),
        perfect=one.perfect or other.perfect,
        full_rank=one.full_rank and other.full_rank,
        fit=max(one.fit, other.fit),
    )


def _of_matrix(
    request: FitRequest, matrix: ModelMatrix, root: NDArray[np.float64], keep: NDArray[np.bool_]
) -> Precision:
    x = np.column_stack([matrix.X, matrix.endogenous])[keep] if matrix.endogenous.shape[1] else matrix.X[keep]
    names = (*matrix.names, *(f"fit_{n}" for n in matrix.endogenous_names))
    y = matrix.y[keep]
    if y.size == 0:
        return Precision(reason="no row is left")
    dummies = [np.eye(int(c.max()) + 1)[c] for c in matrix.fe_codes[keep].T] if matrix.fe_codes.shape[1] else []
    columns = [i for i, name in enumerate(names) if name != INTERCEPT]
    constant = [np.ones((y.size, 1))] if dummies or INTERCEPT in names else []
    others = np.column_stack([*constant, *dummies, np.empty((y.size, 0))]) * root[:, None]
    q = _basis(others)
    centre = root / np.linalg.norm(root)

    def about_mean(v: NDArray[np.float64]) -> NDArray[np.float64]:
        return v - np.outer(centre, centre @ v).reshape(v.shape) if constant else v

    xw, yw = x[:, columns] * root[:, None], y * root
    centred, yc = about_mean(xw), about_mean(yw)
    swept, ys = centred - q @ (q.T @ centred), yc - q @ (q.T @ yc)
    if matrix.instruments.shape[1]:
        z = matrix.instruments[keep] * root[:, None]
        z = z - q @ (q.T @ z)
        exogenous = [k for k, i in enumerate(columns) if i < matrix.X.shape[1]]
        first = _basis(np.column_stack([swept[:, exogenous], z]))
        swept = first @ (first.T @ swept)
    raw, mid = np.linalg.norm(xw, axis=0), np.linalg.norm(centred, axis=0)
    left, full_rank, doubtful = _alone(swept, mid)
    kept = left > 0
    near = np.max(mid[kept] / left[kept], initial=1.0)
    # Engines judge collinearity by what a column varies about its mean, with a constant in the model or without.
    varies = np.linalg.norm(xw - np.outer(centre, centre @ xw), axis=0)
    far = np.max(raw[varies > 0] / varies[varies > 0], initial=1.0)
    if doubtful or near > COLLINEAR or (not full_rank and far > COLLINEAR):
        return Precision(reason="a regressor is nearly collinear: whether it is dropped is a matter of thresholds")
    basis = _basis(swept[:, kept])
    if request.vcov.type in ("HC2", "HC3"):
        leverage = (q**2).sum(axis=1) + (basis**2).sum(axis=1)
        if float(leverage.max()) > 1 - LEVERAGE:
            return Precision(reason="an observation has a leverage of nearly one: what is left of it is rounding")
    if y.size <= q.shape[1] + basis.shape[1]:
        return Precision(reason="the model has as many parameters as observations")
    resid = ys - basis @ (basis.T @ ys)
    spread, own, about = (float(np.linalg.norm(v)) for v in (yc, resid, yw))
    if not spread > 1e-14 * about:
        return Precision(reason="the outcome does not vary")
    if far > FAR or about > FAR * max(spread, 1e-300):
        return Precision(reason="an offset is so large that the data keep fewer than nine digits")
    iterated = request.estimator != "feols"
    rounding = ROUNDINGS * near**2 * far * max(about / max(spread, 1e-300), 1.0)
    stol = max(ITERATED_RTOL if iterated else STOL, rounding)
    unit, noise = {}, {}
    for k, i in enumerate(columns):
        if kept[k]:
            unit[names[i]] = stol * spread / left[k]
            noise[names[i]] = NO_VARIANCE * own / left[k] / np.sqrt(y.size)
    far_off = 1.0 + float(np.sum(raw[kept] / left[kept]))  # how far from the data the intercept is
    reach = stol * (spread + about) * far_off
    se = max(ITERATED_SE_RTOL if iterated else SE_RTOL, rounding * spread / max(own, 1e-300))
    if request.vcov.type in ("NW", "DK"):
        se = max(se, SUMS * (near * far) ** 2)
    return Precision(
        rtol=max(ITERATED_RTOL if iterated else RTOL, rounding),
        se_rtol=se,
        unit=unit,
        noise=noise,
        default=reach / np.sqrt(y.size) if INTERCEPT in names else stol * spread,
        floor=NO_VARIANCE * own / y.size * far_off,
        fit=1e-8 + rounding * (about / max(spread, 1e-300)) ** 2,
        perfect=own <= PERFECT * max(spread, ROUNDINGS * about) or se > 1e-2,
        full_rank=full_rank,
    )


def _of_outcome(request: FitRequest, frame: Frame) -> Precision:
    """Return a precision from the outcome alone, for estimators that are differences of means."""
    name = request.options.get("y") or (request.formula and parse(request.formula).lhs.name)  # type: ignore[union-attr]
    if not isinstance(name, str) or name not in frame:
        return Precision()
    y = frame[name].as_float()
    y = y[np.isfinite(y)]
    if y.size < 2:
        return Precision(reason="there are fewer than two outcomes")
    largest, spread = float(np.abs(y).max()), float(np.std(y))
    if spread == 0 or largest > FAR * spread:
        return Precision(reason="the outcome does not vary enough for digits to be compared")
    for covariate in request.options.get("covariates") or ():
        x = frame[str(covariate)].as_float()
        x = x[np.isfinite(x)]
        if x.size == 0 or float(np.abs(x).max()) > COLLINEAR * float(np.std(x)):
            return Precision(
                reason="a covariate hardly varies beside its mean: normal equations lose the square of that"
            )
    slack = STOL * spread + ROUNDINGS * largest * y.size
    perfect = request.estimator == "sunab" and _only_effects(request, frame)
    return Precision(
        default=slack, floor=max(NO_VARIANCE * spread, 1e6 * np.finfo(float).eps * largest), perfect=perfect
    )


def _of_cohorts(request: FitRequest, frame: Frame) -> Precision:
    """Return the precision of effects by cohort and period, no better than that of the regressors beside them."""
    formula, outcome = parse(request.formula), _of_outcome(request, frame)
    beside = tuple(t for t in formula.terms if not any(isinstance(f, Call) and f.function == "sunab" for f in t))
    if outcome.reason or not beside:
        return outcome
    matrix = model_matrix(replace(formula, terms=beside), frame, unit=request.unit, time=request.time)
    every = np.ones(matrix.y.size, dtype=bool)
    regressors = _of_matrix(request, matrix, np.ones(matrix.y.size), every)
    return regressors if regressors.reason else _worse(outcome, regressors)


def _only_effects(request: FitRequest, frame: Frame) -> bool:
    """Say whether the fixed effects alone fit the outcome."""
    formula = parse(request.formula)
    matrix = model_matrix(replace(formula, terms=(), iv=None), frame, unit=request.unit, time=request.time)
    y = matrix.y - matrix.y.mean()
    q = _basis(np.column_stack([np.ones((y.size, 1)), *(np.eye(int(c.max()) + 1)[c] for c in matrix.fe_codes.T)]))
    return float(np.linalg.norm(y - q @ (q.T @ y))) <= PERFECT * float(np.linalg.norm(y))


def _basis(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis of what the columns span."""
    if columns.shape[1] == 0:
        return columns
    u, s, _ = np.linalg.svd(columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300), full_matrices=False)
    return np.asarray(u[:, s > 1e-10 * s[0]])


def _alone(swept: NDArray[np.float64], length: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool, bool]:
    """Return what is left of each column without those kept, 0 for one that earlier ones span, and two words.

    The first word says whether all columns are kept, the second whether one is too close to call.
    """
    kept: list[int] = []
    doubtful = False
    for k in range(swept.shape[1]):
        v = swept[:, k]
        if kept:
            basis = _basis(swept[:, kept])
            v = v - basis @ (basis.T @ v)
        share = float(np.linalg.norm(v)) / max(float(length[k]), 1e-300)
        if share > 1 / COLLINEAR:
            kept.append(k)
        elif share > 1 / EXACT and length[k] > 0:
            doubtful = True
    left = np.zeros(swept.shape[1])
    for k in kept:
        basis = _basis(swept[:, [j for j in kept if j != k]])
        v = swept[:, k] - basis @ (basis.T @ swept[:, k])
        left[k] = float(np.linalg.norm(v))
    return left, len(kept) == swept.shape[1], doubtful
