"""Is a package asked what its users ask, in a process where nothing of crosscheck is?"""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crosscheck import engines
from crosscheck.bridge.framing import pack, read_message
from crosscheck.errors import Unsupported, UsageError
from crosscheck.frame import Column, Frame
from crosscheck.study import load_study
from crosscheck.upgrade.calls import Call, call_from_json, require_formula
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.eras import adapter_for, changed_defaults, packages, release
from crosscheck.upgrade.sides import run_side
from crosscheck.upgrade.state import make_side
from crosscheck.upgrade.translate import calls_of

THIN = Path(__file__).parents[1] / "crosscheck" / "upgrade" / "thin"
ALL = ("coefs", "stats", "vcov", "fitted", "residuals", "predict_new", "fixef")


def panel(n: int = 120) -> Frame:
    r = np.random.default_rng(7)
    unit = np.repeat(np.arange(12), n // 12)
    x, z = r.normal(size=n), r.normal(size=n)
    y = 0.5 * x + unit / 5 + r.normal(size=n)
    return Frame(
        (
            Column("y", "float", y),
            Column("x", "float", x),
            Column("z", "float", z),
            Column("unit", "integer", unit.astype(np.int32)),
            Column("year", "integer", np.tile(np.arange(2000, 2000 + n // 12), 12).astype(np.int32)),
            Column("g", "category", (np.arange(n) % 3).astype(np.int32), ("a", "b", "c")),
            Column("w", "float", r.uniform(1, 2, size=n)),
        ),
        n,
    )


PANEL = panel()


def case(id: str, call: Call, **more) -> Case:
    return Case(id=id, frame=PANEL, call=call, new_rows=PANEL.take(np.arange(5)), **more)


def feols(formula: str, *, want=ALL, fit=None, **arguments) -> Call:
    return Call(package="pyfixest", function="feols", formula=formula, arguments=arguments, want=want, fit=fit)


def test_the_worker_runs_where_crosscheck_cannot_be_imported():
    """The worker, its drivers and a fit, under an interpreter that refuses the name."""
    block = (
        "import sys, runpy\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'crosscheck': raise ImportError('crosscheck is not here')\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"runpy.run_path({str(THIN / 'worker.py')!r}, run_name='__main__')\n"
    )
    there, here = os.pipe(), os.pipe()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"CROSSCHECK_IN": str(there[0]), "CROSSCHECK_OUT": str(here[1])}
    process = subprocess.Popen([sys.executable, "-c", block], env=environment, pass_fds=(there[0], here[1]))
    os.close(there[0])
    os.close(here[1])
    described, payload = PANEL.encode()
    call = feols("y ~ x | unit", want=("coefs",))
    item = {"engine": "e", "key": "k", "request": call.to_json(), "adapter": adapter_for("pyfixest", "99").to_json()}
    messages = [
        ({"op": "hello", "id": 1}, b""),
        ({"op": "put", "id": 2, "key": "k", "rows": PANEL.nrows, "columns": described}, payload),
        ({"op": "batch", "id": 3, "items": [item, {**item, "key": "none"}]}, b""),
        ({"op": "nonsense", "id": 4}, b""),
        ({"op": "quit", "id": 5}, b""),
    ]
    with os.fdopen(there[1], "wb") as to, os.fdopen(here[0], "rb") as back:
        for header, data in messages:
            to.write(pack(header, data) + data)
            to.flush()
        answers = [read_message(back.read)[0] for _ in range(5)]
    assert process.wait(timeout=60) == 0
    assert [a["ok"] for a in answers] == [True, True, True, False, False]
    assert answers[0]["packages"]["numpy"] == np.__version__
    assert answers[2]["result"]["status"] == "ok", answers[2]
    assert answers[2]["result"]["coefs"][0]["term"] == "x"
    assert "not sent" in answers[3]["error"]["message"]


def test_no_file_of_the_thin_worker_names_crosscheck_among_its_imports():
    files = sorted(THIN.glob("*.py"))
    assert len(files) >= 4
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] == "crosscheck"], path


@pytest.fixture(scope="module")
def answers():
    calls = {
        "ols": feols("y ~ x + C(g)"),
        "fe": feols("y ~ x | unit + year", vcov={"CRV1": "unit"}, ssc={"k_fixef": "full"}),
        "iv": feols("y ~ 1 | unit | x ~ z", want=("coefs", "fitted")),
        "many": feols("y ~ csw(x, z) | unit", want=("coefs",)),
        "wrong": feols("y ~ nope"),
        "alone": feols("y ~ x | unit", want=("coefs",), fit={"vcov": {"vcov": "hetero"}}),
    }
    return run_side(make_side("pyfixest", "installed"), [case(k, c) for k, c in calls.items()])


def test_an_answer_has_all_that_the_package_says(answers):
    ols = answers.results["ols"]
    x = np.column_stack([np.ones(120), PANEL["x"].values, PANEL["g"].values == 1, PANEL["g"].values == 2]).astype(float)
    beta, *_ = np.linalg.lstsq(x, PANEL["y"].values, rcond=None)
    assert [c.term for c in ols.coefs] == ["(Intercept)", "x", "factor(g)b", "factor(g)c"]
    np.testing.assert_allclose([c.estimate for c in ols.coefs], beta, rtol=1e-10)
    assert all(c.df == 116 for c in ols.coefs)
    np.testing.assert_allclose(ols.block("rows")["fitted"], x @ beta, rtol=1e-10)
    np.testing.assert_allclose(ols.block("new rows")["prediction"], (x @ beta)[:5], rtol=1e-10)
    assert ols.stats.nobs == 120
    assert ols.stats.r2 is not None
    assert len(ols.vcov) == 4
    assert {"rmse", "deviance"} & {e.quantity for e in ols.extras}
    fe = answers.results["fe"]
    assert fe.coefs[0].df == 11
    assert len(fe.block("fixed effects").labels) == 21  # the last level is the base
    assert dict(ols.environment)["numpy"] == np.__version__


def test_an_error_a_refusal_and_a_missing_step_are_data(answers):
    wrong = answers.results["wrong"]
    assert wrong.status == "error"
    assert "nope" in wrong.reason
    iv = answers.results["iv"]
    assert iv.status == "ok"
    assert any(c.kind == "error" and c.text.startswith("predict") for c in iv.conditions)
    assert [c.term for c in answers.results["many"].coefs] == ["model 1: x", "model 2: x", "model 2: z"]
    assert math.isfinite(answers.results["alone"].coefs[0].std_error)


def test_a_formula_is_never_code():
    for text in (
        "y ~ __import__('os').system('x')",
        "y ~ np.linalg(x)",
        "y ~ open(x)",
        "y ~ x.y",
        "y ~ {x}",
        "y ~ x; z",
        "y ~ `a` + (lambda q: q)(x)",
    ):
        with pytest.raises(UsageError, match="refused"):
            require_formula(text)
        with pytest.raises(UsageError):
            feols(text)
    with pytest.raises(UsageError):
        feols("y ~ x", weights="open(x)")
    for text in (
        "y ~ x + C(g) | unit^year + year",
        "log(y) ~ i(year, x, ref=2.5) - 1",
        "y ~ 1 + [x ~ z]",
        "y ~ poly(x, 2)",
    ):
        require_formula(text)


def test_calls_are_checked_hashed_and_read_back():
    call = feols("y ~ x", vcov={"CRV1": "unit"})
    assert call_from_json(json.loads(json.dumps(call.to_json()))) == call
    assert call.with_(arguments={"vcov": "iid"}) != call
    assert Call(package="statsmodels", function="ols", formula="y ~ x", fit={"cov_type": "HC1"}).fit == {
        "fit": {"cov_type": "HC1"}
    }
    for words in ({"package": "nope"}, {"function": "nope"}, {"arguments": {"nope": 1}}, {"want": ("nope",)}):
        with pytest.raises(UsageError):
            Call(**{"package": "pyfixest", "function": "feols", "formula": "y ~ x", **words})


def test_eras_are_merged_by_version():
    assert release("0.60.0") == release("0.60") < release("0.60.1")
    assert set(packages()) >= {"pyfixest"}
    new, old = adapter_for("pyfixest", "0.60.0"), adapter_for("pyfixest", "0.30.2")
    assert new.table.rename == {}
    assert old.table.rename["ssc"]["k_fixef"] == "fixef_k"
    assert old.table.values["ssc"]["k_fixef"] == {"nonnested": "nested"}
    assert adapter_for("pyfixest", "0.1.0").refusal
    assert changed_defaults("pyfixest", "0.30.2", "0.60.0", "feols")["fixef_rm"] == ("none", "singleton")
    assert not new.refusal


STUDIES = Path(__file__).parents[1] / "fixtures" / "studies"


@pytest.mark.parametrize(
    ("package", "study", "least"),
    [
        ("pyfixest", "grunfeld", 40),
        ("csdid", "mpdta", 200),
        ("statsmodels", "grunfeld", 28),
        ("linearmodels", "grunfeld", 28),
    ],
)
def test_a_study_through_the_thin_worker_says_what_the_engine_says(package, study, least):
    """Two roads to one number: the call of a user with all conventions written out, and crosscheck's own engine."""
    found = calls_of(load_study(STUDIES / study), package)
    cases = [c for c in found.values() if isinstance(c, Case)]
    reasons = [c for c in found.values() if isinstance(c, str)]
    assert cases
    assert all(reasons)
    said = run_side(make_side(package, "installed"), cases, hash_seeds=(0,)).results
    compared = 0
    for one in cases:
        try:
            engine = engines.get(package).fit(one.request, one.witness_frame)
        except Unsupported:
            continue
        assert said[one.id].status == "ok", (one.id, said[one.id].reason)
        assert {c.term for c in engine.coefs} <= {c.term for c in said[one.id].coefs}, one.id
        for row in engine.coefs:
            mine = said[one.id].coef(row.term)
            for quantity in ("estimate", "std_error"):
                a, b = getattr(mine, quantity), getattr(row, quantity)
                assert a == pytest.approx(b, rel=1e-8, nan_ok=True), (one.id, row.term, quantity)
                compared += 1
    assert compared >= least
