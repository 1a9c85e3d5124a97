"""What do R2, adjusted R2 and N prove, within a column and between nested columns? (Families 4, 17, 19, 21, 23.)"""

from __future__ import annotations

from scipy import special

from crosscheck.audit.checks import Check, compare
from crosscheck.audit.formulas import (
    adjusted_r2,
    f_statistic,
    implied_vif,
    increment_t_squared,
    k_from_r2,
    omitted_shift_bound,
    residual_ss,
    residual_variance,
)
from crosscheck.audit.interval import Interval, integers, root, show, square
from crosscheck.audit.paper import ColumnView, Paper
from crosscheck.audit.tokens import heading


def feasible_k(column: ColumnView) -> tuple[int, ...]:
    """Return all numbers of parameters that R2, adjusted R2 and N allow."""
    r2, adj, n = column.r2, column.adj_r2, column.nobs
    if r2 is None or adj is None or n is None:
        return ()
    if adj.interval.hi >= 1.0:
        return tuple(range(1, n))
    rough = k_from_r2(r2.interval, adj.interval, n)
    return tuple(k for k in integers(rough, 1, n - 1) if adjusted_r2(r2.interval, n, k).meets(adj.interval))


def adj_r2_k(paper: Paper) -> tuple[Check, ...]:
    """Ask how many parameters adjusted R2 reveals, and whether the declared regression has them (family 4).

    Source: definition of adjusted R2. Assumes both R2s are overall and unweighted. Conventions that do not count
    absorbed effects are all allowed; anything else is inconsistent only where the facts determine the count. False
    positives: medium where a regressor was dropped as collinear.
    """
    out = []
    for column in paper.columns:
        r2, adj, n = column.r2, column.adj_r2, column.nobs
        if r2 is None or adj is None or n is None or not column.is_ols:
            continue
        ks = feasible_k(column)
        ids = tuple(t.id for t in (r2, adj, column.get("", "nobs")) if t is not None)
        rough = k_from_r2(r2.interval, adj.interval, n)
        formula = f"K = {n} - {n - 1}(1 - {r2.printed})/(1 - {adj.printed}) = {show(rough)}: {_span(ks)}"
        base = Check(
            id=f"4:{column.key}", family=4, kind="exact identity", tokens=ids, verdict="cannot_tell", formula=formula,
            interval=rough, statement="", severity="none", rank=7,
        )  # fmt: skip
        shared = [k for k in ks if k in column.k_options]
        if not ks:
            words = (
                f"No number of parameters turns R2 {r2.printed} into adjusted R2 {adj.printed} with N = {n} in "
                f"{column.name}."
            )
            out.append(base.but(verdict="inconsistent", strength="proof", severity="printed", statement=words))
        elif column.k_options and shared:
            words = f"Adjusted R2 counts {shared[-1]} parameters, as declared"
            words += ", every dummy included." if column.k in ks else ", absorbed effects not included."
            out.append(base.but(verdict="consistent", strength="proof", statement=words))
        elif column.k_options:
            words = (
                f"R2, adjusted R2 and N of {column.name} need {_span(ks)} parameters, but the declared regression has "
                f"{column.k} (or {list(column.k_options)[:-1]} without its effects)."
            )
            out.append(base.but(verdict="inconsistent", severity="printed", statement=words))
        else:
            out.append(_unknown_levels(paper, column, ks, base))
    return tuple(out)


def _span(ks: tuple[int, ...]) -> str:
    if not ks:
        return "none"
    return str(ks[0]) if len(ks) == 1 else f"{ks[0]}..{ks[-1]}"


def _unknown_levels(paper: Paper, column: ColumnView, ks: tuple[int, ...], base: Check) -> Check:
    panel = paper.facts.panel
    known = 1 + len(column.facts.terms)
    if panel is not None and set(column.facts.fixed_effects) == {"unit", "time"}:
        known += panel.periods - 1
        units = [k - known + 1 for k in ks if 1 <= k - known + 1 <= panel.units]
        if units and len(units) < panel.units:
            span = f"{units[0]}" if len(units) == 1 else f"{units[0]} to {units[-1]}"
            lost = f"at least {panel.units - units[-1]}" if units[-1] < panel.units else "possibly none"
            words = (
                f"{column.name}: adjusted R2 leaves {span} of {panel.units} units in the sample (K = {_span(ks)}, all "
                f"{panel.periods} periods kept); {lost} units were lost, which the text does not say."
            )
            return base.but(verdict="reveals", severity="cosmetic", category="undisclosed", rank=5.0, statement=words)
        if not units:
            words = f"No number of units up to {panel.units} explains adjusted R2 in {column.name}."
            return base.but(verdict="inconsistent", severity="printed", statement=words)
    return base.but(
        statement=f"Adjusted R2 counts {_span(ks)} parameters; the declared facts do not say how many there are."
    )


