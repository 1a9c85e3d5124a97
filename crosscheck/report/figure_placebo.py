"""Where does the true estimate lie among those of placebo draws, by every engine?

As papers draw it: the density of the draws' estimates, their p-values as dots, the true estimate and the level of the
p-values as broken lines. R lies below, wider and paler; Python above it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from crosscheck.report import draw
from crosscheck.report.layout import Layout
from crosscheck.report.model import ColumnRow, TableRow
from crosscheck.report.plots import ticks
from crosscheck.report.words import column_label
from crosscheck.results import EstimationResult

Real = NDArray[np.float64]

WIDTH, HEIGHT = 420.0, 260.0
GRID = 121
MOST_DOTS = 2000
NAMES = {"p_value": "", "p_value_iid": ", iid standard errors"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """The draws of one engine: estimates and p-values, shape (draws,), and the true estimate."""

    engine: str
    language: str
    estimate: Real
    p_value: Real
    true: float
    result: EstimationResult


def density(values: Real, at: Real) -> Real:
    """Return a Gaussian kernel density with Silverman's (1986, eq. 3.31) bandwidth, shape of ``at``."""
    spread = min(float(values.std(ddof=1)), float(np.subtract(*np.percentile(values, [75, 25]))) / 1.34)
    width = 0.9 * (spread or float(values.std(ddof=1)) or 1.0) * values.size**-0.2
    u = (at[:, None] - values[None, :]) / width
    return np.asarray(np.exp(-0.5 * u * u).sum(axis=1) / (values.size * width * math.sqrt(2 * math.pi)))


def figures(layout: Layout, table: TableRow) -> list[draw.Figure]:
    """Return a drawing for each placebo column and each kind of p-value; none where a table has no draws."""
    out = []
    for column in table.columns:
        if column.estimator != "placebo":
            continue
        kinds = [q for q in NAMES if q == "p_value" or str(column.vcov.get("type", "")) != "iid"]
        for quantity in kinds:
            drawn = _drawn(layout, table, column, quantity)
            if drawn:
                out.append(_figure(column, drawn, quantity))
    return out


def _drawn(layout: Layout, table: TableRow, column: ColumnRow, quantity: str) -> list[Drawn]:
    found = []
    for source in layout.sources(table, column):
        block = source.result.block("draws") if source.result is not None else None
        if source.result is None or block is None or quantity not in block.quantities:
            continue
        row = source.result.coef(str(column.options.get("treatment")))
        if row is None or row.estimate is None:
            continue
        b, p = (np.array([math.nan if v is None else v for v in block[q]]) for q in ("estimate", quantity))
        kept = np.isfinite(b) & np.isfinite(p)
        if kept.sum() < 2:
            continue
        language = layout.language_of.get(source.source, "other")
        found.append(
            Drawn(engine=source.source, language=language, estimate=b[kept], p_value=p[kept], true=row.estimate,
                  result=source.result)
        )  # fmt: skip
    return sorted(found, key=lambda d: d.language != "R")


def _figure(column: ColumnRow, drawn: Sequence[Drawn], quantity: str) -> draw.Figure:
    level = float(column.options.get("threshold") or 0.1)
    low, high = draw.padded([v for d in drawn for v in (d.estimate.min(), d.estimate.max(), d.true, 0.0)], 0.04)
    axes = draw.Axes(
        left=34, top=18, width=WIDTH - 66, height=HEIGHT - 52, low_x=low, high_x=high, low_y=0.0, high_y=1.0
    )
    at = np.linspace(low, high, GRID)
    heights = [density(d.estimate, at) for d in drawn]
    top = 1.08 * max(float(h.max()) for h in heights)
    scaled = draw.Axes(
        left=axes.left,
        top=axes.top,
        width=axes.width,
        height=axes.height,
        low_x=low,
        high_x=high,
        low_y=0.0,
        high_y=top,
    )
    parts = [draw.frame(axes, x_label="estimate of the placebo", y_label="p-value (dots)")]
    parts.append(draw.text(axes.right, axes.top - 6, "density (line)", "end", "lab"))
    parts += _right(scaled)
    parts.append(draw.line(axes.left, axes.y(level), axes.right, axes.y(level), "mean"))
    for d, curve in zip(drawn, heights, strict=True):
        kind, below = draw.DRAWN.get(d.language, "other"), "under" if d.language == "R" else "over"
        step = max(1, d.estimate.size // MOST_DOTS)
        spots = zip(d.estimate[::step], d.p_value[::step], strict=True)
        parts.append(
            draw.group(f"p-{kind} {below}", [
                draw.dots(((axes.x(float(b)), axes.y(float(p))) for b, p in spots), "dots"),
                draw.path(((scaled.x(float(v)), scaled.y(float(h))) for v, h in zip(at, curve, strict=True)), "curve"),
            ], d.engine)
        )  # fmt: skip
    true = drawn[-1].true
    parts.append(draw.line(axes.x(true), axes.top, axes.x(true), axes.bottom, "true"))
    parts.append(draw.text(axes.x(true) - 4, axes.top + 11, f"true {true:.4f}".replace("-", "−"), "end"))
    return draw.Figure(
        title=(column.title or column_label(column.id)) + NAMES[quantity],
        svg=draw.drawing(WIDTH, HEIGHT, f"Placebo estimates and p-values of {column.title}", parts),
        note=_note(drawn, quantity, level),
    )


def _right(axes: draw.Axes) -> list[Markup]:
    values = [v for v in ticks(axes.low_y, axes.high_y) if v > 0]
    return [draw.text(axes.right + 4, axes.y(v) + 3.5, draw.number(v), "start") for v in values]


def _note(drawn: Sequence[Drawn], quantity: str, level: float) -> str:
    """Say in words what the drawing shows, and how far the engines are apart."""
    last = drawn[-1]
    count = last.estimate.size
    beyond = int((last.estimate >= last.true).sum())
    extras = {(e.term, e.quantity): e.value for e in last.result.extras}
    exact = extras.get(("placebo", "p_randomization"))
    said = (
        f"{count:,} draws: {beyond:,} at or above the true estimate; "
        f"{float((last.p_value < level).mean()):.1%} of p-values below {level:g}"
    )
    if exact is not None and quantity == "p_value":
        said += f"; randomization p = {exact:.4f}"
    sizes = {d.estimate.size for d in drawn}
    if len(drawn) > 1 and len(sizes) == 1:
        gap = max(float(np.abs(d.estimate - last.estimate).max()) for d in drawn)
        said += f". {', '.join(d.engine for d in reversed(drawn))}: at most {gap:.1e} apart"
    return said
