"""What does an explanation say?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from string import Formatter

from crosscheck.conventions import lre
from crosscheck.explain.rules import rules
from crosscheck.verdict import Verdict

ENOUGH_DIGITS = 9.0
"""Digits to which a replay must meet, unless a caller knows that the numbers hold fewer (:func:`meeting`)."""

_ENOUGH: ContextVar[float] = ContextVar("digits that a replay must meet", default=ENOUGH_DIGITS)


def enough() -> float:
    """Return how many digits a replay must meet now."""
    return _ENOUGH.get()


@contextmanager
def meeting(digits: float) -> Iterator[None]:
    """Ask replays to meet to so many digits within a block: fits at a package's default tolerances hold seven."""
    token = _ENOUGH.set(digits)
    try:
        yield
    finally:
        _ENOUGH.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """An observation that one side left out: its row in the data file (from 1), by whom, why, and which it is."""

    row: int
    side: str
    reason: str
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The named cause of a difference, replayed.

    Attributes
    ----------
    rule : str
        Id of the rule; several joined by ``+`` where all of them are needed.
    title : str
    formula : str
        With the numbers filled in.
    replay : float or None
        The candidate's number with the reference's convention applied.
    digits_after : float or None
        Digits on which the replay agrees with the reference (LRE).
    remedy : mapping of str to str
        Engine id (or the empty text) to the line of code that makes that side follow the other.
    verdict : str
        What the cell becomes.
    references : tuple of str
    dropped : tuple of Dropped
        The observations that one side left out; with the number of observations only.
    """

    rule: str
    title: str
    formula: str = ""
    replay: float | None = None
    digits_after: float | None = None
    remedy: Mapping[str, str] = field(default_factory=dict)
    verdict: Verdict = "convention"
    references: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One component in which a side departs from what was asked.

    Attributes
    ----------
    rule : str
    side, opposite : str
        The engine that departs, and the other one.
    did, asked : str
        For the title.
    words, back : mapping
        For the remedy: what makes ``side`` do what was asked, and what makes ``opposite`` do the same as ``side``.
    """

    rule: str
    side: str
    opposite: str
    did: str
    asked: str
    words: Mapping[str, str] = field(default_factory=dict)
    back: Mapping[str, str] = field(default_factory=dict)


def write(
    departures: tuple[Departure, ...],
    *,
    formula: str,
    replay: float | None,
    reference: float | None,
    note: str = "",
    factor: float | None = None,
    digits: float | None = None,
) -> Explanation:
    """Fill the templates of the rules that are needed together.

    Parameters
    ----------
    departures : tuple of Departure
        At least one.
    formula : str
        With numbers.
    replay, reference : float or None
    note : str
        Added to the title, such as the packages that have the convention.
    factor : float, optional
        What takes the standard errors of the side that departs to the other's.
    digits : float, optional
        Instead of the LRE of ``replay`` and ``reference``.
    """
    known = rules()
    titles: list[str] = []
    remedy: dict[str, str] = {}
    references: list[str] = []
    for d in departures:
        rule = known[d.rule]
        shared = {"side": d.side, "did": d.did, "asked": d.asked}
        if factor is not None:
            shared["factor"] = f"{factor:.17g}"
        titles.append(rule.title.format_map({**d.words, **shared}))
        references.extend(rule.references)
        for engine, words in ((d.side, d.words), (d.opposite, d.back), ("", d.words)):
            line = _fill(rule.remedy.get(base_id(engine), ""), {**words, **shared})
            if line:
                remedy[engine] = f"{remedy[engine]}; {line}" if engine in remedy and remedy[engine] != line else line
    if digits is None and replay is not None and reference is not None:
        digits = lre(reference, replay)
    return Explanation(
        rule="+".join(dict.fromkeys(d.rule for d in departures)),
        title="; ".join(titles) + (f" ({note})" if note else ""),
        formula=formula,
        replay=replay,
        digits_after=digits,
        remedy=remedy,
        verdict=known[departures[0].rule].verdict,
        references=tuple(dict.fromkeys(references)),
    )


def base_id(engine: str) -> str:
    """Return an engine id without its version pin or the word that tells two results of it apart."""
    return engine.partition("@")[0].partition(" (")[0]


def _fill(template: str, words: Mapping[str, str]) -> str:
    """Fill a template; empty where a word is not known."""
    wanted = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    return template.format_map(words) if all(name in words for name in wanted) else ""
