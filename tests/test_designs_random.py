"""Draws, placebos and the wild cluster bootstrap: against loops, plain bootstraps and R."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from crosscheck.canon import sha256
from crosscheck.conventions import Ssc, p_of
from crosscheck.design_options import Draws, PlaceboOptions, WildOptions
from crosscheck.designs import bootstrap, placebo
from crosscheck.designs.draws import (
    WEBB,
    aligned,
    as_draws,
    draw_subsets,
    draw_weights,
    embed,
    enumerate_signs,
    read_draws,
    table_of,
    values_of,
    write_draws,
)
from crosscheck.designs.panel import covariance, fit
from crosscheck.errors import DataError
from tests.designs_helpers import (
    LABELS,
    START,
    UNITS,
    arrays,
    ask,
    digits,
    draws,
    extras,
    in_r,
    need_r,
    panel_frame,
    python,
)

SSC = Ssc()
KINDS = ("subset", "rademacher", "webb", "resample")


def test_draws_of_a_seed_never_change():
    table = draw_subsets(20240101, 1000, 6, 28)
    assert (table.sum(axis=1) == 6).all()
    assert sha256(table.tobytes()) == "2f8b1ef70a7f6cfc62abb7f3f3528d7c5d4993b26f22d3692c02d35953c4e003"
    signs = draw_weights(20240101, 999, 28, "rademacher")
    assert sha256(signs.tobytes()) == "6df42eaaf75e7a726a12e7e447ff5f3bece3e5a9118f6b159c9e4811dbd87712"
    np.testing.assert_array_equal(draw_subsets(20240101, 10, 6, 28), table[:10])
    share = draw_subsets(5, 4000, 7, 28).mean(axis=0)
    assert np.abs(share - 0.25).max() < 0.04


@pytest.mark.parametrize("kind", KINDS)
def test_draws_survive_the_file_and_the_request(tmp_path, kind):
    table = write_draws(tmp_path / "d.csv", 3, 50, LABELS, kind, size=6)
    read = read_draws(tmp_path, "d.csv", kind)
    np.testing.assert_array_equal(aligned(read, LABELS, "province"), table)
    again = Draws.model_validate_json(read.model_dump_json())
    np.testing.assert_array_equal(table_of(again), table_of(read))
    assert read.sha256 == sha256((tmp_path / "d.csv").read_bytes())


def test_draws_are_read_where_a_study_is_loaded(tmp_path):
    write_draws(tmp_path / "d.csv", 3, 50, LABELS, "subset", size=6)
    options = PlaceboOptions.model_validate({"treatment": "D", "start": 2016, "draws": "d.csv"})
    with pytest.raises(DataError, match="were not read"):
        table_of(options.draws)
    known = embed(options, tmp_path)
    assert known.draws.kind == "subset"
    assert embed(known, tmp_path / "elsewhere") == known
    with pytest.raises(DataError, match="study's folder"):
        embed(PlaceboOptions.model_validate({"treatment": "D", "start": 2016, "draws": "../d.csv"}), tmp_path / "x")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("draw,unit\n1,a\n1,a\n", "subset", "twice"),
        ("draw,unit\n1,a\n3,b\n", "subset", "without gaps"),
        ("unit,draw\na,1\n", "subset", "the first line is"),
        ("draw,a,b\n1,1,0\n", "rademacher", "no draws of kind"),
        ("draw,a,b\n1,1\n", "rademacher", "another number of cells"),
        ("draw,a,a\n1,1,1\n", "rademacher", "each once"),
    ],
)
def test_files_that_are_no_draws_are_refused(tmp_path, text, kind, message):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_draws(tmp_path, "d.csv", kind)


def test_draws_of_other_units_are_refused():
    with pytest.raises(DataError, match="in the draws and not in the sample"):
        aligned(as_draws("subset", ("a", "b"), np.ones((1, 2), dtype=np.int8)), ("a", "c"), "unit")
    with pytest.raises(DataError, match="in the sample and not in the draws"):
        aligned(as_draws("webb", ("a",), np.ones((1, 1), dtype=np.int8)), ("a", "c"), "unit")


def test_webb_weights_have_mean_zero_and_variance_one():
    assert WEBB.mean() == pytest.approx(0, abs=1e-16)
    assert (WEBB**2).mean() == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("keep", [1.0, 0.75])
@pytest.mark.parametrize("vcov", ["iid", "HC1", "CRV1"])
def test_placebos_equal_the_loop_to_twelve_digits(vcov, keep):
    frame = panel_frame(keep=keep)
    panel = arrays(frame)
    unit, late = panel.effects[("province",)], frame["year"].as_float() >= START
    table = draw_subsets(2, 25, 6, UNITS)
    made = placebo.run(placebo.prepare(panel, "BDPZs", unit, late, vcov, SSC), table)
    for i, row in enumerate(table):
        found = placebo.placebo_once(panel, "BDPZs", row[unit] * late * 1.0)
        for kind, se, p in (
            (vcov, made.std_error[i], made.p_value[i]), ("iid", made.std_error_iid[i], made.p_value_iid[i]),
        ):  # fmt: skip
            own = covariance(found, kind, SSC)
            assert made.estimate[i] == pytest.approx(found.coef[0], rel=1e-12, abs=1e-12 * own.std_errors[0])
            assert se == pytest.approx(own.std_errors[0], rel=1e-12)
            assert p == pytest.approx(p_of(found.coef[0] / own.std_errors[0], own.small.df_t), rel=1e-10)


def test_placebos_equal_pyfixest():
    pf = pytest.importorskip("pyfixest")
    frame = panel_frame()
    panel = arrays(frame)
    unit, late = panel.effects[("province",)], frame["year"].as_float() >= START
    table = draw_subsets(4, 5, 9, UNITS)
    made = placebo.run(placebo.prepare(panel, "BDPZs", unit, late, "CRV1", SSC), table)
    data = frame.to_pandas().rename(columns={"my con": "con"})
    for i, row in enumerate(table):
        data["D"] = row[unit] * late * 1.0
        found = pf.feols(
            "NQP ~ D + Tin + con + Fin | province + year", data, vcov={"CRV1": "province"}, fixef_rm="none"
        )
        assert made.estimate[i] == pytest.approx(found.coef()["D"], rel=1e-10)
        assert made.std_error[i] == pytest.approx(found.se()["D"], rel=1e-12)


def test_chunks_do_not_matter_and_progress_is_told(monkeypatch):
    frame = panel_frame()
    panel = arrays(frame)
    late = frame["year"].as_float() >= START
    prepared = placebo.prepare(panel, "BDPZs", panel.effects[("province",)], late, "CRV1", SSC)
    table = draw_subsets(2, 300, 6, UNITS)
    whole = placebo.run(prepared, table)
    monkeypatch.setattr(placebo, "CHUNK_CELLS", 7 * 308)
    told = []
    parts = placebo.run(prepared, table, progress=lambda done, total: told.append((done, total)))
    # an estimate near zero is as exact as its standard error allows
    np.testing.assert_allclose(
        parts.estimate / whole.std_error, whole.estimate / whole.std_error, rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(parts.std_error, whole.std_error, rtol=1e-12)
    assert told[0] == (7, 300)
    assert told[-1] == (300, 300)


def test_a_placebo_that_does_not_vary_has_no_estimate():
    frame = panel_frame()
    panel = arrays(frame)
    late = frame["year"].as_float() >= START
    prepared = placebo.prepare(panel, "BDPZs", panel.effects[("province",)], late, "CRV1", SSC)
    table = np.zeros((3, UNITS), dtype=np.int8)
    table[0] = 1  # all units: the year effects hold it already
    table[1, :6] = table[2, 6:12] = 1
    made = placebo.run(prepared, table)
    assert np.isnan([made.estimate[0], made.std_error[0], made.p_value[0]]).all()
    found = placebo.summarize(made, 0.02, 2.0, threshold=0.1, probabilities=(), method="r7")
    assert (found.n_draws, found.n_failed) == (2, 1)
    with pytest.raises(DataError, match="leaves no period"):
        placebo.prepare(panel, "BDPZs", panel.effects[("province",)], late | True, "CRV1", SSC)


def test_randomization_p_values_by_counting():
    made = placebo.Placebos(
        estimate=np.array([1.0, -2.0, 3.0, 0.5, 2.0, np.nan]),
        std_error=np.array([1.0, 4.0, 1.0, 1.0, 1.0, np.nan]),
        std_error_iid=np.ones(6),
        p_value=np.array([0.3, 0.6, 0.01, 0.5, 0.05, np.nan]),
        p_value_iid=np.array([0.3, 0.05, 0.01, 0.5, 0.05, np.nan]),
    )
    found = placebo.summarize(made, 2.0, 2.0, threshold=0.1, probabilities=(0.5,), method="r7")
    assert (found.n_draws, found.rank, found.quantiles) == (5, 2, (1.0,))
    assert found.p_exceed == 3 / 5
    assert found.p_randomization == 4 / 6
    assert found.p_upper == 3 / 6
    assert found.p_randomization_t == 3 / 6
    assert (found.share_p, found.share_p_iid) == (2 / 5, 3 / 5)


def test_all_assignments_give_the_exact_p_value():
    frame = panel_frame()
    frame = frame.take(frame["province"].codes()[0] < 7)
    panel = arrays(frame, ("BDPZs",))
    unit, late = panel.effects[("province",)], frame["year"].as_float() >= START
    treated = sorted({int(u) for u in unit[panel.x[:, 0] > 0]})
    sets = list(itertools.combinations(range(7), len(treated)))
    table = np.zeros((len(sets), 7), dtype=np.int8)
    for row, chosen in zip(table, sets, strict=True):
        row[list(chosen)] = 1
    prepared = placebo.prepare(panel, "BDPZs", unit, late, "CRV1", SSC)
    made = placebo.run(prepared, table)
    true = prepared.found.coef[0]
    own = made.estimate[sets.index(tuple(treated))]
    assert own == pytest.approx(true, rel=1e-11)
    by_hand = np.mean(
        [abs(placebo.placebo_once(panel, "BDPZs", r[unit] * late * 1.0).coef[0]) >= abs(true) - 1e-9 for r in table]
    )
    found = placebo.summarize(made, true, 1.0, threshold=0.1, probabilities=(), method="r7")
    assert found.p_exceed == by_hand
    assert found.p_exceed >= 1 / math.comb(7, len(treated))


@pytest.mark.parametrize("impose", [True, False])
@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_bootstrap_t_equals_refitting_on_bootstrap_outcomes(impose, keep):
    panel = arrays(panel_frame(keep=keep))
    wild = bootstrap.prepare(panel, "BDPZs", SSC)
    weights = values_of("webb", draw_weights(1, 6, UNITS, "webb"))
    null = 0.01
    fast = wild.draws(weights, null, impose=impose)
    codes = panel.clusters["province"]
    full = fit(panel)
    x = full.panel.x
    at = full.index("BDPZs")
    if impose:
        kept = [j for j in range(x.shape[1]) if j != at]
        base = fit(replace(panel, y=panel.y - null * x[:, at], x=x[:, kept], names=tuple(full.names[j] for j in kept)))
        fitted, resid, centre = panel.y - base.resid, base.resid, null
    else:
        fitted, resid, centre = panel.y - full.resid, full.resid, full.coef[at]
    for row, t in zip(weights, fast, strict=True):
        again = fit(replace(panel, y=fitted + resid * row[codes]))
        se = covariance(again, "CRV1", SSC).std_errors[at]
        assert t == pytest.approx((again.coef[at] - centre) / se, rel=1e-9)


def test_bootstrap_interval_ends_where_the_test_turns():
    wild = bootstrap.prepare(arrays(panel_frame()), "BDPZs", SSC)
    weights = values_of("rademacher", draw_weights(1, 399, UNITS, "rademacher"))
    low, high = bootstrap.interval(wild, weights, 0.95)
    step = 1e-6 * wild.std_error
    for bound, sign in ((low, -1), (high, 1)):
        assert bootstrap.p_value(wild, weights, bound - sign * step) >= 0.05
        assert bootstrap.p_value(wild, weights, bound + sign * step) < 0.05
    assert low < wild.estimate < high


def test_enumerated_signs_are_symmetric_and_ties_have_a_rule():
    signs = values_of("rademacher", enumerate_signs(11))
    assert signs.shape == (2048, 11)
    assert len({tuple(row) for row in signs.tolist()}) == 2048
    wild = bootstrap.prepare(arrays(panel_frame(), clusters=("year",)), "my con", SSC)
    p = {ties: bootstrap.p_value(wild, signs, ties=ties) for ties in ("strict", "half", "count")}
    assert p["count"] - p["strict"] == pytest.approx(2 / 2048, abs=1e-15)  # the sample itself and its mirror image
    assert p["half"] == pytest.approx((p["strict"] + p["count"]) / 2, abs=1e-15)
    assert wild.draws(signs).mean() == pytest.approx(0, abs=1e-12)
    with pytest.raises(DataError, match="too many"):
        enumerate_signs(28)


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="name a file of draws"):
        WildOptions(treatment="D", cluster="g", weight="webb")
    with pytest.raises(ValueError, match="null imposed"):
        WildOptions(treatment="D", cluster="g", interval=True, impose_null=False)


def test_the_grid_says_which_stars_survive():
    frame = panel_frame()
    request = ask("inference_grid", treatment="BDPZs", cluster="province", draws=draws("rademacher", 199), lag=2)
    found = python(request, frame)
    panel = arrays(frame)
    for row in found.coefs:
        kind = row.term.split("[")[1][:-1]
        own = covariance(fit(panel), kind, SSC, lag=2)
        assert row.std_error == pytest.approx(own.std_errors[0], rel=1e-12)
        stars = extras(found)[row.term, "stars"]
        assert stars == sum(row.p_value < level for level in (0.1, 0.05, 0.01))
    assert {r.term for r in found.coefs} == {f"BDPZs [{v}]" for v in ("iid", "HC1", "CRV1", "CRV3", "DK")}
    assert 0 <= extras(found)["BDPZs [wild]", "p_value"] <= 1


PLACEBO = {"treatment": "BDPZs", "start": 2016}
WILD = {"treatment": "BDPZs", "cluster": "province"}
REQUESTS = {
    "placebo": ask("placebo", vcov="CRV1", by=["province"], **PLACEBO, draws=draws("subset", 60)),
    "placebo of nine": ask("placebo", vcov="HC1", **PLACEBO, draws=draws("subset", 30, size=9), quantile="r2"),
    "placebo, iid": ask("placebo", **PLACEBO, draws=draws("subset", 30)),
    "wild": ask("wild_bootstrap", **WILD, draws=draws("rademacher", 199), interval=True),
    "wild, null": ask("wild_bootstrap", **WILD, draws=draws("rademacher", 99), null=0.01, ties="half"),
    "wild, Webb": ask("wild_bootstrap", **WILD, weight="webb", draws=draws("webb", 199), impose_null=False),
    "wild, all signs": ask("wild_bootstrap", treatment="my con", cluster="year", ties="count", interval=True),
    "grid": ask("inference_grid", **WILD, draws=draws("rademacher", 99), interval=True),
    "grid, no bootstrap": ask("inference_grid", **WILD, wild=False, lag=1),
}


@pytest.mark.parametrize("keep", [1.0, 0.8])
@pytest.mark.parametrize("name", REQUESTS)
def test_designs_of_chance_are_those_of_r(name, keep):
    need_r()
    frame = panel_frame(keep=keep)
    ours, theirs = python(REQUESTS[name], frame), in_r(REQUESTS[name], frame)
    worst = digits(ours, theirs)
    assert min(worst.values()) >= 9, worst
    assert ours.conventions == theirs.conventions
