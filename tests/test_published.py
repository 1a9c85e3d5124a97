"""Printed numbers as intervals, and every way in which published.csv can be wrong."""

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.errors import PublishedError
from crosscheck.published import interval, read_published

HEADER = "table,column,term,quantity,printed\n"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("0.0240", (0.024, 0.02395, 0.02405, 4)),
        ("-0.5", (-0.5, -0.55, -0.45, 1)),
        ("\u22120.5", (-0.5, -0.55, -0.45, 1)),
        ("\u20130.5", (-0.5, -0.55, -0.45, 1)),
        ("- 0.5", (-0.5, -0.55, -0.45, 1)),
        (" 0.5 ", (0.5, 0.45, 0.55, 1)),
        ("\u00a00.5", (0.5, 0.45, 0.55, 1)),
        (".05", (0.05, 0.045, 0.055, 2)),
        ("5.", (5.0, 4.5, 5.5, 0)),
        ("+1.0", (1.0, 0.95, 1.05, 1)),
        ("1,234.5", (1234.5, 1234.45, 1234.55, 1)),
        ("2,500", (2500.0, 2499.5, 2500.5, 0)),
        ("12,345,678", (12345678.0, 12345677.5, 12345678.5, 0)),
        ("308", (308.0, 307.5, 308.5, 0)),
        ("1.2e-3", (0.0012, 0.00115, 0.00125, 4)),
        ("1.2E5", (120000.0, 115000.0, 125000.0, -4)),
        ("4.609e-13", (4.609e-13, 4.6085e-13, 4.6095e-13, 16)),
        ("(0.01)", (0.01, 0.005, 0.015, 2)),
        ("[-1.20]", (-1.2, -1.205, -1.195, 2)),
        ("0.00", (0.0, -0.005, 0.005, 2)),
    ],
)
def test_intervals(printed, expected):
    assert interval(printed, "estimate") == expected


def test_a_negative_zero_says_on_which_side_it_lies():
    value, low, high, decimals = interval("-0.00", "estimate")
    assert (math.copysign(1, value), low, high, decimals) == (-1.0, -0.005, 0.0, 2)


def test_what_cannot_be_negative_starts_at_zero():
    assert interval("0.00", "std_error") == (0.0, 0.0, 0.005, 2)
    assert interval("0.000", "p_value")[1] == 0.0
    assert interval("<0.001", "p_value") == (None, 0.0, 0.001, None)
    assert interval("< 2.2e-16", "p_value") == (None, 0.0, 2.2e-16, None)
    assert interval("<=0.001", "p_value") == (None, 0.0, 0.001, None)
    assert interval("(<0.01)", "std_error") == (None, 0.0, 0.01, None)
    assert interval("<0.001", "estimate") == (None, -math.inf, 0.001, None)
    assert interval(">0.1", "p_value") == (None, 0.1, 1.0, None)
    assert interval(">100", "statistic") == (None, 100.0, math.inf, None)


@settings(max_examples=300, deadline=None)
@given(st.decimals(-(10**6), 10**6, places=8), st.integers(0, 6))
def test_every_number_lies_in_the_interval_of_its_rounding(number, places):
    unit = Decimal(1).scaleb(-places)
    for mode in (ROUND_HALF_EVEN, ROUND_HALF_UP):
        printed = str(number.quantize(unit, rounding=mode))
        value, low, high, decimals = interval(printed, "estimate")
        assert low <= float(number) <= high
        assert decimals == places
        assert value == float(printed)
        if float(printed) != 0:
            assert high - low == pytest.approx(float(unit), abs=1e-9)
    truncated = number.quantize(unit, rounding=ROUND_DOWN)
    if abs(number - truncated) > unit * Decimal("0.51"):
        _, low, high, _ = interval(str(truncated), "estimate")
        assert not low <= float(number) <= high


@pytest.mark.parametrize(
    ("printed", "advice"),
    [
        ("", "leave the row out"),
        ("0.024***", "a row of their own"),
        ("0.024 *", "a row of their own"),
        ("0,36", "decimal point"),
        ("1,23,456", "as printed"),
        ("12.3%", "percent"),
        ("abc", "as printed"),
        ("0.1.2", "as printed"),
        ("--0.5", "as printed"),
        ("1e9999", "as printed"),
        ("nan", "as printed"),
        ("inf", "as printed"),
        ("1_000", "as printed"),
        ("\u0661\u0662", "as printed"),
        ("0x10", "as printed"),
        ("1" * 50, "as printed"),
        ("(0.01", "as printed"),
        ("< ", "leave the row out"),
    ],
)
def test_what_is_no_number(printed, advice):
    with pytest.raises(ValueError, match=advice):
        interval(printed, "estimate")


