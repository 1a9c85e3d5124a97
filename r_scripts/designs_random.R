# Placebo draws, wild cluster bootstrap and the grid of covariances in base R.

CC_D_TIE <- 1e-10
CC_D_NO_T <- 1e-9
CC_D_NO_SE <- 1e-10

# Columns cleared of fixed effects and of all regressors but the treatment.
cc_d_cleared <- function(fit_, treatment, columns) {
  out <- cc_d_sweep(fit_$panel, columns)
  controls <- fit_$x[, -cc_d_index(fit_, treatment), drop = FALSE]
  if (!ncol(controls)) return(out)
  base_ <- qr(controls, tol = 1e-12)
  qr.resid(base_, qr.resid(base_, out))
}

cc_d_placebo <- function(request, frame) {
  options_ <- request$options
  unit_ <- if (is.null(options_$unit)) request$unit else options_$unit
  time_ <- if (is.null(options_$time)) request$time else options_$time
  if (is.null(unit_) || is.null(time_)) stop("placebo draws need unit and time", call. = FALSE)
  type <- cc_vcov_type(request)
  if (!type %in% c("iid", "HC1", "CRV1")) cc_unsupported("placebo draws have vcov iid, HC1 or CRV1")
  sample_ <- cc_d_sample(request, frame, time_, unit_)
  unit <- cc_d_category_of(sample_, unit_)
  late <- sample_$values[[time_]] >= options_$start
  if (all(late) || !any(late)) stop("the placebo's start leaves no period before it, or none after it", call. = FALSE)
  fit_ <- cc_d_fit(sample_$panel)
  counts <- cc_d_counts(fit_)
  cov_ <- cc_d_cov(fit_, type, request$ssc)
  iid <- cc_d_small("iid", counts, request$ssc)
  at <- cc_d_index(fit_, options_$treatment)
  raw_ <- diag(length(unit$labels))[unit$codes, , drop = FALSE] * late
  swept <- cc_d_cleared(fit_, options_$treatment, cbind(sample_$panel$y, raw_))
  draws <- cc_d_draws(options_$draws, unit$labels)
  made <- cc_d_placebo_draws(
    swept[, 1L], swept[, -1L, drop = FALSE], draws, type, if (type == "CRV1") fit_$panel$clusters[[1L]]
  )
  n <- counts$n
  small <- cov_$small
  se_iid <- made$iid * sqrt(iid$by_k / (n - 1))
  se <- if (type == "iid") se_iid else made$robust * sqrt(small$by_k * small$g[[1L]])
  p <- 2 * stats::pt(-abs(made$b / se), small$df)
  p_iid <- 2 * stats::pt(-abs(made$b / se_iid), iid$df)
  true <- fit_$coef[[at]]
  summary_ <- cc_d_placebo_summary(made$b, made$b / se, p, p_iid, true, true / cov_$se[[at]], options_)
  draws_ <- rbind(estimate = made$b, std_error = se, std_error_iid = se_iid, p_value = p, p_value_iid = p_iid)
  cc_d_result(
    cc_d_fit_rows(fit_, cov_, request$conf_level), cc_d_stats(fit_),
    cc_d_extras(c(list(cc_d_extra("placebo", summary_)), cc_d_winsor_extras(sample_))),
    cc_d_conventions(sample_, cov_), dropped = fit_$dropped, blocks = list(cc_block("draws", draws_))
  )
}

# The closed form for all draws, some hundred at a time.
cc_d_placebo_draws <- function(y, columns, draws, type, cluster) {
  total <- sum(columns^2)
  parts <- lapply(split(seq_len(nrow(draws)), (seq_len(nrow(draws)) - 1L) %/% 500L), function(rows) {
    x <- columns %*% t(draws[rows, , drop = FALSE])
    squares <- colSums(x^2)
    squares[squares <= 1e-18 * total] <- NaN
    b <- colSums(x * y) / squares
    u <- y - x * rep(b, each = length(y))
    sums <- if (type == "CRV1") rowsum(x * u, cluster) else x * u
    list(b = b, iid = sqrt(colSums(u^2) / squares), robust = sqrt(colSums(sums^2)) / squares)
  })
  join <- function(name) unlist(lapply(parts, `[[`, name), use.names = FALSE)
  list(b = join("b"), iid = join("iid"), robust = join("robust"))
}

