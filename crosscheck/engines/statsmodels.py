"""What does statsmodels say? OLS and WLS, Poisson and logit, with fixed effects as dummies.

statsmodels counts every column, so ``k_fixef = "full"`` is what it has; ``nonnested`` is the same where no effect is
nested in the clusters. Its corrections are all or nothing: ``k_adj`` and ``g_adj`` together, or neither.
"""

from __future__ import annotations

import importlib.metadata
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.conventions import SmallSample, g_factor
from crosscheck.engines import _statsmodels_code
from crosscheck.engines._dress import dressed
from crosscheck.engines._sample import Sample, counts_of, sample_of
from crosscheck.engines._score import SOLVED, unsolved
from crosscheck.engines._shared import (
    Recording,
    coef_rows,
    definiteness_notes,
    finite,
    lag_of,
    matrix_rows,
    recording,
    require_df,
    require_no_gaps,
    rows_block,
    stat_extras,
    wald_f,
    wanted,
)
from crosscheck.engines._statsmodels_support import refusal, refusal_at
from crosscheck.engines._ways import written_out
from crosscheck.engines.base import Support
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import INTERCEPT, Formula, parse
from crosscheck.results import Block, Condition, Conventions, EstimationResult, Extra, FitStats

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

MAX_DUMMIES = 2000
MAX_CELLS = 20_000_000
GLM_TOL = 1e-14
GLM_RTOL = 1e-12
"""A step of IRLS squares what is off: two steps that agree so far leave rounding. 1e-14 alone, which is absolute, is
out of reach of a coefficient of 100."""
GLM_MAXITER = 200
STILL = 1e-6
"""Of the linear predictor, in the last step."""
RTOL = 1e-12


class Statsmodels:
    """statsmodels as an engine."""

    id = "statsmodels"
    language: Literal["python"] = "python"
    packages = ("statsmodels",)

    def supports(self, request: FitRequest) -> Support:
        """Say whether statsmodels gives exactly what is asked, as far as that does not hang on the data."""
        if request.estimator not in ("feols", "fepois", "feglm"):
            lacking = {"sunab": "notimpl", "att_gt": "notyet", "re": "notimpl", "between": "notyet"}
            reach: Any = lacking.get(request.estimator, "never")
            return Support(reach, f"{request.estimator} is not wrapped for statsmodels")
        return refusal(request, parse(request.formula))

    def supports_at(self, request: FitRequest, version: str) -> Support:
        """Say whether a version of statsmodels gives exactly what is asked."""
        known = self.supports(request)
        return known and refusal_at(request, version)

    def fit(self, request: FitRequest, frame: Frame) -> EstimationResult:
        """Estimate with statsmodels.

        Raises
        ------
        Unsupported
            Where it would count parameters otherwise than asked, needs too many dummies, or the design is collinear.
        DataError
            Where the sample is empty or saturated, or the iterations do not converge.
        """
        formula = parse(request.formula, columns=frame.names)
        refused = refusal(request, formula) and refusal_at(request, importlib.metadata.version("statsmodels"))
        if not refused:
            raise Unsupported(f"{refused.reason} ({refused.reach})")
        sample = sample_of(request, formula, frame)
        return _answer(self.id, request, frame, sample, formula)

    def code(self, request: FitRequest, data_path: str) -> str:
        """Return Python that reproduces the fit by hand."""
        return _statsmodels_code.write(request, data_path)


def _columns(sample: Sample) -> int:
    """Count the columns: regressors, and a constant and dummies where there are fixed effects.

    Raises
    ------
    DataError
        Where they are as many as the rows.
    Unsupported
        Where they are too many.
    """
    dummies = sum(size - 1 for size in sample.sizes)
    columns = len(sample.matrix.names) + dummies + bool(sample.sizes)
    require_df(sample.n, columns)
    if dummies > MAX_DUMMIES or sample.n * columns > MAX_CELLS:
        raise Unsupported(
            f"statsmodels would need {dummies} dummies on {sample.n} rows; crosscheck builds at most {MAX_DUMMIES}, "
            f"and {MAX_CELLS:,} numbers (never)"
        )
    return columns


