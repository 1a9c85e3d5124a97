"""How do effects unfold before and after treatment starts, in every engine and by every estimator of a table?

An event study is drawn as a paper does: time since the start across, coefficients with their intervals up, the omitted
period at zero. A panel for each column lays all engines over each other; where a table has several columns, a wide one
lays the columns over each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from crosscheck.report import draw
from crosscheck.report.digits import MINUS
from crosscheck.report.layout import Layout
from crosscheck.report.model import ColumnRow, TableRow
from crosscheck.report.words import column_label

EVENT = re.compile(r"(?:event=|[^:=]+::)(?P<e>-?\d+)(?P<by>:[^:]+)?")
REFERENCE = re.compile(r"\bref\s*=\s*(?P<e>-?\d+)")
ORDER = {"Python": 0, "R": 1}
SHAPES = {"Python": "circle", "R": "square"}
SERIES = ("circle", "square", "diamond", "triangle", "bar")
PANEL, WIDE = 380.0, 860.0
LEFT, TOP, RIGHT, BOTTOM = 46.0, 20.0, 8.0, 34.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The effects that one engine finds in one column: ``(time, estimate, low, high)``, in order of time."""

    engine: str
    language: str
    points: tuple[tuple[int, float, float, float], ...]


def event_paths(layout: Layout, table: TableRow, column: ColumnRow) -> tuple[Path, ...]:
    """Return what each engine finds in a column that is an event study, Python first; empty for any other column."""
    if column.estimator not in ("feols", "sunab", "att_gt"):
        return ()
    found = []
    for source in layout.sources(table, column):
        rows = source.result.coefs if source.result is not None else ()
        points = []
        for row in rows:
            match = EVENT.fullmatch(row.term)
            numbers = (row.estimate, row.conf_low, row.conf_high)
            if match is None or (column.estimator == "feols" and not match["by"]):
                continue
            if any(v is None or not math.isfinite(v) for v in numbers):
                continue
            points.append((int(match["e"]), *(float(v) for v in numbers if v is not None)))
        if len(points) >= 3 and min(p[0] for p in points) < 0 <= max(p[0] for p in points):
            language = layout.language_of.get(source.source, "other")
            ordered: list[tuple[int, float, float, float]] = sorted(points)  # type: ignore[arg-type]
            found.append(Path(engine=source.source, language=language, points=tuple(ordered)))
    return tuple(sorted(found, key=lambda p: ORDER.get(p.language, 2)))


def omitted(column: ColumnRow, paths: Sequence[Path]) -> int | None:
    """Return the reference period: the one that the formula names, or Sun and Abraham's last before the start."""
    match = REFERENCE.search(column.formula)
    if match:
        return int(match["e"])
    drawn = {p[0] for path in paths for p in path.points}
    return -1 if column.estimator == "sunab" and -1 not in drawn else None


def figures(layout: Layout, table: TableRow) -> list[draw.Figure]:
    """Return the event studies of a table; none where no column is one."""
    studies = [(c, paths) for c in table.columns if (paths := event_paths(layout, table, c))]
    if not studies:
        return []
    values = [v for _, paths in studies for path in paths for p in path.points for v in p[1:]]
    span = draw.padded([*values, 0.0])
    out = [_together(studies, span)] if len(studies) > 1 else []
    return out + [_panel(column, paths) for column, paths in studies]


def _axes(width: float, height: float, times: Iterable[int], span: tuple[float, float]) -> draw.Axes:
    found = tuple(times)
    return draw.Axes(
        left=LEFT, top=TOP, width=width - LEFT - RIGHT, height=height - TOP - BOTTOM, low_x=min(found) - 0.5,
        high_x=max(found) + 0.5, low_y=span[0], high_y=span[1],
    )  # fmt: skip


def _ground(axes: draw.Axes, times: Iterable[int], label: str) -> list[Markup]:
    parts = [draw.frame(axes, x_ticks=False, x_label="years since the start", y_label=label)]
    parts += [draw.text(axes.x(e), axes.bottom + 13, str(e).replace("-", MINUS)) for e in sorted(set(times))]
    parts.append(draw.line(axes.left, axes.y(0), axes.right, axes.y(0), "zero"))
    parts.append(draw.line(axes.x(-0.5), axes.top, axes.x(-0.5), axes.bottom, "zero"))
    return parts


