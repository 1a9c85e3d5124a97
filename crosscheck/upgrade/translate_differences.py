"""Which call of differences asks what a column of a study asks, with its conventions written out?"""

from __future__ import annotations

from typing import Any

from crosscheck.frame import Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.group_time import group_time_rows
from crosscheck.upgrade.translation import NoCall, Written

METHODS = {"dr": "dr", "reg": "reg", "ipw": "std_ipw"}
CONTROLS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
KINDS = {"simple": "simple", "dynamic": "event", "group": "cohort", "calendar": "time"}


def written(request: FitRequest, frame: Frame) -> Written:
    """Write a request as a call.

    Raises
    ------
    NoCall
        Where differences lacks it.
    """
    rows = group_time_rows(request, frame, never=float("nan"))
    options = request.options
    for name in ("balance_e", "min_e", "max_e"):
        if options.get(name) is not None:
            raise NoCall(f"differences has no {name} in its averages")
    words: dict[str, Any] = {
        "index": ["unit", "period"],
        "cohort_name": "cohort",
        "base_period": options.get("base_period") or "varying",
        "anticipation": int(options.get("anticipation") or 0),
    }
    fit: dict[str, Any] = {
        "formula": f"y ~ {' + '.join(rows.covariates)}" if rows.covariates else "y",
        "est_method": METHODS[options.get("est_method") or "dr"],
        "control_group": CONTROLS[options.get("control_group") or "nevertreated"],
        "alpha": round(1 - request.conf_level, 12),
    }
    if rows.weights:
        fit["weights_name"] = rows.weights
    if not rows.panel:
        fit["as_repeated_cross_section"] = True
    steps: dict[str, Any] = {"fit": fit}
    kind = options.get("aggregation") or "none"
    if kind != "none":
        steps["aggregate"] = {"type_of_aggregation": KINDS[kind]}
        if kind != "simple":
            steps["average"] = {"type_of_aggregation": KINDS[kind], "overall": True}
    call = Call(package="differences", function="ATTgt", arguments=words, fit=steps, want=("coefs", "stats"))
    return Written(call=call, frame=rows.frame, names={})
