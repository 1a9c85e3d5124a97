"""The SARIF log: its essential shape, where a finding points to, and what is not said."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from crosscheck.report import fold, sarif
from tests import report_runs

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
# What section 3 of SARIF 2.1.0 requires of the objects used here.
SHAPE = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {"shortDescription": TEXT},
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "invocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["executionSuccessful"],
                            "properties": {
                                "exitCode": {"type": "integer"},
                                "startTimeUtc": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                            },
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "properties": {
                                "message": TEXT,
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                                "locations": {
                                    "type": "array",
                                    "uniqueItems": True,
                                    "items": {
                                        "type": "object",
                                        "properties": {
                                            "physicalLocation": {
                                                "type": "object",
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "type": "object",
                                                        "required": ["uri"],
                                                        "properties": {"uri": {"pattern": r"^[a-z.]+$"}},
                                                        "additionalProperties": False,
                                                        "patternProperties": {"uriBaseId": {"type": "string"}},
                                                    },
                                                    "region": {
                                                        "properties": {"startLine": {"type": "integer", "minimum": 1}}
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture(scope="module")
def report():
    return fold(report_runs.events())


def read(report):
    log = json.loads(sarif(report))
    jsonschema.validate(log, SHAPE)
    return log["runs"][0]


def test_each_finding_is_one_result_under_its_rule(report):
    run = read(report)
    found = [f for f in report.findings if f.verdict != "unsupported"]
    assert [r["properties"]["finding"] for r in run["results"]] == [f.id for f in found]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result, finding in zip(run["results"], found, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == finding.verdict
        assert result["message"]["text"].startswith(finding.title.rstrip("."))


def test_levels_follow_the_exit_code(report):
    assert report.exit_code == 1
    levels = [r["level"] for r in read(report)["results"]]
    assert "error" in levels
    assert "error" not in [r["level"] for r in read(replace(report, fail_on="none"))["results"]]


def test_a_printed_number_points_to_its_line(report):
    run = read(report)
    printed = [
        (r, p["physicalLocation"])
        for r in run["results"]
        for p in r["locations"]
        if p["physicalLocation"]["artifactLocation"]["uri"] == "published.csv"
    ]
    assert printed
    lines = {p.line for s in report.sources for p in s.printed}
    assert {place["region"]["startLine"] for _, place in printed} <= lines
    assert all(
        p["physicalLocation"]["artifactLocation"]["uriBaseId"] == "STUDY"
        for r in run["results"]
        for p in r["locations"]
    )


def test_fingerprints_tell_findings_apart_and_outlive_digits(report):
    marks = [r["partialFingerprints"]["crosscheck/v1"] for r in read(report)["results"]]
    assert len(set(marks)) == len(marks)
    again = [
        r["partialFingerprints"]["crosscheck/v1"]
        for r in read(replace(report, started="2030-01-01T00:00:00Z"))["results"]
    ]
    assert again == marks


def test_nothing_found_is_an_empty_log_and_an_incomplete_run_says_so():
    run = read(fold(report_runs.agreeing_events()))
    assert [r for r in run["results"] if r["level"] != "note"] == []
    cut = read(fold(report_runs.events()[:-1], allow_incomplete=True))
    assert cut["invocations"][0]["executionSuccessful"] is False
    assert "did not finish" in cut["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_hostile_text_stays_text():
    assert "\x1b" not in sarif(fold(report_runs.events(hostile=True)))
