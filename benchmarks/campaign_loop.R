# A plain loop in R over the fits of a batch, for the benchmark: CPU milliseconds of one fit, without anything of crosscheck.
# The samples are those that the worker holds; the numbers asked of fixest are those that a comparison needs.
# options.unchecked: without fixest's checks of arguments, which r.fixest leaves out where it makes the arguments itself.
# options.models: how many of the two models.

cc_loop <- function(request, frame) {
  keys <- ls(cc_state$frames)
  samples <- lapply(keys, function(key) as.data.frame(get(key, envir = cc_state$frames)$values))
  first <- y ~ treated + x1 | unit + time
  second <- y ~ treated | unit + time
  environment(first) <- environment(second) <- globalenv()
  ssc_ <- fixest::ssc()
  fit <- function(formula_, d, vcov_) {
    model <- fixest::feols(
      formula_, d, vcov = vcov_, ssc = ssc_, fixef.rm = "none", fixef.tol = 1e-10, fixef.iter = 20000L,
      collin.tol = 1e-9, nthreads = 1L, notes = FALSE
    )
    list(model$coeftable, stats::confint(model), fixest::r2(model, c("r2", "ar2", "wr2")))
  }
  if (isTRUE(request$options$unchecked)) {
    checked <- options(dreamerr_check = FALSE)
    on.exit(options(checked))
  }
  both <- request$options$models == 2
  before <- proc.time()
  for (d in samples) {
    fit(first, d, ~unit)
    if (both) fit(second, d, "hetero")
  }
  spent <- proc.time() - before
  cost <- 1000 * (spent[["user.self"]] + spent[["sys.self"]]) / ((1 + both) * length(samples))
  list(version = "0", status = "ok", seconds = 0, extras = cc_rows(term = "", quantity = "milliseconds", value = cost))
}

cc_register("r.loop", cc_loop, "fixest")
