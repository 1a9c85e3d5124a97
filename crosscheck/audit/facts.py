"""What must a reader declare about a paper before its tables can be checked, and what do claims in its prose say?

``audit.toml`` holds the facts, ``claims.toml`` the sentences. Whatever is left out makes the checks that need it say
``cannot_tell``; nothing is guessed.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crosscheck.errors import StudyError, nearest

SeType = Literal["undeclared", "iid", "hetero", "cluster"]
Level = Annotated[float, Field(gt=0, lt=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Legend(_Model):
    """What the stars mean: levels and their marks, weakest first, and the number of tails."""

    levels: tuple[Level, ...] = (0.1, 0.05, 0.01)
    marks: tuple[str, ...] = ()
    tails: Literal[1, 2] = 2
    declared: bool = True

    @model_validator(mode="after")
    def _falls(self) -> Legend:
        if list(self.levels) != sorted(self.levels, reverse=True):
            raise ValueError("levels go from one star to most stars, such as [0.10, 0.05, 0.01]")
        if self.marks and len(self.marks) != len(self.levels):
            raise ValueError("marks and levels have the same length, such as ['+', '*', '**'] for [0.10, 0.05, 0.01]")
        return self

    def count(self, printed: str) -> int | None:
        """How many levels a mark stands for; None where the legend does not know it."""
        marks = self.marks or tuple("*" * (i + 1) for i in range(len(self.levels)))
        return marks.index(printed) + 1 if printed in marks else None

    def mark(self, count: int) -> str:
        """The mark for a number of levels passed, in words where there is none."""
        marks = self.marks or tuple("*" * (i + 1) for i in range(len(self.levels)))
        return marks[count - 1] if count else "no star"


class Panel(_Model):
    """Shape of the full sample: number of units, first and last period, whether every unit has every period."""

    units: Annotated[int, Field(ge=1)]
    first: int
    last: int
    balanced: bool = True
    unit: str = "unit"
    time: str = "time"

    @property
    def periods(self) -> int:
        """Number of periods."""
        return self.last - self.first + 1


class Approval(_Model):
    """When units became treated in the world: how many, in which period, and which share of that period was left."""

    units: Annotated[int, Field(ge=1)]
    period: int
    share: Annotated[float, Field(ge=0, le=1)]


class Treatment(_Model):
    """A treatment that is switched on at one of ``starts`` and stays on.

    ``treated`` is the number of treated units, where the paper says it; ``world`` what is known from outside the
    paper (with ``world_source``), used only in findings that are marked as conditional on it; ``approved`` the dates
    that the paper itself gives for the treatment, earliest first.
    """

    term: str
    starts: tuple[int, ...]
    treated: int | None = None
    world: int | None = None
    world_source: str = ""
    approved: tuple[Approval, ...] = ()


class Sample(_Model):
    """Rows that columns are estimated on.

    ``rows`` names the sample whose rows it shares when its values were transformed (winsorised); ``within`` the sample
    that it is a part of; ``group`` a partition that samples with the same word make together; ``called`` what the paper
    calls it, where that says that rows were removed.
    """

    id: str
    nobs: int | None = None
    units: int | None = None
    periods: int | None = None
    balanced: bool | None = None
    within: str | None = None
    rows: str | None = None
    group: str | None = None
    kind: Literal["plain", "matched", "winsorised", "trimmed"] = "plain"
    method: Literal["nearest", "kernel", "other"] = "other"
    matching_terms: tuple[str, ...] = ()
    called: str = ""


class Column(_Model):
    """One regression: what is on either side, whether or not the table prints it.

    ``terms`` lists all slope regressors, ``fixed_effects`` words among ``unit`` and ``time`` (or any other name, whose
    number of levels is then given in ``levels``). ``constant`` says how the printed constant was made: by ``dummies``,
    ``absorbed`` (mean of the effects), ``pooled`` without effects, ``none``, or ``undeclared``.
    """

    table: str
    id: str
    outcome: str
    terms: tuple[str, ...]
    fixed_effects: tuple[str, ...] = ()
    levels: dict[str, int] = Field(default_factory=dict)
    sample: str
    se: SeType = "undeclared"
    clusters: int | None = None
    constant: Literal["dummies", "absorbed", "pooled", "none", "undeclared"] = "undeclared"
    r2: Literal["overall", "within", "undeclared"] = "overall"
    estimator: Literal["ols", "other"] = "ols"
    weighted: bool = False


class Descriptives(_Model):
    """A table of means and standard deviations: its ids, its sample, and the kinds of variables."""

    table: str
    column: str
    sample: str
    binary: tuple[str, ...] = ()
    integer: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()


class EventStudy(_Model):
    """Leads and lags named in an event study's equation, and what is said about them."""

    leads: int
    lags: int
    current: bool = True
    reference: int | None = None
    source: str = ""
    outcome_column: str | None = None
    post_level: Level | None = None
    rising: bool = False


class Placebo(_Model):
    """A permutation test: how many units are drawn, from how many, and what is said about the draws."""

    drawn: int
    start: int | None = None
    draws: int
    source: str = ""
    column: str
    all_below: bool = False
    few_below_level: Level | None = None


