"""What is asked of linearmodels: models times effects, covariances, weights and terms; instruments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crosscheck.upgrade.sentinel.grid import crossed, latin
from crosscheck.upgrade.sentinel.pyfixest_cases import LINEAR, STAGGERED, Case

PANELS = (*LINEAR, *STAGGERED)
TERMS = ("1 + treated + x1 + x2", "treated + x1 + x2 + x3", "1 + treated + x1 + C(sector)", "1 + x1*x2 + high")
EFFECTS = ("", "EntityEffects", "TimeEffects", "EntityEffects + TimeEffects")
CLUSTERS: dict[str, Any] = {"columns": ["cluster"]}
TWO: dict[str, Any] = {"columns": ["cluster", "sector"]}
COVS: tuple[dict[str, Any], ...] = (
    {},
    {"cov_type": "unadjusted"},
    {"cov_type": "robust"},
    {"cov_type": "clustered", "cluster_entity": True},
    {"cov_type": "clustered", "cluster_time": True},
    {"cov_type": "clustered", "cluster_entity": True, "cluster_time": True},
    {"cov_type": "clustered", "clusters": CLUSTERS},
    {"cov_type": "clustered", "cluster_entity": True, "group_debias": True},
    {"cov_type": "kernel"},
    {"cov_type": "kernel", "kernel": "parzen", "bandwidth": 2},
    {"cov_type": "kernel", "kernel": "qs"},
)
WEIGHTS: tuple[dict[str, Any], ...] = ({}, {}, {"weights": {"column": "weight"}})
DF: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"debiased": False},
    {"debiased": True},
    {"auto_df": False},
    {"count_effects": False},
)
IV_COVS: tuple[dict[str, Any], ...] = (
    {},
    {"cov_type": "unadjusted"},
    {"cov_type": "robust"},
    {"cov_type": "clustered", "clusters": CLUSTERS},
    {"cov_type": "clustered", "clusters": TWO},
    {"cov_type": "kernel", "kernel": "bartlett", "bandwidth": 2},
    {"cov_type": "kernel", "kernel": "parzen"},
    {"cov_type": "kernel", "kernel": "qs"},
)
ROWS = ("coefs", "stats", "vcov", "fitted", "residuals")
INDEX = {"index": ["unit", "time"]}


def call_of(function: str, formula: str, arguments: dict[str, Any], fit: dict[str, Any], *want: str) -> dict[str, Any]:
    """Return a call as JSON."""
    return {
        "package": "linearmodels",
        "function": function,
        "formula": formula,
        "arguments": arguments,
        "fit": {"fit": fit},
        "want": list(want or ROWS),
    }


def cases() -> Iterator[Case]:
    """Yield name, panel and call of each case."""
    more = {
        "panel": PANELS,
        "terms": TERMS,
        "weights": WEIGHTS,
        "df": DF,
        "rest": ({}, {}, {"singletons": False}, {"drop_absorbed": True}),
    }
    for k, p in enumerate(crossed(("effects", EFFECTS), ("cov", COVS), more, "linearmodels/effects")):
        formula = f"y ~ {p['terms']}" + (f" + {p['effects']}" if p["effects"] else "")
        call = call_of("PanelOLS", formula, INDEX | p["weights"] | p["rest"], p["cov"] | p["df"], *ROWS, "predict_new")
        yield f"panel-{k + 1:03d}", p["panel"], call
    absorbed = {
        "panel": PANELS,
        "terms": ("1 + treated + x1 + xi", "x1 + xk + xc", "1 + x1 + ever"),
        "effects": ("EntityEffects", "EntityEffects + TimeEffects"),
        "weights": WEIGHTS,
        "cov": COVS[:4],
    }
    for k, p in enumerate(latin(absorbed, 12, "linearmodels/absorbed")):
        arguments = INDEX | p["weights"] | {"drop_absorbed": True}
        yield (
            f"absorbed-{k + 1:03d}",
            p["panel"],
            call_of("PanelOLS", f"y ~ {p['terms']} + {p['effects']}", arguments, p["cov"]),
        )
    for function, covs, extra in (
        ("RandomEffects", COVS[:9], ({}, {}, {"small_sample": True})),
        ("BetweenOLS", COVS[:3], ({}, {"reweight": True})),
        ("PooledOLS", COVS, ({},)),
        ("FirstDifferenceOLS", COVS[:7], ({},)),
        ("FamaMacBeth", (COVS[0], COVS[2], COVS[8]), ({},)),
    ):
        factors = {
            "panel": PANELS,
            "terms": TERMS[1:2] if function == "FirstDifferenceOLS" else TERMS[:2],
            "weights": WEIGHTS[:1] if function == "FamaMacBeth" else WEIGHTS,
            "debiased": ({}, {"debiased": False}, {"debiased": True}),
            "cov": covs,
            "extra": extra,
        }
        for k, p in enumerate(latin(factors, 2 * len(covs), f"linearmodels/{function}")):
            fit = p["cov"] | p["debiased"] | p["extra"]
            yield (
                f"{function.lower()}-{k + 1:03d}",
                p["panel"],
                call_of(function, f"y ~ {p['terms']}", INDEX | p["weights"], fit),
            )
    factors = {
        "panel": PANELS,
        "iv": ("[endog ~ z1]", "[endog ~ z1 + z2]", "[endog ~ z1 + z2]"),
        "terms": ("1 + x1 + x2", "x1", "1 + treated + C(sector)"),
        "weights": WEIGHTS,
        "debiased": ({}, {"debiased": True}),
    }
    for function in ("IV2SLS", "IVLIML", "IVGMM"):
        for k, p in enumerate(crossed(("cov", IV_COVS), ("round", (1, 2)), factors, f"linearmodels/{function}")):
            call = call_of(
                function, f"y ~ {p['terms']} + {p['iv']}", p["weights"], p["cov"] | p["debiased"], *ROWS, "predict_new"
            )
            yield f"{function.lower()}-{k + 1:03d}", p["panel"], call
    absorbing = {
        "panel": PANELS,
        "absorb": (["unit"], ["unit", "time"], ["sector"], ["unit", "sector"]),
        "exog": (["x1", "x2"], ["treated", "x1"], ["x1", "x2", "x3"]),
        "weights": WEIGHTS,
        "cov": IV_COVS[:4],
        "debiased": ({}, {"debiased": True}),
    }
    for k, p in enumerate(latin(absorbing, 20, "linearmodels/AbsorbingLS")):
        arguments = {
            "dependent": {"column": "y"},
            "exog": {"columns": p["exog"]},
            "absorb": {"columns": p["absorb"]},
            **p["weights"],
        }
        yield f"absorbing-{k + 1:03d}", p["panel"], call_of("AbsorbingLS", "", arguments, p["cov"] | p["debiased"])
