"""The second half of the faults of ``docs/exam_blind.md``, in its order: written down before any of them was run.

Most are inside or around the packages themselves, as whoever plants a fault in an engine of their own would do it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import numpy as np

from crosscheck.campaign.columns import formula_of, groupings, put, with_request
from crosscheck.designs import placebo
from crosscheck.engines import _designs, _designs_match, _designs_panel, _designs_random
from crosscheck.engines import pyfixest as pyfixest_home
from crosscheck.engines.csdid import CsdidEngine
from crosscheck.engines.linearmodels import ENGINE as LINEARMODELS
from crosscheck.engines.pyfixest import Pyfixest
from crosscheck.engines.statsmodels import ENGINE as STATSMODELS
from crosscheck.frame import Column, Frame
from crosscheck.results import CoefRow
from tests.mutants import Fault, _again
from tests.mutants_blind import design, extras, inside, option

LINEAR = ("feols",)


def fresh(request, frame):
    """Ask pyfixest without what it remembers, since functions below it may have been exchanged."""
    return Pyfixest().fit(request, frame)


def exchanged(owner: object, name: str, value: object, estimators: tuple[str, ...] = ()) -> Fault:
    """Ask pyfixest with something of the wrapper or the package exchanged."""

    def fit(request, frame):
        if estimators and request.estimator not in estimators:
            return fresh(request, frame)
        with mock.patch.object(owner, name, value):
            return fresh(request, frame)

    return fit


def after(change: Callable, base: Callable = fresh) -> Fault:
    """Change what is reported; ``change`` takes result, request and frame."""
    return lambda request, frame: change(base(request, frame), request, frame)


def before(change: Callable, base: Callable = fresh) -> Fault:
    """Change what is asked; ``change`` takes request and frame, and returns both."""
    return lambda request, frame: base(*change(request, frame))


def rows_of(result, quantity, change):
    """Change a column of a block of rows; ``change`` takes the values with NaN, and returns them."""
    made = []
    for block in result.blocks:
        if quantity not in block.quantities:
            made.append(block)
            continue
        at = block.quantities.index(quantity)
        values = np.array([np.nan if v is None else v for v in block.values[at]])
        new = tuple(None if np.isnan(v) else float(v) for v in change(values))
        made.append(replace(block, values=(*block.values[:at], new, *block.values[at + 1 :])))
    return result.with_(blocks=tuple(made))


# pyfixest


def names_exchanged(result, request, frame):
    if not result.dropped or len(result.coefs) < 2:
        return result
    *rest, first, last = result.coefs
    return result.with_(coefs=(*rest, replace(first, term=last.term), replace(last, term=first.term)))


def fitted_without_effects(result, request, frame):
    formula = formula_of(request)
    if formula is None or not formula.fixed_effects or formula.iv is not None:
        return result
    weights = {r.term: r.estimate or 0.0 for r in result.coefs}
    total = np.zeros(frame.nrows)
    for name, b in weights.items():
        if name not in frame or frame[name].kind == "category":
            return result
        total += b * frame[name].as_float()
    return rows_of(result, "fitted", lambda v: np.where(np.isnan(v), np.nan, total[: v.size]))


def sorted_residuals(result, request, frame):
    unit, time = frame[request.unit].codes()[0], frame[request.time].codes()[0]

    def change(values):
        known = np.flatnonzero(~np.isnan(values))
        if values.size != frame.nrows:
            return values
        order = known[np.lexsort((time[known], unit[known]))]
        out = values.copy()
        out[known] = values[order]
        return out

    return rows_of(result, "residuals", change)


def labels(change: Callable[[str], str]) -> Callable:
    """Make levels of factors other texts, and what is then the same one level."""

    def turned(request, frame: Frame):
        for name in groupings(request):
            column = frame[name]
            if column.kind != "category":
                continue
            texts = [change(text) for text in column.levels]
            levels = sorted(set(texts))
            new = np.array([levels.index(t) for t in texts] or [0], dtype=np.int32)
            codes = np.where(column.values < 0, -1, new[column.values]).astype(np.int32)
            frame = put(frame, Column(name, "category", codes, tuple(levels)))
        return request, frame

    return turned


def small_integers(request, frame: Frame):
    keys = (*groupings(request), *((request.weights.column,) if request.weights else ()))
    for name in request.columns:
        column = frame[name]
        if column.kind != "integer" or name in keys:
            continue
        values = column.as_float()
        ok = np.isfinite(values)
        cut = values.copy()
        cut[ok] = values[ok].astype(np.int64).astype(np.int16)
        frame = put(frame, Column(name, "float", cut))
    return request, frame


def rounded_weights(request, frame: Frame):
    if request.weights is None:
        return request, frame
    name = request.weights.column
    return request, put(frame, Column(name, "float", np.round(frame[name].as_float())))


def zero_lag(request, frame):
    if request.vcov.type not in ("NW", "DK") or request.vcov.lag != 0:
        return request, frame
    return with_request(request, vcov=request.vcov.model_copy(update={"lag": None})), frame


def periods_as_text(request, frame: Frame):
    if request.vcov.type not in ("NW", "DK") or request.time is None or "lag(" in (request.formula or ""):
        return request, frame
    values = frame[request.time].as_float()
    known = ~np.isnan(values)
    texts = sorted({repr(float(v)) for v in values[known]})
    place = {t: i for i, t in enumerate(texts)}
    low = np.nanmin(values)
    out = np.array([low + place[repr(float(v))] if k else np.nan for v, k in zip(values, known, strict=True)])
    return request, put(frame, Column(request.time, "float", out))


def averaged(request, frame: Frame):
    if request.estimator not in LINEAR or request.unit is None or request.time is None:
        return request, frame
    unit, time = frame[request.unit].codes()[0], frame[request.time].codes()[0]
    keys = np.stack([unit, time])
    known = (keys >= 0).all(axis=0)
    _, first, inverse = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    inverse = np.asarray(inverse).ravel()
    if first.size == frame.nrows or not known.all():
        return request, frame
    y = formula_of(request).lhs
    name = getattr(y, "name", "")
    if name not in frame:
        return request, frame
    values = frame[name].as_float()
    counts = np.bincount(inverse)
    means = np.bincount(inverse, weights=values) / counts
    whole = put(frame, Column(name, "float", means[inverse]))
    return request, whole.take(np.sort(first))


def robust(request, frame: Frame):
    formula = formula_of(request)
    name = getattr(formula.lhs, "name", "") if formula is not None else ""
    if request.estimator not in LINEAR or name not in frame:
        return request, frame
    y = frame[name].as_float()
    ok = np.isfinite(y)
    far = np.abs(y - y[ok].mean()) > 3 * y[ok].std() if ok.any() else ~ok
    return request, frame.take(~far)


def raw_polynomials(result, request, frame):
    """The coefficient of the square is that of x^2 as it stands."""
    if "poly(" not in (request.formula or ""):
        return result
    import re

    name = re.search(r"poly\(`?([^`,]+)`?, 2\)", request.formula)
    if name is None or name[1] not in frame:
        return result
    x = frame[name[1]].as_float()
    if not np.isfinite(x).all():
        return result
    z = x - x.mean()
    q = z**2 - (z**2).mean() - (z**3).mean() / (z**2).mean() * z
    scale = math.sqrt(float(q @ q))
    coefs = tuple(
        replace(r, estimate=r.estimate / scale) if "poly(" in r.term and r.term.endswith("2") and r.estimate else r
        for r in result.coefs
    )
    return result.with_(coefs=coefs)


def parts_exchanged(original):
    def member(models, kind, place, level):
        found = models.to_list() if hasattr(models, "to_list") else [models]
        if kind == "split" and len(found) > 1:
            own = [i for i, m in enumerate(found) if float(m._sample_split_value) == float(level)]
            if own:
                return found[(own[0] + 1) % len(found)]
        return original(models, kind, place, level)

    return member


def shared_rows(original):
    def several(text, data, kind):
        text, data, place = original(text, data, kind)
        return text, (data.dropna(subset=["second"]) if kind == "outcomes" else data), place

    return several


def effect_of_zero(result, request, frame):
    """Rows whose level the fit did not have are predicted by their regressors alone."""
    if not request.options.get("holdout"):
        return result
    formula = formula_of(request)
    if formula is None or not formula.fixed_effects:
        return result
    return rows_of(result, "predicted", lambda v: np.where(np.isnan(v), 0.0, v))


def without_constant(result, request, frame):
    if not request.options.get("holdout") or request.estimator != "feols":
        return result
    formula = formula_of(request)
    if formula is None or formula.fixed_effects or not formula.intercept:
        return result
    options = {k: v for k, v in request.options.items() if k != "holdout"}
    held = frame[request.options["holdout"]].as_float() != 0
    row = fresh(with_request(request, options=options), frame.take(~held)).coef("(Intercept)")
    if row is None or row.estimate is None:
        return result
    return rows_of(result, "predicted", lambda v: np.where(held[: v.size], v - row.estimate, v))


def sum_of_instruments(request, frame: Frame):
    formula = formula_of(request)
    if formula is None or formula.iv is None or len(formula.iv.instruments) < 2:
        return request, frame
    found = [str(t[0].name) for t in formula.iv.instruments if hasattr(t[0], "name")]
    if len(found) < 2:
        return request, frame
    total = sum((frame[n].as_float() for n in found[1:]), frame[found[0]].as_float())
    frame = put(frame, Column(found[0], "float", total))
    left, _, _ = request.formula.rpartition(" ~ ")
    return with_request(request, formula=f"{left} ~ `{found[0]}`"), frame


def n_over_n_less_one(result, request, frame):
    if request.estimator != "fepois" or request.vcov.canonical != "HC1" or not result.conventions.ssc_factor:
        return result
    n = result.stats.nobs or 2.0
    times = math.sqrt(n / (n - 1) / result.conventions.ssc_factor)
    return result.with_(
        coefs=tuple(
            _again(r, request.conf_level, std_error=r.std_error * times) if r.std_error else r for r in result.coefs
        )
    )


def rounded_p(result, request, frame):
    return result.with_(
        coefs=tuple(replace(r, p_value=round(r.p_value, 4)) if r.p_value is not None else r for r in result.coefs)
    )


def six_digits(result, request, frame):
    return result.with_(
        coefs=tuple(
            replace(r, estimate=float(f"{r.estimate:.6g}")) if r.estimate is not None else r for r in result.coefs
        )
    )


def zeros_for_dropped(result, request, frame):
    rows = tuple(CoefRow(term=term, estimate=0.0, std_error=0.0) for term in result.dropped)
    return result.with_(coefs=(*result.coefs, *rows), dropped=())


def silent(result, request, frame):
    return result.with_(conditions=())


def zeros_for_errors(request, frame):
    from crosscheck.errors import DataError
    from crosscheck.results import EstimationResult, FitStats

    try:
        return fresh(request, frame)
    except DataError:
        row = CoefRow(term="treated", estimate=0.0, std_error=0.0)
        return EstimationResult(engine="mine", coefs=(row,), stats=FitStats(nobs=float(frame.nrows)))


def loose_digits(request):
    return 1e-3, 1e-2


# linearmodels and statsmodels


def by_periods(request, frame: Frame):
    """A between estimate with each unit's mean times the root of its number of periods, as an estimate of the wrapper."""
    if request.estimator != "between" or request.unit is None:
        return LINEARMODELS.fit(request, frame)
    codes = frame[request.unit].codes()[0]
    counts = np.bincount(codes[codes >= 0])
    if counts.size < 3 or (counts == counts[0]).all():
        return LINEARMODELS.fit(request, frame)
    from linearmodels.panel import BetweenOLS

    original = BetweenOLS.__init__

    def weighted(self, dependent, exog, *, weights=None, check_rank=True):
        if weights is None:
            import pandas as pd

            index = dependent.index
            of = pd.Series(1.0, index=index).groupby(level=0).transform("count")
            weights = of
        original(self, dependent, exog, weights=weights, check_rank=check_rank)

    with mock.patch.object(BetweenOLS, "__init__", weighted):
        return LINEARMODELS.fit(request, frame)


