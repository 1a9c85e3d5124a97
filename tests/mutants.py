"""Estimators with one fault each, made of the closed forms, and the exam that they sit.

Each mutant is a function of (request, frame) like an engine's ``fit``. It asks another question than it was asked, fits
with one part of the closed forms exchanged, or reports its result wrongly: what packages and their users have done.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar
from unittest import mock

import numpy as np

from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Identity, features
from crosscheck.campaign.columns import complete, formula_of, pick, put, used, with_request
from crosscheck.campaign.conditioning import OF_ALL_TERMS
from crosscheck.campaign.differential import context_of
from crosscheck.campaign.invariance import Difference, Question, Twin
from crosscheck.campaign.plainer import plainer_request
from crosscheck.campaign.precision import precision_of
from crosscheck.campaign.relation import answers, primary
from crosscheck.campaign.relations import RELATIONS, TRUTHS
from crosscheck.campaign.requests import draw_requests
from crosscheck.campaign.vectors import compare_vectors
from crosscheck.closedform import covariance as closed_covariance
from crosscheck.closedform import did, did_aggregate
from crosscheck.conventions import critical, interval, p_of
from crosscheck.engines import _oracle_linear
from crosscheck.engines.oracle import ENGINE
from crosscheck.engines.statsmodels import ENGINE as ITERATED
from crosscheck.errors import CrosscheckError, Unsupported
from crosscheck.formula import Name, emit
from crosscheck.frame import Column, Frame
from crosscheck.modelmatrix import model_matrix
from crosscheck.results import CoefRow, EstimationResult, failed
from crosscheck.shrink import Layout, shrink
from crosscheck.simulate import Limits, make_panel, seeded_spec
from crosscheck.spec import FitRequest

Fault = Callable[[FitRequest, Frame], EstimationResult]
PANELS, REQUESTS = 300, 3
FIRST = 500_000


def oracle(request: FitRequest, frame: Frame) -> EstimationResult:
    """Return the closed form, or where there is none what statsmodels says."""
    return (ITERATED if request.estimator in ("fepois", "feglm") else ENGINE).fit(request, frame)


# What is asked is not what was asked


def asking(**changes) -> Fault:
    """Ask with other fields; a field of ``ssc`` is written ``ssc_k_adj``."""
    ssc = {k.removeprefix("ssc_"): v for k, v in changes.items() if k.startswith("ssc_")}
    rest = {k: v for k, v in changes.items() if not k.startswith("ssc_")}

    def fit(request, frame):
        return oracle(with_request(request, **rest, ssc={**request.ssc.model_dump(), **ssc}), frame)

    return fit


def on(change: Callable[[FitRequest, Frame], Frame]) -> Fault:
    """Fit on another sample."""
    return lambda request, frame: oracle(request, change(request, frame))


def option(name: str, turned: dict) -> Fault:
    def fit(request, frame):
        value = request.options.get(name)
        changed = {**request.options, name: turned.get(value, value)} if name in request.options else request.options
        return oracle(with_request(request, options=changed), frame)

    return fit


def vcov(turned: dict) -> Fault:
    def fit(request, frame):
        kind = turned.get(request.vcov.canonical, request.vcov.canonical)
        return oracle(with_request(request, vcov={**request.vcov.model_dump(), "type": kind}), frame)

    return fit


def terms_reversed(request, frame):
    formula = formula_of(request)
    if formula is None or request.estimator != "feols" or any(len(t) > 1 for t in formula.terms):
        return oracle(request, frame)
    result = oracle(with_request(request, formula=emit(replace(formula, terms=formula.terms[::-1]))), frame)
    return result.with_(dropped=())


def lag_one_more(request, frame):
    if request.vcov.type in ("NW", "DK") and request.vcov.lag is not None:
        request = with_request(request, vcov={**request.vcov.model_dump(), "lag": request.vcov.lag + 1})
    return oracle(request, frame)


def analytic(request, frame):
    if request.weights is not None and request.weights.type == "frequency":
        request = with_request(request, weights={"column": request.weights.column, "type": "analytic"})
    return oracle(request, frame)


def effect_as_number(request, frame):
    """Codes of a category are taken for a number."""
    formula = formula_of(request)
    names = [p[0] for p in formula.fixed_effects if len(p) == 1] if formula and request.estimator == "feols" else []
    names = [n for n in names if frame[n].kind == "category" and not frame[n].missing.any()]
    if not names or len(formula.fixed_effects) < 2:
        return oracle(request, frame)
    rest = tuple(p for p in formula.fixed_effects if p != (names[0],))
    turned = replace(formula, terms=(*formula.terms, (Name("codes"),)), fixed_effects=rest)
    data = put(frame, Column("codes", "float", frame[names[0]].values.astype(float)))
    result = oracle(with_request(request, formula=emit(turned), columns=()), data)
    return result.with_(
        coefs=tuple(r for r in result.coefs if r.term != "codes"),
        dropped=tuple(d for d in result.dropped if d != "codes"),
    )


def last_cohort_kept(request, frame):
    """Controls are those treated after the base period, those treated meanwhile included."""
    original = did.comparison

    def wrong(cohort, group, threshold, control):
        return original(cohort, group, threshold - 1, control)

    with mock.patch.object(did, "comparison", wrong):
        return oracle(request, frame)


# The sample is not the sample


def nan_is_zero(request, frame):
    named = used(request)
    filled = [
        Column(c.name, "float", np.nan_to_num(c.as_float()))
        for c in frame.columns
        if c.kind == "float" and c.name in named and c.missing.any()
    ]
    return put(frame, *filled)


def drop_any_missing(request, frame):
    return pick(frame, np.flatnonzero(~np.any([c.missing for c in frame.columns], axis=0)))


def without_last(request, frame):
    return pick(frame, np.arange(frame.nrows - 1))


def without_duplicates(request, frame):
    table = np.column_stack([np.nan_to_num(c.values.astype(float), nan=-9e9) for c in frame.columns])
    return pick(frame, np.sort(np.unique(table, axis=0, return_index=True)[1]))


def single_precision(request, frame):
    named = used(request)
    return put(
        frame,
        *(
            Column(c.name, "float", c.values.astype("f4").astype("f8"))
            for c in frame.columns
            if c.kind == "float" and c.name in named
        ),
    )


def overflow(request, frame):
    """Whole outcomes are held in sixteen bits."""
    made = []
    for name in ("y", "x1"):
        if name in frame and frame[name].kind == "integer" and not frame[name].missing.any():
            made.append(Column(name, "float", frame[name].as_float().astype(np.int64).astype(np.int16).astype(float)))
    return put(frame, *made)


def _groups(request, frame, change):
    formula = formula_of(request)
    names = [p for parts in (formula.fixed_effects if formula else ()) for p in parts] + list(request.vcov.cluster)
    if request.estimator == "att_gt":
        names = [request.unit]
    return put(frame, *(change(frame[n]) for n in dict.fromkeys(names)))


def sorted_assumed(request, frame):
    """Groups are runs of equal identifiers."""

    def runs(column):
        codes = column.codes()[0]
        new = np.cumsum(np.concatenate([[1], np.diff(codes) != 0])).astype(np.int32)
        return Column(column.name, "integer", np.where(codes < 0, np.nan, new) if (codes < 0).any() else new)

    if request.estimator == "att_gt":
        return frame
    formula = formula_of(request)
    if formula is None or not formula.fixed_effects or len(formula.fixed_effects[0]) > 1:
        return frame
    name = formula.fixed_effects[0][0]
    if any(name in str(t) for t in formula.terms):
        return frame
    return put(frame, runs(frame[name]))


def truncated(request, frame):
    def whole(column):
        return Column(column.name, "float", np.trunc(column.values)) if column.kind == "float" else column

    return _groups(request, frame, whole)


def single_ids(request, frame):
    def narrow(column):
        if column.kind == "category":
            return column
        return Column(column.name, "float", column.as_float().astype("f4").astype("f8"))

    return _groups(request, frame, narrow)


def text_to_number(request, frame):
    """Text that reads as a number becomes one: 01 is 1, and digits beyond a double's are lost."""

    def read(column):
        if column.kind != "category":
            return column
        try:
            values = np.array([float(level) for level in column.levels] + [math.nan])
        except ValueError:
            return column
        return Column(column.name, "float", values[column.values])

    return _groups(request, frame, read)


