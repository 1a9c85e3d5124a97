"""Does one side report bootstrapped standard errors, or bands for all effects at once?

Both depend on random draws, so that they cannot be reproduced to the digit. They are named only where the side says so
itself (a note ``simultaneous`` or ``bootstrap`` among its conventions) and its numbers are what such a procedure gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from crosscheck.conventions import critical
from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import close
from crosscheck.results import CoefRow, EstimationResult

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
DRAWS = 1000
SIGMAS = 5.0
IQR_ERROR = 1.17
"""Relative standard error of a scale taken from quartiles, times the root of the draws."""
ESTIMATES_MEET = 1e-8


def declares(result: EstimationResult, word: str) -> bool:
    """Say whether a result says of itself that it used a procedure."""
    said = (*result.conventions.notes, result.conventions.distribution or "", result.conventions.vcov or "")
    return any(word in text.lower() for text in said)


def explain_bands(reference: EstimationResult, candidate: EstimationResult, level: float) -> Found:
    """Explain bounds of the same effects and errors by pointwise bands on one side and simultaneous ones on the other.

    All bands of the simultaneous side must share one critical value, between the pointwise one and Bonferroni's.
    """
    values = [_critical(side) for side in (reference, candidate)]
    if None in values or len(reference.coefs) < 2:
        return {}
    own, other = values
    assert own is not None
    assert other is not None
    point = critical(level, math.inf)
    for side, c, opposite, d in ((candidate, other, reference, own), (reference, own, candidate, other)):
        highest = critical(1 - (1 - level) / len(side.coefs), math.inf)
        if not (close(point, d) and point < c <= highest * 1.02 and declares(side, "simultaneous")):
            continue
        departure = Departure(
            rule="did.bands",
            side=side.engine,
            opposite=opposite.engine,
            did="simultaneous",
            asked="pointwise",
            words={"flag_r": "FALSE"},
            back={"flag_r": "TRUE"},
        )
        text = f"ATT -+ {c:.6g} SE for all effects at once, ATT -+ {d:.6g} SE for each"
        found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
        for row in reference.coefs:
            mine = candidate.coef(row.term)
            if mine is None or mine.estimate is None or not mine.std_error or row.conf_low is None:
                continue
            for quantity, sign in (("conf_low", -1.0), ("conf_high", 1.0)):
                replay = mine.estimate + sign * own * mine.std_error
                wanted = getattr(row, quantity)
                found[row.term, quantity] = (write((departure,), formula=text, replay=replay, reference=wanted),)
        return found
    return {}


def _critical(side: EstimationResult) -> float | None:
    """Return the one critical value behind all bands of a side; ``None`` where they do not share one."""
    found = [c for c in map(_own, side.coefs) if c is not None]
    return found[0] if found and all(close(found[0], c) for c in found) else None


def _own(row: CoefRow) -> float | None:
    if row.conf_low is None or row.conf_high is None or not row.std_error or not math.isfinite(row.std_error):
        return None
    return (row.conf_high - row.conf_low) / 2 / row.std_error


def explain_bootstrap(reference: EstimationResult, candidate: EstimationResult, own: EstimationResult) -> Found:
    """Explain errors of the same effects by a bootstrap on one side: near the analytic ones, as its draws allow."""
    for side, other in ((candidate, reference), (reference, candidate)):
        if not declares(side, "bootstrap") or declares(other, "bootstrap"):
            continue
        said = " ".join(side.conventions.notes)
        match = re.search(r"([0-9]+) draws|B = ([0-9]+)", said)
        draws = int(next(g for g in match.groups() if g)) if match else DRAWS
        slack = SIGMAS * IQR_ERROR / math.sqrt(draws)
        found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
        departure = Departure(
            rule="did.bootstrap",
            side=side.engine,
            opposite=other.engine,
            did=f"bootstrapped ({draws} draws)",
            asked="analytic",
            words={"flag_r": "FALSE"},
            back={"flag_r": "TRUE"},
        )
        for row in side.coefs:
            analytic, theirs = own.coef(row.term), other.coef(row.term)
            if analytic is None or theirs is None or not _same_estimate(row, theirs, analytic):
                return {}
            if not analytic.std_error or not row.std_error or not theirs.std_error:
                continue
            ratio = row.std_error / analytic.std_error
            if not close(analytic.std_error, theirs.std_error) or abs(ratio - 1) > slack:
                return {}
            text = f"bootstrapped / analytic = {ratio:.4f}, expected within 1 -+ {slack:.3f}"
            made = write((departure,), formula=text, replay=analytic.std_error, reference=theirs.std_error)
            for quantity in ("std_error", "statistic", "p_value", "conf_low", "conf_high"):
                found[row.term, quantity] = (made,)
        return found
    return {}


def _same_estimate(*rows: CoefRow) -> bool:
    values = [r.estimate for r in rows]
    if any(v is None for v in values):
        return False
    scale = max((r.std_error or 0.0) for r in rows) + abs(values[0] or 0.0)
    return all(abs(v - values[0]) <= ESTIMATES_MEET * scale for v in values)  # type: ignore[operator]
