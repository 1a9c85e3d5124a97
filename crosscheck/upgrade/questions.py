"""What are both sides asked, and what else is known of each question?

A question is a column of a study or a case of the sentinel set. A package that has a thin worker is asked as its users
ask it (``case``); another engine, and a column that no user's call expresses (a placebo test, a matched sample), is
asked through crosscheck's own engine, by the same request that witnesses get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from crosscheck.columns import context_of
from crosscheck.errors import StudyError
from crosscheck.frame import Frame
from crosscheck.judging import LEGEND, Context
from crosscheck.published import PublishedNumber
from crosscheck.results import EstimationResult
from crosscheck.spec import FitRequest
from crosscheck.study import ColumnSpec, Study
from crosscheck.truth import KnownTruth
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.model import SENTINEL

OLD, NEW = "old", "new"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """One estimation that both sides are asked.

    Attributes
    ----------
    id : str
        ``study/table/column``, or the id of a case of the sentinel set.
    study, table, column, title : str
    function : str
        What is called, such as ``feols``.
    frame : Frame
        The rows, in the names that ``request`` uses.
    request : FitRequest or None
        The same question for witnesses.
    case : Case or None
        The call of a package's user, where there is one.
    context : Context
    printed, truths
        What the table prints, and what the panel was made with.
    joint, keep : tuple of str
        Joint tests that are added; the coefficients that are shown, empty for all.
    recorded : mapping of str to EstimationResult
        What witnesses said when they were recorded, by engine id.
    refusal : str
        Why nobody can be asked; empty where somebody can.
    topics : tuple of str
    """

    id: str
    study: str
    table: str
    column: str
    title: str
    function: str
    frame: Frame
    request: FitRequest | None
    case: Case | None
    context: Context
    printed: tuple[PublishedNumber, ...] = ()
    truths: tuple[KnownTruth, ...] = ()
    joint: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    recorded: Mapping[str, EstimationResult] = field(default_factory=dict)
    refusal: str = ""
    topics: tuple[str, ...] = ()
    spec: ColumnSpec | None = None

    @property
    def sentinel(self) -> bool:
        """Whether it is of the sentinel set."""
        return self.study == SENTINEL


def study_questions(study: Study, cases: Mapping[tuple[str, str], Case | str], only: Sequence[str]) -> list[Question]:
    """Return one question for each estimated column of a study.

    Parameters
    ----------
    study : Study
    cases : mapping of (table, column) to Case or str
        The calls of the columns that a user's call expresses, and why others have none.
    only : sequence of str
        Tables; empty for all.

    Raises
    ------
    StudyError
        Where no column is estimated.
    """
    columns = [c for c in study.columns if c.estimated]
    if not columns:
        raise StudyError("the study estimates nothing, so no version changes it", where=str(study.file))
    titles = {t.id: t.title for t in study.tables}
    questions = []
    for column in columns:
        if only and column.table not in only:
            continue
        made = cases.get((column.table, column.id))
        case = made if isinstance(made, Case) else None
        printed = study.printed(column)
        questions.append(
            Question(
                id=f"{study.id}/{column.table}/{column.id}",
                study=study.id,
                table=column.table,
                column=column.id,
                title=column.title or titles[column.table],
                function=case.call.function if case is not None else column.request.estimator,
                frame=study.sample(column),
                request=column.request,
                case=case,
                context=context_of(study, column, OLD, NEW),
                printed=printed,
                truths=study.truth(column),
                joint=tuple(dict.fromkeys((*column.joint, *(p.term for p in printed)))),
                keep=tuple(column.keep),
                refusal=made if isinstance(made, str) else "",
                spec=column,
            )
        )
    return questions


def sentinel_question(case: Case, recorded: Mapping[str, EstimationResult]) -> Question:
    """Return the question of a case of the sentinel set, with what was recorded of it."""
    table, _, column = case.id.removeprefix(f"{SENTINEL}/").rpartition("/")
    table = table or column
    truths = tuple(
        KnownTruth(table=table, column=column, term=term, quantity="estimate", value=value, line=0)
        for term, value in case.truth.items()
    )
    return Question(
        id=case.id,
        study=SENTINEL,
        table=table,
        column=column,
        title=case.title,
        function=case.call.function,
        frame=case.witness_frame or case.frame,
        request=case.request,
        case=case,
        context=Context(
            study=SENTINEL, table=table, column=column, legend=LEGEND, decimals={}, tolerances={},
            conf_level=case.request.conf_level if case.request is not None else 0.95,
            absorbs="|" in case.call.formula,
        ),
        truths=truths,
        recorded=recorded,
        topics=case.topics,
    )  # fmt: skip


def without_call(question: Question) -> Question:
    """Return a question that is asked by its request alone."""
    return replace(question, case=None)
