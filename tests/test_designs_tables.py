"""Quantiles, winsorizing, descriptive statistics and the entropy index, against brute force, NumPy and R."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.designs.describe import describe
from crosscheck.designs.entropy import Rules, entropy_index
from crosscheck.designs.quantiles import ALIASES, NUMPY_TYPES, quantiles
from crosscheck.designs.winsor import winsorize
from crosscheck.errors import DataError
from crosscheck.frame import Column, Frame
from tests.designs_helpers import LABELS, ask, digits, extras, in_r, need_r, panel_frame, python

TYPES = tuple(f"r{i}" for i in range(1, 10))


@pytest.mark.parametrize("method", sorted({*NUMPY_TYPES, "lower", "higher", "midpoint", "nearest"}))
def test_numpy_names_mean_what_numpy_means(method):
    rng = np.random.default_rng(1)
    for n in (2, 7, 50, 308):
        x = rng.normal(size=n)
        p = rng.uniform(0.01, 0.99, size=20)
        np.testing.assert_allclose(quantiles(x, p, method), np.quantile(x, p, method=method), rtol=1e-13, atol=0)


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from(sorted(ALIASES)), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_quantiles_lie_between_the_extremes_and_know_scale_and_reflection(n, seed, method, p):
    x = np.round(np.random.default_rng(seed).normal(size=n), 1)
    q = quantiles(x, (p,), method)[0]
    assert x.min() <= q <= x.max()
    assert quantiles(4 * x, (p,), method)[0] == 4 * q
    assert quantiles(x, (0.0, 1.0), method).tolist() == [x.min(), x.max()]


def stata_pctile(x, percent):
    """Stata's rule word by word: with P = N p / 100, the first value whose rank exceeds P, or the mean of two at P."""
    x = sorted(x)
    position = len(x) * percent / 100
    i = next((k for k in range(1, len(x) + 1) if k > position), len(x))
    return (x[i - 2] + x[i - 1]) / 2 if i - 1 == position and i > 1 else x[i - 1]


def test_stata_percentiles_are_type_2():
    rng = np.random.default_rng(2)
    for n in (10, 100, 200, 308, 400):
        x = rng.normal(size=n)
        for percent in (1, 5, 25, 50, 75, 95, 99):
            assert quantiles(x, (percent / 100,), "stata")[0] == stata_pctile(x, percent)


def test_definitions_differ_where_a_paper_would_print_another_digit():
    x = panel_frame()["Tin"].as_float()
    upper = {method: quantiles(x, (0.99,), method)[0] for method in TYPES}
    assert len({f"{v:.6g}" for v in upper.values()}) >= 6
    assert upper["r2"] != upper["r7"]


def test_winsorizing_by_brute_force():
    x = np.array([5.0, 1.0, np.nan, 9.0, 3.0, 7.0, 2.0, 100.0, 4.0, 6.0, -50.0])
    w = winsorize(x, 0.1, 0.9, "r1")
    assert (w.low, w.high, w.n_low, w.n_high) == (-50.0, 9.0, 0, 1)
    np.testing.assert_array_equal(w.values, np.where(np.isnan(x), np.nan, np.minimum(x, 9.0)))
    trimmed = winsorize(x, 0.1, 0.9, "r1", "trim")
    assert np.isnan(trimmed.values).sum() == 2
    again = winsorize(winsorize(x, 0.2, 0.8, "r1").values, 0.2, 0.8, "r1")
    assert again.n_low == again.n_high == 0
    with pytest.raises(DataError, match="not below"):
        winsorize(x, 0.6, 0.6)


def test_description_of_awkward_numbers():
    x = np.array([1e9 + 1, 1e9 + 2, 1e9 + 3, np.nan])
    found = describe(x)
    assert (found.nobs, found.mean, found.std_dev, found.min, found.max) == (3, 1e9 + 2, 1.0, 1e9 + 1, 1e9 + 3)
    assert describe(x, ddof=0).std_dev == pytest.approx(math.sqrt(2 / 3), rel=1e-14)
    assert math.isnan(describe(np.array([4.0])).std_dev)
    with pytest.raises(DataError, match="no values"):
        describe(np.array([np.nan]))


def entropy_by_hand(x, positive):
    """The definition with plain loops."""
    n, k = len(x), len(positive)
    z = [[0.0] * k for _ in range(n)]
    e = []
    for j in range(k):
        column = [row[j] for row in x]
        low, high = min(column), max(column)
        for i in range(n):
            z[i][j] = (column[i] - low) / (high - low) if positive[j] else (high - column[i]) / (high - low)
        total = sum(z[i][j] for i in range(n))
        p = [z[i][j] / total for i in range(n)]
        e.append(-sum(v * math.log(v) for v in p if v > 0) / math.log(n))
    d = [1 - v for v in e]
    w = [v / sum(d) for v in d]
    return w, e, [sum(w[j] * z[i][j] for j in range(k)) for i in range(n)]


def test_entropy_index_by_hand_with_ties_and_zeros():
    x = np.array([[1.0, 9.0, 4.0], [2.0, 9.0, 1.0], [2.0, 3.0, 2.0], [5.0, 3.0, 7.0], [1.0, 6.0, 4.0]])
    made = entropy_index(x, (True, False, True), rules=Rules())
    w, e, score = entropy_by_hand(x.tolist(), (True, False, True))
    np.testing.assert_allclose(made.weight[0], w, rtol=1e-14)
    np.testing.assert_allclose(made.entropy[0], e, rtol=1e-14)
    np.testing.assert_allclose(made.score, score, rtol=1e-14)


