"""Why do two sources differ? Name the convention and prove it by replay, or say nothing.

:func:`explain_column` works on two computed results, :func:`explain_printed` on a printed column. Both are pure: the
same results, sample and request give the same explanations. Where no rule makes the numbers meet the answer is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crosscheck.conventions import nested_effects
from crosscheck.engines._shared import codes_of, counts_for, squeezed, ssc_words
from crosscheck.errors import CrosscheckError
from crosscheck.explain.did import explain_did
from crosscheck.explain.goodness import explain_stats
from crosscheck.explain.hypotheses import asked, catalogue, k_rules
from crosscheck.explain.inference import Distribution, distributions, explain_inference
from crosscheck.explain.model import ENOUGH_DIGITS, Explanation
from crosscheck.explain.printed import (
    best,
    explain_printed_r2,
    explain_stars,
    explain_std_errors,
)
from crosscheck.explain.replay import Replayer, close, dummy_rank, replayer
from crosscheck.explain.rules import PackageConvention, Rule, packages, rules
from crosscheck.explain.sample import explain_sample
from crosscheck.explain.se import SeCause, causes, estimates_agree, factor_only, shared
from crosscheck.formula import parse
from crosscheck.modelmatrix import model_matrix

if TYPE_CHECKING:
    from crosscheck.conventions import Counts
    from crosscheck.explain.hypotheses import Choice, KRule
    from crosscheck.explain.printed import PrintedNumber
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

__all__ = [
    "ENOUGH_DIGITS",
    "Explanation",
    "PackageConvention",
    "Rule",
    "explain",
    "explain_column",
    "explain_printed",
    "packages",
    "rank_printed",
    "rules",
]

SE_DIGITS = 6.0
"""Standard errors that agree to so many digits are numerically the same to :mod:`crosscheck.compare`."""

Explanations = dict[tuple[str, str], tuple[Explanation, ...]]


def explain_column(
    reference: EstimationResult, candidate: EstimationResult, frame: Frame, request: FitRequest
) -> Explanations:
    """Explain every difference of a column that a convention or the sample accounts for.

    Parameters
    ----------
    reference, candidate : EstimationResult
    frame : Frame
        The sample that both were given.
    request : FitRequest
        The question that both were asked.

    Returns
    -------
    dict
        (term, quantity) to explanations, fewest departures first; statistics of the fit have the term ``""``. What is
        not there has no known cause.
    """
    if reference.status != "ok" or candidate.status != "ok":
        return {}
    if request.estimator == "att_gt":
        return dict(explain_did(reference, candidate, frame, request))
    made = replayer(request, frame)
    if made is None:
        return _without_fit(reference, candidate, frame, request)
    if not estimates_agree(reference, candidate) or reference.stats.nobs != candidate.stats.nobs:
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
    counted = _counts(reference, frame, request)
    if counted is None:
        return {}
    counts, listed_rules, base = counted
    agree = _std_errors_agree(reference, candidate)
    points = catalogue(base, counts, listed_rules)
    listed = () if agree else factor_only(reference, candidate, counts, base, points)
    if not listed and not agree:
        return {}
    if not estimates_agree(reference, candidate) or reference.stats.nobs != candidate.stats.nobs:
        return {}
    found: Explanations = {}
    known = distributions(counts, listed_rules, request.vcov.canonical)
    _add_inference(found, reference, candidate, request, listed, known)
    return found


def _counts(
    result: EstimationResult, frame: Frame, request: FitRequest
) -> tuple[Counts, tuple[KRule, ...], Choice] | None:
    """Count what enters the factors from the formula alone; ``None`` where the sample is not the result's."""
    if not request.formula or request.estimator not in ("fepois", "feglm", "feols"):
        return None
    try:
        formula = parse(request.formula, columns=frame.names)
        matrix = model_matrix(formula, frame, unit=request.unit, time=request.time)
    except CrosscheckError:
        return None
    if result.stats.nobs != matrix.y.size or request.weights is not None:
        return None
    effects = {fe: matrix.fe_codes[:, j] for j, fe in enumerate(formula.fixed_effects)}
    used = frame.take(matrix.rows)
    if any(used[name].missing.any() for name in request.vcov.cluster):
        return None
    clusters = {name: squeezed(codes_of(used, (name,))) for name in request.vcov.cluster}
    serial = request.vcov.type in ("NW", "DK") and request.time is not None
    periods = int(squeezed(codes_of(used, (str(request.time),))).max()) + 1 if serial else None
    counts = counts_for(
        request, n=float(matrix.y.size), n_coef=len(result.coefs), effects=effects, clusters=clusters, periods=periods
    )
    by_data = nested_effects(effects, clusters, by_name=False) if effects and clusters else ()
    listed = k_rules(
        counts,
        request.vcov.canonical,
        intercept=formula.intercept,
        by_data=by_data,
        rank=dummy_rank(tuple(effects.values())) if len(effects) > 1 else None,
    )
    return counts, listed, asked(request.vcov.canonical, ssc_words(request.ssc), listed)


def explain(
    reference: EstimationResult,
    candidate: EstimationResult,
    *,
    quantity: str,
    term: str = "",
    frame: Frame,
    request: FitRequest,
) -> tuple[Explanation, ...]:
    """Explain one difference; empty where no rule closes the gap.

    Parameters
    ----------
    reference, candidate : EstimationResult
    quantity, term : str
    frame : Frame
    request : FitRequest
    """
    return explain_column(reference, candidate, frame, request).get((term, quantity), ())


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
    texts = {p.term: _text(p) for p in numbers if p.quantity == "stars"}
    if texts:
        try:
            found.update(explain_stars(numbers, texts, made, result, legend))
        except CrosscheckError:
            return found
    found.update(explain_printed_r2(numbers, made, result.engine))
    return found


def _text(number: Any) -> str:
    """Return a printed number as text: ``printed`` of a published number, ``text`` of a comparison's."""
    return str(getattr(number, "printed", None) or getattr(number, "text", ""))


def rank_printed(
    printed: Iterable[PrintedNumber], frame: Frame, request: FitRequest, limit: int = 10
) -> tuple[tuple[str, int, int], ...]:
    """Rank conventions by how many printed standard errors of a column each meets: words, met, departures."""
    made: Replayer | None = replayer(request, frame)
    return () if made is None else best(list(printed), made, limit)
