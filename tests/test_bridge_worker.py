"""Does one bad fit in a Python worker cost one fit, and does the reason say what happened?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from crosscheck.bridge import FitItem, Worker, folders
from crosscheck.bridge.command import default_memory_limit, environment_of
from crosscheck.bridge.faults import describe_death, describe_timeout
from crosscheck.bridge.framing import ProtocolError, header_length, pack, parse_header, read_message
from crosscheck.errors import EngineMissing, UsageError
from crosscheck.frame import Column, Frame
from crosscheck.spec import FitRequest

REQUEST = FitRequest(formula="`y` ~ 1")
FRAME = Frame((Column("y", "float", np.array([1.0, 2.0, 4.0])),), 3)

ENGINES = textwrap.dedent(
    """
    import os, signal, subprocess, sys, time, warnings
    from crosscheck.engines.base import YES
    from crosscheck.errors import DataError, Unsupported
    from crosscheck.results import CoefRow, EstimationResult

    class Fake:
        language, packages = "python", ()
        def __init__(self, name, act): self.id, self.act = "w." + name, act
        def supports(self, request): return YES
        def code(self, request, path): return ""
        def fit(self, request, frame):
            out = self.act(frame)
            row = CoefRow(term=str(out), estimate=float(frame["y"].as_float().sum()))
            return EstimationResult(engine=self.id, coefs=(row,))

    def memory(frame):
        hoard = []
        while True:
            hoard.append(bytearray(32 << 20))

    def refuse(frame): raise Unsupported("not on a Monday")
    def data(frame): raise DataError("the sample is empty")
    def child(frame):
        process = subprocess.Popen(["sleep", "600"])
        open(os.environ["TEST_PID_FILE"], "w").write(str(process.pid))
        time.sleep(600)
    def warn(frame):
        warnings.warn("careful", RuntimeWarning)
        warnings.warn("for developers", DeprecationWarning)
    def once(frame):
        marker = os.environ["TEST_MARKER"]
        if not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGSEGV)
    def garbage(frame): os.write(int(os.environ["CROSSCHECK_OUT"]), b"these are no messages")
    def count(frame, state=[0]):
        state[0] += 1
        return state[0]
    def seen(frame):
        return "|".join([os.environ["TZ"], os.environ["LC_ALL"], os.environ["OMP_NUM_THREADS"], os.getcwd(),
                         os.environ["TMPDIR"], os.environ.get("LANG", "none"), str(hash("a") == hash("a"))])

    ACTS = dict(
        ok=lambda f: "ok", segv=lambda f: os.kill(os.getpid(), signal.SIGSEGV), abort=lambda f: os.abort(),
        leave=lambda f: os._exit(7), exit=lambda f: sys.exit(3), hang=lambda f: time.sleep(600), memory=memory,
        zero=lambda f: 1 / 0, refuse=refuse, data=data, child=child, warn=warn, once=once, garbage=garbage,
        noise=lambda f: print("noise " * 100000, flush=True), count=count, seen=seen, pid=lambda f: os.getpid(),
        panic=lambda f: (print("thread panicked at nothing", flush=True), os.abort()),
        close=lambda f: os.close(int(os.environ["CROSSCHECK_OUT"])) or time.sleep(600),
    )
    E = {name: Fake(name, act) for name, act in ACTS.items()}
    globals().update(E)
    """
)
NAMES = re.findall(r"(\w+)=", ENGINES.partition("ACTS = dict(")[2].partition("\n    )")[0])


@pytest.fixture(scope="module", autouse=True)
def fakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fakes")
    (folder / "bridge_fakes.py").write_text(ENGINES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("CROSSCHECK_ENGINES", ",".join(f"w.{n}=bridge_fakes:{n}" for n in NAMES))
        yield folder


@pytest.fixture(scope="module")
def worker(fakes):
    with Worker("python") as made:
        yield made


@pytest.fixture
def fresh(fakes):
    with Worker("python") as made:
        yield made


def fit(worker, name, timeout=20.0):
    return worker.fit(f"w.{name}", REQUEST, FRAME, timeout=timeout)


def gone(pid: int, within: float = 5.0) -> bool:
    """Whether a process ends in time (a zombie has ended)."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("segv", "crashed: signal 11 (SIGSEGV); twice"),
        ("abort", "crashed: signal 6 (SIGABRT)"),
        ("leave", "left with code 7 (sys.exit or os._exit in the engine?); twice"),
        ("exit", "left with code 3"),
        ("garbage", "protocol: "),
        ("zero", "ZeroDivisionError: division by zero"),
        ("data", "the sample is empty"),
    ],
)
def test_a_fault_is_a_result_and_the_next_fit_works(worker, name, reason):
    result = fit(worker, name)
    assert result.status == "error"
    assert result.reason.startswith(reason)
    assert result.engine == f"w.{name}"
    after = fit(worker, "ok")
    assert after.status == "ok"
    assert after.coefs[0].estimate == 7.0


