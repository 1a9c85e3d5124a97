"""What do printed tables prove about themselves? Audit a paper from its numbers and a few declared facts, no data.

``audit(folder)`` or ``audit(frame, facts)`` returns an :class:`AuditReport` with ``findings``, ``to_json()``,
``html()`` and ``markdown()``.
"""

from __future__ import annotations

from crosscheck.audit.against import against_estimates
from crosscheck.audit.api import AuditReport, audit, audit_paper
from crosscheck.audit.checks import Check
from crosscheck.audit.cli import run_audit, scaffold_audit
from crosscheck.audit.facts import Claims, Facts
from crosscheck.audit.interval import Interval

__all__ = [
    "AuditReport",
    "Check",
    "Claims",
    "Facts",
    "Interval",
    "against_estimates",
    "audit",
    "audit_paper",
    "run_audit",
    "scaffold_audit",
]
