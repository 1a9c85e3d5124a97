"""What is the smallest panel on which two sources still disagree in the same way?

:func:`shrink` takes units, periods, levels, rows and columns away and makes values simpler, as long as a single
question keeps its answer: ``still_differs(frame)`` returns the *identity* of the disagreement that a panel shows (any
value that can be compared, such as property, engine and quantity), or ``None``. A panel that shows another one counts
as showing none, so that shrinking never slides to another bug.
"""

from __future__ import annotations

from crosscheck.shrink.layout import Layout
from crosscheck.shrink.search import Question, Shrunk, Step, shrink

__all__ = ["Layout", "Question", "Shrunk", "Step", "shrink"]
