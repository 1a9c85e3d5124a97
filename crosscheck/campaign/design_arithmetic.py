"""What do the designs' definitions give, in plain arithmetic that shares no code with the engines?

Samples are rows of Python lists; quantiles are order statistics at exact fractions; least squares is one projection
after dummies, in the data's own units. Slow, and short enough to be read beside the definitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.formula import Name, parse
from crosscheck.frame import Frame
from crosscheck.spec import FitRequest

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
NAMED = {"stata": 2, "stata_altdef": 6, **{f"r{k}": k for k in range(1, 10)}}
NEAR, FAR = 1e-4, 1e5
"""Not judged: regressors of which less than ``NEAR`` is left beside the others, or whose mean is ``FAR`` deviations."""


def quantile(values: Iterable[float], p: float, method: str) -> float | None:
    """Return a quantile by Hyndman and Fan's definition (1996), ``None`` for a definition that is not theirs.

    With n p + m = j + g the quantile is (1 - c) x_(j) + c x_(j+1), where c is g from the fourth definition on. The
    probability is taken as the decimal that was written: 0.05 is a twentieth.
    """
    kind = NAMED.get(method)
    x = sorted(v for v in values if not math.isnan(v))
    if kind is None or not x:
        return None
    share, n = Fraction(repr(p)), len(x)
    m = {
        1: Fraction(0), 2: Fraction(0), 3: Fraction(-1, 2), 4: Fraction(0), 5: Fraction(1, 2), 6: share,
        7: 1 - share, 8: (share + 1) / 3, 9: share / 4 + Fraction(3, 8),
    }[kind]  # fmt: skip
    place = n * share + m
    j = math.floor(place)
    g = place - j
    if kind == 1:
        c = Fraction(int(g > 0))
    elif kind == 2:
        c = Fraction(1) if g > 0 else Fraction(1, 2)
    elif kind == 3:
        c = Fraction(0) if g == 0 and j % 2 == 0 else Fraction(1)
    else:
        c = g
    low, high = x[min(max(j - 1, 0), n - 1)], x[min(max(j, 0), n - 1)]
    # between equal values there is nothing to weigh, and (1 - c) x + c x may be x but for its last bit
    return low if c == 0 or low == high else high if c == 1 else (1 - float(c)) * low + float(c) * high


def winsorized(values: Floats, rule: Mapping[str, Any]) -> tuple[Floats, float, float] | None:
    """Return values whose tails are pulled in (or missing), and both bounds."""
    low, high = (quantile(values, float(rule[k]), rule["quantile"]) for k in ("lower", "upper"))
    if low is None or high is None:
        return None
    out = values.copy()
    for k, v in enumerate(values.tolist()):
        if v < low or v > high:
            out[k] = (low if v < low else high) if rule["action"] == "clip" else math.nan
    return out, low, high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The rows that a design uses.

    Attributes
    ----------
    rows : ndarray, shape (n,)
        Places in the frame.
    y : ndarray, shape (n,)
    x : ndarray, shape (n, k)
    names : tuple of str
    dummies : ndarray, shape (n, m)
        Of all fixed effects, or the constant.
    values : mapping of str to ndarray
        Further columns, winsorized where the design asks for it.
    bounds : mapping of str to (float, float, int, int)
        Of winsorized columns: low, high, values below and above.
    """

    rows: NDArray[np.intp]
    y: Floats
    x: Floats
    names: tuple[str, ...]
    dummies: Floats
    values: Mapping[str, Floats]
    bounds: Mapping[str, tuple[float, float, int, int]]


def sample_of(
    request: FitRequest, frame: Frame, numbers: Sequence[str] = (), labels: Sequence[str] = ()
) -> Sample | str:
    """Return the sample of a design that is built on a regression of plain columns; or why it is not judged."""
    formula = parse(request.formula)
    terms = [t[0] for t in formula.terms if len(t) == 1]
    if formula.iv is not None or len(terms) != len(formula.terms) or not isinstance(formula.lhs, Name):
        return "the formula has more than plain columns"
    names = tuple(t.name for t in terms if isinstance(t, Name))
    if len(names) != len(terms) or not names or not (formula.intercept or formula.fixed_effects):
        return "the formula has more than plain columns, or no constant"
    used = tuple(dict.fromkeys((formula.lhs.name, *names, *numbers)))
    values = {name: frame[name].as_float().copy() for name in used}
    bounds: dict[str, tuple[float, float, int, int]] = {}
    rule: Mapping[str, Any] = request.options.get("winsorize") or {"columns": ()}
    for name in rule["columns"]:
        made = winsorized(values[name], rule)
        if made is None:
            return f"the quantile {rule['quantile']} has no definition here"
        before = values[name]
        values[name], low, high = made
        bounds[name] = (low, high, int((before < low).sum()), int((before > high).sum()))
    grouping = [p for parts in formula.fixed_effects for p in parts]
    period = [request.time] if request.vcov.type == "DK" and request.time else []
    keep = np.ones(frame.nrows, dtype=bool)
    for column in values.values():
        keep &= np.isfinite(column)
    for name in (*grouping, *request.vcov.cluster, *labels, *period):
        keep &= ~frame[name].missing
    rows = np.flatnonzero(keep)
    if rows.size < 2:
        return "fewer than two rows are complete"
    values = {name: column[rows] for name, column in values.items()}
    blocks = [indicators(together(frame, parts)[rows]) for parts in formula.fixed_effects]
    return Sample(
        rows=rows,
        y=values[formula.lhs.name],
        x=np.column_stack([values[n] for n in names]),
        names=names,
        dummies=np.column_stack(blocks) if blocks else np.ones((rows.size, 1)),
        values=values,
        bounds=bounds,
    )


