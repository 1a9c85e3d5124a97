"""What does a constant prove about how it was made, and do coefficients pass through the means? (5, 11, 20, 22.)"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from crosscheck.audit.checks import Check, compare
from crosscheck.audit.families.descriptives import ones_of
from crosscheck.audit.families.variance import s2_of
from crosscheck.audit.formulas import (
    bivariate_slope,
    bivariate_t_squared,
    dummy_constant_variance,
    two_group_constant_se,
    two_group_se,
)
from crosscheck.audit.interval import Interval, as_interval, root, show, square
from crosscheck.audit.paper import ColumnView, Paper


def bivariate(paper: Paper) -> tuple[Check, ...]:
    """Ask whether a regression on one variable follows from the descriptives (family 5).

    ``t2 = R2 (N-2)/(1-R2)`` and the two-group SEs for classical SEs; ``|b| = sqrt(R2) sd_y/sd_x`` and
    ``const = ybar - b xbar`` for any. Assumes descriptives of the same sample. False positives: low under this.
    """
    out: list[Check] = []
    for column in paper.columns:
        facts = column.facts
        if len(facts.terms) != 1 or facts.fixed_effects or not column.is_ols or column.nobs is None:
            continue
        (term,) = facts.terms
        b, se, r2, n = column.get(term, "estimate"), column.get(term, "std_error"), column.r2, column.nobs
        sd_y = paper.describe(facts.outcome, "std_dev", facts.sample)
        sd_x = paper.describe(term, "std_dev", facts.sample)
        if b and se and r2:
            t2, implied = square(b.interval / se.interval), bivariate_t_squared(r2.interval, n)
            out.append(
                compare(
                    id=f"5:{column.key}:t2", family=5, kind="exact identity", tokens=(b.id, se.id, r2.id), printed=t2,
                    implied=implied, formula=f"t2 {show(t2)} against {r2.printed} x {n - 2}/(1 - {r2.printed}) = "
                    f"{show(implied)}", good=f"R2 and t of {column.name} agree.",
                    bad=f"R2 and t of {column.name} do not belong together.", assumes="iid", scale=0.3,
                )
            )  # fmt: skip
        if b and r2 and sd_y and sd_x:
            slope = bivariate_slope(r2.interval, sd_y.interval, sd_x.interval)
            out.append(
                compare(
                    id=f"5:{column.key}:slope", family=5, kind="exact identity",
                    tokens=(b.id, r2.id, sd_y.id, sd_x.id), printed=abs(b.interval), implied=slope,
                    formula=f"sqrt({r2.printed}) x {sd_y.printed}/{sd_x.printed} = {show(slope)}",
                    good=f"The slope of {column.name} follows from R2 and the SDs of the descriptive table.",
                    bad=f"The slope of {column.name} does not follow from R2 and SDs: other rows or a wrong number.",
                    rank=6,
                )
            )  # fmt: skip
        ones = ones_of(paper, term) if sd_x else ()
        if sd_y and r2 and se and ones:
            constant = column.get(paper.facts.constant_term, "std_error")
            box = _hull([two_group_se(r2.interval, sd_y.interval, n, k) for k in ones])
            out.append(
                compare(
                    id=f"5:{column.key}:se", family=5, kind="exact identity", tokens=(se.id, r2.id, sd_y.id),
                    printed=se.interval, implied=box, formula=f"s sqrt(1/{ones[0]} + 1/{n - ones[0]}) = {show(box)}",
                    good=f"The SE of {term} in {column.name} is the classical one.",
                    bad=f"The SE of {term} in {column.name} is not the classical one.", assumes="iid",
                )
            )  # fmt: skip
            if constant:
                box = _hull([two_group_constant_se(r2.interval, sd_y.interval, n, k) for k in ones])
                out.append(
                    compare(
                        id=f"5:{column.key}:const_se", family=5, kind="exact identity",
                        tokens=(constant.id, r2.id, sd_y.id), printed=constant.interval, implied=box,
                        formula=f"s/sqrt({n - ones[0]}) = {show(box)}",
                        good=f"The SE of the constant in {column.name} is the classical one.",
                        bad=f"The SE of the constant in {column.name} is not the classical one.", assumes="iid",
                    )
                )  # fmt: skip
    return tuple(out)


def _hull(boxes: list[Interval]) -> Interval:
    out = boxes[0]
    for box in boxes[1:]:
        out = out.hull(box)
    return out


def through_means(paper: Paper) -> tuple[Check, ...]:
    """Ask whether a pooled regression passes through the means (family 20).

    ``ybar = const + sum b xbar``. Assumes no absorbed effects and descriptives of the same sample. Where a coefficient
    is printed as zero the line bounds it instead. False positives: low.
    """
    out: list[Check] = []
    for column in paper.columns:
        facts = column.facts
        if facts.fixed_effects or not column.is_ols:
            continue
        const = column.get(paper.facts.constant_term, "estimate")
        ybar = paper.describe(facts.outcome, "mean", facts.sample)
        pairs = [(column.get(t, "estimate"), paper.describe(t, "mean", facts.sample)) for t in facts.terms]
        if const is None or ybar is None or any(b is None or m is None for b, m in pairs):
            continue
        total = const.interval
        ids = [const.id, ybar.id]
        for b, m in pairs:
            if b is None or m is None:
                continue
            total = total + b.interval * m.interval
            ids += [b.id, m.id]
        check = compare(
            id=f"20:{column.key}", family=20, kind="exact identity", tokens=ids, printed=ybar.interval, implied=total,
            formula=f"{const.printed} + sum of b x mean = {show(total)} against {ybar.printed}",
            good=f"{column.name} passes through the means of the descriptive table.",
            bad=f"{column.name} does not pass through the means: other rows, or a wrong number.", rank=6,
        )  # fmt: skip
        if check.verdict == "consistent" and total.width > 0.5 * ybar.interval.mag:
            check = check.but(verdict="cannot_tell", statement="Coefficients printed as zero leave the line open.")
        out.append(check)
    return tuple(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantFit:
    """How a two-way column's constant can have been made.

    ``cells`` are (words, distance, SE interval, fits) for every base cell, ``absorbed`` the value that averaged effects
    would give, ``shape`` the part of the variance in units of s2 that no base cell changes.
    """

    cells: tuple[tuple[str, float, Interval, bool], ...]
    absorbed: Interval
    is_absorbed: bool
    shape: float
    tokens: tuple[str, ...]

    @property
    def fits(self) -> tuple[tuple[str, float, Interval, bool], ...]:
        """The base cells that give the printed SE."""
        return tuple(cell for cell in self.cells if cell[3])

    @property
    def settled(self) -> float | None:
        """Distance ``D_i. + D_.t - D_..`` of the base cell, where exactly one fits and absorbing does not."""
        return self.fits[0][1] if len(self.fits) == 1 and not self.is_absorbed else None


def constant_fit(paper: Paper, column: ColumnView) -> ConstantFit | None:
    """Compare a two-way column's constant with every way of making it; None where numbers or facts are missing."""
    panel, treatment, facts = paper.facts.panel, paper.facts.treatment, column.facts
    if panel is None or treatment is None or len(paper.cohorts) != 1 or not paper.is_full(facts.sample):
        return None
    if set(facts.fixed_effects) != {"unit", "time"} or facts.terms != (treatment.term,):
        return None
    const, const_se = (column.get(paper.facts.constant_term, q) for q in ("estimate", "std_error"))
    b, se = (column.get(treatment.term, q) for q in ("estimate", "std_error"))
    ybar = paper.describe(facts.outcome, "mean", facts.sample)
    share = paper.describe(treatment.term, "mean", facts.sample)
    s2 = s2_of(paper, column)
    if not (const and const_se and b and se and ybar and share and s2):
        return None
    absorbed = ybar.interval - b.interval * share.interval
    cohorts, units, periods = paper.cohorts[0], panel.units, panel.periods
    mean = sum(g * p for g, p in cohorts) / (units * periods)
    treated = sum(g for g, _ in cohorts)
    bases = [("a never-treated unit", 0.0)] if treated < units else []
    bases += [(f"a unit treated from {panel.last - p + 1} on", p / periods) for g, p in cohorts if g]
    dates = [("a period before treatment", 0.0)] + [
        (f"a period from {panel.last - p + 1} on", sum(g for g, q in cohorts if q >= p) / units) for _, p in cohorts
    ]
    cells = []
    for (unit, d_unit), (when, d_time) in product(bases, dates):
        box = root(dummy_constant_variance(s2[0], se.interval, units, periods, d_unit, d_time, mean))
        cells.append((f"{unit}, {when}", d_unit + d_time - mean, box, box.meets(const_se.interval)))
    ids = (const.id, const_se.id, b.id, se.id, ybar.id, share.id, *(t.id for t in s2[1]))
    return ConstantFit(
        cells=tuple(cells), absorbed=absorbed, is_absorbed=absorbed.meets(const.interval),
        shape=1.0 / periods + 1.0 / units - 1.0 / (units * periods), tokens=ids,
    )  # fmt: skip


