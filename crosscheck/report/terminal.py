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

STYLES = {"agree": "green", "explained": "yellow", "different": "bold red", "missing": "magenta", "silent": "dim"}
SHOWN_FINDINGS = 3
Shown = tuple[str, str]
Grid = tuple[list[str], list[list[Shown]]]


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
    if report.simulated:
        console.print(Text(f"SIMULATED DATA: {visible(report.simulated)}", "yellow"))
    matrix = table_matrix(report)
    tables = tuple(t for t, _ in matrix.places)
    drawn, key = _tables(matrix.blocks, tables, console.width)
    for table in drawn:
        console.print(table)
    if key:
        console.print(Text(key, "dim"))
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
    if report.audit is not None and report.audit.inferences:
        held = len(report.audit.inferences) - report.audit.refuted
        total = len(report.audit.inferences)
        words = f"printed numbers: {held} of {total} things inferred from the print alone hold in the estimates"
        console.print(Text(words, "yellow" if held < total else ""))
    console.print(Text(f"exit {report.exit_code}: {EXIT_MEANINGS[report.exit_code]}"))
    if folder is not None:
        console.print(Text(f"report: {folder / 'report.html'}", "dim"), soft_wrap=True)
    console.print()


def _tables(blocks: Sequence[Block], tables: Sequence[str], width: int) -> tuple[list[Table], str]:
    """Lay all blocks out alike in a width, and return a key of the tables where they are numbered.

    Engines in rows; tables in rows where that is too wide; engines in rows and letters alone where both are.
    """
    wide = [_by_engine(b, tables, counts=True) for b in blocks]
    tall = [_by_table(b, tables) for b in blocks]
    for grids, dense in ((wide, False), (wide, True), (tall, False)):
        if all(_width(grid, dense=dense) <= width for grid in grids):
            return [_draw(b.title, *grid, dense=dense) for b, grid in zip(blocks, grids, strict=True)], ""
    numbers = [str(n) for n in range(1, len(tables) + 1)]
    key = "tables: " + ", ".join(f"{n} {visible(t)}" for n, t in zip(numbers, tables, strict=True))
    return [_draw(b.title, *_by_engine(b, numbers, counts=False), dense=True) for b in blocks], key


def _by_engine(block: Block, tables: Sequence[str], *, counts: bool) -> Grid:
    heads = ["engine", "version", "reached", *(visible(t) for t in tables)]
    rows: list[list[Shown]] = []
    for row in block.rows:
        e = row.engine
        how = "" if e.transport == "live" else "cyan"
        named: list[Shown] = [(visible(e.id), ""), (visible(e.version), ""), (visible(reached(e)), how)]
        rows.append([*named, *(_entry(x, counts=counts) for x in row.entries)])
    return heads, rows


def _by_table(block: Block, tables: Sequence[str]) -> Grid:
    heads = ["table", *(visible(f"{r.engine.id}\n{r.engine.version}\n{reached(r.engine)}") for r in block.rows)]
    rows: list[list[Shown]] = []
    for number, table in enumerate(tables):
        entries = [_entry(r.entries[number], counts=True) for r in block.rows]
        if any(text for text, _ in entries):
            rows.append([(visible(table), ""), *entries])
    return heads, rows


def _width(grid: Grid, *, dense: bool) -> int:
    heads, rows = grid
    columns = [[*head.split("\n"), *(row[n][0] for row in rows)] for n, head in enumerate(heads)]
    between = 1 if dense else 3
    return sum(max(len(text) for text in column) + between for column in columns) + 2 - between


def _draw(title: str, heads: Sequence[str], rows: Sequence[Sequence[Shown]], *, dense: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="", pad_edge=False)
    table.padding = (0, 0) if dense else (0, 1)
    words = 3 if heads[0] == "engine" else 1
    for n, head in enumerate(heads):
        table.add_column(Text(head), justify="left" if n < words else "right")
    for row in rows:
        table.add_row(*(Text(text, style) for text, style in row))
    return table


def _entry(found: Entry | None, *, counts: bool) -> Shown:
    if found is None:
        return "", ""
    style = STYLES[found.group]
    if not counts or found.verdict == "unsupported":
        return found.letter, style
    if not found.compared:
        return f"{found.verdict.partition('_')[0]} {found.letter}", style
    return f"{found.agreeing}/{found.compared} {found.letter}", style


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
        style = STYLES[group_of(verdicts[-1])] if total else "dim"
        parts += [" · " if parts else "", (f"{total:,} {label}", style), f" ({inner})" if inner else ""]
    return Text.assemble(*parts)
