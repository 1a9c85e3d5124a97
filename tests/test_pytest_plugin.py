"""A study, or a finding, as a test of somebody's suite: it passes, or fails with the discrepancy report."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

import pytest

from tests.conftest import PANEL, STUDY, quoted

pytest_plugins = ["pytester"]
# An installation made before the plugin had an entry point loads it by name; both together would register it twice.
_LOADED = any(e.value == "crosscheck.pytest_plugin" for e in entry_points(group="pytest11"))
PLUGIN = ("-p", "no:cacheprovider", *(() if _LOADED else ("-p", "crosscheck.pytest_plugin")))


@pytest.fixture
def suite(pytester, fake_engines, monkeypatch):
    """Run a test file beside a study whose candidate and reference are named."""

    def run(test, candidates=("oracle",), references=("fake.honest",), toml=STUDY):
        folder = pytester.mkdir("tiny")
        (folder / "study.toml").write_text(toml.format(candidates=quoted(candidates), references=quoted(references)))
        (folder / "panel.csv").write_text(PANEL)
        pytester.makepyfile(test)
        return pytester.runpytest_inprocess(*PLUGIN, "--strict-markers")

    return run


USES = """
def test_study(crosscheck_study):
    report = crosscheck_study("tiny")
    assert report.count("exact") > 5
"""


def test_a_study_that_agrees_passes(suite):
    suite(USES).assert_outcomes(passed=1)


def test_a_discrepancy_fails_with_its_report_and_no_traceback(suite):
    done = suite(USES, candidates=("fake.ssc",), references=("oracle",))
    done.assert_outcomes(failed=1)
    text = done.stdout.str()
    assert "crosscheck: study tiny:" in text
    assert "F1 unexplained" in text
    assert "std_error of x: oracle" in text
    assert "exit 1:" in text
    assert "report.html" in text
    assert "Traceback" not in text
    assert "pytest_plugin.py" not in text


def test_the_mark_names_the_study_and_its_options(suite):
    test = """
        import pytest

        @pytest.mark.crosscheck_study("tiny", fail_on="none")
        def test_report(crosscheck_report):
            assert crosscheck_report.count("unexplained") > 0

        @pytest.mark.crosscheck_study("tiny")
        def test_fails(crosscheck_report):
            pass

        def test_without(crosscheck_report):
            pass
    """
    suite(test, candidates=("fake.ssc",), references=("oracle",)).assert_outcomes(passed=1, errors=2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ('crosscheck_study("nowhere")', "there is no study"),
        ('crosscheck_study("tiny", tables=["t9"])', "has no table 't9'"),
        ('crosscheck_study("tiny", engines=["pyfixest"])', "no column names the engine"),
    ],
)
def test_bad_input_is_one_message(suite, call, words):
    done = suite(f"def test_study(crosscheck_study):\n    {call}\n")
    done.assert_outcomes(failed=1)
    assert words in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


def test_nothing_compared_fails(suite):
    done = suite(USES, candidates=("fake.refuses",), references=("oracle",))
    done.assert_outcomes(failed=1)
    assert "exit 3: nothing was compared" in done.stdout.str()


def test_a_finding_that_is_not_one_is_one_message(suite):
    done = suite('def test_finding(crosscheck_finding):\n    crosscheck_finding("tiny")\n')
    done.assert_outcomes(failed=1)
    assert "crosscheck: " in done.stdout.str()


def test_a_finding_that_still_shows_passes_and_one_that_is_gone_fails(pytester, write_study, fake_engines):
    from crosscheck.cli import main

    study = write_study(candidates=("oracle",), references=("fake.ssc",))
    folder = pytester.path / "shown"
    with pytest.raises(SystemExit):
        main(["shrink", str(study), "--out", str(folder)])
    pytester.makepyfile('def test_finding(crosscheck_finding):\n    crosscheck_finding("shown")\n')
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)
    text = (folder / "finding.toml").read_text("utf-8")
    number = re.search(r"^number = ([-0-9.e]+)$", text, re.MULTILINE)
    assert number is not None
    changed = text.replace(number[0], f"number = {float(number[1]) * 2 + 1}", 1)
    (folder / "finding.toml").write_text(changed, "utf-8")
    done = pytester.runpytest_inprocess(*PLUGIN)
    done.assert_outcomes(failed=1)
    assert "no longer shows" in done.stdout.str()


def test_loading_the_plugin_imports_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, crosscheck.pytest_plugin; print([m for m in ('numpy', 'pandas', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
