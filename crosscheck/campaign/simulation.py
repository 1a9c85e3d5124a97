"""Are estimates centred on a known effect, are standard errors as large as their spread, do intervals hold the effect?

Ten designs, each with a thousand data sets drawn from one process. In the first two the regressors stay and everything
is exact: least squares with independent normal errors has a normal estimate about the effect, squared standard errors
that are chi-squared and independent of it, and t intervals and tests of exactly their level. In the others that holds
in large samples, so that each is given the room that is declared beside it, and only what lies beyond that room counts.
Coverage and size are held against exact binomial tails, the spread of the estimates against F (chi-squared where the
standard errors' own distribution is not known), the mean of a thousand estimates against the normal.

It costs thousands of fits a panel and is checked only where it is named; the panel's seed decides which design.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING
from crosscheck.frame import Column, Frame
from crosscheck.options import AttGtOptions, Did2sOptions, SunabOptions
from crosscheck.results import CoefRow, EstimationResult
from crosscheck.spec import FitRequest, SscSpec, VcovSpec

Floats = NDArray[np.float64]
Rng = np.random.Generator
ID = "simulation"
REPLICATES = 1000
FAMILY = 1e-6
"""Probability of a false alarm in a campaign of ``TESTS`` tests: about 25 panels with ten engines."""
TESTS = 1000
ALPHA = FAMILY / TESTS
LEVEL = 0.95
EFFECT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How far a design may be from what holds in large samples.

    Attributes
    ----------
    bias : float
        In standard deviations of the estimate.
    low, high : float
        Squared standard errors over the variance of the estimate.
    covers : (float, float)
        Coverage of a 95% interval; the size of a test at 5% is one minus coverage.
    """

    bias: float = 0.0
    low: float = 1.0
    high: float = 1.0
    covers: tuple[float, float] = (LEVEL, LEVEL)


