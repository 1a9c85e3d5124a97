r"""What goes into the appendix of the paper? A booktabs table with one sentence of summary.

The fragment needs ``\usepackage{booktabs}`` only and compiles with pdfLaTeX, XeLaTeX and LuaLaTeX. Characters beyond
Latin letters are typeset where the engine has Unicode fonts, and shown by their code point under pdfLaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from crosscheck.notes import Subject, footnote
from crosscheck.report.digits import digits_text
from crosscheck.report.matrix import reached
from crosscheck.report.model import PRINTED, EngineRow, Finding, PairRow, RunReport
from crosscheck.report.words import listing, places_name
from crosscheck.tex import MACRO, escape

MAX_ROWS = 40
MAX_CAUSES = 12


def latex(report: RunReport) -> str:
    """Write the appendix table of a run: pairs of sources in rows, what agrees and to how many digits."""
    by_table = _group(report.pairs, with_table=len(report.tables) > 1)
    rows = by_table if len(by_table) <= MAX_ROWS else _group(report.pairs, with_table=False)
    with_table = any(table for (table, _, _), _ in rows)
    head = [
        *(["Table"] if with_table else []),
        "Reference",
        "Candidate",
        "Columns",
        "Numbers",
        "Agree",
        "Explained",
        "Differ",
        "Est.",
        "S.e.",
    ]
    words = 3 if with_table else 2
    last = len(head)
    label = re.sub(r"[^A-Za-z0-9]+", "-", report.study).strip("-") or "study"
    lines = [
        f"% Written by crosscheck {escape(report.crosscheck)} from the run of {escape(report.started)}.",
        r"% Needs \usepackage{booktabs}.",
        MACRO,
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{Agreement of implementations: {escape(report.title)}}}",
        rf"\label{{tab:crosscheck-{label}}}",
        rf"\begin{{tabular}}{{@{{}}{'l' * words}{'r' * (last - words)}@{{}}}}",
        r"\toprule",
        " & " * (last - 2) + rf"\multicolumn{{2}}{{c}}{{Digits}} \\ \cmidrule(l){{{last - 1}-{last}}}",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(
            _row(key, pairs, with_table, again=n > 0 and rows[n - 1][0][0] == key[0])
            for n, (key, pairs) in enumerate(rows)
        ),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\medskip\begin{minipage}{\linewidth}\footnotesize",
        _note(report),
        *_causes(report),
        r"\end{minipage}",
        r"\end{table}",
        *_footnotes(report),
    ]
    return "\n".join(lines) + "\n"


Key = tuple[str, str, str]


def _group(pairs: Iterable[PairRow], *, with_table: bool) -> list[tuple[Key, list[PairRow]]]:
    out: dict[Key, list[PairRow]] = {}
    for p in sorted(pairs, key=lambda p: p.reference != PRINTED):
        out.setdefault((p.table if with_table else "", p.reference, p.candidate), []).append(p)
    tables = list(dict.fromkeys(table for table, _, _ in out))
    return sorted(out.items(), key=lambda item: tables.index(item[0][0]))


def _row(key: Key, pairs: Sequence[PairRow], with_table: bool, *, again: bool) -> str:
    table, reference, candidate = key
    cells = ["" if again else escape(table)] if with_table else []
    cells += [escape(reference), escape(candidate)]
    compared = [p for p in pairs if p.compared]
    if not compared:
        why = listing((p.verdict.replace("_", " ") for p in pairs), 2)
        return " & ".join([*cells, rf"\multicolumn{{7}}{{c}}{{not compared: {escape(why)}}}"]) + r" \\"
    counts = (
        len(compared),
        sum(p.compared for p in compared),
        sum(p.agreeing for p in compared),
        sum(p.explained for p in compared),
        sum(p.different for p in compared),
    )
    cells += [f"{n:,}".replace(",", "{,}") for n in counts]
    for name in ("digits_estimate", "digits_std_error"):
        least = min((d for p in compared if (d := getattr(p, name)) is not None), default=None)
        cells.append(digits_text(least) if reference != PRINTED else "")
    return " & ".join(cells) + r" \\"


def _note(report: RunReport) -> str:
    """Return the sentence under the table: the summary, then which versions were used and how they were reached."""
    engines = [e for e in report.engines if e.transport not in ("file", "")]
    unfinished = "" if report.complete else r"\textbf{Incomplete run.} "
    digits = (
        "Digits: fewest agreeing digits (log relative error) of coefficients and standard errors; "
        "a printed number agrees where the unrounded one rounds to it."
    )
    versions = f" Versions: {escape(listing((_engine(e) for e in engines), 99))}." if engines else ""
    simulated = rf"\textbf{{Simulated data.}} {escape(report.simulated)} " if report.simulated else ""
    return f"{unfinished}{simulated}{escape(report.summary)} {digits}{versions}"


def _named(report: RunReport) -> list[Finding]:
    return [f for f in report.findings if f.example.explanations and not f.example.whole][:MAX_CAUSES]


def _causes(report: RunReport) -> list[str]:
    """Return one sentence for each cause of a difference, numbered."""
    lines = []
    for number, f in enumerate(_named(report), 1):
        e = f.example.explanations[0]
        digits = "" if e.digits_after is None else f"Replayed, {digits_text(e.digits_after)} digits agree."
        places = escape(places_name(f.places, report.tables, 4))
        lines.append(rf"\par ({number}) {escape(e.title)} ({places}). {escape(digits)}".rstrip())
    return lines


def _footnotes(report: RunReport) -> list[str]:
    """Return each cause as a footnote to paste where the number stands, in comments."""
    named = _named(report)
    if not named:
        return []
    lines = ["% Footnotes to paste, one for each cause:"]
    for f in named:
        c, e = f.example, f.example.explanations[0]
        subject = Subject(
            reference=c.reference,
            candidate=c.candidate,
            quantity=c.quantity,
            terms=tuple(dict.fromkeys([c.term, *f.terms])) if c.term else (),
            reference_value=c.printed if c.printed is not None else c.reference_value,
            candidate_value=c.candidate_value,
        )
        lines.append(f"% {footnote(subject, e, dict(e.remedy))}")
    return lines


def _engine(e: EngineRow) -> str:
    name = e.id if "@" in e.id else f"{e.id} {e.version}".rstrip()
    return f"{name} ({reached(e)})"
