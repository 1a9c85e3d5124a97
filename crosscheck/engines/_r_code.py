"""What would one type into R to get these numbers from the data file?

Text for a person to read and paste; it is shown in reports and never executed by crosscheck.
"""

from __future__ import annotations

import json
import re

from crosscheck.formula import Formula, functions, parse
from crosscheck.spec import FitRequest

_TICKED = re.compile(r"\"[^\"]*\"|'[^']*'|`([^`]*)`")
_PLAIN = re.compile(r"(?:[A-Za-z]|\.(?![0-9]))[A-Za-z0-9._]*")
_RESERVED = frozenset(
    (
        "if",
        "else",
        "repeat",
        "while",
        "function",
        "for",
        "next",
        "break",
        "in",
        "TRUE",
        "FALSE",
        "NULL",
        "Inf",
        "NaN",
        "NA",
        "T",
        "F",
    )
)


def bare(text: str) -> str:
    """Return a formula without the back-ticks that R does not need."""
    return _TICKED.sub(lambda m: m.group(0) if m.group(1) is None else name(m.group(1)), text)


def name(column: str) -> str:
    """Return a column as R code spells it."""
    return column if _PLAIN.fullmatch(column) and column not in _RESERVED else f"`{column}`"


def quoted(text: str) -> str:
    """Return an R string."""
    return json.dumps(text, ensure_ascii=False)


