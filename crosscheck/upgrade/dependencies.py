"""Did the package move a number, or something that it stands on?

Two sides share numpy, scipy, pandas and formulaic wherever one resolution satisfies both. Where they cannot, the old
package is asked once more with the new side's versions: a number that then is the new one was moved by them, and one
that stays was moved by the package. Where the package itself is the same on both sides, what differs is the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crosscheck.conventions import lre
from crosscheck.errors import EngineMissing
from crosscheck.explain import Explanation
from crosscheck.report.words import listing, plural
from crosscheck.results import EstimationResult
from crosscheck.upgrade.beside import differing, with_dependencies_of
from crosscheck.upgrade.causes import DIGITS, Key, Moving
from crosscheck.upgrade.measure import measure
from crosscheck.upgrade.sides import Side
from crosscheck.upgrade.sources import Source, ThinSource
from crosscheck.upgrade.state import told
from crosscheck.verdict import AGREE

DEPENDENCY_RULE = "dependency"
Causes = dict[str, dict[Key, tuple[Explanation, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """What was moved by a dependency, and what there is to say of dependencies that could not be held the same."""

    causes: Causes = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def replay_dependencies(moved: Sequence[Moving], old: Source, new: Source, timeout: float) -> Attributed:
    """Tell what a dependency moved from what the package moved.

    Parameters
    ----------
    moved : sequence of (question, old answer, new answer, what moved)
    old, new : Source
    timeout : float
        Seconds for one call.
    """
    if not isinstance(old, ThinSource) or not isinstance(new, ThinSource):
        return Attributed()
    names = differing(old.side, new.side)
    if not names:
        return Attributed()
    shown = listing([f"{n} {old.side.state[n]} -> {new.side.state[n]}" for n in names], 6)
    if _same_package(old.side, new.side):
        return Attributed(causes={item[0].id: _all_of(item, shown) for item in moved}) if moved else Attributed()
    what = f"beside the package, {shown} {'differs' if len(names) == 1 else 'differ'}"
    why = f"{what}: no release satisfies both sides" if not old.side.pins and not new.side.pins else what
    cases = [item for item in moved if item[0].case is not None]
    if not cases:
        return Attributed(notes=(f"{why}; no number moved that this could explain.",))
    try:
        third = with_dependencies_of(old.side, new.side, names, told)
    except EngineMissing as error:
        reason = error.what.rstrip(".")[:300]
        return Attributed(
            notes=(f"{why}; the old package cannot be run with the new versions, so what they moved is not told "
                   f"apart from what the package moved ({reason}).",)
        )  # fmt: skip
    answers = ThinSource(side=third).again([c[0].case for c in cases if c[0].case is not None], timeout)
    causes: Causes = {}
    count = total = 0
    for item in cases:
        question, _, _, measured = item
        mine = _brought_about(item, answers.get(question.case.id) if question.case is not None else None, shown, third)
        total += sum(c.verdict == "unexplained" for c in measured.cells)
        count += len(mine)
        if mine:
            causes[question.id] = mine
    said = f"{third.id} gives the new number in {count:,} of {plural(total, 'number')} that moved"
    rest = "" if count == total else "; the others are moved by the package" if count else ": the package moved them"
    return Attributed(causes=causes, notes=(f"{why}; {said}{rest}.",))


def _same_package(old: Side, new: Side) -> bool:
    plain = [s.id.partition(" (")[0] for s in (old, new)]
    return old.version == new.version and plain[0] == plain[1]


def _all_of(item: Moving, shown: str) -> dict[Key, tuple[Explanation, ...]]:
    """Name what differs as the cause of all that moved; the package is the same."""
    _, _, _, measured = item
    found: dict[Key, tuple[Explanation, ...]] = {}
    for c in measured.cells:
        if c.verdict in ("unexplained", "missing_candidate", "missing_reference"):
            found[c.term, c.quantity] = (
                Explanation(
                    rule=DEPENDENCY_RULE,
                    title=f"{shown}; the package is the same on both sides",
                    formula="nothing else differs between the two environments",
                ),
            )
    return found


def _brought_about(
    item: Moving, again: EstimationResult | None, shown: str, third: Side
) -> dict[Key, tuple[Explanation, ...]]:
    """Return the numbers of a question that the new dependencies alone bring to their new value."""
    question, _, new, measured = item
    if again is None or again.status != "ok":
        return {}
    cells = measure(new, again.with_(engine=f"{again.engine} again"), question.context).cells
    met = {(c.term, c.quantity): c for c in cells if c.verdict in AGREE or _near(c.digits)}
    found: dict[Key, tuple[Explanation, ...]] = {}
    for cell in measured.cells:
        key = (cell.term, cell.quantity)
        if cell.verdict != "unexplained" or key not in met:
            continue
        a, b = cell.candidate_value, met[key].candidate_value
        numbers = isinstance(a, float | int) and isinstance(b, float | int)
        found[key] = (
            Explanation(
                rule=DEPENDENCY_RULE,
                title=f"{shown}, and not the package",
                formula=f"{third.id} gives the new number",
                replay=float(b) if numbers else None,  # type: ignore[arg-type]
                digits_after=lre(float(a), float(b)) if numbers else None,  # type: ignore[arg-type]
            ),
        )
    return found


def _near(digits: float | None) -> bool:
    return digits is not None and digits >= DIGITS