cc_d_placebo_summary <- function(b, t_, p, p_iid, true, true_t, options_) {
  kept <- !is.na(b)
  failed <- sum(!kept)
  b <- b[kept]
  t_ <- t_[kept]
  if (length(b) < 2L) stop("fewer than two draws have an estimate", call. = FALSE)
  at_least <- abs(b) >= abs(true) * (1 - CC_D_TIE)
  upper <- b >= true - CC_D_TIE * abs(true)
  extreme <- abs(t_) >= abs(true_t) * (1 - CC_D_TIE)
  found <- c(
    n_draws = length(b), n_failed = failed, mean = mean(b), sd = stats::sd(b),
    share_p = mean(p[kept] < options_$threshold), share_p_iid = mean(p_iid[kept] < options_$threshold),
    rank = 1 + sum(b > true + CC_D_TIE * abs(true)), p_exceed = mean(at_least),
    p_randomization = (1 + sum(at_least)) / (1 + length(b)), p_upper = (1 + sum(upper)) / (1 + length(b)),
    p_randomization_t = (1 + sum(extreme)) / (1 + length(b))
  )
  at <- unlist(options_$quantiles)
  if (length(at)) {
    found <- c(found, stats::setNames(cc_d_quantile(b, at, options_$quantile), paste0("q", cc_d_shown(at))))
  }
  found
}

# A sample whose only clusters are those of the options.
cc_d_clustered <- function(request, frame, more = character(0)) {
  cluster <- request$options$cluster
  sample_ <- cc_d_sample(request, frame, categories = c(cluster, more))
  sample_$panel$clusters <- stats::setNames(list(cc_d_category_of(sample_, cluster)$codes), cluster)
  sample_
}

cc_d_wild_prepare <- function(sample_, treatment, ssc_) {
  fit_ <- cc_d_fit(sample_$panel)
  at <- cc_d_index(fit_, treatment)
  cov_ <- cc_d_cov(fit_, "CRV1", ssc_)
  codes <- fit_$panel$clusters[[1L]]
  both <- cc_d_cleared(fit_, treatment, cbind(sample_$panel$y, fit_$panel$x[, at]))
  x <- both[, 2L]
  dummies <- diag(max(codes))[codes, , drop = FALSE]
  moved <- function(column) rowsum(x * cc_d_cleared(fit_, treatment, dummies * column), codes)
  about_mean <- sample_$panel$y - mean(sample_$panel$y) # what effects leave of an outcome may be rounding itself
  if (!isTRUE(cov_$se[[at]] > CC_D_NO_SE * sqrt(sum(about_mean^2) / sum(x^2)))) {
    stop("the treatment's clustered standard error is zero but for rounding: there is no t to bootstrap", call. = FALSE)
  }
  list(
    fit = fit_, cov = cov_, b = fit_$coef[[at]], se = cov_$se[[at]], outcome = moved(both[, 1L]), regressor = moved(x),
    squares = drop(rowsum(x^2, codes)), factor = cov_$small$by_k * cov_$small$g[[1L]], df = cov_$small$df
  )
}

cc_d_wild_t <- function(w, weights, null, impose) {
  sums <- weights %*% t(w$outcome - (if (impose) null else w$b) * w$regressor)
  total <- sum(w$squares)
  gap <- rowSums(sums) / total
  gap / (sqrt(w$factor * rowSums((sums - outer(gap, w$squares))^2)) / total)
}

cc_d_wild_p <- function(w, weights, null, impose, ties) {
  own <- abs((w$b - null) / w$se)
  drawn <- abs(cc_d_wild_t(w, weights, null, impose))
  beyond <- drawn > own * (1 + CC_D_TIE) + CC_D_NO_T
  tied <- !beyond & drawn >= own * (1 - CC_D_TIE) - CC_D_NO_T
  (sum(beyond) + c(count = 1, half = 0.5, strict = 0)[[ties]] * sum(tied)) / length(drawn)
}

cc_d_wild_bound <- function(w, weights, level, ties, sign_) {
  rejects <- function(reach) cc_d_wild_p(w, weights, w$b + sign_ * reach * w$se, TRUE, ties) < 1 - level
  inside <- 0
  outside <- 2
  for (i in seq_len(41L)) {
    if (i == 41L) stop("the bootstrap interval is unbounded: no null hypothesis is rejected", call. = FALSE)
    if (rejects(outside)) break
    inside <- outside
    outside <- 2 * outside
  }
  for (i in seq_len(200L)) {
    if (outside - inside <= 1e-13 * outside) break
    middle <- (inside + outside) / 2
    if (rejects(middle)) outside <- middle else inside <- middle
  }
  w$b + sign_ * (inside + outside) / 2 * w$se
}

