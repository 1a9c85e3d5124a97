"""What is asked of pyfixest: a grid over functions, effects, terms, covariances, weights and corrections.

Formulas name the columns of :mod:`panels`; options that a point leaves out are left to the package, so that a default
that changed is seen, and the same option written out stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crosscheck.upgrade.sentinel.grid import crossed, latin

ROWS = ("coefs", "stats", "fitted", "residuals")
LINEAR = tuple(f"linear-{k:02d}" for k in range(1, 25))
COUNT = tuple(f"count-{k:02d}" for k in range(1, 9))
BINARY = tuple(f"binary-{k:02d}" for k in range(1, 9))
STAGGERED = tuple(f"staggered-{k:02d}" for k in range(1, 13))

EFFECTS = ("", "unit", "unit + time", "unit + time + sector", "sector^time", "region", "unit + region^time", "sector")
TERMS = (
    "treated + x1 + x2",
    "treated + x1 + x2 + x3 + xc",
    "treated + x1 + xk",
    "treated*x1 + x2",
    "treated + x1 + C(sector)",
    "x1 + i(sector)",
    "x1 + i(sector, x2)",
    "x1 + i(time, treated, ref={first})",
    "i(event, ref=-1)",
    "i(sector, x1, ref='s1')",
    "x1 + high + xi",
    "I(x1**2) + treated:x2 + np.exp(x2)",
    "x1 + region",
    "x1 - 1",
    "treated + x1:C(region)",
)
VCOVS: tuple[Any, ...] = (
    None,
    "iid",
    "hetero",
    "HC1",
    "HC2",
    "HC3",
    {"CRV1": "unit"},
    {"CRV1": "cluster"},
    {"CRV1": "region"},
    {"CRV1": "unit + time"},
    {"CRV1": "cluster + sector"},
    {"CRV3": "cluster"},
    {"CRV3": "unit"},
    "NW",
    "DK",
)
WEIGHTS: tuple[dict[str, Any], ...] = ({}, {}, {"weights": "weight"})
SSC: tuple[dict[str, Any], ...] = (
    {"k_adj": True, "k_fixef": "nonnested", "G_adj": True, "G_df": "min"},
    {"k_adj": False},
    {"k_fixef": "none"},
    {"k_fixef": "full"},
    {"k_fixef": "nonnested"},
    {"G_adj": False},
    {"G_df": "conventional"},
    {"k_adj": False, "G_adj": False},
    {"k_fixef": "full", "G_df": "conventional"},
)
SINGLETONS: tuple[dict[str, Any], ...] = ({}, {}, {"fixef_rm": "none"}, {"fixef_rm": "singleton"})
PREDICTED: tuple[dict[str, Any], ...] = ({}, {"predict": {"type": "link"}}, {"predict": {"type": "response"}})
Case = tuple[str, str, dict[str, Any]]


def formula_of(terms: str, effects: str = "", iv: str = "", outcome: str = "y") -> str:
    """Return a formula in pyfixest's spelling."""
    return f"{outcome} ~ " + " | ".join(part for part in (terms, effects, iv) if part)


def call_of(function: str, formula: str, arguments: dict[str, Any], *want: str, **more: Any) -> dict[str, Any]:
    """Return a call as JSON; options that are ``None`` are left out."""
    arguments = {k: v for k, v in arguments.items() if v is not None}
    return {"package": "pyfixest", "function": function, "formula": formula, "arguments": arguments} | {
        "want": list(want or ROWS),
        **more,
    }


def weights_of(panel: str, frequency: frozenset[str], given: dict[str, Any]) -> dict[str, Any]:
    """Return weights with their kind, which the panel decides."""
    return {**given, "weights_type": "fweights"} if given and panel in frequency else given


def hac(vcov: Any) -> dict[str, Any]:
    """Return a covariance with what it needs."""
    if vcov not in ("NW", "DK"):
        return {"vcov": vcov}
    return {"vcov": vcov, "vcov_kwargs": {"time_id": "time", "panel_id": "unit", "lag": 2}}


