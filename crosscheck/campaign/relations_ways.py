"""Which ways of asking a package decide nothing?

How a data frame holds the data; whether a model is fitted alone or as one of several of a call; and whether options are
left at their defaults or written out at the values that the package, or crosscheck itself, states for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.campaign.case import Case
from crosscheck.campaign.columns import absorbs_constant, complete, formula_of, in_terms, uses, with_request
from crosscheck.campaign.invariance import ALL, ESTIMATES, Carry, Question, Twin
from crosscheck.campaign.relation import Relation
from crosscheck.conventions import default_lag
from crosscheck.engines._dress import DRESSES
from crosscheck.engines._shared import codes_of
from crosscheck.engines._ways import SEVERAL, SPLITS
from crosscheck.formula import Call, Name, Number, Text, emit
from crosscheck.spec import FitRequest, SscSpec, VcovSpec

FRAMED = ("pyfixest", "linearmodels", "statsmodels", "csdid")
PYTHON = ("oracle", "pyfixest", "linearmodels", "csdid")
"""R's engines are handed every option, as studies hand them over."""
FORMULAS = ("oracle", "r.fixest", "statsmodels", "linearmodels", "pyfixest")
"""Engines in which i() is fixest's; lm and plm keep all its levels, and leave a collinear one out."""
REGRESSIONS = ("feols", "fepois", "feglm")
REGULAR = 4
STATED: Mapping[str, Mapping[str, Any]] = {
    "att_gt": {
        **{"control_group": "nevertreated", "est_method": "dr", "base_period": "varying", "anticipation": 0},
        **{"panel": True, "allow_unbalanced": False, "aggregation": "none"},
    },
    "sunab": {"aggregation": "dynamic"},
    "re": {"method": "swar", "effect": "individual"},
}


def _with_options(request: FitRequest, **options: Any) -> FitRequest:
    return with_request(request, options={**request.options, **options})


def data_frame(case: Case, rng: np.random.Generator) -> Twin | str:
    """Hand the data over under another index, or with other types."""
    request = case.request
    if request.estimator not in (*REGRESSIONS, "att_gt", "re", "between", "did2s"):
        return "the estimator is handed arrays"
    dress = str(rng.choice(DRESSES))
    return Twin(
        first=Question(request=request, frame=case.frame),
        second=Question(request=_with_options(request, dress=dress), frame=case.frame),
    )


def one_of_several(case: Case, rng: np.random.Generator) -> Twin | str:
    """Fit the model as one of several: of outcomes, of lists of terms or of effects, of parts of the sample."""
    request, formula = case.request, formula_of(case.request)
    if request.estimator not in ("feols", "fepois") or formula is None:
        return "the estimator fits one model"
    if not absorbs_constant(formula) or not formula.terms:
        return "there is no constant, or no regressor"
    kind = str(rng.choice(SEVERAL))
    if kind not in SPLITS:
        if formula.iv is not None:
            return "one model of several has no instruments"
        return Twin(
            first=Question(request=with_request(request, also=()), frame=case.frame),
            second=Question(request=with_request(_with_options(request, several=kind), also=()), frame=case.frame),
        )
    return _split(case, kind, rng)


def _split(case: Case, kind: str, rng: np.random.Generator) -> Twin | str:
    """Fit the model on one part of the sample by itself, or as that part of a split."""
    request, frame = case.request, case.frame
    if uses(request, "i", "factor", "poly", "lag"):
        return "levels, polynomials and lags are those of all rows"
    formula = formula_of(request)
    effects = {name for parts in (formula.fixed_effects if formula is not None else ()) for name in parts}
    named = effects | set(in_terms(formula) if formula is not None else ())
    groups = [n for n in ("region", "sector", "grade", "treated", "time") if n in frame and n not in named]
    if not groups:
        return "there is no column to split by that is no regressor"
    by = str(rng.choice(groups))
    codes, labels = frame[by].codes()
    levels = np.unique(codes[codes >= 0])
    if levels.size < 2:
        return f"{by} has one level"
    level = int(rng.choice(levels))
    part = np.flatnonzero(codes == level) if kind == "split" else np.flatnonzero(codes >= 0)
    columns = tuple(dict.fromkeys((*request.columns, by))) if request.columns else ()
    alone = with_request(request, also=(), columns=columns)
    if kind == "fsplit" and part.size < frame.nrows:
        return f"{by} has missing values, which fsplit leaves out of the whole sample or not"
    asked = _with_options(alone, several=kind, by=by, level=level, label=labels[level])
    return Twin(
        first=Question(request=alone, frame=frame.take(part) if kind == "split" else frame),
        second=Question(request=asked, frame=frame),
    )


