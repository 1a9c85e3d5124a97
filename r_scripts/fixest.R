# What does fixest say? feols (with IV, weights, i(), poly(), lags), fepois, feglm, and Sun and Abraham's sunab().
#
# The rule of fixest 0.14 for small samples, read off its behaviour and confirmed by live fits (tests/test_r_fixest.py):
#   nparams    number of coefficients + sum of the fixed effects' levels - (number of effects - 1)
#   K          K.fixef = "none": nparams - sum of levels + (effects - 1), that is: the coefficients;
#              "full": nparams; "nonnested": for iid, HC1, HC2, HC3, NW and DK the same as "full"; for clusters, with all
#              effects nested: coefficients + 1, else nparams less (levels - 1) for each nested effect; at least
#              coefficients + 1. An effect is nested where it is named as a cluster or combines one with ^; the data are
#              looked at only where some cluster is not itself a fixed effect of the model.
#   iid        SSR / (N - K) (X'X)^-1; K.adj = FALSE: SSR / (N - 1)
#   HC1        N / (N - K); K.adj = FALSE: 1; G.adj does not apply.  HC2, HC3: no factor, whatever ssc says
#   cluster    (N - 1) / (N - K) [K.adj] times G / (G - 1) [G.adj]; two-way, G.df = "min": one factor with the smaller
#              of the two G on the whole sum; "conventional": each of the three matrices its own G / (G - 1).
#              Where an eigenvalue is not positive it is replaced by 1e-16.
#   NW, DK     (N - 1) / (N - K) [K.adj] times T / (T - 1) [G.adj], T the number of periods in the sample; Bartlett
#              weights 1 - l / (lag + 1) over consecutive observed periods
#   df of t    t.df = "min": G - 1 (smaller G) or T - 1 for cluster, NW and DK, else N - K; "conventional": N - K; at
#              least 1. fepois and feglm (poisson, logit, probit): the normal.

CC_FIXEF_TOL <- 1e-10
CC_FIXEF_ITER <- 20000L
CC_COLLIN_TOL <- 1e-9
CC_GLM_TOL <- 2.3e-13 # fixest refuses less than 2.2e-13
CC_GLM_ITER <- 100L

cc_fit_fixest <- function(request, frame) {
  began <- Sys.time()
  if (request$estimator == "did2s") return(cc_fixest_two_stage(request, frame, began))
  parts <- cc_formula(request$formula, frame)
  weights <- cc_weights_symbol(request, frame)
  needs <- cc_vcov_symbols(request, frame)
  if (cc_fixest_unchecked(request, parts)) {
    checked <- options(dreamerr_check = FALSE)
    on.exit(options(checked))
  }
  vcov_symbols <- c(needs$cluster, needs$unit, needs$time)
  missing_ <- Filter(function(s) anyNA(cc_values(frame, s, request)), vcov_symbols)

  id <- list(
    "fixest", request$estimator, request$formula, weights, request$unit, request$time, request$options, missing_,
    setdiff(vcov_symbols, parts$used)
  )
  fit <- cc_remember(
    frame, id,
    {
      data <- cc_data(frame, c(parts$used, weights, vcov_symbols), request, missing_)
      if (!is.null(request$options$several)) {
        return_ <- cc_fixest_several(request, parts, frame, data)
        parts <- return_$parts
        data <- return_$data
      }
      if (is.null(request$options$holdout)) {
        cc_fixest_model(request, parts, data, weights, needs)
      } else {
        held <- cc_values(frame, cc_symbol(frame, request$options$holdout, "number"), request)
        places <- as.integer(attr(data, "row.names"))
        train <- data[held[places] == 0, , drop = FALSE]
        c(cc_fixest_model(request, parts, train, weights, needs), list(newdata = data, places = places))
      }
    },
    own = function(text) grepl("VCOV", text, fixed = TRUE)
  )
  summary_ <- cc_fixest_summary(fit, request, parts, needs)
  seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))
  if (!is.null(fit$newdata)) return(cc_fixest_predictions(fit, request, frame, seconds))
  cc_fixest_result(fit, summary_, request, frame, needs, seconds)
}

