"""The last forty faults of ``docs/exam_blind.md``, in its order: written down before any of them was run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crosscheck.campaign.columns import formula_of, put, with_request
from crosscheck.closedform import covariance as closed_covariance
from crosscheck.closedform import did
from crosscheck.designs import bootstrap, matching, mediation
from crosscheck.engines import _oracle_linear, _oracle_panel, _oracle_sunab
from crosscheck.formula import emit
from crosscheck.frame import Column, Frame
from tests.mutants import Fault, _again, _with_fit, fitting, oracle, reporting, se_times, stats
from tests.mutants_blind import design, extras, inside, option, overall
from tests.mutants_blind_more import numbers, rows_of
from tests.mutants_more import of, patched

# Least squares


def last_cluster_out(original):
    def parts(fit, clusters):
        last = int(clusters[0].max())
        scores = np.where((clusters[0] == last)[:, None], 0, fit.scores) if last > 1 else fit.scores
        return original(replace(fit, scores=scores), clusters)

    return parts


def single_rows_out(original):
    def parts(fit, clusters):
        alone = np.bincount(clusters[0])[clusters[0]] == 1
        return original(replace(fit, scores=np.where(alone[:, None], 0, fit.scores)), clusters)

    return parts


def sum_of_weights(result, request, frame):
    if request.weights is None or request.weights.type != "analytic" or not result.stats.nobs:
        return {}
    w = frame[request.weights.column].as_float()
    return {"nobs": float(round(float(np.nansum(w))))}


def exchanged_bounds(row, result, request):
    if row.estimate is None or row.conf_low is None or row.estimate >= 0:
        return row
    return replace(row, conf_low=row.conf_high, conf_high=row.conf_low)


def g_degrees(row, result, request):
    if not request.vcov.cluster or row.df is None or math.isinf(row.df):
        return row
    return _again(row, request.conf_level, df=row.df + 1)


def likelihood_less_k(request, frame):
    result = oracle(request, frame)
    n, k = result.stats.nobs, result.conventions.k
    if request.estimator != "feols" or not n or not k or n <= k:
        return result
    more = n / 2 * math.log((n - k) / n) + k / 2
    made = tuple(
        replace(e, value=e.value + more) if e.quantity == "log_likelihood" and e.value is not None else e
        for e in result.extras
    )
    return result.with_(extras=made)


def rooted_residuals(request, frame):
    result = oracle(request, frame)
    if request.weights is None or request.estimator != "feols":
        return result
    w = frame[request.weights.column].as_float()
    return rows_of(result, "residuals", lambda v: v * np.sqrt(w[: v.size]))


def scores_of_regressors(original):
    def fit(y, x, effects=(), weights=None, *, endogenous=None, instruments=None):
        made = original(y, x, effects, weights, endogenous=endogenous, instruments=instruments)
        if endogenous is None or not endogenous.shape[1]:
            return made
        swept = made.absorber.sweep(np.column_stack([x, endogenous]).astype(np.longdouble))
        return replace(made, scores=swept[:, list(made.kept)] * (made.weights * made.resid)[:, None])

    return fit


def row_before(request, frame: Frame):
    found = re.search(r"lag\(`([^`]+)`, 1\)", request.formula or "")
    if found is None or request.unit is None or request.time is None:
        return oracle(request, frame)
    order = np.lexsort((frame[request.time].codes()[0], frame[request.unit].codes()[0]))
    values = frame[found[1]].as_float()
    lagged = np.full(values.size, np.nan)
    lagged[order[1:]] = values[order[:-1]]
    formula = request.formula.replace(found[0], "`before`")
    asked = with_request(request, formula=formula, columns=(*request.columns, "before") if request.columns else ())
    result = oracle(asked, Frame((*frame.columns, Column("before", "float", lagged)), frame.nrows, frame.row_ids))
    name = f"lag({found[1]}, 1)"
    return result.with_(coefs=tuple(replace(r, term=r.term.replace("before", name)) for r in result.coefs))


def third_out(request, frame):
    formula = formula_of(request)
    if formula is None or len(formula.fixed_effects) < 3:
        return oracle(request, frame)
    kept = replace(formula, fixed_effects=formula.fixed_effects[:2])
    return oracle(with_request(request, formula=emit(kept)), frame)


def correlation_without_effects(result, request, frame):
    formula = formula_of(request)
    if result.stats.r2 is None or formula is None or not formula.fixed_effects or request.weights is not None:
        return {}
    y, total = frame[formula.lhs.name].as_float() if hasattr(formula.lhs, "name") else None, np.zeros(frame.nrows)
    for row in result.coefs:
        if y is None or row.term not in frame or frame[row.term].kind == "category" or row.estimate is None:
            return {}
        total = total + row.estimate * frame[row.term].as_float()
    there = np.isfinite(y) & np.isfinite(total)
    if there.sum() < 3 or total[there].std() == 0 or y[there].std() == 0:
        return {}
    return {"r2": float(np.corrcoef(y[there], total[there])[0, 1] ** 2)}


def within_always(result, request, frame):
    formula = formula_of(request)
    if formula is None or formula.fixed_effects or result.stats.r2 is None or request.estimator != "feols":
        return {}
    return {"r2_within": result.stats.r2 / 2}


def factor_twice(result, request):
    n, k = result.stats.nobs, result.conventions.k
    if request.vcov.canonical != "HC1" or not request.ssc.k_adj or not n or not k or n <= k:
        return 1.0
    return math.sqrt(n / (n - k))


def scores_over_weights(request, frame):
    if request.vcov.type != "NW" or request.weights is None:
        return oracle(request, frame)
    change = lambda model: _with_fit(model, scores=model.fit.scores / model.fit.weights[:, None])  # noqa: E731
    return fitting(change)(request, frame)


def perfect_where_nothing_varies(result, request, frame):
    return {"r2": 1.0} if result.stats.r2 is None and request.estimator == "feols" and result.coefs else {}


# Poisson, logit, panels


def index_for_fitted(request, frame):
    from crosscheck.engines.statsmodels import ENGINE

    result = ENGINE.fit(request, frame)
    if request.estimator != "fepois":
        return result
    return rows_of(result, "fitted", lambda v: np.log(np.where(v > 0, v, np.nan)))


def minus_deviance(value, result, request, frame):
    deviance = next((e.value for e in result.extras if e.quantity == "deviance"), None)
    return value if request.estimator != "feglm" or deviance is None else -deviance


def halved(original):
    def components(panel, method):
        found = original(panel, method)
        return replace(found, effects=tuple(v / 2 for v in found.effects))

    return components


def rows_for_units(request, frame):
    result = oracle(request, frame)
    if request.estimator != "between":
        return result
    df = float(max(frame.nrows - len(result.coefs), 1))
    return result.with_(
        coefs=tuple(_again(r, request.conf_level, df=df) if r.df is not None else r for r in result.coefs)
    )


# Group-time effects


def two_references(original):
    def interactions(cohort, period, seen=None):
        made = original(cohort, period, seen)
        kept = made.event != -2
        return replace(made, columns=made.columns[:, kept], event=made.event[kept], cohort=made.cohort[kept])

    return interactions


def never_left_out(request, frame: Frame):
    if request.estimator != "sunab":
        return oracle(request, frame)
    cohort = frame["cohort"].as_float()
    treated = np.isfinite(cohort) & (cohort > 0)
    return oracle(request, frame.take(treated))


def squared_weights(request, frame: Frame):
    if request.estimator != "att_gt" or request.weights is None:
        return oracle(request, frame)
    name = request.weights.column
    return oracle(request, put(frame, Column(name, "float", frame[name].as_float() ** 2)))


def late_cells_alone(original):
    def cells(sample, *, base, anticipation):
        early = {(g, t): b for g, t, b in original(sample, base=base, anticipation=0)}
        for g, t, b in original(sample, base=base, anticipation=anticipation):
            yield g, t, b if t >= g else early.get((g, t), b)

    return cells


def equal_cohorts(result, request, frame):
    rows = [r.estimate for r in result.coefs[1:] if r.estimate is not None]
    return float(np.mean(rows)) if rows else None


# Designs


def one_period_late(request, frame):
    if request.estimator != "placebo":
        return design(request, frame)
    periods = np.unique(frame["time"].as_float())
    later = periods[periods > request.options["start"]]
    if not later.size:
        return design(request, frame)
    start = int(later[0]) if float(later[0]).is_integer() else float(later[0])
    return design(with_request(request, options={**request.options, "start": start}), frame)


def of_the_treated(original):
    def on_support(score, treated, support):
        if support == "none":
            return original(score, treated, support)
        low, high = score[treated].min(), score[treated].max()
        return (score >= low) & (score <= high)

    return on_support


def mediator_alone(original):
    def three(panel, mediator, name):
        made = original(panel, mediator, name)
        small = original(replace(panel, x=panel.x[:, :1], names=panel.names[:1]), mediator, name)
        return made[0], small[1], made[2]

    return three


def no_factor(original):
    def draws(self, weights, null=0.0, *, impose=True):
        return original(self, weights, null, impose=impose) * math.sqrt(self.factor)

    return draws


def one_sided_stars(extra, result, request):
    row = result.coef(extra.term)
    if extra.quantity != "stars" or row is None or row.p_value is None:
        return extra.value
    return float(sum(row.p_value / 2 < threshold for threshold in request.options["stars"]))


def clipped(request, frame):
    rule = request.options.get("winsorize")
    if not rule or rule.get("action") != "trim":
        return design(request, frame)
    options = {**request.options, "winsorize": {**rule, "action": "clip"}}
    return design(with_request(request, options=options), frame)


LAST: dict[str, Callable[[], Fault]] = {
    "101 last cluster out": lambda: patched(closed_covariance, "cluster_parts", last_cluster_out),
    "102 single rows out": lambda: patched(closed_covariance, "cluster_parts", single_rows_out),
    "103 N is a sum of weights": lambda: stats(sum_of_weights),
    "104 bounds exchanged": lambda: reporting(exchanged_bounds),
    "105 t of G": lambda: reporting(g_degrees),
    "106 likelihood less K": lambda: likelihood_less_k,
    "107 rooted residuals": lambda: rooted_residuals,
    "108 scores of regressors": lambda: patched(_oracle_linear, "least_squares", scores_of_regressors),
    "109 the row before": lambda: row_before,
    "110 third effect out": lambda: third_out,
    "111 R2 without effects": lambda: stats(correlation_without_effects),
    "112 within R2 always": lambda: stats(within_always),
    "113 HC1 twice": lambda: se_times(factor_twice),
    "114 scores over weights": lambda: scores_over_weights,
    "115 R2 of one": lambda: stats(perfect_where_nothing_varies),
    "116 fitted is the index": lambda: index_for_fitted,
    "117 minus deviance": lambda: numbers("log_likelihood", minus_deviance),
    "118 half the components": lambda: patched(_oracle_panel, "variance_components", halved),
    "119 rows for units": lambda: rows_for_units,
    "120 two references": lambda: patched(_oracle_sunab, "interactions", two_references),
    "121 never treated out": lambda: never_left_out,
    "122 first stage plain": lambda: of("did2s")(option("did2s", covariates=())),
    "123 max_e exclusive": lambda: option("att_gt", max_e=lambda e: None if e is None else e - 1),
    "124 squared weights": lambda: squared_weights,
    "125 late cells alone": lambda: patched(did, "cells", late_cells_alone),
    "126 equal cohorts": lambda: overall("group", equal_cohorts),
    "127 one period late": lambda: one_period_late,
    "128 twice the bandwidth": lambda: option("psm_did", bandwidth=lambda b: 2 * (b or 0.06)),
    "129 standardized by both": lambda: option("psm_did", standardize="pooled"),
    "130 support of the treated": lambda: inside(matching, "on_support", of_the_treated),
    "131 one neighbour more": lambda: option("psm_did", ratio=lambda r: (r or 1) + 1),
    "132 mediator alone": lambda: inside(mediation, "_three", mediator_alone),
    "133 ties beyond": lambda: option("wild_bootstrap", ties="count"),
    "134 draws without factor": lambda: inside(bootstrap.Wild, "draws", no_factor),
    "135 pooled standards": lambda: option("entropy", standardize="pooled"),
    "136 trimmed is clipped": lambda: clipped,
    "137 no correlation": lambda: option("monte_carlo", rho=0.0),
    "138 noise is a variance": lambda: option("monte_carlo", noise=lambda v: None if v is None else math.sqrt(v)),
    "139 one-sided stars": lambda: extras("inference_grid", one_sided_stars),
    "140 complete rows": lambda: option("describe", missing="complete"),
}


def base_of_last(name: str) -> str:
    """Return the engine that a fault wraps."""
    number = int(name.split(maxsplit=1)[0])
    return "designs" if number >= 127 else "statsmodels" if number in (116, 117) else "oracle"
