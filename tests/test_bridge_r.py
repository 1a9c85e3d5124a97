"""Does what R can do to a process cost one fit, through either bridge?

The engines with known faults are in ``tests/r/faults.R``; production workers do not know them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosscheck.bridge import FitItem, Worker
from crosscheck.errors import EngineMissing
from crosscheck.spec import FitRequest
from tests.r_support import (
    BRIDGES,
    FAULTS,
    SMALL,
    category,
    fault,
    frame,
    skip_without,
    skip_without_bridge,
    texts,
    values,
    worker,
)

GIB = 2**30


@pytest.fixture(scope="module", params=BRIDGES)
def kind(request):
    skip_without_bridge(request.param)
    return request.param


@pytest.fixture(scope="module")
def r(kind):
    with worker(kind, scripts=(FAULTS,)) as made:
        yield made


def ask(r, name, timeout=30.0, **options):
    return r.fit("r.fault", fault(name, **options), SMALL, timeout=timeout)


def test_hello_says_what_r_is(r, kind):
    hello = r.hello()
    assert hello["language"] == "r"
    assert hello["version"].count(".") == 2
    assert hello["settings"]["collate"] == "C"
    assert hello["settings"]["interactive"] == "false"


def test_an_r_error_is_data_with_class_call_and_message(r):
    result = ask(r, "error")
    assert (result.status, result.reason) == ("error", "it is broken")
    (condition,) = result.conditions
    assert (condition.kind, condition.cls, condition.text) == ("error", "my_error", "it is broken (in f(x))")


def test_warnings_and_messages_are_data(r, capfd):
    result = ask(r, "conditions")
    assert result.status == "ok"
    assert [(c.kind, c.cls, c.text) for c in result.conditions] == [
        ("warning", "simpleWarning", "first warning"),
        ("message", "simpleMessage", "a message"),
        ("warning", "my_warning", "second"),
    ]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("quit", "left with code 3 (quit() in R?)"),
        ("segv", "crashed: signal 11 (SIGSEGV)"),
        ("abort", "crashed: signal 6 (SIGABRT)"),
    ],
)
def test_a_death_in_r_is_a_result(r, name, reason):
    result = ask(r, name)
    assert result.status == "error"
    assert result.reason.startswith(reason)
    assert result.reason.endswith("twice")
    assert ask(r, "none").status == "ok"


@pytest.mark.parametrize("name", ["loop", "swallowing_loop", "code_in_c"])
def test_an_infinite_loop_is_killed_at_the_deadline(r, name):
    r.start()
    began = time.monotonic()
    result = ask(r, name, timeout=0.8)
    assert 0.8 <= time.monotonic() - began < 2.3
    assert result.reason == "no answer within 0.8 s: killed"
    assert ask(r, "none").status == "ok"


@pytest.mark.parametrize("name", ["recursion", "recursion_untrapped"])
def test_deep_recursion_is_an_ordinary_error(r, name):
    starts = r.starts
    result = ask(r, name)
    assert result.status == "error"
    assert "C stack usage" in result.reason or "nested too deeply" in result.reason
    assert r.starts == starts, "the process survives it"
    assert ask(r, "none").status == "ok"


@pytest.mark.parametrize("name", ["big_vector", "many_objects"])
def test_memory_exhaustion_is_contained(kind, name):
    with worker(kind, scripts=(FAULTS,), memory_limit=GIB) as small:
        result = ask(small, name)
        assert result.status == "error"
        assert result.reason.startswith(("memory exhausted", "crashed", "killed")), result.reason
        assert ask(small, "none").status == "ok"
        assert small.starts >= 2, "a process whose memory ran out is replaced"


def test_nothing_waits_for_a_keyboard(r):
    assert texts(ask(r, "readline", timeout=10))["answer"] == "[]"
    assert ask(r, "browser", timeout=10).status == "ok"
    assert values(ask(r, "stdin", timeout=10)) == {"lines": 0.0}


def test_printing_does_not_disturb_the_protocol(r):
    assert ask(r, "prints").status == "ok"
    assert ask(r, "none").status == "ok"


def test_the_settings_that_digits_depend_on(r, monkeypatch):
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    seen = texts(ask(r, "settings"))
    assert seen["collate"] == "C"
    assert seen["ctype"] == "C.UTF-8"
    assert seen["sorted"] == "ABab"
    assert seen["tz"] == "UTC"
    assert seen["interactive"] == "FALSE"
    assert seen["stack"] == "TRUE"
    assert seen["globals"] == ""
    assert seen["threads"] == "1"


def test_fixest_runs_in_one_thread(r):
    """With two, a process that forks later hangs, and a busy machine takes ten times the time."""
    skip_without("fixest")
    assert values(ask(r, "fixest_threads")) == {"threads": 1.0}


def test_the_temporary_folder_of_r_goes_with_the_worker(kind):
    with worker(kind, scripts=(FAULTS,)) as own:
        folder = Path(texts(ask(own, "settings"))["tempdir"])
        assert folder.exists()
        assert folder.parent == own._process.folder
        assert ask(own, "loop", timeout=0.5).status == "error"
        assert not folder.exists()


def test_profiles_and_saved_workspaces_are_not_loaded(kind, tmp_path, monkeypatch):
    (tmp_path / ".Rprofile").write_text('cat("noisy profile\\n"); T <- 0; quit(status = 9)\n')
    (tmp_path / ".Renviron").write_text("TZ=Asia/Shanghai\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("R_PROFILE_USER", str(tmp_path / ".Rprofile"))
    with worker(kind, scripts=(FAULTS,)) as own:
        seen = texts(ask(own, "settings"))
    assert (seen["T"], seen["tz"], seen["globals"]) == ("TRUE", "UTC", "")
    assert seen["wd"] != str(tmp_path)


def test_stale_globals_are_not_found(r):
    """A variable that the data lack is an error, even where R's global environment holds one of that name."""
    ask(r, "global")
    result = r.fit("r.lm", FitRequest(formula="`y` ~ `left_behind`"), SMALL)
    assert result.status == "error"
    assert "left_behind" in result.reason


