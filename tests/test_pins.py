"""A version pin: what it may say, how its environment is built once and whole, and that its worker has that version."""

from __future__ import annotations

import os
import stat
import sys
import types
from pathlib import Path

import pytest

from crosscheck import engines
from crosscheck.bridge import environments
from crosscheck.bridge.command import command_of, environment_of
from crosscheck.bridge.environments import find, folder_name, listed, provide, read
from crosscheck.cli import main
from crosscheck.engines import _pyfixest_versions as versions
from crosscheck.engines.pinned import pin_of, pin_wheel, require_version
from crosscheck.errors import EngineMissing, Unsupported, UsageError
from crosscheck.spec import FitRequest, SscSpec, VcovSpec
from tests import pinned_support as toys


@pytest.fixture
def toy(monkeypatch, tmp_path):
    yield toys.with_toy(monkeypatch, tmp_path)
    toys.forget()


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


@pytest.mark.parametrize("text", ["0.50.1", "1.0", "7", "1.0rc1", "1.0.post2", "2.0.dev3", "0.61.0+wheel.0a1b2c3d"])
def test_a_pin_is_a_name_and_a_version(text):
    pin = pin_of(f"pyfixest@{text}")
    assert (pin.name, pin.version, pin.id) == ("pyfixest", text, f"pyfixest@{text}")
    assert pin_of("pyfixest") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        ">=0.5",
        "0.5,<1",
        "../dist",
        "https://example.org/x.whl",
        "0.5; os",
        "0.5 0.6",
        "0.5\n",
        "--index",
        "٣",
    ],
)
def test_what_is_no_version_is_no_pin(text):
    with pytest.raises(UsageError, match="pins no version"):
        pin_of(f"pyfixest@{text}")


@pytest.mark.parametrize("engine", ["r.fixest@0.14.2", "r.did@2.3.0"])
def test_engines_without_a_python_package_cannot_be_pinned(engine):
    with pytest.raises(UsageError, match="cannot be pinned"):
        engines.get(engine)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("pyfixest@../x", "pins no version"),
        ("pyfixes@0.5", "there is no engine"),
        ("r.fixest@0.14.2", "cannot be pinned"),
    ],
)
def test_a_bad_pin_in_a_study_is_bad_input_and_builds_nothing(call, write_study, tmp_path, monkeypatch, engine, words):
    monkeypatch.setenv("CROSSCHECK_CACHE", str(tmp_path / "cache"))
    folder = write_study(candidates=(engine,), references=("oracle",))
    code, _, err = call("run", str(folder), "--out", str(tmp_path / "out"))
    assert code == 2
    assert words in err
    assert "candidates" in err
    assert not (tmp_path / "cache" / "environments").exists()


def test_the_worker_of_a_pin_runs_that_version_and_says_so(call, toy, write_study, tmp_path):
    from crosscheck.report import fold

    toys.make_version(toy, "1.0", toys.HONEST)
    toys.make_version(toy, "2.0", toys.SHIFT)
    folder = write_study(candidates=("toy@1.0", "toy@2.0"), references=("oracle",))
    code, out, _ = call("run", str(folder), "--out", str(tmp_path / "out"))
    assert code == 1
    run = fold(tmp_path / "out" / "run.ndjson")
    by_engine = {e.id: e for e in run.engines}
    assert by_engine["toy@1.0"].version == "1.0"
    assert dict(by_engine["toy@2.0"].environment)["toyreg"] == "2.0"
    verdicts = {c.candidate: set() for c in run.cells}
    for cell in run.cells:
        if cell.quantity == "estimate":
            verdicts[cell.candidate].add(cell.verdict)
    assert verdicts["toy@1.0"] == {"exact"}
    assert "unexplained" in verdicts["toy@2.0"]
    assert "toy@2.0" in out


