"""The designs in R: base R for all of them, and MatchIt as a second witness of matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crosscheck.design_options import MatchOptions
from crosscheck.engines.base import YES, Reach, Support
from crosscheck.engines.designs import design_support, show_request
from crosscheck.errors import UsageError
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest


@dataclass(frozen=True, slots=True)
class RDesigns:
    """Designs fitted by a worker in R."""

    id: str
    packages: tuple[str, ...]
    language: Literal["r"] = "r"

    def supports(self, request: FitRequest) -> Support:
        """Say whether the request is a design of this engine."""
        support = design_support(request)
        return support if not support or self.id != "r.matchit" else _matchit_support(request)

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Refuse: this engine runs in R.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError(f"{self.id} runs in R", hint='ask a crosscheck.bridge.Worker of kind "rpy2" or "rscript"')

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return lines of R that repeat the design: our R files, and the request as they get it."""
        return "\n".join(
            [
                "# In the folder of crosscheck's R files (by_hand.R says how it reads). request.json:",
                *show_request(request, comment="# "),
                'source("by_hand.R")',
                f'cc_by_hand("{self.id}", "{data_path}")',
            ]
        )


def _matchit_support(request: FitRequest) -> Support:
    """MatchIt: nearest neighbours on a logit, the first of ties."""
    if request.estimator != "psm_did":
        return Support("never", f"MatchIt does not do {request.estimator}")
    options = MatchOptions.model_validate(request.options)
    checks: tuple[tuple[bool, Reach, str], ...] = (
        (options.method == "kernel", "never", "MatchIt has no kernel matching"),
        (options.ties == "all", "never", "MatchIt takes one of tied controls"),
        (
            options.caliper is not None and options.caliper_scale == "sd_pooled",
            "never",
            "MatchIt's caliper counts SDs of the distance over all rows",
        ),
        (options.score_by != options.match_by, "notimpl", "scores and matches by different blocks"),
    )
    for refused, reach, reason in checks:
        if refused:
            return Support(reach, reason)
    return YES


DESIGNS = RDesigns("r.designs", ("base",))
MATCHIT = RDesigns("r.matchit", ("MatchIt",))
