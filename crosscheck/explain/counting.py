"""What enters the small-sample factors of a request, counted from its formula and sample alone, without a fit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscheck.conventions import nested_effects
from crosscheck.engines._shared import codes_of, counts_for, squeezed, ssc_words
from crosscheck.errors import CrosscheckError
from crosscheck.explain.hypotheses import asked, k_rules
from crosscheck.explain.replay import dummy_rank
from crosscheck.formula import parse
from crosscheck.modelmatrix import model_matrix

if TYPE_CHECKING:
    from crosscheck.conventions import Counts
    from crosscheck.explain.hypotheses import Choice, KRule
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest


def counts_of_request(result: EstimationResult, frame: Frame, request: FitRequest) -> Counts | None:
    """Return the counts of a request; ``None`` where the sample is not the result's."""
    counted = counted_rules(result, frame, request)
    return None if counted is None else counted[0]


def counted_rules(
    result: EstimationResult, frame: Frame, request: FitRequest
) -> tuple[Counts, tuple[KRule, ...], Choice] | None:
    """Return the counts, every way to count K, and the point asked for; ``None`` where the sample is another."""
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
