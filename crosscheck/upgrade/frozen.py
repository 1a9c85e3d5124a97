"""How are the numbers of a paper kept for another year?

A frozen file holds what each package said to each column, with the hashes of the data, of the question and of the call,
the versions of everything below, and what the witnesses said. A seal over the whole file shows an edit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crosscheck
from crosscheck.canon import digest, dumps, write_atomic
from crosscheck.errors import DataError, UsageError
from crosscheck.results import EstimationResult, failed, result_from_json
from crosscheck.runner import stamp, utc_now
from crosscheck.study import Study
from crosscheck.upgrade.cases import Case
from crosscheck.upgrade.model import SideRow
from crosscheck.upgrade.questions import Question
from crosscheck.upgrade.sides import NotRepeatable
from crosscheck.upgrade.sources import NO_PROGRESS, Answers, Progress
from crosscheck.upgrade.witnesses import Heard

FROZEN_SCHEMA = 1
KIND = "crosscheck frozen results"
MOST_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A frozen file as read from disk."""

    path: Path
    frozen_on: str
    studies: tuple[Mapping[str, Any], ...]
    questions: Mapping[str, Mapping[str, Any]]
    sides: tuple[Mapping[str, Any], ...]
    heard: Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenSource:
    """A side that was frozen: it needs no environment any more."""

    side: SideRow
    results: Mapping[str, EstimationResult]
    unrepeatable: tuple[NotRepeatable, ...] = ()

    @property
    def row(self) -> SideRow:
        """What it is."""
        return self.side

    def answer(self, questions: Sequence[Question], timeout: float, progress: Progress = NO_PROGRESS) -> Answers:
        """Return what was frozen; what was not is unsupported."""
        del timeout
        nothing = failed(self.side.id, "it is not in the frozen file", status="unsupported")
        results = {q.id: self.results.get(q.id, nothing) for q in questions}
        progress(len(questions), len(questions))
        return Answers(row=self.side, results=results, unrepeatable=self.unrepeatable)

    def again(self, cases: Sequence[Case], timeout: float) -> Mapping[str, EstimationResult]:
        """Return nothing: a file cannot be asked."""
        del cases, timeout
        return {}


def write_frozen(
    path: Path,
    studies: Sequence[Study],
    questions: Sequence[Question],
    answers: Sequence[Answers],
    heard: Heard,
    command: str,
) -> None:
    """Write a frozen file, atomically."""
    body = {
        "schema": FROZEN_SCHEMA,
        "kind": KIND,
        "crosscheck": crosscheck.__version__,
        "command": command,
        "frozen_on": stamp(utc_now()),
        "studies": [_study(s, path) for s in studies],
        "questions": {q.id: _question(q) for q in questions},
        "sides": [_side(a) for a in answers],
        "witnesses": {
            q: {source: {"name": name, "result": result.to_json()} for source, (name, result) in said.items()}
            for q, said in heard.items()
        },
    }
    write_atomic(path, dumps({**body, "seal": seal_of(body)}, indent=1) + "\n")


def seal_of(body: Mapping[str, Any]) -> str:
    """Return the hash over everything but the seal, as it is read back."""
    return digest(json.loads(dumps({k: v for k, v in body.items() if k != "seal"})))


def _study(study: Study, path: Path) -> dict[str, Any]:
    import os

    folder = os.path.relpath(study.folder.resolve(), path.resolve().parent)
    return {
        "id": study.id,
        "title": study.title,
        "folder": Path(folder).as_posix(),
        "toml_sha256": study.toml_sha256,
        "published_sha256": study.published_sha256,
    }


def _question(q: Question) -> dict[str, Any]:
    return {
        "study": q.study,
        "table": q.table,
        "column": q.column,
        "function": q.function,
        "data_hash": q.frame.key,
        "request": q.request.to_json() if q.request is not None else None,
        "request_hash": q.request.hash if q.request is not None else None,
        "call": q.case.call.to_json() if q.case is not None else None,
        "call_hash": q.case.call.hash if q.case is not None else None,
    }


def _side(a: Answers) -> dict[str, Any]:
    return {
        "package": a.row.package,
        "id": a.row.id,
        "version": a.row.version,
        "state": dict(a.row.state),
        "hash_seeds": list(a.row.hash_seeds),
        "results": {q: result.to_json() for q, result in a.results.items()},
        "not_repeatable": [
            {"question": n.case, "term": n.term, "quantity": n.quantity, "spread": n.spread} for n in a.unrepeatable
        ],
    }


