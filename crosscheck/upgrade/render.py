"""What do the terminal, a pull request and a browser show of an upgrade?"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment

from crosscheck.report import words
from crosscheck.report.digits import digits_text
from crosscheck.report.html import page_environment
from crosscheck.report.markdown import escape, row
from crosscheck.report.words import listing, visible
from crosscheck.upgrade.model import Change, Moved, Upgrade
from crosscheck.upgrade.phrases import called, capital, percent, support_lines, toward, value_text, word
from crosscheck.upgrade.standings import tells
from crosscheck.upgrade.summary import label, side_names
from crosscheck.upgrade.texts import changelog, first_number, referee

__all__ = ["changelog", "html", "markdown", "print_upgrade", "referee"]

SHOWN = 8
SHOWN_NUMBERS = 60
EXITS = {
    0: "no number moved and nothing was lost at or above the threshold",
    1: "a number moved, or something was lost, at or above the threshold",
    3: "nothing was compared",
}
STYLES = {"different": "bold red", "missing": "magenta", "explained": "yellow", "agree": "green"}
STANDINGS = {"moved": "another number", "worse": "lost", "better": "gained", "note": "for your information"}


def group(change: Change) -> str:
    """Return the colour of a change."""
    if change.standing == "better":
        return "silent" if change.kind.startswith("warning") else "agree"
    if change.standing == "note" or change.severity == "cosmetic":
        return "silent"
    if change.cause not in ("", "unexplained"):
        return "explained"
    return "missing" if change.kind in ("term gone", "term new") else "different"


def tone(upgrade: Upgrade) -> str:
    """Return the colour of the verdict's sentence."""
    if upgrade.exit_code == 3:
        return "missing"
    if upgrade.exit_code == 0:
        counted = any(c.kind == "number" for c in upgrade.changes)
        return "explained" if counted else "agree"
    grave = [c for c in upgrade.changes if c.standing in ("moved", "worse") and c.severity != "cosmetic"]
    return "explained" if all(c.cause not in ("", "unexplained") for c in grave) else "different"


def print_upgrade(upgrade: Upgrade, out: Path) -> None:
    """Print the sentence, a table of studies, the gravest changes and the exit code to stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    console.print(Text(visible(upgrade.summary), "bold" if upgrade.exit_code else "green"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("study", "columns", "both fit", "numbers", "agree", "drift", "changes", "digits est.", "digits SE"):
        table.add_column(head, justify="left" if head == "study" else "right")
    for s in upgrade.studies:
        count = Text(str(len(s.changes)), "bold red" if any(c.severity != "cosmetic" for c in s.changes) else "")
        numbers = (s.columns, s.fitted, s.compared, s.agree, s.drifted)
        digits = (_digits(s.digits_estimate), _digits(s.digits_std_error))
        table.add_row(Text(visible(s.study)), *(f"{n:,}" for n in numbers), count, *digits)
    console.print(table)
    for change in upgrade.changes[:SHOWN]:
        style = STYLES.get(group(change), "dim")
        head = " ".join(w for w in (change.size, change.cause) if w)
        title = Text.assemble(
            (f"  {change.kind} ({change.severity}{', ' + head if head else ''})", style),
            f"  {visible(change.study)}: ",
        )
        console.print(title.append(visible(change.title)))
        example = first_number(change)
        if example is not None and change.kind == "number":
            console.print(
                Text(f"      {visible(_place(example))}: ", "dim").append(
                    f"{visible(value_text(example.old))} -> {visible(value_text(example.new))}"
                )
            )
        for e in change.explanations:
            console.print(Text(f"      cause: {visible(e.title)}{_after(e.digits_after)}", "dim"))
        for line in support_lines(change):
            console.print(Text(f"      {visible(line)}", "dim"))
    if len(upgrade.changes) > SHOWN:
        console.print(Text(f"  and {len(upgrade.changes) - SHOWN} more in the report", "dim"))
    for note in upgrade.notes:
        console.print(Text(f"note: {visible(note)}", "dim"))
    console.print(Text(f"exit {upgrade.exit_code}: {EXITS[upgrade.exit_code]} ({upgrade.fail_on})"))
    console.print(Text(f"report: {out / 'upgrade.html'}", "dim"), soft_wrap=True)


def _place(m: Moved) -> str:
    what = f"{m.quantity} of {m.term}" if m.term else m.quantity
    return f"{m.table}/{m.column} {what}"


def _after(digits: float | None) -> str:
    return "" if digits is None else f"; replayed, {digits_text(digits)} digits agree"


def _digits(value: float | None) -> str:
    return "" if value is None else digits_text(value)


def markdown(upgrade: Upgrade) -> str:
    """Write an upgrade as Markdown, escaped throughout."""
    lines = [f"# {escape(f'{upgrade.package} {label(upgrade.old, upgrade.new)}')}", ""]
    lines += [f"**{escape(upgrade.summary)}**", ""]
    lines += [f"Exit code {upgrade.exit_code}: {EXITS[upgrade.exit_code]} ({upgrade.fail_on}).", ""]
    lines += [*(f"- {escape(capital(note))}" for note in upgrade.notes), ""] if upgrade.notes else []
    heads = ("study", "columns", "both fit", "numbers", "agree", "to the last bit", "drift", "digits estimate",
             "digits SE", "changes")  # fmt: skip
    lines += [row(heads), row("---" for _ in heads)]
    for s in upgrade.studies:
        numbers = (s.columns, s.fitted, s.compared, s.agree, s.exact, s.drifted)
        digits = (_digits(s.digits_estimate), _digits(s.digits_std_error))
        lines.append(row([escape(s.study), *(f"{n:,}" for n in numbers), *digits, str(len(s.changes))]))
    for change in upgrade.changes:
        said = [change.kind, change.size, change.cause, change.severity, STANDINGS[change.standing]]
        lines += ["", f"### {escape(change.title)}", ""]
        lines += [f"{', '.join(w for w in said if w)}; study {escape(change.study)}."]
        lines += ["", *(f"- {escape(line)}" for line in support_lines(change))] if change.supports else []
        for e in change.explanations:
            lines += ["", f"Cause: {escape(e.title)}{_after(e.digits_after)}."]
        lines += _numbers(change, side_names(upgrade.old, upgrade.new))
    lines += ["", "## For the changelog", "", changelog(upgrade).replace("\n## ", "\n### ").replace("## ", "### ", 1)]
    lines += ["## For the referee", "", referee(upgrade, markdown=True)]
    lines += _precision(upgrade)
    names_of = side_names(upgrade.old, upgrade.new)
    lines += ["", "## Versions", "", row(("package", *map(escape, names_of))), row(("---",) * 3)]
    lines.append(row((escape(upgrade.package), escape(upgrade.old.version), escape(upgrade.new.version))))
    lines += [row((escape(n), escape(a), escape(b))) for n, a, b in upgrade.companions]
    for s in upgrade.studies:
        named = (f"{w.name} ({w.transport})" for w in s.witnesses)
        lines += ["", f"Witnesses of {escape(s.study)}: {escape(listing(named, 99)) or 'none'}."]
    return visible("\n".join(lines)) + "\n"


def _precision(upgrade: Upgrade) -> list[str]:
    rows = [(s.study, p) for s in upgrade.studies for p in s.precision]
    if not rows:
        return []
    names_ = side_names(upgrade.old, upgrade.new)
    heads = ("study", "witness", "of", "numbers", *(f"digits {name}" for name in names_))
    lines = ["", "## Fewest digits on which each version agrees with a witness", ""]
    lines += [row(map(escape, heads)), row("---" for _ in heads)]
    for study, p in rows:
        words_ = (escape(study), escape(p.witness), words.short_name(p.quantity), f"{p.numbers:,}")
        lines.append(row((*words_, _digits(p.old), _digits(p.new))))
    return lines


def sources_of(change: Change) -> list[str]:
    """Return the witnesses that say something of a change's numbers."""
    return list(dict.fromkeys(w.name for m in change.moved for w in m.witnesses))


