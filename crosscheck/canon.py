"""How are numbers, objects and data written so that a hash or a digit never depends on the machine?

JSON is written with sorted keys where a hash is taken, floats with 17 significant digits, NaN and infinities as strings.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number(value: float) -> str:
    """Write one float as JSON: 17 significant digits, or a quoted word for NaN and the infinities."""
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    text = format(value, ".17g")
    return text if any(mark in text for mark in ".en") else text + ".0"


def parse_number(value: Any) -> float | None:
    """Read back what :func:`number` wrote; ``None`` stays ``None`` (a missing value)."""
    if value is None:
        return None
    if isinstance(value, str):
        return NONFINITE[value]
    return float(value)


def dumps(value: Any, *, sort_keys: bool = False, indent: int | None = None) -> str:
    """Write a value as JSON under the rules of this module.

    Raises
    ------
    TypeError
        For anything that is not a plain scalar, mapping, or sequence.
    """
    return _encode(value, sort_keys, indent, 0)


def _encode(value: Any, sort_keys: bool, indent: int | None, level: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return number(float(value))
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    pad, sep, end = ("", ", ", "")
    if indent is not None:
        pad, end = "\n" + " " * indent * (level + 1), "\n" + " " * indent * level
        sep = "," + pad
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        keys = sorted(value) if sort_keys else list(value)
        if not all(isinstance(k, str) for k in keys):
            raise TypeError("JSON keys must be strings")
        items = (
            json.dumps(k, ensure_ascii=False) + ": " + _encode(value[k], sort_keys, indent, level + 1) for k in keys
        )
        return "{" + pad + sep.join(items) + end + "}"
    if isinstance(value, list | tuple):
        if not value:
            return "[]"
        if indent is not None and all(isinstance(v, int | float | str | None) for v in value):
            return "[" + ", ".join(_encode(v, sort_keys, None, 0) for v in value) + "]"
        return "[" + pad + sep.join(_encode(v, sort_keys, indent, level + 1) for v in value) + end + "]"
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def sha256(value: str | bytes) -> str:
    """Hex digest of text (as UTF-8) or bytes."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


def digest(value: Any) -> str:
    """Hash of a JSON-like value, independent of the order of its keys."""
    return sha256(dumps(value, sort_keys=True))


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, then a rename.

    Raises
    ------
    OSError
        Where the folder cannot be written; the earlier file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
