# What does an engine say about a data file and a request, without crosscheck? Sourced in the folder of our R files, by the
# code that reports show: request.json holds the request, draws in full; a filter of the sample is applied beforehand.

cc_by_hand <- function(engine, data_file, request_file = "request.json") {
  home <- new.env(parent = globalenv())
  sys.source("session.R", envir = home)
  evalq(cc_start("."), home)
  data <- utils::read.csv(data_file, check.names = FALSE, encoding = "UTF-8")
  column <- function(name) {
    x <- data[[name]]
    if (is.numeric(x)) return(list(name = name, kind = "float", values = as.double(x), levels = list()))
    found <- sort(unique(x))
    list(name = name, kind = "category", values = match(x, found) - 1L, levels = as.list(found))
  }
  home$cc_put("data", nrow(data), lapply(names(data), column))
  request <- home$cc_parse_json(paste(readLines(request_file, encoding = "UTF-8"), collapse = " "))
  writeLines(enc2utf8(home$cc_json(home$cc_answer(engine, "data", request)$result)))
}
