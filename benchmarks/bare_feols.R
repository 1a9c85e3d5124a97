# Bare feols inside a worker, for the benchmark: CPU milliseconds of one fit, without anything of crosscheck around it.
# options.numbers: with the numbers that a parity check compares beside the table of coefficients (bounds, R2).
# options.vcovs: the covariances asked for, each by vcov() of the one model.

cc_bare <- function(request, frame) {
  d <- as.data.frame(frame$values)
  repeats <- request$options$repeats
  vcovs <- unlist(request$options$vcovs)
  formulas <- list(y ~ x0 + x1 + x2 | unit + time, y ~ x1 + x0 + x2 | unit + time)
  for (f in seq_along(formulas)) environment(formulas[[f]]) <- globalenv()
  before <- proc.time()
  for (i in seq_len(repeats)) {
    model <- fixest::feols(
      formulas[[i %% 2L + 1L]], d, vcov = "iid", fixef.rm = "none", fixef.tol = 1e-10, nthreads = 1, notes = FALSE
    )
    if (isTRUE(request$options$numbers)) {
      stats::confint(model)
      fixest::r2(model, c("r2", "ar2", "wr2"))
    }
    for (v in setdiff(vcovs, "iid")) summary(model, vcov = if (v == "CRV1") ~unit else "hetero")
  }
  spent <- proc.time() - before
  cost <- 1000 * (spent[["user.self"]] + spent[["sys.self"]]) / repeats
  list(version = "0", status = "ok", seconds = 0, extras = cc_rows(term = "", quantity = "milliseconds", value = cost))
}

cc_register("r.bare", cc_bare, "fixest")
