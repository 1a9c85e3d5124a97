"""Which cases does a campaign consist of? All follows from a seed, so that any part can be made again anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from crosscheck.campaign.case import Case, Property
from crosscheck.campaign.properties import properties
from crosscheck.campaign.relation import Relation
from crosscheck.campaign.requests import draw_requests
from crosscheck.simulate.panel import Panel, make_panel
from crosscheck.simulate.space import Limits, varied_spec
from crosscheck.spec import FitRequest, Model

PROPERTY_STREAM = 104_729
Profile = Literal["ci", "nightly"]
OUTCOMES = ("continuous", "continuous", "continuous", "count", "binary")
ROOMY: dict[int, tuple[str, ...]] = {3: OUTCOMES[:1], 6: OUTCOMES[:1], 5: OUTCOMES[3:]}
PROFILES: dict[str, dict[str, Any]] = {
    "ci": {"budget": "150 panels", "requests": 2, "relations": 1, "units": (2, 8), "periods": (2, 6), "shrinks": 5},
    "nightly": {"budget": "60m", "requests": 4, "relations": 3, "units": (2, 12), "periods": (2, 8), "shrinks": 60},
}


class Settings(Model):
    """All that decides the cases of a campaign; written in its header and compared on ``--resume``.

    Attributes
    ----------
    seed : int
        Panels have the seeds ``seed``, ``seed + 1``, ...
    profile : str
    engines, properties : tuple of str
    requests : int
        Drawn for each panel.
    relations : int
        Relations and known truths checked on each panel, each on one request and each engine; 0: all of them.
    units, periods : (int, int)
        Least and most.
    timeout : float
        Seconds for one fit.
    """

    seed: Annotated[int, Field(ge=0, lt=2**62)] = 0
    profile: Profile = "ci"
    engines: tuple[str, ...]
    properties: tuple[str, ...]
    requests: Annotated[int, Field(ge=1, le=50)] = 2
    relations: Annotated[int, Field(ge=0)] = 1
    units: tuple[int, int] = (2, 8)
    periods: tuple[int, int] = (2, 6)
    timeout: float = 60.0

    @property
    def limits(self) -> Limits:
        """The part of the space of panels that is drawn from."""
        return Limits(units=self.units, periods=self.periods, outcomes=OUTCOMES)  # type: ignore[arg-type]

    def limits_of(self, seed: int) -> Limits:
        """The part of it that a seed draws from.

        Of eight panels five are drawn from all of it. Three have more units and periods and half as many quirks, two
        of them for staggered treatment and one with counts or binary outcomes: some estimators need room.
        """
        outcomes = ROOMY.get(seed % 8)
        if outcomes is None:
            return self.limits
        units, periods = (
            (max(self.units[1] - 2, 1), self.units[1] + 3),
            (max(self.periods[1] - 2, 1), self.periods[1]),
        )
        return Limits(units=units, periods=periods, outcomes=outcomes, rarity=16)  # type: ignore[arg-type]


def panel_of(settings: Settings, number: int) -> Panel:
    """Return the panel that stands at a place of a campaign, counted from 0."""
    seed = settings.seed + number
    return make_panel(varied_spec(seed, settings.limits_of(seed)))


def cases_of(settings: Settings, number: int) -> Iterator[Case]:
    """Yield the cases of a panel: each differential property on each request, and some of the other properties.

    A property that does not apply to the case it was drawn for is left to another panel. Properties that are ``always``
    checked need no further fit; those with a ``one_in`` are checked on one in so many requests besides.
    """
    panel = panel_of(settings, number)
    seed = settings.seed + number
    requests = draw_requests(panel, seed, settings.requests)
    known = properties()
    chosen = [known[name] for name in settings.properties]

    def case(prop: Property, request: FitRequest, engines: Sequence[str]) -> Case:
        return Case(
            seed=seed, frame=panel.frame, requests=(request,), engines=tuple(engines), rule=prop.id, panel=panel
        )

    for prop in (p for p in chosen if p.kind == "differential"):
        for k, request in enumerate(requests):
            if not (seed + k) % getattr(prop, "one_in", 1):
                yield case(prop, request, settings.engines)
    for prop in (p for p in chosen if getattr(p, "always", False)):
        for request in requests:
            candidate = case(prop, request, settings.engines)
            if not prop.applies(candidate):
                yield candidate
    regular = [p for p in chosen if isinstance(p, Relation) and p.one_in]
    seen: set[tuple[str, int]] = set()
    for place, prop in enumerate(regular):
        for k, request in enumerate(requests):
            candidate = case(prop, request, settings.engines)
            if prop.due(request, seed + k + place) and not prop.applies(candidate):
                seen.add((prop.id, k))
                yield candidate
    others = [p for p in chosen if p.kind != "differential" and not getattr(p, "always", False)]
    others = [p for p in others if not isinstance(p, Relation) or p.drawn]
    if not others:
        return
    rng = np.random.Generator(np.random.PCG64([seed, PROPERTY_STREAM]))
    drawn = 0
    for at in rng.permutation(len(others)):
        prop = others[int(at)]
        for k in rng.permutation(len(requests)):
            candidate = case(prop, requests[int(k)], settings.engines)
            if not prop.applies(candidate):
                if (prop.id, int(k)) not in seen:
                    yield candidate
                drawn += 1
                break
        if settings.relations and drawn >= settings.relations:
            return
