"""How does an explanation read: as a note to a referee, and as a footnote in LaTeX?

Two or three sentences, the formula with its numbers, and a line of code for each side.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crosscheck.tex import escape

SHOWN_ROWS = 20
WIDTH = 118
SHOWN_TERMS = 4
DIGITS = 6
QUANTITIES = {
    "std_error": ("standard error", "standard errors"),
    "estimate": ("estimate", "estimates"),
    "p_value": ("p-value", "p-values"),
    "statistic": ("t statistic", "t statistics"),
    "conf_low": ("lower bound", "lower bounds"),
    "conf_high": ("upper bound", "upper bounds"),
    "nobs": ("number of observations", "number of observations"),
    "df_resid": ("residual degrees of freedom", "residual degrees of freedom"),
    "r2": ("R2", "R2"),
    "adj_r2": ("adjusted R2", "adjusted R2"),
    "r2_within": ("within R2", "within R2"),
    "stars": ("stars", "stars"),
}


class Row(Protocol):
    """An observation that one side left out."""

    @property
    def row(self) -> int:
        """Its row in the data, from 1."""
        ...

    @property
    def side(self) -> str:
        """By whom."""
        ...

    @property
    def reason(self) -> str:
        """Why."""
        ...

    @property
    def what(self) -> str:
        """Which it is."""
        ...


class Cause(Protocol):
    """What is needed of an explanation: see :class:`crosscheck.explain.model.Explanation`."""

    @property
    def title(self) -> str:
        """Cause, in words."""
        ...

    @property
    def formula(self) -> str:
        """Formula with its numbers."""
        ...

    @property
    def replay(self) -> float | None:
        """Number that the replay gave."""
        ...

    @property
    def digits_after(self) -> float | None:
        """Digits on which it agrees."""
        ...

    @property
    def references(self) -> tuple[str, ...]:
        """Where the convention is described."""
        ...

    @property
    def dropped(self) -> Sequence[Row]:
        """Observations that one side left out."""
        ...


def many_of(quantity: str) -> str:
    """Name a quantity of several terms."""
    return QUANTITIES.get(quantity, (quantity, quantity))[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an explanation is about: two sources, a quantity of some terms, and the two numbers of the first term."""

    reference: str
    candidate: str
    quantity: str
    terms: tuple[str, ...]
    reference_value: float | str | None
    candidate_value: float | str | None
    others: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Name the quantity and its terms."""
        one, many = QUANTITIES.get(self.quantity, (self.quantity, self.quantity))
        terms = [t for t in self.terms if t]
        if not terms:
            return one
        shown = ", ".join(terms[:SHOWN_TERMS]) + (
            f" and {len(terms) - SHOWN_TERMS} more" if len(terms) > SHOWN_TERMS else ""
        )
        return f"{one if len(terms) == 1 else many} of {shown}"


def number(value: float | str | None, digits: int = DIGITS) -> str:
    """Return a number as a note shows it."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else f"{value:.{digits}g}"


def shown_apart(a: float | str | None, b: float | str | None) -> tuple[str, str]:
    """Return two numbers with enough digits to tell them apart."""
    for digits in range(DIGITS, 18, 2):
        pair = number(a, digits), number(b, digits)
        if pair[0] != pair[1] or isinstance(a, str) or isinstance(b, str):
            return pair
    return number(a, 17), number(b, 17)


def sentences(subject: Subject, explanation: Cause) -> tuple[str, ...]:
    """Return the two or three sentences of a note."""
    a, b = shown_apart(subject.reference_value, subject.candidate_value)
    terms = [t for t in subject.terms if t]
    of = f" for {terms[0]}" if len(terms) > 1 else ""
    verb = "differ" if len(terms) > 1 else "differs"
    also = f" (and what follows: {', '.join(subject.others)})" if subject.others else ""
    first = f"The {subject.what} {verb}{also}: {subject.reference} gives {a}, {subject.candidate} {b}{of}."
    listed = [first, f"{explanation.title}."]
    if explanation.replay is not None and explanation.digits_after is not None:
        replay = number(explanation.replay, 10)
        exact = min(explanation.digits_after, 15.0)
        listed.append(f"Replayed with that taken into account it is {replay}, which agrees to {exact:.1f} digits.")
    return tuple(listed)


def note(
    subject: Subject, explanation: Cause, remedy: Mapping[str, str], *, ambiguous: int = 0, indent: str = ""
) -> str:
    """Return an explanation as a note to a referee.

    Parameters
    ----------
    subject : Subject
    explanation : Cause
    remedy : mapping of str to str
        Engine id (or the empty text) to a line of code.
    ambiguous : int
        How many other combinations fit as well.
    indent : str
        Before each line.
    """
    lines = textwrap.wrap(" ".join(sentences(subject, explanation)), WIDTH, break_long_words=False)
    if ambiguous:
        lines.append(
            f"{ambiguous} other combination{'s' if ambiguous > 1 else ''} of conventions fit as well; see below."
        )
    if explanation.formula:
        lines.append(f"  formula: {explanation.formula}")
    lines += [f"  {text}" for text in code_lines(subject, remedy)]
    lines += [f"  {text}" for text in dropped_lines(explanation.dropped)]
    if explanation.references:
        lines.append(f"  see: {'; '.join(explanation.references)}")
    return "\n".join(indent + line for line in lines)


def code_lines(subject: Subject, remedy: Mapping[str, str]) -> list[str]:
    """Return a line of code for each side that makes it follow the other; or the one that anybody can follow."""
    lines = []
    for side, other in ((subject.candidate, subject.reference), (subject.reference, subject.candidate)):
        code = remedy.get(side)
        if code:
            lines.append(f"remedy in {side}, to follow {other}: {code}")
    if len(lines) < 2 and remedy.get(""):
        lines.append(f"remedy by hand: {remedy['']}")
    return lines


def dropped_lines(dropped: Sequence[Row]) -> list[str]:
    """Return the first observations that one side left out, with the reason of each."""
    lines = []
    for d in dropped[:SHOWN_ROWS]:
        what = f" ({d.what})" if d.what else ""
        lines.append(f"row {d.row}{what} left out by {d.side}: {d.reason}")
    if len(dropped) > SHOWN_ROWS:
        lines.append(f"and {len(dropped) - SHOWN_ROWS} more rows; dropped.csv beside the report lists all")
    return lines


def _typewriter(text: str) -> str:
    """Return code for typewriter type: straight quotes, so that it can be copied."""
    return escape(text).replace("''", r"\char34{}")


def footnote(subject: Subject, explanation: Cause, remedy: Mapping[str, str]) -> str:
    r"""Return an explanation as ``\footnote{...}``, on one line, with everything that TeX would read escaped."""
    parts = [escape(text) for text in sentences(subject, explanation)]
    if explanation.formula:
        parts.append(rf"Formula: {escape(explanation.formula)}.")
    codes = [rf"\texttt{{{_typewriter(text)}}}" for side, text in remedy.items() if side and text]
    if codes:
        parts.append("Code: " + "; ".join(codes) + ".")
    return rf"\footnote{{{' '.join(parts)}}}"
