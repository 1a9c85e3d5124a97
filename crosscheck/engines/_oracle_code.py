"""Which lines of NumPy give the oracle's numbers by hand?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscheck.formula import INTERCEPT, Call, Formula, Name, emit_expr, functions, names, parse

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest

_LEVERAGE = "h = np.sum(w[:, None] * Z @ bread * Z, axis=1)"
_MEAT = {
    "iid": "V = bread * (u @ (w * u)) / (n - 1)",
    "HC1": "V = bread @ (s.T @ s) @ bread",
    "HC2": f"{_LEVERAGE}\nr = s / np.sqrt(1 - h)[:, None]\nV = bread @ (r.T @ r) @ bread",
    "HC3": f"{_LEVERAGE}\nr = s / (1 - h)[:, None]\nV = bread @ (r.T @ r) @ bread",
}


def write(request: FitRequest, data_path: str) -> str:
    """Return Python that reproduces the estimates and the unadjusted covariance with dummies and plain NumPy."""
    if request.estimator == "att_gt":
        return _att_gt(request, data_path)
    if not request.formula:
        return _through_engine(request, data_path)
    formula = parse(request.formula)
    simple = all(isinstance(f, Name) for term in formula.terms for f in term) and formula.iv is None
    if request.estimator != "feols" or not simple or "sunab" in functions(formula):
        return _through_engine(request, data_path)
    return _dummies(request, formula, data_path)


def _dummies(request: FitRequest, formula: Formula, data_path: str) -> str:
    lines = ["import numpy as np", "import pandas as pd", "", f"df = pd.read_csv({data_path!r})"]
    used = [formula.lhs.name] if isinstance(formula.lhs, Name) else []
    used += [f.name for term in formula.terms for f in term if isinstance(f, Name)]
    used += [name for fe in formula.fixed_effects for name in fe] + list(request.vcov.cluster)
    used += [request.weights.column] if request.weights else []
    lines.append(f"df = df.dropna(subset={list(dict.fromkeys(used))!r})")
    lines.append(f"y = {_column(formula.lhs)}")
    columns, labels = [], []
    if formula.intercept:
        columns.append("np.ones(len(df))")
        labels.append(INTERCEPT)
    for term in formula.terms:
        columns.append(" * ".join(_column(f) for f in term))
        labels.append(":".join(emit_expr(f, ticks=False) for f in term))
    lines.append(f"X = np.column_stack([{', '.join(columns)}])  # {', '.join(labels)}")
    lines.append("Z = X")
    for fe in formula.fixed_effects:
        key = f"df[{fe[0]!r}]" if len(fe) == 1 else f"df.groupby({list(fe)!r}).ngroup()"
        lines.append(f"Z = np.column_stack([Z, pd.get_dummies({key}).to_numpy(float)])")
    weight = f"df[{request.weights.column!r}].to_numpy(float)" if request.weights else "np.ones(len(df))"
    lines += [
        f"w = {weight}",
        "n, k = len(df), X.shape[1]",
        "bread = np.linalg.pinv(Z.T @ (w[:, None] * Z))",
        "b = bread @ (Z.T @ (w * y))",
        "u = y - Z @ b",
        "s = (w * u)[:, None] * Z",
    ]
    lines.append(_covariance(request))
    lines.append("print(b[:k], np.sqrt(np.diag(V))[:k])  # before the small-sample factor")
    return "\n".join(lines) + "\n"


def _column(expr: object) -> str:
    name = expr.name if isinstance(expr, Name) else emit_expr(expr, ticks=False)  # type: ignore[arg-type]
    return f"df[{name!r}].to_numpy(float)"


def _covariance(request: FitRequest) -> str:
    vcov = request.vcov
    if vcov.canonical in _MEAT:
        return _MEAT[vcov.canonical]
    if vcov.type == "CRV1":
        sums = [f"pd.DataFrame(s).groupby(df[{c!r}].to_numpy()).sum().to_numpy()" for c in vcov.cluster]
        if len(sums) == 1:
            return f"g = {sums[0]}; V = bread @ (g.T @ g) @ bread"
        both = f"pd.DataFrame(s).groupby(df.groupby({list(vcov.cluster)!r}).ngroup().to_numpy()).sum().to_numpy()"
        return f"a, c, i = {sums[0]}, {sums[1]}, {both}\nV = bread @ (a.T @ a + c.T @ c - i.T @ i) @ bread"
    return f"V = np.full_like(bread, np.nan)  # {vcov.type}: see crosscheck.closedform.covariance"


def _through_engine(request: FitRequest, data_path: str) -> str:
    kinds = _kinds(request)
    return (
        "\n".join(
            [
                "from pathlib import Path",
                "",
                "from crosscheck.data import load_data",
                "from crosscheck.engines.oracle import ENGINE",
                "from crosscheck.spec import FitRequest",
                "",
                f"request = FitRequest.model_validate({request.to_json()!r})",
                f"frame = load_data(Path({data_path!r}), {kinds!r})",
                "for row in ENGINE.fit(request, frame).coefs:",
                "    print(row.term, row.estimate, row.std_error)",
            ]
        )
        + "\n"
    )


def _kinds(request: FitRequest) -> dict[str, str]:
    """Name the columns a request uses and how each is read."""
    o = request.options
    categories = {*request.vcov.cluster, *filter(None, (request.unit, o.get("unit")))}
    numbers: list[str] = [c for c in (request.time, o.get("time"), o.get("y"), o.get("cohort")) if c]
    numbers += [*o.get("covariates", ())]
    numbers += [request.weights.column] if request.weights else []
    if request.formula:
        formula = parse(request.formula)
        categories |= {name for fe in formula.fixed_effects for name in fe}
        for term in formula.terms:
            for factor in term:
                if isinstance(factor, Call) and factor.function in ("i", "factor"):
                    categories |= {factor.args[0].name} if isinstance(factor.args[0], Name) else set()
        numbers += names(formula)
    plain = dict.fromkeys(n for n in numbers if n not in categories)
    if request.time in categories:
        return {
            **dict.fromkeys(sorted(categories), "category"),
            **dict.fromkeys(plain, "float"),
            request.time: "integer",
        }
    return {**dict.fromkeys(sorted(categories), "category"), **dict.fromkeys(plain, "float")}


def _att_gt(request: FitRequest, data_path: str) -> str:
    o = request.options
    unit, time = o.get("unit") or request.unit, o.get("time") or request.time
    plain = not o.get("covariates") and o.get("panel", True) and not o.get("allow_unbalanced") and not request.weights
    if not plain or o.get("aggregation", "none") != "none":
        return _through_engine(request, data_path)
    varying = o.get("base_period", "varying") == "varying"
    never = o.get("control_group", "nevertreated") == "nevertreated"
    rest = "cohort == 0" if never else "(cohort == 0) | ((cohort > max(t, b) + delta) & (cohort != g))"
    lines = [
        "import pandas as pd",
        "",
        f"df = pd.read_csv({data_path!r})",
        f"wide = df.pivot(index={unit!r}, columns={time!r}, values={o.get('y')!r}).dropna()",
        f"cohort = df.groupby({unit!r})[{o.get('cohort')!r}].first().reindex(wide.index).fillna(0)",
        f"times, delta = sorted(wide.columns), {o.get('anticipation', 0)}",
        "cohort[cohort > times[-1]] = 0",
        "for g in sorted(set(cohort[cohort > times[0] + delta])):",
        "    base = max(t for t in times if t + delta < g)",
        f"    for i, t in {'list(enumerate(times))[1:]' if varying else 'enumerate(times)'}:",
        f"        b = {'base if t >= g else times[i - 1]' if varying else 'base'}",
        *([] if varying else ["        if t == b:", "            continue"]),
        "        change, treated = wide[t] - wide[b], cohort == g",
        f"        control = {rest}",
        "        att = change[treated].mean() - change[control].mean()",
        "        var = change[treated].var(ddof=0) / treated.sum() + change[control].var(ddof=0) / control.sum()",
        '        print(f"ATT({g:g},{t:g})", att, var**0.5)',
    ]
    return "\n".join(lines) + "\n"