def _design(sample: Sample, formula: Formula) -> NDArray[np.float64]:
    """Return regressors, then a constant and dummies where there are fixed effects, shape (n, K)."""
    blocks = [sample.matrix.X]
    if sample.sizes:
        blocks.append(np.ones((sample.n, 1)))
    for codes, size in zip(sample.effects.values(), sample.sizes, strict=True):
        equal: NDArray[np.bool_] = codes[:, None] == np.arange(1, size)
        blocks.append(equal.astype(np.float64))
    design = np.hstack(blocks)
    scaled = design / np.sqrt((design**2).sum(axis=0))
    rank, columns = int(np.linalg.matrix_rank(scaled)) if np.isfinite(scaled).all() else 0, design.shape[1]
    if rank < columns:
        effects = f" and the dummies of {len(formula.fixed_effects)} fixed effects" if formula.fixed_effects else ""
        raise Unsupported(
            f"the regressors{effects} are collinear (rank {rank} of {columns}); statsmodels drops none and would "
            "spread their coefficients (notyet)"
        )
    return design


def _given(
    request: FitRequest, corrected: bool, n: float, k: int, clusters: tuple[int, ...], periods: int
) -> list[float]:
    """Return the factor of statsmodels on each term of the unadjusted covariance."""
    vcov, linear = request.vcov.canonical, request.estimator == "feols"
    if vcov in ("HC2", "HC3", "CRV3"):
        return [1.0] * max(len(clusters), 1)
    if vcov == "iid":
        return [(n - 1) / (n - k) if linear else 1.0]
    if not corrected:
        return [1.0] * max(len(clusters), 1)
    if vcov == "HC1":
        return [n / (n - k) if linear else math.nan]
    if vcov == "CRV1":
        return [g_factor(g) * (n - 1) / (n - k) for g in clusters]
    if vcov == "DK":
        return [g_factor(periods) * (n - 1) / (n - k)]
    return [n / (n - k) if request.unit is None else math.nan]


def _correction(request: FitRequest, sample: Sample, asked: SmallSample, k: int, clusters: tuple[int, ...]) -> bool:
    """Say whether statsmodels' correction is what the request asks for.

    Raises
    ------
    Unsupported
        Where neither with nor without it.
    """
    factors = [asked.k_factor * g for g in asked.g_factors]
    periods = _periods(sample)
    for corrected in (True, False):
        given = _given(request, corrected, float(sample.n), k, clusters, periods)
        if len(given) == len(factors) and np.allclose(given, factors, rtol=RTOL, atol=0):
            return corrected
    raise Unsupported(
        f"statsmodels counts K = {k}, every dummy; k_fixef = {request.ssc.k_fixef!r} counts {asked.k:g} (notyet)"
    )


def _periods(sample: Sample) -> int:
    return 0 if sample.time is None else int(sample.time.max()) + 1


def _covariance(request: FitRequest, sample: Sample, corrected: bool, order: NDArray[Any]) -> dict[str, Any]:
    """Return the arguments of ``fit`` that choose the covariance; rows are in ``order``."""
    vcov = request.vcov.canonical
    clustered_df = request.ssc.t_df == "min"
    if vcov == "iid":
        return {"cov_type": "nonrobust"}
    if vcov == "HC1":
        return {"cov_type": "HC1" if corrected else "HC0"}
    if vcov in ("HC2", "HC3"):
        return {"cov_type": vcov}
    if vcov in ("CRV1", "CRV3"):
        groups = np.column_stack(list(sample.clusters.values()))[order]
        words: dict[str, Any] = {
            "groups": groups[:, 0] if groups.shape[1] == 1 else groups,
            "use_correction": corrected if vcov == "CRV1" else True,
            "df_correction": clustered_df,
        }
        return {"cov_type": "cluster" if vcov == "CRV1" else "cluster-crv3", "cov_kwds": words}
    assert sample.time is not None
    lag = lag_of(request, _periods(sample))
    words = {"maxlags": lag, "kernel": "bartlett", "df_correction": False}
    if vcov == "DK":
        words |= {"time": sample.time[order], "use_correction": "cluster" if corrected else False}
        return {"cov_type": "hac-groupsum", "cov_kwds": words}
    if sample.unit is None:
        return {"cov_type": "HAC", "cov_kwds": {"maxlags": lag, "kernel": "bartlett", "use_correction": corrected}}
    if lag > 0:
        require_no_gaps(sample.unit, sample.time, "statsmodels")
    return {"cov_type": "hac-panel", "cov_kwds": words | {"groups": sample.unit[order], "use_correction": False}}


