"""What does a maintainer write into the changelog, and an author to the referee?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crosscheck.report.markdown import escape
from crosscheck.report.words import column_label, listing, plural, visible
from crosscheck.upgrade.model import PRIMARY, Change, Moved, Upgrade
from crosscheck.upgrade.phrases import called, capital, percent, support_lines, toward, value_text
from crosscheck.upgrade.summary import label, side_names

SECTIONS = (
    ("Numbers that change", ("number",)),
    ("Numbers that do not repeat", ("not repeatable",)),
    ("No longer there", ("term gone", "error new", "unsupported new", "report gone")),
    ("New, or works now", ("term new", "error gone", "unsupported gone", "report new")),
    ("Wording", ("renamed", "dropped", "error changed", "warning new", "warning gone")),
)
MOST = 12
MODEL = "model"
"""Term of the numbers that are a whole model's."""
SHOWN_DIGITS = 6


def changelog(upgrade: Upgrade) -> str:
    """Write a maintainer's changelog: what moved, why, and toward whom, as Markdown."""
    old, new = upgrade.old, upgrade.new
    lines = [f"## {escape(upgrade.package)} {escape(label(old, new).replace('->', '→'))}", ""]
    drifts = [c for c in upgrade.changes if c.kind == "number" and c.size == "drift"]
    for head, kinds in SECTIONS:
        chosen = [c for c in upgrade.changes if c.kind in kinds and c not in drifts]
        if not chosen:
            continue
        lines += [f"### {head}", ""]
        lines += [f"- {_bullet(c)}" for c in chosen[:MOST]]
        if len(chosen) > MOST:
            lines.append(f"- and {len(chosen) - MOST} more in upgrade.json")
        lines.append("")
    if drifts:
        count = sum(len(c.moved) for c in drifts)
        far = max((m.relative or 0.0 for c in drifts for m in c.moved), default=0.0)
        lines += [f"{plural(count, 'number')} drifted by {percent(far)} or less, the size of a solver's tolerance.", ""]
    if not upgrade.changes:
        lines += [escape(upgrade.summary.replace("->", "→")), ""]
    lines += [f"Found by crosscheck {upgrade.crosscheck}: {escape(_asked(upgrade))}.", ""]
    return visible("\n".join(lines))


def _bullet(c: Change) -> str:
    parts = [escape(capital(c.title.rstrip(".")))]
    example = first_number(c)
    if example is not None and c.kind == "number":
        what = named(example)
        parts.append(f"for example the {escape(what)}: {escape(brief(example.old))} → {escape(brief(example.new))}")
    if c.explanations:
        parts.append(f"{c.cause}: {escape(c.explanations[0].title)} (replayed)")
    elif c.kind == "number":
        parts.append("unexplained")
    parts += [escape(line) for line in support_lines(c)]
    return "; ".join(parts) + "."


def referee(upgrade: Upgrade, *, markdown: bool = False) -> str:
    """Write an author's note to the referee about the numbers of the paper, in plain words, a paragraph a study.

    As Markdown it is escaped; else it is text to be copied as it is.
    """
    old, new = upgrade.old, upgrade.new
    papers = [s for s in upgrade.studies if not s.sentinel]
    before, now = side_names(old, new)
    named = " with " in now
    changed = [f"{n} {a} → {b}" for n, a, b in upgrade.companions if a and b and a != b]
    versions = "" if named and len(changed) <= 3 else listing(changed, 9)
    lines = [
        f"All estimates were computed again with {upgrade.package} {now} "
        f"(before: {upgrade.package} {before}){f'; also changed: {versions}' if versions else ''}."
    ]
    if not papers:
        lines.append("No study of the paper was named, so this says nothing of its numbers.")
    paragraphs = [" ".join(lines)]
    for s in papers:
        lines = []
        moved = [c for c in s.changes if c.kind == "number"]
        broke = [c for c in moved if c.size == "break"]
        where = f"In {s.title}" if len(papers) > 1 else "In the paper"
        if not moved:
            lines.append(f"{where}, none of the {s.compared:,} numbers compared moved.")
        elif not broke:
            lines.append(
                f"{where}, {s.moved:,} of {s.compared:,} numbers moved by no more than a solver's tolerance, and no "
                "conclusion depends on them."
            )
        else:
            lines.append(
                f"{where}, {s.moved:,} of {s.compared:,} numbers moved, in {plural(s.moved_columns, 'column')}."
            )
        for c in broke:
            lines.append(_sentence(c))
        lost = [c for c in s.changes if c.standing == "worse"]
        lines += [f"{capital(c.title.rstrip('.'))}." for c in lost]
        decided = [m for c in s.changes for m in c.moved if m.severity == "decision"]
        if broke:
            lines.append(
                f"A sign, a significance level or whether an interval holds zero changes for {_terms(decided)}."
                if decided
                else "No sign and no level of significance changes."
            )
        paragraphs.append(" ".join(lines))
    plain = [p.replace(f"{upgrade.package}@", f"{upgrade.package} ") for p in paragraphs]
    return visible("\n\n".join(map(escape, plain) if markdown else plain)) + "\n"


def _sentence(c: Change) -> str:
    example = first_number(c)
    text = capital(c.title)
    if example is not None:
        what = named(example)
        place = _place(example)
        text += f" (for example the {what}, {place}: {brief(example.old)} before, {brief(example.new)} now)"
    text += f": {c.explanations[0].title}." if c.explanations else "; the cause is not known."
    said = [toward(w, example.kind) for w in example.witnesses] if example is not None else []
    return text + (f" The new number of the example: {listing(said, 6)}." if said else "")


def named(m: Moved) -> str:
    """Return what a number is: of which term, where it is of one."""
    return f"{called(m.quantity, 1)} of {m.term}" if m.term and m.term != MODEL else called(m.quantity, 1)


def _place(m: Moved) -> str:
    table = m.table if m.table.lower().startswith(("table", "figure")) else f"table {m.table}"
    return f"{table}, column {column_label(m.column)}"


def _terms(moved: Sequence[Moved]) -> str:
    names = dict.fromkeys(f"{m.term} ({_place(m)})" for m in moved)
    return listing(names, 4)


def _asked(upgrade: Upgrade) -> str:
    parts = [
        f"{plural(s.columns, 'case' if s.sentinel else 'column')} of {s.title or s.study}" for s in upgrade.studies
    ]
    named = dict.fromkeys(w.name for s in upgrade.studies for w in s.witnesses)
    return f"{listing(parts, 6)}, beside {listing(named, 6)}" if named else listing(parts, 6)


def brief(value: float | str | None) -> str:
    """Write a number as a reader compares it."""
    return f"{value:.{SHOWN_DIGITS}g}" if isinstance(value, float) else value_text(value)


def first_number(change: Change) -> Moved | None:
    """Return the number that stands for a change: a coefficient or standard error that moved most."""
    order: Iterable[Moved] = change.moved
    return min(
        order,
        key=lambda m: (m.quantity not in PRIMARY[:2], m.quantity not in PRIMARY, -(m.relative or 0.0)),
        default=None,
    )
