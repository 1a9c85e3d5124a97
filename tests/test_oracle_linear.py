"""The oracle's least squares against exact rational arithmetic, dense dummies, replicated rows, and live fixest."""

import itertools
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from crosscheck.closedform.absorb import Absorber, Groups, intersect, long
from crosscheck.closedform.linear import COLLINEAR, least_squares
from crosscheck.conventions import bartlett
from crosscheck.engines import get
from crosscheck.engines.base import Engine
from crosscheck.engines.oracle import ENGINE
from crosscheck.errors import DataError, Unsupported
from crosscheck.frame import Frame
from tests.engine_helpers import ask, floats, integers, panel
from tests.oracle_support import digits, fixest_answers

EXTENDED = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps


def exact_least_squares(x, y, w=None):
    """Solve the normal equations in rational numbers: floats are rationals, so nothing is rounded."""
    rows = [[Fraction(float(v)) for v in row] for row in x]
    out = [Fraction(float(v)) for v in y]
    weights = [Fraction(1)] * len(rows) if w is None else [Fraction(float(v)) for v in w]
    k = len(rows[0])
    table = [
        [sum(q * r[i] * r[j] for q, r in zip(weights, rows, strict=True)) for j in range(k)]
        + [sum(q * r[i] * v for q, r, v in zip(weights, rows, out, strict=True))]
        for i in range(k)
    ]
    for i in range(k):
        pivot = next(r for r in range(i, k) if table[r][i] != 0)
        table[i], table[pivot] = table[pivot], table[i]
        table[i] = [v / table[i][i] for v in table[i]]
        for r in range(k):
            if r != i and table[r][i] != 0:
                table[r] = [a - table[r][i] * b for a, b in zip(table[r], table[i], strict=True)]
    return [table[i][k] for i in range(k)]


def test_badly_scaled_polynomials_are_right_to_every_digit():
    # the design of Wampler's problems: powers of 0..20 up to the fifth, condition number about 1e13
    x = np.vander(np.arange(21.0), 6, increasing=True)
    rng = np.random.default_rng(0)
    y = x @ np.array([1, 0.1, 0.01, 1e-3, 1e-4, 1e-5]) + rng.normal(size=21)
    exact = [float(v) for v in exact_least_squares(x, y)]
    fit = least_squares(y, x)
    assert fit.kept == tuple(range(6))
    need = 13 if EXTENDED else 8
    assert min(digits(float(a), b) for a, b in zip(fit.coef, exact, strict=True)) >= need


def test_badly_scaled_panels_are_right_to_thirteen_digits():
    rng = np.random.default_rng(2)
    unit, time = np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5)
    keep = np.ones(20, dtype=bool)
    keep[[3, 7, 12]] = False
    x = np.column_stack([1e8 + rng.normal(size=20), 1e-6 * rng.normal(size=20), 1e3 * rng.normal(size=20)])
    y, w = 1e5 * unit + x @ np.array([2.0, 3e6, -1e-3]) + rng.normal(size=20), rng.uniform(0.5, 2, 20)
    dummies = np.column_stack([np.eye(5)[unit], np.eye(4)[time][:, 1:]])
    exact = exact_least_squares(np.column_stack([x, dummies])[keep], y[keep], w[keep])[:3]
    fit = least_squares(y[keep], x[keep], [unit[keep], time[keep]], w[keep])
    need = 13 if EXTENDED else 6
    assert min(digits(float(a), float(b)) for a, b in zip(fit.coef, exact, strict=True)) >= need


def data(seed=4, n_units=9, n_times=7, keep=0.85):
    frame = panel(seed, n_units, n_times, keep=keep)
    arrays = {c: frame[c].as_float() for c in ("id", "year", "state", "y", "x", "z", "q", "w", "copies")}
    return frame, arrays


def dense(a, effects=()):
    """The design with a constant, two regressors, and a dummy for each level of the effects."""
    columns = [np.ones(a["y"].size), a["x"], a["z"]]
    for name in effects:
        columns += [(a[name] == level).astype(float) for level in np.unique(a[name])]
    return np.column_stack(columns)


def take(matrix):
    return matrix[1:3, 1:3]


