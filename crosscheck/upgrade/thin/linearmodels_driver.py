"""How is linearmodels asked, and where does it keep its answer?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from crosscheck_thin import common

SCALARS = ("nobs", "df_resid")
TESTS = (
    "f_statistic",
    "f_statistic_robust",
    "f_pooled",
    "sargan",
    "basmann",
    "wooldridge_score",
    "wooldridge_regression",
)
TESTS += ("wooldridge_overid", "j_stat", "anderson_rubin", "basmann_f", "durbin_default", "wu_hausman_default")
TESTS += ("breusch_pagan", "likelihood_ratio")
SYSTEMS = ("SUR", "IV3SLS", "IVSystemGMM")
COUNTED = ("entity_info", "time_info")


def run(call, data, new_rows, adapter):
    """Fit a call and return its answer."""
    name = call["function"]
    function = common.resolve(adapter, name)
    words = common.arguments_for(adapter, name, call["arguments"])
    if name in SYSTEMS:
        return system(function, call, words, data, adapter)
    index = words.pop("index", None)
    if index:
        data = data.set_index(list(index))
        new_rows = None if new_rows is None else new_rows.set_index(list(index))
    conditions = []
    with common.quiet():
        model = made(function, call, words, data)
        options = common.arguments_for(adapter, name + ".fit", call["fit"].get("fit", {}))
        if isinstance(options.get("clusters"), dict):
            options["clusters"] = clusters(model, common.columns(data, options["clusters"]), bool(index))
        result = model.fit(**options)
        if "wald_test" in call["fit"]:
            options["wald_test"] = result.wald_test(formula=call["fit"]["wald_test"]["formula"])
        return answer(call, result, data, new_rows, adapter, options, common.steps_into(conditions), conditions)


def made(function, call, words, data):
    """Return the model, from a formula or from columns."""
    weights = words.pop("weights", None)
    if weights is not None:
        words["weights"] = common.columns(data, weights)
    if isinstance(words.get("clusters"), dict):
        found = common.columns(data, words["clusters"])
        words["clusters"] = common.codes(found.to_frame() if isinstance(found, pd.Series) else found)
    if call["formula"]:
        return function.from_formula(call["formula"], data, **words)
    values = {k: common.columns(data, v) for k, v in words.items()}
    if values.get("other_effects") is not None:
        values["other_effects"] = common.codes(values["other_effects"].to_frame())
    if isinstance(values.get("absorb"), pd.DataFrame):
        values["absorb"] = values["absorb"].astype("category")
    return function(values.pop("dependent"), values.pop("exog", None), **values)


def system(function, call, words, data, adapter):
    """Fit a system of equations, under constraints on its coefficients where there are any, and read it."""
    conditions = []
    options = common.arguments_for(adapter, call["function"] + ".fit", call["fit"].get("fit", {}))
    with common.quiet():
        model = function.from_formula(words.pop("equations"), data, **words)
        if isinstance(options.get("clusters"), dict):
            found = common.columns(data, options["clusters"])
            options["clusters"] = common.codes(found.to_frame() if isinstance(found, pd.Series) else found)
        if "add_constraints" in call["fit"]:
            bound = call["fit"]["add_constraints"]
            r = pd.DataFrame(0.0, index=range(len(bound["r"])), columns=list(model.param_names))
            for row, values in enumerate(bound["r"]):
                for name, value in values.items():
                    r.loc[row, name] = value
            q = bound.get("q")
            model.add_constraints(r, None if q is None else pd.Series(q, index=r.index))
        result = model.fit(**options)
        return answer(call, result, data, None, adapter, options, common.steps_into(conditions), conditions)


def clusters(model, found, panel):
    """Return clusters as numbers, for the rows that a cross-sectional model uses."""
    frame = common.codes(found if isinstance(found, pd.DataFrame) else found.to_frame())
    if panel:
        return frame
    used = getattr(model, "notnull", None)
    used = None if used is None else np.asarray(used).reshape(-1)
    return frame if used is None or used.size != len(frame) else frame[used]


def answer(call, result, data, new_rows, adapter, options, step, conditions):
    """Read a fitted model."""
    paths, want = adapter["attributes"], call["want"]

    def of(quantity):
        return common.attribute(result, paths.get(quantity))

    names = [common.spelled(adapter, n) for n in result.params.index]
    debiased = getattr(result, "debiased", None)
    debiased = getattr(result, "_debiased", False) if debiased is None else debiased
    df = common.number(of("df_resid")) if debiased else math.inf
    limits = step("conf_int", result.conf_int, **call["fit"].get("conf_int", {}))
    limits = None if limits is None else np.asarray(limits, dtype=float)
    rows = common.coefficients(
        names,
        estimate=result.params.to_numpy(),
        std_error=step("std_errors", lambda: np.asarray(result.std_errors)),
        statistic=step("tstats", lambda: np.asarray(result.tstats)),
        p_value=step("pvalues", lambda: np.asarray(result.pvalues)),
        conf_low=None if limits is None else limits[:, 0],
        conf_high=None if limits is None else limits[:, 1],
        df=df,
    )
    effects = call["function"] == "PanelOLS" and bool(of("has_effects"))
    absorbed = call["function"] == "AbsorbingLS"
    r2 = {"r2": of("r2_inclusive") if effects else of("rsquared")}
    r2["r2_within"] = of("rsquared") if effects else of("absorbed_rsquared") if absorbed else None
    stats = {q: of(q) for q in SCALARS}
    more = [(q, of(q)) for q in paths if q not in (*SCALARS, "has_effects")]
    for test in TESTS:
        found = step_free(result, test)
        more += [(f"{test}: {part}", common.attribute(found, part)) for part in ("stat", "pval") if found is not None]
    joint = options.get("wald_test")
    if joint is not None:
        more += [(f"wald_test: {part}", common.attribute(joint, part)) for part in ("stat", "pval", "df", "df_denom")]
    for info in COUNTED:
        counts = step_free(result, info)
        if isinstance(counts, pd.Series):
            more += [(f"{info}: {name}", counts[name]) for name in counts.index]
    parts = step_free(result, "variance_decomposition")
    if isinstance(parts, pd.Series):
        more += [(f"variance: {name}", value) for name, value in parts.items()]
    diagnostics = common.attribute(result, "first_stage.diagnostics")
    if isinstance(diagnostics, pd.DataFrame):
        more += [(f"first stage: {r}: {c}", diagnostics.loc[r, c]) for r in diagnostics.index for c in diagnostics]
    covariance = step("cov", lambda: result.cov) if "vcov" in want else None
    return {
        "coefs": rows,
        "stats": {q: v for q, x in {**stats, **r2}.items() if (v := common.number(x)) is not None},
        "extras": common.extras(more),
        "blocks": [b for b in blocks_of(call, result, data, new_rows, step) if b],
        "vcov": [] if covariance is None else common.matrix(covariance),
        "conditions": conditions,
        "dropped": dropped(result, call),
        "conventions": {
            "distribution": "t" if debiased else "normal",
            "df_t": df,
            "rows_dropped": common.lost(len(data), common.number(of("nobs"))),
        },
    }


def dropped(result, call):
    """Return the regressors of a model that its answer does not have: absorbed ones."""
    model = getattr(result, "model", None)
    asked = step_free(getattr(model, "exog", None), "vars") or []
    kept = set(result.params.index)
    return [str(n) for n in asked if n not in kept] if call["arguments"].get("drop_absorbed") else []


def step_free(result, name):
    """Return an attribute that not every model has; ``None`` where it has none or it cannot be computed."""
    try:
        return getattr(result, name, None)
    except Exception:
        return None


def blocks_of(call, result, data, new_rows, step):
    """Yield fitted values, residuals, effects and predictions."""
    want, found, labels = call["want"], {}, None
    for quantity, name in (("fitted", "fitted_values"), ("residuals", "resids"), ("fixef", "estimated_effects")):
        if quantity in want and hasattr(type(result), name):
            values = step(name, lambda name=name: getattr(result, name))
            if values is None:
                continue
            found[quantity if quantity != "fixef" else "effects"] = np.asarray(values, dtype=float)
            labels = common.positions(values.index, data.index) if labels is None else labels
    sizes = {v.size for v in found.values()}
    if len(sizes) == 1:
        yield common.block("rows", labels if labels and sizes == {len(labels)} else None, **found)
    else:
        for name, values in found.items():
            yield common.block("rows: " + name, None, **{name: values})
    if "predict_new" in want and new_rows is not None and call["formula"]:
        values = step("predict on new rows", lambda: result.predict(data=new_rows))
        if values is not None:
            if new_rows.index.is_unique:
                values = values.reindex(new_rows.index)
            yield common.block("new rows", None, prediction=np.asarray(values, dtype=float))
