"""Which relations need no reference? All of them, by id."""

from __future__ import annotations

from crosscheck.campaign import relations_models, relations_names, relations_rows, relations_values, relations_ways
from crosscheck.campaign.case import Property
from crosscheck.campaign.coherence import Coherence
from crosscheck.campaign.design_laws import LAWS
from crosscheck.campaign.group_means import GroupMeans
from crosscheck.campaign.known_truth import TRUTHS
from crosscheck.campaign.relation import OtherProcess

RELATIONS: tuple[Property, ...] = (
    Coherence(),
    GroupMeans(),
    OtherProcess(),
    *relations_rows.RELATIONS,
    *relations_values.RELATIONS,
    *relations_names.RELATIONS,
    *relations_models.RELATIONS,
    *relations_ways.RELATIONS,
    *LAWS,
)
"""Relations between two answers of one engine, or among the numbers of one answer."""

__all__ = ["RELATIONS", "TRUTHS"]
