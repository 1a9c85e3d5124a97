"""The faults of ``docs/exam_blind.md``, in its order: written down before any of them was run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import numpy as np

from crosscheck.campaign.columns import formula_of, put, with_request
from crosscheck.closedform import covariance as closed_covariance
from crosscheck.closedform import did
from crosscheck.closedform.linear import least_squares
from crosscheck.designs import bootstrap, entropy, mediation, placebo
from crosscheck.engines import _designs_monte, _designs_panel, _oracle_linear, _oracle_sunab, _two_stage
from crosscheck.engines.designs import ENGINE as DESIGNS
from crosscheck.engines.pyfixest import ENGINE as PYFIXEST
from crosscheck.frame import Column
from tests.mutants import Fault, _again, _with_fit, fitting, oracle, reporting, se_times, stats
from tests.mutants_more import of, patched


def design(request, frame):
    """Return what the designs say, or the closed forms where the request is none of them."""
    return DESIGNS.fit(request, frame) if DESIGNS.supports(request) else oracle(request, frame)


def option(estimator: str, **turned) -> Fault:
    """Ask with other options; a callable makes the new value of the old."""

    def fit(request, frame):
        if request.estimator != estimator:
            return design(request, frame)
        options = {k: (v(request.options.get(k)) if callable(v) else v) for k, v in turned.items()}
        return design(with_request(request, options={**request.options, **options}), frame)

    return fit


def inside(owner: object, name: str, change: Callable[[Callable], Callable], estimator: str = "") -> Fault:
    """Answer a design with a function of its own exchanged."""
    original = getattr(owner, name)

    def fit(request, frame):
        if estimator and request.estimator != estimator:
            return design(request, frame)
        with mock.patch.object(owner, name, change(original)):
            return design(request, frame)

    return fit


def extras(estimator: str, change: Callable) -> Fault:
    """Report a number of a design otherwise; ``change`` takes extra, result and request, and returns its value."""

    def fit(request, frame):
        result = design(request, frame)
        if request.estimator != estimator:
            return result
        made = tuple(e if e.value is None else replace(e, value=change(e, result, request)) for e in result.extras)
        return result.with_(extras=made)

    return fit


# feols


def intersection_added(original):
    def parts(fit, clusters):
        found = original(fit, clusters)
        return (*found[:2], -found[2]) if len(found) == 3 else found

    return parts


def first_g(result, request):
    g = result.conventions.n_clusters
    if len(g) < 2 or min(g[:2]) < 2 or not request.ssc.g_adj or request.ssc.g_df != "min":
        return 1.0
    smallest = min(g[:2])
    return math.sqrt((g[0] / (g[0] - 1)) / (smallest / (smallest - 1)))


def k_plus(extra: Callable) -> Callable:
    def factor(result, request):
        n, k = result.stats.nobs, result.conventions.k
        more = extra(result, request)
        if request.estimator != "feols" or not request.ssc.k_adj or not n or not k or not more or n - k - more <= 0:
            return 1.0
        return math.sqrt((n - k) / (n - k - more))

    return factor


def instruments_of(result, request):
    formula = formula_of(request)
    return len(formula.iv.instruments) if formula is not None and formula.iv is not None else 0


def constant_of(result, request):
    formula = formula_of(request)
    return int(bool(formula is not None and formula.fixed_effects))


def no_weights_in_clusters(model):
    return _with_fit(model, scores=model.fit.scores / model.fit.weights[:, None])


def one_tailed_level(row, result, request):
    return _again(row, 2 * request.conf_level - 1) if row.std_error is not None else row


def df_is_n(row, result, request):
    if request.vcov.cluster or row.df is None or not result.stats.nobs or math.isinf(row.df):
        return row
    return _again(row, request.conf_level, df=float(result.stats.nobs))


def adjusted_by_n(result, request, frame):
    n, r2 = result.stats.nobs, result.stats.r2
    return {} if r2 is None or result.stats.adj_r2 is None or n < 2 else {"adj_r2": 1 - (1 - r2) * (n - 1) / n}


def four_sweeps(original):
    def sweep(self, columns):
        if len(self.others) == 0:
            return original(self, columns)
        left = columns
        for _ in range(4):
            for groups in (self.first, *self.others):
                left = left - groups.means(left, self.weights)[groups.codes]
        return left

    return sweep


def missing_is_a_level(request, frame):
    formula = formula_of(request)
    made = []
    for parts in formula.fixed_effects if formula else ():
        for name in parts:
            if frame[name].missing.any() and frame[name].kind == "category":
                codes = frame[name].codes()[0]
                made.append(Column(name, "integer", (codes + 1).astype(np.int32)))
    return oracle(request, put(frame, *made))


class CachedWeights:
    """Weights are kept by formula and number of rows."""

    def __init__(self):
        self.known = {}

    def __call__(self, request, frame):
        if request.weights is None:
            return oracle(request, frame)
        name = request.weights.column
        first = self.known.setdefault((request.formula, frame.nrows, name), frame[name])
        return oracle(request, put(frame, first))


def kernel_of_lag(original):
    def bartlett(lag):
        steps = np.arange(lag + 1, dtype=np.longdouble)
        return 1 - steps / max(lag, 1)

    return bartlett


def no_lag(request, frame):
    if request.vcov.type != "DK":
        return oracle(request, frame)
    return oracle(with_request(request, vcov={"type": "DK", "lag": 0}), frame)


def hc3_root(request, frame):
    kind = {"HC3": "HC2"}.get(request.vcov.canonical)
    return oracle(with_request(request, vcov={"type": kind}) if kind else request, frame)


def first_stage(exogenous: bool, weighted: bool) -> Fault:
    """Replace the endogenous regressor by fitted values of a first stage of another kind, then least squares."""
    original = _oracle_linear.least_squares

    def wrong(y, x, effects=(), weights=None, *, endogenous=None, instruments=None):
        made = original(y, x, effects, weights, endogenous=endogenous, instruments=instruments)
        if endogenous is None or endogenous.shape[1] == 0:
            return made
        w = weights if weighted else None
        regressors = np.column_stack([x, instruments]) if exogenous else instruments
        if not exogenous and not effects:
            regressors = np.column_stack([np.ones(y.size), regressors])
        fitted = []
        for column in endogenous.T:
            stage = least_squares(column, regressors, effects, w)
            fitted.append(np.asarray(column - stage.resid, dtype=np.float64))
        second = original(y, np.column_stack([x, *fitted]), effects, weights)
        return second if second.kept == made.kept else made

    def fit(request, frame):
        with mock.patch.object(_oracle_linear, "least_squares", wrong):
            return oracle(request, frame)

    return fit


# fepois and feglm


def dispersed(request, frame):
    result = oracle(request, frame)
    if request.estimator != "fepois" or request.vcov.type != "iid" or request.weights is not None:
        return result
    full = oracle(with_request(request, also=("fitted",)), frame)
    block = full.block("rows")
    if block is None:
        return result
    mu = np.array([np.nan if v is None else v for v in block["fitted"]])
    y = frame[formula_of(request).lhs.name].as_float()
    known = ~np.isnan(mu) & (mu > 0)
    free = max(result.stats.nobs - (result.conventions.k or len(result.coefs)), 1.0)
    scale = float((((y - mu) ** 2 / np.where(known, mu, 1))[known]).sum() / free)
    return result.with_(
        coefs=tuple(_again(r, request.conf_level, std_error=r.std_error * math.sqrt(scale)) for r in result.coefs)
    )


def deviance_without_zeros(request, frame):
    result = oracle(request, frame)
    if request.estimator != "fepois" or not any(e.quantity == "deviance" for e in result.extras):
        return result
    full = oracle(with_request(request, also=("fitted",)), frame)
    block = full.block("rows")
    if block is None:
        return result
    mu = np.array([np.nan if v is None else v for v in block["fitted"]])
    y = frame[formula_of(request).lhs.name].as_float()
    w = np.ones(y.size) if request.weights is None else frame[request.weights.column].as_float()
    lost = float(2 * (w * mu)[(y == 0) & ~np.isnan(mu)].sum())
    return result.with_(
        extras=tuple(replace(e, value=e.value - lost) if e.quantity == "deviance" else e for e in result.extras)
    )


def zeros_counted(request, frame):
    result = oracle(request, frame)
    if request.estimator != "fepois" or request.weights is None or result.stats.nobs is None:
        return result
    gone = int((frame[request.weights.column].as_float() == 0).sum())
    return result.with_(stats=replace(result.stats, nobs=result.stats.nobs + gone))


def probit_by_logit(request, frame):
    if request.estimator != "feglm" or request.options.get("family") != "probit":
        return PYFIXEST.fit(request, frame)
    result = PYFIXEST.fit(with_request(request, options={**request.options, "family": "logit"}), frame)
    return result.with_(
        coefs=tuple(
            _again(replace(r, estimate=r.estimate / 1.6), request.conf_level, std_error=r.std_error / 1.6)
            if r.std_error is not None
            else r
            for r in result.coefs
        )
    )


def outer_product(request, frame):
    """A^2 / V for V, the robust variance, with A the model's own."""
    result = PYFIXEST.fit(request, frame)
    if request.estimator != "feglm" or request.vcov.canonical != "HC1" or not result.coefs:
        return result
    own = PYFIXEST.fit(with_request(request, vcov={"type": "iid"}), frame)
    wrong = {r.term: r.std_error**2 / s.std_error for r, s in zip(own.coefs, result.coefs, strict=True) if s.std_error}
    return result.with_(
        coefs=tuple(_again(r, request.conf_level, std_error=wrong.get(r.term, r.std_error)) for r in result.coefs)
    )


