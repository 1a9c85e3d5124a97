"""Which observations might one side have left out, and why?

Every subsample is a convention that some package or habit has; nothing is fitted. Masks are over the rows that the
request itself uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosscheck.engines._shared import codes_of

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.spec import FitRequest

Mask = NDArray[np.bool_]
Effects = tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subsample:
    """Rows that a convention keeps.

    Attributes
    ----------
    rule : str
        Empty for all rows.
    keep : ndarray of bool, shape (n,)
    reasons : ndarray of str, shape (n,)
        Why a row is left out; empty where it stays.
    text : str
        What is left out, such as ``4 singleton observations``.
    words, back : mapping
        For the remedy.
    """

    rule: str
    keep: Mask
    reasons: NDArray[np.str_]
    text: str
    words: Mapping[str, str] = field(default_factory=dict)
    back: Mapping[str, str] = field(default_factory=dict)


def without_singletons(effects: Effects) -> Mask:
    """Mark the rows that stay when levels of any effect that occur once are dropped until none is left."""
    keep = np.ones(effects[0].size if effects else 0, dtype=bool)
    while True:
        single = _singles(effects, keep)
        if not single.any():
            return keep
        keep &= ~single


def _singles(effects: Effects, keep: Mask) -> Mask:
    single = np.zeros(keep.size, dtype=bool)
    for codes in effects:
        count = np.bincount(codes[keep], minlength=int(codes.max(initial=0)) + 1)
        single |= keep & (count[codes] == 1)
    return single


def without_separated(y: NDArray[np.float64], effects: Effects, top: float | None) -> Mask:
    """Mark the rows that stay when levels whose outcomes are all 0 (or all ``top``) are dropped until none is left.

    Parameters
    ----------
    y : ndarray, shape (n,)
    effects : tuple of codes, shape (n,)
    top : float or None
        The largest outcome there is: 1 for logit and probit, ``None`` for counts.
    """
    keep = np.ones(y.size, dtype=bool)
    while True:
        gone = np.zeros(y.size, dtype=bool)
        for codes in effects:
            levels = int(codes.max(initial=0)) + 1
            count = np.bincount(codes[keep], minlength=levels)
            zero = np.bincount(codes[keep], weights=(y[keep] == 0).astype(float), minlength=levels)
            bad = (count > 0) & (zero == count)
            if top is not None:
                full = np.bincount(codes[keep], weights=(y[keep] == top).astype(float), minlength=levels)
                bad |= (count > 0) & (full == count)
            gone |= keep & bad[codes]
        if not gone.any():
            return keep
        keep &= ~gone


def subsamples(
    request: FitRequest, used: Frame, effects: Mapping[tuple[str, ...], NDArray[np.int64]]
) -> list[Subsample]:
    """Return all rows, then every subsample of the catalogue that leaves some out, each number of rows once or more.

    Parameters
    ----------
    request : FitRequest
    used : Frame
        The rows that the request uses.
    effects : mapping of tuple of str to codes, shape (n,)
    """
    n = used.nrows
    whole = Subsample(rule="", keep=np.ones(n, dtype=bool), reasons=np.full(n, ""), text="")
    found = [whole]
    single = list(_single(request, used, effects))
    found += single
    codes = tuple(effects.values())
    for one in single:  # whoever drops singletons drops those that another deletion leaves
        if one.rule != "sample.singletons" and codes:
            left = one.keep.copy()
            while (more := _singles(codes, left)).any():
                left &= ~more
            gone = int((one.keep & ~left).sum())
            if gone:
                reasons = np.where(one.keep & ~left, "singleton after that", one.reasons)
                text = f"{one.text} and {gone} singleton observations"
                found.append(Subsample(rule=one.rule, keep=left, reasons=reasons, text=text))
    return found


def _single(
    request: FitRequest, used: Frame, effects: Mapping[tuple[str, ...], NDArray[np.int64]]
) -> Iterator[Subsample]:
    n = used.nrows
    codes = tuple(effects.values())
    if codes:
        keep = without_singletons(codes)
        once = ~_singles(codes, np.ones(n, dtype=bool))
        for mask, text in ((keep, "singleton observations"), (once, "singleton observations of a first pass")):
            gone = int((~mask).sum())
            if gone and (mask is keep or gone != int((~keep).sum())):
                yield Subsample(
                    rule="sample.singletons",
                    keep=mask,
                    reasons=_singleton_reasons(effects, mask),
                    text=f"{gone} {text}",
                    words={"word": "none"},
                    back={"word": "singleton"},
                )
    holes = {c.name: c.missing for c in used.columns if c.missing.any()}
    if holes:
        missing = np.column_stack(list(holes.values()))
        yield _missing(np.asarray(missing.any(axis=1)), list(holes), missing)
        if len(holes) > 1:
            for i, name in enumerate(holes):
                yield _missing(missing[:, i], [name], missing[:, [i]])
    if request.unit is not None and request.time is not None and request.unit in used and request.time in used:
        yield from _panel(request, used)


def _singleton_reasons(effects: Mapping[tuple[str, ...], NDArray[np.int64]], keep: Mask) -> NDArray[np.str_]:
    reasons = np.full(keep.size, "", dtype=object)
    for name, codes in effects.items():
        alone = np.bincount(codes)[codes] == 1
        reasons[~keep & alone & (reasons == "")] = f"the only row of its {'^'.join(name)}"
    reasons[~keep & (reasons == "")] = "the only row of a fixed effect once other singletons have left"
    return np.asarray(reasons.astype(str))


def _missing(gone: Mask, names: list[str], holes: Mask) -> Subsample:
    reasons = np.full(gone.size, "", dtype=object)
    for i, name in reversed(list(enumerate(names))):
        reasons[holes[:, i]] = f"{name} is missing"
    count = int(gone.sum())
    where = names[0] if len(names) == 1 else f"one of the columns {', '.join(names)}"
    return Subsample(
        rule="sample.missing",
        keep=~gone,
        reasons=np.asarray(reasons.astype(str)),
        text=f"{count} observations with a missing value in {where}",
        words={"columns": ", ".join(names)},
    )


def _panel(request: FitRequest, used: Frame) -> Iterator[Subsample]:
    unit, time = (codes_of(used, (str(name),)) for name in (request.unit, request.time))
    known = (unit >= 0) & (time >= 0)
    if not known.all():
        return
    pairs = unit * (int(time.max(initial=0)) + 1) + time
    first = np.zeros(used.nrows, dtype=bool)
    first[np.unique(pairs, return_index=True)[1]] = True
    if not first.all():
        reason = "a further row of its unit and period"
        yield _plain("sample.duplicates", first, reason, "repeated rows of a unit and period")
        return
    periods = int(np.unique(time).size)
    counts = np.bincount(unit)[unit]
    whole = counts == periods
    if whole.any() and not whole.all():
        yield _plain("sample.balance", whole, "its unit lacks a period", "observations of units that lack a period")
    order = np.lexsort((time, unit))
    start = np.ones(used.nrows, dtype=bool)
    start[order[1:]] = unit[order[1:]] != unit[order[:-1]]
    if not start.all():
        yield _plain("sample.first_period", ~start, "its unit's first period", "first observations of a unit")


def _plain(rule: str, keep: Mask, reason: str, text: str) -> Subsample:
    return Subsample(rule=rule, keep=keep, reasons=np.where(keep, "", reason), text=f"{int((~keep).sum())} {text}")
