"""What does asking through a worker cost over asking the package?

Prints CPU per fit (user and system, of workers and main process together) on a balanced panel of 28 units and 11
periods, 308 rows, with two fixed effects and three regressors. Bare fits and fits through a worker take turns, in
rounds, so that a busy machine slows both alike; the medians over rounds are printed.
"""

# ruff: noqa: E402 (threads are set before numpy is imported)
from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

from crosscheck.bridge import FitItem, Worker, bridge_status, r_packages
from crosscheck.compare import compare
from crosscheck.frame import Column, Frame
from crosscheck.judging import Context
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest, VcovSpec

UNITS, PERIODS = 28, 11
RIGHT = ("x0 + x1 + x2", "x1 + x0 + x2")
BARE = str(Path(__file__).with_name("bare_feols.R"))
VCOVS = ("iid", "HC1", "CRV1")
CONTEXT = Context(study="bench", table="1", column="1", legend={}, decimals={}, tolerances={})
Work = Callable[[int], object]


def sample() -> Frame:
    """Return the panel."""
    rng = np.random.default_rng(1)
    unit, period = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(PERIODS), UNITS)
    x = rng.normal(size=(unit.size, 3))
    y = x @ [1.0, 0.5, 0.2] + rng.normal(size=UNITS)[unit] + 0.1 * period + rng.normal(size=unit.size)
    return Frame(
        (
            Column("y", "float", y),
            *(Column(f"x{i}", "float", np.ascontiguousarray(x[:, i])) for i in range(3)),
            Column("unit", "integer", unit.astype(np.int32)),
            Column("time", "integer", period.astype(np.int32)),
        ),
        unit.size,
    )


def request(right: str, kind: str = "iid") -> FitRequest:
    """Return the question."""
    ticked = " + ".join(f"`{n}`" for n in right.split(" + "))
    vcov = VcovSpec(type="CRV1", cluster=("unit",)) if kind == "CRV1" else VcovSpec.model_validate({"type": kind})
    return FitRequest(formula=f"`y` ~ {ticked} | `unit` + `time`", unit="unit", time="time", vcov=vcov)


def own_cpu() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def worker_cpu(worker: Worker) -> float:
    """Return the CPU seconds of a worker process (in clock ticks of a hundredth: measure many fits at once)."""
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(workers: list[Worker], repeats: int, work: Work) -> float:
    """Return the milliseconds of CPU of one call of ``work``, in all processes that take part."""
    before = own_cpu() + sum(worker_cpu(w) for w in workers)
    for i in range(repeats):
        work(i)
    return 1000 * (own_cpu() + sum(worker_cpu(w) for w in workers) - before) / repeats


def bare_r(worker: Worker, frame: Frame, repeats: int, **more: object) -> float:
    """Return the milliseconds of a bare feols, measured inside the worker."""
    result = worker.fit("r.bare", FitRequest(formula="`y` ~ 1", options={"repeats": repeats, **more}), frame)
    assert result.status == "ok", result.reason
    value = result.extras[0].value
    assert value is not None
    return value


def bare_python(repeats: int, data: object, *, numbers: bool = False, vcovs: tuple[str, ...] = ()) -> float:
    """Return the milliseconds of a bare pyfixest.feols in this process, with its table and R2 where ``numbers``."""
    import pyfixest as pf

    before = time.process_time()
    for i in range(repeats):
        model = pf.feols(f"y ~ {RIGHT[i % 2]} | unit + time", data, vcov="iid", fixef_rm="none")
        if numbers:
            model.tidy()
        for kind in vcovs:
            if kind != "iid":
                model.vcov({"CRV1": "unit"} if kind == "CRV1" else kind)
    return 1000 * (time.process_time() - before) / repeats


def show(label: str, rounds: list[tuple[float, float]], of: str) -> None:
    """Print the medians of a cost and of its ratio to the bare one."""
    value = statistics.median(v for v, _ in rounds)
    ratio = statistics.median(v / b for v, b in rounds)
    print(f"{label:52}{value:8.2f} ms   {ratio:5.2f} x {of}", flush=True)


