"""What does linearmodels say? Pooled and panel least squares with effects, IV, random effects, the between estimator.

linearmodels reaches fixest's small-sample factors through its options where it reaches them at all; which, is worked
out in :mod:`crosscheck.engines._linearmodels_choice`, and nothing near them is given. Its t distribution always has the
residual degrees of freedom (the normal where the covariance is not debiased): a result says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from crosscheck.conventions import is_nested
from crosscheck.engines import _linearmodels_code
from crosscheck.engines._linearmodels_choice import Choice, Family, agrees, choose, factors, parameters
from crosscheck.engines._linearmodels_fit import OWN, run, run_panel
from crosscheck.engines._sample import Sample, counts_of, sample_of
from crosscheck.engines._shared import (
    Recording,
    coef_rows,
    definiteness_notes,
    finite,
    matrix_rows,
    require_df,
    rows_block,
    stat_extras,
    wald_f,
    wanted,
)
from crosscheck.engines.base import YES, Support
from crosscheck.errors import Unsupported
from crosscheck.formula import INTERCEPT, Formula, functions, parse
from crosscheck.results import Block, Conventions, EstimationResult, Extra, FitStats

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

MAX_DUMMIES = 1000
PANEL_EFFECTS = 2


def _refusal(request: FitRequest, formula: Formula) -> Support:
    """Say what of a request linearmodels cannot do, whatever the data."""
    if request.weights is not None and request.weights.type == "frequency":
        return Support("notyet", "linearmodels has analytic weights only")
    if "sunab" in functions(formula):
        return Support("notimpl", "sunab() is not wrapped for linearmodels")
    if request.estimator in ("re", "between"):
        refusal = _panel_refusal(request, formula)
        return _vcov_refusal(request, panel=True) if refusal is None else refusal
    panel = formula.iv is None and request.unit is not None and request.time is not None
    return _vcov_refusal(request, panel=panel)


def _panel_refusal(request: FitRequest, formula: Formula) -> Support | None:
    if request.unit is None or request.time is None:
        return Support("notimpl", f"{request.estimator} needs the study's unit and time; [data] names none")
    if formula.fixed_effects or formula.iv is not None:
        return Support("never", f"{request.estimator} takes neither fixed effects nor instruments")
    if not formula.intercept:
        return Support("notimpl", f"{request.estimator} without an intercept is not wrapped")
    if request.weights is not None:
        return Support("notimpl", f"weights in {request.estimator} are not wrapped")
    if request.estimator == "re":
        method, effect = request.options.get("method", "swar"), request.options.get("effect", "individual")
        if method != "swar":
            return Support(
                "notyet", f"linearmodels estimates variance components by Swamy and Arora only, not {method}"
            )
        if effect == "twoways":
            return Support("notyet", "linearmodels has one-way random effects only")
    elif request.vcov.canonical not in ("iid", "HC1"):
        return Support("notimpl", f"{request.vcov.type} of the between estimator is not wrapped")
    return None


def _vcov_refusal(request: FitRequest, *, panel: bool) -> Support:
    vcov, ssc = request.vcov.canonical, request.ssc
    if vcov in ("HC2", "HC3", "CRV3"):
        return Support("notyet", f"linearmodels has no {vcov}")
    if vcov == "iid" and not ssc.k_adj:
        return Support("notyet", "linearmodels divides SSR by N or N - K; k_adj = false asks for N - 1")
    if vcov == "CRV1":
        if ssc.k_adj != ssc.g_adj:
            gives = "N / (N - K)" if ssc.k_adj else "G / (G - 1) (N - 1) / N"
            return Support("notyet", f"with one of k_adj and g_adj linearmodels multiplies by {gives}")
        if len(request.vcov.cluster) > 1 and ssc.g_adj and ssc.g_df == "min":
            return Support("notyet", 'linearmodels gives each dimension its own G / (G - 1): g_df = "conventional"')
    if vcov in ("NW", "DK"):
        if not panel:
            return Support("notimpl", f"{vcov} needs the study's unit and time, and no instruments")
        if ssc.k_adj or ssc.g_adj:
            return Support(
                "notyet",
                f"linearmodels multiplies {vcov} by 1 or N / (N - K), never by T / (T - 1) (N - 1) / (N - K); set "
                "k_adj = false and g_adj = false",
            )
    return YES


class Linearmodels:
    """linearmodels as an engine."""

    id = "linearmodels"
    language: Literal["python"] = "python"
    packages = ("linearmodels",)

    def supports(self, request: FitRequest) -> Support:
        """Say whether linearmodels gives exactly what is asked, as far as that does not hang on the data."""
        if request.estimator not in ("feols", "re", "between"):
            return Support("notyet", f"linearmodels has no {request.estimator}")
        return _refusal(request, parse(request.formula))

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Estimate with linearmodels.

        Raises
        ------
        Unsupported
            Where its options do not reach the covariance that is asked for on these data.
        DataError
            Where the sample is empty or saturated.
        """
        formula = parse(request.formula, columns=frame.names)
        refusal = _refusal(request, formula)
        if not refusal:
            raise Unsupported(f"{refusal.reason} ({refusal.reach})")
        sample = sample_of(request, formula, frame)
        family: Family = "panel"
        if formula.iv is not None:
            family = "iv"
        elif sample.unit is None or len(sample.effects) > PANEL_EFFECTS:
            family = "absorbing" if sample.effects else "iv"
        if family != "panel" and request.vcov.canonical in ("NW", "DK"):
            raise Unsupported(
                f"{request.vcov.type} needs PanelOLS: at most {PANEL_EFFECTS} effects, one row for each unit and time "
                "(notyet)"
            )
        return _answer(self.id, request, sample, family)

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return Python that reproduces the fit by hand."""
        return _linearmodels_code.write(request, data_path)


def _answer(engine: str, request: FitRequest, sample: Sample, family: Family) -> EstimationResult:
    m = sample.matrix
    n = float(sample.n)
    if request.estimator == "between":
        assert sample.unit is not None
        n = float(sample.unit.max()) + 1
    k = len(m.names) + len(m.endogenous_names)
    require_df(n, sum(sample.sizes) - max(len(sample.sizes) - 1, 0))
    counts = counts_of(request, sample, n, k)
    uncounted = (
        len(sample.sizes) == 1
        and bool(sample.clusters)
        and all(is_nested(next(iter(sample.effects.values())), c) for c in sample.clusters.values())
    )
    vcov = request.vcov.canonical
    choice = choose(
        vcov,
        wanted(request, counts),
        n=n,
        k=k,
        sizes=sample.sizes,
        nested=counts.nested,
        uncounted=uncounted,
        clusters=counts.n_clusters,
        family=family,
    )
    if choice is None:
        raise Unsupported(
            f"no options of linearmodels count K = {wanted(request, counts).k:g} as k_fixef = "
            f"{request.ssc.k_fixef!r} asks (notyet)"
        )
    if sum(sample.sizes[i] for i in choice.dummies) > MAX_DUMMIES:
        raise Unsupported(
            f"linearmodels would need more than {MAX_DUMMIES} dummies to count the fixed effects as asked (notimpl)"
        )
    result, recorded = run(request, sample, choice, family)
    if request.options.get("call"):
        return _plainly(engine, result, recorded)
    return _report(engine, request, sample, choice, family, result, recorded)


def _plainly(engine: str, result: Any, recorded: Recording) -> EstimationResult:
    """Report a fit by the package's own defaults: they are no request's, and are held against one another only."""
    bounds = result.conf_int().to_numpy()
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(
            tuple(str(name) for name in result.params.index),
            result.params, result.std_errors, result.tstats, result.pvalues, bounds[:, 0], bounds[:, 1], None,
        ),
        stats=FitStats(nobs=float(result.nobs), r2=finite(result.rsquared), df_resid=float(result.df_resid)),
        conditions=recorded.conditions,
        seconds=recorded.seconds,
    )  # fmt: skip


def _report(
    engine: str,
    request: FitRequest,
    sample: Sample,
    choice: Choice,
    family: Family,
    result: Any,
    recorded: Recording,
) -> EstimationResult:
    m = sample.matrix
    terms = (*m.names, *m.endogenous_names)
    fitted = [str(name) for name in result.params.index]
    shown = [name for name in fitted if not name.startswith(OWN)]
    places = [fitted.index(name) for name in shown]
    n = float(result.nobs)
    counts = counts_of(request, sample, n, len(shown))
    asked = wanted(request, counts)
    vcov = request.vcov.canonical
    _, e = parameters(choice, sample.sizes, len(shown))
    given = factors(vcov, n, len(fitted), e, counts.n_clusters, choice, family)
    if not agrees(asked, given):
        raise Unsupported("linearmodels dropped absorbed regressors and its count is not the one asked for (notyet)")
    df = _df(result, choice, family)
    interval = result.conf_int(request.conf_level).to_numpy()[places]
    notes = []
    df_asked = math.inf if request.estimator == "re" else asked.df_t
    if df != df_asked:
        named = "normal distribution" if math.isinf(df) else f"t distribution with {df:g} degrees of freedom"
        meant = "the normal" if math.isinf(df_asked) else f"{df_asked:g}"
        notes.append(f"{named}; the request asks for {meant}")
    if choice.constant and choice.dummies and family == "panel":
        notes.append("effects that are not nested in the clusters enter as dummies, so that they alone are counted")
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(
            shown,
            result.params.to_numpy()[places],
            result.std_errors.to_numpy()[places],
            result.tstats.to_numpy()[places],
            result.pvalues.to_numpy()[places],
            interval[:, 0],
            interval[:, 1],
            df,
        ),
        stats=_stats(request, sample, choice, family, result),
        extras=(*_components(request, result), *_statistics(request, choice, family, result, shown)),
        blocks=_rows(request, sample, choice, result),
        conventions=Conventions(
            vcov=vcov,
            cluster=request.vcov.cluster,
            k=float(asked.k),
            k_fixef=request.ssc.k_fixef,
            ssc_factor=finite(asked.factor),
            n_clusters=tuple(int(c.max()) + 1 for c in sample.clusters.values()),
            distribution="normal" if math.isinf(df) else "t",
            df_t=df,
            singletons_dropped=0,
            rows_dropped=sample.rows_dropped,
            notes=(*notes, *definiteness_notes(request, result.cov)),
        ),
        vcov=matrix_rows(np.asarray(result.cov)[np.ix_(places, places)]),
        dropped=tuple(term for term in terms if term not in shown),
        conditions=recorded.conditions,
        seconds=recorded.seconds,
    )


def _statistics(
    request: FitRequest, choice: Choice, family: Family, result: Any, shown: list[str]
) -> tuple[Extra, ...]:
    """Return what else is wanted of the fit, as linearmodels has it."""
    own = len(shown) < len(result.params)
    if not request.also or own or request.estimator != "feols":
        return ()
    tested = [j for j, term in enumerate(shown) if term != INTERCEPT]
    wald = None
    if tested and wald_f(shown, result.params.to_numpy(), result.cov) is not None:
        wald = float(result.wald_test(np.eye(len(shown))[tested]).stat) / len(tested)
    plain = family == "panel" and choice.debiased and tested and request.vcov.canonical == "iid"
    plain = plain and request.ssc.k_fixef != "none"
    return stat_extras(
        request,
        wald=wald,
        f=float(result.f_statistic.stat) if plain else None,
        log_likelihood=result.loglik if family == "panel" and request.weights is None else None,
    )


def _rows(request: FitRequest, sample: Sample, choice: Choice, result: Any) -> tuple[Block, ...]:
    """Return residuals in the order of the data's rows; linearmodels' fitted values leave the effects out."""
    if "residuals" not in request.also or request.estimator != "feols" or request.options.get("dress"):
        return ()
    return rows_block(request, sample.nrows, sample.places, {"residuals": np.asarray(result.resids)})


def _df(result: Any, choice: Choice, family: Family) -> float:
    """Degrees of freedom of the t distribution that linearmodels used; infinity for the normal."""
    used = bool(getattr(result, "debiased", choice.debiased or family == "absorbing"))
    return float(result.df_resid) if used else math.inf


def _stats(request: FitRequest, sample: Sample, choice: Choice, family: Family, result: Any) -> FitStats:
    """Take those R2 of linearmodels that mean what fixest's mean: ``r2`` with the effects, ``r2_within`` without."""
    r2: float | None = None
    within: float | None = None
    intercept = INTERCEPT in sample.matrix.names
    if request.estimator == "re":
        assert sample.unit is not None
        balanced = np.unique(np.bincount(sample.unit)).size == 1
        r2 = float(result.rsquared) if balanced else None
    elif family == "absorbing":
        r2, within = float(result.rsquared), float(result.absorbed_rsquared)
    elif family == "iv":
        r2 = float(result.rsquared) if intercept and not sample.matrix.endogenous_names else None
    elif sample.effects:
        r2 = float(result.rsquared_inclusive)
        within = _within(request, sample, choice, result)
    elif intercept:
        r2 = float(result.rsquared)
    return FitStats(nobs=float(result.nobs), r2=finite(r2), r2_within=finite(within), df_resid=float(result.df_resid))


def _within(request: FitRequest, sample: Sample, choice: Choice, result: Any) -> float:
    if not choice.dummies:
        return float(result.rsquared)
    plain = Choice(absorbed=tuple(range(len(sample.effects))))
    return float(run_panel(request, sample, plain).rsquared)


def _components(request: FitRequest, result: Any) -> tuple[Extra, ...]:
    """Standard deviations of the error components, and the unit's share of the variance."""
    if request.estimator != "re":
        return ()
    parts = result.variance_decomposition
    effect, rest = float(parts["Effects"]), float(parts["Residual"])
    individual = request.options.get("effect", "individual") == "individual"
    values = {"sigma_mu" if individual else "sigma_lambda": math.sqrt(effect), "sigma_nu": math.sqrt(rest)}
    if individual:
        values["rho"] = effect / (effect + rest)
    return tuple(Extra(term=term, quantity="estimate", value=value) for term, value in values.items())


ENGINE = Linearmodels()
