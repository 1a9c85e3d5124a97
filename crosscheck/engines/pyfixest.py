"""What does pyfixest say? Least squares and Poisson with fixed effects, IV, and Sun-Abraham through its ``i()``.

Every option that decides a number is passed. The small-sample factor that pyfixest used is checked against the one that
was asked for; where they differ the answer is ``unsupported`` and never a number near it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import SmallSample, all_parameters, interval, p_of
from crosscheck.engines import _pyfixest_code
from crosscheck.engines import _pyfixest_versions as versions
from crosscheck.engines._dress import dressed
from crosscheck.engines._pyfixest_covariance import NO_FACTOR, Covariance, covariance_of, ssc_of
from crosscheck.engines._pyfixest_design import Design, build
from crosscheck.engines._shared import (
    Recording,
    codes_of,
    coef_rows,
    counts_for,
    definiteness_notes,
    finite,
    matrix_rows,
    recording,
    require_df,
    rows_block,
    stat_extras,
    wald_f,
    wanted,
)
from crosscheck.engines._sunab import aggregation
from crosscheck.engines._two_stage import by_pyfixest, two_stage_support
from crosscheck.engines._ways import PART, SPLITS, several, written_out
from crosscheck.engines.base import YES, Support
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import INTERCEPT, Formula, functions, parse
from crosscheck.results import Block, CoefRow, Condition, Conventions, EstimationResult, Extra, FitStats

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

DEMEANER_TOL = 1e-12
DEMEANER_MAXITER = 10_000
COLLIN_TOL = 1e-9
IWLS_TOL = 1e-14
IWLS_MAXITER = 200
SOLVER = "scipy.linalg.solve"
OWN_LEVEL = 0.95  # of the bounds that a fit and vcov() leave behind
ITERATED = ("fepois", "feglm")


@dataclass
class _Last:
    """The model fitted last, so that another covariance of it costs no fit."""

    key: tuple[object, ...] = ()
    design: Design | None = None
    model: Any = None
    recorded: Recording = field(default_factory=Recording)


def _refusal(request: FitRequest, formula: Formula) -> Support:
    """Say what of a request pyfixest or this wrapper cannot do."""
    vcov, effects, iv = request.vcov.canonical, bool(formula.fixed_effects), formula.iv is not None
    if vcov in ("HC2", "HC3") and effects:
        return Support("notyet", f"pyfixest refuses {vcov} with fixed effects")
    if vcov in NO_FACTOR and iv:
        return Support("notyet", f"pyfixest refuses {vcov} after instruments")
    if vcov == "CRV3":
        return Support(
            "notyet", "pyfixest multiplies the sum of CRV3 by its ssc() factors and leaves its (G - 1) / G out"
        )
    if request.estimator in ITERATED:
        if vcov in ("HC2", "HC3", "NW", "DK"):
            return Support("notimpl", f"{vcov} after {request.estimator} is not wrapped for pyfixest")
        if request.estimator == "feglm" and request.weights is not None:
            return Support("notyet", "pyfixest's feglm takes no weights")
        if request.options.get("family") == "gaussian" and vcov == "iid":
            return Support("notyet", "pyfixest's feglm leaves sigma^2 out of the gaussian iid covariance")
    if vcov in ("NW", "DK"):
        if request.time is None:
            return Support("notimpl", f"{vcov} needs the study's time column; [data] names none")
        if vcov == "NW" and request.unit is None and request.vcov.lag is None:
            return Support("notyet", "pyfixest has no automatic lag for one time series; set vcov.lag")
    if effects and not (formula.terms or iv):
        return Support("notyet", "pyfixest gives no statistics of a model of fixed effects alone")
    if formula.iv is not None:
        if request.estimator != "feols":
            return Support("never", "instruments belong to least squares")
        if len(formula.iv.endogenous) > 1:
            return Support("notyet", "pyfixest takes one endogenous regressor")
        if not (formula.intercept or effects):
            return Support("notimpl", "instruments without an intercept are not wrapped for pyfixest")
    if ("sunab" in functions(formula)) != (request.estimator == "sunab"):
        return Support("never", 'sunab(cohort, period) in the formula and estimator = "sunab" go together')
    return YES


class Pyfixest:
    """pyfixest as an engine."""

    id = "pyfixest"
    language: Literal["python"] = "python"
    packages = ("pyfixest",)

    def __init__(self) -> None:
        self._last = _Last()

    def supports(self, request: FitRequest) -> Support:
        """Say whether pyfixest gives exactly what the request asks for."""
        if request.estimator == "did2s":
            return two_stage_support(request)
        if request.estimator not in ("feols", "fepois", "feglm", "sunab"):
            lacking = {
                "re": ("notyet", "pyfixest has no random effects"),
                "between": ("notyet", "pyfixest has no between estimator"),
                "att_gt": ("notyet", "pyfixest has no Callaway-Sant'Anna estimator"),
            }
            other = ("never", f"{request.estimator} is a design, not an estimator of pyfixest")
            reach, reason = lacking.get(request.estimator, other)
            return Support(reach, reason)  # type: ignore[arg-type]
        return _refusal(request, parse(request.formula))

    def supports_at(self, request: FitRequest, version: str) -> Support:
        """Say whether a version of pyfixest gives exactly what the request asks for."""
        reason = versions.refusal(version)
        return Support("notimpl", reason) if reason else self.supports(request)

    def needs(self, version: str) -> tuple[str, ...]:
        """Return what a version of pyfixest needs and does not say."""
        return versions.INCOMPLETE.get(version, ())

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Estimate with pyfixest.

        Raises
        ------
        Unsupported
            Where the data show that pyfixest would use another convention than the one asked for.
        DataError
            Where the sample is empty, saturated, or all regressors are collinear.
        """
        if request.estimator == "did2s":
            return by_pyfixest(self.id, request, frame)
        formula = parse(request.formula, columns=frame.names)
        refusal = _refusal(request, formula)
        if not refusal:
            raise Unsupported(f"{refusal.reason} ({refusal.reach})")
        if request.options.get("holdout"):
            return _predictions(self.id, request, formula, frame)
        model, design, recorded = self._model(request, formula, frame)
        if request.options.get("call"):
            return _plainly(self.id, request, model, design, recorded)
        if not formula.intercept and "Intercept" in model._coefnames:
            version = versions.installed()
            raise Unsupported(f"pyfixest {version} keeps the intercept that the formula takes out (notyet)")
        return _result(self.id, request, _part(request, frame), model, design, recorded)

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return Python that reproduces the fit by hand."""
        return _pyfixest_code.write(request, data_path)

    def _model(self, request: FitRequest, formula: Formula, frame: Frame) -> tuple[Any, Design, Recording]:
        """Fit, or give the last model another covariance where only that differs."""
        unknown = tuple(c for c in request.vcov.cluster if frame[c].missing.any())
        serial = request.vcov.type if request.vcov.type in ("NW", "DK") else ""
        key = (
            frame.key,
            request.estimator,
            request.formula,
            request.weights,
            request.unit,
            request.time,
            unknown,
            serial,
            *(f"{word}={request.options[word]}" for word in sorted(request.options)),
            str(request.vcov) if request.options.get("call") else "",
        )
        last = self._last
        if last.key == key and last.design is not None:
            covariance = covariance_of(request, frame, last.design)
            with recording() as made:
                last.model._ssc_dict = ssc_of(request)
                if covariance.clusters:
                    last.model.vcov(covariance.type, data=covariance.frame())
                else:
                    last.model.vcov(
                        covariance.type, **versions.accepted(last.model.vcov, {"vcov_kwargs": covariance.kwargs})
                    )
            made.conditions = (*last.recorded.conditions, *made.conditions)
            return last.model, last.design, made
        self._last = _Last()
        design = build(formula, request, frame)
        covariance = covariance_of(request, frame, design)
        if request.options.get("several") in SPLITS:
            model, made, design = _of_split(request, formula, frame, design, covariance)
        else:
            model, made = _estimate(request, design, covariance)
        self._last = _Last(key, design, model, made)
        return model, design, made


def tolerances(request: FitRequest) -> tuple[float, float]:
    """Return the tolerances of the demeaner and of a GLM's iterations: the request's own, or the tightest."""
    asked = request.options.get("tolerance")
    return (DEMEANER_TOL, IWLS_TOL) if asked is None else (float(asked), float(asked))


def _predictions(engine: str, request: FitRequest, formula: Formula, frame: Frame) -> EstimationResult:
    """Fit on the rows that are not held out, and predict all rows that can be used."""
    import pandas as pd

    whole = build(formula, request, frame)
    train = (frame[request.options["holdout"]].as_float() == 0)[whole.rows]
    rows = whole.rows.copy()
    rows[rows] = train
    full = rows.copy()
    full[rows] = whole.complete[train]
    part = replace(
        whole,
        data={name: column[train] for name, column in whole.data.items()},
        rows=rows,
        complete=whole.complete[train],
        effects={fe: codes_of(frame, fe)[full] for fe in whole.effects},
        weights=None if whole.weights is None else whole.weights[train],
    )
    if not part.complete.any():
        raise DataError("every row that can be used is held out")
    model, recorded = _estimate(request, part, covariance_of(request, frame, part))
    kind = "link" if request.estimator == "feols" else "response"
    given = model.predict(newdata=pd.DataFrame(whole.data), type=kind, atol=DEMEANER_TOL, btol=DEMEANER_TOL)
    return EstimationResult(
        engine=engine,
        stats=FitStats(nobs=float(model._N)),
        blocks=rows_block(request, frame.nrows, whole.rows, {"predicted": given}),
        conditions=recorded.conditions,
        seconds=recorded.seconds,
    )


def _of_split(
    request: FitRequest, formula: Formula, frame: Frame, design: Design, covariance: Covariance
) -> tuple[Any, Recording, Design]:
    """Fit a model for each part of the sample; return that of the part asked for, and the part's own design."""
    codes = codes_of(frame, (str(request.options["by"]),))
    design.data[PART] = np.where(codes < 0, np.nan, codes)[design.rows]
    model, made = _estimate(request, design, covariance)
    return model, made, build(formula, request, _part(request, frame))


