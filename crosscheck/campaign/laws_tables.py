"""Which numbers do winsorizing, mediation, subgroups, entropy weights and descriptives have by their definitions?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from crosscheck.campaign.case import Case
from crosscheck.campaign.design_arithmetic import Floats, Line, Sample, line, quantile, sample_of
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

Mask = NDArray[np.bool_]
LOOSE = 1e-7
"""Relative; of estimates also in units of what an estimate may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A number that follows, the number given, and what it may be off by."""

    term: str
    quantity: str
    follows: float
    given: float
    allowed: float


class Reason(Exception):
    """Why a law says nothing about an answer."""


def near(term: str, quantity: str, follows: float, given: float | None, scale: float = 0.0) -> Item:
    """Return a pair that must agree to seven digits, of itself or of a scale; a missing number never agrees."""
    known = math.nan if given is None else given
    if math.isnan(follows) and math.isnan(known):
        follows = known = 0.0
    return Item(
        term=term, quantity=quantity, follows=follows, given=known, allowed=LOOSE * max(abs(follows), scale) + 1e-12
    )


def extra_of(result: EstimationResult, term: str, quantity: str) -> float | None:
    """Return a further number of an answer."""
    return next((e.value for e in result.extras if (e.term, e.quantity) == (term, quantity)), None)


def judged(made: Sample | Line | str) -> None:
    """Say nothing where the arithmetic would lose digits."""
    if isinstance(made, str):
        raise Reason(made)


def coefficients(result: EstimationResult, fit: Line, names: tuple[str, ...], prefix: str = "") -> Iterator[Item]:
    """Yield each coefficient of a fit."""
    for at, name in enumerate(names):
        row = result.coef(prefix + name)
        yield near(prefix + name, "estimate", float(fit.coef[at]), None if row is None else row.estimate, fit.unit(at))


def of_bounds(result: EstimationResult, sample: Sample) -> Iterator[Item]:
    """Yield bounds and counts of winsorized columns."""
    for name, (low, high, below, above) in sample.bounds.items():
        yield near(name, "winsor_low", low, extra_of(result, name, "winsor_low"))
        yield near(name, "winsor_high", high, extra_of(result, name, "winsor_high"))
        yield near(name, "n_below", below, extra_of(result, name, "n_below"))
        yield near(name, "n_above", above, extra_of(result, name, "n_above"))


def describe(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """Moments by exact sums, quantiles by order statistics."""
    o = request.options
    columns = {n: case.frame[n].as_float() for n in o["variables"]}
    keep = np.ones(case.frame.nrows, dtype=bool)
    if o["missing"] == "complete":
        keep &= ~np.isnan(np.column_stack(list(columns.values()))).any(axis=1)
    for name, column in columns.items():
        x = [v for v in column[keep].tolist() if not math.isnan(v)]
        if not x:
            raise Reason("a variable has no values")
        scale = max(map(abs, x))
        yield near(name, "nobs", len(x), extra_of(result, name, "nobs"))
        mean = math.fsum(x) / len(x)
        yield near(name, "mean", mean, extra_of(result, name, "mean"), 1e-6 * scale)
        if len(x) > 1:
            sd = math.sqrt(math.fsum((v - mean) ** 2 for v in x) / (len(x) - o["ddof"]))
            yield near(name, "std_dev", sd, extra_of(result, name, "std_dev"), 1e-6 * scale)
        yield near(name, "min", min(x), extra_of(result, name, "min"))
        yield near(name, "max", max(x), extra_of(result, name, "max"))
        for p in o["quantiles"]:
            value = quantile(x, p, o["quantile"])
            if value is not None:
                yield near(name, f"q{p:.10g}", value, extra_of(result, name, f"q{p:.10g}"))


def entropy(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """Sums of p ln p, one indicator and block after the other."""
    o = request.options
    names = tuple(o["indicators"])
    x = np.column_stack([case.frame[n].as_float() for n in names])
    time, unit = o["time"] or request.time, o["unit"] or request.unit
    codes, labels = case.frame[time].codes() if time else (np.zeros(len(x), dtype=np.int64), ("",))
    there = ~np.isnan(x)
    kept: Mask = np.asarray(there.all(axis=1) if o["missing"] == "drop_rows" else there.any(axis=1))
    there &= kept[:, None]
    ranges = codes if o["standardize"] == "by_year" else np.zeros(len(x), dtype=np.int64)
    blocks = codes if o["proportions"] == "by_year" else np.zeros(len(x), dtype=np.int64)
    z, flat = np.full(x.shape, np.nan), np.zeros(x.shape, dtype=bool)
    for r in np.unique(ranges):
        for j, name in enumerate(names):
            mine = np.flatnonzero((ranges == r) & there[:, j])
            low, high = (x[mine, j].min(), x[mine, j].max()) if mine.size else (0.0, 0.0)
            flat[ranges == r, j] = low == high
            for i in mine:
                part = x[i, j] - low if o["indicators"][name] == "+" else high - x[i, j]
                z[i, j] = part / (high - low) if high > low else 0.0
    if o["zero"] == "shift":
        z = z + o["shift"]
    elif o["zero"] == "replace":
        z = np.where(z == 0, o["shift"], z)
    weight = np.full((int(blocks.max()) + 1, len(names)), np.nan)
    pooled, totals = o["proportions"] == "pooled", np.ones_like(weight)
    block = result.block("indicators")
    for b in np.unique(blocks):
        e = np.full(len(names), np.nan)
        for j in range(len(names)):
            v = [float(q) for q in z[blocks == b, j] if not math.isnan(q)]
            totals[b, j] = total = math.fsum(v)
            if flat[blocks == b, j].all():
                e[j] = 1.0 if o["constant"] == "zero_weight" else math.nan
            elif total > 0 and len(v) > 1:
                e[j] = -math.fsum(q / total * math.log(q / total) for q in v if q > 0) / math.log(len(v))
        spare = math.fsum(1 - q for q in e if not math.isnan(q))
        if not spare > 1e-9:
            raise Reason("no indicator tells the rows apart")
        weight[b] = (1 - e) / spare
        sums = 0.0
        for j, name in enumerate(names):
            if math.isnan(e[j]):
                continue
            for quantity, follows in (("weight", weight[b, j]), ("entropy", e[j]), ("redundancy", 1 - e[j])):
                label = name if pooled else f"{name}|{labels[b]}"
                given = extra_of(result, name, quantity) if pooled else None
                if not pooled and block is not None and label in block.labels:
                    given = block[quantity][block.labels.index(label)]
                yield near(label, quantity, float(follows), given, 1e-3)
                sums += given if quantity == "weight" and given is not None else 0.0
        yield near("", "weights", 1.0, sums)
    rows = result.block("rows")
    if rows is None:
        return
    score = dict(zip(rows.labels, rows["score"], strict=True))
    parts = z / np.where(totals > 0, totals, 1.0)[blocks] if o["score"] == "proportions" else z
    w = np.nan_to_num(weight)[blocks]
    known = ~np.isnan(parts)
    value = np.where(known, w * np.where(known, parts, 0), 0).sum(axis=1)
    if o["missing"] == "available":
        share = np.where(known, w, 0).sum(axis=1)
        value = np.where(share > 0, value / np.where(share > 0, share, 1), np.nan)
    for i in np.flatnonzero(kept & ~np.isnan(value)):
        pieces = [case.frame[n].codes() for n in (unit, time) if n]
        label = "|".join(known_[c[i]] if c[i] >= 0 else "" for c, known_ in pieces)
        yield near(label, "score", float(value[i]), score.get(label), 1e-3 * float(np.nanmax(np.abs(value))))


def winsor(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """Order statistics, and least squares on what they leave."""
    sample = sample_of(request, case.frame)
    judged(sample)
    assert isinstance(sample, Sample)
    yield from of_bounds(result, sample)
    fit = line(sample.y, sample.x, sample.dummies)
    judged(fit)
    assert isinstance(fit, Line)
    yield near("", "nobs", sample.rows.size, result.stats.nobs)
    yield from coefficients(result, fit, sample.names)


def mediation(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """Three regressions, the identity between them, Sobel's formulas, and the bootstrap draw by draw."""
    o = request.options
    cluster = (o["cluster"],) if o["cluster"] else ()
    sample = sample_of(request, case.frame, (o["mediator"], o["treatment"]), cluster)
    judged(sample)
    assert isinstance(sample, Sample)
    at, m = sample.names.index(o["treatment"]), sample.values[o["mediator"]]
    made = _three(sample, m, None)
    for name, fit, names in zip(
        ("total", "mediator", "direct"), made, (sample.names, sample.names, (o["mediator"], *sample.names)), strict=True
    ):
        yield from coefficients(result, fit, names, f"{name}:")
    a, b = float(made[1].coef[at]), float(made[2].coef[0])
    total, direct, indirect = (result.coef(f"effect:{n}") for n in ("total", "direct", "indirect"))
    unit = made[0].unit(at)
    if total is None or direct is None or indirect is None:
        raise Reason("the effects are not named")
    yield near("effect:indirect", "estimate", a * b, indirect.estimate, unit)
    yield near("effect:total", "estimate", (direct.estimate or 0) + (indirect.estimate or 0), total.estimate, unit)
    rows = result.coef(f"mediator:{o['treatment']}"), result.coef(f"direct:{o['mediator']}")
    if rows[0] is not None and rows[1] is not None and rows[0].std_error and rows[1].std_error:
        one, two = (
            (b * rows[0].std_error) ** 2 + (a * rows[1].std_error) ** 2,
            (rows[0].std_error * rows[1].std_error) ** 2,
        )
        yield near("effect:indirect", "std_error", math.sqrt(one), indirect.std_error)
        yield near(
            "effect:indirect", "se_aroian", math.sqrt(one + two), extra_of(result, "effect:indirect", "se_aroian")
        )
        if one > two * (1 + 1e-6):
            given = extra_of(result, "effect:indirect", "se_goodman")
            yield near("effect:indirect", "se_goodman", math.sqrt(one - two), given, math.sqrt(one))
    yield from of_bounds(result, sample)
    if o["draws"] is None:
        return
    counts = {label: k for k, label in enumerate(o["draws"]["labels"])}
    codes, labels = case.frame[o["cluster"]].codes()
    place = np.array([counts.get(labels[c], -1) for c in codes[sample.rows]])
    table = np.array([int(d, 36) for d in o["draws"]["codes"]]).reshape(-1, len(counts))
    drawn: list[tuple[float, float, float]] = []
    for row in table:
        try:
            one_, two_, three_ = _three(sample, m, row[place].astype(float))
        except Reason:
            continue  # an effect is not identified in this draw, or has no digits
        drawn.append((float(one_.coef[at]), float(three_.coef[at + 1]), float(two_.coef[at] * three_.coef[0])))
    if len(drawn) < 2 or extra_of(result, "effect:indirect", "n_draws") != len(drawn):
        raise Reason("which draws identify the effects is a matter of thresholds")
    level = request.conf_level
    for column, name in zip(np.array(drawn).T, ("total", "direct", "indirect"), strict=True):
        size = float(np.abs(column).max())
        yield near(f"effect:{name}", "se_bootstrap", float(column.std(ddof=1)),
                   extra_of(result, f"effect:{name}", "se_bootstrap"), size)  # fmt: skip
        for quantity, p in (("boot_low", (1 - level) / 2), ("boot_high", (1 + level) / 2)):
            value = quantile(column, round(p, 12), o["quantile"])
            if value is not None:
                yield near(f"effect:{name}", quantity, value, extra_of(result, f"effect:{name}", quantity), size)