def _order(request: FitRequest, sample: Sample) -> NDArray[Any]:
    """Return the order of rows that a covariance needs: by time within units for Newey-West, as they are otherwise."""
    if request.vcov.canonical != "NW":
        return np.arange(sample.n)
    assert sample.time is not None
    if sample.unit is None:
        if _periods(sample) < sample.n:
            raise DataError("Newey-West on one time series needs one row for each period")
        return np.argsort(sample.time, kind="stable")
    return np.lexsort((sample.time, sample.unit))


def _arrays(request: FitRequest, sample: Sample, design: NDArray[np.float64], order: NDArray[Any]) -> tuple[Any, ...]:
    """Return outcome, regressors and weights: arrays, or pandas objects in the dress that the request asks for."""
    y, x = sample.matrix.y[order], design[order]
    weights = None if sample.weights is None else sample.weights[order]
    dress = request.options.get("dress")
    if dress is None:
        return y, x, weights
    import pandas as pd

    columns = {f"x{j}": x[:, j] for j in range(x.shape[1])}
    data = dressed(pd.DataFrame({"y": y, "w": np.ones(y.size) if weights is None else weights, **columns}), dress)
    return data["y"], data[list(columns)], None if weights is None else data["w"]


def _by_call(request: FitRequest, model: Any, covariance: dict[str, Any]) -> Any:
    """Fit with the words of the covariance, and the other options left out or at their stated defaults."""
    words = {k: v for k, v in covariance.items() if (k, v) != ("cov_type", "nonrobust")}
    return model.fit(**written_out(model.fit, words, request.options["call"]))


def _run(request: FitRequest, sample: Sample, design: NDArray[np.float64], corrected: bool) -> tuple[Any, Recording]:
    import statsmodels.api as sm

    order = _order(request, sample)
    y, x, weights = _arrays(request, sample, design, order)
    covariance = _covariance(request, sample, corrected, order)
    with recording() as made:
        try:
            if request.estimator == "feols":
                model = sm.OLS(y, x) if weights is None else sm.WLS(y, x, weights=weights)
                if request.options.get("call"):
                    result = _by_call(request, model, covariance)
                else:
                    result = model.fit(method="qr", use_t=True, **covariance)
            elif request.options.get("call"):
                family = sm.families.Poisson() if request.estimator == "fepois" else sm.families.Binomial()
                result = _by_call(request, sm.GLM(y, x, family=family, var_weights=weights), covariance)
            else:
                family = sm.families.Poisson() if request.estimator == "fepois" else sm.families.Binomial()
                result = sm.GLM(y, x, family=family, var_weights=weights).fit(
                    method="IRLS",
                    tol=GLM_TOL,
                    rtol=GLM_RTOL,
                    maxiter=GLM_MAXITER,
                    tol_criterion="params",
                    scale=1.0,
                    use_t=False,
                    **covariance,
                )
            np.asarray(result.cov_params())
        except (ValueError, np.linalg.LinAlgError) as error:
            text = " ".join(str(error).split())
            if "rank-deficient" in text:
                raise Unsupported(f"statsmodels: {text} (notyet)") from error
            raise DataError(f"statsmodels cannot fit this model: {text}") from error
    if request.estimator != "feols" and not result.converged:
        weighed = None if weights is None else np.asarray(weights, dtype=np.float64)
        left = unsolved(design[order], sample.matrix.y[order], np.asarray(result.mu, dtype=np.float64), weighed)
        steps = [np.asarray(b, dtype=np.float64) for b in result.fit_history["params"][-2:]]
        moved = float(np.abs(design @ (steps[-1] - steps[0])).max(initial=0.0))
        if not (
            left <= SOLVED and moved <= STILL
        ):  # without a maximum the score vanishes as well, on the way to infinity
            raise DataError(f"statsmodels' iterations did not converge to {GLM_RTOL:g} in {GLM_MAXITER} steps")
        text = f"the coefficients move in their last digits from step to step; the score is {left:.0e} of the residuals"
        made.conditions = (*made.conditions, Condition(kind="message", text=text))
    return result, made


