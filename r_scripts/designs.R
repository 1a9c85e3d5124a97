# The designs in base R: what a paper does beyond one regression. This file: reading columns, dispatch, and what all share.
#
# Written apart from the Python side, from the same formulas (docs/designs.md): dummies and Householder QR where Python
# sweeps means, R's own quantile(), glm(), pt().

cc_fit_designs <- function(request, frame) {
  request$options <- cc_d_arrays(request$options)
  fitter <- switch(request$estimator,
    describe = cc_d_describe,
    entropy = cc_d_entropy,
    winsor_feols = cc_d_winsor,
    mediation = cc_d_mediation,
    subgroups = cc_d_subgroups,
    placebo = cc_d_placebo,
    wild_bootstrap = cc_d_wild,
    inference_grid = cc_d_grid,
    monte_carlo = cc_d_monte_carlo,
    psm_did = cc_d_match,
    cc_unsupported(request$estimator, " is no design")
  )
  fitter(request, frame)
}

# Arrays of scalars arrive as unnamed lists: make them vectors, objects stay lists.
cc_d_arrays <- function(x) {
  if (!is.list(x)) return(x)
  if (is.null(names(x)) && length(x) && all(lengths(x) == 1L) && !any(vapply(x, is.list, NA))) return(unlist(x))
  lapply(x, cc_d_arrays)
}

cc_d_number <- function(frame, name, request) cc_values(frame, cc_symbol(frame, name, "number"), request)

# Codes from 1 in the order in which Python sorts a column of this kind, and their labels. Unused levels are dropped.
cc_d_category <- function(frame, name, request, rows = TRUE) {
  values <- cc_values(frame, cc_symbol(frame, name, "category"), request)
  values <- if (isTRUE(rows)) values else values[rows]
  if (is.factor(values)) {
    values <- droplevels(values)
    return(list(codes = as.integer(values), labels = levels(values)))
  }
  found <- sort(unique(values))
  list(codes = match(values, found), labels = cc_d_labels(found))
}

# Whole numbers without decimals, others as the shortest text that reads back as the same number.
cc_d_labels <- function(x) {
  shortest <- function(v) {
    for (digits in 1:17) if (as.numeric(text <- formatC(v, digits = digits, format = "g")) == v) break
    text
  }
  ifelse(x == round(x), sprintf("%.0f", x), vapply(x, shortest, ""))
}

cc_d_pair <- function(a, b) {
  key <- (a - 1) * max(b) + b
  match(key, sort(unique(key)))
}

# The regression of a request: winsorized columns, complete rows, codes. `numbers` and `categories` must be known too.
cc_d_sample <- function(request, frame, numbers = character(0), categories = character(0)) {
  tree <- cc_formula(request$formula, frame)
  named <- function(symbols) vapply(symbols, function(s) cc_symbol_name(frame, s), "", USE.NAMES = FALSE)
  outcome <- named(as.character(tree$lhs))
  regressors <- named(cc_d_names(tree$rhs))
  effects <- lapply(tree$fe, named)
  used <- unique(c(outcome, regressors, numbers))
  values <- stats::setNames(lapply(used, function(n) cc_d_number(frame, n, request)), used)
  bounds <- list()
  rule <- request$options$winsorize
  for (name in rule$columns) {
    if (is.null(values[[name]])) stop(name, " is to be winsorized and is not used", call. = FALSE)
    bounds[[name]] <- cc_d_winsorize(values[[name]], rule$lower, rule$upper, rule$quantile, rule$action)
    values[[name]] <- bounds[[name]]$values
  }
  period <- if (request$vcov$type == "DK") request$time
  labels <- unique(c(unlist(effects), unlist(request$vcov$cluster), categories, period))
  keep <- Reduce(`&`, lapply(values, is.finite), rep(TRUE, frame$rows))
  for (name in labels) keep <- keep & !is.na(cc_d_category(frame, name, request)$codes)
  if (!any(keep)) stop("the estimation sample is empty", call. = FALSE)
  values <- lapply(values, function(v) v[keep])
  codes <- function(names_) {
    Reduce(cc_d_pair, lapply(names_, function(n) cc_d_category(frame, n, request, keep)$codes))
  }
  x <- matrix(unlist(values[regressors]), sum(keep), length(regressors), dimnames = list(NULL, regressors))
  list(
    frame = frame, request = request, keep = keep, values = values, bounds = bounds,
    panel = list(
      y = values[[outcome]], x = x, effects = lapply(effects, codes), effect_names = effects, weights = NULL,
      clusters = lapply(stats::setNames(nm = as.character(unlist(request$vcov$cluster))), codes),
      period = if (!is.null(period)) codes(period)
    )
  )
}

# Names of a sum of names, in its order.
cc_d_names <- function(x) {
  if (is.name(x)) return(as.character(x))
  if (is.numeric(x)) return(character(0))
  if (cc_is_call(x, "+", 2L)) return(c(cc_d_names(x[[2L]]), cc_d_names(x[[3L]])))
  if (cc_is_call(x, "(", 1L)) return(cc_d_names(x[[2L]]))
  cc_unsupported("designs take plain columns")
}

