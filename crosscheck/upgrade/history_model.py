"""What does a range of versions hold? Plain frozen data, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from crosscheck.upgrade.model import SideRow, Upgrade
from crosscheck.upgrade.serial import side_data, to_json
from crosscheck.verdict import Severity

HISTORY_SCHEMA = 1
Mark = Literal["first", "same", "drift", "toward", "away", "neither", "moved", "gone", "new", "error", "unsupported",
               "unsteady", "not asked"]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A quantity at one version, held against the version before.

    ``names`` are the witnesses that it moved toward or away from.
    """

    mark: Mark
    relative: float | None = None
    names: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One class of quantity of one estimation, over all versions."""

    question: str
    title: str
    quantity: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Versions in a row.

    Attributes
    ----------
    sides : tuple of SideRow
        Those that were run, in order.
    skipped : mapping of str to str
        Versions that could not be, and why.
    rows : tuple of Row
        Those that changed anywhere.
    steps : tuple of Upgrade
        Each version against the one before, where anything changed.
    unchanged : int
        Rows that are the same in all versions.
    left_out : tuple of str
        Versions that a bisection did not need.
    """

    crosscheck: str
    command: str
    started: str
    seconds: float
    package: str
    mode: str
    sides: tuple[SideRow, ...]
    skipped: Mapping[str, str]
    rows: tuple[Row, ...]
    steps: tuple[Upgrade, ...]
    unchanged: int
    left_out: tuple[str, ...]
    fail_on: Severity
    summary: str
    exit_code: int


def history_json(h: History) -> dict[str, Any]:
    """Return the content of ``history.json``."""
    return {
        "schema": HISTORY_SCHEMA,
        "crosscheck": h.crosscheck,
        "command": h.command,
        "started": h.started,
        "seconds": h.seconds,
        "package": h.package,
        "mode": h.mode,
        "versions": [side_data(s) for s in h.sides],
        "skipped": dict(h.skipped),
        "left_out": list(h.left_out),
        "unchanged": h.unchanged,
        "summary": h.summary,
        "fail_on": h.fail_on,
        "exit_code": h.exit_code,
        "rows": [
            {
                "question": r.question,
                "title": r.title,
                "quantity": r.quantity,
                "entries": [
                    {"mark": e.mark, "relative": e.relative, "witnesses": list(e.names), "causes": list(e.causes)}
                    for e in r.entries
                ],
            }
            for r in h.rows
        ],
        "steps": [to_json(u) for u in h.steps],
    }
