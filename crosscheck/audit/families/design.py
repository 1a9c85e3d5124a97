"""What do counts and dates prove about how the study was done? (Families 24, 25, 27, 28, 31, 40.)"""

from __future__ import annotations

from itertools import combinations

from crosscheck.audit.checks import Check
from crosscheck.audit.facts import EventStudy, Partition, Placebo
from crosscheck.audit.families.fit import feasible_k
from crosscheck.audit.families.stars import critical, t_range
from crosscheck.audit.families.variance import s2_of
from crosscheck.audit.formulas import ar1_inflation, hypergeometric_none, ssd_block
from crosscheck.audit.interval import Interval, show
from crosscheck.audit.paper import Paper


def _treated(paper: Paper) -> int | None:
    totals = {sum(g for g, _ in option) for option in paper.cohorts}
    return totals.pop() if len(totals) == 1 else None


def no_difference_in_differences(paper: Paper) -> tuple[Check, ...]:
    """Ask which columns called difference-in-differences lack unit or period effects (family 40).

    A regression on the treatment without both sets of effects (or group and period dummies) compares treated rows with
    all others. Reads the declared effects. False positives: none where the columns are declared completely.
    """
    treatment = paper.facts.treatment
    if treatment is None:
        return ()
    mine = [c for c in paper.columns if treatment.term in c.facts.terms]
    bare = [c for c in mine if not c.facts.fixed_effects]
    with_effects = [c for c in mine if {"unit", "time"} <= set(c.facts.fixed_effects)]
    if not bare or not with_effects:
        return ()
    names = ", ".join(c.name for c in bare)
    values = [c.get(treatment.term, "estimate") for c in bare]
    full = with_effects[0].get(treatment.term, "estimate")
    tokens = tuple(t.id for t in values if t) + ((full.id,) if full else ())
    shown = ", ".join(t.printed for t in values if t)
    return (
        Check(
            id="40:levels", family=40, kind="text", tokens=tokens, verdict="reveals", interval=None,
            formula=f"no effects in {names}: {shown}; with both: {full.printed if full else '-'}",
            statement=(
                f"{names} have neither unit nor period effects: their coefficients ({shown}) compare treated rows with "
                "all others and are no difference-in-differences."
            ),
            category="design", strength="proof", severity="decision", rank=6,
        ),
    )  # fmt: skip


