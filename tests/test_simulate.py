"""Are simulated panels what their specification says, and is their truth what the closed forms find?"""

import os
import statistics
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import find, given, settings

from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import DataError
from crosscheck.simulate import Limits, PanelSpec, make_panel, panels, seeded_spec, specs, written_panels
from crosscheck.simulate.effects import GroupTimeEffect, aggregate
from crosscheck.simulate.layout import cohort_starts
from crosscheck.simulate.noise import PERSISTENCE, errors, spread
from crosscheck.simulate.panel_spec import EFFECTS, ERRORS
from crosscheck.simulate.space import QUIRKS, draw_spec
from crosscheck.spec import FitRequest

WIDE = {"units": 12, "periods": 6}
AGGREGATIONS = ("simple", "dynamic", "group", "calendar")
EXACT = 1e-8


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


def feols(panel):
    request = FitRequest(
        estimator="feols", formula=panel.formula, unit="unit", time="time", vcov={"type": "iid"}, weights=panel.weights
    )
    return ORACLE.fit(request, panel.frame)


def att_gt(panel, **options):
    options = {"y": "y", "cohort": "cohort", "aggregation": "none", **options}
    request = FitRequest(estimator="att_gt", unit="unit", time="time", options=options)
    return {row.term: row.estimate for row in ORACLE.fit(request, panel.frame).coefs}


# Determinism and imports


def test_a_specification_gives_the_same_bits_again_in_another_process():
    drawn = [seeded_spec(k) for k in range(40)]
    assert [make_panel(s).frame.key for s in drawn] == [make_panel(s).frame.key for s in drawn]
    code = (
        "from crosscheck.simulate import make_panel, seeded_spec\n"
        "print(' '.join(make_panel(seeded_spec(k)).frame.key for k in range(40)))"
    )
    here = " ".join(make_panel(s).frame.key for s in drawn)
    assert run(code, PYTHONHASHSEED="1") == run(code, PYTHONHASHSEED="2") == here


def test_importing_the_package_imports_neither_hypothesis_nor_scipy():
    code = (
        "import sys, crosscheck.simulate as s\n"
        "heavy = {'hypothesis', 'scipy', 'pandas'}\n"
        "before = heavy & set(sys.modules)\n"
        "s.make_panel(s.PanelSpec())\n"
        "print(sorted(before), sorted(heavy & set(sys.modules)), 'panels' in dir(s))"
    )
    assert run(code) == "[] [] True"
    with pytest.raises(ImportError):
        from crosscheck.simulate import no_such_name  # noqa: F401


def test_a_specification_survives_writing_and_printing():
    for k in range(60):
        spec = seeded_spec(k)
        assert PanelSpec(**spec.model_dump()) == PanelSpec(**spec.changes()) == spec
        assert eval(repr(spec)) == spec
    panel = make_panel(PanelSpec(units=3, ids="string"))
    assert repr(panel) == "make_panel(PanelSpec(units=3, ids='string'))"


def test_switching_a_part_off_leaves_the_others_as_they_are():
    base = {**WIDE, "regressors": 2, "weights": "analytic", "clusters": 3, "seed": 5}
    full = make_panel(PanelSpec(**base, crossed=3, constant=1, missing_y=2))
    less = make_panel(PanelSpec(**base))
    for name in ("x1", "x2", "weight", "cluster", "treated"):
        assert np.array_equal(full.frame[name].values, less.frame[name].values)
    silent = make_panel(PanelSpec(**{**base, "errors": "none"}))
    noise = less.frame["y"].values - silent.frame["y"].values
    drawn = errors("iid", np.random.Generator(np.random.PCG64([5, 2])), 12, 6).ravel()
    assert np.allclose(noise, drawn, atol=1e-12)


# Truth


HARMLESS = tuple(q for q in QUIRKS if q not in ("scale", "x_offset", "integer_y", "missing_unit"))