def turned(base, estimator: str, **options) -> Fault:
    """Ask an engine with other options."""

    def fit(request, frame):
        if request.estimator == estimator:
            request = with_request(request, options={**request.options, **options})
        return base.fit(request, frame)

    return fit


def numbers(quantity: str, change: Callable, base=STATSMODELS) -> Fault:
    """Report an extra of Poisson and logit otherwise; ``change`` takes value, result, request, frame."""

    def fit(request, frame):
        result = base.fit(request, frame)
        if request.estimator not in ("fepois", "feglm"):
            return result
        made = tuple(
            replace(e, value=change(e.value, result, request, frame))
            if e.quantity == quantity and e.value is not None
            else e
            for e in result.extras
        )
        return result.with_(extras=made)

    return fit


def without_factorials(value, result, request, frame):
    if request.estimator != "fepois":
        return value
    y = frame[formula_of(request).lhs.name].as_float()
    block = result.block("rows")
    kept = (
        np.isfinite(y) if block is None or "fitted" not in block.quantities else
        np.array([v is not None for v in block["fitted"]])
    )  # fmt: skip
    return value + sum(math.lgamma(v + 1) for v in y[kept[: y.size]])


def by_deviances(value, result, request, frame):
    deviance = next((e.value for e in result.extras if e.quantity == "deviance"), None)
    if request.estimator != "fepois" or deviance is None:
        return value
    y = frame[formula_of(request).lhs.name].as_float()
    y = y[np.isfinite(y)]
    mean = y.mean()
    null = 2 * sum(v * math.log(v / mean) if v else 0.0 for v in y)
    return 1 - deviance / null if null else value


