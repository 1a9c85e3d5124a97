# What does plm say? Pooling, within (unit, time, both), between, and random effects.
#
# K in vcov(plm) is N - df.residual: slopes and effects. K in vcovHC and its kin is the columns of the transformed design,
# the slopes alone in within models (k_fixef = "none").
#   iid   vcov(plm)                                  HC1  vcovHC white1, type HC1: N / (N - K); HC0 without k_adj
#   CRV1  vcovHC arellano, type sss: G / (G - 1) (N - 1) / (N - K); HC0 has no factor; vcovDC for unit and time
#   NW    vcovNW, DK vcovSCC: HC0 no factor; vcovSCC's sss is T / (T - 1) (N - 1) / (N - K)
# Random effects: variance components from quadratic forms set equal to their exact expectations (random.dfcor = c(3, 3)),
# as Baltagi prints them; plm's own default degrees of freedom are another convention. Inference is normal, as plm's
# summary has it; in the other models t.

CC_DFCOR <- c(3, 3)

cc_fit_plm <- function(request, frame) {
  began <- Sys.time()
  if (is.null(request$unit) || is.null(request$time)) cc_unsupported("plm needs the study's unit and time")
  if (!is.null(request$weights)) cc_unsupported("plm has no weights for panel models")
  parts <- cc_formula(request$formula, frame)
  needs <- cc_vcov_symbols(request, frame)
  id <- list("plm", request$estimator, request$formula, needs, request$unit, request$time, request$options)
  fit <- cc_remember(frame, id, cc_plm_model(request, frame, parts, needs))
  n <- as.double(stats::nobs(fit$model))
  random <- request$estimator == "re"
  K <- cc_request_k(request, length(stats::coef(fit$model)), fit$effects, fit$effect_names, fit$clusters)
  V <- cc_plm_vcov(request, frame, fit, n, K)
  sizes <- cc_group_sizes(fit)
  df <- if (random) Inf else cc_request_df(request, n, K, sizes)
  shown <- names(stats::coef(fit$model))
  tested <- cc_shown_inference(stats::coef(fit$model), V$matrix, shown, df, request$conf_level)
  seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))
  cc_plm_result(request, frame, fit, tested, V, n, K, df, sizes, seconds)
}

# "individual", "time", "twoways", "pooling", or "" where the fixed effects are others than the panel's own.
cc_plm_effect <- function(request, frame, parts) {
  if (!length(parts$fe)) return("pooling")
  if (is.null(request$unit) || is.null(request$time) || any(lengths(parts$fe) != 1L)) return("")
  unit <- cc_symbol(frame, request$unit, "category")
  time <- cc_symbol(frame, request$time, "category")
  names_ <- unlist(parts$fe)
  if (setequal(names_, unit)) return("individual")
  if (setequal(names_, time)) return("time")
  if (setequal(names_, c(unit, time))) return("twoways")
  ""
}

