"""What comes of a batch of panels? The unit of work that any process, here or elsewhere, can do.

:func:`screen` takes plain data and returns plain data: nothing of a campaign lives in the process that runs it but its
workers, which are kept between batches.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Outcome, features
from crosscheck.campaign.circumstances import CIRCUMSTANCES
from crosscheck.campaign.corpus import Corpus, read_corpus
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.known import KnownDiscrepancy, known_rows, recognise, traits_of
from crosscheck.campaign.plan import Settings, cases_of, panel_of
from crosscheck.campaign.properties import properties
from crosscheck.canon import plain
from crosscheck.engines import plug_all
from crosscheck.errors import CrosscheckError
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult
from crosscheck.runner import Workers
from crosscheck.spec import FitRequest

Event = dict[str, Any]


@lru_cache(maxsize=1)
def _workers() -> Workers:
    workers = Workers()
    atexit.register(workers.close)
    return workers


@lru_cache(maxsize=2)
def _corpus(folder: str) -> Corpus | None:
    return read_corpus(Path(folder)) if folder else None


def fitter_of(job: Mapping[str, Any]) -> Fitter:
    """Make what answers the questions of a job, on this process's workers."""
    return Fitter(
        workers=_workers(),
        versions=job["versions"],
        timeout=float(job["settings"]["timeout"]),
        corpus=_corpus(job.get("corpus") or ""),
    )


def screen(job: Mapping[str, Any]) -> dict[str, Any]:
    """Check the cases of some panels.

    Parameters
    ----------
    job : mapping
        ``settings``; ``numbers``, the places of the panels in the campaign; ``versions`` of the engines that are here;
        ``corpus``, a folder of recorded answers, or an empty string; ``plugged``, engines that the command line named.

    Returns
    -------
    dict
        ``events``, one for each panel; ``fits`` and ``seconds`` of the engines; ``harness`` and ``wall`` seconds.
    """
    began = time.perf_counter()
    settings = Settings.model_validate(job["settings"])
    plug_all(job.get("plugged") or "")
    fitter = fitter_of(job)
    try:
        events, waited = screen_with(settings, job["numbers"], fitter)
    finally:
        fitter.close()
    wall = time.perf_counter() - began
    return {
        "events": events,
        "fits": fitter.fits,
        "seconds": fitter.seconds,
        "waited": waited,
        "wall": wall,
    }


def screen_with(settings: Settings, numbers: list[int], fitter: Fitter) -> tuple[list[Event], float]:
    """Check the cases of some panels with a given fitter; also return the seconds spent waiting for engines."""
    known = properties()
    batches = {n: list(cases_of(settings, n)) for n in numbers}
    asks: list[Ask] = []
    skipped: dict[str, str] = {}
    for case in (c for cases in batches.values() for c in cases):
        prop = known[case.rule]
        reason = prop.applies(case)
        if reason:
            skipped[case.key] = reason
        else:
            asks += prop.asks(case)
    before = time.perf_counter()
    fitter.fetch(asks)
    waited = time.perf_counter() - before
    events = []
    for number, cases in batches.items():
        panel = panel_of(settings, number)
        rows = []
        for case in cases:
            checked, engines = (Checked(reason=skipped[case.key]), {}) if case.key in skipped else check(case, fitter)
            rows.append(_row(case, checked, engines, fitter))
        events.append(
            {
                "event": "panel",
                "number": number,
                "seed": settings.seed + number,
                "spec": panel.spec.changes(),
                "rows": panel.frame.nrows,
                "cases": rows,
            }
        )
    fitter.forget()
    return events, waited


def check(case: Case, fit: Fit) -> tuple[Checked, dict[str, str]]:
    """Check one case; also return how each engine that was asked came off.

    A property that itself fails is a discrepancy of the harness and stops nothing else.
    """
    noted = _Noted(fit)
    try:
        return properties()[case.rule].check(case, noted), noted.engines
    except CrosscheckError as error:
        return Checked(reason=f"not checked: {error.what}"[:300]), noted.engines


class _Noted:
    """A ``fit`` that notes how each engine came off; other ways of asking are those of the ``fit`` itself."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self.engines: dict[str, str] = {}

    def __call__(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        result = self._fit(engine, request, frame)
        status = "missing" if result.transport == "missing" else result.status
        self.engines[engine] = status if self.engines.get(engine, "ok") == "ok" else self.engines[engine]
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fit, name)


def _row(case: Case, checked: Checked, engines: Mapping[str, str], fit: Fit) -> Event:
    status = Outcome(case=case, checked=checked).status
    row: Event = {
        "rule": case.rule,
        "features": features(case.request),
        "status": status,
        "compared": checked.compared,
        "engines": dict(engines),
    }
    if checked.explained:
        row["explained"] = dict(checked.explained)
    if checked.reason:
        row["reason"] = checked.reason
    if checked.discrepancies:
        row["request"] = case.request.model_dump(mode="json", exclude_defaults=True)
        row["discrepancies"] = [_discrepancy(d, case, fit) for d in checked.discrepancies]
    return row


class _NothingCompared(Exception):
    """A case that is put otherwise and then says nothing shows nothing."""


def recognised(one: Discrepancy, case: Case, fit: Fit) -> KnownDiscrepancy | None:
    """Return the known row that covers a discrepancy of a case; its circumstances are shown on the case."""
    answers: dict[str, bool] = {}

    def shown(name: str) -> bool:
        if name not in answers:
            try:
                answers[name] = CIRCUMSTANCES[name](case, one, fit, lambda c: check(c, fit)[0].discrepancies)
            except Exception:  # what cannot be computed is not shown: the discrepancy stays new, the campaign goes on
                answers[name] = False
        return answers[name]

    return recognise(one, known_rows(), traits_of(case), shown)


def _discrepancy(one: Discrepancy, case: Case, fit: Fit) -> Event:
    match = recognised(one, case, fit)
    event: Event = plain(one)
    return {**event, "known": match.id, "kind": match.kind} if match is not None else {**event, "kind": "new"}
