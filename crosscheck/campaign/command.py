"""What does ``crosscheck campaign`` do with what the user typed?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from crosscheck import engines
from crosscheck.campaign import other_pandas
from crosscheck.campaign.budget import Budget, budget_of
from crosscheck.campaign.corpus import read_corpus
from crosscheck.campaign.driver import Campaign, Tally, run_campaign
from crosscheck.campaign.executors import executor_of
from crosscheck.campaign.plan import PROFILES, Settings
from crosscheck.campaign.properties import chosen
from crosscheck.campaign.render import fold, to_json, to_markdown, to_text
from crosscheck.campaign.stream import CAMPAIGN_FILE, read_events
from crosscheck.canon import write_atomic
from crosscheck.errors import EngineMissing, RunFileError, UsageError, nearest
from crosscheck.plan import EngineInfo, Reachability
from crosscheck.store import cache_dir, require_writable

DEFAULT_ENGINES = (
    *("oracle", "r.fixest", "r.did", "r.lm", "r.plm", "r.clubsandwich", "designs", "r.designs", "r.matchit"),
    *("statsmodels", "linearmodels", "pyfixest", "csdid"),
)
CORPUS_FOLDER = Path("fixtures") / "references" / "campaign"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRequest:
    """The arguments of ``crosscheck campaign``."""

    budget: str | None = None
    engines: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    seed: int | None = None
    profile: str = "ci"
    resume: bool = False
    executor: str | None = None
    out: Path = Path("reports") / "campaign"
    record: bool = False
    corpus: Path | None = None
    shrink: int | None = None
    format: str = "text"
    command: str = "crosscheck campaign"


def campaign_command(asked: CampaignRequest) -> int:
    """Run a campaign, or record a corpus; return the exit code."""
    if asked.profile not in PROFILES:
        raise UsageError(
            f"there is no profile {asked.profile!r}", allowed=", ".join(PROFILES), hint=nearest(asked.profile, PROFILES)
        )
    budget = budget_of(asked.budget or str(PROFILES[asked.profile]["budget"]))
    names = chosen(asked.properties)
    wanted = _engines(asked.engines)
    if asked.resume and not (asked.out / CAMPAIGN_FILE).is_file():
        raise UsageError(
            "there is no campaign to resume", where=str(asked.out / CAMPAIGN_FILE), hint="leave --resume out"
        )
    if asked.seed is not None and not 0 <= asked.seed < 2**62:
        raise UsageError(f"the seed {asked.seed} is out of range", allowed="0 to 2^62 - 1")
    reach = Reachability("auto")
    infos = {e: reach.info(e) for e in wanted}
    if asked.record:
        from crosscheck.campaign.record import record_corpus

        return record_corpus(asked.corpus or CORPUS_FOLDER, budget, infos, asked.seed or 0)
    folder, numbers, infos = _corpus(asked, infos)
    _enough(infos, folder)
    if other_pandas.ID in names:
        _other_pandas(tuple(infos))
    require_writable(asked.out, "the folder of the campaign", hint="name another folder with --out")
    settings = settings_of(asked.profile, tuple(infos), names, asked.seed or 0)
    campaign = Campaign(
        settings=settings,
        budget=budget,
        infos=infos,
        executor=executor_of(asked.executor),
        folder=asked.out,
        corpus=folder,
        command=asked.command,
        shrinks=int(PROFILES[asked.profile]["shrinks"]) if asked.shrink is None else asked.shrink,
        numbers=numbers if budget.panels is None else numbers[: budget.panels],
    )
    try:
        with live_progress(budget) as progress:
            code = run_campaign(campaign, resume=asked.resume, progress=progress)
    except KeyboardInterrupt:
        raise _interrupted(asked) from None
    show(asked.out, asked.format)
    return code


def _interrupted(asked: CampaignRequest) -> RunFileError:
    """Write the reports of what was done so far; return what the user is told."""
    events = read_events(asked.out / CAMPAIGN_FILE)
    _write(asked.out, fold(events))
    return RunFileError(
        f"interrupted after {sum(e['event'] == 'panel' for e in events)} panels; nothing that is written is lost",
        where=str(asked.out / CAMPAIGN_FILE),
        hint=f"go on with: {asked.command}{'' if asked.resume else ' --resume'}",
    )


def settings_of(profile: str, engines_: Sequence[str], names: Sequence[str], seed: int) -> Settings:
    """Return the settings of a profile."""
    kept = {k: v for k, v in PROFILES[profile].items() if k not in ("budget", "shrinks")}
    return Settings(seed=seed, profile=profile, engines=tuple(engines_), properties=tuple(names), **kept)  # type: ignore[arg-type]


def _write(folder: Path, report: dict[str, Any]) -> dict[str, str]:
    """Write the reports beside the campaign's file; return their texts by name."""
    files = {"campaign.json": to_json(report), "campaign.md": to_markdown(report)}
    for name, text in files.items():
        write_atomic(folder / name, text)
    return files


