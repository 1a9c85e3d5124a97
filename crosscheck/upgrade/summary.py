"""Did any number of the paper move, and toward whom? One sentence."""

from __future__ import annotations

from collections.abc import Sequence

from crosscheck.report.digits import digits_text
from crosscheck.report.words import listing, plural
from crosscheck.upgrade.model import PRIMARY, Change, SideRow, StudyChanges


def summarize(package: str, old: SideRow, new: SideRow, studies: Sequence[StudyChanges]) -> str:
    """Say in a sentence whether any number moved and toward whom; the sentinel set comes after the studies."""
    head = f"{package} {label(old, new)}: "
    parts = []
    papers, sentinel = [s for s in studies if not s.sentinel], [s for s in studies if s.sentinel]
    if papers:
        parts.append(_said("of the paper" if len(papers) == 1 else f"of the {len(papers)} studies", papers))
    if sentinel:
        parts.append(_said("of the sentinel set", sentinel))
    first, *rest = parts or ["nothing was asked"]
    return " ".join([f"{head}{first}.", *(f"{text[:1].upper()}{text[1:]}." for text in rest)])


def label(old: SideRow, new: SideRow) -> str:
    """Return both sides as a reader tells them apart."""
    if old.version == new.version and old.transport == new.transport and _differing(old, new):
        shown = [
            f"{name} {old.state.get(name, 'none')} -> {new.state.get(name, 'none')}" for name in _differing(old, new)
        ]
        own = [_own(old), _own(new)]
        head = new.version if own[0] == own[1] else f"{own[0]} -> {own[1]}"
        return f"{head}, {listing(shown, 4)}"
    return " -> ".join(side_names(old, new))


def side_names(old: SideRow, new: SideRow) -> tuple[str, str]:
    """Return the names of both sides, never the same: versions, else what else tells the sides apart."""
    names = [old.version, new.version]
    if names[0] == names[1] and _own(old) != _own(new):
        names = [_own(old), _own(new)]
    if names[0] == names[1]:
        differs = _differing(old, new)[:3]
        names = [
            f"{n} with {listing([f'{d} {side.state[d]}' for d in differs], 3)}" if differs else n
            for n, side in zip(names, (old, new), strict=True)
        ]
    if names[0] == names[1]:
        names = [
            n if side.transport == "live" else f"{n} ({side.transport})"
            for n, side in zip(names, (old, new), strict=True)
        ]
    if names[0] == names[1]:
        names = [f"{n}, {word}" for n, word in zip(names, ("before", "now"), strict=True)]
    return names[0], names[1]


def _own(side: SideRow) -> str:
    """Return the version of a side with the hash of a wheel or folder, where it was one."""
    return side.id.partition("@")[2].partition(" (")[0] or side.version


def _differing(old: SideRow, new: SideRow) -> list[str]:
    names = [n for n in dict.fromkeys((*old.state, *new.state)) if n not in ("platform", old.package)]
    return [n for n in names if n in old.state and n in new.state and old.state[n] != new.state[n]]


def _said(of: str, studies: Sequence[StudyChanges]) -> str:
    changes = [c for s in studies for c in s.changes]
    compared, agree = sum(s.compared for s in studies), sum(s.agree for s in studies)
    moved = compared - agree
    if not compared and not changes:
        return f"nothing {of} was compared"
    said = []
    if not moved:
        exact = sum(s.exact for s in studies)
        if compared:
            detail = "all to the last bit" if exact == compared else f"{exact:,} to the last bit{_within(studies)}"
            said.append(f"no number {of} moved: {agree:,} of {compared:,} agree ({detail})")
        else:
            said.append(f"no number {of} could be compared")
    else:
        broke = [c for c in changes if c.kind == "number" and c.size == "break"]
        words = f"{moved:,} of {plural(compared, 'number')} {of} moved"
        if not broke:
            words += ", none by more than a tolerance"
        else:
            where, of_ = sum(s.moved_columns for s in studies), sum(s.columns for s in studies)
            noun = "case" if all(s.sentinel for s in studies) else "column"
            words += f", in {where:,} of {plural(of_, noun)}"
        support = _support(broke)
        named = sum(len(c.moved) for c in broke if c.cause not in ("", "unexplained"))
        total = sum(len(c.moved) for c in broke)
        if broke:
            words += f" ({_causes(named, total)}{_worst(broke)})"
        said.append(words + (f", {support}" if support else ""))
    for kind, one, many in (
        ("not repeatable", "does not repeat under another hash seed", "do not repeat under another hash seed"),
        ("error new", "fails that did not", "fail that did not"),
        ("error gone", "no longer fails", "no longer fail"),
        ("unsupported new", "is no longer offered", "are no longer offered"),
        ("unsupported gone", "is offered now", "are offered now"),
        ("term gone", "number is gone", "numbers are gone"),
        ("term new", "number is new", "numbers are new"),
        ("warning new", "new warning", "new warnings"),
        ("warning gone", "warning less", "warnings less"),
    ):
        chosen = [c for c in changes if c.kind == kind]
        if kind.startswith("warning"):
            count = len(chosen)
        else:
            count = sum(len(c.moved) or len(c.places) for c in chosen)
        if count and (kind.startswith("warning") or "number" in one):
            said.append(plural(count, one, many))
        elif count:
            what = "number" if kind == "not repeatable" else "case" if all(s.sentinel for s in studies) else "column"
            said.append(f"{plural(count, what)} {one if count == 1 else many}")
    return ", ".join(said)


def _worst(broke: Sequence[Change]) -> str:
    """Say how many signs, levels of significance and intervals change, where a table shows any."""
    decided = len({(m.question, m.term) for c in broke for m in c.moved if m.severity == "decision"})
    if decided:
        return f"; a sign, a star or what an interval holds changes for {plural(decided, 'coefficient')}"
    return ""


def _causes(named: int, total: int) -> str:
    if named == total:
        return "each by a named and replayed cause"
    return "unexplained" if not named else f"{named:,} by a named and replayed cause, {total - named:,} unexplained"


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
    """Say toward whom the numbers that broke moved."""
    totals: dict[str, dict[str, int]] = {}
    for change in changes:
        for m in change.moved:
            if m.quantity in PRIMARY or len(changes) == 1:
                for w in m.witnesses:
                    totals.setdefault(w.name, {}).setdefault(w.side, 0)
                    totals[w.name][w.side] += 1
    out = []
    alike: dict[str, list[str]] = {}
    for name, sides in totals.items():
        if len(sides) == 1:
            alike.setdefault(next(iter(sides)), []).append(name)
    for side, who in alike.items():
        names = listing(who, 6)
        verb = "agrees" if len(who) == 1 else "agree"
        every = {"new": "all toward {0}", "old": "all away from {0}", "neither": "{0} {1} with neither side",
                 "both": "{0} {1} with both sides"}[side]  # fmt: skip
        out.append(every.format(names, verb))
    for name, sides in totals.items():
        if len(sides) > 1:
            words = {"new": "toward {0} in {1:,}", "old": "away from it in {1:,}", "neither": "with neither in {1:,}",
                     "both": "with both in {1:,}"}  # fmt: skip
            parts = [words[s].format(name, sides[s]) for s in ("new", "old", "neither", "both") if s in sides]
            text = ", ".join(parts)
            out.append(text if "new" in sides else f"{name}: {text}")
    return "; ".join(out)
