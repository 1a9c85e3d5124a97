"""What separates two results of which only the numbers and their own statements are known?

Without data nothing is fitted: a factor common to all standard errors is solved from N, G and the K that each side
states, and the distribution of the p-values from their degrees of freedom.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crosscheck.conventions import CLUSTERED, Counts
from crosscheck.explain.hypotheses import NUMERATORS, Choice, KRule, catalogue
from crosscheck.explain.inference import Distribution, distributions, explain_inference
from crosscheck.explain.model import Explanation
from crosscheck.explain.replay import close
from crosscheck.explain.se import SeCause, factor_only, shared

if TYPE_CHECKING:
    from crosscheck.results import EstimationResult

Explanations = dict[tuple[str, str], tuple[Explanation, ...]]
SE_DIGITS = 6.0


def explain_stated(reference: EstimationResult, candidate: EstimationResult, level: float) -> Explanations:
    """Explain two results by a factor common to all standard errors, and by the distribution, without their data."""
    counts, rules = _counts(reference, candidate)
    if counts is None:
        return {}
    pairs = shared(reference, candidate)
    agree = all(close(a, b, SE_DIGITS) for a, b in pairs.values())
    kind = reference.conventions.vcov or candidate.conventions.vcov or "CRV1"
    kind = "HC1" if kind == "hetero" else kind
    if kind not in NUMERATORS:
        return {}
    causes: tuple[SeCause, ...] = ()
    for rule in rules if not agree else ():
        base = Choice(vcov=kind, numerator=NUMERATORS[kind][0], k=rule, g="min" if kind == "CRV1" else "none")
        causes = factor_only(reference, candidate, counts, base, catalogue(base, counts, rules))
        if causes:
            break
    if not causes and not agree:
        return {}
    found: Explanations = {}
    known = (*distributions(counts, rules, kind), *_stated_laws(reference, candidate))
    for row in reference.coefs:
        other = candidate.coef(row.term)
        if other is None or row.term not in pairs:
            continue
        if causes:
            found[row.term, "std_error"] = tuple(c.explanation(row.term, pairs[row.term][0]) for c in causes)
        for quantity, explanation in explain_inference(
            row,
            other,
            sides=(reference.engine, candidate.engine),
            known=known,
            level=level,
            cause=causes[0] if causes else None,
            std_errors_agree=agree,
        ).items():
            found[row.term, quantity] = (explanation,)
    return found


def _counts(reference: EstimationResult, candidate: EstimationResult) -> tuple[Counts | None, tuple[KRule, ...]]:
    n = reference.stats.nobs
    if n is None or candidate.stats.nobs not in (None, n) or not reference.coefs:
        return None, ()
    clusters = reference.conventions.n_clusters or candidate.conventions.n_clusters
    kind = reference.conventions.vcov or candidate.conventions.vcov
    if kind != (candidate.conventions.vcov or kind) or (kind in CLUSTERED and not clusters) or len(clusters) > 1:
        return None, ()
    k = len(reference.coefs)
    rules: list[KRule] = []
    for side in (reference, candidate):
        if side.conventions.k is not None:
            rules.append(_rule(side.conventions.k, f"as {side.engine} states"))
    for side in (reference, candidate):
        if side.stats.df_resid is not None:
            rules.append(_rule(n - side.stats.df_resid, "every parameter"))
    rules += [_rule(k, "the coefficients alone"), _rule(k + 1, "the coefficients and one constant")]
    unique: dict[int, KRule] = {}
    for rule in rules:
        unique.setdefault(rule.k, rule)
    return Counts(n=n, n_coef=k, n_clusters=tuple(clusters)), tuple(unique.values())


def _rule(k: float, text: str) -> KRule:
    return KRule(id=f"stated {k:g}", k=round(k), text=f"{k:g} ({text})")


def _stated_laws(*sides: EstimationResult) -> tuple[Distribution, ...]:
    found = []
    for side in sides:
        for df in dict.fromkeys([side.conventions.df_t, *(r.df for r in side.coefs)]):
            if df is not None and math.isfinite(df):
                found.append(Distribution(df=df, text=f"t with {df:g} degrees of freedom, as {side.engine} states"))
    return tuple(found)
