# Which linear model in lm's words, and which K does the request count? Shared by lm, clubSandwich and plm.

# Parameters that the request's rule counts (the rule at the head of fixest.R).
#   n_coef   coefficients estimated beside the fixed effects
#   effects  list of integer codes, one for each fixed effect, in the estimation sample
#   names    list of character vectors: the symbols that make up each effect
#   clusters named list of codes
cc_request_k <- function(request, n_coef, effects, names, clusters = list()) {
  sizes <- vapply(effects, function(e) length(unique(e)), 0L)
  nparams <- n_coef + sum(sizes) - max(length(sizes) - 1L, 0L)
  if (!length(sizes)) return(nparams)
  rule <- request$ssc$k_fixef
  if (rule == "none") return(n_coef)
  if (rule == "full" || !length(clusters)) return(nparams)
  nested <- vapply(names, function(parts) any(parts %in% base::names(clusters)), NA)
  alone <- unlist(names[lengths(names) == 1L])
  if (!all(nested) && !all(base::names(clusters) %in% alone)) {
    within_ <- function(inner) {
      any(vapply(clusters, function(outer) length(unique(inner)) == length(unique(paste(inner, outer))), NA))
    }
    nested[!nested] <- vapply(effects[!nested], within_, NA)
  }
  if (all(nested)) return(n_coef + 1L)
  max(nparams - sum(sizes[nested] - 1L), n_coef + 1L)
}

# Degrees of freedom of t that the request asks for.
cc_request_df <- function(request, n, K, sizes) {
  if (request$ssc$t_df == "min" && length(sizes)) return(max(min(sizes) - 1, 1))
  max(n - K, 1)
}

# A level as text: 100000, not 1e+05.
cc_level <- function(x) if (is.numeric(x)) format(x, scientific = FALSE, trim = TRUE, digits = 15L) else as.character(x)

# i() outside fixest: a matrix with one column for each level but the reference, times x where there is one.
cc_indicator <- function(f, x = NULL, ref = NULL) {
  if (is.numeric(f)) {
    values <- sort(unique(f))
    f <- factor(f, levels = values, labels = vapply(values, cc_level, ""))
  }
  f <- as.factor(f)
  levels_ <- levels(f)[levels(f) %in% unique(as.character(f))]
  if (!is.null(ref)) {
    if (!cc_level(ref) %in% levels_) cc_refuse("ref = ", cc_level(ref), " is no level of i()")
    levels_ <- setdiff(levels_, cc_level(ref))
  }
  out <- vapply(levels_, function(l) as.double(f == l) * (if (is.null(x)) 1 else x), double(length(f)))
  matrix(out, length(f), length(levels_), dimnames = list(NULL, levels_))
}

# The names that model.matrix gives to coefficients of i() terms, and the names that fixest gives them. A matrix of one
# column has the name of its term alone.
cc_indicator_names <- function(calls, data, place) {
  out <- character(0)
  for (term in calls) {
    levels_ <- colnames(eval(term, data, place))
    arguments <- as.list(term)[-1L]
    plain <- if (is.null(names(arguments))) arguments else arguments[names(arguments) == ""]
    tail_ <- if (length(plain) == 2L) paste0(":", as.character(plain[[2L]])) else ""
    written <- paste(deparse(term, width.cutoff = 500L), collapse = "")
    out[paste0(written, if (length(levels_) > 1L) levels_)] <- paste0(as.character(plain[[1L]]), "::", levels_, tail_)
  }
  out
}

cc_calls_of <- function(x, name) {
  if (!is.call(x)) return(list())
  if (identical(x[[1L]], as.name(name))) return(list(x))
  unlist(lapply(as.list(x)[-1L], cc_calls_of, name = name), recursive = FALSE)
}

# Without effects the formula as it is; with effects, what stands beside them (an intercept is absorbed).
cc_without_intercept <- function(x) {
  if (is.numeric(x)) return(NULL)
  if (is.call(x) && length(x) == 3L && identical(x[[1L]], as.name("-"))) return(cc_without_intercept(x[[2L]]))
  if (is.call(x) && length(x) == 3L && identical(x[[1L]], as.name("+"))) {
    sides <- Filter(Negate(is.null), list(cc_without_intercept(x[[2L]]), cc_without_intercept(x[[3L]])))
    return(if (length(sides)) Reduce(function(a, b) call("+", a, b), sides))
  }
  x
}

