"""How is differences asked, and where does it keep its answer?"""

from __future__ import annotations

import math

import numpy as np
from crosscheck_thin import common

STEMS = {"event": "event=", "cohort": "group=", "time": "year="}


def run(call, data, new_rows, adapter):
    """Fit a call and return its answer."""
    function = common.resolve(adapter, "ATTgt")
    words = common.arguments_for(adapter, "ATTgt", call["arguments"])
    index = words.pop("index")
    options = common.arguments_for(adapter, "ATTgt.fit", call["fit"].get("fit", {}))
    options.setdefault("progress_bar", False)
    with common.quiet():
        model = function(data=data.set_index(list(index)), **words)
        found = model.fit(**options)
        kind = None
        if "aggregate" in call["fit"]:
            steps = common.arguments_for(adapter, "ATTgt.aggregate", call["fit"]["aggregate"])
            kind = steps.get("type_of_aggregation", "simple")
            found = model.aggregate(**steps)
        whole = None
        if "average" in call["fit"]:
            whole = model.aggregate(**common.arguments_for(adapter, "ATTgt.aggregate", call["fit"]["average"]))
    answer = table(framed(found), kind)
    if whole is not None:
        answer["coefs"] = [*table(framed(whole), "simple")["coefs"], *answer["coefs"]]
    return answer


def framed(found):
    """Return effects as a table of pandas."""
    if not hasattr(found, "columns") and hasattr(found, "to_frame"):
        found = found.to_frame().T  # an average over everything is a series
    return found.to_pandas() if hasattr(found, "to_pandas") else found


def table(found, kind):
    """Return the rows of a table of effects; its columns are told by the last of their names."""
    columns = {}
    for place, name in enumerate(found.columns):
        columns[str(name[-1] if isinstance(name, tuple) else name)] = place
    values = {key: np.asarray(found.iloc[:, place]) for key, place in columns.items()}

    def of(name):
        if name not in values:
            return None
        return np.array([math.nan if common.number(v) is None else common.number(v) for v in values[name]])

    terms = [term(kind, found.index.names, label) for label in found.index]
    if kind == "simple" or (kind and len(found) == 1 and found.index.nlevels == 1 and found.index.names[0] is None):
        terms = ["overall"] * len(found) if len(found) == 1 else terms
    return {
        "coefs": common.coefficients(
            terms,
            estimate=of("ATT"),
            std_error=of("std_error"),
            conf_low=of("lower"),
            conf_high=of("upper"),
        ),
        "stats": {},
        "extras": [],
        "blocks": [],
        "dropped": [],
    }


def term(kind, names, label):
    """Return the name of an effect: of a cohort and time, or of what it is averaged by."""
    parts = label if isinstance(label, tuple) else (label,)
    named = dict(zip(names, parts))
    if kind is None and "cohort" in named and "time" in named:
        rest = [f"{k} {period(v)}" for k, v in named.items() if k not in ("cohort", "time", "base_period")]
        return ", ".join([f"ATT({period(named['cohort'])},{period(named['time'])})", *rest])
    return STEMS.get(kind, "") + ", ".join(period(p) for p in parts)


def period(value):
    """Write a period, cohort or word."""
    found = common.number(value)
    return str(value) if found is None else f"{found:.15g}"
