"""The mutants as engines, for the command line: ``--engines oracle,mine=tests/mutant_engines.py:g_1_forgotten``.

An attribute is the name of a mutant (``tests/mutants.py``) in lower case with underscores; ``honest`` is the closed form
itself, in which nothing may be found.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from crosscheck.engines.wrapped import Wrapped
from tests.mutants_more import FAULTS, ITERATED


def slug(name: str) -> str:
    """Return the name of a mutant as an attribute."""
    return re.sub(r"\W+", "_", name.lower()).strip("_")


BY_SLUG = {slug(name): (name, make) for name, make in FAULTS.items()}


def __getattr__(name: str) -> Any:
    if name == "honest":
        return Wrapped("oracle", lambda request, frame, base: base(request, frame), id="mine")
    if name not in BY_SLUG:
        raise AttributeError(name)
    called, make = BY_SLUG[name]
    fault = make()

    def fit(request: Any, frame: Any, _: Any) -> Any:
        with np.errstate(all="ignore"):
            return fault(request, frame)

    return Wrapped("statsmodels" if called in ITERATED else "oracle", fit, id="mine")
