# Which formula may be evaluated? The text was checked in Python already; here it is checked again, as R reads it.
#
# cc_formula() walks what str2lang() returns against a whitelist and rebuilds it with safe symbols (frame.R) in the place
# of columns, lags and arithmetic, so that nothing of a user's spelling is ever evaluated by a package. Arithmetic is
# evaluated here: fixest would rewrite x^2 (I(x^2) becomes I(I(x^2))) and refuse x^z. cc_display() puts the names back.

CC_FUNCTIONS <- c("i", "factor", "C", "log", "exp", "sqrt", "abs", "I", "poly", "lag", "l", "sunab")
CC_ARITHMETIC <- c("log", "exp", "sqrt", "abs", "I")

cc_refuse <- function(...) {
  stop(structure(class = c("cc_refused", "error", "condition"), list(message = paste0(...), call = NULL)))
}

cc_shown <- function(expression) substr(paste(deparse(expression), collapse = " "), 1L, 80L)

# Formula text and frame to a list: lhs, rhs (expressions with safe symbols), fe (list of character vectors of symbols),
# endogenous, instruments (expressions or NULL), used (symbols), calls (functions used).
cc_formula <- function(text, frame) {
  if (is.null(frame$formulas[[text]])) frame$formulas[[text]] <- cc_read_formula(text, frame)
  frame$formulas[[text]]
}

cc_read_formula <- function(text, frame) {
  parsed <- tryCatch(str2lang(text), error = function(e) cc_refuse("the formula cannot be read: ", conditionMessage(e)))
  walk <- cc_walker(frame)
  instruments <- NULL
  if (!cc_is_call(parsed, "~", 2L)) cc_refuse("a formula has one ~: ", cc_shown(parsed))
  inner <- parsed
  if (cc_is_call(parsed[[2L]], "~", 2L)) {
    instruments <- parsed[[3L]]
    inner <- parsed[[2L]]
  }
  parts <- cc_parts(inner[[3L]])
  endogenous <- NULL
  if (!is.null(instruments)) {
    if (length(parts) < 2L) cc_refuse("the instruments stand after a |")
    endogenous <- parts[[length(parts)]]
    parts <- parts[-length(parts)]
  }
  if (length(parts) > 2L) cc_refuse("a formula has at most three parts")
  list(
    lhs = walk$value(inner[[2L]]),
    rhs = walk$sum(parts[[1L]]),
    fe = if (length(parts) == 2L) walk$effects(parts[[2L]]) else list(),
    endogenous = if (!is.null(endogenous)) walk$sum(endogenous),
    instruments = if (!is.null(instruments)) walk$sum(instruments),
    used = walk$used(),
    calls = walk$calls()
  )
}

cc_is_call <- function(x, name, arguments) {
  is.call(x) && is.name(x[[1L]]) && identical(as.character(x[[1L]]), name) && length(x) %in% (1L + arguments)
}

cc_parts <- function(x) {
  if (cc_is_call(x, "|", 2L)) c(cc_parts(x[[2L]]), list(x[[3L]])) else list(x)
}

