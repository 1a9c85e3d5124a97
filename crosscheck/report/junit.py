"""What does a continuous-integration server show? One test case for each pair of sources in each column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from crosscheck.report.digits import digits_text, full
from crosscheck.report.holes import without_zone
from crosscheck.report.model import CellRow, RunReport
from crosscheck.report.words import plural
from crosscheck.verdict import AGREE, EXIT_NOTHING, SEVERITIES, at_least

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MAX_LINES = 200


def junit(report: RunReport) -> str:
    """Write a run as JUnit XML: a suite for each table, a case for each pair of sources in a column.

    A case fails where the run's exit code counts one of its cells, is an error where an engine failed, and is skipped
    where nothing was compared. A last case stands for the run as a whole: an error where it did not finish, a failure
    where nothing was compared or a reference is missing or stale, so that skipped cases alone never look green.
    """
    groups: dict[str, dict[tuple[str, str, str], list[CellRow]]] = {t.id: {} for t in report.tables}
    for c in report.cells:
        groups.setdefault(c.table, {}).setdefault((c.column, c.reference, c.candidate), []).append(c)
    root = ET.Element("testsuites", {"name": _clean(f"crosscheck {report.study}")})
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for table, cases in groups.items():
        suite = ET.SubElement(root, "testsuite", {"name": _clean(f"{report.study}.{table}")})
        suite.set("timestamp", without_zone(report.started))
        suite.set("time", _seconds(report, table))
        kinds = [_case(suite, report, table, key, cells) for key, cells in cases.items()]
        _close(suite, kinds, totals)
    suite = ET.SubElement(root, "testsuite", {"name": _clean(f"{report.study}.run"), "time": report.seconds or "0"})
    suite.set("timestamp", without_zone(report.started))
    _close(suite, [_whole_run(suite, report)], totals)
    for name, count in totals.items():
        root.set(name, str(count))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def counts_against(c: CellRow, fail_on: str) -> bool:
    """Say whether a cell makes the run leave with 1 under a threshold."""
    if fail_on == "none" or c.verdict in AGREE or c.verdict == "known":
        return False
    return at_least(c.severity, fail_on)  # type: ignore[arg-type]


def _whole_run(suite: ET.Element, report: RunReport) -> str:
    case = ET.SubElement(
        suite, "testcase", {"classname": _clean(report.study), "name": "the run as a whole", "time": "0"}
    )
    if not report.complete:
        ET.SubElement(case, "error", {"message": "the run has no footer: it did not finish", "type": "incomplete"})
        return "errors"
    if report.exit_code == EXIT_NOTHING:
        ET.SubElement(case, "failure", {"message": _clean(report.summary), "type": "missing"})
        return "failures"
    return "passed"


def _close(suite: ET.Element, kinds: Sequence[str], totals: dict[str, int]) -> None:
    counts = {"tests": len(kinds), **{k: kinds.count(k) for k in ("failures", "errors", "skipped")}}
    for name, count in counts.items():
        suite.set(name, str(count))
        totals[name] += count


def _case(suite: ET.Element, report: RunReport, table: str, key: tuple[str, str, str], cells: Sequence[CellRow]) -> str:
    column, reference, candidate = key
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": _clean(f"{report.study}.{table}.{column}"),
            "name": _clean(f"{reference} vs {candidate}"),
            "time": "0",
        },
    )
    bad = [c for c in cells if counts_against(c, report.fail_on)]
    compared = sum(c.compared for c in cells)
    kind = "passed"
    if any(c.verdict == "error" for c in bad):
        kind = "errors"
        failed = next(c for c in bad if c.verdict == "error")
        ET.SubElement(case, "error", {"message": _clean(failed.reason), "type": "error"})
    elif bad:
        kind = "failures"
        worst = max(bad, key=lambda c: SEVERITIES.index(c.severity))
        message = f"{plural(len(bad), 'number')} of {len(cells)} at severity {report.fail_on} or above"
        element = ET.SubElement(case, "failure", {"message": message, "type": f"{worst.verdict}.{worst.severity}"})
        lines = [_line(c) for c in bad[:MAX_LINES]]
        lines += [f"and {len(bad) - MAX_LINES} more in report.json"] if len(bad) > MAX_LINES else []
        element.text = _clean("\n".join(lines))
    elif not compared:
        kind = "skipped"
        ET.SubElement(case, "skipped", {"message": _clean(cells[0].reason or cells[0].verdict)})
    rest = [c for c in cells if c.verdict not in AGREE and not counts_against(c, report.fail_on)]
    if rest and kind != "skipped":
        note = ET.SubElement(case, "system-out")
        note.text = _clean("\n".join(["below the threshold:", *(_line(c) for c in rest[:MAX_LINES])]))
    return kind


def _line(c: CellRow) -> str:
    what = f"{c.term or '(fit)'} {c.quantity}: {c.verdict} ({c.severity})"
    if c.compared:
        what += f"; {c.reference} {full(c.reference_value)}, {c.candidate} {full(c.candidate_value)}"
        what += f"; {digits_text(c.digits)} digits" if c.digits is not None else ""
    for e in c.explanations[:1]:
        what += f"; {e.title}"
    return what + (f"; {c.reason}" if c.reason else "")


def _seconds(report: RunReport, table: str) -> str:
    return f"{sum(s.result.seconds for s in report.sources if s.table == table and s.result):.3f}"


def _clean(text: str) -> str:
    """Replace the characters that XML 1.0 cannot hold."""
    return _ILLEGAL.sub("\ufffd", text)
