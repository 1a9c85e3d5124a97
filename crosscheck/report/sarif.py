"""What does a code-scanning page show? One result for each finding, in SARIF 2.1.0.

A finding about a printed number points to its line in ``published.csv``, any other to ``study.toml``; both are relative
to the study's folder. Its fingerprint does not change while the same sources differ in the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosscheck.canon import digest, dumps
from crosscheck.report.junit import counts_against
from crosscheck.report.model import PRINTED, Finding, RunReport
from crosscheck.report.words import MEANINGS, SEVERITY_MEANINGS, visible
from crosscheck.verdict import VERDICTS

VERSION = "2.1.0"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
BASE = "STUDY"
PLACES = 20
FILES = {"study": "study.toml", PRINTED: "published.csv"}


def sarif(report: RunReport) -> str:
    """Write a run as a SARIF log with one run."""
    lines = {(s.table, s.column, p.term, p.quantity): p.line for s in report.sources for p in s.printed}
    found = [f for f in report.findings if f.verdict != "unsupported"]
    used = [v for v in VERDICTS if any(f.verdict == v for f in found)]
    notice = {"level": "error", "message": {"text": "the run has no footer: it did not finish"}}
    run = {
        "tool": {
            "driver": {
                "name": "crosscheck",
                "version": report.crosscheck,
                "rules": [{"id": v, "shortDescription": {"text": MEANINGS[v]}} for v in used],
            }
        },
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {BASE: {"description": {"text": f"the folder of study {report.study}"}}},
        "invocations": [
            {
                "executionSuccessful": report.complete,
                "exitCode": report.exit_code,
                "commandLine": report.command,
                "startTimeUtc": report.started,
                **({"endTimeUtc": report.finished} if report.finished else {}),
                **({} if report.complete else {"toolExecutionNotifications": [notice]}),
            }
        ],
        "results": [_result(f, report, lines, used.index(f.verdict)) for f in found],
    }
    return visible(dumps({"$schema": SCHEMA, "version": VERSION, "runs": [run]}, indent=1)) + "\n"


def _result(
    finding: Finding, report: RunReport, lines: Mapping[tuple[str, str, str, str], int], rule: int
) -> dict[str, Any]:
    causes = [e.title for e in finding.explanations[:1] if e.title not in finding.title]
    said = [finding.title, *(f"Cause: {title}" for title in causes)]
    if finding.severity != "none":
        said.append(f"Severity {finding.severity}: {SEVERITY_MEANINGS[finding.severity]}")
    identity = [report.study, finding.verdict, finding.places, finding.terms, finding.quantities, finding.pairs]
    return {
        "ruleId": finding.verdict,
        "ruleIndex": rule,
        "level": _level(finding, report),
        "message": {"text": ". ".join(text.rstrip(".") for text in said) + "."},
        "locations": _locations(finding, report, lines),
        "partialFingerprints": {"crosscheck/v1": digest(identity)},
        "properties": {"severity": finding.severity, "cells": len(finding.cells), "finding": finding.id},
    }


def _level(finding: Finding, report: RunReport) -> str:
    """Return ``error`` for what the exit code counts, ``note`` for what else has a cause, ``warning`` for the rest."""
    if any(counts_against(c, report.fail_on) for c in finding.cells):
        return "error"
    return "note" if finding.explanations or finding.verdict == "known" else "warning"


def _locations(
    finding: Finding, report: RunReport, lines: Mapping[tuple[str, str, str, str], int]
) -> list[dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for c in finding.cells:
        name = "/".join((report.study, c.table, c.column))
        line = lines.get((c.table, c.column, c.term, c.quantity)) if c.reference == PRINTED else None
        file = FILES[PRINTED] if line else FILES["study"]
        place: dict[str, Any] = {"artifactLocation": {"uri": file, "uriBaseId": BASE}}
        if line:
            place["region"] = {"startLine": line}
            name = "/".join(filter(None, (name, c.term, c.quantity)))
        out.setdefault(
            f"{name} {line}",
            {"physicalLocation": place, "logicalLocations": [{"fullyQualifiedName": name, "kind": "element"}]},
        )
    return list(out.values())[:PLACES]
