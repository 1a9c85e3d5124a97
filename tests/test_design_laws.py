"""Are the designs held against their definitions, and is a fault in one of them told without any other engine?"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from crosscheck.bridge.py_worker import run
from crosscheck.campaign.case import Case
from crosscheck.campaign.command import settings_of
from crosscheck.campaign.design_arithmetic import line, quantile
from crosscheck.campaign.design_laws import LAWS
from crosscheck.campaign.plan import panel_of
from crosscheck.campaign.requests import draw_requests
from tests.mutants import quiet
from tests.mutants_blind import BLIND

PANELS = 150
FOUND = (
    "35 positive proportions counted",
    "36 less is not better",
    "37 own estimate counted",
    "39 caliper absolute",
    "42 upper tail alone",
    "43 Sobel with a minus",
    "46 effects common to groups",
    "47 null not imposed",
    "50 divides by N",
)
"""Of designs, without a second engine."""


@pytest.fixture(scope="module")
def questions():
    settings = settings_of("ci", ("designs",), ("coherence",), 0)
    found = []
    for number in range(PANELS):
        panel = panel_of(settings, number)
        for request in draw_requests(panel, number, 2):
            for law in LAWS:
                case = Case(seed=number, frame=panel.frame, requests=(request,), engines=("designs",), panel=panel)
                if not law.applies(case):
                    found.append((law, case))
    return found


def test_the_designs_obey_their_definitions(questions):
    compared = dict.fromkeys((law.id for law in LAWS), 0)
    with quiet():
        for law, case in questions:
            checked = law.check(case, lambda e, r, f: run(e, r, f)[0])
            assert not checked.discrepancies, (case.seed, checked.discrepancies[0].says)
            compared[law.id] += checked.compared
    assert all(compared.values()), compared


@pytest.mark.parametrize("name", FOUND)
def test_a_fault_of_a_design_is_found_without_another_engine(name, questions):
    fault = BLIND[name]()
    with quiet():
        for law, case in questions:
            try:
                found = law.check(case, lambda e, r, f: fault(r, f)).discrepancies
            except Exception:  # the design refuses the request
                continue
            if found:
                assert not law.check(case, lambda e, r, f: run(e, r, f)[0]).discrepancies
                return
    pytest.fail(f"not found on {PANELS} panels")


def test_quantiles_are_those_of_the_definitions():
    x = [3.0, 1.0, 4.0, 1.5, 9.0]
    assert quantile(x, 0.4, "r1") == 1.5
    assert quantile(x, 0.4, "r2") == 2.25
    assert quantile(x, 0.5, "r7") == 3.0
    assert quantile(x, 0.25, "nearest") is None
    for k in range(1, 10):
        for p in (0.0, 0.05, 0.1, 0.35, 0.5, 0.8, 1.0):
            method = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
                      "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased")[k - 1]  # fmt: skip
            if k != 3 and (k > 2 or Fraction(repr(p)) * 5 % 1):
                assert quantile(x, p, f"r{k}") == pytest.approx(float(np.quantile(x, p, method=method)))


def test_least_squares_of_the_laws_is_the_textbooks():
    rng = np.random.default_rng(1)
    x, g = rng.normal(size=(20, 2)), np.repeat(np.arange(4), 5)
    dummies = np.eye(4)[g]
    y = x @ [1.0, -2.0] + g + rng.normal(size=20)
    w = rng.uniform(1, 3, 20)
    root = np.sqrt(w)[:, None]
    full = np.linalg.lstsq(root * np.column_stack([x, dummies]), root[:, 0] * y, rcond=None)[0]
    made = line(y, x, dummies, w)
    assert not isinstance(made, str)
    assert made.coef == pytest.approx(full[:2])
    assert isinstance(line(y, np.column_stack([x, x[:, 0]]), dummies), str)
    assert math.isfinite(made.unit(0))
