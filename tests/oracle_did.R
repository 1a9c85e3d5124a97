# The did side of the oracle's tests: att_gt and aggte on every row of specs.csv, analytic standard errors.
#
#   Rscript oracle_did.R FOLDER
#
# FOLDER holds <data>.csv and specs.csv: id, data, x, method, control, base, anticipation, unbalanced, weights.
# Writes out.csv (id, kind, term, estimate, std_error) with 17 significant digits, and done.

folder <- commandArgs(trailingOnly = TRUE)[1]
suppressPackageStartupMessages(library(did))
specs <- read.csv(file.path(folder, "specs.csv"), colClasses = "character")
data <- sapply(unique(specs$data), function(n) read.csv(file.path(folder, paste0(n, ".csv"))), simplify = FALSE)
out <- file(file.path(folder, "out.csv"), "w")
writeLines("id\tkind\tterm\testimate\tstd_error", out)
text <- function(x) if (is.na(x)) "nan" else sprintf("%.17g", as.numeric(x))
put <- function(id, kind, term, b, se) writeLines(paste(id, kind, term, text(b), text(se), sep = "\t"), out)

for (i in seq_len(nrow(specs))) {
  s <- as.list(specs[i, ])
  formula_ <- if (s$x == "") ~1 else as.formula(paste("~", s$x))
  r <- tryCatch(suppressWarnings(suppressMessages(att_gt(
    "y", "t", if (s$panel == "TRUE") "id" else NULL, "g", xformla = formula_, data = data[[s$data]],
    control_group = s$control, est_method = s$method, base_period = s$base, anticipation = as.numeric(s$anticipation),
    panel = s$panel == "TRUE", allow_unbalanced_panel = s$unbalanced == "TRUE", bstrap = FALSE, cband = FALSE,
    weightsname = if (s$weights == "") NULL else s$weights
  ))), error = function(e) NULL)
  if (is.null(r)) next
  for (j in seq_along(r$att)) put(s$id, "none", sprintf("ATT(%d,%d)", r$group[j], r$t[j]), r$att[j], r$se[j])
  for (k in c("simple", "dynamic", "group", "calendar", "balanced", "window")) {
    a <- tryCatch(suppressWarnings(switch(k,
      balanced = aggte(r, "dynamic", balance_e = 1, bstrap = FALSE, cband = FALSE),
      window = aggte(r, "dynamic", min_e = -1, max_e = 1, bstrap = FALSE, cband = FALSE),
      aggte(r, k, bstrap = FALSE, cband = FALSE)
    )), error = function(e) NULL)
    if (is.null(a)) next
    put(s$id, k, "overall", a$overall.att, a$overall.se)
    stem <- switch(k, group = "group=", calendar = "year=", "event=")
    if (k != "simple") for (j in seq_along(a$egt)) put(s$id, k, paste0(stem, a$egt[j]), a$att.egt[j], a$se.egt[j])
  }
}
close(out)
writeLines(paste(packageVersion("did"), packageVersion("DRDID")), file.path(folder, "done"))
