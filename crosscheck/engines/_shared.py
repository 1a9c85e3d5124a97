"""What do all Python engines do alike: time a fit, keep its warnings, check weights, count, and write rows?"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import Counts, SmallSample, Ssc, default_lag, nested_effects, small_sample
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import INTERCEPT, Binary, Call, Expr, Formula, Name, Negative, Number, functions
from crosscheck.modelmatrix import ModelMatrix, combined_codes, model_matrix
from crosscheck.results import Block, CoefRow, Condition, Extra

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest, SscSpec

Codes = NDArray[np.int64]

ROUNDING = 1e-12
_ABOUT_APIS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)


@dataclass
class Recording:
    """How long a block took, and the warnings it gave."""

    seconds: float = 0.0
    conditions: tuple[Condition, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def recording() -> Iterator[Recording]:
    """Time a block and keep its warnings as data; warnings about deprecated interfaces say nothing about numbers."""
    made = Recording()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started = time.perf_counter()
        try:
            yield made
        finally:
            made.seconds = time.perf_counter() - started
    seen: dict[tuple[str, str], Condition] = {}
    for item in caught:
        if not issubclass(item.category, _ABOUT_APIS):
            text = re.sub(r"\s+", " ", str(item.message)).strip()
            seen.setdefault(
                (text, item.category.__name__), Condition(kind="warning", text=text, cls=item.category.__name__)
            )
    made.conditions = tuple(seen.values())


def codes_of(frame: Frame, names: Sequence[str]) -> Codes:
    """Return the codes of a column, or of the combinations of several, from 0, missing -1, shape (n,)."""
    return combined_codes(frame, names)[0]


def weights_of(request: FitRequest, frame: Frame) -> NDArray[np.float64] | None:
    """Return the weights, shape (n,), or None where the request has none.

    Raises
    ------
    DataError
        For a negative or infinite weight, and for a frequency that is not a whole number.
    """
    if request.weights is None:
        return None
    name = request.weights.column
    weights = frame[name].as_float()
    known = weights[~np.isnan(weights)]
    if np.any(known < 0) or np.any(np.isinf(known)):
        raise DataError(f"column {name!r} has a negative or infinite weight", allowed="numbers of 0 and more")
    if request.weights.type == "frequency" and np.any(known != np.round(known)):
        raise DataError(f"column {name!r} has frequency weights that are not whole numbers", hint='type = "analytic"')
    return weights


def usable_rows(request: FitRequest, frame: Frame) -> NDArray[np.bool_]:
    """Mark rows whose weight is not 0 and whose clusters are known: fixest leaves the others out of the sample."""
    rows = np.ones(frame.nrows, dtype=bool)
    weights = weights_of(request, frame)
    if weights is not None:
        rows &= weights != 0
    for name in request.vcov.cluster:
        rows &= ~frame[name].missing
    if request.vcov.type in ("NW", "DK"):
        for name in filter(None, (request.time, request.unit if request.vcov.type == "NW" else None)):
            rows &= ~frame[name].missing
    return rows


def usable_model(
    request: FitRequest, formula: Formula, frame: Frame, *, also: Collection[str] = ()
) -> tuple[ModelMatrix, Frame]:
    """Build the model of the usable rows, and the frame of the rows that are in it.

    A lag is the value of the period before, whether or not that row is itself in the sample.
    """
    usable = usable_rows(request, frame)
    if "lag" in functions(formula) or usable.all():
        matrix = model_matrix(formula, frame, unit=request.unit, time=request.time, also=also, among=usable)
        return matrix, frame.take(matrix.rows)
    sample = frame.take(usable)
    matrix = model_matrix(formula, sample, unit=request.unit, time=request.time, also=also)
    return matrix, sample.take(matrix.rows)


def require_rows(rows: NDArray[np.bool_], names: Sequence[str]) -> int:
    """Return the number of rows left, and refuse an empty sample.

    Raises
    ------
    DataError
        Where no row has values for all the columns.
    """
    left = int(rows.sum())
    if left == 0:
        raise DataError(
            "the estimation sample is empty: no row has finite values in every column that the model uses",
            where=", ".join(names),
        )
    return left


def require_df(n: float, parameters: int) -> None:
    """Refuse a model that has as many parameters as observations.

    Raises
    ------
    DataError
        Where no degrees of freedom are left.
    """
    if n <= parameters:
        raise DataError(
            f"the model is saturated: {n:g} observations, {parameters} parameters, so there are no standard errors"
        )


def require_clusters(clusters: Mapping[str, Codes]) -> None:
    """Refuse a cluster variable that has a single level in the sample.

    Raises
    ------
    DataError
        Naming it.
    """
    for name, codes in clusters.items():
        if levels_in(codes) < 2:
            raise DataError(f"{name!r} has one cluster in the sample; a clustered covariance needs two or more")


def ssc_words(ssc: SscSpec) -> Ssc:
    """Return the request's small-sample words as :mod:`crosscheck.conventions` takes them."""
    return Ssc(k_adj=ssc.k_adj, k_fixef=ssc.k_fixef, g_adj=ssc.g_adj, g_df=ssc.g_df, t_df=ssc.t_df)


