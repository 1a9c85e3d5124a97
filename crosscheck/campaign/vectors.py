"""Do two engines give the same fitted values and residuals, row by row?

They stand in the block ``rows`` of a result, one member for each row of the data. A fitted value near zero is as exact
as the largest of its column, so that these are judged on the scale of the column and not each on its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judging import Cell, Context
from crosscheck.results import EstimationResult

ROWS = "rows"
RTOL, STOL = 1e-8, 1e-6
ROUNDINGS = 1e-11
"""Of the largest fitted value or residual."""
Floats = NDArray[np.float64]


def without_rows(result: EstimationResult) -> EstimationResult:
    """Return a result without the block of rows, for the comparison of everything else."""
    if result.block(ROWS) is None:
        return result
    return result.with_(blocks=tuple(b for b in result.blocks if b.term != ROWS))


def _vectors(result: EstimationResult) -> dict[str, Floats]:
    block = result.block(ROWS)
    if block is None:
        return {}
    return {q: np.array([np.nan if v is None else v for v in block[q]], dtype=np.float64) for q in block.quantities}


def compare_vectors(reference: EstimationResult, candidate: EstimationResult, context: Context) -> list[Cell]:
    """Compare each vector that both sides give, as one cell: the row that is farthest apart.

    Two numbers agree up to ``RTOL`` of the largest and ``STOL`` of the spread of the residuals.
    """
    mine, theirs = _vectors(reference), _vectors(candidate)
    residuals = mine.get("residuals", np.empty(0))
    spread = float(np.nanstd(residuals)) if np.isfinite(residuals).any() else 0.0
    # a residual is what is left of the outcome: none of its digits is better than the outcome's last one
    largest = max((float(np.nanmax(np.abs(v))) for v in mine.values() if np.isfinite(v).any()), default=0.0)
    spread += ROUNDINGS / STOL * largest
    return [
        _cell(name, mine[name], theirs[name], spread, reference, candidate, context) for name in mine if name in theirs
    ]


def _cell(
    name: str,
    a: Floats,
    b: Floats,
    spread: float,
    reference: EstimationResult,
    candidate: EstimationResult,
    context: Context,
) -> Cell:
    base: dict[str, Any] = {
        "study": context.study,
        "table": context.table,
        "column": context.column,
        "quantity": name,
        "reference": reference.engine,
        "candidate": candidate.engine,
    }
    same_rows = a.shape == b.shape
    lost = np.isnan(a) != np.isnan(b) if same_rows else np.ones(1, dtype=bool)
    if lost.any():
        row = int(np.argmax(lost))
        return Cell(
            **base,
            term=f"row {row + 1}" if same_rows else "",
            reference_value=float(a[row]) if same_rows else float(a.size),
            candidate_value=float(b[row]) if same_rows else float(b.size),
            verdict="unexplained",
            severity="structural",
            reason=f"one side has no value in {int(lost.sum())} rows",
        )
    gap = np.where(np.isnan(a), 0.0, np.abs(a - b))
    row = int(np.argmax(gap)) if gap.size else 0
    largest = float(np.nanmax(np.abs(a))) if gap.size and not np.isnan(a).all() else 0.0
    close = gap.size == 0 or float(gap[row]) <= RTOL * largest + STOL * spread
    return Cell(
        **base,
        term=f"row {row + 1}",
        reference_value=float(a[row]) if gap.size else None,
        candidate_value=float(b[row]) if gap.size else None,
        abs_diff=float(gap[row]) if gap.size else 0.0,
        verdict="numerical" if close else "unexplained",
        severity="none" if close else "printed",
    )