def test_least_squares_returns_tau_and_the_coefficients_of_panels_without_errors():
    limits = Limits(
        units=(4, 12), periods=(3, 8), effects=("constant", "zero"), errors=("none",), quirks=HARMLESS, rarity=6
    )
    compared, refused, lost = Counter(), Counter(), 0
    for k in range(150):
        panel = make_panel(seeded_spec(k, limits))
        assert panel.truth.exact
        try:
            result = feols(panel)
        except DataError as error:
            refused[str(error).partition("\n")[0].partition(":")[0]] += 1
            continue
        wanted = {"treated": panel.truth.tau, **dict(panel.truth.betas)}
        if any(wanted[term.removeprefix("fit_")] for term in result.dropped):
            lost += 1  # a regressor that has an effect is collinear with the others here: its effect went to them
            continue
        for row in result.coefs:
            name = row.term.removeprefix("fit_")
            assert row.estimate == pytest.approx(wanted[name], rel=0, abs=EXACT + 300 * panel.truth.rounding), panel
            compared[name] += 1
    assert compared["treated"] > 90
    assert compared["x1"] > 50
    assert compared["endog"] > 5
    few = {
        "the model is saturated",
        "no regressor is left",
        "the instruments do not identify the endogenous regressors",
    }
    assert set(refused) <= few, refused
    assert sum(refused.values()) < 30
    assert lost < 15


@pytest.mark.parametrize("power", [-9, -6, 6, 9])
def test_scaled_regressors_have_scaled_coefficients(power):
    panel = make_panel(PanelSpec(**WIDE, regressors=2, scale=power, errors="none"))
    assert panel.truth.beta("x1") == pytest.approx(10.0**-power)
    found = {row.term: row.estimate for row in feols(panel).coefs}
    assert found["x1"] * 10.0**power == pytest.approx(1, abs=EXACT)
    assert found["x2"] == pytest.approx(2, abs=EXACT)


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("never", [0, 1, 2])
def test_group_time_effects_and_their_averages_are_those_of_the_closed_form(effect, never):
    for extra in (
        {},
        {"always": 1},
        {"later": 1},
        {"singletons": 2 * (never > 0), "duplicates": 0, "order": "shuffled"},
        {"holes": 2, "attrition": 1, "missing_y": 1, "first_period": 2012, "step": 2, "ids": "string", "units": 20},
        {"ids": "huge", "integer_y": 1, "tau": -3},
    ):
        panel = make_panel(
            PanelSpec(**{**WIDE, "cohorts": 3, "never": never, "effect": effect, "errors": "none", **extra})
        )
        truth = panel.truth
        control = {"control_group": "notyettreated"}
        found = att_gt(panel, **control)
        wanted = {f"ATT({e.group},{e.time})": e.value for e in truth.identified()}
        assert found.keys() <= wanted.keys()
        assert {t for t in wanted if int(t[4:-1].split(",")[1]) != panel.spec.first_period} == found.keys(), panel
        for term, value in found.items():
            assert value == pytest.approx(wanted[term], abs=EXACT)
        for kind in AGGREGATIONS:
            mean = truth.aggregate(kind, panel.sizes())
            for term, value in att_gt(panel, aggregation=kind, **control).items():
                assert value == pytest.approx(mean[term], abs=EXACT), (panel, kind, term)
    if effect == "both":
        assert truth.tau is None


def test_never_treated_units_that_leave_a_balanced_panel_compare_nothing():
    panel = make_panel(PanelSpec(**WIDE, cohorts=3, never=0, singletons=2))
    for control in ("notyettreated", "nevertreated"):
        with pytest.raises(DataError, match="has no comparison units"):
            att_gt(panel, control_group=control)
    assert make_panel(PanelSpec(cohorts=0)).truth.identified() == ()