def squeezed(codes: Codes) -> Codes:
    """Return codes from 0 without gaps, shape (n,)."""
    return np.unique(codes, return_inverse=True)[1].reshape(-1).astype(np.int64)


def levels_in(codes: Codes) -> int:
    """Return how many levels occur."""
    return int(np.unique(codes).size)


def cluster_counts(clusters: Sequence[Codes]) -> tuple[int, ...]:
    """Return the number of clusters of each dimension, and of the intersection of two."""
    counts = [levels_in(c) for c in clusters]
    if len(clusters) == 2:
        pairs = clusters[0] * (int(clusters[1].max()) + 1) + clusters[1]
        counts.append(levels_in(pairs))
    return tuple(counts)


def counts_for(
    request: FitRequest,
    *,
    n: float,
    n_coef: int,
    effects: Mapping[tuple[str, ...], Codes],
    clusters: Mapping[str, Codes],
    periods: int | None = None,
) -> Counts:
    """Count what enters the small-sample factors; codes are those of the rows used, each of shape (n,)."""
    nested: tuple[bool, ...] = ()
    if effects and clusters and request.ssc.k_fixef == "nonnested":
        nested = nested_effects(effects, clusters)
    return Counts(
        n=n,
        n_coef=n_coef,
        fe_sizes=tuple(levels_in(c) for c in effects.values()),
        nested=nested,
        n_clusters=cluster_counts(tuple(clusters.values())),
        n_periods=periods,
    )


def wanted(request: FitRequest, counts: Counts) -> SmallSample:
    """Return the small-sample factors and degrees of freedom that the request asks for."""
    return small_sample(request.vcov.canonical, counts, ssc_words(request.ssc))


def lag_of(request: FitRequest, periods: int) -> int:
    """Return the bandwidth: the one asked for, or the integer part of T^(1/4), fixest's for panels."""
    return default_lag(periods) if request.vcov.lag is None else request.vcov.lag


def require_no_gaps(unit: Codes, time: Codes, package: str) -> None:
    """Refuse Newey-West where a package would take observations on either side of a gap as neighbours.

    Raises
    ------
    Unsupported
        Where a unit has a gap between its first and last period.
    """
    order = np.lexsort((time, unit))
    same = np.diff(unit[order]) == 0
    if np.any(np.diff(time[order])[same] != 1):
        raise Unsupported(
            f"{package} counts lags by position: with gaps in a unit's periods it would pair observations that are "
            "more than one period apart (notyet)"
        )


def coef_rows(
    terms: Sequence[str],
    estimates: Any,
    std_errors: Any,
    statistics: Any,
    p_values: Any,
    low: Any,
    high: Any,
    df: float | None,
) -> tuple[CoefRow, ...]:
    """Make one row for each coefficient from vectors of shape (k,)."""
    columns = (
        np.asarray(v, dtype=np.float64).reshape(-1).tolist() for v in (estimates, std_errors, statistics, p_values)
    )
    bounds = (np.asarray(v, dtype=np.float64).reshape(-1).tolist() for v in (low, high))
    return tuple(
        CoefRow(term=term, estimate=b, std_error=s, statistic=t, p_value=p, conf_low=lo, conf_high=hi, df=df)
        for term, b, s, t, p, lo, hi in zip(terms, *columns, *bounds, strict=True)
    )


def rows_block(request: FitRequest, nrows: int, used: Any, vectors: Mapping[str, Any]) -> tuple[Block, ...]:
    """Return the block ``rows`` of those vectors that the request asks for.

    Parameters
    ----------
    request : FitRequest
    nrows : int
        Rows of the data.
    used : ndarray, shape (n,)
        Mask of the data's rows, or their positions, that the vectors are about.
    vectors : mapping of str to ndarray, shape (n,)
    """
    found = {name: v for name, v in vectors.items() if name in request.also and v is not None}
    if not found:
        return ()
    values = []
    for vector in found.values():
        whole = np.full(nrows, np.nan)
        whole[used] = np.asarray(vector, dtype=np.float64).reshape(-1)
        values.append(tuple(whole.tolist()))
    return (Block(term="rows", quantities=tuple(found), values=tuple(values)),)


