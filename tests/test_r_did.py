"""Does r.did say what did says, and is it what Callaway and Sant'Anna (2021) define?

Without covariates ATT(g,t) is a difference of four means and its influence function is elementary; that is one other
side. The other is did called by hand (``tests/r/checks.R``), bit for bit.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from crosscheck.engines.r import DID
from crosscheck.frame import Column, Frame
from crosscheck.options import AttGtOptions
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec
from tests.r_support import category, frame, number, skip_without, whole, worker

CHECKS = str(Path(__file__).parent / "r" / "checks.R")
UNITS, YEARS = 60, tuple(range(2001, 2007))


def staggered(seed: int = 11) -> Frame:
    """Sixty units over six years; cohorts 2003, 2005 and never, in an order that is not the units'."""
    rng = np.random.default_rng(seed)
    first = rng.choice([0, 2003, 2005], size=UNITS, p=[0.4, 0.3, 0.3])
    x = rng.normal(size=UNITS)
    unit, year = np.repeat(np.arange(UNITS), len(YEARS)), np.tile(YEARS, UNITS)
    treated = (first[unit] > 0) & (year >= first[unit])
    y = rng.normal(size=UNITS)[unit] + 0.1 * (year - 2001) + 0.3 * x[unit] + 0.5 * treated + rng.normal(size=unit.size)
    order = rng.permutation(unit.size)
    return frame(
        number("y", y[order]),
        number("x", x[unit][order]),
        category("unit", [f"u{u:02d}" for u in unit[order]]),
        whole("time", year[order]),
        whole("first", first[unit][order]),
        number("w", rng.uniform(0.5, 2, size=UNITS)[unit][order]),
    )


DATA = staggered()


@pytest.fixture(scope="module")
def r():
    skip_without("did", "DRDID")
    with worker("rscript", scripts=(CHECKS,)) as made:
        yield made


def request(data=DATA, conf_level=0.95, vcov=None, weights=None, unit="unit", time="time", **options):
    options = AttGtOptions(**{"y": "y", "cohort": "first", **options}).model_dump(mode="json")
    return FitRequest(
        estimator="att_gt",
        unit=unit,
        time=time,
        options=options,
        conf_level=conf_level,
        vcov=vcov or VcovSpec(),
        weights=weights,
    )


def fit(r, data=DATA, **options):
    asked = request(data, **options)
    assert DID.supports(asked), DID.supports(asked).reason
    result = r.fit("r.did", asked, data)
    assert result.status == "ok", result.reason
    return result


CASES = [
    {"aggregation": a, "control_group": c, "est_method": m, "covariates": x, "base_period": b}
    for a, c, m, x, b in [
        ("none", "nevertreated", "dr", ("x",), "varying"),
        ("none", "notyettreated", "ipw", ("x",), "varying"),
        ("none", "notyettreated", "reg", ("x",), "universal"),
        ("none", "nevertreated", "reg", (), "varying"),
        ("dynamic", "nevertreated", "dr", ("x",), "universal"),
        ("dynamic", "notyettreated", "dr", (), "varying"),
        ("group", "nevertreated", "dr", (), "varying"),
        ("calendar", "nevertreated", "ipw", (), "varying"),
        ("simple", "notyettreated", "dr", ("x",), "varying"),
    ]
]


@pytest.mark.parametrize("options", CASES, ids=lambda o: " ".join(map(str, o.values())))
def test_the_numbers_are_those_of_did_called_by_hand(r, options):
    ours = fit(r, **options)
    asked = request(**options)
    theirs = r.fit("r.didbyhand", asked, DATA)
    assert theirs.status == "ok", theirs.reason
    assert len(ours.coefs) == len(theirs.coefs) > 0
    for a, b in zip(ours.coefs, theirs.coefs, strict=True):
        assert (a.estimate, a.std_error) == (b.estimate, b.std_error), a.term


def brute(data: Frame, g: int, t: int) -> tuple[float, float]:
    """Return ATT(g,t) against the never treated, and its standard error, from four means and their influence functions.

    Callaway and Sant'Anna (2021), eqs. 2.8 and 4.1, without covariates; base period g - 1, or t - 1 before treatment.
    """
    units = data["unit"].values
    y = np.full((UNITS, len(YEARS)), np.nan)
    y[units, data["time"].values - YEARS[0]] = data["y"].values
    first = np.zeros(UNITS, dtype=int)
    first[units] = data["first"].values
    base = g - 1 if t >= g else t - 1
    change = y[:, t - YEARS[0]] - y[:, base - YEARS[0]]
    treated, control = first == g, first == 0
    effect = change[treated].mean() - change[control].mean()
    influence = np.zeros(UNITS)
    influence[treated] = (change[treated] - change[treated].mean()) / treated.mean()
    influence[control] = -(change[control] - change[control].mean()) / control.mean()
    return effect, math.sqrt((influence**2).sum()) / UNITS


