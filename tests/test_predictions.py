"""Predictions on training rows and on new ones, and what engines say of how their numbers came about."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck.campaign.conditions import classes_of
from crosscheck.campaign.predictions import HELD_OUT, determined
from crosscheck.campaign.properties import properties
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.results import Condition
from tests.test_relations import a_case

PROPERTY, CONDITIONS = properties()["predictions"], properties()["conditions"]


def engines_here():
    pytest.importorskip("pyfixest")
    from crosscheck.engines.pyfixest import ENGINE

    return {"oracle": ORACLE, "pyfixest": ENGINE}


def case_of(seed=3, **spec):
    return a_case(seed=seed, units=9, periods=5, missing_x=2, missing_y=1, **spec).with_(engines=("oracle", "pyfixest"))


def test_training_and_new_rows_are_predicted_alike():
    here, kinds = engines_here(), set()
    for seed in range(1, 9):
        case = case_of(seed)
        checked = PROPERTY.check(case, lambda e, r, f: here[e].fit(r, f))
        assert checked.compared > 20
        assert not checked.discrepancies, (seed, checked.discrepancies)
        request, frame = PROPERTY.asks(case)[0].request, PROPERTY.asks(case)[0].frame
        train = frame[HELD_OUT].as_float() == 0
        known = determined(request, case.frame, train)
        values = np.array([np.nan if v is None else v for v in ORACLE.fit(request, frame).block("rows")["predicted"]])
        assert np.isfinite(values[known == 1]).all()
        assert np.isnan(values[known == 0]).all()
        kinds |= {(int(k), bool(t)) for k, t in zip(known, train, strict=True)}
    assert {(1, True), (1, False), (0, False)} <= kinds  # training rows, new ones, and new ones of units never seen


@pytest.mark.parametrize(("which", "quantity"), [(False, "predicted_training"), (True, "predicted_new")])
def test_a_wrong_prediction_is_noticed(which, quantity):
    here, case = engines_here(), case_of(2)

    def off(engine, request, frame):
        result = here[engine].fit(request, frame)
        if engine == "oracle":
            return result
        block = result.block("rows")
        held = frame[HELD_OUT].as_float() == 1
        moved = tuple(v + 1e-3 if h == which else v for v, h in zip(block["predicted"], held, strict=True))
        return result.with_(blocks=(type(block)(term="rows", quantities=("predicted",), values=(moved,)),))

    assert [d.identity.quantity for d in PROPERTY.check(case, off).discrepancies] == [quantity]


def test_a_prediction_for_a_level_never_seen_is_noticed():
    here, case = engines_here(), next(c for c in map(case_of, range(1, 30)) if _new_unit(c))

    def zero(engine, request, frame):
        result = here[engine].fit(request, frame)
        if engine == "oracle":
            return result
        block = result.block("rows")
        filled = tuple(0.0 if v is None or np.isnan(v) else v for v in block["predicted"])
        return result.with_(blocks=(type(block)(term="rows", quantities=("predicted",), values=(filled,)),))

    assert "predicted_new" in {d.identity.quantity for d in PROPERTY.check(case, zero).discrepancies}


def _new_unit(case):
    frame = PROPERTY.asks(case)[0].frame
    train = frame[HELD_OUT].as_float() == 0
    return (determined(case.request, case.frame, train)[~train] == 0).any()


def test_what_engines_leave_out_and_warn_of_is_compared():
    case = case_of(collinear=1)
    asked = case.request.model_copy(update={"formula": "`y` ~ `x1` + `xc` | `unit`"})
    case = case.with_(requests=(asked,))
    here = engines_here()
    same = CONDITIONS.check(case, lambda e, r, f: here[e].fit(r, f))
    assert same.compared == 2  # what both leave out, and that pyfixest warns of it
    assert not same.discrepancies

    def silent(engine, request, frame):
        result = here[engine].fit(request, frame)
        return result if engine == "oracle" else result.with_(dropped=())

    found = CONDITIONS.check(case, silent).discrepancies
    assert [d.identity.quantity for d in found] == ["dropped"]

    def unsaid(engine, request, frame):
        return here[engine].fit(request, frame).with_(conditions=())

    found = CONDITIONS.check(case, unsaid).discrepancies
    assert [(d.identity.engine, d.identity.quantity) for d in found] == [("pyfixest", "warning:dropped")]


def test_warnings_have_classes():
    result = ORACLE.fit(case_of().request, case_of().frame)
    said = result.with_(conditions=(Condition(kind="warning", text="The algorithm did not converge."),))
    assert classes_of(said) == {"no_convergence"}
    assert classes_of(result) == frozenset()
