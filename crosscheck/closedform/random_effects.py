"""How large are the variance components, and what does generalised least squares give with them?

y_it = z_it b + mu_i + lambda_t + nu_it (Baltagi 2013, chapters 2, 3 and 9). The components solve: quadratic forms of
residuals equal their exact expectations, so that balanced and unbalanced panels need one formula. Residuals are those
of the within and between regressions (Swamy and Arora 1972; Baltagi and Chang 1994), of pooled least squares (Wallace
and Hussain 1969), or of the within coefficients (Amemiya 1971). Nerlove (1971) takes the variance of the estimated
effects. A negative component is set to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.closedform.absorb import Absorber, Groups, LongArray, long
from crosscheck.closedform.linear import lengths, orthogonalise
from crosscheck.errors import DataError, Unsupported

Method = Literal["swar", "walhus", "amemiya", "nerlove"]
Effect = Literal["individual", "time", "twoways"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """A panel: outcome (n,), regressors with the intercept first (n, k), and its one or two random effects."""

    y: LongArray
    z: LongArray
    effects: tuple[Groups, ...]

    @property
    def n(self) -> int:
        """Observations."""
        return int(self.y.size)

    @property
    def balanced(self) -> bool:
        """Whether every level of an effect has as many observations as any other."""
        return all(np.unique(np.bincount(g.codes)).size == 1 for g in self.effects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Variances of the idiosyncratic error and of each effect."""

    nu: float
    effects: tuple[float, ...]


def _means(groups: Groups, values: LongArray) -> LongArray:
    return np.asarray(groups.means(values, np.ones(values.shape[0], dtype=np.longdouble))[groups.codes])


def _sums(groups: Groups, values: LongArray) -> LongArray:
    return np.asarray(groups.sums(values)[groups.codes])


def _trace(inverse: LongArray, left: LongArray, right: LongArray) -> float:
    """tr(inverse left' right)."""
    return float(np.sum(inverse * (left.T @ right).T))


def variance_components(panel: Panel, method: Method) -> Components:
    """Estimate the variance components.

    Parameters
    ----------
    panel : Panel
    method : str
        ``swar``, ``walhus``, ``amemiya`` or ``nerlove``.

    Raises
    ------
    Unsupported
        For Amemiya with regressors that the within transformation removes, and Nerlove with two effects.
    DataError
        Where the panel does not identify the components.
    """
    absorber = Absorber([g.codes for g in panel.effects], np.ones(panel.n, dtype=np.longdouble))
    swept = absorber.sweep(np.column_stack([panel.y, panel.z[:, 1:]]))
    scale = lengths(panel.z[:, 1:], absorber.weights)
    within = orthogonalise(swept[:, 1:], scale)
    beta = within.coefficients(swept[:, 0])
    kept = list(within.kept)
    left = swept[:, 0] - swept[:, [j + 1 for j in kept]] @ beta
    ssr, rank = float(left @ left), sum(absorber.sizes) - len(absorber.sizes) + 1
    if method == "nerlove":
        return _nerlove(panel, panel.y - panel.z[:, 1:][:, kept] @ beta, ssr)
    if method == "amemiya" and len(kept) < panel.z.shape[1] - 1:
        raise Unsupported("amemiya needs regressors that vary within every effect (never)")
    free = panel.n - rank - len(kept)
    size = 1 + len(panel.effects)
    expectation, quadratic = np.zeros((size, size)), np.zeros(size)
    if method == "walhus":
        _pooled_rows(panel, rank, expectation, quadratic)
    else:
        expectation[0, 0], quadratic[0] = free, ssr
        for row, own in enumerate(panel.effects, start=1):
            if method == "swar":
                expectation[row], quadratic[row] = _between_row(panel, own)
            else:
                residual = panel.y - panel.z[:, 1:] @ beta
                expectation[row], quadratic[row] = _within_row(panel, own, residual, within.inverse())
    if free <= 0 or np.linalg.matrix_rank(expectation) < size:
        raise DataError("the panel is too small for its variance components", hint="drop regressors")
    solved = np.maximum(np.linalg.solve(expectation, quadratic), 0.0)
    return Components(nu=float(solved[0]), effects=tuple(float(v) for v in solved[1:]))


def _between_row(panel: Panel, own: Groups) -> tuple[NDArray[np.float64], float]:
    """Expectation of the sum of squared residuals of group means: over observations, not over groups."""
    means = _means(own, np.column_stack([panel.y, panel.z]))
    basis = orthogonalise(means[:, 1:], lengths(panel.z, np.ones(panel.n, dtype=np.longdouble)))
    z = means[:, 1:][:, list(basis.kept)]
    left = means[:, 0] - z @ basis.coefficients(means[:, 0])
    inverse = basis.inverse()
    row = [float(own.size - len(basis.kept))]
    for g in panel.effects:
        total = panel.n if g is own else own.size
        row.append(total - _trace(inverse, z, _sums(g, z)))
    return np.array(row, dtype=np.float64), float(left @ left)


