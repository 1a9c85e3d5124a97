# The fixest side of the oracle's tests: each model is fitted once and asked for many covariances.
#
#   Rscript oracle_fixest.R FOLDER
#
# FOLDER holds <data>.csv (numbers in hexadecimal) and specs.csv: id, model, data, formula, weights, vcov, K.adj, K.fixef,
# G.adj, G.df, t.df, agg. Rows of one model stand together. Writes out.csv, 17 significant digits, and done.

folder <- commandArgs(trailingOnly = TRUE)[1]
suppressPackageStartupMessages(library(fixest))
setFixest_nthreads(1)
setFixest_notes(FALSE)

read_text <- function(name) {
  read.csv(file.path(folder, paste0(name, ".csv")), colClasses = "character", check.names = FALSE, na.strings = character())
}
numbers <- function(x) {
  known <- suppressWarnings(as.numeric(x))
  if (anyNA(known[x != ""])) x else known
}

specs <- read_text("specs")
data <- sapply(unique(specs$data), function(n) as.data.frame(lapply(read_text(n), numbers)), simplify = FALSE)
out <- file(file.path(folder, "out.csv"), "w")
writeLines("id\tterm\tquantity\tvalue", out)
text <- function(x) if (is.na(x)) "nan" else if (is.infinite(x)) (if (x > 0) "inf" else "-inf") else sprintf("%.17g", x)
put <- function(id, term, quantity, value) {
  writeLines(paste(id, term, quantity, text(as.numeric(value)[1]), sep = "\t"), out)
}
fail <- function(id, e) writeLines(paste(id, gsub("[\r\n\t]+", " ", conditionMessage(e)), "error", "nan", sep = "\t"), out)

model <- NULL
last <- ""
for (i in seq_len(nrow(specs))) {
  s <- as.list(specs[i, ])
  place <- environment()
  if (s$model != last) {
    call <- list(as.formula(s$formula, env = place), data = data[[s$data]], fixef.tol = 1e-11, fixef.iter = 50000L,
      fixef.rm = "none")
    if (s$weights != "") call$weights <- as.formula(s$weights)
    model <- tryCatch(suppressWarnings(do.call(feols, call)), error = function(e) e)
    last <- s$model
  }
  if (inherits(model, "error")) {
    fail(s$id, model)
    next
  }
  tryCatch(suppressMessages(suppressWarnings({
    words <- as.logical(c(s$K.adj, s$G.adj))
    small <- ssc(K.adj = words[1], K.fixef = s$K.fixef, G.adj = words[2], G.df = s$G.df, t.df = s$t.df)
    V <- if (grepl("~", s$vcov, fixed = TRUE)) as.formula(s$vcov, env = place) else s$vcov
    agg <- switch(s$agg, period = , att = , cohort = s$agg, none = FALSE, NULL)
    m <- if (is.null(agg)) summary(model, vcov = V, ssc = small) else summary(model, vcov = V, ssc = small, agg = agg)
    table <- m$coeftable
    bounds <- if (is.null(agg)) confint(m)
    for (j in seq_len(nrow(table))) {
      for (k in 1:4) put(s$id, rownames(table)[j], c("estimate", "std_error", "statistic", "p_value")[k], table[j, k])
      if (!is.null(bounds)) for (k in 1:2) put(s$id, rownames(table)[j], c("conf_low", "conf_high")[k], bounds[j, k])
    }
    put(s$id, "", "k", attr(m$cov.scaled, "df.K"))
    put(s$id, "", "df_t", attr(m$cov.scaled, "df.t"))
    put(s$id, "", "nobs", model$nobs)
    put(s$id, "", "df_resid", model$nobs - model$nparams)
    for (what in c("r2", "ar2", "wr2")) put(s$id, "", what, r2(model, what))
    for (term in model$collin.var) put(s$id, term, "dropped", 1)
  })), error = function(e) fail(s$id, e))
}
close(out)
writeLines(as.character(packageVersion("fixest")), file.path(folder, "done"))