def test_weighted_shares_are_those_of_the_first_period():
    panel = make_panel(
        PanelSpec(
            units=16, periods=5, cohorts=3, effect="both", errors="none", weights="sampling", holes=2, order="shuffled"
        )
    )
    shares = panel.sizes(weighted=True)
    for kind in AGGREGATIONS:
        mean = panel.truth.aggregate(kind, shares)
        assert mean != panel.truth.aggregate(kind, panel.sizes())
        for term, value in att_gt(panel, aggregation=kind, weights="weight").items():
            assert value == pytest.approx(mean[term], abs=EXACT)


def test_averages_by_hand():
    """Two cohorts of 3 and 1 units treated from 2 and 3 in three periods: effects 1, 2 and 10."""
    cells = [(2, 1, 0), (2, 2, 1), (2, 3, 2), (3, 1, 0), (3, 2, 0), (3, 3, 10)]
    effects = [GroupTimeEffect(group=g, time=t, value=float(v)) for g, t, v in cells]
    shares = {0: 5, 2: 3, 3: 1}
    assert aggregate(effects, shares, "simple") == {"overall": (3 * 1 + 3 * 2 + 10) / 7}
    assert aggregate(effects, shares, "dynamic") == {
        "overall": (13 / 4 + 2) / 2,
        "event=-2": 0,
        "event=-1": 0,
        "event=0": 13 / 4,
        "event=1": 2,
    }
    assert aggregate(effects, shares, "group") == {"overall": (3 * 1.5 + 10) / 4, "group=2": 1.5, "group=3": 10}
    assert aggregate(effects, shares, "calendar") == {"overall": (1 + 4) / 2, "year=2": 1, "year=3": (6 + 10) / 4}
    with pytest.raises(DataError, match="no effect after treatment"):
        aggregate(effects, {0: 5}, "simple")


def test_the_effect_is_in_the_outcome_cell_by_cell():
    spec = {**WIDE, "cohorts": 3, "errors": "none", "effect": "both", "tau": 2, "always": 1}
    with_, without = make_panel(PanelSpec(**spec)), make_panel(PanelSpec(**{**spec, "effect": "zero"}))
    gap = with_.frame["y"].values - without.frame["y"].values
    known = {(e.group, e.time): e.value for e in with_.truth.att}
    rows = zip(with_.frame["cohort"].values, with_.frame["time"].values, strict=True)
    assert np.array_equal(gap, [known.get((g, t), 0.0) for g, t in rows])
    assert np.array_equal(with_.frame["treated"].values == 1, gap != 0)


def test_counts_and_binary_outcomes_follow_their_links():
    big = {"units": 400, "periods": 10, "regressors": 1, "effect": "constant"}
    index = make_panel(PanelSpec(**big, errors="none")).frame["y"].values / 8
    mean = make_panel(PanelSpec(**big, errors="none", outcome="count"))
    assert np.allclose(mean.frame["y"].values, np.exp(index))
    assert mean.truth.tau == mean.truth.beta("x1") == 1 / 8
    assert not mean.truth.exact
    count = make_panel(PanelSpec(**big, outcome="count")).frame["y"]
    assert count.kind == "integer"
    assert np.polyfit(index, np.log(np.exp(index)), 1)[0] == pytest.approx(1)
    grouped = pd.Series(count.values).groupby(pd.cut(index, [-1, -0.5, 0, 0.5, 1]), observed=True).mean()
    assert grouped.is_monotonic_increasing
    binary = make_panel(PanelSpec(**big, outcome="binary")).frame["y"].values
    assert set(binary) == {0, 1}
    expected = (1 / (1 + np.exp(-index))).mean()
    assert abs(binary.mean() - expected) < 5 * np.sqrt(0.25 / binary.size)


def test_outcomes_of_separated_units_are_zero():
    for outcome in ("count", "binary"):
        y = make_panel(PanelSpec(units=20, periods=6, outcome=outcome, separated=3)).frame["y"].values
        assert not y[:18].any()
        assert y[18:].any()


