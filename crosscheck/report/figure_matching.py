"""Do the propensity scores of both groups overlap, and does matching balance the covariates, by every engine?

Scores are drawn as Stata's psgraph does: treated above the axis, untreated below, matched rows filled. Balance is a
plot of standardized differences and of variance ratios, before matching (hollow) and after (filled); broken lines mark
0.1 (Austin 2009) and the ratios 1/2 and 2 (Rubin 2001).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from crosscheck.report import draw
from crosscheck.report.layout import Layout
from crosscheck.report.model import ColumnRow, TableRow
from crosscheck.report.plots import ticks
from crosscheck.report.words import column_label
from crosscheck.results import EstimationResult

Counts = NDArray[np.int64]
Source = tuple[str, str, EstimationResult]

BINS = 20
WIDTH = 400.0
SMALL, RATIOS = 0.1, (0.5, 2.0)


def figures(layout: Layout, table: TableRow) -> list[draw.Figure]:
    """Return the propensity-score plot and the balance plot of each column that matches."""
    out = []
    for column in table.columns:
        if column.estimator != "psm_did":
            continue
        sources = [
            (s.source, layout.language_of.get(s.source, "other"), s.result)
            for s in layout.sources(table, column)
            if s.result is not None and s.result.block("rows") is not None
        ]
        if sources:
            # Python is drawn last, over what lies below it.
            sources.sort(key=lambda s: s[1] != "R")
            out += [_scores(column, sources), _balance(column, sources)]
    return out


def _histograms(result: EstimationResult) -> tuple[Counts, Counts, Counts, Counts]:
    """Return how many rows fall into each bin: treated and untreated ones, all and matched."""
    block = result.block("rows")
    assert block is not None
    values = {q: np.array([math.nan if v is None else v for v in block[q]]) for q in block.quantities}
    p, treated, kept = values["propensity"], values["treated"] == 1, values["match_weight"] > 0
    edges = np.linspace(0, 1, BINS + 1)
    made = [np.histogram(p[m], edges)[0] for m in (treated, ~treated, treated & kept, ~treated & kept)]
    return made[0], made[1], made[2], made[3]


def _scores(column: ColumnRow, sources: Sequence[Source]) -> draw.Figure:
    counted = [(engine, language, _histograms(result)) for engine, language, result in sources]
    above = max(int(h[0].max()) for _, _, h in counted)
    below = max(int(h[1].max()) for _, _, h in counted)
    height = 220.0
    axes = draw.Axes(
        left=38, top=18, width=WIDTH - 46, height=height - 52, low_x=0.0, high_x=1.0, low_y=-1.08 * below,
        high_y=1.08 * above,
    )  # fmt: skip
    parts = [draw.frame(axes, x_label="propensity score", y_label="rows", y_ticks=False)]
    for value in ticks(axes.low_y, axes.high_y):
        parts += [
            draw.line(axes.left, axes.y(value), axes.right, axes.y(value), "grid"),
            draw.text(axes.left - 5, axes.y(value) + 3.5, draw.number(abs(value)), "end"),
        ]
    for engine, language, (up, down, matched_up, matched_down) in counted:
        kind = draw.DRAWN.get(language, "other")
        marks: list[Markup] = []
        for sign, everyone, matched in ((1, up, matched_up), (-1, down, matched_down)):
            marks.append(_steps(axes, sign * everyone, "outline"))
            if language == "Python":
                marks += _bars(axes, sign * matched)
            else:
                marks.append(_steps(axes, sign * matched, "inner"))
        parts.append(draw.group(f"p-{kind} {'under' if language == 'R' else 'over'}", marks, engine))
    parts.append(draw.line(axes.left, axes.y(0), axes.right, axes.y(0), "axis"))
    parts += [
        draw.text(axes.right, axes.top + 9, "treated", "end"),
        draw.text(axes.right, axes.bottom - 4, "untreated", "end"),
    ]
    block = sources[-1][2].block("rows")
    assert block is not None
    kept = sum(1 for w in block["match_weight"] if w)
    return draw.Figure(
        title=f"{column_label(column.id)} {column.title}: propensity scores",
        svg=draw.drawing(WIDTH, height, f"Propensity scores of {column.title}", parts),
        note=f"Outline: all {len(block['match_weight'])} rows, filled: the {kept} matched. "
        f"{', '.join(s[0] for s in reversed(sources))}; R below, wider",
    )


def _steps(axes: draw.Axes, counts: Counts, cls: str) -> Markup:
    points = [(axes.x(0.0), axes.y(0.0))]
    for i, count in enumerate(counts.tolist()):
        points += [(axes.x(i / BINS), axes.y(count)), (axes.x((i + 1) / BINS), axes.y(count))]
    return draw.path([*points, (axes.x(1.0), axes.y(0.0))], cls)


def _bars(axes: draw.Axes, counts: Counts) -> list[Markup]:
    return [
        draw.rect(axes.x((i + 0.12) / BINS), axes.y(0), axes.x((i + 0.88) / BINS), axes.y(count), "fill")
        for i, count in enumerate(counts.tolist())
        if count
    ]


def _balance(column: ColumnRow, sources: Sequence[Source]) -> draw.Figure:
    tables = [(engine, language, _balances(result)) for engine, language, result in sources]
    names = list(tables[-1][2])
    height = 50 + 20.0 * len(names)
    differences = [
        v for _, _, found in tables for b in found.values() for q in ("std_diff", "std_diff_matched")
        if math.isfinite(v := b.get(q, math.nan))
    ]  # fmt: skip
    ratios = [
        math.log2(v) for _, _, found in tables for b in found.values() for q in ("var_ratio", "var_ratio_matched")
        if math.isfinite(v := b.get(q, math.nan)) and v > 0
    ]  # fmt: skip
    sizes = {"top": 14.0, "height": height - 48, "low_y": 0.0, "high_y": float(len(names))}
    low, high = draw.padded([*differences, -SMALL, SMALL])
    left = draw.Axes(left=58, width=176, low_x=low, high_x=high, **sizes)
    low, high = draw.padded([*ratios, -1.0, 1.0])
    right = draw.Axes(left=252, width=140, low_x=low, high_x=high, **sizes)
    parts = [draw.frame(left, y_ticks=False, x_label="standardized difference")]
    parts.append(draw.frame(right, y_ticks=False, x_ticks=False, x_label="variance ratio"))
    parts += [draw.line(left.x(v), left.top, left.x(v), left.bottom, "zero") for v in (-SMALL, SMALL)]
    parts.append(draw.line(left.x(0), left.top, left.x(0), left.bottom, "axis"))
    for ratio in (0.25, *RATIOS, 1.0, 4.0):
        spot = math.log2(ratio)
        if right.low_x < spot < right.high_x:
            cls = "axis" if ratio == 1 else "zero" if ratio in RATIOS else "grid"
            parts.append(draw.line(right.x(spot), right.top, right.x(spot), right.bottom, cls))
            parts.append(draw.text(right.x(spot), right.bottom + 14, draw.number(ratio)))
    parts += [draw.text(left.left - 6, left.y(len(names) - i - 0.5) + 3.5, n, "end") for i, n in enumerate(names)]
    for engine, language, found in tables:
        kind = draw.DRAWN.get(language, "other")
        marks = []
        for i, name in enumerate(names):
            y = left.y(len(names) - i - 0.5)
            for axes, stem, scale in ((left, "std_diff", float), (right, "var_ratio", _log2)):
                for suffix, cls in (("", "ring"), ("_matched", "dot")):
                    value = scale(found.get(name, {}).get(stem + suffix, math.nan))
                    if math.isfinite(value):
                        shape, size = ("circle", 3.0) if language == "Python" else ("square", 4.4)
                        marks.append(draw.mark(shape, axes.x(value), y, size, cls))
        parts.append(draw.group(f"p-{kind} {'under' if language == 'R' else 'over'}", marks, engine))
    worst = max((abs(b.get("std_diff_matched", math.nan)) for b in tables[-1][2].values()), default=math.nan)
    return draw.Figure(
        title=f"{column_label(column.id)} {column.title}: balance",
        svg=draw.drawing(WIDTH, height, f"Balance before and after matching of {column.title}", parts),
        note=f"Hollow: before matching, filled: after. Largest difference left: {worst:.2f} SD",
    )


def _log2(value: float) -> float:
    return math.log2(value) if value > 0 else math.nan


def _balances(result: EstimationResult) -> Mapping[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for extra in result.extras:
        if extra.term.startswith("balance:"):
            value = math.nan if extra.value is None else extra.value
            found.setdefault(extra.term.partition(":")[2], {})[extra.quantity] = value
    return found
