# Quantiles, winsorizing, descriptive statistics and the entropy index in base R.

CC_QUANTILES <- c(
  inverted_cdf = 1L, averaged_inverted_cdf = 2L, closest_observation = 3L, interpolated_inverted_cdf = 4L, hazen = 5L,
  weibull = 6L, linear = 7L, median_unbiased = 8L, normal_unbiased = 9L, stata = 2L, stata_altdef = 6L,
  stats::setNames(1:9, paste0("r", 1:9))
)

cc_d_quantile <- function(x, p, method) {
  x <- x[!is.na(x)]
  if (!length(x)) stop("there are no values to take a quantile of", call. = FALSE)
  if (method %in% names(CC_QUANTILES)) {
    return(stats::quantile(x, p, type = CC_QUANTILES[[method]], names = FALSE))
  }
  x <- sort(x)
  at <- 1 + (length(x) - 1) * p
  switch(method,
    lower = x[floor(at)],
    higher = x[ceiling(at)],
    nearest = x[round(at - 1) + 1],
    midpoint = (x[floor(at)] + x[ceiling(at)]) / 2,
    cc_unsupported("R has no quantile definition ", method)
  )
}

cc_d_winsorize <- function(x, lower, upper, method, action) {
  q <- cc_d_quantile(x, c(lower, upper), method)
  below <- !is.na(x) & x < q[[1L]]
  above <- !is.na(x) & x > q[[2L]]
  values <- if (action == "clip") replace(replace(x, below, q[[1L]]), above, q[[2L]]) else replace(x, below | above, NaN)
  list(values = values, low = q[[1L]], high = q[[2L]], n_low = sum(below), n_high = sum(above))
}

cc_d_winsor <- function(request, frame) {
  sample_ <- cc_d_sample(request, frame)
  fit_ <- cc_d_fit(sample_$panel)
  cov_ <- cc_d_cov(fit_, cc_vcov_type(request), request$ssc, request$vcov$lag)
  rows <- cc_d_fit_rows(fit_, cov_, request$conf_level)
  constant <- isTRUE(request$options$constant) && length(sample_$panel$effects) > 0L
  if (constant) rows <- cc_d_bind(cc_d_constant(sample_$panel, cc_vcov_type(request), request), rows)
  cc_d_result(
    rows, cc_d_stats(fit_), cc_d_extras(cc_d_winsor_extras(sample_)), cc_d_conventions(sample_, cov_),
    if (!constant) cov_$V, fit_$dropped
  )
}

# The constant of a regression on explicit dummies, the first level of each effect left out.
cc_d_constant <- function(panel, type, request) {
  if (!type %in% c("iid", "HC1")) cc_unsupported("the constant of dummies has vcov iid or HC1")
  dummies <- lapply(panel$effects, function(e) {
    levels_ <- sort(unique(e))[-1L]
    outer(e, levels_, "==") + 0
  })
  columns <- do.call(cbind, dummies)
  colnames(columns) <- paste0("dummy", seq_len(ncol(columns)))
  panel$x <- cbind(panel$x, columns)
  panel$effects <- list()
  panel$effect_names <- list()
  fit_ <- cc_d_fit(panel)
  cov_ <- cc_d_cov(fit_, type, request$ssc)
  at <- cc_d_index(fit_, "(Intercept)")
  cc_d_rows("(Intercept)", fit_$coef[[at]], cov_$se[[at]], cov_$small$df, request$conf_level)
}

cc_d_describe <- function(request, frame) {
  options_ <- request$options
  columns <- stats::setNames(lapply(options_$variables, function(n) cc_d_number(frame, n, request)), options_$variables)
  complete <- rep(TRUE, frame$rows)
  for (name in names(columns)) {
    if (options_$missing == "error" && anyNA(columns[[name]])) stop(name, " is missing in a row", call. = FALSE)
    if (options_$missing == "complete") complete <- complete & !is.na(columns[[name]])
  }
  parts <- lapply(names(columns), function(name) {
    x <- columns[[name]][complete]
    x <- x[!is.na(x)]
    if (!length(x) || any(is.infinite(x))) stop(name, " has no values, or an infinite one", call. = FALSE)
    n <- length(x)
    spread <- if (options_$ddof == 1L) stats::sd(x) else sqrt(stats::var(x) * (n - 1) / n)
    if (n == 1L) spread <- if (options_$ddof == 1L) NaN else 0
    found <- c(nobs = n, mean = mean(x), std_dev = spread, min = min(x), max = max(x))
    if (length(options_$quantiles)) {
      at <- unlist(options_$quantiles)
      found <- c(found, stats::setNames(cc_d_quantile(x, at, options_$quantile), paste0("q", cc_d_shown(at))))
    }
    cc_d_extra(name, found)
  })
  cc_d_result(stats = list(nobs = as.double(sum(complete))), extras = cc_d_extras(parts))
}

cc_d_shown <- function(p) sprintf("%.10g", p)

