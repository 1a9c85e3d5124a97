"""How is a paper audited from Python, and what does the report say?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscheck.audit.checks import CATEGORIES, CATEGORY_TITLES, FAMILIES, SEVERITIES, VERDICTS, Check
from crosscheck.audit.engine import Coverage, coverage, from_frame, load, one_finding_each, order, run_families
from crosscheck.audit.facts import Claims, Facts, parse
from crosscheck.audit.joint.family import joint
from crosscheck.audit.paper import Paper
from crosscheck.canon import dumps, sha256
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What the printed numbers prove about themselves.

    Attributes
    ----------
    paper : Paper
        Tokens and facts that were audited.
    checks : tuple of Check
        Every check, findings first.
    coverage : Coverage
        Which tokens took part in which checks.
    """

    paper: Paper
    checks: tuple[Check, ...]
    coverage: Coverage

    @property
    def findings(self) -> tuple[Check, ...]:
        """What a reader of the paper should be told, most important first."""
        return tuple(c for c in self.checks if c.is_finding)

    @property
    def inconsistent(self) -> tuple[Check, ...]:
        """Findings that cannot be true."""
        return tuple(c for c in self.checks if c.verdict == "inconsistent")

    def counts(self) -> Mapping[str, int]:
        """Number of checks by verdict."""
        return {v: sum(c.verdict == v for c in self.checks) for v in VERDICTS}

    def worst(self) -> str:
        """Highest severity of an inconsistency, ``none`` where there is none."""
        return max((c.severity for c in self.inconsistent), key=SEVERITIES.index, default="none")

    def token_verdict(self, token: str) -> str:
        """Verdict that colours a token: the gravest of its checks (findings before anything else)."""
        mine = [c for c in self.checks if token in c.tokens]
        if any(c.verdict == "inconsistent" for c in mine):
            return "inconsistent"
        if any(c.verdict == "reveals" and c.is_finding and len(c.tokens) <= 12 for c in mine):
            return "reveals"
        return "consistent" if any(c.verdict == "consistent" for c in mine) else "cannot_tell"

    def sentence(self) -> str:
        """The report in one sentence."""
        by = {c: [f for f in self.findings if f.category == c] for c in CATEGORIES}
        wrong = len(self.inconsistent)
        counts = [
            _count(len(by["arithmetic"]), "error of arithmetic", "errors of arithmetic"),
            _count(len(by["design"]), "design mismatch", "design mismatches"),
            _count(len(by["claim"]), "claim that the numbers do not support", "claims that the numbers do not support"),
            _count(len(by["undisclosed"]), "undisclosed choice", "undisclosed choices"),
        ]
        certain = f" ({_count(wrong, 'contradiction', 'contradictions')} among them)" if self.findings else ""
        tested, total = len(self.coverage.tested), len(self.paper.tokens)
        return (
            f"{', '.join(counts[:-1])} and {counts[-1]}{certain}, from {len(self.checks)} checks of {total} printed "
            f"numbers, {'all' if tested == total else tested} of them tested."
        ).capitalize()

    def main_points(self, most: int = 8, each: int = 3) -> tuple[Check, ...]:
        """The gravest findings, a few of each category: what to read when there is time for one screen."""
        ranked = sorted(
            self.findings, key=lambda c: (c.verdict != "inconsistent", -SEVERITIES.index(c.severity), -c.rank)
        )
        taken: list[Check] = []
        for check in ranked:
            if len(taken) < most and sum(t.category == check.category for t in taken) < each:
                taken.append(check)
        return tuple(sorted(taken, key=lambda c: (CATEGORIES.index(c.category), c.verdict != "inconsistent", -c.rank)))

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        digest = sha256("\n".join(f"{t.id}={t.printed}" for t in self.paper.tokens.values()))
        return {
            "schema": SCHEMA,
            "paper": self.paper.facts.paper,
            "summary": {
                "sentence": self.sentence(),
                "tokens": len(self.paper.tokens),
                "checks": len(self.checks),
                "verdicts": dict(self.counts()),
                "worst": self.worst(),
                "digest": digest,
            },
            "findings": [_plain(c) for c in self.findings],
            "coverage": {
                "tokens": len(self.coverage.checks_of),
                "tested": len(self.coverage.tested),
                "bare": list(self.coverage.bare),
                "checks_of": {token: list(ids) for token, ids in self.coverage.checks_of},
            },
            "checks": [_plain(c) for c in self.checks],
        }

    def json(self) -> str:
        """Return the report as JSON text."""
        return dumps(self.to_json(), indent=2) + "\n"

    def html(self) -> str:
        """Return the report as one HTML file that opens offline."""
        from crosscheck.audit.report import render

        return render(self, "audit.html.j2")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        from crosscheck.audit.report import render

        return render(self, "audit.md.j2")

    def text(self) -> str:
        """Return the findings as plain lines for a terminal."""
        lines = [self.sentence(), ""]
        for category in CATEGORIES:
            mine = [c for c in self.findings if c.category == category]
            if mine:
                lines.append(f"{CATEGORY_TITLES[category]}:")
                lines += [f"  {c.verdict:<12} {c.statement}\n  {'':<12} {c.formula}" for c in mine]
                lines.append("")
        return "\n".join(lines)


