"""Which discrepancies have been met before? They are recognised by identity, counted apart and never hidden.

Rows come from ``known.toml`` beside this module: limits that engines state themselves (``refusal``), agreed differences
of meaning (``convention``), and reported faults (``bug``), each with a reason and a source.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Collection, Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator

from crosscheck.campaign.case import Case, Discrepancy
from crosscheck.campaign.circumstances import CIRCUMSTANCES
from crosscheck.engines import family
from crosscheck.errors import UsageError
from crosscheck.spec import Model

KNOWN_FILE = Path(__file__).with_name("known.toml")
KnownKind = Literal["refusal", "convention", "bug", "numerical"]


class KnownDiscrepancy(Model):
    """One row: what it covers, and why it is not new.

    Attributes
    ----------
    id : str
    kind : str
        ``refusal``: the engine says that it does not do this; ``convention``: both are right; ``bug``: reported, or
        in ``fixtures/findings``; ``numerical``: digits lost by an algorithm.
    engine : str
        Whose discrepancy; ``*`` for any.
    against : str or None
        The other engine, where it matters.
    rules, quantities : tuple of str
        Empty: any.
    features : tuple of str
        Words that the request has to have.
    without : tuple of str
        Words that it must not have.
    traits : tuple of str
        Of the panel, such as ``x_offset=9``; one of them has to be there.
    says : str
        A regular expression that the sentence, or the engine's reason, has to hold.
    within : float or None
        How far apart the two numbers may be, relatively; farther is something else.
    when : str
        A circumstance of :mod:`crosscheck.campaign.circumstances`, which is shown on the case.
    why, source : str
    """

    id: str
    kind: KnownKind
    engine: str
    against: str | None = None
    rules: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    says: str = ""
    within: float | None = Field(default=None, gt=0, lt=1)
    when: str = ""
    why: str = Field(min_length=10)
    source: str = Field(min_length=3)

    @field_validator("when")
    @classmethod
    def _named(cls, name: str) -> str:
        if name and name not in CIRCUMSTANCES:
            raise ValueError(f"there is no circumstance {name!r}; there are {', '.join(CIRCUMSTANCES)}")
        return name

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.says)

    def covers(
        self, one: Discrepancy, traits: Collection[str] = (), shown: Callable[[str], bool] = lambda _: False
    ) -> bool:
        """Say whether a discrepancy, on a panel of these traits, is this one.

        Parameters
        ----------
        one : Discrepancy
        traits : collection of str
        shown : callable
            Says whether a circumstance is shown; without it none is.
        """
        identity = one.identity
        words = identity.features.split()
        return (
            self.engine in ("*", identity.engine, family(identity.engine))
            and self.against in (None, identity.against)
            and (not self.rules or identity.rule in self.rules)
            and (not self.quantities or identity.quantity in self.quantities)
            and all(w in words for w in self.features)
            and not any(w in words for w in self.without)
            and (not self.traits or any(t in traits for t in self.traits))
            and (not self.says or self._pattern.search(f"{one.says} {one.value}") is not None)
            and (self.within is None or _apart(one) <= self.within)
            and (not self.when or shown(self.when))
        )


def _apart(one: Discrepancy) -> float:
    """Return how far apart the two numbers are, relatively, but R2 on its own scale; infinity where one is none."""
    a, b = one.value, one.other
    if not isinstance(a, float) or not isinstance(b, float) or math.isnan(a) or math.isnan(b):
        return math.inf
    least = 1.0 if one.identity.quantity in ("r2", "adj_r2", "r2_within") else 0.0
    return abs(a - b) / max(abs(a), abs(b), least) if a != b else 0.0


class _File(Model):
    known: tuple[KnownDiscrepancy, ...] = ()


@lru_cache(maxsize=4)
def known_rows(path: Path = KNOWN_FILE) -> tuple[KnownDiscrepancy, ...]:
    """Read the rows.

    Raises
    ------
    UsageError
        Where the file is malformed or an id stands twice.
    """
    try:
        rows = _File.model_validate(tomllib.loads(path.read_text("utf-8"))).known
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as error:
        raise UsageError(f"known discrepancies cannot be read: {error}", where=str(path)) from error
    ids = [row.id for row in rows]
    twice = next((i for i in ids if ids.count(i) > 1), None)
    if twice is not None:
        raise UsageError(f"two known discrepancies have the id {twice!r}", where=str(path))
    return rows


def traits_of(case: Case) -> tuple[str, ...]:
    """Return how the panel of a case departs from the plainest, such as ``weights=analytic``."""
    return () if case.panel is None else tuple(f"{k}={v}" for k, v in case.panel.spec.changes().items())


def recognise(
    one: Discrepancy,
    rows: Iterable[KnownDiscrepancy],
    traits: Collection[str] = (),
    shown: Callable[[str], bool] = lambda _: False,
) -> KnownDiscrepancy | None:
    """Return the first row that covers a discrepancy on a panel of these traits, in circumstances that are shown."""
    return next((row for row in rows if row.covers(one, traits, shown)), None)
