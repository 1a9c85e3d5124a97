"""What is the one sentence that a reader should take away?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from crosscheck.report.digits import digits_text
from crosscheck.report.model import PRINTED, CellRow, Finding
from crosscheck.report.words import listing, plural, quantity_name
from crosscheck.verdict import EXPLAINED

PRIMARY = ("estimate", "std_error")
Place = tuple[str, str, str, str]


def standing(cells: Iterable[CellRow]) -> dict[Place, str]:
    """Say of each printed number that was compared how it stands.

    ``reproduced`` by some engine, ``explained``, or ``met by none``.
    """
    best: dict[Place, int] = {}
    for c in cells:
        if c.reference != PRINTED or not c.compared:
            continue
        rank = 0 if c.agrees else 1 if c.verdict in EXPLAINED else 2
        key = (c.table, c.column, c.term, c.quantity)
        best[key] = min(rank, best.get(key, rank))
    names = ("reproduced", "explained", "met by none")
    return {place: names[rank] for place, rank in best.items()}


def summarize(cells: Sequence[CellRow], findings: Sequence[Finding], *, complete: bool) -> tuple[str, ...]:
    """Say in one sentence whether the numbers hold, in parts, the strongest finding first.

    A printed number that no engine gives comes before everything else; then what differs with no cause found, by
    severity; then engines that failed.
    """
    unfinished = "" if complete else f"The run did not finish; of the {plural(len(cells), 'cell')} that it wrote: "
    if not any(c.compared for c in cells):
        why = findings[0].title if findings else "no column has two sources"
        return (f"{unfinished}Nothing was compared: {why.rstrip('.')}",)
    held = standing(cells)
    lost = {place for place, how in held.items() if how == "met by none"}
    open_ = [f for f in findings if f.verdict not in EXPLAINED and f.severity != "none"]
    open_.sort(key=lambda f: _strength(f, lost))
    parts = []
    if open_:
        more = len(open_) - 1
        tail = f" ({plural(more, 'further difference')} below)" if more else ""
        parts.append(open_[0].title + tail)
    parts.append(printed_standing(held))
    parts.append(_between_engines(cells))
    missing = [f for f in findings if f.example.whole and f.verdict not in ("unsupported", "error") and f.culprit]
    parts.append(listing(_absence(f) for f in missing))
    said = [p for p in parts if p]
    if said[0].startswith(("all ", "no ")):
        said[0] = said[0].capitalize()
    return (unfinished + said[0], *said[1:])


def _absence(f: Finding) -> str:
    return f"{f.culprit} is {'stale' if f.verdict == 'stale' else 'missing'} in {plural(len(f.places), 'column')}"


def _strength(f: Finding, lost: set[Place]) -> int:
    if any((c.table, c.column, c.term, c.quantity) in lost and c.reference == PRINTED for c in f.cells):
        return 0
    return 2 if f.example.whole else 1


def printed_standing(held: dict[Place, str]) -> str:
    """Say how many printed numbers hold, and in which columns others differ by a named cause."""
    if not held:
        return ""
    counts = Counter(held.values())
    good, total = counts["reproduced"], len(held)
    count = f"all {total:,}" if good == total else f"{good:,} of {total:,}"
    moved = counts["explained"]
    explained = f", {moved:,} {'differs' if moved == 1 else 'differ'} by a named cause{_where(held)}" if moved else ""
    return f"{count} printed numbers are reproduced{explained}"


def _where(held: dict[Place, str]) -> str:
    """Say in which columns the explained numbers stand, those with most of them first."""
    columns = Counter((table, column) for (table, column, _, _), how in held.items() if how == "explained")
    return f" in {listing(f'{table} ({column})' for (table, column), _ in columns.most_common())}"


def _between_engines(cells: Sequence[CellRow]) -> str:
    between = [c for c in cells if c.reference != PRINTED and c.compared]
    if not between:
        return ""
    agree = [c for c in between if c.agrees]
    if len(agree) == len(between):
        return f"all {len(between):,} comparisons between engines agree{_digits(between)}"
    named = sum(c.verdict in EXPLAINED for c in between)
    causes = f", {named:,} differ by a named cause" if named else ""
    return f"{len(agree):,} of {len(between):,} comparisons between engines agree{_digits(agree)}{causes}"


def _digits(cells: Iterable[CellRow]) -> str:
    least: dict[str, float] = {}
    for c in cells:
        digits = c.agreeing_digits
        if c.quantity in PRIMARY and digits is not None:
            least[c.quantity] = min(digits, least.get(c.quantity, digits))
    said = [f"{quantity_name(q, 2)} to {digits_text(least[q])} digits" for q in PRIMARY if q in least]
    return f" ({', '.join(said)}, or more)" if said else ""
