# What do lm and sandwich say? Fixed effects are dummies, so K is the rank of the whole design.
#
#   iid   vcov(lm): SSR / (N - K)            HC0-HC3  vcovHC; HC1 is N / (N - K)
#   CRV1  vcovCL: type HC1 has (N - 1) / (N - K), HC0 has not; cadjust has G / (G - 1), each dimension its own
#   CRV3  vcovCL, type HC3, cadjust = FALSE: (G - 1) / G sum (b_g - b)(b_g - b)'
#   NW    one series: NeweyWest without prewhitening, adjust: N / (N - K); panel: vcovPL, aggregate = FALSE
#   DK    vcovPL: adjust is N / (N - K)
# Where this is not what the request's words mean, the answer is `unsupported`.

cc_fit_lm <- function(request, frame) {
  began <- Sys.time()
  parts <- cc_formula(request$formula, frame)
  weights <- cc_weights_symbol(request, frame)
  needs <- cc_vcov_symbols(request, frame)
  id <- list("lm", request$formula, weights, needs, request$unit, request$time)
  fit <- cc_remember(frame, id, cc_lm_model(request, frame, parts, weights, needs))
  n <- stats::nobs(fit$model)
  K <- cc_request_k(request, length(fit$shown), fit$effects, fit$effect_names, fit$clusters)
  V <- cc_lm_vcov(request, fit, n, K)
  sizes <- cc_group_sizes(fit)
  df <- cc_request_df(request, n, K, sizes)
  tested <- cc_shown_inference(stats::coef(fit$model), V$matrix, fit$shown, df, request$conf_level)
  seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))
  cc_lm_result("sandwich", c("sandwich", "lmtest"), request, frame, fit, tested, V, n, K, df, sizes, seconds)
}

cc_lm_result <- function(package, packages, request, frame, fit, tested, V, n, K, df, sizes, seconds) {
  summary_ <- suppressWarnings(stats::summary.lm(fit$model))
  out <- cc_result(
    package,
    cc_coefs(
      fit$rename(tested$names), tested$estimate, tested$std_error, tested$statistic, tested$p_value, tested$low,
      tested$high, df = df
    ),
    stats = list(
      nobs = as.double(n), r2 = summary_$r.squared, adj_r2 = summary_$adj.r.squared,
      df_resid = as.double(fit$model$df.residual)
    ),
    conventions = cc_conventions(
      vcov = cc_vcov_type(request), cluster = unlist(request$vcov$cluster), k = K, k_fixef = request$ssc$k_fixef,
      factor = V$factor, n_clusters = sizes, distribution = "t", df_t = as.double(df), singletons_dropped = 0L,
      rows_dropped = as.integer(frame$rows - n)
    ),
    vcov = unname(V$matrix[fit$shown, fit$shown, drop = FALSE]), dropped = fit$dropped, seconds = seconds,
    packages = packages
  )
  out
}

cc_same_k <- function(K, counted, package) {
  if (K != counted) {
    cc_unsupported("the request counts K = ", K, " parameters, ", package, " counts ", counted)
  }
}

# The covariance exactly as the request words it, and the factor on the unadjusted one.
cc_lm_vcov <- function(request, fit, n, K) {
  ssc_ <- request$ssc
  type <- cc_vcov_type(request)
  model <- fit$model
  if (type %in% c("iid", "HC1", "CRV1", "NW", "DK") && ssc_$k_adj) cc_same_k(K, fit$rank, "lm")
  by_k <- if (ssc_$k_adj) (n - 1) / (n - K) else 1
  if (type == "iid") {
    if (!ssc_$k_adj) cc_unsupported("lm divides by N - K; k_adj = false asks for N - 1")
    return(list(matrix = cc_complete(stats::vcov(model, complete = FALSE)), factor = by_k))
  }
  if (type == "HC1") {
    V <- sandwich::vcovHC(model, type = if (ssc_$k_adj) "HC1" else "HC0")
    return(list(matrix = cc_complete(V), factor = if (ssc_$k_adj) n / (n - K) else 1))
  }
  if (type %in% c("HC2", "HC3")) {
    leverage <- stats::hatvalues(model)
    if (any(leverage > 1 - 1e-8)) cc_unsupported(type, " is not defined: an observation has leverage 1")
    return(list(matrix = cc_complete(sandwich::vcovHC(model, type = type)), factor = 1))
  }
  if (type == "CRV1") return(cc_lm_clustered(request, fit, by_k))
  if (type == "CRV3") {
    if (length(fit$clusters) > 1L) cc_unsupported("sandwich's clustered HC3 is meant for one dimension of clusters")
    for (effect in fit$effects) {
      if (any(tapply(fit$clusters[[1L]], effect, function(c) length(unique(c)) == 1L))) {
        cc_unsupported("sandwich's clustered HC3 inverts I - H_g, which is singular where an effect's level lies in one cluster")
      }
    }
    if (cc_lm_leverage(model, fit$clusters[[1L]]) > 1 - 1e-8) {
      cc_unsupported("sandwich's clustered HC3 inverts I - H_g, which is singular: a coefficient is not identified without a cluster")
    }
    V <- sandwich::vcovCL(model, cluster = as.data.frame(fit$clusters), type = "HC3", cadjust = FALSE)
    return(list(matrix = cc_complete(V), factor = 1))
  }
  cc_lm_serial(request, fit, n, K)
}