def test_written_errors_are_those_of_the_outcome():
    spec = PanelSpec(units=3, periods=2, singletons=1)
    shocks = np.arange(8.0).reshape(4, 2)
    silent = make_panel(PanelSpec(units=3, periods=2, singletons=1, errors="none")).frame["y"].values
    gap = make_panel(spec, shocks).frame["y"].values - silent
    assert gap[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert gap[6] in (6, 7)
    for wrong in (PanelSpec(units=3, periods=2), PanelSpec(units=3, periods=2, singletons=1, errors="none")):
        with pytest.raises(DataError, match="shocks"):
            make_panel(wrong, shocks)
    with pytest.raises(DataError, match="cell by cell"):
        written_panels(Limits(units=(2, 9), periods=(2, 6)))


def test_written_panels_shrink_to_the_rows_and_numbers_that_matter():
    """A large outcome beside a treated unit: the other errors become zero."""
    found = find(
        written_panels(),
        lambda p: np.ptp(p.frame["y"].as_float()) > 20,
        settings=settings(database=None, derandomize=True, max_examples=2000),
    )
    assert found.frame.nrows <= 6
    plain = make_panel(found.spec, np.zeros((found.spec.units, found.spec.periods)))
    assert (found.frame["y"].values != plain.frame["y"].values).sum() <= 2


# Errors


def test_errors_are_what_they_say():
    rng = np.random.Generator(np.random.PCG64(1))
    drawn = {kind: errors(kind, rng, 3000, 12) for kind in ERRORS}
    assert not drawn["none"].any()
    for kind in ("iid", "hetero", "serial"):
        assert abs(drawn[kind].mean()) < 0.05
    lagged = {k: np.corrcoef(e[:, 5], e[:, 6])[0, 1] for k, e in drawn.items() if k != "none"}
    assert abs(lagged["iid"]) < 0.08
    assert lagged["serial"] == pytest.approx(PERSISTENCE, abs=0.05)
    variance = drawn["serial"].var(axis=0)
    assert np.allclose(variance, 1 / (1 - PERSISTENCE**2), rtol=0.12)
    assert drawn["unit_root"].var(axis=0)[11] == pytest.approx(12, rel=0.15)
    standardised = drawn["hetero"] / spread(3000, 12)
    assert standardised.var() == pytest.approx(1, rel=0.05)
    assert spread(8, 8).max() / spread(8, 8).min() == pytest.approx(9)
    between = {k: drawn[k].mean(axis=0).std() for k in ("iid", "cross_section")}
    assert between["cross_section"] > 10 * between["iid"]


# Quirks


def column(name, **fields):
    return make_panel(PanelSpec(**{**WIDE, **fields})).frame[name]


def test_cohorts_are_spread_and_nobody_is_left_out():
    starts = cohort_starts(PanelSpec(units=20, periods=7, cohorts=3, never=1, always=1, later=1))
    assert Counter(starts.tolist())[-1] == 5
    assert np.unique(starts).tolist() == [-1, 0, 1, 3, 5, 7]
    sizes = [int((starts == s).sum()) for s in (1, 3, 5)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]
    for never, units in ((0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (1, 1), (2, 3)):
        spec = PanelSpec(units=units, never=never, cohorts=0 if never == 4 else 1)
        assert spec.never_treated + spec.treated == units
        assert (cohort_starts(spec) == -1).sum() == spec.never_treated


@pytest.mark.parametrize("field", [name for name in QUIRKS if name.startswith("missing_")])
@pytest.mark.parametrize("count", [1, 5])
def test_values_are_missing_where_and_as_often_as_asked(field, count):
    panel = make_panel(
        PanelSpec(**WIDE, regressors=1, weights="frequency", crossed=2, clusters=3, ids="string", **{field: count})
    )
    where = {"missing_weights": "weight", "missing_x": "x1"}.get(field, field.removeprefix("missing_"))
    missing = {c.name: int(c.missing.sum()) for c in panel.frame.columns if c.missing.any()}
    assert missing == {where: count}
    assert int(panel.to_pandas()[where].isna().sum()) == count


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        ({}, 72),
        ({"holes": 3}, 69),
        ({"gaps": 2}, 70),
        ({"singletons": 2}, 74),
        ({"duplicates": 3}, 75),
        ({"holes": 3, "gaps": 2, "singletons": 2, "duplicates": 1}, 70),
    ],
)
def test_rows_are_counted(fields, rows):
    assert make_panel(PanelSpec(**WIDE, **fields)).frame.nrows == rows


