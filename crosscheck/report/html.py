"""What does a referee open? One file that says on its first screen whether the numbers hold, and where not."""

from __future__ import annotations

from html import escape

from crosscheck.report.markdown import markdown
from crosscheck.report.model import RunReport


def html(report: RunReport) -> str:
    """Write a run as one HTML file that opens offline, without scripts."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(report.title)}</title>'
    return f"{head}<pre>{escape(markdown(report))}</pre></html>"