def test_a_hang_is_killed_at_the_deadline(worker):
    worker.start()
    began = time.monotonic()
    result = fit(worker, "hang", timeout=0.7)
    assert 0.7 <= time.monotonic() - began < 1.7
    assert (result.status, result.reason) == ("error", "no answer within 0.7 s: killed")


def test_a_worker_that_closes_its_pipe_and_stays_is_killed(worker):
    worker.start()
    pid = worker.pid
    result = fit(worker, "close")
    assert result.reason == "protocol: the worker closed its pipe and stayed; twice"
    assert gone(pid)


def test_memory_exhaustion_is_contained():
    with Worker("python", memory_limit=2**30) as worker:
        result = fit(worker, "memory")
        assert result.status == "error"
        assert result.reason.startswith("memory exhausted")
        pid = worker.pid
        assert fit(worker, "ok").status == "ok"
        assert worker.pid != pid, "a process whose memory ran out is replaced"


def test_a_crash_that_does_not_repeat_is_not_believed(fresh, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_MARKER", str(tmp_path / "marker"))
    result = fit(fresh, "once")
    assert result.status == "ok"
    assert fresh.starts == 2


def test_unsupported_is_not_an_error(worker):
    result = fit(worker, "refuse")
    assert (result.status, result.reason) == ("unsupported", "not on a Monday")


def test_warnings_are_data_and_those_for_developers_are_not(worker):
    result = fit(worker, "warn")
    assert [(c.kind, c.text, c.cls) for c in result.conditions] == [("warning", "careful", "RuntimeWarning")]


def test_an_error_keeps_its_class_and_place(worker):
    (condition,) = fit(worker, "zero").conditions
    assert condition.kind == "error"
    assert condition.cls == "ZeroDivisionError"
    assert "bridge_fakes.py:" in condition.text


def test_printing_does_not_disturb_the_protocol(worker):
    assert fit(worker, "noise").status == "ok"
    assert fit(worker, "ok").status == "ok"


def test_the_last_output_is_in_the_reason(worker):
    reason = fit(worker, "panic").reason
    assert reason == "crashed: signal 6 (SIGABRT); last output: thread panicked at nothing; twice"


def test_children_of_a_killed_worker_die_with_it(fresh, tmp_path, monkeypatch):
    pid_file = tmp_path / "pid"
    monkeypatch.setenv("TEST_PID_FILE", str(pid_file))
    assert fit(fresh, "child", timeout=1.0).status == "error"
    assert gone(int(pid_file.read_text()))


def test_a_batch_loses_only_the_fit_that_failed(worker):
    names = ["ok", "segv", "count", "hang", "count", "zero", "ok"]
    results = worker.fit_many([FitItem(f"w.{n}", REQUEST, FRAME) for n in names], timeout=1.0)
    assert [r.status for r in results] == ["ok", "error", "ok", "error", "ok", "error", "ok"]
    assert [r.engine for r in results] == [f"w.{n}" for n in names]


def test_an_empty_batch_starts_nothing():
    with Worker("python") as worker:
        assert worker.fit_many([]) == []
        assert worker.starts == 0


def test_a_worker_is_recycled():
    with Worker("python", recycle_after=3) as worker:
        counts = [fit(worker, "count").coefs[0].term for _ in range(7)]
    assert counts == ["1", "2", "3", "1", "2", "3", "1"]
    with Worker("python", recycle_after=3) as worker:
        many = worker.fit_many([FitItem("w.count", REQUEST, FRAME)] * 7)
    assert [r.coefs[0].term for r in many] == counts


def test_frames_are_sent_once_and_dropped_beyond_the_cap(fresh, monkeypatch):
    sent = []
    exchange = Worker._exchange
    monkeypatch.setattr(
        Worker, "_exchange", lambda self, header, *rest: (sent.append(header["op"]), exchange(self, header, *rest))[1]
    )
    monkeypatch.setattr("crosscheck.bridge.worker.FRAMES_KEPT", 2)
    frames = [Frame((Column("y", "float", np.array([float(i)])),), 1) for i in range(3)]
    for frame in (frames[0], frames[0], frames[1], frames[2], frames[0]):
        assert fresh.fit("w.ok", REQUEST, frame).coefs[0].estimate == frame["y"].values[0]
    assert sent == ["hello", "put", "put", "put", "drop", "put", "drop"]


def test_the_worker_sees_a_fixed_world(fresh, monkeypatch):
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    tz, locale, threads, folder, temporary, lang, _ = fit(fresh, "seen").coefs[0].term.split("|")
    assert (tz, locale, threads, lang) == ("UTC", "C.UTF-8", "1", "none")
    assert folder != os.getcwd()
    assert Path(folder).parent == Path(temporary)


def test_the_temporary_folder_goes_with_the_worker(fresh):
    fresh.start()
    folder = fresh._process.folder
    assert folder.exists()
    fit(fresh, "segv")
    assert not folder.exists()
    last = fresh._process
    fresh.close()
    assert last is None or not last.folder.exists()


def test_a_closed_worker_says_so():
    worker = Worker("python")
    worker.close()
    with pytest.raises(EngineMissing, match="closed"):
        worker.start()


def test_close_from_another_thread_ends_a_fit_under_way():
    worker = Worker("python")
    worker.start()
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(worker, "hang", timeout=60)))
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    worker.close()
    thread.join(timeout=5)
    assert time.monotonic() - began < 3
    assert not thread.is_alive()
    assert results[0].reason == "the run was interrupted"


