"""What is the smallest example that hypothesis finds of something that may be asked only so often?

Whatever is drawn twice is asked once, so that an answer never changes under hypothesis; it draws the same examples each
time, and ends where the questions are used up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from crosscheck.errors import CrosscheckError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Example = TypeVar("Example")
Size = tuple[Any, ...]


class _Enough(BaseException):
    """The questions are used up; no exception that hypothesis would take for a failure."""


def least(
    strategy: SearchStrategy[Example],
    shows: Callable[[Example], bool],
    *,
    key: Callable[[Example], Hashable],
    size: Callable[[Example], Size],
    bound: Size,
    examples: int,
    calls: int,
) -> Example | None:
    """Return the smallest example below a bound that shows something, ``None`` where none was found.

    Parameters
    ----------
    strategy : strategy
    shows : callable
        The question.
    key, size : callable
        What tells an example from others; how large it is.
    bound : tuple
        Sizes that are not below it are not asked about.
    examples : int
        How many are drawn before the first that shows it.
    calls : int
        How often ``shows`` is asked.
    """
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import HypothesisException

    answers: dict[Hashable, bool] = {}
    best: list[tuple[Size, Example]] = []
    asked = 0

    def condition(example: Example) -> bool:
        nonlocal asked
        here = size(example)
        if not here < bound:
            return False
        name = key(example)
        if name not in answers:
            if asked >= calls:
                raise _Enough
            asked += 1
            answers[name] = shows(example)
            if answers[name] and (not best or here < best[0][0]):
                best[:] = [(here, example)]
        return answers[name]

    quiet = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    # whatever ends the search, what was found until then stands
    with contextlib.suppress(_Enough, HypothesisException, CrosscheckError):
        find(strategy, condition, settings=quiet)
    return best[0][1] if best else None
