"""Which discrepancies are bugs on record, in which versions of a package, and do they still explain anything?

Rows are data (``known.toml``). A row names a cause only where the version of the engine lies in its range and its
replay makes every standard error meet; a row whose engine shows the right number no longer applies, and a run says so
loudly.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from crosscheck.conventions import Counts, count_k
from crosscheck.explain.counting import counts_of_request
from crosscheck.explain.model import Departure, Explanation, base_id, enough, write
from crosscheck.explain.replay import Replayer, close, replayer
from crosscheck.explain.rules import version_numbers
from crosscheck.explain.se import estimates_agree, shared

if TYPE_CHECKING:
    from crosscheck.frame import Frame
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest

Found = Mapping[tuple[str, str], tuple[Explanation, ...]]
VISIBLE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A bug of a package on record; see the head of ``known.toml`` for the fields."""

    slug: str
    package: str
    engines: tuple[str, ...]
    since: str
    before: str
    estimators: tuple[str, ...]
    vcov: tuple[str, ...]
    replay: str
    in_run: bool
    what: str
    reference: str
    arbiter: str

    def covers(self, version: str) -> bool:
        """Say whether a version lies in [since, before); an unknown version lies in no range that is bounded."""
        if not version:
            return not self.since and not self.before
        own = version_numbers(version)
        return (not self.since or own >= version_numbers(self.since)) and (
            not self.before or own < version_numbers(self.before)
        )

    def asks(self, request: FitRequest) -> bool:
        """Say whether a request is one that the bug concerns."""
        kinds = not self.estimators or request.estimator in self.estimators
        return kinds and (not self.vcov or request.vcov.canonical in self.vcov)


