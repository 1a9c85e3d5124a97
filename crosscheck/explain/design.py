"""Which option separates two runs of a design: a quantile's definition, a variance's divisor, an order of matching?

The design is run again in Python with one or two options changed; a cause is named where every number of the side that
departs is met.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.engines.designs import ENGINE as DESIGNS
from crosscheck.errors import CrosscheckError
from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import close
from crosscheck.results import EstimationResult

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
MAX_ROWS = 20_000
MAX_RUNS = 60
RUN_COST = {"psm_did": 4.0, "placebo": 20.0, "wild_bootstrap": 5.0, "inference_grid": 5.0, "mediation": 3.0}
DISTINCT_QUANTILES = ("r7", "r6", "r1", "r2", "r3", "r4", "r5", "r8", "r9", "lower", "higher", "midpoint", "nearest")
RULES = {
    "quantile": "quantile.type",
    "ddof": "ddof",
    "order": "matching.order",
    "ties": "matching.ties",
}
CHOICES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "describe": {"ddof": (1, 0), "quantile": DISTINCT_QUANTILES, "missing": ("by_variable", "complete")},
    "winsor_feols": {"winsorize.quantile": DISTINCT_QUANTILES, "winsorize.action": ("clip", "trim")},
    "entropy": {
        "standardize": ("pooled", "by_year"),
        "proportions": ("pooled", "by_year"),
        "zero": ("limit", "shift", "replace"),
        "score": ("standardized", "proportions"),
    },
    "psm_did": {
        "order": ("largest", "smallest", "data"),
        "ties": ("first", "all"),
        "replace": (True, False),
        "distance": ("score", "logit"),
        "score_by": ("pooled", "period"),
        "match_by": ("pooled", "period"),
        "caliper_scale": ("sd", "absolute", "sd_pooled"),
        "support": ("none", "minmax", "both"),
        "weighting": ("psmatch2", "matchit"),
        "regression": ("weighted", "matched"),
        "standardize": ("treated", "pooled"),
    },
    "wild_bootstrap": {"ties": ("strict", "count", "half"), "impose_null": (True, False)},
    "mediation": {"quantile": DISTINCT_QUANTILES},
    "placebo": {"quantile": DISTINCT_QUANTILES},
    "inference_grid": {"ties": ("strict", "count", "half")},
}
DIGITS = 9.0


def explain_design(
    reference: EstimationResult, candidate: EstimationResult, frame: Frame, request: FitRequest
) -> Found:
    """Explain two runs of a design by one or two of its options, single ones first; empty where none fits."""
    if frame.nrows > MAX_ROWS:
        return {}
    own = _run(request, frame)
    if own is None or (_meets(reference, own) and _meets(candidate, own)):
        return {}
    for side, other, swapped in ((candidate, reference, False), (reference, candidate, True)):
        if not _meets(other, own):
            continue
        for runs, changes in enumerate(_changes(request), 1):
            if runs * RUN_COST.get(request.estimator, 1.0) > MAX_RUNS:
                return {}
            again = _run(_changed(request, changes), frame)
            if again is not None and _meets(side, again):
                return _explained(request, changes, side, other, reference, again if swapped else own)
    return {}


def _option(options: Mapping[str, Any], path: str) -> Any:
    value: Any = options
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _changes(request: FitRequest) -> Iterator[dict[str, Any]]:
    choices = CHOICES.get(request.estimator, {})
    single = [
        (path, value)
        for path, values in choices.items()
        for value in values
        if _option(request.options, path) not in (None, value)
    ]
    for count in (1, 2):
        for combination in itertools.combinations(single, count):
            if len({path for path, _ in combination}) == count:
                yield dict(combination)


def _changed(request: FitRequest, changes: Mapping[str, Any]) -> FitRequest:
    options = dict(request.options)
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        options[head] = {**options[head], rest: value} if rest else value
    return request.model_copy(update={"options": options})


def _run(request: FitRequest, frame: Frame) -> EstimationResult | None:
    try:
        return DESIGNS.fit(request, frame)
    except (CrosscheckError, np.linalg.LinAlgError, ValueError, ZeroDivisionError):
        return None


def _numbers(result: EstimationResult) -> dict[tuple[str, str], float]:
    return {(t, q): v for t, q, v in result.quantities() if v is not None and math.isfinite(v)}


def _meets(side: EstimationResult, own: EstimationResult) -> bool:
    """Say whether every number of a side is met; what both lack is not compared."""
    theirs, ours = _numbers(side), _numbers(own)
    if not theirs or set(theirs) - set(ours):
        return False
    for key, value in theirs.items():
        row = own.coef(key[0])
        slack = 1e-9 * row.std_error if row is not None and row.std_error and key[1] == "estimate" else 0.0
        floor = 1e-12 if key[1] in ("p_value", "statistic") else 1e-14
        if not close(value, ours[key], DIGITS) and abs(value - ours[key]) > slack + floor:
            return False
    return True


def _explained(
    request: FitRequest,
    changes: Mapping[str, Any],
    side: EstimationResult,
    other: EstimationResult,
    reference: EstimationResult,
    replay: EstimationResult,
) -> Found:
    departures = []
    for path, value in changes.items():
        name = path.rpartition(".")[2]
        asked = _option(request.options, path)
        departures.append(
            Departure(
                rule=RULES.get(name, "design.option"),
                side=side.engine,
                opposite=other.engine,
                did=f"{name} = {value}",
                asked=f"{name} = {asked}",
                words={"option": path, "word": str(asked)},
                back={"option": path, "word": str(value)},
            )
        )
    text = ", ".join(f"{path} = {value}" for path, value in changes.items())
    values = _numbers(replay)
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for key, wanted in _numbers(reference).items():
        if key in values and close(wanted, values[key], 6.0):
            found[key] = (write(tuple(departures), formula=text, replay=values[key], reference=wanted),)
    return found
