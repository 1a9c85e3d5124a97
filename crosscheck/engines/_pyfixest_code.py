"""What would one type to get pyfixest's numbers by hand?"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import TYPE_CHECKING

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


def write(request: FitRequest, data_path: str) -> str:
    """Return lines of Python."""
    from crosscheck.engines import pyfixest as engine

    formula = parse(request.formula)
    weights = (request.weights.column,) if request.weights else ()
    ids = tuple(filter(None, (request.unit, request.time)))
    columns = tuple(dict.fromkeys((*names(formula), *request.vcov.cluster, *weights, *ids)))
    names_ = plain_names(columns)
    lines = ["import numpy as np", "import pandas as pd", "import pyfixest as pf", ""]
    lines += reading_lines(request, formula, names_, data_path)
    vcov = request.vcov.canonical
    vcov_text, kwargs = repr(vcov), ""
    if request.vcov.cluster:
        own = []
        for i, name in enumerate(request.vcov.cluster, 1):
            own.append(f"cluster{i}")
            lines.append(f'df["cluster{i}"] = df[{names_[name]!r}]')
        lines[-1] += "  # a name of its own: pyfixest 0.60 may count the wrong fixed effect as nested otherwise"
        vcov_text = repr({vcov: " + ".join(own)})
    elif vcov in ("NW", "DK") and request.time is not None:
        lag = (
            f"lag={request.vcov.lag}"
            if request.vcov.lag is not None
            else (f"lag=int(df[{names_[request.time]!r}].nunique() ** 0.25)")
        )
        panel = f", panel_id={names_[request.unit]!r}" if request.unit else ""
        kwargs = f"dict(time_id={names_[request.time]!r}, {lag}{panel})"
    later = bool(kwargs) and formula.iv is not None
    plain = vcov in engine.NO_FACTOR
    s = request.ssc
    lines += [
        f"fit = pf.{request.estimator}(",
        f"    {formula_text(formula, names_)!r},",
        "    data=df,",
        "    vcov='iid'," if later else f"    vcov={vcov_text},",
        *([f"    vcov_kwargs={kwargs},"] if kwargs and not later else []),
        f"    ssc=pf.ssc(k_adj={s.k_adj and not plain}, k_fixef={s.k_fixef!r}, "
        f"G_adj={s.g_adj and not plain}, G_df={s.g_df!r}),",
    ]
    if request.weights:
        kind = "fweights" if request.weights.type == "frequency" else "aweights"
        lines.append(f"    weights={names_[request.weights.column]!r}, weights_type={kind!r},")
    if request.estimator == "fepois":
        lines.append(f"    iwls_tol={engine.IWLS_TOL}, iwls_maxiter={engine.IWLS_MAXITER}, separation_check=[],")
    tol = engine.DEMEANER_TOL
    lines += [
        f"    fixef_rm='none', collin_tol={engine.COLLIN_TOL},",
        f"    demeaner=pf.LsmrDemeaner(fixef_atol={tol}, fixef_btol={tol}),",
        ")",
        *([f"fit.vcov({vcov_text}, vcov_kwargs={kwargs})"] if later else []),
        f"print(fit.tidy(alpha={1 - request.conf_level:.12g}).to_string(float_format='%.12g'))",
    ]
    return "\n".join(lines) + "\n"
