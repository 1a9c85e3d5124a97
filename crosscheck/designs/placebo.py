"""What does the regression say when the treatment is given to units drawn at random?

Frisch, Waugh and Lovell once for all draws: a placebo treatment is the sum of the columns
``1{unit = u, time >= start}`` of the units drawn. These columns and the outcome are cleared of controls and fixed
effects once; each draw is then a closed form (x the cleared placebo, y the cleared outcome)::

    b = x'y / x'x,   u = y - b x,   V(b) = c sum_g (sum_{i in g} x_i u_i)^2 / (x'x)^2

with the small-sample factor c of :mod:`crosscheck.conventions` (the same for all draws: every draw counts the same K).
Draws are worked on in chunks of bounded memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from crosscheck.conventions import SmallSample, Ssc, small_sample
from crosscheck.designs.absorb import Codes, Groups
from crosscheck.designs.panel import Fit, Panel, counts_of, fit
from crosscheck.designs.quantiles import quantiles
from crosscheck.errors import DataError

Real = NDArray[np.float64]
Progress = Callable[[int, int], None]

CHUNK_CELLS = 60_000
TIE = 1e-10
GONE = 1e-18


def cleared(found: Fit, treatment: str, columns: Real) -> Real:
    """Return columns (n, m) cleared of the fixed effects and of all regressors of a fit but the treatment."""
    at = found.index(treatment)
    out = found.absorber.sweep(columns)
    controls = np.delete(found.x, at, axis=1)
    if controls.shape[1]:
        q, _ = np.linalg.qr(controls)
        for _ in range(2):
            out = out - q @ (q.T @ out)
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """All that the draws of one regression share.

    Attributes
    ----------
    found : Fit
        The regression with the true treatment.
    y : ndarray, shape (n,)
    columns : ndarray, shape (n, units)
        Cleared columns ``1{unit = u, time >= start}``; rows sorted by cluster.
    groups : Groups or None
        Clusters of the sorted rows.
    factor, df : float
        Of the covariance asked for.
    factor_iid, df_iid : float
        Of iid beside it.
    robust : str
        ``iid``, ``HC1`` or ``CRV1``.
    """

    found: Fit
    y: Real
    columns: Real
    groups: Groups | None
    small: SmallSample
    small_iid: SmallSample
    n: int
    robust: str


def prepare(
    panel: Panel, treatment: str, unit: Codes, treated_period: NDArray[np.bool_], vcov: str, ssc: Ssc
) -> Prepared:
    """Clear everything once.

    Parameters
    ----------
    panel : Panel
        Without weights; its regressors hold the true treatment.
    treatment : str
    unit : codes from 0, shape (n,)
    treated_period : ndarray of bool, shape (n,)
        Whether a row's period is one of treatment.
    vcov : str
        ``iid``, ``HC1`` or ``CRV1`` with one cluster dimension.
    ssc : Ssc

    Raises
    ------
    DataError
        For another covariance, or where no period or every period is one of treatment.
    """
    if vcov not in ("iid", "HC1", "CRV1") or len(panel.clusters) > 1 or panel.weights is not None:
        raise DataError("placebo draws have vcov iid, HC1 or CRV1 with one cluster, and no weights")
    if not treated_period.any() or treated_period.all():
        raise DataError("the placebo's start leaves no period before it, or none after it")
    found = fit(panel)
    counts = counts_of(found)
    order = np.arange(panel.y.size)
    if vcov == "CRV1":
        order = np.argsort(next(iter(panel.clusters.values())), kind="stable")
    raw = np.zeros((panel.y.size, int(unit.max()) + 1))
    raw[treated_period, unit[treated_period]] = 1.0
    swept = cleared(found, treatment, np.column_stack([panel.y, raw]))[order]
    return Prepared(
        found=found,
        y=swept[:, 0].copy(),
        columns=np.ascontiguousarray(swept[:, 1:]),
        groups=Groups(next(iter(panel.clusters.values()))[order]) if vcov == "CRV1" else None,
        small=small_sample(vcov, counts, ssc),
        small_iid=small_sample("iid", counts, ssc),
        n=panel.y.size,
        robust=vcov,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placebos:
    """One number for each draw, shape (draws,); NaN where a placebo does not vary beside controls and effects."""

    estimate: Real
    std_error: Real
    std_error_iid: Real
    p_value: Real
    p_value_iid: Real


def run(prepared: Prepared, draws: NDArray[np.int8], progress: Progress | None = None) -> Placebos:
    """Return coefficient, standard errors and p-values of every draw.

    Parameters
    ----------
    prepared : Prepared
    draws : ndarray, shape (draws, units)
        1 where a unit is drawn.
    progress : callable, optional
        Called with draws done and all draws after each chunk.
    """
    total = draws.shape[0]
    b, robust, iid = np.empty(total), np.empty(total), np.empty(total)
    step = max(1, CHUNK_CELLS // max(prepared.n, 1))
    scale = float((prepared.columns**2).sum())
    for start in range(0, total, step):
        rows = slice(start, min(start + step, total))
        x = prepared.columns @ draws[rows].T.astype(np.float64)
        squares = np.einsum("ij,ij->j", x, x)
        squares[squares <= GONE * scale] = np.nan
        b[rows] = (prepared.y @ x) / squares
        u = x * b[rows]
        np.subtract(prepared.y[:, None], u, out=u)
        iid[rows] = np.sqrt(np.einsum("ij,ij->j", u, u) / squares)
        if prepared.robust != "iid":
            np.multiply(x, u, out=u)
            sums = u if prepared.groups is None else prepared.groups.sums(u)
            robust[rows] = np.sqrt(np.einsum("ij,ij->j", sums, sums)) / squares
        if progress is not None:
            progress(rows.stop, total)
    iid *= math.sqrt(prepared.small_iid.k_factor / (prepared.n - 1))
    se = iid if prepared.robust == "iid" else robust * math.sqrt(prepared.small.factor)
    return Placebos(
        estimate=b,
        std_error=se,
        std_error_iid=iid,
        p_value=p_values(statistics(b, se), prepared.small.df_t),
        p_value_iid=p_values(statistics(b, iid), prepared.small_iid.df_t),
    )


def statistics(estimate: Real, std_error: Real) -> Real:
    """Return t statistics: infinite where the standard error is zero and the estimate is not, NaN where both are."""
    t = np.full_like(estimate, np.nan)
    np.divide(estimate, std_error, out=t, where=std_error != 0)
    sure = (std_error == 0) & (estimate != 0)
    t[sure] = np.copysign(np.inf, estimate[sure])
    return t


def p_values(t: Real, df: float) -> Real:
    """Return two-sided p-values of t statistics, same shape."""
    small = np.abs(t) < 1
    near = 2 * special.stdtr(df, -np.abs(np.where(small, t, 0.0)))
    far = special.betainc(df / 2, 0.5, df / (df + t * t))
    return np.asarray(np.where(np.isnan(t), np.nan, np.where(small, near, far)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The distribution of placebo estimates, and where the true one lies in it.

    Attributes
    ----------
    n_draws, n_failed : int
        Draws with an estimate, and without.
    mean, sd : float
    quantiles : tuple of float
    share_p, share_p_iid : float
        Share of p-values below the threshold.
    rank : int
        1 + the number of placebo estimates above the true one.
    p_exceed : float
        Share of draws with ``|estimate| >= |true|``: the exact p-value where the draws are all possible assignments.
    p_randomization, p_upper : float
        (1 + number) / (1 + draws), two-sided and for larger estimates: valid for any number of draws (Phipson and
        Smyth 2010).
    p_randomization_t : float
        The same for t statistics (MacKinnon and Webb 2020).
    """

    n_draws: int
    n_failed: int
    mean: float
    sd: float
    quantiles: tuple[float, ...]
    share_p: float
    share_p_iid: float
    rank: int
    p_exceed: float
    p_randomization: float
    p_upper: float
    p_randomization_t: float


