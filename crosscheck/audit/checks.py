"""What does one check say, with its arithmetic, and what makes it a finding?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from crosscheck.audit.interval import Interval, Number, as_interval

Verdict = Literal["consistent", "inconsistent", "reveals", "cannot_tell"]
Kind = Literal["exact identity", "bound", "inference law", "heuristic", "text"]
Category = Literal["arithmetic", "undisclosed", "design", "claim"]
Strength = Literal["proof", "strong", "suggestive"]

VERDICTS: tuple[Verdict, ...] = ("inconsistent", "reveals", "cannot_tell", "consistent")
CATEGORIES: tuple[Category, ...] = ("arithmetic", "design", "claim", "undisclosed")
CATEGORY_TITLES = {
    "arithmetic": "Errors of arithmetic",
    "design": "Design mismatches",
    "claim": "Claims that the numbers do not support",
    "undisclosed": "Choices that the numbers reveal and the text does not state",
}
SEVERITIES = ("none", "cosmetic", "printed", "decision", "structural")

FAMILIES: dict[int, str] = {
    1: "precision fingerprint", 2: "stars against b/se", 3: "law discrimination", 4: "adjusted R2 gives K",
    5: "bivariate column", 6: "GRIM", 7: "DEBIT", 8: "bounds on SD and range", 9: "panel design from treated share",
    10: "two-way FE SE", 11: "constant", 12: "common variance inflation", 13: "SE ratio", 14: "VIF floor",
    15: "mediation coefficients", 16: "added-regressor SE", 17: "R2 increment is t squared",
    18: "SE of the added regressor", 19: "nested R2", 20: "passes through means", 21: "omitted-variable bound",
    22: "2x2 cell means", 23: "subsample algebra", 24: "classification enumeration", 25: "matching feasibility",
    26: "winsorising contraction", 27: "event-study accounting", 28: "placebo design and tail",
    29: "subgroup difference", 30: "indirect effect", 31: "inflation to overturn", 32: "prose against table",
    33: "composition and units", 34: "joint feasibility", 35: "coverage", 36: "SE type from all identities",
    37: "hidden digits", 38: "residual variance across subsamples", 39: "sample size arithmetic",
    40: "design of a column",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check with its inputs, its formula with numbers, and its verdict.

    Attributes
    ----------
    id : str
        Stable: family and the tokens' place.
    tokens : tuple of str
        Ids of the tokens that take part.
    formula : str
        The formula with the numbers put in.
    interval : Interval or None
        What the formula allows; compared with the printed interval.
    statement : str
        One sentence on what it means for the paper.
    chance : float
        Probability that an unrelated number would have agreed (1: says nothing). Only for checks that test a
        hypothesis on how the numbers were made.
    assumes : str
        ``iid`` where the identity holds only for classical standard errors.
    rank : float
        Importance within a category, larger first.
    certificate : tuple of (str, float)
        The latent quantities that reproduce all tokens, where the check says that such a point exists.
    """

    id: str
    family: int
    kind: Kind
    tokens: tuple[str, ...]
    verdict: Verdict
    formula: str
    statement: str
    interval: Interval | None = None
    category: Category = "arithmetic"
    strength: Strength = "strong"
    severity: str = "printed"
    chance: float = 1.0
    assumes: str = ""
    rank: float = 0.0
    certificate: tuple[tuple[str, float], ...] = ()

    @property
    def is_finding(self) -> bool:
        """Whether a reader of the paper should be told."""
        return self.verdict in ("inconsistent", "reveals") and self.severity != "none"

    def but(self, **changes: object) -> Check:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def compare(
    *, id: str, family: int, kind: Kind, tokens: Iterable[str], printed: Number, implied: Number, formula: str,
    good: str, bad: str, scale: float = 0.1, assumes: str = "", severity: str = "printed", rank: float = 0.0,
    category: Category = "arithmetic", strength: Strength = "proof",
) -> Check:  # fmt: skip
    """Return the check that a printed interval meets an implied one.

    ``scale`` is the relative spread over which an unrelated number would have fallen; it turns the widths into the
    chance of an accidental agreement.
    """
    a, b = as_interval(printed), as_interval(implied)
    vacuous = b.lo == -float("inf") or b.hi == float("inf") or a.lo == -float("inf") or a.hi == float("inf")
    if vacuous and a.meets(b):
        return Check(
            id=id, family=family, kind=kind, tokens=tuple(tokens), verdict="cannot_tell", formula=formula, interval=b,
            statement="The printed digits leave the implied number unbounded.", category=category, assumes=assumes,
            severity="none", strength=strength,
        )  # fmt: skip
    ok = a.meets(b)
    centre = max(abs(a.mid), abs(b.mid), 1e-300)
    chance = min(1.0, (a.width + b.width) / (2 * scale * centre))
    return Check(
        id=id, family=family, kind=kind, tokens=tuple(tokens), verdict="consistent" if ok else "inconsistent",
        formula=formula, interval=b, statement=good if ok else bad, category=category, strength=strength,
        severity="none" if ok else severity, chance=chance, assumes=assumes, rank=rank,
    )  # fmt: skip
