"""Is what the linearmodels engine reports linearmodels' answer to exactly the question that was asked?"""

from __future__ import annotations

import itertools
import math
import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip("linearmodels", reason="needs the Python package linearmodels")

from crosscheck.conventions import SmallSample
from crosscheck.engines._linearmodels_choice import Choice, choose, factors, parameters
from crosscheck.engines.base import Engine
from crosscheck.engines.linearmodels import ENGINE, Linearmodels
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import DataError, Unsupported
from crosscheck.frame import Frame
from crosscheck.results import result_from_json

from .engine_helpers import ask, categories, floats, integers, panel, relative, run_fixest, worst_gap

BALANCED, HOLES, MISSING = panel(), panel(keep=0.8), panel(keep=0.9, missing=True)
FRAMES = {"balanced": BALANCED, "holes": HOLES, "missing": MISSING}
PANEL = {"unit": "id", "time": "year"}
NEITHER = {"k_adj": False, "g_adj": False}
SWAR = {"method": "swar", "effect": "individual"}


def with_column(column, frame=BALANCED):
    return Frame((*(c for c in frame.columns if c.name != column.name), column), frame.nrows)


def agree(result, oracle, limit=1e-9):
    ours, theirs = ({r.term: r for r in x.coefs} for x in (result, oracle))
    assert set(ours) == set(theirs)
    for quantity in ("estimate", "std_error"):
        assert relative(*([getattr(x[t], quantity) for t in theirs] for x in (ours, theirs))) < limit, quantity
    for name in ("nobs", "df_resid", "r2", "r2_within"):
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
    "y ~ x + z | id + year + wave",
    "y ~ z + log(abs(q)) | region^late",
    "y ~ z | x ~ q",
    "y ~ z | state | x ~ q + `if`",
    "`ln(Labor)` ~ `my var` + T:`if` + i(`省份`, x)",
)
WAYS = (
    {},
    {"ssc": {"k_fixef": "none"}},
    {"vcov": "hetero", "weights": "w"},
    {"vcov": "hetero", "ssc": {"k_adj": False}},
    {"vcov": "CRV1", "cluster": ["id"]},
    {"vcov": "CRV1", "cluster": ["state"], "ssc": {"k_fixef": "full"}},
    {"vcov": "CRV1", "cluster": ["state"], "ssc": {"k_fixef": "none"}, "weights": "w"},
    {"vcov": "CRV1", "cluster": ["region"], "ssc": NEITHER},
    {"vcov": "CRV1", "cluster": ["state", "year"], "ssc": {"g_df": "conventional", "k_fixef": "full"}},
    {"vcov": "DK", "lag": 2, "ssc": NEITHER},
    {"vcov": "NW", "lag": 1, "ssc": NEITHER},
)
REASONS = ("counts K", "count K", "by position", "needs PanelOLS", "needs the study's unit")


@pytest.mark.parametrize("formula", SPECS)
def test_agrees_with_closed_forms_or_refuses(formula):
    answered, reasons = 0, []
    for (i, way), declared in itertools.product(enumerate(WAYS), (PANEL, {})):
        frame = tuple(FRAMES.values())[i % 3]
        request = ask(formula, **way, **declared)
        support = ENGINE.supports(request)
        if not support:
            reasons.append(support.reason)
            continue
        try:
            result = ENGINE.fit(request, frame)
        except Unsupported as refusal:
            reasons.append(refusal.what)
            continue
        oracle = ORACLE.fit(request, frame)
        # the oracle replaces negative eigenvalues as fixest does, linearmodels leaves them
        if not any("negative eigenvalues" in note for note in result.conventions.notes):
            agree(result, oracle)
        assert result.conventions.k == oracle.conventions.k
        answered += 1
    assert answered >= 8
    assert all(any(known in reason for known in REASONS) for reason in reasons), reasons


def test_effects_nested_in_clusters_are_not_counted():
    request = ask("y ~ x + z | id + year", vcov="CRV1", cluster=["id"], **PANEL)
    result = ENGINE.fit(request, HOLES)
    agree(result, ORACLE.fit(request, HOLES), 1e-11)
    assert result.conventions.k == 2 + 14
    assert [r.term for r in result.coefs] == ["x", "z"]
    assert len(result.vcov) == 2
    assert "enter as dummies" in " ".join(result.conventions.notes)