def na_text(request, frame):
    words = {"NA", "NaN", "nan", "null", "None", "N/A", "<NA>", "NULL"}

    def lacking(column):
        if column.kind != "category":
            return column
        bad = np.array([level in words for level in column.levels] + [True])
        return Column(
            column.name, "category", np.where(bad[column.values], -1, column.values).astype(np.int32), column.levels
        )

    return _groups(request, frame, lacking)


def cluster_by_position(request, frame):
    """Clusters of the first n rows, whichever rows are used."""
    rows = np.flatnonzero(complete(request, frame))
    made = []
    for name in request.vcov.cluster:
        if any(name in p for p in (formula_of(request).fixed_effects if formula_of(request) else ())):
            continue
        column = frame[name]
        if column.missing.any() or name in request.formula.partition("|")[0]:
            continue
        values = column.values.copy()
        values[rows] = column.values[: rows.size]
        made.append(Column(name, column.kind, values, column.levels))
    return put(frame, *made)


def missing_cluster_is_one(request, frame):
    made = []
    for name in request.vcov.cluster:
        column = frame[name]
        if column.missing.any():
            codes = column.codes()[0]
            made.append(Column(name, "integer", (codes + 1).astype(np.int32)))
    return put(frame, *made)


def lags_by_position(request, frame):
    if (
        request.vcov.type != "NW"
        or request.unit is None
        or request.time is None
        or f"`{request.time}`" in request.formula
    ):
        return frame
    units, periods = frame[request.unit].codes()[0], frame[request.time].codes()[0]
    rank = np.zeros(frame.nrows)
    for u in np.unique(units):
        mine = units == u
        rank[mine] = np.unique(periods[mine], return_inverse=True)[1]
    return put(frame, Column(request.time, "float", np.where(periods < 0, np.nan, rank)))


