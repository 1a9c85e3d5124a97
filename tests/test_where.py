"""The filter language against Python's own evaluation row by row, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.errors import FormulaError
from crosscheck.frame import NA_INT, Column, Frame
from crosscheck.where import emit_where, evaluate, literals, parse_where

YEAR = [2001, 2002, None, 2004, 2005, 2006]
PRICE = [1.5, -2.0, 0.0, None, float("inf"), 1e5]
REGION = ["East", "West", None, "East", 'a"b', ""]
ON = [True, False, None, True, False, True]
DAY = ["2020-01-31", "2020-02-01", None, "2020-02-01", "1969-12-31", "2021-01-01"]
LEVELS = ("East", "West", 'a"b', "")


def frame():
    day = [NA_INT if d is None else int(np.datetime64(d, "D").astype(int)) for d in DAY]
    region = np.array([-1 if r is None else LEVELS.index(r) for r in REGION], dtype=np.int32)
    return Frame(
        (
            Column("year", "integer", np.array([np.nan if v is None else v for v in YEAR], dtype=np.float64)),
            Column("price", "float", np.array([np.nan if v is None else v for v in PRICE])),
            Column("my region", "category", region, LEVELS),
            Column("on", "boolean", np.array([NA_INT if v is None else int(v) for v in ON], dtype=np.int32)),
            Column("day", "date", np.array(day, dtype=np.int32)),
        ),
        6,
    )  # fmt: skip


KINDS = {c.name: c.kind for c in frame().columns}


def select(text):
    return np.flatnonzero(evaluate(parse_where(text, KINDS), frame())).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("year == 2001", [0]),
        ("year != 2001", [1, 3, 4, 5]),
        ("year > 2004", [4, 5]),
        ("year >= 2004", [3, 4, 5]),
        ("2004 <= year", [3, 4, 5]),
        ("2004 > year", [0, 1]),
        ("2001 == year", [0]),
        ("year < 2004 and price > 0", [0]),
        ("year < 2002 or price > 0", [0, 4, 5]),
        ("not year < 2004", [3, 4, 5]),
        ("not (year < 2004 or price > 0)", []),
        ("not not year == 2001", [0]),
        ("year in [2001, 2004]", [0, 3]),
        ("year in (2001, 2004,2001)", [0, 3]),
        ("year not in [2001, 2004]", [1, 4, 5]),
        ("price == -2", [1]),
        ("price == - 2.0", [1]),
        ("price >= 1e5", [4, 5]),
        ("`my region` == 'East'", [0, 3]),
        ('`my region` != "East"', [1, 4, 5]),
        ("`my region` == 'a\"b'", [4]),
        ("`my region` == ''", [5]),
        ("`my region` == 'nowhere'", []),
        ("`my region` in ['West', 'East']", [0, 1, 3]),
        ("'East' == `my region`", [0, 3]),
        ("on", [0, 3, 5]),
        ("not on", [1, 4]),
        ("on == false", [1, 4]),
        ("on != true", [1, 4]),
        ("on == 1", [0, 3, 5]),
        ("on and year > 2001", [3, 5]),
        ("missing(year)", [2]),
        ("not missing(price)", [0, 1, 2, 4, 5]),
        ("missing(`my region`) or missing(price)", [2, 3]),
        ("day == '2020-02-01'", [1, 3]),
        ("day >= '2020-02-01'", [1, 3, 5]),
        ("day in ['1969-12-31']", [4]),
        ("price < year", [0, 1]),
        ("price == on", []),
        ("day != day", []),
        ("year == 2001 or year == 2002 and price > 0", [0]),
        ("(year == 2001 or year == 2002) and price < 0", [1]),
    ],
)
def test_rows(text, rows):
    assert select(text) == rows


def test_missing_is_neither_selected_nor_is_its_negation():
    assert 2 not in select("year > 0")
    assert 2 not in select("not (year > 0)")
    assert select("year > 0 or missing(year)") == [0, 1, 2, 3, 4, 5]
    assert select("not (year > 0 and price > 0)") == [1, 2]  # row 2: unknown and false is false


def literal_of(name):
    return {
        "year": st.integers(1999, 2007),
        "price": st.sampled_from([-2, 0, 1.5, 3, 100000]),
        "my region": st.sampled_from(["East", "West", "", "zz"]),
        "on": st.booleans(),
        "day": st.sampled_from(["2020-02-01", "2020-01-31", "1969-12-31"]),
    }[name]


def atoms():
    def build(name):
        ordered = name in ("year", "price", "day")
        operators = ["==", "!=", *(["<", "<=", ">", ">="] if ordered else [])]
        return st.one_of(
            st.tuples(st.just("compare"), st.just(name), st.sampled_from(operators), literal_of(name)),
            st.tuples(st.just("in"), st.just(name), st.lists(literal_of(name), min_size=1, max_size=3)),
            st.tuples(st.just("missing"), st.just(name)),
        )

    return st.sampled_from(list(KINDS)).flatmap(build)


CONDITIONS = st.recursive(
    atoms(),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=6,
)


def written(condition):
    def literal(value):
        if isinstance(value, bool):
            return str(value).lower()
        return f'"{value}"' if isinstance(value, str) else str(value)

    head, *rest = condition
    if head == "compare":
        return f"`{rest[0]}` {rest[1]} {literal(rest[2])}"
    if head == "in":
        return f"`{rest[0]}` in [{', '.join(map(literal, rest[1]))}]"
    if head == "missing":
        return f"missing(`{rest[0]}`)"
    if head == "not":
        return f"not ({written(rest[0])})"
    return f"({written(rest[0])}) {head} ({written(rest[1])})"


def truth(condition, row):
    """Return True, False or None (unknown), as SQL does."""
    values = dict(zip(KINDS, (YEAR[row], PRICE[row], REGION[row], ON[row], DAY[row]), strict=True))
    head, *rest = condition
    if head == "missing":
        return values[rest[0]] is None
    if head == "not":
        inner = truth(rest[0], row)
        return None if inner is None else not inner
    if head in ("and", "or"):
        both = [truth(r, row) for r in rest]
        decisive = head == "or"
        if decisive in both:
            return decisive
        return None if None in both else not decisive
    value = values[rest[0]]
    if value is None:
        return None
    if head == "in":
        return value in rest[1]
    operator, literal = rest[1:]
    return {
        "==": value == literal,
        "!=": value != literal,
        **({} if isinstance(value, bool) or rest[0] == "my region" else {
            "<": value < literal, "<=": value <= literal, ">": value > literal, ">=": value >= literal,
        }),
    }[operator]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(CONDITIONS)
def test_brute_force(condition):
    where = parse_where(written(condition), KINDS)
    expected = [row for row in range(6) if truth(condition, row) is True]
    assert np.flatnonzero(evaluate(where, frame())).tolist() == expected
    again = parse_where(emit_where(where), KINDS)
    assert again == where
    assert emit_where(again) == emit_where(where)


def test_canonical_text():
    where = parse_where("year in (2001,2002) and (not on or `my region`=='East') and price>-1.50", KINDS)
    assert emit_where(where) == ('`year` in [2001, 2002] and (not (`on`) or `my region` == "East") and `price` > -1.5')
    assert where.columns == ("year", "on", "my region", "price")
    assert literals(where) == [("my region", "East")]


MISTAKES = {
    "": ("the filter is empty", "leave sample.where out"),
    "yaer == 2001": ("there is no column 'yaer'", "did you mean 'year'?", "my region"),
    "`my region` == 1": ("is a category and 1 is not a text", 'write "1"', "[data.kinds]"),
    "`my region` == true": ("is a category and true is not a text",),
    "`my region` == East": ("there is no column 'East'", '"East"'),
    "`my region` < 'West'": ("is a category and has no order", "in [", "integer or float"),
    "`my region` == year": ("(category) cannot be compared with year (integer)",),
    "year == '2001'": ("is an integer and '2001' is not a number", "without quotation marks", "a category"),
    "price == 'a'": ("is a float and 'a' is not a number",),
    "year == true": ("is an integer and 'true' is not a number",),
    "on == 2": ("on is a boolean", "true or false"),
    "on > false": ("has no order",),
    "on == True": ("written in lower case", "true"),
    "TRUE == on": ("written in lower case", "true"),
    "day == 2020": ("day is a date", '"2004-12-31"'),
    "day == '2020-13-01'": ("day is a date",),
    "day == '20200101'": ("day is a date",),
    "day > year": ("(date) cannot be compared with year (integer)",),
    "year": ("a comparison is missing", "`year` == ..."),
    "2001": ("a literal alone is not a condition",),
    "year == ": ("a literal is missing",),
    "year = 2001": ("'=' is not allowed", "write == for equality"),
    "year == 2001 & price > 0": ("'&' is not allowed", "write and"),
    "year == 2001 | price > 0": ("'|' is not allowed", "write or"),
    "! on": ("'!' is not allowed", "write not"),
    "2001 < year < 2005": ("cannot be chained", "x > 1 and x < 2"),
    "year > 2001 > price": ("'>' is not expected here", "x > 1 and x < 2"),
    "year > 2001 price > 0": ("'price' is not expected here", "and / or"),
    "year in 2001": ("a list is missing",),
    "year in []": ("the list is empty",),
    "year in [2001": ("a ] is missing",),
    "year in [2001 2002]": ("a ] is missing",),
    "year in [2001)": ("a ] is missing",),
    "year in ['a']": ("is not a number",),
    "(year == 2001": ("a ) is missing",),
    "year == 2001)": ("')' is not expected here",),
    "missing(2)": ("a column name is missing",),
    "missing(year": ("missing() takes one column",),
    "log(year) > 1": ("log() is not a function of the filter language",),
    "year + 1 == 2002": ("a comparison is missing",),
    "and": ("'and' is not a condition",),
    "not": ("a column name is missing",),
    "year == 2001 and": ("a column name is missing",),
    "year AND price": ("a comparison is missing",),
    "(" * 40 + "on" + ")" * 40: ("levels of nesting",),
    "not " * 40 + "on": ("levels of nesting",),
    " or ".join(["on"] * 300): ("more than 200 conditions",),
    "year == 20.0.1": ("runs into a letter",),
    "year == 'a\\b'": ("a string cannot hold",),
    "__import__('os')": ("is not a function",),
    "@year == 1": ("'@' is not allowed",),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_told(text):
    with pytest.raises(FormulaError) as caught:
        parse_where(text, KINDS, where="study.toml, table[1].column[1].sample.where")
    message = str(caught.value)
    for part in (*MISTAKES[text], "study.toml, table[1].column[1].sample.where"):
        assert part in message


def test_long_lists():
    assert len(select("year in [" + ", ".join(str(y) for y in range(2000, 3000)) + "]")) == 5
    with pytest.raises(FormulaError, match="too long"):
        parse_where("year in [" + "1," * 5000 + "1]", KINDS)
