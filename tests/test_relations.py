"""Do the relations and known truths hold for the closed forms, and do they notice what breaks them?"""

from __future__ import annotations

import importlib.util
import math
from collections import Counter

import numpy as np
import pytest

from crosscheck.campaign.case import Case
from crosscheck.campaign.invariance import Carry, held
from crosscheck.campaign.known_truth import ALPHA, BOUND, binomial_within
from crosscheck.campaign.precision import precision_of
from crosscheck.campaign.relations import RELATIONS, TRUTHS
from crosscheck.campaign.requests import draw_requests
from crosscheck.campaign.screen import check
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.errors import CrosscheckError, Unsupported
from crosscheck.results import CoefRow, EstimationResult, FitStats, failed
from crosscheck.simulate import Limits, PanelSpec, make_panel, seeded_spec
from crosscheck.spec import FitRequest

PROPERTIES = {p.id: p for p in (*RELATIONS, *TRUTHS)}
WITH_ORACLE = ("feols", "att_gt", "sunab", "re", "between")
OUTCOMES = ("continuous", "continuous", "continuous", "count", "binary")
NEEDS_OTHER_ENGINES = {
    "flip_outcome",
    "scale_counts",
    "other_process",
    "data_frame",
    "one_of_several",
    "defaults",
    "group_means",
}
NEEDS_OTHER_ENGINES |= {p for p in PROPERTIES if p.endswith("_by_hand")}  # of the designs: tests/test_design_laws.py
NO_CLOSED_FORM = "the closed forms know neither logit nor Poisson"


def oracle(engine: str, request: FitRequest, frame) -> EstimationResult:
    try:
        return ORACLE.fit(request, frame)
    except Unsupported as error:
        return failed("oracle", str(error), status="unsupported")
    except CrosscheckError as error:
        return failed("oracle", str(error))


def cases(seeds, requests=2):
    for seed in seeds:
        panel = make_panel(seeded_spec(seed, Limits(outcomes=OUTCOMES)))
        for request in draw_requests(panel, seed, requests):
            if request.estimator in WITH_ORACLE:
                yield Case(seed=seed, frame=panel.frame, requests=(request,), engines=("oracle",), panel=panel)


def a_case(request=None, seed=3, **spec):
    panel = make_panel(PanelSpec(**{"units": 8, "periods": 4, "cohorts": 2, "regressors": 1, "seed": 9, **spec}))
    request = {"formula": "`y` ~ `treated` + `x1` | `unit` + `time`", "unit": "unit", "time": "time", **(request or {})}
    return Case(seed=seed, frame=panel.frame, requests=(FitRequest(**request),), engines=("oracle",), panel=panel)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_relation_holds_for_the_closed_forms_and_compares_something():
    compared, seen = Counter(), 0
    for case in cases(range(70_000, 70_060)):
        seen += 1
        for prop in PROPERTIES.values():
            if prop.id == "coverage" or prop.applies(case):
                continue
            checked = prop.check(case, oracle)
            assert not checked.discrepancies, (prop.id, case.panel, case.request, checked.discrepancies)
            compared[prop.id] += checked.compared > 0
            assert checked.compared or checked.reason
    assert seen > 60
    rare = {"expansion", "cluster_name", "scale_instruments", "spanned_effect", "coverage", "cs_sa", "cluster_order"}
    assert set(PROPERTIES) - NEEDS_OTHER_ENGINES - rare <= set(compared), set(PROPERTIES) - set(compared)


RARE = {
    "expansion": a_case({"weights": {"column": "weight", "type": "frequency"}}, weights="frequency"),
    "split_weights": a_case({"weights": {"column": "weight"}}, weights="analytic"),
    "cluster_name": a_case({"vcov": {"type": "CRV1", "cluster": ("cluster",)}}, clusters=4),
    "cluster_order": a_case({"vcov": {"type": "CRV1", "cluster": ("cluster", "unit")}}, clusters=4),
    "scale_instruments": a_case(
        {"formula": "`y` ~ `treated` | `unit` | `endog` ~ `z1` + `z2`"}, instruments=2, units=12
    ),
    "spanned_effect": a_case({"vcov": {"type": "CRV1", "cluster": ("unit",)}}, nested=2),
    "first_differences": a_case(periods=2, cohorts=1),
    "two_by_two": a_case(periods=2, cohorts=1),
    "coverage": a_case(effect="constant"),
    "exact_truth": a_case(effect="constant", errors="none"),
    "normal_truth": a_case(effect="constant", errors="serial"),
    "cs_sa": a_case(
        {
            "estimator": "att_gt",
            "formula": "",
            "options": {"y": "y", "cohort": "cohort", "aggregation": "none"},
        }
    ),
}


