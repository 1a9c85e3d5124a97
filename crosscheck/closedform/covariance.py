"""What covariance do these residuals give under each estimator?

Formulas and their sources are listed in :mod:`crosscheck.conventions`; here they meet the arrays. Everything stays in
the long type until the covariance is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck import conventions
from crosscheck.closedform.absorb import Groups, LongArray, intersect
from crosscheck.closedform.linear import Fit
from crosscheck.conventions import Counts, SmallSample, Ssc
from crosscheck.errors import DataError

SATURATED = 1.4901161193847656e-08
INDEFINITE = 1e-12
"""Of an eigenvalue of the correlation matrix below zero: less is rounding in double precision."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariance:
    """A covariance of the coefficients and what it was multiplied by.

    Attributes
    ----------
    matrix : ndarray, shape (k, k)
    small_sample : SmallSample
    repaired : bool
        Whether eigenvalues of 0 or less were replaced.
    """

    matrix: NDArray[np.float64]
    small_sample: SmallSample
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouping:
    """The categories a covariance needs, as codes of shape (n,).

    Attributes
    ----------
    clusters : tuple of codes
        One or two.
    unit, time : codes or None
        Of the panel, for NW and DK; ``time`` ranks the distinct periods.
    lag : int or None
        ``None``: the integer part of T^(1/4).
    last : int or None
        Lags after this one are left out of the sum, though the bandwidth reaches them.
    """

    clusters: tuple[NDArray[np.int64], ...] = ()
    unit: NDArray[np.int64] | None = None
    time: NDArray[np.int64] | None = None
    lag: int | None = None
    last: int | None = None


def cluster_counts(clusters: Sequence[NDArray[np.int64]]) -> tuple[int, ...]:
    """Count clusters of each dimension, and of the intersection of two."""
    return tuple(g.size for g in _dimensions(clusters))


def _dimensions(clusters: Sequence[NDArray[np.int64]]) -> tuple[Groups, ...]:
    single = [Groups.of(c) for c in clusters]
    if len(clusters) == 2:
        single.append(Groups.of(intersect(clusters[0], clusters[1])))
    return tuple(single)


def covariance(
    fit: Fit,
    vcov: str,
    counts: Counts,
    ssc: Ssc,
    grouping: Grouping,
    *,
    frequency: bool = False,
    refit: Callable[[NDArray[np.bool_]], LongArray] | None = None,
    repair: bool = True,
) -> Covariance:
    """Return the covariance of a fit under one estimator and one set of small-sample words.

    Parameters
    ----------
    fit : Fit
    vcov : str
        ``iid``, ``HC1``, ``HC2``, ``HC3``, ``CRV1``, ``CRV3``, ``NW`` or ``DK``.
    counts : Counts
    ssc : Ssc
    grouping : Grouping
    frequency : bool
        Whether the weights count identical rows, so that each counts once in a sum of squares.
    refit : callable, optional
        Coefficients from a subset of rows, for CRV3.
    repair : bool
        Whether eigenvalues of 0 or less are replaced, where the covariance is indefinite by more than rounding.
    """
    small = conventions.small_sample(vcov, counts, ssc)
    if vcov == "iid":
        matrix = fit.bread * (fit.ssr / (counts.n - 1))
    elif vcov in ("HC1", "HC2", "HC3"):
        matrix = _hetero(fit, vcov, frequency)
    elif vcov == "CRV1":
        matrix = np.zeros_like(fit.bread)
        for part, g in zip(cluster_parts(fit, grouping.clusters), small.g_factors, strict=True):
            matrix = matrix + np.longdouble(g) * part
    elif vcov == "CRV3":
        assert refit is not None
        matrix = jackknife(fit.coef, grouping.clusters, refit)
    else:
        assert grouping.time is not None
        matrix = serial(fit, vcov, grouping)
    factor = small.k_factor * (small.g_factors[0] if vcov in conventions.SERIAL else 1.0)
    with np.errstate(invalid="ignore"):  # without degrees of freedom: a variance of zero times an infinite factor
        out = np.asarray(matrix * factor, dtype=np.float64)
    repaired = False
    if repair and np.isfinite(out).all() and indefinite(out):
        out, repaired = conventions.repair_eigenvalues(out)
    return Covariance(matrix=out, small_sample=small, repaired=repaired)


def indefinite(vcov: NDArray[np.float64]) -> bool:
    """Say whether a covariance of shape (k, k) has a variance of 0 or less, or a correlation matrix that is indefinite.

    Eigenvalues of the covariance itself cannot say it: beside a regressor in small units, whose variance is large, they
    are rounding, and replacing them would change standard errors that are right.
    """
    variances = np.diagonal(vcov)
    if not variances.size or not (variances > 0).all():
        return bool(variances.size)
    root = np.sqrt(variances)
    return bool(np.linalg.eigvalsh(vcov / np.outer(root, root))[0] < -INDEFINITE)


