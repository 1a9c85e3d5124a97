# Propensity scores, matching, balance, and the regression on what is matched, in base R.

CC_D_NEAR <- 1e-12

cc_d_match <- function(request, frame) {
  made <- cc_d_match_sample(request, frame)
  score <- cc_d_scores_of(made)
  distance <- if (request$options$distance == "logit") score$linear else score$score
  weight <- numeric(length(made$treated))
  for (rows in split(seq_along(weight), made$match_blocks)) {
    weight <- weight + cc_d_match_block(rows, score$score, distance, made$treated, request$options)
  }
  cc_d_match_result(made, score, weight)
}

# What base R and MatchIt share: the sample, the two groups, the covariates, the blocks.
cc_d_match_sample <- function(request, frame) {
  options_ <- request$options
  unit_ <- if (is.null(options_$unit)) request$unit else options_$unit
  time_ <- if (is.null(options_$time)) request$time else options_$time
  by_period <- c(options_$score_by, options_$match_by) == "period"
  if (any(by_period) && is.null(time_)) stop("matching by period needs the study's time", call. = FALSE)
  sample_ <- cc_d_sample(request, frame, c(options_$group, options_$covariates), c(unit_, time_))
  group <- sample_$values[[options_$group]]
  if (!all(group %in% c(0, 1))) stop(options_$group, " is to be matched on and is not 0 or 1", call. = FALSE)
  one <- rep(1L, length(group))
  period <- if (any(by_period)) cc_d_category_of(sample_, time_) else list(codes = one, labels = "")
  terms <- cc_d_row_terms(frame, request, unit_, time_, sample_$keep)
  list(
    sample = sample_, request = request, treated = group == 1,
    x = matrix(unlist(sample_$values[options_$covariates]), length(group), dimnames = list(NULL, options_$covariates)),
    score_blocks = if (by_period[[1L]]) period$codes else one, score_labels = if (by_period[[1L]]) period$labels else "",
    match_blocks = if (by_period[[2L]]) period$codes else one, terms = terms
  )
}

cc_d_scores_of <- function(made) {
  linear <- numeric(length(made$treated))
  coefs <- list()
  for (b in sort(unique(made$score_blocks))) {
    rows <- which(made$score_blocks == b)
    found <- cc_d_logit(made$x[rows, , drop = FALSE], made$treated[rows])
    linear[rows] <- found$linear
    coefs[[length(coefs) + 1L]] <- found$coef
  }
  list(score = stats::plogis(linear), linear = linear, coef = coefs)
}

cc_d_logit <- function(x, treated) {
  spread <- apply(x, 2L, stats::sd)
  if (any(!(spread > 1e-12 * pmax(abs(colMeans(x)), 1e-300)))) {
    stop("a covariate of the propensity score does not vary", call. = FALSE)
  }
  if (all(treated) || !any(treated)) stop("a propensity score needs both groups in each block", call. = FALSE)
  centre <- colMeans(x)
  spread <- apply(x, 2L, stats::sd)
  design <- cbind(1, sweep(sweep(x, 2L, centre), 2L, spread, "/"))
  found <- suppressWarnings(stats::glm.fit(
    design, as.double(treated), family = stats::binomial(),
    control = stats::glm.control(epsilon = 1e-15, maxit = 100)
  ))
  if (anyNA(found$coefficients)) stop("the covariates of the propensity score are collinear", call. = FALSE)
  linear <- drop(design %*% found$coefficients)
  if (max(abs(linear)) > -log(1e-10)) {
    stop("the covariates separate treated from untreated rows: scores of 0 or 1", call. = FALSE)
  }
  slopes <- found$coefficients[-1L] / spread
  list(linear = linear, coef = c("(Intercept)" = found$coefficients[[1L]] - sum(slopes * centre), slopes))
}

cc_d_support <- function(score, treated, support) {
  if (support == "none") return(rep(TRUE, length(score)))
  span <- range(score[!treated])
  if (support == "both") span <- c(max(span[[1L]], min(score[treated])), min(span[[2L]], max(score[treated])))
  score >= span[[1L]] & score <= span[[2L]]
}

cc_d_caliper <- function(distance, treated, options_) {
  if (is.null(options_$caliper)) return(Inf)
  sizes <- switch(options_$caliper_scale, absolute = 2, sd = length(distance), c(sum(treated), sum(!treated)))
  if (min(sizes) < 2) stop("the caliper's standard deviation is one of a single row", call. = FALSE)
  options_$caliper * switch(options_$caliper_scale,
    absolute = 1,
    sd = stats::sd(distance),
    sd_pooled = sqrt((stats::var(distance[treated]) + stats::var(distance[!treated])) / 2)
  )
}

# Shares of controls summed over treated rows of one block, as weights of all rows.
cc_d_match_block <- function(rows, score, distance, treated, options_) {
  weight <- numeric(length(score))
  if (all(treated[rows]) || !any(treated[rows])) stop("matching needs both groups in each block", call. = FALSE)
  usable <- rows[cc_d_support(score[rows], treated[rows], options_$support)]
  own <- usable[treated[usable]]
  others <- usable[!treated[usable]]
  if (!length(own) || !length(others)) return(weight)
  if (options_$method == "kernel") {
    u <- outer(score[own], score[others], "-") / options_$bandwidth
    k <- if (options_$kernel == "epanechnikov") ifelse(abs(u) < 1, 1 - u^2, 0) else exp(-u^2 / 2)
    met <- rowSums(k) > 0
    weight[own[met]] <- 1
    weight[others] <- colSums(k[met, , drop = FALSE] / rowSums(k)[met])
    return(weight)
  }
  width <- cc_d_caliper(distance[usable], treated[usable], options_) + CC_D_NEAR
  pairs_ <- if (options_$replace) {
    lapply(own, cc_d_nearest, others, distance, options_, width)
  } else {
    cc_d_greedy(own, others, distance, options_, width)
  }
  for (i in seq_along(own)) {
    controls <- pairs_[[i]]
    if (!length(controls)) next
    weight[own[[i]]] <- 1
    weight[controls] <- weight[controls] + 1 / length(controls)
  }
  weight
}

