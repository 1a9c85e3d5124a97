"""Do circumstances of cohorts and of separation show their own fault, and no other in the same place?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crosscheck.campaign.case import Case, Discrepancy, Identity, features
from crosscheck.campaign.circumstances_cohorts import (
    always_treated,
    balanced_before,
    cohorts_of_fixest,
    one_cell_and_missing,
    separated_groups,
    undetermined_effect,
)
from crosscheck.campaign.circumstances_likelihood import settles
from crosscheck.campaign.circumstances_replayed import poly_of_other_rows
from crosscheck.campaign.columns import put
from crosscheck.campaign.design_arithmetic import winsorized
from crosscheck.campaign.differential import pair_cells
from crosscheck.campaign.laws import degrees_of_freedom
from crosscheck.campaign.reexpressed import reexpressed
from crosscheck.campaign.relations_rows import row_order
from crosscheck.campaign.screen import recognised
from crosscheck.campaign.separation import separates
from crosscheck.campaign.spanned import spanned
from crosscheck.engines._score import unsolved
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.frame import Frame
from crosscheck.results import Block, Conventions, EstimationResult, FitStats, failed
from crosscheck.spec import FitRequest, SscSpec, WeightsSpec

from .designs_helpers import in_r, need_r
from .engine_helpers import floats, integers

NEVER = 9
Y = np.array([4.0, 5, 9, 1, 7, 12, 2, 2, 8, 2, 2, 4])


def panel(cohorts, y=Y, periods=3):
    """Units of one row in each of a few periods, the last listed first."""
    units = len(cohorts)
    unit = np.tile(np.arange(1, units + 1), periods)
    time = np.repeat(np.arange(periods, 0, -1), units)
    y = np.asarray(y, dtype=float).reshape(units, periods)[unit - 1, time - 1]
    cohort = np.asarray(cohorts)[unit - 1]
    return Frame((integers("id", unit), integers("t", time), integers("g", cohort), floats("y", y)), unit.size)


def case_of(frame, **fields):
    request = FitRequest(unit="id", time="t", **fields)
    return Case(seed=1, frame=frame, requests=(request,), engines=("oracle", "r.fixest"), rule="engines_agree")


def sunab(frame, aggregation="group", formula="y ~ sunab(g, t) | id + t"):
    return case_of(frame, estimator="sunab", formula=formula, options={"aggregation": aggregation})


def att_gt(frame, **options):
    whole = {"y": "y", "cohort": "g", "unit": "id", "time": "t", "aggregation": "none", **options}
    return case_of(frame, estimator="att_gt", options=whole)


def one(case, quantity="terms", engine="r.fixest", term="", says=""):
    identity = Identity(
        rule=case.rule, engine=engine, against="oracle", quantity=quantity, features=features(case.request)
    )
    return Discrepancy(identity=identity, term=term, value=1.0, other=2.0, says=says)


def nobody(name, request, frame):
    return failed(name, "not here")


def nothing(case):
    return ()


def fixest(request, frame):
    need_r("fixest")
    return in_r(request, frame, "r.fixest")


EARLY = panel([2, NEVER, NEVER, 3, 3], [*Y, 6, 5, 3])
"""Cohort 2 has one row before treatment; rows are listed from the last period on, so that it is the last of them."""


class TestCohortsOfFixest:
    def lost(self):
        """Return the panel with never treated units first, and the one early row of cohort 2 first among its own."""
        never = [i for i in range(15) if EARLY["g"].values[i] == NEVER]
        early = next(i for i in range(15) if (EARLY["g"].values[i], EARLY["t"].values[i]) == (2, 1))
        return EARLY.take(np.array([*never, early, *(i for i in range(15) if i not in (*never, early))]))

    def test_live_fixest_overlooks_the_first_row_of_a_cohort(self):
        case = sunab(self.lost())
        answer = fixest(case.request, case.frame)
        assert {r.term for r in answer.coefs} == {"cohort::3"}
        assert {r.term for r in ORACLE.fit(case.request, case.frame).coefs} == {"cohort::2", "cohort::3"}
        assert cohorts_of_fixest(case, one(case), lambda *_: answer, nothing)

        def off(*_):
            return answer.with_(coefs=tuple(replace(r, estimate=r.estimate * 1.001) for r in answer.coefs))

        assert not cohorts_of_fixest(case, one(case), off, nothing)
        plain = sunab(EARLY)
        again = fixest(plain.request, plain.frame)
        assert {r.term for r in again.coefs} == {"cohort::2", "cohort::3"}
        assert not cohorts_of_fixest(plain, one(plain), lambda *_: again, nothing)

    def test_the_right_effects_are_no_fault_of_fixest(self):
        case = sunab(self.lost())
        right = ORACLE.fit(case.request, case.frame)
        assert not cohorts_of_fixest(case, one(case), lambda *_: right, nothing)


class TestOneCell:
    """Two periods and one cohort: fixest calls the only column by the call that made it."""

    FRAME = panel([2, 2, NEVER, NEVER], [1, 5, 2, 4, 4, 6, 3, 7], periods=2)

    @pytest.mark.parametrize("aggregation", ["dynamic", "simple", "group", "none"])
    def test_it_has_the_name_of_its_effect(self, aggregation):
        case = sunab(self.FRAME, aggregation)
        ours, theirs = ORACLE.fit(case.request, case.frame), fixest(case.request, case.frame)
        assert [r.term for r in theirs.coefs] == [r.term for r in ours.coefs]
        assert theirs.coefs[0].estimate == pytest.approx(ours.coefs[0].estimate, rel=1e-9)
        assert theirs.coefs[0].std_error == pytest.approx(ours.coefs[0].std_error, rel=1e-9)

    def test_other_names_of_the_same_columns_are_no_choice(self):
        case = sunab(self.FRAME)
        right = ORACLE.fit(case.request, case.frame).with_(engine="r.fixest")
        called = right.with_(coefs=tuple(replace(r, term="treated") for r in right.coefs))
        cells = pair_cells(ORACLE.fit(case.request, case.frame), called, case.request, case.frame, nobody)
        assert {c.verdict for c in cells if c.quantity == "estimate"} == {"missing_candidate", "missing_reference"}

    def test_only_a_single_column_beside_a_missing_cohort_fails(self):
        for cohorts, missing, shown in (
            ([2, 2, 9, 9], True, True),
            ([2, 2, 9, 9], False, False),
            ([2, 3, 9, 9], True, False),
        ):
            periods = 2 if 3 not in cohorts else 3
            frame = panel(cohorts, np.arange(4.0 * periods), periods=periods)
            g = frame["g"].as_float()
            g[0] = np.nan if missing else g[0]
            case = sunab(Frame(tuple(floats("g", g) if c.name == "g" else c for c in frame.columns), frame.nrows))
            assert one_cell_and_missing(case, one(case, "status"), nobody, nothing) is shown


class TestWhatIsNotDetermined:
    def test_cells_beside_a_regressor_that_is_one_of_them(self):
        frame = panel([2, 3, NEVER, NEVER])
        x = ((frame["g"].values == 3) & (frame["t"].values == 3)).astype(float)
        frame = Frame((*frame.columns, floats("x", x)), frame.nrows)
        case = sunab(frame, "none", "y ~ x + sunab(g, t) | id + t")
        assert undetermined_effect(case, one(case, term="t::0:cohort::3"), nobody, nothing)
        assert not undetermined_effect(case, one(case, term="t::0:cohort::2"), nobody, nothing)
        assert recognised(one(case, term="t::0:cohort::2"), case, nobody) is None

    def test_a_column_is_spanned_by_others_and_by_effects(self):
        frame = panel([2, 3, NEVER, NEVER])
        g, t = frame["g"].as_float(), frame["t"].as_float()
        frame = Frame((*frame.columns, floats("x", g * t), floats("z", 2 * g * t - 3)), frame.nrows)
        for formula, found in (("y ~ x", False), ("y ~ x + z", True), ("y ~ x + g | id", True), ("y ~ -1 + x", False)):
            assert spanned(FitRequest(formula=formula), frame) is found
        assert not spanned(FitRequest(formula="y ~ 1 | id"), frame)

    @pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e6, 1.0), (0.0, 1e-8)])
    def test_separation_is_the_same_in_any_units(self, offset, scale):
        rng = np.random.default_rng(4)
        x = rng.normal(size=40)
        up = x + rng.normal(size=40) > 0
        columns = np.column_stack([np.ones(40), offset + scale * x])
        assert not separates(columns, up)
        assert separates(columns, x > 0.3)
        assert separates(columns, np.where(x > 0.3, True, np.arange(40) == np.argmin(x)) & (x > 0.3))

    def test_counts_are_separated_by_a_group_of_zeros(self):
        group = np.repeat([0.0, 1.0], 10)
        columns = np.column_stack([np.ones(20), group])
        assert separates(columns, group == 0, counts=True)
        assert not separates(columns, np.arange(20) % 2 == 0, counts=True)

    def test_only_a_separated_comparison_excuses_a_score(self):
        frame = panel([2, 2, 2, NEVER, NEVER, NEVER], np.arange(18.0))
        unit = frame["id"].values
        apart = Frame((*frame.columns, floats("x", unit.astype(float))), frame.nrows)
        mixed = Frame((*frame.columns, floats("x", (unit * 5 % 7).astype(float))), frame.nrows)
        for data, found in ((apart, True), (mixed, False)):
            case = att_gt(data, covariates=["x"], est_method="ipw")
            assert separated_groups(case, one(case, "estimate", "r.did", "ATT(2,2)"), nobody, nothing) is found
        by_regression = att_gt(apart, covariates=["x"], est_method="reg")
        assert not separated_groups(by_regression, one(by_regression), nobody, nothing)


def test_only_what_goes_with_units_that_lack_periods_is_balancing():
    whole = panel([2, 3, NEVER, NEVER])
    lacking = whole.take(~((whole["g"].values == 3) & (whole["t"].values == 1)))

    def answers(name, request, frame):
        return EstimationResult(engine=name)

    for frame, shown in ((lacking, True), (whole, False)):
        case = att_gt(frame)
        found = one(case, term="ATT(3,3)")
        assert balanced_before(case, found, answers, nothing) is shown
        assert not balanced_before(case, found, answers, lambda case, found=found: (found,))
        assert not balanced_before(case, found, nobody, nothing)
    unbalanced = att_gt(lacking, allow_unbalanced=True)
    assert not balanced_before(unbalanced, one(unbalanced), answers, nothing)


def test_always_treated_units_excuse_what_goes_with_them_alone():
    frame = panel([1, 2, 3, NEVER])
    case = att_gt(frame, control_group="notyettreated")
    found = one(case, engine="r.did")

    def answers(name, request, frame):
        return EstimationResult(engine=name)

    assert always_treated(case, found, answers, nothing)
    assert not always_treated(case, found, answers, lambda case: (found,))
    assert not always_treated(case, found, nobody, nothing)
    without = att_gt(panel([4, 2, 3, NEVER]), control_group="notyettreated")
    assert not always_treated(without, found, answers, nothing)


def test_a_score_does_not_depend_on_the_mean_of_a_covariate():
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(24), 2)
    time, cohort = np.tile([1, 2], 24), np.where(unit < 10, 2, 0)
    x, y = rng.normal(size=24)[unit], rng.normal(size=48)
    answers = []
    for offset in (0.0, 2.0**20):
        moved = np.round(x * 2**20) / 2**20 + offset
        columns = (integers("id", unit), integers("t", time), integers("g", cohort), floats("y", y), floats("x", moved))
        for method in ("ipw", "dr"):
            case = att_gt(Frame(columns, 48), covariates=["x"], est_method=method)
            row = ORACLE.fit(case.request, case.frame).coef("ATT(2,2)")
            answers.append((row.estimate, row.std_error))
    for near, far in zip(answers[:2], answers[2:], strict=True):
        assert near == pytest.approx(far, rel=1e-9)


def test_a_function_of_a_column_is_put_into_a_good_basis_as_a_column():
    x = 1e9 + np.arange(12.0) ** 2
    frame = Frame((floats("y", np.arange(12.0)), floats("x", x), floats("z", np.arange(12.0) % 3)), 12)
    request = FitRequest(estimator="fepois", formula="y ~ z + I(x^2)", columns=("y", "x", "z"))
    found = reexpressed(request, frame)
    assert found is not None
    worst, asked, moved = found
    name = asked.columns[-1]
    assert name in asked.formula
    assert "^2" not in asked.formula
    values = moved[name].as_float()
    assert worst > 1e4
    assert abs(values.mean()) < 1e-6
    assert math.isclose(values.std(), 1.0, rel_tol=1e-6)
    short = FitRequest(formula="y ~ I(z^2)", columns=("y", "z"))
    assert reexpressed(short, frame) is None


def test_a_bound_between_equal_values_is_that_value():
    y = np.array([-7.460251, 1.5, 3.25, 0.1, 7.75])
    for share in (0.01, 0.013, 0.07):
        values, low, high = winsorized(y, {"lower": share, "upper": 1 - share, "quantile": "r6", "action": "clip"})
        assert (low, high) == (y.min(), y.max())
        assert np.array_equal(values, y)


class TestIterationsInABadBasis:
    """Counts beside a regressor a million from zero; what engines say is put together here."""

    X = np.linspace(-1.0, 1.0, 30)
    Y = np.array(
        [0, 1, 0, 2, 1, 0, 1, 3, 1, 0, 2, 1, 1, 2, 4, 1, 0, 3, 2, 2, 5, 1, 3, 2, 4, 3, 2, 6, 4, 5], dtype=float
    )

    def case(self):
        frame = Frame((floats("y", self.Y), floats("x", 1e6 + self.X)), 30)
        request = FitRequest(estimator="fepois", formula="y ~ x", columns=("y", "x"))
        return Case(seed=1, frame=frame, requests=(request,), engines=("r.fixest", "pyfixest"), rule="conditions")

    def answers(self, slope):
        """Return engines that tell the means of a model, with a slope as far off its maximum as is asked."""

        def fit(name, request, frame):
            x = frame["x"].as_float()
            columns = np.column_stack([np.ones(30), (x - x.mean()) / x.std()])
            b = np.zeros(2)
            for _ in range(50):
                mean = np.exp(columns @ b)
                b = b + np.linalg.solve(columns.T @ (columns * mean[:, None]), columns.T @ (self.Y - mean))
            mean = np.exp(columns @ (b + np.array([0.0, slope])))
            values = (tuple(mean.tolist()),)
            labels = tuple(str(i + 1) for i in range(30))
            return EstimationResult(
                engine=name, blocks=(Block(term="rows", labels=labels, quantities=("fitted",), values=values),)
            )

        return fit

    def test_engines_have_to_be_at_the_maximum_where_the_basis_is_good(self):
        case = self.case()
        whole = one(case, "warning:no_convergence", "pyfixest")
        found = replace(whole, identity=replace(whole.identity, against="r.fixest"))
        assert settles(case, found, self.answers(0.0), nothing)
        assert not settles(case, found, self.answers(1e-3), nothing)
        match = recognised(found, case, self.answers(0.0))
        assert match is not None
        assert match.id == "iterations_in_a_bad_basis"
        assert recognised(found, case, self.answers(1e-3)) is None

    def test_the_score_tells_a_maximum_in_any_basis(self):
        x = np.column_stack([np.ones(30), 1e6 + self.X])
        mean = np.full(30, self.Y.mean())
        assert unsolved(x[:, :1], self.Y, mean) < 1e-12
        assert unsolved(x, self.Y, mean) > 0.1
        assert unsolved(x, mean, mean) == 0.0


def test_steps_of_statsmodels_that_move_in_their_last_digits_are_no_failure():
    statsmodels = pytest.importorskip("crosscheck.engines.statsmodels", reason="needs the Python package statsmodels")
    rng = np.random.default_rng(3)
    x = 2.0**20 + np.round(rng.normal(size=60) * 1024) / 1024
    y = rng.poisson(np.exp(0.5 + 0.3 * (x - x.mean()))).astype(float)
    frame = Frame((floats("y", y), floats("x", x)), 60)
    near = Frame((floats("y", y), floats("x", x - 2.0**20)), 60)
    request = FitRequest(estimator="fepois", formula="y ~ x", ssc={"k_adj": False})
    far, plain = (statsmodels.ENGINE.fit(request, f).coef("x") for f in (frame, near))
    assert far.estimate == pytest.approx(plain.estimate, rel=1e-6)
    assert far.std_error == pytest.approx(plain.std_error, rel=1e-6)


def test_the_order_of_rows_is_a_rule_of_a_matching_with_ties():
    score = np.array([1.0, 2, 2, 3, 4, 5])
    frame = Frame(
        (floats("y", np.arange(6.0)), integers("d", np.array([1, 0, 0, 1, 0, 0])), floats("x", score)), 6
    )  # fmt: skip
    options = {
        "group": "d",
        "covariates": ["x"],
        "method": "nearest",
        "ties": "first",
        "order": "largest",
        "replace": True,
    }

    def twin(frame, **changes):
        request = FitRequest(estimator="psm_did", formula="y ~ d", options={**options, **changes})
        return row_order(Case(seed=1, frame=frame, requests=(request,), engines=("designs",)), np.random.default_rng(1))

    plain = put(frame, floats("x", score + 0.1 * np.arange(6.0)))
    assert isinstance(twin(frame), str)
    assert not isinstance(twin(frame, ties="all"), str)
    assert not isinstance(twin(plain), str)
    assert isinstance(twin(plain, order="data", replace=False), str)


def test_degrees_of_freedom_of_averages_are_those_of_their_cells():
    frame = panel([2, 3, NEVER, NEVER, NEVER], np.arange(15.0) ** 2 % 7)
    for formula in ("y ~ sunab(g, t) | id + t", "y ~ sunab(g, t)"):
        case = sunab(frame, "simple", formula)
        answer = ORACLE.fit(case.request.model_copy(update={"ssc": SscSpec(t_df="conventional")}), frame)
        bare = answer.with_(stats=FitStats(nobs=answer.stats.nobs), conventions=Conventions(vcov="iid"))
        assert answer.conventions.df_t in set(degrees_of_freedom(case.request, frame, bare))


def test_an_iterated_polynomial_of_other_rows_is_shown_without_them():
    frame = Frame(
        (floats("y", np.arange(6.0)), floats("x", np.arange(6.0) ** 2), floats("w", np.array([1.0, 2, 0, 1, 3, 1]))), 6
    )
    request = FitRequest(estimator="fepois", formula="y ~ poly(x, 2)", weights=WeightsSpec(column="w"))
    case = Case(seed=1, frame=frame, requests=(request,), engines=("r.fixest", "pyfixest"), rule="engines_agree")
    found = one(case, "estimate", "pyfixest")

    def answers(name, request, frame):
        return EstimationResult(engine=name)

    assert poly_of_other_rows(case, found, answers, nothing)
    assert not poly_of_other_rows(case, found, answers, lambda case: (found,))
    whole = case.with_(frame=frame.take(frame["w"].as_float() > 0))
    assert not poly_of_other_rows(whole, found, answers, nothing)
