"""Explanations: every known convention is named and its replay meets; nothing else is."""

import csv
import itertools
import math
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from string import Formatter

import numpy as np
import pytest

from crosscheck.closedform.absorb import Groups, intersect
from crosscheck.conventions import Ssc, critical, p_of, rounded
from crosscheck.engines.oracle import ENGINE
from crosscheck.explain import explain, explain_column, explain_printed, packages, rank_column, rules
from crosscheck.explain.hypotheses import NUMERATORS, asked, catalogue, k_rules, multipliers
from crosscheck.explain.model import Departure, write
from crosscheck.explain.replay import dummy_rank, replayer
from crosscheck.frame import Frame
from crosscheck.published import PublishedNumber
from crosscheck.results import Conventions, EstimationResult, FitStats
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec
from tests.engine_helpers import ask, floats, panel

HERE = Path(__file__).parent
NUMERIC = ("id", "year", "state", "y", "x", "z", "q", "w", "copies")
FRAMES = {
    "balanced": panel().select(NUMERIC),
    "unbalanced": panel(seed=9, keep=0.8).select(NUMERIC),
    "few": panel(seed=5, units=9, periods=8).select(NUMERIC),
}
LEGEND = {"***": 0.01, "**": 0.05, "*": 0.10}


def fit(request, frame, engine, **changes):
    return ENGINE.fit(request.model_copy(update=changes), frame).with_(engine=engine)


def base(formula="y ~ x + z | id + year", vcov="CRV1", cluster=("id",), **more):
    return ask(formula, vcov=vcov, cluster=cluster, unit="id", time="year", **more)


