"""Explanations of samples, columns, lags, leverages, designs, bands and bugs: named, replayed, and nothing else."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import crosscheck
from crosscheck.engines.designs import ENGINE as DESIGNS
from crosscheck.engines.oracle import ENGINE
from crosscheck.explain import explain_column, known, rules, stale_rows
from crosscheck.explain.convergence import explain_convergence
from crosscheck.explain.hac import KERNELS, autocovariances
from crosscheck.explain.leverage import bias_reduced, hetero_variants
from crosscheck.explain.replay import replayer
from crosscheck.explain.subsamples import without_separated
from crosscheck.frame import Column, Frame
from crosscheck.results import CoefRow, Conventions, EstimationResult, FitStats
from crosscheck.spec import FitRequest, SscSpec, VcovSpec
from tests.engine_helpers import ask, categories, floats, integers, panel
from tests.test_explain import FRAMES, NUMERIC, base, fit, spoil


def with_column(frame, column):
    kept = tuple(c for c in frame.columns if c.name != column.name)
    return Frame((*kept, column), frame.nrows, frame.row_ids)


def explained(reference, candidate, frame, request, rule, *, quantity="std_error", digits=9.0):
    """Every coefficient's number is explained by the rule, and the replay meets."""
    found = explain_column(reference, candidate, frame, request)
    for row in reference.coefs:
        first = found[row.term, quantity][0]
        assert rule in first.rule.split("+"), (row.term, first)
        assert first.digits_after >= digits, first
        assert first.title
        assert first.formula
    return found


# --- lags, kernels, leverages


@pytest.mark.parametrize("kind", ["DK", "NW"])
@pytest.mark.parametrize("lag", [0, 1, 3, 5])
def test_another_lag_is_named(kind, lag):
    frame = FRAMES["unbalanced"]
    request = base(vcov=kind, cluster=(), lag=2)
    one, two = fit(request, frame, "r.fixest"), fit(request, frame, "pyfixest", vcov=VcovSpec(type=kind, lag=lag))
    found = explained(one, two, frame, request, "hac.lag")
    assert f"with {lag} lags" in found["x", "std_error"][0].title
    assert "vcov_kwargs" in found["x", "std_error"][0].remedy["pyfixest"]


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k != "Bartlett"])
def test_another_kernel_is_named(kernel):
    frame, request = FRAMES["balanced"], base(vcov="DK", cluster=(), lag=3)
    one = fit(request, frame, "a")
    made = replayer(request, frame)
    parts = made.parts(request.vcov)
    from crosscheck.engines._oracle_linear import grouped

    sums = autocovariances(made.model.fit, "DK", grouped(made.model, request, request.vcov)[0])
    factor = np.diag(sums.covariance("Bartlett", 3)) / np.diag(parts.matrices[0])
    np.testing.assert_allclose(factor, 1, rtol=1e-13)
    whole = made.std_errors(parts, parts.base) / np.sqrt(np.diag(parts.matrices[0]))
    errors = np.sqrt(np.diag(sums.covariance(kernel, 4))) * whole
    two = one.with_(
        engine="b", coefs=tuple(replace(r, std_error=float(s)) for r, s in zip(one.coefs, errors, strict=True))
    )
    found = explained(one, two, frame, request, "hac.kernel")
    assert kernel in found["x", "std_error"][0].title


def test_kernels_are_those_of_linearmodels():
    pytest.importorskip("linearmodels.panel", reason="needs the Python package linearmodels")
    from linearmodels.panel import PanelOLS

    frame = FRAMES["balanced"]
    data = frame.to_pandas().set_index(["id", "year"])
    model = PanelOLS(data["y"], data[["x", "z"]], entity_effects=True)
    request = base("y ~ x + z | id", vcov="DK", cluster=(), lag=2)
    reference = fit(request, frame, "r.fixest")
    for kernel, word in (("bartlett", "hac.lag"), ("parzen", "Parzen"), ("qs", "quadratic spectral")):
        fitted = model.fit(cov_type="kernel", kernel=kernel, bandwidth=4, debiased=True)
        rows = tuple(
            CoefRow(term=t, estimate=float(fitted.params[t]), std_error=float(fitted.std_errors[t])) for t in ("x", "z")
        )
        two = EstimationResult(engine="linearmodels", coefs=rows, stats=FitStats(nobs=reference.stats.nobs))
        found = explain_column(reference, two, frame, request)
        first = found["x", "std_error"][0]
        assert first.digits_after >= 9
        assert word in first.rule or word in first.title
        assert "linearmodels' kernel" in first.title


