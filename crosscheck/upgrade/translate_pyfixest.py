"""Which call of pyfixest asks what a column of a study asks, with the conventions of ``crosscheck run`` written out?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.engines._pyfixest_code import formula_text
from crosscheck.engines._pyfixest_covariance import NO_FACTOR
from crosscheck.engines._shared import codes_of, lag_of, squeezed
from crosscheck.engines.pyfixest import (
    COLLIN_TOL,
    DEMEANER_MAXITER,
    ITERATED,
    IWLS_MAXITER,
    SOLVER,
    Pyfixest,
    tolerances,
)
from crosscheck.formula import functions
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest
from crosscheck.upgrade import translation
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.translation import NoCall, Rows, Written

PLAIN_LEVEL = 0.95
ORDER, UNIT = "period_number", "unit_number"


def written(request: FitRequest, frame: Frame) -> Written:
    """Write a request as a call.

    Raises
    ------
    NoCall
        Where pyfixest lacks it.
    """
    support = Pyfixest().supports(request)
    if not support:
        raise NoCall(f"{support.reason} ({support.reach})")
    if request.estimator == "sunab":
        raise NoCall("sunab() is made of dummies by crosscheck, and is no call of pyfixest")
    rows = translation.rows_of(request, frame)
    if "sunab" in functions(rows.formula):
        raise NoCall("sunab() is no function of pyfixest")
    rows = _with_order(request, rows)
    call = Call(
        package="pyfixest",
        function=request.estimator,
        formula=formula_text(rows.formula, rows.plain),
        arguments=_arguments(request, rows),
        fit={} if request.conf_level == PLAIN_LEVEL else {"confint": {"alpha": round(1 - request.conf_level, 12)}},
        want=("coefs", "stats", "vcov", "fitted", "residuals"),
        dtypes=rows.dtypes,
    )
    return Written(call=call, frame=rows.frame, names=rows.names)


def _arguments(request: FitRequest, rows: Rows) -> dict[str, Any]:
    ssc, plain = request.ssc, request.vcov.canonical in NO_FACTOR
    tol, iwls_tol = tolerances(request)
    words: dict[str, Any] = {
        **_covariance(request, rows),
        "ssc": {
            "k_adj": ssc.k_adj and not plain,
            "k_fixef": ssc.k_fixef,
            "G_adj": ssc.g_adj and not plain,
            "G_df": ssc.g_df,
        },
        "fixef_rm": "none",
        "collin_tol": COLLIN_TOL,
        "solver": SOLVER,
    }
    if rows.formula.fixed_effects:
        words["demeaner"] = {
            "kind": "LsmrDemeaner",
            "fixef_atol": tol,
            "fixef_btol": tol,
            "fixef_maxiter": DEMEANER_MAXITER,
        }
    if request.weights is not None:
        words["weights"] = rows.plain[request.weights.column]
        words["weights_type"] = "fweights" if request.weights.type == "frequency" else "aweights"
    if request.estimator in ITERATED:
        words |= {"iwls_tol": iwls_tol, "iwls_maxiter": IWLS_MAXITER, "separation_check": []}
    if request.estimator == "feglm":
        words |= {"family": request.options["family"], "accelerate": False}
    return words


def _with_order(request: FitRequest, rows: Rows) -> Rows:
    """Return rows with units and periods as numbers, where a covariance orders them and the study has words."""
    if request.vcov.canonical not in ("NW", "DK"):
        return rows
    columns = list(rows.frame.columns)
    for name, number in ((request.time, ORDER), (request.unit, UNIT)):
        if name is not None and rows.frame[rows.plain[name]].kind == "category":
            columns.append(Column(number, "integer", rows.frame[rows.plain[name]].values.astype(np.int32)))
    return replace(rows, frame=Frame(tuple(columns), rows.frame.nrows, rows.frame.row_ids))


def _covariance(request: FitRequest, rows: Rows) -> dict[str, Any]:
    vcov = request.vcov.canonical
    if request.vcov.cluster:
        return {"vcov": {vcov: " + ".join(rows.plain[c] for c in request.vcov.cluster)}}
    if vcov not in ("NW", "DK"):
        return {"vcov": vcov}
    assert request.time is not None
    time = ORDER if ORDER in rows.frame else rows.plain[request.time]
    periods = int(squeezed(codes_of(rows.frame, (time,))).max()) + 1
    if rows.formula.iv is not None:
        raise NoCall(f"pyfixest does not hand {vcov} on to the first stage of instruments")
    words: dict[str, Any] = {"time_id": time, "lag": lag_of(request, periods)}
    if request.unit is not None:
        words["panel_id"] = UNIT if UNIT in rows.frame else rows.plain[request.unit]
    return {"vcov": vcov, "vcov_kwargs": words}