def cases(frequency: frozenset[str], first: dict[str, int]) -> Iterator[Case]:
    """Yield name, panel and call of each case of the first grid.

    Parameters
    ----------
    frequency : frozenset of str
        Panels whose weights count rows.
    first : mapping
        First period of each panel, the reference of an event study.
    """
    for k, p in enumerate(
        crossed(
            ("effects", EFFECTS),
            ("vcov", VCOVS),
            {"panel": LINEAR, "weights": WEIGHTS, "rm": SINGLETONS, "terms": TERMS[:2]},
            "pyfixest/vcov",
        )
    ):
        arguments = hac(p["vcov"]) | weights_of(p["panel"], frequency, p["weights"]) | p["rm"]
        yield f"vcov-{k + 1:03d}", p["panel"], call_of("feols", formula_of(p["terms"], p["effects"]), arguments)
    for k, p in enumerate(
        crossed(
            ("terms", TERMS),
            ("effects", ("", "unit", "unit + time")),
            {"panel": LINEAR, "weights": WEIGHTS, "vcov": ("iid", "hetero", {"CRV1": "unit"})},
            "pyfixest/terms",
        )
    ):
        terms = p["terms"].format(first=first[p["panel"]])
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        more = ("predict_new", "fixef") if p["effects"] else ("predict_new",)
        call = call_of("feols", formula_of(terms, p["effects"]), arguments, *ROWS, *more)
        yield f"terms-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(
        crossed(
            ("ssc", SSC),
            ("vcov", ("iid", "hetero", {"CRV1": "unit"}, {"CRV1": "cluster + time"}, {"CRV3": "cluster"})),
            {"panel": LINEAR, "effects": ("", "unit", "unit + time", "sector + time")},
            "pyfixest/ssc",
        )
    ):
        call = call_of("feols", formula_of("x1 + x2", p["effects"]), {"vcov": p["vcov"], "ssc": p["ssc"]})
        yield f"ssc-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(
        crossed(
            ("iv", ("endog ~ z1", "endog ~ z1 + z2")),
            ("vcov", (None, "iid", "hetero", {"CRV1": "unit"}, {"CRV1": "cluster + time"}, {"CRV3": "cluster"})),
            {"panel": LINEAR, "effects": ("", "unit", "unit + time"), "weights": WEIGHTS, "terms": ("x1 + x2", "1")},
            "pyfixest/iv",
        )
    ):
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        call = call_of("feols", formula_of(p["terms"], p["effects"], p["iv"]), arguments)
        yield f"iv-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(
        crossed(
            ("effects", ("", "unit", "unit + time", "sector^time", "unit + time + sector")),
            ("vcov", (None, "iid", "hetero", {"CRV1": "unit"}, {"CRV1": "cluster + time"}, {"CRV3": "region"})),
            {
                "panel": COUNT,
                "more": ({}, {}, {"offset": "log_exposure"}, {"weights": "weight"}),
                "rm": SINGLETONS,
                "separation": ({}, {"separation_check": ["fe"]}, {"separation_check": ["fe", "ir"]}),
                "type": PREDICTED,
            },
            "pyfixest/poisson",
        )
    ):
        arguments = {"vcov": p["vcov"], **p["more"], **p["rm"], **p["separation"]}
        formula = formula_of("treated + x1 + x2", p["effects"])
        call = call_of("fepois", formula, arguments, *ROWS, "predict_new", fit=p["type"])
        yield f"poisson-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(
        crossed(
            ("family", ("logit", "probit", "gaussian")),
            ("vcov", (None, "iid", "hetero", {"CRV1": "unit"}, {"CRV1": "cluster + time"})),
            {
                "panel": BINARY,
                "effects": ("", "", "time", "region"),
                "terms": ("treated + x1 + x2", "x1 + i(sector)"),
                "type": PREDICTED,
            },
            "pyfixest/glm",
        )
    ):
        arguments = {"family": p["family"], "vcov": p["vcov"]}
        formula = formula_of(p["terms"], p["effects"])
        call = call_of("feglm", formula, arguments, *ROWS, "predict_new", fit=p["type"])
        yield f"glm-{k + 1:03d}", p["panel"], call
    for k, p in enumerate(
        crossed(
            ("vcov", ("iid", "hetero", {"CRV1": "cluster"})),
            ("again", ("hetero", {"CRV1": "unit"}, {"CRV1": "cluster + time"}, {"CRV3": "region"})),
            {
                "panel": LINEAR,
                "effects": ("", "unit", "unit + time"),
                "weights": WEIGHTS,
                "confint": ({}, {"confint": {"alpha": 0.1}}),
            },
            "pyfixest/afterwards",
        )
    ):
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        steps = {"vcov": {"vcov": p["again"]}, **p["confint"]}
        call = call_of("feols", formula_of("treated + x1 + x2", p["effects"]), arguments, *ROWS, fit=steps)
        yield f"afterwards-{k + 1:03d}", p["panel"], call
    quantiles = {
        "panel": LINEAR,
        "terms": TERMS[:2],
        "quantile": (0.25, 0.5, 0.9),
        "vcov": ("nid", "iid", {"CRV1": "unit"}),
    }
    for k, p in enumerate(latin(quantiles, 6, "pyfixest/quantreg")):
        arguments = {"quantile": p["quantile"], "vcov": p["vcov"]}
        yield (
            f"quantile-{k + 1:03d}",
            p["panel"],
            call_of("quantreg", formula_of(p["terms"]), arguments, "coefs", "stats"),
        )
    yield from _several()
    yield from _did()


