"""Which estimations can be asked of a panel, and which of them does a seed draw?

Estimators times options: each choice is among tuples whose first element is the plainest, so that what a case shows can
be made plainer. Whether an engine takes a request is the engine's to say; here is only what has a meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from crosscheck.campaign.choices import Choice, filled, group_times, quote, seeded_choice
from crosscheck.campaign.requests_designs import DESIGNS, draw_designs
from crosscheck.campaign.requests_roomy import draw_roomy
from crosscheck.formula import emit, names, parse
from crosscheck.options import OPTIONS
from crosscheck.simulate.panel import Panel
from crosscheck.spec import Also, FitRequest, SscSpec, VcovSpec, WeightsSpec

REQUEST_STREAM = 7_919
SELDOM_STREAM = 49_979_687
GAPS_STREAM = 67_867_967
SHORT = 2
"""Periods, of which none lies between two others."""
FEATURES = (
    *("feols", "fepois", "feglm", "att_gt", "sunab", "did2s", "re", "between", *DESIGNS),
    *("iid", "HC1", "HC2", "HC3", "CRV1", "CRV1:2", "CRV3", "NW", "DK"),
    *("fe:1", "fe:2", "fe:3", "fe^fe", "iv", "i", "lag", "poly", "no-constant", "ssc"),
    *("weights:analytic", "weights:frequency", "logit", "probit"),
    *("dr", "ipw", "reg", "nevertreated", "notyettreated", "varying", "universal", "anticipation", "covariates"),
    *("none", "simple", "dynamic", "group", "calendar", "balance_e", "repeated-cross-sections", "unbalanced"),
)
"""Words of :func:`crosscheck.campaign.case.features` that a campaign can reach."""


def draw_requests(panel: Panel, seed: int, count: int) -> tuple[FitRequest, ...]:
    """Return the requests that a seed stands for; each is about the panel's own columns.

    Parameters
    ----------
    panel : Panel
    seed : int
    count : int
        How many estimations; fewer where two are the same. Panels are asked a design besides, and those with room
        for it a staggered or an iterated estimator (:mod:`crosscheck.campaign.requests_roomy`), and some what would be
        drawn too seldom.
    """
    choice = seeded_choice(panel, seed, REQUEST_STREAM)
    found: dict[str, FitRequest] = {}
    for _ in range(count):
        request = draw_request(choice)
        found.setdefault(request.hash, request)
    for request in (*draw_designs(panel, seed), *draw_roomy(panel, seed), *_seldom(panel, seed)):
        found.setdefault(request.hash, request)
    return tuple(found.values())


def _seldom(panel: Panel, seed: int) -> Iterator[FitRequest]:
    """Yield what would be drawn too seldom: instruments, lags over gaps, three effects, effects interacted."""
    choice = seeded_choice(panel, seed, SELDOM_STREAM)
    if panel.spec.outcome == "continuous" and (panel.spec.gaps or panel.spec.holes) and panel.spec.periods > SHORT:
        yield _over_gaps(seeded_choice(panel, seed, GAPS_STREAM))
    if panel.instruments:
        yield _iv(choice)
    offered = quote(choice.factors())
    if panel.spec.outcome != "continuous" or (len(offered) == 2 and seed % 2):
        return
    if len(offered) > 2 and choice.pick((True, True, False)):
        effects = [*offered[:2], choice.pick(tuple(offered[2:]))]
    else:
        first = choice.pick(tuple(offered))
        second = choice.pick(tuple(e for e in offered if e != first))
        effects = [f"{first}^{second}", *(e for e in offered[:1] if e not in (first, second))]
    yield _request(choice, _formula(_terms(choice), effects))


def _over_gaps(choice: Choice) -> FitRequest:
    """Ask for a covariance with lags where units lack periods: a lag is a time, not a row."""
    kind = choice.pick(("NW", "NW", "DK"))
    effects = quote(choice.pick(((), ("unit",), ("time",), ("unit", "time"))))
    vcov = VcovSpec(type=kind, lag=choice.pick((1, 2, 1, None)))
    return _request(choice, _formula(quote(("treated", *choice.panel.regressors[:1])), effects), vcov=vcov)


def draw_request(choice: Choice) -> FitRequest:
    """Draw one request."""
    return _MAKERS[choice.pick(_estimators(choice.panel))](choice)


def _estimators(panel: Panel) -> list[str]:
    """Return what can be asked of a panel, the common ones more than once."""
    found = ["feols"] * 5 + ["i"] * 2
    outcome = panel.spec.outcome
    if panel.instruments:
        found += ["iv"] * 8
    if outcome == "count":
        found += ["fepois"] * 12
    if outcome == "binary":
        found += ["feglm"] * 12
    if panel.spec.cohorts and outcome == "continuous":
        found += ["att_gt"] * 3 + ["sunab"] * 2
    if outcome == "continuous":
        found += ["re", "between", "design"]
    return found


def _terms(choice: Choice) -> list[str]:
    """Draw right-hand-side terms that are numbers."""
    panel = choice.panel
    terms = quote(choice.some(("treated", *panel.regressors), 5)) or ["`treated`"]
    if choice.one_in(3) or panel.spec.near or panel.spec.collinear:
        terms += quote(choice.some(panel.extras, 3))
    x = panel.regressors[0] if panel.regressors else ""
    broken = bool(panel.spec.holes or panel.spec.gaps)
    if x and choice.one_in(3 if broken else 6):
        lag = f"lag(`{x}`, 1)"
        terms.append(
            choice.pick((lag, lag, lag) if broken else (f"I(`{x}`^2)", f"`treated`:`{x}`", f"poly(`{x}`, 2)", lag))
        )
    return list(dict.fromkeys(terms))


def _fixed_effects(choice: Choice) -> list[str]:
    offered = choice.factors()
    number = choice.pick((2, 1, 0, 2, 1, 0, 3))
    effects = quote(offered[:2]) if number == 2 and choice.pick((True, False)) else quote(choice.some(offered, number))
    if len(effects) > 1 and choice.one_in(6):
        effects = [f"{effects[0]}^{effects[1]}", *effects[2:]]
    return effects


def _formula(terms: Sequence[str], effects: Sequence[str], iv: str = "", *, constant: bool = True) -> str:
    left = " + ".join(terms) if terms else "1"
    if not constant and not effects:
        left += " - 1"
    return "`y` ~ " + " | ".join(part for part in (left, " + ".join(effects), iv) if part)


ALSO: tuple[Also, ...] = ("fitted", "residuals", "log_likelihood", "adj_r2_within", "pseudo_r2", "deviance")
TESTS: tuple[Also, ...] = ("wald", "f")
"""Of covariances of full rank, whatever the number of clusters."""
VCOVS = ("iid", "HC1", "CRV1", "CRV1", "two", "two", "HC2", "HC3", "CRV3", "NW", "DK")
ITERATED_VCOVS = ("iid", "HC1", "CRV1", "CRV1", "two")
"""Of Poisson and logit: those that two engines have."""


def _vcov(choice: Choice, kinds: Sequence[str] = VCOVS) -> VcovSpec:
    """Draw a covariance among the given types, clusters among all columns that group."""
    groups = tuple(n for n in ("unit", "cluster", "sector", "region", "time", "country") if choice.has(n))
    kind = choice.pick(kinds)
    if kind == "two" and len(groups) > 1:
        first = choice.pick(groups)
        return VcovSpec(type="CRV1", cluster=(first, choice.pick(tuple(g for g in groups if g != first))))
    if kind in ("CRV1", "CRV3", "two"):
        return VcovSpec(type="CRV3" if kind == "CRV3" else "CRV1", cluster=(choice.pick(groups),))
    if kind in ("NW", "DK"):
        return VcovSpec(type=kind, lag=choice.pick((None, 1, 2, 0)))
    return VcovSpec(type=kind)


def _ssc(choice: Choice) -> SscSpec:
    if choice.pick((True, False)):
        return SscSpec()
    return SscSpec(
        k_adj=choice.pick((True, False)),
        k_fixef=choice.pick(("nonnested", "none", "full")),
        g_adj=choice.pick((True, False)),
        g_df=choice.pick(("min", "conventional")),
        t_df=choice.pick(("min", "conventional")),
    )


def _weights(choice: Choice) -> WeightsSpec | None:
    return choice.panel.weights if choice.pick((True, True, False)) else None


def _request(choice: Choice, formula: str, *, estimator: str = "feols", **more: Any) -> FitRequest:
    parsed = parse(formula, columns=choice.columns)
    fields: dict[str, Any] = {
        "vcov": _vcov(choice),
        "ssc": _ssc(choice),
        "weights": _weights(choice),
        "conf_level": choice.pick((0.95, 0.95, 0.95, 0.9, 0.99)),
    } | more
    if "options" not in fields:
        fields["options"] = filled(estimator)
    used = [*names(parsed), *fields["vcov"].cluster, "unit", "time"]
    if fields["weights"] is not None:
        used.append(fields["weights"].column)
    also: tuple[Also, ...] = ()
    if estimator in ("feols", "fepois", "feglm") and choice.one_in(3):
        also = (*ALSO, *TESTS) if fields["vcov"].canonical in ("iid", "HC1") else ALSO
    return FitRequest(
        estimator=estimator,  # type: ignore[arg-type]
        also=also,
        formula=emit(parsed),
        unit="unit",
        time="time",
        columns=tuple(dict.fromkeys(used)),
        **fields,
    )


def _feols(choice: Choice) -> FitRequest:
    effects = _fixed_effects(choice)
    return _request(choice, _formula(_terms(choice), effects, constant=not choice.one_in(10)))


def _iv(choice: Choice) -> FitRequest:
    panel = choice.panel
    used = panel.instruments[: choice.pick((len(panel.instruments), 1))]
    terms = [t for t in _terms(choice) if not t.startswith("lag")]
    return _request(choice, _formula(terms, _fixed_effects(choice), f"`endog` ~ {' + '.join(quote(used))}"))


def _i(choice: Choice) -> FitRequest:
    """An event study in ``i()``, or dummies of a factor, possibly in an interaction."""
    panel = choice.panel
    periods = [panel.spec.first_period + panel.spec.step * k for k in range(panel.spec.periods)]
    factor = choice.pick(("time", "time", *(n for n in choice.factors() if n not in ("unit", "time"))))
    column = panel.frame[factor]
    if factor == "time":
        present = {int(v) for v in column.as_float() if not np.isnan(v)}
        ref = choice.pick(tuple(p for p in periods if p in present) or (periods[0],))
        reference = f", ref = {ref}" if column.kind == "integer" else ""
    else:
        reference = ""
    by = choice.pick(("treated", "", *panel.regressors[:1]))
    term = f"i(`{factor}`{f', `{by}`' if by else ''}{reference})"
    effects = _fixed_effects(choice)
    if by != "" and f"`{factor}`" not in effects and choice.pick((True, False)):
        effects = list(dict.fromkeys(["`unit`", f"`{factor}`"]))
    others = [t for t in _terms(choice) if not t.startswith(("poly", "lag")) and t != f"`{by}`"]
    return _request(choice, _formula([term, *others[: choice.pick((0, 1, 2))]], effects))


def _glm(estimator: str) -> Callable[[Choice], FitRequest]:
    def make(choice: Choice) -> FitRequest:
        options = {"family": choice.pick(("logit", "logit", "probit"))} if estimator == "feglm" else {}
        formula, vcov = _formula(_terms(choice), _fixed_effects(choice)), _vcov(choice, ITERATED_VCOVS)
        return _request(choice, formula, estimator=estimator, options=options, vcov=vcov)

    return make


def _att_gt(choice: Choice) -> FitRequest:
    panel = choice.panel
    aggregation = choice.pick(("none", "simple", "dynamic", "group", "calendar"))
    kind = panel.weights if choice.one_in(2) else None
    weights = kind if kind is not None and kind.type == "analytic" else None
    return group_times(
        choice,
        weights,
        covariates=tuple(choice.some(panel.regressors, 2)) if choice.one_in(3) else (),
        control_group=choice.pick(("nevertreated", "notyettreated")),
        est_method=choice.pick(("dr", "ipw", "reg")),
        base_period=choice.pick(("varying", "universal")),
        anticipation=choice.pick((0, 0, 0, 1)),
        aggregation=aggregation,
        balance_e=choice.pick((None, None, 0, 1)) if aggregation == "dynamic" else None,
        min_e=choice.pick((None, None, -1)) if aggregation == "dynamic" else None,
        panel=not choice.one_in(8),
        allow_unbalanced=choice.pick((False, True)),
    )


def _sunab(choice: Choice) -> FitRequest:
    aggregation = choice.pick(("dynamic", "simple", "group", "none"))
    options = OPTIONS["sunab"](
        **{"y": "y", "unit": "unit", "time": "time", "cohort": "cohort", "aggregation": aggregation}
    ).model_dump(mode="json")
    others = quote(choice.some(choice.panel.regressors, 2)) if choice.one_in(3) else []
    formula = _formula(["sunab(`cohort`, `time`)", *others], ["`unit`", "`time`"])
    vcov = choice.pick((VcovSpec(), VcovSpec(type="HC1"), VcovSpec(type="CRV1", cluster=("unit",))))
    return _request(choice, formula, estimator="sunab", options=options, vcov=vcov)


def _balanced(panel: Panel) -> bool:
    """Say whether each unit has each period once: plm's two-way random effects are at fault elsewhere."""
    unit, time = (panel.frame[name].codes()[0] for name in ("unit", "time"))
    cells = {*zip(unit.tolist(), time.tolist(), strict=True)}
    used = panel.frame.nrows == len(cells) == len({*unit.tolist()}) * len({*time.tolist()})
    return used and not (panel.spec.missing_x or panel.spec.missing_y)


