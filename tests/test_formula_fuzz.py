"""Hostile input: nothing but a formula or a FormulaError comes out, and no injection is accepted."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crosscheck.errors import FormulaError
from crosscheck.formula import Binary, Call, Formula, Name, Negative, Number, Text, emit, names, parse
from crosscheck.formula_parser import FUNCTIONS
from crosscheck.where import parse_where

PIECES = [
    *"~+-*/:^|(),=.`'\" \t",
    *(
        "..m",
        "..k",
        "...",
        "x",
        "y",
        "fe",
        "T",
        "省份",
        "`my var`",
        "`if`",
        "if",
        "TRUE",
        "ref",
        "1",
        "0",
        "2.5",
        "1e5",
    ),
    *(f"{f}(" for f in FUNCTIONS),
    *(" ~ ", " | ", " + ", "ref=", "'a'", '"b"', "[", "]", "{", "#", ";", "\n", "\\", "$", "@", "%", "<", "system("),
]
MACROS = {"m": "x + ..k", "k": "fe", "loop": "..loop"}


def check(text):
    """Parse; if that works, the result must survive a round trip through its canonical text."""
    try:
        formula = parse(text, macros=MACROS)
    except FormulaError:
        return None
    canonical = emit(formula)
    assert parse(canonical) == formula
    assert emit(parse(canonical)) == canonical
    return formula


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=60))
@example("y ~ x\ud800")
@example("y ~ `x\ud800`")
def test_any_text(text):
    check(text)


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_sequence_of_pieces(text):
    check(text)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=15).map(lambda p: "y ~ x + " + "".join(p)))
def test_any_ending(text):
    check(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, "==", "and", "or", "not", "in", "missing(", "x >", "1"]), max_size=25))
def test_any_filter(pieces):
    kinds = {"x": "float", "y": "integer", "fe": "category", "T": "boolean"}
    try:
        where = parse_where(" ".join(pieces), kinds)
    except FormulaError:
        return
    assert parse_where(where.text, kinds) == where


NAMES = st.one_of(
    st.sampled_from(
        ["x", "z", "T", "if", "省份", "ln(Labor)", "my var", ".x", "1", "a\tb".replace("\t", " "), "I(x^2)"]
    ),
    st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="`\\"), min_size=1, max_size=8
    ).filter(lambda n: n != "." and not n.startswith("..")),
)
EXPONENTS = st.integers(0, 9)
NUMBERS = st.builds(lambda m, e: float(f"{m}e{e}"), st.integers(0, 10**6), st.integers(-12, 12))
ARITHMETIC = st.recursive(
    NAMES.map(Name) | NUMBERS.map(Number),
    lambda inner: st.one_of(
        st.builds(Negative, inner),
        st.builds(Binary, st.sampled_from("+-*/^"), inner, inner),
        st.builds(lambda f, a: Call(f, (a,)), st.sampled_from(["log", "exp", "sqrt", "abs"]), inner),
        st.builds(lambda n, k: Call("lag", (Name(n), Number(float(k)))), NAMES, st.integers(1, 5)),
    ),
    max_leaves=8,
)
LEVELS = st.integers(-3000, 3000).map(lambda v: Number(float(v))) | st.sampled_from(["a", 'b"', "省", ""]).map(Text)
FACTORS = st.one_of(
    NAMES.map(Name),
    st.builds(lambda f, a: Call(f, (a,)), st.sampled_from(["log", "exp", "sqrt", "abs", "I"]), ARITHMETIC),
    NAMES.map(lambda n: Call("factor", (Name(n),))),
)
WHOLE = st.one_of(
    st.builds(
        lambda a, b, r: Call("i", tuple(map(Name, [a, *b])), r), NAMES, st.lists(NAMES, max_size=1), st.none() | LEVELS
    ),
    st.builds(lambda n, d: Call("poly", (Name(n), Number(float(d)))), NAMES, st.integers(1, 10)),
)
TERMS = st.lists(st.lists(FACTORS, min_size=1, max_size=3) | WHOLE.map(lambda f: [f]), min_size=1, max_size=5)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(NAMES.map(Name), ARITHMETIC.map(lambda a: Call("log", (a,)))),
    TERMS,
    st.booleans(),
    st.lists(st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple), max_size=3, unique_by=frozenset),
)
def test_every_tree_survives_its_text(lhs, terms, intercept, effects):
    raw = Formula(
        lhs=lhs,
        terms=tuple(map(tuple, terms)),
        intercept=intercept and not effects,
        fixed_effects=tuple(effects),
    )
    formula = parse(emit(raw))  # ordered and without repetitions
    assert parse(emit(formula)) == formula
    assert formula.lhs == lhs
    assert {frozenset(t) for t in formula.terms} == {frozenset(t) for t in raw.terms}
    assert (formula.intercept, formula.fixed_effects) == (raw.intercept, raw.fixed_effects)
    assert set(names(formula)) == set(names(raw))


INJECTIONS = [
    'y ~ system("touch pwned")',
    'y ~ x + system("id")',
    'system("id") ~ x',
    'y ~ I(system("id"))',
    'y ~ i(system("id"))',
    'y ~ i(f, ref = system("id"))',
    'y ~ log(system("id"))',
    'y ~ poly(x, system("id"))',
    'y ~ lag(x, system("id"))',
    'y ~ sw(x, system("id"))',
    'y ~ l(x, system("id"))',
    'y ~ x | f^system("id")',
    'y ~ x | f | z ~ system("id")',
    'y ~ x | system("id") ~ z',
    "y ~ .[system('id')]",
    "y ~ .[x]",
    "y ~ x.[1]",
    "y ~ base::system('id')",
    "y ~ base:::system('id')",
    "y ~ base::x",
    "y ~ x |> system()",
    "y ~ x %>% system",
    "y ~ x %in% z",
    "y ~ (\\(u) system('id'))()",
    "y ~ (function(u) system('id'))()",
    "y ~ function(x) x",
    "y ~ r\"(system('id'))\"",
    "y ~ R'---(a)---'",
    "y ~ __import__('os').system('id')",
    "y ~ x.__class__.__bases__()",
    "y ~ ().__class__",
    "y ~ x$y",
    "y ~ x@y",
    "y ~ x[['a']]",
    "y ~ f'{x}'",
    "y ~ f\"{__import__('os')}\"",
    "y ~ {x}",
    "y ~ {system('id')}",
    "y ~ x; system('id')",
    "y ~ x\nsystem('id')",
    "y ~ x\r\nsystem('id')",
    "y ~ x # comment",
    "y ~ x\u2028system('id')",
    "y ~ x\x0bsystem('id')",
    "y ~ x := 1",
    "y ~ x <- 1",
    "y ~ x <<- 1",
    "y ~ (x = 1)",
    "y ~ x == 1",
    "y ~ x && z",
    "y ~ !x",
    "y ~ ?x",
    "y ~ lambda x: x",
    "y ~ eval(parse(text = 'x'))",
    "y ~ get('x')",
    "y ~ do.call(system, list('id'))",
    "y ~ Reduce(`+`, x)",
    "y ~ `system`('id')",
    "y ~ 'system'('id')",
    "y ~ (log)(x)",
    "y ~ log(x)(z)",
    "y ~ exp(x)[1]",
    "y ~ `x`; quit()",
    "y ~ `x\\`; quit()`",
    "y ~ i(f, ref = 'a\\'); quit('')",
    "y ~ ｓｙｓｔｅｍ('id')",
    "y ~ sуstem('id')",  # the second letter is Cyrillic
    "y ~ log\u200b(x)",
    "y ~ \u202elog(x)",
    "y ~ x\u0000",
    "y ~ @decorator",
    "y ~ x if x else z",
    "y ~ [x for x in z]",
    "y ~ Q('x')",
    "y ~ np.log(x)",
    "y ~ C(f, contr.sum)",
    "y ~ C(f, Treatment('a'))",
    "y ~ ..macro(system('id'))",
    "y ~ 1e5L",
    "y ~ 0x10",
    "y ~ 1i",
    "y ~ x | f, data = z",
    "y ~ x, weights = ~system('id')",
    "y ~ mvsw(x)",
    "y ~ split(x)",
    "y ~ regex('x')",
    "y ~ ...",
    "y ~ ..1",
    "y ~ .",
    "~ .x",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_injections_are_refused(text):
    with pytest.raises(FormulaError):
        parse(text, macros={"macro": "x"})


@pytest.mark.parametrize("text", [t.partition("~")[2].strip() for t in INJECTIONS if t.startswith("y ~ ")])
def test_injections_are_refused_in_macros(text):
    with pytest.raises(FormulaError):
        parse("y ~ x + ..m", macros={"m": text, "macro": "x"})


def test_there_are_many_injections():
    assert len(INJECTIONS) >= 50
    assert len(set(INJECTIONS)) == len(INJECTIONS)


FILTERS = {"y ~ x == 1", "y ~ x <- 1"}  # as filters these are plain comparisons, the latter with -1


@pytest.mark.parametrize("text", sorted(set(INJECTIONS) - FILTERS))
def test_injections_are_refused_as_filters(text):
    with pytest.raises(FormulaError):
        parse_where(text.removeprefix("y ~ "), {"x": "float", "y": "float", "z": "float", "f": "category"})


@pytest.mark.parametrize("name", ["a`b", "`", "a\x00b", "a\nb", "a\\b", "", "\u2028"])
def test_names_that_no_engine_could_take(name):
    with pytest.raises(FormulaError):
        parse(f"y ~ `{name}`")
