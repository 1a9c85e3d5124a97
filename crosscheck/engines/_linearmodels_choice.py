"""Which options of linearmodels give exactly the small-sample factor that is asked for?

With e parameters of the effects counted (``count_effects``), K columns of regressors (a constant among them, where
there is one) and N rows, linearmodels multiplies the covariance by

* panel models: N / (N - e - K), without the K where not ``debiased``; for clusters each term of the sum by
  G / (G - 1) (N - 1) / N as well where ``group_debias``;
* ``IV2SLS``, ``AbsorbingLS``: N / (N - e - K), for clusters G / (G - 1) (N - 1) / (N - e - K); nothing where not
  ``debiased``.

Its iid covariance is SSR / N (X'X)^-1 before that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from crosscheck.conventions import SmallSample, g_factor

Family = Literal["panel", "absorbing", "iv"]
RTOL = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Options of a fit.

    Attributes
    ----------
    absorbed : tuple of int
        Positions of the fixed effects that are absorbed.
    dummies : tuple of int
        Positions of the fixed effects that enter as dummies.
    constant : bool
        Whether a constant stands beside the absorbed effects, so that it is counted in their place.
    """

    absorbed: tuple[int, ...] = ()
    dummies: tuple[int, ...] = ()
    constant: bool = False
    debiased: bool = True
    count_effects: bool = True
    group_debias: bool = False


def factors(
    vcov: str, n: float, k: int, e: int, clusters: tuple[int, ...], choice: Choice, family: Family
) -> list[float]:
    """Return the factor on each term of the unadjusted covariance, as :mod:`crosscheck.conventions` defines it.

    Parameters
    ----------
    n : float
        Rows.
    k : int
        Columns of regressors, dummies and constant included.
    e : int
        Parameters of the absorbed effects beside them.
    clusters : tuple of int
        Numbers of clusters; empty without.
    family : str
        ``panel``, ``absorbing`` or ``iv``.
    """
    counted = (e if choice.count_effects else 0) + (k if choice.debiased else 0)
    if family != "panel" and not choice.debiased:
        counted = 0
    left = n - counted
    if left <= 0:
        return [float("nan")]
    scale = n / left
    if vcov == "iid":
        return [scale * (n - 1) / n]
    if vcov != "CRV1":
        return [scale]
    grouped = choice.group_debias if family == "panel" else choice.debiased
    return [scale * (g_factor(g) * (n - 1) / n if grouped else 1.0) for g in clusters]


def choices(sizes: tuple[int, ...], nested: tuple[bool, ...], uncounted: bool, family: Family) -> Iterator[Choice]:
    """Yield the options to try, the plainest first.

    Parameters
    ----------
    sizes : tuple of int
        Levels of the fixed effects.
    nested : tuple of bool
        Which of them are not to be counted, being nested in clusters; they are absorbed beside a constant then, and
        the others enter as dummies.
    uncounted : bool
        Whether ``AbsorbingLS`` by itself leaves its effect out of the count: a single one, nested in every cluster.
    family : str
    """
    every = tuple(range(len(sizes)))
    layouts: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = [(every, (), False)]
    if family == "iv":
        layouts = [((), every, bool(every))]
    inside = tuple(i for i in every if nested and nested[i])
    if family == "panel" and inside:
        layouts.append((inside, tuple(i for i in every if i not in inside), True))
    if family == "absorbing" and uncounted:
        layouts.append((every, (), True))
    counts = (True, False) if family == "panel" else (not uncounted,)
    groups = (False, True) if family == "panel" else (False,)
    for (absorbed, dummies, constant), count, debiased, grouped in itertools.product(
        layouts, counts, (True, False), groups
    ):
        yield Choice(
            absorbed=absorbed,
            dummies=dummies,
            constant=constant,
            debiased=debiased,
            count_effects=count,
            group_debias=grouped,
        )


def parameters(choice: Choice, sizes: tuple[int, ...], k: int) -> tuple[int, int]:
    """Return K, the columns of regressors in all, and e, the parameters of the absorbed effects beside them."""
    columns = k + int(choice.constant) + sum(sizes[i] - 1 for i in choice.dummies)
    absorbed = [sizes[i] for i in choice.absorbed]
    e = sum(absorbed) - max(len(absorbed) - 1, 0) - int(choice.constant and bool(absorbed))
    return columns, e


def agrees(asked: SmallSample, given: list[float]) -> bool:
    """Say whether two sets of factors are the same."""
    wanted = [asked.k_factor * g for g in asked.g_factors]
    return len(wanted) == len(given) and bool(np.allclose(given, wanted, rtol=RTOL, atol=0))


def choose(
    vcov: str,
    asked: SmallSample,
    *,
    n: float,
    k: int,
    sizes: tuple[int, ...],
    nested: tuple[bool, ...],
    uncounted: bool,
    clusters: tuple[int, ...],
    family: Family,
) -> Choice | None:
    """Return the plainest options whose factor is the one asked for, or ``None``."""
    for choice in choices(sizes, nested, uncounted, family):
        columns, e = parameters(choice, sizes, k)
        if agrees(asked, factors(vcov, n, columns, e, clusters, choice, family)):
            return choice
    return None