def _part(request: FitRequest, frame: Frame) -> Frame:
    """Return the rows that the model asked for is about."""
    if request.options.get("several") != "split":
        return frame
    return frame.take(codes_of(frame, (str(request.options["by"]),)) == request.options["level"])


def _by_call(request: FitRequest, text: str, data: Any, covariance: Covariance) -> Any:
    """Fit with the options that give the question its meaning, and the others left out or at their stated defaults."""
    import pyfixest as pf

    estimate = {"fepois": pf.fepois, "feglm": pf.feglm}.get(request.estimator, pf.feols)
    way = request.options["call"]
    given: dict[str, Any] = {"family": request.options["family"]} if request.estimator == "feglm" else {}
    if covariance.type != "iid" or way == "explicit":
        given["vcov"] = covariance.type
    if covariance.kwargs is not None:
        given["vcov_kwargs"] = covariance.kwargs
    if request.weights is not None:
        given["weights"] = "w0"
        if request.weights.type == "frequency":
            given["weights_type"] = "fweights"
    if way == "explicit":
        given["ssc"] = pf.ssc(k_adj=True, k_fixef="nonnested", G_adj=True, G_df="min")
        given["demeaner"] = pf.MapDemeaner()
        if request.estimator in ITERATED:
            given["separation_check"] = ["fe"]
    without = ("demeaner_backend", "fixef_tol", "fixef_maxiter", "context", "split", "fsplit")
    return estimate(text, data, **written_out(estimate, given, way, without))


