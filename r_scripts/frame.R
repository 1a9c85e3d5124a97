# What is a sample in R, and which of its columns does an estimator get?
#
# A frame is an environment with names, kinds and columns as they arrived. An estimator gets a data.frame of the safe
# symbols that its formula uses (guard.R): ccn<i>z, the column as a number; ccf<i>z, the column as a category;
# ccl<i>z, a lag; cce<i>z, arithmetic on these. Only these symbols are ever seen by model code, whatever the columns are
# called.

CC_TABLES_KEPT <- 20L
CC_KINDS <- c("float", "integer", "boolean", "category", "date")

# columns: list of list(name, kind, values, levels). Copies nothing that R would not copy anyway.
cc_frame <- function(key, rows, columns) {
  names_ <- vapply(columns, function(c) c$name, "")
  kinds <- vapply(columns, function(c) c$kind, "")
  if (anyDuplicated(names_)) cc_refuse("two columns have the same name: ", names_[duplicated(names_)][[1L]])
  if (!all(kinds %in% CC_KINDS)) cc_refuse("a column is of unknown kind ", setdiff(kinds, CC_KINDS)[[1L]])
  frame <- new.env(parent = emptyenv())
  frame$key <- key
  frame$rows <- rows
  frame$names <- names_
  frame$kinds <- stats::setNames(kinds, names_)
  frame$values <- stats::setNames(lapply(columns, cc_column, rows = rows), names_)
  frame$prefix <- cc_prefix(c(names_, unlist(lapply(columns, function(c) c$levels), use.names = FALSE)))
  frame$lags <- list()
  frame$expressions <- list()
  frame$formulas <- list()
  frame$data <- list()
  frame$shown <- new.env(parent = emptyenv())
  frame$cache <- new.env(parent = emptyenv())
  frame
}

# Values as R holds them: doubles, integers, or a factor. A value of an integer column that R's integer type reserves for
# missing becomes a double.
cc_column <- function(column, rows) {
  values <- column$values
  if (length(values) != rows) cc_refuse("column ", column$name, " arrived with ", length(values), " rows instead of ", rows)
  if (column$kind == "category") {
    codes <- values + 1L
    codes[codes < 1L] <- NA_integer_
    levels_ <- as.character(unlist(column$levels, use.names = FALSE))
    if (anyDuplicated(levels_)) cc_refuse("column ", column$name, " has a level twice")
    if (any(codes > length(levels_), na.rm = TRUE)) cc_refuse("column ", column$name, " has a code without a level")
    return(structure(codes, levels = levels_, class = "factor"))
  }
  if (column$kind == "integer" && is.integer(values) && anyNA(values)) {
    values <- as.double(values)
    values[is.na(values)] <- -2147483648
  }
  values
}

# A stem for safe symbols that occurs in no name and no level, so that putting names back cannot touch anything else.
cc_prefix <- function(texts) {
  stem <- "cc"
  while (any(grepl(paste0(stem, "[nfle][0-9]+z"), texts))) stem <- paste0(stem, "q")
  stem
}

cc_symbol <- function(frame, name, role) {
  position <- match(name, frame$names)
  if (is.na(position)) cc_refuse("there is no column ", name)
  if (role == "number" && frame$kinds[[position]] == "category") {
    cc_refuse("column ", name, " is a category and is used as a number: write i(", name, ")")
  }
  paste0(frame$prefix, if (role == "number") "n" else "f", position, "z")
}

# The symbol of lag(x, k): the value of x where the unit is the same and the time is k less.
cc_lag_symbol <- function(frame, symbol, shift) {
  known <- vapply(frame$lags, function(l) l$of == symbol && l$shift == shift, NA)
  number <- match(TRUE, known, nomatch = length(frame$lags) + 1L)
  if (number > length(frame$lags)) frame$lags[[number]] <- list(of = symbol, shift = shift)
  paste0(frame$prefix, "l", number, "z")
}

# The symbol of an expression in other symbols.
cc_expression_symbol <- function(frame, expression_) {
  known <- vapply(frame$expressions, identical, NA, expression_)
  number <- match(TRUE, known, nomatch = length(frame$expressions) + 1L)
  if (number > length(frame$expressions)) frame$expressions[[number]] <- expression_
  paste0(frame$prefix, "e", number, "z")
}

cc_role <- function(frame, symbol) substr(symbol, nchar(frame$prefix) + 1L, nchar(frame$prefix) + 1L)

cc_number <- function(symbol) as.integer(gsub("^.*[nfle]|z$", "", symbol))

cc_symbol_name <- function(frame, symbol) {
  number <- cc_number(symbol)
  role <- cc_role(frame, symbol)
  if (role == "e") {
    return(cc_display(frame, paste(deparse(frame$expressions[[number]], width.cutoff = 500L), collapse = " ")))
  }
  if (role != "l") return(frame$names[[number]])
  lag_ <- frame$lags[[number]]
  paste0("lag(", cc_symbol_name(frame, lag_$of), ", ", format(lag_$shift, scientific = FALSE), ")")
}

# Names of coefficients with the columns' own names in the place of safe symbols.
cc_display <- function(frame, texts) {
  if (!length(texts)) return(character(0))
  key <- paste0(texts, collapse = "\r")
  if (is.null(frame$shown[[key]])) frame$shown[[key]] <- cc_put_names_back(frame, texts)
  frame$shown[[key]]
}

