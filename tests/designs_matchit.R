# The MatchIt side of the matching tests: Rscript designs_matchit.R DATA.csv CALIPER OUT.csv
# Writes the version, and for each treated row its score, its match's score and the nearest control's.

arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[[1L]])
caliper <- as.numeric(arguments[[2L]])
score <- data$score
names(score) <- row.names(data)
found <- suppressWarnings(MatchIt::matchit(
  g ~ x, data = data, method = "nearest", distance = score, replace = TRUE, ratio = 1,
  caliper = if (is.finite(caliper)) caliper, std.caliper = FALSE
))
control <- score[data$g == 0]
own <- score[rownames(found$match.matrix)]
out <- data.frame(
  version = as.character(packageVersion("MatchIt")), own = own, match = unname(score[found$match.matrix[, 1L]]),
  nearest = vapply(own, function(s) min(abs(control - s)), 0)
)
write.csv(out, arguments[[3L]], row.names = FALSE)