def test_leverages_beyond_hc3_match_their_formulas():
    frame, request = FRAMES["balanced"], base("y ~ x + z", vcov="HC1", cluster=())
    y = frame["y"].as_float()
    x = np.column_stack([np.ones(frame.nrows), frame["x"].as_float(), frame["z"].as_float()])
    bread = np.linalg.inv(x.T @ x)
    u = y - x @ (bread @ x.T @ y)
    h = np.einsum("ij,jk,ik->i", x, bread, x)
    ratio = h / h.mean()
    powers = {"HC4": np.minimum(4, ratio), "HC4m": np.minimum(1, ratio) + np.minimum(1.5, ratio)}
    powers["HC5"] = np.minimum(ratio, max(4, 0.7 * ratio.max())) / 2
    one = fit(request, frame, "r.fixest")
    made = replayer(request, frame)
    ours = hetero_variants(made.model.fit)
    for name, power in powers.items():
        v = bread @ (x.T * (u**2 / (1 - h) ** power)) @ x @ bread
        np.testing.assert_allclose(ours[name], v, rtol=1e-10)
        errors = np.sqrt(np.diag(v))
        two = one.with_(
            engine="r.lm", coefs=tuple(replace(r, std_error=float(s)) for r, s in zip(one.coefs, errors, strict=True))
        )
        found = explained(one, two, frame, request, "vcov.type")
        assert name in found["x", "std_error"][0].title


@pytest.mark.parametrize("formula", ["y ~ x + z", "y ~ x + z | id", "y ~ x | id + year"])
def test_bias_reduced_linearization_and_its_degrees_of_freedom(formula):
    """Against brute force with dummies: I - H in full, one symmetric inverse root a cluster (Bell and McCaffrey)."""
    frame, request = FRAMES["few"], base(formula)
    one = fit(request, frame, "r.fixest")
    made = replayer(request, frame)
    model = made.model
    ids = frame["id"].codes()[0]
    found = bias_reduced(model.fit, ids, tuple(model.effects.values()), model.x)
    dummies = [np.eye(c.max() + 1)[c] for c in model.effects.values()]
    whole = np.column_stack([model.x, *dummies])
    left, size, _ = np.linalg.svd(whole, full_matrices=False)
    q = left[:, size > 1e-9]
    m = np.eye(frame.nrows) - q @ q.T
    k = model.x.shape[1]
    rest = np.column_stack(dummies) if dummies else np.zeros((frame.nrows, 0))
    swept = model.x - rest @ np.linalg.lstsq(rest, model.x, rcond=None)[0] if dummies else model.x
    bread = np.linalg.inv(swept.T @ swept)
    u = m @ model.y
    meat, columns = np.zeros((k, k)), []
    for g in np.unique(ids):
        rows = ids == g
        values, vectors = np.linalg.eigh(m[np.ix_(rows, rows)])
        keep = values > 1e-10
        root = (vectors[:, keep] / np.sqrt(values[keep])) @ vectors[:, keep].T
        a = root @ swept[rows] @ bread
        meat += np.outer(a.T @ u[rows], a.T @ u[rows])
        columns.append(m[:, rows] @ a)
    np.testing.assert_allclose(found.matrix, meat, rtol=1e-8)
    for j in range(k):
        gram = np.array([[a[:, j] @ b[:, j] for b in columns] for a in columns])
        assert found.df[j] == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum(), rel=1e-8)
    rows = []
    from crosscheck.conventions import p_of

    for r, v, df in zip(one.coefs, np.diag(meat), found.df, strict=True):
        t = r.estimate / math.sqrt(v)
        rows.append(CoefRow(term=r.term, estimate=r.estimate, std_error=math.sqrt(v), statistic=t, p_value=p_of(t, df)))
    two = one.with_(engine="r.clubsandwich", coefs=tuple(rows))
    listed = explained(one, two, frame, request, "vcov.type", digits=8.5)
    assert "CRV2" in listed["x", "std_error"][0].title
    assert "Satterthwaite" in listed["x", "p_value"][0].title
    assert listed["x", "p_value"][0].digits_after >= 8


# --- both sides depart