@lru_cache(maxsize=1)
def known() -> tuple[Known, ...]:
    """Return all rows in the order of the file.

    Raises
    ------
    ValueError
        Where a slug stands twice or a replay is not there.
    """
    raw = tomllib.loads(resources.files("crosscheck.explain").joinpath("known.toml").read_text("utf-8"))
    rows = []
    for row in raw["known"]:
        lists = {k: tuple(v) for k, v in row.items() if isinstance(v, list)}
        rows.append(Known(**{**row, **lists}))
    if len({r.slug for r in rows}) < len(rows) or any(r.replay and r.replay not in REPLAYS for r in rows):
        raise ValueError("known.toml: a slug stands twice, or a replay has no function")
    return tuple(rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What a replay may look at: the request, its counts, and the fit where a closed form answers it."""

    request: FitRequest
    counts: Counts
    k: int
    made: Replayer | None


def _one_too_many(q: Question) -> tuple[float, ...]:
    if len(q.counts.fe_sizes) < 2 or not q.request.ssc.k_adj or q.request.vcov.canonical in ("HC2", "HC3", "CRV3"):
        return ()
    return (math.sqrt((q.counts.n - q.k - 1) / (q.counts.n - q.k)),)


def _wrong_effect_nested(q: Question) -> tuple[float, ...]:
    """One constant is counted beside the coefficients, as if every effect were nested in the clusters."""
    counts = q.counts
    wrong = counts.n_coef + 1
    if not any(counts.nested) or all(counts.nested) or not q.request.ssc.k_adj or q.k == wrong:
        return ()
    return (math.sqrt((counts.n - wrong) / (counts.n - q.k)),)


def _crv3_factor(q: Question) -> tuple[float, ...]:
    g = q.counts.g_min
    return () if g is None else (math.sqrt((g - 1) / g),)


def _without_sigma(q: Question) -> tuple[float, ...]:
    if q.made is None or q.request.options.get("family") != "gaussian":
        return ()
    n, k = q.made.model.n, q.made.model.parameters
    return (math.sqrt(float(q.made.model.fit.ssr) / (n - k)),) if n > k else ()


def _corrected_twice(q: Question) -> tuple[float, ...]:
    if q.request.options.get("family") != "gaussian" or not q.request.ssc.k_adj:
        return ()
    return (math.sqrt((q.counts.n - q.k) / (q.counts.n - 1)),)


def _without_hc1(q: Question) -> tuple[float, ...]:
    n = q.counts.n
    wanted = q.request.vcov.canonical == "HC1" and q.request.ssc.k_adj and n > q.k
    return (math.sqrt(n / (n - q.k)),) if wanted else ()


def _halved(q: Question) -> tuple[float, ...]:
    return (0.5,) if q.request.options.get("weights") is not None else ()


REPLAYS: Mapping[str, Callable[[Question], tuple[float, ...]]] = {
    "one_too_many": _one_too_many,
    "wrong_effect_nested": _wrong_effect_nested,
    "crv3_factor": _crv3_factor,
    "without_sigma": _without_sigma,
    "corrected_twice": _corrected_twice,
    "without_hc1": _without_hc1,
    "halved": _halved,
}
"""What a standard error with the bug is multiplied by to be right: one or several possibilities, none if untouched."""


def explain_known(
    reference: EstimationResult,
    candidate: EstimationResult,
    frame: Frame,
    request: FitRequest,
    *,
    skip: frozenset[tuple[str, str]] = frozenset(),
) -> Found:
    """Explain standard errors by a bug on record; empty where no row covers a side's version and makes all meet."""
    pairs = shared(reference, candidate)
    if not pairs or not estimates_agree(reference, candidate) or any((t, "std_error") in skip for t in pairs):
        return {}
    if all(close(a, b, 6.0) for a, b in pairs.values()):
        return {}
    for row, side, other in _rows(reference, candidate, request):
        question = _question(side, frame, request)
        if question is None or not row.replay:
            continue
        for factor in REPLAYS[row.replay](question):
            scale = factor if side is candidate else 1 / factor
            if all(close(a, b * scale, enough()) for a, b in pairs.values()):
                return _explained(row, side, other, pairs, scale, reference)
    return {}


def _rows(
    reference: EstimationResult, candidate: EstimationResult, request: FitRequest
) -> Iterator[tuple[Known, EstimationResult, EstimationResult]]:
    for row in known():
        for side, other in ((candidate, reference), (reference, candidate)):
            if base_id(side.engine) in row.engines and row.covers(side.version) and row.asks(request):
                yield row, side, other


def _explained(
    row: Known,
    side: EstimationResult,
    other: EstimationResult,
    pairs: Mapping[str, tuple[float, float]],
    scale: float,
    reference: EstimationResult,
) -> Found:
    span = f"{row.package} {row.since or 'any version'}" + (f" to before {row.before}" if row.before else " and newer")
    if not row.since and not row.before:
        span = f"every {row.package} so far"
    departure = Departure(
        rule="known.bug",
        side=side.engine,
        opposite=other.engine,
        did=row.what,
        asked=f"{row.slug}: {row.reference}; {span}",
    )
    found: dict[tuple[str, str], tuple[Explanation, ...]] = {}
    for term, (a, b) in pairs.items():
        text = f"SE x {scale:.10g} = {b:.10g} x {scale:.10g} = {b * scale:.10g}"
        made = write((departure,), formula=text, replay=b * scale, reference=a)
        found[term, "std_error"] = (made,)
        own = reference.coef(term)
        if own is not None and own.statistic is not None and own.estimate is not None:
            t = own.estimate / (b * scale)
            found[term, "statistic"] = (write((departure,), formula=text, replay=t, reference=own.statistic),)
    return found


def _question(side: EstimationResult, frame: Frame, request: FitRequest) -> Question | None:
    if request.estimator == "att_gt":
        return Question(
            request=request, counts=Counts(n=side.stats.nobs or 0.0, n_coef=len(side.coefs)), k=0, made=None
        )
    counts = counts_of_request(side, frame, request)
    if counts is None:
        return None
    ssc = request.ssc
    clustered = request.vcov.canonical in ("CRV1", "CRV3")
    k = count_k(counts.n_coef, counts.fe_sizes, k_fixef=ssc.k_fixef, nested=counts.nested, clustered=clustered)
    gaussian = request.estimator == "feglm" and request.options.get("family") == "gaussian"
    linear = request.model_copy(update={"estimator": "feols", "options": {}}) if gaussian else None
    return Question(request=request, counts=counts, k=k, made=None if linear is None else replayer(linear, frame))


def stale_rows(
    reference: EstimationResult, candidate: EstimationResult, frame: Frame, request: FitRequest
) -> tuple[str, ...]:
    """Say which rows no longer apply: the version is covered, the bug would show, and the two sides agree without it.

    Rows that crosscheck's engines refuse or mend are left to the tests.
    """
    pairs = shared(reference, candidate)
    if not pairs or not estimates_agree(reference, candidate):
        return ()
    if not all(close(a, b, 6.0) for a, b in pairs.values()):
        return ()
    found = []
    for row, side, other in _rows(reference, candidate, request):
        if not row.in_run or not row.replay or base_id(other.engine) in row.engines:
            continue
        question = _question(side, frame, request)
        factors = () if question is None else REPLAYS[row.replay](question)
        if factors and all(abs(f - 1) > VISIBLE for f in factors):
            found.append(
                f"{row.slug} no longer applies: {side.engine} {side.version} gives the same as {other.engine} "
                f"without it; end the row's range in known.toml at this version"
            )
    return tuple(dict.fromkeys(found))