cc_d_entropy <- function(request, frame) {
  options_ <- request$options
  indicators <- names(options_$indicators)
  direction <- unlist(options_$indicators)
  time_ <- if (is.null(options_$time)) request$time else options_$time
  unit_ <- if (is.null(options_$unit)) request$unit else options_$unit
  x <- vapply(indicators, function(n) cc_d_number(frame, n, request), numeric(frame$rows))
  x <- matrix(x, frame$rows, length(indicators), dimnames = list(NULL, indicators))
  if (any(is.infinite(x))) stop("an indicator has an infinite value", call. = FALSE)
  if (options_$missing == "error" && anyNA(x)) stop("an indicator is missing in a row", call. = FALSE)
  kept <- if (options_$missing == "drop_rows") rowSums(is.na(x)) == 0 else rowSums(!is.na(x)) > 0
  if (!any(kept)) stop("no row is left", call. = FALSE)
  x[!kept, ] <- NA_real_
  by_year <- c(options_$standardize, options_$proportions) == "by_year"
  if (is.null(time_) && any(by_year)) stop("by_year needs the study's time", call. = FALSE)
  period <- if (is.null(time_)) list(codes = rep(1L, frame$rows), labels = "") else cc_d_category(frame, time_, request)
  if (anyNA(period$codes)) stop(time_, " is missing in a row", call. = FALSE)
  one <- rep(1L, frame$rows)
  ranges <- if (by_year[[1L]]) period$codes else one
  blocks <- if (by_year[[2L]]) period$codes else one
  constant <- matrix(FALSE, nrow(x), ncol(x))
  z <- x
  for (rows in split(seq_len(nrow(x)), ranges)) {
    for (j in seq_along(indicators)) {
      values <- x[rows, j]
      if (all(is.na(values)) || diff(span <- range(values, na.rm = TRUE)) == 0) {
        if (options_$constant == "error") stop(indicators[[j]], " is constant or has no values", call. = FALSE)
        constant[rows, j] <- TRUE
        z[rows, j] <- ifelse(is.na(values), NA_real_, 0)
      } else {
        z[rows, j] <- (if (direction[[j]] == "+") values - span[[1L]] else span[[2L]] - values) / diff(span)
      }
    }
  }
  if (options_$zero == "shift") z <- z + options_$shift
  if (options_$zero == "replace") z[which(z == 0)] <- options_$shift
  count <- max(blocks)
  entropy <- t(vapply(seq_len(count), function(b) cc_d_entropies(z[blocks == b, , drop = FALSE], indicators), numeric(ncol(z))))
  entropy <- matrix(entropy, count, ncol(z))
  fixed <- t(vapply(seq_len(count), function(b) apply(constant[blocks == b, , drop = FALSE], 2L, all), logical(ncol(z))))
  entropy[matrix(fixed, count, ncol(z))] <- if (options_$constant == "zero_weight") 1 else NA_real_
  redundancy <- 1 - entropy
  weight <- redundancy / rowSums(redundancy, na.rm = TRUE)
  score <- cc_d_scores(z, weight, blocks, options_)
  score[!kept] <- NA_real_
  cc_d_entropy_result(frame, request, unit_, time_, indicators, period, list(
    weight = weight, entropy = entropy, redundancy = redundancy, score = score
  ))
}

cc_d_entropies <- function(z, names_) {
  vapply(seq_len(ncol(z)), function(j) {
    values <- z[!is.na(z[, j]), j]
    if (length(values) < 2L) stop(names_[[j]], " has fewer than two values in a block", call. = FALSE)
    p <- values[values > 0] / sum(values)
    if (!length(p)) return(NA_real_)
    -sum(p * log(p)) / log(length(values))
  }, 0)
}

cc_d_scores <- function(z, weight, blocks, options_) {
  parts <- z
  if (options_$score == "proportions") {
    totals <- rowsum(ifelse(is.na(z), 0, z), blocks)
    totals[totals <= 0] <- 1
    parts <- z / totals[blocks, , drop = FALSE]
  }
  w <- ifelse(is.na(weight), 0, weight)[blocks, , drop = FALSE]
  known <- !is.na(parts)
  score <- rowSums(w * ifelse(known, parts, 0))
  if (options_$missing == "available") {
    share <- rowSums(w * known)
    score <- ifelse(share > 0, score / share, NA_real_)
  }
  score
}

cc_d_entropy_result <- function(frame, request, unit_, time_, indicators, period, made) {
  pooled <- request$options$proportions == "pooled"
  periods <- if (pooled) "" else paste0("|", period$labels)
  terms <- as.vector(outer(indicators, periods[seq_len(nrow(made$weight))], paste0))
  numbers <- rbind(
    weight = as.vector(t(made$weight)), entropy = as.vector(t(made$entropy)), redundancy = as.vector(t(made$redundancy))
  )
  kept <- !is.na(numbers["weight", ])
  scored <- which(!is.na(made$score))
  rows_ <- matrix(made$score[scored], 1L, dimnames = list("score", NULL))
  blocks <- list(cc_block("rows", rows_, cc_d_row_terms(frame, request, unit_, time_, scored)))
  if (!pooled) blocks <- c(blocks, list(cc_block("indicators", numbers[, kept, drop = FALSE], terms[kept])))
  parts <- if (pooled) lapply(which(kept), function(i) cc_d_extra(terms[[i]], numbers[, i])) else list()
  cc_d_result(
    stats = list(nobs = as.double(length(scored))), extras = if (length(parts)) cc_d_extras(parts), dropped = terms[!kept],
    blocks = blocks
  )
}

cc_d_row_terms <- function(frame, request, unit_, time_, keep) {
  parts <- lapply(c(unit_, time_), function(name) {
    found <- cc_d_category(frame, name, request)
    ifelse(is.na(found$codes), "", found$labels[found$codes])
  })
  terms <- if (length(parts)) do.call(paste, c(parts, sep = "|")) else as.character(seq_len(frame$rows))
  terms <- terms[keep]
  if (anyDuplicated(terms)) stop("rows cannot be told apart by unit and time", call. = FALSE)
  terms
}
