"""How are numbers, objects and data written so that a hash or a digit never depends on the machine?

JSON is written with sorted keys where a hash is taken, floats with 17 significant digits, NaN and infinities as
strings.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from json.encoder import encode_basestring as _string
from pathlib import Path
from typing import Any

import numpy as np

NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_WORDS = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
MAX_HEADS = 1000
_SCALARS = (int, float, str, type(None))
_PLAIN = frozenset({str, float, int, bool, type(None)})


def number(value: float) -> str:
    """Write one float as JSON: 17 significant digits, or a quoted word for NaN and the infinities."""
    text = format(value, ".17g")
    if "." in text or "e" in text:
        return text
    if "n" in text:  # nan, inf, -inf
        return _WORDS[text]
    return text + ".0"


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
    """Write a value; exact built-in types, which nearly all are, are told apart by one look at their type."""
    kind = type(value)
    if kind is str:
        return _string(value)
    if kind is float:
        return number(value)
    if kind is dict:
        return _mapping(value, sort_keys, indent, level)
    if kind is list or kind is tuple:
        return _sequence(value, sort_keys, indent, level)
    if value is None:
        return "null"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return number(float(value))
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return _mapping(value, sort_keys, indent, level)
    if isinstance(value, list | tuple):
        return _sequence(value, sort_keys, indent, level)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def _breaks(indent: int | None, level: int) -> tuple[str, str, str]:
    """Return what opens, separates and closes the items of a mapping or sequence."""
    if indent is None:
        return "", ", ", ""
    pad = "\n" + " " * indent * (level + 1)
    return pad, "," + pad, "\n" + " " * indent * level


_heads: dict[str, str] = {}


def _head(key: str) -> str:
    """Return a key as JSON with its colon; the same few keys return in every row."""
    if not isinstance(key, str):
        raise TypeError("JSON keys must be strings")
    if len(_heads) < MAX_HEADS:
        return _heads.setdefault(key, _string(key) + ": ")
    return _string(key) + ": "


def _mapping(value: Mapping[str, Any], sort_keys: bool, indent: int | None, level: int) -> str:
    if not value:
        return "{}"
    parts = []
    for key in sorted(value) if sort_keys else value:
        head = _heads.get(key) or _head(key)
        item = value[key]
        kind = type(item)
        if kind is str:
            text = _string(item)
        elif item is None:
            text = "null"
        elif kind is float:
            text = number(item)
        else:
            text = _encode(item, sort_keys, indent, level + 1)
        parts.append(head + text)
    pad, sep, end = _breaks(indent, level)
    return "{" + pad + sep.join(parts) + end + "}"


def _sequence(value: Sequence[Any], sort_keys: bool, indent: int | None, level: int) -> str:
    if not value:
        return "[]"
    if indent is not None and all(isinstance(v, _SCALARS) for v in value):
        return "[" + ", ".join([_encode(v, sort_keys, None, 0) for v in value]) + "]"
    pad, sep, end = _breaks(indent, level)
    return "[" + pad + sep.join([_encode(v, sort_keys, indent, level + 1) for v in value]) + end + "]"


_names: dict[type[Any], tuple[str, ...] | None] = {}


def _names_of(cls: type[Any]) -> tuple[str, ...] | None:
    """Return the names of a dataclass's fields, ``None`` for any other class."""
    if cls not in _names:
        _names[cls] = tuple(f.name for f in fields(cls)) if is_dataclass(cls) else None
    return _names[cls]


def plain(value: Any) -> Any:
    """Return a dataclass, and those within it, as mappings; what is not a dataclass stays what it is.

    Unlike :func:`dataclasses.asdict` it copies no mapping and no scalar.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple:
        return tuple([plain(v) for v in value])
    names = _names_of(kind)
    if names is None:
        return value
    return {name: item if type(item := getattr(value, name)) in _PLAIN else plain(item) for name in names}


def sha256(value: str | bytes) -> str:
    """Hex digest of text (as UTF-8) or bytes."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


def digest(value: Any) -> str:
    """Hash of a JSON-like value, independent of the order of its keys."""
    return sha256(dumps(value, sort_keys=True))


def tree_hash(folder: Path, patterns: Iterable[str], *, without: Collection[str] = ()) -> str:
    """Return the hash of the files of a folder that match a pattern, except those below the folders ``without``."""
    parts = []
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        name = path.relative_to(folder)
        if name.parts[0] not in without:
            parts.append(f"{name.as_posix()}:{sha256(path.read_bytes())}")
    return sha256("\n".join(parts))


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
