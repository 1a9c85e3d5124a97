"""What are the coefficients and covariances of a regression with fixed effects, from arrays?

Least squares after :class:`~crosscheck.designs.absorb.Absorber`, in double precision. Covariances and their
small-sample factors follow :mod:`crosscheck.conventions` (fixest's words): iid, HC1, CRV1 with one or two clusters,
CRV3 (jackknife over clusters), DK (Driscoll and Kraay 1998).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crosscheck import conventions
from crosscheck.conventions import Counts, SmallSample, Ssc
from crosscheck.designs.absorb import Absorber, Codes, Groups, squeezed
from crosscheck.errors import DataError

Real = NDArray[np.float64]

COLLINEAR = 1e-9
INTERCEPT = "(Intercept)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """A regression's data, all rows complete.

    Attributes
    ----------
    y : ndarray, shape (n,)
    x : ndarray, shape (n, k)
    names : tuple of str
        Of the columns of x.
    effects : mapping of tuple of str to codes, shape (n,)
        ``("year", "region")`` is ``year^region``; without effects x gets an intercept.
    weights : ndarray, shape (n,), optional
    clusters : mapping of str to codes, shape (n,)
    period : codes, shape (n,), optional
        For DK.
    """

    y: Real
    x: Real
    names: tuple[str, ...]
    effects: Mapping[tuple[str, ...], Codes] = field(default_factory=dict)
    weights: Real | None = None
    clusters: Mapping[str, Codes] = field(default_factory=dict)
    period: Codes | None = None

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Panel:
        """Return the panel of some rows."""
        return replace(
            self,
            y=self.y[rows],
            x=self.x[rows],
            effects={k: v[rows] for k, v in self.effects.items()},
            weights=None if self.weights is None else self.weights[rows],
            clusters={k: v[rows] for k, v in self.clusters.items()},
            period=None if self.period is None else self.period[rows],
        )

    def with_clusters(self, clusters: Mapping[str, Codes]) -> Panel:
        """Return the panel with other clusters."""
        return replace(self, clusters=clusters)


def with_dummies(panel: Panel) -> Panel:
    """Return the panel with its effects as explicit dummies, the first level of each left out."""
    columns = [panel.x]
    names = list(panel.names)
    for effect, codes in panel.effects.items():
        levels = np.unique(codes)[1:]
        columns.append((codes[:, None] == levels).astype(np.float64))
        names += [f"{'^'.join(effect)}::{level}" for level in levels.tolist()]
    return replace(panel, x=np.column_stack(columns), names=tuple(names), effects={})


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Least squares of a panel.

    Attributes
    ----------
    panel : Panel
        Its x and names hold what was kept.
    coef : ndarray, shape (k,)
    bread : ndarray, shape (k, k)
        (X'WX)^-1 of the swept regressors.
    x, y : ndarray, shape (n, k) and (n,)
        Swept.
    resid : ndarray, shape (n,)
    dropped : tuple of str
    absorber : Absorber
    """

    panel: Panel
    coef: Real
    bread: Real
    x: Real
    y: Real
    resid: Real
    dropped: tuple[str, ...]
    absorber: Absorber

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return self.panel.names

    @cached_property
    def weights(self) -> Real:
        """Weights, or ones, shape (n,)."""
        return np.ones(self.y.size) if self.panel.weights is None else self.panel.weights

    @cached_property
    def scores(self) -> Real:
        """Return w x u, shape (n, k)."""
        return self.x * (self.weights * self.resid)[:, None]

    @cached_property
    def ssr(self) -> float:
        """Weighted sum of squared residuals."""
        return float(self.weights @ self.resid**2)

    def index(self, name: str) -> int:
        """Return the position of a coefficient.

        Raises
        ------
        DataError
            Where the regression has no such coefficient.
        """
        if name not in self.names:
            why = "was dropped as collinear" if name in self.dropped else "is no regressor"
            raise DataError(f"{name!r} {why}", allowed=", ".join(self.names))
        return self.names.index(name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariance:
    """Covariance of the coefficients, shape (k, k), and its small-sample factors."""

    matrix: Real
    small: SmallSample
    counts: Counts

    @property
    def std_errors(self) -> Real:
        """Square roots of the diagonal, shape (k,)."""
        return np.sqrt(np.diagonal(self.matrix))


def fit(panel: Panel) -> Fit:
    """Return least squares, regressors that earlier ones and the effects span left out.

    Raises
    ------
    DataError
        For an empty sample, or where no regressor is left.
    """
    n = panel.y.size
    if n == 0:
        raise DataError("the estimation sample is empty")
    if not panel.effects and INTERCEPT not in panel.names:
        panel = replace(panel, x=np.column_stack([np.ones(n), panel.x]), names=(INTERCEPT, *panel.names))
    absorber = Absorber(tuple(panel.effects.values()), panel.weights)
    swept = absorber.sweep(np.column_stack([panel.y, panel.x]))
    root = np.ones(n) if panel.weights is None else np.sqrt(panel.weights)
    scale = np.sqrt(((panel.x * root[:, None]) ** 2).sum(axis=0))
    centred = panel.x - panel.x.mean(axis=0)
    about_mean = np.sqrt(((centred * root[:, None]) ** 2).sum(axis=0))
    scale = np.where(about_mean > 1e-12 * scale, about_mean, scale)
    kept = _independent(swept[:, 1:] * root[:, None], scale)
    dropped = tuple(name for j, name in enumerate(panel.names) if j not in kept)
    panel = replace(panel, x=panel.x[:, kept], names=tuple(panel.names[j] for j in kept))
    y, x = swept[:, 0], swept[:, 1:][:, kept]
    if not kept:
        raise DataError("no regressor varies beside the fixed effects", hint=f"dropped: {', '.join(dropped)}")
    from scipy import linalg

    q, r = np.linalg.qr(x * root[:, None])
    coef = linalg.solve_triangular(r, q.T @ (y * root), check_finite=False)
    coef = coef + linalg.solve_triangular(r, q.T @ ((y - x @ coef) * root), check_finite=False)
    half = linalg.solve_triangular(r, np.eye(len(kept)), check_finite=False)
    return Fit(
        panel=panel, coef=coef, bread=half @ half.T, x=x, y=y, resid=y - x @ coef, dropped=dropped, absorber=absorber
    )


def _independent(x: Real, scale: Real) -> list[int]:
    """Return the columns that are not spanned by earlier ones, by Gram-Schmidt twice."""
    kept: list[int] = []
    basis = np.empty((x.shape[0], 0))
    for j in range(x.shape[1]):
        v = x[:, j].copy()
        for _ in range(2):
            v -= basis @ (basis.T @ v)
        length = float(np.sqrt(v @ v))
        if len(kept) < x.shape[0] and length > COLLINEAR * float(scale[j]):
            kept.append(j)
            basis = np.column_stack([basis, v / length])
    return kept


def counts_of(found: Fit, *, n_coef: int | None = None) -> Counts:
    """Count observations, coefficients, levels, clusters and periods of a fit."""
    panel = found.panel
    nested: tuple[bool, ...] = ()
    if panel.effects and panel.clusters:
        nested = conventions.nested_effects(panel.effects, panel.clusters)
    clusters = [squeezed(c) for c in panel.clusters.values()]
    sizes = [int(c.max()) + 1 for c in clusters]
    if len(clusters) == 2:
        sizes.append(int(squeezed(_pair(*clusters)).max()) + 1)
    return Counts(
        n=found.y.size,
        n_coef=found.coef.size if n_coef is None else n_coef,
        fe_sizes=found.absorber.sizes,
        nested=nested,
        n_clusters=tuple(sizes),
        n_periods=None if panel.period is None else int(np.unique(panel.period).size),
    )


def _pair(first: Codes, second: Codes) -> Codes:
    return first * (int(second.max()) + 1) + second


def covariance(found: Fit, vcov: str, ssc: Ssc, *, lag: int | None = None, counts: Counts | None = None) -> Covariance:
    """Return the covariance of a fit under one estimator.

    Parameters
    ----------
    found : Fit
    vcov : str
        ``iid``, ``HC1``, ``CRV1``, ``CRV3`` or ``DK``.
    ssc : Ssc
    lag : int, optional
        Of DK; default the integer part of T^(1/4).
    counts : Counts, optional
        Where they are not those of the fit alone.

    Raises
    ------
    DataError
        For another estimator, a single cluster, or no degrees of freedom.
    """
    panel = found.panel
    counts = counts or counts_of(found)
    small = conventions.small_sample(vcov, counts, ssc)
    if counts.n <= conventions.all_parameters(counts.n_coef, counts.fe_sizes):
        raise DataError(f"the model is saturated: {counts.n:g} observations and no degrees of freedom")
    if vcov in conventions.CLUSTERED and (not counts.n_clusters or counts.n_clusters[0] < 2):
        raise DataError(f"{vcov} needs at least two clusters")
    if vcov == "iid":
        matrix = found.bread * (found.ssr / (counts.n - 1)) * small.k_factor
    elif vcov == "HC1":
        matrix = sandwich(found.bread, found.scores) * small.k_factor
    elif vcov == "CRV1":
        codes = [squeezed(c) for c in panel.clusters.values()]
        terms = [codes[0]] if len(codes) == 1 else [*codes, _pair(*codes)]
        signs = conventions.inclusion_exclusion(len(codes))
        matrix = np.zeros_like(found.bread)
        for term, (_, sign), g in zip(terms, signs, small.g_factors, strict=True):
            matrix = matrix + sign * g * sandwich(found.bread, Groups(term).sums(found.scores))
        matrix = matrix * small.k_factor
        if len(codes) == 2:
            matrix, _ = conventions.repair_eigenvalues(matrix)
    elif vcov == "CRV3":
        matrix = _jackknife(found)
    elif vcov == "DK":
        matrix = _driscoll_kraay(found, lag) * small.k_factor * small.g_factors[0]
    else:
        raise DataError(f"the designs do not have vcov type {vcov}", allowed="iid, HC1, CRV1, CRV3, DK")
    return Covariance(matrix=matrix, small=small, counts=counts)


def sandwich(bread: Real, sums: Real) -> Real:
    """Return bread (sum s s') bread for rows s of ``sums``, shape (k, k)."""
    half = sums @ bread
    return half.T @ half


def _jackknife(found: Fit) -> Real:
    """(G - 1) / G sum (b_g - b)(b_g - b)': MacKinnon, Nielsen and Webb (2023), eq. 15."""
    if len(found.panel.clusters) != 1:
        raise DataError("CRV3 is defined for one cluster dimension")
    codes = squeezed(next(iter(found.panel.clusters.values())))
    size = int(codes.max()) + 1
    gaps = np.empty((size, found.coef.size))
    for g in range(size):
        again = fit(found.panel.take(codes != g))
        if again.names != found.names:
            raise DataError("CRV3 does not exist: a coefficient is not identified without one of the clusters")
        gaps[g] = again.coef - found.coef
    return gaps.T @ gaps * ((size - 1) / size)


def _driscoll_kraay(found: Fit, lag: int | None) -> Real:
    if found.panel.period is None:
        raise DataError("Driscoll-Kraay needs the study's time")
    sums = Groups(found.panel.period).sums(found.scores) @ found.bread
    reach = conventions.default_lag(sums.shape[0]) if lag is None else lag
    total = np.zeros_like(found.bread)
    for step, weight in enumerate(conventions.bartlett(reach)[: sums.shape[0]]):
        product = sums[step:].T @ sums[: sums.shape[0] - step]
        total += weight * (product if step == 0 else product + product.T)
    return total
