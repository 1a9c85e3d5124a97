# Mediation and subgroups in base R.

cc_d_three <- function(panel, mediator, name) {
  both <- panel
  both$x <- cbind(mediator, panel$x)
  colnames(both$x)[[1L]] <- name
  first <- panel
  first$y <- mediator
  list(total = cc_d_fit(panel), mediator = cc_d_fit(first), direct = cc_d_fit(both))
}

cc_d_mediation <- function(request, frame) {
  options_ <- request$options
  treatment <- options_$treatment
  name <- options_$mediator
  level <- request$conf_level
  sample_ <- cc_d_sample(request, frame, c(name, treatment), options_$cluster)
  fits <- cc_d_three(sample_$panel, sample_$values[[name]], name)
  covs <- lapply(fits, cc_d_cov, cc_vcov_type(request), request$ssc, request$vcov$lag)
  pick <- function(part, term) {
    at <- cc_d_index(fits[[part]], term)
    c(fits[[part]]$coef[[at]], covs[[part]]$se[[at]])
  }
  total <- pick("total", treatment)
  direct <- pick("direct", treatment)
  a <- pick("mediator", treatment)
  b <- pick("direct", name)
  indirect <- a[[1L]] * b[[1L]]
  square <- (b[[1L]] * a[[2L]])^2 + (a[[1L]] * b[[2L]])^2
  cross <- (a[[2L]] * b[[2L]])^2
  biggest <- max(abs(c(total[[1L]], direct[[1L]], indirect)))
  df <- covs$total$small$df
  rows <- do.call(cc_d_bind, c(
    unname(Map(function(f, v, n) cc_d_fit_rows(f, v, level, paste0(n, ":")), fits, covs, names(fits))),
    list(
      cc_d_rows(c("effect:total", "effect:direct"), c(total[[1L]], direct[[1L]]), c(total[[2L]], direct[[2L]]), df, level),
      cc_d_rows("effect:indirect", indirect, sqrt(square), Inf, level)
    )
  ))
  parts <- list(cc_d_extra("effect:indirect", c(
    se_aroian = sqrt(square + cross), se_goodman = if (square >= cross) sqrt(square - cross) else NaN,
    proportion = if (abs(total[[1L]]) <= 1e-12 * biggest) NaN else indirect / total[[1L]], identity_gap = (total[[1L]] - (direct[[1L]] + indirect)) / biggest
  )))
  for (part in names(fits)) {
    parts[[length(parts) + 1L]] <- cc_d_extra(part, unlist(cc_d_stats(fits[[part]])[c("r2", "adj_r2", "r2_within")]))
  }
  if (!is.null(options_$draws)) parts <- c(parts, cc_d_mediation_draws(sample_, options_, level))
  cc_d_result(
    rows, cc_d_stats(fits$direct), cc_d_extras(c(parts, cc_d_winsor_extras(sample_))),
    cc_d_conventions(sample_, covs$direct), dropped = fits$total$dropped
  )
}

# Resample clusters: each row counts as often as its cluster was drawn.
cc_d_mediation_draws <- function(sample_, options_, level) {
  cluster <- cc_d_category_of(sample_, options_$cluster)
  counts <- cc_d_draws(options_$draws, cluster$labels)
  name <- options_$mediator
  effects <- t(vapply(seq_len(nrow(counts)), function(d) {
    weights <- counts[d, cluster$codes]
    panel <- sample_$panel
    panel$weights <- weights
    panel <- cc_d_take(panel, weights > 0)
    fits <- cc_d_three(panel, sample_$values[[name]][weights > 0], name)
    at <- function(part, term) fits[[part]]$coef[match(term, fits[[part]]$names)]
    c(
      at("total", options_$treatment), at("direct", options_$treatment),
      at("mediator", options_$treatment) * at("direct", name)
    )
  }, numeric(3L)))
  effects <- effects[rowSums(is.na(effects)) == 0, , drop = FALSE]
  parts <- Map(function(term, column) {
    bounds <- cc_d_quantile(effects[, column], c((1 - level) / 2, (1 + level) / 2), options_$quantile)
    cc_d_extra(term, c(se_bootstrap = stats::sd(effects[, column]), boot_low = bounds[[1L]], boot_high = bounds[[2L]]))
  }, paste0("effect:", c("total", "direct", "indirect")), 1:3)
  c(unname(parts), list(cc_d_extra("effect:indirect", c(n_draws = nrow(effects)))))
}

