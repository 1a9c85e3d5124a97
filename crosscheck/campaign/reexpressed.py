"""Do two engines agree once the same regressors are written in a basis that costs no digits?

A mean far from zero, or a column nearly in the span of others, makes normal equations lose digits (or a column look
collinear, or constant) in some algorithms and not in others. The replay asks both engines for the same model with its
numeric regressors centred, made orthogonal to the columns before them, and brought to one scale: the space that they
span is the same. Where the engines then agree in the quantity, the basis was the reason. A fault of another kind is
there in any basis and stays a discrepancy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import CrosscheckError
from crosscheck.explain.model import Explanation
from crosscheck.formula import Call, Expr, Name, names, parse
from crosscheck.frame import Column, Frame
from crosscheck.judging import Cell
from crosscheck.modelmatrix import evaluate
from crosscheck.spec import FitRequest, VcovSpec
from crosscheck.verdict import AGREE

RULE = "ill_conditioned"
BAD = 1e4
"""From this ratio on of a regressor's length to what is left of it, normal equations keep fewer than eight digits."""
SMALL, LARGE = 1e-4, 1e4
"""Beyond these standard deviations its units decide what thresholds make of a regressor."""
OF_THE_FIT = ("nobs", "terms", "estimate", "dropped", "df_resid", "r2", "adj_r2", "r2_within", "fitted", "residuals")
SETTLED = 1e-5
"""Relative, of iterated estimators, as ``iterations_stop`` of ``known.toml`` has it."""
OF_NUMBERS = ("I", "log", "exp", "sqrt", "abs", "lag")
DIFFERENT = ("unexplained", "missing_candidate", "missing_reference")
Compare = Callable[[FitRequest, Frame], Sequence[Cell]]


def explain_basis(cells: Sequence[Cell], request: FitRequest, frame: Frame, again: Compare) -> list[Cell]:
    """Explain cells whose quantity agrees in the other basis.

    Parameters
    ----------
    cells : sequence of Cell
    request : FitRequest
    frame : Frame
    again : callable
        Fits both engines to a frame and compares them, with every explanation but this one.
    """
    bad = [c for c in cells if c.verdict in DIFFERENT and c.severity != "none"]
    if not bad or not request.formula:
        return list(cells)
    other = reexpressed(request, frame)
    if other is None:
        return list(cells)
    worse, asked, moved = other
    try:
        seen = list(again(asked, moved))
        if not seen and request.vcov.canonical != "iid":
            # a covariance that one side refuses on such data says nothing of terms and estimates
            plain = asked.model_copy(update={"vcov": VcovSpec(type="iid")})
            seen = [c for c in again(plain, moved) if c.quantity in OF_THE_FIT]
    except CrosscheckError:
        return list(cells)
    iterated = request.estimator in ("fepois", "feglm")
    still = {
        c.quantity for c in seen if c.verdict in DIFFERENT and c.severity != "none" and not (iterated and _settled(c))
    }
    agreed = {c.quantity for c in seen if c.verdict in AGREE or c.explanations} | {
        c.quantity for c in seen if iterated and _settled(c)
    }
    if still & {"nobs", "terms"} or not agreed:
        return list(cells)
    why = Explanation(
        rule=RULE,
        title="a regressor's mean, or its neighbour, costs the digits",
        verdict="convergence",
        formula=f"|x| is {worse:.1e} of what is left of x; centred, orthogonal and of scale one, the engines agree",
        replay=worse,
        remedy={"": "centre and rescale the regressors"},
    )
    missing = {"missing_candidate", "missing_reference"}
    return [
        c.explained("convergence", (why,))
        if c in bad
        and (c.quantity in agreed or c.verdict in missing or c.quantity == "dropped")
        and c.quantity not in still
        else c
        for c in cells
    ]


def _settled(cell: Cell) -> bool:
    """Say whether two numbers are as near as iterations that end when the deviance settles bring them."""
    a, b = cell.reference_value, cell.candidate_value
    return isinstance(a, float) and isinstance(b, float) and abs(a - b) <= SETTLED * max(abs(a), abs(b))


