"""What do the sizes and standard errors of matched and trimmed samples prove? (Families 25, 39.)"""

from __future__ import annotations

from crosscheck.audit.checks import Check
from crosscheck.audit.facts import Sample
from crosscheck.audit.families.fit import feasible_k
from crosscheck.audit.interval import Interval, show
from crosscheck.audit.paper import ColumnView, Paper, treated_total
from crosscheck.audit.tokens import Token

GROWTH = 1.2


def matching(paper: Paper) -> tuple[Check, ...]:
    """Ask what a matched sample's N says about neighbours and trimming (family 25).

    With k neighbours, at most ``(1 + k)`` rows per treated row remain. Assumes matching of treated rows to control
    rows. False positives: medium where treated rows were trimmed too, which only raises k.
    """
    panel, treated = paper.facts.panel, treated_total(paper)
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
        out += _matched_terms(column, sample, nobs)
        out += _matched_by_row(column, panel.periods, ks, nobs)
        out += _matched_se(paper, column, full, nobs)
        out.append(
            Check(
                id=f"25:{column.key}", family=25, kind="bound", tokens=(nobs.id,), verdict=verdict,  # type: ignore[arg-type]
                formula=f"{column.nobs} <= (1 + k) x {rows}: k >= {least}; K {list(ks)}",
                interval=Interval(float(least), float("inf")), statement=words, category="undisclosed",
                severity="structural" if verdict == "inconsistent" else "cosmetic", rank=3,
            )
        )  # fmt: skip
    return tuple(out)


def _matched_terms(column: ColumnView, sample: Sample, nobs: Token) -> list[Check]:
    """Ask which regressors were left out of the matching."""
    others = [t for t in column.facts.terms if t not in sample.matching_terms and t != column.facts.terms[0]]
    if not sample.matching_terms:
        return []
    words = (
        f"{column.name} matches on {', '.join(sample.matching_terms)} but not on {', '.join(others)}, a control of the "
        "same regression, so nothing balances it; and the text does not say why."
        if others
        else f"{column.name} matches on every control."
    )
    return [
        Check(
            id=f"25:{column.key}:terms", family=25, kind="text", tokens=(nobs.id,), interval=None,
            verdict="reveals" if others else "consistent", statement=words, category="undisclosed",
            formula=f"{len(sample.matching_terms)} of {len(column.facts.terms) - 1} controls",
            severity="cosmetic" if others else "none", strength="proof", rank=2,
        )
    ]  # fmt: skip


def _matched_by_row(column: ColumnView, periods: int, ks: tuple[int, ...], nobs: Token) -> list[Check]:
    """Ask whether whole units or single rows were matched: units left, from K, times periods, against N."""
    if not ks or column.nobs is None or set(column.facts.fixed_effects) != {"unit", "time"}:
        return []
    least = min(ks) - len(column.facts.terms) - periods + 1
    holes = least * periods - column.nobs
    found = holes > 0
    words = (
        f"{column.name} was matched row by row, not unit by unit: {least} units of {periods} periods are "
        f"{least * periods} rows, but N is {column.nobs}; units drop out and return, and rows after treatment are "
        "matched on covariates that the treatment may have changed."
        if found
        else f"{column.name} can consist of whole units."
    )
    return [
        Check(
            id=f"25:{column.key}:rows", family=25, kind="exact identity",
            tokens=tuple(t.id for t in (nobs, column.r2, column.adj_r2) if t is not None),
            verdict="reveals" if found else "consistent", statement=words, category="design",
            formula=f"K - terms - (T - 1) = {least} units; {least} x {periods} = {least * periods} against "
            f"{column.nobs}",
            interval=Interval(float(least * periods), float(least * periods)), strength="strong",
            severity="decision" if found else "none", rank=4,
        )
    ]  # fmt: skip


def _matched_se(paper: Paper, column: ColumnView, full: int, nobs: Token) -> list[Check]:
    """Ask whether a matched column's SE grew by more than the lost rows explain."""
    treatment = paper.facts.treatment
    base = next(
        (c for c in paper.columns if c.facts.outcome == column.facts.outcome and paper.is_full(c.facts.sample)
         and paper.sample(c.facts.sample).rows is None and set(c.facts.terms) == set(column.facts.terms)
         and c.facts.fixed_effects == column.facts.fixed_effects),
        None,
    )  # fmt: skip
    if treatment is None or base is None or column.nobs is None:
        return []
    se, se0, b, b0 = (
        c.get(treatment.term, q) for q in ("std_error", "estimate") for c in (column, base)
    )  # fmt: skip
    if se is None or se0 is None or b is None or b0 is None:
        return []
    ratio = se.interval / se0.interval
    rows = (full / column.nobs) ** 0.5
    found = ratio.lo > GROWTH * rows
    reach = Interval(b.interval.lo - 1.96 * se.interval.hi, b.interval.hi + 1.96 * se.interval.hi)
    words = (
        f"The SE of {treatment.term} in {column.name} is {ratio.mid:.2f} times that in {base.name}, though the lost "
        f"rows alone explain {rows:.2f}: matching removed the rows that identify the effect. Its 95% interval runs "
        f"from {reach.lo:.4f} to {reach.hi:.4f}"
    )
    words += ", so it can tell neither no effect nor the baseline." if reach.lo < 0 < b0.value < reach.hi else "."
    return [
        Check(
            id=f"25:{column.key}:se", family=25, kind="heuristic", tokens=(se.id, se0.id, b.id, b0.id, nobs.id),
            verdict="reveals" if found else "consistent", interval=ratio, category="claim", strength="suggestive",
            statement=words if found else f"The SE of {treatment.term} in {column.name} grew as the lost rows explain.",
            formula=f"{se.printed}/{se0.printed} = {show(ratio, 3)} against sqrt({full}/{column.nobs}) = {rows:.3f}",
            severity="decision" if found else "none", rank=3.5,
        )
    ]  # fmt: skip


def called(paper: Paper) -> tuple[Check, ...]:
    """Ask whether a sample said to leave rows out has fewer rows (family 39).

    Counting; reads what the paper calls the sample. No false positives. Assumes that the name is the paper's.
    """
    out = []
    for column in paper.columns:
        sample = paper.sample(column.facts.sample)
        nobs = column.get("", "nobs")
        if not sample.called or nobs is None or sample.rows is None:
            continue
        full = next((c for c in paper.columns if c.facts.sample == sample.rows and c.nobs), None)
        whole = full.get("", "nobs") if full else None
        if full is None or whole is None:
            continue
        same = whole.value == nobs.value
        out.append(
            Check(
                id=f"39:{column.key}:called", family=39, kind="exact identity", tokens=(nobs.id, whole.id),
                verdict="reveals" if same else "consistent", interval=whole.interval, category="claim",
                formula=f"N {nobs.printed} against {whole.printed}", strength="proof",
                statement=(
                    f"'{sample.called}' ({column.name}) excludes nothing: N is {nobs.printed} as in {full.name}; "
                    "extreme values were pulled in, not left out."
                    if same
                    else f"'{sample.called}' ({column.name}) has fewer rows than {full.name}."
                ),
                severity="cosmetic" if same else "none", rank=2,
            )
        )  # fmt: skip
    return tuple(out)
