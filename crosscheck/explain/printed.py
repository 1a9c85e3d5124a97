"""Which convention gives the standard errors that a table prints, to their last digit?

The oracle's estimates under every covariance, small-sample factor and count of parameters of the catalogue are compared
with the printed intervals, all standard errors of a column together. Few printed digits prove little: a convention is
named only where a wrong column of the same length would meet some point of the catalogue by chance with a probability
below :data:`CHANCE`; every point that fits is returned, fewest departures first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import df_t, p_of, stars_of
from crosscheck.errors import CrosscheckError
from crosscheck.explain.covariances import Variant, name_of, variants
from crosscheck.explain.goodness import flavours
from crosscheck.explain.hypotheses import Choice, catalogue, departures, departures_count, formula
from crosscheck.explain.inference import Distribution, distributions
from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import Replayer
from crosscheck.explain.rules import era_words
from crosscheck.explain.se import MAX_SHOWN, traits

if TYPE_CHECKING:
    from crosscheck.results import EstimationResult

CHANCE = 0.05
SPAN = math.log(4)
LEGENDS: tuple[Mapping[str, float], ...] = (
    {"***": 0.01, "**": 0.05, "*": 0.10},
    {"***": 0.001, "**": 0.01, "*": 0.05},
    {"**": 0.01, "*": 0.05},
    {"*": 0.05},
)


class PrintedNumber(Protocol):
    """What is needed of a printed number: see :class:`crosscheck.published.PublishedNumber`."""

    @property
    def term(self) -> str:
        """Term, empty for statistics of the column."""
        ...

    @property
    def quantity(self) -> str:
        """What was printed."""
        ...

    @property
    def value(self) -> float | None:
        """The number."""
        ...

    @property
    def low(self) -> float:
        """Lower end of the numbers that round to it."""
        ...

    @property
    def high(self) -> float:
        """Upper end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A point of the catalogue and what it predicts for a column.

    Attributes
    ----------
    variant : Variant
    choice : Choice
    std_errors : tuple of float
        By the printed standard errors.
    right : int
        How many of them round to what is printed.
    departs : int
        Components in which it departs from the request.
    """

    variant: Variant
    choice: Choice
    std_errors: tuple[float, ...]
    right: int
    departs: int

    @property
    def words(self) -> str:
        """Return the convention in words, with its numbers."""
        return f"{self.variant.name}, factor {formula(self.choice, self.variant.parts.counts)}"


def text_of(number: Any) -> str:
    """Return a printed number as text: ``printed`` of a published number, ``text`` of a comparison's."""
    return str(getattr(number, "printed", None) or getattr(number, "text", ""))


def inside(value: float, number: PrintedNumber) -> bool:
    """Say whether a value rounds to what is printed."""
    slack = 1e-12 * max(abs(number.low), abs(number.high))
    return number.low - slack <= value <= number.high + slack


def candidates(printed: Sequence[PrintedNumber], made: Replayer) -> tuple[Candidate, ...]:
    """Return every point of the catalogue, the most printed standard errors met first, then fewest departures."""
    wanted = [p for p in printed if p.quantity == "std_error" and p.term in made.terms]
    at = [made.terms.index(p.term) for p in wanted]
    found = []
    for variant in _every_variant(made):
        parts, extra = variant.parts, int(variant.difference is not None)
        for choice in catalogue(parts.base, parts.counts, parts.rules):
            errors = made.std_errors(parts, choice)
            if not np.isfinite(errors[at]).all():
                continue
            numbers = tuple(float(errors[i]) for i in at)
            right = sum(inside(se, p) for se, p in zip(numbers, wanted, strict=True))
            departs = extra + departures_count(parts.base, choice)
            found.append(Candidate(variant=variant, choice=choice, std_errors=numbers, right=right, departs=departs))
    return tuple(sorted(found, key=lambda c: (-c.right, c.departs)))


def _every_variant(made: Replayer) -> Iterator[Variant]:
    try:
        yield from variants(made)
    except CrosscheckError:
        return