cc_d_interact <- function(panel, group, name) {
  size <- max(group)
  x <- do.call(cbind, lapply(seq_len(size), function(g) {
    part <- panel$x * (group == g)
    colnames(part) <- paste0(g, ":", colnames(panel$x))
    part
  }))
  out <- panel
  out$x <- x
  out$effects <- lapply(panel$effects, cc_d_pair, group)
  out$effect_names <- lapply(panel$effect_names, function(n) c(name, n))
  if (!length(out$effects)) {
    out$effects <- list(group)
    out$effect_names <- list(name)
  }
  out
}

# gap' M^-1 gap; NaN where differences have no variance of their own, as where groups fit perfectly.
cc_d_distance <- function(gap, M) {
  sd_ <- sqrt(pmax(diag(M), 0))
  if (!all(sd_ > 0)) return(NaN)
  scaled <- M / outer(sd_, sd_)
  if (min(eigen(scaled, symmetric = TRUE, only.values = TRUE)$values) < 1e-12) return(NaN)
  drop(crossprod(gap / sd_, solve(scaled, gap / sd_)))
}

cc_d_subgroups <- function(request, frame) {
  options_ <- request$options
  level <- request$conf_level
  type <- cc_vcov_type(request)
  sample_ <- cc_d_sample(request, frame, categories = options_$group)
  group <- cc_d_category_of(sample_, options_$group)
  size <- length(group$labels)
  if (size < 2L) stop("there is one group only, and nothing to compare", call. = FALSE)
  fits <- lapply(seq_len(size), function(g) cc_d_fit(cc_d_take(sample_$panel, group$codes == g)))
  for (f in fits) cc_d_index(f, options_$treatment)
  covs <- lapply(fits, cc_d_cov, type, request$ssc, request$vcov$lag)
  pooled <- cc_d_fit(cc_d_interact(sample_$panel, group$codes, options_$group))
  joint <- cc_d_cov(pooled, type, request$ssc, request$vcov$lag)
  at <- vapply(seq_len(size), function(g) cc_d_index(pooled, paste0(g, ":", options_$treatment)), 0L)
  effects <- pooled$coef[at]
  V <- joint$V[at, at]
  contrast <- cbind(diag(size - 1L), -1)
  gap <- contrast %*% effects
  chi2 <- cc_d_distance(drop(gap), contrast %*% V %*% t(contrast))
  df <- joint$small$df
  rows <- do.call(cc_d_bind, c(
    unname(Map(function(f, v, n) cc_d_fit_rows(f, v, level, paste0(n, ":")), fits, covs, group$labels)),
    list(cc_d_rows(paste0("joint:", group$labels, ":", options_$treatment), effects, sqrt(diag(V)), df, level))
  ))
  parts <- list(cc_d_extra("equality", c(
    wald_f = chi2 / (size - 1), wald_f_p = stats::pf(chi2 / (size - 1), size - 1, df, lower.tail = FALSE),
    wald_chi2 = chi2, wald_chi2_p = stats::pchisq(chi2, size - 1, lower.tail = FALSE), df1 = size - 1, df2 = df
  )))
  pairs_ <- utils::combn(size, 2L)
  for (p in seq_len(ncol(pairs_))) {
    i <- pairs_[1L, p]
    j <- pairs_[2L, p]
    difference <- effects[[i]] - effects[[j]]
    se <- sqrt(V[i, i] + V[j, j] - 2 * V[i, j])
    parts[[length(parts) + 1L]] <- cc_d_extra(paste(group$labels[[i]], "-", group$labels[[j]]), c(
      difference = difference, difference_se = se, z = difference / se, z_p = 2 * stats::pnorm(-abs(difference / se))
    ))
  }
  for (g in seq_len(size)) {
    parts[[length(parts) + 1L]] <- cc_d_extra(
      group$labels[[g]], unlist(cc_d_stats(fits[[g]])[c("nobs", "r2", "adj_r2", "r2_within")])
    )
  }
  cc_d_result(
    rows, cc_d_stats(pooled), cc_d_extras(c(parts, cc_d_winsor_extras(sample_))), cc_d_conventions(sample_, covs[[1L]])
  )
}