def _logical(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def _reading(*packages: str, data_path: str) -> list[str]:
    return [*(f"library({p})" for p in packages), f"d <- read.csv({quoted(data_path)}, check.names = FALSE)"]


def _call(head: str, arguments: list[str]) -> str:
    return f"{head}(\n  " + ",\n  ".join(arguments) + "\n)"


def _columns(names: tuple[str, ...] | list[str]) -> str:
    return "~ " + " + ".join(name(n) for n in names)


def _lagged(text: str) -> str:
    return re.sub(r"\blag\(", "l(", text)


def _fixest_ssc(request: FitRequest) -> str:
    s = request.ssc
    return (
        f"ssc(K.adj = {_logical(s.k_adj)}, K.fixef = {quoted(s.k_fixef)}, K.exact = FALSE, "
        f"G.adj = {_logical(s.g_adj)}, G.df = {quoted(s.g_df)}, t.df = {quoted(s.t_df)})"
    )


def _fixest_vcov(request: FitRequest) -> str:
    kind = request.vcov.canonical
    if kind == "CRV1":
        return _columns(request.vcov.cluster)
    if kind in ("NW", "DK"):
        lag = "" if request.vcov.lag is None else str(request.vcov.lag)
        order = [request.time] if kind == "DK" or request.unit is None else [request.unit, request.time]
        return f"{kind}({lag}) {_columns([o for o in order if o])}"
    return quoted({"iid": "iid", "HC1": "hetero", "HC2": "HC2", "HC3": "HC3"}.get(kind, kind))


def _two_stages(request: FitRequest, data_path: str) -> str:
    """Return R code for two-stage differences in differences: two regressions, and the GMM covariance of both."""
    o = request.options
    unit, time = o.get("unit") or request.unit or "", o.get("time") or request.time or ""
    covariates = [str(c) for c in o.get("covariates") or ()]
    used = list(dict.fromkeys((str(o["y"]), str(o["treated"]), unit, time, *covariates)))
    cluster = request.vcov.cluster[0] if request.vcov.cluster else unit
    left = name(str(o["y"]))
    right = " + ".join(map(name, covariates)) or "1"
    lines = [
        *_reading("fixest", data_path=data_path),
        f"d <- d[complete.cases(d[c({', '.join(map(quoted, used))})]), ]",
        f"out <- d[[{quoted(str(o['treated']))}]] == 1",
        *(f"d[[{quoted(c)}]] <- d[[{quoted(c)}]] - mean(d[[{quoted(c)}]][!out])" for c in covariates),
        f"first <- feols({left} ~ {right} | {name(unit)} + {name(time)}, d[!out, ], "
        'fixef.rm = "none", fixef.tol = 1e-10)',
        f"left <- d[[{quoted(str(o['y']))}]] - predict(first, newdata = d)",
        "effect <- mean(left[out])",
        "dummies <- function(g) outer(g, sort(unique(g)), `==`) * 1",
        "X <- cbind("
        + ", ".join([*(f"d[[{quoted(c)}]]" for c in covariates), *(f"dummies(d[[{quoted(c)}]])" for c in (unit, time))])
        + ")",
        "parts <- svd(X * !out)",
        "held <- parts$d > 1e-10 * parts$d[1]",
        "half <- parts$u[, held] %*% (t(parts$v[, held]) / parts$d[held])",
        "scores <- out * (left - effect) - (!out) * left * drop(half %*% colSums(X * out))",
        f"se <- sqrt(sum(rowsum(scores, d[[{quoted(cluster)}]])^2)) / sum(out)",
        "result <- cbind(Estimate = effect, `Std. Error` = se, z = effect / se, p = 2 * pnorm(-abs(effect / se)))",
        'rownames(result) <- "overall"',
        "print(result, digits = 15)",
    ]
    return "\n".join(lines) + "\n"


def fixest(request: FitRequest, data_path: str) -> str:
    """Return R code with fixest."""
    if request.estimator == "did2s":
        return _two_stages(request, data_path)
    head = {"fepois": "fepois", "feglm": "feglm"}.get(request.estimator, "feols")
    text = bare(request.formula)
    arguments = [_lagged(text), "data = d"]
    if request.estimator == "feglm":
        family = request.options.get("family", "logit")
        arguments.append("family = gaussian()" if family == "gaussian" else f"family = binomial({quoted(family)})")
    if request.weights is not None:
        arguments.append(f"weights = {_columns([request.weights.column])}")
    if "lag(" in text:
        arguments.append(f"panel.id = {_columns([request.unit or '', request.time or ''])}")
    arguments += [f"vcov = {_fixest_vcov(request)}", f"ssc = {_fixest_ssc(request)}", 'fixef.rm = "none"']
    asked = request.options.get("tolerance")
    tolerance = "1e-10" if asked is None else f"{asked:g}"
    arguments.append(f"fixef.tol = {tolerance}, fixef.iter = 20000, collin.tol = 1e-9, nthreads = 1, notes = FALSE")
    if head != "feols":
        arguments.append("glm.tol = 1e-10, glm.iter = 100")
    lines = [*_reading("fixest", data_path=data_path), "m <- " + _call(head, arguments)]
    if request.estimator == "sunab":
        words = {"simple": '"att"', "group": '"cohort"', "none": "FALSE"}
        lines.append(f"m <- summary(m, agg = {words.get(str(request.options.get('aggregation')), quoted('period'))})")
    lines += ["print(coeftable(m), digits = 15)", f"print(confint(m, level = {request.conf_level}), digits = 15)"]
    return "\n".join(lines) + "\n"


def _lag_lines(request: FitRequest, formula: Formula, text: str) -> tuple[list[str], str]:
    """Return lines that add lags as columns, and the formula that uses them."""
    if "lag" not in functions(formula):
        return [], text
    unit, time = quoted(request.unit or ""), quoted(request.time or "")
    lines = [
        "lag_of <- function(x, k) x[match(",
        f"  paste(d[[{unit}]], d[[{time}]] - k), paste(d[[{unit}]], d[[{time}]])",
        ")]",
    ]
    return lines, re.sub(r"\blag\(", "lag_of(", text)


def _lm_formula(formula: Formula, text: str) -> str:
    """Return lm's formula: fixed effects become dummies that come first, and i() becomes dummies by hand."""
    lhs, _, rest = text.partition(" ~ ")
    rhs = rest.split(" | ")[0]
    if not formula.fixed_effects:
        return text
    dummies = [
        f"factor({name(parts[0])})" if len(parts) == 1 else f"interaction({', '.join(map(name, parts))}, drop = TRUE)"
        for parts in formula.fixed_effects
    ]
    return f"{lhs} ~ " + " + ".join([*dummies, *([] if rhs == "1" else [rhs])])


def _indicator_lines(formula: Formula) -> list[str]:
    if "i" not in functions(formula):
        return []
    return [
        "i <- function(f, x = 1, ref = NULL) {",
        "  levels_ <- setdiff(levels(as.factor(f)), ref)",
        "  sapply(levels_, function(l) (f == l) * x)",
        "}",
    ]


def _df(request: FitRequest, n_minus_k: str) -> str:
    """Return R code for the degrees of freedom that the request asks for."""
    if request.ssc.t_df == "conventional" or request.vcov.canonical not in ("CRV1", "CRV3", "NW", "DK"):
        return n_minus_k
    groups = request.vcov.cluster or ((request.time,) if request.time else ())
    counts = [f"length(unique(used${name(g)}))" for g in groups]
    return f"{counts[0] if len(counts) == 1 else 'min(' + ', '.join(counts) + ')'} - 1"


def _lm_fit(request: FitRequest) -> list[str]:
    formula = parse(request.formula)
    lags, text = _lag_lines(request, formula, bare(request.formula))
    arguments = [_lm_formula(formula, text), "data = d"]
    if request.weights is not None:
        arguments.append(f"weights = {name(request.weights.column)}")
    return [
        *lags,
        *_indicator_lines(formula),
        f"m <- lm({', '.join(arguments)})",
        "used <- d[setdiff(seq_len(nrow(d)), m$na.action), ]",
    ]


def _testing(request: FitRequest, vcov: str, df: str) -> list[str]:
    return [
        f"V <- {vcov}",
        f"print(coeftest(m, vcov. = V, df = {df}), digits = 15)",
        f"print(coefci(m, vcov. = V, df = {df}, level = {request.conf_level}), digits = 15)",
    ]


def _sandwich(request: FitRequest) -> str:
    kind, s = request.vcov.canonical, request.ssc
    lag = "" if request.vcov.lag is None else f", lag = {request.vcov.lag}"
    if kind == "iid":
        return "vcov(m)"
    if kind in ("HC1", "HC2", "HC3"):
        return f"vcovHC(m, type = {quoted('HC0' if kind == 'HC1' and not s.k_adj else kind)})"
    if kind == "CRV3":
        return f'vcovCL(m, cluster = used[{quoted(request.vcov.cluster[0])}], type = "HC3", cadjust = FALSE)'
    if kind == "CRV1":
        columns = "c(" + ", ".join(quoted(c) for c in request.vcov.cluster) + ")"
        rule = quoted("HC1" if s.k_adj else "HC0")
        return f"vcovCL(m, cluster = used[{columns}], type = {rule}, cadjust = {_logical(s.g_adj)})"
    time = f"used${name(request.time or '')}"
    if kind == "NW" and request.unit is None:
        return f"NeweyWest(m{lag}, order.by = {time}, prewhite = FALSE, adjust = {_logical(s.k_adj)})"
    unit = f"used${name(request.unit or '')}" if kind == "NW" else "rep(1, nrow(used))"
    together = _logical(kind == "DK")
    return f"vcovPL(m, cluster = {unit}, order.by = {time}{lag}, aggregate = {together}, adjust = {_logical(s.k_adj)})"


def lm(request: FitRequest, data_path: str) -> str:
    """Return R code with lm, sandwich and lmtest."""
    lines = [*_reading("sandwich", "lmtest", data_path=data_path), *_lm_fit(request)]
    return "\n".join([*lines, *_testing(request, _sandwich(request), _df(request, "m$df.residual"))]) + "\n"


def clubsandwich(request: FitRequest, data_path: str) -> str:
    """Return R code with clubSandwich."""
    s = request.ssc
    kind = "CR1S" if s.k_adj else "CR1" if s.g_adj else "CR0"
    formula = parse(request.formula)
    cluster = quoted(request.vcov.cluster[0]) if request.vcov.cluster else '""'
    if s.k_adj and s.k_fixef == "none" and formula.fixed_effects:
        lines = [*_reading("plm", "clubSandwich", "lmtest", data_path=data_path), *_plm_fit(request)]
        side = "individual" if request.vcov.cluster == (request.unit,) else "time"
        vcov = f"vcovCR(m, cluster = {quoted(side)}, type = {quoted(kind)})"
    else:
        lines = [*_reading("clubSandwich", "lmtest", data_path=data_path), *_lm_fit(request)]
        vcov = f"vcovCR(m, cluster = used[[{cluster}]], type = {quoted(kind)})"
    return "\n".join([*lines, *_testing(request, vcov, _df(request, "m$df.residual"))]) + "\n"


def _plm_fit(request: FitRequest) -> list[str]:
    formula = parse(request.formula)
    lags, text = _lag_lines(request, formula, bare(request.formula).split(" | ")[0])
    unit, time = request.unit or "", request.time or ""
    absorbed = {parts[0] for parts in formula.fixed_effects}
    effect = {frozenset((unit,)): "individual", frozenset((time,)): "time"}.get(frozenset(absorbed), "twoways")
    arguments = [text, "data = d", f"index = c({quoted(unit)}, {quoted(time)})"]
    if request.estimator == "re":
        method = str(request.options.get("method", "swar"))
        arguments += [
            'model = "random"',
            f"effect = {quoted(str(request.options.get('effect', 'individual')))}",
            f"random.method = {quoted(method)}",
        ]
        if method in ("walhus", "amemiya"):
            arguments.append("random.dfcor = c(3, 3)")
    elif request.estimator == "between":
        arguments.append('model = "between"')
    elif absorbed:
        arguments += ['model = "within"', f"effect = {quoted(effect)}"]
    else:
        arguments.append('model = "pooling"')
    used = "used <- d[rownames(m$model), ]"
    return [*lags, *_indicator_lines(formula), "m <- " + _call("plm", arguments), used]


def plm(request: FitRequest, data_path: str) -> str:
    """Return R code with plm."""
    kind, s = request.vcov.canonical, request.ssc
    rule = quoted("sss" if s.k_adj else "HC0")
    lag = "" if request.vcov.lag is None else f", maxlag = {request.vcov.lag}"
    side = "time" if request.vcov.cluster == (request.time,) else "group"
    vcov = {
        "iid": "vcov(m)",
        "HC1": f'vcovHC(m, method = "white1", type = {quoted("HC1" if s.k_adj else "HC0")})',
        "HC2": 'vcovHC(m, method = "white1", type = "HC2")',
        "HC3": 'vcovHC(m, method = "white1", type = "HC3")',
        "NW": f"vcovNW(m, type = {rule}{lag})",
        "DK": f"vcovSCC(m, type = {rule}{lag})",
        "CRV1": f"vcovDC(m, type = {rule})"
        if len(request.vcov.cluster) == 2
        else f'vcovHC(m, method = "arellano", type = {rule}, cluster = {quoted(side)})',
    }.get(kind, "vcov(m)")
    df = "Inf" if request.estimator == "re" else _df(request, "m$df.residual")
    lines = [*_reading("plm", "lmtest", data_path=data_path), *_plm_fit(request), *_testing(request, vcov, df)]
    if request.estimator == "re":
        lines.append("print(ercomp(m))")
    return "\n".join(lines) + "\n"


def did(request: FitRequest, data_path: str) -> str:
    """Return R code with did."""
    o = request.options
    unit, time = o.get("unit") or request.unit, o.get("time") or request.time
    covariates = [str(c) for c in o.get("covariates", ())]
    arguments = [f"yname = {quoted(str(o.get('y', '')))}, tname = {quoted(str(time))}"]
    lines = _reading("did", data_path=data_path)
    if unit is not None:
        lines.append(f"d$unit_number <- as.integer(factor(d[[{quoted(str(unit))}]]))  # did wants numbers")
        arguments.append('idname = "unit_number"')
    arguments += [
        f"gname = {quoted(str(o.get('cohort', '')))}",
        f"xformla = {_columns(covariates) if covariates else '~ 1'}",
        "data = d",
        f"panel = {_logical(bool(o.get('panel', True)))}, "
        f"allow_unbalanced_panel = {_logical(bool(o.get('allow_unbalanced', False)))}",
        f"control_group = {quoted(str(o.get('control_group', 'nevertreated')))}",
        f"est_method = {quoted(str(o.get('est_method', 'dr')))}",
        f"base_period = {quoted(str(o.get('base_period', 'varying')))}, anticipation = {o.get('anticipation', 0)}",
        f"alp = {1 - request.conf_level:.15g}, bstrap = FALSE, cband = FALSE",
    ]
    if request.weights is not None:
        arguments.insert(-1, f"weightsname = {quoted(request.weights.column)}")
    lines.append("m <- " + _call("att_gt", arguments))
    aggregation = str(o.get("aggregation", "none"))
    if aggregation == "none":
        lines.append("print(data.frame(group = m$group, t = m$t, att = m$att, se = m$se), digits = 15)")
        return "\n".join(lines) + "\n"
    window = [f"type = {quoted(aggregation)}"]
    window += [f"{key} = {o[key]}" for key in ("balance_e", "min_e", "max_e") if o.get(key) is not None]
    lines.append(f"a <- aggte(m, {', '.join(window)}, bstrap = FALSE, cband = FALSE)")
    lines.append("print(c(a$overall.att, a$overall.se), digits = 15)")
    if aggregation != "simple":
        lines.append("print(data.frame(a$egt, a$att.egt, a$se.egt), digits = 15)")
    return "\n".join(lines) + "\n"
