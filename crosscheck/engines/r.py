"""What can R's packages answer, and how would one ask them by hand?

The estimation itself is in ``r_scripts``; here is what each package supports, so that a plan can be made without R. An
engine gives exactly the covariance and degrees of freedom that are asked for, or says why not. What only the data can
show (an observation of leverage 1, effects nested in clusters though named otherwise) R itself reports as unsupported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from crosscheck.engines import _r_code
from crosscheck.engines._two_stage import two_stage_support
from crosscheck.engines.base import YES, Reach, Support
from crosscheck.errors import UsageError
from crosscheck.formula import Formula, functions, parse
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

ROBUST = ("HC1", "HC2", "HC3")
SERIAL = ("NW", "DK")
LEVERAGE = ("HC2", "HC3")
Check = tuple[bool, Reach, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class REngine:
    """One R package as an engine; it is fitted by a worker of kind ``rpy2`` or ``rscript``."""

    id: str
    packages: tuple[str, ...]
    estimators: tuple[str, ...]
    checks: Callable[[FitRequest, Formula | None], tuple[Check, ...]]
    writer: Callable[[FitRequest, str], str]
    language: Literal["r"] = "r"

    def supports(self, request: FitRequest) -> Support:
        """Say whether this package gives exactly what the request asks for."""
        if request.estimator not in self.estimators:
            return Support("never", f"{self.packages[0]} does not estimate {request.estimator}")
        formula = _parsed(request.formula) if request.formula else None
        for refused, reach, reason in (*_common(request, formula), *self.checks(request, formula)):
            if refused:
                return Support(reach, reason)
        return YES

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Refuse: this engine runs in R.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError(f"{self.id} runs in R", hint='ask a crosscheck.bridge.Worker of kind "rpy2" or "rscript"')

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return R code that reproduces the fit from the data file by hand."""
        return self.writer(request, data_path)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Formula:
    return parse(text)


def _common(request: FitRequest, formula: Formula | None) -> tuple[Check, ...]:
    vcov = request.vcov.canonical
    weights = request.weights
    return (
        (weights is not None and weights.type != "analytic", "notyet", "R's packages take analytic weights only"),
        (vcov in SERIAL and request.time is None, "notimpl", f"{vcov} needs the study's time"),
        (
            formula is not None and "lag" in functions(formula) and (request.unit is None or request.time is None),
            "notimpl",
            "lag() needs the study's unit and time",
        ),
        (not 0.5 < request.conf_level < 1, "notimpl", "confidence levels are above one half"),
    )


def _fixest_checks(request: FitRequest, formula: Formula | None) -> tuple[Check, ...]:
    if request.estimator == "did2s":
        known = two_stage_support(request)
        return ((not known, known.reach, known.reason),)
    assert formula is not None
    vcov, iv = request.vcov.canonical, formula.iv is not None
    has_sunab = "sunab" in functions(formula)
    return (
        (vcov == "CRV3", "notyet", "fixest has no CRV3"),
        (vcov in LEVERAGE and iv, "notyet", f"fixest has no {vcov} after instruments"),
        (
            vcov in LEVERAGE and request.weights is not None and not formula.fixed_effects,
            "notyet",
            f"fixest's leverages leave the weights out where there are no fixed effects ({vcov})",
        ),
        (iv and request.estimator != "feols", "never", "instruments belong to least squares"),
        (
            has_sunab != (request.estimator == "sunab"),
            "notimpl",
            'sunab() in the formula and estimator = "sunab" go together',
        ),
        (has_sunab and vcov in LEVERAGE, "notimpl", f"{vcov} of a Sun-Abraham model is not asked for"),
    )


def _effects_in_clusters(request: FitRequest, formula: Formula) -> bool:
    return any(set(parts) & set(request.vcov.cluster) for parts in formula.fixed_effects)


def _counts_otherwise(request: FitRequest, formula: Formula) -> str:
    """Say why N - K with every dummy counted is not what the request counts, as far as names can tell."""
    if not formula.fixed_effects or not request.ssc.k_adj:
        return ""
    if request.ssc.k_fixef == "none":
        return 'lm counts the dummies in K; k_fixef = "none" leaves them out'
    nested = request.ssc.k_fixef == "nonnested" and _effects_in_clusters(request, formula)
    return 'lm counts the dummies nested in clusters in K; k_fixef = "nonnested" leaves them out' if nested else ""


