"""Which call of statsmodels asks what a column of a study asks, conventions of ``crosscheck run`` written out?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crosscheck.engines._sample import counts_of
from crosscheck.engines._shared import wanted
from crosscheck.engines.statsmodels import (
    GLM_MAXITER,
    GLM_RTOL,
    GLM_TOL,
    Statsmodels,
    _columns,
    _correction,
    _covariance,
    _order,
)
from crosscheck.frame import Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade import translation
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.translation import NoCall, Written

PLAIN_LEVEL = 0.95


def written(request: FitRequest, frame: Frame) -> Written:
    """Write a request as a call.

    Raises
    ------
    NoCall
        Where statsmodels lacks it.
    """
    support = Statsmodels().supports(request)
    if not support:
        raise NoCall(f"{support.reason} ({support.reach})")
    made = translation.matrices_of(request, frame)
    sample = made.sample
    columns = _columns(sample)
    shown = len(sample.matrix.names)
    asked = wanted(request, counts_of(request, sample, float(sample.n), shown))
    clusters = tuple(int(c.max()) + 1 for c in sample.clusters.values())
    corrected = _correction(request, sample, asked, columns, clusters)
    order = _order(request, sample)
    terms = [*made.exogenous, *(f"C({e})" for e in made.effects)]
    if not (made.intercept or made.effects):
        terms.append("0")
    linear = request.estimator == "feols"
    words: dict[str, Any] = {}
    fit: dict[str, Any] = _named(_covariance(request, sample, corrected, order), made.clusters)
    if linear:
        function = "ols" if sample.weights is None else "wls"
        words |= {} if sample.weights is None else {"weights": {"column": "w"}}
        fit |= {"method": "qr", "use_t": True}
    else:
        function = "glm"
        words["family"] = "poisson" if request.estimator == "fepois" else "binomial"
        words |= {} if sample.weights is None else {"var_weights": {"column": "w"}}
        fit |= {
            "method": "IRLS",
            "tol": GLM_TOL,
            "rtol": GLM_RTOL,
            "maxiter": GLM_MAXITER,
            "tol_criterion": "params",
            "scale": 1.0,
        }
        fit["use_t"] = False
    steps: dict[str, Any] = {"fit": fit}
    if request.conf_level != PLAIN_LEVEL:
        steps["conf_int"] = {"alpha": round(1 - request.conf_level, 12)}
    call = Call(
        package="statsmodels",
        function=function,
        formula=f"y ~ {' + '.join(terms) or '1'}",
        arguments=words,
        fit=steps,
        want=("coefs", "stats", "vcov", "fitted", "residuals"),
    )
    in_order = made.frame if np.array_equal(order, np.arange(sample.n)) else made.frame.take(order)
    return Written(call=call, frame=in_order, names=made.names)


def _named(words: Mapping[str, Any], clusters: tuple[str, ...]) -> dict[str, Any]:
    """Name the columns whose arrays the engine passes."""
    out = dict(words)
    kwds = dict(out.get("cov_kwds", {}))
    if "groups" in kwds:
        kwds["groups"] = {"columns": list(clusters)} if len(clusters) > 1 else {"column": (*clusters, "unit0")[0]}
    if "time" in kwds:
        kwds["time"] = {"column": "time0"}
    return {**out, "cov_kwds": kwds} if kwds else out