# Group-time effects, Sun and Abraham, two stages


def within_window(request, frame):
    ahead = request.options.get("anticipation") or 0
    original = did.comparison

    def wrong(cohort, group, threshold, control):
        return original(cohort, group, threshold - ahead, control)

    with mock.patch.object(did, "comparison", wrong):
        return oracle(request, frame)


def overall(kind: str, of_rows: Callable) -> Fault:
    """Report another overall effect where effects are averaged in a kind of aggregation."""

    def fit(request, frame):
        result = oracle(request, frame)
        if request.estimator != "att_gt" or request.options.get("aggregation") != kind or not result.coefs:
            return result
        value = of_rows(result, request, frame)
        if value is None:
            return result
        first, *rest = result.coefs
        changed = replace(first, estimate=value)
        return result.with_(coefs=(_again(changed, request.conf_level), *rest))

    return fit


def mean_of_events(result, request, frame):
    rows = [r.estimate for r in result.coefs[1:] if r.estimate is not None]
    return float(np.mean(rows)) if rows else None


def as_simple(result, request, frame):
    options = {**request.options, "aggregation": "simple", "balance_e": None, "min_e": None}
    row = oracle(with_request(request, options=options), frame).coef("overall")
    return None if row is None else row.estimate


def shares_of_cohorts(original):
    def averages(event, cohort, mass, kind, period_name):
        whole = np.array([mass[cohort == c].sum() for c in cohort])
        return original(event, cohort, whole, kind, period_name)

    return averages


