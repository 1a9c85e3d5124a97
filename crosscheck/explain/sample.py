"""Did one side leave out observations, or read the weights otherwise?

The oracle fits the other sample or the other weights, and every estimate and standard error of the side that departs
has to be met; otherwise nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import CrosscheckError
from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import Replayer, close
from crosscheck.results import COEF_QUANTITIES, STAT_QUANTITIES, EstimationResult
from crosscheck.spec import WeightsSpec

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]


def without_singletons(effects: tuple[NDArray[np.int64], ...]) -> NDArray[np.bool_]:
    """Mark the rows that stay when levels of any effect that occur once are dropped until none is left."""
    keep = np.ones(effects[0].size if effects else 0, dtype=bool)
    while True:
        single = np.zeros(keep.size, dtype=bool)
        for codes in effects:
            count = np.bincount(codes[keep], minlength=int(codes.max(initial=0)) + 1)
            single |= keep & (count[codes] == 1)
        if not single.any():
            return keep
        keep &= ~single


def explain_sample(reference: EstimationResult, candidate: EstimationResult, made: Replayer, frame: Frame) -> Found:
    """Explain two fits by singletons dropped on one side, or by weights read otherwise; empty where neither fits."""
    for side, other, swapped in ((candidate, reference, False), (reference, candidate, True)):
        found = _singletons(side, other, made, swapped) or _weights(side, other, made.request, frame, swapped)
        if found:
            return found
    return {}


def _singletons(side: EstimationResult, other: EstimationResult, made: Replayer, swapped: bool) -> Found:
    if not made.model.effects or made.combine is not None or made.request.estimator != "feols":
        return {}
    keep = without_singletons(tuple(made.model.effects.values()))
    gone = int((~keep).sum())
    if not gone or side.stats.nobs != made.model.n - gone or other.stats.nobs != made.model.n:
        return {}
    again = _fit(made.request, made.model.frame.take(keep))
    whole = _fit(made.request, made.model.frame)
    if again is None or whole is None or not (_meets(side, again) and _meets(other, whole)):
        return {}
    departure = Departure(
        rule="sample.singletons",
        side=side.engine,
        opposite=other.engine,
        did=f"{gone} singleton observations",
        asked="",
        words={"word": "none"},
        back={"word": "singleton"},
    )
    text = f"N = {made.model.n:g} - {gone} = {side.stats.nobs:g}"
    return _explained(departure, text, side if swapped else other, whole if not swapped else again)


def _weights(
    side: EstimationResult, other: EstimationResult, request: FitRequest, frame: Frame, swapped: bool
) -> Found:
    if request.weights is None:
        return {}
    column, kind = request.weights.column, request.weights.type
    opposite: Literal["analytic", "frequency"] = "frequency" if kind == "analytic" else "analytic"
    tries = [
        (
            None,
            Departure(
                rule="weights.ignored",
                side=side.engine,
                opposite=other.engine,
                did="no weights",
                asked=kind,
                words={"column": column},
            ),
        ),
        (
            WeightsSpec(column=column, type=opposite),
            Departure(
                rule="weights.type",
                side=side.engine,
                opposite=other.engine,
                did=f"{opposite} weights",
                asked=f"{kind} weights",
                words={"word": "aweights" if kind == "analytic" else "fweights"},
                back={"word": "aweights" if opposite == "analytic" else "fweights"},
            ),
        ),
    ]
    whole = _fit(request, frame)
    if whole is None or not _meets(other, whole):
        return {}
    for weights, departure in tries:
        again = _fit(request.model_copy(update={"weights": weights}), frame)
        if again is not None and _meets(side, again):
            text = f"weights: {departure.did}, not {departure.asked}"
            return _explained(departure, text, side if swapped else other, whole if not swapped else again)
    return {}


def _fit(request: FitRequest, frame: Frame) -> EstimationResult | None:
    try:
        return ORACLE.fit(request, frame)
    except (CrosscheckError, np.linalg.LinAlgError):
        return None


def _meets(side: EstimationResult, replay: EstimationResult) -> bool:
    """Say whether every estimate and standard error of a side is met."""
    if {r.term for r in side.coefs} != {r.term for r in replay.coefs}:
        return False
    for row in side.coefs:
        own = replay.coef(row.term)
        assert own is not None
        if None in (row.estimate, row.std_error, own.estimate, own.std_error):
            return False
        if not close(own.std_error, row.std_error):  # type: ignore[arg-type]
            return False
        scale = abs(own.estimate) + own.std_error  # type: ignore[arg-type, operator]
        if not abs(row.estimate - own.estimate) <= 1e-9 * scale:  # type: ignore[operator]
            return False
    return True


def _explained(departure: Departure, text: str, reference: EstimationResult, replay: EstimationResult) -> Found:
    """Explain every quantity of the column by the replay of the reference's sample or weights."""
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for row in reference.coefs:
        own = replay.coef(row.term)
        for quantity in COEF_QUANTITIES:
            value, wanted = getattr(own, quantity, None), getattr(row, quantity)
            if value is not None and wanted is not None and close(wanted, value, 7.0):
                found[row.term, quantity] = (write((departure,), formula=text, replay=value, reference=wanted),)
    for quantity in STAT_QUANTITIES:
        value, wanted = getattr(replay.stats, quantity), getattr(reference.stats, quantity)
        if value is not None and wanted is not None and close(wanted, value):
            found["", quantity] = (write((departure,), formula=text, replay=value, reference=wanted),)
    return found
