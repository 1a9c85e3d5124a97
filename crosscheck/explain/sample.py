"""Did the two sides use different observations, or read the weights otherwise?

The oracle fits the other sample or the other weights; every estimate of the side that departs has to be met, and every
standard error under some convention of the catalogue; otherwise nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from crosscheck.conventions import critical, p_of
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import CrosscheckError
from crosscheck.explain.inference import distributions, used_by
from crosscheck.explain.model import Departure, Dropped, Explanation, base_id, write
from crosscheck.explain.replay import Replayer, close, replayer
from crosscheck.explain.rules import era_words
from crosscheck.explain.se import Match, factor_text, finite, matches_of, own_departures
from crosscheck.explain.subsamples import Subsample, subsamples
from crosscheck.results import COEF_QUANTITIES, STAT_QUANTITIES, EstimationResult
from crosscheck.spec import WeightsSpec

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
ESTIMATES_MEET = 1e-9


def explain_sample(reference: EstimationResult, candidate: EstimationResult, made: Replayer, frame: Frame) -> Found:
    """Explain two fits by the rows that each used, or by weights read otherwise; empty where neither fits."""
    found = _samples(reference, candidate, made)
    if found:
        return found
    for side, other, swapped in ((candidate, reference, False), (reference, candidate, True)):
        found = _weights(side, other, made.request, frame, swapped)
        if found:
            return found
    return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A side, the rows it used, and the convention of its standard errors there."""

    result: EstimationResult
    rows: Subsample
    made: Replayer
    match: Match


def _samples(reference: EstimationResult, candidate: EstimationResult, made: Replayer) -> Found:
    if made.request.estimator not in ("feols", "sunab"):
        return {}
    listed = subsamples(made.request, made.model.frame, made.model.effects)
    if len(listed) == 1:
        return {}
    counts = {reference.stats.nobs, candidate.stats.nobs}
    listed = [s for s in listed if _observations(s, made) in counts]
    fits: dict[int, Replayer | None] = {}
    sides: list[Placed] = []
    for result in (reference, candidate):
        placed = next(_placed(result, listed, made, fits), None)
        if placed is None:
            return {}
        sides.append(placed)
    ours, theirs = sides
    if ours.rows is theirs.rows:
        return {}
    return _explained_sample(ours, theirs)


def _observations(rows: Subsample, made: Replayer) -> float:
    if made.model.frequency and made.model.weights is not None:
        return float(made.model.weights[rows.keep].sum())
    return float(rows.keep.sum())


def _placed(
    result: EstimationResult, listed: list[Subsample], made: Replayer, fits: dict[int, Replayer | None]
) -> Iterator[Placed]:
    """Yield the samples under which every estimate and standard error of a side is met."""
    for rows in listed:
        if _observations(rows, made) != result.stats.nobs:
            continue
        if id(rows) not in fits:
            fits[id(rows)] = made if not rows.rule else replayer(made.request, made.model.frame.take(rows.keep))
        again = fits[id(rows)]
        if again is None or set(again.terms) != {r.term for r in result.coefs} or not _estimates_meet(result, again):
            continue
        match = next(iter(matches_of(result, again)), None)
        if match is not None:
            yield Placed(result=result, rows=rows, made=again, match=match)


def _estimates_meet(result: EstimationResult, made: Replayer) -> bool:
    for row in result.coefs:
        own = float(made.estimates[made.terms.index(row.term)])
        if row.estimate is None or not finite(row.std_error):
            return False
        if not abs(row.estimate - own) <= ESTIMATES_MEET * (abs(own) + float(row.std_error or 0)):
            return False
    return True


def _explained_sample(ours: Placed, theirs: Placed) -> Found:
    """Write the explanations of every quantity: the reference's sample and convention, replayed."""
    listed: list[Departure] = []
    dropped: list[Dropped] = []
    for one, other in ((theirs, ours), (ours, theirs)):
        if one.rows.rule:
            listed.append(
                Departure(
                    rule=one.rows.rule,
                    side=one.result.engine,
                    opposite=other.result.engine,
                    did=one.rows.text,
                    asked="",
                    words=one.rows.words,
                    back=one.rows.back,
                )
            )
    for one, other in ((theirs, ours), (ours, theirs)):
        frame = other.made.model.frame if not other.rows.rule else None
        if one.rows.rule and frame is not None:
            ids = frame.row_ids if frame.row_ids.size else np.arange(frame.nrows)
            request = one.made.request
            for i in np.flatnonzero(~one.rows.keep):
                dropped.append(
                    Dropped(
                        row=int(ids[i]) + 1,
                        side=one.result.engine,
                        reason=str(one.rows.reasons[i]),
                        what=_identity(frame, int(i), (request.unit, request.time)),
                    )
                )
    for one, other in ((theirs, ours), (ours, theirs)):
        listed += own_departures(one.match, one.made, one.result.engine, other.result.engine)
    text = "; ".join(
        f"N of {p.result.engine} = {p.result.stats.nobs:g}"
        + (f" without {p.rows.text}" if p.rows.rule else "")
        + (f", {factor_text(p.match)}" if p.match.rank else "")
        for p in (ours, theirs)
    )
    words = [
        w
        for one in (theirs, ours)
        if "sample.singletons" in (theirs.rows.rule, ours.rows.rule)
        for w in era_words(
            base_id(one.result.engine),
            one.result.version,
            ["singletons=dropped" if one.rows.rule == "sample.singletons" else "singletons=kept"],
        )
    ]
    note = "; ".join(words)
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for (term, quantity), value in _replays(ours).items():
        wanted = getattr(ours.result.coef(term) if term else ours.result.stats, quantity)
        if value is None or wanted is None or not close(wanted, value, 7.0):
            continue
        made = write(tuple(listed), formula=text, replay=value, reference=wanted, note=note)
        found[term, quantity] = (replace(made, dropped=tuple(dropped)) if quantity == "nobs" else made,)
    return found


def _identity(frame: Frame, row: int, names: tuple[str | None, ...]) -> str:
    parts = []
    for name in names:
        if name is not None and name in frame:
            codes, labels = frame[name].codes()
            parts.append(f"{name} {labels[codes[row]] if codes[row] >= 0 else 'missing'}")
    return ", ".join(parts)


def _replays(side: Placed) -> dict[tuple[str, str], float | None]:
    """Return what the closed form gives for every quantity of a side, under its own sample and convention."""
    made, match = side.made, side.match
    parts = match.variant.parts
    known = distributions(parts.counts, parts.rules, match.choice.vcov)
    out: dict[tuple[str, str], float | None] = {}
    level = made.request.conf_level
    for row in side.result.coefs:
        i = made.terms.index(row.term)
        b, se = float(made.estimates[i]), float(match.predicted[i])
        out[row.term, "estimate"], out[row.term, "std_error"], out[row.term, "statistic"] = b, se, b / se
        law = next(iter(used_by(row, known, level)), None)
        if law is not None:
            half = critical(level, law.df) * se
            out[row.term, "p_value"] = p_of(b / se, law.df)
            out[row.term, "conf_low"], out[row.term, "conf_high"] = b - half, b + half
    whole = _fit(made.request, made.model.frame)
    if whole is not None:
        for quantity in STAT_QUANTITIES:
            out["", quantity] = getattr(whole.stats, quantity)
    return out


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
        if not abs(row.estimate - own.estimate) <= ESTIMATES_MEET * scale:  # type: ignore[operator]
            return False
    return True


def _explained(departure: Departure, text: str, reference: EstimationResult, replay: EstimationResult) -> Found:
    """Explain every quantity of the column by the replay of the reference's weights."""
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