cc_d_nearest <- function(one, others, distance, options_, width) {
  gap <- abs(distance[others] - distance[[one]])
  others <- others[gap <= width]
  gap <- gap[gap <= width]
  if (options_$ties == "all" && length(gap) > options_$ratio) {
    return(others[gap <= sort(gap)[[options_$ratio]] + CC_D_NEAR])
  }
  chosen <- integer(0)
  while (length(chosen) < options_$ratio && any(is.finite(gap))) {
    pick <- which(gap <= min(gap) + CC_D_NEAR)[[1L]]
    chosen <- c(chosen, others[[pick]])
    gap[[pick]] <- Inf
  }
  chosen
}

cc_d_greedy <- function(own, others, distance, options_, width) {
  turn <- switch(options_$order,
    data = seq_along(own), largest = order(-distance[own]), smallest = order(distance[own])
  )
  chosen <- rep(list(integer(0)), length(own))
  free <- rep(TRUE, length(others))
  for (round_ in seq_len(options_$ratio)) {
    for (i in turn) {
      gap <- ifelse(free, abs(distance[others] - distance[[own[[i]]]]), Inf)
      if (!any(free) || min(gap) > width) next
      pick <- which(gap <= min(gap) + CC_D_NEAR)[[1L]]
      free[[pick]] <- FALSE
      chosen[[i]] <- c(chosen[[i]], others[[pick]])
    }
  }
  chosen
}

cc_d_weighted_variance <- function(x, w) {
  w <- w / sum(w)
  sum(w * (x - sum(w * x))^2) / (1 - sum(w^2))
}

cc_d_balance <- function(x, treated, weight, standardize) {
  centre <- mean(x)
  x <- x - centre # a mean far from zero costs the differences their digits
  before <- c(stats::var(x[treated]), stats::var(x[!treated]))
  scale_ <- sqrt(if (standardize == "treated") before[[1L]] else mean(before))
  side <- function(rows) {
    rows <- rows & weight > 0
    if (!any(rows)) return(c(NaN, NaN))
    c(sum(weight[rows] * x[rows]) / sum(weight[rows]), cc_d_weighted_variance(x[rows], weight[rows]))
  }
  a <- side(treated)
  b <- side(!treated)
  c(
    mean_treated = a[[1L]] + centre, mean_control = b[[1L]] + centre, std_diff = (a[[1L]] - b[[1L]]) / scale_,
    var_ratio = a[[2L]] / b[[2L]]
  )
}

# From scores and weights to regression, balance table and result.
cc_d_match_result <- function(made, score, weight, package = "base", balance = NULL) {
  options_ <- made$request$options
  treated <- made$treated
  if (!any(weight[treated] > 0)) stop("no treated row is matched", call. = FALSE)
  if (options_$weighting == "matchit") {
    serving <- !treated & weight > 0
    weight[serving] <- weight[serving] * sum(serving) / sum(weight[serving])
  }
  kept <- weight > 0
  panel <- made$sample$panel
  if (options_$regression == "weighted") panel$weights <- weight
  fit_ <- cc_d_fit(cc_d_take(panel, kept))
  cov_ <- cc_d_cov(fit_, cc_vcov_type(made$request), made$request$ssc, made$request$vcov$lag)
  parts <- list()
  for (b in seq_along(score$coef)) {
    suffix <- if (nzchar(made$score_labels[[b]])) paste0("|", made$score_labels[[b]]) else ""
    parts <- c(parts, list(list(
      term = paste0("logit:", names(score$coef[[b]]), suffix), quantity = rep("logit", length(score$coef[[b]])),
      value = unname(score$coef[[b]])
    )))
  }
  if (is.null(balance)) {
    columns <- cbind(made$x, "(score)" = score$score)
    balance <- lapply(stats::setNames(nm = colnames(columns)), function(name) {
      after <- cc_d_balance(columns[, name], treated, weight, options_$standardize)
      c(
        cc_d_balance(columns[, name], treated, rep(1, length(treated)), options_$standardize),
        stats::setNames(after, paste0(names(after), "_matched"))
      )
    })
  }
  parts <- c(parts, unname(Map(function(name, b) cc_d_extra(paste0("balance:", name), b), names(balance), balance)))
  parts <- c(parts, list(
    cc_d_extra("matching", c(
      n_treated = sum(treated), n_control = sum(!treated), n_treated_matched = sum(kept & treated),
      n_control_matched = sum(kept & !treated)
    ))
  ))
  rows_ <- rbind(treated = as.double(treated), propensity = score$score, match_weight = weight)
  cc_d_result(
    cc_d_fit_rows(fit_, cov_, made$request$conf_level), cc_d_stats(fit_),
    cc_d_extras(c(parts, cc_d_winsor_extras(made$sample))), cc_d_conventions(made$sample, cov_), cov_$V, fit_$dropped,
    package = package, blocks = list(cc_block("rows", rows_, made$terms))
  )
}
