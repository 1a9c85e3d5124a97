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
                "# Run in the folder of crosscheck's R files. request.json holds the lines at the end, draws in full;",
                "# a filter of the sample is applied to the data beforehand.",
                "local({",
                "  home <- new.env(parent = globalenv())",
                '  sys.source("session.R", envir = home)',
                '  evalq(cc_start("."), home)',
                f'  data <- read.csv("{data_path}", check.names = FALSE, encoding = "UTF-8")',
                "  column <- function(name) {",
                "    x <- data[[name]]",
                "    if (is.numeric(x)) {",
                '      return(list(name = name, kind = "float", values = as.double(x), levels = list()))',
                "    }",
                "    levels_ <- sort(unique(x))",
                '    list(name = name, kind = "category", values = match(x, levels_) - 1L, levels = as.list(levels_))',
                "  }",
                '  home$cc_put("data", nrow(data), lapply(names(data), column))',
                '  request <- home$cc_parse_json(paste(readLines("request.json", encoding = "UTF-8"), collapse = " "))',
                f'  answer <- home$cc_answer("{self.id}", "data", request)',
                "  writeLines(enc2utf8(home$cc_json(answer$result)))",
                "})",
                *show_request(request, comment="# "),
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