def test_t_has_the_residual_degrees_of_freedom_and_says_so():
    clustered = ENGINE.fit(
        ask("y ~ x | id", vcov="CRV1", cluster=["state"], ssc={"k_fixef": "full"}, **PANEL), BALANCED
    )
    assert clustered.coefs[0].df == clustered.conventions.df_t == clustered.stats.df_resid == 308 - 23
    assert clustered.conventions.notes == ("t distribution with 285 degrees of freedom; the request asks for 7",)
    plain = ENGINE.fit(ask("y ~ x | id", **PANEL), BALANCED)
    assert plain.coefs[0].df == 308 - 23
    assert plain.conventions.notes == ()
    biased = ENGINE.fit(ask("y ~ x | id", vcov="hetero", ssc={"k_adj": False}, **PANEL), BALANCED)
    assert math.isinf(biased.coefs[0].df)
    assert biased.conventions.distribution == "normal"
    row = biased.coefs[0]
    assert row.p_value == pytest.approx(math.erfc(abs(row.estimate / row.std_error) / math.sqrt(2)), rel=1e-6)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))
@pytest.mark.parametrize("formula", ["y ~ x + z", "y ~ x + state + log(abs(q))"])
@pytest.mark.parametrize(
    "way",
    [
        {},
        {"vcov": "hetero"},
        {"vcov": "CRV1", "cluster": ["id"]},
        {"vcov": "CRV1", "cluster": ["state"], "ssc": NEITHER},
    ],
    ids=["iid", "HC1", "by unit", "by state"],
)
def test_random_effects_are_swamy_and_aroras(frame, formula, way):
    request = ask(formula, estimator="re", options=SWAR, **way, **PANEL)
    result, oracle = ENGINE.fit(request, frame), ORACLE.fit(request, frame)
    agree(result, oracle)
    parts, others = ({e.term: e.value for e in x.extras} for x in (result, oracle))
    assert set(parts) == set(others) == {"sigma_mu", "sigma_nu", "rho"}
    assert relative([parts[k] for k in others], list(others.values())) < 1e-9
    noted = any("asks for the normal" in note for note in result.conventions.notes)
    assert noted == (result.conventions.distribution == "t") == ("ssc" not in way)


def test_random_effects_of_time():
    request = ask("y ~ x + z", estimator="re", options={"method": "swar", "effect": "time"}, **PANEL)
    result = ENGINE.fit(request, HOLES)
    agree(result, ORACLE.fit(request, HOLES))
    assert [e.term for e in result.extras] == ["sigma_lambda", "sigma_nu"]


@pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))
@pytest.mark.parametrize("vcov", ["iid", "hetero"])
def test_between(frame, vcov):
    request = ask("y ~ x + z", estimator="between", vcov=vcov, **PANEL)
    result = ENGINE.fit(request, frame)
    agree(result, ORACLE.fit(request, frame))
    assert result.stats.nobs == 22


PLM = """
suppressMessages(library(plm))
arguments <- commandArgs(trailingOnly = TRUE)
d <- read.csv(arguments[1], check.names = FALSE)
text <- function(x) cat(sprintf("%.17g", x), "\\n")
p <- plm(y ~ x + z + state, d, index = c("id", "year"), model = "random", random.method = "swar")
text(coef(p)); text(sqrt(diag(vcov(p)))); text(sqrt(ercomp(p)$sigma2[c("id", "idios")]))
b <- plm(y ~ x + z, d, index = c("id", "year"), model = "between")
text(coef(b)); text(sqrt(diag(vcov(b))))
w <- plm(y ~ x + z, d, index = c("id", "year"), model = "within", effect = "twoways")
text(coef(w)); text(sqrt(diag(vcov(w))))
"""


