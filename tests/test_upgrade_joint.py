"""Joint tests have as many digits as the condition of their covariance leaves."""

from __future__ import annotations

import math

import pytest

from crosscheck.results import CoefRow, EstimationResult, Extra
from crosscheck.upgrade.joint import slack
from crosscheck.upgrade.sentinel.movement import moved


def answer(statistic, correlation, quantity="f_statistic_robust: stat"):
    return EstimationResult(
        engine="a",
        coefs=(CoefRow(term="x", estimate=1.0, std_error=0.5), CoefRow(term="z", estimate=2.0, std_error=0.5)),
        vcov=((0.25, 0.25 * correlation), (0.25 * correlation, 0.25)),
        extras=(Extra(term="model", quantity=quantity, value=statistic),),
    )


@pytest.mark.parametrize(
    ("old", "new", "correlation", "sizes"),
    [
        (10.0, 10.1, 0.5, ["break"]),
        (10.0, 10.1, 1.0, ["drift"]),
        (10.0, 10.001, 1.0 - 1e-10, ["drift"]),
        (10.0, 10.1, 1.0 - 1e-8, ["break"]),
        (3.5e17, -1.7e17, 0.5, ["drift"]),
    ],
)
def test_a_joint_test_moves_by_what_its_covariance_leaves_open(old, new, correlation, sizes):
    assert [m.size for m in moved("a case", answer(old, correlation), answer(new, correlation))] == sizes


def test_other_numbers_have_no_slack():
    singular = answer(10.0, 1.0)
    assert slack("estimate", singular, singular) == 0.0
    assert slack("likelihood_ratio", singular, singular) == 0.0
    assert slack("f_statistic_robust: pval", singular, singular) == math.inf
    assert slack("f_statistic_robust: stat", answer(10.0, 0.0), answer(10.0, 0.0)) < 1e-12
