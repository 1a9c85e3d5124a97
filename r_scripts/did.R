# What does did say? Group-time average treatment effects and their aggregations (Callaway and Sant'Anna 2021), with
# analytic standard errors: the square root of the diagonal of V / n, V the variance of the influence functions of units.
# did reports no t and no p; its intervals are estimate -+ qnorm(1 - a / 2) SE, pointwise.

cc_fit_did <- function(request, frame) {
  began <- Sys.time()
  o <- request$options
  type <- cc_vcov_type(request)
  unit_name <- if (is.null(o$unit)) request$unit else o$unit
  time_name <- if (is.null(o$time)) request$time else o$time
  by_unit <- type == "CRV1" && identical(unlist(request$vcov$cluster), unit_name)
  if (type != "iid" && !by_unit) cc_unsupported("did's analytic standard errors are those of units: vcov iid, or clusters by unit")
  if (isTRUE(o$bootstrap)) cc_unsupported("a bootstrap depends on random numbers and cannot be compared to the digit")
  if (is.null(time_name)) cc_unsupported("att_gt needs the study's time")
  if (is.null(unit_name) && isTRUE(o$panel)) cc_unsupported("a panel needs the study's unit")

  data <- cc_did_data(request, frame, unit_name, time_name)
  id <- list("did", o[setdiff(names(o), c("aggregation", "balance_e", "min_e", "max_e"))], unit_name, time_name,
    request$weights, request$conf_level)
  gt <- cc_remember(frame, id, cc_att_gt(request, data, length(o$covariates)))
  aggregation <- if (is.null(o$aggregation)) "none" else o$aggregation
  agg <- if (aggregation != "none") cc_aggte(gt, o, aggregation)
  seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))
  cc_did_result(request, gt, agg, aggregation, data, seconds)
}

# Columns under names of our own: a column called gname, or one with spaces, breaks did.
cc_did_data <- function(request, frame, unit_name, time_name) {
  o <- request$options
  number <- function(name) cc_values(frame, cc_symbol(frame, name, "number"), request)
  data <- list(cc_y = number(o$y), cc_t = number(time_name), cc_g = number(o$cohort))
  if (!is.null(unit_name)) {
    data$cc_id <- as.double(as.integer(factor(cc_values(frame, cc_symbol(frame, unit_name, "category"), request))))
  }
  weights <- cc_weights_symbol(request, frame)
  if (is.null(weights) && !is.null(o$weights)) weights <- cc_symbol(frame, o$weights, "number")
  if (!is.null(weights)) {
    data$cc_w <- cc_checked_weights(cc_values(frame, weights, request), keep_zeros = TRUE)
  }
  for (k in seq_along(o$covariates)) data[[paste0("cc_x", k)]] <- number(o$covariates[[k]])
  attr(data, "row.names") <- .set_row_names(frame$rows)
  class(data) <- "data.frame"
  data
}

cc_att_gt <- function(request, data, covariates) {
  o <- request$options
  xformla <- if (covariates) stats::reformulate(paste0("cc_x", seq_len(covariates))) else ~1
  environment(xformla) <- cc_sealed()
  did::att_gt(
    yname = "cc_y", tname = "cc_t", idname = if (!is.null(data$cc_id)) "cc_id", gname = "cc_g", xformla = xformla,
    data = data, panel = o$panel, allow_unbalanced_panel = o$allow_unbalanced, control_group = o$control_group,
    anticipation = o$anticipation, weightsname = if (!is.null(data$cc_w)) "cc_w", alp = 1 - request$conf_level,
    bstrap = FALSE, cband = FALSE, clustervars = NULL, est_method = o$est_method, base_period = o$base_period,
    faster_mode = FALSE, print_details = FALSE, pl = FALSE, cores = 1
  )
}

cc_aggte <- function(gt, o, aggregation) {
  did::aggte(
    gt, type = aggregation, balance_e = o$balance_e, min_e = if (is.null(o$min_e)) -Inf else o$min_e,
    max_e = if (is.null(o$max_e)) Inf else o$max_e, na.rm = FALSE, bstrap = FALSE, cband = FALSE
  )
}

cc_did_result <- function(request, gt, agg, aggregation, data, seconds) {
  critical <- stats::qnorm(1 - (1 - request$conf_level) / 2)
  table_ <- function(terms, estimate, se) {
    se <- as.double(se)
    cc_coefs(terms, estimate, se, low = estimate - critical * se, high = estimate + critical * se, df = Inf)
  }
  period <- function(x) format(x, scientific = FALSE, trim = TRUE, digits = 15L)
  vcov_ <- NULL
  if (is.null(agg)) {
    coefs <- table_(paste0("ATT(", period(gt$group), ",", period(gt$t), ")"), gt$att, gt$se)
    V <- as.matrix(gt$V_analytical) / gt$n
    if (nrow(V) == length(gt$att)) vcov_ <- unname(V)
  } else {
    stem <- c(dynamic = "event=", group = "group=", calendar = "year=")
    more <- aggregation != "simple"
    coefs <- table_(
      c("overall", if (more) paste0(stem[[aggregation]], period(agg$egt))),
      c(agg$overall.att, if (more) agg$att.egt), c(agg$overall.se, if (more) agg$se.egt)
    )
  }
  pretrend <- !is.null(gt$W) && length(gt$W) == 1L && is.finite(gt$W)
  cc_result(
    "did", coefs,
    conventions = cc_conventions(
      vcov = cc_vcov_type(request), cluster = unlist(request$vcov$cluster), distribution = "normal", df_t = Inf,
      n_clusters = as.integer(gt$n)
    ),
    vcov = vcov_,
    extras = if (pretrend) {
      # did rounds the p-value of this test to five digits: it is left out.
      cc_rows(term = "wald:pretrend", quantity = "statistic", value = as.double(gt$W))
    },
    seconds = seconds, packages = c("did", "DRDID")
  )
}