# Two-stage differences in differences (Gardner 2022): two regressions of fixest, and the covariance of both as one GMM
# problem in base R, by the formula of crosscheck/engines/_two_stage.py.
cc_fixest_two_stage <- function(request, frame, began) {
  o <- request$options
  number <- function(name) as.double(cc_values(frame, cc_symbol(frame, name, "number"), request))
  group <- function(name) { # numbers as they are: 1.2 and 1.7 are two units
    values <- cc_values(frame, cc_symbol(frame, name, "category"), request)
    match(values, unique(values[!is.na(values)]))
  }
  covariates <- unlist(o$covariates)
  unit_ <- if (is.null(o$unit)) request$unit else o$unit
  time_ <- if (is.null(o$time)) request$time else o$time
  data <- data.frame(y = number(o$y), d = number(o$treated), u = group(unit_), t = group(time_))
  for (k in seq_along(covariates)) data[[paste0("x", k)]] <- number(covariates[[k]])
  keep <- stats::complete.cases(data)
  cluster <- if (length(request$vcov$cluster)) group(request$vcov$cluster[[1L]]) else data$u
  data <- data[keep, , drop = FALSE]
  cluster <- cluster[keep]
  if (anyNA(cluster)) stop("a cluster is missing in a row of the sample", call. = FALSE)
  out <- data$d == 1
  if (!any(out) || all(out)) stop("two stages need treated and untreated rows", call. = FALSE)
  if (!all(data$u %in% data$u[!out]) || !all(data$t %in% data$t[!out])) {
    cc_unsupported("a unit or period has no untreated row: its effect is not identified")
  }
  # The effects take a constant of any column in. fixest finds them up to a share of the outcome's size, which a large
  # constant would make larger than the effect that is asked for.
  level <- setdiff(names(data), c("d", "u", "t"))
  data[level] <- lapply(data[level], function(x) x - mean(x[!out]))
  right <- Reduce(function(a, b) call("+", a, b), lapply(setdiff(names(data), c("y", "d", "u", "t")), as.name))
  first_ <- eval(call("~", quote(y), call("|", if (is.null(right)) 1 else right, quote(u + t))), cc_sealed())
  first <- fixest::feols(
    first_, data = data[!out, , drop = FALSE], fixef.rm = "none", fixef.tol = CC_FIXEF_TOL,
    fixef.iter = CC_FIXEF_ITER, nthreads = 1L, notes = FALSE
  )
  data$left <- data$y - stats::predict(first, newdata = data)
  second <- fixest::feols(left ~ 0 + d, data = data, nthreads = 1L, notes = FALSE)
  effect <- unname(stats::coef(second)[[1L]])
  dummies <- function(g) outer(g, sort(unique(g)), `==`) * 1
  X <- cbind(as.matrix(data[setdiff(names(data), c("y", "d", "u", "t", "left"))]), dummies(data$u), dummies(data$t))
  X <- sweep(X, 2L, pmax(apply(abs(X), 2L, max), 1e-300), "/")
  X0 <- X * !out
  parts <- svd(X0)
  held <- parts$d > 1e-10 * parts$d[[1L]]
  half <- X0 %*% parts$v[, held, drop = FALSE] %*% diag(1 / parts$d[held]^2, sum(held)) %*% t(parts$v[, held, drop = FALSE])
  scores <- out * (data$left - effect * out) - (!out) * data$left * drop(half %*% colSums(X * out))
  sums <- rowsum(scores, cluster)
  se <- sqrt(sum(sums^2)) / sum(out)
  z <- stats::qnorm(1 - (1 - request$conf_level) / 2)
  cc_result(
    "fixest",
    cc_coefs("overall", effect, se, effect / se, 2 * stats::pnorm(-abs(effect / se)), effect - z * se, effect + z * se, Inf),
    stats = list(nobs = as.double(nrow(data))),
    conventions = cc_conventions(
      vcov = "CRV1", cluster = unlist(request$vcov$cluster), n_clusters = nrow(sums), distribution = "normal", df_t = Inf,
      rows_dropped = as.integer(frame$rows - nrow(data))
    ),
    seconds = as.numeric(difftime(Sys.time(), began, units = "secs"))
  )
}