cc_plm_model <- function(request, frame, parts, needs) {
  cc_need("plm")
  if (!is.null(parts$instruments)) cc_unsupported("instruments of plm are not asked for")
  if ("sunab" %in% parts$calls) cc_unsupported("plm has no sunab()")
  unit <- cc_symbol(frame, request$unit, "category")
  time <- cc_symbol(frame, request$time, "category")
  effect <- cc_plm_effect(request, frame, parts)
  if (effect == "") cc_unsupported("plm absorbs the panel's unit and time only")
  data <- cc_finite(cc_data(frame, c(unit, time, parts$used, needs$cluster), request, c(unit, time, needs$cluster)))
  if (request$estimator == "feols") {
    needed <- c(parts$used, needs$cluster)
    whole <- cc_finite(cc_data(frame, unique(c(unit, time, needed)), request, needs$cluster))
    lost <- !stats::complete.cases(whole[c(unit, time)])
    if (any(lost & stats::complete.cases(whole[needed]))) {
      cc_unsupported("plm needs the unit and period of every row, also where the model does not use them")
    }
  }
  if (anyDuplicated(data[c(unit, time)])) cc_unsupported("plm needs one row for each unit and time")
  # clubSandwich evaluates the call of the model, which names plm's namespace, where the formula is evaluated.
  place <- cc_sealed(i = cc_indicator, "::" = base::`::`)
  rhs <- if (effect == "pooling") parts$rhs else cc_without_intercept(parts$rhs)
  if (is.null(rhs)) cc_unsupported("plm needs a regressor")
  formula_ <- eval(call("~", parts$lhs, rhs), place)
  environment(formula_) <- place
  kind <- switch(request$estimator, feols = if (effect == "pooling") "pooling" else "within", re = "random",
    between = "between", cc_unsupported("plm has no ", request$estimator)
  )
  if (kind %in% c("random", "between")) {
    if (effect != "pooling") cc_unsupported("random effects and between models take no fixed effects")
    effect <- if (kind == "between") "individual" else request$options$effect
  }
  arguments <- list(formula_, data = data, index = c(unit, time), model = kind)
  if (kind != "pooling") arguments$effect <- effect
  if (kind == "random") {
    if (request$options$method == "ml") cc_unsupported("plm has no maximum likelihood")
    arguments$random.method <- request$options$method
    if (request$options$method %in% c("walhus", "amemiya")) arguments$random.dfcor <- CC_DFCOR
  }
  model <- do.call(plm::plm, arguments, quote = TRUE)
  # plm sorts the rows, and leaves some out where a lag has none before it: they are known by unit and period
  index_ <- attr(model$model, "index")
  rows <- match(paste(index_[[1L]], index_[[2L]], sep = "\r"), paste(data[[unit]], data[[time]], sep = "\r"))
  used <- data[rows, , drop = FALSE]
  spelled <- cc_indicator_names(cc_calls_of(rhs, "i"), used, place)
  rename <- function(x) {
    hit <- x %in% names(spelled)
    x[hit] <- spelled[x[hit]]
    cc_display(frame, x)
  }
  codes <- function(x) as.integer(factor(x))
  list(
    model = model, data = data, kind = kind, effect = effect, rename = rename,
    dropped = if (kind != "between") {
      rename(setdiff(colnames(stats::model.matrix(model, model = "pooling")), c(names(stats::coef(model)), "(Intercept)")))
    },
    effects = lapply(parts$fe, function(f) codes(used[[f]])), effect_names = parts$fe,
    clusters = lapply(stats::setNames(needs$cluster, needs$cluster), function(s) codes(used[[s]])),
    unit_symbol = unit, time_symbol = time, time = if (!is.null(needs$time)) codes(used[[time]]),
    periods = length(unique(used[[time]])), units = length(unique(used[[unit]]))
  )
}

cc_plm_vcov <- function(request, frame, fit, n, K) {
  type <- cc_vcov_type(request)
  ssc_ <- request$ssc
  model <- fit$model
  counted <- length(stats::coef(model))
  if (type == "iid") {
    if (!ssc_$k_adj) cc_unsupported("plm divides by N - K; k_adj = false asks for N - 1")
    cc_same_k(K, n - model$df.residual, "plm")
    return(list(matrix = cc_complete(stats::vcov(model)), factor = (n - 1) / (n - K)))
  }
  if (fit$kind == "between") cc_unsupported("of the between estimator only the iid covariance is asked for")
  if (type == "CRV3") cc_unsupported("plm has no CRV3")
  if (type %in% c("HC2", "HC3") && fit$kind != "pooling") {
    cc_unsupported("plm's leverages leave the fixed effects out")
  }
  if (ssc_$k_adj && type %in% c("HC1", "CRV1", "NW", "DK")) cc_same_k(K, counted, "plm's vcovHC")
  by_k <- if (ssc_$k_adj) (n - 1) / (n - K) else 1
  if (type %in% c("HC1", "HC2", "HC3")) {
    word <- if (type == "HC1" && !ssc_$k_adj) "HC0" else type
    V <- plm::vcovHC(model, method = "white1", type = word, cluster = "group")
    return(list(matrix = cc_complete(V), factor = if (word == "HC1") n / (n - K) else 1))
  }
  if (ssc_$k_adj != ssc_$g_adj) cc_unsupported("plm has both factors (type sss) or none (HC0)")
  word <- if (ssc_$k_adj) "sss" else "HC0"
  if (type == "CRV1") return(cc_plm_clustered(request, fit, word, by_k))
  lag_ <- request$vcov$lag
  if (is.null(lag_)) lag_ <- floor(fit$periods^0.25)
  if (type == "NW" && word == "sss") cc_unsupported("plm's vcovNW has N / (N - K) where T / (T - 1) (N - 1) / (N - K) is asked for")
  V <- if (type == "NW") plm::vcovNW(model, type = word, maxlag = lag_) else plm::vcovSCC(model, type = word, maxlag = lag_)
  cc_positive(V)
  list(matrix = cc_complete(V), factor = if (word == "sss") by_k * fit$periods / (fit$periods - 1) else 1)
}

