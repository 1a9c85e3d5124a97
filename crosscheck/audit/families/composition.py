"""Does a composite outcome measure what its names say, and something other than its regressors? (Family 33.)

Everything here reads declared words and a few printed numbers. It never says ``inconsistent``: a reader judges.
"""

from __future__ import annotations

import math
import re

from crosscheck.audit.checks import Check
from crosscheck.audit.facts import Component, Index
from crosscheck.audit.interval import Interval, show
from crosscheck.audit.paper import Paper

RATIO = re.compile(r"/|\bper\b|\brate\b|\bshare\b|\bratio\b|\bpercent", re.IGNORECASE)
PROMISES = re.compile(r"\bintensity\b|\bpenetration\b|\brate\b|\bshare\b|\bdensity\b", re.IGNORECASE)
WORD = re.compile(r"[a-z]{4,}")
NO_SUBJECT = re.compile(
    "number|total|scale|year|added|value|product|industry|with|from|high|tech|amount|level|registered|capita|province|"
    "regional|expenditure|general|public|budget|good|service|development|project|volume|investment"
)
CROWDED = 0.05
JUMP = 0.3


def composition(paper: Paper) -> tuple[Check, ...]:
    """Ask what the indicators of a composite outcome say about it (family 33).

    Four questions: do indicators that sum to one all count as good; is every direction printed; do names that promise a
    ratio stand for amounts; do indicators share their subject with regressors or mediators, which makes part of their
    association true by construction. Assumes the declared words are the paper's. False positives: medium for shared
    words (a heuristic), none for the others.
    """
    out: list[Check] = []
    for number, index in enumerate(paper.facts.index):
        out += _sums(index, number)
        out += _directions(index, number)
        out += _amounts(index, number)
        out += _overlap(paper, index, number)
    return tuple(out)


def _text(
    id: str, found: bool, formula: str, words: str, *, tokens: tuple[str, ...] = (), rank: float = 2.0
) -> Check:  # fmt: skip
    return Check(
        id=id, family=33, kind="text", tokens=tokens, verdict="reveals" if found else "consistent", formula=formula,
        statement=words, category="design", strength="suggestive", severity="cosmetic" if found else "none", rank=rank,
    )  # fmt: skip


def _sums(index: Index, number: int) -> list[Check]:
    out = []
    by_name = {c.name: c for c in index.component}
    for group in index.sum_to_one:
        signs = [by_name[name].direction for name in group]
        same = len(set(signs)) == 1 and signs[0] != ""
        words = (
            f"{', '.join(group)} add up to one by definition, yet all count as '{signs[0]}' in the index of "
            f"{index.outcome} ({index.source}): one can only rise at the cost of another, so what they add is decided "
            "by their weights, not by development."
            if same
            else f"{', '.join(group)} add up to one and do not all have the same direction."
        )
        formula = ", ".join(f"{name} {s or '?'}" for s, name in zip(signs, group, strict=True)) + "; sum = 1"
        out.append(_text(f"33:index{number}:sum", same, formula, words, rank=2.5))
    return out


def _directions(index: Index, number: int) -> list[Check]:
    bare = [c for c in index.component if not c.direction]
    total = len(index.component)
    words = (
        f"{len(bare)} of the {total} indicators of {index.outcome} ({', '.join(c.name for c in bare)}) are printed "
        f"without a direction ({index.source}); with the wrong one pollution would raise the index."
        if bare
        else f"Every indicator of {index.outcome} has a printed direction."
    )
    return [_text(f"33:index{number}:direction", bool(bare), f"{total - len(bare)} of {total} directions", words)]


def _scaled(component: Component) -> bool:
    return bool(RATIO.search(component.measure))


def _amounts(index: Index, number: int) -> list[Check]:
    amounts = [c for c in index.component if not _scaled(c)]
    wrong = [c for c in amounts if PROMISES.search(c.name)]
    words = (
        f"{len(amounts)} of the {len(index.component)} indicators of {index.outcome} are amounts, not ratios, so the "
        "index grows with the size of a unit"
    )
    if wrong:
        words += "; " + ", ".join(f"'{c.name}' stands for an amount ({c.measure})" for c in wrong)
    found = bool(wrong) or 2 * len(amounts) > len(index.component)
    formula = f"{len(amounts)} amounts, {len(index.component) - len(amounts)} ratios"
    return [_text(f"33:index{number}:amounts", found, formula, words + ".", rank=2.2)]


def subjects(text: str) -> frozenset[str]:
    """The telling words of a measure, in the singular."""
    words = (w[:-3] + "y" if w.endswith("ies") else w.removesuffix("s") for w in WORD.findall(text.lower()))
    return frozenset(w for w in words if not NO_SUBJECT.fullmatch(w))