def test_gaps_attrition_singletons_and_duplicates():
    gaps = make_panel(PanelSpec(**WIDE, gaps=3)).to_pandas().groupby("unit")["time"].agg(["min", "max", "size"])
    assert (gaps[["min", "max"]] == [1, 6]).all(axis=None)
    assert (gaps["size"] == 5).sum() == 3
    left = make_panel(PanelSpec(**WIDE, attrition=4)).to_pandas().groupby("unit")["time"].agg(["min", "max", "size"])
    assert ((left["max"] < 6) & (left["max"] == left["size"]) & (left["min"] == 1)).sum() == 4
    alone = make_panel(PanelSpec(**WIDE, singletons=3)).to_pandas()
    once = alone.groupby("unit").filter(lambda g: len(g) == 1)
    assert len(once) == 3
    assert (once["cohort"] == 0).all()
    twice = make_panel(
        PanelSpec(**WIDE, duplicates=4, missing_y=5, regressors=2, unused=1, order="shuffled")
    ).to_pandas()
    assert twice.duplicated().sum() == twice.duplicated(["unit", "time"]).sum() == 4


def test_factors_are_nested_crossed_of_one_level_and_unused():
    panel = make_panel(PanelSpec(**WIDE, nested=3, crossed=4, one_level=1, unused=2, ids="string", order="shuffled"))
    data = panel.to_pandas()
    assert (data.groupby("unit", observed=True)["region"].nunique() == 1).all()
    assert data["region"].nunique() == 3
    assert (data.groupby("unit", observed=True)["sector"].nunique() > 1).any()
    assert data["sector"].nunique() == 4
    assert data["country"].nunique() == 1
    for name, used in (("unit", 12), ("region", 3), ("sector", 4), ("country", 1), ("grade", 2)):
        levels = panel.frame[name].levels
        assert len(levels) == used + 2
        assert list(levels) == sorted(levels)
        assert data[name].nunique() == used
        assert {levels[0], levels[-1]}.isdisjoint(data[name].astype(str))


def test_identifiers_are_of_their_kind():
    for ids in ("string", "non_ascii", "na_like", "logical"):
        unit = column("unit", ids=ids, units=30)
        assert unit.kind == "category"
        assert len(unit.levels) == 30
    assert {"NA", "nan", "01", "1", "1.0", "null"} < set(column("unit", ids="na_like").levels)
    assert {"T", "F", "TRUE", "no"} < set(column("unit", ids="logical").levels)
    assert not any(level.isascii() for level in column("unit", ids="non_ascii").levels)
    digits = column("unit", ids="digits", units=20).levels
    assert len({float(level) for level in digits}) < len(set(digits)) == 20
    huge = column("unit", ids="huge")
    assert huge.kind == "integer"
    assert np.unique(huge.values).size == 12
    assert np.unique(huge.values.astype(np.float32)).size == 1
    assert huge.values.min() > 2**52
    assert huge.values.max() < 2**53
    assert 0.1 + 0.2 in column("unit", ids="float").values
    assert column("unit", ids="integer").values.dtype == np.int32
    assert column("unit", ids="integer", missing_unit=1).values.dtype == np.float64
    assert column("time", first_period=2**33, step=5).values.tolist()[:2] == [2**33, 2**33 + 5]


