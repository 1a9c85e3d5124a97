"""Is what the pyfixest engine reports pyfixest's answer to exactly the question that was asked?"""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyfixest", reason="needs the Python package pyfixest")

from crosscheck.engines import oracle
from crosscheck.engines._pyfixest_design import effect_aliases
from crosscheck.engines.base import Engine
from crosscheck.engines.pyfixest import ENGINE, Pyfixest
from crosscheck.errors import DataError, FormulaError, Unsupported
from crosscheck.frame import Frame
from crosscheck.results import result_from_json

from .engine_helpers import ask, categories, floats, integers, panel, relative, run_fixest, worst_gap

BALANCED, HOLES, MISSING = panel(), panel(keep=0.8), panel(keep=0.9, missing=True)
FRAMES = {"balanced": BALANCED, "holes": HOLES, "missing": MISSING}
PANEL = {"unit": "id", "time": "year"}


def fit(request, frame=BALANCED):
    return Pyfixest().fit(request, frame)


def dummies(frame, *names):
    """All dummies of the first column, all but the first of the others."""
    blocks = []
    for i, name in enumerate(names):
        codes, labels = frame[name].codes()
        blocks.append((codes[:, None] == np.arange(int(i > 0), len(labels))).astype(float))
    return np.hstack(blocks)


def least_squares(y, x, w=None):
    """Coefficients, residuals and bread, through QR of the weighted columns."""
    root = np.ones(y.size) if w is None else np.sqrt(w)
    q, r = np.linalg.qr(x * root[:, None])
    b = np.linalg.solve(r, q.T @ (y * root))
    inverse = np.linalg.inv(r)
    return b, y - x @ b, inverse @ inverse.T


def cluster_meat(scores, codes):
    sums = np.zeros((int(codes.max()) + 1, scores.shape[1]))
    np.add.at(sums, codes, scores)
    return sums.T @ sums


def std_errors(result):
    return [row.std_error for row in result.coefs]


class TestClosedForms:
    """Least squares with a dummy for every level, in NumPy."""

    frame = HOLES
    request = ask("y ~ x + z | id + year", **PANEL)

    def setup_method(self):
        f = self.frame
        self.x = np.column_stack([f["x"].values, f["z"].values, dummies(f, "id", "year")])
        self.b, self.u, self.bread = least_squares(f["y"].values, self.x)
        self.n, self.k = self.x.shape
        self.scores = self.x * self.u[:, None]

    def se(self, meat, factor=1.0):
        return np.sqrt(factor * np.diag(self.bread @ meat @ self.bread))[:2]

    def ask(self, **more):
        return ask("y ~ x + z | id + year", **PANEL, **more)

    def test_estimates_and_statistics_of_the_fit(self):
        result = fit(self.request, self.frame)
        y = self.frame["y"].values
        ssr, sst = self.u @ self.u, ((y - y.mean()) ** 2).sum()
        _, within, _ = least_squares(y, dummies(self.frame, "id", "year"))
        assert [r.term for r in result.coefs] == ["x", "z"]
        assert relative([r.estimate for r in result.coefs], self.b[:2]) < 1e-12
        assert result.stats.nobs == self.n
        assert result.stats.df_resid == self.n - self.k
        assert relative([result.stats.r2], [1 - ssr / sst]) < 1e-12
        assert relative([result.stats.adj_r2], [1 - ssr / sst * (self.n - 1) / (self.n - self.k)]) < 1e-12
        assert relative([result.stats.r2_within], [1 - ssr / (within @ within)]) < 1e-12

    @pytest.mark.parametrize(("rule", "parameters"), [("full", None), ("nonnested", None), ("none", 2)])
    def test_iid(self, rule, parameters):
        result = fit(self.ask(ssc={"k_fixef": rule}), self.frame)
        k = parameters or self.k
        expected = np.sqrt(np.diag(self.bread) * (self.u @ self.u) / (self.n - k))[:2]
        assert relative(std_errors(result), expected) < 1e-12
        assert result.conventions.k == k
        assert result.conventions.df_t == self.n - k

    def test_iid_without_k_adj_divides_by_n_minus_1(self):
        result = fit(self.ask(ssc={"k_adj": False}), self.frame)
        assert relative(std_errors(result), np.sqrt(np.diag(self.bread) * (self.u @ self.u) / (self.n - 1))[:2]) < 1e-12

    @pytest.mark.parametrize("word", ["hetero", "HC1"])
    def test_hc1(self, word):
        result = fit(self.ask(vcov=word), self.frame)
        meat = self.scores.T @ self.scores
        assert relative(std_errors(result), self.se(meat, self.n / (self.n - self.k))) < 1e-12

    def test_one_cluster_with_nested_effect(self):
        result = fit(self.ask(vcov="CRV1", cluster=["id"]), self.frame)
        codes = self.frame["id"].codes()[0]
        g, k = codes.max() + 1, 2 + 14  # the years count; the units, being the clusters, leave one parameter
        factor = g / (g - 1) * (self.n - 1) / (self.n - k)
        assert relative(std_errors(result), self.se(cluster_meat(self.scores, codes), factor)) < 1e-12
        assert result.conventions.n_clusters == (22,)
        assert result.conventions.df_t == g - 1
        assert result.conventions.ssc_factor == pytest.approx(factor, rel=1e-14)

    @pytest.mark.parametrize("g_df", ["min", "conventional"])
    def test_two_clusters(self, g_df):
        result = fit(
            self.ask(vcov="CRV1", cluster=["state", "year"], ssc={"k_fixef": "full", "g_df": g_df}), self.frame
        )
        one, two = self.frame["state"].codes()[0], self.frame["year"].codes()[0]
        both = np.unique(one * 1000 + two, return_inverse=True)[1]
        total, smallest = 0, min(one.max(), two.max()) + 1
        for codes, sign in ((one, 1), (two, 1), (both, -1)):
            g = smallest if g_df == "min" else codes.max() + 1
            total = total + sign * g / (g - 1) * cluster_meat(self.scores, codes)
        assert relative(std_errors(result), self.se(total, (self.n - 1) / (self.n - self.k))) < 1e-12

    def test_driscoll_kraay(self):
        result = fit(self.ask(vcov="DK", lag=2), self.frame)
        codes = self.frame["year"].codes()[0]
        sums = np.zeros((14, self.k))
        np.add.at(sums, codes, self.scores)
        meat = sums.T @ sums
        for lag in (1, 2):
            cross = sums[lag:].T @ sums[:-lag]
            meat = meat + (1 - lag / 3) * (cross + cross.T)
        factor = 14 / 13 * (self.n - 1) / (self.n - self.k)
        assert relative(std_errors(result), self.se(meat, factor)) < 1e-12
        assert result.conventions.df_t == 13

    def test_covariance_matrix_belongs_to_the_rows(self):
        result = fit(self.ask(vcov="CRV1", cluster=["state"]), self.frame)
        matrix = np.array(result.vcov)
        assert matrix.shape == (2, 2)
        assert relative(np.sqrt(np.diag(matrix)), std_errors(result)) < 1e-15