def _plainly(engine: str, request: FitRequest, model: Any, design: Design, recorded: Recording) -> EstimationResult:
    """Report a fit by the package's own defaults: they are no request's, and are held against one another only."""
    bounds = np.asarray(model._conf_int)
    glm = request.estimator in ITERATED
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(
            tuple(design.label(name) for name in model._coefnames),
            model._beta_hat, model._se, model._tstat, model._pvalue, bounds[0], bounds[1],
            math.inf if glm else float(model._df_t),
        ),
        stats=FitStats(nobs=float(model._N), r2=None if glm else finite(model._r2)),
        dropped=tuple(design.label(name) for name in model._collin_vars),
        conditions=recorded.conditions,
        seconds=recorded.seconds,
    )  # fmt: skip


def _estimate(request: FitRequest, design: Design, covariance: Covariance) -> tuple[Any, Recording]:
    import pandas as pd
    import pyfixest as pf

    n = int(design.complete.sum())
    demeaner_tol, iwls_tol = tolerances(request)
    require_df(n, all_parameters(0, [int(np.unique(c).size) for c in design.effects.values()]))
    options: dict[str, Any] = {
        "vcov": covariance.type,
        "vcov_kwargs": covariance.kwargs,
        "ssc": ssc_of(request),
        "fixef_rm": "none",
        "collin_tol": COLLIN_TOL,
        "drop_intercept": False,
        "solver": SOLVER,
        **versions.demeaning(demeaner_tol, DEMEANER_MAXITER),
        "copy_data": False,
        "store_data": True,
        "lean": False,
    }
    if request.estimator in ITERATED:
        options |= {"iwls_tol": iwls_tol, "iwls_maxiter": IWLS_MAXITER, "separation_check": []}
    if request.estimator == "feglm":
        options |= {"family": request.options["family"], "accelerate": False}
    else:
        frequency = request.weights is not None and request.weights.type == "frequency"
        options |= {
            "weights": None if request.weights is None else "w0",
            "weights_type": "fweights" if frequency else "aweights",
        }
    estimate = {"fepois": pf.fepois, "feglm": pf.feglm}.get(request.estimator, pf.feols)
    options = versions.accepted(estimate, options)
    # pyfixest 0.60 does not hand vcov_kwargs on to the first stage of IV, and fails there
    later = covariance.kwargs is not None and design.instruments
    if later:
        options |= {"vcov": "iid", "vcov_kwargs": None}
    kind = request.options.get("several")
    text, data, place = several(design.text, pd.DataFrame({**design.data, **covariance.columns}, copy=False), kind)
    data = dressed(
        data, request.options.get("dress"), (*design.effect_names, *(c for c in covariance.columns if c != "t0"))
    )
    if kind in SPLITS:
        options |= {kind: PART}
    with recording() as made:
        try:
            if request.options.get("call"):
                return _by_call(request, text, data, covariance), made
            model = estimate(text, data, **options)
            if kind is not None:
                model = _member(model, kind, place, request.options.get("level"))
            if later:
                model.vcov(covariance.type, vcov_kwargs=covariance.kwargs)
        except (ValueError, RuntimeError, np.linalg.LinAlgError) as error:
            text = " ".join(design.translate(str(error)).split())
            raise DataError(f"pyfixest cannot fit this model: {text}") from error
        except ZeroDivisionError as error:
            raise DataError(f"the model is saturated: {n} observations leave no degrees of freedom") from error
    if request.estimator in ITERATED and not model.convergence:
        raise DataError(f"pyfixest's iterations did not converge to {iwls_tol:g} in {IWLS_MAXITER} steps")
    made.conditions = tuple(Condition(kind=c.kind, text=design.translate(c.text), cls=c.cls) for c in made.conditions)
    return model, made


