# Checks of the R side of the designs by R itself: Rscript designs.R FOLDER_OF_R_FILES. Prints the number of checks.

folder <- commandArgs(trailingOnly = TRUE)[[1L]]
home <- new.env(parent = globalenv())
sys.source(file.path(folder, "session.R"), envir = home)
local({
  home <- home
  folder <- folder
  home$cc_folder <- folder
  eval(quote(cc_start(cc_folder)), home)
  checks <- 0L
  check <- function(label, ...) {
    for (ok in list(...)) {
      if (!isTRUE(ok)) stop(label, ": ", paste(format(ok), collapse = " "), call. = FALSE)
      checks <<- checks + 1L
    }
  }
  near <- function(a, b, tolerance = 1e-9) all.equal(unname(a), unname(b), tolerance = tolerance)

  set.seed(1)
  n <- 180L
  unit <- rep(seq_len(18L), each = 10L)
  time <- rep(seq_len(10L), 18L)
  d <- as.double(unit <= 6L & time >= 5L)
  x <- rnorm(n) * 1e5
  y <- 0.3 * d + 1e-6 * x + rnorm(n) + unit / 5
  panel <- list(
    y = y, x = cbind(d = d, x = x), effects = list(unit, time), effect_names = list("unit", "time"),
    clusters = list(unit = unit), period = time
  )
  words <- list(k_adj = TRUE, k_fixef = "nonnested", g_adj = TRUE, g_df = "min", t_df = "min")
  fit <- home$cc_d_fit(panel)
  model <- lm(y ~ d + x + factor(unit) + factor(time))
  check("coefficients are those of lm with dummies", near(fit$coef, coef(model)[2:3]))
  iid <- home$cc_d_cov(fit, "iid", words)
  check("iid standard errors are those of lm", near(iid$se, summary(model)$coefficients[2:3, 2L]))
  check("R2 are those of lm", near(
    unlist(home$cc_d_stats(fit)[c("r2", "adj_r2")]), unlist(summary(model)[c("r.squared", "adj.r.squared")])
  ))
  if (requireNamespace("sandwich", quietly = TRUE)) {
    by_unit <- sqrt(diag(sandwich::vcovCL(model, cluster = unit, type = "HC0", cadjust = TRUE)))[2:3]
    k <- 2 + 1 + 9
    check("CRV1 is sandwich's with K of the effects outside clusters",
      near(home$cc_d_cov(fit, "CRV1", words)$se, by_unit * sqrt((n - 1) / (n - k))))
    HC1 <- sqrt(diag(sandwich::vcovHC(model, type = "HC1")))[2:3]
    check("HC1 is sandwich's", near(home$cc_d_cov(fit, "HC1", words)$se, HC1))
  }

  for (type in 1:9) {
    p <- c(0, 0.01, 0.3, 0.99, 1)
    check(paste("quantile of type", type),
      near(home$cc_d_quantile(x, p, paste0("r", type)), quantile(x, p, type = type), 1e-15))
  }
  w <- home$cc_d_winsorize(c(x, NA), 0.05, 0.95, "r7", "clip")
  check("winsorized values lie within the bounds", identical(range(w$values, na.rm = TRUE), c(w$low, w$high)))
  check("missing values stay missing", is.na(w$values[[n + 1L]]))

  treated <- x > 2e4 + rnorm(n) * 1e5
  covariates <- cbind(x = x, y = y)
  logit <- home$cc_d_logit(covariates, treated)
  plain <- glm(treated ~ x + y, family = binomial(), control = glm.control(epsilon = 1e-14, maxit = 100))
  check("scores are those of glm", near(plogis(logit$linear), fitted(plain), 1e-9), near(logit$coef, coef(plain), 1e-8))
  rules <- list(
    method = "nearest", ratio = 1L, replace = TRUE, ties = "first", support = "none", caliper = NULL
  )
  score <- plogis(logit$linear)
  weight <- home$cc_d_match_block(seq_len(n), score, score, treated, rules)
  nearest <- vapply(which(treated), function(i) which(!treated)[[which.min(abs(score[!treated] - score[[i]]))]], 0L)
  check("matches are nearest", identical(unname(weight[!treated]), as.double(tabulate(nearest, n))[!treated]))

  request <- home$cc_d_arrays(home$cc_parse_json('{"a": ["x", "y"], "b": {"c": [1, 2], "d": null}, "e": [], "f": 3}'))
  check("arrays become vectors", identical(request$a, c("x", "y")), identical(request$b$c, c(1, 2)), length(request$e) == 0L)
  check("labels of numbers are short", identical(home$cc_d_labels(c(2012, 0.1, -3)), c("2012", "0.1", "-3")))
  cat(checks, "checks passed\n")
})