def read_frozen(path: Path) -> Frozen:
    """Read a frozen file.

    Raises
    ------
    UsageError
        Where it is not there, is none, is of another schema, or was edited.
    """
    where = str(path)
    try:
        raw = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            "there is no such frozen file", where=where, hint="make one with: crosscheck upgrade --freeze FILE STUDY"
        ) from error
    except ValueError as error:
        raise UsageError("the frozen file is no JSON, or was cut short", where=where) from error
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise UsageError("this is no frozen file", where=where, allowed=f'a file whose "kind" is "{KIND}"')
    if raw.get("schema") != FROZEN_SCHEMA:
        raise UsageError(
            f"the frozen file has schema {raw.get('schema')!r}, which this crosscheck does not know",
            where=where,
            allowed=str(FROZEN_SCHEMA),
            hint=f"use the crosscheck that froze it ({raw.get('crosscheck', 'unknown')}), or a newer one",
        )
    if raw.get("seal") != seal_of(raw):
        raise UsageError(
            "the frozen file was edited: its content does not match its seal",
            where=where,
            hint="take it from where it was frozen; a number that may be changed by hand proves nothing",
        )
    try:
        heard: Heard = {
            q: {s: (str(v["name"]), result_from_json(v["result"])) for s, v in said.items()}
            for q, said in raw["witnesses"].items()
        }
        return Frozen(
            path=path,
            frozen_on=str(raw["frozen_on"]),
            studies=tuple(raw["studies"]),
            questions=dict(raw["questions"]),
            sides=tuple(raw["sides"]),
            heard=heard,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the frozen file cannot be read: {error}", where=where) from error


def source_of(frozen: Frozen, side: Mapping[str, Any]) -> FrozenSource:
    """Return a frozen side as something that answers."""
    row = SideRow(
        id=str(side["id"]),
        package=str(side["package"]),
        version=str(side["version"]),
        asked=str(frozen.path),
        transport="frozen",
        state={str(k): str(v) for k, v in side["state"].items()},
        hash_seeds=tuple(int(s) for s in side["hash_seeds"]),
        dates=frozen.frozen_on,
    )
    results = {q: result_from_json(r) for q, r in side["results"].items()}
    unsteady = tuple(
        NotRepeatable(
            case=str(n["question"]), term=str(n["term"]), quantity=str(n["quantity"]), values=(None,),
            spread=float(n["spread"]),
        )
        for n in side["not_repeatable"]
    )  # fmt: skip
    return FrozenSource(side=row, results=results, unrepeatable=unsteady)


def require_same(frozen: Frozen, questions: Sequence[Question], package: str) -> tuple[list[Question], list[str]]:
    """Return the questions that were frozen, and the ids of those that are new; refuse data or questions that changed.

    Raises
    ------
    DataError
        Where the rows of a column are not those that were frozen.
    UsageError
        Where a column is gone, or asks something else.
    """
    now = {q.id: q for q in questions}
    gone = [i for i in frozen.questions if i not in now]
    if gone:
        raise UsageError(
            f"{_named(gone)} of the frozen file: the study has no such column any more", where=str(frozen.path),
            hint="freeze again, or take the study of that time",
        )  # fmt: skip
    data = [i for i, f in frozen.questions.items() if f["data_hash"] != now[i].frame.key]
    if data:
        raise DataError(
            f"the data changed since {frozen.frozen_on[:10]}: the rows of {_named(data)} are not those of then",
            where=str(frozen.path),
            hint="a comparison of versions needs the same data; put them back, or freeze again and say so",
        )
    asked = [
        i
        for i, f in frozen.questions.items()
        if f["request_hash"] != (now[i].request.hash if now[i].request is not None else None)  # type: ignore[union-attr]
    ]
    if asked:
        raise UsageError(
            f"{_named(asked)} asks something else than what was frozen: formula, covariance or options changed",
            where=str(frozen.path),
            hint="undo the change in study.toml, or freeze again",
        )
    del package
    return [now[i] for i in frozen.questions], [i for i in now if i not in frozen.questions]


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return ", ".join(ids[:MOST_NAMED]) + more
