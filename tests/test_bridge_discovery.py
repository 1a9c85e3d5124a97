"""Is the R of this machine found, or its absence said, without loading anything into this process?"""

from __future__ import annotations

import os
import sys
import textwrap

import pytest

from crosscheck.bridge import (
    bridge_status,
    choose_bridge,
    find_r,
    live_kind,
    r_packages,
    r_scripts_dir,
    rpy2_pin,
)
from crosscheck.bridge import discovery as found
from crosscheck.bridge.command import command_of
from crosscheck.errors import EngineMissing, UsageError
from tests.r_support import skip_without_r

FAKE = """#!/bin/sh
echo 'a profile that prints'
echo '{answer}'
"""


@pytest.fixture(autouse=True)
def no_forced_bridge(monkeypatch):
    monkeypatch.delenv("CROSSCHECK_R_BRIDGE", raising=False)


@pytest.fixture
def fake_r(tmp_path, monkeypatch):
    """Put an Rscript on PATH that answers as told."""

    def make(answer: str):
        program = tmp_path / "Rscript"
        program.write_text(FAKE.format(answer=answer))
        program.chmod(0o755)
        monkeypatch.setenv("CROSSCHECK_RSCRIPT", str(program))
        return program

    return make


ANSWER = '{"R": "%s", "home": "/r", "libraries": ["/r/library"], "packages": {"fixest": "0.14.2"}}'


def test_r_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("CROSSCHECK_RSCRIPT", "none")
    assert find_r() is None
    assert r_packages() == {}
    assert bridge_status().kind == ""
    with pytest.raises(EngineMissing, match="R is not here"):
        choose_bridge()
    with pytest.raises(EngineMissing, match="Rscript not found"):
        command_of("rscript")
    assert live_kind is choose_bridge


def test_no_r_on_the_path(monkeypatch, tmp_path):
    monkeypatch.delenv("CROSSCHECK_RSCRIPT", raising=False)
    monkeypatch.delenv("R_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_r() is None


def test_an_rscript_that_is_not_there_is_bad_usage(monkeypatch):
    monkeypatch.setenv("CROSSCHECK_RSCRIPT", "/no/such/Rscript")
    with pytest.raises(UsageError, match="CROSSCHECK_RSCRIPT"):
        find_r()


def test_what_rscript_answers(fake_r):
    fake_r(ANSWER % "4.2.2")
    r = find_r()
    assert (r.version, r.home, r.libraries) == ("4.2.2", "/r", ("/r/library",))
    assert r_packages() == {"R": "4.2.2", "fixest": "0.14.2"}


@pytest.mark.parametrize("answer", ["", "not json", '{"R": 1}'])
def test_an_rscript_that_answers_nonsense_is_no_r(fake_r, answer):
    fake_r(answer)
    assert find_r() is None


def test_r_home_is_looked_into(fake_r, monkeypatch, tmp_path):
    program = fake_r(ANSWER % "4.4.1")
    (tmp_path / "home" / "bin").mkdir(parents=True)
    program.rename(tmp_path / "home" / "bin" / "Rscript")
    monkeypatch.delenv("CROSSCHECK_RSCRIPT")
    monkeypatch.setenv("R_HOME", str(tmp_path / "home"))
    assert find_r().version == "4.4.1"


def test_a_new_rpy2_and_an_old_r_do_not_fit(fake_r, monkeypatch):
    fake_r(ANSWER % "4.2.2")
    versions = {"rpy2": "3.6.9", "rpy2-rinterface": "3.6.7", "rpy2-robjects": "3.6.6"}
    monkeypatch.setattr(found, "_installed", versions.__getitem__)
    monkeypatch.setattr(found.importlib.util, "find_spec", lambda name: object())
    found._probe_rpy2.cache_clear()
    status = bridge_status()
    found._probe_rpy2.cache_clear()
    assert (status.kind, status.rpy2_works) == ("rscript", False)
    assert status.reason == "rpy2 3.6.9 needs R >= 4.5, and R is 4.2.2"
    assert choose_bridge() == "rscript"
    monkeypatch.setenv("CROSSCHECK_R_BRIDGE", "rpy2")
    with pytest.raises(EngineMissing, match=r"needs R >= 4\.5"):
        choose_bridge()
    found._probe_rpy2.cache_clear()


def test_without_rpy2_rscript_serves(fake_r, monkeypatch):
    fake_r(ANSWER % "4.3.0")
    monkeypatch.setattr(found, "_installed", lambda name: "")
    found._probe_rpy2.cache_clear()
    assert choose_bridge() == "rscript"
    assert bridge_status().reason == "rpy2 is not installed"
    found._probe_rpy2.cache_clear()


def test_the_bridge_can_be_forced_and_a_wrong_word_is_refused(monkeypatch):
    skip_without_r()
    monkeypatch.setenv("CROSSCHECK_R_BRIDGE", "rscript")
    assert choose_bridge() == "rscript"
    monkeypatch.setenv("CROSSCHECK_R_BRIDGE", "carrier pigeon")
    with pytest.raises(UsageError, match="carrier pigeon"):
        choose_bridge()


@pytest.mark.parametrize(
    ("r", "pins"),
    [
        ("4.5.0", ["rpy2>=3.6.5,<3.7"]),
        ("4.10.1", ["rpy2>=3.6.5,<3.7"]),
        ("4.4.3", ["rpy2==3.6.4", "rpy2-rinterface<=3.6.4", "rpy2-robjects<=3.6.4"]),
        ("4.2.2", ["rpy2==3.6.4", "rpy2-rinterface<=3.6.4", "rpy2-robjects<=3.6.4"]),
    ],
)
def test_which_rpy2_fits_which_r(r, pins):
    assert rpy2_pin(r) == pins


def test_versions_are_compared_as_numbers():
    assert found.version_tuple("4.10.0") > found.version_tuple("4.9.2")
    assert found.version_tuple("3.6.4.dev1") == (3, 6, 4)
    assert found.version_tuple("1.4-8") == (1, 4, 8)


def test_the_r_files_are_found():
    names = {p.name for p in r_scripts_dir().glob("*.R")}
    assert {"worker.R", "session.R", "versions.R", "install.R", "fixest.R", "guard.R"} <= names


def test_the_real_r_says_its_packages():
    skip_without_r()
    packages = r_packages()
    assert packages["stats"] == packages["R"]
    assert os.path.isdir(find_r().home)


def test_finding_r_loads_nothing_here():
    skip_without_r()
    before = set(sys.modules)
    bridge_status()
    assert not [m for m in set(sys.modules) - before if m.split(".")[0] in ("rpy2", "pyfixest", "linearmodels")]


def test_the_bridge_imports_no_estimator(tmp_path):
    """The main process stays light: importing the bridge loads neither rpy2 nor pandas nor an estimator."""
    import subprocess

    code = textwrap.dedent(
        """
        import sys
        import crosscheck.bridge
        heavy = {"rpy2", "pandas", "pyfixest", "linearmodels", "statsmodels", "matplotlib", "scipy"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
