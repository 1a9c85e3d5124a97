"""What does a campaign say? Its file, folded: findings first, then what is known, then what was reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crosscheck.campaign.case import Identity
from crosscheck.campaign.coverage import coverage
from crosscheck.campaign.families import DRAW_MORE, FAMILIES, meetings
from crosscheck.campaign.known import known_rows
from crosscheck.campaign.stream import is_complete
from crosscheck.canon import dumps

Event = Mapping[str, Any]


def fold(events: Sequence[Event]) -> dict[str, Any]:
    """Return the report of a campaign as data."""
    panels = [e for e in events if e["event"] == "panel"]
    footer = events[-1] if is_complete(events) else {}
    rules: dict[str, Counter[str]] = {}
    explained: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    met: dict[str, dict[str, Any]] = {}
    engines: dict[str, Counter[str]] = {}
    for event in panels:
        for row in event["cases"]:
            rules.setdefault(row["rule"], Counter())[row["status"]] += 1
            explained.update(row.get("explained", {}))
            if row["status"] == "not_compared":
                reasons[_short(row.get("reason", ""))] += 1
            for engine, status in row["engines"].items():
                engines.setdefault(engine, Counter())[status] += 1
            for one in row.get("discrepancies", ()):
                _meet(met, one, event)
    findings = [e for e in events if e["event"] == "finding"]
    return {
        "schema": 1,
        "complete": is_complete(events),
        "header": _timeless(events[0]),
        "footer": _timeless(footer),
        "panels": len(panels),
        "compared": sum(row["compared"] for e in panels for row in e["cases"]),
        "rules": {k: dict(v) for k, v in sorted(rules.items())},
        "explained": dict(explained.most_common()),
        "not_compared": dict(reasons.most_common(25)),
        "engines": {k: dict(v) for k, v in sorted(engines.items())},
        "discrepancies": sorted(met.values(), key=lambda m: (m["kind"] != "new", m["kind"], -m["count"])),
        "findings": [dict(f) for f in findings],
        "families": meetings(panels).to_json(),
        "coverage": coverage(panels, events[0]["settings"]["properties"]).to_json(),
    }


CLOCK = ("started", "finished", "command", "seconds", "engine_seconds", "waited_seconds", "fits")
"""What differs between two campaigns of the same settings, one of them interrupted or in another folder."""


def _timeless(event: Event) -> dict[str, Any]:
    return {k: v for k, v in event.items() if k not in CLOCK}


def _meet(met: dict[str, dict[str, Any]], one: Event, event: Event) -> None:
    identity = Identity(**one["identity"])
    key = one["known"] or str(identity)
    row = met.setdefault(
        key,
        {
            "identity": dict(one["identity"]),
            "title": str(identity),
            "kind": one["kind"],
            "known": one["known"],
            "count": 0,
            "first_seed": event["seed"],
            "says": one["says"],
        },
    )
    row["count"] += 1


def _short(reason: str) -> str:
    return reason.split(":", 2)[-1].strip()[:90] if reason else "nothing to compare"


def to_json(report: Mapping[str, Any]) -> str:
    """Return the report as JSON."""
    return dumps(report, indent=1) + "\n"


def to_markdown(report: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    header = report["header"]
    settings = header["settings"]
    lines = ["# Campaign", ""]
    if not report["complete"]:
        lines += ["**Interrupted**: this is what was done so far; go on with `--resume`.", ""]
    lines += [
        f"{report['panels']} panels from seed {settings['seed']}, {report['compared']} numbers compared "
        f"(profile {settings['profile']}).",
        "",
    ]
    lines += _discrepancies(report)
    lines += ["## Properties", "", "| property | agrees | discrepant | not compared |", "|---|---|---|---|"]
    for rule, count in report["rules"].items():
        cells = (count.get(k, 0) for k in ("agrees", "discrepant", "not_compared"))
        lines.append(f"| {rule} | " + " | ".join(map(str, cells)) + " |")
    lines += ["", "## Engines", "", "| engine | version | numbers | error | unsupported by the data | not here |"]
    lines.append("|---|---|---|---|---|---|")
    versions = header["versions"]
    for engine, count in report["engines"].items():
        cells = (count.get(k, 0) for k in ("ok", "error", "unsupported", "missing"))
        lines.append(f"| {engine} | {versions.get(engine, '')} | " + " | ".join(map(str, cells)) + " |")
    lines += ["", "## Differences explained by replay", ""]
    lines += [f"- {_cell(rule)}: {count}" for rule, count in report["explained"].items()] or ["None."]
    lines += ["", "## Why cases were not compared", ""]
    lines += [f"- {_cell(reason)}: {count}" for reason, count in report["not_compared"].items()] or ["None."]
    lines += ["", *_families(report), "", *_coverage(report)]
    return "\n".join(lines) + "\n"


def _discrepancies(report: Mapping[str, Any]) -> list[str]:
    new = [d for d in report["discrepancies"] if d["kind"] == "new"]
    known = [d for d in report["discrepancies"] if d["kind"] != "new"]
    lines = [f"## New discrepancies: {len(new)}", ""]
    if new:
        lines += [
            "| times | quantity | engine | against | request | first seed | says |",
            "|---|---|---|---|---|---|---|",
        ]
        for d in new:
            i = d["identity"]
            cells = (
                *(d["count"], f"{i['rule']}: {i['quantity']}", f"{i['engine']} {i['version']}", i["against"]),
                *(i["features"], d["first_seed"], d["says"][:160]),
            )
            lines.append("| " + " | ".join(_cell(c) for c in cells) + " |")
    lines += ["", f"Findings: {len(report['findings'])}.", ""]
    for f in report["findings"]:
        where = f.get("folder") or f"seed {f['case']['seed']}"
        lines.append(f"- {_cell(f['identities'][0])}: {f['status']}, {f.get('rows', '?')} rows ({_cell(where)})")
    lines += ["", f"## Known discrepancies met again: {sum(d['count'] for d in known)}", ""]
    if known:
        why = {row.id: row for row in known_rows()}
        lines += ["| times | known as | kind | why | source |", "|---|---|---|---|---|"]
        for d in known:
            row = why.get(d["known"])
            lines.append(
                f"| {d['count']} | {d['known']} | {d['kind']} | {_cell(row.why if row else '')} | "
                f"{_cell(row.source if row else '')} |"
            )
        lines.append("")
    return lines


def _families(report: Mapping[str, Any]) -> list[str]:
    found = report["families"]
    lines = ["## Coverage: cases with compared numbers, by family of estimators", ""]
    for title, table in (("covariances, weights", found["options"]), ("traits of panels", found["traits"])):
        lines += [f"| {title} | " + " | ".join(_cell(f) for f in FAMILIES) + " |", "|---" * (len(FAMILIES) + 1) + "|"]
        for word, counts in table.items():
            cells = (str(counts.get(f, "-")) for f in FAMILIES)
            lines.append(f"| {_cell(word)} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["Not met, and why:", ""]
    for why, rows in found["not_met"].items():
        lines.append(f"- {_cell(why)}: {_cell('; '.join(rows))}.")
    return lines if found["not_met"] else [*lines[:-2], "Every trait was met by every family."]


def _coverage(report: Mapping[str, Any]) -> list[str]:
    found = report["coverage"]
    engines = sorted({e for counts in found["features"].values() for e in counts})
    lines = ["## Coverage: cases with compared numbers, by engine", ""]
    tables = (
        ("property: number of checks", found["checks"]),
        ("of requests", found["features"]),
        ("of panels", found["crossed"]),
    )
    for title, table in tables:
        lines += [f"| {title} | " + " | ".join(engines) + " |", "|---" * (len(engines) + 1) + "|"]
        for word, counts in table.items():
            cells = (str(counts.get(e, "-")) for e in engines)
            lines.append(f"| {_cell(word)} | " + " | ".join(cells) + " |")
        lines.append("")
    never = found["never"]
    lines += ["Never reached, of requests: " + (", ".join(never["features"]) or "nothing") + ".", ""]
    lines += ["Properties that compared nothing: " + (", ".join(map(_cell, never["properties"])) or "none") + ".", ""]
    lines += ["Beyond reach, since no engine asks it: " + ", ".join(never["beyond"]) + ".", ""]
    lines += ["Never drawn, of panels: " + (", ".join(_cell(q) for q in never["panels"]) or "nothing") + "."]
    return lines


def _cell(text: object) -> str:
    """Escape what Markdown or HTML would read as markup."""
    out = " ".join(str(text).split())
    for character, replacement in (
        ("\\", "\\\\"),
        ("|", "\\|"),
        ("<", "&lt;"),
        ("`", "\\`"),
        ("*", "\\*"),
        ("_", "\\_"),
    ):
        out = out.replace(character, replacement)
    return out


def to_text(report: Mapping[str, Any], files: Iterable[str] = (), *, seconds: float | None = None) -> str:
    """Return a short summary for a terminal; ``seconds`` is what the campaign took."""
    new = [d for d in report["discrepancies"] if d["kind"] == "new"]
    known = [d for d in report["discrepancies"] if d["kind"] != "new"]
    lines = []
    if not report["complete"]:
        lines.append("interrupted: go on with --resume")
    took = f" in {seconds:.0f} s" if seconds is not None else ""
    lines.append(f"{report['panels']} panels, {report['compared']} numbers compared{took}")
    for d in new[:40]:
        lines.append(f"  new    {d['count']:5d}  {d['title']}")
        lines.append(f"                seed {d['first_seed']}: {d['says'][:150]}")
    if len(new) > 40:
        lines.append(f"  ... and {len(new) - 40} more")
    lines += [f"  known  {d['count']:5d}  {d['known']} ({d['kind']})" for d in known]
    never = report["coverage"]["never"]
    lines.append(
        f"never reached: {len(never['features'])} options of requests, {len(never['panels'])} traits of panels"
        + (f" ({', '.join(never['features'][:8])})" if never["features"] else "")
    )
    left = [row for why, rows in report["families"]["not_met"].items() if why == DRAW_MORE for row in rows]
    pairs = sum(row.count(",") + 1 for row in left)
    lines.append(f"traits of panels not met by a family of estimators: {pairs} pairs (campaign.md lists them)")
    lines.append(f"beyond reach, since no engine asks it: {', '.join(never['beyond'])}")
    if never["properties"]:
        lines.append(f"compared nothing: {len(never['properties'])} properties ({', '.join(never['properties'][:8])})")
    lines += [f"-> {path}" for path in files]
    return "\n".join(lines) + "\n"
