"""What does a run file say, taken together?

:func:`fold` reads the events of a run (``run.ndjson`` or the events themselves) once, checks that they belong
together, and gathers them into a :class:`~crosscheck.report.model.RunReport`. It never estimates.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from crosscheck.canon import parse_number
from crosscheck.errors import RunFileError
from crosscheck.report.findings import find
from crosscheck.report.model import (
    AuditRow,
    CellRow,
    ColumnRow,
    DroppedRow,
    EngineRow,
    Explanation,
    InferenceRow,
    PrintedRow,
    RunReport,
    SourceRow,
    TableRow,
    Value,
)
from crosscheck.report.pairs import pair_rows
from crosscheck.report.summary import summarize
from crosscheck.report.words import plural
from crosscheck.results import result_from_json
from crosscheck.verdict import (
    EXIT_BAD_INPUT,
    SEVERITIES,
    VERDICTS,
)

RUN_SCHEMA = 1
RERUN = "run the study again: crosscheck run STUDY"
ALLOW = "crosscheck report --allow-incomplete renders what was written; running the study again completes it"
Event = Mapping[str, Any]


def fold(events: Path | str | Iterable[Event], *, allow_incomplete: bool = False) -> RunReport:
    """Gather the events of one run into a report.

    Parameters
    ----------
    events : path or iterable of mappings
        A ``run.ndjson``, or its events.
    allow_incomplete : bool
        Whether a run without a footer is folded as far as it goes (``complete`` is then false and the exit code 2).

    Raises
    ------
    RunFileError
        Where the file cannot be read, is not a run file, is of another schema, lacks its footer, or was cut or edited.
    """
    if isinstance(events, Path | str):
        where = str(events)
        listed = list(_read(Path(events), allow_incomplete))
    else:
        where = "the events of the run"
        listed = list(events)
    header, body, footer = _split(listed, where)
    if footer is None and not allow_incomplete:
        raise RunFileError("the run is incomplete: it has no footer", where=where, hint=ALLOW)
    try:
        report = _gather(header, body, footer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunFileError(
            f"an event of the run is malformed: {type(error).__name__}: {error}", where=where, hint=RERUN
        ) from error
    if footer is not None:
        _check_footer(report, footer, where)
    return report


def _read(path: Path, allow_incomplete: bool) -> Iterator[Event]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunFileError(f"the run file cannot be read: {error}", where=str(path), hint=RERUN) from error
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError as error:
            if number == len(lines):  # a killed run ends within a line; a whole line ends with a newline
                if allow_incomplete:
                    return
                raise RunFileError(
                    "the run is incomplete: its last line is cut", where=f"{path}, line {number}", hint=ALLOW
                ) from error
            raise RunFileError(
                f"not a line of JSON: {error}", where=f"{path}, line {number}", allowed="JSON lines", hint=RERUN
            ) from error
        if not isinstance(event, dict):
            raise RunFileError("an event is a JSON object", where=f"{path}, line {number}", hint=RERUN)
        yield event


def _split(events: Sequence[Event], where: str) -> tuple[Event, Sequence[Event], Event | None]:
    if not events or events[0].get("event") != "header":
        raise RunFileError("this is not a run file: it does not start with a header", where=where, hint=RERUN)
    header, rest = events[0], events[1:]
    if header.get("schema") != RUN_SCHEMA:
        raise RunFileError(
            f"the run file has schema {header.get('schema')!r}", where=where, allowed=str(RUN_SCHEMA), hint=RERUN
        )
    footer = rest[-1] if rest and rest[-1].get("event") == "footer" else None
    body = rest[:-1] if footer is not None else rest
    for event in body:
        if event.get("event") not in ("result", "cell", "audit"):
            raise RunFileError(
                f"unexpected event {event.get('event')!r} within the run",
                where=where,
                allowed="one header, results and cells, an audit, one footer",
                hint=RERUN,
            )
    if footer is not None and not footer.get("complete", True):
        footer = None
    return header, body, footer


def _check_footer(report: RunReport, footer: Event, where: str) -> None:
    said = {k: n for k, n in dict(footer["counts"]).items() if n}
    if said != dict(report.counts):
        raise RunFileError(
            "the run file was cut or edited: its footer counts other cells than it holds", where=where, hint=RERUN
        )


def _gather(header: Event, body: Sequence[Event], footer: Event | None) -> RunReport:
    cells = tuple(_cell(e) for e in body if e["event"] == "cell")
    sources = tuple(_source(e) for e in body if e["event"] == "result")
    tables = tuple(_table(t) for t in header["tables"])
    pairs = pair_rows(cells)
    engines = _engines(header, cells, sources)
    findings = find(cells, tables, sources)
    complete = footer is not None
    verdicts = Counter(c.verdict for c in cells)
    severities = Counter(c.severity for c in cells)
    return RunReport(
        schema=RUN_SCHEMA,
        crosscheck=str(header["crosscheck"]),
        study=str(header["study"]),
        title=str(header.get("title") or header["study"]),
        started=str(header["started"]),
        finished=str(footer["finished"]) if footer else "",
        seconds=f"{float(footer['seconds']):.3f}" if footer else "",
        reused=_reused(sources) if footer else "",
        transport=str(header["transport"]),
        fail_on=_word(header["fail_on"], SEVERITIES),
        command=str(header["command"]),
        engines=engines,
        data=dict(header.get("data") or {}),
        toml_sha256=str(header.get("toml_sha256") or ""),
        published_sha256=str(header.get("published_sha256") or ""),
        tables=tables,
        tolerances=tuple(dict(row) for row in header.get("tolerances") or ()),
        known=tuple(dict(row) for row in header.get("known") or ()),
        notes=str(header.get("notes") or ""),
        sources=sources,
        cells=cells,
        pairs=pairs,
        findings=findings,
        counts=tuple((v, verdicts[v]) for v in VERDICTS if verdicts[v]),
        severities=tuple((s, severities[s]) for s in SEVERITIES if severities[s]),
        summary_parts=summarize(cells, findings, complete=complete),
        exit_code=int(footer["exit_code"]) if footer else EXIT_BAD_INPUT,
        complete=complete,
        audit=next((_audit(e) for e in body if e["event"] == "audit"), None),
    )


def _audit(e: Event) -> AuditRow:
    return AuditRow(
        sentence=str(e["sentence"]),
        points=tuple((str(p["verdict"]), str(p["category"]), str(p["statement"])) for p in e["points"]),
        inferences=tuple(
            InferenceRow(
                id=str(i["id"]), verdict=str(i["verdict"]), statement=str(i["statement"]), formula=str(i["formula"])
            )
            for i in e["inferences"]
        ),
    )


def _word(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
    return value


def _value(value: Any, quantity: str) -> Value:
    return cast(Value, value) if quantity == "stars" else parse_number(value)


def _cell(e: Event) -> CellRow:
    quantity = str(e["quantity"])
    return CellRow(
        study=str(e["study"]),
        table=str(e["table"]),
        column=str(e["column"]),
        term=str(e["term"]),
        quantity=quantity,
        reference=str(e["reference"]),
        candidate=str(e["candidate"]),
        reference_value=_value(e["reference_value"], quantity),
        candidate_value=_value(e["candidate_value"], quantity),
        abs_diff=parse_number(e["abs_diff"]),
        rel_diff=parse_number(e["rel_diff"]),
        digits=parse_number(e["digits"]),
        diff_in_se=parse_number(e["diff_in_se"]),
        verdict=_word(e["verdict"], VERDICTS),
        severity=_word(e["severity"], SEVERITIES),
        explanations=tuple(_explanation(x) for x in e.get("explanations") or ()),
        printed=e.get("printed"),
        reason=str(e.get("reason") or ""),
        tolerance=e.get("tolerance"),
    )


def _explanation(raw: Mapping[str, Any]) -> Explanation:
    return Explanation(
        rule=str(raw["rule"]),
        title=str(raw["title"]),
        formula=str(raw.get("formula") or ""),
        replay=parse_number(raw.get("replay")),
        digits_after=parse_number(raw.get("digits_after")),
        remedy=tuple((str(side), str(code)) for side, code in dict(raw.get("remedy") or {}).items()),
        references=tuple(str(r) for r in raw.get("references") or ()),
        dropped=tuple(
            DroppedRow(row=int(d["row"]), side=str(d["side"]), reason=str(d["reason"]), what=str(d["what"]))
            for d in raw.get("dropped") or ()
        ),
    )


def _reused(sources: Sequence[SourceRow]) -> str:
    """Say how many of the fits came from the cache."""
    fits = [s for s in sources if s.result is not None and s.result.transport == "live"]
    return f"{sum(s.cached for s in fits):,} of {plural(len(fits), 'fit')} from the cache"


def _source(e: Event) -> SourceRow:
    result = e.get("result")
    return SourceRow(
        table=str(e["table"]),
        column=str(e["column"]),
        source=str(e["source"]),
        result=result_from_json(result) if result is not None else None,
        printed=tuple(
            PrintedRow(
                term=str(p["term"]),
                quantity=str(p["quantity"]),
                printed=str(p["printed"]),
                low=parse_number(p.get("low")),
                high=parse_number(p.get("high")),
                line=int(p.get("line") or 0),
            )
            for p in e.get("printed") or ()
        ),
        cached=bool(e.get("cached")),
        code=str(e.get("code") or ""),
        request_hash=str(e.get("request_hash") or ""),
    )


def _table(raw: Mapping[str, Any]) -> TableRow:
    return TableRow(
        id=str(raw["id"]),
        title=str(raw.get("title") or ""),
        source=str(raw.get("source") or ""),
        columns=tuple(_column(c) for c in raw["columns"]),
    )


def _column(raw: Mapping[str, Any]) -> ColumnRow:
    vcov = raw.get("vcov") or {}
    return ColumnRow(
        id=str(raw["id"]),
        title=str(raw.get("title") or ""),
        estimator=str(raw.get("estimator") or ""),
        formula=str(raw.get("formula") or ""),
        vcov=dict(vcov) if isinstance(vcov, Mapping) else {"type": str(vcov)},
        ssc=dict(raw.get("ssc") or {}),
        options=dict(raw.get("options") or {}),
        where=str(raw.get("where") or ""),
        request_hash=str(raw.get("request_hash") or ""),
        data_hash=str(raw.get("data_hash") or ""),
        conf_level=float(raw.get("conf_level") or 0.95),
        legend=tuple((str(mark), float(p)) for mark, p in dict(raw.get("legend") or {}).items()),
        rows=None if raw.get("rows") is None else int(raw["rows"]),
    )


def _engines(header: Event, cells: Sequence[CellRow], sources: Sequence[SourceRow]) -> tuple[EngineRow, ...]:
    """Return the header's engines, then every other source that a cell names (print, truth, recorded versions)."""
    rows = {
        str(e["id"]): EngineRow(
            id=str(e["id"]),
            package=str(e.get("package") or ""),
            version=str(e.get("version") or ""),
            language=str(e.get("language") or ""),
            transport=str(e.get("transport") or ""),
            reason=str(e.get("reason") or ""),
            environment=tuple(sorted((str(k), str(v)) for k, v in dict(e.get("environment") or {}).items())),
            recorded_on=str(e.get("recorded_on") or ""),
        )
        for e in header["engines"]
    }
    named = dict.fromkeys([s.source for s in sources] + [n for c in cells for n in (c.reference, c.candidate)])
    for name in named:
        if name in rows or name == "*":
            continue
        base, _, version = name.partition("@")
        parent = rows.get(base)
        rows[name] = EngineRow(
            id=name,
            package=parent.package if parent else "",
            version=version,
            language=parent.language if parent else "",
            transport="recorded" if parent and version else "file",
            reason="",
            environment=(),
            recorded_on="",
        )
    return tuple(rows.values())
