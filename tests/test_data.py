"""Data files: what is read exactly, and what is refused with line and column."""

import hashlib
import math
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.data import check_panel, inside, load_data, open_data, sample
from crosscheck.errors import DataError
from crosscheck.frame import NA_INT, Column, Frame
from crosscheck.where import parse_where


def write(folder, content, name="panel.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder, content, kinds, **more):
    return load_data(write(folder, content), kinds, **more)


def refused(folder, content, kinds, *parts, **more):
    with pytest.raises(DataError) as caught:
        read(folder, content, kinds, where="study/panel.csv", **more)
    for part in (*parts, "study/panel.csv"):
        assert part in str(caught.value)


def texts(column):
    return [None if v < 0 else column.levels[v] for v in column.values]


def test_kinds(tmp_path):
    frame = read(
        tmp_path,
        "code,n,x,on,day,unused\n01,1,0.1,TRUE,2020-02-29,?\nNA,-2,1e-3,false,1969-12-31,?\n,,,,,\nT,7,Inf,1,2021-01-01,?\n",
        {"code": "category", "n": "integer", "x": "float", "on": "boolean", "day": "date"},
    )
    assert frame.names == ("code", "n", "x", "on", "day")
    assert texts(frame["code"]) == ["01", "NA", None, "T"]
    assert frame["code"].levels == ("01", "NA", "T")
    assert np.array_equal(frame["n"].values, [1, -2, np.nan, 7], equal_nan=True)
    assert np.array_equal(frame["x"].values, [0.1, 1e-3, np.nan, np.inf], equal_nan=True)
    assert frame["on"].values.tolist() == [1, 0, NA_INT, 1]
    assert frame["day"].values.tolist() == [18321, -1, NA_INT, 18628]
    assert frame.nrows == 4


def test_categories_stay_verbatim(tmp_path):
    cells = ["NA", "T", "TRUE", "01", " a", "a ", "null", "None", "nan", "1.0", "省份", "é", "e\u0301", "-", "0"]
    frame = read(tmp_path, "c\n" + "\n".join(f'"{c}"' for c in cells) + "\n", {"c": "category"})
    assert texts(frame["c"]) == cells
    assert frame["c"].levels == tuple(sorted(cells))


def test_missing_texts(tmp_path):
    content = "c,x\nNA,NA\n.,.\n,\na,1\n"
    kinds = {"c": "category", "x": "float"}
    frame = read(tmp_path, content, kinds, missing=["", ".", "NA"])
    assert texts(frame["c"]) == [None, None, None, "a"]
    assert np.isnan(frame["x"].values).tolist() == [True, True, True, False]
    by_column = read(tmp_path, content, kinds, missing={"x": ["", ".", "NA"]})
    assert texts(by_column["c"]) == ["NA", ".", None, "a"]
    assert np.isnan(by_column["x"].values).sum() == 3
    empty_is_a_level = read(tmp_path, "c,d\n,1\na,1\n", {"c": "category"}, missing=["NA"])
    assert texts(empty_is_a_level["c"]) == ["", "a"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_floats_are_read_to_the_last_bit(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("floats")
    for form in (repr, "{:.17g}".format, "{:.17e}".format):
        frame = read(folder, "x\n" + "\n".join(map(form, values)) + "\n", {"x": "float"})
        assert frame["x"].values.tobytes() == np.array(values).tobytes()


def test_integers(tmp_path):
    def values(*cells):
        return read(tmp_path, "n,k\n" + "".join(f"{c},1\n" for c in cells), {"n": "integer"})["n"].values

    assert values("1", "-2", "+3", "4.0", "1e+05").tolist() == [1, -2, 3, 4, 100000]
    assert values("1", "2147483647", "-2147483647").dtype == np.int32
    assert values("1", "2147483648").dtype == np.float64
    assert values("1", "-2147483648").dtype == np.float64
    assert values("1", "").dtype == np.float64
    assert values("9007199254740991").tolist() == [2**53 - 1]
    kinds = {"n": "integer"}
    refused(
        tmp_path, "n\n1\n9007199254740993\n", kinds, "line 3, column n", "too large to be held exactly", "a category"
    )
    refused(tmp_path, "n\n1\n2.5\n", kinds, "line 3, column n", "'2.5' is not a whole number", "float")
    refused(tmp_path, "n\nInf\n", kinds, "line 2, column n", "not a whole number")


@pytest.mark.parametrize(
    ("kind", "cell", "parts"),
    [
        ("float", "abc", ("'abc' is not a number",)),
        ("float", "NA", ("'NA' is not a number", 'missing = ["", "NA"] in [data]')),
        ("float", ".", ("'.' is not a number", 'missing = ["", "."] in [data]')),
        ("float", " ", ("is not a number", 'missing = ["", " "]')),
        ("float", '"1,234"', ("separators of thousands",)),
        ("float", '"0,5"', ("decimals after a point",)),
        ("float", "1_000", ("'1_000' is not a number",)),
        ("float", "nan", ("is not a number",)),
        ("float", "infinity", ("is not a number",)),
        ("float", "١٢", ("is not a number",)),
        ("float", "0x1p3", ("is not a number",)),
        ("float", "Illinois", ("declare the column a category",)),
        ("float", "--1", ("is not a number",)),
        ("float", "1e", ("is not a number",)),
        ("boolean", "T", ("'T' is not a boolean", "TRUE or FALSE")),
        ("boolean", "2", ("'2' is not a boolean",)),
        ("date", "2021-02-29", ("no day of the calendar",)),
        ("date", "31.12.2020", ("is not a date", "2004-12-31")),
        ("date", "20201231", ("is not a date",)),
        ("date", "2020-12-31T00:00", ("is not a date",)),
    ],
)
def test_wrong_cells_name_line_and_column(tmp_path, kind, cell, parts):
    good = {"float": "1.5", "boolean": "TRUE", "date": "2020-01-01"}[kind]
    lines = [f"{i},{good}" for i in range(15)]
    content = "id,lemp\n" + "\n".join([*lines, f"15,{cell}"]) + "\n"
    refused(tmp_path, content, {"lemp": kind}, "line 17, column lemp", *parts)


def test_lines_are_counted_across_quoted_newlines(tmp_path):
    refused(tmp_path, 'c,x\n"a\nb\nc",1\nd,oops\n', {"x": "float"}, "line 5, column x", "'oops'")


def test_infinities_and_spaces(tmp_path):
    values = read(tmp_path, "x\n Inf\n-Inf\ninf\nNaN\n 1.5 \n", {"x": "float"})["x"].values
    assert np.array_equal(values, [math.inf, -math.inf, math.inf, math.nan, 1.5], equal_nan=True)


def test_encodings_and_line_ends(tmp_path):
    plain = "省份,x\n北京,1\n上海,2\n"
    for content in (plain, "\ufeff" + plain, plain.replace("\n", "\r\n"), plain.rstrip("\n"), plain + "\n\n"):
        frame = read(tmp_path, content, {"省份": "category", "x": "float"})
        assert texts(frame["省份"]) == ["北京", "上海"]
        assert frame["x"].values.tolist() == [1.0, 2.0]
    refused(tmp_path, plain.encode("gb18030"), {"x": "float"}, "not UTF-8", "line 1", "iconv -f GB18030")
    refused(tmp_path, plain.encode("utf-16"), {"x": "float"}, "NUL", "UTF-16")
    refused(tmp_path, "x\n1\n2\x00\n", {"x": "float"}, "NUL", "line 3")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ("the data file is empty",)),
        ("\n \n", ("the data file is empty",)),
        ("x,y\n", ("a header and no rows",)),
        ("x,y\n1,2\n3\n", ("line 3", "the line has 1 field, the header 2")),
        ("x,y\n1,2\n3,4,5\n", ("line 3", "the line has 3 fields, the header 2", "quotation marks")),
        ("x,y\n1,2\n\n3,4\n", ("line 3", "the line is empty")),
        ("x,y,x\n1,2,3\n", ("columns 1 and 3 are both named 'x'",)),
        ("x;y\n1;2\n", ("one column", "by commas")),
        ("x\ty\n1\t2\n", ("one column", "by commas")),
        (",\n1,2\n", ("does not name the columns",)),
        ('x,y\n1,"2\n3,4\n', ("the CSV is malformed", "line 2")),
        ('x,y\n1,"2"3\n', ("the CSV is malformed", "line 2")),
    ],
)
def test_malformed_files(tmp_path, content, parts):
    refused(tmp_path, content, {"x": "float"}, *parts)


