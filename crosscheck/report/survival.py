"""Which stars survive other standard errors? A row for each coefficient, a column for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crosscheck.report.layout import Layout
from crosscheck.report.model import ColumnRow, TableRow

KINDS = ("iid", "HC1", "CRV1", "CRV3", "DK", "wild")
NAMES: Mapping[str, str] = {
    "iid": "iid",
    "HC1": "HC1",
    "CRV1": "CRV1",
    "CRV3": "CRV3",
    "DK": "Driscoll-Kraay",
    "wild": "wild bootstrap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Stars and p-value of one coefficient under one kind of standard error.

    ``lost`` says that fewer stars stand here than are printed (or, where nothing is printed, than iid gives);
    ``engines`` names the engines that say so where not all do.
    """

    stars: str
    p_value: float | None
    lost: bool
    gained: bool
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalRow:
    """One coefficient: its estimate, the printed stars (``None`` where the table prints nothing), and its marks."""

    column: str
    anchor: tuple[str, str]
    term: str
    estimate: float
    printed: str | None
    marks: tuple[tuple[Mark, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """The whole table, and how many printed stars survive each kind: ``(kind, kept, of)``."""

    kinds: tuple[str, ...]
    rows: tuple[SurvivalRow, ...]
    counts: tuple[tuple[str, int, int], ...]


def survival(layout: Layout, table: TableRow) -> Survival | None:
    """Return the table of stars, or ``None`` where not every column is an ``inference_grid``."""
    if not table.columns or any(c.estimator != "inference_grid" for c in table.columns):
        return None
    rows = [row for column in table.columns for row in _rows(layout, table, column)]
    kinds = [k for k in KINDS if any(r.marks[KINDS.index(k)] for r in rows)]
    at = [KINDS.index(k) for k in kinds]
    rows = [
        SurvivalRow(
            column=r.column, anchor=r.anchor, term=r.term, estimate=r.estimate, printed=r.printed,
            marks=tuple(r.marks[i] for i in at),
        )
        for r in rows
    ]  # fmt: skip
    counts = []
    for i, kind in enumerate(kinds):
        starred = [r for r in rows if (r.printed if r.printed is not None else _iid(r)) and r.marks[i]]
        kept = sum(not any(m.lost for m in r.marks[i]) for r in starred)
        counts.append((NAMES[kind], kept, len(starred)))
    return Survival(kinds=tuple(NAMES[k] for k in kinds), rows=tuple(rows), counts=tuple(counts))


def _iid(row: SurvivalRow) -> str:
    return row.marks[0][0].stars if row.marks[0] else ""


def _rows(layout: Layout, table: TableRow, column: ColumnRow) -> list[SurvivalRow]:
    values = layout.values(table, column)
    options = column.options
    printed = _printed(layout, column)
    rows = []
    for name in dict.fromkeys((str(options.get("treatment")), *map(str, options.get("also") or ()))):
        estimate = values.get((f"{name} [iid]", "estimate"))
        if not estimate:
            continue
        iid = min(values.get((f"{name} [iid]", "stars"), {}).values(), default=0.0)
        own = None if printed is None else printed.get(name, "")
        base = int(iid) if own is None else own.count("*")
        marks = tuple(_marks(values, f"{name} [{kind}]", base) for kind in KINDS)
        rows.append(
            SurvivalRow(
                column=column.title or column.id, anchor=(table.id, column.id), term=name,
                estimate=next(iter(estimate.values())), printed=own, marks=marks,
            )
        )  # fmt: skip
    return rows


def _marks(values: Mapping[tuple[str, str], Mapping[str, float]], term: str, base: int) -> tuple[Mark, ...]:
    """Return the marks of a term: one where all engines say the same, else one for each opinion."""
    stars, p_values = values.get((term, "stars"), {}), values.get((term, "p_value"), {})
    opinions: dict[int, list[str]] = {}
    for engine, count in stars.items():
        opinions.setdefault(int(count), []).append(engine)
    return tuple(
        Mark(
            stars="*" * count, p_value=p_values.get(engines[0]), lost=count < base, gained=count > base,
            engines=tuple(engines) if len(opinions) > 1 else (),
        )
        for count, engines in opinions.items()
    )  # fmt: skip


def _printed(layout: Layout, column: ColumnRow) -> dict[str, str] | None:
    """Return the printed stars of the column that asks the same regression, or ``None`` where none is printed."""
    for table in layout.report.tables:
        for other in table.columns:
            same = other.formula == column.formula and other.where == column.where
            winsorized = (other.options.get("winsorize") or None) == (column.options.get("winsorize") or None)
            if other.estimator not in ("feols", "winsor_feols") or not same or not winsorized:
                continue
            numbers = layout.printed(table, other)
            if numbers:
                return {term: p.printed for (term, q), p in numbers.items() if q == "stars"}
    return None
