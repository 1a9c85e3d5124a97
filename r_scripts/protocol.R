# How do messages, numbers and texts cross the pipe? (docs/protocol.md)
# JSON is read and written here, in base R, so that a bare R suffices; numbers go out with 17 significant digits.

CC_TOKEN <- paste0(
  '"[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"', "|-?[0-9]+(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|[][{}:,]"
)
CC_ESCAPES <- c('"' = '"', "\\" = "\\", "/" = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t")

# One JSON text to nested lists. Objects are named lists, arrays unnamed lists, null is NULL (kept as a list element).
# Tokens are cut, unquoted and converted all at once; only the structure is walked.
cc_parse_json <- function(text) {
  tokens <- regmatches(text, gregexpr(CC_TOKEN, text, perl = TRUE))[[1L]]
  first <- substr(tokens, 1L, 1L)
  is_text <- first == "\""
  texts <- substr(tokens, 2L, nchar(tokens) - 1L)
  escaped <- is_text & grepl("\\", tokens, fixed = TRUE)
  texts[escaped] <- vapply(texts[escaped], cc_unescape, "", USE.NAMES = FALSE)
  is_number <- first %in% c("-", 0:9)
  numbers <- numeric(length(tokens))
  numbers[is_number] <- as.numeric(tokens[is_number])
  at <- 0L
  value <- function() {
    at <<- at + 1L
    if (is_text[[at]]) return(texts[[at]])
    if (is_number[[at]]) return(numbers[[at]])
    switch(first[[at]], "{" = object(), "[" = array_(), t = TRUE, f = FALSE, n = NULL, stop("JSON: unexpected ", tokens[[at]]))
  }
  object <- function() {
    keys <- character(0)
    values <- list()
    if (first[[at + 1L]] == "}") {
      at <<- at + 1L
      return(structure(list(), names = character(0)))
    }
    repeat {
      if (!is_text[[at + 1L]] || first[[at + 2L]] != ":") stop("JSON: a key and a colon are expected")
      n <- length(keys) + 1L
      keys[[n]] <- texts[[at + 1L]]
      at <<- at + 2L
      values[n] <- list(value())
      at <<- at + 1L
      if (first[[at]] == "}") break
      if (first[[at]] != ",") stop("JSON: a comma is missing")
    }
    names(values) <- keys
    values
  }
  array_ <- function() {
    values <- list()
    if (first[[at + 1L]] == "]") {
      at <<- at + 1L
      return(values)
    }
    repeat {
      values[length(values) + 1L] <- list(value())
      at <<- at + 1L
      if (first[[at]] == "]") break
      if (first[[at]] != ",") stop("JSON: a comma is missing")
    }
    values
  }
  result <- value()
  if (at != length(tokens)) stop("JSON: text goes on after its end")
  result
}

cc_unescape <- function(inner) {
  parts <- regmatches(inner, gregexpr("\\\\u[0-9a-fA-F]{4}|\\\\.|[^\\\\]+", inner, perl = TRUE))[[1L]]
  out <- character(length(parts))
  high <- NULL
  for (i in seq_along(parts)) {
    part <- parts[[i]]
    if (startsWith(part, "\\u")) {
      code <- strtoi(substr(part, 3L, 6L), 16L)
      if (code >= 0xD800L && code < 0xDC00L) {
        high <- code
      } else if (!is.null(high)) {
        out[[i]] <- intToUtf8(0x10000L + (high - 0xD800L) * 0x400L + (code - 0xDC00L))
        high <- NULL
      } else {
        out[[i]] <- intToUtf8(code)
      }
    } else if (startsWith(part, "\\")) {
      out[[i]] <- CC_ESCAPES[[substr(part, 2L, 2L)]]
    } else {
      out[[i]] <- part
    }
  }
  paste0(out, collapse = "")
}

# Texts as JSON strings.
cc_quote <- function(x) {
  if (!any(grepl("[^A-Za-z0-9 .,:;()*^+/_-]", x))) return(paste0("\"", x, "\""))
  x <- enc2utf8(x)
  bad <- !validUTF8(x)
  if (any(bad)) x[bad] <- iconv(x[bad], "UTF-8", "UTF-8", sub = "byte")
  x <- gsub("\\", "\\\\", x, fixed = TRUE)
  x <- gsub('"', '\\"', x, fixed = TRUE)
  if (any(grepl("[[:cntrl:]]", x))) {
    x <- gsub("\n", "\\n", gsub("\t", "\\t", gsub("\r", "\\r", x, fixed = TRUE), fixed = TRUE), fixed = TRUE)
    x <- gsub("[\x01-\x1f\x7f]", " ", x, perl = TRUE)
  }
  paste0('"', x, '"')
}

# Numbers as JSON: 17 significant digits; NA is null; NaN and infinities are words.
cc_numbers <- function(x) {
  if (!is.double(x)) {
    out <- if (is.integer(x)) sprintf("%d", x) else c("false", "true")[x + 1L]
    if (anyNA(x)) out[is.na(x)] <- "null"
    return(out)
  }
  out <- sprintf("%.17g", x)
  # %.17g writes a whole number below 1e17 without a point and without an exponent.
  whole <- which(abs(x) < 1e17 & x == trunc(x))
  if (length(whole)) out[whole] <- paste0(out[whole], ".0")
  if (!all(is.finite(x))) {
    out[is.nan(x)] <- '"NaN"'
    out[is.na(x) & !is.nan(x)] <- "null"
    out[is.infinite(x)] <- c('"-Infinity"', '"Infinity"')[(x[is.infinite(x)] > 0) + 1L]
  }
  out
}

cc_scalars <- function(x) {
  if (!length(x)) return(character(0))
  if (!is.character(x)) return(cc_numbers(x))
  out <- cc_quote(x)
  if (anyNA(x)) out[is.na(x)] <- "null"
  out
}

# An array even where it has one element; a table (list of equally long columns) that is written as an array of objects.
cc_vector <- function(x) structure(list(unname(x)), class = "cc_vector")
cc_rows <- function(...) structure(list(...), class = "cc_rows")

# What is already written, beside what it was written from (for a bridge that reads R objects itself).
cc_written <- function(x) structure(list(value = x, json = cc_json(x)), class = "cc_written")

cc_json <- function(x) {
  if (is.null(x)) return("null")
  if (inherits(x, "cc_written")) return(.subset2(x, "json"))
  if (inherits(x, "cc_vector")) return(cc_json_array(cc_scalars(.subset2(x, 1L))))
  if (inherits(x, "cc_rows")) return(cc_json_rows(unclass(x)))
  if (is.list(x)) {
    if (!length(x)) return(if (is.null(names(x))) "[]" else "{}")
    inner <- character(length(x))
    # Plain numbers and plain texts are written together, the rest one by one.
    types <- vapply(x, typeof, "", USE.NAMES = FALSE)
    plain <- lengths(x, use.names = FALSE) == 1L & types != "list"
    for (type in c("double", "character", "integer", "logical")) {
      of_type <- which(plain & types == type)
      if (length(of_type)) inner[of_type] <- cc_scalars(unlist(x[of_type], use.names = FALSE))
    }
    # A matrix of one number stays a matrix.
    rest <- !plain | vapply(x, is.matrix, NA, USE.NAMES = FALSE)
    if (any(rest)) inner[rest] <- vapply(x[rest], cc_json, "", USE.NAMES = FALSE)
    if (is.null(names(x))) return(cc_json_array(inner))
    return(paste0("{", paste0(cc_quote(names(x)), ": ", inner, collapse = ", "), "}"))
  }
  if (is.matrix(x)) {
    if (!nrow(x)) return("[]")
    cells <- matrix(cc_numbers(x), nrow(x))
    return(paste0("[[", paste0(apply(cells, 1L, paste0, collapse = ", "), collapse = "], ["), "]]"))
  }
  if (!length(x)) return("[]")
  if (length(x) != 1L) stop("a vector of length ", length(x), " is written with cc_vector()")
  cc_scalars(unname(x))
}

cc_json_array <- function(inner) paste0("[", paste0(inner, collapse = ", "), "]")

cc_json_rows <- function(x) {
  x <- x[!vapply(x, is.null, NA)]
  n <- if (length(x)) length(x[[1L]]) else 0L
  if (!n) return("[]")
  cells <- x
  numbers <- vapply(x, is.double, NA)
  if (any(numbers)) {
    written <- cc_numbers(unlist(x[numbers], use.names = FALSE))
    cells[numbers] <- split(written, rep(seq_len(sum(numbers)), each = n))
  }
  cells[!numbers] <- lapply(x[!numbers], cc_scalars)
  for (name in names(x)) cells[[name]] <- paste0('"', name, '": ', cells[[name]])
  paste0("[{", paste0(do.call(paste, c(unname(cells), sep = ", ")), collapse = "}, {"), "}]")
}

# The same for a bridge that reads R objects itself: all doubles in one vector, all texts in another, and in `shape` what
# stands where, as it is walked: a code of CC_SHAPE and its sizes (crosscheck/bridge/rconvert.py reads it).
#   null; double n, integer n, logical n, text n (n = -1: a scalar; values of integers and logicals follow in `shape`);
#   list n; object n (its names are the next texts); matrix rows columns (of doubles, by columns);
#   rows n (names are the next texts, then n columns)
CC_SHAPE <- c(null = 0L, double = 1L, integer = 2L, logical = 3L, text = 4L, list = 5L, object = 6L, matrix = 7L, rows = 8L)

cc_packed <- function(x) {
  shape <- numbers <- texts <- list()
  say <- function(...) shape[[length(shape) + 1L]] <<- c(...)
  add_texts <- function(value) texts[[length(texts) + 1L]] <<- value
  vector_ <- function(value, scalar) {
    n <- if (scalar) -1L else length(value)
    if (is.double(value)) {
      numbers[[length(numbers) + 1L]] <<- value
      say(1L, n)
    } else if (is.character(value)) {
      add_texts(enc2utf8(value))
      say(4L, n)
    } else {
      say(if (is.integer(value)) 2L else 3L, n, as.integer(value))
    }
  }
  walk <- function(value) {
    if (is.null(value)) return(say(0L))
    if (inherits(value, c("cc_written", "cc_vector", "cc_rows"))) {
      if (inherits(value, "cc_written")) return(walk(.subset2(value, "value")))
      if (inherits(value, "cc_vector")) return(vector_(unname(.subset2(value, 1L)), FALSE))
      columns <- unclass(value)
      columns <- columns[!vapply(columns, is.null, NA)]
      add_texts(names(columns))
      say(8L, length(columns))
      for (column in columns) vector_(column, FALSE)
    } else if (is.list(value)) {
      labels <- names(value)
      if (!is.null(labels)) add_texts(labels)
      say(if (is.null(labels)) 5L else 6L, length(value))
      for (item in value) walk(item)
    } else if (is.matrix(value)) {
      numbers[[length(numbers) + 1L]] <<- as.double(value)
      say(7L, dim(value))
    } else {
      vector_(value, length(value) == 1L)
    }
  }
  walk(x)
  flat <- function(values, of) if (length(values)) unlist(values, use.names = FALSE) else of
  list(flat(shape, integer(0)), flat(numbers, double(0)), flat(texts, character(0)))
}

# Exactly n bytes from a pipe; NULL at its end.
cc_read <- function(pipe, n) {
  if (n == 0) return(raw(0))
  chunk <- readBin(pipe, "raw", n)
  if (length(chunk) == n) return(chunk)
  if (!length(chunk)) return(NULL)
  chunks <- list(chunk)
  have <- length(chunk)
  while (have < n) {
    chunk <- readBin(pipe, "raw", n - have)
    if (!length(chunk)) return(NULL)
    chunks[[length(chunks) + 1L]] <- chunk
    have <- have + length(chunk)
  }
  do.call(c, chunks)
}

cc_receive <- function(pipe) {
  prefix <- cc_read(pipe, 4L)
  if (is.null(prefix)) return(NULL)
  text <- cc_read(pipe, readBin(prefix, "integer", 1L, size = 4L, endian = "little"))
  if (is.null(text)) return(NULL)
  text <- rawToChar(text)
  Encoding(text) <- "UTF-8"
  header <- cc_parse_json(text)
  size <- if (is.null(header$payload)) 0 else header$payload
  payload <- cc_read(pipe, size)
  if (is.null(payload)) return(NULL)
  list(header = header, payload = payload)
}

cc_send <- function(pipe, header) {
  header$payload <- 0L
  text <- charToRaw(enc2utf8(cc_json(header)))
  writeBin(c(writeBin(length(text), raw(), size = 4L, endian = "little"), text), pipe)
  flush(pipe)
}
