"""Validate Python econometrics against R."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import :mod:`crosscheck.explain`, which is also a function, when it is first asked for."""
    if name == "explain":
        return import_module("crosscheck.explain")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