def test_an_unnamed_column_that_is_not_used_is_fine(tmp_path):
    frame = read(tmp_path, '"",x\n"1",0.5\n"2",0.25\n', {"x": "float"})
    assert frame["x"].values.tolist() == [0.5, 0.25]


def test_declarations_are_checked(tmp_path):
    content = "state,x\nal,1\naz,2\n"
    refused(tmp_path, content, {"sate": "category"}, "there is no column 'sate'", "state, x", "did you mean 'state'?")
    refused(tmp_path, content, {"x": "flaot"}, "the kind 'flaot'", "category, integer", "did you mean 'float'?")
    refused(tmp_path, content, {"x": "float"}, "is not declared a category", levels={"x": ["1", "2"]})
    kinds = {"state": "category"}
    assert read(tmp_path, content, kinds, levels={"state": ["az", "al"]})["state"].levels == ("az", "al")
    refused(tmp_path, content, kinds, "line 3, column state", "'az' is not a declared", levels={"state": ["al", "ax"]})
    with pytest.raises(DataError, match=r"'ca' of state in \[data.levels\] does not occur"):
        read(tmp_path, content, kinds, levels={"state": ["az", "al", "ca"]})
    with pytest.raises(DataError, match="declared twice"):
        read(tmp_path, content, kinds, levels={"state": ["az", "al", "az"]})
    refused(tmp_path, "a`b,x\n1,2\n", {"a`b": "float"}, "a column name cannot hold '`'")
    refused(tmp_path, ".,x\n1,2\n", {".": "float"}, "cannot be named '.'")


