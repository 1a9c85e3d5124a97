"""How is a request written in pyfixest's own formula language, whatever its columns are called?

Columns and levels get plain aliases (``n0`` a number, ``k0`` a category, ``L0`` a level), pyfixest builds its own model
matrix from them, and the coefficient names that come back are translated into fixest's spelling. Two choices of names
work around pyfixest 0.60, which keeps fixed effects in a Python set and pairs names with columns by position:

* clusters have names that no fixed effect has, else the effects counted as nested depend on the hash seed;
* names of fixed effects are such that the set iterates in the order of the formula, and so demeaning has one order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.engines._shared import Codes, codes_of, require_rows, usable_rows, weights_of
from crosscheck.engines._sunab import cells
from crosscheck.errors import DataError, Unsupported
from crosscheck.formula import Call, Expr, Formula, Name, Number, Term, emit_expr, names, term_label
from crosscheck.modelmatrix import evaluate, model_matrix, reference_level

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

_NAME = re.compile(
    r"C\((?P<factor>k\d+)(?:, contr\.treatment\(base='L\d+'\))?\)\[(?:T\.)?L(?P<factor_level>\d+)\]"
    r"|(?P<bare>k\d+)\[(?:T\.)?L(?P<bare_level>\d+)\]"
    r"|(?P<i>k\d+)::L(?P<i_level>\d+)"
    r"|poly\((?P<poly>n\d+), \d+\)\[(?P<degree>\d+)\]"
    r"|(?P<number>n\d+)"
)
_ALIAS = re.compile(r"\b[nkfcwut]\d+(?:_\d+)?\b")
MAX_ORDERED_EFFECTS = 7


@dataclass(frozen=True, slots=True)
class Category:
    """A category under its alias: codes of all rows, the labels of its levels, the expression it came from, its role.

    The role is ``bare``, ``factor`` or ``i``; pyfixest before 0.50 names the dummies of ``i()`` like those of ``C()``.
    """

    expr: Expr
    role: str
    codes: Codes
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Design:
    """A model for pyfixest.

    Attributes
    ----------
    text : str
        The formula.
    data : dict
        Alias to column: arrays of shape (n,), or category columns of pandas; rows that cannot be used are left out.
    rows : ndarray of bool, shape (m,)
        Which rows of the frame are in ``data``.
    complete : ndarray of bool, shape (n,)
        Which rows of ``data`` have finite values throughout, and so enter the fit.
    effects : dict
        Fixed effect (its columns) to codes, of the complete rows.
    """

    text: str
    data: dict[str, Any]
    rows: NDArray[np.bool_]
    complete: NDArray[np.bool_]
    effects: dict[tuple[str, ...], Codes]
    effect_names: tuple[str, ...]
    weights: NDArray[np.float64] | None
    cells: tuple[str, ...]
    instruments: bool
    _numbers: dict[str, str] = field(repr=False)
    _categories: dict[str, Category] = field(repr=False)

    def label(self, name: str) -> str:
        """Translate a coefficient name of pyfixest into fixest's spelling."""
        if name == "Intercept":
            return "(Intercept)"
        pieces, position = [], 0
        while position < len(name):
            match = _NAME.match(name, position)
            if match is None:
                raise ValueError(f"pyfixest named a coefficient {name!r}, which is not understood")
            pieces.append(self._piece(match))
            position = match.end() + 1  # the colon between factors
        return ":".join(pieces)

    def _piece(self, match: re.Match[str]) -> str:
        kind = match.lastgroup
        if kind == "number":
            return self._numbers[match["number"]]
        if kind == "degree":
            label = self._numbers[match["poly"]]
            return label if label.endswith(", 1)") else label + match["degree"]
        alias = match["factor"] or match["bare"] or match["i"]
        level = match["factor_level"] or match["bare_level"] or match["i_level"]
        category = self._categories[alias]
        label = category.labels[int(level)]
        return f"{emit_expr(category.expr, ticks=False)}{'::' if category.role == 'i' else ''}{label}"

    def cell_columns(self) -> list[tuple[str, str]]:
        """Return alias and label of each dummy of ``sunab()``."""
        return [(alias, label) for alias, label in self._numbers.items() if label in self.cells]

    def translate(self, text: str) -> str:
        """Put the names of the study back into a message of pyfixest."""
        known = dict(self._numbers)
        known.update((a, emit_expr(c.expr, ticks=False)) for a, c in self._categories.items())
        known.update(zip(self.effect_names, ("^".join(e) for e in self.effects), strict=True))
        return _ALIAS.sub(lambda m: known.get(m[0], m[0]), text)


