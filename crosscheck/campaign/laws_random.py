"""Which numbers do placebos, the wild bootstrap and Monte Carlo panels have by their definitions?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
from scipy import special

from crosscheck.campaign.case import Case
from crosscheck.campaign.columns import with_request
from crosscheck.campaign.design_arithmetic import (
    Codes,
    Floats,
    Line,
    Sample,
    cluster_error,
    line,
    quantile,
    sample_of,
    swept,
)
from crosscheck.campaign.laws_tables import Item, Reason, extra_of, judged, near, of_bounds
from crosscheck.conventions import critical
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest

MOST_ASSIGNMENTS = 70
WEBB = (-math.sqrt(1.5), -1.0, -math.sqrt(0.5), math.sqrt(0.5), 1.0, math.sqrt(1.5))
SIGNS = {"rademacher": (-1.0, 1.0), "webb": WEBB}
CLOSE, SAME = 1e-5, 1e-9
"""Numbers nearer than the first, relatively, and not than the second are neither equal nor different: not judged."""


def _table(draws: Any) -> Codes:
    return np.array([int(d, 36) for d in draws["codes"]]).reshape(-1, len(draws["labels"]))


def all_assignments(request: FitRequest, case: Case) -> FitRequest:
    """Ask for every set of as many units, where there are few."""
    draws = request.options["draws"]
    units, size = len(draws["labels"]), int(_table(draws)[0].sum())
    if math.comb(units, size) > MOST_ASSIGNMENTS:
        return request
    codes = "".join(
        "".join("1" if u in chosen else "0" for u in range(units)) for chosen in combinations(range(units), size)
    )
    return with_request(request, options={**request.options, "draws": {**draws, "codes": codes}})


def _places(case: Case, sample: Sample, column: str, labels: Sequence[str]) -> Codes:
    codes, known = case.frame[column].codes()
    where = {label: k for k, label in enumerate(labels)}
    return np.array([where[known[c]] for c in codes[sample.rows]])


def _fit(sample: Sample) -> Line:
    made = line(sample.y, sample.x, sample.dummies)
    judged(made)
    assert isinstance(made, Line)
    if float(np.linalg.norm(made.resid)) < 1e-7 * float(np.linalg.norm(made.y)):
        raise Reason("the fit has no residuals but rounding")
    return made


def _error(fit: Line, at: int, kind: str, groups: Codes) -> float:
    """Return a standard error without its small-sample factor, the same for every draw."""
    if kind == "iid":
        return math.sqrt(float(fit.resid @ fit.resid) / float(fit.own[:, at] @ fit.own[:, at]))
    return cluster_error(fit, at, groups if kind == "CRV1" else np.arange(fit.resid.size))


def _decided(values: Floats, bound: float) -> None:
    gap = np.abs(values / bound - 1) if bound else np.abs(values)
    if ((gap < CLOSE) & (gap > SAME)).any():
        raise Reason("a draw is nearly as far out as the sample's")


def placebo(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """Each assignment's own regression, then counts of how many lie beyond the true one."""
    o = request.options
    unit, time = str(o["unit"] or request.unit), str(o["time"] or request.time)
    sample = sample_of(request, case.frame, (time,), (unit,))
    judged(sample)
    assert isinstance(sample, Sample)
    yield from of_bounds(result, sample)
    at, own = sample.names.index(o["treatment"]), _fit(sample)
    kind = request.vcov.canonical
    groups = np.zeros(sample.rows.size, dtype=np.int64)
    if kind == "CRV1":
        groups = case.frame[request.vcov.cluster[0]].codes()[0][sample.rows].astype(np.int64)
    place = _places(case, sample, unit, o["draws"]["labels"])
    late = sample.values[time] >= o["start"]
    true, own_error = float(own.coef[at]), _error(own, at, kind, groups)
    if not own_error > 1e-7 * own.unit(at):
        raise Reason("there is no standard error")
    true_t = true / own_error
    b, t, failed = [], [], 0
    block = result.block("draws")
    for number, row in enumerate(_table(o["draws"])):
        x = sample.x.copy()
        x[:, at] = row[place] * late
        rest = np.column_stack([sample.dummies, np.delete(x, at, axis=1)])
        left = float(np.linalg.norm(swept(x[:, [at]], rest)))
        if left <= 1e-9 * math.sqrt(sample.rows.size):
            failed += 1
            continue
        made = line(sample.y, x, sample.dummies)
        judged(made)
        assert isinstance(made, Line)
        b.append(float(made.coef[at]))
        error = _error(made, at, kind, groups)
        t.append(b[-1] / error if error > 1e-7 * made.unit(at) else math.nan)
        if block is not None:
            yield near(f"draw {number + 1}", "estimate", b[-1], block["estimate"][number], made.unit(at))
    if len(b) < 2:
        raise Reason("fewer than two draws have an estimate")
    draws, ts = np.array(b), np.array(t)
    size = float(np.abs(draws).max())
    for quantity, value in (
        ("n_draws", draws.size), ("n_failed", failed), ("mean", math.fsum(b) / len(b)),
        ("sd", float(draws.std(ddof=1))),
        *((f"q{p:.10g}", quantile(b, p, o["quantile"])) for p in o["quantiles"]),
    ):  # fmt: skip
        if value is not None:
            yield near("placebo", quantity, float(value), extra_of(result, "placebo", quantity), size)
    if abs(true) <= SAME * size:
        raise Reason("the sample's effect is zero but for rounding")
    _decided(np.abs(draws), abs(true))
    far = int((np.abs(draws) >= abs(true) * (1 - CLOSE)).sum())
    above = draws > true + CLOSE * abs(true)
    least = draws >= true - CLOSE * abs(true)
    for quantity, value in (
        ("rank", 1 + int(above.sum())), ("p_exceed", far / draws.size),
        ("p_randomization", (1 + far) / (1 + draws.size)), ("p_upper", (1 + int(least.sum())) / (1 + draws.size)),
    ):  # fmt: skip
        yield near("placebo", quantity, float(value), extra_of(result, "placebo", quantity))
    if np.isnan(ts).any():
        raise Reason("a draw has no standard error")
    _decided(np.abs(ts), abs(true_t))
    beyond = int((np.abs(ts) >= abs(true_t) * (1 - CLOSE)).sum())
    given = extra_of(result, "placebo", "p_randomization_t")
    yield near("placebo", "p_randomization_t", (1 + beyond) / (1 + draws.size), given)


