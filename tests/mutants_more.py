"""More estimators with one fault each: Poisson and logit, samples of panels, weights, group-time effects, what is cached.

Faults that change logs of packages tell of, and that users make; none was made to fit a property.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import numpy as np

from crosscheck.campaign.columns import complete, formula_of, outcome, put, uses, with_request
from crosscheck.closedform import absorb, did, did_aggregate
from crosscheck.closedform import covariance as closed_covariance
from crosscheck.conventions import critical, p_of
from crosscheck.formula import emit
from crosscheck.frame import Column
from crosscheck.results import FitStats
from tests.mutants import MUTANTS, Fault, _again, asking, on, option, oracle, reporting, se_times, stats, vcov

Patch = Callable[..., object]


def patched(owner: object, name: str, change: Callable[[Callable], Callable]) -> Fault:
    """Fit with a function of the closed forms exchanged."""
    original = getattr(owner, name)

    def fit(request, frame):
        with mock.patch.object(owner, name, change(original)):
            return oracle(request, frame)

    return fit


def of(*estimators: str) -> Callable[[Fault], Fault]:
    """Confine a fault to some estimators."""

    def confined(fault: Fault) -> Fault:
        return lambda request, frame: (fault if request.estimator in estimators else oracle)(request, frame)

    return confined


def column(name: Callable, change: Callable[[np.ndarray, object, object], np.ndarray]) -> Fault:
    """Fit on a sample in which one column of numbers has other values."""

    def changed(request, frame):
        which = name(request)
        if not which or which not in frame or frame[which].kind == "category":
            return frame
        return put(
            frame, Column(which, "float", np.asarray(change(frame[which].as_float(), request, frame), dtype=float))
        )

    return on(changed)


def weights_column(request):
    return request.weights.column if request.weights is not None else ""


# Poisson and logit


def only(estimator: str, family: str = "") -> Callable:
    def name(request):
        fits = request.estimator == estimator and (not family or request.options.get("family") == family)
        return outcome(request) if fits else ""

    return name


def unseparated(request, frame):
    """Rows that separation leaves out are counted."""
    result = oracle(request, frame)
    n = int(complete(request, frame).sum())
    if request.estimator not in ("fepois", "feglm") or result.stats.nobs in (None, float(n)):
        return result
    return result.with_(stats=replace(result.stats, nobs=float(n)))


def loose(request, frame):
    """Iterations stop at the first digit that stands still."""
    if request.estimator not in ("fepois", "feglm"):
        return oracle(request, frame)
    result = oracle(request, frame)
    step = np.float32
    return result.with_(
        coefs=tuple(
            replace(r, estimate=float(step(round(r.estimate, 3)))) if r.estimate is not None else r
            for r in result.coefs
        )
    )


def poisson_as_logs(request, frame):
    if request.estimator != "fepois":
        return oracle(request, frame)
    logs = put(frame, Column(outcome(request), "float", np.log1p(frame[outcome(request)].as_float())))
    return oracle(with_request(request, estimator="feols", options={}, also=()), logs)


def t_for_z(row, result, request):
    if request.estimator not in ("fepois", "feglm") or row.statistic is None or not math.isinf(row.df or 0.0):
        return row
    df = max(1.0, (result.stats.nobs or 2.0) - len(result.coefs))
    return replace(row, p_value=p_of(row.statistic, df))


def ratios(row, result, request):
    """Odds and rates are reported where coefficients are asked for; standard errors stay."""
    if request.estimator not in ("fepois", "feglm") or row.estimate is None or abs(row.estimate) > 50:
        return row
    return replace(row, estimate=math.exp(row.estimate))


# Formulas


def other_reference(request, frame):
    """The reference of i() is the level in the middle, whatever the formula says."""
    formula = formula_of(request)
    if formula is None or not uses(request, "i") or "ref = " not in request.formula:
        return oracle(request, frame)

    levels = np.unique(frame["time"].as_float()[complete(request, frame)])
    text = re.sub(r"ref = -?[0-9.e+]+", f"ref = {levels[levels.size // 2]:.0f}", request.formula)
    return oracle(with_request(request, formula=text), frame)


def interaction_without_main(request, frame):
    """Products are of deviations from the mean."""
    formula = formula_of(request)
    products = {e.name for t in formula.terms if len(t) > 1 for e in t if hasattr(e, "name")} if formula else set()
    alone = {t[0].name for t in formula.terms if len(t) == 1 and hasattr(t[0], "name")} if formula else set()
    wanted = [n for n in products - alone if frame[n].kind in ("float", "integer")]
    return put(frame, *(Column(n, "float", frame[n].as_float() - np.nanmean(frame[n].as_float())) for n in wanted))


def lag_over_gaps(request, frame):
    """lag() takes the row before, whatever its period."""
    if not uses(request, "lag") or request.unit is None or request.time is None:
        return frame
    if f"`{request.time}`" in request.formula.replace(f"| `{request.time}`", "") or request.vcov.type in ("NW", "DK"):
        return frame
    units, periods = frame[request.unit].codes()[0], frame[request.time].codes()[0]
    rank = np.full(frame.nrows, np.nan)
    for u in np.unique(units):
        mine = (units == u) & (periods >= 0)
        rank[mine] = np.unique(periods[mine], return_inverse=True)[1]
    if np.isnan(rank).any():
        return frame
    return put(frame, Column(request.time, "integer", rank.astype(np.int32)))


# Samples


def each_missing_cluster_its_own(request, frame):
    made = []
    for name in request.vcov.cluster:
        codes = frame[name].codes()[0].astype(np.int64)
        if (codes < 0).any():
            codes[codes < 0] = codes.max() + 1 + np.arange(int((codes < 0).sum()))
            made.append(Column(name, "integer", codes.astype(np.int32)))
    return put(frame, *made)


def labels_cut(request, frame):
    """Clusters are told apart by the first letter of their labels."""
    made = []
    for name in request.vcov.cluster:
        if any(name in p for p in (formula_of(request).fixed_effects if request.formula else ())):
            continue
        column_ = frame[name]
        if column_.kind == "category":
            first = sorted({level[:1] for level in column_.levels})
            place = np.array([first.index(level[:1]) for level in column_.levels] + [-1], dtype=np.int32)
            made.append(Column(name, "category", place[column_.values], tuple(first)))
        else:
            made.append(Column(name, "float", np.trunc(column_.as_float() / 3)))
    return put(frame, *made)


def first_of_unit_lost(request, frame):
    """A first difference too many: the first row of each unit is not used."""
    if request.unit is None:
        return frame
    codes = frame[request.unit].codes()[0]
    first = np.unique(codes, return_index=True)[1]
    return frame.take(~np.isin(np.arange(frame.nrows), first) | (codes < 0))


def infinite_kept(values, request, frame):
    return np.where(np.isnan(values), np.nanmean(values) if np.isfinite(np.nanmean(values)) else 0.0, values)


def balanced_only(request, frame):
    """Units that are not there in every period are left out."""
    if request.unit is None or request.estimator == "att_gt":
        return frame
    rows = complete(request, frame)
    codes = frame[request.unit].codes()[0]
    counts = np.bincount(codes[rows & (codes >= 0)], minlength=int(codes.max(initial=0)) + 1)
    return frame.take((counts[np.maximum(codes, 0)] == counts.max(initial=0)) | (codes < 0))


def zero_is_a_cohort(request, frame):
    """Never treated, cohort 0, is taken for treated before the first period."""
    name = request.options.get("cohort")
    if not name or frame[name].kind == "category" or request.estimator != "att_gt":
        return frame
    values, time = frame[name].as_float(), frame[request.options["time"]].as_float()
    seen = np.unique(values[values > 0])
    latest = seen[-1] if seen.size else np.nanmax(time)
    return put(frame, Column(name, "float", np.where(values == 0, latest, values)))


def last_weight(values, request, frame):
    """The weight of a unit is that of its last row."""
    unit = frame[request.options.get("unit") or "unit"].codes()[0]
    out = values.copy()
    for u in np.unique(unit):
        out[unit == u] = values[unit == u][-1]
    return out


# Fits


def constant_twice(result, request):
    n, left = result.stats.nobs, result.stats.df_resid
    return math.sqrt(left / (left - 1)) if request.vcov.type == "iid" and n and left and left > 1 else 1.0


def first_stage_sigma(request, frame):
    """The variance of IV is that of the reduced form's residuals."""
    result = oracle(request, frame)
    formula = formula_of(request)
    if request.estimator != "feols" or formula is None or formula.iv is None:
        return result
    reduced = replace(formula, terms=(*formula.terms, *formula.iv.instruments), iv=None)
    other = oracle(with_request(request, formula=emit(reduced), also=("residuals",)), frame)
    own = oracle(with_request(request, also=("residuals",)), frame)
    sums = []
    for one in (other, own):
        block = one.block("rows")
        if block is None:
            return result
        e = np.array(block["residuals"], dtype=float)
        sums.append(float(np.nansum(e**2)))
    if request.vcov.type != "iid" or not sums[1] > 0:
        return result
    ratio = math.sqrt(sums[0] / sums[1])
    return result.with_(coefs=tuple(_again(r, request.conf_level, std_error=r.std_error * ratio) for r in result.coefs))


