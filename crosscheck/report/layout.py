"""How does a table of the study look when it is laid out as in the paper, every source under the printed number?

Terms are rows, the paper's columns are columns; below each printed number stand Python's and R's, the first digit that
differs marked. Engines of one language that show the same digits share a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from crosscheck.conventions import stars_of
from crosscheck.report.digits import (
    MINUS,
    Shown,
    decimals_for,
    decimals_to_see,
    fixed,
    full,
    mark,
    printed_decimals,
)
from crosscheck.report.model import PRINTED, CellRow, ColumnRow, PrintedRow, RunReport, SourceRow, TableRow
from crosscheck.report.view import Line, Number, TableView, TermBlock, TextRow
from crosscheck.report.words import fixed_effects, plain_formula, short_name, vcov_name
from crosscheck.results import COEF_QUANTITIES, COUNTS, STAT_QUANTITIES
from crosscheck.verdict import AGREE, BADNESS, EXPLAINED

ALWAYS = ("estimate", "std_error")
IN_UNITS = (*ALWAYS, "conf_low", "conf_high")
STATISTICS = ("nobs", "r2", "adj_r2", "r2_within")
MAX_TERMS = 40
SMALL_P = 1e-4
LANGUAGES = (("python", "Python"), ("r", "R"))
Values = dict[tuple[str, str], dict[str, float]]


class Layout:
    """Lays out the tables of a report; looks every cell and source up once."""

    def __init__(self, report: RunReport) -> None:
        self.report = report
        self._sources: dict[tuple[str, str], list[SourceRow]] = {}
        for s in report.sources:
            self._sources.setdefault((s.table, s.column), []).append(s)
        self._printed: dict[tuple[str, str], dict[tuple[str, str], PrintedRow]] = {}
        self._values: dict[tuple[str, str], Values] = {}
        self._cells: dict[tuple[str, str, str, str], list[CellRow]] = {}
        for c in report.cells:
            self._cells.setdefault((c.table, c.column, c.term, c.quantity), []).append(c)

    @cached_property
    def language_of(self) -> dict[str, str]:
        """The label of each engine's language."""
        names = dict(LANGUAGES)
        return {e.id: names.get(e.language, e.id) for e in self.report.engines}

    def sources(self, table: TableRow, column: ColumnRow) -> list[SourceRow]:
        """Return what the sources say about a column."""
        return self._sources.get((table.id, column.id), [])

    def printed(self, table: TableRow, column: ColumnRow) -> dict[tuple[str, str], PrintedRow]:
        """Return the printed numbers of a column by term and quantity."""
        key = (table.id, column.id)
        if key not in self._printed:
            self._printed[key] = {(p.term, p.quantity): p for s in self.sources(table, column) for p in s.printed}
        return self._printed[key]

    def values(self, table: TableRow, column: ColumnRow) -> Values:
        """Return the numbers of a column by term and quantity, and by source within."""
        key = (table.id, column.id)
        if key not in self._values:
            self._values[key] = _values(self.sources(table, column))
        return self._values[key]

    def view(self, table: TableRow) -> TableView:
        """Lay out one table."""
        printed_terms: list[str] = []
        all_terms: list[str] = []
        quantities: dict[str, dict[str, None]] = {}
        statistics: dict[str, None] = {}
        languages: dict[str, dict[str, None]] = {}
        for column in table.columns:
            here = self.printed(table, column)
            merge(printed_terms, [term for term, _ in here if term])
            for term, quantity in here:
                if term:
                    if quantity != "stars":
                        quantities.setdefault(term, {})[quantity] = None
                else:
                    statistics[quantity] = None
            for source in self.sources(table, column):
                if source.result is None:
                    continue
                languages.setdefault(self.language_of.get(source.source, source.source), {})[source.source] = None
                merge(all_terms, [row.term for row in source.result.coefs])
                known = set(all_terms)
                for extra in source.result.extras:
                    if extra.term not in known:
                        known.add(extra.term)
                        all_terms.append(extra.term)
                    quantities.setdefault(extra.term, {})[extra.quantity] = None
                statistics.update((q, None) for q in STATISTICS if getattr(source.result.stats, q) is not None)
        main = printed_terms or all_terms[:MAX_TERMS]
        rest = [t for t in all_terms if t not in set(main)]
        order = [label for _, label in LANGUAGES]
        labels = sorted(languages, key=lambda name: order.index(name) if name in order else len(order))
        has_print = any(self.printed(table, c) for c in table.columns)
        stacked = ([PRINTED] if has_print else []) + labels
        stats = sorted(statistics, key=lambda q: STATISTICS.index(q) if q in STATISTICS else -1)

        def block(term: str, wanted: Iterable[str], title: str = "") -> TermBlock:
            return TermBlock(term=title or term, lines=self._lines(table, term, wanted, stacked))

        def wanted(term: str) -> list[str]:
            found = quantities.get(term, {})
            return [q for q in COEF_QUANTITIES if q in ALWAYS or q in found] + [
                q for q in found if q not in COEF_QUANTITIES
            ]

        return TableView(
            table=table,
            terms=tuple(block(t, wanted(t)) for t in main),
            others=tuple(block(t, wanted(t)) for t in rest),
            statistics=tuple(block("", [q], short_name(q)) for q in stats),
            texts=_texts(table),
            languages=tuple((label, tuple(languages[label])) for label in labels),
            has_print=has_print,
        )

    def _lines(self, table: TableRow, term: str, quantities: Iterable[str], stacked: Sequence[str]) -> tuple[Line, ...]:
        lines = []
        for quantity in quantities:
            stacks = [self._stack(table, column, term, quantity) for column in table.columns]
            for source in stacked:
                cells = tuple(tuple(n for n in stack if n.label == source) for stack in stacks)
                if any(cells):
                    lines.append(Line(source=source, quantity=quantity, cells=cells))
        return tuple(lines)

    def _stack(self, table: TableRow, column: ColumnRow, term: str, quantity: str) -> list[Number]:
        """Return all numbers of one quantity of one term in one column, published first, equal ones together."""
        printed = self.printed(table, column).get((term, quantity))
        values = self.values(table, column).get((term, quantity), {})
        if printed is None and not values:
            return []
        cells = self._cells.get((table.id, column.id, term, quantity), [])
        std_error = self._std_error(table, column, term) if quantity in IN_UNITS else None
        beside = printed
        if quantity in ALWAYS and printed is None:
            numbers_printed = self.printed(table, column)
            beside = next((numbers_printed[(term, q)] for q in ALWAYS if (term, q) in numbers_printed), None)
        decimals = self._decimals(quantity, beside, cells, values, std_error)
        numbers = []
        if printed is not None:
            numbers.append(self._printed_number(table, column, printed, cells, decimals))
        groups: dict[tuple[str, Shown, str, bool], list[tuple[str, Number]]] = {}
        for engine, value in values.items():
            label = self.language_of.get(engine, engine)
            number = self._number(column, engine, value, term, quantity, printed, cells, decimals, table)
            groups.setdefault((label, number.shown, number.stars, number.other_stars), []).append((engine, number))
        present = {label for label, _, _, _ in groups}
        for key, members in sorted(groups.items(), key=lambda item: -len(item[1])):
            rivals = [len(others) for other, others in groups.items() if other[0] == key[0]]
            usual = len(members) == max(rivals) and rivals.count(len(members)) == 1
            said = [number.verdict for _, number in members if number.verdict]
            numbers.append(
                replace(
                    members[0][1],
                    full="; ".join(f"{e} {full(values[e])}" for e, _ in members),
                    verdict=min(said, key=BADNESS.index, default=None),
                    label=key[0],
                    engines=() if usual else tuple(e for e, _ in members),
                )
            )
        if numbers and quantity == "estimate":
            numbers.extend(self._absent(table, column, present))
        return numbers

    def _std_error(self, table: TableRow, column: ColumnRow, term: str) -> float | None:
        """Return the first standard error of a coefficient; that of a placebo draw and the like does not count."""
        errors = self.values(table, column).get((term, "std_error"), {})
        for source in self.sources(table, column):
            if errors.get(source.source) and source.result is not None and source.result.coef(term) is not None:
                return errors[source.source]
        return None

    @staticmethod
    def _decimals(
        quantity: str,
        printed: PrintedRow | None,
        cells: Sequence[CellRow],
        values: dict[str, float],
        std_error: float | None,
    ) -> int:
        countable = quantity in COUNTS or (quantity not in COEF_QUANTITIES and printed is None)
        if countable and all(float(v).is_integer() for v in values.values()):
            return 0
        places = printed_decimals(printed.printed) if printed else None
        decimals = decimals_for(places, std_error if quantity in IN_UNITS else None)
        for c in cells:
            if c.compared and c.verdict not in AGREE and c.reference != PRINTED:
                a, b = c.reference_value, c.candidate_value
                if isinstance(a, float) and isinstance(b, float):
                    decimals = decimals_to_see(a, b, decimals)
        return decimals

    def _printed_number(
        self, table: TableRow, column: ColumnRow, p: PrintedRow, cells: Sequence[CellRow], decimals: int
    ) -> Number:
        stars = self.printed(table, column).get((p.term, "stars")) if p.quantity == "estimate" else None
        found = [c.verdict for c in cells if c.reference == PRINTED and c.compared]
        best = min(found, key=lambda v: 0 if v in AGREE else 1 if v in EXPLAINED else 2) if found else None
        text = p.printed.replace("-", MINUS)
        lacks = decimals - (printed_decimals(p.printed) or 0)
        return Number(
            shown=Shown(text),
            full=f"published.csv, line {p.line}" if p.line else "printed",
            stars=stars.printed if stars else "",
            verdict=best if best not in AGREE else None,
            label=PRINTED,
            pad=max(0, lacks + (1 if "." not in text and decimals else 0)),
        )

    def _number(
        self,
        column: ColumnRow,
        engine: str,
        value: float,
        term: str,
        quantity: str,
        printed: PrintedRow | None,
        cells: Sequence[CellRow],
        decimals: int,
        table: TableRow,
    ) -> Number:
        mine = [c for c in cells if c.candidate == engine]
        text = _text(value, decimals, quantity)
        marks = [
            mark(text, self._other_text(c, printed, decimals), True)
            for c in mine
            if c.compared and c.verdict not in AGREE
        ]
        shown = min(marks, key=lambda m: len(m.same), default=Shown(text))
        stars, on_stars = "", []
        if quantity == "estimate" and column.legend:
            source = next(s for s in self.sources(table, column) if s.source == engine)
            row = source.result.coef(term) if source.result else None
            if row is not None and row.p_value is not None and not math.isnan(row.p_value):
                stars = stars_of(row.p_value, dict(column.legend))
            on_stars = [c for c in self._cells.get((table.id, column.id, term, "stars"), ()) if c.candidate == engine]
        spoken = [c.verdict for c in (*mine, *on_stars) if c.verdict != "unsupported"]
        return Number(
            shown=shown,
            stars=stars,
            other_stars=any(c.compared and not c.agrees for c in on_stars),
            verdict=min(spoken, key=BADNESS.index, default=None),
        )

    @staticmethod
    def _other_text(c: CellRow, printed: PrintedRow | None, decimals: int) -> str:
        if c.reference == PRINTED and printed is not None:
            return printed.printed.replace("-", MINUS)
        return _text(c.reference_value, decimals, c.quantity) if isinstance(c.reference_value, float) else ""

    def _absent(self, table: TableRow, column: ColumnRow, present: set[str]) -> Iterable[Number]:
        """Yield a dash for each language whose engines all failed in the column, once for each term."""
        failed: dict[str, list[SourceRow]] = {}
        for source in self.sources(table, column):
            if source.result is not None and source.result.status == "error":
                failed.setdefault(self.language_of.get(source.source, source.source), []).append(source)
        for label, sources in failed.items():
            if label in present:
                continue
            why = "; ".join(f"{s.source}: {s.result.reason}" for s in sources if s.result)
            yield Number(shown=Shown("—"), full=why, verdict="error", label=label)


