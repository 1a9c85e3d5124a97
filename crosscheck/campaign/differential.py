"""Does every pair of engines agree, or is their difference explained by replay?

The reference of a pair is the engine that stands first in :data:`ORDER`: closed forms before R before Python. Of what
follows from one another only the first is a discrepancy: a standard error that differs moves its p-value too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from crosscheck import engines
from crosscheck.campaign.avowed import excused
from crosscheck.campaign.case import Ask, Case, Checked, Discrepancy, Fit, Identity, PropertyKind, features
from crosscheck.campaign.conditioning import explain_conditioning
from crosscheck.campaign.covariances import compare_covariances
from crosscheck.campaign.laws import explain_laws
from crosscheck.campaign.reexpressed import explain_basis
from crosscheck.campaign.vectors import compare_vectors, without_rows
from crosscheck.compare import compare
from crosscheck.errors import CrosscheckError
from crosscheck.explain import explain_column
from crosscheck.explain.joint import explain_joint
from crosscheck.explain.model import Explanation
from crosscheck.frame import Frame
from crosscheck.judging import LEGEND, Cell, Context
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest
from crosscheck.verdict import AGREE, EXPLAINED, Severity

ORDER = (
    "oracle",
    "r.fixest",
    "r.did",
    "r.lm",
    "r.plm",
    "r.clubsandwich",
    "designs",
    "r.designs",
    "r.matchit",
    "statsmodels",
)
CHAIN = ("nobs", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")
"""Each follows from those before it."""
UPSTREAM = ("nobs", "terms", "estimate")
"""Where one of these differs the statistics of the fit say nothing of their own."""
DIFFERENT = ("unexplained", "missing_candidate", "missing_reference", "nondeterministic")


def rank(engine: str) -> tuple[int, str]:
    """Return where an engine stands among those it is compared with."""
    return (ORDER.index(engine) if engine in ORDER else len(ORDER), engine)


class EnginesAgree:
    """Every pair of engines that takes a request gives the same numbers, or a replayed rule says why not."""

    id = "engines_agree"
    kind: PropertyKind = "differential"
    title = "Any two engines give the same numbers, or a replayed rule says why not."

    def applies(self, case: Case) -> str:
        """Return an empty string where two engines take the request."""
        willing = supporting(case)
        return "" if len(willing) > 1 else f"{len(willing)} of the engines takes this request"

    def asks(self, case: Case) -> Sequence[Ask]:
        """Return one fit for each engine that takes the request."""
        return tuple(Ask(engine=e, request=case.request, frame=case.frame) for e in supporting(case))

    def check(self, case: Case, fit: Fit) -> Checked:
        """Compare each engine with those before it."""
        results = [fit(ask.engine, ask.request, ask.frame) for ask in self.asks(case)]
        results = [r for r in results if r.status != "unsupported" and r.transport != "missing"]
        good = [r for r in results if r.status == "ok"]
        found = list(_one_sided(good, results, case))
        explained: Counter[str] = Counter()
        compared = 0
        blamed: set[tuple[str, str]] = set()
        for reference, candidate in combinations(good, 2):
            cells = pair_cells(reference, candidate, case.request, case.frame, fit)
            compared += sum(c.verdict in (*AGREE, *EXPLAINED, *DIFFERENT) for c in cells)
            explained.update(_rule(c) for c in cells if c.verdict in EXPLAINED)
            for one in primary(cells, reference, candidate, case.request):
                quantity = one.identity.quantity
                if (reference.engine, quantity) not in blamed and (candidate.engine, quantity) not in blamed:
                    found.append(one)
                    blamed.add((candidate.engine, quantity))
        reason = "" if compared or found else _why_nothing(results)
        return Checked(compared=compared, discrepancies=tuple(found), explained=dict(explained), reason=reason)


def supporting(case: Case) -> tuple[str, ...]:
    """Return the engines of a case that take its request, references first."""
    return tuple(sorted((e for e in case.engines if engines.get(e).supports(case.request)), key=rank))


def _why_nothing(results: Sequence[EstimationResult]) -> str:
    bad = next((r for r in results if r.status != "ok"), None)
    return f"{bad.engine}: {bad.reason}"[:200] if bad is not None else "fewer than two engines answered"


def _rule(cell: Cell) -> str:
    return cell.explanations[0].rule if cell.explanations else cell.verdict


def _one_sided(
    good: Sequence[EstimationResult], results: Sequence[EstimationResult], case: Case
) -> Iterator[Discrepancy]:
    """Yield an error of one engine where another gives numbers."""
    witness = next((r for r in good if _says_a_number(r)), None)
    for bad in results:
        if bad.status == "ok" or witness is None:
            continue
        yield Discrepancy(
            identity=Identity(
                rule=EnginesAgree.id,
                engine=bad.engine,
                version=bad.version,
                against=witness.engine,
                quantity="status",
                features=features(case.request),
            ),
            value=bad.reason[:300],
            other="ok",
            says=f"{bad.engine} fails where {witness.engine} gives {len(witness.coefs)} coefficients: {bad.reason}"[
                :400
            ],
            severity="structural",
        )


def _says_a_number(result: EstimationResult) -> bool:
    """Say whether a result has an estimate: terms that are all missing are no better than an error."""
    values = [r.estimate for r in result.coefs] or [e.value for e in result.extras]
    return any(v is not None and math.isfinite(v) for v in values)


def context_of(request: FitRequest) -> Context:
    """Return the place of a comparison that belongs to no study."""
    return Context(
        study="campaign",
        table="",
        column="",
        legend=LEGEND,
        decimals={},
        tolerances={},
        conf_level=request.conf_level,
        absorbs="|" in request.formula,
    )


def pair_cells(
    reference: EstimationResult, candidate: EstimationResult, request: FitRequest, frame: Frame, fit: Fit
) -> list[Cell]:
    """Compare two results and explain what differs, by the same rules as a study and by those for odd data."""
    cells = _cells(reference, candidate, request, frame, fit)

    def again(asked: FitRequest, moved: Frame) -> Sequence[Cell]:
        a, b = (fit(side.engine, asked, moved) for side in (reference, candidate))
        if a.status != "ok" or b.status != "ok":
            return ()
        return _cells(a, b, asked, moved, fit)

    return explain_basis(cells, request, frame, again)


def _cells(
    reference: EstimationResult, candidate: EstimationResult, request: FitRequest, frame: Frame, fit: Fit
) -> list[Cell]:
    context = context_of(request)
    cells = [
        *compare(without_rows(reference), without_rows(candidate), context),
        *compare_vectors(reference, candidate, context),
    ]
    iterated = request.estimator in ("fepois", "feglm")
    cells += compare_covariances(reference, candidate, cells, context, iterated=iterated)
    if not any(c.verdict in DIFFERENT and c.severity != "none" for c in cells):
        return cells
    reasons: Mapping[tuple[str, str], Sequence[Explanation]] = {}
    try:
        reasons = explain_column(reference, candidate, frame, request)
    except CrosscheckError:
        reasons = {}
    out = []
    for cell in cells:
        if cell.verdict == "unexplained":
            why = reasons.get((cell.term, cell.quantity), ()) or explain_joint(
                reference, candidate, cell.term, cell.quantity
            )
            if why and excused(why, reference, candidate, request):
                cell = cell.explained(why[0].verdict, why)  # noqa: PLW2901
            elif why:  # a cause, and no excuse
                cell = replace(cell, explanations=tuple(why))  # noqa: PLW2901
        out.append(cell)
    out = explain_laws(out, reference, candidate, request, frame)
    if any(c.verdict in DIFFERENT and c.severity != "none" for c in out):
        out = explain_conditioning(out, reference, candidate, request, frame, fit)
        out = explain_laws(out, reference, candidate, request, frame)  # of a standard error that is explained by now
    return out


def primary(
    cells: Sequence[Cell], reference: EstimationResult, candidate: EstimationResult, request: FitRequest
) -> Iterator[Discrepancy]:
    """Yield the discrepancies of a pair, one for each quantity, without those that follow from another."""
    bad = [c for c in cells if c.verdict in DIFFERENT and c.severity != "none"]
    by_quantity: dict[str, list[Cell]] = {}
    for cell in bad:
        by_quantity.setdefault(_quantity(cell), []).append(cell)
    first = next((q for q in ("nobs", "terms", *CHAIN[1:]) if q in by_quantity), None)
    upstream = first in UPSTREAM
    for quantity, rows in by_quantity.items():
        if quantity in (*CHAIN, "terms"):
            if quantity != first:
                continue
        elif upstream:
            continue
        worst = max(rows, key=_distance)
        yield Discrepancy(
            identity=Identity(
                rule=EnginesAgree.id,
                engine=candidate.engine,
                version=candidate.version,
                against=reference.engine,
                quantity=quantity,
                features=features(request),
            ),
            term=worst.term,
            value=worst.candidate_value,
            other=worst.reference_value,
            says=_sentence(worst, quantity),
            severity=_worst(rows),
        )


def _quantity(cell: Cell) -> str:
    missing = cell.verdict in ("missing_candidate", "missing_reference")
    return "terms" if missing and cell.quantity == "estimate" and "NaN" not in cell.reason else cell.quantity


def _distance(cell: Cell) -> float:
    """How far apart, on a scale on which a missing number is farthest."""
    if cell.digits is None:
        return float("inf")
    return -cell.digits


def _worst(cells: Sequence[Cell]) -> Severity:
    order: tuple[Severity, ...] = ("structural", "decision", "printed", "cosmetic", "none")
    return min((c.severity for c in cells), key=order.index)


def _sentence(cell: Cell, quantity: str) -> str:
    what = f"the {quantity} of {cell.term}" if cell.term else quantity
    if cell.reason and quantity == "terms":
        return f"{cell.reason}: {cell.term}"
    digits = "" if cell.digits is None else f" ({cell.digits:.1f} digits)"
    cause = f"; {cell.explanations[0].title}" if cell.explanations else ""
    return f"{what}: {cell.candidate} {cell.candidate_value}, {cell.reference} {cell.reference_value}{digits}{cause}"
