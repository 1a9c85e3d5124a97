"""Numbers and mappings as text: the same bytes on every machine, and nothing lost on the way back."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.canon import digest, dumps, number, parse_number, plain, sha256, write_atomic
from crosscheck.results import (
    CoefRow,
    Condition,
    Conventions,
    EstimationResult,
    Extra,
    FitStats,
    failed,
    result_from_json,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=20,
)


def spelled(value, sort_keys=False, indent=None, level=0):
    """The rules of the module, spelled out one by one and with no thought of speed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return '"NaN"'
        if math.isinf(value):
            return '"Infinity"' if value > 0 else '"-Infinity"'
        text = f"{value:.17g}"
        return text if any(mark in text for mark in ".e") else f"{text}.0"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    pad, sep, end = "", ", ", ""
    if indent is not None:
        pad, end = "\n" + " " * indent * (level + 1), "\n" + " " * indent * level
        sep = "," + pad
    if isinstance(value, dict):
        keys = sorted(value) if sort_keys else list(value)
        items = [
            f"{json.dumps(k, ensure_ascii=False)}: {spelled(value[k], sort_keys, indent, level + 1)}" for k in keys
        ]
        return "{" + pad + sep.join(items) + end + "}" if items else "{}"
    if not value:
        return "[]"
    if indent is not None and all(v is None or isinstance(v, int | float | str) for v in value):
        return "[" + ", ".join(spelled(v) for v in value) + "]"
    return "[" + pad + sep.join(spelled(v, sort_keys, indent, level + 1) for v in value) + end + "]"


@settings(max_examples=300, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 0, 1, 2]))
def test_text_follows_the_rules(value, sort_keys, indent):
    assert dumps(value, sort_keys=sort_keys, indent=indent) == spelled(value, sort_keys, indent)


def bits(value):
    return struct.pack("<d", value)


@settings(max_examples=500, deadline=None)
@given(st.floats(allow_nan=False))
def test_every_float_comes_back_bit_for_bit(value):
    assert bits(parse_number(json.loads(number(value)))) == bits(value)
    assert isinstance(json.loads(dumps(value)), float | str), "a float never turns into an integer"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.10000000000000001"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (1e16, "10000000000000000.0"),
        (1e17, "1e+17"),
        (5e-324, "4.9406564584124654e-324"),
        (math.nan, '"NaN"'),
        (math.inf, '"Infinity"'),
        (-math.inf, '"-Infinity"'),
    ],
)
def test_numbers_as_written(value, text):
    assert number(value) == text
    assert dumps([value]) == f"[{text}]"
    assert dumps({"a": value}) == f'{{"a": {text}}}'


def test_missing_and_nan_are_two_things():
    assert parse_number(None) is None
    assert math.isnan(parse_number("NaN"))
    with pytest.raises(KeyError):
        parse_number("nan")


def test_numpy_values_are_written_as_what_they_hold():
    value = {
        "a": np.float64(0.1),
        "b": np.int32(7),
        "c": np.bool_(True),
        "d": np.arange(4.0).reshape(2, 2),
        "e": np.float32(0.5),
        "f": np.str_("ü"),
    }
    assert dumps(value) == (
        '{"a": 0.10000000000000001, "b": 7, "c": true, "d": [[0.0, 1.0], [2.0, 3.0]], "e": 0.5, "f": "ü"}'
    )


@pytest.mark.parametrize("value", [{1: 2}, {"a": {None: 1}}, {1, 2}, b"bytes", object(), 1j, {"a": {"b": {3}}}])
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(TypeError):
        dumps(value)


def test_hashes_do_not_depend_on_the_order_of_keys():
    a = {"x": 1, "y": {"p": 0.1, "q": [1, 2]}}
    b = {"y": {"q": [1, 2], "p": 0.1}, "x": 1}
    assert digest(a) == digest(b) == sha256(spelled(a, sort_keys=True))
    assert digest(a) != digest({**a, "x": 1.0})


@dataclass(frozen=True)
class Inner:
    number: float
    words: tuple[str, ...] = ()
    table: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner
    several: tuple[Inner, ...]
    none: None = None


@given(st.floats(allow_nan=False), st.lists(st.text()))
def test_plain_gives_what_asdict_gives(x, words):
    value = Outer(Inner(x, tuple(words), {"a": "b"}), (Inner(1.0), Inner(2.0)))
    assert plain(value) == asdict(value)


NUMBERS = st.none() | st.floats()
ROWS = st.builds(
    CoefRow, term=TEXTS, estimate=NUMBERS, std_error=NUMBERS, p_value=NUMBERS, conf_low=NUMBERS, df=NUMBERS
)
RESULTS = st.builds(
    EstimationResult,
    engine=TEXTS,
    version=TEXTS,
    coefs=st.lists(ROWS, max_size=3).map(tuple),
    stats=st.builds(FitStats, nobs=NUMBERS, r2=NUMBERS),
    extras=st.lists(st.builds(Extra, term=TEXTS, quantity=TEXTS, value=NUMBERS), max_size=2).map(tuple),
    conventions=st.builds(
        Conventions,
        vcov=st.none() | TEXTS,
        cluster=st.lists(TEXTS, max_size=2).map(tuple),
        k=NUMBERS,
        n_clusters=st.lists(st.integers(), max_size=2).map(tuple),
        df_t=NUMBERS,
        notes=st.lists(TEXTS, max_size=2).map(tuple),
    ),
    vcov=st.lists(st.lists(st.floats(), min_size=2, max_size=2).map(tuple), max_size=2).map(tuple),
    dropped=st.lists(TEXTS, max_size=2).map(tuple),
    conditions=st.lists(st.builds(Condition, kind=st.just("warning"), text=TEXTS), max_size=2).map(tuple),
    seconds=st.floats(allow_nan=False),
    environment=st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
)


@settings(max_examples=200, deadline=None)
@given(RESULTS)
def test_results_come_back_from_their_text(result):
    text = dumps(result.to_json())
    back = result_from_json(json.loads(text))
    assert dumps(back.to_json()) == text
    assert repr(back) == repr(result)
    assert repr(result.to_json()) == repr(asdict(result)), "to_json names every field, in order"


def test_results_with_unknown_fields_are_refused():
    raw = failed("oracle", "why").to_json()
    assert result_from_json(raw) == failed("oracle", "why")
    with pytest.raises(ValueError, match="no field 'zeal'"):
        result_from_json({**raw, "zeal": 1})
    with pytest.raises(ValueError, match="no field 'colour'"):
        result_from_json({**raw, "coefs": [{"term": "x", "colour": 1}]})


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_atomic(path, "one")
    assert path.read_text("utf-8") == "one"

    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomic(tmp_path / "taken", "two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "taken"], "no temporary file stays behind"
