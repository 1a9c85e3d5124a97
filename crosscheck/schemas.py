"""Which JSON Schema describes a file or message of crosscheck?"""

from __future__ import annotations

from importlib import resources
from typing import Any

from crosscheck.canon import NONFINITE, dumps

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TEXT: dict[str, Any] = {"type": "string"}
SHORTHANDS: dict[tuple[str, str], dict[str, Any]] = {
    ("DataTable", "missing"): {"type": "array", "items": TEXT},
    ("KnownRow", "quantity"): TEXT,
    ("ColumnTable", "weights"): TEXT,
    ("Defaults", "weights"): TEXT,
}
"""What ``study.toml`` may hold instead of the full form: one list for all columns, one quantity, a column's name."""


def schema_text(name: str) -> str:
    """Return the JSON Schema (draft 2020-12) of a file or message as text.

    Raises
    ------
    KeyError
        For any other name.
    """
    if name in ("report", "upgrade", "frozen"):
        folder = "upgrade" if name == "frozen" else name
        file = "frozen.schema.json" if name == "frozen" else "schema.json"
        return resources.files(f"crosscheck.{folder}").joinpath(file).read_text("utf-8").rstrip("\n")
    from pydantic import TypeAdapter

    from crosscheck.findings.model import Finding
    from crosscheck.results import EstimationResult
    from crosscheck.spec import FitRequest
    from crosscheck.study_file import StudyFile

    models: dict[str, type[Any]] = {
        "study": StudyFile,
        "request": FitRequest,
        "result": EstimationResult,
        "finding": Finding,
    }
    body = TypeAdapter(models[name]).json_schema()
    if name == "study":
        body = _with_shorthands(body)
    if name == "result":
        body = _with_nonfinite(body)
    return dumps({"$schema": DRAFT, **body, "title": name}, indent=1)


def _with_shorthands(body: dict[str, Any]) -> dict[str, Any]:
    """Allow the short forms that are read like the full ones."""
    for (table, key), short in SHORTHANDS.items():
        properties = body["$defs"][table]["properties"]
        full = {k: v for k, v in properties[key].items() if k not in ("title", "default")}
        rest = {k: v for k, v in properties[key].items() if k in ("title", "default")}
        properties[key] = {"anyOf": [*full.get("anyOf", [full]), short], **rest}
    return body


def _with_nonfinite(value: Any) -> Any:
    """Allow the words that stand for NaN and the infinities wherever a number may stand."""
    if isinstance(value, dict):
        if value.get("type") == "number":
            rest = {k: v for k, v in value.items() if k != "type"}
            return {"anyOf": [{"type": "number"}, {"enum": sorted(NONFINITE)}], **rest}
        return {k: _with_nonfinite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_nonfinite(v) for v in value]
    return value
