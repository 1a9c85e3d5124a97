"""How are simulated panels and their known effects written, so that reading them back changes no bit?"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosscheck.canon import write_atomic

TRUTH_HEADER = ("table", "column", "term", "quantity", "value")
Truth = tuple[str, str, str, str, float]


def cell(value: object) -> str:
    """Write a number with 17 significant digits, an integer without a point, text as it is."""
    if isinstance(value, float | np.floating):
        return format(float(value), ".17g")
    return str(value)


def write_csv(path: Path, columns: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> None:
    """Write columns of equal length."""
    rows = zip(*columns.values(), strict=True)
    _write(path, tuple(columns), ([cell(value) for value in row] for row in rows))


def write_truth(path: Path, rows: Iterable[Truth]) -> None:
    """Write known effects as ``table,column,term,quantity,value``."""
    _write(path, TRUTH_HEADER, ([cell(value) for value in row] for row in rows))


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, text.getvalue())