def _count(n: int, one: str, many: str) -> str:
    return f"{n or 'no'} {one if n == 1 else many}"


def _plain(check: Check) -> dict[str, Any]:
    box = check.interval
    return {
        "id": check.id, "family": check.family, "family_name": FAMILIES[check.family], "kind": check.kind,
        "category": check.category, "tokens": list(check.tokens), "verdict": check.verdict,
        "interval": None if box is None else [box.lo, box.hi], "formula": check.formula,
        "statement": check.statement, "strength": check.strength, "severity": check.severity,
        **({"certificate": dict(check.certificate)} if check.certificate else {}),
    }  # fmt: skip


def audit(
    source: Path | str | pd.DataFrame,
    facts: Facts | Mapping[str, Any] | None = None,
    claims: Claims | Mapping[str, Any] | None = None,
    *,
    joint_step: bool = True,
) -> AuditReport:
    """Audit a paper: a study's folder, or a data frame of printed strings with declared facts.

    Parameters
    ----------
    source : Path, str or DataFrame
        A folder with ``published.csv``, ``audit.toml`` and, if wanted, ``claims.toml``; or a frame with the columns
        table, column, term, quantity, printed (strings).
    facts, claims : optional
        Needed with a data frame: the content of the two TOML files, as models or mappings.
    joint_step : bool
        Whether to decide joint feasibility (family 34).

    Raises
    ------
    PublishedError, StudyError, UsageError
        Where numbers, facts or claims cannot be read.
    """
    if not isinstance(source, Path | str):
        if facts is None:
            raise UsageError("a data frame needs declared facts", hint="pass facts={...} as in audit.toml")
        known = facts if isinstance(facts, Facts) else parse(dict(facts), Facts, "facts")
        said = claims if claims is None or isinstance(claims, Claims) else parse(dict(claims), Claims, "claims")
        paper = from_frame(source, known, said)
    else:
        if facts is not None or claims is not None:
            raise UsageError("a folder brings its own facts and claims", hint="leave facts and claims out")
        paper = load(Path(source))
    return audit_paper(paper, joint_step=joint_step)


def _coverage_check(paper: Paper, seen: Coverage) -> Check:
    rest = [t for t in paper.tokens if t not in set(seen.tested)]
    return Check(
        id="35:coverage", family=35, kind="heuristic", tokens=(), verdict="cannot_tell" if rest else "consistent",
        formula=f"{len(seen.tested)} of {len(paper.tokens)} printed numbers in a check that could have failed",
        statement="Every printed number was tested." if not rest
        else f"{len(rest)} printed numbers were not tested: {', '.join(rest[:12])}{' ...' if len(rest) > 12 else ''}",
        severity="none",
    )  # fmt: skip


def audit_paper(paper: Paper, *, joint_step: bool = True, explain: bool = True) -> AuditReport:
    """Audit a paper that was already read."""
    checks = run_families(paper)
    if joint_step:
        checks = (*checks, *joint(paper, checks, explain=explain))
    seen = coverage(paper, checks)
    checks = one_finding_each(order((*checks, _coverage_check(paper, seen))))
    return AuditReport(paper=paper, checks=checks, coverage=coverage(paper, checks))