# what one side did, and the rules that must be named
WORDS = {
    "k none": ({"ssc": SscSpec(k_fixef="none")}, "k.fixef"),
    "k full": ({"ssc": SscSpec(k_fixef="full")}, "k.fixef"),
    "no k": ({"ssc": SscSpec(k_adj=False)}, "k.adj"),
    "no g": ({"ssc": SscSpec(g_adj=False)}, "g.adj"),
    "k and g": ({"ssc": SscSpec(k_fixef="none", g_adj=False)}, "k.fixef+g.adj"),
    "none at all": ({"ssc": SscSpec(k_adj=False, g_adj=False)}, "k.adj+g.adj"),
    "iid": ({"vcov": VcovSpec()}, "vcov.type"),
    "HC1": ({"vcov": VcovSpec(type="HC1")}, "vcov.type"),
    "other cluster": ({"vcov": VcovSpec(type="CRV1", cluster=("year",))}, "vcov.type"),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_known_convention_is_named_and_replayed(name, word, swapped):
    frame, request = FRAMES[name], base()
    changes, rule = WORDS[word]
    one, other = fit(request, frame, "r.fixest"), fit(request, frame, "pyfixest", **changes)
    reference, candidate = (other, one) if swapped else (one, other)
    found = explain_column(reference, candidate, frame, request)
    for row in reference.coefs:
        first = found[row.term, "std_error"][0]
        assert first.rule == rule
        assert first.verdict == "convention"
        assert first.digits_after >= 9
        assert first.replay == pytest.approx(row.std_error, rel=1e-9)
        assert "pyfixest" in first.title
        assert first.remedy
        assert first.references
        for quantity in ("statistic", "p_value", "conf_low", "conf_high"):
            (one_,) = found[row.term, quantity]
            assert one_.replay == pytest.approx(getattr(row, quantity), rel=1e-7)


def test_the_numbers_are_filled_in_and_the_code_is_there():
    frame, request = FRAMES["balanced"], base()
    one = fit(request, frame, "r.fixest")
    other = fit(request, frame, "pyfixest", ssc=SscSpec(k_fixef="full"))
    (first, *_) = explain(one, other, data=frame, request=request).of("x", "std_error")
    n, k, full = 308, one.conventions.k, other.conventions.k
    assert f"{n - 1} / ({n} - {full:g})" in first.formula
    assert f"{n - 1} / ({n} - {k:g})" in first.formula
    assert "22 / 21" in first.formula
    assert first.remedy["pyfixest"] == 'pf.feols(..., ssc=pf.ssc(k_fixef="nonnested"))'
    assert first.remedy["r.fixest"] == 'summary(m, ssc = ssc(K.fixef = "full"))'
    factor = float(first.remedy[""].split()[-1])
    assert other.coef("x").std_error * factor == pytest.approx(one.coef("x").std_error, rel=1e-13)
    assert "areg" in first.title


@pytest.mark.parametrize("g_df", ["min", "conventional"])
def test_two_way_factors_are_told_apart_although_no_common_factor_exists(g_df):
    frame = FRAMES["balanced"]
    request = base("y ~ x + z", cluster=("id", "year"), ssc={"g_df": g_df})
    other = SscSpec(g_df="conventional" if g_df == "min" else "min")
    one, two = fit(request, frame, "a"), fit(request, frame, "b", ssc=other)
    ratios = [b.std_error / a.std_error for a, b in zip(one.coefs, two.coefs, strict=True)]
    assert max(ratios) / min(ratios) > 1 + 1e-7
    found = explain_column(one, two, frame, request)
    for row in one.coefs:
        assert found[row.term, "std_error"][0].rule == "g.df"
        assert found[row.term, "std_error"][0].digits_after >= 9


def test_a_repaired_covariance_is_told_from_an_unrepaired_one():
    for seed in range(60):
        frame = panel(seed=seed, units=5, periods=5).select(NUMERIC)
        request = base("y ~ x + z + q", cluster=("id", "year"))
        one = fit(request, frame, "r.fixest")
        if not any("eigenvalues" in note for note in one.conventions.notes):
            continue
        made = replayer(request, frame)
        parts = made.parts(request.vcov)
        raw = made.std_errors(parts, parts.base, repair=False)
        if not np.isfinite(raw).all() or np.allclose(raw, [r.std_error for r in one.coefs], rtol=1e-6):
            continue
        two = one.with_(
            engine="pyfixest",
            coefs=tuple(replace(r, std_error=float(s)) for r, s in zip(one.coefs, raw, strict=True)),
        )
        found = explain_column(one, two, frame, request)
        assert {found[r.term, "std_error"][0].rule for r in one.coefs} == {"eigenvalues"}
        return
    pytest.fail("no panel needed a repair")


@pytest.mark.parametrize(
    ("df_word", "text"),
    [("conventional", "N - K"), ("normal", "normal")],
)
def test_distributions_are_named_where_the_errors_agree(df_word, text):
    frame, request = FRAMES["unbalanced"], base()
    one = fit(request, frame, "r.fixest")
    if df_word == "normal":
        two = recomputed(one, math.inf).with_(engine="statsmodels")
    else:
        two = fit(request, frame, "statsmodels", ssc=SscSpec(t_df="conventional"))
    found = explain_column(one, two, frame, request)
    assert {key[1] for key in found} == {"p_value", "conf_low", "conf_high"}
    for (term, quantity), (first,) in found.items():
        assert first.rule == "t.df"
        assert text in first.title
        assert first.replay == pytest.approx(getattr(one.coef(term), quantity), rel=1e-9)


def recomputed(result, df):
    """The same estimates and errors with inference from another distribution."""
    rows = []
    for r in result.coefs:
        half = critical(0.95, df) * r.std_error
        rows.append(
            replace(
                r,
                df=df,
                p_value=p_of(r.statistic, df),
                conf_low=r.estimate - half,
                conf_high=r.estimate + half,
            )
        )
    return result.with_(coefs=tuple(rows))


def spoil(result, change, only=None):
    rows = tuple(change(r) if only is None or i == only else r for i, r in enumerate(result.coefs))
    return result.with_(engine="spoiled", coefs=rows)


SPOILED = {
    "every error a little larger": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * 1.0001)),
    "every error one millionth larger": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * 1.000002)),
    "every error one per cent larger": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * 1.01)),
    "the first error larger": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * 1.02), 0),
    "the last error halved": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error / 2), 1),
    "errors exchanged": lambda r: r.with_(
        engine="spoiled",
        coefs=(
            replace(r.coefs[0], std_error=r.coefs[1].std_error),
            replace(r.coefs[1], std_error=r.coefs[0].std_error),
        ),
    ),
    "labels exchanged": lambda r: r.with_(
        engine="spoiled",
        coefs=(replace(r.coefs[0], term=r.coefs[1].term), replace(r.coefs[1], term=r.coefs[0].term)),
    ),
    "sign of one estimate": lambda r: spoil(r, lambda c: replace(c, estimate=-c.estimate), 0),
    "one estimate": lambda r: spoil(r, lambda c: replace(c, estimate=c.estimate * 1.001), 1),
    "variances for errors": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error**2)),
    "errors squared from G": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * 22 / 21)),
    "missing error": lambda r: spoil(r, lambda c: replace(c, std_error=math.nan)),
    "K one more": lambda r: off_by_one(r, 1),
    "K one less": lambda r: off_by_one(r, -1),
    "G one less": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * math.sqrt(21 / 20 / (22 / 21)))),
}


def off_by_one(result, step):
    n, k = result.stats.nobs, result.conventions.k
    factor = math.sqrt((n - k) / (n - k - step))
    return spoil(result, lambda c: replace(c, std_error=c.std_error * factor))


