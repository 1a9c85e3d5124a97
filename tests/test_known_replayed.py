"""Is a known fault recognised by the very number that it gives? Any other number in its region has to stay new."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crosscheck.campaign.properties import properties
from crosscheck.campaign.screen import recognised
from crosscheck.campaign.working import working_model
from crosscheck.closedform.covariance import covariance
from crosscheck.engines._oracle_linear import grouped, linear_model
from crosscheck.engines._shared import ssc_words
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.engines.statsmodels import ENGINE as STATSMODELS
from crosscheck.frame import Column, Frame
from crosscheck.results import CoefRow, EstimationResult
from crosscheck.simulate import PanelSpec
from crosscheck.spec import FitRequest, VcovSpec
from tests.test_campaign_known import case_of, one

SMALL = PanelSpec(units=6, periods=4, regressors=1, seed=3)


def name_of(found, case, results):
    """Return the row that covers a discrepancy where engines answer with these results."""
    match = recognised(found, case, lambda engine, request, frame: results[engine](request, frame))
    return match.id if match else None


def with_errors(result, errors, factor=1.0):
    rows = tuple(replace(r, std_error=float(e) * factor) for r, e in zip(result.coefs, errors, strict=True))
    return result.with_(coefs=rows)


def against(found, engine):
    return replace(found, identity=replace(found.identity, against=engine))


def errors_of(request, frame, **changes):
    model = working_model(request, frame)
    grouping, counts = grouped(model, request, request.vcov)
    repair = changes.pop("repair", True)
    found = covariance(
        model.fit, request.vcov.canonical, counts, ssc_words(request.ssc), replace(grouping, **changes), repair=repair
    )
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.diag(found.matrix))


@pytest.mark.parametrize("kind", ["NW", "DK"])
def test_only_the_sum_without_the_last_lag_is_that_of_fixest(kind):
    for lag, factor, known in ((3, 1.0, True), (3, 1.02, False), (1, 1.0, False)):
        case = case_of(SMALL, vcov=VcovSpec(type=kind, lag=lag))
        right = ORACLE.fit(case.request, case.frame)
        fixest = with_errors(right, errors_of(case.request, case.frame, last=2), factor)
        other = with_errors(right, errors_of(case.request, case.frame), factor)
        answers = {"r.fixest": lambda *_, r=fixest: r, "oracle": lambda *_, r=right: r, "mine": lambda *_, r=other: r}
        suffix = "_nw" if kind == "NW" else ""
        found = against(one("r.fixest", "std_error", case), "oracle")
        assert name_of(found, case, answers) == (f"fixest.last_lag{suffix}" if known else None)
        found = against(one("mine", "std_error", case), "r.fixest")
        assert name_of(found, case, answers) == (f"fixest.last_lag_as_reference{suffix}" if known else None)


def weighted_hc3(request, frame):
    """Return sandwich's formula, the weights before the inverse, with matrices written out."""
    model = linear_model(request, frame)
    x, w, u = model.x, np.asarray(model.weights, dtype=float), np.asarray(model.fit.resid, dtype=float)
    bread, meat = np.linalg.inv(x.T @ (w[:, None] * x)), 0.0
    codes = model.clusters(request.vcov.cluster)[0]
    for g in np.unique(codes):
        xg, wg = x[codes == g], w[codes == g]
        hat = xg @ bread @ xg.T @ np.diag(wg)
        score = xg.T @ np.linalg.solve(np.eye(len(wg)) - hat, wg * u[codes == g])
        meat = meat + np.outer(score, score)
    groups = np.unique(codes).size
    return np.sqrt(np.diag((groups - 1) / groups * bread @ meat @ bread))


def test_only_weights_before_the_inverse_are_sandwichs_fault():
    spec = PanelSpec(units=8, periods=4, regressors=1, weights="analytic", seed=3)
    vcov = VcovSpec(type="CRV3", cluster=("unit",))
    case = case_of(spec, "`y` ~ `x1`", vcov=vcov, weights={"column": "weight"})
    right = ORACLE.fit(case.request, case.frame)
    for factor, known in ((1.0, "sandwich.hc3_clusters_weights"), (1.02, None)):
        theirs = with_errors(right, weighted_hc3(case.request, case.frame), factor)
        assert name_of(one("r.lm", "std_error", case), case, {"r.lm": lambda *_, r=theirs: r}) == known


def always_treated():
    """Four units in four periods: one treated from the start, one never."""
    cohorts = np.repeat([3, 1, 4, 9], 4).astype(np.int32)
    time = np.tile([1, 2, 3, 4], 4).astype(np.int32)
    unit = np.repeat([0, 1, 2, 3], 4).astype(np.int32)
    y = np.random.default_rng(3).normal(size=16)
    columns = [Column("y", "float", y)]
    columns += [Column(n, "integer", v) for n, v in (("cohort", cohorts), ("time", time), ("unit", unit))]
    return Frame(tuple(columns), 16)