# Weights of the draws; without a file all 2^G sign vectors, in the order of their binary numbers.
cc_d_wild_weights <- function(options_, labels) {
  if (is.null(options_$draws)) {
    if (length(labels) > 12L) stop("2^", length(labels), " sign vectors are too many: name a file of draws", call. = FALSE)
    number <- seq_len(2^length(labels)) - 1L
    return(vapply(seq_along(labels), function(g) 2 * ((number %/% 2^(g - 1L)) %% 2) - 1, numeric(length(number))))
  }
  codes <- cc_d_draws(options_$draws, labels)
  if (options_$weight == "rademacher") return(2 * codes - 1)
  webb <- c(-sqrt(1.5), -1, -sqrt(0.5), sqrt(0.5), 1, sqrt(1.5))
  matrix(webb[codes + 1], nrow(codes))
}

cc_d_wild_all <- function(request, sample_, name = request$options$treatment) {
  options_ <- request$options
  weights <- cc_d_wild_weights(options_, cc_d_category_of(sample_, options_$cluster)$labels)
  w <- cc_d_wild_prepare(sample_, name, request$ssc)
  p <- cc_d_wild_p(w, weights, options_$null, options_$impose_null, options_$ties)
  drawn <- cc_d_wild_t(w, weights, options_$null, options_$impose_null)
  found <- c(
    p_value = p, statistic = (w$b - options_$null) / w$se, n_draws = nrow(weights), t_mean = mean(drawn),
    t_sd = stats::sd(drawn)
  )
  if (options_$interval) {
    bound <- function(side) cc_d_wild_bound(w, weights, request$conf_level, options_$ties, side)
    found <- c(found, conf_low = bound(-1), conf_high = bound(1))
  }
  list(w = w, p = p, extras = cc_d_extra(paste0(name, " [wild]"), found))
}

cc_d_wild <- function(request, frame) {
  sample_ <- cc_d_clustered(request, frame)
  made <- cc_d_wild_all(request, sample_)
  w <- made$w
  cc_d_result(
    cc_d_rows(request$options$treatment, w$b, w$se, w$df, request$conf_level), cc_d_stats(w$fit),
    cc_d_extras(c(list(made$extras), cc_d_winsor_extras(sample_))),
    cc_conventions(
      vcov = "CRV1", cluster = request$options$cluster, factor = w$factor, n_clusters = length(w$squares),
      distribution = "t", df_t = as.double(w$df), singletons_dropped = 0L, rows_dropped = as.integer(sum(!sample_$keep))
    ),
    dropped = w$fit$dropped
  )
}

cc_d_grid <- function(request, frame) {
  options_ <- request$options
  time_ <- if (is.null(options_$time)) request$time else options_$time
  if (is.null(time_)) stop("Driscoll-Kraay needs the study's time", call. = FALSE)
  sample_ <- cc_d_clustered(request, frame, time_)
  sample_$panel$period <- cc_d_category_of(sample_, time_)$codes
  fit_ <- cc_d_fit(sample_$panel)
  terms <- unique(c(options_$treatment, unlist(options_$also)))
  stars <- function(p) sum(p < unlist(options_$stars))
  types <- c("iid", "HC1", "CRV1", "CRV3", "DK")
  made <- lapply(types, function(type) cc_d_cov(fit_, type, request$ssc, options_$lag))
  rows <- list()
  parts <- list()
  for (name in terms) {
    at <- cc_d_index(fit_, name)
    own <- Map(function(type, m) {
      cc_d_rows(paste0(name, " [", type, "]"), fit_$coef[[at]], m$se[[at]], m$small$df, request$conf_level)
    }, types, made)
    rows <- c(rows, unname(own))
    parts <- c(parts, unname(lapply(own, function(r) cc_d_extra(r$term, c(stars = stars(r$p_value))))))
    if (options_$wild) {
      wild <- cc_d_wild_all(request, sample_, name)
      parts <- c(parts, list(wild$extras, cc_d_extra(paste0(name, " [wild]"), c(stars = stars(wild$p)))))
    }
  }
  cc_d_result(
    do.call(cc_d_bind, rows), cc_d_stats(fit_), cc_d_extras(c(parts, cc_d_winsor_extras(sample_))),
    list(distribution = "t", singletons_dropped = 0L, rows_dropped = as.integer(sum(!sample_$keep))),
    dropped = fit_$dropped
  )
}
