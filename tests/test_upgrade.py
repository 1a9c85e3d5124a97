"""Two versions side by side: what moved is found, nothing else is, and each change says whom the witnesses support."""

from __future__ import annotations

import json

import jsonschema
import pytest

from crosscheck.cli import main
from crosscheck.errors import UsageError
from crosscheck.schemas import schema_text
from crosscheck.upgrade.make import engine_source
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
def upgrade(monkeypatch, tmp_path, write_study, call):
    """Compare two sources of the toy on the tiny study; return exit code, upgrade.json and stdout."""
    cache = toys.with_toy(monkeypatch, tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(old, new, *more, published=None):
        toys.make_version(cache, "1.0", old)
        toys.make_version(cache, "2.0", new)
        folder = write_study(candidates=("oracle",), references=(), published=published)
        out = tmp_path / "out"
        code, text, err = call("upgrade", "toy", "1.0", "2.0", folder, "--out", out, *more)
        assert (out / "upgrade.json").exists(), err
        found = json.loads((out / "upgrade.json").read_text("utf-8"))
        jsonschema.validate(found, json.loads(schema_text("upgrade")))
        return code, found, text + err

    yield run
    toys.forget()


def kinds(found) -> dict[str, dict]:
    return {c["kind"]: c for s in found["studies"] for c in s["changes"]}


def test_nothing_changed(upgrade, tmp_path):
    code, found, text = upgrade(toys.HONEST, toys.HONEST)
    assert code == 0
    study = found["studies"][0]
    assert study["compared"] == study["agree"] == study["exact"] > 10
    assert study["changes"] == []
    assert found["summary"].startswith(
        f"toy 1.0 -> 2.0: no number of the paper moved: {study['agree']} of {study['compared']} agree"
    )
    assert text.splitlines()[0].startswith("toy 1.0 -> 2.0: ")
    made = {"upgrade.json", "upgrade.md", "upgrade.html", "changelog.md", "referee.md"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == made
    assert found["old"]["state"]["toyreg"] == "1.0"
    assert "none of the" in (tmp_path / "out" / "referee.md").read_text("utf-8")
    assert {(p["witness"], p["quantity"], p["old"], p["new"]) for p in study["precision"]} == {
        ("the closed form", "estimate", 15.0, 15.0),
        ("the closed form", "std_error", 15.0, 15.0),
    }


def test_who_is_nearer_to_a_witness_is_shown_where_nothing_moves_beyond_the_tolerances(upgrade):
    code, found, _ = upgrade(toys.LOOSE, toys.HONEST)
    assert code == 0
    (errors,) = [p for p in found["studies"][0]["precision"] if p["quantity"] == "std_error"]
    assert errors["old"] == pytest.approx(7, abs=0.1)
    assert errors["new"] == 15.0


def test_an_estimate_that_moved_is_an_unexplained_number_and_the_closed_form_supports_the_old_side(upgrade):
    code, found, text = upgrade(toys.HONEST, toys.SHIFT)
    assert code == 1
    change = kinds(found)["number"]
    estimates = [n for n in change["numbers"] if n["quantity"] == "estimate"]
    assert [n["term"] for n in estimates] == ["x"]
    assert estimates[0]["new"] == pytest.approx(1.25 * estimates[0]["old"])
    assert [(w["source"], w["side"]) for w in estimates[0]["witnesses"]] == [("oracle", "old")]
    assert change["supports"] == [{"witness": "the closed form", "side": "old", "numbers": 1}]
    assert (change["size"], change["cause"], change["standing"]) == ("break", "unexplained", "moved")
    assert "away from the closed form in 1" in " ".join(text.split())
    assert estimates[0]["witnesses"][0]["says"] == "away from the closed form"
    assert "moved" in found["summary"]


def test_a_small_sample_factor_that_moved_has_its_cause_replayed_and_the_new_side_supported(upgrade):
    code, found, _ = upgrade(toys.SSC, toys.HONEST)
    assert code == 1
    change = kinds(found)["number"]
    (cause,) = change["explanations"]
    assert cause["digits_after"] >= 9
    errors = [n for n in change["numbers"] if n["quantity"] == "std_error"]
    assert {n["cause"] for n in errors} == {"convention"}
    assert {n["term"] for n in errors} == {"x", "z"}
    assert {w["side"] for n in errors for w in n["witnesses"]} == {"new"}


@pytest.mark.parametrize(
    ("old", "new", "kind", "exits"),
    [
        ("HONEST", "RAISES", "error new", 1),
        # what is gained, and what a witness confirms, does not count against a version
        ("RAISES", "HONEST", "error gone", 0),
        ("RAISES", "SHIFT", "error gone", 1),
    ],
)
def test_an_error_that_is_new_or_gone(upgrade, old, new, kind, exits):
    code, found, text = upgrade(getattr(toys, old), getattr(toys, new))
    assert code == exits
    change = kinds(found)[kind]
    assert change["severity"] == ("structural" if exits else "cosmetic")
    assert "the matrix is singular" in change["title"]
    side = "neither" if new == "SHIFT" else "old" if kind == "error new" else "new"
    assert change["supports"] == [{"witness": "the closed form", "side": side, "numbers": 1}]
    assert found["studies"][0]["compared"] == 0
    assert "nothing was compared" not in text


def test_the_same_error_in_both_is_no_change_but_nothing_was_compared(upgrade):
    code, found, _ = upgrade(toys.RAISES, toys.RAISES)
    assert code == 3
    assert found["studies"][0]["changes"] == []
    assert "nothing of the paper was compared" in found["summary"]


@pytest.mark.parametrize(
    ("old", "new", "kind", "exits"),
    [("HONEST", "REFUSES", "unsupported new", 1), ("REFUSES", "HONEST", "unsupported gone", 0)],
)
def test_what_is_no_longer_or_newly_offered(upgrade, old, new, kind, exits):
    code, found, _ = upgrade(getattr(toys, old), getattr(toys, new))
    assert code == exits
    assert "not at this version" in kinds(found)[kind]["title"]


def test_a_warning_is_cosmetic(upgrade):
    code, found, _ = upgrade(toys.HONEST, toys.WARNS)
    assert code == 0
    change = kinds(found)["warning new"]
    assert change["severity"] == "cosmetic"
    assert "nearly collinear" in change["title"]
    assert "1 new warning" in found["summary"]


def test_fail_on_cosmetic_counts_a_warning_and_none_counts_nothing(upgrade):
    assert upgrade(toys.HONEST, toys.WARNS, "--fail-on", "cosmetic")[0] == 1


def test_fail_on_none(upgrade):
    code, found, _ = upgrade(toys.HONEST, toys.SHIFT, "--fail-on", "none")
    assert code == 0
    assert kinds(found)["number"]


def test_printed_numbers_are_a_witness(upgrade):
    code, found, _ = upgrade(toys.HONEST, toys.SHIFT, published="t1,1,x,estimate,0.9\n")
    assert code == 1
    estimate = next(n for n in kinds(found)["number"]["numbers"] if n["quantity"] == "estimate")
    assert "published" in [w["source"] for w in estimate["witnesses"]]


def test_formats_of_stdout(upgrade):
    assert json.loads(upgrade(toys.HONEST, toys.SHIFT, "--format", "json")[2])["schema"] == 2


def test_markdown_is_escaped_and_html_has_no_script(upgrade, tmp_path):
    bad = toys.RAISES.replace("the matrix is singular", "<script>alert(1)</script> | [x](y)")
    code, _, text = upgrade(toys.HONEST, bad, "--format", "markdown")
    assert code == 1
    assert "<script>" not in text
    page = (tmp_path / "out" / "upgrade.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("toy", "1.0", "1.0"), "both versions are toy@1.0"),
        (("toy", "1.0", "newest"), "'newest' is no version of toy"),
        (("toy", "1.0", "../x"), "is no version"),
        (("toys", "1.0", "2.0"), "there is no engine 'toys'"),
        (("toy@1.0", "1.0", "2.0"), "has a version already"),
        (("r.fixest", "0.13", "0.14"), "cannot be pinned"),
        (("toy", "1.0", "x-2.0-py3-none-any.whl"), "no wheel of toyreg"),
        (("toy", "1.0", "2.0", "--witness", "r.fixes"), "there is no engine 'r.fixes'"),
        (("toy", "1.0", "2.0", "--witness", "toy@2.0"), "one of the versions"),
        (("toy", "1.0", "2.0", "no/such/study"), "there is no study"),
        (("toy", "1.0", "2.0"), "none below fixtures/studies"),
    ],
)
def test_bad_usage_is_one_message_and_writes_nothing(monkeypatch, tmp_path, call, args, words):
    toys.with_toy(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    try:
        code, out, err = call("upgrade", *args)
    finally:
        toys.forget()
    assert code == 2
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "reports").exists()


def test_a_version_that_cannot_be_installed_leaves_with_3_and_writes_nothing(monkeypatch, tmp_path, call, write_study):
    from tests.test_pins import MAKES, fake_uv

    toys.with_toy(monkeypatch, tmp_path)
    fake_uv(
        tmp_path / "tools",
        monkeypatch,
        f'{MAKES}\nif [ "$1" = pip ]; then echo "there is no version of toyreg" >&2; exit 1; fi\n',
    )
    folder = write_study(candidates=("oracle",), references=())
    try:
        code, out, err = call("upgrade", "toy", "1.0", "2.0", folder, "--out", tmp_path / "out")
    finally:
        toys.forget()
    assert code == 3
    assert out == ""
    assert "toy@1.0 cannot be run" in err
    assert "there is no version of toyreg" in err
    assert not (tmp_path / "out").exists()


def test_installed_is_the_engine_of_this_environment():
    assert engine_source("pyfixest", "installed").engine == "pyfixest"
    with pytest.raises(UsageError, match="cannot be pinned"):
        engine_source("r.fixest", "installed")
