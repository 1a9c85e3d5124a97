"""How is pyfixest asked, and where does it keep its answer?"""

from __future__ import annotations

import re

import numpy as np
from crosscheck_thin import common

BY_DATA = ("event_study", "did2s", "lpdid")
MODEL = (
    "rmse",
    "adj_r2_within",
    "f_statistic",
    "f_pvalue",
    "f_statistic_first_stage",
    "effective_f",
    "df_k",
    "log_likelihood",
    "log_likelihood_null",
    "deviance",
    "pseudo_r2",
    "separated",
    "rows",
)


def run(call, data, new_rows, adapter):
    """Fit a call and return its answer."""
    models = fitted(call, data, adapter)
    if len(models) == 1:
        return answer(call, models[0], data, new_rows, adapter)
    merged: dict[str, list] = {"coefs": [], "extras": [], "blocks": [], "dropped": [], "conditions": []}
    for number, model in enumerate(models, 1):
        one = answer(call, model, data, new_rows, adapter)
        for row in one["coefs"]:
            merged["coefs"].append({**row, "term": f"model {number}: {row['term']}"})
        pairs = [(row["quantity"], row["value"]) for row in one["extras"]]
        pairs += list(one["stats"].items())
        merged["extras"] += common.extras(pairs, f"model {number}")
        merged["blocks"] += [{**b, "term": f"model {number}: {b['term']}"} for b in one["blocks"]]
        merged["conditions"] += one.get("conditions", ())
        merged["dropped"] += [f"model {number}: {name}" for name in one["dropped"]]
    return merged


def fitted(call, data, adapter):
    """Return the models of a call; one, but for multiple estimations."""
    name = call["function"]
    common.require_formula(adapter, call["formula"])
    function = common.resolve(adapter, name)
    words = common.arguments_for(adapter, name, call["arguments"])
    if words.get("ssc") is not None:
        words["ssc"] = common.resolve(adapter, "ssc")(**common.arguments_for(adapter, "ssc", words["ssc"]))
    if isinstance(words.get("demeaner"), dict):
        options = dict(words["demeaner"])
        words["demeaner"] = common.resolve(adapter, options.pop("kind", "MapDemeaner"))(**options)
    with common.quiet():
        if name in BY_DATA:
            model = function(data=data, **words)
        else:
            model = function(call["formula"], data, **words)
        models = model.to_list() if hasattr(model, "to_list") and not hasattr(model, "_beta_hat") else [model]
        if "vcov" in call["fit"]:
            again = common.arguments_for(adapter, "vcov", call["fit"]["vcov"])
            for each in models:
                each.vcov(**again)
    return models


def answer(call, model, data, new_rows, adapter):
    """Read a fitted model."""
    paths = adapter["attributes"]

    def of(quantity):
        return common.attribute(model, paths.get(quantity))

    if not hasattr(model, "_beta_hat"):
        return table(model, adapter)
    steps, want = call["fit"], call["want"]
    conditions: list[dict] = []
    step = common.steps_into(conditions)
    names = [common.spelled(adapter, n, call["formula"]) for n in model._coefnames]
    df = of("df_t")
    if "aggregate" in steps and adapter.get("missing", {}).get("aggregate"):
        raise common.Unsupported(adapter["missing"]["aggregate"])
    with common.quiet():
        low, high = bounds(model, steps, adapter)
        rows = common.coefficients(
            names,
            estimate=model._beta_hat,
            std_error=model._se,
            statistic=model._tstat,
            p_value=model._pvalue,
            conf_low=low,
            conf_high=high,
            df=common.number(df) if df is not None else None,
        )
        if "IV_Diag" in steps and hasattr(model, "IV_Diag"):
            step("IV_Diag", model.IV_Diag, **steps["IV_Diag"])
        more = common.extras([(quantity, of(quantity)) for quantity in MODEL])
        if "wald_test" in steps:
            more += step("wald_test", wald, model, steps["wald_test"]) or []
        if "aggregate" in steps:
            rows += step("aggregate", aggregated, model, steps["aggregate"], adapter) or []
        blocks = [b for b in blocks_of(model, call, data, new_rows, adapter, step) if b]
    nobs = common.number(of("nobs"))
    used = common.number(of("rows"))
    clusters = of("clusters")
    factor = of("ssc_factor")
    return {
        "coefs": rows,
        "stats": {k: v for k in common.STATS if (v := common.number(of(k))) is not None},
        "extras": more,
        "blocks": blocks,
        "conditions": conditions,
        "dropped": [common.spelled(adapter, n, call["formula"]) for n in (of("dropped") or ())],
        "vcov": common.matrix(model._vcov) if "vcov" in want else [],
        "vcov_terms": names if "vcov" in want and "aggregate" in steps else [],
        "conventions": {
            "vcov": str(getattr(model, "_vcov_type_detail", "") or "") or None,
            "k": common.number(of("df_k")),
            "ssc_factor": common.number(factor) if factor is not None and np.size(factor) == 1 else None,
            "n_clusters": sorted({int(g) for g in np.ravel(clusters)}) if clusters is not None else [],
            "df_t": common.number(df) if df is not None else None,
            "rows_dropped": common.lost(len(data), used, nobs),
        },
    }


