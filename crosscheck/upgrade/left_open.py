"""What would a script ask that writes none of the options whose default changed?

A study writes every convention out, so that a changed default moves none of its numbers. A script often does not. Here
an option is left out of a column's call where the column says what the older version did by itself: the older version
then gives the same number, and the newer one that of its own default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.defaults import resolved
from crosscheck.upgrade.eras import changed_defaults
from crosscheck.upgrade.questions import Question


def left_open(call: Call, old: str, new: str) -> tuple[Call, tuple[str, ...]]:
    """Return a call without the options whose changed default it writes, and their names.

    Parameters
    ----------
    call : Call
    old, new : str
        Versions of its package.
    """
    dropped = []
    for place in ("arguments", *call.fit):
        function = call.function if place == "arguments" else f"{call.function}.{place}"
        words = dict(call.arguments if place == "arguments" else call.fit[place])
        for name, (before, _) in changed_defaults(call.package, old, new, function).items():
            if name in words and _same(words[name], resolved(before, call)):
                del words[name]
                dropped.append(name)
        call = call.with_(arguments=words) if place == "arguments" else call.with_(fit={**call.fit, place: words})
    return call, tuple(dropped)


def with_defaults(questions: Sequence[Question], old: str, new: str) -> tuple[list[Question], Mapping[str, int]]:
    """Return questions whose calls of studies leave open what they can, and in how many columns each option is.

    Parameters
    ----------
    questions : sequence of Question
    old, new : str
        Versions of the package.
    """
    counts: dict[str, int] = {}
    out = []
    for question in questions:
        case = question.case
        if case is not None and not question.sentinel:
            call, names = left_open(case.call, old, new)
            out.append(replace(question, case=replace(case, call=call)))
            for name in names:
                counts[name] = counts.get(name, 0) + 1
        else:
            out.append(question)
    return out, counts


def _same(written: object, default: object) -> bool:
    """Say whether a written option is the default; members that the default does not name are the column's own."""
    if isinstance(written, Mapping) and isinstance(default, Mapping):
        return dict(written) == dict(default)
    return written == default
