"""What do standard errors prove, given R2 and the spread of the variables? (Families 10, 12, 13, 14, 26, 38.)

All identities here hold for classical (iid) standard errors; :mod:`crosscheck.audit.families.setype` decides from all
of them together whether a paper's are.
"""

from __future__ import annotations

from itertools import combinations

from crosscheck.audit.checks import Check, compare
from crosscheck.audit.formulas import implied_vif, residual_variance, slope_se, ssd_block
from crosscheck.audit.interval import Interval, relative_width, root, show, square
from crosscheck.audit.paper import ColumnView, Paper, same_design
from crosscheck.audit.tokens import Token


def s2_of(paper: Paper, column: ColumnView) -> tuple[Interval, tuple[Token, ...]] | None:
    """Return the residual variance of a column and the tokens it came from, where they are printed."""
    sd = paper.describe(column.facts.outcome, "std_dev", column.facts.sample)
    if sd is None or column.r2 is None or column.nobs is None or column.k is None or not column.is_ols:
        return None
    if column.nobs <= column.k:
        return None
    return residual_variance(column.r2.interval, sd.interval, column.nobs, column.k), (column.r2, sd)


def shared_terms(paper: Paper, column: ColumnView) -> tuple[str, ...]:
    """Printed terms of a column, the constant included, that have an SE."""
    return tuple(t for t in column.printed_terms if column.get(t, "std_error") is not None)


def twfe_se(paper: Paper) -> tuple[Check, ...]:
    """Ask whether the SE of a two-way fixed-effects DiD follows from R2, SD and the design (family 10).

    ``SE = sqrt(s2/SSD)`` without controls, at least that with them. Assumes a balanced panel, a classical SE and
    descriptives of the same sample. False positives: low under these.
    """
    treatment, out = paper.facts.treatment, []
    if treatment is None:
        return ()
    for column in paper.columns:
        if set(column.facts.fixed_effects) != {"unit", "time"} or treatment.term not in column.facts.terms:
            continue
        se, s2 = column.get(treatment.term, "std_error"), s2_of(paper, column)
        ssds = paper.ssd(column.facts.sample)
        if se is None or s2 is None or len(ssds) != 1:
            continue
        point = Interval(ssds[0], ssds[0])
        vif = implied_vif(se.interval, s2[0], point)
        ids = (se.id, *(t.id for t in s2[1]))
        if column.facts.terms == (treatment.term,):
            implied = slope_se(s2[0], point, Interval(1.0, 1.0))
            out.append(
                compare(
                    id=f"10:{column.key}", family=10, kind="exact identity", tokens=ids, printed=se.interval,
                    implied=implied, formula=f"sqrt(s2/SSD), s2 {show(s2[0])}, SSD {ssds[0]:.6g} = {show(implied)}",
                    good=f"The SE of {treatment.term} in {column.name} is the classical one of this design.",
                    bad=f"The SE of {treatment.term} in {column.name} is not the classical one of this design.",
                    assumes="iid", rank=5,
                )
            )  # fmt: skip
        else:
            bad = vif.hi < 1.0
            out.append(
                Check(
                    id=f"10:{column.key}", family=10, kind="bound", tokens=ids,
                    verdict="inconsistent" if bad else "consistent", interval=vif, assumes="iid", strength="proof",
                    formula=f"VIF = SE2 SSD/s2 = {show(vif)} >= 1 (SSD {ssds[0]:.6g})",
                    statement=(
                        f"The SE of {treatment.term} in {column.name} is smaller than a classical SE of this design "
                        "can be."
                        if bad
                        else f"The controls of {column.name} inflate the variance of {treatment.term} by "
                        f"{show(Interval(max(1.0, vif.lo), vif.hi), 4)}."
                    ),
                    severity="printed" if bad else "none", rank=5, chance=min(1.0, relative_width(vif) / 0.6),
                )
            )  # fmt: skip
    return tuple(out)


def common_vif(paper: Paper) -> tuple[Check, ...]:
    """Ask whether SE/s is the same in all columns with the same right-hand side (family 12).

    With the same regressors on the same rows, ``SE_j**2/s_j**2`` does not depend on the outcome. Assumes classical
    SEs and descriptives of the same sample. False positives: low.
    """
    out = []
    for a, b in combinations(paper.columns, 2):
        if not same_design(a, b):
            continue
        x, y = s2_of(paper, a), s2_of(paper, b)
        if x is None or y is None:
            continue
        for term in shared_terms(paper, a):
            s, t = a.get(term, "std_error"), b.get(term, "std_error")
            if s is None or t is None:
                continue
            left = s.interval / root(x[0])
            right = t.interval / root(y[0])
            out.append(
                compare(
                    id=f"12:{a.key}~{b.key}:{term}", family=12, kind="exact identity",
                    tokens=(s.id, t.id, *(i.id for i in (*x[1], *y[1]))), printed=left, implied=right,
                    formula=f"SE/s: {show(left)} against {show(right)}",
                    good=f"SE/s of {term} is the same in {a.name} and {b.name}.",
                    bad=f"SE/s of {term} differs between {a.name} and {b.name}.", assumes="iid",
                )
            )  # fmt: skip
    return tuple(out)