def increments(paper: Paper) -> tuple[Check, ...]:
    """Ask whether one added regressor raises R2 by what its t says (family 17).

    Identity of least squares: ``t**2 = (R2_1 - R2_0)(n - k)/(1 - R2_1)`` for a classical SE, same rows. False
    positives: low; the interval is wide where the increment is near rounding. Assumes the same rows, unweighted
    least squares, one regressor more and a classical SE.
    """
    out = []
    for large in paper.columns:
        for small in paper.columns:
            if not paper.nested(small, large) or small.facts.fixed_effects != large.facts.fixed_effects:
                continue
            extra = set(large.facts.terms) - set(small.facts.terms)
            if len(extra) != 1 or small.r2 is None or large.r2 is None or large.k is None or large.nobs is None:
                continue
            (term,) = extra
            b, se = large.get(term, "estimate"), large.get(term, "std_error")
            if b is None or se is None:
                continue
            implied = increment_t_squared(small.r2.interval, large.r2.interval, large.nobs, large.k)
            implied = Interval(max(0.0, implied.lo), implied.hi)
            t2 = square(b.interval / se.interval)
            out.append(
                compare(
                    id=f"17:{large.key}:{term}", family=17, kind="exact identity",
                    tokens=(small.r2.id, large.r2.id, b.id, se.id), printed=t2, implied=implied,
                    formula=f"({large.r2.printed} - {small.r2.printed}) x {large.nobs - large.k}/(1 - "
                    f"{large.r2.printed}) = {show(implied)} against t2 {show(t2)}",
                    good=f"The rise of R2 from {small.name} to {large.name} is the squared t of {term}.",
                    bad=f"R2 rises from {small.name} to {large.name} by another amount than the t of {term} says.",
                    assumes="iid", scale=0.3,
                )
            )  # fmt: skip
    return tuple(out)


def nested_r2(paper: Paper) -> tuple[Check, ...]:
    """Ask whether R2 rises with every regressor, and what F the added block has (family 19).

    Holds for least squares on the same rows. False positives: low where rows are equal, as declared. Assumes the
    same rows, as declared.
    """
    out = []
    for large in paper.columns:
        for small in paper.columns:
            if not paper.nested(small, large) or small.r2 is None or large.r2 is None:
                continue
            a, b = small.r2, large.r2
            bad = a.interval.lo > b.interval.hi
            formula = f"R2 {a.printed} <= {b.printed}"
            if small.k and large.k and large.nobs and not bad and large.k > small.k:
                f = f_statistic(a.interval, b.interval, large.nobs, small.k, large.k)
                p = float(special.fdtrc(large.k - small.k, large.nobs - large.k, max(0.0, f.lo)))
                formula += f"; F({large.k - small.k}, {large.nobs - large.k}) = {show(f)}, p <= {p:.2g}"
            out.append(
                Check(
                    id=f"19:{small.key}<{large.key}", family=19, kind="bound", tokens=(a.id, b.id),
                    verdict="inconsistent" if bad else "consistent", formula=formula, interval=b.interval,
                    statement=(
                        f"R2 falls from {small.name} to {large.name} although regressors were added: the rows differ "
                        "or a number is wrong."
                        if bad
                        else f"R2 does not fall from {small.name} to {large.name}."
                    ),
                    strength="proof", severity="structural" if bad else "none", rank=8,
                )
            )  # fmt: skip
    return tuple(out)


