"""What do means, standard deviations and ranges prove about themselves? (Families 1, 6, 7, 8, 9.)"""

from __future__ import annotations

from crosscheck.audit.checks import Check, compare
from crosscheck.audit.formulas import binary_sd, samuelson
from crosscheck.audit.interval import Interval, integers, root, show, square
from crosscheck.audit.paper import Paper
from crosscheck.audit.tokens import Token


def _variables(paper: Paper) -> tuple[str, ...]:
    facts = paper.facts.descriptives
    if facts is None:
        return ()
    mine = [t for t in paper.tokens.values() if t.table == facts.table and t.column == facts.column]
    return tuple(dict.fromkeys(t.term for t in mine))


def _stats(paper: Paper, variable: str) -> dict[str, Token]:
    facts = paper.facts.descriptives
    assert facts is not None
    out = {}
    for quantity in ("nobs", "mean", "std_dev", "min", "max"):
        token = paper.describe(variable, quantity, facts.sample)
        if token is not None:
            out[quantity] = token
    return out


def precision(paper: Paper) -> tuple[Check, ...]:
    """Say which program's number format the raw strings show (family 1).

    Source: numeric display formats. Assumes nothing. False positives: low; padding is named only where an accident
    has a probability below 1e-6.
    """
    mark, out = paper.mark, []
    if mark.significant is not None:
        out.append(
            Check(
                id="1:padding", family=1, kind="heuristic", tokens=mark.padded, verdict="reveals",
                formula=f"{mark.padded_digits} printed digits beyond the {mark.significant}th significant one, all 0",
                statement=(
                    f"The numbers were printed with {mark.significant} significant digits and padded with zeros "
                    f"(as Stata's output does), so {len(mark.padded)} printed numbers are less exact than they look."
                ),
                category="undisclosed", strength="proof", severity="cosmetic", rank=1,
            )
        )  # fmt: skip
    zero = tuple(k for k in mark.zero_rounded if paper.tokens[k].quantity in ("estimate", "std_error"))
    if zero:
        out.append(
            Check(
                id="1:zero", family=1, kind="heuristic", tokens=zero, verdict="reveals",
                formula=f"{len(zero)} coefficients or standard errors are printed as zero",
                statement=(
                    f"{len(zero)} coefficients and standard errors are printed as zero because regressors were not "
                    "rescaled: the table does not say how large these effects are."
                ),
                category="undisclosed", strength="proof", severity="printed", rank=4,
            )
        )  # fmt: skip
    if mark.breaks:
        out.append(
            Check(
                id="1:format", family=1, kind="heuristic", tokens=mark.breaks, verdict="reveals",
                formula="no decimals where other numbers of the same kind have them",
                statement=(
                    "Some numbers are printed without decimals beside others that have them: the cell was typed or "
                    "reformatted by hand."
                ),
                category="undisclosed", strength="suggestive", severity="cosmetic",
            )
        )  # fmt: skip
    return tuple(out)


def domains(paper: Paper) -> tuple[Check, ...]:
    """Ask whether any number is outside what its quantity can be (family 8).

    An R2 or p-value above 1, a negative R2, SD, SE or count. Assumes an overall R2 with a constant. No false positives.
    """
    out = []
    for token in paper.tokens.values():
        wrong = token.interval.empty or (token.quantity == "nobs" and token.value < 1)
        if wrong:
            out.append(
                Check(
                    id=f"8:{token.id}:domain", family=8, kind="bound", tokens=(token.id,), verdict="inconsistent",
                    formula=f"{token.printed} is outside the range of its quantity", interval=None, strength="proof",
                    statement=f"{token.place} is {token.printed}, which no such number can be.", rank=9,
                )
            )  # fmt: skip
    return tuple(out)


