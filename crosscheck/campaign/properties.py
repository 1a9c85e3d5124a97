"""Which properties does a campaign know?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from crosscheck.campaign.case import Property
from crosscheck.campaign.conditions import SameConditions
from crosscheck.campaign.differential import EnginesAgree
from crosscheck.campaign.other_pandas import OtherPandas
from crosscheck.campaign.predictions import PredictionsAgree
from crosscheck.campaign.relations import RELATIONS, TRUTHS
from crosscheck.campaign.simulation import Simulation
from crosscheck.errors import UsageError, nearest

ON_REQUEST = frozenset({OtherPandas.id, Simulation.id})
"""Properties that are checked only where they are named: something is installed, or thousands of fits are made."""


@lru_cache(maxsize=1)
def properties() -> Mapping[str, Property]:
    """Return all properties by id, differential ones first."""
    found: list[Property] = [EnginesAgree(), SameConditions(), PredictionsAgree(), *RELATIONS, *TRUTHS]
    found += [OtherPandas(), Simulation()]
    return {p.id: p for p in found}


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of properties by ids or kinds; all where none is named.

    Those in ``ON_REQUEST`` must be named themselves.

    Raises
    ------
    UsageError
        Where there is no such property.
    """
    known = properties()
    kinds = {p.kind for p in known.values()}
    wanted = [name.strip() for text in names for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in known and name not in kinds:
            raise UsageError(
                f"there is no property {name!r}",
                allowed=", ".join((*sorted(kinds), *known)),
                hint=nearest(name, (*known, *kinds)),
            )
    return tuple(
        p.id for p in known.values() if p.id in wanted or (p.id not in ON_REQUEST and (not wanted or p.kind in wanted))
    )
