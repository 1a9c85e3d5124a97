"""Which interval does each printed number stand for?

A printed ``0.0240`` stands for [0.02395, 0.02405], whichever way halves were rounded. A printed ``3519.5840`` may stand
for less than it shows: statistical packages print a fixed number of significant digits and pad with zeros.
:func:`fingerprint` finds the padding in the raw strings, before anything else uses them (family 1).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from crosscheck.audit.interval import INF, Interval, down, up
from crosscheck.errors import PublishedError, nearest
from crosscheck.published import QUANTITIES, is_design_quantity

if TYPE_CHECKING:
    import pandas as pd

HEADER = ("table", "column", "term", "quantity", "printed")
STAR_MARKS = frozenset("*+.\u2020\u2021#")
TYPESET = str.maketrans(dict.fromkeys("−–‐‑", "-") | dict.fromkeys(" \xa0\u2009\u202f", ""))
NUMBER = re.compile(r"<?[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?\Z")
MIN_PADDED_DIGITS = 6


WORDS = {
    "estimate": "estimate", "std_error": "the SE", "stars": "the stars", "nobs": "N", "r2": "R2",
    "adj_r2": "adjusted R2", "r2_within": "within R2", "mean": "the mean", "std_dev": "the SD", "min": "the minimum",
    "max": "the maximum", "p_value": "the p-value", "statistic": "the t",
}  # fmt: skip


def heading(table: str) -> str:
    """Spell ``table3`` as a reader would: Table 3."""
    spaced = re.sub(r"\A(table|figure)[ _]?(?=\d)", lambda m: f"{m[1].capitalize()} ", table)
    return re.sub(r"(?<=\d)_(?=\d)", ".", spaced)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One printed number and what it can stand for.

    Attributes
    ----------
    id : str
        ``table:column:term:quantity`` (the term is empty for statistics of a whole column).
    printed : str
        The string as printed.
    value : float
        The number that the string reads as (for stars: how many).
    interval : Interval
        All numbers that may have been printed as this string, after padding was recognised.
    decimals : int
        Digits after the decimal point.
    significant : int
        Digits from the first non-zero one on, as printed.
    padded : int
        How many of its trailing zeros are padding.
    """

    id: str
    table: str
    column: str
    term: str
    quantity: str
    printed: str
    value: float
    interval: Interval
    decimals: int = 0
    significant: int = 0
    padded: int = 0

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        what = self.term if self.quantity == "estimate" else f"{WORDS[self.quantity]} of {self.term}"
        return f"{what if self.term else WORDS[self.quantity]} in {heading(self.table)} ({self.column})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What the raw strings say about the program that printed them.

    Attributes
    ----------
    significant : int or None
        All digits beyond this many significant ones are zeros, in enough tokens that it is no accident.
    padded_digits : int
        How many zeros say so (the chance of an accident is ten to the minus that).
    padded : tuple of str
        Tokens with padding.
    signed_zero : bool
        Whether the program printed ``-0.0000`` somewhere, so that ``0.0000`` elsewhere is not negative.
    zero_rounded : tuple of str
        Tokens printed as zero that stand for something that need not be zero.
    breaks : tuple of str
        Tokens without decimals beside others of their row or quantity that have them.
    """

    significant: int | None
    padded_digits: int
    padded: tuple[str, ...]
    signed_zero: bool
    zero_rounded: tuple[str, ...]
    breaks: tuple[str, ...]


def token_id(table: str, column: str, term: str, quantity: str) -> str:
    """Return the id of a token."""
    return f"{table}:{column}:{term}:{quantity}"


def rows_of(source: Path | pd.DataFrame) -> tuple[tuple[str, str, str, str, str], ...]:
    """Read the printed strings from ``published.csv`` or a data frame with the same columns.

    Raises
    ------
    PublishedError
        Where the file is missing, a column is missing, a quantity is unknown, or a number is no number.
    """
    if not isinstance(source, Path):
        return _from_frame(source)
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except FileNotFoundError:
        raise PublishedError(
            "there is no file of printed numbers", where=str(source), hint="crosscheck init --audit makes a skeleton"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PublishedError(
            f"the printed numbers cannot be read: {error}", where=str(source), allowed="CSV in UTF-8"
        ) from error
    if not lines or tuple(name.strip() for name in lines[0]) != HEADER:
        raise PublishedError("the header is not the expected one", where=f"{source}:1", allowed=",".join(HEADER))
    out = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(HEADER):
            raise PublishedError(f"{len(line)} fields where {len(HEADER)} belong", where=f"{source}:{number}")
        out.append((line[0].strip(), line[1].strip(), line[2].strip(), line[3].strip(), line[4].strip()))
    _validate(out, lambda i: f"{source}:{i + 2}")
    return tuple(out)


def _from_frame(frame: pd.DataFrame) -> tuple[tuple[str, str, str, str, str], ...]:
    import pandas as pd  # a run reads files, and does without pandas

    missing = [name for name in HEADER if name not in frame.columns]
    if missing:
        raise PublishedError(
            f"the data frame lacks the column {missing[0]!r}", where="data frame", allowed=", ".join(HEADER)
        )
    out = []
    for index, row in enumerate(frame.loc[:, list(HEADER)].itertuples(index=False, name=None)):
        if not isinstance(row[4], str):
            raise PublishedError(
                "printed numbers must be strings, because trailing zeros are information",
                where=f"data frame, row {index}, column printed",
                hint="read the CSV with dtype=str, keep_default_na=False",
            )
        out.append((str(row[0]), str(row[1]), "" if pd.isna(row[2]) else str(row[2]), str(row[3]), row[4].strip()))
    _validate(out, lambda i: f"data frame, row {i}")
    return tuple(out)


def _validate(rows: list[tuple[str, str, str, str, str]], where: object) -> None:
    assert callable(where)
    seen: dict[str, int] = {}
    for index, (table, column, term, quantity, printed) in enumerate(rows):
        if quantity not in QUANTITIES and not is_design_quantity(quantity):
            raise PublishedError(
                f"unknown quantity {quantity!r}",
                where=where(index),
                allowed=" ".join(QUANTITIES),
                hint=nearest(quantity, QUANTITIES),
            )
        ok = bool(printed) and set(printed) <= STAR_MARKS if quantity == "stars" else bool(NUMBER.match(clean(printed)))
        if not ok:
            raise PublishedError(
                f"{printed!r} is not a printed number",
                where=where(index),
                allowed="digits with an optional sign and decimal point; stars as * ** ***",
            )
        key = token_id(table, column, term, quantity)
        if key in seen:
            raise PublishedError(f"{key} is given twice", where=where(index), hint=f"see also {where(seen[key])}")
        seen[key] = index


def clean(printed: str) -> str:
    """Strip what typesetting adds: a Unicode minus, brackets, thousands separators, blanks."""
    text = printed.translate(TYPESET)
    if text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1]
    return text.replace(",", "") if GROUPED.match(text) else text


def digits(text: str) -> tuple[Decimal, int, str]:
    """Return the value, the number of decimals and the significant digits of a cleaned number."""
    value = Decimal(text.lstrip("<"))
    _, figures, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(str(d) for d in figures).lstrip("0")
    return value, max(0, -exponent), shown


def fingerprint(rows: Iterable[tuple[str, str, str, str, str]]) -> Fingerprint:
    """Recognise padded digits, zero-rounded tokens and breaks of format (family 1).

    Source: statistical packages' numeric formats (Stata's ``%9.0g``, R's ``signif``) followed by a fixed number of
    decimals. Assumes nothing. False positives: low; the smallest number of significant digits is taken for which at
    least ``MIN_PADDED_DIGITS`` digits beyond it are all zero, an accident of probability 1e-6.
    """
    numbers = [(token_id(t, c, m, q), clean(p), q) for t, c, m, q, p in rows if q not in ("stars", "nobs")]
    parsed = [(key, text, q, *digits(text)) for key, text, q in numbers]
    fractional = [(key, shown, dec) for key, _, _, _, dec, shown in parsed if dec > 0 and shown]
    chosen: int | None = None
    count = 0
    longest = max((len(shown) for _, shown, _ in fractional), default=0)
    for k in range(4, longest):
        beyond = [shown[k:] for _, shown, _ in fractional if len(shown) > k]
        total = sum(map(len, beyond))
        if total >= MIN_PADDED_DIGITS and len(beyond) >= 3 and all(set(tail) == {"0"} for tail in beyond):
            chosen, count = k, total
            break
    padded = tuple(key for key, shown, _ in fractional if chosen is not None and len(shown) > chosen)
    zero = tuple(key for key, _, q, value, dec, _ in parsed if value == 0 and dec > 0 and q not in ("p_value",))
    signed = any(text.startswith("-") for _, text, _, value, _, _ in parsed if value == 0)
    usual: dict[tuple[str, str], set[int]] = {}
    for key, _, q, _, dec, _ in parsed:
        usual.setdefault((key.split(":", 1)[0], q), set()).add(dec)
    breaks = tuple(
        key
        for key, _, q, _, dec, shown in parsed
        if q in ("mean", "std_dev", "estimate", "std_error")
        and dec == 0
        and max(usual[(key.split(":", 1)[0], q)]) > 0
        and len(shown) > 1
    )
    return Fingerprint(
        significant=chosen, padded_digits=count, padded=padded, signed_zero=signed, zero_rounded=zero, breaks=breaks
    )


def interval_of(text: str, quantity: str, mark: Fingerprint) -> tuple[Interval, int]:
    """Return the interval that a printed string stands for, and how many of its digits are padding.

    Halves may have been rounded either way, so both ends belong to the interval.
    """
    if quantity == "nobs":
        n = float(Decimal(text))
        return Interval(n, n), 0
    if text.startswith("<"):
        return Interval(0.0, up(float(Decimal(text[1:])))), 0
    value, decimals, shown = digits(text)
    padding = 0
    if mark.significant is not None and decimals > 0 and len(shown) > mark.significant:
        padding = len(shown) - mark.significant
    half = Decimal(10) ** (padding - decimals) / 2
    exact_zero_or_one = quantity in ("min", "max") and decimals == 0 and abs(value) <= 1
    if exact_zero_or_one:
        return Interval(float(value), float(value)), 0
    lo, hi = down(float(value - half)), up(float(value + half))
    if value == 0 and mark.signed_zero:
        lo, hi = (lo, 0.0) if text.startswith("-") else (0.0, hi)
    if quantity in ("std_error", "std_dev", "p_value", "r2", "r2_within"):
        lo = max(lo, 0.0)
    if quantity in ("p_value", "r2", "adj_r2", "r2_within"):
        hi = min(hi, 1.0)
    return Interval(lo, hi), padding


def tokens_of(rows: Iterable[tuple[str, str, str, str, str]]) -> tuple[Mapping[str, Token], Fingerprint]:
    """Turn printed strings into tokens, keyed by id, and say what the strings say about their program."""
    rows = tuple(rows)
    mark = fingerprint(rows)
    out: dict[str, Token] = {}
    for table, column, term, quantity, printed in rows:
        key = token_id(table, column, term, quantity)
        if quantity == "stars":
            count = float(len(printed))
            out[key] = Token(
                id=key, table=table, column=column, term=term, quantity=quantity, printed=printed, value=count,
                interval=Interval(count, count),
            )  # fmt: skip
            continue
        text = clean(printed)
        box, padding = interval_of(text, quantity, mark)
        value, decimals, shown = digits(text)
        out[key] = Token(
            id=key, table=table, column=column, term=term, quantity=quantity, printed=printed, value=float(value),
            interval=box, decimals=decimals, significant=len(shown), padded=padding,
        )  # fmt: skip
    return out, mark


WHOLE_LINE = Interval(-INF, INF)
