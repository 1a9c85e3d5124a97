"""What is asked of statsmodels beside the first grid: robust norms, more families, tests of terms, separation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crosscheck.upgrade.sentinel.grid import crossed, latin
from crosscheck.upgrade.sentinel.pyfixest_cases import BINARY, COUNT, LINEAR, Case
from crosscheck.upgrade.sentinel.statsmodels_cases import BY, COVS, PANELS, TERMS, WEIGHTS, T, call_of

NORMS = ("HuberT", "Hampel", "TukeyBiweight", "AndrewWave", "RamsayE", "TrimmedMean", "LeastSquares")
SCALES: tuple[dict[str, Any], ...] = ({}, {"scale_est": "huber"}, {"scale_est": "mad", "update_scale": False})
FAMILIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("amount", {"family": "gamma", "link": "log"}),
    ("amount", {"family": "inversegaussian", "link": "log"}),
    ("amount", {"family": "tweedie"}),
    ("amount", {"family": "poisson"}),
    ("amount", {"family": "gaussian", "link": "log"}),
    ("y", {"family": "binomial", "link": "cauchy"}),
    ("y", {"family": "binomial", "link": "log"}),
)
FACTORIAL = "C(treated)*C(event) + x1"
"""A factorial design with empty cells: nobody is treated before treatment began."""
TRANSFORMED = (
    "np.log(exposure) + x2",
    "np.log(spend) + x1",
    "x1 + I(x2**2) + C(level)",
    "center(x2) + scale(x3)",
    "C(sector, Treatment('s1')) + x1",
    "x1:C(sector) + high",
    "dose + whole",
    FACTORIAL,
)
STEPS: tuple[dict[str, Any], ...] = (
    {"wald_test_terms": {}},
    {"f_test": {"r_matrix": "x1 = x2"}},
    {"f_test": {"r_matrix": "x1 = 1, x2 = 0"}},
    {"t_test": {"r_matrix": "x1 - 2 * x2 = 0"}},
    {"conf_int": {"alpha": 0.1}},
)
AGAIN: tuple[dict[str, Any], ...] = (
    {"cov_type": "HC1"},
    {"cov_type": "HC3", "use_t": True},
    {"cov_type": "cluster", "groups": BY},
    {"cov_type": "HAC", "maxlags": 2, "use_t": False},
    {"cov_type": "fixed scale", "scale": 2.0},
)
FIXED: tuple[dict[str, Any], ...] = (
    {"cov_type": "fixed scale"},
    {"cov_type": "fixed scale", "cov_kwds": {"scale": 2.0}},
    {"cov_type": "hac-panel", "cov_kwds": {"groups": {"column": "region"}, "maxlags": 2, "use_correction": "hac"}},
    {"cov_type": "hac-groupsum", "cov_kwds": {"time": {"column": "time"}, "maxlags": 2, "use_correction": False}},
)


def further() -> Iterator[Case]:
    """Yield name, panel and call of each case."""
    yield from _robust()
    yield from _linear()
    yield from _generalized()
    yield from _others()


def _robust() -> Iterator[Case]:
    drawn: dict[str, Any] = {"panel": PANELS, "terms": TERMS[:5], "cov": ({}, {"cov": "H2"}, {"cov": "H3"})}
    for k, p in enumerate(crossed(("norm", NORMS), ("scale", SCALES), drawn, "statsmodels/norms")):
        yield f"norms-{k + 1:03d}", p["panel"], call_of("rlm", p["terms"], {"M": p["norm"]}, p["scale"] | p["cov"])


def _linear() -> Iterator[Case]:
    drawn: dict[str, Any] = {"panel": PANELS, "terms": TERMS[:5], "t": T}
    models = ("ols", "wls")
    weights: dict[str, Any] = {"ols": {}, "wls": {"weights": {"column": "weight"}}}
    for k, p in enumerate(crossed(("cov", FIXED), ("function", models), drawn, "statsmodels/fixed")):
        call = call_of(p["function"], p["terms"], weights[p["function"]], p["cov"] | p["t"])
        yield f"fixed-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(crossed(("again", AGAIN), ("function", models), drawn, "statsmodels/again")):
        call = call_of(p["function"], p["terms"], weights[p["function"]], {})
        yield f"again-{k + 1:03d}", p["panel"], {**call, "fit": {"get_robustcov_results": p["again"]}}
    lags: tuple[dict[str, Any], ...] = (
        {"cov_type": "HAC", "cov_kwds": {"maxlags": None}},
        {"cov_type": "HAC", "cov_kwds": {"maxlags": 8, "use_correction": True}},
        {"cov_type": "hac-panel", "cov_kwds": {"groups": {"column": "region"}, "maxlags": 4}},
    )
    long = {"panel": tuple(f"long-{k:02d}" for k in range(1, 4)), "terms": TERMS[:2]}
    for k, p in enumerate(crossed(("cov", lags), ("function", models), long, "statsmodels/long")):
        yield f"long-{k + 1:03d}", p["panel"], call_of(p["function"], p["terms"], weights[p["function"]], p["cov"])
    drawn = {"panel": PANELS, "terms": (TERMS[0], "x1 + x2 + C(sector)"), "cov": COVS[:10]}
    for k, p in enumerate(crossed(("step", STEPS), ("function", ("ols", "wls", "glm")), drawn, "statsmodels/tests")):
        arguments = weights.get(p["function"], {"family": "gaussian"})
        call = call_of(p["function"], p["terms"], arguments, p["cov"])
        yield f"tests-{k + 1:03d}", p["panel"], {**call, "fit": call["fit"] | p["step"]}
    drawn = {"panel": PANELS, "cov": COVS[:4]}
    for k, p in enumerate(
        crossed(
            ("terms", (FACTORIAL, TERMS[4], "treated*x1 + x2")),
            ("function", ("ols", "wls", "glm")),
            drawn,
            "statsmodels/terms",
        )
    ):
        arguments = weights.get(p["function"], {"family": "gaussian"})
        call = call_of(p["function"], p["terms"], arguments, p["cov"])
        yield f"terms-{k + 1:03d}", p["panel"], {**call, "fit": call["fit"] | {"wald_test_terms": {}}}
    drawn = {"panel": PANELS, "cov": COVS[:6], "missing": ({}, {"missing": "drop"})}
    for k, p in enumerate(crossed(("terms", TRANSFORMED), ("function", models), drawn, "statsmodels/transformed")):
        call = call_of(p["function"], p["terms"], weights[p["function"]] | p["missing"], p["cov"])
        yield f"transformed-{k + 1:03d}", p["panel"], call


def _generalized() -> Iterator[Case]:
    covs = (COVS[0], COVS[2], COVS[3], COVS[9])
    drawn: dict[str, Any] = {
        "count": COUNT,
        "linear": LINEAR,
        "binary": BINARY,
        "terms": TERMS[:2],
        "weights": WEIGHTS,
        "how": ({}, {"method": "newton"}, {"scale": "X2"}, {"scale": "dev"}),
    }
    for k, p in enumerate(crossed(("family", FAMILIES), ("cov", covs), drawn, "statsmodels/families")):
        outcome, family = p["family"]
        positive = p["linear"] if family["family"] != "poisson" else p["count"]
        call = call_of("glm", p["terms"], family | p["weights"], p["cov"] | p["how"], outcome=outcome)
        yield f"families-{k + 1:03d}", positive if outcome == "amount" else p["binary"], call
    drawn = {"panel": BINARY, "linear": LINEAR, "cov": COVS[:4]}
    outcomes = (("high", "x2 + x1"), ("high", "x1 + x3"), ("y", "ever + x1"), ("y", "x1 + C(unit)"))
    makers: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
        ("logit", {}, {"disp": 0}),
        ("logit", {}, {"method": "bfgs", "maxiter": 200, "disp": 0}),
        ("probit", {}, {"disp": 0}),
        ("glm", {"family": "binomial"}, {}),
    )
    for k, p in enumerate(crossed(("outcome", outcomes), ("made", makers), drawn, "statsmodels/separated")):
        function, arguments, fit = p["made"]
        outcome, terms = p["outcome"]
        call = call_of(function, terms, arguments, p["cov"] | fit, outcome="I(1 * high)" if outcome == "high" else "y")
        yield f"separated-{k + 1:03d}", p["panel"], call
    steps: tuple[dict[str, Any], ...] = ({"get_margeff": {}}, {"get_margeff": {"at": "mean"}}, {"wald_test_terms": {}})
    drawn = {"count": COUNT, "binary": BINARY, "terms": TERMS[:4], "cov": covs}
    for k, p in enumerate(
        crossed(("step", steps), ("function", ("logit", "probit", "poisson")), drawn, "statsmodels/margins")
    ):
        call = call_of(p["function"], p["terms"], {}, p["cov"] | {"disp": 0})
        panel = p["count"] if p["function"] == "poisson" else p["binary"]
        yield f"margins-{k + 1:03d}", panel, {**call, "fit": call["fit"] | p["step"]}


def _others() -> Iterator[Case]:
    drawn: dict[str, Any] = {
        "panel": COUNT,
        "terms": TERMS[:3],
        "cov": COVS[:4],
        "more": ({}, {"offset": {"column": "log_exposure"}}, {"exposure": {"column": "exposure"}}),
    }
    for k, p in enumerate(
        crossed(("method", ("nb2", "nb1", "geometric")), ("cov", COVS[:3]), drawn, "statsmodels/dispersion")
    ):
        arguments = {"loglike_method": p["method"], **p["more"]}
        call = call_of("negativebinomial", p["terms"], arguments, p["cov"] | {"disp": 0, "maxiter": 200})
        yield f"dispersion-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(
        crossed(
            ("function", ("negativebinomialp", "generalizedpoisson", "zeroinflatedpoisson")),
            ("cov", COVS[:2]),
            drawn,
            "statsmodels/counts",
        )
    ):
        arguments = {} if p["function"] == "zeroinflatedpoisson" else p["more"]
        call = call_of(p["function"], "treated + x1 + x2", arguments, p["cov"] | {"disp": 0, "maxiter": 200})
        yield f"counts-{k + 1:03d}", p["panel"], call
    drawn = {
        "count": COUNT,
        "binary": BINARY,
        "linear": LINEAR,
        "terms": TERMS[:3],
        "cov": ({}, {"cov_type": "naive"}, {"cov_type": "bias_reduced"}),
    }
    families = ("gaussian", "binomial", "poisson")
    for k, p in enumerate(
        crossed(
            ("family", families),
            ("structure", ("independence", "exchangeable", "autoregressive")),
            drawn,
            "statsmodels/gee",
        )
    ):
        panel = {"gaussian": p["linear"], "binomial": p["binary"], "poisson": p["count"]}[p["family"]]
        arguments = {"family": p["family"], "groups": {"column": "region"}, "cov_struct": p["structure"]}
        yield f"gee-{k + 1:03d}", panel, call_of("gee", p["terms"], arguments, p["cov"])
    quantile = {
        "panel": LINEAR,
        "terms": (*TERMS[:2], *TERMS[3:6]),
        "q": (0.1, 0.5, 0.75),
        "how": ({}, {"vcov": "iid"}, {"kernel": "par"}, {"bandwidth": "bofinger"}, {"bandwidth": "chamberlain"}),
    }
    for k, p in enumerate(latin(quantile, 15, "statsmodels/quantiles")):
        yield f"quantiles-{k + 1:03d}", p["panel"], call_of("quantreg", p["terms"], {}, {"q": p["q"], **p["how"]})
    mixed = {"panel": PANELS, "terms": ("x1 + x2", "treated + x1"), "fit": ({}, {"reml": False}, {"method": "powell"})}
    for k, p in enumerate(latin(mixed, 4, "statsmodels/slopes")):
        arguments = {"groups": {"column": "region"}, **({"re_formula": "~x1"} if k % 2 else {})}
        yield f"slopes-{k + 1:03d}", p["panel"], call_of("mixedlm", p["terms"], arguments, p["fit"])
