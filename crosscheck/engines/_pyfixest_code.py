"""What would one type to get pyfixest's numbers by hand?"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crosscheck.engines._pyfixest_covariance import NO_FACTOR
from crosscheck.engines._shared import reading_lines
from crosscheck.formula import Binary, Call, Expr, Formula, Name, Negative, Number, Term, Text, names, parse
from crosscheck.syntax import number_text

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest

RESERVED = frozenset(
    {
        "C",
        "I",
        "Q",
        "T",
        "i",
        "log",
        "exp",
        "sqrt",
        "abs",
        "np",
        "poly",
        "bs",
        "cr",
        "cs",
        "cc",
        "lag",
        "center",
        "scale",
    }
    | {"standardize", "hashed", "sw", "csw", "sw0", "csw0", "mvsw", "contr", "sum", "mean", "df", "pd", "pf"}
)


def plain_names(columns: tuple[str, ...]) -> dict[str, str]:
    """Map columns to names that a Python formula takes: themselves where they are plain, else ``v1``, ``v2``, ..."""
    taken, mapped = set(columns), {}
    counter = 0
    for name in columns:
        if name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED:
            mapped[name] = name
            continue
        counter += 1
        while f"v{counter}" in taken:
            counter += 1
        mapped[name] = f"v{counter}"
    return mapped


def expression(expr: Expr, names_: Mapping[str, str]) -> str:
    """Write an expression as Python that formulaic evaluates."""
    if isinstance(expr, Name):
        return names_[expr.name]
    if isinstance(expr, Number):
        return number_text(expr.value)
    if isinstance(expr, Text):
        return repr(expr.value)
    if isinstance(expr, Negative):
        return f"-({expression(expr.operand, names_)})"
    if isinstance(expr, Binary):
        operator = "**" if expr.operator == "^" else expr.operator
        return f"({expression(expr.left, names_)} {operator} {expression(expr.right, names_)})"
    if expr.function == "lag":
        return lag_name(expr, names_)
    function = {"factor": "C", "exp": "np.exp", "sqrt": "np.sqrt", "abs": "np.abs"}.get(expr.function, expr.function)
    args = [expression(a, names_) for a in expr.args]
    if expr.ref is not None:
        args.append(f"ref={expression(expr.ref, names_)}")
    return f"{function}({', '.join(args)})"


def lag_name(call: Call, names_: Mapping[str, str]) -> str:
    """Return the column that holds a lag."""
    column, periods = call.args
    assert isinstance(column, Name)
    assert isinstance(periods, Number)
    return f"{names_[column.name]}_lag{int(periods.value)}".replace("-", "m")


def right_hand_side(terms: tuple[Term, ...], names_: Mapping[str, str]) -> str:
    """Write terms."""
    return " + ".join(":".join(expression(f, names_) for f in term) for term in terms)


def formula_text(formula: Formula, names_: Mapping[str, str]) -> str:
    """Write a formula in pyfixest's language."""
    rhs = right_hand_side(formula.terms, names_) or "1"
    if not (formula.intercept or formula.fixed_effects):
        rhs = f"-1 + {rhs}"
    parts = [f"{expression(formula.lhs, names_)} ~ {rhs}"]
    if formula.fixed_effects:
        parts.append(" + ".join("^".join(names_[n] for n in fe) for fe in formula.fixed_effects))
    if formula.iv is not None:
        sides = (right_hand_side(t, names_) for t in (formula.iv.endogenous, formula.iv.instruments))
        parts.append(" ~ ".join(sides))
    return " | ".join(parts)