def bounds(model, steps, adapter):
    """Return the limits of the confidence interval as the model gives them."""
    if "confint" not in steps:
        kept = getattr(model, "_conf_int", None)
        if kept is not None:
            kept = np.asarray(kept, dtype=float)
            return kept[0], kept[1]
    table_ = model.confint(**common.arguments_for(adapter, "confint", steps.get("confint", {})))
    values = np.asarray(table_.iloc[:, :2], dtype=float)
    return values[:, 0], values[:, 1]


def wald(model, words):
    """Return statistic and p of a joint test."""
    words = {**words, "R": np.asarray(words["R"], dtype=float)} if words.get("R") is not None else dict(words)
    found = model.wald_test(**words)
    pairs = []
    for name in ("statistic", "pvalue"):
        value = found.get(name) if hasattr(found, "get") else None
        if value is not None:
            pairs.append((name, value))
    if not pairs:
        pairs = [("statistic", getattr(model, "_wald_statistic", None)), ("pvalue", getattr(model, "_p_value", None))]
    return common.extras(pairs, "wald test")


def aggregated(model, words, adapter):
    """Return the effects that a saturated event study averages."""
    table_ = model.aggregate(**words)
    return frame_rows(table_, adapter, "aggregate: ")


def table(found, adapter):
    """Return the rows of an estimator that answers with a table."""
    return {
        "coefs": frame_rows(found.tidy() if hasattr(found, "tidy") else found, adapter, ""),
        "stats": {},
        "extras": [],
        "blocks": [],
        "dropped": [],
    }


def frame_rows(found, adapter, prefix):
    """Return a tidy table as rows of coefficients."""
    columns = {"estimate": "Estimate", "std_error": "Std. Error", "statistic": "t value", "p_value": "Pr(>|t|)"}
    if "Estimate" not in found.columns:
        found = found.reset_index()
    limits = [c for c in found.columns if re.match(r"[\d.]+ ?%", str(c))]
    if len(limits) == 2:
        columns.update(conf_low=limits[0], conf_high=limits[1])
    named = found["Coefficient"] if "Coefficient" in found.columns else found.index
    return common.coefficients(
        [prefix + common.spelled(adapter, n) for n in named],
        **{q: found[c].to_numpy(dtype=float) for q, c in columns.items() if c in found.columns},
    )


def blocks_of(model, call, data, new_rows, adapter, step):
    """Yield fitted values, residuals, predictions and fixed effects."""
    want = call["want"]
    options = common.arguments_for(adapter, "predict", call["fit"].get("predict", {}))
    kept = getattr(model, "_data", None)
    labels = common.row_labels(kept.index, len(kept)) if kept is not None and len(kept) else None
    found = {}
    if "residuals" in want and hasattr(model, "resid"):
        found["residuals"] = step("resid", model.resid)
    if "fitted" in want:
        found.update(predictions(step("predict", model.predict, **options), "fitted"))
    found = {k: v for k, v in found.items() if v is not None}
    lengths = {np.size(v) for v in found.values()}
    if len(lengths) == 1:
        yield common.block("rows", labels if labels and lengths == {len(labels)} else None, **found)
    else:
        for name, values in found.items():
            yield common.block("rows: " + name, None, **{name: values})
    if "predict_new" in want and new_rows is not None:
        made = step("predict on new rows", model.predict, newdata=new_rows, **options)
        yield common.block("new rows", None, **predictions(made, "prediction"))
    if "fixef" in want:
        words = common.arguments_for(adapter, "fixef", call["fit"].get("fixef", {}))
        effects = step("fixef", model.fixef, **words) or {}
        effects = getattr(model, "_fixef_dict", None) or effects
        names, values = [], []
        for effect, levels in effects.items():
            for level, value in levels.items():
                names.append(f"{effect}: {level}")
                values.append(value)
        yield common.block("fixed effects", names, estimate=values) if names else None


def predictions(found, name):
    """Return what predict() gave: one quantity, or those of its table."""
    if found is None:
        return {}
    if hasattr(found, "columns"):
        return {name if c == "fit" else f"{name}: {c}": found[c].to_numpy(dtype=float) for c in found.columns}
    return {name: np.asarray(found, dtype=float)}
