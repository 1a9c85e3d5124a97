"""How is one side of an upgrade asked many questions, each costing only itself?

A side is a package at one version in an environment of its own (:mod:`crosscheck.upgrade.state`). Its cases are asked
in one worker process for each hash seed, frames sent once; a number that differs between seeds is said to be not
repeatable, and never to have moved.
"""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosscheck.bridge.worker import FitItem, Worker
from crosscheck.errors import UsageError
from crosscheck.results import Block, EstimationResult, failed
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.eras import Adapter

SEEDS = (0, 1)
TIMEOUT = 120.0
CHUNK = 40
PARALLEL = 2
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """A package at one version, with all that decides its numbers.

    Attributes
    ----------
    package, version : str
        The version that is installed there, such as ``0.50.1``.
    id : str
        Such as ``pyfixest@0.50.1``, with what was varied: ``pyfixest@0.60.0 (numpy 1.26.4)``.
    asked : str
        What the user named: a version, ``installed``, ``latest``, a wheel, a folder, a requirements file.
    python : Path or None
        Interpreter of its environment; ``None`` for the one of this process.
    adapter : Adapter
    state : mapping of str to str
        Versions of Python, platform, the package, numpy, scipy, pandas, formulaic and what else it stands on.
    pins : tuple of str
        Dependencies that were asked for, such as ``numpy==1.26.4``.
    hash_seeds : tuple of int
    """

    package: str
    version: str
    id: str
    asked: str
    python: Path | None
    adapter: Adapter
    state: Mapping[str, str]
    pins: tuple[str, ...] = ()
    hash_seeds: tuple[int, ...] = SEEDS


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRepeatable:
    """A number, or a whole answer, that one version gives otherwise under another hash seed.

    ``term`` and ``quantity`` are empty where the status differs; ``values`` has one entry for each seed, in order.
    ``spread`` is the largest difference relative to the number (of a block: to its largest member), infinite where
    no difference can be taken: 1e-15 is the order of a sum, 1e-3 another estimate.
    """

    case: str
    term: str
    quantity: str
    values: tuple[Any, ...]
    spread: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class SideResults:
    """What a side says.

    Attributes
    ----------
    side : Side
    results : mapping of str to EstimationResult
        Case to answer, under the first hash seed; one for every case.
    unrepeatable : tuple of NotRepeatable
    seconds : float
        Wall time.
    """

    side: Side
    results: Mapping[str, EstimationResult]
    unrepeatable: tuple[NotRepeatable, ...] = ()
    seconds: float = 0.0
    repeated: Mapping[int, Mapping[str, EstimationResult]] = field(default_factory=dict)


