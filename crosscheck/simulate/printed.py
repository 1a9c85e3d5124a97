"""Which targets do the printed tables of a paper set for the data behind them?

Reads what the audit reads, ``published.csv`` and the declared facts, and turns every number of an ordinary regression
and of the descriptives into a target. Numbers of matched samples set none, since nobody knows their rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from crosscheck.audit.paper import ColumnView, Paper
from crosscheck.audit.tokens import Token
from crosscheck.errors import StudyError
from crosscheck.simulate.targets import CONSTANT, Array, Moments, Regression, Rows, Target

NEVER = 0
VISIBLE_T = 0.25
"""Least t statistic of an estimate that is printed as zero: it shall be a number that engines can be compared on."""
POSITIVE_SHARE = 0.4
"""Where a positive variable's minimum is printed as zero: the share of the interval's upper end that it is set to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A balanced panel: which units, which of them are treated from when, and which group each belongs to.

    Attributes
    ----------
    units : tuple of str
        The first is the base of the unit dummies, as in Stata's ``i.`` dummies.
    periods : tuple of int
    first_treated : tuple of int
        Period for each unit; 0: never.
    group : tuple of str
        Id of the declared subsample for each unit, empty: in none.
    winsor : mapping of str to float
        Share replaced at either end, for each declared winsorized sample.
    """

    units: tuple[str, ...]
    periods: tuple[int, ...]
    first_treated: tuple[int, ...]
    group: tuple[str, ...]
    winsor: Mapping[str, float] = field(default_factory=dict)

    @property
    def unit(self) -> NDArray[np.int64]:
        """Code of each row's unit, shape (n,)."""
        return np.repeat(np.arange(len(self.units)), len(self.periods))

    @property
    def time(self) -> NDArray[np.int64]:
        """Code of each row's period, shape (n,)."""
        return np.tile(np.arange(len(self.periods)), len(self.units))

    @property
    def treatment(self) -> Array:
        """One from a unit's first treated period on, shape (n,)."""
        first = np.array(self.first_treated)[self.unit]
        on = (first != NEVER) & (np.array(self.periods)[self.time] >= first)
        return np.asarray(on, dtype=np.float64)

    def rows(self, group: str) -> Rows:
        """Return the rows of a group's units, shape (n,)."""
        return np.asarray(np.array([name == group for name in self.group])[self.unit])

    def dummies(self, rows: Rows | None = None, effects: tuple[str, ...] = ("unit", "time")) -> Array:
        """Return the constant and dummies of all units and periods but the first one present, shape (n, q)."""
        columns = [np.ones(self.unit.size)]
        for name, codes in (("unit", self.unit), ("time", self.time)):
            if name in effects:
                present = np.unique(codes if rows is None else codes[rows])
                columns += [(codes == level).astype(np.float64) for level in present[1:]]
        return np.column_stack(columns)


def interval_of(token: Token, *, padded: bool = False) -> Target:
    """Return the interval of a printed number; printed zeros are bounds on a size.

    A number with padded zeros is met as it stands, zeros and all, which a reader who does not know of the padding
    expects; with ``padded``, any number that the unpadded digits allow.
    """
    low, high = token.interval.lo, token.interval.hi
    if token.padded and not padded:
        half = 0.5 * 10.0**-token.decimals
        low, high = token.value - half, token.value + half
    return Target(low=low, high=high, rounded=token.value != 0)


def printed_moments(paper: Paper) -> dict[str, Moments]:
    """Return the printed descriptives of every variable that is neither binary nor the treatment.

    Raises
    ------
    StudyError
        Where none are declared, or a variable lacks its mean, standard deviation, minimum or maximum.
    """
    facts = paper.facts.descriptives
    if facts is None:
        raise StudyError("no descriptives are declared", hint="add [descriptives] to audit.toml")
    given = set(facts.binary) | ({paper.facts.treatment.term} if paper.facts.treatment else set())
    names = dict.fromkeys(
        t.term for t in paper.tokens.values() if (t.table, t.column) == (facts.table, facts.column) and t.term
    )
    out = {}
    for name in names:
        if name in given:
            continue
        found = {q: paper.describe(name, q, facts.sample) for q in ("mean", "std_dev", "min", "max")}
        absent = [q for q, token in found.items() if token is None]
        mean, spread, low, high = (found[q] for q in ("mean", "std_dev", "min", "max"))
        if mean is None or spread is None or low is None or high is None:
            raise StudyError(f"{name} has no printed {', '.join(absent)}", where=f"{facts.table}:{facts.column}")
        lowest = low.value
        if lowest == 0 and name in facts.positive:
            lowest = POSITIVE_SHARE * low.interval.hi
        out[name] = Moments(
            mean=interval_of(mean, padded=name in facts.integer),
            std_dev=interval_of(spread),
            low=lowest,
            high=high.value,
        )
    return out


def printed_regressions(paper: Paper, layout: Layout, exact: Mapping[str, float]) -> tuple[Regression, ...]:
    """Return a target for each number of each ordinary column; ``exact`` pins labels such as ``table3:4 b BDPZs``."""
    out = []
    for column in paper.columns:
        sample = paper.sample(column.facts.sample)
        if not column.is_ols or sample.kind in ("matched", "trimmed"):
            continue
        if sample.kind == "winsorised" and sample.id not in layout.winsor:
            continue
        rows = layout.rows(sample.id) if sample.group else None
        effects = column.facts.fixed_effects
        dummies = layout.dummies(rows, effects)
        nobs = int(layout.unit.size if rows is None else rows.sum())
        df = nobs - len(column.facts.terms) - dummies.shape[1]
        estimate, std_error, statistic = _terms(paper, column, df, exact)
        out.append(
            Regression(
                label=column.key,
                outcome=column.facts.outcome,
                regressors=column.facts.terms,
                dummies=dummies,
                rows=rows,
                estimate=estimate,
                std_error=std_error,
                statistic=statistic,
                r2=interval_of(column.r2) if column.r2 else None,
                adj_r2=interval_of(column.adj_r2) if column.adj_r2 and column.facts.r2 == "overall" else None,
                winsor=layout.winsor.get(sample.id, 0.0),
            )
        )
    return tuple(out)


def _terms(
    paper: Paper, column: ColumnView, df: int, exact: Mapping[str, float]
) -> tuple[dict[str, Target], dict[str, Target], dict[str, Target]]:
    estimate: dict[str, Target] = {}
    std_error: dict[str, Target] = {}
    statistic: dict[str, Target] = {}
    legend = paper.legend
    for term in column.printed_terms:
        name = CONSTANT if term == paper.facts.constant_term else term
        b, se, stars = (column.get(term, quantity) for quantity in ("estimate", "std_error", "stars"))
        assert b is not None
        value = exact.get(f"{column.key} b {name}")
        estimate[name] = replace(interval_of(b), exact=value)
        if se is not None:
            std_error[name] = interval_of(se)
        if legend is not None:
            count = len(stars.printed) if stars is not None else 0
            bound = _t_interval(count, legend.levels, legend.tails, df, least=VISIBLE_T if b.value == 0 else 0.0)
            statistic[name] = replace(bound, low=-bound.high, high=-bound.low) if b.printed.startswith("-") else bound
    return estimate, std_error, statistic


def _t_interval(stars: int, levels: tuple[float, ...], tails: int, df: int, least: float) -> Target:
    """Return the positive t statistics that get so many stars."""
    bounds = [least, *(float(stats.t.isf(level / tails, df)) for level in levels), math.inf]
    return Target(low=bounds[stars], high=bounds[stars + 1], rounded=False)
