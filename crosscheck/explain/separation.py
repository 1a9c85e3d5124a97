"""Did one side of a Poisson or logit fit leave out observations that say nothing of the coefficients?

Levels of a fixed effect whose outcomes are all 0 (or all 1) are fitted perfectly whatever the coefficients: with or
without them the estimates are the same, and N, K and G in the small-sample factor are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crosscheck.conventions import small_sample
from crosscheck.engines._shared import codes_of, counts_for, squeezed, ssc_words
from crosscheck.errors import CrosscheckError
from crosscheck.explain.model import Departure, Dropped, Explanation, write
from crosscheck.explain.replay import close
from crosscheck.explain.se import estimates_agree, shared
from crosscheck.explain.subsamples import Mask, without_separated
from crosscheck.formula import parse
from crosscheck.modelmatrix import model_matrix

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.modelmatrix import ModelMatrix
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
DIGITS = 7.0


def explain_separation(
    reference: EstimationResult, candidate: EstimationResult, frame: Frame, request: FitRequest
) -> Found:
    """Explain the observations of two fits that agree on every estimate, and the factor that goes with them."""
    if request.estimator not in ("fepois", "feglm") or request.options.get("family") == "gaussian":
        return {}
    n, m = reference.stats.nobs, candidate.stats.nobs
    if n is None or m is None or n == m or not estimates_agree(reference, candidate) or request.weights is not None:
        return {}
    try:
        formula = parse(request.formula, columns=frame.names)
        matrix = model_matrix(formula, frame, unit=request.unit, time=request.time)
    except CrosscheckError:
        return {}
    effects = {fe: matrix.fe_codes[:, j] for j, fe in enumerate(formula.fixed_effects)}
    keep = without_separated(matrix.y, tuple(effects.values()), 1.0 if request.estimator == "feglm" else None)
    total, gone = matrix.y.size, int((~keep).sum())
    if not gone or {n, m} != {total, total - gone}:
        return {}
    side, other = (candidate, reference) if m < n else (reference, candidate)
    departure = Departure(
        rule="sample.separation",
        side=side.engine,
        opposite=other.engine,
        did=f"{gone} observations in levels of a fixed effect without variation in the outcome",
        asked="",
        words={"word_r": "none", "word_py": "[]"},
        back={"word_r": "infinite_coef", "word_py": '["fe"]'},
    )
    text = f"N = {total} - {gone} = {total - gone}"
    ids = frame.row_ids if frame.row_ids.size else np.arange(frame.nrows)
    dropped = tuple(
        Dropped(row=int(ids[matrix.rows[i]]) + 1, side=side.engine, reason="the outcome does not vary within its level")
        for i in np.flatnonzero(~keep)
    )
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    explained = write((departure,), formula=text, replay=n, reference=n)
    found["", "nobs"] = (replace(explained, dropped=dropped),)
    whole, left = (
        _factor(request, frame, matrix, effects, mask, len(reference.coefs)) for mask in (np.ones_like(keep), keep)
    )
    if whole is None or left is None:
        return found
    ours, theirs = (whole, left) if m < n else (left, whole)
    ratio = math.sqrt(ours / theirs)
    pairs = shared(reference, candidate)
    if pairs and all(close(a, b * ratio, DIGITS) for a, b in pairs.values()):
        text = f"{text}; factor of {reference.engine} {ours:.10g}, of {candidate.engine} {theirs:.10g}"
        for term, (a, b) in pairs.items():
            found[term, "std_error"] = (write((departure,), formula=text, replay=b * ratio, reference=a),)
    return found


def _factor(
    request: FitRequest,
    frame: Frame,
    matrix: ModelMatrix,
    effects: Mapping[tuple[str, ...], np.ndarray[tuple[int], np.dtype[np.int64]]],
    keep: Mask,
    n_coef: int,
) -> float | None:
    """Return the factor on the covariance that the request's words give on some of the rows."""
    used = frame.take(matrix.rows[keep])
    if any(used[name].missing.any() for name in request.vcov.cluster) or request.vcov.type in ("NW", "DK"):
        return None
    clusters = {name: squeezed(codes_of(used, (name,))) for name in request.vcov.cluster}
    counts = counts_for(
        request,
        n=float(keep.sum()),
        n_coef=n_coef,
        effects={name: squeezed(codes[keep]) for name, codes in effects.items()},
        clusters=clusters,
    )
    factor = small_sample(request.vcov.canonical, counts, ssc_words(request.ssc)).factor
    return None if math.isnan(factor) else factor
