"""Small-sample factors, degrees of freedom, p-values, rounding: against closed forms, brute force and live fixest."""

import itertools
import math
from decimal import Decimal

import numpy as np
import pytest
from scipy import integrate

from crosscheck import conventions as c
from crosscheck.conventions import Counts, Ssc
from tests.engine_helpers import ask, panel
from tests.oracle_support import fixest_answers


def test_fixest_counts_of_parameters_by_hand():
    # two coefficients, 22 units, 14 periods
    assert c.all_parameters(2, (22, 14)) == 2 + 22 + 13
    assert c.count_k(2, (22, 14), k_fixef="none") == 2
    assert c.count_k(2, (22, 14), k_fixef="full") == 37
    assert c.count_k(2, (22, 14), k_fixef="nonnested", nested=(True, False)) == 37
    assert c.count_k(2, (22, 14), k_fixef="nonnested", nested=(True, False), clustered=True) == 37 - 21
    assert c.count_k(2, (22, 14), k_fixef="nonnested", nested=(True, True), clustered=True) == 3
    assert c.count_k(3, (), k_fixef="nonnested", clustered=True) == 3
    # an effect of one level: at least one parameter beside the coefficients
    assert c.count_k(1, (1, 1), k_fixef="nonnested", nested=(True, False), clustered=True) == 2


def test_factors_by_hand():
    counts = Counts(n=308, n_coef=2, fe_sizes=(22, 14), nested=(True, False), n_clusters=(22,), n_periods=14)
    assert c.small_sample("CRV1", counts, Ssc()).factor == pytest.approx(22 / 21 * 307 / (308 - 16), rel=1e-15)
    assert c.small_sample("CRV1", counts, Ssc(g_adj=False)).factor == 307 / 292
    assert c.small_sample("CRV1", counts, Ssc(k_adj=False)).factor == 22 / 21
    assert c.small_sample("iid", counts, Ssc()).factor == 307 / (308 - 37)
    assert c.small_sample("HC1", counts, Ssc()).factor == 308 / (308 - 37)
    assert c.small_sample("HC1", counts, Ssc(g_adj=False)).factor == 308 / (308 - 37)
    assert c.small_sample("HC3", counts, Ssc()).factor == 1
    assert c.small_sample("CRV3", counts, Ssc()).factor == 1
    assert c.small_sample("DK", counts, Ssc()).factor == pytest.approx(14 / 13 * 307 / 271, rel=1e-15)
    assert [c.small_sample(v, counts, Ssc()).df_t for v in ("iid", "CRV1", "DK")] == [271, 21, 13]
    assert c.small_sample("CRV1", counts, Ssc(t_df="conventional")).df_t == 292
    two = Counts(n=308, n_coef=2, n_clusters=(22, 14, 308))
    assert c.small_sample("CRV1", two, Ssc()).g_factors == (14 / 13,) * 3
    assert c.small_sample("CRV1", two, Ssc(g_df="conventional")).g_factors == (22 / 21, 14 / 13, 308 / 307)
    assert math.isnan(c.small_sample("CRV1", two, Ssc(g_df="conventional")).factor)
    assert c.small_sample("CRV1", two, Ssc()).df_t == 13


def test_nothing_is_left_of_a_saturated_model_or_a_single_cluster():
    saturated = Counts(n=5, n_coef=5)
    assert math.isnan(c.small_sample("iid", saturated, Ssc()).factor)
    assert c.small_sample("iid", saturated, Ssc()).df_t == 1
    assert math.isnan(c.g_factor(1))


def test_nested_is_what_a_cross_table_says():
    rng = np.random.default_rng(5)
    for _ in range(200):
        inner, outer = rng.integers(0, 6, 25), rng.integers(0, 3, 25)
        if rng.random() < 0.5:
            outer = (inner + 1) // 2
        table = np.zeros((6, 4))
        np.add.at(table, (inner, outer), 1)
        assert c.is_nested(inner, outer) == bool(((table > 0).sum(axis=1) <= 1).all())


def test_fixest_does_not_look_at_the_data_where_every_cluster_is_an_effect():
    unit = np.repeat(np.arange(6), 4)
    state = unit // 2
    effects = {("unit",): unit, ("state",): state}
    assert c.nested_effects(effects, {"state": state}) == (False, True)
    assert c.nested_effects(effects, {"state": state}, by_name=False) == (True, True)
    assert c.nested_effects({("unit",): unit}, {"state": state}) == (True,)
    year = np.tile(np.arange(4), 6)
    combined = {("state", "year"): state * 4 + year, ("year",): year}
    assert c.nested_effects(combined, {"state": state}) == (True, False)


