"""Which few cells show the discrepancy? Hypothesis draws panels up to 8 x 6 near the failing one, cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crosscheck.campaign.case import Case
from crosscheck.campaign.finder import Size, least
from crosscheck.frame import Frame
from crosscheck.shrink import Layout
from crosscheck.shrink.values import total

EXAMPLES = 40
CALLS = 120


def fewer_cells(case: Case, shows: Callable[[Case], bool], layout: Layout, *, calls: int = CALLS) -> Case:
    """Return the case on the panel of fewest rows and plainest cells that still shows the discrepancy.

    Parameters
    ----------
    case : Case
    shows : callable
        Says whether a case shows it.
    layout : Layout
        Roles of the columns.
    calls : int
        How often it may be asked.

    Returns
    -------
    Case
        The same one where its panel is larger than eight units by six periods, where the property speaks of simulated
        panels as a whole, or where nothing smaller shows it.
    """
    try:
        from crosscheck.simulate.cells import cells_like, fits
    except ImportError:  # hypothesis is an extra
        return case
    roles = _present(layout, case.frame)
    if not fits(case.frame, roles) or not shows(case.with_(frame=replace(case.frame))):
        return case
    found = least(
        cells_like(case.frame, roles),
        lambda frame: shows(case.with_(frame=frame)),
        key=lambda frame: frame.key,
        size=size_of,
        bound=size_of(case.frame),
        examples=EXAMPLES,
        calls=calls,
    )
    return case if found is None else case.with_(frame=found)


def size_of(frame: Frame) -> Size:
    """Say how much there is to read in a panel: rows, then missing values and digits."""
    costs = [total(c.as_float()) for c in frame.columns if c.kind != "category"]
    levels = sum(len(c.levels) for c in frame.columns)
    return (frame.nrows, *(sum(part) for part in zip(*costs, strict=True)), levels)


def _present(layout: Layout, frame: Frame) -> Layout:
    there = set(frame.names)
    return replace(
        layout,
        unit=layout.unit if layout.unit in there else None,
        time=layout.time if layout.time in there else None,
        groups=tuple(n for n in layout.groups if n in there),
        calendar=tuple(n for n in layout.calendar if n in there),
    )
