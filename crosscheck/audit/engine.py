"""Which checks can be made on a paper, and what do they say together?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crosscheck.audit.checks import CATEGORIES, Check
from crosscheck.audit.facts import Claims, Facts, read_toml
from crosscheck.audit.families import (
    composition,
    constant,
    descriptives,
    design,
    dynamics,
    fit,
    matched,
    mediation,
    prose,
    setype,
    stars,
    subgroups,
    variance,
)
from crosscheck.audit.paper import Paper, build
from crosscheck.audit.tokens import rows_of, tokens_of

if TYPE_CHECKING:
    import pandas as pd

Family = Callable[[Paper], tuple[Check, ...]]

FAMILY_FUNCTIONS: tuple[Family, ...] = (
    descriptives.precision, descriptives.domains, descriptives.grim,
    descriptives.debit, descriptives.bounds, descriptives.observations,
    descriptives.treated_share, fit.adj_r2_k, fit.increments, fit.nested_r2, fit.omitted_bound, fit.subsamples,
    stars.stars, stars.law_discrimination, stars.printed_tests, constant.bivariate, constant.through_means,
    constant.dummy_constant, constant.cell_means, variance.twfe_se, variance.common_vif, variance.se_ratio,
    variance.vif_floor, variance.winsorised, variance.residual_spread, mediation.coefficients, mediation.hidden_digits,
    mediation.added_se, mediation.indirect_effects, mediation.untested_paths, design.no_difference_in_differences,
    design.classification, design.turned_signs, design.inflation, design.effect_size, matched.matching, matched.called,
    dynamics.event_study, dynamics.timing, dynamics.placebo, composition.composition, composition.heads,
    composition.logs_and_shares, subgroups.subgroup_differences, prose.claims,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which tokens took part in which checks (family 35).

    ``tested`` are tokens in at least one check that could have failed; ``bare`` tokens that are in none at all.
    """

    checks_of: tuple[tuple[str, tuple[str, ...]], ...]
    tested: tuple[str, ...]
    bare: tuple[str, ...]


def load(folder: Path) -> Paper:
    """Read a study's printed numbers, facts and claims."""
    facts = read_toml(folder / "audit.toml", Facts)
    claims = read_toml(folder / "claims.toml", Claims) if (folder / "claims.toml").exists() else Claims()
    tokens, mark = tokens_of(rows_of(folder / "published.csv"))
    return build(tokens, mark, facts, claims)


def from_frame(frame: pd.DataFrame, facts: Facts, claims: Claims | None = None) -> Paper:
    """Join a data frame of printed strings with declared facts."""
    tokens, mark = tokens_of(rows_of(frame))
    return build(tokens, mark, facts, claims or Claims())


def run_families(paper: Paper) -> tuple[Check, ...]:
    """Make every check but the joint one, and decide what assumes classical SEs."""
    checks = tuple(check for family in FAMILY_FUNCTIONS for check in family(paper))
    return prose.judged(paper, setype.resolve(paper, checks))


def order(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Findings first, most important first: inconsistencies, then by category and rank."""
    weight = {"inconsistent": 0, "reveals": 1, "cannot_tell": 2, "consistent": 3}
    return tuple(
        sorted(
            checks,
            key=lambda c: (not c.is_finding, CATEGORIES.index(c.category), weight[c.verdict], -c.rank, c.family, c.id),
        )
    )


def one_finding_each(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Keep the first of several findings on a claim that rest on the same tokens; the rest stay as checks."""
    seen: list[tuple[str, frozenset[str]]] = []
    out = []
    for check in checks:
        tokens = frozenset(check.tokens)
        told = any(kind == check.kind and tokens <= other for kind, other in seen)
        if check.category == "claim" and check.verdict == "reveals" and check.is_finding:
            out.append(check.but(severity="none") if told else check)
            seen.append((check.kind, tokens))
        else:
            out.append(check)
    return tuple(out)


def coverage(paper: Paper, checks: tuple[Check, ...]) -> Coverage:
    """Count for every token the checks it takes part in (family 35)."""
    table: dict[str, list[str]] = {token: [] for token in paper.tokens}
    tested = set()
    for check in checks:
        for token in check.tokens:
            table[token].append(check.id)
            if check.verdict != "cannot_tell":
                tested.add(token)
    return Coverage(
        checks_of=tuple((t, tuple(ids)) for t, ids in table.items()),
        tested=tuple(t for t in table if t in tested),
        bare=tuple(t for t, ids in table.items() if not ids),
    )
