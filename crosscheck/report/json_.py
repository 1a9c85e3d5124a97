"""What does ``report.json`` hold?

The fold of a run as plain data, described by ``schema.json`` beside this module. Numbers have 17 significant digits,
NaN and infinities are strings, a missing value is null; the same run gives the same bytes.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from crosscheck.canon import dumps
from crosscheck.report.model import AuditRow, CellRow, EngineRow, Explanation, Finding, RunReport

SCHEMA = 1


def report_json(report: RunReport) -> str:
    """Write a report as JSON, ending with a newline; a cell or finding takes a line of its own."""
    data = report_data(report)
    lists = {name: data.pop(name) for name in ("cells", "findings")}
    head = dumps(data, indent=1).removesuffix("\n}")
    tail = [f'"{name}": [' + ",".join([f"\n  {dumps(row)}" for row in rows]) + "\n ]" for name, rows in lists.items()]
    return ",\n ".join([head, *tail]) + "\n}\n"


def report_schema() -> str:
    """Return the JSON Schema (draft 2020-12) of ``report.json``."""
    return resources.files("crosscheck.report").joinpath("schema.json").read_text("utf-8")


def report_data(report: RunReport) -> dict[str, Any]:
    """Return the content of ``report.json`` as a JSON-like mapping."""
    return {
        "schema": SCHEMA,
        "study": report.study,
        "engines": [_engine(e) for e in report.engines],
        "summary": {
            "sentence": report.summary,
            "title": report.title,
            **({"simulated": report.simulated} if report.simulated else {}),
            "complete": report.complete,
            "exit_code": report.exit_code,
            "fail_on": report.fail_on,
            "transport": report.transport,
            "started": report.started,
            "finished": report.finished or None,
            "crosscheck": report.crosscheck,
            "counts": dict(report.counts),
            "severities": dict(report.severities),
        },
        "cells": [_cell(c) for c in report.cells],
        "findings": [_finding(f) for f in report.findings],
        **({"audit": _audit(report.audit)} if report.audit else {}),
    }


def _audit(a: AuditRow) -> dict[str, Any]:
    return {
        "sentence": a.sentence,
        "points": [{"verdict": v, "category": c, "statement": s} for v, c, s in a.points],
        "inferences": [
            {"id": i.id, "verdict": i.verdict, "statement": i.statement, "formula": i.formula} for i in a.inferences
        ],
    }


def _engine(e: EngineRow) -> dict[str, Any]:
    return {
        "id": e.id,
        "version": e.version,
        "transport": e.transport,
        "environment": dict(e.environment),
        "language": e.language,
        "package": e.package,
        "recorded_on": e.recorded_on or None,
        "reason": e.reason,
    }


def _cell(c: CellRow) -> dict[str, Any]:
    return {
        "study": c.study,
        "table": c.table,
        "column": c.column,
        "term": c.term,
        "quantity": c.quantity,
        "reference": c.reference,
        "candidate": c.candidate,
        "reference_value": c.reference_value,
        "candidate_value": c.candidate_value,
        "abs_diff": c.abs_diff,
        "rel_diff": c.rel_diff,
        "digits": c.digits,
        "diff_in_se": c.diff_in_se,
        "verdict": c.verdict,
        "severity": c.severity,
        "explanations": [explanation_data(e) for e in c.explanations],
        "printed": c.printed,
        "reason": c.reason,
        "tolerance": c.tolerance,
    }


def explanation_data(e: Explanation) -> dict[str, Any]:
    """Return an explanation as it stands in ``report.json``."""
    return {
        "rule": e.rule,
        "title": e.title,
        "formula": e.formula,
        "replay": e.replay,
        "digits_after": e.digits_after,
        "remedy": dict(e.remedy),
        "references": list(e.references),
    }


def _finding(f: Finding) -> dict[str, Any]:
    return {
        "id": f.id,
        "verdict": f.verdict,
        "severity": f.severity,
        "title": f.title,
        "reason": f.reason,
        "places": [{"table": table, "column": column} for table, column in f.places],
        "terms": list(f.terms),
        "quantities": list(f.quantities),
        "pairs": [{"reference": reference, "candidate": candidate} for reference, candidate in f.pairs],
        "cells": len(f.cells),
        "explanations": [explanation_data(e) for e in f.explanations],
        "example": _cell(f.example),
    }