def test_the_cache_keeps_two_versions_apart_and_serves_each_again(call, toy, write_study, tmp_path):
    toys.make_version(toy, "1.0", toys.HONEST)
    folder = write_study(candidates=("toy@1.0",), references=("oracle",))
    assert call("run", str(folder), "--out", str(tmp_path / "out"))[0] == 0
    place = toys.make_version(toy, "2.0", toys.SHIFT)
    text = (folder / "study.toml").read_text("utf-8")
    (folder / "study.toml").write_text(text.replace("toy@1.0", "toy@2.0"), "utf-8")
    assert call("run", str(folder), "--out", str(tmp_path / "out"))[0] == 1
    # the answer of the second run is in the cache: its package may go
    next(place.glob("lib/python3*/site-packages/toyreg.py")).unlink()
    assert call("run", str(folder), "--out", str(tmp_path / "out"))[0] == 1


def test_a_version_under_another_name_is_refused_and_not_reported_as_a_number(call, toy, write_study, tmp_path):
    folder = toys.make_version(toy, "1.0", toys.HONEST)
    (info,) = folder.glob("lib/python3*/site-packages/toyreg-1.0.dist-info/METADATA")
    info.write_text(info.read_text("utf-8").replace("Version: 1.0", "Version: 1.1"), "utf-8")
    study = write_study(candidates=("toy@1.0",), references=("oracle",))
    code, out, _ = call("run", str(study), "--out", str(tmp_path / "out"))
    assert code == 1
    assert "1.0 was asked for, and this environment has 1.1" in " ".join(out.split())


def test_nothing_of_this_environment_leaks_into_a_pinned_worker(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    seen = environment_of("python", python="/elsewhere/bin/python")
    assert "PYTHONPATH" not in seen
    assert seen["PYTHONNOUSERSITE"] == "1"
    words = command_of("python", python="/elsewhere/bin/python")
    assert words[0] == "/elsewhere/bin/python"
    assert "-P" in words


def fake_uv(folder: Path, monkeypatch, script: str) -> None:
    """Put a program called uv before all others."""
    folder.mkdir()
    file = folder / "uv"
    file.write_text(f'#!/bin/sh\nlog={folder}/log\necho "$@" >> $log\n{script}', "utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


MAKES = f"""
if [ "$1" = venv ]; then for last; do :; done; eval dir=\\${{$(( $# - 1 ))}}; mkdir -p "$dir/bin"; ln -s {sys.executable} "$dir/bin/python"; fi
"""


def test_an_environment_is_built_once_and_whole(tmp_path, monkeypatch):
    fake_uv(tmp_path / "tools", monkeypatch, MAKES)
    said: list[str] = []
    first = provide(tmp_path / "cache", ("toyreg==1.0",), say=said.append)
    assert first.python.exists()
    assert first.versions["python"]
    assert "toyreg 1.0" in said[0]
    log = (tmp_path / "tools" / "log").read_text("utf-8")
    assert "--only-binary :all: toyreg==1.0" in log
    again = provide(tmp_path / "cache", ("toyreg==1.0",), say=said.append)
    assert again == first
    assert (tmp_path / "tools" / "log").read_text("utf-8") == log
    assert len(said) == 1
    assert listed(tmp_path / "cache") == (first,)


def test_a_build_that_was_interrupted_is_never_used_and_swept_away(tmp_path, monkeypatch):
    root = environments.environments_dir(tmp_path / "cache")
    half = root / ".building-1"
    half.mkdir(parents=True)
    place = root / folder_name(("toyreg==1.0",))
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    assert find(tmp_path / "cache", ("toyreg==1.0",)) is None
    assert listed(tmp_path / "cache") == ()
    fake_uv(tmp_path / "tools", monkeypatch, MAKES)
    assert provide(tmp_path / "cache", ("toyreg==1.0",)).folder == place.absolute()
    assert not half.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("there is no version of toyreg==9.9", "cannot be installed for Python"),
        ("dns error: failed to lookup address", "index cannot be reached"),
        ("something else", "cannot be installed for Python"),
    ],
)
def test_what_cannot_be_built_is_said_and_leaves_nothing(tmp_path, monkeypatch, words, said):
    fake_uv(tmp_path / "tools", monkeypatch, f'{MAKES}\nif [ "$1" = pip ]; then echo "{words}" >&2; exit 1; fi\n')
    with pytest.raises(EngineMissing, match=said) as caught:
        provide(tmp_path / "cache", ("toyreg==9.9",))
    assert "toyreg 9.9" in caught.value.what
    assert listed(tmp_path / "cache") == ()
    assert [p.name for p in environments.environments_dir(tmp_path / "cache").iterdir()] == [".lock"]


