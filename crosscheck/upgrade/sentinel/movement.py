"""Which numbers of a case moved between two versions, and toward whom?

Drift is of the size at which an iteration stops, a break is more, both on the scale of the kind of number: a
coefficient by itself or by its standard error, whichever is larger, fitted values and residuals by the largest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from crosscheck.results import EstimationResult
from crosscheck.upgrade.joint import slack

DRIFT = 1e-5
SAME = 1e-9
AGREES = 1e-6
"""Of standard errors and what follows from them; a witness supports a side that is no further from it."""
FITTED = ("fitted", "residuals", "prediction")
Size = Literal["drift", "break"]
STATUS = "status"
NO_ANSWER = "no answer within"
TERM = "term"
DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One number that differs; ``quantity`` is ``status`` or ``term`` where no number can be compared."""

    case: str
    term: str
    quantity: str
    size: Size
    old: float | str | None
    new: float | str | None


def moved(case: str, old: EstimationResult, new: EstimationResult) -> Iterator[Moved]:
    """Yield what differs between two answers; what one version does not report or lacks is no movement."""
    if "unsupported" in (old.status, new.status) or any(r.reason.startswith(NO_ANSWER) for r in (old, new)):
        return  # a call that was killed for its time says nothing of the version
    if old.status != new.status:
        words = (old.reason or old.status, new.reason or new.status)
        yield Moved(case=case, term="", quantity=STATUS, size="break", old=words[0], new=words[1])
        return
    if old.status != "ok":
        return
    terms = [{row.term for row in r.coefs} for r in (old, new)]
    for term in sorted(terms[0] ^ terms[1]):
        words = ("there", "not there") if term in terms[0] else ("not there", "there")
        yield Moved(case=case, term=term, quantity=TERM, size="break", old=words[0], new=words[1])
    a, b = numbers(old), numbers(new)
    scale = _scale(old)
    errors = {row.term: row.std_error for row in old.coefs}
    for key in a.keys() & b.keys():
        gap = distance(key, a[key], b[key], errors.get(key[0]), scale)
        if gap is not None and gap > SAME:
            size: Size = "drift" if gap <= max(DRIFT, slack(key[1], old, new)) else "break"
            yield Moved(case=case, term=key[0], quantity=key[1], size=size, old=a[key], new=b[key])
    for block in old.blocks:
        other = new.block(block.term)
        for quantity in block.quantities if other is not None else ():
            assert other is not None
            if quantity in other.quantities:
                yield from _members(case, block.term, quantity, block[quantity], other[quantity], scale)


def numbers(result: EstimationResult) -> dict[tuple[str, str], float]:
    """Return every number of an answer by term and quantity, degrees of freedom included, blocks apart."""
    found = {(t, q): float(v) for t, q, v in result.quantities() if isinstance(v, int | float)}
    return found | {(row.term, "df"): float(row.df) for row in result.coefs if row.df is not None}


def distance(key: tuple[str, str], a: float, b: float, error: float | None, scale: float) -> float | None:
    """Return how far two numbers are apart on the scale of their kind; infinity where one is none."""
    if (math.isnan(a) and math.isnan(b)) or a == b:
        return None
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.inf
    gap = abs(a - b)
    largest = max(abs(a), abs(b))
    if key[1] in ("estimate", "conf_low", "conf_high") and error is not None and math.isfinite(error):
        largest = max(largest, error)
    elif key[1] == "statistic":
        largest = max(largest, 1.0)
    elif key[1] == "p_value":
        largest = max(largest, 1e-3)
    elif key[1] in FITTED:
        largest = max(largest, scale)
    elif key[1] in ("r2", "adj_r2", "r2_within"):
        largest = max(largest, 1e-3)
    return gap / largest if largest > 1e-12 else None


def _members(
    case: str,
    term: str,
    quantity: str,
    a: tuple[float | None, ...],
    b: tuple[float | None, ...],
    scale: float,
) -> Iterator[Moved]:
    """Yield the worst member of a block that moved, or that its length did."""
    if len(a) != len(b):
        words = (f"{len(a)} {term}", f"{len(b)} {term}")
        yield Moved(case=case, term=term, quantity=quantity, size="break", old=words[0], new=words[1])
        return
    worst, pair = 0.0, (0.0, 0.0)
    for x, y in zip(a, b, strict=True):
        p, q = (math.nan if v is None else float(v) for v in (x, y))
        gap = distance((term, quantity), p, q, None, scale)
        if gap is not None and gap > worst:
            worst, pair = gap, (p, q)
    if worst > SAME:
        size: Size = "drift" if worst <= DRIFT else "break"
        yield Moved(case=case, term=term, quantity=quantity, size=size, old=pair[0], new=pair[1])


def _scale(result: EstimationResult) -> float:
    """Return the largest fitted value or residual: both live on the outcome's scale."""
    values = [abs(v) for b in result.blocks for q in b.quantities if q in FITTED for v in b[q] if v is not None]
    return max((v for v in values if math.isfinite(v)), default=0.0)


Side = Literal["toward", "away", "both", "neither"]


def side_of(change: Moved, answers: Mapping[str, EstimationResult]) -> tuple[str, Side] | None:
    """Say which side the first witness of R supports that knows the number; ``None`` where none does."""
    if not isinstance(change.old, float) or not isinstance(change.new, float):
        return None
    for engine, answer in answers.items():
        if not engine.startswith("r."):
            continue
        said = numbers(answer).get((change.term, change.quantity))
        if said is None or not math.isfinite(said):
            continue
        row = answer.coef(change.term)
        error = row.std_error if row is not None else None
        key = (change.term, change.quantity)
        near = [(distance(key, value, said, error, 0.0) or 0.0) <= AGREES for value in (change.old, change.new)]
        sides: dict[tuple[bool, bool], Side] = {
            (True, True): "both",
            (True, False): "away",
            (False, True): "toward",
            (False, False): "neither",
        }
        return f"{answer.engine} {answer.version}", sides[near[0], near[1]]
    return None