# The fit is not the fit


def fitting(change: Callable[[_oracle_linear.LinearModel], _oracle_linear.LinearModel]) -> Fault:
    """Exchange a part of the fitted model before its covariance is taken."""
    original = _oracle_linear.linear_model

    def fit(request, frame):
        with mock.patch.object(_oracle_linear, "linear_model", lambda r, f: change(original(r, f))):
            return oracle(request, frame)

    return fit


def _with_fit(model, **changes):
    return replace(model, fit=replace(model.fit, **changes))


def meat_without_weights(model):
    return _with_fit(model, scores=model.fit.scores / np.sqrt(model.fit.weights)[:, None])


def second_stage(model):
    fit = model.fit
    if fit.projected is fit.resid:
        return model
    safe = np.where(fit.resid == 0, 1, fit.resid)
    return _with_fit(model, resid=fit.projected, scores=fit.scores / safe[:, None] * fit.projected[:, None])


class _NoLeverage:
    def __init__(self, absorber):
        self._absorber = absorber

    def __getattr__(self, name):
        return getattr(self._absorber, name)

    def leverage(self):
        return np.zeros(self._absorber.weights.size)


def leverage_without_effects(model):
    return _with_fit(model, absorber=_NoLeverage(model.fit.absorber))


def sizes(change) -> Fault:
    """Count the levels of the effects otherwise."""

    def fit(model):
        absorber = _NoLeverage(model.fit.absorber)
        absorber.leverage = model.fit.absorber.leverage
        absorber.sizes = change(model)
        return _with_fit(model, absorber=absorber)

    return fitting(fit)


def first_effect_only(model):
    return model.fit.absorber.sizes[:1] + (1,) * (len(model.fit.absorber.sizes) - 1)


def one_more(model):
    found = model.fit.absorber.sizes
    return (found[0] + 1, *found[1:]) if found else found


def no_intersection(request, frame):
    original = closed_covariance.cluster_parts

    def wrong(fit, clusters):
        parts = original(fit, clusters)
        return (*parts[:2], 0 * parts[2]) if len(parts) == 3 else parts

    with mock.patch.object(closed_covariance, "cluster_parts", wrong):
        return oracle(request, frame)


def colliding_pairs(request, frame):
    """Pairs of clusters are numbered a * 3 + b, whatever the number of levels."""
    with mock.patch.object(closed_covariance, "intersect", lambda a, b: a * 3 + b):
        return oracle(request, frame)


def equal_shares(request, frame):
    with mock.patch.object(did_aggregate, "shares", lambda sample, groups: np.ones(len(groups), dtype=np.longdouble)):
        return oracle(request, frame)


def known_shares(request, frame):
    none = lambda sample, groups: np.zeros((sample.n_units, len(groups)), dtype=np.longdouble)  # noqa: E731
    with mock.patch.object(did_aggregate, "weight_influence", none):
        return oracle(request, frame)


