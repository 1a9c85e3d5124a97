r"""What goes into the appendix of the paper? A booktabs table with one sentence of summary.

The fragment needs ``\usepackage{booktabs}`` only and compiles with pdfLaTeX, XeLaTeX and LuaLaTeX. Characters beyond
Latin letters are typeset where the engine has Unicode fonts, and shown by their code point under pdfLaTeX.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from crosscheck.report.digits import digits_text
from crosscheck.report.matrix import reached
from crosscheck.report.model import PRINTED, EngineRow, PairRow, RunReport
from crosscheck.report.words import listing

MAX_ROWS = 40
_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    '"': "''",
    "`": r"\`{}",
    "²": r"\ensuremath{^2}",
    "−": r"\ensuremath{-}",
    "–": "--",
    "—": "---",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "…": r"\dots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "\u00a0": "~",
    "ß": r"{\ss}",
    "æ": r"{\ae}",
    "Æ": r"{\AE}",
    "ø": r"{\o}",
    "Ø": r"{\O}",
    "œ": r"{\oe}",
    "Œ": r"{\OE}",
    "ł": r"{\l}",
    "Ł": r"{\L}",
    "ı": r"{\i}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_MACRO = (
    r"\ifdefined\crosscheckchar\else\ifdefined\Umathchar"
    r"\def\crosscheckchar#1#2{#2}\else\def\crosscheckchar#1#2{\texttt{U+#1}}\fi\fi"
)


def escape(text: str) -> str:
    """Return text that TeX typesets as it is, on one line, and that can call no macro."""
    return "".join(_char(c) for c in " ".join(text.split()))


def _char(c: str) -> str:
    if c in _TEX:
        return _TEX[c]
    if c.isascii():
        return c if c.isprintable() else ""
    apart = unicodedata.normalize("NFD", c)
    if len(apart) == 2 and apart[0].isascii() and apart[1] in _ACCENTS:
        base = rf"\{apart[0]}{{}}" if apart[0] in "ij" else apart[0]
        return rf"\{_ACCENTS[apart[1]]}{{{base}}}"
    return rf"\crosscheckchar{{{ord(c):04X}}}{{{c}}}" if c.isprintable() else ""


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
        _MACRO,
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
        r"\end{minipage}",
        r"\end{table}",
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
    return f"{unfinished}{escape(report.summary)} {digits}{versions}"


def _engine(e: EngineRow) -> str:
    name = e.id if "@" in e.id else f"{e.id} {e.version}".rstrip()
    return f"{name} ({reached(e)})"
