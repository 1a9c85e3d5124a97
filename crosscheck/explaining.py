"""What does ``crosscheck explain`` answer? Every difference of a column, with its cause, its replay and its remedy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.canon import dumps, plain
from crosscheck.columns import column_cells, refitting
from crosscheck.errors import UsageError, nearest
from crosscheck.explain.api import notes_of
from crosscheck.explain.forensics import Convention, Forensics, rank_column
from crosscheck.notes import footnote, note
from crosscheck.plan import Reachability, Task, Transport, make_plan
from crosscheck.runner import Workers, fit_all
from crosscheck.store import Cache, cache_dir, references_root
from crosscheck.study import ColumnSpec, Study, load_study
from crosscheck.verdict import AGREE, EXIT_AGREES, EXIT_DISCREPANCY, EXIT_NOTHING

if TYPE_CHECKING:
    from crosscheck.judging import Cell
    from crosscheck.results import EstimationResult


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
        fitted = {k: v for k, v in results.items() if v is not None}

        def again(task: Task) -> EstimationResult:
            answer = next(result for _, result in fit_all([task], workers, cache, timeout))
            return answer.with_(version=answer.version or plan.infos[task.engine].version)

        cells = column_cells(study, spec, tasks, fitted, refitting(plan, tasks, again))
    if term is not None:
        cells = _of_term(cells, term, results, f"{table}/{column}", study)
    silent = [c for c in cells if c.term == "*" and c.verdict != "unsupported"]
    compared = [c for c in cells if c.term != "*" and c.verdict != "unsupported"]
    differing = [c for c in compared if c.verdict not in AGREE]
    sys.stdout.write(_render(differing, silent, len(compared), f"{study.id} {table}/{column}", format_))
    if any(c.verdict in ("unexplained", "error") for c in (*differing, *silent)):
        return EXIT_DISCREPANCY
    return EXIT_NOTHING if silent or not compared else EXIT_AGREES


def _of_term(cells: Sequence[Cell], term: str, results: dict[int, Any], where: str, study: Study) -> list[Cell]:
    fitted = {row.term for result in results.values() if result is not None for row in result.coefs}
    known = sorted(fitted | {c.term for c in cells if c.term not in ("", "*")})
    if term not in known:
        raise UsageError(
            f"column {where} has no term {term!r}",
            where=str(study.file),
            allowed=", ".join(known),
            hint=nearest(term, known),
        )
    return [c for c in cells if c.term in (term, "*")]


def explain_published(path: Path, table: str, column: str, format_: str, limit: int) -> int:
    """Print which covariance, factor, degrees of freedom and sample give the printed standard errors of a column.

    Returns
    -------
    int
        0 where some convention gives everything printed, 1 where none does, 3 where there is nothing to rank.
    """
    study = load_study(path)
    spec = study.column(table, column)
    printed = study.printed(spec)
    found = rank_column(printed, study.sample(spec), spec.request, legend=dict(spec.legend), limit=limit)
    sys.stdout.write(_render_ranking(found, f"{study.id} {table}/{column}", spec, format_))
    if found is None:
        return EXIT_NOTHING
    return EXIT_AGREES if found.whole else EXIT_DISCREPANCY


def _render_ranking(found: Forensics | None, where: str, spec: ColumnSpec, format_: str) -> str:
    if format_ == "json":
        rows = [] if found is None else [{**plain(c), "whole": c.whole} for c in found.ranked]
        shown = {"column": where, "tried": found.tried if found else 0, "odds": found.odds if found else None}
        return dumps({**shown, "whole": len(found.whole) if found else 0, "ranked": rows}, indent=1) + "\n"
    if found is None:
        estimator = spec.request.estimator
        return f"{where}: no standard error is printed for a column that a closed form answers ({estimator})\n"
    count = len(found.whole)
    if count:
        head = f"{where}: {count} of {found.tried} conventions give everything printed"
    else:
        head = f"{where}: none of {found.tried} conventions gives everything printed; the nearest are"
    lines = [head]
    if found.odds > 0.05:
        lines.append(f"so few digits are printed that some convention would fit by chance (odds {found.odds:.2g})")
    for number, c in enumerate(found.ranked, 1):
        lines += ["", *_ranked(number, c)]
    text = "\n".join(lines) + "\n"
    return text if format_ != "latex" else "".join(f"% {line}\n" for line in text.splitlines())


def _ranked(number: int, c: Convention) -> list[str]:
    sample = f", without {c.sample}" if c.sample else ""
    lines = [
        f"{number}. {c.words}{sample} (N = {c.nobs:g})",
        f"   standard errors {c.errors_met} of {c.errors}, digits {c.digits_right} of {c.digits}, "
        f"estimates {c.estimates_met} of {c.estimates}; departures from the study: {c.departs}",
    ]
    if c.laws:
        lines.append(f"   printed p-values, bounds or stars: {'; '.join(c.laws)}")
    return lines


def _render(cells: Sequence[Cell], silent: Sequence[Cell], compared: int, where: str, format_: str) -> str:
    if format_ == "json":
        return dumps([c.to_json() for c in (*silent, *cells)], indent=1) + "\n"
    if format_ == "latex":
        lines = [footnote(subject, explained[0], explained[0].remedy) for subject, explained in notes_of(cells)]
        lines += [f"% {_unexplained(c)}" for c in cells if not c.explanations]
        return "\n".join(lines or [f"% {where}: all {compared} comparisons agree"]) + "\n"
    if not compared:
        lines = [f"{where}: nothing was compared"]
    elif not cells:
        lines = [f"{where}: all {compared} comparisons agree"]
    else:
        lines = [f"{where}: {len(cells)} of {compared} comparisons differ", ""]
    for subject, explained in notes_of(cells):
        pair = _emphasis(f"{subject.candidate} and {subject.reference}", format_)
        lines += [f"{pair}:", note(subject, explained[0], explained[0].remedy, ambiguous=len(explained) - 1)]
        lines += [f"  or: {e.title}; {e.formula}" for e in explained[1:]]
        lines.append("")
    lines += [f"{_unexplained(c)}" for c in cells if not c.explanations]
    for pair, reason in dict.fromkeys((f"{c.candidate} and {c.reference}", c.reason) for c in silent):
        lines.append(f"not compared: {_emphasis(pair, format_)}: {reason}")
    return "\n".join(lines).rstrip("\n") + "\n"


def _unexplained(c: Cell) -> str:
    what = f"{c.quantity} of {c.term}" if c.term else c.quantity
    reason = c.reason or "no convention closes the gap"
    values = f"{c.reference} {c.reference_value}, {c.candidate} {c.candidate_value}"
    return f"{c.candidate} and {c.reference}: {what}: {values}; {c.verdict}: {reason}"


def _emphasis(text: str, format_: str) -> str:
    if format_ == "markdown":
        return f"**{text}**"
    return click.style(text, bold=True) if sys.stdout.isatty() else text
