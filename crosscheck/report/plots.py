"""Do the confidence intervals of all sources lie on each other? Coefficient plots as small inline SVG.

Drawn by hand so that the same run gives the same bytes, with ``currentColor`` and classes so that they follow the page
into dark mode and print.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from crosscheck.conventions import interval
from crosscheck.report.digits import MINUS
from crosscheck.report.layout import Layout
from crosscheck.report.model import PRINTED, ColumnRow, TableRow
from crosscheck.report.view import TableView
from crosscheck.report.words import column_label, listing
from crosscheck.results import CoefRow

FAMILY = re.compile(r"(?P<stem>.+?)(?:::.+|=\s*-?[\d.]+|\(-?[\d.]+(?:,\s*-?[\d.]+)*\)|-?\d+)$")
MAX_PANELS, MAX_ROWS = 12, 48
WIDTH, LABEL, RIGHT, TOP, BOTTOM = 380, 116, 10, 8, 24
STEP, GAP = 9, 8
APART = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An estimate with its interval, by the sources that share it (to within a hair of the interval's width)."""

    kind: str
    sources: tuple[str, ...]
    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotRow:
    """One coefficient in one column."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Coefficients in one unit: one term over the columns, or a family such as ATT(g,t)."""

    title: str
    rows: tuple[PlotRow, ...]


def panels(layout: Layout, view: TableView) -> tuple[tuple[Panel, ...], int]:
    """Return the panels of a table, and how many more its terms would make.

    Terms that differ only in a level (``year::3``, ``event=-1``, ``ATT(2004,2006)``) share a panel where there
    are three.
    """
    found = []
    for title, stem, terms in _families([block.term for block in view.terms]):
        drawn = []
        for term in terms:
            for column in view.table.columns:
                points = _points(layout, view.table, column, term)
                if points:
                    drawn.append((term, column, points))
        several = len({column.id for _, column, _ in drawn}) > 1
        rows = [PlotRow(label=_label(stem, term, column, several), points=points) for term, column, points in drawn]
        if 0 < len(rows) <= MAX_ROWS and any(p.low is not None for r in rows for p in r.points):
            found.append(Panel(title=title, rows=tuple(rows)))
    return tuple(found[:MAX_PANELS]), max(0, len(found) - MAX_PANELS)


