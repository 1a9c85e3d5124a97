"""Joint tests against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from crosscheck.results import CoefRow, EstimationResult
from crosscheck.wald import joint_test, members, with_joint_tests

LABELS = ("x", "log(income)", "year::1983", "year::1984", "ATT(2004,2003)", "ATT(2004,2004)", "ATT(2006,2004)")


@pytest.mark.parametrize(
    ("term", "chosen"),
    [
        ("wald:x", ("x",)),
        ("wald:year", ("year::1983", "year::1984")),
        ("wald:x+log(income)", ("x", "log(income)")),
        ("wald:pretrend", ("ATT(2004,2003)", "ATT(2006,2004)")),
        ("wald:x+absent", ()),
        ("chi2:year::1984+x", ("year::1984", "x")),
    ],
)
def test_names_stand_for_coefficients_or_for_all_dummies_of_a_variable(term, chosen):
    assert members(term, LABELS) == chosen


def fitted(df):
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(60), rng.standard_normal((60, 3))])
    y = x @ [1, 0.3, 0, -0.2] + rng.standard_normal(60)
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    e = y - x @ b
    v = inverse * (e @ e) / 56
    names = ("(Intercept)", "a", "b", "c")
    rows = tuple(
        CoefRow(term=t, estimate=float(bi), std_error=float(np.sqrt(v[i, i])), df=df)
        for i, (t, bi) in enumerate(zip(names, b, strict=True))
    )
    restricted = x[:, :2]
    r = y - restricted @ np.linalg.lstsq(restricted, y, rcond=None)[0]
    f = ((r @ r - e @ e) / 2) / (e @ e / 56)
    return EstimationResult(engine="e", coefs=rows, vcov=tuple(map(tuple, v.tolist()))), float(f)


def test_the_f_statistic_is_that_of_two_nested_regressions():
    result, f = fitted(56.0)
    statistic, p = joint_test(result, ("b", "c"))
    assert statistic == pytest.approx(f, rel=1e-10)
    assert p == pytest.approx(stats.f.sf(f, 2, 56), rel=1e-10)


def test_the_normal_gives_chi2_and_so_does_the_word():
    result, f = fitted(math.inf)
    assert joint_test(result, ("b", "c")) == pytest.approx((2 * f, stats.chi2.sf(2 * f, 2)), rel=1e-10)
    result, f = fitted(56.0)
    done = with_joint_tests(result, ("chi2:b+c", "wald:nothing"))
    assert {(e.term, e.quantity) for e in done.extras} == {("chi2:b+c", "statistic"), ("chi2:b+c", "p_value")}
    assert done.extras[0].value == pytest.approx(2 * f, rel=1e-10)


def test_without_a_covariance_there_is_no_test():
    result, _ = fitted(56.0)
    assert joint_test(result.with_(vcov=()), ("b",)) is None
    assert joint_test(result, ("b", "b2")) is None
