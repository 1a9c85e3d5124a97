"""Which units were drawn, which signs were tossed, so that Python and R use the same ones?

Draws are data: made once from a seed by NumPy's PCG64 (whose integer streams do not change between versions for the
calls used here), written to a file, and read from it ever after. In a request they travel as one text of digits.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosscheck.canon import sha256, write_atomic
from crosscheck.design_options import DIGITS, DesignOptions, DrawKind, Draws
from crosscheck.errors import DataError

Table = NDArray[np.int8]
Real = NDArray[np.float64]

WEBB_CODES = (-3, -2, -1, 1, 2, 3)
WEBB: Real = np.array([np.sign(c) * np.sqrt(abs(c) / 2) for c in WEBB_CODES], dtype=np.float64)
MAX_ENUMERATED = 12


def draw_subsets(seed: int, count: int, size: int, units: int) -> Table:
    """Draw ``count`` subsets of ``size`` units without replacement, shape (count, units), 1 where drawn.

    The ``size`` smallest of 64-bit integers are the subset, so that nothing depends on a sampling algorithm.
    """
    _check_count(count)
    if not 0 < size < units:
        raise DataError(f"{size} of {units} units cannot be drawn", allowed=f"1 to {units - 1}")
    bits = np.random.PCG64(seed)
    table = np.zeros((count, units), dtype=np.int8)
    for row in table:
        row[np.argsort(bits.random_raw(units), kind="stable")[:size]] = 1
    return table


def draw_weights(seed: int, count: int, clusters: int, kind: DrawKind) -> Table:
    """Draw codes of bootstrap weights, shape (count, clusters): Rademacher 0, 1; Webb 0 to 5; resampling counts."""
    _check_count(count)
    bits = np.random.PCG64(seed)
    table = np.zeros((count, clusters), dtype=np.int8)
    sides = {"rademacher": 2, "webb": 6, "resample": clusters}.get(kind, 0)
    if not sides:
        raise DataError(f"draws of kind {kind!r} are not weights", allowed="rademacher, webb, resample")
    for row in table:
        # 53 bits scaled: exact in floating point, and without the bias of a remainder that matters.
        picked = ((bits.random_raw(clusters) >> 11) * 2.0**-53 * sides).astype(np.int64)
        row[:] = np.bincount(picked, minlength=clusters) if kind == "resample" else picked
    return table


def enumerate_signs(clusters: int) -> Table:
    """Return all 2^G Rademacher codes, shape (2^G, G): bit g of the row's number.

    Raises
    ------
    DataError
        For more than :data:`MAX_ENUMERATED` clusters.
    """
    if clusters > MAX_ENUMERATED:
        raise DataError(
            f"2^{clusters} sign vectors are too many",
            allowed=f"at most {MAX_ENUMERATED} clusters",
            hint="name a file of draws",
        )
    return ((np.arange(2**clusters)[:, None] >> np.arange(clusters)) & 1).astype(np.int8)


def values_of(kind: DrawKind, codes: Table) -> Real:
    """Return the weights that codes stand for, same shape."""
    if kind == "rademacher":
        return np.asarray(2.0 * codes - 1.0, dtype=np.float64)
    found = WEBB[codes] if kind == "webb" else codes
    return np.asarray(found, dtype=np.float64)


def table_of(draws: Draws) -> Table:
    """Return the codes of embedded draws, shape (draws, labels).

    Raises
    ------
    DataError
        Where the file of draws was never read.
    """
    if not draws.codes or not draws.labels:
        raise DataError(f"the draws of {draws.path!r} were not read", hint="load the study, or call embed()")
    raw = np.frombuffer(draws.codes.encode("ascii"), dtype=np.uint8)
    lookup = np.zeros(256, dtype=np.int8)
    lookup[np.frombuffer(DIGITS.encode("ascii"), dtype=np.uint8)] = np.arange(len(DIGITS))
    return lookup[raw].reshape(-1, len(draws.labels))


def as_draws(kind: DrawKind, labels: Sequence[str], table: Table, *, path: str = "", digest: str = "") -> Draws:
    """Pack codes into what a request carries."""
    digits = np.frombuffer(DIGITS.encode("ascii"), dtype=np.uint8)
    codes = digits[table].tobytes().decode("ascii")
    return Draws(path=path, sha256=digest, kind=kind, labels=tuple(labels), codes=codes)


def aligned(draws: Draws, labels: Sequence[str], what: str) -> Table:
    """Return the codes with one column for each label, in the order of ``labels``.

    Raises
    ------
    DataError
        Where the file names a label that the sample lacks, or (weights) lacks one of the sample.
    """
    table = table_of(draws)
    place = {label: i for i, label in enumerate(draws.labels)}
    unknown = [label for label in draws.labels if label not in set(labels)]
    lacking = [label for label in labels if label not in place]
    if unknown or (lacking and draws.kind != "subset"):
        name = unknown[0] if unknown else lacking[0]
        side = "draws and not in the sample" if unknown else "sample and not in the draws"
        raise DataError(f"{what} {name!r} is in the {side}", where=draws.path, allowed=", ".join(labels[:40]))
    out = np.zeros((table.shape[0], len(labels)), dtype=np.int8)
    for column, label in enumerate(labels):
        if label in place:
            out[:, column] = table[:, place[label]]
    return out


def write_draws(path: Path, seed: int, count: int, labels: Sequence[str], kind: DrawKind, size: int = 0) -> Table:
    """Draw from a seed and write the file that both languages' draws come from.

    ``subset`` files have columns ``draw,unit`` and one line for each unit drawn, the others ``draw`` and a column for
    each cluster: -1 and 1 (Rademacher), -3 to 3 without 0 (Webb: sign times twice the square), counts (resampling).
    """
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    if kind == "subset":
        table = draw_subsets(seed, count, size, len(labels))
        out.writerow(("draw", "unit"))
        out.writerows((int(d) + 1, labels[int(u)]) for d, u in zip(*np.nonzero(table), strict=True))
    else:
        table = draw_weights(seed, count, len(labels), kind)
        shown = {"rademacher": np.array([-1, 1]), "webb": np.array(WEBB_CODES)}.get(kind, np.arange(128))
        out.writerow(("draw", *labels))
        out.writerows((d + 1, *row) for d, row in enumerate(shown[table].tolist()))
    write_atomic(path, text.getvalue())
    return table


def read_draws(folder: Path, name: str, kind: DrawKind) -> Draws:
    """Read a file of draws below a study's folder.

    Raises
    ------
    DataError
        Where it is missing, outside the folder, or not a table of draws of this kind.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"draws lie in the study's folder, not at {name!r}")
    try:
        content = path.read_bytes()
        rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        hint = "make it once: crosscheck.designs.draws.write_draws(path, seed, count, labels, kind)"
        raise DataError(f"the draws cannot be read: {error}", where=str(path), hint=hint) from None
    try:
        labels, table = _subsets(rows) if kind == "subset" else _wide(rows, kind)
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(
            f"these are no draws of kind {kind}: {error}", where=str(path),
            allowed="draw,unit" if kind == "subset" else "draw and one column of whole numbers for each cluster",
        ) from None  # fmt: skip
    return as_draws(kind, labels, table, path=name, digest=sha256(content))


