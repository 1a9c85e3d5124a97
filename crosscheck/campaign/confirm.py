"""Is a discrepancy real, and what is the smallest panel that shows it?

Each new identity is checked again by itself on a warm worker. Then its specification is made plainer (quirk by quirk,
by hypothesis where that finds a smaller one), its request too, and the shared shrinker takes rows, columns and decimals
away; where eight units and six periods are left, hypothesis draws the panel cell by cell, and the shrinker has the last
word. The identity stays the same throughout. What is left is a finding.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crosscheck.campaign.case import Case, Discrepancy, Fit, Identity
from crosscheck.campaign.elementwise import fewer_cells
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.folder import write_folder
from crosscheck.campaign.plainer import plainer_panel, plainer_request
from crosscheck.campaign.plan import Settings, cases_of
from crosscheck.campaign.properties import properties
from crosscheck.campaign.screen import check, fitter_of, recognised
from crosscheck.canon import plain
from crosscheck.errors import CrosscheckError
from crosscheck.frame import Frame
from crosscheck.runner import utc_now
from crosscheck.shrink import Layout, shrink

Event = dict[str, Any]
MOST_CALLS = 600
"""Checks that the making of one finding may cost."""
DELTA_CALLS = 200
"""Of these, checks of one delta-debugging pass."""
MOST_SECONDS = 300.0
"""So long that calls and not the clock end the making of a finding, on any machine that is not on its knees."""


class Confirmer:
    """Makes findings of discrepancies that are new, each identity once."""

    def __init__(self, settings: Settings, versions: Mapping[str, str], folder: Path, *, corpus: str = "") -> None:
        self.settings, self.versions, self.folder, self.corpus = settings, dict(versions), folder, corpus
        self.seen: set[str] = set()
        self.made = 0
        self._fitter: Fitter | None = None

    def remember(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Learn which identities an interrupted campaign had reported."""
        for event in events:
            if event["event"] == "finding":
                self.made += 1
                self.seen.update(event["identities"])

    def close(self) -> None:
        """End the fitter's threads."""
        if self._fitter is not None:
            self._fitter.close()

    def findings(self, event: Mapping[str, Any], *, most: int, until: float | None) -> Iterator[Event]:
        """Yield a finding for each discrepancy of a panel that is new in this campaign.

        Parameters
        ----------
        event : mapping
            The panel's line.
        most : int
            Beyond so many findings nothing is shrunk any more: the finding is the panel itself.
        until : float or None
            The same after this moment of ``time.monotonic``.
        """
        fresh = [
            (place, Identity(**one["identity"]))
            for place, row in enumerate(event["cases"])
            for one in row.get("discrepancies", ())
            if one["kind"] == "new"
        ]
        fresh = [(place, identity) for place, identity in fresh if str(identity) not in self.seen]
        if not fresh:
            return
        cases = list(cases_of(self.settings, int(event["number"])))
        for place, identity in fresh:
            if str(identity) in self.seen:
                continue
            self.seen.add(str(identity))
            small = self.made < most and (until is None or time.monotonic() < until)
            made = self._finding(cases[place], identity, small=small)
            if made is not None:
                self.made += 1
                yield made

    def _finding(self, case: Case, identity: Identity, *, small: bool) -> Event | None:
        if self._fitter is None:
            job = {
                "settings": self.settings.model_dump(mode="json"),
                "versions": self.versions,
                "corpus": self.corpus,
            }
            self._fitter = fitter_of(job)
        fitter = self._fitter
        fitter.forget()
        narrow = case.with_(engines=_pair(case, identity))
        start = seen_in(narrow, identity, fitter)
        base: Event = {"event": "finding", "identities": [str(identity)], "case": case.to_json()}
        if start is None:
            return base | {
                "status": "not_repeated",
                "says": "the discrepancy did not show again when checked by itself",
            }
        shrunk, steps, hindered = narrow, 0, ""
        if small:
            try:
                shrunk, steps = self._shrunk(narrow, identity, fitter)
            except Exception as error:  # one panel that resists must not end a campaign of hours
                hindered = f"could not be made smaller: {type(error).__name__}: {error}"
                fitter.forget()
        last = seen_in(shrunk, identity, fitter) or start
        merged = str(last.identity)
        match = recognised(last, shrunk, fitter)
        already = merged in self.seen and merged != str(identity)
        self.seen.add(merged)
        folder = self._folder(shrunk, last) if small and match is None and not already else ""
        return base | {
            "folder": folder,
            "identities": sorted({str(identity), merged}),
            "status": "known" if match else "repeats" if already else "new",
            "known": match.id if match else "",
            "discrepancy": plain(last),
            "rows": shrunk.frame.nrows,
            "checks": steps,
            **({"says": hindered} if hindered else {}),
            "request": shrunk.request.model_dump(mode="json", exclude_defaults=True),
            "data": _columns(shrunk.frame),
        }

    def _folder(self, case: Case, one: Discrepancy) -> str:
        """Write the finding below the campaign's folder; return its path in it, empty where there is none."""
        try:
            made = write_folder(self.folder / "findings", case, one, self.versions, utc_now().date())
        except CrosscheckError:
            return ""
        return made.relative_to(self.folder).as_posix() if made is not None else ""

    def _shrunk(self, case: Case, identity: Identity, fit: Fit) -> tuple[Case, int]:
        """Make a case smaller: its specification, its request, rows and values, cell by cell, rows and values again."""
        deadline = time.monotonic() + MOST_SECONDS
        calls = 0

        def shows(candidate: Case) -> bool:
            nonlocal calls
            if calls >= MOST_CALLS or time.monotonic() > deadline:
                return False
            if not set(candidate.request.columns) <= set(candidate.frame.names):
                return False  # a column that is asked for and is not there is an error of another kind
            calls += 1
            try:
                return seen_in(candidate, identity, fit) is not None
            except CrosscheckError:
                return False

        def reduced(case: Case, most: int) -> Case:
            def question(frame: Frame) -> str | None:
                return identity.slug if frame.nrows and shows(case.with_(frame=frame)) else None

            small = shrink(case.frame, question, layout=_layout(case), max_calls=most, max_seconds=MOST_SECONDS)
            return case.with_(frame=small.frame)

        case = plainer_panel(case, shows, self.settings.limits)
        case = plainer_request(case, shows)
        used = [n for n in case.frame.names if n in case.request.columns] or list(case.frame.names)
        bare = case.frame.select(used)
        if shows(case.with_(frame=bare)):
            case = case.with_(frame=bare)
        if not shows(case.with_(frame=replace(case.frame))):
            return case, calls  # the property speaks of simulated panels as a whole
        case = reduced(case, DELTA_CALLS)
        fewer = fewer_cells(case, shows, _layout(case))
        return (case if fewer is case else reduced(fewer, DELTA_CALLS)), calls


