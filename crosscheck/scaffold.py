"""How does a user's own study start? With a folder whose ``study.toml`` already runs.

The kinds of columns are proposed from the data and written down for the user to check; from then on they are declared.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from crosscheck.canon import write_atomic
from crosscheck.errors import DataError, UsageError, nearest

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
PUBLISHED_HEADER = "table,column,term,quantity,printed\n"
PROBE_ROWS = 100_000


def propose_kind(values: Iterable[str]) -> str:
    """Propose the kind of a column from its texts: integer, float, date, or category where anything else occurs.

    A leading zero (``01``) makes a code, not a number; so does an integer beyond 2**53.
    """
    kind = ""
    for value in values:
        if value == "":
            continue
        if re.fullmatch(r"[+-]?(0|[1-9][0-9]{0,15})", value) and abs(int(value)) <= 2**53:
            this = "integer"
        elif re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value) and not re.match(
            r"[+-]?0[0-9]", value
        ):
            this = "float"
        elif re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            this = "date"
        else:
            return "category"
        if kind in ("", this):
            kind = this
        elif {kind, this} == {"integer", "float"}:
            kind = "float"
        else:
            return "category"
    return kind or "float"


def _toml_string(text: str) -> str:
    out = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in out) + '"'


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml_string(name)


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = next(reader, [])
            rows = [row for _, row in zip(range(PROBE_ROWS), reader, strict=False)]
    except FileNotFoundError:
        raise DataError("the data file does not exist", where=str(path)) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the data file cannot be read: {error}", where=str(path), allowed="CSV in UTF-8") from error
    if not names:
        raise DataError("the data file has no header", where=str(path))
    return names, rows


def study_toml(
    study: str,
    data_name: str,
    kinds: Sequence[tuple[str, str]],
    unit: str | None,
    time: str | None,
    formula: str | None,
) -> str:
    """Return the text of a first ``study.toml``."""
    cluster = unit or next((n for n, k in kinds if k == "category"), None)
    lines = [
        "schema = 1",
        f"study = {_toml_string(study)}",
        f"title = {_toml_string('Title of the paper')}",
        "",
        "[data]",
        f"path = {_toml_string(data_name)}",
        *([f"unit = {_toml_string(unit)}"] if unit else []),
        *([f"time = {_toml_string(time)}"] if time else []),
        "",
        "# Please check: a code such as 01 or a year used as a label is a category, not a number.",
        "[data.kinds]            # category | integer | float | boolean | date",
        *(f"{_key(n)} = {_toml_string(k)}" for n, k in kinds),
        "",
        "[defaults]",
        'candidates = ["pyfixest", "linearmodels", "statsmodels", "oracle"]',
        'references = ["r.fixest", "r.lm"]',
        "",
        "[[table]]",
        'id = "table1"',
        'title = "Main results"',
        "",
        "[[table.column]]",
        'id = "1"',
        'estimator = "feols"',
        f"formula = {_toml_string(formula or _first_formula(kinds, unit, time))}",
        f'vcov = {{ type = "CRV1", cluster = [{_toml_string(cluster)}] }}' if cluster else 'vcov = { type = "HC1" }',
        "",
    ]
    return "\n".join(lines)


def _first_formula(kinds: Sequence[tuple[str, str]], unit: str | None, time: str | None) -> str:
    numbers = [n for n, k in kinds if k in ("float", "integer") and n not in (unit, time)]
    if len(numbers) < 2:
        raise DataError(
            "no two columns of numbers from which a first regression could be written",
            hint="give one with --formula 'y ~ x | unit + time'",
        )
    effects = " + ".join(_tick(n) for n in (unit, time) if n)
    return f"{_tick(numbers[0])} ~ {_tick(numbers[1])}" + (f" | {effects}" if effects else "")


def _tick(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) else f"`{name}`"


EXAMPLE = """unit,year,y,x
a,2001,1.1,0.5
a,2002,2.3,1.7
a,2003,2.9,1.9
b,2001,0.4,0.9
b,2002,1.2,1.1
b,2003,3.1,2.8
c,2001,2.2,2.0
c,2002,1.6,0.7
c,2003,2.7,1.2
d,2001,0.3,0.1
d,2002,1.9,1.8
d,2003,1.4,0.6
"""


def scaffold(folder: Path, *, data: Path | None, unit: str | None, time: str | None, formula: str | None) -> str:
    """Make a study's folder and return what to do next.

    Raises
    ------
    UsageError
        Where the folder already holds a study, or its name cannot be an id.
    DataError
        Where the data file cannot be read or lacks a named column.
    """
    study = folder.name or folder.resolve().name
    if not ID.match(study):
        raise UsageError(f"{study!r} cannot be the id of a study", allowed="letters, digits, dot, underscore, hyphen")
    if (folder / "study.toml").exists():
        raise UsageError(
            "the folder already holds a study", where=str(folder / "study.toml"), hint="take another folder"
        )
    if data is not None and data.suffix.lower() != ".csv":
        raise UsageError(
            f"init reads CSV only, not {data.suffix or 'a file without a suffix'}",
            hint="for parquet or dta: run init without --data, put the file into the folder and edit study.toml",
        )
    if data is None:
        rows = list(csv.reader(EXAMPLE.splitlines()))
        names, rows, data_name = rows[0], rows[1:], "panel.csv"
        unit, time, formula = unit or "unit", time or "year", formula or "y ~ x | unit + year"
    else:
        (names, rows), data_name = _read_csv(data), data.name
    for given, option in ((unit, "--unit"), (time, "--time")):
        if given is not None and given not in names:
            raise DataError(
                f"{option} names {given!r}, which is no column of the data",
                where=str(data or "the example"),
                allowed=", ".join(names),
                hint=nearest(given, names),
            )
    kinds = [
        (name, "category" if name == unit else propose_kind(row[i] for row in rows if i < len(row)))
        for i, name in enumerate(names)
    ]
    text = study_toml(study, data_name, kinds, unit, time, formula)
    folder.mkdir(parents=True, exist_ok=True)
    if data is None:
        write_atomic(folder / data_name, EXAMPLE)
    elif data.resolve() != (folder / data_name).resolve():
        shutil.copyfile(data, folder / data_name)
    if not (folder / "published.csv").exists():
        write_atomic(folder / "published.csv", PUBLISHED_HEADER)
    write_atomic(folder / "study.toml", text)
    return (
        f"{folder}/study.toml     what to estimate: check the kinds, then add your tables and columns\n"
        f"{folder}/published.csv  type the printed numbers as they stand, zeros and all (may stay empty)\n"
        f"next: crosscheck run {folder}"
    )
