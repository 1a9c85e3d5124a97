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
