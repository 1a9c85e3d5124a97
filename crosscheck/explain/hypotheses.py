"""Which conventions could a standard error have been computed under, and which number does each give?

A :class:`Choice` is a point: what stands over N - K, which K, which factor for clusters or periods. The catalogue is
finite and every point is a convention that some package or book has; nothing is fitted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from crosscheck.conventions import SERIAL, Counts, Ssc, count_k, g_factor
from crosscheck.explain.model import Departure

NUMERATORS: Mapping[str, tuple[str, ...]] = {
    "iid": ("n-1", "none", "ml"),
    "HC1": ("n", "none", "n-1"),
    "HC2": ("none", "n", "ml"),
    "HC3": ("none", "n", "ml"),
    "CRV1": ("n-1", "none", "n"),
    "CRV3": ("none", "n-1", "n"),
    "NW": ("n-1", "none", "n"),
    "DK": ("n-1", "none", "n"),
    "HC4": ("none", "n"),
    "HC4m": ("none",),
    "HC5": ("none",),
    "CRV2": ("none",),
}
FIXEST_K = ("none", "nonnested", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class KRule:
    """One way to count parameters: its id, the number, and its description."""

    id: str
    k: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One convention for the factor on a covariance.

    Attributes
    ----------
    vcov : str
    numerator : str
        Over N - K: ``n-1``, ``n``, ``none`` (no factor), ``ml`` (SSR / N for iid; (N - 1) / N for HC2 and HC3).
    k : KRule
    g : str
        ``none``, ``min``, ``conventional``; for CRV3 ``none`` is (G - 1) / G, ``min`` 1, ``twice`` G / (G - 1).
    """

    vcov: str
    numerator: str
    k: KRule
    g: str


def k_rules(
    counts: Counts, vcov: str, *, intercept: bool, by_data: tuple[bool, ...] = (), rank: int | None = None
) -> tuple[KRule, ...]:
    """Return every way to count K, one for each number, the words of fixest first.

    Parameters
    ----------
    counts : Counts
    vcov : str
    intercept : bool
        Whether the coefficients shown hold a constant.
    by_data : tuple of bool
        Nestedness of each effect by its codes alone.
    rank : int, optional
        Rank of the dummies of all fixed effects.
    """
    n_coef, sizes = counts.n_coef, counts.fe_sizes
    clustered = vcov in ("CRV1", "CRV3") and bool(sizes)
    full = count_k(n_coef, sizes)
    found = []
    if clustered:
        nonnested = count_k(n_coef, sizes, k_fixef="nonnested", nested=counts.nested, clustered=True)
        found.append(KRule(id="nonnested", k=nonnested, text=f"{nonnested} (effects nested in the clusters left out)"))
    found.append(
        KRule(id="full", k=full, text=f"{full} (every fixed effect)" if sizes else f"{full} (the coefficients)")
    )
    if sizes:
        found.append(KRule(id="none", k=n_coef, text=f"{n_coef} (the coefficients alone)"))
        found.append(KRule(id="none+1", k=n_coef + 1, text=f"{n_coef + 1} (the coefficients and one constant)"))
        if clustered and by_data:
            k = count_k(n_coef, sizes, k_fixef="nonnested", nested=by_data, clustered=True)
            found.append(KRule(id="nonnested.data", k=k, text=f"{k} (effects left out that the data nest in clusters)"))
        if rank is not None:
            found.append(KRule(id="exact", k=n_coef + rank, text=f"{n_coef + rank} (the rank of all dummies)"))
    elif intercept and n_coef > 1:
        found.append(
            KRule(id="no_constant", k=n_coef - 1, text=f"{n_coef - 1} (the coefficients without the constant)")
        )
    return tuple(found)


def asked(vcov: str, ssc: Ssc, rules: tuple[KRule, ...]) -> Choice:
    """Return the point that a request asks for."""
    word = ssc.k_fixef
    if word == "nonnested" and all(r.id != "nonnested" for r in rules):
        word = "full"
    k = next((r for r in rules if r.id == word), None) or next(r for r in rules if r.id == "full")
    if vcov in ("HC2", "HC3", "CRV3"):
        return Choice(vcov=vcov, numerator="none", k=k, g="none")
    numerator = NUMERATORS[vcov][0] if ssc.k_adj else "none"
    g = "none"
    if vcov == "CRV1" and ssc.g_adj:
        g = ssc.g_df
    elif vcov in SERIAL and ssc.g_adj:
        g = "min"
    return Choice(vcov=vcov, numerator=numerator, k=k, g=g)


def catalogue(base: Choice, counts: Counts, rules: tuple[KRule, ...]) -> tuple[Choice, ...]:
    """Return every point of a covariance that gives another number than ``base`` in each component that differs.

    The first is ``base`` itself.
    """
    ks = [base.k, *(r for r in _distinct(rules) if r.k != base.k.k)]
    gs = [base.g]
    if base.vcov == "CRV1":
        gs += [g for g in ("min", "none", "conventional") if g_factors(g, counts) != g_factors(base.g, counts)]
        gs = [g for i, g in enumerate(gs) if g_factors(g, counts) not in [g_factors(h, counts) for h in gs[:i]]]
    elif base.vcov in SERIAL:
        gs += [g for g in ("min", "none") if g != base.g]
    elif base.vcov == "CRV3":
        gs += ["min", "twice"]
    found = []
    for numerator, k, g in itertools.product(NUMERATORS[base.vcov], ks, gs):
        if numerator in ("none", "ml") and k is not base.k:
            continue
        found.append(Choice(vcov=base.vcov, numerator=numerator, k=k, g=g))
    return tuple(sorted(found, key=lambda c: (departures_count(base, c), c != base)))


