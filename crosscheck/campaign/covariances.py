"""Do two engines give the same covariance between coefficients, and not only the same standard errors?

What a joint test, a sum of effects or a delta method takes from a table's regression is off the diagonal. The matrices
are compared as correlations, each side scaled by its own standard errors, where these agree: a standard error that
differs is a discrepancy of its own, and moves its row of the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosscheck.campaign.vectors import Floats
from crosscheck.judging import Cell, Context
from crosscheck.results import EstimationResult
from crosscheck.verdict import AGREE

QUANTITY = "covariance"
RTOL, ITERATED_RTOL = 3e-6, 3e-4
"""Of the product of two standard errors, or of the covariance where that is larger; the latter of the two at estimates
that stop at a tolerance of their own. A covariance and two standard errors are each held to a third of it."""


def compare_covariances(
    reference: EstimationResult, candidate: EstimationResult, cells: Sequence[Cell], context: Context, *, iterated: bool
) -> list[Cell]:
    """Compare the coefficients whose standard errors agree, as one cell: the pair that is farthest apart.

    Parameters
    ----------
    reference, candidate : EstimationResult
    cells : sequence of Cell
        Of everything else; those of standard errors decide which coefficients are compared.
    context : Context
    iterated : bool
        Whether the estimator stops at a tolerance of its own.

    Returns
    -------
    list of Cell
        Empty where a side has no covariance, or fewer than two standard errors agree.
    """
    mine, theirs = _by_term(reference), _by_term(candidate)
    agree = {c.term for c in cells if c.quantity == "std_error" and c.verdict in AGREE}
    both = [t for t in mine if t in theirs and t in agree]
    if len(both) < 2:
        return []
    a, b = (_correlation(matrix, terms, both) for matrix, terms in ((reference.vcov, mine), (candidate.vcov, theirs)))
    if a is None or b is None:
        return []
    # of a matrix that is not positive definite a covariance may be many times the product of two standard errors
    gap = np.abs(a - b) / np.maximum(1.0, np.abs(a))
    i, j = divmod(int(np.argmax(gap)), len(both))
    close = float(gap[i, j]) <= (ITERATED_RTOL if iterated else RTOL)
    return [
        Cell(
            study=context.study,
            table=context.table,
            column=context.column,
            term=f"{both[i]} and {both[j]}",
            quantity=QUANTITY,
            reference=reference.engine,
            candidate=candidate.engine,
            reference_value=float(a[i, j]),
            candidate_value=float(b[i, j]),
            abs_diff=float(abs(a[i, j] - b[i, j])),
            verdict="numerical" if close else "unexplained",
            severity="none" if close else "printed",
        )
    ]


def _by_term(result: EstimationResult) -> dict[str, int]:
    terms = result.vcov_terms or tuple(row.term for row in result.coefs)
    return {term: k for k, term in enumerate(terms)} if len(terms) == len(result.vcov) else {}


def _correlation(vcov: Sequence[Sequence[float]], at: dict[str, int], terms: Sequence[str]) -> Floats | None:
    """Return the correlations of these terms; ``None`` where a variance is not positive."""
    places = [at[t] for t in terms]
    matrix = np.array(vcov, dtype=np.float64)[np.ix_(places, places)]
    variances = np.diag(matrix)
    if not (np.isfinite(matrix).all() and (variances > 0).all()):
        return None
    scale = np.sqrt(variances)
    return np.asarray(matrix / np.outer(scale, scale))
