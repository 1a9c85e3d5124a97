"""Figures of a report: what is drawn is what engines said, the same bytes twice, nothing from outside gets in."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from crosscheck.report import draw, figure_coverage, figure_events, figure_matching, figure_placebo
from crosscheck.report.data import fold
from crosscheck.report.layout import Layout
from crosscheck.report.model import ColumnRow, EngineRow, RunReport, SourceRow, TableRow
from crosscheck.report.rows import comparison_table
from crosscheck.report.spoken import spoken
from crosscheck.report.survival import survival
from crosscheck.results import Block, CoefRow, Condition, EstimationResult, Extra
from tests.report_runs import HOSTILE, events

LEGEND = (("***", 0.01), ("**", 0.05), ("*", 0.1))


def column(estimator, name="1", **more):
    fields = {
        "id": name, "title": "A title", "estimator": estimator, "formula": "", "vcov": {"type": "CRV1"}, "ssc": {},
        "options": {}, "where": "", "request_hash": "", "data_hash": "", "conf_level": 0.9, "legend": LEGEND,
        "rows": 10,
    }  # fmt: skip
    return ColumnRow(**{**fields, **more})


def engine(name, language):
    return EngineRow(
        id=name, package=name, version="1", language=language, transport="live", reason="", environment=(),
        recorded_on="",
    )  # fmt: skip


def report_of(columns, results, printed=()):
    """A report of one table whose sources give ``results``: (column, engine) to result."""
    base = fold(events())
    table = TableRow(id="t", title="", source="", columns=tuple(columns))
    sources = tuple(
        SourceRow(
            table="t", column=c, source=e, result=r, printed=(), cached=False, code="", request_hash=""
        )
        for (c, e), r in results.items()
    )  # fmt: skip
    report: RunReport = replace(
        base, tables=(table,), sources=(*sources, *printed), cells=(), pairs=(), findings=(),
        engines=(engine("py", "python"), engine("r.x", "r")),
    )  # fmt: skip
    return Layout(report), table


def result(name, coefs=(), extras=(), blocks=(), conditions=()):
    return EstimationResult(engine=name, coefs=coefs, extras=extras, blocks=blocks, conditions=conditions)


def effects(name, stem="event::{}:treated", times=(-3, -2, 0, 1, 2), shift=0.0):
    rows = tuple(
        CoefRow(term=stem.format(e), estimate=0.1 * e + shift, conf_low=0.1 * e - 1, conf_high=0.1 * e + 1)
        for e in times
    )
    return result(name, rows)


def test_an_event_study_has_a_mark_for_each_effect_and_a_ring_at_the_reference():
    c = column("feols", formula="y ~ i(event, treated, ref = -1) | u + t")
    layout, table = report_of([c], {("1", "py"): effects("py"), ("1", "r.x"): effects("r.x")})
    (figure,) = figure_events.figures(layout, table)
    assert figure.svg.count('class="dot"') == 10
    assert figure.svg.count('class="ring"') == 1
    assert figure.svg.count('class="p-python"') == figure.svg.count('class="p-r"') == 1
    assert "py, r.x" in figure.note
    assert "−1" in figure.note


def test_several_event_studies_are_also_laid_over_each_other():
    columns = [column("sunab", "a"), column("att_gt", "b", title=HOSTILE)]
    layout, table = report_of(
        columns, {("a", "py"): effects("py", "year::{}"), ("b", "py"): effects("py", "event={}", (-2, -1, 0, 1))}
    )
    together, first, second = figure_events.figures(layout, table)
    assert together.wide
    assert together.svg.count('class="dot"') == 9 + 2  # the legend has a mark for each column
    assert first.svg.count('class="ring"') == 1
    assert "ring" not in second.note
    assert "<script>" not in together.svg + second.svg


def test_year_dummies_and_levels_that_are_no_times_are_not_drawn():
    plain = effects("py", "year::{}", (1982, 1983, 1984))
    layout, table = report_of([column("feols")], {("1", "py"): plain})
    assert figure_events.figures(layout, table) == []
    layout, table = report_of([column("sunab")], {("1", "py"): effects("py", "cohort::{}", (2014, 2016, 2018))})
    assert figure_events.figures(layout, table) == []


def drawn(name, estimates, p):
    block = Block(term="draws", quantities=("estimate", "p_value", "p_value_iid"), values=(estimates, p, p))
    return result(name, (CoefRow(term="D", estimate=0.5),), blocks=(block,))


def test_placebo_draws_are_dots_with_their_density_and_the_true_estimate():
    rng = np.random.default_rng(1)
    b = tuple(rng.normal(size=400).tolist())
    p = tuple(rng.random(400).tolist())
    c = column("placebo", options={"treatment": "D", "threshold": 0.1})
    layout, table = report_of([c], {("1", "py"): drawn("py", b, p), ("1", "r.x"): drawn("r.x", b, p)})
    clustered, iid = figure_placebo.figures(layout, table)
    assert clustered.svg.count("h0") == 800
    assert clustered.svg.index('class="p-r under"') < clustered.svg.index('class="p-python over"')
    assert f"400 draws: {sum(x >= 0.5 for x in b)} at or above the true estimate" in clustered.note
    assert "at most 0.0e+00 apart" in clustered.note
    assert iid.title.endswith("iid standard errors")
    assert figure_placebo.figures(layout, table) == [clustered, iid]


def test_the_density_integrates_to_one():
    values = np.random.default_rng(2).normal(3, 2, 500)
    at = np.linspace(-10, 16, 2001)
    assert figure_placebo.density(values, at).sum() * (at[1] - at[0]) == pytest.approx(1, abs=1e-6)


def matched(name):
    p = tuple(np.linspace(0.05, 0.95, 40).tolist())
    values = (tuple(float(i % 2) for i in range(40)), p, tuple(float(i % 3 > 0) for i in range(40)))
    block = Block(
        term="rows", labels=tuple(map(str, range(40))), quantities=("treated", "propensity", "match_weight"),
        values=values,
    )  # fmt: skip
    quantities = {"std_diff": 0.8, "std_diff_matched": 0.05, "var_ratio": 2.5, "var_ratio_matched": 1.1}
    extras = tuple(Extra(term="balance:Fin", quantity=q, value=v) for q, v in quantities.items())
    return result(name, extras=extras, blocks=(block,))


def test_matching_has_a_plot_of_scores_and_one_of_balance():
    layout, table = report_of([column("psm_did")], {("1", "py"): matched("py"), ("1", "r.x"): matched("r.x")})
    scores, balance = figure_matching.figures(layout, table)
    assert "all 40 rows" in scores.note
    assert "26 matched" in scores.note
    assert 'class="fill"' in scores.svg
    assert balance.svg.count('class="ring"') == balance.svg.count('class="dot"') == 4
    assert "0.05 SD" in balance.note


def test_coverage_says_which_intervals_miss():
    extras = [
        Extra(term="monte_carlo", quantity="bias", value=0.001),
        Extra(term="monte_carlo", quantity="bias_se", value=0.001),
    ]
    for name, share in (("iid", (0.7, 0.65, 0.75)), ("CRV1", (0.9, 0.85, 0.94))):
        quantities = zip(("share", "share_low", "share_high"), share, strict=True)
        extras += [Extra(term=f"coverage [{name}]", quantity=q, value=v) for q, v in quantities]
    layout, table = report_of([column("monte_carlo")], {("1", "py"): result("py", extras=tuple(extras))})
    (figure,) = figure_coverage.figures(layout, table)
    assert figure.note.startswith("iid: not 90%")
    assert "(+1.0)" in figure.note


def grid(name, stars):
    rows = tuple(CoefRow(term=f"D [{k}]", estimate=1.0, p_value=0.02) for k in ("iid", "CRV1"))
    extras = tuple(Extra(term=f"D [{k}]", quantity="stars", value=v) for k, v in stars.items())
    return result(name, rows, extras)


def test_lost_stars_are_marked_and_a_dissenting_engine_is_named():
    c = column("inference_grid", options={"treatment": "D"})
    layout, table = report_of(
        [c], {("1", "py"): grid("py", {"iid": 2.0, "CRV1": 1.0}), ("1", "r.x"): grid("r.x", {"iid": 2.0, "CRV1": 2.0})}
    )
    found = survival(layout, table)
    assert found is not None
    assert found.kinds == ("iid", "CRV1")
    (row,) = found.rows
    assert (row.term, row.printed) == ("D", None)
    assert [m.engines for m in row.marks[1]] == [("py",), ("r.x",)]
    assert [m.lost for m in row.marks[1]] == [True, False]
    assert found.counts == (("iid", 1, 1), ("CRV1", 0, 1))
    assert survival(*report_of([column("feols")], {})) is None


def test_warnings_are_gathered_once_with_their_places():
    warning = Condition(kind="warning", text="cohort 2016 has 1 unit")
    layout, _ = report_of(
        [column("att_gt", "1"), column("att_gt", "2")],
        {("1", "py"): result("py", conditions=(warning,)), ("2", "r.x"): result("r.x", conditions=(warning,))},
    )
    (said,) = spoken(layout.report)
    assert (said.engines, said.places) == (("py", "r.x"), (("t", "1"), ("t", "2")))


def test_comparisons_share_the_number_of_their_reference():
    cells = [c for c in fold(events()).cells if c.reference == "r.fixest" and c.column == "1"]
    by: dict[str, list] = {}
    for c in cells:
        by.setdefault(c.candidate, []).append(c)
    text = comparison_table("r.fixest", tuple(by.items()))
    assert text.count("<tr><td>") == len({(c.term, c.quantity) for c in cells})
    assert re.search(r"<td>=<td>E", text) or "<td>N" in text


def test_coordinates_are_short():
    assert draw.place(12.04) == "12"
    assert draw.place(12.06) == "12.1"
    assert draw.padded([]) == (-0.05, 1.05)
