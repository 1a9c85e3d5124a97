"""Two-stage differences in differences: the closed form, pyfixest and fixest."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from crosscheck.bridge import find_r, live_kind
from crosscheck.campaign.columns import put
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.engines.pyfixest import ENGINE as PYFIXEST
from crosscheck.errors import Unsupported
from crosscheck.frame import Column, Frame
from crosscheck.options import Did2sOptions
from crosscheck.simulate import PanelSpec, make_panel
from crosscheck.spec import FitRequest, VcovSpec
from tests.r_support import skip_without, worker

OPTIONS = Did2sOptions(y="y", treated="treated", unit="unit", time="time")
REQUEST = FitRequest(estimator="did2s", unit="unit", time="time", options=OPTIONS.model_dump(mode="json"))


def panel(**spec):
    return make_panel(PanelSpec(**{"units": 24, "periods": 6, "cohorts": 1, "never": 2, "seed": 5, **spec}))


def test_without_errors_the_effect_is_found():
    made = panel(errors="none", tau=3)
    assert ORACLE.fit(REQUEST, made.frame).coefs[0].estimate == pytest.approx(3, abs=1e-10)


def test_the_standard_error_is_that_of_the_formula_written_out():
    frame = panel().frame
    y, d = frame["y"].as_float(), frame["treated"].as_float()
    unit, time = frame["unit"].codes()[0], frame["time"].codes()[0]
    x = np.column_stack([np.eye(unit.max() + 1)[unit], np.eye(time.max() + 1)[time][:, 1:]])
    free = x[d == 0]
    gamma = np.linalg.solve(free.T @ free, free.T @ y[d == 0])
    left = y - x @ gamma
    effect = d @ left / d.sum()
    total = 0.0
    for g in np.unique(unit):
        mine = unit == g
        first = x[mine & (d == 0)].T @ left[mine & (d == 0)]
        score = d[mine] @ (left - effect * d)[mine] - (d @ x) @ np.linalg.solve(free.T @ free, first)
        total += (score / d.sum()) ** 2
    row = ORACLE.fit(REQUEST, frame).coefs[0]
    assert row.estimate == pytest.approx(effect, rel=1e-10)
    assert row.std_error == pytest.approx(np.sqrt(total), rel=1e-8)


@pytest.mark.parametrize("offset", [0, 6, 8])
def test_a_covariate_far_from_zero_costs_no_digits(offset):
    """Fractions decide: a constant that is added to a covariate or to the outcome moves nothing."""
    rng = np.random.default_rng(1)
    unit, time = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    treated = (unit < 2) & (time == 2)
    x, y = rng.integers(-20, 20, 12) / 8, rng.integers(-90, 90, 12) / 16
    data = {"y": y + 10.0**offset, "x1": x + 10.0**offset, "treated": treated.astype(float)}
    frame = Frame(
        tuple(Column(n, "float", v) for n, v in data.items())
        + tuple(Column(n, "integer", v.astype(np.int32)) for n, v in (("unit", unit), ("time", time))),
        12,
    )
    effect, std_error = by_fractions(y, x, treated, unit, time)
    request = REQUEST.model_copy(update={"options": {**REQUEST.options, "covariates": ["x1"]}})
    row = ORACLE.fit(request, frame).coefs[0]
    assert row.estimate == pytest.approx(effect, rel=1e-7)
    assert row.std_error == pytest.approx(std_error, rel=1e-7)


def by_fractions(y, x, treated, unit, time):
    """Gardner's effect and its standard error, clustered by unit, in exact arithmetic up to the last root."""
    rows = [
        [Fraction(v), *(Fraction(int(u == k)) for k in range(4)), *(Fraction(int(t == k)) for k in (1, 2))]
        for v, u, t in zip(x, unit, time, strict=True)
    ]
    free = [i for i, d in enumerate(treated) if not d]
    made = [i for i, d in enumerate(treated) if d]
    size = range(len(rows[0]))
    gram = [[sum(rows[i][a] * rows[i][b] for i in free) for b in size] for a in size]
    gamma = solved(gram, [sum(rows[i][a] * Fraction(y[i]) for i in free) for a in size])
    left = [Fraction(y[i]) - sum(r * g for r, g in zip(rows[i], gamma, strict=True)) for i in range(len(rows))]
    effect = sum(left[i] for i in made) / len(made)
    spread = solved(gram, [sum(rows[i][a] for i in made) for a in size])
    sums = dict.fromkeys(set(unit), Fraction(0))
    for i, row in enumerate(rows):
        mine = left[i] - effect if treated[i] else -left[i] * sum(r * s for r, s in zip(row, spread, strict=True))
        sums[unit[i]] += mine
    return float(effect), float(sum(v * v for v in sums.values())) ** 0.5 / len(made)


