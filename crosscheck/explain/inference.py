"""Which distribution did the p-values and intervals come from?

Each side's p-value and bounds are recomputed from its own estimate and standard error under every distribution of the
catalogue; a cause is named where both sides are met to the last digits and by different distributions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from crosscheck.conventions import SERIAL, Counts, critical, lre, p_of
from crosscheck.explain.hypotheses import KRule
from crosscheck.explain.model import Departure, Explanation, enough, write
from crosscheck.explain.replay import close
from crosscheck.explain.se import Match, SeCause
from crosscheck.results import CoefRow

ROUNDED_P = 1e-15
"""What engines that compute 1 - F(|t|) leave of a p-value: digits beyond say nothing of the distribution."""
SMALLEST_P = 1e-280


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A distribution that inference may come from: degrees of freedom (infinity: the normal), and its words.

    ``word`` is fixest's ``t.df``; ``use_t`` is statsmodels' switch.
    """

    df: float
    text: str
    word: str | None = None
    use_t: str = "True"


def distributions(counts: Counts, rules: tuple[KRule, ...], vcov: str) -> tuple[Distribution, ...]:
    """Return the distributions of the catalogue, one for each number of degrees of freedom."""
    found = []
    if counts.n_clusters:
        for i, g in enumerate(counts.n_clusters[: counts.dimensions]):
            smallest = g == counts.g_min
            text = f"t with G - 1 = {g - 1} degrees of freedom"
            if counts.dimensions > 1:
                text += f" (dimension {i + 1})"
            found.append(Distribution(df=g - 1, text=text, word="min" if smallest else None))
    if vcov in SERIAL and counts.n_periods:
        last = counts.n_periods - 1
        found.append(Distribution(df=last, text=f"t with T - 1 = {last} degrees of freedom", word="min"))
    for rule in rules:
        df = counts.n - rule.k
        if df >= 1:
            text = f"t with N - K = {df:g} degrees of freedom, K = {rule.text}"
            found.append(Distribution(df=df, text=text, word="conventional"))
    found.append(Distribution(df=math.inf, text="the normal distribution", use_t="False"))
    unique: dict[float, Distribution] = {}
    for d in found:
        unique.setdefault(d.df, d)
    return tuple(unique.values())


def inference_laws(*matches: Match) -> tuple[Distribution, ...]:
    """Return the distributions that belong to the conventions of some standard errors, one for each df."""
    found: dict[float, Distribution] = {}
    for match in matches:
        parts = match.variant.parts
        for law in distributions(parts.counts, parts.rules, match.choice.vcov):
            found.setdefault(law.df, law)
    return tuple(found.values())


def used_by(row: CoefRow, known: tuple[Distribution, ...], level: float) -> tuple[Distribution, ...]:
    """Return the distributions under which a side's own p-value and bounds follow from its estimate and error."""
    if row.estimate is None or not row.std_error or not math.isfinite(row.std_error):
        return ()
    t = row.estimate / row.std_error
    found = []
    for d in known:
        checks = []
        if row.p_value is not None and row.p_value > SMALLEST_P:
            p = p_of(t, d.df)
            checks.append(close(row.p_value, p) or abs(row.p_value - p) <= ROUNDED_P)
        if row.conf_low is not None and row.conf_high is not None:
            half = (row.conf_high - row.conf_low) / 2
            checks.append(close(half, critical(level, d.df) * row.std_error))
        if checks and all(checks):
            found.append(d)
    return tuple(found)


def explain_inference(
    ref: CoefRow,
    cand: CoefRow,
    *,
    sides: tuple[str, str],
    known: tuple[Distribution, ...],
    level: float,
    cause: SeCause | None,
    std_errors_agree: bool,
    estimate: float | None = None,
) -> Mapping[str, Explanation]:
    """Explain statistic, p-value and bounds of one coefficient.

    Parameters
    ----------
    ref, cand : CoefRow
    sides : tuple of str
        Engine ids of reference and candidate.
    known : tuple of Distribution
    level : float
    cause : SeCause or None
        Why the standard errors differ, where they do.
    std_errors_agree : bool
    estimate : float, optional
        The candidate's estimate in the reference's terms, where it is not the one in ``cand``.

    Returns
    -------
    mapping of str to Explanation
        By quantity; empty where the standard errors differ for no known cause, or a distribution is not known.
    """
    if ref.estimate is None or cand.estimate is None or not ref.std_error or not cand.std_error:
        return {}
    if cause is None and not std_errors_agree:
        return {}
    se = cand.std_error if cause is None else cause.replay[ref.term]
    b = cand.estimate if estimate is None else estimate
    if cause is not None and ref.term in cause.df:
        df = cause.df[ref.term]
        own_law = Distribution(df=df, text=f"t with {df:.4g} Satterthwaite degrees of freedom")
        known = (*known, own_law)
    departures = () if cause is None else cause.departures
    found: dict[str, Explanation] = {}
    if cause is not None and ref.statistic is not None:
        found["statistic"] = _write(cause, departures, (), b / se, ref.statistic)
    ours, theirs = used_by(ref, known, level), used_by(cand, known, level)
    if not ours or not theirs:
        return found
    shared = [d for d in ours if d in theirs]
    target = shared[0] if shared else ours[0]
    own = shared[0] if shared else theirs[0]
    change = () if shared else (_departure(own, target, sides),)
    if not change and cause is None:
        return found
    t = b / se
    half = critical(level, target.df) * se
    values = {"p_value": p_of(t, target.df), "conf_low": b - half, "conf_high": b + half}
    for quantity, value in values.items():
        wanted = getattr(ref, quantity)
        if wanted is not None:
            found[quantity] = _write(cause, departures, change, value, wanted)
    return {q: e for q, e in found.items() if _met(q, e, t, se, ref)}


def _met(quantity: str, explanation: Explanation, t: float, se: float, ref: CoefRow) -> bool:
    """Say whether a replay meets the reference as closely as nine digits of the standard error allow."""
    wanted: float | None = getattr(ref, quantity)
    if explanation.replay is None or wanted is None:
        return False
    slack = 10.0 ** -enough()
    if quantity in ("conf_low", "conf_high"):
        return bool(abs(explanation.replay - wanted) <= slack * (abs(wanted) + 10 * se))
    return bool(abs(explanation.replay - wanted) <= slack * abs(wanted) * (10 + t * t))


def _departure(own: Distribution, target: Distribution, sides: tuple[str, str]) -> Departure:
    reference, candidate = sides
    return Departure(
        rule="t.df",
        side=candidate,
        opposite=reference,
        did=own.text,
        asked=target.text,
        words=_words(target),
        back=_words(own),
    )


def _words(d: Distribution) -> dict[str, str]:
    words = {"use_t": d.use_t}
    return words if d.word is None else {**words, "word": d.word}


def _write(
    cause: SeCause | None,
    departures: tuple[Departure, ...],
    change: tuple[Departure, ...],
    value: float,
    wanted: float,
) -> Explanation:
    texts = [cause.formula] if cause is not None else []
    texts += [f"{change[0].asked}, not {change[0].did}"] if change else []
    return write(
        (*departures, *change),
        formula="; ".join(texts),
        replay=value,
        reference=wanted,
        note=cause.note if cause is not None else "",
        factor=cause.factor if cause is not None else None,
        digits=lre(wanted, value),
    )
