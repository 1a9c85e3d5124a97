"""Where do results live between runs, and when may an old one stand in for a new one?

Two stores. The *cache* holds what engines returned, keyed on everything that decides the numbers, and the comparison of
a column, keyed on everything that decides its verdicts; it may be deleted at any time. *Recorded references* are real R
results under version control, so that a machine without R has a witness.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck.canon import digest, dumps, write_atomic
from crosscheck.errors import ReferenceError_, UsageError
from crosscheck.results import EstimationResult, result_from_json
from crosscheck.spec import FitRequest

RECORD_SCHEMA = 1
CACHE_SCHEMA = 1


def cache_dir() -> Path:
    """Return the cache's folder: ``CROSSCHECK_CACHE``, or ``.crosscheck/cache`` below the working directory."""
    return Path(os.environ.get("CROSSCHECK_CACHE") or Path(".crosscheck") / "cache")


def require_writable(folder: Path, what: str, *, hint: str) -> None:
    """Make a folder where there is none, and refuse one in which no file can be written.

    Raises
    ------
    UsageError
        Naming the folder and the reason of the operating system.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        reason = "it is a file" if folder.is_file() else (error.strerror or str(error)).lower()
        raise UsageError(f"{what} cannot be written: {reason}", where=str(folder), hint=hint) from error


@dataclass(frozen=True, slots=True)
class Cache:
    """Results on disk, keyed on engine, versions, request, data and code.

    Attributes
    ----------
    folder : Path
    enabled : bool
        Where false, nothing is read and nothing is written.
    """

    folder: Path
    enabled: bool = True

    @staticmethod
    def key(engine: str, versions: Mapping[str, str], request: FitRequest, data_key: str, code_hash: str) -> str:
        """Return the hash of all that decides a result."""
        return digest(
            {
                "schema": CACHE_SCHEMA,
                "engine": engine,
                "versions": dict(versions),
                "request": request.to_json(),
                "data": data_key,
                "code": code_hash,
            }
        )

    def require_writable(self) -> None:
        """Refuse a folder that cannot hold results, before anything is fitted.

        Raises
        ------
        UsageError
            Where the cache is used and its folder cannot be written.
        """
        if self.enabled:
            hint = "set CROSSCHECK_CACHE to a folder that can be written, or run with --no-cache"
            require_writable(self.folder, "the cache", hint=hint)

    def _path(self, key: str, suffix: str = ".json") -> Path:
        return self.folder / key[:2] / f"{key}{suffix}"

    def get(self, key: str) -> EstimationResult | None:
        """Return a stored result; a file that cannot be read is treated as absent."""
        if not self.enabled:
            return None
        try:
            raw = json.loads(self._path(key).read_text("utf-8"))
            return result_from_json(raw)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, result: EstimationResult) -> None:
        """Store a result that an engine returned; failures of a fit are stored only where they are deterministic."""
        if self.enabled and result.status != "error":
            write_atomic(self._path(key), dumps(result.to_json()))

    def get_text(self, key: str) -> str | None:
        """Return a stored text; a file that cannot be read is treated as absent."""
        if not self.enabled:
            return None
        try:
            return zlib.decompress(self._path(key, ".z").read_bytes()).decode("utf-8")
        except (OSError, zlib.error, UnicodeDecodeError):
            return None

    def put_text(self, key: str, text: str) -> None:
        """Store a text that follows from what the key was made of."""
        if self.enabled:
            write_atomic(self._path(key, ".z"), zlib.compress(text.encode("utf-8"), 1))


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded reference as read from disk."""

    path: Path
    engine: str
    table: str
    column: str
    request_hash: str
    data_hash: str
    recorded_on: str
    result: EstimationResult
    environment: tuple[tuple[str, str], ...]

    @property
    def version(self) -> str:
        """Version of the recorded R package."""
        return self.result.version


def reference_path(root: Path, engine: str, table: str, column: str) -> Path:
    """Return where a reference of a column stands below the study's folder of references."""
    return root / engine / f"{table}-{column}.json"


def references_root(study_folder: Path, study_id: str) -> Path:
    """Return ``references/<study>`` beside a folder named ``studies``, or ``<study>/references`` elsewhere."""
    parent = study_folder.resolve().parent
    if parent.name == "studies":
        return parent.parent / "references" / study_id
    return study_folder / "references"


def write_reference(
    root: Path,
    *,
    study: str,
    table: str,
    column: str,
    request: FitRequest,
    data_hash: str,
    result: EstimationResult,
    script_hash: str,
    recorded_on: str,
) -> Path:
    """Write one live R result as a reference, with request, hashes, versions, date and a seal over all of it.

    Raises
    ------
    ReferenceError_
        Where the result is not that of a live fit that succeeded.
    """
    if result.status != "ok" or result.transport != "live":
        raise ReferenceError_(
            f"{result.engine} gave no live result for {table}/{column}: {result.reason or result.transport}",
            hint="references are recorded from live runs only",
        )
    body = {
        "schema": RECORD_SCHEMA,
        "study": study,
        "table": table,
        "column": column,
        "engine": result.engine,
        "recorded_on": recorded_on,
        "request": request.to_json(),
        "request_hash": request.hash,
        "data_hash": data_hash,
        "script_hash": script_hash,
        "environment": dict(result.environment),
        "result": result.with_(seconds=0.0).to_json(),
    }
    body["seal"] = digest(_plain(body))
    path = reference_path(root, result.engine, table, column)
    write_atomic(path, dumps(body, indent=1) + "\n")
    return path


def _plain(value: Any) -> Any:
    return json.loads(dumps(value))


def read_reference(path: Path) -> Recorded | None:
    """Read a reference; ``None`` where there is none.

    Raises
    ------
    ReferenceError_
        Where the file is malformed, or its seal does not fit its content (it was typed or edited).
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ReferenceError_(f"the reference cannot be read: {error}", where=str(path)) from error
    hint = "delete the file and record it again: crosscheck record STUDY"
    try:
        raw = json.loads(text)
        seal = raw.pop("seal")
        if raw["schema"] != RECORD_SCHEMA:
            raise ReferenceError_(
                f"the reference has schema {raw['schema']!r}", where=str(path), allowed=str(RECORD_SCHEMA), hint=hint
            )
        if digest(raw) != seal:
            raise ReferenceError_(
                "the reference was changed after it was recorded: its seal does not fit", where=str(path), hint=hint
            )
        result = result_from_json(raw["result"])
        return Recorded(
            path=path,
            engine=raw["engine"],
            table=raw["table"],
            column=raw["column"],
            request_hash=raw["request_hash"],
            data_hash=raw["data_hash"],
            recorded_on=raw["recorded_on"],
            result=result.with_(transport="recorded"),
            environment=tuple(sorted((str(k), str(v)) for k, v in raw["environment"].items())),
        )
    except ReferenceError_:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReferenceError_(
            f"the reference is malformed: {type(error).__name__}: {error}", where=str(path), hint=hint
        ) from error


def why_stale(recorded: Recorded, request: FitRequest, data_hash: str) -> str:
    """Say why a reference no longer answers the question, or return an empty string."""
    reasons = []
    if recorded.request_hash != request.hash:
        reasons.append("the specification has changed")
    if recorded.data_hash != data_hash:
        reasons.append("the data have changed")
    return " and ".join(reasons) and f"{' and '.join(reasons)} since {recorded.recorded_on[:10]}"