EXACT = Room()
LARGE = Room(bias=0.1, low=0.85, high=1.15, covers=(0.92, 0.97))


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A data-generating process and the question about it.

    ``draw`` takes a generator for the regressors and one for the errors. ``term`` has the effect ``truth``; ``null``
    names a regressor without an effect, where there is one.
    """

    id: str
    draw: Callable[[Rng, Rng], Mapping[str, Floats]]
    request: FitRequest
    term: str
    truth: float = EFFECT
    null: str = ""
    room: Room = LARGE


def _asked(formula: str, columns: Sequence[str], vcov: VcovSpec | None = None, **more: Any) -> FitRequest:
    ssc = (
        SscSpec() if vcov is not None and vcov.cluster else SscSpec(k_fixef="full")
    )  # units nested in clusters add none
    return FitRequest(formula=formula, columns=tuple(columns), vcov=vcov or VcovSpec(), ssc=ssc, **more)


def _pooled(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    x, x0 = fixed.normal(size=(2, 60))
    return {"x": x, "x0": x0 + 0.5 * x, "y": 1 + EFFECT * x + rng.normal(size=60)}


def _effects(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    unit, time = np.repeat(np.arange(20.0), 5), np.tile(np.arange(5.0), 20)
    x, x0 = fixed.normal(size=(2, 100)) + np.sin(unit) + np.cos(time)
    y = EFFECT * x + 2 * np.sin(unit) + np.cos(time) + rng.normal(size=100)
    return {"unit": unit, "time": time, "x": x, "x0": x0, "y": y}


def _hetero(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    x, x0 = rng.normal(size=(2, 300))
    return {"x": x, "x0": x0, "y": EFFECT * x + (0.5 + np.abs(x)) * rng.normal(size=300)}


def _clustered(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    cluster = np.repeat(np.arange(80.0), 4)
    x, x0, e = (rng.normal(size=(3, 80))[:, cluster.astype(int)] + rng.normal(size=(3, 320))) / math.sqrt(2)
    return {"cluster": cluster, "x": x, "x0": x0, "y": EFFECT * x + e}


def _instruments(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    z, x0, e, v = rng.normal(size=(4, 400))
    endog = z + 0.5 * x0 + 0.6 * e + v
    return {"z": z, "x0": x0, "endog": endog, "y": EFFECT * endog + e}


def _counts(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    x, x0 = rng.normal(size=(2, 300))
    return {"x": x, "x0": x0, "y": rng.poisson(np.exp(1 + EFFECT * x)).astype(np.float64)}


def _binary(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    x, x0 = rng.normal(size=(2, 500))
    return {"x": x, "x0": x0, "y": (rng.random(500) < special.expit(EFFECT * x)).astype(np.float64)}


def _staggered(fixed: Rng, rng: Rng) -> dict[str, Floats]:
    units, periods = 120, 5
    unit, time = np.repeat(np.arange(float(units)), periods), np.tile(np.arange(1.0, periods + 1), units)
    start = np.repeat(np.resize([0.0, 0.0, 3.0, 4.0], units), periods)
    treated = ((start > 0) & (time >= start)).astype(np.float64)
    own = np.repeat(rng.normal(size=units), periods)
    y = own + 0.3 * time + EFFECT * treated + rng.normal(size=unit.size)
    return {"unit": unit, "time": time, "cohort": start, "treated": treated, "y": y}


def _designs() -> tuple[Design, ...]:
    panel: dict[str, Any] = {"unit": "unit", "time": "time"}
    by_unit = VcovSpec(type="CRV1", cluster=("unit",))
    least = "`y` ~ `x` + `x0`"
    group_time = AttGtOptions(
        y="y", cohort="cohort", unit="unit", time="time", est_method="reg", aggregation="simple"
    ).model_dump(mode="json")
    two_stage = Did2sOptions(y="y", treated="treated", unit="unit", time="time").model_dump(mode="json")
    return (
        Design(
            id="least_squares",
            draw=_pooled,
            request=_asked(least, ("y", "x", "x0")),
            term="x",
            null="x0",
            room=EXACT,
        ),
        Design(
            id="fixed_effects",
            draw=_effects,
            request=_asked(least + " | `unit` + `time`", ("y", "x", "x0", "unit", "time"), **panel),
            term="x",
            null="x0",
            room=EXACT,
        ),
        Design(
            id="heteroskedastic",
            draw=_hetero,
            request=_asked(least, ("y", "x", "x0"), VcovSpec(type="HC1")),
            term="x",
            null="x0",
        ),
        Design(
            id="clustered",
            draw=_clustered,
            request=_asked(least, ("y", "x", "x0", "cluster"), VcovSpec(type="CRV1", cluster=("cluster",))),
            term="x",
            null="x0",
        ),
        Design(
            id="instruments",
            draw=_instruments,
            request=_asked("`y` ~ `x0` | `endog` ~ `z`", ("y", "x0", "endog", "z")),
            term="endog",
            null="x0",
        ),
        Design(
            id="poisson",
            draw=_counts,
            request=_asked(least, ("y", "x", "x0"), VcovSpec(type="HC1"), estimator="fepois"),
            term="x",
            null="x0",
        ),
        Design(
            id="logit",
            draw=_binary,
            request=_asked(
                least, ("y", "x", "x0"), VcovSpec(type="HC1"), estimator="feglm", options={"family": "logit"}
            ),
            term="x",
            null="x0",
        ),
        Design(
            id="group_time",
            draw=_staggered,
            request=FitRequest(
                estimator="att_gt", options=group_time, columns=("y", "cohort", "unit", "time"), **panel
            ),
            term="overall",
        ),
        Design(
            id="sun_abraham",
            draw=_staggered,
            request=_asked(
                "`y` ~ sunab(`cohort`, `time`) | `unit` + `time`",
                ("y", "cohort", "unit", "time"),
                by_unit,
                estimator="sunab",
                options=SunabOptions(y="y", unit="unit", time="time", cohort="cohort", aggregation="simple").model_dump(
                    mode="json"
                ),
                **panel,
            ),
            term="ATT",
        ),
        Design(
            id="two_stage",
            draw=_staggered,
            request=FitRequest(
                estimator="did2s", options=two_stage, columns=("y", "treated", "unit", "time"), vcov=by_unit, **panel
            ),
            term="overall",
        ),
    )


DESIGNS = _designs()
WHOLE = frozenset({"unit", "time", "cohort", "cluster", "treated"})


def frames(design: Design, seed: int, count: int = REPLICATES) -> tuple[Frame, ...]:
    """Return the data sets of a design, the same for the same seed."""
    made = []
    for k in range(count):
        drawn = design.draw(_generator(seed, 0, design), _generator(seed, k + 1, design))
        columns = tuple(
            Column(name, "integer", values.astype(np.int32)) if name in WHOLE else Column(name, "float", values)
            for name, values in drawn.items()
        )
        made.append(Frame(columns, len(next(iter(drawn.values())))))
    return tuple(made)


def _generator(seed: int, stream: int, design: Design) -> Rng:
    return np.random.Generator(np.random.PCG64([seed, stream, *design.id.encode()]))


def design_of(seed: int) -> Design:
    """Return the design that a panel's seed stands for."""
    return DESIGNS[seed % len(DESIGNS)]


