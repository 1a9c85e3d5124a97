# Engines with known faults, for tests only: what happens to the harness when R misbehaves in each of these ways?

cc_fault_result <- function(values = NULL, texts = NULL, ...) {
  rows <- if (is.null(values)) list() else cc_rows(term = names(values), quantity = rep("value", length(values)), value = unname(values))
  list(
    version = "0", status = "ok", coefs = list(), extras = rows, seconds = 0,
    environment = lapply(names(texts), function(n) cc_vector(c(n, texts[[n]]))), ...
  )
}

cc_fault <- function(request, frame) {
  switch(request$options$fault,
    none = cc_fault_result(c(one = 1)),
    error = stop(structure(class = c("my_error", "error", "condition"), list(message = "it is\n  broken", call = quote(f(x))))),
    conditions = {
      warning("first warning")
      message("a message")
      warning(structure(class = c("my_warning", "warning", "condition"), list(message = "second", call = NULL)))
      cc_fault_result(c(one = 1))
    },
    quit = quit(save = "no", status = 3L),
    segv = tools::pskill(Sys.getpid(), 11L),
    abort = {
      tools::pskill(Sys.getpid(), 6L)
      Sys.sleep(5)
    },
    loop = repeat NULL,
    swallowing_loop = repeat try(Sys.sleep(0.01), silent = TRUE),
    code_in_c = svd(matrix(stats::rnorm(4e6), 2000L)), # nothing interrupts it
    recursion = (function(f) f(f))(function(f) f(f)),
    recursion_untrapped = {
      f <- function(n) tryCatch(f(n + 1), foo = identity) + 1
      options(expressions = 500000)
      on.exit(options(expressions = 5000))
      f(1)
    },
    big_vector = cc_fault_result(c(length = length(numeric(2^33)))),
    many_objects = {
      hoard <- list()
      repeat hoard[[length(hoard) + 1L]] <- numeric(4e6) + 1
    },
    readline = cc_fault_result(texts = list(answer = paste0("[", readline("name? "), "]"))),
    browser = {
      browser()
      cc_fault_result(c(one = 1))
    },
    stdin = cc_fault_result(c(lines = length(readLines(file("stdin"))))),
    prints = {
      cat("noise on stdout\n")
      print(1:3)
      write("noise on stderr", stderr())
      cc_fault_result(c(one = 1))
    },
    children = {
      system("sleep 600 &", wait = FALSE)
      repeat NULL
    },
    settings = cc_fault_result(texts = list(
      collate = Sys.getlocale("LC_COLLATE"), ctype = Sys.getlocale("LC_CTYPE"), tz = Sys.getenv("TZ"),
      interactive = as.character(interactive()), stack = as.character(!is.na(Cstack_info()[["size"]])),
      globals = paste(setdiff(ls(globalenv(), all.names = TRUE), ".Random.seed"), collapse = " "),
      tempdir = tempdir(), wd = getwd(), T = as.character(identical(T, TRUE)),
      threads = Sys.getenv("OMP_NUM_THREADS"), sorted = paste(sort(c("b", "B", "a", "A")), collapse = "")
    )),
    fixest_threads = {
      cc_need("fixest")
      cc_fault_result(c(threads = fixest::getFixest_nthreads()))
    },
    global = {
      assign("left_behind", 5, envir = globalenv())
      cc_fault_result(c(one = 1))
    },
    echo = {
      values <- frame$values[[request$options$column]]
      levels_ <- levels(values)
      cc_fault_result(
        stats::setNames(as.double(values), seq_along(values)),
        texts = c(list(typeof = typeof(values), missing = paste(which(is.na(values)), collapse = ",")),
          stats::setNames(as.list(levels_), sprintf("level%d", seq_along(levels_)))
        )
      )
    },
    random = cc_fault_result(c(draw = stats::runif(1))),
    # Every scalar is read from R's memory on its own: many of them in one answer.
    scalars = list(version = "0", status = "ok", seconds = 0, dropped = as.list(as.double(seq_len(20000)))),
    malformed = list(status = "ok", unknown_field = 1)
  )
}

cc_register("r.fault", cc_fault, character(0))
