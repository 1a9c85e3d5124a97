"""How is a mistake that pydantic finds told to the person who wrote the file?

One message: the first mistake in full (key, what is allowed, nearest word), the others by key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from crosscheck.errors import StudyError, nearest
from crosscheck.spec import Model
from crosscheck.syntax import listing


def validation_error(
    error: ValidationError, model: type[Model], raw: Any, *, where: str, prefix: str = ""
) -> StudyError:
    """Render pydantic's errors as one: the first in full (misspelt keys before missing ones), the others by key.

    Parameters
    ----------
    error : ValidationError
    model : type
        What was validated, for the keys and words that are allowed.
    raw : object
        The input, for the ids of tables and columns.
    where : str
        The file.
    prefix : str
        Key of the validated part, such as ``table[1].column[2].options``.
    """
    errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    found = [_one(e, model, prefix) for e in errors]
    key, what, allowed, hint = found[0]
    ids = _ids(raw, errors[0]["loc"])
    others = "; ".join(f"{k}: {w}" for k, w, _, _ in found[1:4])
    if others:
        hint = f"{hint or 'correct the key'} (and also {others}{'; ...' if len(found) > 4 else ''})"
    return StudyError(what, where=f"{where}, {key}{ids}", allowed=allowed, hint=hint)


def key_path(location: Iterable[str | int], prefix: str = "") -> str:
    """Write a location as ``table[2].column[1].vcov.type``, rows counted from 1."""
    path = prefix
    for part in location:
        if isinstance(part, int):
            path += f"[{part + 1}]"
        else:
            bare = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            path += f".{bare}" if path else bare
    return path


def _ids(raw: Any, location: Iterable[str | int]) -> str:
    named: list[str] = []
    at = raw
    for part in location:
        try:
            at = at[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(part, int) and isinstance(at, Mapping) and isinstance(at.get("id"), str):
            named.append(at["id"])
    return f" ({'/'.join(named)})" if named else ""


def _one(item: Any, model: type[Model], prefix: str) -> tuple[str, str, str, str]:
    """Return key, what, allowed and hint of one pydantic error."""
    location, kind, context = item["loc"], item["type"], item.get("ctx") or {}
    key = key_path(location, prefix) or "the file"
    value = item.get("input")
    if kind == "extra_forbidden":
        keys = _keys(model, location[:-1])
        name = str(location[-1])
        return key, f"there is no key {name!r} here", listing(keys), nearest(name, keys)
    if kind == "missing":
        example = {"schema": "schema = 1", "id": 'id = "..."', "study": 'study = "..."'}.get(str(location[-1]), "")
        return key, f"the key {location[-1]!r} is missing", "", f"write {example}" if example else "add it"
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'|(\d+)", context.get("expected", ""))
        allowed = [a or b for a, b in words]
        return key, f"{value!r} is not allowed here", ", ".join(allowed), nearest(str(value), allowed)
    if kind == "value_error":
        return key, str(context.get("error", item["msg"])), "", ""
    if kind == "string_type":
        return key, f"{value!r} is not a text", "a text in quotation marks", f'write "{value}"'
    message = item["msg"][:1].lower() + item["msg"][1:]
    shown = f"{value!r}: {message}" if isinstance(value, str | int | float | bool) else message
    return key, shown.replace("input should", "it should"), "", ""


def _keys(model: type[Model], location: Iterable[str | int]) -> list[str]:
    """Return the keys that are allowed at a place, by walking the model's JSON Schema."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})

    def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
        while True:
            if "$ref" in node:
                node = definitions[node["$ref"].rsplit("/", 1)[1]]
            elif "anyOf" in node:
                node = next((n for n in node["anyOf"] if n.get("type") != "null"), {})
            elif len(node.get("allOf", ())) == 1:
                node = node["allOf"][0]
            else:
                return node

    at = resolve(schema)
    for part in location:
        step = at.get("items", {}) if isinstance(part, int) else at.get("properties", {}).get(part, {})
        at = resolve(step)
    return list(at.get("properties", {}))
