"""What is asked of pyfixest beside the first grid: kinds of numbers, of effects, of models and of later steps.

Each block is a kind of use that the first grid lacked, crossed with effects, covariances and weights as there; none was
made for one change of a release.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crosscheck.upgrade.sentinel.grid import crossed, latin
from crosscheck.upgrade.sentinel.pyfixest_cases import (
    BINARY,
    COUNT,
    LINEAR,
    ROWS,
    VCOVS,
    WEIGHTS,
    Case,
    call_of,
    formula_of,
    hac,
    weights_of,
)

EFFECTS = ("", "unit", "unit + time", "sector + time")
GLM_TERMS = (
    "treated + x1 + x2",
    "x1 + x2 + x3 + xc",
    "x1 + xk + xi",
    "treated*x1 + C(sector)",
    "x1 + i(sector)",
    "x1 + i(time, treated, ref={first})",
    "i(sector, x1)",
    "x1 + region",
)
GLMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("fepois", {}),
    ("feglm", {"family": "logit"}),
    ("feglm", {"family": "probit"}),
    ("feglm", {"family": "gaussian"}),
)
WHOLE = ("shift", "level", "level + time", "unit + shift", "level^shift", "unit + level + shift")
OUTCOMES = ("whole", "y", "amount")
STORED = ("dose", "dose + high", "dose + x2", "dose + i(level)", "x1 + spend")
HELD: tuple[dict[str, str], ...] = ({}, {}, {"x2": "float32"}, {"x2": "float32", "spend": "float32"})
TRANSFORMED = (
    "np.log(spend) + x1",
    "np.log(exposure) + x2",
    "np.exp(x2):treated + x1",
    "I(x2**2) + np.sqrt(exposure)",
    "poly(exposure, 2) + x1",
    "scale(x2) + center(x3)",
    "np.log(spend):high + x1",
)
CLUSTERED = ("iid", "hetero", {"CRV1": "unit"})
DEMEANERS: tuple[dict[str, Any], ...] = (
    {},
    {"demeaner": {"kind": "MapDemeaner", "fixef_tol": 1e-10}},
    {"demeaner": {"kind": "MapDemeaner", "backend": "numba"}},
    {"demeaner": {"kind": "LsmrDemeaner"}},
    {"solver": "np.linalg.lstsq"},
    {"solver": "np.linalg.solve"},
    {"collin_tol": 1e-6},
    {"drop_intercept": True},
    {"lean": True},
)


def further(frequency: frozenset[str], first: dict[str, int]) -> Iterator[Case]:
    """Yield name, panel and call of each case; parameters as those of :func:`pyfixest_cases.cases`."""
    yield from _weights(frequency)
    yield from _glms(first)
    yield from _numbers(frequency)
    yield from _steps(frequency)
    yield from _samples(frequency)
    yield from _algorithms(frequency)


def _weights(frequency: frozenset[str]) -> Iterator[Case]:
    """Weights of each kind with each covariance."""
    kinds = {True: tuple(p for p in LINEAR if p in frequency), False: tuple(p for p in LINEAR if p not in frequency)}
    factors = {"k": tuple(range(24)), "effects": EFFECTS, "terms": ("treated + x1 + x2", "x1 + x2 + xc")}
    for k, p in enumerate(crossed(("vcov", VCOVS), ("counted", (True, False)), factors, "pyfixest/weights")):
        panel = kinds[p["counted"]][p["k"] % len(kinds[p["counted"]])]
        arguments = hac(p["vcov"]) | weights_of(panel, frequency, {"weights": "weight"})
        yield f"weights-{k + 1:03d}", panel, call_of("feols", formula_of(p["terms"], p["effects"]), arguments, *ROWS)


def _glms(first: dict[str, int]) -> Iterator[Case]:
    """Terms of each kind in generalized linear models, with effects that absorb some of them."""
    factors = {
        "count": COUNT,
        "binary": BINARY,
        "effects": ("", "unit", "time", "region", "sector + time"),
        "vcov": (None, "iid", "hetero", {"CRV1": "unit"}),
        "weights": WEIGHTS,
        "type": ({}, {"predict": {"type": "link"}}, {"predict": {"type": "response"}}),
    }
    for k, p in enumerate(crossed(("terms", GLM_TERMS), ("glm", GLMS), factors, "pyfixest/glm terms")):
        function, more = p["glm"]
        panel = p["count"] if function == "fepois" else p["binary"]
        arguments = {"vcov": p["vcov"], **more, **(p["weights"] if function == "fepois" else {})}
        formula = formula_of(p["terms"].format(first=first[panel]), p["effects"])
        want = (*ROWS, "predict_new", *(("fixef",) if p["effects"] else ()))
        yield f"glmterms-{k + 1:03d}", panel, call_of(function, formula, arguments, *want, fit=p["type"])


def _numbers(frequency: frozenset[str]) -> Iterator[Case]:
    """Levels of effects that are whole numbers, outcomes and regressors as they are stored, transformed regressors."""
    factors = {"panel": LINEAR, "weights": WEIGHTS, "terms": ("x1 + x2", "treated + x1")}
    covs = ("iid", {"CRV1": "unit"}, {"CRV1": "level"})
    for k, p in enumerate(crossed(("effects", WHOLE), ("vcov", covs), factors, "pyfixest/levels")):
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        call = call_of("feols", formula_of(p["terms"], p["effects"]), arguments, *ROWS, "predict_new", "fixef")
        yield f"levels-{k + 1:03d}", p["panel"], call
    factors = {
        "linear": LINEAR,
        "count": COUNT,
        "effects": ("", "unit", "unit + time", "level"),
        "vcov": CLUSTERED,
        "function": ("feols", "feols", "fepois"),
        "held": HELD,
    }
    for k, p in enumerate(
        [
            point
            for n in (1, 2)
            for point in crossed(("y", OUTCOMES), ("terms", STORED), factors, f"pyfixest/stored {n}")
        ]
    ):
        counts = p["function"] == "fepois"
        panel = p["count"] if counts else p["linear"]
        formula = formula_of(p["terms"], p["effects"], outcome="amount" if counts and p["y"] == "y" else p["y"])
        call = call_of(p["function"], formula, {"vcov": p["vcov"]}, *ROWS, "predict_new", dtypes=p["held"])
        yield f"stored-{k + 1:03d}", panel, call
    factors = {"panel": LINEAR, "vcov": CLUSTERED, "weights": WEIGHTS}
    for k, p in enumerate(
        crossed(("terms", TRANSFORMED), ("effects", ("", "unit", "unit + time")), factors, "pyfixest/transformed")
    ):
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        call = call_of("feols", formula_of(p["terms"], p["effects"]), arguments, *ROWS, "predict_new")
        yield f"transformed-{k + 1:03d}", p["panel"], call


def _steps(frequency: frozenset[str]) -> Iterator[Case]:
    """Steps after a fit: joint tests, intervals of predictions, tests of instruments, other levels of confidence."""
    both, one = [[1.0, 0.0], [0.0, 1.0]], [[1.0, -1.0]]
    tests: tuple[dict[str, Any], ...] = (
        {"wald_test": {"R": both}},
        {"wald_test": {"R": one}},
        {"wald_test": {"R": both, "distribution": "chi2"}},
        {"wald_test": {"R": both, "q": [1.0, 0.5]}},
        {"wald_test": {}},
    )
    factors = {"panel": LINEAR, "weights": WEIGHTS, "effects": ("unit", "unit + time", "sector + time")}
    covs = ("iid", "hetero", {"CRV1": "unit"}, {"CRV1": "cluster + time"})
    for k, p in enumerate(crossed(("step", tests), ("vcov", covs), factors, "pyfixest/tests")):
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        call = call_of("feols", formula_of("x1 + x2", p["effects"]), arguments, "coefs", "stats", fit=p["step"])
        yield f"tests-{k + 1:03d}", p["panel"], call
    intervals: tuple[dict[str, Any], ...] = (
        {"predict": {"se_fit": True}},
        {"predict": {"interval": "prediction"}},
        {"predict": {"interval": "prediction", "alpha": 0.1}},
    )
    factors = {"panel": LINEAR, "vcov": ("iid", "hetero", {"CRV1": "unit"}), "terms": ("x1 + x2", "treated*x1")}
    for k, p in enumerate(crossed(("step", intervals), ("weights", WEIGHTS), factors, "pyfixest/intervals")):
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        call = call_of("feols", formula_of(p["terms"]), arguments, *ROWS, "predict_new", fit=p["step"])
        yield f"intervals-{k + 1:03d}", p["panel"], call
    factors = {
        "panel": LINEAR,
        "weights": WEIGHTS,
        "effects": ("", "unit", "unit + time"),
        "terms": ("x1 + x2", "1"),
    }
    for k, p in enumerate(
        crossed(("vcov", covs), ("iv", ("endog ~ z1", "endog ~ z1 + z2")), factors, "pyfixest/weak instruments")
    ):
        arguments = {"vcov": p["vcov"], **weights_of(p["panel"], frequency, p["weights"])}
        formula = formula_of(p["terms"], p["effects"], p["iv"])
        call = call_of("feols", formula, arguments, "coefs", "stats", fit={"IV_Diag": {}})
        yield f"ivtests-{k + 1:03d}", p["panel"], call


def _samples(frequency: frozenset[str]) -> Iterator[Case]:
    """Samples split by a column of each kind, with and without the whole sample."""
    factors = {
        "panel": LINEAR,
        "effects": ("", "unit", "time"),
        "vcov": (None, "hetero", {"CRV1": "unit"}),
        "weights": WEIGHTS,
    }
    for k, p in enumerate(
        crossed(("by", ("region", "sector", "dose", "ever")), ("word", ("split", "fsplit")), factors, "pyfixest/split")
    ):
        arguments = {
            "vcov": p["vcov"],
            p["word"]: p["by"],
            **weights_of(p["panel"], frequency, p["weights"]),
        }
        call = call_of("feols", formula_of("x1 + x2", p["effects"]), arguments, "coefs", "stats")
        yield f"samples-{k + 1:03d}", p["panel"], call


def _algorithms(frequency: frozenset[str]) -> Iterator[Case]:
    """Ways to compute the same, and quantiles by each of them."""
    factors = {"panel": LINEAR, "weights": WEIGHTS, "vcov": CLUSTERED}
    for k, p in enumerate(
        crossed(("how", DEMEANERS), ("effects", ("unit + time", "unit + time + sector")), factors, "pyfixest/how")
    ):
        arguments = {"vcov": p["vcov"], **p["how"], **weights_of(p["panel"], frequency, p["weights"])}
        formula = formula_of("treated + x1 + x2", "" if p["how"].get("drop_intercept") else p["effects"])
        yield f"algorithms-{k + 1:03d}", p["panel"], call_of("feols", formula, arguments, *ROWS)
    factors = {
        "panel": LINEAR,
        "terms": ("x1 + x2", "treated*x1", "x1 + C(sector)", "x1 + x2 + xc"),
        "vcov": ("nid", "iid", {"CRV1": "unit"}, {"CRV1": "cluster"}),
        "method": ({}, {"method": "fn"}, {"method": "pfn", "seed": 1}),
    }
    for k, p in enumerate(latin(factors, 9, "pyfixest/quantiles")):
        arguments = {"quantile": (0.1, 0.5, 0.75)[k % 3], "vcov": p["vcov"], **p["method"]}
        yield (
            f"quantiles-{k + 1:03d}",
            p["panel"],
            call_of("quantreg", formula_of(p["terms"]), arguments, "coefs", "stats"),
        )
