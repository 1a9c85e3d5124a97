"""What does ``crosscheck reconstruct`` do? It writes a study whose simulated panel gives a paper's printed numbers.

The panel is found by :mod:`crosscheck.simulate.consistent`. What it gives is then estimated anew, from the files as
written, by the closed forms, which share no code with the search; every printed number is reproduced or said not to be.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crosscheck import engines
from crosscheck.audit.api import audit
from crosscheck.audit.paper import Paper
from crosscheck.audit.tokens import token_id
from crosscheck.canon import dumps, write_atomic
from crosscheck.columns import context_of
from crosscheck.compare_known import compare_printed
from crosscheck.errors import CrosscheckError, StudyError, UsageError
from crosscheck.formula_tree import INTERCEPT
from crosscheck.judging import Cell
from crosscheck.reconstructing.files import FILES, Reach, known_rows, notes, reach_of, reproduction, study_files
from crosscheck.results import EstimationResult, failed
from crosscheck.simulate.consistent import ATTEMPTS, consistent_layout, consistent_panel, read_paper
from crosscheck.simulate.reconstruct import Progress, Reconstruction
from crosscheck.study import Study, load_study
from crosscheck.verdict import AGREE, EXIT_AGREES, EXIT_DISCREPANCY

SHOWN = 12


def run_reconstruct(
    folder: Path, out: Path, *, seed: int = 1, attempts: int = ATTEMPTS, force: bool = False, format_: str = "text"
) -> int:
    """Look for a panel that gives all printed numbers of a folder, and write it as a study.

    Parameters
    ----------
    folder : Path
        With ``published.csv`` and ``audit.toml``.
    out : Path
        Folder of the new study.
    seed, attempts : int
        The first start, and how many are tried.
    force : bool
        Whether files of an earlier reconstruction may be replaced.

    Returns
    -------
    int
        0 where every printed number of the columns in reach is reproduced; 1 where no panel was found (nothing is
        written then) or a number is not reproduced.

    Raises
    ------
    CrosscheckError
        For bad input, and for a folder that holds something already.
    """
    if not folder.is_dir():
        raise StudyError("there is no such folder", where=str(folder), hint="name the folder of published.csv")
    _check_target(folder, out, force)
    paper = read_paper(folder)
    place = consistent_layout(paper)
    reach = reach_of(paper, place)
    if not reach.columns:
        raise StudyError(
            "no printed column can be reconstructed",
            where=str(folder / "audit.toml"),
            hint="declare [[column]] entries of ordinary regressions on the full panel or on declared groups of it",
        )
    sys.stderr.write(_announcement(paper, reach))
    place, names, found = consistent_panel(paper, seed=seed, attempts=attempts, progress=_progress())
    if not found.feasible:
        _print_conflict(found, _contradictions(folder), format_)
        return EXIT_DISCREPANCY
    files = study_files(folder, paper, place, names, found.data, reach, seed)
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in files.items():
            (Path(scratch) / name).write_text(text, "utf-8")
        cells = [_padded(c, paper) for c in reproduced(load_study(Path(scratch)))]
    files["study.toml"] += known_rows(cells)
    files["reproduction.csv"] = reproduction(cells)
    files["NOTES.md"] = notes(paper, reach, cells, seed)
    _write(out, files)
    _print_success(out, cells, reach, format_)
    return EXIT_AGREES if all(c.verdict in AGREE for c in cells) else EXIT_DISCREPANCY


def _check_target(folder: Path, out: Path, force: bool) -> None:
    """Refuse to write over anything, before the search.

    Raises
    ------
    UsageError
        Where ``out`` is the paper's own folder or a file, or holds files and ``force`` is not given.
    """
    if out.exists() and out.resolve() == folder.resolve():
        raise UsageError("the reconstruction would be written over the paper's folder", where=str(out))
    if out.is_file():
        raise UsageError("--out is a file", where=str(out), hint="name a folder")
    present = sorted(p.name for p in out.iterdir()) if out.is_dir() else []
    if present and not force:
        raise UsageError(
            f"the folder holds {', '.join(present[:3])}{' and more' if len(present) > 3 else ''}",
            where=str(out),
            hint="name another folder, or --force to replace the files of an earlier reconstruction",
        )
    foreign = [name for name in present if name not in (*FILES, "references")]
    if foreign:
        raise UsageError(
            f"the folder holds {foreign[0]}, which no reconstruction has written",
            where=str(out),
            hint="name another folder",
        )


def _announcement(paper: Paper, reach: Reach) -> str:
    panel = paper.facts.panel
    assert panel is not None
    lines = [
        f"crosscheck: looking for a panel of {panel.units} units and {panel.periods} periods that gives "
        f"{len(reach.columns)} printed columns and the descriptives\n"
    ]
    lines += [f"crosscheck: left out: {key}: {reason}\n" for key, reason in reach.left_out]
    return "".join(lines)


def _progress() -> Progress:
    """Return what shows the search on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda *_: None

    def show(iteration: int, worst: float, label: str) -> None:
        sys.stderr.write(f"\r\x1b[Kstep {iteration}: {label} is {worst:.3g} half units off")
        sys.stderr.flush()

    return show


