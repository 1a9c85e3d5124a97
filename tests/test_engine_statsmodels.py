"""Is what the statsmodels engine reports statsmodels' answer to exactly the question that was asked?"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

pytest.importorskip("statsmodels", reason="needs the Python package statsmodels")

from crosscheck.engines.base import Engine
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.engines.statsmodels import ENGINE, MAX_DUMMIES, Statsmodels
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula_tree import INTERCEPT
from crosscheck.frame import Frame
from crosscheck.results import result_from_json

from .engine_helpers import ask, categories, floats, integers, panel, relative, run_fixest, worst_gap

BALANCED, HOLES, MISSING = panel(), panel(keep=0.8), panel(keep=0.9, missing=True)
FRAMES = {"balanced": BALANCED, "holes": HOLES, "missing": MISSING}
PANEL = {"unit": "id", "time": "year"}
NEITHER = {"k_adj": False, "g_adj": False}
LOGIT = {"family": "logit"}


def with_column(column, frame=BALANCED):
    return Frame((*(c for c in frame.columns if c.name != column.name), column), frame.nrows)


def agree(result, oracle, limit=1e-9):
    ours, theirs = ({r.term: r for r in x.coefs} for x in (result, oracle))
    assert set(ours) == set(theirs)
    for quantity in ("estimate", "std_error"):
        assert relative(*([getattr(x[t], quantity) for t in theirs] for x in (ours, theirs))) < limit, quantity
    for name in ("nobs", "df_resid", "r2", "adj_r2"):
        mine = getattr(result.stats, name)
        if mine is not None:
            assert mine == pytest.approx(getattr(oracle.stats, name), rel=1e-9), name


SPECS = (
    "y ~ x + z",
    "y ~ x + factor(region)*late",
    "y ~ x + i(year, ref = 2003) | id",
    "y ~ x + z | year",
    "y ~ x + z | id + year",
    "y ~ x + i(region, z) | state + year",
    "y ~ z + log(abs(q)) | region^late",
    "y ~ -1 + region + x",
    "`ln(Labor)` ~ `my var` + T:`if` + i(`省份`, x)",
)
WAYS = (
    {},
    {"ssc": {"k_fixef": "full"}, "weights": "w"},
    {"vcov": "hetero", "weights": "w"},
    {"vcov": "hetero", "ssc": {"k_adj": False}},
    {"vcov": "HC2"},
    {"vcov": "HC3", "weights": "w"},
    {"vcov": "CRV1", "cluster": ["state"]},
    {"vcov": "CRV1", "cluster": ["region"], "ssc": {"k_fixef": "full", "t_df": "conventional"}},
    {"vcov": "CRV1", "cluster": ["state"], "ssc": NEITHER, "weights": "w"},
    {"vcov": "CRV1", "cluster": ["state", "year"], "ssc": {"g_df": "conventional", "k_fixef": "full"}},
    {"vcov": "CRV3", "cluster": ["state"]},
    {"vcov": "DK", "lag": 2},
    {"vcov": "DK", "lag": 0, "ssc": NEITHER},
    {"vcov": "NW", "lag": 1, "ssc": NEITHER},
)
REASONS = ("counts K", "by position", "rank-deficient", "is constant within")


@pytest.mark.parametrize("formula", SPECS)
def test_agrees_with_closed_forms_or_refuses(formula):
    answered, reasons = 0, []
    for i, way in enumerate(WAYS):
        frame = tuple(FRAMES.values())[i % 3]
        request = ask(formula, **way, **PANEL)
        assert ENGINE.supports(request), request
        try:
            result = ENGINE.fit(request, frame)
        except Unsupported as refusal:
            reasons.append(refusal.what)
            continue
        oracle = ORACLE.fit(request, frame)
        # the oracle replaces negative eigenvalues as fixest does, statsmodels leaves them
        if not any("negative eigenvalues" in note for note in result.conventions.notes):
            agree(result, oracle)
        if request.vcov.type not in ("DK", "NW"):
            assert result.conventions.df_t == oracle.conventions.df_t
            assert not any("distribution" in note for note in result.conventions.notes)
        answered += 1
    assert answered >= 9
    assert all(any(known in reason for known in REASONS) for reason in reasons), reasons


def test_p_values_and_intervals_are_those_of_t():
    from scipy import stats

    result = ENGINE.fit(ask("y ~ x", vcov="CRV1", cluster=["state"], conf_level=0.9), BALANCED)
    row = result.coefs[1]
    assert row.df == 7
    assert row.p_value == pytest.approx(2 * stats.t.sf(abs(row.statistic), 7), rel=1e-9)
    assert row.conf_high - row.estimate == pytest.approx(stats.t.ppf(0.95, 7) * row.std_error, rel=1e-9)


def test_serial_correlation_has_the_residual_degrees_of_freedom_and_says_so():
    result = ENGINE.fit(ask("y ~ x", vcov="DK", lag=1, **PANEL), BALANCED)
    assert result.conventions.notes == ("t distribution with 306 degrees of freedom; the request asks for 13",)


def test_newey_west_of_one_series():
    frame = BALANCED.take(np.flatnonzero(BALANCED["id"].values == 3)[::-1])
    for ssc in ({}, NEITHER):
        request = ask("y ~ x", vcov="NW", lag=2, time="year", ssc=ssc)
        agree(ENGINE.fit(request, frame), ORACLE.fit(request, frame))


def irls(y, x, mean, variance, weights):
    """Newton's steps in extended precision; coefficients, inverse information, scores."""
    x, y, w = (np.asarray(v, dtype=np.longdouble) for v in (x, y, weights))
    b = np.zeros(x.shape[1], dtype=np.longdouble)
    for _ in range(50):
        mu = mean(x @ b)
        information = ((x * (w * variance(mu))[:, None]).T @ x).astype(float)
        b = b + np.linalg.solve(information, (x.T @ (w * (y - mu))).astype(float))
    return b.astype(float), np.linalg.inv(information), (x * (w * (y - mu))[:, None]).astype(float)


