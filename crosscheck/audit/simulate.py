"""What would an honest paper print? Tables of real regressions on simulated panels of known truth.

Used to measure how often the audit calls an honest table inconsistent, and how often it names the kind of standard
error rightly. Plain NumPy least squares with explicit dummies; nothing of the audit's own algebra.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
SeKind = Literal["iid", "hetero", "cluster"]
LEVELS = (0.10, 0.05, 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Least squares with dummies: names of the printed terms, estimates, SEs, R2, adjusted R2, N, K, t's df."""

    terms: tuple[str, ...]
    estimate: Floats
    std_error: Floats
    r2: float
    adj_r2: float
    nobs: int
    k: int
    df: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPaper:
    """Printed numbers, declared facts, and the truth about how they were made."""

    frame: pd.DataFrame
    facts: dict[str, Any]
    se: SeKind
    decimals: int
    balanced: bool


def least_squares(
    y: Floats, x: Floats, terms: tuple[str, ...], groups: NDArray[np.int64], se: SeKind, *, absorbed: bool = False,
    constant: bool = True, unit: NDArray[np.int64] | None = None, time: NDArray[np.int64] | None = None,
) -> Fit:  # fmt: skip
    """Regress y on x, a constant and dummies; classical, HC1 or CRV1 SEs with every parameter counted.

    Parameters
    ----------
    y, x : shape (n,), (n, m)
    groups : clusters for ``cluster``
    unit, time : integer codes of fixed effects
    absorbed : report the constant as the mean of the effects, ``ybar - xbar b``, with its delta-method SE
    """
    n = len(y)
    parts = [x]
    for codes in (unit, time):
        if codes is not None:
            dummies = np.eye(int(codes.max()) + 1)[codes][:, 1:]
            parts.append(dummies[:, dummies.any(axis=0)])
    design = np.column_stack([*parts, np.ones(n)])
    q, r = np.linalg.qr(design)
    beta = np.linalg.solve(r, q.T @ y)
    resid = y - design @ beta
    inverse = np.linalg.inv(r.T @ r)
    k = design.shape[1]
    sse = float(resid @ resid)
    sst = float(((y - y.mean()) ** 2).sum())
    df = float(n - k)
    if se == "iid":
        cov = inverse * sse / (n - k)
    elif se == "hetero":
        cov = inverse @ ((design * resid[:, None] ** 2).T @ design) @ inverse * n / (n - k)
    else:
        count = len(np.unique(groups))
        scores = np.zeros((int(groups.max()) + 1, k))
        np.add.at(scores, groups, design * resid[:, None])
        cov = inverse @ (scores.T @ scores) @ inverse * count / (count - 1) * (n - 1) / (n - k)
        df = float(count - 1)
    m = x.shape[1]
    pick = np.zeros((m + 1, k))
    pick[:m, :m] = np.eye(m)
    if absorbed:
        pick[m, m:] = design[:, m:].mean(axis=0)
    else:
        pick[m, k - 1] = 1.0
    estimate, variance = pick @ beta, np.einsum("ij,jk,ik->i", pick, cov, pick)
    names = (*terms, "Constant")
    keep = slice(None) if constant else slice(0, m)
    r2 = 1.0 - sse / sst
    return Fit(
        terms=names[keep], estimate=estimate[keep], std_error=np.sqrt(np.maximum(variance, 0.0))[keep], r2=r2,
        adj_r2=1.0 - (1.0 - r2) * (n - 1) / (n - k), nobs=n, k=k, df=df,
    )  # fmt: skip


def printed(value: float, decimals: int, *, significant: int | None = None, half_up: bool = False) -> str:
    """Print a number as a package would: fixed decimals, after rounding to significant digits where asked."""
    number = Decimal(repr(float(value)))
    rule = ROUND_HALF_UP if half_up else ROUND_HALF_EVEN
    if significant is not None and number != 0 and number.adjusted() >= significant - decimals:
        number = number.quantize(Decimal(1).scaleb(number.adjusted() - significant + 1), rounding=rule)
    text = format(number.quantize(Decimal(1).scaleb(-decimals), rounding=rule), "f")
    return text


def star_string(fit: Fit, index: int, normal: bool) -> str:
    """Stars of one coefficient from its unrounded t."""
    if fit.std_error[index] == 0.0:
        return "*" * len(LEVELS)
    t = abs(fit.estimate[index] / fit.std_error[index])
    p = 2 * float(special.ndtr(-t)) if normal else 2 * float(special.stdtr(fit.df, -t))
    return "*" * sum(p <= level for level in LEVELS)


