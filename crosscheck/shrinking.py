"""What does ``crosscheck shrink`` do? It reduces the worst difference of a user's study to a few rows.

The study is fitted, its worst difference of two engines is taken (printed numbers and known truths cannot be shrunk:
they belong to the whole panel), and rows, columns and digits go as long as the two engines still differ in the same
number, with the same verdict, at least as visibly. Labels and names of columns are replaced, so that the
rest can be shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from crosscheck import engines
from crosscheck.canon import dumps
from crosscheck.columns import column_cells
from crosscheck.errors import EngineMissing, UsageError
from crosscheck.finding_folder import Seen, write_own
from crosscheck.frame import Column, Frame
from crosscheck.judging import Cell
from crosscheck.narrower import (
    layout_of,
    plain_names,
    renamed,
    renamed_term,
    term_with_levels,
    with_levels,
    without_columns,
)
from crosscheck.plan import Plan, Reachability, Task, Transport, lane_of, make_plan
from crosscheck.results import EstimationResult, failed
from crosscheck.runner import Workers, fit_all, utc_now
from crosscheck.shrink import Shrunk, shrink
from crosscheck.shrink.labels import plain_labels
from crosscheck.spec import FitRequest
from crosscheck.store import Cache, cache_dir, references_root, require_writable
from crosscheck.study import ColumnSpec, Study, load_study
from crosscheck.verdict import AGREE, BADNESS, EXIT_AGREES, EXIT_DISCREPANCY, EXIT_NOTHING, SEVERITIES, Verdict

VISIBLE = 1.0
"""Digits that agree at most in a difference which nobody overlooks: there the size is not asked to grow further."""
FOLDER_FILES = ("panel.csv", "study.toml", "repro.py", "repro.R", "finding.toml", "issue.md")
UNSHRINKABLE = ("published", "truth")
Identity = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkRequest:
    """The arguments of ``crosscheck shrink``."""

    study: Path
    table: str | None = None
    column: str | None = None
    out: Path | None = None
    transport: Transport = "auto"
    timeout: float = 120.0
    max_calls: int = 1500
    max_seconds: float = 300.0
    format: str = "text"


@dataclass(frozen=True, kw_only=True, eq=False)
class Asker:
    """Fits two engines to a panel and says whether they still differ as they did."""

    study: Study
    column: ColumnSpec
    plan: Plan
    first: Cell
    workers: Workers
    timeout: float

    def results(self, request: FitRequest, frame: Frame) -> dict[str, EstimationResult]:
        """Fit both engines; what an engine says beforehand that it cannot do is not asked."""
        found = {}
        for name in (self.first.reference, self.first.candidate):
            engine = engines.get(name)
            support = engine.supports(request)
            if support:
                worker = self.workers.of(lane_of(name))
                found[name] = worker.fit(name, request, frame, timeout=self.timeout)
            else:
                found[name] = failed(name, support.reason, status="unsupported")
        return found

    def cell(self, request: FitRequest, frame: Frame, term: str) -> Cell | None:
        """Return the comparison of the same term and quantity on a panel, or ``None`` where there is none."""
        column = replace(
            self.column, request=request, candidates=(self.first.candidate,), references=(self.first.reference,)
        )
        results = self.results(request, frame)
        tasks = tuple(
            Task(engine=name, column=column, frame=frame, data_hash="", cache_key="", answer=result)
            for name, result in results.items()
        )
        cells = column_cells(_bare(self.study), column, tasks, {id(t): results[t.engine] for t in tasks})
        return next((c for c in cells if (c.term, c.quantity) == (term, self.first.quantity)), None)

    def identity(self, cell: Cell | None, term: str) -> Identity | None:
        """Return which difference a comparison shows, ``None`` where it is smaller than the first or none."""
        if cell is None or cell.verdict in AGREE or cell.verdict == "unsupported":
            return None
        first = self.first
        if first.digits is not None and (cell.digits is None or cell.digits > max(first.digits, VISIBLE)):
            return None
        rule = cell.explanations[0].rule if cell.explanations else ""
        reason = cell.reason if cell.verdict == "error" else ""
        return (cell.verdict, rule, cell.quantity, cell.reference, cell.candidate, term, _kind_of_error(reason))

    def question(self, frame: Frame) -> Identity | None:
        """Answer for the shrinker: on a panel that may lack columns."""
        request = without_columns(self.column.request, frame.names)
        if request is None:
            return None
        return self.identity(self.cell(request, frame, self.first.term), self.first.term)


def _kind_of_error(reason: str) -> str:
    """Return an error without the numbers and names that change with the panel."""
    return "".join(c for c in reason.split("\n", maxsplit=1)[0] if not c.isdigit())[:80]


def _bare(study: Study) -> Study:
    return replace(study, published=(), truths=(), known=())


def worst(cells: Iterable[Cell]) -> Cell | None:
    """Return the difference of two engines that is hardest to accept, or ``None`` where none differs.

    Unexplained before explained, then the graver, then standard errors and estimates before what follows from them,
    then the larger.
    """
    order: tuple[Verdict, ...] = BADNESS
    first = ("estimate", "std_error", "nobs")
    differing = [
        c
        for c in cells
        if c.verdict not in (*AGREE, "unsupported", "stale", "stochastic", "known")
        and c.reference not in UNSHRINKABLE
        and not (c.verdict.startswith("missing") and c.term == "*")
        and not (c.verdict.startswith("missing") and c.severity == "none")
    ]
    return min(
        differing,
        key=lambda c: (
            order.index(c.verdict),
            -SEVERITIES.index(c.severity),
            first.index(c.quantity) if c.quantity in first else len(first),
            c.digits if c.digits is not None else 0.0,
            c.term,
        ),
        default=None,
    )


def shrink_study(asked: ShrinkRequest) -> int:
    """Shrink the worst difference of a study and write it as a finding's folder.

    Returns
    -------
    int
        1 where an unexplained difference (or a failure) was shrunk, 0 where an explained one was or nothing differs, 3
        where nothing was compared or the engines that differ cannot be run here.
    """
    if asked.table is not None and asked.column is None:
        raise UsageError("a table is named without a column", hint="crosscheck shrink STUDY TABLE COLUMN")
    study = load_study(asked.study)
    if asked.table is not None and asked.column is not None:
        study.column(asked.table, asked.column)
    if asked.out is not None:
        require_writable(asked.out, "the folder of the finding", hint="name another folder with --out")
    cache = Cache(cache_dir())
    cache.require_writable()
    reach = Reachability(asked.transport)
    root = references_root(study.folder, study.id)
    plan = make_plan(study, reach, cache, only=(asked.table,) if asked.table else (), references_root=root)
    with Workers() as workers:
        columns, cells, compared = _all_cells(plan, asked, workers, cache)
        found = worst(cells)
        where = f"{study.id} {asked.table}/{asked.column}" if asked.table else study.id
        if found is None:
            click.echo(f"{where}: {'nothing differs' if compared else 'nothing was compared'}; nothing to shrink")
            return EXIT_AGREES if compared else EXIT_NOTHING
        _need_live(plan, found)
        column = columns[found.table, found.column]
        asker = Asker(study=study, column=column, plan=plan, first=found, workers=workers, timeout=asked.timeout)
        click.echo(f"shrinking {_title(found)} of {where}", err=True)
        frame = study.sample(column)
        layout = layout_of(column.request, frame.names)
        shrunk = shrink(frame, asker.question, layout=layout, max_calls=asked.max_calls, max_seconds=asked.max_seconds)
        seen = _plainly_named(asker, shrunk)
    folder = write_own(asked.out, study, plan, found, seen, shrunk, utc_now().astimezone(dt.UTC).date())
    click.echo(_summary(found, shrunk, frame, seen, folder, asked.format))
    return EXIT_DISCREPANCY if found.verdict in ("unexplained", "error", "nondeterministic") else EXIT_AGREES


def _all_cells(
    plan: Plan, asked: ShrinkRequest, workers: Workers, cache: Cache
) -> tuple[dict[tuple[str, str], ColumnSpec], list[Cell], int]:
    study = plan.study
    results = {id(t): t.answer for t in plan.tasks if t.answer is not None}
    wanted = [c for c in study.columns if asked.table is None or (c.table, c.id) == (asked.table, asked.column)]
    tasks = [t for t in plan.tasks if any(t.column is c for c in wanted)]
    for task, result in fit_all([t for t in tasks if t.answer is None], workers, cache, asked.timeout):
        results[id(task)] = result.with_(version=result.version or plan.infos[task.engine].version)
    cells: list[Cell] = []
    for column in wanted:
        if mine := plan.of_column(column):
            cells += column_cells(_bare(study), column, mine, {k: v for k, v in results.items() if v is not None})
    compared = sum(c.verdict in AGREE or c.abs_diff is not None for c in cells)
    return {(c.table, c.id): c for c in wanted}, cells, compared


def _need_live(plan: Plan, cell: Cell) -> None:
    for name in (cell.reference, cell.candidate):
        info = plan.infos.get(name)
        if info is None or info.transport != "live":
            reason, _, remedy = (info.reason if info else "a recorded result").partition("; do: ")
            raise EngineMissing(
                f"the worst difference is of {name}, which cannot be run on smaller panels here: {reason}",
                hint=remedy or "shrink where the engine is installed, or name a column whose engines are",
            )


def _title(cell: Cell) -> str:
    what = f"{cell.quantity} of {cell.term}" if cell.term not in ("", "*") else cell.quantity
    return f"{what}, {cell.candidate} against {cell.reference} ({cell.verdict})"


def _plainly_named(asker: Asker, shrunk: Shrunk) -> Seen:
    """Give the columns plain names where the difference does not depend on theirs."""
    frame = shrunk.frame
    request = without_columns(asker.column.request, frame.names)
    assert request is not None
    used = frame.select([n for n in frame.names if n in request.columns]) if request.columns else frame
    first, term = asker.first, asker.first.term
    kept = shrunk.identity
    assert isinstance(kept, tuple)
    mapping = plain_names(request, used.names)
    other = replace(used, columns=tuple(replace(c, name=mapping.get(c.name, c.name)) for c in used.columns))
    new_request, new_term = renamed(request, mapping), renamed_term(term, mapping)
    cell = asker.cell(new_request, other, new_term)
    named = asker.identity(cell, new_term)
    if cell is not None and named is not None and named[:5] == kept[:5]:
        return _plain_levels(asker, Seen(frame=other, request=new_request, term=new_term, cell=cell, plain=True), kept)
    cell = asker.cell(request, used, term)
    return Seen(frame=used, request=request, term=term, cell=cell or first, plain=False)


def _plain_levels(asker: Asker, seen: Seen, kept: Identity) -> Seen:
    """Give levels that the formula or the coefficient names plain names as well, column by column."""
    for column in seen.frame.columns:
        plain = plain_labels(len(column.levels), column.name[:1])
        if column.kind != "category" or column.levels == plain:
            continue
        mapping = {column.name: dict(zip(column.levels, plain, strict=True))}
        other = Column(column.name, "category", column.values, plain)
        frame = replace(seen.frame, columns=tuple(other if c is column else c for c in seen.frame.columns))
        request, term = with_levels(seen.request, mapping), term_with_levels(seen.term, mapping)
        cell = asker.cell(request, frame, term)
        named = asker.identity(cell, term)
        if cell is not None and named is not None and named[:5] == kept[:5]:
            seen = replace(seen, frame=frame, request=request, term=term, cell=cell)
    return seen


def kept_as_they_were(seen: Seen) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns whose labels, and those whose digits, are still the user's own.

    Labels are the user's where they are not plain; digits where a number has more than three.
    """
    labels, digits = [], []
    for column in seen.frame.columns:
        if column.kind == "category":
            if column.levels != plain_labels(len(column.levels), column.name[:1]):
                labels.append(column.name)
        elif column.kind in ("integer", "float"):
            values = {float(v) for v in column.as_float() if np.isfinite(v)}
            if any(float(f"{v:.3g}") != v for v in values):
                digits.append(column.name)
    return tuple(labels), tuple(digits)


