"""Why do two sources differ? Name the convention and prove it by replay, or say nothing.

:func:`explain_column` works on two computed results, :func:`explain_printed` and :func:`rank_column` on a printed
column; ``crosscheck.explain(a, b)`` is :func:`crosscheck.explain.api.explain`. All are pure: the same results, sample
and request give the same explanations. Where no rule makes the numbers meet the answer is empty.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from crosscheck.explain.api import Differences, explain
from crosscheck.explain.column import explain_column, explain_printed
from crosscheck.explain.forensics import Convention, Forensics, rank_column
from crosscheck.explain.known import Known, known, stale_rows
from crosscheck.explain.model import ENOUGH_DIGITS, Dropped, Explanation
from crosscheck.explain.rules import PackageConvention, Rule, packages, rules

__all__ = [
    "ENOUGH_DIGITS",
    "Convention",
    "Differences",
    "Dropped",
    "Explanation",
    "Forensics",
    "Known",
    "PackageConvention",
    "Rule",
    "explain",
    "explain_column",
    "explain_printed",
    "known",
    "packages",
    "rank_column",
    "rules",
    "stale_rows",
]


class _Callable(ModuleType):
    """The package is also the function, so that ``crosscheck.explain(a, b)`` reads as it should."""

    def __call__(self, *args: Any, **kwargs: Any) -> Differences:
        """Call :func:`crosscheck.explain.api.explain`."""
        return explain(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
