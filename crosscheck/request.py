"""What exactly does one column ask, once defaults, macros, options and identifiers are filled in?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from crosscheck.declared import Declared
from crosscheck.design_options import DESIGN_OPTIONS
from crosscheck.designs.draws import embed
from crosscheck.errors import StudyError
from crosscheck.formula import Call, Formula, Name, emit, emit_expr, functions, names, parse
from crosscheck.kinds import NUMBERS, check_formula_kinds, check_option_kinds, need
from crosscheck.options import OPTIONS, PANEL_ESTIMATORS, WITHOUT_FORMULA
from crosscheck.spec import Estimator, FitRequest, SscSpec, VcovSpec, WeightsSpec
from crosscheck.study_file import ColumnTable
from crosscheck.validation import validation_error


def build_request(declared: Declared, estimator: Estimator, column: ColumnTable, key: str) -> FitRequest:
    """Resolve one column to a request in which nothing is left to a default of an engine.

    Parameters
    ----------
    declared : Declared
    estimator : str
    column : ColumnTable
    key : str
        Where the column stands, such as ``table[1].column[2] (table3/4)``.

    Raises
    ------
    StudyError, FormulaError
        Naming the key.
    """
    defaults = declared.model.defaults
    formula = _formula(declared, estimator, column, key)
    own = estimator in WITHOUT_FORMULA
    vcov = column.vcov or (VcovSpec() if own else defaults.vcov)
    ssc = column.ssc or (SscSpec() if own else defaults.ssc)
    weights = column.weights or defaults.weights
    if estimator in DESIGN_OPTIONS:
        options, design_columns = _design_options(declared, estimator, column, key)
    else:
        options, design_columns = _options(declared, estimator, column, formula, weights, key), ()
    if weights is None and options.get("weights") is not None:
        weights = WeightsSpec(column=options["weights"])
    unit, time = options.get("unit") or declared.unit, options.get("time") or declared.time
    if estimator not in WITHOUT_FORMULA:
        _check_panel_use(declared, estimator, formula, vcov, unit, time, key)
    for name in vcov.cluster:
        declared.kind(name, f"{key}, vcov.cluster")
    used = list(names(formula)) if formula else []
    used += vcov.cluster
    if weights is not None:
        declared.kind(weights.column, f"{key}, weights")
        if declared.data is not None:
            need(weights.column, declared.kinds, ("integer", "float"), f"{declared.file}, {key}, weights", "a weight")
        used.append(weights.column)
    used += [options[k] for k in ("y", "unit", "time", "cohort", "treated") if isinstance(options.get(k), str)]
    used += [*options.get("covariates", ()), *design_columns, *(n for n in (unit, time) if n)]
    return FitRequest(
        estimator=estimator,
        formula=emit(formula) if formula else "",
        unit=unit,
        time=time,
        vcov=vcov,
        ssc=ssc,
        weights=weights,
        options=options,
        conf_level=column.conf_level or defaults.conf_level,
        columns=tuple(dict.fromkeys(used)),
    )


def _formula(declared: Declared, estimator: str, column: ColumnTable, key: str) -> Formula | None:
    label = f"{declared.file}, {key}, formula"
    if estimator in WITHOUT_FORMULA:
        if column.formula is not None:
            hint = f"name its columns in options: {', '.join(OPTIONS[estimator].model_fields)}"
            raise StudyError(f"{estimator} takes no formula", where=label, hint=hint)
        return None
    assert column.formula is not None
    header = declared.data.header if declared.data is not None else None
    formula = parse(column.formula, macros=declared.model.macros, columns=header, where=label)
    if declared.data is not None:
        for name in names(formula):
            declared.kind(name, f"{key}, formula")
        check_formula_kinds(formula, declared.kinds, where=label)
    calls = _sunab_calls(formula)
    if estimator == "sunab" and len(calls) != 1:
        raise StudyError(
            "the estimator sunab needs one sunab(cohort, period) in its formula",
            where=label,
            hint="write y ~ sunab(cohort, year) | unit + year",
        )
    if calls and estimator != "sunab":
        raise StudyError(f"{estimator} cannot fit sunab()", where=label, hint='write estimator = "sunab"')
    if formula.fixed_effects and estimator in ("re", "between"):
        raise StudyError(f"{estimator} takes no fixed effects", where=label, hint="leave out the part after |")
    if formula.iv is not None and estimator != "feols":
        raise StudyError(f"{estimator} takes no instruments", where=label, hint='write estimator = "feols"')
    return formula


def _sunab_calls(formula: Formula) -> list[Call]:
    return [f for term in formula.terms for f in term if isinstance(f, Call) and f.function == "sunab"]


def _options(
    declared: Declared,
    estimator: str,
    column: ColumnTable,
    formula: Formula | None,
    weights: WeightsSpec | None,
    key: str,
) -> dict[str, Any]:
    model = OPTIONS[estimator]
    try:
        options = model.model_validate(dict(column.options)).model_dump(mode="json")
    except ValidationError as error:
        raise validation_error(error, model, {}, where=declared.file, prefix=f"{key}, options") from None
    if options.get("tolerance") is None:
        options.pop("tolerance", None)  # the hash of a request says what was asked, not what could have been
    for name, value in (("unit", declared.unit), ("time", declared.time)):
        if name in options and options[name] is None:
            options[name] = value
    if estimator == "sunab" and formula is not None:
        _fill_sunab(declared, options, formula, key)
    for name in ("y", "unit", "time", "cohort", "treated", "weights"):
        if isinstance(options.get(name), str):
            declared.kind(options[name], f"{key}, options.{name}")
    for name in options.get("covariates", ()):
        declared.kind(name, f"{key}, options.covariates")
    if estimator == "att_gt":
        _check_att_gt(declared, options, weights, key)
    return options


def _design_options(
    declared: Declared, estimator: str, column: ColumnTable, key: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options of a design, its files of draws read, and the columns that they name."""
    model = DESIGN_OPTIONS[estimator]
    try:
        options = model.model_validate(dict(column.options))
    except ValidationError as error:
        raise validation_error(error, model, {}, where=declared.file, prefix=f"{key}, options") from None
    names_ = [*options.used_columns(), *(getattr(options, n, None) for n in ("unit", "time"))]
    used = tuple(dict.fromkeys(n for n in names_ if n is not None))
    for name in used:
        declared.kind(name, f"{key}, options")
    if declared.data is not None and estimator in WITHOUT_FORMULA:
        for name in options.used_columns():
            need(name, declared.kinds, NUMBERS, f"{declared.file}, {key}, options", "a number")
    return embed(options, declared.folder).model_dump(mode="json"), used


