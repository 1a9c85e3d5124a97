"""How do tokens and declared facts fit together into columns, samples and relations between columns?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crosscheck.audit.facts import Claims, Column, Facts, Legend, Sample
from crosscheck.audit.formulas import ssd_staggered
from crosscheck.audit.interval import Interval, integers
from crosscheck.audit.tokens import Fingerprint, Token, heading, token_id
from crosscheck.errors import PublishedError, nearest

MAX_SPLITS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """One declared column with its printed tokens.

    ``k`` counts every parameter (all dummies), ``k_options`` what other conventions would count; both are None or
    empty where a number of levels is unknown. ``nobs`` is printed or declared.
    """

    facts: Column
    tokens: Mapping[tuple[str, str], Token]
    nobs: int | None
    k: int | None
    k_options: tuple[int, ...]

    @property
    def key(self) -> str:
        """``table:column``."""
        return f"{self.facts.table}:{self.facts.id}"

    @property
    def name(self) -> str:
        """As a reader says it."""
        return f"{heading(self.facts.table)} ({self.facts.id})"

    def get(self, term: str, quantity: str) -> Token | None:
        """Return a token of the column, if printed."""
        return self.tokens.get((term, quantity))

    @property
    def r2(self) -> Token | None:
        """The overall R2."""
        return self.get("", "r2") if self.facts.r2 == "overall" else None

    @property
    def adj_r2(self) -> Token | None:
        """The adjusted R2."""
        return self.get("", "adj_r2")

    @property
    def printed_terms(self) -> tuple[str, ...]:
        """Terms with a printed estimate, in the order of the table."""
        return tuple(term for term, quantity in self.tokens if quantity == "estimate")

    @property
    def is_ols(self) -> bool:
        """Whether the algebra of unweighted least squares applies."""
        return self.facts.estimator == "ols" and not self.facts.weighted


@dataclass(frozen=True, slots=True, kw_only=True)
class Mediation:
    """Three columns: without the mediator, of the mediator, and with it."""

    total: ColumnView
    path: ColumnView
    direct: ColumnView
    mediator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A paper's printed numbers and declared facts, and what follows from them without any arithmetic."""

    tokens: Mapping[str, Token]
    mark: Fingerprint
    facts: Facts
    claims: Claims
    columns: tuple[ColumnView, ...]
    cohorts: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def legend(self) -> Legend | None:
        """The declared meaning of the stars."""
        return self.facts.legend

    def sample(self, name: str) -> Sample:
        """Return a declared sample."""
        return next(s for s in self.facts.sample if s.id == name)

    def describe(self, variable: str, quantity: str, sample: str) -> Token | None:
        """Return a descriptive statistic, if it is of the given sample."""
        facts = self.facts.descriptives
        if facts is None or facts.sample != sample:
            return None
        return self.tokens.get(token_id(facts.table, facts.column, variable, quantity))

    def ssd(self, sample: str) -> tuple[float, ...]:
        """All values that the treatment's sum of squares can have in the full balanced panel (empty: not known)."""
        panel = self.facts.panel
        if panel is None or not panel.balanced or not self.is_full(sample):
            return ()
        return tuple(ssd_staggered(panel.units, panel.periods, c) for c in self.cohorts)

    def is_full(self, name: str) -> bool:
        """Whether a sample has all rows of the declared panel."""
        sample = self.sample(name)
        if sample.rows is not None:
            return self.is_full(sample.rows)
        return sample.within is None and sample.kind == "plain"

    def mediations(self) -> tuple[Mediation, ...]:
        """Find all triples of columns that the mediation algebra ties together."""
        out = []
        for direct in self.columns:
            for total in self.columns:
                extra = set(direct.facts.terms) - set(total.facts.terms)
                if not self.nested(total, direct) or len(extra) != 1:
                    continue
                if total.facts.fixed_effects != direct.facts.fixed_effects:
                    continue
                (mediator,) = extra
                for path in self.columns:
                    if path.facts.outcome == mediator and same_design(path, total):
                        out.append(Mediation(total=total, path=path, direct=direct, mediator=mediator))
        return tuple(out)

    def nested(self, small: ColumnView, large: ColumnView) -> bool:
        """Whether ``large`` adds regressors or effects to ``small`` and changes nothing else."""
        a, b = small.facts, large.facts
        return (
            small.is_ols
            and large.is_ols
            and a.outcome == b.outcome
            and a.sample == b.sample
            and set(a.terms) <= set(b.terms)
            and set(a.fixed_effects) <= set(b.fixed_effects)
            and (set(a.terms), set(a.fixed_effects)) != (set(b.terms), set(b.fixed_effects))
        )


def same_design(a: ColumnView, b: ColumnView) -> bool:
    """Whether two columns have the same right-hand side on the same rows."""
    x, y = a.facts, b.facts
    return (
        a.is_ols
        and b.is_ols
        and x.sample == y.sample
        and set(x.terms) == set(y.terms)
        and set(x.fixed_effects) == set(y.fixed_effects)
    )