def uncentred(request, frame):
    """Normal equations of raw columns in double precision: a large offset cancels."""
    result = oracle(request, frame)
    formula = formula_of(request)
    if request.estimator != "feols" or formula.iv is not None or request.weights is not None or result.dropped:
        return result
    rows = complete(request, frame)
    matrix = model_matrix(formula, frame.take(rows), unit=request.unit, time=request.time)
    effects = [np.eye(int(c.max()) + 1)[c][:, (1 if k else 0) :] for k, c in enumerate(matrix.fe_codes.T)]
    x = np.column_stack([matrix.X, *effects])
    beta = np.linalg.pinv(x.T @ x) @ (x.T @ matrix.y)
    found = dict(zip(matrix.names, beta, strict=False))
    return result.with_(coefs=tuple(replace(r, estimate=float(found[r.term])) for r in result.coefs))


class StaleCache:
    """Answers are kept by formula and number of rows."""

    def __init__(self):
        self.known = {}

    def __call__(self, request, frame):
        key = (request.hash, frame.nrows, frame.names)
        if key not in self.known:
            self.known[key] = oracle(request, frame)
        return self.known[key]


class HashSeed:
    """Which effect is nested is looked up in a set, whose order another process has otherwise."""

    def __init__(self):
        self.calls = 0

    def __call__(self, request, frame):
        self.calls += 1
        formula = formula_of(request)
        if formula is None or len(formula.fixed_effects) < 2 or not request.vcov.cluster or self.calls % 2:
            return oracle(request, frame)
        return oracle(with_request(request, ssc={**request.ssc.model_dump(), "k_fixef": "full"}), frame)


# The report is not the result


def reporting(change: Callable[[CoefRow, EstimationResult, FitRequest], CoefRow]) -> Fault:
    def fit(request, frame):
        result = oracle(request, frame)
        return result.with_(coefs=tuple(change(row, result, request) for row in result.coefs))

    return fit


def _again(row: CoefRow, level: float, **changes) -> CoefRow:
    """Return a row with fields replaced and what follows from them."""
    new = replace(row, **changes)
    if new.std_error is None or not new.std_error > 0 or new.df is None:
        return new
    low, high = interval(new.estimate, new.std_error, new.df, level)
    t = new.estimate / new.std_error
    return replace(new, statistic=t, p_value=p_of(t, new.df), conf_low=low, conf_high=high)


def se_times(factor: Callable[[EstimationResult, FitRequest], float]) -> Fault:
    def change(row, result, request):
        if row.std_error is None:
            return row
        return _again(row, request.conf_level, std_error=row.std_error * factor(result, request))

    return reporting(change)


def no_df(result, request):
    n, k = result.stats.nobs, result.stats.df_resid
    return math.sqrt(k / n) if request.vcov.type == "iid" and n and k else 1.0


def n_over_n_minus_1(result, request):
    n = result.stats.nobs
    return math.sqrt(n / (n - 1)) if n and n > 1 else 1.0


def df_of_rows(row, result, request):
    if request.vcov.type in ("CRV1", "CRV3") and result.stats.df_resid and row.df is not None:
        return _again(row, request.conf_level, df=float(result.stats.df_resid))
    return row


def normal_interval(row, result, request):
    if row.std_error is None or row.df is None or math.isinf(row.df):
        return row
    half = critical(request.conf_level, math.inf) * row.std_error
    return replace(row, conf_low=row.estimate - half, conf_high=row.estimate + half)


def level_ignored(row, result, request):
    return _again(row, 0.95) if row.std_error is not None else row


def one_sided(row, result, request):
    return row if row.p_value is None else replace(row, p_value=row.p_value / 2)


def absolute_statistic(row, result, request):
    return row if row.statistic is None else replace(row, statistic=abs(row.statistic))


def iv_sign(request, frame):
    result = oracle(request, frame)
    if not request.formula or formula_of(request).iv is None:
        return result
    names = {emit(replace(formula_of(request), terms=(t,), iv=None)) for t in formula_of(request).iv.endogenous}
    return result.with_(
        coefs=tuple(
            replace(r, estimate=-r.estimate) if any(f"`{r.term.removeprefix('fit_')}`" in n for n in names) else r
            for r in result.coefs
        )
    )


def late_event(row, result, request):
    head, found, event = row.term.partition("event=")
    return replace(row, term=f"{head}{found}{int(event) + 1}") if found else row


