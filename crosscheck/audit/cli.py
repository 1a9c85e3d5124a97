"""What do ``crosscheck audit`` and ``crosscheck init --audit`` do?"""

from __future__ import annotations

import sys
from pathlib import Path

from crosscheck.audit.api import audit
from crosscheck.audit.checks import SEVERITIES
from crosscheck.canon import write_atomic
from crosscheck.errors import CrosscheckError, UsageError, nearest
from crosscheck.store import require_writable

FORMATS = ("text", "markdown", "json", "html")
FILES = {"audit.html": "html", "audit.md": "markdown", "audit.json": "json"}


def run_audit(path: Path, out: Path | None = None, format: str = "text", fail_on: str = "printed") -> int:
    """Audit one study: print the result, write the report files, and return the exit code.

    Parameters
    ----------
    path : Path
        Folder with ``published.csv`` and ``audit.toml``.
    out : Path, optional
        Folder for ``audit.html``, ``audit.md`` and ``audit.json``.
    format : {"text", "markdown", "json", "html"}
        What goes to standard output.
    fail_on : str
        Lowest severity of an inconsistency that gives exit code 1 (``none``: never).

    Returns
    -------
    int
        0 nothing inconsistent, 1 an inconsistency at or above ``fail_on``, 2 bad input, 3 nothing could be checked.
    """
    try:
        if format not in FORMATS:
            raise UsageError(f"unknown format {format!r}", allowed=" ".join(FORMATS), hint=nearest(format, FORMATS))
        if fail_on not in SEVERITIES:
            raise UsageError(
                f"unknown severity {fail_on!r}", allowed=" ".join(SEVERITIES), hint=nearest(fail_on, SEVERITIES)
            )
        report = audit(path)
        if out is not None:
            require_writable(out, "the folder of the report", hint="name another folder with --out")
            for name, kind in FILES.items():
                content = {"html": report.html, "markdown": report.markdown, "json": report.json}[kind]()
                write_atomic(out / name, content)
    except CrosscheckError as error:
        sys.stderr.write(f"crosscheck: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"crosscheck: the report cannot be written: {error}\n")
        return 2
    show = {"text": report.text, "markdown": report.markdown, "json": report.json, "html": report.html}[format]
    sys.stdout.write(show())
    if not any(c.verdict != "cannot_tell" for c in report.checks):
        sys.stderr.write("crosscheck: nothing could be checked: declare more facts in audit.toml\n")
        return 3
    if fail_on == "none":
        return 0
    worst = SEVERITIES.index(report.worst())
    return 1 if worst >= SEVERITIES.index(fail_on) else 0


PUBLISHED = """table,column,term,quantity,printed
table1,descriptives,y,nobs,200
table1,descriptives,y,mean,1.234
table1,descriptives,y,std_dev,0.567
table1,descriptives,y,min,0.012
table1,descriptives,y,max,3.210
table2,1,D,estimate,0.123
table2,1,D,std_error,0.045
table2,1,D,stars,***
table2,1,,r2,0.812
table2,1,,adj_r2,0.780
table2,1,,nobs,200
"""

AUDIT = """# What the paper states about its own tables. Leave out what it does not state: checks that need it then say
# cannot_tell. docs/audit.md explains every key.
schema = 1
paper = "Title of the paper"
constant_term = "Constant"      # how the tables spell the intercept

[legend]                        # what *, **, *** mean, from one star on
levels = [0.10, 0.05, 0.01]
tails = 2

[panel]                         # the full sample; leave the section out where there is no panel
units = 20
first = 2010
last = 2019
balanced = true

[treatment]                     # a treatment that is switched on and stays on
term = "D"
starts = [2015]

[descriptives]                  # the table of means and standard deviations
table = "table1"
column = "descriptives"
sample = "full"
binary = []
integer = []

[[sample]]
id = "full"

[[column]]                      # one for every regression; terms = all regressors, printed or not
table = "table2"
id = "1"
outcome = "y"
terms = ["D"]
fixed_effects = ["unit", "time"]
sample = "full"
se = "undeclared"               # iid | hetero | cluster | undeclared
"""

CLAIMS = """# Sentences of the text that quote numbers, signs, significance or order; docs/audit.md lists the kinds.
schema = 1

[[claim]]
id = "main-effect"
where = "Section 1"
sentence = "the effect is 0.123"
kind = "value"
quoted = "0.123"
tokens = ["table2:1:D:estimate"]
"""


def scaffold_audit(folder: Path) -> str:
    """Make the three files of an audit in a folder and return what to do next.

    Raises
    ------
    UsageError
        Where one of the files exists already; nothing is overwritten.
    """
    files = {"published.csv": PUBLISHED, "audit.toml": AUDIT, "claims.toml": CLAIMS}
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise UsageError(f"{folder / taken[0]} exists already", hint="choose another folder, or edit the file")
    for name, content in files.items():
        write_atomic(folder / name, content)
    return (
        f"{folder / 'published.csv'}  type the printed numbers as they stand, zeros and all\n"
        f"{folder / 'audit.toml'}     what the paper says about its tables\n"
        f"{folder / 'claims.toml'}    sentences to hold against the tables\n"
        f"then: crosscheck audit {folder}\n"
    )
