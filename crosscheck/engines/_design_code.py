"""What would one type to make outcome and regressors by hand, for packages that take matrices?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscheck.engines._pyfixest_code import expression, lag_name, plain_names
from crosscheck.engines._shared import lags, reading_lines
from crosscheck.formula import Call, Formula, Term, names, parse
from crosscheck.modelmatrix import reference_level

if TYPE_CHECKING:
    from crosscheck.spec import FitRequest


@dataclass(frozen=True, slots=True)
class DesignCode:
    """Lines that make ``df``, ``y``, ``X`` (and ``endogenous``, ``instruments``), and the plain names of columns."""

    formula: Formula
    names: Mapping[str, str]
    lines: tuple[str, ...]


def design_code(request: FitRequest, data_path: str, *, effects_as_dummies: bool) -> DesignCode:
    """Write the lines that come before a fit.

    Parameters
    ----------
    effects_as_dummies : bool
        Whether the fixed effects enter ``X`` as dummies.
    """
    formula = parse(request.formula)
    weights = (request.weights.column,) if request.weights else ()
    ids = tuple(filter(None, (request.unit, request.time)))
    used = tuple(dict.fromkeys((*names(formula), *request.vcov.cluster, *weights, *ids)))
    plain = plain_names(used)
    lines = reading_lines(request, formula, plain, data_path)
    needed = [plain[c] for c in used] + [lag_name(call, plain) for call in lags(formula)]
    lines.append(f"df = df.dropna(subset={needed!r}).reset_index(drop=True)")
    fe_terms = ["C(" + " + '_' + ".join(f"{plain[n]}.astype(str)" for n in fe) + ")" for fe in formula.fixed_effects]
    for i, fe in enumerate(formula.fixed_effects):
        if len(fe) > 1:
            joined = " + '_' + ".join(f"df[{plain[n]!r}].astype(str)" for n in fe)
            lines.append(f'df["effect{i + 1}"] = {joined}')
            fe_terms[i] = f"C(effect{i + 1})"
        else:
            fe_terms[i] = f"C({plain[fe[0]]})"
    lines.append(f"y = model_matrix({'0 + ' + expression(formula.lhs, plain)!r}, df).iloc[:, 0].rename('y')")
    extra = fe_terms if effects_as_dummies else []
    lines += _block("X", formula.terms, plain, extra, formula.intercept or bool(formula.fixed_effects))
    if formula.fixed_effects and not effects_as_dummies:
        lines.append('X = X.drop(columns="Intercept")')
    if formula.iv is not None:
        for name, terms in (("endogenous", formula.iv.endogenous), ("instruments", formula.iv.instruments)):
            lines += [*_block(name, terms, plain, [], True), f'{name} = {name}.drop(columns="Intercept")']
    return DesignCode(formula, plain, tuple(lines))


def _block(
    target: str, terms: tuple[Term, ...], plain: Mapping[str, str], extra: list[str], intercept: bool
) -> list[str]:
    written, dropped = [], []
    for term in terms:
        factors = []
        for factor in term:
            if isinstance(factor, Call) and factor.function == "i":
                text, unwanted = _i(factor, plain)
                factors.append(text)
                dropped += unwanted
            else:
                factors.append(expression(factor, plain))
        written.append(":".join(factors))
    parts = ["1" if intercept else "0", *written, *extra]
    lines = [f"{target} = model_matrix({' + '.join(parts)!r}, df)"]
    if dropped:
        lines.append(f"{target} = {target}.drop(columns={dropped!r})")
    return lines


def _i(call: Call, plain: Mapping[str, str]) -> tuple[str, list[str]]:
    """Write ``i()`` for formulaic, and the columns that its reference leaves out."""
    first, *rest = (expression(a, plain) for a in call.args)
    reference = reference_level(call)
    if rest:
        return f"C({first}):{rest[0]}", [f"C({first})[{reference}]:{rest[0]}"] if reference is not None else []
    if reference is None:
        return f"C({first})", []
    assert call.ref is not None
    return f"C({first}, contr.treatment({expression(call.ref, plain)}))", []
