"""Do sentences say what the tables print? (Families 29, 32, 33.)"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from math import prod

from crosscheck.audit.checks import Category, Check, Kind, Verdict
from crosscheck.audit.facts import Claim
from crosscheck.audit.families.stars import critical, laws, p_value, printed_stars, t_range
from crosscheck.audit.formulas import difference_z
from crosscheck.audit.interval import INF, Interval, down, show, up
from crosscheck.audit.paper import Paper
from crosscheck.audit.tokens import Token, clean, digits, token_id

SLIGHT = 0.1


def subgroup_differences(paper: Paper) -> tuple[Check, ...]:
    """Ask whether effects of disjoint subsamples differ (family 29).

    ``z = (b1 - b2)/sqrt(se1**2 + se2**2)`` over the printed boxes. Assumes disjoint, independent rows, as declared.
    """
    treatment = paper.facts.treatment
    if treatment is None:
        return ()
    parts = [c for c in paper.columns if paper.sample(c.facts.sample).group and c.get(treatment.term, "estimate")]
    out = []
    for i, a in enumerate(parts):
        for b in parts[i + 1 :]:
            if paper.sample(a.facts.sample).group != paper.sample(b.facts.sample).group:
                continue
            tokens = [c.get(treatment.term, q) for c in (a, b) for q in ("estimate", "std_error")]
            if any(t is None for t in tokens):
                continue
            b1, s1, b2, s2 = (t for t in tokens if t is not None)
            z = abs(difference_z(b1.interval, b2.interval, s1.interval, s2.interval))
            out.append(
                Check(
                    id=f"29:{a.key}~{b.key}", family=29, kind="inference law", verdict="cannot_tell",
                    tokens=(b1.id, s1.id, b2.id, s2.id), interval=z,
                    formula=f"({b1.printed} - {b2.printed})/sqrt({s1.printed}^2 + {s2.printed}^2): |z| {show(z, 3)}, "
                    f"p in [{p_value(z.hi, INF):.2g}, {p_value(z.lo, INF):.2g}]",
                    statement=f"{treatment.term} in {a.name} and {b.name}: "
                    + ("different at 5%." if z.lo > 1.96 else "not significantly different at 10%." if z.hi < 1.645
                       else "may differ."),
                    category="claim", severity="none",
                )
            )  # fmt: skip
    return tuple(out)


def logs_and_shares(paper: Paper) -> tuple[Check, ...]:
    """Ask whether ranges fit what the variables are said to be (family 33).

    A variable declared positive has a positive minimum unless rounding hides it; a logarithm's range, exponentiated,
    is reported with its units to be judged. False positives: medium, hence never ``inconsistent`` for logarithms.
    """
    facts = paper.facts.descriptives
    if facts is None:
        return ()
    out = []
    for name in facts.logs:
        low, high = (paper.describe(name, q, facts.sample) for q in ("min", "max"))
        if low is None or high is None:
            continue
        import math

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


def claims(paper: Paper) -> tuple[Check, ...]:
    """Ask of every quoted sentence whether the tokens it speaks of say the same (family 32).

    Uses token ids, never a search for strings. Kinds and their rules are those of
    :class:`crosscheck.audit.facts.Claim`. False positives: medium, as transcription of claims is a human act.
    """
    judge = {
        "value": _value, "sign": _sign, "significant": _significant, "insignificant": _insignificant,
        "order": _order, "difference": _difference, "indirect": _indirect, "panel": _panel, "ratio": _ratio,
        "legend": _legend, "design": _context, "context": _context,
    }  # fmt: skip
    return tuple(
        judge[claim.kind](paper, claim, [paper.tokens[t] for t in claim.tokens]) for claim in paper.claims.claim
    )


def _check(
    claim: Claim, verdict: Verdict, formula: str, words: str, *, kind: Kind = "text", interval: Interval | None = None,
    severity: str = "decision", category: Category = "claim", rank: float = 5.0, tokens: tuple[str, ...] | None = None,
) -> Check:  # fmt: skip
    finding = verdict in ("inconsistent", "reveals")
    return Check(
        id=f"32:{claim.id}", family=32, kind=kind, tokens=claim.tokens if tokens is None else tokens, verdict=verdict,
        formula=formula, statement=f'"{claim.sentence}" ({claim.where}): {words}', interval=interval,
        category=category, severity=severity if finding else "none", rank=rank,
    )  # fmt: skip


def _value(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    (token,) = tokens
    text = clean(claim.quoted or "")
    value, decimals, _ = digits(text)
    half = Decimal(10) ** -decimals / 2
    box = Interval(down(float(value - half)), up(float(value + half)))
    ok = token.interval.meets(box)
    fewer = token.decimals - decimals
    words = f"the table prints {token.printed}"
    if ok and fewer > 0:
        change = abs(float(value) - token.value)
        words += f", quoted with {fewer} digit{'s' if fewer > 1 else ''} less"
        others = [
            t for t in paper.tokens.values()
            if t.term == token.term and t.quantity == token.quantity and t.id != token.id
            and t.table != token.table and t.decimals == token.decimals and t.value == float(value)
        ]  # fmt: skip
        if others and change > 0:
            words += f"; rounded so, it looks equal to {others[0].place} ({others[0].printed}), which it is not"
            return _check(
                claim,
                "reveals",
                f"{text} against {token.printed}",
                words + ".",
                interval=box,
                severity="cosmetic",
                rank=2,
            )
    return _check(
        claim, "consistent" if ok else "inconsistent", f"{text} means {show(box)}; printed {token.printed}",
        words + ("." if ok else f", not {text}."), interval=box, severity="printed", rank=8,
    )  # fmt: skip


def _sign(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    up_ = claim.direction != "negative"
    wrong = [t for t in tokens if (t.interval.hi < 0 if up_ else t.interval.lo > 0)]
    words = f"{len(tokens) - len(wrong)} of {len(tokens)} coefficients have that sign"
    return _check(
        claim, "inconsistent" if wrong else "consistent", ", ".join(t.printed for t in tokens),
        words + (f"; not {wrong[0].place} ({wrong[0].printed})." if wrong else "."), rank=8,
    )  # fmt: skip


def _cell(paper: Paper, token: Token) -> tuple[Interval | None, int | None, tuple[str, ...], float]:
    """Return the range of t, the stars, the tokens and the law's df of the cell that an estimate stands in."""
    column = next((c for c in paper.columns if (c.facts.table, c.facts.id) == (token.table, token.column)), None)
    se = paper.tokens.get(token_id(token.table, token.column, token.term, "std_error"))
    star = paper.tokens.get(token_id(token.table, token.column, token.term, "stars"))
    ids = tuple(t.id for t in (token, se, star) if t is not None)
    if column is None or se is None:
        return None, None, ids, INF
    return t_range(token, se), printed_stars(paper, column, token.term), ids, laws(paper, column)[0].df


