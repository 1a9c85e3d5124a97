"""How much faster is the closed form than a loop of pyfixest.feols, and does it give the same numbers?

    python benchmarks/placebo.py [--draws 1000] [--loop 60] [--million]

Prints microseconds of CPU a draw for both (coefficient and CRV1 standard error), the ratio, and the digits of agreement
on the draws that the loop repeats. ``--million`` also runs a million draws and prints its peak of memory.
"""

# ruff: noqa: E402 (threads are set before numpy is imported)
from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from crosscheck.conventions import Ssc, lre
from crosscheck.designs import placebo
from crosscheck.designs.draws import draw_subsets
from crosscheck.designs.panel import Panel

UNITS, PERIODS, START = 28, 11, 4


def make_panel(seed: int = 1) -> Panel:
    rng = np.random.default_rng(seed)
    unit, time_ = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(PERIODS), UNITS)
    controls = rng.normal(size=(unit.size, 5))
    treated = ((unit < 9) & (time_ >= START)).astype(float)
    y = (
        0.024 * treated
        + controls @ np.full(5, 0.01)
        + 0.1 * rng.normal(size=UNITS)[unit]
        + 0.02 * rng.normal(size=unit.size)
    )
    return Panel(
        y=y,
        x=np.column_stack([treated, controls]),
        names=("D", "x1", "x2", "x3", "x4", "x5"),
        effects={("unit",): unit, ("time",): time_},
        clusters={"unit": unit},
    )


def closed_form(panel: Panel, draws: np.ndarray, progress: placebo.Progress | None = None) -> placebo.Placebos:
    unit, time_ = panel.effects[("unit",)], panel.effects[("time",)]
    return placebo.run(placebo.prepare(panel, "D", unit, time_ >= START, "CRV1", Ssc()), draws, progress)


def loop(panel: Panel, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import pyfixest as pf

    unit, time_ = panel.effects[("unit",)], panel.effects[("time",)]
    data = pd.DataFrame(panel.x, columns=list(panel.names)).assign(y=panel.y, unit=unit, time=time_)
    estimates, errors = np.empty(len(draws)), np.empty(len(draws))
    for i, row in enumerate(draws):
        data["D"] = (row[unit] * (time_ >= START)).astype(float)
        fit = pf.feols("y ~ D + x1 + x2 + x3 + x4 + x5 | unit + time", data, vcov={"CRV1": "unit"}, fixef_rm="none")
        estimates[i], errors[i] = fit.coef()["D"], fit.se()["D"]
    return estimates, errors


def cpu_seconds(action, repeats: int) -> float:
    """Median CPU time: other processes on the machine do not count."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        action()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--loop", type=int, default=60)
    parser.add_argument("--million", action="store_true")
    given = parser.parse_args()
    panel = make_panel()
    draws = draw_subsets(20240101, given.draws, 6, UNITS)
    made = closed_form(panel, draws)
    ours = cpu_seconds(lambda: closed_form(panel, draws), 9) / given.draws
    sample = draws[: given.loop]
    loop(panel, sample[:3])
    estimates, errors = loop(panel, sample)
    theirs = cpu_seconds(lambda: loop(panel, sample[:10]), 5) / 10
    digits_b = min(lre(a, b) for a, b in zip(estimates, made.estimate, strict=False))
    digits_se = min(lre(a, b) for a, b in zip(errors, made.std_error, strict=False))
    print(
        f"{UNITS} units, {PERIODS} periods, 5 controls, two fixed effects, CRV1 by unit; {given.draws} draws of 6 units"
    )
    print(f"loop of pyfixest.feols   {theirs * 1e6:12.1f} us of CPU a draw")
    print(f"closed form, all of it   {ours * 1e6:12.2f} us of CPU a draw")
    print(f"ratio                    {theirs / ours:12.0f}")
    print(f"agreement: estimates {digits_b:.1f} digits, standard errors {digits_se:.1f}")
    if given.million:
        many = draw_subsets(7, 1_000_000, 6, UNITS)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("placebo draws", total=len(many))
            done = closed_form(panel, many, lambda finished, _: bar.update(task, completed=finished))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"1,000,000 draws          {time.perf_counter() - began:12.1f} s, "
            f"{(after - before) / 1024:.0f} MB above the draws themselves, sd {np.nanstd(done.estimate):.6f}"
        )
    sys.exit(0 if theirs / ours >= 1000 and min(digits_b, digits_se) >= 12 else 1)


if __name__ == "__main__":
    main()
