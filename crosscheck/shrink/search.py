"""How is a panel made smaller within a budget, always in the same way?

Passes take turns until none of them helps: units, periods, levels, rows, columns, values, labels. Each proposes panels,
the simplest first, and a :class:`Search` asks the question of each once. Nothing is drawn: the same panel and the same
answers give the same steps. A budget of calls ends at the same place too; one of time may not, and the result says
which budget ended the search.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.frame import Column, Frame
from crosscheck.shrink.labels import merge_groups, relabel
from crosscheck.shrink.layout import Layout
from crosscheck.shrink.removal import remove_columns, remove_levels, remove_missing_rows, remove_rows
from crosscheck.shrink.values import simplify_cells, simplify_columns

Identity = Hashable
Question = Callable[[Frame], Identity | None]
Stopped = Literal["", "calls", "seconds"]
Pass = Callable[["Search"], None]

MAX_CALLS = 2000
MAX_SECONDS = 120.0
MAX_ROUNDS = 12
LABEL_CALLS, LABEL_SHARE = 100, 0.1
DIGIT_CALLS, DIGIT_SHARE = 100, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One accepted simplification: by which pass, what it did, the size of the panel before and after, calls so far."""

    by: str
    what: str
    rows_before: int
    rows_after: int
    columns_after: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The smallest panel found.

    Attributes
    ----------
    frame : Frame
    identity : hashable
        What the question answers on it, and on the panel that the search began with.
    steps : tuple of Step
        What was done, in order.
    calls : int
        Times the question was asked; panels that were met twice were asked once.
    seconds : float
    stopped : str
        ``calls`` or ``seconds`` where that budget ended the search before the passes had nothing left to try.
    """

    frame: Frame
    identity: Identity
    steps: tuple[Step, ...]
    calls: int
    seconds: float
    stopped: Stopped = ""


class _Exhausted(Exception):
    """A budget is used up."""


class Search:
    """The panel so far, the question, and what may still be spent."""

    def __init__(
        self,
        frame: Frame,
        question: Question,
        layout: Layout,
        *,
        max_calls: int,
        max_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.frame, self.layout = frame, layout
        self.steps: list[Step] = []
        self.calls = 0
        self.stopped: Stopped = ""
        self._question, self._clock = question, clock
        self.max_calls, self.deadline = max_calls, clock() + max_seconds
        self._refused: set[str] = set()
        self.identity = self._ask(frame)
        self._keep_unused = False

    def _ask(self, frame: Frame) -> Identity | None:
        self.calls += 1
        try:
            return self._question(frame)
        except CrosscheckError:
            return None  # a panel that cannot be asked about shows nothing

    def holds(self, frame: Frame) -> bool:
        """Say whether a panel still shows the disagreement, without taking it."""
        if frame.nrows == 0 or not frame.columns:
            return False
        key = frame.key
        if key in self._refused:
            return False
        if self.calls >= self.max_calls:
            self.stopped = "calls"
            raise _Exhausted
        if self._clock() > self.deadline:
            self.stopped = "seconds"
            raise _Exhausted
        if self._ask(frame) == self.identity:
            return True
        self._refused.add(key)
        return False

    def drop_unused(self) -> None:
        """Take away levels that no row has; where the disagreement needs them, keep them from now on."""
        bare = self.frame.take(np.ones(self.frame.nrows, dtype=bool))
        self._keep_unused = bare.key != self.frame.key and not self.take(bare, "levels", "unused levels taken away")

    def rows(self, kept: NDArray[np.bool_]) -> Frame:
        """Return the rows of the panel so far that a mask of shape (n,) keeps."""
        if not self._keep_unused:
            return self.frame.take(kept)
        columns = tuple(Column(c.name, c.kind, c.values[kept], c.levels) for c in self.frame.columns)
        return replace(self.frame, columns=columns, nrows=int(kept.sum()), row_ids=self.frame.take(kept).row_ids)

    def take(self, frame: Frame, by: str, what: str) -> bool:
        """Take a panel in place of the one so far if it still shows the disagreement."""
        if not self.holds(frame):
            return False
        before = self.frame.nrows
        self.frame = frame
        self.steps.append(
            Step(
                by=by,
                what=what,
                rows_before=before,
                rows_after=frame.nrows,
                columns_after=len(frame.columns),
                calls=self.calls,
            )
        )
        return True


def _units(search: Search) -> None:
    for name in dict.fromkeys((search.layout.unit, *search.layout.groups)):
        if name is not None and name in search.frame:
            remove_levels(search, name)


def _periods(search: Search) -> None:
    if search.layout.time is not None and search.layout.time in search.frame:
        remove_levels(search, search.layout.time)


REMOVALS: tuple[Pass, ...] = (remove_missing_rows, _units, _periods, remove_rows, remove_columns)
SIMPLER: tuple[Pass, ...] = (merge_groups, simplify_columns, simplify_cells)


def shrink(
    frame: Frame,
    still_differs: Question,
    *,
    layout: Layout | None = None,
    max_calls: int = MAX_CALLS,
    max_seconds: float = MAX_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    passes: Sequence[Sequence[Pass]] = (REMOVALS, SIMPLER),
) -> Shrunk:
    """Return the smallest panel found that still shows the disagreement of the given one.

    Parameters
    ----------
    frame : Frame
    still_differs : callable
        ``still_differs(frame)`` returns the identity of the disagreement that a panel shows, or ``None``. It must
        answer the same for the same panel. An error of crosscheck's own counts as ``None``; any other is passed on.
        A panel may lack columns: the question answers ``None`` where it cannot do without them.
    layout : Layout, optional
        Roles of the columns.
    max_calls, max_seconds : int, float
        Budgets; the result says which of them ended the search. Giving plain names may take up to 100 calls and a tenth
        of the time more.
    clock : callable
        Seconds, never going back.
    passes : sequence of sequences
        Groups of passes; a later group starts when the earlier one has nothing left to try, and the first is tried
        again after it.

    Returns
    -------
    Shrunk

    Raises
    ------
    UsageError
        Where the given panel shows no disagreement, or the layout names a column that it does not have.
    """
    layout = layout or Layout()
    layout.check(frame)
    began = clock()
    search = Search(frame, still_differs, layout, max_calls=max_calls, max_seconds=max_seconds, clock=clock)
    if search.identity is None:
        raise UsageError("the panel shows no difference, so there is nothing to shrink")
    with contextlib.suppress(_Exhausted):
        search.drop_unused()
        for _ in range(MAX_ROUNDS):
            before = len(search.steps)
            for group in passes:
                _exhaust(search, group)
            if len(search.steps) == before:
                break
    # names are given, and digits cut, whatever the removals have spent: a panel is shrunk in order to be shown
    stopped = search.stopped
    last = ((relabel, LABEL_CALLS, LABEL_SHARE), *(((simplify_columns, DIGIT_CALLS, DIGIT_SHARE),) if stopped else ()))
    for run, calls, share in last:
        search.max_calls = search.calls + calls
        search.deadline = clock() + max(1.0, share * max_seconds)
        with contextlib.suppress(_Exhausted):
            run(search)
    return Shrunk(
        frame=search.frame,
        identity=search.identity,
        steps=tuple(search.steps),
        calls=search.calls,
        seconds=clock() - began,
        stopped=stopped or search.stopped,
    )


def _exhaust(search: Search, group: Sequence[Pass]) -> None:
    """Repeat a group of passes until a whole turn changes nothing."""
    for _ in range(MAX_ROUNDS):
        before = len(search.steps)
        for run in group:
            run(search)
        if len(search.steps) == before:
            return