def _two_stages(request: FitRequest, data_path: str) -> str:
    """Return lines of Python that ask pyfixest's ``did2s()``."""
    o = request.options
    unit, time = str(o.get("unit") or request.unit), str(o.get("time") or request.time)
    covariates = [str(c) for c in o.get("covariates") or ()]
    cluster = request.vcov.cluster[0] if request.vcov.cluster else unit
    used = tuple(dict.fromkeys((str(o["y"]), str(o["treated"]), unit, time, *covariates, cluster)))
    names_ = plain_names(used)
    renamed = {c: n for c, n in names_.items() if c != n}
    first = f"~ {' + '.join(names_[c] for c in covariates) or '0'} | {names_[unit]} + {names_[time]}"
    lines = ["import pandas as pd", "import pyfixest as pf", "", f"df = pd.read_csv({data_path!r})"]
    lines += [f"df = df.rename(columns={renamed!r})"] if renamed else []
    lines += [
        f"df = df.dropna(subset={[names_[c] for c in used]!r})",
        f"df['effect'] = df[{names_[str(o['treated'])]!r}].astype(float)",
        f"fit = pf.did2s(df, yname={names_[str(o['y'])]!r}, first_stage={first!r}, second_stage='~ effect',",
        f"    treatment={names_[str(o['treated'])]!r}, cluster={names_[cluster]!r})",
        f"print(fit.tidy(alpha={1 - request.conf_level:.12g}).to_string(float_format='%.12g'))",
    ]
    return "\n".join(lines) + "\n"


def write(request: FitRequest, data_path: str) -> str:
    """Return lines of Python."""
    if request.estimator == "did2s":
        return _two_stages(request, data_path)
    formula = parse(request.formula)
    weights = (request.weights.column,) if request.weights else ()
    ids = tuple(filter(None, (request.unit, request.time)))
    columns = tuple(dict.fromkeys((*names(formula), *request.vcov.cluster, *weights, *ids)))
    names_ = plain_names(columns)
    lines = ["import numpy as np", "import pandas as pd", "import pyfixest as pf", ""]
    lines += reading_lines(request, formula, names_, data_path)
    text = repr(formula_text(formula, names_))
    call = next((f for term in formula.terms for f in term if isinstance(f, Call) and f.function == "sunab"), None)
    if call is not None:
        lines += _cell_lines(call, [names_[c] for c in columns], names_)
        text = text.replace(expression(call, names_), "' + ' + '.join(cells) + '")
    vcov, kwargs = _covariance_text(request, names_, lines)
    later = bool(kwargs) and formula.iv is not None
    lines += [
        f"fit = pf.{'feols' if request.estimator == 'sunab' else request.estimator}(",
        f"    {text},",
        "    data=df,",
        "    vcov='iid'," if later else f"    vcov={vcov},",
        *([f"    vcov_kwargs={kwargs},"] if kwargs and not later else []),
        *_option_lines(request, names_),
        ")",
        *([f"fit.vcov({vcov}, vcov_kwargs={kwargs})"] if later else []),
    ]
    if call is None:
        lines.append(f"print(fit.tidy(alpha={1 - request.conf_level:.12g}).to_string(float_format='%.12g'))")
    else:
        lines += _average_lines(request, call, names_)
    return "\n".join(lines) + "\n"


def _covariance_text(request: FitRequest, names_: Mapping[str, str], lines: list[str]) -> tuple[str, str]:
    """Return ``vcov`` and ``vcov_kwargs``; adds the columns that they need to the lines."""
    vcov = request.vcov.canonical
    if request.vcov.cluster:
        own = [f"cluster{i}" for i, _ in enumerate(request.vcov.cluster, 1)]
        lines += [f"df[{new!r}] = df[{names_[c]!r}]" for new, c in zip(own, request.vcov.cluster, strict=True)]
        lines[-1] += "  # a name of its own: pyfixest 0.60 may count the wrong fixed effect as nested otherwise"
        return repr({vcov: "+".join(own)}), ""
    if vcov not in ("NW", "DK") or request.time is None:
        return repr(vcov), ""
    time = names_[request.time]
    lag = f"lag=int(df[{time!r}].nunique() ** 0.25)" if request.vcov.lag is None else f"lag={request.vcov.lag}"
    panel = f", panel_id={names_[request.unit]!r}" if request.unit else ""
    if vcov == "DK":
        lines.append('df["row"] = np.arange(len(df))')
        panel = ", panel_id='row'"
    return repr(vcov), f"dict(time_id={time!r}, {lag}{panel})"


