"""How are the fits of many cases had in few messages, Python and R side by side?

:class:`Fitter` takes all questions of a batch, drops those asked twice, and sends each language's worker one message
for as many samples as it keeps. Afterwards every answer is at hand; what a property asks for beyond that is fitted
singly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from crosscheck import engines
from crosscheck.bridge import FitItem, Worker
from crosscheck.bridge.process import ProtocolError, WorkerDied, WorkerTimeout
from crosscheck.campaign import other_pandas
from crosscheck.campaign.case import Ask
from crosscheck.campaign.corpus import Corpus
from crosscheck.errors import DataError
from crosscheck.frame import Frame
from crosscheck.plan import lane_of
from crosscheck.results import EstimationResult, failed
from crosscheck.runner import Workers
from crosscheck.spec import FitRequest
from crosscheck.store import cache_dir

FRAMES_A_MESSAGE = 48
Key = tuple[str, str, str]


@dataclass
class Fitter:
    """Answers questions, from what was fetched where it can.

    Attributes
    ----------
    workers : Workers
    versions : mapping
        Version of each engine; one that is not in it cannot be reached.
    timeout : float
        Seconds for one fit.
    corpus : Corpus or None
        Recorded answers of R, which stand in where R is not here.
    fits, seconds : int, float
        How many were made, and the time that the engines say they took.
    """

    workers: Workers
    versions: Mapping[str, str]
    timeout: float = 60.0
    corpus: Corpus | None = None
    fits: int = 0
    seconds: float = 0.0
    _answers: dict[Key, EstimationResult] = field(default_factory=dict)
    _lanes: dict[str, ThreadPoolExecutor] = field(default_factory=dict)

    def __call__(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        """Return an answer that was fetched, or fit."""
        key = (engine, request.hash, frame.key)
        if key not in self._answers:
            self.fetch((Ask(engine=engine, request=request, frame=frame),))
        return self._answers[key]

    def elsewhere(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        """Fit in another process, under another hash seed and with two threads."""
        if engine not in self.versions:
            return failed(engine, f"{engine} is not here", transport="missing")
        worker = self.workers.of(lane_of(engine), second=True, threads=2)
        result = worker.fit(engine, request, frame, timeout=self.timeout)
        return result.with_(version=result.version or self.versions[engine])

    def under_other_pandas(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        """Fit in the environment with another pandas, where it was built."""
        if engine not in self.versions:
            return failed(engine, f"{engine} is not here", transport="missing")
        python = other_pandas.interpreter(cache_dir())
        if python is None:
            return failed(engine, other_pandas.OtherPandas.absent, transport="missing")
        result = self.workers.of(f"python@{python}").fit(engine, request, frame, timeout=self.timeout)
        return result.with_(version=result.version or self.versions[engine])

    def forget(self) -> None:
        """Forget all answers: the next batch has other samples."""
        self._answers.clear()

    def fetch(self, asks: Iterable[Ask]) -> None:
        """Have all of these answered, each worker in a thread of its own."""
        wanted: dict[Key, Ask] = {}
        for ask in asks:
            key = (ask.engine, ask.request.hash, ask.frame.key)
            if key not in self._answers and key not in wanted:
                wanted[key] = ask
        lanes: dict[str, list[tuple[Key, Ask]]] = {}
        for key, ask in wanted.items():
            support = engines.get(ask.engine).supports(ask.request)
            if not support:
                # a worker would fit whatever it is asked
                self._answers[key] = failed(ask.engine, f"{support.reason} ({support.reach})", status="unsupported")
            elif ask.engine in self.versions:
                lanes.setdefault(lane_of(ask.engine), []).append((key, ask))
            else:
                self._answers[key] = self._recorded(key)
        jobs = [self._lane(lane).submit(self._answer, lane, items) for lane, items in lanes.items()]
        for job in jobs:
            for key, result in job.result():
                self._answers[key] = result.with_(version=result.version or self.versions[key[0]])
                self.seconds += result.seconds
                self.fits += 1

    def _recorded(self, key: Key) -> EstimationResult:
        found = self.corpus.get(*key) if self.corpus is not None else None
        return found or failed(key[0], f"{key[0]} is not here and this fit was not recorded", transport="missing")

    def _lane(self, lane: str) -> ThreadPoolExecutor:
        if lane not in self._lanes:
            self._lanes[lane] = ThreadPoolExecutor(1, thread_name_prefix=f"campaign-{lane}")
        return self._lanes[lane]

    def _answer(self, lane: str, items: list[tuple[Key, Ask]]) -> list[tuple[Key, EstimationResult]]:
        worker = self.workers.of(lane)
        out: list[tuple[Key, EstimationResult]] = []
        for part in _parts(items):
            _put_all(worker, part)
            asked = [FitItem(a.engine, a.request, a.frame) for _, a in part]
            results = worker.fit_many(asked, timeout=self.timeout)
            out += [(key, result) for (key, _), result in zip(part, results, strict=True)]
        return out

    def close(self) -> None:
        """End the threads; the workers belong to the caller."""
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)


def _parts(items: list[tuple[Key, Ask]]) -> Iterable[list[tuple[Key, Ask]]]:
    """Cut questions into messages of as many samples as a worker keeps; questions about one sample stay together."""
    items = sorted(items, key=lambda item: item[0][2])
    part: list[tuple[Key, Ask]] = []
    frames: set[str] = set()
    for item in items:
        if item[0][2] not in frames and len(frames) == FRAMES_A_MESSAGE:
            yield part
            part, frames = [], set()
        part.append(item)
        frames.add(item[0][2])
    if part:
        yield part


def _put_all(worker: Worker, part: Iterable[tuple[Key, Ask]]) -> None:
    """Send all samples before the questions, which are one message then; a failure shows again when they are asked."""
    for frame in {key[2]: ask.frame for key, ask in part}.values():
        try:
            worker.put(frame)
        except (WorkerDied, WorkerTimeout, ProtocolError, DataError):
            return
