# What does clubSandwich say? CR0, CR1 and CR1S of an lm with dummies, or of plm's within model.
#
#   CR0   no factor                                          k_adj = false, g_adj = false
#   CR1   G / (G - 1)                                        k_adj = false, g_adj = true
#   CR1S  G (N - 1) / ((G - 1)(N - p)), p the columns of the model's matrix        k_adj = true, g_adj = true
#   CR3   sum (b_g - b)(b_g - b)', without the (G - 1) / G of CRV3: `unsupported`
# lm with dummies counts p = all parameters (k_fixef = "full"), plm's within model the slopes alone ("none").

cc_fit_clubsandwich <- function(request, frame) {
  began <- Sys.time()
  parts <- cc_formula(request$formula, frame)
  weights <- cc_weights_symbol(request, frame)
  needs <- cc_vcov_symbols(request, frame)
  if (cc_vcov_type(request) != "CRV1") cc_unsupported("clubSandwich gives CRV1 only (its CR3 lacks CRV3's (G - 1) / G)")
  if (length(needs$cluster) != 1L) cc_unsupported("clubSandwich has one dimension of clusters")
  ssc_ <- request$ssc
  type <- if (ssc_$k_adj && ssc_$g_adj) "CR1S" else if (ssc_$g_adj) "CR1" else if (!ssc_$k_adj) "CR0"
  if (is.null(type)) cc_unsupported("clubSandwich has no (N - 1) / (N - K) without G / (G - 1)")

  id <- list("lm", request$formula, weights, needs, request$unit, request$time)
  fit <- cc_remember(frame, id, cc_lm_model(request, frame, parts, weights, needs))
  n <- stats::nobs(fit$model)
  K <- cc_request_k(request, length(fit$shown), fit$effects, fit$effect_names, fit$clusters)
  estimates <- stats::coef(fit$model)
  if (type != "CR1S" || K == fit$rank) {
    V <- clubSandwich::vcovCR(fit$model, cluster = fit$clusters[[1L]], type = type)
  } else if (K == length(fit$shown) && is.null(weights) && cc_plm_effect(request, frame, parts) != "") {
    within_ <- cc_plm_model(request, frame, parts, needs)
    K_plm <- ncol(clubSandwich:::model_matrix.plm(within_$model))
    cc_same_k(K, K_plm, "clubSandwich with plm")
    # of all rows of the data, in their order: clubSandwich sorts them as plm does and leaves out the same ones
    V <- clubSandwich::vcovCR(within_$model, cluster = as.integer(factor(within_$data[[needs$cluster]])), type = type)
    estimates <- stats::coef(within_$model)
  } else {
    cc_unsupported(
      "the request counts K = ", K, " parameters, clubSandwich counts ", fit$rank, " (lm with dummies) or ",
      length(fit$shown), " (plm within)"
    )
  }
  V <- cc_complete(V)
  sizes <- cc_group_sizes(fit)
  df <- cc_request_df(request, n, K, sizes)
  tested <- cc_shown_inference(estimates, V, fit$shown, df, request$conf_level)
  seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))
  g <- sizes[[1L]]
  factor_ <- (if (ssc_$k_adj) (n - 1) / (n - K) else 1) * (if (ssc_$g_adj) g / (g - 1) else 1)
  cc_lm_result(
    "clubSandwich", c("clubSandwich", "lmtest"), request, frame, fit, tested, list(matrix = V, factor = factor_), n, K,
    df, sizes, seconds
  )
}