def test_regressors_are_called_and_built_as_asked():
    names = {
        n: make_panel(PanelSpec(**WIDE, regressors=2, naming=n)).regressors
        for n in ("plain", "logical", "na_like", "spaced")
    }
    assert names == {
        "plain": ("x1", "x2"),
        "logical": ("T", "F"),
        "na_like": ("NA", "NaN"),
        "spaced": ("my x 1", "my x 2"),
    }
    panel = make_panel(
        PanelSpec(**WIDE, regressors=2, collinear=1, constant=1, invariant=1, near=6, instruments=2, x_offset=6)
    )
    x = {name: panel.frame[name].values for name in (*panel.regressors, *panel.extras)}
    assert panel.extras == ("xc", "xn", "xk", "xi")
    assert np.array_equal(x["xc"], x["x1"] + x["x2"])
    assert np.unique(x["xk"]).size == 1
    assert np.unique(x["xi"].reshape(12, 6)[:, 0]).size == np.unique(x["xi"]).size == 12
    assert 0 < np.abs(x["xn"] - x["x1"]).max() < 1e-5
    assert x["x1"].mean() == pytest.approx(1e6, rel=1e-5)
    assert panel.instruments == ("z1", "z2")
    assert [panel.truth.beta(name) for name in panel.extras] == [0, 0, 0, 0]
    with pytest.raises(DataError, match="no regressor"):
        panel.truth.beta("nobody")


def test_the_endogenous_regressor_moves_with_the_errors_and_the_instruments_do_not():
    big = {"units": 2000, "periods": 2, "instruments": 1, "seed": 3}
    noisy, silent = make_panel(PanelSpec(**big)).frame, make_panel(PanelSpec(**big, errors="none")).frame
    error = noisy["y"].values - silent["y"].values
    assert np.corrcoef(error, noisy["endog"].values)[0, 1] == pytest.approx(0.5, abs=0.05)
    assert abs(np.corrcoef(error, noisy["z1"].values)[0, 1]) < 0.06


def test_integers_offsets_and_scales():
    assert column("y", integer_y=1).kind == column("x1", regressors=1, integer_x=1).kind == "integer"
    assert column("y", integer_y=1).values.dtype == np.int32
    big = column("y", integer_y=1, y_offset=12)
    assert big.values.dtype == np.float64
    assert np.array_equal(big.values, np.rint(big.values))
    for power in (3, 9):
        plain, moved = column("y"), column("y", y_offset=power)
        assert np.allclose(moved.values - plain.values, 10.0**power, rtol=1e-12)
        x, scaled = column("x1", regressors=1), column("x1", regressors=1, scale=power)
        assert np.allclose(scaled.values, x.values * 10.0**power, rtol=1e-15)


def test_clusters_are_few_many_unequal_or_crossing():
    def sizes(**fields):
        panel = make_panel(PanelSpec(**WIDE, **fields)).to_pandas()
        nested = (panel.groupby("unit")["cluster"].nunique() == 1).all()
        return sorted(panel["cluster"].value_counts()), bool(nested)

    assert sizes(clusters=3) == ([24, 24, 24], True)
    assert sizes(clusters=12) == ([6] * 12, True)
    assert sizes(clusters=3, cluster_shape="unequal") == ([18, 18, 36], True)
    assert sizes(clusters=11, cluster_shape="unequal") == ([6] * 10 + [12], True)
    rows, nested = sizes(clusters=5, cluster_shape="crossing")
    assert len(rows) == 5
    assert not nested
    assert sizes(clusters=1, cluster_shape="unequal") == ([72], True)
    text = column("cluster", clusters=3, cluster_ids="string", missing_cluster=1, unused=1)
    assert text.kind == "category"
    assert len(text.levels) == 4
    assert text.missing.sum() == 1


