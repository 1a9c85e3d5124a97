"""What stands in ``finding.toml``?"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from crosscheck.spec import Model
from crosscheck.study_file import Id, NonEmpty

PYTHON_SCRIPT: Final = "repro.py"
R_SCRIPT: Final = "repro.R"
ARBITER = "arbiter"
RTOL = 1e-9
_LABEL = re.compile(r"[^=\n]*[^=\s]")


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text) or text != text.strip():
        raise ValueError(f"{text!r} cannot be a label, which stands before = on a line of its own")
    return text


def _day(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(f"{text!r} is not a day; write 2026-01-31")
    return text


Label = Annotated[str, AfterValidator(_label)]
Day = Annotated[str, AfterValidator(_day)]


class FindingIdentity(Model):
    """``[identity]``: which discrepancy it is; two findings of the same identity are one.

    ``rule`` is the property or relation that does not hold, ``engine`` the package whose number is off it,
    ``version`` its version, ``against`` the other engine of a pair, ``quantity`` what differs, ``features`` what of the
    request matters.
    """

    rule: NonEmpty
    engine: NonEmpty
    version: NonEmpty
    against: str = ""
    quantity: NonEmpty
    features: str = ""


class Value(Model):
    """``[[value]]``: a number that a script prints as ``label = number``.

    ``side`` is ``engine`` for the package that the finding is about, ``witness`` for another one, ``arbiter`` for the
    closed form or known truth. ``rtol`` is how far a replay may be from it, relatively; looser than 1e-9 needs a
    ``reason``.
    """

    label: Label
    script: Literal["repro.py", "repro.R"]
    side: Literal["engine", "witness", "arbiter"]
    source: NonEmpty
    number: float
    rtol: Annotated[float, Field(ge=0, lt=1)] = RTOL
    reason: str = ""

    @model_validator(mode="after")
    def _reasoned(self) -> Value:
        if self.rtol > RTOL and not self.reason.strip():
            raise ValueError(f"the tolerance {self.rtol:g} is looser than {RTOL:g} and needs a reason")
        return self


class Arbiter(Model):
    """``[arbiter]``: what decides, and whom it supports.

    ``kind``: a closed form, a known truth, an exact relation, or the definition of the quantity. ``supports`` names the
    sources that agree with it, ``against`` those that do not.
    """

    kind: Literal["closed_form", "known_truth", "relation", "definition"]
    formula: NonEmpty
    source: NonEmpty
    supports: tuple[str, ...] = ()
    against: tuple[NonEmpty, ...]


class Cause(Model):
    """``[cause]``: where in the package the number goes wrong, and how that was shown.

    ``replayed``: a change of that one thing, made in a script of the finding or in a session, gave the other number.
    """

    where: NonEmpty
    what: NonEmpty
    replayed: bool


class Upstream(Model):
    """``[upstream]``: whether the maintainers know."""

    repository: NonEmpty
    reported: bool = False
    url: str = ""
    searched: NonEmpty
    note: str = ""

    @model_validator(mode="after")
    def _cited(self) -> Upstream:
        if self.reported and not self.url:
            raise ValueError("a finding that is reported needs the url of the report")
        return self


class StudyUse(Model):
    """``[study]``: whether ``crosscheck run`` on the finding's study shows the discrepancy, or only its context."""

    shows: bool
    note: str = ""


class Scripts(Model):
    """``[scripts]``: the packages that each script loads; a script that is not there has none."""

    python: tuple[str, ...] = ()
    r: tuple[str, ...] = ()


class Finding(Model):
    """``finding.toml``: a real disagreement, shrunk, judged, explained as far as it is, and replayable.

    ``status``: ``new``; ``reported``; ``fixed`` in a later version (named in ``upstream``); ``own`` for one of a user's
    data that was shrunk and not judged yet.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal[1] = Field(alias="schema")
    finding: Id
    title: NonEmpty
    status: Literal["new", "reported", "fixed", "own"]
    seen_on: Day
    summary: NonEmpty
    identity: FindingIdentity
    versions: dict[str, NonEmpty]
    scripts: Scripts
    study: StudyUse
    value: Annotated[tuple[Value, ...], Field(min_length=2)]
    arbiter: Arbiter | None = None
    cause: Cause | None = None
    upstream: Upstream | None = None
    steps: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Finding:
        sides = {v.side for v in self.value}
        if "engine" not in sides:
            raise ValueError("no [[value]] is of the side engine")
        if self.status == "own":
            return self
        if self.arbiter is None or self.upstream is None:
            raise ValueError("a finding needs [arbiter] and [upstream]; only one of status own may lack them")
        if "arbiter" not in sides:
            raise ValueError("no [[value]] is of the side arbiter")
        for script, packages in ((PYTHON_SCRIPT, self.scripts.python), (R_SCRIPT, self.scripts.r)):
            mine = {v.side for v in self.value if v.script == script}
            if bool(packages) != bool(mine):
                raise ValueError(f"{script} loads {', '.join(packages) or 'nothing'} and records {len(mine)} sides")
        return self