@pytest.mark.parametrize("word", SPOILED)
@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
@pytest.mark.parametrize("swapped", [False, True])
def test_what_no_convention_explains_has_no_explanation(word, name, swapped):
    frame, request = FRAMES[name], base()
    one = fit(request, frame, "r.fixest")
    other = SPOILED[word](one)
    pair = (other, one) if swapped else (one, other)
    found = explain_column(*pair, frame, request)
    assert {key for key in found if key[1] == "std_error"} == set()
    assert {key for key in found if key[1] in ("estimate", "statistic")} == set()


def test_samples_and_weights_that_are_wrong_have_no_explanation():
    frame, request = FRAMES["balanced"], base()
    one = fit(request, frame, "r.fixest")
    fewer = ENGINE.fit(request, frame.take(np.arange(frame.nrows) != 17)).with_(engine="b")
    weighted = fit(request, frame, "b", weights=WeightsSpec(column="w"))
    other = fit(request, frame, "b", formula="y ~ x + z | id")
    shifted = ENGINE.fit(request, changed(frame, "x", 1e-3)).with_(engine="b")
    for two in (fewer, weighted, other, shifted):
        assert explain_column(one, two, frame, request) == {}
        assert explain_column(two, one, frame, request) == {}


def changed(frame, name, step):
    values = frame[name].values.copy()
    values[5] += step
    return Frame(tuple(floats(name, values) if c.name == name else c for c in frame.columns), frame.nrows)


@pytest.mark.parametrize("df", [20, 22, 307, 5.5])
def test_degrees_of_freedom_outside_the_catalogue_have_no_explanation(df):
    frame, request = FRAMES["balanced"], base()
    one = fit(request, frame, "r.fixest")
    assert explain_column(one, recomputed(one, df).with_(engine="b"), frame, request) == {}


def test_identical_results_need_no_explanation():
    frame, request = FRAMES["few"], base()
    one = fit(request, frame, "a")
    assert explain_column(one, one.with_(engine="b"), frame, request) == {}
    failed = EstimationResult(engine="b", status="error", reason="x")
    assert explain_column(one, failed, frame, request) == {}


def test_ambiguity_is_shown():
    # 22 units in 11 pairs: K = full differs from nonnested, but two roads may lead to one number
    frame = panel(seed=2, units=8, periods=4).select(NUMERIC)
    request = base("y ~ x | id", cluster=("id",))
    one = fit(request, frame, "a")
    two = fit(request, frame, "b", ssc=SscSpec(k_fixef="none"))
    found = explain_column(one, two, frame, request)["x", "std_error"]
    assert [e.rule for e in found] == sorted((e.rule for e in found), key=lambda r: r.count("+"))
    assert len({e.title for e in found}) == len(found)


def test_hc1_variants():
    frame = FRAMES["unbalanced"]
    request = base("y ~ x + z | id", vcov="HC1", cluster=())
    one = fit(request, frame, "r.fixest")
    two = fit(request, frame, "statsmodels", ssc=SscSpec(k_adj=False))
    found = explain_column(one, two, frame, request)["x", "std_error"]
    assert found[0].rule == "k.adj"
    assert "HC0" in found[0].title
    n, k = one.stats.nobs, one.conventions.k
    scaled = spoil(one, lambda c: replace(c, std_error=c.std_error * math.sqrt((n - 1) / n)))
    assert explain_column(one, scaled, frame, request)["x", "std_error"][0].rule == "k.numerator"
    iid = base("y ~ x + z | id", vcov="iid", cluster=())
    ml = spoil(fit(iid, frame, "r"), lambda c: replace(c, std_error=c.std_error * math.sqrt((n - k) / n)))
    first = explain_column(fit(iid, frame, "r"), ml, frame, iid)["x", "std_error"][0]
    assert first.rule == "k.adj"
    assert "1 / N" in first.title


def test_singletons_on_one_side_are_replayed():
    frame = FRAMES["few"]
    ids = frame["id"].values.copy()
    ids[[0, 40]] = 100, 101
    frame = Frame(tuple(replace_column(c, ids) if c.name == "id" else c for c in frame.columns), frame.nrows)
    request = base("y ~ x + z | id", vcov="iid", cluster=())
    keep = np.ones(frame.nrows, dtype=bool)
    keep[[0, 40]] = False
    whole, fewer = fit(request, frame, "r.fixest"), fit(request, frame.take(keep), "pyfixest")
    assert whole.stats.nobs == fewer.stats.nobs + 2
    found = explain_column(whole, fewer, frame, request)
    first = found["", "nobs"][0]
    assert (first.rule, first.verdict, first.replay) == ("sample.singletons", "sample", whole.stats.nobs)
    assert 'fixef_rm="none"' in first.remedy["pyfixest"]
    assert found["", "r2"][0].digits_after > 12
    third = keep.copy()
    third[9] = False
    assert explain_column(whole, fit(request, frame.take(third), "b"), frame, request) == {}


