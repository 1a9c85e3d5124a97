"""What do the terminal, a pull request and a browser show of an upgrade?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from crosscheck.report import words
from crosscheck.report.digits import digits_text, full
from crosscheck.report.markdown import escape, row
from crosscheck.report.model import EngineRow, Value
from crosscheck.report.words import listing, plural, visible
from crosscheck.upgrade.model import Change, Moved, StudyChanges, Upgrade

SHOWN = 8
SHOWN_NUMBERS = 200
EXITS = {
    0: "nothing changed at or above the threshold",
    1: "something changed at or above the threshold",
    3: "nothing was compared",
}
GROUPS = {"number": "different", "term gone": "missing", "term new": "missing", "error new": "different"}
STYLES = {"different": "bold red", "missing": "magenta", "explained": "yellow"}


def summarize(engine: str, old: str, new: str, studies: Sequence[StudyChanges]) -> str:
    """Say in one sentence whether anything moved, and whom the witnesses support."""
    head = f"{engine} {old} -> {new}: "
    compared, agree = sum(s.compared for s in studies), sum(s.agree for s in studies)
    changes = [c for s in studies for c in s.changes]
    if not compared and not changes:
        return head + "nothing was compared."
    said = []
    if compared == agree:
        exact = sum(s.exact for s in studies)
        detail = "all to the last bit" if exact == compared else f"{exact:,} to the last bit{_within(studies)}"
        said.append(f"{agree:,} of {plural(compared, 'number')} agree ({detail})" if compared else "no number compared")
    else:
        columns = sum(s.moved_columns for s in studies)
        of = sum(s.columns for s in studies)
        said.append(
            f"{compared - agree:,} of {plural(compared, 'number')} moved, in {columns} of {plural(of, 'column')}"
        )
    for kind, one, many in (
        ("error new", "column fails that did not", "columns fail that did not"),
        ("error gone", "column no longer fails", "columns no longer fail"),
        ("unsupported new", "column is no longer offered", "columns are no longer offered"),
        ("unsupported gone", "column is offered now", "columns are offered now"),
        ("term gone", "number is gone", "numbers are gone"),
        ("term new", "number is new", "numbers are new"),
        ("warning new", "new warning", "new warnings"),
        ("warning gone", "warning less", "warnings less"),
    ):
        chosen = [c for c in changes if c.kind == kind]
        count = len(chosen) if kind.startswith("warning") else sum(len(c.moved) or len(c.places) for c in chosen)
        if count:
            said.append(plural(count, one, many))
    support = _support([c for c in changes if c.kind == "number"])
    return head + "; ".join([*said, *([support] if support else [])]) + "."


def _within(studies: Sequence[StudyChanges]) -> str:
    parts = []
    for name, values in (
        ("estimates", [s.digits_estimate for s in studies]),
        ("standard errors", [s.digits_std_error for s in studies]),
    ):
        known = [v for v in values if v is not None]
        if known:
            parts.append(f"{name} in {digits_text(min(known))} digits and more")
    return f", {' and '.join(parts)}" if parts else ""


def _support(changes: Sequence[Change]) -> str:
    """Say which side each witness supports in the numbers that moved."""
    totals: dict[str, dict[str, int]] = {}
    for change in changes:
        for source, side, count in change.supports:
            totals.setdefault(source, {}).setdefault(side, 0)
            totals[source][side] += count
    return "; ".join(_sentences({s: [(s, side, n) for side, n in sides.items()] for s, sides in totals.items()}))


def supports_text(supports: Sequence[tuple[str, str, int]]) -> str:
    """Say what one witness supports: ``the new side in 12 and the old side in 1``."""
    counts = {side: n for _, side, n in supports}
    parts = [f"the {side} side in {counts[side]:,}" for side in ("new", "old") if counts.get(side)]
    parts += ["both within the tolerance in " + f"{counts['both']:,}"] if counts.get("both") else []
    parts += [f"neither in {counts['neither']:,}"] if counts.get("neither") else []
    return " and ".join(parts)


def support_lines(change: Change) -> list[str]:
    """Return what the witnesses of a change support; those that say the same share a sentence."""
    return _sentences(
        {s: [x for x in change.supports if x[0] == s] for s in dict.fromkeys(x[0] for x in change.supports)}
    )


def _sentences(said: Mapping[str, Sequence[tuple[str, str, int]]]) -> list[str]:
    alike: dict[str, list[str]] = {}
    for source, supports in said.items():
        alike.setdefault(supports_text(supports), []).append(source)
    return [f"{listing(who, 9)} {'supports' if len(who) == 1 else 'support'} {what}" for what, who in alike.items()]


def group(change: Change) -> str:
    """Return the colour of a change."""
    if change.severity == "cosmetic":
        return "silent"
    return "explained" if change.explanations else GROUPS.get(change.kind, "missing")


def value_text(value: Value) -> str:
    """Write a number in full, a text as it is, and what is not there in words."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else full(value)


