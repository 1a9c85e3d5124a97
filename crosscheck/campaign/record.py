"""What does a live R say about the panels that machines without R replay?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from crosscheck import engines
from crosscheck.campaign.budget import Budget
from crosscheck.campaign.case import Case
from crosscheck.campaign.corpus import corpus_line, write_corpus
from crosscheck.campaign.differential import EnginesAgree
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.plan import PROFILES, Settings, cases_of
from crosscheck.campaign.screen import check, recognised
from crosscheck.errors import EngineMissing
from crosscheck.frame import Frame
from crosscheck.plan import EngineInfo
from crosscheck.results import EstimationResult
from crosscheck.runner import Workers, stamp, utc_now
from crosscheck.spec import FitRequest
from crosscheck.store import require_writable
from crosscheck.verdict import EXIT_AGREES

MOST_PANELS = 400


def record_corpus(folder: Path, budget: Budget, infos: Mapping[str, EngineInfo], seed: int) -> int:
    """Ask a live R about the differential cases of the ci profile, and write what it says.

    What R says to the replays of an explanation (moved data, another basis, a regressor less) is written too: without
    it a machine without R would see the difference and not its cause.

    Raises
    ------
    EngineMissing
        Where an R engine that is to be recorded is not here.
    """
    r = {e: info for e, info in infos.items() if info.language == "r"}
    for engine, info in r.items():
        if info.transport != "live":
            raise EngineMissing(f"{engine} cannot be recorded: {info.reason}", hint="crosscheck doctor")
    require_writable(folder, "the folder of the corpus", hint="name another folder with --corpus")
    panels = min(budget.panels or MOST_PANELS, MOST_PANELS)
    profile = {k: v for k, v in PROFILES["ci"].items() if k not in ("budget", "shrinks")}
    settings = Settings(seed=seed, profile="ci", engines=tuple(infos), properties=(EnginesAgree.id,), **profile)
    lines: list[dict[str, Any]] = []
    with Workers() as workers:
        here = {e: info.version for e, info in infos.items() if info.transport == "live"}
        fitter = Fitter(workers=workers, versions=here)
        kept = _Kept(fitter, lines)
        for cases in _batches(settings, panels):
            fitter.fetch([a for c in cases for a in EnginesAgree().asks(c)])
            for case in cases:
                for one in check(case, kept)[0].discrepancies:
                    recognised(one, case, kept)
            fitter.forget()
        fitter.close()
    unique = {(x["engine"], x["request"], x["data"]): x for x in lines}
    path = write_corpus(
        folder,
        seeds=range(panels),
        versions={e: info.version for e, info in r.items()},
        settings=settings.model_dump(mode="json"),
        recorded_on=stamp(utc_now()),
        lines=unique.values(),
    )
    click.echo(f"{len(unique)} fits of {panels} panels recorded in {path} ({path.stat().st_size / 1e6:.2f} MB)")
    return EXIT_AGREES


class _Kept:
    """A ``fit`` that keeps what R says as lines of a corpus."""

    def __init__(self, fit: Fitter, lines: list[dict[str, Any]]) -> None:
        self._fit, self._lines = fit, lines

    def __call__(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        result = self._fit(engine, request, frame)
        asked = engines.get(engine)
        if asked.language == "r" and asked.supports(request):
            self._lines.append(corpus_line(engine, request.hash, frame.key, result))
        return result


def _batches(settings: Settings, panels: int, size: int = 16) -> Iterator[list[Case]]:
    for start in range(0, panels, size):
        numbers = range(start, min(start + size, panels))
        yield [c for n in numbers for c in cases_of(settings, n) if not EnginesAgree().applies(c)]