def classification(paper: Paper) -> tuple[Check, ...]:
    """Ask which public grouping of units explains the subsamples' sizes, and what it leaves out (family 24).

    Enumerates assignments of subsamples to the groups of a declared public classification such that no subsample has
    more units than its group. Conditional on that outside list. False positives: medium.
    """
    panel = paper.facts.panel
    if panel is None:
        return ()
    parts = [c for c in paper.columns if paper.sample(c.facts.sample).group and c.nobs]
    parts = [c for c in parts if c.nobs and c.nobs % panel.periods == 0]
    if not parts:
        return ()
    sizes = [(c.nobs or 0) // panel.periods for c in parts]
    out = []
    for scheme in paper.facts.partition:
        names = [paper.sample(c.facts.sample).id for c in parts]
        if any(name not in scheme.groups for name in names):
            continue
        deficits = {name: scheme.groups[name] - size for name, size in zip(names, sizes, strict=True)}
        rest = {name: count for name, count in scheme.groups.items() if name not in names}
        possible = all(d >= 0 for d in deficits.values())
        missing = panel.units - sum(sizes)
        candidates = [
            combo
            for r in range(len(rest) + 1)
            for combo in combinations(rest, r)
            if sum(rest[name] for name in combo) == missing
        ]
        tokens = tuple(t.id for c in parts for t in (c.get("", "nobs"),) if t is not None)
        formula = ", ".join(f"{n}: {s} of {scheme.groups[n]}" for n, s in zip(names, sizes, strict=True))
        if not possible:
            verdict, words, severity = "cannot_tell", f"{scheme.name} does not fit the subsamples' sizes.", "none"
        elif missing == 0 or candidates:
            left = " or ".join(" + ".join(c) for c in candidates if c)
            short = ", ".join(f"{d} of {n}" for n, d in deficits.items() if d)
            words = f"Under {scheme.name}, the subsamples are " + formula
            words += f"; the {missing} units in no subsample are {left}" if left else ""
            words += f"; the sample itself lacks {short}." if short else "."
            verdict, severity = "reveals", "cosmetic"
        else:
            verdict, words, severity = "cannot_tell", f"{scheme.name} leaves {missing} units unexplained.", "none"
        if verdict == "reveals" and scheme.treated:
            out += _treated_per_group(paper, scheme, deficits, candidates, tokens)
        out.append(
            Check(
                id=f"24:{scheme.name}", family=24, kind="heuristic", tokens=tokens,
                verdict=verdict,  # type: ignore[arg-type]
                formula=formula + f" ({scheme.source})", statement=words, category="undisclosed",
                strength="suggestive", severity=severity, rank=4,
            )
        )  # fmt: skip
    return tuple(out)


def _treated_per_group(
    paper: Paper, scheme: Partition, deficits: dict[str, int], left_out: list[tuple[str, ...]], tokens: tuple[str, ...]
) -> list[Check]:
    """Count the treated units of each subsample from a public list, where the total leaves one possibility."""
    total, treatment = _treated(paper), paper.facts.treatment
    if total is None or treatment is None or len(left_out) != 1:
        return []
    short = [name for name, d in deficits.items() if d]
    lost = sum(scheme.treated.values()) - total
    if len(short) > 1 or lost < 0 or (lost and not short) or (short and lost > deficits[short[0]]):
        return []
    counts = dict(scheme.treated)
    if short:
        counts[short[0]] -= lost
    single = [name for name in deficits if counts.get(name) == 1]
    dropped = sum(counts.get(name, 0) for name in left_out[0])
    words = "If the treated units are those of the public list, they are " + ", ".join(
        f"{counts[name]} {name}" for name in scheme.groups if name in counts
    )
    words += f", and {dropped} treated unit(s) stand in no subsample."
    if single:
        words += (
            f" The {single[0]} estimate then rests on a single treated unit: no SE can be told from it, and "
            "its insignificance says nothing about the region."
        )
    return [
        Check(
            id=f"24:{scheme.name}:treated", family=24, kind="heuristic", tokens=tokens, verdict="reveals",
            formula=f"{scheme.treated} less {lost} of {short or 'none'} = {total} treated (mean of {treatment.term})",
            statement=words, category="design", strength="suggestive", severity="decision", rank=7,
        )
    ]  # fmt: skip


def matching(paper: Paper) -> tuple[Check, ...]:
    """Ask what a matched sample's N says about neighbours and trimming (family 25).

    With k neighbours, at most ``(1 + k)`` rows per treated row remain. Assumes matching of treated rows to control
    rows. False positives: medium where treated rows were trimmed too, which only raises k.
    """
    panel, treated = paper.facts.panel, _treated(paper)
    if panel is None or treated is None or len(paper.cohorts) != 1:
        return ()
    rows = sum(g * p for g, p in paper.cohorts[0])
    out = []
    for column in paper.columns:
        sample = paper.sample(column.facts.sample)
        nobs = column.get("", "nobs")
        if sample.kind != "matched" or nobs is None or column.nobs is None or sample.within is None:
            continue
        if not paper.is_full(sample.within):
            continue
        full = panel.units * panel.periods
        least = max(1, -(-column.nobs // rows) - 1)
        ks = feasible_k(column)
        words = f"{column.name} keeps {column.nobs} of {full} rows, at most {rows} of them treated"
        if sample.method == "nearest" and least > 1:
            words += f": more than 1:{least - 1} matching leaves, so {least} or more neighbours were used"
        words += f"; the {full - column.nobs} dropped rows unbalance the panel, and neither "
        words += {"nearest": "the number of neighbours, the caliper", "kernel": "the kernel, its bandwidth"}.get(
            sample.method, "how rows were chosen"
        )
        words += " nor the weights are stated."
        verdict = "inconsistent" if column.nobs > full else "reveals"
        out.append(
            Check(
                id=f"25:{column.key}", family=25, kind="bound", tokens=(nobs.id,), verdict=verdict,  # type: ignore[arg-type]
                formula=f"{column.nobs} <= (1 + k) x {rows}: k >= {least}; K {list(ks)}",
                interval=Interval(float(least), float("inf")), statement=words, category="undisclosed",
                severity="structural" if verdict == "inconsistent" else "cosmetic", rank=3,
            )
        )  # fmt: skip
    return tuple(out)


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
            out += _event_claims(paper, study, index, fits[0])
    return tuple(out)


def _event_claims(paper: Paper, study: EventStudy, index: int, start: int) -> list[Check]:
    """Bound what an event study's coefficients can be, given the pooled coefficient and its SE."""
    panel, treatment, treated = paper.facts.panel, paper.facts.treatment, _treated(paper)
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
    return [
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

    Design: same number of units, same date. Overlap: hypergeometric. Tail: under the classical law a share ``level``
    of draws is significant at that level, and serial correlation only raises it. The design part has no false
    positives; the tail is model-based.
    """
    out: list[Check] = []
    treated, panel, treatment = _treated(paper), paper.facts.panel, paper.facts.treatment
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
    from scipy import special

    scale = (ssd_block(units, treated, periods, post) / ssd_block(units, test.drawn, periods, post)) ** 0.5
    z = (b / (se * scale)).mid
    above = float(special.ndtr(-z)) * test.draws
    level = test.few_below_level or 0.1
    words = (
        f"With {test.drawn} units drawn the placebo SE is {scale:.2f} times the printed one: about {above:.2g} of "
        f"{test.draws} draws exceed the estimate if errors are iid; at least {level:.0%} ({level * test.draws:.0f}) of "
        f"draws should be significant at {level:.0%}"
    )
    words += ", which the text calls only a few." if test.few_below_level else "."
    return Check(
        id=f"28:{index}:tail", family=28, kind="heuristic", tokens=ids, verdict="cannot_tell",
        formula=f"SE x {scale:.3f}; z = {z:.3g}; expected exceedances {above:.3g}", statement=words, category="claim",
        interval=Interval(above, above), strength="suggestive", severity="none", rank=2,
    )  # fmt: skip


def inflation(paper: Paper) -> tuple[Check, ...]:
    """Ask how much the SE would have to grow for significance to go (family 31; Bertrand, Duflo, Mullainathan 2004).

    ``t/crit`` against the inflation of a classical DiD SE under AR(1) errors. A number for the reader, not a finding.
    """
    out = []
    treatment, panel = paper.facts.treatment, paper.facts.panel
    if treatment is None or panel is None or len(treatment.starts) != 1:
        return ()
    post = panel.last - treatment.starts[0] + 1
    factors = {rho: ar1_inflation(rho, panel.periods, post) ** 0.5 for rho in (0.2, 0.4, 0.6, 0.8)}
    for column in paper.columns:
        b, se = column.get(treatment.term, "estimate"), column.get(treatment.term, "std_error")
        if b is None or se is None or set(column.facts.fixed_effects) != {"unit", "time"}:
            continue
        t = t_range(b, se)
        room = t / 1.96
        falls = next((rho for rho, f in factors.items() if f > room.hi), None)
        tail = f"; serial correlation of {falls} in the errors would do it" if falls else ""
        out.append(
            Check(
                id=f"31:{column.key}", family=31, kind="heuristic", tokens=(b.id, se.id), verdict="cannot_tell",
                formula=f"t/1.96 = {show(room, 3)}; AR(1) SE inflation "
                + ", ".join(f"{r}: {f:.2f}" for r, f in factors.items()),
                interval=room, statement=f"SEs {room.hi:.2f} times as large would take the 5% significance of "
                f"{treatment.term} in {column.name} away{tail}.", category="claim", severity="none",
            )
        )  # fmt: skip
    return tuple(out)