def variances_alone(original):
    def result(engine, request, model, found, combine, terms, started):
        made = original(engine, request, model, found, combine, terms, started)
        alone = np.sqrt((combine**2) @ np.diag(found.matrix))
        return made.with_(
            coefs=tuple(
                _again(r, request.conf_level, std_error=float(s)) for r, s in zip(made.coefs, alone, strict=True)
            )
        )

    return result


def all_rows_first(original):
    """The first stage sees treated rows: effects of units and periods are those of all rows."""

    def wrong(engine, request, frame):
        rows = _two_stage.rows_of(request, frame)
        dummies = [(c[:, None] == np.arange(c.max() + 1)).astype(np.float64) for c in (rows.unit, rows.time)]
        first = np.column_stack([rows.x, *dummies])
        left = rows.y - first @ np.linalg.lstsq(first, rows.y, rcond=None)[0]
        made = original(engine, request, frame)
        return made.with_(
            coefs=tuple(
                _again(replace(r, estimate=float(left[rows.treated].mean())), request.conf_level) for r in made.coefs
            )
        )

    return wrong


def first_stage_known(original):
    def wrong(engine, request, frame):
        made = original(engine, request, frame)
        rows = _two_stage.rows_of(request, frame)
        dummies = [(c[:, None] == np.arange(c.max() + 1)).astype(np.float64) for c in (rows.unit, rows.time)]
        first = np.column_stack([rows.x, *dummies])
        beta = np.linalg.lstsq(first[~rows.treated], rows.y[~rows.treated], rcond=None)[0]
        left = (rows.y - first @ beta) * rows.treated
        scores = left - (left.sum() / rows.treated.sum()) * rows.treated
        sums = np.bincount(_two_stage.squeezed(_two_stage._clusters(request, frame, rows)), weights=scores)
        wrong_se = float(np.sqrt(sums @ sums) / rows.treated.sum())
        return made.with_(coefs=tuple(_again(r, request.conf_level, std_error=wrong_se) for r in made.coefs))

    return wrong


