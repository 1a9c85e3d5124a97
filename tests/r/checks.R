# What fixest says when called by hand, for tests: the user's own names, library(), the formula as one would type it.

cc_by_hand <- function(request, frame) {
  data <- as.data.frame(lapply(frame$names, function(n) frame$values[[n]]), optional = TRUE)
  names(data) <- frame$names
  text <- request$options$text
  o <- request$options
  s <- request$ssc
  arguments <- list(
    stats::as.formula(text, env = new.env(parent = asNamespace("fixest"))), data = data, fixef.rm = "none",
    fixef.tol = 1e-10, fixef.iter = 20000, notes = FALSE, nthreads = 1,
    vcov = if (is.null(o$cluster)) o$vcov else stats::as.formula(o$cluster, env = asNamespace("fixest")),
    ssc = fixest::ssc(K.adj = s$k_adj, K.fixef = s$k_fixef, G.adj = s$g_adj, G.df = s$g_df, t.df = s$t_df)
  )
  if (!is.null(o$weights)) arguments$weights <- stats::as.formula(o$weights)
  if (!is.null(o$panel)) arguments$panel.id <- stats::as.formula(o$panel)
  if (identical(o$fit, "fepois")) arguments[c("glm.tol", "glm.iter")] <- list(1e-10, 100)
  model <- do.call(getExportedValue("fixest", if (is.null(o$fit)) "feols" else o$fit), arguments)
  table_ <- fixest::coeftable(model)
  bounds <- stats::confint(model, level = request$conf_level)
  list(
    version = "0", status = "ok", seconds = 0,
    coefs = cc_coefs(rownames(table_), table_[, 1], table_[, 2], table_[, 3], table_[, 4], bounds[[1]], bounds[[2]]),
    stats = c(list(nobs = as.double(stats::nobs(model))), cc_r2_by_hand(model))
  )
}

cc_r2_by_hand <- function(model) {
  if (model$method_type != "feols") return(list())
  r2 <- fixest::r2(model, c("r2", "ar2", "wr2"))
  out <- list(r2 = r2[["r2"]], adj_r2 = r2[["ar2"]], r2_within = r2[["wr2"]])
  out[!is.na(unlist(out))]
}

cc_register("r.byhand", cc_by_hand, "fixest")

# The same question to sandwich: HC3 of lm, for what fixest makes of leverages.
cc_hc3 <- function(request, frame) {
  data <- as.data.frame(frame$values)
  w <- if (is.null(request$options$weights)) NULL else data[[request$options$weights]]
  model <- stats::lm(stats::as.formula(request$options$text), data, weights = w)
  V <- sandwich::vcovHC(model, type = "HC3")
  list(
    version = "0", status = "ok", seconds = 0,
    coefs = cc_coefs(names(stats::coef(model)), stats::coef(model), sqrt(diag(V)))
  )
}

cc_register("r.hc3", cc_hc3, "sandwich")

# did when called by hand on columns that it likes, its group-time effects or one aggregation.
cc_did_by_hand <- function(request, frame) {
  o <- request$options
  data <- as.data.frame(frame$values)
  data$number <- as.integer(factor(data$unit))
  gt <- did::att_gt(
    yname = "y", tname = "time", idname = "number", gname = "first", data = data, bstrap = FALSE, cband = FALSE,
    xformla = if (length(o$covariates)) stats::reformulate(unlist(o$covariates)) else ~1,
    control_group = o$control_group, est_method = o$est_method, base_period = o$base_period,
    anticipation = o$anticipation, weightsname = o$weights
  )
  if (o$aggregation == "none") {
    coefs <- cc_coefs(sprintf("ATT(%g,%g)", gt$group, gt$t), gt$att, gt$se)
  } else {
    a <- did::aggte(gt, type = o$aggregation, bstrap = FALSE, cband = FALSE)
    coefs <- cc_coefs(c("overall", as.character(a$egt)), c(a$overall.att, a$att.egt), c(a$overall.se, a$se.egt))
  }
  list(version = "0", status = "ok", seconds = 0, coefs = coefs)
}

cc_register("r.didbyhand", cc_did_by_hand, "did")

# Does fixest check its arguments?
cc_checked <- function(request, frame) {
  list(
    version = "0", status = "ok", seconds = 0,
    extras = cc_rows(term = "", quantity = "checks", value = as.double(isTRUE(getOption("dreamerr_check"))))
  )
}

cc_register("r.checked", cc_checked, "fixest")
