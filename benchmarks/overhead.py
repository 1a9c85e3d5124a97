"""What does asking through a worker cost over asking the package?

Prints CPU per fit (user and system, of worker and main process together) on a balanced panel of 28 units and 11
periods, 308 rows, two fixed effects, three regressors: bare in R, bare in Python, through each bridge, and one whole parity
check. CPU is compared, not wall time, so that a busy machine does not decide; single numbers still move by a tenth.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from crosscheck.bridge import FitItem, Worker, bridge_status, find_r, r_packages
from crosscheck.compare import Context, compare
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest, VcovSpec

UNITS, PERIODS = 28, 11
FORMULAS = ("`y` ~ `x0` + `x1` + `x2` | `unit` + `time`", "`y` ~ `x1` + `x0` + `x2` | `unit` + `time`")
BARE_PYTHON = """
import sys, time
import pandas as pd, pyfixest as pf
d = pd.read_csv(sys.argv[1])
def fit():
    pf.feols("y ~ x0 + x1 + x2 | unit + time", d, vcov={vcov}, fixef_rm="none")
for _ in range(5):
    fit()
t = time.process_time()
for _ in range(int(sys.argv[2])):
    fit()
print(1000 * (time.process_time() - t) / int(sys.argv[2]))
"""


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


def request(formula: str, clustered: bool = False) -> FitRequest:
    """Return the question."""
    vcov = VcovSpec(type="CRV1", cluster=("unit",)) if clustered else VcovSpec()
    return FitRequest(formula=formula, unit="unit", time="time", vcov=vcov)


def own_cpu() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def worker_cpu(worker: Worker) -> float:
    """Return the CPU seconds of a worker process."""
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(workers: list[Worker], repeats: int, work: object) -> float:
    """Return the milliseconds of CPU of one call of ``work``, in all processes that take part."""
    before = own_cpu() + sum(worker_cpu(w) for w in workers)
    for i in range(repeats):
        work(i)  # type: ignore[operator]
    return 1000 * (own_cpu() + sum(worker_cpu(w) for w in workers) - before) / repeats


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=300)
    repeats = parser.parse_args().repeats
    frame = sample()
    r = find_r()
    if r is None or "fixest" not in r_packages():
        print("needs R with fixest", file=sys.stderr)
        return 3
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TZ": "UTC"}
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "panel.csv"
        frame.to_pandas().to_csv(csv, index=False)
        script = Path(__file__).with_name("bare_feols.R")
        arguments = [r.rscript, "--vanilla", str(script), str(csv), str(repeats)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        bare_r, bare_r_clustered = map(float, done.stdout.split())
        arguments = [sys.executable, "-c", BARE_PYTHON.format(vcov="'iid'"), str(csv), str(repeats)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        bare_python = float(done.stdout)
    print(f"{'bare feols, iid':44}{bare_r:8.2f} ms")
    print(f"{'bare feols, clustered':44}{bare_r_clustered:8.2f} ms")
    print(f"{'bare pyfixest, iid':44}{bare_python:8.2f} ms")
    questions = [request(f) for f in FORMULAS]
    kinds = ["rscript", *(["rpy2"] if bridge_status().rpy2_works else [])]
    for kind in kinds:
        bridge(kind, questions, frame, repeats, bare_r)
    for kind in kinds:
        parity(kind, questions, frame, repeats, bare_r + bare_python)
    return 0


def show(label: str, value: float, bare: float, of: str) -> None:
    """Print one cost and its ratio."""
    print(f"{label:44}{value:8.2f} ms   {value / bare:5.2f} x {of}", flush=True)


def bridge(kind: str, questions: list[FitRequest], frame: Frame, repeats: int, bare: float) -> None:
    """Measure one bridge: start, fits one by one, a batch, and another covariance of the same model."""
    began = time.perf_counter()
    with Worker(kind, recycle_after=10**9) as worker:  # type: ignore[arg-type]
        worker.start()
        started = time.perf_counter() - began
        worker.fit("r.fixest", questions[0], frame)
        first = time.perf_counter() - began
        print(f"{kind + ': start, and to the first fit (wall)':44}{started:8.2f} s {first:8.2f} s")
        items = [FitItem("r.fixest", questions[i % 2], frame) for i in range(repeats)]
        both = (questions[0], request(FORMULAS[0], clustered=True))

        def fit(i: int) -> None:
            worker.fit("r.fixest", questions[i % 2], frame)

        def batch(_: int) -> None:
            worker.fit_many(items)

        def covariance(i: int) -> None:
            worker.fit("r.fixest", both[i % 2], frame)

        show(f"{kind}: each fit", cost([worker], repeats, fit), bare, "bare feols")
        show(f"{kind}: in one batch", cost([worker], 1, batch) / repeats, bare, "bare feols")
        show(f"{kind}: another covariance of one model", cost([worker], repeats, covariance), bare, "bare feols")


def parity(kind: str, questions: list[FitRequest], frame: Frame, repeats: int, bare: float) -> None:
    """Measure one parity check: fit in both, compare every coefficient."""
    context = Context(study="bench", table="1", column="1", legend={}, decimals={}, tolerances={})
    with Worker("python", recycle_after=10**9) as python, Worker(kind, recycle_after=10**9) as r:  # type: ignore[arg-type]

        def check(i: int) -> None:
            question = questions[i % 2]
            reference = r.fit("r.fixest", question, frame)
            candidate = python.fit("pyfixest", question, frame)
            cells = compare(reference, candidate, context)
            assert len(cells) > 20
            assert all(c.verdict in ("exact", "numerical") for c in cells if c.quantity in ("estimate", "std_error"))

        for i in range(6):
            check(i)
        spent = cost([python, r], repeats, check)
    show(f"parity check through {kind}", spent, bare, "the two bare fits")


if __name__ == "__main__":
    sys.exit(main())