class Partition(_Model):
    """Public classifications of the units, to explain which units subsamples hold (findings are conditional on it)."""

    name: str
    source: str
    groups: dict[str, int]
    treated: dict[str, int] = Field(default_factory=dict)


class Component(_Model):
    """One indicator of a composite index: its name and measure in a few words, and its printed direction."""

    name: str
    measure: str
    direction: Literal["+", "-", ""] = ""


class Index(_Model):
    """A composite outcome: its indicators, and sets of them whose measures add up to one by definition."""

    outcome: str
    source: str = ""
    component: tuple[Component, ...]
    sum_to_one: tuple[tuple[str, ...], ...] = ()


class Definition(_Model):
    """How the paper measures a regressor; ``per`` where it is a count per that many heads of ``of``."""

    term: str
    measure: str
    per: Annotated[float, Field(gt=0)] | None = None
    of: str = "people"


class Facts(_Model):
    """All that is declared about one paper."""

    schema_: int = Field(default=1, alias="schema")
    paper: str = ""
    constant_term: str = "Constant"
    legend: Legend | None = None
    panel: Panel | None = None
    treatment: Treatment | None = None
    descriptives: Descriptives | None = None
    sample: tuple[Sample, ...] = ()
    column: tuple[Column, ...] = ()
    event_study: tuple[EventStudy, ...] = ()
    placebo: tuple[Placebo, ...] = ()
    partition: tuple[Partition, ...] = ()
    index: tuple[Index, ...] = ()
    definition: tuple[Definition, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Facts:
        known = {s.id for s in self.sample}
        for column in self.column:
            if column.sample not in known:
                raise ValueError(
                    f"column {column.table}:{column.id} names sample {column.sample!r}, which no [[sample]] has"
                )
        for sample in self.sample:
            for other in (sample.within, sample.rows):
                if other is not None and other not in known:
                    raise ValueError(f"sample {sample.id!r} names sample {other!r}, which no [[sample]] has")
        if len({(c.table, c.id) for c in self.column}) != len(self.column):
            raise ValueError("two [[column]] entries have the same table and id")
        for index in self.index:
            names = {c.name for c in index.component}
            for name in (n for group in index.sum_to_one for n in group):
                if name not in names:
                    raise ValueError(f"sum_to_one names {name!r}, which no [[index.component]] has")
        return self


ClaimKind = Literal[
    "value", "sign", "significant", "insignificant", "order", "difference", "indirect", "panel", "legend", "context",
    "ratio", "combinations", "judged",
]  # fmt: skip


class Claim(_Model):
    """One quoted sentence and what it says about which tokens.

    ``value`` (``quoted`` against one token), ``sign`` (``direction``), ``significant`` (``level``: at least),
    ``insignificant``, ``order`` (``tokens`` from largest to smallest), ``difference`` (as order, and the estimates must
    differ significantly), ``indirect`` (``tokens``: effect on the mediator, effect of the mediator), ``panel``
    (``product`` of integers equals the token), ``ratio`` (``word`` such as slightly, between two tokens),
    ``combinations`` (the columns of ``tokens`` show every combination of the declared controls and effects), ``judged``
    (other checks decide it: ``by`` lists their ids), ``context`` (nothing to test; ``why`` says so).
    """

    id: str
    where: str
    sentence: str
    kind: ClaimKind
    tokens: tuple[str, ...] = ()
    quoted: str | None = None
    direction: Literal["positive", "negative"] | None = None
    level: Level | None = None
    product: tuple[int, ...] = ()
    word: str | None = None
    by: tuple[str, ...] = ()
    why: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Claim:
        if (self.kind == "judged") != bool(self.by):
            raise ValueError("a claim of kind 'judged' lists the checks that decide it in by, and no other kind does")
        if self.kind == "context" and not self.why:
            raise ValueError("a claim of kind 'context' says in why that nothing printed decides it")
        return self


class Claims(_Model):
    """All sentences of ``claims.toml``."""

    schema_: int = Field(default=1, alias="schema")
    claim: tuple[Claim, ...] = ()


M = TypeVar("M", bound=_Model)


def read_toml(path: Path, model: type[M]) -> M:
    """Read a TOML file into a model.

    Raises
    ------
    StudyError
        Where the file is missing, is no TOML, or has a key or value that the model does not know.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StudyError(
            "the declared facts are missing", where=str(path), hint="crosscheck init --audit makes a skeleton"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StudyError(f"the file cannot be read: {error}", where=str(path), allowed="TOML in UTF-8") from error
    return parse(data, model, str(path))


def parse(data: dict[str, Any], model: type[M], where: str) -> M:
    """Validate plain data, turning the first mistake into one clear message."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        first = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
        place = ".".join(str(part) for part in first["loc"])
        hint = ""
        if first["type"] == "extra_forbidden":
            hint = nearest(str(first["loc"][-1]), _all_keys())
        raise StudyError(f"{first['msg']}", where=f"{where}: {place}" if place else where, hint=hint) from None


def _all_keys() -> tuple[str, ...]:
    models: tuple[type[_Model], ...] = (
        Facts, Legend, Panel, Treatment, Approval, Sample, Column, Descriptives, EventStudy, Placebo, Partition, Index,
        Component, Definition, Claim,
    )  # fmt: skip
    return tuple(name for model in models for name in model.model_fields)
