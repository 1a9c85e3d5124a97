"""Which numbers of two answers to one question differ, and is it drift or a break?

Drift is of the size of the tolerance at which an iteration stops; a break is more. Numbers of one kind are measured on
their own scale: a coefficient by itself or by its standard error, whichever is larger, fitted values and residuals by
the largest of them, covariances as correlations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosscheck import blocks
from crosscheck.compare import compare
from crosscheck.judging import P_FLOOR, Cell, Context
from crosscheck.results import COUNTS, Block, EstimationResult, Extra
from crosscheck.upgrade.joint import slack
from crosscheck.upgrade.model import Size

DRIFT = 1e-5
"""Solvers of the packages stop at 1e-6 to 1e-8, and what follows from it is ten times that."""
BLOCK_RTOL = 1e-8
COVARIANCE = "covariance"
FITTED = ("fitted", "residuals", "prediction", "predictions", "predicted")
DF = "df"
LOW = frozenset({"conf_low", "conf_high"})

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All comparisons of one question: cells, and for those that moved their size and relative distance."""

    cells: tuple[Cell, ...]
    sizes: dict[tuple[str, str], tuple[Size, float | None]]


def measure(old: EstimationResult, new: EstimationResult, context: Context, *, printed: bool = True) -> Measured:
    """Compare two answers, number by number.

    Parameters
    ----------
    old, new : EstimationResult
        Of two different engine ids.
    context : Context
    printed : bool
        Whether a table shows these numbers; where none does, drift is cosmetic whatever digit it turns.
    """
    cells = compare(_with_df(old), _with_df(new), context)
    if old.status == new.status == "ok":
        cells += [*_blocks(old, new, context), *_covariances(old, new, context)]
    sizes: dict[tuple[str, str], tuple[Size, float | None]] = {}
    out = []
    for found in cells:
        cell = found
        if cell.verdict == "unexplained":
            relative = distance(cell, old)
            bound = max(DRIFT, slack(cell.quantity, old, new))
            size: Size = "drift" if relative is not None and relative <= bound else "break"
            sizes[cell.term, cell.quantity] = (size, relative)
            if (size == "drift" and not printed) or cell.severity == "none":
                cell = replace(cell, severity="cosmetic")
        out.append(cell)
    return Measured(cells=tuple(out), sizes=sizes)


def distance(cell: Cell, reference: EstimationResult) -> float | None:
    """Return how far two numbers are apart on the scale of their kind; ``None`` where a count or no number differs."""
    a, b = cell.reference_value, cell.candidate_value
    if not isinstance(a, float | int) or not isinstance(b, float | int) or not (math.isfinite(a) and math.isfinite(b)):
        return None
    if cell.quantity in COUNTS or cell.quantity == DF:
        return None
    gap = abs(a - b)
    row = reference.coef(cell.term)
    error = row.std_error if row is not None and row.std_error and math.isfinite(row.std_error) else 0.0
    if reference.block(cell.term) is not None or cell.quantity == COVARIANCE:
        return cell.rel_diff
    if cell.quantity == "estimate" or cell.quantity in LOW:
        scale = max(abs(a), abs(b), error)
    elif cell.quantity == "statistic":
        scale = max(abs(a), abs(b), 1.0)
    elif cell.quantity == "p_value":
        least = min(x for x in (a, b, 1.0) if x > 0)
        if gap <= P_FLOOR:
            return 0.0
        scale = max(abs(a), abs(b)) * (1.0 + abs(math.log(least)))
    else:
        scale = max(abs(a), abs(b))
    return gap / scale if scale else 0.0


def _with_df(result: EstimationResult) -> EstimationResult:
    """Return an answer without blocks, in which degrees of freedom of t tests are numbers like others."""
    if result.status != "ok":
        return result
    known = {(e.term, e.quantity) for e in result.extras}
    more = tuple(
        Extra(term=row.term, quantity=DF, value=row.df)
        for row in result.coefs
        if row.df is not None and (row.term, DF) not in known
    )
    return result.with_(extras=(*result.extras, *more), blocks=())


def _blocks(old: EstimationResult, new: EstimationResult, context: Context) -> Iterator[Cell]:
    """Yield one cell for each quantity of each block: its worst member on the scale of the largest."""
    scale = _scale(old)
    for term in dict.fromkeys(b.term for b in (*old.blocks, *new.blocks)):
        a, b = old.block(term), new.block(term)
        if a is None or b is None:
            present = a or b
            assert present is not None
            for quantity in present.quantities:
                yield _cell(
                    context, old, new, term, quantity, "unsupported",
                    reason=f"{(old if a is None else new).engine} does not report {quantity} of {term}",
                    values=(None if a is None else _first(a, quantity), None if b is None else _first(b, quantity)),
                )  # fmt: skip
            continue
        labels = tuple(dict.fromkeys((*blocks.members(a), *blocks.members(b))))
        for quantity in dict.fromkeys((*a.quantities, *b.quantities)):
            yield from _quantity(context, old, new, term, quantity, (a, b), labels, scale)


def _first(block: Block, quantity: str) -> float | None:
    return next((v for v in block[quantity] if v is not None), None)


