"""Are numbers shown with the digits a reader needs, and is the first differing digit the one that is marked?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosscheck.report.digits import (
    decimals_for,
    decimals_to_see,
    digits_text,
    first_difference,
    fixed,
    full,
    mark,
    printed_decimals,
)

FLOATS = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "decimals"),
    [("0.0240", 4), ("-1", 0), ("1,234.50", 2), ("(0.36)", 2), ("−0.5", 1), ("<0.001", 3), ("***", None), ("", None)],
)
def test_decimals_of_a_printed_number(text, decimals):
    assert printed_decimals(text) == decimals


def test_printed_numbers_get_three_more_decimals_and_others_follow_their_standard_error():
    assert decimals_for(3, 0.5) == 6
    assert decimals_for(None, 0.0056) == 6
    assert decimals_for(None, 123.0) == 3
    assert decimals_for(None, None) == 6


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_seventeen_digits_read_back_as_the_same_number(value):
    assert float(full(value)) == value


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "NaN"), (math.inf, "Inf"), (-math.inf, "-Inf"), (None, ""), (336.0, "336")]
)
def test_words_and_counts(value, text):
    assert full(value) == text


def test_fixed_uses_a_typographic_minus_and_keeps_very_small_numbers_visible():
    assert fixed(-0.64, 4) == "−0.6400"
    assert fixed(3.4e-9, 4) == "3.4e−09"
    assert fixed(0.0, 3) == "0.000"
    assert fixed(95.0, 0) == "95"


@given(FLOATS, FLOATS)
def test_enough_decimals_are_shown_for_a_difference_to_be_seen(a, b):
    decimals = decimals_to_see(a, b, 0)
    if abs(a - b) > 1e-12:
        assert f"{a:.{decimals}f}" != f"{b:.{decimals}f}"


def test_first_difference_names_the_decimal_place():
    assert first_difference(0.357, 0.255) == 1
    assert first_difference(0.3104099, 0.3104192) == 6
    assert first_difference(1200.0, 1000.0) == -2
    assert first_difference(1.0, 1.0) == 0


@pytest.mark.parametrize(
    ("text", "other", "parts"),
    [
        ("0.357078", "0.255", ("0.", "3", "57078")),
        ("0.024051", "0.0240", ("0.0240", "5", "1")),
        ("−0.46", "0.46", ("", "−", "0.46")),
        ("0.018496", ".0185", ("0.018", "4", "96")),
        ("94", "95", ("9", "4", "")),
        ("1", "1.5", ("", "1", "")),
    ],
)
def test_the_first_differing_digit_is_marked(text, other, parts):
    shown = mark(text, other, differs=True)
    assert (shown.same, shown.other, shown.rest) == parts


@given(st.text("0123456789.", min_size=1), st.text("0123456789.", min_size=1))
def test_marking_never_changes_the_number_and_never_marks_agreement(text, other):
    assert mark(text, other, differs=True).text == text
    assert mark(text, other, differs=True).other != ""
    assert mark(text, other, differs=False).other == ""


def test_digits_are_rounded_down_so_that_none_is_claimed_that_does_not_agree():
    assert digits_text(7.99) == "7.9"
    assert digits_text(15.0) == "15"
    assert digits_text(None) == ""
