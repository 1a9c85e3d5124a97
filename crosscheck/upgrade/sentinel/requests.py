"""What is a call of a package, asked of R and of the closed forms: every option written out as the package fills it in?

A call has a request where another program can express it: the conventions are those of the newest version of the
package, so that "toward R" means toward what R gives for that convention. Where none can, there is no request, and the
two versions have no witness.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import CrosscheckError
from crosscheck.formula import Formula, emit, names, parse
from crosscheck.frame import Frame
from crosscheck.options import OPTIONS
from crosscheck.spec import Estimator, FitRequest, SscSpec, VcovSpec, WeightsSpec

UNIT, TIME = "unit", "time"
_LM_EFFECTS = re.compile(r" \+ (EntityEffects|TimeEffects)")


def request_of(call: Mapping[str, Any], frame: Frame, *, frequency: bool) -> tuple[FitRequest, Frame] | None:
    """Return the question for witnesses and the rows that it is about, or ``None`` where none can express the call.

    Parameters
    ----------
    call : mapping
        A :class:`crosscheck.upgrade.calls.Call` as JSON.
    frame : Frame
    frequency : bool
        Whether the panel's weights count rows.
    """
    maker = _MAKERS.get((call["package"], call["function"]))
    if maker is None:
        return None
    try:
        return maker(call, frame, frequency)
    except CrosscheckError:
        return None


def _make(
    formula: str,
    frame: Frame,
    *,
    estimator: Estimator = "feols",
    vcov: VcovSpec,
    ssc: SscSpec,
    weights: WeightsSpec | None = None,
    options: Mapping[str, Any] | None = None,
    singletons: bool = True,
    conf_level: float = 0.95,
) -> tuple[FitRequest, Frame]:
    parsed = parse(formula, columns=frame.names)
    columns = [*names(parsed), *vcov.cluster, UNIT, TIME, *((weights.column,) if weights else ())]
    request = FitRequest(
        estimator=estimator,
        formula=emit(parsed),
        unit=UNIT,
        time=TIME,
        vcov=vcov,
        ssc=ssc,
        weights=weights,
        options=OPTIONS[estimator].model_validate(dict(options or {})).model_dump(mode="json", exclude_none=True),
        columns=tuple(dict.fromkeys(columns)),
        conf_level=conf_level,
    )
    return request, frame if singletons else without_singletons(frame, parsed, request)


def without_singletons(frame: Frame, formula: Formula, request: FitRequest) -> Frame:
    """Return the rows without those that are alone in a fixed effect, taken away until none is."""
    used = [n for n in request.columns if n not in (UNIT, TIME) or n in names(formula)]
    keep = np.ones(frame.nrows, dtype=bool)
    for name in used:
        keep &= ~frame[name].missing
    levels = [_combined(frame, effect) for effect in formula.fixed_effects]
    while True:
        alone = np.zeros(frame.nrows, dtype=bool)
        for codes in levels:
            alone |= keep & (np.bincount(codes[keep], minlength=int(codes.max()) + 1)[codes] == 1)
        if not alone.any():
            break
        keep &= ~alone
    whole = np.ones(frame.nrows, dtype=bool)
    for name in used:
        whole &= ~frame[name].missing
    return frame if np.array_equal(keep, whole) else frame.take(keep | ~whole)


def _combined(frame: Frame, columns: tuple[str, ...]) -> NDArray[np.int64]:
    codes = np.zeros(frame.nrows, dtype=np.int64)
    for name in columns:
        own, labels = frame[name].codes()
        codes = codes * (len(labels) + 1) + own + 1
    return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64)


def _r_spelling(formula: str) -> str:
    return formula.replace("**", "^").replace("np.", "")


def _pyfixest(call: Mapping[str, Any], frame: Frame, frequency: bool) -> tuple[FitRequest, Frame] | None:
    words = call["arguments"]
    formula = _r_spelling(call["formula"])
    several = re.search(r"\b(c?sw0?|mvsw)\(", formula) or "+" in formula.partition("~")[0]
    if several or words.get("offset") or words.get("split") or words.get("fsplit") or "high" in formula:
        return None
    if words.get("drop_intercept") or words.get("collin_tol"):
        return None
    vcov: Any = call.get("fit", {}).get("vcov", words).get("vcov") or "iid"
    if vcov in ("NW", "DK"):
        spec = VcovSpec(type=vcov, lag=words["vcov_kwargs"]["lag"])
    elif isinstance(vcov, str):
        spec = VcovSpec(type=vcov)  # type: ignore[arg-type]
    else:
        kind, columns = next(iter(vcov.items()))
        spec = VcovSpec(type=kind, cluster=tuple(columns.split(" + ")))
    given = words.get("ssc", {})
    ssc = SscSpec(**{k.lower(): v for k, v in given.items()})
    weights = (
        WeightsSpec(column=words["weights"], type="frequency" if frequency else "analytic")
        if words.get("weights")
        else None
    )
    options = {"family": words["family"]} if "family" in words else {}
    return _make(
        formula,
        frame,
        estimator=call["function"],
        vcov=spec,
        ssc=ssc,
        weights=weights,
        options=options,
        singletons=words.get("fixef_rm") == "none",
        conf_level=1 - call.get("fit", {}).get("confint", {}).get("alpha", 0.05),
    )


def _statsmodels(call: Mapping[str, Any], frame: Frame, frequency: bool) -> tuple[FitRequest, Frame] | None:
    words, fit = call["arguments"], call["fit"].get("fit", {})
    function, formula = call["function"], _r_spelling(call["formula"])
    if words.keys() & {"offset", "exposure", "var_weights", "freq_weights"} or "high" in formula:
        return None
    if fit.keys() & {"method", "scale"} or call["fit"].keys() & {"get_robustcov_results", "conf_int"}:
        return None
    link = (words.get("family"), words.get("link"))
    estimators: dict[Any, tuple[Estimator, dict[str, str]]] = {
        ("ols", (None, None)): ("feols", {}),
        ("wls", (None, None)): ("feols", {}),
        ("logit", (None, None)): ("feglm", {"family": "logit"}),
        ("probit", (None, None)): ("feglm", {"family": "probit"}),
        ("poisson", (None, None)): ("fepois", {}),
        ("glm", ("binomial", None)): ("feglm", {"family": "logit"}),
        ("glm", ("binomial", "probit")): ("feglm", {"family": "probit"}),
        ("glm", ("poisson", None)): ("fepois", {}),
        ("glm", ("gaussian", None)): ("feols", {}),
    }
    if (function, link) not in estimators:
        return None
    estimator, options = estimators[function, link]
    iterated = estimator != "feols"
    kind, kwds = fit.get("cov_type", "nonrobust"), fit.get("cov_kwds", {})
    if kind in ("nonrobust", "HC0", "HC1", "HC2", "HC3"):
        if iterated and kind in ("HC1", "HC2", "HC3"):
            return None
        name = {"nonrobust": "iid", "HC0": "HC1"}.get(kind, kind)
        plain = kind in ("HC1", "HC2", "HC3") or (kind == "nonrobust" and not iterated)
        vcov, ssc = VcovSpec(type=name), SscSpec(k_adj=plain, g_adj=False)
    elif kind == "cluster":
        groups = kwds["groups"]
        columns = (groups["column"],) if "column" in groups else tuple(groups["columns"])
        corrected = kwds.get("use_correction", True)
        vcov = VcovSpec(type="CRV1", cluster=columns)
        ssc = SscSpec(k_adj=corrected, g_adj=corrected, g_df="conventional")
    else:
        return None
    weights = WeightsSpec(column="weight") if function == "wls" else None
    return _make(formula, frame, estimator=estimator, vcov=vcov, ssc=ssc, weights=weights, options=options)


def _linearmodels(call: Mapping[str, Any], frame: Frame, frequency: bool) -> tuple[FitRequest, Frame] | None:
    words, fit = call["arguments"], call["fit"].get("fit", {})
    function, text = call["function"], call["formula"]
    asked = fit.get("cov_type", "unadjusted") in ("unadjusted", "robust", "clustered")
    if "high" in text or not text or not asked or fit.get("reweight") or fit.get("small_sample"):
        return None
    if words.get("other_effects") or "conf_int" in call["fit"]:
        return None
    effects = [{"EntityEffects": UNIT, "TimeEffects": TIME}[e] for e in _LM_EFFECTS.findall(text)]
    text = _LM_EFFECTS.sub("", text)
    instruments = re.search(r" \+ \[(.*)\]", text)
    text = re.sub(r" \+ \[.*\]", "", text)
    left, _, right = text.partition(" ~ ")
    constant = right.startswith("1 + ")
    right = right.removeprefix("1 + ") if constant else right if effects else f"{right} - 1"
    parts = [right, " + ".join(effects), instruments[1] if instruments else ""]
    formula = f"{left} ~ " + " | ".join(p for p in parts if p)
    panel = function in ("PanelOLS", "PooledOLS", "RandomEffects", "BetweenOLS")
    debiased = fit.get("debiased", panel)
    kind = fit.get("cov_type", "unadjusted" if panel else "robust")
    clusters = [*fit.get("clusters", {}).get("columns", ())]
    clusters += [UNIT] * bool(fit.get("cluster_entity")) + [TIME] * bool(fit.get("cluster_time"))
    counted = "none" if fit.get("count_effects") is False else "full"
    if kind == "clustered":
        vcov = VcovSpec(type="CRV1", cluster=tuple(clusters))
        auto = "nonnested" if fit.get("auto_df", True) and counted == "full" else counted
        ssc = SscSpec(k_adj=debiased, g_adj=bool(fit.get("group_debias")), k_fixef=auto, g_df="conventional")  # type: ignore[arg-type]
    else:
        vcov = VcovSpec(type="iid" if kind == "unadjusted" else "HC1")
        ssc = SscSpec(k_adj=debiased, k_fixef=counted, g_adj=False)  # type: ignore[arg-type]
    weights = WeightsSpec(column="weight") if "weights" in words else None
    estimator: Estimator = {"RandomEffects": "re", "BetweenOLS": "between"}.get(function, "feols")  # type: ignore[assignment]
    return _make(
        _r_spelling(formula),
        frame,
        estimator=estimator,
        vcov=vcov,
        ssc=ssc,
        weights=weights,
        singletons=words.get("singletons", True),
    )


def _csdid(call: Mapping[str, Any], frame: Frame, frequency: bool) -> tuple[FitRequest, Frame] | None:
    words, steps = call["arguments"], call["fit"]
    average = steps.get("aggte", {})
    if words.get("clustervar") or words.get("allow_unbalanced_panel") is False:
        return None
    covariates = words.get("xformla", "").partition("~")[2]
    options: Any = OPTIONS["att_gt"].model_validate(
        {
            "y": words["yname"],
            "cohort": words["gname"],
            "unit": words["idname"],
            "time": words["tname"],
            "covariates": tuple(covariates.split("+")) if covariates else (),
            "control_group": words.get("control_group", "nevertreated"),
            "est_method": steps["fit"].get("est_method", "dr"),
            "base_period": steps["fit"].get("base_period", "varying"),
            "anticipation": words["anticipation"],
            "aggregation": average.get("typec", "none"),
            "balance_e": average.get("balance_e"),
            "min_e": average.get("min_e"),
            "max_e": average.get("max_e"),
            "weights": words.get("weights_name"),
            "panel": words.get("panel", True),
            "allow_unbalanced": True,
        }
    )
    used = (
        "y",
        "cohort",
        words["idname"],
        "time",
        *options.covariates,
        *((options.weights,) if options.weights else ()),
    )
    request = FitRequest(
        estimator="att_gt",
        unit=words["idname"],
        time=TIME,
        vcov=VcovSpec(),
        weights=WeightsSpec(column=words["weights_name"]) if words.get("weights_name") else None,
        options=options.model_dump(mode="json"),
        conf_level=1 - words.get("alp", 0.05),
        columns=used,
    )
    return request, frame


_MAKERS = {
    **dict.fromkeys((("pyfixest", f) for f in ("feols", "fepois", "feglm")), _pyfixest),
    **dict.fromkeys((("statsmodels", f) for f in ("ols", "wls", "glm", "logit", "probit", "poisson")), _statsmodels),
    **dict.fromkeys(
        (("linearmodels", f) for f in ("PanelOLS", "PooledOLS", "RandomEffects", "BetweenOLS", "IV2SLS")),
        _linearmodels,
    ),
    ("csdid", "ATTgt"): _csdid,
}
