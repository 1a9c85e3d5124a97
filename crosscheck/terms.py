"""Is a printed term a coefficient of the column it stands in?

Labels are fixest's, without back-ticks. Levels come from the data; an interaction may be printed with its factors in
another order, which is set right. A printed constant may belong to a column whose fixed effects are absorbed: no engine
has it there, and the comparison says so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from crosscheck.data import DeclaredData
from crosscheck.design_options import DESIGN_OPTIONS
from crosscheck.errors import PublishedError, StudyError, nearest
from crosscheck.formula_tree import INTERCEPT, Call, Expr, Formula, Name, Term, emit_expr, term_label
from crosscheck.published import QUANTITIES, PublishedNumber, is_design_quantity
from crosscheck.syntax import listing
from crosscheck.tables import ColumnSpec, Table

Levels = Callable[[str, bool], Sequence[str] | None]
"""Levels of a column; ``None`` where it is a column of numbers and not used as a factor (the second argument)."""

EXTRA_TERM = re.compile(r"wald:.+|chi2:.+|sargan|hansen|first_stage_f|hausman")
COMPONENTS = ("rho", "theta", "sigma_mu", "sigma_nu", "sigma_lambda", "sigma_u", "sigma_e")
CONSTANTS = ("Constant", "_cons", "const", "Intercept", "intercept", "constant")
OF_VARIABLES = frozenset(("mean", "std_dev", "min", "max"))
OF_THE_FIT = frozenset(("nobs", "r2", "adj_r2", "r2_within", "df_resid"))
MAX_EXAMPLES = 400
_PERIOD = r"-?[0-9]+(?:\.[0-9]+)?"
ATT_TERMS = {
    "none": rf"ATT\({_PERIOD},{_PERIOD}\)",
    "simple": "overall",
    "dynamic": rf"overall|event={_PERIOD}",
    "group": rf"overall|group={_PERIOD}",
    "calendar": rf"overall|year={_PERIOD}",
}
ATT_EXAMPLES = {
    "none": "ATT(2004,2005)",
    "simple": "overall",
    "dynamic": "overall, event=-3",
    "group": "overall, group=2004",
    "calendar": "overall, year=2004",
}
SUNAB_TERMS = {
    "none": rf"{{time}}::{_PERIOD}:cohort::{_PERIOD}",
    "simple": "ATT",
    "dynamic": rf"{{time}}::{_PERIOD}",
    "group": rf"cohort::{_PERIOD}",
}
SUNAB_EXAMPLES = {
    "none": "{time}::-3:cohort::2004",
    "simple": "ATT",
    "dynamic": "{time}::-3",
    "group": "cohort::2004",
}


def _levels_of(factor: Expr, levels: Levels) -> Sequence[str] | None:
    """Return what distinguishes the coefficients of one factor; ``None`` where it has a single one."""
    if isinstance(factor, Name):
        return levels(factor.name, False)
    if isinstance(factor, Call):
        first = factor.args[0]
        if factor.function in ("i", "factor") and isinstance(first, Name):
            return levels(first.name, True) or ()
        if factor.function == "poly":
            degree = int(emit_expr(factor.args[1]))
            return None if degree == 1 else tuple(str(d) for d in range(1, degree + 1))
    return None


def labels(term: Term, levels: Levels) -> Iterator[str]:
    """Yield the names of all coefficients that a term may have, a factor's reference level included."""
    choices = [_levels_of(factor, levels) or ("",) for factor in term]
    for combination in itertools.product(*choices):
        yield term_label(term, combination)


def canonical_term(printed: str, formula: Formula, levels: Levels) -> str | None:
    """Return the label that a printed term stands for, or ``None`` where the formula has no such coefficient."""
    text = printed.replace("`", "").removeprefix("fit_") if formula.iv else printed.replace("`", "")
    if text == INTERCEPT:
        return INTERCEPT
    for term in _all_terms(formula):
        if len(term) == 1 and _pattern(term[0], levels).fullmatch(text):
            return text
        if len(term) > 1:
            for order in itertools.permutations(range(len(term))):
                if re.fullmatch(":".join(_pattern(term[i], levels).pattern for i in order), text):
                    return text if order == tuple(range(len(term))) else _reorder(text, term, order, levels)
    return None


def _all_terms(formula: Formula) -> tuple[Term, ...]:
    return (*formula.terms, *(formula.iv.endogenous if formula.iv else ()))


def _pattern(factor: Expr, levels: Levels) -> re.Pattern[str]:
    found = _levels_of(factor, levels)
    if found is None:
        return re.compile(re.escape(term_label(factor)))
    mark = "\x00"
    head, _, tail = term_label(factor, mark).partition(mark)
    choices = "|".join(re.escape(level) for level in found) or "(?!)"
    return re.compile(f"{re.escape(head)}(?:{choices}){re.escape(tail)}")


def _reorder(text: str, term: Term, order: Sequence[int], levels: Levels) -> str:
    groups = ":".join(f"(?P<f{i}>{_pattern(term[i], levels).pattern})" for i in order)
    match = re.fullmatch(groups, text)
    assert match is not None
    return ":".join(match[f"f{i}"] for i in range(len(term)))


def examples(formula: Formula, levels: Levels) -> list[str]:
    """Return labels of the formula for a message, at most 400."""
    found = [INTERCEPT] if formula.intercept else []
    for term in _all_terms(formula):
        found.extend(itertools.islice(labels(term, levels), MAX_EXAMPLES - len(found)))
    return found


