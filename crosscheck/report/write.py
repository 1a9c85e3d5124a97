"""Where do the reports of a run go?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crosscheck.canon import dumps, write_atomic
from crosscheck.report.dropped import dropped_csv
from crosscheck.report.html import html
from crosscheck.report.json_ import report_data, report_json
from crosscheck.report.junit import junit
from crosscheck.report.latex import latex
from crosscheck.report.markdown import markdown
from crosscheck.report.model import RunReport
from crosscheck.report.sarif import sarif


def write_all(report: RunReport, out_dir: Path) -> tuple[Path, ...]:
    """Write ``report.json``, ``.html``, ``.md``, ``.xml``, ``.tex`` and ``.sarif``; return their paths.

    ``dropped.csv`` lists every observation that one side of a comparison left out, where there is any.
    All are rendered before the first is written, and each is replaced whole or not at all.

    Raises
    ------
    OSError
        Where the folder cannot be written.
    """
    rendered = {
        "report.json": report_json(report),
        "report.html": html(report),
        "report.md": markdown(report),
        "report.xml": junit(report),
        "report.tex": latex(report),
        "report.sarif": sarif(report),
    }
    listed = dropped_csv(report)
    if listed:
        rendered["dropped.csv"] = listed
    else:
        (out_dir / "dropped.csv").unlink(missing_ok=True)
    paths = []
    for name, text in rendered.items():
        write_atomic(out_dir / name, text)
        paths.append(out_dir / name)
    return tuple(paths)


def render_stdout(reports: Sequence[RunReport], format_: str) -> str:
    """Return what ``--format`` prints: one JSON object (an array for several studies), or Markdown.

    Raises
    ------
    ValueError
        For any other format.
    """
    if format_ == "json":
        if len(reports) == 1:
            return report_json(reports[0]).rstrip("\n")
        return dumps([report_data(r) for r in reports], indent=1)
    if format_ == "markdown":
        return "\n\n".join(markdown(r).rstrip("\n") for r in reports)
    raise ValueError(f"no such format: {format_!r}")
