"""What does one source say about one column of one table?

Every source (a Python package, an R package, a recorded R run, the printed table, the known truth) yields an
:class:`EstimationResult`. Everything here is plain data; :meth:`EstimationResult.to_json` and
:func:`result_from_json` are exact inverses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from crosscheck.canon import parse_number, plain

Status = Literal["ok", "error", "unsupported"]

COEF_QUANTITIES = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")
STAT_QUANTITIES = ("nobs", "r2", "adj_r2", "r2_within", "df_resid")
COUNTS = frozenset({"nobs", "df_resid", "n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefRow:
    """One coefficient: ``term`` in fixest's spelling without back-ticks, and its inference.

    ``df`` is the degrees of freedom of the t distribution that the source used (``inf`` for the normal, ``None`` where
    it does not say). A quantity that the source does not give is ``None``; one that it gives as NaN is NaN.
    """

    term: str
    estimate: float | None = None
    std_error: float | None = None
    statistic: float | None = None
    p_value: float | None = None
    conf_low: float | None = None
    conf_high: float | None = None
    df: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitStats:
    """Statistics of the whole fit. ``df_resid`` is N - K with every estimated parameter counted."""

    nobs: float | None = None
    r2: float | None = None
    adj_r2: float | None = None
    r2_within: float | None = None
    df_resid: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Any further number, such as an entropy weight or a balance statistic: ``(term, quantity, value)``."""

    term: str
    quantity: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Numbers of many like members (draws of a placebo test, rows of a panel), compared as a whole.

    Attributes
    ----------
    term : str
        What the members are: ``draws``, ``rows``, ``panels``.
    labels : tuple of str
        Their names; empty where they are numbered from 1.
    quantities : tuple of str
    values : tuple of tuples, shape (quantities, members)
        ``None`` or NaN where a member has no number.
    """

    term: str
    labels: tuple[str, ...] = ()
    quantities: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]

    def __post_init__(self) -> None:
        sizes = {len(v) for v in self.values} | ({len(self.labels)} if self.labels else set())
        if len(self.values) != len(self.quantities) or len(sizes) > 1:
            raise ValueError(f"the block {self.term!r} is ragged")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"the block {self.term!r} names a member twice")

    def __getitem__(self, quantity: str) -> tuple[float | None, ...]:
        """Return the numbers of a quantity, one for each member."""
        return self.values[self.quantities.index(quantity)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """The choices that decide the digits of a standard error, as the engine *used* them (``None``: does not apply).

    ``k`` is the number of parameters counted in the small-sample factor, ``df_t`` the degrees of freedom of the t
    distribution (``inf`` for the normal), ``ssc_factor`` the factor by which the unadjusted covariance was multiplied.
    """

    vcov: str | None = None
    cluster: tuple[str, ...] = ()
    k: float | None = None
    k_fixef: str | None = None
    ssc_factor: float | None = None
    n_clusters: tuple[int, ...] = ()
    distribution: str | None = None
    df_t: float | None = None
    singletons_dropped: int | None = None
    rows_dropped: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A warning or message that an engine gave while fitting."""

    kind: Literal["warning", "message", "error"]
    text: str
    cls: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimationResult:
    """All that one source says about one column.

    Attributes
    ----------
    engine : str
        Engine id, such as ``pyfixest`` or ``r.fixest``; says what was run, not how it was reached.
    version, transport : str
        Version of the package; ``live`` or ``recorded`` (or ``file`` for printed numbers and known truths).
    coefs, stats, extras, blocks
        The numbers.
    vcov : tuple of tuples
        Covariance of the estimates in the order of ``coefs`` (empty where the source does not give it).
    vcov_terms : tuple of str
        Names of the rows of ``vcov`` where they differ from ``coefs``; empty otherwise.
    dropped : tuple of str
        Terms that the engine dropped as collinear.
    reason : str
        Why the status is ``error`` or ``unsupported``.
    seconds : float
        Time that the engine's own fitting took.
    """

    engine: str
    version: str = ""
    transport: str = "live"
    status: Status = "ok"
    reason: str = ""
    coefs: tuple[CoefRow, ...] = ()
    stats: FitStats = field(default_factory=FitStats)
    extras: tuple[Extra, ...] = ()
    blocks: tuple[Block, ...] = ()
    conventions: Conventions = field(default_factory=Conventions)
    vcov: tuple[tuple[float, ...], ...] = ()
    vcov_terms: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    seconds: float = 0.0
    environment: tuple[tuple[str, str], ...] = ()

    def quantities(self) -> Iterator[tuple[str, str, float | None]]:
        """Yield ``(term, quantity, value)`` for all that the source gives; statistics of the fit have term ``""``."""
        for row in self.coefs:
            for quantity in COEF_QUANTITIES:
                value = getattr(row, quantity)
                if value is not None:
                    yield row.term, quantity, value
        for quantity in STAT_QUANTITIES:
            value = getattr(self.stats, quantity)
            if value is not None:
                yield "", quantity, value
        for extra in self.extras:
            yield extra.term, extra.quantity, extra.value

    def coef(self, term: str) -> CoefRow | None:
        """Return the row of a term, or ``None``."""
        return next((row for row in self.coefs if row.term == term), None)

    def block(self, term: str) -> Block | None:
        """Return the block of a term, or ``None``."""
        return next((b for b in self.blocks if b.term == term), None)

    def with_(self, **changes: Any) -> EstimationResult:
        """Return a copy with fields replaced."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like mapping; write it with :func:`crosscheck.canon.dumps`."""
        plainly = {"vcov": self.vcov, "blocks": _plain_blocks(self.blocks)}
        return {name: plainly[name] if name in plainly else plain(getattr(self, name)) for name in _FIELDS}


