"""Which effects was a panel made with, and what are their averages?

Averages are those of Callaway and Sant'Anna (2021), section 3, with the shares of the cohorts as weights: ``simple``
theta_W^O (eq. 3.10), ``dynamic`` theta_es(e) (3.4) and its mean over e >= 0, ``group`` theta_sel(g) (3.7) and
theta_sel^O (3.11), ``calendar`` theta_c(t) (3.8) and its mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from crosscheck.errors import DataError
from crosscheck.simulate.panel_spec import Effect

Aggregation = Literal["simple", "dynamic", "group", "calendar"]
NEVER = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTimeEffect:
    """The average effect on the units first treated in ``group``, in period ``time``; zero before treatment."""

    group: int
    time: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a panel was made with.

    Attributes
    ----------
    tau : float or None
        The effect where all treated rows have the same one.
    att : tuple of GroupTimeEffect
        For each cohort in every period, cohorts treated from the beginning included.
    betas : tuple of (str, float)
        Coefficients of the regressors by column. Regressors without an effect of their own (collinear, constant,
        invariant ones) have 0.
    cohorts : tuple of (int, int)
        Cohort (0: never treated) and the number of its units in the grid.
    exact : bool
        Whether the outcome is the index itself: no errors, no rounding to whole numbers, no link.
    rounding : float
        Distance between neighbouring floating-point numbers at the largest outcome: no estimate can be nearer.
    """

    tau: float | None
    att: tuple[GroupTimeEffect, ...]
    betas: tuple[tuple[str, float], ...]
    cohorts: tuple[tuple[int, int], ...]
    exact: bool
    rounding: float

    def beta(self, column: str) -> float:
        """Return the coefficient of a regressor.

        Raises
        ------
        DataError
            Where the panel has no such regressor.
        """
        known = dict(self.betas)
        if column not in known:
            raise DataError(f"the panel has no regressor {column!r}", allowed=", ".join(known))
        return known[column]

    @property
    def end(self) -> float:
        """Where nobody is untreated to the end: the period in which the last cohort, the comparison, is treated."""
        last = max((e.time for e in self.att), default=0)
        untreated = any(size and (g == NEVER or g > last) for g, size in self.cohorts)
        return math.inf if untreated else max((g for g, size in self.cohorts if size), default=math.inf)

    def identified(self) -> tuple[GroupTimeEffect, ...]:
        """Return the effects that comparisons with untreated units identify.

        Cohorts treated from the first period never do. Where nobody is untreated to the end, the last cohort is the
        comparison, and the periods in which it is treated are lost. Units seen once (``singletons``) compare nothing.
        """
        if not self.att:
            return ()
        first, last = min(e.time for e in self.att), max(e.time for e in self.att)
        end = self.end
        return tuple(e for e in self.att if first < e.group <= last and e.group < end and e.time < end)

    def aggregate(self, kind: Aggregation, shares: Mapping[int, float] | None = None) -> dict[str, float]:
        """Average the identified effects by cohort shares.

        Parameters
        ----------
        kind : str
            ``simple`` gives ``overall``; the others add ``event=e``, ``group=g`` or ``year=t``.
        shares : mapping, optional
            Weight of each cohort; default: its number of units in the grid. After units have left the sample, those
            of the units that remain (:meth:`crosscheck.simulate.panel.Panel.sizes`).

        Raises
        ------
        DataError
            Where no effect after treatment is identified.
        """
        return aggregate(self.identified(), dict(self.cohorts) if shares is None else shares, kind)


def effect_of(kind: Effect, tau: int, cohort: int, elapsed: int) -> float:
    """Return the effect on cohort 1, 2, ... a number of periods after treatment began; zero before."""
    if kind == "zero" or elapsed < 0:
        return 0.0
    size = cohort if kind in ("cohort", "both") else 1
    return float(tau * size * (1 + elapsed if kind in ("dynamic", "both") else 1))


def aggregate(effects: Iterable[GroupTimeEffect], shares: Mapping[int, float], kind: Aggregation) -> dict[str, float]:
    """Average group-time effects by cohort shares; ``overall`` comes first.

    Raises
    ------
    DataError
        Where no effect after treatment has a share.
    """
    present = [e for e in effects if shares.get(e.group, 0) > 0]
    after = [e for e in present if e.time >= e.group]
    if not after:
        raise DataError(
            "no effect after treatment is identified", hint="a panel needs untreated units and a period before"
        )
    if kind == "simple":
        return {"overall": _mean(after, shares)}
    if kind == "dynamic":
        times = sorted({e.time - e.group for e in present})
        parts = {f"event={k}": _mean([e for e in present if e.time - e.group == k], shares) for k in times}
        late = [value for k, value in zip(times, parts.values(), strict=True) if k >= 0]
        return {"overall": sum(late) / len(late), **parts}
    if kind == "calendar":
        years = sorted({e.time for e in after})
        parts = {f"year={t}": _mean([e for e in after if e.time == t], shares) for t in years}
        return {"overall": sum(parts.values()) / len(parts), **parts}
    groups = sorted({e.group for e in after})
    means = [_mean([e for e in after if e.group == g], shares) for g in groups]
    total = sum(shares[g] for g in groups)
    overall = sum(shares[g] * m for g, m in zip(groups, means, strict=True)) / total
    return {"overall": overall, **{f"group={g}": m for g, m in zip(groups, means, strict=True)}}


def _mean(effects: list[GroupTimeEffect], shares: Mapping[int, float]) -> float:
    return sum(shares[e.group] * e.value for e in effects) / sum(shares[e.group] for e in effects)