cc_put_names_back <- function(frame, texts) {
  if (all(grepl(paste0("^", frame$prefix, "[nf][0-9]+z$"), texts))) return(frame$names[cc_number(texts)])
  hits <- gregexpr(paste0(frame$prefix, "[nfle][0-9]+z"), texts)
  found <- unique(unlist(regmatches(texts, hits)))
  if (!length(found)) return(texts)
  named <- stats::setNames(vapply(found, function(s) cc_symbol_name(frame, s), ""), found)
  regmatches(texts, hits) <- lapply(regmatches(texts, hits), function(s) unname(named[s]))
  texts
}

cc_values <- function(frame, symbol, request) {
  number <- cc_number(symbol)
  role <- cc_role(frame, symbol)
  if (role == "l") return(cc_lagged(frame, frame$lags[[number]], request))
  if (role == "e") return(cc_evaluated(frame, frame$expressions[[number]], request))
  if (!is.null(frame$cache[[symbol]])) return(frame$cache[[symbol]])
  values <- frame$values[[number]]
  kind <- frame$kinds[[number]]
  if (role == "n") {
    values <- as.double(values)
  } else if (kind == "boolean") {
    values <- droplevels(factor(values, levels = 0:1, labels = c("FALSE", "TRUE")))
  } else if (kind == "date") {
    days <- sort(unique(values))
    values <- factor(values, levels = days, labels = format(as.Date(days, origin = "1970-01-01")))
  } else if (is.double(values)) {
    values[is.nan(values)] <- NA_real_
  }
  frame$cache[[symbol]] <- values
  values
}

cc_evaluated <- function(frame, expression_, request) {
  inside <- all.vars(expression_)
  data <- stats::setNames(lapply(inside, function(s) cc_values(frame, s, request)), inside)
  as.double(eval(expression_, data, cc_sealed()))
}

cc_lagged <- function(frame, lag_, request) {
  if (is.null(request$unit) || is.null(request$time)) cc_refuse("lag() needs the study's unit and time")
  unit <- cc_values(frame, cc_symbol(frame, request$unit, "category"), request)
  time <- cc_values(frame, cc_symbol(frame, request$time, "number"), request)
  place <- paste(as.integer(factor(unit)), sprintf("%.17g", time))
  if (anyDuplicated(place[!is.na(unit) & !is.na(time)])) cc_refuse("lag() needs one row for each unit and time")
  source_ <- paste(as.integer(factor(unit)), sprintf("%.17g", time - lag_$shift))
  values <- cc_values(frame, lag_$of, request)[match(source_, place)]
  values[is.na(unit) | is.na(time)] <- NA_real_
  values
}

# The data.frame of an estimator: the symbols used, without the rows where one of `complete` is missing.
cc_data <- function(frame, symbols, request, complete = character(0)) {
  symbols <- unique(c(symbols, complete))
  lasting <- !length(complete) && all(cc_role(frame, symbols) %in% c("n", "f"))
  key <- paste(sort(symbols), collapse = " ")
  if (lasting && !is.null(frame$data[[key]])) return(frame$data[[key]])
  data <- stats::setNames(lapply(symbols, function(s) cc_values(frame, s, request)), symbols)
  attr(data, "row.names") <- .set_row_names(frame$rows)
  class(data) <- "data.frame"
  if (length(complete)) {
    keep <- stats::complete.cases(data[complete])
    if (!all(keep)) data <- data[keep, , drop = FALSE]
  }
  if (lasting) { # the columns are shared, so that a few more tables of them cost little
    if (length(frame$data) >= CC_TABLES_KEPT) frame$data <- list()
    frame$data[[key]] <- data
  }
  data
}

# Rows with an infinite value are left out by fixest and refused by lm and plm: they get a missing value there.
cc_finite <- function(data) {
  data[] <- lapply(data, function(x) if (is.double(x)) replace(x, !is.finite(x), NA_real_) else x)
  data
}

# Weights as a checked vector: fixest recycles a wrong length and crashes on an empty one. A row of weight 0 is not in the
# sample, which a missing weight says to every package alike; in group-time effects a unit has the weight of its base
# period, and a zero in another period says nothing (`keep_zeros`).
cc_checked_weights <- function(values, keep_zeros = FALSE) {
  bad <- which(!is.na(values) & (!is.finite(values) | values < 0))
  if (length(bad)) {
    cc_refuse("weights are finite and not negative: row ", bad[[1L]], " has ", format(values[[bad[[1L]]]]))
  }
  if (!any(values > 0, na.rm = TRUE)) cc_refuse("no row has a weight")
  if (!keep_zeros) values[!is.na(values) & values == 0] <- NA_real_
  values
}

# Where a formula is evaluated: nothing but the whitelisted functions is there.
cc_sealed <- function(...) {
  place <- new.env(parent = emptyenv())
  base_ <- baseenv()
  for (name in c("+", "-", "*", "/", "^", ":", "(", "~", "|", "log", "exp", "sqrt", "abs", "I", "list", "c", "factor")) {
    assign(name, get(name, envir = base_), envir = place)
  }
  assign("poly", stats::poly, envir = place)
  more <- list(...)
  for (name in names(more)) assign(name, more[[name]], envir = place)
  place
}