def replace_column(column, values):
    from crosscheck.frame import Column

    return Column(column.name, column.kind, values.astype(np.int32))


@pytest.mark.parametrize(
    ("other", "rule"),
    [(None, "weights.ignored"), (WeightsSpec(column="copies", type="frequency"), "weights.type")],
)
def test_weights_read_otherwise_are_replayed(other, rule):
    frame = FRAMES["unbalanced"]
    request = base(vcov="HC1", cluster=(), weights="copies")
    one, two = fit(request, frame, "r.fixest"), fit(request, frame, "pyfixest", weights=other)
    found = explain_column(one, two, frame, request)
    assert found["x", "std_error"][0].rule == rule
    assert found["x", "std_error"][0].replay == pytest.approx(one.coef("x").std_error, rel=1e-12)
    wrong = fit(request, frame, "pyfixest", weights=WeightsSpec(column="w"))
    assert explain_column(one, wrong, frame, request) == {}


def test_flavours_of_r2_and_counts_of_parameters():
    frame, request = FRAMES["unbalanced"], base()
    one = fit(request, frame, "r.fixest")
    n, k = one.stats.nobs, 2
    within = one.stats.r2_within
    swapped = one.with_(engine="linearmodels", stats=replace(one.stats, r2=within, df_resid=n - k))
    found = explain_column(one, swapped, frame, request)
    assert found["", "r2"][0].rule == "r2.flavour"
    assert "within R2" in found["", "r2"][0].title
    assert found["", "r2"][0].replay == pytest.approx(one.stats.r2, rel=1e-12)
    assert found["", "df_resid"][0].rule == "df_resid.k"
    unexplained = one.with_(engine="b", stats=replace(one.stats, r2=one.stats.r2 + 1e-6, df_resid=n - k - 7))
    assert explain_column(one, unexplained, frame, request) == {}
    bare = base("y ~ x + z - 1", vcov="iid", cluster=())
    first = fit(bare, frame, "r.fixest")
    y, x = frame["y"].as_float(), np.column_stack([frame["x"].as_float(), frame["z"].as_float()])
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    zero = first.with_(engine="r.lm", stats=replace(first.stats, r2=float(1 - residual @ residual / (y @ y))))
    assert "about zero" in explain_column(first, zero, frame, bare)["", "r2"][0].title


def poisson(engine, factor=1.0, noise=1.0, stated=None):
    rng = np.random.default_rng(0)
    rows = []
    for i, term in enumerate(("x", "z")):
        b, se = rng.normal(), abs(rng.normal()) * math.sqrt(factor) * (noise if i else 1)
        rows.append(replace(fit(base(), FRAMES["balanced"], "a").coefs[0], term=term, estimate=b, std_error=se))
    result = EstimationResult(engine=engine, coefs=tuple(rows), stats=FitStats(nobs=308))
    return recomputed(
        result.with_(coefs=tuple(replace(r, statistic=r.estimate / r.std_error) for r in rows)), math.inf
    ).with_(conventions=Conventions(ssc_factor=stated))


def test_a_common_factor_is_solved_without_a_fit_where_no_closed_form_answers():
    frame = FRAMES["balanced"]
    request = ask("count ~ x + z | id + year", estimator="fepois", vcov="CRV1", cluster=("id",), unit="id", time="year")
    frame = Frame((*frame.columns, floats("count", np.arange(308.0))), 308)
    k, full = 2 + 14, 2 + 22 + 13
    asked_, did = 22 / 21 * 307 / (308 - k), 22 / 21 * 307 / (308 - full)
    one = poisson("r.fixest", asked_, stated=asked_)
    started = time.perf_counter()
    found = explain_column(one, poisson("pyfixest", did), frame, request)
    assert time.perf_counter() - started < 0.2
    assert found["x", "std_error"][0].rule == "k.fixef"
    assert found["x", "std_error"][0].digits_after >= 9
    assert found["x", "p_value"][0].replay == pytest.approx(one.coef("x").p_value, rel=1e-7)
    assert explain_column(one, poisson("pyfixest", did * 1.0002), frame, request) == {}
    assert explain_column(one, poisson("pyfixest", did, noise=1.001), frame, request) == {}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"base_period": "universal"}, 'base_period = "universal"'),
        ({"control_group": "notyettreated"}, 'control_group = "notyettreated"'),
        ({"anticipation": 1}, "anticipation = 1"),
        ({"est_method": "ipw"}, 'est_method = "ipw"'),
        ({"est_method": "reg", "control_group": "notyettreated"}, "est_method"),
    ],
)
def test_options_of_group_time_effects_are_named(changes, text):
    from tests.test_oracle_did import FRAMES as STAGGERED
    from tests.test_oracle_did import question

    frame = STAGGERED["plain"]
    for aggregation in ("simple", "group"):
        request = question(covariates=("x",), aggregation=aggregation)
        one = ENGINE.fit(request, frame).with_(engine="r.did")
        other = request.model_copy(update={"options": {**request.options, **changes}})
        two = ENGINE.fit(other, frame).with_(engine="csdid")
        found = explain_column(one, two, frame, request)
        if {(r.term, r.estimate) for r in one.coefs} == {(r.term, r.estimate) for r in two.coefs}:
            assert found == {}  # the option does not matter for this average
            continue
        first = found["overall", "estimate"][0]
        assert first.rule.startswith("did.option")
        assert text in first.title
        assert first.replay == pytest.approx(one.coef("overall").estimate, rel=1e-12)
        spoiled = two.with_(coefs=tuple(replace(r, estimate=r.estimate * 1.001) for r in two.coefs))
        assert explain_column(one, spoiled, frame, request) == {}


