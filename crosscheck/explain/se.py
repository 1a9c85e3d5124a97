"""Which convention separates two vectors of standard errors?

Each side is compared with every point of the catalogue, all coefficients together. A cause is named only where both
sides sit on known points, what was asked being one of them, and the replay makes every coefficient meet to nine digits.
A factor common to all coefficients is looked for first, among the factors on the covariance asked for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import Counts
from crosscheck.errors import CrosscheckError
from crosscheck.explain.covariances import Variant, variants
from crosscheck.explain.hypotheses import (
    Choice,
    KRule,
    catalogue,
    departures,
    departures_count,
    formula,
    multipliers,
)
from crosscheck.explain.model import Departure, Explanation, base_id, enough, write
from crosscheck.explain.replay import Parts, Replayer, close
from crosscheck.explain.rules import PackageConvention, era_words, packages

if TYPE_CHECKING:
    from crosscheck.results import EstimationResult

MAX_SHOWN = 5
MAX_NAMED = 2
ESTIMATES_AGREE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class SeCause:
    """Why the standard errors of a column differ.

    Attributes
    ----------
    departures : tuple of Departure
    formula, note : str
    replay : mapping of str to float
        Term to the candidate's standard error with the reference's convention.
    factor : float or None
        What takes the standard errors of the side that departs to the other's, where it is one number.
    rank : int
        Number of components that depart.
    choice : Choice
        The point of the side that departs.
    counts : Counts
    rules : tuple of KRule
        Of the covariance of the side that departs.
    df : mapping of str to float
        Degrees of freedom by term, where the covariance brings its own.
    """

    departures: tuple[Departure, ...]
    formula: str
    note: str
    replay: Mapping[str, float]
    factor: float | None
    rank: int
    choice: Choice
    counts: Counts
    rules: tuple[KRule, ...]
    df: Mapping[str, float] = field(default_factory=dict)

    def explanation(self, term: str, reference: float) -> Explanation:
        """Return the explanation for one coefficient's standard error."""
        return write(
            self.departures,
            formula=self.formula,
            replay=self.replay[term],
            reference=reference,
            note=self.note,
            factor=self.factor,
        )


def shared(reference: EstimationResult, candidate: EstimationResult) -> dict[str, tuple[float, float]]:
    """Return the standard errors of both sides by term, where both are positive numbers."""
    found = {}
    for row in reference.coefs:
        other = candidate.coef(row.term)
        if other is None or row.std_error is None or other.std_error is None:
            continue
        if row.std_error > 0 and other.std_error > 0 and math.isfinite(row.std_error + other.std_error):
            found[row.term] = (row.std_error, other.std_error)
    return found


def estimates_agree(reference: EstimationResult, candidate: EstimationResult) -> bool:
    """Say whether every shared estimate agrees closely, so that only inference can differ."""
    pairs = [(r, candidate.coef(r.term)) for r in reference.coefs]
    if any(other is None for _, other in pairs) or len(reference.coefs) != len(candidate.coefs):
        return False
    for row, other in pairs:
        assert other is not None
        if row.estimate is None or other.estimate is None:
            return False
        scale = max(abs(row.estimate), row.std_error or 0.0)
        if not abs(row.estimate - other.estimate) <= ESTIMATES_AGREE * scale:
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Match:
    """A point of the catalogue at which every standard error of one side is met.

    ``predicted`` holds the point's standard errors of all terms of the fit, ``rank`` the components that depart.
    """

    variant: Variant
    choice: Choice
    repair: bool
    predicted: NDArray[np.float64]
    rank: int

    @property
    def scales(self) -> tuple[float, ...]:
        """Return what the parts of the covariance are multiplied by."""
        return multipliers(self.choice, self.variant.parts.counts)


def causes(reference: EstimationResult, candidate: EstimationResult, made: Replayer) -> tuple[SeCause, ...]:
    """Return every combination of conventions that separates the standard errors of two results.

    Fewest departures first; empty where none does, and where the estimates differ as well.
    """
    pairs = shared(reference, candidate)
    if not pairs or not estimates_agree(reference, candidate) or not set(pairs) <= set(made.terms):
        return ()
    at = {term: made.terms.index(term) for term in pairs}
    sides = tuple({t: v[i] for t, v in pairs.items()} for i in (0, 1))
    met: tuple[list[Match], list[Match]] = ([], [])
    common = _common_factor(pairs)
    try:
        for variant in variants(made):
            for found, numbers in zip(met, sides, strict=True):
                if not (found and found[0].rank == 0):
                    found.extend(_matches(made, variant, at, numbers))
            if common and all(met):
                break  # a common factor is one on the covariance asked for; nothing dearer is tried
    except CrosscheckError:
        return ()
    ours, theirs = (sorted(found, key=lambda m: m.rank) for found in met)
    listed = []
    for a, b in itertools.product(ours, theirs):
        if a.variant is b.variant and a.repair == b.repair and a.scales == b.scales:
            continue
        cause = _finish(a, b, reference, candidate, at, made)
        if all(close(sides[0][t], cause.replay[t], enough()) for t in at):
            listed.append(cause)
    listed.sort(key=lambda c: c.rank)
    return tuple(listed[:MAX_SHOWN])


