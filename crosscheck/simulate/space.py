"""From which specifications are panels drawn?

The space is written once, as choices among tuples whose first element is the plainest. Hypothesis makes the choices and
shrinks each towards that first element (:mod:`crosscheck.simulate.strategies`); or a seed makes them
(:func:`seeded_spec`, :func:`varied_spec`), where many panels are screened and none is shrunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.errors import DataError, nearest
from crosscheck.simulate.panel_spec import EFFECTS, ERRORS, OUTCOMES, Effect, Errors, Outcome, PanelSpec

Pick = Callable[[Sequence[Any]], Any]
SEEDS = 2**16
WORD_STREAM = 86_028_121

QUIRKS: dict[str, tuple[Any, ...]] = {
    "always": (1,),
    "later": (1,),
    "regressors": (1, 2, 3, 1),
    "scale": (3, -3, 6, -6, 9, -9),
    "x_offset": (3, 6, 9),
    "y_offset": (3, 6, 9),
    "collinear": (1,),
    "constant": (1,),
    "invariant": (1,),
    "near": (3, 6, 9, 12),
    "instruments": (1, 2),
    "integer_x": (1,),
    "integer_y": (1,),
    "nested": (2, 1, 3, 4),
    "crossed": (2, 3, 5),
    "one_level": (1,),
    "unused": (1, 2),
    "clusters": (2, 3, 5, 8, 10_000),
    "cluster_shape": ("unequal", "crossing"),
    "cluster_ids": ("string",),
    "weights": ("ones", "analytic", "frequency", "sampling"),
    "weight_scale": (3, -3, 6),
    "zero_weights": (1, 2, 4),
    "separated": (1, 2),
    "holes": (1, 2, 4),
    "gaps": (1, 2),
    "attrition": (1, 2),
    "singletons": (1, 2),
    "missing_y": (1, 2, 4),
    "missing_x": (1, 2),
    "missing_weights": (1, 2),
    "missing_unit": (1, 2),
    "missing_time": (1, 2),
    "missing_sector": (1, 2),
    "missing_cluster": (1, 2),
    "duplicates": (1, 2),
    "ids": ("string", "float", "huge", "digits", "non_ascii", "na_like", "logical"),
    "naming": ("logical", "na_like", "non_ascii", "spaced"),
    "first_period": (2012, 100_000, 2**33),
    "step": (2, 5),
    "order": ("reversed", "by_time", "shuffled"),
    "index": ("offset", "reversed", "repeated", "text"),
}
"""What else may be true of a panel, and its values; the first is what a counter-example shrinks to."""

_NEEDS: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("scale", "x_offset", "collinear", "near", "integer_x", "missing_x", "naming"), ("regressors", 1)),
    **dict.fromkeys(("weight_scale", "zero_weights", "missing_weights"), ("weights", "analytic")),
    **dict.fromkeys(("cluster_shape", "cluster_ids", "missing_cluster"), ("clusters", 2)),
    "missing_sector": ("crossed", 2),
}
_CLIPPED = (
    "gaps",
    "attrition",
    "holes",
    "nested",
    "separated",
    "clusters",
    "cohorts",
    "crossed",
    "zero_weights",
    *(name for name in QUIRKS if name.startswith("missing_")),
    "duplicates",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which part of the space is drawn from.

    Attributes
    ----------
    units, periods : (int, int)
        Least and most.
    effects, errors, outcomes : tuple of str
        The first is what a counter-example shrinks to.
    quirks : tuple of str
        Keys of :data:`QUIRKS` that may occur.
    rarity : int
        A quirk occurs in one of ``rarity`` panels, those that come with others apart.
    """

    units: tuple[int, int] = (2, 12)
    periods: tuple[int, int] = (2, 8)
    effects: tuple[Effect, ...] = EFFECTS
    errors: tuple[Errors, ...] = ERRORS
    outcomes: tuple[Outcome, ...] = OUTCOMES[:1]
    quirks: tuple[str, ...] = tuple(QUIRKS)
    rarity: int = 8

    def __post_init__(self) -> None:
        for quirk in self.quirks:
            if quirk not in QUIRKS:
                raise DataError(
                    f"there is no quirk {quirk!r}", allowed=", ".join(QUIRKS), hint=nearest(quirk, tuple(QUIRKS))
                )
        for name, (least, most) in (("units", self.units), ("periods", self.periods)):
            if not 1 <= least <= most:
                raise DataError(f"{name} cannot be drawn from {least} to {most}", allowed="1 <= least <= most")
        if not (self.effects and self.errors and self.outcomes) or self.rarity < 1:
            raise DataError("nothing is left to draw from", hint="give one effect, error and outcome at least")


