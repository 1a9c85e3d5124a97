"""How does a request for group-time effects become arrays, and arrays a result?"""

from __future__ import annotations

import math
import time as clock
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.closedform.did import GroupTime, group_time_effects
from crosscheck.closedform.did_aggregate import Window, aggregate
from crosscheck.closedform.did_data import Control, LongData, Sample, prepare
from crosscheck.conventions import interval, p_of
from crosscheck.engines._cohorts import small_cohorts
from crosscheck.engines._shared import codes_of, weights_of
from crosscheck.errors import DataError
from crosscheck.results import CoefRow, Conventions, EstimationResult

if TYPE_CHECKING:
    from crosscheck.closedform.did_aggregate import Parameter
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


def group_time(request: FitRequest, frame: Frame, earlier: int = 1) -> tuple[Sample, GroupTime]:
    """Return the sample of a request and its group-time effects with their influence functions."""
    options = request.options
    control: Control = "notyettreated" if options.get("control_group") == "notyettreated" else "nevertreated"
    anticipation = float(options.get("anticipation") or 0)
    sample = prepare(
        long_data(request, frame),
        control=control,
        anticipation=anticipation,
        panel=bool(options.get("panel", True)),
        allow_unbalanced=bool(options.get("allow_unbalanced", False)),
    )
    effects = group_time_effects(
        sample,
        method=options.get("est_method") or "dr",
        control=control,
        base=options.get("base_period") or "varying",
        anticipation=anticipation,
        earlier=earlier,
    )
    return sample, effects


def fit_att_gt(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Answer a request for ``att_gt``: analytic standard errors of independent units, normal inference."""
    data = long_data(request, frame)
    started = clock.perf_counter()
    sample, effects = group_time(request, frame)
    parameters = averages(request, sample, effects)
    psi = np.column_stack([p.influence for p in parameters])
    matrix = np.asarray(psi.T @ psi / np.longdouble(sample.n_units) ** 2, dtype=np.float64)
    return EstimationResult(
        engine=engine,
        coefs=tuple(_row(p, request.conf_level) for p in parameters),
        conventions=Conventions(
            vcov=request.vcov.canonical,
            cluster=request.vcov.cluster,
            n_clusters=(sample.n_units,),
            distribution="normal",
            df_t=math.inf,
            rows_dropped=sample.dropped_rows,
            notes=("influence functions over units; no small-sample factor",),
        ),
        vcov=tuple(tuple(row) for row in matrix.tolist()),
        conditions=small_cohorts(data.cohort, data.unit),
        seconds=clock.perf_counter() - started,
    )


def averages(request: FitRequest, sample: Sample, effects: GroupTime) -> tuple[Parameter, ...]:
    """Return the averages of group-time effects that a request asks for."""
    options = request.options
    window = Window(
        balance=_number(options, "balance_e", None),
        low=_number(options, "min_e", -math.inf),  # type: ignore[arg-type]
        high=_number(options, "max_e", math.inf),  # type: ignore[arg-type]
    )
    return tuple(aggregate(effects, sample, options.get("aggregation") or "none", window))


def long_data(request: FitRequest, frame: Frame) -> LongData:
    """Read the columns that the options name.

    Raises
    ------
    DataError
        Where unit or time are not declared, or the time is not a number.
    """
    options = request.options
    unit, time = options.get("unit") or request.unit, options.get("time") or request.time
    if time is None or (unit is None and options.get("panel", True)):
        raise DataError("att_gt needs unit and time", hint="declare them in [data]")
    weights = weights_of(request, frame)
    if weights is None and options.get("weights"):
        weights = frame[str(options["weights"])].as_float()
    columns = [np.ones(frame.nrows), *(frame[name].as_float() for name in options.get("covariates") or ())]
    return LongData(
        y=frame[str(options["y"])].as_float(),
        time=frame[time].as_float(),
        cohort=frame[str(options["cohort"])].as_float(),
        weights=np.ones(frame.nrows) if weights is None else weights,
        unit=np.arange(frame.nrows, dtype=np.int64) if unit is None else codes_of(frame, (unit,)),
        x=np.column_stack(columns),
    )


def _number(options: dict[str, Any], name: str, default: float | None) -> float | None:
    value = options.get(name)
    return default if value is None else float(value)


def _row(parameter: Parameter, level: float) -> CoefRow:
    """Make a row; the effect of a base period is zero by definition and has no standard error."""
    b, se = parameter.value, parameter.std_error
    if not math.isfinite(se):
        return CoefRow(term=parameter.term, estimate=b, df=math.inf)
    low, high = interval(b, se, math.inf, level)
    return CoefRow(
        term=parameter.term,
        estimate=b,
        std_error=se,
        statistic=b / se,
        p_value=p_of(b / se, math.inf),
        conf_low=low,
        conf_high=high,
        df=math.inf,
    )