# csdid


def group_times(request, frame):
    return CsdidEngine().fit(request, frame)


class _Line:
    converged = True

    def __init__(self, d, x, w):
        root = np.sqrt(w)
        self.params = np.linalg.lstsq(x * root[:, None], d * root, rcond=None)[0]
        self._p = np.clip(x @ self.params, 1e-6, 1 - 1e-6)

    def predict(self):
        return self._p


def linear_probability(request, frame):
    from csdid.attgt_fnc import drdid_trim

    with mock.patch.object(drdid_trim, "_fit_panel_pscore", lambda d, x, w, cache: _Line(d, x, w)):
        return group_times(request, frame)


def units_less_one(result, request, frame):
    n = float(result.conventions.n_clusters[0])
    times = math.sqrt(n / (n - 1)) if n > 1 else 1.0
    return result.with_(
        coefs=tuple(
            _again(r, request.conf_level, std_error=r.std_error * times) if r.std_error else r for r in result.coefs
        )
    )


class _Later:
    """Covariates by period that are those of another one, whichever is asked for."""

    def __init__(self, by_period, at):
        self._found, self._at = by_period, at

    def __getitem__(self, index):
        return self._found[self._at]


def later_covariates(request, frame):
    import inspect

    from csdid.attgt_fnc import compute_att_gt2 as home

    original = home._att_gt_panel_cell
    signature = inspect.signature(original)

    def cell(*args, **more):
        bound = signature.bind(*args, **more).arguments
        at = max(bound["tn_idx"], bound["pret"])
        bound["period_cov"] = _Later(bound["period_cov"], at)
        bound["nuisance_cache"] = None
        return original(**bound)

    with mock.patch.object(home, "_att_gt_panel_cell", cell):
        return group_times(request, frame)


