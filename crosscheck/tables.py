"""What is one table of a paper, and one column of it, once everything is resolved?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from crosscheck.formula import Formula, parse
from crosscheck.spec import FitRequest
from crosscheck.where import Where


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnSpec:
    """One column of one table: what is estimated, on which rows, and by whom.

    Attributes
    ----------
    table, id, title : str
    request : FitRequest
        The whole question, names in back-ticks, ``columns`` all that the fit uses.
    where : str or None
        The filter in canonical form.
    candidates, references : tuple of str
        Engine ids; empty for a column that is printed and not estimated.
    legend : mapping of str to float
        Stars to thresholds.
    kind : str
        Of the table: ``regression`` or ``descriptives``.
    key : str
        Where it stands in the file, such as ``table[1].column[2]``.
    filter : Where or None
        The filter as a tree.
    joint : tuple of str
        Joint tests to compare beside those that are printed.
    keep : tuple of str
        Coefficients to compare and show; empty for all of them.
    constant_of : (table, column) or None
        Where the constant is printed that this column gives.
    """

    table: str
    id: str
    title: str
    request: FitRequest
    where: str | None
    candidates: tuple[str, ...]
    references: tuple[str, ...]
    legend: Mapping[str, float]
    kind: str = "regression"
    key: str = ""
    filter: Where | None = None
    joint: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    constant_of: tuple[str, str] | None = None

    @property
    def estimated(self) -> bool:
        """Whether any engine is asked."""
        return bool(self.candidates or self.references)

    @cached_property
    def formula(self) -> Formula | None:
        """The formula as a tree, or ``None`` where the estimator has none."""
        return parse(self.request.formula) if self.request.formula else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """One table of the paper."""

    id: str
    title: str
    source: str
    kind: str
    columns: tuple[ColumnSpec, ...]
