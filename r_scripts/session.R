# What does an R worker remember and do, whichever bridge speaks to it?
# It keeps frames and the last fitted model, runs engines, and returns conditions as data. worker.R and rpy2 both use it.

CC_FILES <- c(
  "protocol.R", "frame.R", "guard.R", "result.R", "fixest.R", "did.R", "design.R", "lm.R", "plm.R", "clubsandwich.R",
  "designs.R", "designs_fit.R", "designs_tables.R", "designs_panel.R", "designs_random.R", "designs_monte.R",
  "designs_match.R", "matchit.R"
)

cc_state <- new.env(parent = emptyenv())

# Settings that digits and safety depend on; called once, before anything else.
cc_start <- function(folder, scripts = character(0)) {
  home <- environment(cc_start)
  Sys.setlocale("LC_COLLATE", "C")
  Sys.setenv(TZ = "UTC")
  options(
    OutDec = ".", scipen = 0, digits = 7, warn = 1, stringsAsFactors = FALSE, encoding = "native.enc",
    contrasts = c(unordered = "contr.treatment", ordered = "contr.poly"), na.action = "na.omit",
    browserNLdisabled = TRUE, menu.graphics = FALSE, device = function(...) grDevices::pdf(NULL), error = NULL,
    expressions = 5000, mc.cores = 1L, datatable.auto.threads = 1L, showWarnCalls = FALSE, keep.source = FALSE
  )
  suppressWarnings(RNGkind("Mersenne-Twister", "Inversion", "Rejection"))
  for (file in CC_FILES) sys.source(file.path(folder, file), envir = home)
  cc_state$frames <- new.env(parent = emptyenv())
  cc_state$engines <- new.env(parent = emptyenv())
  cc_state$remembered <- NULL
  cc_state$conditions <- list()
  cc_state$frame <- NULL
  cc_register("r.fixest", cc_fit_fixest, "fixest")
  cc_register("r.did", cc_fit_did, c("did", "DRDID"))
  cc_register("r.lm", cc_fit_lm, c("sandwich", "lmtest"))
  cc_register("r.plm", cc_fit_plm, c("plm", "lmtest"))
  cc_register("r.clubsandwich", cc_fit_clubsandwich, c("clubSandwich", "lmtest"))
  cc_register("r.designs", cc_fit_designs, "base")
  cc_register("r.matchit", cc_fit_matchit, "MatchIt")
  for (script in scripts) sys.source(script, envir = home)
  if (length(ls(globalenv(), all.names = TRUE))) {
    rm(list = setdiff(ls(globalenv(), all.names = TRUE), ".Random.seed"), envir = globalenv())
  }
  invisible(TRUE)
}

cc_register <- function(id, fit, packages) assign(id, list(fit = fit, packages = packages), envir = cc_state$engines)

cc_version <- function() paste(R.version$major, R.version$minor, sep = ".")

cc_hello <- function() {
  settings <- c(
    locale = Sys.getlocale("LC_CTYPE"), collate = Sys.getlocale("LC_COLLATE"), timezone = Sys.getenv("TZ"),
    interactive = tolower(as.character(interactive())), stack_limit = format(Cstack_info()[["size"]])
  )
  list(
    language = "r", version = cc_version(), platform = R.version$platform,
    packages = structure(list(), names = character(0)), settings = as.list(settings)
  )
}

cc_put <- function(key, rows, columns) {
  assign(key, cc_frame(key, rows, columns), envir = cc_state$frames)
  invisible(TRUE)
}

cc_drop <- function(key) {
  if (exists(key, envir = cc_state$frames, inherits = FALSE)) rm(list = key, envir = cc_state$frames)
  if (identical(cc_state$remembered$frame, key)) cc_state$remembered <- NULL
  invisible(TRUE)
}

