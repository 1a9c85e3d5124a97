"""What does a referee open? One file that says on its first screen whether the numbers hold, and where not.

The page needs no script, no network and no other file; it follows the reader's light or dark setting, and prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from crosscheck.report import figure_coverage, figure_events, figure_matching, figure_placebo, words
from crosscheck.report.digits import digits_text, full
from crosscheck.report.draw import Figure
from crosscheck.report.holes import in_words
from crosscheck.report.layout import Layout
from crosscheck.report.matrix import Matrix, column_matrix, legend, reached
from crosscheck.report.model import (
    PRINTED,
    CellRow,
    ColumnRow,
    EngineRow,
    RunReport,
    SourceRow,
    TableRow,
)
from crosscheck.report.plots import Panel, kinds, panels, svg
from crosscheck.report.rows import comparison_tables, differing
from crosscheck.report.spoken import spoken
from crosscheck.report.summary import standing
from crosscheck.report.survival import Survival, survival
from crosscheck.report.view import TableView
from crosscheck.verdict import AGREE, BADNESS, DIFFERENT, EXPLAINED, NOT_COMPARED, Verdict

OPEN_FINDINGS = 25
FIGURES: tuple[Callable[[Layout, TableRow], Sequence[Figure]], ...] = (
    figure_placebo.figures,
    figure_matching.figures,
    figure_coverage.figures,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """A column with everything known of it."""

    anchor: str
    column: ColumnRow
    sources: tuple[SourceRow, ...]
    cells: tuple[CellRow, ...]
    verdicts: tuple[Verdict, ...]
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSection:
    """A table as laid out, its plots and its columns."""

    anchor: str
    view: TableView
    figures: tuple[Figure, ...]
    survival: Survival | None
    panels: tuple[Panel, ...]
    more_panels: int
    plot_kinds: tuple[str, ...]
    columns: tuple[ColumnView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One count of the first screen."""

    group: str
    count: int
    label: str
    detail: str


def html(report: RunReport) -> str:
    """Write a run as one HTML file that opens offline, without scripts."""
    anchors = {(t.id, c.id): f"t{i}c{j}" for i, t in enumerate(report.tables) for j, c in enumerate(t.columns)}
    layout = Layout(report)
    by_column: dict[tuple[str, str], list[CellRow]] = {}
    for c in report.cells:
        by_column.setdefault((c.table, c.column), []).append(c)
    matrix = column_matrix(report)
    sections = tuple(
        _section(f"t{i}", table, layout, by_column, anchors, matrix) for i, table in enumerate(report.tables)
    )
    template = _environment().get_template("report.html.j2")
    page = template.render(
        report=report,
        matrix=matrix,
        matrix_tables=_spans(matrix),
        legend=legend(report),
        tiles=_tiles(report),
        sections=sections,
        anchors=anchors,
        engines=[e for e in report.engines if e.transport != "file"],
        environment=_shared_environment(report),
        tone=_tone(report),
        lead=next((f.id for f in report.findings if report.summary_parts[0].startswith(f.title)), ""),
        notes=render_notes(report.notes),
        open_findings=OPEN_FINDINGS,
        warnings=spoken(report),
    )
    return words.visible(page)