def run_side(
    side: Side,
    cases: Sequence[Case],
    *,
    timeout: float = TIMEOUT,
    hash_seeds: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> SideResults:
    """Ask a side all cases, once for each hash seed in a fresh process.

    Parameters
    ----------
    side : Side
    cases : sequence of Case
        With different ids.
    timeout : float
        Seconds for one call; a crash, a hang or memory exhaustion costs that call only.
    hash_seeds : sequence of int, optional
        Instead of those of the side.
    progress : callable, optional
        Told (done, of) answers.

    Returns
    -------
    SideResults
        Numbers whose bits differ between seeds are in ``unrepeatable``.

    Raises
    ------
    EngineMissing
        Where the side's interpreter cannot be started.
    UsageError
        Where two cases have one id, or no seed is given.
    """
    seeds = tuple(side.hash_seeds if hash_seeds is None else hash_seeds)
    ids = [case.id for case in cases]
    if len(set(ids)) != len(ids) or not seeds:
        twice = next((i for i in ids if ids.count(i) > 1), "")
        raise UsageError(f"two cases are called {twice!r}" if twice else "a side needs at least one hash seed")
    began = time.perf_counter()
    total = len(cases) * len(seeds)
    counter = itertools.count(1)

    def ask(seed: int) -> dict[str, EstimationResult]:
        found = {}
        for case, result in _ask(side, cases, seed, timeout):
            found[case.id] = result
            if progress is not None:
                progress(next(counter), total)
        return found

    with ThreadPoolExecutor(max_workers=min(len(seeds), PARALLEL)) as pool:
        answers = dict(zip(seeds, pool.map(ask, seeds), strict=True))
    first = answers[seeds[0]]
    varying = tuple(found for case in cases for found in unstable(case.id, [answers[seed][case.id] for seed in seeds]))
    return SideResults(
        side=side,
        results={i: first[i] for i in ids},
        unrepeatable=varying,
        seconds=time.perf_counter() - began,
        repeated={seed: answers[seed] for seed in seeds[1:]},
    )


def _ask(side: Side, cases: Sequence[Case], seed: int, timeout: float) -> Iterator[tuple[Case, EstimationResult]]:
    """Yield the answers of one process, those that share a frame one after the other."""
    if side.adapter.refusal:
        for case in cases:
            yield case, _named(side, failed(side.id, side.adapter.refusal, status="unsupported"), case)
        return
    adapter = side.adapter.to_json()
    ordered = sorted(cases, key=lambda c: c.frame.key)
    with Worker("thin", python=None if side.python is None else str(side.python), hash_seed=seed) as worker:
        for start in range(0, len(ordered), CHUNK):
            part = ordered[start : start + CHUNK]
            items = [
                FitItem(side.id, case.call, case.frame, more={"adapter": adapter}, new_rows=case.new_rows)
                for case in part
            ]
            for case, result in zip(part, worker.fit_many(items, timeout), strict=True):
                yield case, _named(side, result, case)


def _named(side: Side, result: EstimationResult, case: Case) -> EstimationResult:
    """Return an answer with the version, the state, and the names that a reader knows."""
    from crosscheck.upgrade.naming import renamed

    environment = tuple(sorted(side.state.items()))
    return renamed(result.with_(engine=side.id, version=side.version, environment=environment), case.names)


def unstable(case: str, results: Sequence[EstimationResult]) -> Iterator[NotRepeatable]:
    """Yield what differs in its bits between the answers to one case."""
    first, others = results[0], results[1:]
    if not others:
        return
    if any((r.status, _words(r)) != (first.status, _words(first)) for r in others):
        yield NotRepeatable(case=case, term="", quantity="", values=tuple(r.reason or r.status for r in results))
        return
    tables = [_numbers(r) for r in results]
    for key in dict.fromkeys(k for t in tables for k in t):
        values = tuple(t.get(key) for t in tables)
        if any(not _same(values[0], v) for v in values[1:]):
            yield NotRepeatable(case=case, term=key[0], quantity=key[1], values=values, spread=_spread(values))


def _words(result: EstimationResult) -> str:
    """Return why there is no answer without numbers: processes, threads and addresses have others each time."""
    return re.sub(r"0x[0-9a-fA-F]+|[0-9]+", "#", result.reason)


def _numbers(result: EstimationResult) -> dict[tuple[str, str], Any]:
    """Return every number of an answer by term and quantity; blocks as a whole."""
    found: dict[tuple[str, str], Any] = {(t, q): v for t, q, v in result.quantities()}
    found |= {(row.term, "df"): row.df for row in result.coefs if row.df is not None}
    found |= {(b.term, q): _members(b, q) for b in result.blocks for q in b.quantities}
    if result.dropped:
        found["", "dropped"] = result.dropped
    return found


def _members(block: Block, quantity: str) -> tuple[Any, ...]:
    return tuple(v if v is None or not math.isnan(v) else None for v in block[quantity])


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return bool(a == b)


def _spread(values: Sequence[Any]) -> float:
    """Return the largest difference of numbers, or of blocks of equal length, relative to the largest of them."""
    rows = [v if isinstance(v, tuple) else (v,) for v in values]
    if len({len(r) for r in rows}) > 1:
        return math.inf
    largest = widest = 0.0
    for members in zip(*rows, strict=True):
        if all(m is None or (isinstance(m, float) and math.isnan(m)) for m in members):
            continue
        if not all(isinstance(m, int | float) and math.isfinite(m) for m in members):
            return math.inf
        largest = max(largest, *(abs(m) for m in members))
        widest = max(widest, max(members) - min(members))
    return widest / largest if largest else 0.0