def dummy_constant(paper: Paper) -> tuple[Check, ...]:
    """Ask how the constant of a two-way column without controls was made (family 11).

    With unit and time dummies, ``SE(const)**2 = s2 (1/T + 1/P - 1/PT) + SE_b**2 (D_i. + D_.t - D..)**2`` for the base
    unit and period; absorbed effects instead give ``const = ybar - b Dbar``. Assumes a balanced panel and a classical
    SE. False positives: medium, since a user may choose any base; every base cell is tried.
    """
    out: list[Check] = []
    for column in paper.columns:
        fit = constant_fit(paper, column)
        if fit is None:
            continue
        const, const_se = (column.get(paper.facts.constant_term, q) for q in ("estimate", "std_error"))
        if const is None or const_se is None:
            continue
        formula = (
            f"absorbed: ybar - b Dbar = {show(fit.absorbed)} against {const.printed}; dummies: SE in "
            + ", ".join(f"{show(box)} ({words})" for words, _, box, _ in fit.cells)
        )
        formula += f" against {const_se.printed}"
        if fit.settled is not None:
            verdict, severity, words = (
                "reveals",
                "cosmetic",
                (
                    f"The constant of {column.name} is the fitted level of one base cell, not an average: effects were "
                    f"entered as dummies, and the base is {fit.fits[0][0]}."
                ),
            )
        elif fit.is_absorbed and not fit.fits:
            verdict, severity = "reveals", "cosmetic"
            words = f"The constant of {column.name} is the mean of absorbed effects."
        elif not fit.fits and not fit.is_absorbed:
            verdict, severity = "inconsistent", "printed"
            words = f"No way of making the constant of {column.name} gives its value and SE."
        else:
            verdict, severity = "cannot_tell", "none"
            words = f"Several ways of making the constant of {column.name} fit."
        out.append(
            Check(
                id=f"11:{column.key}", family=11, kind="exact identity", tokens=fit.tokens,
                verdict=verdict,  # type: ignore[arg-type]
                formula=formula, interval=fit.cells[-1][2], statement=words, assumes="iid", severity=severity,
                category="arithmetic" if verdict == "inconsistent" else "undisclosed", rank=3,
            )
        )  # fmt: skip
    return tuple(out)