def cluster_meat(scores, codes):
    sums = np.zeros((int(codes.max()) + 1, scores.shape[1]))
    np.add.at(sums, codes, scores)
    return sums.T @ sums


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("estimator", ["fepois", "feglm"])
def test_iterated_models(estimator, weights):
    f = HOLES
    codes, labels = f["state"].codes()
    dummies = (codes[:, None] == np.arange(1, len(labels))).astype(float)
    x = np.column_stack([f["x"].values, f["z"].values, np.ones(f.nrows), dummies])
    w = f["w"].values if weights else np.ones(f.nrows)
    if estimator == "fepois":
        outcome, more = "count", {}
        b, bread, scores = irls(f["count"].values, x, np.exp, lambda mu: mu, w)
    else:
        outcome, more = "late", {"options": LOGIT}
        b, bread, scores = irls(f["late"].values, x, lambda e: 1 / (1 + np.exp(-e)), lambda mu: mu * (1 - mu), w)
    n, k = x.shape
    region = f["region"].codes()[0]
    ways = (
        ({"ssc": {"k_adj": False}}, bread),
        ({"vcov": "hetero", "ssc": {"k_adj": False}}, bread @ scores.T @ scores @ bread),
        (
            {"vcov": "CRV1", "cluster": ["region"], "ssc": {"k_fixef": "full"}},
            bread @ cluster_meat(scores, region) @ bread * 3 / 2 * (n - 1) / (n - k),
        ),
    )
    for way, covariance in ways:
        result = ENGINE.fit(ask(f"{outcome} ~ x + z | state", estimator=estimator, weights=weights, **way, **more), f)
        assert [r.term for r in result.coefs] == ["x", "z"]
        assert relative([r.estimate for r in result.coefs], b[:2]) < 1e-10
        assert relative([r.std_error for r in result.coefs], np.sqrt(np.diag(covariance))[:2]) < 1e-9
        assert math.isinf(result.coefs[0].df)
        assert result.stats.r2 is None


def test_agrees_with_live_fixest(tmp_path):
    ways = [WAYS[0], WAYS[2], WAYS[6], WAYS[11], {"vcov": "HC3"}]
    formulas = ["y ~ x + z", "y ~ x + z | id + year", "y ~ x | region"]
    asked = {
        f"{formula}/{i}": (ask(formula, **PANEL, **way), "missing", MISSING, "")
        for formula, (i, way) in itertools.product(formulas, enumerate(ways))
    }
    request = ask("count ~ x | year", estimator="fepois", vcov="CRV1", cluster=["state"])
    asked["poisson"] = (request, "holes", HOLES, "")
    answers = run_fixest(tmp_path, asked)
    compared = 0
    for key, (request, _, frame, _) in asked.items():
        try:
            result = ENGINE.fit(request, frame)
        except Unsupported:
            continue
        assert max(worst_gap(result, answers[key]).values()) < (1e-7 if key == "poisson" else 1e-9), key
        compared += 1
    assert compared >= 13


