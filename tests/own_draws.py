"""The exam that a user's engine sits: the campaign's own panels, requests and properties, what is known left out.

A mutant is an engine of its own beside the usual ones (``crosscheck campaign --engines +mine=...``). It is found where the
campaign reports a new discrepancy of it that the honest engine, wrapped in the same way, does not have.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from crosscheck import engines
from crosscheck.bridge.py_worker import run
from crosscheck.campaign.case import Case, Discrepancy
from crosscheck.campaign.command import DEFAULT_ENGINES, settings_of
from crosscheck.campaign.confirm import Confirmer, _pair, seen_in
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.plan import Settings, cases_of
from crosscheck.campaign.properties import chosen, properties
from crosscheck.campaign.screen import check, recognised
from crosscheck.engines.wrapped import Wrapped
from crosscheck.frame import Frame
from crosscheck.plan import Reachability
from crosscheck.results import EstimationResult, failed
from crosscheck.runner import Workers
from crosscheck.spec import FitRequest
from tests.mutants import Fault

PANELS = 300
BASES = ("oracle", "statsmodels", "designs", "pyfixest", "linearmodels", "csdid")
NOT_HERE = ("other_process", "coverage")
"""The first needs another process, the second sixty fits a case: each has a test of its own."""
_FAULT: dict[str, Fault] = {}


def _wrapped(base: str) -> Wrapped:
    def fit(request: FitRequest, frame: Frame, honest: Callable) -> EstimationResult:
        with np.errstate(all="ignore"):
            return _FAULT.get(base, honest)(request, frame)

    return Wrapped(base, fit, id=f"mine.{base}")


def __getattr__(name: str) -> Wrapped:
    if name in BASES:
        return _wrapped(name)
    raise AttributeError(name)


class Room:
    """Where mutants of one base engine are examined: what the other engines say is asked once.

    Parameters
    ----------
    base : str
    others : sequence of str
        Engines beside the mutant.
    seed : int
        Of the first panel.
    """

    def __init__(self, base: str, others: Sequence[str] = DEFAULT_ENGINES, seed: int = 0) -> None:
        self.base, self.mine = base, f"mine.{base}"
        self._before = os.environ.get(engines.VARIABLE, "")
        named = {f"mine.{b}": f"tests.own_draws:{b}" for b in BASES}
        engines.plug_all(",".join(f"{k}={v}" for k, v in named.items()))
        look = Reachability("auto")
        self.versions = {e: i.version for e, i in ((e, look.info(e)) for e in others) if i.transport == "live"}
        names = tuple(n for n in chosen(()) if n not in NOT_HERE)
        self.settings: Settings = settings_of("ci", (*self.versions, self.mine), names, seed)
        self.workers = Workers()
        self.fitter = Fitter(workers=self.workers, versions=self.versions)
        self.fault: Fault | None = None
        self._cases: dict[int, list[Case]] = {}
        self._honest: dict[str, frozenset[tuple[str, ...]]] = {}
        self._kept: dict[tuple[str, str], EstimationResult] = {}
        home = importlib.import_module("pyfixest.core.demean")
        names = ("_demean_rs", "_demean_within_rs")
        self._patches = [mock.patch.object(home, n, _with_rows(getattr(home, n))) for n in names]
        for patch in self._patches:
            patch.start()

    def close(self) -> None:
        """End the workers."""
        for patch in self._patches:
            patch.stop()
        self.fitter.close()
        self.workers.close()
        os.environ[engines.VARIABLE] = self._before
        engines._plugins.cache_clear()
        engines.get.cache_clear()

    def __call__(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        """Ask the mutant here, and the others where a campaign asks them."""
        if engine != self.mine:
            return self.fitter(engine, request, frame)
        if not engines.get(engine).supports(request):
            return failed(engine, "not supported", status="unsupported")
        if self.fault is None:
            key = (request.hash, frame.key)
            if key not in self._kept:
                self._kept[key] = run(engine, request, frame)[0]
            return self._kept[key]
        return run(engine, request, frame)[0]

    def forget(self) -> None:
        """Keep what was answered."""

    def cases(self, number: int) -> list[Case]:
        """Return the cases of a panel that speak of the mutant."""
        if number not in self._cases:
            known = properties()
            made = [self._narrow(c) for c in cases_of(self.settings, number) if self._speaks(c)]
            made = [c for c in made if not known[c.rule].applies(c)]
            asks = [a for c in made for a in known[c.rule].asks(c) if a.engine != self.mine]
            self.fitter.fetch(asks)
            self._cases[number] = made
        return self._cases[number]

    def _speaks(self, case: Case) -> bool:
        """Say whether the mutant is asked: those of statsmodels are of Poisson and logit alone."""
        if self.base == "statsmodels" and case.request.estimator not in ("fepois", "feglm"):
            return False
        return properties()[case.rule].kind == "truth" or bool(engines.get(self.mine).supports(case.request))

    def _narrow(self, case: Case) -> Case:
        """Ask the mutant alone where each engine is held against itself."""
        return case if properties()[case.rule].kind == "differential" else case.with_(engines=(self.mine,))

    def _of_mine(self, case: Case) -> list[Discrepancy]:
        found = check(case, self)[0].discrepancies
        return [d for d in found if self.mine in (d.identity.engine, d.identity.against)]

    def honest(self, case: Case) -> frozenset[tuple[str, ...]]:
        """Return what the honest engine shows in a case and is not known."""
        if case.key not in self._honest:
            fault, self.fault = self.fault, None
            _FAULT.pop(self.base, None)
            found = [d for d in self._of_mine(case) if recognised(d, case, self) is None]
            self._honest[case.key] = frozenset(_named(d) for d in found)
            self.fault = fault
            if fault is not None:
                _FAULT[self.base] = fault
        return self._honest[case.key]

    def sit(self, make: Callable[[], Fault], panels: int = PANELS) -> Iterator[Seen]:
        """Yield new discrepancies of a mutant that the honest engine does not have, panel by panel."""
        self.fault = _FAULT[self.base] = make()
        try:
            for number in range(panels):
                for case in self.cases(number):
                    for one in self._of_mine(case):
                        if _named(one) in self.honest(case) or recognised(one, case, self) is not None:
                            continue
                        yield Seen(panels=number + 1, case=case, discrepancy=one)
        finally:
            self.fault = None
            _FAULT.pop(self.base, None)

    def shrunk(self, make: Callable[[], Fault], seen: Seen) -> int:
        """Return the rows that the campaign's own shrinking leaves."""
        self.fault = _FAULT[self.base] = make()
        try:
            case, identity = seen.case, seen.discrepancy.identity
            narrow = case.with_(engines=_pair(case, identity))
            if seen_in(narrow, identity, self) is None:
                return case.frame.nrows
            confirmer = Confirmer(self.settings, self.versions, Path())
            return confirmer._shrunk(narrow, identity, self)[0].frame.nrows  # type: ignore[arg-type]
        finally:
            self.fault = None
            _FAULT.pop(self.base, None)


def _with_rows(original: Callable) -> Callable:
    """Refuse a sample without rows, on which compiled code of pyfixest 0.60.0 ends the process: a worker, elsewhere."""

    def demean(x: np.ndarray, *args: object, **more: object) -> object:
        if not len(x):
            raise ValueError("the sample has no rows")
        return original(x, *args, **more)

    return demean


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The discrepancy that gave a mutant away."""

    panels: int
    case: Case
    discrepancy: Discrepancy


def _named(one: Discrepancy) -> tuple[str, ...]:
    i = one.identity
    return i.rule, i.engine, i.against, i.quantity