def matches_of(result: EstimationResult, made: Replayer) -> Iterator[Match]:
    """Yield the points at which every standard error of one result is met, that of the request first."""
    numbers = {r.term: r.std_error for r in result.coefs}
    if not all(finite(se) for se in numbers.values()) or not set(numbers) <= set(made.terms):
        return
    at = {term: made.terms.index(term) for term in numbers}
    try:
        for variant in variants(made):
            yield from _matches(made, variant, at, {t: float(se) for t, se in numbers.items()})  # type: ignore[arg-type]
    except CrosscheckError:
        return


def finite(value: float | None) -> bool:
    """Say whether a standard error is there, and a positive number."""
    return value is not None and math.isfinite(value) and value > 0


def _common_factor(pairs: Mapping[str, tuple[float, float]]) -> bool:
    """Say whether one number takes every standard error of one side to the other's; not of one coefficient alone."""
    ratios = [b / a for a, b in pairs.values()]
    return len(ratios) > 1 and all(close(ratios[0], r, enough()) for r in ratios)


def _matches(made: Replayer, variant: Variant, at: Mapping[str, int], numbers: Mapping[str, float]) -> Iterator[Match]:
    """Yield the points of one covariance at which every standard error of one side is met."""
    parts = variant.parts
    other = variant.difference is not None
    for choice in catalogue(parts.base, parts.counts, parts.rules):
        count = departures_count(parts.base, choice)
        whole = made.std_errors(parts, choice)
        raw = made.std_errors(parts, choice, repair=False)
        for repair, predicted in ((True, whole), (False, raw)):
            if not repair and np.array_equal(raw, whole, equal_nan=True):
                continue
            if all(close(numbers[t], float(predicted[i]), enough()) for t, i in at.items()):
                if other and count > 1 and not packages_at(choice, parts):
                    continue  # another covariance with a factor of its own has to be somebody's convention
                rank = count + other + (not repair)
                yield Match(variant=variant, choice=choice, repair=repair, predicted=predicted, rank=rank)
                if rank == 0:
                    return


def _finish(
    ours: Match,
    theirs: Match,
    reference: EstimationResult,
    candidate: EstimationResult,
    at: Mapping[str, int],
    made: Replayer,
) -> SeCause:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ours.predicted / theirs.predicted
    replay = {t: float(candidate.coef(t).std_error * ratio[i]) for t, i in at.items()}  # type: ignore[union-attr]
    both = bool(ours.rank and theirs.rank)
    listed: list[Departure] = []
    for match, side, opposite in (
        (theirs, candidate.engine, reference.engine),
        (ours, reference.engine, candidate.engine),
    ):
        listed += own_departures(match, made, side, opposite, alone=not both)
    texts = [
        f"SE^2 of {engine}: {factor_text(m)}" for m, engine in ((ours, reference.engine), (theirs, candidate.engine))
    ]
    away = theirs if theirs.rank else ours
    return SeCause(
        departures=tuple(listed),
        formula="; ".join(texts),
        note="; ".join(
            dict.fromkeys(
                text
                for match, side in ((theirs, candidate), (ours, reference))
                for text in _notes(match, made, side.engine, side.version)
            )
        ),
        replay=replay,
        factor=_factor(ours, theirs, away),
        rank=ours.rank + theirs.rank,
        choice=away.choice,
        counts=away.variant.parts.counts,
        rules=away.variant.parts.rules,
        df={t: away.variant.df[i] for t, i in at.items()} if away.variant.df else {},
    )


def own_departures(
    match: Match, made: Replayer, side: str, opposite: str, *, alone: bool = False
) -> Sequence[Departure]:
    """Say in what a side departs from the request; ``alone``: the other side does not, and may be told to follow."""
    variant = match.variant
    listed: list[Departure] = []
    if variant.difference is not None:
        listed.append(variant.difference.departure(made.request.vcov, side, opposite))
    listed += departures(variant.parts.base, match.choice, variant.parts.counts, side, opposite)
    if not match.repair:
        listed.append(
            Departure(
                rule="eigenvalues",
                side=side,
                opposite=opposite,
                did="leaves negative eigenvalues of the covariance as they are",
                asked="they are replaced by 1e-16",
                words={"flag_r": "TRUE"},
                back={"flag_r": "FALSE"},
            )
        )
    return listed if alone else [replace(d, back={}) for d in listed]