def other_sign_before(result, request, frame):
    def is_before(term: str) -> bool:
        if term.startswith("event="):
            return float(term.removeprefix("event=")) < 0
        inner = term.removeprefix("ATT(").removesuffix(")").split(",")
        return len(inner) == 2 and float(inner[1]) < float(inner[0])

    return result.with_(
        coefs=tuple(
            _again(replace(r, estimate=-r.estimate), request.conf_level) if r.estimate and is_before(r.term) else r
            for r in result.coefs
        )
    )


def all_cells(result, request, frame):
    if request.options.get("aggregation") != "simple":
        return result
    cells = group_times(with_request(request, options={**request.options, "aggregation": "none"}), frame)
    found = [r.estimate for r in cells.coefs if r.estimate is not None]
    first = result.coef("overall")
    if not found or first is None or first.std_error is None:
        return result
    return result.with_(coefs=(_again(replace(first, estimate=float(np.mean(found))), request.conf_level),))


def always_95(result, request, frame):
    return result.with_(coefs=tuple(_again(r, 0.95) if r.std_error else r for r in result.coefs))


# designs


def of_absolute_values(original):
    def quantiles(values, *args, **more):
        return original(np.abs(values), *args, **more)

    return quantiles


def of_direct(extra, result, request):
    if extra.quantity != "proportion":
        return extra.value
    indirect, direct = result.coef("effect:indirect"), result.coef("effect:direct")
    return extra.value if not direct.estimate else indirect.estimate / direct.estimate


