"""Does every value reach R, and come back, exactly or not at all?

The kinds of damage are those that converting a pandas frame to R does silently: 64-bit integers become text or missing,
dates shift, texts are cut at NUL. Here each is refused before it travels, or arrives bit for bit.
"""

from __future__ import annotations

import decimal
import math
import struct

import numpy as np
import pytest

from crosscheck.errors import DataError
from crosscheck.frame import Column, Frame, decode
from tests.r_support import BRIDGES, FAULTS, fault, frame, number, skip_without_bridge, texts, values, whole, worker


@pytest.fixture(scope="module", params=BRIDGES)
def r(request):
    skip_without_bridge(request.param)
    with worker(request.param, scripts=(FAULTS,)) as made:
        yield made


def echo(r, column):
    result = r.fit("r.fault", fault("echo", column=column.name), frame(column))
    assert result.status == "ok", result.reason
    return list(values(result).values()), texts(result)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def test_ten_thousand_doubles_are_the_same_bits_both_ways(r):
    rng = np.random.default_rng(20)
    random = rng.integers(0, 2**64, size=10_000, dtype=np.uint64).view(np.float64)
    random = random[np.isfinite(random)]
    ordinary = rng.normal(size=2000) * 10.0 ** rng.integers(-20, 20, size=2000)
    special = [
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        0.1,
        1 / 3,
        1e22,
        2**53 + 0.0,
    ]
    sent = np.concatenate([random, ordinary, special])
    got, seen = echo(r, number("x", sent))
    assert seen["typeof"] == "double"
    assert [bits(v) for v in got] == [bits(v) for v in sent.tolist()]


def test_missing_and_infinite_doubles(r):
    got, seen = echo(r, number("x", [1.5, math.nan, math.inf, -math.inf]))
    assert got[0] == 1.5
    assert got[1] is not None
    assert math.isnan(got[1])
    assert got[2:] == [math.inf, -math.inf]
    assert seen["missing"] == "2"


def test_integers_are_exact_to_the_edge(r):
    edge = [-(2**31) + 1, -1, 0, 1, 2**31 - 1]
    got, seen = echo(r, whole("i", edge))
    assert got == edge
    assert seen["typeof"] == "integer"


def test_the_integer_that_r_reserves_for_missing_is_a_number(r):
    got, seen = echo(r, whole("i", [-(2**31), 5]))
    assert got == [-(2.0**31), 5.0]
    assert seen["missing"] == ""


def test_large_integers_travel_as_doubles(r):
    values_ = np.array([2.0**31, -(2.0**31), 2.0**53, np.nan])
    got, seen = echo(r, Column("i", "integer", values_))
    assert got[:3] == values_[:3].tolist()
    assert seen["missing"] == "4"


def test_booleans_dates_and_categories(r):
    na = -(2**31)
    got, seen = echo(r, Column("b", "boolean", np.array([1, 0, na], dtype=np.int32)))
    assert (got, seen["missing"]) == ([1.0, 0.0, None], "3")
    got, seen = echo(r, Column("d", "date", np.array([0, -1, 20000, na], dtype=np.int32)))
    assert (got, seen["missing"]) == ([0.0, -1.0, 20000.0, None], "4")
    levels = (
        "NA",
        "01",
        "T",
        "1e5",
        "",
        "省份 😀",
        'a"b',
        "back\\slash",
        "tab\tand\nline",
        "if",
        "`tick`",
        "b",
        "B",
        "a",
        "A",
    )
    codes = np.array([*range(len(levels)), -1], dtype=np.int32)
    got, seen = echo(r, Column("c", "category", codes, levels))
    assert got == [*(float(i + 1) for i in range(len(levels))), None]
    assert tuple(seen[f"level{i + 1}"] for i in range(len(levels))) == levels


@pytest.mark.parametrize("name", ["ln(Labor)", "省份", "my var", "T", "if", ".x", "_y", "a\\b", 'q"q', "ccn1z", "1st"])
def test_any_name_of_a_column_arrives(r, name):
    got, _ = echo(r, number(name, [1.0, 2.0]))
    assert got == [1.0, 2.0]


