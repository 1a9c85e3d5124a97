"""What a user sees: for every command its output, its exit code, and one message for every mistake."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from crosscheck.cli import main
from tests.conftest import PANEL, ROOT, STUDY, quoted
from tests.r_support import skip_without, skip_without_r

GRUNFELD = ROOT / "fixtures" / "studies" / "grunfeld"
REPORTS = ("report.html", "report.json", "report.md", "report.sarif", "report.tex", "report.xml")
GOOD = STUDY.format(candidates=quoted(("oracle",)), references="[]")
PRINTED = "table,column,term,quantity,printed\nt1,1,,nobs,12\n"


def put(folder: Path, **files: str | bytes | None) -> Path:
    """Write a study; ``toml``, ``panel`` and ``published`` replace its files, ``None`` leaves one out."""
    content = {"toml": GOOD, "panel": PANEL, "published": PRINTED} | files
    names = {"toml": "study.toml", "panel": "panel.csv", "published": "published.csv"}
    folder.mkdir(parents=True, exist_ok=True)
    for key, text in content.items():
        if text is not None:
            (folder / names[key]).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for the tests of this file, so that what was fitted once is not fitted again."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch, cache, tmp_path):
    monkeypatch.setenv("CROSSCHECK_CACHE", str(cache))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys):
    """Call the command line and return exit code, stdout and stderr."""

    def run(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


@pytest.fixture
def shell(cache, tmp_path):
    """Call the command line in a process of its own, without R unless ``r`` is true."""

    def run(*args, r=False, cwd=tmp_path, **environment):
        env = os.environ | {"CROSSCHECK_CACHE": str(cache), "PYTHONPATH": str(ROOT)} | environment
        if not r:
            env["CROSSCHECK_RSCRIPT"] = "none"
        command = [sys.executable, "-m", "crosscheck", *map(str, args)]
        return subprocess.run(
            command, capture_output=True, cwd=cwd, env=env, timeout=120, check=False, encoding="utf-8"
        )

    return run


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def one_message(err: str) -> str:
    """Check that stderr holds exactly one message of the form that all errors have, and return it."""
    lines = err.rstrip("\n").split("\n")
    assert lines[0].startswith("crosscheck: "), err
    assert len(lines[0]) > len("crosscheck: ") + 8
    for line in lines[1:]:
        assert re.match(r"  (where:   |allowed: |do:      |         )\S?", line), err
    assert "internal error" not in err
    assert "Traceback" not in err
    return err


@pytest.fixture(scope="module")
def earlier(tmp_path_factory, cache):
    """A study that ran well, and the folder of its reports."""
    base = tmp_path_factory.mktemp("earlier")
    study, out = put(base / "tiny"), base / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSCHECK_CACHE", str(cache))
        with pytest.raises(SystemExit) as left:
            main(["run", str(study), "--out", str(out), "--transport", "recorded"])
    assert left.value.code == 0
    assert set(REPORTS) < {p.name for p in out.iterdir()}
    return study, out


def toml(old: str, new: str) -> dict[str, str]:
    assert old in GOOD
    return {"toml": GOOD.replace(old, new)}


def panel(old: str, new: str) -> dict[str, str]:
    assert old in PANEL
    return {"panel": PANEL.replace(old, new, 1)}


def printed(line: str) -> dict[str, str]:
    return {"published": "table,column,term,quantity,printed\n" + line + "\n"}


FORMULA = 'formula = "y ~ x + z | unit + year"'
BAD_FILES = {
    "no study.toml": ({"toml": None}, ("no study.toml", "crosscheck init")),
    "no data file": ({"panel": None}, ("panel.csv", "study.toml, data.path", "put the file into")),
    "data file misspelt": (toml("panel.csv", "pannel.csv"), ("'pannel.csv'", "data.path", "did you mean 'panel.csv'?")),
    "unknown key": (toml('title = "A', 'titel = "A'), ("'titel'", "study.toml, titel", "did you mean 'title'?")),
    "unknown key of a column": (toml("vcov =", "vkov ="), ("'vkov'", "table[1].column[1]", "did you mean 'vcov'?")),
    "unknown column": (toml("x + z", "x + zz"), ("'zz'", "t1/1", "character 9", "unit, x, y, year, z", "mean 'z'?")),
    "unknown column declared": (
        toml("z =", "zz ="),
        ("'zz'", "data.kinds", "unit, year, y, x, z", "did you mean 'z'?"),
    ),
    "unknown weights": (toml("vcov =", 'weights = "w"\nvcov ='), ("'w'", "t1/1), weights", "unit, year, y, x, z")),
    "no kind": (toml('z = "integer"\n', ""), ("'z'", "t1/1", 'add z = "integer" to [data.kinds]')),
    "unknown kind": (toml('z = "integer"', 'z = "number"'), ("'number'", "data.kinds.z", "category, integer, float")),
    "wrong kind": (
        panel("2.31", "abc"),
        ("'abc' is not a number", "panel.csv, line 3, column y", 'missing = ["", "abc"]'),
    ),
    "not whole": (toml('x = "float"', 'x = "integer"'), ("0.52", "panel.csv, line 2, column x", "do:")),
    "category as number": (toml('y = "float"', 'y = "category"'), ("'y' is a category", "t1/1", "integer, float")),
    "not unique": (panel("d,2003", "d,2002"), ("occurs twice", "line 12 and line 13", "panel.csv", "repeated = true")),
    "empty sample": (
        toml("vcov =", 'sample = { where = "z > 100" }\nvcov ='),
        ("no row is left", "t1/1), sample.where", "what the data hold: z: 1, 2"),
    ),
    "level that never occurs": (
        toml("vcov =", "sample = { where = \"unit == 'e'\" }\nvcov ="),
        ("unit is never 'e'", "sample.where", "'a', 'b', 'c', 'd'"),
    ),
    "unknown engine": (toml('"oracle"', '"oracel"'), ("'oracel'", "defaults.candidates", "did you mean 'oracle'?")),
    "printed term": (printed("t1,1,xx,estimate,0.1"), ("no term 'xx'", "published.csv, line 2", "x, z", "mean 'x'?")),
    "printed table": (printed("t9,1,x,estimate,0.1"), ("no table 't9'", "published.csv, line 2", "allowed: t1")),
    "printed column": (printed("t1,7,x,estimate,0.1"), ("'7'", "published.csv, line 2", "allowed: 1")),
    "printed quantity": (printed("t1,1,x,estimat,0.1"), ("'estimat'", "line 2", "did you mean 'estimate'?")),
    "printed number": (printed("t1,1,x,estimate,0.1.2"), ("'0.1.2'", "published.csv, line 2", "0.0240")),
    "printed twice": (printed("t1,1,,nobs,12\nt1,1,,nobs,13"), ("line 3", "published.csv", "do:")),
    "printed fields": (printed("t1,1,x,estimate"), ("4 fields", "published.csv, line 2", "term,quantity,printed")),
    "printed header": ({"published": "table,column,term,quantity\n"}, ("printed", "published.csv, line 1", "allowed:")),
    "too few fields": (panel("a,2002,2.31,1.71,1", "a,2002"), ("2 fields, the header 5", "panel.csv, line 3", "do:")),
    "too many fields": (panel("2.31", "2,31"), ("6 fields, the header 5", "panel.csv, line 3", "quotation marks")),
    "open quotation": (panel("2.31", '"2.31'), ("the CSV is malformed", "panel.csv, line 3", "quotation mark")),
    "semicolons": ({"panel": PANEL.replace(",", ";")}, ("one column", "panel.csv, line 1", "by commas")),
    "column twice": (panel("x,z", "x,x"), ("both named 'x'", "panel.csv", "columns 4 and 5")),
    "empty data": ({"panel": ""}, ("empty", "panel.csv", "do:")),
    "no rows": ({"panel": "unit,year,y,x,z\n"}, ("no rows", "panel.csv", "do:")),
    "data in Latin-1": (
        {"panel": PANEL.replace("a,2001", "\xe9,2001").encode("latin-1")},
        ("not UTF-8: byte 0xe9", "panel.csv, line 2", "save it as UTF-8"),
    ),
    "data in UTF-16": ({"panel": PANEL.encode("utf-16")}, ("NUL", "panel.csv, line 1", "save it as UTF-8")),
    "study in Latin-1": ({"toml": GOOD.encode() + b"# \xe9\n"}, ("not UTF-8", "study.toml, line", "save it as UTF-8")),
    "print in Latin-1": (
        {"published": b"table,column,term,quantity,printed\n\xe9"},
        ("UTF-8", "published.csv, line 2"),
    ),
    "path upwards": (toml("panel.csv", "../panel.csv"), ("'../panel.csv'", "data.path", "inside the study's folder")),
    "path from the root": (toml("panel.csv", "/panel.csv"), ("'/panel.csv'", "data.path", "inside the study's folder")),
    "invalid TOML": (toml("[[table]]", "[[table"), ("the TOML is malformed", "study.toml, line 1", "do:")),
    "TOML key twice": (toml("schema = 1", "schema = 1\nschema = 1"), ("malformed", "study.toml, line 2", "twice")),
    "another schema": (toml("schema = 1", "schema = 2"), ("2 is not allowed", "study.toml, schema", "allowed: 1")),
    "id that leaves": (toml('study = "tiny"', 'study = "../x"'), ("'../x'", "study.toml, study", "letters, digits")),
    "covariance": (toml('"iid"', '"CRV9"'), ("'CRV9'", "vcov.type (t1/1)", "iid, hetero, HC1", "mean 'CRV3'?")),
    "no cluster": (toml('"iid"', '"CRV1"'), ("CRV1", "vcov (t1/1)", 'cluster = ["column"]')),
    "macro": (toml("x + z", "x + ..c"), ("..c", "t1/1", "[macros]")),
    "call in a formula": (
        toml(FORMULA, "formula = 'y ~ system(\"ls\") | unit'"),
        ("system", "t1/1), formula, character 5", "allowed:"),
    ),
    "call in a filter": (
        toml("vcov =", "sample = { where = \"__import__('os')\" }\nvcov ="),
        ("__import__", "sample.where, character 1", "allowed:"),
    ),
    "known row of no table": (
        {"toml": GOOD + '[[known]]\ntable = "t7"\nkind = "erratum"\nreason = "r"\nsource = "s"\n'},
        ("'t7'", "known[1]", "t1"),
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_input_gives_one_message_and_touches_no_report(case, earlier, call, tmp_path):
    changed, fragments = BAD_FILES[case]
    study, out = put(tmp_path / "tiny", **changed), earlier[1]
    before = snapshot(out)
    code, stdout, err = call("run", study, "--out", out, "--transport", "recorded")
    assert (code, stdout) == (2, "")
    message = one_message(err)
    for fragment in fragments:
        assert fragment in message, message
    assert "  where:   " in message
    assert "  allowed: " in message or "  do:      " in message or case in ("id that leaves", "no cluster")
    assert snapshot(out) == before
    assert call("explain", study, "t1", "1")[0] == 2


@pytest.mark.parametrize("name", ["study.toml", "panel.csv", "published.csv"])
def test_a_folder_in_the_place_of_a_file_is_called_a_folder(name, call, tmp_path):
    study = put(tmp_path / "tiny", published="table,column,term,quantity,printed\nt1,1,x,estimate,0.1\n")
    (study / name).unlink()
    (study / name).mkdir()
    code, stdout, err = call("run", study, "--transport", "recorded")
    assert (code, stdout) == (2, "")
    assert "is a folder, not a file" in one_message(err)


def test_a_byte_order_mark_and_carriage_returns_do_not_matter(call, tmp_path):
    study = put(tmp_path / "tiny", toml="\ufeff" + GOOD, panel="\ufeff" + PANEL.replace("\n", "\r\n"))
    code, _, err = call("run", study, "--out", tmp_path / "out", "--transport", "recorded")
    assert code == 0, err


def test_a_link_out_of_the_folder_is_refused(call, tmp_path):
    study = put(tmp_path / "tiny", panel=None)
    (tmp_path / "secret.csv").write_text(PANEL)
    (study / "panel.csv").symlink_to(tmp_path / "secret.csv")
    code, _, err = call("run", study)
    assert code == 2
    assert "leads out of the study's folder" in one_message(err)
    assert not (tmp_path / "reports").exists()


BAD_USAGE = {
    "no study there": (("run", "{tmp}/tinny"), ("there is no study", "did you mean 'tiny'?")),
    "a folder of studies": (("run", "{tmp}"), ("no study.toml", "tiny", "name one of the studies")),
    "unknown table": (("run", "{study}", "--table", "t2"), ("'t2'", "study.toml", "allowed: t1")),
    "unknown engine": (("run", "{study}", "--engine", "orakel"), ("'orakel'", "allowed: oracle", "mean 'oracle'?")),
    "engine that no column names": (
        ("run", "{study}", "--engine", "statsmodels"),
        ("'statsmodels'", "study.toml", "allowed: oracle", "study.toml"),
    ),
    "unknown engine required": (("run", "{study}", "--require", "orakel"), ("'orakel'", "allowed: oracle", "mean")),
    "unknown format": (("run", "{study}", "--format", "yaml"), ("'yaml'", "'json'", "crosscheck run --help")),
    "unknown severity": (("run", "{study}", "--fail-on", "all"), ("'all'", "'decision'", "crosscheck run --help")),
    "unknown transport": (("run", "{study}", "--transport", "post"), ("'post'", "'recorded'", "crosscheck run --help")),
    "no time": (("run", "{study}", "--timeout", "0"), ("0.0 is not in the range", "crosscheck run --help")),
    "not a number": (("run", "{study}", "--timeout", "nan"), ("'nan' is not a number", "crosscheck run --help")),
    "for ever": (("run", "{study}", "--timeout", "inf"), ("inf is not in the range", "crosscheck run --help")),
    "no study": (("run",), ("missing argument 'STUDY...'", "crosscheck run --help")),
    "unknown option": (("run", "{study}", "--fast"), ("no such option", "--fast", "crosscheck run --help")),
    "unknown command": (("rum",), ("no such command 'rum'", "crosscheck --help")),
    "one id twice": (
        ("run", "{study}", "{other}"),
        ("two studies have the id 'tiny'", "{study} and {other}", "change `study = `"),
    ),
    "out is a file": (("run", "{study}", "--out", "{file}"), ("it is a file", "{file}", "with --out")),
    "out below a file": (("run", "{study}", "--out", "{file}/sub"), ("cannot be written", "{file}/sub", "with --out")),
    "no run": (("report", "{tmp}"), ("no run to report", "run.ndjson", "crosscheck run STUDY")),
    "no such column": (("explain", "{study}", "t1", "2"), ("no column t1/2", "study.toml", "allowed: t1/1")),
    "no such term": (("explain", "{study}", "t1", "1", "xx"), ("no term 'xx'", "study.toml", "mean 'x'?")),
    "no facts": (("audit", "{study}"), ("audit.toml", "crosscheck init --audit")),
    "unknown schema": (("schema", "run"), ("'run'", "'report'", "crosscheck schema --help")),
    "study there": (("init", "{study}"), ("already holds a study", "study.toml", "take another folder")),
    "id": (("init", "{tmp}/my paper"), ("'my paper'", "letters, digits", "take another name")),
    "id with two dots": (("init", "{tmp}/a..b"), ("'a..b'", "letters, digits", "take another name")),
    "no data": (("init", "{tmp}/new", "--data", "{study}/pannel.csv"), ("does not exist", "did you mean 'panel.csv'?")),
    "data of another kind": (
        ("init", "{tmp}/new", "--data", "{study}/study.toml"),
        ("study.toml", ".csv, .parquet, .dta"),
    ),
    "no such unit": (
        ("init", "{tmp}/new", "--data", "{study}/panel.csv", "--unit", "unti"),
        ("--unit names 'unti'", "panel.csv", "unit, year, y, x, z", "did you mean 'unit'?"),
    ),
    "formula": (
        ("init", "{tmp}/new", "--data", "{study}/panel.csv", "--formula", "y ~ xx"),
        ("'xx'", "formula, character 5", "unit, x, y, year, z"),
    ),
    "below a file": (("init", "{file}/new"), ("cannot be written", "{file}/new", "take another folder")),
    "audit with data": (
        ("init", "{tmp}/new", "--audit", "--unit", "u"),
        ("--unit", "--audit", "crosscheck init --help"),
    ),
}


@pytest.mark.parametrize("case", BAD_USAGE)
def test_bad_usage_gives_one_message_and_writes_nothing(case, call, tmp_path, monkeypatch):
    words = {"tmp": tmp_path, "study": tmp_path / "tiny", "other": tmp_path / "twin", "file": tmp_path / "a_file"}
    put(words["study"])
    put(words["other"])
    words["file"].write_text("I was here first")
    before = sorted(tmp_path.rglob("*"))
    args, fragments = BAD_USAGE[case]
    code, stdout, err = call(*(a.format(**words) for a in args))
    assert (code, stdout) == (2, "")
    message = one_message(err)
    assert "  do:      " in message or "  allowed: " in message
    for fragment in fragments:
        assert fragment.format(**words) in message, message
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cache_that_cannot_be_written_is_found_before_anything_is_fitted(earlier, call, tmp_path, monkeypatch):
    (tmp_path / "a_file").write_text("")
    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path / "a_file"))
    study, out = earlier
    before = snapshot(out)
    code, _, err = call("run", study, "--out", out)
    assert code == 2
    assert "CROSSCHECK_CACHE" in one_message(err)
    assert "--no-cache" in err
    assert snapshot(out) == before
    assert call("run", study, "--out", tmp_path / "out", "--transport", "recorded", "--no-cache")[0] == 0


@pytest.mark.parametrize("junk", [b"", b'{"broken', b"\xff\xfe\x00", b"[1]", b"{}"])
def test_a_broken_cache_is_a_cache_that_is_not_there(junk, earlier, call, tmp_path, cache, monkeypatch):
    study, out = earlier
    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path / "cache"))
    shutil.copytree(cache, tmp_path / "cache")
    broken = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert broken
    for path in broken:
        path.write_bytes(junk)
    assert call("run", study, "--out", tmp_path / "out", "--transport", "recorded")[0] == 0
    ours, theirs = (json.loads((f / "report.json").read_text()) for f in (tmp_path / "out", out))
    assert ours["cells"] == theirs["cells"]


def lines_of(out: Path) -> list[str]:
    return (out / "run.ndjson").read_text("utf-8").splitlines(keepends=True)


CORRUPTED = {
    "empty": (lambda ls: "", "does not start with a header"),
    "not JSON": (lambda ls: "nonsense\n" + "".join(ls), "not a line of JSON"),
    "no objects": (lambda ls: "[1]\n[2]\n", "an event is a JSON object"),
    "not UTF-8": (lambda ls: b"\xff\xfe\n", "cannot be read"),
    "no header": (lambda ls: "".join(ls[1:]), "does not start with a header"),
    "no footer": (lambda ls: "".join(ls[:-1]), "incomplete"),
    "cut within a line": (lambda ls: "".join(ls)[:-30], "incomplete"),
    "a cell removed": (lambda ls: "".join([*ls[:-2], ls[-1]]), "cut or edited"),
    "a key renamed": (lambda ls: "".join(ls).replace('"verdict"', '"verdikt"'), "malformed"),
    "twice": (lambda ls: "".join(ls) * 2, "unexpected event"),
    "another schema": (lambda ls: "".join(ls).replace('"schema": 1', '"schema": 9', 1), "schema 9"),
}


@pytest.mark.parametrize("case", CORRUPTED)
def test_a_corrupted_run_file_is_one_message(case, earlier, call, tmp_path):
    change, fragment = CORRUPTED[case]
    content = change(lines_of(earlier[1]))
    assert content != "".join(lines_of(earlier[1]))
    (tmp_path / "run.ndjson").write_bytes(content.encode() if isinstance(content, str) else content)
    code, stdout, err = call("report", tmp_path)
    assert (code, stdout) == (2, "")
    assert fragment in one_message(err)
    assert "run.ndjson" in err
    assert "  do:      " in err
    assert [p.name for p in tmp_path.iterdir()] == ["run.ndjson"]


def test_an_interrupted_run_can_be_rendered_and_still_leaves_with_2(earlier, call, tmp_path):
    (tmp_path / "run.ndjson").write_text("".join(lines_of(earlier[1])[:-1]), "utf-8")
    code, stdout, err = call("report", tmp_path, "--allow-incomplete")
    assert (code, err) == (2, "")
    assert "INCOMPLETE" in stdout
    assert {p.name for p in tmp_path.iterdir()} == {*REPORTS, "run.ndjson"}


def test_a_run_says_by_which_command_it_was_made(earlier):
    study, out = earlier
    header = json.loads(lines_of(out)[0])
    assert header["command"] == f"crosscheck run {study} --out {out} --transport recorded"


def test_reports_are_rendered_again_as_they_were(earlier, call, tmp_path):
    _, out = earlier
    before = snapshot(out)
    code, stdout, _ = call("report", out)
    assert code == 0
    assert "report.html" in stdout
    assert snapshot(out) == before
    assert call("report", out / "run.ndjson", "--out", tmp_path / "copy")[0] == 0
    copy = snapshot(tmp_path / "copy")
    assert copy == {name: before[name] for name in REPORTS}


def test_no_report_is_written_where_a_later_run_file_is_bad_or_the_same(earlier, call, tmp_path):
    code, _, err = call("report", earlier[1], tmp_path / "nothing", "--out", tmp_path / "reports")
    assert (code, one_message(err) != "") == (2, True)
    code, _, err = call("report", earlier[1], earlier[1], "--out", tmp_path / "reports")
    assert code == 2
    assert "same folder" in one_message(err)
    assert not (tmp_path / "reports").exists()


HEAVY = {"pandas", "numpy", "scipy", "pydantic", "jinja2", "rich", "matplotlib", "statsmodels"}


def test_help_is_quick_and_imports_nothing_heavy(shell):
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "crosscheck", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in process.stderr.splitlines()}
    assert "click" in imported
    assert not imported & HEAVY
    for command in ["run", "record", "report", "doctor", "init", "audit", "explain", "schema"]:
        assert re.search(rf"^  {command} ", process.stdout, re.MULTILINE), command
    assert best_cpu([sys.executable, "-m", "crosscheck", "--help"]) < 0.3


def best_cpu(command, times=3) -> float:
    resource = pytest.importorskip("resource", reason="needs the resource module of Unix")

    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    found = []
    for _ in range(times):
        before = spent()
        subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
        found.append(spent() - before)
    return min(found)


@pytest.mark.parametrize("command", ["run", "record", "report", "doctor", "init", "audit", "explain", "schema"])
def test_every_command_explains_itself(command, call):
    code, stdout, err = call(command, "--help")
    assert (code, err) == (0, "")
    assert stdout.startswith(f"Usage: crosscheck {command} ")


def test_version(call):
    from crosscheck import __version__

    assert call("--version") == (0, f"crosscheck, version {__version__}\n", "")


def doctor_rows(process):
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return {row["name"]: row for row in json.loads(process.stdout)}


def test_the_doctor_without_r_names_the_remedy(shell):
    rows = doctor_rows(shell("doctor", "--format", "json"))
    assert (rows["R"]["state"], rows["rpy2"]["state"], rows["oracle"]["state"]) == ("missing", "missing", "live")
    assert "apt-get install" in rows["R"]["remedy"]
    r_engines = [row for name, row in rows.items() if name.startswith("r.")]
    assert len(r_engines) >= 5
    assert {row["state"] for row in r_engines} == {"recorded"}
    for row in rows.values():
        assert set(row) == {"name", "version", "state", "remedy"}
        assert row["version"] or row["state"] != "live"
        assert row["remedy"] or row["state"] == "live"
        assert "crosscheck doctor" not in row["remedy"]
    text, markdown = shell("doctor").stdout, shell("doctor", "--format", "markdown").stdout
    for name, row in rows.items():
        assert re.search(rf"^{re.escape(name)} .*{row['state']}", text, re.MULTILINE), name
        assert f"| {name} | {row['version']} | {row['state']} |" in markdown


def test_the_doctor_with_r_says_what_is_live(shell):
    skip_without_r()
    rows = doctor_rows(shell("doctor", "--format", "json", r=True))
    assert rows["R"]["state"] == "live"
    assert re.match(r"[0-9]+\.[0-9]+", rows["R"]["version"])
    for name, row in rows.items():
        if name.startswith("r."):
            assert (row["state"] == "live") == (row["remedy"] == ""), row
            assert row["state"] == "live" or "Rscript" in row["remedy"]


@pytest.fixture(scope="module")
def schemas():
    jsonschema = pytest.importorskip("jsonschema", reason="needs the Python package jsonschema")
    from crosscheck.schemas import schema_text

    found = {name: json.loads(schema_text(name)) for name in ("report", "study", "request", "result")}
    return {name: jsonschema.Draft202012Validator(schema) for name, schema in found.items()}


@pytest.mark.parametrize("name", ["report", "study", "request", "result"])
def test_schemas_are_valid_and_refuse_what_is_wrong(name, call, schemas):
    code, stdout, err = call("schema", name)
    assert (code, err) == (0, "")
    assert json.loads(stdout) == schemas[name].schema
    schemas[name].check_schema(json.loads(stdout))
    assert not schemas[name].is_valid({"nonsense": 1})
    assert not schemas[name].is_valid([])


def test_the_studies_the_references_and_a_report_fit_their_schemas(schemas, earlier):
    for file in sorted((ROOT / "fixtures" / "studies").glob("*/study.toml")):
        schemas["study"].validate(tomllib.loads(file.read_text("utf-8")))
    study = tomllib.loads(GOOD)
    schemas["study"].validate(study)
    assert not schemas["study"].is_valid(study | {"nonsense": 1})
    references = sorted((ROOT / "fixtures" / "references" / "grunfeld").rglob("*.json"))
    assert len(references) > 20
    for file in references:
        body = json.loads(file.read_text("utf-8"))
        schemas["request"].validate(body["request"])
        schemas["result"].validate(body["result"])
    assert not schemas["result"].is_valid(body["result"] | {"seconds": "long"})
    schemas["report"].validate(json.loads((earlier[1] / "report.json").read_text("utf-8")))


def test_a_first_study_runs(shell, tmp_path):
    made = shell("init", "mypaper")
    assert (made.returncode, made.stderr) == (0, "")
    assert "next: crosscheck run mypaper" in made.stdout
    ran = shell("run", "mypaper", "--engine", "oracle", "--engine", "statsmodels", "--engine", "r.fixest")
    assert ran.returncode == 3, ran.stderr  # nothing to compare the oracle with: r.fixest is not here
    assert (tmp_path / "reports" / "mypaper" / "report.html").exists()
    again = shell("init", "mypaper")
    assert again.returncode == 2
    assert "already holds a study" in one_message(again.stderr)


ODD = (
    '"","firm","year","ln(Labor)","if","code","country","省份","long"\n'
    + "\n".join(
        f'"{i}",f{i // 5},{2001 + i % 5},{i * 37 % 11 / 4},{"NA" if i == 3 else i * 53 % 17},0{i % 4},'
        f"{'NA' if i % 2 else 'DE'},{i * 3.5},1234567890123456{i:02d}"
        for i in range(20)
    )
    + "\n"
)


def test_init_declares_what_the_data_hold(call, tmp_path):
    (tmp_path / "my data.csv").write_text(ODD, "utf-8")
    code, _, err = call("init", "odd", "--data", "my data.csv", "--unit", "firm", "--time", "year")
    assert (code, err) == (0, "")
    made = tomllib.loads((tmp_path / "odd" / "study.toml").read_text("utf-8"))
    assert made["data"]["kinds"] == {
        "firm": "category",
        "year": "integer",
        "ln(Labor)": "float",
        "if": "integer",
        "code": "category",
        "country": "category",
        "省份": "float",
        "long": "category",
    }
    assert made["data"]["missing"] == {"if": ["", "NA"]}
    assert made["table"][0]["column"][0]["formula"] == "`ln(Labor)` ~ `if` | firm + year"
    assert (tmp_path / "odd" / "my data.csv").read_text("utf-8") == ODD
    assert (tmp_path / "odd" / "published.csv").read_text() == "table,column,term,quantity,printed\n"
    from crosscheck.study import load_study

    study = load_study(tmp_path / "odd")
    frame = study.sample(study.columns[0])
    assert frame.nrows == 20
    assert [row for row, value in enumerate(frame["if"].values) if math.isnan(value)] == [3]
    toml_before = (tmp_path / "odd" / "study.toml").read_bytes()
    assert call("init", "odd", "--data", "my data.csv")[0] == 2
    assert (tmp_path / "odd" / "study.toml").read_bytes() == toml_before


def test_init_for_an_audit_makes_what_audit_reads(call, tmp_path):
    code, stdout, _ = call("init", "paper", "--audit")
    assert code == 0
    assert "crosscheck audit paper" in stdout
    assert call("audit", "paper")[0] in (0, 1)
    code, _, err = call("init", "paper", "--audit")
    assert code == 2
    assert "exists already" in one_message(err)


@pytest.fixture(scope="module")
def grunfeld(tmp_path_factory, cache):
    """The Grunfeld study as it comes, run without R in a process of its own."""
    out = tmp_path_factory.mktemp("grunfeld")
    env = os.environ | {"CROSSCHECK_CACHE": str(cache), "CROSSCHECK_RSCRIPT": "none", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "crosscheck", "run", str(GRUNFELD), "--out", str(out), "--format", "json"]
    return out, subprocess.run(
        command, capture_output=True, encoding="utf-8", env=env, timeout=240, check=False, cwd=out
    )


def test_a_study_agrees_with_its_recorded_references_and_stdout_is_one_object(grunfeld, schemas):
    out, process = grunfeld
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    report = json.loads(process.stdout)
    schemas["report"].validate(report)
    assert report == json.loads((out / "report.json").read_text("utf-8"))
    reached = {e["id"]: e["transport"] for e in report["engines"]}
    assert (reached["r.fixest"], reached["r.plm"], reached["oracle"]) == ("recorded", "recorded", "live")
    assert sum(c["reference"] == "r.fixest" for c in report["cells"]) > 200
    for event in map(json.loads, lines_of(out)):
        if event["event"] == "result" and event["source"] != "published":
            schemas["result"].validate(event["result"])


def test_the_same_references_serve_from_within_the_folder(grunfeld, shell, tmp_path):
    process = shell("run", ".", "--out", tmp_path / "out", "--transport", "recorded", cwd=GRUNFELD)
    assert process.returncode == 0, process.stdout + process.stderr
    ours, theirs = (json.loads((f / "report.json").read_text())["cells"] for f in (tmp_path / "out", grunfeld[0]))
    assert ours == theirs


def test_several_studies_make_an_array_and_a_folder_each(shell, tmp_path):
    put(tmp_path / "one", toml=GOOD.replace('"tiny"', '"one"'))
    put(tmp_path / "two", toml=GOOD.replace('"tiny"', '"two"'), published=PRINTED.replace("12", "13"))
    process = shell("run", "one", "two", "--format", "json", "--out", "out")
    assert process.returncode == 1
    assert process.stderr == ""
    assert [r["study"] for r in json.loads(process.stdout)] == ["one", "two"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["one", "two"]
    text = shell("run", "one", "two", "--format", "markdown", "--out", "out")
    assert text.stdout.startswith("# A tiny panel\n")
    assert text.stdout.count("\n# A tiny panel\n") == 1


def test_text_reaches_a_stream_of_another_encoding(shell, earlier):
    process = shell("report", earlier[1], PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert process.returncode == 0, process.stderr
    assert "tiny" in process.stdout


def test_required_engines_and_engine_and_table_filters(grunfeld, shell, tmp_path):
    base = ("run", GRUNFELD, "--out", tmp_path / "out", "--format", "json", "--table", "stata")
    process = shell(*base, "--engine", "oracle", "--engine", "r.plm", "--require", "r.plm")
    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout)
    assert {c["table"] for c in report["cells"]} == {"stata"}
    assert {e["id"] for e in report["engines"]} == {"oracle", "r.plm", "published"}
    missing = shell(*base, "--require", "r.did")
    assert (missing.returncode, missing.stdout) == (3, "")
    message = one_message(missing.stderr)
    assert "engine r.did is required and cannot be reached in study grunfeld" in message
    assert "study.toml" in message
    assert "  do:      " in message


def value_of_x(out: Path) -> float:
    for event in map(json.loads, lines_of(out)):
        for row in event.get("result", {}).get("coefs", ()) if event["event"] == "result" else ():
            if event["source"] == "oracle" and row["term"] == "x":
                return row["estimate"]
    raise AssertionError("the oracle gave no x")


def test_fail_on_draws_the_line_where_it_is_told(earlier, call, tmp_path):
    value = value_of_x(earlier[1])
    expected = {
        f"{value:.4f}": {"none": 0, "cosmetic": 0, "printed": 0, "decision": 0, "structural": 0},
        f"{value + 0.0002:.4f}": {"none": 0, "cosmetic": 1, "printed": 1, "decision": 0, "structural": 0},
        f"{-value:.4f}": {"none": 0, "cosmetic": 1, "printed": 1, "decision": 1, "structural": 0},
    }
    for number, levels in expected.items():
        study = put(tmp_path / "tiny", published=f"{PRINTED}t1,1,x,estimate,{number}\n")
        for level, wanted in levels.items():
            code, _, err = call("run", study, "--out", tmp_path / "out", "--fail-on", level, "--transport", "recorded")
            assert (code, err) == (wanted, ""), (number, level)


def copy_of_grunfeld(tmp_path: Path) -> Path:
    study = tmp_path / "studies" / "grunfeld"
    shutil.copytree(GRUNFELD, study)
    shutil.copytree(ROOT / "fixtures" / "references" / "grunfeld", tmp_path / "references" / "grunfeld")
    return study


ONLY = ("--table", "stata", "--engine", "oracle", "--engine", "r.plm", "--transport", "recorded")


def test_a_reference_that_was_edited_is_refused(call, tmp_path):
    study, out = copy_of_grunfeld(tmp_path), tmp_path / "out"
    assert call("run", study, "--out", out, *ONLY)[0] == 0
    before = snapshot(out)
    file = tmp_path / "references" / "grunfeld" / "r.plm" / "stata-xtreg_fe.json"
    body = json.loads(file.read_text("utf-8"))
    body["result"]["coefs"][0]["estimate"] *= 1.0 + 1e-12
    for content in (json.dumps(body), "{}", "[]", "nonsense", file.read_text("utf-8")[:-40]):
        file.write_text(content, "utf-8")
        code, stdout, err = call("run", study, "--out", out, *ONLY)
        assert (code, stdout) == (2, "")
        assert str(file) in one_message(err)
        assert "crosscheck record" in err
        assert snapshot(out) == before
    assert "malformed" in err
    file.write_text(json.dumps(body), "utf-8")
    assert "changed after it was recorded" in call("run", study, "--out", out, *ONLY)[2]


@pytest.mark.parametrize("change", ["specification", "data"])
def test_a_stale_reference_leaves_with_3_and_says_since_when(change, call, tmp_path):
    study, out = copy_of_grunfeld(tmp_path), tmp_path / "out"
    if change == "specification":
        file, old, new = study / "study.toml", 'id = "xtreg_fe"', 'id = "xtreg_fe"\nconf_level = 0.9'
    else:
        file, old, new = study / "panel.csv", "317.6", "317.7"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    (study / "published.csv").unlink()
    code, stdout, err = call("run", study, "--out", out, *ONLY, "--format", "json")
    assert (code, err) == (3, "")
    (cell,) = [c for c in json.loads(stdout)["cells"] if "r.plm" in (c["reference"], c["candidate"])]
    assert cell["verdict"] == "stale"
    assert re.search(rf"the {change} ha(s|ve) changed since 20[0-9-]+", cell["reason"]), cell


def test_recording_needs_a_live_r(shell, tmp_path):
    study = copy_of_grunfeld(tmp_path)
    before = {p: p.read_bytes() for p in (tmp_path / "references").rglob("*.json")}
    process = shell("record", study)
    assert (process.returncode, process.stdout) == (3, "")
    assert "live R" in one_message(process.stderr)
    assert "crosscheck doctor" in process.stderr
    assert {p: p.read_bytes() for p in (tmp_path / "references").rglob("*.json")} == before


def test_what_a_live_r_records_serves_without_it(shell, tmp_path):
    skip_without("plm")
    study = copy_of_grunfeld(tmp_path)
    shutil.rmtree(tmp_path / "references")
    recorded = shell("record", study, "--engine", "r.plm", "--table", "stata", r=True)
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.stdout.startswith("1 references recorded on 20") or recorded.stdout.startswith("1 reference ")
    assert [p.name for p in (tmp_path / "references").rglob("*.json")] == ["stata-xtreg_fe.json"]
    process = shell("run", study, "--out", tmp_path / "out", *ONLY, "--format", "json")
    assert process.returncode == 0, process.stderr
    cells = [c for c in json.loads(process.stdout)["cells"] if c["reference"] == "r.plm" or c["candidate"] == "r.plm"]
    agreeing = [c for c in cells if c["verdict"] in ("exact", "numerical")]
    assert {c["quantity"] for c in agreeing} >= {"estimate", "std_error", "statistic", "nobs"}
    assert {c["verdict"] for c in cells} <= {"exact", "numerical", "rounding", "convention", "unsupported"}


def test_explain_names_the_cause_of_a_column(grunfeld, shell):
    process = shell("explain", GRUNFELD, "extra", "twoways_cr1", "--transport", "recorded")
    assert (process.returncode, process.stderr) == (0, "")
    assert "comparisons differ" in process.stdout
    for word in ("Replayed", "formula: ", "remedy in ", "digits."):
        assert word in process.stdout
    one = shell("explain", GRUNFELD, "extra", "twoways_cr1", "value", "--transport", "recorded", "--format", "json")
    cells = json.loads(one.stdout)
    assert cells
    assert {c["term"] for c in cells} == {"value"}
    assert all(c["explanations"] for c in cells)
    agreeing = shell("explain", GRUNFELD, "stata", "xtreg_fe", "--transport", "recorded")
    assert agreeing.returncode == 0
    assert re.search(r"stata/xtreg_fe: all [0-9]+ comparisons agree", agreeing.stdout)


@pytest.mark.usefixtures("fake_engines")
def test_explain_shows_what_failed_or_is_missing(write_study, call, monkeypatch):
    folder = write_study(candidates=("fake.raises", "oracle"), references=("fake.honest",))
    code, stdout, _ = call("explain", folder, "t1", "1", "--transport", "recorded")
    assert code == 1
    assert "not compared: fake.raises" in stdout
    folder = write_study(candidates=("oracle",), references=("fake.honest", "r.fixest"))
    code, stdout, _ = call("explain", folder, "t1", "1", "--transport", "recorded")
    assert code == 3
    assert "r.fixest" in stdout
    folder = write_study(candidates=("fake.sign",), references=("oracle",))
    code, stdout, _ = call("explain", folder, "t1", "1", "x", "--transport", "recorded")
    assert code == 1
    assert "unexplained" in stdout


def test_audit_needs_no_data_and_writes_its_files(shell, tmp_path):
    process = shell("audit", ROOT / "fixtures" / "studies" / "bdpz", "--out", "out", "--format", "json")
    assert (process.returncode, process.stderr) == (1, "")
    assert isinstance(json.loads(process.stdout), dict)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["audit.html", "audit.json", "audit.md"]
    (tmp_path / "a_file").write_text("")
    refused = shell("audit", ROOT / "fixtures" / "studies" / "bdpz", "--out", "a_file")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--out" in one_message(refused.stderr)
    lenient = shell("audit", ROOT / "fixtures" / "studies" / "bdpz", "--fail-on", "none")
    assert lenient.returncode == 0


def test_an_error_of_our_own_is_one_line_with_what_to_do(call, monkeypatch):
    from crosscheck import doctor

    def breaks():
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(doctor, "diagnose", breaks)
    monkeypatch.delenv("CROSSCHECK_DEBUG", raising=False)
    code, stdout, err = call("doctor")
    assert (code, stdout) == (2, "")
    assert err.startswith("crosscheck: internal error: ZeroDivisionError: planted\n  do:      ")
    monkeypatch.setenv("CROSSCHECK_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_a_disk_that_fails_is_no_internal_error(earlier, call, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", str(tmp_path / "out" / "report.json"))

    import crosscheck.report

    monkeypatch.setattr(crosscheck.report, "write_all", full)
    monkeypatch.delenv("CROSSCHECK_DEBUG", raising=False)
    code, _, err = call("run", earlier[0], "--out", tmp_path / "out", "--transport", "recorded")
    assert code == 2
    assert "no space left on device" in one_message(err)
    assert "report.json" in err


def test_explain_ranks_what_gives_the_printed_errors(shell):
    folder = ROOT / "fixtures" / "studies" / "fatalities"
    ranked = shell("explain", folder, "table10_1", "7", "--printed", "--limit", "3")
    assert ranked.returncode in (0, 1)
    assert re.search(r"table10_1/7: (none|[0-9]+) of [0-9]+ conventions", ranked.stdout)
    assert "standard errors" in ranked.stdout
    data = json.loads(shell("explain", folder, "table10_1", "7", "--printed", "--format", "json").stdout)
    assert data["tried"] > 100
    best = data["ranked"][0]
    assert best["errors_met"] <= best["errors"]
    assert best["digits_right"] <= best["digits"]
    assert best["whole"] == (data["whole"] > 0)
    both = shell("explain", folder, "table10_1", "7", "beertax", "--printed")
    assert both.returncode == 2
    assert "leave out the term" in both.stderr


def test_explain_writes_footnotes(shell):
    process = shell("explain", GRUNFELD, "extra", "twoways_cr1", "--transport", "recorded", "--format", "latex")
    assert process.returncode == 0
    lines = process.stdout.splitlines()
    assert lines
    assert all(line.startswith((r"\footnote{", "% ")) for line in lines)
    assert any("G - 1" in line for line in lines)
    assert not re.search(r"(?<!\\)[_&#]", process.stdout)
