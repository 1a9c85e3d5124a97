"""Does r.fixest say what fixest says, and is fixest's rule for small samples the one we state?

The other side is fixest called by hand with the data's own names (``tests/r/checks.R``), bit for bit; and normal
equations with dummies in NumPy, times the factors of :mod:`crosscheck.conventions`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from crosscheck.conventions import Counts, Ssc, nested_effects, repair_eigenvalues, small_sample
from crosscheck.engines.r import FIXEST
from crosscheck.formula import emit, parse
from crosscheck.frame import Frame
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec
from tests.r_support import SMALL, category, frame, number, panel, skip_without, whole, worker

CHECKS = str(Path(__file__).parent / "r" / "checks.R")
PANEL = panel(drop=0.06)


@pytest.fixture(scope="module")
def r():
    skip_without("fixest", "sandwich")
    with worker("rscript", scripts=(CHECKS,)) as made:
        yield made


def request(formula, data=PANEL, **options):
    options.setdefault("unit", "unit")
    options.setdefault("time", "time")
    return FitRequest(formula=emit(parse(formula, columns=data.names)), **options)


def fit(r, formula, data=PANEL, **options):
    asked = request(formula, data, **options)
    assert FIXEST.supports(asked), FIXEST.supports(asked).reason
    result = r.fit("r.fixest", asked, data)
    assert result.status == "ok", result.reason
    return result


def by_hand(r, text, data=PANEL, *, ssc=None, conf_level=0.95, **options):
    asked = FitRequest(
        formula="`y` ~ 1", ssc=ssc or SscSpec(), options={"text": text, **options}, conf_level=conf_level
    )
    result = r.fit("r.byhand", asked, data)
    assert result.status == "ok", result.reason
    return result


def same_numbers(ours, theirs):
    """Terms aside, which fixest spells in its own way where ``^`` or an instrument is involved."""
    assert len(ours.coefs) == len(theirs.coefs) > 0
    for a, b in zip(ours.coefs, theirs.coefs, strict=True):
        mine, other = astuple(a)[1:7], astuple(b)[1:7]
        assert mine == other, (a.term, mine, other)
    for name in ("nobs", "r2", "adj_r2", "r2_within"):
        assert getattr(ours.stats, name) == getattr(theirs.stats, name), name


CLUSTER = VcovSpec(type="CRV1", cluster=("state",))
BY_HAND = [
    ("y ~ x + z", {}, {"vcov": "iid"}),
    ("y ~ x + z - 1", {"vcov": VcovSpec(type="HC1")}, {"vcov": "hetero"}),
    ("y ~ x + z | unit + time", {}, {"vcov": "iid"}),
    ("y ~ x + z | unit + time", {"vcov": VcovSpec(type="HC2")}, {"vcov": "hc2"}),
    ("y ~ x + z", {"vcov": VcovSpec(type="HC3")}, {"vcov": "HC3"}),
    ("y ~ x + z | unit + time", {"vcov": CLUSTER}, {"cluster": "~state"}),
    ("y ~ x + z | unit + group^time", {"vcov": CLUSTER}, {"cluster": "~state"}),
    (
        "y ~ x + z | unit + time",
        {"vcov": VcovSpec(type="CRV1", cluster=("unit", "time"))},
        {"cluster": "~unit + time"},
    ),
    ("y ~ x + z | unit", {"vcov": VcovSpec(type="NW", lag=2)}, {"cluster": "NW(2) ~ unit + time"}),
    ("y ~ x + z | unit", {"vcov": VcovSpec(type="DK")}, {"cluster": "DK ~ time"}),
    ("y ~ x + z | unit + time", {"weights": WeightsSpec(column="w")}, {"vcov": "iid", "weights": "~w"}),
    ("y ~ i(group, x) + z | unit", {"vcov": CLUSTER}, {"cluster": "~state"}),
    ('y ~ i(time, x, ref = 2003) + i(group, ref = "g01") + z', {}, {"vcov": "iid"}),
    ("y ~ factor(group) + x + factor(group):z", {}, {"vcov": "iid"}),
    ("y ~ poly(x, 3) + x:z + z", {}, {"vcov": "iid"}),
    ("y ~ 1 | unit + time | x ~ z", {"vcov": CLUSTER}, {"cluster": "~state"}),
    ("count ~ x + z | unit", {"estimator": "fepois", "vcov": CLUSTER}, {"cluster": "~state", "fit": "fepois"}),
]


@pytest.mark.parametrize(("formula", "options", "hand"), BY_HAND, ids=[f"{f} {i}" for i, (f, *_) in enumerate(BY_HAND)])
def test_the_numbers_are_those_of_fixest_called_by_hand(r, formula, options, hand):
    ours = fit(r, formula, conf_level=0.9, **options)
    same_numbers(ours, by_hand(r, formula, conf_level=0.9, **hand))


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("y ~ I(x^2) + log(w) + I(x * z)", "y ~ I(x^2) + log(w) + I(x * z)"),
        ("log(w) ~ x + lag(x, 1) + lag(z, -2)", "log(w) ~ x + l(x, 1) + l(z, -2)"),
        ("y ~ x^2 + exp(z) + sqrt(w) + abs(x)", "y ~ I(x^2) + exp(z) + sqrt(w) + abs(x)"),
    ],
)
def test_arithmetic_and_lags_are_evaluated_as_fixest_would(r, formula, text):
    ours, theirs = fit(r, formula), by_hand(r, text, vcov="iid", panel="~unit + time")
    assert ours.stats.nobs == theirs.stats.nobs
    for a, b in zip(ours.coefs, theirs.coefs, strict=True):
        assert a.estimate == pytest.approx(b.estimate, rel=1e-12)
        assert a.std_error == pytest.approx(b.std_error, rel=1e-12)


@pytest.mark.parametrize(
    ("formula", "terms"),
    [
        ("y ~ I(x^2) + x:z", ["(Intercept)", "I(x^2)", "x:z"]),
        ("y ~ log(w) + lag(x, 1)", ["(Intercept)", "log(w)", "lag(x, 1)"]),
        ("y ~ x^z", ["(Intercept)", "I(x^z)"]),
        ("y ~ i(group, ref = 'g01') | unit", ["group::g00", "group::g02"]),
        ("y ~ i(group, x) | unit", ["group::g00:x", "group::g01:x", "group::g02:x"]),
        ("y ~ factor(group)", ["(Intercept)", "factor(group)g01", "factor(group)g02"]),
        ("y ~ poly(x, 2)", ["(Intercept)", "poly(x, 2)1", "poly(x, 2)2"]),
        ("y ~ 1 | unit | x ~ z", ["x"]),
        ("w ~ 1 | unit | log(w) ~ z", ["log(w)"]),
    ],
)
def test_terms_are_spelled_as_in_the_formula(r, formula, terms):
    if "x^z" in formula:
        data = frame(*(number(c.name, np.abs(c.values)) if c.name == "x" else c for c in PANEL.columns))
        assert [c.term for c in fit(r, formula, data).coefs] == terms
    else:
        assert [c.term for c in fit(r, formula).coefs] == terms


def test_any_name_works_in_every_place(r):
    names = {"y": "ln(Labor)", "x": "my var", "z": "if", "unit": "省份", "time": "T", "group": "a^b", "w": "b:c"}
    odd = panel(drop=0.06, names=names)
    formula = "`ln(Labor)` ~ `my var` + i(`a^b`, `if`) + I(`my var`^2) | `省份` + `T`"
    plain = fit(r, "y ~ x + i(group, z) + I(x^2) | unit + time", vcov=CLUSTER, weights=WeightsSpec(column="w"))
    ours = fit(r, formula, odd, unit="省份", time="T", vcov=CLUSTER, weights=WeightsSpec(column="b:c"))
    assert [c.term for c in ours.coefs] == ["my var", "a^b::g00:if", "a^b::g01:if", "a^b::g02:if", "I(my var^2)"]
    by_term = {c.term: c for c in ours.coefs}
    for theirs in plain.coefs:
        term = theirs.term.replace("group", "a^b").replace(":z", ":if").replace("x", "my var")
        assert astuple(by_term[term])[1:] == astuple(theirs)[1:]


def test_names_that_look_like_ours_are_not_confused(r):
    data = frame(
        number("ccn1z", SMALL["y"].values), number("ccn2z", SMALL["x"].values), category("g", ["ccn1z", "b"] * 2)
    )
    result = fit(r, "ccn1z ~ ccn2z + i(g, ref = 'b')", data, unit=None, time=None)
    assert [c.term for c in result.coefs] == ["(Intercept)", "ccn2z", "g::ccn1z"]


def dummies(data: Frame, parts):
    codes = np.zeros(data.nrows, dtype=np.int64)
    for name in parts:
        own, levels = data[name].codes()
        codes = codes * (len(levels) + 1) + own
    return np.unique(codes, return_inverse=True)[1]


def brute(data: Frame, effects, vcov: VcovSpec, ssc: SscSpec):
    """Standard errors of x and z by dummies and normal equations, and the degrees of freedom of t."""
    y = data["y"].as_float()
    fe = {tuple(parts): dummies(data, parts) for parts in effects}
    columns = [np.eye(int(c.max()) + 1)[c] for c in fe.values()] or [np.ones((data.nrows, 1))]
    design = np.column_stack([data["x"].as_float(), data["z"].as_float(), *columns])
    basis = np.linalg.pinv(design)
    residual = y - design @ (basis @ y)
    shown = 2 if fe else 3
    inverse, scores = (basis @ basis.T)[:shown, :shown], basis[:shown].T * residual[:, None]
    clusters = {name: dummies(data, (name,)) for name in vcov.cluster}
    sizes = [int(c.max()) + 1 for c in clusters.values()]
    sets = list(clusters.values())
    if len(sets) == 2:
        both = np.unique(sets[0] * 10_000 + sets[1], return_inverse=True)[1]
        sizes.append(int(both.max()) + 1)
        sets.append(both)
    counts = Counts(
        n=data.nrows,
        n_coef=shown,
        fe_sizes=tuple(int(c.max()) + 1 for c in fe.values()),
        nested=nested_effects(fe, clusters) if fe and clusters else (False,) * len(fe),
        n_clusters=tuple(sizes),
    )
    words = Ssc(k_adj=ssc.k_adj, k_fixef=ssc.k_fixef, g_adj=ssc.g_adj, g_df=ssc.g_df, t_df=ssc.t_df)
    small = small_sample(vcov.canonical, counts, words)
    if vcov.type == "iid":
        return np.sqrt(np.diag(inverse) * (residual @ residual) / (data.nrows - 1) * small.k_factor), small
    if vcov.type == "HC1":
        return np.sqrt(np.diag(scores.T @ scores) * small.k_factor), small
    total = np.zeros((shown, shown))
    for sign, codes, g in zip((1, 1, -1), sets, small.g_factors, strict=False):
        sums = np.zeros((int(codes.max()) + 1, shown))
        np.add.at(sums, codes, scores)
        total += sign * g * (sums.T @ sums)
    return np.sqrt(np.diag(repair_eigenvalues(total)[0]) * small.k_factor), small


EFFECTS = [(), (("unit",),), (("unit",), ("time",)), (("state",), ("time",)), (("unit",), ("time", "group"))]
VCOVS = [
    VcovSpec(type="iid"),
    VcovSpec(type="HC1"),
    VcovSpec(type="CRV1", cluster=("unit",)),
    VcovSpec(type="CRV1", cluster=("state",)),
    VcovSpec(type="CRV1", cluster=("unit", "time")),
    VcovSpec(type="CRV1", cluster=("state", "group")),
]
SSCS = [
    SscSpec(k_adj=k, k_fixef=f, g_adj=g, g_df=d, t_df=t)
    for (k, g), f, (d, t) in itertools.product(
        ((True, True), (True, False), (False, True)),
        ("none", "nonnested", "full"),
        (("min", "min"), ("conventional", "conventional")),
    )
]


@pytest.mark.parametrize("effects", EFFECTS, ids=lambda e: " + ".join("^".join(p) for p in e) or "none")
def test_the_rule_for_small_samples_is_the_stated_one(r, effects):
    right = " + ".join("^".join(p) for p in effects)
    formula = f"y ~ x + z | {right}" if right else "y ~ x + z"
    compared = 0
    for vcov, ssc in itertools.product(VCOVS, SSCS):
        result = fit(r, formula, vcov=vcov, ssc=ssc)
        expected, small = brute(PANEL, effects, vcov, ssc)
        got = np.array([result.coef("x").std_error, result.coef("z").std_error])
        assert got == pytest.approx(expected[:2], rel=1e-8), (vcov, ssc)
        assert result.coef("x").df == small.df_t, (vcov, ssc)
        used = result.conventions
        assert used.k == small.k, (vcov, ssc)
        if math.isnan(small.factor):
            assert used.ssc_factor is None
        else:
            assert used.ssc_factor == pytest.approx(small.factor, rel=1e-13), (vcov, ssc)
        compared += 1
    assert compared == len(VCOVS) * len(SSCS)


def test_several_covariances_of_one_model_do_not_depend_on_their_order(r):
    vcovs = [*VCOVS, VcovSpec(type="DK", lag=1), VcovSpec(type="HC3")]
    first = [fit(r, "y ~ x + z | unit", vcov=v) for v in vcovs]
    fit(r, "y ~ x | time")
    second = [fit(r, "y ~ x + z | unit", vcov=v) for v in reversed(vcovs)][::-1]
    for a, b in zip(first, second, strict=True):
        assert a.coefs == b.coefs
        assert a.conventions == b.conventions


def test_fixest_checks_arguments_again_once_a_fit_is_over(r):
    fit(r, "y ~ x + z | unit")
    checked = r.fit("r.checked", FitRequest(formula="`y` ~ 1"), PANEL)
    assert checked.extras[0].value == 1


def test_singletons_stay_and_counts_are_right(r):
    data = frame(
        number("y", [1.0, 2.0, 4.0, 3.0, 5.0, 9.0]),
        number("x", [0.0, 1.0, 1.5, 2.0, 7.0, math.nan]),
        category("g", ["a", "a", "b", "b", "c", "c"]),
    )
    result = fit(r, "y ~ x | g", data, unit=None, time=None)
    assert result.stats.nobs == 5
    assert result.conventions.singletons_dropped == 0
    assert result.conventions.rows_dropped == 1
    assert result.conventions.k == 4


def test_a_missing_cluster_leaves_its_row_out(r):
    codes = PANEL["state"].values.copy()
    codes[:5] = -1
    columns = [c if c.name != "state" else type(c)("state", "category", codes, c.levels) for c in PANEL.columns]
    holed = Frame(tuple(columns), PANEL.nrows)
    with_holes = fit(r, "y ~ x + z | unit", holed, vcov=CLUSTER)
    without = fit(r, "y ~ x + z | unit", PANEL.take(np.arange(5, PANEL.nrows)), vcov=CLUSTER)
    assert with_holes.stats.nobs == PANEL.nrows - 5
    assert [c.estimate for c in with_holes.coefs] == pytest.approx([c.estimate for c in without.coefs], rel=1e-12)
    assert fit(r, "y ~ x + z | unit", holed).stats.nobs == PANEL.nrows


def test_dropped_regressors_are_named(r):
    data = frame(*PANEL.columns, number("twice", 2 * PANEL["x"].values))
    assert fit(r, "y ~ x + twice + z | unit", data).dropped == ("twice",)
    result = r.fit("r.fixest", request("y ~ i(state) | unit", data), data)
    assert result.status == "error"
    assert "collinear" in result.reason
    assert "ccf" not in result.reason


def test_a_model_of_fixed_effects_alone_has_no_coefficients(r):
    result = fit(r, "y ~ 1 | unit + time")
    assert result.coefs == ()
    assert result.stats.nobs == PANEL.nrows


def test_a_saturated_fit_does_not_pretend(r):
    data = frame(number("y", [1.0, 2.0, 4.0]), number("x", [0.0, 1.0, 5.0]), category("g", ["a", "b", "c"]))
    result = r.fit("r.fixest", request("y ~ x + i(g)", data, unit=None, time=None), data)
    assert result.status != "ok" or all(c.std_error is None or not c.std_error > 0 for c in result.coefs)


@pytest.mark.parametrize("bad", [[1.0, -1.0, 1.0, 1.0], [1.0, math.inf, 1.0, 1.0], [math.nan] * 4, [0.0] * 4])
def test_weights_that_crash_or_mislead_fixest_are_refused(r, bad):
    data = frame(*SMALL.columns, number("w", bad))
    asked = request("y ~ x", data, unit=None, time=None, weights=WeightsSpec(column="w"))
    result = r.fit("r.fixest", asked, data)
    assert result.status == "error"
    assert "weight" in result.reason


def test_leverages_without_weights_are_still_a_defect_of_fixest(r):
    """fixest 0.14.2 leaves the weights out of HC3's leverages. When this fails, fixest is right and can be asked."""
    ours = by_hand(r, "y ~ x + z", vcov="hc3", weights="~w")
    right = r.fit("r.hc3", FitRequest(formula="`y` ~ 1", options={"text": "y ~ x + z", "weights": "w"}), PANEL)
    assert right.status == "ok", right.reason
    ratio = ours.coef("x").std_error / right.coef("x").std_error
    assert abs(ratio - 1) > 1e-4
    asked = request("y ~ x + z", vcov=VcovSpec(type="HC3"), weights=WeightsSpec(column="w"))
    assert not FIXEST.supports(asked)
    assert r.fit("r.fixest", asked, PANEL).status == "unsupported"


