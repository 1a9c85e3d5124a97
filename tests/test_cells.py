"""Panels drawn cell by cell shrink to the few cells that matter, alone and in the making of a finding."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import find, given, settings

from crosscheck.campaign.case import Case, Checked, Discrepancy, Identity
from crosscheck.campaign.elementwise import fewer_cells, size_of
from crosscheck.campaign.finder import least
from crosscheck.errors import DataError
from crosscheck.frame import Column, Frame
from crosscheck.shrink import Layout
from crosscheck.simulate import Cells, PanelSpec, cell_panels, cells_like, make_panel, panels
from crosscheck.spec import FitRequest

QUIET = settings(max_examples=600, database=None, derandomize=True, deadline=None)
LAYOUT = Layout(unit="unit", time="time", positive=frozenset({"weight"}))


def tie_before_a_gap(frame: Frame) -> bool:
    """Say whether a unit has the same outcome above one twice, once without a weight: a pattern of three cells."""
    if not {"unit", "y", "weight"} <= set(frame.names):
        return False
    unit, y, weight = frame["unit"].codes()[0], frame["y"].as_float(), frame["weight"].as_float()
    same = (unit[:, None] == unit) & (y[:, None] == y) & (y > 1) & np.isnan(weight) & ~np.isnan(weight)[:, None]
    return bool(same.any())


def values(frame: Frame) -> dict[str, list[float]]:
    return {c.name: c.values.tolist() for c in frame.columns}


def test_cells_shrink_to_the_pattern_and_nothing_else():
    found = find(cell_panels(("y", "x", "weight", "sector")), tie_before_a_gap, settings=QUIET)
    assert found.nrows == 2
    assert values(found)["y"] == [2, 2]
    assert values(found)["x"] == [0, 0]
    assert sorted(values(found)["weight"], key=np.isnan)[0] == 1
    assert found["unit"].kind == "integer"
    again = find(cell_panels(("y", "x", "weight", "sector")), tie_before_a_gap, settings=QUIET)
    assert again.key == found.key


def test_panels_of_cells_shrink_to_one_plainest_row():
    found = find(cell_panels(), lambda frame: True, settings=QUIET)
    assert found.nrows == 1
    assert values(found) == {
        **{"unit": [1], "time": [1], "y": [0], "x": [0], "cohort": [0]},
        **{"weight": [1], "cluster": [1], "sector": [0], "treated": [0]},
    }


def test_panels_shrink_to_four_rows():
    found = find(panels(), lambda panel: panel.frame.nrows > 2, settings=QUIET)
    assert repr(found.spec) in ("PanelSpec()", "PanelSpec(seed=0)")
    assert found.frame.nrows == 4


@given(cell_panels())
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_cells_are_whole_panels(frame):
    assert 0 < frame.nrows <= 2 * 8 * 6
    assert np.unique(frame["unit"].codes()[0]).size <= 8
    assert np.unique(frame["time"].values).size <= 6
    cohort, time = frame["cohort"].as_float(), frame["time"].as_float()
    assert np.array_equal(frame["treated"].values == 1, (cohort > 0) & (time >= cohort))
    unit = frame["unit"].codes()[0]
    assert all(np.unique(cohort[unit == u]).size == 1 for u in np.unique(unit))
    assert frame.to_pandas().shape == (frame.nrows, 9)


def test_columns_of_ones_own():
    own = Cells(name="log pay", kind="float", values=(1e9, -1e9))
    found = find(cell_panels((own,), units=(2, 2), ids=("logical",)), lambda f: f.nrows == 2, settings=QUIET)
    assert set(values(found)["log pay"]) == {1e9}
    assert set(found["unit"].levels) <= {"T", "F"}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cell_panels(("z",)), "no cells 'z'"),
        (lambda: cell_panels(("y", "y")), "same name"),
        (lambda: cell_panels(units=(1, 9)), "units cannot be drawn cell by cell from 1 to 9"),
        (lambda: cell_panels(periods=(0, 3)), "periods cannot be drawn"),
        (lambda: cell_panels(ids=("roman",)), "cannot be called 'roman'"),
        (lambda: Cells(name="a", kind="float", values=()), "nothing may stand"),
        (lambda: Cells(name="a", kind="float", values=("b",)), "'b' cannot stand"),
        (lambda: Cells(name="a", kind="date", values=(1,)), "kind 'date'"),
        (lambda: cells_like(make_panel(PanelSpec(units=9, periods=6)).frame, LAYOUT), "54 rows is not drawn"),
        (lambda: cells_like(make_panel(PanelSpec()).frame, Layout(unit="firm")), "no column"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, says):
    with pytest.raises(DataError if "no column" not in says else Exception, match=says):
        make()


def failing_panel() -> Frame:
    """Return the first panel of 5 x 4 that shows the pattern."""
    for seed in range(500):
        spec = PanelSpec(
            units=5, periods=4, integer_y=1, weights="analytic", missing_weights=3, regressors=1, seed=seed
        )
        frame = make_panel(spec).frame.select(("unit", "time", "y", "x1", "weight"))
        if tie_before_a_gap(frame):
            return frame
    raise AssertionError


def test_cells_near_a_failing_panel_shrink_to_the_pattern():
    frame = failing_panel()
    found = find(cells_like(frame, LAYOUT), tie_before_a_gap, settings=settings(QUIET, max_examples=60))
    assert found.nrows == 2
    assert values(found)["x1"] == [0, 0]
    assert found["y"].kind == "integer"
    pairs = {(u, t) for u, t in zip(frame["unit"].values, frame["time"].values, strict=True)}
    assert {(u, t) for u, t in zip(found["unit"].values, found["time"].values, strict=True)} <= pairs


class CellFault:
    """A property that a planted fault breaks: an engine that errs where a pattern of cells is."""

    def __init__(self, pattern) -> None:
        self.pattern, self.asked = pattern, 0

    def __call__(self, case: Case) -> bool:
        self.asked += 1
        identity = Identity(rule="planted", engine="mine", quantity="estimate")
        found = (Discrepancy(identity=identity),) if self.pattern(case.frame) else ()
        return bool(Checked(compared=1, discrepancies=found).discrepancies)


def test_the_second_stage_draws_cells_and_keeps_to_its_calls():
    frame = failing_panel()
    case = Case(seed=0, frame=frame, requests=(FitRequest(formula="`y` ~ `x1`"),), engines=("mine",), rule="planted")
    fault = CellFault(tie_before_a_gap)
    small = fewer_cells(case, fault, LAYOUT, calls=200)
    assert small.frame.nrows == 2
    assert fault.asked <= 201
    assert size_of(small.frame) < size_of(frame)
    assert fewer_cells(case, CellFault(tie_before_a_gap), LAYOUT, calls=200).frame.key == small.frame.key
    assert fewer_cells(case, CellFault(tie_before_a_gap), LAYOUT, calls=3).frame.nrows <= frame.nrows


def test_panels_that_are_too_large_or_must_stay_whole_are_left_as_they_are():
    frame = make_panel(PanelSpec(units=9, periods=6)).frame
    case = Case(seed=0, frame=frame, requests=(FitRequest(formula="`y` ~ `treated`"),), engines=("mine",))
    fault = CellFault(lambda _: True)
    assert fewer_cells(case, fault, LAYOUT) is case
    assert not fault.asked
    less = case.with_(frame=failing_panel())
    assert fewer_cells(less, lambda c: c.frame is less.frame, LAYOUT) is less


def test_two_cells_that_only_together_matter_go_together():
    """Single cells cannot be made plainer: the sum of the column has to stay even, and no value may stand alone."""

    def even(frame: Frame) -> bool:
        y = frame["y"].as_float()
        return frame.nrows == 4 and not np.isnan(y).any() and y.sum() % 2 == 0 and bool((y > 0).all())

    columns = (
        Column("unit", "integer", np.array([1, 1, 2, 2], dtype=np.int32)),
        Column("time", "integer", np.array([1, 2, 1, 2], dtype=np.int32)),
        Column("y", "integer", np.array([7, 6, 8, 9], dtype=np.int32)),
    )
    start = Frame(columns, 4)
    found = least(
        cells_like(start, LAYOUT),
        even,
        key=lambda f: f.key,
        size=size_of,
        bound=size_of(start),
        examples=200,
        calls=400,
    )
    assert found is not None
    assert values(found)["y"] == [1, 1, 1, 1]


def test_an_interrupted_search_keeps_what_it_found():
    asked = []

    def shows(value: int) -> bool:
        asked.append(value)
        return value > 10

    from hypothesis import strategies as st

    kept = least(st.integers(0, 1000), shows, key=int, size=lambda v: (v,), bound=(900,), examples=50, calls=4)
    assert len(asked) == 4
    assert kept is None or kept in asked
    whole = least(st.integers(0, 1000), shows, key=int, size=lambda v: (v,), bound=(900,), examples=50, calls=100)
    assert whole == 11
    assert (
        least(st.integers(0, 1000), lambda v: False, key=int, size=lambda v: (v,), bound=(9,), examples=5, calls=9)
        is None
    )


def test_a_frame_that_is_the_panel_again_is_not_the_panel():
    panel = make_panel(PanelSpec(units=3))
    case = Case(seed=0, frame=panel.frame, requests=(FitRequest(formula="`y` ~ 1"),), engines=(), panel=panel)
    assert case.whole
    assert not case.with_(frame=dataclasses.replace(panel.frame)).whole
