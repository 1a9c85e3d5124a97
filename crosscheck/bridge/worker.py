"""How does one bad fit cost one fit, and not the run?

:class:`Worker` keeps one process alive, sends it frames once, asks for fits within a deadline, and turns whatever
happens to the process (a crash, ``quit()``, a hang, memory exhaustion, garbage on the pipe) into a result whose status
is ``error`` and whose reason says what happened. A worker that failed is replaced; a crash is believed only after a
second one in a fresh process.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from crosscheck.bridge.command import THREADS, command_of, default_memory_limit, environment_of
from crosscheck.bridge.faults import describe_death, describe_timeout
from crosscheck.bridge.process import TAIL_SHOWN, ProtocolError, WorkerDied, WorkerProcess, WorkerTimeout
from crosscheck.errors import DataError, EngineMissing
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult, failed, result_from_json

Kind = Literal["python", "rpy2", "rscript", "thin"]

START_TIMEOUT = 60.0
PUT_TIMEOUT = 120.0
RECYCLE_AFTER = 1000
FRAMES_KEPT = 64
FRAME_BYTES_KEPT = 2**29

_open: weakref.WeakSet[Worker] = weakref.WeakSet()
_checked: weakref.WeakKeyDictionary[Frame, str] = weakref.WeakKeyDictionary()


@atexit.register
def _close_all() -> None:
    for worker in list(_open):
        worker.close()


class Question(Protocol):
    """What is asked of an engine: a :class:`FitRequest`, or a call of a package as its users write it."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that crosses to the worker."""
        ...


@dataclass(frozen=True, slots=True)
class FitItem:
    """One question for :meth:`Worker.fit_many`: which engine, what, on which sample.

    ``more`` are further fields of the item (``docs/protocol.md``); ``new_rows`` further rows, such as those to predict
    on, which the worker finds under the key ``new_rows``.
    """

    engine: str
    request: Question
    frame: Frame
    more: Mapping[str, Any] = field(default_factory=dict)
    new_rows: Frame | None = None

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Return the frames that the worker must have."""
        return (self.frame,) if self.new_rows is None else (self.frame, self.new_rows)

    def to_json(self) -> dict[str, Any]:
        """Return the item as it crosses."""
        item = {"engine": self.engine, "key": self.frame.key, "request": self.request.to_json(), **self.more}
        return item if self.new_rows is None else {**item, "new_rows": self.new_rows.key}


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an exchange with the worker yielded nothing, and whether a fresh worker should be asked again."""

    reason: str
    again: bool


