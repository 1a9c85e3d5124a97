"""What is asked of statsmodels: linear and generalized linear models times covariances, weights and terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crosscheck.upgrade.sentinel.grid import crossed, latin
from crosscheck.upgrade.sentinel.pyfixest_cases import BINARY, COUNT, LINEAR, STAGGERED, Case

PANELS = (*LINEAR, *STAGGERED)
TERMS = (
    "treated + x1 + x2",
    "treated + x1 + C(sector)",
    "x1 + x2 - 1",
    "treated*x1 + x2 + xi",
    "x1 + x2 + x3 + xc",
    "x1 + high + region",
    "treated + x1 + C(unit) + C(time)",
)
BY = {"column": "cluster"}
COVS: tuple[dict[str, Any], ...] = (
    {},
    {"cov_type": "nonrobust"},
    {"cov_type": "HC0"},
    {"cov_type": "HC1"},
    {"cov_type": "HC2"},
    {"cov_type": "HC3"},
    {"cov_type": "HAC", "cov_kwds": {"maxlags": 2}},
    {"cov_type": "HAC", "cov_kwds": {"maxlags": 1, "use_correction": True}},
    {"cov_type": "HAC", "cov_kwds": {"maxlags": 2, "kernel": "uniform"}},
    {"cov_type": "cluster", "cov_kwds": {"groups": BY}},
    {"cov_type": "cluster", "cov_kwds": {"groups": BY, "use_correction": False}},
    {"cov_type": "cluster", "cov_kwds": {"groups": BY, "df_correction": False}},
    {"cov_type": "cluster", "cov_kwds": {"groups": {"columns": ["cluster", "sector"]}}},
    {"cov_type": "cluster", "cov_kwds": {"groups": {"column": "region"}}},
    {"cov_type": "hac-groupsum", "cov_kwds": {"time": {"column": "time"}, "maxlags": 1}},
    {"cov_type": "hac-panel", "cov_kwds": {"groups": {"column": "region"}, "maxlags": 1}},
)
T: tuple[dict[str, Any], ...] = ({}, {}, {"use_t": True}, {"use_t": False})
ROWS = ("coefs", "stats", "vcov", "fitted", "residuals", "predict_new")
FAMILIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("binomial", {"family": "binomial"}),
    ("binomial", {"family": "binomial", "link": "probit"}),
    ("binomial", {"family": "binomial", "link": "cloglog"}),
    ("poisson", {"family": "poisson"}),
    ("poisson", {"family": "negativebinomial"}),
    ("gaussian", {"family": "gaussian"}),
)
WEIGHTS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"freq_weights": {"column": "weight"}},
    {"var_weights": {"column": "weight"}},
)


def call_of(
    function: str, terms: str, arguments: dict[str, Any], fit: dict[str, Any], outcome: str = "y"
) -> dict[str, Any]:
    """Return a call as JSON."""
    return {
        "package": "statsmodels",
        "function": function,
        "formula": f"{outcome} ~ {terms}",
        "arguments": arguments,
        "fit": {"fit": fit} if fit else {},
        "want": list(ROWS),
    }


def cases() -> Iterator[Case]:
    """Yield name, panel and call of each case."""
    linear = {"panel": PANELS, "terms": TERMS, "t": T, "missing": ({}, {}, {"missing": "drop"})}
    for k, p in enumerate(crossed(("function", ("ols", "ols", "wls")), ("cov", COVS), linear, "statsmodels/linear")):
        weights = {"weights": {"column": "weight"}} if p["function"] == "wls" else {}
        call = call_of(p["function"], p["terms"], weights | p["missing"], p["cov"] | p["t"])
        yield f"linear-{k + 1:03d}", p["panel"], call
    glm = {"count": COUNT, "binary": BINARY, "linear": LINEAR, "terms": TERMS[:4], "weights": WEIGHTS, "t": T}
    glm["more"] = ({}, {}, {"offset": {"column": "log_exposure"}}, {"exposure": {"column": "exposure"}})
    covs = (*COVS[:4], COVS[5], COVS[6], COVS[9])
    for k, p in enumerate(crossed(("family", FAMILIES), ("cov", covs), glm, "statsmodels/glm")):
        kind, family = p["family"]
        panel = p["count"] if kind == "poisson" else p["binary"] if kind == "binomial" else p["linear"]
        more = p["more"] if kind == "poisson" else {}
        call = call_of("glm", p["terms"], family | p["weights"] | more, p["cov"] | p["t"])
        yield f"glm-{k + 1:03d}", panel, call
    discrete = {"count": COUNT, "binary": BINARY, "terms": TERMS[:4], "t": T, "more": glm["more"]}
    covs = (*COVS[:4], COVS[6], COVS[9], COVS[13])
    for k, p in enumerate(
        crossed(("function", ("logit", "probit", "poisson")), ("cov", covs), discrete, "statsmodels/ml")
    ):
        count = p["function"] == "poisson"
        call = call_of(p["function"], p["terms"], p["more"] if count else {}, p["cov"] | p["t"] | {"disp": 0})
        yield f"ml-{k + 1:03d}", p["count"] if count else p["binary"], call
    other = {"panel": COUNT, "terms": TERMS[:3], "cov": COVS[:4], "more": glm["more"]}
    for k, p in enumerate(latin(other, 6, "statsmodels/negativebinomial")):
        yield f"nb-{k + 1:03d}", p["panel"], call_of("negativebinomial", p["terms"], p["more"], p["cov"] | {"disp": 0})
    robust = {"panel": LINEAR, "terms": TERMS[:5], "fit": ({}, {"cov": "H2"}, {"cov": "H3"}, {"scale_est": "mad"})}
    for k, p in enumerate(latin(robust, 8, "statsmodels/rlm")):
        yield f"rlm-{k + 1:03d}", p["panel"], call_of("rlm", p["terms"], {}, p["fit"])
    quantile = {
        "panel": LINEAR,
        "terms": TERMS[:3],
        "q": (0.25, 0.5, 0.9),
        "vcov": ({}, {"vcov": "iid"}, {"kernel": "gau"}),
    }
    for k, p in enumerate(latin(quantile, 9, "statsmodels/quantreg")):
        yield f"quantile-{k + 1:03d}", p["panel"], call_of("quantreg", p["terms"], {}, {"q": p["q"], **p["vcov"]})
    mixed = {"panel": PANELS, "terms": TERMS[:1], "fit": ({}, {"reml": False})}
    for k, p in enumerate(latin(mixed, 4, "statsmodels/mixedlm")):
        yield (
            f"mixed-{k + 1:03d}",
            p["panel"],
            call_of("mixedlm", p["terms"], {"groups": {"column": "region"}}, p["fit"]),
        )
