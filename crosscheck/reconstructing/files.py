"""Which files does a reconstruction consist of? The panel, the study that asks what the paper asked, and notes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck import __version__
from crosscheck.audit.facts import Column
from crosscheck.audit.paper import ColumnView, Paper
from crosscheck.canon import dumps
from crosscheck.errors import DataError
from crosscheck.judging import Cell
from crosscheck.simulate.printed import Layout
from crosscheck.simulate.tables import cell as written
from crosscheck.simulate.targets import CONSTANT, Array
from crosscheck.study_file import STARS
from crosscheck.verdict import AGREE

GROUP = "group"
FILES = ("panel.csv", "study.toml", "published.csv", "SOURCE.md", "NOTES.md", "reproduction.csv")
KINDS = ("matched", "trimmed", "winsorised")
SIMULATED = (
    "This panel was made from the printed tables, so that agreement with the printed numbers says nothing about the "
    "data they were computed from."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which printed columns a panel is asked to give, and which not, with the reason."""

    columns: tuple[ColumnView, ...]
    left_out: tuple[tuple[str, str], ...]


def reach_of(paper: Paper, place: Layout) -> Reach:
    """Say which printed columns set targets, and why the others do not."""
    columns, left_out = [], []
    for column in paper.columns:
        sample = paper.sample(column.facts.sample)
        if not column.is_ols:
            left_out.append((column.key, "it is no ordinary regression"))
        elif sample.kind in KINDS and not (sample.kind == "winsorised" and sample.id in place.winsor):
            left_out.append((column.key, f"its sample is {sample.kind}, and nobody knows its rows"))
        elif not column.tokens:
            left_out.append((column.key, "nothing of it is printed"))
        else:
            columns.append(column)
    declared = {c.key for c in paper.columns}
    facts = paper.facts.descriptives
    if facts is not None:
        declared.add(f"{facts.table}:{facts.column}")
    others = dict.fromkeys(f"{t.table}:{t.column}" for t in paper.tokens.values())
    left_out += [(key, "audit.toml does not declare it") for key in others if key not in declared]
    return Reach(columns=tuple(columns), left_out=tuple(left_out))


def study_files(
    folder: Path, paper: Paper, place: Layout, names: Sequence[str], data: Array, reach: Reach, seed: int
) -> dict[str, str]:
    """Return the files of the new study but for what its estimation will say."""
    return {
        "panel.csv": _panel(paper, place, names, data),
        "published.csv": _published(folder, paper, reach),
        "study.toml": _study(paper, place, names, data, reach),
        "SOURCE.md": _source(paper, seed),
    }


def _panel(paper: Paper, place: Layout, names: Sequence[str], data: Array) -> str:
    panel, treatment = paper.facts.panel, paper.facts.treatment
    assert panel is not None
    assert treatment is not None
    own = [panel.unit, panel.time, GROUP, treatment.term]
    clash = sorted({*own} & {*names} | {n for n in own if own.count(n) > 1})
    if clash:
        raise DataError(
            f"{clash[0]!r} would name two columns: unit, time, treatment, {GROUP!r} and the variables differ",
            where="audit.toml",
        )
    columns: dict[str, Sequence[Any]] = {
        panel.unit: [place.units[i] for i in place.unit],
        panel.time: [place.periods[t] for t in place.time],
        GROUP: [place.group[i] or "rest" for i in place.unit],
        treatment.term: place.treatment.astype(int).tolist(),
    }
    for j, name in enumerate(names):
        whole = _whole(data[:, j])
        columns[name] = (data[:, j].astype(np.int64) if whole else data[:, j]).tolist()
    return _csv(tuple(columns), zip(*([written(v) for v in c] for c in columns.values()), strict=True))


def _whole(values: Array) -> bool:
    return bool(np.all(values == np.round(values)))


