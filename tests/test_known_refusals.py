"""Is an error known only where the data show why? The same words on sound data are a discrepancy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosscheck.campaign.case import Case, Discrepancy, Identity, features
from crosscheck.campaign.known import known_rows
from crosscheck.campaign.screen import recognised
from crosscheck.engines.oracle import ENGINE as ORACLE
from crosscheck.frame import Column, Frame
from crosscheck.results import EstimationResult, failed
from crosscheck.simulate import PanelSpec, make_panel
from crosscheck.spec import FitRequest

WORDS = {
    "saturated": "the model is saturated: 120 observations, 120 parameters",
    "one_row_a_cell": "feols needs one row for each unit and time",
    "one_cluster": "'unit' has one cluster in the sample; a clustered covariance needs two or more",
    "one_cluster_clubsandwich": "will not work when the data only includes a single cluster.",
    "did.small_groups": "never treated group is too small",
    "csdid.repeated_cross_sections_ids": "the outcome is missing in 2 rows",
    "csdid.time_invariant": "gname must be the same across all periods",
    "collinear.refused": "Singular matrix",
    "columns_cost_the_fit": "Singular matrix",
    "small_units_refused": "The only variable is collinear with the fixed effects",
    "constant_outcome.refused": "The dependent variable is a constant",
    "not_finite.refused": "infinite or missing values in 'x'",
    "nested_effects.refused": "Included other effects nest or are nested by entity effects",
    "one_level.refused": "contrasts can be applied only to factors with 2 or more levels",
    "constant_regressor.refused": "The only variable is virtually constant",
    "no_regressor.refused": "empty model",
    "sunab.refused": "Evaluation of the right-hand-side of the formula raises an error",
    "fixest.sunab_cohorts_refused": "Evaluation of the right-hand-side of the formula raises an error",
    "designs.no_standard_error": "the treatment's clustered standard error is zero but for rounding",
    "leverage_one": "HC2 does not exist: 1 observations have a leverage of one",
    "pyfixest.saturated": "SVD did not converge",
    "pyfixest.leverage_one": "SVD did not converge",
    "no_convergence": "iterations did not converge",
    "separated_scores": "covariates separate treated from untreated rows",
    "pyfixest.demeaning_gives_up": "Demeaning failed after 10000 iterations.",
    "separated": "any words",
    "poly_with_missing": "missing values are not allowed in 'poly'",
    "reference_not_in_sample": "ref = 3 is no level of i()",
    "did.cohort_without_rows": "the effects of cohort 3 do not exist in every period",
    "plm.few_units": "model not estimable",
    "re.no_variance": "the idiosyncratic variance is zero",
    "re.perfect_fit": "any words",
    "fixest.explained_endogenous": "is fully explained by the exogenous variables",
    "plm.scc_lag_beyond_periods": "subscript out of bounds",
    "plm.nw_lag_beyond_periods": "subscript out of bounds",
    "statsmodels.lag_beyond_series": "all groups are empty taking lags",
    "linearmodels.bandwidth_beyond_periods": "bandwidth must be below the number of time periods",
    "pyfixest.nullable_period": "Could not convert 0 0 1 1",
    "pyfixest.arrow_interaction": "operation 'mul' not supported for dtype",
    "csdid.repeated_index": "boolean index did not match indexed array",
    "pyfixest.iv_singletons": "prebuilt preconditioner shape (5x5) does not match",
    "plm.hatvalues_of_a_badly_scaled_design": "non-numeric argument to binary operator",
    "fixest.stepwise_all_missing": "crashed: signal 11",
    "did.later_cohort_that_anticipates": "any words",
    "fixest.sunab_cohorts_as_reference": "no cohort is observed both before and after its treatment",
    "sunab.undetermined_refused": "no effect after treatment is left to average",
    "did.separated_groups": "any words",
    "did.always_treated_comparison": "any words",
    "pyfixest.iv_far_from_zero": "any words",
    "pyfixest.own_instrument_far_from_zero": "any words",
    "fixest.another_model_not_finite": "status: error: infinite or missing values in 'x'",
    "fixest.iv_zero_exogenous": "not a single explanatory variable is different from 0",
    "pyfixest.one_of_several_fails": "status: error: All variables are collinear",
    "fixest.part_of_a_split_fails": "status: error: missing value where TRUE/FALSE needed",
    "pyfixest.part_of_a_split_fails": "status: error: All variables are collinear",
}
OWN_WORDS = {
    *("oracle.components_not_identified", "pyfixest.poisson_frequency_weights", "fixest.own_instrument"),
}
"""Held to the words alone: of crosscheck's own engines, of a fault that no other data meet, of what is always so."""


def status_rows():
    return [row for row in known_rows() if "status" in row.quantities and row.id not in OWN_WORDS]


def words_of(row) -> str:
    """Return a message of a row: that of the table above, or what the row's own pattern says where it is plain."""
    return WORDS.get(row.id, row.says or "any words")


