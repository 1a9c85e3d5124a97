"""How is csdid asked, and where does it keep its answer?"""

from __future__ import annotations

import math

import numpy as np
from crosscheck_thin import common

STEMS = {"dynamic": "event=", "group": "group=", "calendar": "year="}


def run(call, data, new_rows, adapter):
    """Fit a call and return its answer."""
    function = common.resolve(adapter, "ATTgt")
    words = common.arguments_for(adapter, "ATTgt", call["arguments"])
    np.random.seed(0)  # a bootstrap that is asked for draws the same in all versions
    with common.quiet():
        model = function(data=data, **words)
        fit = model.fit(**common.arguments_for(adapter, "ATTgt.fit", call["fit"].get("fit", {})))
        aggregated = None
        if "aggte" in call["fit"]:
            options = common.arguments_for(adapter, "ATTgt.aggte", call["fit"]["aggte"])
            options = {
                k: {"min_e": -math.inf, "max_e": math.inf}.get(k) if v is None else v for k, v in options.items()
            }
            aggregated = fit.aggte(**options).atte
    low = high = None
    if aggregated is None:
        found = fit.results
        low, high = (floats(np.ravel(found[k])) if k in found else None for k in ("l_se", "u_se"))
        cells = list(zip(found["group"], found["year"]))
        terms = [f"ATT({period(g)},{period(t)})" for g, t in cells]
        estimates, errors = np.ravel(found["att"]), np.ravel(found["se"])
    else:
        kind = str(aggregated.get("type") or call["fit"]["aggte"].get("typec", "group"))
        terms, estimates, errors = ["overall"], [aggregated["overall_att"]], [aggregated["overall_se"]]
        if kind != "simple":
            terms += [f"{STEMS.get(kind, kind + '=')}{period(e)}" for e in np.ravel(aggregated["egt"])]
            estimates = [*estimates, *np.ravel(aggregated["att_egt"])]
            errors = [*errors, *np.ravel(aggregated["se_egt"])]
    mp = getattr(fit, "MP", {}) or {}
    pairs = [
        (name, mp.get(key))
        for name, key in (("units", "n"), ("wald", "W"), ("wald_pvalue", "Wpval"), ("critical", "c"))
    ]
    if aggregated is not None:
        pairs.append(("critical: aggregated", aggregated.get("crit_val_egt")))
    kept = common.attribute(fit, "dp")
    rows = kept.get("data") if isinstance(kept, dict) else None
    return {
        "coefs": common.coefficients(
            terms, estimate=floats(estimates), std_error=floats(errors), conf_low=low, conf_high=high
        ),
        "stats": {},
        "extras": common.extras(pairs),
        "blocks": [],
        "dropped": [],
        "vcov": covariance(mp) if aggregated is None and "vcov" in call["want"] else [],
        "conventions": {"rows_dropped": None if rows is None else int(len(data) - len(rows))},
    }


def floats(values):
    """Return numbers; what is none, such as a standard error that could not be computed, as NaN."""
    out = []
    for value in values:
        found = common.number(value)
        out.append(math.nan if found is None else found)
    return out


def period(value):
    """Write a period or cohort."""
    return f"{float(value):.15g}"


def covariance(mp):
    """Return the covariance of the group-time effects from their influence functions."""
    influence = (mp.get("inffunc") or {}).get("inffunc")
    if influence is None:
        return []
    psi = np.asarray(influence.todense() if hasattr(influence, "todense") else influence, dtype=float)
    return common.matrix(psi.T @ psi / float(mp["n"]) ** 2)
