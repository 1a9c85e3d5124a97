"""In which circumstances is a known discrepancy to be expected? Each is shown on the case, by replay or by count.

A row of ``known.toml`` that names one covers nothing without it, so that a new fault in the same region of requests
and panels is reported.
"""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.campaign.circumstance import Circumstance
from crosscheck.campaign.circumstances_calls import (
    another_model_fails,
    another_part_fails,
    dressed_as,
    listed_effect_missing,
    own_tolerance,
    repeated_index,
    units_of_columns,
)
from crosscheck.campaign.circumstances_cohorts import (
    always_treated,
    balanced_before,
    cohorts_of_fixest,
    one_cell_and_missing,
    separated_groups,
    undetermined_effect,
    weightless_cell,
)
from crosscheck.campaign.circumstances_columns import (
    far_from_zero,
    good_columns,
    spanned_but_for_rounding,
    spanned_in_large_units,
)
from crosscheck.campaign.circumstances_counts import counted_to_nothing, few_rows, rank_of_offsets, redundant_effects
from crosscheck.campaign.circumstances_covariance import (
    cancels,
    effect_of_zero,
    last_lag,
    last_period_incomplete,
    last_unit,
    no_pair_at_the_last_lag,
)
from crosscheck.campaign.circumstances_groups import (
    anticipated_later_cohort,
    covariate_units,
    drdid_sign,
    no_reference_period,
)
from crosscheck.campaign.circumstances_likelihood import hard_to_iterate, settles
from crosscheck.campaign.circumstances_outcomes import (
    an_f,
    an_r2,
    constant_outcome,
    no_within_variation,
    second_stage,
    separated,
)
from crosscheck.campaign.circumstances_panels import (
    cohort_changes,
    cohort_without_rows,
    ids_or_gaps,
    no_column_of_fixest,
    no_sunab,
    repeated_cell,
    separated_scores,
    small_group,
)
from crosscheck.campaign.circumstances_refusals import (
    constant_in_sample,
    explained_endogenous,
    few_units,
    missing_in_poly,
    nested_effects,
    no_covariance,
    no_exogenous,
    no_regressor,
    no_std_error,
    one_cluster,
    one_level,
    reference_absent,
    singleton,
)
from crosscheck.campaign.circumstances_regressors import (
    absorbed_pair,
    constant_regressor,
    ill_conditioned,
    leverage_one,
    perfect_fit,
    singular,
    solve_refuses,
    unlisted,
    zero_in_the_sample,
    zero_once_rows_go,
)
from crosscheck.campaign.circumstances_replayed import (
    poly_of_other_rows,
    repaired,
    row_for_a_cohort,
    unweighted_ssr,
    weights_before_inverse,
    without_last_lag,
)

CIRCUMSTANCES: Mapping[str, Circumstance] = {
    "ill_conditioned": ill_conditioned,
    "good_columns": good_columns,
    "far_from_zero": far_from_zero,
    "spanned_but_for_rounding": spanned_but_for_rounding,
    "spanned_in_large_units": spanned_in_large_units,
    "covariate_units": covariate_units,
    "drdid_sign": drdid_sign,
    "anticipated_later_cohort": anticipated_later_cohort,
    "always_treated": always_treated,
    "cohorts_of_fixest": cohorts_of_fixest,
    "balanced_before": balanced_before,
    "separated_groups": separated_groups,
    "one_cell_and_missing": one_cell_and_missing,
    "undetermined_effect": undetermined_effect,
    "weightless_cell": weightless_cell,
    "settles": settles,
    "hard_to_iterate": hard_to_iterate,
    "second_stage": second_stage,
    "last_lag": last_lag,
    "without_last_lag": without_last_lag,
    "weights_before_inverse": weights_before_inverse,
    "repaired": repaired,
    "unweighted_ssr": unweighted_ssr,
    "poly_of_other_rows": poly_of_other_rows,
    "few_rows": few_rows,
    "counted_to_nothing": counted_to_nothing,
    "row_for_a_cohort": row_for_a_cohort,
    "unlisted": unlisted,
    "solve_refuses": solve_refuses,
    "last_unit": last_unit,
    "last_period_incomplete": last_period_incomplete,
    "effect_of_zero": effect_of_zero,
    "no_pair_at_the_last_lag": no_pair_at_the_last_lag,
    "zero_in_the_sample": zero_in_the_sample,
    "zero_once_rows_go": zero_once_rows_go,
    "separated": separated,
    "an_r2": an_r2,
    "an_f": an_f,
    "another_part_fails": another_part_fails,
    "no_within_variation": no_within_variation,
    "perfect_fit": perfect_fit,
    "redundant_effects": redundant_effects,
    "leverage_one": leverage_one,
    "rank_of_offsets": rank_of_offsets,
    "cancels": cancels,
    "singular": singular,
    "no_reference_period": no_reference_period,
    "constant_regressor": constant_regressor,
    "constant_outcome": constant_outcome,
    "absorbed_pair": absorbed_pair,
    "repeated_cell": repeated_cell,
    "one_cluster": one_cluster,
    "no_covariance": no_covariance,
    "small_group": small_group,
    "no_sunab": no_sunab,
    "ids_or_gaps": ids_or_gaps,
    "cohort_changes": cohort_changes,
    "cohort_without_rows": cohort_without_rows,
    "constant_in_sample": constant_in_sample,
    "one_level": one_level,
    "nested_effects": nested_effects,
    "no_regressor": no_regressor,
    "separated_scores": separated_scores,
    "own_tolerance": own_tolerance,
    "missing_in_poly": missing_in_poly,
    "reference_absent": reference_absent,
    "few_units": few_units,
    "explained_endogenous": explained_endogenous,
    "singleton": singleton,
    "dressed_as": dressed_as,
    "repeated_index": repeated_index,
    "listed_effect_missing": listed_effect_missing,
    "no_column_of_fixest": no_column_of_fixest,
    "units_of_columns": units_of_columns,
    "another_model_fails": another_model_fails,
    "no_exogenous": no_exogenous,
    "no_std_error": no_std_error,
}