def test_divisors_and_shares_of_group_time_effects():
    from tests.test_oracle_did import FRAMES as STAGGERED
    from tests.test_oracle_did import question

    frame = STAGGERED["plain"]
    for aggregation in ("simple", "dynamic", "group", "calendar"):
        request = question(aggregation=aggregation)
        one = ENGINE.fit(request, frame).with_(engine="r.did")
        n = one.conventions.n_clusters[0]
        scaled = spoil(one, lambda c, n=n: replace(c, std_error=c.std_error * math.sqrt(n / (n - 1))))
        found = explain_column(one, scaled, frame, request)
        assert found["overall", "std_error"][0].rule == "did.n"
        assert found["overall", "std_error"][0].digits_after > 12
        back = explain_column(scaled, one, frame, request)
        assert back["overall", "std_error"][0].replay == pytest.approx(scaled.coef("overall").std_error, rel=1e-12)
        wrong = spoil(one, lambda c: replace(c, std_error=c.std_error * 1.001))
        assert explain_column(one, wrong, frame, request) == {}


def test_known_shares_are_told_from_estimated_ones():
    from crosscheck.closedform.did_aggregate import shares
    from crosscheck.engines._oracle_did import group_time
    from tests.test_oracle_did import FRAMES as STAGGERED
    from tests.test_oracle_did import question

    frame = STAGGERED["plain"]
    request = question(aggregation="simple")
    one = ENGINE.fit(request, frame).with_(engine="r.did")
    sample, effects = group_time(request, frame)
    post = effects.time >= effects.group
    p = shares(sample, effects.group) * post
    psi = effects.influence @ (p / p.sum())
    se = math.sqrt(float(psi @ psi)) / sample.n_units
    two = spoil(one, lambda c: replace(c, std_error=se))
    assert se != pytest.approx(one.coefs[0].std_error, rel=1e-6)
    assert explain_column(one, two, frame, request)["overall", "std_error"][0].rule == "did.weights"


def printed_column(result, decimals, *, stars=None, quantities=("estimate", "std_error")):
    numbers = []
    for row in result.coefs:
        for quantity in quantities:
            text = rounded(getattr(row, quantity), decimals)
            value, half = float(text), 0.5 * 10.0**-decimals
            numbers.append(
                PublishedNumber(
                    table="t",
                    column="1",
                    term=row.term,
                    quantity=quantity,
                    printed=text,
                    value=value,
                    low=value - half,
                    high=value + half,
                    decimals=decimals,
                )
            )
        if stars is not None:
            numbers.append(
                PublishedNumber(
                    table="t",
                    column="1",
                    term=row.term,
                    quantity="stars",
                    printed=stars[row.term],
                    value=None,
                    low=math.nan,
                    high=math.nan,
                    decimals=None,
                )
            )
    return numbers


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"vcov": VcovSpec()}, "vcov.type"),
        ({"vcov": VcovSpec(type="HC1")}, "vcov.type"),
        ({"ssc": SscSpec(k_fixef="full")}, "k.fixef"),
        ({"ssc": SscSpec(g_adj=False)}, "g.adj"),
    ],
)
def test_printed_errors_reveal_their_convention(changes, rule):
    frame, request = FRAMES["balanced"], base()
    mine, theirs = fit(request, frame, "pyfixest"), fit(request, frame, "b", **changes)
    found = explain_printed(printed_column(theirs, 6), mine, frame, request, legend=LEGEND)
    for row in theirs.coefs:
        first = found[row.term, "std_error"][0]
        assert first.rule == rule
        assert first.replay == pytest.approx(row.std_error, rel=1e-9)
        assert first.digits_after >= 4
    forensics = rank_column(printed_column(theirs, 6), frame, request, legend=LEGEND)
    best = forensics.ranked[0]
    assert (best.errors_met, best.errors, best.estimates_met, best.departs) == (2, 2, 2, 1)
    assert best.digits_right == best.digits
    assert best.whole
    assert forensics.odds < 0.05