def _contradictions(folder: Path) -> tuple[str, ...]:
    """Return what the audit proves of the printed numbers, where it proves that some of them contradict each other."""
    return tuple(f"{c.statement} [{c.formula}]" for c in audit(folder).inconsistent if c.category == "arithmetic")


def _print_conflict(found: Reconstruction, proven: Sequence[str], format_: str) -> None:
    state = found.achieved
    where = {label: i for i, label in enumerate(state.labels)}
    apart = [
        {
            "number": label,
            "low": float(state.low[where[label]]),
            "high": float(state.high[where[label]]),
            "value": value,
        }
        for label, value in found.unmet
    ]
    if format_ == "json":
        said = {"feasible": False, "numbers": len(state.labels), "contradictions": list(proven), "apart": apart}
        sys.stdout.write(dumps(said, indent=1) + "\n")
        return
    count = len(state.labels)
    lines = [f"no panel was found that gives all {count} numbers; {len(apart)} stay apart, the farthest first:"]
    lines += [f"  {a['number']}: {a['value']:.8g}, printed as [{a['low']:.8g}, {a['high']:.8g}]" for a in apart[:SHOWN]]
    if len(apart) > SHOWN:
        lines.append(f"  and {len(apart) - SHOWN} more")
    if proven:
        lines.append("the printed numbers contradict each other, as crosscheck audit proves:")
        lines += [f"  {text}" for text in proven[:SHOWN]]
    else:
        lines.append("this proves nothing, and crosscheck audit finds no contradiction either: try another --seed")
    lines.append("nothing was written")
    sys.stdout.write("\n".join(lines) + "\n")


def reproduced(study: Study) -> list[Cell]:
    """Estimate a study by the closed forms, and compare every printed number with what they say."""
    cells: list[Cell] = []
    for column in study.columns:
        engine = engines.get("designs" if "designs" in column.candidates else "oracle")
        result: EstimationResult
        try:
            result = engine.fit(column.request, study.sample(column))
        except CrosscheckError as error:
            result = failed(engine.id, error.what)
        context = context_of(study, column, "published", engine.id)
        cells += compare_printed(study.printed(column), result, context)
    return cells


def _padded(cell: Cell, paper: Paper) -> Cell:
    """Judge a number that is printed with padded zeros by the digits before them, where it has not all of the zeros."""
    term = paper.facts.constant_term if cell.term == INTERCEPT else cell.term
    token = paper.tokens.get(token_id(cell.table, cell.column, term, cell.quantity))
    value = cell.candidate_value
    if token is None or not token.padded or cell.verdict in AGREE or not isinstance(value, float):
        return cell
    if not token.interval.lo <= value <= token.interval.hi:
        return cell
    reason = (
        f"its last zeros are padded: the digits before them allow [{token.interval.lo:.10g}, {token.interval.hi:.10g}]"
    )
    return replace(cell, verdict="rounding", severity="none", reason=reason)


def _write(out: Path, files: Mapping[str, str]) -> None:
    """Write all files, or none where the folder is new: they are made beside it and the folder is moved into place."""
    if out.is_dir() and any(out.iterdir()):
        for name, text in files.items():
            write_atomic(out / name, text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for name, text in files.items():
            (beside / name).write_text(text, "utf-8")
        beside.chmod(0o755)
        beside.replace(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _print_success(out: Path, cells: Sequence[Cell], reach: Reach, format_: str) -> None:
    good = [c for c in cells if c.verdict in AGREE]
    lost = [c for c in cells if c.verdict not in AGREE]
    if format_ == "json":
        said = {
            "feasible": True,
            "folder": str(out),
            "numbers": len(cells),
            "reproduced": len(good),
            "not_reproduced": [c.to_json() for c in lost],
            "left_out": [{"column": key, "reason": reason} for key, reason in reach.left_out],
        }
        sys.stdout.write(dumps(said, indent=1) + "\n")
        return
    lines = [f"{out / 'panel.csv'} gives {len(good)} of {len(cells)} printed numbers"]
    if not lost:
        lines[0] += ": they are jointly possible"
    for table, column in dict.fromkeys((c.table, c.column) for c in cells):
        own = [c for c in cells if (c.table, c.column) == (table, column)]
        met = sum(c.verdict in AGREE for c in own)
        lines.append(f"  {table} ({column}): {met} of {len(own)}")
    lines += [f"  {c.table} ({c.column}) {c.quantity} of {c.term}: {c.reason}" for c in good if "padded" in c.reason]
    lines += [f"  not reproduced: {c.table} ({c.column}) {c.quantity} of {c.term}: {c.reason}" for c in lost[:SHOWN]]
    lines.append(f"the data are simulated (SOURCE.md); next: crosscheck run {out}")
    sys.stdout.write("\n".join(lines) + "\n")
