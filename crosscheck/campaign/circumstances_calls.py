"""Is it the other models of a call that decide whether this one is answered?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crosscheck.campaign.case import Case, Discrepancy, Fit
from crosscheck.campaign.circumstance import Check, even_columns, used_rows, ways
from crosscheck.campaign.columns import complete, formula_of, put, with_request
from crosscheck.engines._ways import SECOND, SECOND_EFFECT, SPLITS
from crosscheck.formula import Formula, Name, emit
from crosscheck.frame import Column
from crosscheck.spec import SscSpec, VcovSpec


def another_part_fails(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine refuses another part of the split when it is asked for that part alone."""
    asked = ways(case)[-1]
    alone, options = ways(case)[0].request, asked.request.options
    if options.get("several") not in SPLITS:
        return False
    codes, _ = asked.frame[str(options["by"])].codes()
    whole = options["several"] == "fsplit"  # the model is that of the whole sample, and every part is another one
    levels = [level for level in np.unique(codes[codes >= 0]) if whole or level != options["level"]]
    parts = (np.flatnonzero(codes == level) for level in levels)
    return any(fit(one.identity.engine, alone, asked.frame.take(rows)).status == "error" for rows in parts)


def another_model_fails(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine refuses another model of the list when it is asked for that model alone."""
    if another_part_fails(case, one, fit, check):
        return True
    asked = ways(case)[-1]
    alone, kind = ways(case)[0].request, asked.request.options.get("several")
    formula = formula_of(alone)
    if formula is None or kind is None or kind in SPLITS or not isinstance(formula.lhs, Name):
        return False
    rows = np.flatnonzero(complete(alone, asked.frame))
    frame = asked.frame.take(rows)
    y = frame[formula.lhs.name].as_float()[::-1].copy()
    y[:: max(y.size // 3, 1)] = np.nan
    halves = np.where(np.isnan(y), np.nan, np.arange(y.size) // 2)
    frame = put(frame, Column(SECOND, "float", y), Column(SECOND_EFFECT, "float", halves))
    others = (with_request(alone, formula=emit(f)) for f in _others(formula, kind))
    return any(fit(one.identity.engine, other, frame).status == "error" for other in others)


def _others(formula: Formula, kind: str) -> list[Formula]:
    """Return the other models of a list, as :func:`crosscheck.engines._ways.several` makes it."""
    terms, effects = formula.terms, formula.fixed_effects
    if kind == "outcomes":
        return [replace(formula, lhs=Name(SECOND))]
    if kind == "effects sw":
        return [replace(formula, fixed_effects=(*effects[:-1], (SECOND_EFFECT,)))]
    if kind == "effects csw0":
        return [replace(formula, fixed_effects=effects[:k], intercept=not k) for k in range(len(effects))]
    if kind.startswith("csw"):
        return [replace(formula, terms=terms[:k]) for k in range(kind == "csw", len(terms))]
    return [replace(formula, terms=(*terms[:-1], (Name(SECOND),))), replace(formula, terms=terms[:-1])][
        : 1 + (kind == "sw0")
    ]


def own_tolerance(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine answers once it is asked by the package's own call, at its own tolerance."""
    plain = {"vcov": VcovSpec().model_dump(), "ssc": SscSpec().model_dump(), "also": ()}
    refused = [w for w in ways(case) if fit(one.identity.engine, w.request, w.frame).status != "ok"]
    asked = [
        (with_request(w.request, **plain, options={**w.request.options, "several": None, "call": "default"}), w.frame)
        for w in refused
    ]
    return bool(asked) and all(fit(one.identity.engine, request, frame).status == "ok" for request, frame in asked)


def units_of_columns(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the engine answers once each regressor has mean zero and scale one."""
    refused = [w for w in ways(case) if fit(one.identity.engine, w.request, w.frame).status != "ok"]
    moved = [even_columns(way) for way in refused]
    return bool(moved) and all(fit(one.identity.engine, w.request, w.frame).status == "ok" for w in moved)


def dressed_as(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the data frame held nullable or Arrow columns."""
    return any(way.request.options.get("dress") in ("nullable", "arrow") for way in ways(case))


def repeated_index(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the data frame had an index in which labels stand twice."""
    return any(way.request.options.get("dress") == "repeated index" for way in ways(case))


def listed_effect_missing(case: Case, one: Discrepancy, fit: Fit, check: Check) -> bool:
    """Say whether the other effect of a list is missing in every row: the sample has five rows or fewer."""
    asked = ways(case)[-1]
    return asked.request.options.get("several") == "effects sw" and used_rows(asked).size <= 5
