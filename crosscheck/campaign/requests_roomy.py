"""What is asked of panels that have room for it: staggered treatment, event studies, and models that are iterated.

On small panels full of quirks most group-time effects have no comparison units, and most logits are separated. These
requests have a random stream of their own and are made only of what a panel identifies, so that each option is met with
numbers: every aggregation, windows, balance, anticipation of one and more periods, either control group.
"""

from __future__ import annotations

from typing import Any

from crosscheck.campaign.choices import Choice, filled, group_times, quote, seeded_choice
from crosscheck.formula import emit, parse
from crosscheck.options import OPTIONS
from crosscheck.simulate.panel import Panel
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec

ROOMY_STREAM = 32_452_843
LEAST_PERIODS = 4
ALSO = ("fitted", "residuals", "log_likelihood", "pseudo_r2", "deviance")


def draw_roomy(panel: Panel, seed: int) -> tuple[FitRequest, ...]:
    """Return the further request that a seed stands for, none where the panel has no room for any."""
    choice = seeded_choice(panel, seed, ROOMY_STREAM)
    spec = panel.spec
    if spec.outcome != "continuous":
        return (_iterated(choice),)
    if spec.periods >= LEAST_PERIODS and not spec.duplicates and _latest(panel) > 0:
        return (_sunab(choice) if choice.pick((False, False, True)) else _att_gt(choice),)
    return ()


def _latest(panel: Panel) -> int:
    """Return the place of the last period in which a cohort starts that others are left to be compared with."""
    starts = sorted((g - panel.spec.first_period) // panel.spec.step for g, _ in panel.truth.cohorts if g)
    starts = [s for s in starts if s < panel.spec.periods]
    return max(starts if panel.spec.never else starts[:-1], default=0)


def _weights(choice: Choice) -> WeightsSpec | None:
    kind = choice.panel.weights if choice.one_in(2) else None
    return kind if kind is not None and kind.type == "analytic" else None


def _att_gt(choice: Choice) -> FitRequest:
    panel = choice.panel
    aggregation = choice.pick(("dynamic", "dynamic", "dynamic", "group", "calendar", "simple", "none"))
    dynamic, weights = aggregation == "dynamic", _weights(choice)
    ahead = tuple(a for a in (0, 0, 1, 2) if a < _latest(panel)) or (0,)
    return group_times(
        choice,
        weights,
        covariates=tuple(choice.some(panel.regressors, 1)) if choice.one_in(4) else (),
        control_group=choice.pick(("notyettreated", "nevertreated") if panel.spec.never else ("notyettreated",)),
        est_method=choice.pick(("reg", "dr", "ipw")),
        base_period=choice.pick(("varying", "universal")),
        anticipation=choice.pick(ahead),
        aggregation=aggregation,
        balance_e=choice.pick((None, 0, None, 1)) if dynamic else None,
        min_e=choice.pick((None, None, -1, -2)) if dynamic else None,
        max_e=choice.pick((None, None, None, 1)) if dynamic else None,
        panel=not choice.one_in(10),
        allow_unbalanced=choice.pick((False, True)),
    )


def _request(choice: Choice, terms: list[str], effects: list[str], **fields: Any) -> FitRequest:
    text = "`y` ~ " + " | ".join(p for p in (" + ".join(terms), " + ".join(effects)) if p)
    weights, vcov = fields["weights"], fields["vcov"]
    columns = ("y", *(t.strip("`") for t in (*terms, *effects) if "(" not in t), *vcov.cluster, "unit", "time")
    more = ("cohort",) if fields["estimator"] == "sunab" else ()
    return FitRequest(
        formula=emit(parse(text, columns=choice.columns)),
        unit="unit",
        time="time",
        conf_level=choice.pick((0.95, 0.9)),
        columns=tuple(dict.fromkeys((*columns, *more, *((weights.column,) if weights else ())))),
        **fields,
    )


def _sunab(choice: Choice) -> FitRequest:
    aggregation = choice.pick(("dynamic", "simple", "group", "none"))
    options = OPTIONS["sunab"](
        **{"y": "y", "unit": "unit", "time": "time", "cohort": "cohort", "aggregation": aggregation}
    ).model_dump(mode="json")
    return _request(
        choice,
        ["sunab(`cohort`, `time`)", *(quote(choice.some(choice.panel.regressors, 1)) if choice.one_in(4) else [])],
        ["`unit`", "`time`"],
        estimator="sunab",
        options=options,
        weights=_weights(choice),
        vcov=choice.pick((VcovSpec(), VcovSpec(type="HC1"), VcovSpec(type="CRV1", cluster=("unit",)))),
        ssc=SscSpec(),
    )


def _iterated(choice: Choice) -> FitRequest:
    """Poisson, logit or probit with few effects, so that they are not separated."""
    panel = choice.panel
    estimator = "fepois" if panel.spec.outcome == "count" else "feglm"
    options = filled("feglm", family=choice.pick(("logit", "probit"))) if estimator == "feglm" else filled("fepois")
    effects = [n for n in ("time", "sector", "region", "unit") if choice.has(n)]
    groups = tuple(n for n in ("unit", "cluster", "sector", "time") if choice.has(n))
    kind = choice.pick(("iid", "HC1", "CRV1", "two"))
    cluster = groups[:2] if kind == "two" else (choice.pick(groups),) if kind == "CRV1" else ()
    weights = panel.weights if choice.pick((False, False, True)) else None
    terms = quote(("treated", *panel.regressors[:1])) if choice.one_in(2) else quote(panel.regressors[:2])
    return _request(
        choice,
        terms or ["`treated`"],
        quote((choice.pick(tuple(effects)),)) if choice.pick((False, True)) else [],
        estimator=estimator,
        also=ALSO if choice.one_in(2) else (),
        options=options,
        weights=weights,
        vcov=VcovSpec(type="CRV1" if kind == "two" else kind, cluster=cluster),
        ssc=SscSpec(k_adj=choice.pick((True, False)), k_fixef=choice.pick(("nonnested", "full", "none"))),
    )
