"""Do lm, plm and clubSandwich give exactly the covariance that was asked for, or say that they do not?

One matrix: fixed effects, covariances and small-sample words. Whatever an engine answers must agree with fixest, or
with a jackknife in NumPy for CRV3; whatever Python's ``supports`` refuses, R must refuse as well.
"""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from crosscheck.bridge import FitItem
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.engines.r import CLUBSANDWICH, FIXEST, LM, PLM
from crosscheck.formula import emit, parse
from crosscheck.frame import Frame
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec
from tests.r_support import category, frame, number, panel, skip_without, whole, worker
from tests.test_r_fixest import dummies

PANEL = panel(units=18, periods=7, drop=0.05)
SERIES = frame(
    number("y", np.random.default_rng(3).normal(size=40).cumsum() / 5),
    number("x", np.random.default_rng(4).normal(size=40)),
    number("z", np.random.default_rng(5).normal(size=40)),
    whole("time", np.arange(40)),
)
EFFECTS = ("", "unit", "time", "unit + time", "state + time", "unit + group^time")
PLAIN = [SscSpec(k_adj=k, k_fixef=f) for k, f in itertools.product((True, False), ("none", "nonnested", "full"))]
CLUSTERED = [
    SscSpec(k_adj=k, k_fixef=f, g_adj=g, g_df=d, t_df=t)
    for k, f, g, (d, t) in itertools.product(
        (True, False),
        ("none", "nonnested", "full"),
        (True, False),
        (("min", "min"), ("conventional", "conventional")),
    )
]
ALTERNATING = [w for i, w in enumerate(CLUSTERED) if i % 2 == i // 2 % 2]
VCOVS = [
    *((VcovSpec(type=t), PLAIN) for t in ("iid", "HC1", "HC2", "HC3")),
    *((VcovSpec(type="CRV1", cluster=(c,)), ALTERNATING) for c in ("unit", "time", "state")),
    (VcovSpec(type="CRV1", cluster=("unit", "time")), CLUSTERED),
    *((VcovSpec(type=t, lag=2), ALTERNATING) for t in ("NW", "DK")),
    (VcovSpec(type="CRV3", cluster=("unit",)), PLAIN[:1]),
    (VcovSpec(type="CRV3", cluster=("group",)), PLAIN[:1]),
]


@pytest.fixture(scope="module")
def r():
    skip_without("sandwich", "lmtest", "plm", "clubSandwich")
    with worker("rscript") as made:
        yield made


def request(formula, data=PANEL, **options):
    options.setdefault("unit", "unit")
    options.setdefault("time", "time")
    return FitRequest(formula=emit(parse(formula, columns=data.names)), **options)


def close(a, b, where):
    """Whether two results agree in every coefficient, to what two least squares routines can."""
    assert {c.term for c in a.coefs} == {c.term for c in b.coefs}, where
    for mine in a.coefs:
        other = b.coef(mine.term)
        scale = other.std_error
        assert mine.estimate == pytest.approx(other.estimate, rel=1e-9, abs=1e-9 * scale), where
        for quantity in ("std_error", "statistic", "p_value", "conf_low", "conf_high"):
            one, two = getattr(mine, quantity), getattr(other, quantity)
            assert one == pytest.approx(two, rel=1e-7, abs=1e-9 * scale), (where, mine.term, quantity)
        assert mine.df == other.df, where
    assert a.stats.nobs == b.stats.nobs, where
    assert a.stats.df_resid == b.stats.df_resid, where
    assert a.conventions.df_t == b.conventions.df_t, where
    factors = (a.conventions.ssc_factor, b.conventions.ssc_factor)
    assert (factors[0] is None) == (factors[1] is None), where
    if factors[0] is not None:
        assert factors[0] == pytest.approx(factors[1], rel=1e-13), where


def jackknife(data: Frame, effects: str, cluster: str) -> np.ndarray:
    """Return (G - 1) / G sum (b_g - b)(b_g - b)' of x and z, dropping one cluster at a time, shape (2, 2)."""
    parts = [tuple(p.split("^")) for p in effects.split(" + ")] if effects else []
    groups = [dummies(data, p) for p in parts]
    columns = [np.eye(int(c.max()) + 1)[c] for c in groups] or [np.ones((data.nrows, 1))]
    design = np.column_stack([data["x"].as_float(), data["z"].as_float(), *columns])
    y, codes = data["y"].as_float(), dummies(data, (cluster,))
    whole_ = np.linalg.lstsq(design, y, rcond=None)[0][:2]
    count = int(codes.max()) + 1
    total = np.zeros((2, 2))
    for g in range(count):
        keep = codes != g
        difference = np.linalg.lstsq(design[keep], y[keep], rcond=None)[0][:2] - whole_
        total += np.outer(difference, difference)
    return total * (count - 1) / count


_fixest: dict[str, list] = {}


def fixest_answers(r, effects, asked):
    """fixest's side, asked once for all engines."""
    if effects not in _fixest:
        _fixest[effects] = r.fit_many([FitItem("r.fixest", q, PANEL) for q in asked])
    return _fixest[effects]


@pytest.mark.parametrize("engine", [LM, PLM, CLUBSANDWICH], ids=lambda e: e.id)
@pytest.mark.parametrize("effects", EFFECTS, ids=lambda e: e or "none")
def test_what_is_answered_is_what_was_asked(r, engine, effects):
    skip_without("fixest")
    formula = f"y ~ x + z | {effects}" if effects else "y ~ x + z"
    asked = [request(formula, vcov=v, ssc=s) for v, words in VCOVS for s in words]
    answers = r.fit_many([FitItem(engine.id, q, PANEL) for q in asked])
    theirs = fixest_answers(r, effects, asked)
    seen = Counter()
    for q, mine, other in zip(asked, answers, theirs, strict=True):
        where = (engine.id, effects, q.vcov, q.ssc)
        support = engine.supports(q)
        seen[(q.vcov.type, mine.status)] += 1
        if not support:
            assert mine.status == "unsupported", (where, support.reason, mine.reason)
            continue
        assert mine.status in ("ok", "unsupported"), (where, mine.reason)
        if mine.status == "ok" and q.vcov.type == "CRV3":
            V = jackknife(PANEL, effects, q.vcov.cluster[0])
            got = [mine.coef("x").std_error, mine.coef("z").std_error]
            assert got == pytest.approx(np.sqrt(np.diag(V)), rel=1e-9), where
        elif mine.status == "ok":
            assert other.status == "ok", (where, other.reason)
            close(mine, other, where)
    answered = {vcov for (vcov, status), _ in seen.items() if status == "ok"}
    leverage = set() if "group^time" in effects else {"HC2", "HC3"}  # small cells: some observations have leverage 1
    expected = {
        LM: {"iid", "HC1", "CRV1", "DK", "NW"} | leverage | ({"CRV3"} if effects == "" else set()),
        PLM: {"iid", "HC1", "CRV1", "NW", "DK"} if effects in ("", "unit", "time", "unit + time") else set(),
        CLUBSANDWICH: {"CRV1"},
    }[engine]
    assert expected <= answered, (engine.id, effects, dict(seen))


def test_the_pooled_jackknife_is_answered(r):
    result = r.fit("r.lm", request("y ~ x + z", vcov=VcovSpec(type="CRV3", cluster=("unit",))), PANEL)
    assert result.status == "ok"
    assert result.coef("x").std_error == pytest.approx(np.sqrt(jackknife(PANEL, "", "unit")[0, 0]), rel=1e-10)
    assert result.coef("x").df == 17


@pytest.mark.parametrize("words", [SscSpec(), SscSpec(k_adj=False, g_adj=False)])
def test_newey_west_of_one_series(r, words):
    skip_without("fixest")
    asked = request("y ~ x + z", SERIES, unit=None, vcov=VcovSpec(type="NW", lag=3), ssc=words)
    ours, theirs = (r.fit(e, asked, SERIES) for e in ("r.lm", "r.fixest"))
    assert ours.status == theirs.status == "ok", (ours.reason, theirs.reason)
    close(ours, theirs, words)


def test_weights_in_lm_and_clubsandwich(r):
    skip_without("fixest")
    weights = WeightsSpec(column="w")
    for vcov, words in (
        (VcovSpec(), SscSpec()),
        (VcovSpec(type="HC1"), SscSpec()),
        (VcovSpec(type="HC3"), SscSpec()),
        (VcovSpec(type="CRV1", cluster=("unit",)), SscSpec(k_fixef="full")),
        (VcovSpec(type="CRV1", cluster=("unit",)), SscSpec(k_adj=False)),
    ):
        asked = request("y ~ x + z | state + time", vcov=vcov, ssc=words, weights=weights)
        theirs = r.fit("r.fixest", asked, PANEL)
        for engine in (LM, CLUBSANDWICH):
            if engine.supports(asked):
                ours = r.fit(engine.id, asked, PANEL)
                assert ours.status == "ok", ours.reason
                close(ours, theirs, (engine.id, vcov))


def test_a_row_of_weight_zero_is_not_in_the_sample(r):
    skip_without("fixest")
    values = PANEL["w"].values.copy()
    values[:4] = 0.0
    data = Frame(tuple(number("w", values) if c.name == "w" else c for c in PANEL.columns), PANEL.nrows)
    asked = request("y ~ x + z | state", data, weights=WeightsSpec(column="w"), vcov=VcovSpec(type="HC1"))
    shorter = PANEL.take(np.arange(4, PANEL.nrows))
    for engine in ("r.fixest", "r.lm"):
        zeros, without = r.fit(engine, asked, data), r.fit(engine, asked, shorter)
        assert zeros.status == "ok", zeros.reason
        assert zeros.conventions.rows_dropped == 4
        close(zeros, without, engine)


RICH = [
    "y ~ i(group, x) + z | unit",
    'y ~ i(time, x, ref = 2003) + i(group, ref = "g01") + z',
    "y ~ factor(group) + x + x:factor(group) + I(x^2) | unit + time",
    "y ~ poly(x, 3) + log(w) + x:z | unit",
    "y ~ lag(x, 1) + lag(z, -1) + sqrt(w) | unit",
    "log(w) ~ x - 1",
]


@pytest.mark.parametrize("formula", RICH)
def test_terms_and_numbers_agree_with_fixest(r, formula):
    skip_without("fixest")
    asked = request(formula)
    theirs = r.fit("r.fixest", asked, PANEL)
    assert theirs.status == "ok", theirs.reason
    for engine in (LM, PLM):
        if engine.supports(asked):
            ours = r.fit(engine.id, asked, PANEL)
            assert ours.status == "ok", ours.reason
            close(ours, theirs, engine.id)


@pytest.mark.parametrize("formula", ["y ~ i(time, ref = 0) + x | unit", "y ~ i(time, x, ref = 0) | unit"])
def test_an_indicator_of_one_column_has_its_level_in_its_name(r, formula):
    skip_without("fixest")
    data = PANEL.take(np.flatnonzero(PANEL["time"].as_float() < 2))
    asked = request(formula, data)
    theirs = r.fit("r.fixest", asked, data)
    for engine in ("r.lm", "r.plm"):
        ours = r.fit(engine, asked, data)
        assert {c.term for c in ours.coefs} == {c.term for c in theirs.coefs}, (engine, ours.reason)


def test_clubsandwich_of_a_within_model_knows_whose_row_is_whose(r):
    """The clusters of plm's model go by the rows of the data: in any order, and where outcomes are missing."""
    rng = np.random.default_rng(8)
    y = PANEL["y"].as_float().copy()
    y[rng.choice(y.size, 9, replace=False)] = np.nan
    holes = frame(*(number("y", y) if c.name == "y" else c for c in PANEL.columns))
    vcov, ssc = VcovSpec(type="CRV1", cluster=("unit",)), SscSpec(k_fixef="none")
    for data in (holes, holes.take(rng.permutation(holes.nrows))):
        asked = request("y ~ x + z | unit", data, vcov=vcov, ssc=ssc)
        ours, right = r.fit("r.clubsandwich", asked, data), ORACLE.fit(asked, data)
        assert ours.status == "ok", ours.reason
        close(ours, right, "clubSandwich")


def test_a_model_without_a_coefficient_is_refused_in_words(r):
    data = frame(number("y", [1.0, 2.0, 4.0]), number("x", [0.0, 0.0, 0.0]))
    asked = FitRequest(formula="`y` ~ `x` - 1")
    assert "no coefficient can be estimated" in r.fit("r.lm", asked, data).reason


def test_a_regressor_that_the_effects_explain_is_dropped_and_named(r):
    rng = np.random.default_rng(2)
    units = np.repeat(np.arange(10), 6)
    data = frame(
        number("y", rng.normal(size=60)),
        number("x", rng.normal(size=60)),
        number("size", units * 1.5),
        category("unit", [f"u{u}" for u in units]),
        whole("time", np.tile(np.arange(6), 10)),
    )
    for engine in ("r.lm", "r.plm"):
        result = r.fit(engine, request("y ~ x + size | unit", data), data)
        assert result.status == "ok", result.reason
        assert [c.term for c in result.coefs] == ["x"], engine
        assert result.dropped == ("size",), engine


def test_infinite_values_leave_their_row_out_as_in_fixest(r):
    skip_without("fixest")
    values = PANEL["w"].values.copy()
    values[3] = 0.0
    data = Frame(tuple(number("w", values) if c.name == "w" else c for c in PANEL.columns), PANEL.nrows)
    answers = [r.fit(e, request("y ~ log(w) + x | unit", data), data) for e in ("r.fixest", "r.lm", "r.plm")]
    assert [a.status for a in answers] == ["ok"] * 3, [a.reason for a in answers]
    assert {a.stats.nobs for a in answers} == {PANEL.nrows - 1}


def test_random_effects_and_between(r):
    random = r.fit(
        "r.plm", request("y ~ x + z", estimator="re", options={"method": "swar", "effect": "individual"}), PANEL
    )
    assert random.status == "ok", random.reason
    assert [c.term for c in random.coefs] == ["(Intercept)", "x", "z"]
    assert random.conventions.distribution == "normal"
    components = {e.term: e.value for e in random.extras}
    assert components["rho"] == pytest.approx(
        components["sigma_mu"] ** 2 / (components["sigma_mu"] ** 2 + components["sigma_nu"] ** 2), rel=1e-14
    )
    assert components["sigma_nu"] == pytest.approx(within_sigma(PANEL), rel=1e-12)
    between = r.fit("r.plm", request("y ~ x + z", estimator="between"), PANEL)
    means = np.array([[PANEL[c].values[PANEL["unit"].values == u].mean() for c in ("y", "x", "z")] for u in range(18)])
    design = np.column_stack([np.ones(18), means[:, 1:]])
    expected = np.linalg.lstsq(design, means[:, 0], rcond=None)[0]
    assert [c.estimate for c in between.coefs] == pytest.approx(expected, rel=1e-10)
    assert between.coefs[0].df == 15
    both = r.fit(
        "r.plm", request("y ~ x + z", estimator="re", options={"method": "amemiya", "effect": "twoways"}), PANEL
    )
    assert {"sigma_mu", "sigma_lambda", "sigma_nu"} <= {e.term for e in both.extras}
    assert r.fit("r.plm", request("y ~ x", estimator="re", options={"method": "ml"}), PANEL).status == "unsupported"


def test_plm_has_an_r2_only_where_its_squared_correlation_is_one(r):
    y = PANEL["y"].as_float()
    for formula, names in (("y ~ x + z", ("x", "z")), ("y ~ x + z - 1", ("x", "z"))):
        found = r.fit("r.plm", request(formula), PANEL)
        assert found.status == "ok", found.reason
        if formula.endswith("- 1"):
            assert (found.stats.r2, found.stats.adj_r2) == (None, None)
            continue
        design = np.column_stack([np.ones(y.size), *(PANEL[n].as_float() for n in names)])
        rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        assert found.stats.r2 == pytest.approx(1 - rest @ rest / ((y - y.mean()) @ (y - y.mean())), rel=1e-10)


def within_sigma(data: Frame) -> float:
    """Return the standard deviation of the within residuals, SSR over N - n - K."""
    units = data["unit"].values

    def demeaned(name):
        values = data[name].as_float()
        return values - (np.bincount(units, values) / np.bincount(units))[units]

    y, design = demeaned("y"), np.column_stack([demeaned("x"), demeaned("z")])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(np.sqrt(residual @ residual / (data.nrows - int(units.max()) - 1 - 2)))


def test_packages_that_lack_an_estimator_say_never():
    for engine in (LM, PLM, CLUBSANDWICH, FIXEST):
        support = engine.supports(FitRequest(estimator="att_gt"))
        assert (support.reach, bool(support)) == ("never", False)
    assert LM.supports(request("y ~ 1 | unit | x ~ z")).reach == "never"
