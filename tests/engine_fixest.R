# The fixest side of the engine tests: fit every row of a specification table and write what fixest says.
#
#   Rscript engine_fixest.R FOLDER
#
# FOLDER holds specs.csv, one <data>.csv for each data set, and <data>.levels.csv with the kinds and level orders of its
# columns. Numbers are hexadecimal, which both languages read exactly. Writes out.csv and done.

folder <- commandArgs(trailingOnly = TRUE)[1]
suppressPackageStartupMessages(library(fixest))
setFixest_nthreads(1)
setFixest_notes(FALSE)

read_text <- function(path) {
  read.csv(path, colClasses = "character", check.names = FALSE, na.strings = character(), encoding = "UTF-8")
}

read_data <- function(name) {
  frame <- read_text(file.path(folder, paste0(name, ".csv")))
  kinds <- read_text(file.path(folder, paste0(name, ".levels.csv")))
  for (i in seq_len(nrow(kinds))) {
    column <- frame[[i]]
    values <- suppressWarnings(as.numeric(column))
    if (kinds$kind[i] == "category") {
      levels <- strsplit(kinds$levels[i], "\t", fixed = TRUE)[[1]]
      values <- factor(levels[values + 1], levels = levels)
    } else if (kinds$kind[i] == "boolean") {
      values <- values == 1
    } else if (kinds$kind[i] == "integer") {
      values <- as.integer(values)
    }
    frame[[i]] <- values
  }
  frame
}

specs <- read_text(file.path(folder, "specs.csv"))
data <- sapply(unique(specs$data), read_data, simplify = FALSE)
rows <- list()

text <- function(value) if (length(value) == 1 && is.finite(value)) sprintf("%.17g", value) else "nan"
add <- function(id, term, quantity, value) {
  rows[[length(rows) + 1L]] <<- data.frame(id = id, term = term, quantity = quantity, value = text(value))
}

fit_one <- function(spec) {
  words <- as.logical(c(spec$k_adj, spec$g_adj))
  small <- ssc(K.adj = words[1], K.fixef = spec$k_fixef, G.adj = words[2], G.df = spec$g_df, t.df = spec$t_df)
  call <- list(
    as.formula(spec$formula, env = globalenv()), data = data[[spec$data]], ssc = small,
    vcov = if (grepl("~", spec$vcov, fixed = TRUE)) as.formula(spec$vcov, env = globalenv()) else spec$vcov,
    fixef.tol = 1e-11, fixef.rm = "none"
  )
  if (spec$weights != "") call$weights <- as.formula(spec$weights)
  if (spec$estimator %in% c("fepois", "feglm")) call$glm.tol <- 2.3e-13
  if (spec$family != "") {
    call$family <- switch(spec$family, logit = binomial("logit"), probit = binomial("probit"), gaussian = gaussian())
  }
  fit <- summary(do.call(spec$estimator, call), vcov = call$vcov, ssc = small, vcov_fix = FALSE)
  if (spec$aggregate != "") {
    agg <- if (spec$aggregate == "coef") FALSE else spec$aggregate
    fit <- summary(fit, vcov = call$vcov, ssc = small, vcov_fix = FALSE, agg = agg)
    table <- fit$coeftable
  } else {
    table <- coeftable(fit)
  }
  interval <- if (spec$aggregate == "") confint(fit) else NULL
  for (i in seq_len(nrow(table))) {
    term <- rownames(table)[i]
    for (j in 1:4) add(spec$id, term, c("estimate", "std_error", "statistic", "p_value")[j], table[i, j])
    if (!is.null(interval)) {
      add(spec$id, term, "conf_low", interval[i, 1])
      add(spec$id, term, "conf_high", interval[i, 2])
    }
  }
  matrix <- attributes(vcov(fit))
  add(spec$id, "", "df_t", matrix$df.t)
  add(spec$id, "", "k", matrix$df.K)
  add(spec$id, "", "nobs", fit$nobs)
  add(spec$id, "", "df_resid", fit$nobs - fit$nparams)
  for (what in c("r2", "ar2", "wr2")) add(spec$id, "", what, fitstat(fit, what, simplify = TRUE))
  for (term in fit$collin.var) add(spec$id, term, "dropped", 1)
}

for (i in seq_len(nrow(specs))) {
  spec <- as.list(specs[i, ])
  tryCatch(
    suppressMessages(suppressWarnings(fit_one(spec))),
    error = function(e) {
      rows[[length(rows) + 1L]] <<- data.frame(
        id = spec$id, term = gsub("[\r\n]+", " ", conditionMessage(e)), quantity = "error", value = "nan"
      )
    }
  )
}
write.csv(do.call(rbind, rows), file.path(folder, "out.csv"), row.names = FALSE, fileEncoding = "UTF-8")
writeLines(as.character(packageVersion("fixest")), file.path(folder, "done"))