class _Writer:
    """Collects printed rows and facts of one paper."""

    def __init__(self, decimals: int, significant: int | None, half_up: bool, normal: bool) -> None:
        self.rows: list[tuple[str, str, str, str, str]] = []
        self.columns: list[dict[str, Any]] = []
        self.decimals, self.significant, self.half_up, self.normal = decimals, significant, half_up, normal

    def text(self, value: float) -> str:
        return printed(value, self.decimals, significant=self.significant, half_up=self.half_up)

    def fit(
        self, table: str, column: str, fit: Fit, outcome: str, terms: tuple[str, ...], effects: bool, sample: str
    ) -> None:
        for i, term in enumerate(fit.terms):
            self.rows.append((table, column, term, "estimate", self.text(fit.estimate[i])))
            self.rows.append((table, column, term, "std_error", self.text(fit.std_error[i])))
            stars = star_string(fit, i, self.normal)
            if stars:
                self.rows.append((table, column, term, "stars", stars))
        self.rows.append((table, column, "", "r2", self.text(fit.r2)))
        self.rows.append((table, column, "", "adj_r2", self.text(fit.adj_r2)))
        self.rows.append((table, column, "", "nobs", str(fit.nobs)))
        self.columns.append(
            {
                "table": table,
                "id": column,
                "outcome": outcome,
                "terms": list(terms),
                "fixed_effects": ["unit", "time"] if effects else [],
                "sample": sample,
                "constant": "undeclared" if effects else "pooled",
            }
        )

    def describe(self, name: str, values: Floats, binary: bool) -> None:
        table, column, n = "table1", "d", len(values)
        self.rows.append((table, column, name, "nobs", str(n)))
        self.rows.append((table, column, name, "mean", self.text(float(values.mean()))))
        self.rows.append((table, column, name, "std_dev", self.text(float(values.std(ddof=1)))))
        for quantity, value in (("min", values.min()), ("max", values.max())):
            self.rows.append((table, column, name, quantity, str(int(value)) if binary else self.text(float(value))))


