"""How does a study as written become tables of complete requests?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from crosscheck import engines
from crosscheck.declared import Declared
from crosscheck.errors import FormulaError, UsageError, nearest
from crosscheck.options import DEFAULT_ENGINES, WITHOUT_FORMULA
from crosscheck.request import build_request
from crosscheck.spec import Estimator, FitRequest
from crosscheck.study_file import ColumnTable, KnownRow, TableTable, ToleranceRow
from crosscheck.syntax import listing
from crosscheck.tables import ColumnSpec, Table
from crosscheck.where import Where, parse_where


def resolve_tables(declared: Declared) -> tuple[Table, ...]:
    """Check a study's file against its data and resolve every column.

    Raises
    ------
    StudyError, FormulaError
        At the first thing that does not fit, naming its key.
    """
    _check_data(declared)
    _check_ids(declared)
    for side in ("candidates", "references"):
        declared.engines(getattr(declared.model.defaults, side), f"defaults.{side}")
    tables = tuple(
        Table(
            id=table.id,
            title=table.title,
            source=table.source,
            kind=table.kind,
            columns=tuple(_column(declared, table, t, column, c) for c, column in enumerate(table.column)),
        )
        for t, table in enumerate(declared.model.table)
    )
    for index, tolerance in enumerate(declared.model.tolerance):
        _check_row(declared, tolerance, f"tolerance[{index + 1}]", tables)
    for index, known in enumerate(declared.model.known):
        _check_row(declared, known, f"known[{index + 1}]", tables)
    return tables


def _check_data(declared: Declared) -> None:
    data = declared.model.data
    if data is None:
        if declared.model.simulate is None and declared.model.audit is None:
            raise declared.error("the study has no data", "data", hint='write [data] with path = "panel.csv"')
        return
    for key, named in (("kinds", data.kinds), ("levels", data.levels), ("missing", data.missing)):
        for name in named:
            if name != "*":
                declared.known_column(name, f"data.{key}")
    for key, identifier in (("unit", data.unit), ("time", data.time)):
        if identifier is not None:
            declared.kind(identifier, f"data.{key}")
    if data.unit is not None and data.unit == data.time:
        raise declared.error("unit and time are the same column", "data.time")


def _check_ids(declared: Declared) -> None:
    tables = declared.model.table
    own = "give each an id of its own"
    _unique(declared, "table", (t.id for t in tables), own)
    for index, table in enumerate(tables):
        _unique(declared, f"table[{index + 1}].column", (c.id for c in table.column), own)
    joined = (f"{t.id}-{c.id}" for t in tables for c in t.column)
    _unique(declared, "table", joined, "table-column becomes a file name and must be unique")


def _unique(declared: Declared, key: str, ids: Iterable[str], hint: str) -> None:
    seen: dict[str, str] = {}
    for name in ids:
        other = seen.get(name.casefold())
        if other is not None:
            what = f"the id {name!r} is used twice" if other == name else f"{other!r} and {name!r} differ by case only"
            raise declared.error(what, key, hint=hint)
        seen[name.casefold()] = name


def _column(declared: Declared, table: TableTable, t: int, column: ColumnTable, c: int) -> ColumnSpec:
    short = f"table[{t + 1}].column[{c + 1}]"
    key = f"{short} ({table.id}/{column.id})"
    model = declared.model
    estimator = column.estimator or model.defaults.estimator
    spec = ColumnSpec(
        table=table.id,
        id=column.id,
        title=column.title,
        request=FitRequest(estimator=estimator),
        where=None,
        candidates=(),
        references=(),
        legend=dict(table.legend if table.legend is not None else model.legend),
        kind=table.kind,
        key=short,
        joint=column.joint,
        keep=column.keep,
        constant_of=None if column.constant_of is None else _place(column.constant_of),
    )
    if table.kind == "descriptives":
        return spec
    if model.data is None and model.simulate is None:
        return spec
    if column.formula is None and estimator not in WITHOUT_FORMULA:
        if model.audit is not None:
            return spec
        raise declared.error("the column has no formula", f"{key}, formula", hint='write formula = "y ~ x | unit"')
    request = build_request(declared, estimator, column, key)
    sample = column.sample or model.defaults.sample
    where = _filter(declared, sample.where, f"{key}, sample.where") if sample is not None else None
    candidates, references = _engines(declared, estimator, column, key)
    return replace(
        spec,
        request=request,
        where=where.text if where else None,
        filter=where,
        candidates=candidates,
        references=references,
    )


def _place(text: str) -> tuple[str, str]:
    table, _, column = text.partition("/")
    return table, column


def _engines(declared: Declared, estimator: Estimator, column: ColumnTable, key: str) -> tuple[tuple[str, ...], ...]:
    """Return candidates and references: the column's, the study's, or the estimator's that are known here."""
    sides = []
    for side, fallback in zip(("candidates", "references"), DEFAULT_ENGINES[estimator], strict=True):
        named = getattr(column, side)
        if named is None:
            named = getattr(declared.model.defaults, side)
        if named is None:
            named = tuple(e for e in fallback if e in engines.known_ids())
        sides.append(declared.engines(named, f"{key}, {side}"))
        for pinned in (e for e in sides[-1] if "@" in e):
            try:
                engines.get(pinned)
            except UsageError as error:
                raise declared.error(error.what, f"{key}, {side}", allowed=error.allowed, hint=error.hint) from None
    candidates, references = sides
    if not candidates:
        allowed = ", ".join(engines.known_ids())
        what = "no engine is a candidate, so nothing would be checked"
        raise declared.error(what, f"{key}, candidates", allowed=allowed)
    if references and set(candidates) | set(references) == {candidates[0]}:
        what = f"{candidates[0]} is the only candidate and the only reference; nothing is compared with itself"
        raise declared.error(what, f"{key}, references", hint="name another engine, or references = []")
    return candidates, references


def _filter(declared: Declared, text: str, key: str) -> Where:
    """Parse a filter; a column that exists but has no kind is told apart from one that does not exist."""
    header = declared.data.header if declared.data is not None else tuple(declared.kinds)
    kinds = {name: declared.kinds[name] for name in header if name in declared.kinds}
    try:
        return parse_where(text, kinds, where=f"{declared.file}, {key}")
    except FormulaError as error:
        for name in header:
            if name not in kinds and error.what == f"there is no column {name!r}":
                declared.kind(name, key)
        raise


def _check_row(declared: Declared, row: ToleranceRow | KnownRow, key: str, tables: Sequence[Table]) -> None:
    chosen = [t for t in tables if row.table in (None, "*", t.id)]
    if not chosen:
        ids = [t.id for t in tables]
        hint = nearest(row.table or "", ids)
        raise declared.error(f"there is no table {row.table!r}", f"{key}.table", allowed=listing(ids), hint=hint)
    columns = [c.id for t in chosen for c in t.columns]
    if row.column not in (None, "*", *columns):
        hint = nearest(row.column or "", columns)
        raise declared.error(f"there is no column {row.column!r}", f"{key}.column", allowed=listing(columns), hint=hint)
    for side in ("reference", "candidate"):
        engine = getattr(row, side)
        if engine not in (None, "*", *engines.SOURCES):
            declared.engines((engine,), f"{key}.{side}")
