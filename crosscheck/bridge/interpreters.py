"""Which interpreters are on this machine, for versions of a package that do not install on this one?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crosscheck.errors import EngineMissing, UsageError

VERSION = re.compile(r"3\.[0-9]{1,2}(?:\.[0-9]{1,3})?")
ASKING = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.implementation.cache_tag)"
TIMEOUT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python interpreter.

    Attributes
    ----------
    path : str
    version : str
        Such as ``3.10``.
    tag : str
        Such as ``cpython-310``.
    """

    path: str
    version: str
    tag: str


THIS = Interpreter(
    path=sys.executable,
    version=f"{sys.version_info[0]}.{sys.version_info[1]}",
    tag=sys.implementation.cache_tag or "python",
)


def find_python(version: str) -> Interpreter | None:
    """Return an interpreter of a version where one is on this machine; downloads none.

    Looked for beside this one, on the path, and where pyenv and uv keep theirs.

    Raises
    ------
    UsageError
        For what is no version.
    """
    if not VERSION.fullmatch(version):
        raise UsageError(f"{version!r} is no version of Python", allowed="such as 3.10")
    if ".".join(version.split(".")[:2]) == THIS.version and version.count(".") == 1:
        return THIS
    for path in _candidates(version):
        found = _asked(path)
        if found is not None and f"{found[0]}.".startswith(f"{version}."):
            return Interpreter(path=str(path), version=".".join(found[0].split(".")[:2]), tag=found[1])
    return None


def require_python(version: str) -> Interpreter:
    """Return an interpreter of a version.

    Raises
    ------
    EngineMissing
        Where there is none here.
    """
    found = find_python(version)
    if found is None:
        raise EngineMissing(
            f"there is no Python {version} here", hint=f"install it, such as with: uv python install {version}"
        )
    return found


def _candidates(version: str) -> Iterator[Path]:
    short = ".".join(version.split(".")[:2])
    on_path = shutil.which(f"python{short}")
    if on_path:
        yield Path(on_path)
    home = Path.home()
    roots = [
        Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local" / "share" / "uv" / "python"),
    ]
    for root in roots:
        try:
            folders = sorted(p for p in root.iterdir() if re.search(rf"(^|-){re.escape(short)}\b", p.name))
        except OSError:
            continue
        yield from (f / "bin" / f"python{short}" for f in reversed(folders) if (f / "bin" / f"python{short}").exists())


def _asked(path: Path) -> tuple[str, str] | None:
    """Return version and tag of an interpreter; ``None`` where it does not run."""
    try:
        done = subprocess.run(
            [str(path), "-I", "-S", "-c", ASKING], capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return (words[0], words[1]) if done.returncode == 0 and len(words) == 2 else None
