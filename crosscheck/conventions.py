"""Which factor, which degrees of freedom, which rounding turned the same residuals into these digits?

Pure formulas; nothing here reads data files or knows an engine. The words are fixest's (version 0.13 and newer:
``K.adj``, ``K.fixef``, ``G.adj``, ``G.df``, ``t.df``; its manual page ``ssc`` and its vignette on standard errors).
N is the number of observations, K the number of parameters counted, G the number of clusters.

========================  =============================================================================================
quantity                  formula and source
========================  =============================================================================================
iid                       SSR / (N - K) (X'X)^-1; without ``K.adj`` SSR / (N - 1), as fixest has it
HC1                       N / (N - K): MacKinnon and White (1985); no ``G.adj``
HC2, HC3                  u_i^2 / (1 - h_i), u_i^2 / (1 - h_i)^2: MacKinnon and White (1985) (HC3 without
                          their (N - 1) / N); no factor on top
CRV1                      G / (G - 1) (N - 1) / (N - K): Cameron and Miller (2015)
CRV1, two clusters        V(1) + V(2) - V(1,2): Cameron, Gelbach and Miller (2011), eigenvalues too
CRV3                      (G - 1) / G sum (b_g - b)(b_g - b)': MacKinnon, Nielsen and Webb (2023)
NW, DK                    Bartlett weights 1 - l / (L + 1): Newey and West (1987); sums by period: Driscoll and
                          Kraay (1998); T / (T - 1) (N - 1) / (N - K), as fixest has it
df                        G - 1 (the smaller G of two), T - 1, or N - K
========================  =============================================================================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

KFixef = Literal["none", "nonnested", "full"]
GDf = Literal["min", "conventional"]
Half = Literal["away", "even"]

CLUSTERED = ("CRV1", "CRV3")
SERIAL = ("NW", "DK")
MAX_DIGITS = 15.0
REPAIRED_EIGENVALUE = 1e-16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssc:
    """fixest's small-sample words."""

    k_adj: bool = True
    k_fixef: KFixef = "nonnested"
    g_adj: bool = True
    g_df: GDf = "min"
    t_df: GDf = "min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The integers that decide every small-sample factor.

    Attributes
    ----------
    n : float
        Observations (the sum of the weights where they are frequencies).
    n_coef : int
        Coefficients shown, the intercept among them.
    fe_sizes : tuple of int
        Levels of each absorbed fixed effect.
    nested : tuple of bool
        For each fixed effect, whether its levels lie within clusters.
    n_clusters : tuple of int
        Clusters of the first dimension, of the second, and of their intersection; empty without clusters.
    n_periods : int or None
        Distinct periods, for NW and DK.
    """

    n: float
    n_coef: int
    fe_sizes: tuple[int, ...] = ()
    nested: tuple[bool, ...] = ()
    n_clusters: tuple[int, ...] = ()
    n_periods: int | None = None

    @property
    def dimensions(self) -> int:
        """Number of cluster dimensions."""
        return min(len(self.n_clusters), 2)

    @property
    def g_min(self) -> int | None:
        """Clusters of the dimension that has the fewest."""
        return min(self.n_clusters[: self.dimensions]) if self.n_clusters else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallSample:
    """What a covariance estimator is multiplied by, and the t distribution that belongs to it.

    ``g_factors`` holds one factor for each term of the inclusion-exclusion sum (first cluster, second, intersection).
    """

    k: int
    k_factor: float
    g_factors: tuple[float, ...]
    df_t: float

    @property
    def factor(self) -> float:
        """The one factor on the unadjusted covariance, or NaN where the terms of a sum carry different ones."""
        return self.k_factor * self.g_factors[0] if len(set(self.g_factors)) == 1 else math.nan


def all_parameters(n_coef: int, fe_sizes: Sequence[int]) -> int:
    """Count every parameter: coefficients plus levels of the fixed effects, less one for each effect after the first.

    fixest's ``nparams``; with three or more effects, or two that are not connected, an upper bound of the rank.
    """
    return n_coef + sum(fe_sizes) - max(len(fe_sizes) - 1, 0)


def count_k(
    n_coef: int,
    fe_sizes: Sequence[int],
    *,
    k_fixef: KFixef = "full",
    nested: Sequence[bool] = (),
    clustered: bool = False,
) -> int:
    """Count the parameters that enter N - K under one of fixest's three rules.

    ``none`` counts the coefficients shown; ``full`` adds all levels of the fixed effects (:func:`all_parameters`);
    ``nonnested`` leaves out, for clustered covariances, effects nested in the clusters: one parameter stays for each
    of them, or one for all where every effect is nested (Cameron and Miller 2015; fixest, ``ssc``).

    Parameters
    ----------
    n_coef : int
    fe_sizes : sequence of int
    k_fixef : str
    nested : sequence of bool
        One for each fixed effect.
    clustered : bool
        Without clusters nothing is nested, and ``nonnested`` is ``full``.
    """
    total = all_parameters(n_coef, fe_sizes)
    if not fe_sizes:
        return total
    if k_fixef == "none":
        return n_coef
    if k_fixef == "full" or not clustered:
        return total
    if all(nested):
        k = n_coef + 1
    else:
        k = total - sum(size - 1 for size, inside in zip(fe_sizes, nested, strict=True) if inside)
    return max(k, n_coef + 1)


def is_nested(inner: NDArray[np.integer], outer: NDArray[np.integer]) -> bool:
    """Say whether each level of ``inner`` (codes, shape (n,)) occurs within a single level of ``outer``."""
    order = np.argsort(inner, kind="stable")
    same = inner[order][1:] == inner[order][:-1]
    return not bool(np.any(outer[order][1:][same] != outer[order][:-1][same]))


def nested_effects(
    fe: Mapping[tuple[str, ...], NDArray[np.integer]],
    clusters: Mapping[str, NDArray[np.integer]],
    *,
    by_name: bool = True,
) -> tuple[bool, ...]:
    """Say which fixed effects are nested in which clusters, as fixest decides it.

    An effect that is (or combines) a cluster variable is nested. fixest looks at the codes of the others only when
    some cluster variable is not a fixed effect itself: with effects ``county + state`` and clusters ``state``, county
    is not counted as nested. ``by_name=False`` looks at the codes always (the definition of Cameron and Miller 2015).

    Parameters
    ----------
    fe : mapping of tuple of str to codes, shape (n,)
        ``("year", "region")`` is ``year^region``.
    clusters : mapping of str to codes, shape (n,)
    """
    named = [any(part in clusters for part in parts) for parts in fe]
    alone = {parts[0] for parts in fe if len(parts) == 1}
    if by_name and all(name in alone for name in clusters):
        return tuple(named)
    return tuple(
        known or any(is_nested(codes, outer) for outer in clusters.values())
        for known, codes in zip(named, fe.values(), strict=True)
    )


def k_factor(vcov: str, n: float, k: float) -> float:
    """Return the factor of ``K.adj``: N / (N - K) for HC1, (N - 1) / (N - K) otherwise; NaN where N <= K."""
    if n <= k:
        return math.nan
    return (n if vcov == "HC1" else n - 1) / (n - k)


def g_factor(g: float) -> float:
    """Return G / (G - 1); NaN for a single cluster."""
    return g / (g - 1) if g > 1 else math.nan


def small_sample(vcov: str, counts: Counts, ssc: Ssc) -> SmallSample:
    """Return K, the factors and the degrees of freedom of fixest for one covariance estimator.

    Parameters
    ----------
    vcov : str
        ``iid``, ``HC1``, ``HC2``, ``HC3``, ``CRV1``, ``CRV3``, ``NW`` or ``DK``. The factor of ``iid`` multiplies
        SSR / (N - 1) (X'X)^-1; ``HC2``, ``HC3`` and ``CRV3`` take no factor.
    counts : Counts
    ssc : Ssc
    """
    clustered = vcov in CLUSTERED
    k = count_k(counts.n_coef, counts.fe_sizes, k_fixef=ssc.k_fixef, nested=counts.nested, clustered=clustered)
    scaled = vcov in ("iid", "HC1", "CRV1", *SERIAL)
    by_k = k_factor(vcov, counts.n, k) if scaled and ssc.k_adj else 1.0
    by_g: tuple[float, ...] = (1.0,)
    if vcov == "CRV1":
        by_g = g_factors(counts, g_adj=ssc.g_adj, g_df=ssc.g_df)
    elif vcov in SERIAL and ssc.g_adj:
        by_g = (g_factor(counts.n_periods or 1),)
    return SmallSample(k=k, k_factor=by_k, g_factors=by_g, df_t=df_t(vcov, counts, k, t_df=ssc.t_df))


def g_factors(counts: Counts, *, g_adj: bool, g_df: GDf) -> tuple[float, ...]:
    """Return the factor of ``G.adj`` for each term of the sum: its own G, or the smallest G for all (``min``)."""
    if not g_adj:
        return (1.0,) * len(counts.n_clusters)
    if g_df == "conventional":
        return tuple(g_factor(g) for g in counts.n_clusters)
    return (g_factor(counts.g_min or 1),) * len(counts.n_clusters)


def df_t(vcov: str, counts: Counts, k: float, *, t_df: GDf = "min") -> float:
    """Return the degrees of freedom of the t distribution: G - 1 or T - 1 under ``min``, else N - K, at least 1."""
    if t_df == "min":
        if vcov in CLUSTERED and counts.g_min is not None:
            return max(counts.g_min - 1, 1)
        if vcov in SERIAL and counts.n_periods is not None:
            return max(counts.n_periods - 1, 1)
    return max(counts.n - k, 1)


def bartlett(lag: int) -> NDArray[np.float64]:
    """Return the weights of lags 0..L of Newey and West (1987): 1 - l / (L + 1), shape (lag + 1,)."""
    return 1.0 - np.arange(lag + 1) / (lag + 1)


def default_lag(n_periods: int) -> int:
    """Return the bandwidth that fixest takes for panels where none is given: the integer part of T^(1/4)."""
    root = int(n_periods**0.25 + 0.5)
    return root if root**4 <= n_periods else root - 1


def repair_eigenvalues(
    vcov: NDArray[np.float64], replacement: float = REPAIRED_EIGENVALUE
) -> tuple[NDArray[np.float64], bool]:
    """Return the covariance with eigenvalues of 0 or less replaced, and whether that was needed.

    Cameron, Gelbach and Miller (2011) replace negative eigenvalues by zero; fixest by 1e-16.

    Parameters
    ----------
    vcov : ndarray, shape (k, k)
    """
    values, vectors = np.linalg.eigh((vcov + vcov.T) / 2)
    if values.size == 0 or values[0] > 0:
        return vcov, False
    return (vectors * np.maximum(values, replacement)) @ vectors.T, True


def inclusion_exclusion(dimensions: int) -> tuple[tuple[tuple[int, ...], float], ...]:
    """Return subsets of the cluster dimensions with their signs, in fixest's order: (0), (1), (0, 1)."""
    return tuple(
        (subset, (-1.0) ** (size + 1))
        for size in range(1, dimensions + 1)
        for subset in itertools.combinations(range(dimensions), size)
    )


def _special() -> Any:
    """Return scipy.special, which takes longer to import than a run with nothing new takes to compare."""
    from scipy import special

    return special


def p_of(statistic: float, df: float) -> float:
    """Return the two-sided p-value of a t statistic; ``df`` of infinity means the normal."""
    if math.isnan(statistic) or math.isnan(df):
        return math.nan
    if math.isinf(df):
        return math.erfc(abs(statistic) / math.sqrt(2))
    if abs(statistic) < 1:  # the incomplete beta function would be asked near 1, where its argument has rounded
        return float(2 * _special().stdtr(df, -abs(statistic)))
    return float(_special().betainc(df / 2, 0.5, df / (df + statistic * statistic)))


def critical(level: float, df: float) -> float:
    """Return the two-sided critical value at a confidence level."""
    tail = (1 - level) / 2
    return -float(_special().ndtri(tail) if math.isinf(df) else _special().stdtrit(df, tail))


def interval(estimate: float, std_error: float, df: float, level: float = 0.95) -> tuple[float, float]:
    """Return the confidence bounds b -+ c SE."""
    half = critical(level, df) * std_error
    return estimate - half, estimate + half


def stars_of(p: float, legend: Mapping[str, float]) -> str:
    """Return the stars that a legend (mark to threshold, strict) gives a p-value."""
    reached = [(threshold, mark) for mark, threshold in legend.items() if p < threshold]
    return min(reached)[1] if reached else ""


def rounded(value: float, decimals: int, half: Half = "even", *, significant: int | None = None) -> str:
    """Write a number with a fixed number of decimals, ties to even or away from zero.

    The exact binary value is rounded (C, R, Stata); with ``significant`` the number is first cut to that many
    significant digits, as spreadsheets do (15), so that 1.005 prints 1.01.

    Raises
    ------
    ValueError
        Where the value is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be printed with {decimals} decimals")
    mode = ROUND_HALF_EVEN if half == "even" else ROUND_HALF_UP
    exact = Decimal(value)
    if significant is not None:
        exact = Context(prec=significant).plus(exact)
    return format(exact.quantize(Decimal(1).scaleb(-decimals), rounding=mode, context=Context(prec=400)), "f")


def lre(reference: float, candidate: float) -> float:
    """Return the number of agreeing digits: the log relative error of McCullough (1998), between 0 and 15.

    A reference of zero has no relative error; the absolute error stands in for it.
    """
    if reference == candidate:
        return MAX_DIGITS
    gap = abs(candidate - reference)
    if not math.isfinite(gap):
        return 0.0
    ratio = gap / (abs(reference) if reference != 0 else 1.0)
    return MAX_DIGITS if ratio == 0.0 else float(min(MAX_DIGITS, max(0.0, -math.log10(ratio))))
