"""Do an event study and a placebo test fit the panel's dates and the number of treated units? (Families 27, 28.)"""

from __future__ import annotations

from scipy import special

from crosscheck.audit.checks import Check
from crosscheck.audit.facts import EventStudy, Placebo
from crosscheck.audit.families.stars import critical
from crosscheck.audit.families.variance import s2_of
from crosscheck.audit.formulas import hypergeometric_none, ssd_block
from crosscheck.audit.interval import Interval, show
from crosscheck.audit.paper import Paper, treated_total

BLIND = 0.5


def event_study(paper: Paper) -> tuple[Check, ...]:
    """Ask whether leads and lags of an event study fit the panel's dates (family 27).

    One cohort treated from year c needs ``c - first`` leads (the reference among them) and ``last - c`` lags.
    Counting; assumes the equation lists every indicator. False positives: low.
    """
    panel, treatment = paper.facts.panel, paper.facts.treatment
    out = []
    for index, study in enumerate(paper.facts.event_study):
        if panel is None or treatment is None:
            continue
        indicators = study.leads + study.lags + int(study.current)
        fits = [
            c
            for c in range(panel.first + 1, panel.last + 1)
            if c - panel.first == study.leads + 1 and panel.last - c == study.lags
        ]
        ok = any(start in fits for start in treatment.starts)
        reference = panel.first if study.reference is None else study.reference
        words = (
            f"{study.leads} leads, the current year and {study.lags} lags are T - 1 = {panel.periods - 1} indicators, "
            f"with {reference} as reference: a single cohort of {fits[0]}."
            if ok
            else f"{study.leads} leads and {study.lags} lags do not fit a treatment of {list(treatment.starts)} in "
            f"{panel.first}-{panel.last} with reference {reference}."
        )
        out.append(
            Check(
                id=f"27:{index}", family=27, kind="exact identity", tokens=(), interval=None,
                verdict="consistent" if ok else "inconsistent", statement=words,
                formula=f"{study.leads} + {int(study.current)} + {study.lags} = {indicators} of {panel.periods - 1}",
                category="design", strength="proof", severity="none" if ok else "structural", rank=6,
            )
        )  # fmt: skip
        if ok:
            out += _reference(paper, study, index, fits[0], reference)
            out += _event_claims(paper, study, index, fits[0])
    return tuple(out)


def _reference(paper: Paper, study: EventStudy, index: int, start: int, reference: int) -> list[Check]:
    """Say what an omitted period other than the last one before treatment does to the picture."""
    usual = reference == start - 1
    return [
        Check(
            id=f"27:{index}:reference", family=27, kind="exact identity", tokens=(), interval=None,
            verdict="consistent" if usual else "reveals", category="design", strength="proof",
            formula=f"treated from {start}: omitted {reference}, the last period before treatment is {start - 1}",
            statement=(
                f"The omitted period {reference} is the last one before treatment."
                if usual
                else f"The event study omits {reference}, {start - reference} periods before treatment, instead of "
                f"{start - 1}: its post-treatment coefficients contain whatever drift there was from {reference} to "
                f"{start - 1}, and the equation does not say that the lead of {reference} is left out."
            ),
            severity="none" if usual else "cosmetic", rank=3,
        )
    ]  # fmt: skip


