"""Panels whose effects are known: simulated ones, and ones reconstructed to be consistent with printed tables.

``from crosscheck.simulate import panels`` gives a hypothesis strategy of panels, ``cell_panels`` one of panels drawn
cell by cell; :class:`PanelSpec` and :func:`make_panel` give a single one. Names are looked up when they are asked for:
nothing here imports hypothesis or scipy before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosscheck.simulate.cells import Cells, cell_panels, cells_like
    from crosscheck.simulate.effects import Truth
    from crosscheck.simulate.panel import Panel, make_panel
    from crosscheck.simulate.panel_spec import PanelSpec
    from crosscheck.simulate.space import Limits, seeded_spec, varied_spec
    from crosscheck.simulate.strategies import panels, specs, written_panels

__all__ = [
    "Cells",
    "Limits",
    "Panel",
    "PanelSpec",
    "Truth",
    "cell_panels",
    "cells_like",
    "make_panel",
    "panels",
    "seeded_spec",
    "specs",
    "varied_spec",
    "written_panels",
]

_HOMES = {
    "Cells": "cells",
    "Limits": "space",
    "Panel": "panel",
    "PanelSpec": "panel_spec",
    "Truth": "effects",
    "cell_panels": "cells",
    "cells_like": "cells",
    "make_panel": "panel",
    "panels": "strategies",
    "seeded_spec": "space",
    "specs": "strategies",
    "varied_spec": "space",
    "written_panels": "strategies",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