def show(folder: Path, format_: str) -> None:
    """Write the reports beside the campaign's file, and one of them to stdout."""
    events = read_events(folder / CAMPAIGN_FILE)
    report = fold(events)
    files = _write(folder, report)
    names = [str(folder / n) for n in (CAMPAIGN_FILE, *files)]
    if format_ == "json":
        click.echo(files["campaign.json"], nl=False)
    elif format_ == "markdown":
        click.echo(files["campaign.md"], nl=False)
    else:
        click.echo(to_text(report, names, seconds=events[-1].get("seconds")), nl=False)


def _engines(names: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that were named, separated by commas, or the usual ones; an unknown one is an error.

    ``id=module:ATTRIBUTE`` names an engine of the user's own; ``+`` before the first id adds to the usual ones.
    """
    wanted = [name.strip() for text in names for name in text.split(",") if name.strip()]
    if names and not wanted:
        raise UsageError("no engine is named", allowed=", ".join(engines.known_ids()), hint="leave --engines out")
    more = bool(wanted) and wanted[0].startswith("+")
    wanted = [engines.plug(name) if "=" in name else name for name in (w.removeprefix("+") for w in wanted)]
    for name in wanted:
        engines.get(name)
    return tuple(dict.fromkeys([*DEFAULT_ENGINES, *wanted] if more or not wanted else wanted))


def _corpus(asked: CampaignRequest, infos: dict[str, EngineInfo]) -> tuple[str, tuple[int, ...], dict[str, EngineInfo]]:
    """Let a recorded corpus stand in for R engines that are not here; leave out those that nothing stands in for."""
    missing = [e for e, info in infos.items() if info.transport == "missing"]
    if not missing:
        return "", (), infos
    corpus = read_corpus(asked.corpus or CORPUS_FOLDER) if asked.profile == "ci" or asked.corpus else None
    usable = corpus is not None and (asked.seed or 0) == 0
    recorded = set(corpus.versions) if corpus is not None and usable else set()
    kept = {e: info for e, info in infos.items() if info.transport == "live" or e in recorded}
    for engine in sorted(set(infos) - set(kept)):
        if any(engine in text.removeprefix("+").split(",") for text in asked.engines):
            raise EngineMissing(f"engine {engine} cannot be reached: {infos[engine].reason}", hint="crosscheck doctor")
        click.echo(f"left out: {engine}: {infos[engine].reason}", err=True)
    if corpus is None or not recorded & set(missing):
        return "", (), kept
    click.echo(f"R is replayed from {corpus.path} ({len(corpus.answers)} fits, {corpus.recorded_on[:10]})", err=True)
    return str(corpus.path.parent.resolve()), corpus.seeds, kept


def _other_pandas(wanted: tuple[str, ...]) -> None:
    """Have the environment with another pandas at hand, as was asked for by name."""
    if not set(wanted) & set(other_pandas.FRAMED):
        raise EngineMissing(
            f"{other_pandas.ID} needs an engine whose package is handed a data frame",
            allowed=", ".join(other_pandas.FRAMED),
            hint="name one with --engines, or leave --properties other_pandas out",
        )
    place = other_pandas.build(cache_dir(), lambda text: click.echo(f"crosscheck: {text}", err=True))
    click.echo(f"held against pandas {place.versions['pandas']}: {other_pandas.ID}", err=True)


def _enough(infos: dict[str, EngineInfo], corpus: str) -> None:
    if not infos:
        raise EngineMissing("none of the engines can be reached", hint="crosscheck doctor")
    if len(infos) == 1 and not corpus:
        click.echo("one engine alone: nothing to compare it with, relations only", err=True)


@contextmanager
def live_progress(budget: Budget) -> Iterator[Callable[[Tally], None]]:
    """Show on stderr where a campaign stands: a line that is rewritten on a terminal, one line a minute elsewhere."""
    last = [0.0]
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def line(t: Tally) -> str:
        rate = t.panels / t.seconds if t.seconds else 0.0
        return (
            f"{t.panels} panels ({rate:.1f}/s), {t.compared} numbers, {t.new} new, {t.known} known, "
            f"{t.findings} findings, {t.seconds:.0f} s of {budget}"
        )

    def show_line(t: Tally) -> None:
        if terminal:
            click.echo("\r\x1b[K" + line(t), nl=False, err=True)
        elif t.seconds - last[0] >= 60:
            last[0] = t.seconds
            click.echo(line(t), err=True)

    try:
        yield show_line
    finally:
        if terminal:
            click.echo("", err=True)