def _subsets(rows: list[list[str]]) -> tuple[list[str], Table]:
    if rows[0] != ["draw", "unit"]:
        raise ValueError(f"the first line is {','.join(rows[0])}")
    numbers = np.array([int(r[0]) for r in rows[1:]])
    labels = sorted({r[1] for r in rows[1:]})
    if not np.array_equal(np.unique(numbers), np.arange(1, numbers.max() + 1)):
        raise ValueError("draws are not numbered from 1 without gaps")
    table = np.zeros((int(numbers.max()), len(labels)), dtype=np.int8)
    place = {label: i for i, label in enumerate(labels)}
    for number, row in zip(numbers, rows[1:], strict=True):
        if table[number - 1, place[row[1]]]:
            raise ValueError(f"draw {number} has {row[1]} twice")
        table[number - 1, place[row[1]]] = 1
    return labels, table


def _wide(rows: list[list[str]], kind: DrawKind) -> tuple[list[str], Table]:
    if rows[0][0] != "draw" or len(set(rows[0])) != len(rows[0]) or len(rows) < 2:
        raise ValueError("the first line is draw and the clusters' labels, each once")
    shown = {"rademacher": (-1, 1), "webb": WEBB_CODES}.get(kind, tuple(range(len(DIGITS))))
    code = {str(value): i for i, value in enumerate(shown)}
    if [r[0] for r in rows[1:]] != [str(i + 1) for i in range(len(rows) - 1)]:
        raise ValueError("draws are not numbered from 1 without gaps")
    if any(len(r) != len(rows[0]) for r in rows):
        raise ValueError("a line has another number of cells than the first")
    return rows[0][1:], np.array([[code[cell] for cell in r[1:]] for r in rows[1:]], dtype=np.int8)


def _check_count(count: int) -> None:
    if count < 1:
        raise DataError(f"{count} draws were asked for", allowed="1 and more")


def embed(options: DesignOptions, folder: Path) -> DesignOptions:
    """Return the options with the content of their files of draws, paths below ``folder``.

    Raises
    ------
    DataError
        As :func:`read_draws`.
    """
    found = {key: read_draws(folder, draws.path, kind) for key, kind, draws in options.draw_files() if not draws.codes}
    return options.model_copy(update=found) if found else options
