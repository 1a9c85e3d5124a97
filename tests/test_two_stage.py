"""Two-stage differences in differences: the closed form, pyfixest and fixest."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck.bridge import live_kind
from crosscheck.campaign.columns import put
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import Unsupported
from crosscheck.frame import Column
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


def test_pyfixest_agrees():
    pytest.importorskip("pyfixest")
    from crosscheck.engines.pyfixest import ENGINE

    frame = panel().frame
    later = frame["treated"].as_float() * (frame["time"].as_float() >= 4)  # two untreated rows or more of each unit
    frame = put(frame, Column("treated", "integer", later.astype(np.int32)))
    ours, theirs = ORACLE.fit(REQUEST, frame).coefs[0], ENGINE.fit(REQUEST, frame).coefs[0]
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