def factor_text(match: Match) -> str:
    """Return the factor on a side's covariance with its numbers."""
    text = f"factor {formula(match.choice, match.variant.parts.counts)}"
    if match.variant.difference is not None:
        text = f"V {match.variant.name}, {text}"
    return text if match.repair else f"{text}, V as it is instead of U max(L, 1e-16) U'"


def _notes(match: Match, made: Replayer, engine: str, version: str) -> list[str]:
    """Return whose convention or default a side follows where it departs."""
    parts = match.variant.parts
    if match.rank == 0:
        return []
    known = packages_at(match.choice, parts)
    listed = []
    if known and (departures_count(parts.base, match.choice) or len(known) <= MAX_NAMED):
        listed.append("the convention of " + ", ".join(p.title for p in known))
    listed += era_words(base_id(engine), version, traits(match.variant, match.choice, made))
    return listed


def traits(variant: Variant, choice: Choice, made: Replayer) -> list[str]:
    """Return what a point shares with the defaults of some era: see the head of ``[[era]]`` in ``rules.toml``."""
    found = []
    vcov = variant.difference.vcov if variant.difference is not None else None
    if vcov is not None:
        first = next(iter(made.model.effects), ())
        if vcov.canonical == "iid":
            found.append("vcov=iid")
        elif vcov.canonical == "CRV1" and vcov.cluster == first:
            found.append("vcov=first")
    base = variant.parts.base
    if choice.k.id == "none" and base.k.id != "none":
        found.append("k=none")
    if choice.g == "conventional" and base.g != "conventional" and len(variant.parts.counts.n_clusters) > 1:
        found.append("g=conventional")
    return found


def _factor(ours: Match, theirs: Match, away: Match) -> float | None:
    """Return the one number that takes the departing side's standard errors to the other's, if there is one."""
    if ours.variant is not theirs.variant or not (ours.repair and theirs.repair):
        return None
    ratios = [a / b for a, b in zip(ours.scales, theirs.scales, strict=True)]
    if max(ratios) - min(ratios) > 1e-14 * max(ratios):
        return None
    return math.sqrt(ratios[0] if away is theirs else 1 / ratios[0])


def packages_at(choice: Choice, parts: Parts) -> tuple[PackageConvention, ...]:
    """Return the packages whose convention gives the same factors as a point on these data."""
    own = multipliers(choice, parts.counts)
    found = []
    for row in packages():
        # without fixed effects every rule counts the coefficients
        word = row.k if parts.counts.fe_sizes else "full"
        k = next((r for r in parts.rules if r.id == word), None)
        if choice.vcov not in row.vcov or (k is None and row.numerator not in ("none", "ml")):
            continue
        point = Choice(vcov=choice.vcov, numerator=row.numerator, k=k or choice.k, g=row.g)
        other = multipliers(point, parts.counts)
        if len(own) == len(other) and all(close(a, b, 13.0) for a, b in zip(own, other, strict=True)):
            found.append(row)
    return tuple(found)


def factor_only(
    reference: EstimationResult, candidate: EstimationResult, counts: Counts, base: Choice, points: tuple[Choice, ...]
) -> tuple[SeCause, ...]:
    """Explain a common factor over all coefficients without a fit, where no closed form answers the request.

    The side that departs is the one whose stated factor is not the one asked for; where neither states one, a factor
    is accepted only if it fits in one direction.
    """
    pairs = shared(reference, candidate)
    if not pairs or not estimates_agree(reference, candidate):
        return ()
    ratios = [c / r for r, c in pairs.values()]
    if not all(close(ratios[0], r, enough()) for r in ratios):
        return ()
    wanted = multipliers(base, counts)
    found: list[SeCause] = []
    for choice in points:
        other = multipliers(choice, counts)
        if choice == base or len(set(other)) > 1 or len(set(wanted)) > 1:
            continue
        step = math.sqrt(other[0] / wanted[0])
        for side, opposite, target in (
            (candidate, reference, step),
            (reference, candidate, 1 / step),
        ):
            stated = opposite.conventions.ssc_factor
            if not close(ratios[0], target, enough()):
                continue
            if stated is not None and not close(wanted[0], stated, enough()):
                continue
            listed = departures(base, choice, counts, side.engine, opposite.engine)
            text = f"SE^2 of {side.engine}: factor {formula(choice, counts)}; "
            text += f"of {opposite.engine}: {formula(base, counts)}"
            found.append(
                SeCause(
                    departures=listed,
                    formula=text,
                    note="",
                    replay={t: c / target for t, (_, c) in pairs.items()},
                    factor=1 / step,
                    rank=len(listed),
                    choice=choice,
                    counts=counts,
                    rules=(),
                )
            )
    return tuple(sorted(found, key=lambda c: c.rank)[:MAX_SHOWN])