class Simulation:
    """Bias, standard errors, coverage and size over a thousand data sets of known effect."""

    id = ID
    kind: PropertyKind = "truth"
    title = "Over a thousand data sets estimates centre on the effect, and intervals hold it as often as they say."
    replicates = REPLICATES

    def applies(self, case: Case) -> str:
        """Return an empty string: the design is the seed's, whatever the panel."""
        return "" if case.whole else "the data sets are simulated anew"

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return one question for each data set and engine."""
        if not case.whole:
            return ()
        design = design_of(case.seed)
        made = frames(design, case.seed, self.replicates)
        return tuple(Ask(engine=e, request=design.request, frame=f) for e in case.engines for f in made)

    def check(self, case: Case, fit: Fit) -> Checked:
        """Hold each engine's thousand answers against the effect."""
        if not case.whole:
            return Checked(reason="the data sets are simulated anew")
        design = design_of(case.seed)
        made = frames(design, case.seed, self.replicates)
        compared, found, reason = 0, [], ""
        for engine in case.engines:
            results = [fit(engine, design.request, f) for f in made]
            good = [r for r in results if r.status == "ok"]
            reason = reason or next((r.reason for r in results if r.status != "ok"), "")
            rows = [row for r in good if (row := r.coef(design.term)) is not None]
            if len(rows) < 0.9 * len(made):
                continue
            nulls = [row for r in good if design.null and (row := r.coef(design.null)) is not None]
            bounded = sum(r.conf_low is not None and r.conf_high is not None for r in rows)
            compared += 2 * len(rows) + bounded + sum(r.p_value is not None for r in nulls)
            for quantity, value, truth, says in wrong(design, rows, nulls, good[0].stats.df_resid):
                found.append(_discrepancy(design, good[0], quantity, value, truth, says))
        return Checked(compared=compared, discrepancies=tuple(found), reason="" if compared else reason or NOTHING)


def _discrepancy(
    design: Design, result: EstimationResult, quantity: str, value: float, truth: float, says: str
) -> Discrepancy:
    identity = Identity(
        rule=ID, engine=result.engine, version=result.version, quantity=quantity, features=features(design.request)
    )
    return Discrepancy(
        identity=identity,
        term=design.term,
        value=value,
        other=truth,
        says=f"{design.id}, {result.engine}: {says}",
    )


def wrong(
    design: Design, rows: Sequence[CoefRow], nulls: Sequence[CoefRow], free: float | None
) -> list[tuple[str, float, float, str]]:
    """Return what of many answers is beyond the room of a design: quantity, value, truth and words.

    Parameters
    ----------
    design : Design
    rows, nulls : sequence of CoefRow
        Of the term with an effect, and of the one without.
    free : float or None
        Degrees of freedom of each squared standard error where everything is exact.
    """
    room, found = design.room, []
    estimates = np.array([r.estimate if r.estimate is not None else math.nan for r in rows])
    squares = np.array([r.std_error if r.std_error is not None else math.nan for r in rows]) ** 2
    n, mean, variance = estimates.size, float(estimates.mean()), float(estimates.var(ddof=1))
    off = abs(mean - design.truth) / math.sqrt(variance) if variance > 0 else math.inf
    if not 2 * special.ndtr(-(off - room.bias) * math.sqrt(n)) >= ALPHA:
        found.append(("estimate", mean, design.truth, f"the mean of {n} estimates is {mean:.6g}, made {design.truth}"))
    ratio = float(squares.mean()) / variance if variance > 0 else math.nan
    below = n * free if room is EXACT and free else math.inf
    if not _f_within(1 / ratio if ratio > 0 else math.nan, n - 1, below, room):
        says = f"squared standard errors average {ratio:.3g} times the variance of {n} estimates"
        found.append(("std_error", math.sqrt(max(ratio, 0.0)), 1.0, says))
    covered = [r for r in rows if r.conf_low is not None and r.conf_high is not None]
    count = sum(float(r.conf_low or 0) <= design.truth <= float(r.conf_high or 0) for r in covered)
    if covered and not _share_within(count, len(covered), room.covers):
        says = f"{count} of {len(covered)} intervals hold the effect, where {LEVEL:.0%} should"
        found.append(("coverage", count / len(covered), LEVEL, says))
    tested = [r for r in nulls if r.p_value is not None]
    rejected = sum(float(r.p_value or 0.0) <= 1 - LEVEL for r in tested)
    if tested and not _share_within(len(tested) - rejected, len(tested), room.covers):
        says = f"{rejected} of {len(tested)} tests of a regressor without an effect reject at {1 - LEVEL:.0%}"
        found.append(("p_value", rejected / len(tested), 1 - LEVEL, says))
    return found


def _f_within(value: float, above: float, below: float, room: Room) -> bool:
    """Say whether variance over squared standard errors is that of some ratio within the room."""
    if math.isnan(value):
        return False

    def tails(x: float) -> tuple[float, float]:
        if math.isinf(below):
            return float(special.chdtr(above, x * above)), float(special.chdtrc(above, x * above))
        return float(special.fdtr(above, below, x)), float(special.fdtrc(above, below, x))

    return tails(value * room.high)[0] >= ALPHA / 2 and tails(value * room.low)[1] >= ALPHA / 2


def _share_within(count: int, trials: int, band: tuple[float, float]) -> bool:
    """Say whether a count may come from some probability within a band: exact binomial tails."""
    low, high = band
    below = float(special.bdtr(count, trials, low))
    above = float(special.bdtrc(count - 1, trials, high)) if count > 0 else 1.0
    return min(below, above) >= ALPHA / 2
