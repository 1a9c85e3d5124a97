"""How often do intervals of each kind hold a known effect, by every engine? Shares with their exact bounds."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from crosscheck.report import draw
from crosscheck.report.layout import Layout
from crosscheck.report.model import ColumnRow, TableRow
from crosscheck.report.words import listing

WIDTH = 380.0
ROW = 26.0


def figures(layout: Layout, table: TableRow) -> list[draw.Figure]:
    """Return a drawing for each Monte Carlo column."""
    return [f for c in table.columns if c.estimator == "monte_carlo" for f in _figure(layout, table, c)]


def _figure(layout: Layout, table: TableRow, column: ColumnRow) -> Sequence[draw.Figure]:
    shares: dict[str, dict[str, tuple[float, float, float]]] = {}
    bias: list[str] = []
    for source in layout.sources(table, column):
        if source.result is None:
            continue
        values = {(e.term, e.quantity): e.value for e in source.result.extras}
        for term, quantity in values:
            if quantity != "share":
                continue
            found = [values.get((term, q)) for q in ("share", "share_low", "share_high")]
            if None not in found:
                name = term.removeprefix("coverage [").removesuffix("]")
                shares.setdefault(name, {})[source.source] = tuple(float(v) for v in found if v is not None)  # type: ignore[assignment]
        b, se = values.get(("monte_carlo", "bias")), values.get(("monte_carlo", "bias_se"))
        if b is not None and se and not bias:
            bias.append(f"bias {b:+.5f}, Monte Carlo error {se:.5f} ({b / se:+.1f})".replace("-", "−"))
    if not shares:
        return ()
    low, _ = draw.padded([v[1] for by in shares.values() for v in by.values()])
    height = 54 + ROW * len(shares)
    axes = draw.Axes(
        left=52, top=10, width=WIDTH - 62, height=height - 46, low_x=max(0.0, min(low, 0.9)), high_x=1.0, low_y=0.0,
        high_y=float(len(shares)),
    )  # fmt: skip
    parts: list[Markup] = [draw.frame(axes, y_ticks=False, x_label="share of panels whose interval holds the effect")]
    parts.append(draw.line(axes.x(column.conf_level), axes.top, axes.x(column.conf_level), axes.bottom, "true"))
    missed = []
    for i, (vcov, by) in enumerate(shares.items()):
        y = axes.y(len(shares) - i - 0.5)
        parts.append(draw.text(axes.left - 6, y + 3.5, vcov, "end"))
        for engine in sorted(by, key=lambda e: layout.language_of.get(e) == "Python"):
            share, below, above = by[engine]
            language = layout.language_of.get(engine, "other")
            shift = -3.5 if language == "Python" else 3.5
            shape = "circle" if language == "Python" else "square"
            marks = [
                draw.line(axes.x(below), y + shift, axes.x(above), y + shift, ""),
                draw.mark(shape, axes.x(share), y + shift, 2.8),
            ]
            parts.append(draw.group(f"p-{draw.DRAWN.get(language, 'other')}", marks, f"{engine} {share:.3f}"))
            if not below <= column.conf_level <= above and vcov not in missed:
                missed.append(vcov)
    nominal = f"{column.conf_level:.0%}"
    said = f"{listing(missed)}: not {nominal}, by exact bounds; " if missed else f"{nominal} within all exact bounds; "
    return (
        draw.Figure(
            title=column.title,
            svg=draw.drawing(WIDTH, height, f"Coverage of intervals: {column.title}", parts),
            note=said + "".join(bias),
        ),
    )
