"""What is asked of linearmodels beside the first grid: more covariances, weights with every model, systems, tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crosscheck.upgrade.sentinel.grid import crossed, latin
from crosscheck.upgrade.sentinel.linearmodels_cases import (
    CLUSTERS,
    COVS,
    EFFECTS,
    INDEX,
    IV_COVS,
    PANELS,
    ROWS,
    TERMS,
    TWO,
    WEIGHTS,
    call_of,
)
from crosscheck.upgrade.sentinel.pyfixest_cases import Case

LONG = tuple(f"long-{k:02d}" for k in range(1, 4))
WEIGHT: dict[str, Any] = {"weights": {"column": "weight"}}
AC: tuple[dict[str, Any], ...] = (
    {"cov_type": "ac"},
    {"cov_type": "autocorrelated", "bandwidth": 2},
    {"cov_type": "ac", "kernel": "parzen"},
    {"cov_type": "driscoll-kraay", "bandwidth": 3},
)
PAIRS: tuple[dict[str, Any], ...] = (
    {"clusters": TWO},
    {"clusters": CLUSTERS, "cluster_entity": True},
    {"clusters": {"columns": ["region"]}, "cluster_time": True},
    {"clusters": {"columns": ["sector", "cluster"]}, "group_debias": True},
    {"cluster_entity": True, "cluster_time": True},
    {"cluster_entity": True, "cluster_time": True, "group_debias": True},
)
COMPUTED: tuple[dict[str, Any], ...] = (
    {"use_lsdv": True},
    {"use_lsmr": True},
    {"low_memory": True},
    {"auto_df": False, "cov_type": "clustered", "cluster_entity": True},
)
SYSTEM: dict[str, str] = {"first": "y ~ 1 + x1 + x2", "second": "y2 ~ 1 + x1 + x3"}
SAME: dict[str, str] = {"first": "y ~ 1 + x1 + x2", "second": "y2 ~ 1 + x1 + x2"}
INSTRUMENTED: dict[str, str] = {
    "first": "y ~ 1 + x1 + [endog ~ z1 + z2]",
    "second": "y2 ~ 1 + x2 + [endog ~ z1 + z2]",
}
CONSTRAINTS: tuple[dict[str, Any], ...] = (
    {},
    {"add_constraints": {"r": [{"first_x1": 1.0, "second_x1": -1.0}]}},
    {"add_constraints": {"r": [{"first_x1": 1.0, "second_x1": -1.0}], "q": [0.5]}},
    {"add_constraints": {"r": [{"first_x2": 1.0}, {"second_x1": 2.0}], "q": [1.0, 0.5]}},
)
SYSTEM_COVS: tuple[dict[str, Any], ...] = (
    {},
    {"cov_type": "unadjusted"},
    {"cov_type": "robust", "debiased": True},
    {"cov_type": "clustered", "clusters": {"column": "cluster"}},
    {"cov_type": "kernel", "kernel": "bartlett", "bandwidth": 2},
)


def further(once: tuple[str, ...]) -> Iterator[Case]:
    """Yield name, panel and call of each case.

    Parameters
    ----------
    once : tuple of str
        Panels in which each unit and period occurs once: panel models are asked on these.
    """
    yield from _panels(once)
    yield from _instruments()
    yield from _systems()
    yield from _long()


def _panels(once: tuple[str, ...]) -> Iterator[Case]:
    drawn: dict[str, Any] = {"panel": once, "terms": TERMS[:2], "weights": WEIGHTS, "effects": EFFECTS}
    for k, p in enumerate(
        crossed(
            ("cov", AC),
            ("function", ("PanelOLS", "PooledOLS", "RandomEffects", "BetweenOLS")),
            drawn,
            "linearmodels/ac",
        )
    ):
        effects = p["effects"] if p["function"] == "PanelOLS" else ""
        cov = p["cov"] if p["function"] != "BetweenOLS" else COVS[2]
        yield f"ac-{k + 1:03d}", p["panel"], _panel(p, effects, cov)
    drawn = {"panel": once, "terms": TERMS[:2], "weights": WEIGHTS, "debiased": ({}, {"debiased": False})}
    for k, p in enumerate(crossed(("cov", PAIRS), ("effects", EFFECTS), drawn, "linearmodels/two clusters")):
        fit = {"cov_type": "clustered"} | p["cov"] | p["debiased"]
        yield f"clusters-{k + 1:03d}", p["panel"], _panel(p | {"function": "PanelOLS"}, p["effects"], fit)
    drawn = {
        "panel": once,
        "terms": ("1 + treated + x1 + x2", "x1 + x2 + xi", "1 + x1 + xk", "1 + x1 + C(level)"),
        "rest": ({}, {"drop_absorbed": True}, {"check_rank": False}),
    }
    for k, p in enumerate(
        crossed(
            ("singletons", ({}, {"singletons": False}, {"singletons": False, **WEIGHT}, WEIGHT)),
            ("cov", (*COVS[:4], COVS[8])),
            drawn | {"effects": EFFECTS[1:]},
            "linearmodels/singletons",
        )
    ):
        words = INDEX | p["singletons"] | p["rest"]
        call = call_of("PanelOLS", f"y ~ {p['terms']} + {p['effects']}", words, p["cov"], *ROWS, "predict_new")
        yield f"singletons-{k + 1:03d}", p["panel"], call
    drawn = {"panel": once, "terms": TERMS[:2], "weights": WEIGHTS, "cov": COVS[:4]}
    for k, p in enumerate(crossed(("how", COMPUTED), ("effects", EFFECTS[1:]), drawn, "linearmodels/computed")):
        yield (
            f"computed-{k + 1:03d}",
            p["panel"],
            _panel(p | {"function": "PanelOLS"}, p["effects"], p["cov"] | p["how"]),
        )
    other = {"other_effects": {"column": "sector"}}
    for k, p in enumerate(crossed(("cov", COVS[:4]), ("weights", ({}, WEIGHT)), drawn, "linearmodels/other effects")):
        words = INDEX | p["weights"] | other | ({"entity_effects": True} if k % 2 else {})
        arguments = {"dependent": {"column": "y"}, "exog": {"columns": ["x1", "x2"]}, **words}
        yield f"other-{k + 1:03d}", p["panel"], call_of("PanelOLS", "", arguments, p["cov"])
    drawn = {"panel": once, "terms": TERMS[1:2], "debiased": ({}, {"debiased": True}, {"debiased": False})}
    for function in ("RandomEffects", "BetweenOLS", "FirstDifferenceOLS", "FamaMacBeth", "PooledOLS"):
        covs = (COVS[0], COVS[1], COVS[2]) if function == "BetweenOLS" else (COVS[0], COVS[2], COVS[3], COVS[8])
        covs = (COVS[0], COVS[2], COVS[8]) if function == "FamaMacBeth" else covs
        if function == "FirstDifferenceOLS":
            covs = covs[:3]
        for k, p in enumerate(
            crossed(("cov", covs), ("weights", ({}, WEIGHT)), drawn, f"linearmodels/further {function}")
        ):
            call = _panel(p | {"function": function}, "", p["cov"] | p["debiased"])
            yield f"further{function.lower()}-{k + 1:03d}", p["panel"], call
    tests: tuple[dict[str, Any], ...] = (
        {"wald_test": {"formula": "x1 = 0"}},
        {"wald_test": {"formula": "x1 = x2"}},
        {"wald_test": {"formula": ["x1 = 1", "x2 = 0"]}},
        {"conf_int": {"level": 0.9}},
    )
    drawn = {"panel": once, "terms": TERMS[:1], "weights": WEIGHTS, "effects": EFFECTS}
    covs = (COVS[0], COVS[2], COVS[3])
    for k, p in enumerate(crossed(("step", tests), ("cov", covs), drawn, "linearmodels/tests")):
        call = _panel(p | {"function": "PanelOLS"}, p["effects"], p["cov"])
        yield f"tests-{k + 1:03d}", p["panel"], {**call, "fit": call["fit"] | p["step"]}


def _panel(p: dict[str, Any], effects: str, fit: dict[str, Any]) -> dict[str, Any]:
    weights = {} if p["function"] == "FamaMacBeth" and p.get("weights") is None else p.get("weights", {})
    formula = f"y ~ {p['terms']}" + (f" + {effects}" if effects else "")
    return call_of(p["function"], formula, INDEX | weights, fit, *ROWS, "predict_new")


def _instruments() -> Iterator[Case]:
    drawn: dict[str, Any] = {
        "panel": PANELS,
        "terms": ("1 + x1 + x2", "x1", "1 + x1 + x2 + xc"),
        "weights": WEIGHTS,
        "debiased": ({}, {"debiased": True}),
    }
    made: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
        ("IVLIML", {"fuller": 1}, {}),
        ("IVLIML", {"kappa": 1.0}, {}),
        ("IVGMM", {"weight_type": "unadjusted"}, {}),
        ("IVGMM", {"weight_type": "robust", "center": True}, {"iter_limit": 5}),
        ("IVGMM", {"weight_type": "kernel"}, {"iter_limit": 10}),
        ("IVGMM", {"weight_type": "kernel", "kernel": "parzen", "bandwidth": 2}, {}),
        ("IVGMM", {"weight_type": "clustered", "clusters": {"column": "cluster"}}, {}),
    )
    covs = (IV_COVS[0], IV_COVS[1], IV_COVS[2], IV_COVS[3])
    for k, p in enumerate(crossed(("made", made), ("cov", covs), drawn, "linearmodels/instruments")):
        function, arguments, fit = p["made"]
        formula = f"y ~ {p['terms']} + [endog ~ z1 + z2]"
        call = call_of(function, formula, p["weights"] | arguments, p["cov"] | p["debiased"] | fit, *ROWS)
        yield f"instruments-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(latin({**drawn, "cov": IV_COVS}, 8, "linearmodels/no instruments")):
        call = call_of("IV2SLS", f"y ~ {p['terms']}", p["weights"], p["cov"] | p["debiased"], *ROWS, "predict_new")
        yield f"least-{k + 1:03d}", p["panel"], call
    absorbing = {
        "panel": PANELS,
        "absorb": (["unit"], ["unit", "time"], ["level"], ["unit", "sector"]),
        "exog": (["x1", "x2"], ["x1", "xi"], ["x1", "xk"], ["x1", "x2", "xc"]),
        "weights": WEIGHTS,
        "how": ({}, {"method": "lsmr"}, {"method": "auto"}),
        "debiased": ({}, {"debiased": True}),
        "cov": (*IV_COVS[:4], IV_COVS[5]),
    }
    for k, p in enumerate(latin(absorbing, 15, "linearmodels/absorbing")):
        arguments = {
            "dependent": {"column": "y"},
            "exog": {"columns": p["exog"]},
            "absorb": {"columns": p["absorb"]},
            "drop_absorbed": True,
            **p["weights"],
        }
        fit = p["cov"] | p["debiased"] | p["how"]
        yield f"absorbings-{k + 1:03d}", p["panel"], call_of("AbsorbingLS", "", arguments, fit)


def _long() -> Iterator[Case]:
    """Automatic lags and bandwidths on panels of several hundred rows."""
    kernels: tuple[dict[str, Any], ...] = (
        {"kernel": "bartlett"},
        {"kernel": "parzen"},
        {"kernel": "qs"},
    )
    drawn: dict[str, Any] = {"panel": LONG, "terms": ("1 + x1 + x2", "1 + treated + x1"), "weights": WEIGHTS}
    for k, p in enumerate(
        crossed(
            ("kernel", kernels), ("function", ("IV2SLS", "IVGMM", "PanelOLS", "PooledOLS")), drawn, "linearmodels/long"
        )
    ):
        fit = {"cov_type": "kernel", **p["kernel"]}
        if p["function"] in ("PanelOLS", "PooledOLS"):
            call = _panel(p, "EntityEffects" if p["function"] == "PanelOLS" else "", fit)
        else:
            arguments = p["weights"] | ({"weight_type": "kernel"} if p["function"] == "IVGMM" else {})
            call = call_of(p["function"], f"y ~ {p['terms']} + [endog ~ z1 + z2]", arguments, fit, *ROWS)
        yield f"long-{k + 1:03d}", p["panel"], call


def _systems() -> Iterator[Case]:
    drawn: dict[str, Any] = {
        "panel": PANELS,
        "equations": (SYSTEM, SYSTEM, SAME),
        "how": ({}, {"method": "gls"}, {"method": "ols"}, {"iterate": True}, {"full_cov": False}),
    }
    for k, p in enumerate(
        crossed(("constraints", CONSTRAINTS), ("cov", SYSTEM_COVS), drawn, "linearmodels/seemingly unrelated")
    ):
        yield f"sur-{k + 1:03d}", p["panel"], _system("SUR", p["equations"], p["cov"] | p["how"], p["constraints"])
    for k, p in enumerate(crossed(("round", (1, 2)), ("cov", SYSTEM_COVS), drawn, "linearmodels/three stages")):
        steps = {"add_constraints": {"r": [{"first_endog": 1.0, "second_endog": -1.0}], "q": [0.25]}} if k % 2 else {}
        yield f"iv3sls-{k + 1:03d}", p["panel"], _system("IV3SLS", INSTRUMENTED, p["cov"] | p["how"], steps)
    for k, p in enumerate(latin({"panel": PANELS, "cov": SYSTEM_COVS[:3]}, 6, "linearmodels/system gmm")):
        arguments = ({}, {"weight_type": "unadjusted"})[k % 2]
        call = _system("IVSystemGMM", INSTRUMENTED, p["cov"], {})
        yield f"systemgmm-{k + 1:03d}", p["panel"], {**call, "arguments": call["arguments"] | arguments}


def _system(function: str, equations: dict[str, str], fit: dict[str, Any], steps: dict[str, Any]) -> dict[str, Any]:
    call = call_of(function, "", {"equations": equations}, fit, "coefs", "stats", "vcov")
    return {**call, "fit": call["fit"] | steps}
