"""How is plain data written as TOML that reads back the same?

Numbers with 17 significant digits where they need them, texts quoted, keys in the order given. Mappings become tables,
sequences of mappings arrays of tables; what stands inside an array is written inline.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 110


def string(text: str) -> str:
    """Write a text as a basic string; one of several lines, without control characters, as a literal block."""
    if "\n" in text and "'''" not in text and all(c.isprintable() or c == "\n" for c in text):
        return "'''\n" + text + "'''"
    out = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in out) + '"'


def key(name: str) -> str:
    """Write a key, quoted where it has to be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else string(name.replace("\n", " "))


def number(value: float) -> str:
    """Write a float so that it reads back to the bit."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = repr(value)
    return text if "." in text or "e" in text else f"{text}.0"


def inline(value: Any) -> str:
    """Write a value on one line.

    Raises
    ------
    TypeError
        For what TOML has no word for, such as None.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key(k)} = {inline(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(inline(v) for v in value) + "]"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _tables(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and isinstance(value[0], Mapping)


def toml_text(value: Mapping[str, Any]) -> str:
    """Write a mapping as TOML.

    Parameters
    ----------
    value : mapping
        Of texts, numbers, booleans, sequences and mappings; entries that are ``None`` are left out.

    Raises
    ------
    TypeError
        For anything else.
    """
    lines: list[str] = []
    _write(value, (), lines)
    return "\n".join(lines).strip("\n") + "\n"


def _write(value: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    later: list[tuple[str, Any]] = []
    for name, item in value.items():
        if item is None:
            continue
        long_table = isinstance(item, Mapping) and (
            not path or len(inline(item)) > WIDTH or any(isinstance(v, Mapping) for v in item.values())
        )
        if _tables(item) or (long_table and item):
            later.append((name, item))
        else:
            lines.append(f"{key(name)} = {inline(item)}")
    for name, item in later:
        inner = (*path, name)
        title = ".".join(key(p) for p in inner)
        for one in item if _tables(item) else (item,):
            lines += ["", f"[[{title}]]" if _tables(item) else f"[{title}]"]
            _write(one, inner, lines)
