"""What does a campaign cost beside the fits themselves?

Two ratios, each measured in one run, in CPU seconds of all processes that take part:

* campaign / bare: panels drawn, asked of Python's and R's engines, compared, explained and counted, over the fits
  alone: the same questions put to Python's engines by calling them here, and to R's, of which the smaller of its own
  time for the fits and its CPU is taken. 2 is allowed.
* R batch / R loop: one message for 48 samples, with one request for each and with two, over a plain loop in R that
  calls fixest on the same samples. 1.3 is allowed. The worker leaves fixest's checks of arguments out where it makes
  them itself, a plain loop does not; the ratio to a loop that leaves them out too is printed beside it.

Rounds take turns, so that a busy machine slows both sides alike; medians are printed.
"""

# ruff: noqa: E402 (threads are set before numpy is imported)
from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

from overhead import own_cpu, worker_cpu

from crosscheck import engines
from crosscheck.bridge import FitItem, Worker, bridge_status, r_packages
from crosscheck.bridge.py_worker import run
from crosscheck.campaign.case import Ask
from crosscheck.campaign.command import settings_of
from crosscheck.campaign.fits import Fitter
from crosscheck.campaign.plan import Settings, cases_of
from crosscheck.campaign.properties import properties
from crosscheck.campaign.screen import screen_with
from crosscheck.frame import Frame
from crosscheck.plan import Reachability
from crosscheck.runner import Workers
from crosscheck.simulate import PanelSpec, make_panel
from crosscheck.spec import FitRequest, VcovSpec

LOOP = str(Path(__file__).with_name("campaign_loop.R"))
ALLOWED, ALLOWED_R = 2.0, 1.3


def spent(workers: list[Worker]) -> float:
    """Return the CPU seconds of this process and its workers so far."""
    return own_cpu() + sum(worker_cpu(w) for w in workers)


def bare_fits(settings: Settings, numbers: list[int], versions: dict[str, str], workers: Workers) -> tuple[float, int]:
    """Return the seconds of the fits that a campaign asks for, made singly and compared with nothing."""
    asks: dict[tuple[str, str, str], Ask] = {}
    for number in numbers:
        for case in cases_of(settings, number):
            prop = properties()[case.rule]
            if not prop.applies(case):
                asks |= {(a.engine, a.request.hash, a.frame.key): a for a in prop.asks(case)}
    here = [a for a in asks.values() if engines.get(a.engine).language == "python"]
    before = own_cpu()
    for ask in here:
        run(ask.engine, ask.request, ask.frame)
    seconds = own_cpu() - before
    there = Fitter(workers=workers, versions=versions)
    in_r = [a for a in asks.values() if engines.get(a.engine).language == "r"]
    if in_r:
        worker = workers.of("r")
        before = worker_cpu(worker)
        there.fetch(in_r)
        seconds += min(there.seconds, worker_cpu(worker) - before)
    there.close()
    return seconds, len(asks)


def campaign_ratio(panels: int, rounds: int) -> float:
    """Return what a campaign costs over its engines' own fits."""
    reach = Reachability("auto")
    wanted = ("oracle", "r.fixest", "r.did", "r.lm", "statsmodels", "linearmodels", "pyfixest", "csdid")
    infos = {e: reach.info(e) for e in wanted}
    versions = {e: info.version for e, info in infos.items() if info.transport == "live"}
    settings = settings_of("ci", tuple(versions), ("engines_agree",), 70_000)
    ratios = []
    with Workers() as workers:
        used = [workers.of(language) for language in sorted({engines.get(e).language for e in versions})]
        warm = list(range(6))
        fitter = Fitter(workers=workers, versions=versions)
        screen_with(settings, warm, fitter)
        bare_fits(settings, warm, versions, workers)
        for k in range(rounds):
            numbers = list(range(6 + k * panels, 6 + (k + 1) * panels))
            before = spent(used)
            screen_with(settings, numbers, fitter)
            whole = spent(used) - before
            bare, fits = bare_fits(settings, numbers, versions, workers)
            ratios.append(whole / bare)
            print(
                f"  {panels} panels, {fits} fits: campaign {whole:.2f} s, bare {bare:.2f} s, ratio {whole / bare:.2f}"
            )
        fitter.close()
    return statistics.median(ratios)


def questions() -> tuple[FitRequest, ...]:
    """Return what is asked of each sample: two models, as many as the ci profile asks."""
    common = {"unit": "unit", "time": "time"}
    return (
        FitRequest(
            formula="`y` ~ `treated` + `x1` | `unit` + `time`",
            vcov=VcovSpec(type="CRV1", cluster=("unit",)),
            columns=("y", "treated", "x1", "unit", "time"),
            **common,
        ),
        FitRequest(
            formula="`y` ~ `treated` | `unit` + `time`",
            vcov=VcovSpec(type="hetero"),
            columns=("y", "treated", "unit", "time"),
            **common,
        ),
    )


def batch_ratio(rounds: int, models: int, samples: int = 48) -> float:
    """Return what a batch costs in R, and in the process that asks, over a plain loop in R."""
    kind = bridge_status().kind
    assert kind in ("rpy2", "rscript")
    asked = questions()[:models]
    ratios = []
    with Worker(kind, scripts=[LOOP]) as worker:
        worker.start()

        def loop(frame: Frame, *, unchecked: bool) -> float:
            options = {"models": models, "unchecked": unchecked}
            bare = worker.fit("r.loop", asked[0].model_copy(update={"options": options}), frame)
            assert bare.status == "ok", bare.reason
            return float(bare.extras[0].value or 0.0)

        for k in range(rounds + 1):
            frames = [
                make_panel(PanelSpec(units=12, periods=8, cohorts=2, regressors=1, seed=1000 * k + s)).frame
                for s in range(samples)
            ]
            before = spent([worker])
            for frame in frames:
                worker.put(frame)
            results = worker.fit_many([FitItem("r.fixest", q, f) for f in frames for q in asked])
            batch = 1000 * (spent([worker]) - before) / len(results)
            assert all(r.status == "ok" for r in results)
            plain, bare = (loop(frames[0], unchecked=u) for u in (False, True))
            if k:  # the first round loads packages
                ratios.append(batch / plain)
                print(
                    f"  {models} a sample: a fit in a batch {batch:.2f} ms, in the loop {plain:.2f} ms "
                    f"({bare:.2f} without checks), ratio {batch / plain:.2f} ({batch / bare:.2f})"
                )
    return statistics.median(ratios)


def main() -> int:
    """Print the ratios; leave with 1 where one is above what is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panels", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print("campaign over its engines' own fits")
    found = campaign_ratio(given.panels, given.rounds)
    print(f"campaign / bare: {found:.2f} (allowed {ALLOWED})")
    over = found > ALLOWED
    if "fixest" in r_packages():
        print("a batch in R over a plain loop in R")
        for models in (1, 2):
            batch = batch_ratio(given.rounds, models)
            print(f"R batch / R loop, {models} a sample: {batch:.2f} (allowed {ALLOWED_R})")
            over = over or batch > ALLOWED_R
    else:
        print("R batch / R loop: not measured, fixest is not here")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
