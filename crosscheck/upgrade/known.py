"""Which functions of which packages, and which of their arguments, may a call name?

A whitelist in the spelling of the newest version. What is not in it never reaches a package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Arguments of a function and of the methods that may follow it."""

    arguments: frozenset[str]
    steps: Mapping[str, frozenset[str]] = field(default_factory=dict)


def _words(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


_PF = (
    "vcov vcov_kwargs ssc fixef_rm collin_tol demeaner fixef_tol fixef_maxiter demeaner_backend drop_intercept "
    "copy_data store_data lean solver split fsplit"
)
_PF_STEPS = {
    "vcov": _words("vcov vcov_kwargs"),
    "predict": _words("type atol btol se_fit interval alpha"),
    "confint": _words("alpha joint seed reps"),
    "wald_test": _words("R q distribution"),
    "IV_Diag": _words("statistics"),
    "fixef": _words("atol btol"),
    "aggregate": _words("agg weighting"),
}
_PYFIXEST = {
    "feols": Known(
        arguments=_words(_PF, "weights weights_type use_compression reps seed"),
        steps=_PF_STEPS,
    ),
    "fepois": Known(
        arguments=_words(_PF, "weights weights_type offset iwls_tol iwls_maxiter separation_check"),
        steps=_PF_STEPS,
    ),
    "feglm": Known(
        arguments=_words(_PF, "family iwls_tol iwls_maxiter separation_check accelerate"),
        steps=_PF_STEPS,
    ),
    "quantreg": Known(
        arguments=_words("vcov quantile method multi_method tol maxiter ssc collin_tol drop_intercept seed"),
        steps=_PF_STEPS,
    ),
    "event_study": Known(
        arguments=_words("yname idname tname gname xfml cluster estimator att"),
        steps=_PF_STEPS,
    ),
    "did2s": Known(arguments=_words("yname first_stage second_stage treatment cluster weights"), steps=_PF_STEPS),
    "lpdid": Known(
        arguments=_words("yname idname tname gname vcov pre_window post_window never_treated att xfml"),
    ),
}

_LM_FIT = (
    "cov_type debiased clusters cluster_entity cluster_time group_debias kernel bandwidth auto_df count_effects "
    "use_lsdv use_lsmr low_memory"
)
_LM_PANEL = "index weights singletons drop_absorbed check_rank entity_effects time_effects other_effects"
_IV_FIT = "cov_type debiased clusters kernel bandwidth"
_LM_AFTER = {"wald_test": _words("formula"), "conf_int": _words("level")}
_SYSTEM_STEPS = {
    "fit": _words(_IV_FIT, "method full_cov iterate iter_limit tol initial_weight"),
    "add_constraints": _words("r q"),
}
_LINEARMODELS = {
    "PanelOLS": Known(arguments=_words(_LM_PANEL, "dependent exog"), steps={"fit": _words(_LM_FIT), **_LM_AFTER}),
    "PooledOLS": Known(arguments=_words("index weights check_rank"), steps={"fit": _words(_LM_FIT)}),
    "RandomEffects": Known(
        arguments=_words("index weights check_rank"), steps={"fit": _words(_LM_FIT, "small_sample")}
    ),
    "BetweenOLS": Known(arguments=_words("index weights check_rank"), steps={"fit": _words(_LM_FIT, "reweight")}),
    "FirstDifferenceOLS": Known(arguments=_words("index weights check_rank"), steps={"fit": _words(_LM_FIT)}),
    "FamaMacBeth": Known(arguments=_words("index weights check_rank"), steps={"fit": _words(_LM_FIT)}),
    "IV2SLS": Known(arguments=_words("weights"), steps={"fit": _words(_IV_FIT)}),
    "IVLIML": Known(arguments=_words("weights fuller kappa"), steps={"fit": _words(_IV_FIT)}),
    "SUR": Known(arguments=_words("equations"), steps=_SYSTEM_STEPS),
    "IV3SLS": Known(arguments=_words("equations"), steps=_SYSTEM_STEPS),
    "IVSystemGMM": Known(arguments=_words("equations weight_type"), steps=_SYSTEM_STEPS),
    "IVGMM": Known(
        arguments=_words("weights weight_type center kernel bandwidth clusters"),
        steps={"fit": _words(_IV_FIT, "iter_limit tol initial_weight")},
    ),
    "AbsorbingLS": Known(
        arguments=_words("dependent exog absorb interactions weights drop_absorbed"),
        steps={"fit": _words(_IV_FIT, "absorb_options use_cache lsmr_options method")},
    ),
}

_SM_FIT = "method cov_type cov_kwds use_t maxiter tol disp scale tol_criterion start_params warn_convergence"
_SM_STEPS = {
    "fit": _words(_SM_FIT),
    "predict": _words("transform which"),
    "conf_int": _words("alpha"),
    "wald_test_terms": _words("skip_single"),
    "f_test": _words("r_matrix"),
    "t_test": _words("r_matrix"),
    "get_margeff": _words("at method"),
    "get_robustcov_results": _words(
        "cov_type use_t groups time maxlags kernel use_correction df_correction weights_func scale"
    ),
}
_STATSMODELS = {
    "ols": Known(arguments=_words("missing"), steps=_SM_STEPS),
    "wls": Known(arguments=_words("weights missing"), steps=_SM_STEPS),
    "glm": Known(
        arguments=_words("family link freq_weights var_weights offset exposure missing"),
        steps={**_SM_STEPS, "bic": _words("bic")},
    ),
    "poisson": Known(arguments=_words("offset exposure missing"), steps=_SM_STEPS),
    "logit": Known(arguments=_words("missing"), steps=_SM_STEPS),
    "probit": Known(arguments=_words("missing"), steps=_SM_STEPS),
    "negativebinomial": Known(arguments=_words("offset exposure loglike_method missing"), steps=_SM_STEPS),
    "negativebinomialp": Known(arguments=_words("offset exposure p missing"), steps=_SM_STEPS),
    "generalizedpoisson": Known(arguments=_words("offset exposure p missing"), steps=_SM_STEPS),
    "zeroinflatedpoisson": Known(arguments=_words("offset exposure inflation missing"), steps=_SM_STEPS),
    "quantreg": Known(
        arguments=_words("missing"), steps={**_SM_STEPS, "fit": _words("q vcov kernel bandwidth max_iter p_tol")}
    ),
    "gee": Known(
        arguments=_words("groups family link cov_struct offset exposure missing"),
        steps={**_SM_STEPS, "fit": _words("cov_type maxiter ctol params_niter")},
    ),
    "rlm": Known(
        arguments=_words("M missing"), steps={**_SM_STEPS, "fit": _words("maxiter tol scale_est cov update_scale")}
    ),
    "mixedlm": Known(
        arguments=_words("groups re_formula missing"), steps={**_SM_STEPS, "fit": _words("reml method maxiter")}
    ),
}

_CSDID = {
    "ATTgt": Known(
        arguments=_words(
            "yname tname idname gname control_group xformla panel allow_unbalanced_panel anticipation",
            "weights_name clustervar cband biters alp",
        ),
        steps={
            "fit": _words("est_method base_period bstrap"),
            "aggte": _words("typec balance_e min_e max_e na_rm bstrap biters cband alp clustervars"),
        },
    )
}
_DIFFERENCES = {
    "ATTgt": Known(
        arguments=_words("index cohort_name base_period anticipation"),
        steps={
            "fit": _words(
                "weights_name control_group base_delta est_method as_repeated_cross_section boot_iterations",
                "random_state alpha cluster_var split_sample_by n_jobs backend formula",
            ),
            "aggregate": _words(
                "type_of_aggregation overall difference alpha cluster_var boot_iterations random_state"
            ),
            "average": _words("type_of_aggregation overall"),
        },
    )
}
_DIFF_DIFF = {
    "CallawaySantAnna": Known(
        arguments=_words(
            "control_group anticipation estimation_method alpha cluster rank_deficient_action base_period cband",
            "pscore_trim panel allow_unbalanced_panel",
        ),
        steps={
            "fit": _words("outcome unit time first_treat covariates survey_design"),
            "aggregate": _words("type balance_e"),
        },
    ),
}

PACKAGES: Mapping[str, Mapping[str, Known]] = {
    "pyfixest": _PYFIXEST,
    "linearmodels": _LINEARMODELS,
    "statsmodels": _STATSMODELS,
    "csdid": _CSDID,
    "differences": _DIFFERENCES,
    "diff-diff": _DIFF_DIFF,
}