cc_plm_clustered <- function(request, fit, word, by_k) {
  names_ <- names(fit$clusters)
  sides <- c(group = fit$unit_symbol, time = fit$time_symbol)
  if (!all(names_ %in% sides)) cc_unsupported("plm clusters by the panel's unit and time only")
  if (length(names_) == 2L) {
    if (word == "sss" && request$ssc$g_df == "min") {
      cc_unsupported("plm gives each dimension its own G / (G - 1); g_df = \"min\" asks for the smallest")
    }
    V <- plm::vcovDC(fit$model, type = word)
    cc_positive(V)
    return(list(matrix = cc_complete(V), factor = if (word == "HC0") 1))
  }
  V <- plm::vcovHC(fit$model, method = "arellano", type = word, cluster = names(sides)[sides == names_])
  g <- length(unique(fit$clusters[[1L]]))
  list(matrix = cc_complete(V), factor = if (word == "sss") by_k * g / (g - 1) else 1)
}

cc_plm_result <- function(request, frame, fit, tested, V, n, K, df, sizes, seconds) {
  model <- fit$model
  within_ <- fit$kind == "within"
  # plm's is a squared correlation, which without a constant is not 1 - SSR / TSS.
  has_r2 <- within_ || attr(stats::terms(stats::formula(model)), "intercept") == 1L
  r2 <- if (has_r2) plm::r.squared(model)
  adjusted <- if (has_r2) plm::r.squared(model, dfcor = TRUE)
  cc_result(
    "plm",
    cc_coefs(
      fit$rename(tested$names), tested$estimate, tested$std_error, tested$statistic, tested$p_value, tested$low,
      tested$high, df = df
    ),
    stats = list(
      nobs = n, r2 = if (!within_) r2, adj_r2 = if (!within_) adjusted, r2_within = if (within_) r2,
      df_resid = as.double(model$df.residual)
    ),
    conventions = cc_conventions(
      vcov = cc_vcov_type(request), cluster = unlist(request$vcov$cluster), k = K, k_fixef = request$ssc$k_fixef,
      factor = V$factor, n_clusters = sizes, distribution = if (is.finite(df)) "t" else "normal", df_t = as.double(df),
      singletons_dropped = 0L, rows_dropped = if (fit$kind != "between") as.integer(frame$rows - length(model$residuals))
    ),
    vcov = unname(V$matrix), dropped = fit$dropped, extras = cc_plm_components(fit), seconds = seconds,
    packages = c("plm", "lmtest")
  )
}

# Standard deviations of the error components, and the share of the unit's variance.
cc_plm_components <- function(fit) {
  if (fit$kind != "random") return(NULL)
  sigma2 <- plm::ercomp(fit$model)$sigma2
  named <- c(sigma_mu = "id", sigma_lambda = "time", sigma_nu = "idios")
  named <- named[named %in% names(sigma2)]
  variances <- pmax(unlist(sigma2[named]), 0)
  values <- stats::setNames(sqrt(variances), names(named))
  if ("id" %in% named && length(named) == 2L) {
    values <- c(values, rho = unname(variances[["id"]] / sum(variances)))
  }
  cc_rows(term = names(values), quantity = rep("estimate", length(values)), value = unname(values))
}
