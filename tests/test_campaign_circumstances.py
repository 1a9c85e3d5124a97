"""Does a circumstance of linear models show its own fault, and no other in the same place?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosscheck.campaign.case import Case, Discrepancy, Identity, features
from crosscheck.campaign.circumstance import matrix_of, ways, with_dummies
from crosscheck.campaign.circumstances import CIRCUMSTANCES
from crosscheck.campaign.columns import put
from crosscheck.campaign.screen import recognised
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.explain.replay import replayer
from crosscheck.explain.structure import same_fit
from crosscheck.frame import Column, Frame
from crosscheck.results import failed
from crosscheck.spec import FitRequest, VcovSpec, WeightsSpec


def made(**columns):
    """Return a frame of numbers and, where the values are text, of categories."""
    out = []
    for name, values in columns.items():
        if isinstance(values[0], str):
            levels = tuple(sorted(set(values)))
            codes = np.array([levels.index(v) for v in values], dtype=np.int32)
            out.append(Column(name, "category", codes, levels))
        else:
            out.append(Column(name, "float", np.array(values, dtype=np.float64)))
    return Frame(tuple(out), len(next(iter(columns.values()))))


def case_of(frame, formula, rule="engines_agree", **fields):
    request = FitRequest(formula=formula, **fields)
    return Case(seed=1, frame=frame, requests=(request,), engines=("oracle", "r.fixest"), rule=rule)


def one(engine, quantity, case, term="", says=""):
    against = "oracle" if case.rule == "engines_agree" else ""
    identity = Identity(
        rule=case.rule, engine=engine, against=against, quantity=quantity, features=features(case.request)
    )
    return Discrepancy(identity=identity, term=term, value=1.0, other=2.0, says=says)


def known_as(found, case, fit):
    match = recognised(found, case, fit)
    return None if match is None else match.id


GROUPS = made(
    g=["a", "a", "a", "b", "b", "b", "c", "c", "c"],
    x=[-1, 0, 1, 0, 1, 2, 3, 1, 2],
    y=[-1, 1, 0, 1, 3, 2, 5, 2, 4],
)


def hc3(request, frame, *, forgets_zero, factor=1.0):
    """Compute HC3 with the leverages of all dummies, or without those of effects that are estimated as zero."""
    case = Case(seed=1, frame=frame, requests=(request,), engines=("r.fixest",))
    z = with_dummies(matrix_of(case))
    y = frame["y"].as_float()
    bread = np.linalg.inv(z.T @ z)
    b = bread @ z.T @ y
    h = np.einsum("ij,jk,ik->i", z, bread, z)
    if forgets_zero:
        for level in np.flatnonzero(np.abs(b[1:]) < 1e-12) + 1:
            h = h - z[:, level] / z[:, level].sum()
    s = z * ((y - z @ b) / (1 - h))[:, None]
    error = factor * float(np.sqrt((bread @ s.T @ s @ bread)[0, 0]))
    right = ORACLE.fit(request, frame)
    return right.with_(engine="r.fixest", coefs=(replace(right.coefs[0], std_error=error),), vcov=())


@pytest.mark.parametrize(("fault", "known"), [({}, "fixest.effect_of_zero_hc3"), ({"factor": 1.01}, None)])
def test_only_what_constants_of_the_groups_mend_is_an_effect_of_zero(fault, known, monkeypatch):
    case = case_of(GROUPS, "`y` ~ `x` | `g`", vcov=VcovSpec(type="HC3"))

    def fit(name, request, frame):
        return ORACLE.fit(request, frame) if name == "oracle" else hc3(request, frame, forgets_zero=True, **fault)

    differs = fit("r.fixest", case.request, case.frame).coefs[0].std_error
    assert abs(differs / ORACLE.fit(case.request, case.frame).coefs[0].std_error - 1) > 0.005
    assert known_as(one("r.fixest", "std_error", case, "x"), case, fit) == known


def test_a_regressor_that_is_not_listed_has_to_be_zero():
    frame = made(y=[1, 2, 3, 4, 7, np.nan], zero=[0, 0, 0, 0, 0, 1], flat=[1, 1, 1, 1, 1, 2], x=[1, 3, 2, 5, 4, 4])
    for gone, known in (("zero", "fixest.zero_not_listed"), ("flat", None), ("x", None)):
        case = case_of(frame, f"`y` ~ `x` + `{gone}`" if gone != "x" else "`y` ~ `x`", rule="unusable_rows")

        def silent(name, request, frame, gone=gone):
            right = ORACLE.fit(request, frame)
            return right.with_(engine=name, dropped=() if frame.nrows == 6 else (gone,))

        assert known_as(one("r.fixest", "dropped", case), case, silent) == known, gone


def test_statsmodels_may_fail_only_where_the_last_lag_pairs_no_rows():
    frame = made(
        unit=["a", "a", "b", "b", "c", "c"], time=[1, 2, 2, 3, 3, 4], x=[1, 2, 4, 3, 5, 9], y=[1, 0, 2, 2, 1, 5]
    )
    for lag, known in ((2, "statsmodels.lag_beyond_series"), (1, None)):
        vcov = VcovSpec(type="NW", lag=lag)
        case = case_of(frame, "`y` ~ `x`", unit="unit", time="time", vcov=vcov)
        found = one("statsmodels", "status", case, says="all groups are empty taking lags")
        assert known_as(found, case, lambda name, *_: failed(name, "nobody is asked")) == known


def test_weights_of_zero_take_rows_out_of_what_is_zero():
    frame = made(y=[1, 2, 3, 4, 7, 1], d=[0, 0, 0, 0, 0, 1], x=[1, 3, 2, 5, 4, 4], w=[1, 1, 2, 1, 1, 0])
    case = case_of(frame, "`y` ~ `x` + `d`", rule="unusable_rows", weights=WeightsSpec(column="w"))

    def silent(name, request, frame):
        return ORACLE.fit(request, frame).with_(engine=name, dropped=() if frame.nrows == 6 else ("d",))

    assert known_as(one("r.fixest", "dropped", case), case, silent) == "fixest.zero_not_listed"


PANEL = made(
    unit=[f"u{i}" for i in range(6) for _ in range(4)],
    time=[t for _ in range(6) for t in range(4)],
    x=np.random.default_rng(5).normal(size=24).round(3),
    y=np.random.default_rng(6).normal(size=24).round(3),
)


def paired_by_place(request, frame, *, factor=1.0):
    """Compute NW, one lag, with rows paired by place within periods where only the last period lacks units."""
    right = ORACLE.fit(request, frame)
    x, y = np.column_stack([np.ones(frame.nrows), frame["x"].as_float()]), frame["y"].as_float()
    unit, time = frame["unit"].codes()[0], frame["time"].codes()[0]
    _, first = np.unique(unit, return_index=True)
    place = np.argsort(np.argsort(first))[np.unique(unit, return_inverse=True)[1]]
    rows = np.lexsort((place, time))
    counts = np.bincount(time)
    bread = np.linalg.inv(x.T @ x)
    s = (x * (y - x @ bread @ x.T @ y)[:, None])[rows]
    meat = s.T @ s
    last = place[rows][-counts[-1] :]
    taken = (counts[:-1] == counts[0]).all() and (np.diff(last) == 1).all()
    for a in range(counts[0], frame.nrows):
        b = a - counts[0]
        if not taken:
            match = np.flatnonzero((place[rows] == place[rows][a]) & (time[rows] == time[rows][a] - 1))
            b = int(match[0]) if match.size else a
        if a != b:
            meat = meat + 0.5 * (np.outer(s[a], s[b]) + np.outer(s[b], s[a]))
    errors = np.sqrt(np.diag(bread @ meat @ bread))
    rows_ = tuple(replace(r, std_error=factor * float(e)) for r, e in zip(right.coefs, errors, strict=True))
    return right.with_(engine="r.fixest", coefs=rows_, vcov=())


@pytest.mark.parametrize(("fault", "known"), [({}, "fixest.last_period_incomplete"), ({"factor": 1.02}, None)])
def test_only_a_last_period_that_lacks_its_first_units_excuses_pairs_by_place(fault, known):
    whole = PANEL.take(np.flatnonzero((PANEL["unit"].codes()[0] > 0) | (PANEL["time"].as_float() < 3)))
    ssc = {"k_adj": False, "g_adj": False}
    case = case_of(whole, "`y` ~ `x`", unit="unit", time="time", vcov=VcovSpec(type="NW", lag=1), ssc=ssc)

    def fit(name, request, frame):
        return ORACLE.fit(request, frame) if name == "oracle" else paired_by_place(request, frame, **fault)

    errors = [fit(e, case.request, case.frame).coef("x").std_error for e in case.engines]
    assert abs(errors[1] / errors[0] - 1) > 0.001
    assert known_as(one("r.fixest", "std_error", case, "x"), case, fit) == known


def squares(**changes):
    """Return a panel of which the square of a regressor in small units is tiny."""
    rng = np.random.default_rng(7)
    columns = {"x": rng.normal(size=24) * 1e-6, "d": np.tile([0.0, 0.0, 1.0, 1.0], 6), "y": rng.normal(size=24)}
    return made(**columns, **changes)


def absolute_threshold(request, frame, *, factor=1.0, power=1.0):
    """Answer as the closed form does, without columns of which normal equations leave less than 1e-10 in their own units."""
    case = Case(seed=1, frame=frame, requests=(request,), engines=("r.fixest",))
    matrix = matrix_of(case)
    if power != 1.0:  # I(x^2) made wrongly
        column = frame["x"].as_float()
        frame = put(frame, Column("x", "float", np.sign(column) * np.abs(column) ** power))
    right = ORACLE.fit(request, frame)
    tiny = {n for n, x in zip(matrix.names, matrix.X.T, strict=True) if x @ x < 1e-10}
    kept = tuple(replace(r, std_error=r.std_error * factor) for r in right.coefs if r.term not in tiny)
    return right.with_(engine="r.fixest", coefs=kept, dropped=tuple(sorted(tiny)), vcov=())


@pytest.mark.parametrize(
    ("fault", "known"),
    [({}, "columns_cost_digits"), ({"factor": 1.1}, None), ({"power": 1.5}, None)],
)
def test_a_tiny_square_excuses_that_it_is_left_out_and_nothing_else(fault, known):
    case = case_of(squares(), "`y` ~ `d` + I(`x`^2)")

    def fit(name, request, frame):
        return ORACLE.fit(request, frame) if name == "oracle" else absolute_threshold(request, frame, **fault)

    assert not any(r.term == "I(x^2)" for r in fit("r.fixest", case.request, case.frame).coefs)
    assert known_as(one("r.fixest", "terms", case, "I(x^2)"), case, fit) == known


def test_what_effects_leave_of_a_column_has_to_be_rounding():
    rng = np.random.default_rng(9)
    group = ["a", "a", "b", "b", "c", "c", "d", "d"]
    level = np.repeat([3.0e6, 4.0e6, 5.0e6, 7.0e6], 2)
    for noise, known in ((0.0, "rounding_kept_as_a_term"), (1e-3, None)):
        frame = made(g=group, y=rng.normal(size=8), x=rng.normal(size=8), z=level + noise * rng.normal(size=8))
        case = case_of(frame, "`y` ~ `x` + I(`z`^2) | `g`")
        found = one("r.fixest", "terms", case, "I(z^2)")
        assert known_as(found, case, lambda name, *_: failed(name, "nobody is asked")) == known
    plain = made(g=group, y=rng.normal(size=8), x=rng.normal(size=8), z=level)
    case = case_of(plain, "`y` ~ `x` + `z` | `g`")
    assert known_as(one("r.fixest", "terms", case, "z"), case, lambda name, *_: failed(name, "nobody is asked")) is None


def by_cross_products(request, frame, *, factor=1.0):
    """Solve two-stage least squares from cross products of the columns as they stand, inverted twice."""
    right = ORACLE.fit(request, frame)
    matrix = matrix_of(Case(seed=1, frame=frame, requests=(request,), engines=("pyfixest",)))
    x, z = np.column_stack([matrix.X, matrix.endogenous]), np.column_stack([matrix.X, matrix.instruments])
    half = x.T @ z @ np.linalg.inv(z.T @ z)
    b = dict(
        zip(
            (*matrix.names, *matrix.endogenous_names),
            np.linalg.solve(half @ z.T @ x, half @ z.T @ matrix.y),
            strict=True,
        )
    )
    rows = tuple(replace(r, estimate=factor * float(b[r.term.removeprefix("fit_")])) for r in right.coefs)
    return right.with_(engine="pyfixest", coefs=rows, vcov=())


@pytest.mark.parametrize(("fault", "known"), [({}, "pyfixest.iv_far_from_zero"), ({"factor": 1.001}, None)])
def test_a_large_mean_excuses_what_cross_products_lose_after_instruments(fault, known):
    rng = np.random.default_rng(11)
    z = rng.normal(size=20)
    frame = made(y=rng.normal(size=20), d=z + rng.normal(size=20), z=z, day=18262.0 + np.arange(20))
    case = case_of(frame, "`y` ~ `day` | `d` ~ `z`").with_(engines=("oracle", "pyfixest"))

    def fit(name, request, frame):
        return ORACLE.fit(request, frame) if name == "oracle" else by_cross_products(request, frame, **fault)

    assert known_as(one("pyfixest", "estimate", case, "day"), case, fit) == known


@pytest.mark.parametrize(("sign", "same"), [(1.0, True), (-1.0, False)])
def test_another_level_left_out_is_the_same_fit_where_x_b_is(sign, same):
    """Neither side has an R2: plm gives none of a within model."""
    frame = made(
        g=["a", "b", "c", "b", "c", "a", "b", "c"],
        t=["1", "1", "1", "2", "2", "2", "3", "3"],
        y=[1, 2, 4, 3, 6, 5, 5, 8],
    )
    case = case_of(frame, "`y` ~ i(`g`) | `t`")
    right = ORACLE.fit(case.request, frame)
    b = {r.term: r.estimate for r in right.coefs}
    other = {"g::a": -b["g::c"], "g::b": b["g::b"] - sign * b["g::c"]}
    rows = tuple(replace(right.coefs[0], term=t, estimate=v) for t, v in other.items())
    bare = replace(right.stats, r2=None)
    theirs = right.with_(engine="r.plm", coefs=rows, dropped=("g::c",), stats=bare, vcov=())
    made_ = replayer(case.request, frame)
    assert same_fit(right.with_(stats=bare), theirs, made_) is same


def test_an_f_without_constant_is_one_of_two_and_no_third():
    frame = made(y=[1, 4, 2, 6, 5, 7], x=[1, 2, 2, 3, 4, 4], z=[1, 0, 1, 1, 0, 2])
    case = case_of(frame, "`y` ~ `x` + `z` - 1")
    x, y = np.column_stack([frame["x"].as_float(), frame["z"].as_float()]), frame["y"].as_float()
    ssr = float(np.linalg.lstsq(x, y, rcond=None)[1][0])
    zero, mean = (y @ y - ssr) / 2 / (ssr / 4), ((y - y.mean()) @ (y - y.mean()) - ssr) / 1 / (ssr / 4)
    for theirs, known in ((mean, "fixest.f_without_constant"), (mean * 1.01, None), (zero / 2, None)):
        found = replace(one("statsmodels", "f", case), value=zero, other=theirs)
        found = replace(found, identity=replace(found.identity, against="r.fixest"))
        assert known_as(found, case, lambda name, *_: failed(name, "nobody is asked")) == known


@pytest.mark.parametrize(("breaks", "known"), [("1", "pyfixest.part_of_a_split_fails"), ("", None)])
def test_a_split_may_fail_where_another_part_of_it_fails_alone(breaks, known):
    rng = np.random.default_rng(3)
    frame = made(y=rng.normal(size=24), x=rng.normal(size=24), region=["0", "1", "2"] * 8)
    case = case_of(frame, "`y` ~ `x`", rule="one_of_several").with_(engines=("pyfixest",))
    case = next(c for s in range(60) if _splits(c := case.with_(seed=s)))
    level = ways(case)[-1].request.options["label"]
    gone = "" if not breaks else next(label for label in "012" if label != level)

    def fit(name, request, frame):
        column = frame["region"]
        here = {column.levels[k] for k in np.unique(column.values)}
        return failed(name, "no residuals are left") if here == {gone} else ORACLE.fit(request, frame)

    assert known_as(one("pyfixest", "status", case, says="status: error: numbers"), case, fit) == known


def _splits(case):
    return len(ways(case)) == 2 and ways(case)[-1].request.options.get("several") == "split"


def test_singular_after_instruments_has_to_be_spanned():
    rng = np.random.default_rng(4)
    z, x = rng.normal(size=20), rng.normal(size=20)
    for instrument, known in ((2 * x + 1, "collinear.refused"), (z, None)):
        frame = made(y=rng.normal(size=20), d=z + x + rng.normal(size=20), z=instrument, x=x)
        case = case_of(frame, "`y` ~ `x` | `d` ~ `z`")
        found = one("statsmodels", "status", case, says="Singular matrix")
        assert known_as(found, case, lambda name, *_: failed(name, "nobody is asked")) == known


def test_a_relation_is_singular_where_its_other_question_is():
    """What effects absorb is no regressor of theirs; in first differences it may be one."""
    frame = PANEL.take(np.flatnonzero(PANEL["time"].as_float() < 2))
    x = PANEL["x"].as_float()[PANEL["time"].as_float() < 2]
    flat = put(frame, Column("x", "float", np.repeat(x[::2], 2)))
    for data, known in ((flat, "collinear.refused"), (frame, None)):
        case = case_of(data, "`y` ~ `x`", rule="first_differences", unit="unit", time="time")
        found = one("pyfixest", "status", case, says="All variables are collinear")
        assert known_as(found, case, lambda name, *_: failed(name, "nobody is asked")) == known


def test_a_circumstance_that_fails_shows_nothing_and_ends_nothing(monkeypatch):
    def fails(*_):
        raise TypeError("'float' object is not iterable")

    case = case_of(GROUPS, "`y` ~ `x` | `g`", vcov=VcovSpec(type="HC3"))
    monkeypatch.setitem(CIRCUMSTANCES, "effect_of_zero", fails)
    assert known_as(one("r.fixest", "std_error", case, "x"), case, lambda n, r, f: ORACLE.fit(r, f)) is None


def test_copies_that_are_kept_have_to_be_dropped_in_even_units():
    frame = made(y=[2, 4, 1, 4, 9, 2], x=[5900, 5300, 600, 9900, 2400, 8300], g=["a", "a", "a", "b", "b", "b"])
    frame = put(frame, Column("c", "float", frame["x"].as_float()))
    case = case_of(frame, "`y` ~ `x` + `c` | `g`", rule="scale_outcome")

    def keeps(always):
        def fit(name, request, asked):
            large = np.abs(asked["x"].as_float()).max() > 1e3
            scaled = not np.array_equal(asked["y"].as_float(), frame["y"].as_float())
            kept = scaled and (large or always)
            return ORACLE.fit(request, asked).with_(engine=name, dropped=() if kept else ("c",))

        return fit

    for always, known in ((False, "fixest.copies_in_large_units"), (True, None)):
        case_, fit = case.with_(engines=("r.fixest",)), keeps(always)
        assert known_as(one("r.fixest", "dropped", case_), case_, fit) == known


def test_a_step_after_a_zero_regressor_is_right_once_rows_go():
    frame = made(y=[1, 3, 4, 6, 5, np.nan], a=[0, 0, 0, 0, 0, 1], b=[0, 0, 1, 1, 1, 0])
    case = case_of(frame, "`y` ~ `a` + `b`", rule="one_of_several").with_(engines=("r.fixest",))
    case = next(c for s in range(99) if ways(c := case.with_(seed=s))[-1].request.options.get("several") == "csw")

    def loses(always):
        def fit(name, request, frame):
            right = ORACLE.fit(request, frame)
            lost = request.options.get("several") and (always or frame.nrows == 6)
            return right.with_(engine=name, coefs=right.coefs[:1]) if lost else right.with_(engine=name)

        return fit

    for always, known in ((False, "fixest.step_after_zero"), (True, None)):
        assert known_as(one("r.fixest", "terms", case, "b"), case, loses(always)) == known
