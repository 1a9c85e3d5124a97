"""Model matrices against closed forms, brute force, names recorded from fixest, and fixest itself where it is there."""

import itertools
import math
import os
import re
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.errors import DataError
from crosscheck.formula import emit, parse
from crosscheck.frame import NA_INT, Column, Frame
from crosscheck.modelmatrix import combined_codes, evaluate, lagged, model_matrix, orthogonal_polynomials
from tests.engine_helpers import why_no_fixest

N = 60


def data():
    """Sixty rows: 15 units in 4 years, every kind of column, nothing random."""
    k = np.arange(N)
    wave = lambda a, b: np.sin(a * k + b) + 0.01 * k  # noqa: E731
    return Frame(
        (
            Column("y", "float", wave(1.7, 0.3)),
            Column("x", "float", wave(2.3, 1.1)),
            Column("z", "float", wave(0.9, 2.2)),
            Column("w", "float", np.exp(np.cos(1.3 * k))),
            Column("f", "category", (k % 3).astype(np.int32), ("b", "a", "c")),
            Column("g", "category", ((k * 7) % 5 % 2).astype(np.int32), ("low", "high")),
            Column("year", "integer", (2001 + k % 4).astype(np.int32)),
            Column("unit", "integer", (k // 4).astype(np.int32)),
            Column("on", "boolean", (k % 4 == 3).astype(np.int32) | (k % 7 == 1).astype(np.int32)),
            Column("day", "date", (18262 + k % 3).astype(np.int32)),
            Column("ln(Labor)", "float", wave(3.1, 0.2)),
            Column("my var", "float", wave(0.5, 0.9)),
            Column("T", "float", wave(1.1, 0.1)),
            Column("if", "float", wave(2.9, 0.4)),
            Column("省份", "category", (k % 4 // 2).astype(np.int32), ("甲", "乙")),
        ),
        N,
    )


# Names of coefficients and, after "|", of collinear columns left out: feols(fixef.rm = "none") of fixest 0.14.2 under
# R 4.2.2, on data(), its categories as factors with these levels. test_fixest_agrees runs them again where fixest is.
RECORDED = {
    "y ~ x": "(Intercept); x",
    "y ~ x + z - 1": "x; z",
    "y ~ 1": "(Intercept)",
    "y ~ i(f)": "(Intercept); f::a; f::c",
    "y ~ i(year)": "(Intercept); year::2002; year::2003; year::2004",
    "y ~ i(f) - 1": "f::b; f::a; f::c",
    "y ~ i(year) | unit": "year::2002; year::2003; year::2004",
    "y ~ i(year) + i(f) - 1": "year::2001; year::2002; year::2003; year::2004; f::a; f::c",
    "y ~ i(year, ref = 2002)": "(Intercept); year::2001; year::2003; year::2004",
    "y ~ i(year, ref = 2002) + i(f) - 1": "year::2001; year::2003; year::2004; f::a; f::c",
    "y ~ i(year, x)": "(Intercept); year::2001:x; year::2002:x; year::2003:x; year::2004:x",
    "y ~ i(year, x) | unit": "year::2001:x; year::2002:x; year::2003:x; year::2004:x",
    "y ~ i(year, x, ref = 2002) | unit": "year::2001:x; year::2003:x; year::2004:x",
    "y ~ i(year, x) + i(f) - 1": "year::2001:x; year::2002:x; year::2003:x; year::2004:x; f::a; f::c",
    'y ~ i(f, ref = "a")': "(Intercept); f::b; f::c",
    "y ~ i(f, on)": "(Intercept); f::b:on; f::a:on; f::c:on",
    "y ~ i(on)": "(Intercept); on::TRUE",
    "y ~ i(on, x)": "(Intercept); on::FALSE:x; on::TRUE:x",
    "y ~ i(day)": "(Intercept); day::2020-01-02; day::2020-01-03",
    'y ~ i(day, ref = "2020-01-02")': "(Intercept); day::2020-01-01; day::2020-01-03",
    "y ~ i(f, x) + x": "(Intercept); f::b:x; f::a:x; f::c:x | x",
    "y ~ x + i(f, x)": "(Intercept); x; f::b:x; f::a:x | f::c:x",
    "y ~ i(f) + i(f, x)": "(Intercept); f::a; f::c; f::b:x; f::a:x; f::c:x",
    "y ~ f": "(Intercept); fa; fc",
    "y ~ f - 1": "fb; fa; fc",
    "y ~ x + f - 1": "x; fb; fa; fc",
    "y ~ f + g - 1": "fb; fa; fc; ghigh",
    "y ~ factor(f) + factor(year)": (
        "(Intercept); factor(f)a; factor(f)c; factor(year)2002; factor(year)2003; factor(year)2004"
    ),
    "y ~ factor(f) + factor(year) - 1": (
        "factor(f)b; factor(f)a; factor(f)c; factor(year)2002; factor(year)2003; factor(year)2004"
    ),
    "y ~ i(f) + factor(year) - 1": (
        "f::b; f::a; f::c; factor(year)2001; factor(year)2002; factor(year)2003 | factor(year)2004"
    ),
    "y ~ factor(f) + i(year) - 1": (
        "factor(f)b; factor(f)a; factor(f)c; year::2001; year::2002; year::2003 | year::2004"
    ),
    "y ~ factor(year) | unit": "factor(year)2002; factor(year)2003; factor(year)2004",
    "y ~ on": "(Intercept); onTRUE",
    "y ~ on - 1": "onFALSE; onTRUE",
    "y ~ on:x": "(Intercept); onFALSE:x; onTRUE:x",
    "y ~ x + on:x": "(Intercept); x; x:onTRUE",
    "y ~ on + on:x | unit": "onTRUE; onFALSE:x; onTRUE:x",
    "y ~ factor(year):x": (
        "(Intercept); factor(year)2001:x; factor(year)2002:x; factor(year)2003:x; factor(year)2004:x"
    ),
    "y ~ factor(year)*x": (
        "(Intercept); factor(year)2002; factor(year)2003; factor(year)2004; x; factor(year)2002:x; "
        "factor(year)2003:x; factor(year)2004:x"
    ),
    "y ~ x + x:f": "(Intercept); x; x:fa; x:fc",
    "y ~ f + x:f - 1": "fb; fa; fc; fb:x; fa:x; fc:x",
    "y ~ 0 + x + x:f": "x; x:fb; x:fa | x:fc",
    "y ~ -1 + x:f": "x:fb; x:fa; x:fc",
    "y ~ f:g": "(Intercept); fb:glow; fa:glow; fc:glow; fb:ghigh; fa:ghigh | fc:ghigh",
    "y ~ f:g - 1": "fb:glow; fa:glow; fc:glow; fb:ghigh; fa:ghigh; fc:ghigh",
    "y ~ f*g": "(Intercept); fa; fc; ghigh; fa:ghigh; fc:ghigh",
    "y ~ f*factor(year)": (
        "(Intercept); fa; fc; factor(year)2002; factor(year)2003; factor(year)2004; fa:factor(year)2002; "
        "fc:factor(year)2002; fa:factor(year)2003; fc:factor(year)2003; fa:factor(year)2004; "
        "fc:factor(year)2004"
    ),
    "y ~ f*factor(year) | unit": (
        "fa; fc; factor(year)2002; factor(year)2003; factor(year)2004; fa:factor(year)2002; "
        "fc:factor(year)2002; fa:factor(year)2004; fc:factor(year)2004 | fa:factor(year)2003; "
        "fc:factor(year)2003"
    ),
    "y ~ factor(f):factor(year)": (
        "(Intercept); factor(f)b:factor(year)2001; factor(f)a:factor(year)2001; "
        "factor(f)c:factor(year)2001; factor(f)b:factor(year)2002; factor(f)a:factor(year)2002; "
        "factor(f)c:factor(year)2002; factor(f)b:factor(year)2003; factor(f)a:factor(year)2003; "
        "factor(f)c:factor(year)2003; factor(f)b:factor(year)2004; "
        "factor(f)a:factor(year)2004 | factor(f)c:factor(year)2004"
    ),
    "y ~ x + f:g": "(Intercept); x; fb:glow; fa:glow; fc:glow; fb:ghigh; fa:ghigh | fc:ghigh",
    "y ~ f*g*on - f:g": (
        "(Intercept); fa; fc; ghigh; onTRUE; fa:onTRUE; fc:onTRUE; ghigh:onTRUE; fa:ghigh:onFALSE; "
        "fc:ghigh:onFALSE; fa:ghigh:onTRUE; fc:ghigh:onTRUE"
    ),
    "y ~ x*z*T": "(Intercept); x; z; T; x:z; x:T; z:T; x:z:T",
    "y ~ x:z + x": "(Intercept); x; x:z",
    "y ~ x^2 + z^3": "(Intercept); I(x^2); I(z^3)",
    "y ~ I(x^2) + log(w) + I((x + z)/2) + exp(x) + sqrt(w) + abs(z)": (
        "(Intercept); I(x^2); log(w); I((x + z)/2); exp(x); sqrt(w); abs(z)"
    ),
    "y ~ poly(x, 2)": "(Intercept); poly(x, 2)1; poly(x, 2)2",
    "y ~ poly(x, 1) + poly(z, 3)": "(Intercept); poly(x, 1); poly(z, 3)1; poly(z, 3)2; poly(z, 3)3",
    "y ~ lag(x, 1)": "(Intercept); lag(x, 1)",
    "y ~ lag(x, -1) + log(lag(w, 2))": "(Intercept); lag(x, -1); log(lag(w, 2))",
    "y ~ lag(x, 1) | unit": "lag(x, 1)",
    "y ~ x | f^year + unit": "x",
    "y ~ x | unit | z ~ w": "z; x",
    "y ~ x | z ~ i(f)": "(Intercept); z; x",
    "y ~ x - 1 | z ~ factor(f) + w": "z; x",
    "y ~ 1 | unit | z ~ w + T": "z",
    "y ~ x | I(z^2) ~ w": "(Intercept); I(z^2); x",
    "y ~ x | log(w) + z ~ T + `if` + g": "(Intercept); log(w); z; x",
    "log(w) ~ x | f": "x",
    "y ~ `ln(Labor)` + `my var` + `if` + T": "(Intercept); ln(Labor); my var; if; T",
    "y ~ I(`ln(Labor)`/`my var`) + `my var`:T": "(Intercept); I(ln(Labor)/my var); my var:T",
    "y ~ i(省份) + i(省份, `my var`)": "(Intercept); 省份::乙; 省份::甲:my var; 省份::乙:my var",
    "`ln(Labor)` ~ x + 省份 | unit": "x; 省份乙",
}


def split(names):
    return [n for n in names.split("; ") if n]


def columns_of(text):
    frame = data()
    return model_matrix(parse(text), frame, unit="unit", time="year")


@pytest.mark.parametrize("text", RECORDED)
def test_names_are_those_of_fixest(text):
    kept, _, dropped = RECORDED[text].partition(" | ")
    matrix = columns_of(text)
    names = [*matrix.endogenous_names, *matrix.names]
    assert sorted(names) == sorted([*split(kept), *split(dropped)])
    if not matrix.endogenous_names and not (dropped and matrix.fe_names):  # there fixest picks others to leave out
        independent = independent_columns(matrix)
        assert [n for n, k in zip(matrix.names, independent, strict=True) if k] == split(kept)


def within(matrix, columns):
    """Residuals of columns on the dummies of the fixed effects, by least squares."""
    blocks = [np.eye(int(codes.max()) + 1)[codes] for codes in matrix.fe_codes.T]
    if not blocks:
        return columns
    dummies = np.hstack(blocks)
    return columns - dummies @ np.linalg.lstsq(dummies, columns, rcond=None)[0]


def independent_columns(matrix):
    """Mark the columns that are not combinations of those before them (and of the fixed effects)."""
    x = within(matrix, matrix.X)
    keep, rank = [], 0
    for j in range(x.shape[1]):
        trial = x[:, [*np.flatnonzero(keep), j]]
        scaled = trial / np.maximum(np.linalg.norm(matrix.X[:, [*np.flatnonzero(keep), j]], axis=0), 1e-300)
        keep.append(bool(np.linalg.matrix_rank(scaled, tol=1e-8) > rank))
        rank += keep[-1]
    return keep


FIXEST = r"""
suppressMessages(library(fixest)); setFixest_nthreads(1)
args <- commandArgs(trailingOnly = TRUE)
read <- function(name) readLines(file.path(args[1], name), encoding = "UTF-8")
types <- read.csv(file.path(args[1], "types.csv"), colClasses = "character", encoding = "UTF-8", check.names = FALSE)
d <- read.csv(file.path(args[1], "data.csv"), colClasses = "character", encoding = "UTF-8", check.names = FALSE)
for (i in seq_len(nrow(types))) {
  v <- d[[types$name[i]]]
  d[[types$name[i]]] <- switch(types$kind[i], float = as.numeric(v), integer = as.integer(v), boolean = as.logical(v),
    date = as.Date(v), category = factor(v, levels = strsplit(types$levels[i], "\t")[[1]]))
}
formulas <- read("formulas.txt")
for (i in seq_along(formulas)) {
  m <- feols(as.formula(formulas[i]), d, fixef.rm = "none", notes = FALSE, panel.id = ~ unit + year,
             fixef.tol = 1e-11, collin.tol = 1e-9)
  b <- coef(m)
  cat(sprintf("%d\tcoef\t%s\t%.17g\n", i, names(b), b), sep = "")
  if (length(m$collin.var)) cat(sprintf("%d\tdropped\t%s\t0\n", i, m$collin.var), sep = "")
  cat(sprintf("%d\tnobs\tnobs\t%d\n", i, nobs(m)))
}
"""


def ask_fixest(folder, frame, texts):
    """Return, for each formula, {"coef": {name: value}, "dropped": [...], "nobs": n}."""

    def cell(column, value):
        if column.kind == "category":
            return "" if value < 0 else column.levels[value]
        if column.kind in ("boolean", "date"):
            if value == NA_INT:
                return ""
            return str(bool(value)).upper() if column.kind == "boolean" else str(np.datetime64(int(value), "D"))
        return "" if math.isnan(value) else ("Inf" if value == math.inf else repr(value))

    rows = zip(*([cell(c, v) for v in c.values.tolist()] for c in frame.columns), strict=True)
    quoted = lambda items: ",".join(f'"{i}"' for i in items)  # noqa: E731
    (folder / "data.csv").write_text("\n".join([quoted(frame.names), *map(quoted, rows)]) + "\n", "utf-8")
    types = [quoted((c.name, c.kind, "\t".join(c.levels))) for c in frame.columns]
    (folder / "types.csv").write_text("\n".join(['"name","kind","levels"', *types]) + "\n", "utf-8")
    # fixest calls lag() l()
    emitted = [re.sub(r"\blag\(", "l(", emit(parse(t))) for t in texts]
    (folder / "formulas.txt").write_text("\n".join(emitted) + "\n", "utf-8")
    (folder / "ask.R").write_text(FIXEST, "utf-8")
    run = subprocess.run(
        ["Rscript", "--vanilla", str(folder / "ask.R"), str(folder)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
    )
    assert run.returncode == 0, run.stderr
    answers = {t: {"coef": {}, "dropped": [], "nobs": 0} for t in texts}
    for line in run.stdout.splitlines():
        index, what, name, value = line.split("\t")
        name = name.replace("`", "").replace("I(I(", "I(").removeprefix("fit_")
        name = (
            name[:-1] if name.startswith("I(") and name.endswith("))") and name.count("(") < name.count(")") else name
        )
        name = re.sub(r"(?<![\w.])l\(", "lag(", name)
        answer = answers[texts[int(index) - 1]]
        if what == "coef":
            answer["coef"][name] = float(value)
        elif what == "dropped":
            answer["dropped"].append(name)
        else:
            answer["nobs"] = int(value)
    return answers


def least_squares(matrix):
    """OLS or two-stage least squares after projecting out the fixed effects; collinear columns left out."""
    keep = independent_columns(matrix)
    x = within(matrix, matrix.X[:, keep])
    y = within(matrix, matrix.y)
    names = [n for n, k in zip(matrix.names, keep, strict=True) if k]
    if matrix.endogenous_names:
        d = within(matrix, matrix.endogenous)
        instruments = np.hstack([within(matrix, matrix.instruments), x])
        fitted = instruments @ np.linalg.lstsq(instruments, d, rcond=None)[0]
        x, names = np.hstack([fitted, x]), [*matrix.endogenous_names, *names]
    return dict(zip(names, np.linalg.lstsq(x, y, rcond=None)[0], strict=True))


@pytest.fixture(scope="module")
def fixest(tmp_path_factory):
    reason = why_no_fixest()
    if reason:
        pytest.skip(reason)
    return ask_fixest(tmp_path_factory.mktemp("fixest"), data(), list(RECORDED))


@pytest.mark.parametrize("text", RECORDED)
def test_fixest_agrees(fixest, text):
    answer = fixest[text]
    kept, _, dropped = RECORDED[text].partition(" | ")
    assert list(answer["coef"]) == split(kept)
    assert sorted(answer["dropped"]) == sorted(split(dropped))
    matrix = columns_of(text)
    assert answer["nobs"] == matrix.y.size
    if dropped and matrix.fe_names:
        return  # which of the collinear columns goes is the estimator's choice; the names are compared above
    mine = least_squares(matrix)
    assert set(mine) == set(answer["coef"])
    for name, value in answer["coef"].items():
        assert mine[name] == pytest.approx(value, rel=1e-7, abs=1e-9)


def holed():
    """The data with a missing and an infinite value in every column that can have one."""
    frame, columns = data(), []
    for i, column in enumerate(frame.columns):
        values = column.values.copy()
        if column.kind == "float":
            values[i], values[i + 20] = np.nan, np.inf
        elif column.kind == "category":
            values[i] = -1
        elif column.kind in ("boolean", "date"):
            values[i] = NA_INT
        columns.append(Column(column.name, column.kind, values, column.levels))
    return Frame(tuple(columns), N)


HOLED = (
    "y ~ x + log(w) | f",
    "y ~ i(f) + factor(g) + on + z",
    "y ~ x | f^g | z ~ T",
    "y ~ i(day) + I(x/z) + lag(x, 1)",
)


def test_missing_and_infinite_values_leave_the_same_rows_as_fixest(tmp_path):
    if why_no_fixest():
        pytest.skip(why_no_fixest())
    answers = ask_fixest(tmp_path, holed(), HOLED)
    for text in HOLED:
        matrix = model_matrix(parse(text), holed(), unit="unit", time="year")
        assert matrix.y.size == answers[text]["nobs"]
        mine = least_squares(matrix)
        assert set(mine) == set(answers[text]["coef"])
        for name, value in answers[text]["coef"].items():
            assert mine[name] == pytest.approx(value, rel=1e-7, abs=1e-9)


def test_rows_are_counted_and_named():
    frame = holed()
    matrix = model_matrix(parse("y ~ x | f"), frame)
    bad = ~(np.isfinite(frame["y"].values) & np.isfinite(frame["x"].values)) | (frame["f"].values < 0)
    assert matrix.n_missing_dropped == bad.sum() == 5
    assert np.array_equal(matrix.rows, np.flatnonzero(~bad))
    assert np.array_equal(matrix.y, frame["y"].values[~bad])
    everything = model_matrix(parse("y ~ x | f"), frame, drop_missing=False)
    assert everything.y.size == N
    assert everything.n_missing_dropped == 0
    assert np.count_nonzero(everything.fe_codes == -1) == 1
    with_weights = model_matrix(parse("y ~ x | f"), frame, also=("w", "on"))
    assert with_weights.n_missing_dropped == 5 + 3
    assert set(np.flatnonzero(bad)) < set(range(N)) - set(with_weights.rows.tolist())


def test_no_row_left():
    frame = Frame((Column("y", "float", np.array([1.0, np.nan])), Column("x", "float", np.array([np.inf, 1.0]))), 2)
    with pytest.raises(DataError, match="no row has finite values") as caught:
        model_matrix(parse("y ~ x"), frame)
    assert "y, x" in str(caught.value)


def test_interactions_by_brute_force():
    frame = data()
    matrix = model_matrix(parse("y ~ f*factor(year)*x - 1"), frame)
    f = np.array(frame["f"].levels)[frame["f"].values]
    year, x = frame["year"].values, frame["x"].values
    column = dict(zip(matrix.names, matrix.X.T, strict=True))
    for level, y in itertools.product("bac", range(2001, 2005)):
        both = (f == level) & (year == y)
        if f"f{level}:factor(year){y}" in column:
            assert np.array_equal(column[f"f{level}:factor(year){y}"], both.astype(float))
            assert np.array_equal(column[f"f{level}:factor(year){y}:x"], both * x)
    assert sum(n.count(":") == 2 for n in matrix.names) == 6
    assert [n for n in matrix.names if ":" not in n][:3] == ["fb", "fa", "fc"]


def test_arithmetic():
    frame = data()
    x, z, w = (frame[n].values for n in ("x", "z", "w"))
    cases = {
        "I((x + z)/2)": (x + z) / 2,
        "I(-x^2)": -(x * x),
        "I((-x)^2)": x * x,
        "I(2^-x)": 2.0**-x,
        "I(x - z - w)": x - z - w,
        "I(x/z*w)": x / z * w,
        "I(w^0.5)": np.power(w, 0.5),
        "log(w)": np.log(w),
        "sqrt(abs(x))": np.sqrt(np.abs(x)),
        "exp(-1)": np.full(N, math.exp(-1)),
        "I(on*2)": 2.0 * frame["on"].values,
    }
    for text, expected in cases.items():
        assert np.array_equal(evaluate(parse(f"y ~ {text}").terms[0][0], frame), expected)


def test_logs_of_negative_numbers_are_missing_without_a_warning(recwarn):
    matrix = model_matrix(parse("y ~ log(x) + I(1/z)"), data())
    assert matrix.n_missing_dropped == np.count_nonzero(data()["x"].values <= 0)
    assert not recwarn.list


def panels():
    return st.lists(
        st.tuples(st.integers(0, 3), st.integers(1990, 1999)), min_size=1, max_size=30, unique=True
    )  # (unit, year), with gaps and in any order


@settings(max_examples=150, deadline=None)
@given(panels(), st.integers(-3, 3).filter(bool))
def test_lags_are_by_calendar(pairs, periods):
    values = [float(i * i) for i in range(len(pairs))]
    frame = Frame(
        (
            Column("u", "category", np.array([u for u, _ in pairs], dtype=np.int32), ("a", "b", "c", "d")),
            Column("t", "integer", np.array([t for _, t in pairs], dtype=np.int32)),
            Column("v", "float", np.array(values)),
        ),
        len(pairs),
    )
    known = dict(zip(pairs, values, strict=True))
    expected = [known.get((u, t - periods), math.nan) for u, t in pairs]
    assert np.array_equal(lagged(frame, "v", periods, unit="u", time="t"), expected, equal_nan=True)


def test_lags_need_a_panel():
    frame = data()
    with pytest.raises(DataError, match="needs unit and time"):
        model_matrix(parse("y ~ lag(x, 1)"), frame)
    with pytest.raises(DataError, match="one row for each unit and time"):
        model_matrix(parse("y ~ lag(x, 1)"), frame, unit="f", time="year")
    unknown = Frame(
        (
            Column("u", "category", np.array([0, -1, 0], dtype=np.int32), ("a",)),
            Column("t", "integer", np.array([1.0, 1.0, np.nan])),
            Column("v", "float", np.array([1.0, 2.0, 3.0])),
        ),
        3,
    )
    assert np.isnan(lagged(unknown, "v", 1, unit="u", time="t")).all()


def test_polynomials_are_those_of_r():
    # poly(c(1, 2, 4, 7, 7.5, 9), 3) of R 4.2.2, printed with seven digits
    recorded = [
        [-0.5651255, 0.47622473, -0.4018593],
        [-0.4267274, -0.01613103, 0.3584837],
        [-0.1499313, -0.56849650, 0.4297278],
        [0.2652630, -0.31617963, -0.4251764],
        [0.3344620, -0.14802590, -0.3951986],
        [0.5420592, 0.57260833, 0.4340227],
    ]
    found = orthogonal_polynomials(np.array([1, 2, 4, 7, 7.5, 9]), 3)
    assert np.abs(found - recorded).max() < 6e-8


def test_polynomials_are_orthonormal():
    x = 1000 + 3 * np.sin(np.arange(40.0))
    z = orthogonal_polynomials(x, 4)
    both = np.column_stack([np.ones(40) / math.sqrt(40), z])
    assert np.abs(both.T @ both - np.eye(5)).max() < 1e-12
    assert all((z[:, d - 1] @ (x - x.mean()) ** d) > 0 for d in range(1, 5))
    with pytest.raises(DataError, match="missing or infinite"):
        orthogonal_polynomials(np.array([1.0, np.nan, 2.0]), 1)
    with pytest.raises(DataError, match="more than 2 different"):
        orthogonal_polynomials(np.array([1.0, 2.0, 1.0]), 2)


def test_fixed_effects():
    frame = data()
    matrix = model_matrix(parse("y ~ x | unit + f^g"), frame)
    assert matrix.fe_names == ("unit", "f^g")
    f = np.array(frame["f"].levels)[frame["f"].values]
    g = np.array(frame["g"].levels)[frame["g"].values]
    labels = np.array(matrix.fe_labels[1])[matrix.fe_codes[:, 1]]
    assert labels.tolist() == [f"{a}_{b}" for a, b in zip(f, g, strict=True)]
    assert matrix.fe_labels[0] == tuple(str(u) for u in range(15))
    assert np.array_equal(matrix.fe_codes[:, 0], frame["unit"].values)
    assert not matrix.names[0].startswith("(")


def test_fixed_effects_are_numbered_without_gaps_after_rows_are_left_out():
    frame = data()
    y = frame["y"].values.copy()
    y[frame["unit"].values == 3] = np.nan
    holes = Frame((Column("y", "float", y), *frame.columns[1:]), N)
    matrix = model_matrix(parse("y ~ x | unit"), holes)
    assert np.array_equal(np.unique(matrix.fe_codes), np.arange(14))
    assert "3" not in matrix.fe_labels[0]


def test_combined_codes_with_missing_values():
    codes, labels = combined_codes(holed(), ("f", "g"))
    assert set(np.flatnonzero(codes < 0)) == set(np.flatnonzero((holed()["f"].values < 0) | (holed()["g"].values < 0)))
    assert set(np.unique(codes)) == {-1, *range(len(labels))}


def test_levels_are_those_of_the_sample_before_rows_are_left_out():
    """The reference is the first level of the sample even where all its rows lack the outcome, as in fixest."""
    frame = data()
    y = frame["y"].values.copy()
    y[frame["f"].values == 0] = np.nan
    holes = Frame((Column("y", "float", y), *frame.columns[1:]), N)
    assert model_matrix(parse("y ~ i(f)"), holes).names == ("(Intercept)", "f::a", "f::c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ i(year, ref = 1999)", "ref = 1999 is no level of year"),
        ('y ~ i(f, ref = "zz")', "ref = zz is no level of f"),
        ("y ~ nope", "there is no column 'nope'"),
        ("y ~ log(f)", "is a category and is used as a number"),
        ("y ~ i(f, g)", "is a category and is used as a number"),
        ("f ~ x", "is a category and is used as a number"),
        ("y ~ sunab(year, unit)", "is not a number"),
        ("y ~ factor(one)", "has one level in the sample: q"),
        ("y ~ one", "has one level in the sample: q"),
    ],
)
def test_mistakes(text, message):
    frame = Frame((*data().columns, Column("one", "category", np.zeros(N, dtype=np.int32), ("q",))), N)
    with pytest.raises(DataError, match=message):
        model_matrix(parse(text), frame)


def test_a_row_without_a_level_leaves_though_the_factor_has_no_column():
    frame = Frame(
        (
            Column("y", "float", np.arange(5.0)),
            Column("t", "integer", np.array([1, np.nan, 1, 1, np.nan])),
        ),
        5,
    )
    assert model_matrix(parse("y ~ i(t, ref = 1)"), frame).rows.tolist() == [0, 2, 3]
