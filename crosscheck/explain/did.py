"""Which option or convention separates two sets of group-time effects?

The oracle answers the request with one or two options changed; a cause is named where every effect and standard error
of the side that departs is met.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.engines._oracle_did import group_time
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import CrosscheckError
from crosscheck.explain.did_bands import explain_bands, explain_bootstrap
from crosscheck.explain.model import Departure, Explanation, write
from crosscheck.explain.replay import close
from crosscheck.frame import Column, Frame
from crosscheck.results import COEF_QUANTITIES, EstimationResult

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
OPTIONS: Mapping[str, tuple[Any, ...]] = {
    "base_period": ("varying", "universal"),
    "control_group": ("nevertreated", "notyettreated"),
    "est_method": ("dr", "ipw", "reg"),
    "anticipation": (0, 1, 2),
    "allow_unbalanced": (False, True),
    "panel": (True, False),
}
R_NAMES = {"allow_unbalanced": "allow_unbalanced_panel"}
MAX_ROWS = 50_000


def explain_did(reference: EstimationResult, candidate: EstimationResult, frame: Frame, request: FitRequest) -> Found:
    """Explain two results of ``att_gt`` by options (fewest changes first) or by the divisor of the variance."""
    if frame.nrows > MAX_ROWS:
        return {}
    own = _fit(request, frame)
    if own is None:
        return {}
    if _meets(reference, own) and _meets(candidate, own):
        return explain_bands(reference, candidate, request.conf_level)
    bootstrapped = explain_bootstrap(reference, candidate, own)
    if bootstrapped:
        return bootstrapped
    for side, other, swapped in ((candidate, reference, False), (reference, candidate, True)):
        if not _meets(other, own):
            continue
        for changes in _changes(request):
            again = _fit(request.model_copy(update={"options": {**request.options, **changes}}), frame)
            if again is not None and _meets(side, again):
                departures = tuple(_departure(request, name, value, side, other) for name, value in changes.items())
                text = ", ".join(f"{name} = {value}" for name, value in changes.items())
                return _explained(departures, text, reference, again if swapped else own)
        always = _always_treated(side, other, own, frame, request, swapped)
        if always:
            return always
        return _divisor(side, other, own, frame, request, swapped)
    return {}


def _changes(request: FitRequest) -> Iterator[dict[str, Any]]:
    """Yield sets of changed options, single ones first; options that cannot matter are left alone."""
    current = {name: request.options.get(name, values[0]) for name, values in OPTIONS.items()}
    single: list[tuple[str, Any]] = []
    for name, values in OPTIONS.items():
        if name == "est_method" and not request.options.get("covariates"):
            continue
        single += [(name, v) for v in values if v != current[name]]
    for count in (1, 2):
        for combination in itertools.combinations(single, count):
            if len({name for name, _ in combination}) == count:
                yield dict(combination)


def _departure(
    request: FitRequest, name: str, value: Any, side: EstimationResult, other: EstimationResult
) -> Departure:
    asked = request.options.get(name, OPTIONS[name][0])
    return Departure(
        rule="did.option",
        side=side.engine,
        opposite=other.engine,
        did=f"{name} = {_spell(value)}",
        asked=f"{name} = {_spell(asked)}",
        words={"option": R_NAMES.get(name, name), "word": _spell(asked)},
        back={"option": R_NAMES.get(name, name), "word": _spell(value)},
    )


def _spell(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _divisor(
    side: EstimationResult,
    other: EstimationResult,
    own: EstimationResult,
    frame: Frame,
    request: FitRequest,
    swapped: bool,
) -> Found:
    """Try n (n - 1) instead of n squared, and shares taken as known, for the same effects."""
    n = own.conventions.n_clusters[0]
    factor = math.sqrt(n / (n - 1))
    if _meets(side, _scaled(own, factor)):
        departure = Departure(
            rule="did.n",
            side=side.engine,
            opposite=other.engine,
            did=f"n (n - 1) = {n} x {n - 1}",
            asked=f"n^2 = {n}^2",
        )
        replay = _scaled(own, factor) if swapped else own
        listed = own if not swapped else replay
        reference = other if not swapped else side
        return _explained((departure,), f"SE x sqrt(n / (n - 1)), n = {n}", reference, listed, factor=1 / factor)
    known = _known_shares(own, frame, request)
    if known is not None and _meets(side, known):
        departure = Departure(
            rule="did.weights", side=side.engine, opposite=other.engine, did="known", asked="estimated"
        )
        reference = other if not swapped else side
        return _explained((departure,), "psi = sum w_j psi_j", reference, known if swapped else own)
    return {}


def _always_treated(
    side: EstimationResult,
    other: EstimationResult,
    own: EstimationResult,
    frame: Frame,
    request: FitRequest,
    swapped: bool,
) -> Found:
    """Try to keep the cohorts treated in the first period among those never treated."""
    names = [str(request.options.get("cohort")), str(request.options.get("time") or request.time)]
    if any(n not in frame or frame[n].kind == "category" for n in names):
        return {}
    cohort, time = (frame[n].as_float() for n in names)
    always = (cohort > 0) & (cohort <= np.nanmin(time))
    if not always.any() or always.all():
        return {}
    column = frame[names[0]]
    values = column.values.copy()
    values[always] = 0
    changed = Frame(
        tuple(Column(c.name, c.kind, values, c.levels) if c is column else c for c in frame.columns),
        frame.nrows,
        frame.row_ids,
    )
    again = _fit(request, changed)
    if again is None or not _meets(side, again):
        return {}
    count = int(always.sum())
    departure = Departure(
        rule="did.always_treated",
        side=other.engine,
        opposite=side.engine,
        did=f"{count} observations of units treated in the first period",
        asked="",
    )
    text = f"{count} rows kept among the never treated by {side.engine}"
    return _explained((departure,), text, side if swapped else other, again if swapped else own)


def _scaled(result: EstimationResult, factor: float) -> EstimationResult:
    rows = tuple(replace(r, std_error=None if r.std_error is None else r.std_error * factor) for r in result.coefs)
    return result.with_(coefs=rows)


def _known_shares(own: EstimationResult, frame: Frame, request: FitRequest) -> EstimationResult | None:
    """Return the aggregation with its weights taken as known: the standard errors of fixed averages."""
    options = request.options
    kind = options.get("aggregation", "none")
    if kind not in ("simple", "dynamic", "calendar", "group") or any(
        options.get(k) is not None for k in ("balance_e", "min_e", "max_e")
    ):
        return None
    sample, effects = group_time(request, frame)
    weights = _fixed_weights(effects.group, effects.time, sample.unit_cohort, sample.unit_weight, kind)
    rows = []
    for row in own.coefs:
        w = weights.get(row.term)
        if w is None:
            return None
        psi = effects.influence @ w
        rows.append(replace(row, std_error=math.sqrt(float(psi @ psi)) / sample.n_units))
    return own.with_(coefs=tuple(rows))


def _fixed_weights(group: Any, time: Any, cohorts: Any, unit_weight: Any, kind: str) -> dict[str, Any]:
    """Return the weights of each term over the cells."""
    share = np.array([(unit_weight * (cohorts == g)).mean() for g in group])
    post = time >= group

    def average(cells: Any) -> Any:
        return np.where(cells, share, 0.0) / share[cells].sum()

    if kind == "simple":
        return {"overall": average(post)}
    keys = {"dynamic": ("event=", time - group), "calendar": ("year=", time), "group": ("group=", group)}
    stem, values = keys[kind]
    used = np.ones(group.size, dtype=bool) if kind == "dynamic" else post
    found = {f"{stem}{v:.15g}": average(used & (values == v)) for v in np.unique(values[used])}
    if kind == "group":
        total = {f"{stem}{g:.15g}": share[group == g][0] for g in np.unique(group[post])}
        found["overall"] = sum(found[t] * p for t, p in total.items()) / sum(total.values())
    else:
        after = [w for t, w in found.items() if kind == "calendar" or float(t.removeprefix(stem)) >= 0]
        found["overall"] = sum(after) / len(after)
    return found


def _fit(request: FitRequest, frame: Frame) -> EstimationResult | None:
    try:
        return ORACLE.fit(request, frame)
    except (CrosscheckError, np.linalg.LinAlgError):
        return None


def _meets(side: EstimationResult, replay: EstimationResult) -> bool:
    """Say whether every effect and standard error of a side is met; effects of a base period have no error."""
    if not side.coefs or {r.term for r in side.coefs} != {r.term for r in replay.coefs}:
        return False
    for row in side.coefs:
        own = replay.coef(row.term)
        assert own is not None
        if row.estimate is None or own.estimate is None:
            return False
        a, b = own.std_error, row.std_error
        known = a is not None and math.isfinite(a)
        if known != (b is not None and math.isfinite(b)):
            return False
        if known and not close(a, b):  # type: ignore[arg-type]
            return False
        scale = abs(own.estimate) + (a if known and a is not None else 0.0)
        if abs(row.estimate - own.estimate) > 1e-8 * scale:
            return False
    return True


def _explained(
    departures: tuple[Departure, ...],
    text: str,
    reference: EstimationResult,
    replay: EstimationResult,
    *,
    factor: float | None = None,
) -> Found:
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for row in reference.coefs:
        own = replay.coef(row.term)
        for quantity in COEF_QUANTITIES:
            value, wanted = getattr(own, quantity, None), getattr(row, quantity)
            if value is None or wanted is None or not math.isfinite(value) or not math.isfinite(wanted):
                continue
            if quantity in ("estimate", "std_error") or close(wanted, value, 6.0):
                found[row.term, quantity] = (
                    write(departures, formula=text, replay=value, reference=wanted, factor=factor),
                )
    return found
