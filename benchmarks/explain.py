"""How long does an explanation take on a panel of 10,000 rows?

    python benchmarks/explain.py [ROWS]

Prints, for each kind of difference, the rule that was named and the CPU and wall seconds of a first and of a second
call (the first also imports what it needs). What is asked: under 0.2 s for a factor common to all standard errors,
under 5 s for a search.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crosscheck.engines.oracle import ENGINE
from crosscheck.explain import explain_column, rank_column
from crosscheck.frame import Column, Frame
from crosscheck.published import PublishedNumber
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest, SscSpec, VcovSpec

FACTOR, SEARCH = 0.2, 5.0
PERIODS = 10


def panel(rows: int) -> Frame:
    """Return a two-way panel with clusters above its units, holes in a column, and some singletons."""
    rng = np.random.default_rng(1)
    units = rows // PERIODS
    n = units * PERIODS
    unit, year = np.repeat(np.arange(units), PERIODS), np.tile(np.arange(2000, 2000 + PERIODS), units)
    x, z = rng.normal(size=(2, n))
    y = 0.5 * x - 0.2 * z + rng.normal(size=n) + 0.1 * unit / units
    q = rng.normal(size=n)
    q[rng.permutation(n)[: n // 50]] = np.nan

    def integers(name: str, values: np.ndarray) -> Column:
        return Column(name, "integer", values.astype(np.int32))

    floats = tuple(Column(name, "float", v) for name, v in (("y", y), ("x", x), ("z", z), ("q", q), ("v", 2 * x - z)))
    return Frame((integers("id", unit), integers("year", year), integers("state", unit // 20), *floats), n)


def timed(call: Callable[[], object]) -> tuple[object, float, float]:
    """Return what a call gives, its CPU seconds and its wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = call()
    return found, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Print the table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    frame = panel(rows)
    by_id = VcovSpec(type="CRV1", cluster=("id",))
    request = FitRequest(formula="y ~ x + z | id + year", unit="id", time="year", vcov=by_id)
    kraay = request.model_copy(update={"vcov": VcovSpec(type="DK", lag=2)})
    both = request.model_copy(update={"formula": "y ~ x + z + v | id + year"})
    turned = request.model_copy(update={"formula": "y ~ v + z + x | id + year"})

    def fit(asked: FitRequest, engine: str, sample: Frame = frame, **changes: object) -> EstimationResult:
        return ENGINE.fit(asked.model_copy(update=changes), sample).with_(engine=engine)

    one = fit(request, "r.fixest")
    whole = ~frame["q"].missing
    spoiled = tuple(replace(r, std_error=r.std_error * 1.0001) for r in one.coefs)
    cases = {
        "factor: K": (one, fit(request, "pyfixest", ssc=SscSpec(k_fixef="full")), request, FACTOR),
        "factor: G": (one, fit(request, "pyfixest", ssc=SscSpec(g_adj=False)), request, FACTOR),
        "search: other clusters": (
            one,
            fit(request, "pyfixest", vcov=VcovSpec(type="CRV1", cluster=("state",))),
            request,
            SEARCH,
        ),
        "search: HC3": (one, fit(request, "pyfixest", vcov=VcovSpec(type="HC3")), request, SEARCH),
        "search: lag": (
            fit(kraay, "r.fixest"),
            fit(kraay, "pyfixest", vcov=VcovSpec(type="DK", lag=4)),
            kraay,
            SEARCH,
        ),
        "search: missing values": (one, fit(request, "r.lm", frame.take(whole)), request, SEARCH),
        "search: collinear column": (fit(both, "r.fixest"), fit(turned, "pyfixest"), both, SEARCH),
        "search: nothing explains it": (one, one.with_(engine="spoiled", coefs=spoiled), request, SEARCH),
    }
    print(f"{frame.nrows:,} rows; seconds of CPU (wall), first and second call")
    for name, (a, b, asked, limit) in cases.items():
        runs = [timed(lambda a=a, b=b, asked=asked: explain_column(a, b, frame, asked)) for _ in range(2)]
        found = runs[-1][0]
        rule = found["x", "std_error"][0].rule if ("x", "std_error") in found else "unexplained"
        if ("x", "estimate") in found:
            rule = found["x", "estimate"][0].rule
        times = ", ".join(f"{cpu:.3f} ({wall:.3f})" for _, cpu, wall in runs)
        print(f"{name:30} {rule:28} {times:34} {'ok' if runs[-1][1] < limit else 'SLOW'}: limit {limit:g}")
    numbers = []
    for row in fit(request, "a", ssc=SscSpec(k_fixef="full")).coefs:
        for quantity in ("estimate", "std_error"):
            value = round(getattr(row, quantity), 5)
            numbers.append(
                PublishedNumber(
                    table="t",
                    column="1",
                    term=row.term,
                    quantity=quantity,
                    printed=f"{value:.5f}",
                    value=value,
                    low=value - 5e-6,
                    high=value + 5e-6,
                    decimals=5,
                )
            )
    legend = {"*": 0.05}
    found, cpu, wall = timed(lambda: rank_column(numbers, frame, request, legend=legend))
    best = f"{len(found.whole)} of {found.tried} fit"
    print(f"{'forensics of a printed column':30} {best:28} {cpu:.3f} ({wall:.3f})")


if __name__ == "__main__":
    main()
