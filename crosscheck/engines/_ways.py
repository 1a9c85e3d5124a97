"""How else can the same model be asked of a Python package: as one of several, or with all options written out?

Neither decides a number, or the package is at fault; the properties ``one_of_several`` and ``defaults`` ask for them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from crosscheck.errors import Unsupported

SEVERAL = ("outcomes", "sw", "sw0", "csw", "csw0", "effects sw", "effects csw0", "split", "fsplit")
SPLITS = ("split", "fsplit")
CALLS = ("default", "explicit")
SECOND, SECOND_EFFECT, PART = "second", "second_effect", "part"


def several(text: str, data: Any, kind: str | None) -> tuple[str, Any, int]:
    """Return formula and data of a call that fits the model beside another one, and the model's place in the answer.

    The other model has a column that lacks values, so that its sample is another one.

    Parameters
    ----------
    text : str
        The formula of the one model, in pyfixest's language, without instruments.
    data : pandas.DataFrame
    kind : str or None
        One of :data:`SEVERAL`; a split changes neither formula nor data.

    Raises
    ------
    Unsupported
        Where the formula has no place for another model.
    """
    if kind is None or kind in SPLITS:
        return text, data, 0
    left, _, right = text.partition(" ~ ")
    rhs, _, effects = right.partition(" | ")
    if "~" in effects or left not in data.columns:
        raise Unsupported("one of several models has no instruments here (never)")
    terms, factors = rhs.split(" + "), effects.split("+") if effects else []
    other = np.asarray(data[left], dtype=np.float64)[::-1].copy()
    other[:: max(len(other) // 3, 1)] = np.nan
    data = data.assign(**{SECOND: other, SECOND_EFFECT: np.where(np.isnan(other), np.nan, np.arange(len(other)) // 2)})
    if kind == "outcomes":
        return f"{left} + {SECOND} ~ {right}", data, 0
    if kind.startswith("effects"):
        if not factors:
            raise Unsupported("there are no fixed effects (never)")
        listed = [*factors[:-1], f"sw({SECOND_EFFECT}, {factors[-1]})"]
        if kind == "effects csw0":
            _require_two(factors)
            listed = [f"csw0({', '.join(factors)})"]
        return f"{left} ~ {rhs} | {' + '.join(listed)}", data, -1
    if terms[0] in ("1", "-1") or any("(" in t for t in terms):
        raise Unsupported("terms that are functions are not listed one by one (never)")
    if kind.startswith("csw"):
        _require_two(terms)
        terms = [f"{kind}({', '.join(terms)})"]
    else:
        terms = [*terms[:-1], f"{kind}({SECOND}, {terms[-1]})"]
    return f"{left} ~ {' + '.join(terms)}" + (f" | {effects}" if effects else ""), data, -1


def _require_two(listed: Collection[str]) -> None:
    if len(listed) < 2:
        raise Unsupported("a list of one is no list (never)")


def written_out(
    function: Callable[..., Any], given: Mapping[str, Any], way: str | None, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the arguments of a call: those given, and for ``explicit`` every default that the signature states."""
    if way != "explicit":
        return dict(given)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    stated = {
        name: p.default
        for name, p in inspect.signature(function).parameters.items()
        if p.kind in kinds and p.default is not inspect.Parameter.empty and name not in without
    }
    return {**stated, **given}