def test_group_time_effects_are_differences_of_four_means(r):
    result = fit(r)
    assert [c.term for c in result.coefs] == [f"ATT({g},{t})" for g in (2003, 2005) for t in YEARS[1:]]
    for row in result.coefs:
        g, t = (int(v) for v in row.term.removeprefix("ATT(").removesuffix(")").split(","))
        effect, std_error = brute(DATA, g, t)
        assert row.estimate == pytest.approx(effect, rel=1e-10, abs=1e-12)
        assert row.std_error == pytest.approx(std_error, rel=1e-10)
    covariance = np.array(result.vcov)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([c.std_error for c in result.coefs], rel=1e-12)


def test_intervals_are_pointwise_and_normal(r):
    result = fit(r, conf_level=0.9)
    for row in result.coefs:
        assert row.conf_low == pytest.approx(row.estimate - 1.6448536269514722 * row.std_error, rel=1e-13)
        assert row.conf_high == pytest.approx(row.estimate + 1.6448536269514722 * row.std_error, rel=1e-13)
        assert row.df == math.inf
        assert row.p_value is None
    assert result.conventions.distribution == "normal"


@pytest.mark.parametrize(
    ("aggregation", "terms"),
    [
        ("simple", ["overall"]),
        ("dynamic", ["overall", *(f"event={e}" for e in range(-3, 4))]),
        ("group", ["overall", "group=2003", "group=2005"]),
        ("calendar", ["overall", *(f"year={t}" for t in range(2003, 2007))]),
    ],
)
def test_terms_of_aggregations(r, aggregation, terms):
    assert [c.term for c in fit(r, aggregation=aggregation).coefs] == terms


def test_the_window_and_balance_of_an_event_study(r):
    terms = [c.term for c in fit(r, aggregation="dynamic", min_e=-1, max_e=1).coefs]
    assert terms == ["overall", "event=-1", "event=0", "event=1"]
    balanced = [c.term for c in fit(r, aggregation="dynamic", balance_e=1).coefs]
    assert balanced[-1] == "event=1"


def test_the_reference_period_of_a_universal_base_has_no_standard_error(r):
    row = fit(r, base_period="universal").coef("ATT(2003,2002)")
    assert row.estimate == 0
    assert row.std_error is None


@pytest.mark.parametrize("name", ["gname", "my cohort", "省份", "if"])
def test_names_that_break_did_do_not(r, name):
    renamed = Frame(
        tuple(Column(name, c.kind, c.values, c.levels) if c.name == "first" else c for c in DATA.columns), DATA.nrows
    )
    assert [c.estimate for c in fit(r, renamed, cohort=name).coefs] == [c.estimate for c in fit(r).coefs]


def test_weights_reach_did(r):
    weighted = fit(r, weights=WeightsSpec(column="w"))
    theirs = r.fit(
        "r.didbyhand",
        request(weights=WeightsSpec(column="w")).model_copy(update={"options": {**request().options, "weights": "w"}}),
        DATA,
    )
    assert [c.estimate for c in weighted.coefs] == [c.estimate for c in theirs.coefs]
    assert weighted.coefs[0].estimate != fit(r).coefs[0].estimate


def test_what_did_cannot_give_is_refused_in_both_languages(r):
    refused = [
        request(vcov=VcovSpec(type="HC1")),
        request(vcov=VcovSpec(type="CRV1", cluster=("first",))),
        request(bootstrap=True),
        request(unit=None),
        request(time=None),
    ]
    for asked in refused:
        assert not DID.supports(asked)
        assert r.fit("r.did", asked, DATA).status == "unsupported"
    by_unit = request(vcov=VcovSpec(type="CRV1", cluster=("unit",)))
    assert DID.supports(by_unit.model_copy(update={"ssc": SscSpec()}))
    assert [c.std_error for c in r.fit("r.did", by_unit, DATA).coefs] == [c.std_error for c in fit(r).coefs]


def test_warnings_of_did_are_data(r):
    """A cohort that is treated in the first period has no base period: did drops it and says so."""
    values = DATA["first"].values.copy()
    early = np.isin(DATA["unit"].values, np.arange(4))
    values[early] = 2001
    data = Frame(tuple(whole("first", values) if c.name == "first" else c for c in DATA.columns), DATA.nrows)
    result = fit(r, data)
    assert not [c.term for c in result.coefs if c.term.startswith("ATT(2001,")]
    assert any("first period" in c.text for c in result.conditions)