def sound(words) -> Case:
    """Return a panel with room for everything, and a request with these features."""
    outcome = "count" if "fepois" in words else "binary" if "feglm" in words else "continuous"
    spec = PanelSpec(
        units=48, periods=6, cohorts=3, never=3, regressors=2, instruments=2, outcome=outcome, clusters=8, seed=11
    )
    panel = make_panel(spec)
    start = np.repeat([3, 4, 5, 0], 12)[panel.frame["unit"].codes()[0]]
    cohort = Column("cohort", "integer", start.astype(np.int32))
    kept = tuple(cohort if c.name == "cohort" else c for c in panel.frame.columns)
    frame = Frame(kept, panel.frame.nrows, panel.frame.row_ids)
    fields: dict[str, object] = {"formula": "`y` ~ `x1` + `x2` | `unit`", "vcov": {"type": "iid"}}
    if words & {"att_gt", "dr", "notyettreated", "psm_did"}:
        options = {"y": "y", "cohort": "cohort", "unit": "unit", "time": "time", "covariates": ["x1"]}
        options |= {"est_method": "dr", "panel": True, "aggregation": "none", "base_period": "varying"}
        options |= {"control_group": "notyettreated" if "notyettreated" in words else "nevertreated"}
        if "anticipation" in words:
            options |= {"anticipation": 1}
        fields = {"estimator": "att_gt", "options": options}
    if "psm_did" in words:
        fields = {"estimator": "psm_did", "options": {"y": "y", "treated": "treated", "covariates": ["x1", "x2"]}}
    for estimator in ("re", "fepois", "feglm", "sunab"):
        if estimator in words:
            fields["estimator"] = estimator
    if "re" in words:
        fields["formula"] = "`y` ~ `x1` + `x2`"
    if words & {"fepois", "feglm"}:  # a unit without an event would have no maximum
        fields["formula"] = "`y` ~ `x1` + `x2`"
    if "feglm" in words:
        fields["options"] = {"family": "logit"}
    if "sunab" in words:
        fields["formula"] = "`y` ~ sunab(`cohort`, `time`) | `unit` + `time`"
    if "iv" in words:
        fields["formula"] = "`y` ~ `x1` | `unit` | `endog` ~ `z1` + `z2`"
    if "i" in words:
        fields["formula"] = "`y` ~ i(`time`, ref = 1) + `x1` | `unit`"
    if "poly" in words:
        fields["formula"] = "`y` ~ poly(`x1`, 2) | `unit`"
    for kind in ("DK", "NW"):
        if kind in words:
            fields["vcov"] = {"type": kind, "lag": 1}
    request = FitRequest(unit="unit", time="time", **fields)
    return Case(
        seed=11, frame=frame, requests=(request,), engines=("oracle", "mine"), rule="engines_agree", panel=panel
    )


def refusing(words):
    """Return an engine that fails whatever it is asked, but for models alone and data as they are."""

    def fit(engine, request, frame):
        odd = {"several", "dress"} & set(request.options)
        if engine == "oracle":
            return ORACLE.fit(request, frame) if not odd else failed(engine, words)
        return failed(engine, words)

    return fit


def discrepancy(row, case) -> Discrepancy:
    engine = "statsmodels" if row.engine == "*" else row.engine
    rule = row.rules[0] if row.rules else "engines_agree"
    identity = Identity(
        rule=rule, engine=engine, against=row.against or "oracle", quantity="status", features=features(case.request)
    )
    text = words_of(row)
    return Discrepancy(identity=identity, value=text, other="ok", says=f"{engine} fails: {text}")


@pytest.mark.parametrize("row", status_rows(), ids=lambda row: row.id)
def test_the_same_words_on_sound_data_are_new(row):
    case = sound(set(row.features))
    found = discrepancy(row, case)
    case = case.with_(rule=found.identity.rule)
    assert row.model_copy(update={"when": ""}).covers(found), "the message and the request are not the row's"
    alone = refusing(words_of(row))
    if row.rules and row.rules[0] == "one_of_several":  # alone, and in other parts, it answers

        def alone(engine, request, frame):
            several = "several" in request.options
            return failed(engine, words_of(row)) if several else EstimationResult(engine=engine)

    match = recognised(found, case, alone)
    assert match is None, match.id


def moved(case, **columns):
    new = tuple(Column(n, "float", v) if n in columns else c for c in case.frame.columns for n, v in [_of(c, columns)])
    return case.with_(frame=Frame(new, case.frame.nrows, case.frame.row_ids))


def _of(column, columns):
    return (column.name, columns[column.name]) if column.name in columns else ("", None)


@pytest.mark.parametrize(
    ("known", "change"),
    [
        ("constant_outcome.refused", {"y": np.ones(288)}),
        ("no_regressor.refused", {"x1": np.ones(288), "x2": np.ones(288)}),
        ("collinear.refused", {"x2": np.ones(288)}),
        ("small_units_refused", {}),
    ],
)
def test_the_words_are_known_where_the_data_show_why(known, change):
    row = next(r for r in known_rows() if r.id == known)
    case = sound(set())
    if known == "small_units_refused":
        change = {"x1": 1e-9 * case.frame["x1"].as_float()}

        def fit(engine, request, frame):
            small = np.nanstd(frame["x1"].as_float()) < 1e-6
            return failed(engine, WORDS[known]) if small else EstimationResult(engine=engine)
    else:
        fit = refusing(WORDS[known])
    case = moved(case, **change)
    match = recognised(replace(discrepancy(row, case)), case, fit)
    assert match is not None
    assert match.id == known