def _no_iv(formula: Formula, package: str) -> tuple[Check, ...]:
    return (
        (formula.iv is not None, "never", f"{package} has no instruments"),
        ("sunab" in functions(formula), "never", f"{package} has no sunab()"),
    )


def _lm_checks(request: FitRequest, formula: Formula | None) -> tuple[Check, ...]:
    assert formula is not None
    vcov, ssc, clusters = request.vcov.canonical, request.ssc, len(request.vcov.cluster)
    k = _counts_otherwise(request, formula) if vcov in ("iid", "HC1", "CRV1", *SERIAL) else ""
    single = vcov == "NW" and request.unit is None
    return (
        *_no_iv(formula, "lm"),
        (bool(k), "never", k),
        (vcov == "iid" and not ssc.k_adj, "never", "lm divides by N - K; k_adj = false asks for N - 1"),
        (
            vcov == "CRV1" and clusters == 2 and ssc.g_adj and ssc.g_df == "min",
            "notyet",
            'sandwich gives each dimension its own G / (G - 1); g_df = "min" asks for the smallest',
        ),
        (vcov == "CRV3" and clusters == 2, "notimpl", "two-way CRV3 is not asked for: packages differ in what it is"),
        (
            vcov == "CRV3" and request.weights is not None,
            "notyet",
            "sandwich's vcovCL(type = 'HC3') of a weighted regression is not the cluster jackknife",
        ),
        (
            vcov == "CRV3" and _effects_in_clusters(request, formula),
            "never",
            "sandwich's clustered HC3 inverts I - H_g, singular where effects are nested in clusters",
        ),
        (
            vcov in SERIAL and (ssc.k_adj != ssc.g_adj or (ssc.k_adj and not single)),
            "notyet",
            "sandwich has N / (N - K) where T / (T - 1) (N - 1) / (N - K) is asked for",
        ),
        (
            single and request.vcov.lag is None,
            "notimpl",
            "the automatic bandwidth of one time series is not asked of sandwich; set vcov.lag",
        ),
    )


def _plm_effect(request: FitRequest, formula: Formula) -> str:
    """Return which effects plm would absorb, or an empty string where it cannot."""
    names = {"^".join(parts) for parts in formula.fixed_effects}
    known = {
        frozenset[str | None](): "pooling",
        frozenset((request.unit,)): "individual",
        frozenset((request.time,)): "time",
        frozenset((request.unit, request.time)): "twoways",
    }
    return known.get(frozenset[str | None](names), "")


def _plm_checks(request: FitRequest, formula: Formula | None) -> tuple[Check, ...]:
    assert formula is not None
    vcov, ssc, clusters = request.vcov.canonical, request.ssc, request.vcov.cluster
    effect = _plm_effect(request, formula)
    slopes = vcov in ("HC1", "CRV1", *SERIAL) and ssc.k_adj and effect not in ("pooling", "")
    return (
        (request.unit is None or request.time is None, "notimpl", "plm needs the study's unit and time"),
        *_no_iv(formula, "plm"),
        (request.weights is not None, "notyet", "plm's covariances take no weights"),
        (not effect, "never", "plm absorbs the panel's unit and time only"),
        (
            request.estimator in ("re", "between") and effect != "pooling",
            "never",
            f"a formula for {request.estimator} has no fixed effects",
        ),
        (request.options.get("method") == "ml", "notyet", "plm has no maximum likelihood"),
        (not formula.terms and request.estimator != "re" and effect != "pooling", "notyet", "plm needs a regressor"),
        (vcov == "iid" and not ssc.k_adj, "never", "plm divides by N - K; k_adj = false asks for N - 1"),
        (
            vcov == "iid" and ssc.k_fixef == "none" and effect not in ("pooling", ""),
            "never",
            'plm counts the effects in N - K; k_fixef = "none" leaves them out',
        ),
        (request.estimator == "between" and vcov != "iid", "notimpl", "of the between estimator only iid is asked for"),
        (vcov == "CRV3", "notyet", "plm has no CRV3"),
        (
            vcov in LEVERAGE and (effect != "pooling" or request.estimator == "re"),
            "notyet",
            f"plm's leverages leave the effects out ({vcov})",
        ),
        (
            slopes and ssc.k_fixef != "none",
            "never",
            f'plm\'s robust covariances count the slopes alone in K; k_fixef = "{ssc.k_fixef}" counts effects',
        ),
        (
            vcov in ("CRV1", *SERIAL) and ssc.k_adj != ssc.g_adj,
            "notyet",
            "plm has both factors (type sss) or none (HC0)",
        ),
        (
            vcov == "NW" and ssc.k_adj,
            "notyet",
            "plm's vcovNW has N / (N - K) where T / (T - 1) (N - 1) / (N - K) is asked for",
        ),
        (
            vcov == "CRV1" and not set(clusters) <= {request.unit, request.time},
            "notyet",
            "plm clusters by the panel's unit and time only",
        ),
        (
            vcov == "CRV1" and len(clusters) == 2 and ssc.g_adj and ssc.g_df == "min",
            "notyet",
            'plm gives each dimension its own G / (G - 1); g_df = "min" asks for the smallest',
        ),
    )


