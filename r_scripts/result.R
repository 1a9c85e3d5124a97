# What does an engine return? Lists whose fields are those of an EstimationResult (crosscheck/results.py).

cc_unsupported <- function(...) {
  stop(structure(class = c("cc_unsupported", "error", "condition"), list(message = paste0(...), call = NULL)))
}

# Coefficients and their inference as a table. `terms` are names as they are shown.
cc_coefs <- function(terms, estimate, std_error = NULL, statistic = NULL, p_value = NULL, low = NULL, high = NULL,
                     df = NULL) {
  n <- length(terms)
  column <- function(x) if (is.null(x)) NULL else rep_len(as.double(unname(x)), n)
  cc_rows(
    term = as.character(terms), estimate = column(estimate), std_error = column(std_error),
    statistic = column(statistic), p_value = column(p_value), conf_low = column(low), conf_high = column(high),
    df = column(df)
  )
}

# All that a fit yields; what is NULL is left out or null.
cc_result <- function(package, coefs, stats = list(), conventions = list(), vcov = NULL, vcov_terms = NULL,
                      dropped = character(0), extras = NULL, blocks = list(), seconds = NULL, packages = package) {
  list(
    version = cc_package_version(package),
    status = "ok",
    coefs = coefs,
    stats = stats[!vapply(stats, is.null, NA)],
    conventions = conventions[!vapply(conventions, is.null, NA)],
    vcov = if (is.null(vcov)) list() else unname(vcov),
    vcov_terms = if (is.null(vcov_terms)) list() else cc_vector(vcov_terms),
    dropped = if (length(dropped)) cc_vector(dropped) else list(),
    extras = if (is.null(extras)) list() else extras,
    blocks = unname(blocks),
    seconds = seconds,
    environment = cc_environment(packages)
  )
}

# Numbers of many like members (draws, rows): a matrix whose rows are named by the quantities, a column for each member.
cc_block <- function(term, values, labels = character(0)) {
  list(
    term = term, labels = if (length(labels)) cc_vector(labels) else list(), quantities = cc_vector(rownames(values)),
    values = unname(values)
  )
}

# Versions that decide the numbers: pairs of name and version. They are looked up and written once.
cc_environment <- function(packages) {
  key <- paste(packages, collapse = " ")
  if (is.null(cc_state$environments[[key]])) {
    blas <- basename(extSoftVersion()[["BLAS"]])
    pairs <- c(
      list(c("R", cc_version()), c("platform", R.version$platform)),
      lapply(sort(packages), function(p) c(p, cc_package_version(p))),
      if (nzchar(blas)) list(c("blas", blas))
    )
    cc_state$environments[[key]] <- cc_written(lapply(pairs, cc_vector))
  }
  cc_state$environments[[key]]
}

cc_package_version <- function(package) {
  if (is.null(cc_state$versions[[package]])) {
    cc_state$versions[[package]] <- as.character(utils::packageVersion(package))
  }
  cc_state$versions[[package]]
}

# Conventions, with the vectors tagged as arrays.
cc_conventions <- function(vcov, cluster = character(0), k = NULL, k_fixef = NULL, factor = NULL,
                           n_clusters = integer(0), distribution = "t", df_t = NULL, singletons_dropped = NULL,
                           rows_dropped = NULL, notes = character(0)) {
  list(
    vcov = vcov, cluster = if (length(cluster)) cc_vector(cluster) else list(), k = if (!is.null(k)) as.double(k),
    k_fixef = k_fixef, ssc_factor = factor, n_clusters = if (length(n_clusters)) cc_vector(as.integer(n_clusters)) else list(),
    distribution = distribution, df_t = df_t, singletons_dropped = singletons_dropped, rows_dropped = rows_dropped,
    notes = if (length(notes)) cc_vector(notes) else list()
  )
}

# "HC1" for fixest's word "hetero".
cc_vcov_type <- function(request) if (request$vcov$type == "hetero") "HC1" else request$vcov$type

# Two-sided inference from lmtest::coeftest with explicit degrees of freedom (Inf: the normal).
cc_inference <- function(model, vcov_, df, level) {
  tested <- lmtest::coeftest(model, vcov. = vcov_, df = df)
  bounds <- lmtest::coefci(model, level = level, vcov. = vcov_, df = df)
  list(
    names = rownames(tested), estimate = tested[, 1L], std_error = tested[, 2L], statistic = tested[, 3L],
    p_value = tested[, 4L], low = bounds[, 1L], high = bounds[, 2L]
  )
}

# Symbols of the columns that the covariance needs beside the formula's.
cc_vcov_symbols <- function(request, frame) {
  clusters <- vapply(unlist(request$vcov$cluster), function(n) cc_symbol(frame, n, "category"), "", USE.NAMES = FALSE)
  serial <- request$vcov$type %in% c("NW", "DK")
  if (serial && is.null(request$time)) cc_unsupported("vcov type ", request$vcov$type, " needs the study's time")
  list(
    cluster = clusters,
    unit = if (request$vcov$type == "NW" && !is.null(request$unit)) cc_symbol(frame, request$unit, "category"),
    time = if (serial) cc_symbol(frame, request$time, "number")
  )
}

cc_weights_symbol <- function(request, frame) {
  if (is.null(request$weights)) return(NULL)
  if (request$weights$type != "analytic") cc_unsupported("weights of type ", request$weights$type, " do not exist in R's packages")
  cc_symbol(frame, request$weights$column, "number")
}