def test_the_same_random_numbers_for_every_fit(r):
    first, second = ask(r, "random"), ask(r, "random")
    assert values(first) == values(second)


def test_a_malformed_result_is_a_protocol_error(r):
    result = ask(r, "malformed")
    assert result.status == "error"
    assert result.reason.startswith("protocol: a result is malformed")


def test_an_unknown_engine_and_a_batch(r):
    results = r.fit_many(
        [
            FitItem("r.fault", fault("none"), SMALL),
            FitItem("r.nothing", fault("none"), SMALL),
            FitItem("r.fault", fault("error"), SMALL),
            FitItem("r.fault", fault("none"), SMALL),
        ]
    )
    assert [x.status for x in results] == ["ok", "error", "error", "ok"]
    assert "there is no R engine r.nothing" in results[1].reason


def test_factor_order_and_names_do_not_depend_on_the_locale(r):
    """Levels A B a b in Python's order, and names in any script, reach R as they are."""
    data = frame(category("区域 名", ["b", "A", "a", "B"]), SMALL["y"])
    result = r.fit("r.fault", fault("echo", column="区域 名"), data)
    seen = texts(result)
    assert [seen[f"level{i}"] for i in range(1, 5)] == ["A", "B", "a", "b"]
    assert list(values(result).values()) == [4.0, 1.0, 3.0, 2.0]


SCRIPT = """
import sys
from crosscheck.bridge import Worker
from tests.r_support import FAULTS, SMALL, fault
worker = Worker(sys.argv[1], scripts=(FAULTS,))
worker.start()
print(worker.pid, flush=True)
try:
    worker.fit("r.fault", fault(sys.argv[2]), SMALL, timeout=600)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""


def parent(kind, name, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[1]))
    process = subprocess.Popen(
        [sys.executable, str(script), kind, name], env=environment, stdout=subprocess.PIPE, text=True
    )
    pid = int(process.stdout.readline())
    time.sleep(0.5)
    return process, pid


def gone(pid, within=5.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_ctrl_c_in_the_parent_leaves_no_r_behind(kind, tmp_path):
    process, pid = parent(kind, "swallowing_loop", tmp_path)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert "interrupted" in output
    assert process.returncode == 130
    assert gone(pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: the parent-death signal")
def test_a_killed_parent_takes_r_with_it(kind, tmp_path):
    process, pid = parent(kind, "loop", tmp_path)
    process.kill()
    process.communicate()
    assert gone(pid)


def test_what_r_started_ends_with_it(kind):
    with worker(kind, scripts=(FAULTS,)) as own:
        own.start()
        group = own.pid
        assert ask(own, "children", timeout=1.0).status == "error"
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_a_script_that_is_not_there_is_a_clear_error(kind, tmp_path):
    with (
        worker(kind, scripts=(str(tmp_path / "nothing.R"),), start_timeout=20) as own,
        pytest.raises(EngineMissing, match="did not start"),
    ):
        own.start()


def test_r_never_loads_in_this_process(r):
    ask(r, "none")
    assert not [m for m in sys.modules if m.split(".")[0] == "rpy2"]
    assert isinstance(r, Worker)