@pytest.mark.parametrize(("rows", "known"), [(15, "fixest.sunab_always_treated"), (14, None), (12, None), (16, None)])
def test_only_a_row_for_the_always_treated_cohort_is_fixests_fault(rows, known):
    request = FitRequest(
        estimator="sunab", formula="`y` ~ sunab(`cohort`, `time`) | `unit` + `time`", unit="unit", time="time"
    )
    case = case_of(SMALL).with_(frame=always_treated(), requests=(request,))
    theirs = EstimationResult(engine="r.fixest", stats=replace(ORACLE.fit(case.request, case.frame).stats, nobs=rows))
    assert name_of(one("r.fixest", "nobs", case), case, {"r.fixest": lambda *_: theirs}) == known


@pytest.mark.parametrize(
    ("mine", "known"),
    [
        (("gone",), "fixest.dropped_not_listed"),
        (("x1",), None),  # it varies, and has a coefficient
        (("gone x",), None),  # no regressor
        ((), None),  # then the two agree
    ],
)
def test_fixest_may_be_silent_about_a_regressor_that_does_not_vary(mine, known):
    case = case_of(SMALL, "`y` ~ `x1` + `gone`", rule="conditions")
    gone = Column("gone", "float", np.full(case.frame.nrows, 2.0))
    case = case.with_(frame=Frame((*case.frame.columns, gone), case.frame.nrows))
    row = CoefRow(term="x1", estimate=1.0)
    answers = {
        "r.fixest": lambda *_: EstimationResult(engine="r.fixest", coefs=(row,)),
        "mine": lambda *_: EstimationResult(engine="mine", coefs=(row,), dropped=mine),
    }
    found = against(one("mine", "dropped", case, rule="conditions"), "r.fixest")
    assert name_of(found, case, answers) == known


def test_fixest_may_not_list_what_the_other_engine_is_silent_about():
    case = case_of(SMALL, "`y` ~ `x1` + `gone`", rule="conditions")
    gone = Column("gone", "float", np.full(case.frame.nrows, 2.0))
    case = case.with_(frame=Frame((*case.frame.columns, gone), case.frame.nrows))
    answers = {
        "r.fixest": lambda *_: EstimationResult(engine="r.fixest", dropped=("gone",)),
        "mine": lambda *_: EstimationResult(engine="mine"),
    }
    found = against(one("mine", "dropped", case, rule="conditions"), "r.fixest")
    assert name_of(found, case, answers) is None


NEGATIVE = (
    ("feols", "`y` ~ `treated` + `x1`", {}, "pyfixest.two_way_without_repair"),
    ("fepois", "`y` ~ `treated` + `x1`", {"outcome": "count"}, "negative_variance_iterated"),
)


def two_way(estimator, formula, traits):
    """Return a case whose two-way covariance has a negative variance."""
    for seed in range(200):
        spec = PanelSpec(units=4, periods=4, regressors=1, seed=seed, **traits)
        vcov = VcovSpec(type="CRV1", cluster=("unit", "time"))
        case = case_of(spec, formula, estimator=estimator, vcov=vcov)
        if np.isnan(errors_of(case.request, case.frame, repair=False)).any():
            return case
    raise AssertionError("no panel has a negative variance")


@pytest.mark.parametrize(("estimator", "formula", "traits", "known"), NEGATIVE)
def test_a_two_way_covariance_is_known_as_it_is_and_otherwise_new(estimator, formula, traits, known):
    case = two_way(estimator, formula, traits)
    model = working_model(case.request, case.frame)
    rows = (CoefRow(term=t, estimate=float(b)) for t, b in zip(model.terms, model.fit.coef, strict=True))
    right = EstimationResult(engine="oracle", coefs=tuple(rows))
    repaired, raw = (errors_of(case.request, case.frame, repair=repair) for repair in (True, False))
    reference = "oracle" if estimator == "feols" else "r.fixest"
    bent = raw * np.where(np.arange(raw.size) == int(np.flatnonzero(~np.isnan(raw))[0]), 1.02, 1.0)
    for mine, row in ((raw, known), (bent, None), (np.full(raw.size, math.nan), None)):
        answers = {
            reference: lambda *_: with_errors(right, repaired),
            "pyfixest": lambda *_, e=mine: with_errors(right, e),
        }
        found = against(one("pyfixest", "std_error", case, says="pyfixest nan"), reference)
        assert name_of(found, case, answers) == row


