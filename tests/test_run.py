"""The whole way: a study on disk, engines in workers, a run file, reports, an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosscheck.report import fold
from crosscheck.runner import PREVIOUS_FILE, RUN_FILE, content_hash, exit_code, is_complete
from crosscheck.session import RunRequest, rerender, run_studies

pytestmark = pytest.mark.usefixtures("fake_engines")


def run(folder, out, **more):
    options = {"studies": (folder,), "out": out, "transport": "recorded", "timeout": 60.0} | more
    code = run_studies(RunRequest(**options))
    report = json.loads((out / "report.json").read_text("utf-8"))
    return code, report


def cells_of(report, candidate, reference="oracle"):
    return [c for c in report["cells"] if (c["reference"], c["candidate"]) == (reference, candidate)]


def test_an_honest_twin_agrees_to_the_last_bit(write_study, tmp_path):
    code, report = run(write_study(candidates=("fake.honest",), references=("oracle",)), tmp_path / "out")
    assert code == 0
    cells = cells_of(report, "fake.honest")
    assert len(cells) >= 2 * 6 + 3
    assert {c["verdict"] for c in cells} == {"exact"}
    for name in ("run.ndjson", "report.json", "report.html", "report.md", "report.xml", "report.tex", "report.sarif"):
        assert (tmp_path / "out" / name).stat().st_size > 200, name


EXPECTED = {
    "fake.drops": {("x", "estimate"): "missing_candidate"},
    "fake.extra": {("phantom", "estimate"): "missing_reference"},
    "fake.nan_se": {("x", "std_error"): "missing_candidate"},
    "fake.none_se": {("x", "std_error"): "missing_candidate"},
    "fake.sign": {("x", "estimate"): "unexplained"},
    "fake.permuted": {("x", "estimate"): "unexplained", ("z", "std_error"): "unexplained"},
    "fake.se_1e5": {("z", "std_error"): "unexplained"},
    "fake.nobs": {("", "nobs"): "unexplained"},
    "fake.crashes": {("*", "fit"): "error"},
    "fake.aborts": {("*", "fit"): "error"},
    "fake.quits": {("*", "fit"): "error"},
    "fake.exits": {("*", "fit"): "error"},
    "fake.raises": {("*", "fit"): "error"},
    "fake.refuses": {("*", "fit"): "unsupported"},
}


def test_every_planted_fault_gets_its_exact_verdict_and_the_other_fits_complete(write_study, tmp_path):
    faulty = (*EXPECTED, "fake.reordered", "fake.se_1e7", "fake.prints", "fake.nothing")
    code, report = run(write_study(candidates=faulty, references=("oracle",)), tmp_path / "out")
    assert code == 1
    for engine, expected in EXPECTED.items():
        cells = {(c["term"], c["quantity"]): c for c in cells_of(report, engine)}
        for key, verdict in expected.items():
            assert cells[key]["verdict"] == verdict, (engine, key)
        if ("*", "fit") in expected:
            assert len(cells) == 1
            assert cells["*", "fit"]["reason"]
        if engine == "fake.se_1e5":
            assert cells["x", "std_error"]["verdict"] == "exact"
    for engine in ("fake.reordered", "fake.prints"):
        assert {c["verdict"] for c in cells_of(report, engine)} == {"exact"}, engine
    small = {(c["term"], c["quantity"]): c for c in cells_of(report, "fake.se_1e7")}["z", "std_error"]
    assert small["verdict"] == "numerical"
    assert 6.9 < small["digits"] < 7.1
    nothing = cells_of(report, "fake.nothing")
    assert nothing
    assert {c["verdict"] for c in nothing if c["quantity"] == "estimate"} == {"missing_candidate"}
    assert not [
        c
        for c in nothing
        if c["verdict"] in ("exact", "numerical")
        and c["quantity"] != "df_resid"
        and c["quantity"] not in ("adj_r2", "r2_within")
    ]


def test_a_hang_is_killed_at_its_time_and_costs_one_fit(write_study, tmp_path):
    began = time.monotonic()
    code, report = run(
        write_study(candidates=("fake.hangs", "fake.honest"), references=("oracle",)), tmp_path / "out", timeout=2.0
    )
    assert time.monotonic() - began < 40
    assert code == 1
    (hung,) = cells_of(report, "fake.hangs")
    assert (hung["verdict"], hung["severity"]) == ("error", "structural")
    assert "2" in hung["reason"]
    assert {c["verdict"] for c in cells_of(report, "fake.honest")} == {"exact"}


def test_an_engine_that_does_not_repeat_itself_is_called_nondeterministic(write_study, tmp_path):
    folder = write_study(candidates=("fake.nondeterministic", "fake.sign"), references=("oracle",))
    code, report = run(folder, tmp_path / "out")
    assert code == 1
    cells = {(c["candidate"], c["term"], c["quantity"]): c for c in report["cells"]}
    cell = cells["fake.nondeterministic", "x", "estimate"]
    assert cell["verdict"] == "nondeterministic"
    assert "disagree" in cell["reason"]
    assert cells["fake.sign", "x", "estimate"]["verdict"] == "unexplained"


def test_printed_numbers_are_compared_with_every_engine(write_study, tmp_path):
    folder = write_study(candidates=("fake.honest",), references=("oracle",))
    _, first = run(folder, tmp_path / "one")
    value = next(c for c in first["cells"] if (c["term"], c["quantity"]) == ("x", "estimate"))["reference_value"]
    write_study(
        candidates=("fake.honest",),
        references=("oracle",),
        published=f"t1,1,x,estimate,{value:.3f}\nt1,1,z,estimate,9.99\nt1,1,,nobs,12\n",
    )
    code, report = run(folder, tmp_path / "two")
    printed = {(c["candidate"], c["term"], c["quantity"]): c for c in report["cells"] if c["reference"] == "published"}
    assert printed["oracle", "x", "estimate"]["verdict"] == "rounding"
    assert printed["fake.honest", "", "nobs"]["verdict"] == "rounding"
    assert (printed["fake.honest", "z", "estimate"]["verdict"], code) == ("unexplained", 1)
    assert run(folder, tmp_path / "three", fail_on="structural")[0] == 0


def test_a_second_run_estimates_nothing_and_says_the_same(write_study, tmp_path):
    folder = write_study(candidates=("fake.honest",), references=("oracle",))
    _, first = run(folder, tmp_path / "a")
    _, second = run(folder, tmp_path / "b")
    events = [json.loads(line) for line in (tmp_path / "b" / RUN_FILE).read_text("utf-8").splitlines()]
    results = [e for e in events if e["event"] == "result"]
    assert results
    assert all(e["cached"] for e in results)
    assert first["cells"] == second["cells"]
    hashes = [content_hash(tmp_path / where / RUN_FILE) for where in "ab"]
    assert hashes[0] == hashes[1] != ""
    changed = PANEL_WITH_ANOTHER_CELL(folder)
    (folder / "panel.csv").write_text(changed, "utf-8")
    run(folder, tmp_path / "c")
    events = [json.loads(line) for line in (tmp_path / "c" / RUN_FILE).read_text("utf-8").splitlines()]
    assert not any(e.get("cached") for e in events)
    assert content_hash(tmp_path / "c" / RUN_FILE) not in (hashes[0], "")
    cut = (tmp_path / "c" / RUN_FILE).read_text("utf-8").splitlines(keepends=True)[:-1]
    (tmp_path / "cut.ndjson").write_text("".join(cut), "utf-8")
    assert content_hash(tmp_path / "cut.ndjson") == ""


def PANEL_WITH_ANOTHER_CELL(folder):
    return (folder / "panel.csv").read_text("utf-8").replace("1.47,0.64,8", "1.48,0.64,8")


def test_a_missing_reference_leaves_with_3_and_a_required_engine_too(write_study, tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSCHECK_RSCRIPT", "none")
    folder = write_study(candidates=("oracle",), references=("r.fixest",))
    code, report = run(folder, tmp_path / "out", transport="auto")
    assert code == 3
    assert {c["verdict"] for c in report["cells"]} == {"missing_reference"}
    from crosscheck.errors import EngineMissing

    with pytest.raises(EngineMissing) as caught:
        run(folder, tmp_path / "other", require=("r.fixest",))
    assert caught.value.exit_code == 3
    assert not (tmp_path / "other").exists()


def test_bad_input_leaves_earlier_reports_as_they_are(write_study, tmp_path):
    folder = write_study(candidates=("fake.honest",), references=("oracle",))
    run(folder, tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    (folder / "study.toml").write_text("schema = 1\nstudy = 'tiny'\nnonsense = 1\n", "utf-8")
    from crosscheck.errors import CrosscheckError

    with pytest.raises(CrosscheckError) as caught:
        run(folder, tmp_path / "out")
    assert caught.value.exit_code == 2
    assert "nonsense" in str(caught.value)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_a_report_is_a_fold_of_the_run_file(write_study, tmp_path):
    folder = write_study(candidates=("fake.sign",), references=("oracle",))
    code, _ = run(folder, tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert rerender((tmp_path / "out",), None, False, "text") == code == 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_a_known_difference_is_named_and_a_stale_row_fails_loudly(write_study, tmp_path):
    from tests.conftest import STUDY

    row = """
