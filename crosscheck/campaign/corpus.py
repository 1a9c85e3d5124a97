"""What did R say about the panels of a campaign, for machines without R?

A corpus is real R output for the requests of some seeds: each line is one fit with its question's and its data's hash,
what R gave, and a seal over the line. ``crosscheck campaign --record`` writes it from a live R. Numbers are kept with
17 digits; covariances and warnings are left out.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck.canon import digest, dumps, write_atomic
from crosscheck.errors import ReferenceError_
from crosscheck.results import EstimationResult, result_from_json

CORPUS_FILE = "corpus.ndjson.gz"
CORPUS_SCHEMA = 1
LEFT_OUT = ("vcov", "vcov_terms", "environment", "seconds", "transport", "engine", "version")


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Recorded answers of R.

    Attributes
    ----------
    path : Path
    seeds : tuple of int
        Whose panels were recorded.
    versions : mapping
        Of R's packages by engine.
    settings : mapping
        What else decided the questions: requests a panel, profile.
    recorded_on : str
    """

    path: Path
    seeds: tuple[int, ...]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    recorded_on: str
    answers: Mapping[tuple[str, str, str], EstimationResult]

    def get(self, engine: str, request_hash: str, data_hash: str) -> EstimationResult | None:
        """Return what an R engine said, or ``None`` where it was not asked."""
        return self.answers.get((engine, request_hash[:16], data_hash[:16]))


def corpus_line(engine: str, request_hash: str, data_hash: str, result: EstimationResult) -> dict[str, Any]:
    """Return one sealed line."""
    raw = {k: v for k, v in result.to_json().items() if k not in LEFT_OUT and v not in ([], (), "", {}, None)}
    raw["stats"] = {k: v for k, v in raw.get("stats", {}).items() if v is not None}
    kept = ("k", "df_t", "ssc_factor", "vcov", "distribution", "n_clusters", "cluster", "k_fixef")
    raw["conventions"] = {k: v for k, v in raw.get("conventions", {}).items() if k in kept and v not in (None, [], ())}
    raw.pop("conditions", None)
    body = {"engine": engine, "request": request_hash[:16], "data": data_hash[:16], "result": raw}
    return {**body, "seal": digest(json.loads(dumps(body)))[:16]}


def write_corpus(
    folder: Path,
    *,
    seeds: Iterable[int],
    versions: Mapping[str, str],
    settings: Mapping[str, Any],
    recorded_on: str,
    lines: Iterable[Mapping[str, Any]],
) -> Path:
    """Write a corpus, sorted, so that recording again from the same R gives the same bytes."""
    ordered = sorted(lines, key=lambda line: (line["data"], line["request"], line["engine"]))
    head = {
        "schema": CORPUS_SCHEMA,
        "seeds": list(seeds),
        "versions": dict(versions),
        "settings": dict(settings),
        "recorded_on": recorded_on,
        "fits": len(ordered),
    }
    text = "".join(dumps(row) + "\n" for row in (head, *ordered))
    path = folder / CORPUS_FILE
    write_atomic(path, gzip.compress(text.encode("utf-8"), 9, mtime=0))
    return path


def read_corpus(folder: Path) -> Corpus | None:
    """Read a corpus; ``None`` where there is none.

    Raises
    ------
    ReferenceError_
        Where the file is malformed, or a line was changed after it was recorded.
    """
    path = folder / CORPUS_FILE
    if not path.is_file():
        return None
    hint = "record it again: crosscheck campaign --record"
    try:
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()]
        head = rows[0]
        if head["schema"] != CORPUS_SCHEMA:
            raise ReferenceError_(f"the corpus has schema {head['schema']!r}", where=str(path), hint=hint)
        answers = {}
        for row in rows[1:]:
            seal = row.pop("seal")
            if digest(row)[:16] != seal:
                raise ReferenceError_(
                    "the corpus was changed after it was recorded: a seal does not fit", where=str(path), hint=hint
                )
            engine = row["engine"]
            result = result_from_json({"engine": engine, **row["result"]})
            answers[engine, row["request"], row["data"]] = result.with_(
                transport="recorded", version=head["versions"][engine]
            )
        if len(answers) != head["fits"]:
            raise ReferenceError_("the corpus lacks lines", where=str(path), hint=hint)
    except ReferenceError_:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ReferenceError_(
            f"the corpus cannot be read: {type(error).__name__}: {error}", where=str(path), hint=hint
        ) from error
    return Corpus(
        path=path,
        seeds=tuple(head["seeds"]),
        versions=head["versions"],
        settings=head["settings"],
        recorded_on=head["recorded_on"],
        answers=answers,
    )
