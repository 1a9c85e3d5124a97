"""How does one comparison read as a row of the list of all comparisons?

A run has tens of thousands of them, most of what a page holds; they are written here rather than in the template, which
takes five times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from crosscheck.report.digits import Shown, digits_text, full, mark
from crosscheck.report.model import CellRow
from crosscheck.report.words import LETTERS, group_of, short_name
from crosscheck.verdict import AGREE


def differing(c: CellRow) -> Shown:
    """Return the candidate's number of a cell, marked where it first differs from the reference's."""
    text = full(c.candidate_value)
    if c.verdict in AGREE or not c.compared or not isinstance(c.candidate_value, float):
        return Shown(text)
    return mark(text, c.printed if c.printed is not None else full(c.reference_value), differs=True)


def comparison_tables(cells: Iterable[CellRow]) -> Markup:
    """Return the tables of all comparisons of a column, one for each reference, in the order of the run."""
    found: dict[str, dict[str, list[CellRow]]] = {}
    for c in cells:
        found.setdefault(c.reference, {}).setdefault(c.candidate, []).append(c)
    tables = (comparison_table(reference, tuple(by.items())) for reference, by in found.items())
    return Markup("").join(Markup('<div class="scroll">{}</div>\n').format(table) for table in tables)


def comparison_table(reference: str, candidates: Sequence[tuple[str, Sequence[CellRow]]]) -> Markup:
    """Return the table of all comparisons with one reference: a row for each number, a column for each candidate.

    A term is named in the first of its rows; beside a candidate's number stand the letter of the verdict and how many
    digits agree.
    """
    places: dict[tuple[str, str], list[CellRow | None]] = {}
    for at, (_, cells) in enumerate(candidates):
        for c in cells:
            key = (c.term, c.quantity)
            row = places.setdefault(key, [None] * len(candidates))
            if row[at] is not None:  # a block has a second cell for members without a number
                row = places.setdefault((*key, len(places)), [None] * len(candidates))  # type: ignore[arg-type]
            row[at] = c
    names = "".join(f"<th>{escape(name)}<th>" for name, _ in candidates)
    out = [f'<table class="cells"><thead><tr><th>term<th>quantity<th>{escape(reference)}{names}</thead>\n']
    term: str | None = None
    for row in places.values():
        first = next(c for c in row if c is not None)
        name = "" if first.term == term or first.whole else escape(first.term)
        term = first.term
        shown = first.printed if first.printed is not None else full(first.reference_value)
        # the worst member of a block differs from candidate to candidate
        own = {c.reference_value for c in row if c is not None}
        out.append(
            f"<tr><td>{name}<td>{escape(short_name(first.quantity))}<td>{escape(shown) if len(own) == 1 else ''}"
        )
        out.extend(_candidate(c, len(own) > 1) for c in row)
        out.append("\n")
    return Markup("".join([*out, "</table>"]))  # noqa: S704 - every text in it is escaped above


def _candidate(c: CellRow | None, both: bool) -> str:
    """Return a candidate's number (and the reference's, where the row has no common one) and its verdict."""
    if c is None:
        return "<td><td>"
    digits = f" {digits_text(c.digits)}" if c.printed is None and c.digits is not None and c.verdict != "exact" else ""
    against = f"<small>{escape(full(c.reference_value))} </small>" if both and c.reference_value is not None else ""
    same = c.verdict == "exact" and c.printed is None and not both
    group = "" if c.agrees else f" class={group_of(c.verdict)}"
    return f"<td>{against}{'=' if same else _shown(differing(c))}<td{group}>{LETTERS[c.verdict]}{digits}{_why(c)}"


def _shown(number: Shown) -> str:
    if not number.other:
        return escape(number.same)
    return f'{escape(number.same)}<b class="x">{escape(number.other)}</b>{escape(number.rest)}'


def _why(c: CellRow) -> str:
    """Return what a verdict rests on beyond agreement, what a block says of its members, a tolerance."""
    tolerance = f"; tolerance: {escape(c.tolerance)}" if c.tolerance else ""
    if c.agrees:
        said = escape(c.reason) + tolerance
        return f" <small>{said}</small>" if said else ""
    severity = f", {c.severity}" if c.severity != "none" else ""
    cause = c.explanations[0].title if c.explanations else c.reason
    return f" <small>{c.verdict.replace('_', ' ')}{severity}: {escape(cause)}{tolerance}</small>"
