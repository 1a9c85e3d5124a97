# Least squares with fixed effects and its covariances for the designs: Frisch-Waugh-Lovell on the QR of all dummies.

# x, y with the effects swept out, both times the root of the weights.
cc_d_sweep <- function(panel, columns) {
  root <- if (is.null(panel$weights)) 1 else sqrt(panel$weights)
  if (!length(panel$effects)) return(columns * root)
  # A mean far from zero is in the span of the dummies, and would cost as many digits as it has.
  columns <- sweep(columns, 2L, colMeans(columns)) * root
  dummies <- do.call(cbind, lapply(panel$effects, function(e) diag(max(e))[e, , drop = FALSE]))
  base_ <- qr(dummies * root, tol = 1e-9)
  qr.resid(base_, qr.resid(base_, columns))
}

cc_d_squeeze <- function(panel) {
  squeeze <- function(e) match(e, sort(unique(e)))
  panel$effects <- lapply(panel$effects, squeeze)
  panel$clusters <- lapply(panel$clusters, squeeze)
  panel
}

cc_d_fit <- function(panel) {
  panel <- cc_d_squeeze(panel)
  n <- length(panel$y)
  if (!length(panel$effects) && !"(Intercept)" %in% colnames(panel$x)) {
    panel$x <- cbind("(Intercept)" = 1, panel$x)
  }
  root <- if (is.null(panel$weights)) rep(1, n) else sqrt(panel$weights)
  swept <- cc_d_sweep(panel, cbind(panel$y, panel$x))
  size <- function(m) sqrt(colSums((m * root)^2))
  scale_ <- size(panel$x)
  about_mean <- size(sweep(panel$x, 2L, colMeans(panel$x)))
  scale_ <- ifelse(about_mean > 1e-12 * scale_, about_mean, scale_)
  kept <- integer(0)
  for (j in seq_len(ncol(panel$x))) {
    left <- swept[, 1L + j]
    if (length(kept)) left <- qr.resid(qr(swept[, 1L + kept, drop = FALSE], tol = 1e-12), left)
    if (length(kept) < n && sqrt(sum(left^2)) > 1e-9 * scale_[[j]]) kept <- c(kept, j)
  }
  if (!length(kept)) stop("no regressor varies beside the fixed effects", call. = FALSE)
  dropped <- colnames(panel$x)[setdiff(seq_len(ncol(panel$x)), kept)]
  panel$x <- panel$x[, kept, drop = FALSE]
  x <- swept[, 1L + kept, drop = FALSE]
  decomposed <- qr(x, tol = 1e-12, LAPACK = FALSE)
  coef_ <- qr.coef(decomposed, swept[, 1L])
  bread <- chol2inv(qr.R(decomposed))
  bread <- bread[order(decomposed$pivot), order(decomposed$pivot), drop = FALSE]
  resid_ <- drop(swept[, 1L] - x %*% coef_)
  sizes <- vapply(panel$effects, max, 0L)
  list(
    panel = panel, names = colnames(panel$x), coef = unname(coef_), bread = bread, x = x, y = swept[, 1L],
    resid = resid_, scores = x * resid_, ssr = sum(resid_^2), dropped = dropped, sizes = sizes, root = root
  )
}

cc_d_index <- function(fit_, name) {
  at <- match(name, fit_$names)
  if (is.na(at)) stop(name, if (name %in% fit_$dropped) " was dropped as collinear" else " is no regressor", call. = FALSE)
  at
}

cc_d_parameters <- function(n_coef, sizes) n_coef + sum(sizes) - max(length(sizes) - 1L, 0L)

# Is each fixed effect nested in the clusters, as fixest decides it?
cc_d_nested <- function(panel) {
  clusters <- names(panel$clusters)
  named <- vapply(panel$effect_names, function(parts) any(parts %in% clusters), NA)
  alone <- unlist(panel$effect_names[lengths(panel$effect_names) == 1L])
  if (all(clusters %in% alone)) return(named)
  inside <- function(e) any(vapply(panel$clusters, function(g) all(tapply(g, e, function(v) length(unique(v))) == 1L), NA))
  named | vapply(panel$effects, inside, NA)
}

cc_d_counts <- function(fit_, n_coef = length(fit_$coef)) {
  panel <- fit_$panel
  clusters <- vapply(panel$clusters, max, 0L, USE.NAMES = FALSE)
  if (length(clusters) == 2L) clusters <- c(clusters, max(cc_d_pair(panel$clusters[[1L]], panel$clusters[[2L]])))
  list(
    n = length(panel$y), n_coef = n_coef, sizes = fit_$sizes, clusters = clusters,
    nested = if (length(panel$effects) && length(panel$clusters)) cc_d_nested(panel) else rep(FALSE, length(panel$effects)),
    periods = if (!is.null(panel$period)) length(unique(panel$period))
  )
}