def _event_claims(paper: Paper, study: EventStudy, index: int, start: int) -> list[Check]:
    """Bound what an event study's coefficients can be, given the pooled coefficient and its SE."""
    panel, treatment, treated = paper.facts.panel, paper.facts.treatment, treated_total(paper)
    column = next((c for c in paper.columns if c.key == study.outcome_column), None)
    if panel is None or treatment is None or treated is None or column is None or study.post_level is None:
        return []
    b, s2 = column.get(treatment.term, "estimate"), s2_of(paper, column)
    if b is None or s2 is None or column.nobs is None or column.k is None:
        return []
    share = treated * (1.0 - treated / panel.units)
    noise = (s2[0].mid * 2.0 / share) ** 0.5
    need = critical(study.post_level, column.nobs - column.k, 2) * noise
    post, pre = panel.last - start + 1, start - panel.first
    room = b.interval.hi - need
    blind = Interval(need, need) / abs(b.interval)
    return [
        Check(
            id=f"27:{index}:power", family=27, kind="heuristic", tokens=(b.id, *(t.id for t in s2[1])), interval=blind,
            verdict="reveals" if blind.lo > BLIND else "consistent",
            formula=f"SE of one year {noise:.4g} x {need / noise:.3f} = {need:.4g}; against {b.printed}: "
            f"{show(blind, 3)}",
            statement=(
                f"Parallel trends are tested with little power: a gap before treatment of up to {need:.4f}, "
                f"{blind.mid:.0%} of the estimated effect, would still pass at {study.post_level:.0%}; coefficients "
                "that are not significant do not show that there is no trend (approximate; controls left out)."
                if blind.lo > BLIND
                else "A gap before treatment much smaller than the estimated effect would have been seen."
            ),
            category="claim", strength="suggestive", severity="decision" if blind.lo > BLIND else "none", rank=4.5,
        ),
        Check(
            id=f"27:{index}:level", family=27, kind="heuristic", tokens=(b.id, *(t.id for t in s2[1])),
            verdict="reveals" if room < 0.25 * b.interval.hi and study.rising else "cannot_tell",
            formula=f"SE of one year against {panel.first} = s sqrt(2/{share:.4g}) = {noise:.4g}; x critical value = "
            f"{need:.4g}; mean of {post} post minus mean of {pre} pre coefficients = {b.printed}",
            interval=Interval(need, need),
            statement=(
                f"A yearly coefficient must exceed {need:.4f} or so to be significant at {study.post_level:.0%}, but "
                f"the {post} post-treatment ones average {b.printed} above the pre-treatment mean: 'all significant' "
                "and 'rising' leave room only for an almost flat path from the first year on, or for pre-treatment "
                "coefficients that are not close to 0 (approximate; controls left out)."
            ),
            category="claim", strength="suggestive", severity="decision", rank=4,
        )
    ]  # fmt: skip


def placebo(paper: Paper) -> tuple[Check, ...]:
    """Ask whether a placebo test draws what was treated, and whether its tail is plausible (family 28).

    Design: same number of units, same date. Overlap: hypergeometric. Tail: under the classical law a share
    ``level`` of draws is significant at that level, and serial correlation only raises it. The design part has no
    false positives; the tail is model-based. Assumes the declared numbers of units and draws.
    """
    out: list[Check] = []
    treated, panel, treatment = treated_total(paper), paper.facts.panel, paper.facts.treatment
    for index, test in enumerate(paper.facts.placebo):
        column = next((c for c in paper.columns if c.key == test.column), None)
        if panel is None or treatment is None or treated is None or column is None:
            continue
        b, se = (column.get(treatment.term, q) for q in ("estimate", "std_error"))
        mean = paper.describe(treatment.term, "mean", column.facts.sample)
        ids = tuple(t.id for t in (b, se, mean) if t is not None)
        same = test.drawn == treated
        clean = hypergeometric_none(panel.units, treated, test.drawn)
        out.append(
            Check(
                id=f"28:{index}:design", family=28, kind="exact identity", tokens=(mean.id,) if mean else (),
                verdict="consistent" if same else "inconsistent", interval=Interval(float(treated), float(treated)),
                formula=f"drawn {test.drawn}, treated {treated}; P(no treated unit drawn) = {clean:.3f}",
                statement=(
                    f"The placebo draws as many units ({treated}) as are treated."
                    if same
                    else f"The placebo test draws {test.drawn} units although {treated} are treated (mean of "
                    f"{treatment.term}), so its distribution is not that of the estimate it is compared with; "
                    f"{1 - clean:.0%} of draws also contain truly treated units."
                ),
                category="design", strength="proof", severity="none" if same else "structural", rank=9,
            )
        )  # fmt: skip
        if b is None or se is None or len(treatment.starts) != 1:
            continue
        out.append(
            _tail(
                test,
                index,
                treated,
                panel.units,
                panel.periods,
                panel.last - treatment.starts[0] + 1,
                b.interval,
                se.interval,
                ids,
            )
        )
    return tuple(out)