def se_ratio(paper: Paper) -> tuple[Check, ...]:
    """Ask whether the ratio of two SEs is the same in all columns with the same right-hand side (family 13).

    The outcome's variance cancels, so neither R2 nor SD is needed. Assumes classical SEs. False positives: very low.
    """
    out = []
    for a, b in combinations(paper.columns, 2):
        if not same_design(a, b):
            continue
        terms = [t for t in shared_terms(paper, a) if b.get(t, "std_error") is not None]
        for one, two in combinations(terms, 2):
            parts = [c.get(t, "std_error") for c in (a, b) for t in (one, two)]
            if any(p is None for p in parts):
                continue
            s1, s2, t1, t2 = (p for p in parts if p is not None)
            left, right = s1.interval / s2.interval, t1.interval / t2.interval
            out.append(
                compare(
                    id=f"13:{a.key}~{b.key}:{one}/{two}", family=13, kind="exact identity",
                    tokens=(s1.id, s2.id, t1.id, t2.id), printed=left, implied=right,
                    formula=f"{s1.printed}/{s2.printed} = {show(left)} "
                    f"against {t1.printed}/{t2.printed} = {show(right)}",
                    good=f"The SEs of {one} and {two} have the same ratio in {a.name} and {b.name}.",
                    bad=f"The SEs of {one} and {two} have another ratio in {b.name} than in {a.name}.", assumes="iid",
                )
            )  # fmt: skip
    return tuple(out)


def vif_floor(paper: Paper) -> tuple[Check, ...]:
    """Ask whether any SE is too small for a classical one (family 14).

    ``SE**2 (n-1) sd**2/s2 >= 1``. Assumes a classical SE and descriptives of the same sample; robust SEs may go
    below. False positives: low.
    """
    out = []
    for column in paper.columns:
        s2 = s2_of(paper, column)
        if s2 is None or column.nobs is None:
            continue
        for term in column.facts.terms:
            se, sd = column.get(term, "std_error"), paper.describe(term, "std_dev", column.facts.sample)
            if se is None or sd is None:
                continue
            vif = square(se.interval) * square(sd.interval) * float(column.nobs - 1) / s2[0]
            bad = vif.hi < 1.0
            out.append(
                Check(
                    id=f"14:{column.key}:{term}", family=14, kind="bound", interval=vif,
                    tokens=(se.id, sd.id, *(t.id for t in s2[1])), verdict="inconsistent" if bad else "consistent",
                    formula=f"{se.printed}^2 x {column.nobs - 1} x {sd.printed}^2/s2 = {show(vif)} >= 1",
                    statement=(
                        f"The SE of {term} in {column.name} is smaller than a classical SE can be."
                        if bad
                        else f"The SE of {term} in {column.name} is not too small."
                    ),
                    assumes="iid", strength="proof", severity="printed" if bad else "none", rank=4,
                )
            )  # fmt: skip
    return tuple(out)


