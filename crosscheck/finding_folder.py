"""How does a shrunk difference of a user's study become a folder that can be shown?"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck import engines
from crosscheck.canon import digest
from crosscheck.errors import CrosscheckError
from crosscheck.findings.issue import issue_text
from crosscheck.findings.model import (
    PYTHON_SCRIPT,
    R_SCRIPT,
    Arbiter,
    Finding,
    FindingIdentity,
    Scripts,
    StudyUse,
    Value,
)
from crosscheck.findings.panel_text import panel_csv
from crosscheck.findings.scripts import python_script, r_script
from crosscheck.findings.store import write_finding
from crosscheck.formula import parse
from crosscheck.frame import Frame
from crosscheck.judging import RTOL_STD_ERROR, Cell
from crosscheck.plan import Plan
from crosscheck.shrink import Shrunk
from crosscheck.spec import FitRequest, SscSpec, VcovSpec
from crosscheck.study import Study
from crosscheck.study_file import MAX_ID
from crosscheck.toml_text import toml_text

ORACLE = "oracle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The smallest panel, the question asked of it, and what the comparison says; ``plain``: columns were renamed."""

    frame: Frame
    request: FitRequest
    term: str
    cell: Cell
    plain: bool


def study_text(name: str, title: str, frame: Frame, request: FitRequest, candidate: str, reference: str) -> str:
    """Return ``study.toml`` of one table with one column that asks a request of two engines."""
    data: dict[str, Any] = {"path": "panel.csv"}
    # a panel that was shrunk may have lost what nothing asks of it
    unit, time = (name if name in frame.names else None for name in (request.unit, request.time))
    if unit is not None:
        data["unit"] = unit
    if time is not None:
        data["time"] = time
    if unit and time and _repeated(frame, unit, time):
        data["repeated"] = True
    data["kinds"] = {c.name: c.kind for c in frame.columns}
    categories = [c for c in frame.columns if c.kind == "category"]
    levels = {c.name: list(c.levels) for c in categories if list(c.levels) != sorted(c.levels)}
    if levels:
        data["levels"] = levels
    column: dict[str, Any] = {"id": "1", "estimator": request.estimator}
    if request.formula:
        column["formula"] = request.formula
    if request.vcov != VcovSpec() or request.estimator != "att_gt":
        column["vcov"] = request.vcov.model_dump(exclude_defaults=True) or {"type": request.vcov.type}
        column["vcov"].setdefault("type", request.vcov.type)
    if request.ssc != SscSpec():
        column["ssc"] = request.ssc.model_dump(exclude_defaults=True)
    if request.weights is not None:
        column["weights"] = request.weights.model_dump()
    options = {k: v for k, v in request.options.items() if v is not None and not (k == "weights" and request.weights)}
    if options and request.estimator != "sunab":
        column["options"] = options
    elif request.estimator == "sunab":
        column["options"] = {"aggregation": request.options["aggregation"]}
    if request.conf_level != 0.95:
        column["conf_level"] = request.conf_level
    body = {
        "schema": 1,
        "study": name,
        "title": title,
        "data": data,
        "defaults": {"candidates": [candidate], "references": [reference]},
        "table": [{"id": "finding", "column": [column]}],
    }
    return toml_text(body)


def _repeated(frame: Frame, unit: str, time: str) -> bool:
    pairs = list(zip(frame[unit].codes()[0].tolist(), frame[time].codes()[0].tolist(), strict=True))
    return len(set(pairs)) < len(pairs)


def slug(study: str, cell: Cell) -> str:
    """Return the folder's name: engines and quantity, and a hash of the place, which is nobody else's business."""
    place = digest([study, cell.table, cell.column, cell.term])[:6]
    parts = (cell.candidate, cell.reference, cell.quantity, place)
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")[:MAX_ID].rstrip("-")


def _steps(shrunk: Shrunk) -> tuple[str, ...]:
    """Say by which passes the panel became smaller, without the names that it had."""
    return tuple(
        f"{s.by}: {s.rows_before} to {s.rows_after} rows, {s.columns_after} columns, {s.calls} panels tried"
        for s in shrunk.steps
        if s.by != "cells"
    )


