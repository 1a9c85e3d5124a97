"""Which rows does a package of group-time effects get, where its users drop incomplete units themselves?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.engines._oracle_did import long_data
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade.translation import NoCall


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTimeRows:
    """Rows in long form: ``y``, ``period``, ``cohort``, ``unit``, covariates, and weights ``w`` where there are any."""

    frame: Frame
    covariates: tuple[str, ...]
    weights: str
    panel: bool


def group_time_rows(request: FitRequest, frame: Frame, *, never: float) -> GroupTimeRows:
    """Return the rows of a request; ``never`` is the cohort of units that are never treated.

    Incomplete units of a panel are left out, as did does by default.

    Raises
    ------
    NoCall
        Where the request is not one for group-time effects, clusters beyond the unit, draws at random, or asks to keep
        units that are not there in every period.
    """
    options = request.options
    if request.estimator != "att_gt":
        raise NoCall("the package estimates group-time effects only (never)")
    if options.get("bootstrap"):
        raise NoCall("a bootstrap depends on random numbers and cannot be compared to the digit (never)")
    unit = options.get("unit") or request.unit
    if request.vcov.type != "iid" and (request.vcov.type, request.vcov.cluster) != ("CRV1", (unit,)):
        raise NoCall("the standard errors translated are those of units: vcov iid, or by unit (notimpl)")
    data = long_data(request, frame)
    panel = bool(options.get("panel", True))
    complete = _complete(data.unit, data.time) if panel else np.ones(len(data.y), dtype=bool)
    if panel and options.get("allow_unbalanced") and not complete.all():
        raise NoCall("units that are not there in every period are treated otherwise than did treats them (never)")
    wanted = (data.y, data.time, data.cohort, data.unit, data.weights, *data.x[:, 1:].T)
    y, time, cohort, units, weights, *x = (np.ascontiguousarray(v[complete]) for v in wanted)
    columns = [
        Column("y", "float", y),
        Column("period", "integer" if np.array_equal(time, np.round(time)) else "float", _whole(time)),
        Column("cohort", "float", np.where(np.isfinite(cohort) & (cohort != 0), cohort, never)),
        Column("unit", "integer", (units + 1 if panel else np.arange(1, len(y) + 1)).astype(np.int32)),
    ]
    names = tuple(f"x{k}" for k in range(1, len(x) + 1))
    columns += [Column(name, "float", values) for name, values in zip(names, x, strict=True)]
    weighted = request.weights is not None or bool(options.get("weights"))
    if weighted:
        columns.append(Column("w", "float", weights.astype(np.float64)))
    return GroupTimeRows(
        frame=Frame(tuple(columns), len(y)), covariates=names, weights="w" if weighted else "", panel=panel
    )


def _whole(time: NDArray[np.float64]) -> NDArray[np.float64] | NDArray[np.int32]:
    return time.astype(np.int32) if np.array_equal(time, np.round(time)) else time


def _complete(unit: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows are of units that are there in every period."""
    counts = np.bincount(unit)
    complete: NDArray[np.bool_] = counts[unit] == len(np.unique(time))
    return complete