def _panel_estimator(estimator: str) -> Callable[[Choice], FitRequest]:
    def make(choice: Choice) -> FitRequest:
        options: dict[str, Any] = {}
        if estimator == "re":
            effect = choice.pick(("individual", "individual", "time", "twoways" if _balanced(choice.panel) else "time"))
            options = filled("re", method=choice.pick(("swar", "amemiya", "walhus", "nerlove")), effect=effect)
        terms = [t for t in _terms(choice) if "(" not in t]
        return _request(
            choice, _formula(terms, ()), estimator=estimator, options=options, weights=None, vcov=VcovSpec()
        )

    return make


def _design(choice: Choice) -> FitRequest:
    """Descriptives, winsorized regressions and mediation: the paper's designs that need no further data."""
    panel = choice.panel
    numbers = ("y", "treated", *panel.regressors[:2])
    kind = choice.pick(("describe", "winsor_feols", "mediation"))
    quantile = choice.pick(("r7", "r6", "r2", "r1"))
    if kind == "describe" or not panel.regressors:
        options = filled(
            "describe",
            variables=numbers,
            ddof=choice.pick((1, 0)),
            quantiles=(0.25, 0.5),
            quantile=quantile,
            missing=choice.pick(("by_variable", "complete")),
        )
        return FitRequest(estimator="describe", unit="unit", time="time", options=options, columns=numbers)
    if kind == "winsor_feols":
        cut = {"columns": (panel.regressors[0],), "lower": 0.05, "upper": 0.95, "quantile": quantile}
        asked: dict[str, Any] = {"winsorize": cut | {"action": choice.pick(("clip", "trim"))}}
        terms = ["`treated`", f"`{panel.regressors[0]}`"]
    else:
        asked, terms = {"mediator": panel.regressors[0], "treatment": "treated"}, ["`treated`"]
    return _request(
        choice,
        _formula(terms, ["`unit`", "`time`"]),
        estimator=kind,
        options=filled(kind, **asked),
        weights=None,
        vcov=VcovSpec(),
    )


_MAKERS: dict[str, Callable[[Choice], FitRequest]] = {
    "feols": _feols,
    "iv": _iv,
    "i": _i,
    "fepois": _glm("fepois"),
    "feglm": _glm("feglm"),
    "att_gt": _att_gt,
    "sunab": _sunab,
    "re": _panel_estimator("re"),
    "between": _panel_estimator("between"),
    "design": _design,
}