def wild(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """Make each bootstrap outcome, fit it again, and count."""
    o = request.options
    sample = sample_of(request, case.frame, (), (o["cluster"],))
    judged(sample)
    assert isinstance(sample, Sample)
    at, own = sample.names.index(o["treatment"]), _fit(sample)
    groups = case.frame[o["cluster"]].codes()[0][sample.rows].astype(np.int64)
    signs = np.array(SIGNS[o["weight"]])
    size = np.unique(groups).size
    if o["draws"] is None:
        table, place = np.array(list(product((-1.0, 1.0), repeat=size))), np.unique(groups, return_inverse=True)[1]
    else:
        table, place = signs[_table(o["draws"])], _places(case, sample, o["cluster"], o["draws"]["labels"])
    null, x = float(o["null"]), own.own[:, at]
    estimate, error = float(own.coef[at]), cluster_error(own, at, groups)
    row = result.coef(o["treatment"])
    term = f"{o['treatment']} [wild]"
    given = extra_of(result, term, "statistic")
    if (
        row is None
        or not row.std_error
        or given is None
        or error < 1e-6 * float(np.linalg.norm(own.resid)) / float(np.linalg.norm(x))
    ):
        raise Reason("there is no standard error")
    yield near(o["treatment"], "estimate", estimate, row.estimate, own.unit(at))
    yield near(term, "statistic", (estimate - null) / row.std_error, given, 1e-6 + abs(null) / row.std_error)
    yield near(term, "n_draws", table.shape[0], extra_of(result, term, "n_draws"))
    factor = error / row.std_error
    rest = np.column_stack([sample.dummies, np.delete(sample.x, at, axis=1)])
    column = sample.x[:, at]
    if o["impose_null"]:
        resid, centre = swept((sample.y - null * column)[:, None], rest)[:, 0], null
    else:
        resid, centre = own.resid, estimate
    fitted = sample.y - resid
    ts = []
    for draw in table:
        made = line(fitted + draw[place] * resid, sample.x, sample.dummies)
        judged(made)
        assert isinstance(made, Line)
        spread = cluster_error(made, at, groups)
        if spread < 1e-6 * error:
            raise Reason("a draw has no standard error")
        ts.append((float(made.coef[at]) - centre) / spread * factor)
    drawn, t = np.array(ts), (estimate - null) / row.std_error
    far = float(np.abs(drawn).max())
    yield near(term, "t_mean", float(drawn.mean()), extra_of(result, term, "t_mean"), far)
    yield near(term, "t_sd", float(drawn.std(ddof=1)), extra_of(result, term, "t_sd"), far)
    if abs(t) < SAME:  # zero but for rounding, as a draw's may be
        t, drawn = 0.0, np.where(np.abs(drawn) < SAME, 0.0, drawn)
    _decided(np.abs(drawn[drawn != 0] if t == 0 else drawn), abs(t))
    tied = np.abs(np.abs(drawn) - abs(t)) <= CLOSE * abs(t)
    more = ((np.abs(drawn) > abs(t)) & ~tied).sum() + {"count": 1.0, "half": 0.5, "strict": 0.0}[o["ties"]] * tied.sum()
    yield near(term, "p_value", float(more) / drawn.size, extra_of(result, term, "p_value"))


def monte_carlo(request: FitRequest, case: Case, result: EstimationResult) -> Iterator[Item]:
    """The effect without noise; bias, coverage and exact bounds from the panels' own estimates."""
    o = request.options
    block = result.block("panels")
    if block is None:
        raise Reason("the panels are not told")
    grouping = (o["cluster"], str(o["unit"] or request.unit), str(o["time"] or request.time))
    sample = sample_of(request, case.frame, (), grouping)
    judged(sample)
    assert isinstance(sample, Sample)
    judged(line(sample.y, sample.x, sample.dummies))
    b = np.array(block["estimate"], dtype=float)
    noise = extra_of(result, "monte_carlo", "noise")
    size = float(np.abs(b).max())
    yield near(
        "monte_carlo", "without_noise", float(o["effect"]), extra_of(result, "monte_carlo", "without_noise"), size
    )
    yield near("monte_carlo", "bias", float(b.mean()) - o["effect"], extra_of(result, "monte_carlo", "bias"), size)
    if o["noise"] is not None:
        yield near("monte_carlo", "noise", float(o["noise"]), noise)
    row = result.coef(f"{o['treatment']} [mean]")
    if row is not None:
        yield near(row.term, "estimate", float(b.mean()), row.estimate, size)
        yield near(row.term, "std_error", float(b.std(ddof=1)) / math.sqrt(b.size), row.std_error)
    clusters = np.unique(case.frame[o["cluster"]].codes()[0][sample.rows]).size
    tail = (1 - o["bounds"]) / 2
    for vcov in o["vcovs"]:
        term, se = f"coverage [{vcov}]", np.array(block[f"std_error_{vcov}"], dtype=float)
        covered = extra_of(result, term, "covered")
        if covered is None:
            raise Reason("coverage is not told")
        if vcov.startswith("CRV") and request.ssc.t_df == "min" and clusters > 1:
            half = critical(request.conf_level, clusters - 1) * se
            gap = np.abs(b - o["effect"]) - half
            if not (np.abs(gap) < SAME * half).any():
                yield near(term, "covered", float((gap <= 0).sum()), covered)
        hits = int(covered)
        yield near(term, "share", hits / b.size, extra_of(result, term, "share"))
        low = 0.0 if hits == 0 else float(special.betaincinv(hits, b.size - hits + 1, tail))
        high = 1.0 if hits == b.size else float(special.betaincinv(hits + 1, b.size - hits, 1 - tail))
        yield near(term, "share_low", low, extra_of(result, term, "share_low"), 1e-3)
        yield near(term, "share_high", high, extra_of(result, term, "share_high"), 1e-3)
        yield near(term, "se_ratio", float(se.mean() / b.std(ddof=1)), extra_of(result, term, "se_ratio"))
