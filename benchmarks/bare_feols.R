# CPU of bare feols on the panel in a CSV file: bare_feols.R FILE REPEATS. Prints milliseconds for one fit, iid and clustered.

arguments <- commandArgs(trailingOnly = TRUE)
suppressPackageStartupMessages(library(fixest))
setFixest_nthreads(1L)
setFixest_notes(FALSE)
d <- read.csv(arguments[[1L]])
repeats <- as.integer(arguments[[2L]])

cost <- function(fit) {
  for (i in 1:10) fit()
  before <- proc.time()
  for (i in seq_len(repeats)) fit()
  spent <- proc.time() - before
  1000 * (spent[["user.self"]] + spent[["sys.self"]]) / repeats
}

one <- function(vcov) {
  function() {
    feols(y ~ x0 + x1 + x2 | unit + time, d, vcov = vcov, fixef.rm = "none", fixef.tol = 1e-10, nthreads = 1, notes = FALSE)
  }
}
cat(cost(one("iid")), cost(one(~unit)), "\n")
