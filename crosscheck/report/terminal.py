"""What does the terminal say at the end of a run?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crosscheck.report.matrix import Block, Entry, reached, table_matrix
from crosscheck.report.model import RunReport
from crosscheck.report.words import EXIT_MEANINGS, group_of, visible
from crosscheck.verdict import AGREE, DIFFERENT, EXPLAINED, NOT_COMPARED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

STYLES = {"agree": "green", "explained": "yellow", "different": "bold red", "missing": "magenta"}
SHOWN_FINDINGS = 3


def print_summary(reports: Sequence[RunReport], folders: Sequence[Path]) -> None:
    """Print the verdict table of each run to stdout, with where its reports are."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    for report, folder in zip(reports, folders, strict=True):
        terminal(report, console, folder=folder)


def terminal(report: RunReport, console: Console, *, folder: Path | None = None) -> None:
    """Print one run: engines by tables with letters and counts, the sentence, the gravest findings, the exit code."""
    from rich.text import Text

    console.print(Text.assemble((visible(report.study), "bold"), "  ", (visible(report.title), "dim")))
    if not report.complete:
        console.print(Text("INCOMPLETE: this run did not finish; what follows is what it had written", "bold red"))
    matrix = table_matrix(report)
    tables = tuple(t for t, _ in matrix.places)
    for block in matrix.blocks:
        console.print(_table(block, tables))
    console.print(_counts(report))
    console.print(Text(visible(report.summary), "bold" if report.exit_code else ""))
    for finding in report.findings[:SHOWN_FINDINGS]:
        if finding.severity == "none" and finding.verdict == "unsupported":
            continue
        style = STYLES[group_of(finding.verdict)]
        console.print(
            Text.assemble(
                "  ", (f"{finding.id} {finding.verdict} ({finding.severity})", style), f"  {visible(finding.title)}"
            )
        )
    if len(report.findings) > SHOWN_FINDINGS:
        console.print(Text(f"  and {len(report.findings) - SHOWN_FINDINGS} more in the report", "dim"))
    console.print(Text(f"exit {report.exit_code}: {EXIT_MEANINGS[report.exit_code]}"))
    if folder is not None:
        console.print(Text(f"report: {folder / 'report.html'}", "dim"), soft_wrap=True)
    console.print()


def _table(block: Block, tables: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=block.title, title_justify="left", title_style="", pad_edge=False)
    table.add_column("engine")
    table.add_column("version")
    table.add_column("reached")
    for name in tables:
        table.add_column(Text(visible(name)), justify="right")
    for row in block.rows:
        engine = row.engine
        table.add_row(
            Text(visible(engine.id)),
            Text(visible(engine.version)),
            Text(visible(reached(engine)), "" if engine.transport == "live" else "cyan"),
            *(_entry(e) for e in row.entries),
        )
    return table


def _entry(found: Entry | None) -> Text:
    from rich.text import Text

    if found is None:
        return Text("")
    if not found.compared:
        return Text(f"{found.verdict.replace('_', ' ')} {found.letter}", STYLES[found.group])
    return Text(f"{found.agreeing}/{found.compared} {found.letter}", STYLES[found.group])


def _counts(report: RunReport) -> Text:
    from rich.text import Text

    parts: list[str | tuple[str, str]] = []
    for label, verdicts in (
        ("agree", AGREE),
        ("explained", EXPLAINED),
        ("different", DIFFERENT),
        ("not compared", NOT_COMPARED),
    ):
        inner = ", ".join(f"{v.replace('_', ' ')} {n}" for v, n in report.counts if v in verdicts)
        total = report.count(*verdicts)
        style = STYLES[group_of(verdicts[0])] if total else "dim"
        parts += [" · " if parts else "", (f"{total:,} {label}", style), f" ({inner})" if inner else ""]
    return Text.assemble(*parts)