def page_environment(*packages: str) -> Environment:
    """Return what pages that open offline are made with: templates of these packages, then of this one, escaped."""
    env = Environment(
        loader=ChoiceLoader([PackageLoader(p) for p in (*packages, "crosscheck.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        full=full,
        digits=digits_text,
        column_label=words.column_label,
        quantity=words.short_name,
        svg=svg,
        reached=reached,
        comparisons=comparison_tables,
        vcov=words.vcov_name,
        options=words.options_text,
        formula=words.plain_formula,
        listing=words.listing,
        group=words.group_of,
        day=lambda stamp: stamp[:10],
        moment=in_words,
        sentence=lambda text: (text.capitalize() if text.startswith("all ") else text) + ".",
        breakable=lambda term: Markup("<wbr>").join(re.split(r"(?<=[:+(=])(?=\w)", term)),
        plain=lambda word: str(word).replace("_", " "),
    )
    env.globals.update(
        PRINTED=PRINTED,
        LETTERS=words.LETTERS,
        MEANINGS=words.MEANINGS,
        SEVERITY_MEANINGS=words.SEVERITY_MEANINGS,
        EXIT_MEANINGS=words.EXIT_MEANINGS,
        differing=differing,
        places_name=words.places_name,
        pairs_name=words.pairs_name,
        plural=words.plural,
    )
    return env


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return page_environment()


def render_notes(text: str) -> Markup:
    """Return a study's notes as HTML; HTML and pictures in them are shown as text, never loaded."""
    if not text.strip():
        return Markup("")
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(parser.render(text))  # noqa: S704 - the parser escapes all HTML of its input


def _section(
    anchor: str,
    table: TableRow,
    layout: Layout,
    by_column: Mapping[tuple[str, str], list[CellRow]],
    anchors: Mapping[tuple[str, str], str],
    matrix: Matrix,
) -> TableSection:
    view = layout.view(table)
    events = figure_events.figures(layout, table)
    figures = (*events, *(f for made in FIGURES for f in made(layout, table)))
    stars = survival(layout, table)
    drawn, more = ((), 0) if events or stars is not None else panels(layout, view)
    columns = []
    for column in table.columns:
        columns.append(
            ColumnView(
                anchor=anchors[(table.id, column.id)],
                column=column,
                sources=tuple(s for s in layout.sources(table, column) if s.result is not None),
                cells=tuple(by_column.get((table.id, column.id), ())),
                verdicts=_verdicts(matrix, (table.id, column.id)),
                seed=str(column.options.get("seed", "")),
            )
        )
    return TableSection(
        anchor=anchor,
        view=view,
        figures=figures,
        survival=stars,
        panels=drawn,
        more_panels=more,
        plot_kinds=kinds(drawn),
        columns=tuple(columns),
    )


def _verdicts(matrix: Matrix, place: tuple[str, str]) -> tuple[Verdict, ...]:
    """Return what stands in a column of the matrix beside agreement, worst first; else the worst agreement."""
    index = matrix.places.index(place)
    entries = (r.entries[index] for b in matrix.blocks for r in b.rows)
    found = sorted({e.verdict for e in entries if e is not None}, key=BADNESS.index)
    open_ = [v for v in found if v not in AGREE and v != "unsupported"]
    return tuple(open_ or [v for v in found if v in AGREE][:1] or found)


def _spans(matrix: Matrix) -> list[tuple[str, int]]:
    """Return the tables of a matrix with how many columns each has."""
    spans: dict[str, int] = {}
    for table, _ in matrix.places:
        spans[table] = spans.get(table, 0) + 1
    return list(spans.items())


def _tiles(report: RunReport) -> tuple[Tile, ...]:
    held = standing(report.cells)
    tiles = []
    if held:
        good = sum(how == "reproduced" for how in held.values())
        lost = sum(how == "met by none" for how in held.values())
        group = "agree" if good == len(held) else "different" if lost else "explained"
        detail = "by at least one engine" + (f"; {lost} met by none" if lost else "")
        tiles.append(Tile(group=group, count=good, label=f"of {len(held):,} printed numbers reproduced", detail=detail))
    for group, label, verdicts in (
        ("agree", "comparisons agree", AGREE),
        ("explained", "differ by a named cause", EXPLAINED),
        ("different", "differ, unexplained", DIFFERENT),
        ("missing", "not compared", NOT_COMPARED),
    ):
        detail = ", ".join(f"{v.replace('_', ' ')} {n:,}" for v, n in report.counts if v in verdicts)
        tiles.append(Tile(group=group, count=report.count(*verdicts), label=label, detail=detail))
    return tuple(tiles)


def _tone(report: RunReport) -> str:
    """Return the colour of the verdict's sentence: that of the worst that a reader must act on."""
    if not report.complete or report.exit_code == 3:
        return "missing"
    grave = any(f.severity not in ("none", "cosmetic") and f.verdict not in EXPLAINED for f in report.findings)
    if grave:
        return "different" if report.exit_code else "explained"
    return "explained" if report.exit_code or report.count(*EXPLAINED, *DIFFERENT) else "agree"


def _shared_environment(report: RunReport) -> dict[str, str]:
    """Return what all live engines of the run share: platform, Python."""
    rows = [dict(e.environment) for e in report.engines if e.transport == "live" and e.environment]
    python = [dict(e.environment) for e in report.engines if e.transport == "live" and e.language == "python"]
    out: dict[str, Any] = {}
    for environments, names in (
        (python, ("python", "numpy", "scipy", "pandas", "formulaic")),
        (rows, ("platform", "R")),
    ):
        for name in names:
            versions = dict.fromkeys(e[name] for e in environments if name in e)
            if versions:
                out[name] = ", ".join(versions)
    return out


def engine_note(engine: EngineRow) -> str:
    """Return an engine's version and how it was reached, in a few words."""
    return f"{engine.version} {reached(engine)}".strip()
