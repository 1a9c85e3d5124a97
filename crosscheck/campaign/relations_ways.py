"""Which ways of asking a package decide nothing?

How a data frame holds the data; whether a model is fitted alone or as one of several of a call; and whether options are
left at their defaults or written out at the values that the package states for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.campaign.case import Case
from crosscheck.campaign.columns import absorbs_constant, formula_of, in_terms, uses, with_request
from crosscheck.campaign.invariance import ALL, ESTIMATES, Carry, Question, Twin
from crosscheck.campaign.relation import Relation
from crosscheck.engines._dress import DRESSES
from crosscheck.engines._ways import SEVERAL, SPLITS
from crosscheck.spec import FitRequest, SscSpec

FRAMED = ("pyfixest", "linearmodels", "statsmodels", "csdid")
REGRESSIONS = ("feols", "fepois", "feglm")


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
        return "the covariance has no default"
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


RELATIONS = (
    Relation(
        id="data_frame", title="How a data frame holds the data decides nothing.", make=data_frame, engines=FRAMED
    ),
    Relation(
        id="one_of_several",
        title="A model is the same alone and as one of several.",
        make=one_of_several,
        engines=("pyfixest", "r.fixest"),
    ),
    Relation(
        id="defaults",
        title="Options left at their defaults are those that the package states.",
        make=defaults,
        engines=(*FRAMED, "r.fixest"),
    ),
)
