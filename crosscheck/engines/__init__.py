"""Which engines are there, and how is one found without importing its library?

Built-in engines are named here; other packages add theirs through the entry-point group ``crosscheck.engines``, each
entry pointing to an object with the methods of :class:`crosscheck.engines.base.Engine`.
"""

from __future__ import annotations

import importlib
import os
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from crosscheck.engines.base import YES, Engine, Support
from crosscheck.engines.pinned import Pin, Pinned, pin_of
from crosscheck.errors import UsageError, nearest

__all__ = ["YES", "Engine", "Pin", "Pinned", "Support", "get", "known_ids", "pin_of"]

GROUP = "crosscheck.engines"
SOURCES = ("published", "truth")

_BUILT_IN = {
    "oracle": "crosscheck.engines.oracle:ENGINE",
    "pyfixest": "crosscheck.engines.pyfixest:ENGINE",
    "linearmodels": "crosscheck.engines.linearmodels:ENGINE",
    "statsmodels": "crosscheck.engines.statsmodels:ENGINE",
    "csdid": "crosscheck.engines.csdid:ENGINE",
    "r.fixest": "crosscheck.engines.r:FIXEST",
    "r.did": "crosscheck.engines.r:DID",
    "r.lm": "crosscheck.engines.r:LM",
    "r.plm": "crosscheck.engines.r:PLM",
    "r.clubsandwich": "crosscheck.engines.r:CLUBSANDWICH",
    "designs": "crosscheck.engines.designs:ENGINE",
    "r.designs": "crosscheck.engines.r_designs:DESIGNS",
    "r.matchit": "crosscheck.engines.r_designs:MATCHIT",
}


@lru_cache(maxsize=1)
def _plugins() -> dict[str, str]:
    """Ids and targets of engines of other packages, and of CROSSCHECK_ENGINES (id=module:attribute,...)."""
    found: dict[str, str] = {}
    entries: list[EntryPoint] = sorted(entry_points(group=GROUP), key=lambda e: e.name)
    for entry in entries:
        found[entry.name] = entry.value
    for item in filter(None, os.environ.get("CROSSCHECK_ENGINES", "").split(",")):
        name, _, target = item.partition("=")
        if not name or ":" not in target:
            raise UsageError(
                f"CROSSCHECK_ENGINES has an entry {item!r} that names no engine",
                allowed="id=module:attribute, separated by commas",
            )
        found[name.strip()] = target.strip()
    return found


def known_ids() -> tuple[str, ...]:
    """Ids of all engines, built in first."""
    return tuple(dict.fromkeys((*_BUILT_IN, *_plugins())))


@lru_cache(maxsize=64)
def get(engine_id: str) -> Engine:
    """Return the engine of an id, pinned to a version or not; imports the engine's module, not its library.

    Raises
    ------
    UsageError
        Where no engine has this id, it cannot be pinned, or the module that should hold it cannot be imported.
    """
    pin = pin_of(engine_id)
    if pin is not None:
        return Pinned(get(pin.name), pin)
    target = _plugins().get(engine_id) or _BUILT_IN.get(engine_id)
    if target is None:
        raise UsageError(
            f"there is no engine {engine_id!r}",
            allowed=", ".join(known_ids()),
            hint=nearest(engine_id, known_ids()),
        )
    module, _, attribute = target.partition(":")
    try:
        engine = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"engine {engine_id!r} cannot be loaded from {target}: {error}") from error
    if not isinstance(engine, Engine):
        raise UsageError(f"engine {engine_id!r} at {target} lacks id, language, packages, supports, fit or code")
    return engine
