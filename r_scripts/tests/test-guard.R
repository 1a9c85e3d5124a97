sample_frame <- function() {
  cc_frame("key", 4, list(
    list(name = "y", kind = "float", values = c(1, 2, 4, 8)),
    list(name = "my var", kind = "integer", values = c(1L, 2L, 3L, 5L)),
    list(name = "g", kind = "category", values = c(0L, 1L, 0L, -1L), levels = c("A", "a")),
    list(name = "b", kind = "boolean", values = c(1L, 0L, NA, 1L)),
    list(name = "d", kind = "date", values = c(0L, 31L, 0L, 59L))
  ))
}

test_that("names become safe symbols and come back", {
  f <- sample_frame()
  parts <- cc_formula("`y` ~ `my var` + i(`g`, `my var`, ref = \"a\") + I(`my var`^2) | `g` + `g`^`b`", f)
  expect_identical(parts$lhs, quote(ccn1z))
  expect_identical(parts$rhs, quote(ccn2z + i(ccf3z, ccn2z, ref = "a") + cce1z))
  expect_identical(parts$fe, list("ccf3z", c("ccf3z", "ccf4z")))
  expect_identical(cc_display(f, c("ccn2z", "ccf3z::A:ccn2z", "cce1z", "(Intercept)")),
    c("my var", "g::A:my var", "I(my var^2)", "(Intercept)"))
})

test_that("instruments stand in their own part", {
  parts <- cc_formula("`y` ~ 1 | `g` | `my var` ~ `b`", sample_frame())
  expect_identical(parts$endogenous, quote(ccn2z))
  expect_identical(parts$instruments, quote(ccn4z))
  expect_identical(parts$rhs, 1)
})

test_that("whatever is not in the language is refused", {
  f <- sample_frame()
  refused <- c(
    "y ~ system('x')", "y ~ base::log(y)", "y ~ `my var`$y", "y ~ y[1]", "y ~ function(x) x", "y ~ { y }", "y ~ y <- 1",
    "y ~ nothing", "y ~ i(y, q = 1)", "y ~ poly(y, y)", "y ~ lag(y, b)", "y ~ y^2 | g | b", "y ~ log(y, 2)", "y ~ g",
    "y ~ y | log(g)", "y", "~ y", "y ~ T", "y ~ 2", "y ~ -", "y ~ c(y, b)", "y ~ l(y, 0.5)", "y ~ I()", "y ~ (y", "y ~ I(2)",
    "y ~ y ~ b", "y ~ i(y, y, y)", "y ~ 'a'", "y ~ y %in% b", "y ~ y && b", "y ~ !y", "y ~ ?y", "y ~ if (b) y"
  )
  for (text in refused) expect_error(cc_read_formula(text, f), class = "cc_refused")
})

test_that("a stem of symbols never occurs in the data", {
  expect_identical(cc_prefix(c("x", "y")), "cc")
  expect_identical(cc_prefix(c("ccn1z", "y")), "ccq")
  expect_identical(cc_prefix(c("ccn1z", "a ccqf2z b")), "ccqq")
})

test_that("columns keep their values in every role", {
  f <- sample_frame()
  expect_identical(cc_values(f, "ccn2z", list()), c(1, 2, 3, 5))
  expect_identical(as.character(cc_values(f, "ccf3z", list())), c("A", "a", "A", NA))
  expect_identical(levels(cc_values(f, "ccf4z", list())), c("FALSE", "TRUE"))
  expect_identical(levels(cc_values(f, "ccf5z", list())), c("1970-01-01", "1970-02-01", "1970-03-01"))
  expect_error(cc_symbol(f, "g", "number"), class = "cc_refused")
  expect_error(cc_symbol(f, "h", "number"), class = "cc_refused")
})

test_that("damaged frames are refused", {
  column <- function(...) utils::modifyList(list(name = "x", kind = "float", values = c(1, 2)), list(...))
  expect_error(cc_frame("k", 3, list(column())), class = "cc_refused")
  expect_error(cc_frame("k", 2, list(column(), column())), class = "cc_refused")
  expect_error(cc_frame("k", 2, list(column(kind = "text"))), class = "cc_refused")
  expect_error(cc_frame("k", 2, list(column(kind = "category", values = c(0L, 2L), levels = c("a", "b")))), class = "cc_refused")
  expect_error(cc_frame("k", 2, list(column(kind = "category", values = c(0L, 1L), levels = c("a", "a")))), class = "cc_refused")
})

test_that("a lag is the value of the period before, whatever the order of rows", {
  f <- cc_frame("key", 5, list(
    list(name = "x", kind = "float", values = c(10, 20, 30, 40, 50)),
    list(name = "u", kind = "category", values = c(0L, 1L, 0L, 0L, 1L), levels = c("a", "b")),
    list(name = "t", kind = "integer", values = c(3L, 1L, 1L, 2L, 3L))
  ))
  request <- list(unit = "u", time = "t")
  expect_identical(cc_values(f, cc_lag_symbol(f, "ccn1z", 1), request), c(40, NA, NA, 30, NA))
  expect_identical(cc_values(f, cc_lag_symbol(f, "ccn1z", -2), request), c(NA, 50, 10, NA, NA))
  expect_identical(cc_display(f, "ccl2z"), "lag(x, -2)")
  expect_error(cc_values(f, "ccl1z", list(unit = "u")), class = "cc_refused")
})

test_that("weights are checked", {
  expect_identical(cc_checked_weights(c(1, 0, 2, NA)), c(1, NA, 2, NA))
  for (w in list(c(1, -1), c(1, Inf), c(NA_real_, NA), c(0, 0))) expect_error(cc_checked_weights(w), class = "cc_refused")
})

test_that("a sealed place holds the whitelist and nothing else", {
  place <- cc_sealed()
  expect_error(eval(quote(system("x")), place))
  expect_error(eval(quote(get("x")), place))
  expect_identical(eval(quote(log(exp(2)) + 1), place), 3)
})
