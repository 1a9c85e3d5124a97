"""What is the same least squares model in columns that cost no digits?

:mod:`crosscheck.campaign.reexpressed` moves the columns of the data. A product, a square or a level times a number is
badly scaled of its own, though: ``I(x^2)`` of a regressor in small units, ``treated:x`` of one far from zero. Here the
columns of the model itself are swept of the effects and of each other and brought to scale one, and are the regressors
of a plain formula with the same effects, sample, weights and covariance. The space that they span is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.columns import beside_formula
from crosscheck.campaign.reexpressed import BAD, LARGE, SMALL
from crosscheck.formula import INTERCEPT, Name, emit, parse
from crosscheck.frame import Column, Frame
from crosscheck.modelmatrix import model_matrix
from crosscheck.spec import FitRequest

Floats = NDArray[np.float64]
ROUNDING = 1e-12
"""Of a column's length: what is left of it below this share is a rounding error of the column itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orthogonal:
    """A model in good columns.

    Attributes
    ----------
    request : FitRequest or None
        ``None`` where no column is left beside effects and constant.
    frame : Frame
    bad : bool
        Whether a column was nearly spanned by others, far from zero, or in units that make it tiny or huge.
    spanned : tuple of str
        Terms of which the effects, and the columns before them, leave nothing but rounding errors.
    """

    request: FitRequest | None
    frame: Frame
    bad: bool
    spanned: tuple[str, ...]


def orthogonal(request: FitRequest, frame: Frame) -> Orthogonal:
    """Return a least squares model in orthogonal columns of scale one.

    Parameters
    ----------
    request : FitRequest
        With a formula; endogenous regressors and instruments stay as they are.
    frame : Frame

    Raises
    ------
    CrosscheckError
        Where the formula has no numbers on the frame.
    """
    formula = parse(request.formula)
    matrix = model_matrix(formula, frame, unit=request.unit, time=request.time, also=beside_formula(request))
    kept = np.ones(matrix.rows.size, dtype=bool)
    if request.weights is not None:
        kept = frame[request.weights.column].as_float()[matrix.rows] > 0
    basis = [(codes[:, None] == np.unique(codes)).astype(np.float64) for codes in matrix.fe_codes.T]
    if INTERCEPT in matrix.names:
        basis.append(np.ones((matrix.rows.size, 1)))
    bad = False
    spanned: list[str] = []
    made: list[Column] = []
    for name, x in zip(matrix.names, matrix.X.T, strict=True):
        if name == INTERCEPT:
            continue
        rest = _swept(x, np.hstack(basis) if basis else np.empty((x.size, 0)), kept)
        length, left = float(np.linalg.norm(x[kept])), float(np.linalg.norm(rest[kept]))
        if left <= ROUNDING * length:
            spanned.append(name)
            continue
        scale = left / np.sqrt(kept.sum())
        bad |= length >= BAD * left or not SMALL < scale < LARGE
        basis.append((rest / scale)[:, None])
        values = np.full(frame.nrows, np.nan)
        values[matrix.rows] = rest / scale
        made.append(Column(_free(f"column {len(made) + 1}", frame), "float", values))
    whole = Frame((*frame.columns, *made), frame.nrows)
    if not made:
        return Orthogonal(request=None, frame=whole, bad=bad, spanned=tuple(spanned))
    plain = replace(formula, terms=tuple((Name(c.name),) for c in made))
    changes = {
        "formula": emit(plain),
        "columns": tuple(dict.fromkeys((*request.columns, *(c.name for c in made)))) if request.columns else (),
    }
    asked = FitRequest.model_validate({**request.model_dump(), **changes})
    return Orthogonal(request=asked, frame=whole, bad=bad, spanned=tuple(spanned))


def _swept(x: Floats, others: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Return what other columns leave of x, twice swept; the coefficients are those of the rows that are kept."""
    size = np.linalg.norm(others[kept], axis=0)
    others = others[:, size > 0] / size[size > 0]
    rest = x
    for _ in range(2 if others.size else 0):
        rest = rest - others @ np.linalg.lstsq(others[kept], rest[kept], rcond=1e-12)[0]
    return rest


def _free(name: str, frame: Frame) -> str:
    while name in frame:
        name += "_"
    return name