def single_sweep(original):
    def sweep(self, columns):
        return original(self, columns.astype(np.float32).astype(np.longdouble))

    return sweep


def uniform_lags(original):
    return lambda lag: np.ones(lag + 1, dtype=np.longdouble)


def no_jackknife_factor(original):
    def jackknife(coef, clusters, refit):
        g = np.unique(clusters[0]).size
        return original(coef, clusters, refit) * g / (g - 1)

    return jackknife


def largest_g(result, request):
    g = result.conventions.n_clusters
    if len(g) < 2 or min(g) < 2 or not request.ssc.g_adj or request.ssc.g_df != "min":
        return 1.0
    return math.sqrt((max(g) / (max(g) - 1)) / (min(g) / (min(g) - 1)))


def without_g(result, request):
    g = min(result.conventions.n_clusters, default=0)
    return math.sqrt((g - 1) / g) if g > 1 and request.ssc.g_adj else 1.0


def outcome_weights(values, request, frame):
    return np.sqrt(values)


class LastCovariance:
    """Standard errors are those of the previous question, where there are as many."""

    def __init__(self):
        self.last = None

    def __call__(self, request, frame):
        result = oracle(request, frame)
        before, self.last = self.last, result
        if before is None or len(before.coefs) != len(result.coefs):
            return result
        return result.with_(
            coefs=tuple(
                _again(r, request.conf_level, std_error=b.std_error) if b.std_error is not None else r
                for r, b in zip(result.coefs, before.coefs, strict=True)
            )
        )


