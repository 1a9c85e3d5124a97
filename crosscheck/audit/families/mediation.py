"""What do three columns of a mediation analysis prove about each other? (Families 15, 16, 18, 30, 37.)"""

from __future__ import annotations

from crosscheck.audit.checks import Check, compare
from crosscheck.audit.families.stars import critical, p_value, printed_stars, t_range
from crosscheck.audit.families.variance import s2_of
from crosscheck.audit.formulas import added_regressor_variance, added_slope_variance, sobel_z_squared
from crosscheck.audit.interval import INF, Interval, clip, root, show, square
from crosscheck.audit.paper import Mediation, Paper
from crosscheck.audit.tokens import Token


def _shared(m: Mediation) -> tuple[tuple[str, Token, Token, Token], ...]:
    out = []
    for term in m.total.printed_terms:
        tokens = [c.get(term, "estimate") for c in (m.total, m.path, m.direct)]
        if all(t is not None for t in tokens):
            a, b, c = (t for t in tokens if t is not None)
            out.append((term, a, b, c))
    return tuple(out)


def phi_box(m: Mediation) -> tuple[Interval, tuple[Token, ...]]:
    """Return what the identities leave of the mediator's coefficient, its printed interval included."""
    printed = m.direct.get(m.mediator, "estimate")
    assert printed is not None
    box, used = printed.interval, [printed]
    for _, total, path, direct in _shared(m):
        if path.interval.lo <= 0.0 <= path.interval.hi:
            continue
        implied = (total.interval - direct.interval) / path.interval
        box = box & implied
        used += [total, path, direct]
    return box, tuple(dict.fromkeys(used))


def coefficients(paper: Paper) -> tuple[Check, ...]:
    """Ask whether total = direct + theta phi for every shared term, the constant included (family 15).

    Algebra of least squares: omitted-variable formula, exact on the same rows with the same other regressors and
    unweighted. Any SE. False positives: low; nonlinear models and columns of another N are left out. Assumes the
    same rows and controls in all three columns.
    """
    out: list[Check] = []
    for m in paper.mediations():
        phi = m.direct.get(m.mediator, "estimate")
        if phi is None:
            continue
        for term, total, path, direct in _shared(m):
            implied = direct.interval + path.interval * phi.interval
            out.append(
                compare(
                    id=f"15:{m.direct.key}:{term}", family=15, kind="exact identity",
                    tokens=(total.id, path.id, direct.id, phi.id), printed=total.interval, implied=implied,
                    formula=f"{direct.printed} + {path.printed} x {phi.printed} = {show(implied)}, not {total.printed}"
                    if not total.interval.meets(implied)
                    else f"{direct.printed} + {path.printed} x {phi.printed} = {show(implied)} meets {total.printed}",
                    good=f"{term}: {m.total.name} is {m.direct.name} plus the path through {m.mediator}.",
                    bad=f"{term}: {m.total.name} is not {m.direct.name} plus {m.path.name} times the coefficient of "
                    f"{m.mediator}; rows or controls differ, or a number is wrong.",
                    rank=8,
                )
            )  # fmt: skip
        box, used = phi_box(m)
        if box.empty:
            out.append(
                Check(
                    id=f"15:{m.direct.key}:joint", family=15, kind="exact identity",
                    tokens=tuple(t.id for t in used), verdict="inconsistent", interval=box,
                    formula=f"the shared terms leave no value for the coefficient of {m.mediator}",
                    statement=f"No coefficient of {m.mediator} in {m.direct.name} satisfies all shared terms at once.",
                    strength="proof", severity="printed", rank=8,
                )
            )  # fmt: skip
    return tuple(out)


