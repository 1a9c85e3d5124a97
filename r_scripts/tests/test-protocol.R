test_that("JSON is read as Python writes it", {
  expect_identical(cc_parse_json('{"a": [1, -2.5e3, "x"], "b": {}, "c": null, "d": true}'),
    list(a = list(1, -2500, "x"), b = structure(list(), names = character(0)), c = NULL, d = TRUE))
  expect_identical(names(cc_parse_json('{"a": null, "b": 1}')), c("a", "b"))
  expect_identical(cc_parse_json("[]"), list())
  expect_identical(cc_parse_json("[[], [1]]"), list(list(), list(1)))
  expect_identical(cc_parse_json('"plain"'), "plain")
})

test_that("texts keep every character", {
  expect_identical(cc_parse_json('"a\\"b\\\\c\\nd\\te\\/"'), "a\"b\\c\nd\te/")
  expect_identical(cc_parse_json('"\\u7701\\u4efd"'), "\u7701\u4efd")
  expect_identical(cc_parse_json('"\\ud83d\\ude00"'), "\U1F600")
  expect_identical(cc_parse_json('"brackets ] } , : { ["'), "brackets ] } , : { [")
  expect_identical(cc_parse_json(cc_quote("a\"b\\c\nd\te \u7701 `x`")), "a\"b\\c\nd\te \u7701 `x`")
})

test_that("malformed JSON is an error", {
  for (text in c("{", "[1", '{"a" 1}', '{"a": 1 "b": 2}', "[1] 2", "{1: 2}", "", "]")) expect_error(cc_parse_json(text))
})

test_that("numbers are written with 17 digits and come back", {
  set.seed(5)
  x <- c(rnorm(500) * 10^sample(-300:300, 500, TRUE), 0.1, 1 / 3, 5e-324, .Machine$double.xmax, 1e22, 123456789)
  expect_identical(as.double(sprintf("%.17g", x)) == x | abs(x) < 1e-307, rep(TRUE, length(x)) & cc_numbers(x) != "")
  expect_identical(cc_numbers(c(1, -0, 1e300, 0.5)), c("1.0", "-0.0", "1.0000000000000001e+300", "0.5"))
  expect_identical(cc_numbers(c(NA, NaN, Inf, -Inf)), c("null", '"NaN"', '"Infinity"', '"-Infinity"'))
  expect_identical(cc_numbers(c(1L, NA)), c("1", "null"))
  expect_identical(cc_numbers(c(TRUE, FALSE, NA)), c("true", "false", "null"))
})

test_that("lists, vectors, tables and matrices are written", {
  expect_identical(cc_json(list(a = 1L, b = "x", c = NULL)), '{"a": 1, "b": "x", "c": null}')
  expect_identical(cc_json(cc_vector("one")), '["one"]')
  expect_identical(cc_json(cc_vector(character(0))), "[]")
  expect_identical(cc_json(list()), "[]")
  expect_identical(cc_json(structure(list(), names = character(0))), "{}")
  expect_identical(cc_json(cc_rows(t = c("a", "b"), v = c(1, NA), gone = NULL)), '[{"t": "a", "v": 1.0}, {"t": "b", "v": null}]')
  expect_identical(cc_json(cc_rows(t = character(0))), "[]")
  expect_identical(cc_json(matrix(c(1L, 2L, 3L, 4L), 2L)), "[[1, 3], [2, 4]]")
  expect_identical(cc_json(matrix(0.5)), "[[0.5]]")
  expect_error(cc_json(1:2), "cc_vector")
})

test_that("lists of scalars and what is already written are written alike", {
  expect_identical(cc_json(list(a = 0.5, b = "x", c = NULL, d = matrix(2), e = NA_real_, f = NA_character_, g = TRUE)),
    '{"a": 0.5, "b": "x", "c": null, "d": [[2.0]], "e": null, "f": null, "g": true}')
  expect_identical(cc_json(list(cc_written(list(1L, "a")))), '[[1, "a"]]')
  expect_identical(cc_json(list(i = 3L, n = NA_integer_, m = NA)), '{"i": 3, "n": null, "m": null}')
})

test_that("an answer is packed into what stands where, doubles and texts", {
  packed <- cc_packed(list(a = NULL, b = list(1.5, "x"), c = cc_vector(c(TRUE, NA)), d = matrix(c(1, 2, 3, 4), 2L)))
  expect_identical(packed[[1L]], c(6L, 4L, 0L, 5L, 2L, 1L, -1L, 4L, -1L, 3L, 2L, 1L, NA, 7L, 2L, 2L))
  expect_identical(packed[[2L]], c(1.5, 1, 2, 3, 4))
  expect_identical(packed[[3L]], c("a", "b", "c", "d", "x"))
  packed <- cc_packed(cc_written(cc_rows(t = c("p", "q"), v = c(1, NA), gone = NULL)))
  expect_identical(packed, list(c(8L, 2L, 4L, 2L, 1L, 2L), c(1, NA), c("t", "v", "p", "q")))
  expect_identical(cc_packed(list()), list(c(5L, 0L), double(0), character(0)))
})