def chance(wanted: Sequence[PrintedNumber], found: Sequence[Candidate]) -> float:
    """Return how probable it is that arbitrary standard errors meet some point of the catalogue.

    Arbitrary: each log-uniform within a factor of two of the printed number, independently.
    """
    distinct = {tuple(_place(se, p) for se, p in zip(c.std_errors, wanted, strict=True)) for c in found}
    each = 1.0
    for p in wanted:
        if p.value is None or p.value <= 0:
            return 1.0
        each *= min(1.0, (p.high - p.low) / p.value / SPAN)
    return len(distinct) * each


def _place(value: float, number: PrintedNumber) -> int:
    width = number.high - number.low
    return round(value / width) if width > 0 else 0


def estimates_meet(printed: Sequence[PrintedNumber], made: Replayer) -> bool:
    """Say whether every printed estimate of the oracle's terms is met, so that the sample is the table's."""
    shown = [p for p in printed if p.quantity == "estimate" and p.term in made.terms]
    return all(inside(float(made.estimates[made.terms.index(p.term)]), p) for p in shown)


def explain_std_errors(
    printed: Sequence[PrintedNumber], made: Replayer, engine: str
) -> Mapping[tuple[str, str], tuple[Explanation, ...]]:
    """Name the conventions under which every printed standard error of the column is right."""
    wanted = [p for p in printed if p.quantity == "std_error" and p.term in made.terms]
    if not wanted or not estimates_meet(printed, made):
        return {}
    found = candidates(printed, made)
    odds = chance(wanted, found)
    fits = [c for c in found if c.right == len(wanted)]
    if not fits or odds > CHANCE or any(c.departs == 0 for c in fits):
        return {}
    out: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for i, number in enumerate(wanted):
        out[number.term, "std_error"] = tuple(
            _explanation(c, c.std_errors[i], number, made, engine, odds, len(fits), len(wanted))
            for c in fits[:MAX_SHOWN]
        )
    return out


def _explanation(
    c: Candidate, value: float, number: PrintedNumber, made: Replayer, engine: str, odds: float, fits: int, count: int
) -> Explanation:
    parts = c.variant.parts
    listed = departures(parts.base, c.choice, parts.counts, "published", engine)
    if c.variant.difference is not None:
        listed = (c.variant.difference.departure(made.request.vcov, "published", engine), *listed)
    text = f"{c.words}; {count} of {count} printed standard errors"
    text += f" met, {fits} of the catalogue's points fit; by chance {odds:.1e}"
    note = "; ".join(era_words("published", "", traits(c.variant, c.choice, made)))
    digits = _printed_digits(value, number)
    return write(listed, formula=text, replay=value, reference=number.value, note=note, digits=digits)


def _printed_digits(value: float, number: PrintedNumber) -> float | None:
    """Return how many printed significant digits are right: all of them, as the value rounds to what is printed."""
    if number.value is None or number.value == 0 or not inside(value, number):
        return None
    width = number.high - number.low
    return float(max(1, math.floor(math.log10(abs(number.value) / width)) + 1)) if width > 0 else None


def explain_stars(
    printed: Sequence[PrintedNumber],
    texts: Mapping[str, str],
    made: Replayer,
    result: EstimationResult,
    legend: Mapping[str, float],
) -> Mapping[tuple[str, str], tuple[Explanation, ...]]:
    """Name the distribution, covariance or legend under which every star of the column is right.

    Parameters
    ----------
    printed : sequence of PrintedNumber
    texts : mapping of str to str
        Term to the stars printed.
    made : Replayer
    result : EstimationResult
        The candidate, whose p-values give other stars.
    legend : mapping of str to float
        As the study declares it.
    """
    at = {t: made.terms.index(t) for t in texts if t in made.terms}
    if not at or len(at) < len(texts):
        return {}
    points = _points(printed, made)
    for c in points:
        known = distributions(c.variant.parts.counts, c.variant.parts.rules, c.choice.vcov)
        for d in _ordered(known, c, made):
            p = _p_values(made, c, d, at)
            if _stars(p, legend) == texts:
                return _star_explanations(made, c, d, p, texts, result.engine)
    # Another legend is tried with the request's own inference only: more freedom would explain anything.
    own = points[0]
    parts = own.variant.parts
    d = _ordered(distributions(parts.counts, parts.rules, own.choice.vcov), own, made)[0]
    p = _p_values(made, own, d, at)
    for other in LEGENDS:
        if other != legend and len(texts) > 2 and _stars(p, other) == texts:
            departure = Departure(
                rule="stars.legend",
                side="published",
                opposite=result.engine,
                did=_spell(other),
                asked=_spell(legend),
            )
            return {
                (t, "stars"): (write((departure,), formula=f"p = {p[t]:.6g}", replay=p[t], reference=None),)
                for t in texts
            }
    return {}