# Reports


def one_df_more(row, result, request):
    if row.std_error is None or row.df is None or math.isinf(row.df):
        return row
    half = critical(request.conf_level, row.df + 1) * row.std_error
    return replace(row, conf_low=row.estimate - half, conf_high=row.estimate + half)


def variance_reported(row, result, request):
    return row if row.std_error is None else replace(row, std_error=row.std_error**2)


def always_normal(row, result, request):
    if row.statistic is None or row.df is None or math.isinf(row.df):
        return row
    return replace(row, p_value=p_of(row.statistic, math.inf))


def names_shifted(request, frame):
    """Standard errors stand in alphabetical order of the terms, estimates in the formula's."""
    result = oracle(request, frame)
    order = sorted(range(len(result.coefs)), key=lambda k: result.coefs[k].term)
    return result.with_(
        coefs=tuple(replace(r, std_error=result.coefs[k].std_error) for r, k in zip(result.coefs, order, strict=True))
    )


def df_by_coefficients(result, request, frame):
    if result.stats.df_resid is None or result.stats.nobs is None:
        return {}
    return {"df_resid": result.stats.nobs - len(result.coefs)}


def uncentred_r2(result, request, frame):
    rows = complete(request, frame)
    y = frame[outcome(request)].as_float()[rows] if outcome(request) in frame else None
    if result.stats.r2 is None or y is None or request.weights is not None or not (y @ y) > 0:
        return {}
    return {"r2": 1 - (1 - result.stats.r2) * ((y - y.mean()) ** 2).sum() / (y @ y)}


