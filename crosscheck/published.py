"""Which numbers does the paper print, and which unrounded numbers could they stand for?

``published.csv`` holds them as texts, since trailing zeros are information: ``0.0240`` is the interval
[0.02395, 0.02405].
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from crosscheck.errors import DataError, PublishedError, nearest
from crosscheck.readers import decode_text

COLUMNS = ("table", "column", "term", "quantity", "printed")
OPTIONAL = ("page", "note")
QUANTITIES = (
    *("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "stars"),
    *("nobs", "r2", "adj_r2", "r2_within", "df_resid"),
    *("mean", "std_dev", "min", "max"),
)
DESIGN_QUANTITIES = (
    *("weight", "entropy", "redundancy", "score", "difference", "difference_se", "identity_gap"),
    *("se_bootstrap", "se_goodman", "se_aroian", "boot_low", "boot_high", "z", "z_p", "std_diff", "std_diff_matched"),
    *("mean_treated", "mean_control", "mean_treated_matched", "mean_control_matched", "var_ratio", "t_mean", "t_sd"),
    *("n_treated", "n_control", "n_treated_matched", "n_control_matched", "n_draws", "lower", "upper"),
    *("without_noise", "bias", "bias_se", "noise", "panels", "share", "covered", "share_low", "share_high", "se_ratio"),
    *("wald_f", "wald_f_p", "wald_chi2", "wald_chi2_p", "df1", "df2"),
)
"""What designs report beside: only in a column whose estimator is one. Quantiles are ``q0.5`` and the like."""
NEEDS_TERM = frozenset(("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "stars"))
NOT_NEGATIVE = frozenset(("std_error", "p_value", "nobs", "df_resid", "std_dev"))
MAX_DIGITS = 40

_QUANTILE = re.compile(r"q(?:0|1|0?\.[0-9]+)")
_NUMBER = re.compile(r"([+-]?)((?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3}))?")
_DASHES = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2010": "-", "\u2011": "-", "\ufe63": "-", "\uff0d": "-"})
_SPACES = str.maketrans({"\u00a0": " ", "\u2009": " ", "\u202f": " "})
_BRACKETS = (("(", ")"), ("[", "]"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedNumber:
    """One printed number.

    Attributes
    ----------
    table, column, term, quantity : str
        What it is; ``term`` is empty for statistics of the whole column.
    printed : str
        As printed, zeros and all.
    value : float or None
        The number itself; ``None`` for stars and for bounds such as ``<0.001``.
    low, high : float
        The interval of numbers that round to it (``nan`` for stars).
    decimals : int or None
        Places after the point of its last digit (negative for ``1.2e5``); ``None`` for stars and bounds.
    line : int
        In ``published.csv``.
    """

    table: str
    column: str
    term: str
    quantity: str
    printed: str
    line: int = 0
    value: float | None = None
    low: float = math.nan
    high: float = math.nan
    decimals: int | None = None
    page: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The number as printed."""
        return self.printed


def is_design_quantity(quantity: str) -> bool:
    """Say whether only designs report a quantity."""
    return quantity in DESIGN_QUANTITIES or _QUANTILE.fullmatch(quantity) is not None


def interval(printed: str, quantity: str) -> tuple[float | None, float, float, int | None]:
    """Return value, low, high and decimals of a printed number.

    Parameters
    ----------
    printed : str
        Such as ``0.0240``, ``1,234.5``, ``−0.5`` (any minus sign), ``.05``, ``-0.00``, ``1.2e-3``, ``<0.001``,
        ``(0.01)``.
    quantity : str
        Decides whether a bound such as ``<0.001`` starts at zero.

    Raises
    ------
    ValueError
        Where the text is not a number; the message says what to do.
    """
    text = printed.translate(_DASHES).translate(_SPACES).strip(" ")
    for opening, closing in _BRACKETS:
        if text.startswith(opening) and text.endswith(closing):
            text = text[1:-1].strip(" ")
    bound = text[0] if text[:1] in ("<", ">") else ""
    if bound:
        text = text[1:].removeprefix("=").strip(" ")
    if text.startswith("- "):
        text = "-" + text[2:]
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > MAX_DIGITS:
        raise ValueError(_advice(text))
    sign, mantissa, exponent = match.groups()
    number = Decimal(sign + mantissa.replace(",", "") + (f"e{exponent}" if exponent else ""))
    if bound:
        floor = 0.0 if quantity in NOT_NEGATIVE else -math.inf
        ceiling = 1.0 if quantity == "p_value" else math.inf
        return (None, floor, float(number), None) if bound == "<" else (None, float(number), ceiling, None)
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    half = Decimal(5).scaleb(-decimals - 1)
    low, high = number - half, number + half
    if number == 0 and sign == "-":
        high = Decimal(0)
    if quantity in NOT_NEGATIVE and number >= 0:
        low = max(low, Decimal(0))
    return float(number), float(low), float(high), decimals


