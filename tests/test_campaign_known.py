"""Does a known discrepancy hide a fault of another kind in the same region? It must not."""

from __future__ import annotations

import math
import subprocess
import sys
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from crosscheck.campaign.case import Case, Checked, Discrepancy, Identity, features
from crosscheck.campaign.circumstances import CIRCUMSTANCES
from crosscheck.campaign.differential import DIFFERENT, pair_cells
from crosscheck.campaign.known import known_rows
from crosscheck.campaign.properties import properties
from crosscheck.campaign.screen import recognised
from crosscheck.campaign.stream import read_events
from crosscheck.cli import main
from crosscheck.closedform.did_moments import cross_section_effect
from crosscheck.conventions import critical, p_of
from crosscheck.engines._oracle_did import averages, group_time
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import CrosscheckError
from crosscheck.findings import printed_numbers, read_finding
from crosscheck.findings.model import PYTHON_SCRIPT
from crosscheck.formula import parse
from crosscheck.frame import Column, Frame
from crosscheck.modelmatrix import model_matrix
from crosscheck.results import failed
from crosscheck.simulate import PanelSpec, make_panel
from crosscheck.spec import FitRequest
from tests.conftest import ROOT

OFFSET = PanelSpec(units=8, periods=4, regressors=1, x_offset=9, seed=5)


def case_of(spec, formula="`y` ~ `treated` + `x1`", rule="engines_agree", **fields):
    panel = make_panel(spec)
    request = FitRequest(formula=formula, unit="unit", time="time", **fields)
    return Case(
        seed=spec.seed, frame=panel.frame, requests=(request,), engines=("oracle", "bad"), rule=rule, panel=panel
    )


def normal_equations(request, frame):
    """Solve X'X b = X'y as it stands: what a large offset costs shows, and nothing else is wrong."""
    right = ORACLE.fit(request, frame)
    matrix = model_matrix(parse(request.formula), frame)
    x, y = matrix.X, matrix.y
    inverse = np.linalg.pinv(x.T @ x)
    b = inverse @ (x.T @ y)
    rest = y - x @ b
    errors = np.sqrt(np.abs(np.diag(inverse)) * (rest @ rest) / (y.size - x.shape[1]))
    rows = tuple(
        replace(row, estimate=float(e), std_error=float(s), statistic=None, p_value=None, conf_low=None, conf_high=None)
        for row, e, s in zip(right.coefs, b, errors, strict=True)
    )
    return right.with_(engine="bad", coefs=rows, vcov=())


def tenth_too_large(request, frame):
    """Return standard errors that are a tenth too large, by the same unstable equations."""
    found = normal_equations(request, frame)
    return found.with_(coefs=tuple(replace(r, std_error=r.std_error * 1.1) for r in found.coefs))


def wrong_sign(request, frame):
    found = normal_equations(request, frame)
    return found.with_(coefs=tuple(replace(r, estimate=-r.estimate) for r in found.coefs))


def differing(engine, spec=OFFSET):
    """Return the quantities that stay unexplained between the closed form and an engine."""
    case = case_of(spec)

    def fit(name, request, frame):
        try:
            return ORACLE.fit(request, frame) if name == "oracle" else engine(request, frame)
        except CrosscheckError as error:
            return failed(name, error.what)

    a, b = (fit(name, case.request, case.frame) for name in case.engines)
    cells = pair_cells(a, b, case.request, case.frame, fit)
    assert any(c.explanations and c.explanations[0].rule == "ill_conditioned" for c in cells) or engine is wrong_sign
    return {c.quantity for c in cells if c.verdict in DIFFERENT and c.severity != "none"}


def test_a_large_offset_explains_the_digits_that_normal_equations_lose():
    assert "x_offset=9" in f"x_offset={OFFSET.x_offset}"
    assert not differing(normal_equations) & {"estimate", "std_error", "nobs"}


@pytest.mark.parametrize(("engine", "quantity"), [(tenth_too_large, "std_error"), (wrong_sign, "estimate")])
def test_a_fault_of_another_kind_on_the_same_panel_is_reported(engine, quantity):
    assert quantity in differing(engine)


def one(engine, quantity, case, value=1.0, other=2.0, rule="engines_agree", says=""):
    identity = Identity(rule=rule, engine=engine, quantity=quantity, features=features(case.request))
    return Discrepancy(identity=identity, value=value, other=other, says=says)


def nobody(name, request, frame):
    return failed(name, "nobody is asked")