NUMERIC = ("id", "year", "state", "y", "x", "z")
PANELS = {
    "unbalanced": panel(keep=0.8).select(NUMERIC),
    "small": panel(seed=3, units=6, periods=5).select(NUMERIC),
}
FORMULAS = (
    "y ~ x + z",
    "y ~ x + z | id",
    "y ~ x | id + year",
    "y ~ x | state + year",
    "y ~ x + z | id + state",
    "y ~ x | id + state^year",
)
CLUSTERS = (("id",), ("year",), ("state",), ("id", "year"), ("state", "year"))
WORDS = (
    {},
    {"k_fixef": "none"},
    {"k_fixef": "full"},
    {"k_adj": False},
    {"g_adj": False},
    {"g_df": "conventional"},
    {"t_df": "conventional"},
)
RAW = {"k_adj": False, "g_adj": False}


def counted(frame, request):
    """The counts of a request without the oracle: by sets of labels."""
    from crosscheck.formula import parse

    formula = parse(request.formula)
    columns = {name: frame[name].codes()[0] for name in frame.names}
    effects = {
        fe: np.unique(np.column_stack([columns[n] for n in fe]), axis=0, return_inverse=True)[1].reshape(-1)
        for fe in formula.fixed_effects
    }
    clusters = {name: columns[name] for name in request.vcov.cluster}
    sizes = [len(set(v.tolist())) for v in clusters.values()]
    if len(sizes) == 2:
        sizes.append(len(set(zip(*(v.tolist() for v in clusters.values()), strict=True))))
    return Counts(
        n=frame.nrows,
        n_coef=len(formula.terms) + (0 if formula.fixed_effects else 1),
        fe_sizes=tuple(len(set(v.tolist())) for v in effects.values()),
        nested=c.nested_effects(effects, clusters),
        n_clusters=tuple(sizes),
        n_periods=len(set(columns["year"].tolist())),
    )


def test_k_factor_and_df_of_every_word_are_those_of_live_fixest(tmp_path):
    questions = {}
    for (name, frame), formula in itertools.product(PANELS.items(), FORMULAS):
        covariances = [("CRV1", cl) for cl in CLUSTERS] + [("iid", ()), ("HC1", ()), ("NW", ()), ("DK", ())]
        for (vcov, cluster), words in itertools.product(covariances, (*WORDS, RAW)):
            request = ask(formula, vcov=vcov, cluster=cluster, ssc=words, unit="id", time="year")
            questions[f"{name}|{formula}|{vcov}|{cluster}|{words}"] = (request, name, frame)
    answers = fixest_answers(tmp_path, questions)
    checked = 0
    for key, (request, name, frame) in questions.items():
        answer = answers[key]
        assert "error" not in answer, (key, answer.get("error"))
        counts = counted(frame, request)
        s = request.ssc
        words = Ssc(k_adj=s.k_adj, k_fixef=s.k_fixef, g_adj=s.g_adj, g_df=s.g_df, t_df=s.t_df)
        small = c.small_sample(request.vcov.canonical, counts, words)
        assert answer["k"] == small.k, key
        assert answer["df_t"] == small.df_t, key
        assert answer["df_resid"] == counts.n - c.all_parameters(counts.n_coef, counts.fe_sizes), key
        raw = answers[f"{name}|{request.formula}|{request.vcov.type}|{request.vcov.cluster}|{RAW}"]
        for term, row in answer["coefs"].items():
            if math.isnan(row["p_value"]):  # fixest's repaired variance can be a rounding error below zero
                assert not row["std_error"] > 1e-6, key
                continue
            assert row["p_value"] == pytest.approx(c.p_of(row["statistic"], small.df_t), rel=1e-11, abs=1e-300), key
            low, high = c.interval(row["estimate"], row["std_error"], small.df_t)
            assert (row["conf_low"], row["conf_high"]) == pytest.approx((low, high), rel=1e-12, abs=1e-13), key
            if not math.isnan(small.factor) and raw["coefs"][term]["std_error"] > 1e-6:
                ratio = (row["std_error"] / raw["coefs"][term]["std_error"]) ** 2
                assert ratio == pytest.approx(small.factor, rel=1e-12), key
                checked += 1
    assert checked > 900


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 40.0])
def test_p_values_are_the_closed_forms(t):
    assert c.p_of(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-12)
    if t < 30:
        assert c.p_of(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-12)
    else:  # the closed form cancels
        assert c.p_of(t, 2) == pytest.approx(2 / (math.sqrt(2 + t * t) * (math.sqrt(2 + t * t) + t)), rel=1e-12)
    assert c.p_of(-t, 7) == c.p_of(t, 7)
    assert c.p_of(t, math.inf) == pytest.approx(math.erfc(t / math.sqrt(2)), rel=1e-15)
    density = math.gamma(4) / (math.sqrt(7 * math.pi) * math.gamma(3.5))
    tail, _ = integrate.quad(lambda u: density * (1 + u * u / 7) ** -4, t, math.inf, epsabs=0, epsrel=1e-11)
    assert c.p_of(t, 7) == pytest.approx(2 * tail, rel=1e-9)


