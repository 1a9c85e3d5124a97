"""Common ground of the tests: small studies on disk, faulty fakes within reach, and a list of what was not run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests import fakes

ROOT = Path(__file__).resolve().parent.parent

# A shell that starts pytest in the background has it ignore SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

PANEL = """unit,year,y,x,z
a,2001,1.13,0.52,3
a,2002,2.31,1.71,1
a,2003,2.94,1.92,4
b,2001,0.42,0.93,1
b,2002,1.25,1.14,5
b,2003,3.17,2.81,9
c,2001,2.29,2.07,2
c,2002,1.66,0.78,6
c,2003,2.74,1.25,5
d,2001,0.38,0.19,3
d,2002,1.91,1.83,5
d,2003,1.47,0.64,8
"""

STUDY = """schema = 1
study = "tiny"
title = "A tiny panel"
[data]
path = "panel.csv"
unit = "unit"
time = "year"
[data.kinds]
unit = "category"
year = "integer"
y = "float"
x = "float"
z = "integer"
[defaults]
candidates = {candidates}
references = {references}
[[table]]
id = "t1"
title = "Main"
[[table.column]]
id = "1"
formula = "y ~ x + z | unit + year"
vcov = {{ type = "iid" }}
"""


def quoted(names) -> str:
    return "[" + ", ".join(f'"{n}"' for n in names) + "]"


@pytest.fixture
def write_study(tmp_path):
    """Write a study and return its folder; keyword arguments replace its parts."""

    def write(
        *, candidates=("oracle",), references=("fake.honest",), toml=None, panel=PANEL, published=None, name="tiny"
    ):
        folder = tmp_path / "studies" / name
        folder.mkdir(parents=True, exist_ok=True)
        text = toml if toml is not None else STUDY
        text = text.format(candidates=quoted(candidates), references=quoted(references))
        (folder / "study.toml").write_text(text, "utf-8")
        if panel is not None:
            (folder / "panel.csv").write_text(panel, "utf-8")
        if published is not None:
            (folder / "published.csv").write_text("table,column,term,quantity,printed\n" + published, "utf-8")
        return folder

    return write


@pytest.fixture
def fake_engines(monkeypatch, tmp_path):
    """Make the fakes engines like any other, in this process and in its workers."""
    from crosscheck import engines

    monkeypatch.setenv("CROSSCHECK_ENGINES", fakes.ENVIRONMENT)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path / "cache"))
    engines._plugins.cache_clear()
    engines.get.cache_clear()
    yield
    engines._plugins.cache_clear()
    engines.get.cache_clear()


def pytest_terminal_summary(terminalreporter):
    """Print what was not run for lack of something, as a short list with reasons."""
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        counts[reason] = counts.get(reason, 0) + 1
    if counts:
        terminalreporter.write_sep("-", "not run, and why")
        for reason, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:5d}  {reason}")