def sandwich(bread: LongArray, sums: LongArray) -> LongArray:
    """Return bread (sum s s') bread for rows s of ``sums``, shape (k, k)."""
    half = sums @ bread
    return np.asarray(half.T @ half)


def cluster_parts(fit: Fit, clusters: Sequence[NDArray[np.int64]]) -> tuple[LongArray, ...]:
    """Return the signed terms of the sum over cluster dimensions, without any factor (first, second, intersection)."""
    signs = conventions.inclusion_exclusion(len(clusters))
    return tuple(
        np.longdouble(sign) * sandwich(fit.bread, groups.sums(fit.scores))
        for groups, (_, sign) in zip(_dimensions(clusters), signs, strict=True)
    )


def _hetero(fit: Fit, vcov: str, frequency: bool) -> LongArray:
    scores = fit.scores
    if vcov != "HC1":
        own = fit.leverage + fit.absorber.leverage()
        left = 1 - (own / fit.weights if frequency else own)
        if float(left.min()) < SATURATED:
            raise DataError(
                f"{vcov} does not exist: {int((left < SATURATED).sum())} observations have a leverage of one",
                hint="drop singletons, or use HC1",
            )
        scores = scores / (np.sqrt(left) if vcov == "HC2" else left)[:, None]
    if frequency:
        scores = scores / np.sqrt(fit.weights)[:, None]
    return sandwich(fit.bread, scores)


def jackknife(
    coef: LongArray, clusters: Sequence[NDArray[np.int64]], refit: Callable[[NDArray[np.bool_]], LongArray]
) -> LongArray:
    """Return (G - 1) / G sum (b_g - b)(b_g - b)' over clusters left out (MacKinnon, Nielsen and Webb 2023).

    Raises
    ------
    DataError
        Where a coefficient is lost with a cluster, or there are two cluster dimensions.
    """
    if len(clusters) != 1:
        raise DataError("CRV3 is defined for one cluster dimension")
    groups = Groups.of(clusters[0])
    total = np.zeros((coef.size, coef.size), dtype=np.longdouble)
    for g in range(groups.size):
        without = refit(groups.codes != g)
        if without.shape != coef.shape:
            raise DataError("CRV3 does not exist: a coefficient is not identified without one of the clusters")
        total += np.outer(without - coef, without - coef)
    return total * np.longdouble(groups.size - 1) / groups.size


def serial(fit: Fit, vcov: str, grouping: Grouping) -> LongArray:
    """Return bread (S_0 + sum_l w_l (S_l + S_l')) bread with Bartlett weights; lags count ranked periods.

    NW: S_l sums scores of a unit l periods apart (Newey and West 1987). DK: S_l multiplies sums of a period's scores
    (Driscoll and Kraay 1998).

    Raises
    ------
    DataError
        Where a unit has two rows in a period (NW).
    """
    assert grouping.time is not None
    time = Groups.of(grouping.time)
    lag = conventions.default_lag(time.size) if grouping.lag is None else grouping.lag
    weights = conventions.bartlett(lag)
    k = fit.scores.shape[1]
    if vcov == "DK":
        table = np.asarray(time.sums(fit.scores))[:, None, :]
    else:
        unit = Groups.of(np.zeros_like(time.codes) if grouping.unit is None else grouping.unit)
        table = np.zeros((time.size, unit.size, k), dtype=np.longdouble)
        if np.unique(time.codes * unit.size + unit.codes).size < time.codes.size:
            raise DataError("NW needs unit-time pairs that are unique", hint="name the unit, or use DK")
        table[time.codes, unit.codes] = fit.scores
    table = table @ fit.bread  # before sums of products: beside collinear regressors the bread cancels what is summed
    total = np.zeros((k, k), dtype=np.longdouble)
    reached = min(lag, time.size - 1)
    for step in range((reached if grouping.last is None else min(reached, grouping.last)) + 1):
        pairs = (time.size - step) * table.shape[1]
        ahead, behind = table[step:].reshape(pairs, k), table[: time.size - step].reshape(pairs, k)
        product = ahead.T @ behind
        total += weights[step] * (product if step == 0 else product + product.T)
    return total


def refitter(fit_rows: Callable[[NDArray[np.bool_]], Fit], kept: tuple[int, ...]) -> Callable[[Any], LongArray]:
    """Make the function that CRV3 calls: coefficients without some rows, empty where one is lost."""

    def refit(rows: NDArray[np.bool_]) -> LongArray:
        again = fit_rows(rows)
        return again.coef if again.kept == kept else np.zeros(0, dtype=np.longdouble)

    return refit
