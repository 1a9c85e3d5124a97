"""Propensity scores, matching and balance: against their definitions, R and MatchIt."""

import csv
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from crosscheck import engines
from crosscheck.bridge import r_packages
from crosscheck.bridge.discovery import version_tuple
from crosscheck.closedform.linear import least_squares
from crosscheck.design_options import MatchOptions
from crosscheck.designs.absorb import squeezed
from crosscheck.designs.balance import balance, weighted_variance
from crosscheck.designs.matching import Rules, match, on_support
from crosscheck.designs.score import propensity
from crosscheck.errors import DataError
from tests.designs_helpers import arrays, ask, digits, extras, in_r, need_r, panel_frame, python, why_no, worker

HERE = Path(__file__).parent
ONE = np.zeros(6, dtype=np.int64)
COVARIATES = ["Tin", "my con", "Fin"]
BASE = {"group": "ever", "covariates": COVARIATES}


@pytest.fixture(scope="module")
def frame():
    return panel_frame(5)


def sample(seed=1, n=120):
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.05, 0.95, n)
    treated = rng.random(n) < 0.2 + 0.4 * score
    return score, treated


def weights_by_hand(score, treated, rules):
    """Matching as its definition reads, one treated row after the other, no vectors."""
    controls = [i for i in range(len(score)) if not treated[i]]
    own = [i for i in range(len(score)) if treated[i]]
    found = {i: [] for i in own}
    used = set()
    turn = own
    if not rules.replace and rules.order != "data":
        turn = sorted(own, key=lambda i: score[i], reverse=rules.order == "largest")
    limit = math.inf if rules.caliper is None else rules.caliper
    for _ in range(rules.ratio):
        for i in turn:
            free = [c for c in controls if c not in used and c not in found[i] and abs(score[c] - score[i]) <= limit]
            if free:
                best = min(free, key=lambda c: abs(score[c] - score[i]))
                found[i].append(best)
                if not rules.replace:
                    used.add(best)
    weight = [0.0] * len(score)
    for i, matches in found.items():
        for c in matches:
            weight[i] = 1.0
            weight[c] += 1 / len(matches)
    return weight


@pytest.mark.parametrize("ratio", [1, 3])
@pytest.mark.parametrize("caliper", [None, 0.01])
@pytest.mark.parametrize(
    ("replace", "order"), [(True, "data"), (False, "largest"), (False, "smallest"), (False, "data")]
)
def test_neighbours_by_hand(ratio, caliper, replace, order):
    score, treated = sample()
    rules = Rules(ratio=ratio, caliper=caliper, caliper_scale="absolute", replace=replace, order=order)
    made = match(score, score, treated, np.zeros(score.size, dtype=np.int64), rules)
    np.testing.assert_allclose(made, weights_by_hand(score, treated, rules), rtol=1e-12)


def test_ties_follow_their_rule():
    score = np.array([0.5, 0.4, 0.6, 0.4, 0.9, 0.1])
    treated = np.array([True, False, False, False, False, False])
    first = match(score, score, treated, ONE, Rules(ties="first"))
    both = match(score, score, treated, ONE, Rules(ties="all"))
    assert first.tolist() == [1, 1, 0, 0, 0, 0]
    np.testing.assert_allclose(both, [1, 1 / 3, 1 / 3, 1 / 3, 0, 0])
    two = match(score, score, treated, ONE, Rules(ratio=2))
    np.testing.assert_allclose(two, [1, 0.5, 0.5, 0, 0, 0])


