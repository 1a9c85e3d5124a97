"""How must the answer change when the question is written another way?

A :class:`Twin` is a question asked twice, and a :class:`Carry` says what turns the first answer into the second: a
factor on the estimates, a shift of some of them, other names, and which quantities the relation speaks of. Nothing that
one side gives and the other does not is taken as agreeing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from crosscheck.campaign.precision import Precision
from crosscheck.conventions import critical
from crosscheck.frame import Frame
from crosscheck.results import CoefRow, EstimationResult
from crosscheck.spec import FitRequest

COEFFICIENTS = frozenset({"estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"})
GOODNESS = frozenset({"r2", "adj_r2", "r2_within"})
COUNTS = frozenset({"nobs", "df_resid"})
ALL = COEFFICIENTS | GOODNESS | COUNTS | {"terms"}
ESTIMATES = frozenset({"estimate", "terms"})
REPAIRED = "eigenvalues"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request and the sample that it is about."""

    request: FitRequest
    frame: Frame


def _same(term: str) -> str:
    return term


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """What turns the first answer into the second.

    Attributes
    ----------
    factor : float
        Of every estimate and standard error; a negative one changes signs and exchanges confidence bounds.
    factors : mapping of str to float
        Of single terms, on top of ``factor``.
    shifts : mapping of str to float
        Added to the estimates of single terms, and to their bounds.
    rename : callable
        A term of the first answer, as the second calls it.
    only, without : frozenset of str or None
        Terms of the first answer that the relation speaks of, or does not speak of.
    quantities : frozenset of str
        ``terms`` says that both answers have the same terms and drop the same ones.
    """

    factor: float = 1.0
    factors: Mapping[str, float] = field(default_factory=dict)
    shifts: Mapping[str, float] = field(default_factory=dict)
    rename: Callable[[str], str] = _same
    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    quantities: frozenset[str] = ALL

    def speaks_of(self, term: str) -> bool:
        """Say whether the relation holds for a term."""
        return term not in self.without and (self.only is None or term in self.only)

    def expected(self, row: CoefRow) -> CoefRow:
        """Return what the second answer must say where the first says ``row``."""
        factor = self.factor * self.factors.get(row.term, 1.0)
        shift = self.shifts.get(row.term, 0.0)

        def moved(value: float | None) -> float | None:
            return None if value is None else factor * value + shift

        low, high = (row.conf_low, row.conf_high) if factor > 0 else (row.conf_high, row.conf_low)
        statistic: float | None = None
        if row.statistic is not None and shift == 0:
            statistic = math.copysign(1.0, factor) * row.statistic
        return CoefRow(
            term=self.rename(row.term),
            estimate=moved(row.estimate),
            std_error=None if row.std_error is None else abs(factor) * row.std_error,
            statistic=statistic,
            p_value=row.p_value if shift == 0 else None,
            conf_low=moved(low),
            conf_high=moved(high),
            df=row.df,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One question asked twice, and how the answers must be related.

    Attributes
    ----------
    first, second : Question
    carry : Carry
    precision : Precision or None
        Where it is not that of the first question.
    """

    first: Question
    second: Question
    carry: Carry = Carry()
    precision: Precision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One number that is not what the relation says; ``size`` is in allowed errors."""

    term: str
    quantity: str
    expected: float | str | None
    found: float | str | None
    size: float


def held(
    first: EstimationResult, second: EstimationResult, carry: Carry, precision: Precision
) -> tuple[int, list[Difference]]:
    """Hold two answers against each other.

    Parameters
    ----------
    first, second : EstimationResult
        Both of status ``ok``.
    carry : Carry
    precision : Precision
        Of the first question.

    Returns
    -------
    compared : int
        Numbers held against each other.
    differences : list of Difference
    """
    differences: list[Difference] = []
    compared = 0
    theirs = {_plain(row.term): row for row in second.coefs}
    repaired = any(REPAIRED in note for r in (first, second) for note in r.conventions.notes)
    for row in first.coefs:
        if not carry.speaks_of(row.term):
            continue
        expected = carry.expected(row)
        other = theirs.pop(_plain(expected.term), None)
        if other is None:
            if "terms" in carry.quantities:
                differences.append(_lacking(expected.term, "in the first answer only"))
            continue
        for quantity, want, got, allowed in _numbers(row, expected, other, carry, precision, repaired):
            compared += 1
            if (want is None) != (got is None):
                differences.append(
                    Difference(term=other.term, quantity=quantity, expected=want, found=got, size=math.inf)
                )
            elif want is not None and got is not None and not _close(want, got, allowed):
                size = abs(want - got) / allowed if allowed > 0 and math.isfinite(want - got) else math.inf
                differences.append(Difference(term=other.term, quantity=quantity, expected=want, found=got, size=size))
    if "terms" in carry.quantities and carry.only is None:
        known = {carry.rename(t) for t in carry.without}
        differences += [_lacking(t, "in the second answer only") for t in theirs if t not in known]
        mine = sorted(carry.rename(t) for t in first.dropped if t not in carry.without)
        other_dropped = sorted(t for t in second.dropped if t not in known)
        compared += 1
        if mine != other_dropped:
            differences.append(
                Difference(
                    term="",
                    quantity="dropped",
                    expected=", ".join(mine),
                    found=", ".join(other_dropped),
                    size=math.inf,
                )
            )
    for quantity in ("nobs", "df_resid", "r2", "adj_r2", "r2_within"):
        if quantity not in carry.quantities:
            continue
        want, got = getattr(first.stats, quantity), getattr(second.stats, quantity)
        if want is None and got is None:
            continue
        if quantity in GOODNESS and (precision.perfect or precision.fit > 1e-4):
            continue
        if quantity == "r2_within" and {want, got} <= {None, 0.0, 1.0} and want != got:
            continue  # the effects leave nothing but rounding to explain
        compared += 1
        allowed = 0.0
        if quantity in GOODNESS and first.stats.nobs and first.stats.df_resid:
            allowed = precision.fit * (
                first.stats.nobs / max(first.stats.df_resid, 1.0) if quantity == "adj_r2" else 1.0
            )
            allowed *= 1e2 if quantity == "r2_within" else 1.0
        elif quantity in GOODNESS:
            allowed = precision.fit * 1e2
        allowed *= max(1.0, abs(want or 0.0))
        if want is None or got is None or not _close(want, got, allowed):
            size = math.inf if want is None or got is None or allowed == 0 else abs(want - got) / allowed
            differences.append(Difference(term="", quantity=quantity, expected=want, found=got, size=size))
    return compared, differences


def _plain(term: str) -> str:
    """Return a term without the prefix that marks a regressor fitted in a first stage."""
    return term.removeprefix("fit_")


def _lacking(term: str, where: str) -> Difference:
    return Difference(term=term, quantity="terms", expected=term, found=where, size=math.inf)


def _numbers(
    row: CoefRow, expected: CoefRow, other: CoefRow, carry: Carry, precision: Precision, repaired: bool
) -> Iterator[tuple[str, float | None, float | None, float]]:
    """Yield each quantity with what it must be, what it is, and what it may be off by."""
    factor = abs(carry.factor * carry.factors.get(row.term, 1.0))
    slack = factor * precision.of_estimate(row.term, row.estimate or 0.0)
    slack += abs(carry.shifts.get(row.term, 0.0)) * precision.rtol
    wanted = carry.quantities
    if "estimate" in wanted:
        yield "estimate", expected.estimate, other.estimate, slack
    se, silent = row.std_error, False
    if se is not None and other.std_error is not None:
        # Both must be noise: a number on one side and none on the other is a difference.
        silent = precision.silent(row.term, se) and precision.silent(row.term, other.std_error / max(factor, 1e-300))
        silent = silent or repaired
    if silent:
        return
    spread = (se or 0.0) * precision.se_rtol * factor
    if "std_error" in wanted:
        yield "std_error", expected.std_error, other.std_error, spread
    if not se or math.isnan(se) or row.estimate is None:
        return
    t = abs(row.estimate) / se
    wobble = slack / (se * factor) + t * precision.se_rtol
    if "statistic" in wanted and expected.statistic is not None:
        yield "statistic", expected.statistic, other.statistic, wobble
    if "p_value" in wanted and expected.p_value is not None:
        yield "p_value", expected.p_value, other.p_value, wobble + 1e-12
    if "conf_low" in wanted and row.conf_low is not None and row.conf_high is not None:
        far = abs(row.conf_high - row.conf_low) / (2 * se) if math.isfinite(row.conf_high - row.conf_low) else 1.0
        room = slack + spread * max(far, critical(0.95, math.inf))
        yield "conf_low", expected.conf_low, other.conf_low, room
        yield "conf_high", expected.conf_high, other.conf_high, room


def _close(want: float, got: float, allowed: float) -> bool:
    if math.isnan(want) or math.isnan(got):
        return math.isnan(want) and math.isnan(got)
    return want == got or abs(want - got) <= allowed