def _kept(seen: Seen) -> list[str]:
    labels, digits = kept_as_they_were(seen)
    lines = []
    if not seen.plain:
        lines.append("  the difference depends on names of columns, which were kept: look before you show it")
    if labels:
        lines.append(f"  labels kept, since the difference needs them: {', '.join(labels)}: look before you show it")
    if digits:
        lines.append(f"  more than three digits kept in {', '.join(digits)}: look before you show it")
    return lines


def _summary(cell: Cell, shrunk: Shrunk, before: Frame, seen: Seen, folder: Path, format_: str) -> str:
    after = seen.frame
    if format_ == "json":
        facts = {
            "finding": folder.name,
            "folder": str(folder),
            **{name: getattr(seen.cell, name) for name in ("term", "quantity", "verdict", "digits")},
            "reference": seen.cell.reference,
            "candidate": seen.cell.candidate,
            "reference_value": seen.cell.reference_value,
            "candidate_value": seen.cell.candidate_value,
            "rows": [before.nrows, after.nrows],
            "columns": [len(before.columns), len(after.columns)],
            "calls": shrunk.calls,
            "stopped": shrunk.stopped,
            "plain_names": seen.plain,
            **dict(zip(("labels_kept", "digits_kept"), map(list, kept_as_they_were(seen)), strict=True)),
        }
        return dumps(facts, indent=1)
    bold = (lambda t: f"**{t}**") if format_ == "markdown" else (lambda t: t)
    lines = [
        bold(_title(seen.cell)),
        f"  {seen.cell.reference} {seen.cell.reference_value}, {seen.cell.candidate} {seen.cell.candidate_value}",
        f"  rows {before.nrows} -> {after.nrows}, columns {len(before.columns)} -> {len(after.columns)}, "
        f"{shrunk.calls} panels tried" + (f" (ended by the limit of {shrunk.stopped})" if shrunk.stopped else ""),
        f"  written to {folder}: {' '.join(n for n in FOLDER_FILES if (folder / n).is_file())}",
        *_kept(seen),
    ]
    return "\n".join(lines)