def omitted_bound(paper: Paper) -> tuple[Check, ...]:
    """Ask whether the treatment's coefficient can move as far as it does when controls are added (family 21).

    Cauchy-Schwarz: ``(b_s - b_l)**2 <= (SSE_s - SSE_l)/SSD (VIF - 1)``. Assumes the same rows and effects, and takes
    the VIF from the classical SE. A bound: no false positives where the SE is classical.
    """
    out: list[Check] = []
    treatment = paper.facts.treatment
    if treatment is None:
        return ()
    term = treatment.term
    for large in paper.columns:
        for small in paper.columns:
            if not paper.nested(small, large) or small.facts.fixed_effects != large.facts.fixed_effects:
                continue
            n, k = large.nobs, large.k
            sd = paper.describe(large.facts.outcome, "std_dev", large.facts.sample)
            b0, b1, se = small.get(term, "estimate"), large.get(term, "estimate"), large.get(term, "std_error")
            ssds = paper.ssd(large.facts.sample) if set(large.facts.fixed_effects) == {"unit", "time"} else ()
            if not (n and k and sd and b0 and b1 and se and small.r2 and large.r2) or len(ssds) != 1:
                continue
            ssd = Interval(ssds[0], ssds[0])
            vif = implied_vif(se.interval, residual_variance(large.r2.interval, sd.interval, n, k), ssd)
            vif = Interval(max(1.0, vif.lo), max(1.0, vif.hi))
            drop = residual_ss(small.r2.interval, sd.interval, n) - residual_ss(large.r2.interval, sd.interval, n)
            reach = root(
                omitted_shift_bound(Interval(max(drop.lo, 0.0), max(drop.hi, 0.0)), Interval(0.0, 0.0), ssd, vif)
            )
            moved = abs(b0.interval - b1.interval)
            bad = moved.lo > reach.hi
            out.append(
                Check(
                    id=f"21:{small.key}<{large.key}", family=21, kind="bound",
                    tokens=(b0.id, b1.id, se.id, small.r2.id, large.r2.id, sd.id),
                    verdict="inconsistent" if bad else "consistent",
                    formula=f"|{b0.printed} - {b1.printed}| = {show(moved)} <= {show(reach)} (VIF {show(vif)})",
                    interval=Interval(0.0, reach.hi), assumes="iid", strength="proof",
                    statement=(
                        f"The coefficient of {term} moves farther between {small.name} and {large.name} than the "
                        "controls can move it."
                        if bad
                        else f"The controls can move {term} from {b0.printed} to {b1.printed}."
                    ),
                    severity="printed" if bad else "none", rank=6,
                )
            )  # fmt: skip
    return tuple(out)


def subsamples(paper: Paper) -> tuple[Check, ...]:
    """Ask whether disjoint subsamples add up to the sample they divide (family 23).

    Counting rows; assumes the declared partition. No false positives for N.
    """
    out = []
    panel = paper.facts.panel
    groups = sorted({s.group for s in paper.facts.sample if s.group})
    for group in groups:
        parts = [c for c in paper.columns if paper.sample(c.facts.sample).group == group and c.nobs]
        tables = sorted({(c.facts.table, c.facts.outcome) for c in parts})
        for table, outcome in tables:
            mine = [c for c in parts if (c.facts.table, c.facts.outcome) == (table, outcome)]
            wholes = {paper.sample(c.facts.sample).within for c in mine}
            if len(wholes) != 1 or None in wholes or len({c.facts.sample for c in mine}) != len(mine):
                continue
            (whole,) = wholes
            full = next((c.nobs for c in paper.columns if c.facts.sample == whole and c.nobs), None)
            if full is None:
                continue
            sizes = [c.nobs or 0 for c in mine]
            total = sum(sizes)
            tokens = tuple(t.id for c in mine for t in (c.get("", "nobs"),) if t is not None)
            formula = " + ".join(map(str, sizes)) + f" = {total} against {full}"
            if total == full:
                verdict, words = "consistent", "The subsamples add up to the whole."
            elif total > full:
                verdict, words = (
                    "inconsistent",
                    f"The subsamples of {heading(table)} have more rows ({total}) than the whole ({full}).",
                )
            else:
                missing = full - total
                words = f"{missing} rows of the sample are in none of the groups of {heading(table)}"
                if panel is not None and panel.balanced and missing % panel.periods == 0:
                    words += f": {missing // panel.periods} units were left out without being named"
                verdict, words = "reveals", words + "."
            out.append(
                Check(
                    id=f"23:{table}", family=23, kind="exact identity", tokens=tokens,
                    verdict=verdict,  # type: ignore[arg-type]
                    formula=formula, interval=Interval(float(total), float(total)), statement=words,
                    category="arithmetic" if verdict == "inconsistent" else "undisclosed", strength="proof",
                    severity={"consistent": "none", "reveals": "decision"}.get(verdict, "structural"), rank=8,
                )
            )  # fmt: skip
    return tuple(out)
