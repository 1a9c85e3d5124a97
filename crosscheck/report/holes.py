"""Which words of a report change from run to run though nothing else does, and how are they left open?

When a run began, how long it took and what came from the cache decide no number. Reports are rendered with holes in
these places and filled afterwards, so that a run in which nothing changed can fill the texts of the run before.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from crosscheck.report.model import RunReport

MOMENTS = ("started", "finished")
NAMES = (*MOMENTS, "seconds", "reused")
_HOLE = re.compile("\ue000([a-z]+)( in words| without zone)?\ue001")


def with_holes(report: RunReport) -> RunReport:
    """Return a report whose changing words are holes; one that says nothing in a place gets no hole there."""
    open_: dict[str, Any] = {n: f"\ue000{n}\ue001" for n in NAMES if getattr(report, n)}
    return replace(report, **open_)


def in_words(stamp: str) -> str:
    """Write a moment for readers: ``2026-01-31 12:00:00 UTC``."""
    return _formed(stamp, " in words", stamp.replace("T", " ").replace("Z", " UTC"))


def without_zone(stamp: str) -> str:
    """Write a moment as JUnit takes it: ISO 8601 without a zone."""
    return _formed(stamp, " without zone", stamp.removesuffix("Z"))


def _formed(stamp: str, how: str, written: str) -> str:
    return f"{stamp[:-1]}{how}\ue001" if _HOLE.fullmatch(stamp) else written


def fill(text: str, report: RunReport) -> str:
    """Return a text with its holes filled from a report."""

    def word(match: re.Match[str]) -> str:
        name, how = match[1], match[2]
        if name not in NAMES:
            return match[0]
        value: str = getattr(report, name)
        return in_words(value) if how == " in words" else without_zone(value) if how else value

    return _HOLE.sub(word, text)