def test_a_weighted_r2_after_instruments_is_the_unweighted_share_and_no_other_number():
    spec = PanelSpec(units=8, periods=4, regressors=1, instruments=1, weights="analytic", seed=3)
    case = case_of(spec, "`y` ~ `x1` | `endog` ~ `z1`", weights={"column": "weight"})
    model = linear_model(case.request, case.frame)
    w, u = np.asarray(model.weights, dtype=float), np.asarray(model.fit.projected, dtype=float)
    share = u @ u / (w @ (model.y - np.average(model.y, weights=w)) ** 2)
    right = ORACLE.fit(case.request, case.frame)
    for value, known in ((1 - share, "fixest.r2_weighted_iv"), (1 - 1.02 * share, None), (right.stats.r2, None)):
        theirs = right.with_(stats=replace(right.stats, r2=float(value)))
        assert name_of(one("r.fixest", "r2", case), case, {"r.fixest": lambda *_, r=theirs: r}) == known


def test_degrees_of_freedom_of_redundant_effects_are_those_of_a_count():
    spec = PanelSpec(units=6, periods=4, regressors=1, seed=3)
    case = case_of(spec, "`y` ~ `x1` | `unit` + `region`")
    region = Column("region", "integer", (case.frame["unit"].codes()[0] // 2).astype(np.int32))
    others = tuple(c for c in case.frame.columns if c.name != "region")
    case = case.with_(frame=Frame((*others, region), case.frame.nrows))
    right = ORACLE.fit(case.request, case.frame)
    counted = right.stats.df_resid
    for extra, known in ((2, "redundant_effects"), (1, None), (3, None)):
        theirs = right.with_(stats=replace(right.stats, df_resid=counted + extra))
        found = against(one("r.lm", "df_resid", case), "oracle")
        answers = {"r.lm": lambda *_, r=theirs: r, "oracle": lambda *_: right}
        assert name_of(found, case, answers) == known


def test_the_model_of_a_maximum_has_the_standard_errors_of_statsmodels():
    for estimator, options, outcome in (
        ("fepois", {}, "count"),
        ("feglm", {"family": "logit"}, "binary"),
    ):
        spec = PanelSpec(units=12, periods=6, regressors=1, outcome=outcome, seed=4)
        vcov = VcovSpec(type="CRV1", cluster=("unit",))
        case = case_of(spec, "`y` ~ `x1`", estimator=estimator, options=options, vcov=vcov)
        theirs = [row.std_error for row in STATSMODELS.fit(case.request, case.frame).coefs]
        assert errors_of(case.request, case.frame) == pytest.approx(theirs, rel=1e-6), estimator


def test_one_of_two_absorbed_regressors_may_stay_and_no_other_may_move():
    case = case_of(SMALL, "`y` ~ `x1` + `a` + `b` | `unit`")
    unit = case.frame["unit"].codes()[0].astype(float)
    more = (Column("a", "float", unit**2), Column("b", "float", 1 / (1 + unit)))
    case = case.with_(frame=Frame((*case.frame.columns, *more), case.frame.nrows))
    for term, known in (("a", "linearmodels.absorbed_pair"), ("x1", None)):
        found = replace(against(one("linearmodels", "terms", case), "oracle"), term=term)
        assert name_of(found, case, {}) == known


def test_beside_a_leverage_of_one_a_number_may_be_none_and_not_another():
    case = case_of(SMALL, "`y` ~ `x1` + `alone`", vcov=VcovSpec(type="HC3"))
    alone = Column("alone", "float", np.eye(case.frame.nrows)[0])
    case = case.with_(frame=Frame((*case.frame.columns, alone), case.frame.nrows))
    for says, known in (("mine nan, oracle 1.2", "leverage_one.numbers_hc3"), ("mine 1.22, oracle 1.2", None)):
        found = against(one("mine", "std_error", case, says=says), "statsmodels")
        answers = {n: lambda *_: EstimationResult(engine="mine") for n in ("mine", "statsmodels")}
        assert name_of(found, case, answers) == known


def test_who_takes_other_degrees_of_freedom_takes_those_of_a_count():
    vcov = VcovSpec(type="CRV1", cluster=("unit",))
    case = case_of(SMALL, "`y` ~ `x1`", vcov=vcov).with_(engines=("linearmodels",), rule="coherence")
    right = ORACLE.fit(case.request, case.frame)
    for df, found in ((22.0, False), (5.0, False), (21.0, True), (6.0, True)):
        rows = tuple(
            replace(r, df=df, statistic=None, p_value=None, conf_low=None, conf_high=None) for r in right.coefs
        )
        words = replace(right.conventions, notes=(f"t with {df:g}; the request asks for 5",))
        answer = right.with_(engine="linearmodels", coefs=rows, conventions=words)
        checked = properties()["coherence"].check(case, lambda *_, a=answer: a)
        assert [d.identity.quantity for d in checked.discrepancies] == (["df"] if found else [])
