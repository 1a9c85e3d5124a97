"""Random effects, between, and Sun-Abraham: generalised least squares by brute force, live plm, live fixest."""

import csv
import functools
import itertools
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from crosscheck.closedform.random_effects import panel_of, variance_components
from crosscheck.closedform.sunab import averages, interactions
from crosscheck.engines.oracle import ENGINE
from crosscheck.errors import DataError, Unsupported
from crosscheck.frame import Frame
from tests.engine_helpers import ask, floats, integers
from tests.oracle_support import digits, fixest_answers

HERE = Path(__file__).parent


def sample(seed=11, units=12, periods=9, keep=1.0):
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(1990, 1990 + periods), units)
    mu, lam = rng.normal(size=units) * 1.5, rng.normal(size=periods) * 0.7
    x = rng.normal(size=unit.size) + 0.5 * rng.normal(size=units)[unit]
    z = rng.normal(size=unit.size) + 0.3 * rng.normal(size=periods)[time - 1990]
    y = 2 + 0.8 * x - 0.4 * z + mu[unit] + lam[time - 1990] + rng.normal(size=unit.size)
    frame = Frame(
        (integers("id", unit), integers("year", time), floats("y", y), floats("x", x), floats("z", z)), unit.size
    )
    return frame.take(rng.random(unit.size) < keep) if keep < 1 else frame


FRAMES = {"balanced": sample(), "unbalanced": sample(12, keep=0.8)}
METHODS = ("swar", "walhus", "amemiya", "nerlove")
EFFECTS = ("individual", "time", "twoways")


def random_effects(method="swar", effect="individual", **more):
    options = {"method": method, "effect": effect}
    return ask("y ~ x + z", estimator="re", unit="id", time="year", options=options, **more)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("effect", EFFECTS)
def test_estimates_are_generalised_least_squares_with_the_dense_covariance(name, effect):
    frame = FRAMES[name]
    found = ENGINE.fit(random_effects(effect=effect), frame)
    parts = {e.term: e.value for e in found.extras}
    ids, years = frame["id"].as_float(), frame["year"].as_float()
    x = np.column_stack([np.ones(frame.nrows), frame["x"].as_float(), frame["z"].as_float()])
    y = frame["y"].as_float()
    omega = parts["sigma_nu"] ** 2 * np.eye(frame.nrows)
    omega += parts.get("sigma_mu", 0) ** 2 * (ids[:, None] == ids)
    omega += parts.get("sigma_lambda", 0) ** 2 * (years[:, None] == years)
    inverse = np.linalg.inv(omega)
    bread = np.linalg.inv(x.T @ inverse @ x)
    b = bread @ x.T @ inverse @ y
    u = y - x @ b
    scale = u @ inverse @ u / (frame.nrows - 3)
    assert [r.estimate for r in found.coefs] == pytest.approx(b, rel=1e-10)
    assert np.array(found.vcov) == pytest.approx(bread * scale, rel=1e-9)
    assert found.conventions.df_t == np.inf
    assert found.conventions.distribution == "normal"


