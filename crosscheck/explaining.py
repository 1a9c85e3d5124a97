"""What does ``crosscheck explain`` answer? Every difference of a column, with its cause, its replay and its remedy."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscheck.canon import dumps
from crosscheck.columns import column_cells
from crosscheck.errors import UsageError, nearest
from crosscheck.plan import Reachability, Transport, make_plan
from crosscheck.runner import Workers, fit_all
from crosscheck.store import Cache, cache_dir, references_root
from crosscheck.study import load_study
from crosscheck.verdict import AGREE, EXIT_AGREES, EXIT_DISCREPANCY, EXIT_NOTHING

if TYPE_CHECKING:
    from crosscheck.compare import Cell


def explain_cells(
    path: Path, table: str, column: str, term: str | None, transport: Transport, timeout: float, format_: str
) -> int:
    """Fit a column with every engine it names and print why the numbers differ.

    Returns
    -------
    int
        0 where nothing differs or every difference has a cause, 1 where one has none or an engine failed, 3 where
        nothing was compared or an engine or reference is missing or stale.
    """
    study = load_study(path)
    spec = study.column(table, column)
    cache = Cache(cache_dir())
    cache.require_writable()
    root = references_root(study.folder, study.id)
    plan = make_plan(study, Reachability(transport), cache, only=(table,), references_root=root)
    tasks = plan.of_column(spec)
    results = {id(t): t.answer for t in tasks if t.answer is not None}
    with Workers() as workers:
        for task, result in fit_all([t for t in tasks if t.answer is None], workers, cache, timeout):
            results[id(task)] = result.with_(version=result.version or plan.infos[task.engine].version)
    cells = column_cells(study, spec, tasks, {k: v for k, v in results.items() if v is not None})
    if term is not None:
        fitted = {row.term for result in results.values() if result is not None for row in result.coefs}
        known = sorted(fitted | {c.term for c in cells if c.term not in ("", "*")})
        if term not in known:
            raise UsageError(
                f"column {table}/{column} has no term {term!r}",
                where=str(study.file),
                allowed=", ".join(known),
                hint=nearest(term, known),
            )
        cells = [c for c in cells if c.term in (term, "*")]
    silent = [c for c in cells if c.term == "*" and c.verdict != "unsupported"]
    compared = [c for c in cells if c.term != "*" and c.verdict != "unsupported"]
    differing = [c for c in compared if c.verdict not in AGREE]
    sys.stdout.write(_render(differing, silent, len(compared), f"{study.id} {table}/{column}", format_))
    if any(c.verdict in ("unexplained", "error") for c in (*differing, *silent)):
        return EXIT_DISCREPANCY
    return EXIT_NOTHING if silent or not compared else EXIT_AGREES


def _render(cells: Sequence[Cell], silent: Sequence[Cell], compared: int, where: str, format_: str) -> str:
    if format_ == "json":
        return dumps([c.to_json() for c in (*silent, *cells)], indent=1) + "\n"
    if not compared:
        lines = [f"{where}: nothing was compared"]
    elif not cells:
        lines = [f"{where}: all {compared} comparisons agree"]
    else:
        lines = [f"{where}: {len(cells)} of {compared} comparisons differ", ""]
    for group in _grouped(cells).values():
        first = group[0]
        what = ", ".join(dict.fromkeys(f"{c.quantity} of {c.term}" if c.term else c.quantity for c in group))
        lines.append(_emphasis(f"{first.candidate} and {first.reference}", format_) + f": {_short(what)}")
        lines.append(f"  {first.reference} {first.reference_value}, {first.candidate} {first.candidate_value}")
        if not first.explanations:
            lines.append(f"  {first.verdict}: {first.reason or 'no convention closes the gap'}")
        for explanation in first.explanations:
            e = asdict(explanation)
            lines.append(f"  cause: {e['title']}")
            if e["formula"]:
                lines.append(f"  formula: {e['formula']}")
            if e["replay"] is not None:
                digits = "" if e["digits_after"] is None else f", {e['digits_after']:.1f} digits agree"
                lines.append(f"  replayed: {e['replay']}{digits}")
            lines += [f"  remedy{f' in {side}' if side else ''}: {text}" for side, text in e["remedy"].items()]
        lines.append("")
    for pair, reason in dict.fromkeys((f"{c.candidate} and {c.reference}", c.reason) for c in silent):
        lines.append(f"not compared: {_emphasis(pair, format_)}: {reason}")
    return "\n".join(lines).rstrip("\n") + "\n"


def _grouped(cells: Sequence[Cell]) -> Mapping[tuple[str, ...], list[Cell]]:
    """Gather the cells of two sources that have the same cause; standard errors first, what follows from them after."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: c.quantity != "std_error"):
        cause = cell.explanations[0].title if cell.explanations else f"{cell.term} {cell.quantity}"
        groups.setdefault((cell.reference, cell.candidate, cause), []).append(cell)
    return groups


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 4].rsplit(",", 1)[0] + ", ..."


def _emphasis(text: str, format_: str) -> str:
    if format_ == "markdown":
        return f"**{text}**"
    return click.style(text, bold=True) if sys.stdout.isatty() else text