cc_walker <- function(frame) {
  symbols <- character(0)
  calls <- character(0)

  note_call <- function(name) calls <<- union(calls, name)

  number <- function(x) {
    if (!is.name(x)) cc_refuse("a column name is expected, not ", cc_shown(x))
    symbol <- cc_symbol(frame, as.character(x), "number")
    symbols <<- union(symbols, symbol)
    as.name(symbol)
  }
  category <- function(x) {
    if (!is.name(x)) cc_refuse("a column name is expected, not ", cc_shown(x))
    symbol <- cc_symbol(frame, as.character(x), "category")
    symbols <<- union(symbols, symbol)
    as.name(symbol)
  }
  literal <- function(x) {
    value <- if (cc_is_call(x, "-", 1L)) x[[2L]] else x
    if (is.numeric(value) && length(value) == 1L) return(if (identical(value, x)) value else -value)
    if (is.character(value) && identical(value, x)) return(value)
    cc_refuse("a number or a string is expected, not ", cc_shown(x))
  }
  plain_arguments <- function(x, low, high) {
    if (!is.null(names(x)) && any(nzchar(names(x)))) cc_refuse("no argument of ", cc_shown(x[[1L]]), "() has a name")
    if (length(x) - 1L < low || length(x) - 1L > high) cc_refuse("wrong number of arguments: ", cc_shown(x))
    as.list(x)[-1L]
  }
  whole <- function(x) {
    value <- literal(x)
    if (!is.numeric(value) || value != round(value)) cc_refuse("a whole number is expected, not ", cc_shown(x))
    value
  }
  lagged <- function(x) {
    arguments <- plain_arguments(x, 1L, 2L)
    note_call("lag")
    shift <- if (length(arguments) == 2L) whole(arguments[[2L]]) else 1
    symbol <- cc_lag_symbol(frame, as.character(number(arguments[[1L]])), shift)
    symbols <<- union(symbols, symbol)
    as.name(symbol)
  }

  arithmetic <- function(x) {
    if (is.name(x)) return(number(x))
    if (is.numeric(x) && length(x) == 1L) return(x)
    if (!is.call(x) || !is.name(x[[1L]])) cc_refuse("this is not arithmetic: ", cc_shown(x))
    head <- as.character(x[[1L]])
    if (head == "(") return(call("(", arithmetic(x[[2L]])))
    if (head %in% c("+", "-", "*", "/", "^")) {
      arguments <- plain_arguments(x, if (head == "-") 1L else 2L, 2L)
      return(as.call(c(as.name(head), lapply(arguments, arithmetic))))
    }
    if (head %in% c("lag", "l")) return(lagged(x))
    if (!head %in% CC_ARITHMETIC) cc_refuse(head, "() is not allowed in arithmetic: ", cc_shown(x))
    note_call(head)
    as.call(c(as.name(head), lapply(plain_arguments(x, 1L, 1L), arithmetic)))
  }

  # A number of its own: a column, a lag, or arithmetic, which gets a symbol of its own.
  value <- function(x) {
    if (is.name(x)) return(number(x))
    if (is.call(x) && is.name(x[[1L]]) && as.character(x[[1L]]) %in% c("lag", "l")) return(lagged(x))
    before <- symbols
    expression_ <- arithmetic(x)
    if (!length(all.vars(expression_))) cc_refuse("a term without a column: ", cc_shown(x))
    symbol <- cc_expression_symbol(frame, expression_)
    symbols <<- union(before, symbol)
    as.name(symbol)
  }

  levels_call <- function(x) {
    arguments <- as.list(x)[-1L]
    given <- if (is.null(names(arguments))) rep("", length(arguments)) else names(arguments)
    if (any(!given %in% c("", "ref"))) cc_refuse("i() takes no option but ref: ", cc_shown(x))
    plain <- arguments[given == ""]
    if (!length(plain) || length(plain) > 2L) cc_refuse("i() takes one or two columns: ", cc_shown(x))
    out <- list(as.name("i"), category(plain[[1L]]))
    if (length(plain) == 2L) out <- c(out, number(plain[[2L]]))
    if (any(given == "ref")) {
      out$ref <- cc_reference_level(frame, as.character(plain[[1L]]), literal(arguments[given == "ref"][[1L]]))
    }
    as.call(out)
  }

  item <- function(x) {
    if (is.name(x)) return(number(x))
    if (!is.call(x) || !is.name(x[[1L]])) cc_refuse("this is not a regressor: ", cc_shown(x))
    head <- as.character(x[[1L]])
    if (head == "(") return(call("(", item(x[[2L]])))
    if (head %in% c(":", "*")) {
      arguments <- plain_arguments(x, 2L, 2L)
      return(as.call(c(as.name(head), lapply(arguments, item))))
    }
    if (head == "+") return(total(x))
    if (!head %in% CC_FUNCTIONS) cc_refuse(head, "() is not allowed in a formula: ", cc_shown(x))
    note_call(if (head %in% c("C", "factor")) "factor" else if (head == "l") "lag" else head)
    switch(head,
      i = levels_call(x),
      factor = , C = call("factor", category(plain_arguments(x, 1L, 1L)[[1L]])),
      poly = {
        arguments <- plain_arguments(x, 2L, 2L)
        call("poly", number(arguments[[1L]]), whole(arguments[[2L]]))
      },
      sunab = as.call(c(as.name("sunab"), lapply(plain_arguments(x, 2L, 2L), number))),
      value(x)
    )
  }

  total <- function(x) {
    if (is.numeric(x) && length(x) == 1L && x %in% c(0, 1)) return(x)
    if (cc_is_call(x, "+", 2L) || cc_is_call(x, "-", 2L)) return(call(as.character(x[[1L]]), total(x[[2L]]), total(x[[3L]])))
    if (cc_is_call(x, "-", 1L)) return(call("-", total(x[[2L]])))
    item(x)
  }

  effects <- function(x) {
    if (cc_is_call(x, "+", 2L)) return(c(effects(x[[2L]]), effects(x[[3L]])))
    list(combined(x))
  }
  combined <- function(x) {
    if (cc_is_call(x, "^", 2L)) return(c(combined(x[[2L]]), combined(x[[3L]])))
    as.character(category(x))
  }

  list(
    value = value, sum = total, effects = effects,
    used = function() symbols, calls = function() calls
  )
}

# The value that i()'s ref means in a column: the label of a category, else a number.
cc_reference_level <- function(frame, name, value) {
  labelled <- frame$kinds[[name]] %in% c("category", "boolean", "date")
  if (labelled) return(as.character(value))
  if (is.numeric(value)) return(value)
  number <- suppressWarnings(as.numeric(value))
  if (is.na(number)) cc_refuse("ref = \"", value, "\" is no value of the numeric column ", name)
  number
}