# Designs


def positive_counted(original):
    def entropies(z, labels):
        out = original(z, labels)
        for j in range(z.shape[1]):
            known = z[~np.isnan(z[:, j]), j]
            positive = int((known > 0).sum())
            if positive > 1 and out[j] == out[j]:
                out[j] *= np.log(known.size) / np.log(positive)
        return out

    return entropies


def unturned(original):
    return lambda x, positive, groups, rules, labels: original(x, np.ones_like(positive), groups, rules, labels)


def own_estimate_counted(original):
    def summarize(made, true, true_t, **more):
        found = original(made, true, true_t, **more)
        return replace(found, rank=found.rank + 1)

    return summarize


def once_each(original):
    def match(score, distance, treated, blocks, rules):
        weight = original(score, distance, treated, blocks, rules)
        return np.where(treated, weight, np.minimum(weight, 1.0)) if rules.weighting == "psmatch2" else weight

    return match


def type_seven(original):
    return lambda x, lower=0.01, upper=0.99, method="r7", action="clip": original(x, lower, upper, "r7", action)


def upper_alone(original):
    return lambda x, lower=0.01, upper=0.99, method="r7", action="clip": original(x, 0.0, upper, method, action)


def sobel_minus(original):
    def std_error(self, formula="sobel"):
        if formula != "sobel":
            return original(self, formula)
        return math.sqrt(abs((self.b * self.se_a) ** 2 - (self.a * self.se_b) ** 2))

    return std_error


def first_draw_always(original):
    def draws(panel, mediator, treatment, name, cluster, counts, progress=None):
        made = original(panel, mediator, treatment, name, cluster, counts, progress)
        return np.repeat(made[:1], made.shape[0], axis=0)

    return draws


def error_of_one(extra, result, request):
    if extra.quantity != "difference_se":
        return extra.value
    label = extra.term.partition(" - ")[0]
    row = result.coef(f"joint:{label}:{request.options['treatment']}")
    return extra.value if row is None or row.std_error is None else row.std_error


def common_effects(original):
    def subgroups(panel, group, treatment, vcov, ssc, *, name="group"):
        found = original(panel, group, treatment, vcov, ssc, name=name)
        if not panel.effects:
            return found
        from crosscheck.designs import subgroups as module
        from crosscheck.designs.panel import fit

        made = module.interact(panel, group, name)
        pooled = fit(replace(made, effects=panel.effects))
        at = [pooled.index(f"{g}:{treatment}") for g in range(int(group.max()) + 1)]
        return replace(found, effects=pooled.coef[at])

    return subgroups


def doubled(original):
    def p_value(wild, weights, null=0.0, *, impose=True, ties="strict"):
        own = wild.t(null)
        drawn = wild.draws(weights, null, impose=impose)
        beyond = (drawn > own).mean() if own > 0 else (drawn < own).mean()
        return float(min(1.0, 2 * beyond))

    return p_value


def ninety_five(original):
    return lambda *args, **more: original(*args, **{**more, "level": 0.95})


