"""What do engines warn of? Each warning once, with who gives it and where."""

from __future__ import annotations

from dataclasses import dataclass

from crosscheck.report.model import RunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One warning, the engines that give it, and the places (table, column) that it is about."""

    text: str
    engines: tuple[str, ...]
    places: tuple[tuple[str, str], ...]


def spoken(report: RunReport) -> tuple[Spoken, ...]:
    """Return the warnings of all fits, those about most places last."""
    engines: dict[str, dict[str, None]] = {}
    places: dict[str, dict[tuple[str, str], None]] = {}
    for source in report.sources:
        for condition in source.result.conditions if source.result is not None else ():
            if condition.kind == "warning":
                engines.setdefault(condition.text, {})[source.source] = None
                places.setdefault(condition.text, {})[(source.table, source.column)] = None
    made = (Spoken(text=text, engines=tuple(engines[text]), places=tuple(places[text])) for text in engines)
    return tuple(sorted(made, key=_weight))


def _weight(said: Spoken) -> tuple[int, str]:
    return len(said.places), said.text