@pytest.mark.parametrize("frame", [BALANCED, HOLES], ids=["balanced", "holes"])
def test_agrees_with_live_plm(frame, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: Rscript not found")
    probe = subprocess.run(["Rscript", "--vanilla", "-e", "library(plm)"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("needs R package plm")
    data, script = tmp_path / "panel.csv", tmp_path / "plm.R"
    keep = frame.select(("id", "year", "state", "y", "x", "z")).to_pandas()
    keep.to_csv(data, index=False, float_format="%.17g")
    script.write_text(PLM)
    done = subprocess.run(["Rscript", "--vanilla", script, data], capture_output=True, text=True, check=True)
    lines = [[float(v) for v in line.split()] for line in done.stdout.splitlines()]
    random = ENGINE.fit(ask("y ~ x + z + state", estimator="re", options=SWAR, **PANEL), frame)
    between = ENGINE.fit(ask("y ~ x + z", estimator="between", **PANEL), frame)
    within = ENGINE.fit(ask("y ~ x + z | id + year", **PANEL), frame)
    for result, first in ((random, 0), (between, 3), (within, 5)):
        assert relative([r.estimate for r in result.coefs], lines[first]) < 1e-9
        assert relative([r.std_error for r in result.coefs], lines[first + 1]) < 1e-9
    assert relative([e.value for e in random.extras[:2]], lines[2]) < 1e-9


def test_agrees_with_live_fixest(tmp_path):
    ways = [WAYS[0], WAYS[2], WAYS[4], WAYS[8]]
    formulas = ["y ~ x + z", "y ~ x + z | id", "y ~ x + z | id + year", "y ~ z | x ~ q"]
    asked = {
        f"{formula}/{i}": (ask(formula, **PANEL, **way), "missing", MISSING, "")
        for formula, (i, way) in itertools.product(formulas, enumerate(ways))
    }
    answers = run_fixest(tmp_path, asked)
    compared = 0
    for key, (request, _, frame, _) in asked.items():
        try:
            result = ENGINE.fit(request, frame)
        except Unsupported:
            continue
        assert max(worst_gap(result, answers[key]).values()) < 1e-10, key
        assert result.conventions.k == answers[key]["k"]
        compared += 1
    assert compared >= 14


REFUSED = [
    (ask("y ~ x", vcov="HC3"), "notyet", "no HC3"),
    (ask("y ~ x", vcov="CRV3", cluster=["id"]), "notyet", "no CRV3"),
    (ask("y ~ x", ssc={"k_adj": False}), "notyet", "asks for N - 1"),
    (ask("y ~ x", vcov="CRV1", cluster=["id"], ssc={"k_adj": False}), "notyet", "G / (G - 1) (N - 1) / N"),
    (ask("y ~ x", vcov="CRV1", cluster=["id"], ssc={"g_adj": False}), "notyet", "N / (N - K)"),
    (ask("y ~ x", vcov="CRV1", cluster=["id", "year"]), "notyet", 'g_df = "conventional"'),
    (ask("y ~ x", vcov="DK", lag=1, **PANEL), "notyet", "never by T / (T - 1)"),
    (ask("y ~ x", vcov="DK", lag=1, ssc=NEITHER), "notimpl", "unit and time"),
    (ask("y ~ x", weights=("copies", "frequency")), "notyet", "analytic weights only"),
    (ask("count ~ x", estimator="fepois"), "notyet", "no fepois"),
    (ask("y ~ x", estimator="re", options=SWAR), "notimpl", "needs the study's unit and time"),
    (ask("y ~ x", estimator="re", options={"method": "nerlove"}, **PANEL), "notyet", "Swamy and Arora only"),
    (ask("y ~ x", estimator="re", options={"effect": "twoways"}, **PANEL), "notyet", "one-way"),
    (ask("y ~ x | id", estimator="re", options=SWAR, **PANEL), "never", "neither fixed effects"),
    (ask("y ~ x", estimator="between", vcov="CRV1", cluster=["id"], **PANEL), "notimpl", "between"),
]


@pytest.mark.parametrize(("request_", "reach", "reason"), REFUSED, ids=[r[2] for r in REFUSED])
def test_refusals_have_a_reason(request_, reach, reason):
    support = ENGINE.supports(request_)
    assert support.reach == reach
    assert reason in support.reason
    with pytest.raises(Unsupported):
        ENGINE.fit(request_, BALANCED) if request_.estimator != "fepois" else _raise(support.reason)


def _raise(reason):
    raise Unsupported(reason)


class TestRefusalsThatNeedTheData:
    def test_gaps(self):
        request = ask("y ~ x | id", vcov="NW", lag=1, ssc=NEITHER, **PANEL)
        with pytest.raises(Unsupported, match="lags by position"):
            ENGINE.fit(request, HOLES)
        assert ENGINE.fit(request, BALANCED).status == "ok"

    def test_collinear(self):
        with pytest.raises(Unsupported, match="collinear"):
            ENGINE.fit(ask("y ~ x + I(2 * x)", **PANEL), BALANCED)

    def test_absorbed_regressors_are_dropped_by_linearmodels(self):
        result = ENGINE.fit(ask("y ~ x + state | id", **PANEL), BALANCED)
        assert result.dropped == ("state",)
        agree(result, ORACLE.fit(ask("y ~ x | id", **PANEL), BALANCED))

    def test_repeated_rows(self):
        twice = BALANCED.take(np.r_[np.arange(BALANCED.nrows), 0])
        with pytest.raises(DataError, match="one row for each id and year"):
            ENGINE.fit(ask("y ~ x", estimator="re", options=SWAR, **PANEL), twice)
        agree(ENGINE.fit(ask("y ~ x | id", **PANEL), twice), ORACLE.fit(ask("y ~ x | id", **PANEL), twice))

    def test_empty_sample(self):
        frame = with_column(floats("x", np.full(BALANCED.nrows, np.nan)))
        with pytest.raises(DataError, match="no row has finite values"):
            ENGINE.fit(ask("y ~ x | id", **PANEL), frame)

    def test_saturated(self):
        frame = with_column(integers("id", np.arange(BALANCED.nrows)))
        with pytest.raises(DataError, match="saturated"):
            ENGINE.fit(ask("y ~ x | id", **PANEL), frame)


def test_one_cluster():
    with pytest.raises(DataError, match="'region' has one cluster"):
        ENGINE.fit(ask("y ~ x", vcov="CRV1", cluster=["region"]), BALANCED.take(BALANCED["region"].values == 1))


def test_missing_clusters_and_zero_weights_leave_rows_out():
    codes = BALANCED["region"].values.copy()
    codes[::7] = -1
    frame = with_column(categories("region", codes, BALANCED["region"].levels))
    result = ENGINE.fit(ask("y ~ x", vcov="CRV1", cluster=["region"], **PANEL), frame)
    assert result.stats.nobs == (codes >= 0).sum()
    assert result.conventions.rows_dropped == (codes < 0).sum()
    weights = np.where(np.arange(BALANCED.nrows) % 5 == 0, 0.0, BALANCED["w"].values)
    weighted = ENGINE.fit(ask("y ~ x", weights="w", **PANEL), with_column(floats("w", weights)))
    assert weighted.stats.nobs == (weights > 0).sum()


def test_inputs_are_left_alone_and_twice_is_once():
    request = ask("y ~ x + region | id + year", vcov="CRV1", cluster=["id"], weights="w", **PANEL)
    frame = panel(keep=0.9, missing=True)
    hash_, before = request.hash, [c.values.copy() for c in frame.columns]
    first, second = (Linearmodels().fit(request, frame).with_(seconds=0) for _ in range(2))
    assert first == second
    assert result_from_json(first.to_json()) == first
    assert request.hash == hash_
    for column, values in zip(frame.columns, before, strict=True):
        assert np.array_equal(column.values, values, equal_nan=True)


class TestChoice:
    """The factor of linearmodels as a formula."""

    def test_the_plainest_options_come_first(self):
        asked = SmallSample(k=12, k_factor=99 / 88, g_factors=(1.0,), df_t=88)
        made = choose("iid", asked, n=100, k=2, sizes=(10,), nested=(), uncounted=False, clusters=(), family="panel")
        assert made == Choice(absorbed=(0,))
        assert parameters(made, (10,), 2) == (2, 10)

    def test_none_where_there_is_none(self):
        asked = SmallSample(k=5, k_factor=1.2345, g_factors=(1.0,), df_t=88)
        assert (
            choose("HC1", asked, n=100, k=2, sizes=(10,), nested=(), uncounted=False, clusters=(), family="panel")
            is None
        )

    def test_no_degrees_of_freedom(self):
        assert math.isnan(factors("HC1", 10, 4, 8, (), Choice(), "panel")[0])


CODE = [
    ask("y ~ x + region*late", vcov="hetero", **PANEL),
    ask("y ~ x + i(year, ref = 2003) | id", vcov="CRV1", cluster=["id"], **PANEL),
    ask("y ~ x + z | id + year", vcov="CRV1", cluster=["id"], weights="w", **PANEL),
    ask("y ~ lag(x, 1) + log(abs(z)) | region^late + year", **PANEL),
    ask('y ~ x + i(region, z, ref = "Mid") | id + year + wave'),
    ask("`ln(Labor)` ~ `my var` + T:`if` + factor(late)", weights="w"),
    ask("y ~ z | id | x ~ q", vcov="hetero"),
    ask("y ~ z | x ~ q + `if`", vcov="CRV1", cluster=["state"]),
    ask("y ~ x | id", vcov="CRV1", cluster=["id"]),
    ask("y ~ x + z", estimator="re", vcov="CRV1", cluster=["id"], options=SWAR, **PANEL),
    ask("y ~ x + z", estimator="re", options={"method": "swar", "effect": "time"}, **PANEL),
    ask("y ~ x", estimator="between", vcov="hetero", **PANEL),
    ask("y ~ x | id + year", vcov="DK", ssc=NEITHER, **PANEL),
]


@pytest.mark.parametrize("request_", CODE, ids=[f"{r.estimator} {r.formula}" for r in CODE])
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
    assert relative(sorted(fitted.std_errors[shown]), sorted(r.std_error for r in result.coefs)) < 1e-9


def test_code_says_so_where_there_is_none():
    request = ask("y ~ x | id + year + wave", vcov="CRV1", cluster=["id"], ssc={"k_fixef": "none"}, **PANEL)
    assert ENGINE.code(request, "panel.csv").startswith("# linearmodels has no options")


def test_is_an_engine():
    assert isinstance(ENGINE, Engine)
    assert ENGINE.supports(ask("y ~ x + z | id", vcov="CRV1", cluster=["id"], **PANEL)).reach == "yes"