def _quantity(
    context: Context,
    old: EstimationResult,
    new: EstimationResult,
    term: str,
    quantity: str,
    pair: tuple[Block, Block],
    labels: Sequence[str],
    scale: float,
) -> Iterator[Cell]:
    lacking = [r.engine for r, block in zip((old, new), pair, strict=True) if quantity not in block.quantities]
    if lacking:
        first = tuple(_first(p, quantity) if quantity in p.quantities else None for p in pair)
        yield _cell(
            context, old, new, term, quantity, "unsupported",
            reason=f"{lacking[0]} does not report {quantity} of {term}", values=(first[0], first[1]),
        )  # fmt: skip
        return
    sizes = [len(p[quantity]) for p in pair]
    if sizes[0] != sizes[1] and not all(p.labels for p in pair):
        # without labels nobody knows which members are the same
        yield _cell(
            context, old, new, term, quantity, "missing_candidate" if sizes[1] < sizes[0] else "missing_reference",
            severity="structural", reason=f"{sizes[0]:,} {term} before, {sizes[1]:,} now",
        )  # fmt: skip
        return
    x, y = (blocks.aligned(p, tuple(labels), quantity) for p in pair)
    gone, came = np.isnan(y) & ~np.isnan(x), np.isnan(x) & ~np.isnan(y)
    for mask, verdict, where in ((gone, "missing_candidate", new.engine), (came, "missing_reference", old.engine)):
        if mask.any():
            yield _cell(
                context, old, new, term, quantity, verdict, severity="structural",
                reason=f"{where} has no {quantity} for {int(mask.sum()):,} of {len(labels):,} {term}",
            )  # fmt: skip
    both = ~np.isnan(x) & ~np.isnan(y)
    if not both.any():
        return
    with np.errstate(invalid="ignore"):  # infinite on both sides
        gaps = np.where(both, np.abs(x - y), 0.0)
    gaps = np.where(both & np.isinf(x) & (x == y), 0.0, gaps)
    own = float(np.max(np.abs(x[both]), initial=0.0))
    unit = max(own, scale if quantity in FITTED else 0.0) or 1.0
    worst = int(np.argmax(gaps))
    relative = float(gaps[worst]) / unit
    differing = int((gaps > BLOCK_RTOL * unit).sum())
    exact = not gaps.any()
    verdict = "exact" if exact else "numerical" if not differing else "unexplained"
    said = f"{differing:,} of {int(both.sum()):,} {term} differ" if differing else f"all {int(both.sum()):,} agree"
    yield replace(
        _cell(
            context, old, new, term, quantity, verdict,
            severity="none" if not differing else "cosmetic" if relative <= DRIFT else "printed",
            reason=f"{said}; largest difference in {labels[worst]}",
            values=(float(x[worst]), float(y[worst])),
        ),
        abs_diff=float(gaps[worst]), rel_diff=relative,
        digits=15.0 if exact else max(0.0, min(15.0, -math.log10(relative) if relative else 15.0)),
    )  # fmt: skip


def _scale(result: EstimationResult) -> float:
    """Return the largest fitted value or residual: both live on the outcome's scale."""
    numbers = [abs(v) for b in result.blocks for q in b.quantities if q in FITTED for v in b[q] if v is not None]
    return max((v for v in numbers if math.isfinite(v)), default=0.0)


def _covariances(old: EstimationResult, new: EstimationResult, context: Context) -> Iterator[Cell]:
    """Yield one cell for the off-diagonal covariances, in units of the standard errors."""
    names = [r.vcov_terms or tuple(row.term for row in r.coefs) for r in (old, new)]
    if not old.vcov or not new.vcov or set(names[0]) != set(names[1]) or len(names[0]) < 2:
        return
    order = [names[1].index(t) for t in names[0]]
    a, b = np.array(old.vcov, dtype=float), np.array(new.vcov, dtype=float)
    if a.shape != b.shape or a.shape[0] != len(order):
        return
    b = b[np.ix_(order, order)]
    with np.errstate(invalid="ignore", divide="ignore"):
        r, s = (v / np.sqrt(np.outer(np.diag(v), np.diag(v))) for v in (a, b))
    off = ~np.eye(len(order), dtype=bool)
    gaps = np.where(off & np.isfinite(r) & np.isfinite(s), np.abs(r - s), 0.0)
    i, j = (int(k) for k in np.unravel_index(int(np.argmax(gaps)), gaps.shape))
    worst = float(gaps[i, j])
    verdict = "exact" if np.array_equal(a, b, equal_nan=True) else "numerical" if worst <= 1e-6 else "unexplained"
    yield replace(
        _cell(
            context, old, new, f"{names[0][i]}, {names[0][j]}", COVARIANCE, verdict,
            severity="none" if verdict != "unexplained" else "cosmetic" if worst <= DRIFT else "printed",
            reason=f"as a correlation it moved by {worst:.2g}" if worst else "",
            values=(float(a[i, j]), float(b[i, j])),
        ),
        abs_diff=abs(float(a[i, j] - b[i, j])), rel_diff=worst,
        digits=15.0 if not worst else max(0.0, min(15.0, -math.log10(worst))),
    )  # fmt: skip


def _cell(
    context: Context,
    old: EstimationResult,
    new: EstimationResult,
    term: str,
    quantity: str,
    verdict: str,
    *,
    severity: str = "none",
    reason: str = "",
    values: tuple[float | None, float | None] = (None, None),
) -> Cell:
    return Cell(
        study=context.study,
        table=context.table,
        column=context.column,
        term=term,
        quantity=quantity,
        reference=old.engine,
        candidate=new.engine,
        reference_value=values[0],
        candidate_value=values[1],
        verdict=verdict,  # type: ignore[arg-type]
        severity=severity,  # type: ignore[arg-type]
        reason=reason,
    )