PAIRS = {
    "plm and areg": (SscSpec(k_adj=False, g_adj=False), SscSpec(k_fixef="full")),
    "none and full": (SscSpec(k_fixef="none"), SscSpec(k_fixef="full")),
    "no g and none": (SscSpec(g_adj=False), SscSpec(k_fixef="none")),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("panel_", FRAMES)
@pytest.mark.parametrize("weights", [None, "w"])
def test_two_conventions_neither_of_which_was_asked_for_are_both_named(name, panel_, weights):
    frame, request = FRAMES[panel_], base(weights=weights)
    a, b = PAIRS[name]
    one, two = fit(request, frame, "r.plm", ssc=a), fit(request, frame, "stata.areg", ssc=b)
    found = explained(one, two, frame, request, "k.fixef")
    title = found["x", "std_error"][0].title
    assert "r.plm" in title
    assert "stata.areg" in title


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("ssc", [{"k_fixef": "none"}, {"k_fixef": "full"}, {"g_adj": False}])
def test_effects_nested_in_larger_clusters(ssc, swapped):
    frame, request = FRAMES["balanced"], base("y ~ x + z | id + year", cluster=("state",))
    one, two = fit(request, frame, "r.fixest"), fit(request, frame, "pyfixest", ssc=SscSpec(**ssc))
    pair = (two, one) if swapped else (one, two)
    explained(*pair, frame, request, "g.adj" if "g_adj" in ssc else "k.fixef")


# --- columns


def collinear(frame):
    x, z = frame["x"].as_float(), frame["z"].as_float()
    return with_column(frame, floats("v", 2 * x - 0.5 * z))


@pytest.mark.parametrize("formula", ["y ~ x + z + v", "y ~ x + z + v | id + year"])
def test_another_collinear_column_is_the_same_fit(formula):
    frame = collinear(FRAMES["unbalanced"])
    request = base(formula)
    one = fit(request, frame, "r.fixest")
    assert one.dropped == ("v",)
    other = base(formula.replace("x + z + v", "v + z + x"))
    two = fit(other, frame, "pyfixest")
    assert {r.term for r in two.coefs} != {r.term for r in one.coefs}
    found = explain_column(one, two, frame, request)
    for row in one.coefs:
        first = found[row.term, "estimate"][0]
        assert first.rule == "collinear"
        assert first.digits_after >= 9
        assert found[row.term, "std_error"][0].digits_after >= 9
    assert "b[x] = " in found["x", "estimate"][0].formula
    wrong = spoil(two, lambda c: replace(c, estimate=c.estimate * 1.0001), 0)
    assert explain_column(one, wrong, frame, request) == {}
    other_x = with_column(frame, floats("v", frame["v"].as_float() + np.eye(frame.nrows)[3]))
    apart = ENGINE.fit(base(formula.replace("x + z + v", "v + z")), other_x).with_(engine="b")
    assert explain_column(one, apart, frame, request) == {}


@pytest.mark.parametrize("formula", ["y ~ i(region, ref = '{}') + x", "y ~ i(region, ref = '{}') + x | year"])
@pytest.mark.parametrize("ssc", [None, SscSpec(k_fixef="none", g_adj=False)])
def test_another_reference_level_is_the_same_fit(formula, ssc):
    frame = panel(seed=3, keep=0.9).select((*NUMERIC, "region"))
    request, other = base(formula.format("West")), base(formula.format("Mid"))
    one = fit(request, frame, "r.fixest")
    two = fit(other, frame, "pyfixest", **({} if ssc is None else {"ssc": ssc}))
    found = explain_column(one, two, frame, request)
    for row in one.coefs:
        for quantity in ("estimate", "std_error"):
            first = found[row.term, quantity][0]
            assert first.rule.startswith("reference.level")
            assert first.digits_after >= 9, (row.term, quantity, first)
    assert found["region::West", "estimate"][0].replay is None
    swapped_labels = two.with_(
        coefs=tuple(replace(r, estimate=two.coefs[(i + 1) % len(two.coefs)].estimate) for i, r in enumerate(two.coefs))
    )
    assert explain_column(one, swapped_labels, frame, request) == {}


def test_factor_levels_are_read_from_every_spelling():
    frame = panel(seed=3).select((*NUMERIC, "region"))
    request = base("y ~ x + region", vcov="iid", cluster=())
    one = fit(request, frame, "r.lm")
    other = base("y ~ x + i(region, ref = 'Mid')", vcov="iid", cluster=())
    two = fit(other, frame, "pyfixest")
    found = explain_column(one, two, frame, request)
    assert all(found[r.term, "estimate"][0].rule == "reference.level" for r in one.coefs)


# --- samples


def test_singletons_and_another_count_of_parameters_at_once():
    frame = FRAMES["few"]
    ids = frame["id"].values.copy()
    ids[[0, 40]] = 100, 101
    frame = with_column(frame, integers("id", ids))
    request = base("y ~ x + z | id + year")
    keep = np.ones(frame.nrows, dtype=bool)
    keep[[0, 40]] = False
    one = fit(request, frame, "r.fixest", ssc=SscSpec(k_fixef="full")).with_(version="0.12.1")
    two = fit(request, frame.take(keep), "pyfixest").with_(version="0.60.0")
    found = explain_column(one, two, frame, request)
    first = found["x", "std_error"][0]
    assert first.rule == "sample.singletons+k.fixef"
    assert first.digits_after >= 9
    listed = found["", "nobs"][0]
    assert [(d.row, d.side) for d in listed.dropped] == [(1, "pyfixest"), (41, "pyfixest")]
    assert listed.dropped[0].reason == "the only row of its id"
    assert listed.dropped[0].what == "id 100, year 2000"
    assert "the default of pyfixest from 0.40 on" in first.title
    assert "the default of fixest before 0.13" in first.title


def holes(frame):
    q, w = frame["q"].as_float().copy(), frame["w"].as_float().copy()
    q[[3, 50, 77]] = np.nan
    w[[9, 50]] = np.nan
    return with_column(with_column(frame, floats("q", q)), floats("w", w))


@pytest.mark.parametrize("columns", [("q", "w"), ("q",), ("w",)])
@pytest.mark.parametrize("swapped", [False, True])
def test_rows_that_lack_a_value_of_another_column(columns, swapped):
    frame, request = holes(FRAMES["unbalanced"]), base()
    keep = ~np.any([frame[c].missing for c in columns], axis=0)
    one, two = fit(request, frame, "r.fixest"), fit(request, frame.take(keep), "r.lm")
    pair = (two, one) if swapped else (one, two)
    found = explained(*pair, frame, request, "sample.missing", quantity="estimate")
    assert found["", "nobs"][0].replay == pair[0].stats.nobs
    dropped = found["", "nobs"][0].dropped
    assert len(dropped) == int((~keep).sum())
    assert {d.side for d in dropped} == {"r.lm"}
    assert all("is missing" in d.reason for d in dropped)
    wrong = keep.copy()
    wrong[np.flatnonzero(keep)[:1]], wrong[np.flatnonzero(~keep)[:1]] = False, True
    assert explain_column(one, fit(request, frame.take(wrong), "b"), frame, request) == {}


def test_duplicates_unbalanced_units_and_first_periods():
    frame, request = panel(seed=9, keep=0.96).select(NUMERIC), base()
    ids, years = frame["id"].values, frame["year"].values
    counts = np.bincount(ids)[ids]
    one = fit(request, frame, "a")
    whole = counts == np.unique(years).size
    explained(one, fit(request, frame.take(whole), "b"), frame, request, "sample.balance", quantity="estimate")
    first = np.array([years[i] == years[ids == ids[i]].min() for i in range(frame.nrows)])
    explained(one, fit(request, frame.take(~first), "b"), frame, request, "sample.first_period", quantity="estimate")
    twice = frame.take(np.concatenate([np.arange(frame.nrows), [5, 9]]))
    again = fit(request, twice, "a")
    explained(again, fit(request, frame, "b"), twice, request, "sample.duplicates", quantity="estimate")


# --- Poisson and logit


def test_separated_rows_and_their_factor():
    rng = np.random.default_rng(3)
    frame = FRAMES["balanced"]
    count = rng.poisson(1.0, frame.nrows).astype(float)
    count[frame["id"].values == 4] = 0
    frame = with_column(frame, floats("count", count))
    request = ask("count ~ x + z | id + year", estimator="fepois", vcov="HC1", unit="id", time="year")
    n, gone = frame.nrows, 14
    k, fewer = 2 + 22 + 13, 2 + 21 + 13
    rows = tuple(CoefRow(term=t, estimate=b, std_error=0.1) for t, b in (("x", 0.3), ("z", -0.2)))
    one = EstimationResult(engine="r.fixest", coefs=rows, stats=FitStats(nobs=n))
    scale = math.sqrt((n - gone) / (n - gone - fewer) / (n / (n - k)))
    other = tuple(replace(r, std_error=r.std_error * scale) for r in rows)
    two = EstimationResult(engine="pyfixest", coefs=other, stats=FitStats(nobs=n - gone))
    for pair in ((one, two), (two, one)):
        found = explain_column(*pair, frame, request)
        assert found["", "nobs"][0].rule == "sample.separation"
        assert len(found["", "nobs"][0].dropped) == gone
        assert found["x", "std_error"][0].digits_after >= 9
        assert found["x", "std_error"][0].verdict == "sample"
    assert explain_column(one, two.with_(stats=FitStats(nobs=n - 13)), frame, request) == {}
    wrong = spoil(two, lambda c: replace(c, std_error=c.std_error * 1.0001))
    assert ("x", "std_error") not in explain_column(one, wrong, frame, request)


def test_levels_without_variation_are_found_in_turn():
    y = np.array([0.0, 0, 1, 2, 0, 0, 3, 1])
    a, b = np.array([0, 0, 1, 1, 2, 2, 3, 3]), np.array([0, 1, 0, 1, 2, 2, 2, 2])
    assert without_separated(y, (a, b), None).tolist() == [False, False, True, True, False, False, True, True]
    binary = np.array([1.0, 1, 0, 1, 0, 0, 1, 0])
    assert without_separated(binary, (a,), 1.0).tolist() == [False, False, True, True, False, False, True, True]


# --- convergence


def loosened(result, tolerance):
    return spoil(result, lambda c: replace(c, estimate=c.estimate + tolerance * c.std_error))


def test_convergence_is_proved_by_tight_fits():
    frame, request = FRAMES["unbalanced"], base()
    loose = request.model_copy(update={"options": {"tolerance": 1e-3}})
    tight = fit(request, frame, "r.fixest")
    away = {"r.fixest": loosened(tight, 1e-3).with_(engine="r.fixest"), "pyfixest": loosened(tight, -2e-3)}
    away["pyfixest"] = away["pyfixest"].with_(engine="pyfixest")

    def again(engine, asked):
        return away[engine] if "tolerance" in asked.options else tight.with_(engine=engine)

    found = explain_column(away["r.fixest"], away["pyfixest"], frame, loose, again)
    first = found["x", "estimate"][0]
    assert (first.rule, first.verdict) == ("convergence", "convergence")
    assert first.digits_after >= 9
    assert "tolerance 0.001" in first.formula
    # a cell that was changed afterwards is not what the engine gives, loose or tight
    spoiled = spoil(away["pyfixest"], lambda c: replace(c, estimate=c.estimate * 1.0001), 0).with_(engine="pyfixest")
    assert explain_convergence(away["r.fixest"], spoiled, loose, again) == {}
    # and tight requests have nothing to converge
    assert explain_convergence(away["r.fixest"], away["pyfixest"], request, again) == {}

    def apart(engine, asked):
        return again(engine, asked) if engine == "r.fixest" or "tolerance" in asked.options else away["pyfixest"]

    assert explain_convergence(away["r.fixest"], away["pyfixest"], loose, apart) == {}


def test_pyfixest_takes_the_tolerance_that_is_asked_for():
    pytest.importorskip("pyfixest", reason="needs the Python package pyfixest")
    from crosscheck.engines.pyfixest import ENGINE as PYFIXEST

    frame = panel(seed=9, keep=0.6).select((*NUMERIC, "count"))
    request = ask("count ~ x + z | id + year", estimator="fepois", vcov="iid")
    loose = request.model_copy(update={"options": {"tolerance": 1e-2}})
    tight, early = PYFIXEST.fit(request, frame), PYFIXEST.fit(loose, frame)
    assert tight.coefs[0].estimate != early.coefs[0].estimate
    assert "1e-02" in PYFIXEST.code(loose, "d.csv") or "0.01" in PYFIXEST.code(loose, "d.csv")

    def again(engine, asked):
        if engine == "pyfixest":
            return PYFIXEST.fit(asked, frame)
        return tight.with_(engine=engine)

    found = explain_column(tight.with_(engine="r.fixest"), early, frame, loose, again)
    assert {e[0].verdict for e in found.values()} == {"convergence"}
    assert found["x", "estimate"][0].digits_after >= 9


# --- designs


def describe(frame, engine, **options):
    request = FitRequest(
        estimator="describe",
        options={
            "variables": ["x", "z"],
            "ddof": 1,
            "quantiles": [0.1, 0.9],
            "quantile": "r7",
            "missing": "by_variable",
            **options,
        },
    )
    return DESIGNS.fit(request, frame).with_(engine=engine), request


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"ddof": 0}, "ddof"),
        ({"quantile": "r6"}, "quantile.type"),
        ({"quantile": "r2", "ddof": 0}, "ddof+quantile.type"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_divisors_and_quantiles_are_named(options, rule, swapped):
    frame = FRAMES["unbalanced"]
    one, request = describe(frame, "r.designs")
    two, _ = describe(frame, "designs", **options)
    pair = (two, one) if swapped else (one, two)
    found = explain_column(*pair, frame, request)
    rules_ = {e[0].rule for e in found.values()}
    assert rules_ == {rule}
    assert all(e[0].digits_after >= 9 for e in found.values())
    extras = tuple(replace(e, value=e.value * 1.0001) if i == 1 else e for i, e in enumerate(two.extras))
    assert explain_column(one, two.with_(extras=extras), frame, request) == {}


def matching(frame, engine, **options):
    from crosscheck.design_options import MatchOptions

    asked_ = MatchOptions(group="group", covariates=("x", "z"), unit="id", time="year", **options)
    request = FitRequest(
        estimator="psm_did", formula="`y` ~ `x` | `id` + `year`", options=asked_.model_dump(mode="json")
    )
    return DESIGNS.fit(request, frame).with_(engine=engine), request


@pytest.mark.parametrize(
    ("asked_", "did", "rule"),
    [
        ({"replace": False}, {"replace": False, "order": "smallest"}, "matching.order"),
        ({"replace": False, "order": "smallest"}, {"replace": False, "order": "data"}, "matching.order"),
        ({"replace": True}, {"replace": True, "ties": "all"}, "matching.ties"),
    ],
)
def test_matching_orders_and_ties_are_named(asked_, did, rule):
    rng = np.random.default_rng(2)
    frame = panel(seed=6, units=30, periods=5).select(NUMERIC)
    ties = rule == "matching.ties"
    x, z = (np.round(frame[c].as_float(), 0 if ties else 9) for c in ("x", "z"))
    group = (rng.random(frame.nrows) + 0.1 * x < (0.3 if ties else 0.48)).astype(np.int32)
    frame = with_column(with_column(frame, integers("group", group)), floats("x", x))
    frame = with_column(frame, floats("z", z))
    one, request = matching(frame, "r.designs", **asked_)
    two, _ = matching(frame, "designs", **did)
    found = explain_column(one, two, frame, request)
    assert found
    assert {e[0].rule for e in found.values()} == {rule}


# --- difference in differences


def staggered(**more):
    from tests.test_oracle_did import FRAMES as STAGGERED
    from tests.test_oracle_did import question

    return STAGGERED["plain"], question(**more)


def test_units_treated_from_the_start_are_left_out_or_kept_as_controls():
    frame, request = staggered(aggregation="simple")
    cohort, time = request.options["cohort"], request.options.get("time") or request.time
    values = frame[cohort].values.copy()
    unit = frame[request.options.get("unit") or request.unit].codes()[0]
    first = int(np.nanmin(frame[time].as_float()))
    chosen = np.unique(unit[frame[cohort].as_float() == 0])[:3]
    values[np.isin(unit, chosen)] = first
    frame = with_column(frame, Column(cohort, frame[cohort].kind, values))
    one = ENGINE.fit(request, frame).with_(engine="r.did")
    kept = frame[cohort].values.copy()
    kept[kept == first] = 0
    two = ENGINE.fit(request, with_column(frame, Column(cohort, frame[cohort].kind, kept))).with_(engine="csdid")
    assert one.coefs[0].estimate != two.coefs[0].estimate
    for pair in ((one, two), (two, one)):
        found = explain_column(*pair, frame, request)
        first_ = found["overall", "estimate"][0]
        assert (first_.rule, first_.verdict) == ("did.always_treated", "sample")
        assert first_.digits_after >= 9
    wrong = spoil(two, lambda c: replace(c, estimate=c.estimate * 1.0001))
    assert explain_column(one, wrong, frame, request) == {}


def test_simultaneous_bands_and_bootstrapped_errors_are_named_where_a_side_says_so():
    frame, request = staggered(aggregation="dynamic")
    one = ENGINE.fit(request, frame).with_(engine="r.did")
    c = 2.61

    def wide(row):
        if not row.std_error or not math.isfinite(row.std_error):
            return row
        return replace(row, conf_low=row.estimate - c * row.std_error, conf_high=row.estimate + c * row.std_error)

    bands = spoil(one, wide).with_(engine="csdid")
    assert explain_column(one, bands, frame, request) == {}  # nobody says that they are simultaneous
    said = bands.with_(conventions=replace(bands.conventions, notes=("simultaneous bands",)))
    for pair in ((one, said), (said, one)):
        found = explain_column(*pair, frame, request)
        assert found["overall", "conf_low"][0].rule == "did.bands"
        assert found["overall", "conf_high"][0].digits_after >= 9
    uneven = spoil(said, lambda r: replace(r, conf_high=(r.conf_high or 0.0) * 1.01), 0)
    uneven = uneven.with_(engine="csdid", conventions=said.conventions)
    assert explain_column(one, uneven, frame, request) == {}
    rng = np.random.default_rng(1)
    boot = spoil(
        one, lambda r: replace(r, std_error=r.std_error * (1 + 0.02 * rng.normal())) if r.std_error else r
    ).with_(engine="r.did (boot)")
    assert explain_column(one, boot, frame, request) == {}
    said = boot.with_(conventions=Conventions(notes=("multiplier bootstrap, B = 1000",)))
    found = explain_column(one, said, frame, request)
    assert found["overall", "std_error"][0].verdict == "stochastic"
    assert found["overall", "std_error"][0].rule == "did.bootstrap"
    far = spoil(said, lambda r: replace(r, std_error=r.std_error * 1.5) if r.std_error else r)
    assert explain_column(one, far.with_(conventions=said.conventions), frame, request) == {}


# --- bugs by version


def test_bugs_are_used_in_their_versions_only():
    rows = {r.slug: r for r in known()}
    row = rows["fixest-one-parameter-too-many"]
    assert row.covers("0.13.2")
    assert not row.covers("0.14.0")
    assert not row.covers("0.14.2")
    assert not row.covers("0.12.1")
    assert not row.covers("")
    frame, request = FRAMES["balanced"], base()
    one = fit(request, frame, "pyfixest")
    n, k = one.stats.nobs, one.conventions.k
    two = spoil(one, lambda c: replace(c, std_error=c.std_error * math.sqrt((n - k) / (n - k - 1))))
    buggy = two.with_(engine="r.fixest", version="0.13.2")
    found = explain_column(buggy, one, frame, request)
    first = found["x", "std_error"][0]
    assert (first.rule, first.verdict) == ("known.bug", "known")
    assert first.digits_after >= 9
    assert "issue 631" in first.title
    assert explain_column(two.with_(engine="r.fixest", version="0.14.2"), one, frame, request) == {}
    # a row that no longer applies is said loudly
    (reason,) = stale_rows(one.with_(engine="r.fixest", version="0.13.2"), one, frame, request)
    assert "fixest-one-parameter-too-many no longer applies" in reason
    assert stale_rows(one.with_(engine="r.fixest", version="0.14.2"), one, frame, request) == ()


def test_a_stale_row_is_a_cell_of_its_own():
    from crosscheck.columns import _pair
    from crosscheck.judging import LEGEND, Context

    frame, request = FRAMES["balanced"], base()
    one = fit(request, frame, "pyfixest")
    old = one.with_(engine="r.fixest", version="0.13.1")
    context = Context(study="s", table="t", column="1", legend=LEGEND, decimals={}, tolerances={})

    class Column_:
        pass

    column = Column_()
    column.request = request
    cells = _pair(old, one, context, column, frame)
    (stale,) = [c for c in cells if c.verdict == "stale"]
    assert (stale.term, stale.severity) == ("*", "structural")


# --- defaults by era


def test_defaults_are_named_in_their_era():
    frame, request = FRAMES["balanced"], base("y ~ x + z | id + year", vcov="iid", cluster=())
    clustered = VcovSpec(type="CRV1", cluster=("id",))
    one = fit(request, frame, "pyfixest").with_(version="0.60.0")
    old = fit(request, frame, "r.fixest", vcov=clustered).with_(version="0.12.1")
    new = old.with_(version="0.14.2")
    assert "the default of fixest before 0.13" in explain_column(old, one, frame, request)["x", "std_error"][0].title
    assert "the default of fixest" not in explain_column(new, one, frame, request)["x", "std_error"][0].title
    by_id = base("y ~ x + z | id + year")
    early = fit(by_id, frame, "pyfixest", ssc=SscSpec(k_fixef="none")).with_(version="0.28.0")
    title = explain_column(fit(by_id, frame, "oracle"), early, frame, by_id)["x", "std_error"][0].title
    assert "the default of pyfixest before 0.29" in title


# --- the function of the package


def test_crosscheck_explain_answers_in_one_call():
    frame, request = FRAMES["balanced"], base()
    one, two = fit(request, frame, "r.fixest"), fit(request, frame, "pyfixest", ssc=SscSpec(k_fixef="full"))
    question = {"formula": "y ~ x + z | id + year", "vcov": "CRV1", "cluster": "id", "unit": "id", "time": "year"}
    for data in (frame, frame.to_pandas()):
        why = crosscheck.explain(one, two, data=data, **question)
        assert why.unexplained == ()
        assert why.of("x", "std_error")[0].rule == "k.fixef"
        text = str(why)
        assert text.count("pyfixest counts K = 37") == 1
        assert "Replayed" in text
        assert 'pf.feols(..., ssc=pf.ssc(k_fixef="nonnested"))' in text
        assert 'summary(m, ssc = ssc(K.fixef = "full"))' in text
    assert "\n" not in why.latex().strip()
    assert why.latex().startswith(r"\footnote{The standard errors of x, z differ")
    assert r"K.fixef = \char34{}full\char34{}" in why.latex()
    again = crosscheck.explain(one, one.with_(engine="pyfixest"), data=frame, request=request)
    assert len(again) == 0
    assert "comparisons agree" in str(again)
    spoiled = spoil(two, lambda c: replace(c, std_error=c.std_error * 1.0001))
    left = crosscheck.explain(one, spoiled, data=frame, request=request)
    assert {c.quantity for c in left.unexplained} >= {"std_error"}
    assert "unexplained" in str(left)


def test_without_data_what_the_sides_state_is_used():
    frame, request = FRAMES["balanced"], base()
    one, two = fit(request, frame, "r.fixest"), fit(request, frame, "pyfixest", ssc=SscSpec(k_fixef="full"))
    why = crosscheck.explain(one, two)
    assert why.of("x", "std_error")[0].rule == "k.fixef"
    assert why.of("x", "std_error")[0].digits_after >= 9
    spoiled = spoil(two, lambda c: replace(c, std_error=c.std_error * 1.0001))
    assert crosscheck.explain(one, spoiled).unexplained
    uneven = spoil(two, lambda c: replace(c, std_error=c.std_error * 1.01), 0)
    assert all(not c.explanations for c in crosscheck.explain(one, uneven) if c.quantity == "std_error")
    assert crosscheck.explain(one, {"x": (0.5, 0.1), "z": (1.0, 0.2)}).unexplained


def test_models_of_packages_are_read():
    smf = pytest.importorskip("statsmodels.formula.api", reason="needs the Python package statsmodels")
    frame = FRAMES["balanced"]
    data = frame.to_pandas()
    hc0 = smf.ols("y ~ x + z", data).fit(cov_type="HC0")
    hc1 = smf.ols("y ~ x + z", data).fit(cov_type="HC1")
    why = crosscheck.explain(hc1, hc0, data=data, formula="y ~ x + z", vcov="HC1")
    assert why.reference == "statsmodels (first)"
    assert why.of("x", "std_error")[0].rule == "k.adj"
    assert why.of("x", "std_error")[0].remedy["statsmodels (second)"]
    with pytest.raises(crosscheck.errors.UsageError, match="cannot read a int"):
        crosscheck.explain(hc1, 3)
    with pytest.raises(crosscheck.errors.UsageError, match="not the question"):
        crosscheck.explain(hc1, hc0, data=data)


def test_models_fitted_at_default_tolerances_are_explained_to_seven_digits():
    pf = pytest.importorskip("pyfixest", reason="needs the Python package pyfixest")
    smf = pytest.importorskip("statsmodels.formula.api", reason="needs the Python package statsmodels")
    data = panel(seed=3, keep=0.6).select(NUMERIC).to_pandas()
    absorbed = pf.feols("y ~ x + z | id + year", data, vcov={"CRV1": "id"})
    dummies = smf.ols("y ~ x + z + C(id) + C(year)", data).fit(cov_type="cluster", cov_kwds={"groups": data["id"]})
    question = {"formula": "y ~ x + z | id + year", "vcov": "CRV1", "cluster": "id", "unit": "id", "time": "year"}
    why = crosscheck.explain(absorbed, dummies, data=data, terms=["x", "z"], **question)
    first = why.of("x", "std_error")[0]
    assert first.rule == "k.fixef"
    assert first.digits_after >= 7
    assert "statsmodels (cluster)" in first.title
    iid = pf.feols("y ~ x + z | id + year", data)
    title = crosscheck.explain(absorbed, iid, data=data, **question).of("x", "std_error")[0].title
    assert "the default of pyfixest from 0.40 on" in title
    spoiled = {t: (float(absorbed.coef()[t]), float(absorbed.se()[t]) * 1.0001) for t in ("x", "z")}
    assert crosscheck.explain(absorbed, spoiled, data=data, **question).unexplained
    with pytest.raises(crosscheck.errors.UsageError, match="no term 'q'"):
        crosscheck.explain(absorbed, dummies, data=data, terms=["q"], **question)


def test_text_columns_of_a_data_frame_are_categories():
    from crosscheck.explain.adopt import as_frame

    pd = pytest.importorskip("pandas")
    data = pd.DataFrame(
        {
            "a": ["x", None, "y"],
            "b": [1, 2, 3],
            "c": [1.5, np.nan, 2.0],
            "d": [True, False, True],
            "e": pd.to_datetime(["2020-01-01", None, "2020-02-01"]),
            "f": pd.Categorical(["u", "v", "u"], categories=["v", "u"]),
            "g": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    frame = as_frame(data)
    kinds = {c.name: c.kind for c in frame.columns}
    assert kinds == {
        "a": "category",
        "b": "integer",
        "c": "float",
        "d": "boolean",
        "e": "date",
        "f": "category",
        "g": "integer",
    }
    assert frame["a"].missing.tolist() == [False, True, False]
    assert frame["e"].missing.tolist() == [False, True, False]
    assert frame["g"].missing.tolist() == [False, True, False]
    assert frame["f"].levels == ("v", "u")
    assert categories("f", [1, 0, 1], ("v", "u")).levels == frame["f"].levels


def test_joint_tests_against_another_distribution():
    from crosscheck.explain.joint import explain_joint
    from crosscheck.wald import with_joint_tests

    frame, request = FRAMES["balanced"], base()
    term = "wald:x+z"
    one = fit(request, frame, "r.fixest")
    two = fit(request, frame, "linearmodels", ssc=SscSpec(t_df="conventional"))
    a, b = (with_joint_tests(r, (term,)) for r in (one, two))
    values = {e.quantity: e.value for e in a.extras if e.term == term}
    assert values
    (first,) = explain_joint(a, b, term, "p_value")
    assert first.rule == "df.joint"
    assert first.replay == pytest.approx(values["p_value"], rel=1e-9)
    assert "linearmodels tests against F(2, " in first.title
    wrong = spoil(two, lambda c: replace(c, estimate=c.estimate * 1.01)).with_(engine="b")
    assert explain_joint(a, with_joint_tests(wrong, (term,)), term, "p_value") == ()
    assert explain_joint(a, a.with_(engine="b"), term, "p_value") == ()


def test_every_rule_has_an_exam():
    texts = "".join(p.read_text("utf-8") for p in Path(__file__).parent.glob("test_*.py") if p.name != "test_layers.py")
    assert [r for r in rules() if f'"{r}' not in texts and f"+{r}" not in texts] == []


def test_another_option_of_a_design_is_named():
    frame = holes(FRAMES["unbalanced"])
    asked_ = {"variables": ["x", "q"]}
    one, request = describe(frame, "r.designs", **asked_)
    two, _ = describe(frame, "designs", **asked_, missing="complete")
    found = explain_column(one, two, frame, request)
    assert {e[0].rule for e in found.values()} == {"design.option"}
    assert all("missing = complete" in e[0].title for e in found.values())


def test_the_catalogue_of_the_document_is_that_of_the_files():
    from crosscheck.explain.__main__ import catalogue

    text = (Path(__file__).parent.parent / "docs" / "explain.md").read_text("utf-8")
    shown = text.partition("<!-- catalogue -->\n")[2].partition("<!-- end of catalogue -->")[0]
    assert shown == catalogue(), "run python -m crosscheck.explain and paste its output into docs/explain.md"


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("ssc", [None, SscSpec(k_fixef="none", g_adj=False)])
def test_weights_ignored_under_another_convention(swapped, ssc):
    frame, request = FRAMES["unbalanced"], base(weights="w")
    one = fit(request, frame, "r.fixest")
    two = fit(request, frame, "statsmodels", weights=None, **({} if ssc is None else {"ssc": ssc}))
    found = explained(*((two, one) if swapped else (one, two)), frame, request, "weights.ignored", quantity="estimate")
    rules_ = "weights.ignored" if ssc is None else "weights.ignored+k.fixef+g.adj"
    assert found["x", "std_error"][0].rule == rules_
    assert found["x", "std_error"][0].digits_after >= 9


def test_probability_weights_are_named():
    frame, request = FRAMES["unbalanced"], base(vcov="iid", cluster=(), weights="w")
    one, two = fit(request, frame, "r.fixest"), fit(request, frame, "stata", vcov=VcovSpec(type="HC1"))
    found = explained(one, two, frame, request, "weights.type")
    assert "probability weights" in found["x", "std_error"][0].title


def test_overall_and_between_r2_of_stata_are_named():
    frame, request = FRAMES["unbalanced"], base("y ~ x + z | id")
    one = fit(request, frame, "r.fixest")
    y, ids = frame["y"].as_float(), frame["id"].values
    xb = one.coef("x").estimate * frame["x"].as_float() + one.coef("z").estimate * frame["z"].as_float()
    means = [np.array([v[ids == i].mean() for i in np.unique(ids)]) for v in (y, xb)]
    for value, word in (
        (np.corrcoef(y, xb)[0, 1] ** 2, "overall R2"),
        (np.corrcoef(*means)[0, 1] ** 2, "between R2 of id"),
    ):
        two = one.with_(engine="stata", stats=replace(one.stats, r2=float(value)))
        first = explain_column(one, two, frame, request)["", "r2"][0]
        assert first.rule == "r2.flavour"
        assert word in first.title
        assert first.digits_after >= 9
