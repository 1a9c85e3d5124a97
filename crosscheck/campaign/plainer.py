"""Which plainer panel, and which plainer request, still shows the same discrepancy?

First greedily: each departure from the plainest specification is taken back where the discrepancy stays. Then
hypothesis searches the space that is left, and shrinks what it finds: structure and seed only, never element by
element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from crosscheck.campaign.case import Case
from crosscheck.campaign.finder import least
from crosscheck.errors import CrosscheckError
from crosscheck.formula import Formula, emit, names, parse
from crosscheck.simulate.panel import make_panel
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.simulate.space import QUIRKS, Limits
from crosscheck.spec import FitRequest, SscSpec, VcovSpec

Shows = Callable[[Case], bool]
EXAMPLES, CALLS = 60, 100


def plainer_panel(case: Case, shows: Shows, limits: Limits) -> Case:
    """Return the case on the plainest specification that still shows the discrepancy."""
    if case.panel is None:
        return case
    best = case
    for changes in _passes(case.panel.spec):
        candidate = _with_spec(best, changes)
        if candidate is not None and shows(candidate):
            best = candidate
    return _by_hypothesis(best, shows, limits)


def _passes(spec: PanelSpec) -> Iterator[dict[str, Any]]:
    """Yield changes to try, large ones first; each is applied to what the earlier ones left."""
    for name in spec.changes():
        if name not in ("seed", "units", "periods", "regressors", "weights", "clusters", "crossed"):
            yield {name: PanelSpec.model_fields[name].default}
    for name in ("weights", "clusters", "crossed"):
        yield {name: PanelSpec.model_fields[name].default}
    for size in range(2, spec.units):
        yield {"units": size}
    for size in range(2, spec.periods):
        yield {"periods": size}
    for size in range(spec.regressors):
        yield {"regressors": size}


def _with_spec(case: Case, changes: dict[str, Any]) -> Case | None:
    assert case.panel is not None
    fields = case.panel.spec.model_dump()
    name, value = next(iter(changes.items()))
    if name in ("units", "periods", "regressors") and fields[name] <= value:
        return None
    try:
        panel = make_panel(PanelSpec(**{**fields, **changes}))
    except CrosscheckError:
        return None
    if not set(case.request.columns) <= set(panel.frame.names):
        return None
    return case.with_(panel=panel, frame=panel.frame)


def _by_hypothesis(case: Case, shows: Shows, limits: Limits) -> Case:
    """Let hypothesis look for a smaller panel among those with the same quirks, and shrink it."""
    try:
        from crosscheck.simulate.strategies import specs
    except ImportError:  # hypothesis is an extra: without it the greedy result stands
        return case
    assert case.panel is not None
    spec = case.panel.spec
    space = Limits(
        units=(min(2, spec.units), spec.units),
        periods=(min(2, spec.periods), spec.periods),
        effects=(spec.effect,),
        errors=(spec.errors,),
        outcomes=(spec.outcome,),
        quirks=tuple(q for q in QUIRKS if q in spec.changes()),
        rarity=2,
    )

    def made(found: PanelSpec) -> Case | None:
        panel = make_panel(found)
        if not set(case.request.columns) <= set(panel.frame.names):
            return None
        return case.with_(panel=panel, frame=panel.frame)

    def shown(found: PanelSpec) -> bool:
        candidate = made(found)
        return candidate is not None and shows(candidate)

    found = least(
        specs(space),
        shown,
        key=repr,
        size=lambda s: (make_panel(s).frame.nrows,),
        bound=(case.frame.nrows,),
        examples=EXAMPLES,
        calls=CALLS,
    )
    return case if found is None else made(found) or case


def plainer_request(case: Case, shows: Shows) -> Case:
    """Return the case with the plainest request that still shows the discrepancy."""
    best = case
    progress = True
    while progress:
        progress = False
        for request in _plainer(best.request):
            candidate = best.with_(requests=(request, *best.requests[1:]))
            if shows(candidate):
                best, progress = candidate, True
                break
    return best


def _plainer(request: FitRequest) -> Iterator[FitRequest]:
    """Yield requests that lack one thing."""
    if request.ssc != SscSpec():
        yield request.model_copy(update={"ssc": SscSpec()})
        for name, field in SscSpec.model_fields.items():
            if getattr(request.ssc, name) != field.default:
                yield request.model_copy(update={"ssc": request.ssc.model_copy(update={name: field.default})})
    if request.conf_level != 0.95:
        yield request.model_copy(update={"conf_level": 0.95})
    if request.weights is not None and request.estimator != "att_gt":
        yield request.model_copy(update={"weights": None})
    if request.estimator not in ("att_gt", "describe", "entropy"):
        if request.vcov != VcovSpec():
            yield _used(request.model_copy(update={"vcov": VcovSpec()}))
        for name in request.vcov.cluster if len(request.vcov.cluster) > 1 else ():
            yield _used(request.model_copy(update={"vcov": VcovSpec(type=request.vcov.type, cluster=(name,))}))
    if request.formula:
        formula = parse(request.formula)
        for smaller in _formulas(formula):
            yield _used(request.model_copy(update={"formula": emit(smaller)}))
    if request.estimator == "att_gt" and request.options.get("covariates"):
        yield request.model_copy(update={"options": {**request.options, "covariates": []}})


def _formulas(formula: Formula) -> Iterator[Formula]:
    for k in range(len(formula.terms)):
        rest = formula.terms[:k] + formula.terms[k + 1 :]
        if rest or formula.intercept or formula.iv is not None:
            yield replace(formula, terms=rest)
    for k in range(len(formula.fixed_effects)):
        yield replace(formula, fixed_effects=formula.fixed_effects[:k] + formula.fixed_effects[k + 1 :])


def _used(request: FitRequest) -> FitRequest:
    """Return the request with the columns that it still names; one without a formula names them in its options."""
    if not request.formula:
        return request
    formula = parse(request.formula)
    used = [*names(formula), *request.vcov.cluster, *(n for n in (request.unit, request.time) if n)]
    if request.weights is not None:
        used.append(request.weights.column)
    used += [v for v in request.options.values() if isinstance(v, str) and v in request.columns]
    return request.model_copy(update={"columns": tuple(dict.fromkeys(used))})