def check_numbers(
    numbers: Sequence[PublishedNumber], tables: Sequence[Table], data: DeclaredData | None, *, where: str
) -> tuple[PublishedNumber, ...]:
    """Check that every printed number has a place in the study, and spell its term as engines do.

    Raises
    ------
    PublishedError
        Naming the line, for an unknown table or column, or a term that the column cannot have.
    """
    by_id = {t.id: {c.id: c for c in t.columns} for t in tables}

    def levels(name: str, factor: bool) -> Sequence[str] | None:
        column = data.frame[name] if data is not None else None
        if column is None or not (factor or column.kind in ("category", "boolean")):
            return None
        return column.codes()[1]

    checked = []
    for number in numbers:
        place = f"{where}, line {number.line}"
        for what, key, known in (
            ("table", number.table, by_id),
            ("column", number.column, by_id.get(number.table, {})),
        ):
            if key not in known:
                raise PublishedError(
                    f"the study has no {what} {key!r}" + (f" in table {number.table!r}" if what == "column" else ""),
                    where=place,
                    allowed=listing(known),
                    hint=nearest(key, known) or "add it to study.toml, or remove the line",
                )
        column = by_id[number.table][number.column]
        checked.append(_checked(number, column, levels, data, place) if column.estimated else number)
    return tuple(checked)


def check_columns(tables: Sequence[Table], data: DeclaredData | None, *, where: str) -> None:
    """Check what columns say of terms and of each other: ``keep`` and ``constant_of``.

    Raises
    ------
    StudyError
        For a coefficient that the column cannot have, or a table or column that is not there.
    """
    places = {(t.id, c.id) for t in tables for c in t.columns}

    def levels(name: str, factor: bool) -> Sequence[str] | None:
        column = data.frame[name] if data is not None else None
        if column is None or not (factor or column.kind in ("category", "boolean")):
            return None
        return column.codes()[1]

    for column in (c for t in tables for c in t.columns):
        place = f"{where}, {column.key}"
        if column.constant_of is not None and column.constant_of not in places:
            raise StudyError(
                f"there is no column {'/'.join(column.constant_of)!r}", where=f"{place}, constant_of",
                allowed=listing("/".join(p) for p in sorted(places)), hint="write table/column as study.toml has them",
            )  # fmt: skip
        if column.formula is None or data is None:
            continue
        for term in column.keep:
            if canonical_term(term, column.formula, levels) != term:
                known = examples(column.formula, levels)
                raise StudyError(
                    f"column {column.table}/{column.id} has no term {term!r}", where=f"{place}, keep",
                    allowed=listing(known), hint=nearest(term, known) or "correct the term, or leave keep out",
                )  # fmt: skip


def _checked(
    number: PublishedNumber, column: ColumnSpec, levels: Levels, data: DeclaredData | None, place: str
) -> PublishedNumber:
    if column.request.estimator in DESIGN_OPTIONS:
        return number
    if is_design_quantity(number.quantity):
        raise PublishedError(
            f"{column.request.estimator} gives no {number.quantity}", where=place, allowed=" ".join(QUANTITIES)
        )
    if column.request.estimator == "sunab":
        number = replace(number, term=sunab_term(number.term, str(column.request.options["time"])))
    if number.quantity in OF_VARIABLES or EXTRA_TERM.fullmatch(number.term):
        return number
    if number.quantity in OF_THE_FIT:
        if number.term:
            hint = "leave the term empty"
            raise PublishedError(f"{number.quantity} belongs to the whole column", where=place, hint=hint)
        return number
    estimator = column.request.estimator
    aggregation = str(column.request.options.get("aggregation", ""))
    if estimator == "att_gt":
        if re.fullmatch(ATT_TERMS[aggregation], number.term):
            return number
        raise _no_term(number, column, place, [ATT_EXAMPLES[aggregation]])
    components = estimator in ("re", "between") or (column.formula is not None and column.formula.fixed_effects)
    if components and number.term in COMPONENTS:
        return number
    if column.formula is None or (data is None and number.term):
        return number
    formula, more = column.formula, []
    if estimator == "sunab":
        time = str(column.request.options["time"])
        if re.fullmatch(SUNAB_TERMS[aggregation].replace("{time}", re.escape(time)), number.term):
            return number
        more = [SUNAB_EXAMPLES[aggregation].replace("{time}", time)]
        formula = replace(formula, terms=tuple(t for t in formula.terms if not _is_sunab(t)))
    term = canonical_term(number.term, formula, levels)
    if term is None:
        raise _no_term(number, column, place, [*more, *examples(formula, levels)])
    return replace(number, term=term)


def sunab_term(term: str, time: str) -> str:
    """Spell ``overall``, ``event=-3`` and ``group=2004`` (also in a ``wald:`` term) as fixest does."""
    if term == "overall":
        return "ATT"
    return re.sub(
        rf"\bgroup=({_PERIOD})", r"cohort::\1", re.sub(rf"\bevent=({_PERIOD})", lambda m: f"{time}::{m[1]}", term)
    )


def _is_sunab(term: Term) -> bool:
    return isinstance(term[0], Call) and term[0].function == "sunab"


def _no_term(number: PublishedNumber, column: ColumnSpec, place: str, known: Sequence[str]) -> PublishedError:
    hint = nearest(number.term, known)
    if number.term in CONSTANTS:
        hint = f"the constant is written {INTERCEPT}, or as constant_term in study.toml says"
    return PublishedError(
        f"column {column.table}/{column.id} has no term {number.term!r}",
        where=place,
        allowed=listing(known),
        hint=hint or "correct the term, or the formula in study.toml",
    )
