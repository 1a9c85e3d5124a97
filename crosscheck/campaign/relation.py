"""What is a relation that needs no reference, and how is it checked on a case?

A relation writes a question another way, and knows how the answer must change. Whoever answers both ways differently
beyond what rounding allows is at fault in one of them, whichever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING
from crosscheck.campaign.invariance import Difference, Question, Twin, held
from crosscheck.campaign.precision import Precision, precision_of
from crosscheck.engines import family
from crosscheck.errors import CrosscheckError
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest
from crosscheck.verdict import Severity

Make = Callable[[Case, np.random.Generator], Twin | str]
UPSTREAM = ("status", "nobs", "terms", "dropped", "estimate", "std_error")
"""What follows from one of these is not reported besides it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relation:
    """A relation between two answers of one engine.

    Attributes
    ----------
    id, title : str
    make : callable
        The twin of a case's question, or why there is none. Draws come from a generator that the case's seed decides.
    engines : tuple of str
        Those that the relation speaks of; empty: all.
    one_in : int
        It is checked on one in so many requests, besides the draws of a panel; 0: where it is drawn alone.
    group_time : int
        The same for group-time effects, of which many samples give no answer; 0: as all others.
    drawn : bool
        Whether it is among those that a panel draws from.
    """

    id: str
    title: str
    make: Make
    kind: PropertyKind = "relation"
    engines: tuple[str, ...] = ()
    one_in: int = 0
    group_time: int = 0
    drawn: bool = True

    def due(self, request: FitRequest, count: int) -> bool:
        """Say whether a request is one of those on which the relation is checked besides the draws."""
        one_in = self.group_time if self.group_time and request.estimator == "att_gt" else self.one_in
        return bool(one_in) and not count % one_in

    def twin(self, case: Case) -> Twin | str:
        """Return the twin of a case's question, or the reason why there is none."""
        known = _TWINS.setdefault(case, {})
        if self.id not in known:
            known[self.id] = self._made(case)
        return known[self.id]

    def _made(self, case: Case) -> Twin | str:
        rng = np.random.Generator(np.random.PCG64([case.seed, *self.id.encode()]))
        try:
            return self.make(case, rng)
        except CrosscheckError as error:
            return str(error).partition("\n")[0]

    def applies(self, case: Case) -> str:
        """Return an empty string where the relation speaks of a case, else the reason why not."""
        if not self._engines(case):
            return f"it speaks of {', '.join(self.engines)} alone"
        made = self.twin(case)
        return made if isinstance(made, str) else ""

    def _engines(self, case: Case) -> tuple[str, ...]:
        return tuple(e for e in case.engines if not self.engines or family(e) in self.engines)

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return both questions for each engine."""
        made = self.twin(case)
        if isinstance(made, str):
            return ()
        return tuple(
            Ask(engine=engine, request=q.request, frame=q.frame)
            for engine in self._engines(case)
            for q in (made.first, made.second)
        )

    def check(self, case: Case, fit: Fit) -> Checked:
        """Ask each engine both ways, and hold the answers against each other."""
        made = self.twin(case)
        if isinstance(made, str):
            return Checked(reason=made)
        precision = made.precision or precision_of(made.first.request, made.first.frame)
        if precision.reason:
            return Checked(reason=precision.reason)
        compared, found, reason = 0, [], ""
        for engine in self._engines(case):
            first, second = (fit(engine, q.request, q.frame) for q in (made.first, made.second))
            done, differences, why = answers(first, second, made, precision)
            compared += done
            reason = reason or why
            found += [discrepancy(self.id, self.title, d, first, case) for d in primary(differences)]
        return Checked(
            compared=compared, discrepancies=tuple(found), reason="" if compared or found else reason or NOTHING
        )


def discrepancy(rule: str, title: str, one: Difference, first: EstimationResult, case: Case) -> Discrepancy:
    """Return a difference as what a campaign reports."""
    what = f"the {one.quantity} of {one.term}" if one.term else one.quantity
    severity: Severity = "structural" if one.quantity in ("status", "nobs", "terms", "dropped") else "printed"
    return Discrepancy(
        identity=Identity(
            rule=rule,
            engine=first.engine,
            version=first.version,
            quantity=one.quantity,
            features=features(case.request),
        ),
        term=one.term,
        value=one.found,
        other=one.expected,
        says=f"{title} {what}: {one.found}, where {one.expected} follows",
        severity=severity,
    )


class OtherProcess:
    """Another process, another hash seed and two threads: the same numbers.

    ``way`` is the method of a ``fit`` that asks there, ``absent`` what is said of a ``fit`` without one.
    """

    id = "other_process"
    kind: PropertyKind = "relation"
    title = "Another process with another hash seed and two threads gives the same numbers."
    way = "elsewhere"
    absent = "there is no other process"

    def applies(self, case: Case) -> str:
        """Return an empty string: every request can be asked again."""
        return ""

    def engines(self, case: Case) -> tuple[str, ...]:
        """Return the engines of a case that are asked."""
        return case.engines

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the question of the first process."""
        return tuple(Ask(engine=e, request=case.request, frame=case.frame) for e in self.engines(case))

    def check(self, case: Case, fit: Fit) -> Checked:
        """Ask here and there; a ``fit`` that knows no other place compares nothing."""
        there = getattr(fit, self.way, None)
        if there is None:
            return Checked(reason=self.absent)
        precision = precision_of(case.request, case.frame)
        if precision.reason:
            return Checked(reason=precision.reason)
        question = Question(request=case.request, frame=case.frame)
        twin = Twin(first=question, second=question)
        compared, found, reason = 0, [], ""
        for engine in self.engines(case):
            first = fit(engine, case.request, case.frame)
            if first.status == "unsupported":
                reason = reason or first.reason
                continue
            done, differences, why = answers(first, there(engine, case.request, case.frame), twin, precision)
            compared += done
            reason = reason or why
            found += [discrepancy(self.id, self.title, d, first, case) for d in primary(differences)]
        reason = "" if compared or found else reason or NOTHING
        return Checked(compared=compared, discrepancies=tuple(found), reason=reason)