def hidden_digits(paper: Paper) -> tuple[Check, ...]:
    """Ask what identities say about coefficients that are printed as zero (family 37).

    From ``total = direct + theta phi`` where the term is a mediator, and from stars and the VIF floor ``SE >= s/(sd
    sqrt(n-1))`` and the line through the means where it is a control. Assumes same rows (and classical SEs for the
    floor). Reports an interval, never a finding of error. False positives: none beyond those of the identities that
    pin the digits down.
    """
    out: list[Check] = []
    for m in paper.mediations():
        phi, se = m.direct.get(m.mediator, "estimate"), m.direct.get(m.mediator, "std_error")
        if phi is None or phi.significant or phi.decimals == 0:
            continue
        box, used = phi_box(m)
        s2 = s2_of(paper, m.direct)
        sd_m = paper.describe(m.mediator, "std_dev", m.direct.facts.sample)
        tail = ""
        if s2 and sd_m and m.path.r2 and m.direct.nobs and not box.empty:
            spread = root(added_slope_variance(s2[0], m.path.r2.interval, sd_m.interval, m.direct.nobs))
            tail = f", its SE {show(spread)}, its t {show(box / spread, 3)}"
        if box.empty or box.lo <= 0.0 <= box.hi:
            continue
        ids = [t.id for t in used] + ([se.id] if se else [])
        out.append(
            Check(
                id=f"37:{m.direct.key}:{m.mediator}", family=37, kind="exact identity", tokens=tuple(ids),
                verdict="reveals", interval=box,
                formula=f"phi = (total - direct)/theta over all shared terms = {show(box)}{tail}",
                statement=f"The coefficient of {m.mediator} in {m.direct.name}, printed {phi.printed}, is between "
                f"{box.lo:.4g} and {box.hi:.4g}{tail}.",
                category="undisclosed", strength="proof", severity="cosmetic", rank=3,
            )
        )  # fmt: skip
    out += _hidden_controls(paper)
    return tuple(out)


def _hidden_controls(paper: Paper) -> list[Check]:
    out = []
    legend = paper.legend
    for column in paper.columns:
        s2 = s2_of(paper, column)
        if s2 is None or column.nobs is None or column.k is None or legend is None:
            continue
        for term in column.facts.terms:
            b, se = column.get(term, "estimate"), column.get(term, "std_error")
            sd = paper.describe(term, "std_dev", column.facts.sample)
            if b is None or se is None or sd is None or se.significant or se.decimals == 0:
                continue
            if any(m.direct.key == column.key and m.mediator == term for m in paper.mediations()):
                continue
            floor = root(s2[0] / (square(sd.interval) * float(column.nobs - 1)))
            stars = printed_stars(paper, column, term) or 0
            least = (
                critical(legend.levels[stars - 1], column.nobs - column.k, legend.tails) * floor.lo if stars else 0.0
            )
            top = min(b.interval.mag, _line_bound(paper, column.key, term))
            out.append(
                Check(
                    id=f"37:{column.key}:{term}", family=37, kind="bound", assumes="iid",
                    tokens=(b.id, se.id, sd.id, *(t.id for t in s2[1])), verdict="reveals" if stars else "cannot_tell",
                    interval=Interval(least, top),
                    formula=f"SE >= s/(sd sqrt(n-1)) = {floor.lo:.3g}; |b| >= {least:.3g}",
                    statement=f"{term} in {column.name}, printed {b.printed} ({se.printed}), has an SE of at least "
                    f"{floor.lo:.2g}"
                    + (f" and, with its stars, a size between {least:.2g} and {top:.2g}." if stars else "."),
                    category="undisclosed", severity="none", rank=0,
                )
            )  # fmt: skip
    return out


def _line_bound(paper: Paper, key: str, term: str) -> float:
    """Largest size of a coefficient that the line through the means allows, other signs as printed."""
    column = next(c for c in paper.columns if c.key == key)
    if column.facts.fixed_effects:
        return INF
    const = column.get(paper.facts.constant_term, "estimate")
    ybar = paper.describe(column.facts.outcome, "mean", column.facts.sample)
    mine = paper.describe(term, "mean", column.facts.sample)
    if const is None or ybar is None or mine is None:
        return INF
    rest = ybar.interval - const.interval
    for other in column.facts.terms:
        b, mean = column.get(other, "estimate"), paper.describe(other, "mean", column.facts.sample)
        if other == term:
            continue
        if b is None or mean is None:
            return INF
        rest = rest - b.interval * mean.interval
    return (rest / mine.interval).mag


