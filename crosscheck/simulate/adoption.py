"""What would difference-in-differences find where the effect of each cohort in each period is known?

Panels y_it = a_i + b_t + tau(g_i, t) 1{t >= g_i} + e_it with unit and period effects and errors that are normal, and
autocorrelated if wished. Without noise the outcome is exact, so that an estimator without bias returns the effects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.simulate.targets import Array

NEVER = 0
Effect = Callable[[int, int], float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdoptionPanel:
    """A balanced panel in unit-major order, and the effects that made it.

    Attributes
    ----------
    unit : ndarray of int, shape (n,)
        Code of the unit.
    period, cohort : ndarray of int, shape (n,)
        ``cohort`` is the first treated period of the row's unit, 0 for never.
    treated : ndarray, shape (n,)
        1 in treated rows.
    outcome, effect : ndarray, shape (n,)
    att : mapping of (cohort, period) to float
        Group-time effects of every treated cohort from its first treated period on.
    size : mapping of int to int
        Units of each treated cohort.
    """

    unit: NDArray[np.int64]
    period: NDArray[np.int64]
    cohort: NDArray[np.int64]
    treated: Array
    outcome: Array
    effect: Array
    att: Mapping[tuple[int, int], float]
    size: Mapping[int, int]


def adoption_panel(
    cohorts: Sequence[int],
    periods: Sequence[int],
    effect: Effect,
    *,
    seed: int,
    noise: float = 1.0,
    autocorrelation: float = 0.0,
    level: Sequence[float] | None = None,
    trend: Sequence[float] | None = None,
) -> AdoptionPanel:
    """Make a panel whose group-time effects are known.

    Parameters
    ----------
    cohorts : sequence of int
        First treated period of each unit; 0: never.
    periods : sequence of int
        In order.
    effect : callable
        Of cohort and period, for periods from the cohort on.
    seed : int
    noise : float
        Standard deviation of the errors; 0 for an exact panel.
    autocorrelation : float
        Of the errors within a unit, from one period to the next (stationary).
    level, trend : sequences of float
        Unit and period effects (default: normal from the seed, and linear).
    """
    rng = np.random.default_rng(seed)
    count, length = len(cohorts), len(periods)
    unit, time = np.repeat(np.arange(count), length), np.tile(np.arange(length), count)
    own = rng.standard_normal(count) if level is None else np.asarray(level, dtype=np.float64)
    common = np.arange(length) / length if trend is None else np.asarray(trend, dtype=np.float64)
    shocks = rng.standard_normal((count, length))
    for t in range(1, length):
        shocks[:, t] = autocorrelation * shocks[:, t - 1] + np.sqrt(1 - autocorrelation**2) * shocks[:, t]
    cohort, period = np.asarray(cohorts)[unit], np.asarray(periods)[time]
    treated = (cohort != NEVER) & (period >= cohort)
    att = {(g, t): float(effect(g, t)) for g in sorted(set(cohorts) - {NEVER}) for t in periods if t >= g}
    tau = np.array([att[int(g), int(t)] if d else 0.0 for g, t, d in zip(cohort, period, treated, strict=True)])
    return AdoptionPanel(
        unit=unit,
        period=period,
        cohort=cohort,
        treated=treated.astype(np.float64),
        outcome=own[unit] + common[time] + tau + noise * shocks.ravel(),
        effect=tau,
        att=att,
        size={g: list(cohorts).count(g) for g in sorted(set(cohorts) - {NEVER})},
    )


def averages(panel: AdoptionPanel) -> dict[str, dict[str, float]]:
    """Return the true averages of the group-time effects (Callaway and Sant'Anna 2021, section 3), by aggregation.

    ``none``: ``ATT(g,t)``; ``simple``: ``overall``; ``dynamic``: ``event=e`` and their mean ``overall``; ``group``:
    ``group=g`` and ``overall`` by cohort size; ``calendar``: ``year=t`` and their mean.
    """
    att, size = panel.att, panel.size

    def mean(cells: Sequence[tuple[int, int]]) -> float:
        total = sum(size[g] for g, _ in cells)
        return sum(size[g] * att[g, t] for g, t in cells) / total

    events = sorted({t - g for g, t in att})
    years = sorted({t for _, t in att})
    by_event = {f"event={e}": mean([c for c in att if c[1] - c[0] == e]) for e in events}
    by_group = {f"group={g}": sum(v for c, v in att.items() if c[0] == g) / sum(c[0] == g for c in att) for g in size}
    by_year = {f"year={t}": mean([c for c in att if c[1] == t]) for t in years}
    group_mean = sum(size[g] * by_group[f"group={g}"] for g in size) / sum(size.values())
    return {
        "none": {f"ATT({g},{t})": value for (g, t), value in att.items()},
        "simple": {"overall": mean(list(att))},
        "dynamic": {"overall": sum(by_event.values()) / len(by_event), **by_event},
        "group": {"overall": group_mean, **by_group},
        "calendar": {"overall": sum(by_year.values()) / len(by_year), **by_year},
    }
