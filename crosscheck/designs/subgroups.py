"""Does an effect differ between groups of units?

Separate regressions by group equal one regression in which every regressor and every fixed effect is interacted with
the group. That model adds the joint covariance of the groups' effects, and with it tests of equality: Wald (F and chi2)
for all groups, z for each pair. Its small-sample factor counts the parameters of the interacted model as fixest does:
N, K = sum of coefficients + levels of the interacted effects - (effects - 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from crosscheck.conventions import Ssc
from crosscheck.designs.absorb import Codes, squeezed
from crosscheck.designs.panel import Covariance, Fit, Panel, covariance, fit
from crosscheck.errors import DataError

Real = NDArray[np.float64]
SINGULAR = 1e-12
Pair = tuple[int, int, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subgroups:
    """Effects by group and tests of their equality.

    Attributes
    ----------
    fits, vcovs : tuple
        Separate regressions, one for each group.
    pooled : Fit
        The interacted model.
    effects : ndarray, shape (groups,)
    joint : ndarray, shape (groups, groups)
        Their covariance in the interacted model.
    wald_f, wald_f_p, wald_chi2, wald_chi2_p, df1, df
        F with (df1, df) degrees of freedom, chi2 = df1 F.
    pairs : tuple of (first, second, difference, standard error, z, p)
    """

    fits: tuple[Fit, ...]
    vcovs: tuple[Covariance, ...]
    pooled: Fit
    effects: Real
    joint: Real
    wald_f: float
    wald_f_p: float
    wald_chi2: float
    wald_chi2_p: float
    df1: int
    df: float
    pairs: tuple[Pair, ...]


def interact(panel: Panel, group: Codes, name: str = "group") -> Panel:
    """Return the panel with every regressor and fixed effect interacted with the group; names are ``g:regressor``.

    ``name`` is the group's column, by which an effect counts as nested in clusters of that column.
    """
    size = int(group.max()) + 1
    kept = [(g, j) for g in range(size) for j in range(panel.x.shape[1])]
    x = np.column_stack([np.where(group == g, panel.x[:, j], 0.0) for g, j in kept])
    names = tuple(f"{g}:{panel.names[j]}" for g, j in kept)
    effects = {(name, *key): squeezed(codes * size + group) for key, codes in panel.effects.items()}
    if not effects:
        effects = {(name,): group}
    return replace(panel, x=x, names=names, effects=effects)


def _distance(gap: Real, matrix: Real) -> float:
    """Return gap' matrix^-1 gap; NaN where differences have no variance of their own, as where groups fit perfectly."""
    sd = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    if not (sd > 0).all():
        return math.nan
    scaled = matrix / np.outer(sd, sd)
    if np.linalg.eigvalsh(scaled)[0] < SINGULAR:
        return math.nan
    return float(gap / sd @ np.linalg.solve(scaled, gap / sd))


def subgroups(panel: Panel, group: Codes, treatment: str, vcov: str, ssc: Ssc, *, name: str = "group") -> Subgroups:
    """Estimate by group and test whether the effects are equal.

    Parameters
    ----------
    panel : Panel
    group : codes from 0 without gaps, shape (n,)
    treatment : str
    vcov : str
    ssc : Ssc
    name : str
        Of the group's column.

    Raises
    ------
    DataError
        Where there is one group only, or the treatment does not vary in a group.
    """
    size = int(group.max()) + 1
    if size < 2:
        raise DataError("there is one group only, and nothing to compare")
    fits = tuple(fit(panel.take(group == g)) for g in range(size))
    for g, f in enumerate(fits):
        if treatment in f.dropped:
            raise DataError(f"{treatment!r} does not vary in group {g + 1} beside the fixed effects")
    vcovs = tuple(covariance(f, vcov, ssc) for f in fits)
    pooled = fit(interact(panel, group, name))
    joint = covariance(pooled, vcov, ssc)
    at = [pooled.index(f"{g}:{treatment}") for g in range(size)]
    effects, matrix = pooled.coef[at], joint.matrix[np.ix_(at, at)]
    contrast = np.column_stack([np.eye(size - 1), -np.ones(size - 1)])
    gap = contrast @ effects
    chi2 = _distance(gap, contrast @ matrix @ contrast.T)
    df1, df = size - 1, joint.small.df_t
    pairs = []
    for first in range(size):
        for second in range(first + 1, size):
            difference = float(effects[first] - effects[second])
            variance = matrix[first, first] + matrix[second, second] - 2 * matrix[first, second]
            z = difference / math.sqrt(variance)
            pairs.append((first, second, difference, math.sqrt(variance), z, math.erfc(abs(z) / math.sqrt(2))))
    return Subgroups(
        fits=fits, vcovs=vcovs, pooled=pooled, effects=effects, joint=matrix,
        wald_f=chi2 / df1, wald_f_p=float(special.fdtrc(df1, df, chi2 / df1)),
        wald_chi2=chi2, wald_chi2_p=float(special.chdtrc(df1, chi2)), df1=df1, df=df, pairs=tuple(pairs),
    )  # fmt: skip