# Predictions of all rows by a model that was fitted on some of them.
cc_fixest_predictions <- function(fit, request, frame, seconds) {
  values <- matrix(NA_real_, 1L, frame$rows, dimnames = list("predicted", NULL))
  values[1L, fit$places] <- as.double(stats::predict(fit$model, newdata = fit$newdata, type = "response"))
  cc_result(
    "fixest", cc_coefs(character(0), numeric(0)), stats = list(nobs = as.double(fit$model$nobs)), seconds = seconds,
    blocks = list(cc_block("rows", values))
  )
}

# fixest spends two fifths of a small fit on the types of its arguments (package dreamerr, whose setDreamerr_check() says
# whether). They are left out where nothing of a user's is among the arguments: columns, formula and words are made here,
# and no number depends on the checks (tests/test_r_fixest.py). Tolerances, lags and functions in a formula are checked.
cc_fixest_unchecked <- function(request, parts) {
  request$estimator %in% c("feols", "fepois", "feglm") && !length(setdiff(parts$calls, CC_ARITHMETIC)) &&
    !request$vcov$type %in% c("NW", "DK") && is.null(request$options$tolerance) && is.null(request$options$several) &&
    is.null(request$options$call)
}

cc_fixest_formula <- function(parts) {
  rhs <- parts$rhs
  if (length(parts$fe)) {
    effects <- lapply(parts$fe, function(f) Reduce(function(a, b) call("^", a, b), lapply(f, as.name)))
    if (!is.null(parts$fe_listed)) {
      last <- length(effects)
      if (parts$fe_listed == "effects sw") {
        effects[[last]] <- call("sw", as.name("cc_effect"), effects[[last]])
      } else {
        if (last < 2L) cc_unsupported("a list of one is no list")
        effects <- list(as.call(c(list(as.name("csw0")), effects)))
      }
    }
    rhs <- call("|", rhs, Reduce(function(a, b) call("+", a, b), effects))
  }
  if (!is.null(parts$endogenous)) rhs <- call("|", rhs, parts$endogenous)
  out <- call("~", parts$lhs, rhs)
  if (!is.null(parts$instruments)) out <- call("~", out, parts$instruments)
  place <- cc_sealed(NW = fixest::NW, DK = fixest::DK)
  out <- eval(out, place)
  environment(out) <- place
  out
}

# The model, with the covariance of the first question, which is the same as summary() of it and costs nothing more.
cc_fixest_model <- function(request, parts, data, weights, needs) {
  formula_ <- cc_fixest_formula(parts)
  asked <- list(request$vcov, request$ssc)
  vcov_ <- cc_fixest_vcov(request, needs, environment(formula_))
  if (request$vcov$type %in% c("HC2", "HC3")) vcov_ <- "iid" # only after their leverages were looked at
  ssc_ <- cc_fixest_ssc(request)
  w <- NULL
  if (!is.null(weights)) {
    w <- cc_checked_weights(data[[weights]])
    if (length(w) != nrow(data)) cc_refuse("there are ", length(w), " weights for ", nrow(data), " rows")
  }
  if (!nrow(data)) cc_refuse("no row is left")
  asked_tol <- request$options$tolerance
  tol_ <- list(fixef = CC_FIXEF_TOL, glm = CC_GLM_TOL)
  if (!is.null(asked_tol)) tol_ <- list(fixef = as.numeric(asked_tol), glm = as.numeric(asked_tol))
  if (!is.null(request$options$call)) {
    return(list(model = cc_fixest_by_call(request, formula_, data, w, vcov_), asked = asked, r2 = CC_NO_R2))
  }
  if (!is.null(request$options$several)) {
    return(cc_fixest_member(request, formula_, data, w, vcov_, ssc_, asked))
  }
  # The data are looked up again by name when covariances are computed, in the environment of this call.
  if (request$estimator %in% c("feols", "sunab")) {
    model <- fixest::feols(
      formula_, data = data, weights = w, vcov = vcov_, ssc = ssc_, fixef.rm = "none", fixef.tol = tol_$fixef,
      fixef.iter = CC_FIXEF_ITER, collin.tol = CC_COLLIN_TOL, nthreads = 1L, notes = FALSE, warn = TRUE, lean = FALSE,
      mem.clean = FALSE, data.save = FALSE
    )
    cell <- if (request$estimator == "sunab") cc_fixest_cell(model, parts$rhs, data)
    return(list(model = model, asked = asked, r2 = cc_fixest_r2(model), cell = cell))
  }
  family_ <- if (request$estimator == "fepois") "poisson" else request$options$family
  if (is.null(family_) || !family_ %in% c("poisson", "logit", "probit", "gaussian")) {
    cc_unsupported("feglm needs options.family: poisson, logit, probit or gaussian")
  }
  model <- fixest::feglm(
    formula_, data = data, weights = w, vcov = vcov_, ssc = ssc_, fixef.rm = "none", fixef.tol = tol_$fixef,
    family = switch(family_, poisson = stats::poisson(), logit = stats::binomial("logit"),
      probit = stats::binomial("probit"), gaussian = stats::gaussian()
    ),
    fixef.iter = CC_FIXEF_ITER, collin.tol = CC_COLLIN_TOL, glm.iter = CC_GLM_ITER, glm.tol = tol_$glm,
    nthreads = 1L, notes = FALSE, warn = TRUE, lean = FALSE, mem.clean = FALSE, data.save = FALSE
  )
  list(model = model, asked = asked, r2 = c(r2 = NA_real_, ar2 = NA_real_, wr2 = NA_real_))
}