def test_weights_are_of_their_kind():
    weight = {kind: column("weight", weights=kind) for kind in ("ones", "analytic", "frequency", "sampling")}
    assert (weight["ones"].values == 1).all()
    assert weight["frequency"].kind == "integer"
    assert set(weight["frequency"].values) == {1, 2, 3, 4}
    assert (np.ptp(weight["sampling"].values.reshape(12, 6), axis=1) == 0).all()
    assert np.unique(weight["analytic"].values).size == 72
    for kind in weight:
        values = column("weight", weights=kind, zero_weights=4, missing_weights=3).as_float()
        assert (values == 0).sum() == 4
        assert np.isnan(values).sum() == 3
        assert (values[~np.isnan(values)] >= 0).all()
    assert np.allclose(column("weight", weights="sampling", weight_scale=3).values, 1000 * weight["sampling"].values)
    kinds = {k: make_panel(PanelSpec(weights=k)).weights for k in ("none", "frequency", "sampling")}
    assert kinds["none"] is None
    assert kinds["frequency"].type == "frequency"
    assert kinds["sampling"].type == "analytic"


def test_rows_and_index_are_ordered_as_asked():
    fields = {**WIDE, "regressors": 1, "missing_y": 3, "unused": 1}
    tables = {
        o: make_panel(PanelSpec(**fields, order=o)).to_pandas() for o in ("sorted", "reversed", "by_time", "shuffled")
    }
    keys = {o: list(zip(t["unit"], t["time"], strict=True)) for o, t in tables.items()}
    assert keys["sorted"] == sorted(keys["sorted"])
    assert keys["reversed"] == keys["sorted"][::-1]
    assert keys["by_time"] == sorted(keys["sorted"], key=lambda k: (k[1], k[0]))
    assert keys["shuffled"] not in (keys["sorted"], keys["reversed"], keys["by_time"])
    for table in tables.values():
        again = table.sort_values(["unit", "time"], ignore_index=True)
        pd.testing.assert_frame_equal(again, tables["sorted"])
    index = {
        i: make_panel(PanelSpec(**fields, index=i)).to_pandas()
        for i in ("range", "offset", "reversed", "repeated", "text")
    }
    assert index["range"].index.tolist() == list(range(72))
    assert index["offset"].index.tolist() == list(range(100, 172))
    assert index["reversed"].index.tolist() == list(range(72))[::-1]
    assert not index["repeated"].index.is_unique
    assert isinstance(index["text"].index[0], str)
    for table in index.values():
        pd.testing.assert_frame_equal(table.reset_index(drop=True), index["range"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"units": 0}, "greater than or equal to 1"),
        ({"colour": 1}, "not permitted"),
        ({"effect": "large"}, "constant"),
        ({"scale": 3}, "regressors"),
        ({"zero_weights": 1}, "weights"),
        ({"missing_cluster": 1}, "clusters"),
        ({"cluster_ids": "string"}, "clusters"),
        ({"weights": "frequency", "weight_scale": 3}, "analytic or sampling"),
        ({"separated": 1}, "count"),
        ({"missing_sector": 1}, "crossed"),
        ({"outcome": "count", "y_offset": 3}, "continuous"),
        ({"gaps": 1}, "gaps can be 0"),
        ({"attrition": 3}, "attrition can be 2"),
        ({"holes": 4}, "holes can be 3"),
        ({"cohorts": 2}, "cohorts can be 1"),
        ({"clusters": 3}, "clusters can be 2"),
        ({"crossed": 5}, "crossed can be 4"),
        ({"missing_y": 3, "duplicates": 2}, "duplicates can be 1"),
        ({"always": 1, "later": 1}, "treated unit"),
        ({"cohorts": 0, "later": 1}, "treated unit"),
        ({"regressors": 1, "integer_x": 1, "scale": -1}, "integer_x"),
    ],
)
def test_a_panel_that_cannot_be_is_refused(fields, words):
    with pytest.raises(DataError, match=words):
        PanelSpec(**fields)


def test_limits_that_leave_nothing_are_refused():
    for wrong in ({"quirks": ("gap",)}, {"units": (3, 2)}, {"errors": ()}, {"rarity": 0}, {"periods": (0, 2)}):
        with pytest.raises(DataError):
            Limits(**wrong)


