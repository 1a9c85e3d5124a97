"""What may be said of two numbers, and how much does their difference matter?

Two axes: the *verdict* names how the numbers relate, the *severity* what a difference does to the paper.
"""

from __future__ import annotations

from typing import Literal

Verdict = Literal[
    "exact",
    "numerical",
    "rounding",
    "convention",
    "sample",
    "convergence",
    "stochastic",
    "known",
    "unexplained",
    "missing_reference",
    "missing_candidate",
    "unsupported",
    "error",
    "stale",
    "nondeterministic",
]
Severity = Literal["none", "cosmetic", "printed", "decision", "structural"]

AGREE: tuple[Verdict, ...] = ("exact", "numerical", "rounding")
EXPLAINED: tuple[Verdict, ...] = ("convention", "sample", "convergence", "stochastic", "known")
DIFFERENT: tuple[Verdict, ...] = ("unexplained",)
NOT_COMPARED: tuple[Verdict, ...] = (
    "missing_reference",
    "missing_candidate",
    "unsupported",
    "error",
    "stale",
    "nondeterministic",
)
VERDICTS: tuple[Verdict, ...] = (*AGREE, *EXPLAINED, *DIFFERENT, *NOT_COMPARED)
SEVERITIES: tuple[Severity, ...] = ("none", "cosmetic", "printed", "decision", "structural")

EXIT_AGREES, EXIT_DISCREPANCY, EXIT_BAD_INPUT, EXIT_NOTHING = 0, 1, 2, 3

# Worst first: what a cell of the engines x columns matrix shows.
BADNESS: tuple[Verdict, ...] = (
    "unexplained",
    "error",
    "nondeterministic",
    "stale",
    "missing_candidate",
    "missing_reference",
    "sample",
    "convention",
    "convergence",
    "stochastic",
    "known",
    "unsupported",
    "rounding",
    "numerical",
    "exact",
)


def worse(a: Severity, b: Severity) -> Severity:
    """Return the graver of two severities."""
    return a if SEVERITIES.index(a) >= SEVERITIES.index(b) else b


def at_least(severity: Severity, threshold: Severity) -> bool:
    """Say whether a severity reaches a threshold; ``none`` never does."""
    return severity != "none" and SEVERITIES.index(severity) >= max(1, SEVERITIES.index(threshold))
