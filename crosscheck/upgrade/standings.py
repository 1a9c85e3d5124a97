"""What does a change do to the exit code, and which comes first?"""

from __future__ import annotations

from dataclasses import replace

from crosscheck.upgrade.model import KINDS, Change, Kind, Standing
from crosscheck.verdict import SEVERITIES

BETTER: tuple[Kind, ...] = ("term new", "error gone", "unsupported gone", "warning gone")
NOTES: tuple[Kind, ...] = ("renamed", "dropped", "error changed", "report new")


def stood(change: Change) -> Change:
    """Return a change with what it does to the exit code; what is gained turns no digit of a printed table."""
    found = standing(change)
    return replace(change, standing=found, severity="cosmetic" if found in ("better", "note") else change.severity)


def standing(change: Change) -> Standing:
    """Say what a change does to the exit code: what is gained does not count against a version, unless it is refuted.

    A number that both versions give and that moved counts for better or worse: the paper's number is another one. A
    number that is new is refuted where a witness gives another one, or has no such term, and none gives it; a witness
    that fails itself refutes nothing.
    """
    sides = {side for _, side, _ in change.supports}
    if change.kind in NOTES:
        return "note"
    if change.kind in BETTER:
        against = {"old", "neither"} if change.kind == "term new" else {"neither"}
        return "moved" if sides & against and "new" not in sides else "better"
    if change.kind == "number":
        return "moved"
    return change.standing if change.kind == "not repeatable" else "worse"


def tells(change: Change) -> bool:
    """Say whether a change is news for a reader: a digit of a table, or something lost or gained."""
    return change.severity != "cosmetic" or (change.standing == "better" and not change.kind.startswith("warning"))


def gravity(c: Change) -> tuple[int, int, int, int, int, int, str]:
    """Return the place of a change: what counts before what is gained, most severe first."""
    return (
        c.standing not in ("worse", "moved"),
        -SEVERITIES.index(c.severity),
        ("worse", "moved", "better", "note").index(c.standing),
        c.size == "drift",
        KINDS.index(c.kind),
        -max(len(c.moved), len(c.places)),
        c.title,
    )
