"""Which flavour of R2, or which count of parameters, did each side report?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.conventions import all_parameters
from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import Replayer, close
from crosscheck.results import EstimationResult

if TYPE_CHECKING:
    from crosscheck.explain.hypotheses import KRule

FIXEST_WORD = {"r2": "r2", "adj_r2": "ar2", "r2_within": "wr2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One definition of R2: its words, its formula with numbers, and its value."""

    text: str
    formula: str
    value: float


def flavours(made: Replayer) -> tuple[Flavour, ...]:
    """Return every R2 that a package reports for this fit, unadjusted and adjusted."""
    model = made.model
    w = model.fit.weights
    y = model.y.astype(np.longdouble)
    about_mean = float(w @ (y - (w @ y) / w.sum()) ** 2)
    about_zero = float(w @ y**2)
    own = float(w @ model.fit.y**2)
    ssr, second = float(model.fit.ssr), float(w @ model.fit.projected**2)
    n, k = model.n, model.parameters
    absorbed = bool(model.effects)
    found = [
        ("R2 about the mean", ssr, about_mean, 1.0, "1 - SSR / SST"),
        ("R2 about zero", ssr, about_zero, 1.0, "1 - SSR / sum y^2"),
    ]
    if not model.intercept:
        found.append(("R2 about the mean, N / (N - 1)", ssr, about_mean, n / (n - 1), "1 - SSR / SST N / (N - 1)"))
    if model.endogenous.shape[1]:
        found.append(("R2 of the second stage", second, about_mean, 1.0, "1 - SSR2 / SST, SSR2 with fitted regressors"))
    if absorbed:
        found.append(("within R2", ssr, own, 1.0, "1 - SSR / SSR of the fixed effects alone"))
        if model.endogenous.shape[1]:
            found.append(("within R2 of the second stage", second, own, 1.0, "1 - SSR2 / SSR of the effects alone"))
    flat = []
    for text, top, bottom, scale, formula in found:
        if bottom <= 0:
            continue
        flat.append(
            Flavour(text=text, formula=f"{formula} = 1 - {top:.6g} / {bottom:.6g}", value=1 - top / bottom * scale)
        )
        flat += _adjusted(made, text, top, bottom, n, k, absorbed)
    return (*flat, *_correlations(made))


def _correlations(made: Replayer) -> list[Flavour]:
    """Return the overall and between R2 that Stata's xtreg, fe reports: squared correlations of y and X b."""
    model = made.model
    if not model.effects or model.endogenous.shape[1] or model.weights is not None:
        return []
    fitted = model.x[:, list(model.fit.kept)] @ np.asarray(model.fit.coef, dtype=np.float64)
    found = [("overall R2", "corr(y, X b)^2", model.y, fitted)]
    name, codes = next(iter(model.effects.items()))
    counts = np.bincount(codes)
    means = [np.bincount(codes, weights=v) / np.maximum(counts, 1) for v in (model.y, fitted)]
    if counts.size > 2:
        between = f"between R2 of {'^'.join(name)}"
        found.append((between, "corr of the means of y and X b, squared", means[0], means[1]))
    out = []
    for text, formula, a, b in found:
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            value = float(np.corrcoef(a, b)[0, 1] ** 2)
            out.append(Flavour(text=text, formula=f"{formula} = {value:.6g}", value=value))
    return out


def _adjusted(made: Replayer, text: str, top: float, bottom: float, n: float, k: int, absorbed: bool) -> list[Flavour]:
    n_coef = len(made.model.terms)
    effects = k - n_coef
    if text.startswith("within"):
        choices = [
            (n - effects, n - k, "(N - K_fe) / (N - K)"),
            (n - 1, n - k, "(N - 1) / (N - K)"),
            (n - 1, n - n_coef - 1, "(N - 1) / (N - k - 1)"),
        ]
    elif text == "R2 about zero":
        choices = [(n, n - k, "N / (N - K)")]
    else:
        choices = [(n - 1, n - k, "(N - 1) / (N - K)"), (n, n - k, "N / (N - K)")]
        if absorbed:
            choices.append((n - 1, n - n_coef - 1, "(N - 1) / (N - k - 1), effects not counted"))
            choices.append((n - 1, n - n_coef, "(N - 1) / (N - k), effects and constant not counted"))
    return [
        Flavour(
            text=f"adjusted {text}, {words}",
            formula=f"1 - {top:.6g} / {bottom:.6g} x {a:g} / {b:g}",
            value=1 - top / bottom * a / b,
        )
        for a, b, words in choices
        if b > 0
    ]


def explain_r2(
    quantity: str, reference: EstimationResult, candidate: EstimationResult, made: Replayer
) -> tuple[Explanation, ...]:
    """Explain a difference of R2: both sides sit on a flavour of the same fit, and not on the same."""
    a, b = getattr(reference.stats, quantity), getattr(candidate.stats, quantity)
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return ()
    known = flavours(made)
    ours = [f for f in known if close(a, f.value)]
    theirs = [f for f in known if close(b, f.value)]
    if not ours or not theirs or any(f in ours for f in theirs):
        return ()
    did, target = theirs[0], ours[0]
    departure = Departure(
        rule="r2.flavour",
        side=candidate.engine,
        opposite=reference.engine,
        did=did.text,
        asked=target.text,
        words={"word": FIXEST_WORD[quantity]},
    )
    text = f"{reference.engine}: {target.formula}; {candidate.engine}: {did.formula}"
    return (write((departure,), formula=text, replay=target.value, reference=a),)


def explain_df_resid(
    reference: EstimationResult, candidate: EstimationResult, rules: tuple[KRule, ...]
) -> tuple[Explanation, ...]:
    """Explain different residual degrees of freedom on the same observations by the K that each side counts."""
    a, b, n, m = reference.stats.df_resid, candidate.stats.df_resid, reference.stats.nobs, candidate.stats.nobs
    if a is None or b is None or a == b or n is None or n != m:
        return ()
    ours = [r for r in rules if n - r.k == a]
    theirs = [r for r in rules if n - r.k == b]
    if not ours or not theirs:
        return ()
    departure = Departure(
        rule="df_resid.k",
        side=candidate.engine,
        opposite=reference.engine,
        did=theirs[0].text,
        asked=ours[0].text,
    )
    text = f"N - K = {n:g} - {ours[0].k} = {a:g}; {n:g} - {theirs[0].k} = {b:g}"
    return (write((departure,), formula=text, replay=n - ours[0].k, reference=a),)


def explain_stats(
    reference: EstimationResult, candidate: EstimationResult, made: Replayer, rules: tuple[KRule, ...]
) -> Mapping[tuple[str, str], tuple[Explanation, ...]]:
    """Explain what differs between the statistics of two fits of the same sample."""
    if reference.stats.nobs != candidate.stats.nobs or made.model.n != reference.stats.nobs:
        return {}
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    if made.combine is None and made.request.estimator == "feols":
        assert all_parameters(len(made.model.terms), made.model.fit.absorber.sizes) == made.model.parameters
        for quantity in FIXEST_WORD:
            found["", quantity] = explain_r2(quantity, reference, candidate, made)
    found["", "df_resid"] = explain_df_resid(reference, candidate, rules)
    return {key: value for key, value in found.items() if value}