@pytest.mark.parametrize("name", RARE)
def test_relations_that_need_a_panel_of_their_own(name):
    checked = PROPERTIES[name].check(RARE[name], oracle)
    assert checked.compared > 0, checked.reason
    assert not checked.discrepancies


SPOILED = {
    "row_order": lambda request, frame, result: 1e-6 * frame["y"].as_float()[0],
    "unusable_rows": lambda request, frame, result: 1e-3 * bool(frame["y"].missing.any()),
    "other_columns": lambda request, frame, result: 1e-6 * len(frame.columns),
    "scale_outcome": lambda request, frame, result: 1e-6,
    "shift_outcome": lambda request, frame, result: 1e-8 * np.nanmean(frame["y"].as_float()) ** 2,
    "relabel_units": lambda request, frame, result: 1e-6 * frame["unit"].as_float()[0],
    "term_order": lambda request, frame, result: (
        1e-6 * (request.formula.index("x1") < request.formula.index("treated"))
    ),
    "two_by_two": lambda request, frame, result: 1e-6,
    "exact_truth": lambda request, frame, result: 1e-6,
    "normal_truth": lambda request, frame, result: 100.0,
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_relation_notices_an_estimate_that_breaks_it(name):
    def spoiled(engine, request, frame):
        result = oracle(engine, request, frame)
        rows = tuple(
            CoefRow(
                **{
                    **{f: getattr(r, f) for f in r.__slots__},
                    "estimate": r.estimate + SPOILED[name](request, frame, result),
                }
            )
            for r in result.coefs
        )
        return result.with_(coefs=rows)

    case = RARE.get(name) or a_case(missing_y=2)
    checked = PROPERTIES[name].check(case, spoiled)
    assert [d.identity.quantity for d in checked.discrepancies] == ["estimate"], checked
    assert checked.discrepancies[0].identity.rule == name


def test_an_error_on_one_side_only_is_a_difference_and_on_both_says_nothing():
    case = a_case()
    asked = []

    def once(engine, request, frame):
        asked.append(frame.key)
        return oracle(engine, request, frame) if len(asked) % 2 else failed("oracle", "no luck")

    checked = PROPERTIES["row_order"].check(case, once)
    assert [d.identity.quantity for d in checked.discrepancies] == ["status"]
    checked = PROPERTIES["row_order"].check(case, lambda *_: failed("oracle", "never"))
    assert (checked.compared, checked.discrepancies) == (0, ())
    assert "never" in checked.reason
    absent = PROPERTIES["row_order"].check(case, lambda *_: failed("oracle", "x", transport="missing"))
    assert absent.compared == 0


def test_another_process_is_asked_where_there_is_one():
    class Two:
        def __call__(self, engine, request, frame):
            return oracle(engine, request, frame)

        def elsewhere(self, engine, request, frame):
            return oracle(engine, request, frame).with_(coefs=oracle(engine, request, frame).coefs[:1])

    checked = PROPERTIES["other_process"].check(a_case(), Two())
    assert [d.identity.quantity for d in checked.discrepancies] == ["terms"]
    assert PROPERTIES["other_process"].check(a_case(), oracle).reason == "there is no other process"
    found, _ = check(a_case().with_(rule="other_process"), Two())  # as a campaign asks it
    assert [d.identity.quantity for d in found.discrepancies] == ["terms"]


def test_pyfixest_reads_a_data_frame_in_any_dress():
    engine = pytest.importorskip("crosscheck.engines.pyfixest").ENGINE
    pytest.importorskip("pyfixest")
    prop, seen = PROPERTIES["data_frame"], set()
    for seed in range(30):
        case = a_case({"vcov": {"type": "CRV1", "cluster": ("unit",)}}, seed=seed, units=6).with_(engines=("pyfixest",))
        dress = prop.twin(case).second.request.options["dress"]
        if dress in seen:
            continue
        seen.add(dress)
        if dress == "arrow" and importlib.util.find_spec("pyarrow") is None:
            continue
        checked = prop.check(case, lambda _, request, frame: engine.fit(request, frame))
        assert checked.compared, (dress, checked)
        assert not checked.discrepancies, (dress, checked.discrepancies)
    assert len(seen) == 7
    assert PROPERTIES["data_frame"].applies(a_case()).startswith("it speaks of pyfixest")


def test_nothing_missing_is_taken_as_agreeing():
    row = CoefRow(term="x", estimate=1.0, std_error=0.5, statistic=2.0, p_value=0.05, conf_low=0.0, conf_high=2.0)
    whole = EstimationResult(engine="e", coefs=(row,), stats=FitStats(nobs=10, r2=0.5))
    precision = precision_of(a_case().request, a_case().frame)
    assert held(whole, whole, Carry(), precision)[1] == []
    lacking = {
        "std_error": whole.with_(coefs=(CoefRow(term="x", estimate=1.0),)),
        "terms": whole.with_(coefs=()),
        "nobs": whole.with_(stats=FitStats(r2=0.5)),
        "r2": whole.with_(stats=FitStats(nobs=10)),
        "dropped": whole.with_(dropped=("z",)),
        "estimate": whole.with_(coefs=(CoefRow(term="x", estimate=math.nan, std_error=0.5),)),
    }
    for quantity, second in lacking.items():
        for first, last in ((whole, second), (second, whole)):
            found = {d.quantity for d in held(first, last, Carry(), precision)[1]}
            assert quantity in found, (quantity, found)


def test_the_carry_scales_turns_and_shifts():
    row = CoefRow(term="x", estimate=1.0, std_error=0.5, statistic=2.0, p_value=0.1, conf_low=0.0, conf_high=2.0)
    turned = Carry(factor=-2.0).expected(row)
    assert (turned.estimate, turned.std_error, turned.statistic) == (-2, 1, -2)
    assert (turned.conf_low, turned.conf_high, turned.p_value) == (-4, 0, 0.1)
    moved = Carry(shifts={"x": 3.0}).expected(row)
    assert (moved.estimate, moved.conf_low, moved.statistic, moved.p_value) == (4, 3, None, None)


def test_precision_knows_collinear_perfect_and_saturated_models():
    def reason(request=None, **spec):
        case = a_case(request, **spec)
        return precision_of(case.request, case.frame)

    assert not reason().reason
    assert reason().full_rank
    assert not reason({"formula": "`y` ~ `x1` + `xc` | `unit`"}, collinear=1).full_rank
    assert "thresholds" in reason({"formula": "`y` ~ `x1` + `xn` | `unit`"}, near=6).reason
    assert "parameters" in reason(units=2, periods=2, cohorts=1).reason
    assert "offset" in reason(y_offset=9).reason
    assert reason(errors="none", effect="constant").perfect
    loose = reason(x_offset=6)
    assert reason().se_rtol <= loose.se_rtol < 1e-4


def test_bounds_are_exact():
    assert pytest.approx(7.13, abs=0.02) == BOUND
    for trials, chance in ((60, 0.95), (60, 0.5), (200, 0.9)):
        inside = [k for k in range(trials + 1) if binomial_within(k, trials, chance, 1e-6)]
        mass = sum(math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in inside)
        assert mass >= 1 - 1e-6
        assert inside == list(range(inside[0], inside[-1] + 1))
    assert not binomial_within(30, 60, 0.95, ALPHA)
    assert binomial_within(60, 60, 0.95, ALPHA)


def test_coverage_notices_an_interval_that_is_too_short():
    def short(engine, request, frame):
        result = oracle(engine, request, frame)
        rows = tuple(
            CoefRow(
                term=r.term,
                estimate=r.estimate,
                conf_low=r.estimate - r.std_error / 2,
                conf_high=r.estimate + r.std_error / 2,
            )
            for r in result.coefs
        )
        return result.with_(coefs=rows)

    checked = PROPERTIES["coverage"].check(RARE["coverage"], short)
    assert [d.identity.quantity for d in checked.discrepancies] == ["coverage"]
    assert np.isclose(checked.discrepancies[0].other, 0.95)
