"""The designs in Python: NumPy, SciPy, and statsmodels for the logit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from crosscheck.design_options import DESIGN_OPTIONS, WITHOUT_REGRESSION
from crosscheck.engines._designs import PLAIN, VCOV_TYPES, plain_formula
from crosscheck.engines.base import YES, Support

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

Fitter = Callable[[str, "FitRequest", "Frame"], "EstimationResult"]

LONGEST, SHOWN = 1500, 12
_HOME = "crosscheck.engines."
FITTERS = {
    "describe": "_designs_tables:fit_describe",
    "entropy": "_designs_tables:fit_entropy",
    "winsor_feols": "_designs_panel:fit_winsor",
    "mediation": "_designs_panel:fit_mediation",
    "subgroups": "_designs_panel:fit_subgroups",
    "placebo": "_designs_random:fit_placebo",
    "wild_bootstrap": "_designs_random:fit_wild",
    "inference_grid": "_designs_random:fit_grid",
    "monte_carlo": "_designs_monte:fit_monte_carlo",
    "psm_did": "_designs_match:fit_match",
}


def design_support(request: FitRequest) -> Support:
    """Say whether a request is a design that both languages' engines have."""
    if request.estimator not in DESIGN_OPTIONS:
        return Support("never", f"{request.estimator} is an estimator, not a design")
    if request.estimator in WITHOUT_REGRESSION:
        return YES
    if plain_formula(request.formula) is None:
        return Support("notimpl", PLAIN)
    if request.vcov.canonical not in VCOV_TYPES:
        return Support("notimpl", f"the designs have vcov types {', '.join(VCOV_TYPES)}")
    if request.vcov.canonical == "CRV3" and len(request.vcov.cluster) > 1:
        return Support("never", "CRV3 is defined for one cluster dimension")
    if request.weights is not None:
        return Support("notimpl", "the designs take no weights")
    if request.estimator == "placebo" and (
        request.vcov.canonical not in ("iid", "HC1", "CRV1") or len(request.vcov.cluster) > 1
    ):
        return Support("notimpl", "placebo draws have vcov iid, HC1 or CRV1 with one cluster")
    return YES


def show_request(request: FitRequest, *, comment: str) -> list[str]:
    """Return the request as commented lines, one for each of its keys, texts of draws cut short."""
    lines = []
    for key, given in request.to_json().items():
        value = {k: _shortened(v) for k, v in given.items()} if key == "options" else given
        lines.append(f"{comment}{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return [line if len(line) < LONGEST else line[: LONGEST - 4] + " ..." for line in lines]


def _shortened(value: Any) -> Any:
    """Return an option; the codes of draws, which are data, by their first ones."""
    if isinstance(value, dict) and len(str(value.get("codes", ""))) > SHOWN:
        return {**value, "codes": value["codes"][:SHOWN] + "..."}
    return value


@dataclass(frozen=True, slots=True)
class Designs:
    """Engine ``designs``."""

    id: str = "designs"
    language: Literal["python", "r"] = "python"
    packages: tuple[str, ...] = ("numpy", "scipy", "statsmodels")

    def supports(self, request: FitRequest) -> Support:
        """Say whether the request is a design of this engine."""
        return design_support(request)

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Estimate the design.

        Raises
        ------
        Unsupported, DataError
            As the design says.
        """
        module, _, name = FITTERS[request.estimator].partition(":")
        fitter: Fitter = getattr(import_module(_HOME + module), name)
        began = time.perf_counter()
        result = fitter(self.id, request, frame)
        return result.with_(seconds=time.perf_counter() - began)

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return lines of Python that repeat the design on the data file."""
        return "\n".join(
            [
                "from pathlib import Path",
                "from crosscheck import engines",
                "from crosscheck.study import load_study",
                f"study = load_study(Path({data_path!r}).parent)",
                f"column = next(c for c in study.columns if c.request.hash == {request.hash!r})",
                f"result = engines.get({self.id!r}).fit(column.request, study.sample(column))",
                "print(*result.coefs, *result.extras, sep='\\n')",
            ]
        )


ENGINE = Designs()
