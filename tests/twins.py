"""The closed forms in other arithmetic: double precision, other decompositions, other orders of summation.

A twin is right. Whatever property calls it wrong is too strict, or states something that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
from scipy import linalg

from crosscheck.campaign.columns import pick
from crosscheck.closedform import did
from crosscheck.closedform.absorb import Groups
from crosscheck.closedform.linear import COLLINEAR, Fit, lengths
from crosscheck.engines import _oracle_linear
from crosscheck.engines.oracle import ENGINE
from crosscheck.errors import DataError
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

Twin = Callable[[FitRequest, Frame], EstimationResult]
SWEEPS = 20_000


@dataclass(frozen=True, eq=False)
class Effects:
    """What a covariance asks of the effects that were swept out."""

    sizes: tuple[int, ...]
    basis: np.ndarray
    weights: np.ndarray

    def leverage(self) -> np.ndarray:
        return (self.basis**2).sum(axis=1)


def _span(columns: np.ndarray) -> np.ndarray:
    if not columns.shape[1]:
        return columns
    norm = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    u, s, _ = np.linalg.svd(columns / norm, full_matrices=False)
    return u[:, s > 1e-10 * s[0]]


def _alternating(columns: np.ndarray, codes: list[np.ndarray], w: np.ndarray) -> np.ndarray:
    """Subtract group means of each effect in turn until nothing moves."""
    groups = [Groups.of(c) for c in codes]
    floor = 1e-15 * np.sqrt(w @ columns**2)
    out = columns.copy()
    for _ in range(SWEEPS):
        before = out.copy()
        for g in groups:
            out = out - g.means(out, w)[g.codes]
        if (np.sqrt(w @ (out - before) ** 2) <= floor).all():
            break
    return out


def arithmetic(solve: str, sweep: str) -> Callable[..., Fit]:
    """Return least squares in double precision, by ``qr``, ``normal`` equations or ``svd``."""

    def least_squares(y, x, effects=(), weights=None, *, endogenous=None, instruments=None) -> Fit:
        n = y.size
        if n == 0:
            raise DataError("the estimation sample is empty")
        w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
        root = np.sqrt(w)
        effects = [Groups.of(c).codes for c in effects]
        dummies = [np.eye(int(c.max()) + 1)[c] * root[:, None] for c in effects]
        basis = _span(np.column_stack([*dummies, np.empty((n, 0))]))
        none = np.empty((n, 0))
        e, z = (none if v is None else v for v in (endogenous, instruments))
        raw = np.column_stack([y, x, e, z]).astype(np.float64)
        # an offset that the effects absorb is taken off first, as a careful program does
        centred = raw - (w @ raw) / w.sum() if effects else raw
        if sweep == "alternating" and effects:
            swept = _alternating(centred, effects, w)
        else:
            weighted = centred * root[:, None]
            weighted = weighted - basis @ (basis.T @ weighted)
            swept = (weighted - basis @ (basis.T @ weighted)) / root[:, None]
        scale = lengths(raw, w).astype(np.float64)
        k, m = x.shape[1], x.shape[1] + e.shape[1]
        yt, xt = swept[:, 0] * root, swept[:, 1 : 1 + m] * root[:, None]
        regressors = xt
        if e.shape[1]:
            place = [*range(1, 1 + k), *range(1 + m, raw.shape[1])]
            stage = swept[:, place] * root[:, None]
            q = np.linalg.qr(stage[:, _kept(stage, scale[place])])[0]
            regressors = np.column_stack([xt[:, :k], q @ (q.T @ xt[:, k:])])
        kept = _kept(regressors, scale[1 : 1 + m])
        if any(k + j not in kept for j in range(e.shape[1])):
            raise DataError("the instruments do not identify the endogenous regressors", hint="add instruments")
        a = regressors[:, kept]
        coef, bread = _solved(a, yt, solve, root)
        resid = (yt - xt[:, kept] @ coef) / root
        hat = np.linalg.qr(a / np.maximum(np.linalg.norm(a, axis=0), 1e-300))[0]
        return Fit(
            coef=coef,
            kept=tuple(kept),
            bread=bread,
            scores=a / root[:, None] * (w * resid)[:, None],
            resid=resid,
            projected=(yt - a @ coef) / root if e.shape[1] else resid,
            y=yt / root,
            leverage=(hat**2).sum(axis=1),
            weights=w,
            absorber=Effects(tuple(int(c.max()) + 1 for c in effects), basis, w),  # type: ignore[arg-type]
        )

    return least_squares


def _kept(columns: np.ndarray, reference: np.ndarray) -> list[int]:
    kept: list[int] = []
    for j in range(columns.shape[1]):
        q = np.linalg.qr(columns[:, kept])[0]
        v = columns[:, j]
        for _ in range(2):
            v = v - q @ (q.T @ v)
        if len(kept) < columns.shape[0] and np.linalg.norm(v) > COLLINEAR * reference[j]:
            kept.append(j)
    return kept


def _solved(a: np.ndarray, y: np.ndarray, solve: str, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and (X'X)^-1; columns are taken about their means where the first is a constant."""
    if not a.shape[1]:
        return np.zeros(0), np.zeros((0, 0))
    if solve == "normal" and np.ptp(a[:, 0] / root) == 0 and a.shape[1] > 1:
        about = np.eye(a.shape[1])
        about[0, 1:] = -(a[:, 0] @ a[:, 1:]) / (a[:, 0] @ a[:, 0])
        centred = np.column_stack([a[:, 0], a[:, 1:] + np.outer(a[:, 0], about[0, 1:])])
        again, inverse = _solved(centred, y, "equations", root)
        return about @ again, about @ inverse @ about.T
    norm = np.linalg.norm(a, axis=0)
    b = a / norm
    if solve in ("normal", "equations"):
        inverse = linalg.pinvh(b.T @ b)
        coef = inverse @ (b.T @ y)
    elif solve == "svd":
        u, s, vt = np.linalg.svd(b, full_matrices=False)
        coef, inverse = vt.T @ ((u.T @ y) / s), (vt.T / s**2) @ vt
    else:
        q, r = np.linalg.qr(b)
        half = linalg.solve_triangular(r, np.eye(r.shape[0]))
        coef, inverse = half @ (q.T @ y), half @ half.T
    return coef / norm, inverse / np.outer(norm, norm)


def _twin(solve: str, sweep: str, *, reverse: bool = False) -> Twin:
    other = arithmetic(solve, sweep)

    def fit(request: FitRequest, frame: Frame) -> EstimationResult:
        data = pick(frame, np.arange(frame.nrows)[::-1]) if reverse else frame
        short = lambda *values: tuple(np.asarray(v, dtype=np.float64) for v in values)  # noqa: E731
        with mock.patch.object(_oracle_linear, "least_squares", other), mock.patch.object(did, "as_long", short):
            result = ENGINE.fit(request, data)
        if not reverse:
            return result
        back = (replace(b, values=tuple(row[::-1] for row in b.values)) for b in result.blocks)
        return result.with_(blocks=tuple(back))

    return fit


TWINS: dict[str, Twin] = {
    "QR": _twin("qr", "dummies"),
    "normal equations": _twin("normal", "dummies"),
    "SVD": _twin("svd", "dummies"),
    "alternating projections": _twin("qr", "alternating"),
    "rows summed backwards": _twin("normal", "alternating", reverse=True),
}
