"""What is a finding, and does it still hold?

A finding is a folder: ``panel.csv`` (a few rows), ``study.toml`` (so that ``crosscheck run`` shows it or its context),
``repro.py`` and ``repro.R`` (each runs alone), ``finding.toml`` (what differs, from what, by how much, who is right and
why) and ``issue.md`` (a text for the maintainers). :func:`replay` runs the scripts and compares what they print with
what is recorded.
"""

from __future__ import annotations

from crosscheck.findings.model import Arbiter, Cause, Finding, FindingIdentity, Scripts, StudyUse, Upstream, Value
from crosscheck.findings.note import finding_note
from crosscheck.findings.panel_text import panel_csv
from crosscheck.findings.replay import Replay, printed_numbers, replay
from crosscheck.findings.store import find_findings, finding_text, read_finding, write_finding
from crosscheck.findings.table import findings_table

__all__ = [
    "Arbiter",
    "Cause",
    "Finding",
    "FindingIdentity",
    "Replay",
    "Scripts",
    "StudyUse",
    "Upstream",
    "Value",
    "find_findings",
    "finding_note",
    "finding_text",
    "findings_table",
    "panel_csv",
    "printed_numbers",
    "read_finding",
    "replay",
    "write_finding",
]