class _Builder:
    """Collects columns under aliases while a formula is written."""

    def __init__(self, formula: Formula, request: FitRequest, frame: Frame) -> None:
        self.formula, self.request, self.frame = formula, request, frame
        self.numbers: dict[Expr, str] = {}
        self.labels: dict[str, str] = {}
        self.values: dict[str, NDArray[np.float64]] = {}
        self.cells: tuple[str, ...] = ()
        self.categories: dict[tuple[Expr, str], str] = {}
        self.columns: dict[str, Category] = {}

    def number(self, expr: Expr, values: NDArray[np.float64] | None = None) -> str:
        alias = self.numbers.get(expr)
        if alias is None:
            if values is None:
                values = evaluate(expr, self.frame, unit=self.request.unit, time=self.request.time)
            alias = self.numbers[expr] = self.column(values, term_label(expr))
        return alias

    def column(self, values: NDArray[np.float64], label: str) -> str:
        alias = f"n{len(self.values)}"
        self.values[alias], self.labels[alias] = values, label
        return alias

    def category(self, name: Name, role: str, expr: Expr) -> str:
        key = (expr, role)
        alias = self.categories.get(key)
        if alias is None:
            alias = self.categories[key] = f"k{len(self.categories)}"
            codes, labels = self.frame[name.name].codes()
            self.columns[alias] = Category(expr, role, codes, labels)
        return alias

    def is_category(self, expr: Expr) -> bool:
        return isinstance(expr, Name) and self.frame[expr.name].kind in ("category", "boolean")

    def factor(self, expr: Expr) -> str:
        if isinstance(expr, Name):
            return self.category(expr, "bare", expr) if self.is_category(expr) else self.number(expr)
        if isinstance(expr, Call) and expr.function == "factor":
            column = expr.args[0]
            assert isinstance(column, Name)
            return f"C({self.category(column, 'factor', expr)})"
        if isinstance(expr, Call) and expr.function == "i":
            return self.i(expr)
        if isinstance(expr, Call) and expr.function == "poly":
            column, degree = expr.args
            assert isinstance(degree, Number)
            values = evaluate(column, self.frame, unit=self.request.unit, time=self.request.time)
            if not np.isfinite(values).all():
                raise DataError(
                    f"{emit_expr(expr, ticks=False)} needs a column without missing values, as R's poly() does",
                    hint="leave the rows out with sample.where",
                )
            return f"poly({self.number(expr, values)}, {int(degree.value)})"
        if isinstance(expr, Call) and expr.function == "sunab":
            return self.sunab(expr)
        return self.number(expr)

    def sunab(self, expr: Call) -> str:
        cohort, period = (evaluate(a, self.frame, unit=None, time=None) for a in expr.args)
        rest = replace(self.formula, terms=tuple(t for t in self.formula.terms if expr not in t))
        made = cells(cohort, period, emit_expr(expr.args[1], ticks=False), self.sample(rest))
        self.cells = made.labels
        return " + ".join(self.column(v, name) for v, name in zip(made.columns, made.labels, strict=True))

    def sample(self, formula: Formula) -> NDArray[np.bool_]:
        """Mark the rows that a model with this formula uses."""
        request, usable = self.request, usable_rows(self.request, self.frame)
        also = (request.weights.column,) if request.weights else ()
        matrix = model_matrix(formula, self.frame, unit=request.unit, time=request.time, also=also, among=usable)
        used = np.zeros(self.frame.nrows, dtype=bool)
        used[matrix.rows] = True
        return used

    def i(self, expr: Call) -> str:
        first, *rest = expr.args
        assert isinstance(first, Name)
        alias = self.category(first, "i", first)
        parts = [alias]
        for second in rest:
            assert isinstance(second, Name)
            category = self.frame[second.name].kind == "category"
            parts.append(self.category(second, "i", second) if category else self.number(second))
        if expr.ref is not None:
            parts.append(f'ref="L{self.reference(expr, first, self.columns[alias].labels)}"')
        return f"i({', '.join(parts)})"

    @staticmethod
    def reference(call: Call, column: Name, labels: Sequence[str]) -> int:
        label = reference_level(call)
        if label not in labels:
            raise DataError(
                f"{label!r} is not a level of {column.name!r}", allowed=", ".join(labels[:20]), hint="change ref in i()"
            )
        return labels.index(label)

    def terms(self, terms: Sequence[Term]) -> str:
        return " + ".join(":".join(self.factor(f) for f in term) for term in terms)


