"""What do tests of R need alike: a bridge or a reason to skip, small frames, and the engines with known faults."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from crosscheck.bridge import Worker, bridge_status, find_r, r_packages
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest

FAULTS = str(Path(__file__).parent / "r" / "faults.R")
BRIDGES = ("rscript", "rpy2")


@lru_cache(maxsize=1)
def _status():
    return bridge_status()


def skip_without_r() -> None:
    """Skip where there is no R."""
    if find_r() is None:
        pytest.skip("needs R: Rscript not found")


def skip_without(*packages: str) -> None:
    """Skip where R lacks a package."""
    skip_without_r()
    for package in packages:
        if package not in r_packages():
            pytest.skip(f"needs R package {package}")


def skip_without_bridge(kind: str) -> None:
    """Skip where a bridge cannot reach R."""
    skip_without_r()
    if kind == "rpy2" and not _status().rpy2_works:
        pytest.skip(f"needs rpy2 that loads this R: {_status().reason}")


def fault(name: str, **options) -> FitRequest:
    """The request that provokes a fault."""
    return FitRequest(formula="`y` ~ 1", options={"fault": name, **options})


def number(name: str, values) -> Column:
    return Column(name, "float", np.asarray(values, dtype=np.float64))


def whole(name: str, values) -> Column:
    return Column(name, "integer", np.asarray(values, dtype=np.int32))


def category(name: str, labels, levels=None) -> Column:
    """A category from labels; levels sorted unless given."""
    levels = tuple(levels or sorted(set(labels)))
    return Column(name, "category", np.array([levels.index(v) for v in labels], dtype=np.int32), levels)


def frame(*columns: Column) -> Frame:
    return Frame(tuple(columns), columns[0].values.size)


SMALL = frame(number("y", [1.0, 2.0, 3.0, 4.0]), number("x", [0.0, 1.0, 1.0, 3.0]))


def panel(units: int = 24, periods: int = 9, seed: int = 7, *, drop: float = 0.0, names=None) -> Frame:
    """A panel with two regressors, weights, a state that nests units, and a region that cuts across time."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), periods)
    time = np.tile(np.arange(2001, 2001 + periods), units)
    n = unit.size
    x = rng.normal(size=n) + 0.3 * unit / units
    z = rng.normal(size=n) + 0.5 * x
    shock = rng.normal(size=(units, periods))
    y = 0.7 * x - 0.4 * z + rng.normal(size=units)[unit] + 0.2 * (time - 2001) + shock.ravel() * (1 + 0.5 * np.abs(x))
    state = unit // 4
    group = rng.integers(0, 3, size=n)
    weights = rng.uniform(0.5, 2.0, size=n)
    keep = rng.uniform(size=n) >= drop
    label = {c: c for c in ("y", "x", "z", "unit", "time", "state", "group", "w", "count")} | dict(names or {})

    def cat(name: str, codes, stem: str) -> Column:
        levels = tuple(f"{stem}{i:02d}" for i in range(int(codes.max()) + 1))
        return Column(label[name], "category", codes[keep].astype(np.int32), levels)

    columns = (
        Column(label["y"], "float", y[keep]),
        Column(label["x"], "float", x[keep]),
        Column(label["z"], "float", z[keep]),
        cat("unit", unit, "u"),
        Column(label["time"], "integer", time[keep].astype(np.int32)),
        cat("state", state, "s"),
        cat("group", group, "g"),
        Column(label["w"], "float", weights[keep]),
        Column(label["count"], "integer", rng.poisson(np.exp(0.3 * x))[keep].astype(np.int32)),
    )
    return Frame(columns, int(keep.sum())).take(np.arange(int(keep.sum())))


def worker(kind: str, **options) -> Worker:
    """A worker of a bridge, or a skip."""
    skip_without_bridge(kind)
    return Worker(kind, **options)


def texts(result) -> dict[str, str]:
    """The texts that a fault engine returns."""
    return dict(result.environment)


def values(result) -> dict[str, float | None]:
    """The numbers that a fault engine returns."""
    return {e.term: e.value for e in result.extras}
