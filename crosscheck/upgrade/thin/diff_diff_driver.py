"""How is diff-diff asked, and where does it keep its answer?"""

from __future__ import annotations

import importlib
import math

from crosscheck_thin import common

STEMS = {"event_study": "event=", "group": "group="}


def run(call, data, new_rows, adapter):
    """Fit a call and return its answer."""
    function = common.resolve(adapter, "CallawaySantAnna")
    words = common.arguments_for(adapter, "CallawaySantAnna", call["arguments"])
    options = common.arguments_for(adapter, "CallawaySantAnna.fit", call["fit"].get("fit", {}))
    steps = call["fit"].get("aggregate")
    by_fit = adapter.get("attributes", {}).get("aggregate") == "fit"
    if isinstance(options.get("survey_design"), dict):
        design = importlib.import_module(function.__module__.partition(".")[0]).SurveyDesign
        options["survey_design"] = design(**options["survey_design"])
    kind = None
    if steps is not None:
        steps = common.arguments_for(adapter, "CallawaySantAnna.aggregate", steps)
        kind = steps.pop("type", "simple")
        if by_fit and kind != "simple":
            options.update(aggregate=kind, **steps)
    with common.quiet():
        fit = function(**words).fit(data, **options)
        table = None
        if kind in STEMS:
            table = old_table(fit, kind) if by_fit else new_table(fit.aggregate(kind, **steps), kind)
    if kind is None:
        found = sorted(fit.group_time_effects.items())
        rows = [(f"ATT({period(g)},{period(t)})", e["effect"], e["se"]) for (g, t), e in found]
    elif kind == "simple":
        rows = [("overall", fit.overall_att, fit.overall_se)]
    else:
        rows = [(STEMS[kind] + period(e), effect, error) for e, effect, error in table]
    pairs = [(name, common.attribute(fit, name)) for name in ("n_treated_units", "n_control_units")]
    return {
        "coefs": common.coefficients(
            [r[0] for r in rows], estimate=[number(r[1]) for r in rows], std_error=[number(r[2]) for r in rows]
        ),
        "stats": {},
        "extras": common.extras(pairs),
        "blocks": [],
        "dropped": [],
    }


def old_table(fit, kind):
    """Return the rows of averages that were asked for with the fit."""
    found = fit.event_study_effects if kind == "event_study" else fit.group_effects
    return [(e, row["effect"], row["se"]) for e, row in sorted((found or {}).items())]


def new_table(found, kind):
    """Return the rows of averages that were asked for after the fit."""
    labels = found.event_time if kind == "event_study" else found.label
    return list(zip(labels, found.att, found.se))


def number(value):
    """Return a number; what is none, such as a standard error that could not be computed, as NaN."""
    found = common.number(value)
    return math.nan if found is None else found


def period(value):
    """Write a period, cohort or event time."""
    return f"{float(value):.15g}"