def test_a_p_value_of_another_law_is_explained_once_its_standard_error_is():
    """Both at once: a standard error that the last digits of the data decide, and degrees of freedom that one avows."""
    case = case_of(PanelSpec(units=6, periods=4, regressors=1, seed=3))

    def fit(name, request, frame):
        right = ORACLE.fit(request, frame)
        shaky = 1 + 1e-3 * (int(frame.key[:8], 16) / 16**8 if name == "bad" else 0.5)
        df = math.inf if name == "bad" else 7.0
        rows = []
        for row in right.coefs:
            se = row.std_error * shaky
            half = critical(request.conf_level, df) * se
            rows.append(
                replace(
                    row,
                    std_error=se,
                    statistic=row.estimate / se,
                    p_value=p_of(row.estimate / se, df),
                    conf_low=row.estimate - half,
                    conf_high=row.estimate + half,
                    df=df,
                )
            )
        notes = ("normal distribution; the request asks for t",) if name == "bad" else ()
        words = replace(right.conventions, df_t=df, notes=notes, n_clusters=(8,))
        return right.with_(engine=name, coefs=tuple(rows), vcov=(), conventions=words)

    a, b = (fit(name, case.request, case.frame) for name in case.engines)
    cells = pair_cells(a, b, case.request, case.frame, fit)
    rules = {c.quantity: c.explanations[0].rule for c in cells if c.explanations}
    assert (rules["std_error"], rules["p_value"], rules["conf_low"]) == ("conditioning", "t.df", "t.df")
    assert not {c.quantity for c in cells if c.verdict in DIFFERENT and c.severity != "none"}


def test_only_a_separated_sample_excuses_other_terms():
    x, y = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], {"separated": [0, 0, 0, 1, 1, 1], "not": [0, 1, 0, 1, 0, 1]}
    for name, values in y.items():
        frame = Frame((Column("y", "integer", np.array(values, dtype=np.int32)), Column("x", "float", np.array(x))), 6)
        request = FitRequest(estimator="feglm", formula="`y` ~ `x`", options={"family": "logit"})
        case = Case(seed=0, frame=frame, requests=(request,), engines=("pyfixest",), rule="engines_agree")
        match = recognised(one("pyfixest", "terms", case), case, nobody)
        assert (match is not None) == (name == "separated")


def test_an_iterated_estimate_may_be_off_in_the_sixth_digit_and_not_in_the_third():
    case = case_of(PanelSpec(units=6, periods=4, outcome="count", regressors=1, seed=3), estimator="fepois")
    near, far = (one("pyfixest", "std_error", case, value=v, other=1.0) for v in (1.000001, 1.001))
    assert recognised(near, case, nobody).id == "iterations_stop"
    assert recognised(far, case, nobody) is None


def test_the_sign_in_drdid_is_replayed_and_not_any_gap_of_a_tenth():
    finding = read_finding(ROOT / "fixtures" / "findings" / "drdid-cross-sections-influence-function-sign")
    recorded = next(v.number for v in finding.value if v.label == "DRDID")
    rows = np.genfromtxt(
        ROOT / "fixtures" / "findings" / finding.finding / "panel.csv", delimiter=",", names=True, encoding="utf-8"
    )
    y, post, d, x = (np.asarray(rows[n], dtype=np.longdouble) for n in ("y", "t", "cohort", "x"))
    design = np.column_stack([np.ones_like(x), x])
    right, theirs = (
        cross_section_effect("dr", y, post, d, design, np.ones_like(y), earlier=sign).influence for sign in (1, -1)
    )
    errors = [float(np.sqrt(np.mean(psi**2) / y.size)) for psi in (right, theirs)]
    assert errors[1] == pytest.approx(recorded, rel=1e-6)
    assert errors[0] < 0.5 * errors[1]


def test_the_sign_excuses_the_standard_error_that_it_gives_and_no_other():
    panel = make_panel(PanelSpec(units=12, periods=3, cohorts=1, never=2, regressors=1, seed=3))
    options = {"y": "y", "cohort": "cohort", "unit": "unit", "time": "time", "covariates": ["x1"], "est_method": "dr"}
    options |= {"panel": False, "aggregation": "none", "control_group": "nevertreated"}
    request = FitRequest(estimator="att_gt", unit="unit", time="time", options=options)
    case = Case(seed=3, frame=panel.frame, requests=(request,), engines=("oracle", "r.did"), rule="engines_agree")
    parameters = averages(request, *group_time(request, panel.frame, earlier=-1))
    chosen = next(p for p in parameters if p.std_error > 0)
    right = ORACLE.fit(request, panel.frame)
    for factor, known in ((1.0, "did.drdid_rc_sign"), (1.05, None)):
        rows = tuple(
            replace(r, std_error=chosen.std_error * factor) if r.term == chosen.term else r for r in right.coefs
        )
        found = replace(one("r.did", "std_error", case), term=chosen.term)
        match = recognised(found, case, lambda *_, rows=rows: right.with_(engine="r.did", coefs=rows))
        assert (match.id if match else None) == known


