"""Why did a number move? A changed default is asked for and must give the old number; so must a convention.

First the newer version is asked with the older one's defaults written out (those that the eras declare). What that does
not bring back goes to :mod:`crosscheck.explain`, which replays conventions, samples and bugs on record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from crosscheck.canon import dumps
from crosscheck.conventions import lre
from crosscheck.explain import Explanation, explain_column
from crosscheck.explain.model import meeting
from crosscheck.report.words import plural
from crosscheck.results import EstimationResult
from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.defaults import Replay
from crosscheck.upgrade.measure import COVARIANCE, Measured, measure
from crosscheck.upgrade.questions import Question
from crosscheck.verdict import AGREE
from crosscheck.wald import with_joint_tests

Key = tuple[str, str]
Ask = Callable[[Sequence[Case]], Mapping[str, EstimationResult]]
Replays = Callable[[Call], Sequence[Replay]]
Moving = tuple[Question, EstimationResult, EstimationResult, Measured]
DEFAULT_RULE = "default"
DIGITS = 7.0
"""Packages at their default tolerances hold seven digits, and a replay cannot meet to more."""
MOST_EXPLAINED = 400
FRUITLESS = 3
"""Questions that moved alike are searched for a convention until so many in a row have none."""


def replay_defaults(
    moved: Sequence[Moving], replays: Replays, ask: Ask, versions: tuple[str, str]
) -> dict[str, dict[Key, tuple[Explanation, ...]]]:
    """Ask the new side for the old side's defaults, and return what that brings back, by question.

    Parameters
    ----------
    moved : sequence of (question, old answer, new answer, what moved)
    replays : callable
        Call to the calls that write out one changed default each, and all of them.
    ask : callable
        Asks the new side.
    versions : (old, new)
    """
    todo: list[tuple[Moving, list[tuple[Replay, Case]]]] = []
    for item in moved:
        case = item[0].case
        if case is not None:
            found = replays(case.call)
            todo.append((item, [(r, variant(case, number, r)) for number, r in enumerate(found)]))
    variants = [case for _, made in todo for _, case in made]
    if not variants:
        return {}
    answers = ask(variants)
    out: dict[str, dict[Key, tuple[Explanation, ...]]] = {}
    for (question, old, _, measured), made in todo:
        mine: dict[Key, tuple[Explanation, ...]] = {}
        for replay, case in made:
            answer = answers.get(case.id)
            if answer is None or answer.status != "ok":
                continue
            back = with_joint_tests(answer.with_(engine=f"{answer.engine} again"), question.joint)
            again = measure(old, back, question.context)
            apart = {(c.term, c.quantity) for c in again.cells if c.verdict not in AGREE}
            met = {
                (c.term, c.quantity): c for c in again.cells if c.verdict in AGREE and (c.term, c.quantity) not in apart
            }
            met |= {
                (c.term, c.quantity): met[pair]
                for c in measured.cells
                for pair in met
                if c.quantity == COVARIANCE == pair[1]  # told by the two terms that are worst, which differ
            }
            for cell in measured.cells:
                key = (cell.term, cell.quantity)
                if cell.verdict not in AGREE and key not in mine and key in met:
                    why = _explanation(replay, cell.reference_value, met[key].candidate_value, versions)
                    mine[key] = (why,)
        if mine:
            out[question.id] = mine
    return out


def replay_guesses(
    moved: Sequence[Moving], guess: Replays, ask: Ask, versions: tuple[str, str]
) -> dict[str, dict[Key, tuple[Explanation, ...]]]:
    """Do the same for defaults that no era says have changed: all at once, and one by one where that gives the number.

    Arguments as in :func:`replay_defaults`; ``guess`` gives the call with all of them last.
    """
    whole = replay_defaults(moved, lambda call: guess(call)[-1:], ask, versions)
    met = [item for item in moved if item[0].id in whole]
    single = replay_defaults(met, lambda call: guess(call)[:-1] or guess(call), ask, versions)
    return {q: {**found, **single.get(q, {})} for q, found in whole.items()}


def variant(case: Case, number: int, replay: Replay) -> Case:
    """Return a case with old defaults written out."""
    return Case(
        id=f"{case.id} | {number}", frame=case.frame, call=replay.call, new_rows=case.new_rows, names=case.names
    )


def _explanation(replay: Replay, old: Any, back: Any, versions: tuple[str, str]) -> Explanation:
    call = replay.call
    said = " and ".join(f"{n} from {dumps(a)} to {dumps(b)}" for n, (a, b) in replay.arguments.items())
    written = ", ".join(f"{n} = {dumps(a)}" for n, (a, _) in replay.arguments.items())
    numbers = isinstance(old, float | int) and isinstance(back, float | int)
    title = f"{call.package} {versions[1]} has another default of {call.function}() than {versions[0]}: {said}"
    if all(after is None for _, after in replay.arguments.values()):
        title = (
            f"{call.package} {versions[1]} has another default of {call.function}() than {versions[0]}, which takes "
            f"{written} where nothing is said (no era lists the change)"
        )
    return Explanation(
        rule=DEFAULT_RULE,
        title=title,
        formula=f"{call.function}(..., {written}) under {versions[1]} gives the number of {versions[0]}",
        replay=float(back) if numbers else None,
        digits_after=lre(float(old), float(back)) if numbers else None,
        remedy={f"{call.package}@{versions[1]}": f"{call.function}(..., {written})"},
        verdict="convention",
        references=(f"crosscheck/upgrade/eras/{call.package}.toml",),
    )


def explain_rest(
    moved: Sequence[Moving],
) -> tuple[dict[str, dict[Key, tuple[Explanation, ...]]], tuple[str, ...]]:
    """Search the conventions, samples and known bugs that separate the two sides, by question.

    Of questions that moved alike (study, function, covariance, quantities) all are searched, until some in a row have
    no cause; the same check always gets the same answer.

    Returns
    -------
    tuple
        The causes, and a sentence on what was not searched, where something was not.
    """
    found: dict[str, dict[Key, tuple[Explanation, ...]]] = {}
    fruitless: Counter[Hashable] = Counter()
    searched, left = 0, 0
    for kind, (question, old, new, _) in _by_kind(moved):
        if question.request is None:
            continue
        if fruitless[kind] >= FRUITLESS or searched >= MOST_EXPLAINED:
            left += 1
            continue
        searched += 1
        with meeting(DIGITS):
            reasons = explain_column(old, new, question.frame, question.request)
        if reasons:
            found[question.id] = dict(reasons)
        fruitless[kind] = 0 if reasons else fruitless[kind] + 1
    asked = sum(question.request is None for question, *_ in moved)
    said = []
    if left:
        said.append(
            f"{plural(left, 'estimation')} that moved {'was' if left == 1 else 'were'} not searched for a convention: "
            f"{FRUITLESS} that moved alike had none, or {MOST_EXPLAINED} were searched"
        )
    if asked:
        said.append(
            f"{plural(asked, 'estimation')} that moved {'is' if asked == 1 else 'are'} written in the words of the "
            "package alone, and only changed defaults were looked for there"
        )
    return found, tuple(f"{text}." for text in said)


def _by_kind(moved: Sequence[Moving]) -> list[tuple[Hashable, Moving]]:
    """Order questions so that one of each kind comes first; those of studies before those of the sentinel set."""
    rank: Counter[Hashable] = Counter()
    order = []
    for index, item in enumerate(moved):
        question, _, _, measured = item
        kinds = tuple(sorted({q for _, q in measured.sizes}))
        vcov = question.request.vcov.canonical if question.request is not None else ""
        key = (question.study, question.function, str(vcov), kinds)
        order.append((question.sentinel, rank[key], index, key, item))
        rank[key] += 1
    return [(key, item) for *_, key, item in sorted(order, key=lambda o: o[:3])]