def solved(matrix, right):
    """Solve a linear system of fractions by elimination."""
    rows = [[*row, r] for row, r in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next(i for i in range(k, len(rows)) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(len(rows)):
            if i != k and rows[i][k] != 0:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


@pytest.mark.parametrize("language", ["python", "r"])
def test_the_script_that_a_report_shows_gives_the_number(tmp_path, language):
    from crosscheck.findings.scripts import python_script, r_script

    frame = panel().frame
    later = frame["treated"].as_float() * (frame["time"].as_float() >= 4)
    frame = put(frame, Column("treated", "integer", later.astype(np.int32)))
    frame.to_pandas().to_csv(tmp_path / "panel.csv", index=False)
    if language == "r":
        skip_without("fixest")
        (tmp_path / "repro.R").write_text(r_script(["r.fixest"], REQUEST, "overall", "std_error"), "utf-8")
        command = [str(find_r().rscript), "repro.R"]
    else:
        pytest.importorskip("pyfixest")
        (tmp_path / "code.py").write_text(PYFIXEST.code(REQUEST, "panel.csv"), "utf-8")
        (tmp_path / "repro.py").write_text(python_script(["oracle"], REQUEST, frame, "overall", "std_error"), "utf-8")
        said = subprocess.run([sys.executable, "repro.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "oracle =" in said.stdout
        command = [sys.executable, "code.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    found = [float(v) for v in re.findall(r"-?\d+\.\d+", said)]
    assert any(v == pytest.approx(ORACLE.fit(REQUEST, frame).coefs[0].std_error, rel=1e-5) for v in found), said


def test_pyfixest_agrees():
    pytest.importorskip("pyfixest")
    frame = panel().frame
    later = frame["treated"].as_float() * (frame["time"].as_float() >= 4)  # two untreated rows or more of each unit
    frame = put(frame, Column("treated", "integer", later.astype(np.int32)))
    ours, theirs = ORACLE.fit(REQUEST, frame).coefs[0], PYFIXEST.fit(REQUEST, frame).coefs[0]
    assert theirs.estimate == pytest.approx(ours.estimate, rel=1e-6)
    assert theirs.std_error == pytest.approx(ours.std_error, rel=1e-5)


def test_what_is_not_identified_is_refused():
    with pytest.raises(Unsupported, match="not identified"):
        ORACLE.fit(REQUEST, panel(always=1, cohorts=2).frame)
    assert not ORACLE.supports(REQUEST.model_copy(update={"vcov": VcovSpec(type="HC1")}))


@pytest.mark.parametrize("spec", [{}, {"ids": "float"}, {"y_offset": 6}])
def test_two_regressions_of_fixest_agree(spec):
    skip_without("fixest")
    frame = panel(**spec).frame
    with worker(live_kind()) as there:
        found = there.fit("r.fixest", REQUEST, frame, timeout=60)
    ours, theirs = ORACLE.fit(REQUEST, frame).coefs[0], found.coefs[0]
    assert theirs.estimate == pytest.approx(ours.estimate, rel=1e-8)
    assert theirs.std_error == pytest.approx(ours.std_error, rel=1e-7)
