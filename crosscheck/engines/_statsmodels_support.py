"""What of a request can statsmodels not do, whatever the data?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crosscheck.engines.base import YES, Support
from crosscheck.formula import Formula, functions

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest

CRV3_SINCE = (0, 15)
COUNTING = ("iid", "HC1", "CRV1", "NW", "DK")


def refusal_at(request: FitRequest, version: str) -> Support:
    """Say what of a request a version of statsmodels cannot do that newer ones can; nothing where none is installed."""
    if request.vcov.canonical == "CRV3" and version and _release(version) < CRV3_SINCE:
        return Support("notyet", f"statsmodels has CRV3 from 0.15 on, and this is {version}")
    return YES


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"[0-9]+", version)[:2])


def refusal(request: FitRequest, formula: Formula) -> Support:
    """Say what of a request statsmodels or this wrapper cannot do, whatever the data."""
    glm = request.estimator != "feols"
    vcov, ssc = request.vcov.canonical, request.ssc
    if formula.iv is not None:
        return Support("notimpl", "instruments are not wrapped for statsmodels")
    if "sunab" in functions(formula):
        return Support("notimpl", "sunab() is not wrapped for statsmodels")
    if request.weights is not None and request.weights.type == "frequency":
        return Support("notimpl", "frequency weights are not wrapped for statsmodels")
    if glm:
        refused = _glm_refusal(request)
        if refused is not None:
            return refused
    elif vcov == "iid" and not ssc.k_adj:
        return Support("notyet", "statsmodels divides SSR by N - K; k_adj = false asks for N - 1")
    if vcov == "CRV1" and ssc.k_adj != ssc.g_adj:
        return Support("notyet", "statsmodels has both factors, G / (G - 1) (N - 1) / (N - K), or none")
    if len(request.vcov.cluster) > 1:
        if vcov == "CRV3":
            return Support("notyet", "statsmodels has one-way CRV3 only")
        if ssc.g_adj and ssc.g_df == "min":
            return Support("notyet", 'statsmodels gives each dimension its own G / (G - 1): g_df = "conventional"')
    if formula.fixed_effects and ssc.k_adj and ssc.k_fixef == "none" and vcov in COUNTING:
        return Support("notyet", 'statsmodels counts every dummy: k_fixef = "full"')
    if vcov in ("NW", "DK"):
        return _serial_refusal(request)
    return YES


def _glm_refusal(request: FitRequest) -> Support | None:
    vcov, ssc = request.vcov.canonical, request.ssc
    if request.estimator == "feglm" and request.options.get("family") != "logit":
        return Support("notimpl", f"family {request.options.get('family')!r} is not wrapped for statsmodels")
    if vcov in ("HC2", "HC3", "CRV3"):
        return Support("notyet", f"statsmodels' GLM has no {vcov}")
    if vcov in ("NW", "DK"):
        return Support("notimpl", f"{vcov} after GLM is not wrapped for statsmodels")
    if vcov in ("iid", "HC1") and ssc.k_adj:
        asked = "(N - 1) / (N - K)" if vcov == "iid" else "N / (N - K)"
        return Support("notyet", f"statsmodels' GLM has no {asked} for {vcov} (its HC1 is HC0); set k_adj = false")
    return None


def _serial_refusal(request: FitRequest) -> Support:
    vcov, ssc = request.vcov.canonical, request.ssc
    if request.time is None:
        return Support("notimpl", f"{vcov} needs the study's time column; [data] names none")
    if ssc.k_adj != ssc.g_adj:
        return Support("notyet", f"statsmodels has both factors for {vcov} or none")
    if vcov == "NW":
        if request.unit is None and request.vcov.lag is None:
            return Support("notyet", "statsmodels has no automatic lag; set vcov.lag")
        if request.unit is not None and ssc.g_adj:
            return Support("notyet", "statsmodels corrects by the number of units, not of periods; g_adj = false")
    elif request.unit is None:
        return Support("notimpl", "DK needs the study's unit; [data] names none")
    return YES