def _families(terms: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Return ``(title, stem, terms)`` of each panel; the stem is empty for a term that stands alone."""
    stems: dict[str, list[str]] = {}
    for term in terms:
        match = FAMILY.fullmatch(term)
        if match:
            stems.setdefault(match["stem"], []).append(term)
    stem_of = {t: stem for stem, members in stems.items() if len(members) >= 3 for t in members}
    out: dict[str, tuple[str, str, list[str]]] = {}
    for term in terms:
        stem = stem_of.get(term, "")
        key = f"{stem}…" if stem else term
        title = f"{stem}…" if stem in terms else stem or term
        out.setdefault(key, (title, stem, []))[2].append(term)
    return list(out.values())


def _label(stem: str, term: str, column: ColumnRow, several: bool) -> str:
    if not stem:
        return column_label(column.id)
    level = term[len(stem) :].lstrip(":=").replace("-", MINUS)
    return f"{level} {column_label(column.id)}" if several else level


def _points(layout: Layout, table: TableRow, column: ColumnRow, term: str) -> tuple[Point, ...]:
    computed: list[tuple[str, str, CoefRow]] = []
    for source in layout.sources(table, column):
        row = source.result.coef(term) if source.result else None
        if row is not None and row.estimate is not None and math.isfinite(row.estimate):
            computed.append((layout.language_of.get(source.source, "other"), source.source, row))
    points = []
    printed = _printed_point(layout, table, column, term, [row for _, _, row in computed])
    if printed is not None:
        points.append(printed)
    order = {"Python": 0, "R": 1}
    for kind, engine, row in sorted(computed, key=lambda item: order.get(item[0], 2)):
        assert row.estimate is not None
        low, high = (v if v is not None and math.isfinite(v) else None for v in (row.conf_low, row.conf_high))
        point = Point(kind=kind.lower(), sources=(engine,), estimate=row.estimate, low=low, high=high)
        twin = next((i for i, p in enumerate(points) if p.kind == point.kind and _same(p, point)), None)
        if twin is None:
            points.append(point)
        else:
            p = points[twin]
            points[twin] = Point(kind=p.kind, sources=(*p.sources, engine), estimate=p.estimate, low=p.low, high=p.high)
    return tuple(points)


def _printed_point(
    layout: Layout, table: TableRow, column: ColumnRow, term: str, computed: Sequence[CoefRow]
) -> Point | None:
    printed = layout.printed(table, column)
    values = {}
    for quantity in ("estimate", "std_error"):
        number = printed.get((term, quantity))
        if number is not None and number.low is not None and number.high is not None:
            values[quantity] = (number.low + number.high) / 2
    if "estimate" not in values:
        return None
    low = high = None
    if "std_error" in values:
        df = next((row.df for row in computed if row.df is not None), math.inf)
        low, high = interval(values["estimate"], values["std_error"], df, column.conf_level)
    return Point(kind=PRINTED, sources=(PRINTED,), estimate=values["estimate"], low=low, high=high)


def _same(a: Point, b: Point) -> bool:
    width = abs((a.high or 0.0) - (a.low or 0.0)) or abs(a.estimate) or 1.0
    pairs = ((a.estimate, b.estimate), (a.low, b.low), (a.high, b.high))
    return all((x is None) == (y is None) and abs((x or 0.0) - (y or 0.0)) <= APART * width for x, y in pairs)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers within an interval, about ``count`` of them."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def svg(panel: Panel) -> Markup:
    """Draw a panel."""
    spots = [v for r in panel.rows for p in r.points for v in (p.estimate, p.low, p.high) if v is not None]
    low, high = min([*spots, 0.0]), max([*spots, 0.0])
    pad = (high - low) * 0.04 or 1.0
    low, high = low - pad, high + pad
    scale = (WIDTH - LABEL - RIGHT) / (high - low)

    def x(value: float) -> str:
        return f"{LABEL + (value - low) * scale:.1f}"

    body: list[Markup] = []
    y = float(TOP)
    for row in panel.rows:
        height = len(row.points) * STEP
        body.append(_text(LABEL - 8, y + height / 2 + 3.5, row.label, "end"))
        for n, point in enumerate(row.points):
            body.append(_point(point, x, y + n * STEP + STEP / 2))
        y += height + GAP
    bottom = y - GAP / 2
    axis = [Markup('<path class="axis" d="M{} {}H{}"/>').format(LABEL, f"{bottom:.1f}", WIDTH - RIGHT)]
    for value in ticks(low, high):
        axis.append(Markup('<path class="grid" d="M{} {}V{}"/>').format(x(value), TOP - 4, f"{bottom:.1f}"))
        axis.append(_text(float(x(value)), bottom + 14, f"{value:.10g}".replace("-", MINUS), "middle"))
    axis.append(Markup('<path class="zero" d="M{} {}V{}"/>').format(x(0.0), TOP - 4, f"{bottom:.1f}"))
    total = f"{bottom + BOTTOM:.0f}"
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, total, _aria(panel))
    return head + Markup("").join([*axis, *body]) + Markup("</svg>")


def _aria(panel: Panel) -> str:
    kinds = dict.fromkeys(p.kind for r in panel.rows for p in r.points)
    return f"Estimates and confidence intervals of {panel.title} by {listing(kinds)}; the numbers are in the table"


def _point(p: Point, x: object, y: float) -> Markup:
    assert callable(x)
    parts = [Markup("<title>{}</title>").format(_tooltip(p))]
    if p.low is not None and p.high is not None:
        parts.append(Markup('<path d="M{} {}H{}"/>').format(x(p.low), f"{y:.1f}", x(p.high)))
    cx = float(x(p.estimate))
    if p.kind == PRINTED:
        shape = f"M{cx:.1f} {y - 3.6:.1f}l3.6 3.6l-3.6 3.6l-3.6 -3.6z"
    elif p.kind == "r":
        shape = f"M{cx - 2.7:.1f} {y - 2.7:.1f}h5.4v5.4h-5.4z"
    else:
        shape = f"M{cx - 3:.1f} {y:.1f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z"
    parts.append(Markup('<path class="dot" d="{}"/>').format(shape))
    kind = p.kind if p.kind in (PRINTED, "python", "r") else "other"
    return Markup('<g class="p-{}">{}</g>').format(kind, Markup("").join(parts))


def _tooltip(p: Point) -> str:
    bounds = "" if p.low is None else f" [{p.low:.6g}, {p.high:.6g}]"
    return f"{listing(p.sources, 8)}: {p.estimate:.6g}{bounds}".replace("-", MINUS)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    short = text if len(text) <= 17 else text[:16] + "…"
    title = Markup("<title>{}</title>").format(text) if short != text else Markup("")
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}{}</text>').format(
        f"{x:.1f}", f"{y:.1f}", anchor, title, escape(short)
    )


def kinds(drawn: Iterable[Panel]) -> tuple[str, ...]:
    """Return the kinds of sources that panels show, for a legend."""
    found = dict.fromkeys(p.kind for panel in drawn for r in panel.rows for p in r.points)
    return tuple(found)