@pytest.mark.parametrize("word", ["HC2", "HC3"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_leverage_corrected(word, weights):
    f = BALANCED
    x = np.column_stack([np.ones(f.nrows), f["x"].values, f["z"].values])
    w = f["w"].values if weights else np.ones(f.nrows)
    _, u, bread = least_squares(f["y"].values, x, w)
    leverage = np.einsum("ij,jk,ik->i", x, bread, x) * w
    scores = x * (w * u)[:, None] / (1 - leverage[:, None]) ** (0.5 if word == "HC2" else 1)
    expected = np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
    result = fit(ask("y ~ x + z", vcov=word, weights=weights))
    assert relative(std_errors(result), expected) < 1e-12
    assert result.conventions.ssc_factor == 1


def test_newey_west_of_one_series():
    frame = BALANCED.take(BALANCED["id"].values == 3)
    result = fit(ask("y ~ x", vcov="NW", lag=1, time="year"), frame)
    x = np.column_stack([np.ones(frame.nrows), frame["x"].values])
    _, u, bread = least_squares(frame["y"].values, x)
    s = x * u[:, None]
    cross = s[1:].T @ s[:-1]
    meat = s.T @ s + 0.5 * (cross + cross.T)
    n = frame.nrows
    assert relative(std_errors(result), np.sqrt(n / (n - 2) * np.diag(bread @ meat @ bread))) < 1e-12


def test_instruments():
    f = BALANCED
    d = dummies(f, "id")
    x, z = np.column_stack([f["z"].values, f["x"].values, d]), np.column_stack([f["z"].values, f["q"].values, d])
    b = np.linalg.solve(z.T @ x, z.T @ f["y"].values)
    u = f["y"].values - x @ b
    fitted = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    variance = np.linalg.inv(fitted.T @ fitted) * (u @ u) / (f.nrows - x.shape[1])
    result = fit(ask("y ~ z | id | x ~ q"))
    found = {r.term: r for r in result.coefs}
    assert set(found) == {"x", "z"}
    assert relative([found["z"].estimate, found["x"].estimate], b[:2]) < 1e-11
    assert relative([found["z"].std_error, found["x"].std_error], np.sqrt(np.diag(variance))[:2]) < 1e-11
    assert result.stats.r2 is None


def test_frequency_weights_are_copies():
    copies = BALANCED["copies"].values
    expanded = BALANCED.take(np.repeat(np.arange(BALANCED.nrows), copies))
    for vcov in ("iid", "hetero"):
        weighted = fit(ask("y ~ x + z", vcov=vcov, weights=("copies", "frequency")))
        plain = fit(ask("y ~ x + z", vcov=vcov), expanded)
        assert relative(std_errors(weighted), std_errors(plain)) < 1e-12
        assert weighted.stats.nobs == plain.stats.nobs == copies.sum()


@pytest.mark.parametrize("formula", ["count ~ x + z", "count ~ x + z | id"])
def test_poisson(formula):
    f = HOLES
    effects = dummies(f, "id") if "|" in formula else np.ones((f.nrows, 1))
    x = np.column_stack([f["x"].values, f["z"].values, effects]).astype(np.longdouble)
    y, b = f["count"].values.astype(np.longdouble), np.zeros(x.shape[1], dtype=np.longdouble)
    b[2:] = np.log(y.mean())
    for _ in range(60):
        mu = np.exp(x @ b)
        hessian = ((x * mu[:, None]).T @ x).astype(float)
        b = b + np.linalg.solve(hessian, (x.T @ (y - mu)).astype(float))
    n, k = x.shape
    result = fit(ask(formula, estimator="fepois"), f)
    found = {r.term: r for r in result.coefs}
    expected = np.sqrt(np.diag(np.linalg.inv(hessian)) * (n - 1) / (n - k))[:2]
    assert relative([found[t].estimate for t in ("x", "z")], b[:2].astype(float)) < 1e-11
    assert relative([found[t].std_error for t in ("x", "z")], expected) < 1e-9
    assert found["x"].df == math.inf
    assert result.conventions.distribution == "normal"


NAMES = {
    "y ~ x + i(year, ref = 2003)": {"(Intercept)", "x"} | {f"year::{y}" for y in range(2000, 2014) if y != 2003},
    "y ~ x + i(year) | id": {"x"} | {f"year::{y}" for y in range(2001, 2014)},
    "y ~ factor(region) | id + year": set(),
    "y ~ region + late": {"(Intercept)", "regionEast", "regionMid", "lateTRUE"},
    "y ~ region:x": {"(Intercept)", "regionWest:x", "regionEast:x", "regionMid:x"},
    "y ~ x*z": {"(Intercept)", "x", "z", "x:z"},
    "y ~ i(region, x) | id": {"region::West:x", "region::East:x", "region::Mid:x"},
    "y ~ poly(x, 2) + I(z^2)": {"(Intercept)", "poly(x, 2)1", "poly(x, 2)2", "I(z^2)"},
    "y ~ poly(x, 1)": {"(Intercept)", "poly(x, 1)"},
    "`ln(Labor)` ~ `my var` + T + `if` + `省份`": {"(Intercept)", "my var", "T", "if"}
    | {f"省份{p}" for p in "乙丙丁戊"},
    'y ~ i(`省份`, `my var`, ref = "丙")': {"(Intercept)"} | {f"省份::{p}:my var" for p in "甲乙丁戊"},
    "log(abs(y)) ~ lag(x, 1) | id": {"lag(x, 1)"},
    "y ~ x + region*wave": {
        "(Intercept)",
        "x",
        "regionEast",
        "regionMid",
        "wavea",
        "regionEast:wavea",
        "regionMid:wavea",
    },
}


@pytest.mark.parametrize("formula", [f for f in NAMES if NAMES[f]])
def test_names_are_fixests(formula):
    result = fit(ask(formula, **PANEL))
    assert {r.term for r in result.coefs} == NAMES[formula]


def test_first_declared_level_is_the_reference():
    order = ("East", "Mid", "West")
    frame = Frame(
        (
            *[c for c in BALANCED.columns if c.name != "region"],
            categories("region", [order.index(("West", "East", "Mid")[c]) for c in BALANCED["region"].values], order),
        ),
        BALANCED.nrows,
    )
    assert [r.term for r in fit(ask("y ~ region")).coefs] == ["(Intercept)", "regionEast", "regionMid"]
    assert [r.term for r in fit(ask("y ~ region"), frame).coefs] == ["(Intercept)", "regionMid", "regionWest"]


def test_levels_with_odd_characters():
    codes = np.arange(60) % 4
    frame = Frame(
        (floats("y", np.sin(np.arange(60))), categories("k", codes, ("a:b::c", "x[T.y]", "", "C(k0)[T.L1]"))), 60
    )
    assert [r.term for r in fit(ask("y ~ i(k)"), frame).coefs] == ["(Intercept)", "k::x[T.y]", "k::", "k::C(k0)[T.L1]"]


def test_lag_is_the_period_before():
    frame = HOLES
    keys = {(u, t): v for u, t, v in zip(*(frame[c].values.tolist() for c in ("id", "year", "x")), strict=True)}
    before = [keys.get((u, t - 1), np.nan) for u, t in zip(frame["id"].values, frame["year"].values, strict=True)]
    by_hand = Frame((*frame.columns, floats("before", before)), frame.nrows)
    lagged, plain = fit(ask("y ~ lag(x, 1) | id", **PANEL), frame), fit(ask("y ~ before | id"), by_hand)
    assert lagged.coefs[0].estimate == plain.coefs[0].estimate
    assert lagged.stats.nobs == np.isfinite(before).sum()


def test_collinear_terms_are_reported():
    result = fit(ask("y ~ x + I(2 * x) + z"))
    assert result.dropped == ("I(2 * x)",)
    assert [r.term for r in result.coefs] == ["(Intercept)", "x", "z"]
    assert any("multicollinearity" in c.text and "I(2 * x)" in c.text for c in result.conditions)
    assert not any("Pandas" in c.cls for c in result.conditions)


def test_rows_left_out_are_counted():
    result = fit(ask("y ~ x | id", **PANEL), MISSING)
    complete = np.isfinite(MISSING["y"].values) & np.isfinite(MISSING["x"].values)
    assert result.stats.nobs == complete.sum() < MISSING.nrows
    assert result.conventions.rows_dropped == (~complete).sum()


def with_column(column, frame=BALANCED):
    return Frame((*(c for c in frame.columns if c.name != column.name), column), frame.nrows)


class TestSample:
    """pyfixest 0.60 aborts the interpreter on an empty sample, so it must never see one."""

    def test_no_row_left(self):
        frame = with_column(floats("x", np.full(BALANCED.nrows, np.nan)))
        with pytest.raises(DataError, match="sample is empty"):
            fit(ask("y ~ x | id"), frame)

    def test_no_cluster_known(self):
        frame = with_column(categories("region", np.full(BALANCED.nrows, -1), ()))
        with pytest.raises(DataError, match="sample is empty"):
            fit(ask("y ~ x", vcov="CRV1", cluster=["region"]), frame)

    def test_one_row_in_each_effect(self):
        frame = with_column(integers("id", np.arange(BALANCED.nrows)))
        with pytest.raises(DataError, match="saturated"):
            fit(ask("y ~ x | id"), frame)

    def test_saturated(self):
        with pytest.raises(DataError, match="saturated: 3 observations"):
            fit(ask("y ~ x + z"), BALANCED.take(np.arange(3)))

    def test_all_collinear(self):
        with pytest.raises(DataError, match="collinear"):
            fit(ask("y ~ region | id"))

    def test_one_cluster(self):
        with pytest.raises(DataError, match="'region' has one cluster"):
            fit(ask("y ~ x", vcov="CRV1", cluster=["region"]), BALANCED.take(BALANCED["region"].values == 1))

    def test_separated_logit(self):
        with pytest.raises(DataError, match=r"pyfixest cannot fit|did not converge"):
            fit(ask("late ~ year", estimator="feglm", options={"family": "logit"}))

    def test_poisson_of_zeros(self):
        zeros = with_column(integers("count", np.zeros(BALANCED.nrows)))
        for formula in ("count ~ x", "count ~ x | id"):
            with pytest.raises(DataError, match="pyfixest cannot fit"):
                fit(ask(formula, estimator="fepois"), zeros)

    def test_a_period_of_zeros_stays_in_the_sample(self):
        zeros = with_column(integers("count", np.where(BALANCED["year"].values == 2003, 0, BALANCED["count"].values)))
        assert fit(ask("count ~ x | year", estimator="fepois"), zeros).stats.nobs == BALANCED.nrows

    def test_poly_of_a_column_with_missing_values(self):
        with pytest.raises(DataError, match=r"poly\(x, 2\)"):
            fit(ask("y ~ poly(x, 2)"), MISSING)

    def test_weights_of_zero_leave_the_row_out(self):
        weights = np.where(np.arange(BALANCED.nrows) % 3 == 0, 0.0, BALANCED["w"].values)
        result = fit(ask("y ~ x | id", weights="w"), with_column(floats("w", weights)))
        kept = fit(ask("y ~ x | id", weights="w"), BALANCED.take(weights > 0))
        assert result.coefs == kept.coefs
        assert result.conventions.rows_dropped == (weights == 0).sum()

    @pytest.mark.parametrize("bad", [-1.0, np.inf])
    def test_impossible_weights(self, bad):
        weights = BALANCED["w"].values.copy()
        weights[5] = bad
        with pytest.raises(DataError, match="'w' has a negative or infinite weight"):
            fit(ask("y ~ x", weights="w"), with_column(floats("w", weights)))

    def test_frequencies_are_whole(self):
        with pytest.raises(DataError, match="not whole numbers"):
            fit(ask("y ~ x", weights=("w", "frequency")))

    def test_missing_clusters_leave_the_row_out(self):
        codes = BALANCED["region"].values.copy()
        codes[::7] = -1
        frame = with_column(categories("region", codes, BALANCED["region"].levels))
        engine = Pyfixest()
        assert engine.fit(ask("y ~ x"), frame).stats.nobs == BALANCED.nrows
        clustered = engine.fit(ask("y ~ x", vcov="CRV1", cluster=["region"]), frame)
        assert clustered.stats.nobs == (codes >= 0).sum()
        assert engine.fit(ask("y ~ x"), frame).stats.nobs == BALANCED.nrows

    def test_unknown_reference_level(self):
        with pytest.raises(DataError, match="1990"):
            fit(ask("y ~ i(year, ref = 1990)"))

    def test_unknown_column(self):
        with pytest.raises(FormulaError, match="nothere"):
            fit(ask("y ~ nothere"))


REFUSED = [
    (ask("y ~ x | id", vcov="HC2"), "notyet", "HC2 with fixed effects"),
    (ask("y ~ 1 | x ~ q", vcov="HC3"), "notyet", "HC3 after instruments"),
    (ask("y ~ 1 | x + z ~ q + T"), "notyet", "one endogenous regressor"),
    (ask("y ~ 1 | id"), "notyet", "fixed effects alone"),
    (ask("y ~ x", vcov="CRV3", cluster=["id"]), "notyet", "leaves its (G - 1) / G out"),
    (ask("y ~ x", vcov="DK", lag=1), "notimpl", "time column"),
    (ask("y ~ x", vcov="NW", time="year"), "notyet", "automatic lag"),
    (ask("y ~ x", estimator="re", **PANEL), "notyet", "random effects"),
    (ask("", estimator="att_gt", **PANEL), "notyet", "Callaway-Sant'Anna"),
    (ask("late ~ x", estimator="feglm", options={"family": "logit"}, weights="w"), "notyet", "no weights"),
    (ask("late ~ x", estimator="feglm", options={"family": "gaussian"}), "notyet", "sigma^2"),
    (ask("count ~ x", estimator="fepois", vcov="HC3"), "notimpl", "HC3 after fepois"),
    (ask("y ~ sunab(state, year) | id + year"), "never", "go together"),
]


@pytest.mark.parametrize(("request_", "reach", "reason"), REFUSED, ids=[r[2] for r in REFUSED])
def test_refusals_have_a_reason(request_, reach, reason):
    support = ENGINE.supports(request_)
    assert support.reach == reach
    assert reason in support.reason


class TestRefusalsThatNeedTheData:
    def test_lags_by_position_across_a_gap(self):
        with pytest.raises(Unsupported, match="lags by position"):
            fit(ask("y ~ x", vcov="NW", lag=2, **PANEL), HOLES)
        assert fit(ask("y ~ x", vcov="NW", lag=0, **PANEL), HOLES).status == "ok"
        assert fit(ask("y ~ x", vcov="NW", lag=2, **PANEL)).status == "ok"

    def test_nesting_that_fixest_does_not_see(self):
        # units lie in regions, but both clusters are effects themselves, and then fixest looks at names only
        request = ask("y ~ x | id + year + region", vcov="CRV1", cluster=["region", "year"])
        with pytest.raises(Unsupported, match=r"counts K = 2 .* counts 23"):
            fit(request)

    def test_interaction_without_main_effects(self):
        with pytest.raises(Unsupported, match="region:wave by other dummies"):
            fit(ask("y ~ region:wave"))


class TestSameEverywhere:
    def test_effects_keep_their_order_whatever_the_hash_seed(self):
        for count in range(6):
            aliases = effect_aliases(count)
            assert list(set(aliases)) == list(aliases)
            assert len(aliases) == count

    def test_hash_seed_does_not_change_a_digit(self):
        request = ask("y ~ x | id + year", vcov="CRV1", cluster=["id"], **PANEL)
        program = (
            "from tests.engine_helpers import ask, panel\n"
            "from crosscheck.engines.pyfixest import ENGINE\n"
            "r = ENGINE.fit(ask('y ~ x | id + year', vcov='CRV1', cluster=['id'], unit='id', time='year'), panel())\n"
            "print(r.conventions.k, r.coefs[0].estimate.hex(), r.coefs[0].std_error.hex())"
        )
        here = fit(request)
        expected = f"{here.conventions.k} {here.coefs[0].estimate.hex()} {here.coefs[0].std_error.hex()}"
        root = Path(__file__).parent.parent
        for seed in ("4", "0") if os.environ.get("PYTHONHASHSEED") == "4" else ("4",):
            environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, cwd=root
            )
            assert done.stdout.strip() == expected

    def test_twice_is_once(self):
        for request in (
            ask("y ~ x + z | id + year", vcov="CRV1", cluster=["state"]),
            ask("count ~ x | id", estimator="fepois"),
        ):
            one, two = fit(request, HOLES), fit(request, HOLES)
            assert one.with_(seconds=0) == two.with_(seconds=0)

    def test_inputs_are_left_alone(self):
        request = ask("y ~ x + i(region, z) | id", vcov="CRV1", cluster=["state"], weights="w", **PANEL)
        frame = panel(keep=0.9, missing=True)
        hash_, before = request.hash, [c.values.copy() for c in frame.columns]
        fit(request, frame)
        assert request.hash == hash_
        for column, values in zip(frame.columns, before, strict=True):
            assert np.array_equal(column.values, values, equal_nan=True)

    def test_result_survives_the_wire(self):
        result = fit(ask("y ~ x + z | id", vcov="CRV1", cluster=["state"]))
        assert result_from_json(result.to_json()) == result


COVARIANCES = [
    {"vcov": "iid"},
    {"vcov": "iid", "ssc": {"k_fixef": "none"}},
    {"vcov": "hetero", "ssc": {"k_adj": False}},
    {"vcov": "CRV1", "cluster": ["state"]},
    {"vcov": "CRV1", "cluster": ["id", "year"], "ssc": {"g_df": "conventional", "k_fixef": "full"}},
    {"vcov": "DK", "lag": 2},
    {"vcov": "DK"},
]


@pytest.mark.parametrize("formula", ["y ~ x + z + region", "y ~ x | year"])
def test_another_covariance_of_the_last_model_is_that_of_a_fresh_fit(formula):
    engine = Pyfixest()
    fresh = [fit(ask(formula, **PANEL, **c)) for c in COVARIANCES]
    for i in itertools.chain(range(len(COVARIANCES)), reversed(range(len(COVARIANCES)))):
        again = engine.fit(ask(formula, **PANEL, **COVARIANCES[i]), BALANCED)
        assert again.coefs == fresh[i].coefs
        assert again.conventions == fresh[i].conventions
        assert again.vcov == fresh[i].vcov


def test_another_sample_is_another_fit():
    engine, request = Pyfixest(), ask("y ~ x | id")
    assert engine.fit(request, BALANCED).coefs != engine.fit(request, HOLES).coefs
    assert engine.fit(request, BALANCED).coefs == fit(request).coefs


CODE = [
    ask("y ~ x + i(year, ref = 2003) | id + state", vcov="CRV1", cluster=["id"], **PANEL),
    ask("`ln(Labor)` ~ `my var` + T:`if` + factor(`省份`)", vcov="hetero", weights="w"),
    ask("y ~ lag(x, 1) + I(z^2) + log(abs(q)) | id", vcov="DK", **PANEL),
    ask("y ~ z | id | x ~ q", vcov="CRV1", cluster=["state", "year"]),
    ask("y ~ z | id | x ~ q", vcov="DK", lag=1, **PANEL),
    ask("count ~ x | id", estimator="fepois", vcov="CRV1", cluster=["id"]),
    ask("y ~ -1 + x + poly(z, 2)", ssc={"k_adj": False}, conf_level=0.9),
    ask("late ~ x | state", estimator="feglm", options={"family": "logit"}, vcov="hetero"),
]


@pytest.mark.parametrize("request_", CODE, ids=[r.formula for r in CODE])
def test_code_reproduces_the_numbers(request_, tmp_path, capsys):
    path = tmp_path / "panel.csv"
    # a csv file declares no order of levels, so they are sorted here as they are there
    frame = with_column(categories("省份", BALANCED["id"].values % 5, sorted(BALANCED["省份"].levels)))
    frame.to_pandas().to_csv(path, index=False, float_format="%.17g")
    names = {}
    exec(ENGINE.code(request_, str(path)), names)
    assert capsys.readouterr().out
    result = fit(request_, frame)
    assert relative(names["fit"].coef().to_numpy(), [r.estimate for r in result.coefs]) < 1e-9
    assert relative(names["fit"].se().to_numpy(), std_errors(result)) < 1e-9


@pytest.mark.parametrize("aggregation", ["dynamic", "simple", "group", "none"])
def test_code_of_sun_abraham(aggregation, tmp_path, capsys):
    path, frame = tmp_path / "panel.csv", staggered(0.9)
    cohort = np.where(frame["id"].values == 0, 2000, frame["cohort"].values)
    frame = with_column(integers("cohort", cohort), frame)
    frame.to_pandas().to_csv(path, index=False, float_format="%.17g")
    request = sunab(aggregation, vcov="CRV1", cluster=["id"], weights="w")
    names = {}
    exec(ENGINE.code(request, str(path)), names)
    assert capsys.readouterr().out
    result = {r.term: (r.estimate, r.std_error) for r in fit(request, frame).coefs if r.term != "x"}
    assert set(names["effects"]) == set(result)
    for term, pair in names["effects"].items():
        assert relative(pair, result[term]) < 1e-9


def test_confidence_level():
    narrow, wide = (fit(ask("y ~ x", conf_level=level)).coefs[1] for level in (0.9, 0.99))
    assert narrow.conf_low > wide.conf_low
    assert wide.conf_high - wide.estimate == pytest.approx(wide.std_error * 2.5924, rel=1e-3)


def test_is_an_engine():
    assert isinstance(ENGINE, Engine)
    assert ENGINE.supports(ask("y ~ x + z | id", vcov="CRV1", cluster=["id"])).reach == "yes"


def staggered(keep=1.0):
    """Four cohorts, one never treated, effects that grow."""
    frame = panel(3, units=40, periods=10)
    cohort = np.array([0, 2003, 2005, 2007])[frame["id"].values % 4]
    since = frame["year"].values - cohort
    y = frame["y"].values + (since >= 0) * (cohort > 0) * (1 + 0.2 * since)
    frame = Frame(
        (*(c for c in frame.columns if c.name != "y"), floats("y", y), integers("cohort", cohort)), frame.nrows
    )
    return frame.take(np.sort(np.random.default_rng(0).permutation(frame.nrows)[: round(keep * frame.nrows)]))


def sunab(aggregation="dynamic", formula="y ~ x + sunab(cohort, year) | id + year", **more):
    return ask(formula, estimator="sunab", options={"aggregation": aggregation}, **PANEL, **more)


def test_sun_abraham_by_hand():
    frame = staggered(0.9)
    year, cohort = frame["year"].values, frame["cohort"].values
    cells = sorted({(e, g) for e, g in zip(year - cohort, cohort, strict=True) if g and e != -1})
    design = np.column_stack([(year - cohort == e) & (cohort == g) for e, g in cells]).astype(float)
    x = np.column_stack([frame["x"].values, design, dummies(frame, "id", "year")])
    b, u, bread = least_squares(frame["y"].values, x)
    codes = frame["id"].codes()[0]
    k, g, n = 1 + len(cells) + 10, 40, frame.nrows
    v = g / (g - 1) * (n - 1) / (n - k) * bread @ cluster_meat(x * u[:, None], codes) @ bread
    result = fit(sunab(vcov="CRV1", cluster=["id"]), frame)
    assert result.coefs[0].term == "x"
    for row in result.coefs[1:]:
        a = np.zeros(x.shape[1])
        for j, (e, _) in enumerate(cells):
            if f"year::{e}" == row.term:
                a[1 + j] = design[:, j].sum()
        a /= a.sum()
        assert row.estimate == pytest.approx(a @ b, rel=1e-9)
        assert row.std_error == pytest.approx(math.sqrt(a @ v @ a), rel=1e-9)


def test_sun_abraham_leaves_always_treated_units_out():
    frame = staggered()
    cohort = np.where(frame["id"].values == 0, 2000, frame["cohort"].values)
    result = fit(sunab(), with_column(integers("cohort", cohort), frame))
    assert result.stats.nobs == frame.nrows - 10


def test_sun_abraham_counts_a_cohort_s_periods_where_the_outcome_is_known():
    """A cohort without an outcome before its treatment is always treated; the script of code() says so as well."""
    frame = staggered()
    early = (frame["cohort"].values == 2003) & (frame["year"].values < 2003)
    hidden = with_column(floats("y", np.where(early, np.nan, frame["y"].values)), frame)
    result = fit(sunab(), hidden)
    assert result.stats.nobs == (frame["cohort"].values != 2003).sum()
    assert [r.estimate for r in result.coefs] == pytest.approx(
        [r.estimate for r in fit(sunab(), frame.take(frame["cohort"].values != 2003)).coefs], rel=1e-9
    )
    closed = oracle.ENGINE.fit(sunab(), hidden)
    for row in result.coefs:
        found = closed.coef(row.term)
        assert found is not None
        assert (row.estimate, row.std_error) == pytest.approx((found.estimate, found.std_error), rel=1e-7)


def test_sun_abraham_needs_a_treated_cohort():
    frame = with_column(integers("cohort", np.zeros(400, dtype=int)), staggered())
    with pytest.raises(DataError, match="no unit is ever treated"):
        fit(sunab(), frame)


SPECS = {
    "no effects": "y ~ x + z",
    "one effect": "y ~ x + z | id",
    "two effects": "y ~ x + z | id + year",
    "three effects": "y ~ x + z | id + year + region",
    "combined": "y ~ x | id + region^year",
    "event": "y ~ x*z + i(year, ref = 2003) | id",
    "slopes": "y ~ x + i(region, z) | id + year",
    "factors": "y ~ factor(region)*late + poly(x, 2)",
    "no intercept": "y ~ -1 + region + late + x",
    "two i": 'y ~ i(region, wave, ref = "East") | year',
    "names": "`ln(Labor)` ~ `my var` + T:`if` + i(`省份`, x)",
    "expressions": "log(abs(y) + 1) ~ exp(z) + sqrt(abs(q)) + abs(z)",
    "instruments": "y ~ z | id | x ~ q + `if`",
}
WAYS = [
    {},
    {"vcov": "hetero", "ssc": {"k_fixef": "none"}},
    {"vcov": "CRV1", "cluster": ["id"]},
    {"vcov": "CRV1", "cluster": ["state"], "ssc": {"k_adj": False}},
    {"vcov": "CRV1", "cluster": ["state", "year"], "ssc": {"g_df": "conventional", "k_fixef": "full"}},
    {"vcov": "CRV1", "cluster": ["state"], "ssc": {"g_adj": False}, "weights": "w"},
    {"vcov": "DK", "lag": 1},
]


def questions():
    asked = {}
    for (s, (spec, formula)), (i, way) in itertools.product(enumerate(SPECS.items()), enumerate(WAYS)):
        name = "balanced" if spec == "factors" else tuple(FRAMES)[(s + i) % 3]
        frame = FRAMES[name]
        asked[f"{spec}/{name}/{i}"] = (ask(formula, **PANEL, **way), name, frame, "")
    for lag in (None, 0, 2):
        asked[f"NW/{lag}"] = (ask("y ~ x + z | id", vcov="NW", lag=lag, **PANEL), "balanced", BALANCED, "")
    for word in ("HC2", "HC3"):
        asked[word] = (ask("y ~ x + region", vcov=word), "missing", MISSING, "")
    for formula, way in itertools.product(("count ~ x + z", "count ~ x | id + year"), WAYS[:5]):
        asked[f"{formula}/{way}"] = (ask(formula, estimator="fepois", **PANEL, **way), "holes", HOLES, "")
    for family, formula in itertools.product(("logit", "probit"), ("late ~ y + z", "late ~ y | state")):
        request = ask(formula, estimator="feglm", options={"family": family}, vcov="CRV1", cluster=["id"])
        asked[f"{family}/{formula}"] = (request, "holes", HOLES, "")
    request = ask("late ~ y + z", estimator="feglm", options={"family": "gaussian"}, vcov="hetero")
    asked["gaussian"] = (request, "holes", HOLES, "")
    for aggregation, keep in itertools.product(("dynamic", "simple", "group", "none"), (1.0, 0.8)):
        asked[f"sunab/{aggregation}/{keep}"] = (
            sunab(aggregation, vcov="CRV1", cluster=["id"], weights="w"),
            f"staggered{keep}",
            staggered(keep),
            "",
        )
    frame = staggered(0.9)
    relative_ = np.where(frame["cohort"].values > 0, frame["year"].values - frame["cohort"].values, -1)
    frame = with_column(integers("since", relative_), frame)
    request = sunab(formula="y ~ sunab(cohort, since) | id + year", vcov="hetero")
    asked["sunab/relative periods"] = (request, "since", frame, "")
    return asked


def test_agrees_with_live_fixest(tmp_path):
    asked = questions()
    answers = run_fixest(tmp_path, asked)
    assert len(asked) > 100
    worst = {"estimate": 0.0, "std_error": 0.0, "statistic": 0.0, "conf_low": 0.0, "conf_high": 0.0}
    engine = Pyfixest()
    for key, (request, _, frame, _) in asked.items():
        answer = answers[key]
        assert "error" not in answer, (key, answer["error"])
        result = engine.fit(request, frame)
        quantities = [q for q in worst if not (q.startswith("conf") and ("sunab" in key or key == "gaussian"))]
        # fixest ends its steps at a change of 2.2e-13 in the deviance; scores of a probit close the gap slowly
        limit = {"fepois": 1e-7, "feglm": 1e-6}.get(request.estimator, 1e-10)
        for quantity, gap in worst_gap(result, answer, quantities).items():
            assert gap < (limit if quantity in ("estimate", "std_error") else 100 * limit), (key, quantity, gap)
        assert result.stats.nobs == answer["nobs"], key
        assert result.stats.df_resid == answer["df_resid"], key
        assert sorted(result.dropped) == sorted(answer["dropped"]), key
        if request.estimator == "feols":
            assert result.conventions.k == answer["k"], key
            assert result.conventions.df_t == answer["df_t"], key
        if "-1" in request.formula:
            # fixest 0.14 multiplies SSR / SST by N / (N - 1) in the R2 of a model without an intercept
            n = result.stats.nobs
            assert (1 - answer["r2"]) / (1 - result.stats.r2) == pytest.approx(n / (n - 1), rel=1e-10), key
            continue
        ours = (result.stats.r2, result.stats.adj_r2, result.stats.r2_within)
        for mine, theirs in zip(ours, (answer["r2"], answer["ar2"], answer["wr2"]), strict=True):
            if mine is not None:
                assert mine == pytest.approx(theirs, rel=1e-10, abs=1e-12), key


def test_a_model_that_is_kept_is_of_the_family_that_is_asked():
    """Another covariance of the last model costs no fit; another family is another model."""
    engine = Pyfixest()
    for family in ("logit", "probit", "logit"):
        request = ask("late ~ y + z", estimator="feglm", options={"family": family}, vcov="hetero")
        kept, fresh = engine.fit(request, BALANCED), Pyfixest().fit(request, BALANCED)
        assert [r.estimate for r in kept.coefs] == [r.estimate for r in fresh.coefs], family
