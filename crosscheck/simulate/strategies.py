"""How does hypothesis draw panels, so that what it reports is small?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from crosscheck.errors import DataError
from crosscheck.simulate.panel import Panel, make_panel
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.simulate.space import Limits, draw_spec


@st.composite
def _specs(draw: st.DrawFn, limits: Limits) -> PanelSpec:
    def pick(options: Sequence[Any]) -> Any:
        return options[draw(_up_to(len(options)))]

    return draw_spec(pick, limits)


_RANGES: dict[int, st.SearchStrategy[int]] = {}


def _up_to(count: int) -> st.SearchStrategy[int]:
    if count not in _RANGES:
        _RANGES[count] = st.integers(0, count - 1)
    return _RANGES[count]


def specs(limits: Limits | None = None) -> st.SearchStrategy[PanelSpec]:
    """Draw specifications of panels; they shrink to two units, one of them treated, in two periods, and no quirk."""
    return _specs(limits or Limits())


LARGEST = (8, 6)


@st.composite
def _written(draw: st.DrawFn, limits: Limits) -> Panel:
    spec = draw(specs(limits))
    units = spec.units + spec.singletons
    cells = draw(st.lists(st.integers(-9, 9), min_size=units * spec.periods, max_size=units * spec.periods))
    return make_panel(spec, np.array(cells, dtype=np.float64).reshape(units, spec.periods))


def written_panels(limits: Limits | None = None) -> st.SearchStrategy[Panel]:
    """Draw panels whose errors are whole numbers drawn cell by cell, so that they shrink to zeros.

    Hypothesis is slow with many cells: eight units and six periods are the most.

    Raises
    ------
    DataError
        Where the limits allow larger panels.
    """
    limits = limits or Limits(units=(2, LARGEST[0]), periods=(2, LARGEST[1]), errors=("iid",))
    if limits.units[1] > LARGEST[0] or limits.periods[1] > LARGEST[1] or "none" in limits.errors:
        raise DataError(
            "panels are drawn cell by cell up to eight units and six periods, with errors",
            hint="take panels() for larger ones",
        )
    return _written(limits)


def panels(limits: Limits | None = None) -> st.SearchStrategy[Panel]:
    """Draw panels of known effects; they shrink to four rows.

    Parameters
    ----------
    limits : Limits, optional
        Sizes, effects, errors and quirks to draw from; default: all.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(panels())
    ... def test_rows_have_a_unit_and_a_period(panel):
    ...     assert panel.frame.nrows > 0
    """
    return specs(limits).map(make_panel)