# A single cell of cohort and period has the name of the call, sunab(cohort, period), and no average has another one.
cc_fixest_cell <- function(model, rhs, data) {
  lone <- grep("^sunab\\(", names(model$coefficients), value = TRUE)
  find <- function(x) {
    if (!is.call(x)) return(NULL)
    if (identical(x[[1L]], as.name("sunab"))) return(x)
    for (part in as.list(x)[-1L]) if (!is.null(found <- find(part))) return(found)
    NULL
  }
  call_ <- if (length(lone) == 1L) find(rhs)
  if (is.null(call_) || !is.name(call_[[2L]]) || !is.name(call_[[3L]])) return(NULL)
  cohort <- data[[as.character(call_[[2L]])]]
  period <- data[[as.character(call_[[3L]])]]
  at <- which(utils::getFromNamespace("sunab", "fixest")(cohort, period)[, 1L] == 1)
  if (!length(at)) return(NULL)
  list(name = lone, event = period[[at[[1L]]]] - cohort[[at[[1L]]]], cohort = cohort[[at[[1L]]]], period = as.character(call_[[3L]]))
}

# What a table calls a single cell, by the aggregation that is asked for.
cc_fixest_cell_name <- function(cell, agg) {
  relative <- paste0(cell$period, "::", format(cell$event, digits = 15L))
  own <- paste0("cohort::", format(cell$cohort, digits = 15L))
  if (identical(agg, "period")) return(relative)
  if (identical(agg, FALSE)) return(paste0(relative, ":", own))
  if (cell$event < 0) return(cell$name)
  if (agg == "att") "ATT" else own
}

CC_NO_R2 <- c(r2 = NA_real_, ar2 = NA_real_, wr2 = NA_real_)

# A call with the options that give the question its meaning; the others are left out, or at the defaults that the
# function states ("explicit").
cc_fixest_by_call <- function(request, formula_, data, w, vcov_) {
  family_ <- if (request$estimator == "fepois") NULL else request$options$family
  fun <- switch(request$estimator, feols = fixest::feols, fepois = fixest::fepois, fixest::feglm)
  given <- list(fml = formula_, data = data)
  if (!is.null(w)) given$weights <- w
  explicit <- identical(request$options$call, "explicit")
  if (explicit || !identical(vcov_, "iid")) given$vcov <- vcov_
  if (request$estimator == "feglm") {
    given$family <- switch(family_, logit = stats::binomial("logit"), probit = stats::binomial("probit"),
      cc_unsupported("this family is not asked by its defaults")
    )
  }
  if (explicit) {
    stated <- formals(fun)
    skip <- c("...", "env", "fixef.algo", "panel.time.step", "fixef.keep_names", names(given))
    stated <- stated[!names(stated) %in% skip & !vapply(stated, function(x) identical(x, quote(expr = )), NA)]
    given <- c(given, lapply(stated, eval, envir = asNamespace("fixest")))
    given$ssc <- fixest::ssc(K.adj = TRUE, K.fixef = "nonnested", K.exact = FALSE, G.adj = TRUE, G.df = "min", t.df = "min")
  }
  do.call(fun, given)
}

