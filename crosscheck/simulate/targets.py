"""Which printed numbers must a data set give, how far is one from giving them, and in which direction do they lie?

Printed tables constrain the data behind them: moments, and for each regression its coefficients, standard errors and
R2. All of these are smooth functions of the data. For OLS with design X (n x k), outcome y, coefficients b, residuals
e, G = (X'X)^-1 and A = X G, with d denoting differentials:

    d b_j   = A_j'dy + sum_k (G_jk e - b_k A_j)'dX_k
    d RSS   = 2 e'dy - 2 sum_k b_k e'dX_k
    d G_jj  = -2 sum_k G_jk A_j'dX_k
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]
CONSTANT = "const"
LOG_UNIT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A number to be met: it lies in [low, high].

    Attributes
    ----------
    low, high : float
        Infinite where there is no bound.
    exact : float or None
        The value that it is pinned to.
    rounded : bool
        Whether the interval is one of rounding, whose middle is aimed at. A bound, such as the one that stars set for
        a t statistic, is no more than a bound.
    """

    low: float
    high: float
    exact: float | None = None
    rounded: bool = True

    @classmethod
    def near(cls, value: float, half: float) -> Target:
        """Return the interval of numbers within ``half`` of a value."""
        return cls(low=value - half, high=value + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Printed descriptives of a variable; ``low`` and ``high`` are taken exactly, at one row each."""

    mean: Target
    std_dev: Target
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One printed column.

    Attributes
    ----------
    label : str
    outcome : str
        A variable that is to be found.
    regressors : tuple of str
        Variables, or names in ``fixed``.
    dummies : ndarray, shape (n, q)
        Fixed columns after the regressors: the constant first (its coefficient is ``const``), then fixed effects.
    rows : ndarray of bool, shape (n,), or None
        The sample.
    estimate, std_error, statistic : mapping of term to Target
    r2, adj_r2 : Target or None
    winsor : float
        Share at either end that is replaced by the nearest value kept (Stata's ``_pctile``), in all variables; 0: none.
    """

    label: str
    outcome: str
    regressors: tuple[str, ...]
    dummies: Array
    rows: Rows | None = None
    estimate: Mapping[str, Target] = field(default_factory=dict)
    std_error: Mapping[str, Target] = field(default_factory=dict)
    statistic: Mapping[str, Target] = field(default_factory=dict)
    r2: Target | None = None
    adj_r2: Target | None = None
    winsor: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is printed, and what is known of the data beforehand.

    ``fixed`` holds columns that are given, such as the treatment; ``moments`` those to be found, in a fixed order.
    """

    moments: Mapping[str, Moments]
    fixed: Mapping[str, Array]
    regressions: tuple[Regression, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Variables to be found."""
        return tuple(self.moments)


@dataclass(frozen=True, slots=True, eq=False)
class Achieved:
    """What a data set gives for each target.

    Attributes
    ----------
    labels : tuple of str, length m
        Such as ``t3c4 b BDPZs``, ``t3c4 se const``, ``t3c4 r2``, ``mean NQP``, ``sd NQP``.
    values, low, high : ndarray, shape (m,)
    exact : ndarray, shape (m,)
        NaN where a target is not pinned.
    rounded : ndarray of bool, shape (m,)
    jacobian : ndarray, shape (m, n, v)
        Of the values in the data.
    """

    labels: tuple[str, ...]
    values: Array
    low: Array
    high: Array
    exact: Array
    rounded: Rows
    jacobian: Array

    @property
    def off(self) -> Array:
        """Distance from the middle of each interval in half widths (1: the edge); beyond a lone bound, in its size."""
        span = (self.high - self.low) / 2
        finite = np.isfinite(span)
        middle = np.where(finite, (self.low + self.high) / 2, 0.0)
        inside = np.abs(self.values - middle) / np.where(finite, span, 1.0)
        bound = np.where(np.isfinite(self.low), self.low, self.high)
        size = np.maximum(np.abs(np.where(np.isfinite(bound), bound, 0.0)), 1e-300)
        beyond = np.maximum(self.low - self.values, self.values - self.high)
        return np.asarray(np.where(finite, inside, np.where(beyond > 0, 1 + beyond / size, 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Natural:
    """Targets on scales on which they are nearly linear and comparable.

    Standard errors, standard deviations and 1 - R2 as logarithms in units of 5%; coefficients in units of their printed
    standard error; means in units of the printed standard deviation.
    """

    values: Array
    low: Array
    high: Array
    exact: Array
    jacobian: Array


def natural(state: Achieved, unit: Array) -> Natural:
    """Bring values, bounds and gradients to their natural scales; ``unit`` comes from :func:`units`."""
    kind = np.array([_kind(label) for label in state.labels])
    falling, rising = kind == "r2", kind == "log"

    def scaled(x: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            out = np.where(falling, -np.log(np.maximum(1 - x, 0.0)), x)
            out = np.where(rising, np.log(np.maximum(x, 0.0)), out)
        return np.asarray(out / unit)

    slope = np.where(falling, 1 / (1 - state.values), np.where(rising, 1 / state.values, 1.0)) / unit
    low, high, exact = scaled(state.low), scaled(state.high), scaled(state.exact)
    return Natural(scaled(state.values), low, high, exact, state.jacobian * slope[:, None, None])


def units(problem: Problem, state: Achieved) -> Array:
    """Return the unit of each target's natural scale, shape (m,)."""
    sizes = {f"mean {name}": m.std_dev.high for name, m in problem.moments.items()}
    for regression in problem.regressions:
        for term, wanted in regression.estimate.items():
            error = regression.std_error.get(term)
            size = max(abs(wanted.low), abs(wanted.high)) if error is None else error.high
            sizes[f"{regression.label} b {term}"] = size
    fallback = {"log": LOG_UNIT, "r2": LOG_UNIT, "t": 1.0, "b": 1.0}
    return np.array([sizes.get(label, fallback[_kind(label)]) for label in state.labels])


def _kind(label: str) -> str:
    words = label.split(" ")
    if words[-1] in ("r2", "adj_r2"):
        return "r2"
    if words[0] == "sd" or "se" in words[1:2]:
        return "log"
    return "t" if words[1:2] == ["t"] else "b"


Row = tuple[str, float, Target, Array]


def achieve(problem: Problem, data: Array) -> Achieved:
    """Evaluate all targets and their gradients at a data set of shape (n, v)."""
    position = {name: j for j, name in enumerate(problem.names)}
    rows: list[Row] = []
    for name, moments in problem.moments.items():
        rows.extend(_moment_rows(name, moments, data, position[name]))
    for regression in problem.regressions:
        rows.extend(_regression_rows(problem, regression, data, position))
    return Achieved(
        labels=tuple(label for label, *_ in rows),
        values=np.array([value for _, value, _, _ in rows]),
        low=np.array([t.low for _, _, t, _ in rows]),
        high=np.array([t.high for _, _, t, _ in rows]),
        exact=np.array([math.nan if t.exact is None else t.exact for _, _, t, _ in rows]),
        rounded=np.array([t.rounded for _, _, t, _ in rows]),
        jacobian=np.array([gradient for *_, gradient in rows]),
    )


def _moment_rows(name: str, moments: Moments, data: Array, j: int) -> list[Row]:
    n, x = data.shape[0], data[:, j]
    of_mean, of_spread = np.zeros_like(data), np.zeros_like(data)
    of_mean[:, j] = 1 / n
    spread = float(x.std(ddof=1))
    of_spread[:, j] = (x - x.mean()) / ((n - 1) * spread)
    return [
        (f"mean {name}", float(x.mean()), moments.mean, of_mean),
        (f"sd {name}", spread, moments.std_dev, of_spread),
    ]


def winsor_source(x: Array, share: float) -> NDArray[np.intp]:
    """Return the row whose value each row takes when a share at either end is winsorized (Stata's ``_pctile``).

    With n p no whole number, the p-quantile is the value of rank ceil(n p), so that winsorized values are copies.

    Raises
    ------
    ValueError
        Where n p is a whole number: the quantile is then a mean of two values.
    """
    n = x.size
    if share and (n * share == int(n * share)):
        raise ValueError(f"{share} of {n} rows is a whole number of rows: the quantile is no single value")
    order = np.argsort(x, kind="stable")
    source = np.arange(n)
    if share:
        cut = math.ceil(n * share) - 1
        source[order[:cut]] = order[cut]
        source[order[n - cut :]] = order[n - 1 - cut]
    return source


def _regression_rows(problem: Problem, regression: Regression, data: Array, position: Mapping[str, int]) -> list[Row]:
    ids = np.arange(data.shape[0]) if regression.rows is None else np.flatnonzero(regression.rows)
    moving = {q: position[x] for q, x in enumerate(regression.regressors) if x in position}
    outcome = position[regression.outcome]
    source = {j: winsor_source(data[:, j], regression.winsor)[ids] for j in {outcome, *moving.values()}}
    columns = [
        data[source[position[x]], position[x]] if x in position else problem.fixed[x][ids]
        for x in regression.regressors
    ]
    design = np.column_stack([*columns, regression.dummies[ids]])
    scale = np.sqrt((design**2).mean(axis=0))
    design = design / scale
    y = data[source[outcome], outcome]
    inverse = np.linalg.inv(design.T @ design)
    b = inverse @ (design.T @ y)
    e = y - design @ b
    df = len(ids) - design.shape[1]
    rss = float(e @ e)
    centred = y - y.mean()
    sst = float(centred @ centred)
    terms = {name: q for q, name in enumerate((*regression.regressors, CONSTANT))}

    def spread(of_y: Array | float, of_x: Callable[[int], Array]) -> Array:
        gradient = np.zeros_like(data)
        np.add.at(gradient[:, outcome], source[outcome], of_y)
        for q, j in moving.items():
            np.add.at(gradient[:, j], source[j], of_x(q) / scale[q])
        return gradient

    d_rss = spread(2 * e, lambda q: -2 * b[q] * e)
    out: list[Row] = []
    wanted = dict.fromkeys((*regression.estimate, *regression.std_error, *regression.statistic))
    for term in wanted:
        j = terms[term]
        a, row, value = design @ inverse[:, j], inverse[j], float(b[j])
        d_b = spread(a, lambda q, a=a, row=row: row[q] * e - b[q] * a)  # type: ignore[misc]
        d_g = spread(0.0, lambda q, a=a, row=row: -2 * row[q] * a)  # type: ignore[misc]
        g = float(inverse[j, j])
        se = math.sqrt(rss / df * g)
        d_se = (g * d_rss / df + rss / df * d_g) / (2 * se)
        for mark, given, number, gradient in (
            ("b", regression.estimate, value / scale[j], d_b / scale[j]),
            ("se", regression.std_error, se / scale[j], d_se / scale[j]),
            ("t", regression.statistic, value / se, d_b / se - value / se**2 * d_se),
        ):
            if term in given:
                out.append((f"{regression.label} {mark} {term}", float(number), given[term], gradient))
    if regression.r2 is None and regression.adj_r2 is None:
        return out
    d_sst = spread(2 * centred, lambda q: np.zeros(len(ids)))
    d_r2, lost = -d_rss / sst + rss / sst**2 * d_sst, (len(ids) - 1) / df
    if regression.r2 is not None:
        out.append((f"{regression.label} r2", 1 - rss / sst, regression.r2, d_r2))
    if regression.adj_r2 is not None:
        out.append((f"{regression.label} adj_r2", 1 - lost * rss / sst, regression.adj_r2, lost * d_r2))
    return out
