"""How do two sources stand in one column, over all their numbers?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from crosscheck.report.model import CellRow, PairRow
from crosscheck.verdict import AGREE, BADNESS, DIFFERENT, EXPLAINED, SEVERITIES, Severity, Verdict


def pair_rows(cells: Iterable[CellRow]) -> tuple[PairRow, ...]:
    """Return a row for each pair of sources in each column, in the order of the run."""
    groups: dict[tuple[str, str, str, str], list[CellRow]] = {}
    for c in cells:
        groups.setdefault((c.table, c.column, c.reference, c.candidate), []).append(c)
    return tuple(_pair(key, group) for key, group in groups.items())


def worst_verdict(cells: Iterable[CellRow]) -> Verdict:
    """Return the worst verdict of cells; ``unsupported`` only where nothing else is there.

    A quantity that an engine does not report is counted beside the verdict, and does not hide it.
    """
    found = {c.verdict for c in cells}
    spoken = found - {"unsupported"} or found
    return min(spoken, key=BADNESS.index)


def _pair(key: tuple[str, str, str, str], cells: Sequence[CellRow]) -> PairRow:
    counts = Counter(c.verdict for c in cells)
    agreeing = sum(counts[v] for v in AGREE)
    explained = sum(counts[v] for v in EXPLAINED)
    different = sum(counts[v] for v in DIFFERENT)
    compared = agreeing + explained + different
    silent = counts["unsupported"] if compared else 0
    return PairRow(
        table=key[0],
        column=key[1],
        reference=key[2],
        candidate=key[3],
        verdict=worst_verdict(cells),
        severity=max((c.severity for c in cells), key=_rank),
        compared=compared,
        agreeing=agreeing,
        explained=explained,
        different=different,
        silent=silent,
        not_compared=len(cells) - compared - silent,
        digits_estimate=least_digits(cells, "estimate"),
        digits_std_error=least_digits(cells, "std_error"),
    )


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def least_digits(cells: Iterable[CellRow], quantity: str) -> float | None:
    """Return the fewest agreeing digits of a quantity over compared cells, or ``None`` where none was compared."""
    return min(
        (d for c in cells if c.compared and c.quantity == quantity and (d := c.agreeing_digits) is not None),
        default=None,
    )
