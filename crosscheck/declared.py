"""Does a name in ``study.toml`` exist in the data, and was its kind declared?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crosscheck import engines
from crosscheck.data import DataFile
from crosscheck.errors import StudyError, UsageError, nearest
from crosscheck.frame import Kind
from crosscheck.study_file import StudyFile
from crosscheck.syntax import listing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Declared:
    """A study's file, its model and its data, as far as names are concerned.

    Attributes
    ----------
    file : str
        How messages name ``study.toml``.
    model : StudyFile
    data : DataFile or None
        ``None`` for a study that is only audited or simulated; its names are not checked.
    """

    file: str
    model: StudyFile
    data: DataFile | None

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return Path(self.file).parent

    def error(self, what: str, key: str, *, allowed: str = "", hint: str = "") -> StudyError:
        """Make an error at a key of the file."""
        return StudyError(what, where=f"{self.file}, {key}", allowed=allowed, hint=hint)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Declared kinds."""
        return self.model.data.kinds if self.model.data else {}

    @property
    def unit(self) -> str | None:
        """The panel's unit, where the study declares it."""
        return self.model.data.unit if self.model.data else None

    @property
    def time(self) -> str | None:
        """The panel's time, where the study declares it."""
        return self.model.data.time if self.model.data else None

    def known_column(self, name: str, key: str) -> None:
        """Refuse a name that is no column of the data.

        Raises
        ------
        StudyError
            With the nearest column.
        """
        if self.data is not None and name not in self.data.header:
            raise self.error(
                f"there is no column {name!r} in {self.data.where}",
                key,
                allowed=listing(self.data.header),
                hint=nearest(name, self.data.header),
            )

    def kind(self, name: str, key: str) -> Kind | None:
        """Return the declared kind of a column that is used; ``None`` where the study has no data.

        Raises
        ------
        StudyError
            Where the column does not exist or has no kind; the message proposes one.
        """
        if self.data is None:
            return self.kinds.get(name)
        self.known_column(name, key)
        if name not in self.kinds:
            bare = name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
            raise self.error(
                f"column {name!r} is used and has no kind",
                key,
                allowed="category, integer, float, boolean, date",
                hint=f'add {bare} = "{self.data.suggest_kind(name)}" to [data.kinds], if that is what it is',
            )
        return self.kinds[name]

    def engines(self, ids: Sequence[str] | None, key: str) -> tuple[str, ...]:
        """Check engine ids (``name`` or ``name@version``) and return them.

        Raises
        ------
        StudyError
            For an unknown or a repeated id, and for what follows ``@`` and is no version.
        """
        known, given = engines.known_ids(), tuple(ids or ())
        for index, engine in enumerate(given):
            name = engine.partition("@")[0]
            if name not in known:
                hint = nearest(name, known)
                raise self.error(f"there is no engine {engine!r}", key, allowed=", ".join(known), hint=hint)
            try:
                engines.pin_of(engine)
            except UsageError as error:
                raise self.error(error.what, key, allowed=error.allowed, hint=error.hint) from None
            if engine in given[:index]:
                raise self.error(f"engine {engine!r} is named twice", key)
        return given