class Worker:
    """A worker that outlives its own crashes.

    Parameters
    ----------
    kind : str
        ``python``, ``rpy2``, ``rscript`` or ``thin`` (a package asked as its users ask it, where nothing of ours is).
    memory_limit : int, optional
        Address space of the process in bytes; ``None`` for :func:`~crosscheck.bridge.command.default_memory_limit`,
        0 for none.
    recycle_after : int
        Fits after which the process is replaced, since a heap that was damaged shows only later.
    python : str, optional
        Interpreter of a ``python`` or ``thin`` worker, such as that of an environment with another version.
    scripts : sequence of str
        Further R files that an R worker sources; tests bring faulty engines with them.
    start_timeout : float
        Seconds until the worker must have said hello.
    hash_seed : int
        Of Python's hashes, which decide the order of sets: a package that iterates one gives other numbers.
    threads : int
        Of linear algebra; one where digits are compared.
    variables : mapping of str to str, optional
        Further environment variables, such as ``R_LIBS`` of another library of R.
    """

    def __init__(
        self,
        kind: Kind = "python",
        *,
        memory_limit: int | None = None,
        recycle_after: int = RECYCLE_AFTER,
        python: str | None = None,
        scripts: Sequence[str] = (),
        start_timeout: float = START_TIMEOUT,
        hash_seed: int = 0,
        threads: int = 1,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.memory_limit = default_memory_limit() if memory_limit is None else memory_limit
        self.recycle_after = recycle_after
        self.start_timeout = start_timeout
        self.hash_seed, self.threads = hash_seed, threads
        self.starts = 0
        self._python, self._scripts, self._variables = python, tuple(scripts), dict(variables or {})
        self._process: WorkerProcess | None = None
        self._hello: dict[str, Any] = {}
        self._frames: OrderedDict[str, int] = OrderedDict()
        self._calls = 0
        self._number = 0
        self._closed = False
        self._lock = threading.RLock()
        _open.add(self)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the running worker, or ``None``."""
        process = self._process
        return process.pid if process is not None and process.alive() else None

    def start(self) -> None:
        """Start the process where none runs.

        Raises
        ------
        EngineMissing
            Where the worker cannot be started or does not say hello in time.
        """
        with self._lock:
            if self._closed:
                raise EngineMissing("the worker was closed")
            if self._process is not None and self._process.alive():
                return
            self._drop_process()
            command = command_of(self.kind, python=self._python, scripts=self._scripts)
            environment = environment_of(self.kind, python=self._python) | {"PYTHONHASHSEED": str(self.hash_seed)}
            environment |= dict.fromkeys(THREADS, str(self.threads)) | self._variables
            self._process = WorkerProcess(command, environment, memory_limit=self.memory_limit)
            self.starts += 1
            try:
                answer = self._exchange({"op": "hello"}, b"", self.start_timeout)
            except (WorkerDied, WorkerTimeout, ProtocolError) as fault:
                failure = self._failure(fault, self.start_timeout)
                self._drop_process()
                raise EngineMissing(
                    f"the {self.kind} worker did not start: {failure.reason}", hint="crosscheck doctor"
                ) from fault
            except BaseException:
                self._drop_process()
                raise
            if not answer.get("ok"):
                self._drop_process()
                raise EngineMissing(f"the {self.kind} worker did not start: {_refusal(answer)}")
            self._hello = {k: v for k, v in answer.items() if k not in ("ok", "id", "payload")}

    def hello(self) -> dict[str, Any]:
        """Return what the worker says of itself: ``language``, ``version``, ``packages``, ``platform`` and more."""
        with self._lock:
            self.start()
            return dict(self._hello)

    def put(self, frame: Frame, timeout: float = PUT_TIMEOUT) -> None:
        """Send a frame that the worker does not have; drop those it used least recently beyond the cap.

        Raises
        ------
        WorkerDied, WorkerTimeout, ProtocolError
            Where the exchange fails; :meth:`fit` turns them into results.
        DataError
            Where a name or a level is not a text that every language can hold.
        """
        with self._lock:
            key = checked_key(frame)
            self.start()
            if key in self._frames:
                self._frames.move_to_end(key)
                return
            described, payload = frame.encode()
            header = {"op": "put", "key": frame.key, "rows": frame.nrows, "columns": described}
            answer = self._exchange(header, payload, timeout)
            if not answer.get("ok"):
                raise ProtocolError(f"the worker refused the data: {_refusal(answer)}")
            self._frames[frame.key] = len(payload)
            while len(self._frames) > 1 and (
                len(self._frames) > FRAMES_KEPT or sum(self._frames.values()) > FRAME_BYTES_KEPT
            ):
                old, _ = self._frames.popitem(last=False)
                self._exchange({"op": "drop", "key": old}, b"", timeout)

    def fit(self, engine: str, request: Question, frame: Frame, timeout: float = 120.0) -> EstimationResult:
        """Ask for one fit; never raises for what an engine does.

        Parameters
        ----------
        timeout : float
            Seconds until the fit is given up and the worker killed. Starting a worker and sending it data do not count.

        Raises
        ------
        EngineMissing
            Where no worker of this kind can be started.
        """
        return next(iter(self.fit_many((FitItem(engine, request, frame),), timeout)))

    def fit_many(self, items: Iterable[FitItem], timeout: float = 120.0) -> list[EstimationResult]:
        """Ask for several fits in one message where all frames fit; each has the deadline of its own.

        A fit that fails costs only itself: those after it are asked of a fresh worker.
        """
        todo = list(items)
        results: list[EstimationResult] = []
        crashed_before = False
        with self._lock:
            while len(results) < len(todo):
                rest = todo[len(results) :][: max(1, self.recycle_after)]
                done, failure = self._attempt(rest, timeout)
                results.extend(done)
                if done:
                    crashed_before = False
                if failure is None:
                    continue
                item = todo[len(results)]
                if failure.again and not crashed_before and not self._closed:
                    crashed_before = True
                    continue
                reason = f"{failure.reason}; twice" if crashed_before and failure.again else failure.reason
                results.append(failed(item.engine, reason))
                crashed_before = False
        return results

    def _attempt(self, items: Sequence[FitItem], timeout: float) -> tuple[list[EstimationResult], _Failure | None]:
        """Ask for items until one fails; return the answers before it and the failure."""
        done: list[EstimationResult] = []
        limit = PUT_TIMEOUT
        try:
            if self._calls and self._calls + len(items) > self.recycle_after:
                self._drop_process()
            self.start()
            batch: list[FitItem] = []
            for item in items:
                if batch and any(checked_key(f) not in self._frames for f in item.frames):
                    break
                for frame in item.frames:
                    self.put(frame)
                batch.append(item)
            process, limit = self._running(), timeout
            self._number += 1
            number, started = self._number, time.monotonic()
            questions = [i.to_json() for i in batch]
            process.send({"op": "batch", "id": number, "items": questions}, deadline=started + timeout)
            for item in batch:
                answer = self._receive(number, time.monotonic() + timeout)
                self._calls += 1
                done.append(self._result(item.engine, answer))
                if answer.get("retire"):
                    self._drop_process()
                    break
        except (WorkerDied, WorkerTimeout, ProtocolError) as fault:
            failure = self._failure(fault, limit)
            self._drop_process()
            return done, failure
        except DataError as error:
            return done, _Failure(error.what, False)
        except EngineMissing:
            raise
        except BaseException:
            self._drop_process()
            raise
        return done, None

    def _running(self) -> WorkerProcess:
        if self._process is None:
            raise WorkerDied(-9, "")
        return self._process

    def _exchange(self, header: dict[str, Any], payload: bytes, timeout: float) -> dict[str, Any]:
        process = self._running()
        self._number += 1
        deadline = time.monotonic() + timeout
        process.send({**header, "id": self._number}, payload, deadline=deadline)
        return self._receive(self._number, deadline)

    def _receive(self, number: int, deadline: float) -> dict[str, Any]:
        answer, _ = self._running().receive(deadline=deadline)
        if answer.get("id") != number:
            raise ProtocolError(f"message {number} was answered as {answer.get('id')!r}")
        return answer

    def _result(self, engine: str, answer: dict[str, Any]) -> EstimationResult:
        if not answer.get("ok"):
            return failed(engine, f"the worker refused the request: {_refusal(answer)}")
        try:
            result = result_from_json(answer["result"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"a result is malformed: {type(error).__name__}: {error}") from error
        if result.engine != engine:
            raise ProtocolError(f"{engine} was asked and {result.engine} answered")
        return result

    def _failure(self, fault: Exception, timeout: float) -> _Failure:
        tail = self._process.tail[-TAIL_SHOWN:] if self._process is not None else ""
        if self._closed:
            return _Failure("the run was interrupted", False)
        if isinstance(fault, WorkerDied):
            return _Failure(_with_output(describe_death(fault.returncode, self.kind), fault.tail[-TAIL_SHOWN:]), True)
        if isinstance(fault, WorkerTimeout):
            return _Failure(describe_timeout(timeout), False)
        return _Failure(_with_output(f"protocol: {fault}", tail), True)

    def _drop_process(self) -> None:
        process, self._process = self._process, None
        self._frames.clear()
        self._calls = 0
        if process is not None:
            process.interrupt()
            process.close()

    def close(self) -> None:
        """End the worker at once; a fit under way in another thread returns with status ``error``."""
        self._closed = True
        process = self._process
        if process is not None:
            process.interrupt()
        with self._lock:
            self._drop_process()
        _open.discard(self)


def checked_key(frame: Frame) -> str:
    """Return the key of a frame whose names and levels are texts that every language can hold.

    Raises
    ------
    DataError
        For a text with a NUL character, at which R would cut it, or with a lone surrogate, which is no Unicode.
    """
    known = _checked.get(frame)
    if known is not None:
        return known
    for column in frame.columns:
        for text in (column.name, *column.levels):
            if "\x00" in text:
                raise DataError(f"column {column.name!r} holds a text with a NUL character")
            if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                raise DataError(f"column {column.name!a} holds a text that is not valid Unicode")
    _checked[frame] = frame.key
    return frame.key


def _refusal(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    if isinstance(error, dict):
        return f"{error.get('class', '')}: {error.get('message', '')}".strip(": ")
    return "no reason given"


def _with_output(reason: str, tail: str) -> str:
    text = " ".join(tail.split())
    return f"{reason}; last output: {text}" if text else reason