def first_number(change: Change) -> Moved | None:
    """Return the number that stands for a change: the gravest comes first in a finding."""
    return min(
        change.moved, key=lambda m: (m.cell.quantity not in ("estimate", "std_error"), m.cell.digits or 0), default=None
    )


def witness_name(e: EngineRow) -> str:
    """Return a witness and its version, which a pin names already."""
    return e.id if "@" in e.id else f"{e.id} {e.version}".rstrip()


def print_upgrade(upgrade: Upgrade, out: Path) -> None:
    """Print the sentence, a table of studies, the gravest changes and the exit code to stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    console.print(Text(visible(upgrade.summary), "bold" if upgrade.exit_code else "green"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("study", "columns", "both fit", "numbers", "agree", "changes", "digits est.", "digits SE"):
        table.add_column(head, justify="left" if head == "study" else "right")
    for s in upgrade.studies:
        count = Text(str(len(s.changes)), "bold red" if any(c.severity != "cosmetic" for c in s.changes) else "")
        numbers = (s.columns, s.fitted, s.compared, s.agree)
        digits = (_digits(s.digits_estimate), _digits(s.digits_std_error))
        table.add_row(Text(visible(s.study)), *(f"{n:,}" for n in numbers), count, *digits)
    console.print(table)
    for change in sorted(upgrade.changes, key=lambda c: c.severity == "cosmetic")[:SHOWN]:
        style = STYLES.get(group(change), "dim")
        title = Text.assemble((f"  {change.kind} ({change.severity})", style), f"  {visible(change.study)}: ")
        console.print(title.append(visible(change.title)))
        example = first_number(change)
        if example is not None:
            c = example.cell
            console.print(
                Text(f"      {c.table}/{c.column} {visible(c.term)} {c.quantity}: ", "dim").append(
                    f"{visible(value_text(c.reference_value))} -> {visible(value_text(c.candidate_value))}"
                )
            )
        for e in change.explanations:
            if e.title not in change.title:
                console.print(Text(f"      cause: {visible(e.title)}", "dim"))
        for line in support_lines(change):
            console.print(Text(f"      {visible(line)}", "dim"))
    if len(upgrade.changes) > SHOWN:
        console.print(Text(f"  and {len(upgrade.changes) - SHOWN} more in the report", "dim"))
    console.print(Text(f"exit {upgrade.exit_code}: {EXITS[upgrade.exit_code]} ({upgrade.fail_on})"))
    console.print(Text(f"report: {out / 'upgrade.html'}", "dim"), soft_wrap=True)


def _digits(value: float | None) -> str:
    return "" if value is None else digits_text(value)


def markdown(upgrade: Upgrade) -> str:
    """Write an upgrade as Markdown, escaped throughout."""
    lines = [f"# {escape(f'{upgrade.engine} {upgrade.old.version} -> {upgrade.new.version}')}", ""]
    lines += [f"**{escape(upgrade.summary)}**", ""]
    lines += [f"Exit code {upgrade.exit_code}: {EXITS[upgrade.exit_code]} ({upgrade.fail_on}).", ""]
    heads = (
        "study",
        "columns",
        "both fit",
        "numbers",
        "agree",
        "to the last bit",
        "digits estimate",
        "digits SE",
        "changes",
    )
    lines += [row(heads), row("---" for _ in heads)]
    for s in upgrade.studies:
        numbers = (s.columns, s.fitted, s.compared, s.agree, s.exact)
        digits = (_digits(s.digits_estimate), _digits(s.digits_std_error))
        lines.append(row([escape(s.study), *(f"{n:,}" for n in numbers), *digits, str(len(s.changes))]))
    for change in upgrade.changes:
        lines += [
            "",
            f"### {escape(change.title)}",
            "",
            f"{change.kind}, {change.severity}, study {escape(change.study)}.",
        ]
        lines += ["", *(f"- {escape(line)}" for line in support_lines(change))] if change.supports else []
        for e in change.explanations:
            after = "" if e.digits_after is None else f"; replayed, {digits_text(e.digits_after)} digits agree"
            lines += ["", f"Cause: {escape(e.title)}{after}."]
        lines += _numbers(change)
    lines += _precision(upgrade)
    lines += ["", "## Versions", "", row(("package", "old", "new")), row(("---",) * 3)]
    lines.append(row((escape(upgrade.package), escape(upgrade.old.version), escape(upgrade.new.version))))
    lines += [row((escape(n), escape(a), escape(b))) for n, a, b in upgrade.companions]
    for s in upgrade.studies:
        named = (f"{witness_name(e)} ({e.transport})" for e in s.witnesses)
        lines += ["", f"Witnesses of {escape(s.study)}: {escape(listing(named, 99))}."]
    return visible("\n".join(lines)) + "\n"


def _precision(upgrade: Upgrade) -> list[str]:
    rows = [(s.study, p) for s in upgrade.studies for p in s.precision]
    if not rows:
        return []
    heads = ("study", "witness", "of", "numbers", f"digits {upgrade.old.version}", f"digits {upgrade.new.version}")
    lines = ["", "## Fewest digits on which each version agrees with a witness", ""]
    lines += [row(map(escape, heads)), row("---" for _ in heads)]
    for study, p in rows:
        words_ = (escape(study), escape(p.witness), words.short_name(p.quantity), f"{p.numbers:,}")
        lines.append(row((*words_, _digits(p.old), _digits(p.new))))
    return lines


def _numbers(change: Change) -> list[str]:
    if not change.moved:
        return []
    sources = list(dict.fromkeys(w.source for m in change.moved for w in m.witnesses))
    heads = ("where", "number", "old", "new", "digits", *map(escape, sources))
    lines = ["", row(heads), row("---" for _ in heads)]
    for m in change.moved[:SHOWN_NUMBERS]:
        c = m.cell
        said = {w.source: f"{escape(value_text(w.value))} ({w.side})" for w in m.witnesses}
        lines.append(
            row(
                (
                    f"{escape(c.table)} {escape(words.column_label(c.column))}",
                    escape(f"{c.quantity} {c.term}".strip()),
                    escape(value_text(c.reference_value)),
                    escape(value_text(c.candidate_value)),
                    _digits(c.digits),
                    *(said.get(s, "") for s in sources),
                )
            )
        )
    if len(change.moved) > SHOWN_NUMBERS:
        lines += ["", f"{len(change.moved) - SHOWN_NUMBERS} more numbers are in upgrade.json."]
    return lines


def html(upgrade: Upgrade) -> str:
    """Write an upgrade as one HTML file that opens offline, without scripts."""
    tone = "agree" if not upgrade.changes else "explained" if not upgrade.exit_code else "different"
    page = (
        _environment()
        .get_template("upgrade.html.j2")
        .render(u=upgrade, tone="missing" if upgrade.exit_code == 3 else tone, exits=EXITS, shown=SHOWN_NUMBERS)
    )
    return visible(page)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    env = Environment(
        loader=ChoiceLoader([PackageLoader("crosscheck.upgrade"), PackageLoader("crosscheck.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        digits=_digits,
        value=value_text,
        group=group,
        supports=support_lines,
        witness=witness_name,
        listing=listing,
        column_label=words.column_label,
        quantity=words.short_name,
    )
    env.globals["plural"] = plural
    return env