def _within_row(
    panel: Panel, own: Groups, residual: LongArray, inverse: LongArray
) -> tuple[NDArray[np.float64], float]:
    """Expectation for residuals of the within coefficients, centred."""
    means = _means(own, residual - residual.mean())
    x = _means(own, panel.z[:, 1:])
    x = x - x.mean(axis=0)
    row = [own.size - 1 + _trace(inverse, x, x)]
    for g in panel.effects:
        count = np.bincount(g.codes).astype(np.float64)
        row.append((panel.n if g is own else own.size) - float(count @ count) / panel.n)
    return np.array(row, dtype=np.float64), float(means @ means)


def _pooled_rows(panel: Panel, rank: int, expectation: NDArray[np.float64], quadratic: NDArray[np.float64]) -> None:
    """Fill the system for residuals of pooled least squares."""
    basis = orthogonalise(panel.z, lengths(panel.z, np.ones(panel.n, dtype=np.longdouble)))
    z = panel.z[:, list(basis.kept)]
    left = panel.y - z @ basis.coefficients(panel.y)
    left = left - z @ basis.coefficients(left)
    inverse = basis.inverse()
    absorber = Absorber([g.codes for g in panel.effects], np.ones(panel.n, dtype=np.longdouble))
    projected = [absorber.sweep(z), *(_means(g, z) for g in panel.effects)]
    residuals = [absorber.sweep(left[:, None])[:, 0], *(_means(g, left) for g in panel.effects)]
    spreads = [z, *(_sums(g, z) for g in panel.effects)]
    for row, (q, e) in enumerate(zip(projected, residuals, strict=True)):
        quadratic[row] = float(e @ e)
        inner = inverse @ (z.T @ q)
        for column, s in enumerate(spreads):
            total = _plain_trace(panel, rank, row, column)
            outer = inverse @ (z.T @ s)
            expectation[row, column] = total - 2 * _trace(inverse, q, s) + float(np.sum(inner * outer.T))


def _plain_trace(panel: Panel, rank: int, row: int, column: int) -> float:
    """tr(Q S): Q the within or a between projection, S the identity or an effect's covariance pattern."""
    if row == 0:
        return panel.n - rank if column == 0 else 0.0
    size = panel.effects[row - 1].size
    return float(panel.n if row == column else size)


def _nerlove(panel: Panel, residual: LongArray, ssr: float) -> Components:
    if len(panel.effects) > 1:
        raise Unsupported("nerlove with two effects is not worked out here (notimpl)")
    own = panel.effects[0]
    effects = own.means(residual, np.ones(panel.n, dtype=np.longdouble))
    share = np.bincount(own.codes) / panel.n
    centred = effects - share @ effects
    return Components(nu=ssr / panel.n, effects=(float(share @ centred**2) * own.size / (own.size - 1),))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transformed:
    """Outcome and regressors premultiplied by a root of the inverse covariance, scaled to variance nu.

    ``by_group`` says that the transformation only mixes observations of one unit or period, as robust covariances need.
    """

    y: LongArray
    z: LongArray
    by_group: bool


def transform(panel: Panel, components: Components) -> Transformed:
    """Make the errors spherical: partial demeaning, or a Cholesky root for two effects on an unbalanced panel.

    Raises
    ------
    DataError
        Where the idiosyncratic variance is zero.
    """
    if components.nu <= 0:
        raise DataError("the idiosyncratic variance is zero: the regressors fit every observation")
    data = np.column_stack([panel.y, panel.z])
    if len(panel.effects) == 1:
        out = data - _theta(panel.effects[0], components.effects[0] / components.nu)[:, None] * _means(
            panel.effects[0], data
        )
        return Transformed(y=out[:, 0], z=out[:, 1:], by_group=True)
    if panel.balanced:
        return _two_way(panel, components, data)
    covariance = np.eye(panel.n)
    for g, variance in zip(panel.effects, components.effects, strict=True):
        covariance += variance / components.nu * (g.codes[:, None] == g.codes[None, :])
    root = np.linalg.cholesky(covariance)
    out = long(np.linalg.solve(root, data.astype(np.float64)))
    return Transformed(y=out[:, 0], z=out[:, 1:], by_group=False)


def _theta(groups: Groups, ratio: float) -> LongArray:
    count = long(np.bincount(groups.codes))[groups.codes]
    return np.asarray(1 - 1 / np.sqrt(1 + count * ratio))


def _two_way(panel: Panel, components: Components, data: LongArray) -> Transformed:
    first, second = panel.effects
    a, b = (v / components.nu for v in components.effects)
    one, two = float(_theta(first, a)[0]), float(_theta(second, b)[0])
    t, n = panel.n / first.size, panel.n / second.size
    both = one + two - 1 + (1 + t * a + n * b) ** -0.5
    out = data - one * _means(first, data) - two * _means(second, data) + both * data.mean(axis=0)
    return Transformed(y=out[:, 0], z=out[:, 1:], by_group=True)


def panel_of(y: NDArray[np.float64], z: NDArray[np.float64], codes: Sequence[NDArray[np.int64]]) -> Panel:
    """Make a panel of arrays; ``z`` has the intercept first."""
    return Panel(y=long(y), z=long(z), effects=tuple(Groups.of(c) for c in codes))