def test_printed_errors_that_no_convention_gives_stay_unexplained():
    frame, request = FRAMES["balanced"], base()
    mine = fit(request, frame, "pyfixest")
    theirs = spoil(fit(request, frame, "b", vcov=VcovSpec()), lambda c: replace(c, std_error=c.std_error * 1.003))
    assert explain_printed(printed_column(theirs, 6), mine, frame, request, legend=LEGEND) == {}
    other_sample = spoil(fit(request, frame, "b", vcov=VcovSpec()), lambda c: replace(c, estimate=c.estimate + 0.01))
    assert explain_printed(printed_column(other_sample, 6), mine, frame, request, legend=LEGEND) == {}
    # two digits of one error prove nothing
    one = base("y ~ x | id + year")
    coarse = printed_column(fit(one, frame, "b", vcov=VcovSpec()), 2)
    assert explain_printed(coarse, fit(one, frame, "a"), frame, one, legend=LEGEND) == {}
    # and errors that the request's own convention gives need no explanation
    assert explain_printed(printed_column(mine, 6), mine, frame, request, legend=LEGEND) == {}


def test_a_printed_column_does_not_meet_the_catalogue_by_chance():
    """Random columns of errors: none may be explained more often than the bound that is promised."""
    frame = FRAMES["few"]
    request = base("y ~ x + z | id")
    mine = fit(request, frame, "a")
    rng = np.random.default_rng(1)
    made = replayer(request, frame)
    assert made is not None
    explained = 0
    from crosscheck.explain.printed import explain_std_errors

    for _ in range(150):
        column = spoil(mine, lambda c: replace(c, std_error=c.std_error * math.exp(rng.uniform(-0.7, 0.7))))
        explained += bool(explain_std_errors(printed_column(column, 3), made, "a"))
    assert explained <= 3


def test_stars_follow_the_distribution_or_the_legend():
    frame = FRAMES["few"]
    request = base("y ~ x + z + q | id")
    for seed in range(40):
        frame = panel(seed=seed, units=6, periods=9).select(NUMERIC)
        mine = fit(request, frame, "pyfixest")
        normal = {r.term: starred(p_of(r.statistic, math.inf), LEGEND) for r in mine.coefs}
        own = {r.term: starred(r.p_value, LEGEND) for r in mine.coefs}
        if normal != own:
            break
    found = explain_printed(printed_column(mine, 6, stars=normal), mine, frame, request, legend=LEGEND)
    assert {e[0].rule for k, e in found.items() if k[1] == "stars"} == {"stars.convention"}
    strict = {"***": 0.001, "**": 0.01, "*": 0.05}
    other = {r.term: starred(r.p_value, strict) for r in mine.coefs}
    if other not in (own, normal):
        found = explain_printed(printed_column(mine, 6, stars=other), mine, frame, request, legend=LEGEND)
        assert {e[0].rule for k, e in found.items() if k[1] == "stars"} <= {"stars.legend", "stars.convention"}
    nonsense = {t: "***" if s == "" else "" for t, s in own.items()}
    assert explain_printed(printed_column(mine, 6, stars=nonsense), mine, frame, request, legend=LEGEND) == {}


def starred(p, legend):
    from crosscheck.conventions import stars_of

    return stars_of(p, legend)


def test_printed_r2_under_another_name():
    frame, request = FRAMES["balanced"], base()
    mine = fit(request, frame, "a")
    text = rounded(mine.stats.adj_r2, 5)
    value = float(text)
    number = PublishedNumber(
        table="t",
        column="1",
        term="",
        quantity="r2",
        printed=text,
        value=value,
        low=value - 5e-6,
        high=value + 5e-6,
        decimals=5,
    )
    found = explain_printed([number], mine, frame, request, legend=LEGEND)
    assert any("adjusted" in e.title for e in found["", "r2"])
    wrong = replace(number, value=value + 0.001, low=value + 0.001 - 5e-6, high=value + 0.001 + 5e-6)
    assert explain_printed([wrong], mine, frame, request, legend=LEGEND) == {}


