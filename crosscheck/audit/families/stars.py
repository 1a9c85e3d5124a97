"""Do the stars belong to coefficient and standard error, and under which law? (Families 2 and 3.)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from scipy import special

from crosscheck.audit.checks import Check
from crosscheck.audit.facts import Legend
from crosscheck.audit.interval import INF, Interval, show
from crosscheck.audit.paper import ColumnView, Paper
from crosscheck.audit.tokens import Token, heading

MIN_CLUSTERS = 5
UNKNOWN_CLUSTERS = f"t({MIN_CLUSTERS - 1}), were there only {MIN_CLUSTERS} clusters"


@dataclass(frozen=True, slots=True)
class Law:
    """A reference distribution of t: its name for a reader, and degrees of freedom (infinite: normal)."""

    name: str
    df: float


@lru_cache(maxsize=4096)
def critical(level: float, df: float, tails: int) -> float:
    """Critical value of |t| at a level."""
    p = 1.0 - level / tails
    return float(special.ndtri(p)) if math.isinf(df) else float(special.stdtrit(df, p))


def p_value(t: float, df: float, tails: int = 2) -> float:
    """P-value of |t|."""
    tail = float(special.ndtr(-t)) if math.isinf(df) else float(special.stdtr(df, -t))
    return min(1.0, tails * tail)


def t_range(estimate: Token, std_error: Token) -> Interval:
    """All values of |b/SE| that the two printed numbers allow."""
    b, se = abs(estimate.interval), std_error.interval
    lo = b.lo / se.hi if se.hi > 0 else 0.0
    hi = b.hi / se.lo if se.lo > 0 else INF
    return Interval(math.nextafter(lo, -INF), math.nextafter(hi, INF))


def laws(paper: Paper, column: ColumnView) -> tuple[Law, ...]:
    """Return the laws that could have made a column's stars, given what is declared about its SEs."""
    n, out = column.nobs, []
    se = column.facts.se
    if n is not None:
        ks = (column.k,) if column.k else (2, max(2, min(n - 2, n // 3)))
        out += [Law(f"t({n - k})", float(n - k)) for k in ks if k and n - k > 0]
    out.append(Law("z", INF))
    if se in ("cluster", "undeclared"):
        panel = paper.facts.panel
        sample = paper.sample(column.facts.sample)
        count = column.facts.clusters or sample.units
        if count is None and panel is not None and paper.is_full(column.facts.sample):
            count = panel.units
        if count is None and panel is not None and sample.balanced and n is not None and n % panel.periods == 0:
            count = n // panel.periods
        if count is not None and count > 1:
            out.append(Law(f"t({count - 1})", float(count - 1)))
        else:
            out.append(Law(UNKNOWN_CLUSTERS, float(MIN_CLUSTERS - 1)))
            if panel is not None:
                out.append(Law(f"t({panel.units - 1})", float(panel.units - 1)))
    return tuple(dict.fromkeys(out))


def star_count(t: float, law: Law, legend: Legend) -> int:
    """How many stars a |t| earns."""
    return sum(t >= critical(level, law.df, legend.tails) for level in legend.levels)


def printed_stars(paper: Paper, column: ColumnView, term: str) -> int | None:
    """Stars printed beside a coefficient; 0 where the table uses stars and prints none, None where it uses none."""
    token = column.get(term, "stars")
    if token is not None:
        return paper.legend.count(token.printed) if paper.legend else round(token.value)
    used = any(t.table == column.facts.table and t.quantity == "stars" for t in paper.tokens.values())
    return 0 if used else None


def cells(paper: Paper) -> list[tuple[ColumnView, str, Token, Token, int]]:
    """All coefficients with a standard error in tables that use stars."""
    out = []
    for column in paper.columns:
        for term in column.printed_terms:
            b, se = column.get(term, "estimate"), column.get(term, "std_error")
            stars = printed_stars(paper, column, term)
            if b is not None and se is not None and stars is not None:
                out.append((column, term, b, se, stars))
    return out


def stars(paper: Paper) -> tuple[Check, ...]:
    """Ask whether each cell's stars can come from its coefficient and SE (family 2).

    ``p(|b|/SE)`` over the box of printed values, under t(N-K), z and t(G-1). Assumes the declared legend and a t or
    normal reference. A cell fails only where every law fails. False positives: low; bootstrap p-values, which need
    not follow b/SE, must be declared by leaving the legend out.
    """
    legend = paper.legend
    if legend is None:
        return ()
    out = []
    for column, term, b, se, shown in cells(paper):
        t = t_range(b, se)
        options = laws(paper, column)
        possible = {
            n
            for law in options
            for n in range(star_count(t.lo, law, legend), star_count(min(t.hi, 1e300), law, legend) + 1)
        }
        ids = tuple(x.id for x in (b, se, column.get(term, "stars")) if x is not None)
        worst, best = (p_value(t.lo, options[0].df, legend.tails), p_value(t.hi, options[0].df, legend.tails))
        formula = (
            f"|{b.printed}|/{se.printed} = {show(t)}; p in [{best:.2g}, {worst:.2g}] under {options[0].name}; "
            f"{_count(possible, legend)} possible under {', '.join(law.name for law in options)}"
        )
        if len(possible) == len(legend.levels) + 1:
            verdict, words, severity = "cannot_tell", "The printed digits allow any number of stars.", "none"
        elif shown in possible:
            verdict, words, severity = (
                "consistent",
                f"{legend.mark(shown).capitalize()} fits {b.printed} ({se.printed}).",
                "none",
            )
        else:
            verdict, severity = "inconsistent", "decision"
            words = (
                f"{term} in {column.name} is printed with {_count({shown}, legend)}, but {b.printed} ({se.printed}) "
                f"earns {_count(possible, legend)} under every law."
            )
        out.append(
            Check(
                id=f"2:{column.key}:{term}", family=2, kind="inference law", tokens=ids,
                verdict=verdict,  # type: ignore[arg-type]
                formula=formula, interval=t, statement=words, strength="proof", severity=severity, rank=9,
                chance=len(possible) / (len(legend.levels) + 1),
            )
        )  # fmt: skip
    return tuple(out)


def _count(counts: set[int], legend: Legend) -> str:
    return "/".join(legend.mark(c) for c in sorted(counts))


def law_discrimination(paper: Paper) -> tuple[Check, ...]:
    """Ask which laws some cell's stars rule out (family 3).

    A law is ruled out where a printed star count is impossible under it. Says nothing where the degrees of freedom
    differ too little. Assumes one law for the whole table. False positives: low, since each exclusion is a proof for
    its cell.
    """
    legend = paper.legend
    if legend is None:
        return ()
    out = []
    for table in dict.fromkeys(c.facts.table for c in paper.columns):
        against: dict[str, list[tuple[str, str]]] = {}
        judged: dict[str, int] = {}
        ids: dict[str, list[str]] = {}
        for column, term, b, se, shown in cells(paper):
            if column.facts.table != table or column.facts.se not in ("undeclared", "cluster"):
                continue
            t = t_range(b, se)
            options = laws(paper, column)
            unknown = any(law.name == UNKNOWN_CLUSTERS for law in options)
            for law in options:
                kind = _kind(law, column)
                if law.name == UNKNOWN_CLUSTERS:
                    continue
                if kind == "t(G-1)" and law.df > 60:
                    continue
                low, high = star_count(t.lo, law, legend), star_count(min(t.hi, 1e300), law, legend)
                judged[kind] = judged.get(kind, 0) + 1
                # With an unknown number of clusters the law shown is the mildest one: only a surplus of stars excludes.
                if shown > high or (shown < low and not (unknown and kind == "t(G-1)")):
                    cut = critical(legend.levels[max(shown, 1) - 1], law.df, legend.tails)
                    against.setdefault(kind, []).append(
                        (
                            f"{term} in {column.name}",
                            f"t {show(t)} with {_count({shown}, legend)}; {law.name} needs {cut:.3f}",
                        )
                    )
                    ids.setdefault(kind, []).extend((b.id, se.id))
        rest = [k for k in judged if k not in against]
        for kind, cases in against.items():
            if not rest:
                break
            out.append(
                Check(
                    id=f"3:{table}:{kind}", family=3, kind="inference law", tokens=tuple(dict.fromkeys(ids[kind])),
                    verdict="reveals", formula="; ".join(f"{where}: {why}" for where, why in cases[:3]),
                    statement=(
                        f"The stars of {heading(table)} cannot come from {kind}: {cases[0][0]}"
                        + (f" and {len(cases) - 1} more" if len(cases) > 1 else "")
                        + (
                            ", so they were not made by clustering by unit with its own degrees of freedom."
                            if kind == "t(G-1)"
                            else "."
                        )
                    ),
                    category="undisclosed", strength="proof", severity="cosmetic", rank=6 if kind == "t(G-1)" else 1,
                )
            )  # fmt: skip
    return tuple(out)


def _kind(law: Law, column: ColumnView) -> str:
    if math.isinf(law.df):
        return "z"
    return "t(N-K)" if column.nobs is not None and column.k and law.df == column.nobs - column.k else "t(G-1)"


def printed_tests(paper: Paper) -> tuple[Check, ...]:
    """Ask whether printed t statistics and p-values follow from b and SE (family 2, where a table prints them).

    Assumes two-sided p-values under one of the laws. False positives: low.
    """
    out = []
    for column in paper.columns:
        for term in column.printed_terms:
            b, se = column.get(term, "estimate"), column.get(term, "std_error")
            stat, p = column.get(term, "statistic"), column.get(term, "p_value")
            if stat is not None and b is not None and se is not None:
                t = t_range(b, se)
                ok = abs(stat.interval).meets(t)
                out.append(_law_check(f"2:{column.key}:{term}:t", (b, se, stat), ok, t, f"|b/SE| = {show(t)}", column))
            if p is None:
                continue
            if stat is not None:
                t = abs(stat.interval)
            elif b is not None and se is not None:
                t = t_range(b, se)
            else:
                continue
            spans = [
                Interval(p_value(t.hi, law.df) - 1e-15, p_value(t.lo, law.df) + 1e-15) for law in laws(paper, column)
            ]
            hull = spans[0]
            for span in spans[1:]:
                hull = hull.hull(span)
            used = tuple(x for x in (b, se, stat, p) if x is not None)
            out.append(
                _law_check(f"2:{column.key}:{term}:p", used, p.interval.meets(hull), hull, f"p in {show(hull)}", column)
            )
    return tuple(out)


def _law_check(id: str, tokens: tuple[Token, ...], ok: bool, box: Interval, formula: str, column: ColumnView) -> Check:
    return Check(
        id=id, family=2, kind="inference law", tokens=tuple(t.id for t in tokens),
        verdict="consistent" if ok else "inconsistent", formula=formula, interval=box,
        statement=(
            "The printed test follows from coefficient and SE."
            if ok
            else f"The printed {tokens[-1].quantity.replace('_', ' ')} of {tokens[-1].term} in {column.name} does not "
            "follow from coefficient and SE."
        ),
        strength="proof", severity="none" if ok else "decision", rank=9,
    )  # fmt: skip