def _tail(
    test: Placebo, index: int, treated: int, units: int, periods: int, post: int, b: Interval, se: Interval,
    ids: tuple[str, ...],
) -> Check:  # fmt: skip
    scale = (ssd_block(units, treated, periods, post) / ssd_block(units, test.drawn, periods, post)) ** 0.5
    z = (b / (se * scale)).mid
    above = float(special.ndtr(-z)) * test.draws
    level = test.few_below_level or 0.1
    few = test.few_below_level is not None
    expected = level * test.draws
    if few:
        words = (
            f"Of {test.draws} placebo draws at least {expected:.0f} should be significant at {level:.0%} if errors are "
            f"iid, and more under serial correlation; the text counts 'only a few', which a valid test at "
            f"{level:.0%} would not give. "
        )
    else:
        words = ""
    words += (
        f"With {test.drawn} units drawn the placebo SE is {scale:.2f} times the printed one, and about {above:.2g} of "
        f"{test.draws} draws exceed the estimate if errors are iid."
    )
    return Check(
        id=f"28:{index}:tail", family=28, kind="heuristic", tokens=ids, verdict="reveals" if few else "cannot_tell",
        formula=f"{level} x {test.draws} = {expected:.0f}; SE x {scale:.3f}, z = {z:.3g}: {above:.3g} exceed",
        statement=words, category="claim", interval=Interval(above, above), strength="suggestive",
        severity="decision" if few else "none", rank=2,
    )  # fmt: skip


def timing(paper: Paper) -> tuple[Check, ...]:
    """Ask what the mean of the treatment says about units approved late in a period (family 9).

    With ``a`` units approved early and the rest late in the same period, treatment from the next period on for the
    late ones would give another number of treated rows. Counting; assumes the declared dates and a balanced panel. No
    false positives where the two counts differ.
    """
    treatment, panel, treated = paper.facts.treatment, paper.facts.panel, treated_total(paper)
    desc = paper.facts.descriptives
    if treatment is None or panel is None or treated is None or desc is None or len(paper.cohorts) != 1:
        return ()
    late = [a for a in treatment.approved if a.share < 0.5 and panel.first < a.period <= panel.last]
    mean = paper.describe(treatment.term, "mean", desc.sample)
    if not late or mean is None or len(treatment.starts) != 1:
        return ()
    early = sum(a.units for a in treatment.approved) - sum(a.units for a in late)
    least = treated - early
    if least <= 0:
        return ()
    n = panel.units * panel.periods
    post = panel.last - treatment.starts[0] + 1
    rows = treated * post
    other = rows - least
    share = late[0].share
    excluded = not (other - 0.5 < mean.interval.mid * n < other + 0.5)
    words = (
        f"At least {least} of the {treated} treated units were approved late in {late[0].period} "
        f"({share:.0%} of that period was left), yet count as treated in the whole of it: counted from the next period "
        f"on, the mean of {treatment.term} would be {other / n:.4f}, not {mean.printed}. The first treated year is "
        "mostly untreated time, and an effect in it comes before the policy could have worked."
    )
    return (
        Check(
            id="9:timing", family=9, kind="exact identity", tokens=(mean.id,),
            interval=Interval(float(rows), float(rows)), category="design", strength="proof",
            verdict="reveals" if excluded else "cannot_tell",
            formula=f"{treated} x {post} = {rows} of {n} rows; {early} x {post} + {least} x {post - 1} = {other}: "
            f"{other / n:.4f}",
            statement=words, severity="decision" if excluded else "none", rank=8,
        ),
    )  # fmt: skip