def grim(paper: Paper) -> tuple[Check, ...]:
    """Ask whether a mean of integers can be a fraction with the printed N (family 6; Brown and Heathers 2017).

    Assumes the variable is declared integer and not weighted or imputed. False positives: high where padding were
    taken as digits, which is why padding is recognised first.
    """
    facts = paper.facts.descriptives
    if facts is None:
        return ()
    out = []
    for name in (*facts.binary, *facts.integer):
        stats = _stats(paper, name)
        mean, nobs = stats.get("mean"), stats.get("nobs")
        if mean is None or nobs is None:
            continue
        n = round(nobs.value)
        box = mean.interval * float(n)
        span = integers(box, -(10**15), 10**15) if box.width < 1000 else ()
        if box.width >= 1.0:
            verdict, text = "cannot_tell", "The mean is printed with too few digits to test it."
        elif span:
            verdict, text = "consistent", f"The mean of {name} is {span[0]}/{n}."
        else:
            verdict, text = "inconsistent", f"No whole number divided by {n} gives the printed mean of {name}."
        out.append(
            Check(
                id=f"6:{name}", family=6, kind="exact identity", tokens=(mean.id, nobs.id),
                verdict=verdict,  # type: ignore[arg-type]
                formula=f"{mean.printed} x {n} = {show(box, 8)} must hold a whole number", interval=box,
                statement=text, strength="proof", severity="printed" if verdict == "inconsistent" else "none", rank=6,
            )
        )  # fmt: skip
        sd = stats.get("std_dev")
        if sd is None or name in facts.binary:
            continue
        squares = square(sd.interval) * float(n - 1) + square(mean.interval) * float(n)
        possible = squares.width >= 2.0 or any((s - k) % 2 == 0 for s in integers(squares, 0, 10**18) for k in span)
        out.append(
            Check(
                id=f"6:{name}:sd", family=6, kind="exact identity", tokens=(mean.id, sd.id, nobs.id),
                verdict="cannot_tell" if squares.width >= 2.0 else "consistent" if possible else "inconsistent",
                formula=f"sum of squares {show(squares, 10)} must be a whole number of the sum's parity",
                interval=squares, statement=f"GRIMMER test of the SD of {name}.", strength="proof",
                severity="none" if possible else "printed",
            )
        )  # fmt: skip
    return tuple(out)


def ones_of(paper: Paper, name: str) -> tuple[int, ...]:
    """Return all numbers of ones that a binary variable's printed mean allows."""
    stats = _stats(paper, name) if paper.facts.descriptives else {}
    mean, nobs = stats.get("mean"), stats.get("nobs")
    if mean is None or nobs is None:
        return ()
    return integers(mean.interval * nobs.value, 0, round(nobs.value))


def debit(paper: Paper) -> tuple[Check, ...]:
    """Ask whether the SD of a 0/1 variable follows from its mean (family 7; Heathers and Brown 2019).

    Assumes the variable is declared binary. Either divisor, n or n - 1, is allowed. False positives: low.
    """
    facts = paper.facts.descriptives
    if facts is None:
        return ()
    out = []
    for name in facts.binary:
        stats = _stats(paper, name)
        mean, sd, nobs = stats.get("mean"), stats.get("std_dev"), stats.get("nobs")
        if mean is None or sd is None or nobs is None:
            continue
        n = round(nobs.value)
        ones = ones_of(paper, name)
        fits = {d: [k for k in ones if _near(binary_sd(k / n, n, d), sd.interval)] for d in (n, n - 1)}
        values = [binary_sd(k / n, n, d) for k in ones for d in (n - 1, n)]
        which = [label for d, label in ((n - 1, "n - 1"), (n, "n")) if fits[d]]
        out.append(
            Check(
                id=f"7:{name}", family=7, kind="exact identity", tokens=(mean.id, sd.id, nobs.id),
                verdict="consistent" if which else "inconsistent",
                formula=f"sqrt(p(1-p)n/(n-1)) with p = k/{n}, k in {list(ones)}",
                interval=Interval(min(values), max(values)) if values else None,
                statement=(
                    f"The SD of {name} follows from its mean (divisor {' or '.join(which)})."
                    if which
                    else f"The printed SD of the 0/1 variable {name} cannot belong to its printed mean."
                ),
                strength="proof", severity="none" if which else "printed", rank=6,
            )
        )  # fmt: skip
    return tuple(out)


def _near(value: float, box: Interval) -> bool:
    return box.lo * (1 - 1e-14) <= value <= box.hi * (1 + 1e-14)


def _zero_or_one(token: Token) -> bool:
    return 0.0 in token.interval or 1.0 in token.interval


