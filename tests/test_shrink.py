"""Does shrinking keep to one disagreement, repeat itself, end, and leave something small?"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from crosscheck.errors import DataError, UsageError
from crosscheck.frame import Column, Frame
from crosscheck.shrink import Layout, shrink

LAYOUT = Layout(unit="id", time="t", calendar=("g",), binary=frozenset({"d"}), groups=("region",))


def panel(units=12, periods=6, seed=0) -> Frame:
    rng = np.random.default_rng(seed)
    n = units * periods
    unit = np.repeat(np.arange(units, dtype=np.int32), periods)
    time = np.tile(np.arange(2001, 2001 + periods, dtype=np.int32), units)
    cohort = np.where(unit % 3 == 0, 0, 2003 + unit % 3).astype(np.int32)
    return Frame(
        (
            Column("id", "category", unit, tuple(f"Unit {i:02d}" for i in range(units))),
            Column("t", "integer", time),
            Column("g", "integer", cohort),
            Column("region", "category", (unit % 4).astype(np.int32), ("n", "o", "s", "w")),
            Column("y", "float", rng.normal(size=n)),
            Column("x", "float", rng.normal(size=n) * 1e3),
            Column("d", "integer", ((cohort > 0) & (time >= cohort)).astype(np.int32)),
        ),
        n,
    )


def counted(question):
    calls = []

    def ask(frame):
        calls.append(frame.key)
        return question(frame)

    return ask, calls


def needs_a_gap(frame):
    """A fault that shows where some unit misses a period that lies between two others of it."""
    if not {"id", "t"} <= set(frame.names):
        return None
    for code in np.unique(frame["id"].codes()[0]):
        own = np.sort(frame["t"].as_float()[frame["id"].codes()[0] == code])
        if (np.diff(own) > 1).any():
            return ("gap", "engine")
    return None


def test_a_fault_that_needs_a_gap_is_shrunk_to_two_rows():
    whole = panel()
    start = whole.take(np.arange(whole.nrows) != 9)
    ask, calls = counted(needs_a_gap)
    found = shrink(start, ask, layout=LAYOUT)
    assert found.identity == ("gap", "engine")
    assert needs_a_gap(found.frame) == found.identity
    assert found.frame.nrows == 2
    assert found.frame.names == ("id", "t")
    assert found.frame["id"].levels == ("a",)
    assert found.frame["t"].values.tolist() == [1, 3]
    assert found.calls == len(calls) < 400
    assert found.stopped == ""


def test_the_same_panel_gives_the_same_steps_and_no_panel_is_asked_twice():
    start = panel()

    def question(frame):
        return "negative" if "y" in frame and (frame["y"].as_float() < -1.5).any() else None

    ask, calls = counted(question)
    first, second = shrink(start, ask, layout=LAYOUT), shrink(start, question, layout=LAYOUT)
    assert first.frame.key == second.frame.key
    assert first.steps == second.steps
    refused = [key for key, times in ((k, calls.count(k)) for k in set(calls)) if times > 1]
    assert not refused
    assert first.frame.nrows == 1
    assert first.frame["y"].values.tolist() == [-2.0]


def test_shrinking_does_not_slide_to_another_fault():
    start = panel()

    def question(frame):
        if "d" not in frame:
            return None
        treated = int(frame["d"].as_float().sum())
        if treated == 0:
            return "nothing treated"
        return "many treated" if treated >= 5 else "few treated"

    found = shrink(start, question, layout=LAYOUT)
    assert found.identity == "many treated"
    assert question(found.frame) == "many treated"
    assert found.frame.nrows == 5


def test_a_fault_of_a_regression_is_shrunk_to_a_handful_of_rows_and_digits():
    """A fault that shows wherever a two-way regression has a residual: integers of one digit suffice."""

    def question(frame):
        if not {"id", "t", "y", "x"} <= set(frame.names) or frame.nrows < 4:
            return None
        unit, time = frame["id"].codes()[0], frame["t"].codes()[0]
        y, x = frame["y"].as_float(), frame["x"].as_float()
        dummies = np.column_stack([unit[:, None] == np.unique(unit), time[:, None] == np.unique(time)]).astype(float)
        rank = np.linalg.matrix_rank(dummies)
        resid = x - dummies @ np.linalg.lstsq(dummies, x, rcond=None)[0]
        if frame.nrows - rank - 1 < 1 or resid @ resid <= 1e-6 * (x @ x):
            return None
        b = resid @ y / (resid @ resid)
        e = y - dummies @ np.linalg.lstsq(dummies, y, rcond=None)[0] - b * resid
        if e @ e < 1e-9:
            return None
        return "std_error"

    found = shrink(panel(), question, layout=LAYOUT)
    assert found.frame.nrows <= 6
    values = np.concatenate([found.frame[n].as_float() for n in ("y", "x")])
    assert np.array_equal(values, np.trunc(values))
    assert np.abs(values).max() <= 9


def test_budgets_end_the_search_and_are_named():
    start = panel()

    def question(frame):
        return "always" if frame.nrows >= 3 else None

    few = shrink(start, question, layout=LAYOUT, max_calls=5)
    assert few.stopped == "calls"
    assert few.calls <= 5 + 200
    ticks = itertools.count()
    slow = shrink(start, question, layout=LAYOUT, max_seconds=7.0, clock=lambda: float(next(ticks)))
    assert slow.stopped == "seconds"
    assert question(slow.frame) == "always"


def test_names_are_given_even_when_the_calls_are_spent():
    few = shrink(panel(), lambda frame: "always", layout=LAYOUT, max_calls=1)
    assert few.stopped == "calls"
    assert few.frame["id"].levels[0] == "a"
    assert few.frame["t"].values.min() == 1


def test_digits_are_cut_even_when_the_calls_are_spent():
    few = shrink(panel(), lambda frame: "always", layout=LAYOUT, max_calls=1)
    assert few.frame.nrows > 10
    for name in ("y", "x"):
        values = few.frame[name].as_float()
        assert np.array_equal(values, np.trunc(values))


def test_levels_that_no_row_has_are_kept_where_the_fault_needs_them():
    base = panel(units=3, periods=2)
    levels = (*base["id"].levels, "nobody")
    columns = tuple(Column("id", "category", c.values, levels) if c.name == "id" else c for c in base.columns)
    start = Frame(columns, base.nrows)

    def question(frame):
        if "id" not in frame:
            return None
        return "unused" if len(frame["id"].levels) > len(np.unique(frame["id"].values)) else None

    found = shrink(start, question, layout=LAYOUT)
    assert found.frame.nrows == 1
    assert len(found.frame["id"].levels) > 1


def test_roles_are_respected():
    start = panel()

    def question(frame):
        if not {"d", "x"} <= set(frame.names):
            return None
        assert set(frame["d"].as_float().tolist()) <= {0.0, 1.0}
        assert frame["x"].as_float().tolist() == [v for v in frame["x"].as_float().tolist() if v > 0]
        return "seen"

    positive = start["x"].as_float() > 0
    layout = Layout(
        unit="id", time="t", calendar=("g",), binary=frozenset({"d"}), positive=frozenset({"x"}), keep=frozenset({"y"})
    )
    found = shrink(start.take(positive), question, layout=layout)
    assert "y" in found.frame
    assert not float(found.frame["y"].values[0]).is_integer()


def test_cohorts_are_renumbered_with_the_periods_and_never_stays():
    def question(frame):
        if not {"t", "g"} <= set(frame.names):
            return None
        t, g = frame["t"].as_float(), frame["g"].as_float()
        return "both" if ((g == 0).any() and (g - t == 2).any() and (g - t == -1).any()) else None

    found = shrink(panel(), question, layout=LAYOUT)
    assert found.frame["t"].values.min() == 1
    assert 0 in found.frame["g"].values
    assert question(found.frame) == "both"


def test_an_error_of_crosscheck_counts_as_no_and_any_other_is_passed_on():
    start = panel(units=3, periods=3)

    def refuses(frame):
        if frame.nrows < start.nrows:
            raise DataError("too few rows")
        return "seen"

    assert shrink(start, refuses, layout=LAYOUT).frame.nrows == start.nrows

    def breaks(frame):
        if frame.nrows < start.nrows:
            raise RuntimeError("a fault of the question")
        return "seen"

    with pytest.raises(RuntimeError, match="a fault of the question"):
        shrink(start, breaks, layout=LAYOUT)


def test_a_panel_without_a_difference_and_a_wrong_layout_are_refused():
    with pytest.raises(UsageError, match="nothing to shrink"):
        shrink(panel(), lambda frame: None, layout=LAYOUT)
    with pytest.raises(UsageError, match="unit names 'firm'"):
        shrink(panel(), lambda frame: "seen", layout=Layout(unit="firm"))
