"""Monte Carlo coverage: R's random numbers, the closed form against one regression for each panel, what must fail."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from scipy import special

from crosscheck.conventions import Ssc, critical
from crosscheck.designs import monte_carlo as mc
from crosscheck.designs.coverage import clopper_pearson
from crosscheck.designs.panel import Panel, covariance, fit
from crosscheck.errors import DataError
from tests.designs_helpers import arrays, ask, digits, in_r, need_r, panel_frame, python

ASKED = {"treatment": "BDPZs", "effect": 0.024, "cluster": "province", "seed": 1}
VCOVS = ("iid", "HC1", "CRV1", "CRV3")


def experiment(panel, **changed):
    asked = {
        "effect": 0.024, "noise": 0.02, "rho": 0.0, "panels": 500, "seed": 1, "vcovs": ("iid", "CRV1"),
        "level": 0.95, "bounds": 0.99, "ssc": Ssc(),
    }  # fmt: skip
    unit, year = panel.effects[("province",)], panel.effects[("year",)]
    return mc.monte_carlo(panel, "BDPZs", unit, year, **{**asked, **changed})


def panel_of(frame):
    panel = arrays(frame)
    return Panel(y=panel.y, x=panel.x, names=panel.names, effects=panel.effects,
                 clusters={"province": panel.effects[("province",)]})  # fmt: skip


def test_uniforms_are_those_of_r():
    # set.seed(1); runif(5), as R prints them with 7 digits
    np.testing.assert_allclose(mc.r_uniforms(1, 5), [0.2655087, 0.3721239, 0.5728534, 0.9082078, 0.2016819], atol=5e-8)
    assert mc.r_uniforms(42, 1)[0] == pytest.approx(0.914806, abs=5e-7)


def test_uniforms_are_those_of_r_to_the_bit():
    need_r()
    command = [shutil.which("Rscript"), "--vanilla", "-e", 'RNGkind("Mersenne-Twister"); set.seed(20160105); '
               'cat(sprintf("%a", runif(2000)))']  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [float.fromhex(x) for x in told] == mc.r_uniforms(20160105, 2000).tolist()


def test_errors_have_the_variance_and_memory_that_are_asked_for():
    unit, period = np.repeat(np.arange(50), 20), np.tile(np.arange(20), 50)
    e = mc.errors(3, 200, unit, period, 0.7)
    assert e.shape == (1000, 200)
    assert e.std() == pytest.approx(1, abs=0.02)
    lag = e.reshape(50, 20, 200)
    assert np.corrcoef(lag[:, 1:].ravel(), lag[:, :-1].ravel())[0, 1] == pytest.approx(0.7, abs=0.02)


def test_rows_that_a_panel_lacks_leave_no_trace():
    unit, period = np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)
    kept = np.ones(30, dtype=bool)
    kept[[3, 17]] = False
    np.testing.assert_array_equal(
        mc.errors(1, 4, unit[kept], period[kept], 0.5), mc.errors(1, 4, unit, period, 0.5)[kept]
    )


@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_each_panel_is_one_regression(keep):
    panel = panel_of(panel_frame(keep=keep))
    made = experiment(panel, panels=4, rho=0.5, vcovs=VCOVS)
    unit, year = panel.effects[("province",)], panel.effects[("year",)]
    treated = panel.x[:, panel.names.index("BDPZs")]
    own = fit(panel)
    base = panel.y - own.resid + (0.024 - own.coef[own.index("BDPZs")]) * treated
    shocks = 0.02 * mc.errors(1, 4, unit, year, 0.5)
    for i in range(4):
        found = fit(Panel(y=base + shocks[:, i], x=panel.x, names=panel.names, effects=panel.effects,
                          clusters=panel.clusters))  # fmt: skip
        at = found.index("BDPZs")
        assert made.estimate[i] == pytest.approx(found.coef[at], rel=1e-10)
        for c in made.coverage:
            expected = covariance(found, c.vcov, Ssc()).std_errors[at]
            assert c.std_error[i] == pytest.approx(expected, rel=1e-9), c.vcov
    for c in made.coverage:
        half = critical(0.95, covariance(own, c.vcov, Ssc()).small.df_t) * c.std_error
        assert c.covered == int((np.abs(made.estimate - 0.024) <= half).sum())


def test_the_effect_is_recovered_without_noise_and_on_average():
    for rho in (0.0, 0.8):
        made = experiment(panel_of(panel_frame()), rho=rho)
        assert made.exact == pytest.approx(0.024, abs=1e-14)
        assert abs(made.mean - 0.024) < 4 * made.mean_se


def test_iid_intervals_hold_without_serial_correlation_and_must_fail_with_it():
    panel = panel_of(panel_frame())
    independent = {c.vcov: c for c in experiment(panel).coverage}
    assert independent["iid"].holds(0.95)
    correlated = {c.vcov: c for c in experiment(panel, rho=0.8).coverage}
    assert correlated["iid"].high < 0.95
    assert not correlated["iid"].holds(0.95)
    assert correlated["CRV1"].covered > correlated["iid"].covered + 50
    assert correlated["iid"].se_ratio < 0.7


def test_bounds_are_exact():
    low, high = clopper_pearson(480, 500, 0.99)
    assert special.bdtrc(479, 500, low) == pytest.approx(0.005)
    assert special.bdtr(480, 500, high) == pytest.approx(0.005)


def test_the_failure_of_iid_is_a_warning_of_the_engine():
    result = python(ask("monte_carlo", **ASKED, rho=0.8), panel_frame())
    said = [c.text for c in result.conditions]
    assert any(text.startswith("iid intervals of 95% hold the effect in") for text in said)
    assert all("autocorrelation 0.8" in text for text in said)
    assert result.block("panels").quantities == ("estimate", *(f"std_error_{v}" for v in VCOVS))


@pytest.mark.parametrize("options", [{}, {"rho": 0.8, "noise": 0.5}, {"panels": 37, "vcovs": ["CRV3"], "bounds": 0.9}])
@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_python_and_r_simulate_the_same_panels(options, keep):
    need_r()
    frame = panel_frame(keep=keep)
    request = ask("monte_carlo", **ASKED, **options)
    worst = digits(python(request, frame), in_r(request, frame))
    assert min(worst.values()) >= 9, worst


def test_weights_and_two_clusters_are_refused():
    panel = panel_of(panel_frame())
    for changed in ({"weights": np.ones(panel.y.size)}, {"clusters": {}}):
        with pytest.raises(DataError, match="one cluster dimension"):
            experiment(Panel(**{**{f: getattr(panel, f) for f in panel.__dataclass_fields__}, **changed}))
