"""Blocks: many like numbers are one comparison, and a single one that differs or lacks decides it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from crosscheck.compare import compare
from crosscheck.compare_known import compare_truth
from crosscheck.judging import Context, Tolerance
from crosscheck.results import Block, EstimationResult, result_from_json
from crosscheck.truth import KnownTruth

CONTEXT = Context(study="s", table="t", column="c", legend={}, decimals={}, tolerances={})
ESTIMATES = tuple(0.01 * (i - 500) for i in range(1000))
ERRORS = tuple(0.5 + i / 1000 for i in range(1000))


def result(engine, estimates=ESTIMATES, errors=ERRORS, labels=(), **more):
    block = Block(term="draws", labels=labels, quantities=("estimate", "std_error"), values=(estimates, errors))
    return EstimationResult(engine=engine, blocks=(block,), **more)


def changed(values, at, value):
    return (*values[:at], value, *values[at + 1 :])


def by_quantity(cells):
    return {c.quantity: c for c in cells}


def test_equal_draws_are_one_exact_comparison_for_each_quantity():
    cells = compare(result("a"), result("b"), CONTEXT)
    assert [(c.term, c.quantity, c.verdict) for c in cells] == [
        ("draws", "estimate", "exact"), ("draws", "std_error", "exact"),
    ]  # fmt: skip
    assert "all 1,000 draws" in cells[0].reason


def test_rounding_is_numerical_and_the_worst_draw_is_named():
    other = changed(ESTIMATES, 416, ESTIMATES[416] + 1e-12)
    cell = by_quantity(compare(result("a"), result("b", other), CONTEXT))["estimate"]
    assert cell.verdict == "numerical"
    assert cell.reason == "all 1,000 draws agree; largest difference in 417"
    assert cell.abs_diff == pytest.approx(1e-12, rel=1e-3)
    assert cell.diff_in_se == pytest.approx(1e-12 / ERRORS[416], rel=1e-3)


@pytest.mark.parametrize("place", [0, 500, 999])
def test_a_single_wrong_draw_is_caught(place):
    other = changed(ESTIMATES, place, ESTIMATES[place] + 1e-4)
    cell = by_quantity(compare(result("a"), result("b", other), CONTEXT))["estimate"]
    assert cell.verdict == "unexplained"
    assert cell.severity in ("printed", "cosmetic")
    assert cell.reason == f"1 of 1,000 draws differ; largest difference in {place + 1}"
    assert (cell.reference_value, cell.candidate_value) == (ESTIMATES[place], other[place])


def test_a_wrong_standard_error_is_caught():
    other = changed(ERRORS, 3, ERRORS[3] * (1 + 2e-6))
    cells = by_quantity(compare(result("a"), result("b", errors=other), CONTEXT))
    assert cells["std_error"].verdict == "unexplained"
    assert cells["estimate"].verdict == "exact"


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_draw_that_one_side_lacks_is_not_agreement(nothing):
    cells = compare(result("a"), result("b", changed(ESTIMATES, 7, nothing)), CONTEXT)
    assert [(c.verdict, c.severity) for c in cells if c.quantity == "estimate"] == [
        ("exact", "none"), ("missing_candidate", "structural"),
    ]  # fmt: skip
    assert "999" in cells[0].reason
    assert cells[1].reason == "b has no number for 1 of 1,000 draws: 8"
    swapped = compare(result("b", changed(ESTIMATES, 7, nothing)), result("a"), CONTEXT)
    assert swapped[1].verdict == "missing_reference"


def test_a_draw_that_both_lack_is_counted_apart():
    lacking = changed(ESTIMATES, 7, math.nan)
    cells = compare(result("a", lacking), result("b", lacking), CONTEXT)
    assert (cells[1].verdict, cells[1].severity) == ("missing_reference", "none")
    assert cells[1].reason == "1 of 1,000 draws have no number on either side: 8"


def test_members_are_met_by_their_names_not_by_their_places():
    labels = tuple(f"p{i}" for i in range(1000))
    shuffled = result("b", ESTIMATES[::-1], ERRORS[::-1], labels[::-1])
    assert {c.verdict for c in compare(result("a", labels=labels), shuffled, CONTEXT)} == {"exact"}
    fewer = result("b", ESTIMATES[:-2], ERRORS[:-2], labels[:-2])
    cells = compare(result("a", labels=labels), fewer, CONTEXT)
    assert [c.verdict for c in cells] == ["exact", "missing_candidate"] * 2
    assert cells[1].reason == "b has no number for 2 of 1,000 draws: p998, p999"


def test_a_whole_block_or_quantity_that_is_missing_shows():
    bare = EstimationResult(engine="b")
    assert [(c.quantity, c.verdict) for c in compare(result("a"), bare, CONTEXT)] == [
        ("estimate", "missing_candidate"), ("std_error", "missing_candidate"),
    ]  # fmt: skip
    half = EstimationResult(engine="b", blocks=(Block(term="draws", quantities=("estimate",), values=(ESTIMATES,)),))
    assert [c.verdict for c in compare(result("a"), half, CONTEXT)] == ["exact", "missing_candidate"]


def test_a_tolerance_of_the_study_applies_and_is_shown():
    context = replace(CONTEXT, tolerances={("draws", "estimate"): Tolerance(rtol=0.1, reason="why")})
    cell = by_quantity(compare(result("a"), result("b", changed(ESTIMATES, 0, -5.1)), context))["estimate"]
    assert (cell.verdict, cell.tolerance) == ("numerical", "why")


def test_infinite_numbers_agree_only_with_themselves():
    infinite = changed(ESTIMATES, 2, math.inf)
    assert by_quantity(compare(result("a", infinite), result("b", infinite), CONTEXT))["estimate"].verdict == "exact"
    assert by_quantity(compare(result("a", infinite), result("b"), CONTEXT))["estimate"].verdict == "unexplained"


def test_known_truths_of_members_are_one_comparison():
    labels = tuple(f"p{i}" for i in range(1000))
    truths = [
        KnownTruth(table="t", column="c", term=x, quantity="estimate", value=v, line=1)
        for x, v in zip(labels, ESTIMATES, strict=True)
    ]
    (cell,) = compare_truth(truths, result("a", labels=labels), CONTEXT)
    assert (cell.term, cell.quantity, cell.verdict) == ("draws", "estimate", "exact")
    (cell,) = compare_truth(truths, result("a", changed(ESTIMATES, 5, 0.3), labels=labels), CONTEXT)
    assert (cell.verdict, cell.severity) == ("unexplained", "decision")
    found = compare_truth(truths, result("a", changed(ESTIMATES, 5, None), labels=labels), CONTEXT)
    assert {c.verdict for c in found} == {"exact", "missing_candidate"}


def test_blocks_survive_json_and_refuse_what_is_ragged():
    made = result("a", changed(ESTIMATES, 1, None), labels=tuple(map(str, range(1000))))
    assert result_from_json(made.to_json()) == made
    with pytest.raises(ValueError, match="ragged"):
        Block(term="d", quantities=("a", "b"), values=((1.0,), (1.0, 2.0)))
    with pytest.raises(ValueError, match="twice"):
        Block(term="d", labels=("x", "x"), quantities=("a",), values=((1.0, 2.0),))
