# Install the R packages that crosscheck's engines use. Usage: Rscript install.R [PACKAGE...] (none: all of them)
#
# Packages go where install.packages() puts them, from the repository that R is set to (its default where none is set). A
# package that is there and new enough is left alone.

wanted <- c(
  fixest = "0.13.0", did = "2.3.0", DRDID = "1.2.0", MatchIt = "4.5.4", plm = "2.6", sandwich = "3.0", lmtest = "0.9.38",
  clubSandwich = "0.5.8"
)

named <- commandArgs(trailingOnly = TRUE)
unknown <- setdiff(named, names(wanted))
if (length(unknown)) {
  message("crosscheck has no engine that uses: ", paste(unknown, collapse = ", "))
  message("packages: ", paste(names(wanted), collapse = ", "))
  quit(save = "no", status = 2L)
}
if (length(named)) wanted <- wanted[named]

version_here <- function(package) tryCatch(utils::packageVersion(package), error = function(e) NULL)
lacking <- function() {
  enough <- vapply(names(wanted), function(p) !is.null(version_here(p)) && version_here(p) >= wanted[[p]], NA)
  names(wanted)[!enough]
}

if (getRversion() < "4.2.0") {
  message("R ", getRversion(), " is too old: crosscheck needs 4.2 or newer")
  quit(save = "no", status = 1L)
}

todo <- lacking()
for (package in setdiff(names(wanted), todo)) message(package, " ", version_here(package), " is there")
if (length(todo)) {
  repositories <- getOption("repos")
  if (!length(repositories) || any(repositories == "@CRAN@")) utils::chooseCRANmirror(ind = 1L)
  target <- .libPaths()[[1L]]
  if (file.access(target, 2L) != 0L) {
    target <- path.expand(strsplit(Sys.getenv("R_LIBS_USER"), .Platform$path.sep, fixed = TRUE)[[1L]][[1L]])
    dir.create(target, recursive = TRUE, showWarnings = FALSE)
    .libPaths(c(target, .libPaths()))
  }
  message("installing ", paste0(todo, " >= ", wanted[todo], collapse = ", "), " into ", target)
  utils::install.packages(todo, lib = target, dependencies = NA)
}

failed <- lacking()
for (package in setdiff(todo, failed)) message(package, " ", version_here(package), " is installed")
for (package in failed) message(package, " >= ", wanted[[package]], " could not be installed: see above")
quit(save = "no", status = if (length(failed)) 1L else 0L)