def test_a_search_on_ten_thousand_rows_is_bounded():
    frame = panel(seed=1, units=1000, periods=10).select(NUMERIC)
    request = base()
    one, two = fit(request, frame, "a"), fit(request, frame, "b", vcov=VcovSpec(type="CRV1", cluster=("state",)))
    started = time.perf_counter()
    found = explain_column(one, two, frame, request)
    assert time.perf_counter() - started < 5
    assert found["x", "std_error"][0].rule == "vcov.type"
    assert "clustered by state" in found["x", "std_error"][0].title
    three = fit(request, frame, "b", ssc=SscSpec(k_fixef="full"))
    started = time.perf_counter()
    assert explain_column(one, three, frame, request)["x", "std_error"][0].rule == "k.fixef"
    assert time.perf_counter() - started < 2


def test_the_rank_of_dummies():
    rng = np.random.default_rng(4)
    for _ in range(60):
        a, b, c = (rng.integers(0, k, 14) for k in (6, 5, 3))
        effects = (a, b) if rng.random() < 0.5 else (a, b, c)
        dummies = np.column_stack([np.eye(e.max() + 1)[e] for e in effects])
        assert dummy_rank(effects) == np.linalg.matrix_rank(dummies)
    assert Groups.of(intersect(a, b)).size == len(set(zip(a.tolist(), b.tolist(), strict=True)))


def test_the_catalogue_starts_with_what_was_asked_and_repeats_no_number_within_a_component():
    made = replayer(base(cluster=("id", "year")), FRAMES["unbalanced"])
    for vcov in (VcovSpec(), VcovSpec(type="HC1"), VcovSpec(type="CRV1", cluster=("id", "year")), VcovSpec(type="DK")):
        parts = made.parts(vcov)
        points = catalogue(parts.base, parts.counts, parts.rules)
        assert points[0] == parts.base
        assert len(set(points)) == len(points)
        values = {}
        for point in points:
            assert all(m > 0 for m in multipliers(point, parts.counts))
            values.setdefault((point.numerator, point.g), set()).add(point.k.k)
        assert all(len({p.k.k for p in points if (p.numerator, p.g) == key}) == len(v) for key, v in values.items())
    assert set(NUMERATORS) >= {"iid", "HC1", "HC2", "HC3", "CRV1", "CRV3", "NW", "DK"}


def test_what_is_asked_is_what_the_request_says():
    made = replayer(base(), FRAMES["balanced"])
    parts = made.parts(made.request.vcov)
    listed = k_rules(parts.counts, "CRV1", intercept=False)
    for words in itertools.product((True, False), ("none", "nonnested", "full"), (True, False)):
        ssc = Ssc(k_adj=words[0], k_fixef=words[1], g_adj=words[2])
        point = asked("CRV1", ssc, listed)
        from crosscheck.conventions import small_sample

        assert multipliers(point, parts.counts)[0] == pytest.approx(
            small_sample("CRV1", parts.counts, ssc).factor, rel=1e-15
        )


def test_rules_are_whole():
    for rule in rules().values():
        names = [name for _, name, _, _ in Formatter().parse(rule.title) if name]
        words = {n: n for n in names if n not in ("side", "did", "asked")}
        departure = Departure(rule=rule.id, side="pyfixest", opposite="r.fixest", did="A", asked="B", words=words)
        made = write((departure,), formula="f", replay=1.0, reference=1.0)
        assert made.title
        assert "{" not in made.title
        assert made.verdict == rule.verdict
    ids = [p.id for p in packages()]
    assert len(set(ids)) == len(ids)
    for row in packages():
        assert row.source
        assert row.numerator in ("none", "n", "n-1", "ml")
        assert set(row.vcov) <= set(NUMERATORS)
        assert row.g in ("none", "min", "conventional", "twice")


def exact_result(engine, table, nobs):
    from crosscheck.results import CoefRow

    rows = tuple(CoefRow(term=t, estimate=b, std_error=s) for t, (b, s) in table.items())
    return EstimationResult(engine=engine, coefs=rows, stats=FitStats(nobs=nobs))


