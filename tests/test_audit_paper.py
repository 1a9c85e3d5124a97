"""The founding paper: what a forensic reader finds by hand, the audit must find with its arithmetic."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from crosscheck.audit import AuditReport, audit
from crosscheck.audit.api import audit_paper
from crosscheck.audit.engine import load
from crosscheck.audit.interval import Interval

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "studies" / "bdpz"


@pytest.fixture(scope="module")
def report() -> AuditReport:
    return audit(FOLDER)


def check(report: AuditReport, id: str):
    return next(c for c in report.checks if c.id == id)


def test_nothing_but_the_placebo_design_is_inconsistent(report):
    assert [c.id for c in report.inconsistent] == ["28:0:design"]
    assert "draws 6 units although 9 are treated" in report.inconsistent[0].statement
    assert report.findings[0].verdict == "inconsistent"


def test_nine_provinces_are_treated(report):
    found = check(report, "9:treated")
    assert found.verdict == "reveals"
    assert "9 units x 7 periods" in found.statement
    assert 63.0 in found.interval
    assert report.paper.cohorts == (((9, 7),),)


def test_standard_errors_are_classical(report):
    named = [c for c in report.checks if c.family == 36]
    assert len(named) == 1
    assert "classical (iid)" in named[0].statement
    ruled_out = check(report, "3:table3:t(G-1)")
    assert "t(27)" in ruled_out.formula


def test_constant_is_a_base_cell_of_a_treated_unit(report):
    found = check(report, "11:table3:2")
    assert found.verdict == "reveals"
    assert "a unit treated from 2016 on, a period before treatment" in found.statement


def test_parameters_and_units(report):
    assert "26 of 28 units" in check(report, "4:table4:1").statement
    assert "26 of 28 units" in check(report, "4:table4:2").statement
    for table, column, k in (("table3", "4", 44), ("table6", "1", 26), ("table6", "2", 22), ("table6", "3", 25)):
        assert f"counts {k} parameters" in check(report, f"4:{table}:{column}").statement


def test_three_provinces_are_in_no_region(report):
    assert "3 units were left out" in check(report, "23:table6").statement
    assert "110 + 66 + 99 = 275" in check(report, "23:table6").formula
    regions = next(c for c in report.checks if c.family == 24 and not c.id.endswith(":treated"))
    assert "Northeastern" in regions.statement
    single = next(c for c in report.checks if c.family == 24 and c.id.endswith(":treated"))
    assert "Central estimate then rests on a single treated unit" in single.statement


def test_neighbours_and_winsorising(report):
    assert "3 or more neighbours" in check(report, "25:table4:1").statement
    changed = [c for c in report.checks if c.family == 26 and c.verdict == "reveals"]
    assert any("regressors were winsorised" in c.statement for c in changed)
    assert any("outcome was winsorised" in c.statement for c in changed)


def test_hidden_digits_of_the_patent_coefficient(report):
    found = check(report, "37:table5:6:Pati")
    assert found.interval.lo > 6.9e-6
    assert found.interval.hi < 7.1e-6
    by_treatment = Interval(0.02395 - 0.01215, 0.02405 - 0.01205) / Interval(1686.9635, 1686.9645)
    assert found.interval.meets(by_treatment)


def test_claims_that_the_numbers_do_not_support(report):
    assert check(report, "30:table5:4").verdict == "reveals"
    assert check(report, "30:table5:4").interval.hi < 1.6449
    assert check(report, "30:table5:2").verdict == "consistent"
    assert check(report, "32:central-weaker").verdict == "reveals"
    assert check(report, "32:nn-slightly").verdict == "reveals"
    assert check(report, "32:kernel-value").verdict == "reveals"
    assert check(report, "40:levels").verdict == "reveals"
    for fine in ("baseline-1pct", "baseline-value", "panel", "er-theta", "abstract-regions-significant", "winsor-1pct"):
        assert check(report, f"32:{fine}").verdict == "consistent", fine


def test_mediation_identities_hold_for_treatment_and_constant(report):
    mine = [c for c in report.checks if c.family == 15]
    assert len(mine) == 6
    assert {c.verdict for c in mine} == {"consistent"}


def test_event_study_counts(report):
    assert check(report, "27:0").verdict == "consistent"
    assert check(report, "27:0:level").interval.lo == pytest.approx(0.0208, abs=5e-4)


def test_all_numbers_can_be_true_at_once(report):
    answers = [c for c in report.checks if c.family == 34]
    assert {c.verdict for c in answers} == {"consistent"}
    assert max(len(c.tokens) for c in answers) > 100


def test_every_token_is_tested_and_every_claim_judged(report):
    assert report.coverage.bare == ()
    assert set(report.coverage.tested) == set(report.paper.tokens)
    judged = {c.id.split(":", 1)[1] for c in report.checks if c.family == 32}
    assert judged == {c.id for c in report.paper.claims.claim}


def test_check_ids_are_unique(report):
    ids = [c.id for c in report.checks]
    assert len(ids) == len(set(ids))


def test_speed():
    paper = load(FOLDER)
    start = time.process_time()
    audit_paper(paper, joint_step=False)
    middle = time.process_time()
    audit_paper(paper)
    assert middle - start < 2.0
    assert time.process_time() - middle < 30.0
