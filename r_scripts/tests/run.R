# Run the tests of the R files: Rscript tests/run.R. Leaves with 1 where one fails.

local({
  file <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  here <- dirname(normalizePath(file))
  home <- new.env(parent = parent.env(globalenv()))
  sys.source(file.path(dirname(here), "session.R"), envir = home)
  home$cc_start(dirname(here))
  for (name in c("expect_equal", "expect_identical", "expect_error", "expect_true", "expect_false", "test_that")) {
    assign(name, getExportedValue("testthat", name), envir = home)
  }
  results <- lapply(list.files(here, "^test-.*[.]R$", full.names = TRUE), function(f) {
    testthat::test_file(f, env = home, reporter = "silent")
  })
  results <- unlist(lapply(results, function(r) lapply(r, function(t) t$results)), recursive = FALSE)
  results <- unlist(results, recursive = FALSE)
  failed <- Filter(function(r) inherits(r, c("expectation_failure", "expectation_error")), results)
  for (f in failed) cat(f$test, ": ", conditionMessage(f), "\n", sep = "")
  cat(length(results), "expectations,", length(failed), "failed\n")
  quit(save = "no", status = if (length(failed) || !length(results)) 1L else 0L)
})
