"""Which program is a worker, and what does it see of the world?"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from crosscheck.bridge.discovery import find_r, r_scripts_dir
from crosscheck.errors import EngineMissing, UsageError

PINNED_WORKER = Path(__file__).with_name("pinned_worker.py")
THIN_WORKER = Path(__file__).parents[1] / "upgrade" / "thin" / "worker.py"
GIB = 2**30
SMALLEST_LIMIT = 4 * GIB
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")
FORGOTTEN = (
    "LANGUAGE",
    "LANG",
    "R_PROFILE",
    "R_ENVIRON",
    "R_HISTFILE",
    "R_DEFAULT_PACKAGES",
    "R_BROWSER",
    "R_PDFVIEWER",
)


def default_memory_limit() -> int:
    """Return the address space of a worker in bytes: ``CROSSCHECK_MEMORY_LIMIT``, else three quarters of the memory.

    Raises
    ------
    UsageError
        Where the variable is not a whole number of bytes.
    """
    text = os.environ.get("CROSSCHECK_MEMORY_LIMIT")
    if text:
        if not text.isdigit():
            raise UsageError(f"CROSSCHECK_MEMORY_LIMIT is {text!r}", allowed="bytes as a whole number; 0 for no limit")
        return int(text)
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0
    return max(SMALLEST_LIMIT, total // 4 * 3)


def command_of(kind: str, *, python: str | None = None, scripts: Sequence[str] = ()) -> list[str]:
    """Return program and arguments of a worker.

    Another interpreter than this one finds crosscheck by its folder, and all else in its own environment.

    Raises
    ------
    EngineMissing
        Where the worker needs R and there is none.
    """
    interpreter = python or sys.executable
    if kind == "thin":
        return [interpreter, str(THIN_WORKER)]  # older interpreters have no -P; the worker leaves its folder itself
    if kind == "python" and python is not None:
        return [interpreter, "-P", str(PINNED_WORKER)]
    if kind == "python":
        return [interpreter, "-m", "crosscheck.bridge.py_worker"]
    r = find_r()
    if r is None:
        raise EngineMissing("R is not here: Rscript not found", hint="crosscheck doctor")
    folder = str(r_scripts_dir())
    if kind == "rpy2":
        return [interpreter, "-m", "crosscheck.bridge.rpy2_worker", folder, *scripts]
    if kind == "rscript":
        return [r.rscript, "--vanilla", str(r_scripts_dir() / "worker.R"), folder, *scripts]
    raise UsageError(f"there is no worker of kind {kind!r}", allowed="python, rpy2, rscript, thin")


def environment_of(kind: str, *, python: str | None = None) -> dict[str, str]:
    """Return the whole environment of a worker, which does not depend on locale, time zone, profile or cores."""
    environment: dict[str, str] = {
        k: v for k, v in os.environ.items() if not k.startswith(("LC_", "PYTHON")) and k not in FORGOTTEN
    }
    environment |= {
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "R_PROFILE_USER": os.devnull,
        "R_ENVIRON_USER": os.devnull,
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1" if python is not None or "PYTHONNOUSERSITE" in os.environ else "",
        "PYTHONPATH": "" if python is not None else os.pathsep.join(_search_path()),
        "MPLBACKEND": "Agg",
    }
    environment |= dict.fromkeys(THREADS, "1")
    if kind == "rpy2":
        environment |= _rpy2_variables()
    return {k: v for k, v in environment.items() if v}


def _rpy2_variables() -> Mapping[str, str]:
    r = find_r()
    return {"R_HOME": r.home} if r is not None and r.home else {}


def _search_path() -> list[str]:
    """Return this interpreter's own folders of modules, so that a worker of it finds what the parent finds."""
    return [str(Path(entry or os.getcwd()).absolute()) for entry in sys.path if Path(entry or ".").exists()]
