"""How many digits does a reader need, and which digit is the first that differs?

Numbers are shown with the decimals that the table prints and three more; where two sources differ further right, with
as many as it takes to show the first digit that differs. All 17 digits stand in the details.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MORE = 3
MAX_DECIMALS = 17
MINUS = "−"


@dataclass(frozen=True, slots=True)
class Shown:
    """A number as text in three parts: ``same`` digits, the first ``other`` digit, and the ``rest``."""

    same: str
    other: str = ""
    rest: str = ""

    @property
    def text(self) -> str:
        """The whole number."""
        return self.same + self.other + self.rest


def full(value: float | str | None) -> str:
    """Write a number with 17 significant digits, as a report's details do."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return format(value, ".17g")


def fixed(value: float | None, decimals: int) -> str:
    """Write a number with a typographic minus and a number of decimals; very small and large ones in powers of ten."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return full(value).replace("-", MINUS)
    if decimals == 0 or (value != 0 and (abs(value) >= 1e9 or abs(value) < 10.0 ** -(decimals - 1))):
        whole = float(value).is_integer() and abs(value) < 1e15
        return (f"{value:.0f}" if whole else f"{value:.{MORE + 2}g}").replace("-", MINUS)
    text = f"{value:.{decimals}f}"
    return text.replace("-", MINUS)


def digits_text(digits: float | None) -> str:
    """Write a number of agreeing digits: ``15`` where all do."""
    if digits is None:
        return ""
    return "15" if digits >= 15 else f"{math.floor(digits * 10) / 10:.1f}"


def printed_decimals(text: str) -> int | None:
    """Return how many decimals a printed number has, or ``None`` where it is not a plain decimal number."""
    bare = text.strip().lstrip("<>≈ +-−–(").rstrip(")*†‡ ").replace(",", "")
    if not bare or not bare.replace(".", "", 1).isdigit():
        return None
    return len(bare.partition(".")[2])


def decimals_for(printed: int | None, std_error: float | None) -> int:
    """Return how many decimals to show: the printed ones and three more, else three more than the SE's third digit."""
    if printed is not None:
        return min(MAX_DECIMALS, printed + MORE)
    if std_error and math.isfinite(std_error):
        return min(MAX_DECIMALS, max(MORE, 2 - math.floor(math.log10(abs(std_error))) + 1))
    return MORE + 3


def first_difference(a: float, b: float) -> int:
    """Return the decimal place (negative: left of the point) of the leading digit of ``a - b``."""
    gap = abs(a - b)
    if gap == 0 or not math.isfinite(gap):
        return 0
    return -math.floor(math.log10(gap))


def decimals_to_see(a: float, b: float, at_least: int) -> int:
    """Return decimals enough for the difference of two numbers to show, with a digit to spare."""
    if a == b or not (math.isfinite(a) and math.isfinite(b)):
        return at_least
    return min(MAX_DECIMALS, max(at_least, first_difference(a, b) + 1))


def mark(text: str, other: str, differs: bool) -> Shown:
    """Split a shown number at the first digit in which it differs from another text.

    Where one text is a prefix of the other, the first digit beyond it is marked. A number that does not differ by its
    verdict is not marked, whatever its digits say.
    """
    if not differs:
        return Shown(text)
    other = re.sub(r"^(−?)\.", r"\g<1>0.", other)
    place = next((i for i, (x, y) in enumerate(zip(text, other, strict=False)) if x != y), min(len(text), len(other)))
    if text and other and (text[0] == MINUS) != (other[0] == MINUS):
        place = 0
    if place >= len(text):
        place = len(text) - 1
    if place < 0:
        return Shown(text)
    if text[place] == "." and place + 1 < len(text):
        place += 1
    return Shown(text[:place], text[place], text[place + 1 :])