def bounds(paper: Paper) -> tuple[Check, ...]:
    """Ask whether mean, SD, minimum and maximum can belong to one set of numbers (family 8).

    Bhatia and Davis (2000): ``var <= (max - mean)(mean - min) n/(n-1)``; Samuelson (1968); the floor that the two
    extremes themselves put under the SD; order; zero and one as the only values of a binary variable. No false
    positives, none of them assumes anything.
    """
    out: list[Check] = []
    for name in _variables(paper):
        stats = _stats(paper, name)
        if not {"nobs", "mean", "std_dev", "min", "max"} <= stats.keys():
            continue
        n = round(stats["nobs"].value)
        mean, sd, low, high = (stats[q].interval for q in ("mean", "std_dev", "min", "max"))
        ids = tuple(stats[q].id for q in ("nobs", "mean", "std_dev", "min", "max"))
        top = root((high - mean) * (mean - low) * (n / (n - 1.0)))
        reach = samuelson(sd, n)
        ex_hi, ex_lo = high - mean, mean - low
        floor = root((square(ex_hi) + square(ex_lo) + square(ex_hi - ex_lo) / max(n - 2.0, 1.0)) / (n - 1.0))
        problems = []
        if low.lo > mean.hi or mean.lo > high.hi:
            problems.append("the mean is outside the range")
        if paper.facts.descriptives is not None and name in paper.facts.descriptives.binary:
            ends = [stats[q] for q in ("min", "max")]
            problems += [f"a binary variable is never {t.printed}" for t in ends if not _zero_or_one(t)]
        if sd.lo > top.hi:
            problems.append("the SD is larger than the range allows")
        if ex_hi.lo > reach.hi or ex_lo.lo > reach.hi:
            problems.append("an extreme is farther from the mean than the SD allows")
        if sd.hi < floor.lo and n > 2:
            problems.append("the SD is too small for extremes that are reached")
        out.append(
            Check(
                id=f"8:{name}", family=8, kind="bound", tokens=ids,
                verdict="inconsistent" if problems else "consistent",
                formula=f"{show(floor)} <= sd {stats['std_dev'].printed} <= {show(top)}; |x - mean| <= {show(reach)}",
                interval=Interval(floor.lo, top.hi),
                statement=(
                    f"The descriptive statistics of {name} are impossible: {'; '.join(problems)}."
                    if problems
                    else f"Mean, SD and range of {name} can belong together."
                ),
                strength="proof", severity="printed" if problems else "none", rank=6,
            )
        )  # fmt: skip
    return tuple(out)


def observations(paper: Paper) -> tuple[Check, ...]:
    """Ask whether every N is units times periods, as declared (family 39).

    Assumes a balanced panel, as declared. No false positives.
    """
    panel, facts = paper.facts.panel, paper.facts.descriptives
    out: list[Check] = []
    if panel is None or not panel.balanced:
        return ()
    full = panel.units * panel.periods
    tokens = [t for t in paper.tokens.values() if t.quantity == "nobs" and facts and t.table == facts.table]
    tokens += [
        t for c in paper.columns for t in (c.get("", "nobs"),) if t is not None and paper.is_full(c.facts.sample)
    ]
    for token in tokens:
        out.append(
            compare(
                id=f"39:{token.id}", family=39, kind="exact identity", tokens=(token.id,), printed=token.interval,
                implied=float(full), formula=f"{panel.units} units x {panel.periods} periods = {full}",
                good="N is the number of units times the number of periods.",
                bad=f"{token.place} is {token.printed}, but {panel.units} units x {panel.periods} periods are {full}.",
                severity="structural", rank=8,
            )
        )  # fmt: skip
    return tuple(out)


def treated_share(paper: Paper) -> tuple[Check, ...]:
    """Ask how many units are treated, from the mean of the treatment (family 9).

    Solves ``k = sum_c g_c (T - c + 1)`` over cohorts by enumeration. Assumes a balanced panel and an absorbing
    treatment with the declared starts. Reports all solutions; no single guess. False positives: none where the
    panel is balanced and the dates are right.
    """
    panel, treatment, desc = paper.facts.panel, paper.facts.treatment, paper.facts.descriptives
    if panel is None or treatment is None or desc is None or not panel.balanced:
        return ()
    mean = paper.describe(treatment.term, "mean", desc.sample)
    if mean is None:
        return ()
    n = panel.units * panel.periods
    counts = integers(mean.interval * float(n), 0, n)
    options = paper.cohorts
    posts = [panel.last - start + 1 for start in treatment.starts]
    text = f"{mean.printed} x {n} = {show(mean.interval * float(n), 7)}: {list(counts)} treated rows"
    if not options:
        verdict, words = (
            "inconsistent",
            (f"The mean of {treatment.term} cannot come from whole units treated from {list(treatment.starts)} on."),
        )
    elif len(options) > 1:
        verdict, words = "cannot_tell", f"{len(options)} ways to spread the treated units over the start dates."
    else:
        groups = ", ".join(f"{g} units x {p} periods" for g, p in options[0])
        total = sum(g for g, _ in options[0])
        verdict, words = (
            "reveals",
            f"The mean of {treatment.term} is {groups}: {total} of {panel.units} units are treated.",
        )
        if treatment.world is not None and treatment.world != total:
            words += (
                f" The policy covers {treatment.world} ({treatment.world_source}), so "
                f"{treatment.world - total} of them is outside the sample, or in it and counted as untreated."
            )
    return (
        Check(
            id="9:treated", family=9, kind="exact identity", tokens=(mean.id,),
            verdict=verdict,  # type: ignore[arg-type]
            formula=f"{text}; post periods {posts}", interval=mean.interval * float(n), statement=words,
            category="arithmetic" if verdict == "inconsistent" else "undisclosed", strength="proof",
            severity={"reveals": "decision", "inconsistent": "structural"}.get(verdict, "none"), rank=9,
        ),
    )  # fmt: skip
