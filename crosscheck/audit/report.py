"""How are the paper's own tables laid out again, every number linked to its checks?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from crosscheck.audit.checks import CATEGORIES, CATEGORY_TITLES, FAMILIES, Check
from crosscheck.audit.tokens import Token, heading

if TYPE_CHECKING:
    from crosscheck.audit.api import AuditReport

MARKS = {"inconsistent": "\u2717", "reveals": "\u25c6", "consistent": "\u2713", "cannot_tell": "\u00b7"}
SHORT_TITLES = {"arithmetic": "arithmetic", "design": "design", "claim": "claim", "undisclosed": "undisclosed"}
STATISTICS = ("r2", "adj_r2", "r2_within", "nobs")
LABELS = {
    "r2": "R\u00b2", "adj_r2": "Adj. R\u00b2", "r2_within": "Within R\u00b2", "nobs": "N", "mean": "Mean",
    "std_dev": "SD", "min": "Min", "max": "Max", "statistic": "t", "p_value": "p",
}  # fmt: skip


FIRST = re.compile(r"(?<=[^.\s]{3})[.;] ")
SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


def in_short(statement: str) -> str:
    """The first clause of a statement."""
    quoted = statement.startswith('"')
    return statement if quoted else FIRST.split(statement, maxsplit=1)[0].rstrip(".") + "."


def escaped(text: str) -> str:
    """Text as Markdown shows it literally."""
    return SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("\n", " "))


def code(text: str) -> str:
    """Text inside a Markdown code span."""
    return text.replace("`", "'").replace("\n", " ")


@dataclass(frozen=True, slots=True)
class Shown:
    """One token in a cell: id for the link, text, verdict."""

    id: str
    text: str
    verdict: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: label, and per column the tokens of a cell."""

    label: str
    cells: tuple[tuple[Shown, ...], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """One of the paper's tables."""

    id: str
    columns: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[Row, ...]


def layouts(report: AuditReport) -> tuple[Layout, ...]:
    """Lay the printed tokens out as the paper's tables."""
    tokens = list(report.paper.tokens.values())
    anchors = {t.id: f"t{i}" for i, t in enumerate(tokens)}
    out = []
    for table in dict.fromkeys(t.table for t in tokens):
        mine = [t for t in tokens if t.table == table]
        if any(t.quantity in ("mean", "std_dev") for t in mine):
            out.append(_descriptive(report, table, mine, anchors))
        else:
            out.append(_regression(report, table, mine, anchors))
    return tuple(out)


def _shown(report: AuditReport, token: Token, text: str, anchors: dict[str, str]) -> Shown:
    return Shown(token.id, text, report.token_verdict(token.id), anchors[token.id])


def _descriptive(report: AuditReport, table: str, mine: list[Token], anchors: dict[str, str]) -> Layout:
    quantities = tuple(dict.fromkeys(t.quantity for t in mine))
    rows = []
    for term in dict.fromkeys(t.term for t in mine):
        by = {t.quantity: t for t in mine if t.term == term}
        cells = tuple((_shown(report, by[q], by[q].printed, anchors),) if q in by else () for q in quantities)
        rows.append(Row(term, cells))
    return Layout(table, quantities, tuple(LABELS.get(q, q) for q in quantities), tuple(rows))


def _regression(report: AuditReport, table: str, mine: list[Token], anchors: dict[str, str]) -> Layout:
    columns = tuple(dict.fromkeys(t.column for t in mine))
    outcome = {c.facts.id: c.facts.outcome for c in report.paper.columns if c.facts.table == table}
    by = {(t.column, t.term, t.quantity): t for t in mine}
    terms = tuple(dict.fromkeys(t.term for t in mine if t.term))
    constant = report.paper.facts.constant_term
    rows = []
    for term in sorted(terms, key=lambda name: name == constant):
        upper, lower = [], []
        for column in columns:
            first = [by.get((column, term, q)) for q in ("estimate", "stars")]
            second = [by.get((column, term, q)) for q in ("std_error", "statistic", "p_value")]
            upper.append(tuple(_shown(report, t, t.printed, anchors) for t in first if t is not None))
            lower.append(
                tuple(
                    _shown(
                        report,
                        t,
                        f"({t.printed})" if t.quantity == "std_error" else f"{LABELS[t.quantity]} = {t.printed}",
                        anchors,
                    )
                    for t in second
                    if t is not None
                )
            )
        rows.append(Row(term, tuple(upper)))
        if any(lower):
            rows.append(Row("", tuple(lower)))
    for quantity in STATISTICS:
        cells = tuple(
            (_shown(report, by[(c, "", quantity)], by[(c, "", quantity)].printed, anchors),)
            if (c, "", quantity) in by else () for c in columns
        )  # fmt: skip
        if any(cells):
            rows.append(Row(LABELS[quantity], cells))
    heads = tuple(f"({c}) {outcome.get(c, '')}".strip() for c in columns)
    return Layout(table, columns, heads, tuple(rows))


def render(report: AuditReport, template: str) -> str:
    """Fill one of the package's templates."""
    env = Environment(
        loader=PackageLoader("crosscheck.audit", "templates"), undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    env.filters["heading"] = heading
    env.filters["short"] = in_short
    env.filters["md"] = escaped
    env.filters["code"] = code
    tokens = list(report.paper.tokens.values())
    by_id: dict[str, Check] = {c.id: c for c in report.checks}
    return env.get_template(template).render(
        report=report,
        title=report.paper.facts.paper or "Audit of printed tables",
        layouts=layouts(report),
        marks=MARKS,
        categories=[(c, CATEGORY_TITLES[c], [f for f in report.findings if f.category == c]) for c in CATEGORIES],
        titles=SHORT_TITLES,
        families=FAMILIES,
        tokens=tokens,
        anchors={t.id: f"t{i}" for i, t in enumerate(tokens)},
        checks=by_id,
        check_anchors={c.id: f"c{i}" for i, c in enumerate(report.checks)},
        checks_of=dict(report.coverage.checks_of),
        per_family=_per_family(report),
    )


def _per_family(report: AuditReport) -> list[tuple[int, str, dict[str, int]]]:
    out = []
    for number, name in FAMILIES.items():
        mine = [c for c in report.checks if c.family == number]
        counts = {
            v: sum(c.verdict == v for c in mine) for v in ("consistent", "inconsistent", "reveals", "cannot_tell")
        }
        out.append((number, name, counts))
    return out