def bridge(kind: str, frame: Frame, rounds: int, repeats: int) -> None:
    """Measure one bridge: start, fits one by one, a batch, and another covariance of the same model."""
    questions = [request(r) for r in RIGHT]
    both = (questions[0], request(RIGHT[0], "CRV1"))
    items = [FitItem("r.fixest", questions[i % 2], frame) for i in range(repeats)]
    began = time.perf_counter()
    with Worker(kind, recycle_after=10**9, scripts=(BARE,)) as worker:  # type: ignore[arg-type]
        worker.start()
        started = time.perf_counter() - began
        worker.fit("r.fixest", questions[0], frame)
        first = time.perf_counter() - began
        print(f"{kind + ': start, and to the first fit (wall)':52}{started:8.2f} s  {first:8.2f} s")
        kinds: dict[str, tuple[int, int, Work]] = {
            "each fit": (repeats, 1, lambda i: worker.fit("r.fixest", questions[i % 2], frame)),
            "in one batch": (1, repeats, lambda _: worker.fit_many(items)),
            "another covariance of one model": (repeats, 1, lambda i: worker.fit("r.fixest", both[i % 2], frame)),
        }
        bare_r(worker, frame, 20)
        seen: dict[str, list[tuple[float, float]]] = {k: [] for k in kinds}
        for _ in range(rounds):
            for label, (calls, each, work) in kinds.items():
                bare = bare_r(worker, frame, repeats)
                seen[label].append((cost([worker], calls, work) / each, bare))
        print(
            f"{kind + ': bare feols in the same process':52}{statistics.median(b for _, b in seen['each fit']):8.2f} ms"
        )
        for label, values in seen.items():
            show(f"{kind}: {label}", values, "bare feols")


def compared(reference: EstimationResult, candidate: EstimationResult) -> None:
    """Compare every number of two fits."""
    cells = compare(reference, candidate, CONTEXT)
    assert len(cells) > 20
    assert all(c.verdict in ("exact", "numerical") for c in cells if c.quantity in ("estimate", "std_error"))


def parity(kind: str, frame: Frame, rounds: int, repeats: int) -> None:
    """Measure one parity check: fit in both, compare every coefficient; the data are in the workers already.

    It is set against the two fits alone; against the fits with the numbers that are compared (table, bounds, R2); and,
    for three covariances of one model, against one fit with two further covariances.
    """
    data = frame.to_pandas()
    several = [request(right, vcov) for right in RIGHT for vcov in VCOVS]
    with (
        Worker("python", recycle_after=10**9) as python,
        Worker(kind, recycle_after=10**9, scripts=(BARE,)) as r,  # type: ignore[arg-type]
    ):

        def one(question: FitRequest) -> None:
            compared(r.fit("r.fixest", question, frame), python.fit("pyfixest", question, frame))

        def alone(_: int) -> None:
            for i in range(repeats):
                one(request(RIGHT[i % 2]))

        def batches(_: int) -> None:
            asked = [request(RIGHT[i % 2]) for i in range(repeats)]
            references = r.fit_many(FitItem("r.fixest", q, frame) for q in asked)
            candidates = python.fit_many(FitItem("pyfixest", q, frame) for q in asked)
            for reference, candidate in zip(references, candidates, strict=True):
                compared(reference, candidate)

        def covariances(_: int) -> None:
            for i in range(repeats):
                one(several[i % len(several)])

        def bare(of: int, **more: Any) -> float:
            return bare_r(r, frame, of, **more) + bare_python(of, data, **more)

        ways: dict[str, tuple[Work, str, Callable[[], float]]] = {
            "one at a time": (alone, "the two bare fits", lambda: bare(repeats)),
            "one at a time ": (alone, "the fits and the numbers compared", lambda: bare(repeats, numbers=True)),
            "in batches": (batches, "the two bare fits", lambda: bare(repeats)),
            "one of three vcovs": (covariances, "the two bare fits", lambda: bare(repeats)),
            "one of three vcovs ": (
                covariances,
                "a third of the fits with three vcovs",
                lambda: bare(repeats // len(VCOVS), vcovs=VCOVS) / len(VCOVS),
            ),
        }
        for work, _, base in ways.values():
            work(0)
            base()
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (work, _, base) in ways.items():
                below = base()
                seen[name].append((cost([python, r], 1, work) / repeats, below))
        for name, (_, of, _) in ways.items():
            show(f"parity check ({kind}), {name.strip()}", seen[name], of)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=60, help="fits in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if "fixest" not in r_packages():
        print("needs R with fixest", file=sys.stderr)
        return 3
    frame = sample()
    for kind in ("rscript", *(["rpy2"] if bridge_status().rpy2_works else [])):
        bridge(kind, frame, options.rounds, options.repeats)
        parity(kind, frame, options.rounds, options.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
