"""Cohorts too small for their standard errors: engines warn, and a rule replays why an effect is far from the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosscheck import engines
from crosscheck.compare_known import compare_truth
from crosscheck.engines._cohorts import small_cohorts
from crosscheck.explain.cohorts import explain_single_cohort
from crosscheck.frame import Column, Frame
from crosscheck.judging import Context
from crosscheck.simulate.studies import sibling
from crosscheck.spec import FitRequest
from crosscheck.truth import KnownTruth

CONTEXT = Context(study="s", table="t", column="c", legend={}, decimals={}, tolerances={})


def asked(aggregation="none", **options):
    return FitRequest(
        estimator="att_gt", unit="id", time="year",
        options={"y": "y", "cohort": "g", "aggregation": aggregation, **options},
    )  # fmt: skip


def frame_of(seed=1, name="bdpz_null"):
    made = sibling(name, seed=seed)
    unit = np.repeat(np.arange(28), 11).astype(float)
    columns = {"id": unit, "year": made.period, "g": made.cohort, "y": made.outcome}
    return Frame(
        tuple(Column(n, "float", np.asarray(v, dtype=np.float64)) for n, v in columns.items()), unit.size
    )  # fmt: skip


def truth_of(term, value=0.0):
    return KnownTruth(table="t", column="c", term=term, quantity="estimate", value=value, line=1)


def test_only_treated_cohorts_below_five_units_are_named():
    cohort = np.repeat([2016.0, 2017, 2017, 2018, 2018, 2018, 2018, 2018, 0, np.nan, np.inf], 3)
    said = [c.text for c in small_cohorts(cohort, np.repeat(np.arange(11), 3))]
    assert len(said) == 2
    assert said[0].startswith("cohort 2016 has 1 unit,")
    assert said[1].startswith("cohort 2017 has 2 units,")


@pytest.mark.parametrize("engine", ["csdid", "oracle"])
def test_engines_warn_of_them(engine):
    result = engines.get(engine).fit(asked(), frame_of())
    assert any("cohort 2016 has 1 unit" in c.text for c in result.conditions)
    assert not any("cohort 2017" in c.text for c in result.conditions)


def far_cells(seed):
    frame, request = frame_of(seed), asked()
    result = engines.get("oracle").fit(request, frame)
    treated = [r.term for r in result.coefs if r.term.startswith("ATT(2016,20") and float(r.term[9:13]) >= 2016]
    cells = compare_truth([truth_of(t) for t in treated], result, CONTEXT)
    return [c for c in cells if c.verdict == "unexplained"], result, frame, request


def test_a_single_unit_is_the_replayed_cause_of_an_effect_far_from_the_truth():
    cells, result, frame, request = far_cells(3)
    assert cells
    for cell in cells:
        (found,) = explain_single_cohort(cell, result, frame, request)
        assert found.rule == "cohort.single"
        assert found.verdict == "stochastic"
        row = result.coef(cell.term)
        assert found.replay == pytest.approx(row.std_error * np.sqrt(20))
        assert abs(row.estimate) <= 4 * found.replay


def test_the_factor_is_that_of_the_sampling_distribution():
    """Over 300 panels the analytic standard error is too small by about sqrt(20), and the replayed one is right."""
    estimates, errors = [], []
    for seed in range(300):
        row = engines.get("oracle").fit(asked(), frame_of(seed)).coef("ATT(2016,2018)")
        estimates.append(row.estimate)
        errors.append(row.std_error)
    ratio = np.std(estimates, ddof=1) / np.sqrt(np.mean(np.square(errors)))
    assert ratio == pytest.approx(np.sqrt(20), rel=0.12)


def test_what_is_not_of_a_single_unit_is_not_explained():
    cells, result, frame, request = far_cells(3)
    cell = cells[0]
    other = replace(cell, term="ATT(2017,2018)")
    assert explain_single_cohort(other, result, frame, request) == ()
    far = replace(cell, reference_value=cell.reference_value + 100.0)
    assert explain_single_cohort(far, result, frame, request) == ()
    assert explain_single_cohort(cell, result, frame, asked(control_group="notyettreated")) == ()
    assert explain_single_cohort(replace(cell, term="overall"), result, frame, request) == ()


def test_an_average_of_that_cohort_alone_is_explained_too():
    frame, request = frame_of(3), asked("calendar")
    result = engines.get("oracle").fit(request, frame)
    (cell,) = compare_truth([truth_of("year=2016")], result, CONTEXT)
    assert cell.verdict == "unexplained"
    assert explain_single_cohort(cell, result, frame, request)
    shared = replace(cell, term="year=2018")
    assert explain_single_cohort(shared, result, frame, request) == ()
