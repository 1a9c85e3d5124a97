"""Where are the batches of a campaign worked on: here, in other processes, or on a dask cluster?

An executor takes jobs and yields their results in the same order. It decides nothing but where: the events are the
same.
Nothing forks; a process that screens starts its own Python and R workers.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, Protocol

from crosscheck.campaign.screen import screen
from crosscheck.errors import EngineMissing, UsageError

Job = Mapping[str, Any]
Result = dict[str, Any]
AHEAD = 2
MOST_PROCESSES = 256


class Executor(Protocol):
    """Works on jobs."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield the result of each job, in their order; jobs are drawn a few ahead."""
        ...

    def close(self) -> None:
        """Let go of processes and connections."""
        ...


class Here:
    """In the process that runs the campaign."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Work on one job after the other."""
        for job in jobs:
            yield screen(job)

    def close(self) -> None:
        """Leave the workers to the process."""


class LocalProcesses:
    """Spawned processes of this machine."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._before = {p.pid for p in active_children()}
        self._pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Work on as many jobs at once as there are processes."""
        try:
            yield from _in_order(jobs, lambda job: self._pool.submit(screen, job), self.count * AHEAD)
        except BrokenProcessPool as error:
            raise EngineMissing(
                "a process of the campaign has died", hint="resume with fewer processes: --resume --executor local:1"
            ) from error

    def close(self) -> None:
        """End the processes at once: what they still work on nobody waits for."""
        mine = [p for p in active_children() if p.pid not in self._before]
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in mine:
            process.terminate()
        for process in mine:
            process.join(timeout=10)


def _begin() -> None:
    """End with the campaign, however it ends, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def end() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end, name="end-with-the-campaign", daemon=True).start()


class DaskCluster:
    """A cluster of dask.distributed, whose workers have crosscheck and the engines installed."""

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise EngineMissing("dask.distributed is not installed", hint='pip install "crosscheck[dask]"') from error
        try:
            self._client = distributed.Client(address, timeout="10s", set_as_default=False)
        except (OSError, ValueError) as error:
            raise EngineMissing(
                f"there is no dask scheduler at {address}: {error}", hint="start one with: dask scheduler"
            ) from error

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Work on the cluster, a few jobs ahead for each of its threads."""
        threads = sum(self._client.nthreads().values()) or 1
        yield from _in_order(jobs, lambda job: self._client.submit(screen, dict(job), pure=False), threads * AHEAD)

    def close(self) -> None:
        """Leave the cluster as it was."""
        self._client.close()


def _in_order(jobs: Iterable[Job], submit: Callable[[Job], Any], ahead: int) -> Iterator[Result]:
    waiting: deque[Any] = deque()
    source = iter(jobs)
    try:
        while True:
            while len(waiting) < ahead:
                job = next(source, None)
                if job is None:
                    break
                waiting.append(submit(job))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def executor_of(text: str | None) -> Executor:
    """Return the executor that ``--executor`` names.

    Raises
    ------
    UsageError
        Where it names none.
    EngineMissing
        Where dask is not installed or does not answer.
    """
    if text is None:
        return Here()
    local = re.fullmatch(r"local:([1-9][0-9]{0,3})", text)
    if local and int(local[1]) <= MOST_PROCESSES:
        return LocalProcesses(int(local[1]))
    if re.fullmatch(r"dask://[\w.\-\[\]:]+:[0-9]{1,5}", text):
        return DaskCluster(text.replace("dask://", "tcp://", 1))
    raise UsageError(f"there is no executor {text!r}", allowed=f"local:N (N up to {MOST_PROCESSES}), dask://HOST:PORT")
