"""How does a campaign run, from its first panel to its last line?

Panels are screened in batches by an executor; what is discrepant and not known is confirmed and shrunk here, once for
each identity. A panel's findings follow its line, so that the file is the same wherever it was interrupted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import crosscheck
from crosscheck import engines
from crosscheck.campaign.budget import Budget
from crosscheck.campaign.confirm import Confirmer
from crosscheck.campaign.executors import Executor
from crosscheck.campaign.plan import Settings
from crosscheck.campaign.stream import CAMPAIGN_SCHEMA, CampaignWriter
from crosscheck.plan import EngineInfo
from crosscheck.runner import stamp, utc_now
from crosscheck.verdict import EXIT_AGREES, EXIT_DISCREPANCY, EXIT_NOTHING

BATCH = 16
Progress = Callable[["Tally"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Where a campaign stands."""

    panels: int = 0
    cases: int = 0
    compared: int = 0
    new: int = 0
    known: int = 0
    findings: int = 0
    seconds: float = 0.0

    def at(self, seconds: float) -> Tally:
        """Return the same after so many seconds."""
        return replace(self, seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What is to be run, and where.

    Attributes
    ----------
    settings : Settings
    budget : Budget
    infos : mapping
        How each engine is reached.
    executor : Executor
    folder : Path
    corpus : str
        Folder of recorded answers of R, or empty.
    command : str
    numbers : tuple of int
        Places of the panels that were recorded; empty: all, from the first on.
    shrinks : int
        How many findings are made as small as they get; the others keep their panel.
    """

    settings: Settings
    budget: Budget
    infos: Mapping[str, EngineInfo]
    executor: Executor
    folder: Path
    corpus: str = ""
    command: str = "crosscheck campaign"
    numbers: tuple[int, ...] = ()
    shrinks: int = 0

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the engines that are here."""
        return {e: info.version for e, info in self.infos.items() if info.transport == "live"}

    def header(self) -> dict[str, Any]:
        """Return the first line."""
        return {
            "event": "header",
            "schema": CAMPAIGN_SCHEMA,
            "crosscheck": crosscheck.__version__,
            "settings": self.settings.model_dump(mode="json"),
            "versions": {e: self.infos[e].version or "recorded" for e in self.settings.engines},
            "engines": [self.infos[e].to_json() for e in self.settings.engines],
            "corpus": bool(self.corpus),
            "command": self.command,
            "started": stamp(utc_now()),
        }


def run_campaign(campaign: Campaign, *, resume: bool = False, progress: Progress = lambda _: None) -> int:
    """Run a campaign and write its file; return the exit code.

    A ``KeyboardInterrupt`` leaves the file without a footer: plainly incomplete, and to be resumed.
    """
    began = time.monotonic()
    writer = CampaignWriter(campaign.folder, campaign.header(), resume=resume)
    confirmer = Confirmer(campaign.settings, campaign.versions, campaign.folder, corpus=campaign.corpus)
    confirmer.remember(writer.events)
    clock = Counter[str]()
    counts = tally(writer.events)

    def findings_of(event: Mapping[str, Any]) -> None:
        """Write what follows from a panel's line; a resumed campaign takes up the findings of its last panel here."""
        nonlocal counts
        for finding in confirmer.findings(event, most=campaign.shrinks, until=_deadline(campaign, began)):
            writer.write(finding)
            counts = tally((finding,), counts)
            progress(counts.at(time.monotonic() - began))

    try:
        for event in [e for e in writer.events if e["event"] == "panel"][-1:]:
            findings_of(event)
        for result in campaign.executor.run(_jobs(campaign, writer.done, began)):
            clock.update({k: float(result[k]) for k in ("fits", "seconds", "waited", "wall")})
            for event in result["events"]:
                writer.write(event)
                counts = tally((event,), counts)
                findings_of(event)
            progress(counts.at(time.monotonic() - began))
        footer = _footer(counts, time.monotonic() - began, clock)
        writer.write(footer)
        return int(footer["exit_code"])
    finally:
        confirmer.close()
        writer.close()
        campaign.executor.close()


def _deadline(campaign: Campaign, began: float) -> float | None:
    return None if campaign.budget.seconds is None else began + campaign.budget.seconds


def _jobs(campaign: Campaign, done: int, began: float) -> Iterator[dict[str, Any]]:
    """Yield batches until the budget is used up; a budget of time always has one batch."""
    first = done
    deadline = _deadline(campaign, began)
    while True:
        if campaign.numbers:
            numbers = list(campaign.numbers[done : done + BATCH])
        else:
            most = campaign.budget.panels
            numbers = list(range(done, done + BATCH if most is None else min(done + BATCH, most)))
        if not numbers or (deadline is not None and done > first and time.monotonic() >= deadline):
            return
        yield {
            "settings": campaign.settings.model_dump(mode="json"),
            "numbers": numbers,
            "versions": campaign.versions,
            "corpus": campaign.corpus,
            "plugged": ",".join(f"{name}={target}" for name, target in engines.plugged().items()),
        }
        done += len(numbers)


def tally(events: Iterable[Mapping[str, Any]], before: Tally | None = None) -> Tally:
    """Count what stands in lines of a campaign's file, in addition to what was counted before."""
    counted = Counter({"panels": 0, "cases": 0, "compared": 0, "new": 0, "known": 0, "findings": 0})
    for event in events:
        counted["findings"] += event["event"] == "finding"
        if event["event"] != "panel":
            continue
        counted["panels"] += 1
        for row in event["cases"]:
            counted["cases"] += 1
            counted["compared"] += int(row["compared"])
            for one in row.get("discrepancies", ()):
                counted["new" if one["kind"] == "new" else "known"] += 1
    before = before or Tally()
    return replace(before, **{name: getattr(before, name) + count for name, count in counted.items()})


def _footer(counts: Tally, seconds: float, clock: Mapping[str, float]) -> dict[str, Any]:
    code = EXIT_DISCREPANCY if counts.new else EXIT_AGREES if counts.compared else EXIT_NOTHING
    return {
        "event": "footer",
        "finished": stamp(utc_now()),
        "panels": counts.panels,
        "cases": counts.cases,
        "compared": counts.compared,
        "new": counts.new,
        "known": counts.known,
        "findings": counts.findings,
        "seconds": round(seconds, 3),
        "engine_seconds": round(float(clock["seconds"]), 3),
        "waited_seconds": round(float(clock["waited"]), 3),
        "fits": int(clock["fits"]),
        "exit_code": code,
    }
