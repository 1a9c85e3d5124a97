"""How does a package that numba compiles start fast: by keeping the machine code beside its environment?

Half a minute of compiling for each process is most of an upgrade check. numba keeps what it compiled where a function
asks for it; here every function does, in an environment that crosscheck built, so that nothing is written elsewhere.
The code is the same: numba's index holds the source's time stamp, the types, the CPU and the values of closures.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys

MANIFEST = "crosscheck.json"
FOLDER = "numba-cache"


def keep():
    """Have numba keep machine code below this environment, where crosscheck built it."""
    if not os.path.exists(os.path.join(sys.prefix, MANIFEST)) or importlib.util.find_spec("numba") is None:
        return
    os.environ.setdefault("NUMBA_CACHE_DIR", os.path.join(sys.prefix, FOLDER))
    numba = importlib.import_module("numba")

    for name in ("jit", "njit"):
        setattr(numba, name, _kept(getattr(numba, name)))


def _kept(decorator):
    @functools.wraps(decorator)
    def made(*args, **words):
        return decorator(*args, **{"cache": True, **words})

    return made


def about_cache(warning):
    """Say whether a caught warning is about machine code that cannot be kept, which is ours and not the package's."""
    return warning.category.__name__ == "NumbaWarning" and "Cannot cache compiled function" in str(warning.message)
