"""Do sentences say what the tables print? (Family 32.)"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from math import prod

from crosscheck.audit.checks import VERDICTS, Category, Check, Kind, Verdict
from crosscheck.audit.facts import Claim
from crosscheck.audit.families.stars import critical, laws, p_value, printed_stars, t_range
from crosscheck.audit.formulas import difference_z
from crosscheck.audit.interval import INF, Interval, down, show, up
from crosscheck.audit.paper import Paper
from crosscheck.audit.tokens import Token, clean, digits, token_id
from crosscheck.errors import nearest

SLIGHT = 0.1


def claims(paper: Paper) -> tuple[Check, ...]:
    """Ask of every quoted sentence whether the tokens it speaks of say the same (family 32).

    Uses token ids, never a search for strings. Kinds and their rules are those of
    :class:`crosscheck.audit.facts.Claim`. False positives: medium, as transcription of claims is a human act.
    Assumes sentences quoted as they stand.
    """
    judge = {
        "value": _value, "sign": _sign, "significant": _significant, "insignificant": _insignificant,
        "order": _order, "difference": _difference, "indirect": _indirect, "panel": _panel, "ratio": _ratio,
        "legend": _legend, "context": _context, "judged": _context, "combinations": _combinations,
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
    formula = ", ".join(shown)
    if not bad:
        wide = [found for token in tokens for found in (_undecided(paper, token),) if found]
        if wide:
            words = " ".join(text for text, _, _ in wide)
            return _check(
                claim, "reveals", "; ".join([formula, *(f for _, f, _ in wide)]), words, kind="bound", rank=6,
                tokens=tuple(dict.fromkeys([*used, *(t for _, _, more in wide for t in more)])),
            )  # fmt: skip
    return _check(
        claim, "inconsistent" if bad else "consistent", formula, words, tokens=tuple(dict.fromkeys(used)), rank=9
    )


def _undecided(paper: Paper, token: Token) -> tuple[str, str, tuple[str, ...]] | None:
    """Whether an insignificant subgroup estimate's 95% interval holds a significant estimate of another subgroup."""
    column = next((c for c in paper.columns if (c.facts.table, c.facts.id) == (token.table, token.column)), None)
    se = paper.tokens.get(token_id(token.table, token.column, token.term, "std_error"))
    if column is None or se is None or not paper.sample(column.facts.sample).group:
        return None
    cut = critical(0.05, laws(paper, column)[0].df, 2)
    lo, hi = token.interval.hi - cut * se.interval.lo, token.interval.lo + cut * se.interval.lo
    for other in paper.columns:
        same = paper.sample(other.facts.sample).group == paper.sample(column.facts.sample).group
        rival = other.get(token.term, "estimate")
        if other is column or not same or rival is None or not printed_stars(paper, other, token.term):
            continue
        if lo <= rival.interval.lo and rival.interval.hi <= hi:
            words = (
                f"no star is printed, but its 95% interval [{lo:.4f}, {hi:.4f}] holds the significant {rival.printed} "
                f"of {other.name} as well as zero: not significant is not absent."
            )
            return words, f"{token.printed} +- {cut:.3f} x {se.printed}", (rival.id,)
    return None


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
            f"{two.printed}), which is not {claim.word or 'slightly'}.", interval=change, rank=4.2,
        )  # fmt: skip
    return _check(claim, "consistent", formula, f"the difference is {abs(change).mid:.0%}.", interval=change)


def _legend(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    legend = paper.legend
    levels = ", ".join(f"{level:.0%}" for level in legend.levels) if legend else ""
    return _check(
        claim, "consistent" if legend else "cannot_tell", levels, "the legend is used by the checks of stars."
    )


def _combinations(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    """Count the combinations of controls and effects that the columns of the tokens show."""
    columns = [c for c in paper.columns for t in tokens if (c.facts.table, c.facts.id) == (t.table, t.column)]
    effects = sorted({e for c in columns for e in c.facts.fixed_effects})
    shown = {(len(c.facts.terms) > 1, *(e in c.facts.fixed_effects for e in effects)) for c in columns}
    every = 2 ** (1 + len(effects))
    missing = len(shown) < every
    words = (
        f"only {len(shown)} of the {every} combinations are shown; {' and '.join(effects)} effects never enter apart."
        if missing
        else "every combination is shown."
    )
    return _check(
        claim, "reveals" if missing else "consistent", f"controls, {', '.join(effects)}: {len(shown)} of {every}",
        words, severity="cosmetic", rank=1,
    )  # fmt: skip


def _context(paper: Paper, claim: Claim, tokens: list[Token]) -> Check:
    return _check(claim, "cannot_tell", "", claim.why or "judged by other checks.")


def judged(paper: Paper, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Give claims of kind ``judged`` the verdict of the checks that decide them (the gravest; never a second finding).

    A check that could not be made leaves its claim undecided.
    """
    by_id = {c.id: c for c in checks}
    out = dict(by_id)
    for claim in paper.claims.claim:
        if claim.kind != "judged":
            continue
        mine = f"32:{claim.id}"
        made = [name for name in claim.by if name in by_id]
        missing = [name for name in claim.by if name not in by_id]
        if missing:
            words = f"check {missing[0]} could not be made"
            near = nearest(missing[0], by_id)
            out[mine] = _check(claim, "cannot_tell", "", f"{words} ({near})." if near else f"{words}.")
            continue
        grave = min((by_id[name] for name in made), key=lambda c: VERDICTS.index(c.verdict))
        tokens = tuple(dict.fromkeys(t for name in claim.by for t in by_id[name].tokens))
        out[mine] = by_id[mine].but(
            verdict=grave.verdict if grave.verdict != "inconsistent" else "reveals", formula=grave.formula,
            tokens=tokens, severity="none", interval=grave.interval,
            statement=f'"{claim.sentence}" ({claim.where}): see {", ".join(claim.by)}. {grave.statement}',
        )  # fmt: skip
    return tuple(out[c.id] for c in checks)