def _answer(engine: str, request: FitRequest, frame: Frame, sample: Sample, formula: Formula) -> EstimationResult:
    terms, columns = sample.matrix.names, _columns(sample)
    shown = len(terms)
    counts = counts_of(request, sample, float(sample.n), shown)
    asked = wanted(request, counts)
    corrected = _correction(request, sample, asked, columns, counts.n_clusters)
    result, recorded = _run(request, sample, _design(sample, formula), corrected)
    linear = request.estimator == "feols"
    df = float(getattr(result, "df_resid_inference", result.df_resid)) if linear else math.inf
    notes = []
    if linear and df != asked.df_t:
        notes.append(f"t distribution with {df:g} degrees of freedom; the request asks for {asked.df_t:g}")
    interval = np.asarray(result.conf_int(alpha=1 - request.conf_level))[:shown]
    centred = INTERCEPT in terms or bool(sample.effects)
    return EstimationResult(
        engine=engine,
        coefs=coef_rows(
            terms,
            result.params[:shown],
            result.bse[:shown],
            result.tvalues[:shown],
            result.pvalues[:shown],
            interval[:, 0],
            interval[:, 1],
            df,
        ),
        stats=FitStats(
            nobs=float(result.nobs),
            r2=finite(result.rsquared) if linear and centred else None,
            adj_r2=finite(result.rsquared_adj) if linear and centred else None,
            df_resid=float(result.df_resid),
        ),
        conventions=Conventions(
            vcov=request.vcov.canonical,
            cluster=request.vcov.cluster,
            k=float(columns),
            k_fixef=request.ssc.k_fixef,
            ssc_factor=finite(asked.factor),
            n_clusters=tuple(int(c.max()) + 1 for c in sample.clusters.values()),
            distribution="t" if linear else "normal",
            df_t=df,
            singletons_dropped=0,
            rows_dropped=sample.rows_dropped,
            notes=(*notes, *definiteness_notes(request, result.cov_params())),
        ),
        vcov=matrix_rows(np.asarray(result.cov_params())[:shown, :shown]),
        extras=_statistics(request, result, terms),
        blocks=_rows(request, frame, sample, result),
        conditions=recorded.conditions,
        seconds=recorded.seconds,
    )


def _statistics(request: FitRequest, result: Any, terms: tuple[str, ...]) -> tuple[Extra, ...]:
    """Return what else is wanted of the fit, as statsmodels has it; effects are regressors to it."""
    if not request.also:
        return ()
    linear = request.estimator == "feols"
    whole = len(terms) == len(np.asarray(result.params))
    tested = [j for j, term in enumerate(terms) if term != INTERCEPT]
    wald = None
    shown = np.asarray(result.cov_params())[: len(terms), : len(terms)]
    if "wald" in request.also and tested and wald_f(terms, result.params[: len(terms)], shown) is not None:
        wald = result.f_test(np.eye(len(np.asarray(result.params)))[tested]).fvalue
    plain = linear and whole and INTERCEPT in terms and request.vcov.canonical == "iid" and bool(tested)
    return stat_extras(
        request,
        wald=None if wald is None else float(np.squeeze(wald)),
        f=result.fvalue if plain else None,
        log_likelihood=result.llf if request.weights is None else None,
        deviance=None if linear else result.deviance,
        pseudo_r2=None if linear or request.weights is not None else result.pseudo_rsquared(kind="mcf"),
    )


def _rows(request: FitRequest, frame: Frame, sample: Sample, result: Any) -> tuple[Block, ...]:
    """Return fitted values and residuals in the order of the data's rows."""
    if not request.also or request.vcov.canonical == "NW" or request.options.get("dress"):
        return ()
    vectors = {"fitted": result.fittedvalues}
    if request.estimator == "feols":
        vectors["residuals"] = result.resid
    return rows_block(request, frame.nrows, sample.places, vectors)


ENGINE = Statsmodels()