@pytest.mark.parametrize("effects", [(), ("id",), ("id", "year"), ("id", "year", "state")])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_covariance_is_the_textbook_formula_on_dense_dummies(effects, weighted):
    frame, a = data()
    d = dense(a, effects)
    n = a["y"].size
    w = a["w"] if weighted else np.ones(n)
    bread = np.linalg.pinv(d.T @ (w[:, None] * d))
    b = bread @ (d.T @ (w * a["y"]))
    u = a["y"] - d @ b
    s = (w * u)[:, None] * d
    h = w * np.einsum("ij,jk,ik->i", d, bread, d)
    formula = "y ~ x + z" + (f" | {' + '.join(effects)}" if effects else "")
    raw = {"k_adj": False, "g_adj": False}
    off = 0 if effects else 1

    def mine(vcov, **more):
        request = ask(formula, vcov=vcov, ssc=raw, weights="w" if weighted else None, unit="id", time="year", **more)
        found = ENGINE.fit(request, frame)
        assert [r.estimate for r in found.coefs][off:] == pytest.approx(b[1:3], rel=1e-9)
        return np.array(found.vcov)[off:, off:]

    def check(vcov, meat, **more):
        assert mine(vcov, **more) == pytest.approx(take(bread @ meat @ bread), rel=1e-8), vcov

    assert mine("iid") == pytest.approx(take(bread) * (w @ u**2) / (n - 1), rel=1e-8)
    check("HC1", s.T @ s)
    check("HC2", (s / np.sqrt(1 - h)[:, None]).T @ (s / np.sqrt(1 - h)[:, None]))
    check("HC3", (s / (1 - h)[:, None]).T @ (s / (1 - h)[:, None]))

    def summed(codes):
        sums = np.array([s[codes == g].sum(axis=0) for g in np.unique(codes)])
        return sums.T @ sums

    check("CRV1", summed(a["id"]), cluster=("id",))
    both = summed(a["id"]) + summed(a["year"]) - summed(a["id"] * 1e4 + a["year"])
    # without the repair of eigenvalues, which a small panel often needs
    plain = bread @ both @ bread
    values = np.linalg.eigvalsh(take(plain) if effects else plain[:3, :3])
    if values[0] > 0:
        check("CRV1", both, cluster=("id", "year"))

    lag = 2
    periods = np.searchsorted(np.unique(a["year"]), a["year"])
    weight = bartlett(lag)
    newey, driscoll = np.zeros_like(bread), np.zeros_like(bread)
    for i, j in itertools.product(range(n), range(n)):
        gap = abs(int(periods[i] - periods[j]))
        if gap <= lag:
            driscoll += weight[gap] * np.outer(s[i], s[j])
            if a["id"][i] == a["id"][j]:
                newey += weight[gap] * np.outer(s[i], s[j])
    check("NW", newey, lag=lag)
    check("DK", driscoll, lag=lag)


def test_crv3_deletes_a_cluster_at_a_time():
    frame, a = data(keep=1.0)
    d = dense(a, ("id", "year"))
    b = np.linalg.lstsq(d, a["y"], rcond=None)[0][1:3]
    total = np.zeros((2, 2))
    states = np.unique(a["state"])
    for g in states:
        rows = a["state"] != g
        without = np.linalg.lstsq(d[rows], a["y"][rows], rcond=None)[0][1:3]
        total += np.outer(without - b, without - b)
    total *= (len(states) - 1) / len(states)
    found = ENGINE.fit(ask("y ~ x + z | id + year", vcov="CRV3", cluster=("state",)), frame)
    assert np.array(found.vcov) == pytest.approx(total, rel=1e-8)
    assert found.conventions.df_t == len(states) - 1


@pytest.mark.parametrize(
    ("vcov", "cluster"), [("iid", ()), ("HC1", ()), ("HC2", ()), ("HC3", ()), ("CRV1", ("id",)), ("CRV3", ("state",))]
)
def test_frequency_weights_are_replicated_rows(vcov, cluster):
    frame, a = data(keep=1.0)
    repeated = frame.take(np.repeat(np.arange(frame.nrows), a["copies"].astype(int)))
    words = {"vcov": vcov, "cluster": cluster}
    weighted = ENGINE.fit(ask("y ~ x + z | id + year", weights=("copies", "frequency"), **words), frame)
    whole = ENGINE.fit(ask("y ~ x + z | id + year", **words), repeated)
    assert weighted.stats == whole.stats or (
        [weighted.stats.nobs, weighted.stats.df_resid] == [whole.stats.nobs, whole.stats.df_resid]
    )
    for one, other in zip(weighted.coefs, whole.coefs, strict=True):
        assert one.estimate == pytest.approx(other.estimate, rel=1e-11)
        assert one.std_error == pytest.approx(other.std_error, rel=1e-11)
        assert one.df == other.df
    assert weighted.stats.r2 == pytest.approx(whole.stats.r2, rel=1e-12)
    assert weighted.stats.adj_r2 == pytest.approx(whole.stats.adj_r2, rel=1e-12)


