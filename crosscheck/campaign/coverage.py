"""Which estimators, options, weights, gaps, scales and identifiers were reached, in which engine, and which never?

A fold of the lines of panels. Something is *reached* by an engine where it gave numbers that were compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from crosscheck.campaign.requests import FEATURES
from crosscheck.simulate.panel_spec import PanelSpec
from crosscheck.simulate.space import QUIRKS

BEYOND = (
    *("quantile regression", "decomposition (gelbach)", "randomisation inference (ritest)", "rwolf", "FamaMacBeth"),
    *("IVLIML", "IVGMM", "negative binomial", "differences", "moderndid", "diff-diff"),
)
"""Estimators of the packages, and packages, that no engine asks: out of reach of every campaign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Counts of cases by what they show.

    Attributes
    ----------
    features : mapping of str to mapping
        Word of a request to engine to number of cases with numbers.
    panels : mapping of str to int
        Quirk of a panel, such as ``weights=frequency``, to number of panels.
    crossed : mapping of str to mapping
        Quirk of a panel to engine to number of cases with numbers.
    checks : mapping of str to mapping
        Property to engine to number of cases in which its numbers were compared.
    never_features, never_panels, never_checked : tuple of str
        What could have been reached and was not, by any engine or panel; properties that compared nothing.
    """

    features: Mapping[str, Mapping[str, int]]
    panels: Mapping[str, int]
    crossed: Mapping[str, Mapping[str, int]]
    checks: Mapping[str, Mapping[str, int]]
    never_features: tuple[str, ...]
    never_panels: tuple[str, ...]
    never_checked: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the counts as a JSON-like mapping."""
        return {
            "features": {k: dict(v) for k, v in self.features.items()},
            "panels": dict(self.panels),
            "crossed": {k: dict(v) for k, v in self.crossed.items()},
            "checks": {k: dict(v) for k, v in self.checks.items()},
            "never": {
                "features": list(self.never_features),
                "panels": list(self.never_panels),
                "properties": list(self.never_checked),
                "beyond": list(BEYOND),
            },
        }


def possible_quirks() -> tuple[str, ...]:
    """Return every choice about a panel that may be drawn beside the plainest."""
    found = [f"{name}={value}" for name, values in QUIRKS.items() for value in dict.fromkeys(values)]
    for name in ("effect", "errors", "outcome"):
        field = PanelSpec.model_fields[name]
        found += [f"{name}={value}" for value in get_args(field.annotation) if value != field.default]
    return tuple(found)


def coverage(events: Iterable[Mapping[str, Any]], properties: Iterable[str] = ()) -> Coverage:
    """Fold the lines of panels, in a campaign of these properties."""
    features: dict[str, Counter[str]] = {}
    crossed: dict[str, Counter[str]] = {}
    checks: dict[str, Counter[str]] = {}
    panels: Counter[str] = Counter()
    for event in events:
        if event["event"] != "panel":
            continue
        quirks = [f"{name}={value}" for name, value in event["spec"].items() if name != "seed"]
        panels.update(quirks)
        for row in event["cases"]:
            for engine in (e for e, status in row["engines"].items() if status == "ok" and row["compared"]):
                checks.setdefault(row["rule"], Counter())[engine] += 1
                for word in row["features"].split():
                    features.setdefault(word, Counter())[engine] += 1
                for quirk in quirks:
                    crossed.setdefault(quirk, Counter())[engine] += 1
    return Coverage(
        features={k: dict(sorted(v.items())) for k, v in sorted(features.items())},
        panels=dict(sorted(panels.items())),
        crossed={k: dict(sorted(v.items())) for k, v in sorted(crossed.items())},
        checks={k: dict(sorted(v.items())) for k, v in sorted(checks.items())},
        never_checked=tuple(p for p in properties if p not in checks),
        never_features=tuple(word for word in FEATURES if word not in features),
        never_panels=tuple(quirk for quirk in possible_quirks() if quirk not in panels),
    )
