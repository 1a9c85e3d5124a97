"""Two-stage differences in differences (Gardner 2022): the closed form, and how pyfixest is asked for it.

First stage: outcome on covariates and effects of units and periods, in untreated rows alone. Second stage: what is left
of the outcome in all rows, on the treatment. The covariance is that of both stages as one GMM problem::

    W_g = X2_g' e2_g - X2'X1 (X10'X10)^-1 X10_g' e1_g,   V = (X2'X2)^-1 (sum_g W_g W_g') (X2'X2)^-1

with X1 the first stage's regressors and dummies, X10 their untreated rows and zeros elsewhere, e1 and e2 the residuals
of the stages (Gardner 2022, section 3; Butts and Gardner 2022, R Journal 14:3).
"""

from __future__ import annotations

import math
import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import interval, p_of
from crosscheck.engines._shared import recording, squeezed
from crosscheck.engines.base import YES, Support
from crosscheck.errors import DataError, Unsupported
from crosscheck.results import CoefRow, Conventions, EstimationResult, FitStats

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

TERM = "overall"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """The complete rows, those that the first stage can predict: arrays of shape (n,), and (n, k) of covariates."""

    y: Floats
    treated: NDArray[np.bool_]
    unit: NDArray[np.int64]
    time: NDArray[np.int64]
    x: Floats
    dropped: int


def two_stage_support(request: FitRequest) -> Support:
    """Say whether a request has what two stages need, in any engine."""
    o = request.options
    if not (o.get("unit") or request.unit) or not (o.get("time") or request.time):
        return Support("notimpl", "did2s needs the study's unit and time")
    if request.weights is not None:
        return Support("notimpl", "weights in did2s are not wrapped")
    if request.vcov.type not in ("iid", "CRV1") or len(request.vcov.cluster) > 1:
        return Support("notimpl", "did2s has the covariance of both stages, clustered by one column")
    return YES


def rows_of(request: FitRequest, frame: Frame) -> Rows:
    """Read the columns.

    Raises
    ------
    DataError
        Where nobody is treated or nobody is not.
    Unsupported
        Where a treated row's unit or period has no untreated row: its untreated outcome is not identified.
    """
    o = request.options
    unit, time = o.get("unit") or request.unit, o.get("time") or request.time
    names = (o["y"], o["treated"], unit, time, *(o.get("covariates") or ()))
    keep = ~np.any([frame[n].missing for n in names], axis=0)
    kept = frame.take(keep)
    treated = kept[o["treated"]].as_float() == 1
    if not treated.any() or treated.all():
        raise DataError("two-stage differences in differences need treated and untreated rows")
    codes = [squeezed(kept[str(n)].codes()[0].astype(np.int64)) for n in (unit, time)]
    if any(not np.isin(c, c[~treated]).all() for c in codes):
        raise Unsupported("a unit or period has no untreated row: its effect is not identified (never)")
    x = np.column_stack([np.empty((kept.nrows, 0)), *(kept[n].as_float() for n in o.get("covariates") or ())])
    return Rows(
        y=kept[o["y"]].as_float(), treated=treated, unit=codes[0], time=codes[1], x=x, dropped=frame.nrows - kept.nrows
    )