def rows_block(change: Callable) -> Fault:
    """Fitted values and residuals otherwise."""

    def fit(request, frame):
        result = oracle(request, frame)
        made = []
        for block in result.blocks:
            table = np.array([[np.nan if v is None else v for v in row] for row in block.values], dtype=float)
            new = change(dict(zip(block.quantities, table, strict=True)), request, frame)
            made.append(replace(block, values=tuple(tuple(map(float, new[q])) for q in block.quantities)))
        return result.with_(blocks=tuple(made))

    return fit


def residual_sign(rows, request, frame):
    return {q: -v if q == "residuals" else v for q, v in rows.items()}


def fitted_demeaned(rows, request, frame):
    return {q: v - np.nanmean(v) if q == "fitted" else v for q, v in rows.items()}


def rows_packed(rows, request, frame):
    """Values stand at the first rows, not at their own."""
    out = {}
    for q, v in rows.items():
        known = v[~np.isnan(v)]
        out[q] = np.concatenate([known, np.full(v.size - known.size, np.nan)])
    return out


def likelihood_without_constant(request, frame):
    result = oracle(request, frame)
    n = result.stats.nobs or 0.0
    return result.with_(
        extras=tuple(
            replace(e, value=e.value + n / 2 * math.log(2 * math.pi))
            if e.quantity == "log_likelihood" and e.value is not None
            else e
            for e in result.extras
        )
    )


def rows_lost_uncounted(request, frame):
    result = oracle(request, frame)
    return result.with_(stats=replace(result.stats, nobs=float(frame.nrows))) if result.stats != FitStats() else result


# Group-time effects


def shares_of_rows(original):
    """Cohorts weigh by their rows, not their units."""

    def shares(sample, groups):
        p = original(sample, groups)
        return p * np.arange(1, p.size + 1)

    return shares


def without_influence_of_controls(original):
    """Half of the influence function: that of the treated."""

    def effect(method, change, d, x, weight):
        made = original(method, change, d, x, weight)
        return replace(made, influence=np.where(d > 0, made.influence, 0))

    return effect