def test_a_worker_outlives_the_thread_that_started_it(fresh):
    thread = threading.Thread(target=fresh.start)
    thread.start()
    thread.join()
    pid = fresh.pid
    time.sleep(0.3)
    assert fit(fresh, "pid").coefs[0].term == str(pid)
    assert fresh.starts == 1


def test_two_threads_share_a_worker(fresh):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(fit(fresh, "count").coefs[0].term)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["1", "2", "3", "4", "5", "6"]


SCRIPT = """
import os, sys, threading
from crosscheck.bridge import Worker
from tests.test_bridge_worker import FRAME, REQUEST
worker = Worker("python")
worker.start()
open(sys.argv[1], "w").write(str(worker.pid))
print(worker._process.folder, flush=True)
try:
    worker.fit("w.hang", REQUEST, FRAME, timeout=600)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""


def start_parent(tmp_path, fakes):
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(fakes), str(Path(__file__).parents[1])]))
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "pid")], env=environment, stdout=subprocess.PIPE, text=True
    )
    folder = process.stdout.readline().strip()
    time.sleep(0.4)
    return process, int((tmp_path / "pid").read_text()), Path(folder)


def test_ctrl_c_leaves_no_worker_behind(tmp_path, fakes):
    process, pid, folder = start_parent(tmp_path, fakes)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert "interrupted" in output
    assert process.returncode == 130
    assert gone(pid)
    assert not folder.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: the parent-death signal")
def test_a_killed_parent_takes_the_worker_with_it(tmp_path, fakes):
    process, pid, _ = start_parent(tmp_path, fakes)
    process.kill()
    process.communicate()
    assert gone(pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: process ids below /proc")
def test_the_folder_of_a_killed_parent_is_swept_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    namespace = os.readlink("/proc/self/ns/pid")
    owners = {
        "gone": f"{namespace} {ended.pid}",
        "alive": f"{namespace} {os.getpid()}",
        "elsewhere": f"pid:[1] {ended.pid}",
    }
    for name, owner in owners.items():
        (tmp_path / f"crosscheck-{name}" / "cwd").mkdir(parents=True)
        (tmp_path / f"crosscheck-{name}" / "owner").write_text(owner)
    (tmp_path / "crosscheck-notes").mkdir()
    folders.sweep.cache_clear()
    assert folders.sweep() == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "crosscheck-alive",
        "crosscheck-elsewhere",
        "crosscheck-notes",
    ]


def test_an_interpreter_that_does_not_exist_is_a_clear_error(tmp_path):
    worker = Worker("python", python=str(tmp_path / "no-python"))
    with pytest.raises(EngineMissing, match="did not start"):
        worker.start()
    worker.close()


def test_a_worker_that_never_says_hello_is_a_clear_error(tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    with (
        Worker("python", python=str(slow), start_timeout=0.5) as worker,
        pytest.raises(EngineMissing, match=r"within 0\.5 s"),
    ):
        worker.start()


def test_messages_survive_their_frame_and_nonsense_does_not():
    payload = bytes(range(256))
    raw = pack({"op": "put", "name": "省份"}, payload) + payload
    position = 0

    def read(count):
        nonlocal position
        position += count
        return raw[position - count : position]

    assert read_message(read) == ({"op": "put", "name": "省份", "payload": 256}, payload)
    assert read_message(read) is None
    for text in (b"[1]", b"{", b'{"payload": -1}', b'{"payload": "x"}', b"\xff\xff"):
        with pytest.raises(ProtocolError):
            parse_header(text)
    with pytest.raises(ProtocolError):
        header_length(b"\xff\xff\xff\xff")
    with pytest.raises(ProtocolError, match="ended within a message"):
        read_message(lambda count: b"\x02\x00")


def test_deaths_are_described():
    assert describe_death(-11, "rpy2") == "crashed: signal 11 (SIGSEGV)"
    assert describe_death(3, "rscript") == "left with code 3 (quit() in R?)"
    assert describe_death(-9, "python").startswith("killed: signal 9 (SIGKILL)")
    assert describe_timeout(30.0) == "no answer within 30 s: killed"


def test_the_memory_limit_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("CROSSCHECK_MEMORY_LIMIT", "123456")
    assert default_memory_limit() == 123456
    monkeypatch.setenv("CROSSCHECK_MEMORY_LIMIT", "a lot")
    with pytest.raises(UsageError, match="CROSSCHECK_MEMORY_LIMIT"):
        default_memory_limit()
    monkeypatch.delenv("CROSSCHECK_MEMORY_LIMIT")
    assert default_memory_limit() >= 2**32


def test_profiles_and_locales_of_the_user_do_not_reach_a_worker(monkeypatch):
    for name in ("R_PROFILE", "LC_TIME", "LANG", "PYTHONSTARTUP", "PYTHONINSPECT"):
        monkeypatch.setenv(name, "x")
    seen = environment_of("rscript")
    assert not {"R_PROFILE", "LC_TIME", "LANG", "PYTHONSTARTUP", "PYTHONINSPECT"} & set(seen)
    assert seen["R_PROFILE_USER"] == os.devnull


def test_nothing_in_the_package_forks():
    """A child forked after R or a Rust thread pool has started hangs; workers are spawned."""
    import crosscheck

    # The one pool of processes spawns; it is known by the word that makes it so.
    spawned = (
        "from multiprocessing import active_children, get_context, parent_process",
        "from multiprocessing.connection import wait",
        "import ProcessPoolExecutor",
        'ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)',
    )
    for file in Path(crosscheck.__file__).parent.rglob("*.py"):
        text = file.read_text("utf-8")
        if file.name == "executors.py":
            assert all(words in text for words in spawned)
            for words in spawned:
                text = text.replace(words, "")
        for forbidden in (
            "os.fork",
            "import multiprocessing",
            "from multiprocessing",
            "preexec_fn",
            "ProcessPoolExecutor",
        ):
            assert forbidden not in text, (file, forbidden)