def winsorised(paper: Paper) -> tuple[Check, ...]:
    """Ask what a winsorised column's SEs say was winsorised (family 26).

    If the ratio of two SEs changed, the regressors did. With VIF >= 1, ``s2 <= SE**2 SSD``, so R2 bounds the SD of the
    outcome, which winsorising can only lower. Assumes classical SEs. False positives: low.
    """
    out = []
    treatment = paper.facts.treatment
    for column in paper.columns:
        sample = paper.sample(column.facts.sample)
        if sample.kind != "winsorised" or sample.rows is None or not column.is_ols:
            continue
        for other in paper.columns:
            if other.facts.sample != sample.rows or set(other.facts.terms) != set(column.facts.terms):
                continue
            if set(other.facts.fixed_effects) != set(column.facts.fixed_effects) or not other.is_ols:
                continue
            terms = [t for t in shared_terms(paper, column) if other.get(t, "std_error") is not None]
            for one, two in combinations(terms, 2):
                w1, w2 = column.get(one, "std_error"), column.get(two, "std_error")
                o1, o2 = other.get(one, "std_error"), other.get(two, "std_error")
                if not (w1 and w2 and o1 and o2):
                    continue
                left, right = w1.interval / w2.interval, o1.interval / o2.interval
                changed = not left.meets(right)
                out.append(
                    Check(
                        id=f"26:{column.key}~{other.key}:{one}/{two}", family=26, kind="exact identity",
                        tokens=(w1.id, w2.id, o1.id, o2.id), verdict="reveals" if changed else "cannot_tell",
                        formula=f"{w1.printed}/{w2.printed} = {show(left)} against {show(right)}", interval=right,
                        statement=(
                            f"{column.name}: the ratio of SEs differs from {other.name}, so the regressors were "
                            "winsorised as well."
                            if changed
                            else f"{column.name}: the ratio of SEs does not say whether the regressors were winsorised."
                        ),
                        category="undisclosed", assumes="iid", severity="cosmetic" if changed else "none", rank=2,
                    )
                )  # fmt: skip
        ssds = paper.ssd(column.facts.sample)
        sd = paper.describe(column.facts.outcome, "std_dev", sample.rows)
        if treatment is None or sd is None or column.r2 is None or column.nobs is None or column.k is None:
            continue
        se = column.get(treatment.term, "std_error")
        if len(ssds) != 1 or se is None or set(column.facts.fixed_effects) != {"unit", "time"}:
            continue
        top = root(
            square(se.interval) * ssds[0] * float(column.nobs - column.k)
            / ((1.0 - column.r2.interval) * float(column.nobs - 1))
        )  # fmt: skip
        shrunk = top.hi < sd.interval.lo
        out.append(
            Check(
                id=f"26:{column.key}:sd", family=26, kind="bound", tokens=(se.id, column.r2.id, sd.id),
                verdict="reveals" if shrunk else "cannot_tell", interval=Interval(0.0, top.hi),
                formula=f"sd <= sqrt(SE2 SSD df/((1 - R2)(n - 1))) = {top.hi:.5g} against {sd.printed}",
                statement=(
                    f"{column.name}: SE and R2 allow the outcome an SD of at most {top.hi:.4f} against {sd.printed} "
                    "before: the outcome was winsorised too."
                    if shrunk
                    else f"{column.name}: SE and R2 do not say whether the outcome was winsorised."
                ),
                category="undisclosed", assumes="iid", severity="cosmetic" if shrunk else "none", rank=1,
            )
        )  # fmt: skip
    told: set[str] = set()
    final = []
    for check in sorted(out, key=lambda c: relative_width(c.interval) if c.interval else 0.0):
        again = check.verdict == "reveals" and check.statement.split(":")[0] + check.kind in told
        final.append(check.but(severity="none") if again else check)
        if check.verdict == "reveals":
            told.add(check.statement.split(":")[0] + check.kind)
    return tuple(final)


def residual_spread(paper: Paper) -> tuple[Check, ...]:
    """Ask whether residual variances differ between subsamples by more than design can explain (family 38).

    ``s2 = SE**2 SSD(g)/VIF`` for every possible number g of treated units; the ratio of two subsamples' variances
    is bounded over all g and VIF in [1, 3]. Assumes classical SEs. The cap on VIF makes it a heuristic. False
    positives: low, as the bounds cover every number of treated units; it never calls a number wrong.
    """
    panel, treatment = paper.facts.panel, paper.facts.treatment
    if panel is None or treatment is None or len(treatment.starts) != 1:
        return ()
    post = panel.last - treatment.starts[0] + 1
    found: list[tuple[ColumnView, Token, Interval]] = []
    for column in paper.columns:
        sample = paper.sample(column.facts.sample)
        se = column.get(treatment.term, "std_error")
        if sample.group is None or se is None or column.nobs is None or column.nobs % panel.periods:
            continue
        units = column.nobs // panel.periods
        if sample.units is not None and sample.units != units:
            continue
        sizes = [ssd_block(units, g, panel.periods, post) for g in range(1, units)]
        found.append((column, se, square(se.interval) * Interval(min(sizes), max(sizes)) / Interval(1.0, 3.0)))
    if len(found) < 2:
        return ()
    high = max(found, key=lambda f: f[2].lo)
    low = min(found, key=lambda f: f[2].hi)
    ratio = high[2].lo / low[2].hi
    reveals = high[0].key != low[0].key and ratio > 1.5
    return (
        Check(
            id=f"38:{high[0].key}~{low[0].key}", family=38, kind="heuristic", tokens=(high[1].id, low[1].id),
            verdict="reveals" if reveals else "cannot_tell", assumes="iid",
            formula=f"s2 in {show(high[2])} against {show(low[2])}, over all treated counts and VIF in [1, 3]",
            interval=high[2] / low[2],
            statement=(
                f"The residual variance in {high[0].name} is at least {ratio:.1f} times that in {low[0].name}: errors "
                "are far from homoskedastic, which classical SEs assume in the pooled columns."
                if reveals
                else "Residual variances of the subsamples may be equal."
            ),
            category="design", strength="strong", severity="decision" if reveals else "none", rank=5,
        ),
    )  # fmt: skip