@pytest.mark.parametrize("df", [1, 2, 9, 47, 1e6, math.inf])
def test_a_critical_value_has_the_p_value_it_is_named_after(df):
    for level in (0.5, 0.9, 0.95, 0.999):
        assert c.p_of(c.critical(level, df), df) == pytest.approx(1 - level, rel=1e-9)
    low, high = c.interval(2.0, 0.5, df)
    assert (low + high) / 2 == pytest.approx(2)
    assert low < 2 < high


def test_missing_statistics_have_no_p_value():
    assert math.isnan(c.p_of(math.nan, 5))
    assert math.isnan(c.p_of(1.0, math.nan))


def test_stars_are_strict():
    legend = {"***": 0.01, "**": 0.05, "*": 0.1}
    assert [c.stars_of(p, legend) for p in (0.001, 0.01, 0.05, 0.1)] == ["***", "**", "*", ""]


def test_printing_rounds_the_binary_number_unless_told_otherwise():
    assert c.rounded(0.125, 2, "even") == "0.12"
    assert c.rounded(0.125, 2, "away") == "0.13"
    assert c.rounded(-0.125, 2, "away") == "-0.13"
    assert c.rounded(1.005, 2, "away") == "1.00"  # its binary value is below the tie
    assert c.rounded(1.005, 2, "away", significant=15) == "1.01"
    assert c.rounded(2.5, 0, "even") == "2"
    assert c.rounded(0.0240, 4) == "0.0240"
    rng = np.random.default_rng(8)
    for value in rng.normal(size=300) * 10.0 ** rng.integers(-6, 6, 300):
        digits = int(rng.integers(0, 6))
        assert c.rounded(float(value), digits, "even") == f"{float(value):.{digits}f}"
        gap = abs(Decimal(c.rounded(float(value), digits, "away")) - Decimal(float(value)))
        assert gap <= Decimal(1).scaleb(-digits) / 2
    with pytest.raises(ValueError, match="cannot be printed"):
        c.rounded(math.nan, 2)


def test_agreeing_digits():
    assert c.lre(1.0, 1.0 + 1e-9) == pytest.approx(9, abs=1e-6)
    assert c.lre(3.0, 3.0) == 15
    assert c.lre(0.0, 1e-4) == pytest.approx(4)
    assert c.lre(1.0, math.inf) == 0
    assert c.lre(1.0, -5.0) == 0


def test_bartlett_weights_and_the_default_lag():
    assert c.bartlett(0).tolist() == [1.0]
    assert c.bartlett(3) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert [c.default_lag(t) for t in (1, 15, 16, 80, 81, 624, 625, 2400, 2401)] == [1, 1, 2, 2, 3, 4, 5, 6, 7]


def test_eigenvalues_are_repaired_only_where_it_is_needed():
    good = np.array([[2.0, 0.5], [0.5, 1.0]])
    same, changed = c.repair_eigenvalues(good)
    assert not changed
    assert same is good
    bad = np.array([[1.0, 2.0], [2.0, 1.0]])  # eigenvalues 3 and -1
    fixed, changed = c.repair_eigenvalues(bad)
    assert changed
    assert fixed == pytest.approx(np.full((2, 2), 1.5))
    assert np.linalg.eigvalsh(fixed)[0] == pytest.approx(1e-16, abs=1e-15)


def test_inclusion_exclusion():
    assert c.inclusion_exclusion(1) == (((0,), 1.0),)
    assert c.inclusion_exclusion(2) == (((0,), 1.0), ((1,), 1.0), ((0, 1), -1.0))
    assert sum(sign for _, sign in c.inclusion_exclusion(3)) == 1
