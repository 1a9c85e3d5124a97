"""Do engines that give the same numbers also say the same of how they came about?

Which terms an engine left out, and whether it warns, or stops, as its iterations did not converge. Wording is nobody's
concern; silence is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.columns import NOTHING
from crosscheck.campaign.differential import EnginesAgree
from crosscheck.engines import family
from crosscheck.results import EstimationResult

CLASSES: Mapping[str, re.Pattern[str]] = {
    "no_convergence": re.compile(
        r"(?i)(?<!svd did )(?<!eigenvalues did )(not|no|fail\w*( to)?) converge"
        r"|maximum number of iterations|did not reach"
    ),
}
"""LAPACK's "SVD did not converge" is said of a matrix with NaN: an error, and no word on iterations of the model."""
SPEAKS = {"no_convergence": ("r.fixest", "statsmodels", "pyfixest")}
"""Engines that say a thing as they are asked here: the notes of fixest and pyfixest's check of separation are off."""


TELLS_OF_DROPPED = ("pyfixest",)
"""Engines whose package warns of what it leaves out, whatever it is asked."""
OF_DROPPED = re.compile(r"(?i)dropped|collinear")


class SameConditions:
    """Engines that give the same terms leave out the same ones, and warn of the same things."""

    id = "conditions"
    kind: PropertyKind = "differential"
    title = "Engines with the same terms leave out the same ones, and warn of the same things."

    def applies(self, case: Case) -> str:
        """Return an empty string for regressions that two engines take."""
        if case.request.estimator not in ("feols", "fepois", "feglm"):
            return "the estimator leaves nothing out"
        return EnginesAgree().applies(case)

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the fits of the comparison of numbers: they cost nothing more."""
        return EnginesAgree().asks(case)

    def check(self, case: Case, fit: Fit) -> Checked:
        """Compare what each pair says."""
        results = [fit(ask.engine, ask.request, ask.frame) for ask in self.asks(case)]
        good = [r for r in results if r.transport != "recorded" and (r.status == "ok" or classes_of(r))]
        found, compared = [], 0
        for result in good:
            if result.status == "ok" and result.dropped and family(result.engine) in TELLS_OF_DROPPED:
                compared += 1
                if not any(OF_DROPPED.search(c.text) for c in result.conditions):
                    found.append(_silent(self.id, case, result))
        for reference, candidate in combinations(good, 2):
            both = reference.status == candidate.status == "ok"
            if both and {r.term for r in reference.coefs} != {r.term for r in candidate.coefs}:
                continue
            for quantity, mine, theirs in _said(reference, candidate):
                compared += 1
                if mine != theirs:
                    found.append(_discrepancy(self.id, case, reference, candidate, quantity, mine, theirs))
        return Checked(compared=compared, discrepancies=tuple(found), reason="" if compared else NOTHING)


def classes_of(result: EstimationResult) -> frozenset[str]:
    """Return the classes of what an engine said, in warnings, messages and notes."""
    texts = [*(c.text for c in result.conditions), *result.conventions.notes, result.reason]
    return frozenset(name for name, pattern in CLASSES.items() if any(pattern.search(t) for t in texts))


def _said(reference: EstimationResult, candidate: EstimationResult) -> Iterator[tuple[str, str, str]]:
    if reference.status == candidate.status == "ok":
        yield "dropped", _plain(reference.dropped), _plain(candidate.dropped)
    mine, theirs = classes_of(reference), classes_of(candidate)
    for name, speakers in SPEAKS.items():
        if family(reference.engine) in speakers and family(candidate.engine) in speakers:
            yield f"warning:{name}", name if name in mine else "silent", name if name in theirs else "silent"


def _silent(rule: str, case: Case, result: EstimationResult) -> Discrepancy:
    return Discrepancy(
        identity=Identity(
            rule=rule,
            engine=result.engine,
            version=result.version,
            quantity="warning:dropped",
            features=features(case.request),
        ),
        value="silent",
        other="dropped",
        says=f"{result.engine} leaves out {', '.join(result.dropped)} and warns of nothing",
        severity="cosmetic",
    )


def _plain(dropped: Sequence[str]) -> str:
    """Return the terms left out that are columns: indicators of levels without rows are none to some packages."""
    return ", ".join(sorted(t for t in dropped if "::" not in t and "(" not in t))


def _discrepancy(
    rule: str,
    case: Case,
    reference: EstimationResult,
    candidate: EstimationResult,
    quantity: str,
    mine: str,
    theirs: str,
) -> Discrepancy:
    what = "leaves out" if quantity == "dropped" else "says"
    return Discrepancy(
        identity=Identity(
            rule=rule,
            engine=candidate.engine,
            version=candidate.version,
            against=reference.engine,
            quantity=quantity,
            features=features(case.request),
        ),
        value=theirs,
        other=mine,
        says=f"{candidate.engine} {what} {theirs or 'nothing'}, {reference.engine} {mine or 'nothing'}",
        severity="cosmetic",
    )
