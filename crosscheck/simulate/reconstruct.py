"""Is there a data set that gives every printed number at once, and what does one look like?

Printed numbers are intervals, smooth functions of the data (:mod:`crosscheck.simulate.targets`). From a plausible
start, each step moves the data as little as the linearised intervals allow (a least-distance problem in a few hundred
dual variables rather than in thousands of data). Redundant targets, which the algebra of least squares has many of, do
no harm: an interval that others imply is simply not active.

A success is a constructive proof that the numbers are jointly possible. A failure proves nothing; it names the targets
that stay apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, special

from crosscheck.simulate.targets import Achieved, Array, Moments, Natural, Problem, achieve, natural, units

Progress = Callable[[int, float, str], None]
LONGEST_STEP = 0.7
STEADY = 1e-13
SOLVED = 1e-20
CLEAR_OF_BOUNDS = 1e-6


def quantile_match(latent: Array, moments: Moments) -> Array:
    """Give a latent variable the printed mean, standard deviation, minimum and maximum, keeping its ranks.

    The marginal is bounded: low + (high - low) / (1 + exp(-(a + b z))), z normal (Johnson 1949, system SB). Ties keep
    their order.
    """
    n = latent.size
    mean, sd = ((t.low + t.high) / 2 for t in (moments.mean, moments.std_dev))
    low, high = moments.low, moments.high
    order = np.argsort(latent, kind="stable")
    ranks = np.empty(n)
    ranks[order] = np.arange(n)
    z = special.ndtri((ranks + 0.5) / n)

    def values(theta: Array) -> Array:
        x = low + (high - low) * special.expit(theta[0] + np.exp(theta[1]) * z)
        x[order[0]], x[order[-1]] = low, high
        return np.asarray(x)

    def gap(theta: Array) -> list[float]:
        x = values(theta)
        return [(x.mean() - mean) / sd, (x.std(ddof=1) - sd) / sd]

    centre = (mean - low) / (high - low)
    solved = optimize.least_squares(gap, [special.logit(centre), 0.0])
    return values(solved.x)


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """A data set and what it gives.

    Attributes
    ----------
    data : ndarray, shape (n, v)
    achieved : Achieved
    iterations : int
    """

    data: Array
    achieved: Achieved
    iterations: int

    @property
    def worst(self) -> float:
        """How far the worst target is from the middle of its interval in half widths (at most 1: inside)."""
        return float(self.achieved.off.max())

    @property
    def feasible(self) -> bool:
        """Whether every printed number is met."""
        return self.worst <= 1

    @property
    def unmet(self) -> tuple[tuple[str, float], ...]:
        """Labels outside their interval, with what is achieved; the farthest first."""
        off = self.achieved.off
        far = [int(i) for i in np.argsort(-off) if off[i] > 1]
        return tuple((self.achieved.labels[i], float(self.achieved.values[i])) for i in far)


def reconstruct(
    problem: Problem,
    start: Array,
    *,
    frozen: Sequence[str] = (),
    inside: float = 0.9,
    max_iterations: int = 400,
    progress: Progress = lambda *_: None,
) -> Reconstruction:
    """Find a data set inside every printed interval, near a start.

    Parameters
    ----------
    problem : Problem
    start : ndarray, shape (n, v)
        Each column within its printed minimum and maximum, both attained.
    frozen : sequence of str
        Variables that stay as they are.
    inside : float
        Share of each interval, about its middle, that is aimed at.
    max_iterations : int
    progress : callable
        Takes the iteration, the worst distance in half widths, and its label.

    Returns
    -------
    Reconstruction
        Targets with an ``exact`` value are met to the precision of doubles where the others could be met.

    Raises
    ------
    ValueError
        Where the start leaves the printed bounds.
    """
    space = _Space.about(problem, start, frozen)
    u = space.inverse(start)
    state = achieve(problem, space.forward(u))
    unit = units(problem, state)
    damping, used = 1e-1, 0
    for used in range(max_iterations):
        off = state.off
        worst = int(off.argmax())
        progress(used, float(off[worst]), state.labels[worst])
        scaled = natural(state, unit)
        bounds = _aims(scaled, state.rounded, inside)
        before = _merit(scaled.values, bounds)
        if before < SOLVED:
            break
        jacobian = space.chain(scaled.jacobian, u)
        gram = jacobian @ jacobian.T
        floor = float(np.trace(gram)) / len(off)
        for _ in range(30):
            dual = _least_distance(gram, scaled.values, bounds, damping * floor)
            step = -jacobian.T @ dual
            longest = float(np.abs(step).max())
            proposal = u + (step * min(1.0, LONGEST_STEP / (longest + 1e-300))).reshape(u.shape)
            tried = achieve(problem, space.forward(proposal))
            if _merit(natural(tried, unit).values, bounds) < before:
                damping = max(damping / 4, 1e-14)
                break
            damping *= 6
        else:
            break
        u, state = proposal, tried
    if np.isfinite(state.exact).any():
        u, state = _pin(problem, space, u, state)
    return Reconstruction(space.forward(u), state, used)


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    """Unbounded coordinates of bounded data: logits between the bounds; each column's two ends stay where they are."""

    low: Array
    high: Array
    free: NDArray[np.bool_]
    start: Array

    @classmethod
    def about(cls, problem: Problem, start: Array, frozen: Sequence[str]) -> _Space:
        low = np.array([m.low for m in problem.moments.values()])
        high = np.array([m.high for m in problem.moments.values()])
        if np.any(start.min(axis=0) != low) or np.any(start.max(axis=0) != high):
            raise ValueError("each column of the start attains its printed minimum and maximum")
        free = np.ones_like(start, dtype=bool)
        for j in range(start.shape[1]):
            free[start[:, j].argmin(), j] = free[start[:, j].argmax(), j] = False
        free[:, [name in frozen for name in problem.names]] = False
        return cls(low, high, free, start)

    def inverse(self, data: Array) -> Array:
        share = (data - self.low) / (self.high - self.low)
        return np.asarray(special.logit(np.clip(share, 1e-6, 1 - 1e-6)))

    def forward(self, u: Array) -> Array:
        return np.where(self.free, self.low + (self.high - self.low) * special.expit(u), self.start)

    def chain(self, jacobian: Array, u: Array) -> Array:
        share = special.expit(u)
        slope = np.where(self.free, (self.high - self.low) * share * (1 - share), 0.0)
        return np.asarray((jacobian * slope).reshape(jacobian.shape[0], -1))


