"""Which properties does a campaign know?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from crosscheck.campaign.case import Property
from crosscheck.campaign.conditions import SameConditions
from crosscheck.campaign.differential import EnginesAgree
from crosscheck.campaign.predictions import PredictionsAgree
from crosscheck.campaign.relations import RELATIONS, TRUTHS
from crosscheck.errors import UsageError, nearest


@lru_cache(maxsize=1)
def properties() -> Mapping[str, Property]:
    """Return all properties by id, differential ones first."""
    found: list[Property] = [EnginesAgree(), SameConditions(), PredictionsAgree(), *RELATIONS, *TRUTHS]
    return {p.id: p for p in found}


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of properties by ids or kinds; all of them where none is named.

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
    return tuple(p.id for p in known.values() if not wanted or p.id in wanted or p.kind in wanted)