def closed_form(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Answer a request for ``did2s`` by the formulas at the head of this module."""
    started = clock.perf_counter()
    rows = rows_of(request, frame)
    dummies = [(c[:, None] == np.arange(c.max() + 1)).astype(np.float64) for c in (rows.unit, rows.time)]
    # A constant of any column is in the span of the dummies, and would cost as many digits as it has.
    x, y = (v - v[~rows.treated].mean(axis=0) for v in (rows.x, rows.y))
    first = np.column_stack([x, *dummies])
    scale = np.maximum(np.abs(first).max(axis=0), 1e-300)
    first = first / scale
    untreated = np.where(rows.treated[:, None], 0.0, first)
    inverse = np.linalg.pinv(untreated, rcond=1e-10)
    outside = first - (first @ inverse) @ untreated
    if np.abs(outside).max() > 1e-7:
        raise Unsupported("a treated row's untreated outcome is not identified by the untreated rows (never)")
    left = y - first @ (inverse @ np.where(rows.treated, 0.0, y))
    second = rows.treated.astype(np.float64)
    effect = float(second @ left / second.sum())
    spread = (second @ first) @ inverse @ inverse.T
    scores = second * (left - effect * second) - np.where(rows.treated, 0.0, left) * (untreated @ spread)
    clusters = squeezed(_clusters(request, frame, rows))
    sums = np.bincount(clusters, weights=scores)
    std_error = math.sqrt(float(sums @ sums)) / float(second.sum())
    return result_of(engine, request, rows, effect, std_error, int(sums.size), clock.perf_counter() - started)


def _clusters(request: FitRequest, frame: Frame, rows: Rows) -> NDArray[np.int64]:
    if not request.vcov.cluster:
        return rows.unit
    o = request.options
    names = (o["y"], o["treated"], o.get("unit") or request.unit, o.get("time") or request.time)
    keep = ~np.any([frame[str(n)].missing for n in (*names, *(o.get("covariates") or ()))], axis=0)
    codes = frame.take(keep)[request.vcov.cluster[0]].codes()[0].astype(np.int64)
    if (codes < 0).any():
        raise DataError("a cluster is missing in a row of the sample")
    return codes


def result_of(
    engine: str, request: FitRequest, rows: Rows, effect: float, std_error: float, groups: int, seconds: float
) -> EstimationResult:
    """Return the effect with normal inference."""
    known = std_error > 0
    low, high = interval(effect, std_error, math.inf, request.conf_level) if known else (math.nan, math.nan)
    t = effect / std_error if known else math.nan
    return EstimationResult(
        engine=engine,
        coefs=(
            CoefRow(
                term=TERM, estimate=effect, std_error=std_error, statistic=t, p_value=p_of(t, math.inf),
                conf_low=low, conf_high=high, df=math.inf,
            ),
        ),
        stats=FitStats(nobs=float(rows.y.size)),
        conventions=Conventions(
            vcov="CRV1", cluster=request.vcov.cluster, n_clusters=(groups,), distribution="normal", df_t=math.inf,
            rows_dropped=rows.dropped, notes=("two-stage GMM covariance, no small-sample factor; normal inference",),
        ),
        seconds=seconds,
    )  # fmt: skip


def _has_singletons(unit: NDArray[np.int64], time: NDArray[np.int64]) -> bool:
    """Say whether a unit or a period has one untreated row alone."""
    return any((np.bincount(codes) == 1).any() for codes in (unit, time))


def by_pyfixest(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Ask pyfixest's ``did2s()`` for estimate and standard error."""
    import pandas as pd
    import pyfixest as pf

    rows = rows_of(request, frame)
    if _has_singletons(rows.unit[~rows.treated], rows.time[~rows.treated]):
        raise Unsupported("pyfixest's did2s drops units and periods seen once untreated, and then fails (notyet)")
    clusters = squeezed(_clusters(request, frame, rows))
    names = [f"x{j}" for j in range(rows.x.shape[1])]
    data = pd.DataFrame(
        {"y": rows.y, "d": rows.treated, "effect": rows.treated.astype(float), "u": rows.unit, "t": rows.time,
         "g": clusters, **{n: rows.x[:, j] for j, n in enumerate(names)}}
    )  # fmt: skip
    with recording() as made:
        try:
            fit = pf.did2s(
                data, yname="y", first_stage=f"~ {' + '.join(names) or '0'} | u + t", second_stage="~ effect",
                treatment="d", cluster="g",
            )  # fmt: skip
        except (ValueError, RuntimeError, np.linalg.LinAlgError) as error:
            raise DataError(f"pyfixest cannot fit this model: {' '.join(str(error).split())}") from error
    effect, variance = float(fit._beta_hat[0]), float(np.asarray(fit._vcov)[0, 0])
    std_error = math.sqrt(variance) if variance >= 0 else math.nan
    found = result_of(engine, request, rows, effect, std_error, int(clusters.max()) + 1, made.seconds)
    return found.with_(conditions=made.conditions)
