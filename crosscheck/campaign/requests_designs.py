"""Which of a paper's designs can be asked of a panel, and which of them does a seed draw?

They have a random stream of their own, so that what is drawn of estimators does not depend on them. Draws of placebo
units and of bootstrap weights are made here and travel in the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from crosscheck.campaign.choices import Choice, filled, quote, seeded_choice
from crosscheck.campaign.design_arithmetic import indicators, swept, together
from crosscheck.design_options import DrawKind
from crosscheck.designs.draws import as_draws, draw_subsets, draw_weights
from crosscheck.formula import emit, parse
from crosscheck.frame import Frame
from crosscheck.simulate.panel import Panel
from crosscheck.spec import FitRequest, SscSpec, VcovSpec

DESIGN_STREAM = 15_485_863
QUIRK_STREAM = 86_028_121
INVARIANT_NAME = "xi"
RARITY = 1
"""One of so many panels is asked a design beside its estimations."""
TWO_STAGE = 3
"""One of so many panels with treated units is asked two-stage differences in differences instead."""
DRAWS = 12
ENUMERATED = 6
QUANTILES = ("r7", "r6", "r2", "r1", "r3", "r4", "r5", "r8", "r9", "stata", "stata_altdef")
DESIGNS = (
    *("entropy", "psm_did", "placebo", "wild_bootstrap", "subgroups", "inference_grid", "winsor_feols"),
    *("mediation", "monte_carlo", "describe"),
)


def draw_designs(panel: Panel, seed: int) -> tuple[FitRequest, ...]:
    """Return the designs that a seed stands for, if the panel offers any: one, and one that its quirks call for."""
    return (*_one_design(panel, seed), *_quirky(panel, seed))


def _quirky(panel: Panel, seed: int) -> tuple[FitRequest, ...]:
    """Return matching on values that are tied, or winsorizing of a column beside which others lack values."""
    spec = panel.spec
    if spec.outcome != "continuous" or not panel.regressors:
        return ()
    choice = seeded_choice(panel, seed, QUIRK_STREAM)
    if (spec.missing_x or spec.missing_y) and choice.one_in(2):
        return (_winsor(choice),)
    tied = [panel.regressors[0]] if spec.integer_x else []
    tied += [name for name in panel.extras if name == INVARIANT_NAME]
    if tied and choice.one_in(2):
        return (_matching(choice, (choice.pick(tuple(tied)),)),)
    return ()


def _one_design(panel: Panel, seed: int) -> tuple[FitRequest, ...]:
    if panel.spec.cohorts and panel.spec.outcome == "continuous" and not seed % TWO_STAGE:
        return (_two_stage(seeded_choice(panel, seed, DESIGN_STREAM)),)
    choice = seeded_choice(panel, seed, DESIGN_STREAM)
    if not choice.one_in(RARITY):
        return ()
    made = _MAKERS[choice.pick(_offered(panel))](choice)
    return () if made is None else (made,)


def _offered(panel: Panel) -> tuple[str, ...]:
    """Return the designs whose columns a panel has; outcomes are numbers of any kind."""
    found = ["placebo", "wild_bootstrap", "placebo", "wild_bootstrap", "inference_grid", "monte_carlo"]
    if panel.regressors:
        found += ["entropy", "psm_did", "psm_did", "winsor_feols", "mediation", "mediation", "psm_did", "entropy"]
        found += ["mediation", "psm_did"]
    if any(name in panel.frame for name in ("region", "sector", "grade")):
        found += ["subgroups"] * 4
    return tuple(found)


def _sample_labels(choice: Choice, column: str, used: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a column in the rows that are complete in the columns used."""
    frame = choice.panel.frame
    rows = ~np.any([frame[name].missing for name in dict.fromkeys((*used, column))], axis=0)
    for name in used:
        if frame[name].kind == "float":
            rows &= np.isfinite(frame[name].as_float())
    return frame.take(rows)[column].codes()[1] if rows.any() else ()


def _two_stage(choice: Choice) -> FitRequest:
    panel = choice.panel
    covariates = tuple(panel.regressors[: choice.pick((0, 1, 2))])
    clusters = tuple(n for n in ("cluster", "region") if choice.has(n))
    vcov = VcovSpec(type="CRV1", cluster=(choice.pick(clusters),)) if clusters and choice.pick((0, 1)) else VcovSpec()
    options = filled("did2s", y="y", treated="treated", unit="unit", time="time", covariates=covariates)
    return FitRequest(
        estimator="did2s",
        unit="unit",
        time="time",
        vcov=vcov,
        options=options,
        conf_level=choice.pick((0.95, 0.9)),
        columns=("y", "treated", "unit", "time", *covariates, *vcov.cluster),
    )