def effect_aliases(count: int) -> tuple[str, ...]:
    """Return names for fixed effects that a Python set iterates in this order, under the hash seed of this process.

    Raises
    ------
    Unsupported
        For more effects than can be arranged.
    """
    if count > MAX_ORDERED_EFFECTS:
        raise Unsupported(f"more than {MAX_ORDERED_EFFECTS} fixed effects are not wrapped for pyfixest (notimpl)")
    attempt = 0
    while True:
        aliases = [f"f{i}_{attempt}" for i in range(count)]
        if list(set(aliases)) == aliases:
            return tuple(aliases)
        attempt += 1


def build(formula: Formula, request: FitRequest, frame: Frame) -> Design:
    """Write a request in pyfixest's language.

    Raises
    ------
    DataError
        Where no row can be used, or a reference level does not occur.
    Unsupported
        Where pyfixest lacks what the formula needs.
    """
    made = _Builder(formula, request, frame)
    lhs = made.number(formula.lhs)
    rhs = made.terms(formula.terms)
    if not (formula.intercept or formula.fixed_effects):
        rhs = f"-1 + {rhs}" if rhs else "-1"
    text = f"{lhs} ~ {rhs or '1'}"
    effects = {fe: codes_of(frame, fe) for fe in formula.fixed_effects}
    aliases = effect_aliases(len(effects))
    if effects:
        text += " | " + "+".join(aliases)
    if formula.iv is not None:
        text += f" | {made.terms(formula.iv.endogenous)} ~ {made.terms(formula.iv.instruments)}"

    _require_margins(formula, made)
    rows = usable_rows(request, frame)
    weights = weights_of(request, frame)
    complete = rows.copy()
    for values in made.values.values():
        complete &= np.isfinite(values)
    for codes in (*effects.values(), *(c.codes for c in made.columns.values())):
        complete &= codes >= 0
    if weights is not None:
        complete &= np.isfinite(weights)
    require_rows(complete, names(formula))

    everything = bool(rows.all())
    data: dict[str, Any] = {a: v if everything else v[rows] for a, v in made.values.items()}
    for alias, category in made.columns.items():
        data[alias] = _as_pandas(category, rows)
    for alias, codes in zip(aliases, effects.values(), strict=True):
        data[alias] = _with_missing(codes[rows])
    if weights is not None:
        weights = weights[rows]
        data["w0"] = weights
    return Design(
        text=text,
        data=data,
        rows=rows,
        complete=complete[rows],
        effects={fe: codes[complete] for fe, codes in effects.items()},
        effect_names=aliases,
        weights=weights,
        cells=made.cells,
        instruments=formula.iv is not None,
        _numbers=made.labels,
        _categories=made.columns,
    )


def _require_margins(formula: Formula, made: _Builder) -> None:
    """Refuse an interaction of categories without its main effects.

    R and formulaic (which builds pyfixest's model matrix) then span the same space by different dummies.
    """

    def category(factor: Expr) -> bool:
        return made.is_category(factor) or (isinstance(factor, Call) and factor.function == "factor")

    present = {frozenset(term) for term in formula.terms}
    for term in formula.terms:
        if sum(category(f) for f in term) < 2:
            continue
        margins = (frozenset(term) - {f} for f in term if category(f))
        if not all(m in present for m in margins) or not (formula.intercept or formula.fixed_effects):
            raise Unsupported(
                f"pyfixest codes {term_label(term)} by other dummies than R where a main effect is left out; "
                "write a*b, or i(a, b) (notyet)"
            )


def _with_missing(codes: Codes) -> NDArray[Any]:
    return np.where(codes < 0, np.nan, codes) if codes.size and codes.min() < 0 else codes


def _as_pandas(category: Category, rows: NDArray[np.bool_]) -> Any:
    """Return a category column with the levels of the whole sample in their declared order, as R has them."""
    import pandas as pd

    levels = pd.CategoricalDtype([f"L{code}" for code in range(len(category.labels))])
    return pd.Categorical.from_codes(category.codes[rows].tolist(), dtype=levels)
