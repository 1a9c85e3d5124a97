"""Can all printed numbers of a sample's columns be true at once? (Family 34.)"""

from __future__ import annotations

from collections.abc import Sequence

from crosscheck.audit.checks import Check
from crosscheck.audit.families.setype import CLASSICAL, se_columns
from crosscheck.audit.joint.conflict import Repair, minimal_conflict, single_repairs
from crosscheck.audit.joint.model import Block
from crosscheck.audit.joint.solver import Answer, solve
from crosscheck.audit.joint.system import System
from crosscheck.audit.paper import Paper

BUDGET = 60
PROBE = 12


def classical_columns(paper: Paper, checks: Sequence[Check]) -> tuple[frozenset[str], bool]:
    """Return the columns whose SEs are declared or named classical, and whether all of them are declared so."""
    declared = {c.key for c in paper.columns if c.facts.se == "iid"}
    named = {
        key for check in checks if check.id.startswith(CLASSICAL) for key in se_columns(paper, check)
    }  # fmt: skip
    return frozenset(declared | named), not named - declared


def joint(paper: Paper, checks: Sequence[Check], *, explain: bool = True) -> tuple[Check, ...]:
    """Decide for every sample whether its columns can all be printed truly (family 34).

    Source: the equations of :mod:`crosscheck.audit.joint.model`. Assumes the declared regressors, effects and
    common rows; classical SEs only where declared or named by family 36. Infeasibility is certified by outward-
    rounded hull consistency or by multipliers of a linear relaxation, verified in fractions, on every part of the
    box; feasibility by a point from which interval arithmetic computes every printed digit; otherwise
    ``cannot_tell``. Where classical SEs were inferred, an infeasible block counts as inconsistent only if it stays
    infeasible without that inference or if changing a single number repairs it. False positives: none beyond those
    of wrong facts, as both answers are certified.
    """
    classical, declared = classical_columns(paper, checks)
    out = []
    for sample in paper.facts.sample:
        columns = [c for c in paper.columns if c.facts.sample == sample.id and c.is_ols and c.nobs]
        if columns:
            out.append(_sample(paper, sample.id, classical, declared, explain))
    return tuple(out)


def _sample(paper: Paper, sample: str, classical: frozenset[str], declared: bool, explain: bool) -> Check:
    def build(without: frozenset[str], keys: frozenset[str] = classical) -> System:
        return Block(paper=paper, sample=sample, classical=keys, without=without).build()

    system = build(frozenset())
    tokens = tuple(t for t in system.token_of if t in paper.tokens)
    answer = solve(system, BUDGET)
    size = (
        f"{len(system.token_of)} printed numbers, {len(system.latent)} latent quantities, {len(system.ops)} equations"
    )
    name = f"sample {sample!r}"
    if answer.status != "infeasible":
        found = answer.status == "feasible"
        return Check(
            id=f"34:{sample}", family=34, kind="exact identity", tokens=tokens,
            verdict="consistent" if found else "cannot_tell", formula=f"{size}; {answer.nodes} boxes",
            statement=(
                f"All printed numbers of {name} can be true at once: a set of latent quantities reproduces every one, "
                "verified in interval arithmetic."
                if found
                else f"Whether all printed numbers of {name} can be true at once was not decided."
            ),
            strength="proof", severity="none", certificate=_point(system, answer),
        )  # fmt: skip
    inferred = not declared and any(c.key in classical for c in paper.columns if c.facts.sample == sample)
    proved = not inferred or solve(build(frozenset(), frozenset()), BUDGET).status == "infeasible"
    marks = tuple(system.token_of)
    conflict: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    if explain or not proved:
        conflict = minimal_conflict(build, marks)
        repairs = single_repairs(build, conflict, dict(paper.tokens), PROBE)
    if not proved and not repairs:
        return Check(
            id=f"34:{sample}", family=34, kind="exact identity", tokens=tokens, verdict="cannot_tell",
            formula=f"{size}; conflict {', '.join(conflict) or 'unknown'}", severity="none",
            statement=f"The numbers of {name} cannot all be true if its SEs are classical, but no single change would "
            "repair them: the SEs may be of another kind.",
        )  # fmt: skip
    members = tuple(t for t in conflict if t in paper.tokens) or tokens
    return Check(
        id=f"34:{sample}", family=34, kind="exact identity", tokens=members, verdict="inconsistent",
        formula=f"{size}; proved over {answer.nodes} boxes; minimal conflict: {', '.join(conflict) or '-'}",
        statement=f"These {len(members)} printed numbers of {name} cannot all be true; " + _words(paper, repairs),
        strength="proof" if proved else "strong", severity="printed", rank=10,
    )  # fmt: skip


def _point(system: System, answer: Answer) -> tuple[tuple[str, float], ...]:
    if answer.point is None:
        return ()
    return tuple((system.names[i], float(v)) for i, v in zip(system.latent, answer.point, strict=True))


def _words(paper: Paper, repairs: tuple[Repair, ...]) -> str:
    if not repairs:
        return "no change of a single number repairs them."
    parts = []
    for repair in repairs[:6]:
        token = paper.tokens.get(repair.token)
        place = token.place if token is not None else repair.token
        span = repair.low if repair.low == repair.high or not repair.high else f"{repair.low} to {repair.high}"
        span = span.replace(" to more", " or more")
        parts.append(f"{place} {repair.printed} -> {span}")
    return "changing one of them would: " + "; ".join(parts) + "."
