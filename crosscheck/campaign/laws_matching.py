"""Which rows are matched, by looking at all pairs?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from crosscheck.campaign.case import Case
from crosscheck.campaign.design_arithmetic import Floats, Line, Sample, line, sample_of
from crosscheck.campaign.laws_tables import Item, Reason, coefficients, extra_of, judged, near
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

TIE, DOUBT = 1e-12, 1e-8
"""Distances nearer than the first are tied; between the two rounding decides, and nothing is judged."""


def matching(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """Score equations, weights of all pairs, the weighted regression, and means of both groups."""
    o = request.options
    unit, time = o["unit"] or request.unit, o["time"] or request.time
    sample = sample_of(request, case.frame, (o["group"], *o["covariates"]), tuple(n for n in (unit, time) if n))
    judged(sample)
    assert isinstance(sample, Sample)
    rows = result.block("rows")
    if rows is None or not {"propensity", "match_weight"} <= set(rows.quantities):
        raise Reason("scores and weights are not told")
    pieces = [case.frame[n].codes() for n in (unit, time) if n]
    labels = ["|".join(known[c[i]] for c, known in pieces) for i in sample.rows]
    if len(rows.labels) != len(labels) or set(rows.labels) != set(labels):
        raise Reason("rows are called otherwise")
    order = [rows.labels.index(label) for label in labels]
    p, weight = (np.array(rows[q], dtype=float)[order] for q in ("propensity", "match_weight"))
    d = sample.values[o["group"]]
    period = case.frame[time].codes()[0][sample.rows] if time else np.zeros(d.size, dtype=np.int64)
    whole = np.zeros(d.size, dtype=np.int64)
    for b in np.unique(period if o["score_by"] == "period" else whole):
        mine = (period if o["score_by"] == "period" else whole) == b
        if p[mine].min() < 1e-4 or p[mine].max() > 1 - 1e-4:
            raise Reason("the groups are nearly separated")
        for name in o["covariates"]:
            x = sample.values[name][mine]
            x = (x - x.mean()) / max(float(np.abs(x - x.mean()).max()), 1e-300)
            yield near(name, "score equation", 0.0, float((d[mine] - p[mine]) @ x), 10.0)
        yield near("(Intercept)", "score equation", 0.0, float((d[mine] - p[mine]).sum()), 10.0)
    distance = np.log(p / (1 - p)) if o["distance"] == "logit" else p
    follows = np.zeros(d.size)
    blocks = period if o["match_by"] == "period" else whole
    for b in np.unique(blocks):
        mine = np.flatnonzero(blocks == b)
        follows[mine] = _block(p[mine], distance[mine], d[mine] == 1, o, sorts=result.engine == "r.matchit")
    if o["weighting"] == "matchit":
        serving = (d == 0) & (follows > 0)
        follows[serving] *= serving.sum() / follows[serving].sum()
    for i in range(d.size):
        yield near(labels[i], "match_weight", float(follows[i]), float(weight[i]))
    kept = follows > 0
    fit = line(
        sample.y[kept],
        sample.x[kept],
        _used(sample.dummies[kept]),
        follows[kept] if o["regression"] == "weighted" else None,
    )
    for name in o["covariates"]:
        x = sample.values[name]
        size = float(np.abs(x).max())
        for quantity, mask, w in (
            ("mean_treated", d == 1, np.ones(d.size)),
            ("mean_control", d == 0, np.ones(d.size)),
            ("mean_treated_matched", d == 1, follows),
            ("mean_control_matched", d == 0, follows),
        ):
            mean = float(w[mask] @ x[mask] / w[mask].sum())
            yield near(f"balance:{name}", quantity, mean, extra_of(result, f"balance:{name}", quantity), size)
    judged(fit)
    assert isinstance(fit, Line)
    yield from coefficients(result, fit, sample.names)


def _used(dummies: Floats) -> Floats:
    return dummies[:, dummies.any(axis=0)]


def _block(score: Floats, distance: Floats, treated: Any, o: Mapping[str, Any], *, sorts: bool = False) -> Floats:
    """Return the weights of one block's rows; ``sorts``: ties go by an order of the package's own."""
    usable = np.ones(score.size, dtype=bool)
    if o["support"] != "none":
        low, high = score[~treated].min(), score[~treated].max()
        if o["support"] == "both":
            low, high = max(low, score[treated].min()), min(high, score[treated].max())
        usable = (score >= low) & (score <= high)
        edges = np.concatenate([np.abs(score - low), np.abs(score - high)])
        if ((edges > 0) & (edges < DOUBT)).any():
            raise Reason("a score is at the edge of the support but for rounding")
    own, others = np.flatnonzero(usable & treated), np.flatnonzero(usable & ~treated)
    out = np.zeros(score.size)
    if not own.size or not others.size:
        return out
    if o["method"] == "kernel":
        for i in own:
            u = [(score[i] - score[j]) / o["bandwidth"] for j in others]
            k = [max(1 - v * v, 0.0) if o["kernel"] == "epanechnikov" else math.exp(-v * v / 2) for v in u]
            if 0 < sum(k) < DOUBT:
                raise Reason("a row is at the edge of a kernel")
            if sum(k) > 0:
                out[i] = 1.0
                out[others] += np.array(k) / sum(k)
        return out
    width = math.inf
    if o["caliper"] is not None:
        x = distance[usable]
        one, two = x[treated[usable]], x[~treated[usable]]
        if o["caliper_scale"] == "sd_pooled" and min(one.size, two.size) < 2:
            raise Reason("a variance of one row")
        width = (
            o["caliper"]
            * {
                "absolute": lambda: 1.0,
                "sd": lambda: float(x.std(ddof=1)),
                "sd_pooled": lambda: math.sqrt((one.var(ddof=1) + two.var(ddof=1)) / 2),
            }[o["caliper_scale"]]()
        )
    gaps = {(int(i), int(j)): abs(float(distance[j] - distance[i])) for i in own for j in others}
    _decided([*gaps.values()], width)
    for i in own:
        ranked = sorted(gaps[int(i), int(j)] for j in others)
        _decided(ranked, None)
        if sorts:
            _told_apart(ranked)
    for one_, chosen in _chosen(distance, own.tolist(), others.tolist(), gaps, width, o).items():
        if chosen:
            out[one_] = 1.0
            for j in chosen:
                out[j] += 1 / len(chosen)
    return out


def _decided(gaps: Sequence[float], width: float | None) -> None:
    """Say nothing where distances, or a distance and the caliper, differ by rounding alone."""
    pairs = pairwise(gaps) if width is None else ((g, width) for g in gaps)
    if any(TIE / 10 < abs(a - b) < DOUBT for a, b in pairs if math.isfinite(b)):
        raise Reason("two distances are the same but for rounding")


def _told_apart(gaps: Sequence[float]) -> None:
    """Say nothing where two controls are as far: which of them MatchIt takes hangs on its sorting, or on rounding."""
    if any(abs(a - b) < DOUBT for a, b in pairwise(gaps)):
        raise Reason("two controls are as far, and MatchIt has an order of its own for them")


def _chosen(
    distance: Floats,
    own: list[int],
    others: list[int],
    gaps: Mapping[tuple[int, int], float],
    width: float,
    o: Mapping[str, Any],
) -> dict[int, list[int]]:
    """Return the controls of each treated row."""
    if o["replace"]:
        found = {}
        for i in own:
            near_ = _by_gap({j: gaps[i, j] for j in others if gaps[i, j] <= width + TIE})
            found[i] = near_[: o["ratio"]]
            if o["ties"] == "all" and len(near_) > o["ratio"]:
                limit = gaps[i, near_[o["ratio"] - 1]]
                found[i] = [j for j in near_ if gaps[i, j] <= limit + TIE]
        return found
    sign = {"largest": -1.0, "smallest": 1.0, "data": 0.0}[o["order"]]
    order = sorted(own, key=lambda i: sign * distance[i])
    free, made = list(others), {i: list[int]() for i in own}
    for _ in range(o["ratio"]):
        for i in order:
            if not free:
                continue
            best = min(gaps[i, j] for j in free)
            if best > width + TIE:
                continue
            j = next(j for j in free if gaps[i, j] <= best + TIE)
            free.remove(j)
            made[i].append(j)
    return made


def _by_gap(gaps: Mapping[int, float]) -> list[int]:
    """Sort rows by distance; of tied rows the first in the data comes first."""
    left, out = sorted(gaps), list[int]()
    while left:
        best = min(gaps[j] for j in left)
        j = next(j for j in left if gaps[j] <= best + TIE)
        left.remove(j)
        out.append(j)
    return out
