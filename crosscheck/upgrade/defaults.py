"""Which defaults changed between two versions, and what would the newer one say with the older one's?

This is how a changed default is told from a bug: the newer version is asked again with the old default written out.
Where the numbers then meet, the default is the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crosscheck.upgrade.calls import Call
from crosscheck.upgrade.eras import changed_defaults, defaults_of
from crosscheck.upgrade.known import PACKAGES

FIRST_EFFECT = "@first_effect"
ALWAYS = ("fit", "bic")
"""Steps that are taken whether a call names them or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A call with defaults of another version written out.

    Attributes
    ----------
    arguments : mapping of str to (object, object)
        Argument (``ssc.k_fixef`` for a member) to the older and the newer default.
    call : Call
        To be asked of the newer version.
    """

    arguments: Mapping[str, tuple[Any, Any]]
    call: Call


def replays(call: Call, old: str, new: str) -> tuple[Replay, ...]:
    """Return the calls that write out one changed default each, and last the one that writes out all of them.

    Only defaults that the call leaves open count. Empty where none changed.
    """
    singles = []
    for place in ("arguments", *call.fit, *_open_steps(call)):
        function = call.function if place == "arguments" else f"{call.function}.{place}"
        for name, (before, after) in changed_defaults(call.package, old, new, function).items():
            made = _written(call, place, name, before)
            if made is not None and made != call:
                singles.append((f"{name}", (resolved(before, call), resolved(after, call)), place, before, made))
    out = [Replay(arguments={name: values}, call=made) for name, values, _, _, made in singles]
    if len(singles) > 1:
        whole = call
        for name, _, place, before, _ in singles:
            whole = _written(whole, place, name, before) or whole
        out.append(Replay(arguments={name: values for name, values, *_ in singles}, call=whole))
    return tuple(out)


def guesses(call: Call, old: str, new: str) -> tuple[Replay, ...]:
    """Return the calls that write out one default each that the eras do not say has changed, and last all of them.

    A release that no era knows yet, or a source tree, may have changed any of them. Members of a mapping such as
    ``ssc`` are written out one by one.
    """
    singles: list[tuple[str, str, Any, Call]] = []
    for place in ("arguments", *call.fit, *_open_steps(call)):
        function = call.function if place == "arguments" else f"{call.function}.{place}"
        said = changed_defaults(call.package, old, new, function)
        for name, value in defaults_of(call.package, old, function).items():
            parts = {name: value}
            if isinstance(value, Mapping) and FIRST_EFFECT not in value.values() and "kind" not in value:
                parts = {f"{name}.{member}": {member: one} for member, one in value.items()}
            for shown, part in parts.items() if name not in said else ():
                made = _written(call, place, name, part)
                if made is not None and made != call:
                    singles.append((shown, place, part, made))
    out = [Replay(arguments={shown: (_plain(part), None)}, call=made) for shown, _, part, made in singles]
    if len(singles) > 1:
        whole = call
        for shown, place, part, _ in singles:
            whole = _written(whole, place, shown.partition(".")[0], part) or whole
        out.append(Replay(arguments={s: (_plain(part), None) for s, _, part, _ in singles}, call=whole))
    return tuple(out)


def _plain(part: Any) -> Any:
    return next(iter(part.values())) if isinstance(part, Mapping) and len(part) == 1 else part


def _open_steps(call: Call) -> tuple[str, ...]:
    """Return the steps that every call of a package takes, where this one does not write them."""
    known = PACKAGES[call.package][call.function]
    return tuple(s for s in ALWAYS if s in known.steps and s not in call.fit)


def _written(call: Call, place: str, name: str, value: Any) -> Call | None:
    """Return a call with one argument written out; ``None`` where the call says it already, or cannot."""
    words = dict(call.arguments if place == "arguments" else call.fit.get(place, {}))
    known = PACKAGES[call.package][call.function]
    if name not in (known.arguments if place == "arguments" else known.steps[place]):
        return None
    value = resolved(value, call)
    present = words.get(name)
    if value is None or (present is not None and not (isinstance(present, Mapping) and isinstance(value, Mapping))):
        return None
    if name == "vcov" and present is not None:
        return None
    words[name] = {**value, **present} if isinstance(present, Mapping) else value
    if place == "arguments":
        return call.with_(arguments=words)
    return call.with_(fit={**call.fit, place: words})


def resolved(value: Any, call: Call) -> Any:
    """Return a default for one call: by the first fixed effect means iid where there is none."""
    if isinstance(value, Mapping) and FIRST_EFFECT in value.values():
        parts = call.formula.split("|")
        effects = parts[1].split("+") if len(parts) > 1 and "~" not in parts[1] else []
        if not effects or not effects[0].strip():
            return "iid"
        return {k: effects[0].strip() if v == FIRST_EFFECT else v for k, v in value.items()}
    return value