def added_se(paper: Paper) -> tuple[Check, ...]:
    """Ask whether SEs change with the mediator as least squares says (families 16 and 18).

    16: ``SE_dir**2 = (s2_new/s2_old) SE_tot**2 + theta**2 SE_phi**2`` for every shared term; 18: ``SE_phi**2 =
    s2_new/((1 - R2_M) SST_M)``. Classical SEs, same rows. False positives: low. Assumes classical SEs and the same
    rows in both columns.
    """
    out: list[Check] = []
    for m in paper.mediations():
        new, old = s2_of(paper, m.direct), s2_of(paper, m.total)
        phi_se = m.direct.get(m.mediator, "std_error")
        r2_m, sd_m = m.path.r2, paper.describe(m.mediator, "std_dev", m.direct.facts.sample)
        if new is None or old is None or phi_se is None or m.direct.nobs is None:
            continue
        if not (m.direct.r2 and m.total.r2 and m.direct.k and m.total.k):
            continue
        if r2_m and sd_m:
            implied = root(added_slope_variance(new[0], r2_m.interval, sd_m.interval, m.direct.nobs))
            out.append(
                compare(
                    id=f"18:{m.direct.key}:{m.mediator}", family=18, kind="exact identity",
                    tokens=(phi_se.id, r2_m.id, sd_m.id, *(t.id for t in new[1])), printed=phi_se.interval,
                    implied=implied, formula=f"sqrt(s2/((1 - {r2_m.printed}) SST)) = {show(implied)} against "
                    f"{phi_se.printed}", good=f"The SE of {m.mediator} in {m.direct.name} is the classical one.",
                    bad=f"The SE of {m.mediator} in {m.direct.name} is not the classical one.", assumes="iid",
                )
            )  # fmt: skip
        ratio = (1.0 - m.direct.r2.interval) / (1.0 - m.total.r2.interval) * float(
            (m.total.nobs or 0) - m.total.k
        ) / float(m.direct.nobs - m.direct.k)  # fmt: skip
        spread = phi_se.interval
        if r2_m and sd_m:
            spread = spread & root(added_slope_variance(new[0], r2_m.interval, sd_m.interval, m.direct.nobs))
        if spread.empty:
            continue
        for term, _, path, _ in _shared(m):
            se0, se1 = m.total.get(term, "std_error"), m.direct.get(term, "std_error")
            if se0 is None or se1 is None:
                continue
            implied = root(added_regressor_variance(ratio, Interval(1.0, 1.0), se0.interval, path.interval, spread))
            out.append(
                compare(
                    id=f"16:{m.direct.key}:{term}", family=16, kind="exact identity",
                    tokens=(se1.id, se0.id, path.id, phi_se.id, m.direct.r2.id, m.total.r2.id),
                    printed=se1.interval, implied=implied,
                    formula=f"sqrt(s2'/s2 {se0.printed}^2 + {path.printed}^2 SE_phi^2) = {show(implied)} against "
                    f"{se1.printed}",
                    good=f"The SE of {term} changes from {m.total.name} to {m.direct.name} as it must.",
                    bad=f"The SE of {term} does not change from {m.total.name} to {m.direct.name} as classical SEs do.",
                    assumes="iid",
                )
            )  # fmt: skip
    return tuple(out)


