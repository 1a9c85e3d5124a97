"""Can a campaign be pointed at a user's own engine, and does it find what is wrong with it?"""

from __future__ import annotations

import pytest

from crosscheck import engines
from crosscheck.campaign.avowed import excused
from crosscheck.campaign.stream import read_events
from crosscheck.cli import main
from crosscheck.engines.wrapped import Wrapped
from crosscheck.errors import UsageError
from crosscheck.explain.model import Explanation
from crosscheck.results import Conventions, EstimationResult
from crosscheck.spec import FitRequest

MINE = """
from crosscheck.engines.wrapped import Wrapped


def fit(request, frame, base):
    result = base(request, frame)
    return result if request.vcov.type != "CRV1" else base(request.model_copy(update={"ssc": SSC}), frame)


from crosscheck.spec import SscSpec

SSC = SscSpec(g_adj=False)
ENGINE = Wrapped("oracle", fit, id="mine")
HONEST = Wrapped("oracle", lambda request, frame, base: base(request, frame), id="mine")
"""


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, "")
    engines.get.cache_clear()
    engines._plugins.cache_clear()
    yield
    engines.get.cache_clear()
    engines._plugins.cache_clear()


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE, encoding="utf-8")
    return path


def command(*words):
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return left.value.code


def run(tmp_path, text, budget="40p"):
    out = tmp_path / "out"
    code = command("campaign", "--engines", text, "--budget", budget, "--shrink", "1", "--out", str(out))
    return code, read_events(out / "campaign.ndjson")


def news(events):
    return [
        d
        for e in events
        if e["event"] == "panel"
        for c in e["cases"]
        for d in c.get("discrepancies", ())
        if d["kind"] == "new" and "mine" in (d["identity"]["engine"], d["identity"]["against"])
    ]


def test_an_engine_named_on_the_command_line_is_asked_and_its_fault_found(tmp_path, mine):
    code, events = run(tmp_path, f"oracle,mine={mine}:ENGINE")
    found = news(events)
    assert code == 1
    assert {d["identity"]["quantity"] for d in found} == {"std_error"}
    assert any("without G / (G - 1)" in d["says"] for d in found)
    finding = next(e for e in events if e["event"] == "finding")
    assert finding["rows"] <= 12


CELLS = """
from dataclasses import replace

import numpy as np

from crosscheck.engines.wrapped import Wrapped


def fit(request, frame, base):
    '''Err where a unit has the same outcome twice and one of the two rows lacks x1: a pattern of four cells.'''
    result = base(request, frame)
    if not {"y", "unit", "x1"} <= set(frame.names):
        return result
    unit, y, x = frame["unit"].codes()[0], frame["y"].as_float(), np.isnan(frame["x1"].as_float())
    pairs = (unit[:, None] == unit) & (y[:, None] == y) & (x[:, None] != x)
    if not pairs.any():
        return result
    return result.with_(coefs=tuple(replace(c, estimate=2 * c.estimate + 1) for c in result.coefs))


ENGINE = Wrapped("oracle", fit, id="mine")
"""


def test_a_fault_of_a_pattern_of_cells_is_found_and_shrunk_to_its_cells(tmp_path):
    path = tmp_path / "cells.py"
    path.write_text(CELLS, encoding="utf-8")
    code, events = run(tmp_path, f"oracle,mine={path}:ENGINE", budget="80p")
    assert code == 1
    finding = next(e for e in events if e["event"] == "finding")
    assert finding["rows"] <= 3
    assert [v for v in finding["data"]["x1"]["values"] if v != "NaN"] in ([0.0], [1.0], [0.0, 1.0], [0.0, 0.0])


def test_an_honest_engine_is_left_alone(tmp_path, mine):
    code, events = run(tmp_path, f"oracle,mine={mine}:HONEST")
    assert code == 0
    assert not news(events)


def test_a_plus_adds_to_the_usual_engines(tmp_path, mine, monkeypatch):
    monkeypatch.setenv("CROSSCHECK_RSCRIPT", "none")
    _, events = run(tmp_path, f"+mine={mine}:HONEST", budget="1p")
    assert {"oracle", "statsmodels", "mine"} <= set(events[0]["settings"]["engines"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mine=nowhere.py:ENGINE", "there is no file"),
        ("mine=os.path", "names no engine"),
        ("=a:B", "names no engine"),
        ("mine=a;b:C", "no name of a module"),
        ("mine=json:dumps", "lacks id"),
        ("mine=crosscheck.nothing:ENGINE", "cannot be loaded"),
        ("oracle=mine:ENGINE", "already"),
    ],
)
def test_what_names_no_engine_is_one_clear_message(tmp_path, capsys, text, says):
    assert command("campaign", "--engines", text, "--out", str(tmp_path / "out")) == 2
    shown = capsys.readouterr().err
    assert says in shown
    assert "Traceback" not in shown


def test_a_study_file_cannot_name_a_module(tmp_path, mine):
    (tmp_path / "panel.csv").write_text("y,x\n1,2\n3,5\n4,4\n", encoding="utf-8")
    (tmp_path / "study.toml").write_text(
        'schema = 1\nstudy = "s"\n[data]\npath = "panel.csv"\n[data.kinds]\ny = "float"\nx = "float"\n'
        f'[defaults]\ncandidates = ["mine={mine}:ENGINE"]\n[[table]]\nid = "1"\n[[table.column]]\nid = "1"\nformula = "y ~ x"\n',
        encoding="utf-8",
    )
    assert command("run", str(tmp_path), "--out", str(tmp_path / "out")) == 2


def test_engines_that_are_not_in_python_cannot_be_wrapped():
    with pytest.raises(UsageError, match="not written in Python"):
        Wrapped("r.fixest", lambda request, frame, base: base(request, frame), id="mine")


def test_a_cause_that_no_engine_avows_is_no_excuse():
    asked = FitRequest(formula="`y` ~ `x`")
    plain = EstimationResult(engine="a")
    says = EstimationResult(
        engine="b", conventions=Conventions(notes=("t distribution with 9 degrees of freedom; the request asks for 4",))
    )

    def why(rule):
        return (Explanation(rule=rule, title=rule),)

    assert excused(why("t.df"), plain, says, asked)
    assert not excused(why("t.df"), plain, plain, asked)
    assert not excused(why("g.adj"), plain, says, asked)
    assert not excused(why("g.adj+t.df"), plain, says, asked)
    assert not excused(why("r2.flavour"), plain, plain, asked)
    assert excused(why("r2.flavour"), plain, plain, FitRequest(formula="`y` ~ `x` - 1"))
    assert not excused((), plain, plain, asked)
