"""How is a worker process started, spoken to within a deadline, and got rid of?

:class:`WorkerProcess` knows pipes, deadlines and deaths, and nothing about engines. It never forks a Python that has
state: workers are spawned, in a session of their own, with pipes of their own.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from crosscheck.bridge.folders import new_folder, remove_folder
from crosscheck.bridge.framing import PREFIX, ProtocolError, header_length, pack, parse_header

TAIL_BYTES = 4096
TAIL_SHOWN = 300
CHUNK = 1 << 20
SLICE = 0.25
LINGER = 1.0
LAUNCHER = Path(__file__).with_name("launch.py")


class WorkerDied(Exception):
    """The worker process has ended; ``returncode`` is negative for a signal."""

    def __init__(self, returncode: int, tail: str) -> None:
        super().__init__(f"worker ended with {returncode}")
        self.returncode, self.tail = returncode, tail


class WorkerTimeout(Exception):
    """The deadline passed without an answer."""


_spawner_lock = threading.Lock()
_spawner: ThreadPoolExecutor | None = None


def _spawn(**options: Any) -> subprocess.Popen[bytes]:
    """Start a process from a thread that lives as long as this process.

    The kernel sends the parent-death signal when the *thread* that started the child ends, so that a worker started in
    a short-lived thread would die with it.
    """
    global _spawner  # noqa: PLW0603
    with _spawner_lock:
        if _spawner is None:
            _spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crosscheck-spawn")
    future: Future[subprocess.Popen[bytes]] = _spawner.submit(lambda: subprocess.Popen(**options))
    try:
        return future.result()
    except BaseException:
        future.add_done_callback(_discard)
        raise


def _discard(future: Future[subprocess.Popen[bytes]]) -> None:
    if not future.cancelled() and future.exception() is None:
        _kill_group(future.result())


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a worker and all it has started; it leads a process group of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


class WorkerProcess:
    """One running worker process and its pipes.

    Parameters
    ----------
    command : sequence of str
        Program and arguments. The numbers of its pipes are in the environment variables ``CROSSCHECK_IN`` and
        ``CROSSCHECK_OUT``.
    environment : mapping
        The whole environment; ``TMPDIR`` is added.
    memory_limit : int
        Address space in bytes; 0 for none.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, memory_limit: int = 0) -> None:
        self.folder = new_folder()
        child_in, self._to_child = os.pipe()
        self._from_child, child_out = os.pipe()
        try:
            self._process = _spawn(
                args=[sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(memory_limit), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.folder / "cwd",
                env={
                    **environment,
                    "TMPDIR": str(self.folder),
                    "CROSSCHECK_IN": str(child_in),
                    "CROSSCHECK_OUT": str(child_out),
                },
                pass_fds=(child_in, child_out),
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            for fd in (self._to_child, self._from_child):
                os.close(fd)
            remove_folder(self.folder)
            raise
        finally:
            os.close(child_in)
            os.close(child_out)
        output = self._process.stdout
        assert output is not None
        self._output = output
        self._inbox = bytearray()
        self._outbox: list[memoryview] = []
        self._tail = bytearray()
        self._ended = False
        self._closed = False
        self._closing = threading.Lock()
        self._selector = selectors.DefaultSelector()
        for fd in (self._from_child, self._output.fileno(), self._to_child):
            os.set_blocking(fd, False)
        self._selector.register(self._from_child, selectors.EVENT_READ)
        self._selector.register(self._output.fileno(), selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Process id, which is also that of its group and session."""
        return self._process.pid

    @property
    def tail(self) -> str:
        """The last that the worker printed to stdout and stderr."""
        return self._tail.decode("utf-8", "replace").strip()

    def alive(self) -> bool:
        """Say whether the process still runs."""
        return not self._closed and self._process.poll() is None

    def send(self, header: Mapping[str, Any], payload: bytes = b"", *, deadline: float) -> None:
        """Write a message whole, reading meanwhile whatever the worker writes.

        Raises
        ------
        WorkerDied, WorkerTimeout
        """
        self._outbox.append(memoryview(pack(header, payload)))
        if payload:
            self._outbox.append(memoryview(payload))
        if not (self._ended or self._closed):
            self._write()  # a pipe nearly always has room, and asking costs more than trying
        while self._outbox:
            self._step(deadline)

    def receive(self, *, deadline: float) -> tuple[dict[str, Any], bytes]:
        """Return the next message of the worker.

        Raises
        ------
        WorkerDied, WorkerTimeout
        ProtocolError
            Where the worker's pipe carries something that is not a message.
        """
        while True:
            message = self._take()
            if message is not None:
                return message
            self._step(deadline)

    def _take(self) -> tuple[dict[str, Any], bytes] | None:
        if len(self._inbox) < PREFIX.size:
            return None
        length = header_length(self._inbox[: PREFIX.size])
        start = PREFIX.size + length
        if len(self._inbox) < start:
            return None
        header = parse_header(self._inbox[PREFIX.size : start])
        size = header.get("payload", 0)
        if len(self._inbox) < start + size:
            return None
        payload = bytes(self._inbox[start : start + size])
        del self._inbox[: start + size]
        return header, payload

    def _step(self, deadline: float) -> None:
        """Move bytes in both directions once, or find that time is up or the worker gone."""
        if self._ended or self._closed:
            raise self._death()
        left = deadline - time.monotonic()
        if left <= 0:
            raise WorkerTimeout
        if self._outbox and self._to_child not in self._selector.get_map():
            self._selector.register(self._to_child, selectors.EVENT_WRITE)
        elif not self._outbox and self._to_child in self._selector.get_map():
            self._selector.unregister(self._to_child)
        ready = self._selector.select(min(left, SLICE))
        for key, _ in ready:
            if key.fd == self._to_child:
                self._write()
            elif key.fd == self._from_child:
                self._read()
            else:
                self._drain()
        if not ready and self._process.poll() is not None:
            self._ended = True

    def _write(self) -> None:
        try:
            count = os.write(self._to_child, self._outbox[0][:CHUNK])
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._ended = True
            return
        self._outbox[0] = self._outbox[0][count:]
        if not self._outbox[0]:
            del self._outbox[0]

    def _read(self) -> None:
        try:
            data = os.read(self._from_child, CHUNK)
        except BlockingIOError:
            return
        if data:
            self._inbox += data
        else:
            self._ended = True

    def _drain(self) -> bool:
        try:
            data = os.read(self._output.fileno(), CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(self._output.fileno())
            return False
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        return True

    def _death(self) -> WorkerDied | ProtocolError:
        """Learn how the worker ended; one that has closed its pipe but lingers is killed."""
        if self._closed:
            return WorkerDied(-int(signal.SIGKILL), "")
        try:
            code = self._process.wait(timeout=LINGER)
        except subprocess.TimeoutExpired:
            _kill_group(self._process)
            return ProtocolError("the worker closed its pipe and stayed")
        while self._output.fileno() in self._selector.get_map() and self._drain():
            continue
        return WorkerDied(code, self.tail)

    def interrupt(self) -> None:
        """Kill the worker and its group at once; safe from any thread. Pipes stay open until :meth:`close`."""
        if self._process.poll() is None:
            _kill_group(self._process)

    def close(self, grace: float = 0.0) -> None:
        """End the worker, give it ``grace`` seconds to leave by itself, and remove its temporary folder."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            os.close(self._to_child)
            try:
                if grace:
                    self._process.wait(timeout=grace)
            except subprocess.TimeoutExpired:
                pass
            finally:
                # The group outlives its leader where the worker has started something of its own.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self._selector.close()
                os.close(self._from_child)
                self._output.close()
                remove_folder(self.folder)


__all__ = ["ProtocolError", "WorkerDied", "WorkerProcess", "WorkerTimeout"]