def _path(axes: draw.Axes, path: Path, shift: float, shape: str, cls: str) -> Markup:
    marks = []
    for e, estimate, low, high in path.points:
        x = axes.x(e) + shift
        marks.append(draw.line(x, axes.y(low), x, axes.y(high), ""))
        marks.append(draw.mark(shape, x, axes.y(estimate), 2.6))
    return draw.group(cls, marks, f"{path.engine}")


def _shifts(count: int, step: float) -> list[float]:
    return [(i - (count - 1) / 2) * step for i in range(count)]


def _panel(column: ColumnRow, paths: Sequence[Path]) -> draw.Figure:
    span = draw.padded([0.0, *(v for path in paths for p in path.points for v in p[1:])])
    reference = omitted(column, paths)
    times = {p[0] for path in paths for p in path.points} | ({reference} if reference is not None else set())
    axes = _axes(PANEL, 210, times, span)
    parts = _ground(axes, times, f"{column.conf_level:.0%} intervals")
    step = min(5.0, 0.7 * axes.width / len(times) / max(1, len(paths)))
    for path, shift in zip(paths, _shifts(len(paths), step), strict=True):
        kind = draw.DRAWN.get(path.language, "other")
        parts.append(_path(axes, path, shift, SHAPES.get(path.language, "diamond"), f"p-{kind}"))
    if reference is not None:
        parts.append(draw.mark("circle", axes.x(reference), axes.y(0), 3.0, "ring"))
    engines = ", ".join(p.engine for p in paths)
    return draw.Figure(
        title=column.title or column_label(column.id),
        svg=draw.drawing(PANEL, 210, f"Event study by {engines}; the numbers are in the table", parts),
        note=f"{engines}, left to right"
        + (f"; ring: the reference, {reference}".replace("-", MINUS) if reference is not None else ""),
    )


def _together(studies: Sequence[tuple[ColumnRow, Sequence[Path]]], span: tuple[float, float]) -> draw.Figure:
    times = {p[0] for _, paths in studies for path in paths for p in path.points}
    times |= {r for column, paths in studies if (r := omitted(column, paths)) is not None}
    styles = [(f"s{i % len(SERIES) + 1}", SERIES[i % len(SERIES)]) for i in range(len(studies))]
    names = [column.title or column_label(column.id) for column, _ in studies]
    legend, used = draw.legend(
        [(shape, cls, name) for (cls, shape), name in zip(styles, names, strict=True)], LEFT, WIDE - RIGHT
    )
    axes = replace(_axes(WIDE, 280 - used, times, span), top=TOP + used)
    levels = sorted({column.conf_level for column, _ in studies})
    parts = [*legend, *_ground(axes, times, " and ".join(f"{level:.0%}" for level in levels) + " intervals")]
    shifts = _shifts(len(studies), min(11.0, 0.75 * axes.width / len(times) / len(studies)))
    for (column, paths), shift, (cls, shape) in zip(studies, shifts, styles, strict=True):
        first: dict[str, Path] = {}
        for path in paths:
            first.setdefault(path.language, path)
        # R's marks are larger and lie below, so that both show where they meet.
        for path in sorted(first.values(), key=lambda p: -ORDER.get(p.language, 2)):
            parts.append(_path(axes, path, shift, shape, cls + (" under" if path.language == "R" else "")))
        reference = omitted(column, paths)
        if reference is not None:
            ring = draw.mark("circle", axes.x(reference) + shift, axes.y(0), 3.0, "ring")
            parts.append(draw.group(cls, [ring]))
    return draw.Figure(
        title="All columns",
        svg=draw.drawing(WIDE, 280, "Event studies of all columns; the numbers are in the table", parts),
        note="Each column by its first engine in Python; R lies below, wider and paler. Rings: reference periods",
        wide=True,
    )