@pytest.mark.parametrize(
    "values_",
    [
        np.array([1, 2], dtype=np.int64),
        np.array([1, 2], dtype=np.uint32),
        np.array([1, 2], dtype=np.uint64),
        np.array([1, 2], dtype=np.float32),
        np.array([1, 2], dtype=np.float16),
        np.array([True, False]),
        np.array([1 + 2j, 0]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.array([1], dtype="timedelta64[D]"),
        np.array([decimal.Decimal("1.1")], dtype=object),
        np.array([1.5, "a"], dtype=object),
        np.array(["a", "b"]),
        np.ones((2, 2)),
    ],
    ids=lambda v: f"{v.dtype}-{v.ndim}d",
)
def test_types_that_would_be_damaged_are_refused(values_):
    for kind in ("float", "integer", "boolean", "date", "category"):
        with pytest.raises(DataError):
            Column("x", kind, values_)


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match="same name"):
        frame(number("x", [1.0]), number("x", [2.0]))


def test_codes_beyond_the_levels_are_refused():
    with pytest.raises(DataError, match="outside"):
        Column("c", "category", np.array([0, 3], dtype=np.int32), ("a", "b"))


@pytest.mark.parametrize("text", ["cut\x00here", "lone \ud800 surrogate"])
def test_texts_that_no_language_holds_are_refused(r, text):
    """R would cut the first at its NUL; the second is no Unicode. The worker is not even asked."""
    for column in (number(text, [1.0]), Column("c", "category", np.array([0], dtype=np.int32), (text,))):
        result = r.fit("r.fault", fault("none"), frame(column))
        assert result.status == "error"
        assert "NUL" in result.reason or "not valid Unicode" in result.reason
    assert r.fit("r.fault", fault("none"), frame(number("x", [1.0]))).status == "ok"


def test_big_endian_and_strided_columns_are_packed_alike():
    plain = number("x", [1.5, -2.5, 3.5])
    swapped = Column("x", "float", plain.values.astype(">f8"))
    strided = Column("x", "float", np.repeat(plain.values, 2)[::2])
    packed = [frame(c).encode() for c in (plain, swapped, strided)]
    assert packed[0] == packed[1] == packed[2]


def test_a_decoded_frame_is_a_copy_with_the_same_key():
    made = frame(number("x", [1.5, math.nan]), whole("i", [1, 2]))
    described, payload = made.encode()
    buffer = bytearray(payload)
    back = decode(described, buffer, made.nrows)
    assert back.key == made.key
    buffer[:] = bytes(len(buffer))
    assert back.key == made.key
    with pytest.raises(DataError, match="arrived with"):
        decode(described, payload[:-8], made.nrows)


def test_a_wide_frame_arrives_whole(r):
    columns = [number(f"v{i}", np.arange(50.0) + i) for i in range(400)]
    wide = Frame(tuple(columns), 50)
    result = r.fit("r.fault", fault("echo", column="v399"), wide)
    assert list(values(result).values()) == [i + 399.0 for i in range(50)]


def test_twenty_thousand_reads_of_r_memory_leave_the_worker_well(r):
    """rpy2's own memoryview() takes a reference from None at each call, and the process ends after some thousand."""
    starts = r.starts
    result = r.fit("r.fault", fault("scalars"), frame(number("x", [1.0])))
    assert result.dropped == tuple(float(i) for i in range(1, 20_001))
    assert r.starts == starts


def test_a_long_frame_arrives_whole(r):
    long = number("x", np.random.default_rng(1).normal(size=300_000))
    extra = whole("i", np.arange(300_000))
    result = r.fit("r.fault", fault("none"), frame(long, extra))
    assert result.status == "ok"
    got, _ = echo(r, number("y", long.values[-2000:]))
    assert got == long.values[-2000:].tolist()