def _significant(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    level, legend = claim.level or 0.1, paper.legend
    if legend is None:
        return _check(claim, "cannot_tell", "no legend", "the legend of the stars is not declared.")
    need = next((i for i, x in enumerate(legend.levels, start=1) if x <= level + 1e-12), None)
    bad: list[str] = []
    used: list[str] = []
    shown: list[str] = []
    for token in tokens:
        t, stars, ids, df = _cell(paper, token)
        used += ids
        shown.append(token.printed + (legend.mark(stars) if stars else ""))
        if need is not None and stars is not None and stars < need:
            bad.append(f"{token.place} has {legend.mark(stars)}")
        elif t is not None and t.hi < critical(level, df, legend.tails) * 0.999:
            bad.append(f"{token.place} has |t| of at most {t.hi:.2f}")
    words = f"{'; '.join(bad)}." if bad else f"all {len(tokens)} cells are significant at {level:.0%}."
    return _check(
        claim,
        "inconsistent" if bad else "consistent",
        ", ".join(shown),
        words,
        tokens=tuple(dict.fromkeys(used)),
        rank=9,
    )


def _insignificant(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    legend = paper.legend
    if legend is None:
        return _check(claim, "cannot_tell", "no legend", "the legend of the stars is not declared.")
    bad: list[str] = []
    used: list[str] = []
    shown: list[str] = []
    for token in tokens:
        _, stars, ids, _ = _cell(paper, token)
        used += ids
        shown.append(token.printed + (legend.mark(stars) if stars else ""))
        if stars:
            bad.append(f"{token.place} has {legend.mark(stars)}")
    words = f"{'; '.join(bad)}." if bad else "no star is printed."
    return _check(
        claim,
        "inconsistent" if bad else "consistent",
        ", ".join(shown),
        words,
        tokens=tuple(dict.fromkeys(used)),
        rank=9,
    )


def _order(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    wrong = [(a, b) for a, b in pairwise(tokens) if a.interval.hi < b.interval.lo]
    words = "the printed estimates are in that order." if not wrong else f"{wrong[0][0].place} is not larger."
    return _check(
        claim, "inconsistent" if wrong else "consistent", " > ".join(t.printed for t in tokens), words, rank=8
    )


def _difference(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    wrong = [(a, b) for a, b in pairwise(tokens) if a.interval.hi < b.interval.lo]
    notes, weak, used = [], [], []
    for a, b in pairwise(tokens):
        ses = [paper.tokens.get(token_id(t.table, t.column, t.term, "std_error")) for t in (a, b)]
        if ses[0] is None or ses[1] is None:
            continue
        used += [a.id, b.id, ses[0].id, ses[1].id]
        z = difference_z(a.interval, b.interval, ses[0].interval, ses[1].interval)
        notes.append(f"{a.printed} - {b.printed}: z {show(z, 3)}")
        if z.hi < 1.645:
            weak.append(
                f"{a.place} and {b.place} differ by {z.mid:.2f} standard errors (p at least {p_value(z.hi, INF):.2f})"
            )
    if wrong:
        return _check(claim, "inconsistent", "; ".join(notes), f"{wrong[0][0].place} is not larger.", rank=8)
    words = (
        "; ".join(weak) + ": one being significant and the other not does not order them."
        if weak
        else "the estimates differ significantly in that order."
    )
    return _check(
        claim, "reveals" if weak else "consistent", "; ".join(notes), words, kind="inference law", rank=7,
        tokens=tuple(dict.fromkeys(used)) or claim.tokens,
    )  # fmt: skip


def _indirect(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    from crosscheck.audit.families.mediation import indirect_effects

    for check in indirect_effects(paper):
        if set(claim.tokens) <= set(check.tokens):
            return _check(
                claim, check.verdict, check.formula, check.statement, kind="inference law", rank=7, tokens=check.tokens,
                interval=check.interval,
            )  # fmt: skip
    return _check(claim, "cannot_tell", "", "the columns it needs are not declared.")


def _panel(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    total = prod(claim.product)
    wrong = [t for t in tokens if total not in t.interval]
    formula = " x ".join(map(str, claim.product)) + f" = {total}; printed {', '.join(t.printed for t in tokens)}"
    words = f"{wrong[0].place} is {wrong[0].printed}." if wrong else "N says the same."
    return _check(claim, "inconsistent" if wrong else "consistent", formula, words, rank=9, severity="structural")


def _ratio(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    one, two = tokens
    change = (one.interval - two.interval) / two.interval
    direction = claim.direction or ("negative" if claim.word and "low" in claim.word else "positive")
    wrong = change.lo > 0 if direction == "negative" else change.hi < 0
    formula = f"({one.printed} - {two.printed})/{two.printed} = {show(change, 3)}"
    if wrong:
        return _check(claim, "inconsistent", formula, "the difference has the other sign.", interval=change, rank=8)
    if change.mig > SLIGHT:
        return _check(
            claim, "reveals", formula, f"it is {abs(change).mid:.0%} away from {two.place} ({one.printed} against "
            f"{two.printed}), which is not {claim.word or 'slightly'}.", kind="heuristic", interval=change, rank=3,
        )  # fmt: skip
    return _check(claim, "consistent", formula, f"the difference is {abs(change).mid:.0%}.", interval=change)


def _legend(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    legend = paper.legend
    levels = ", ".join(f"{level:.0%}" for level in legend.levels) if legend else ""
    return _check(
        claim, "consistent" if legend else "cannot_tell", levels, "the legend is used by the checks of stars."
    )


def _context(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    related: list[str] = []
    return _check(claim, "cannot_tell", " ".join(related), claim.why or "nothing printed decides it.")