[[known]]
table = "t1"
column = "1"
term = "x"
quantity = "{quantity}"
reference = "oracle"
candidate = "fake.sign"
kind = "package_bug"
reason = "the sign is turned"
source = "a public issue"
"""
    known = "".join(row.format(quantity=q) for q in ("estimate", "statistic", "conf_low", "conf_high"))
    folder = write_study(candidates=("fake.sign",), references=("oracle",), toml=STUDY + known)
    _, report = run(folder, tmp_path / "out")
    cell = next(c for c in report["cells"] if (c["term"], c["quantity"]) == ("x", "estimate"))
    assert cell["verdict"] == "known"
    assert "the sign is turned" in cell["reason"]
    folder = write_study(
        candidates=("fake.honest",), references=("oracle",), toml=STUDY + known.replace("sign", "honest", 4)
    )
    code, report = run(folder, tmp_path / "again")
    assert code == 1
    assert any(c["verdict"] == "stale" for c in report["cells"])


def test_interrupting_leaves_a_plainly_incomplete_run_and_keeps_the_earlier_one(write_study, tmp_path):
    folder = write_study(candidates=("fake.honest",), references=("oracle",))
    out = tmp_path / "out"
    run(folder, out)
    html = (out / "report.html").read_bytes()
    write_study(candidates=("fake.honest", "fake.hangs"), references=("oracle",))
    process = subprocess.Popen(
        [sys.executable, "-m", "crosscheck", "run", str(folder), "--out", str(out), "--transport", "recorded"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and is_complete(out / RUN_FILE):
        time.sleep(0.1)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    assert "incomplete" in errors
    assert not is_complete(out / RUN_FILE)
    assert is_complete(out / PREVIOUS_FILE)
    assert (out / "report.html").read_bytes() == html
    lines = (out / RUN_FILE).read_text("utf-8").splitlines()
    assert json.loads(lines[0])["event"] == "header"
    from crosscheck.errors import RunFileError

    with pytest.raises(RunFileError) as caught:
        fold(out / RUN_FILE)
    assert caught.value.exit_code == 2


def test_zero_comparisons_is_never_success():
    assert exit_code([], "printed") == 3


def test_no_worker_is_left_behind(write_study, tmp_path):
    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc to look for children")
    before = children()
    run(write_study(candidates=("fake.honest",), references=("oracle",)), tmp_path / "out")
    assert children() <= before


def children():
    return {pid for p in Path("/proc/self/task").glob("*/children") for pid in p.read_text().split()}
