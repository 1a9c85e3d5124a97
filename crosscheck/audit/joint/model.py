"""Which equations tie all printed numbers of one sample's columns together? (Family 34.)

Latent quantities are few: SDs of the outcomes, an R2 per column that no other column determines, a variance factor per
term and right-hand side, and coefficients. Everything printed is computed from them:

* ``SSE_j = (1 - R2_j) SST``, adjusted R2 from R2, ``SE**2 = s2 v`` with v common to columns of one right-hand
  side;
* a column with one more regressor M, whose own regression is printed too: ``b' = b - theta phi`` for all shared terms,
  ``SSE' = SSE - phi**2 SSE_M``, ``SE_phi**2 = s2'/SSE_M``, ``SE'**2 = s2' (v + theta**2/SSE_M)``;
* pooled columns pass through the means; on one regressor, ``SSE = SST - b**2 SST_x``;
* stars bound ``b**2/SE**2``; v is bounded by the treatment's or the regressor's spread; nested SSEs are ordered, and
  what added regressors do to coefficients and variances is bounded by what they explain.

Relations that hold for classical standard errors only enter when ``classical`` is set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from crosscheck.audit.families.constant import constant_fit
from crosscheck.audit.families.descriptives import ones_of
from crosscheck.audit.families.fit import feasible_k
from crosscheck.audit.families.stars import UNKNOWN_CLUSTERS, critical, laws, printed_stars
from crosscheck.audit.interval import INF, Interval
from crosscheck.audit.joint.nested import bound_nested
from crosscheck.audit.joint.system import System
from crosscheck.audit.paper import ColumnView, Mediation, Paper
from crosscheck.audit.tokens import Token

LARGE = 1e6


@dataclass(slots=True)
class Block:
    """Builds the system of one sample.

    ``without`` are tokens whose printed digits are ignored (their natural bounds stay).
    """

    paper: Paper
    sample: str
    classical: frozenset[str]
    without: frozenset[str] = frozenset()
    system: System = field(default_factory=System)
    sst: dict[str, int] = field(default_factory=dict)
    mean: dict[str, int] = field(default_factory=dict)
    sse: dict[str, int] = field(default_factory=dict)
    r2: dict[str, int] = field(default_factory=dict)
    s2: dict[str, int] = field(default_factory=dict)
    coef: dict[tuple[str, str], int] = field(default_factory=dict)
    factor: dict[tuple[str, str], int] = field(default_factory=dict)

    def restrict(self, index: int, token: Token | None, floor: float = -INF) -> None:
        """Bound a quantity by what is printed, unless the token is to be ignored."""
        if token is None:
            return
        if token.id in self.without:
            self.system.token_of[token.id] = index
            return
        box = token.interval
        self.system.bound(index, Interval(max(box.lo, floor), box.hi), token.id)

    def build(self) -> System:
        """Write down every column of the sample."""
        columns = [c for c in self.paper.columns if c.facts.sample == self.sample and c.is_ols and c.nobs]
        triples = {m.direct.key: m for m in reversed(self.paper.mediations()) if m.direct.facts.sample == self.sample}
        later = [c for c in columns if c.key in triples]
        for column in [c for c in columns if c.key not in triples]:
            self._plain(column)
        for column in sorted(later, key=lambda c: len(c.facts.terms)):
            triple = triples[column.key]
            if triple.total.key in self.sse and triple.path.key in self.sse:
                self._direct(triple)
            else:
                self._plain(column)
        for small in columns:
            for large in columns:
                if self.paper.nested(small, large) and not self._defined(small, large, triples):
                    self.system.le(self.sse[large.key], self.sse[small.key])
                    bound_nested(self, small, large)
        return self.system

    def _defined(self, small: ColumnView, large: ColumnView, triples: dict[str, Mediation]) -> bool:
        return large.key in triples and triples[large.key].total.key == small.key

    def _sst(self, column: ColumnView) -> int:
        name = column.facts.outcome
        if name not in self.sst:
            token = self.paper.describe(name, "std_dev", self.sample)
            if token is None:
                self.sst[name] = self.system.var(f"sst {name}", 1.0, 1.0)
            else:
                sd = self.system.var(f"sd {name}", 1e-12, LARGE * max(token.interval.hi, 1.0))
                self.restrict(sd, token, 1e-12)
                self.sst[name] = self.system.aff(self.system.sq(sd), float((column.nobs or 2) - 1), 0.0, f"sst {name}")
        return self.sst[name]

    def has_scale(self, column: ColumnView) -> bool:
        """Whether the outcome's spread is known or at least free (an SD that is not printed is a free scale)."""
        return self.paper.describe(column.facts.outcome, "std_dev", self.sample) is not None

    def _coefficient(self, column: ColumnView, term: str) -> int:
        token = column.get(term, "estimate")
        assert token is not None
        reach = LARGE * max(1.0, token.interval.mag)
        index = self.system.var(f"{column.key} {term}", -reach, reach)
        self.restrict(index, token)
        self.coef[(column.key, term)] = index
        return index

    def _fit(self, column: ColumnView, sse: int, r2: int) -> None:
        s, n = self.system, column.nobs
        assert n is not None
        self.sse[column.key], self.r2[column.key] = sse, r2
        self.restrict(r2, column.r2)
        ks = set(feasible_k(column)) & set(column.k_options)
        k = column.k if column.k in ks else max(ks, default=column.k)
        if column.adj_r2 is not None and k is not None and k < n and (ks or column.k_options):
            scale = Fraction(n - 1, n - k)
            adj = s.aff(r2, float(scale), float(1 - scale), f"{column.key} adj")
            self.restrict(adj, column.adj_r2)
        if column.k is not None and column.k < n:
            self.s2[column.key] = s.aff(sse, 1.0 / (n - column.k), 0.0, f"{column.key} s2")

    def _plain(self, column: ColumnView) -> None:
        s = self.system
        sst = self._sst(column)
        for term in column.printed_terms:
            if not self._passes_means(column) or term != self.paper.facts.constant_term:
                self._coefficient(column, term)
        bivariate = self._bivariate(column)
        if bivariate is not None:
            explained = s.mul(s.sq(self.coef[(column.key, column.facts.terms[0])]), bivariate)
            r2 = s.div(explained, sst, f"{column.key} r2")
        else:
            r2 = s.var(f"{column.key} r2", 0.0, 1.0)
        self._fit(column, s.mul(s.aff(r2, -1.0, 1.0), sst, f"{column.key} sse"), r2)
        if self._passes_means(column):
            self._line(column)
        for term in column.printed_terms:
            self._standard_error(column, term, bivariate)

    def _passes_means(self, column: ColumnView) -> bool:
        p, facts = self.paper, column.facts
        if facts.fixed_effects or column.get(p.facts.constant_term, "estimate") is None:
            return False
        return p.describe(facts.outcome, "mean", self.sample) is not None and all(
            p.describe(t, "mean", self.sample) is not None and column.get(t, "estimate") is not None
            for t in facts.terms
        )

    def _mean(self, name: str) -> int:
        if name not in self.mean:
            token = self.paper.describe(name, "mean", self.sample)
            assert token is not None
            reach = LARGE * max(1.0, token.interval.mag)
            self.mean[name] = self.system.var(f"mean {name}", -reach, reach)
            ones = ones_of(self.paper, name) if name in self._binary() and token.id not in self.without else ()
            n = self.paper.describe(name, "nobs", self.sample)
            if ones and n is not None:
                self.system.bound(
                    self.mean[name], Interval(ones[0] / n.value * (1 - 1e-15), ones[-1] / n.value * (1 + 1e-15))
                )
            self.restrict(self.mean[name], token)
        return self.mean[name]

    def _binary(self) -> tuple[str, ...]:
        return self.paper.facts.descriptives.binary if self.paper.facts.descriptives else ()

    def _line(self, column: ColumnView) -> None:
        s, const = self.system, self.paper.facts.constant_term
        rest = self._mean(column.facts.outcome)
        for term in column.facts.terms:
            rest = s.sub(rest, s.mul(self.coef[(column.key, term)], self._mean(term)))
        self.coef[(column.key, const)] = rest
        self.restrict(rest, column.get(const, "estimate"))

    def _bivariate(self, column: ColumnView) -> int | None:
        """Sum of squares of the only regressor, or None."""
        facts = column.facts
        if len(facts.terms) != 1 or facts.fixed_effects or (column.key, facts.terms[0]) not in self.coef:
            return None
        sd = self.paper.describe(facts.terms[0], "std_dev", self.sample)
        if sd is None or not self.has_scale(column) or column.nobs is None:
            return None
        name = facts.terms[0]
        if name not in self.sst:
            ones = ones_of(self.paper, name) if name in self._binary() else ()
            mean = self.paper.describe(name, "mean", self.sample)
            if ones and mean is not None and mean.id not in self.without:
                values = [k * (1.0 - k / column.nobs) for k in ones]
                low, high = min(values) * (1 - 1e-12), max(values) * (1 + 1e-12)
                self.sst[name] = self.system.var(f"sst {name}", low, high)
                x = self.system.root(self.system.aff(self.sst[name], 1.0 / (column.nobs - 1.0), 0.0), f"sd {name}")
                self.restrict(x, sd)
            else:
                x = self.system.var(f"sd {name}", 1e-12, LARGE * max(1.0, sd.interval.hi))
                self.restrict(x, sd, 1e-12)
                self.sst[name] = self.system.aff(self.system.sq(x), float(column.nobs - 1), 0.0, f"sst {name}")
        return self.sst[name]

    def design(self, column: ColumnView) -> str:
        """Key of a right-hand side: columns that share it share variance factors."""
        facts = column.facts
        return f"{sorted(facts.terms)}|{sorted(facts.fixed_effects)}"

    def _factor(self, column: ColumnView, term: str, bivariate: int | None) -> int:
        """Variance factor v of ``SE**2 = s2 v``, shared by columns with the same right-hand side."""
        key = (self.design(column), term)
        if key in self.factor:
            return self.factor[key]
        s, p, n = self.system, self.paper, column.nobs or 2
        lo, hi = 1e-18, 1e18
        ssds = p.ssd(self.sample) if set(column.facts.fixed_effects) == {"unit", "time"} else ()
        treatment = p.facts.treatment.term if p.facts.treatment else None
        alone = column.facts.terms == (treatment,)
        if bivariate is not None and term == column.facts.terms[0]:
            one = s.var("one", 1.0, 1.0)
            self.factor[key] = s.div(one, bivariate)
            return self.factor[key]
        if ssds and term == treatment and not self._mean_ignored(treatment):
            lo = 1.0 / max(ssds) * (1 - 1e-12)
            hi = 1.0 / min(ssds) * (1 + 1e-12) if alone else hi
        sd = p.describe(term, "std_dev", self.sample)
        if sd is not None and sd.id not in self.without and sd.interval.hi > 0 and term in column.facts.terms:
            lo = max(lo, 1.0 / ((n - 1) * sd.interval.hi**2) * (1 - 1e-12))
        if term == p.facts.constant_term and alone and len(ssds) == 1:
            made = constant_fit(p, column)
            if made is not None and made.settled is not None and not self.without & set(made.tokens):
                value = made.shape + made.settled**2 / ssds[0]
                lo, hi = value * (1 - 1e-12), value * (1 + 1e-12)
        self.factor[key] = s.var(f"v {term} as in {column.key}", lo, hi)
        return self.factor[key]

    def _mean_ignored(self, treatment: str) -> bool:
        token = self.paper.describe(treatment, "mean", self.sample)
        return token is not None and token.id in self.without

    def _standard_error(self, column: ColumnView, term: str, bivariate: int | None) -> None:
        token = column.get(term, "std_error")
        if token is None:
            return
        s = self.system
        if column.key in self.classical and column.key in self.s2 and self.has_scale(column):
            variance = s.mul(self.s2[column.key], self._factor(column, term, bivariate))
            se = s.root(variance, f"{column.key} se {term}")
        else:
            se = s.var(f"{column.key} se {term}", 1e-15, LARGE * max(1.0, token.interval.hi))
            variance = s.sq(se)
        self.restrict(se, token)
        self._stars(column, term, variance)

    def _stars(self, column: ColumnView, term: str, variance: int) -> None:
        legend, b = self.paper.legend, self.coef.get((column.key, term))
        shown = printed_stars(self.paper, column, term)
        token = column.get(term, "stars")
        if legend is None or b is None or shown is None:
            return
        marker = token.id if token is not None else f"{column.key}:{term}:stars"
        if marker in self.without:
            return
        options = [law for law in laws(self.paper, column) if law.name != UNKNOWN_CLUSTERS or shown == 0]
        if column.key in self.classical:
            options = options[:2]
        s = self.system
        square = s.sq(b)
        if shown > 0:
            cut = min(critical(legend.levels[shown - 1], law.df, legend.tails) for law in options)
            s.le(s.aff(variance, cut * cut * (1 - 1e-12), 0.0), square)
        if shown < len(legend.levels):
            cut = max(critical(legend.levels[shown], law.df, legend.tails) for law in options)
            s.le(square, s.aff(variance, cut * cut * (1 + 1e-12), 0.0))
        self.system.token_of.setdefault(marker, square)

    def _direct(self, m: Mediation) -> None:
        """The column with the mediator, from the one without it and the mediator's own."""
        s, column = self.system, m.direct
        sst = self._sst(column)
        phi = self._coefficient(column, m.mediator)
        sse_m = self.sse[m.path.key]
        explained = s.mul(s.sq(phi), sse_m)
        scaled = self.has_scale(column) and self.has_scale(m.path)
        if scaled:
            sse = s.sub(self.sse[m.total.key], explained, f"{column.key} sse")
            r2 = s.aff(s.div(sse, sst), -1.0, 1.0, f"{column.key} r2")
            s.bound(r2, Interval(0.0, 1.0))
        else:
            r2 = s.var(f"{column.key} r2", 0.0, 1.0)
            sse = s.mul(s.aff(r2, -1.0, 1.0), sst)
        self._fit(column, sse, r2)
        for term in column.printed_terms:
            if term == m.mediator:
                continue
            a, theta = self.coef.get((m.total.key, term)), self.coef.get((m.path.key, term))
            if a is None or theta is None:
                self._coefficient(column, term)
            else:
                b = s.sub(a, s.mul(theta, phi), f"{column.key} {term}")
                self.coef[(column.key, term)] = b
                self.restrict(b, column.get(term, "estimate"))
        classical = column.key in self.classical and scaled and column.key in self.s2
        for term in column.printed_terms:
            token = column.get(term, "std_error")
            if token is None:
                continue
            theta = self.coef.get((m.path.key, term))
            if classical and term == m.mediator:
                variance = s.div(self.s2[column.key], sse_m)
            elif classical and theta is not None:
                v = self._factor(m.total, term, None)
                variance = s.mul(self.s2[column.key], s.add(v, s.div(s.sq(theta), sse_m)))
            else:
                self._standard_error(column, term, None)
                continue
            self.restrict(s.root(variance, f"{column.key} se {term}"), token)
            self._stars(column, term, variance)