def _terms(choice: Choice) -> tuple[str, ...]:
    panel = choice.panel
    return ("treated", *(panel.regressors[: choice.pick((1, 0, 2))]))


def _effects(choice: Choice, terms: Sequence[str] = ("treated",), group: str = "") -> tuple[str, ...]:
    """Draw fixed effects beside which the terms vary (in every group), or any where there are none."""
    offered = [("unit", "time"), ("unit", "time"), ("unit",), ()]
    if choice.has("sector"):
        offered.append(("unit", "sector"))
    if group:
        offered.append(("time",))
    free = [e for e in offered if _varies(choice.panel.frame, terms, e, group)]
    return choice.pick(tuple(free or offered))  # type: ignore[no-any-return]


def _varies(frame: Frame, terms: Sequence[str], effects: Sequence[str], group: str) -> bool:
    """Say whether each term varies beside effects, and there are rows left, in each group."""
    used = ("y", *terms)
    keep = ~np.any([frame[n].missing for n in dict.fromkeys((*used, *effects, *filter(None, (group,))))], axis=0)
    keep &= np.all([np.isfinite(frame[n].as_float()) for n in used], axis=0)
    codes = frame[group].codes()[0] if group else np.zeros(frame.nrows, dtype=np.int64)
    for g in np.unique(codes[keep]):
        rows = frame.take(keep & (codes == g))
        blocks = [indicators(together(rows, (e,))) for e in effects]
        dummies = np.column_stack([np.ones((rows.nrows, 1)), *blocks])
        x = np.column_stack([rows[t].as_float() for t in terms])
        left = swept(x, dummies)
        size = np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=0))
        if (np.sqrt((left**2).sum(axis=0)) <= 1e-6 * size).any() or rows.nrows < np.linalg.matrix_rank(dummies) + 2:
            return False
    return bool(keep.any())


def _clusters(choice: Choice) -> tuple[str, ...]:
    return tuple(n for n in ("unit", "cluster", "region", "sector") if choice.has(n))


def _vcov(choice: Choice, kinds: Sequence[str]) -> VcovSpec:
    kind = choice.pick(tuple(kinds))
    if kind == "two":
        groups = _clusters(choice)
        if len(groups) > 1:
            return VcovSpec(type="CRV1", cluster=groups[:2])
        kind = "CRV1"
    if kind in ("CRV1", "CRV3"):
        return VcovSpec(type=kind, cluster=(choice.pick(_clusters(choice)),))
    return VcovSpec(type=kind, lag=choice.pick((None, 1)) if kind == "DK" else None)


def _ssc(choice: Choice) -> SscSpec:
    words = {"k_fixef": choice.pick(("nonnested", "full", "none")), "g_adj": choice.pick((True, False))}
    return SscSpec() if choice.pick((True, False)) else SscSpec(k_adj=choice.pick((True, False)), **words)


def _request(
    choice: Choice,
    estimator: str,
    terms: Sequence[str],
    effects: Sequence[str],
    *,
    vcov: VcovSpec,
    options: dict[str, Any],
    more: Sequence[str] = (),
) -> FitRequest:
    text = "`y` ~ " + " | ".join(filter(None, (" + ".join(quote(terms)), " + ".join(quote(effects)))))
    used = ("y", *terms, *effects, *vcov.cluster, *more, "unit", "time")
    return FitRequest(
        estimator=estimator,  # type: ignore[arg-type]
        formula=emit(parse(text, columns=choice.columns)),
        unit="unit",
        time="time",
        vcov=vcov,
        ssc=_ssc(choice),
        options=options,
        conf_level=choice.pick((0.95, 0.9)),
        columns=tuple(dict.fromkeys(used)),
    )


def _winsorize(choice: Choice, columns: Sequence[str]) -> dict[str, Any] | None:
    """Draw a rule of winsorizing for one of four designs."""
    if not columns or not choice.one_in(4):
        return None
    return {"columns": (columns[0],), "lower": 0.1, "upper": 0.9, "quantile": choice.pick(QUANTILES)}


