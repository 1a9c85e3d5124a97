# Which R is this, and which packages are installed? Answers in one line of JSON, without loading a package.

quoted <- function(x) paste0('"', gsub('(["\\\\])', "\\\\\\1", x), '"')

package_version_of <- function(folder) {
  file <- file.path(folder, "Meta", "package.rds")
  if (!file.exists(file)) return(NA_character_)
  tryCatch(readRDS(file)$DESCRIPTION[["Version"]], error = function(e) NA_character_)
}

libraries <- .libPaths()
found <- character(0)
for (library_ in libraries) {
  names_ <- setdiff(list.files(library_), names(found))
  versions <- vapply(file.path(library_, names_), package_version_of, "", USE.NAMES = FALSE)
  found <- c(found, stats::setNames(versions, names_)[!is.na(versions)])
}
cat(sprintf(
  '{"R": %s, "home": %s, "libraries": [%s], "packages": {%s}}\n',
  quoted(paste(R.version$major, R.version$minor, sep = ".")), quoted(R.home()),
  paste(quoted(libraries), collapse = ", "),
  paste(quoted(names(found)), quoted(found), sep = ": ", collapse = ", ")
))
