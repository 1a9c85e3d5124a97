"""The founding paper: what a forensic reader finds by hand, the audit must find with its arithmetic."""

from __future__ import annotations

import csv
import re
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
    assert "Central estimate seems to rest on a single treated unit" in single.statement


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


def prose() -> list[dict[str, str]]:
    with (FOLDER / "prose.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_number_in_the_prose_of_the_results_is_judged_by_a_claim(report):
    claims = {c.id: c for c in report.paper.claims.claim}
    checks = {c.id: c for c in report.checks}
    numbers = prose()
    assert {row["section"] for row in numbers} >= {"5.1", "5.2.1", "5.2.2", "5.2.3", "5.2.4", "5.3.1", "5.3.2", "5.4"}
    for row in numbers:
        claim, number = claims[row["claim"]], row["number"]
        assert row["section"] in claim.where or "Note" in claim.where or "Section 5.1" in claim.where, row
        places = [tuple(t.split(":")[:2]) for t in claim.tokens]
        digits = re.sub(r"[^0-9.]", "", number)
        if row["what"] == "value":
            assert claim.kind == "value", row
            assert claim.quoted == number, row
        elif row["what"] == "level":
            assert number in claim.sentence or claim.level == pytest.approx(float(digits) / 100), row
        elif row["what"] == "place":
            part = 0 if number.startswith("Table") else 1
            assert any(place[part].removeprefix("table") == digits for place in places), row
        elif row["what"] in ("count", "year", "interval", "tails", "legend"):
            assert number in claim.sentence or int(digits) in claim.product, row
        else:
            assert row["what"] in ("zero", "hypothesis"), row
        judged = checks[f"32:{claim.id}"]
        assert judged.verdict != "cannot_tell" or claim.kind in ("context", "judged"), row
    quoted = {c.quoted for c in claims.values() if c.quoted}
    assert quoted == {row["number"] for row in numbers if row["what"] == "value"}


def test_claims_that_other_checks_decide_follow_them(report):
    checks = {c.id: c for c in report.checks}
    mine = [c for c in report.paper.claims.claim if c.kind == "judged"]
    assert len(mine) > 15
    for claim in mine:
        said = checks[f"32:{claim.id}"]
        assert set(claim.by) <= set(checks), claim.id
        assert not said.is_finding
        assert any(said.formula == checks[name].formula for name in claim.by)


def test_only_what_no_printed_number_decides_is_left_open(report):
    left = [c.id for c in report.checks if c.family == 32 and c.verdict == "cannot_tell"]
    assert sorted(left) == ["32:placebo-normal", "32:regions-columns"]


def test_what_a_forensic_reader_finds_by_hand(report):
    arithmetic = {
        "9:timing": "1 x 7 + 8 x 6 = 55: 0.1786",
        "25:table4:1:rows": "26 x 11 = 286 against 199",
        "25:table4:2:rows": "26 x 11 = 286 against 253",
        "25:table4:1:terms": "4 of 5 controls",
        "25:table4:1:se": "sqrt(308/199) = 1.244",
        "25:table4:2:se": "sqrt(308/253) = 1.103",
        "27:0:reference": "omitted 2012, the last period before treatment is 2015",
        "27:0:power": "against 0.0240: [0.863, 0.867]",
        "39:table4:3:called": "N 308 against 308",
        "30:untested": "ln(Labor) 34% + Er 5% + Pati 49%",
        "19:table3:3<table3:4:signs": "Fin -0.0023 -> -0.0132**",
        "33:index0:sum": "primary industry +, secondary industry +, tertiary industry +",
        "33:index0:direction": "24 of 26 directions",
        "33:index0:amounts": "14 amounts, 12 ratios",
        "33:index0:overlap": "R2 rises from 0.1054 to 0.8949",
        "33:Infra:per": "100/1.5186 = [65.8, 65.9]",
        "32:abstract-central": "0.0023 +- 2.015 x 0.0046",
        "32:baseline-regardless": "controls, time, unit: 4 of 8",
        "32:nn-slightly": "(0.0173 - 0.0240)/0.0240 = [-0.284, -0.274]",
    }  # fmt: skip
    for id, formula in arithmetic.items():
        found = check(report, id)
        assert found.is_finding, id
        assert formula in found.formula, (id, found.formula)


def test_the_first_screen_names_what_matters(report):
    points = report.main_points()
    assert points[0].id == "28:0:design"
    assert {c.category for c in points} == {"design", "claim", "undisclosed"}
    assert "36" in {c.id.split(":")[0] for c in points}
    page = report.html()
    assert page.index("draws 6 units") < page.index('id="findings"')


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
