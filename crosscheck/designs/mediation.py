"""How much of an effect runs through a mediator?

Three regressions with the same controls and fixed effects (Baron and Kenny 1986): total (y on treatment: c), mediator
(m on treatment: a), direct (y on treatment and mediator: c', b). Indirect effect a b; for least squares on the same
rows c = c' + a b exactly. Standard errors of a b by the delta method:

========  =============================================  ======================
Sobel     sqrt(b^2 s_a^2 + a^2 s_b^2)                    Sobel (1982)
Aroian    sqrt(b^2 s_a^2 + a^2 s_b^2 + s_a^2 s_b^2)      Aroian (1947)
Goodman   sqrt(b^2 s_a^2 + a^2 s_b^2 - s_a^2 s_b^2)      Goodman (1960); NaN where negative
========  =============================================  ======================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import Ssc
from crosscheck.designs.absorb import Absorber, squeezed
from crosscheck.designs.panel import Covariance, Fit, Panel, covariance, fit
from crosscheck.errors import DataError

Real = NDArray[np.float64]

BATCH = 64
SAFE = 1e-7
CANCELLED = 1e-12
"""Of the largest effect: a total below that is the rounding of its parts, and a proportion of it is noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mediation:
    """Effects and the three regressions they come from.

    ``identity_gap`` is total - (direct + indirect) over the largest of them in absolute value.
    """

    total_fit: Fit
    mediator_fit: Fit
    direct_fit: Fit
    total_vcov: Covariance
    mediator_vcov: Covariance
    direct_vcov: Covariance
    total: float
    direct: float
    indirect: float
    a: float
    b: float
    se_a: float
    se_b: float

    @property
    def proportion(self) -> float:
        """Indirect over total effect; not a number where the parts cancel to a total of zero, but for rounding."""
        biggest = max(abs(self.total), abs(self.direct), abs(self.indirect))
        return self.indirect / self.total if abs(self.total) > CANCELLED * biggest else math.nan

    @property
    def identity_gap(self) -> float:
        """Return what the decomposition leaves, relative to its largest part."""
        scale = max(abs(self.total), abs(self.direct), abs(self.indirect))
        return (self.total - (self.direct + self.indirect)) / scale if scale else 0.0

    def std_error(self, formula: str = "sobel") -> float:
        """Return the standard error of the indirect effect: ``sobel``, ``aroian`` or ``goodman``."""
        first = (self.b * self.se_a) ** 2 + (self.a * self.se_b) ** 2
        second = {"sobel": 0.0, "aroian": 1.0, "goodman": -1.0}[formula] * (self.se_a * self.se_b) ** 2
        return math.sqrt(first + second) if first + second >= 0 else math.nan


def mediate(panel: Panel, mediator: Real, treatment: str, name: str, vcov: str, ssc: Ssc) -> Mediation:
    """Return total, direct and indirect effects.

    Parameters
    ----------
    panel : Panel
        The regression of the total effect.
    mediator : ndarray, shape (n,)
    treatment, name : str
        Names of treatment and mediator.
    vcov : str
    ssc : Ssc

    Raises
    ------
    DataError
        Where treatment or mediator is collinear, so that an effect is not identified.
    """
    fits = _three(panel, mediator, name)
    if any(f.dropped != fits[0].dropped for f in fits):
        raise DataError("the three regressions do not keep the same controls", hint="drop collinear controls")
    vcovs = tuple(covariance(f, vcov, ssc) for f in fits)
    total, first, direct = fits
    at, bt = first.index(treatment), direct.index(name)
    return Mediation(
        total_fit=total, mediator_fit=first, direct_fit=direct,
        total_vcov=vcovs[0], mediator_vcov=vcovs[1], direct_vcov=vcovs[2],
        total=float(total.coef[total.index(treatment)]),
        direct=float(direct.coef[direct.index(treatment)]),
        indirect=float(first.coef[at] * direct.coef[bt]),
        a=float(first.coef[at]), b=float(direct.coef[bt]),
        se_a=float(vcovs[1].std_errors[at]), se_b=float(vcovs[2].std_errors[bt]),
    )  # fmt: skip