def defaults(case: Case, rng: np.random.Generator) -> Twin | str:
    """Leave every option at its default, or write out the value that the package states for it."""
    request = case.request
    if request.estimator not in (*REGRESSIONS, "att_gt", "re", "between"):
        return "the estimator has no call of its own"
    if request.vcov.canonical not in ("iid", "HC1", "CRV1") or len(request.vcov.cluster) > 1:
        request = with_request(request, vcov=VcovSpec())  # the one that has a default
    options = {k: v for k, v in request.options.items() if k != "tolerance"}
    if request.estimator == "att_gt":
        options |= {
            **{"control_group": "nevertreated", "est_method": "dr", "base_period": "varying", "anticipation": 0},
            **{"panel": True, "allow_unbalanced": False},
        }
        if request.options.get("aggregation", "none") != "none":
            options |= {"aggregation": "none", "balance_e": None, "min_e": None, "max_e": None}
    plain = with_request(request, ssc=SscSpec().model_dump(), conf_level=0.95, also=(), options=options)
    return Twin(
        first=Question(request=_with_options(plain, call="default"), frame=case.frame),
        second=Question(request=_with_options(plain, call="explicit"), frame=case.frame),
        carry=Carry(quantities=ESTIMATES if request.estimator == "att_gt" else ALL),
    )


def left_out(case: Case, rng: np.random.Generator) -> Twin | str:
    """Leave options out of the request, or write out the defaults that :mod:`crosscheck.options` states for them."""
    request = case.request
    stated = STATED.get(request.estimator)
    if stated is None:
        return "the estimator has no options with a default"
    written = {**request.options, **stated}
    if written.get("aggregation", "dynamic") != "dynamic":
        written |= dict.fromkeys(k for k in ("balance_e", "min_e", "max_e") if k in written)
    asked = with_request(request, options=written)
    without = {k: v for k, v in written.items() if k not in stated}
    return Twin(
        first=Question(request=with_request(request, options=without), frame=case.frame),
        second=Question(request=asked, frame=case.frame),
    )


def stated_level(case: Case, rng: np.random.Generator) -> Twin | str:
    """Leave the reference level of ``i()`` out, or name the first one; or the bandwidth, or name T^(1/4) cut off."""
    request, formula = case.request, formula_of(case.request)
    if request.estimator not in REGRESSIONS or formula is None:
        return "the estimator has no formula, or is not asked this"
    calls = [(t, f) for t in formula.terms for f in t if isinstance(f, Call) and f.function == "i"]
    if len(calls) == 1 and len(calls[0][0]) == len(calls[0][1].args) == 1 and absorbs_constant(formula):
        (term, call), (first,) = calls[0], calls[0][1].args
        column = case.frame[first.name] if isinstance(first, Name) and first.name in case.frame else None
        if column is not None:
            codes, labels = column.codes()
            if not (codes == 0).any() or np.unique(codes[codes >= 0]).size < 2:
                return "the first level has no row, or is the only one"
            level = labels[0]
            value = Text(str(level)) if column.kind == "category" else Number(float(level))
            asked = [
                replace(formula, terms=tuple((replace(call, ref=ref),) if t == term else t for t in formula.terms))
                for ref in (None, value)
            ]
            return _twin(case, *(with_request(request, formula=emit(f)) for f in asked))
    if request.vcov.type in ("NW", "DK") and request.time is not None and request.unit is not None:
        periods = np.unique(codes_of(case.frame, (request.time,))[complete(request, case.frame)])
        if periods.size < 2:
            return "there is one period"
        words = request.vcov.model_dump()
        asked_lags = [with_request(request, vcov={**words, "lag": lag}) for lag in (None, default_lag(periods.size))]
        return _twin(case, *asked_lags)
    return "neither a reference level nor a bandwidth has a default here"


def _twin(case: Case, first: FitRequest, second: FitRequest) -> Twin:
    return Twin(first=Question(request=first, frame=case.frame), second=Question(request=second, frame=case.frame))


RELATIONS = (
    Relation(
        id="data_frame", title="How a data frame holds the data decides nothing.", make=data_frame, engines=FRAMED
    ),
    Relation(
        id="one_of_several",
        title="A model is the same alone and as one of several.",
        make=one_of_several,
        engines=("pyfixest", "r.fixest"),
        one_in=REGULAR,
    ),
    Relation(
        id="defaults",
        title="Options left at their defaults are those that the package states.",
        make=defaults,
        engines=(*FRAMED, "r.fixest"),
        one_in=REGULAR,
        group_time=1,
    ),
    Relation(
        id="left_out",
        title="Options left out of a request are those that are stated as defaults.",
        make=left_out,
        engines=PYTHON,
        one_in=2,
        group_time=1,
        drawn=False,
    ),
    Relation(
        id="stated_level",
        title="A reference level, or a bandwidth, left out is the first level, or the stated one.",
        make=stated_level,
        engines=FORMULAS,
        one_in=2,
        drawn=False,
    ),
)