def _layout(case: Case) -> Layout:
    """Say which columns of a simulated panel mean what."""
    there = case.frame.names
    kept = {n for n in case.request.columns if n in there}
    return Layout(
        unit="unit" if "unit" in there else None,
        time="time" if "time" in there else None,
        groups=tuple(n for n in ("sector", "region", "country", "grade", "cluster") if n in there),
        calendar=tuple(n for n in ("cohort",) if n in there),
        keep=frozenset() if case.request.formula else frozenset(kept),
        binary=frozenset({"treated"} & set(there)),
        positive=frozenset({"weight"} & set(there)),
    )


def _pair(case: Case, identity: Identity) -> tuple[str, ...]:
    wanted = (identity.engine, identity.against)
    return tuple(e for e in case.engines if e in wanted) or case.engines


def seen_in(case: Case, identity: Identity, fit: Fit) -> Discrepancy | None:
    """Return the discrepancy of an identity, where the case shows it."""
    prop = properties()[case.rule]
    if prop.applies(case):
        return None
    checked, _ = check(case, fit)
    return next((d for d in checked.discrepancies if identity.same_bug(d.identity)), None)


def _columns(frame: Frame) -> dict[str, Any]:
    """Return a small sample as data: kind, values and levels of each column."""
    return {c.name: {"kind": c.kind, "values": c.values.tolist(), "levels": list(c.levels)} for c in frame.columns}
