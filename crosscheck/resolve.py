"""How does a column as written become a complete request?

Defaults are filled in, macros expanded, names checked against the data and their kinds, options and engine ids against
what exists; afterwards nothing is left to a default of an engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from crosscheck import engines
from crosscheck.data import DataFile
from crosscheck.errors import FormulaError, StudyError, nearest
from crosscheck.formula import Call, Formula, Name, emit, functions, names, parse
from crosscheck.formula_tree import emit_expr
from crosscheck.frame import Kind
from crosscheck.kinds import check_formula_kinds, check_option_kinds, need
from crosscheck.options import DEFAULT_ENGINES, OPTIONS, PANEL_ESTIMATORS, WITHOUT_FORMULA
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec
from crosscheck.study_file import ColumnTable, KnownRow, StudyFile, TableTable, ToleranceRow, validation_error
from crosscheck.syntax import listing
from crosscheck.where import Where, parse_where


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnSpec:
    """One column of one table: what is estimated, on which rows, and by whom.

    Attributes
    ----------
    table, id, title : str
    request : FitRequest
        The whole question, names in back-ticks, ``columns`` all that the fit uses.
    where : str or None
        The filter in canonical form.
    candidates, references : tuple of str
        Engine ids; empty for a column that is printed and not estimated.
    legend : mapping of str to float
        Stars to thresholds.
    kind : str
        Of the table: ``regression`` or ``descriptives``.
    key : str
        Where it stands in the file, such as ``table[1].column[2]``.
    filter : Where or None
        The filter as a tree.
    """

    table: str
    id: str
    title: str
    request: FitRequest
    where: str | None
    candidates: tuple[str, ...]
    references: tuple[str, ...]
    legend: Mapping[str, float]
    kind: str = "regression"
    key: str = ""
    filter: Where | None = None

    @property
    def estimated(self) -> bool:
        """Whether any engine is asked."""
        return bool(self.candidates or self.references)

    @cached_property
    def formula(self) -> Formula | None:
        """The formula as a tree, or ``None`` where the estimator has none."""
        return parse(self.request.formula) if self.request.formula else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """One table of the paper."""

    id: str
    title: str
    source: str
    kind: str
    columns: tuple[ColumnSpec, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Resolver:
    """Resolves the columns of one study.

    Parameters
    ----------
    file : str
        How messages name ``study.toml``.
    model : StudyFile
    data : DataFile or None
    """

    file: str
    model: StudyFile
    data: DataFile | None

    def check(self) -> None:
        """Refuse what is wrong before any column is looked at.

        Raises
        ------
        StudyError
            For a study without data or tables, an unknown column in ``[data]``, a repeated id, an unknown engine.
        """
        data = self.model.data
        if data is None and self.model.simulate is None and self.model.audit is None:
            raise self.error("the study has no data", "data", hint='write [data] with path = "panel.csv"')
        if data is not None and self.data is not None:
            for key, named in (("kinds", data.kinds), ("levels", data.levels), ("missing", data.missing)):
                for name in named:
                    if name != "*":
                        self.known_column(name, f"data.{key}")
            for key, identifier in (("unit", data.unit), ("time", data.time)):
                if identifier is not None:
                    self.kind(identifier, f"data.{key}")
            if data.unit is not None and data.unit == data.time:
                raise self.error("unit and time are the same column", "data.time")
        _unique(self.file, "table", [t.id for t in self.model.table])
        for t, table in enumerate(self.model.table):
            _unique(self.file, f"table[{t + 1}].column", [c.id for c in table.column])
        _unique(self.file, "table", [f"{t.id}-{c.id}" for t in self.model.table for c in t.column], joined=True)
        for side in ("candidates", "references"):
            self.engines(getattr(self.model.defaults, side), f"defaults.{side}")

    def error(self, what: str, key: str, *, allowed: str = "", hint: str = "") -> StudyError:
        """Make an error at a key of the file."""
        return StudyError(what, where=f"{self.file}, {key}", allowed=allowed, hint=hint)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Declared kinds."""
        return self.model.data.kinds if self.model.data else {}

    def known_column(self, name: str, key: str) -> None:
        """Refuse a name that is no column of the data."""
        if self.data is not None and name not in self.data.header:
            raise self.error(
                f"there is no column {name!r} in {self.data.where}",
                key,
                allowed=listing(self.data.header),
                hint=nearest(name, self.data.header),
            )

    def kind(self, name: str, key: str) -> Kind:
        """Return the declared kind of a column that is used.

        Raises
        ------
        StudyError
            Where the column does not exist or has no kind; the message proposes one.
        """
        self.known_column(name, key)
        if name not in self.kinds:
            proposal = self.data.suggest_kind(name) if self.data is not None else "float"
            bare = name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
            raise self.error(
                f"column {name!r} is used and has no kind",
                key,
                allowed="category, integer, float, boolean, date",
                hint=f'add {bare} = "{proposal}" to [data.kinds], if that is what it is',
            )
        return self.kinds[name]

    def engines(self, ids: Sequence[str] | None, key: str) -> tuple[str, ...]:
        """Check engine ids (``name`` or ``name@version``).

        Raises
        ------
        StudyError
            For an unknown or a repeated id.
        """
        known = engines.known_ids()
        for index, engine in enumerate(ids or ()):
            name = engine.partition("@")[0]
            if name not in known:
                raise self.error(
                    f"there is no engine {engine!r}", key, allowed=", ".join(known), hint=nearest(name, known)
                )
            if engine in (ids or ())[:index]:
                raise self.error(f"engine {engine!r} is named twice", key)
        return tuple(ids or ())

    def column(self, table: TableTable, t: int, column: ColumnTable, c: int) -> ColumnSpec:
        """Resolve one column.

        Raises
        ------
        StudyError, FormulaError
            Naming the key.
        """
        key = f"table[{t + 1}].column[{c + 1}]"
        place = f"{self.file}, {key} ({table.id}/{column.id})"
        defaults = self.model.defaults
        legend = table.legend if table.legend is not None else self.model.legend
        spec = ColumnSpec(
            table=table.id,
            id=column.id,
            title=column.title,
            request=FitRequest(),
            where=None,
            candidates=(),
            references=(),
            legend=dict(legend),
            kind=table.kind,
            key=key,
        )
        estimator = column.estimator or defaults.estimator
        if table.kind == "descriptives" or not self._is_estimated(estimator, column):
            if column.formula is None and table.kind != "descriptives" and self.model.audit is None:
                raise self.error("the column has no formula", f"{key}.formula", hint='write formula = "y ~ x | unit"')
            return spec
        request = self._request(estimator, column, place)
        sample = column.sample or defaults.sample
        filter_ = None
        if sample is not None:
            filter_ = self._filter(sample.where, f"{place}, sample.where")
        given = DEFAULT_ENGINES[estimator]
        known = engines.known_ids()
        sides = []
        for side, fallback in zip(("candidates", "references"), given, strict=True):
            named = getattr(column, side)
            if named is None:
                named = getattr(defaults, side)
            if named is None:
                named = tuple(e for e in fallback if e in known)
            sides.append(self.engines(named, f"{key}.{side}"))
        return replace(
            spec,
            request=request,
            where=filter_.text if filter_ else None,
            filter=filter_,
            candidates=sides[0],
            references=sides[1],
        )

    def _is_estimated(self, estimator: str, column: ColumnTable) -> bool:
        if self.model.data is None and self.model.simulate is None:
            return False
        return column.formula is not None or estimator in WITHOUT_FORMULA

    def _filter(self, text: str, place: str) -> Where:
        header = self.data.header if self.data is not None else tuple(self.kinds)
        declared = {name: self.kinds[name] for name in header if name in self.kinds}
        try:
            return parse_where(text, declared, where=place)
        except FormulaError as error:
            for name in header:
                if name not in declared and error.what == f"there is no column {name!r}":
                    self.kind(name, place.removeprefix(f"{self.file}, "))
            raise

    def _request(self, estimator: str, column: ColumnTable, place: str) -> FitRequest:
        defaults, data = self.model.defaults, self.model.data
        key = place.removeprefix(f"{self.file}, ")
        formula = self._formula(estimator, column, place)
        plain = estimator in WITHOUT_FORMULA
        vcov = column.vcov or (VcovSpec() if plain else defaults.vcov)
        ssc = column.ssc or (SscSpec() if plain else defaults.ssc)
        weights = column.weights or defaults.weights
        options = self._options(estimator, column, formula, weights, place)
        if weights is None and options.get("weights") is not None:
            weights = WeightsSpec(column=options["weights"])
        unit, time = (data.unit, data.time) if data else (None, None)
        unit, time = options.get("unit") or unit, options.get("time") or time
        self._check_panel_use(estimator, formula, vcov, unit, time, options, key)
        used = list(names(formula)) if formula else []
        for name in vcov.cluster:
            self.kind(name, f"{key}, vcov.cluster")
        if weights is not None:
            self.kind(weights.column, f"{key}, weights")
            need(weights.column, self.kinds, ("integer", "float"), f"{place}, weights", "a weight")
        used += [*vcov.cluster, *([weights.column] if weights else [])]
        used += [options[k] for k in ("y", "unit", "time", "cohort", "weights") if isinstance(options.get(k), str)]
        used += [*options.get("covariates", ()), *(n for n in (unit, time) if n)]
        return FitRequest(
            estimator=estimator,  # type: ignore[arg-type]
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

    def _formula(self, estimator: str, column: ColumnTable, place: str) -> Formula | None:
        if estimator in WITHOUT_FORMULA:
            if column.formula is not None:
                raise StudyError(
                    f"{estimator} takes no formula",
                    where=f"{place}, formula",
                    hint='name y, cohort and covariates in options = { y = "...", cohort = "..." }',
                )
            return None
        assert column.formula is not None
        label = f"{place}, formula"
        header = self.data.header if self.data is not None else None
        formula = parse(column.formula, macros=self.model.macros, columns=header, where=label)
        if self.data is not None:
            for name in names(formula):
                self.kind(name, label.removeprefix(f"{self.file}, "))
            check_formula_kinds(formula, self.kinds, where=label)
        calls = [f for term in formula.terms for f in term if isinstance(f, Call) and f.function == "sunab"]
        if estimator == "sunab" and len(calls) != 1:
            raise StudyError(
                "the estimator sunab needs one sunab(cohort, period) in its formula",
                where=label,
                hint="write y ~ sunab(cohort, year) | unit + year",
            )
        if calls and estimator != "sunab":
            raise StudyError(f"{estimator} cannot fit sunab()", where=label, hint='write estimator = "sunab"')
        if formula.fixed_effects and estimator in ("re", "between"):
            raise StudyError(f"{estimator} takes no fixed effects", where=label, hint="write the formula without | ...")
        if formula.iv is not None and estimator != "feols":
            raise StudyError(f"{estimator} takes no instruments", where=label, hint='write estimator = "feols"')
        return formula

    def _options(
        self, estimator: str, column: ColumnTable, formula: Formula | None, weights: WeightsSpec | None, place: str
    ) -> dict[str, Any]:
        data = self.model.data
        raw = dict(column.options)
        model = OPTIONS[estimator]
        key = place.removeprefix(f"{self.file}, ")
        try:
            options = model.model_validate(raw).model_dump(mode="json")
        except ValidationError as error:
            raise validation_error(error, model, raw, where=self.file, prefix=f"{key}, options") from None
        if data is not None:
            for name in ("unit", "time"):
                if name in options and options[name] is None:
                    options[name] = getattr(data, name)
        if estimator == "sunab" and formula is not None:
            self._sunab(options, formula, key)
        for name in ("y", "unit", "time", "cohort", "weights"):
            if isinstance(options.get(name), str) and self.data is not None:
                self.kind(options[name], f"{key}, options.{name}")
        for name in options.get("covariates", ()):
            self.kind(name, f"{key}, options.covariates")
        if estimator == "att_gt":
            if options["time"] is None or (options["unit"] is None and options["panel"]):
                raise self.error("att_gt needs unit and time", f"{key}, options", hint="name them here or in [data]")
            if weights is not None:
                if options["weights"] not in (None, weights.column):
                    raise self.error("weights are named twice, differently", f"{key}, options.weights")
                options["weights"] = weights.column
            if self.data is not None:
                check_option_kinds(options, self.kinds, where=f"{place}, options")
        return options

    def _sunab(self, options: dict[str, Any], formula: Formula, key: str) -> None:
        call = next(f for term in formula.terms for f in term if isinstance(f, Call) and f.function == "sunab")
        cohort, period = (emit_expr(a, ticks=False) for a in call.args)
        outcome = formula.lhs.name if isinstance(formula.lhs, Name) else None
        for name, value in (("cohort", cohort), ("time", period), ("y", outcome)):
            declared = self.model.data.time if name == "time" and self.model.data else None
            if options[name] not in (None, value, declared):
                raise self.error(
                    f"{name} is {options[name]!r} in the options and {value!r} in the formula", f"{key}, options.{name}"
                )
            options[name] = value

    def _check_panel_use(
        self,
        estimator: str,
        formula: Formula | None,
        vcov: VcovSpec,
        unit: str | None,
        time: str | None,
        options: Mapping[str, Any],
        key: str,
    ) -> None:
        """Refuse uses of the panel's order in a study that declares no unit or time."""
        needs: list[tuple[str, str, bool, bool]] = []
        if estimator in PANEL_ESTIMATORS and estimator != "att_gt":
            needs.append((f"{estimator} needs", "estimator", True, estimator != "between"))
        if formula is not None and "lag" in functions(formula):
            needs.append(("lag() needs", "formula", True, True))
        if vcov.type in ("NW", "DK"):
            needs.append((f"vcov type {vcov.type} needs", "vcov.type", False, True))
        for what, at, wants_unit, wants_time in needs:
            lacking = [n for n, v, w in (("unit", unit, wants_unit), ("time", time, wants_time)) if w and v is None]
            if lacking:
                names_ = " and ".join(lacking)
                raise self.error(f"{what} {names_}", f"{key}, {at}", hint=f"declare {names_} in [data]")
        if formula is not None and "lag" in functions(formula) and time is not None and self.data is not None:
            need(time, self.kinds, ("integer",), f"{self.file}, {key}", "the time of lag()")
        if options.get("weights") and vcov.type == "NW":
            raise self.error("NW takes no weights here", f"{key}, vcov.type")

    def check_rows(self, tables: Sequence[Table]) -> None:
        """Check the ids that ``[[tolerance]]`` and ``[[known]]`` name.

        Raises
        ------
        StudyError
            For a table, column or engine that the study does not have.
        """
        for index, tolerance in enumerate(self.model.tolerance):
            self._check_row(tolerance, f"tolerance[{index + 1}]", tables)
        for index, known in enumerate(self.model.known):
            self._check_row(known, f"known[{index + 1}]", tables)

    def _check_row(self, row: ToleranceRow | KnownRow, key: str, tables: Sequence[Table]) -> None:
        chosen = [t for t in tables if row.table in (None, "*", t.id)]
        if not chosen:
            ids = [t.id for t in tables]
            hint = nearest(row.table or "", ids)
            raise self.error(f"there is no table {row.table!r}", f"{key}.table", allowed=listing(ids), hint=hint)
        columns = [c.id for t in chosen for c in t.columns]
        if row.column not in (None, "*") and row.column not in columns:
            raise self.error(
                f"there is no column {row.column!r}",
                f"{key}.column",
                allowed=listing(columns),
                hint=nearest(row.column or "", columns),
            )
        for side in ("reference", "candidate"):
            engine = getattr(row, side)
            if engine not in (None, "*", *engines.SOURCES):
                self.engines((engine,), f"{key}.{side}")


def _unique(file: str, key: str, ids: Iterable[str], *, joined: bool = False) -> None:
    seen: dict[str, str] = {}
    for name in ids:
        folded = name.casefold()
        if folded in seen:
            twice = seen[folded] == name
            what = f"the id {name!r} is used twice" if twice else f"{seen[folded]!r} and {name!r} differ by case only"
            hint = "table-column becomes a file name and must be unique" if joined else "give each an id of its own"
            raise StudyError(what, where=f"{file}, {key}", hint=hint)
        seen[folded] = name
