"""Which cause has each difference of a column?

Cheap and closed forms first: the convention of the standard errors, then the distribution, then the sample, the
columns kept, the weights. Every explanation is a replay that met; where no rule makes the numbers meet there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from crosscheck.design_options import DESIGN_OPTIONS
from crosscheck.errors import CrosscheckError
from crosscheck.explain.convergence import explain_convergence
from crosscheck.explain.counting import counted_rules
from crosscheck.explain.design import explain_design
from crosscheck.explain.did import explain_did
from crosscheck.explain.goodness import explain_stats
from crosscheck.explain.hypotheses import catalogue
from crosscheck.explain.inference import Distribution, distributions, explain_inference
from crosscheck.explain.known import explain_known
from crosscheck.explain.model import Explanation
from crosscheck.explain.printed import explain_printed_r2, explain_stars, explain_std_errors, text_of
from crosscheck.explain.replay import close, replayer
from crosscheck.explain.sample import explain_sample
from crosscheck.explain.se import SeCause, causes, estimates_agree, factor_only, shared
from crosscheck.explain.separation import explain_separation
from crosscheck.explain.structure import explain_structure

if TYPE_CHECKING:
    from crosscheck.explain.printed import PrintedNumber
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

SE_DIGITS = 6.0
"""Standard errors that agree to so many digits are numerically the same to :mod:`crosscheck.compare`."""

Explanations = dict[tuple[str, str], tuple[Explanation, ...]]
Again = Callable[[str, "FitRequest"], "EstimationResult | None"]
"""Fits a request with an engine, by its id; ``None`` where that cannot be done."""


def explain_column(
    reference: EstimationResult,
    candidate: EstimationResult,
    frame: Frame,
    request: FitRequest,
    again: Again | None = None,
) -> Explanations:
    """Explain every difference of a column that a convention, the sample, or convergence accounts for.

    Parameters
    ----------
    reference, candidate : EstimationResult
    frame : Frame
        The sample that both were given.
    request : FitRequest
        The question that both were asked.
    again : callable, optional
        Fits an engine once more, which is how convergence is replayed.

    Returns
    -------
    dict
        (term, quantity) to explanations, fewest departures first; statistics of the fit have the term ``""``. What is
        not there has no known cause.
    """
    if reference.status != "ok" or candidate.status != "ok":
        return {}
    found = _explained(reference, candidate, frame, request)
    for key, explanations in explain_known(reference, candidate, frame, request, skip=frozenset(found)).items():
        found.setdefault(key, explanations)
    if not found and again is not None:
        found = dict(explain_convergence(reference, candidate, request, again))
    return found


def _explained(
    reference: EstimationResult, candidate: EstimationResult, frame: Frame, request: FitRequest
) -> Explanations:
    if request.estimator == "att_gt":
        return dict(explain_did(reference, candidate, frame, request))
    if request.estimator in DESIGN_OPTIONS:
        return dict(explain_design(reference, candidate, frame, request))
    made = replayer(request, frame)
    if made is None:
        return dict(explain_separation(reference, candidate, frame, request)) or _without_fit(
            reference, candidate, frame, request
        )
    if {r.term for r in reference.coefs} != {r.term for r in candidate.coefs}:
        return dict(explain_structure(reference, candidate, made))
    if not estimates_agree(reference, candidate) or not _same_rows(reference, candidate):
        return dict(explain_sample(reference, candidate, made, frame))
    found: Explanations = {}
    parts = None
    try:
        parts = made.parts(request.vcov)
    except CrosscheckError:
        return found
    agree = _std_errors_agree(reference, candidate)
    listed = () if agree else causes(reference, candidate, made)
    if not listed and not agree:
        # Weights read otherwise leave the estimates alone.
        return dict(explain_sample(reference, candidate, made, frame))
    known = distributions(parts.counts, parts.rules, request.vcov.canonical)
    _add_inference(found, reference, candidate, request, listed, known)
    found.update(explain_stats(reference, candidate, made, parts.rules))
    return found


def _same_rows(reference: EstimationResult, candidate: EstimationResult) -> bool:
    """Say whether both state the same number of observations; a side that states none contradicts nobody."""
    n, m = reference.stats.nobs, candidate.stats.nobs
    return n is None or m is None or n == m


def _std_errors_agree(reference: EstimationResult, candidate: EstimationResult) -> bool:
    return all(close(a, b, SE_DIGITS) for a, b in shared(reference, candidate).values())


def _add_inference(
    found: Explanations,
    reference: EstimationResult,
    candidate: EstimationResult,
    request: FitRequest,
    listed: tuple[SeCause, ...],
    known: tuple[Distribution, ...],
) -> None:
    """Explain standard errors, and what follows from them, term by term."""
    pairs = shared(reference, candidate)
    agree = _std_errors_agree(reference, candidate)
    if listed and listed[0].rules:
        cause = listed[0]
        known = (*known, *distributions(cause.counts, cause.rules, cause.choice.vcov))
    for row in reference.coefs:
        other = candidate.coef(row.term)
        if other is None or row.term not in pairs:
            continue
        if listed:
            found[row.term, "std_error"] = tuple(c.explanation(row.term, pairs[row.term][0]) for c in listed)
        for quantity, explanation in explain_inference(
            row,
            other,
            sides=(reference.engine, candidate.engine),
            known=known,
            level=request.conf_level,
            cause=listed[0] if listed else None,
            std_errors_agree=agree,
        ).items():
            found[row.term, quantity] = (explanation,)


def _without_fit(
    reference: EstimationResult, candidate: EstimationResult, frame: Frame, request: FitRequest
) -> Explanations:
    """Explain a common factor and the distribution where no closed form answers the request."""
    counted = counted_rules(reference, frame, request)
    if counted is None:
        return {}
    counts, listed_rules, base = counted
    agree = _std_errors_agree(reference, candidate)
    points = catalogue(base, counts, listed_rules)
    listed = () if agree else factor_only(reference, candidate, counts, base, points)
    if not listed and not agree:
        return {}
    if not estimates_agree(reference, candidate) or not _same_rows(reference, candidate):
        return {}
    found: Explanations = {}
    known = distributions(counts, listed_rules, request.vcov.canonical)
    _add_inference(found, reference, candidate, request, listed, known)
    return found


def explain_printed(
    printed: Iterable[PrintedNumber],
    result: EstimationResult,
    frame: Frame,
    request: FitRequest,
    *,
    legend: Mapping[str, float],
) -> Explanations:
    """Name the conventions under which a printed column's standard errors, stars and R2 are right.

    Parameters
    ----------
    printed : iterable of PrintedNumber
        All printed numbers of the column.
    result : EstimationResult
        What an engine says for the same column.
    frame : Frame
    request : FitRequest
    legend : mapping of str to float
        Stars to threshold.
    """
    numbers = list(printed)
    made = replayer(request, frame) if result.status == "ok" else None
    if made is None:
        return {}
    found: Explanations = dict(explain_std_errors(numbers, made, result.engine))
    texts = {p.term: text_of(p) for p in numbers if p.quantity == "stars"}
    if texts:
        try:
            found.update(explain_stars(numbers, texts, made, result, legend))
        except CrosscheckError:
            return found
    found.update(explain_printed_r2(numbers, made, result.engine))
    return found
