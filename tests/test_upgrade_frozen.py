"""Numbers of a paper are stored, and held against another version in another year; several versions in a row."""

from __future__ import annotations

import itertools
import json

import jsonschema
import pytest

from crosscheck.cli import main
from crosscheck.schemas import schema_text
from tests import pinned_support as toys


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
def toy(monkeypatch, tmp_path, write_study):
    """Return the folder of a study, with three versions of the toy, of which the last is another one."""
    cache = toys.with_toy(monkeypatch, tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for version, source in (("1.0", toys.HONEST), ("2.0", toys.HONEST), ("3.0", toys.SHIFT)):
        toys.make_version(cache, version, source)
    yield write_study(candidates=("oracle",), references=())
    toys.forget()


def test_frozen_numbers_are_held_against_another_version_without_the_old_one(toy, tmp_path, call):
    file, out = tmp_path / "paper.json", tmp_path / "out"
    code, text, err = call("upgrade", "--freeze", file, toy, "--package", "toy", "--to", "1.0")
    assert code == 0, err
    assert "toy 1.0" in text
    frozen = json.loads(file.read_text("utf-8"))
    jsonschema.validate(frozen, json.loads(schema_text("frozen")))
    assert frozen["sides"][0]["state"]["toyreg"] == "1.0"
    for environment in (tmp_path / "cache" / "environments").glob("toyreg-1.0*"):
        (environment / "crosscheck.json").unlink()

    code, text, err = call("upgrade", "--against", file, "--package", "toy", "--to", "2.0", "--out", out)
    assert code == 0, err
    assert "no number of the paper moved" in text
    code, text, err = call("upgrade", "--against", file, "--package", "toy", "--to", "3.0", "--out", out)
    assert code == 1, err
    found = json.loads((out / "upgrade.json").read_text("utf-8"))
    assert found["old"]["transport"] == "frozen"
    assert "away from the closed form" in found["summary"]

    code, _, err = call("upgrade", "--freeze", file, toy, "--package", "toy", "--to", "1.0")
    assert (code, "is there already" in err) == (2, True)

    raw = file.read_text("utf-8")
    faults = {
        "was edited": raw.replace('"estimate": 0', '"estimate": 1', 1).replace(
            '"version": "1.0"', '"version": "1.1"', 1
        ),
        "has schema 9": raw.replace('"schema": 1', '"schema": 9', 1),
        "is no JSON": raw[:-200],
        "is no frozen file": "{}",
    }
    for words, spoiled in faults.items():
        file.write_text(spoiled, "utf-8")
        code, text, err = call("upgrade", "--against", file, "--package", "toy", "--to", "2.0", "--out", out)
        assert (code, text) == (2, ""), err
        assert words in err
    file.write_text(raw, "utf-8")

    panel = next(toy.glob("*.csv"))
    lines = panel.read_text("utf-8").splitlines()
    panel.write_text("\n".join(lines[:-1]) + "\n", "utf-8")
    code, text, err = call("upgrade", "--against", file, "--package", "toy", "--to", "2.0", "--out", out)
    assert (code, text) == (2, "")
    assert "the data changed since" in err
    assert "tiny/t1/1" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--against", "none.json"), "no such frozen file"),
        (("--freeze", "x.json"), "no study is named"),
        (("--freeze", "x.json", "--against", "y.json"), "two questions"),
        (("--all-between", "--bisect", "--package", "pyfixest"), "two questions"),
        (("--package", "fixest", "--r-library", "a", "b", "--from", "1"), "leave out --from"),
        (("--package", "fixest", "--recorded", "nowhere"), "no folder of recorded references"),
        (("--package", "pyfixest", "--from", "0.5", "--to", "nonsense"), "'nonsense' is no version"),
        (("--requirements", "a.txt", "b.txt"), "no requirements file"),
        (("--package", "toy", "--from", "1", "--to", "2", "--sentinel"), "no sentinel set"),
    ],
)
def test_bad_input_is_one_message(monkeypatch, tmp_path, call, args, words):
    toys.with_toy(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    try:
        code, out, err = call("upgrade", *args)
    finally:
        toys.forget()
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_three_versions_in_a_row_say_which_changed_the_number(toy, tmp_path, call):
    out = tmp_path / "out"
    code, text, err = call("upgrade", toy, "--package", "toy", "--from", "1.0,2.0", "--to", "3.0", "--out", out)
    assert code == 1, err
    assert "numbers changed at 3.0" in text
    found = json.loads((out / "history.json").read_text("utf-8"))
    line = next(r for r in found["rows"] if r["quantity"] == "coefficients")
    assert [e["mark"] for e in line["entries"]] == ["first", "same", "away"]
    assert line["entries"][2]["witnesses"] == ["the closed form"]
    page = (out / "history.html").read_text("utf-8")
    assert "▼" in page
    assert "<script" not in page


class Step:
    """What a bisection reads of a comparison."""

    def __init__(self, differ):
        self.changes = [type("C", (), {"kind": "number", "size": "break"})()] if differ else []


@pytest.mark.parametrize("changed_at", [{5}, {1}, {9}, {3, 8}, set()])
def test_a_bisection_finds_the_release_with_few_environments(changed_at):
    from crosscheck.upgrade.history import Runs, bisect

    listed = [str(i) for i in range(12)]
    runs = Runs(check=None, make=None)
    runs.ask = lambda v: (runs.answers.setdefault(v, v)) if v != "6" else None
    value = lambda v: sum(int(v) >= c for c in changed_at)  # noqa: E731
    asked = bisect(listed, runs, lambda a, b: Step(value(a) != value(b)), None)
    pairs = [(a, b) for a, b in itertools.pairwise(asked) if value(a) != value(b)]
    assert {int(b) for _, b in pairs} == changed_at
    assert all(int(b) - int(a) == 1 for a, b in pairs)
    assert len(asked) <= 2 + 4 * max(1, len(changed_at))


def test_the_installed_package_is_asked_as_its_users_ask_it_and_repeats_what_was_frozen(write_study, tmp_path, call):
    pytest.importorskip("statsmodels", reason="needs statsmodels")
    folder = write_study(candidates=("statsmodels",), references=())
    file, out = tmp_path / "paper.json", tmp_path / "out"
    code, text, err = call("upgrade", "--freeze", file, folder)
    assert code == 0, err
    assert "statsmodels" in text
    code, text, err = call("upgrade", "--against", file, "--out", out)
    assert code == 0, err
    found = json.loads((out / "upgrade.json").read_text("utf-8"))
    jsonschema.validate(found, json.loads(schema_text("upgrade")))
    (study,) = found["studies"]
    assert study["compared"] == study["agree"] > 5
    assert "numpy" in found["new"]["state"]
    assert {w["source"] for w in study["witnesses"]} == {"oracle"}
