"""Why do two results differ? The answer to one call: ``crosscheck.explain(a, b)``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosscheck.compare import compare
from crosscheck.errors import UsageError
from crosscheck.explain.adopt import as_frame, as_result
from crosscheck.explain.column import Again, explain_column
from crosscheck.explain.model import ENOUGH_DIGITS, meeting
from crosscheck.explain.stated import explain_stated
from crosscheck.formula import emit, parse
from crosscheck.judging import LEGEND as STARS
from crosscheck.judging import Cell, Context
from crosscheck.notes import Subject, footnote, many_of, note
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest, SscSpec, VcovSpec, WeightsSpec
from crosscheck.verdict import AGREE

if TYPE_CHECKING:
    from crosscheck.explain.model import Explanation
    from crosscheck.frame import Frame

LOOSE_DIGITS = 7.0
APPLIES = ("unexplained", "missing_reference", "missing_candidate")
FOLLOWS = ("statistic", "p_value", "conf_low", "conf_high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What two results differ in, and why.

    Attributes
    ----------
    reference, candidate : str
        Engine ids.
    cells : tuple of Cell
        One for each quantity that differs, with its explanations; ``verdict`` is ``unexplained`` where there is none.
    compared : int
        Quantities compared.
    """

    reference: str
    candidate: str
    cells: tuple[Cell, ...]
    compared: int

    def __iter__(self) -> Iterator[Cell]:
        """Iterate over the quantities that differ."""
        return iter(self.cells)

    def __len__(self) -> int:
        """Count the quantities that differ."""
        return len(self.cells)

    def of(self, term: str, quantity: str) -> tuple[Explanation, ...]:
        """Return the explanations of one quantity; empty where it agrees or nothing explains it."""
        return next((c.explanations for c in self.cells if (c.term, c.quantity) == (term, quantity)), ())

    @property
    def unexplained(self) -> tuple[Cell, ...]:
        """Those that no rule explains."""
        return tuple(c for c in self.cells if not c.explanations)

    def __str__(self) -> str:
        """Write a note to a referee."""
        return text_of_cells(self.cells, self.compared)

    def latex(self) -> str:
        r"""Write the causes as footnotes, one ``\footnote{...}`` a line."""
        return "\n".join(
            footnote(subject, explained[0], explained[0].remedy) for subject, explained in notes_of(self.cells)
        )


def explain(
    a: EstimationResult | Any,
    b: EstimationResult | Any,
    *,
    data: Frame | Any = None,
    formula: str | None = None,
    vcov: str | VcovSpec = "iid",
    cluster: str | Sequence[str] = (),
    weights: str | WeightsSpec | None = None,
    ssc: SscSpec | Mapping[str, Any] | None = None,
    unit: str | None = None,
    time: str | None = None,
    estimator: str = "feols",
    options: Mapping[str, Any] | None = None,
    request: FitRequest | None = None,
    terms: Sequence[str] | None = None,
    digits: float | None = None,
    again: Again | None = None,
) -> Differences:
    """Say why two results of the same regression differ, and prove it by replay.

    Parameters
    ----------
    a, b : EstimationResult
        Reference and candidate. Fitted models of pyfixest, linearmodels and statsmodels are read as well.
    data : Frame or pandas.DataFrame, optional
        The sample that both were given. Without it only what the two results state of themselves can be used: a
        factor common to all standard errors, and the distribution.
    formula : str, optional
        In fixest's syntax, such as ``y ~ x | id + year``; what follows says what both were asked for.
    vcov, cluster : str
        ``iid``, ``HC1``, ``CRV1`` ..., and one or two columns.
    weights : str, optional
        Column of analytic weights.
    ssc : SscSpec or mapping, optional
        Small-sample words; fixest's defaults otherwise.
    unit, time : str, optional
        The panel's identifiers.
    estimator : str
    options : mapping, optional
    request : FitRequest, optional
        Instead of all of these.
    terms : sequence of str, optional
        Only these coefficients, such as those that a regression on dummies shares with one that absorbs its effects.
    digits : float, optional
        To which a replay must meet. Default: 9; 7 where a fitted model of a package is given, since packages sweep out
        fixed effects at tolerances that leave a standard error seven to ten digits.
    again : callable, optional
        Fits a request with an engine (id, request) once more; that is how convergence is replayed.

    Returns
    -------
    Differences
        Printed, it is a note to a referee; ``latex()`` gives footnotes.

    Raises
    ------
    UsageError
        Where the question is incomplete.

    Examples
    --------
    >>> why = crosscheck.explain(a, b, data=panel, formula="y ~ x | id", vcov="CRV1", cluster="id")  # doctest: +SKIP
    >>> print(why)  # doctest: +SKIP
    """
    one, two = as_result(a), as_result(b)
    if digits is None:
        fitted = any(not isinstance(r, EstimationResult | Mapping) for r in (a, b))
        digits = LOOSE_DIGITS if fitted else ENOUGH_DIGITS
    if one.engine == two.engine:
        one, two = one.with_(engine=f"{one.engine} (first)"), two.with_(engine=f"{two.engine} (second)")
    if terms is not None:
        one, two = (_only(side, terms) for side in (one, two))
    frame = None if data is None else as_frame(data)
    if request is None and formula is not None:
        names = (cluster,) if isinstance(cluster, str) else tuple(cluster)
        request = FitRequest(
            estimator=estimator,  # type: ignore[arg-type]
            formula=emit(parse(formula, columns=None if frame is None else frame.names)),
            unit=unit,
            time=time,
            vcov=vcov if isinstance(vcov, VcovSpec) else VcovSpec(type=vcov, cluster=names),  # type: ignore[arg-type]
            ssc=ssc if isinstance(ssc, SscSpec) else SscSpec(**dict(ssc or {})),
            weights=WeightsSpec(column=weights) if isinstance(weights, str) else weights,
            options=dict(options or {}),
        )
    if frame is not None and request is None:
        raise UsageError("explain() was given data but not the question", hint="name formula=, or request=")
    level = 0.95 if request is None else request.conf_level
    context = Context(study="", table="", column="", legend=STARS, decimals={}, tolerances={}, conf_level=level)
    cells = compare(one, two, context)
    with meeting(digits):
        if all(c.verdict in AGREE or c.verdict not in APPLIES for c in cells):
            found = {}
        elif frame is None or request is None:
            found = explain_stated(one, two, level)
        else:
            found = explain_column(one, two, frame, request, again)
    listed = [apply(c, found.get((c.term, c.quantity), ())) for c in cells]
    differing = tuple(c for c in listed if c.verdict not in AGREE and c.verdict != "unsupported")
    return Differences(reference=one.engine, candidate=two.engine, cells=differing, compared=len(listed))


