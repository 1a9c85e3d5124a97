"""What changed between two sides, grouped by its cause, most severe first?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from crosscheck.compare import compare
from crosscheck.explain import Explanation
from crosscheck.explain.api import apply
from crosscheck.judging import Cell
from crosscheck.report.model import DroppedRow
from crosscheck.report.model import Explanation as Shown
from crosscheck.results import EstimationResult
from crosscheck.upgrade.dependencies import DEPENDENCY_RULE
from crosscheck.upgrade.fits import Named, fit_changes, merged_changes, warning_changes
from crosscheck.upgrade.follows import with_followers
from crosscheck.upgrade.judge import count, heard, precise
from crosscheck.upgrade.measure import measure
from crosscheck.upgrade.model import (
    PRIMARY,
    Cause,
    Change,
    Kind,
    Moved,
    Precision,
    StudyChanges,
    Witness,
    WitnessRow,
)
from crosscheck.upgrade.pairs import Pair, shape
from crosscheck.upgrade.phrases import titled
from crosscheck.upgrade.questions import Question
from crosscheck.upgrade.repeats import SAME_SEEDS, repeat_changes
from crosscheck.upgrade.sides import NotRepeatable
from crosscheck.upgrade.standings import gravity, stood
from crosscheck.verdict import AGREE, SEVERITIES, Severity
from crosscheck.wald import with_joint_tests

Key = tuple[str, str]
Heard = Mapping[str, Mapping[str, tuple[str, EstimationResult]]]
Reasons = Mapping[str, Mapping[Key, tuple[Explanation, ...]]]


def pair(question: Question, old: EstimationResult, new: EstimationResult) -> Pair:
    """Compare the answers to a question."""
    a, b = (with_joint_tests(_kept(r, question.keep), question.joint) for r in (old, new))
    if a.engine == b.engine:
        a = a.with_(engine=f"{a.engine} before")
    return Pair(
        question=question, old=a, new=b, measured=measure(a, b, question.context, printed=not question.sentinel)
    )


def _kept(result: EstimationResult, keep: Sequence[str]) -> EstimationResult:
    if not keep:
        return result
    terms = result.vcov_terms or tuple(row.term for row in result.coefs)
    coefs = tuple(row for row in result.coefs if row.term in keep)
    return result.with_(coefs=coefs, vcov_terms=terms if result.vcov else ())


def study_changes(
    study: str,
    title: str,
    pairs: Sequence[Pair],
    reasons: Sequence[Reasons],
    said: Heard,
    witnesses: Sequence[WitnessRow],
    unrepeatable: Mapping[str, tuple[Sequence[NotRepeatable], Sequence[NotRepeatable]]],
    seen: bool = True,
) -> StudyChanges:
    """Fold the answers of two sides on one study into what changed.

    Parameters
    ----------
    study, title : str
    pairs : sequence of Pair
        Of the study's questions.
    reasons : sequence of mappings
        Replayed causes by question and number; earlier ones go first.
    said : mapping
        Question to source to (name, answer).
    witnesses : sequence of WitnessRow
    unrepeatable : mapping
        Question to what the old and the new side do not repeat.
    seen : bool
        Whether precision beside witnesses is worked out.
    """
    compared = agree = exact = drifted = 0
    digits: dict[str, float] = {}
    numbers: list[tuple[Pair, Moved]] = []
    others: list[Named] = []
    near: dict[str, list[tuple[Cell, Cell]]] = {}
    for p in pairs:
        q = p.question
        unsteady = _unsteady(unrepeatable.get(q.id, ((), ())))
        cells = with_followers([_explained(c, q.id, reasons) for c in p.measured.cells], p.old, p.new)
        compared += sum(_compared(c) for c in cells)
        agree += sum(c.verdict in AGREE for c in cells)
        exact += sum(c.verdict == "exact" for c in cells)
        drifted += sum(size == "drift" for size, _ in p.measured.sizes.values())
        for c in cells:
            d = c.digits
            if c.verdict in AGREE and d is not None and c.quantity in ("estimate", "std_error"):
                if c.diff_in_se:
                    d = min(15.0, max(d, -math.log10(c.diff_in_se)))
                digits[c.quantity] = min(digits.get(c.quantity, 15.0), d)
        left = [
            (raw, c)
            for raw, c in zip(p.measured.cells, cells, strict=True)
            if c.term != "*" and c.verdict not in AGREE and not _both_silent(raw) and not _shaken(raw, p, unsteady)
        ]
        mine = said.get(q.id, {})
        speaks: Mapping[Key, tuple[Witness, ...]] = {}
        if left:
            speaks = heard(p.old, p.new, q.context, mine, q.printed, q.truths)
        numbers += [(p, _moved(raw, c, p, speaks.get((c.term, c.quantity), ()))) for raw, c in left]
        if seen and not q.sentinel and p.old.status == p.new.status == "ok":
            _note_precision(near, p, mine)
        others += fit_changes(p, mine)
        others += warning_changes(p)
    changes = [*_grouped(study, numbers), *merged_changes(study, others), *repeat_changes(study, pairs, unrepeatable)]
    changes.sort(key=gravity)
    status = [(p.old.status, p.new.status) for p in pairs]
    return StudyChanges(
        study=study,
        title=title,
        columns=len(pairs),
        fitted=sum(s == ("ok", "ok") for s in status),
        unsupported=sum(s == ("unsupported", "unsupported") for s in status),
        compared=compared,
        agree=agree,
        exact=exact,
        drifted=drifted,
        digits_estimate=digits.get("estimate"),
        digits_std_error=digits.get("std_error"),
        witnesses=tuple(witnesses),
        precision=tuple(Precision(witness=w, quantity=q, numbers=n, old=a, new=b) for w, q, n, a, b in precise(near)),
        changes=tuple(changes),
        refused=tuple(
            (p.question.id, p.new.reason) for p in pairs if (p.old.status, p.new.status) == ("unsupported",) * 2
        ),
    )


def _compared(c: Cell) -> bool:
    return c.verdict in AGREE or c.verdict in (
        "convention",
        "sample",
        "convergence",
        "stochastic",
        "known",
        "unexplained",
    )


def _explained(cell: Cell, question: str, reasons: Sequence[Reasons]) -> Cell:
    for known in reasons:
        cell = apply(cell, known.get(question, {}).get((cell.term, cell.quantity), ()))
    return cell


def _both_silent(c: Cell) -> bool:
    """Say whether neither side gives a number; a change within a block is told by its reason."""
    if c.verdict in ("missing_candidate", "missing_reference") and c.severity == "structural":
        return False
    return all(v is None or (isinstance(v, float) and math.isnan(v)) for v in (c.reference_value, c.candidate_value))


def _unsteady(found: tuple[Sequence[NotRepeatable], Sequence[NotRepeatable]]) -> dict[Key, float]:
    """Return how far hash seeds move a number, by term and quantity; the status of a whole answer has empty words."""
    out: dict[Key, float] = {}
    for side in found:
        for n in side:
            out[n.term, n.quantity] = max(out.get((n.term, n.quantity), 0.0), n.spread)
    return out


def _shaken(cell: Cell, p: Pair, unsteady: Mapping[Key, float]) -> bool:
    """Say whether hash seeds alone move a number as far as the versions are apart."""
    spread = max(unsteady.get((cell.term, cell.quantity), 0.0), unsteady.get(("", ""), 0.0))
    if not spread:
        return False
    relative = p.measured.sizes.get((cell.term, cell.quantity), ("", None))[1]
    return relative is None or math.isinf(spread) or relative <= SAME_SEEDS * spread


def _moved(raw: Cell, c: Cell, p: Pair, said: Sequence[Witness]) -> Moved:
    """Return a number that differs; ``raw`` is its cell before causes were named."""
    size, relative = p.measured.sizes.get((c.term, c.quantity), ("", None))
    kind = _kind(raw)
    cause: Cause = "unexplained" if kind == "number" else ""
    if c.explanations:
        cause = c.verdict if c.verdict in ("sample", "convergence", "stochastic", "known") else "convention"
        cause = "dependency" if c.explanations[0].rule == DEPENDENCY_RULE else cause
    return Moved(
        kind=kind,
        question=p.question.id,
        table=p.question.table,
        column=p.question.column,
        term=c.term,
        quantity=c.quantity,
        old=c.reference_value,
        new=c.candidate_value,
        digits=c.digits,
        diff_in_se=c.diff_in_se,
        relative=relative,
        size=size,
        severity="cosmetic" if raw.severity == "none" else raw.severity,
        cause=cause,
        explanations=tuple(_shown(e) for e in c.explanations),
        witnesses=tuple(said),
        reason=raw.reason,
    )


def _shown(e: Explanation) -> Shown:
    return Shown(
        rule=e.rule,
        title=e.title,
        formula=e.formula,
        replay=e.replay,
        digits_after=e.digits_after,
        remedy=tuple(dict(e.remedy).items()),
        references=tuple(e.references),
        dropped=tuple(DroppedRow(row=d.row, side=d.side, reason=d.reason, what=d.what) for d in e.dropped),
    )


def _kind(c: Cell) -> Kind:
    if c.verdict in ("missing_candidate", "missing_reference"):
        return "term gone" if c.verdict == "missing_candidate" else "term new"
    if c.verdict == "unsupported":
        return "report gone" if c.candidate_value is None else "report new"
    return "number"


CLASSES = {
    "estimate": "coefficients",
    "std_error": "standard errors",
    "statistic": "test statistics",
    "p_value": "p-values",
    "conf_low": "confidence bounds",
    "conf_high": "confidence bounds",
    "df": "degrees of freedom",
    "df_resid": "degrees of freedom",
    "nobs": "numbers of observations",
    "r2": "R2",
    "adj_r2": "R2",
    "r2_within": "R2",
    "fitted": "fitted values",
    "residuals": "residuals",
    "prediction": "predictions",
    "covariance": "covariances",
}
FOLLOW = ("test statistics", "p-values", "confidence bounds", "covariances")


def quantity_class(quantity: str) -> str:
    """Return the class of a quantity, in which a matrix has one row: ``standard errors``, ``fitted values``, ..."""
    return CLASSES.get(quantity, quantity.replace("_", " "))


def _grouped(study: str, numbers: Sequence[tuple[Pair, Moved]]) -> Iterator[Change]:
    """Group numbers that moved, appeared or vanished by their cause."""
    classes: dict[str, set[str]] = {}
    for _, m in numbers:
        if m.kind == "number" and m.size == "break":
            classes.setdefault(m.question, set()).add(quantity_class(m.quantity))
    groups: dict[Hashable, list[tuple[Pair, Moved]]] = {}
    renamed = _renamed(numbers)
    for p, m in numbers:
        kind: Kind = "renamed" if (m.question, m.term) in renamed else m.kind
        key: Hashable
        if kind == "number":
            breaking = frozenset(classes.get(m.question, ())) - frozenset(FOLLOW) or frozenset(
                classes.get(m.question, ())
            )
            why = m.explanations[0].rule + _plain(m.explanations[0].title) if m.explanations else ""
            key = (kind, m.size, m.cause, why, () if why or m.size == "drift" else (p.question.function, breaking))
        elif kind in ("report gone", "report new"):
            key = (kind, m.quantity)
        else:
            key = (kind, m.explanations[0].rule if m.explanations else (p.question.function, _lack(m)))
        groups.setdefault(key, []).append((p, m))
    for key, group in groups.items():
        kind = key[0]  # type: ignore[index]
        yield _number_change(study, kind, group)


def _plain(title: str) -> str:
    return shape(title)


def _lack(m: Moved) -> str:
    return shape(m.reason) if " has no " in m.reason and m.old is None and m.new is None else ""


def _renamed(numbers: Sequence[tuple[Pair, Moved]]) -> set[tuple[str, str]]:
    """Find terms that are gone under one name and there under another, with the same estimate."""
    found: set[tuple[str, str]] = set()
    gone: dict[str, list[Moved]] = {}
    new: dict[str, list[Moved]] = {}
    for _, m in numbers:
        if m.quantity == "estimate" and m.kind in ("term gone", "term new"):
            (gone if m.kind == "term gone" else new).setdefault(m.question, []).append(m)
    for question, lost in gone.items():
        for m in lost:
            for n in new.get(question, ()):
                if _close(m.old, n.new) and (question, n.term) not in found:
                    found |= {(question, m.term), (question, n.term)}
                    break
    return found


def _close(a: object, b: object) -> bool:
    return isinstance(a, float | int) and isinstance(b, float | int) and abs(a - b) <= 1e-8 * max(abs(a), abs(b))


def _number_change(study: str, kind: Kind, group: Sequence[tuple[Pair, Moved]]) -> Change:
    moved = [m for _, m in group]
    moved.sort(key=lambda m: (-SEVERITIES.index(m.severity), m.quantity not in PRIMARY, -(m.relative or 0.0)))
    severity: Severity = max((m.severity for m in moved), key=SEVERITIES.index)
    if kind in ("renamed", "report gone", "report new"):
        severity = "cosmetic"
    lead = next((m for m in moved if m.explanations), None)
    counted = [m for m in moved if m.quantity in PRIMARY] or moved
    supports = () if kind == "renamed" else count((w.name, w.side) for m in counted for w in m.witnesses)
    change = Change(
        kind=kind,
        size=max((m.size for m in moved), key=("", "drift", "break").index),
        cause=moved[0].cause if kind == "number" else (lead.cause if lead is not None else ""),
        severity=severity,
        standing="moved",
        title="",
        study=study,
        places=tuple(dict.fromkeys((m.table, m.column) for m in moved)),
        questions=tuple(dict.fromkeys(m.question for m in moved)),
        functions=tuple(dict.fromkeys(p.question.function for p, _ in group)),
        moved=tuple(moved),
        explanations=lead.explanations[:1] if lead is not None else (),
        supports=supports,
    )
    return _finished(change, group[0][0])


def _finished(change: Change, p: Pair) -> Change:
    return stood(replace(change, title=titled(change, p.old.engine, p.new.engine)))


def _note_precision(
    near: dict[str, list[tuple[Cell, Cell]]], p: Pair, said: Mapping[str, tuple[str, EstimationResult]]
) -> None:
    for name, result in said.values():
        if result.status != "ok":
            continue
        a, b = (
            {(c.term, c.quantity): c for c in compare(result, side.with_(blocks=()), p.question.context)}
            for side in (p.old, p.new)
        )
        near.setdefault(name, []).extend((a[k], b[k]) for k in a if k in b and k[1] in ("estimate", "std_error"))
