"""How does a user's own study start? With a folder whose ``study.toml`` already runs.

The kinds of columns are proposed from the data and written down for the user to check; from then on they are declared.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crosscheck.canon import write_atomic
from crosscheck.data import DataFile, open_data
from crosscheck.declared import Declared
from crosscheck.errors import CrosscheckError, DataError, UsageError, nearest
from crosscheck.formula_parser import RESERVED
from crosscheck.resolve import resolve_tables
from crosscheck.store import require_writable
from crosscheck.study_file import ID, MAX_ID, StudyFile
from crosscheck.syntax import check_name, listing, quote
from crosscheck.toml_text import key, string

PUBLISHED_HEADER = "table,column,term,quantity,printed\n"
MISSING_MARKS = ("NA", ".", "N/A", "NULL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is written down for a column: its kind, and the texts in it that mean missing beside the empty cell."""

    name: str
    kind: str
    missing: tuple[str, ...] = ()


def propose(file: DataFile) -> tuple[Proposal, ...]:
    """Propose the kind of every column that can be used, from all of its cells.

    A code with a leading zero (``01``) is a category, and so is an integer beyond what a float holds. Texts such
    as ``NA`` mean missing only in a column whose other cells are numbers or dates: elsewhere ``NA`` may be Namibia.
    """
    return tuple(_proposal(file, name) for name in file.header if _usable(name))


def _usable(name: str) -> bool:
    try:
        check_name(name)
    except CrosscheckError:
        return False
    return True


def _proposal(file: DataFile, name: str) -> Proposal:
    cells = file.cells(name)
    marks = tuple(m for m in MISSING_MARKS if m in cells)
    if marks and any(c not in ("", *marks) for c in cells):
        bare = replace(file, missing={name: ("", *marks)})
        kind = _kind(bare, name)
        if kind != "category":
            return Proposal(name=name, kind=kind, missing=marks)
    return Proposal(name=name, kind=_kind(file, name))


def _kind(file: DataFile, name: str) -> str:
    """Return the suggested kind where all cells can be read as such; numbers need not all be whole."""
    kind = file.suggest_kind(name)
    for proposed in (kind, "float") if kind == "integer" else (kind,):
        if _readable(file, name, proposed):
            return proposed
    return "category"


def _readable(file: DataFile, name: str, kind: str) -> bool:
    try:
        file.frame({name: kind})
    except DataError:
        return False
    return True


def study_toml(
    study: str,
    data_name: str,
    columns: Sequence[Proposal],
    unit: str | None,
    time: str | None,
    formula: str | None,
) -> str:
    """Return the text of a first ``study.toml``."""
    cluster = unit or next((c.name for c in columns if c.kind == "category"), None)
    missing = {c.name: ("", *c.missing) for c in columns if c.missing}
    lines = [
        "schema = 1",
        f"study = {string(study)}",
        f"title = {string('Title of the paper')}",
        "",
        "[data]",
        f"path = {string(data_name)}",
        *([f"unit = {string(unit)}"] if unit else []),
        *([f"time = {string(time)}"] if time else []),
        *(["", "[data.missing]          # texts that mean missing, by column"] if missing else []),
        *(f"{key(n)} = [{', '.join(map(string, texts))}]" for n, texts in missing.items()),
        "",
        "# Please check: a code such as 01 or a year used as a label is a category, not a number.",
        "[data.kinds]            # category | integer | float | boolean | date",
        *(f"{key(c.name)} = {string(c.kind)}" for c in columns),
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
        f"formula = {string(formula or _first_formula(columns, unit, time))}",
        f'vcov = {{ type = "CRV1", cluster = [{string(cluster)}] }}' if cluster else 'vcov = { type = "HC1" }',
        "",
    ]
    return "\n".join(lines)


def _first_formula(columns: Sequence[Proposal], unit: str | None, time: str | None) -> str:
    numbers = [c.name for c in columns if c.kind in ("float", "integer") and c.name not in (unit, time)]
    if len(numbers) < 2:
        raise DataError(
            "no two columns of numbers from which a first regression could be written",
            hint="give one with --formula 'y ~ x | unit + time'",
        )
    effects = " + ".join(_tick(n) for n in (unit, time) if n)
    return f"{_tick(numbers[0])} ~ {_tick(numbers[1])}" + (f" | {effects}" if effects else "")


def _tick(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and name not in RESERVED
    return name if plain else quote(name)


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
        Where the folder already holds a study or cannot be written, or its name cannot be an id.
    DataError, FormulaError, StudyError
        Where the data file cannot be read or lacks a named column, or the formula does not fit the data.
    """
    study = folder.name or folder.resolve().name
    if not ID.fullmatch(study) or ".." in study or len(study) > MAX_ID:
        raise UsageError(
            f"{study!r} cannot be the id of a study, which becomes a file name",
            where=str(folder),
            allowed=f"letters, digits, '.', '_' and '-', at most {MAX_ID}",
            hint="take another name for the folder",
        )
    if (folder / "study.toml").exists():
        raise UsageError(
            "the folder already holds a study", where=str(folder / "study.toml"), hint="take another folder"
        )
    if data is None:
        file = DataFile(Path("panel.csv"), EXAMPLE.encode(), "the example")
        unit, time, formula = unit or "unit", time or "year", formula or "y ~ x | unit + year"
    elif not data.is_file():
        raise DataError("the data file does not exist", where=str(data), hint=_near(data))
    else:
        file = open_data(data, where=str(data))
    for given, option in ((unit, "--unit"), (time, "--time")):
        if given is not None and given not in file.header:
            raise DataError(
                f"{option} names {given!r}, which is no column of the data",
                where=file.where,
                allowed=listing(file.header),
                hint=nearest(given, file.header),
            )
    columns = tuple(Proposal(name=c.name, kind="category", missing=()) if c.name == unit else c for c in propose(file))
    data_name = file.path.name
    text = study_toml(study, data_name, columns, unit, time, formula)
    _check(text, file)
    require_writable(folder, "the study's folder", hint="take another folder")
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


def _check(text: str, file: DataFile) -> None:
    """Refuse a formula that a run would refuse, before anything is written."""
    model = StudyFile.model_validate(tomllib.loads(text))
    bare = replace(file, missing=model.data.missing if model.data else file.missing)
    resolve_tables(Declared(file="the study to be made", model=model, data=bare))


def _near(path: Path) -> str:
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return nearest(path.name, siblings) or "name a CSV, parquet or Stata file that is there"
