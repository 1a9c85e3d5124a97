"""Where do a worker's temporary files go, and who removes them when nobody was left to?

Each worker has a folder of its own, which the main process removes. A main process that is killed cannot: the next one
removes the folders whose owner is gone.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

PREFIX = "crosscheck-"
OWNER = "owner"


def _namespace() -> str:
    """Return what process ids are numbered in; empty where the system does not say, and nothing is swept there."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def new_folder() -> Path:
    """Make a folder for one worker, with an empty working directory ``cwd`` in it."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    (folder / OWNER).write_text(f"{_namespace()} {os.getpid()}", "utf-8")
    (folder / "cwd").mkdir()
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a worker's folder and all in it."""
    shutil.rmtree(folder, ignore_errors=True)


@lru_cache(maxsize=1)
def sweep() -> int:
    """Remove folders whose owner no longer runs, once for each process; return how many."""
    here = _namespace()
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if here else ():
        try:
            namespace, pid = (folder / OWNER).read_text("utf-8").split()
            if folder.stat().st_uid != os.getuid() or namespace != here or Path("/proc", pid).exists():
                continue
        except (OSError, ValueError):
            continue
        remove_folder(folder)
        removed += 1
    return removed