MORE: dict[str, Callable[[], Fault]] = {
    "constant counted twice": lambda: se_times(constant_twice),
    "residuals of the reduced form": lambda: first_stage_sigma,
    "reference period in the middle": lambda: other_reference,
    "products of deviations": lambda: on(interaction_without_main),
    "lag over gaps": lambda: on(lag_over_gaps),
    "each missing cluster its own": lambda: on(each_missing_cluster_its_own),
    "labels of clusters cut": lambda: on(labels_cut),
    "first row of each unit lost": lambda: on(first_of_unit_lost),
    "missing values are means": lambda: column(outcome, infinite_kept),
    "unbalanced units left out": lambda: on(balanced_only),
    "never treated taken for treated": lambda: on(zero_is_a_cohort),
    "weights of the last period": lambda: of("att_gt")(column(lambda r: r.options.get("weights") or "", last_weight)),
    "means in single precision": lambda: patched(absorb.Absorber, "sweep", single_sweep),
    "lags weigh the same": lambda: patched(closed_covariance.conventions, "bartlett", uniform_lags),
    "jackknife without (G - 1) / G": lambda: patched(closed_covariance, "jackknife", no_jackknife_factor),
    "largest G of two": lambda: se_times(largest_g),
    "square roots of weights": lambda: column(weights_column, outcome_weights),
    "weights squared": lambda: column(weights_column, lambda v, r, f: v**2),
    "covariance of the question before": LastCovariance,
    "one degree of freedom more in bounds": lambda: reporting(one_df_more),
    "variance for standard error": lambda: reporting(variance_reported),
    "p from the normal": lambda: reporting(always_normal),
    "standard errors in another order": lambda: names_shifted,
    "df by coefficients alone": lambda: stats(df_by_coefficients),
    "uncentred R2": lambda: stats(uncentred_r2),
    "residuals with the wrong sign": lambda: rows_block(residual_sign),
    "fitted values without the mean": lambda: rows_block(fitted_demeaned),
    "fitted values at other rows": lambda: rows_block(rows_packed),
    "log-likelihood without its constant": lambda: likelihood_without_constant,
    "N of all rows": lambda: rows_lost_uncounted,
    "HC2 is HC1": lambda: vcov({"HC2": "HC1"}),
    "CRV3 is CRV1": lambda: vcov({"CRV3": "CRV1"}),
    "Newey-West is Driscoll-Kraay": lambda: vcov({"NW": "DK"}),
    "second cluster ignored": lambda: lambda r, f: oracle(with_request(r, vcov={**r.vcov.model_dump(), "cluster": r.vcov.cluster[:1]}), f),
    "second instrument ignored": lambda: lambda r, f: oracle(r if not r.formula or formula_of(r).iv is None else with_request(r, formula=emit(replace(formula_of(r), iv=replace(formula_of(r).iv, instruments=formula_of(r).iv.instruments[:1])))), f),
    "last effect ignored": lambda: lambda r, f: oracle(r if not r.formula or len(formula_of(r).fixed_effects) < 2 or r.estimator == "sunab" else with_request(r, formula=emit(replace(formula_of(r), fixed_effects=formula_of(r).fixed_effects[:-1]))), f),
    "interacted effects apart": lambda: lambda r, f: oracle(r if not r.formula or r.estimator == "sunab" else with_request(r, formula=emit(replace(formula_of(r), fixed_effects=tuple(dict.fromkeys((p,) for parts in formula_of(r).fixed_effects for p in parts))))), f),
    "shares of cohorts by rows": lambda: patched(did_aggregate, "shares", shares_of_rows),
    "influence of the controls forgotten": lambda: patched(did, "panel_effect", without_influence_of_controls),
    "controls of another kind": lambda: option("control_group", {"nevertreated": "notyettreated", "notyettreated": "nevertreated"}),
    "anticipation ignored": lambda: option("anticipation", {1: 0}),
    "covariates ignored": lambda: lambda r, f: oracle(r if r.estimator != "att_gt" else with_request(r, options={**r.options, "covariates": []}), f),
    "balance ignored": lambda: lambda r, f: oracle(r if r.estimator != "att_gt" else with_request(r, options={**r.options, "balance_e": None, "min_e": None}), f),
    "cross-sections taken for a panel": lambda: option("panel", {False: True}),
}  # fmt: skip

ITERATED: dict[str, Callable[[], Fault]] = {
    "separated rows counted": lambda: unseparated,
    "iterations stopped early": lambda: loose,
    "Poisson is least squares of logs": lambda: poisson_as_logs,
    "counts divided by their mean": lambda: column(only("fepois"), lambda v, r, f: v / np.nanmean(v) if np.nanmean(v) > 0 else v),
    "zeros left out of Poisson": lambda: column(only("fepois"), lambda v, r, f: np.where(v == 0, np.nan, v)),
    "counts plus one": lambda: column(only("fepois"), lambda v, r, f: v + 1),
    "one and zero exchanged": lambda: column(only("feglm"), lambda v, r, f: 1 - v),
    "ratios for coefficients": lambda: reporting(ratios),
    "Poisson variance taken for granted": lambda: vcov({"HC1": "iid"}),
    "weights ignored in Poisson": lambda: asking(weights=None),
    "G - 1 forgotten in Poisson": lambda: of("fepois", "feglm")(se_times(without_g)),
    "t for z": lambda: reporting(t_for_z),
}  # fmt: skip

FAULTS: dict[str, Callable[[], Fault]] = {**MUTANTS, **MORE, **ITERATED}
"""All of them by name."""
