"""Which mistakes can a user make, and what does each say?

Every error that a user can cause derives from :class:`CrosscheckError` and carries what went wrong, where, what was
allowed, and what to do. The command line prints it as one message and leaves with :attr:`CrosscheckError.exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CrosscheckError(Exception):
    """Base of all errors that end a command with one clear message.

    Parameters
    ----------
    what : str
        One sentence: what went wrong.
    where : str, optional
        File, and key or line.
    allowed : str, optional
        What would have been accepted.
    hint : str, optional
        What to do now.
    """

    code = "internal"
    exit_code = 2

    def __init__(self, what: str, *, where: str = "", allowed: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.allowed, self.hint = what, where, allowed, hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where:   {self.where}")
        if self.allowed:
            lines.append(f"  allowed: {self.allowed}")
        if self.hint:
            lines.append(f"  do:      {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.allowed, self.hint))


def _rebuild(cls: type[CrosscheckError], what: str, where: str, allowed: str, hint: str) -> CrosscheckError:
    return cls(what, where=where, allowed=allowed, hint=hint)


class UsageError(CrosscheckError):
    """The command line asks for something that does not exist or does not fit together."""

    code = "usage"


class StudyError(CrosscheckError):
    """``study.toml`` is missing, malformed, or names something that is not there."""

    code = "study"


class DataError(CrosscheckError):
    """The data file, a column of it, or the sample drawn from it cannot be used."""

    code = "data"


class FormulaError(CrosscheckError):
    """A formula, a macro or a filter is outside the small language that crosscheck accepts."""

    code = "formula"


class PublishedError(CrosscheckError):
    """``published.csv`` is malformed or prints a number that no column of the study has."""

    code = "published"


class ReferenceError_(CrosscheckError):
    """A recorded reference cannot be read or was not written by a real run."""

    code = "reference"


class RunFileError(CrosscheckError):
    """A ``run.ndjson`` cannot be read, or the run it holds is incomplete."""

    code = "run"


class EngineMissing(CrosscheckError):
    """A required engine cannot be reached (exit code 3, not 2: nothing is wrong with the input)."""

    code = "engine"
    exit_code = 3


class Unsupported(CrosscheckError):
    """An engine cannot do what the specification asks; raised by engines, turned into the verdict ``unsupported``."""

    code = "unsupported"


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Suggest the closest allowed word, as a phrase that ends a hint, or an empty string."""
    match = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"did you mean {match[0]!r}?" if match else ""