def test_kinds_are_suggested_and_never_guessed(tmp_path):
    content = (
        "id,fips,x,y,on,day,name,big,miss\n"
        "1,01,1.5,2,TRUE,2020-01-01,al,12345678901234567,\n"
        "2,02,,3,FALSE,2020-01-02,az,1,\n"
    )
    file = open_data(write(tmp_path, content))
    assert {name: file.suggest_kind(name) for name in file.header} == {
        "id": "integer", "fips": "category", "x": "float", "y": "integer", "on": "boolean", "day": "date",
        "name": "category", "big": "category", "miss": "float",
    }  # fmt: skip
    assert file.nrows == 2
    assert file.sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert file.place(1) == "line 3"


def table():
    return pd.DataFrame(
        {
            "state": ["al", None, "az"],
            "code": [1, 2, 3],
            "x": [0.1, np.nan, 1e300],
            "n": pd.array([1, None, 3], dtype="Int64"),
            "on": [True, False, True],
            "day": pd.to_datetime(["2020-01-01", None, "2021-02-03"]),
        }
    )


KINDS = {"state": "category", "code": "category", "x": "float", "n": "integer", "on": "boolean", "day": "date"}


def check_table(frame):
    assert texts(frame["state"]) == ["al", None, "az"]
    assert texts(frame["code"]) == ["1", "2", "3"]
    assert np.array_equal(frame["x"].values, [0.1, np.nan, 1e300], equal_nan=True)
    assert np.array_equal(frame["n"].values, [1, np.nan, 3], equal_nan=True)
    assert frame["on"].values.tolist() == [1, 0, 1]
    assert frame["day"].values.tolist() == [18262, NA_INT, 18661]


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the Python package pyarrow")
    path = tmp_path / "panel.parquet"
    table().to_parquet(path)
    check_table(load_data(path, KINDS))
    with pytest.raises(DataError, match="not a whole number") as caught:
        load_data(path, {"x": "integer"})
    assert "row 1, column x" in str(caught.value)
    with pytest.raises(DataError, match="is not a number"):
        load_data(path, {"state": "float"})
    with pytest.raises(DataError, match="is a float and not a category"):
        load_data(path, {"x": "category"})
    with pytest.raises(DataError, match="is not a boolean"):
        load_data(path, {"code": "boolean"})
    assert open_data(path).suggest_kind("day") == "date"
    assert open_data(path).suggest_kind("on") == "boolean"
    assert open_data(path).suggest_kind("n") == "integer"
    with pytest.raises(DataError, match="the parquet file cannot be read"):
        load_data(write(tmp_path, "no parquet", "b.parquet"), {"x": "float"})


def test_times_of_day_are_refused(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the Python package pyarrow")
    path = tmp_path / "panel.parquet"
    pd.DataFrame({"day": pd.to_datetime(["2020-01-01 12:00"])}).to_parquet(path)
    with pytest.raises(DataError, match="has a time of day"):
        load_data(path, {"day": "date"})


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path, "anything", "panel.parquet")
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match="need the package pyarrow") as caught:
        load_data(path, {"x": "float"})
    assert "crosscheck[parquet]" in str(caught.value)


def test_stata(tmp_path):
    path = tmp_path / "panel.dta"
    stata = table().assign(state=["al", "", "az"], n=[1.0, np.nan, 3.0], on=[1, 0, 1])
    stata.to_stata(path, write_index=False, convert_dates={"day": "td"}, version=118)
    check_table(load_data(path, KINDS))
    with pytest.raises(DataError, match="the Stata file cannot be read"):
        load_data(write(tmp_path, "no stata", "b.dta"), {"x": "float"})


