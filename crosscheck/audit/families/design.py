"""What do counts and signs prove about how the study was done? (Families 19, 24, 31, 40.)"""

from __future__ import annotations

from itertools import combinations

from crosscheck.audit.checks import Check
from crosscheck.audit.facts import Partition
from crosscheck.audit.families.stars import printed_stars, t_range
from crosscheck.audit.formulas import ar1_inflation
from crosscheck.audit.interval import show
from crosscheck.audit.paper import Paper, treated_total


def no_difference_in_differences(paper: Paper) -> tuple[Check, ...]:
    """Ask which columns called difference-in-differences lack unit or period effects (family 40).

    A regression on the treatment without both sets of effects (or group and period dummies) compares treated rows
    with all others. Reads the declared effects. False positives: none where the columns are declared completely.
    Assumes nothing else.
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

    Enumerates assignments of subsamples to the groups of a declared public classification such that no subsample
    has more units than its group. Conditional on that outside list. False positives: medium. Assumes that outside
    list.
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
    total, treatment = treated_total(paper), paper.facts.treatment
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
    listed = ", ".join(f"{counts[name]} {name}" for name in scheme.groups if name in counts)
    words = f"If every unit of the public list that is in the sample counts as treated, the treated are {listed}, and "
    words += f"{dropped} of them in no subsample."
    if single:
        words = (
            f"The {single[0]} estimate seems to rest on a single treated unit, from which no SE can be told, so "
            f"that its insignificance says nothing about the region. {words}"
        )
    return [
        Check(
            id=f"24:{scheme.name}:treated", family=24, kind="heuristic", tokens=tokens, verdict="reveals",
            formula=", ".join(f"{name} {count}" for name, count in scheme.treated.items())
            + f"; less {lost} of {' '.join(short) or 'none'} = {total} treated (mean of {treatment.term})",
            statement=words, category="design", strength="suggestive", severity="decision", rank=7,
        )
    ]  # fmt: skip


def turned_signs(paper: Paper) -> tuple[Check, ...]:
    """Ask which controls change sign or significance when effects are added (family 19).

    Compares columns that differ in nothing but fixed effects. A reading of stars and signs, not a test. No false
    positives; the text may have good reasons. Assumes nothing.
    """
    out: list[Check] = []
    treatment, legend = paper.facts.treatment, paper.legend
    if treatment is None or legend is None:
        return ()
    for small in paper.columns:
        for large in paper.columns:
            if not paper.nested(small, large) or set(small.facts.terms) != set(large.facts.terms):
                continue
            turned, tokens, shown = [], [], []
            for term in small.facts.terms:
                a, b = small.get(term, "estimate"), large.get(term, "estimate")
                one, two = printed_stars(paper, small, term), printed_stars(paper, large, term)
                if a is None or b is None or one is None or two is None or term == treatment.term:
                    continue
                flips = a.printed.startswith("-") != b.printed.startswith("-")
                if flips or bool(one) != bool(two):
                    turned.append(term)
                    tokens += [a.id, b.id]
                    left, right = (legend.mark(k) if k else "" for k in (one, two))
                    shown.append(f"{term} {a.printed}{left} -> {b.printed}{right}")
            out.append(
                Check(
                    id=f"19:{small.key}<{large.key}:signs", family=19, kind="heuristic", tokens=tuple(tokens),
                    verdict="reveals" if turned else "consistent", formula="; ".join(shown) or "none",
                    statement=(
                        f"{', '.join(turned)} change sign or significance from {small.name} to {large.name}: what the "
                        "controls say depends on the effects, which the text does not discuss."
                        if turned
                        else f"Controls keep sign and significance from {small.name} to {large.name}."
                    ),
                    category="undisclosed", strength="proof", severity="cosmetic" if turned else "none", rank=1.5,
                )
            )  # fmt: skip
    return tuple(out)


def effect_size(paper: Paper) -> tuple[Check, ...]:
    """Ask how large an effect is beside the outcome's mean and spread (family 31).

    ``b/mean`` and ``b/SD`` over the printed boxes. A number for the reader, never a finding. Assumes descriptives
    of the same sample. False positives: none, as nothing is called wrong.
    """
    treatment, out = paper.facts.treatment, []
    for column in paper.columns:
        b = column.get(treatment.term, "estimate") if treatment else None
        mean, sd = (paper.describe(column.facts.outcome, q, column.facts.sample) for q in ("mean", "std_dev"))
        if b is None or mean is None or sd is None or not column.facts.fixed_effects or mean.interval.mig == 0.0:
            continue
        share, spread = b.interval / mean.interval, b.interval / sd.interval
        out.append(
            Check(
                id=f"31:{column.key}:size", family=31, kind="heuristic", tokens=(b.id, mean.id, sd.id), interval=share,
                verdict="cannot_tell", formula=f"{b.printed}/{mean.printed} = {show(share, 3)}; "
                f"{b.printed}/{sd.printed} = {show(spread, 3)}",
                statement=f"{b.place} is {share.mid:.1%} of the mean of {column.facts.outcome} and {spread.mid:.2f} of "
                "its SD.",
                category="claim", severity="none",
            )
        )  # fmt: skip
    return tuple(out)


def inflation(paper: Paper) -> tuple[Check, ...]:
    """Ask how much the SE would have to grow for significance to go (family 31; Bertrand, Duflo, Mullainathan 2004).

    ``t/crit`` against the inflation of a classical DiD SE under AR(1) errors. A number for the reader, not a
    finding. Assumes AR(1) errors and a balanced panel. False positives: none, as nothing is called wrong.
    """
    out = []
    treatment, panel = paper.facts.treatment, paper.facts.panel
    if treatment is None or panel is None or len(treatment.starts) != 1:
        return ()
    post = panel.last - treatment.starts[0] + 1
    factors = {rho: ar1_inflation(rho, panel.units, panel.periods, post) ** 0.5 for rho in (0.2, 0.4, 0.6, 0.8)}
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