def test_leverages_from_another_design_are_refused(r):
    """fixest 0.14.2 rebuilds the design with the reference level A where it was asked for a."""
    labels = ["AaBb"[i % 4] for i in range(PANEL.nrows)]
    data = frame(*PANEL.columns, category("letter", labels))
    asked = request('y ~ i(letter, ref = "a") + factor(letter):x', data, vcov=VcovSpec(type="HC3"))
    result = r.fit("r.fixest", asked, data)
    assert result.status == "unsupported"
    assert "leverages sum to" in result.reason
    estimates = r.fit("r.fixest", asked.model_copy(update={"vcov": VcovSpec()}), data)
    assert [c.term for c in estimates.coefs][:4] == ["(Intercept)", "letter::A", "letter::B", "letter::b"]


PAYLOADS = [
    "y ~ system('touch {0}')",
    "y ~ x + I(system('touch {0}'))",
    "y ~ i(system('touch {0}'))",
    "system('touch {0}') ~ x",
    "y ~ x | system('touch {0}')",
    "y ~ x | unit^system('touch {0}')",
    "y ~ 1 | unit | x ~ system('touch {0}')",
    "y ~ base::system('touch {0}')",
    "y ~ (function() system('touch {0}'))()",
    "y ~ (\\() system('touch {0}'))()",
    "y ~ `system`('touch {0}')",
    "y ~ poly(x, system('touch {0}'))",
    "y ~ lag(x, system('touch {0}'))",
    "y ~ i(group, ref = system('touch {0}'))",
    "y ~ x |> system()",
    "y ~ get('system')('touch {0}')",
    "y ~ .[x]",
    "y ~ x$y",
    "y ~ x@y",
    "y ~ x[1]",
    "y ~ {{ system('touch {0}') }}",
    "y ~ if (TRUE) x else z",
    "y ~ x; system('touch {0}')",
    "y ~ x\nsystem('touch {0}')",
    "y ~ sw(x, z)",
    "y ~ c(x, z)",
    "y ~ log(x, base = system('touch {0}'))",
    "y ~ eval(parse(text = 'x'))",
    "y ~ x := z",
    "y ~ x <- z",
    "y ~ T",
    "y ~ pi",
    "y ~ nothing",
    "y",
    "",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_guard_in_r_refuses_what_python_would(r, payload, tmp_path):
    marker = tmp_path / "marker"
    asked = FitRequest(formula=payload.format(marker), unit="unit", time="time")
    result = r.fit("r.fixest", asked, PANEL)
    assert result.status == "error"
    assert not marker.exists()
    assert result.conditions[-1].cls == "cc_refused", result.conditions


def test_names_of_columns_are_never_code(r, tmp_path):
    marker = tmp_path / "marker"
    evil = f"system('touch {marker}')"
    data = frame(number("y", [1.0, 2.0, 4.0, 3.0]), number(evil, [0.0, 1.0, 1.0, 5.0]), category("u", list("aabb")))
    for vcov in (VcovSpec(), VcovSpec(type="CRV1", cluster=("u",)), VcovSpec(type="CRV1", cluster=(evil,))):
        asked = FitRequest(formula=f"`y` ~ `{evil}`", vcov=vcov)
        result = r.fit("r.fixest", asked, data)
        assert result.status == "ok", result.reason
        assert [c.term for c in result.coefs] == ["(Intercept)", evil]
    assert not marker.exists()


def test_a_category_used_as_a_number_is_refused(r):
    result = r.fit("r.fixest", FitRequest(formula="`y` ~ `group`"), PANEL)
    assert result.status == "error"
    assert "is a category and is used as a number" in result.reason


def test_dates_and_booleans_as_levels(r):
    days = whole("d", [0, 0, 31, 31, 60, 60])
    flag = whole("b", [1, 0, 1, 0, 0, 1])
    data = Frame(
        (
            number("y", [1.0, 2.0, 4.0, 3.0, 5.0, 9.0]),
            type(days)("d", "date", days.values),
            type(flag)("b", "boolean", flag.values),
        ),
        6,
    )
    result = fit(r, "y ~ i(d) + b", data, unit=None, time=None)
    assert [c.term for c in result.coefs] == ["(Intercept)", "d::1970-02-01", "d::1970-03-02", "b"]
    assert [c.term for c in fit(r, "y ~ i(b) - 1", data, unit=None, time=None).coefs] == ["b::FALSE", "b::TRUE"]


def test_versions_travel_with_the_result(r):
    result = fit(r, "y ~ x")
    environment = dict(result.environment)
    assert result.version == environment["fixest"]
    assert environment["R"].count(".") == 2
