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
from crosscheck.errors import EngineMissing
from crosscheck.plan import EngineInfo
from crosscheck.runner import Workers, stamp, utc_now
from crosscheck.store import require_writable
from crosscheck.verdict import EXIT_AGREES

MOST_PANELS = 400


def record_corpus(folder: Path, budget: Budget, infos: Mapping[str, EngineInfo], seed: int) -> int:
    """Ask a live R about the differential cases of the ci profile, and write what it says.

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
    kept = {k: v for k, v in PROFILES["ci"].items() if k not in ("budget", "shrinks")}
    settings = Settings(seed=seed, profile="ci", engines=tuple(infos), properties=(EnginesAgree.id,), **kept)
    lines: list[dict[str, Any]] = []
    with Workers() as workers:
        fitter = Fitter(workers=workers, versions={e: info.version for e, info in r.items()})
        for cases in _batches(settings, panels):
            asks = [a for c in cases for a in EnginesAgree().asks(c) if engines.get(a.engine).language == "r"]
            fitter.fetch(asks)
            for ask in asks:
                result = fitter(ask.engine, ask.request, ask.frame)
                lines.append(corpus_line(ask.engine, ask.request.hash, ask.frame.key, result))
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


def _batches(settings: Settings, panels: int, size: int = 16) -> Iterator[list[Case]]:
    for start in range(0, panels, size):
        numbers = range(start, min(start + size, panels))
        yield [c for n in numbers for c in cases_of(settings, n) if not EnginesAgree().applies(c)]