_TWINS: WeakKeyDictionary[Case, dict[str, Twin | str]] = WeakKeyDictionary()


UNDECIDED = ("propensity", "overlap", "fit every observation")
"""Errors that a threshold decides: at which step a logit that diverges is given up, what variance is none."""


def answers(
    first: EstimationResult, second: EstimationResult, twin: Twin, precision: Precision
) -> tuple[int, list[Difference], str]:
    """Hold two answers against each other; one that fails alone is a difference, two that fail say nothing."""
    gone = next((r for r in (first, second) if r.transport == "missing"), None)
    if gone is not None:
        return 0, [], (gone.reason or f"{gone.engine} is not here")[:200]
    words = (first.status, second.status)
    if "unsupported" in words:
        refused = first if first.status == "unsupported" else second
        return 0, [], f"{refused.engine} does not take it: {refused.reason}"[:200]
    if words == ("ok", "ok"):
        return (*held(first, second, twin.carry, precision), "")
    if words == ("error", "error"):
        return 0, [], f"{first.engine} refuses both: {first.reason}"[:200]
    bad = first if first.status == "error" else second
    if any(word in bad.reason for word in UNDECIDED):
        return 0, [], f"{bad.engine}: {bad.reason}"[:200]
    return (
        1,
        [
            Difference(
                term="",
                quantity="status",
                expected=first.status if first is not bad else f"error: {first.reason}"[:200],
                found=second.status if second is not bad else f"error: {second.reason}"[:200],
                size=float("inf"),
            )
        ],
        "",
    )


def primary(differences: Sequence[Difference]) -> list[Difference]:
    """Keep the worst difference of the first quantity from which the others may follow, or one of each quantity."""
    for quantity in UPSTREAM:
        mine = [d for d in differences if d.quantity == quantity]
        if mine:
            return [max(mine, key=lambda d: d.size)]
    worst: dict[str, Difference] = {}
    for d in differences:
        if d.quantity not in worst or d.size > worst[d.quantity].size:
            worst[d.quantity] = d
    return list(worst.values())