def stats(change) -> Fault:
    def fit(request, frame):
        result = oracle(request, frame)
        if request.estimator != "feols" or result.stats.nobs is None:
            return result
        return result.with_(stats=replace(result.stats, **change(result, request, frame)))

    return fit


def _outcome(request, frame):
    rows = complete(request, frame)
    y = frame["y"].as_float()[rows]
    w = frame[request.weights.column].as_float()[rows] if request.weights else np.ones(y.size)
    return y, w


def r2_unweighted(result, request, frame):
    if result.stats.r2 is None or request.weights is None:
        return {}
    y, w = _outcome(request, frame)
    ssr = (1 - result.stats.r2) * (w @ (y - (w @ y) / w.sum()) ** 2)
    return {"r2": 1 - ssr / ((y - y.mean()) ** 2).sum()}


def within_is_overall(result, request, frame):
    return {} if result.stats.r2_within is None else {"r2_within": result.stats.r2}


def adjusted_by_coefficients(result, request, frame):
    if result.stats.adj_r2 is None or not result.stats.nobs > len(result.coefs) + 1:
        return {}
    n = result.stats.nobs
    return {"adj_r2": 1 - (1 - result.stats.r2) * (n - 1) / (n - len(result.coefs) - 1)}


def rows_not_singletons(result, request, frame):
    formula = formula_of(request)
    rows = complete(request, frame)
    for parts in formula.fixed_effects:
        if len(parts) == 1:
            codes = frame[parts[0]].codes()[0]
            once = np.bincount(codes[rows], minlength=int(codes.max()) + 1) == 1
            rows = rows & ~once[codes]
    gone = int(complete(request, frame).sum() - rows.sum())
    return {"nobs": result.stats.nobs - gone} if gone else {}


def zero_weights_counted(result, request, frame):
    if request.weights is None or request.weights.type == "frequency":
        return {}
    return {"nobs": result.stats.nobs + int((frame[request.weights.column].as_float() == 0).sum())}


MUTANTS: dict[str, Callable[[], Fault]] = {
    "K leaves the effects out": lambda: asking(ssc_k_fixef="none"),
    "K counts nested effects": lambda: asking(ssc_k_fixef="full"),
    "K ignored": lambda: asking(ssc_k_adj=False),
    "K counts the first effect only": lambda: sizes(first_effect_only),
    "K counts an unused level": lambda: sizes(one_more),
    "G - 1 forgotten": lambda: asking(ssc_g_adj=False),
    "each dimension its own G": lambda: asking(ssc_g_df="conventional"),
    "t of N - K with clusters": lambda: asking(ssc_t_df="conventional"),
    "intersection of clusters forgotten": lambda: no_intersection,
    "pairs of clusters collide": lambda: colliding_pairs,
    "weights ignored": lambda: asking(weights=None),
    "weights ignored in the meat": lambda: fitting(meat_without_weights),
    "frequencies taken as analytic weights": lambda: analytic,
    "rows of weight zero counted": lambda: stats(zero_weights_counted),
    "singletons miscounted": lambda: stats(rows_not_singletons),
    "missing values are zero": lambda: on(nan_is_zero),
    "missing values anywhere lose the row": lambda: on(drop_any_missing),
    "missing clusters are one cluster": lambda: on(missing_cluster_is_one),
    "last row ignored": lambda: on(without_last),
    "duplicates dropped": lambda: on(without_duplicates),
    "rows taken to be sorted": lambda: on(sorted_assumed),
    "clusters taken by position": lambda: on(cluster_by_position),
    "single precision": lambda: on(single_precision),
    "whole numbers overflow": lambda: on(overflow),
    "fractions of identifiers cut": lambda: on(truncated),
    "huge identifiers collide": lambda: on(single_ids),
    "text read as numbers": lambda: on(text_to_number),
    "NA read as missing": lambda: on(na_text),
    "codes taken for numbers": lambda: effect_as_number,
    "wrong collinear regressor dropped silently": lambda: terms_reversed,
    "large offsets cancel": lambda: uncentred,
    "HC1 is HC0": lambda: se_times(lambda r, q: math.sqrt(r.stats.df_resid / r.stats.nobs) if q.vcov.canonical == "HC1" and r.stats.df_resid else 1.0),
    "HC3 is HC2": lambda: vcov({"HC3": "HC2"}),
    "leverage without the effects": lambda: fitting(leverage_without_effects),
    "sigma without degrees of freedom": lambda: se_times(no_df),
    "sqrt(n / (n - 1)) too much": lambda: se_times(n_over_n_minus_1),
    "p from N - K": lambda: reporting(df_of_rows),
    "interval from the normal": lambda: reporting(normal_interval),
    "level of the interval ignored": lambda: reporting(level_ignored),
    "one-sided p": lambda: reporting(one_sided),
    "statistic without its sign": lambda: reporting(absolute_statistic),
    "sign of IV": lambda: iv_sign,
    "residuals of the second stage": lambda: fitting(second_stage),
    "R2 without weights": lambda: stats(r2_unweighted),
    "within R2 is the overall one": lambda: stats(within_is_overall),
    "adjusted R2 by coefficients alone": lambda: stats(adjusted_by_coefficients),
    "lags by position": lambda: on(lags_by_position),
    "one lag more": lambda: lag_one_more,
    "wrong base period": lambda: option("base_period", {"varying": "universal", "universal": "varying"}),
    "controls include the treated": lambda: last_cohort_kept,
    "event time off by one": lambda: reporting(late_event),
    "cohorts weigh the same": lambda: equal_shares,
    "shares taken as known": lambda: known_shares,
    "another method of group-time effects": lambda: option("est_method", {"dr": "ipw", "ipw": "reg", "reg": "dr"}),
    "stale cache": StaleCache,
    "order of a set": HashSeed,
}  # fmt: skip