def test_fitted_values_after_instruments_have_to_be_those_of_the_second_stage():
    spec = PanelSpec(units=8, periods=4, regressors=1, instruments=1, seed=3)
    case = case_of(spec, "`y` ~ `x1` | `endog` ~ `z1`", also=("fitted",))
    right = ORACLE.fit(case.request, case.frame)
    structural = np.array(right.block("rows")["fitted"], dtype=float)
    matrix = model_matrix(parse(case.request.formula), case.frame)
    first = np.column_stack([matrix.X, matrix.instruments])
    gap = first @ np.linalg.lstsq(first, matrix.endogenous[:, 0], rcond=None)[0] - matrix.endogenous[:, 0]
    second = structural + gap * right.coef("endog").estimate
    found = one("r.fixest", "fitted", case)
    found = replace(found, identity=replace(found.identity, against="oracle"))
    for values, known in ((second, "fixest.iv_fitted"), (second * 1.001, None)):
        block = replace(right.block("rows"), values=(tuple(values.tolist()),), quantities=("fitted",))
        theirs = right.with_(engine="r.fixest", blocks=(block,))
        match = recognised(found, case, lambda n, *_, t=theirs: t if n == "r.fixest" else right)
        assert (match.id if match else None) == known


def test_every_row_is_held_to_a_circumstance_or_to_how_far_it_may_be_off():
    """A row by region and words alone would hide whatever else happens there."""
    bare = {row.id for row in known_rows() if not row.when and row.within is None}
    assert (
        bare
        == {
            "fixest.own_instrument",  # always so: the property asks for nothing else
            "oracle.components_not_identified",  # crosscheck's own engine
            "plm.no_r2",  # an R2 on one side and none on the other, which r.plm gives of the within model alone
            "pyfixest.poisson_frequency_weights",  # the words are of the fault, and of nothing else
        }
        & bare
    )
    assert all(row.says for row in known_rows() if row.id in bare)
    assert {row.when for row in known_rows()} - {""} <= set(CIRCUMSTANCES)


def test_a_relation_that_holds_in_a_good_basis_is_known_and_one_that_does_not_is_new():
    case = case_of(OFFSET, rule="row_order")
    found = one("bad", "estimate", case, rule="row_order")
    prop = properties()["row_order"]
    assert not prop.applies(case.with_(engines=("oracle",)))
    rows = {"large_offset": (), None: (found,)}
    for known, again in rows.items():
        shown = CIRCUMSTANCES["ill_conditioned"](case, found, nobody, lambda _, again=again: again)
        assert shown == (known is not None)
    assert Checked().discrepancies == ()


# --- from the command line to a folder that runs alone ------------------------------------------------------------------


def test_a_campaign_against_a_mutant_writes_a_folder_whose_script_runs_alone(tmp_path, monkeypatch):
    """The real command, a real fault, a fresh process: the two numbers of the folder are seen again."""
    monkeypatch.chdir(ROOT)
    out = tmp_path / "out"
    engine = f"mine={ROOT / 'tests' / 'mutant_engines.py'}:g_1_forgotten"
    with pytest.raises(SystemExit) as left:
        main(
            [
                *("campaign", "--engines", f"oracle,{engine}", "--properties", "engines_agree"),
                *("--budget", "24p", "--shrink", "1", "--out", str(out)),
            ]
        )
    assert left.value.code == 1
    made = next(e for e in read_events(out / "campaign.ndjson") if e["event"] == "finding" and e.get("folder"))
    folder = out / made["folder"]
    finding = read_finding(folder)
    assert made["rows"] <= 12
    assert finding.identity.engine == "mine"
    assert tomllib.loads((folder / "study.toml").read_text("utf-8"))["data"]["path"] == "panel.csv"
    done = subprocess.run(
        [sys.executable, PYTHON_SCRIPT],
        cwd=folder,
        env={"PATH": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = printed_numbers(done.stdout)
    recorded = {v.label: v.number for v in finding.value}
    assert seen == pytest.approx(recorded, rel=1e-9)
    assert len(set(recorded.values())) == 2
