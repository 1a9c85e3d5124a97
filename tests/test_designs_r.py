"""The designs against R's own packages, and the R side checked by R."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from crosscheck.bridge import r_scripts_dir
from crosscheck.spec import FitRequest
from tests.designs_helpers import FORMULA, START, ask, draws, extras, need_r, panel_frame, python, worker

CHECKS = Path(__file__).parent / "r" / "designs.R"


def test_r_checks_its_own_side():
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: Rscript not found")
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    command = ["Rscript", "--vanilla", str(CHECKS), str(r_scripts_dir())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 20


def fixest(request, frame):
    need_r("fixest")
    result = worker().fit("r.fixest", request, frame, timeout=60)
    assert result.status == "ok", result.reason
    return result


def as_feols(request, formula=None):
    return FitRequest(
        **{**request.model_dump(), "estimator": "feols", "formula": formula or request.formula, "options": {}}
    )


@pytest.mark.parametrize("keep", [1.0, 0.8])
@pytest.mark.parametrize(
    ("vcov", "by"),
    [
        ("iid", ()),
        ("HC1", ()),
        ("CRV1", ("province",)),
        ("CRV1", ("province", "year")),
        ("DK", ()),
    ],
)
def test_regressions_are_those_of_fixest(vcov, by, keep):
    frame = panel_frame(keep=keep)
    request = ask("winsor_feols", vcov=vcov, by=by)
    ours, theirs = python(request, frame), fixest(as_feols(request), frame)
    for row in ours.coefs:
        other = theirs.coef(row.term)
        assert row.estimate == pytest.approx(other.estimate, rel=1e-9)
        assert row.std_error == pytest.approx(other.std_error, rel=1e-8)
        assert row.df == other.df
    for name in ("nobs", "r2", "adj_r2", "r2_within"):
        assert getattr(ours.stats, name) == pytest.approx(getattr(theirs.stats, name), rel=1e-9)
    assert ours.conventions.k == theirs.conventions.k


def test_fewer_clusters_than_coefficients_are_no_reason_to_change_a_variance():
    """Three clusters, four coefficients: the covariance is singular, and fixest may add 1e-16 to its eigenvalues.

    That doubles the variance of a regressor of size 1e5; standard errors of the others agree.
    """
    frame = panel_frame()
    request = ask("winsor_feols", vcov="CRV1", by=["region"])
    ours, theirs = python(request, frame), fixest(as_feols(request), frame)
    for name in ("BDPZs", "my con", "Fin"):
        assert ours.coef(name).std_error == pytest.approx(theirs.coef(name).std_error, rel=1e-8)
    variances = ours.coef("Tin").std_error ** 2, theirs.coef("Tin").std_error ** 2
    assert any(variances[0] + added == pytest.approx(variances[1], rel=1e-6) for added in (0.0, 1e-16))


def test_mediation_is_three_calls_of_fixest():
    frame = panel_frame()
    request = ask("mediation", vcov="CRV1", by=["province"], treatment="BDPZs", mediator="ln(Labor)")
    ours = python(request, frame)
    right = FORMULA.split("~")[1]
    formulas = {
        "total": FORMULA,
        "mediator": f"`ln(Labor)` ~{right}",
        "direct": FORMULA.replace("~", "~ `ln(Labor)` +"),
    }
    for part, formula in formulas.items():
        for other in fixest(as_feols(request, formula), frame).coefs:
            row = ours.coef(f"{part}:{other.term}")
            assert row.estimate == pytest.approx(other.estimate, rel=1e-9)
            assert row.std_error == pytest.approx(other.std_error, rel=1e-8)


def test_subgroups_are_fixest_by_group():
    frame = panel_frame()
    request = ask("subgroups", vcov="CRV1", by=["province"], treatment="BDPZs", group="region")
    ours = python(request, frame)
    codes, labels = frame["region"].codes()
    for g, label in enumerate(labels):
        for other in fixest(as_feols(request), frame.take(codes == g)).coefs:
            row = ours.coef(f"{label}:{other.term}")
            assert row.estimate == pytest.approx(other.estimate, rel=1e-9)
            assert row.std_error == pytest.approx(other.std_error, rel=1e-8)


def test_a_placebo_is_one_call_of_fixest():
    frame = panel_frame()
    drawn = draws("subset", 4)
    ours = extras(
        python(ask("placebo", vcov="CRV1", by=["province"], treatment="BDPZs", start=START, draws=drawn), frame)
    )
    unit, late = frame["province"].codes()[0], frame["year"].as_float() >= START
    table = np.array([int(c) for c in drawn["codes"]]).reshape(4, -1)
    request = as_feols(ask("winsor_feols", vcov="CRV1", by=["province"]))
    for i, row in enumerate(table):
        columns = []
        for column in frame.columns:
            if column.name == "BDPZs":
                column = type(column)("BDPZs", "float", row[unit] * late * 1.0)
            columns.append(column)
        other = fixest(request, type(frame)(tuple(columns), frame.nrows)).coef("BDPZs")
        assert ours[f"draws={i + 1}", "estimate"] == pytest.approx(other.estimate, rel=1e-9)
        assert ours[f"draws={i + 1}", "std_error"] == pytest.approx(other.std_error, rel=1e-9)
        assert ours[f"draws={i + 1}", "p_value"] == pytest.approx(other.p_value, rel=1e-8)
