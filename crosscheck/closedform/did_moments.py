"""What is the effect in one two-group, two-period comparison, and how does each unit influence it?

Influence functions in the notation of Sant'Anna and Zhao (2020), sections 2 and 3: outcome regression, inverse
probability weighting with normalised (Hajek) weights, and doubly robust with a logit by maximum likelihood and least
squares (their tau_1 for panels, "traditional"; their tau_2, locally efficient, for repeated cross-sections).
The estimation of the first steps is in the influence functions (their Theorems 1 and 2). Controls with a score of
0.995 or more are trimmed, as DRDID does. All functions return the effect and its influence function, of mean zero,
such that Var(effect) = mean(psi^2) / n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import LongArray, long
from crosscheck.closedform.linear import back_substitute, orthogonalise
from crosscheck.errors import DataError

TRIM = 0.995
HIGHEST = 1 - 1e-6
MAX_ITERATIONS = 200
VARIES = 1e-14
"""Of a column's size: what it varies by less is the rounding of its values as doubles."""


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """An effect and the influence function of its rows, shape (n,)."""

    att: LongArray
    influence: LongArray


def hajek(weight: LongArray, value: LongArray) -> Effect:
    """Return the weighted mean and its influence function w (v - mean) / E w."""
    scale = weight.mean()
    mean = (weight * value).mean() / scale
    return Effect(mean, weight * (value - mean) / scale)


def _gradient(weight: LongArray, value: LongArray, x: LongArray) -> LongArray:
    """E[w v x] / E[w], shape (k,)."""
    return np.asarray((weight * value) @ x / weight.sum())


def centred(x: LongArray, weight: LongArray) -> LongArray:
    """Return the columns about their means and of scale one; constants, but for rounding, as they are.

    With a column of ones among them they span the same space, so that scores, fitted values and what estimating them
    adds to an influence function are the same, and Newton's steps keep their digits beside a large mean.
    """
    rest = x - weight @ x / weight.sum()
    spread, size = np.sqrt(weight @ rest**2), np.sqrt(weight @ x**2)
    varies = spread > VARIES * size
    return np.where(varies, rest / np.where(varies, spread, 1), x)


def regression(y: LongArray, x: LongArray, weight: LongArray) -> tuple[LongArray, LongArray]:
    """Return fitted values for all rows, and the asymptotic linear representation of the coefficients, shape (n, k).

    Raises
    ------
    DataError
        Where the rows with weight do not identify the regression.
    """
    n, k = x.shape
    root = np.sqrt(weight)
    reference = np.sqrt(weight @ x**2)
    basis = orthogonalise(x * root[:, None], reference)
    if len(basis.kept) < k:
        raise DataError("the covariates are collinear among the units of a comparison", hint="drop covariates")
    beta = basis.coefficients(y * root)
    beta = beta + basis.coefficients((y - x @ beta) * root)
    fitted = x @ beta
    return fitted, (weight * (y - fitted))[:, None] * (x @ basis.inverse()) * n


def logit(d: LongArray, x: LongArray, weight: LongArray) -> tuple[LongArray, LongArray]:
    """Return the propensity score by maximum likelihood, and the linear representation of the coefficients, (n, k).

    Raises
    ------
    DataError
        Where Newton's method does not settle: the groups are separated by the covariates.
    """
    n, k = x.shape
    gamma = np.zeros(k, dtype=np.longdouble)
    last = np.inf
    for _ in range(MAX_ITERATIONS):
        score = 1 / (1 + np.exp(-(x @ gamma)))
        variance = weight * score * (1 - score)
        basis = orthogonalise(x * np.sqrt(variance)[:, None], np.sqrt(weight @ x**2), tolerance=1e-12)
        if len(basis.kept) < k:
            raise DataError("the propensity score does not exist: covariates separate the groups or are collinear")
        half = back_substitute(basis.r, np.eye(k, dtype=np.longdouble))
        step = half @ (half.T @ (x.T @ (weight * (d - score))))
        size = float(np.max(np.abs(step) * np.sqrt((x**2).mean(axis=0))))
        gamma = gamma + step
        if size < 1e-17 or (size < 1e-9 and size >= last):
            score = 1 / (1 + np.exp(-(x @ gamma)))
            return score, (weight * (d - score))[:, None] * (x @ basis.inverse()) * n
        last = size
    raise DataError("the propensity score does not settle: covariates separate the groups")


def _odds(d: LongArray, x: LongArray, weight: LongArray) -> tuple[LongArray, LongArray, LongArray]:
    """Weights of treated and of controls (odds), and the linear representation of the score's coefficients."""
    score, psi = logit(d, x, weight)
    score = np.minimum(score, HIGHEST)
    kept = np.where(d == 1, 1, score < TRIM)
    return kept * weight * d, kept * weight * score * (1 - d) / (1 - score), psi