def test_instruments_by_projection():
    frame, a = data(keep=1.0)
    n = frame.nrows
    rng = np.random.default_rng(1)
    w1, w2 = rng.normal(size=(2, n))
    e = 0.5 * w1 + 0.4 * w2 + rng.normal(size=n)
    frame = Frame((*frame.columns, floats("w1", w1), floats("w2", w2), floats("e", e)), n)
    x = np.column_stack([np.ones(n), a["z"], e])
    z = np.column_stack([np.ones(n), a["z"], w1, w2])
    hat = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    b = np.linalg.lstsq(hat, a["y"], rcond=None)[0]
    u = a["y"] - x @ b
    v = np.linalg.inv(hat.T @ hat) * (u @ u) / (n - 3)
    found = ENGINE.fit(ask("y ~ z | e ~ w1 + w2"), frame)
    assert [r.term for r in found.coefs] == ["(Intercept)", "z", "e"]
    assert [r.estimate for r in found.coefs] == pytest.approx(b, rel=1e-10)
    assert np.array(found.vcov) == pytest.approx(v, rel=1e-9)
    # one instrument: the ratio of two covariances
    frame_1 = ENGINE.fit(ask("y ~ 1 | e ~ w1"), frame)
    assert frame_1.coef("e").estimate == pytest.approx(np.cov(w1, a["y"])[0, 1] / np.cov(w1, e)[0, 1], rel=1e-10)


def test_sweeping_is_the_projection_on_dummies_also_where_panels_fall_apart():
    rng = np.random.default_rng(6)
    # two groups of units that share no period, and a third effect that repeats the first
    unit = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3])
    time = np.array([0, 1, 0, 1, 2, 3, 2, 3, 4])
    third = unit // 2
    columns = rng.normal(size=(9, 2))
    weights = rng.uniform(1, 2, 9)
    d = np.column_stack([np.eye(k)[c] for k, c in ((4, unit), (5, time), (2, third))]) * np.sqrt(weights)[:, None]
    projection = d @ np.linalg.pinv(d)
    scaled = columns * np.sqrt(weights)[:, None]
    left = Absorber([unit, time, third], long(weights)).sweep(long(columns)) * np.sqrt(long(weights))[:, None]
    assert left.astype(float) == pytest.approx(scaled - projection @ scaled, abs=1e-13)
    assert Absorber([unit, time, third], long(weights)).leverage() == pytest.approx(np.diag(projection), abs=1e-10)


def test_long_chains_converge():
    # each pair of neighbours is linked by one observation: the slowest case for alternating projections
    n = 400
    unit, time = np.repeat(np.arange(n), 2), np.repeat(np.arange(n + 1), 2)[1:-1]
    rng = np.random.default_rng(3)
    extra = np.arange(5)
    unit, time = np.append(unit, extra), np.append(time, extra + 7)
    x = rng.normal(size=(unit.size, 1)) + 5 * np.sin(unit / 40)[:, None]
    left = Absorber([unit, time], np.ones(unit.size, dtype=np.longdouble)).sweep(long(x))
    for codes in (unit, time):
        sums = Groups.of(codes).sums(left)
        assert float(np.abs(sums).max()) < (1e-16 if EXTENDED else 1e-12) * float(np.abs(x).max()) * 10


def test_groups_and_intersections():
    codes = np.array([7, 3, 7, 9])
    groups = Groups.of(codes)
    assert groups.size == 3
    assert groups.codes.tolist() == [1, 0, 1, 2]
    assert groups.sums(long([1, 2, 3, 4])).tolist() == [2, 4, 4]
    assert len(set(intersect(np.array([0, 0, 1]), np.array([1, 0, 1])).tolist())) == 3


def test_later_columns_are_dropped():
    frame, a = data()
    n = frame.nrows
    extra = (floats("sum", a["x"] + a["z"]), floats("level", a["id"] * 2.0 + 1), floats("one", np.ones(n)))
    wide = Frame((*frame.columns, *extra), n)
    found = ENGINE.fit(ask("y ~ x + z + sum + level | id"), wide)
    assert found.dropped == ("sum", "level")
    assert [r.term for r in found.coefs] == ["x", "z"]
    first = ENGINE.fit(ask("y ~ sum + x + z + one"), wide)
    assert first.dropped == ("z", "one")
    near = Frame((*frame.columns, floats("near", a["x"] + 1e4 * COLLINEAR * np.sin(np.arange(n)))), n)
    assert ENGINE.fit(ask("y ~ x + near"), near).dropped == ()


