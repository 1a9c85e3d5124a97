"""Over a thousand data sets of known effect a right engine raises no alarm, and each wrong one its own."""

from __future__ import annotations

import dataclasses

import pytest

from crosscheck.campaign.case import Case
from crosscheck.campaign.properties import ON_REQUEST, chosen, properties
from crosscheck.campaign.simulation import DESIGNS, ID, LARGE, design_of, frames, wrong
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.simulate import PanelSpec, make_panel

PROPERTY = properties()[ID]
IDS = [d.id for d in DESIGNS]
CLOSED = [d.id for d in DESIGNS if ORACLE.supports(d.request)]


def a_case(name):
    panel = make_panel(PanelSpec(seed=1))
    design = DESIGNS[IDS.index(name)]
    return Case(
        seed=IDS.index(name), frame=panel.frame, requests=(design.request,), engines=("oracle",), rule=ID, panel=panel
    )


def changed(result, **by):
    """Return a result with the numbers of each coefficient multiplied, or shifted by a share of its standard error."""
    rows = []
    for r in result.coefs:
        shift = by.get("bias", 0.0) * r.std_error
        half = (r.conf_high - r.conf_low) / 2 * by.get("width", 1.0)
        middle = (r.conf_high + r.conf_low) / 2 + shift
        rows.append(
            dataclasses.replace(
                r,
                estimate=r.estimate + shift,
                std_error=r.std_error * by.get("std_error", 1.0),
                conf_low=middle - half,
                conf_high=middle + half,
                p_value=r.p_value * by.get("p_value", 1.0),
            )
        )
    return result.with_(coefs=tuple(rows))


def found(name, **by):
    checked = PROPERTY.check(a_case(name), lambda engine, request, frame: changed(ORACLE.fit(request, frame), **by))
    assert checked.compared > 0
    return {d.identity.quantity for d in checked.discrepancies}


@pytest.mark.parametrize("name", [n for n in CLOSED if n != "two_stage"])
def test_the_closed_forms_raise_no_alarm(name):
    assert found(name) == set()


@pytest.mark.parametrize(
    ("name", "by", "quantity"),
    [
        ("least_squares", {"std_error": 0.8}, "std_error"),
        ("least_squares", {"bias": 0.3}, "estimate"),
        ("least_squares", {"width": 0.75}, "coverage"),
        ("least_squares", {"p_value": 0.3}, "p_value"),
        ("clustered", {"std_error": 0.7}, "std_error"),
        ("instruments", {"bias": 0.35}, "estimate"),
        ("group_time", {"std_error": 1.4}, "std_error"),
        ("group_time", {"width": 0.7}, "coverage"),
    ],
)
def test_each_fault_is_found(name, by, quantity):
    assert quantity in found(name, **by)


def test_designs_follow_from_the_seed_and_data_sets_too():
    assert [design_of(s).id for s in range(len(IDS))] == IDS
    first, again = (frames(DESIGNS[0], 3, 2) for _ in range(2))
    assert [f.key for f in first] == [f.key for f in again]
    assert first[0].key != first[1].key
    assert (first[0]["x"].values == first[1]["x"].values).all(), "regressors stay where everything is exact"


def test_it_is_checked_only_where_it_is_named_and_only_on_whole_panels():
    assert ID in ON_REQUEST
    assert ID not in chosen(("truth",))
    assert chosen((ID,)) == (ID,)
    case = a_case("least_squares")
    assert PROPERTY.applies(case.with_(frame=dataclasses.replace(case.frame)))


def test_answers_without_numbers_are_no_agreement():
    checked = PROPERTY.check(
        a_case("least_squares"), lambda engine, request, frame: ORACLE.fit(request, frame).with_(coefs=())
    )
    assert not checked.compared
    assert checked.reason


def test_room_is_for_designs_that_are_right_in_large_samples_only():
    design = DESIGNS[0]
    rows = [ORACLE.fit(design.request, f).coef("x") for f in frames(design, 1, 1000)]
    wide = [dataclasses.replace(r, std_error=r.std_error * 1.06) for r in rows]
    assert wrong(dataclasses.replace(design, room=LARGE), wide, [], 57.0) == []