def panel_effect(method: str, change: LongArray, d: LongArray, x: LongArray, weight: LongArray) -> Effect:
    """Return the effect from changes of the outcome within units.

    Parameters
    ----------
    method : str
        ``reg``, ``ipw`` or ``dr``.
    change : ndarray, shape (n,)
        Outcome after minus before.
    d : ndarray, shape (n,)
        1 for treated units.
    x : ndarray, shape (n, k)
        Covariates with a column of ones; with ones alone every method is the difference of two means.
    weight : ndarray, shape (n,)
        Sampling weights.
    """
    weight = weight / weight.mean()
    if x.shape[1] == 1:
        return _minus(hajek(weight * d, change), hajek(weight * (1 - d), change))
    x = centred(x, weight)
    if method == "reg":
        fitted, psi_b = regression(change, x, weight * (1 - d))
        treated, control = hajek(weight * d, change), hajek(weight * d, fitted)
        return _minus(treated, _shifted(control, psi_b @ _gradient(weight * d, np.ones_like(d), x)))
    w_t, w_c, psi_g = _odds(d, x, weight)
    if method == "ipw":
        treated, control = hajek(w_t, change), hajek(w_c, change)
        return _minus(treated, _shifted(control, psi_g @ _gradient(w_c, change - control.att, x)))
    fitted, psi_b = regression(change, x, weight * (1 - d))
    left = change - fitted
    treated, control = hajek(w_t, left), hajek(w_c, left)
    ones = np.ones_like(d)
    return _minus(
        _shifted(treated, -(psi_b @ _gradient(w_t, ones, x))),
        _shifted(control, psi_g @ _gradient(w_c, left - control.att, x) - psi_b @ _gradient(w_c, ones, x)),
    )


def cross_section_effect(
    method: str, y: LongArray, post: LongArray, d: LongArray, x: LongArray, weight: LongArray, *, earlier: int = 1
) -> Effect:
    """Return the effect from levels of the outcome in two periods, rows being independent or clustered by unit.

    Parameters
    ----------
    method : str
    y, post, d : ndarray, shape (n,)
        Outcome; 1 in the later period; 1 for treated rows.
    x : ndarray, shape (n, k)
    weight : ndarray, shape (n,)
    earlier : int
        Sign of what the regressions of the earlier period add to the influence function of ``dr``: 1; -1 replays
        DRDID's drdid_rc.
    """
    weight = weight / weight.mean()
    ones = np.ones_like(d)
    cells = {(g, p): weight * (d == g) * (post == p) for g in (0, 1) for p in (0, 1)}
    if x.shape[1] == 1:
        means = {key: hajek(w, y) for key, w in cells.items()}
        return _minus(_minus(means[1, 1], means[1, 0]), _minus(means[0, 1], means[0, 0]))
    x = centred(x, weight)
    if method == "reg":
        treated = _minus(hajek(cells[1, 1], y), hajek(cells[1, 0], y))
        (after, psi_after), (before, psi_before) = (regression(y, x, cells[0, p]) for p in (1, 0))
        control = hajek(weight * d, after - before)
        slope = _gradient(weight * d, ones, x)
        return _minus(treated, _shifted(control, (psi_after - psi_before) @ slope))
    w_t, w_c, psi_g = _odds(d, x, weight)
    if method == "ipw":
        treated = _minus(hajek(w_t * post, y), hajek(w_t * (1 - post), y))
        parts = []
        for p in (post, 1 - post):
            mean = hajek(w_c * p, y)
            parts.append(_shifted(mean, psi_g @ _gradient(w_c * p, y - mean.att, x)))
        return _minus(treated, _minus(parts[0], parts[1]))
    return _locally_efficient(y, post, d, x, cells, (w_t, w_c, psi_g), earlier)


def _locally_efficient(
    y: LongArray,
    post: LongArray,
    d: LongArray,
    x: LongArray,
    cells: dict[tuple[int, int], LongArray],
    odds: tuple[LongArray, LongArray, LongArray],
    earlier: int = 1,
) -> Effect:
    """Doubly robust and locally efficient for repeated cross-sections (Sant'Anna and Zhao 2020, tau_2)."""
    w_t, w_c, psi_g = odds
    ones = np.ones_like(d)
    fits = {key: regression(y, x, w) for key, w in cells.items()}
    left = y - np.where(post == 1, fits[0, 1][0], fits[0, 0][0])
    by_period = []
    for p, period in ((1, post), (0, 1 - post)):
        psi_b = fits[0, p][1]
        psi_r = psi_b if p else earlier * psi_b
        treated, control = hajek(w_t * period, left), hajek(w_c * period, left)
        treated = _shifted(treated, -(psi_r @ _gradient(w_t * period, ones, x)))
        control = _shifted(
            control,
            psi_g @ _gradient(w_c * period, left - control.att, x) - psi_r @ _gradient(w_c * period, ones, x),
        )
        # The term that makes the estimator efficient: all treated rows against those of the period.
        gap = fits[1, p][0] - fits[0, p][0]
        extra = _minus(hajek(w_t, gap), hajek(w_t * period, gap))
        moment = _gradient(w_t, ones, x) - _gradient(w_t * period, ones, x)
        extra = _shifted(extra, (fits[1, p][1] - psi_b) @ moment)
        by_period.append(_plus(_minus(treated, control), extra))
    return _minus(by_period[0], by_period[1])


def _minus(a: Effect, b: Effect) -> Effect:
    return Effect(a.att - b.att, a.influence - b.influence)


def _plus(a: Effect, b: Effect) -> Effect:
    return Effect(a.att + b.att, a.influence + b.influence)


def _shifted(effect: Effect, influence: LongArray) -> Effect:
    return Effect(effect.att, effect.influence + influence)


def as_long(*arrays: NDArray[np.float64]) -> tuple[LongArray, ...]:
    """Return arrays in the long type."""
    return tuple(long(a) for a in arrays)
