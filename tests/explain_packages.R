# Standard errors of the coefficient of x under the conventions of R packages, for the tests of explanations.
#
#   Rscript explain_packages.R FOLDER
#
# FOLDER holds panel.csv with id, year, state, y, x, z. Writes out.csv (name, term, estimate, std_error), 17 digits.

folder <- commandArgs(trailingOnly = TRUE)[1]
d <- read.csv(file.path(folder, "panel.csv"))
out <- file(file.path(folder, "out.csv"), "w")
writeLines("name\tterm\testimate\tstd_error", out)
put <- function(name, b, V) {
  for (term in c("x", "z")) {
    i <- match(term, names(b))
    writeLines(paste(name, term, sprintf("%.17g", b[[i]]), sprintf("%.17g", sqrt(V[i, i])), sep = "\t"), out)
  }
}
have <- function(p) requireNamespace(p, quietly = TRUE)
dummies <- lm(y ~ x + z + factor(id) + factor(year), d)
pooled <- lm(y ~ x + z, d)
if (have("sandwich")) {
  for (type in c("HC0", "HC1")) {
    put(paste0("sandwich.", tolower(type)), coef(dummies), sandwich::vcovCL(dummies, cluster = d$id, type = type))
    V <- sandwich::vcovCL(pooled, cluster = d[c("id", "year")], type = type)
    put(paste0("sandwich.two.", tolower(type)), coef(pooled), V)
  }
  put("hc0", coef(dummies), sandwich::vcovHC(dummies, type = "HC0"))
  put("hc1", coef(dummies), sandwich::vcovHC(dummies, type = "HC1"))
  for (type in c("HC4", "HC4m", "HC5")) put(tolower(type), coef(dummies), sandwich::vcovHC(dummies, type = type))
}
if (have("clubSandwich")) {
  for (type in c("CR0", "CR1", "CR1S")) {
    V <- as.matrix(clubSandwich::vcovCR(dummies, cluster = d$id, type = type))
    put(paste0("clubsandwich.", tolower(type)), coef(dummies), V)
  }
  put("clubsandwich.cr2", coef(dummies), as.matrix(clubSandwich::vcovCR(dummies, cluster = d$id, type = "CR2")))
  put("clubsandwich.cr3", coef(pooled), as.matrix(clubSandwich::vcovCR(pooled, cluster = d$id, type = "CR3")))
}
if (have("plm")) {
  m <- plm::plm(y ~ x + z, d, index = c("id", "year"), model = "within", effect = "twoways")
  for (type in c("HC0", "HC1", "sss")) {
    put(paste0("plm.", tolower(type)), coef(m), plm::vcovHC(m, method = "arellano", type = type, cluster = "group"))
  }
  put("plm.scc", coef(m), plm::vcovSCC(m))
}
close(out)
writeLines("", file.path(folder, "done"))
