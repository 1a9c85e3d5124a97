"""What the engines of designs accept, refuse and show."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from crosscheck import engines
from crosscheck.bridge import r_scripts_dir
from crosscheck.canon import dumps
from crosscheck.design_options import DESIGN_ENGINES, DESIGN_OPTIONS
from crosscheck.engines.designs import FITTERS
from crosscheck.errors import DataError, UsageError
from crosscheck.options import DEFAULT_ENGINES, OPTIONS, WITHOUT_FORMULA
from crosscheck.results import result_from_json
from crosscheck.spec import FitRequest, VcovSpec, WeightsSpec
from crosscheck.study import load_study
from tests.designs_helpers import LABELS, ask, draws, need_r, panel_frame, python


def test_every_design_has_options_engines_and_a_fitter():
    assert set(DESIGN_OPTIONS) == set(FITTERS) == set(DESIGN_ENGINES)
    assert set(DESIGN_OPTIONS) <= set(OPTIONS)
    assert set(DESIGN_OPTIONS) <= set(DEFAULT_ENGINES)
    assert {"describe", "entropy"} <= WITHOUT_FORMULA
    for name in ("designs", "r.designs", "r.matchit"):
        assert engines.get(name).id == name


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (FitRequest(formula="`y` ~ `x`"), "not a design"),
        (ask("winsor_feols", formula="`y` ~ log(`x`) | `g`"), "plain columns"),
        (ask("winsor_feols", formula="`y` ~ `x`:`z`"), "plain columns"),
        (ask("winsor_feols", formula="log(`y`) ~ `x`"), "plain columns"),
        (ask("winsor_feols", formula="`y` ~ 1 | `g` | `x` ~ `z`"), "plain columns"),
        (ask("winsor_feols", vcov="HC3"), "vcov types"),
        (ask("winsor_feols", vcov="CRV3", by=["a", "b"]), "one cluster"),
        (ask("winsor_feols").model_copy(update={"weights": WeightsSpec(column="w")}), "weights"),
        (ask("placebo", vcov="DK", treatment="D", start=1, draws=draws("subset", 2)), "placebo"),
        (ask("placebo", vcov="CRV1", by=["a", "b"], treatment="D", start=1, draws=draws("subset", 2)), "placebo"),
    ],
)
def test_what_is_not_asked_right_is_unsupported_in_both_languages(request_, word):
    for name in ("designs", "r.designs"):
        support = engines.get(name).supports(request_)
        assert not support
        assert word in support.reason


def test_r_engines_do_not_run_here():
    with pytest.raises(UsageError, match="runs in R"):
        engines.get("r.designs").fit(ask("winsor_feols"), panel_frame())


def test_results_survive_json_and_name_their_quantities():
    result = python(ask("placebo", treatment="BDPZs", start=2016, draws=draws("subset", 3)), panel_frame())
    assert result_from_json(result.to_json()) == result
    keys = [(t, q) for t, q, _ in result.quantities()]
    assert len(keys) == len(set(keys))
    assert result.block("draws")["std_error"][2] > 0


def test_code_names_the_request_and_hides_long_draws():
    request = ask("placebo", treatment="BDPZs", start=2016, draws=draws("subset", 300))
    code = engines.get("r.designs").code(request, "panel.csv")
    assert '"treatment": "BDPZs"' in code
    assert max(map(len, code.splitlines())) < 600
    compile(engines.get("designs").code(request, "panel.csv"), "code", "exec")
    assert request.hash in engines.get("designs").code(request, "panel.csv")


def test_code_for_r_runs_by_hand(tmp_path):
    need_r()
    frame = panel_frame()
    request = ask("inference_grid", treatment="BDPZs", cluster="province", draws=draws("rademacher", 50))
    frame.to_pandas().to_csv(tmp_path / "panel.csv", index=False)
    (tmp_path / "request.json").write_text(dumps(request.to_json()), encoding="utf-8")
    for script in r_scripts_dir().glob("*.R"):
        shutil.copy(script, tmp_path)
    (tmp_path / "shown.R").write_text(engines.get("r.designs").code(request, "panel.csv"), encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    command = ["Rscript", "--vanilla", "shown.R"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    raw = json.loads(done.stdout.splitlines()[-1])
    ours = python(request, frame)
    for row in raw["coefs"]:
        assert row["std_error"] == pytest.approx(ours.coef(row["term"]).std_error, rel=1e-9)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ask("winsor_feols", winsorize={"columns": ["ln(Labor)"]}), "is not used"),
        (ask("winsor_feols", formula="`NQP` ~ `region` | `province`"), "is a category"),
        (ask("mediation", treatment="region", mediator="ln(Labor)"), "is a category"),
        (ask("subgroups", treatment="Tin2", group="region"), "no regressor"),
        (ask("describe", variables=["none"]), "no column"),
    ],
)
def test_mistakes_are_named(request_, message):
    with pytest.raises(DataError, match=message):
        engines.get("designs").fit(request_, panel_frame())


def test_empty_and_saturated_samples_are_refused():
    frame = panel_frame()
    with pytest.raises(DataError, match="empty"):
        engines.get("designs").fit(ask("winsor_feols"), frame.take(np.zeros(frame.nrows, dtype=bool)))
    few = frame.take(np.arange(4))
    with pytest.raises(DataError, match="saturated"):
        engines.get("designs").fit(ask("winsor_feols", formula="`NQP` ~ `Tin` + `my con` + `Fin`"), few)


STUDY = """schema = 1
study = "drawn"
[data]
path = "panel.csv"
unit = "province"
time = "year"
[data.kinds]
province = "category"
year = "integer"
NQP = "float"
BDPZs = "float"
Tin = "float"
i0 = "float"
i1 = "float"
[[table]]
id = "figure2"
[[table.column]]
id = "1"
estimator = "placebo"
formula = "NQP ~ BDPZs + Tin | province + year"
vcov = { type = "CRV1", cluster = ["province"] }
options = { treatment = "BDPZs", start = 2016, draws = "draws.csv" }
[[table]]
id = "table1"
[[table.column]]
id = "1"
estimator = "entropy"
options = { indicators = { i0 = "+", i1 = "-" } }
"""


def test_a_study_asks_for_designs(tmp_path):
    from crosscheck.designs.draws import write_draws

    panel_frame().to_pandas().to_csv(tmp_path / "panel.csv", index=False)
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    write_draws(tmp_path / "draws.csv", 1, 20, LABELS, "subset", 6)
    study = load_study(tmp_path)
    figure, table = study.columns
    assert figure.candidates == ("designs",)
    assert figure.references == ("r.designs",)
    assert figure.request.vcov == VcovSpec(type="CRV1", cluster=("province",))
    assert set(table.request.columns) == {"i0", "i1", "province", "year"}
    result = python(figure.request, study.sample(figure))
    assert len(result.block("draws")["std_error"]) == 20
    assert python(table.request, study.sample(table)).stats.nobs == 308
    before = figure.request.hash
    write_draws(tmp_path / "draws.csv", 2, 20, LABELS, "subset", 6)
    assert load_study(tmp_path).columns[0].request.hash != before