def _fill_sunab(declared: Declared, options: dict[str, Any], formula: Formula, key: str) -> None:
    """Take cohort, time and outcome from the formula; options that say otherwise are an error."""
    cohort, period = (emit_expr(a, ticks=False) for a in _sunab_calls(formula)[0].args)
    outcome = formula.lhs.name if isinstance(formula.lhs, Name) else None
    for name, value in (("cohort", cohort), ("time", period), ("y", outcome)):
        inherited = declared.time if name == "time" else None
        if options[name] not in (None, value, inherited):
            raise declared.error(
                f"{name} is {options[name]!r} in the options and {value!r} in the formula", f"{key}, options.{name}"
            )
        options[name] = value


def _check_att_gt(declared: Declared, options: dict[str, Any], weights: WeightsSpec | None, key: str) -> None:
    if options["time"] is None or (options["unit"] is None and options["panel"]):
        raise declared.error("att_gt needs unit and time", f"{key}, options", hint="name them here or in [data]")
    if weights is not None:
        if options["weights"] not in (None, weights.column):
            raise declared.error("weights are named twice, differently", f"{key}, options.weights")
        options["weights"] = weights.column
    if declared.data is not None:
        check_option_kinds(options, declared.kinds, where=f"{declared.file}, {key}, options")


def _check_panel_use(
    declared: Declared,
    estimator: str,
    formula: Formula | None,
    vcov: VcovSpec,
    unit: str | None,
    time: str | None,
    key: str,
) -> None:
    """Refuse uses of the panel's order in a study that declares no unit or time."""
    lagged = formula is not None and "lag" in functions(formula)
    needs: list[tuple[bool, str, str, Mapping[str, str | None]]] = [
        (estimator in PANEL_ESTIMATORS, estimator, "estimator", {"unit": unit, "time": time}),
        (lagged, "lag()", "formula", {"unit": unit, "time": time}),
        (vcov.type in ("NW", "DK"), f"vcov type {vcov.type}", "vcov.type", {"time": time}),
    ]
    for applies, what, at, identifiers in needs:
        lacking = " and ".join(name for name, value in identifiers.items() if value is None)
        if applies and lacking:
            raise declared.error(f"{what} needs {lacking}", f"{key}, {at}", hint=f"declare {lacking} in [data]")
    if lagged and time is not None and declared.data is not None:
        need(time, declared.kinds, ("integer",), f"{declared.file}, {key}, formula", "the time of lag()")
