"""Every formula of the audit against real regressions on simulated panels: equalities to 1e-12."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crosscheck.audit import formulas as f
from crosscheck.audit.simulate import Fit, least_squares

P, T, G, POST = 14, 9, 5, 4
N = P * T
REL = 1e-12


def close(a: float, b: float, rel: float = REL) -> bool:
    return math.isclose(a, b, rel_tol=rel, abs_tol=0.0)


@pytest.fixture(scope="module")
def panel() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    unit, time = np.repeat(np.arange(P), T), np.tile(np.arange(T), P)
    d = ((unit < G) & (time >= T - POST)).astype(float)
    x = rng.standard_normal(N) + 0.5 * d + 0.2 * unit
    m = 0.7 * d + 0.4 * x + rng.standard_normal(N) + 0.1 * time
    y = 0.4 * d + 0.3 * x + 0.5 * m + 0.2 * unit + rng.standard_normal(N)
    return {"unit": unit, "time": time, "d": d, "x": x, "m": m, "y": y}


def fit(panel: dict[str, np.ndarray], y: str, terms: tuple[str, ...], effects: bool = True) -> Fit:
    x = np.column_stack([panel[t] for t in terms])
    extra = {"unit": panel["unit"], "time": panel["time"]} if effects else {}
    return least_squares(panel[y], x, terms, panel["unit"], "iid", **extra)


def sd(panel: dict[str, np.ndarray], name: str) -> float:
    return float(panel[name].std(ddof=1))


def b(fit: Fit, term: str) -> float:
    return float(fit.estimate[fit.terms.index(term)])


def se(fit: Fit, term: str) -> float:
    return float(fit.std_error[fit.terms.index(term)])


def s2(panel: dict[str, np.ndarray], name: str, fit: Fit) -> float:
    return f.residual_variance(fit.r2, sd(panel, name), N, fit.k)


def test_least_squares_against_normal_equations(panel):
    one = fit(panel, "y", ("d", "x"))
    dummies = [np.eye(P)[panel["unit"]][:, 1:], np.eye(T)[panel["time"]][:, 1:]]
    design = np.column_stack([panel["d"], panel["x"], *dummies, np.ones(N)])
    beta, sse, *_ = np.linalg.lstsq(design, panel["y"], rcond=None)
    cov = np.linalg.inv(design.T @ design) * sse[0] / (N - design.shape[1])
    assert np.allclose(one.estimate[:2], beta[:2], rtol=1e-12)
    assert np.allclose(one.std_error[:2], np.sqrt(np.diag(cov))[:2], rtol=1e-12)
    assert one.k == 1 + 2 + P - 1 + T - 1


def test_adjusted_r2_and_k(panel):
    one = fit(panel, "y", ("d", "x"))
    assert close(f.adjusted_r2(one.r2, N, one.k), one.adj_r2)
    assert close(f.k_from_r2(one.r2, one.adj_r2, N), one.k)


def test_bivariate_column(panel):
    one = fit(panel, "y", ("d",), effects=False)
    ones = int(panel["d"].sum())
    assert close(f.bivariate_t_squared(one.r2, N), (b(one, "d") / se(one, "d")) ** 2)
    assert close(f.bivariate_slope(one.r2, sd(panel, "y"), sd(panel, "d")), abs(b(one, "d")))
    assert close(f.two_group_se(one.r2, sd(panel, "y"), N, ones), se(one, "d"))
    assert close(f.two_group_constant_se(one.r2, sd(panel, "y"), N, ones), se(one, "Constant"))
    assert close(f.binary_sd(ones / N, N, N - 1), sd(panel, "d"))
    assert close(float(panel["y"].mean()), b(one, "Constant") + b(one, "d") * float(panel["d"].mean()))


def test_design_sums_of_squares_against_demeaning():
    rng = np.random.default_rng(3)
    for _ in range(20):
        starts = rng.choice(np.arange(1, T), size=2, replace=False)
        groups = rng.integers(1, 5, size=2)
        d = np.zeros((P, T))
        row = 0
        for start, g in zip(starts, groups, strict=True):
            d[row : row + g, start:] = 1.0
            row += g
        twice = d - d.mean(0) - d.mean(1, keepdims=True) + d.mean()
        cohorts = tuple((int(g), int(T - s)) for s, g in zip(starts, groups, strict=True))
        assert close(f.ssd_staggered(P, T, cohorts), float((twice**2).sum()), 1e-12)
        single = np.zeros((P, T))
        single[: groups[0], starts[0] :] = 1.0
        twice = single - single.mean(0) - single.mean(1, keepdims=True) + single.mean()
        assert close(f.ssd_block(P, int(groups[0]), T, int(T - starts[0])), float((twice**2).sum()))


def test_two_way_se_and_vif(panel):
    bare, full = fit(panel, "y", ("d",)), fit(panel, "y", ("d", "x"))
    ssd = f.ssd_block(P, G, T, POST)
    assert close(f.slope_se(s2(panel, "y", bare), ssd, 1.0), se(bare, "d"))
    of_x = least_squares(
        panel["d"], panel["x"][:, None], ("x",), panel["unit"], "iid", unit=panel["unit"], time=panel["time"]
    )
    explained = 1.0 - (1.0 - of_x.r2) * float(((panel["d"] - panel["d"].mean()) ** 2).sum()) / ssd
    assert close(f.implied_vif(se(full, "d"), s2(panel, "y", full), ssd), 1.0 / (1.0 - explained))
    assert se(full, "x") ** 2 * (N - 1) * sd(panel, "x") ** 2 / s2(panel, "y", full) >= 1.0


def test_constant_of_a_dummy_regression(panel):
    for base_unit in (0, P - 1):
        for base_time in (0, T - 1):
            unit = np.where(panel["unit"] == base_unit, 0, panel["unit"] + 1)
            time = np.where(panel["time"] == base_time, 0, panel["time"] + 1)
            one = least_squares(panel["y"], panel["d"][:, None], ("d",), unit, "iid", unit=unit, time=time)
            value = f.dummy_constant_variance(
                s2(panel, "y", one), se(one, "d"), P, T, (POST / T) * (base_unit < G),
                (G / P) * (base_time >= T - POST), float(panel["d"].mean()),
            )  # fmt: skip
            assert close(math.sqrt(value), se(one, "Constant"))


def test_absorbed_constant_is_the_mean_of_the_effects(panel):
    one = least_squares(
        panel["y"],
        panel["d"][:, None],
        ("d",),
        panel["unit"],
        "iid",
        unit=panel["unit"],
        time=panel["time"],
        absorbed=True,
    )
    assert close(b(one, "Constant"), float(panel["y"].mean()) - b(one, "d") * float(panel["d"].mean()))


@pytest.mark.parametrize("absorbed", [False, True])
def test_mediation_algebra(panel, absorbed):
    extra = {"unit": panel["unit"], "time": panel["time"], "absorbed": absorbed}

    def run(y: str, *terms: str) -> Fit:
        return least_squares(panel[y], np.column_stack([panel[t] for t in terms]), terms, panel["unit"], "iid", **extra)

    total, path, direct = run("y", "d", "x"), run("m", "d", "x"), run("y", "d", "m", "x")
    phi = b(direct, "m")
    for term in ("d", "x", "Constant"):
        assert math.isclose(b(total, term), b(direct, term) + f.indirect(b(path, term), phi), rel_tol=REL)
        new, old = s2(panel, "y", direct), s2(panel, "y", total)
        value = f.added_regressor_variance(new, old, se(total, term), b(path, term), se(direct, "m"))
        assert close(math.sqrt(value), se(direct, term))
    t2 = (phi / se(direct, "m")) ** 2
    assert close(f.increment_t_squared(total.r2, direct.r2, N, direct.k), t2)
    assert close(f.f_statistic(total.r2, direct.r2, N, total.k, direct.k), t2)
    value = f.added_slope_variance(s2(panel, "y", direct), path.r2, sd(panel, "m"), N)
    assert close(math.sqrt(value), se(direct, "m"))
    sse = f.residual_ss(total.r2, sd(panel, "y"), N) - phi**2 * f.residual_ss(path.r2, sd(panel, "m"), N)
    assert close(sse, f.residual_ss(direct.r2, sd(panel, "y"), N))


def test_common_variance_factor_and_se_ratio(panel):
    one, two = fit(panel, "y", ("d", "x")), fit(panel, "m", ("d", "x"))
    for term in ("d", "x", "Constant"):
        left = se(one, term) ** 2 / s2(panel, "y", one)
        assert close(left, se(two, term) ** 2 / s2(panel, "m", two))
    assert close(se(one, "d") / se(one, "x"), se(two, "d") / se(two, "x"))


def test_omitted_variable_bound_holds_and_is_reached(panel):
    small, large = fit(panel, "y", ("d",)), fit(panel, "y", ("d", "x"))
    ssd = f.ssd_block(P, G, T, POST)
    vif = f.implied_vif(se(large, "d"), s2(panel, "y", large), ssd)
    sses = [f.residual_ss(one.r2, sd(panel, "y"), N) for one in (small, large)]
    bound = f.omitted_shift_bound(*sses, ssd, vif)
    moved = (b(small, "d") - b(large, "d")) ** 2
    assert moved <= bound * (1 + 1e-9)
    # With a single added regressor the omitted part is one direction, so the bound is an equality. Looser than the
    # rest: both sides are small differences of numbers that agree in their first digits.
    assert close(moved, bound, 1e-10)


def test_added_regressors_move_estimates_no_farther_than_they_explain(panel):
    def factor(fit_: Fit, term: str) -> float:
        return se(fit_, term) ** 2 / s2(panel, "y", fit_)

    def left(fit_: Fit) -> float:
        return f.residual_ss(fit_.r2, sd(panel, "y"), N)

    small, large = fit(panel, "y", ("d", "x")), fit(panel, "y", ("d", "x", "m"))
    for term in ("d", "x", "Constant"):
        room = (factor(large, term) - factor(small, term)) * (left(small) - left(large))
        assert close((b(small, term) - b(large, term)) ** 2, room, 1e-10)
    pooled, many = fit(panel, "y", ("d",), effects=False), fit(panel, "y", ("d", "x", "m"))
    room = (factor(many, "d") - factor(pooled, "d")) * (left(pooled) - left(many))
    assert 0.0 <= (b(pooled, "d") - b(many, "d")) ** 2 <= room
    for term in ("x", "m"):
        assert b(many, term) ** 2 / factor(many, term) <= left(pooled) - left(many)


def test_samuelson_is_sharp():
    values = np.array([1.0] + [0.0] * 9)
    assert close(f.samuelson(float(values.std(ddof=1)), 10), float(values.max() - values.mean()))


def test_sobel_difference_and_hypergeometric():
    assert close(f.sobel_z_squared(3.0, 4.0), (12 / 5) ** 2)
    assert close(f.difference_z(2.0, 1.0, 0.3, 0.4), 2.0)
    counted = math.comb(19, 6) / math.comb(28, 6)
    assert close(f.hypergeometric_none(28, 9, 6), counted)


def test_ar1_inflation_against_the_exact_covariance():
    rho, units, treated = 0.5, 12, 5
    periods, post = 8, 3
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    d = ((unit < treated) & (time >= periods - post)).astype(float)
    design = np.column_stack([d, np.eye(units)[unit][:, 1:], np.eye(periods)[time][:, 1:], np.ones(units * periods)])
    corr = rho ** np.abs(np.subtract.outer(np.arange(periods), np.arange(periods)))
    omega = np.kron(np.eye(units), corr)
    inverse = np.linalg.inv(design.T @ design)
    true = (inverse @ design.T @ omega @ design @ inverse)[0, 0]
    hat = design @ inverse @ design.T
    expected_s2 = np.trace((np.eye(len(d)) - hat) @ omega) / (len(d) - design.shape[1])
    assert close(f.ar1_inflation(rho, units, periods, post), true / (expected_s2 * inverse[0, 0]))