def by_number_of_draws(extra, result, request):
    if extra.quantity != "se_bootstrap":
        return extra.value
    n = next(e.value for e in result.extras if e.quantity == "n_draws")
    return extra.value * math.sqrt((n - 1) / n)


def rademacher(original):
    def values_of(kind, codes):
        return original("rademacher", codes % 2) if kind == "webb" else original(kind, codes)

    return values_of


def complete_first(original):
    def sample_of(request, frame, options, **more):
        plain = _designs.plain_formula(request.formula)
        if plain is not None and options.winsorize is not None:
            keep = np.ones(frame.nrows, dtype=bool)
            for name in (plain.outcome, *plain.regressors, *more.get("numbers", ())):
                keep &= np.isfinite(frame[name].as_float())
            frame = frame.take(keep)
        return original(request, frame, options, **more)

    return sample_of


def first_two(request, frame):
    result = design(request, frame)
    if request.estimator != "subgroups" or not any(e.quantity == "wald_f" for e in result.extras):
        return result
    column = frame[request.options["group"]]
    codes, found = column.codes()
    if len(found) < 3:
        return result
    small = design(request, frame.take(codes <= 1))
    other = {(e.term, e.quantity): e.value for e in small.extras if e.term == "equality"}
    return result.with_(extras=tuple(replace(e, value=other.get((e.term, e.quantity), e.value)) for e in result.extras))


def last_of_equals(original):
    def find(distance, own, others, rules, width):
        return original(distance, own, others[::-1], rules, width)

    return find


def unmatched_kept(original):
    def match(score, distance, treated, blocks, rules):
        weight = original(score, distance, treated, blocks, rules)
        return np.where(treated & (weight == 0), 1.0, weight)

    return match


def relative_bias(extra, result, request):
    effect = request.options.get("effect")
    return extra.value / effect if extra.quantity == "bias" and effect else extra.value


def matching_home():
    from crosscheck.designs import matching

    return matching


