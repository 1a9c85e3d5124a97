"""Which covariances could a column have been computed with, and what are they called?

The request's own comes first, then the others from cheap to dear. What is dear is bounded by its size, not by a clock,
so that the same question always gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from crosscheck.engines._oracle_linear import grouped
from crosscheck.errors import CrosscheckError
from crosscheck.explain.hac import KERNELS, MAX_LAG, autocovariances, lag_rules
from crosscheck.explain.hypotheses import Choice, KRule
from crosscheck.explain.leverage import bias_reduced, hetero_variants
from crosscheck.explain.model import Departure
from crosscheck.explain.replay import Parts, Replayer
from crosscheck.spec import VcovSpec

SERIAL_SIZE = 200_000
MAX_CLUSTERS = 8
JACKKNIFE_SIZE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """In what a covariance differs from the one asked for: a rule, what it is instead, and an engine's words for it.

    ``did`` and ``asked`` are in words; ``vcov`` is the covariance where the words of :class:`VcovSpec` suffice.
    """

    rule: str
    did: str
    asked: str
    vcov: VcovSpec | None = None

    def departure(self, wanted: VcovSpec, side: str, opposite: str) -> Departure:
        """Say that a side has this covariance instead of the one asked for."""
        return Departure(
            rule=self.rule,
            side=side,
            opposite=opposite,
            did=self.did,
            asked=self.asked,
            words=_vcov_words(wanted),
            back={} if self.vcov is None else _vcov_words(self.vcov),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variant:
    """A covariance that these data allow: its name, its parts, and how it differs from the one asked for.

    ``difference`` is ``None`` for the request's own. ``df`` holds degrees of freedom by term where the covariance
    brings its own (CRV2).
    """

    name: str
    parts: Parts
    difference: Difference | None = None
    df: tuple[float, ...] = ()


def variants(made: Replayer) -> Iterator[Variant]:
    """Yield every covariance of the catalogue: the request's own, then the others, cheap ones first; each made once.

    Raises
    ------
    CrosscheckError
        Where the request's own does not exist on these data.
    """
    kept: list[Variant] = made.memo.setdefault("variants", [])
    source: Iterator[Variant] = made.memo.setdefault("source", _variants(made))
    yield from kept
    for variant in source:
        kept.append(variant)
        yield variant


def _variants(made: Replayer) -> Iterator[Variant]:
    wanted = made.request.vcov
    own = made.parts(wanted)
    yield Variant(name=name_of(wanted), parts=own)
    if wanted.canonical in ("NW", "DK"):
        yield from _other_lags(made, wanted, own)
    for vcov in other_covariances(made):
        parts = _parts(made, vcov)
        if parts is not None:
            difference = Difference(rule="vcov.type", did=name_of(vcov), asked=name_of(wanted), vcov=vcov)
            if made.request.weights is not None and (vcov.canonical, wanted.canonical) == ("HC1", "iid"):
                did = "probability weights, whose standard errors are HC1"
                difference = replace(difference, rule="weights.type", did=did, asked="analytic weights")
            yield Variant(name=name_of(vcov), parts=parts, difference=difference)
    yield from _other_leverages(made, wanted)


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
    found += [VcovSpec(type="CRV1", cluster=(n,)) for n in (*usable, *_other_clusters(made, usable))]
    twos = [(str(request.unit), str(request.time))]
    twos += [(name, str(request.time)) for name in request.vcov.cluster if name != request.time]
    for pair in dict.fromkeys(twos):
        if all(name in usable for name in pair) and pair[0] != pair[1]:
            found.append(VcovSpec(type="CRV1", cluster=pair))
    n = made.model.y.size
    if request.time in usable:
        periods = int(np.unique(made.model.frame[str(request.time)].values).size)
        found += [VcovSpec(type="DK", lag=lag) for lag in lag_rules(periods)]
        if request.unit in usable and n <= SERIAL_SIZE and not made.model.frequency:
            found.append(VcovSpec(type="NW"))
    if request.vcov.canonical == "CRV1" and len(request.vcov.cluster) == 1 and made.combine is None:
        cluster = made.model.clusters(request.vcov.cluster)[0]
        if n * (int(cluster.max(initial=0)) + 1) <= JACKKNIFE_SIZE:
            found.append(VcovSpec(type="CRV3", cluster=request.vcov.cluster))
    serial = request.vcov.canonical in ("NW", "DK")
    return tuple(
        v
        for v in found
        if (v.canonical, v.cluster) != (request.vcov.canonical, request.vcov.cluster)
        and not (serial and v.canonical == request.vcov.canonical)
    )


def _other_clusters(made: Replayer, known: list[str]) -> list[str]:
    """Return further columns of categories that errors may be clustered by; not those nearly all distinct."""
    found = []
    for column in made.model.frame.columns:
        if column.name in known or column.kind not in ("category", "integer") or column.missing.any():
            continue
        levels = int(np.unique(column.values).size)
        if 2 <= levels <= made.model.y.size // 2:
            found.append(column.name)
    return found[:MAX_CLUSTERS]


def _parts(made: Replayer, vcov: VcovSpec) -> Parts | None:
    try:
        return made.parts(vcov)
    except CrosscheckError:
        return None


def _other_lags(made: Replayer, wanted: VcovSpec, own: Parts) -> Iterator[Variant]:
    """Yield the same covariance with other lags, then with other kernels."""
    kind = wanted.canonical
    grouping, _ = grouped(made.model, made.request, wanted)
    sums = autocovariances(made.model.fit, kind, grouping)
    if sums is None or grouping.lag is None or own.counts.n_periods is None:
        return
    known = lag_rules(own.counts.n_periods)
    last = min(own.counts.n_periods - 1, MAX_LAG)
    lags = sorted(range(last + 1), key=lambda lag: (lag not in known, lag))
    asked = f"the Bartlett kernel with {grouping.lag} lags"
    for kernel in KERNELS:
        for lag in lags:
            if kernel == "Bartlett" and lag == grouping.lag:
                continue
            rule = "hac.lag" if kernel == "Bartlett" else "hac.kernel"
            text = f"the {kernel} kernel with {lag} lags"
            if lag in known and lag != grouping.lag:
                text += f" = {known[lag]}"
            vcov = VcovSpec(type=wanted.type, lag=lag) if kernel == "Bartlett" else None
            parts = Parts(matrices=(sums.covariance(kernel, lag),), counts=own.counts, base=own.base, rules=own.rules)
            yield Variant(
                name=f"{name_of(wanted)} with {text}",
                parts=parts,
                difference=Difference(rule=rule, did=text, asked=asked, vcov=vcov),
            )


def _other_leverages(made: Replayer, wanted: VcovSpec) -> Iterator[Variant]:
    """Yield HC4, HC4m, HC5 and CRV2, which no engine offers under fixest's words."""
    model = made.model
    if model.endogenous.shape[1] or model.frequency:
        return
    counts = model.counts(wanted.cluster if wanted.canonical in ("CRV1", "CRV3") else ())
    rule = KRule(id="full", k=model.parameters, text=f"{model.parameters}")
    for name, matrix in hetero_variants(model.fit).items():
        choice = Choice(vcov=name, numerator="none", k=rule, g="none")
        parts = Parts(matrices=(matrix,), counts=counts, base=choice, rules=(rule,))
        yield Variant(name=name, parts=parts, difference=Difference(rule="vcov.type", did=name, asked=name_of(wanted)))
    if wanted.canonical not in ("CRV1", "CRV3") or len(wanted.cluster) != 1 or made.combine is not None:
        return
    cluster = model.clusters(wanted.cluster)[0]
    found = bias_reduced(model.fit, cluster, tuple(model.effects.values()), model.x[:, list(model.fit.kept)])
    if found is not None:
        choice = Choice(vcov="CRV2", numerator="none", k=rule, g="none")
        name = f"clustered by {wanted.cluster[0]} (CRV2, bias-reduced linearization)"
        parts = Parts(matrices=(found.matrix,), counts=counts, base=choice, rules=(rule,))
        difference = Difference(rule="vcov.type", did=name, asked=name_of(wanted))
        yield Variant(name=name, parts=parts, difference=difference, df=tuple(found.df.tolist()))


def name_of(vcov: VcovSpec) -> str:
    """Return a covariance in words."""
    words = {"iid": "iid", "HC1": "HC1", "NW": "Newey-West", "DK": "Driscoll-Kraay"}
    if vcov.cluster:
        return f"clustered by {' and '.join(vcov.cluster)}" + (" (CRV3)" if vcov.type == "CRV3" else "")
    name = words.get(vcov.canonical, vcov.canonical)
    return name if vcov.lag is None else f"{name} with {vcov.lag} lags"


def _vcov_words(vcov: VcovSpec) -> dict[str, str]:
    if vcov.cluster:
        kind = vcov.type
        return {"vcov_r": "~ " + " + ".join(vcov.cluster), "vcov_py": f"{{{kind!r}: {' + '.join(vcov.cluster)!r}}}"}
    if vcov.lag is not None:
        python = f'"{vcov.canonical}", vcov_kwargs={{"lag": {vcov.lag}}}'
        return {"vcov_r": f"{vcov.canonical}({vcov.lag})", "vcov_py": python}
    return {"vcov_r": f'"{vcov.canonical}"', "vcov_py": f'"{vcov.canonical}"'}
