"""What is asked of the packages of group-time effects: controls, methods, base periods, weights, aggregations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crosscheck.upgrade.sentinel.grid import crossed, latin
from crosscheck.upgrade.sentinel.pyfixest_cases import STAGGERED, Case

CONTROLS = ("nevertreated", "notyettreated", "nevertreated", "notyettreated", None)
METHODS = ("dr", "reg", "ipw", None)
BASES = ("varying", "universal", "varying", "universal", None)
AGGREGATIONS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"typec": "simple"},
    {"typec": "dynamic"},
    {"typec": "group"},
    {"typec": "calendar"},
    {"typec": "dynamic", "balance_e": 1},
    {"typec": "dynamic", "min_e": -1, "max_e": 1},
)
IDS = {"yname": "y", "tname": "time", "gname": "cohort"}
ROW = "row"
"""Number of a row, which identifies repeated cross-sections."""
FIRST = "first_treated"
"""Cohort, missing where a unit is never treated, as the package differences has it."""


def csdid_cases(count: int = 96) -> Iterator[Case]:
    """Yield name, panel and call of each case for csdid; averages also with the bootstrap of the default, seeded."""
    factors = {
        "panel": STAGGERED,
        "control_group": CONTROLS,
        "est_method": METHODS,
        "base_period": BASES,
        "x": (None, None, "y~x1", "y~x2+x3"),
        "weights": (None, None, "weight"),
        "anticipation": (0, 0, 0, 1),
        "unbalanced": (None, None, True, False),
        "panel_data": (True, True, True, True, True, False),
        "cluster": (None, None, None, "cluster"),
        "alp": (None, None, 0.1),
        "aggregation": AGGREGATIONS,
        "bstrap": (False, False, None),
    }
    for k, p in enumerate(latin(factors, count, "csdid")):
        arguments = {
            **IDS,
            "control_group": p["control_group"],
            "xformla": p["x"],
            "weights_name": p["weights"],
            "anticipation": p["anticipation"],
            "allow_unbalanced_panel": p["unbalanced"],
            "panel": None if p["panel_data"] else False,
            "idname": "unit" if p["panel_data"] else ROW,
            "clustervar": p["cluster"],
            "alp": p["alp"],
        }
        fit = {"est_method": p["est_method"], "base_period": p["base_period"], "bstrap": False}
        steps: dict[str, Any] = {"fit": {name: v for name, v in fit.items() if v is not None}}
        if p["aggregation"]:
            plain = {"bstrap": False, "cband": False} if p["bstrap"] is False else {}
            steps["aggte"] = {**p["aggregation"], "na_rm": True, **plain}
        call = {
            "package": "csdid",
            "function": "ATTgt",
            "arguments": {k: v for k, v in arguments.items() if v is not None},
            "fit": steps,
            "want": ["coefs", "stats"],
        }
        yield f"att-{k + 1:03d}", p["panel"], call


def csdid_further() -> Iterator[Case]:
    """Yield every average with every group of controls, and nothing else written but what is crossed with them."""
    averages = ({}, *({"typec": kind} for kind in ("simple", "dynamic", "group", "calendar")))
    drawn = {"panel": STAGGERED, "est_method": METHODS, "x": (None, "y~x1"), "alp": (None, 0.1), "anticipation": (0, 1)}
    for k, p in enumerate(
        [
            point
            for n in (1, 2, 3)
            for point in crossed(
                ("average", averages), ("control_group", ("nevertreated", "notyettreated")), drawn, f"csdid/further {n}"
            )
        ]
    ):
        arguments = {
            **IDS,
            "idname": "unit",
            "control_group": p["control_group"],
            "xformla": p["x"],
            "alp": p["alp"],
            "anticipation": p["anticipation"],
        }
        fit = {"bstrap": False} | ({"est_method": p["est_method"]} if p["est_method"] else {})
        steps: dict[str, Any] = {"fit": fit}
        if p["average"]:
            steps["aggte"] = {**p["average"], "na_rm": True, "bstrap": False, "cband": False}
        call = {
            "package": "csdid",
            "function": "ATTgt",
            "arguments": {k: v for k, v in arguments.items() if v is not None},
            "fit": steps,
            "want": ["coefs", "stats"],
        }
        yield f"average-{k + 1:03d}", p["panel"], call


def differences_cases(count: int = 60) -> Iterator[Case]:
    """Yield name, panel and call of each case for differences."""
    factors = {
        "panel": STAGGERED,
        "control_group": ("never_treated", "not_yet_treated", None),
        "est_method": ("dr", "dr-mle", "reg", "std_ipw-mle", None, None),
        "base_period": BASES,
        "formula": ("y", "y", "y ~ x1", "y ~ x2 + x3"),
        "weights": (None, None, "weight"),
        "anticipation": (0, 0, 0, 1),
        "cluster": (None, None, "cluster"),
        "rcs": (False, False, False, True),
        "aggregation": (None, "simple", "event", "cohort", "time"),
        "overall": (False, True),
    }
    for k, p in enumerate(latin(factors, count, "differences")):
        fit = {
            "formula": p["formula"],
            "weights_name": p["weights"],
            "control_group": p["control_group"],
            "est_method": p["est_method"],
            "cluster_var": p["cluster"],
            "as_repeated_cross_section": True if p["rcs"] else None,
        }
        steps: dict[str, Any] = {"fit": {name: v for name, v in fit.items() if v is not None}}
        if p["aggregation"]:
            steps["aggregate"] = {"type_of_aggregation": p["aggregation"]}
            if p["overall"] and p["aggregation"] != "simple":
                steps["aggregate"]["overall"] = True
        arguments = {
            "index": ["unit", "time"],
            "cohort_name": FIRST,
            "base_period": p["base_period"],
            "anticipation": p["anticipation"],
        }
        arguments = {name: v for name, v in arguments.items() if v is not None}
        yield (
            f"att-{k + 1:03d}",
            p["panel"],
            {
                "package": "differences",
                "function": "ATTgt",
                "arguments": arguments,
                "fit": steps,
                "want": ["coefs", "stats"],
            },
        )
