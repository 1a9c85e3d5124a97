"""Which engines are there, and how is one found without importing its library?

Built-in engines are named here; other packages add theirs through the entry-point group ``crosscheck.engines``, each
entry pointing to an object with the methods of :class:`crosscheck.engines.base.Engine`. On a command line an engine
may also be named by its module, ``mine=module:ATTRIBUTE`` or ``mine=path/to/file.py:ATTRIBUTE``: who types a command
may run code, a study file may not.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from crosscheck.engines.base import YES, Engine, Support
from crosscheck.engines.pinned import Pin, Pinned, pin_of
from crosscheck.errors import UsageError, nearest

__all__ = [
    "YES",
    "Engine",
    "Pin",
    "Pinned",
    "Support",
    "family",
    "get",
    "known_ids",
    "pin_of",
    "plug",
    "plug_all",
    "plugged",
]

GROUP = "crosscheck.engines"
VARIABLE = "CROSSCHECK_ENGINES"
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
    return found | plugged()


def plugged() -> dict[str, str]:
    """Return ids and targets of the engines that ``CROSSCHECK_ENGINES`` or the command line names."""
    found: dict[str, str] = {}
    for item in filter(None, os.environ.get(VARIABLE, "").split(",")):
        name, _, target = item.partition("=")
        if not name or ":" not in target:
            raise UsageError(
                f"{VARIABLE} has an entry {item!r} that names no engine",
                allowed="id=module:attribute, separated by commas",
            )
        found[name.strip()] = target.strip()
    return found


def plug(text: str) -> str:
    """Take an engine that a command line names as ``id=module:ATTRIBUTE``, here and in workers; return its id.

    The module may be the path of a ``.py`` file; modules are also looked for in the current folder.

    Raises
    ------
    UsageError
        Where the text names no engine, or the id is another engine's.
    """
    name, _, target = text.partition("=")
    place, _, attribute = target.rpartition(":")
    if not re.fullmatch(r"[A-Za-z][\w.\-]*", name) or not place or not attribute.isidentifier():
        raise UsageError(f"{text!r} names no engine", allowed="id=module:ATTRIBUTE, or id=path/to/file.py:ATTRIBUTE")
    if place.endswith(".py"):
        file = Path(place).resolve()
        if not file.is_file():
            raise UsageError(f"there is no file {place} to take the engine {name!r} from")
        if set(str(file)) & {",", "="}:
            raise UsageError(f"the path of an engine has neither , nor =: {file}")
        target = f"{file}:{attribute}"
    elif not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(f"{place!r} is no name of a module", allowed="module, package.module, path/to/file.py")
    elif os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # after all installed ones; workers search where this process does
    if name in _BUILT_IN or (name in known_ids() and plugged().get(name) != target):
        raise UsageError(f"there is an engine {name!r} already", hint="give yours another id")
    plug_all(",".join(f"{k}={v}" for k, v in (plugged() | {name: target}).items()))
    get(name)
    return name


def plug_all(text: str) -> None:
    """Take engines written as ``CROSSCHECK_ENGINES`` has them, as another process of the campaign has taken them."""
    if text and os.environ.get(VARIABLE, "") != text:
        os.environ[VARIABLE] = text
        _plugins.cache_clear()
        get.cache_clear()


def family(engine_id: str) -> str:
    """Return the id of the engine that this one is a version of, or wraps; else its own."""
    name = engine_id.partition("@")[0]
    if name not in plugged():
        return name
    base = getattr(get(name), "base", name)
    return str(base)


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
    module, _, attribute = target.rpartition(":")
    try:
        engine = getattr(_file(module) if module.endswith(".py") else importlib.import_module(module), attribute)
    except (ImportError, AttributeError, SyntaxError, OSError) as error:
        raise UsageError(f"engine {engine_id!r} cannot be loaded from {target}: {error}") from error
    if not isinstance(engine, Engine):
        raise UsageError(f"engine {engine_id!r} at {target} lacks id, language, packages, supports, fit or code")
    return engine


def _file(path: str) -> ModuleType:
    """Import a file as a module of its own, once."""
    name = "crosscheck_plugged_" + re.sub(r"\W", "_", path)
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
