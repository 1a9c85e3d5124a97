"""How is text that a user wrote cut into tokens, and how does a mistake in it point at its place?

Shared by the formula language and the filter language. Nothing is ever evaluated: characters become tokens, and
whatever is not in the small alphabet is an error that shows the place with a caret.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from crosscheck.errors import FormulaError, nearest

TokenKind = Literal["name", "quoted_name", "macro", "number", "string", "op", "end"]

MAX_LENGTH = 10_000
MAX_NESTING = 25
MAX_SIGNIFICANT = 15
MAX_SHOWN = 76

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t]+)
  | (?P<macro>\.\.[^\W\d][\w.]*)
  | (?P<name>(?:[^\W\d]|\.(?=[^\W\d]))[\w.\u0300-\u036f]*)
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | `(?P<quoted_name>[^`]*)`
  | "(?P<double>[^"]*)"
  | '(?P<single>[^']*)'
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A text and where it stands, such as ``study.toml, table[1].column[2].formula``."""

    text: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``text`` is the name, the number as written, the string's content, or the operator."""

    kind: TokenKind
    text: str
    start: int
    end: int


def width(text: str) -> int:
    """Return how many terminal columns a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    flat = sum(unicodedata.combining(c) != 0 for c in text)
    return len(text) + wide - flat


def show(character: str) -> str:
    """Return a character for a message: itself, or its code point where it cannot be seen."""
    if character.isprintable() and not character.isspace():
        return repr(character)
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'control character').lower()})"


def error_at(source: Source, position: int, what: str, *, allowed: str = "", hint: str = "") -> FormulaError:
    """Make the error whose ``where`` shows the text and a caret below the place.

    Parameters
    ----------
    source : Source
    position : int
        Offset in the text, from 0; the message counts from 1.
    """
    shown = "".join(c if c.isprintable() else " " for c in source.text)
    start = max(0, min(position - MAX_SHOWN // 2, len(shown) - MAX_SHOWN))
    window = shown[start : start + MAX_SHOWN]
    pad = " " * 11
    lead = f"{source.where}, " if source.where else ""
    caret = " " * width(shown[start:position]) + "^"
    return FormulaError(
        what, where=f"{lead}character {position + 1}\n{pad}{window}\n{pad}{caret}", allowed=allowed, hint=hint
    )


def tokenize(
    source: Source, operators: Collection[str], *, allowed: str, hints: Mapping[str, str] | None = None
) -> list[Token]:
    """Cut a text into tokens, the last one of kind ``end``.

    Parameters
    ----------
    source : Source
    operators : collection of str
        Operators and brackets of the language; the longest that fits is taken.
    allowed : str
        What the error message lists as allowed.
    hints : mapping of str to str, optional
        What to do about a character that is not allowed.

    Raises
    ------
    FormulaError
        For any character outside the language, an unclosed quote, or a text longer than 10 000 characters.
    """
    text = source.text
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"a text of {len(text)} characters is too long", where=source.where, allowed=f"{MAX_LENGTH} characters"
        )
    by_length = sorted(operators, key=lambda o: (-len(o), o))
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            operator = next((o for o in by_length if text.startswith(o, position)), None)
            if operator is None:
                raise _stray(source, position, allowed, hints or {})
            tokens.append(Token("op", operator, position, position + len(operator)))
            position += len(operator)
            continue
        if match.lastgroup != "space":
            tokens.append(_token(source, match, position))
        position = match.end()
    tokens.append(Token("end", "", len(text), len(text)))
    return tokens


def _token(source: Source, match: re.Match[str], position: int) -> Token:
    group, text, end = match.lastgroup, match.group(match.lastgroup or 0), match.end()
    if group == "number":
        check_number(source, position, text)
        if end < len(source.text) and re.match(r"[\w.]", source.text[end]):
            raise error_at(source, end, "a number runs into a letter", hint="put a space or an operator between them")
        return Token("number", text, position, end)
    if group in ("double", "single"):
        _check_string(source, position, text)
        return Token("string", text, position, end)
    if group == "quoted_name":
        check_name(text, source, position)
        return Token("quoted_name", text, position, end)
    return Token("macro" if group == "macro" else "name", text, position, end)


def check_number(source: Source, position: int, text: str) -> None:
    """Refuse a number that cannot be written and read again without loss, in Python or R.

    Raises
    ------
    FormulaError
        Where the number is infinite or has more than 15 significant digits.
    """
    mantissa = re.split("[eE]", text)[0].replace(".", "").strip("0")
    if len(mantissa) > MAX_SIGNIFICANT:
        raise error_at(
            source, position, "a number with more than 15 significant digits is not exact", hint="round the number"
        )
    value = float(text)
    if value == float("inf") or (value == 0 and mantissa) or 0 < value < 1e-300:
        raise error_at(source, position, f"the number {text} is outside the range of a double")


def _check_string(source: Source, position: int, text: str) -> None:
    for offset, character in enumerate(text):
        if character == "\\" or not (character.isprintable() or character == " "):
            raise error_at(
                source,
                position + 1 + offset,
                f"a string cannot hold {show(character)}",
                allowed="printable characters, no backslash",
            )


def check_name(name: str, source: Source | None = None, position: int = 0) -> None:
    """Refuse names that no engine could be handed safely.

    Raises
    ------
    FormulaError
        Where the name is empty, holds a back-tick, a backslash or a control character, or means something else in a
        formula of R even in back-ticks: ``.``, ``...``, or anything that begins with two dots.
    """
    bad = next((c for c in name if c in "`\\" or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), None)
    dots = name == "." or name.startswith("..")
    if name and bad is None and not dots:
        return
    if dots:
        what = "a column cannot be named '.'" if name == "." else "a column name cannot begin with two dots"
    else:
        what = f"a column name cannot hold {show(bad)}" if bad else "a column name cannot be empty"
    hint = "rename the column in the data file"
    if source is None:
        raise FormulaError(what, where=f"column {name!r}", hint=hint)
    raise error_at(source, position, what, hint=hint)


def _stray(source: Source, position: int, allowed: str, hints: Mapping[str, str]) -> FormulaError:
    character = source.text[position]
    if character in "`\"'":
        name = "back-tick" if character == "`" else "quotation mark"
        return error_at(source, position, f"a {name} is not closed")
    hint = hints.get(character, "")
    if character == "#":
        hint = "comments are not part of the language; TOML has its own"
    elif character in "\r\n":
        hint = "write it on one line"
    elif character == ".":
        hint = "write the columns out, or declare them as a macro and write ..name"
    if not hint and (character.isspace() or not character.isprintable()):
        hint = "replace it by an ordinary space"
    return error_at(source, position, f"{show(character)} is not allowed here", allowed=allowed, hint=hint)


def unknown_name(source: Source, position: int, name: str, columns: Iterable[str]) -> FormulaError:
    """Make the error of a name that is no column, with the nearest column as a hint."""
    known = sorted(columns)
    folded = unicodedata.normalize("NFKC", name).casefold()
    twin = next((c for c in known if unicodedata.normalize("NFKC", c).casefold() == folded), None)
    hint = nearest(name, known)
    if twin is not None:
        hint = f"the column {twin!r} differs in case or in its Unicode form: write it as the data do"
    return error_at(source, position, f"there is no column {name!r}", allowed=listing(known), hint=hint)


def listing(words: Iterable[str], limit: int = 24) -> str:
    """Return words for a message, cut after ``limit``."""
    items = list(words)
    more = f", ... ({len(items)} in all)" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def quote(name: str) -> str:
    """Return a name in back-ticks."""
    return f"`{name}`"


def number_text(value: float) -> str:
    """Write a number as R's ``deparse`` does: 15 significant digits, fixed notation unless scientific is shorter.

    Exact for numbers that were written with at most 15 significant digits.
    """
    if value == 0:
        return "0"
    mantissa, _, exponent_text = f"{value:.14e}".partition("e")
    exponent = int(exponent_text)
    sign, digits = ("-" if value < 0 else ""), mantissa.lstrip("-").replace(".", "").rstrip("0")
    head, tail = digits[0], digits[1:]
    scientific = f"{sign}{head}{'.' + tail if tail else ''}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    decimals = max(0, len(digits) - 1 - exponent)
    fixed_width = len(sign) + max(exponent, 0) + 1 + (decimals + 1 if decimals else 0)
    if fixed_width > len(scientific):
        return scientific
    if exponent >= 0:
        whole = digits[: exponent + 1].ljust(exponent + 1, "0")
        fraction = digits[exponent + 1 :]
    else:
        whole, fraction = "0", "0" * (-exponent - 1) + digits
    return sign + whole + ("." + fraction if fraction else "")