def _option_lines(request: FitRequest, names_: Mapping[str, str]) -> list[str]:
    from crosscheck.engines import pyfixest as engine

    s, plain = request.ssc, request.vcov.canonical in NO_FACTOR
    tol, iwls_tol = engine.tolerances(request)
    words = f"k_adj={s.k_adj and not plain}, k_fixef={s.k_fixef!r}, G_adj={s.g_adj and not plain}, G_df={s.g_df!r}"
    lines = [f"    ssc=pf.ssc({words}),"]
    if request.weights:
        kind = "fweights" if request.weights.type == "frequency" else "aweights"
        lines.append(f"    weights={names_[request.weights.column]!r}, weights_type={kind!r},")
    if request.estimator == "feglm":
        lines.append(f"    family={request.options['family']!r}, accelerate=False,")
    if request.estimator in engine.ITERATED:
        lines.append(f"    iwls_tol={iwls_tol}, iwls_maxiter={engine.IWLS_MAXITER}, separation_check=[],")
    return [
        *lines,
        f"    fixef_rm='none', collin_tol={engine.COLLIN_TOL},",
        f"    demeaner=pf.LsmrDemeaner(fixef_atol={tol}, fixef_btol={tol}),",
    ]


def _cell_lines(call: Call, used: list[str], names_: Mapping[str, str]) -> list[str]:
    """Make the dummies of cohort and relative period."""
    cohort, period = (expression(a, names_) for a in call.args)
    return [
        f"periods = df.dropna(subset=[{cohort!r}, {period!r}])[{period!r}].unique()",
        f"df = df.dropna(subset={used!r}).reset_index(drop=True)",
        f"treated = df[{cohort!r}].isin(periods)",
        f"df['relative'] = (df[{period!r}] - df[{cohort!r}]).where(treated, -1)",
        f"first, last = (df.groupby({cohort!r})['relative'].transform(f) for f in ('min', 'max'))",
        "df['effect'] = last >= 0  # the other cohorts are never treated",
        "df = df[~((first >= 0) & df['effect'])].reset_index(drop=True)  # always treated",
        f"pairs = sorted(set(zip(df['relative'][df['effect']], df[{cohort!r}][df['effect']])))",
        "pairs = [(e, g) for e, g in pairs if e != -1]",
        "cells = [f'cell{j}' for j in range(len(pairs))]",
        "for cell, (e, g) in zip(cells, pairs):",
        f"    df[cell] = ((df['relative'] == e) & (df[{cohort!r}] == g)).astype(float)",
    ]


def _average_lines(request: FitRequest, call: Call, names_: Mapping[str, str]) -> list[str]:
    """Average the cells' coefficients with their shares as weights."""
    period = expression(call.args[1], names_)
    how = request.options.get("aggregation", "dynamic")
    key = {"dynamic": f"f'{period}::{{e}}'", "simple": "'ATT'", "group": "f'cohort::{g}'"}.get(
        how, f"f'{period}::{{e}}:cohort::{{g}}'"
    )
    kept = "e >= 0 and " if how in ("simple", "group") else ""
    size = f"df[{names_[request.weights.column]!r}]" if request.weights else "1.0"
    return [
        "estimates, V = fit.coef(), pd.DataFrame(fit._vcov, index=fit._coefnames, columns=fit._coefnames)",
        "groups = {}",
        "for cell, (e, g) in zip(cells, pairs):",
        f"    if {kept}cell in estimates.index:",
        f"        groups.setdefault({key}, []).append(cell)",
        "effects = {}",
        "for name, members in groups.items():",
        f"    shares = (df[members].mul({size}, axis=0)).sum()",
        "    shares = shares / shares.sum()",
        "    variance = shares @ V.loc[members, members] @ shares",
        "    effects[name] = (shares @ estimates[members], variance**0.5)",
        "print(pd.DataFrame(effects, index=['estimate', 'std_error']).T.to_string(float_format='%.12g'))",
    ]