# The formula and data of a call that fits the model beside another one, whose sample is another one (docs/properties.md).
cc_fixest_several <- function(request, parts, frame, data) {
  kind <- request$options$several
  if (kind %in% c("split", "fsplit")) {
    part <- cc_values(frame, cc_symbol(frame, request$options$by, "category"), request)
    data$cc_part <- part[as.integer(attr(data, "row.names"))]
    return(list(parts = parts, data = data))
  }
  if (!is.name(parts$lhs) || !is.null(parts$endogenous)) cc_unsupported("one of several models has no instruments here")
  other <- rev(as.double(data[[as.character(parts$lhs)]]))
  other[seq.int(1L, length(other), by = max(length(other) %/% 3L, 1L))] <- NA
  data$cc_second <- other
  data$cc_effect <- ifelse(is.na(other), NA, (seq_along(other) - 1L) %/% 2L)
  if (kind == "outcomes") {
    parts$lhs <- call("c", parts$lhs, as.name("cc_second"))
  } else if (startsWith(kind, "effects")) {
    if (!length(parts$fe)) cc_unsupported("there are no fixed effects")
    parts$fe_listed <- kind
  } else {
    terms <- cc_summands(parts$rhs)
    cumulative <- startsWith(kind, "csw")
    if (cumulative && length(terms) < 2L) cc_unsupported("a list of one is no list")
    if (any(vapply(terms, Negate(is.name), NA))) cc_unsupported("terms that are functions are not listed one by one")
    inside <- if (cumulative) terms else list(as.name("cc_second"), terms[[length(terms)]])
    listed <- as.call(c(list(as.name(kind)), inside))
    before <- if (cumulative) list() else terms[-length(terms)]
    parts$rhs <- Reduce(function(a, b) call("+", a, b), c(before, list(listed)))
  }
  list(parts = parts, data = data)
}

cc_summands <- function(x) if (is.call(x) && identical(x[[1L]], as.name("+"))) c(cc_summands(x[[2L]]), cc_summands(x[[3L]])) else list(x)

cc_fixest_member <- function(request, formula_, data, w, vcov_, ssc_, asked) {
  kind <- request$options$several
  fun <- if (request$estimator == "feols") fixest::feols else fixest::fepois
  given <- list(
    fml = formula_, data = data, vcov = vcov_, ssc = ssc_, fixef.rm = "none", fixef.tol = CC_FIXEF_TOL,
    fixef.iter = CC_FIXEF_ITER, collin.tol = CC_COLLIN_TOL, nthreads = 1L, notes = FALSE
  )
  if (request$estimator == "fepois") given <- c(given, list(glm.iter = CC_GLM_ITER, glm.tol = CC_GLM_TOL))
  if (!is.null(w)) given$weights <- w
  if (kind %in% c("split", "fsplit")) given[[kind]] <- ~cc_part
  models <- do.call(fun, given)
  many <- inherits(models, "fixest_multi")
  if (kind == "split") {
    at <- match(as.character(request$options$label), if (many) as.character(fixest::models(models)$sample))
    if (!many || is.na(at)) stop("there is no model of this part of the sample", call. = FALSE)
  } else {
    at <- if (!many || kind %in% c("outcomes", "fsplit")) 1L else length(models)
  }
  model <- if (many) models[[at]] else models
  if (kind %in% c("sw", "sw0")) {
    # the last of the list, unless fixest has left it out: a regressor that is zero where rows were removed makes no model
    rhs <- formula_[[3L]]
    while (is.call(rhs) && identical(rhs[[1L]], as.name("|"))) rhs <- rhs[[2L]]
    wanted <- utils::tail(all.vars(rhs), 1L)
    if (!wanted %in% all.vars(model$fml[[3L]])) cc_unsupported("fixest leaves the model out of the list, and warns of it")
  }
  list(model = model, asked = asked, r2 = if (request$estimator == "feols") cc_fixest_r2(model) else CC_NO_R2)
}