# K, factors and df in fixest's words.
cc_d_small <- function(type, counts, ssc_) {
  k <- cc_d_parameters(counts$n_coef, counts$sizes)
  clustered <- type %in% c("CRV1", "CRV3")
  if (length(counts$sizes)) {
    if (ssc_$k_fixef == "none") {
      k <- counts$n_coef
    } else if (ssc_$k_fixef == "nonnested" && clustered) {
      inside <- sum((counts$sizes - 1L)[counts$nested])
      k <- if (all(counts$nested)) counts$n_coef + 1L else max(k - inside, counts$n_coef + 1L)
    }
  }
  n <- counts$n
  by_k <- 1
  if (ssc_$k_adj && type %in% c("iid", "HC1", "CRV1", "DK")) by_k <- (if (type == "HC1") n else n - 1) / (n - k)
  smallest <- if (length(counts$clusters)) min(counts$clusters[seq_len(min(2L, length(counts$clusters)))])
  g <- 1
  if (type == "CRV1") {
    sizes <- if (ssc_$g_df == "conventional") counts$clusters else rep(smallest, length(counts$clusters))
    g <- if (ssc_$g_adj) sizes / (sizes - 1) else rep(1, length(counts$clusters))
  } else if (type == "DK" && ssc_$g_adj) {
    g <- counts$periods / (counts$periods - 1)
  }
  df <- n - k
  if (ssc_$t_df == "min" && clustered) df <- smallest - 1
  if (ssc_$t_df == "min" && type == "DK") df <- counts$periods - 1
  list(k = k, by_k = by_k, g = g, df = max(df, 1))
}

cc_d_sandwich <- function(bread, scores) crossprod(scores %*% bread)

cc_d_cov <- function(fit_, type, ssc_, lag_ = NULL, counts = cc_d_counts(fit_)) {
  small <- cc_d_small(type, counts, ssc_)
  if (counts$n <= cc_d_parameters(counts$n_coef, counts$sizes)) stop("the model is saturated", call. = FALSE)
  clusters <- fit_$panel$clusters
  if (type %in% c("CRV1", "CRV3") && (!length(counts$clusters) || counts$clusters[[1L]] < 2L)) {
    stop(type, " needs at least two clusters", call. = FALSE)
  }
  by_cluster <- function(codes) cc_d_sandwich(fit_$bread, rowsum(fit_$scores, codes))
  V <- switch(type,
    iid = fit_$bread * (fit_$ssr / (counts$n - 1)) * small$by_k,
    HC1 = cc_d_sandwich(fit_$bread, fit_$scores) * small$by_k,
    CRV1 = {
      total <- small$g[[1L]] * by_cluster(clusters[[1L]])
      if (length(clusters) == 2L) {
        total <- total + small$g[[2L]] * by_cluster(clusters[[2L]]) -
          small$g[[3L]] * by_cluster(cc_d_pair(clusters[[1L]], clusters[[2L]]))
      }
      cc_d_repair(total * small$by_k, length(clusters) == 2L)
    },
    CRV3 = cc_d_jackknife(fit_),
    DK = cc_d_kraay(fit_, lag_) * small$by_k * small$g,
    cc_unsupported("the designs do not have vcov type ", type)
  )
  list(V = V, se = sqrt(diag(V)), small = small, counts = counts)
}

cc_d_repair <- function(V, two) {
  if (!two) return(V)
  found <- eigen((V + t(V)) / 2, symmetric = TRUE)
  if (min(found$values) > 0) return(V)
  found$vectors %*% (pmax(found$values, 1e-16) * t(found$vectors))
}

cc_d_jackknife <- function(fit_) {
  codes <- fit_$panel$clusters[[1L]]
  size <- max(codes)
  gaps <- t(vapply(seq_len(size), function(g) {
    again <- cc_d_fit(cc_d_take(fit_$panel, codes != g))
    if (!identical(again$names, fit_$names)) stop("CRV3 does not exist: a coefficient is lost with a cluster", call. = FALSE)
    again$coef - fit_$coef
  }, fit_$coef))
  if (length(fit_$coef) == 1L) gaps <- t(gaps)
  crossprod(gaps) * ((size - 1) / size)
}

cc_d_kraay <- function(fit_, lag_) {
  sums <- rowsum(fit_$scores, fit_$panel$period)
  periods <- nrow(sums)
  if (is.null(lag_)) {
    lag_ <- floor(periods^0.25 + 0.5)
    if (lag_^4 > periods) lag_ <- lag_ - 1
  }
  meat <- crossprod(sums)
  for (step in seq_len(min(lag_, periods - 1L))) {
    product <- crossprod(sums[(step + 1L):periods, , drop = FALSE], sums[1L:(periods - step), , drop = FALSE])
    meat <- meat + (1 - step / (lag_ + 1)) * (product + t(product))
  }
  fit_$bread %*% meat %*% fit_$bread
}

cc_d_stats <- function(fit_) {
  panel <- fit_$panel
  w <- fit_$root^2
  n <- length(panel$y)
  k <- cc_d_parameters(length(fit_$coef), fit_$sizes)
  total <- sum(w * (panel$y - sum(w * panel$y) / sum(w))^2)
  swept <- if (length(fit_$sizes)) sum(fit_$y^2) else 0
  alone <- identical(fit_$names, "(Intercept)") || total == 0
  list(
    nobs = as.double(n), r2 = if (!alone) 1 - fit_$ssr / total,
    adj_r2 = if (!alone && n > k) 1 - fit_$ssr / total * (n - 1) / (n - k),
    r2_within = if (swept > 0) 1 - fit_$ssr / swept, df_resid = as.double(n - k)
  )
}

cc_d_fit_rows <- function(fit_, cov_, level, prefix = "") {
  cc_d_rows(paste0(prefix, fit_$names), fit_$coef, cov_$se, cov_$small$df, level)
}