def simulate_paper(seed: int, se: SeKind | None = None, *, like_paper: bool = False) -> SimulatedPaper:
    """Draw a panel of known truth and print its tables.

    Parameters
    ----------
    seed : int
    se : kind of standard errors (drawn where None)
    like_paper : bool
        Balanced, four decimals, controls and three mediators, as in the founding paper.
    """
    rng = np.random.default_rng(seed)
    kind: SeKind = se or ("iid", "hetero", "cluster")[int(rng.integers(3))]
    units = 28 if like_paper else int(rng.integers(12, 37))
    periods = 11 if like_paper else int(rng.integers(5, 14))
    treated = 9 if like_paper else int(rng.integers(3, units - 3))
    post = 7 if like_paper else int(rng.integers(2, periods - 1))
    decimals = 4 if like_paper else int(rng.integers(2, 5))
    balanced = like_paper or bool(rng.random() < 0.6)
    n_controls = 5 if like_paper else int(rng.integers(0, 5))
    n_mediators = 3 if like_paper else int(rng.integers(0, 3))
    absorbed = bool(rng.random() < 0.4)
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    treat = (unit < treated).astype(float) if rng.random() < 0.5 else (unit >= units - treated).astype(float)
    d = treat * (time >= periods - post)
    keep = np.ones(len(unit), dtype=bool)
    if not balanced:
        keep = rng.random(len(unit)) > 0.05
        keep[time == 0] = keep[time == periods - 1] = True
    unit, time, d = unit[keep], time[keep], d[keep]
    n = len(unit)
    unequal = kind != "iid" and rng.random() < 0.5
    spread = np.exp(0.7 * rng.standard_normal(units))[unit] if unequal else np.ones(n)

    def noise() -> Floats:
        base = rng.standard_normal(n) * spread
        if kind == "cluster":
            base = base + 0.7 * np.repeat(rng.standard_normal((units, periods)).cumsum(axis=1).ravel(), 1)[keep] * 0.4
        return np.asarray(base)

    effect_u, effect_t = rng.standard_normal(units)[unit], 0.3 * np.arange(periods)[time]
    scale = 10.0 ** rng.uniform(-1, 2, size=n_controls) if n_controls else np.zeros(0)
    controls = [
        (rng.standard_normal(n) + 0.8 * effect_u + 0.3 * effect_t + 0.4 * d) * scale[i] for i in range(n_controls)
    ]
    names = tuple(f"x{i + 1}" for i in range(n_controls))
    size = 10.0 ** rng.uniform(-1, 1)
    mediators = [
        (0.6 * d + effect_u + effect_t + 0.2 * sum((c / s for c, s in zip(controls, scale, strict=True)), np.zeros(n))
         + 0.6 * noise()) * 10.0 ** rng.uniform(-1.5, 2.5)
        for _ in range(n_mediators)
    ]  # fmt: skip
    y = size * (
        float(rng.uniform(0, 0.8)) * d + effect_u + effect_t + 0.5 * noise()
        + sum((0.2 * c / s for c, s in zip(controls, scale, strict=True)), np.zeros(n))
        + sum((0.3 * m / m.std() for m in mediators), np.zeros(n))
    )  # fmt: skip
    significant = 7 if rng.random() < 0.3 else None
    writer = _Writer(decimals, significant, bool(rng.random() < 0.5), kind == "cluster" and bool(rng.random() < 0.3))
    writer.describe("y", y, False)
    writer.describe("D", d, True)
    for name, values in zip(names, controls, strict=True):
        writer.describe(name, values, False)
    for i, values in enumerate(mediators):
        writer.describe(f"m{i + 1}", values, False)
    x_all = np.column_stack([d, *controls])
    base = int(rng.integers(units))
    unit_codes = np.where(unit == base, 0, np.where(unit < base, unit + 1, unit))
    late = int(rng.integers(periods)) if rng.random() < 0.3 else 0
    time_codes = np.where(time == late, 0, np.where(time < late, time + 1, time))
    options: dict[str, Any] = {"unit": unit_codes, "time": time_codes, "absorbed": absorbed}

    def run(
        table: str, column: str, out: Floats, outcome: str, x: Floats, terms: tuple[str, ...], effects: bool
    ) -> None:
        fit = least_squares(out, x, terms, unit, kind, **(options if effects else {}))
        writer.fit(table, column, fit, outcome, terms, effects, "full")

    run("table2", "1", y, "y", d[:, None], ("D",), False)
    run("table2", "2", y, "y", d[:, None], ("D",), True)
    if n_controls:
        run("table2", "3", y, "y", x_all, ("D", *names), False)
        run("table2", "4", y, "y", x_all, ("D", *names), True)
    for i, m in enumerate(mediators):
        run("table3", str(2 * i + 1), m, f"m{i + 1}", x_all, ("D", *names), True)
        both = np.column_stack([d, m, *controls])
        run("table3", str(2 * i + 2), y, "y", both, ("D", f"m{i + 1}", *names), True)
    samples: list[dict[str, Any]] = [{"id": "full", "nobs": n}]
    cut = units // 2
    for name, chosen in (("north", unit < cut), ("south", unit >= cut)):
        inside = d[chosen].reshape(-1)
        shares = [inside[unit[chosen] == u].mean() for u in np.unique(unit[chosen])]
        if max(shares) == 0 or min(shares) > 0:
            continue
        _, codes = np.unique(unit[chosen], return_inverse=True)
        fit = least_squares(
            y[chosen],
            x_all[chosen],
            ("D", *names),
            unit[chosen],
            kind,
            unit=codes,
            time=time[chosen],
            absorbed=absorbed,
        )
        writer.fit("table4", name, fit, "y", ("D", *names), True, name)
        samples.append(
            {
                "id": name,
                "within": "full",
                "group": "half",
                "units": len(shares),
                "periods": periods,
                "balanced": balanced,
            }
        )
    facts = {
        "schema": 1, "paper": f"simulated {seed}", "legend": {"levels": list(LEVELS), "tails": 2},
        "panel": {"units": units, "first": 1, "last": periods, "balanced": balanced},
        "treatment": {"term": "D", "starts": [periods - post + 1]},
        "descriptives": {"table": "table1", "column": "d", "sample": "full", "binary": ["D"]},
        "sample": samples, "column": writer.columns,
    }  # fmt: skip
    frame = pd.DataFrame(writer.rows, columns=["table", "column", "term", "quantity", "printed"])
    return SimulatedPaper(frame=frame, facts=facts, se=kind, decimals=decimals, balanced=balanced)
