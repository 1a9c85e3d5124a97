"""How is a comparison of two versions written as JSON?"""

from __future__ import annotations

from typing import Any

from crosscheck.canon import plain
from crosscheck.report.json_ import explanation_data
from crosscheck.upgrade.model import SCHEMA, Change, Moved, SideRow, StudyChanges, Upgrade
from crosscheck.upgrade.phrases import toward


def to_json(upgrade: Upgrade) -> dict[str, Any]:
    """Return the content of ``upgrade.json``."""
    return {
        "schema": SCHEMA,
        "crosscheck": upgrade.crosscheck,
        "command": upgrade.command,
        "started": upgrade.started,
        "seconds": upgrade.seconds,
        "package": upgrade.package,
        "old": side_data(upgrade.old),
        "new": side_data(upgrade.new),
        "summary": upgrade.summary,
        "fail_on": upgrade.fail_on,
        "exit_code": upgrade.exit_code,
        "notes": list(upgrade.notes),
        "studies": [_study(s) for s in upgrade.studies],
    }


def side_data(s: SideRow) -> dict[str, Any]:
    """Return a side and its state."""
    return {
        "id": s.id,
        "version": s.version,
        "asked": s.asked,
        "transport": s.transport,
        "state": dict(s.state),
        "hash_seeds": list(s.hash_seeds),
    }


def _study(s: StudyChanges) -> dict[str, Any]:
    return {
        "study": s.study,
        "title": s.title,
        "columns": s.columns,
        "fitted": s.fitted,
        "unsupported": s.unsupported,
        "compared": s.compared,
        "agree": s.agree,
        "exact": s.exact,
        "drifted": s.drifted,
        "digits": {"estimate": s.digits_estimate, "std_error": s.digits_std_error},
        "witnesses": [plain(w) for w in s.witnesses],
        "precision": [plain(p) for p in s.precision],
        "refused": [{"question": q, "reason": why} for q, why in s.refused],
        "changes": [change_data(c) for c in s.changes],
    }


def change_data(c: Change) -> dict[str, Any]:
    """Return a change with all its numbers."""
    return {
        "kind": c.kind,
        "size": c.size or None,
        "cause": c.cause or None,
        "severity": c.severity,
        "standing": c.standing,
        "title": c.title,
        "functions": list(c.functions),
        "questions": list(c.questions),
        "places": [{"table": table, "column": column} for table, column in c.places],
        "supports": [{"witness": source, "side": side, "numbers": count} for source, side, count in c.supports],
        "explanations": [explanation_data(e) for e in c.explanations],
        "numbers": [_number(m) for m in c.moved],
    }


def _number(m: Moved) -> dict[str, Any]:
    return {
        "question": m.question,
        "table": m.table,
        "column": m.column,
        "term": m.term,
        "quantity": m.quantity,
        "old": m.old,
        "new": m.new,
        "digits": m.digits,
        "diff_in_se": m.diff_in_se,
        "relative": m.relative,
        "size": m.size or None,
        "cause": m.cause or None,
        "severity": m.severity,
        "reason": m.reason,
        "witnesses": [{**plain(w), "says": toward(w, m.kind)} for w in m.witnesses],
    }