def _aims(state: Natural, rounded: NDArray[np.bool_], inside: float) -> tuple[Array, Array]:
    """Return the bounds that are aimed at: the middle share of each interval of rounding."""
    span = state.high - state.low
    margin = np.where(np.isfinite(span) & rounded, span * (1 - inside) / 2, CLEAR_OF_BOUNDS)
    pinned = np.isfinite(state.exact)
    low, high = (np.where(pinned, state.exact, edge) for edge in (state.low + margin, state.high - margin))
    return low, high


def _merit(values: Array, bounds: tuple[Array, Array]) -> float:
    beyond = np.maximum(0.0, np.maximum(bounds[0] - values, values - bounds[1]))
    return float(beyond @ beyond)


def _least_distance(gram: Array, values: Array, bounds: tuple[Array, Array], damping: float) -> Array:
    """Solve min |d|^2 / 2 + |s|^2 / (2 damping) with low <= values + J d + s <= high; return y with d = -J'y.

    With gram + damping = L L', it is min |x|^2 with low <= values + L x <= high, x = -L'y: a least-distance problem,
    solved as nonnegative least squares (Lawson and Hanson 1974, ch. 23).
    """
    factor = np.linalg.cholesky(gram + damping * np.eye(len(values)))
    low, high = bounds[0] - values, bounds[1] - values
    below, above = np.isfinite(low), np.isfinite(high)
    system = np.vstack([np.hstack([factor[below].T, -factor[above].T]), np.concatenate([low[below], -high[above]])])
    wanted = np.zeros(len(values) + 1)
    wanted[-1] = 1.0
    weights, _ = optimize.nnls(system, wanted, maxiter=20 * system.shape[1])
    rest = system @ weights - wanted
    return np.asarray(linalg.solve_triangular(factor.T, rest[:-1] / rest[-1], lower=False))


def _pin(problem: Problem, space: _Space, u: Array, state: Achieved) -> tuple[Array, Achieved]:
    """Meet the exact targets by shortest steps, which barely move the others."""
    chosen = np.flatnonzero(np.isfinite(state.exact))
    for _ in range(30):
        gap = (state.values - state.exact)[chosen]
        if np.all(np.abs(gap) <= STEADY * np.abs(state.exact[chosen])):
            break
        jacobian = space.chain(state.jacobian[chosen], u)
        size = np.sqrt((jacobian**2).sum(axis=1))
        step = -np.linalg.lstsq(jacobian / size[:, None], gap / size, rcond=None)[0]
        u = u + step.reshape(u.shape)
        state = achieve(problem, space.forward(u))
    return u, state