def write_own(
    out: Path | None, study: Study, plan: Plan, first: Cell, seen: Seen, shrunk: Shrunk, day: dt.date
) -> Path:
    """Write the folder of a user's own finding and return it."""
    cell = seen.cell
    name = out.name if out is not None else slug(study.id, first)
    root = out.parent if out is not None else Path("findings")
    names = (cell.candidate, cell.reference)
    term = seen.term if seen.term != "*" else ""
    judge = _closed_form(names, seen, term)
    asked = (*names, ORACLE) if judge is not None else names
    python = python_script(asked, seen.request, seen.frame, term, cell.quantity)
    r = r_script(names, seen.request, term, cell.quantity)
    versions = _versions(plan, names)
    what = f"{cell.quantity} of {seen.term}" if term else cell.quantity
    title = f"{what}: {cell.candidate} and {cell.reference} differ ({cell.verdict})"
    finding = Finding(
        schema=1,
        finding=name,
        title=title,
        status="own",
        seen_on=day.isoformat(),
        summary=_summary(cell, seen, what),
        identity=FindingIdentity(
            rule=cell.explanations[0].rule if cell.explanations else "differential",
            engine=cell.candidate,
            version=plan.infos[cell.candidate].version or "unknown",
            against=cell.reference,
            quantity=cell.quantity,
        ),
        versions=versions,
        scripts=Scripts(python=_packages(asked, "python"), r=_packages(names, "r") if r else ()),
        study=StudyUse(shows=True),
        value=_values(cell, names, bool(r), judge),
        arbiter=_arbiter(cell, judge),
        steps=_steps(shrunk),
    )
    panel = panel_csv(seen.frame)
    shown, language = (r, "r") if r and not python else (python, "python")
    files = {
        "panel.csv": panel,
        "study.toml": study_text(name, title, seen.frame, seen.request, cell.candidate, cell.reference),
        "issue.md": issue_text(finding, shown, panel, language=language),
        **({PYTHON_SCRIPT: python} if python else {}),
        **({R_SCRIPT: r} if r else {}),
    }
    return write_finding(root, finding, files)


def _summary(cell: Cell, seen: Seen, what: str) -> str:
    formula = str(parse(seen.request.formula)) if seen.request.formula else seen.request.estimator
    if cell.abs_diff is None:
        return f"{what} of {formula}: {cell.reason or cell.verdict}."
    return (
        f"{what} in {formula}: {cell.candidate} gives {cell.candidate_value}, {cell.reference} {cell.reference_value}, "
        f"on {seen.frame.nrows} rows."
    )


def _closed_form(names: tuple[str, str], seen: Seen, term: str) -> float | None:
    """Return the oracle's number where it has the closed form and is neither of the two engines."""
    engine = engines.get(ORACLE)
    if ORACLE in names or not engine.supports(seen.request):
        return None
    try:
        result = engine.fit(seen.request, seen.frame)
    except CrosscheckError:
        return None
    found = {(t, q): v for t, q, v in result.quantities()}
    return found.get((term, seen.cell.quantity))


def _arbiter(cell: Cell, judge: float | None) -> Arbiter | None:
    if judge is None:
        return None
    sides = ((cell.candidate, cell.candidate_value), (cell.reference, cell.reference_value))
    near = {n: isinstance(v, float) and math.isclose(v, judge, rel_tol=RTOL_STD_ERROR) for n, v in sides}
    off = tuple(n for n, agrees in near.items() if not agrees)
    if not off:
        return None
    return Arbiter(
        kind="closed_form",
        formula=f"the closed form that crosscheck's oracle computes with NumPy gives {judge!r}",
        source="docs/oracle.md",
        supports=tuple(n for n, agrees in near.items() if agrees),
        against=off,
    )


def _values(cell: Cell, names: tuple[str, str], r: bool, judge: float | None) -> tuple[Value, ...]:
    found = []
    for name, number in zip(names, (cell.candidate_value, cell.reference_value), strict=True):
        script = PYTHON_SCRIPT if engines.get(name).language == "python" or not r else R_SCRIPT
        side = "engine" if name == cell.candidate else "witness"
        value = float(number) if isinstance(number, int | float) else float("nan")
        found.append(Value(label=name, script=script, side=side, source=name, number=value))  # type: ignore[arg-type]
    if judge is not None:
        found.append(Value(label=ORACLE, script=PYTHON_SCRIPT, side="arbiter", source=ORACLE, number=judge))
    return tuple(found)


def _packages(names: tuple[str, ...], language: str) -> tuple[str, ...]:
    chosen = [engines.get(n) for n in names]
    return tuple(dict.fromkeys(p for e in chosen if e.language == language for p in e.packages))


def _versions(plan: Plan, names: tuple[str, ...]) -> dict[str, str]:
    found = {"crosscheck": importlib.metadata.version("crosscheck")}
    for name in names:
        found |= {k: v for k, v in plan.infos[name].environment if k != "platform"}
    return dict(sorted(found.items()))
