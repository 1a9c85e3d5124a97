"""The exam: pairs of packages' conventions that must be named, and spoiled pairs that must not be.

A convention here is a formula written out by hand, not a row of ``rules.toml``. The panels are balanced, unbalanced, nested
(units in larger clusters), of few clusters, and weighted.
"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from crosscheck.conventions import critical, p_of, rounded
from crosscheck.engines.oracle import ENGINE
from crosscheck.explain import explain_column, explain_printed, rank_column
from crosscheck.frame import Column, Frame
from crosscheck.spec import SscSpec, VcovSpec, WeightsSpec
from tests.engine_helpers import panel
from tests.test_explain import LEGEND, NUMERIC, base, fit, printed_column, recomputed, spoil

PANELS = {
    "balanced": (panel(), "id", None),
    "unbalanced": (panel(seed=9, keep=0.8), "id", None),
    "nested": (panel(seed=8, units=27, periods=6), "state", None),
    "few clusters": (panel(seed=5, units=9, periods=8), "id", None),
    "weighted": (panel(seed=12, units=20, periods=7, keep=0.9), "id", "w"),
}
RAW = SscSpec(k_adj=False, g_adj=False)

# SE^2 over the raw sandwich, from N, the coefficients k, the parameters counted by nesting m or in full f, and G
CONVENTIONS = {
    "r.fixest": lambda n, k, m, f, g: (n - 1) / (n - m) * g / (g - 1),
    "stata.areg": lambda n, k, m, f, g: (n - 1) / (n - f) * g / (g - 1),
    "r.plm": lambda n, k, m, f, g: 1.0,
    "r.plm HC1": lambda n, k, m, f, g: n / (n - k),
    "r.plm sss": lambda n, k, m, f, g: (n - 1) / (n - k) * g / (g - 1),
    "r.clubsandwich": lambda n, k, m, f, g: g / (g - 1),
    "linearmodels": lambda n, k, m, f, g: n / (n - f),
    "r.sandwich": lambda n, k, m, f, g: n / (n - f) * g / (g - 1),
}
RULES = {"k.adj", "k.numerator", "k.fixef", "g.adj"}


def question(name):
    frame, cluster, weights = PANELS[name]
    return frame.select(NUMERIC), base(cluster=(cluster,), weights=weights)


def counts(frame, request):
    """N, k, K by nesting, K in full, G, counted by hand."""
    ids, years = (np.unique(frame[c].values).size for c in ("id", "year"))
    by_name = request.vcov.cluster == ("id",)
    nested = 2 + years if by_name else 2 + (years - 1) + 1
    return frame.nrows, 2, nested, 2 + ids + years - 1, np.unique(frame[request.vcov.cluster[0]].values).size


def side(engine, frame, request):
    raw = fit(request, frame, engine, ssc=RAW)
    factor = math.sqrt(CONVENTIONS[engine](*counts(frame, request)))
    rows = tuple(replace(r, std_error=r.std_error * factor, statistic=r.statistic / factor) for r in raw.coefs)
    return raw.with_(coefs=tuple(replace(r, p_value=None, conf_low=None, conf_high=None) for r in rows))


PAIRS = [(name, a, b) for name in PANELS for a, b in itertools.combinations(CONVENTIONS, 2)]


def test_the_exam_is_as_long_as_it_says():
    assert len(PAIRS) >= 40
    assert len(SPOILED) * len(PANELS) >= 25


@pytest.mark.parametrize(("name", "a", "b"), PAIRS)
def test_pairs_of_packages_are_explained_by_what_separates_them(name, a, b):
    frame, request = question(name)
    one, two = side(a, frame, request), side(b, frame, request)
    values = [math.sqrt(CONVENTIONS[e](*counts(frame, request))) for e in (a, b)]
    found = explain_column(one, two, frame, request)
    if math.isclose(*values, rel_tol=1e-6):
        assert found == {}
        return
    for row in one.coefs:
        first = found[row.term, "std_error"][0]
        assert set(first.rule.split("+")) <= RULES, first
        assert first.digits_after >= 9
        assert first.verdict == "convention"
        assert first.references
        assert found[row.term, "statistic"][0].digits_after >= 9
        asked = CONVENTIONS["r.fixest"](*counts(frame, request))
        for engine, value in zip((a, b), values, strict=True):
            if not math.isclose(value, math.sqrt(asked), rel_tol=1e-9):
                assert engine in first.title


def scaled(factor):
    return lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * factor))


SPOILED = {
    "1.0001": scaled(1.0001),
    "0.9999": scaled(0.9999),
    "1 + 2e-6": scaled(1 + 2e-6),
    "1 + 1e-5": scaled(1 + 1e-5),
    "one cell": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error * (1 + 1e-5)), 1),
    "two factors": lambda r: r.with_(
        engine="spoiled",
        coefs=tuple(replace(c, std_error=c.std_error * f) for c, f in zip(r.coefs, (1.01, 1.02), strict=True)),
    ),
    "exchanged": lambda r: r.with_(
        engine="spoiled",
        coefs=tuple(replace(c, std_error=r.coefs[1 - i].std_error) for i, c in enumerate(r.coefs)),
    ),
    "swapped labels": lambda r: r.with_(
        engine="spoiled", coefs=tuple(replace(c, term=r.coefs[1 - i].term) for i, c in enumerate(r.coefs))
    ),
    "sign": lambda r: spoil(r, lambda c: replace(c, estimate=-c.estimate), 1),
    "squared": lambda r: spoil(r, lambda c: replace(c, std_error=c.std_error**2)),
}


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("word", SPOILED)
@pytest.mark.parametrize("swapped", [False, True])
def test_spoiled_pairs_are_not_explained(name, word, swapped):
    frame, request = question(name)
    one = fit(request, frame, "r.fixest")
    two = SPOILED[word](one)
    found = explain_column(*((two, one) if swapped else (one, two)), frame, request)
    assert {k: v for k, v in found.items() if k[1] in ("estimate", "std_error", "statistic")} == {}


@pytest.mark.parametrize("name", PANELS)
def test_what_is_near_a_convention_but_not_on_it_is_not_explained(name):
    """Every point of eight conventions, moved by 3e-8 to 1e-6: within six digits, beyond what a replay allows."""
    frame, request = question(name)
    one = fit(request, frame, "r.fixest")
    rng = np.random.default_rng(0)
    for engine in CONVENTIONS:
        two = side(engine, frame, request)
        if math.isclose(two.coefs[0].std_error, one.coefs[0].std_error, rel_tol=1e-6):
            continue
        for step in (3e-8, -3e-8, 3e-7, 1e-6):
            moved = two.with_(
                coefs=tuple(
                    replace(r, std_error=r.std_error * (1 + step * (1 + 0.1 * rng.random()))) for r in two.coefs
                )
            )
            assert ("x", "std_error") not in explain_column(one, moved, frame, request), (engine, step)


@pytest.mark.parametrize("name", PANELS)
def test_random_factors_are_not_explained(name):
    frame, request = question(name)
    one = fit(request, frame, "r.fixest")
    rng = np.random.default_rng(7)
    for factor in np.exp(rng.uniform(-0.3, 0.3, 40)):
        two = spoil(one, lambda c, f=factor: replace(c, std_error=c.std_error * f))
        assert explain_column(one, two, frame, request) == {}
        assert explain_column(two, one, frame, request) == {}


@pytest.mark.parametrize("name", PANELS)
def test_other_degrees_of_freedom_are_not_explained(name):
    frame, request = question(name)
    one = fit(request, frame, "r.fixest")
    n, k, m, f, g = counts(frame, request)
    catalogue = {g - 1, n - m, n - f, n - k, n - k - 1, math.inf}
    rng = np.random.default_rng(3)
    odd = [g - 1.5, g, g - 2, n, n - 1, n - f + 1, *rng.uniform(2, n, 20)]
    for df in odd:
        exact = any(abs(df - known) < 1e-9 for known in (*catalogue, n - f + 1, n - m + 1))
        if not exact and df > 0:
            assert explain_column(one, recomputed(one, df).with_(engine="b"), frame, request) == {}, df


@pytest.mark.parametrize("name", PANELS)
def test_samples_weights_and_clusters_that_nobody_uses_are_not_explained(name):
    frame, request = question(name)
    one = fit(request, frame, "r.fixest")
    rng = np.random.default_rng(5)
    shuffled = rng.permutation(frame["id"].values)
    mixed = Frame(
        tuple(
            Column(c.name, c.kind, (shuffled if c.name == request.vcov.cluster[0] else c.values).astype(c.values.dtype))
            for c in frame.columns
        ),
        frame.nrows,
    )
    several = ENGINE.fit(base("y ~ x + z", cluster=request.vcov.cluster), frame)
    rotated = ENGINE.fit(base("y ~ x + z", cluster=request.vcov.cluster), mixed)
    plain = base("y ~ x + z", cluster=request.vcov.cluster)
    assert explain_column(several.with_(engine="a"), rotated.with_(engine="b"), frame, plain) == {}
    for seed in range(4):
        gone = np.random.default_rng(seed).permutation(frame.nrows)[: seed + 1]
        fewer = ENGINE.fit(request, frame.take(~np.isin(np.arange(frame.nrows), gone))).with_(engine="b")
        assert explain_column(one, fewer, frame, request) == {}
        assert explain_column(fewer, one, frame, request) == {}
    for wrong in (WeightsSpec(column="q2"), WeightsSpec(column="q3")):
        values = rng.uniform(0.5, 2, frame.nrows)
        more = Frame((*frame.columns, Column(wrong.column, "float", values)), frame.nrows)
        two = ENGINE.fit(request.model_copy(update={"weights": wrong}), more).with_(engine="b")
        assert explain_column(one, two, frame, request) == {}


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("decimals", [3, 4, 6])
def test_printed_columns_near_a_convention(name, decimals):
    """A printed column one unit in its last digit away from every convention is not explained; a true one is."""
    frame, request = question(name)
    mine = fit(request, frame, "pyfixest")
    theirs = fit(request, frame, "b", vcov=VcovSpec(type="HC1"))
    numbers = printed_column(theirs, decimals)
    found = explain_printed(numbers, mine, frame, request, legend=LEGEND)
    forensics = rank_column(numbers, frame, request, legend=LEGEND)
    assert forensics.whole
    if forensics.odds <= 0.05 and found:
        assert all("HC1" in found[r.term, "std_error"][0].title for r in theirs.coefs) or len(forensics.whole) > 1
    off = [
        replace(
            p, value=p.value + 7 * w, low=p.low + 7 * w, high=p.high + 7 * w, printed=rounded(p.value + 7 * w, decimals)
        )
        if p.quantity == "std_error" and p.term == "x" and (w := 10.0**-decimals)
        else p
        for p in numbers
    ]
    spoiled = rank_column(off, frame, request, legend=LEGEND)
    if decimals == 6:
        assert explain_printed(off, mine, frame, request, legend=LEGEND) == {}
        assert spoiled.whole == ()
        assert spoiled.ranked[0].digits_right < spoiled.ranked[0].digits


def test_random_printed_columns_are_seldom_met():
    """Three printed errors of four digits: arbitrary ones meet some point of the catalogue in few of a hundred columns."""
    frame = PANELS["balanced"][0].select(NUMERIC)
    request = base("y ~ x + z + q | id")
    mine = fit(request, frame, "a")
    rng = np.random.default_rng(11)
    explained = 0
    for _ in range(100):
        noise = np.exp(rng.uniform(-0.5, 0.5, 3))
        column = mine.with_(
            coefs=tuple(replace(c, std_error=c.std_error * f) for c, f in zip(mine.coefs, noise, strict=True))
        )
        explained += bool(explain_printed(printed_column(column, 5), mine, frame, request, legend=LEGEND))
    assert explained == 0


def test_inference_of_a_printed_column_names_the_distribution():
    frame, request = question("few clusters")
    mine = fit(request, frame, "pyfixest")
    numbers = printed_column(mine, 6)
    for row in mine.coefs:
        p = p_of(row.statistic, math.inf)
        text = rounded(p, 4)
        numbers.append(
            replace(
                numbers[0],
                term=row.term,
                quantity="p_value",
                printed=text,
                value=float(text),
                low=float(text) - 5e-5,
                high=float(text) + 5e-5,
                decimals=4,
            )
        )
    found = rank_column(numbers, frame, request, legend=LEGEND)
    assert found.whole
    assert any("normal" in law for law in found.whole[0].laws)
    assert not any("G - 1" in law for law in found.whole[0].laws)
    assert critical(0.95, 8) > critical(0.95, math.inf)


def test_a_printed_column_of_another_sample_is_ranked_with_its_sample():
    frame, request = question("balanced")
    q = frame["q"].as_float().copy()
    q[[3, 50, 77, 120]] = np.nan
    frame = Frame(tuple(Column("q", "float", q) if c.name == "q" else c for c in frame.columns), frame.nrows)
    theirs = fit(request, frame.take(~np.isnan(q)), "b", ssc=SscSpec(k_fixef="full"))
    found = rank_column(printed_column(theirs, 6), frame, request, legend=LEGEND)
    best = found.ranked[0]
    assert best.whole
    assert best.sample == "4 observations with a missing value in q"
    assert best.nobs == frame.nrows - 4
    assert (best.errors_met, best.estimates_met) == (2, 2)
    assert best.digits_right == best.digits
    assert best.departs == 2
    whole = fit(request, frame, "b")
    off = [replace(p, value=p.value * 1.01, low=p.low * 1.01, high=p.high * 1.01) for p in printed_column(whole, 6)]
    assert rank_column(off, frame, request, legend=LEGEND).whole == ()
