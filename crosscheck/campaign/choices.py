"""How are options picked among those that a panel offers?

Each choice is among tuples whose first element is the plainest, so that what a case shows can be made plainer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.options import OPTIONS
from crosscheck.simulate.panel import Panel
from crosscheck.spec import FitRequest, WeightsSpec

Pick = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """A panel, what picks among options, and what the panel offers."""

    panel: Panel
    pick: Pick

    def some(self, options: Sequence[str], most: int) -> list[str]:
        """Pick up to ``most`` different ones, in their order."""
        kept = [o for o in options if self.pick((True, False))]
        return kept[:most]

    def one_in(self, number: int) -> bool:
        """Say yes in one of so many cases."""
        return bool(self.pick((False,) * (number - 1) + (True,)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the panel's columns."""
        return self.panel.frame.names

    def has(self, name: str) -> bool:
        """Say whether the panel has a column."""
        return name in self.panel.frame

    def factors(self) -> tuple[str, ...]:
        """Return the columns that may be fixed effects."""
        return tuple(n for n in ("unit", "time", "sector", "region", "grade", "country") if self.has(n))


def seeded_choice(panel: Panel, seed: int, stream: int) -> Choice:
    """Return a choice that a seed makes, in a stream of its own."""
    rng = np.random.Generator(np.random.PCG64([seed, stream]))
    return Choice(panel, lambda options: options[int(rng.integers(len(options)))])


def quote(names: Sequence[str]) -> list[str]:
    """Return names in back-ticks."""
    return [f"`{n}`" for n in names]


def filled(estimator: str, **given: Any) -> dict[str, Any]:
    """Return the options of an estimator, with the defaults of those that are not given."""
    return OPTIONS[estimator].model_validate(given).model_dump(mode="json")


def group_times(choice: Choice, weights: WeightsSpec | None, **given: Any) -> FitRequest:
    """Return a request for group-time effects of a simulated panel with the options given."""
    options = filled(
        "att_gt",
        y="y",
        cohort="cohort",
        unit="unit",
        time="time",
        weights=weights.column if weights else None,
        **given,
    )
    used = ["y", "cohort", "unit", "time", *options["covariates"], *([weights.column] if weights else [])]
    return FitRequest(
        estimator="att_gt",
        unit="unit",
        time="time",
        weights=weights,
        options=options,
        conf_level=choice.pick((0.95, 0.9)),
        columns=tuple(used),
    )
