"""Did the two sides use different observations, or read the weights otherwise?

The oracle fits the other sample or the other weights; every estimate of the side that departs has to be met, and every
standard error under some convention of the catalogue; otherwise nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from crosscheck.results import STAT_QUANTITIES, EstimationResult
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
    return _weights(reference, candidate, made.request, frame)


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
    return _written(ours, listed, text, "; ".join(words), tuple(dropped))


def _written(
    ours: Placed, listed: Sequence[Departure], text: str, note: str = "", dropped: tuple[Dropped, ...] = ()
) -> Found:
    """Write the explanation of every quantity that the replay of the reference's side meets."""
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for (term, quantity), value in _replays(ours).items():
        wanted = getattr(ours.result.coef(term) if term else ours.result.stats, quantity)
        if value is None or wanted is None or not close(wanted, value, 7.0):
            continue
        made = write(tuple(listed), formula=text, replay=value, reference=wanted, note=note)
        found[term, quantity] = (replace(made, dropped=dropped) if quantity == "nobs" else made,)
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


def _weights(reference: EstimationResult, candidate: EstimationResult, request: FitRequest, frame: Frame) -> Found:
    """Explain two fits by weights that one side ignores, or takes as the other kind."""
    if request.weights is None:
        return {}
    column, kind = request.weights.column, request.weights.type
    opposite: Literal["analytic", "frequency"] = "frequency" if kind == "analytic" else "analytic"
    ways = [
        (request, None),
        (request.model_copy(update={"weights": None}), "weights.ignored"),
        (request.model_copy(update={"weights": WeightsSpec(column=column, type=opposite)}), "weights.type"),
    ]
    placed = []
    for result, other in ((reference, candidate), (candidate, reference)):
        for asked, rule in ways:
            made = replayer(asked, frame)
            one = None if made is None else next(_placed(result, [_all(made)], made, {}), None)
            if one is not None:
                placed.append((one, _read(rule, kind, opposite, column, result.engine, other.engine)))
                break
    if len(placed) < 2 or placed[0][1] == placed[1][1]:
        return {}
    (ours, mine), (theirs, their) = placed
    listed = [*filter(None, (their, mine))]
    listed += own_departures(theirs.match, theirs.made, candidate.engine, reference.engine)
    listed += own_departures(ours.match, ours.made, reference.engine, candidate.engine)
    text = "; ".join(
        f"{p.result.engine}: {d.did if d is not None else f'{kind} weights'}"
        + (f", {factor_text(p.match)}" if p.match.rank else "")
        for p, d in placed
    )
    return _written(ours, listed, text)


def _all(made: Replayer) -> Subsample:
    n = made.model.y.size
    return Subsample(rule="", keep=np.ones(n, dtype=bool), reasons=np.full(n, ""), text="")


def _read(rule: str | None, kind: str, opposite: str, column: str, side: str, other: str) -> Departure | None:
    if rule is None:
        return None
    word = {"analytic": "aweights", "frequency": "fweights"}
    ignored = rule == "weights.ignored"
    return Departure(
        rule=rule,
        side=side,
        opposite=other,
        did="no weights" if ignored else f"{opposite} weights",
        asked=f"{kind} weights",
        words={"column": column} if ignored else {"word": word[kind]},
        back={} if ignored else {"word": word[opposite]},
    )


def _fit(request: FitRequest, frame: Frame) -> EstimationResult | None:
    try:
        return ORACLE.fit(request, frame)
    except (CrosscheckError, np.linalg.LinAlgError):
        return None