def _advice(text: str) -> str:
    if not text:
        return "leave the row out where the table prints nothing"
    if re.search(r"[*+†‡]+$", text) and _NUMBER.fullmatch(re.sub(r"[ *+†‡]+$", "", text)):
        return "put the stars in a row of their own, with quantity stars"
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text):
        return "write a decimal point, or separators of thousands with three digits after each"
    if text.endswith("%"):
        return "write it without the percent sign, in the unit of the estimate"
    return "write it as printed: 0.0240, 1,234.5, -0.5, .05, 1.2e-3, <0.001 or (0.01)"


def read_published(path: Path, *, where: str = "") -> tuple[PublishedNumber, ...]:
    """Read ``published.csv``.

    Raises
    ------
    PublishedError
        Naming the line: a malformed line, an unknown quantity, a text that is no number, a repeated row.
    """
    label = where or path.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PublishedError(
            f"the printed numbers cannot be read: {error.strerror or error}", where=label, hint="check its permissions"
        ) from None
    try:
        text = decode_text(content, label)
    except DataError as error:
        raise PublishedError(error.what, where=error.where, hint=error.hint) from None
    rows = _rows(text, label)
    header = _header(rows, label)
    numbers: list[PublishedNumber] = []
    seen: dict[tuple[str, str, str, str], int] = {}
    for line, fields in rows[1:]:
        place = f"{label}, line {line}"
        if len(fields) != len(header):
            raise PublishedError(
                f"the line has {len(fields)} fields, the header {len(header)}",
                where=place,
                allowed=",".join(header),
                hint="put a field that holds a comma in quotation marks" if len(fields) > len(header) else "",
            )
        number = _number(dict(zip(header, fields, strict=True)), line, place)
        quantity = number.quantity
        key = (number.table, number.column, number.term, quantity)
        if key in seen:
            raise PublishedError(
                f"{quantity} of {number.term or 'the column'} in {number.table}/{number.column} is printed twice",
                where=place,
                hint=f"it stands in line {seen[key]} already",
            )
        seen[key] = line
        numbers.append(number)
    return tuple(numbers)


def _rows(text: str, label: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    began = 1
    try:
        for fields in reader:
            if fields:
                rows.append((began, fields))
            began = reader.line_num + 1
    except csv.Error as error:
        raise PublishedError(f"the CSV is malformed: {error}", where=f"{label}, line {began}") from None
    return rows


def _header(rows: Sequence[tuple[int, list[str]]], label: str) -> list[str]:
    header = rows[0][1] if rows else []
    place = f"{label}, line 1"
    allowed = f"{','.join(COLUMNS)} and, if wanted, {', '.join(OPTIONAL)}"
    for name in header:
        if name not in (*COLUMNS, *OPTIONAL):
            hint = nearest(name, (*COLUMNS, *OPTIONAL))
            raise PublishedError(f"there is no column {name!r} here", where=place, allowed=allowed, hint=hint)
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        raise PublishedError(f"the header lacks {', '.join(absent)}", where=place, allowed=allowed)
    if len(set(header)) != len(header):
        raise PublishedError("the header names a column twice", where=place, allowed=allowed)
    return header


def _number(row: dict[str, str], line: int, place: str) -> PublishedNumber:
    quantity, printed, term = row["quantity"], row["printed"], row["term"]
    if not (quantity in QUANTITIES or is_design_quantity(quantity)):
        raise PublishedError(
            f"there is no quantity {quantity!r}",
            where=place,
            allowed=" ".join(QUANTITIES),
            hint=nearest(quantity, QUANTITIES),
        )
    for key in ("table", "column"):
        if not row[key]:
            raise PublishedError(f"the {key} is empty", where=place)
    if quantity in NEEDS_TERM and not term:
        raise PublishedError(f"{quantity} belongs to a term, and the term is empty", where=place)
    number = PublishedNumber(
        table=row["table"],
        column=row["column"],
        term=term,
        quantity=quantity,
        printed=printed,
        line=line,
        page=row.get("page", ""),
        note=row.get("note", ""),
    )
    if quantity == "stars":
        if any(c.isalnum() or c == "," for c in printed):
            raise PublishedError(f"{printed!r} are no stars", where=place, allowed="marks such as ***")
        return number
    try:
        value, low, high, decimals = interval(printed, quantity)
    except ValueError as error:
        raise PublishedError(f"{printed!r} is not a number", where=place, hint=str(error)) from None
    if value is not None and value < 0 and quantity in NOT_NEGATIVE:
        raise PublishedError(f"{quantity} is negative: {printed}", where=place)
    return replace(number, value=value, low=low, high=high, decimals=decimals)