def test_what_cannot_be_answered_says_why():
    frame, _ = data(keep=1.0)
    assert isinstance(ENGINE, Engine)
    assert get("oracle") is ENGINE
    for request in (
        ask("y ~ x", estimator="fepois"),
        ask("y ~ x", vcov="NW", time="year"),
        ask("y ~ x", vcov="DK"),
        ask("y ~ x", vcov="CRV3", cluster=("id", "year")),
        ask("y ~ 1 | q ~ z", vcov="HC2"),
        ask("y ~ sunab(state, year)"),
        ask("y ~ x | id", estimator="between", unit="id"),
    ):
        support = ENGINE.supports(request)
        assert not support
        assert support.reason
        with pytest.raises(Unsupported):
            ENGINE.fit(request, frame)
    with pytest.raises(DataError, match="no row"):
        ENGINE.fit(ask("y ~ x"), Frame((floats("y", [np.nan]), floats("x", [1.0])), 1))
    single = Frame((floats("y", [1, 2, 3, 5.0]), floats("x", [1, 3, 2, 5.0]), integers("g", [0, 0, 0, 1])), 4)
    with pytest.raises(DataError, match="leverage of one"):
        ENGINE.fit(ask("y ~ x | g", vcov="HC3"), single)
    with pytest.raises(DataError, match="do not identify"):
        ENGINE.fit(ask("y ~ x | q ~ I(2 * x)"), frame)
    with pytest.raises(DataError, match="weight"):
        least_squares(np.ones(3), np.ones((3, 1)), (), np.array([1.0, 0.0, 1.0]))


def test_a_saturated_model_has_estimates_and_no_standard_errors():
    frame = Frame((floats("y", [1.0, 4.0]), floats("x", [1.0, 2.0])), 2)
    found = ENGINE.fit(ask("y ~ x"), frame)
    assert found.coef("x").estimate == pytest.approx(3.0)
    assert math.isnan(found.coef("x").std_error)
    assert math.isnan(found.coef("x").p_value)
    assert found.stats.df_resid == 0


def test_the_convention_used_is_written_down():
    frame, _ = data(keep=1.0)
    found = ENGINE.fit(
        ask("y ~ x | id + year", vcov="CRV1", cluster=("id", "year"), ssc={"g_df": "conventional"}), frame
    )
    used = found.conventions
    assert (used.vcov, used.cluster, used.n_clusters) == ("CRV1", ("id", "year"), (9, 7))
    assert used.ssc_factor is None
    assert used.df_t == 6
    assert used.k == 2
    one = ENGINE.fit(ask("y ~ x | id + year", vcov="CRV1", cluster=("id",)), frame)
    assert one.conventions.ssc_factor == pytest.approx(9 / 8 * 62 / (63 - one.conventions.k), rel=1e-15)
    assert np.sqrt(np.diag(np.array(found.vcov))) == pytest.approx([r.std_error for r in found.coefs])