# fixest::r2(), bit for bit (tests/test_r_fixest.py), without its checks of arguments.
cc_fixest_r2 <- function(model) {
  shown <- names(model$coefficients)
  if (isTRUE(model$is_iv) || isTRUE(model$onlyFixef) || is.null(model$ssr_null) || !is.null(model$fixef_terms)) {
    return(fixest::r2(model, c("r2", "ar2", "wr2")))
  }
  n <- model$nobs
  absorbed <- !is.null(model$fixef_vars)
  intercept <- "(Intercept)" %in% shown
  out <- c(r2 = NA_real_, ar2 = NA_real_, wr2 = NA_real_)
  if (!(model$nparams == 1 && intercept)) {
    df <- 1 * (absorbed || intercept)
    out[["r2"]] <- 1 - model$ssr / model$ssr_null * (n - df) / (n - 1)
    out[["ar2"]] <- 1 - model$ssr / model$ssr_null * (n - df) / (n - model$nparams)
  }
  if (absorbed && !is.null(model$ssr_fe_only)) {
    effects <- model$nparams - length(shown)
    out[["wr2"]] <- 1 - model$ssr / model$ssr_fe_only * (n - effects) / (n - effects)
  }
  out
}

cc_fixest_ssc <- function(request) {
  s <- request$ssc
  key <- paste(unlist(s), collapse = " ")
  if (is.null(cc_state$ssc[[key]])) {
    cc_state$ssc[[key]] <- fixest::ssc(
      K.adj = s$k_adj, K.fixef = s$k_fixef, K.exact = FALSE, G.adj = s$g_adj, G.df = s$g_df, t.df = s$t_df
    )
  }
  cc_state$ssc[[key]]
}

# The word, or the formula of symbols, that fixest calls vcov.
cc_fixest_vcov <- function(request, needs, place) {
  type <- cc_vcov_type(request)
  simple <- c(iid = "iid", HC1 = "hetero", HC2 = "hc2", HC3 = "hc3")
  if (type %in% names(simple)) return(simple[[type]])
  if (type == "CRV3") cc_unsupported("fixest has no CRV3")
  if (type == "CRV1") {
    left <- as.name("cluster")
    right <- Reduce(function(a, b) call("+", a, b), lapply(needs$cluster, as.name))
  } else {
    lag_ <- request$vcov$lag
    left <- if (is.null(lag_)) call(type) else call(type, lag_)
    right <- as.name(needs$time)
    if (type == "NW" && !is.null(needs$unit)) right <- call("+", as.name(needs$unit), right)
  }
  out <- eval(call("~", left, right), place)
  environment(out) <- place
  out
}

# fixest 0.14 takes leverages without weights where there are no fixed effects, and from a design rebuilt with another
# reference level of i() where factor() stands beside it and two levels differ by case only. Leverages sum to the rank:
# where they do not, HC2 and HC3 are not what their names say.
cc_fixest_leverages <- function(model, type) {
  leverage <- tryCatch(stats::hatvalues(model), error = function(e) {
    cc_unsupported("fixest cannot compute leverages here: ", cc_text(e))
  })
  total <- sum(leverage)
  if (anyNA(leverage) || any(leverage > 1 - 1e-8)) cc_unsupported(type, " is not defined: an observation has leverage 1")
  if (!is.finite(total) || abs(total - round(total)) > 1e-6 || total > model$nparams + 0.5 || any(leverage < -1e-8)) {
    cc_unsupported("fixest's leverages sum to ", format(total, digits = 10L), ", not to the rank of the model (", type, ")")
  }
}