@pytest.mark.parametrize("kernel", ["epanechnikov", "gaussian"])
def test_kernel_weights_by_hand(kernel):
    score, treated = sample(2)
    h = 0.06
    made = match(score, score, treated, np.zeros(score.size, dtype=np.int64), Rules(method="kernel", kernel=kernel))
    by_hand = np.zeros(score.size)
    for i in np.flatnonzero(treated):
        k = {}
        for j in np.flatnonzero(~treated):
            u = (score[i] - score[j]) / h
            k[j] = max(0.0, 1 - u * u) if kernel == "epanechnikov" else math.exp(-u * u / 2)
        total = sum(k.values())
        if total > 0:
            by_hand[i] = 1
            for j, value in k.items():
                by_hand[j] += value / total
    np.testing.assert_allclose(made, by_hand, rtol=1e-11)
    assert made[~treated].sum() == pytest.approx(made[treated].sum(), rel=1e-12)


def test_support_weighting_and_empty_matches():
    score = np.array([0.1, 0.3, 0.5, 0.2, 0.4, 0.8])
    treated = np.array([True, True, True, False, False, False])
    assert on_support(score, treated, "minmax").tolist() == [False, True, True, True, True, True]
    assert on_support(score, treated, "both").tolist() == [False, True, True, True, True, False]
    scaled = match(score, score, treated, ONE, Rules(weighting="matchit"))
    plain = match(score, score, treated, ONE, Rules())
    controls = ~treated & (plain > 0)
    assert scaled[controls].sum() == controls.sum()
    assert (plain[controls] / plain[controls].sum()).tolist() == (scaled[controls] / scaled[controls].sum()).tolist()
    with pytest.raises(DataError, match="no treated row is matched"):
        match(score, score, treated, ONE, Rules(caliper=1e-6, caliper_scale="absolute"))
    with pytest.raises(DataError, match="treated and untreated"):
        match(score, score, treated | True, ONE, Rules())


@pytest.mark.parametrize("replace", [True, False])
def test_a_caliper_in_deviations_of_one_row_is_refused(replace):
    score, treated = np.array([0.2, 0.3, 0.6]), np.array([True, False, False])
    rules = Rules(caliper=0.5, caliper_scale="sd_pooled", replace=replace)
    with pytest.raises(DataError, match="one of a single row"):
        match(score, score, treated, np.zeros(3, dtype=np.int64), rules)


def test_scores_solve_the_likelihood_equations():
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.normal(1e5, 4e4, 300), rng.normal(0.4, 0.06, 300)])
    treated = rng.random(300) < 1 / (1 + np.exp(-(x[:, 0] - 1e5) / 4e4))
    made = propensity(x, treated, np.zeros(300, dtype=np.int64))
    z = np.column_stack([np.ones(300), (x - x.mean(axis=0)) / x.std(axis=0)])
    assert np.abs(z.T @ (treated - made.score)).max() < 1e-9
    linear = made.coef[0, 0] + x @ made.coef[0, 1:]
    np.testing.assert_allclose(1 / (1 + np.exp(-linear)), made.score, rtol=1e-9)


def test_scores_that_do_not_exist_are_refused():
    x = np.arange(20.0)[:, None]
    blocks = np.zeros(20, dtype=np.int64)
    with pytest.raises(DataError, match=r"separate|converge"):
        propensity(x, x[:, 0] > 9, blocks)
    with pytest.raises(DataError, match="does not vary"):
        propensity(np.ones((20, 1)), x[:, 0] % 2 == 0, blocks)
    with pytest.raises(DataError, match="collinear"):
        propensity(np.column_stack([x, 2 * x + 1]), x[:, 0] % 2 == 0, blocks)
    with pytest.raises(DataError, match="treated and untreated"):
        propensity(x, x[:, 0] < 99, blocks)


