"""Reports: every one is a fold of ``run.ndjson`` and never estimates.

:func:`fold` gathers the events; :func:`report_json`, :func:`html`, :func:`markdown`, :func:`junit`, :func:`latex`,
:func:`sarif` render; :func:`write_all` writes all of them; :func:`print_summary` and :func:`render_stdout` serve the
command line.
"""

from crosscheck.report.data import fold
from crosscheck.report.html import html
from crosscheck.report.json_ import report_data, report_json, report_schema
from crosscheck.report.junit import junit
from crosscheck.report.latex import latex
from crosscheck.report.markdown import markdown
from crosscheck.report.model import RunReport
from crosscheck.report.sarif import sarif
from crosscheck.report.terminal import print_summary, terminal
from crosscheck.report.write import render_stdout, write_all

__all__ = [
    "RunReport",
    "fold",
    "html",
    "junit",
    "latex",
    "markdown",
    "print_summary",
    "render_stdout",
    "report_data",
    "report_json",
    "report_schema",
    "sarif",
    "terminal",
    "write_all",
]