cc_fixest_summary <- function(fit, request, parts, needs) {
  model <- fit$model
  type <- cc_vcov_type(request)
  if (type %in% c("HC2", "HC3")) {
    if (isTRUE(model$is_iv)) cc_unsupported("fixest has no ", type, " after instruments")
    if (!is.null(model$weights) && is.null(model$fixef_vars)) {
      cc_unsupported("fixest's leverages leave the weights out where there are no fixed effects (", type, ")")
    }
    cc_fixest_leverages(model, type)
  }
  sunab <- "sunab" %in% parts$calls
  if (identical(request$options$call, "default")) return(summary(model))
  if (!sunab && !type %in% c("HC2", "HC3") && identical(fit$asked, list(request$vcov, request$ssc))) return(model)
  vcov_ <- cc_fixest_vcov(request, needs, cc_sealed(NW = fixest::NW, DK = fixest::DK))
  ssc_ <- cc_fixest_ssc(request)
  if (!sunab) return(summary(model, vcov = vcov_, ssc = ssc_))
  wanted <- request$options$aggregation
  agg <- switch(if (is.null(wanted)) "dynamic" else wanted,
    dynamic = "period", simple = "att", group = "cohort", none = FALSE, cc_unsupported("sunab has no aggregation ", wanted)
  )
  out <- summary(model, vcov = vcov_, ssc = ssc_, agg = agg)
  if (!is.null(fit$cell)) {
    rename <- function(x) replace(x, x == fit$cell$name, cc_fixest_cell_name(fit$cell, agg))
    rownames(out$coeftable) <- rename(rownames(out$coeftable))
    dimnames(out$cov.scaled) <- lapply(dimnames(out$cov.scaled), rename)
  }
  out
}

cc_fixest_result <- function(fit, summary_, request, frame, needs, seconds) {
  model <- fit$model
  table_ <- summary_$coeftable
  V <- summary_$cov.scaled
  level <- request$conf_level
  none <- is.null(table_) || !length(model$coefficients)
  df_t <- if (none) NULL else attr(V, "df.t")
  normal <- !none && grepl("^z", colnames(table_)[[3L]])
  named <- function(x) {
    x <- cc_display(frame, x)
    if (isTRUE(model$is_iv)) sub("^fit_", "", x) else x
  }
  coefs <- cc_coefs(character(0), numeric(0))
  same <- FALSE
  if (!none) {
    # The bounds of confint(), bit for bit (tests/test_r_fixest.py), without its checks of arguments.
    tails <- c((1 - level) / 2, 1 - (1 - level) / 2)
    critical <- if (normal) stats::qnorm(tails) else stats::qt(tails, df_t)
    coefs <- cc_coefs(
      named(rownames(table_)), table_[, 1L], table_[, 2L], table_[, 3L], table_[, 4L],
      table_[, 1L] + critical[[1L]] * table_[, 2L], table_[, 1L] + critical[[2L]] * table_[, 2L],
      df = if (normal) Inf else df_t
    )
    same <- identical(rownames(table_), rownames(V))
  }
  type <- cc_vcov_type(request)
  K <- if (none) NULL else attr(V, "df.K")
  sizes <- cc_fixest_clusters(model, frame, request, needs)
  stat <- function(name) if (is.na(fit$r2[[name]]) && !is.nan(fit$r2[[name]])) NULL else fit$r2[[name]]
  cc_result(
    "fixest", coefs,
    stats = list(
      nobs = as.double(model$nobs), r2 = stat("r2"), adj_r2 = stat("ar2"),
      r2_within = if (length(model$fixef_vars)) stat("wr2"), df_resid = as.double(model$nobs - model$nparams)
    ),
    conventions = cc_conventions(
      vcov = type, cluster = unlist(request$vcov$cluster), k = K, k_fixef = request$ssc$k_fixef,
      factor = if (!none) cc_fixest_factor(type, request$ssc, model$nobs, K, sizes), n_clusters = sizes$shown,
      distribution = if (normal) "normal" else "t", df_t = if (none) NULL else if (normal) Inf else as.double(df_t),
      singletons_dropped = 0L, rows_dropped = as.integer(frame$rows - model$nobs)
    ),
    vcov = if (same) unclass(V)[seq_len(nrow(V)), seq_len(ncol(V)), drop = FALSE],
    dropped = named(model$collin.var), seconds = seconds,
    extras = cc_fixest_extras(model, summary_, request),
    blocks = cc_fixest_rows(model, frame, request, needs)
  )
}

