"""A simulated panel, requests and a worker in R for the tests of designs."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from crosscheck import blocks, engines
from crosscheck.bridge import Worker, r_packages
from crosscheck.conventions import lre
from crosscheck.design_options import DESIGN_OPTIONS
from crosscheck.designs.draws import as_draws, draw_subsets, draw_weights
from crosscheck.designs.panel import Panel
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest, SscSpec, VcovSpec

UNITS, PERIODS, START = 28, 11, 2016
LABELS = tuple(f"省{i:02d}" for i in range(UNITS))
FORMULA = "`NQP` ~ `BDPZs` + `Tin` + `my con` + `Fin` | `province` + `year`"
PANEL_SIZE = UNITS * PERIODS


def floats(name, values):
    return Column(name, "float", np.asarray(values, dtype=np.float64))


def panel_frame(seed=3, *, noise=0.02, keep=1.0, missing=False):
    """28 provinces, 11 years, nine treated from 2016; badly scaled controls, a mediator, indicators, a group."""
    rng = np.random.default_rng(seed)
    n = PANEL_SIZE
    unit, year = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(2012, 2012 + PERIODS), UNITS)
    ever = rng.permutation(UNITS)[:UNITS] < 9
    treated = (ever[unit] & (year >= START)).astype(float)
    tin = 70000 * rng.gamma(2, 1, n) + 30000 * ever[unit]
    con, fin = rng.normal(0.4, 0.06, n) - 0.02 * ever[unit], rng.normal(3.5, 1, n)
    labor = 0.22 * treated + rng.normal(0, 0.1, n) + 0.1 * unit
    y = 0.02 * treated + 0.036 * labor + 1e-8 * tin + 0.02 * con - 0.01 * fin + noise * rng.normal(size=n)
    y += 0.01 * unit + 0.005 * (year - 2012)
    indicators = rng.gamma(2, 1, (n, 4))
    if missing:
        y[5], tin[17], indicators[9, 1] = np.nan, np.nan, np.nan
    columns = (
        Column("province", "category", unit.astype(np.int32), LABELS),
        Column("year", "integer", year.astype(np.int32)),
        Column("region", "category", (unit % 3).astype(np.int32), ("East", "Mid", "West")),
        Column("ever", "integer", ever[unit].astype(np.int32)),
        floats("NQP", y), floats("BDPZs", treated), floats("Tin", tin), floats("my con", con), floats("Fin", fin),
        floats("ln(Labor)", labor), *(floats(f"i{k}", indicators[:, k]) for k in range(4)),
    )  # fmt: skip
    rows = np.sort(rng.permutation(n)[: round(keep * n)])
    return Frame(columns, n).take(rows)


def arrays(frame, regressors=("BDPZs", "Tin", "my con", "Fin"), clusters=("province",)):
    """The panel of the standard regression."""
    return Panel(
        y=frame["NQP"].as_float(),
        x=np.column_stack([frame[n].as_float() for n in regressors]),
        names=tuple(regressors),
        effects={(n,): frame[n].codes()[0] for n in ("province", "year")},
        clusters={n: frame[n].codes()[0] for n in clusters},
        period=frame["year"].codes()[0],
    )


def ask(estimator, *, formula=FORMULA, vcov="iid", by=(), ssc=None, bandwidth=None, **options):
    """A request for a design, options filled in as a study does."""
    model = DESIGN_OPTIONS[estimator].model_validate(options)
    return FitRequest(
        estimator=estimator,
        formula="" if estimator in ("describe", "entropy") else formula,
        unit="province",
        time="year",
        vcov=VcovSpec(type=vcov, cluster=tuple(by), lag=bandwidth),
        ssc=SscSpec(**(ssc or {})),
        options=model.model_dump(mode="json"),
    )


def draws(kind, count=40, *, size=6, seed=1, labels=LABELS):
    """Embedded draws."""
    table = (
        draw_subsets(seed, count, size, len(labels))
        if kind == "subset"
        else draw_weights(seed, count, len(labels), kind)
    )
    return as_draws(kind, labels, table).model_dump(mode="json")


def python(request, frame):
    engine = engines.get("designs")
    assert engine.supports(request), engine.supports(request).reason
    result = engine.fit(request, frame)
    assert result.status == "ok", result.reason
    return result


@functools.cache
def why_no(package="base"):
    found = r_packages()
    if not found:
        return "needs R: Rscript not found"
    return "" if package in found else f"needs R package {package}"


def need_r(package="base"):
    if why_no(package):
        pytest.skip(why_no(package))


@functools.cache
def worker():
    return Worker("rscript")


def in_r(request, frame, engine="r.designs"):
    assert engines.get(engine).supports(request), engines.get(engine).supports(request).reason
    result = worker().fit(engine, request, frame, timeout=60)
    assert result.status == "ok", (result.reason, result.conditions)
    return result


def digits(ours, theirs, *, noise=1e-13):
    """Fewest agreeing digits by quantity; what both hold as zero up to ``noise`` counts as agreeing."""
    left = {(t, q): v for t, q, v in ours.quantities()} | members(ours)
    right = {(t, q): v for t, q, v in theirs.quantities()} | members(theirs)
    assert set(left) == set(right), sorted(set(left) ^ set(right))[:5]
    worst = {}
    for key, value in left.items():
        other = right[key]
        if math.isnan(value) or math.isnan(other):
            assert math.isnan(value), key
            assert math.isnan(other), key
            continue
        found = 15.0 if abs(value - other) <= noise else lre(value, other)
        worst[key[1]] = min(worst.get(key[1], 15.0), found)
    return worst


def members(result):
    """Numbers of blocks by member and quantity; a numbered member is called ``draws=1``."""
    return {
        (label if block.labels else f"{block.term}={label}", quantity): math.nan if value is None else value
        for block in result.blocks
        for quantity in block.quantities
        for label, value in zip(blocks.members(block), block[quantity], strict=True)
    }


def extras(result):
    return {(e.term, e.quantity): e.value for e in result.extras} | members(result)