BLIND: dict[str, Callable[[], Fault]] = {
    "1 intersection added": lambda: patched(closed_covariance, "cluster_parts", intersection_added),
    "2 G of the first column": lambda: se_times(first_g),
    "3 dropped regressors counted": lambda: se_times(k_plus(lambda r, q: len(r.dropped))),
    "4 a constant beside effects counted": lambda: se_times(k_plus(constant_of)),
    "5 clusters without weights": lambda: fitting(no_weights_in_clusters),
    "6 level of one tail": lambda: reporting(one_tailed_level),
    "7 t of N": lambda: reporting(df_is_n),
    "8 adjusted by N": lambda: stats(adjusted_by_n),
    "9 four sweeps": lambda: patched(_oracle_linear_absorber(), "sweep", four_sweeps),
    "10 missing level is a level": lambda: missing_is_a_level,
    "11 weights cached": CachedWeights,
    "12 kernel of L": lambda: patched(closed_covariance.conventions, "bartlett", kernel_of_lag),
    "13 lag ignored": lambda: no_lag,
    "14 HC3 with one root": lambda: hc3_root,
    "15 instruments counted": lambda: se_times(k_plus(instruments_of)),
    "16 first stage without exogenous": lambda: first_stage(exogenous=False, weighted=True),
    "17 first stage without weights": lambda: first_stage(exogenous=True, weighted=False),
    "18 Poisson dispersed": lambda: dispersed,
    "19 deviance without zeros": lambda: deviance_without_zeros,
    "20 Poisson counts weights of zero": lambda: zeros_counted,
    "21 probit by logit": lambda: probit_by_logit,
    "22 outer product": lambda: outer_product,
    "23 anticipation of one": lambda: option("att_gt", anticipation=lambda a: min(a or 0, 1)),
    "24 controls within the window": lambda: of("att_gt")(within_window),
    "25 overall with periods before": lambda: overall("dynamic", mean_of_events),
    "26 cohorts by cells": lambda: overall("group", as_simple),
    "27 calendar by cells": lambda: overall("calendar", as_simple),
    "28 balance one more": lambda: option("att_gt", balance_e=lambda e: None if e is None else e + 1),
    "29 window exclusive": lambda: option("att_gt", min_e=lambda e: None if e is None else e + 1),
    "30 panels balanced": lambda: option("att_gt", allow_unbalanced=False),
    "31 shares of cohorts": lambda: patched(_oracle_sunab, "averages", shares_of_cohorts),
    "32 variances alone": lambda: patched(_oracle_sunab, "_result", variances_alone),
    "33 first stage of all rows": lambda: patched(_two_stage_home(), "closed_form", all_rows_first),
    "34 first stage known": lambda: patched(_two_stage_home(), "closed_form", first_stage_known),
    "35 positive proportions counted": lambda: inside(entropy, "_entropies", positive_counted),
    "36 less is not better": lambda: inside(entropy, "_standardized", unturned),
    "37 own estimate counted": lambda: inside(placebo, "summarize", own_estimate_counted),
    "38 matches again": lambda: option("psm_did", replace=True),
    "39 caliper absolute": lambda: option("psm_did", caliper_scale="absolute"),
    "40 weighs once": lambda: inside(_match_home(), "match", once_each),
    "41 always type seven": lambda: inside(_winsor_home(), "winsorize", type_seven),
    "42 upper tail alone": lambda: inside(_winsor_home(), "winsorize", upper_alone),
    "43 Sobel with a minus": lambda: inside(mediation.Mediation, "std_error", sobel_minus),
    "44 every draw is the first": lambda: inside(_designs_panel, "bootstrap", first_draw_always),
    "45 error of one group": lambda: extras("subgroups", error_of_one),
    "46 effects common to groups": lambda: inside(_designs_panel, "subgroups", common_effects),
    "47 null not imposed": lambda: option("wild_bootstrap", impose_null=False),
    "48 one side doubled": lambda: inside(bootstrap, "p_value", doubled),
    "49 coverage at 95%": lambda: inside(_designs_monte, "monte_carlo", ninety_five),
    "50 divides by N": lambda: option("describe", ddof=0),
}


def _oracle_linear_absorber():
    from crosscheck.closedform.absorb import Absorber

    return Absorber


def _two_stage_home():
    from crosscheck.engines import oracle as module

    return module


def _match_home():
    from crosscheck.engines import _designs_match

    return _designs_match


def _winsor_home():
    from crosscheck.engines import _designs

    return _designs


def base_of(name: str) -> str:
    """Return the engine that a fault wraps."""
    number = int(name.split(maxsplit=1)[0])
    if number in (21, 22):
        return "pyfixest"  # statsmodels has no probit here, and HC1 only without N / (N - K)
    return "statsmodels" if 18 <= number <= 20 else "designs" if number >= 35 else "oracle"
