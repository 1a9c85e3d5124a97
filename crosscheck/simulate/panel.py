"""What does a panel of known effects look like, and what was it made with?

    y_it = a_i + l_t + s_sector + effect(g_i, t) 1{t >= g_i} + x_it'b + e_it

Unit, period and sector effects are whole numbers, and so are tau and the coefficients, so that a panel without errors
can be checked by eye. Every component has a random stream of its own: switching one off leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import DataError
from crosscheck.frame import Column, Frame
from crosscheck.simulate.defects import clusters, take_values, weights
from crosscheck.simulate.effects import GroupTimeEffect, Truth, effect_of
from crosscheck.simulate.layout import (
    NEVER,
    category,
    cohort_starts,
    kept_cells,
    labels,
    regressor_names,
    scattered,
    unit_column,
    whole_numbers,
)
from crosscheck.simulate.noise import errors
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.simulate.regressors import regressors
from crosscheck.simulate.streams import Stream, stream
from crosscheck.spec import WeightsSpec

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
LINK_SHARE = 0.125
"""Share of the index that counts and binary outcomes follow, so that their means stay moderate."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """A simulated panel and its truth; two panels of one specification are equal bit for bit.

    Columns: ``unit``, ``time``, ``y``, ``treated`` (0 or 1), ``cohort`` (period of first treatment, 0: never), then
    those that the specification asks for.

    Attributes
    ----------
    spec : PanelSpec
    frame : Frame
    truth : Truth
    regressors : tuple of str
        Columns of full rank that have an effect.
    extras : tuple of str
        Regressors that are collinear, nearly so, constant or invariant; to be written after the others.
    instruments : tuple of str
        Of the column ``endog``, where there are any.
    fixed_effects : tuple of str
        Those that the outcome was made with: ``unit``, ``time``, and ``sector``.
    """

    spec: PanelSpec
    frame: Frame
    truth: Truth
    regressors: tuple[str, ...]
    extras: tuple[str, ...]
    instruments: tuple[str, ...]
    fixed_effects: tuple[str, ...]

    @property
    def formula(self) -> str:
        """The model that the outcome was made with where the effect is constant, names in back-ticks."""
        terms = " + ".join(_quoted(("treated", *self.regressors)))
        text = f"`y` ~ {terms} | {' + '.join(_quoted(self.fixed_effects))}"
        return f"{text} | `endog` ~ {' + '.join(_quoted(self.instruments))}" if self.instruments else text

    @property
    def weights(self) -> WeightsSpec | None:
        """What the weights mean, as a request takes them."""
        if self.spec.weights == "none":
            return None
        return WeightsSpec(column="weight", type="frequency" if self.spec.weights == "frequency" else "analytic")

    def sizes(self, *, weighted: bool = False) -> Mapping[int, float]:
        """Return how many units of each cohort have an outcome in every period, or their weights in the first.

        Periods in which nobody is left to compare with do not count.
        """
        whole = ~self.frame["y"].missing & ~self.frame["unit"].missing & ~self.frame["time"].missing
        whole &= ~self.frame["weight"].missing if weighted else True
        unit = self.frame["unit"].codes()[0]
        time = self.frame["time"].as_float()
        whole &= time < self.truth.end
        cells = np.unique(np.stack([unit[whole], time[whole].astype(np.int64)]), axis=1)
        complete = np.flatnonzero(np.bincount(cells[0], minlength=1) == np.unique(cells[1]).size)
        first = whole & (time == self.spec.first_period) & np.isin(unit, complete)
        weight = self.frame["weight"].as_float() if weighted else np.ones(self.frame.nrows)
        cohort = self.frame["cohort"].as_float().astype(np.int64)
        found: dict[int, float] = {}
        _, rows = np.unique(np.where(first, unit, -1), return_index=True)
        for row in rows[first[rows]]:
            found[int(cohort[row])] = found.get(int(cohort[row]), 0.0) + float(weight[row])
        return dict(sorted(found.items()))

    def to_pandas(self) -> pd.DataFrame:
        """Return the panel as pandas, under the index that the specification asks for."""
        data = self.frame.to_pandas()
        n, kind = self.frame.nrows, self.spec.index
        if kind == "offset":
            data.index = data.index + 100
        elif kind == "reversed":
            data.index = data.index[::-1]
        elif kind == "repeated":
            data.index = data.index // 2
        elif kind == "text":
            data.index = data.index.map(lambda k: f"row {(k * 7) % n}" if n % 7 else f"row {k}")
        return data

    def __repr__(self) -> str:
        return f"make_panel({self.spec!r})"


def make_panel(spec: PanelSpec, shocks: Floats | None = None) -> Panel:
    """Simulate a panel.

    Parameters
    ----------
    spec : PanelSpec
    shocks : ndarray, shape (units + singletons, periods), optional
        Errors in place of those that would be drawn.

    Returns
    -------
    Panel
        The same for the same specification, on every machine.

    Raises
    ------
    DataError
        Where the shocks do not fit the panel.
    """
    cells = kept_cells(spec, stream(spec, Stream.ROWS))
    unit, period = np.nonzero(cells)
    units, n = cells.shape[0], unit.size
    starts = np.concatenate([cohort_starts(spec), np.full(spec.singletons, NEVER)])
    start = starts[unit]
    effects = _cohort_effects(spec, starts)
    made = regressors(spec, unit, period, units)
    index = _fixed_effects(spec, units)[unit, period] + effects[start, period] + made.contribution
    codes = {"unit": unit.copy(), "period": period.copy()}
    if spec.nested:
        codes["region"] = unit % spec.nested
    if spec.crossed:
        rng = stream(spec, Stream.SECTOR)
        codes["sector"] = scattered(spec.crossed, n, rng)
        index += rng.integers(-4, 5, spec.crossed)[codes["sector"]]
    if spec.one_level:
        codes["country"] = np.zeros(n, dtype=np.int64)
    if spec.unused:
        codes["grade"] = scattered(min(2, n), n, stream(spec, Stream.GRADE))
    if spec.clusters:
        codes["cluster"] = clusters(spec, unit, units)
    if shocks is None:
        shocks = errors(spec.errors, stream(spec, Stream.ERRORS), units, spec.periods)
    elif shocks.shape != (units, spec.periods) or spec.errors == "none":
        raise DataError(f"shocks have the shape {shocks.shape}", allowed=f"({units}, {spec.periods}), and some errors")
    noise = shocks[unit, period]
    if spec.errors != "none":
        noise = noise + made.endogenous
    times = spec.first_period + spec.step * np.arange(spec.periods)
    values = {
        "y": np.where(unit < spec.separated, 0.0, _outcome(spec, index, noise)),
        "treated": np.where((start != NEVER) & (period >= start), 1.0, 0.0),
        "cohort": np.where(start != NEVER, spec.first_period + spec.step * start, 0).astype(np.float64),
        **made.columns,
    }
    if spec.weights != "none":
        values["weight"] = weights(spec, unit, units)
    exact = spec.errors == "none" and spec.outcome == "continuous"
    exact = exact and not (spec.integer_y and np.any(index != np.rint(index)))
    truth = _truth(
        spec, starts, effects, made.betas, rounding=float(np.spacing(np.abs(values["y"]).max())), exact=exact
    )
    lacking = take_values(spec, values, codes, made.names[0] if made.names else "")
    order = _row_order(spec, unit, period, lacking)
    return Panel(
        spec=spec,
        frame=_frame(
            spec,
            {name: column[order] for name, column in values.items()},
            {name: column[order] for name, column in codes.items()},
            times,
            units,
        ),
        truth=truth,
        regressors=made.names,
        extras=made.extras,
        instruments=tuple(f"z{k + 1}" for k in range(spec.instruments)),
        fixed_effects=("unit", "time", "sector") if spec.crossed else ("unit", "time"),
    )


def _quoted(names: tuple[str, ...]) -> list[str]:
    return [f"`{name}`" for name in names]


def _share(spec: PanelSpec) -> float:
    return 1.0 if spec.outcome == "continuous" else LINK_SHARE


def _fixed_effects(spec: PanelSpec, units: int) -> Floats:
    rng = stream(spec, Stream.EFFECTS)
    period = rng.integers(-4, 5, spec.periods)
    return (rng.integers(-8, 9, units)[:, None] + period[None, :]).astype(np.float64)


def _cohort_effects(spec: PanelSpec, starts: Codes) -> Floats:
    """Return the effect by start and period, shape (periods + 2, periods); the last row, -1, is never treated."""
    table = np.zeros((spec.periods + 2, spec.periods))
    inside = [int(s) for s in np.unique(starts) if 0 < s < spec.periods]
    order = {s: k for k, s in enumerate(inside, start=1)}
    for s in (0, *inside) if spec.always else inside:
        for t in range(s, spec.periods):
            table[s, t] = effect_of(spec.effect, spec.tau, order.get(s, 1), t - s)
    return table


def _outcome(spec: PanelSpec, index: Floats, noise: Floats) -> Floats:
    if spec.outcome == "continuous":
        offset = 10.0**spec.y_offset if spec.y_offset else 0.0
        y = index + noise + offset
        return np.rint(y) if spec.integer_y else y
    rng = stream(spec, Stream.OUTCOME)
    eta = LINK_SHARE * index
    if spec.outcome == "count":
        mean = np.exp(np.clip(eta + LINK_SHARE * noise, -20, 20))
        return mean if spec.errors == "none" else rng.poisson(mean).astype(np.float64)
    latent = np.zeros(eta.size) if spec.errors == "none" else rng.logistic(size=eta.size)
    return (eta + LINK_SHARE * noise + latent > 0).astype(np.float64)


def _truth(
    spec: PanelSpec,
    starts: Codes,
    effects: Floats,
    betas: tuple[tuple[str, float], ...],
    *,
    rounding: float,
    exact: bool,
) -> Truth:
    share = _share(spec)
    found = [(int(s), int(m)) for s, m in zip(*np.unique(starts[: spec.units], return_counts=True), strict=True)]
    period = [spec.first_period + spec.step * t for t in range(spec.periods + 1)]
    att = tuple(
        GroupTimeEffect(group=period[s], time=period[t], value=share * float(effects[s, t]))
        for s, _ in found
        if s != NEVER
        for t in range(spec.periods)
    )
    treated = {e.value for e in att if e.time >= e.group}
    return Truth(
        tau=treated.pop() if len(treated) == 1 else None,
        att=att,
        betas=tuple((name, share * beta) for name, beta in betas),
        cohorts=tuple((0 if s == NEVER else period[s], m) for s, m in found),
        exact=exact,
        rounding=rounding,
    )


def _frame(
    spec: PanelSpec, values: Mapping[str, Floats], codes: Mapping[str, Codes], times: Codes, units: int
) -> Frame:
    whole = {"treated", "cohort"}
    if spec.integer_y or spec.outcome == "binary" or (spec.outcome == "count" and spec.errors != "none"):
        whole.add("y")
    if spec.integer_x:
        whole.add(regressor_names(spec.naming, 1)[0])
    if spec.weights == "frequency":
        whole.add("weight")
    known = codes["period"] >= 0
    time = times[codes["period"]] if known.all() else np.where(known, times[codes["period"]], np.nan)
    made = [unit_column(spec.ids, codes["unit"], units, spec.unused), whole_numbers("time", time)]
    for name, column in values.items():
        made.append(whole_numbers(name, column) if name in whole else Column(name, "float", column))
    levels = {
        "region": labels("", spec.nested, "r"),
        "sector": labels("", spec.crossed, "s"),
        "country": ["only"],
        "grade": ["high", "low"],
    }
    made += [category(name, codes[name], called, spec.unused) for name, called in levels.items() if name in codes]
    if spec.clusters and spec.cluster_ids == "string":
        made.append(category("cluster", codes["cluster"], labels("", spec.clusters, "c"), spec.unused))
    elif spec.clusters:
        made.append(whole_numbers("cluster", np.where(codes["cluster"] < 0, np.nan, codes["cluster"] + 1.0)))
    return Frame(tuple(made), codes["unit"].size)


def _row_order(spec: PanelSpec, unit: Codes, period: Codes, lacking: NDArray[np.bool_]) -> Codes:
    """Return the rows in their order, some of them twice."""
    rows = np.arange(unit.size)
    if spec.duplicates:
        again = stream(spec, Stream.DUPLICATES).choice(np.flatnonzero(~lacking), spec.duplicates, replace=False)
        rows = np.sort(np.concatenate([rows, again]))
    if spec.order == "reversed":
        return rows[::-1].copy()
    if spec.order == "by_time":
        return np.asarray(rows[np.lexsort((unit[rows], period[rows]))])
    return np.asarray(stream(spec, Stream.ORDER).permutation(rows)) if spec.order == "shuffled" else rows
