"""How many parameters has the model, by one count or another, and how many rows are there for them?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, Floats, matrix_of, ways, with_dummies
from crosscheck.engines._oracle_sunab import saturated, sunab_parts
from crosscheck.engines._shared import codes_of
from crosscheck.errors import CrosscheckError
from crosscheck.formula import parse
from crosscheck.results import EstimationResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """Rows with a weight, coefficients, levels of effects less one for each effect after the first, and ranks.

    ``rank`` is that of regressors and dummies scaled and centred, ``of_effects`` of the dummies alone, ``as_they_are``
    what ``np.linalg.matrix_rank`` says of the regressors as they stand.
    """

    n: int
    k: int
    levels: int
    rank: int
    of_effects: int
    as_they_are: int


def counted(case: Case) -> Counted | None:
    """Count on the sample of a case; ``None`` where there is none, or no formula."""
    matrix = matrix_of(case)
    if matrix is None:
        return None
    kept = np.ones(matrix.rows.size, dtype=bool)
    if case.request.weights is not None:
        kept = case.frame[case.request.weights.column].as_float()[matrix.rows] > 0
    x = matrix.X[kept]
    effects = with_dummies(matrix)[kept][:, x.shape[1] :]
    levels = [np.unique(codes[kept]).size for codes in matrix.fe_codes.T]
    return Counted(
        n=int(kept.sum()),
        k=x.shape[1] + matrix.endogenous.shape[1],
        levels=sum(levels) - max(len(levels) - 1, 0),
        rank=_rank(np.hstack([_even(x), effects])) + matrix.endogenous.shape[1],
        of_effects=_rank(effects),
        as_they_are=_rank(x),
    )


def _rank(x: Floats) -> int:
    return int(np.linalg.matrix_rank(x)) if x.size else 0


def _even(x: Floats) -> Floats:
    """Return columns of scale one about their means, constants as they are."""
    if not x.size:
        return x
    constant = np.ptp(x, axis=0) == 0
    x = x - np.where(constant, 0.0, x.mean(axis=0))
    return np.asarray(x / np.maximum(np.abs(x).max(axis=0), 1e-300))


def few_rows(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether there are as many parameters as rows, every level of an effect counted."""
    return any(_few_rows(way) for way in ways(case))


def _few_rows(case: Case) -> bool:
    if case.request.estimator == "sunab":
        try:
            parts = sunab_parts(parse(case.request.formula, columns=case.frame.names))
            model, _, _ = saturated(case.request, case.frame, *parts)
        except CrosscheckError:
            return False
        return model.n <= model.parameters
    found = counted(case)
    if found is None:
        return False
    n = found.n
    matrix = matrix_of(case)
    if case.request.estimator in ("re", "between") and case.request.unit is not None and matrix is not None:
        n = np.unique(codes_of(case.frame, (case.request.unit,))[matrix.rows]).size
    return n <= found.k + found.levels


def rank_of_offsets(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the columns are of full rank, and not as they stand, and the degrees of freedom are of that rank."""
    found = counted(case)
    if found is None or not found.k or found.levels:
        return False
    return found.as_they_are < found.k == found.rank and one.value == float(max(found.n - found.as_they_are, 1))


def redundant_effects(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether effects span less than their levels less one each, and both sides count the one or the other."""
    found, who = counted(case), one.identity
    if found is None or found.of_effects >= found.levels:
        return False
    rests = {float(found.n - found.rank), float(found.n - (found.rank - found.of_effects) - found.levels)}
    results = [fit(engine, case.request, case.frame) for engine in (who.engine, who.against) if engine]
    return all(_follows(result, who.quantity, found.n, rests) for result in results)


def _follows(result: EstimationResult, quantity: str, n: int, rests: set[float]) -> bool:
    stats = result.stats
    if quantity == "df_resid":
        return stats.df_resid in rests
    if stats.r2 is None or stats.adj_r2 is None:
        return False
    known = [1 - (1 - stats.r2) * (n - 1) / rest for rest in rests if rest]
    close = (abs(stats.adj_r2 - value) <= 1e-6 * abs(1 - value) + 1e-12 for value in known)
    return any(close) or not np.isfinite(stats.adj_r2)


def counted_to_nothing(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether levels less one for each effect leave no degree of freedom, though the effects span less."""
    found = counted(case)
    return found is not None and found.of_effects < found.levels and found.n <= found.k + found.levels
