"""What the printed tables reveal, held against a run: the event, its place in every report, and bad facts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crosscheck.errors import StudyError
from crosscheck.frame import Column, Frame
from crosscheck.inferences import audit_event, printed_audit, treated_units
from crosscheck.report.data import fold
from crosscheck.report.html import html
from crosscheck.report.json_ import report_data, report_schema
from crosscheck.report.markdown import markdown
from crosscheck.results import Conventions, EstimationResult, FitStats
from tests.report_runs import events

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "studies" / "bdpz"


@pytest.fixture(scope="module")
def report():
    found = printed_audit(FOLDER)
    assert found is not None
    return found


def frame(treated: int) -> Frame:
    unit = np.repeat(np.arange(28), 11)
    year = np.tile(np.arange(2012, 2023), 28)
    d = ((unit < treated) & (year >= 2016)).astype(np.int64)
    named = (("province", unit), ("year", year), ("BDPZs", d))
    columns = tuple(Column(n, "integer", v.astype(np.int32)) for n, v in named)
    return Frame(columns, unit.size)


def result(vcov: str, k: float) -> EstimationResult:
    return EstimationResult(
        engine="oracle",
        status="ok",
        stats=FitStats(nobs=308, df_resid=308 - k),
        conventions=Conventions(vcov=vcov, k=k),
    )


def test_a_study_without_declared_facts_has_no_audit(tmp_path):
    assert printed_audit(tmp_path) is None


def test_bad_facts_are_refused_before_anything_runs(tmp_path):
    (tmp_path / "audit.toml").write_text("schema = 1\nunits = 28\n")
    with pytest.raises(StudyError, match="Extra inputs"):
        printed_audit(tmp_path)


def test_treated_units_are_counted_in_the_data(report):
    assert treated_units(report, {("table3", "4"): frame(9)}) == 9
    assert treated_units(report, {("table6", "1"): frame(9)}) is None


@pytest.mark.parametrize(("vcov", "k", "treated", "held"), [("iid", 44, 9, 3), ("CRV1", 43, 10, 0)])
def test_the_event_says_what_holds(report, vcov, k, treated, held):
    event = audit_event(report, [("table3", "4", frame(treated), result(vcov, k))])
    assert len(event["inferences"]) == 3
    assert sum(i["verdict"] == "consistent" for i in event["inferences"]) == held
    assert event["points"][0]["verdict"] == "inconsistent"
    assert json.loads(json.dumps(event)) == event


def test_every_report_shows_what_fails(report):
    jsonschema = pytest.importorskip("jsonschema")
    event = audit_event(report, [("table3", "4", frame(10), result("iid", 44))])
    *body, footer = events()
    folded = fold([*body, event, footer])
    assert folded.audit is not None
    assert folded.audit.refuted == 1
    assert "2 of 3 hold" in html(folded)
    assert "**fails**: The mean of the treatment says" in markdown(folded)
    data = report_data(folded)
    jsonschema.validate(data, json.loads(report_schema()))
    assert len(data["audit"]["inferences"]) == 3
    assert "audit" not in report_data(fold(events()))