REFUSED = [
    (ask("y ~ x", ssc={"k_adj": False}), "notyet", "asks for N - 1"),
    (ask("y ~ x | id", ssc={"k_fixef": "none"}), "notyet", "every dummy"),
    (ask("y ~ x", vcov="CRV1", cluster=["id"], ssc={"k_adj": False}), "notyet", "or none"),
    (ask("y ~ x", vcov="CRV1", cluster=["id", "year"]), "notyet", 'g_df = "conventional"'),
    (ask("y ~ x", vcov="CRV3", cluster=["id", "year"]), "notyet", "one-way CRV3"),
    (ask("y ~ x", vcov="NW", lag=1, **PANEL), "notyet", "number of units"),
    (ask("y ~ x", vcov="NW", time="year"), "notyet", "no automatic lag"),
    (ask("y ~ x", vcov="DK", lag=1), "notimpl", "time column"),
    (ask("y ~ x", vcov="DK", lag=1, ssc={"k_adj": False}, **PANEL), "notyet", "both factors"),
    (ask("y ~ x", weights=("copies", "frequency")), "notimpl", "frequency weights"),
    (ask("y ~ 1 | x ~ q"), "notimpl", "instruments"),
    (ask("count ~ x", estimator="fepois"), "notyet", "(N - 1) / (N - K) for iid"),
    (ask("count ~ x", estimator="fepois", vcov="hetero"), "notyet", "its HC1 is HC0"),
    (ask("count ~ x", estimator="fepois", vcov="HC3"), "notyet", "no HC3"),
    (ask("late ~ x", estimator="feglm", options={"family": "probit"}), "notimpl", "'probit'"),
    (ask("y ~ x", estimator="re", **PANEL), "notimpl", "re is not wrapped"),
    (ask("", estimator="att_gt", **PANEL), "notyet", "att_gt"),
]


@pytest.mark.parametrize(("request_", "reach", "reason"), REFUSED, ids=[r[2] for r in REFUSED])
def test_refusals_have_a_reason(request_, reach, reason):
    support = ENGINE.supports(request_)
    assert support.reach == reach
    assert reason in support.reason


class TestRefusalsThatNeedTheData:
    def test_nested_effects(self):
        with pytest.raises(Unsupported, match=r"counts K = 37, every dummy; .* counts 16"):
            ENGINE.fit(ask("y ~ x + z | id + year", vcov="CRV1", cluster=["id"]), BALANCED)

    def test_collinear(self):
        with pytest.raises(Unsupported, match="collinear \\(rank 2 of 3\\)"):
            ENGINE.fit(ask("y ~ x + I(2 * x)"), BALANCED)
        with pytest.raises(Unsupported, match="dummies of 2 fixed effects are collinear"):
            ENGINE.fit(ask("y ~ x | id + state"), BALANCED)

    def test_badly_scaled_is_not_collinear(self):
        small = with_column(floats("x", BALANCED["x"].values * 1e-9))
        fitted = ENGINE.fit(ask("y ~ x + z"), small).coefs[1]
        plain = ENGINE.fit(ask("y ~ x + z"), BALANCED).coefs[1]
        assert fitted.estimate * 1e-9 == pytest.approx(plain.estimate, rel=1e-9)

    def test_too_many_dummies(self):
        rows = np.repeat(np.arange(MAX_DUMMIES + 2), 2)
        frame = Frame(
            (integers("f", rows), floats("y", np.sin(rows)), floats("x", np.arange(rows.size) % 7)), rows.size
        )
        with pytest.raises(Unsupported, match=f"{MAX_DUMMIES + 1} dummies"):
            ENGINE.fit(ask("y ~ x | f"), frame)

    def test_leaving_a_cluster_out_loses_a_dummy(self):
        with pytest.raises(Unsupported, match="rank-deficient"):
            ENGINE.fit(ask("y ~ x | id", vcov="CRV3", cluster=["id"]), BALANCED)

    def test_gaps(self):
        with pytest.raises(Unsupported, match="by position"):
            ENGINE.fit(ask("y ~ x", vcov="NW", lag=1, ssc=NEITHER, **PANEL), HOLES)

    def test_empty_and_saturated_samples(self):
        with pytest.raises(DataError, match="no row has finite values"):
            ENGINE.fit(ask("y ~ x"), with_column(floats("x", np.full(BALANCED.nrows, np.nan))))
        with pytest.raises(DataError, match="saturated: 3 observations, 3 parameters"):
            ENGINE.fit(ask("y ~ x + z"), BALANCED.take(np.arange(3)))


