"""The formula language: what is accepted, how it is written back, and how mistakes are told."""

import pytest

from crosscheck.errors import FormulaError
from crosscheck.formula import (
    IV,
    Binary,
    Call,
    Formula,
    Name,
    Negative,
    Number,
    Text,
    emit,
    emit_expr,
    functions,
    names,
    parse,
    term_label,
)
from crosscheck.syntax import MAX_LENGTH, number_text

COLUMNS = ("y", "x", "z", "f", "g", "year", "unit", "ln(Labor)", "my var", "if", "T", "省份", "Labor", ".hidden", "a.b")


def labels(text, **more):
    return [term_label(t) for t in parse(text, **more).terms]


CANONICAL = {
    "y~x": "`y` ~ `x`",
    "y ~ x + z | unit + year": "`y` ~ `x` + `z` | `unit` + `year`",
    "y ~ x - 1": "`y` ~ `x` - 1",
    "y ~ 0 + x": "`y` ~ `x` - 1",
    "y ~ -1 + x": "`y` ~ `x` - 1",
    "y ~ +x + +1": "`y` ~ `x`",
    "y ~ 1": "`y` ~ 1",
    "y ~ 1 | f": "`y` ~ 1 | `f`",
    "y ~ x - 1 | f": "`y` ~ `x` | `f`",
    "y ~ x * z": "`y` ~ `x` + `z` + `x`:`z`",
    "y ~ z:x + x": "`y` ~ `x` + `x`:`z`",
    "y ~ x*z - x": "`y` ~ `z` + `z`:`x`",
    "y ~ x + x + (x)": "`y` ~ `x`",
    "y ~ (x + z):T": "`y` ~ `x`:`T` + `T`:`z`",
    "y ~ x:x": "`y` ~ `x`",
    "y ~ x^2": "`y` ~ I(`x`^2)",
    "y ~ (x + z)^2": "`y` ~ I((`x` + `z`)^2)",
    "y ~ I(I(x^2))": "`y` ~ I(`x`^2)",
    "y ~ log(I(x + 1))": "`y` ~ log(`x` + 1)",
    "y ~ C(f)": "`y` ~ factor(`f`)",
    "y ~ i(f)": "`y` ~ i(`f`)",
    "y ~ i(year, x, ref=2012)": "`y` ~ i(`year`, `x`, ref = 2012)",
    "y ~ i(year, ref = -3)": "`y` ~ i(`year`, ref = -3)",
    "y ~ i(f, ref='a\"b')": "`y` ~ i(`f`, ref = 'a\"b')",
    'y ~ i(f, ref="a\'b")': '`y` ~ i(`f`, ref = "a\'b")',
    "y ~ poly(x, 2)": "`y` ~ poly(`x`, 2)",
    "y ~ lag(x) + lag(x, -2)": "`y` ~ lag(`x`, 1) + lag(`x`, -2)",
    "y ~ sunab(g, year) | unit + year": "`y` ~ sunab(`g`, `year`) | `unit` + `year`",
    "y ~ x | f^year + unit": "`y` ~ `x` | `f`^`year` + `unit`",
    "y ~ x | f + f": "`y` ~ `x` | `f`",
    "y ~ x | unit | z ~ g": "`y` ~ `x` | `unit` | `z` ~ `g`",
    "y ~ x | z ~ g + f": "`y` ~ `x` | `z` ~ `g` + `f`",
    "y ~ 0 | z ~ g": "`y` ~ 0 | `z` ~ `g`",
    "log(y) ~ sqrt(abs(x))": "log(`y`) ~ sqrt(abs(`x`))",
    "y^2 ~ x": "I(`y`^2) ~ `x`",
    "y ~ I(-x^2)": "`y` ~ I(-`x`^2)",
    "y ~ I((-x)^2)": "`y` ~ I((-`x`)^2)",
    "y ~ I(2^-x)": "`y` ~ I(2^-`x`)",
    "y ~ I(x^z^2)": "`y` ~ I(`x`^`z`^2)",
    "y ~ I((x^z)^2)": "`y` ~ I((`x`^`z`)^2)",
    "y ~ I(x - (z - g))": "`y` ~ I(`x` - (`z` - `g`))",
    "y ~ I(x - z - g)": "`y` ~ I(`x` - `z` - `g`)",
    "y ~ I(x/(z/g)*2)": "`y` ~ I(`x`/(`z`/`g`) * 2)",
    "y ~ I(-(x + z))": "`y` ~ I(-(`x` + `z`))",
    "y ~ I(100000*x + .5 + 1e-10)": "`y` ~ I(1e+05 * `x` + 0.5 + 1e-10)",
    "`ln(Labor)` ~ `my var` + `if` + T + 省份": "`ln(Labor)` ~ `my var` + `if` + `T` + `省份`",
    "y ~ .hidden + a.b": "`y` ~ `.hidden` + `a.b`",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_canonical_form(text, canonical):
    formula = parse(text)
    assert emit(formula) == canonical
    assert parse(canonical) == formula
    assert emit(parse(canonical)) == canonical
    assert str(formula) == canonical


def test_tree():
    assert parse("log(y) ~ x:z + I(-x/2) | a + b^c | e ~ w") == Formula(
        lhs=Call("log", (Name("y"),)),
        terms=((Call("I", (Binary("/", Negative(Name("x")), Number(2.0)),)),), (Name("x"), Name("z"))),
        intercept=False,
        fixed_effects=(("a",), ("b", "c")),
        iv=IV(((Name("e"),),), ((Name("w"),),)),
    )
    assert parse('y ~ i(f, x, ref = "b")').terms == ((Call("i", (Name("f"), Name("x")), Text("b")),),)


def test_precedence_is_that_of_r():
    """-x*z is (-x)*z, -x^2 is -(x^2), a^b^c is a^(b^c), a-b-c is (a-b)-c, a/b*c is (a/b)*c."""
    inner = lambda text: parse(f"y ~ I({text})").terms[0][0].args[0]  # noqa: E731
    x, z, w = Name("x"), Name("z"), Name("w")
    assert inner("-x*z") == Binary("*", Negative(x), z)
    assert inner("-x^z") == Negative(Binary("^", x, z))
    assert inner("x^z^w") == Binary("^", x, Binary("^", z, w))
    assert inner("x-z-w") == Binary("-", Binary("-", x, z), w)
    assert inner("x/z*w") == Binary("*", Binary("/", x, z), w)
    assert inner("x + z*w") == Binary("+", x, Binary("*", z, w))
    assert inner("x^-z") == Binary("^", x, Negative(z))


def test_terms_are_ordered_as_in_r():
    assert labels("y ~ a*b*c - a:b") == ["a", "b", "c", "a:c", "b:c", "a:b:c"]
    assert labels("y ~ c:a + b + a") == ["b", "a", "a:c"]


def test_labels():
    assert labels("y ~ log(income) + I(x^2) + x1:x2 + `ln(Labor)`") == ["log(income)", "I(x^2)", "ln(Labor)", "x1:x2"]
    year = Call("i", (Name("year"),))
    assert term_label(()) == "(Intercept)"
    assert term_label(year, "1983") == "year::1983"
    assert term_label(Call("i", (Name("year"), Name("x"))), "1983") == "year::1983:x"
    assert term_label(Call("i", (Name("year"), Name("x")), Number(1990.0)), ("1983",)) == "year::1983:x"
    assert term_label(Call("factor", (Name("year"),)), "1983") == "factor(year)1983"
    assert term_label(Call("poly", (Name("x"), Number(2.0))), "1") == "poly(x, 2)1"
    assert term_label((Call("factor", (Name("f"),)), Name("x")), ("b", "")) == "factor(f)b:x"
    assert term_label((Call("factor", (Name("f"),)), Name("x")), ("b",)) == "factor(f)b:x"
    assert term_label(Call("sunab", (Name("g"), Name("year"))), "-2") == "year::-2"
    assert term_label(parse("y ~ I(x + z*2 - 3/T)").terms[0]) == "I(x + z * 2 - 3/T)"


def test_names_and_functions():
    formula = parse("log(y) ~ x + i(year, z) + lag(w) | unit^g | e ~ exp(q)")
    assert names(formula) == ("y", "x", "year", "z", "w", "e", "q", "unit", "g")
    assert functions(formula) == {"log", "i", "lag", "exp"}
    assert names(parse("y ~ x + I(x^2) | x")) == ("y", "x")


def test_expressions_without_back_ticks():
    assert emit_expr(parse("y ~ I(`my var`/2)").terms[0][0], ticks=False) == "I(my var/2)"


def test_macros():
    macros = {"controls": "a + log(b)", "..more": "..controls + c", "fe": "unit + year", "one": "x"}
    assert emit(parse("y ~ x + ..more | ..fe", macros=macros)) == "`y` ~ `x` + `a` + log(`b`) + `c` | `unit` + `year`"
    assert labels("y ~ x * ..controls", macros=macros) == ["x", "a", "log(b)", "x:a", "x:log(b)"]
    assert emit(parse("..one ~ log(..one)", macros={"one": "w"})) == "`w` ~ log(`w`)"
    assert emit(parse("y ~ I(2*..s)", macros={"s": "a + b"})) == "`y` ~ I(2 * (`a` + `b`))"


def test_columns_are_checked():
    assert names(parse("`ln(Labor)` ~ `my var` + T + `if`", columns=COLUMNS)) == ("ln(Labor)", "my var", "T", "if")


# text -> parts that the message must contain
MISTAKES = {
    "": ("empty", "y ~ x"),
    "   ": ("empty",),
    "y": ("a ~ is missing",),
    "y ~": ("ends too early", "character 4"),
    "y ~ x ~ z": ("instruments stand after a |",),
    "y ~ x | f | z ~ g ~ unit": ("'~' is not expected",),
    "~ x": ("'~' is not expected",),
    "y ~ x +": ("ends too early",),
    "y ~ x z": ("'z' is not expected",),
    "y ~ x, z": ("',' is not expected",),
    "y ~ (x": (") is missing",),
    "y ~ x)": ("')' is not expected",),
    "y ~ zz": ("there is no column 'zz'", "allowed:", "Labor"),
    "y ~ yaer": ("there is no column 'yaer'", "did you mean 'year'?"),
    "y ~ X": ("there is no column 'X'", "differs in case", "'x'"),
    "y ~ ln(Labor)": ("ln(Labor) is the name of a column", "write `ln(Labor)` in back-ticks"),
    "y ~ ln( Labor )": ("is the name of a column", "`ln(Labor)`"),
    "y ~ ln(x)": ("ln() is not a function", "log(x)"),
    "y ~ sw(x, z)": ("sw() is not a function", "[[table.column]]"),
    "y ~ csw0(x, z)": ("csw0()", "[[table.column]]"),
    "c(y, x) ~ z": ("c() is not a function", "[[table.column]]"),
    "y + x ~ z": ("the left-hand side is a sum", "[[table.column]]"),
    "y ~ l(x, 1)": ("l() is not a function", "lag(x, 1)"),
    "y ~ lgo(x)": ("lgo() is not a function", "did you mean"),
    "y ~ if": ("reserved word", "`if`"),
    "y ~ TRUE": ("not a regressor",),
    "y ~ 2": ("a number is not a regressor", "-1"),
    "y ~ x + 2*z": ("not a regressor", "I(2 * x)"),
    "y ~ x / z": ("/ is arithmetic", "I(a / b)"),
    "y ~ -x": ("removes a term that is not there", "I(-x)"),
    "y ~ x - z": ("removes a term that is not there",),
    "y ~ x - 0": ("a number is not a regressor",),
    "y ~ x + z - (z - x)": ("cannot itself remove",),
    "y ~ .": ("'.' is not allowed", "..name"),
    "y ~ `.`": ("cannot be named '.'",),
    "y ~ `...`": ("two dots",),
    "y ~ `..1`": ("two dots",),
    "y ~ 'x'": ("not a regressor",),
    "y ~ 0": ("no regressors",),
    "y ~ x - x - 1": ("no regressors",),
    "y ~ x[1]": ("'[' is not allowed", "varying slopes"),
    "y ~ x | f[x]": ("'[' is not allowed",),
    "y ~ x > 1": ("'>' is not allowed", "sample.where"),
    "y ~ x = 1": ("'=' is not expected", "sample.where"),
    "y ~ x # note": ("'#' is not allowed", "comments"),
    "y ~ x; z": ("';' is not allowed",),
    "y ~ x\nz": ("U+000A", "one line"),
    "y ~ x\u00a0+ z": ("U+00A0 (no-break space)", "ordinary space"),
    "y ~ x \u2212 z": ("'\u2212' is not allowed",),
    "y ~ x\u200b": ("U+200B",),
    "y ~ ..nope": ("there is no macro ..nope", "[macros]"),
    "y ~ ...": ("is not allowed",),
    "y ~ x | f:g": ("a fixed effect is a column name", "a^b"),
    "y ~ x | log(f)": ("a fixed effect is a column name", "name alone"),
    "y ~ x | 0": ("a fixed effect is a column name", "leave the part out"),
    "y ~ x | f^f": ("combined with itself",),
    "y ~ x | f - g": ("cannot be removed",),
    "y ~ x | f | g": ("the third part is endogenous ~ instruments", "fe1 + fe2"),
    "y ~ x | f | z ~ g | unit": ("more than three parts",),
    "y ~ x | z ~ g | f": ("before the IV part",),
    "y ~ x | z ~ g | x ~ f": ("two IV parts",),
    "y ~ x | x ~ g": ("x stands in two parts",),
    "y ~ x | z ~ x": ("x stands in two parts",),
    "y ~ x | z + f ~ g": ("fewer instruments",),
    "y ~ x | i(z) ~ g": ("an endogenous regressor is one number",),
    "y ~ x | z:f ~ g": ("an endogenous regressor is one number",),
    "y ~ x | 1 ~ g": ("names variables on both sides",),
    "i(y) ~ x": ("i() cannot be a left-hand side",),
    "2 ~ x": ("the left-hand side is not a variable",),
    "-y ~ x": ("the left-hand side is not a variable",),
    "y:x ~ z": ("the left-hand side is not a variable",),
    "y ~ i(f):x": ("cannot be part of an interaction", "i(f, x)"),
    "y ~ poly(x, 2):z": ("cannot be part of an interaction",),
    "y ~ i(f, x, z)": ("one or two columns",),
    "y ~ i(f, ref = x)": ("ref is one level",),
    "y ~ i(f, ref = TRUE)": ("number or a string", 'ref = "TRUE"'),
    "y ~ i(f, ref = 1, ref = 2)": ("ref is given twice",),
    "y ~ i(ref = 1, f)": ("one or two columns",),
    "y ~ i(log(x))": ("takes a column here",),
    "y ~ i()": ("one or two columns",),
    "y ~ factor(f, g)": ("factor() has 2 arguments",),
    "y ~ factor(x + z)": ("takes a column here",),
    "y ~ log(x, 10)": ("log() has 2 arguments",),
    "y ~ log(x, base = 10)": ("has no option base",),
    "y ~ log()": ("log() has 0 arguments",),
    "y ~ log(f:g)": ("not arithmetic",),
    "y ~ log('x')": ("not arithmetic",),
    "y ~ log(i(f))": ("i() is not arithmetic",),
    "y ~ poly(x)": ("poly() has 1 arguments",),
    "y ~ poly(x, 2.5)": ("whole number",),
    "y ~ poly(x, 99)": ("1 to 10",),
    "y ~ poly(x, z)": ("whole number",),
    "y ~ lag(x, 0)": ("lag(x, 0) is x",),
    "y ~ lag(x, 1e9)": ("whole number",),
    "y ~ lag(x + z, 1)": ("takes a column here",),
    "y ~ sunab(g)": ("sunab() has 1 arguments", "sunab(cohort, period)"),
    "y ~ 2x": ("runs into a letter",),
    "y ~ I(1.5.2 * x)": ("runs into a letter",),
    "y ~ I(x * 1e999)": ("outside the range",),
    "y ~ I(x * 1e-999)": ("outside the range",),
    "y ~ I(x * 1234567890123456789)": ("15 significant digits",),
    "y ~ `x": ("a back-tick is not closed",),
    "y ~ i(f, ref = 'a)": ("quotation mark is not closed",),
    "y ~ ``": ("cannot be empty",),
    "y ~ i(f, ref = 'a\\nb')": ("a string cannot hold '\\\\'",),
    "y ~ `a\\b`": ("a column name cannot hold",),
    "y ~ `a\x00b`": ("a column name cannot hold U+0000",),
    "y ~ x\x00": ("U+0000",),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_told(text):
    with pytest.raises(FormulaError) as caught:
        parse(text, columns=COLUMNS, where="study.toml, table[1].column[2].formula")
    message = str(caught.value)
    for part in MISTAKES[text]:
        assert part in message
    if text.strip():
        assert "study.toml, table[1].column[2].formula, character" in message


def test_the_caret_stands_below_the_mistake():
    with pytest.raises(FormulaError) as caught:
        parse("y ~ x + yaer", columns=COLUMNS)
    lines = str(caught.value).splitlines()
    assert lines[2][lines[3].index("^") :] == "yaer"
    assert "character 9" in lines[1]


def test_the_caret_counts_wide_characters_twice():
    with pytest.raises(FormulaError) as caught:
        parse("省份 ~ #", columns=COLUMNS)
    lines = str(caught.value).splitlines()
    assert lines[3].index("^") - lines[2].index("省") == 2 * len("省份") + len(" ~ ")


def test_a_long_formula_is_shown_around_the_mistake():
    with pytest.raises(FormulaError) as caught:
        parse("y ~ " + " + ".join(f"variable{i}" for i in range(100)) + " + # + " + "x + " * 50 + "x")
    lines = str(caught.value).splitlines()
    assert lines[2][lines[3].index("^")] == "#"
    assert len(lines[2]) < 100


def test_a_name_in_another_unicode_form_is_recognised():
    with pytest.raises(FormulaError, match="there is no column") as caught:
        parse("y ~ Cafe\u0301", columns=("y", "Café"))
    assert "Unicode form" in str(caught.value)


def test_a_macro_that_contains_itself():
    with pytest.raises(FormulaError, match=r"\.\.a contains itself: \.\.a -> \.\.b -> \.\.a"):
        parse("y ~ ..a", macros={"a": "x + ..b", "b": "..a"})
    with pytest.raises(FormulaError, match="contains itself"):
        parse("y ~ ..a", macros={"a": "..a"})


def test_a_mistake_in_a_macro_names_the_macro():
    with pytest.raises(FormulaError) as caught:
        parse("y ~ ..a", macros={"a": "x + nope"}, columns=COLUMNS, where="study.toml")
    assert "study.toml, macro ..a, character 5" in str(caught.value)
    with pytest.raises(FormulaError, match="macro is empty"):
        parse("y ~ ..a", macros={"a": " "})
    with pytest.raises(FormulaError, match="did you mean 'controls'"):
        parse("y ~ ..control", macros={"controls": "x"})


def test_macros_cannot_blow_up():
    macros = {f"m{i}": f"..m{i + 1} + ..m{i + 1}" for i in range(20)} | {"m20": "x"}
    with pytest.raises(FormulaError, match="too large"):
        parse("y ~ ..m0", macros=macros)
    deep = {f"m{i}": f"..m{i + 1}" for i in range(200)} | {"m200": "x"}
    with pytest.raises(FormulaError):
        parse("y ~ ..m0", macros=deep)


@pytest.mark.parametrize(
    "text",
    [
        "y ~ " + "(" * 5000 + "x",
        "y ~ " + "(" * 2000 + "x" + ")" * 2000,
        "y ~ " + "I(" * 1000 + "x" + ")" * 1000,
        "y ~ I(" + "-" * 3000 + "x)",
        "y ~ I(" + "x^" * 3000 + "x)",
        "y ~ I(" + "x+" * 3000 + "x)",
        "y ~ I(" + "x*" * 3000 + "x)",
        "y ~ I(" + "x/" * 3000 + "x)",
        "y ~ " + ":".join(f"x{i}" for i in range(30)),
        "y ~ " + "*".join(f"x{i}" for i in range(30)),
        "y ~ " + "+".join(f"x{i}" for i in range(900)),
        "y ~ (" + "+".join(f"x{i}" for i in range(60)) + "):(" + "+".join(f"z{i}" for i in range(60)) + ")",
        "y ~ x | " + "^".join(f"x{i}" for i in range(3000)),
        "y ~ " + "x" * (MAX_LENGTH + 1),
    ],
)
def test_size_is_bounded(text):
    with pytest.raises(FormulaError):
        parse(text)


def test_long_but_reasonable_formulas_are_accepted():
    terms = [f"variable{i}" for i in range(300)]
    assert labels("y ~ " + " + ".join(terms)) == terms
    assert len(labels("y ~ " + "*".join("abcdef"))) == 63
    assert labels("y ~ " + "+".join(["x"] * 4990)) == ["x"]
    assert "x" in names(parse("y ~ I(" + "+".join(["x"] * 60) + ")"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # the right-hand side: deparse() of R 4.2.2
        (1.0, "1"), (10.0, "10"), (1000.0, "1000"), (1e4, "10000"), (1e5, "1e+05"), (123456.0, "123456"),
        (1e15, "1e+15"), (1e-3, "0.001"), (1e-4, "1e-04"), (1e-5, "1e-05"), (0.1, "0.1"), (0.00012, "0.00012"),
        (0.0001234, "0.0001234"), (1.5, "1.5"), (100000.5, "100000.5"), (123456789012345.0, "123456789012345"),
        (1200000.0, "1200000"), (0.1 + 0.2, "0.3"), (2012.0, "2012"), (3e5, "3e+05"), (1.5e7, "1.5e+07"),
        (1e22, "1e+22"), (0.0, "0"), (-2.5, "-2.5"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_r_deparses_them(value, text):
    assert number_text(value) == text
