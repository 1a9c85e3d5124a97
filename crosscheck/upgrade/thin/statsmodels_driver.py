"""How is statsmodels asked, and where does it keep its answer?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from crosscheck_thin import common

FAMILIES = {
    "binomial": "Binomial",
    "poisson": "Poisson",
    "gaussian": "Gaussian",
    "negativebinomial": "NegativeBinomial",
    "gamma": "Gamma",
    "inversegaussian": "InverseGaussian",
    "tweedie": "Tweedie",
}
LINKS = {"logit": "Logit", "probit": "Probit", "cloglog": "CLogLog", "log": "Log", "identity": "Identity"}
LINKS["cauchy"] = "Cauchy"
STRUCTURES = {"independence": "Independence", "exchangeable": "Exchangeable", "autoregressive": "Autoregressive"}
RESIDUALS = ("resid_pearson", "resid_deviance", "resid_working", "resid_generalized")
CRITERIA = {"deviance": "bic_deviance", "likelihood": "bic_llf"}
TESTS = ("wald_test_terms", "f_test", "t_test", "get_margeff")
TESTED = ("statistic", "fvalue", "tvalue", "pvalue", "df_num", "df_denom", "effect", "sd")
STATS = ("nobs", "r2", "adj_r2", "df_resid")
SLOW = ("mixedlm",)


def run(call, data, new_rows, adapter):
    """Fit a call and return its answer."""
    name = call["function"]
    function = common.resolve(adapter, name)
    words = common.arguments_for(adapter, name, call["arguments"])
    if name in ("glm", "gee"):
        words["family"] = family(adapter, words.pop("family", "gaussian"), words.pop("link", None))
    if isinstance(words.get("M"), str):
        words["M"] = getattr(common.resolve(adapter, "norms"), words["M"])()
    if isinstance(words.get("cov_struct"), str):
        words["cov_struct"] = getattr(common.resolve(adapter, "structures"), STRUCTURES[words["cov_struct"]])()
    words = {k: common.columns(data, v) for k, v in words.items()}
    conditions = []
    with common.quiet():
        if name == "gee":
            words["data"] = data
            model = function(call["formula"], words.pop("groups"), **words)
        else:
            model = function(call["formula"], data, **words)
        labels = common.row_labels(model.data.row_labels, len(model.endog))
        rows = None if labels is None else [i - 1 for i in labels]
        options = common.arguments_for(adapter, name + ".fit", call["fit"].get("fit", {}))
        if isinstance(options.get("cov_kwds"), dict):
            options["cov_kwds"] = {k: array(common.columns(data, v, rows)) for k, v in options["cov_kwds"].items()}
        if options.get("scale_est") == "huber":
            options["scale_est"] = common.resolve(adapter, "scales").HuberScale()
        result = model.fit(**options)
        if "get_robustcov_results" in call["fit"]:
            again = common.arguments_for(adapter, name + ".get_robustcov_results", call["fit"]["get_robustcov_results"])
            result = result.get_robustcov_results(**{k: array(common.columns(data, v, rows)) for k, v in again.items()})
        return answer(call, result, model, labels, data, new_rows, adapter, common.steps_into(conditions), conditions)


def family(adapter, name, link):
    """Return a family with its link."""
    module = common.resolve(adapter, "families")
    made = getattr(module, FAMILIES[name])
    if link is None:
        return made()
    spelled = LINKS[link]
    try:
        return made(link=getattr(module.links, spelled)())
    except (AttributeError, ValueError):
        return made(link=getattr(module.links, spelled.lower())())  # the only names that families took before 0.14


def array(value):
    """Return columns as the array that covariance estimators take; texts as codes."""
    if isinstance(value, pd.DataFrame):
        return common.codes(value).to_numpy()
    if isinstance(value, pd.Series):
        return common.codes(value.to_frame("c"))["c"].to_numpy()
    return value


def answer(call, result, model, labels, data, new_rows, adapter, step, conditions):
    """Read a fitted model."""
    paths, want = adapter["attributes"], call["want"]

    def of(quantity):
        return common.attribute(result, paths.get(quantity))

    # after get_robustcov_results() the numbers have lost their names
    names = list(getattr(result.params, "index", None) if hasattr(result.params, "index") else model.exog_names)
    names = [common.spelled(adapter, n) for n in names]
    uses_t = bool(getattr(result, "use_t", False))
    df = common.number(of("df_inference")) or common.number(of("df_resid"))
    limits = step("conf_int", result.conf_int, **call["fit"].get("conf_int", {}))
    limits = None if limits is None else np.asarray(limits, dtype=float)
    rows = common.coefficients(
        names,
        estimate=np.asarray(result.params),
        std_error=step("bse", lambda: np.asarray(result.bse)),
        statistic=step("tvalues", lambda: np.asarray(result.tvalues)),
        p_value=step("pvalues", lambda: np.asarray(result.pvalues)),
        conf_low=None if limits is None else limits[:, 0],
        conf_high=None if limits is None else limits[:, 1],
        df=df if uses_t else math.inf,
    )
    skipped = (*STATS, "df_inference")
    more = common.extras([(q, of(q)) for q in paths if q not in skipped])
    criterion = call["fit"].get("bic", {}).get("bic")
    if criterion:  # one of two that statsmodels calls bic, by version
        more = [row for row in more if row["quantity"] != "bic"]
        more += common.extras([("bic", common.attribute(result, CRITERIA[criterion]))])
    if call["function"] == "rlm":
        more += common.extras([("deviance", step("deviance", model.deviance, result))])
    for name in TESTS:
        if name in call["fit"]:
            more += tested(name, step(name, getattr(result, name), **call["fit"][name]), names)
    covariance = step("cov_params", result.cov_params) if "vcov" in want else None
    nobs = common.number(of("nobs"))
    return {
        "coefs": rows,
        "stats": {q: v for q in STATS if (v := common.number(of(q))) is not None},
        "extras": more,
        "blocks": [b for b in blocks_of(call, result, labels, new_rows, step) if b],
        "vcov": [] if covariance is None else common.matrix(covariance),
        "conditions": conditions,
        "dropped": [],
        "conventions": {
            "vcov": str(getattr(result, "cov_type", "")) or None,
            "distribution": "t" if uses_t else "normal",
            "df_t": df if uses_t else math.inf,
            "rows_dropped": common.lost(len(data), nobs),
        },
    }


def tested(name, found, names):
    """Return what a test or an average of effects says."""
    if found is None:
        return []
    if name == "get_margeff":
        table = found.summary_frame()
        columns = {"dy/dx": "effect", "Std. Err.": "std_error"}
        return [
            row
            for label, values in table.iterrows()
            for row in common.extras([(f"{name}: {q}", values[c]) for c, q in columns.items()], str(label))
        ]
    if name == "wald_test_terms":
        rows = []
        for label, values in found.table.iterrows():
            pairs = [("df_constraint" if "constraint" in str(c) else f"{name}: {c}", values[c]) for c in values.index]
            rows += common.extras(pairs, "test of " + str(label))
        return rows
    return common.extras([(f"{name}: {part}", common.attribute(found, part)) for part in TESTED], "test")


def blocks_of(call, result, labels, new_rows, step):
    """Yield fitted values, residuals and predictions."""
    want, found = call["want"], {}
    if "fitted" in want:
        found["fitted"] = step("fittedvalues", lambda: np.asarray(result.fittedvalues))
    if "residuals" in want:
        name = "resid" if hasattr(result, "resid") else "resid_response"
        found["residuals"] = step(name, lambda: np.asarray(getattr(result, name)))
        more = {name: getattr(result, name, None) if hasattr(type(result), name) else None for name in RESIDUALS}
        size = np.size(found["residuals"]) if found["residuals"] is not None else 0
        found.update({name: v for name, v in more.items() if v is not None and np.size(v) == size})
    yield common.block("rows", labels, **found)
    if "predict_new" in want and new_rows is not None:
        words = call["fit"].get("predict", {})
        made = step("predict on new rows", result.predict, new_rows, **words)
        if made is not None:
            if hasattr(made, "reindex"):
                made = made.reindex(new_rows.index)
            more = {}
            if not words and call["function"] in ("ols", "wls", "glm"):
                band = step("get_prediction", lambda: result.get_prediction(new_rows).summary_frame())
                if band is not None and len(band) == len(new_rows):
                    more["std_error"] = band["mean_se"].to_numpy(dtype=float)
            yield common.block("new rows", None, prediction=np.asarray(made, dtype=float), **more)