def together(frame: Frame, names: Sequence[str]) -> Codes:
    """Return a number for each combination of labels, -1 where one is missing."""
    parts = [frame[name].codes()[0] for name in names]
    known: dict[tuple[int, ...], int] = {}
    out = np.full(frame.nrows, -1, dtype=np.int64)
    for k, key in enumerate(zip(*(p.tolist() for p in parts), strict=True)):
        if min(key) >= 0:
            out[k] = known.setdefault(key, len(known))
    return out


def indicators(codes: Codes) -> Floats:
    """Return a dummy for each code, shape (n, levels)."""
    return np.asarray(codes[:, None] == np.unique(codes)[None, :], dtype=np.float64)


def swept(columns: Floats, dummies: Floats, weights: Floats | None = None) -> Floats:
    """Return what dummies leave of columns, twice over so that nothing but rounding is left of what they span."""
    root = np.ones(columns.shape[0]) if weights is None else np.sqrt(weights)
    d = root[:, None] * dummies
    size = np.linalg.norm(d, axis=0)
    d = d[:, size > 0] / size[size > 0]
    if not d.shape[1]:
        return np.asarray(root[:, None] * columns)
    out = root[:, None] * columns
    u, s, _ = np.linalg.svd(d, full_matrices=False)
    u = u[:, s > 1e-10 * s[0]]
    for _ in range(2):
        out = out - u @ (u.T @ out)
    return np.asarray(out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A least squares fit: coefficients, residuals, what is left of each regressor beside all else, and of y."""

    coef: Floats
    resid: Floats
    own: Floats
    y: Floats

    def unit(self, at: int) -> float:
        """Return |y| / |x| of what is left of both, the size that a coefficient may have."""
        return float(np.linalg.norm(self.y) / np.linalg.norm(self.own[:, at]))


def line(y: Floats, x: Floats, dummies: Floats, weights: Floats | None = None) -> Line | str:
    """Return least squares of y on x beside dummies; a word where digits would be lost.

    Rows are multiplied by the roots of the weights.
    """
    w = np.ones(y.size) if weights is None else weights
    left = swept(np.column_stack([x, y]), dummies, weights)
    z, target = left[:, :-1], left[:, -1]
    for column in (*x.T, y):
        if float(np.abs(column).max()) > FAR * max(float(np.std(column)), 1e-300):
            return "a column's mean is far from zero beside its deviation"
    own = np.empty_like(z)
    for j in range(z.shape[1]):
        others = np.delete(z, j, axis=1)
        own[:, j] = z[:, j] - (others @ np.linalg.lstsq(others, z[:, j], rcond=None)[0] if others.size else 0.0)
        whole = math.sqrt(float(w @ (x[:, j] - (w @ x[:, j]) / w.sum()) ** 2))
        if not float(np.linalg.norm(own[:, j])) > NEAR * whole:
            return "a regressor is collinear, or nearly"
    if not float(np.linalg.norm(target)) > 1e-8 * float(np.linalg.norm(np.sqrt(w) * y)):
        return "the effects leave nothing of the outcome"
    coef = np.array([float(c @ target) / float(c @ c) for c in own.T])
    return Line(coef=coef, resid=target - z @ coef, own=own, y=target)


def cluster_error(fit: Line, at: int, codes: Codes) -> float:
    """Return a clustered standard error without any small-sample factor."""
    x = fit.own[:, at]
    sums = [float((x * fit.resid)[codes == g].sum()) for g in np.unique(codes)]
    return math.sqrt(math.fsum(s * s for s in sums)) / float(x @ x)