MORE: dict[str, Callable[[], Fault]] = {
    "51 demeaning stops early": lambda: exchanged(pyfixest_home, "DEMEANER_TOL", 1e-3, LINEAR),
    "52 iterations stop early": lambda: exchanged(pyfixest_home, "IWLS_TOL", 1e-2, ("fepois", "feglm")),
    "53 nearly collinear dropped": lambda: exchanged(pyfixest_home, "COLLIN_TOL", 1e-2, LINEAR),
    "54 names exchanged after a drop": lambda: after(names_exchanged),
    "55 fitted without effects": lambda: after(fitted_without_effects),
    "56 residuals sorted": lambda: after(sorted_residuals),
    "57 lower case": lambda: before(labels(lambda t: t.strip().lower())),
    "58 ASCII alone": lambda: before(labels(lambda t: t.encode("ascii", "replace").decode())),
    "59 int16": lambda: before(small_integers),
    "60 weights rounded": lambda: before(rounded_weights),
    "61 lag of zero": lambda: before(zero_lag),
    "62 periods as text": lambda: before(periods_as_text),
    "63 duplicates averaged": lambda: before(averaged),
    "64 outliers left out": lambda: before(robust),
    "65 raw polynomials": lambda: after(raw_polynomials),
    "66 parts exchanged": lambda: exchanged(pyfixest_home, "_member", parts_exchanged(pyfixest_home._member)),
    "67 outcomes share rows": lambda: exchanged(pyfixest_home, "several", shared_rows(pyfixest_home.several)),
    "68 unknown level is zero": lambda: after(effect_of_zero),
    "69 predictions without constant": lambda: after(without_constant),
    "70 sum of instruments": lambda: before(sum_of_instruments),
    "71 Poisson N over N less one": lambda: after(n_over_n_less_one),
    "72 p of four digits": lambda: after(rounded_p),
    "73 six digits": lambda: after(six_digits),
    "74 zeros for dropped": lambda: after(zeros_for_dropped),
    "75 silent": lambda: after(silent),
    "76 zeros for errors": lambda: zeros_for_errors,
    "77 between by periods": lambda: by_periods,
    "78 always Swamy-Arora": lambda: turned(LINEARMODELS, "re", method="swar"),
    "79 always of units": lambda: turned(LINEARMODELS, "re", effect="individual"),
    "80 deviance halved": lambda: numbers("deviance", lambda v, *_: v / 2),
    "81 no factorials": lambda: numbers("log_likelihood", without_factorials),
    "82 ratio of deviances": lambda: numbers("pseudo_r2", by_deviances),
    "83 linear probability": lambda: linear_probability,
    "84 units less one": lambda: after(units_less_one, group_times),
    "85 later covariates": lambda: later_covariates,
    "86 other sign before": lambda: after(other_sign_before, group_times),
    "87 all cells": lambda: after(all_cells, group_times),
    "88 level of 95%": lambda: after(always_95, group_times),
    "89 absolute quantiles": lambda: inside(placebo, "quantiles", of_absolute_values),
    "90 proportion of direct": lambda: extras("mediation", of_direct),
    "91 draws divided": lambda: extras("mediation", by_number_of_draws),
    "92 Rademacher for Webb": lambda: inside(_designs_random, "values_of", rademacher),
    "93 shift of ten": lambda: option("entropy", shift=lambda s: 10 * (s or 1e-4)),
    "94 winsorized late": lambda: inside(_designs_panel, "sample_of", complete_first, "winsor_feols"),
    "95 first two groups": lambda: first_two,
    "96 last of equals": lambda: inside(matching_home(), "_with_replacement", last_of_equals),
    "97 score for logit": lambda: option("psm_did", distance="score"),
    "98 unmatched kept": lambda: inside(_designs_match, "match", unmatched_kept),
    "99 type one": lambda: option("describe", quantile="r1"),
    "100 relative bias": lambda: extras("monte_carlo", relative_bias),
}


def base_of_more(name: str) -> str:
    """Return the engine that a fault wraps."""
    number = int(name.split(maxsplit=1)[0])
    bounds = ((76, "pyfixest"), (79, "linearmodels"), (82, "statsmodels"), (88, "csdid"), (100, "designs"))
    return next(engine for last, engine in bounds if number <= last)