cc_d_category_of <- function(sample_, name) cc_d_category(sample_$frame, name, sample_$request, sample_$keep)

# Rows of a panel.
cc_d_take <- function(panel, rows) {
  panel$y <- panel$y[rows]
  panel$x <- panel$x[rows, , drop = FALSE]
  panel$effects <- lapply(panel$effects, function(e) e[rows])
  panel$clusters <- lapply(panel$clusters, function(e) e[rows])
  if (!is.null(panel$weights)) panel$weights <- panel$weights[rows]
  if (!is.null(panel$period)) panel$period <- panel$period[rows]
  panel
}

# A coefficient table from estimates, standard errors and df (one, or one each; Inf is the normal).
cc_d_rows <- function(terms, estimate, std_error, df, level) {
  df <- rep_len(df, length(terms))
  statistic <- ifelse(std_error > 0, estimate / std_error, NaN)
  half <- stats::qt((1 - level) / 2, df, lower.tail = FALSE) * std_error
  list(
    term = terms, estimate = unname(estimate), std_error = unname(std_error), statistic = unname(statistic),
    p_value = 2 * stats::pt(-abs(unname(statistic)), df), low = unname(estimate - half), high = unname(estimate + half), df = df
  )
}

cc_d_bind <- function(...) {
  parts <- list(...)
  names_ <- names(parts[[1L]])
  stats::setNames(lapply(names_, function(n) unlist(lapply(parts, function(p) p[[n]]), use.names = FALSE)), names_)
}

# Extras: terms, quantities, values of equal length (or one term with many quantities: cc_d_extra(term, c(a = 1))).
cc_d_extra <- function(term, values) {
  list(term = rep(term, length(values)), quantity = names(values), value = as.double(unname(values)))
}

cc_d_extras <- function(parts) {
  parts <- parts[lengths(parts) > 0L]
  list(
    term = as.character(unlist(lapply(parts, `[[`, "term"))), quantity = as.character(unlist(lapply(parts, `[[`, "quantity"))),
    value = as.double(unlist(lapply(parts, `[[`, "value")))
  )
}

cc_d_result <- function(rows = NULL, stats = list(), extras = NULL, conventions = list(), vcov = NULL,
                        dropped = character(0), package = "base", packages = package, blocks = list()) {
  coefs <- if (is.null(rows)) {
    cc_coefs(character(0), numeric(0))
  } else {
    cc_coefs(rows$term, rows$estimate, rows$std_error, rows$statistic, rows$p_value, rows$low, rows$high, df = rows$df)
  }
  shown <- if (!is.null(extras)) cc_rows(term = extras$term, quantity = extras$quantity, value = extras$value)
  cc_result(
    package, coefs, stats = stats, conventions = conventions, vcov = vcov, dropped = dropped, extras = shown,
    packages = packages, blocks = blocks
  )
}

cc_d_conventions <- function(sample_, cov_) {
  request <- sample_$request
  small <- cov_$small
  cc_conventions(
    vcov = cc_vcov_type(request), cluster = unlist(request$vcov$cluster), k = small$k, k_fixef = request$ssc$k_fixef,
    factor = if (length(unique(small$g)) == 1L) small$by_k * small$g[[1L]],
    n_clusters = cov_$counts$clusters[seq_len(min(2L, length(cov_$counts$clusters)))], distribution = "t",
    df_t = as.double(small$df), singletons_dropped = 0L, rows_dropped = as.integer(sum(!sample_$keep))
  )
}

cc_d_winsor_extras <- function(sample_) {
  Map(function(name, b) {
    cc_d_extra(name, c(winsor_low = b$low, winsor_high = b$high, n_below = b$n_low, n_above = b$n_high))
  }, names(sample_$bounds), sample_$bounds)
}

# Embedded draws as a matrix of codes, columns in the order of `labels`.
cc_d_draws <- function(draws, labels) {
  if (is.null(draws$codes) || !nzchar(draws$codes)) stop("the draws of ", draws$path, " were not read", call. = FALSE)
  raw_ <- utf8ToInt(draws$codes)
  codes <- ifelse(raw_ >= 97L, raw_ - 87L, raw_ - 48L)
  table_ <- matrix(codes, ncol = length(draws$labels), byrow = TRUE)
  unknown <- setdiff(draws$labels, labels)
  lacking <- setdiff(labels, draws$labels)
  if (length(unknown)) stop(unknown[[1L]], " is in the draws and not in the sample", call. = FALSE)
  if (length(lacking) && draws$kind != "subset") stop(lacking[[1L]], " is in the sample and not in the draws", call. = FALSE)
  out <- matrix(0, nrow(table_), length(labels))
  here <- match(labels, draws$labels)
  out[, !is.na(here)] <- table_[, here[!is.na(here)]]
  out
}
