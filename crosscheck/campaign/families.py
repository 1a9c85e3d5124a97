"""Which traits of panels meet which estimators, and which never do, and why?

Every trait of :class:`crosscheck.simulate.PanelSpec` is set against each family of estimators: a case counts where two
engines, or an engine and a relation, gave numbers that were compared. What is not met is listed with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.simulate.space import QUIRKS

FAMILIES = (
    *("OLS", "1 effect", "2 effects", "3 effects", "effects^", "i()", "IV", "Poisson", "logit"),
    *("ATT(g,t)", "Sun-Abraham", "two-stage", "random", "designs"),
)
GLM, DID = ("Poisson", "logit"), ("ATT(g,t)", "Sun-Abraham", "two-stage")
SIZES = ("units", "periods", "cohorts", "never", "tau", "seed", "regressors", "outcome")

NO_WEIGHTS = "these estimators are asked without weights, which their packages mean differently or lack"
WHY_NOT: tuple[tuple[frozenset[str], frozenset[str], str], ...] = (
    (frozenset({"instruments"}), frozenset({*DID, "random", "designs"}), "has no instruments"),
    (
        frozenset({"separated"}),
        frozenset(FAMILIES) - {*GLM, "designs"},
        "is about iterated estimators; others meet it as zeros of the outcome",
    ),
    (frozenset({"y_offset", "integer_y"}), frozenset(GLM), "counts and binary outcomes have no offset, and are whole"),
    (frozenset({"weights=frequency"}), frozenset({"ATT(g,t)"}), "has no frequency weights"),
    (
        frozenset({"weights=ones", "weights=analytic", "weights=frequency", "weights=sampling", "weight_scale"}),
        frozenset({"random", "two-stage"}),
        NO_WEIGHTS,
    ),
    (frozenset({"zero_weights", "missing_weights"}), frozenset({"random", "two-stage"}), NO_WEIGHTS),
)
"""Traits, families, and why the one does not matter to the other; counts of what is met there anyway are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings:
    """How many cases of each trait, covariance and weight each family of estimators met.

    Attributes
    ----------
    traits, options : mapping of str to mapping
        Trait, or word of a request, to family to number of cases with compared numbers.
    none : mapping of str to tuple of str
        Reason to what was not met, as ``trait: family, family``.
    """

    traits: Mapping[str, Mapping[str, int]]
    options: Mapping[str, Mapping[str, int]]
    none: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """Return the counts as a JSON-like mapping."""
        return {
            "traits": {k: dict(v) for k, v in self.traits.items()},
            "options": {k: dict(v) for k, v in self.options.items()},
            "not_met": {k: list(v) for k, v in self.none.items()},
        }


def family_of(features: str) -> str:
    """Return the family of estimators that the features of a request name."""
    words = features.split()
    kind = words[0]
    named = {"fepois": "Poisson", "feglm": "logit", "att_gt": "ATT(g,t)", "sunab": "Sun-Abraham", "did2s": "two-stage"}
    if kind in named:
        return named[kind]
    if kind in ("re", "between"):
        return "random"
    if kind != "feols":
        return "designs"
    for word, family in (("iv", "IV"), ("i", "i()"), ("fe^fe", "effects^")):
        if word in words:
            return family
    number = next((w for w in words if w.startswith("fe:")), "")
    return {"fe:1": "1 effect", "fe:2": "2 effects"}.get(number, "3 effects" if number else "OLS")


def trait_of(name: str, value: object) -> str:
    """Return a trait as it is counted: with its value where that is a word, by its name where it is a number."""
    return f"{name}={value}" if isinstance(value, str) else name


def all_traits() -> tuple[str, ...]:
    """Return every trait that may be drawn."""
    found = [trait_of(name, value) for name, values in QUIRKS.items() for value in values if name not in SIZES]
    for name in ("effect", "errors"):
        allowed = PanelSpec.model_fields[name].annotation.__args__  # type: ignore[union-attr]
        found += [f"{name}={value}" for value in allowed if value != PanelSpec.model_fields[name].default]
    return tuple(dict.fromkeys(found))


COVARIANCES = ("iid", "HC1", "HC2", "HC3", "CRV1", "CRV1:2", "CRV3", "NW", "DK", "ssc")
WEIGHTS = ("weights:analytic", "weights:frequency")


def meetings(events: Iterable[Mapping[str, Any]]) -> Meetings:
    """Fold the lines of panels."""
    traits: dict[str, Counter[str]] = {}
    options: dict[str, Counter[str]] = {}
    for event in events:
        if event["event"] != "panel":
            continue
        mine = [trait_of(name, value) for name, value in event["spec"].items() if name not in SIZES]
        for row in event["cases"]:
            if not row["compared"]:
                continue
            family = family_of(row["features"])
            for trait in mine:
                traits.setdefault(trait, Counter())[family] += 1
            for word in {*row["features"].split()} & {*COVARIANCES, *WEIGHTS}:
                options.setdefault(word, Counter())[family] += 1
    return Meetings(
        traits={k: dict(traits.get(k, {})) for k in all_traits()},
        options={k: dict(options.get(k, {})) for k in (*COVARIANCES, *WEIGHTS)},
        none=_not_met(traits, all_traits()),
    )


def reason_of(trait: str, family: str) -> str:
    """Return why a trait does not matter to a family, an empty string where it does."""
    return next((why for names, families, why in WHY_NOT if trait in names and family in families), "")


def _not_met(counts: Mapping[str, Mapping[str, int]], traits: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for trait in traits:
        mine: dict[str, list[str]] = {}
        for family in FAMILIES:
            if not counts.get(trait, {}).get(family, 0):
                mine.setdefault(reason_of(trait, family) or DRAW_MORE, []).append(family)
        for reason, families in mine.items():
            found.setdefault(reason, []).append(f"{trait}: {', '.join(families)}")
    return {reason: tuple(rows) for reason, rows in found.items()}


DRAW_MORE = "no panel drawn so far had it with these, or none gave numbers"
