"""How is a campaign kept on disk, so that it can be resumed and folded into reports?

``campaign.ndjson`` is append-only: a header, one line for each panel, one for each finding, a footer. Nothing in a
panel's or finding's line depends on the clock, so that two campaigns of the same settings write the same lines. A file
without a footer is an interrupted campaign; ``--resume`` goes on after its last whole line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from crosscheck.canon import dumps
from crosscheck.errors import RunFileError, UsageError

CAMPAIGN_SCHEMA = 1
CAMPAIGN_FILE = "campaign.ndjson"
PREVIOUS_FILE = "campaign.previous.ndjson"
Event = dict[str, Any]


def read_events(path: Path) -> list[Event]:
    """Read the whole lines of a campaign's file; a line that was cut short by an interruption is left out.

    Raises
    ------
    RunFileError
        Where the file cannot be read, has no header, or a line other than the last is broken.
    """
    hint = "start anew, without --resume"
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RunFileError(f"the campaign cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    events: list[Event] = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            event = json.loads(line)
            event["event"]
        except (ValueError, TypeError, KeyError):
            raise RunFileError("a line is not an event", where=f"{path}, line {number}", hint=hint) from None
        events.append(event)
    if not events or events[0]["event"] != "header" or events[0].get("schema") != CAMPAIGN_SCHEMA:
        raise RunFileError("this is no campaign of this version of crosscheck", where=str(path), hint=hint)
    return events


class CampaignWriter:
    """Appends events, each a line, flushed at once."""

    def __init__(self, folder: Path, header: Mapping[str, Any], *, resume: bool = False) -> None:
        self.path = folder / CAMPAIGN_FILE
        self.events: list[Event] = []
        if resume:
            self.events = read_events(self.path)
            _same(self.events[0], header, self.path)
            if is_complete(self.events):  # it goes on: the footer is written anew
                self.events.pop()
            size = sum(len(line) for line in self.path.read_bytes().splitlines(keepends=True)[: len(self.events)])
            os.truncate(self.path, size)
            self._file: IO[str] = self.path.open("a", encoding="utf-8")
            return
        if self.path.exists():
            self.path.replace(folder / PREVIOUS_FILE)
        self._file = self.path.open("a", encoding="utf-8")
        self.write(header)

    @property
    def done(self) -> int:
        """How many panels, from the first on, are written."""
        numbers = {e["number"] for e in self.events if e["event"] == "panel"}
        count = 0
        while count in numbers:
            count += 1
        return count

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event."""
        self.events.append(dict(event))
        self._file.write(dumps(event) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _same(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with other settings, other versions or other code than those that the file was begun with."""
    for key, what in (("settings", "setting"), ("versions", "version")):
        before, now = old.get(key, {}), new.get(key, {})
        for name in sorted({*before, *now}):
            if json.loads(dumps(before.get(name))) != json.loads(dumps(now.get(name))):
                raise UsageError(
                    f"the campaign was begun with another {what}: {name} was {_show(before.get(name))}, "
                    f"is {_show(now.get(name))}",
                    where=str(path),
                    hint="resume with the options it was begun with, or start anew without --resume",
                )


def _show(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def is_complete(events: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a campaign came to its end."""
    return bool(events) and events[-1]["event"] == "footer"