# Evaluate something that several questions share (a fitted model), once: the last value is kept with its conditions.
# `own` tells the conditions that belong to the first question alone and are not repeated.
cc_remember <- function(frame, id, value, own = function(text) FALSE) {
  id <- list(frame$key, id)
  if (identical(cc_state$remembered$id, id)) {
    for (condition in cc_state$remembered$conditions) if (!own(condition$text)) cc_note(condition)
    return(cc_state$remembered$value)
  }
  before <- length(cc_state$conditions)
  result <- value
  conditions <- cc_state$conditions[seq_along(cc_state$conditions) > before]
  cc_state$remembered <- list(id = id, frame = frame$key, value = result, conditions = conditions)
  result
}

cc_note <- function(condition) cc_state$conditions[[length(cc_state$conditions) + 1L]] <- condition

# What a condition says on one line, with the columns' own names.
cc_text <- function(condition) {
  text <- trimws(gsub("[[:space:]]+", " ", conditionMessage(condition)))
  if (is.null(cc_state$frame)) text else cc_display(cc_state$frame, text)
}

# One item of a batch to a result; whatever R says on the way becomes data.
cc_answer <- function(engine, key, request) {
  if (!exists(engine, envir = cc_state$engines, inherits = FALSE)) {
    return(list(ok = FALSE, error = list(class = "unknown", message = paste("there is no R engine", engine), call = "")))
  }
  if (!exists(key, envir = cc_state$frames, inherits = FALSE)) {
    return(list(ok = FALSE, error = list(class = "unknown", message = "the data of this fit were not sent", call = "")))
  }
  cc_state$conditions <- list()
  entry <- get(engine, envir = cc_state$engines)
  frame <- get(key, envir = cc_state$frames)
  cc_state$frame <- frame
  began <- Sys.time()
  retire <- FALSE
  result <- tryCatch(
    withCallingHandlers(
      {
        cc_need(entry$packages)
        set.seed(20240101L)
        entry$fit(request, frame)
      },
      warning = function(w) {
        cc_note(list(kind = "warning", text = cc_text(w), cls = class(w)[[1L]]))
        tryInvokeRestart("muffleWarning")
      },
      message = function(m) {
        cc_note(list(kind = "message", text = cc_text(m), cls = class(m)[[1L]]))
        tryInvokeRestart("muffleMessage")
      }
    ),
    cc_unsupported = function(e) list(status = "unsupported", reason = cc_text(e)),
    error = function(e) {
      exhausted <- grepl("cannot allocate|bad_alloc|memory exhausted|unable to allocate", conditionMessage(e))
      retire <<- exhausted
      cc_state$remembered <- NULL
      text <- cc_text(e)
      call_ <- conditionCall(e)
      where <- if (is.null(call_)) "" else paste0(" (in ", substr(cc_display(frame, cc_shown(call_)), 1L, 60L), ")")
      cc_note(list(kind = "error", text = paste0(text, where), cls = class(e)[[1L]]))
      list(status = "error", reason = if (exhausted) paste("memory exhausted:", text) else text)
    }
  )
  if (is.null(result$seconds)) result$seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))
  conditions <- unique(cc_state$conditions)
  result$engine <- engine
  result$conditions <- lapply(conditions, function(x) x[c("kind", "text", "cls")])
  list(ok = TRUE, result = result, retire = retire)
}

# The same for a bridge that reads R objects itself and sends a request as JSON text.
cc_hello_packed <- function() cc_packed(cc_hello())

cc_answer_packed <- function(engine, key, request) cc_packed(cc_answer(engine, key, cc_parse_json(request)))

# Load packages when first needed, single-threaded; their start-up messages are nobody's conditions.
cc_need <- function(packages) {
  for (package in packages) {
    if (isNamespaceLoaded(package)) next
    before <- length(cc_state$conditions)
    if (!requireNamespace(package, quietly = TRUE)) stop("the R package ", package, " is not installed", call. = FALSE)
    cc_state$conditions <- cc_state$conditions[seq_len(before)]
    if (package == "fixest") {
      # fixest looks for i() from the search path where terms go through model.matrix.
      suppressPackageStartupMessages(attachNamespace("fixest"))
      fixest::setFixest_nthreads(1L)
      fixest::setFixest_notes(FALSE)
    }
    if (isNamespaceLoaded("data.table")) data.table::setDTthreads(1L)
  }
}
