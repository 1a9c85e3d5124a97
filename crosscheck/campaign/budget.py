"""How long may a campaign run: a time, or a number of panels?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crosscheck.errors import UsageError

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST = 31 * 24 * 3600.0
MOST_PANELS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds, or panels; a campaign whose budget is panels gives the same lines wherever it runs."""

    seconds: float | None = None
    panels: int | None = None

    def __str__(self) -> str:
        return f"{self.panels} panels" if self.panels is not None else f"{self.seconds:g} s"


def budget_of(text: str) -> Budget:
    """Read ``10m``, ``90s``, ``2h``, ``500 panels`` or ``500p``.

    Raises
    ------
    UsageError
        For anything else, nothing, and more than a month.
    """
    allowed = "a time such as 90s, 10m, 2h, or a number of panels such as 500p or '500 panels'"
    match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(s|m|h|p|panels?)\s*", text)
    if match is None:
        raise UsageError(f"the budget {text!r} cannot be read", allowed=allowed)
    number, unit = float(match[1]), match[2]
    if unit.startswith("p"):
        if number != int(number) or not 1 <= number <= MOST_PANELS:
            raise UsageError(f"a campaign cannot have {match[1]} panels", allowed=f"1 to {MOST_PANELS}")
        return Budget(panels=int(number))
    seconds = number * SECONDS[unit]
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"a campaign cannot run for {text.strip()}", allowed="more than nothing, up to 31 days")
    return Budget(seconds=seconds)