def test_balance_by_hand():
    x = np.array([1.0, 2.0, 4.0, 2.0, 3.0, 7.0])
    treated = np.array([True, True, True, False, False, False])
    found = balance(x, treated, None, "treated")
    assert found.mean_treated - found.mean_control == pytest.approx(7 / 3 - 4)
    assert found.std_diff == pytest.approx((7 / 3 - 4) / np.std(x[:3], ddof=1))
    assert found.var_ratio == pytest.approx(np.var(x[:3], ddof=1) / np.var(x[3:], ddof=1))
    pooled = balance(x, treated, None, "pooled")
    assert pooled.std_diff == pytest.approx((7 / 3 - 4) / np.sqrt((np.var(x[:3], ddof=1) + np.var(x[3:], ddof=1)) / 2))
    assert weighted_variance(x, np.full(6, 0.3)) == pytest.approx(np.var(x, ddof=1), rel=1e-14)
    after = balance(x, treated, np.array([1, 1, 0, 2, 0, 0.0]), "treated")
    assert (after.mean_treated, after.mean_control) == (1.5, 2.0)
    assert math.isnan(after.var_ratio)


def test_the_regression_is_that_of_the_matched_rows(frame):
    found = python(ask("psm_did", **BASE, vcov="CRV1", by=["province"], caliper=0.2), frame)
    weight = np.array(found.block("rows")["match_weight"])
    assert found.stats.nobs == (weight > 0).sum()
    panel = arrays(frame).take(weight > 0)
    w = weight[weight > 0]
    exact = least_squares(panel.y, panel.x, tuple(panel.effects.values()), w)
    clusters = squeezed(panel.clusters["province"])
    sums = np.vstack([exact.scores[clusters == g].sum(axis=0) for g in range(clusters.max() + 1)]) @ exact.bread
    g, n, k = clusters.max() + 1, w.size, 4 + 1 + squeezed(panel.effects[("year",)]).max()
    factor = g / (g - 1) * (n - 1) / (n - k)
    row = found.coef("BDPZs")
    assert row.estimate == pytest.approx(float(exact.coef[0]), rel=1e-11)
    assert row.std_error == pytest.approx(float(np.sqrt(factor * (sums[:, 0] ** 2).sum())), rel=1e-11)


def test_matching_by_period_is_each_period_alone(frame):
    values = extras(python(ask("psm_did", **BASE, match_by="period"), frame))
    for year in (2012, 2020):
        labels, scores, treated = [], [], []
        codes, names = frame["province"].codes()
        for row in np.flatnonzero(frame["year"].as_float() == year):
            labels.append(f"{names[codes[row]]}|{year}")
            scores.append(values[labels[-1], "propensity"])
            treated.append(bool(frame["ever"].as_float()[row]))
        by_hand = weights_by_hand(scores, treated, Rules(order="data"))
        np.testing.assert_allclose([values[t, "match_weight"] for t in labels], by_hand, rtol=1e-12)