def _points(printed: Sequence[PrintedNumber], made: Replayer) -> tuple[Candidate, ...]:
    """The points that the printed standard errors allow; the request's own where none is printed."""
    found = candidates(printed, made)
    own = next(c for c in found if c.departs == 0)
    count = sum(p.quantity == "std_error" and p.term in made.terms for p in printed)
    if not count or not estimates_meet(printed, made):
        return (own,)
    fits = tuple(c for c in found if c.right == count)
    wanted = [p for p in printed if p.quantity == "std_error" and p.term in made.terms]
    if own in fits or not fits or chance(wanted, found) > CHANCE:
        return (own,)
    return fits


def _ordered(known: Sequence[Distribution], c: Candidate, made: Replayer) -> tuple[Distribution, ...]:
    """Put the distribution that belongs to the covariance first."""
    own = df_t(c.choice.vcov, c.variant.parts.counts, c.choice.k.k, t_df=made.ssc.t_df)
    return tuple(sorted(known, key=lambda d: d.df != own))


def _p_values(made: Replayer, c: Candidate, d: Distribution, at: Mapping[str, int]) -> dict[str, float]:
    errors: NDArray[np.float64] = made.std_errors(c.variant.parts, c.choice)
    return {t: p_of(float(made.estimates[i] / errors[i]), d.df) for t, i in at.items()}


def _stars(p: Mapping[str, float], legend: Mapping[str, float]) -> dict[str, str]:
    return {t: stars_of(value, legend) for t, value in p.items()}


def _spell(legend: Mapping[str, float]) -> str:
    return ", ".join(f"{mark} p < {threshold:g}" for mark, threshold in legend.items())


def _star_explanations(
    made: Replayer, c: Candidate, d: Distribution, p: Mapping[str, float], texts: Mapping[str, str], engine: str
) -> Mapping[tuple[str, str], tuple[Explanation, ...]]:
    departure = Departure(
        rule="stars.convention",
        side="published",
        opposite=engine,
        did=f"{c.variant.name} standard errors and {d.text}",
        asked=f"{name_of(made.request.vcov)} standard errors and the request's distribution",
    )
    return {
        (t, "stars"): (
            write(
                (departure,),
                formula=f"p = {p[t]:.6g}; {c.words}",
                replay=p[t],
                reference=None,
            ),
        )
        for t in texts
    }


def explain_printed_r2(
    printed: Sequence[PrintedNumber], made: Replayer, engine: str
) -> Mapping[tuple[str, str], tuple[Explanation, ...]]:
    """Name the flavours of R2 that round to what is printed under another name."""
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    if made.combine is not None or made.request.estimator != "feols":
        return found
    for number in printed:
        if number.quantity not in ("r2", "adj_r2", "r2_within"):
            continue
        fits = [f for f in flavours(made) if inside(f.value, number)]
        width = number.high - number.low
        if fits and len(flavours(made)) * width <= CHANCE:
            found["", number.quantity] = tuple(
                write(
                    (
                        Departure(
                            rule="r2.flavour",
                            side="published",
                            opposite=engine,
                            did=f.text,
                            asked=number.quantity,
                        ),
                    ),
                    formula=f.formula,
                    replay=f.value,
                    reference=number.value,
                    digits=_printed_digits(f.value, number),
                )
                for f in fits[:MAX_SHOWN]
            )
    return found