def _only(result: EstimationResult, terms: Sequence[str]) -> EstimationResult:
    lacking = [t for t in terms if result.coef(t) is None]
    if lacking:
        known = ", ".join(r.term for r in result.coefs)
        raise UsageError(f"{result.engine} has no term {lacking[0]!r}", allowed=known)
    rows = tuple(r for r in result.coefs if r.term in terms)
    return result.with_(coefs=rows, vcov=(), vcov_terms=(), extras=())


def apply(cell: Cell, explanations: Sequence[Explanation]) -> Cell:
    """Return the cell with its cause named, where it has none yet and there is one."""
    if cell.verdict not in APPLIES or cell.term == "*" or not explanations:
        return cell
    return cell.explained(explanations[0].verdict, explanations)


def notes_of(cells: Sequence[Cell]) -> Iterator[tuple[Subject, tuple[Explanation, ...]]]:
    """Yield each cause once, with the numbers that it is about; what follows from it is counted to it."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: c.quantity in FOLLOWS):
        if cell.explanations:
            key = (cell.reference, cell.candidate, cell.explanations[0].title.partition("; ")[0])
            groups.setdefault(key, []).append(cell)
    for group in groups.values():
        yield _subject(group), group[0].explanations


def _subject(group: Sequence[Cell]) -> Subject:
    first = group[0]
    same = [c for c in group if c.quantity == first.quantity]
    others = dict.fromkeys(many_of(c.quantity) for c in group if c.quantity != first.quantity)
    return Subject(
        reference=first.reference,
        candidate=first.candidate,
        quantity=first.quantity,
        terms=tuple(c.term for c in same),
        reference_value=first.reference_value,
        candidate_value=first.candidate_value,
        others=tuple(others),
    )


def text_of_cells(cells: Sequence[Cell], compared: int) -> str:
    """Write every cause as a note to a referee, and what has none as a line."""
    if not cells:
        return f"all {compared} comparisons agree"
    blocks = [f"{len(cells)} of {compared} comparisons differ"]
    for subject, explained in notes_of(cells):
        lines = [note(subject, explained[0], explained[0].remedy, ambiguous=len(explained) - 1)]
        lines += [f"  or: {other.title}. {other.formula}" for other in explained[1:]]
        blocks.append("\n".join(lines))
    for cell in cells:
        if not cell.explanations:
            what = f"{cell.quantity} of {cell.term}" if cell.term else cell.quantity
            values = f"{cell.reference} {cell.reference_value}, {cell.candidate} {cell.candidate_value}"
            why = cell.reason or "no convention closes the gap"
            blocks.append(f"{what}: {values}\n  {cell.verdict}: {why}")
    return "\n\n".join(blocks)


__all__ = ["Differences", "apply", "explain", "notes_of", "text_of_cells"]