def test_a_study_whose_pin_cannot_be_built_leaves_with_3(call, toy, tmp_path, monkeypatch, write_study):
    fake_uv(tmp_path / "tools", monkeypatch, f'{MAKES}\nif [ "$1" = pip ]; then echo offline >&2; exit 1; fi\n')
    folder = write_study(candidates=("toy@1.0",), references=("oracle",))
    code, out, err = call("run", str(folder), "--out", str(tmp_path / "out"))
    assert code == 3
    assert "building an environment with toyreg 1.0" in err
    assert "not installed" in " ".join(out.split())


def test_a_manifest_that_is_not_ours_is_no_environment(tmp_path):
    folder = tmp_path / "x"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    for text in ("", "[]", "{}", '{"schema": 99, "requirements": [], "versions": {}}', '{"schema": 1}'):
        (folder / environments.MANIFEST).write_text(text, "utf-8")
        assert read(folder) is None


def test_a_wheel_is_pinned_by_its_content(tmp_path):
    base = engines.get("pyfixest")
    wheel = tmp_path / "pyfixest-0.61.0-py3-none-any.whl"
    wheel.write_bytes(b"one")
    first = pin_wheel(base, wheel)
    assert first.version.startswith("0.61.0+wheel.")
    requirements = engines.Pinned(base, first).requirements
    assert requirements[0] == str(wheel)
    place = folder_name(requirements)
    wheel.write_bytes(b"two")
    second = pin_wheel(base, wheel)
    assert second.version != first.version
    assert folder_name(engines.Pinned(base, second).requirements) != place
    with pytest.raises(UsageError, match="no wheel of pyfixest"):
        pin_wheel(base, tmp_path / "statsmodels-0.15-py3-none-any.whl")
    with pytest.raises(UsageError, match="cannot be read"):
        pin_wheel(base, tmp_path / "pyfixest-0.62.0-py3-none-any.whl")


def test_doctor_lists_the_environments(call, toy, tmp_path):
    toys.make_version(toy, "1.0", toys.HONEST)
    code, out, _ = call("doctor", "--format", "json")
    assert code == 0
    assert "toyreg-1.0-" in out


def test_the_version_in_a_process_is_checked():
    with pytest.raises(EngineMissing, match=r"numpy 0\.1 was asked for"):
        require_version("numpy", "0.1")
    with pytest.raises(EngineMissing, match="has none"):
        require_version("no-such-package", "0.1")


@pytest.mark.parametrize(
    ("engine", "vcov", "reach"),
    [
        ("statsmodels@0.14.6", "CRV3", "notyet"),
        ("statsmodels@0.15.0", "CRV3", "yes"),
        ("statsmodels@0.14.6", "CRV1", "yes"),
        ("pyfixest@0.50.1", "CRV1", "yes"),
        ("pyfixest@0.28.0", "CRV1", "notimpl"),
    ],
)
def test_what_a_version_cannot_do_is_known_beforehand(engine, vcov, reach):
    request = FitRequest(
        estimator="feols", formula="`y` ~ `x`", columns=("y", "x", "g"), vcov=VcovSpec(type=vcov, cluster=("g",)),
        ssc=SscSpec(k_fixef="full"),
    )  # fmt: skip
    assert engines.get(engine).supports(request).reach == reach