def _placebo(choice: Choice) -> FitRequest | None:
    panel, terms = choice.panel, _terms(choice)
    effects = _effects(choice, terms)
    vcov = _vcov(choice, ("CRV1", "iid", "HC1"))
    labels = _sample_labels(choice, "unit", ("y", *terms, *effects, "time", *vcov.cluster))
    if len(labels) < 3:
        return None
    size = choice.pick((1, max(1, len(labels) // 2), len(labels) - 1))
    start = panel.spec.first_period + panel.spec.step * choice.pick(tuple(range(1, max(2, panel.spec.periods))))
    options = filled(
        "placebo",
        treatment="treated",
        start=start,
        draws=_draws(choice, "subset", labels, size=size),
        quantiles=(0.05, 0.5, 0.95),
        quantile=choice.pick(QUANTILES),
        winsorize=_winsorize(choice, panel.regressors[:1] if panel.regressors[:1] == terms[1:2] else ()),
    )
    return _request(choice, "placebo", terms, effects, vcov=vcov, options=options)


def _draws(choice: Choice, kind: DrawKind, labels: Sequence[str], *, size: int = 0) -> dict[str, Any]:
    seed = choice.panel.spec.seed
    table = (
        draw_subsets(seed, DRAWS, size, len(labels))
        if kind == "subset"
        else draw_weights(seed, DRAWS, len(labels), kind)
    )
    return as_draws(kind, labels, table, path="drawn").model_dump(mode="json")


def _wild(estimator: str) -> Callable[[Choice], FitRequest | None]:
    def make(choice: Choice) -> FitRequest | None:
        terms = _terms(choice)
        effects = _effects(choice, terms)
        cluster = choice.pick(_clusters(choice))
        vcov = VcovSpec(type="CRV1", cluster=(cluster,))
        labels = _sample_labels(choice, cluster, ("y", *terms, *effects, "time"))
        if len(labels) < 2:
            return None
        weight: Any = choice.pick(("rademacher", "webb"))
        drawn = weight == "webb" or len(labels) > ENUMERATED or choice.pick((False, True))
        given: dict[str, Any] = {
            "treatment": "treated",
            "cluster": cluster,
            "weight": weight,
            "impose_null": choice.pick((True, False)),
            "null": choice.pick((0.0, 0.5)),
            "ties": choice.pick(("strict", "half", "count")),
        }
        if drawn:
            given["draws"] = _draws(choice, weight, labels)
        if estimator == "inference_grid":
            given |= {"also": tuple(terms[1:2]), "lag": choice.pick((None, 1)), "time": "time"}
        options = filled(estimator, **given)
        return _request(choice, estimator, terms, effects, vcov=vcov, options=options, more=(cluster,))

    return make


def _entropy(choice: Choice) -> FitRequest:
    panel = choice.panel
    columns = tuple(dict.fromkeys((*panel.regressors[:3], *panel.extras[:1])))
    options = filled(
        "entropy",
        indicators={name: choice.pick(("+", "-")) for name in columns},
        unit="unit",
        time="time",
        standardize=choice.pick(("pooled", "by_year")),
        proportions=choice.pick(("pooled", "by_year")),
        zero=choice.pick(("limit", "shift", "replace")),
        constant=choice.pick(("zero_weight", "drop", "error")),
        missing=choice.pick(("drop_rows", "available", "error")),
        score=choice.pick(("standardized", "proportions")),
    )
    return FitRequest(
        estimator="entropy", unit="unit", time="time", options=options, columns=(*columns, "unit", "time")
    )


def _in_every_period(panel: Panel) -> bool:
    """Say whether each period has treated and untreated rows."""
    codes, d = panel.frame["time"].codes()[0], panel.frame["treated"].as_float()
    return all(np.unique(d[codes == t]).size == 2 for t in np.unique(codes[codes >= 0]))


def _matching(choice: Choice, covariates: tuple[str, ...] = ()) -> FitRequest:
    panel = choice.panel
    covariates = covariates or tuple(panel.regressors[: choice.pick((1, 2))])
    method = choice.pick(("nearest", "nearest", "nearest", "kernel"))
    replace = choice.pick((True, False))
    by = choice.pick(("pooled", "pooled", "period") if _in_every_period(panel) else ("pooled",))
    given: dict[str, Any] = {
        "group": "treated",
        "covariates": covariates,
        "unit": "unit",
        "time": "time",
        "score_by": by,
        "match_by": by,
        "method": method,
        "ratio": choice.pick((1, 1, 2)),
        "replace": replace,
        "support": choice.pick(("none", "none", "minmax", "both")),
        "weighting": choice.pick(("psmatch2", "matchit")),
        "regression": choice.pick(("weighted", "matched")),
        "standardize": choice.pick(("treated", "pooled")),
    }
    if method == "kernel":
        given |= {"kernel": choice.pick(("epanechnikov", "gaussian")), "bandwidth": choice.pick((0.06, 0.3))}
    else:
        caliper = choice.pick((None, 0.5, 0.25))
        given |= {
            "distance": choice.pick(("score", "logit")),
            "order": choice.pick(("largest", "smallest", "data")),
            "ties": choice.pick(("first", "all")) if replace else "first",
            "caliper": caliper,
            "caliper_scale": choice.pick(("sd", "absolute", "sd_pooled")),
        }
    terms = ("treated", *covariates[:1])
    effects = _effects(choice, terms)
    vcov = _vcov(choice, ("iid", "CRV1", "HC1"))
    return _request(choice, "psm_did", terms, effects, vcov=vcov, options=filled("psm_did", **given), more=covariates)


def _subgroups(choice: Choice) -> FitRequest:
    group, terms = choice.pick(tuple(n for n in ("region", "sector", "grade") if choice.has(n))), _terms(choice)
    vcov = _vcov(choice, ("iid", "CRV1", "HC1"))
    options = filled("subgroups", treatment="treated", group=group)
    effects = _effects(choice, terms, group)
    return _request(choice, "subgroups", terms, effects, vcov=vcov, options=options, more=(group,))


def _winsor(choice: Choice) -> FitRequest:
    panel = choice.panel
    name = choice.pick((panel.regressors[0], "y"))
    cut = {"columns": (name,), "quantile": choice.pick(QUANTILES), "action": choice.pick(("clip", "trim"))}
    cut |= choice.pick(({"lower": 0.05, "upper": 0.95}, {"lower": 0.0, "upper": 0.8}, {"lower": 0.01, "upper": 0.99}))
    vcov = _vcov(choice, ("iid", "CRV1", "HC1", "two", "CRV3", "DK"))
    effects = _effects(choice, ("treated", panel.regressors[0]))
    options = filled("winsor_feols", winsorize=cut, constant=choice.one_in(4))
    return _request(choice, "winsor_feols", ("treated", panel.regressors[0]), effects, vcov=vcov, options=options)


def _mediation(choice: Choice) -> FitRequest | None:
    panel = choice.panel
    others = (*panel.regressors[1:], *(n for n in (INVARIANT_NAME, "endog") if choice.has(n)))
    mediator, terms = panel.regressors[0], ("treated", *others[: choice.pick((0, 1))])
    effects = _effects(choice, (*terms, mediator))
    given: dict[str, Any] = {"treatment": "treated", "mediator": mediator, "quantile": choice.pick(QUANTILES)}
    if choice.pick((False, True)):
        cluster = choice.pick(_clusters(choice))
        labels = _sample_labels(choice, cluster, ("y", mediator, *terms, *effects))
        if len(labels) < 2:
            return None
        given |= {"cluster": cluster, "draws": _draws(choice, "resample", labels)}
    vcov = _vcov(choice, ("iid", "CRV1", "HC1"))
    more = (mediator, *([given["cluster"]] if "cluster" in given else []))
    return _request(choice, "mediation", terms, effects, vcov=vcov, options=filled("mediation", **given), more=more)


def _monte_carlo(choice: Choice) -> FitRequest:
    cluster = choice.pick(_clusters(choice))
    options = filled(
        "monte_carlo",
        treatment="treated",
        effect=choice.pick((0.0, 1.0, 0.25)),
        cluster=cluster,
        unit="unit",
        time="time",
        rho=choice.pick((0.0, 0.5)),
        noise=choice.pick((None, 0.5)),
        panels=DRAWS,
        seed=choice.panel.spec.seed,
    )
    vcov = VcovSpec(type="CRV1", cluster=(cluster,))
    terms = _terms(choice)
    return _request(choice, "monte_carlo", terms, _effects(choice, terms), vcov=vcov, options=options)


_MAKERS: dict[str, Callable[[Choice], FitRequest | None]] = {
    "placebo": _placebo,
    "wild_bootstrap": _wild("wild_bootstrap"),
    "inference_grid": _wild("inference_grid"),
    "entropy": _entropy,
    "psm_did": _matching,
    "subgroups": _subgroups,
    "winsor_feols": _winsor,
    "mediation": _mediation,
    "monte_carlo": _monte_carlo,
}
