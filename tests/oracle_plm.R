# The plm side of the oracle's tests: random effects and the between estimator on every row of specs.csv.
#
#   Rscript oracle_plm.R FOLDER
#
# FOLDER holds <data>.csv with id, year, y, x, z and specs.csv: id, data, model, method, effect, vcov.
# Writes out.csv (id, term, quantity, value) with 17 significant digits, and done.

folder <- commandArgs(trailingOnly = TRUE)[1]
suppressPackageStartupMessages(library(plm))
specs <- read.csv(file.path(folder, "specs.csv"), colClasses = "character")
data <- sapply(unique(specs$data), function(n) read.csv(file.path(folder, paste0(n, ".csv"))), simplify = FALSE)
out <- file(file.path(folder, "out.csv"), "w")
writeLines("id\tterm\tquantity\tvalue", out)
put <- function(id, term, quantity, value) {
  writeLines(paste(id, term, quantity, if (is.na(value)) "nan" else sprintf("%.17g", value), sep = "\t"), out)
}
for (i in seq_len(nrow(specs))) {
  s <- as.list(specs[i, ])
  call <- list(y ~ x + z, data = data[[s$data]], index = c("id", "year"), model = s$model)
  if (s$model == "random") {
    call$effect <- s$effect
    call$random.method <- s$method
    if (s$method %in% c("walhus", "amemiya")) call$random.dfcor <- c(3, 3)
  }
  r <- suppressWarnings(do.call(plm, call))
  V <- switch(s$vcov, iid = vcov(r), HC1 = vcovHC(r, method = "white1", type = "HC1"),
    CRV1 = vcovHC(r, method = "arellano", type = "sss", cluster = "group")
  )
  for (j in seq_along(coef(r))) {
    put(s$id, names(coef(r))[j], "estimate", coef(r)[[j]])
    put(s$id, names(coef(r))[j], "std_error", sqrt(V[j, j]))
  }
  put(s$id, "", "r2", r.squared(r))
  put(s$id, "", "adj_r2", r.squared(r, dfcor = TRUE))
  put(s$id, "", "nobs", nobs(r))
  if (s$model == "random") {
    sigma2 <- ercomp(r)$sigma2
    names_ <- c(idios = "sigma_nu", id = "sigma_mu", time = "sigma_lambda")
    for (n in names(sigma2)) put(s$id, names_[[n]], "sigma", sqrt(sigma2[[n]]))
  }
}
close(out)
writeLines(as.character(packageVersion("plm")), file.path(folder, "done"))