def cell_means(paper: Paper) -> tuple[Check, ...]:
    """Ask which four cell means (treated or not, before or after) the columns without controls allow (family 22).

    With one cohort in a balanced panel: the bivariate column gives the mean of treated rows and of all others, the
    two-way column the difference in differences. One free number remains; minimum and maximum of the outcome bound
    it. Assumes the same rows. False positives: none.
    """
    treatment, panel = paper.facts.treatment, paper.facts.panel
    if treatment is None or panel is None or len(paper.cohorts) != 1 or len(treatment.starts) != 1:
        return ()
    ((g, post),) = paper.cohorts[0]
    first = [c for c in paper.columns if c.facts.terms == (treatment.term,) and not c.facts.fixed_effects]
    second = [c for c in paper.columns if c.facts.terms == (treatment.term,) and len(c.facts.fixed_effects) == 2]
    out: list[Check] = []
    for one, two in product(first, second):
        if one.facts.outcome != two.facts.outcome or not paper.is_full(one.facts.sample) or not two.is_ols:
            continue
        const, b1 = one.get(paper.facts.constant_term, "estimate"), one.get(treatment.term, "estimate")
        b2 = two.get(treatment.term, "estimate")
        low = paper.describe(one.facts.outcome, "min", one.facts.sample)
        high = paper.describe(one.facts.outcome, "max", one.facts.sample)
        if not (const and b1 and b2 and low and high):
            continue
        control, pre = panel.units - g, panel.periods - post
        after = const.interval + b1.interval
        w_pre, w_post, w_treated = control * pre, control * post, g * pre
        everyone = const.interval * float(w_pre + w_post + w_treated)
        span = Interval(low.interval.lo, high.interval.hi)
        total = float(w_pre + w_post + w_treated)
        # With a = control before and b = control after: treated before = after - did - (b - a).
        did = b2.interval
        base = (everyone - (after - did) * float(w_treated)) / total
        a_minus = Interval((w_post - w_treated) / total, (w_post - w_treated) / total)
        # a = base - (w_post - w_treated)/total * (b - a): scan the rise of the controls over what the range allows.
        rise_max = span.hi - span.lo
        fits = []
        for i in range(-400, 401):
            piece = Interval(rise_max * i / 400, rise_max * (i + 1) / 400)
            a = base - a_minus * piece
            b = a + piece
            c = after - did - piece
            if all(x.meets(span) for x in (a, b, c)) and after.meets(span):
                fits.append(piece)
        box = Interval(fits[0].lo, fits[-1].hi) if fits else None
        out.append(
            Check(
                id=f"22:{one.key}+{two.key}", family=22, kind="bound",
                tokens=(const.id, b1.id, b2.id, low.id, high.id), verdict="consistent" if fits else "inconsistent",
                formula=f"treated after {show(after)}; rise of the controls {show(box) if box else 'none'} keeps all "
                f"four means in {show(span)}", interval=box or as_interval(0.0),
                statement=(
                    "Four cell means exist that give both columns."
                    if fits
                    else f"No four cell means within the printed range give both {one.name} and {two.name}."
                ),
                strength="proof", severity="none" if fits else "printed", rank=5,
            )
        )  # fmt: skip
    return tuple(out)