@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_entropy_index_knows_units_order_and_direction(seed, n, k):
    rng = np.random.default_rng(seed)
    x, positive = rng.gamma(2, 1, (n, k)), rng.random(k) < 0.5
    made = entropy_index(x, positive, rules=Rules())
    assert made.weight.sum() == pytest.approx(1, rel=1e-12)
    rescaled = entropy_index(x * 8 - 16, positive, rules=Rules())
    np.testing.assert_allclose(rescaled.weight, made.weight, rtol=1e-7)
    flipped = entropy_index(-x, ~positive, rules=Rules())
    np.testing.assert_array_equal(flipped.weight, made.weight)
    order = rng.permutation(n)
    np.testing.assert_allclose(entropy_index(x[order], positive, rules=Rules()).score, made.score[order], rtol=1e-9)


def test_entropy_conventions_are_different_numbers():
    x = np.random.default_rng(5).gamma(2, 1, (30, 3))
    scores = {}
    for zero in ("limit", "shift", "replace"):
        scores[zero] = entropy_index(x, (True, True, False), rules=Rules(zero=zero, shift=0.01)).weight[0]
    assert not np.allclose(scores["limit"], scores["shift"], rtol=1e-4)
    assert not np.allclose(scores["shift"], scores["replace"], rtol=1e-6)


def test_entropy_of_constant_and_missing_indicators():
    x = np.random.default_rng(6).gamma(2, 1, (20, 3))
    x[:, 1] = 4.0
    with pytest.raises(DataError, match="b is constant"):
        entropy_index(x, (True,) * 3, rules=Rules(), names=("a", "b", "c"))
    dropped = entropy_index(x, (True,) * 3, rules=Rules(constant="drop"))
    zero = entropy_index(x, (True,) * 3, rules=Rules(constant="zero_weight"))
    alone = entropy_index(x[:, [0, 2]], (True,) * 2, rules=Rules())
    assert np.isnan(dropped.weight[0, 1])
    assert zero.weight[0, 1] == 0
    for made in (dropped, zero):
        np.testing.assert_array_equal(made.score, alone.score)
    x[:, 1] = np.arange(20)
    x[3, 0] = np.nan
    with pytest.raises(DataError, match="missing in row 4"):
        entropy_index(x, (True,) * 3, rules=Rules())
    rows = np.arange(20) != 3
    fewer = entropy_index(x, (True,) * 3, rules=Rules(missing="drop_rows"))
    np.testing.assert_array_equal(fewer.score[rows], entropy_index(x[rows], (True,) * 3, rules=Rules()).score)
    assert np.isnan(fewer.score[3])
    assert np.isfinite(entropy_index(x, (True,) * 3, rules=Rules(missing="available")).score).all()


def test_by_year_is_each_year_alone():
    frame = panel_frame()
    both = {"standardize": "by_year", "proportions": "by_year", "indicators": {"i0": "+", "i1": "-", "i2": "+"}}
    found = extras(python(ask("entropy", **both), frame))
    year = frame["year"].as_float()
    alone = extras(python(ask("entropy", indicators=both["indicators"]), frame.take(year == 2014)))
    assert found["i1|2014", "weight"] == alone["i1", "weight"]
    assert found[f"{LABELS[4]}|2014", "score"] == alone[f"{LABELS[4]}|2014", "score"]


@pytest.mark.parametrize("method", [*TYPES, "stata", "stata_altdef", "lower", "higher", "midpoint", "nearest"])
def test_quantiles_are_those_of_r(method):
    need_r()
    rng = np.random.default_rng(8)
    x = np.concatenate([rng.normal(size=197), [np.nan, 0.5, 0.5]])
    frame = Frame((Column("x", "float", x), Column("y", "float", np.round(x, 1))), x.size)
    ours = {
        "variables": ["x", "y"],
        "quantile": method,
        "quantiles": [0, 0.01, 0.05, 0.25, 1 / 3, 0.5, 0.75, 0.9, 0.99, 1],
    }
    request = ask("describe", **ours).model_copy(update={"unit": None, "time": None})
    assert min(digits(python(request, frame), in_r(request, frame)).values()) >= 14


TABLES = {
    "describe": ask("describe", variables=["NQP", "Tin", "ever"], quantiles=[0.01, 0.5, 0.99], quantile="r6"),
    "describe, n": ask("describe", variables=["NQP", "Tin"], ddof=0, missing="complete"),
    "entropy": ask("entropy", indicators={"i0": "+", "i1": "-", "i2": "+"}, missing="drop_rows"),
    "entropy, by year": ask(
        "entropy", indicators={"i0": "+", "i1": "-", "i3": "+"}, standardize="by_year", proportions="by_year",
        zero="shift", score="proportions", missing="available",
    ),
    "entropy, mixed": ask(
        "entropy", indicators={"i0": "-", "i1": "-", "i3": "+"}, standardize="by_year", zero="replace",
        missing="available",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_r(name):
    need_r()
    frame = panel_frame(missing=True)
    worst = digits(python(TABLES[name], frame), in_r(TABLES[name], frame))
    assert min(worst.values()) >= 12, worst


@pytest.mark.parametrize("constant", ["drop", "zero_weight"])
def test_constant_indicators_are_treated_alike_in_r(constant):
    need_r()
    frame = panel_frame()
    flat = Column("flat", "float", np.full(frame.nrows, 2.5))
    frame = Frame((*frame.columns, flat), frame.nrows)
    request = ask("entropy", indicators={"i0": "+", "flat": "-", "i2": "+"}, constant=constant)
    ours, theirs = python(request, frame), in_r(request, frame)
    assert ours.dropped == theirs.dropped == (("flat",) if constant == "drop" else ())
    assert min(digits(ours, theirs).values()) >= 12