# The largest eigenvalue of a cluster's block of the hat matrix: of the rows of Q, squared.
cc_lm_leverage <- function(model, cluster) {
  Q <- qr.Q(model$qr)[, seq_len(model$rank), drop = FALSE]
  w <- model$weights
  if (!is.null(w)) cluster <- cluster[w > 0]
  max(vapply(split(seq_len(nrow(Q)), cluster), function(rows) svd(Q[rows, , drop = FALSE], 0L, 0L)$d[[1L]]^2, 0))
}

cc_lm_clustered <- function(request, fit, by_k) {
  ssc_ <- request$ssc
  two <- length(fit$clusters) == 2L
  if (two && ssc_$g_adj && ssc_$g_df == "min") {
    cc_unsupported("sandwich gives each dimension its own G / (G - 1); g_df = \"min\" asks for the smallest")
  }
  if (min(cc_group_sizes(fit)) < 2L) cc_unsupported("the cluster variable has one cluster in the sample")
  V <- sandwich::vcovCL(
    fit$model, cluster = as.data.frame(fit$clusters), type = if (ssc_$k_adj) "HC1" else "HC0", cadjust = ssc_$g_adj,
    multi0 = FALSE, fix = FALSE
  )
  cc_positive(V)
  g <- min(cc_group_sizes(fit))
  list(matrix = cc_complete(V), factor = if (two && ssc_$g_adj) NULL else if (ssc_$g_adj) by_k * g / (g - 1) else by_k)
}

cc_lm_serial <- function(request, fit, n, K) {
  type <- cc_vcov_type(request)
  ssc_ <- request$ssc
  periods <- length(unique(fit$time))
  single <- type == "NW" && is.null(fit$unit)
  lag_ <- request$vcov$lag
  if (is.null(lag_)) {
    if (single) cc_unsupported("the automatic bandwidth of one time series is not asked of sandwich; set vcov.lag")
    lag_ <- floor(periods^0.25)
  }
  both <- ssc_$k_adj && ssc_$g_adj
  neither <- !ssc_$k_adj && !ssc_$g_adj
  if (!neither && !(both && periods == n)) {
    cc_unsupported(
      "sandwich has N / (N - K); the request's T / (T - 1) (N - 1) / (N - K) is the same for one time series only"
    )
  }
  if (single) {
    if (periods < n) cc_unsupported("NW without a unit needs one row for each period")
    V <- sandwich::NeweyWest(
      fit$model, lag = lag_, order.by = fit$time, prewhite = FALSE, adjust = both, data = fit$data
    )
  } else {
    cluster <- if (type == "NW") fit$unit else rep(1L, n)
    if (type == "NW" && anyDuplicated(paste(fit$unit, fit$time))) cc_unsupported("NW needs one row for each unit and period")
    V <- sandwich::vcovPL(
      fit$model, cluster = cluster, order.by = fit$time, kernel = "Bartlett", lag = lag_, aggregate = type == "DK",
      adjust = both, fix = FALSE
    )
  }
  cc_positive(V)
  list(matrix = cc_complete(V), factor = if (both) n / (n - K) else 1)
}

# Packages differ in how they repair a covariance that is not positive definite; none is taken as what was asked for.
cc_positive <- function(V) {
  values <- eigen(V, symmetric = TRUE, only.values = TRUE)$values
  if (any(!is.finite(values)) || min(values) < -1e-12 * max(abs(values)) || any(diag(V) < 0)) {
    cc_unsupported("the covariance is not positive semidefinite, and how it is repaired differs between packages")
  }
}

cc_complete <- function(V) {
  V <- as.matrix(V)
  class(V) <- "matrix"
  attributes(V) <- attributes(V)[c("dim", "dimnames")]
  V
}