def _three(sample: Sample, m: Floats, weights: Floats | None) -> tuple[Line, Line, Line]:
    rows = np.ones(m.size, dtype=bool) if weights is None else weights > 0
    y, x, d, own = sample.y[rows], sample.x[rows], sample.dummies[rows], m[rows]
    d = d[:, d.any(axis=0)]
    w = None if weights is None else weights[rows]
    found = line(y, x, d, w), line(own, x, d, w), line(y, np.column_stack([own, x]), d, w)
    for fit in found:
        judged(fit)
    return found  # type: ignore[return-value]


def subgroups(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """One regression for each group; with independent rows the test of equality is a weighted sum of squares."""
    o = request.options
    sample = sample_of(request, case.frame, (), (o["group"],))
    judged(sample)
    assert isinstance(sample, Sample)
    codes, labels = case.frame.take(sample.rows)[o["group"]].codes()
    at, effects, errors = sample.names.index(o["treatment"]), [], []
    for g, label in enumerate(labels):
        mine = codes == g
        if mine.sum() < 2:
            raise Reason("a group has fewer than two rows")
        d = sample.dummies[mine]
        fit = line(sample.y[mine], sample.x[mine], d[:, d.any(axis=0)])
        judged(fit)
        assert isinstance(fit, Line)
        yield from coefficients(result, fit, sample.names, f"{label}:")
        joint = result.coef(f"joint:{label}:{o['treatment']}")
        yield near(f"joint:{label}", "estimate", float(fit.coef[at]), joint.estimate if joint else None, fit.unit(at))
        yield near(label, "nobs", int(mine.sum()), extra_of(result, label, "nobs"))
        effects.append(float(fit.coef[at]))
        errors.append((joint.std_error if joint else None) or 0.0)
    if request.vcov.canonical not in ("iid", "HC1") or not min(errors) > 1e-8 * max(errors):
        return
    size = max(map(abs, effects))
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            term = f"{labels[i]} - {labels[j]}"
            given = extra_of(result, term, "difference")
            yield near(term, "difference", effects[i] - effects[j], given, size)
            given = extra_of(result, term, "difference_se")
            yield near(term, "difference_se", math.hypot(errors[i], errors[j]), given)
    w = [1 / s**2 for s in errors]
    mean = math.fsum(k * b for k, b in zip(w, effects, strict=True)) / math.fsum(w)
    q = math.fsum(k * (b - mean) ** 2 for k, b in zip(w, effects, strict=True))
    free, df = len(labels) - 1, extra_of(result, "equality", "df2") or math.nan
    room = 1e-6 * sum(k * b * b for k, b in zip(w, effects, strict=True))
    for quantity, follows, allowed in (
        ("wald_chi2", q, room),
        ("wald_f", q / free, room),
        ("wald_chi2_p", float(special.chdtrc(free, q)), 1e-6 + room),
        ("wald_f_p", float(special.fdtrc(free, df, q / free)), 1e-6 + room),
    ):
        given = extra_of(result, "equality", quantity)
        yield Item(
            term="equality",
            quantity=quantity,
            follows=follows,
            given=math.nan if given is None else given,
            allowed=allowed + LOOSE * abs(follows),
        )