def indirect_effects(paper: Paper) -> tuple[Check, ...]:
    """Ask how large each indirect effect is, and whether it is significant (family 30; Sobel 1982).

    ``1/z**2 = 1/t1**2 + 1/t2**2`` over the printed box, narrowed by the stars. Sobel's test is conservative, so the
    joint-significance rule (Cohen and Cohen 1983) is reported beside it. Assumes the two estimates are independent,
    which least squares gives. A judgement on a claim, not on a number. False positives: low; Sobel's test errs
    towards no effect, hence the second rule.
    """
    out: list[Check] = []
    treatment, legend = paper.facts.treatment, paper.legend
    if treatment is None:
        return ()
    for m in paper.mediations():
        theta, theta_se = (m.path.get(treatment.term, q) for q in ("estimate", "std_error"))
        phi, phi_se = (m.direct.get(m.mediator, q) for q in ("estimate", "std_error"))
        total = m.total.get(treatment.term, "estimate")
        if theta is None or theta_se is None or phi is None or phi_se is None or total is None:
            continue
        t1 = t_range(theta, theta_se)
        t2 = t_range(phi, phi_se)
        box, _ = phi_box(m)
        s2, sd_m = s2_of(paper, m.direct), paper.describe(m.mediator, "std_dev", m.direct.facts.sample)
        if s2 and sd_m and m.path.r2 and m.direct.nobs and not box.empty:
            spread = root(added_slope_variance(s2[0], m.path.r2.interval, sd_m.interval, m.direct.nobs))
            narrowed = t2 & (abs(box) / spread)
            t2 = t2 if narrowed.empty else narrowed
        z = root(sobel_z_squared(clip(t1, 1e-9, 1e9), clip(t2, 1e-9, 1e9)))
        share = theta.interval * box / total.interval if not box.empty else Interval(-INF, INF)
        loose, strict = p_value(z.lo, INF), p_value(z.hi, INF)
        level = legend.levels[0] if legend else 0.1
        weak = strict > level
        out.append(
            Check(
                id=f"30:{m.direct.key}", family=30, kind="inference law",
                tokens=(theta.id, theta_se.id, phi.id, phi_se.id, total.id),
                verdict="reveals" if weak else "cannot_tell" if loose > level else "consistent", interval=z,
                formula=f"t1 {show(t1, 3)}, t2 {show(t2, 3)}: z {show(z, 3)}, p in [{strict:.2g}, {loose:.2g}]; "
                f"theta phi/total {show(share, 3)}",
                statement=(
                    f"The indirect effect through {m.mediator} is not significant even at {level:.0%} (Sobel z at most "
                    f"{z.hi:.2f}, p at least {strict:.2f}), and is only {share.lo:.0%} to {share.hi:.0%} of the total."
                    if weak
                    else f"The indirect effect through {m.mediator} is {share.lo:.0%} to {share.hi:.0%} of the total "
                    f"(Sobel z {z.lo:.1f} to {z.hi:.1f})."
                ),
                category="claim", severity="decision" if weak else "none", rank=7,
            )
        )  # fmt: skip
    return tuple(out)


def untested_paths(paper: Paper) -> tuple[Check, ...]:
    """Ask whether indirect effects were tested, and whether their shares can be added (family 30).

    Sums ``theta phi/total`` over mediators that enter one at a time. Reads which quantities are printed. No false
    positives where claims of mechanisms are declared. Assumes that the declared columns are all there are.
    """
    treatment, claims = paper.facts.treatment, [c for c in paper.claims.claim if c.kind == "indirect"]
    found = [m for m in paper.mediations() if treatment and m.path.get(treatment.term, "estimate")]
    if treatment is None or not found or not claims:
        return ()
    total, tokens, parts = Interval(0.0, 0.0), [], []
    for m in found:
        box, used = phi_box(m)
        theta, whole = m.path.get(treatment.term, "estimate"), m.total.get(treatment.term, "estimate")
        if box.empty or theta is None or whole is None:
            continue
        share = theta.interval * box / whole.interval
        total = total + share
        parts.append(f"{m.mediator} {share.mid:.0%}")
        tokens += [theta.id, whole.id, *(t.id for t in used)]
    if not parts:
        return ()
    alone = len(found) > 1 and all(m.mediator not in o.direct.facts.terms for m in found for o in found if o is not m)
    words = (
        f"No printed number tests an indirect effect: the text concludes from two significant coefficients each "
        f"({len(found)} mechanisms), without a Sobel or bootstrap test."
    )
    if alone:
        words += (
            f" Mediators enter one at a time, so their shares ({', '.join(parts)}; together {total.mid:.0%} of the "
            "total effect) overlap and cannot be added."
        )
    return (
        Check(
            id="30:untested", family=30, kind="text", tokens=tuple(dict.fromkeys(tokens)), verdict="reveals",
            formula=" + ".join(parts) + f" = {show(total, 3)}", interval=total, statement=words,
            category="undisclosed", strength="suggestive", severity="cosmetic", rank=5,
        ),
    )  # fmt: skip
