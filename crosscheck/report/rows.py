"""How does one comparison read as a row of the list of all comparisons?

A run has tens of thousands of them, most of what a page holds; they are written here rather than in the template, which
takes five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def comparison_rows(cells: Sequence[CellRow]) -> Markup:
    """Return the rows of a pair of sources; a term is named in the first of its rows."""
    rows = []
    term: str | None = None
    for c in cells:
        name = "" if c.term == term or c.whole else escape(c.term)
        term = c.term
        reference = c.printed if c.printed is not None else full(c.reference_value)
        digits = digits_text(c.digits) if c.printed is None else ""
        rows.append(
            f"<tr><td>{name}<td>{escape(short_name(c.quantity))}<td>{escape(reference)}<td>{_shown(differing(c))}"
            f"<td>{digits}<td class={group_of(c.verdict)}>{LETTERS[c.verdict]}{_why(c)}\n"
        )
    return Markup("".join(rows))  # noqa: S704 - every text in it is escaped above


def _shown(number: Shown) -> str:
    if not number.other:
        return escape(number.same)
    return f'{escape(number.same)}<b class="x">{escape(number.other)}</b>{escape(number.rest)}'


def _why(c: CellRow) -> str:
    """Return the last field of a row: what a verdict other than agreement rests on, and a tolerance of the study."""
    if c.agrees and not c.tolerance:
        return ""
    tolerance = f"tolerance: {escape(c.tolerance)}" if c.tolerance else ""
    if c.agrees:
        return f"<td>{tolerance}"
    severity = f", {c.severity}" if c.severity != "none" else ""
    cause = c.explanations[0].title if c.explanations else c.reason
    return f"<td>{c.verdict.replace('_', ' ')}{severity} <small>{escape(cause)}</small>{tolerance}"
