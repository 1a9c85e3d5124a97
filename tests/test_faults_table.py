"""Which test holds each way in which an estimator, R, or their data can harm a run?

The rows are faults that were provoked and seen, in R through rpy2, in pyfixest and in fixest. Each names the tests that
provoke it again; a test that is renamed or removed makes this module fail.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BRIDGE, WORKER, TRANSPORT, RUN = "test_bridge_r", "test_bridge_worker", "test_bridge_transport", "test_run"
FAULTS: dict[str, tuple[tuple[str, str], ...]] = {
    "an error in R loses its class and call": ((BRIDGE, "test_an_r_error_is_data_with_class_call_and_message"),),
    "R's warnings and messages are not Python's": ((BRIDGE, "test_warnings_and_messages_are_data"),),
    "quit() ends the process with its own code": ((BRIDGE, "test_a_death_in_r_is_a_result"),),
    "sys.exit and os._exit in a Python engine": ((WORKER, "test_a_fault_is_a_result_and_the_next_fit_works"),),
    "segmentation fault, abort": (
        (BRIDGE, "test_a_death_in_r_is_a_result"),
        (WORKER, "test_a_fault_is_a_result_and_the_next_fit_works"),
        (RUN, "test_every_planted_fault_gets_its_exact_verdict_and_the_other_fits_complete"),
    ),
    "a damaged heap shows in a later call": (
        (WORKER, "test_a_worker_is_recycled"),
        (WORKER, "test_a_crash_that_does_not_repeat_is_not_believed"),
    ),
    "an endless loop in R, also one that swallows interrupts": (
        (BRIDGE, "test_an_infinite_loop_is_killed_at_the_deadline"),
    ),
    "endless code in C": ((BRIDGE, "test_an_infinite_loop_is_killed_at_the_deadline"),),
    "a hang in a Python engine": (
        (WORKER, "test_a_hang_is_killed_at_the_deadline"),
        (RUN, "test_a_hang_is_killed_at_its_time_and_costs_one_fit"),
    ),
    "Ctrl-C is swallowed in R code": (
        (BRIDGE, "test_ctrl_c_in_the_parent_leaves_no_r_behind"),
        (WORKER, "test_ctrl_c_leaves_no_worker_behind"),
        (RUN, "test_interrupting_leaves_a_plainly_incomplete_run_and_keeps_the_earlier_one"),
    ),
    "deep recursion without a limit on the C stack": ((BRIDGE, "test_deep_recursion_is_an_ordinary_error"),),
    "memory exhaustion": (
        (BRIDGE, "test_memory_exhaustion_is_contained"),
        (WORKER, "test_memory_exhaustion_is_contained"),
    ),
    "a call from another thread": (
        (WORKER, "test_two_threads_share_a_worker"),
        (WORKER, "test_a_worker_outlives_the_thread_that_started_it"),
    ),
    "a fork after R, rayon or OpenMP has started": (
        (WORKER, "test_nothing_in_the_package_forks"),
        (BRIDGE, "test_fixest_runs_in_one_thread"),
    ),
    "readline() and browser() wait for a keyboard": ((BRIDGE, "test_nothing_waits_for_a_keyboard"),),
    ".Rprofile and .RData of a folder are loaded": (
        (BRIDGE, "test_profiles_and_saved_workspaces_are_not_loaded"),
        (WORKER, "test_profiles_and_locales_of_the_user_do_not_reach_a_worker"),
    ),
    "printing disturbs whatever is read from stdout": (
        (BRIDGE, "test_printing_does_not_disturb_the_protocol"),
        (WORKER, "test_printing_does_not_disturb_the_protocol"),
    ),
    "the parent is killed: orphans": (
        (BRIDGE, "test_a_killed_parent_takes_r_with_it"),
        (WORKER, "test_a_killed_parent_takes_the_worker_with_it"),
        (BRIDGE, "test_what_r_started_ends_with_it"),
        (WORKER, "test_children_of_a_killed_worker_die_with_it"),
    ),
    "a killed worker leaves its temporary folder": (
        (BRIDGE, "test_the_temporary_folder_of_r_goes_with_the_worker"),
        (WORKER, "test_the_folder_of_a_killed_parent_is_swept_by_the_next"),
    ),
    "an array shares R's memory": ((TRANSPORT, "test_twenty_thousand_reads_of_r_memory_leave_the_worker_well"),),
    "R changes locale and environment of its process": ((BRIDGE, "test_r_never_loads_in_this_process"),),
    "pyfixest aborts on an empty estimation sample": (("test_engine_pyfixest", "TestSample"),),
    "fixest crashes on, or recycles, a vector of weights": (
        ("test_r_fixest", "test_weights_that_crash_or_mislead_fixest_are_refused"),
    ),
    "a saturated model": (
        ("test_engine_pyfixest", "test_saturated"),
        ("test_r_fixest", "test_a_saturated_fit_does_not_pretend"),
    ),
    "a formula finds a stale global": ((BRIDGE, "test_stale_globals_are_not_found"),),
    "levels sort by the locale; names of any script": (
        (BRIDGE, "test_factor_order_and_names_do_not_depend_on_the_locale"),
        (TRANSPORT, "test_any_name_of_a_column_arrives"),
    ),
    "time zone, threads, output options": (
        (BRIDGE, "test_the_settings_that_digits_depend_on"),
        (WORKER, "test_the_worker_sees_a_fixed_world"),
    ),
    "two columns of one name": ((TRANSPORT, "test_two_columns_of_one_name_are_refused"),),
    "the integer that R reserves for missing": (
        (TRANSPORT, "test_the_integer_that_r_reserves_for_missing_is_a_number"),
    ),
    "integers beyond 32 bits become text": ((TRANSPORT, "test_large_integers_travel_as_doubles"),),
    "types that arrive as text or shifted": (
        (TRANSPORT, "test_types_that_would_be_damaged_are_refused"),
        (TRANSPORT, "test_booleans_dates_and_categories"),
    ),
    "texts cut at NUL, lone surrogates": ((TRANSPORT, "test_texts_that_no_language_holds_are_refused"),),
    "missing values of either language": ((TRANSPORT, "test_missing_and_infinite_doubles"),),
    "digits lost between the languages": ((TRANSPORT, "test_ten_thousand_doubles_are_the_same_bits_both_ways"),),
    "code in a formula, filter, macro or covariance": (
        ("test_formula_fuzz", "test_injections_are_refused"),
        ("test_formula_fuzz", "test_injections_are_refused_in_macros"),
        ("test_formula_fuzz", "test_injections_are_refused_as_filters"),
        ("test_r_fixest", "test_the_guard_in_r_refuses_what_python_would"),
    ),
    "garbage in the place of an answer": (
        (BRIDGE, "test_a_malformed_result_is_a_protocol_error"),
        (WORKER, "test_messages_survive_their_frame_and_nonsense_does_not"),
    ),
    "no comparison at all looks like success": ((RUN, "test_zero_comparisons_is_never_success"),),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_its_tests(fault):
    assert FAULTS[fault]
    for module, name in FAULTS[fault]:
        tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_text("utf-8"))
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in found, f"{module}.py has no {name}"
