"""Which covariances could a column have been computed with, and what are they called?"""

from __future__ import annotations

from crosscheck.explain.model import Departure
from crosscheck.explain.replay import Replayer
from crosscheck.spec import VcovSpec


def other_covariances(made: Replayer) -> tuple[VcovSpec, ...]:
    """Return covariances that a column might have been computed with instead of the one asked for."""
    request = made.request
    names = dict.fromkeys(
        [
            *request.vcov.cluster,
            *(n for n in (request.unit, request.time) if n),
            *(fe[0] for fe in made.model.effects if len(fe) == 1),
        ]
    )
    usable = [n for n in names if n in made.model.frame and not made.model.frame[n].missing.any()]
    found = [VcovSpec(type="iid"), VcovSpec(type="HC1")]
    if made.model.endogenous.shape[1] == 0:
        found += [VcovSpec(type="HC2"), VcovSpec(type="HC3")]
    found += [VcovSpec(type="CRV1", cluster=(n,)) for n in usable]
    if request.unit in usable and request.time in usable:
        found.append(VcovSpec(type="CRV1", cluster=(str(request.unit), str(request.time))))
    if request.time in usable:
        found.append(VcovSpec(type="DK"))
    return tuple(v for v in found if (v.canonical, v.cluster) != (request.vcov.canonical, request.vcov.cluster))


def name_of(vcov: VcovSpec) -> str:
    """Return a covariance in words."""
    words = {"iid": "iid", "HC1": "HC1", "NW": "Newey-West", "DK": "Driscoll-Kraay"}
    if vcov.cluster:
        return f"clustered by {' and '.join(vcov.cluster)}" + (" (CRV3)" if vcov.type == "CRV3" else "")
    return words.get(vcov.canonical, vcov.canonical)


def covariance_departure(made: Replayer, vcov: VcovSpec, side: str, opposite: str) -> Departure:
    """Say that a side has another covariance than the one asked for."""
    wanted = made.request.vcov
    return Departure(
        rule="vcov.type",
        side=side,
        opposite=opposite,
        did=name_of(vcov),
        asked=name_of(wanted),
        words=_vcov_words(wanted),
        back=_vcov_words(vcov),
    )


def _vcov_words(vcov: VcovSpec) -> dict[str, str]:
    if vcov.cluster:
        kind = vcov.type
        return {"vcov_r": "~ " + " + ".join(vcov.cluster), "vcov_py": f"{{{kind!r}: {' + '.join(vcov.cluster)!r}}}"}
    return {"vcov_r": f'"{vcov.canonical}"', "vcov_py": f'"{vcov.canonical}"'}
