"""Which causes of a difference excuse it in a campaign? Those that an engine avows, and what nobody was asked.

A request says every option that decides a number, and an engine takes it only where it does exactly that. A number that
is explained by another option is then a fault with a known cause: the engine divided by G where it was asked for G - 1.
In a study the same difference is a convention, since there two packages are asked what their users ask.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosscheck.explain.model import Explanation
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

WORDS = {
    "t.df": ("degrees of freedom", "normal distribution", "t distribution"),
    "df.joint": ("degrees of freedom", "normal distribution", "t distribution"),
}
"""What an engine's notes say where it departs from the request in this and cannot be told not to. (Whether a covariance
that is not definite is repaired is nobody's to ask.)"""


def excused(
    why: Sequence[Explanation], reference: EstimationResult, candidate: EstimationResult, request: FitRequest
) -> bool:
    """Say whether each rule that is needed is avowed by one of the two engines, or is about something not asked."""
    return bool(why) and all(_rule(rule, reference, candidate, request) for rule in why[0].rule.split("+"))


def _rule(rule: str, reference: EstimationResult, candidate: EstimationResult, request: FitRequest) -> bool:
    if rule in WORDS:
        notes = " ".join((*reference.conventions.notes, *candidate.conventions.notes))
        return any(word in notes for word in WORDS[rule])
    if rule == "r2.flavour":
        return not request.formula or _no_constant(request)
    if rule == "reference.level":
        return "ref =" not in request.formula
    if rule in ("collinear", "df_resid.k"):
        return bool(reference.dropped or candidate.dropped)
    return rule in ("eigenvalues", "known.bug")


def _no_constant(request: FitRequest) -> bool:
    return "|" not in request.formula and request.formula.rstrip().endswith(("- 1", "+ 0", "-1"))