def _three(panel: Panel, mediator: Real, name: str) -> tuple[Fit, Fit, Fit]:
    both = replace(panel, x=np.column_stack([mediator, panel.x]), names=(name, *panel.names))
    return fit(panel), fit(replace(panel, y=mediator)), fit(both)


def bootstrap(
    panel: Panel,
    mediator: Real,
    treatment: str,
    name: str,
    cluster: NDArray[np.int64],
    counts: NDArray[np.int8],
    progress: Callable[[int, int], None] | None = None,
) -> Real:
    """Return total, direct and indirect effects of each draw of clusters, shape (draws, 3); NaN where unidentified.

    A cluster drawn twice counts twice. Where a unit's effect is absorbed, its copies share it: that changes no
    coefficient, since copies are alike.

    Parameters
    ----------
    cluster : codes, shape (n,)
    counts : ndarray, shape (draws, clusters)
        How often each cluster is drawn.
    """
    codes = squeezed(cluster)
    own = np.ones(codes.size) if panel.weights is None else panel.weights
    out = _batches(panel, mediator, treatment, codes, counts)
    slow = np.flatnonzero(np.isnan(out[:, 0]))
    for number in slow:
        row = counts[number]
        weights = own * row[codes]
        rows = weights > 0
        sample = replace(panel, weights=weights).take(rows)
        total, first, direct = _three(sample, mediator[rows], name)
        if treatment in total.names and treatment in first.names and {treatment, name} <= set(direct.names):
            a, b = first.coef[first.index(treatment)], direct.coef[direct.index(name)]
            out[number] = (total.coef[total.index(treatment)], direct.coef[direct.index(treatment)], a * b)
        if progress is not None:
            progress(int(number) + 1, counts.shape[0])
    return out


def _batches(panel: Panel, mediator: Real, treatment: str, codes: NDArray[np.int64], counts: NDArray[np.int8]) -> Real:
    """Return the effects of draws by stacked QR decompositions, shape (draws, 3); NaN where that is not safe.

    Where the largest effect is nested in the clusters, a draw's weights are constant within its levels, so that the
    effect is swept out once for all draws; the other effects' dummies stay as columns. A draw whose columns are near
    collinear is left to the caller.
    """
    out = np.full((counts.shape[0], 3), np.nan)
    if panel.weights is not None or treatment not in panel.names:
        return out
    swept = np.column_stack([panel.x, mediator, panel.y])
    basis = np.ones((codes.size, 1))
    if panel.effects:
        absorber = Absorber(tuple(panel.effects.values()))
        assert absorber.first is not None
        first = absorber.first.codes
        if np.unique(first * (int(codes.max()) + 1) + codes).size != absorber.first.size:
            return out
        swept, basis = absorber.halves(swept)
    size = np.sqrt((swept**2).sum(axis=0))
    if (size == 0).any():
        return out
    columns = np.column_stack([basis, swept / size])
    at, k = basis.shape[1] + panel.names.index(treatment), columns.shape[1] - 2
    for start in range(0, counts.shape[0], BATCH):
        rows = slice(start, start + BATCH)
        root = np.sqrt(counts[rows].astype(np.float64))[:, codes]
        r: Real = np.asarray(np.linalg.qr(root[:, :, None] * columns, mode="r"), dtype=np.float64)
        whole = np.sqrt((r**2).sum(axis=1))[:, : k + 1]
        pivots = np.abs(np.diagonal(r, axis1=1, axis2=2))[:, : k + 1]
        safe = (pivots > SAFE * whole).all(axis=1)
        if not safe.any():
            continue
        r = r[safe]
        both = np.linalg.solve(r[:, :k, :k], r[:, :k, k:])
        direct = np.linalg.solve(r[:, : k + 1, : k + 1], r[:, : k + 1, [k + 1]])[:, :, 0]
        scale = size[-1] / size[panel.names.index(treatment)]
        found = np.column_stack([both[:, at, 1] * scale, direct[:, at] * scale, both[:, at, 0] * direct[:, k] * scale])
        out[np.arange(counts.shape[0])[rows][safe]] = found
    return out
