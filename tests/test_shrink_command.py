"""Does ``crosscheck shrink`` leave a folder that shows a user's difference and nothing of the user's data?"""

from __future__ import annotations

import json
import tomllib

import pytest

from crosscheck.cli import main
from crosscheck.findings import read_finding, replay
from crosscheck.study import load_study
from tests.conftest import PANEL, STUDY


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*args):
        with pytest.raises(SystemExit) as end:
            main(["shrink", *map(str, args)])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


def test_a_factor_is_shrunk_relabelled_and_written(write_study, fake_engines, command, tmp_path):
    panel = PANEL.replace("a,", "Secret firm,")
    study = write_study(candidates=("oracle",), references=("fake.ssc",), panel=panel)
    code, out, _ = command(study, "--out", tmp_path / "shown", "--format", "json")
    facts = json.loads(out)
    assert code == (1 if facts["verdict"] == "unexplained" else 0)
    assert facts["quantity"] == "std_error"
    assert facts["rows"][1] < facts["rows"][0]
    folder = tmp_path / "shown"
    assert sorted(p.name for p in folder.iterdir()) == [
        "finding.toml",
        "issue.md",
        "panel.csv",
        "repro.py",
        "study.toml",
    ]
    everything = "".join(p.read_text("utf-8") for p in folder.iterdir())
    assert "Secret" not in everything
    assert "2001" not in everything
    assert "year" not in everything
    shown = load_study(folder)
    assert set(shown.frame().names) <= {"y", "x1", "x2", "unit", "time"}
    finding = read_finding(folder)
    assert finding.status == "own"
    assert {v.label for v in finding.value} == {"oracle", "fake.ssc"}
    assert replay(folder, finding, "repro.py").holds
    assert finding.steps


def test_levels_that_the_formula_names_are_renamed_with_it(write_study, fake_engines, command, tmp_path):
    lines = PANEL.splitlines()
    names = ("Secret north", "Secret south", "Secret west")
    panel = "\n".join([f"{lines[0]},area", *(f"{line},{names[i % 3]}" for i, line in enumerate(lines[1:]))]) + "\n"
    text = STUDY.replace('"y ~ x + z | unit + year"', "'y ~ i(area, ref = \"Secret south\")'")
    text = text.replace('z = "integer"', 'z = "integer"\narea = "category"')
    study = write_study(toml=text, candidates=("oracle",), references=("fake.sign",), panel=panel)
    code, out, err = command(study, "t1", "1", "--out", tmp_path / "shown")
    assert code == 1, err
    everything = "".join(p.read_text("utf-8") for p in (tmp_path / "shown").iterdir())
    assert "Secret" not in everything
    assert "look before you show it" not in out
    finding = read_finding(tmp_path / "shown")
    assert replay(tmp_path / "shown", finding, "repro.py").holds


def test_a_sign_is_found_before_a_factor_and_named_columns_go(write_study, fake_engines, command, tmp_path):
    study = write_study(candidates=("oracle",), references=("fake.sign", "fake.se_1e5"))
    code, out, _ = command(study, "t1", "1", "--out", tmp_path / "shown")
    assert code == 1
    assert "estimate of" in out
    assert "fake.sign" in out
    rows = (tmp_path / "shown" / "panel.csv").read_text().splitlines()
    assert len(rows) - 1 <= 4
    assert tomllib.loads((tmp_path / "shown" / "study.toml").read_text())["table"][0]["column"][0]["formula"]


def test_an_engine_that_fails_is_shrunk_to_the_least_that_fails(write_study, fake_engines, command, tmp_path):
    study = write_study(candidates=("oracle",), references=("fake.raises",))
    code, out, _ = command(study, "--out", tmp_path / "shown", "--format", "json")
    facts = json.loads(out)
    assert code == 1
    assert facts["verdict"] == "error"
    assert facts["rows"][1] == 1


def test_the_default_folder_says_nothing_of_the_study(write_study, fake_engines, command, tmp_path):
    study = write_study(candidates=("oracle",), references=("fake.sign",))
    assert command(study)[0] == 1
    (folder,) = (tmp_path / "findings").iterdir()
    assert folder.name.startswith("oracle-fake-sign-estimate-")
    assert read_finding(folder).finding == folder.name
    assert load_study(folder).id == folder.name


def test_nothing_differs_and_nothing_compared(write_study, fake_engines, command):
    agreeing = write_study(candidates=("oracle",), references=("fake.honest",))
    assert command(agreeing)[:2] == (0, "tiny: nothing differs; nothing to shrink\n")
    refused = write_study(candidates=("oracle",), references=("fake.refuses",), name="refused")
    code, out, _ = command(refused)
    assert (code, "nothing was compared" in out) == (3, True)


def test_bad_usage_is_one_message(write_study, fake_engines, command, tmp_path):
    study = write_study(candidates=("oracle",), references=("fake.sign",))
    code, _, err = command(study, "t1")
    assert code == 2
    assert "without a column" in err
    code, _, err = command(study, "t1", "9")
    assert code == 2
    assert "no column t1/9" in err
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.tex").write_text("years of work")
    code, _, err = command(study, "--out", taken)
    assert code == 2
    assert "something else than a finding" in err
    assert [p.name for p in taken.iterdir()] == ["thesis.tex"]


def test_a_recorded_engine_cannot_be_shrunk_here(write_study, fake_engines, command):
    text = STUDY.replace("{candidates}", '["oracle"]').replace("{references}", '["r.fixest", "fake.honest"]')
    study = write_study(toml=text.replace("{{", "{").replace("}}", "}").replace("{", "{{").replace("}", "}}"))
    code, out, err = command(study, "--transport", "recorded")
    assert code in (0, 3)
    assert "Traceback" not in err
    assert "nothing differs" in out or "cannot be run" in err