def draw_spec(pick: Pick, limits: Limits) -> PanelSpec:
    """Choose a specification: structure first, then a choice for each quirk, the seed last.

    Parameters
    ----------
    pick : callable
        Returns one element of a sequence.
    limits : Limits
    """
    drawn: dict[str, Any] = {
        "units": pick(range(limits.units[0], limits.units[1] + 1)),
        "periods": pick(range(limits.periods[0], limits.periods[1] + 1)),
        "cohorts": pick((1, 2, 3)),
        "never": pick((2, 1, 3, 0, 1, 2, 4)),
        "effect": pick(limits.effects),
        "errors": pick(limits.errors),
        "outcome": pick(limits.outcomes),
    }
    for quirk in limits.quirks:
        values = QUIRKS[quirk]
        off = len(values) * (limits.rarity - 1)
        at = pick(range(off + len(values)))
        if at >= off:
            drawn[quirk] = values[at - off]
    drawn["seed"] = pick(range(SEEDS))
    return settled(drawn)


def seeded_spec(seed: int, limits: Limits | None = None) -> PanelSpec:
    """Draw the specification that a seed stands for, without hypothesis."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return draw_spec(lambda options: options[int(rng.integers(len(options)))], limits or Limits())


WORDS = {"ids": 2, "order": 2, "index": 2, "naming": 2, "weights": 4}
"""Traits of many values, each of which would be rare; one of so many panels that have none of them gets one."""


def varied_spec(seed: int, limits: Limits | None = None) -> PanelSpec:
    """Draw the specification that a seed stands for, names, orders and weights more often: what a campaign screens.

    They have a random stream of their own: the panel is that of :func:`seeded_spec` but for them.
    """
    spec = seeded_spec(seed, limits)
    rng = np.random.Generator(np.random.PCG64([seed, WORD_STREAM]))
    fields = spec.changes()
    for name, rarity in WORDS.items():
        at, value = rng.integers(rarity), QUIRKS[name][int(rng.integers(len(QUIRKS[name])))]
        needed = _NEEDS.get(name, ("units", 1))[0]
        if not at and name not in fields and (needed == "units" or needed in fields):
            fields[name] = value
    return PanelSpec(**fields)


def settled(drawn: dict[str, Any]) -> PanelSpec:
    """Make a specification of what was drawn: add what a quirk needs, and lower counts to what the panel can hold."""
    fields = dict(drawn)
    for quirk, (needed, value) in _NEEDS.items():
        if quirk in fields:
            fields.setdefault(needed, value)
    if fields.get("outcome", "continuous") != "continuous":
        fields.pop("y_offset", None)
        fields.pop("integer_y", None)
    else:
        fields.pop("separated", None)
    if fields.get("weights", "analytic") not in ("analytic", "sampling"):
        fields.pop("weight_scale", None)
    if fields.get("integer_x"):
        fields["scale"] = abs(fields.get("scale", 0))
    bare = PanelSpec.model_construct(**fields)
    for name in ("always", "later"):
        if bare.treated < fields.get("always", 0) + fields.get("later", 0):
            fields.pop(name, None)
            bare = PanelSpec.model_construct(**fields)
    for name in _CLIPPED:
        if name in fields:
            fields[name] = min(fields[name], bare.room()[name])
            bare = PanelSpec.model_construct(**fields)
    return PanelSpec(**_consistent(fields))


def _consistent(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is nothing without a count that had to become zero."""
    out = {name: value for name, value in fields.items() if not (name in QUIRKS and value == 0)}
    for quirk, (needed, _) in _NEEDS.items():
        if quirk in out and needed not in out:
            del out[quirk]
    if not out.get("cohorts", 1):
        out.pop("always", None)
        out.pop("later", None)
    return out