def _csv(header: Sequence[str], rows: Any) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _published(folder: Path, paper: Paper, reach: Reach) -> str:
    """Return the rows of the paper's ``published.csv`` that belong to the columns in reach."""
    kept = {c.key for c in reach.columns}
    if paper.facts.descriptives is not None:
        kept.add(f"{paper.facts.descriptives.table}:{paper.facts.descriptives.column}")
    with (folder / "published.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [r for r in csv.DictReader(file) if f"{r['table']}:{r['column']}" in kept]
    header = ("table", "column", "term", "quantity", "printed")
    return _csv(header, ([r[name] for name in header] for r in rows))


def _study(paper: Paper, place: Layout, names: Sequence[str], data: Array, reach: Reach) -> str:
    facts = paper.facts
    panel, treatment, legend = facts.panel, facts.treatment, facts.legend
    assert panel is not None
    assert treatment is not None
    stars = {legend.mark(i + 1): p for i, p in enumerate(legend.levels)} if legend is not None else dict(STARS)
    lines = [
        "# Made by crosscheck reconstruct: the data are simulated from printed numbers (SOURCE.md).",
        "schema = 1",
        'study = "reconstruction"',
        f"title = {_text(f'Reconstruction of: {facts.paper}' if facts.paper else 'Reconstruction')}",
        f"constant_term = {_text(facts.constant_term)}",
        "legend = { " + ", ".join(f"{_text(mark)} = {p!r}" for mark, p in reversed(stars.items())) + " }",
        "",
        "[data]",
        'path = "panel.csv"',
        f"unit = {_text(panel.unit)}",
        f"time = {_text(panel.time)}",
        f"simulated = {_text(SIMULATED)}",
        "",
        "# The first unit is the base of the unit dummies.",
        "[data.levels]",
        f"{_text(panel.unit)} = [{', '.join(_text(u) for u in place.units)}]",
        "",
        "[data.kinds]",
        f'{_text(panel.unit)} = "category"',
        f'{_text(panel.time)} = "integer"',
        f'{_text(GROUP)} = "category"',
        f'{_text(treatment.term)} = "integer"',
        *(f'{_text(n)} = "{"integer" if _whole(data[:, j]) else "float"}"' for j, n in enumerate(names)),
        "",
        "[defaults]",
        'vcov = { type = "iid" }',
        '# Where R is: references = ["r.fixest"]',
        'candidates = ["pyfixest", "linearmodels", "statsmodels", "oracle"]',
        "references = []",
    ]
    if facts.descriptives is not None:
        described = dict.fromkeys(
            t.term
            for t in paper.tokens.values()
            if (t.table, t.column) == (facts.descriptives.table, facts.descriptives.column) and t.term
        )
        shown = [n for n in described if n in {*names, treatment.term}]
        lines += [
            "",
            "[[table]]",
            f"id = {_text(facts.descriptives.table)}",
            "",
            "[[table.column]]",
            f"id = {_text(facts.descriptives.column)}",
            'estimator = "describe"',
            f"options = {{ variables = [{', '.join(map(_text, shown))}] }}",
            'candidates = ["designs"]',
        ]
    opened = facts.descriptives.table if facts.descriptives is not None else None
    for table in dict.fromkeys(c.facts.table for c in reach.columns):
        if table != opened:
            lines += ["", "[[table]]", f"id = {_text(table)}"]
        for column in (c for c in reach.columns if c.facts.table == table):
            group = paper.sample(column.facts.sample).group
            lines += [
                "",
                "[[table.column]]",
                f"id = {_text(column.facts.id)}",
                f"formula = {_text(formula(column, panel.unit, panel.time, facts.constant_term))}",
            ]
            if group:
                where = f"`{GROUP}` == '{column.facts.sample}'"
                lines.append(f"sample = {{ where = {_text(where)} }}")
    return "\n".join(lines) + "\n"


def known_rows(cells: Sequence[Cell]) -> str:
    """Return ``[[known]]`` rows for numbers that are reproduced to the digits before their padded zeros only."""
    lines: list[str] = []
    for c in (c for c in cells if c.verdict in AGREE and "padded" in c.reason):
        words = (("table", c.table), ("column", c.column), ("term", c.term), ("quantity", c.quantity))
        lines += ["", "[[known]]", *(f"{key} = {_text(value)}" for key, value in words)]
        lines += ['reference = "published"', 'kind = "erratum"', f"reason = {_text(c.reason)}", 'source = "NOTES.md"']
    return "\n".join([*lines, ""]) if lines else ""


def formula(column: ColumnView, unit: str, time: str, constant_term: str) -> str:
    """Return a column's formula: effects as dummies where the constant is printed, which absorbed ones do not give."""
    facts: Column = column.facts
    named = {"unit": unit, "time": time}
    effects = [named[e] for e in facts.fixed_effects if e in named]
    terms = [f"`{t}`" for t in facts.terms]
    if effects and any(t in (constant_term, CONSTANT) for t in column.printed_terms):
        terms += [f"factor(`{e}`)" for e in effects]
        effects = []
    absorbed = " + ".join(f"`{e}`" for e in effects)
    return f"`{facts.outcome}` ~ {' + '.join(terms) or '1'}" + (f" | {absorbed}" if absorbed else "")


def _text(value: str) -> str:
    """Write a text as a basic string of TOML, which JSON's strings are."""
    return dumps(value).replace("\x7f", "\\u007f")


def reproduction(cells: Sequence[Cell]) -> str:
    """Return ``reproduction.csv``: every printed number, what the panel gives, and whether that rounds to it."""
    header = ("table", "column", "term", "quantity", "printed", "value", "reproduced", "digits", "reason")
    return _csv(
        header,
        (
            (
                c.table,
                c.column,
                c.term,
                c.quantity,
                c.printed or "",
                "" if c.candidate_value is None else written(c.candidate_value),
                "yes" if c.verdict in AGREE else "no",
                "" if c.digits is None else f"{c.digits:.1f}",
                c.reason,
            )
            for c in cells
        ),
    )


def _source(paper: Paper, seed: int) -> str:
    name = paper.facts.paper or "the paper whose tables are in published.csv"
    return f"""# Source

**The data in `panel.csv` are simulated.** Nobody observed them. crosscheck {__version__} made them
(`crosscheck reconstruct`, seed {seed}) such that they give the numbers that are printed in: {name}.

Units, the choice of who is treated, and every value are invented; only what the printed tables and the declared facts
say is met. Many other panels give the same printed numbers. This one shows that the numbers are jointly possible and
what programs make of such data. It is no evidence about the world, nor about the data that the authors had.
"""


def notes(paper: Paper, reach: Reach, cells: Sequence[Cell], seed: int) -> str:
    """Return ``NOTES.md``: what was reached, what was not, and what set no target."""
    good = sum(c.verdict in AGREE for c in cells)
    lines = [
        "# Notes",
        "",
        f"Simulated from printed numbers with seed {seed}; see SOURCE.md.",
        "",
        f"{good} of {len(cells)} printed numbers are reproduced by closed forms from the files as written; "
        "reproduction.csv lists each.",
    ]
    lost = [c for c in cells if c.verdict not in AGREE]
    if lost:
        lines += ["", "Not reproduced:", ""]
        lines += [f"- {c.table} {c.column}, {c.quantity} of {c.term or 'the fit'}: {c.reason}" for c in lost]
    if reach.left_out:
        lines += ["", "Printed columns that set no target:", ""]
        lines += [f"- {key}: {reason}" for key, reason in reach.left_out]
    if len(paper.cohorts) > 1:
        lines += ["", f"{len(paper.cohorts)} numbers of treated units fit what is printed; the first was taken."]
    return "\n".join(lines) + "\n"
