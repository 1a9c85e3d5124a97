"""Which cases does the sentinel set hold for a package?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.errors import UsageError
from crosscheck.frame import Column, Frame
from crosscheck.upgrade.calls import call_from_json
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.sentinel import (
    did_cases,
    linearmodels_cases,
    linearmodels_further,
    pyfixest_cases,
    pyfixest_further,
    statsmodels_cases,
    statsmodels_further,
)
from crosscheck.upgrade.sentinel.grid import latin
from crosscheck.upgrade.sentinel.panels import SentinelPanel, read_panels
from crosscheck.upgrade.sentinel.requests import request_of

PACKAGES = ("pyfixest", "linearmodels", "statsmodels", "csdid", "differences")
TEXTS = ("unit", "sector", "region", "cluster")
HELD: tuple[str | None, ...] = (None, "category", "object")
"""How the user holds columns of text: as pandas reads them, as categories, as Python objects."""


def folder() -> Path:
    """Return where the recorded panels and answers are: in the repository, or beside an installed package."""
    here = Path(__file__).parent
    beside = here / "recorded"
    return beside if beside.is_dir() else here.parents[2] / "fixtures" / "sentinel"


@cache
def sentinel_cases(package: str, where: Path | None = None) -> tuple[Case, ...]:
    """Return the cases of a package, in an order that does not change.

    Parameters
    ----------
    package : str
        Of :data:`PACKAGES`.
    where : Path, optional
        Folder of the recorded panels.

    Raises
    ------
    UsageError
        Where there is no set for the package.
    DataError
        Where the recorded panels are not there or were changed.
    """
    if package not in PACKAGES:
        raise UsageError(f"there is no sentinel set for {package!r}", allowed=", ".join(PACKAGES))
    panels = read_panels(where or folder())
    grids = {
        f"held/{package}": list(_calls(package, panels)),
        f"held/{package}/further": list(_further(package, panels)),
    }
    return tuple(
        _case(package, *call, panels, h["held"])
        for name, calls in grids.items()
        if calls
        for call, h in zip(calls, latin({"held": HELD}, len(calls), name), strict=True)
        if not _optional(call[2])
    )


def _optional(raw: Mapping[str, Any]) -> bool:
    """Say whether a call asks for what a package has only beside another: numba is optional from pyfixest 0.60 on."""
    demeaner = raw["arguments"].get("demeaner")
    return isinstance(demeaner, Mapping) and demeaner.get("backend") == "numba"


def first_grid(package: str) -> frozenset[str]:
    """Return the ids of the cases that were there when the first list of changes was written."""
    panels = read_panels(folder())
    return frozenset(f"sentinel/{package}/{name}" for name, _, _ in _calls(package, panels))


def _calls(package: str, panels: Mapping[str, SentinelPanel]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if package == "pyfixest":
        yield from pyfixest_cases.cases(*_facts(panels))
    elif package == "linearmodels":
        yield from linearmodels_cases.cases()
    elif package == "statsmodels":
        yield from statsmodels_cases.cases()
    elif package == "csdid":
        yield from did_cases.csdid_cases()
    else:
        yield from did_cases.differences_cases()


def _further(package: str, panels: Mapping[str, SentinelPanel]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if package == "pyfixest":
        yield from pyfixest_further.further(*_facts(panels))
    elif package == "linearmodels":
        once = {name for name, p in panels.items() if not p.drawn["duplicates"]}
        yield from linearmodels_further.further(tuple(name for name in linearmodels_cases.PANELS if name in once))
    elif package == "statsmodels":
        yield from statsmodels_further.further()
    elif package == "csdid":
        yield from did_cases.csdid_further()


def _facts(panels: Mapping[str, SentinelPanel]) -> tuple[frozenset[str], dict[str, int]]:
    """Return the panels whose weights count rows, and the first period of each."""
    counted = frozenset(name for name, p in panels.items() if p.drawn["weights"] == "frequency")
    return counted, {name: int(p.drawn["first"][0]) for name, p in panels.items()}


def _case(
    package: str,
    name: str,
    panel_name: str,
    raw: dict[str, Any],
    panels: Mapping[str, SentinelPanel],
    held: str | None,
) -> Case:
    panel = panels[panel_name]
    predicts = "predict_new" in raw["want"]
    texts = [c for c in TEXTS if c in panel.frame and panel.frame[c].kind == "category"]
    dtypes = raw.get("dtypes", {}) | (dict.fromkeys(texts, held) if held else {})
    raw = {**raw, "dtypes": dtypes, "new_rows": "new" if predicts else ""}
    call = call_from_json(raw)
    frame = _with_identifiers(panel.frame) if package in ("csdid", "differences") else panel.frame
    asked = request_of(raw, frame, frequency=panel.drawn["weights"] == "frequency")
    request, rows = asked if asked is not None else (None, None)
    fields = ", ".join(f"{k} {v}" for k, v in panel.drawn.items() if k in ("ids", "rows", "missing", "weights"))
    return Case(
        id=f"sentinel/{package}/{name}",
        frame=frame,
        call=call,
        new_rows=panel.new_rows if predicts else None,
        request=request,
        witness_frame=None if rows is frame else rows,
        title=f"{raw['function']} {raw.get('formula', '')} on {panel_name}".strip(),
        topics=(name.partition("-")[0], fields),
    )


def _with_identifiers(frame: Frame) -> Frame:
    """Add the number of each row, and the cohort with a missing value for units that are never treated."""
    cohort = frame["cohort"].as_float()
    more = (
        Column(did_cases.ROW, "integer", np.arange(frame.nrows, dtype=np.int32)),
        Column(did_cases.FIRST, "float", np.where(cohort > 0, cohort, np.nan)),
    )
    return Frame((*frame.columns, *more), frame.nrows)