def test_conventions_of_r_packages_are_those_they_are_named_after(tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: Rscript not found")
    frame = FRAMES["unbalanced"]
    frame.to_pandas().to_csv(tmp_path / "panel.csv", index=False, float_format="%.17g")
    done = subprocess.run(
        ["Rscript", "--vanilla", str(HERE / "explain_packages.R"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert (tmp_path / "done").exists(), done.stderr
    tables = {}
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            tables.setdefault(row["name"], {})[row["term"]] = float(row["estimate"]), float(row["std_error"])
    if not tables:
        pytest.skip("needs R packages sandwich, clubSandwich or plm")
    for name, table in tables.items():
        request = base(vcov="HC1", cluster=()) if name.startswith("hc") else base()
        if name.startswith("sandwich.two"):
            request = base("y ~ x + z", cluster=("id", "year"))
        elif name.endswith("cr3"):
            request = base("y ~ x + z", vcov="CRV3")
        elif name == "plm.scc":
            request = base(vcov="DK", cluster=())
        reference = ENGINE.fit(request, frame).with_(engine="r.fixest")
        reference = reference.with_(coefs=tuple(r for r in reference.coefs if r.term != "(Intercept)"))
        candidate = exact_result("r.other", table, reference.stats.nobs)
        found = explain_column(reference, candidate, frame, request)
        if name == "hc1":
            assert found == {}
            continue
        listed = found["x", "std_error"]
        assert listed[0].digits_after >= 9, name
        if name in ("hc4", "hc4m", "hc5"):
            assert name.replace("hc", "HC") in listed[0].title
            continue
        title = next((p.title for p in packages() if p.id == name.replace("two.", "")), "")
        assert title, name
        assert any(title in e.title for e in listed), (name, [e.title for e in listed])


def test_conventions_of_python_packages_are_those_they_are_named_after():
    linearmodels = pytest.importorskip("linearmodels.panel", reason="needs the Python package linearmodels")
    sm = pytest.importorskip("statsmodels.api", reason="needs the Python package statsmodels")
    frame = FRAMES["unbalanced"]
    data = frame.to_pandas()
    indexed = data.set_index(["id", "year"])
    model = linearmodels.PanelOLS(indexed["y"], indexed[["x", "z"]], entity_effects=True, time_effects=True)
    cases = {}
    clustered = {"cov_type": "clustered", "cluster_entity": True}
    one_way = linearmodels.PanelOLS(indexed["y"], indexed[["x", "z"]], entity_effects=True)
    cases["linearmodels"] = one_way.fit(**clustered)
    cases["linearmodels.full"] = model.fit(**clustered, auto_df=False, count_effects=True)
    dummies = np.column_stack(
        [data["x"], data["z"], *((data[c] == v).astype(float) for c in ("id", "year") for v in sorted(set(data[c])))]
    )
    drop = np.delete(dummies, 2, axis=1)
    cases["statsmodels"] = sm.OLS(data["y"].to_numpy(), drop).fit(
        cov_type="cluster", cov_kwds={"groups": data["id"].to_numpy()}
    )
    for name, result in cases.items():
        request = base("y ~ x + z | id") if name == "linearmodels" else base()
        reference = ENGINE.fit(request, frame).with_(engine="r.fixest")
        errors = result.std_errors if name.startswith("linear") else result.bse
        table = {
            t: (float(np.asarray(result.params)[i]), float(np.asarray(errors)[i])) for i, t in enumerate(("x", "z"))
        }
        candidate = exact_result(name, table, reference.stats.nobs)
        listed = explain_column(reference, candidate, frame, request)["x", "std_error"]
        title = next(p.title for p in packages() if p.id == name)
        assert any(title in e.title for e in listed), (name, [e.title for e in listed])
        assert listed[0].digits_after >= 9


def test_conventions_of_pyfixest_are_those_they_are_named_after():
    pf = pytest.importorskip("pyfixest", reason="needs the Python package pyfixest")
    frame = FRAMES["unbalanced"]
    data = frame.to_pandas()
    for name, vcov, spec in (
        ("pyfixest.crv3", {"CRV3": "id"}, VcovSpec(type="CRV3", cluster=("id",))),
        ("pyfixest.hc", "HC3", VcovSpec(type="HC3")),
    ):
        request = base("y ~ x + z", vcov="iid", cluster=()).model_copy(update={"vcov": spec})
        reference = ENGINE.fit(request, frame).with_(engine="oracle")
        fitted = pf.feols("y ~ x + z", data, vcov=vcov)
        table = {
            {"Intercept": "(Intercept)"}.get(t, t): (float(fitted.coef()[t]), float(fitted.se()[t]))
            for t in fitted.coef().index
        }
        listed = explain_column(reference, exact_result("pyfixest", table, reference.stats.nobs), frame, request)[
            "x", "std_error"
        ]
        assert listed[0].digits_after >= 9
        title = next(p.title for p in packages() if p.id == name)
        assert any(title in e.title for e in listed), [e.title for e in listed]


def test_a_request_that_is_not_answered_has_no_explanation():
    frame = FRAMES["few"]
    request = FitRequest(estimator="feglm", formula="y ~ x", options={"family": "logit"})
    one = fit(base("y ~ x", vcov="iid", cluster=()), frame, "a")
    two = spoil(one, lambda c: replace(c, std_error=c.std_error * 1.5))
    assert explain_column(one, two, frame, request) == {}
    assert explain_printed(printed_column(one, 3), one, frame, request, legend=LEGEND) == {}
    assert rank_column([], frame, request, legend=LEGEND) is None
