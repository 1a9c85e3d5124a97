"""Which covariance, small-sample factor, degrees of freedom and sample give all that a column prints?

Every point of the catalogue, on every sample that a convention allows, is ranked by how many printed standard errors it
meets and by how many printed digits it gets right; fewest departures first among equals. A ranking is not a proof: how
probable it is that arbitrary numbers meet some point stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscheck.conventions import critical, p_of, stars_of
from crosscheck.explain.inference import Distribution, distributions
from crosscheck.explain.printed import CHANCE, Candidate, PrintedNumber, candidates, chance, inside, text_of
from crosscheck.explain.replay import Replayer, replayer
from crosscheck.explain.subsamples import subsamples

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

MAX_SAMPLES = 8
MAX_LAWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """One combination and what it gets right of a printed column.

    Attributes
    ----------
    words : str
        Covariance and factor, with numbers.
    sample : str
        What is left out; empty for all rows.
    nobs : float
    laws : tuple of str
        Distributions under which every printed p-value, statistic, bound and star is right; empty where none is
        printed, ``none`` alone where no distribution is.
    errors_met, errors : int
        Standard errors right to the last printed digit, of those printed.
    estimates_met, estimates : int
    digits_right, digits : int
        Significant digits of standard errors that are right, of those printed.
    departs : int
        Components in which it departs from what the study asks.
    std_errors : tuple of float
    """

    words: str
    sample: str
    nobs: float
    laws: tuple[str, ...]
    errors_met: int
    errors: int
    estimates_met: int
    estimates: int
    digits_right: int
    digits: int
    departs: int
    std_errors: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Whether it reproduces every printed estimate and standard error, and some distribution the rest."""
        return self.errors_met == self.errors and self.estimates_met == self.estimates and self.laws != ("none",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forensics:
    """The ranking of a printed column.

    ``tried`` is the number of points of the catalogue on all samples; ``odds`` how probable it is that arbitrary
    standard errors would meet one of them (1 where too little is printed to tell).
    """

    ranked: tuple[Convention, ...]
    tried: int
    odds: float
    errors: int

    @property
    def whole(self) -> tuple[Convention, ...]:
        """Those that reproduce everything printed."""
        return tuple(c for c in self.ranked if c.whole)


def rank_column(
    printed: Sequence[PrintedNumber],
    frame: Frame,
    request: FitRequest,
    *,
    legend: Mapping[str, float],
    limit: int = 10,
) -> Forensics | None:
    """Rank every convention by what it gets right of a printed column.

    Parameters
    ----------
    printed : sequence of PrintedNumber
        All printed numbers of the column.
    frame : Frame
    request : FitRequest
    legend : mapping of str to float
        Stars to threshold.
    limit : int
        Rows returned; those that reproduce everything are returned all.

    Returns
    -------
    Forensics or None
        ``None`` where no closed form answers the request, or no standard error of its terms is printed.
    """
    made = replayer(request, frame)
    if made is None or not any(p.quantity == "std_error" and p.term in made.terms for p in printed):
        return None
    wanted = [p for p in printed if p.quantity == "std_error" and p.term in made.terms]
    found: list[Convention] = []
    tried, odds = 0, 0.0
    for again, text, departs in _samples(made):
        listed = candidates(printed, again)
        tried += len(listed)
        odds += chance(wanted, listed)
        found += [_convention(c, again, printed, wanted, legend, text, departs) for c in listed]
    found.sort(key=lambda c: (not c.whole, -c.estimates_met, -c.errors_met, -c.digits_right, c.departs))
    kept = max(limit, sum(c.whole for c in found))
    return Forensics(ranked=tuple(found[:kept]), tried=tried, odds=min(1.0, odds), errors=len(wanted))


def nearest_words(found: Forensics) -> str:
    """Say in one sentence whether some convention gives the whole column, and which one comes nearest."""
    if found.whole:
        few = "" if found.odds <= CHANCE else ", though so few digits are printed that some point would fit by chance"
        return f"reproduced by {found.whole[0].words} ({len(found.whole)} of {found.tried} conventions{few})"
    best = found.ranked[0]
    sample = f" without {best.sample}" if best.sample else ""
    return (
        f"none of {found.tried} conventions gives the column; nearest is {best.words}{sample}: "
        f"{best.errors_met} of {best.errors} standard errors, {best.digits_right} of {best.digits} digits"
    )


def _samples(made: Replayer) -> list[tuple[Replayer, str, int]]:
    """Return the fit of every sample in which the same terms remain, the request's own first."""
    out = [(made, "", 0)]
    if made.request.estimator not in ("feols", "sunab"):
        return out
    for rows in subsamples(made.request, made.model.frame, made.model.effects)[1 : 1 + MAX_SAMPLES]:
        again = replayer(made.request, made.model.frame.take(rows.keep))
        if again is not None and again.terms == made.terms:
            out.append((again, rows.text, 1))
    return out


def _convention(
    c: Candidate,
    made: Replayer,
    printed: Sequence[PrintedNumber],
    wanted: Sequence[PrintedNumber],
    legend: Mapping[str, float],
    sample: str,
    departs: int,
) -> Convention:
    shown = [p for p in printed if p.quantity == "estimate" and p.term in made.terms]
    met = sum(inside(float(made.estimates[made.terms.index(p.term)]), p) for p in shown)
    digits = [digits_right(se, p) for se, p in zip(c.std_errors, wanted, strict=True)]
    laws: tuple[str, ...] = ()
    if c.right == len(wanted):
        laws = _laws(c, made, printed, legend)
    return Convention(
        words=c.words,
        sample=sample,
        nobs=made.model.n,
        laws=laws,
        errors_met=c.right,
        errors=len(wanted),
        estimates_met=met,
        estimates=len(shown),
        digits_right=sum(right for right, _ in digits),
        digits=sum(total for _, total in digits),
        departs=departs + c.departs,
        std_errors=c.std_errors,
    )


def digits_right(value: float, number: PrintedNumber) -> tuple[int, int]:
    """Return how many significant digits of a printed number a value gets right, and how many are printed."""
    width = number.high - number.low
    if number.value is None or number.value == 0 or not width > 0:
        return 0, 0
    exponent = math.floor(math.log10(abs(number.value)))
    total = max(1, exponent - round(math.log10(width)) + 1)
    if inside(value, number):
        return total, total
    right = 0
    for d in range(1, total):
        if abs(value - number.value) <= 0.5 * 10.0 ** (exponent - d + 1):
            right = d
    return right, total


def _laws(
    c: Candidate, made: Replayer, printed: Sequence[PrintedNumber], legend: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the distributions under which all printed inference of the column is right."""
    quantities = ("p_value", "statistic", "conf_low", "conf_high", "stars")
    judged = [p for p in printed if p.quantity in quantities and p.term in made.terms]
    if not judged:
        return ()
    parts = c.variant.parts
    known = distributions(parts.counts, parts.rules, c.choice.vcov)
    good = [d.text for d in known if all(_inferred(d, p, c, made, legend) for p in judged)]
    if len(good) == len(known):
        return ("any distribution",)
    return tuple(good[:MAX_LAWS]) or ("none",)


def _inferred(
    d: Distribution, number: PrintedNumber, c: Candidate, made: Replayer, legend: Mapping[str, float]
) -> bool:
    i = made.terms.index(number.term)
    b = float(made.estimates[i])
    se = float(made.std_errors(c.variant.parts, c.choice)[i])
    if number.quantity == "stars":
        return stars_of(p_of(b / se, d.df), legend) == text_of(number)
    half = critical(made.request.conf_level, d.df) * se
    value = {"statistic": b / se, "p_value": p_of(b / se, d.df), "conf_low": b - half, "conf_high": b + half}
    return inside(value[number.quantity], number)
