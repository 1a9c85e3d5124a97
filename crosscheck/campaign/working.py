"""Which least squares problem do the iterations of a GLM end in? Its covariances are the GLM's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats

from crosscheck.campaign.circumstance import Floats
from crosscheck.engines._oracle_linear import LinearModel, assemble, linear_model
from crosscheck.engines._shared import usable_model, weights_of
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import parse
from crosscheck.frame import Frame
from crosscheck.spec import FitRequest

STEPS, SETTLED = 60, 1e-9


def working_model(request: FitRequest, frame: Frame) -> LinearModel:
    """Return the model of ``feols``, or the weighted regression of the working outcome at the maximum of a GLM.

    Iteratively reweighted least squares (McCullagh and Nelder 1989, section 2.5) for Poisson, logit and probit: weights
    (d mu / d eta)^2 / V(mu), outcome eta + (y - mu) d eta / d mu. The scores and bread of the last step are the GLM's.

    Raises
    ------
    DataError
        Where the iterations do not settle, as without a maximum.
    Unsupported
        For another estimator.
    """
    if request.estimator == "feols":
        return linear_model(request, frame)
    family = "poisson" if request.estimator == "fepois" else str(request.options.get("family"))
    formula = parse(request.formula, columns=frame.names)
    if request.estimator not in ("fepois", "feglm") or formula.iv is not None:
        raise Unsupported("this estimator is not iterated least squares")
    matrix, used = usable_model(request, formula, frame, also=(request.weights.column,) if request.weights else ())
    given = weights_of(request, used)
    own = np.ones(matrix.y.size) if given is None else given
    frequency = request.weights is not None and request.weights.type == "frequency"
    y = matrix.y
    eta = _start(family, y)
    for _ in range(STEPS):
        with np.errstate(all="ignore"):
            mu, slope, variance = _family(family, eta)
            outcome, weights = eta + (y - mu) / slope, own * slope**2 / variance
        if not (np.isfinite(outcome).all() and np.isfinite(weights).all() and (weights > 0).all()):
            break
        model = assemble(
            y=outcome,
            x=matrix.X,
            names=matrix.names,
            weights=weights,
            effects={fe: matrix.fe_codes[:, j] for j, fe in enumerate(formula.fixed_effects)},
            frame=used,
            frequency=False,
            intercept=formula.intercept or bool(formula.fixed_effects),
            rows_dropped=frame.nrows - used.nrows,
        )
        after = np.asarray(outcome - model.fit.resid, dtype=np.float64)
        if float(np.abs(after - eta).max()) <= SETTLED * (1 + float(np.abs(eta).max())):
            return replace(model, n=float(own.sum()) if frequency else float(y.size))
        eta = after
    raise DataError("the iterations do not settle")


def _start(family: str, y: Floats) -> Floats:
    if family == "poisson":
        return np.asarray(np.log((y + y.mean()) / 2))
    share = (y + 0.5) / 2
    return np.asarray(stats.norm.ppf(share) if family == "probit" else np.log(share / (1 - share)))


def _family(family: str, eta: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mu, d mu / d eta and V(mu), each of shape (n,)."""
    if family == "poisson":
        mu = np.exp(eta)
        return mu, mu, mu
    if family == "logit":
        mu = 1 / (1 + np.exp(-eta))
        return mu, mu * (1 - mu), mu * (1 - mu)
    if family == "probit":
        mu = stats.norm.cdf(eta)
        return mu, stats.norm.pdf(eta), mu * (1 - mu)
    raise Unsupported(f"the family {family} is not iterated here")
