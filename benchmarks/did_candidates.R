# The R side of did_candidates.py: fit every cell with the did package and
# write estimates and standard errors with all their digits.
#
#   Rscript did_candidates.R --mpdta OUT.csv     write did's mpdta data
#   Rscript did_candidates.R DIR OUT.csv         fit DIR/cells.csv
#
# Numbers in the data files are hexadecimal, which both languages read exactly.

suppressPackageStartupMessages(library(did))

arguments <- commandArgs(trailingOnly = TRUE)

if (arguments[1] == "--mpdta") {
  data(mpdta, package = "did")
  out <- data.frame(unit = mpdta$countyreal, period = mpdta$year,
                    first = mpdta$first.treat, y = mpdta$lemp, x1 = mpdta$lpop)
  out[] <- lapply(out, function(column) sprintf("%a", as.numeric(column)))
  write.csv(out, arguments[2], row.names = FALSE, quote = FALSE)
  quit(status = 0)
}

folder <- arguments[1]
cells <- read.csv(file.path(folder, "cells.csv"), colClasses = "character")
has_faster_mode <- "faster_mode" %in% names(formals(att_gt))

read_data <- function(name) {
  frame <- read.csv(file.path(folder, paste0(name, ".csv")),
                    colClasses = "character")
  frame[] <- lapply(frame, function(column) as.numeric(column))
  frame
}
frames <- sapply(unique(cells$data), read_data, simplify = FALSE)

fit_cell <- function(cell) {
  call <- list(
    yname = "y", tname = "period", idname = "unit", gname = "first",
    xformla = if (cell$covariates == "") ~1 else
      as.formula(paste("~", gsub(" ", " + ", cell$covariates))),
    data = frames[[cell$data]],
    panel = cell$panel == "1",
    allow_unbalanced_panel = cell$unbalanced == "1",
    control_group = cell$control,
    anticipation = as.numeric(cell$anticipation),
    weightsname = if (cell$weights == "") NULL else cell$weights,
    clustervars = if (cell$cluster == "") NULL else cell$cluster,
    est_method = cell$method, base_period = cell$base,
    bstrap = FALSE, cband = FALSE)
  if (has_faster_mode) call$faster_mode <- FALSE
  do.call(att_gt, call)
}

rows <- list()
notes <- list()
add <- function(cell, block, element, estimate, se) {
  rows[[length(rows) + 1]] <<- data.frame(
    cell = cell, block = block, element = as.character(element),
    est = sprintf("%.17g", estimate), se = sprintf("%.17g", se))
}
note <- function(cell, kind, text) {
  notes[[length(notes) + 1]] <<- data.frame(
    cell = cell, kind = kind, text = gsub("[\r\n,\"]+", " ", text))
}

for (i in seq_len(nrow(cells))) {
  cell <- as.list(cells[i, ])
  started <- proc.time()[["elapsed"]]
  tryCatch(withCallingHandlers({
    fit <- fit_cell(cell)
    note(cell$cell, "fit_seconds", format(proc.time()[["elapsed"]] - started))
    add(cell$cell, "att", sprintf("%g|%g", fit$group, fit$t), fit$att, fit$se)
    for (type in c("simple", "dynamic", "group", "calendar")) {
      a <- aggte(fit, type = type, bstrap = FALSE, cband = FALSE)
      add(cell$cell, type, "overall", a$overall.att, a$overall.se)
      if (type != "simple")
        add(cell$cell, type, sprintf("%g", a$egt), a$att.egt, as.numeric(a$se.egt))
    }
    note(cell$cell, "seconds", format(proc.time()[["elapsed"]] - started))
  }, warning = function(w) {
    note(cell$cell, "warning", conditionMessage(w))
    invokeRestart("muffleWarning")
  }, message = function(m) invokeRestart("muffleMessage")),
  error = function(e) note(cell$cell, "error", conditionMessage(e)))
}

note("", "version", as.character(packageVersion("did")))
note("", "DRDID", as.character(packageVersion("DRDID")))
write.csv(do.call(rbind, rows), arguments[2], row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, notes), sub("\\.csv$", ".notes.csv", arguments[2]),
          row.names = FALSE, quote = FALSE)