@pytest.mark.parametrize(
    "request_",
    [
        ask("y ~ x + z", vcov="iid", ssc={"k_adj": False}),
        ask("y ~ x + z | id + year", vcov="HC1", ssc={"k_adj": False}),
        ask("y ~ x + z | id", vcov="HC3", weights="w"),
        ask("y ~ x | id", vcov="CRV1", cluster=("id",), ssc={"k_adj": False, "g_adj": False}),
        ask("y ~ x", vcov="CRV1", cluster=("id", "year"), ssc={"k_adj": False, "g_adj": False}),
        ask("y ~ log(w) + i(year)", vcov="HC1"),
    ],
    ids=range(6),
)
def test_the_code_shown_gives_the_same_numbers(request_, tmp_path):
    frame, _ = data(keep=1.0)
    path = tmp_path / "panel.csv"
    frame.to_pandas().to_csv(path, index=False)
    (tmp_path / "code.py").write_text(ENGINE.code(request_, str(path)), "utf-8")
    done = subprocess.run([sys.executable, str(tmp_path / "code.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = ENGINE.fit(request_, frame)
    shown = done.stdout
    for row in found.coefs:
        if "crosscheck" in ENGINE.code(request_, str(path)):
            assert f"{row.estimate}"[:10] in shown
        else:
            assert any(abs(float(v) - row.estimate) < 1e-6 for v in shown.replace("[", " ").replace("]", " ").split())
            assert any(abs(float(v) - row.std_error) < 1e-6 for v in shown.replace("[", " ").replace("]", " ").split())


NUMERIC = ("id", "year", "state", "y", "x", "z", "q", "w", "T")
LIVE = (
    "y ~ x + z",
    "y ~ x + z - 1",
    "y ~ x | id",
    "y ~ x + z | id + year",
    "y ~ x | id + state",
    "y ~ x | id + state^year",
    "y ~ z | q ~ T",
    "y ~ z | id + year | q ~ T + w",
)
COVARIANCES = (
    ("iid", ()),
    ("HC1", ()),
    ("HC2", ()),
    ("HC3", ()),
    ("CRV1", ("id",)),
    ("CRV1", ("state",)),
    ("CRV1", ("id", "year")),
    ("NW", ()),
    ("DK", ()),
)


def departs(request):
    """Say where fixest 0.14.2 departs from the formula: its leverages, and weighted R2 after instruments."""
    weighted_leverage = request.weights is not None and "|" not in request.formula
    # effects that fall into separate components: fixest says itself that it only approximates
    irregular = "state^year" in request.formula or "id + state" in request.formula
    return request.vcov.type in ("HC2", "HC3") and (weighted_leverage or irregular)


def test_every_number_is_that_of_live_fixest(tmp_path):
    frames = {"balanced": panel().select(NUMERIC), "unbalanced": panel(seed=9, keep=0.8).select(NUMERIC)}
    questions = {}
    for (name, frame), formula, (vcov, cluster), w in itertools.product(frames.items(), LIVE, COVARIANCES, (None, "w")):
        if "~ T" in formula and (vcov in ("HC2", "HC3") or w):
            continue
        if name == "balanced" and (w or vcov not in ("iid", "CRV1")):
            continue
        request = ask(formula, vcov=vcov, cluster=cluster, weights=w, unit="id", time="year")
        questions[f"{name}|{formula}|{vcov}|{cluster}|{w}"] = (request, name, frame)
    answers = fixest_answers(tmp_path, questions)
    worst = {}
    for key, (request, _, frame) in questions.items():
        if departs(request):
            continue
        answer, found = answers[key], ENGINE.fit(request, frame)
        assert "error" not in answer, (key, answer)
        assert {r.term for r in found.coefs} == set(answer["coefs"]), key
        assert found.conventions.df_t == answer["df_t"], key
        assert found.conventions.k == answer["k"], key
        assert found.stats.nobs == answer["nobs"], key
        assert found.stats.df_resid == answer["df_resid"], key
        for quantity, word in (("r2", "r2"), ("adj_r2", "ar2"), ("r2_within", "wr2")):
            value = getattr(found.stats, quantity)
            assert digits(value, answer[word]) > 10, (key, quantity, value, answer[word])
        for row in found.coefs:
            theirs = answer["coefs"][row.term]
            if not theirs["std_error"] > 1e-6:  # a repaired eigenvalue
                continue
            for quantity, value in theirs.items():
                worst[quantity] = min(worst.get(quantity, 15), digits(getattr(row, quantity), value))
    need = {"estimate": 11, "std_error": 9, "statistic": 9, "p_value": 7, "conf_low": 8, "conf_high": 8}
    assert {q: v for q, v in worst.items() if v < need[q]} == {}


def test_where_fixest_departs_the_formula_is_lm_s(tmp_path):
    """fixest 0.14.2 leaves the weights out of leverages without fixed effects: h / w instead of h."""
    frame = panel().select(NUMERIC)
    request = ask("y ~ x + z", vcov="HC3", weights="w")
    answer = fixest_answers(tmp_path, {"a": (request, "d", frame)})["a"]
    x = np.column_stack([np.ones(frame.nrows), frame["x"].as_float(), frame["z"].as_float()])
    w, y = frame["w"].as_float(), frame["y"].as_float()
    bread = np.linalg.inv(x.T @ (w[:, None] * x))
    u = y - x @ (bread @ (x.T @ (w * y)))
    h = w * np.einsum("ij,jk,ik->i", x, bread, x)
    scores = {name: (w * u / (1 - lever))[:, None] * x for name, lever in (("formula", h), ("fixest", h / w))}
    errors = {name: np.sqrt(np.diag(bread @ s.T @ s @ bread)) for name, s in scores.items()}
    found = ENGINE.fit(request, frame)
    assert [r.std_error for r in found.coefs] == pytest.approx(errors["formula"], rel=1e-11)
    theirs = [answer["coefs"][r.term]["std_error"] for r in found.coefs]
    # a later fixest may have it right
    assert theirs in (pytest.approx(errors["fixest"], rel=1e-9), pytest.approx(errors["formula"], rel=1e-9))


@pytest.mark.parametrize("engine", ["oracle", "linearmodels", "statsmodels"])
def test_a_lag_looks_at_rows_that_are_not_in_the_sample(engine):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=24), rng.normal(size=24)
    before = np.where(np.arange(24) % 6 == 0, np.nan, np.roll(x, 1))
    weight = np.where(
        np.arange(24) == 9, 0.0, 1.0 + np.arange(24) % 3
    )  # a row of weight 0, which the next one looks at
    frame = Frame(
        (
            integers("unit", np.repeat([1, 2, 3, 4], 6)),
            integers("time", np.tile(np.arange(6), 4)),
            floats("x", x),
            floats("y", y),
            floats("before", before),
            floats("weight", weight),
        ),
        24,
    )
    more = {"unit": "unit", "time": "time", "weights": "weight"}
    lagged = get(engine).fit(ask("y ~ lag(x, 1)", **more), frame)
    column = get(engine).fit(ask("y ~ before", **more), frame)
    assert lagged.stats.nobs == column.stats.nobs == 19
    assert lagged.coefs[1].estimate == pytest.approx(column.coefs[1].estimate, rel=1e-12)


def _tiny(scale, near=0.0):
    """Eight units in four periods; x in other units, and its neighbour x + near z."""
    rng = np.random.default_rng(11)
    unit, time = np.repeat(np.arange(8), 4), np.tile(np.arange(4), 8)
    x, z = rng.normal(size=(2, 32))
    y = x + z + rng.normal(size=32)
    columns = {"y": floats("y", y), "x": floats("x", x * scale), "z": floats("z", z), "n": floats("n", x + near * z)}
    return Frame((*columns.values(), integers("unit", unit), integers("time", time)), 32)


SERIAL_AND_CLUSTERED = (
    {"vcov": "HC3"},
    {"vcov": "CRV1", "cluster": ("unit",)},
    {"vcov": "DK", "lag": 0},
    {"vcov": "DK", "lag": 2},
    {"vcov": "NW", "lag": 1},
)


@pytest.mark.parametrize("vcov", SERIAL_AND_CLUSTERED)
def test_a_regressor_in_tiny_units_moves_no_other_standard_error(vcov):
    # its variance is 1e20 times the others', so that their eigenvalues are rounding
    request = ask("y ~ x + z | unit", unit="unit", time="time", **vcov)
    small, plain = (ENGINE.fit(request, _tiny(s)) for s in (1e-10, 1.0))
    assert small.coef("z").std_error == pytest.approx(plain.coef("z").std_error, rel=1e-9)
    assert small.coef("x").std_error * 1e-10 == pytest.approx(plain.coef("x").std_error, rel=1e-9)


@pytest.mark.parametrize("vcov", SERIAL_AND_CLUSTERED)
def test_standard_errors_of_neighbours_keep_their_digits(vcov):
    # b_z = b_n / 2^28; n itself is rounded at 1e-16 of x, of which z / 2^28 is 4e-9
    frame = _tiny(1.0, near=2.0**-28)
    plain, beside = (
        ENGINE.fit(ask(f"y ~ x + {n} | unit", unit="unit", time="time", **vcov), frame).coef(n).std_error for n in "zn"
    )
    assert beside / 2**28 == pytest.approx(plain, rel=1e-6)


def test_effects_are_swept_out_of_a_column_that_has_few_digits_beside_its_mean():
    unit, time = np.repeat(np.arange(9), 7), np.tile(np.arange(7), 9)
    rng = np.random.default_rng(2)
    keep = rng.random(63) < 0.8
    small = np.round(rng.normal(size=63) * 10) * 2.0**-23
    columns = {"far": 1e9 + small, "near": small, "y": rng.normal(size=63)}
    frame = Frame((*(floats(n, v) for n, v in columns.items()), integers("unit", unit), integers("time", time)), 63)
    far, near = (ENGINE.fit(ask(f"y ~ {x} | unit + time"), frame.take(keep)).coef(x) for x in ("far", "near"))
    assert far.estimate == pytest.approx(near.estimate, rel=1e-9)
    assert far.std_error == pytest.approx(near.std_error, rel=1e-9)
