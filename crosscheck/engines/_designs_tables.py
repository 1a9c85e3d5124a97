"""Descriptive statistics and the entropy index as results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscheck.design_options import DescribeOptions, EntropyOptions
from crosscheck.designs.describe import describe
from crosscheck.designs.entropy import Rules, entropy_index
from crosscheck.engines._designs import block_of, extras_of, options_of
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
    """Make an index: weight, entropy, redundancy of each indicator; scores of ``unit|time`` as a block.

    Weights of each period are a block too, its members ``indicator|period``.
    """
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
    pooled = options.proportions == "pooled"
    places = [
        (name if pooled else f"{name}|{periods[block]}", (block, j))
        for block in range(made.weight.shape[0])
        for j, name in enumerate(names)
    ]
    dropped = tuple(term for term, at in places if np.isnan(made.weight[at]))
    kept = [(term, at) for term, at in places if not np.isnan(made.weight[at])]
    parts = {name: getattr(made, name) for name in ("weight", "entropy", "redundancy")}
    terms, scored = np.array(row_terms(frame, unit, time), dtype=object), ~np.isnan(made.score)
    blocks = [block_of("rows", terms[scored].tolist(), score=made.score[scored])]
    extras: list[Extra] = []
    if pooled:
        for term, at in kept:
            extras += extras_of(term, **{name: values[at] for name, values in parts.items()})
    else:
        labels = [term for term, _ in kept]
        numbers = {name: np.array([values[at] for _, at in kept]) for name, values in parts.items()}
        blocks.append(block_of("indicators", labels, **numbers))
    return EstimationResult(
        engine=engine,
        extras=tuple(extras),
        blocks=tuple(blocks),
        stats=FitStats(nobs=float(scored.sum())),
        dropped=dropped,
    )


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
