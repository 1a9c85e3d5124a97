"""How is a range of versions drawn: one row for each quantity, one column for each version?"""

from __future__ import annotations

import sys
from pathlib import Path

from crosscheck.canon import dumps, write_atomic
from crosscheck.report.markdown import escape, row
from crosscheck.report.words import listing, visible
from crosscheck.upgrade.history_model import Entry, History, Row, history_json
from crosscheck.upgrade.model import Upgrade
from crosscheck.upgrade.phrases import percent
from crosscheck.upgrade.render import EXITS, SHOWN_NUMBERS, STANDINGS, environment
from crosscheck.upgrade.standings import tells
from crosscheck.upgrade.texts import changelog, referee

MARKS = {
    "first": ("·", "silent", "the oldest version"),
    "same": ("·", "silent", "the same as in the version before"),
    "drift": ("~", "silent", "moved by no more than a tolerance"),
    "toward": ("▲", "agree", "moved toward the witnesses"),
    "away": ("▼", "different", "moved away from a witness"),
    "neither": ("◆", "different", "moved, and the witnesses agree with neither"),
    "moved": ("◆", "explained", "moved, and no witness says anything"),
    "gone": ("–", "missing", "a term is gone"),
    "new": ("+", "agree", "a term is new"),
    "error": ("!", "different", "fails"),
    "unsupported": ("○", "silent", "not offered by this version"),
    "unsteady": ("%", "missing", "does not repeat under another hash seed"),
    "not asked": (" ", "silent", "not asked"),
}
MOST_ROWS = 400


def write_history(history: History, out: Path, format_: str) -> None:
    """Write all files of a range of versions, and say on stdout what was asked for."""
    rendered = {
        "history.json": dumps(history_json(history), indent=1) + "\n",
        "history.md": markdown(history),
        "history.html": html(history),
    }
    for name, text in rendered.items():
        write_atomic(out / name, text)
    if format_ == "text":
        _print(history, out)
    elif format_ in ("changelog", "referee"):
        write = changelog if format_ == "changelog" else referee
        sys.stdout.write("\n".join(write(u) for u in history.steps) or history.summary + "\n")
    else:
        sys.stdout.write(rendered["history.json" if format_ == "json" else "history.md"])


def told_at(upgrade: Upgrade) -> list[str]:
    """Return what changed at one step, gravest first, without what is only for information."""
    shown = [c for c in upgrade.changes if c.standing != "note" and tells(c)]
    return [c.title + (f" ({c.cause})" if c.cause else "") for c in shown or upgrade.changes]


def title_of(entry: Entry, version: str) -> str:
    """Say in words what happened to a quantity at a version."""
    text = f"{version}: {MARKS[entry.mark][2]}"
    if entry.relative:
        text += f", by {percent(entry.relative)}"
    if entry.names:
        text += f" ({listing(entry.names, 3)})"
    return text + (f"; {entry.causes[0]}" if entry.causes else "")


def _print(h: History, out: Path) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    console.print(Text(visible(h.summary), "bold" if h.exit_code else "green"))
    for upgrade in h.steps:
        console.print(Text(f"\n{upgrade.old.version} -> {upgrade.new.version}", "bold"))
        for line in told_at(upgrade)[:6]:
            console.print(Text(f"  {visible(line)}"))
    console.print()
    for version, why in h.skipped.items():
        console.print(Text(f"skipped {version}: {visible(why)}", "magenta"))
    if h.left_out:
        console.print(Text(f"not needed: {listing(h.left_out, 40)}", "dim"))
    console.print(Text(f"{len(h.rows):,} quantities changed, {h.unchanged:,} are the same in all versions", "dim"))
    console.print(Text(f"exit {h.exit_code}: {EXITS[h.exit_code]} ({h.fail_on})"))
    console.print(Text(f"report: {out / 'history.html'}", "dim"), soft_wrap=True)


def markdown(h: History) -> str:
    """Write the matrix and what changed at each version as Markdown."""
    lines = [f"# {escape(h.package)}: which release changed what", "", f"**{escape(h.summary)}**", ""]
    versions = [s.version for s in h.sides]
    for upgrade in h.steps:
        lines += [f"## {escape(upgrade.old.version)} -> {escape(upgrade.new.version)}", ""]
        lines += [*(f"- {escape(line)}" for line in told_at(upgrade)[:20]), ""]
    if h.rows:
        lines += ["## Matrix", "", row(("question", "quantity", *map(escape, versions)))]
        lines.append(row("---" for _ in range(len(versions) + 2)))
        lines += [
            row((escape(r.question), escape(r.quantity), *(MARKS[e.mark][0] for e in r.entries)))
            for r in h.rows[:MOST_ROWS]
        ]
        lines += [
            "",
            "; ".join(f"{sign} {words}" for sign, _, words in dict.fromkeys(MARKS.values()) if sign.strip()),
            "",
        ]
    lines += [f"- skipped {escape(v)}: {escape(why)}" for v, why in h.skipped.items()]
    if h.left_out:
        lines += ["", f"Not needed: {escape(listing(h.left_out, 99))}."]
    return visible("\n".join(lines)) + "\n"


def html(h: History) -> str:
    """Write the matrix as one HTML file that opens offline, without scripts."""
    groups: dict[str, list[Row]] = {}
    for r in h.rows[:MOST_ROWS]:
        groups.setdefault(r.question, []).append(r)
    page = environment().get_template("history.html.j2").render(
        h=h,
        groups=groups,
        marks=MARKS,
        title_of=title_of,
        exits=EXITS,
        shown=SHOWN_NUMBERS,
        standings=STANDINGS,
        more=max(0, len(h.rows) - MOST_ROWS),
        tone="agree" if not h.exit_code else "missing" if h.exit_code == 3 else "different",
    )  # fmt: skip
    return visible(page)