def _numbers(change: Change, names: tuple[str, str]) -> list[str]:
    if not change.moved:
        return []
    sources = sources_of(change)
    heads = ("where", "number", *map(escape, names), "digits", *map(escape, sources))
    lines = ["", row(heads), row("---" for _ in heads)]
    for m in change.moved[:SHOWN_NUMBERS]:
        said = {w.name: f"{escape(value_text(w.value))} ({escape(toward(w, m.kind))})" for w in m.witnesses}
        lines.append(
            row(
                (
                    f"{escape(m.table)} {escape(words.column_label(m.column))}",
                    escape(f"{called(m.quantity, 1)} {m.term}".strip()),
                    escape(value_text(m.old)),
                    escape(value_text(m.new)),
                    _digits(m.digits),
                    *(said.get(s, "") for s in sources),
                )
            )
        )
    if len(change.moved) > SHOWN_NUMBERS:
        lines += ["", f"{len(change.moved) - SHOWN_NUMBERS:,} more numbers are in upgrade.json."]
    return lines


def html(upgrade: Upgrade) -> str:
    """Write an upgrade as one HTML file that opens offline, without scripts."""
    page = (
        environment()
        .get_template("upgrade.html.j2")
        .render(
            u=upgrade,
            label=label(upgrade.old, upgrade.new),
            names=side_names(upgrade.old, upgrade.new),
            tone=tone(upgrade),
            exits=EXITS,
            shown=SHOWN_NUMBERS,
            tiles=_tiles(upgrade),
            changelog=changelog(upgrade),
            referee=referee(upgrade),
            standings=STANDINGS,
        )
    )
    return visible(page)


def _tiles(upgrade: Upgrade) -> list[tuple[str, int, str, str]]:
    """Return the counts of the first screen: group, count, label, detail."""
    studies = upgrade.studies
    numbers = [m for c in upgrade.changes if c.kind == "number" for m in c.moved]
    broke = [m for m in numbers if m.size == "break"]
    named = [m for m in broke if m.cause not in ("", "unexplained")]
    grave = [c for c in upgrade.changes if c.severity != "cosmetic"]
    gained = [c for c in upgrade.changes if c.standing == "better" and tells(c)]
    lost = [c for c in grave if c.standing == "worse"]
    exact = sum(s.exact for s in studies)
    return [
        ("agree", sum(s.agree for s in studies), "numbers agree", f"{exact:,} to the last bit"),
        ("silent", len(numbers) - len(broke), "drifted", "by no more than a tolerance"),
        ("explained", len(named), "moved by a named cause", "replayed"),
        ("different", len(broke) - len(named), "moved, unexplained", ""),
        ("missing", sum(len(c.places) for c in lost), "lost", "errors, terms, or not repeatable"),
        ("agree", sum(len(c.places) for c in gained), "gained", "no longer fail, or are new"),
    ]


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment of the pages of this package: that of the reports, and what only they show."""
    env = page_environment("crosscheck.upgrade")
    env.filters.update(
        digits=_digits,
        value=value_text,
        group=group,
        supports=support_lines,
        sources=sources_of,
        toward=toward,
        word=word,
        called=lambda q: called(q, 1),
        percent=percent,
        capital=capital,
    )
    return env