def _several() -> Iterator[Case]:
    formulas = (
        "y ~ x1 + sw(x2, x3)",
        "y ~ x1 + csw(x2, x3)",
        "y ~ x1 + sw0(x2, x3)",
        "y ~ x1 + csw0(x2, x3)",
        "y + y2 ~ x1",
        "y ~ x1 | csw0(unit, time)",
        "y ~ x1 | sw(unit, sector)",
        "y + y2 ~ csw(x1, x2) | unit",
    )
    factors = {"formula": formulas, "panel": LINEAR, "more": ({}, {"vcov": {"CRV1": "unit"}}, {"split": "region"})}
    for k, p in enumerate(latin(factors, 16, "pyfixest/several")):
        yield f"several-{k + 1:03d}", p["panel"], call_of("feols", p["formula"], p["more"], "coefs", "stats")


def _did() -> Iterator[Case]:
    did2s = {
        "yname": ("y",),
        "first_stage": ("~ x1 | unit + time", "~ 0 | unit + time"),
        "second_stage": ("~ i(treated, ref=0)", "~ treated", "~ i(event, ref=-1)"),
        "treatment": ("treated",),
        "cluster": ("unit", "cluster"),
        "weights": (None, None, "weight"),
    }
    for k, p in enumerate(latin({**did2s, "panel": STAGGERED}, 12, "pyfixest/did2s")):
        panel = p.pop("panel")
        yield f"did2s-{k + 1:03d}", panel, call_of("did2s", "", p, "coefs", "stats")
    base = {"yname": "y", "idname": "unit", "tname": "time", "gname": "cohort"}
    study = {"estimator": ("twfe", "did2s", "saturated"), "att": (True, False), "cluster": (None, "unit")}
    for k, p in enumerate(latin({**study, "panel": STAGGERED}, 15, "pyfixest/event_study")):
        panel = p.pop("panel")
        yield f"event-{k + 1:03d}", panel, call_of("event_study", "", base | p, "coefs", "stats")
    local = {"att": (True, False), "never_treated": (0,), "pre_window": (None, -2), "post_window": (None, 2)}
    for k, p in enumerate(latin({**local, "panel": STAGGERED}, 8, "pyfixest/lpdid")):
        panel = p.pop("panel")
        yield f"lpdid-{k + 1:03d}", panel, call_of("lpdid", "", base | p, "coefs", "stats")
