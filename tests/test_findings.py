"""Do the committed findings still hold, each by itself, and do table and folders say the same?"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import jsonschema
import pytest

from crosscheck.errors import StudyError, UsageError
from crosscheck.findings import (
    Finding,
    find_findings,
    finding_note,
    finding_text,
    findings_table,
    printed_numbers,
    read_finding,
    replay,
    write_finding,
)
from crosscheck.findings.model import PYTHON_SCRIPT, R_SCRIPT
from crosscheck.findings.table import package
from crosscheck.schemas import schema_text
from crosscheck.study import load_study
from crosscheck.verdict import AGREE

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = find_findings(ROOT / "fixtures" / "findings")
TABLE = ROOT / "docs" / "package_findings.md"
PLAIN = {"numpy", "pandas", "scipy", "contextlib", "fractions", "io", "os", "subprocess", "sys", "warnings"}
SCRIPTS = [
    (folder, script) for folder in FOLDERS for script in (PYTHON_SCRIPT, R_SCRIPT) if (folder / script).is_file()
]


def named(value) -> str:
    return value.name if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("folder", "script"), SCRIPTS, ids=named)
def test_a_finding_is_still_seen(folder, script):
    finding = read_finding(folder)
    found = replay(folder, finding, script)
    if found.skipped:
        pytest.skip(found.skipped)
    assert not found.error, found.error
    assert not found.gone, "\n".join(found.gone)


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_the_recorded_numbers_support_what_is_said(folder):
    finding = read_finding(folder)
    assert finding.status in ("new", "reported", "fixed")
    values = {v.label: v for v in finding.value}
    arbiters = [v.number for v in finding.value if v.side == "arbiter"]
    engines = [v.number for v in values.values() if v.side == "engine"]
    assert any(all(not close(e, a) for a in arbiters) for e in engines), "the engine's number is an arbiter's"
    both = [v for v in finding.value if v.side == "arbiter"]
    for label in {v.label for v in both}:
        numbers = [v.number for v in both if v.label == label]
        assert all(close(n, numbers[0], 1e-6) for n in numbers), f"{label}: Python and R disagree on the arbiter"
    if finding.arbiter.supports:
        assert finding.cause is not None
    assert finding.versions[package(finding)] == finding.identity.version


def close(a: float, b: float, rtol: float = 1e-7) -> bool:
    return a == b or (a != a and b != b) or abs(a - b) <= rtol * max(abs(a), abs(b))


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_a_folder_is_complete_small_and_computes_its_arbiter_by_itself(folder):
    finding = read_finding(folder)
    assert len((folder / "panel.csv").read_text("utf-8").splitlines()) - 1 <= 60
    for script, packages in ((PYTHON_SCRIPT, finding.scripts.python), (R_SCRIPT, finding.scripts.r)):
        assert (folder / script).is_file() == bool(packages)
    assert any(v.side == "arbiter" for v in finding.value)
    if (folder / PYTHON_SCRIPT).is_file():
        loaded = imports(folder / PYTHON_SCRIPT)
        assert loaded <= PLAIN | {p.replace("-", "_") for p in finding.scripts.python}
        assert "crosscheck" not in loaded
    if (folder / R_SCRIPT).is_file():
        text = (folder / R_SCRIPT).read_text("utf-8")
        loaded = set(re.findall(r"library\((\w+)\)", text))
        assert loaded <= set(finding.scripts.r)
    issue = (folder / "issue.md").read_text("utf-8")
    assert issue.startswith(f"# {finding.title}\n")
    assert "Versions: " in issue
    assert (folder / "panel.csv").read_text("utf-8").strip() in issue


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def test_there_are_enough_and_no_two_are_the_same():
    findings = [read_finding(f) for f in FOLDERS]
    identities = [f.identity.model_copy(update={"version": ""}) for f in findings]
    assert len({i.model_dump_json() for i in identities}) == len(findings) >= 12
    engines = {f.identity.engine for f in findings}
    assert len(engines) >= 4
    assert sum(e.startswith("r.") for e in engines) >= 2


def test_the_studies_of_all_findings_run(tmp_path, monkeypatch, capsys):
    from crosscheck.session import RunRequest, run_studies

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path / "cache"))
    request = RunRequest(studies=FOLDERS, out=tmp_path / "reports", fail_on="none", format="json")
    assert run_studies(request) in (0, 3)
    runs = [
        json.loads(x) for f in FOLDERS for x in (tmp_path / "reports" / f.name / "run.ndjson").read_text().splitlines()
    ]
    assert sum(e["event"] == "footer" and e["complete"] for e in runs) == len(FOLDERS)
    shown = {f.name: read_finding(f).study.shows for f in FOLDERS}
    for folder in FOLDERS:
        cells = [
            e
            for e in map(json.loads, (tmp_path / "reports" / folder.name / "run.ndjson").read_text().splitlines())
            if e["event"] == "cell"
        ]
        printed = (folder / "published.csv").is_file()
        engine = "published" if printed else read_finding(folder).identity.engine
        live = [c for c in cells if engine in (c["reference"], c["candidate"]) and c["term"] != "*"]
        absent = any(c["term"] == "*" and c["verdict"].startswith("missing") for c in cells)
        if shown[folder.name] and live and not (printed and absent):  # the witness may be the engine that is not here
            assert any(c["verdict"] not in (*AGREE, "unsupported") for c in live), (
                f"{folder.name}: the study does not show the finding"
            )


def test_most_findings_show_in_a_run_and_each_says_why_or_why_not(tmp_path, monkeypatch, capsys):
    findings = [read_finding(f) for f in FOLDERS]
    assert sum(f.study.shows for f in findings) * 5 >= len(findings) * 3
    assert all(f.study.shows or f.study.note for f in findings)
    for folder, finding in zip(FOLDERS, findings, strict=True):
        note = finding_note(folder)
        assert finding.title in note
        assert ("does not show" in note) == (not finding.study.shows)
    assert finding_note(tmp_path) == ""


def test_a_printed_number_of_a_finding_is_the_one_that_its_script_prints():
    for folder in FOLDERS:
        if (folder / "published.csv").is_file():
            printed = (folder / "published.csv").read_text("utf-8").splitlines()[1].rsplit(",", 1)[1]
            seen = [v.number for v in read_finding(folder).value if v.side == "engine"]
            assert any(f"{n:.6f}" == printed for n in seen), folder.name


def test_table_and_folders_are_in_step():
    text = TABLE.read_text("utf-8")
    assert findings_table(FOLDERS, "../fixtures/findings") in text, (
        "docs/package_findings.md is out of step: paste what findings_table() returns"
    )
    linked = re.findall(r"\]\(\.\./fixtures/findings/([^/)]+)/?\)", text)
    assert sorted(linked) == [f.name for f in FOLDERS]


def test_a_finding_that_no_longer_shows_fails_loudly(tmp_path):
    folder = FOLDERS[0]
    finding = read_finding(folder)
    script = PYTHON_SCRIPT if (folder / PYTHON_SCRIPT).is_file() else R_SCRIPT
    value = next(v for v in finding.value if v.script == script)
    moved = value.model_copy(update={"number": value.number * 1.01 + 1})
    others = tuple(moved if v is value else v for v in finding.value)
    found = replay(folder, finding.model_copy(update={"value": others}), script)
    if found.skipped:
        pytest.skip(found.skipped)
    assert not found.holds
    assert "fixed upstream? then update status" in found.gone[0]
    silent = value.model_copy(update={"label": "a line that nobody prints"})
    found = replay(folder, finding.model_copy(update={"value": (*finding.value, silent)}), script)
    assert "prints no line" in found.gone[-1]


def test_a_missing_package_is_a_skip_with_its_name(tmp_path):
    finding = read_finding(FOLDERS[0])
    lacking = finding.scripts.model_copy(update={"python": ("numpy", "no-such-package")})
    assert replay(FOLDERS[0], finding.model_copy(update={"scripts": lacking}), PYTHON_SCRIPT).skipped == (
        "the Python package no-such-package is not installed"
    )


def test_a_script_that_fails_is_an_error_with_its_last_words(tmp_path):
    finding = next(f for f in map(read_finding, FOLDERS) if "numpy" in f.scripts.python)
    folder = tmp_path / finding.finding
    files = {
        "panel.csv": "x\n1\n",
        "study.toml": "",
        "issue.md": "",
        PYTHON_SCRIPT: "raise ValueError('no such column')\n",
    }
    bare = finding.scripts.model_copy(update={"python": ("numpy",)})
    only = tuple(v for v in finding.value if v.script == PYTHON_SCRIPT)
    one = finding.model_copy(update={"scripts": bare, "value": only})
    write_finding(tmp_path, one, files)
    found = replay(folder, one, PYTHON_SCRIPT)
    assert "ended with 1" in found.error
    assert "no such column" in found.error


def test_reading_refuses_what_is_not_a_finding(tmp_path):
    source = FOLDERS[0]
    folder = tmp_path / "renamed"
    folder.mkdir()
    (folder / "finding.toml").write_text((source / "finding.toml").read_text("utf-8"), "utf-8")
    with pytest.raises(StudyError, match="lies in the folder 'renamed'"):
        read_finding(folder)
    (folder / "finding.toml").write_text("schema = 1\nfindings = 3\n", "utf-8")
    with pytest.raises(StudyError):
        read_finding(folder)
    with pytest.raises(StudyError, match=r"no finding\.toml"):
        read_finding(tmp_path)
    with pytest.raises(UsageError, match="no file of a finding"):
        write_finding(tmp_path, read_finding(source), {"thesis.tex": ""})


def test_what_is_written_reads_back_and_fits_the_schema(tmp_path):
    import tomllib

    schema = json.loads(schema_text("finding"))
    for folder in FOLDERS:
        finding = read_finding(folder)
        text = finding_text(finding)
        assert Finding.model_validate(tomllib.loads(text)).model_dump_json() == finding.model_dump_json()
        jsonschema.validate(json.loads(json.dumps(tomllib.loads(text))), schema)
        load_study(folder)


def test_lines_with_numbers_are_told_from_those_for_people():
    text = "a = 1.5\nsaid: x = 3 of 4\n  b, c = -2e-3\nd = nan\ne = text\nf == 2\n"
    seen = printed_numbers(text)
    assert seen["a"] == 1.5
    assert seen["b, c"] == -2e-3
    assert seen["d"] != seen["d"]
    assert set(seen) == {"a", "b, c", "d"}