# Drawing


def test_a_thousand_panels_reach_every_value_of_every_quirk_quickly():
    reached, seconds = set(), []
    limits = Limits(outcomes=("continuous", "continuous", "count", "binary"))
    for k in range(1000):
        started = time.perf_counter()
        panel = make_panel(seeded_spec(k, limits))
        seconds.append(time.perf_counter() - started)
        reached |= {(name, value) for name, value in panel.spec.changes().items() if name != "seed"}
        assert panel.frame.nrows >= 1
        assert len(panel.to_pandas()) == panel.frame.nrows if k % 20 == 0 else True
    clipped = {("clusters", 10_000)}
    wanted = {(name, value) for name, values in QUIRKS.items() for value in values} - clipped
    assert wanted <= reached, wanted - reached
    assert {value for name, value in reached if name == "errors"} == set(ERRORS) - {"iid"}
    assert {value for name, value in reached if name == "effect"} == set(EFFECTS) - {"constant"}
    assert statistics.median(seconds) < 0.005


def test_limits_are_kept():
    limits = Limits(units=(3, 5), periods=(2, 3), errors=("serial",), effects=("zero",), quirks=("holes", "weights"))
    for k in range(100):
        spec = seeded_spec(k, limits)
        assert 3 <= spec.units <= 5
        assert 2 <= spec.periods <= 3
        assert (spec.errors, spec.effect) == ("serial", "zero")
        assert spec.changes().keys() <= {
            "units",
            "periods",
            "cohorts",
            "never",
            "effect",
            "errors",
            "holes",
            "weights",
            "seed",
        }


def test_the_first_choices_are_the_plainest_panel():
    assert draw_spec(lambda options: options[0], Limits()) == PanelSpec()
    assert make_panel(PanelSpec()).frame.nrows == 4


@settings(max_examples=100, database=None, deadline=None)
@given(panels(Limits(outcomes=("continuous", "count", "binary"))))
def test_hypothesis_draws_panels_that_hold_together(panel):
    frame, truth = panel.frame, panel.truth
    assert {"unit", "time", "y", "treated", "cohort"} <= set(frame.names)
    assert sum(size for _, size in truth.cohorts) == panel.spec.units
    dated = ~frame["time"].missing
    untreated = (frame["cohort"].values == 0) | (frame["time"].values < frame["cohort"].values)
    assert np.array_equal((frame["treated"].values == 0)[dated], untreated[dated])


PLANTED = {
    "a duplicate": (lambda p: p.spec.duplicates > 0, 5),
    "a missing outcome and a weight of zero": (lambda p: p.spec.missing_y > 0 and p.spec.zero_weights > 0, 4),
    "two cohorts with different effects": (
        lambda p: len({e.value for e in p.truth.identified() if e.time >= e.group}) > 1,
        9,
    ),
    "a singleton and clusters across units": (
        lambda p: p.spec.singletons > 0 and p.spec.cluster_shape == "crossing",
        7,
    ),
    "identifiers that float32 confuses": (
        lambda p: (
            np.unique(p.frame["unit"].as_float().astype("f4")).size < p.spec.units
            if p.frame["unit"].kind != "category"
            else False
        ),
        4,
    ),
    "more than one row in three lost": (
        lambda p: p.spec.units * p.spec.periods >= 1.5 * p.frame.nrows,
        8,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_property_shrinks_to_a_few_rows(name):
    planted, rows = PLANTED[name]
    calls = Counter()

    def counted(panel):
        calls[name] += 1
        return planted(panel)

    found = find(panels(), counted, settings=settings(max_examples=3000, database=None, derandomize=True))
    assert found.frame.nrows <= rows <= 12, found
    assert len(found.spec.changes()) <= 6, found
    assert calls[name] < 3000


def test_specifications_shrink_to_the_plainest():
    assert find(specs(), lambda s: True, settings=settings(database=None)) == PanelSpec()
