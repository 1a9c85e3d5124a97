"""Which convention separates two vectors of standard errors?

Each side is compared with every point of the catalogue, all coefficients together. A cause is named only where one side
sits on what was asked, the other on a known point, and the replay makes every coefficient meet to nine digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.conventions import Counts
from crosscheck.errors import CrosscheckError
from crosscheck.explain.covariances import covariance_departure, name_of, other_covariances
from crosscheck.explain.hypotheses import (
    Choice,
    KRule,
    catalogue,
    departures,
    departures_count,
    formula,
    multipliers,
)
from crosscheck.explain.model import ENOUGH_DIGITS, Departure, Explanation, write
from crosscheck.explain.replay import Parts, Replayer, close
from crosscheck.explain.rules import PackageConvention, packages
from crosscheck.spec import VcovSpec

if TYPE_CHECKING:
    from crosscheck.results import EstimationResult

MAX_SHOWN = 5
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


def causes(reference: EstimationResult, candidate: EstimationResult, made: Replayer) -> tuple[SeCause, ...]:
    """Return the conventions that separate the standard errors of two results, fewest departures first.

    Empty where none does, and where the estimates differ as well.
    """
    pairs = shared(reference, candidate)
    if not pairs or not estimates_agree(reference, candidate) or not set(pairs) <= set(made.terms):
        return ()
    at = {term: made.terms.index(term) for term in pairs}
    ref, cand = ({t: v[i] for t, v in pairs.items()} for i in (0, 1))
    found: list[SeCause] = []
    requested = _parts(made, made.request.vcov)
    if requested is None:
        return ()
    own = {t: float(made.std_errors(requested, requested.base)[i]) for t, i in at.items()}
    sides = []
    if _same(own, ref):
        sides.append((candidate.engine, reference.engine, cand, False))
    if _same(own, cand):
        sides.append((reference.engine, candidate.engine, ref, True))
    for side, opposite, numbers, swapped in sides:
        for vcov, parts in _covariances(made, requested):
            for cause in _matches(made, requested, parts, vcov, at, numbers):
                found.append(_finish(cause, made, requested, vcov, side, opposite, ref, cand, swapped, parts))
        if not found:
            found += _unrepaired(made, requested, at, numbers, side, opposite, ref, cand, swapped)
    good = [c for c in found if all(close(ref[t], c.replay[t], ENOUGH_DIGITS) for t in ref)]
    return tuple(sorted(good, key=lambda c: c.rank)[:MAX_SHOWN])


def _parts(made: Replayer, vcov: VcovSpec) -> Parts | None:
    try:
        return made.parts(vcov)
    except CrosscheckError:
        return None


def _covariances(made: Replayer, requested: Parts) -> Iterator[tuple[VcovSpec, Parts]]:
    """Yield the covariance asked for, then others that these data allow."""
    yield made.request.vcov, requested
    for vcov in other_covariances(made):
        parts = _parts(made, vcov)
        if parts is not None:
            yield vcov, parts


def _same(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    return all(close(b[t], a[t], ENOUGH_DIGITS) for t in b)


def _matches(
    made: Replayer, requested: Parts, parts: Parts, vcov: VcovSpec, at: Mapping[str, int], numbers: Mapping[str, float]
) -> Iterator[Choice]:
    """Yield the points of one covariance at which every standard error is met."""
    same_vcov = parts is requested
    for choice in catalogue(parts.base, parts.counts, parts.rules):
        if same_vcov and choice == requested.base:
            continue
        if not same_vcov and departures_count(parts.base, choice) > 1:
            break
        predicted = made.std_errors(parts, choice)
        if all(close(numbers[t], float(predicted[i]), ENOUGH_DIGITS) for t, i in at.items()):
            yield choice


def _finish(
    choice: Choice,
    made: Replayer,
    requested: Parts,
    vcov: VcovSpec,
    side: str,
    opposite: str,
    ref: Mapping[str, float],
    cand: Mapping[str, float],
    swapped: bool,
    parts: Parts,
) -> SeCause:
    base = made.std_errors(requested, requested.base)
    other = made.std_errors(parts, choice)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = other / base if swapped else base / other
    replay = {t: cand[t] * float(ratio[made.terms.index(t)]) for t in ref}
    listed = departures(parts.base, choice, parts.counts, side, opposite)
    if parts is not requested:
        listed = (covariance_departure(made, vcov, side, opposite), *listed)
        text = f"V is {name_of(vcov)} with factor {formula(choice, parts.counts)}"
        text += f", not {name_of(made.request.vcov)} with {formula(requested.base, requested.counts)}"
    else:
        text = f"SE^2 of {side}: factor {formula(choice, parts.counts)}; "
        text += f"of {opposite}: {formula(requested.base, requested.counts)}"
    departs = departures_count(parts.base, choice) > 0
    known = packages_at(choice, parts) if departs else ()
    note = "the convention of " + ", ".join(p.title for p in known) if known else ""
    return SeCause(
        departures=listed,
        formula=text,
        note=note,
        replay=replay,
        factor=_factor(requested, parts, choice),
        rank=len(listed),
        choice=choice,
        counts=parts.counts,
        rules=parts.rules,
    )


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


def _factor(requested: Parts, parts: Parts, choice: Choice) -> float | None:
    """Return the one number that takes the departing side's standard errors to those asked for, if there is one."""
    if parts is not requested:
        return None
    base, other = multipliers(requested.base, requested.counts), multipliers(choice, requested.counts)
    ratios = [a / b for a, b in zip(base, other, strict=True)]
    if max(ratios) - min(ratios) > 1e-14 * max(ratios):
        return None
    return math.sqrt(ratios[0])


def _unrepaired(
    made: Replayer,
    requested: Parts,
    at: Mapping[str, int],
    numbers: Mapping[str, float],
    side: str,
    opposite: str,
    ref: Mapping[str, float],
    cand: Mapping[str, float],
    swapped: bool,
) -> list[SeCause]:
    """Try the covariance with its negative eigenvalues left as they are."""
    predicted = made.std_errors(requested, requested.base, repair=False)
    whole = made.std_errors(requested, requested.base)
    if all(close(float(whole[i]), float(predicted[i]), ENOUGH_DIGITS) for i in at.values()):
        return []
    if not all(close(numbers[t], float(predicted[i]), ENOUGH_DIGITS) for t, i in at.items()):
        return []
    departure = Departure(
        rule="eigenvalues",
        side=side,
        opposite=opposite,
        did="leaves negative eigenvalues of the covariance as they are",
        asked="they are replaced by 1e-16",
        words={"flag_r": "TRUE"},
        back={"flag_r": "FALSE"},
    )
    cause = _finish(requested.base, made, requested, made.request.vcov, side, opposite, ref, cand, swapped, requested)
    base = made.std_errors(requested, requested.base)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = predicted / base if swapped else base / predicted
    replay = {t: cand[t] * float(ratio[made.terms.index(t)]) for t in ref}
    return [
        replace(
            cause,
            departures=(departure,),
            formula="V = U max(L, 1e-16) U'",
            note="",
            factor=None,
            rank=1,
            replay=replay,
        )
    ]


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
    if not all(close(ratios[0], r, ENOUGH_DIGITS) for r in ratios):
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
            if not close(ratios[0], target, ENOUGH_DIGITS):
                continue
            if stated is not None and not close(wanted[0], stated, ENOUGH_DIGITS):
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
