# Outcomes of a known effect in the study's own design, estimated many times (crosscheck/designs/monte_carlo.py).

# Errors of variance one with autocorrelation rho within units, a column for each panel.
cc_d_errors <- function(seed, panels, unit, period, rho) {
  units <- max(unit)
  periods <- max(period)
  set.seed(as.integer(seed), kind = "Mersenne-Twister")
  # period within unit within panel
  shocks <- array(stats::qnorm(stats::runif(panels * units * periods)), c(periods, units, panels))
  for (t in seq_len(periods)[-1L]) shocks[t, , ] <- rho * shocks[t - 1L, , ] + sqrt(1 - rho^2) * shocks[t, , ]
  matrix(shocks, periods * units, panels)[(unit - 1L) * periods + period, , drop = FALSE]
}

cc_d_monte_carlo <- function(request, frame) {
  options_ <- request$options
  unit_ <- if (is.null(options_$unit)) request$unit else options_$unit
  time_ <- if (is.null(options_$time)) request$time else options_$time
  if (is.null(unit_) || is.null(time_)) stop("simulated errors need unit and time", call. = FALSE)
  sample_ <- cc_d_clustered(request, frame, c(unit_, time_))
  fit_ <- cc_d_fit(sample_$panel)
  counts <- cc_d_counts(fit_)
  at <- cc_d_index(fit_, options_$treatment)
  treated <- fit_$panel$x[, at]
  small <- function(type) cc_d_small(type, counts, request$ssc)
  iid <- small("iid")
  noise <- if (is.null(options_$noise)) sqrt(fit_$ssr / (counts$n - 1) * iid$by_k) else options_$noise
  base_ <- fit_$panel$y - fit_$resid + (options_$effect - fit_$coef[[at]]) * treated
  shocks <- noise * cc_d_errors(
    options_$seed, options_$panels, cc_d_category_of(sample_, unit_)$codes, cc_d_category_of(sample_, time_)$codes,
    options_$rho
  )
  x <- drop(cc_d_cleared(fit_, options_$treatment, cbind(treated)))
  square <- sum(x^2)
  swept <- cc_d_cleared(fit_, options_$treatment, cbind(base_, shocks))
  y <- swept[, 1L] + swept[, -1L, drop = FALSE]
  b <- colSums(x * y) / square
  u <- y - outer(x, b)
  clusters <- fit_$panel$clusters[[1L]]
  errors_ <- lapply(stats::setNames(nm = unlist(options_$vcovs)), function(type) {
    own <- small(type)
    switch(type,
      iid = sqrt(colSums(u^2) / square * own$by_k / (counts$n - 1)),
      HC1 = sqrt(own$by_k * colSums((x * u)^2)) / square,
      CRV1 = sqrt(own$by_k * own$g[[1L]] * colSums(rowsum(x * u, clusters)^2)) / square,
      CRV3 = cc_d_monte_jackknife(sample_$panel, options_$treatment, clusters, base_ + shocks, b)
    )
  })
  cc_d_monte_result(sample_, fit_, small, options_, request, list(
    b = b, errors = errors_, exact = sum(x * swept[, 1L]) / square, noise = noise
  ))
}

cc_d_monte_jackknife <- function(panel, treatment, clusters, y, b) {
  size <- max(clusters)
  gaps <- vapply(seq_len(size), function(g) {
    rows <- which(clusters != g)
    part <- cc_d_fit(cc_d_take(panel, rows))
    x <- drop(cc_d_cleared(part, treatment, cbind(panel$x[rows, treatment])))
    colSums(x * y[rows, , drop = FALSE]) / sum(x^2) - b
  }, b)
  sqrt(rowSums(gaps^2) * (size - 1) / size)
}

cc_d_monte_result <- function(sample_, fit_, small, options_, request, made) {
  level <- request$conf_level
  count <- options_$panels
  mean_ <- mean(made$b)
  mean_se <- stats::sd(made$b) / sqrt(count)
  shares <- lapply(names(made$errors), function(type) {
    half <- stats::qt((1 - level) / 2, small(type)$df, lower.tail = FALSE) * made$errors[[type]]
    hits <- sum(abs(made$b - options_$effect) <= half)
    tail_ <- (1 - options_$bounds) / 2
    low <- if (hits == 0) 0 else stats::qbeta(tail_, hits, count - hits + 1)
    high <- if (hits == count) 1 else stats::qbeta(1 - tail_, hits + 1, count - hits)
    cc_d_extra(paste0("coverage [", type, "]"), c(
      share = hits / count, covered = hits, share_low = low, share_high = high, holds = low <= level && level <= high,
      se_ratio = mean(made$errors[[type]]) / stats::sd(made$b)
    ))
  })
  errors_ <- do.call(rbind, made$errors)
  rownames(errors_) <- paste0("std_error_", names(made$errors))
  cc_d_result(
    cc_d_rows(paste0(options_$treatment, " [mean]"), mean_, mean_se, Inf, level), cc_d_stats(fit_),
    cc_d_extras(c(
      list(cc_d_extra("monte_carlo", c(
        without_noise = made$exact, bias = mean_ - options_$effect, bias_se = mean_se, noise = made$noise, panels = count
      ))),
      shares, cc_d_winsor_extras(sample_)
    )),
    list(distribution = "normal", singletons_dropped = 0L, rows_dropped = as.integer(sum(!sample_$keep))),
    dropped = fit_$dropped, blocks = list(cc_block("panels", rbind(estimate = made$b, errors_)))
  )
}