@pytest.mark.parametrize("method", ["swar", "walhus", "amemiya"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_components_are_unbiased_over_many_draws(method, effect):
    """Quadratic forms set equal to their expectations are unbiased whatever the panel, before truncation at zero."""
    frame = FRAMES["unbalanced"]
    codes = {c: np.unique(frame[c].as_float(), return_inverse=True)[1].reshape(-1) for c in ("id", "year")}
    used = {"individual": ["id"], "time": ["year"], "twoways": ["id", "year"]}[effect]
    z = np.column_stack([np.ones(frame.nrows), frame["x"].as_float(), frame["z"].as_float()])
    rng = np.random.default_rng(5)
    truth = (1.0, *(9.0 for _ in used))
    draws = []
    for _ in range(300):
        y = rng.normal(size=frame.nrows)
        for name in used:
            y = y + 3 * rng.normal(size=codes[name].max() + 1)[codes[name]]
        found = variance_components(panel_of(y, z, [codes[n] for n in used]), method)
        draws.append((found.nu, *found.effects))
    mean, spread = np.mean(draws, axis=0), np.std(draws, axis=0) / np.sqrt(len(draws))
    assert (np.abs(mean - truth) < 4 * spread).all()
    assert (spread < 0.4).all()


def test_between_is_least_squares_of_the_means():
    frame = FRAMES["unbalanced"]
    ids = frame["id"].as_float()
    means = {c: np.array([frame[c].as_float()[ids == i].mean() for i in np.unique(ids)]) for c in ("y", "x", "z")}
    x = np.column_stack([np.ones(means["y"].size), means["x"], means["z"]])
    b, residual, *_ = np.linalg.lstsq(x, means["y"], rcond=None)
    n = means["y"].size
    found = ENGINE.fit(ask("y ~ x + z", estimator="between", unit="id", time="year"), frame)
    assert [r.estimate for r in found.coefs] == pytest.approx(b, rel=1e-11)
    expected = np.linalg.inv(x.T @ x) * residual[0] / (n - 3)
    assert np.array(found.vcov) == pytest.approx(expected, rel=1e-10)
    assert found.stats.nobs == n
    assert found.conventions.df_t == n - 3


def test_what_has_no_closed_form_is_refused():
    frame = FRAMES["unbalanced"]
    for request in (
        random_effects(method="ml"),
        random_effects(vcov="DK"),
        random_effects(weights="x"),
        ask("y ~ x | id", estimator="re", unit="id", time="year"),
        ask("y ~ x", estimator="re"),
        ask("y ~ x - 1", estimator="re", unit="id", time="year"),
        random_effects(effect="twoways", vcov="HC1"),
        random_effects(method="nerlove", effect="twoways"),
    ):
        with pytest.raises(Unsupported):
            ENGINE.fit(request, frame)
    constant = Frame((*frame.columns, floats("c", np.floor(frame["id"].as_float() / 2))), frame.nrows)
    options = {"method": "amemiya", "effect": "individual"}
    with pytest.raises(Unsupported, match="amemiya"):
        ENGINE.fit(ask("y ~ x + c", estimator="re", unit="id", time="year", options=options), constant)
    with pytest.raises(DataError, match="one row for each"):
        ENGINE.fit(random_effects(), frame.take(np.r_[0, np.arange(frame.nrows)]))


def test_robust_random_effects_are_those_of_the_transformed_regression():
    frame = FRAMES["balanced"]
    ids = frame["id"].as_float()
    found = ENGINE.fit(random_effects(vcov="CRV1", cluster=("id",), ssc={"k_adj": False, "g_adj": False}), frame)
    parts = {e.term: e.value for e in found.extras}
    theta = 1 - np.sqrt(parts["sigma_nu"] ** 2 / (parts["sigma_nu"] ** 2 + 9 * parts["sigma_mu"] ** 2))

    def partial(v):
        return v - theta * np.array([v[ids == i].mean() for i in ids])

    x = np.column_stack([partial(np.ones(frame.nrows)), partial(frame["x"].as_float()), partial(frame["z"].as_float())])
    y = partial(frame["y"].as_float())
    bread = np.linalg.inv(x.T @ x)
    s = x * (y - x @ bread @ x.T @ y)[:, None]
    sums = np.array([s[ids == i].sum(axis=0) for i in np.unique(ids)])
    assert np.array(found.vcov) == pytest.approx(bread @ sums.T @ sums @ bread, rel=1e-9)


@functools.cache
def why_no_plm():
    if shutil.which("Rscript") is None:
        return "needs R: Rscript not found"
    probe = 'cat(requireNamespace("plm", quietly = TRUE))'
    answer = subprocess.run(["Rscript", "--vanilla", "-e", probe], capture_output=True, text=True, check=False)
    return "" if answer.stdout.strip().endswith("TRUE") else "needs R package plm"


def test_every_number_is_that_of_live_plm(tmp_path):
    if why_no_plm():
        pytest.skip(why_no_plm())
    specs = [
        (name, "random", method, effect, vcov)
        for name, method, effect, vcov in itertools.product(FRAMES, METHODS, EFFECTS, ("iid", "HC1", "CRV1"))
        # plm 2.6 has standard errors of two effects on unbalanced panels wrong by the idiosyncratic sigma
        if not (effect == "twoways" and (name == "unbalanced" or method == "nerlove"))
        and not (effect != "individual" and vcov != "iid")
    ]
    specs += [(name, "between", "", "", "iid") for name in FRAMES]
    with open(tmp_path / "specs.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("id", "data", "model", "method", "effect", "vcov"))
        out.writerows((i, *s) for i, s in enumerate(specs))
    for name, frame in FRAMES.items():
        frame.to_pandas().to_csv(tmp_path / f"{name}.csv", index=False, float_format="%.17g")
    done = subprocess.run(
        ["Rscript", "--vanilla", str(HERE / "oracle_plm.R"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert (tmp_path / "done").exists(), done.stderr
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    results = {}
    for i, (name, model, method, effect, vcov) in enumerate(specs):
        words = {"vcov": vcov, "cluster": ("id",) if vcov == "CRV1" else ()}
        if model == "between":
            request = ask("y ~ x + z", estimator="between", unit="id", time="year")
        else:
            request = random_effects(method, effect, **words)
        results[i] = ENGINE.fit(request, FRAMES[name])
    for row in rows:
        found, value = results[int(row["id"])], float(row["value"])
        if row["quantity"] == "sigma":
            mine = next(e.value for e in found.extras if e.term == row["term"])
        elif row["term"]:
            mine = getattr(found.coef(row["term"]), row["quantity"])
        else:
            mine = getattr(found.stats, row["quantity"])
        assert digits(mine, value) > 11, (specs[int(row["id"])], row)
    assert len(rows) > 300


def staggered(seed=3, units=60, periods=8):
    rng = np.random.default_rng(seed)
    cohort = rng.choice([1993, 1995, 1996, 1990, 2099], size=units, p=[0.2, 0.2, 0.2, 0.1, 0.3])
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(1990, 1990 + periods), units)
    g = cohort[unit]
    x = rng.normal(size=unit.size)
    y = rng.normal(size=units)[unit] + 0.1 * time + (0.5 * (time - g) + 1) * (time >= g) + 0.3 * x
    y = y + rng.normal(size=unit.size)
    keep = rng.random(unit.size) < 0.93
    columns = (
        integers("id", unit),
        integers("year", time),
        integers("g", g),
        floats("y", y),
        floats("x", x),
        floats("w", rng.uniform(0.5, 2, unit.size)),
    )
    return Frame(columns, unit.size).take(keep)


def test_interactions_leave_out_the_reference_and_those_never_or_always_treated():
    cohort = np.array([3.0, 3, 3, 9, 9, 9, 1, 1, 1, 2, 2, 2])
    period = np.array([1.0, 2, 3] * 4)
    made = interactions(cohort, period)
    assert made.rows.tolist() == [True] * 6 + [False] * 3 + [True] * 3
    assert list(zip(made.event, made.cohort, strict=True)) == [(-2, 3), (0, 2), (0, 3), (1, 2)]
    assert made.columns.sum() == 4
    with pytest.raises(DataError, match="before and after"):
        interactions(np.full(3, 9.0), np.array([1.0, 2, 3]))
    # Unit 0 was treated in period 2, which the sample lacks: it leaves, and is no control.
    cohort, period = np.array([2.0, 3, 3, 0, 0]), np.array([3.0, 1, 3, 1, 3])
    assert interactions(cohort, period).rows.all()
    assert interactions(cohort, period, np.array([1.0, 2, 3])).rows.tolist() == [False, True, True, True, True]
    with pytest.raises(Unsupported, match="relative"):
        interactions(np.full(3, 0.0), np.array([-1.0, 0, 1]))


def test_averages_weigh_cohorts_by_their_observations():
    event, cohort, mass = np.array([-2.0, 0, 0, 1]), np.array([3.0, 2, 3, 2]), np.array([4.0, 1, 3, 1])
    shown = {a.term: a.weights.tolist() for a in averages(event, cohort, mass, "dynamic", "year")}
    assert shown == {"year::-2": [1, 0, 0, 0], "year::0": [0, 0.25, 0.75, 0], "year::1": [0, 0, 0, 1]}
    assert [a.term for a in averages(event, cohort, mass, "none", "t")][:2] == ["t::-2:cohort::3", "t::0:cohort::2"]
    (overall,) = averages(event, cohort, mass, "simple", "year")
    assert overall.weights.tolist() == [0, 0.2, 0.6, 0.2]
    assert [a.term for a in averages(event, cohort, mass, "group", "year")] == ["cohort::2", "cohort::3"]


def test_sun_and_abraham_is_a_saturated_regression_and_its_averages():
    frame = staggered()
    a = {c: frame[c].as_float() for c in frame.names}
    rows = a["g"] != 1990  # treated from the first period on
    a = {c: v[rows] for c, v in a.items()}
    event = a["year"] - a["g"]
    pairs = [(g, e) for g in (1993, 1995, 1996) for e in np.unique(event[a["g"] == g]) if e != -1]
    columns = np.column_stack([(a["g"] == g) & (event == e) for g, e in pairs]).astype(float)
    dummies = [np.eye(60)[a["id"].astype(int)], np.eye(8)[(a["year"] - 1990).astype(int)]]
    design = np.column_stack([columns, a["x"], *dummies])
    b = np.linalg.lstsq(design, a["y"], rcond=None)[0]
    count = columns.sum(axis=0)
    found = ENGINE.fit(ask("y ~ x + sunab(g, year) | id + year", estimator="sunab", unit="id", time="year"), frame)
    assert found.stats.nobs == rows.sum()
    assert found.coef("x").estimate == pytest.approx(b[len(pairs)], rel=1e-9)
    for e in (-3, 0, 2):
        own = [j for j, (_, v) in enumerate(pairs) if v == e]
        average = np.average(b[own], weights=count[own])
        assert found.coef(f"year::{e}").estimate == pytest.approx(average, rel=1e-8)


@pytest.mark.parametrize("weights", [None, "w"])
def test_sun_and_abraham_is_that_of_live_fixest(tmp_path, weights):
    frame = staggered()
    frame = frame.take(frame["g"].as_float() != 1990)
    questions = {}
    for kind, (vcov, cluster) in itertools.product(
        ("dynamic", "simple", "group", "none"), (("iid", ()), ("HC1", ()), ("CRV1", ("id",)))
    ):
        for formula in ("y ~ sunab(g, year) | id + year", "y ~ x + sunab(g, year) | id + year"):
            request = ask(
                formula, estimator="sunab", vcov=vcov, cluster=cluster, weights=weights, unit="id", time="year",
                options={"aggregation": kind},
            )  # fmt: skip
            questions[f"{kind}|{formula}|{vcov}"] = (request, "d", frame)
    answers = fixest_answers(tmp_path, questions)
    for key, (request, _, _) in questions.items():
        found, answer = ENGINE.fit(request, frame), answers[key]
        assert "error" not in answer, answer
        assert {r.term for r in found.coefs} == set(answer["coefs"]), key
        assert (found.stats.nobs, found.conventions.k) == (answer["nobs"], answer["k"])
        assert digits(found.stats.r2_within, answer["wr2"]) > 10
        for row in found.coefs:
            for quantity in ("estimate", "std_error", "p_value"):
                value = answer["coefs"][row.term][quantity]
                assert digits(getattr(row, quantity), value) > 7.5, (key, row.term, quantity)
        assert np.sqrt(np.diag(np.array(found.vcov))) == pytest.approx([r.std_error for r in found.coefs], rel=1e-12)


def test_sunab_needs_its_own_estimator():
    frame = staggered()
    request = ask("y ~ x | id + year", estimator="sunab", unit="id", time="year")
    with pytest.raises(Unsupported, match="sunab"):
        ENGINE.fit(request, frame)


def test_always_treated_cohorts_leave_and_fixest_keeps_them_as_controls(tmp_path):
    """Sun and Abraham (2021) leave out always-treated cohorts.

    sunab() of fixest 0.14.2 takes the position of such a cohort for a row number: it drops that one row and keeps the
    cohort among the controls. The oracle follows the paper; a later fixest may as well.
    """
    frame = staggered()
    always = frame["g"].as_float() == 1990
    assert always.any()
    request = ask("y ~ sunab(g, year) | id + year", estimator="sunab", unit="id", time="year")
    found = ENGINE.fit(request, frame)
    assert found.coefs == ENGINE.fit(request, frame.take(~always)).coefs
    assert found.stats.nobs == (~always).sum()
    answer = fixest_answers(tmp_path, {"a": (request, "d", frame)})["a"]
    assert answer["nobs"] in (frame.nrows - 1, found.stats.nobs)
    if answer["nobs"] == frame.nrows - 1:
        assert digits(found.coef("year::0").estimate, answer["coefs"]["year::0"]["estimate"]) < 6
