"""Descriptive statistics and the entropy index as results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscheck.design_options import DescribeOptions, EntropyOptions
from crosscheck.designs.describe import describe
from crosscheck.designs.entropy import Rules, entropy_index
from crosscheck.engines._designs import extras_of, options_of
from crosscheck.errors import DataError
from crosscheck.results import EstimationResult, Extra, FitStats

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest


def quantile_name(p: float) -> str:
    """Return the quantity of a quantile, such as ``q0.25``."""
    return f"q{p:.10g}"


def fit_describe(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Describe variables: term is the variable, quantities nobs, mean, std_dev, min, max, q...."""
    options = options_of(request, DescribeOptions)
    columns = {name: frame[name].as_float() for name in options.variables}
    complete = np.ones(frame.nrows, dtype=bool)
    for name, column in columns.items():
        missing = np.isnan(column)
        if options.missing == "error" and missing.any():
            row = int(np.argmax(missing)) + 1
            raise DataError(f"{name!r} is missing in row {row}", hint='missing = "by_variable" or "complete"')
        if options.missing == "complete":
            complete &= ~missing
    extras: list[Extra] = []
    for name, column in columns.items():
        found = describe(column[complete], ddof=options.ddof, probabilities=options.quantiles, method=options.quantile)
        extras += extras_of(name, nobs=found.nobs, mean=found.mean, std_dev=found.std_dev, min=found.min, max=found.max)
        extras += (
            Extra(term=name, quantity=quantile_name(p), value=q)
            for p, q in zip(options.quantiles, found.quantiles, strict=True)
        )
    return EstimationResult(engine=engine, extras=tuple(extras), stats=FitStats(nobs=float(complete.sum())))


def fit_entropy(engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    """Make an index: weight, entropy, redundancy of ``indicator`` (or ``indicator|period``), score of ``unit|time``."""
    options = options_of(request, EntropyOptions)
    names = tuple(options.indicators)
    time, unit = options.time or request.time, options.unit or request.unit
    rules = Rules(**options.model_dump(include=set(Rules.__dataclass_fields__)))
    period, periods = (None, ("",)) if time is None else frame[time].codes()
    if period is not None and (period < 0).any():
        raise DataError(f"{time!r} is missing in row {int(np.argmax(period < 0)) + 1}")
    made = entropy_index(
        np.column_stack([frame[name].as_float() for name in names]),
        [options.indicators[name] == "+" for name in names],
        rules=rules, period=period, names=names,
    )  # fmt: skip
    extras: list[Extra] = []
    dropped = []
    for block in range(made.weight.shape[0]):
        for j, name in enumerate(names):
            term = name if options.proportions == "pooled" else f"{name}|{periods[block]}"
            if np.isnan(made.weight[block, j]):
                dropped.append(term)
                continue
            extras += extras_of(
                term, weight=made.weight[block, j], entropy=made.entropy[block, j], redundancy=made.redundancy[block, j]
            )
    terms = row_terms(frame, unit, time)
    extras += (
        Extra(term=term, quantity="score", value=float(score))
        for term, score in zip(terms, made.score.tolist(), strict=True)
        if not np.isnan(score)
    )
    nobs = float((~np.isnan(made.score)).sum())
    return EstimationResult(engine=engine, extras=tuple(extras), stats=FitStats(nobs=nobs), dropped=tuple(dropped))


def row_terms(frame: Frame, unit: str | None, time: str | None) -> tuple[str, ...]:
    """Return ``unit|time`` of each row, or its number where the study names neither.

    Raises
    ------
    DataError
        Where a row's term occurs twice.
    """
    parts = []
    for name in (unit, time):
        if name is not None:
            codes, labels = frame[name].codes()
            parts.append([labels[c] if c >= 0 else "" for c in codes.tolist()])
    terms = (
        tuple("|".join(p) for p in zip(*parts, strict=True)) if parts else tuple(map(str, range(1, frame.nrows + 1)))
    )
    if len(set(terms)) != len(terms):
        raise DataError("rows cannot be told apart by unit and time", hint="name unit and time in [data]")
    return terms
