"""What do all drawings of a report share? A rectangle with two scales, and marks on it, as inline SVG.

Coordinates have one decimal, so that the same run gives the same bytes; colours are classes, which follow the page into
dark mode and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from crosscheck.report.digits import MINUS
from crosscheck.report.plots import ticks

DRAWN = {"Python": "python", "R": "r"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing with its title and what is to be read from it; ``wide`` ones take the page's width."""

    title: str
    svg: Markup
    note: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """A rectangle of the drawing and the numbers at its edges."""

    left: float
    top: float
    width: float
    height: float
    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def x(self, value: float) -> float:
        """Return the horizontal place of a number."""
        return self.left + (value - self.low_x) / (self.high_x - self.low_x) * self.width

    def y(self, value: float) -> float:
        """Return the vertical place of a number."""
        return self.top + (self.high_y - value) / (self.high_y - self.low_y) * self.height

    @property
    def bottom(self) -> float:
        """The place of the horizontal axis."""
        return self.top + self.height

    @property
    def right(self) -> float:
        """The place of the right edge."""
        return self.left + self.width


def padded(values: Iterable[float], share: float = 0.05) -> tuple[float, float]:
    """Return the range of finite numbers, a little wider."""
    found = [v for v in values if math.isfinite(v)]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    pad = (high - low) * share or abs(high) * share or 1.0
    return low - pad, high + pad


def place(value: float) -> str:
    """Write a coordinate."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def path(points: Iterable[tuple[float, float]], cls: str = "") -> Markup:
    """Return a polyline through points of the drawing."""
    steps = " ".join(f"{place(x)} {place(y)}" for x, y in points)
    return Markup('<path{} d="M{}"/>').format(_class(cls), steps)


def _class(cls: str) -> Markup:
    return Markup(' class="{}"').format(cls) if cls else Markup("")


def line(x1: float, y1: float, x2: float, y2: float, cls: str) -> Markup:
    """Return a straight line."""
    return path(((x1, y1), (x2, y2)), cls)


def rect(x1: float, y1: float, x2: float, y2: float, cls: str) -> Markup:
    """Return a rectangle between two corners."""
    return Markup('<path class="{}" d="M{} {}H{}V{}H{}z"/>').format(cls, *map(place, (x1, y1, x2, y2, x1)))


def text(x: float, y: float, words: str, anchor: str = "middle", cls: str = "") -> Markup:
    """Return a text; numbers get a typographic minus."""
    return Markup('<text{} x="{}" y="{}" text-anchor="{}">{}</text>').format(
        _class(cls), place(x), place(y), anchor, words
    )


def mark(shape: str, x: float, y: float, size: float = 3.0, cls: str = "dot") -> Markup:
    """Return a filled mark: ``circle``, ``square``, ``diamond``, ``triangle`` or ``bar``."""
    s = size
    drawn = {
        "circle": f"M{place(x - s)} {place(y)}a{s} {s} 0 1 0 {2 * s} 0a{s} {s} 0 1 0 -{2 * s} 0z",
        "square": f"M{place(x - s)} {place(y - s)}h{2 * s}v{2 * s}h-{2 * s}z",
        "diamond": f"M{place(x)} {place(y - 1.3 * s)}l{1.3 * s} {1.3 * s}l-{1.3 * s} {1.3 * s}l-{1.3 * s} -{1.3 * s}z",
        "triangle": f"M{place(x)} {place(y - 1.2 * s)}l{1.2 * s} {2.2 * s}h-{2.4 * s}z",
        "bar": f"M{place(x - s)} {place(y - 0.4 * s)}h{2 * s}v{0.8 * s}h-{2 * s}z",
    }[shape]
    return Markup('<path class="{}" d="{}"/>').format(cls, drawn)


def dots(points: Iterable[tuple[float, float]], cls: str) -> Markup:
    """Return many points as one path of zero-length strokes; its class says how thick."""
    return Markup('<path class="{}" d="{}"/>').format(cls, "".join(f"M{place(x)} {place(y)}h0" for x, y in points))


def number(value: float) -> str:
    """Write a number of an axis."""
    return f"{value:.10g}".replace("-", MINUS)


def frame(axes: Axes, *, x_label: str = "", y_label: str = "", x_ticks: bool = True, y_ticks: bool = True) -> Markup:
    """Return axes, grid and labels."""
    parts = [line(axes.left, axes.bottom, axes.right, axes.bottom, "axis")]
    if y_ticks:
        for value in ticks(axes.low_y, axes.high_y):
            y = axes.y(value)
            parts += [line(axes.left, y, axes.right, y, "grid"), text(axes.left - 5, y + 3.5, number(value), "end")]
    if x_ticks:
        for value in ticks(axes.low_x, axes.high_x, 5):
            x = axes.x(value)
            parts += [line(x, axes.bottom, x, axes.bottom + 3, "axis"), text(x, axes.bottom + 14, number(value))]
    if x_label:
        parts.append(text((axes.left + axes.right) / 2, axes.bottom + 28, x_label, cls="lab"))
    if y_label:
        parts.append(text(axes.left, axes.top - 6, y_label, "start", cls="lab"))
    return Markup("").join(parts)


def drawing(width: float, height: float, label: str, parts: Sequence[Markup]) -> Markup:
    """Return the whole drawing; ``label`` is read to those who do not see it."""
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(place(width), place(height), label)
    return head + Markup("").join(parts) + Markup("</svg>")


def group(cls: str, parts: Iterable[Markup], title: str = "") -> Markup:
    """Return marks of one class, with what a pointer over them reads."""
    said = Markup("<title>{}</title>").format(title) if title else Markup("")
    return Markup('<g class="{}">{}{}</g>').format(cls, said, Markup("").join(parts))


def legend(items: Sequence[tuple[str, str, str]], left: float, right: float) -> tuple[list[Markup], float]:
    """Return marks with their names, ``(shape, class, name)``, in as many rows as they need, and the rows' height."""
    parts: list[Markup] = []
    x, y = left, 8.0
    for shape, cls, name in items:
        wide = 22 + 5.6 * len(name)
        if x + wide > right and x > left:
            x, y = left, y + 15
        parts += [group(cls, [mark(shape, x + 4, y, 3.2)]), text(x + 12, y + 3.5, name, "start")]
        x += wide
    return parts, y + 4
