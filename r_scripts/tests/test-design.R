test_that("K is counted by the rule of fixest", {
  ask <- function(k_fixef) list(ssc = list(k_fixef = k_fixef))
  unit <- rep(1:6, each = 4)
  time <- rep(1:4, 6)
  state <- (unit + 1) %/% 2
  effects <- list(unit, time)
  names_ <- list("unit", "time")
  k <- function(rule, clusters = list()) cc_request_k(ask(rule), 3L, effects, names_, clusters)
  expect_equal(k("none"), 3)
  expect_equal(k("full"), 3 + 6 + 4 - 1)
  expect_equal(k("nonnested"), 12)
  expect_equal(k("nonnested", list(unit = unit)), 3 + 4)
  expect_equal(k("nonnested", list(state = state)), 3 + 4)
  expect_equal(k("nonnested", list(unit = unit, time = time)), 3 + 1)
  expect_equal(cc_request_k(ask("nonnested"), 3L, list(), list(), list(unit = unit)), 3)
})

test_that("an effect is looked at only where a cluster is no effect itself", {
  unit <- rep(1:6, each = 4)
  state <- (unit + 1) %/% 2
  ask <- list(ssc = list(k_fixef = "nonnested"))
  expect_equal(cc_request_k(ask, 1L, list(unit, state), list("unit", "state"), list(state = state)), 1 + 6)
})

test_that("indicators are those of fixest's i()", {
  expect_identical(cc_indicator(c("b", "a", "b"), ref = "a"), matrix(c(1, 0, 1), 3L, 1L, dimnames = list(NULL, "b")))
  expect_identical(cc_indicator(c(2, 1), x = c(5, 7))[, "2"], c(5, 0))
  expect_error(cc_indicator(c("a", "b"), ref = "c"), class = "cc_refused")
})

test_that("i() of one column and of several have fixest's names", {
  place <- cc_sealed(i = cc_indicator)
  named <- function(d, term) unname(cc_indicator_names(list(term), d, place)[colnames(stats::model.matrix(
    eval(call("~", term), place), d
  ))[-1L]])
  expect_identical(named(data.frame(t = 1:2), quote(i(t, ref = 1))), "t::2")
  expect_identical(named(data.frame(t = 1:2, x = 3:4), quote(i(t, x, ref = 1))), "t::2:x")
  expect_identical(named(data.frame(t = 1:3), quote(i(t, ref = 1))), c("t::2", "t::3"))
})

test_that("beside effects the intercept goes and the rest stays", {
  expect_identical(cc_without_intercept(quote(x + z)), quote(x + z))
  expect_identical(cc_without_intercept(quote(x - 1)), quote(x))
  expect_identical(cc_without_intercept(quote(1 + x)), quote(x))
  expect_identical(cc_without_intercept(1), NULL)
})