def _member(models: Any, kind: str, place: int, level: Any) -> Any:
    """Return the one of several models that was asked for.

    Raises
    ------
    DataError
        Where the package has no model of that part of the sample.
    """
    found = models.to_list() if hasattr(models, "to_list") else [models]
    if kind == "split":
        found = [m for m in found if float(m._sample_split_value) == float(level)]
        if not found:
            raise DataError("there is no model of this part of the sample")
    return found[place]


def _result(
    engine: str, request: FitRequest, frame: Frame, model: Any, design: Design, recorded: Recording
) -> EstimationResult:
    covariance = covariance_of(request, frame, design)
    terms = tuple(design.label(name) for name in model._coefnames)
    n, k = float(model._N), int(model._k)
    sizes = [int(size) for size in model._k_fe] if design.effects else []
    parameters = all_parameters(k, sizes)
    require_df(n, parameters)
    expected = _check(request, model, design, covariance, n, k)
    glm = request.estimator in ITERATED
    df_t = math.inf if glm else float(model._df_t)
    notes = []
    if not glm and df_t != expected.df_t:
        notes.append(f"t distribution with {df_t:g} degrees of freedom; the request asks for {expected.df_t:g}")
    if request.options.get("family") == "gaussian":
        notes.append(f"normal distribution; fixest takes t with {expected.df_t:g} degrees of freedom")
    if request.estimator == "sunab":
        notes.append(
            "averages over cohorts and their covariance made by crosscheck from pyfixest's coefficients and covariance"
        )
        coefs, matrix = _aggregated(request, model, design, terms, df_t)
    else:
        if request.conf_level != OWN_LEVEL:
            with np.errstate(invalid="ignore", divide="ignore"):
                model.get_inference(alpha=1 - request.conf_level)
        bounds = np.asarray(model._conf_int)
        coefs = coef_rows(terms, model._beta_hat, model._se, model._tstat, model._pvalue, bounds[0], bounds[1], df_t)
        matrix = model._vcov
    return EstimationResult(
        engine=engine,
        coefs=coefs,
        stats=FitStats(
            nobs=n,
            r2=None if glm else finite(model._r2),
            adj_r2=None if glm else finite(model._adj_r2),
            r2_within=None if glm or not design.effects else finite(model._r2_within),
            df_resid=n - parameters,
        ),
        conventions=Conventions(
            vcov=request.vcov.canonical,
            cluster=request.vcov.cluster,
            k=float(getattr(model, "_df_k", expected.k)),
            k_fixef=request.ssc.k_fixef,
            ssc_factor=finite(expected.factor),
            n_clusters=tuple(int(np.unique(c).size) for c in covariance.clusters.values()),
            distribution="normal" if glm else "t",
            df_t=df_t,
            singletons_dropped=0,
            rows_dropped=frame.nrows - int(model._N_rows),
            notes=(*notes, *definiteness_notes(request, matrix)),
        ),
        vcov=matrix_rows(matrix),
        dropped=tuple(design.label(name) for name in model._collin_vars),
        extras=_statistics(request, model, terms),
        blocks=_rows(request, frame, model, design),
        conditions=recorded.conditions,
        seconds=recorded.seconds,
    )


