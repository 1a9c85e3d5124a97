"""Do two iterative fits differ only because they stopped early?

A request may ask for a looser tolerance of demeaning and of iterations (``options.tolerance``). Both engines are then
fitted once more: as they were asked, which must give the same numbers again, and tightly. A cause is named where the
tight fits meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import close
from crosscheck.results import COEF_QUANTITIES, EstimationResult

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
Again = Callable[[str, "FitRequest"], "EstimationResult | None"]
MEETS = 1e-8
SAME = 1e-11
NEAR = 0.1
SE_DIGITS = 6.0
STAT_DIGITS = 8.0


def explain_convergence(
    reference: EstimationResult, candidate: EstimationResult, request: FitRequest, again: Again
) -> Found:
    """Replay two fits at tight tolerances; empty where they were tight already, or do not meet then.

    Parameters
    ----------
    reference, candidate : EstimationResult
    request : FitRequest
        With ``options["tolerance"]``, the tolerance that both were asked for.
    again : callable
        Fits a request with an engine, by its id.
    """
    tolerance = request.options.get("tolerance")
    if tolerance is None or not _near(reference, candidate):
        return {}
    tight = request.model_copy(update={"options": {k: v for k, v in request.options.items() if k != "tolerance"}})
    loose = [again(side.engine, request) for side in (reference, candidate)]
    settled = [again(side.engine, tight) for side in (reference, candidate)]
    if any(r is None or r.status != "ok" for r in (*loose, *settled)):
        return {}
    if not all(_meets(side, own, SAME, 10.0) for side, own in zip((reference, candidate), loose, strict=True) if own):
        return {}
    ours, theirs = settled
    assert ours is not None
    assert theirs is not None
    if not _meets(ours, theirs, MEETS, SE_DIGITS):
        return {}
    departure = Departure(
        rule="convergence",
        side=candidate.engine,
        opposite=reference.engine,
        did=f"{tolerance:g}",
        asked="the tightest",
        words={"tolerance": f"{tolerance:g}"},
        back={"tolerance": f"{tolerance:g}"},
    )
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for row in ours.coefs:
        other, first = theirs.coef(row.term), reference.coef(row.term)
        assert other is not None
        for quantity in COEF_QUANTITIES:
            a, b, was = (getattr(r, quantity, None) for r in (row, other, first))
            if a is None or b is None or was is None:
                continue
            text = f"tolerance {tolerance:g}: {was:.12g}; tight: {a:.12g} and {b:.12g}"
            found[row.term, quantity] = (write((departure,), formula=text, replay=b, reference=a),)
    for quantity in ("r2", "adj_r2", "r2_within"):
        a, b, was = (getattr(r.stats, quantity) for r in (ours, theirs, reference))
        if a is not None and b is not None and was is not None and close(a, b, STAT_DIGITS):
            text = f"tolerance {tolerance:g}: {was:.12g}; tight: {a:.12g} and {b:.12g}"
            found["", quantity] = (write((departure,), formula=text, replay=b, reference=a),)
    return found


def _near(reference: EstimationResult, candidate: EstimationResult) -> bool:
    """Say whether every estimate is within a tenth of a standard error: what stopping early can do."""
    if {r.term for r in reference.coefs} != {r.term for r in candidate.coefs}:
        return False
    return reference.stats.nobs == candidate.stats.nobs and _meets(reference, candidate, NEAR, 1.0)


def _meets(one: EstimationResult, other: EstimationResult, share: float, digits: float) -> bool:
    """Say whether estimates agree to a share of their size or error (of the error alone where it is large)."""
    for row in one.coefs:
        match = other.coef(row.term)
        if match is None:
            return False
        b, se, c, other_se = row.estimate, row.std_error, match.estimate, match.std_error
        if b is None or se is None or c is None or other_se is None:
            return False
        if not abs(b - c) <= share * max(abs(b) if share < NEAR else 0.0, se) or not close(se, other_se, digits):
            return False
    return True
