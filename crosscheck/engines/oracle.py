"""What do the closed forms say? Plain NumPy in extended precision, the arbiter where packages differ.

Nothing is estimated by iteration except logit scores. The convention is exactly the request's: covariance,
small-sample words, weights. A package that agrees with the oracle to many digits is right about its own convention; one
that does not has another convention or a fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from crosscheck.engines import _oracle_code
from crosscheck.engines._oracle_linear import fit_linear
from crosscheck.engines._two_stage import closed_form, two_stage_support
from crosscheck.engines.base import YES, Support
from crosscheck.errors import Unsupported
from crosscheck.formula import functions, parse

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest


class OracleEngine:
    """The closed forms as an engine."""

    id = "oracle"
    language: Literal["python"] = "python"
    packages = ("numpy",)

    def supports(self, request: FitRequest) -> Support:
        """Say whether a closed form for the request is here."""
        if request.estimator in ("fepois", "feglm"):
            return Support("never", f"{request.estimator} has no closed form")
        if request.estimator == "att_gt":
            return _att_gt(request)
        if request.estimator == "did2s":
            return two_stage_support(request)
        if request.estimator in ("re", "between"):
            return _panel(request)
        if request.estimator not in ("feols", "sunab"):
            return Support("never", f"{request.estimator} is a design; its engine is `designs`")
        formula = parse(request.formula)
        if ("sunab" in functions(formula)) != (request.estimator == "sunab"):
            return Support("never", 'sunab() belongs to estimator = "sunab"')
        vcov = request.vcov.canonical
        if vcov in ("NW", "DK") and request.time is None:
            return Support("notimpl", f"{vcov} needs the study's time column; [data] names none")
        if vcov == "NW" and request.unit is None and request.vcov.lag is None:
            return Support("notimpl", "NW on one time series needs vcov.lag: bandwidth selection is not wrapped")
        if vcov == "CRV3" and len(request.vcov.cluster) > 1:
            return Support("never", "CRV3 is defined for one cluster dimension")
        if vcov in ("HC2", "HC3") and formula.iv is not None:
            return Support("never", f"{vcov} is not defined after instruments")
        return YES

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Compute the closed form.

        Raises
        ------
        Unsupported
            Where there is none.
        DataError
            Where the data do not identify what is asked.
        """
        refusal = self.supports(request)
        if not refusal:
            raise Unsupported(f"{refusal.reason} ({refusal.reach})")
        if request.estimator == "feols":
            return fit_linear(self.id, request, frame)
        if request.estimator == "did2s":
            return closed_form(self.id, request, frame)
        if request.estimator == "sunab":
            from crosscheck.engines._oracle_sunab import fit_sunab

            return fit_sunab(self.id, request, frame)
        if request.estimator == "att_gt":
            from crosscheck.engines._oracle_did import fit_att_gt

            return fit_att_gt(self.id, request, frame)
        from crosscheck.engines._oracle_panel import fit_panel

        return fit_panel(self.id, request, frame)

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return NumPy that reproduces the fit by hand."""
        return _oracle_code.write(request, data_path)


def _att_gt(request: FitRequest) -> Support:
    options = request.options
    if options.get("bootstrap"):
        return Support(
            "never", "a bootstrap cannot be compared to the digit; the oracle's standard errors are analytic"
        )
    unit = options.get("unit") or request.unit
    if request.vcov.type == "CRV1" and request.vcov.cluster == (unit,):
        return YES
    if request.vcov.type != "iid":
        return Support("notimpl", "the analytic standard errors are those of independent units: vcov iid, or by unit")
    return YES


def _panel(request: FitRequest) -> Support:
    formula = parse(request.formula)
    if request.unit is None or (request.estimator == "re" and request.time is None):
        return Support("notimpl", f"{request.estimator} needs the study's unit and time")
    if request.weights is not None:
        return Support("notimpl", f"weights in {request.estimator} are not worked out here")
    if formula.fixed_effects or formula.iv is not None:
        return Support("never", f"{request.estimator} takes neither fixed effects nor instruments")
    if request.options.get("method") == "ml":
        return Support("never", "maximum likelihood has no closed form")
    allowed = ("iid", "HC1", "CRV1") if request.estimator == "re" else ("iid", "HC1", "HC2", "HC3")
    if request.vcov.canonical not in allowed:
        return Support("notimpl", f"{request.vcov.type} after {request.estimator} is not worked out here")
    return YES


ENGINE = OracleEngine()