def _distinct(rules: tuple[KRule, ...]) -> list[KRule]:
    seen: dict[int, KRule] = {}
    for rule in rules:
        seen.setdefault(rule.k, rule)
    return list(seen.values())


def departures_count(base: Choice, other: Choice) -> int:
    """Count the components in which two points differ."""
    return (base.numerator != other.numerator) + (base.k.k != other.k.k) + (base.g != other.g)


def k_part(choice: Choice, n: float) -> float:
    """Return the factor for parameters on the unadjusted covariance (for iid that is SSR / (N - 1) (X'X)^-1)."""
    if choice.numerator == "none":
        return 1.0
    if choice.numerator == "ml":
        return (n - 1) / n
    if n <= choice.k.k:
        return math.nan
    return (n if choice.numerator == "n" else n - 1) / (n - choice.k.k)


def g_factors(word: str, counts: Counts) -> tuple[float, ...]:
    """Return the factor of each term of the clustered sum."""
    if word == "none":
        return (1.0,) * len(counts.n_clusters)
    if word == "conventional":
        return tuple(g_factor(g) for g in counts.n_clusters)
    return (g_factor(counts.g_min or 1),) * len(counts.n_clusters)


def multipliers(choice: Choice, counts: Counts) -> tuple[float, ...]:
    """Return what each part of the unadjusted covariance is multiplied by (one part unless there are two clusters)."""
    by_k = k_part(choice, counts.n)
    if choice.vcov == "CRV1":
        return tuple(by_k * g for g in g_factors(choice.g, counts))
    if choice.vcov in SERIAL and choice.g != "none":
        return (by_k * g_factor(counts.n_periods or 1),)
    if choice.vcov == "CRV3":
        power = {"none": 0, "min": 1, "twice": 2}[choice.g]
        return (by_k * g_factor(counts.g_min or 1) ** power,)
    return (by_k,)


def describe_k(choice: Choice, n: float) -> str:
    """Return the factor for parameters with its numbers."""
    if choice.numerator == "none":
        return "1 / (N - 1)" if choice.vcov == "iid" else "1 for parameters"
    if choice.numerator == "ml":
        return f"1 / N = 1 / {n:g}" if choice.vcov == "iid" else f"(N - 1) / N = {n - 1:g} / {n:g}"
    top = n if choice.numerator == "n" else n - 1
    letters = "N" if choice.numerator == "n" else "(N - 1)"
    if choice.vcov == "iid":
        return f"1 / (N - K) = 1 / ({n:g} - {choice.k.k})"
    return f"{letters} / (N - K) = {top:g} / ({n:g} - {choice.k.k})"


def describe_g(choice: Choice, counts: Counts) -> str:
    """Return the factor for clusters or periods with its numbers."""
    g = counts.n_periods if choice.vcov in SERIAL else counts.g_min
    letter = "T" if choice.vcov in SERIAL else "G"
    if choice.vcov == "CRV3":
        return {
            "none": f"(G - 1) / G = {(g or 1) - 1} / {g} on the sum of squared jackknife deviations",
            "min": "1 on the sum of squared jackknife deviations",
            "twice": f"G / (G - 1) = {g} / {(g or 2) - 1} on the sum of squared jackknife deviations",
        }[choice.g]
    if choice.g == "none":
        return f"1, without {letter} / ({letter} - 1)"
    if choice.g == "conventional" and len(counts.n_clusters) > 1:
        return "G / (G - 1) of each term, G = " + ", ".join(str(c) for c in counts.n_clusters)
    return f"{letter} / ({letter} - 1) = {g} / {(g or 2) - 1}"


def formula(choice: Choice, counts: Counts) -> str:
    """Return the whole factor with its numbers, as one line."""
    parts = [describe_k(choice, counts.n)]
    if choice.vcov in ("CRV1", "CRV3", *SERIAL):
        parts.append(describe_g(choice, counts))
    return " times ".join(parts)


def departures(base: Choice, other: Choice, counts: Counts, side: str, opposite: str) -> tuple[Departure, ...]:
    """Say in which components ``side``, at ``other``, departs from ``base``; ``opposite`` is the engine at ``base``."""
    found = []
    if other.numerator != base.numerator:
        found.append(
            Departure(
                rule="k.numerator" if {other.numerator, base.numerator} == {"n", "n-1"} else "k.adj",
                side=side,
                opposite=opposite,
                did=describe_k(other, counts.n),
                asked=describe_k(base, counts.n),
                words=_flags(base.numerator != "none"),
                back=_flags(other.numerator != "none"),
            )
        )
    if other.k.k != base.k.k and other.numerator not in ("none", "ml"):
        found.append(
            Departure(
                rule="k.fixef",
                side=side,
                opposite=opposite,
                did=other.k.text,
                asked=base.k.text,
                words={"word": base.k.id} if base.k.id in FIXEST_K else {},
                back={"word": other.k.id} if other.k.id in FIXEST_K else {},
            )
        )
    if other.g != base.g:
        both = "none" not in (other.g, base.g)
        found.append(
            Departure(
                rule="g.df" if both and other.vcov == "CRV1" else "g.adj",
                side=side,
                opposite=opposite,
                did=describe_g(other, counts),
                asked=describe_g(base, counts),
                words={"word": base.g} if both else _flags(base.g != "none"),
                back={"word": other.g} if both else _flags(other.g != "none"),
            )
        )
    return tuple(found)


def _flags(on: bool) -> dict[str, str]:
    return {"flag_r": "TRUE" if on else "FALSE", "flag_py": "True" if on else "False"}
