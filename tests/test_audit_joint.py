"""Intervals, the solver's two certificates, and joint feasibility of blocks of columns."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.audit.engine import from_frame, run_families
from crosscheck.audit.facts import Facts, parse
from crosscheck.audit.interval import INF, Interval, integers, root, square
from crosscheck.audit.joint.certificate import enclosures, exact_rows, multipliers_hold, point_holds
from crosscheck.audit.joint.conflict import minimal_conflict, single_repairs
from crosscheck.audit.joint.family import joint
from crosscheck.audit.joint.model import Block
from crosscheck.audit.joint.relax import relaxed_infeasible, rows_of
from crosscheck.audit.joint.solver import solve
from crosscheck.audit.joint.system import System, contract
from crosscheck.audit.simulate import simulate_paper

reals = st.floats(-1e6, 1e6, allow_nan=False, allow_infinity=False)


@st.composite
def intervals(draw):
    a, b = draw(reals), draw(reals)
    return Interval(min(a, b), max(a, b))


@given(intervals(), intervals(), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_operations_contain_the_exact_result(x, y, p, q):
    a = min(max(x.lo + p * x.width, x.lo), x.hi)
    b = min(max(y.lo + q * y.width, y.lo), y.hi)
    fa, fb = Fraction(a), Fraction(b)
    for box, value in ((x + y, fa + fb), (x - y, fa - fb), (x * y, fa * fb), (square(x), fa * fa)):
        assert Fraction(box.lo) <= value <= Fraction(box.hi)
    if not y.lo <= 0.0 <= y.hi:
        box = x / y
        assert math.isinf(box.lo) or Fraction(box.lo) <= fa / fb
        assert math.isinf(box.hi) or fa / fb <= Fraction(box.hi)
    elif fb != 0:
        box = x / y
        assert box.lo <= a / b <= box.hi or math.isinf(box.hi) or math.isinf(box.lo)


def test_roots_and_integers():
    box = root(Interval(2.0, 3.0))
    assert Fraction(box.lo) ** 2 <= 2
    assert Fraction(box.hi) ** 2 >= 3
    assert root(Interval(-2.0, -1.0)).empty
    assert integers(Interval(62.97, 63.001), 0, 308) == (63,)
    assert (Interval(1.0, 2.0) / Interval(0.0, 1.0)).hi == INF


def identity_system(gap: float) -> System:
    """(x - y)(x + y) exceeds x^2 - y^2 by at least ``gap``: impossible for any gap above 0."""
    s = System()
    x, y = s.var("x", 0.0, 1.0), s.var("y", 0.0, 1.0)
    left = s.mul(s.sub(x, y), s.add(x, y))
    right = s.sub(s.sq(x), s.sq(y))
    s.bound(s.sub(left, right), Interval(gap, 4.0), "gap")
    return s


def test_branch_and_bound_proves_what_hull_consistency_cannot():
    impossible = identity_system(0.05)
    lo, hi = list(impossible.lo), list(impossible.hi)
    assert contract(impossible, lo, hi)
    answer = solve(impossible, 4000)
    assert answer.status == "infeasible"
    assert answer.nodes > 1
    possible = solve(identity_system(-0.05), 400)
    assert possible.status == "feasible"


def test_a_budget_that_runs_out_is_unknown():
    assert solve(identity_system(1e-6), 3).status == "unknown"


def test_linear_relaxation_proves_what_hull_consistency_cannot():
    s = System()
    x, y = s.var("x", 0.0, 1.0), s.var("y", 0.0, 1.0)
    twice = s.add(s.add(x, y), s.sub(x, y))
    s.bound(s.sub(twice, s.aff(x, 2.0, 0.0)), Interval(0.1, 3.0), "gap")
    lo, hi = list(s.lo), list(s.hi)
    assert contract(s, lo, hi)
    assert relaxed_infeasible(s, lo, hi)[0]


def test_certificates_are_never_wrong():
    rng = np.random.default_rng(0)
    proved = found_points = 0
    for _ in range(80):
        s = System()
        centre = rng.uniform(0.5, 2.0, 3)
        x = [s.var(f"x{i}", c - 0.3, c + 0.3) for i, c in enumerate(centre)]
        point = centre + rng.uniform(-0.3, 0.3, 3)
        values = [point[0] * point[1] - point[2], point[1] ** 2 + point[0], point[2] * point[0]]
        derived = [s.sub(s.mul(x[0], x[1]), x[2]), s.add(s.sq(x[1]), x[0]), s.mul(x[2], x[0])]
        gap = rng.choice([0.0, 0.4])
        for k, (index, value) in enumerate(zip(derived, values, strict=True)):
            s.bound(index, Interval(value - 0.01 + gap * (k == 2), value + 0.01 + gap * (k == 2)), str(k))
        answer = solve(s, 200)
        assert gap > 0.0 or answer.status != "infeasible"
        proved += answer.status == "infeasible"
        if answer.status == "feasible":
            found_points += 1
            values = s.forward(answer.point)[0]
            assert np.all(values >= np.array(s.lo))
            assert np.all(values <= np.array(s.hi))
    assert proved > 5
    assert found_points > 20


def test_jacobian_against_differences():
    s = System()
    x, y = s.var("x", 0.1, 3.0), s.var("y", 0.1, 3.0)
    s.aff(s.root(s.div(s.mul(s.sq(x), y), s.sub(s.aff(x, 3.0, 1.0), s.add(y, x)))), -2.0, 5.0)
    at = np.array([1.3, 0.7])
    _, jacobian = s.forward(at)
    for k in range(2):
        step = np.zeros(2)
        step[k] = 1e-6
        numeric = (s.forward(at + step)[0] - s.forward(at - step)[0]) / 2e-6
        assert np.allclose(jacobian[:, k], numeric, rtol=1e-7, atol=1e-9)


def paper_of(seed: int, **changes: str):
    simulated = simulate_paper(seed, "iid", like_paper=True)
    frame = simulated.frame.copy()
    for key, text in changes.items():
        table, column, term, quantity = key.split("__")
        mask = (frame.table == table) & (frame.column == column) & (frame.term == term) & (frame.quantity == quantity)
        assert mask.sum() == 1
        frame.loc[mask, "printed"] = text
    return from_frame(frame, parse(simulated.facts, Facts, "simulated")), frame


def test_an_honest_block_is_reproduced_by_a_point():
    paper, _ = paper_of(11)
    classical = frozenset(c.key for c in paper.columns)
    system = Block(paper=paper, sample="full", classical=classical).build()
    answer = solve(system)
    assert answer.status == "feasible"
    values, _ = system.forward(answer.point)
    for token, index in system.token_of.items():
        if token in paper.tokens and paper.tokens[token].quantity != "stars":
            assert values[index] in paper.tokens[token].interval, token


def test_conflict_names_the_changed_number_and_the_way_back():
    paper, _ = paper_of(11)
    old = paper.tokens["table3:2:D:std_error"].printed
    new = f"{float(old) * 1.5:.4f}"
    changed, _ = paper_of(11, table3__2__D__std_error=new)
    classical = frozenset(c.key for c in changed.columns)

    def build(without: frozenset[str]) -> System:
        return Block(paper=changed, sample="full", classical=classical, without=without).build()

    assert solve(build(frozenset())).status == "infeasible"
    conflict = minimal_conflict(build, tuple(build(frozenset()).token_of))
    assert "table3:2:D:std_error" in conflict
    everything = frozenset(build(frozenset()).token_of)
    for left_out in conflict:
        rest = everything - (frozenset(conflict) - {left_out})
        assert solve(build(rest), 4, seek=False).status != "infeasible"
    repairs = {r.token: r for r in single_repairs(build, conflict, dict(changed.tokens))}
    back = repairs["table3:2:D:std_error"]
    assert float(back.low) <= float(old) <= float(back.high)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_wrong_kind_of_se_is_no_error(seed):
    simulated = simulate_paper(seed, "cluster")
    paper = from_frame(simulated.frame, parse(simulated.facts, Facts, "simulated"))
    answers = joint(paper, run_families(paper))
    assert {c.verdict for c in answers} <= {"consistent", "cannot_tell"}
    forced = Block(paper=paper, sample="full", classical=frozenset(c.key for c in paper.columns)).build()
    assert solve(forced).status == "infeasible"


def test_a_point_is_refused_unless_every_bound_survives_rounding():
    s = System()
    x = s.var("x", 0.0, 1.0)
    third = s.aff(x, 1.0 / 3.0, 0.0)
    s.bound(third, Interval(0.0, 0.1), "third")
    assert point_holds(s, np.array([0.25]))
    assert not point_holds(s, np.array([0.31]))
    edge = 3.0 * 0.1
    assert s.forward(np.array([edge]))[0][third] <= 0.1
    assert not point_holds(s, np.array([edge]))
    box = enclosures(s, np.array([0.25]))[third]
    assert Fraction(box.lo) <= Fraction(1, 12) <= Fraction(box.hi)


def test_a_quantity_that_the_facts_fix_enters_with_all_its_bounds():
    s = System()
    x = s.var("x", 1.0 - 1e-12, 1.0 + 1e-12)
    s.bound(s.sq(x), Interval(1.0, 2.0), "square")
    assert not point_holds(s, np.array([1.0]))


def small_system(gap: float) -> System:
    s = System()
    x, y = s.var("x", 0.0, 1.0), s.var("y", 0.5, 1.0)
    total = s.add(s.mul(x, y), s.aff(s.sq(x), -0.3, 1.0))
    s.bound(total, Interval(1.0 + gap, 4.0), "total")
    s.le(x, y)
    return s


def test_exact_rows_are_the_rows_of_the_relaxation():
    s = small_system(0.2)
    lo, hi = list(s.lo), list(s.hi)
    assert contract(s, lo, hi)
    rows = rows_of(s, lo, hi)
    exact = [row for op in s.ops for row in exact_rows(op, lo, hi)]
    assert len(exact) == len(rows.rhs)
    for number, (terms, rhs) in enumerate(exact):
        mine = {rows.col[k]: rows.val[k] for k in range(len(rows.row)) if rows.row[k] == number}
        assert mine == pytest.approx({i: float(v) for i, v in terms}, rel=1e-15, abs=1e-15)
        assert rows.rhs[number] == pytest.approx(float(rhs), rel=1e-12, abs=1e-12)


@given(st.lists(st.floats(0, 1e6), min_size=40, max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_multipliers_refute_what_is_possible(weights):
    s = small_system(0.2)
    assert solve(s, 50).status == "feasible"
    lo, hi = list(s.lo), list(s.hi)
    assert contract(s, lo, hi)
    count = sum(1 for op in s.ops for _ in exact_rows(op, lo, hi))
    assert not multipliers_hold(s, lo, hi, np.array(weights[:count]))


def test_multipliers_are_verified_in_fractions():
    s = System()
    x, y = s.var("x", 0.0, 1.0), s.var("y", 0.0, 1.0)
    s.bound(s.sub(s.add(x, y), s.aff(x, 1.0, 0.0)), Interval(1.5, 3.0), "y again")
    lo, hi = list(s.lo), list(s.hi)
    for k in range(len(lo)):
        lo[k], hi[k] = max(lo[k], -9.0), min(hi[k], 9.0)
    count = sum(1 for op in s.ops for _ in exact_rows(op, lo, hi))
    found = [w for w in np.eye(count) if multipliers_hold(s, lo, hi, w)]
    assert not found
    assert relaxed_infeasible(s, lo, hi)[0]


def test_the_point_of_an_honest_block_is_reported():
    paper, _ = paper_of(11)
    answers = [c for c in joint(paper, run_families(paper)) if c.certificate]
    assert answers
    for check in answers:
        assert len(dict(check.certificate)) == len(check.certificate)