def summarize(
    made: Placebos, true: float, true_t: float, *, threshold: float, probabilities: Sequence[float], method: str
) -> Summary:
    """Summarize draws; values within 1e-10 of the true one count as equal to it.

    Raises
    ------
    DataError
        Where no draw has an estimate.
    """
    kept = ~np.isnan(made.estimate)
    b, t = made.estimate[kept], statistics(made.estimate[kept], made.std_error[kept])
    if b.size < 2:
        raise DataError("fewer than two draws have an estimate")
    at_least = np.abs(b) >= abs(true) * (1 - TIE)
    upper = b >= true - TIE * abs(true)
    extreme = np.abs(t) >= abs(true_t) * (1 - TIE)
    return Summary(
        n_draws=int(b.size),
        n_failed=int((~kept).sum()),
        mean=math.fsum(b) / b.size,
        sd=float(b.std(ddof=1)),
        quantiles=tuple(float(q) for q in quantiles(b, probabilities, method)) if probabilities else (),
        share_p=float((made.p_value[kept] < threshold).mean()),
        share_p_iid=float((made.p_value_iid[kept] < threshold).mean()),
        rank=1 + int((b > true + TIE * abs(true)).sum()),
        p_exceed=float(at_least.mean()),
        p_randomization=float((1 + at_least.sum()) / (1 + b.size)),
        p_upper=float((1 + upper.sum()) / (1 + b.size)),
        p_randomization_t=float((1 + extreme.sum()) / (1 + b.size)),
    )


def placebo_once(panel: Panel, treatment: str, column: Real) -> Fit:
    """Return the regression with the treatment replaced by a column, the slow way; :func:`run` equals it."""
    x = panel.x.copy()
    x[:, panel.names.index(treatment)] = column
    return fit(Panel(y=panel.y, x=x, names=panel.names, effects=panel.effects, clusters=panel.clusters))
