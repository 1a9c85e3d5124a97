"""Which columns of a panel mean what to the shrinker?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crosscheck.errors import UsageError
from crosscheck.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Roles of columns; every other column holds values.

    Attributes
    ----------
    unit, time : str or None
        Identifiers of the panel.
    groups : tuple of str
        Further columns of labels (fixed effects, clusters, regions) whose levels are taken away and merged.
    calendar : tuple of str
        Columns that count on the scale of ``time``, such as the cohort; they are renumbered with it.
    never : tuple of float
        Values of calendar columns that are no period (never treated), and stay.
    keep : frozenset of str
        Columns that are never taken away, nor are their values made simpler.
    binary : frozenset of str
        Columns of zeros and ones, which stay so.
    positive : frozenset of str
        Columns whose values stay positive, such as weights.
    """

    unit: str | None = None
    time: str | None = None
    groups: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    never: tuple[float, ...] = (0.0,)
    keep: frozenset[str] = field(default_factory=frozenset)
    binary: frozenset[str] = field(default_factory=frozenset)
    positive: frozenset[str] = field(default_factory=frozenset)

    def check(self, frame: Frame) -> None:
        """Refuse a column that the panel does not have.

        Raises
        ------
        UsageError
        """
        roles: Mapping[str, tuple[str, ...]] = {
            "unit": (self.unit,) if self.unit else (),
            "time": (self.time,) if self.time else (),
            "groups": self.groups,
            "calendar": self.calendar,
        }
        for role, names in roles.items():
            for name in names:
                if name not in frame:
                    raise UsageError(
                        f"the layout's {role} names {name!r}, which is no column", allowed=", ".join(frame.names)
                    )

    def labels(self, frame: Frame) -> tuple[str, ...]:
        """Return the columns of labels that a panel still has: unit, time, groups, and every other category."""
        named = [self.unit, self.time, *self.groups]
        named += [c.name for c in frame.columns if c.kind == "category"]
        return tuple(n for n in dict.fromkeys(named) if n is not None and n in frame)

    def values(self, frame: Frame) -> tuple[str, ...]:
        """Return the columns of values that may be made simpler."""
        taken = {*self.labels(frame), *self.calendar, *self.keep}
        return tuple(c.name for c in frame.columns if c.kind in ("float", "integer") and c.name not in taken)
