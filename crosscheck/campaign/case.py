"""What is one case of a campaign, what may be asked of it, and what is a discrepancy?

A :class:`Case` is a sample, one or more requests, the engines to be asked and the property to be checked. A
:class:`Property` says whether it applies, which fits it needs (so that many cases share one message to a worker), and
what it found. A :class:`Discrepancy` has an :class:`Identity`, which shrinking keeps to and by which it is reported
once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

from crosscheck.canon import digest, plain
from crosscheck.formula import functions, parse
from crosscheck.frame import Frame
from crosscheck.results import EstimationResult
from crosscheck.simulate.panel import Panel
from crosscheck.spec import FitRequest, SscSpec
from crosscheck.verdict import Severity

PropertyKind = Literal["relation", "differential", "truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One fit: which engine, what, on which sample."""

    engine: str
    request: FitRequest
    frame: Frame


class Fit(Protocol):
    """Ask one engine; never raises for what the engine does (a crash or a refusal is a result with that status)."""

    def __call__(self, engine: str, request: FitRequest, frame: Frame) -> EstimationResult:
        """Return what the engine says."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One sample, what is asked of it, whom, and what must hold.

    Attributes
    ----------
    seed : int
        Of the panel and of all choices.
    frame : Frame
        The sample; after shrinking fewer rows, columns and decimals than the panel had.
    requests : tuple of FitRequest
        Most properties look at the first alone.
    engines : tuple of str
        Ids; differential properties compare each pair, relations look at each by itself.
    rule : str
        Id of the property to be checked.
    panel : Panel or None
        What the frame was simulated from, with its truth; ``None`` for data that were not simulated.
    """

    seed: int
    frame: Frame
    requests: tuple[FitRequest, ...]
    engines: tuple[str, ...]
    rule: str = ""
    panel: Panel | None = None

    @property
    def request(self) -> FitRequest:
        """The first request."""
        return self.requests[0]

    @property
    def whole(self) -> bool:
        """Whether the frame is the simulated panel, unshrunk."""
        return self.panel is not None and self.panel.frame is self.frame

    @cached_property
    def key(self) -> str:
        """Hash of all that decides the outcome."""
        return digest(
            {
                "property": self.rule,
                "seed": self.seed,
                "data": self.frame.key,
                "requests": [r.to_json() for r in self.requests],
                "engines": list(self.engines),
            }
        )

    def with_(self, **changes: Any) -> Case:
        """Return a copy with fields replaced."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return what makes the case again: seed, specification, requests, engines, property."""
        return {
            "seed": self.seed,
            "panel": self.panel.spec.changes() if self.panel is not None else None,
            "data_hash": self.frame.key,
            "requests": [r.model_dump(mode="json", exclude_defaults=True) for r in self.requests],
            "engines": list(self.engines),
            "property": self.rule,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which discrepancy is it? Two with the same identity are the same finding.

    Attributes
    ----------
    rule : str
        Id of the property, or of the rule of the property that was broken.
    engine, version : str
        Whose number is off the relation or the truth, or the candidate of a pair.
    against : str
        The other engine of a pair; empty where a relation or the truth is broken.
    quantity : str
        ``estimate``, ``std_error``, ``nobs``, ``status`` (an error on one side only), ``dropped``, ``warning``, ...
    features : str
        What of the request matters, as :func:`features` writes it, such as ``feols CRV1:2 weights``.
    """

    rule: str
    engine: str
    version: str = ""
    against: str = ""
    quantity: str = ""
    features: str = ""

    def same_bug(self, other: Identity) -> bool:
        """Say whether shrinking may go from here to the other: the same but for the version, and no new feature."""
        bare, theirs = (replace(i, version="", features="") for i in (self, other))
        return bare == theirs and set(other.features.split()) <= set(self.features.split())

    @property
    def slug(self) -> str:
        """The identity as a name of a folder."""
        parts = (self.engine, self.rule, self.against, self.quantity, self.features)
        return re.sub(r"[^a-z0-9]+", "-", "-".join(p for p in parts if p).lower()).strip("-")

    def __str__(self) -> str:
        who = f"{self.engine} {self.version}".strip() + (f" against {self.against}" if self.against else "")
        return f"{self.rule}: {self.quantity} of {who} ({self.features})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """What does not hold.

    Attributes
    ----------
    identity : Identity
    term : str
        Of the worst difference; empty for a statistic of the fit.
    value, other : float, str or None
        What the engine says; what the other engine, the relation or the truth says.
    says : str
        One sentence.
    severity : str
    known : str
        Id of the finding, or of the row of known differences, that it repeats; empty for a new one.
    """

    identity: Identity
    term: str = ""
    value: float | str | None = None
    other: float | str | None = None
    says: str = ""
    severity: Severity = "printed"
    known: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the discrepancy as a JSON-like mapping."""
        row: dict[str, Any] = plain(self)
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a property found on a case.

    Attributes
    ----------
    compared : int
        Numbers that were held against each other; with none the case says nothing and never counts as agreement.
    discrepancies : tuple of Discrepancy
    explained : mapping of str to int
        Rule that explained a difference by replay, and how many differences.
    reason : str
        Why nothing was compared.
    """

    compared: int = 0
    discrepancies: tuple[Discrepancy, ...] = ()
    explained: Mapping[str, int] | None = None
    reason: str = ""


@runtime_checkable
class Property(Protocol):
    """Something that must hold.

    Attributes
    ----------
    id : str
        Such as ``row_order``.
    kind : str
        ``relation`` (needs no reference), ``differential`` (two engines agree or are explained), ``truth``.
    title : str
        One sentence: what must hold.
    """

    @property
    def id(self) -> str:
        """Return the property's id."""
        ...

    @property
    def kind(self) -> PropertyKind:
        """Return the kind of property."""
        ...

    @property
    def title(self) -> str:
        """Return what must hold."""
        ...

    def applies(self, case: Case) -> str:
        """Return an empty string where the property can be checked on a case, else the reason why not."""
        ...

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return the fits that :meth:`check` will ask for, so that they can be had in one message."""
        ...

    def check(self, case: Case, fit: Fit) -> Checked:
        """Check; a pure function of the case and of what the engines say."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one case: the property's finding, or why it was not checked."""

    case: Case
    checked: Checked
    seconds: float = 0.0

    @property
    def status(self) -> Literal["agrees", "discrepant", "not_compared"]:
        """Nothing compared is never agreement."""
        if self.checked.discrepancies:
            return "discrepant"
        return "agrees" if self.checked.compared else "not_compared"

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as an event of a campaign's file."""
        return {
            "status": self.status,
            "case": self.case.to_json(),
            "compared": self.checked.compared,
            "explained": dict(self.checked.explained or {}),
            "reason": self.checked.reason,
            "discrepancies": [d.to_json() for d in self.checked.discrepancies],
        }


def features(request: FitRequest) -> str:
    """Return what distinguishes a request from others of its kind: estimator, covariance, weights, and the formula's.

    Examples
    --------
    ``feols iid``, ``feols CRV1:2 fe:2 weights:analytic``, ``att_gt iid dr notyettreated dynamic``.
    """
    words = [request.estimator, request.vcov.canonical + (":2" if len(request.vcov.cluster) == 2 else "")]
    if request.formula:
        formula = parse(request.formula)
        if formula.fixed_effects:
            words.append(f"fe:{len(formula.fixed_effects)}")
        if any(len(parts) > 1 for parts in formula.fixed_effects):
            words.append("fe^fe")
        if formula.iv is not None:
            words.append("iv")
        words += sorted(functions(formula) & {"i", "lag", "poly", "factor"})
        if not formula.intercept and not formula.fixed_effects:
            words.append("no-constant")
    if request.weights is not None:
        words.append(f"weights:{request.weights.type}")
    for name in ("family", "est_method", "control_group", "base_period", "aggregation"):
        if name in request.options:
            words.append(str(request.options[name]))
    for name, word in (("anticipation", "anticipation"), ("covariates", "covariates"), ("balance_e", "balance_e")):
        if request.options.get(name):
            words.append(word)
    if request.options.get("panel") is False:
        words.append("repeated-cross-sections")
    if request.options.get("allow_unbalanced"):
        words.append("unbalanced")
    if request.ssc != SscSpec():
        words.append("ssc")
    return " ".join(words)


def first_per_identity(found: Iterable[Discrepancy]) -> tuple[Discrepancy, ...]:
    """Keep one discrepancy for each identity, the first."""
    kept: dict[Identity, Discrepancy] = {}
    for one in found:
        kept.setdefault(one.identity, one)
    return tuple(kept.values())