def _clubsandwich_checks(request: FitRequest, formula: Formula | None) -> tuple[Check, ...]:
    assert formula is not None
    vcov, ssc = request.vcov.canonical, request.ssc
    effect = _plm_effect(request, formula)
    otherwise = _counts_otherwise(request, formula)
    through_plm = ssc.k_fixef == "none" and effect in ("individual", "time", "twoways") and request.weights is None
    return (
        *_no_iv(formula, "clubSandwich"),
        (vcov == "CRV3", "notyet", "clubSandwich's CR3 lacks the (G - 1) / G of CRV3"),
        (vcov != "CRV1", "notyet", "clubSandwich has clustered covariances only"),
        (len(request.vcov.cluster) == 2, "notyet", "clubSandwich has one dimension of clusters"),
        (ssc.k_adj and not ssc.g_adj, "notyet", "clubSandwich has no (N - 1) / (N - K) without G / (G - 1)"),
        (bool(otherwise) and not through_plm, "never", otherwise.replace("lm counts", "clubSandwich counts")),
    )


def _did_checks(request: FitRequest, formula: Formula | None) -> tuple[Check, ...]:
    options = request.options
    unit = options.get("unit") or request.unit
    by_unit = request.vcov.canonical == "CRV1" and request.vcov.cluster == (unit,)
    return (
        (bool(options.get("bootstrap")), "notimpl", "a bootstrap cannot be compared to the digit"),
        (
            request.vcov.canonical != "iid" and not by_unit,
            "notimpl",
            "did's analytic standard errors are those of units: vcov iid, or clusters by unit",
        ),
        ((options.get("time") or request.time) is None, "notimpl", "att_gt needs the study's time"),
        (unit is None and bool(options.get("panel", True)), "notimpl", "a panel needs the study's unit"),
    )


FIXEST = REngine(
    id="r.fixest",
    packages=("fixest",),
    estimators=("feols", "fepois", "feglm", "sunab", "did2s"),
    checks=_fixest_checks,
    writer=_r_code.fixest,
)
DID = REngine(id="r.did", packages=("did", "DRDID"), estimators=("att_gt",), checks=_did_checks, writer=_r_code.did)
LM = REngine(id="r.lm", packages=("sandwich", "lmtest"), estimators=("feols",), checks=_lm_checks, writer=_r_code.lm)
PLM = REngine(
    id="r.plm",
    packages=("plm", "lmtest"),
    estimators=("feols", "re", "between"),
    checks=_plm_checks,
    writer=_r_code.plm,
)
CLUBSANDWICH = REngine(
    id="r.clubsandwich",
    packages=("clubSandwich", "plm", "lmtest"),
    estimators=("feols",),
    checks=_clubsandwich_checks,
    writer=_r_code.clubsandwich,
)
R_ENGINES = (FIXEST, DID, LM, PLM, CLUBSANDWICH)
