"""How does hypothesis draw panels, so that what it reports is small?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

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
