"""Which versions does a requirements file name, and is a pin one?

Only names, versions and markers are read; options, addresses and paths in a file are refused, so that naming a file
installs nothing but packages of the index.
"""

from __future__ import annotations

import re
from pathlib import Path

from crosscheck.errors import UsageError

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_BOUND = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9][A-Za-z0-9.*+!_-]*"
_LINE = re.compile(
    rf"(?P<name>{_NAME})(?P<extras>\s*\[[A-Za-z0-9._, -]*\])?\s*(?P<bounds>\(?(?:{_BOUND})(?:\s*,\s*{_BOUND})*\)?)?"
    r"\s*(?P<marker>;.*)?"
)
_HASH = re.compile(r"\s--hash[= ]\S+")
LONGEST = 200_000


def names_in(line: str) -> str:
    """Return the name that a requirement is of, in lower case with hyphens."""
    match = re.match(_NAME, line.strip())
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def require_pin(text: str) -> None:
    """Refuse what is not a name with bounds.

    Raises
    ------
    UsageError
    """
    match = _LINE.fullmatch(text.strip())
    if match is None or not match["bounds"] or match["marker"]:
        raise UsageError(f"{text!r} pins no dependency", allowed="name==version, such as numpy==1.26.4")


def read_requirements(path: Path) -> tuple[str, ...]:
    """Read a requirements file.

    Returns
    -------
    tuple of str
        One requirement each, without comments and hashes.

    Raises
    ------
    UsageError
        Naming file and line of what is no plain requirement.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} cannot be read: {error}", where=str(path)) from error
    if len(text) > LONGEST:
        raise UsageError(f"{path.name} is no requirements file: it is too long", where=str(path))
    out = []
    joined = re.sub(r"\\\r?\n", lambda m: " " * len(m[0].rstrip("\n")), text)
    for number, raw in enumerate(joined.splitlines(), 1):
        line = _HASH.sub("", re.sub(r"(^|\s)#.*$", "", raw)).strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError(
                f"{line[:80]!r} is no plain requirement",
                where=f"{path}, line {number}",
                allowed="name, bounds and marker, such as numpy==1.26.4; no options, addresses, paths",
                hint="pip freeze writes such a file",
            )
        bounds = (match["bounds"] or "").strip("() ")
        out.append(f"{match['name']}{bounds}{(' ' + match['marker']) if match['marker'] else ''}")
    return tuple(out)
