"""What is the pair of answers to one question, and when do two messages say the same?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crosscheck.judging import Cell
from crosscheck.results import EstimationResult
from crosscheck.upgrade.measure import Measured
from crosscheck.upgrade.questions import Question

_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]""")
_NUMBERED = re.compile(r"0x[0-9a-f]+|[^\W\d_]*[0-9]+(?:[^\W_]|[._](?=\w))*(?:e[-+]?[0-9]+)?", re.IGNORECASE)
_WORD = re.compile(r"[^\s,;:()'\"#]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two answers to a question, as they are compared, and what differs."""

    question: Question
    old: EstimationResult
    new: EstimationResult
    measured: Measured

    @property
    def moved(self) -> bool:
        """Whether a number differs that has no cause yet."""
        return any(c.verdict == "unexplained" or one_sided(c) for c in self.measured.cells)


def one_sided(cell: Cell) -> bool:
    """Say whether a term is there on one side only."""
    return cell.verdict in ("missing_candidate", "missing_reference") and cell.term not in ("", "*")


def shape(text: str, pair: Pair | None = None) -> str:
    """Return a message without what varies from panel to panel: numbers, what is quoted, names of columns and levels.

    Two messages of one shape are one message, whichever unit, period or column each of them names.
    """
    plain = _NUMBERED.sub("#", _QUOTED.sub("#", text))
    if pair is None:
        return re.sub(r"#(?:[\s,]*#)+", "#", plain)
    names = set(pair.question.frame.names)
    for column in pair.question.frame.columns:
        names.update(level for level in column.levels if len(level) > 1)
    plain = _WORD.sub(lambda m: "#" if m[0].strip(".") in names else m[0], plain)
    return re.sub(r"#(?:[\s,]*#)+", "#", plain)
