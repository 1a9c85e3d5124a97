"""Is a regressor in the span of the others, so that which of them an engine leaves out is its choice?"""

from __future__ import annotations

import numpy as np

from crosscheck.campaign.cohorts import of_the_paper
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.frame import Frame
from crosscheck.modelmatrix import model_matrix
from crosscheck.spec import FitRequest

NEARLY = 1e-3
"""Of a column's size about its mean: what others leave of it, where engines may call it collinear."""


def spanned(request: FitRequest, frame: Frame) -> bool:
    """Say whether a regressor is in the span of the others and the effects, or nearly so."""
    try:
        if request.estimator == "sunab":
            matrix = of_the_paper(request, frame).matrix
        else:
            matrix = model_matrix(parse(request.formula), frame, unit=request.unit, time=request.time)
    except CrosscheckError:
        return False
    if request.weights is not None:
        kept = frame[request.weights.column].as_float()[matrix.rows] > 0
    else:
        kept = np.ones(matrix.y.size, dtype=bool)
    own = np.hstack([matrix.X, matrix.endogenous])[kept]
    dummies = [(codes[kept][:, None] == np.unique(codes[kept])).astype(np.float64) for codes in matrix.fe_codes.T]
    whole = np.hstack([own, *dummies])
    if not whole.size:
        return False
    constant = np.ptp(whole, axis=0) == 0
    centred = whole - np.where(constant | (not dummies and not constant.any()), 0.0, whole.mean(axis=0))
    for j in range(own.shape[1]):
        if constant[j] and dummies:
            return True
        size = float(np.linalg.norm(centred[:, j]))
        others = np.delete(centred, j, axis=1)
        scale = np.linalg.norm(others, axis=0)
        others = others[:, scale > 0] / scale[scale > 0]
        rest = centred[:, j] - others @ np.linalg.lstsq(others, centred[:, j], rcond=1e-12)[0]
        if not float(np.linalg.norm(rest)) > NEARLY * size:
            return True
    return False
