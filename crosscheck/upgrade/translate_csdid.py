"""Which call of csdid asks what a column of a study asks, with the conventions of ``crosscheck run`` written out?"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.engines._oracle_did import long_data
from crosscheck.engines.csdid import CsdidEngine
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.translation import NoCall, Written


def written(request: FitRequest, frame: Frame) -> Written:
    """Write a request as a call.

    Raises
    ------
    NoCall
        Where csdid lacks it.
    """
    support = CsdidEngine().supports(request)
    if not support:
        raise NoCall(f"{support.reason} ({support.reach})")
    options = request.options
    data = long_data(request, frame)
    cohort = np.where(np.isfinite(data.cohort), data.cohort, 0.0)
    columns = [
        Column("y", "float", np.ascontiguousarray(data.y)),
        Column("period", "float", np.ascontiguousarray(data.time)),
        Column("cohort", "float", cohort),
        Column("unit", "integer", (data.unit + 1).astype(np.int32)),
    ]
    covariates = [f"x{k}" for k in range(1, data.x.shape[1])]
    columns += [Column(n, "float", np.ascontiguousarray(data.x[:, k])) for k, n in enumerate(covariates, 1)]
    words: dict[str, Any] = {
        "yname": "y",
        "tname": "period",
        "idname": "unit",
        "gname": "cohort",
        "xformla": f"y ~ {' + '.join(covariates) or '1'}",
        "control_group": options.get("control_group") or "nevertreated",
        "panel": bool(options.get("panel", True)),
        "allow_unbalanced_panel": bool(options.get("allow_unbalanced", False)),
        "anticipation": int(options.get("anticipation") or 0),
        "alp": round(1 - request.conf_level, 12),
        "cband": False,
    }
    if request.weights is not None or options.get("weights"):
        columns.append(Column("w", "float", np.ascontiguousarray(data.weights, dtype=np.float64)))
        words["weights_name"] = "w"
    fit: dict[str, Any] = {
        "fit": {
            "est_method": options.get("est_method") or "dr",
            "base_period": options.get("base_period") or "varying",
            "bstrap": False,
        }
    }
    kind = options.get("aggregation") or "none"
    if kind != "none":
        bounds = {k: options[k] for k in ("balance_e", "min_e", "max_e") if options.get(k) is not None}
        fit["aggte"] = {"typec": kind, "na_rm": False, "bstrap": False, "cband": False, **bounds}
    call = Call(package="csdid", function="ATTgt", arguments=words, fit=fit, want=("coefs", "stats", "vcov"))
    return Written(call=call, frame=Frame(tuple(columns), frame.nrows), names={})