def test_one_cluster():
    with pytest.raises(DataError, match="'region' has one cluster"):
        ENGINE.fit(ask("y ~ x", vcov="CRV1", cluster=["region"]), BALANCED.take(BALANCED["region"].values == 1))


def test_missing_clusters_and_zero_weights_leave_rows_out():
    codes = BALANCED["region"].values.copy()
    codes[::7] = -1
    frame = with_column(categories("region", codes, BALANCED["region"].levels))
    assert ENGINE.fit(ask("y ~ x", vcov="CRV1", cluster=["region"]), frame).stats.nobs == (codes >= 0).sum()
    weights = np.where(np.arange(BALANCED.nrows) % 5 == 0, 0.0, BALANCED["w"].values)
    weighted = ENGINE.fit(ask("y ~ x", weights="w"), with_column(floats("w", weights)))
    assert weighted.stats.nobs == (weights > 0).sum()


def test_inputs_are_left_alone_and_twice_is_once():
    request = ask("y ~ x + region | year", vcov="CRV1", cluster=["state"], weights="w", **PANEL)
    frame = panel(keep=0.9, missing=True)
    hash_, before = request.hash, [c.values.copy() for c in frame.columns]
    first, second = (Statsmodels().fit(request, frame).with_(seconds=0) for _ in range(2))
    assert first == second
    assert result_from_json(first.to_json()) == first
    assert request.hash == hash_
    for column, values in zip(frame.columns, before, strict=True):
        assert np.array_equal(column.values, values, equal_nan=True)


CODE = [
    ask("y ~ x + region*late", vcov="hetero", **PANEL),
    ask("y ~ x + i(year, ref = 2003) | id", vcov="CRV1", cluster=["state"], ssc={"k_fixef": "full"}, **PANEL),
    ask("y ~ x + z | id + year", vcov="CRV1", cluster=["id"], weights="w", ssc=NEITHER, **PANEL),
    ask("y ~ lag(x, 1) + log(abs(z)) | region^late", **PANEL),
    ask('y ~ x + i(region, z, ref = "Mid") | year', vcov="HC3"),
    ask("`ln(Labor)` ~ `my var` + T:`if` + factor(late)", weights="w", vcov="HC2"),
    ask("y ~ x + z", vcov="CRV3", cluster=["state"]),
    ask("y ~ x | year", vcov="CRV1", cluster=["state", "region"], ssc={"g_df": "conventional"}),
    ask("y ~ x + z | year", vcov="DK", **PANEL),
    ask("y ~ x + z", vcov="NW", lag=0, ssc=NEITHER, **PANEL),
    ask("count ~ x | year", estimator="fepois", vcov="CRV1", cluster=["state"], weights="w"),
    ask("late ~ x + z", estimator="feglm", options=LOGIT, vcov="hetero", ssc={"k_adj": False}),
]


@pytest.mark.parametrize("request_", CODE, ids=[f"{r.estimator} {r.formula} {r.vcov.type}" for r in CODE])
def test_code_reproduces_the_numbers(request_, tmp_path, capsys):
    path = tmp_path / "panel.csv"
    levels = sorted(HOLES["region"].levels)
    codes = [levels.index(HOLES["region"].levels[c]) for c in HOLES["region"].values]
    frame = with_column(categories("region", codes, levels), HOLES)
    frame.to_pandas().to_csv(path, index=False, float_format="%.17g")
    names = {}
    exec(ENGINE.code(request_, str(path)), names)
    assert capsys.readouterr().out
    result = ENGINE.fit(request_, frame)
    shown, fitted = names["shown"], names["result"]
    assert relative(sorted(fitted.params[shown]), sorted(r.estimate for r in result.coefs)) < 1e-9
    assert relative(sorted(fitted.bse[shown]), sorted(r.std_error for r in result.coefs)) < 1e-9


def test_is_an_engine():
    assert isinstance(ENGINE, Engine)
    assert ENGINE.supports(ask("y ~ x + z | id", vcov="hetero")).reach == "yes"


def test_iterations_settle_where_the_constant_is_large():
    """An absolute 1e-14 is out of reach of a constant of -300, whatever the data."""
    request = ask("count ~ far", estimator="fepois", vcov="CRV1", cluster=["state"])
    near, far = (with_column(floats("far", BALANCED["x"].as_float() + by)) for by in (0.0, 1000.0))
    found, right = ENGINE.fit(request, far), ENGINE.fit(request, near)
    assert found.status == "ok"
    assert abs(found.coef(INTERCEPT).estimate) > 100
    assert found.coef("far").estimate == pytest.approx(right.coef("far").estimate, rel=1e-9)