def build(tokens: Mapping[str, Token], mark: Fingerprint, facts: Facts, claims: Claims) -> Paper:
    """Join tokens and facts.

    Raises
    ------
    PublishedError
        Where a declared column has no printed number, or a claim names a token that does not exist.
    """
    views = []
    for column in facts.column:
        mine = {(t.term, t.quantity): t for t in tokens.values() if t.table == column.table and t.column == column.id}
        if not mine:
            raise PublishedError(
                f"column {column.id!r} of {column.table!r} is declared but has no printed number",
                where="audit.toml: column",
                hint=nearest(f"{column.table}:{column.id}", {f"{t.table}:{t.column}" for t in tokens.values()}),
            )
        views.append(_view(column, mine, facts))
    for claim in claims.claim:
        for token in claim.tokens:
            if token not in tokens:
                raise PublishedError(
                    f"claim {claim.id!r} names a token that is not printed: {token!r}",
                    where="claims.toml",
                    hint=nearest(token, tokens),
                )
    declared = {c.table for c in facts.column}
    for star in tokens.values():
        if star.quantity != "stars" or facts.legend is None or (declared and star.table not in declared):
            continue
        if facts.legend.count(star.printed) is None:
            raise PublishedError(
                f"{star.place} is {star.printed!r}, which the legend does not explain",
                where="audit.toml: legend",
                allowed=" ".join(facts.legend.mark(i + 1) for i in range(len(facts.legend.levels))),
            )
    draft = Paper(tokens=tokens, mark=mark, facts=facts, claims=claims, columns=tuple(views), cohorts=())
    return Paper(
        tokens=tokens, mark=mark, facts=facts, claims=claims, columns=tuple(views), cohorts=treated_cohorts(draft)
    )


def _view(column: Column, mine: Mapping[tuple[str, str], Token], facts: Facts) -> ColumnView:
    sample = next(s for s in facts.sample if s.id == column.sample)
    printed = mine.get(("", "nobs"))
    nobs = round(printed.value) if printed else sample.nobs
    slopes = len(column.terms)
    extra: list[int | None] = [effect_levels(column, name, sample, facts, nobs) for name in column.fixed_effects]
    base = slopes + (0 if column.constant == "none" and not extra else 1)
    k: int | None = None
    options: set[int] = set()
    if all(x is not None for x in extra):
        sizes = [x - 1 for x in extra if x is not None]
        k = base + sum(sizes)
        for mask in range(2 ** len(sizes)):
            options.add(base + sum(s for i, s in enumerate(sizes) if mask >> i & 1))
    return ColumnView(facts=column, tokens=mine, nobs=nobs, k=k, k_options=tuple(sorted(options)))


def effect_levels(column: Column, name: str, sample: Sample, facts: Facts, nobs: int | None) -> int | None:
    """Return the number of levels of a fixed effect, where the facts give it."""
    if name in column.levels:
        return column.levels[name]
    source = sample
    while source.rows is not None:
        source = next(s for s in facts.sample if s.id == source.rows)
    full = source.within is None and source.kind == "plain"
    if name == "unit":
        if source.units is not None or facts.panel is None:
            return source.units
        if full:
            return facts.panel.units
        exact = source.balanced and nobs is not None and nobs % facts.panel.periods == 0
        return nobs // facts.panel.periods if exact and nobs is not None else None
    if name == "time":
        return source.periods or (facts.panel.periods if facts.panel and (full or source.balanced) else None)
    return None


def treated_cohorts(paper: Paper) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Enumerate all numbers of treated units per cohort that the printed mean of the treatment allows (family 9).

    Each option is a tuple of (treated units, post periods) per declared start. Empty where the panel, the dates or the
    mean are missing. Start dates of which no unit is treated in the sample are allowed.
    """
    panel, treatment, desc = paper.facts.panel, paper.facts.treatment, paper.facts.descriptives
    if panel is None or treatment is None or not panel.balanced:
        return ()
    posts = tuple(panel.last - start + 1 for start in treatment.starts if panel.first < start <= panel.last)
    if len(posts) != len(treatment.starts) or not posts:
        return ()
    mean = paper.describe(treatment.term, "mean", desc.sample) if desc else None
    if mean is None:
        if treatment.treated is not None and len(posts) == 1:
            return (((treatment.treated, posts[0]),),)
        return ()
    n = panel.units * panel.periods
    counts = integers(Interval(mean.interval.lo * n, mean.interval.hi * n), 0, n)
    out: list[tuple[tuple[int, int], ...]] = []
    for count in counts:
        out += [tuple(zip(split, posts, strict=True)) for split in _splits(count, posts, panel.units)]
        if len(out) > MAX_SPLITS:
            return ()
    if treatment.treated is not None:
        out = [c for c in out if sum(g for g, _ in c) == treatment.treated]
    return tuple(out)


def _splits(total: int, posts: tuple[int, ...], units: int) -> list[tuple[int, ...]]:
    if len(posts) == 1:
        g, rest = divmod(total, posts[0])
        return [(g,)] if rest == 0 and g < units else []
    out = []
    for g in range(min(units, total // posts[0]) + 1):
        out += [(g, *tail) for tail in _splits(total - g * posts[0], posts[1:], units - g)]
    return out


def treated_total(paper: Paper) -> int | None:
    """Return the number of treated units, where the printed mean of the treatment settles it."""
    totals = {sum(g for g, _ in option) for option in paper.cohorts}
    return totals.pop() if len(totals) == 1 else None
