"""Fewer facts never make a finding, damaged numbers never make a crash, and inferences meet re-estimations."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from crosscheck.audit.against import against_estimates
from crosscheck.audit.api import audit_paper
from crosscheck.audit.engine import run_families
from crosscheck.audit.facts import Claims, Facts, parse, read_toml
from crosscheck.audit.joint.family import joint
from crosscheck.audit.paper import build
from crosscheck.audit.perturb import changes
from crosscheck.audit.simulate import simulate_paper
from crosscheck.audit.tokens import rows_of, tokens_of
from crosscheck.results import Conventions, EstimationResult, FitStats

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "studies" / "bdpz"
RAW = tomllib.loads((FOLDER / "audit.toml").read_text())
EFFECTS = ["unit", "time"]
ROWS = rows_of(FOLDER / "published.csv")


def checks_with(facts: dict, *, solve: bool = True):
    paper = build(*tokens_of(ROWS), parse(facts, Facts, "facts"), Claims())
    checks = run_families(paper)
    return (*checks, *joint(paper, checks)) if solve else checks


@pytest.mark.parametrize(
    "left_out", ["legend", "panel", "treatment", "descriptives", "placebo", "event_study", "partition", "column"]
)
def test_a_fact_left_out_never_makes_a_finding(left_out):
    facts = {k: v for k, v in RAW.items() if k != left_out}
    found = checks_with(facts)
    assert {c.id for c in found if c.verdict == "inconsistent"} <= {"28:0:design"}
    whole = {c.id for c in checks_with(RAW) if c.is_finding}
    # Parameters of a subsample of unknown units can only be inferred (4), and a block of SEs may start elsewhere (36).
    assert {c.id for c in found if c.is_finding and c.family not in (4, 36)} <= whole
    assert all(c.id.startswith("36:iid:") for c in found if c.family == 36)


def test_each_column_left_out_never_makes_an_inconsistency():
    for i in range(len(RAW["column"])):
        facts = {**RAW, "column": RAW["column"][:i] + RAW["column"][i + 1 :]}
        key = f"{RAW['column'][i]['table']}:{RAW['column'][i]['id']}"
        if any(key in (e.get("outcome_column"), e.get("column")) for e in (*RAW["event_study"], *RAW["placebo"])):
            facts = {k: v for k, v in facts.items() if k not in ("event_study", "placebo")}
        assert {c.id for c in checks_with(facts, solve=False) if c.verdict == "inconsistent"} <= {"28:0:design"}, key


def test_declaring_robust_standard_errors_silences_identities_of_classical_ones():
    columns = [{**c, "se": "hetero"} for c in RAW["column"]]
    found = checks_with({**RAW, "column": columns})
    assert {c.verdict for c in found if c.assumes == "iid"} <= {"cannot_tell"}
    assert not any(c.family == 36 for c in found)


def test_damaged_numbers_never_crash():
    simulated = simulate_paper(4, "iid", like_paper=True)
    facts = parse(simulated.facts, Facts, "simulated")
    made = list(changes(rows_of(simulated.frame)))
    for change in made[::40]:
        paper = build(*tokens_of(change.rows), facts, Claims())
        assert run_families(paper)


def test_impossible_values_are_named():
    rows = tuple((*r[:4], "1.0001") if r[:4] == ("table3", "4", "", "r2") else r for r in ROWS)
    found = run_families(build(*tokens_of(rows), parse(RAW, Facts, "facts"), Claims()))
    assert "8:table3:4::r2:domain" in {c.id for c in found if c.verdict == "inconsistent"}


def test_four_cell_means_hold_the_true_rise_of_the_controls():
    rng = np.random.default_rng(1)
    units, periods, treated, post = 10, 6, 4, 3
    d = np.zeros((units, periods))
    d[:treated, periods - post :] = 1.0
    y = rng.standard_normal((units, periods)) + np.arange(periods) * 0.2 + d * 0.5
    control = y[treated:]
    rise = control[:, periods - post :].mean() - control[:, : periods - post].mean()
    did = y[:treated, periods - post :].mean() - y[:treated, : periods - post].mean() - rise
    other, inside = y[d == 0].mean(), y[d == 1].mean()
    values = {
        ("t1", "d", "y", "nobs"): "60", ("t1", "d", "y", "mean"): f"{y.mean():.4f}",
        ("t1", "d", "y", "std_dev"): f"{y.std(ddof=1):.4f}", ("t1", "d", "y", "min"): f"{y.min():.4f}",
        ("t1", "d", "y", "max"): f"{y.max():.4f}", ("t1", "d", "D", "nobs"): "60",
        ("t1", "d", "D", "mean"): f"{d.mean():.4f}", ("t2", "1", "D", "estimate"): f"{inside - other:.4f}",
        ("t2", "1", "Constant", "estimate"): f"{other:.4f}", ("t2", "2", "D", "estimate"): f"{did:.4f}",
    }  # fmt: skip
    facts = {
        "schema": 1, "panel": {"units": units, "first": 1, "last": periods},
        "treatment": {"term": "D", "starts": [periods - post + 1]},
        "descriptives": {"table": "t1", "column": "d", "sample": "full", "binary": ["D"]},
        "sample": [{"id": "full"}],
        "column": [
            {"table": "t2", "id": "1", "outcome": "y", "terms": ["D"], "sample": "full"},
            {"table": "t2", "id": "2", "outcome": "y", "terms": ["D"], "sample": "full", "fixed_effects": EFFECTS},
        ],
    }  # fmt: skip
    rows = tuple((*k, v) for k, v in values.items())
    found = {c.id: c for c in run_families(build(*tokens_of(rows), parse(facts, Facts, "f"), Claims()))}
    assert found["22:t2:1+t2:2"].verdict == "consistent"
    assert rise in found["22:t2:1+t2:2"].interval
    assert found["9:treated"].formula.endswith("[3]")


def result(vcov: str, k: float) -> EstimationResult:
    return EstimationResult(
        engine="oracle", stats=FitStats(nobs=308, df_resid=308 - k), conventions=Conventions(vcov=vcov, k=k)
    )


def test_inferences_are_held_against_a_re_estimation():
    paper = build(*tokens_of(ROWS), parse(RAW, Facts, "facts"), read_toml(FOLDER / "claims.toml", Claims))
    report = audit_paper(paper, joint_step=False)
    agreed = against_estimates(report, {("table3", "4"): result("iid", 44.0)}, treated=9)
    assert {c.verdict for c in agreed} == {"consistent"}
    assert len(agreed) == 3
    other = against_estimates(report, {("table3", "4"): result("CRV1", 43.0)}, treated=10)
    assert [c.verdict for c in other] == ["inconsistent"] * 3