def test_the_newest_versions_are_named_where_one_does_not_exist(tmp_path, monkeypatch):
    text = "ERROR: Could not find a version (from versions: 0.1, 0.2, 0.3rc1) ERROR: No matching distribution found"
    fake_uv(tmp_path / "tools", monkeypatch, f'{MAKES}\nif [ "$1" = pip ]; then echo "{text}" >&2; exit 1; fi\n')
    with pytest.raises(EngineMissing, match=r"newest in the package index are 0\.1, 0\.2, 0\.3rc1"):
        provide(tmp_path / "cache", ("toyreg==9.9",))


def test_an_index_that_does_not_answer_is_not_one_without_versions(tmp_path, monkeypatch):
    text = "WARNING: Retrying (Retry(total=1)) ERROR: Could not find a version (from versions: none)"
    fake_uv(tmp_path / "tools", monkeypatch, f'{MAKES}\nif [ "$1" = pip ]; then echo "{text}" >&2; exit 1; fi\n')
    with pytest.raises(EngineMissing, match="index cannot be reached") as raised:
        provide(tmp_path / "cache", ("toyreg==9.9",))
    assert "connection" in raised.value.hint


class TestOldPyfixest:
    """What older versions call otherwise, against stand-ins with their signatures."""

    def test_words_of_the_small_sample_correction(self, monkeypatch):
        import pyfixest as pf

        def old(adj=True, fixef_k="nested", cluster_adj=True, cluster_df="min"):
            return {"adj": adj, "fixef_k": fixef_k, "cluster_adj": cluster_adj, "cluster_df": cluster_df}

        words = {"k_adj": False, "k_fixef": "nonnested", "G_adj": True, "G_df": "conventional"}
        assert versions.small_sample_words(words) == pf.ssc(**words)
        monkeypatch.setattr(pf, "ssc", old)
        assert versions.small_sample_words(words) == {
            "adj": False, "fixef_k": "nested", "cluster_adj": True, "cluster_df": "conventional"
        }  # fmt: skip

    def test_an_option_that_is_lacking_is_refused_unless_it_changes_nothing(self):
        def feols(fml, data, vcov): ...

        assert versions.accepted(feols, {"vcov": "iid", "vcov_kwargs": None, "weights": None}) == {"vcov": "iid"}
        with pytest.raises(Unsupported, match="no option vcov_kwargs"):
            versions.accepted(feols, {"vcov": "NW", "vcov_kwargs": {"lag": 2}})

    def test_demeaning_before_the_demeaner_objects(self, monkeypatch):
        assert set(versions.demeaning(1e-12, 100)) == {"demeaner"}
        monkeypatch.setitem(sys.modules, "pyfixest", types.SimpleNamespace())
        assert versions.demeaning(1e-12, 100) == {
            "fixef_tol": 1e-12, "fixef_maxiter": 100, "demeaner_backend": "rust"
        }  # fmt: skip


def test_shrink_asks_a_pinned_engine_in_its_own_environment(call, toy, write_study, tmp_path):
    import json

    toys.make_version(toy, "2.0", toys.SHIFT)
    study = write_study(candidates=("toy@2.0",), references=("oracle",))
    code, out, err = call("shrink", study, "--out", tmp_path / "shown", "--format", "json")
    assert code == 1, err
    facts = json.loads(out)
    assert facts["quantity"] == "estimate"
    assert facts["rows"][1] < facts["rows"][0]


def test_a_campaign_takes_two_versions_of_an_engine(call, toy, tmp_path):
    toys.make_version(toy, "1.0", toys.HONEST)
    toys.make_version(toy, "2.0", toys.SHIFT)
    words = ("--budget", "1p", "--engines", "toy@1.0,toy@2.0", "--shrink", "0", "--out", tmp_path / "out")
    code, out, err = call("campaign", *words, "--properties", "engines_agree")
    assert code == 1, err
    assert "toy@2.0" in out