def _text(value: float, decimals: int, quantity: str) -> str:
    """Write a number as the table shows it; a small p-value in powers of ten, whatever the table prints."""
    if quantity == "p_value" and 0 < value < SMALL_P:
        return f"{value:.5g}".replace("-", MINUS)
    return fixed(value, decimals)


def merge(order: list[str], terms: Sequence[str]) -> None:
    """Insert the terms that an order lacks, each behind its predecessor, so that every column keeps its own order."""
    known = set(order)
    place = 0 if known.intersection(terms) else len(order)
    for term in terms:
        if term in known:
            place = order.index(term) + 1
            continue
        known.add(term)
        order.insert(place, term)
        place += 1


def _values(sources: Iterable[SourceRow]) -> Values:
    """Return the numbers that sources give, by term and quantity; of what a source says twice the first counts."""
    found: Values = {}
    for source in sources:
        result = source.result
        if result is None:
            continue
        rows = {row.term: row for row in reversed(result.coefs)}
        mine: dict[tuple[str, str], float | None] = {("", q): getattr(result.stats, q) for q in STAT_QUANTITIES}
        mine |= {(term, q): getattr(row, q) for term, row in rows.items() for q in COEF_QUANTITIES}
        for extra in result.extras:
            mine.setdefault((extra.term, extra.quantity), extra.value)
        for key, value in mine.items():
            if value is not None:
                found.setdefault(key, {})[source.source] = value
    return found


def _texts(table: TableRow) -> tuple[TextRow, ...]:
    rows = [
        ("Fixed effects", [", ".join(fixed_effects(c)) for c in table.columns]),
        ("Std. errors", [vcov_name(c.vcov) for c in table.columns]),
        ("Sample", [plain_formula(c.where) for c in table.columns]),
        ("Estimator", [c.estimator if c.estimator != "feols" else "OLS" for c in table.columns]),
    ]
    texts = [TextRow(label=label, cells=tuple(cells)) for label, cells in rows if any(cells)]
    return tuple(t for t in texts if t.label != "Estimator" or set(t.cells) != {"OLS"})
