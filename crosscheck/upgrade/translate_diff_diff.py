"""Which call of diff-diff asks what a column of a study asks, with its conventions written out?"""

from __future__ import annotations

from typing import Any

from crosscheck.frame import Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.group_time import group_time_rows
from crosscheck.upgrade.translate_differences import CONTROLS
from crosscheck.upgrade.translation import NoCall, Written

KINDS = {"simple": "simple", "dynamic": "event_study", "group": "group"}
TRIM = 1e-6
"""did leaves out controls with a propensity of 0.995 and more, diff-diff pulls scores in by one in a hundred."""


def written(request: FitRequest, frame: Frame) -> Written:
    """Write a request as a call.

    Raises
    ------
    NoCall
        Where diff-diff lacks it.
    """
    rows = group_time_rows(request, frame, never=0.0)
    options = request.options
    kind = options.get("aggregation") or "none"
    if kind == "calendar":
        raise NoCall("diff-diff has no averages by calendar time")
    for name in ("min_e", "max_e"):
        if options.get(name) is not None:
            raise NoCall(f"diff-diff has no {name} in its averages")
    method = options.get("est_method") or "dr"
    words: dict[str, Any] = {
        "estimation_method": method,
        "control_group": CONTROLS[options.get("control_group") or "nevertreated"],
        "base_period": options.get("base_period") or "varying",
        "anticipation": int(options.get("anticipation") or 0),
        "alpha": round(1 - request.conf_level, 12),
    }
    if rows.covariates and method != "reg":
        words["pscore_trim"] = TRIM
    if not rows.panel:
        words["panel"] = False
    fit: dict[str, Any] = {"outcome": "y", "unit": "unit", "time": "period", "first_treat": "cohort"}
    if rows.covariates:
        fit["covariates"] = list(rows.covariates)
    if rows.weights:
        fit["survey_design"] = {"weights": rows.weights}
    steps: dict[str, Any] = {"fit": fit}
    if kind != "none":
        steps["aggregate"] = {"type": KINDS[kind]}
        if options.get("balance_e") is not None:
            steps["aggregate"]["balance_e"] = int(options["balance_e"])
    call = Call(package="diff-diff", function="CallawaySantAnna", arguments=words, fit=steps, want=("coefs", "stats"))
    return Written(call=call, frame=rows.frame, names={})