# The exam


def singular(result: EstimationResult) -> bool:
    """Say whether a covariance has no inverse, or a variance that is zero but for rounding: a joint test is rounding."""
    matrix = np.array(result.vcov, dtype=float)
    if not matrix.size or not np.isfinite(matrix).all():
        return True
    spread = np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-300))
    values = np.linalg.eigvalsh(matrix / np.outer(spread, spread))
    return bool(values[0] <= 1e-10 * values[-1] or spread.min() <= 1e-7 * spread.max())


def further(first: EstimationResult, second: EstimationResult) -> Iterator[Difference]:
    """Yield what of two answers differs beside coefficients: extras, fitted values and residuals."""
    others = {(e.term, e.quantity): e.value for e in second.extras}
    residuals = np.array([np.nan if v is None else v for b in first.blocks for v in b.values[-1]], dtype=float)
    fitted = np.array([np.nan if v is None else v for b in first.blocks for v in b.values[0]], dtype=float)
    exact = residuals.size > 0 and bool(np.nanstd(residuals) <= 1e-8 * np.nanmax(np.abs(fitted + residuals)))
    joint = singular(first)
    for mine in first.extras:
        other = others.get((mine.term, mine.quantity))
        if mine.value is None or other is None or exact or (joint and mine.quantity in OF_ALL_TERMS):
            continue
        if not math.isclose(mine.value, other, rel_tol=1e-6, abs_tol=1e-5):
            yield Difference(term=mine.term, quantity=mine.quantity, expected=mine.value, found=other, size=1.0)
    for cell in compare_vectors(first, second, context_of(FitRequest())):
        if cell.verdict == "unexplained":
            yield Difference(
                term=cell.term,
                quantity=cell.quantity,
                expected=cell.reference_value,
                found=cell.candidate_value,
                size=1.0,
            )


class AgainstOracle:
    """The mutant gives what the closed form gives."""

    id, kind, title = "closed_form", "differential", "An estimator gives what the closed form gives."

    def applies(self, case: Case) -> str:
        return ""

    def asks(self, case: Case) -> Sequence[Ask]:
        return tuple(Ask(engine=e, request=case.request, frame=case.frame) for e in ("oracle", *case.engines))

    def check(self, case: Case, fit) -> Checked:
        precision = precision_of(case.request, case.frame)
        if precision.reason:
            return Checked(reason=precision.reason)
        question = Question(request=case.request, frame=case.frame)
        first, second = fit("oracle", case.request, case.frame), fit(case.engines[0], case.request, case.frame)
        compared, differences, reason = answers(first, second, Twin(first=question, second=question), precision)
        if not differences and first.status == second.status == "ok":
            differences = list(further(first, second))
        found = tuple(
            Discrepancy(
                identity=Identity(
                    rule=self.id, engine=case.engines[0], quantity=d.quantity, features=features(case.request)
                ),
                term=d.term,
                value=d.found,
                other=d.expected,
            )
            for d in primary(differences)
        )
        return Checked(compared=compared, discrepancies=found, reason=reason)