def _plain_blocks(blocks: Sequence[Block]) -> tuple[dict[str, Any], ...]:
    """Return blocks as mappings; their numbers, of which there may be thousands, are not looked at one by one."""
    return tuple({"term": b.term, "labels": b.labels, "quantities": b.quantities, "values": b.values} for b in blocks)


_FIELDS = tuple(f.name for f in fields(EstimationResult))


def failed(engine: str, reason: str, *, status: Status = "error", **extra: Any) -> EstimationResult:
    """Make the result of a fit that did not happen."""
    return EstimationResult(engine=engine, status=status, reason=reason, **extra)


_NONE: frozenset[str] = frozenset()
_TERM, _EXTRA = frozenset({"term"}), frozenset({"term", "quantity"})
_KNOWN: dict[type[Any], frozenset[str]] = {
    cls: frozenset(f.name for f in fields(cls))
    for cls in (CoefRow, FitStats, Extra, Block, Conventions, Condition, EstimationResult)
}


def _build(cls: type[Any], raw: Mapping[str, Any]) -> Any:
    unknown = raw.keys() - _KNOWN[cls]
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {min(unknown)!r}")
    return cls(**raw)


def _numbers(raw: Mapping[str, Any], words: frozenset[str]) -> dict[str, Any]:
    return {k: v if type(v) is float or k in words else parse_number(v) for k, v in raw.items()}


def _block(raw: Mapping[str, Any]) -> Block:
    values = tuple([tuple([v if type(v) is float else parse_number(v) for v in row]) for row in raw["values"]])
    lists = {"labels": tuple(raw.get("labels") or ()), "quantities": tuple(raw["quantities"]), "values": values}
    block: Block = _build(Block, {**raw, **lists})
    return block


def _entry(value: Any) -> float:
    return value if type(value) is float else parse_number(value) or 0.0


def result_from_json(raw: Mapping[str, Any]) -> EstimationResult:
    """Rebuild a result from :meth:`EstimationResult.to_json`, or from what a worker sent.

    Raises
    ------
    ValueError, KeyError, TypeError
        Where the mapping has unknown fields or values of the wrong type.
    """
    data = dict(raw)
    data["coefs"] = tuple(_build(CoefRow, _numbers(r, _TERM)) for r in data.get("coefs", ()))
    data["stats"] = _build(FitStats, _numbers(data.get("stats") or {}, _NONE))
    data["extras"] = tuple(_build(Extra, _numbers(r, _EXTRA)) for r in data.get("extras", ()))
    data["blocks"] = tuple(_block(b) for b in data.get("blocks") or ())
    conventions = dict(data.get("conventions") or {})
    for key in ("k", "ssc_factor", "df_t"):
        conventions[key] = parse_number(conventions.get(key))
    for key in ("cluster", "n_clusters", "notes"):
        conventions[key] = tuple(conventions.get(key) or ())
    data["conventions"] = _build(Conventions, conventions)
    data["vcov"] = tuple(tuple([_entry(v) for v in row]) for row in data.get("vcov") or ())
    data["vcov_terms"] = tuple(data.get("vcov_terms") or ())
    data["dropped"] = tuple(data.get("dropped") or ())
    data["conditions"] = tuple(_build(Condition, c) for c in data.get("conditions") or ())
    data["environment"] = tuple((str(k), str(v)) for k, v in data.get("environment") or ())
    seconds = parse_number(data.get("seconds"))
    data["seconds"] = 0.0 if seconds is None else seconds
    result: EstimationResult = _build(EstimationResult, data)
    return result