# What else is wanted of the fit: the log-likelihood, F statistics and further R2, as fixest has them.
cc_fixest_extras <- function(model, summary_, request) {
  also <- unlist(request$also)
  if (!length(also) || request$estimator == "sunab" || !length(model$coefficients)) return(NULL)
  iv <- isTRUE(model$is_iv)
  linear <- request$estimator == "feols"
  found <- list()
  stat <- function(name) {
    value <- tryCatch(suppressWarnings(fixest::fitstat(summary_, name, simplify = TRUE)), error = function(e) NA_real_)
    if (is.list(value)) value <- value$stat
    if (is.numeric(value) && length(value) == 1L && is.finite(value)) as.double(value)
  }
  if ("log_likelihood" %in% also) found$log_likelihood <- as.double(stats::logLik(model))
  if ("wald" %in% also) found$wald <- stat("wald")
  if (!iv && linear && "f" %in% also && request$vcov$type == "iid") found$f <- stat(if (length(model$fixef_vars)) "wf" else "f")
  if (!iv && linear && "adj_r2_within" %in% also && length(model$fixef_vars)) found$adj_r2_within <- stat("war2")
  if (!linear && "pseudo_r2" %in% also) found$pseudo_r2 <- stat("pr2")
  if (!linear && "deviance" %in% also) found$deviance <- as.double(stats::deviance(model))
  if (!length(found)) return(NULL)
  cc_rows(term = rep("", length(found)), quantity = names(found), value = unlist(found, use.names = FALSE))
}

# Fitted values and residuals over the rows of the data, NA where a row is not in the sample.
cc_fixest_rows <- function(model, frame, request, needs) {
  wanted <- intersect(c("fitted", "residuals"), unlist(request$also))
  if (request$estimator != "feols") wanted <- setdiff(wanted, "residuals")
  if (!length(wanted) || request$estimator == "sunab") return(list())
  complete <- rep(TRUE, frame$rows)
  for (s in c(needs$cluster, needs$unit, needs$time)) complete <- complete & !is.na(cc_values(frame, s, request))
  rows <- which(complete)[fixest::obs(model)]
  values <- matrix(NA_real_, length(wanted), frame$rows, dimnames = list(wanted, NULL))
  for (name in wanted) {
    values[name, rows] <- as.double(if (name == "fitted") stats::fitted(model) else stats::residuals(model))
  }
  list(cc_block("rows", values))
}

# Numbers of clusters of each dimension and of their intersection, or of periods, in the estimation sample.
cc_fixest_clusters <- function(model, frame, request, needs) {
  count <- function(x) length(unique(x))
  symbols <- if (length(needs$cluster)) needs$cluster else needs$time
  if (!length(symbols)) return(list(shown = integer(0), all = integer(0)))
  complete <- Reduce(`&`, lapply(c(needs$cluster, needs$unit, needs$time), function(s) !is.na(cc_values(frame, s, request))))
  rows <- which(complete)[fixest::obs(model)]
  values <- lapply(symbols, function(s) as.integer(factor(cc_values(frame, s, request)[rows])))
  shown <- vapply(values, count, 0L)
  both <- if (length(values) == 2L) count(paste(values[[1L]], values[[2L]]))
  list(shown = shown, all = c(shown, both))
}

# The factor on the unadjusted covariance, by the rule at the head of this file; NULL where there is no single one.
cc_fixest_factor <- function(type, ssc_, n, K, sizes) {
  if (is.null(K)) return(NULL)
  by_k <- if (!ssc_$k_adj) 1 else if (type == "HC1") n / (n - K) else (n - 1) / (n - K)
  if (type %in% c("iid", "HC1")) return(by_k)
  if (type %in% c("HC2", "HC3")) return(1)
  if (!ssc_$g_adj) return(by_k)
  if (type == "CRV1" && length(sizes$shown) == 2L && ssc_$g_df == "conventional") return(NULL)
  g <- min(sizes$shown)
  by_k * g / (g - 1)
}