def _statistics(request: FitRequest, model: Any, terms: tuple[str, ...]) -> tuple[Extra, ...]:
    """Return what else is wanted of the fit, as pyfixest has it."""
    if not request.also or request.estimator == "sunab":
        return ()
    glm = request.estimator in ITERATED
    tested = [j for j, term in enumerate(terms) if term != INTERCEPT]
    wald = None
    if "wald" in request.also and tested and wald_f(terms, model._beta_hat, model._vcov) is not None:
        model.wald_test(R=np.eye(len(terms))[tested], distribution="chi2")
        wald = model._f_statistic  # what is returned is chi2 or F, as R is the identity or not
    return stat_extras(
        request,
        wald=wald,
        adj_r2_within=None if glm else getattr(model, "_adj_r2_within", None),
        log_likelihood=getattr(model, "_loglik", None) if request.estimator == "fepois" else None,
        pseudo_r2=getattr(model, "_pseudo_r2", None) if request.estimator == "fepois" else None,
        deviance=getattr(model, "deviance", None) if request.estimator == "fepois" else None,
    )


def _rows(request: FitRequest, frame: Frame, model: Any, design: Design) -> tuple[Block, ...]:
    """Return fitted values and residuals, as the package's own methods give them."""
    if not request.also or request.estimator == "sunab" or design.instruments:  # predict() refuses IV
        return ()
    used = np.flatnonzero(design.rows)[design.complete]
    found: dict[str, Any] = {}
    if "residuals" in request.also and request.estimator == "feols":
        found["residuals"] = model.resid()
    if "fitted" in request.also:
        found["fitted"] = model.predict() if request.estimator == "feols" else model.predict(type="response")
    if any(np.size(v) != used.size for v in found.values()):
        return ()
    return rows_block(request, frame.nrows, used, found)


def _aggregated(
    request: FitRequest, model: Any, design: Design, terms: tuple[str, ...], df_t: float
) -> tuple[tuple[CoefRow, ...], NDArray[np.float64]]:
    """Average the cohorts' effects with their shares in the estimation sample as weights."""
    used = design.complete
    weights = np.ones(int(used.sum())) if design.weights is None else design.weights[used]
    sizes = {name: float(weights @ design.data[alias][used]) for alias, name in design.cell_columns()}
    names, matrix = aggregation(terms, sizes, request.options.get("aggregation", "dynamic"))
    estimates = matrix @ model._beta_hat
    covariance = matrix @ model._vcov @ matrix.T
    with np.errstate(invalid="ignore"):
        std_errors = np.sqrt(np.diag(covariance))
    statistics = estimates / std_errors
    bounds = [interval(b, s, df_t, request.conf_level) for b, s in zip(estimates, std_errors, strict=True)]
    return coef_rows(
        names,
        estimates,
        std_errors,
        statistics,
        [p_of(t, df_t) for t in statistics],
        [low for low, _ in bounds],
        [high for _, high in bounds],
        df_t,
    ), covariance


def _check(request: FitRequest, model: Any, design: Design, covariance: Covariance, n: float, k: int) -> SmallSample:
    """Compare what pyfixest counted with what the request asks for.

    Raises
    ------
    Unsupported
        Where the small-sample factor would be another one.
    """
    counts = counts_for(
        request, n=n, n_coef=k, effects=design.effects, clusters=covariance.clusters, periods=covariance.periods
    )
    asked = wanted(request, counts)
    counted = getattr(model, "_df_k", asked.k)  # pyfixest before 0.40 does not tell; its factor is checked below
    if float(counted) != asked.k and (request.ssc.k_adj and request.vcov.canonical not in NO_FACTOR):
        raise Unsupported(
            f"pyfixest counts K = {counted} in N - K where fixest's rule k_fixef = {request.ssc.k_fixef!r} counts "
            f"{asked.k} (notyet)"
        )
    used = np.abs(np.asarray(model._ssc, dtype=np.float64).reshape(-1))
    factors = np.asarray([asked.k_factor * g for g in asked.g_factors])
    if used.shape != factors.shape or not np.allclose(used, factors, rtol=1e-12, atol=0):
        raise Unsupported(f"pyfixest multiplies by {used.tolist()} where {factors.tolist()} is asked for (notyet)")
    return asked


ENGINE = Pyfixest()