def stat_extras(request: FitRequest, **values: Any) -> tuple[Extra, ...]:
    """Return those statistics of the fit that the request asks for and the package has.

    ``wald``: F form of the test that all coefficients but the constant are zero, under the request's covariance; ``f``:
    the same under independent errors of one variance, fixed effects in both models; ``pseudo_r2``: McFadden's.
    """
    found = []
    for name, value in values.items():
        number = finite(value)
        if name in request.also and number is not None and np.isfinite(number):
            found.append(Extra(term="", quantity=name, value=number))
    return tuple(found)


def wald_f(terms: Sequence[str], estimates: Any, matrix: Any) -> float | None:
    """Return b' V^-1 b / k over all terms but the constant; None where V is singular to working precision."""
    kept = [j for j, term in enumerate(terms) if term != INTERCEPT]
    if not kept:
        return None
    b, v = np.asarray(estimates, dtype=np.float64)[kept], np.asarray(matrix, dtype=np.float64)[np.ix_(kept, kept)]
    scale = np.sqrt(np.diag(v))
    if not (np.isfinite(v).all() and (scale > 0).all()):
        return None
    v, b = v / np.outer(scale, scale), b / scale
    return None if np.linalg.cond(v) > 1e6 else float(b @ np.linalg.solve(v, b)) / len(kept)


def matrix_rows(matrix: Any) -> tuple[tuple[float, ...], ...]:
    """Return a matrix as tuples of floats."""
    return tuple(tuple(row) for row in np.asarray(matrix, dtype=np.float64).tolist())


def definiteness_notes(request: FitRequest, matrix: Any) -> tuple[str, ...]:
    """Say that a covariance has negative eigenvalues, where it may have; fixest replaces them by 1e-16."""
    if len(request.vcov.cluster) < 2 and request.vcov.type not in ("NW", "DK"):
        return ()
    values = np.asarray(matrix, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        return ()
    eigenvalues = np.linalg.eigvalsh((values + values.T) / 2)
    if eigenvalues[0] >= -ROUNDING * eigenvalues[-1]:
        return ()
    return ("the covariance has negative eigenvalues and is given as it is",)


def finite(value: Any) -> float | None:
    """Return a statistic as a float, None where a package has none (NaN or missing)."""
    if value is None:
        return None
    number = float(value)
    return None if np.isnan(number) else number


def reading_lines(request: FitRequest, formula: Formula, names: Mapping[str, str], data_path: str) -> list[str]:
    """Return lines of Python that read the data, give awkward columns plain names, and add the lags of a formula."""
    lines = [f"df = pd.read_csv({data_path!r})"]
    renamed = {old: new for old, new in names.items() if old != new}
    if renamed:
        lines.append(f"df = df.rename(columns={renamed!r})")
    for call in lags(formula):
        column, periods = call.args
        assert isinstance(column, Name)
        assert isinstance(periods, Number)
        source, shift = names[column.name], int(periods.value)
        keys = [names[key] for key in (request.unit, request.time) if key]
        target = f"{source}_lag{shift}".replace("-", "m")
        time = keys[-1]
        lines += [
            f"before = df[{[*keys, source]!r}].assign({time}=df[{time!r}] + {shift})",
            f"df = df.merge(before.rename(columns={{{source!r}: {target!r}}}), on={keys!r}, how='left')",
        ]
    return lines


def lags(formula: Formula) -> tuple[Call, ...]:
    """Return the calls of ``lag()`` in a formula, each once."""
    found: dict[Call, None] = {}
    terms = [(formula.lhs,), *formula.terms]
    if formula.iv is not None:
        terms += [*formula.iv.endogenous, *formula.iv.instruments]
    stack: list[Expr] = [factor for term in terms for factor in term]
    while stack:
        expr = stack.pop()
        if isinstance(expr, Call):
            if expr.function == "lag":
                found[expr] = None
            stack.extend(expr.args)
        elif isinstance(expr, Binary):
            stack += [expr.left, expr.right]
        elif isinstance(expr, Negative):
            stack.append(expr.operand)
    return tuple(found)