DIFFERENTIAL = AgainstOracle()
OTHERS = tuple(p for p in (*RELATIONS, *TRUTHS) if p.id not in ("coverage", "other_process"))


class Sitting:
    """Fits for one mutant; what the closed forms say is kept for all mutants."""

    known: ClassVar[dict[tuple[str, str], EstimationResult]] = {}

    def __init__(self, fault: Fault) -> None:
        self.fault = fault

    def __call__(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        if engine != "oracle":
            return _answer(self.fault, engine, request, frame)
        key = (request.hash, frame.key)
        if key not in self.known:
            self.known[key] = _answer(oracle, engine, request, frame)
        return self.known[key]


def _answer(fit: Fault, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
    try:
        with np.errstate(all="ignore"):
            return fit(request, frame).with_(engine=engine)
    except Unsupported as error:
        return failed(engine, str(error), status="unsupported")
    except CrosscheckError as error:
        return failed(engine, str(error))


LINEAR, ITERATES = ("feols", "att_gt", "sunab"), ("fepois", "feglm")
_CASES: dict[tuple[int, bool], tuple[Case, ...]] = {}


def cases(seed: int, *, iterated: bool = False) -> tuple[Case, ...]:
    """Return the questions about one panel, the same for every mutant; ``iterated``: about counts and binary outcomes."""
    if (seed, iterated) not in _CASES:
        outcomes = {"outcomes": ("count", "binary")} if iterated else {}
        panel = make_panel(seeded_spec(seed, Limits(units=(3, 10), periods=(2, 6), **outcomes)))
        asked = draw_requests(panel, seed, REQUESTS)
        _CASES[seed, iterated] = tuple(
            Case(seed=seed, frame=panel.frame, requests=(r,), engines=("mutant",), panel=panel)
            for r in asked
            if r.estimator in (ITERATES if iterated else LINEAR)
        )
    return _CASES[seed, iterated]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The discrepancy that gave a mutant away."""

    panels: int
    case: Case
    prop: object
    discrepancy: Discrepancy


def sit(
    make: Callable[[], Fault],
    *,
    properties: Sequence[object] = (DIFFERENTIAL,),
    panels: int = PANELS,
    iterated: bool = False,
) -> Iterator[Found]:
    """Yield the discrepancies of a mutant, panel by panel; a new one is made for each case, so that each stands alone."""
    for number in range(panels):
        for case in cases(FIRST + number, iterated=iterated):
            for prop in properties:
                if prop.applies(case):
                    continue
                for one in prop.check(case, Sitting(make())).discrepancies[:1]:
                    # what a correct estimator shows as well is the property's fault, not the mutant's
                    assert not prop.check(case, Sitting(oracle)).discrepancies, (prop.id, case.panel, case.request)
                    yield Found(panels=number + 1, case=case, prop=prop, discrepancy=one)


def examined(make: Callable[[], Fault], panels: int = PANELS, *, iterated: bool = False) -> Found | None:
    """Return the first discrepancy with the closed form, or with a relation where there is none; None for a pass."""
    first = next(sit(make, panels=panels, iterated=iterated), None)
    return first if first or iterated else next(sit(make, properties=OTHERS, panels=panels), None)


def shrunk(fault: Callable[[], Fault], found: Found, *, calls: int = 400, seconds: float = 20.0) -> Frame:
    """Make a discrepancy's panel smaller while it stays the same one."""
    identity = found.discrepancy.identity

    def shows(case: Case) -> bool:
        checked = found.prop.check(case, Sitting(fault()))
        return any(d.identity.quantity == identity.quantity for d in checked.discrepancies)

    try:
        case = plainer_request(found.case, shows)
    except CrosscheckError:
        case = found.case
    layout = Layout(unit="unit", time="time")

    def question(frame: Frame):
        if not frame.nrows or not {"unit", "time", "y"} <= set(frame.names):
            return None
        return identity.quantity if shows(case.with_(frame=frame)) else None

    return shrink(case.frame, question, layout=layout, max_calls=calls, max_seconds=seconds).frame


@contextmanager
def quiet() -> Iterator[None]:
    """Keep NumPy's warnings about 0 / 0 to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