def _overlap(paper: Paper, index: Index, number: int) -> list[Check]:
    pairs = []
    for definition in paper.facts.definition:
        for component in index.component:
            shared = subjects(definition.measure) & subjects(component.measure)
            if shared:
                pairs.append((definition.term, component.name or component.measure, " ".join(sorted(shared))))
    if not paper.facts.definition:
        return []
    terms = tuple(dict.fromkeys(p[0] for p in pairs))
    formula = "; ".join(f"{term} ~ {name} ({word})" for term, name, word in pairs)
    words = (
        f"{', '.join(terms)} measure the same things as indicators of {index.outcome}: part of their association with "
        "it is true by construction, as controls and as mechanisms alike"
        if pairs
        else f"No regressor shares its subject with an indicator of {index.outcome}"
    )
    jump, tokens = _r2_jump(paper, index.outcome)
    if pairs and jump:
        words += f" ({jump})"
        formula += f"; {jump}"
    return [_text(f"33:index{number}:overlap", bool(pairs), formula, words + ".", tokens=tokens, rank=5.0)]


def _r2_jump(paper: Paper, outcome: str) -> tuple[str, tuple[str, ...]]:
    """The rise of R2 where pooled columns add nothing but declared regressors."""
    pooled = [c for c in paper.columns if c.facts.outcome == outcome and not c.facts.fixed_effects and c.r2 is not None]
    for small in pooled:
        for large in pooled:
            if not paper.nested(small, large) or small.r2 is None or large.r2 is None:
                continue
            rise = large.r2.interval - small.r2.interval
            if rise.lo > JUMP:
                extra = len(large.facts.terms) - len(small.facts.terms)
                return (
                    f"R2 rises from {small.r2.printed} to {large.r2.printed} when {extra} controls enter {large.name}",
                    (small.r2.id, large.r2.id),
                )
    return "", ()


def heads(paper: Paper) -> tuple[Check, ...]:
    """Ask how crowded a count per heads would be (family 33).

    Turns the mean and maximum of a regressor declared as so many per heads into one for every so many. Suggestive:
    a maximum above one for every 20 is shown as a question about the unit. Assumes the declared unit. False
    positives: high where such counts are crowded by nature.
    """
    out = []
    for definition in paper.facts.definition:
        desc = paper.facts.descriptives
        if definition.per is None or desc is None:
            continue
        mean, top = (paper.describe(definition.term, q, desc.sample) for q in ("mean", "max"))
        if mean is None or top is None or mean.interval.lo <= 0:
            continue
        each = Interval(definition.per, definition.per) / mean.interval
        least = Interval(definition.per, definition.per) / top.interval
        found = top.interval.lo / definition.per > CROWDED
        words = (
            f"If {definition.term} is {definition.measure}, there is one for every {each.mid:.0f} {definition.of} on "
            f"average and one for every {least.mid:.0f} at the maximum"
        )
        words += ": too many for that definition, so unit or definition is another." if found else "."
        out.append(
            Check(
                id=f"33:{definition.term}:per", family=33, kind="heuristic", tokens=(mean.id, top.id), interval=least,
                verdict="reveals" if found else "consistent", statement=words, category="design",
                formula=f"{definition.per:g}/{mean.printed} = {show(each, 3)}; {definition.per:g}/{top.printed} = "
                f"{show(least, 3)}",
                strength="suggestive", severity="cosmetic" if found else "none", rank=1.5,
            )
        )  # fmt: skip
    return tuple(out)


def logs_and_shares(paper: Paper) -> tuple[Check, ...]:
    """Ask whether ranges fit what the variables are said to be (family 33).

    A variable declared positive has a positive minimum unless rounding hides it; a logarithm's range,
    exponentiated, is reported with its units to be judged. False positives: medium, hence never ``inconsistent``
    for logarithms. Assumes the declared kinds of variables.
    """
    facts = paper.facts.descriptives
    if facts is None:
        return ()
    out = []
    for name in facts.logs:
        low, high = (paper.describe(name, q, facts.sample) for q in ("min", "max"))
        if low is None or high is None:
            continue
        span = Interval(math.exp(low.interval.lo), math.exp(high.interval.hi))
        out.append(
            Check(
                id=f"33:{name}", family=33, kind="heuristic", tokens=(low.id, high.id), verdict="cannot_tell",
                formula=f"exp([{low.printed}, {high.printed}]) = {show(span, 3)}", interval=span,
                statement=f"{name} stands for {span.lo:.3g} to {span.hi:.3g} of the unit that was logged.",
                category="undisclosed", severity="none",
            )
        )  # fmt: skip
    for name in facts.positive:
        low = paper.describe(name, "min", facts.sample)
        if low is None:
            continue
        bad = low.interval.hi <= 0.0
        out.append(
            Check(
                id=f"33:{name}:positive", family=33, kind="bound", tokens=(low.id,), interval=low.interval,
                verdict="inconsistent" if bad else "consistent", formula=f"min {low.printed} > 0",
                statement=f"{name} is said to be positive, but its minimum is {low.printed}." if bad
                else f"The minimum of {name} can be positive.",
                strength="proof", severity="printed" if bad else "none",
            )
        )  # fmt: skip
    return tuple(out)