# A least squares model in lm, fixed effects as dummies that come first, so that a collinear regressor is what is dropped.
cc_lm_model <- function(request, frame, parts, weights, needs) {
  if (!is.null(parts$instruments)) cc_unsupported("lm has no instruments")
  if ("sunab" %in% parts$calls) cc_unsupported("lm has no sunab()")
  vcov_symbols <- c(needs$cluster, needs$unit, needs$time)
  data <- cc_finite(cc_data(frame, c(parts$used, weights), request, vcov_symbols))
  place <- cc_sealed(i = cc_indicator)
  rhs <- parts$rhs
  if (length(parts$fe)) {
    dummies <- paste0(frame$prefix, "d", seq_along(parts$fe), "z")
    for (k in seq_along(parts$fe)) data[[dummies[[k]]]] <- interaction(data[parts$fe[[k]]], drop = TRUE, lex.order = TRUE)
    rest <- cc_without_intercept(rhs)
    rhs <- Reduce(function(a, b) call("+", a, b), c(lapply(dummies, as.name), if (!is.null(rest)) list(rest)))
  }
  formula_ <- eval(call("~", parts$lhs, rhs), place)
  environment(formula_) <- place
  if (!is.null(weights)) data[[weights]] <- cc_checked_weights(data[[weights]])
  # lm evaluates its arguments in the data: symbols are put in as symbols.
  model <- eval(as.call(c(
    list(quote(stats::lm), formula = formula_, data = quote(data)),
    if (!is.null(weights)) list(weights = as.name(weights)),
    list(na.action = quote(stats::na.omit), tol = 1e-10, singular.ok = TRUE)
  )))
  if (model$rank == 0L) cc_refuse("no coefficient can be estimated: every regressor is zero")
  used <- data
  if (!is.null(model$na.action)) used <- data[-model$na.action, , drop = FALSE]
  estimates <- stats::coef(model)
  dropped <- names(estimates)[is.na(estimates)]
  of_effects <- if (length(parts$fe)) grepl(paste0("^", frame$prefix, "d[0-9]+z"), names(estimates)) else FALSE
  if (length(parts$fe)) of_effects <- of_effects | names(estimates) == "(Intercept)"
  shown <- !is.na(estimates) & !of_effects
  spelled <- cc_indicator_names(cc_calls_of(rhs, "i"), used, place)
  rename <- function(x) {
    hit <- x %in% names(spelled)
    x[hit] <- spelled[x[hit]]
    cc_display(frame, x)
  }
  codes <- function(x) as.integer(factor(x))
  list(
    model = model, data = used, shown = names(estimates)[shown], rename = rename,
    dropped = rename(setdiff(dropped, names(estimates)[of_effects])), rank = model$rank,
    effects = lapply(parts$fe, function(f) codes(interaction(used[f], drop = TRUE))), effect_names = parts$fe,
    clusters = lapply(stats::setNames(needs$cluster, needs$cluster), function(s) codes(used[[s]])),
    unit = if (!is.null(needs$unit)) codes(used[[needs$unit]]),
    time = if (!is.null(needs$time)) codes(used[[needs$time]])
  )
}

# Counts of clusters, or of periods, that the degrees of freedom of t depend on.
cc_group_sizes <- function(fit) {
  if (length(fit$clusters)) return(vapply(fit$clusters, function(c) length(unique(c)), 0L))
  if (!is.null(fit$time)) return(length(unique(fit$time)))
  integer(0)
}

# Tests of the shown coefficients with the covariance and degrees of freedom given.
cc_shown_inference <- function(estimates, V, shown, df, level) {
  reduced <- structure(list(coefficients = estimates[shown]), class = "cc_estimates")
  cc_inference(reduced, V[shown, shown, drop = FALSE], df, level)
}
