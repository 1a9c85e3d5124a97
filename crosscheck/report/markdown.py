"""What does a pull request or a lab notebook show? A run as GitHub Markdown, escaped throughout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from crosscheck.report.digits import digits_text
from crosscheck.report.layout import Layout
from crosscheck.report.matrix import column_matrix, legend, reached
from crosscheck.report.model import PRINTED, DroppedRow, Explanation, Finding, RunReport
from crosscheck.report.view import Number, TableView
from crosscheck.report.words import (
    EXIT_MEANINGS,
    column_label,
    listing,
    places_name,
    plain_formula,
    plural,
    short_name,
    visible,
)

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
MAX_FINDINGS = 50
MAX_ROWS = 20


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no links, no line breaks, no table bars."""
    flat = " ".join(text.split())
    return _SPECIAL.sub(lambda m: f"&#{ord(m[1])};" if m[1] in "<>&|`$" else "\\" + m[1], flat).replace("@", "@\u200b")


def fence(code: str, language: str = "") -> list[str]:
    """Return a fenced block that its content cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    ticks = "`" * max(3, longest + 1)
    return [f"{ticks}{language}", *code.rstrip("\n").split("\n"), ticks]


def span(code: str) -> str:
    """Return a code span, on one line, that its content cannot close."""
    flat = visible(" ".join(code.split()))
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", flat)), default=0))
    return f"{ticks} {flat} {ticks}" if "`" in flat else f"`{flat}`"


def row(cells: Iterable[str]) -> str:
    """Return a row of a table from cells that are escaped already."""
    return "| " + " | ".join(cells) + " |"


def markdown(report: RunReport) -> str:
    """Write a run as Markdown: sentence, matrix, findings, tables as in the paper, provenance."""
    lines = [f"# {escape(report.title)}", ""]
    if not report.complete:
        lines += ["> **Incomplete run.** It has no footer: it was interrupted or killed. What it wrote is below.", ""]
    if report.simulated:
        lines += [f"> **Simulated data.** {escape(report.simulated)}", ""]
    lines += [f"**{escape(report.summary)}**", ""]
    lines += [f"Exit code {report.exit_code}: {EXIT_MEANINGS[report.exit_code]}.", ""]
    lines += _matrix(report) + _findings(report)
    layout = Layout(report)
    for table in report.tables:
        lines += _table(layout.view(table))
    lines += _audit(report) + _tolerances(report) + _provenance(report)
    if report.notes.strip():
        lines += ["## Notes of the study", "", *report.notes.strip().split("\n"), ""]
    return visible("\n".join(lines).rstrip("\n") + "\n")


def _matrix(report: RunReport) -> list[str]:
    matrix = column_matrix(report)
    several = len(report.tables) > 1
    heads = [escape(f"{t} {column_label(c)}" if several else column_label(c)) for t, c in matrix.places]
    lines = ["## Verdicts", ""]
    for block in matrix.blocks:
        lines += [row([f"**{block.title}**", "version", "reached", *heads]), row(["---"] * (3 + len(heads)))]
        for r in block.rows:
            letters = [
                "" if e is None else f"**{e.letter}**" + (f" {e.agreeing}/{e.compared}" if e.compared else "")
                for e in r.entries
            ]
            lines.append(row([escape(r.engine.id), escape(r.engine.version), escape(reached(r.engine)), *letters]))
        lines.append("")
    used = [
        f"**{letter}** {name} ({count:,}): {meaning}" for letter, name, _, meaning, count in legend(report) if count
    ]
    return [*lines, "; ".join(used) + ".", ""] if used else lines


def _findings(report: RunReport) -> list[str]:
    if not report.findings:
        return []
    lines = ["## Findings", ""]
    for f in report.findings[:MAX_FINDINGS]:
        lines += _finding(f, report)
    if len(report.findings) > MAX_FINDINGS:
        lines += [f"{len(report.findings) - MAX_FINDINGS} more are in `report.json`.", ""]
    return lines


def _audit(report: RunReport) -> list[str]:
    said = report.audit
    if said is None:
        return []
    lines = ["## What the printed numbers say by themselves", "", escape(said.sentence), ""]
    lines += [f"- {escape(statement)}" for _, _, statement in said.points]
    if said.inferences:
        held = len(said.inferences) - said.refuted
        lines += ["", f"Held against the estimates, {held} of {len(said.inferences)} inferences hold.", ""]
        lines += [
            f"- {'holds' if i.verdict == 'consistent' else '**fails**'}: {escape(i.statement)}" for i in said.inferences
        ]
    return [*lines, ""]


def _finding(f: Finding, report: RunReport) -> list[str]:
    where = places_name(f.places, report.tables, 6)
    lines = [
        f"### {f.id}. {escape(f.title)}",
        "",
        f"{f.verdict.replace('_', ' ')}, severity {f.severity}; {plural(len(f.cells), 'number')} in {escape(where)}: "
        f"{escape(listing((short_name(q) for q in f.quantities), 8))}.",
        "",
    ]
    if f.reason and f.reason not in f.title:
        lines += [escape(f.reason) + ".", ""]
    for e in f.example.explanations[:1]:
        lines += _explanation(e)
    return [*lines, *_dropped(f.dropped)]


def _explanation(e: Explanation) -> list[str]:
    after = "" if e.digits_after is None else f"; replayed, {digits_text(e.digits_after)} digits agree"
    lines = [f"Cause: {escape(e.title)} (rule {escape(e.rule)}){after}.", ""]
    if e.formula:
        lines += [*fence(e.formula), ""]
    for side, code in e.remedy:
        lines += [f"Remedy {f'in {escape(side)}' if side else 'by hand'}:", "", *fence(code), ""]
    return lines


def _dropped(rows: Sequence[DroppedRow]) -> list[str]:
    """List the first observations that one side left out."""
    if not rows:
        return []
    lines = [row(["row", "observation", "left out by", "why"]), row(["--:", "---", "---", "---"])]
    lines += [row([str(d.row), escape(d.what), escape(d.side), escape(d.reason)]) for d in rows[:MAX_ROWS]]
    more = len(rows) - MAX_ROWS
    return [*lines, "", *([f"{more} more rows are in `dropped.csv`.", ""] if more > 0 else [])]


def _table(view: TableView) -> list[str]:
    columns = view.table.columns
    title = f"{escape(view.table.id)}. {escape(view.table.title)}" if view.table.title else escape(view.table.id)
    lines = [f"## {title}", ""]
    if view.table.source:
        lines += [escape(view.table.source), ""]
    heads = [f"{column_label(c.id)} {c.title}".strip() for c in columns]
    lines += [row(["", "source", *(escape(h) for h in heads)]), row(["---", "---", *["--:"] * len(columns)])]
    for block in (*view.terms, *view.statistics):
        name = escape(block.term)
        for line in block.lines:
            label = name if line.quantity not in ("std_error",) else ""
            lines.append(row([label, line.source, *(_numbers(n, line.quantity) for n in line.cells)]))
            name = ""
    for text in view.texts:
        lines.append(row([text.label, "", *(escape(c) for c in text.cells)]))
    lines.append("")
    if view.others:
        lines += [f"{plural(len(view.others), 'further term')} in `report.html` and `report.json`.", ""]
    said = [f"{label}: {listing(engines, 8)}" for label, engines in view.languages if tuple(engines) != (label,)]
    return [*lines, escape("; ".join(said)) + ".", ""] if said else lines


def _numbers(numbers: Sequence[Number], quantity: str) -> str:
    return "<br>".join(_number(n, quantity) for n in numbers)


def _number(n: Number, quantity: str) -> str:
    digits = escape(n.shown.same)
    if n.shown.other:
        digits += f"**{escape(n.shown.other)}**{escape(n.shown.rest)}"
    if quantity == "std_error":
        digits = f"({digits})"
    letter = f" {n.letter}" if n.letter and n.label != PRINTED else ""
    engines = f" {escape(listing(n.engines, 3))}" if n.engines else ""
    stars = f" **{escape(n.stars or 'no star')}**" if n.other_stars else escape(n.stars)
    return f"{digits}{stars}{letter}{engines}"


def _tolerances(report: RunReport) -> list[str]:
    if not report.tolerances:
        return []
    lines = ["## Tolerances looser than the default", ""]
    for t in report.tolerances:
        words = ", ".join(f"{k} {v}" for k, v in t.items() if v not in (None, "", 0.0) and k != "reason")
        lines.append(f"- {escape(words)}: {escape(str(t.get('reason', '')))}")
    return [*lines, ""]


def _provenance(report: RunReport) -> list[str]:
    lines = ["## Provenance", ""]
    lines += [row(["engine", "version", "reached", "environment"]), row(["---"] * 4)]
    for e in report.engines:
        if e.transport == "file":
            continue
        environment = ", ".join(f"{k} {v}" for k, v in e.environment)
        note = f"{reached(e)} ({e.reason})" if e.reason else reached(e)
        lines.append(row([escape(x) for x in (e.id, e.version, note, environment)]))
    data = report.data
    lines += [
        "",
        f"- crosscheck {escape(report.crosscheck)}, started {escape(report.started)}, "
        f"finished {escape(report.finished or 'never')}; {span(report.command)}",
        f"- study.toml SHA-256 {span(report.toml_sha256)}; published.csv SHA-256 {span(report.published_sha256)}",
    ]
    if data.get("path"):
        rows = f"{data.get('rows', '?')} rows, SHA-256 {span(str(data.get('sha256', '')))}"
        lines.append(f"- data {escape(str(data['path']))}: {rows}")
    for table, column in report.columns():
        if column.formula:
            lines.append(
                f"- {escape(table.id)} {escape(column_label(column.id))}: {span(plain_formula(column.formula))}"
            )
    return [*lines, ""]