def write(tmp_path, content):
    path = tmp_path / "published.csv"
    path.write_bytes(content if isinstance(content, bytes) else (content).encode())
    return path


def test_reading(tmp_path):
    path = write(
        tmp_path,
        "\ufefftable,column,term,quantity,printed,page,note\r\n"
        "t1,1,beertax,estimate,0.36,415,\r\n"
        "t1,1,beertax,stars,**,415,\r\n"
        "\r\n"
        't1,2,"ATT(2004,2005)",p_value,< 0.001,,"two\nlines"\r\n'
        't1,2,,nobs,"2,500",,\r\n'
        "t1,2,x,stars,,,\r\n",
    )
    numbers = read_published(path)
    assert [(n.line, n.term, n.quantity, n.printed) for n in numbers] == [
        (2, "beertax", "estimate", "0.36"),
        (3, "beertax", "stars", "**"),
        (5, "ATT(2004,2005)", "p_value", "< 0.001"),
        (7, "", "nobs", "2,500"),
        (8, "x", "stars", ""),
    ]
    assert numbers[0].page == "415"
    assert numbers[0].text == numbers[0].printed
    assert numbers[2].note == "two\nlines"
    assert numbers[2].value is None
    assert numbers[3].value == 2500
    assert math.isnan(numbers[1].low)
    assert numbers[1].decimals is None


MISTAKES = {
    "": ("the header lacks table, column", "line 1"),
    "table,column,term,quantity\n": ("the header lacks printed", "line 1", "table,column,term,quantity,printed"),
    "table,column,term,quantity,value\n": ("there is no column 'value'", "allowed:", "page, note"),
    "table,column,term,quantity,print\n": ("there is no column 'print'", "did you mean 'printed'?"),
    HEADER.replace("\n", ",note,note\n"): ("names a column twice",),
    HEADER + "t,1,x,estimate\n": ("the line has 4 fields, the header 5", "line 2"),
    HEADER + "t,1,ATT(2004,2005),estimate,1\n": ("the line has 6 fields", "quotation marks"),
    HEADER + "t,1,x,estimate,1\nt,1,x,estimat,1\n": ("no quantity 'estimat'", "line 3", "did you mean 'estimate'?"),
    HEADER + "t,1,x,Estimate,1\n": ("no quantity 'Estimate'", "did you mean 'estimate'?"),
    HEADER + "t,1,x,estimate,0.36**\n": ("'0.36**' is not a number", "line 2", "a row of their own"),
    HEADER + "t,1,x,estimate,\n": ("'' is not a number", "leave the row out"),
    HEADER + "t,1,x,stars,0.1\n": ("'0.1' are no stars",),
    HEADER + "t,1,,estimate,0.1\n": ("the term is empty",),
    HEADER + ",1,x,estimate,0.1\n": ("the table is empty",),
    HEADER + "t,,x,estimate,0.1\n": ("the column is empty",),
    HEADER + "t,1,x,std_error,-0.1\n": ("std_error is negative",),
    HEADER + "t,1,x,estimate,0.1\nt,1,x,estimate,0.2\n": ("is printed twice", "line 3", "line 2 already"),
    HEADER + 't,1,"x,estimate,0.1\n': ("the CSV is malformed", "line 2"),
    HEADER + 't,1,"x"y,estimate,0.1\n': ("the CSV is malformed", "line 2"),
    (HEADER + "t,1,x,estimate,1\n").encode("utf-16"): ("NUL character", "UTF-8"),
    (HEADER + "t,1,x\u00e9,estimate,1\n").encode("latin-1"): ("not UTF-8", "line 2", "iconv"),
    (HEADER + "t,1,x\x00,estimate,1\n").encode(): ("NUL character", "line 2"),
}


@pytest.mark.parametrize("content", MISTAKES)
def test_mistakes_name_the_line(tmp_path, content):
    with pytest.raises(PublishedError) as caught:
        read_published(write(tmp_path, content), where="studies/x/published.csv")
    message = str(caught.value)
    for part in (*MISTAKES[content], "studies/x/published.csv"):
        assert part in message


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(PublishedError, match="cannot be read"):
        read_published(tmp_path / "published.csv")


@pytest.mark.parametrize("study", ["fatalities", "grunfeld", "mpdta"])
def test_the_real_tables(study):
    path = Path(__file__).parent.parent / "fixtures" / "studies" / study / "published.csv"
    numbers = read_published(path)
    rows = path.read_text("utf-8").splitlines()
    assert len(numbers) == len(rows) - 1
    for number in numbers:
        assert number.printed in rows[number.line - 1]
        if number.value is not None:
            assert number.low <= number.value <= number.high
