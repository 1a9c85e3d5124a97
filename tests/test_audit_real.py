"""Printed tables of real studies: no false alarm, and the one cell that its own arithmetic contradicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from crosscheck.audit import AuditReport, audit

STUDIES = Path(__file__).resolve().parent.parent / "fixtures" / "studies"
LEGAL, ECON = ["drinkage18", "drinkage19", "drinkage20", "punish"], ["unemp", "log(income)"]


def printed(study: str, facts: dict[str, Any]) -> AuditReport:
    frame = pd.read_csv(STUDIES / study / "published.csv", dtype=str, keep_default_na=False)
    return audit(frame, {"schema": 1, "paper": study, **facts})


def column(table: str, id: str, outcome: str, terms: list[str], effects: list[str], se: str, sample: str = "full"):
    return {
        "table": table, "id": id, "outcome": outcome, "terms": terms, "fixed_effects": effects, "se": se,
        "sample": sample,
    }  # fmt: skip


def test_grunfeld_has_no_false_alarm():
    tables = (
        ("table2_1", "ols", []), ("table2_1", "within", ["unit"]), ("table3_1", "ols", []),
        ("table3_1", "within", ["unit", "time"]), ("stata", "xtreg_fe", ["unit"]),
    )  # fmt: skip
    report = printed("grunfeld", {
        "panel": {"units": 10, "first": 1935, "last": 1954}, "sample": [{"id": "full", "nobs": 200}],
        "column": [column(t, i, "inv", ["value", "capital"], e, "iid") for t, i, e in tables],
    })  # fmt: skip
    assert not report.inconsistent
    assert not report.findings
    assert sum(c.verdict == "consistent" for c in report.checks) >= 8


def test_traffic_fatalities_lack_one_star():
    two = ["unit", "time"]
    specs = (
        ("1", ["beertax"], [], "hetero", "full"), ("2", ["beertax"], ["unit"], "cluster", "full"),
        ("3", ["beertax"], two, "cluster", "full"),
        ("4", ["beertax", *LEGAL, "milesk", *ECON], two, "cluster", "full"),
        ("5", ["beertax", *LEGAL, "milesk"], two, "cluster", "full"),
        ("6", ["beertax", "drinkage", "punish", "milesk", *ECON], two, "cluster", "full"),
        ("7", ["beertax", *LEGAL, "milesk", *ECON], two, "cluster", "ends"),
    )  # fmt: skip
    report = printed("fatalities", {
        "constant_term": "(Intercept)",
        "legend": {"levels": [0.10, 0.05, 0.01], "marks": ["+", "*", "**"]},
        "panel": {"units": 48, "first": 1982, "last": 1988, "unit": "state", "time": "year"},
        "sample": [
            {"id": "full", "nobs": 336},
            {"id": "ends", "within": "full", "nobs": 96, "units": 48, "periods": 2, "balanced": True},
        ],
        "column": [column("table10_1", i, "frate", t, e, se, sample) for i, t, e, se, sample in specs],
    })  # fmt: skip
    wrong = {c.family for c in report.inconsistent}
    assert wrong == {2, 34}
    for check in report.inconsistent:
        assert all(token.startswith("table10_1:7:milesk") for token in check.tokens)
    joint = next(c for c in report.inconsistent if c.family == 34)
    assert "0.049 -> 0.073 or more" in joint.statement
    assert {c.id for c in report.findings} == {c.id for c in report.inconsistent}
