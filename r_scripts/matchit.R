# MatchIt as a second witness of matching: its scores, its pairs; the regression is that of designs_match.R.

CC_MATCHIT_SINCE <- "4.5.4"

cc_matchit_check <- function() {
  if (utils::packageVersion("MatchIt") < CC_MATCHIT_SINCE) {
    cc_unsupported(
      "MatchIt ", as.character(utils::packageVersion("MatchIt")), " is no reference: before ", CC_MATCHIT_SINCE,
      " it passes over nearer controls, and its caliper does not bind"
    )
  }
}

cc_fit_matchit <- function(request, frame) {
  cc_matchit_check()
  request$options <- cc_d_arrays(request$options)
  options_ <- request$options
  if (options_$method != "nearest" || options_$ties != "first") cc_unsupported("MatchIt matches to the first nearest")
  made <- cc_d_match_sample(request, frame)
  score <- list(score = numeric(length(made$treated)), linear = numeric(length(made$treated)), coef = list())
  weight <- numeric(length(made$treated))
  for (b in sort(unique(made$match_blocks))) {
    rows <- which(made$match_blocks == b)
    one <- cc_matchit_block(made$x[rows, , drop = FALSE], made$treated[rows], options_)
    score$score[rows] <- one$score
    score$coef[[length(score$coef) + 1L]] <- one$coef
    weight[rows] <- one$weight
  }
  cc_d_match_result(made, score, weight, "MatchIt")
}

# Among controls that are equally near MatchIt takes one by an order of its own; the request says the first of the data.
cc_matchit_no_ties <- function(distance, treated, usable, options_) {
  own <- distance[treated & usable]
  others <- distance[!treated & usable]
  if (!length(own) || !length(others)) return(invisible())
  tied <- vapply(own, function(d) {
    gaps <- sort(abs(others - d))
    near <- if (options_$replace) utils::head(gaps, options_$ratio + 1L) else gaps
    last <- if (options_$replace) utils::tail(diff(near), 1L) else diff(near)
    length(near) > options_$ratio * options_$replace && any(last < 1e-12)
  }, logical(1L))
  ordered <- !options_$replace && options_$order != "data" && any(diff(sort(own)) < 1e-12)
  if (any(tied) || ordered) cc_unsupported("rows are equally near, among which MatchIt takes one by an order of its own")
}

# One call of matchit(): z-scored covariates under safe names, every option passed.
cc_matchit_block <- function(x, treated, options_) {
  centre <- colMeans(x)
  spread <- apply(x, 2L, stats::sd)
  data <- as.data.frame(sweep(sweep(x, 2L, centre), 2L, spread, "/"))
  names(data) <- paste0("ccx", seq_along(data))
  row.names(data) <- as.character(seq_len(nrow(data)))
  data$ccg <- as.integer(treated)
  model <- stats::reformulate(setdiff(names(data), "ccg"), "ccg")
  linear <- options_$distance == "logit"
  found <- MatchIt::matchit(
    model, data = data, method = "nearest", distance = "glm", link = if (linear) "linear.logit" else "logit",
    distance.options = list(control = stats::glm.control(epsilon = 1e-15, maxit = 100)), estimand = "ATT",
    discard = c(none = "none", minmax = "treated", both = "both")[[options_$support]], reestimate = FALSE,
    replace = options_$replace, m.order = options_$order, ratio = options_$ratio, caliper = options_$caliper,
    std.caliper = !identical(options_$caliper_scale, "absolute"), verbose = FALSE
  )
  cc_matchit_no_ties(found$distance, treated, !found$discarded, options_)
  weight <- numeric(length(treated))
  pairs_ <- found$match.matrix
  for (i in seq_len(nrow(pairs_))) {
    controls <- as.integer(pairs_[i, !is.na(pairs_[i, ])])
    if (!length(controls)) next
    weight[[as.integer(rownames(pairs_)[[i]])]] <- 1
    weight[controls] <- weight[controls] + 1 / length(controls)
  }
  slopes <- stats::coef(found$model)[-1L] / spread
  names(slopes) <- colnames(x)
  list(
    score = if (linear) stats::plogis(found$distance) else unname(found$distance), weight = weight,
    coef = c("(Intercept)" = stats::coef(found$model)[[1L]] - sum(slopes * centre), slopes)
  )
}
