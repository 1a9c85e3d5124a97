"""What is a circumstance, and what do several of them look at?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.modelmatrix import ModelMatrix, model_matrix

Floats = NDArray[np.float64]
Check = Callable[[Case], tuple[Discrepancy, ...]]
Circumstance = Callable[[Case, Discrepancy, Fit, Check], bool]


def matrix_of(case: Case) -> ModelMatrix | None:
    """Return the sample and columns of the first request, or ``None`` where they cannot be had."""
    request = case.request
    also = tuple(c for c in (request.weights.column if request.weights else "", *request.vcov.cluster) if c)
    try:
        return model_matrix(parse(request.formula), case.frame, unit=request.unit, time=request.time, also=also)
    except CrosscheckError:
        return None


def with_dummies(matrix: ModelMatrix) -> Floats:
    """Return the regressors and, after them, a dummy for each level of each effect, shape (n, k + levels)."""
    blocks = [matrix.X]
    for codes in matrix.fe_codes.T:
        blocks.append((codes[:, None] == np.unique(codes)).astype(np.float64))
    return np.hstack(blocks)


def left_over(x: Floats, y: Floats) -> float:
    """Return how much of y the columns of x leave, as a share of its largest value."""
    scale = float(np.abs(y).max(initial=0.0))
    if scale == 0.0:
        return 0.0
    return float(np.abs(rest_of(x, y)).max()) / scale


def rest_of(x: Floats, y: Floats) -> Floats:
    """Return what the columns of x leave of y, shape (n,)."""
    size = np.linalg.norm(x, axis=0)
    x = x[:, size > 0] / size[size > 0]
    return y - x @ np.linalg.lstsq(x, y, rcond=1e-12)[0] if x.size else y