def test_formats(tmp_path):
    with pytest.raises(DataError, match="no known format") as caught:
        open_data(write(tmp_path, "x\n1\n", "panel.xlsx"))
    assert ".csv, .parquet, .dta" in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        open_data(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    "written",
    ["../secret.csv", "/etc/passwd", "a/../../x.csv", "C:\\x.csv", "C:/x.csv", "~/x.csv", "", "a\\b.csv", "a\0b"],
)
def test_paths_stay_in_the_folder(tmp_path, written):
    with pytest.raises(DataError, match="does not name a file of the study"):
        inside(tmp_path, written, what="data.path")


def test_links_stay_in_the_folder(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    outside = write(tmp_path, "x\n1\n", "outside.csv")
    (folder / "link.csv").symlink_to(outside)
    (folder / "sub").symlink_to(tmp_path)
    for written in ("link.csv", "sub/outside.csv"):
        with pytest.raises(DataError, match="leads out of the study's folder"):
            inside(folder, written, what="data.path")
    write(folder, "x\n1\n", "real.csv")
    (folder / "inner.csv").symlink_to(folder / "real.csv")
    assert inside(folder, "inner.csv", what="data.path").read_text() == "x\n1\n"
    with pytest.raises(DataError, match=r"there is no file 'rael\.csv'") as caught:
        inside(folder, "rael.csv", what="data.path", where="study.toml, data.path")
    assert "did you mean 'real.csv'?" in str(caught.value)
    assert "study.toml, data.path" in str(caught.value)


def test_repeated_units(tmp_path):
    content = "id,year,x\na,2001,1\nb,2001,1\n,2001,1\n,2001,1\na,2002,1\nb,2001,2\na,2001,3\n"
    kinds = {"id": "category", "year": "integer", "x": "float"}
    file = open_data(write(tmp_path, content), where="panel.csv")
    with pytest.raises(DataError) as caught:
        check_panel(file.frame(kinds), "id", "year", file=file)
    message = str(caught.value)
    assert "id = 'b', year = '2001' occurs twice: line 3 and line 7" in message
    assert "repeated = true" in message
    check_panel(read(tmp_path, content.replace("b,2001,2\na,2001,3\n", ""), kinds), "id", "year")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), max_size=14))
def test_repeated_units_by_brute_force(pairs):
    frame = Frame(
        (
            Column("u", "category", np.array([u for u, _ in pairs], dtype=np.int32), ("a", "b", "c", "d")),
            Column("t", "integer", np.array([t for _, t in pairs], dtype=np.int32)),
        ),
        len(pairs),
    )
    known = [p for p in pairs if p[0] >= 0]
    if len(set(known)) == len(known):
        check_panel(frame, "u", "t")
    else:
        second = next(i for i, p in enumerate(pairs) if p[0] >= 0 and p in pairs[:i])
        first = pairs.index(pairs[second])
        with pytest.raises(DataError) as caught:
            check_panel(frame, "u", "t")
        assert caught.value.what.endswith(f"row {first + 1} and row {second + 1}")


def test_samples(tmp_path):
    kinds = {"region": "category", "year": "integer", "x": "float"}
    frame = read(tmp_path, "region,year,x\nE,2001,1\nW,2001,2\nE,2002,3\n", kinds)
    chosen = sample(frame, parse_where("region == 'E'", kinds), ["x", "region"])
    assert chosen.names == ("region", "x")
    assert chosen["x"].values.tolist() == [1.0, 3.0]
    assert chosen["region"].levels == ("E",)
    assert chosen.row_ids.tolist() == [0, 2]
    assert sample(frame, None).key == frame.key
    with pytest.raises(DataError) as caught:
        sample(frame, parse_where("year > 2005 and region == 'E'", kinds), label="study.toml, table[1]")
    message = str(caught.value)
    assert 'no row is left after the filter `year` > 2005 and `region` == "E"' in message
    assert "year: 2001, 2002; region: 'E', 'W'" in message
    assert "study.toml, table[1]" in message
    with pytest.raises(DataError, match="region is never 'Est' in the data") as caught:
        sample(frame, parse_where("region != 'Est'", kinds))
    assert "'E', 'W'" in str(caught.value)


def test_files_are_not_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("crosscheck.data.MAX_BYTES", 3)
    with pytest.raises(DataError, match="the data file has 4 bytes"):
        open_data(write(tmp_path, "x\n1\n"))