def reexpressed(request: FitRequest, frame: Frame) -> tuple[float, FitRequest, Frame] | None:
    """Return how badly the regressors are conditioned, and request and frame in a good basis; ``None`` where well.

    The outcome is centred where its own mean costs as much. A function of a column is a column of its own.
    """
    request, frame = _evaluated(request, frame)
    formula = parse(request.formula)
    groups = {n for parts in formula.fixed_effects for n in parts} | set(request.vcov.cluster)
    outcome = names(formula)[0]
    used = [n for n in names(formula) if n not in groups and n in frame]
    plain = {factor.name for term in formula.terms for factor in term if isinstance(factor, Name)}
    whole_numbers = {n for n in used if frame[n].kind == "integer" and (n in plain or _large(frame, n))}
    numeric = [n for n in dict.fromkeys(used) if frame[n].kind == "float" or n in whole_numbers]
    columns = {n: frame[n].as_float() for n in numeric}
    whole = np.all([np.isfinite(v) for v in columns.values()], axis=0) if columns else np.zeros(0, dtype=bool)
    if request.weights is not None and columns:
        whole &= frame[request.weights.column].as_float() > 0
    if not columns or whole.sum() < 2:
        return None
    basis = [np.ones(int(whole.sum()))]
    worst, moved = 1.0, {}
    instruments = set(names(replace(formula, terms=(), fixed_effects=()))) - {outcome} if formula.iv else set()
    for name in numeric:
        x = columns[name]
        others = basis[:1] if name == outcome or name in instruments else basis
        rest, fitted = _swept(x[whole], others)
        length, left = float(np.linalg.norm(x[whole])), float(np.linalg.norm(rest))
        if length == 0.0 or left <= 1e-14 * length:  # exactly collinear, or constant: as it is
            continue
        ratio = length / left
        scale = left / np.sqrt(rest.size)
        if ratio < BAD and (SMALL < scale < LARGE or name == outcome):
            if name != outcome:
                basis.append(x[whole])
            continue
        values = np.full(x.shape, np.nan)
        values[whole] = rest / scale if name != outcome else rest
        left_out = np.isfinite(x) & ~whole
        values[left_out] = (x[left_out] - fitted) / (scale if name != outcome else 1.0)
        moved[name] = values
        worst = max(worst, ratio)
        if name != outcome:
            basis.append(values[whole])
    if not moved:
        return None
    columns_ = tuple(Column(c.name, "float", moved[c.name]) if c.name in moved else c for c in frame.columns)
    return worst, request, Frame(columns_, frame.nrows)


def _evaluated(request: FitRequest, frame: Frame) -> tuple[FitRequest, Frame]:
    """Return a request in which functions of columns among the regressors are columns."""
    formula = parse(request.formula)
    made: dict[Expr, Column] = {}

    def plain(factor: Expr) -> Expr:
        if not isinstance(factor, Call) or factor.function not in OF_NUMBERS:
            return factor
        if factor not in made:
            name = next(n for n in (f"made {k}" for k in count(len(made) + 1)) if n not in frame.names)
            made[factor] = Column(name, "float", evaluate(factor, frame, unit=request.unit, time=request.time))
        return Name(made[factor].name)

    terms = tuple(tuple(plain(f) for f in term) for term in formula.terms)
    if not made:
        return request, frame
    columns = (*request.columns, *(c.name for c in made.values())) if request.columns else ()
    asked = request.model_copy(update={"formula": str(replace(formula, terms=terms)), "columns": columns})
    return asked, Frame((*frame.columns, *made.values()), frame.nrows)


def _large(frame: Frame, name: str) -> bool:
    column = frame[name]
    return column.kind == "integer" and float(np.abs(column.as_float()).max(initial=0.0)) > BAD


def _swept(x: NDArray[np.float64], basis: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], float]:
    """Return what the columns of a basis leave of x, twice swept, and its mean."""
    mean = float(x.mean())
    rest = x - mean
    if len(basis) > 1:
        block = np.column_stack([b - b.mean() for b in basis[1:]])
        norms = np.linalg.norm(block, axis=0)
        block = block[:, norms > 0] / norms[norms > 0]
        for _ in range(2):
            rest = rest - block @ np.linalg.lstsq(block, rest, rcond=1e-12)[0]
    return rest, mean
