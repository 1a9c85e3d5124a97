"""Does what the printed tables reveal by themselves hold in what was estimated again?

Where a study has declared facts (``audit.toml``), the audit infers the kind of standard error, the number of parameters
and of treated units from the printed numbers alone. A run knows all three, and says whether they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.audit import AuditReport, audit
from crosscheck.audit.against import against_estimates
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult

FACTS = "audit.toml"
Estimated = tuple[str, str, Frame, EstimationResult]


def printed_audit(folder: Path) -> AuditReport | None:
    """Audit the printed numbers of a study's folder; None where no facts are declared.

    The joint step is left out: what a run compares does not need it.
    """
    return audit(folder, joint_step=False) if (folder / FACTS).exists() else None


def audit_event(report: AuditReport, estimated: Iterable[Estimated]) -> dict[str, Any]:
    """Return the event of a run file that holds the audit's inferences against re-estimated columns.

    Parameters
    ----------
    report : AuditReport
    estimated : iterable of (table, column, frame, result)
        Every result of the run, in the order of the study; the first good one of a column counts.
    """
    results: dict[tuple[str, str], EstimationResult] = {}
    frames: dict[tuple[str, str], Frame] = {}
    for table, column, frame, result in estimated:
        if result.status == "ok" and (table, column) not in results:
            results[table, column] = result
            frames[table, column] = frame
    checks = against_estimates(report, results, treated_units(report, frames))
    return {
        "event": "audit",
        "sentence": report.sentence(),
        "points": [
            {"verdict": c.verdict, "category": c.category, "statement": c.statement} for c in report.main_points()
        ],
        "inferences": [
            {"id": c.id, "verdict": c.verdict, "statement": c.statement, "formula": c.formula} for c in checks
        ],
    }  # fmt: skip


def treated_units(report: AuditReport, frames: Mapping[tuple[str, str], Frame]) -> int | None:
    """Count the units that are ever treated in the data of a column on the full sample (None: not known)."""
    panel, treatment = report.paper.facts.panel, report.paper.facts.treatment
    if panel is None or treatment is None:
        return None
    for column in report.paper.columns:
        frame = frames.get((column.facts.table, column.facts.id))
        if frame is None or not report.paper.is_full(column.facts.sample):
            continue
        if panel.unit not in frame or treatment.term not in frame or frame.nrows != panel.units * panel.periods:
            continue
        codes, levels = frame[panel.unit].codes()
        ever = np.zeros(len(levels), dtype=bool)
        np.logical_or.at(ever, codes, frame[treatment.term].as_float() > 0.0)
        return int(ever.sum())
    return None
