"""The comparator's own proof: every fault gets its exact verdict, and nothing missing passes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crosscheck.compare import compare
from crosscheck.compare_known import compare_printed, compare_truth
from crosscheck.conventions import critical, lre, p_of, stars_of
from crosscheck.judging import Context, Tolerance, decides, inference
from crosscheck.published import PublishedNumber
from crosscheck.results import CoefRow, EstimationResult, Extra, FitStats, failed
from crosscheck.truth import KnownTruth
from crosscheck.verdict import AGREE, NOT_COMPARED

LEGEND = {"***": 0.01, "**": 0.05, "*": 0.10}


def context(**more):
    base = {"study": "s", "table": "t", "column": "1", "legend": LEGEND, "decimals": {}, "tolerances": {}}
    return Context(**(base | more))


def row(term, b, se, df=27.0, level=0.95):
    bare = CoefRow(term=term, estimate=b, std_error=se, df=df)
    return replace(bare, **inference(bare, df, level))


def result(engine="r.fixest", rows=None, **stats_):
    rows = rows or (row("x", 0.024, 0.0056), row("z", -1.5, 0.9))
    return EstimationResult(engine=engine, coefs=tuple(rows), stats=FitStats(nobs=308.0, r2=0.96, **stats_))


def verdicts(cells):
    return {(c.term, c.quantity): (c.verdict, c.severity) for c in cells}


def test_the_same_numbers_are_exact_and_every_quantity_has_a_cell_of_its_own():
    cells = compare(result(), result("pyfixest"), context())
    assert {c.verdict for c in cells} == {"exact"}
    assert len(cells) == 2 * 6 + 2
    assert all(c.digits == 15 for c in cells)


def test_a_source_is_never_compared_with_itself():
    with pytest.raises(ValueError, match="itself"):
        compare(result("oracle"), result("oracle"), context())


def test_order_of_terms_does_not_matter_and_labels_do():
    base = result()
    assert {c.verdict for c in compare(base, base.with_(engine="b", coefs=base.coefs[::-1]), context())} == {"exact"}
    swapped = tuple(replace(c, term=t) for c, t in zip(base.coefs, ("z", "x"), strict=True))
    cells = verdicts(compare(base, base.with_(engine="b", coefs=swapped), context()))
    assert cells["x", "estimate"] == ("unexplained", "decision")
    assert cells["z", "std_error"][0] == "unexplained"


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1 + 9e-7, "numerical"), (1 + 1.1e-6, "unexplained"), (1 + 1e-7, "numerical"), (1.0001, "unexplained")],
)
def test_standard_errors_are_held_to_six_digits(factor, verdict):
    base = result()
    spoiled = (base.coefs[0], replace(base.coefs[1], std_error=base.coefs[1].std_error * factor))
    cells = verdicts(compare(base, base.with_(engine="b", coefs=spoiled), context()))
    assert cells["z", "std_error"][0] == verdict
    assert cells["x", "std_error"] == ("exact", "none")


def test_an_error_of_1e7_in_one_standard_error_is_seen_in_its_digits():
    base = result()
    spoiled = (replace(base.coefs[0], std_error=base.coefs[0].std_error * (1 + 1e-7)), base.coefs[1])
    cell = next(
        c
        for c in compare(base, base.with_(engine="b", coefs=spoiled), context())
        if (c.term, c.quantity) == ("x", "std_error")
    )
    assert cell.verdict == "numerical"
    assert cell.digits == pytest.approx(7, abs=0.01)


def test_estimates_near_zero_are_judged_in_units_of_their_standard_error():
    a = result(rows=(row("x", 1e-17, 0.5),))
    b = result("b", rows=(row("x", -3e-16, 0.5),))
    cells = verdicts(compare(a, b, context()))
    assert cells["x", "estimate"] == ("numerical", "none")
    assert cells["x", "statistic"][0] == "numerical"
    far = result("b", rows=(row("x", 1e-6, 0.5),))
    assert verdicts(compare(a, far, context()))["x", "estimate"][0] == "unexplained"


def test_a_missing_and_an_extra_term_are_structural():
    base = result()
    lacks = compare(base, base.with_(engine="b", coefs=base.coefs[:1]), context())
    assert verdicts(lacks)["z", "estimate"] == ("missing_candidate", "structural")
    extra = base.with_(engine="b", coefs=(*base.coefs, row("w", 1.0, 1.0)))
    assert verdicts(compare(base, extra, context()))["w", "estimate"] == ("missing_reference", "structural")


def test_a_dropped_term_is_said_to_be_dropped():
    base = result()
    cells = compare(base, base.with_(engine="b", coefs=base.coefs[:1], dropped=("z",)), context())
    assert "collinear" in next(c for c in cells if c.term == "z").reason


def test_nan_is_not_agreement():
    base = result()
    nan = base.with_(coefs=(replace(base.coefs[0], std_error=math.nan), base.coefs[1]))
    cells = verdicts(compare(base, nan.with_(engine="b"), context()))
    assert cells["x", "std_error"] == ("missing_candidate", "structural")
    both = verdicts(compare(nan, nan.with_(engine="b"), context()))["x", "std_error"][0]
    assert both in NOT_COMPARED


def test_a_quantity_that_one_engine_does_not_report_is_unsupported_but_an_se_is_missing():
    base = result(r2_within=0.5)
    cells = verdicts(compare(base, result("b"), context()))
    assert cells["", "r2_within"] == ("unsupported", "none")
    none = base.with_(engine="b", coefs=(replace(base.coefs[0], std_error=None), base.coefs[1]))
    assert verdicts(compare(base, none, context()))["x", "std_error"] == ("missing_candidate", "structural")


def test_counts_are_exact_and_another_sample_is_structural():
    base = result()
    other = base.with_(engine="b", stats=replace(base.stats, nobs=307.0))
    assert verdicts(compare(base, other, context()))["", "nobs"] == ("unexplained", "structural")


def test_a_flipped_sign_changes_the_decision():
    base = result()
    flipped = (replace(base.coefs[0], estimate=-base.coefs[0].estimate), base.coefs[1])
    assert verdicts(compare(base, base.with_(engine="b", coefs=flipped), context()))["x", "estimate"] == (
        "unexplained",
        "decision",
    )


def test_severity_grows_from_unprinted_digits_to_the_decision():
    a = row("x", 0.0240, 0.0056)
    ctx = context(decimals={("x", "estimate"): 4, ("x", "std_error"): 4})

    def severity(**changes):
        b = replace(a, **changes)
        b = replace(b, **inference(b, 27.0, 0.95))
        cells = compare(result(rows=(a,)), result("b", rows=(b,)), ctx)
        return {q: s for (_, q), (_, s) in verdicts(cells).items()}

    assert severity(estimate=0.02400001)["estimate"] == "cosmetic"
    assert severity(estimate=0.02412)["estimate"] == "printed"
    assert severity(std_error=0.0120)["std_error"] == "decision"


def test_a_p_value_is_allowed_what_estimate_and_se_are_allowed():
    a = row("x", 3.0, 0.5, df=200.0)
    b = replace(a, std_error=a.std_error * (1 + 5e-7))
    b = replace(b, **inference(b, 200.0, 0.95))
    assert abs(a.p_value - b.p_value) / a.p_value > 1e-6
    assert abs(a.p_value - b.p_value) > 1e-15
    cells = verdicts(compare(result(rows=(a,)), result("b", rows=(b,)), context()))
    assert {v for v, _ in cells.values()} <= {"exact", "numerical"}
    other_df = replace(a, **inference(a, 150.0, 0.95), df=150.0)
    cells = verdicts(compare(result(rows=(a,)), result("b", rows=(other_df,)), context()))
    assert cells["x", "p_value"][0] == "unexplained"
    assert cells["x", "std_error"][0] == "exact"


def test_a_looser_tolerance_is_used_only_where_declared_and_says_why():
    base = result()
    spoiled = base.with_(engine="b", coefs=(base.coefs[0], replace(base.coefs[1], std_error=0.9001)))
    loose = context(tolerances={("z", "std_error"): Tolerance(rtol=1e-3, reason="iterations stop early")})
    cell = next(c for c in compare(base, spoiled, loose) if (c.term, c.quantity) == ("z", "std_error"))
    assert (cell.verdict, cell.tolerance) == ("numerical", "iterations stop early")
    assert verdicts(compare(base, spoiled, context()))["z", "std_error"][0] == "unexplained"


@pytest.mark.parametrize(
    ("bad", "verdict", "severity"),
    [
        (failed("b", "killed"), "error", "structural"),
        (failed("b", "no such vcov", status="unsupported"), "unsupported", "none"),
        (failed("b", "not here", transport="missing"), "missing_candidate", "none"),
        (failed("b", "old", transport="stale"), "stale", "none"),
    ],
)
def test_a_fit_that_did_not_happen_is_one_cell_that_is_never_green(bad, verdict, severity):
    (cell,) = compare(result(), bad, context())
    assert (cell.term, cell.quantity, cell.verdict, cell.severity) == ("*", "fit", verdict, severity)
    assert cell.reason


def test_an_error_is_not_hidden_behind_an_unsupported_partner():
    (cell,) = compare(failed("a", "cannot", status="unsupported"), failed("b", "died"), context())
    assert cell.verdict == "error"


def test_extras_are_compared_like_every_other_number():
    a = result().with_(extras=(Extra(term="w1", quantity="weight", value=0.5),))
    b = a.with_(engine="b", extras=(Extra(term="w1", quantity="weight", value=0.6),))
    assert verdicts(compare(a, b, context()))["w1", "weight"][0] == "unexplained"
    none = a.with_(engine="b", extras=())
    assert verdicts(compare(a, none, context()))["w1", "weight"][0] == "unsupported"


def printed(term, quantity, text, low, high, value=None, decimals=4):
    return PublishedNumber(
        table="t",
        column="1",
        term=term,
        quantity=quantity,
        printed=text,
        value=value,
        low=low,
        high=high,
        decimals=decimals,
    )


def test_printed_numbers_are_intervals():
    numbers = [
        printed("x", "estimate", "0.0240", 0.02395, 0.02405, 0.024),
        printed("x", "std_error", "0.0057", 0.00565, 0.00575, 0.0057),
        printed("", "nobs", "308", 308, 308, 308.0, 0),
        printed("", "r2_within", "0.5", 0.45, 0.55, 0.5, 1),
        printed("w", "estimate", "1.0", 0.95, 1.05, 1.0, 1),
    ]
    cells = verdicts(compare_printed(numbers, result("pyfixest"), context()))
    assert cells["x", "estimate"] == ("rounding", "none")
    assert cells["x", "std_error"] == ("unexplained", "printed")
    assert cells["", "nobs"] == ("rounding", "none")
    assert cells["", "r2_within"] == ("unsupported", "none")
    assert cells["w", "estimate"] == ("missing_candidate", "structural")


@pytest.mark.parametrize(("p", "stars"), [(0.009, "***"), (0.01, "**"), (0.0499, "**"), (0.09, "*"), (0.1, "")])
def test_stars_follow_the_legend(p, stars):
    assert stars_of(p, LEGEND) == stars


def test_printed_stars_are_judged_by_the_recomputed_p_value():
    r = result("pyfixest")
    good = compare_printed([printed("x", "stars", "***", 0, 0)], r, context())
    assert [(c.verdict, c.candidate_value) for c in good] == [("exact", "***")]
    bad = compare_printed([printed("x", "stars", "*", 0, 0)], r, context())
    assert [(c.verdict, c.severity) for c in bad] == [("unexplained", "decision")]
    none = compare_printed([printed("z", "stars", "", 0, 0)], r, context())
    assert [(c.verdict, c.candidate_value) for c in none] == [("exact", "")]


@given(st.floats(0.001, 40), st.floats(1, 5000))
def test_p_values_equal_scipys(t, df):
    assert p_of(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-9)
    assert p_of(-t, math.inf) == pytest.approx(2 * stats.norm.sf(t), rel=1e-12)


def test_critical_values_equal_scipys():
    for df in (1, 5, 27, 1e4):
        assert critical(0.9, df) == pytest.approx(stats.t.ppf(0.95, df), rel=1e-12)
    assert critical(0.95, math.inf) == pytest.approx(1.959963984540054, rel=1e-15)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_digits_lie_between_0_and_15(a, b):
    assert 0 <= lre(a, b) <= 15
    assert lre(a, a) == 15


def test_digits_count_agreeing_digits():
    assert lre(1.0, 1.0 + 1e-7) == pytest.approx(7, abs=1e-6)
    assert lre(2e10, 2e10 + 2) == pytest.approx(10)
    assert lre(0.0, 1e-9) == pytest.approx(9)


@given(st.floats(-5, 5), st.floats(0.01, 3), st.floats(-5, 5), st.floats(0.01, 3))
def test_decisions_do_not_depend_on_which_side_is_called_reference(b1, s1, b2, s2):
    x, y = row("x", b1, s1), row("x", b2, s2)
    if abs(b1) > 1e-3 and abs(b2) > 1e-3:
        assert decides(x, y, context()) == decides(y, x, context())


def test_agreement_needs_numbers():
    empty = EstimationResult(engine="b")
    cells = compare(result(), empty, context())
    assert cells
    assert not any(c.verdict in AGREE for c in cells)
    assert np.all([c.severity == "structural" for c in cells if c.quantity == "estimate"])


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.024, "exact"),
        (0.024 * (1 + 1e-9), "numerical"),
        (0.024 + 3.9 * 0.0056, "stochastic"),
        (0.024 - 4.1 * 0.0056, "unexplained"),
    ],
)
def test_known_truth_is_judged_in_units_of_the_standard_error(value, verdict):
    truth = KnownTruth(table="t", column="1", term="x", quantity="estimate", value=value, line=2)
    (cell,) = compare_truth([truth], result("pyfixest"), context())
    assert (cell.reference, cell.verdict) == ("truth", verdict)
    absent = KnownTruth(table="t", column="1", term="gone", quantity="estimate", value=1.0, line=3)
    (cell,) = compare_truth([absent], result("pyfixest"), context())
    assert (cell.verdict, cell.severity) == ("missing_candidate", "structural")


@pytest.mark.parametrize(("absorbs", "verdict"), [(True, "unsupported"), (False, "missing_candidate")])
def test_a_printed_constant_is_missing_only_where_nothing_absorbs_it(absorbs, verdict):
    numbers = [
        printed("(Intercept)", "estimate", "0.04", 0.035, 0.045, 0.04),
        printed("(Intercept)", "stars", "*", 0, 0),
    ]
    cells = compare_printed(numbers, result("pyfixest"), context(absorbs=absorbs))
    assert {c.verdict for c in cells} == {verdict}