MATCHIT = {
    "nearest": {},
    "caliper on the logit": {"caliper": 0.05, "distance": "logit", "support": "minmax", "weighting": "matchit"},
    "three": {"ratio": 3, "caliper": 0.2, "weighting": "matchit", "support": "both"},
    "without replacement": {"replace": False, "caliper": 0.1, "regression": "matched"},
    "smallest first": {"replace": False, "order": "smallest", "caliper": 0.02, "caliper_scale": "absolute"},
    "as they stand": {"replace": False, "order": "data", "caliper": 0.25},
    "two without replacement": {"replace": False, "ratio": 2, "caliper": 0.25},
}
REQUESTS = {
    **MATCHIT,
    "by year": {"match_by": "period", "ratio": 2},
    "all ties": {"ties": "all", "ratio": 2, "caliper": 0.2, "caliper_scale": "sd_pooled", "standardize": "pooled"},
    "Epanechnikov": {"method": "kernel", "support": "minmax"},
    "Gaussian by year": {"method": "kernel", "kernel": "gaussian", "match_by": "period", "weighting": "matchit"},
    "winsorized": {"winsorize": {"columns": COVARIATES, "quantile": "r7"}},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_matching_is_that_of_r(name, frame):
    need_r()
    request = ask("psm_did", **BASE, vcov="CRV1", by=["province"], **REQUESTS[name])
    ours, theirs = python(request, frame), in_r(request, frame)
    worst = digits(ours, theirs)
    assert min(worst.values()) >= 9, worst
    assert ours.conventions == theirs.conventions


@pytest.mark.parametrize("name", MATCHIT)
def test_matching_is_that_of_matchit(name, frame):
    need_r("MatchIt")
    if version_tuple(r_packages()["MatchIt"]) < (4, 5, 4):
        pytest.skip("needs R package MatchIt, 4.5.4 or newer")
    request = ask("psm_did", **BASE, vcov="HC1", **MATCHIT[name])
    ours, theirs = python(request, frame), in_r(request, frame, "r.matchit")
    worst = digits(ours, theirs)
    assert min(worst.values()) >= 9, worst


def matchit_answer(folder, caliper, libraries):
    """Ask the MatchIt of a library for matches: version, own score, match's score, distance of the nearest control."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=200)
    g = (rng.random(200) < 1 / (1 + np.exp(0.7 - x))).astype(int)
    with open(folder / "data.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("g", "x", "score"))
        out.writerows(zip(g.tolist(), x.tolist(), (1 / (1 + np.exp(-x))).tolist(), strict=True))
    environment = {k: v for k, v in os.environ.items() if k != "R_LIBS"} | ({"R_LIBS": libraries} if libraries else {})
    command = ["Rscript", "--vanilla", str(HERE / "designs_matchit.R"), str(folder / "data.csv"), str(caliper)]
    done = subprocess.run(
        [*command, str(folder / "out.csv")], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("needs R package MatchIt")
    with open(folder / "out.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("which", ["given", "system"])
def test_old_matchit_passes_over_nearer_controls_and_new_does_not(tmp_path, which):
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: Rscript not found")
    libraries = os.environ.get("R_LIBS", "") if which == "given" else ""
    limit = 0.001
    free, bound = matchit_answer(tmp_path, "Inf", libraries), matchit_answer(tmp_path, limit, libraries)
    gaps = [(abs(float(r["own"]) - float(r["match"])), float(r["nearest"])) for r in free]
    passed_over = sum(gap > nearest + 1e-12 for gap, nearest in gaps)
    kept = [abs(float(r["own"]) - float(r["match"])) for r in bound if r["match"] != "NA"]
    beyond = sum(gap > limit for gap in kept)
    if version_tuple(free[0]["version"]) < (4, 5, 4):
        assert passed_over > 20
        assert beyond > 20
        assert len(kept) == len(bound)
    else:
        assert passed_over == beyond == 0
        assert len(kept) < len(bound)


def test_old_matchit_is_refused_as_a_reference(frame):
    need_r("MatchIt")
    result = worker().fit("r.matchit", ask("psm_did", **BASE), frame, timeout=60)
    if version_tuple(r_packages()["MatchIt"]) < (4, 5, 4):
        assert result.status == "unsupported"
        assert "passes over nearer controls" in result.reason
    else:
        assert result.status == "ok"


def test_what_matchit_lacks_is_said_without_r():
    engine = engines.get("r.matchit")
    for options, word in (
        ({"method": "kernel"}, "kernel"),
        ({"ties": "all"}, "tied"),
        ({"caliper": 0.2, "caliper_scale": "sd_pooled"}, "caliper"),
        ({"match_by": "period"}, "blocks"),
    ):
        support = engine.supports(ask("psm_did", **BASE, **options))
        assert not support
        assert word in support.reason
    assert not engine.supports(ask("describe", variables=["NQP"]))
    assert engine.supports(ask("psm_did", **BASE))


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needs replacement"):
        MatchOptions(group="g", covariates=("x",), ties="all", replace=False)
    with pytest.raises(ValueError, match="distances of the score"):
        MatchOptions(group="g", covariates=("x",), method="kernel", distance="logit")
    assert why_no("no.such.package").startswith("needs R")


def test_a_group_that_is_not_0_or_1_is_refused(frame):
    with pytest.raises(DataError, match="not 0 or 1"):
        engines.get("designs").fit(ask("psm_did", group="Fin", covariates=["Tin"]), frame)
