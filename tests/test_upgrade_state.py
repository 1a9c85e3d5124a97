"""What is a side of an upgrade, how is it named, and what does it say where it cannot be made?"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from crosscheck.bridge import environments
from crosscheck.bridge.interpreters import THIS, find_python, require_python
from crosscheck.errors import EngineMissing, UsageError
from crosscheck.upgrade import aligned, eras, origins
from crosscheck.upgrade.beside import engine_python
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.defaults import replays
from crosscheck.upgrade.origins import built_wheel, content_of, wheel_version
from crosscheck.upgrade.requirements import names_in, read_requirements, require_pin
from crosscheck.upgrade.state import Asked, make_side, make_sides
from tests.test_pins import fake_uv

# makes an environment whose interpreter finds what this one finds, and notes what is asked
MAKES = f"""
if [ "$1" = venv ]; then for last; do :; done; eval dir=\\${{$(( $# - 1 ))}}; mkdir -p "$dir/bin"
  printf '#!/bin/sh\\nexec {sys.executable} "$@"\\n' > "$dir/bin/python"; chmod +x "$dir/bin/python"; fi
if [ "$2" = compile ]; then echo "pyfixest==9.9.9"; fi
if [ "$2" = install ]; then
  for word; do case "$last_word" in -c) cat "$word" >> $log; esac; last_word="$word"; done; fi
"""


@pytest.fixture
def tools(tmp_path, monkeypatch) -> Path:
    fake_uv(tmp_path / "tools", monkeypatch, MAKES)
    monkeypatch.setattr(aligned, "imports", lambda *_: None)
    return tmp_path / "tools" / "log"


def test_a_version_gets_an_environment_with_the_bounds_of_its_era(tools, tmp_path):
    made = make_side("statsmodels", "0.13.5", cache=tmp_path / "cache")
    log = tools.read_text("utf-8")
    assert "statsmodels==0.13.5" in log
    assert "numpy<2" in log.split()
    assert "pandas<2" in log.split()
    assert made.state["python"]
    assert made.python is not None
    assert not [line for line in log.splitlines() if line.startswith("pip install") and "pydantic" in line]


def test_sides_that_are_made_together_get_the_bounds_of_each(tools, tmp_path):
    make_sides("statsmodels", ("0.14.0", "0.15.0"), cache=tmp_path / "cache")
    asked = [line for line in tools.read_text("utf-8").splitlines() if line == "numpy<2"]
    assert len(asked) >= 2


def test_a_dependency_is_varied_on_one_side_alone(tools, tmp_path):
    sides = make_sides(
        "pyfixest",
        (Asked(what="0.60.0", pins=("numpy==1.26.4",)), Asked(what="0.60.0")),
        cache=tmp_path / "cache",
    )
    assert len({s.id for s in sides}) == 2
    assert "numpy 1.26.4" in sides[0].id
    assert sides[0].pins == ("numpy==1.26.4",)
    assert "numpy==1.26.4" in tools.read_text("utf-8").split()
    for wrong in ("numpy", "numpy @ https://x", "-r x", "numpy==1; rm"):
        with pytest.raises(UsageError, match="pins no dependency"):
            require_pin(wrong)


def test_installed_is_this_process_and_latest_is_asked_of_the_index(tools, tmp_path):
    here = make_side("pyfixest", "installed", cache=tmp_path / "cache")
    assert here.python is None
    assert here.version == importlib.metadata.version("pyfixest")
    assert not tools.exists()
    make_side("pyfixest", "latest", cache=tmp_path / "cache")
    assert "pyfixest==9.9.9" in tools.read_text("utf-8")


def test_a_requirements_file_is_a_state(tools, tmp_path):
    file = tmp_path / "before.txt"
    file.write_text(
        "# of the paper\npyfixest==0.30.2\nNumPy == 1.26.4  # old\nseaborn>=0.13 ; python_version > '3.8'\n", "utf-8"
    )
    side = make_side("pyfixest", str(file), cache=tmp_path / "cache")
    assert "before.txt" in side.id
    log = tools.read_text("utf-8")
    assert "pyfixest==0.30.2" in log
    assert "NumPy== 1.26.4" in log
    other = tmp_path / "other.txt"
    other.write_text("numpy==1.26.4\n", "utf-8")
    with pytest.raises(UsageError, match="does not name pyfixest"):
        make_side("pyfixest", str(other), cache=tmp_path / "cache")
    for line in ("-e .", "--index-url https://x", "git+https://x", "pkg @ file:///x", "../pkg", "a; b & c |"):
        other.write_text(f"numpy==1.26.4\n{line}\n", "utf-8")
        if line.startswith("a;"):
            continue
        with pytest.raises(UsageError, match="no plain requirement") as error:
            read_requirements(other)
        assert "line 2" in error.value.where


def test_requirements_are_read_as_pip_freeze_and_hashes_write_them(tmp_path):
    file = tmp_path / "r.txt"
    file.write_text(
        "numpy==2.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\nPy_Fixest[all]~=0.4,!=0.41\n\n", "utf-8"
    )
    assert read_requirements(file) == ("numpy==2.0", "Py_Fixest~=0.4,!=0.41")
    assert names_in("Py_Fixest~=0.4") == "py-fixest"


def wheel(folder: Path, name: str = "pyfixest-0.61.0-py3-none-any.whl", text: str = "x") -> Path:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as file:
        file.writestr("pyfixest/__init__.py", text)
    return folder / name


def test_a_wheel_is_named_by_its_content(tools, tmp_path):
    one = wheel(tmp_path / "a")
    assert wheel_version(one, "pyfixest")[1] == "0.61.0"
    labels = {wheel_version(wheel(tmp_path / d, text=d), "pyfixest")[2] for d in ("b", "c")}
    assert len(labels) == 2
    assert "+wheel." in make_side("pyfixest", str(one), cache=tmp_path / "cache").id
    with pytest.raises(UsageError, match="no wheel of"):
        make_side("pyfixest", str(wheel(tmp_path / "a", "other-1.0-py3-none-any.whl")), cache=tmp_path / "cache")
    with pytest.raises(UsageError, match="cannot be read"):
        make_side("pyfixest", str(tmp_path / "pyfixest-1.0-py3-none-any.whl"), cache=tmp_path / "cache")


def test_a_folder_is_built_once_for_each_content(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    with pytest.raises(UsageError, match="no Python project"):
        built_wheel(source, "pyfixest", tmp_path / "cache", lambda _: None)
    (source / "pyproject.toml").write_text("[project]\n", "utf-8")
    made = wheel(tmp_path / "ready")
    fake_uv(
        tmp_path / "tools",
        monkeypatch,
        f'while [ "$1" != --out-dir ]; do shift; done\ncp {made} "$2"/\n',
    )
    said: list[str] = []
    first = built_wheel(source, "pyfixest", tmp_path / "cache", said.append)
    assert built_wheel(source, "pyfixest", tmp_path / "cache", said.append) == first
    assert len(said) == 1
    before = content_of(source)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert content_of(source) == before
    (source / "a.py").write_text("1", "utf-8")
    assert content_of(source) != before


def test_what_names_no_version_is_one_message(tmp_path):
    for word in ("nope", "0.x", "/nowhere/at/all", ""):
        with pytest.raises(UsageError):
            make_side("pyfixest", word, cache=tmp_path / "cache")
    with pytest.raises(UsageError, match="does not know"):
        make_side("nope", "1.0", cache=tmp_path / "cache")


def test_a_version_that_cannot_be_installed_is_a_verdict(tmp_path, monkeypatch):
    words = "no version of pyfixest==0.77.0"
    fake_uv(tmp_path / "tools", monkeypatch, f'{MAKES}\nif [ "$2" = install ]; then echo "{words}" >&2; exit 1; fi\n')
    with pytest.raises(EngineMissing, match=r"cannot be installed for Python"):
        make_side("pyfixest", "0.77.0", cache=tmp_path / "cache")
    monkeypatch.setattr(aligned, "find_python", lambda _: None)
    with pytest.raises(EngineMissing) as error:
        make_side("statsmodels", "0.13.0", cache=tmp_path / "cache")
    assert "which is not here" in error.value.hint


def test_a_package_that_does_not_import_is_a_verdict(tmp_path, monkeypatch):
    fake_uv(tmp_path / "tools", monkeypatch, MAKES)
    monkeypatch.setattr(
        origins, "_PROBE", "raise ImportError('cannot import name Int64Index')  # as an old one beside a new pandas\n"
    )
    with pytest.raises(EngineMissing, match="cannot be imported: ImportError: cannot import name Int64Index"):
        make_side("pyfixest", "0.50.1", cache=tmp_path / "cache")


def test_interpreters_are_found_and_never_fetched():
    assert find_python(THIS.version) is THIS
    assert find_python("3.99") is None
    with pytest.raises(EngineMissing, match=r"no Python 3\.99 here"):
        require_python("3.99")
    with pytest.raises(UsageError):
        find_python("latest")


@pytest.mark.parametrize("package", eras.packages())
def test_every_era_file_is_read_and_its_bounds_are_requirements(package):
    file = eras.era_file(package)
    for era in file.era:
        for line in (*era.constraints, *(n for n in era.needs if "<" in n)):
            require_pin(line)
        for version in filter(None, (era.since, era.until)):
            assert eras.release(version)
        adapter = eras.adapter_for(package, era.since or file.oldest)
        assert adapter.to_json()["functions"]


def test_a_changed_default_is_written_out_for_replay():
    call = Call(package="pyfixest", function="feols", formula="y ~ x | unit + year")
    found = {name: r.call for r in replays(call, "0.30.2", "0.60.0") for name in r.arguments if len(r.arguments) == 1}
    assert found["vcov"].arguments == {"vcov": {"CRV1": "unit"}}
    assert found["fixef_rm"].arguments == {"fixef_rm": "none"}
    assert found["demeaner"].arguments["demeaner"]["fixef_tol"] == 1e-8
    whole = replays(call, "0.30.2", "0.60.0")[-1]
    assert set(whole.arguments) >= {"vcov", "fixef_rm", "collin_tol", "demeaner"}
    assert replays(call, "0.50.0", "0.50.1") == ()
    told = call.with_(arguments={"vcov": "hetero", "fixef_rm": "none"})
    assert not {"vcov", "fixef_rm"} & {n for r in replays(told, "0.30.2", "0.60.0") for n in r.arguments}
    plain = Call(package="pyfixest", function="feols", formula="y ~ x")
    assert all(r.call.arguments.get("vcov") in (None, "iid") for r in replays(plain, "0.30.2", "0.60.0"))


def test_an_engine_gets_the_packages_of_the_side_and_what_its_worker_stands_on(tmp_path, monkeypatch):
    from crosscheck.upgrade.eras import adapter_for
    from crosscheck.upgrade.sides import Side

    folder = tmp_path / "environments" / "linearmodels-7.1"
    versions = {
        "linearmodels": "7.1",
        "numpy": "2.2.0",
        "typing-extensions": "4.1",
        "python": "3.11.7",
        "platform": "x",
    }
    made = environments.Environment(
        name=folder.name, folder=folder, python=folder / "bin/python", requirements=("linearmodels==7.1",),
        versions=versions,
    )  # fmt: skip
    side = Side(
        package="linearmodels", version="7.1", id="linearmodels@7.1", asked="7.1", python=made.python,
        adapter=adapter_for("linearmodels", "7.1"), state={},
    )  # fmt: skip
    asked = []

    def provide(cache, requirements, *, say, recipe):
        asked.append((cache, requirements, recipe))
        return made

    monkeypatch.setattr(environments, "read", lambda where: made if where == folder else None)
    monkeypatch.setattr(environments, "provide", provide)
    assert engine_python(side) == made.python
    ((cache, requirements, recipe),) = asked
    assert (cache, requirements) == (tmp_path, ("linearmodels==7.1",))
    assert (recipe.needs, recipe.constraints) == (environments.WORKER_NEEDS, ("numpy==2.2.0",))


def test_a_wheel_can_be_built_where_neither_uv_nor_pip_is(monkeypatch, tmp_path):
    monkeypatch.setattr(origins.importlib.util, "find_spec", lambda name: None)
    python = origins._with_pip(tmp_path)
    monkeypatch.undo()
    assert python != sys.executable
    done = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("pip ")


def test_two_sides_whose_pins_differ_are_two_environments(tools, tmp_path):
    make_sides(
        "pyfixest",
        (Asked(what="0.60.0", pins=("numpy==1.26.4",)), Asked(what="0.60.0", pins=("numpy==2.3.5",))),
        cache=tmp_path / "cache",
    )
    made = [line for line in tools.read_text("utf-8").splitlines() if line.startswith("venv")]
    assert len(made) == 2


def _environment(folder: Path, **versions: str) -> environments.Environment:
    folder.mkdir(parents=True, exist_ok=True)
    return environments.Environment(
        name=folder.name, folder=folder, python=folder / "bin/python", requirements=("p==1",), versions=versions
    )


def test_a_side_takes_the_versions_of_its_row_one_by_one_where_it_cannot_take_all(tmp_path, monkeypatch):
    asked = []

    def provided(plan, recipe, cache, say):
        asked.append(recipe.constraints)
        if "pandas==1.5.3" in recipe.constraints:
            raise EngineMissing("no version of pandas satisfies both")
        return _environment(tmp_path / "c", numpy="1.26.4", pandas="3.1.1")

    monkeypatch.setattr(aligned, "provided", provided)
    plans = {
        i: aligned.Plan(first=f"pyfixest=={v}", label=v, adapter=eras.adapter_for("pyfixest", v), companions=())
        for i, v in enumerate(("0.40.1", "0.60.0"))
    }
    row = aligned.Row(plans=plans, cache=tmp_path, say=lambda _: None)
    row.built = {
        0: _environment(tmp_path / "a", numpy="1.26.4", pandas="1.5.3"),
        1: _environment(tmp_path / "b", numpy="2.4.6", pandas="3.1.1"),
    }
    row.settle(1)
    assert row.built[1].versions == {"numpy": "1.26.4", "pandas": "3.1.1"}
    before = len(asked)
    row.built[1] = _environment(tmp_path / "b", numpy="2.4.6", pandas="3.1.1")
    row.settle(1)
    assert len(asked) == before + 1  # what the package does not allow is asked once


def test_a_default_that_no_era_knows_to_have_changed_is_written_out_too():
    from crosscheck.upgrade.defaults import guesses

    call = Call(package="pyfixest", function="feols", formula="y ~ x | f", arguments={"ssc": {"G_df": "min"}})
    found = guesses(call, "0.60.0", "0.61.0")
    named = [n for replay in found[:-1] for n in replay.arguments]
    assert "fixef_rm" in named
    assert "ssc.k_fixef" in named
    assert "ssc.G_df" not in named  # the call says it
    assert found[-1].call.arguments["ssc"]["k_fixef"] == "nonnested"
    assert "fixef_rm" not in [n for r in guesses(call, "0.30.2", "0.60.0") for n in r.arguments]  # an era says so
